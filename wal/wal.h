/*
 * The log of one shard: logical records, group commit, segments, replay (DESIGN.md section 7).
 *
 * A wal belongs to one shard and is used only as that shard's owner. An lsn is a byte position in
 * the endless log; a record's lsn is the position just behind it, so "durable up to lsn" covers it.
 */
#ifndef WAL_WAL_H
#define WAL_WAL_H

#include "core/io.h"

typedef uint64_t lsn_t;

enum { WAL_RECORD_BYTES_MAX = 16384 }; /* payload of one record; larger rows are several records */

/* Size of a segment: 16 MiB. The simulation sets less before it makes its first log, so that
 * segments end and are recycled often; not for anybody else, and never less than 256 KiB. */
extern uint32_t wal_segment_shift;
#define WAL_SEGMENT_BYTES (UINT64_C(1) << wal_segment_shift)

struct wal;

struct wal_options {
    const char *directory; /* created when absent */
    uint64_t buffer_bytes; /* in-memory log buffer */
    uint64_t commit_delay_us;
    uint64_t keep_bytes_min; /* recycled segments kept (min_wal_size) */
    /* NULL, or where the durable position is told to other cores, stored with release. */
    _Atomic uint64_t *durable_word;
};

/* Create an empty log / open an existing one. Opening finds nothing out about its end: that is
 * wal_replay_wait's work, which must run before the first append. */
SUSPENDS err_t wal_create_wait(const struct wal_options *o, struct wal **out);
SUSPENDS err_t wal_open_wait(const struct wal_options *o, struct wal **out);
/* What was not flushed is dropped, as in a crash. */
SUSPENDS void wal_close_wait(struct wal *w);

/* lsn: behind the record. May suspend. */
typedef err_t (*wal_apply_fn)(void *ctx, uint8_t kind, const uint8_t *payload, uint32_t len,
                              lsn_t lsn);
/* Raises *safe, the position up to which this log outlives whatever the logs' ends may need. */
typedef err_t (*wal_look_fn)(void *ctx, uint8_t kind, const uint8_t *payload, uint32_t len,
                             lsn_t lsn, lsn_t *safe);
/* Replay from `from`, a record boundary, in two steps. The first reads up to the end of the valid
 * log, or to where wal_cut_wait has set it; *end = behind the last valid record. It calls look for
 * each record, and apply in the same order for those that are safe (all when look is NULL). A torn
 * tail is the end; a hole before later valid records, or a bad checksum followed by valid later
 * segments, is ERR_DATA_CORRUPTED. The second step, after which the log can be appended to: applies
 * the rest, up to the end or to where it was cut in between, wipes what lies behind, and positions
 * the writer there. The log remembers apply and ctx for it. The first step changes nothing on the
 * disk that a second start would read. */
SUSPENDS err_t wal_replay_begin_wait(struct wal *w, lsn_t from, wal_look_fn look,
                                     wal_apply_fn apply, void *ctx, lsn_t *end);
SUSPENDS err_t wal_replay_end_wait(struct wal *w);
/* Both steps, for a log by itself. */
SUSPENDS err_t wal_replay_wait(struct wal *w, lsn_t from, wal_apply_fn apply, void *ctx);
/* The same reading and the same errors for check and dump tools: changes nothing on the disk, needs
 * no open log. *end = behind the last valid record. */
SUSPENDS err_t wal_inspect_wait(const char *directory, lsn_t from, wal_apply_fn apply, void *ctx,
                                lsn_t *end);

/* The log is to end at `at`, a record boundary; end = behind the last valid record, as
 * reading found it. Durable on return; what lies behind is wiped by the next replay, and
 * until then no reading goes beyond. Before replay's second step only. */
SUSPENDS err_t wal_cut_wait(struct wal *w, lsn_t at, lsn_t end);

/* Copy into another directory what replay from begin needs, with nothing behind end. */
SUSPENDS err_t wal_copy_wait(const char *from, const char *to, lsn_t begin, lsn_t end);

/* Room for `bytes` of payloads in `records` records until the fiber suspends next; waits while the
 * buffer is full. ERR_IO_ERROR / ERR_DISK_FULL after the log has failed. */
SUSPENDS err_t wal_reserve_wait(struct wal *w, uint32_t records, uint32_t bytes);
/* As above for undo, commit and checkpoint records: draws on the space kept back when the disk is
 * full (the plain one then answers ERR_DISK_FULL, which is not permanent). */
SUSPENDS err_t wal_reserve_critical_wait(struct wal *w, uint32_t records, uint32_t bytes);
struct wal_part {
    const void *bytes;
    uint32_t len;
};
/* Append one record made of parts, within a reservation; cannot fail, cannot suspend. */
lsn_t wal_append(struct wal *w, uint8_t kind, const struct wal_part *parts, uint32_t count);

/* Wait until durable up to lsn. Not interruptible. A failed write is never retried: the error is
 * permanent, wal_failed() turns true, on_failure (set by the server) is called once. */
SUSPENDS err_t wal_flush_wait(struct wal *w, lsn_t lsn);
void wal_flush_start(struct wal *w);    /* begin a write if none is in flight; nobody waits */
lsn_t wal_end(const struct wal *w);     /* behind the last appended record */
lsn_t wal_durable(const struct wal *w); /* a record boundary; everything below is on disk */
bool wal_failed(const struct wal *w);
void wal_set_on_failure(struct wal *w, void (*fn)(void *ctx, err_t err), void *ctx);
void wal_set_commit_delay(struct wal *w, uint64_t commit_delay_us);

/* Records below lsn are not needed any more: their segments are recycled or removed. */
SUSPENDS err_t wal_recycle_wait(struct wal *w, lsn_t lsn);

struct wal_stats {
    uint64_t records;
    uint64_t bytes;
    uint64_t writes;
    uint64_t write_ns;
    uint64_t flush_waits;
    uint64_t buffer_full_waits;
};
void wal_stats_read(const struct wal *w, struct wal_stats *out);

uint32_t crc32c(uint32_t seed, const void *bytes, size_t len); /* SSE4.2 / ARMv8 or tables */

#endif
