/*
 * pg_export_snapshot() and SET TRANSACTION SNAPSHOT. A name is "pid-transaction-number", each in
 * hexadecimal like PostgreSQL's: it leads to the session, on whichever core that is, and says
 * whether the transaction that exported it is still the one that runs there.
 */
#include "sql/session/session_priv.h"

#include <stdlib.h>

err_t exported_make(struct session *s, struct arena *mem, const char **out)
{
    if (s->savepoints)
        return err_raise(ERR_ACTIVE_SQL_TRANSACTION,
                         "cannot export a snapshot from a subtransaction");
    uint32_t number = txn_export_snapshot(s->txn);
    *out = arena_printf(mem, "%08X-%08X-%u", s->pid, s->txn_serial, number);
    return ERR_OK;
}

struct exported_call {
    uint32_t pid;
    uint32_t serial;
    uint32_t number;
    oid database;
    bool is_serializable; /* who takes it */
    bool is_read_only;
    uint32_t core;
    const char *refused;   /* out; NULL: no reason */
    struct snapshot *lent; /* out; NULL: there is no such snapshot */
};

/* On the exporting session's core. */
static void exported_lend(void *ctx, struct session *s)
{
    struct exported_call *c = ctx;
    if (!s->txn || s->txn_serial != c->serial || !txn_has_exported(s->txn))
        return;
    if (c->is_serializable && s->isolation != SERIALIZABLE)
        c->refused = "a serializable transaction cannot import a snapshot from a non-serializable "
                     "transaction";
    else if (c->is_serializable && s->read_only && !c->is_read_only)
        c->refused = "a non-read-only serializable transaction cannot import a snapshot from a "
                     "read-only transaction";
    else if (s->catalog.database != c->database)
        c->refused = "cannot import a snapshot from a different database";
    else
        c->lent = txn_lend_snapshot(s->txn, c->number);
    c->core = core_id();
}

/* One number of a name and what must stand behind it. */
static bool exported_number(const char **at, int base, char behind, uint32_t *out)
{
    enum { DIGITS_MAX = 10 };
    size_t digits = strspn(*at, base == 16 ? "0123456789ABCDEF" : "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || (*at)[digits] != behind)
        return false;
    unsigned long long value = strtoull(*at, NULL, base);
    *out = (uint32_t)value;
    *at += digits + (behind != '\0');
    return value <= UINT32_MAX;
}

static bool exported_parse(const char *name, struct exported_call *c)
{
    return exported_number(&name, 16, '-', &c->pid) &&
           exported_number(&name, 16, '-', &c->serial) &&
           exported_number(&name, 10, '\0', &c->number);
}

SUSPENDS err_t exported_take_wait(struct session *s, const char *name)
{
    if (s->statement_ran || txn_id(s->txn) != 0 || s->savepoints)
        return err_raise(ERR_ACTIVE_SQL_TRANSACTION,
                         "SET TRANSACTION SNAPSHOT must be called before any query");
    if (s->isolation == READ_COMMITTED)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "a snapshot-importing transaction must have isolation level SERIALIZABLE "
                         "or REPEATABLE READ");
    struct exported_call c = {.database = s->catalog.database,
                              .is_serializable = s->isolation == SERIALIZABLE,
                              .is_read_only = s->read_only};
    if (!exported_parse(name, &c))
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid snapshot identifier: \"%s\"", name);
    bool found;
    TRY(registry_visit_wait(c.pid, exported_lend, &c, &found));
    if (c.refused)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "%s", c.refused);
    if (!c.lent)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid snapshot identifier: \"%s\"", name);
    txn_import_snapshot(s->txn, c.lent, c.core);
    s->statement_ran = true; /* the isolation level is fixed */
    return ERR_OK;
}
