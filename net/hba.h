/* Host-based authentication rules: pg_hba.conf's syntax and first-match semantics. */
#ifndef NET_HBA_H
#define NET_HBA_H

#include "core/io.h"

enum auth_method { AUTH_TRUST, AUTH_REJECT, AUTH_PEER, AUTH_SCRAM };

struct hba;
/* ERR_CONFIG_FILE_ERROR with file, line and reason. The result is immutable, on the heap of this
 * core. */
err_t hba_parse(const char *file_name, const char *text, struct hba **out);
void hba_free(struct hba *h);
struct hba_query {
    bool is_unix;
    bool is_tls;
    const uint8_t *ip;
    uint8_t ip_bytes;
    const char *database;
    const char *user;
};
/* false: no line matches. */
bool hba_match(const struct hba *h, const struct hba_query *q, enum auth_method *method);

#endif
