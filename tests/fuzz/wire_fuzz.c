/*
 * The wire protocol: messages into a session. The first byte says how the rest is sent: 0 as it is
 * after a login, 1 as it is from the first byte of the connection, 2 (and others) as framed
 * messages after a login: type, u8 length, body. Lengths that lie are the business of the first
 * two.
 */
#include "tests/fuzz/server.h"

static const char *const setup[] = {
    "CREATE TABLE t (a int PRIMARY KEY, b text, c numeric)",
    "INSERT INTO t SELECT n, 'row ' || n, n * 1.5 FROM generate_series(1, 20) n",
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_server_start(setup, sizeof(setup) / sizeof(setup[0]));
    return 0;
}

static void send_framed(struct fuzz_client *c, const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 2) {
        size_t len = p[1];
        if (len > (size_t)(end - p - 2))
            len = (size_t)(end - p - 2);
        fuzz_message(c, (char)p[0], p + 2, len);
        p += 2 + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct fuzz_client *c = fuzz_connect(data[0] == 1);
    if (data[0] <= 1)
        fuzz_send(c, data + 1, size - 1);
    else
        send_framed(c, data + 1, data + size);
    fuzz_close(c);
    return 0;
}
