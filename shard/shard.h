/*
 * Shards: rows, index entries, sequences, versions and locks of one shard, used as its owner; and
 * the placement of rows over shards (DESIGN.md sections 4 to 7).
 *
 * A row's bytes and an index key's bytes are opaque here. Index keys are memcmp-able and made by
 * sql. The caller (sql/exec) computes the keys and calls the index operations beside the row
 * operation; the shard alone decides visibility, of rows and of index entries, exactly (no recheck
 * by key needed).
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "shard/locks.h"
#include "shard/pages.h"

typedef uint64_t ts_t;     /* commit timestamp: value of the shared commit counter */
typedef uint64_t txn_id_t; /* 64-bit, never reused */
typedef uint64_t row_id;   /* page number << 16 | slot; stable for the row's life in its shard */
#define ROW_ID_NONE UINT64_MAX

struct shard;

/* ---- placement ---- */

enum { BUCKET_COUNT = 4096, SHARD_COUNT_MAX = 1024 };
uint32_t shard_count(void);
uint32_t shard_of_hash(uint64_t hash);      /* hash → bucket → shard */
uint32_t shard_core(uint32_t shard_no);     /* owning core */
uint32_t shard_home_of_core(uint32_t core); /* a shard of this core; where keyless rows go */
/* The shard, when this core (or the borrowed one) owns it; asserts that. */
struct shard *shard_local(uint32_t shard_no);
uint32_t shard_number(const struct shard *s);

/* ---- start and stop ---- */

struct shard_options {
    const char *data_directory;
    uint64_t pool_bytes;        /* per shard */
    uint64_t version_bytes_max; /* per shard */
    uint64_t wal_buffer_bytes;
    uint64_t max_wal_bytes; /* per shard: log volume that starts a checkpoint */
    uint64_t checkpoint_timeout_us;
    uint64_t
        bulk_entries_min; /* index entries of one statement with versions of their own; 0 = 2000 */
    /* A log could not be written; told at once, on the shard's core: nothing may be answered any
     * more, since what was to be durable may or may not be. NULL = nobody is told. */
    void (*log_failed)(uint32_t shard_no);
};
/* Makes shard_count stores and logs and the control file, in an empty directory or in place of what
 * an interrupted creation left. Any core, once. */
SUSPENDS err_t shards_create_wait(const struct shard_options *o, uint32_t count);
/* Reads the control file: shard count and clean/unclean. Any core, once, before shards_open_wait.
 */
SUSPENDS err_t shards_inspect_wait(const struct shard_options *o, uint32_t *count, bool *clean);
/* Opens and recovers all shards, each on its core, settles prepared transactions, starts the
 * counters. Called on one core when all run. */
SUSPENDS err_t shards_open_wait(const struct shard_options *o);
/* Checkpoint of all shards (CHECKPOINT, shutdown). */
SUSPENDS err_t shards_checkpoint_wait(void);
SUSPENDS err_t shards_close_wait(void); /* after a last checkpoint: marks the directory clean */
/* Lets go of all shards as a crash would: no checkpoint, nothing flushed. For tests. */
SUSPENDS void shards_abandon_wait(void);
/* How long a wait lasts before its edges go to the deadlock detector. Default 1 s; any thread. */
void shards_set_deadlock_timeout(uint64_t microseconds);
/* Checks a whole shard that nobody writes to: page structure, tree order and reachability, free
 * lists, forwards, chunks. ERR_DATA_CORRUPTED / ERR_INDEX_CORRUPTED with a text that names the
 * place. */
SUSPENDS err_t shard_verify_wait(struct shard *s, struct arena *mem);
/* Nothing committed waits to be purged. */
bool shard_is_purged(const struct shard *s);
/* One file of it; nobody writes to that file. A file that is not there is fine. */
SUSPENDS err_t shard_verify_file_wait(struct shard *s, file_id file, struct arena *mem);
/* Walk all files that the catalog knows: false at the end. cursor starts at 0. */
bool shard_file_next(struct shard *s, uint64_t *cursor, file_id *file, enum file_kind *kind);
/* Every entry of an index leads to a row of the heap; *entries = how many there are, seen by anyone
 * or not. */
SUSPENDS err_t shard_verify_index_wait(struct shard *s, file_id index, file_id heap,
                                       struct arena *mem, uint64_t *entries);

/* ---- what a statement sees and who it is ---- */

enum isolation { READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE };

/*
 * A transaction as seen by an operation on a shard. The coordinator (shard/txn.h) hands out a copy
 * for each fragment; after the fragment the coordinator takes observed and wrote back with
 * txn_merge().
 *
 * Own changes: those with seq < view.seq are visible to this statement, the statement's own
 * (seq == view.seq) are not.
 */
struct txn_view {
    txn_id_t id; /* 0 while the transaction has written and locked nothing (then only reads) */
    ts_t snapshot;
    uint32_t seq;      /* statement number; undo goes back to one of these */
    uint32_t shard_no; /* where it is used */
    uint8_t isolation;
    bool wrote;       /* out: the shard holds undo or locks of this transaction */
    bool logged;      /* out: its log has records of this transaction */
    uint32_t session; /* session number (pid), for pg_locks and lock messages */
    struct wait_limits limits;
    lsn_t observed; /* out: highest commit lsn seen that was not settled when seen */
};

/* ---- rows ---- */

/* A row image copied out. data is the reader's, from its arena, valid until the next call with it.
 */
struct row_buf {
    uint8_t *data;
    uint32_t len;
    uint32_t capacity;
    struct arena *arena;
};

enum { ROW_BYTES_MAX = 0x3fffffff };

/* Errors of the writing calls: ERR_T_R_SERIALIZATION_FAILURE, ERR_LOCK_NOT_AVAILABLE (timeout),
 * ERR_QUERY_CANCELED, ERR_T_R_DEADLOCK_DETECTED, ERR_DISK_FULL, ERR_IO_ERROR,
 * ERR_DATA_CORRUPTED, ERR_OUT_OF_MEMORY (version budget), ERR_INTERNAL_WOULD_SUSPEND (borrowed). */
SUSPENDS err_t row_insert_wait(struct shard *s, struct txn_view *v, file_id heap, const void *row,
                               uint32_t len, row_id *out);
/* The row must have been locked by this transaction (row_lock_wait). */
SUSPENDS err_t row_update_wait(struct shard *s, struct txn_view *v, file_id heap, row_id id,
                               const void *row, uint32_t len);
SUSPENDS err_t row_delete_wait(struct shard *s, struct txn_view *v, file_id heap, row_id id);

enum row_lock_mode { LOCK_KEY_SHARE, LOCK_SHARE, LOCK_NO_KEY_UPDATE, LOCK_UPDATE };
enum lock_policy { LOCK_WAIT, LOCK_NOWAIT, LOCK_SKIP };
enum row_lock_result {
    ROW_LOCKED,         /* newest version is the one the snapshot sees */
    ROW_LOCKED_CHANGED, /* read committed: a newer committed version, put in *newest */
    ROW_GONE,           /* read committed: deleted meanwhile (not locked) */
    ROW_SELF_CHANGED,   /* changed by this same statement already (not an error for UPDATE: skip) */
    ROW_SKIPPED,        /* LOCK_SKIP and held by another */
};
/* Lock the row for this transaction and compare with what the snapshot sees. Repeatable read and
 * serializable raise ERR_T_R_SERIALIZATION_FAILURE ("could not serialize access due to concurrent
 * update" / "... delete") instead of CHANGED/GONE. LOCK_NOWAIT: ERR_LOCK_NOT_AVAILABLE. newest may
 * be NULL; it is also filled for ROW_LOCKED. */
SUSPENDS err_t row_lock_wait(struct shard *s, struct txn_view *v, file_id heap, row_id id,
                             enum row_lock_mode mode, enum lock_policy policy,
                             enum row_lock_result *result, struct row_buf *newest);
/* The version the snapshot sees; *found false when none. May wait for a prepared transaction. */
SUSPENDS err_t row_fetch_wait(struct shard *s, struct txn_view *v, file_id heap, row_id id,
                              bool *found, struct row_buf *out);

/* Sequential scan of the versions the snapshot sees. */
struct heap_scan;
SUSPENDS err_t heap_scan_begin_wait(struct shard *s, struct txn_view *v, file_id heap,
                                    struct arena *mem, struct heap_scan **out);
/* *row points into the scan's buffer, 8-aligned, valid until the next call. *id = ROW_ID_NONE at
 * the end. */
SUSPENDS err_t heap_scan_next_wait(struct heap_scan *scan, row_id *id, const uint8_t **row,
                                   uint32_t *len);
void heap_scan_restart(struct heap_scan *scan);
void heap_scan_end(struct heap_scan *scan);

/* Newest committed-or-own state of all rows, for index builds and rewrites under an exclusive table
 * lock: as heap_scan with everything committed visible (snapshot UINT64_MAX - 1 in the view). */

/* ---- index entries ---- */

enum { INDEX_KEY_BYTES_MAX = 2704 };

enum index_unique {
    INDEX_NOT_UNIQUE, /* never a conflict */
    /* An entry with the same key that leads to a live row is one, and nothing is inserted; an entry
     * of a transaction in progress is waited for. */
    INDEX_UNIQUE,
    /* Both are one at once, and the entry is inserted all the same: whoever comes second knows that
     * the key is to be looked at again (index_key_shared_wait). */
    INDEX_UNIQUE_LATER,
};
/* Add the entry (key, id) for a row of heap. *conflict: the row that it is in conflict with, or
 * ROW_ID_NONE; may be NULL when not unique. */
SUSPENDS err_t index_insert_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                                 const void *key, uint32_t key_len, row_id id,
                                 enum index_unique unique, row_id *conflict);
/* Whether another live row, committed or the view's own, has the key that the row id has now; not
 * when id has lost it. Transactions in progress that decide it are waited for. */
SUSPENDS err_t index_key_shared_wait(struct shard *s, struct txn_view *v, file_id index,
                                     file_id heap, const void *key, uint32_t key_len, row_id id,
                                     bool *is_shared);
/* The row's new version no longer has this key (update or delete); takes effect for readers by
 * snapshot, and the entry goes away when no snapshot needs it. */
SUSPENDS err_t index_remove_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                                 const void *key, uint32_t key_len, row_id id);
/* The same two for an index that is on its way in or out, beside writers that do not know it and
 * writers that keep it: what the index says of a row stays right, and of what it does not know it
 * learns nothing. The caller has the row's lock. */
SUSPENDS err_t index_insert_known_wait(struct shard *s, struct txn_view *v, file_id index,
                                       file_id heap, const void *key, uint32_t key_len, row_id id);
SUSPENDS err_t index_remove_known_wait(struct shard *s, struct txn_view *v, file_id index,
                                       file_id heap, const void *key, uint32_t key_len, row_id id);

struct index_scan;
struct index_range {
    const void *low; /* NULL = from the first; memcmp order of keys; a bound may be a key prefix */
    uint32_t low_len;
    const void *high; /* NULL = to the last */
    uint32_t high_len;
    bool low_exclusive;  /* skips all keys that begin with low */
    bool high_inclusive; /* takes in all keys that begin with high */
    bool backward;
};
/* Entries whose row version visible to the snapshot has that key, in key order.
 * ERR_T_R_SERIALIZATION_FAILURE: above read committed, and the index is newer than the snapshot. */
SUSPENDS err_t index_scan_begin_wait(struct shard *s, struct txn_view *v, file_id index,
                                     file_id heap, const struct index_range *range,
                                     struct arena *mem, struct index_scan **out);
/* key may be NULL; valid until the next call. *id = ROW_ID_NONE at the end. */
SUSPENDS err_t index_scan_next_wait(struct index_scan *scan, row_id *id, const uint8_t **key,
                                    uint32_t *key_len);
/* As next, and fetches the visible row in the same step (one lookup of versions). */
SUSPENDS err_t index_scan_next_row_wait(struct index_scan *scan, row_id *id, struct row_buf *row);
SUSPENDS err_t index_scan_restart_wait(struct index_scan *scan, const struct index_range *range);
void index_scan_end(struct index_scan *scan);
/* 40001 above read committed when the index, or what serves as one, was made by a transaction that
 * the view's snapshot does not see, and the heap was there before. Scans look themselves. */
err_t index_age_check(const struct shard *s, const struct txn_view *v, file_id index, file_id heap);

/* Fill an empty index from entries in key order (CREATE INDEX): next sets *key NULL at the end. The
 * entries count as visible to all who may see the index at all. */
SUSPENDS err_t index_build_wait(struct shard *s, struct txn_view *v, file_id index,
                                err_t (*next)(void *ctx, const uint8_t **key, uint32_t *key_len,
                                              row_id *id),
                                void *ctx);

/* A build beside writers that all keep the index already: the entry for a row that the view's
 * snapshot sees, unless it is there. The snapshot is held from before the first of these until
 * after the last; the index serves snapshots that are not older. Of no transaction: not undone, and
 * durable with the shard's log. unique: as index_insert_wait, unless the row has lost the key since
 * the snapshot. */
SUSPENDS err_t index_fill_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                               const void *key, uint32_t key_len, row_id id, bool unique,
                               row_id *conflict);

/* A row that says where another one with its key is (bytes that only the caller understands), with
 * its entry in a unique index, for such a build where rows and index lie on different shards. */
struct row_bring {
    file_id heap;
    file_id index;
    const void *row;
    uint32_t len;
    const void *key;
    uint32_t key_len;
    bool is_checked; /* another one with the key is a conflict */
    /* Do these bytes, of a row with the key, say the same? */
    bool (*is_same)(void *ctx, const uint8_t *row, uint32_t len);
    void *ctx;
};
/* Puts it in, unless the view sees one that says the same. Of no transaction: everyone sees it, it
 * is not undone, and durable with the shard's log; so what it says must be settled where it is so.
 * is_checked: as index_insert_wait with unique, unless what the view sees is no longer so.
 * ERR_FEATURE_NOT_SUPPORTED: a row that does not fit a page. */
SUSPENDS err_t row_bring_wait(struct shard *s, struct txn_view *v, const struct row_bring *b,
                              row_id *conflict);

/* ---- files, transactional ---- */

/* Created at once; dropped again if the transaction (or statement) is undone. */
SUSPENDS err_t shard_file_create_wait(struct shard *s, struct txn_view *v, file_id file,
                                      enum file_kind kind);
/* Dropped when the transaction has committed (and no snapshot needs it). */
SUSPENDS err_t shard_file_drop_wait(struct shard *s, struct txn_view *v, file_id file);
uint64_t shard_file_bytes(struct shard *s, file_id file); /* size on this shard */
uint64_t shard_file_rows_estimate(struct shard *s, file_id heap);

/* ---- sequences: not transactional ---- */

struct sequence_state {
    int64_t last_value;
    bool is_called;
};
SUSPENDS err_t
sequence_write_wait(struct shard *s, struct txn_view *v, file_id seq,
                    const struct sequence_state *state); /* setval, create, restart */
SUSPENDS err_t sequence_read_wait(struct shard *s, file_id seq, struct sequence_state *out);
/* Advance by increment within [min, max]: *first is the next value, *count ≤ want how many values
 * follow at increment distance. ERR_SEQUENCE_GENERATOR_LIMIT_EXCEEDED is left to the caller: *count
 * = 0. Logged ahead; a crash may skip values, never repeats one. */
SUSPENDS err_t sequence_next_wait(struct shard *s, struct txn_view *v, file_id seq,
                                  int64_t increment, int64_t min, int64_t max, bool cycle,
                                  uint32_t want, int64_t *first, uint32_t *count);

/* ---- the log's state ---- */
/* Until no crash can take what the log has up to there: durable, with all that commits in it need
 * of other logs (settled.c). */
SUSPENDS err_t shard_flush_wait(struct shard *s, lsn_t lsn);
lsn_t shard_log_end(struct shard *s);

#endif
