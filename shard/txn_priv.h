/* The coordinator's insides, for txn.c and held.c. */
#ifndef SHARD_TXN_PRIV_H
#define SHARD_TXN_PRIV_H

#include "shard/shard_priv.h"
#include "shard/txn.h"

enum { SHARDS_INLINE = 4 };

/* A shard that it has written or locked something on, or, serializable, read. */
struct txn_shard {
    uint32_t number;
    bool wrote;
    bool logged;
    bool is_out; /* enlisted, and the view has not come back: it may have logged */
    lsn_t observed;
};

struct txn_hook {
    void (*fn)(void *arg);
    void *arg;
    struct txn_hook *next;
};

struct txn {
    struct txn_options options;
    txn_id_t id;
    uint32_t seq;
    uint32_t lock_core; /* where its weak table locks are, by table_locks */
    struct snapshot snapshot;
    struct wait_limits limits;
    uint32_t shard_count;
    uint32_t shard_capacity;
    struct txn_shard *shards;
    struct txn_shard shards_inline[SHARDS_INLINE];
    struct lock_owner table_locks;
    struct exported_snapshot *exported; /* newest first */
    struct txn *held_next;              /* prepared by its user: of its core (held.c) */
    bool notes_reads;                   /* serializable: the shards have noted what it read */
    bool has_strong_locks;
    bool has_advisory_locks;
    bool is_decided; /* on many shards: nothing of it is to be undone, whatever fails */
    struct advisory_locks advisory_locks;
    struct txn_hook *commit_hooks;
    struct txn_hook *abort_hooks;
    struct txn_touched touched;
};

/* Work on several shards at once. */
struct shard_call {
    struct core_call call;
    uint32_t shard_no;
    txn_id_t id;
    uint32_t seq;
    lsn_t lsn;
    bool wait_flush;
    bool is_started;
    ts_t ts;
    const uint32_t *participants;
    uint32_t participant_count;
    lsn_t *lsns;         /* prepare: one per participant, each sets its own */
    lsn_t *needs;        /* prepare: by shard, for each participant */
    const uint8_t *info; /* hold: for the first participant */
    uint32_t info_bytes;
};

/* Runs fn for every shard that the transaction has touched, all at once; the first on this core
 * runs in this fiber. `like` is the template of the calls. The first error, with its message. */
SUSPENDS err_t txn_on_shards_wait(struct txn *t, core_fn fn, const struct shard_call *like);
/* A place for the shard in the transaction's list. */
struct txn_shard *txn_shard(struct txn *t, uint32_t number);
/* The log of every shard that was enlisted may have something of it. */
void txn_settle_views(struct txn *t);
/* Everything but freeing it: commit (hooks and locks only when it succeeded), rollback. */
SUSPENDS err_t txn_commit_work_wait(struct txn *t);
SUSPENDS void txn_rollback_work_wait(struct txn *t);
SUSPENDS void txn_finish_work_wait(struct txn *t);
/* The session has no more to do with it: runs the hooks of an abort, and forgets all hooks. */
SUSPENDS void txn_hooks_end_wait(struct txn *t);
void txn_free(struct txn *t);

#endif
