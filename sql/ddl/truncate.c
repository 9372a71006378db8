/* TRUNCATE: new empty files; the old ones go with the commit. */
#include "sql/catalog/privileges.h"
#include "sql/ddl/ddl_priv.h"

#include "sql/ddl/relocate.h"

err_t ddl_truncate_table_wait(struct ddl_context *x, oid table, bool restart)
{
    const struct table_desc *t;
    struct relocation r;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    err_t e = relocate_begin_wait(x, t, &r);
    if (e == ERR_OK)
        e = ddl_files_drop_wait(x, r.old_files, r.old_file_count);
    for (uint32_t i = 0; e == ERR_OK && restart && i < t->column_count; i++)
        if (t->columns[i].owned_sequence)
            e = ddl_sequence_restart_wait(x, t->columns[i].owned_sequence);
    table_release(t);
    return e;
}

struct targets {
    oid *tables;
    uint32_t count;
    uint32_t room;
};

static bool is_target(const struct targets *l, oid table)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->tables[i] == table)
            return true;
    return false;
}

static void target_add(struct ddl_context *x, struct targets *l, oid table)
{
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 16;
        oid *more = ARENA_ARRAY(x->mem, oid, l->room);
        if (l->count)
            memcpy(more, l->tables, sizeof(oid) * l->count);
        l->tables = more;
    }
    l->tables[l->count++] = table;
}

static SUSPENDS err_t check_table_wait(struct ddl_context *x, const struct table_desc *t)
{
    if (t->kind != 'r')
        return err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a table", t->name);
    if (t->is_system)
        TRY(ddl_check_owner_wait(x, t));
    TRY(privilege_require_wait(x->catalog, 'c', t->oid, x->catalog->user, "D"));
    return ddl_check_not_pending(x, t, "TRUNCATE");
}

/* A table whose foreign key refers to one that is emptied is emptied too, or stands in the way. */
static SUSPENDS err_t referrer_wait(struct ddl_context *x, struct targets *l,
                                    const struct table_desc *t, oid referrer, bool cascade)
{
    const struct table_desc *r;
    if (cascade)
        TRY(ddl_lock_wait(x, referrer, LOCK_ACCESS_EXCLUSIVE));
    TRY(table_by_oid_wait(x->catalog, referrer, &r));
    if (!r)
        return ERR_OK;
    err_t e = ERR_OK;
    if (cascade) {
        ddl_notice(x, "truncate cascades to table \"%s\"", r->name);
        e = check_table_wait(x, r);
        target_add(x, l, referrer);
    } else {
        e = err_raise(ERR_FEATURE_NOT_SUPPORTED,
                      "cannot truncate a table referenced in a foreign key constraint");
        err_detail("Table \"%s\" references \"%s\".", r->name, t->name);
        err_hint("Truncate table \"%s\" at the same time, or use TRUNCATE ... CASCADE.", r->name);
    }
    table_release(r);
    return e;
}

static SUSPENDS err_t referrers_wait(struct ddl_context *x, struct targets *l, bool cascade)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct table_desc *t;
        err_t e = ERR_OK;
        TRY(table_by_oid_wait(x->catalog, l->tables[i], &t));
        for (uint32_t k = 0; t && e == ERR_OK && k < t->referrer_count; k++)
            if (!is_target(l, t->referrers[k].table))
                e = referrer_wait(x, l, t, t->referrers[k].table, cascade);
        table_release(t);
        TRY(e);
    }
    return ERR_OK;
}

err_t ddl_truncate_run_wait(struct ddl_context *x, const struct ddl *d)
{
    struct targets l = {0};
    for (uint32_t i = 0; i < d->name_count; i++) {
        const struct table_desc *t;
        TRY(ddl_open_wait(x, &d->names[i], LOCK_ACCESS_EXCLUSIVE, &t));
        if (!t)
            return ddl_missing(x, &d->names[i], "relation");
        err_t e = check_table_wait(x, t);
        if (!is_target(&l, t->oid))
            target_add(x, &l, t->oid);
        table_release(t);
        TRY(e);
    }
    TRY(referrers_wait(x, &l, d->cascade));
    for (uint32_t i = 0; i < l.count; i++)
        TRY(ddl_truncate_table_wait(x, l.tables[i], d->restart));
    return ERR_OK;
}
