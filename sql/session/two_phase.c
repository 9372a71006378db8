/*
 * PREPARE TRANSACTION, COMMIT PREPARED and ROLLBACK PREPARED (shard/held.h), and pg_prepared_xacts.
 *
 * What a transaction leaves in its session cannot be handed on, so it is refused: temporary tables,
 * LISTEN and NOTIFY. Settings are the session's and are kept, as with COMMIT.
 */
#include "shard/held.h"
#include "sql/catalog/cache.h"
#include "sql/session/session_priv.h"
#include "sql/session/view_rows.h"

static err_t two_phase_check(struct session *s, const char *name)
{
    if (portal_any_to_hold(s))
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "cannot PREPARE a transaction that has created a cursor WITH HOLD");
    if (s->catalog.txn_met_temporary)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "cannot PREPARE a transaction that has operated on temporary objects");
    if (txn_has_exported(s->txn))
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "cannot PREPARE a transaction that has exported snapshots");
    if (strlen(name) > HELD_NAME_BYTES_MAX)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "transaction identifier \"%s\" is too long",
                         name);
    if (setting_int(s->settings, SET_max_prepared_transactions) == 0) {
        err_t e =
            err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE, "prepared transactions are disabled");
        err_hint("Set max_prepared_transactions to a nonzero value.");
        return e;
    }
    if (notify_is_pending(s))
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "cannot PREPARE a transaction that has executed LISTEN, UNLISTEN, or "
                         "NOTIFY");
    return ERR_OK;
}

static SUSPENDS err_t two_phase_hold_wait(struct session *s, const char *name)
{
    struct held_transaction h = {
        .owner = s->catalog.user,
        .database = s->catalog.database,
        .prepared_at = core_wall_us(),
        .changed_catalog = s->catalog.txn_changed_catalog,
    };
    memcpy(h.name, name, strlen(name));
    fiber_shield_begin();
    portal_drop_all_wait(s, true);
    err_t e = txn_hold_wait(s->txn, &h,
                            (uint32_t)setting_int(s->settings, SET_max_prepared_transactions));
    block_no_txn(s);
    notify_abort(s); /* there is nothing of it */
    block_transaction_over(s, e == ERR_OK);
    fiber_shield_end();
    return e;
}

SUSPENDS err_t two_phase_prepare_wait(struct session *s, const char *name, const char **tag)
{
    stats_trace_class(STATS_CLASS_commit);
    bool is_block = s->block == BLOCK_OPEN || s->block == BLOCK_FAILED;
    if (!is_block)
        TRY(session_notice(s, "WARNING", ERR_NO_ACTIVE_SQL_TRANSACTION,
                           "there is no transaction in progress"));
    /* Behind other statements of one query string there is a transaction, without a block. */
    if (s->block == BLOCK_FAILED || (!is_block && !s->statement_ran)) {
        block_abort_wait(s);
        *tag = "ROLLBACK";
        return ERR_OK;
    }
    TRY(block_check_deferred_wait(s));
    err_t e = two_phase_check(s, name);
    if (e == ERR_OK)
        return two_phase_hold_wait(s, name);
    struct diag *saved = arena_alloc(s->statement, sizeof(*saved));
    diag_copy(saved, err_diag());
    block_abort_wait(s);
    return err_adopt(saved);
}

static err_t two_phase_allowed(const struct session *s, const struct held_transaction *h)
{
    if (h->owner != s->catalog.user && !s->catalog.is_superuser) {
        err_t e = err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                            "permission denied to finish prepared transaction");
        err_hint("Must be superuser or the user that prepared the transaction.");
        return e;
    }
    if (h->database != s->catalog.database) {
        err_t e = err_raise(ERR_FEATURE_NOT_SUPPORTED,
                            "prepared transaction belongs to another database");
        err_hint("Connect to the database where the transaction was prepared to finish it.");
        return e;
    }
    return ERR_OK;
}

SUSPENDS err_t two_phase_finish_wait(struct session *s, const char *name, bool commit)
{
    stats_trace_class(STATS_CLASS_commit);
    if (s->block == BLOCK_OPEN || s->block == BLOCK_FAILED || s->statement_ran)
        return err_raise(ERR_ACTIVE_SQL_TRANSACTION, "%s cannot run inside a transaction block",
                         commit ? "COMMIT PREPARED" : "ROLLBACK PREPARED");
    struct held_transaction h;
    fiber_shield_begin(); /* from the claim on somebody must finish it or give it back */
    err_t e = held_claim_wait(name, &h);
    if (e == ERR_OK) {
        e = two_phase_allowed(s, &h);
        if (e == ERR_OK) {
            oid database = h.database;
            e = held_finish_wait(name, commit, h.changed_catalog ? catalog_changed_wait : NULL,
                                 &database);
        } else {
            struct diag *saved = arena_alloc(s->statement, sizeof(*saved));
            diag_copy(saved, err_diag());
            held_unclaim_wait(name);
            e = err_adopt(saved);
        }
    }
    fiber_shield_end();
    return e;
}

/* ---- pg_prepared_xacts ---- */

static SUSPENDS err_t two_phase_view_begin(const struct session_env *env, struct arena *mem,
                                           void **state)
{
    enum { COL_TRANSACTION, COL_GID, COL_PREPARED, COL_OWNER, COL_DATABASE, COL_COUNT };
    struct view_rows *v = view_new(mem, COL_COUNT);
    struct held_transaction *rows;
    uint32_t count;
    const struct sql_services *services = env->services;
    TRY(held_list_wait(mem, &rows, &count));
    for (uint32_t i = 0; i < count; i++) {
        const struct held_transaction *h = &rows[i];
        const char *owner;
        const char *database;
        TRY(services->role_name(services->owner, h->owner, mem, &owner));
        TRY(services->name_of(services->owner, 'd', h->database, mem, &database));
        bool *nulls;
        datum *row = view_add(v, &nulls);
        view_set(row, nulls, COL_TRANSACTION, datum_of_oid((oid)h->id));
        view_text(v, row, nulls, COL_GID, h->name);
        view_time(row, nulls, COL_PREPARED, h->prepared_at);
        view_text(v, row, nulls, COL_OWNER, owner);
        view_text(v, row, nulls, COL_DATABASE, database);
    }
    *state = v;
    return ERR_OK;
}

const struct virtual_rows two_phase_view_rows = {.begin = two_phase_view_begin, .next = view_next};
