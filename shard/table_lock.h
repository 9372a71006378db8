/* Table locks of the cores; used by txn.c. */
#ifndef SHARD_TABLE_LOCK_H
#define SHARD_TABLE_LOCK_H

#include "shard/shard_priv.h"

struct table_lock_call {
    struct core_call call;
    txn_id_t id;
    uint32_t session;
    uint64_t name;
    enum table_lock_mode mode;
    uint32_t seq; /* unlock: modes taken at or after it; 0 = all */
    enum lock_policy policy;
    struct wait_limits limits;
    uint64_t until; /* holders: those of by then */
    bool busy;      /* out */
};

bool table_lock_is_weak(enum table_lock_mode mode);
/* On the session's core. *busy only when the policy is not LOCK_WAIT. */
SUSPENDS err_t table_lock_local_wait(struct lock_owner *o, uint64_t name, enum table_lock_mode mode,
                                     uint32_t seq, enum lock_policy policy,
                                     struct wait_limits limits, bool *busy);
void table_lock_release_local(struct lock_owner *o, uint32_t since_seq);
/* See lock_announce. */
void table_lock_announce_local(struct lock_owner *o, uint64_t name, enum table_lock_mode mode);
void table_lock_announce_end_local(struct lock_owner *o, uint64_t name);
/* core_fn, on another core; arg = struct table_lock_call. */
err_t table_lock_announce_remote(void *arg);
err_t table_lock_announce_end_remote(void *arg);
SUSPENDS err_t table_lock_remote(void *arg);
err_t table_unlock_remote(void *arg);
/* core_fn: what `until` is for those who hold locks now. */
err_t table_lock_serial(void *arg);
/* core_fn: until this core's holders of modes that conflict with `mode` have ended. */
SUSPENDS err_t table_lock_holders_wait(void *arg);
/* core_fn, on another core: the transaction is a prepared one now, without a session. */
err_t table_lock_detach_remote(void *arg);
/* This core's locks of prepared transactions of other cores go: its shards are closed. */
void table_locks_held_drop(void);

#endif
