/* percore-waldump: the log records of one shard from its newest checkpoint on, as text. Changes
 * nothing; fine beside a running server too, whose newest records may be missing then. */
#include <stdio.h>
#include <stdlib.h>

#include "core/core.h"
#include "shard/check.h"

enum { TEXT_BYTES = 512 };

static struct {
    const char *directory;
    uint32_t shard;
    int exit_code;
} dump;

static err_t print_record(void *ctx, uint8_t kind, const uint8_t *payload, uint32_t len, lsn_t lsn)
{
    (void)ctx;
    char text[TEXT_BYTES];
    bool ok = log_record_text(kind, payload, len, text, sizeof(text));
    printf("%012llX %s%s\n", (unsigned long long)lsn, text, ok ? "" : " (does not fit)");
    return ERR_OK;
}

static SUSPENDS void run(void *arg)
{
    (void)arg;
    struct check_checkpoint c;
    err_t e = check_newest_checkpoint_wait(dump.directory, dump.shard, &c);
    if (e == ERR_OK) {
        printf("%012llX checkpoint %llu\n", (unsigned long long)c.lsn,
               (unsigned long long)c.sequence);
        e = wal_inspect_wait(c.log_directory, c.lsn, print_record, NULL, &c.lsn);
    }
    if (e == ERR_OK)
        printf("%012llX end\n", (unsigned long long)c.lsn);
    else
        fprintf(stderr, "percore-waldump: %s\n", err_diag()->message);
    dump.exit_code = e != ERR_OK;
    core_stop_all();
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("Usage: percore-waldump DIR SHARD\n", stderr);
        return 2;
    }
    dump.directory = argv[1];
    dump.shard = (uint32_t)strtoul(argv[2], NULL, 10);
    static const int any = -1;
    struct core_options o = {.core_count = 1, .cpus = &any, .numa_nodes = &any};
    if (core_run(&o, run, NULL) != ERR_OK)
        return 2;
    return dump.exit_code;
}
