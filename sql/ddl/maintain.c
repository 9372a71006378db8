/* VACUUM, ANALYZE, REINDEX and CLUSTER. There is nothing to vacuum: old versions live outside
 * tables. */
#include "sql/ddl/ddl_priv.h"

#include "sql/ddl/relocate.h"

static SUSPENDS err_t analyze_one_wait(struct ddl_context *x, const struct ddl *d, uint32_t i)
{
    const struct table_desc *t;
    TRY(ddl_open_wait(x, &d->names[i], LOCK_SHARE_UPDATE_EXCLUSIVE, &t));
    if (!t)
        return ddl_missing(x, &d->names[i], "relation");
    oid table = t->oid;
    bool stored = t->kind == 'r' && !t->is_system;
    err_t e = ERR_OK;
    for (uint32_t k = 0; k < d->name_column_counts[i]; k++)
        if (!table_column(t, d->name_columns[i][k]))
            e = err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                          d->name_columns[i][k], t->name);
    if (t->kind != 'r')
        ddl_warning(x, ERR_WARNING,
                    "skipping \"%s\" --- cannot %s non-tables or special system tables", t->name,
                    d->vacuum ? "vacuum" : "analyze");
    table_release(t);
    if (e != ERR_OK || !stored || !d->analyze)
        return e;
    return ddl_analyze_table_wait(x, table, d->name_columns[i], d->name_column_counts[i]);
}

static SUSPENDS err_t analyze_all_wait(struct ddl_context *x)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_CLASS, 0, 0, 0, 0, x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++) {
        oid table = catalog_oid_value(&rows.rows[i], COL_OID);
        if (catalog_char_value(&rows.rows[i], COL_RELKIND) != 'r' || table < FIRST_USER_OID)
            continue;
        TRY(ddl_lock_wait(x, table, LOCK_SHARE_UPDATE_EXCLUSIVE));
        const struct table_desc *t; /* it may have been dropped meanwhile */
        TRY(table_by_oid_wait(x->catalog, table, &t));
        bool exists = t != NULL;
        table_release(t);
        if (exists)
            TRY(ddl_analyze_table_wait(x, table, NULL, 0));
    }
    return ERR_OK;
}

err_t ddl_vacuum_run_wait(struct ddl_context *x, const struct ddl *d)
{
    if (d->vacuum && x->in_block)
        return err_raise(ERR_ACTIVE_SQL_TRANSACTION, "VACUUM %s", x->in_block);
    for (uint32_t i = 0; i < d->name_count; i++)
        TRY(analyze_one_wait(x, d, i));
    if (d->name_count == 0 && d->analyze)
        return analyze_all_wait(x);
    return ERR_OK;
}

static SUSPENDS err_t rebuild_wait(struct ddl_context *x, const struct table_desc *t, oid index)
{
    TRY(ddl_check_owner_wait(x, t));
    return relocate_indexes_wait(x, t, index);
}

static SUSPENDS err_t rebuild_schema_wait(struct ddl_context *x, oid schema)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_CLASS, 0, 0, 0, 0, x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++) {
        oid table = catalog_oid_value(&rows.rows[i], COL_OID);
        if (catalog_char_value(&rows.rows[i], COL_RELKIND) != 'r' || table < FIRST_USER_OID ||
            (schema && catalog_oid_value(&rows.rows[i], COL_RELNAMESPACE) != schema))
            continue;
        TRY(ddl_lock_wait(x, table, LOCK_ACCESS_EXCLUSIVE));
        const struct table_desc *t;
        TRY(table_by_oid_wait(x->catalog, table, &t));
        err_t e = t ? rebuild_wait(x, t, 0) : ERR_OK;
        table_release(t);
        TRY(e);
    }
    return ERR_OK;
}

static SUSPENDS err_t reindex_concurrently_wait(struct ddl_context *x, const struct ddl *d)
{
    const struct table_desc *t = NULL;
    uint32_t position = 0;
    if (x->in_block)
        return err_raise(ERR_ACTIVE_SQL_TRANSACTION, "REINDEX CONCURRENTLY %s", x->in_block);
    if (d->reindex == 'y')
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot reindex system catalogs concurrently");
    if (d->reindex != 'i' && d->reindex != 't')
        return err_not_built("REINDEX CONCURRENTLY of more than one table is not supported");
    bool one = d->reindex == 'i';
    if (one)
        TRY(ddl_open_index_wait(x, &d->names[0], LOCK_SHARE_UPDATE_EXCLUSIVE, &t, &position));
    else
        TRY(ddl_open_wait(x, &d->names[0], LOCK_SHARE_UPDATE_EXCLUSIVE, &t));
    if (!t)
        return ddl_missing(x, &d->names[0], "relation");
    oid table = t->oid;
    oid index = one ? t->indexes[position].oid : 0;
    bool is_temporary = t->persistence == 't';
    err_t e = ERR_OK;
    if (t->is_system)
        e = err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot reindex system catalogs concurrently");
    else if (t->kind != 'r')
        e = err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a table or materialized view", t->name);
    if (e == ERR_OK)
        e = one ? ddl_check_index_owner_wait(x, t, position) : ddl_check_owner_wait(x, t);
    if (e == ERR_OK && is_temporary) { /* nobody else sees it */
        e = ddl_lock_wait(x, table, LOCK_ACCESS_EXCLUSIVE);
        if (e == ERR_OK)
            e = rebuild_wait(x, t, index);
    }
    table_release(t);
    TRY(e);
    return is_temporary ? ERR_OK : ddl_reindex_concurrently_wait(x, table, index);
}

err_t ddl_reindex_run_wait(struct ddl_context *x, const struct ddl *d)
{
    const struct table_desc *t = NULL;
    uint32_t position = 0;
    bool cluster = d->kind == DDL_CLUSTER;
    if (cluster && d->name_count == 0)
        return ERR_OK; /* no table was ever clustered */
    if (cluster)
        return err_not_built("CLUSTER is not supported");
    if (ddl_option_true(ddl_option_find(d->options, d->option_count, "concurrently")))
        return reindex_concurrently_wait(x, d);
    switch (d->reindex) {
    case 'i':
        TRY(ddl_open_index_wait(x, &d->names[0], LOCK_ACCESS_EXCLUSIVE, &t, &position));
        break;
    case 't':
        TRY(ddl_open_wait(x, &d->names[0], LOCK_ACCESS_EXCLUSIVE, &t));
        break;
    case 's': {
        oid schema;
        TRY(schema_oid_wait(x->catalog, d->new_name, &schema));
        if (!schema)
            return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", d->new_name);
        return rebuild_schema_wait(x, schema);
    }
    case 'y':
        return ERR_OK; /* the catalogs' indexes need none */
    default:
        if (x->in_block)
            return err_raise(ERR_ACTIVE_SQL_TRANSACTION, "REINDEX DATABASE %s", x->in_block);
        if (d->new_name && strcmp(d->new_name, x->env->database_name) != 0)
            return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                             "can only reindex the currently open database");
        return rebuild_schema_wait(x, 0);
    }
    if (!t)
        return ddl_missing(x, &d->names[0], "relation");
    err_t e = ERR_OK;
    if (!t->is_system && d->reindex == 'i')
        e = ddl_check_index_owner_wait(x, t, position);
    if (!t->is_system && e == ERR_OK)
        e = rebuild_wait(x, t, d->reindex == 'i' ? t->indexes[position].oid : 0);
    table_release(t);
    return e;
}
