/* The configuration file (even first byte) and pg_hba.conf (odd). */
#include "core/settings.h"
#include "net/hba.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 2 == 0) {
        ERR_IGNORE(settings_load_text("fuzz.conf", text, (data[0] & 2) != 0));
    } else {
        struct hba *h = NULL;
        if (hba_parse("fuzz_hba.conf", text, &h) == ERR_OK) {
            static const uint8_t ip[16] = {127, 0, 0, 1};
            for (int i = 0; i < 4; i++) {
                struct hba_query q = {.is_unix = i == 0,
                                      .is_tls = i == 1,
                                      .ip = ip,
                                      .ip_bytes = i == 3 ? 16 : 4,
                                      .database = "d",
                                      .user = "u"};
                enum auth_method method;
                (void)hba_match(h, &q, &method);
            }
            hba_free(h);
        }
    }
    free(text);
    return 0;
}
