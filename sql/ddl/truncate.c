/* TRUNCATE: new empty files; the old ones go with the commit. */
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

err_t ddl_truncate_run_wait(struct ddl_context *x, const struct ddl *d)
{
    oid *tables = ARENA_ARRAY(x->mem, oid, d->name_count + 1);
    for (uint32_t i = 0; i < d->name_count; i++) {
        const struct table_desc *t;
        TRY(ddl_open_wait(x, &d->names[i], LOCK_ACCESS_EXCLUSIVE, &t));
        if (!t)
            return ddl_missing(x, &d->names[i], "relation");
        err_t e = ddl_check_owner_wait(x, t);
        if (t->kind != 'r')
            e = err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a table", t->name);
        tables[i] = t->oid;
        table_release(t);
        TRY(e);
    }
    for (uint32_t i = 0; i < d->name_count; i++) {
        bool done = false;
        for (uint32_t k = 0; k < i; k++)
            done = done || tables[k] == tables[i];
        if (!done)
            TRY(ddl_truncate_table_wait(x, tables[i], d->restart));
    }
    return ERR_OK;
}
