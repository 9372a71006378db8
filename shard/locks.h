/*
 * Locks as seen from outside of transactions: advisory locks, which sessions and transactions hold
 * by number, and what there is to show of all locks (pg_locks, pg_blocking_pids).
 *
 * An advisory lock lives on the core that its key's hash names. Its owner is the session; a lock
 * taken for the transaction goes with it (txn.h).
 */
#ifndef SHARD_LOCKS_H
#define SHARD_LOCKS_H

#include "core/core.h"

/* How long one wait for a lock may last, and when it asks for deadlocks. */
struct wait_limits {
    uint32_t lock_timeout_ms;     /* 0 = none */
    uint32_t deadlock_timeout_ms; /* 0 = the server's */
};

/* ---- advisory locks ---- */

struct advisory_key {
    uint32_t database;
    bool is_two; /* two 32-bit keys in one word: another name space than one 64-bit key */
    uint64_t key;
};

/* A session's advisory locks that are not bound to a transaction; zeroed = none. */
struct advisory_locks {
    uint64_t cores[(CORE_COUNT_MAX + 63) / 64]; /* where some are or were held */
};

struct advisory_request {
    struct advisory_key key;
    bool is_shared;
    bool is_try; /* never waits */
    uint32_t session;
    uint64_t txn; /* 0 = none assigned */
    struct wait_limits limits;
};
/* *granted false only for is_try. For the transaction: txn_advisory_lock_wait. */
SUSPENDS err_t advisory_lock_wait(struct advisory_locks *held, const struct advisory_request *r,
                                  bool *granted);
/* One hold of the session's is given back; *was_held false: it has none. */
SUSPENDS err_t advisory_unlock_wait(const struct advisory_request *r, bool *was_held);
SUSPENDS void advisory_unlock_all_wait(struct advisory_locks *held, uint32_t session);

/* ---- what is held and waited for ---- */

enum lock_kind { LOCKS_OF_ROWS, LOCKS_OF_TABLES, LOCKS_ADVISORY };

struct lock_row {
    enum lock_kind kind;
    uint8_t mode; /* of rows: enum row_lock_mode; of tables: enum table_lock_mode; advisory below */
    bool is_granted;
    bool is_for_session; /* advisory: not bound to the transaction */
    uint32_t session;    /* 0: a prepared transaction */
    uint64_t id;         /* transaction; 0 = none assigned */
    uint64_t a;          /* table: database << 32 | relation; advisory: database << 32 | 1 or 2 */
    uint64_t b;          /* advisory: key */
    uint64_t blocker;    /* waits for a row: the transaction that has it */
    int64_t waits_since; /* core_wall_us; 0 = granted */
};
enum lock_list { LOCKS_ALL, LOCKS_WAITED_FOR };
/* Waits of all cores; LOCKS_ALL: table and advisory locks held too. Rows are in `mem`. */
SUSPENDS err_t locks_list_wait(struct arena *mem, enum lock_list which, struct lock_row **rows,
                               size_t *count);
/* What is waited for, as pg_locks (locktype) and pg_stat_activity (wait_event) name it. */
const char *lock_kind_name(enum lock_kind kind);
/* The mode as pg_locks and messages name it. */
const char *lock_mode_name(enum lock_kind kind, uint32_t mode);
/* Sessions that block this one now, those ahead in a queue too, each once; 0 stands for prepared
 * transactions. None: it does not wait. */
SUSPENDS err_t session_blockers_wait(uint32_t session, struct arena *mem, uint32_t **sessions,
                                     uint32_t *count);

#endif
