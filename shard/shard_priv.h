/*
 * What the files of one shard share: the shard itself, versions, transaction parts, locks, and the
 * page-level work of heap and B+tree. Nothing here is seen outside this folder (and its tests).
 *
 * The pattern of every change: phase 1 pins pages and reserves log room and frames, and may wait;
 * phase 2, between nosuspend_begin() and nosuspend_end(), appends the log record, changes pages and
 * pushes the undo version. Replay runs the same phase 2 functions; while s->is_replaying, reserving
 * and appending do nothing.
 */
#ifndef SHARD_SHARD_PRIV_H
#define SHARD_SHARD_PRIV_H

#include "core/shared.h"
#include "core/stats.h"
#include "shard/shard.h"
#include "shard/txn.h"

/* ---- locks (lock.c) ---- */

struct lock_hold;
struct part;

/* Who holds locks: a transaction's part in a shard, or a transaction on a core (table locks). */
struct lock_owner {
    txn_id_t id; /* 0 while none assigned: then it does not wait */
    uint32_t session;
    bool is_ending; /* prepared: decided soon whatever its session does, so not shown as blocking */
    struct lock_hold *holds;
    uint32_t announced;
};

enum { LOCK_MODES_MAX = 9 };

/* conflicts[mode] = bit set of the modes that mode conflicts with. */
struct lock_table {
    const uint16_t *conflicts;
    enum lock_kind kind;
    uint32_t mode_count;
    struct lock **buckets;
    uint32_t mask;
    uint32_t count;
    struct lock *free_locks;
    struct lock_hold *free_holds;
    uint64_t waits;
    uint64_t hold_serial;
};

struct lock_rows;
enum lock_outcome { LOCK_GRANTED, LOCK_BUSY };

void lock_table_init(struct lock_table *t, enum lock_kind kind);
void lock_table_destroy(struct lock_table *t);
/* LOCK_BUSY only for NOWAIT and SKIP. *fresh: this owner did not hold the mode (or a stronger one
 * of the same call) before. Errors: cancel, ERR_LOCK_NOT_AVAILABLE after lock_timeout, deadlock. */
SUSPENDS err_t lock_acquire_wait(struct lock_table *t, struct lock_owner *o, uint64_t a, uint64_t b,
                                 uint32_t mode, uint32_t seq, enum lock_policy policy,
                                 struct wait_limits limits, enum lock_outcome *outcome,
                                 bool *fresh);
/* A strong table lock that will be asked for here: see lock.c. The request, or lock_announce_end,
 * ends it. */
void lock_announce(struct lock_table *t, struct lock_owner *o, uint64_t a, uint64_t b,
                   uint32_t mode);
void lock_announce_end(struct lock_table *t, struct lock_owner *o, uint64_t a, uint64_t b);
void lock_release_mode(struct lock_table *t, struct lock_owner *o, uint64_t a, uint64_t b,
                       uint32_t mode);
void lock_release_since(struct lock_table *t, struct lock_owner *o, uint32_t seq);
void lock_release_all(struct lock_table *t, struct lock_owner *o);
void lock_release_counted(struct lock_table *t, struct lock_owner *o); /* sessions' advisory ones */
/* Holds of a session's advisory locks: how often it took this mode; 0 = not held. */
uint32_t lock_hold_count(const struct lock_table *t, const struct lock_owner *o, uint64_t a,
                         uint64_t b, uint32_t mode);
/* Until those of other sessions who have held the lock since the table's hold_serial was `until`,
 * in a mode that conflicts, have given it back; nobody is held up by this. Errors as of
 * lock_acquire_wait. */
struct lock_holders {
    uint64_t until;
    uint32_t mode;
    uint32_t session; /* who waits */
    txn_id_t id;
    struct wait_limits limits;
};
SUSPENDS err_t lock_holders_wait(struct lock_table *t, uint64_t a, uint64_t b,
                                 const struct lock_holders *who);
bool lock_is_held(const struct lock_table *t, uint64_t a, uint64_t b);
/* The holds of an owner, to be written down: *at = NULL is before the first; false: no more. */
struct lock_name {
    uint64_t a;
    uint64_t b;
    uint16_t modes; /* bit set */
};
bool lock_hold_next(const struct lock_owner *o, const struct lock_hold **at, struct lock_name *out);
/* What was written down is held again. At start: nobody holds or wants anything that conflicts. */
void lock_restore(struct lock_table *t, struct lock_owner *o, const struct lock_name *name);
/* Advisory locks: everything but what is counted, the session's own. */
void lock_holds_move(struct lock_owner *from, struct lock_owner *to);
bool lock_is_counted(uint16_t modes); /* of an advisory lock: some are the session's own */
/* Every hold, for pg_locks (waits: waits_list). */
void lock_table_list(const struct lock_table *t, struct lock_rows *out);

/* Modes of the advisory lock table: those of sessions are counted, and undo leaves them. */
enum advisory_mode {
    ADVISORY_SHARED_SESSION,
    ADVISORY_SHARED_TXN,
    ADVISORY_EXCLUSIVE_SESSION,
    ADVISORY_EXCLUSIVE_TXN,
};

/* ---- bytes (log.c) ---- */

struct byte_writer { /* zeroed = empty; bytes: core_malloc'ed */
    uint8_t *bytes;
    size_t len;
    size_t capacity;
};
void write_u8(struct byte_writer *w, uint8_t v);
void write_u16(struct byte_writer *w, uint16_t v);
void write_u32(struct byte_writer *w, uint32_t v);
void write_u64(struct byte_writer *w, uint64_t v);
void write_bytes(struct byte_writer *w, const void *bytes, size_t len);
void write_lock(struct byte_writer *w, const struct lock_name *name);

/* Bounded reader of untrusted bytes. */
struct byte_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};
uint8_t read_u8(struct byte_reader *r);
uint16_t read_u16(struct byte_reader *r);
uint32_t read_u32(struct byte_reader *r);
uint64_t read_u64(struct byte_reader *r);
const uint8_t *read_bytes(struct byte_reader *r, uint32_t len);
struct lock_name read_lock(struct byte_reader *r);
enum { LOCK_NAME_BYTES = 18 };

/* ---- waiting for other transactions (waits.c, deadlock.c) ---- */

/*
 * The graph of who waits for whom, as the cores hand it to the deadlock detector. A node is a
 * session, or a transaction without one; virtual nodes keep the number of edges linear in the
 * number of waiters.
 */
struct wait_edge {
    uint64_t from;
    uint64_t to;
    uint64_t wait;  /* names one wait of the process; 0: from a virtual node */
    txn_id_t to_id; /* transaction behind `to`; 0 = none or virtual */
    uint64_t a;     /* what is waited for: name and mode of the lock */
    uint64_t b;
    uint8_t kind; /* enum lock_kind */
    uint8_t mode;
};
struct wait_graph {
    struct wait_edge *edges;
    size_t count;
    size_t capacity;
    uint64_t virtual_next;
};
uint64_t wait_node(txn_id_t id, uint32_t session);
uint64_t wait_node_virtual(struct wait_graph *g);
bool wait_node_is_virtual(uint64_t node);
void wait_graph_add(struct wait_graph *g, const struct wait_edge *e);
/* All waits of this core. */
void waits_graph(struct wait_graph *g);

struct blocker_list {
    uint32_t *sessions; /* 0: a transaction without session (prepared) */
    uint32_t count;
    uint32_t capacity;
};
void blocker_add(struct blocker_list *l, uint32_t session);

struct txn_wait;
struct txn_wait_ops {
    /* The edges of this wait; a lock's whole queue gives them with its first waiter. */
    void (*edges)(const struct txn_wait *w, struct wait_graph *g);
    void (*blockers)(const struct txn_wait *w, struct blocker_list *out);
    void (*show)(const struct txn_wait *w, struct lock_row *out); /* for pg_locks */
};

/* One wait for other transactions; on the waiting fiber's stack. */
struct txn_wait {
    struct wait_queue queue;
    bool is_done; /* set by who wakes it */
    txn_id_t id;  /* 0: none assigned */
    uint32_t session;
    const struct txn_wait_ops *ops;
    void *owner;
    uint64_t serial; /* set by txn_wait_wait */
    int64_t started_at;
    char *deadlock; /* its session is a deadlock's victim: the detail */
    struct txn_wait *hash_next;
    struct txn_wait **hash_at;
};
SUSPENDS err_t txn_wait_wait(struct txn_wait *w, struct wait_limits limits);
void txn_wait_wake(struct txn_wait *w);
/* Waits until one thing ends (a part, a hold, a snapshot), which keeps the list of those who wait.
 * The owner of such a wait, for its ops; on the waiting fiber's stack. */
struct txn_watcher {
    struct txn_wait wait;
    const void *thing; /* NULL after it ended */
    struct txn_watcher *next;
    struct txn_watcher *prev;
};
SUSPENDS err_t txn_watch_wait(struct txn_watcher **list, const void *thing, txn_id_t id,
                              uint32_t session, const struct txn_wait_ops *ops,
                              struct wait_limits limits);
void txn_watch_end(struct txn_watcher **list); /* the thing ends; wakes all */
/* The session of this node is a deadlock's victim: all its waits on this core are to fail. */
void waits_fail(uint64_t node, const char *detail);
/* Asks the detector, which makes all waits of the victim fail. */
SUSPENDS err_t deadlock_check_wait(const struct txn_wait *w);

struct lock_rows { /* of one core, core_malloc'ed there */
    struct lock_row *rows;
    size_t count;
    size_t capacity;
};
struct lock_row *lock_rows_add(struct lock_rows *l);
/* Table and advisory locks of this core. */
void table_locks_list(struct lock_rows *out);
void advisory_locks_list(struct lock_rows *out);
/* Advisory locks of a transaction (txn.c). */
SUSPENDS err_t advisory_txn_lock_wait(struct advisory_locks *held, const struct advisory_request *r,
                                      uint32_t seq, bool *granted);
SUSPENDS void advisory_txn_release_wait(const struct advisory_locks *held, txn_id_t id,
                                        uint32_t session, uint32_t since);
/* The transaction's locks, for a prepared transaction to be written down; false: one of them is
 * the session's own too. Appends to out. */
SUSPENDS bool advisory_txn_list_wait(const struct advisory_locks *held, uint32_t session,
                                     struct byte_writer *out, uint32_t *count);
/* They are the prepared transaction's now, which has no session. */
SUSPENDS void advisory_txn_detach_wait(const struct advisory_locks *held, uint32_t session,
                                       txn_id_t id);
SUSPENDS void advisory_txn_restore_wait(struct advisory_locks *held, txn_id_t id,
                                        const struct lock_name *name);
/* This core's locks of prepared transactions go: its shards are closed. */
void advisory_held_drop(void);

/* ---- versions (version.c) ---- */

enum version_kind {
    VERSION_INSERT = 1, /* rows of one page, slots row..last_slot, by one statement */
    VERSION_UPDATE,     /* bytes: the cell's payload before */
    VERSION_DELETE,
    VERSION_CHUNK_ADD,
    VERSION_CHUNK_DROP,
    VERSION_INDEX_ADD,    /* bytes: the key */
    VERSION_INDEX_REMOVE, /* bytes: the key */
    VERSION_FILE_CREATE,
    VERSION_FILE_DROP,
    VERSION_INDEX_SWEEP, /* a statement added entries in bulk to an index: no version each */
};

enum { RANGE_SLOT = 0xffff };

struct version {
    struct part *part;
    union {
        struct version *older; /* in the part's undo list */
        uint64_t spilled_at;   /* is_spilled: where it is in the part's spill */
    };
    union {
        struct version *newer;
        struct version *copy_next; /* is_spilled: of its group */
    };
    struct version *chain_older; /* of the same row */
    struct version *chain_newer;
    struct version *hash_next; /* valid in the newest of a chain */
    file_id heap;              /* heap and row: the chain's name */
    row_id row;                /* VERSION_INSERT: page << 16 | RANGE_SLOT */
    file_id index;
    /* VERSION_UPDATE, VERSION_DELETE: the cell's last writer before. is_moved: the transaction that
     * made it, by which the log names it. */
    uint64_t writer;
    uint64_t serial; /* order of the shard's versions */
    uint32_t seq;
    uint32_t len;
    uint16_t cell_flags; /* of the before image */
    uint16_t first_slot; /* VERSION_INSERT */
    uint16_t last_slot;
    uint8_t kind;
    /* VERSION_INSERT: entries of these rows may have no versions of their own (index_sweep.c). */
    bool is_bulk;
    bool is_unique;  /* VERSION_INDEX_ADD, VERSION_INDEX_SWEEP: the key was found absent before */
    bool is_moved;   /* to the part of an earlier commit (prune.c) */
    bool is_spilled; /* a copy: in its chain, but in no part's list (spill.c) */
    uint8_t bytes[];
};

struct spill_entry;
struct spill_group;
struct version_store {
    struct version **buckets;
    uint64_t mask;
    uint64_t chains;
    uint64_t count; /* in memory, copies not counted */
    uint64_t bytes;
    uint64_t bulk_inserts; /* VERSION_INSERT with is_bulk, spilled ones too */
    uint64_t serial;       /* given out last */
    /* spill.c */
    uint64_t spilled; /* versions that are in files only */
    uint64_t spilled_bytes;
    struct spill_entry **entries;
    uint64_t entry_mask;
    uint64_t entry_count;
    struct spill_group **groups;
    struct spill_group *groups_first; /* all, the one used last first */
    struct spill_group *groups_last;
    uint64_t copy_bytes;
    uint32_t file_next;
    uint64_t spill_writes; /* versions, ever */
    uint64_t spill_loads;  /* groups, ever */
    struct version_figures {
        uint64_t bytes;
        uint64_t spilled;
        uint64_t writes;
        uint64_t loads;
    } shown; /* in the core's statistics */
};
void versions_init(struct version_store *vs);
void versions_destroy(struct version_store *vs);
/* Newest version of a row's chain; NULL = none. */
struct version *version_chain(const struct version_store *vs, file_id heap, row_id row);
/* The unpurged insert that made this row; NULL = none. */
struct version *version_insert_of(const struct version_store *vs, file_id heap, row_id row);
/* New, newest in its chain and in its part. */
struct version *version_push(struct version_store *vs, struct part *p, enum version_kind kind,
                             uint32_t seq, file_id heap, row_id row, const void *bytes,
                             uint32_t len);
/* A row inserted: extends the part's newest range or pushes a new one. */
void version_push_insert(struct version_store *vs, struct part *p, uint32_t seq, file_id heap,
                         row_id row);
void version_drop(struct version_store *vs, struct version *v); /* out of chain and part */
void version_move(struct version *v, struct part *to); /* of a committed part; to's newest */
void version_mark_bulk(struct version_store *vs, struct version *insert);
bool version_needs_purge_work(const struct version *v);
/* Does purge go by it when its transaction has committed, and no snapshot is left? */
bool version_is_for_purge(const struct version *v);
txn_id_t version_txn(const struct version *v); /* that made it */
/* Memory that a version takes. */
static inline uint64_t version_bytes(uint32_t len)
{
    return sizeof(struct version) + len + 16;
}
/* From a checkpoint: as version_push, at its place in the chain. */
struct version *version_restore(struct version_store *vs, struct part *p,
                                const struct version *head, const void *bytes);
/* The steps of the above, for what is spilled: into its chain by serial and out of it; into the
 * part's list as the newest and out of it. hint: a version of perhaps the same chain that is a
 * little newer, or NULL. */
void version_chain_add(struct version_store *vs, struct version *v, struct version *hint);
void version_chain_remove(struct version_store *vs, struct version *v);
void version_list_add(struct version_store *vs, struct version *v);
void version_list_remove(struct version_store *vs, struct version *v);

enum sight { SIGHT_SEEN, SIGHT_UNSEEN, SIGHT_WAIT };
enum sight version_sight(struct shard *s, struct txn_view *v, const struct version *ver);

/* What a view sees of a row whose newest cell is known. */
struct row_sight {
    bool is_live;
    const struct version *image; /* NULL = the cell itself */
    struct part *wait;           /* prepared: its outcome decides */
};
/* Both ask for spill_is_settled. */
struct row_sight row_see(struct shard *s, struct txn_view *v, file_id heap, row_id row,
                         bool cell_is_live);
/* What a view sees of the entry (key, row) that is physically there; *wait as above. */
bool index_entry_see(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                     const uint8_t *prefix, uint32_t prefix_len, const uint8_t *suffix,
                     uint32_t suffix_len, row_id row, struct part **wait);
/* The next newer, next older version of the same index and key in the chain; NULL = none. */
struct version *version_index_newer(const struct version *v);
struct version *version_index_older(const struct version *v);

/* ---- versions in files (spill.c) ---- */

/* What of a part's versions is in files. */
struct spill {
    struct part *part; /* NULL: the part has gone, who reads must stop */
    uint32_t readers;  /* fibers that use it across waits */
    uint32_t *files;   /* of the segments */
    uint32_t file_count;
    uint64_t tail; /* end; offset 0 is no record's */
    uint64_t last; /* the newest record; 0 = none */
    uint64_t last_serial;
    uint64_t count; /* versions */
    uint64_t bytes;
    uint64_t work;        /* those whose purge changes pages */
    uint64_t removes;     /* of these index entries' */
    uint64_t index_count; /* additions and removals of index entries */
    uint64_t bulk;        /* bulk inserts */
    uint64_t cursor;      /* of purge */
    file_id *touched;     /* heaps and indexes */
    uint32_t touched_count;
    struct spill_entry *entries;
};

/* While a hold lasts, all versions of a page's rows are in their chains once it was got. */
struct spill_hold {
    struct shard *shard;
    struct spill_group *group;
};
void spill_hold_end(struct spill_hold *h); /* none is fine */
#define SCOPED_HOLD __attribute__((cleanup(spill_hold_end)))
/* Are the chains of the row's page complete? */
bool spill_is_here(const struct version_store *vs, file_id heap, row_id row);
enum spill_want { SPILL_ROW, SPILL_ENTRY };
bool spill_page_is_settled(const struct version_store *vs, const struct txn_view *v, file_id heap,
                           row_id row, enum spill_want want);
/* Does what is in memory decide what the view sees of the row, or of the index entries that lead to
 * it? If not: let go of pages, spill_hold_wait, again. What is spilled of a row decides nothing
 * when it was committed before the view's snapshot; of an entry, the newest version always counts.
 */
static inline bool spill_is_settled(const struct version_store *vs, const struct txn_view *v,
                                    file_id heap, row_id row, enum spill_want want)
{
    return LIKELY(vs->spilled == 0) || spill_page_is_settled(vs, v, heap, row, want);
}
/* Brings the core's statistics up to date; now and then is enough. */
void spill_show(struct version_store *vs);
/* Reads what is spilled of the page's rows. Replaces what h held. ERR_INTERNAL_WOULD_SUSPEND on a
 * borrowed shard. */
SUSPENDS err_t spill_hold_wait(struct shard *s, file_id heap, row_id row, struct spill_hold *h);
/* Several at once, for who has to look at many rows in one step. */
struct spill_holds {
    struct spill_hold *list;
    uint32_t count;
};
void spill_holds_end(struct spill_holds *h);
#define SCOPED_HOLDS __attribute__((cleanup(spill_holds_end)))
SUSPENDS err_t spill_holds_add_wait(struct shard *s, file_id heap, row_id row,
                                    struct spill_holds *h);
/* As spill_hold_wait without reading files, for who can do without; false: not all is in the pool.
 */
SUSPENDS bool spill_hold_try_wait(struct shard *s, file_id heap, row_id row, struct spill_hold *h);
/* A spilled version, found in a chain that is held, is one in memory again, its part's newest. */
SUSPENDS err_t spill_take_wait(struct shard *s, struct version *copy);
/* For replay: the insert that covers a row counts as bulk if it is spilled; it stays held. */
SUSPENDS err_t spill_mark_bulk_wait(struct shard *s, file_id heap, row_id row,
                                    struct spill_hold *hold);
/* For undo: the part's newest version is in memory. */
SUSPENDS err_t spill_newest_wait(struct shard *s, struct part *p);
/* For purge: takes some of the versions that need work (entries: removed index entries only). */
SUSPENDS err_t spill_take_work_wait(struct shard *s, struct part *p, bool entries);
/* Nobody needs what the part has spilled. */
void spill_discard(struct shard *s, struct part *p);
/* The same in pieces. */
void spill_discard_some(struct shard *s, struct part *p);
/* Versions of large parts go to files until the others take half of the budget. */
SUSPENDS err_t spill_some_wait(struct shard *s);
bool spill_is_wanted(const struct shard *s);
bool spill_touches(const struct spill *sp, file_id file);
/* After checkpoint_state_read: finds out what is where. */
SUSPENDS err_t spill_restore_wait(struct shard *s);
void spill_init(struct version_store *vs);
void spill_destroy(struct shard *s);

/* ---- transaction parts (part.c) ---- */

enum part_state { PART_ACTIVE, PART_PREPARED, PART_COMMITTED };

struct held_bytes {
    uint8_t *bytes;
    uint32_t len;
};

struct part {
    txn_id_t id;
    txn_id_t id_floor; /* of all whose versions were pruned in front of this part's; at most id */
    txn_id_t id_last;  /* of those whose versions were moved here, the last in the purge queue */
    enum part_state state;
    bool is_logged;   /* the log has records of it: it needs an end record */
    ts_t ts;          /* committed */
    ts_t floor;       /* prepared: its timestamp will be above */
    lsn_t commit_lsn; /* committed */
    struct version *newest;
    struct version *oldest;
    uint64_t version_count; /* in the list */
    uint64_t version_bytes;
    uint64_t purge_work; /* of the list, those whose purge changes pages */
    /* Position of the running purge pass; before the commit: of spilling, all before it stay. */
    struct version *purge_at;
    uint8_t purge_pass;
    bool is_undoing;     /* a fiber holds its newest version */
    bool notes_absent;   /* what is taken back now was seen to be absent (serial.c) */
    uint64_t spill_seen; /* the pass of spilling that found nothing more to take */
    struct spill *spill; /* NULL: nothing is spilled */
    uint32_t adds_seq;   /* statement of the newest index entry, and how many it has added */
    uint64_t adds_count;
    struct version **sweeps; /* VERSION_INDEX_SWEEP, in order */
    uint32_t sweep_count;
    uint32_t sweep_capacity;
    uint32_t file_versions; /* VERSION_FILE_CREATE and VERSION_FILE_DROP in the list */
    struct lock_owner owner;
    struct txn_watcher *waiters; /* for its end */
    struct part *hash_next;
    struct part *prev; /* all parts, in order of creation */
    struct part *next;
    struct part *queue_next; /* committed: purge queue */
    struct part *queue_prev;
    bool is_serializable; /* its changes count for the reads of others of this level */
    struct part **serial_list;
    struct part *serial_prev;
    struct part *serial_next;
    ts_t serial_at; /* commit counter when it came into the list */
    uint32_t participant_count;
    uint32_t *participants; /* shard numbers, from PREPARE or HOLD */
    /* Prepared by its user (hold.c). */
    bool is_held;
    bool is_holding;              /* its locks are on their way into the log */
    struct held_bytes held_info;  /* of the first participant: what the coordinator wants back */
    struct held_bytes held_reads; /* serializable: what it has read here (serial.c) */
};

static inline bool part_is_empty(const struct part *p)
{
    return p->version_count == 0 && p->spill == NULL;
}

/* A many-shard commit whose COMMIT is here but perhaps not yet settled everywhere. */
struct finished_txn {
    txn_id_t id;
    ts_t ts;
    lsn_t lsn;
    struct finished_txn *next;
};

/* The positions of a transaction's PREPARE records, as they stand in its COMMIT records: of each
 * participant u32 shard, u64 lsn. */
enum { COMMIT_POINT_BYTES = 12 };

struct part *part_find(struct shard *s, txn_id_t id); /* active or prepared */
struct part *part_make(struct shard *s, txn_id_t id, uint32_t session);
struct part *part_for_write(struct shard *s, struct txn_view *v);
/* Stamp and queue for purge (or free at once when it holds no versions); releases locks, wakes
 * waiters. No suspension. */
void part_commit(struct shard *s, struct part *p, ts_t ts, lsn_t lsn);
/* From a checkpoint's state: committed, in the purge queue even when no versions are left. */
void part_restore_committed(struct shard *s, struct part *p, ts_t ts, lsn_t lsn);
/* All undone: releases locks, wakes waiters, frees. No suspension. */
void part_end(struct shard *s, struct part *p);
void part_free(struct shard *s, struct part *p);
/* Wait until the part has ended or committed. May already be gone on return. */
SUSPENDS err_t part_wait(struct shard *s, struct part *p, struct txn_view *v);
void part_set_participants(struct part *p, const void *numbers, uint32_t count); /* u32 each */

/* hold.c: prepared by the user. info: kept with the part, given back at start; may be none.
 * Settled on return. On error the part may be held or not: it is to be rolled back; among them
 * ERR_T_R_SERIALIZATION_FAILURE, as of a commit. */
SUSPENDS err_t part_hold_wait(struct shard *s, txn_id_t id, const uint32_t *participants,
                              uint32_t count, const uint8_t *info, uint32_t info_bytes);
/* Its commit got as far as PREPARE here and not on all: held as before. */
SUSPENDS err_t part_hold_again_wait(struct shard *s, txn_id_t id);
SUSPENDS err_t part_unhold_wait(struct shard *s, struct part *p);
/* A piece of one of the two; false: it does not fit the others. */
bool held_bytes_put(struct held_bytes *h, const uint8_t *bytes, uint32_t at, uint32_t len,
                    uint32_t total);
/* INFO and READS; false: a bad record. */
bool redo_held_bytes(struct part *p, struct held_bytes *h, struct byte_reader *r);
bool redo_held_locks(struct shard *s, struct part *p, struct byte_reader *r);
bool redo_hold(struct shard *s, struct part *p, struct byte_reader *r);

void finished_add(struct shard *s, txn_id_t id, ts_t ts, lsn_t lsn);
struct finished_txn *finished_find(struct shard *s, txn_id_t id);
void finished_remove(struct shard *s, txn_id_t id);

/* ---- serializable transactions (serial.c) ---- */

void serial_note_heap(struct shard *s, const struct txn_view *v, file_id heap);
void serial_note_row(struct shard *s, const struct txn_view *v, file_id heap, row_id row);
void serial_note_range(struct shard *s, const struct txn_view *v, file_id index,
                       const struct index_range *range);
/* What an insert with uniqueness tells its client of now, whatever its snapshot. Present: the key
 * is there already. Absent: an entry that had been added is taken back and the transaction goes on;
 * until then nobody else could add the key. */
void serial_note_present(struct shard *s, const struct txn_view *v, file_id index,
                         const uint8_t *key, uint32_t len);
void serial_note_absent(struct shard *s, const struct part *p, file_id index, const uint8_t *key,
                        uint32_t len);
/* May it commit as far as this shard knows? own: its part, when it wrote here. stays: what it read
 * is kept from changes until serial_reads_drop. No suspension. ERR_T_R_SERIALIZATION_FAILURE. */
err_t serial_check(struct shard *s, txn_id_t id, const struct part *own, bool stays);
void serial_reads_drop(struct shard *s, txn_id_t id);
/* Prepared by the user: checked like a commit, and from then on nobody may commit what would make
 * it fail. ERR_T_R_SERIALIZATION_FAILURE. */
err_t serial_hold(struct shard *s, struct part *p);
/* The part goes back from PREPARE to held. */
void serial_hold_again(struct shard *s, struct part *p);
/* Before a held part commits: false while a transaction that is being committed has read what it
 * has changed; serial_checked_wait then waits until one of these has ended. */
bool serial_may_commit(const struct shard *s, const struct part *p);
SUSPENDS err_t serial_checked_wait(struct shard *s);
/* What is to be known of a serializable part again after a crash; nothing for others. */
void serial_held_write(struct shard *s, const struct part *p, struct byte_writer *w);
bool serial_held_read(struct shard *s, struct part *p); /* from held_reads; false: damaged */
void serial_note_prepared(struct shard *s, struct part *p);
void serial_note_committed(struct shard *s, struct part *p);
void serial_forget_part(struct part *p);
void serial_destroy(struct shard *s);

/* ---- heap pages (heap_page.c) ---- */

enum {
    CELL_DELETED = 1,     /* home cell: the row is deleted, bytes stay until purge */
    CELL_FORWARD = 2,     /* home cell: payload is the row id of the moved cell */
    CELL_MOVED = 4,       /* payload: home row id, then the row's payload */
    CELL_CHUNK = 8,       /* payload: row id of the next chunk or ROW_ID_NONE, then bytes */
    CELL_COMPRESSED = 16, /* row payload: u32 raw length, lz4 bytes */
    CELL_BIG = 32,        /* row payload: struct big_row, the bytes are in chunks */
    CELL_IMAGE_MASK = CELL_COMPRESSED | CELL_BIG,
    CELL_HEADER_BYTES = 10, /* u64 last writer, u16 flags */
    CELL_PAYLOAD_MIN = 8,   /* so that a forward always fits */
    HEAP_SLOTS_AT = PAGE_HEADER_BYTES + 8,
    HEAP_SLOT_BYTES = 4,
    /* a page that holds nothing else */
    CELL_PAYLOAD_MAX = PAGE_BYTES - HEAP_SLOTS_AT - HEAP_SLOT_BYTES - CELL_HEADER_BYTES,
    ROW_INLINE_MAX = CELL_PAYLOAD_MAX - 8, /* as moved cell too */
    CHUNK_BYTES_MAX = CELL_PAYLOAD_MAX - 8,
};

struct big_row {
    uint32_t raw_len;
    uint32_t stored_len; /* less than raw_len: lz4 */
    uint64_t first_chunk;
};

struct cell {
    uint64_t writer;
    uint16_t flags;
    uint32_t len; /* of payload */
    uint8_t *payload;
};

static inline uint32_t row_page(row_id r)
{
    return (uint32_t)(r >> 16);
}
static inline uint16_t row_slot(row_id r)
{
    return (uint16_t)r;
}
static inline row_id row_make(uint32_t page, uint32_t slot)
{
    return (row_id)page << 16 | slot;
}

uint32_t hp_slot_count(const uint8_t *d);
bool hp_get(const uint8_t *d, uint32_t slot, struct cell *out); /* false: free slot */
uint32_t hp_room(const uint8_t *d); /* payload bytes a new cell could have */
uint32_t hp_free_bytes(const uint8_t *d);
uint32_t hp_pick_slot(const uint8_t *d); /* a free slot for a new cell */
/* Could the cell in a slot be replaced by one of that payload length? */
bool hp_fits(const uint8_t *d, uint32_t slot, uint32_t payload_len);
/* Could a new cell be put into this slot? */
bool hp_fits_new(const uint8_t *d, uint32_t slot, uint32_t payload_len);
/* Put a cell into a free slot or replace it; payload = two pieces. It must fit. */
void hp_put(uint8_t *d, uint32_t slot, uint64_t writer, uint16_t flags, const void *a,
            uint32_t a_len, const void *b, uint32_t b_len, uint8_t *scratch);
void hp_set_flags(uint8_t *d, uint32_t slot, uint64_t writer, uint16_t flags);
void hp_free(uint8_t *d, uint32_t slot);
err_t hp_check(const uint8_t *d); /* structure; ERR_DATA_CORRUPTED */
/* Of a page of any kind, whatever its bytes (verify.c). */
err_t page_structure_check(const uint8_t *d);

/* ---- free space of a heap (heap_space.c) ---- */

struct heap_space {
    file_id file;
    struct heap_space *next;
    uint8_t *classes;     /* free bytes / 32 of each page; 0 = none or unknown */
    uint8_t *block_max;   /* per 256 pages, an upper bound */
    uint32_t capacity;    /* pages the arrays have room for */
    uint32_t insert_page; /* PAGE_NONE = none */
    uint32_t sweep_next;  /* pages from here to sweep_end have not been looked at since the start */
    uint32_t sweep_end;
    uint32_t find_block;
    double rows_per_page; /* moving average, for estimates */
};
struct heap_space *space_of(struct shard *s, file_id heap);
void space_forget(struct shard *s, file_id heap);
void space_destroy(struct shard *s);
void space_note(struct heap_space *hs, uint32_t page_no, uint32_t free_bytes);
/* As above, and a cell of payload_len did not fit after all: not to be picked for such again. */
void space_note_misfit(struct heap_space *hs, uint32_t page_no, uint32_t free_bytes,
                       uint32_t payload_len);
/* A page pinned that likely has room for a new cell of payload_len (a new one at the end if
 * need be). The caller checks and tries again. avoid_*: not these pages. */
SUSPENDS err_t space_pick_wait(struct shard *s, struct heap_space *hs, uint32_t payload_len,
                               uint32_t avoid_a, uint32_t avoid_b, struct page **out);

/* ---- rows (heap.c) ---- */

/* Where a changed row's cells are and will be; made by heap_place_wait. */
struct row_place {
    struct page *home;
    struct page *old;   /* page of the moved cell, when the row is forwarded */
    struct page *fresh; /* page of the cell to be, when that is neither home nor old */
    row_id old_at;
    row_id target; /* ROW_ID_NONE = home, else where the moved cell will be */
};
/* Pins; with log room for `records` of `bytes` afterwards. target_wanted: ROW_ID_NONE - 1 = choose.
 */
#define TARGET_CHOOSE (ROW_ID_NONE - 1)
SUSPENDS err_t heap_place_wait(struct shard *s, file_id heap, row_id row, uint32_t payload_len,
                               row_id target_wanted, uint32_t records, uint32_t bytes,
                               struct row_place *out);
void heap_place_end(struct row_place *p);
/* Phase 2. */
void heap_place_apply(struct shard *s, struct row_place *p, row_id row, uint64_t writer,
                      uint16_t flags, const void *payload, uint32_t len, lsn_t lsn);
/* Pin home and moved page of a row. *found false when the slot is free or the page is not there. */
struct row_pins {
    struct page *home;
    struct page *moved;
    struct cell home_cell;
    struct cell image; /* flags, payload of the row proper */
};
SUSPENDS err_t heap_pin_row_wait(struct shard *s, file_id heap, row_id row, bool *found,
                                 struct row_pins *out);
void heap_unpin_row(struct row_pins *pins);
/* Free a home cell (and its moved cell); phase 2 with both pinned. */
void heap_free_apply(struct shard *s, struct row_pins *pins, file_id heap, row_id row, lsn_t lsn);
/* Put a row image (cell payload) into out: decompresses, collects chunks. May wait. */
SUSPENDS err_t heap_image_read_wait(struct shard *s, file_id heap, uint16_t cell_flags,
                                    const uint8_t *payload, uint32_t len, struct row_buf *out);
err_t row_buf_reserve(struct row_buf *b, uint32_t bytes);
/* The payload of a row as one cell; *owned: to be core_free'd. false: it is too long for that. */
bool heap_image_inline(const uint8_t *row, uint32_t len, const uint8_t **payload,
                       uint32_t *payload_len, uint16_t *flags, uint8_t **owned);

/* Cell operations with explicit addresses, for live work and replay. */
SUSPENDS err_t heap_insert_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap,
                                   row_id row, uint16_t flags, const uint8_t *payload,
                                   uint32_t len);
/* The cell of no transaction; replay only. */
SUSPENDS err_t heap_bring_at_wait(struct shard *s, file_id heap, row_id row, uint16_t flags,
                                  const uint8_t *payload, uint32_t len);
SUSPENDS err_t heap_update_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap,
                                   row_id row, row_id target, uint16_t flags,
                                   const uint8_t *payload, uint32_t len);
SUSPENDS err_t heap_delete_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap,
                                   row_id row);
SUSPENDS err_t heap_chunk_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap,
                                  row_id at, row_id next, const uint8_t *bytes, uint32_t len);
SUSPENDS err_t heap_chunk_drop_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap,
                                       row_id at);

/* ---- B+tree (btree_page.c, btree.c) ---- */

enum { BT_LEVELS_MAX = 24, BT_META_PAGE = 0 };

struct bt_search {
    const uint8_t *key;
    uint32_t len;
    row_id rid;
    bool after_prefix; /* stands behind all keys that begin with key */
};

uint32_t bp_count(const uint8_t *d);
uint32_t bp_level(const uint8_t *d);
void bp_init(uint8_t *d, uint32_t level);
uint32_t bp_lower_bound(const uint8_t *d, const struct bt_search *k); /* first entry >= k */
/* Child to go to for the first entry >= k; strict: for the last entry < k. */
uint32_t bp_child_index(const uint8_t *d, const struct bt_search *k, bool strict);
uint32_t bp_child(const uint8_t *d, uint32_t i);
row_id bp_rid(const uint8_t *d, uint32_t i);
/* Key in two pieces. */
void bp_key(const uint8_t *d, uint32_t i, const uint8_t **prefix, uint32_t *prefix_len,
            const uint8_t **suffix, uint32_t *suffix_len);
uint32_t bp_key_copy(const uint8_t *d, uint32_t i, uint8_t *out);
int bp_compare(const uint8_t *d, uint32_t i, const struct bt_search *k); /* entry against k */
bool bp_fits(const uint8_t *d, const uint8_t *key, uint32_t len);
/* false when it does not fit even after packing. */
bool bp_insert(uint8_t *d, uint32_t pos, const uint8_t *key, uint32_t len, row_id rid,
               uint32_t child, uint8_t *scratch);
/* Page bytes in use, prefix packed first when there is little room. */
uint32_t bp_used_packed(uint8_t *d, uint8_t *scratch);
void bp_remove(uint8_t *d, uint32_t pos);
struct bp_separator {
    uint32_t len;
    row_id rid;
    uint8_t key[INDEX_KEY_BYTES_MAX + 4];
};
/* Split d with the new entry at pos into d and right (initialised here). */
void bp_split(uint8_t *d, uint8_t *right, uint32_t pos, const uint8_t *key, uint32_t len,
              row_id rid, uint32_t child, bool pack_left, struct bp_separator *sep,
              uint8_t *scratch);
err_t bp_check(const uint8_t *d, uint32_t level);

struct btree {
    file_id file;
    struct btree *next;
    bool is_loaded;
    uint32_t root; /* PAGE_NONE: empty, no pages */
    uint32_t free_head;
    uint64_t changes; /* any change bumps it: positions found before are void */
};
struct btree *btree_of(struct shard *s, file_id index);
void btree_forget(struct shard *s, file_id index);
void btrees_destroy(struct shard *s);
SUSPENDS err_t btree_load_wait(struct shard *s, struct btree *bt);

/* Phase 1 result: the path from the root, all pinned, valid until the fiber suspends. */
struct bt_path {
    struct btree *bt;
    struct page *meta;
    struct page *spare; /* head of the free list, pinned when a split may need it */
    uint32_t depth;
    bool is_rightmost;
    bool has_reserve;
    bool found; /* the entry is there */
    struct {
        struct page *page;
        uint32_t index; /* child taken; in the leaf: position of the first entry >= key */
    } level[BT_LEVELS_MAX];
};
/* for_insert: frames for splits are reserved and an empty tree gets its root. */
SUSPENDS err_t btree_path_wait(struct shard *s, struct btree *bt, const uint8_t *key, uint32_t len,
                               row_id rid, bool for_insert, uint32_t records, uint32_t bytes,
                               struct bt_path *out);
void btree_path_end(struct shard *s, struct bt_path *path);
void btree_insert_apply(struct shard *s, struct bt_path *path, const uint8_t *key, uint32_t len,
                        row_id rid, lsn_t lsn);
void btree_delete_apply(struct shard *s, struct bt_path *path, lsn_t lsn);
/* A leaf, pinned, and the separator above it that bounds it: the upper one (backward: the lower).
 */
struct bt_leaf {
    struct page *leaf;  /* NULL: empty tree */
    struct page *fence; /* NULL: the leaf is at that edge of the tree */
    uint32_t fence_index;
};
/* The leaf with the first entry >= k (backward: with the last entry < k), or where that would be.
 * Valid until the fiber suspends. */
SUSPENDS err_t btree_leaf_wait(struct shard *s, struct btree *bt, const struct bt_search *k,
                               bool backward, struct bt_leaf *out);
void btree_leaf_end(struct bt_leaf *l);
/* Append a leaf (body = page bytes behind the header) behind all entries of the tree. */
SUSPENDS err_t btree_append_leaf_wait(struct shard *s, struct btree *bt, const uint8_t *body);

err_t index_key_check(uint32_t len);
/* The newest state of an entry, for uniqueness: of a commit, or of the view's own. ENTRY_WAIT: of
 * *wait, which has not ended; ENTRY_LOAD: the row's versions have to be read first. */
enum entry_state { ENTRY_DEAD, ENTRY_LIVE, ENTRY_WAIT, ENTRY_LOAD };
enum entry_state index_entry_newest(struct shard *s, struct txn_view *v, file_id index,
                                    file_id heap, const uint8_t *key, uint32_t len, row_id row,
                                    struct part **wait);
/* Until the outcome that the entry waits for, if it still does. */
SUSPENDS err_t index_entry_outcome_wait(struct shard *s, struct txn_view *v, file_id index,
                                        file_id heap, const uint8_t *key, uint32_t len, row_id row);
/* All leaves that may hold entries with the key, in one state of the tree, which is *changes. visit
 * gets NULL when it begins (again), then leaf by leaf; true: enough. */
SUSPENDS err_t index_leaves_wait(struct shard *s, struct btree *bt, const uint8_t *key,
                                 uint32_t len, bool (*visit)(void *ctx, const uint8_t *d),
                                 void *ctx, uint64_t *changes);
SUSPENDS err_t index_add_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id index,
                                 file_id heap, row_id row, const uint8_t *key, uint32_t len,
                                 bool is_bulk);
SUSPENDS err_t index_remove_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id index,
                                    file_id heap, row_id row, const uint8_t *key, uint32_t len);
SUSPENDS err_t index_fill_redo_wait(struct shard *s, file_id index, row_id row, const uint8_t *key,
                                    uint32_t len);

SUSPENDS err_t row_bring_redo_wait(struct shard *s, file_id heap, row_id row, file_id index,
                                   uint16_t flags, const uint8_t *key, uint32_t key_len,
                                   const uint8_t *payload, uint32_t len);

/* ---- entries added in bulk (index_sweep.c) ---- */
/* May the part's new entry go without a version of its own? */
bool index_bulk_wanted(struct shard *s, struct part *p, uint32_t seq, file_id heap, row_id row);
/* Note such an entry. false: there is no insert of the row that covers it. */
bool index_bulk_note(struct shard *s, struct part *p, uint32_t seq, file_id index, file_id heap,
                     row_id row, bool is_unique);
/* Take back all entries added in bulk since seq; before the rows are taken back. */
SUSPENDS err_t index_sweep_wait(struct shard *s, struct part *p, uint32_t seq);
SUSPENDS err_t index_swept_redo_wait(struct shard *s, file_id index, row_id row, const uint8_t *key,
                                     uint32_t len);

/* ---- files (file.c) ---- */
SUSPENDS err_t shard_file_create_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id file,
                                         enum file_kind kind);
SUSPENDS err_t shard_file_drop_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id file);
void shard_file_forget(struct shard *s, file_id file); /* drops it and all cached about it */
SUSPENDS err_t sequence_redo_wait(struct shard *s, file_id seq, int64_t value, bool is_called);
void sequences_destroy(struct shard *s);
void sequence_forget(struct shard *s, file_id seq);

/* ---- undo and purge (undo.c, purge.c) ---- */

/* Undo the newest version of a part; target = placement in replay, else TARGET_CHOOSE. */
SUSPENDS err_t undo_newest_wait(struct shard *s, struct part *p, row_id target,
                                bool remove_entry_logged, bool remove_entry);
SUSPENDS err_t undo_to_wait(struct shard *s, struct part *p, uint32_t seq);

SUSPENDS err_t purge_version_wait(struct shard *s, struct version *v);
/* One bounded piece of work; false = nothing to do now. */
SUSPENDS err_t purge_some_wait(struct shard *s, bool *more);
void purge_queue_pop(struct shard *s); /* the first part is purged: drop what is left of it */
void purge_queue_remove(struct shard *s, struct part *p); /* one without versions, from anywhere */
/* What no snapshot needs, from behind the first part of the purge queue (prune.c). */
SUSPENDS err_t prune_some_wait(struct shard *s);
/* Over the version budget: purge, then ERR_OUT_OF_MEMORY. */
SUSPENDS err_t version_budget_wait(struct shard *s);

/* ---- log (log.c, redo.c) ---- */

enum record_kind {
#define RECORD(name, number, layout) LOG_##name = number,
#include "shard/records.def"
#undef RECORD
};

/* Undo, commit and purge take room that is kept back for them when the disk is full: records
 * carries this bit then. */
#define RESERVE_CRITICAL 0x80000000u
SUSPENDS err_t shard_reserve_wait(struct shard *s, uint32_t records, uint32_t bytes);
/* Builds the fixed part of a record. */
struct log_writer {
    uint8_t bytes[128];
    uint32_t len;
};
static inline void log_put_u8(struct log_writer *w, uint8_t v)
{
    w->bytes[w->len] = v;
    w->len += 1;
}
static inline void log_put_u16(struct log_writer *w, uint16_t v)
{
    store_u16(w->bytes + w->len, v);
    w->len += 2;
}
static inline void log_put_u32(struct log_writer *w, uint32_t v)
{
    store_u32(w->bytes + w->len, v);
    w->len += 4;
}
static inline void log_put_u64(struct log_writer *w, uint64_t v)
{
    store_u64(w->bytes + w->len, v);
    w->len += 8;
}
enum { LOG_FIXED_BYTES_MAX = 128 };
/* Appends; in replay returns the lsn of the record being replayed. */
lsn_t shard_log(struct shard *s, enum record_kind kind, const struct log_writer *w,
                const void *bytes, uint32_t len);

COLD err_t log_record_bad(uint8_t kind, lsn_t lsn); /* ERR_DATA_CORRUPTED */
SUSPENDS err_t redo_record_wait(void *shard, uint8_t kind, const uint8_t *payload, uint32_t len,
                                lsn_t lsn);

/* ---- checkpoint (checkpoint.c) ---- */

void checkpoint_state_write(struct shard *s, uint8_t **out, size_t *bytes); /* core_malloc'ed */
err_t checkpoint_state_read(struct shard *s, const uint8_t *state, size_t bytes);
SUSPENDS err_t shard_checkpoint_wait(struct shard *s, uint64_t pace_us);

/* ---- what is settled (settled.c) ---- */

struct settled {
    lsn_t lsn;     /* as last looked at */
    lsn_t *newest; /* by shard: how far its log has to be durable for all COMMITs here */
    lsn_t *met;    /* the same, for those COMMITs for which all of it is */
    struct settled_need {
        lsn_t start; /* in front of the COMMIT */
        uint32_t shard_no;
        lsn_t lsn;
    } * needs; /* a ring, in the order of the log */
    uint32_t first;
    uint32_t count;
    uint32_t capacity; /* a power of two */
};

void settled_init(struct shard *s);
void settled_destroy(struct settled *x);
/* Another shard's log is settled up to there, though its word may not say so yet. */
void settled_learn(struct shard *s, uint32_t shard_no, lsn_t lsn);
/* Where the log of a shard tells how far it is durable. */
_Atomic uint64_t *settled_word(uint32_t shard_no);
/* A COMMIT was appended at start that needs the logs of other shards up to there; by shard. */
void settled_add(struct shard *s, lsn_t start, const lsn_t *needs);
/* Everything up to there is settled: a record boundary. */
lsn_t settled_lsn(struct shard *s);
/* Of any shard, from any core: at least what its replies have waited for. */
lsn_t settled_elsewhere(uint32_t shard_no);
/* Raises needs, by shard, to what the COMMITs here need and what is not durable. */
void settled_unmet(const struct shard *s, lsn_t *needs);
/* On any core, until the shard's log is durable up to lsn. */
SUSPENDS err_t settled_need_wait(uint32_t shard_no, lsn_t lsn);

/* ---- what a log tells of other logs (anchor.c) ---- */

void anchors_init(struct shard *s);
void anchors_destroy(struct shard *s);
/* Before a record that depends on other shards, in the same step; the reservation is for one record
 * and anchor_bytes_max() more. */
void anchor_log(struct shard *s);
uint32_t anchor_bytes_max(void);
bool anchor_read(struct shard *s, struct byte_reader *r); /* false: a bad record */
void anchors_write(const struct shard *s, struct byte_writer *w);
bool anchors_read(struct shard *s, struct byte_reader *r);

/* ---- where the logs end together (cut.c) ---- */

struct cut;
/* Reads the shard's log and replays what no cut takes away. */
SUSPENDS err_t cut_read_wait(struct shard *s);
/* On one core, when all are read: cuts the logs that go farther. */
SUSPENDS err_t cut_logs_wait(void);
void cut_free(struct shard *s);

/* ---- the shard ---- */

struct outcome; /* a decided many-shard commit on its way (settle.c) */
enum { FINISHED_BUCKETS = 256 };

struct shard {
    uint32_t number;
    uint32_t core;
    struct page_store *pages;
    struct wal *wal;
    struct shard_options options;
    bool is_replaying;
    lsn_t replay_lsn;
    struct settled settled;
    lsn_t *anchors; /* of each shard: how far its log was settled, as this log says */
    uint8_t *anchor_bytes;
    struct cut *cut; /* at start, between scan and replay */

    struct version_store versions;
    struct part **part_buckets;
    uint32_t part_mask;
    uint32_t part_count; /* in the hash: active and prepared */
    struct part *parts_first;
    struct part *parts_last;
    txn_id_t parts_id_min; /* no part has a smaller id: rows written below it have no versions */
    uint64_t parts_count;
    uint64_t parts_freed; /* since parts_id_min was computed */
    struct part *purge_first;
    struct part *purge_last;
    struct part *prune_next; /* in the purge queue: the first that was not looked at */
    ts_t prune_until;        /* the commit counter at the end of the last pass */
    uint64_t prune_at_us;
    uint64_t prune_kept; /* versions that the last whole pass left */
    uint64_t prune_passes;
    bool prune_is_wanted; /* over the budget: at once, and from the start */
    uint64_t spill_passes;
    uint64_t spill_at; /* bytes of versions above which a pass is due */
    err_t spill_error; /* of the last pass */
    struct wait_queue budget_waiters;
    struct finished_txn *finished[FINISHED_BUCKETS];
    uint64_t finished_count;
    struct lock_table row_locks;
    struct serial *serial; /* NULL until there was a serializable transaction */

    struct heap_space **spaces;
    struct btree **btrees;
    struct sequence **sequences;

    uint64_t checkpoint_count;
    lsn_t checkpoint_lsn;
    uint64_t checkpoint_at_us;
    bool checkpoint_is_running;
    struct wait_queue checkpoint_waiters;

    bool is_stopping;
    uint32_t fibers; /* background fibers alive */
    struct wait_queue fibers_ended;
    struct wait_queue purge_wanted;
    struct wait_queue settle_wanted;
    struct wait_queue report_wanted;
    struct wait_queue checkpoint_wanted;
    bool purge_is_idle; /* its fiber waits to be woken */
    struct outcome_list {
        struct outcome *first;
        struct outcome *last;
    } decided, undurable, forgets; /* to be stamped; COMMIT not durable yet; to be forgotten */

    txn_id_t txn_id_max; /* seen in log and checkpoint */
    ts_t ts_max;

    uint64_t commits;
    uint64_t aborts;
    uint64_t purged;
    uint64_t version_budget_hits;

    uint8_t scratch[PAGE_BYTES];       /* inside no-suspend sections only */
    struct bp_separator separators[2]; /* likewise */
};

enum { FILE_TABLE_BUCKETS = 1024 };
static inline uint32_t file_bucket(file_id f)
{
    uint64_t h = f * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 54) & (FILE_TABLE_BUCKETS - 1);
}

static inline bool shard_is_owner(const struct shard *s)
{
    return core_id() == s->core;
}

static inline bool shard_is_settled(struct shard *s, lsn_t lsn)
{
    return lsn <= s->settled.lsn || lsn <= settled_lsn(s);
}

/* recovery.c: after replay of all shards; on one core */
SUSPENDS err_t recovery_settle_wait(void);

/* background.c */
err_t shard_background_start(struct shard *s);
SUSPENDS void shard_background_stop_wait(struct shard *s);

/* placement.c: set before any shard is used. */
void placement_set(uint32_t count);
void placement_put_shard(uint32_t shard_no, struct shard *s);
struct shard *placement_shard(uint32_t shard_no); /* NULL = not open; on its core */

/* ---- a participant's side of commit and rollback, on its core (part.c) ---- */
SUSPENDS err_t part_commit_wait(struct shard *s, txn_id_t id, bool wait_flush, ts_t *ts);
/* *lsn = of its PREPARE record, not yet durable; needs, by shard, is raised to what COMMITs in
 * front of it need. */
SUSPENDS err_t part_prepare_wait(struct shard *s, txn_id_t id, const uint32_t *participants,
                                 uint32_t count, lsn_t *lsn, lsn_t *needs);
/* Prepared: commit. The points of all participants, for the record, and all that it needs, by
 * shard; none and NULL when all of that is durable. *lsn = of its COMMIT record, or behind it. */
SUSPENDS err_t part_decide_wait(struct shard *s, txn_id_t id, ts_t ts, const uint8_t *points,
                                uint32_t points_bytes, const lsn_t *needs, lsn_t *lsn);
SUSPENDS err_t part_rollback_wait(struct shard *s, txn_id_t id);
SUSPENDS err_t part_undo_to_wait(struct shard *s, txn_id_t id, uint32_t seq);
void part_release(struct shard *s, txn_id_t id); /* held locks only */

/* txn.c: frees a transaction whose shards were abandoned under it (tests of crashes) */
void txn_discard(struct txn *t);

/* held.c: a core_fn for every core when prepared transactions are settled, makes those of users
 * again; and when the shards are closed */
SUSPENDS err_t held_restore_on_core(void *arg);
void held_drop_on_core(void);

/* snapshot.c */
struct snapshot_lease;
struct snapshot {
    ts_t ts;
    bool is_active;
    uint32_t session;             /* whose; set before it is taken */
    uint32_t database;            /* 0: unknown */
    struct txn_watcher *watchers; /* who waits until it goes, or moves */
    struct snapshot_lease *lease; /* imported: another core's list has it, not this core's */
    struct snapshot *prev;
    struct snapshot *next;
};
void snapshot_take(struct snapshot *s);
void snapshot_drop(struct snapshot *s); /* not active is fine */
/* to becomes what from was, from is inactive; its age stays. Not active is fine. */
void snapshot_move(struct snapshot *to, struct snapshot *from);
/* One more of the same age. */
void snapshot_copy(struct snapshot *to, struct snapshot *from);
/* One more of the same age for another core, made on from's core; it stays in this core's list
 * until the other core drops it. */
struct snapshot *snapshot_lend(struct snapshot *from);
/* A lent one, on the core that it was lent to. */
void snapshot_borrow(struct snapshot *to, struct snapshot *lent, uint32_t lender);
/* On another core than the one that keeps it meanwhile; then shared_snapshot_moved(). */
void snapshot_join(struct snapshot *s, ts_t ts);
void snapshots_reset(void); /* this core's word: none */
/* Until this core's list has no snapshot of another session in the database (or an unknown one)
 * that is older. arg: struct snapshot_older_call. A core_fn. */
struct snapshot_older_call {
    ts_t ts;
    uint32_t database;
    uint32_t session; /* who waits */
    txn_id_t id;
    struct wait_limits limits;
};
SUSPENDS err_t snapshot_older_wait(void *arg);
/* The snapshots of all cores as disjoint ranges in ascending order. A snapshot in none of them is
 * not below until. */
struct snapshot_range {
    ts_t first;
    ts_t last;
};
struct live_snapshots {
    ts_t until;
    uint32_t count;
    struct snapshot_range *ranges;
};
SUSPENDS err_t snapshots_gather_wait(struct live_snapshots *out);
void snapshots_gather_end(struct live_snapshots *l);
/* Is there one that sees `from` and does not see `to`: from <= snapshot < to? */
bool snapshots_between(const struct live_snapshots *l, ts_t from, ts_t to);

/* outcome messages, from the coordinator's core (settle.c) */
/* Many-shard commits. All participants have PREPARE in their logs, at these points, and need that
 * of other logs (by shard): it is committed. Returns when that is settled. An error says that a log
 * has failed: what becomes of it is for recovery to find. */
SUSPENDS err_t outcome_commit_wait(txn_id_t id, ts_t ts, const uint32_t *participants,
                                   uint32_t count, const uint8_t *points, const lsn_t *needs);
/* Stamps what was decided, forgets. */
SUSPENDS err_t settle_some_wait(struct shard *s);
/* Waits until the first COMMIT that was stamped is durable, reports all that are. */
SUSPENDS err_t settle_report_wait(struct shard *s);
void outcomes_drop(struct shard *s); /* the shard closes: what it still has goes back */
void outcomes_reset(void);           /* this core: shards are opened anew */
uint32_t outcomes_in_flight(void);   /* sent from this core and not yet forgotten everywhere */

#endif
