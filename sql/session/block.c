/*
 * Transaction blocks: BEGIN to COMMIT, implicit transactions, savepoints, the failed state.
 *
 *   NONE --statement--> IMPLICIT --end of string or Sync--> NONE
 *   NONE, IMPLICIT --BEGIN--> OPEN --error--> FAILED --ROLLBACK (TO)--> NONE (OPEN)
 *
 * An error in a block without savepoints rolls the transaction back at once, so that its locks are
 * free while the client makes up its mind; with savepoints only what came after the innermost one
 * is undone.
 */
#include "sql/session/session_priv.h"

static struct txn_options block_txn_options(struct session *s)
{
    return (struct txn_options){
        .isolation = (enum isolation)s->isolation,
        .read_only = s->read_only,
        .synchronous_commit =
            strcmp(setting_string(s->settings, SET_synchronous_commit), "off") != 0,
        .session = s->pid,
        .database = s->catalog.database,
    };
}

static int block_default_isolation(struct session *s)
{
    const char *name = setting_string(s->settings, SET_default_transaction_isolation);
    if (strcmp(name, "serializable") == 0)
        return SERIALIZABLE;
    if (strcmp(name, "repeatable read") == 0)
        return REPEATABLE_READ;
    return READ_COMMITTED;
}

static void block_start_txn(struct session *s)
{
    s->isolation = block_default_isolation(s);
    s->read_only = setting_bool(s->settings, SET_default_transaction_read_only);
    s->deferrable = setting_bool(s->settings, SET_default_transaction_deferrable);
    struct txn_options o = block_txn_options(s);
    s->txn = txn_begin(&o);
    s->txn_serial = s->txn_serial + 1 != 0 ? s->txn_serial + 1 : 1;
    s->catalog.txn = s->txn;
    s->catalog.txn_met_temporary = false;
    s->statement_ran = false;
    s->pipelined = false;
    s->txn_started_at = s->message_at;
    s->env.now_us = s->txn_started_at - INT64_C(946684800000000);
    s->env.statement_now_us = s->env.now_us;
}

SUSPENDS err_t block_ensure_txn_wait(struct session *s)
{
    if (s->block == BLOCK_FAILED || s->txn)
        return ERR_OK;
    block_start_txn(s);
    s->block = BLOCK_IMPLICIT;
    return ERR_OK;
}

/* Before each statement: the failed state lets only a block's end through. */
SUSPENDS err_t block_begin_statement_wait(struct session *s, const char *tag, bool is_exit)
{
    (void)tag;
    if (s->block == BLOCK_FAILED) {
        if (is_exit)
            return ERR_OK;
        return err_raise(ERR_IN_FAILED_SQL_TRANSACTION,
                         "current transaction is aborted, commands ignored until end of "
                         "transaction block");
    }
    TRY(block_ensure_txn_wait(s));
    txn_set_wait_limits(s->txn, run_wait_limits(s));
    TRY(session_resolve_path_wait(s));
    s->env.statement_now_us = s->message_at - INT64_C(946684800000000);
    return ERR_OK;
}

void block_no_txn(struct session *s)
{
    s->txn = NULL;
    s->catalog.txn = NULL;
}

static void block_forget(struct session *s)
{
    block_no_txn(s);
    s->catalog.txn_changed_catalog = false;
    constraint_transaction_end(s->constraints);
    s->savepoints = NULL;
    s->block = BLOCK_NONE;
    arena_reset(s->block_mem);
}

SUSPENDS err_t block_check_deferred_wait(struct session *s)
{
    if (constraint_is_empty(s->constraints))
        return ERR_OK;
    txn_statement_begin(s->txn);
    err_t e = constraint_fire_deferred_wait(s->constraints);
    if (e == ERR_OK) {
        txn_statement_end(s->txn);
        return ERR_OK;
    }
    struct diag *saved = arena_alloc(s->statement, sizeof(*saved));
    diag_copy(saved, err_diag());
    block_abort_wait(s);
    return err_adopt(saved);
}

void block_transaction_over(struct session *s, bool is_kept)
{
    block_forget(s);
    if (is_kept)
        settings_commit(s->settings);
    else
        settings_rollback_to(s->settings, 0);
    if (s->settings_touched)
        session_refresh_env(s);
    s->settings_touched = false;
}

SUSPENDS err_t block_commit_wait(struct session *s)
{
    if (!s->txn) {
        block_forget(s);
        return ERR_OK;
    }
    TRY(block_check_deferred_wait(s));
    err_t held = portal_hold_all_wait(s);
    if (held != ERR_OK) {
        struct diag *saved = arena_alloc(s->statement, sizeof(*saved));
        diag_copy(saved, err_diag());
        block_abort_wait(s);
        return err_adopt(saved);
    }
    session_note_places(s);
    fiber_shield_begin();
    portal_drop_all_wait(s, true);
    uint64_t began_at = stats_clock();
    uint64_t waited = stats_trace_waited();
    err_t e = notify_before_commit_wait(s);
    if (e == ERR_OK)
        e = txn_commit_wait(s->txn);
    else
        txn_rollback_wait(s->txn);
    block_no_txn(s);
    stats_trace_add_work(STATS_STAGE_flush, began_at, waited);
    notify_after_commit_wait(s, e == ERR_OK);
    block_transaction_over(s, e == ERR_OK);
    fiber_shield_end();
    return e;
}

SUSPENDS void block_abort_wait(struct session *s)
{
    fiber_shield_begin();
    portal_drop_all_wait(s, true);
    if (s->txn)
        txn_rollback_wait(s->txn);
    block_no_txn(s);
    notify_abort(s);
    block_transaction_over(s, false);
    fiber_shield_end();
}

SUSPENDS void block_error_wait(struct session *s)
{
    switch (s->block) {
    case BLOCK_NONE:
    case BLOCK_IMPLICIT:
        block_abort_wait(s);
        return;
    case BLOCK_FAILED:
        return;
    case BLOCK_OPEN:
        break;
    }
    fiber_shield_begin();
    if (s->savepoints) {
        portal_fail_since_wait(s, s->savepoints->txn_mark);
        constraint_undo_to(s->constraints, s->savepoints->txn_mark);
        notify_rollback_to(s, s->savepoints->notify_mark);
        settings_rollback_to(s->settings, s->savepoints->settings_mark);
        if (txn_undo_to_wait(s->txn, s->savepoints->txn_mark) != ERR_OK) {
            /* What can't be undone in part is undone whole. */
            txn_rollback_wait(s->txn);
            block_no_txn(s);
            constraint_transaction_end(s->constraints);
        }
    } else {
        portal_fail_since_wait(s, 0);
        settings_rollback_to(s->settings, 0);
        notify_abort(s);
        txn_rollback_wait(s->txn);
        block_no_txn(s);
        constraint_transaction_end(s->constraints);
        s->catalog.txn_changed_catalog = false;
    }
    session_refresh_env(s);
    s->block = BLOCK_FAILED;
    fiber_shield_end();
}

bool block_is_inside(const struct session *s)
{
    return s->block == BLOCK_OPEN || s->block == BLOCK_FAILED || s->in_list;
}

static err_t block_required(bool is_there, const char *statement)
{
    return is_there ? ERR_OK
                    : err_raise(ERR_NO_ACTIVE_SQL_TRANSACTION,
                                "%s can only be used in transaction blocks", statement);
}

err_t block_require(struct session *s, const char *statement)
{
    return block_required(block_is_inside(s), statement);
}

const char *block_forbids(const struct session *s)
{
    return block_is_inside(s) ? "cannot run inside a transaction block"
           : s->pipelined     ? "cannot be executed within a pipeline"
                              : NULL;
}

err_t block_forbid(struct session *s, const char *statement)
{
    const char *why = block_forbids(s);
    return why ? err_raise(ERR_ACTIVE_SQL_TRANSACTION, "%s %s", statement, why) : ERR_OK;
}

/* Savepoints: a list of statements has none. */
static err_t block_require_open(struct session *s, const char *statement)
{
    return block_required(s->block == BLOCK_OPEN || s->block == BLOCK_FAILED, statement);
}

/* ---- modes ---- */

static SUSPENDS err_t block_apply_modes_wait(struct session *s, const struct utility *u)
{
    if (u->isolation >= 0 && u->isolation != s->isolation) {
        if (s->statement_ran)
            return err_raise(ERR_ACTIVE_SQL_TRANSACTION,
                             "SET TRANSACTION ISOLATION LEVEL must be called before any query");
        s->isolation = u->isolation;
    }
    if (u->read_only >= 0) {
        if (!u->read_only && s->read_only && s->statement_ran)
            return err_raise(ERR_ACTIVE_SQL_TRANSACTION,
                             "transaction read-write mode must be set before any query");
        s->read_only = u->read_only != 0;
    }
    if (u->deferrable >= 0)
        s->deferrable = u->deferrable != 0;
    if (u->snapshot)
        return exported_take_wait(s, u->snapshot);
    if (s->txn) {
        struct txn_options o = block_txn_options(s);
        txn_set_options(s->txn, &o);
    }
    return ERR_OK;
}

static SUSPENDS err_t block_begin_wait(struct session *s, const struct utility *u)
{
    if (s->block == BLOCK_OPEN)
        return session_notice(s, "WARNING", ERR_ACTIVE_SQL_TRANSACTION,
                              "there is already a transaction in progress");
    TRY(block_ensure_txn_wait(s));
    TRY(block_apply_modes_wait(s, u)); /* a failure leaves no block */
    s->block = BLOCK_OPEN;
    return ERR_OK;
}

static SUSPENDS err_t block_chain_wait(struct session *s, int isolation, bool read_only)
{
    block_start_txn(s);
    s->block = BLOCK_OPEN;
    s->isolation = isolation;
    s->read_only = read_only;
    struct txn_options o = block_txn_options(s);
    txn_set_options(s->txn, &o);
    return ERR_OK;
}

/* COMMIT: *tag says what happened, as PostgreSQL: a failed block ends with ROLLBACK. */
static SUSPENDS err_t block_end_wait(struct session *s, const struct utility *u, bool commit,
                                     const char **tag)
{
    stats_trace_class(STATS_CLASS_commit);
    int isolation = s->isolation;
    bool read_only = s->read_only;
    if (s->block != BLOCK_OPEN && s->block != BLOCK_FAILED) {
        if (u->chain)
            return err_raise(ERR_NO_ACTIVE_SQL_TRANSACTION,
                             "%s AND CHAIN can only be used in transaction blocks",
                             commit ? "COMMIT" : "ROLLBACK");
        TRY(session_notice(s, "WARNING", ERR_NO_ACTIVE_SQL_TRANSACTION,
                           "there is no transaction in progress"));
    }
    if (commit && s->block != BLOCK_FAILED) {
        TRY(block_commit_wait(s));
        *tag = "COMMIT";
    } else {
        block_abort_wait(s);
        *tag = "ROLLBACK";
    }
    if (u->chain)
        return block_chain_wait(s, isolation, read_only);
    return ERR_OK;
}

/* ---- savepoints ---- */

static err_t block_savepoint(struct session *s, const struct utility *u)
{
    TRY(block_require_open(s, "SAVEPOINT"));
    struct savepoint *sp = ARENA_NEW(s->block_mem, struct savepoint);
    sp->name = arena_strdup(s->block_mem, u->name);
    sp->txn_mark = txn_mark(s->txn);
    sp->settings_mark = settings_mark(s->settings);
    sp->notify_mark = notify_mark(s);
    sp->outer = s->savepoints;
    s->savepoints = sp;
    return ERR_OK;
}

static err_t block_find_savepoint(struct session *s, const char *name, struct savepoint **out)
{
    for (struct savepoint *sp = s->savepoints; sp; sp = sp->outer) {
        if (strcmp(sp->name, name) == 0) {
            *out = sp;
            return ERR_OK;
        }
    }
    return err_raise(ERR_S_E_INVALID_SPECIFICATION, "savepoint \"%s\" does not exist", name);
}

static SUSPENDS err_t block_rollback_to_wait(struct session *s, const struct utility *u)
{
    TRY(block_require_open(s, "ROLLBACK TO SAVEPOINT"));
    struct savepoint *sp = NULL;
    TRY(block_find_savepoint(s, u->name, &sp));
    if (!s->txn)
        return err_raise(ERR_IN_FAILED_SQL_TRANSACTION, "the transaction has been rolled back");
    fiber_shield_begin();
    portal_drop_since_wait(s, sp->txn_mark);
    constraint_undo_to(s->constraints, sp->txn_mark);
    err_t e = txn_undo_to_wait(s->txn, sp->txn_mark);
    fiber_shield_end();
    TRY(e);
    settings_rollback_to(s->settings, sp->settings_mark);
    notify_rollback_to(s, sp->notify_mark);
    s->savepoints = sp; /* it stays, the inner ones are gone */
    sp->txn_mark = txn_mark(s->txn);
    s->block = BLOCK_OPEN;
    session_refresh_env(s);
    return ERR_OK;
}

SUSPENDS err_t block_utility_wait(struct session *s, const struct utility *u, const char **tag)
{
    struct savepoint *sp = NULL;
    switch (u->kind) {
    case UTIL_BEGIN:
        return block_begin_wait(s, u);
    case UTIL_COMMIT:
        return block_end_wait(s, u, true, tag);
    case UTIL_ROLLBACK:
        return block_end_wait(s, u, false, tag);
    case UTIL_SAVEPOINT:
        return block_savepoint(s, u);
    case UTIL_RELEASE:
        TRY(block_require_open(s, "RELEASE SAVEPOINT"));
        TRY(block_find_savepoint(s, u->name, &sp));
        s->savepoints = sp->outer;
        return ERR_OK;
    case UTIL_ROLLBACK_TO:
        return block_rollback_to_wait(s, u);
    case UTIL_SET_TRANSACTION:
        if (!block_is_inside(s)) {
            TRY(session_notice(s, "WARNING", ERR_NO_ACTIVE_SQL_TRANSACTION,
                               "SET TRANSACTION can only be used in transaction blocks"));
            if (!u->snapshot && !s->pipelined)
                return ERR_OK;
        }
        return block_apply_modes_wait(s, u);
    case UTIL_PREPARE_TRANSACTION:
        return two_phase_prepare_wait(s, u->name, tag);
    case UTIL_COMMIT_PREPARED:
        return two_phase_finish_wait(s, u->name, true);
    case UTIL_ROLLBACK_PREPARED:
        return two_phase_finish_wait(s, u->name, false);
    default:
        return err_raise(ERR_INTERNAL_ERROR, "unexpected transaction statement");
    }
}
