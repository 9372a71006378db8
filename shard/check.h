/*
 * Checks of a stopped data directory as it lies on the disk, without changing it; for check and
 * dump tools. (Checks of open shards: shard_verify_* in shard.h.)
 */
#ifndef SHARD_CHECK_H
#define SHARD_CHECK_H

#include "shard/shard.h"

struct check_report {
    void (*problem)(struct check_report *r, const char *text); /* one problem, one line */
    uint64_t problems;
    void *owner;
};
void check_problem(struct check_report *r, const char *format, ...) PRINTF_LIKE(2, 3);

struct check_totals {
    uint32_t shards;
    uint64_t blocks;
    uint64_t blocks_used;
    uint64_t pages;
    uint64_t log_records;
    bool clean; /* the last shutdown was complete */
};
/*
 * All shards: superblocks, every block that the newest checkpoint refers to (checksum, identity,
 * referred to once, structure of heap and index pages), the log from that checkpoint to its end.
 * Goes on after a problem as far as it can. copy_to (NULL = none): an existing empty directory that
 * gets the blocks, log and control file that recovery needs. An error means that the check could
 * not run; what is wrong with the data goes to the report.
 */
SUSPENDS err_t check_directory_wait(const char *directory, const char *copy_to,
                                    struct check_report *r, struct check_totals *out);

/* Where recovery of a shard starts. */
struct check_checkpoint {
    lsn_t lsn;
    uint64_t sequence;
    char log_directory[4096];
};
SUSPENDS err_t check_newest_checkpoint_wait(const char *directory, uint32_t shard,
                                            struct check_checkpoint *out);

/* One log record as text: kind and fields. False when its bytes do not fit the kind's layout. */
bool log_record_text(uint8_t kind, const uint8_t *payload, uint32_t len, char *out,
                     size_t out_bytes);

#endif
