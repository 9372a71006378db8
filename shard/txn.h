/*
 * Transactions: the coordinator's side, on the session's core (DESIGN.md section 6).
 *
 * A session's transaction is one struct txn. Fragments that work on shards (here or on other cores)
 * get a struct txn_view by txn_view_make() and bring it back through txn_merge(). The transaction
 * remembers the shards of views that may write, so that an abort finds them whatever happens, and,
 * serializable, of all, since what was read there is validated there.
 */
#ifndef SHARD_TXN_H
#define SHARD_TXN_H

#include "shard/shard.h"

struct txn;
struct snapshot;

struct txn_options {
    enum isolation isolation;
    bool read_only;
    bool synchronous_commit; /* false: commit does not wait for the flush */
    uint32_t session;
    uint32_t database; /* whose rows it may look at; 0 = of any */
};
struct txn *txn_begin(const struct txn_options *o);
/* Another one of the same session, read committed, that ends while t goes on. A wait of either
 * counts as the session's, for deadlocks too; but each has its own locks. */
struct txn *txn_begin_beside(const struct txn *t);

/* A new statement: seq + 1; read committed: a new snapshot; the others: the first call takes it. */
void txn_statement_begin(struct txn *t);
/* The statement is over: read committed gives its snapshot back, so that an idle transaction block
 * holds up no purge. Others: nothing. */
void txn_statement_end(struct txn *t);
/* The snapshot goes, whatever the level: nothing was read by it. The next statement takes one. */
void txn_snapshot_end(struct txn *t);
/* A statement that stays open over later ones (a cursor, a portal with a row limit) keeps what it
 * sees: open it after txn_statement_begin, enter and leave around each use (nothing else runs in
 * between), close it before the transaction ends. Same core, no suspension in these. */
struct txn_cursor;
struct txn_cursor *txn_cursor_open(struct txn *t);
void txn_cursor_enter(struct txn_cursor *c);
void txn_cursor_leave(struct txn_cursor *c);
void txn_cursor_close(struct txn_cursor *c);

/* Where single statements touched rows: this core, or the one other core that most spoke for. */
struct txn_touched {
    uint32_t here;
    uint32_t away;
    uint32_t away_core;
};
void txn_touch(struct txn *t, uint32_t core);
struct txn_touched txn_touched(const struct txn *t);

/*
 * Between statements a transaction and its open cursors may go to another core, from where it is
 * coordinated then. txn_leave on the old core, txn_join on the new one, txn_places_free on the old
 * one; nothing of it is used between the first two. Its weak table locks stay on the core where it
 * took the first one, and further ones are taken there. No suspension in these.
 */
struct txn_places; /* holds the snapshots on the old core until the new one has them */
struct txn_places *txn_leave(struct txn *t, struct txn_cursor *const *cursors, uint32_t count);
void txn_join(struct txn *t, struct txn_cursor *const *cursors, uint32_t count,
              const struct txn_places *p);
void txn_places_free(struct txn_places *p);
/* Its own pieces of memory, each once (core_memory_leave and core_memory_join). */
void txn_memory(struct txn *t, void (*piece)(void *p));
void txn_cursor_memory(struct txn_cursor *c, void (*piece)(void *p));

/* What a constraint's own queries see, whatever the isolation level: everything committed by now
 * and what the transaction wrote before. Between begin and end they run as a statement of their own
 * (seq + 1); the transaction's snapshot comes back at the end. A statement must be running. */
struct txn_newest;
struct txn_newest *txn_newest_begin(struct txn *t);
ts_t txn_newest_outer(const struct txn_newest *n); /* the transaction's own snapshot */
void txn_newest_end(struct txn_newest *n);
uint32_t txn_seq(const struct txn *t); /* the seq that writes carry now */
enum isolation txn_isolation(const struct txn *t);
/* A second snapshot within a statement is never taken; this one is for pg_export_snapshot and
 * checks. */
ts_t txn_snapshot(const struct txn *t);
/* pg_export_snapshot: the running statement's snapshot stays until the transaction ends, for others
 * to take. Its number, from 1. */
uint32_t txn_export_snapshot(struct txn *t);
bool txn_has_exported(const struct txn *t);
/* On the exporting transaction's core: one more of it for another core; NULL: no such number. To be
 * taken by txn_import_snapshot there. */
struct snapshot *txn_lend_snapshot(struct txn *t, uint32_t number);
/* The transaction has taken no snapshot yet. lender: the core that lent it. */
void txn_import_snapshot(struct txn *t, struct snapshot *lent, uint32_t lender);
/* seq + 1 within one statement, so that what was written so far becomes visible to what follows
 * (CTE steps, DDL reading its own catalog rows, triggers). Keeps the snapshot. */
void txn_advance(struct txn *t);
void txn_set_wait_limits(struct txn *t, struct wait_limits limits);

txn_id_t txn_id(const struct txn *t);  /* 0 when none assigned yet */
txn_id_t txn_assign_id(struct txn *t); /* pg_current_xact_id(), first write */
bool txn_has_written(const struct txn *t);
bool txn_is_read_only(const struct txn *t);
void txn_set_options(struct txn *t, const struct txn_options *o); /* SET TRANSACTION */

/* Views for fragments. may_write assigns the id. */
struct txn_view txn_view_make(struct txn *t, uint32_t shard_no, bool may_write);
/* A shard where something may be written with a copy of another shard's view (its shard_no set). */
void txn_enlist(struct txn *t, uint32_t shard_no);
void txn_merge(struct txn *t, uint32_t shard_no, const struct txn_view *v);

/* Marks for savepoints and statement failure: undo everything with seq >= mark on all participants.
 */
uint32_t txn_mark(struct txn *t); /* the seq that the next write will carry; bumps seq */
SUSPENDS err_t txn_undo_to_wait(struct txn *t, uint32_t mark);

/* Commit: one flush latency, on one shard and on many. Also for readers: returns when all that was
 * observed is settled. On error the transaction has been rolled back, unless a log has failed: then
 * the next start finds out. The txn is freed in every case. */
SUSPENDS err_t txn_commit_wait(struct txn *t);
SUSPENDS void txn_rollback_wait(struct txn *t);
/* A reply in the middle of a transaction block may be sent: everything observed is settled. */
SUSPENDS err_t txn_observe_wait(struct txn *t);

/* Called inside txn_commit_wait after it is certain to commit and before locks are released; used
 * for catalog invalidation. May suspend. One per name; fn(arg). */
void txn_on_commit(struct txn *t, void (*fn)(void *arg), void *arg);
void txn_on_abort(struct txn *t, void (*fn)(void *arg), void *arg);

/* Table locks (all eight modes; weak ones on the session's core, strong ones on all cores), by any
 * 64-bit name. */
enum table_lock_mode {
    LOCK_ACCESS_SHARE = 1,
    LOCK_ROW_SHARE,
    LOCK_ROW_EXCLUSIVE,
    LOCK_SHARE_UPDATE_EXCLUSIVE,
    LOCK_TABLE_SHARE,
    LOCK_SHARE_ROW_EXCLUSIVE,
    LOCK_EXCLUSIVE,
    LOCK_ACCESS_EXCLUSIVE,
};
SUSPENDS err_t txn_lock_table_wait(struct txn *t, uint64_t database_and_relation,
                                   enum table_lock_mode mode, bool nowait);
/* Until the transactions of other sessions (prepared ones too) that hold the lock by now, in a mode
 * that conflicts with `mode`, have ended. Nobody is held up by it. */
SUSPENDS err_t txn_holders_wait(struct txn *t, uint64_t database_and_relation,
                                enum table_lock_mode mode);
/* Until no other session has a snapshot in t's database that is older. Not with an older one of
 * its own. */
SUSPENDS err_t txn_older_snapshots_wait(struct txn *t, ts_t ts);
/* Until the transaction ends, or is undone to before this. */
SUSPENDS err_t txn_advisory_lock_wait(struct txn *t, const struct advisory_request *r,
                                      bool *granted);

#endif
