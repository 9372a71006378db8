/*
 * Moving a table into new files: for a new shard key or changed columns. The catalog rows get new
 * file numbers, the rows are rewritten, all indexes are built anew, the old files are dropped. For
 * REINDEX the same with indexes only.
 */
#include "sql/ddl/relocate.h"

#include "sql/ddl/ddl_priv.h"

struct old_files {
    struct ddl_file *files;
    uint32_t count;
};

static SUSPENDS err_t new_number_wait(struct ddl_context *x, oid relation, enum file_kind kind,
                                      file_id old, struct old_files *drop)
{
    oid number;
    TRY(catalog_new_oid_wait(x->catalog, &number));
    TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, relation, 0, COL_RELFILENODE, number,
                      false));
    struct ddl_file f = {file_of(x->catalog->database, number), kind};
    if (old != 0)
        drop->files[drop->count++] = (struct ddl_file){old, kind};
    return ddl_files_create_wait(x, &f, 1);
}

static SUSPENDS err_t map_files_wait(struct ddl_context *x, oid map, struct old_files *drop)
{
    const struct table_desc *m;
    TRY(table_by_oid_wait(x->catalog, map, &m));
    if (!m)
        return ERR_OK;
    catalog_touch(x->catalog, map);
    err_t e = new_number_wait(x, map, FILE_HEAP, m->file, drop);
    for (uint32_t i = 0; e == ERR_OK && i < m->index_count; i++)
        e = new_number_wait(x, m->indexes[i].oid, FILE_BTREE, m->indexes[i].file, drop);
    table_release(m);
    return e;
}

static SUSPENDS err_t index_files_wait(struct ddl_context *x, const struct index_desc *d,
                                       struct old_files *drop)
{
    if (d->map_table)
        TRY(map_files_wait(x, d->map_table, drop));
    TRY(new_number_wait(x, d->oid, FILE_BTREE, d->file, drop));
    return d->is_valid && d->is_ready /* it will be whole */
               ? ERR_OK
               : ddl_index_flags_wait(x, d->oid, &(struct index_flags){true, true, true});
}

err_t relocate_indexes_wait(struct ddl_context *x, const struct table_desc *t, oid index)
{
    struct old_files drop = {ARENA_ARRAY(x->mem, struct ddl_file, 1 + (size_t)t->index_count * 3),
                             0};
    catalog_touch(x->catalog, t->oid);
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_desc *d = &t->indexes[i];
        if (index != 0 && d->oid != index)
            continue;
        TRY(index_files_wait(x, d, &drop));
        TRY(ddl_build_index_wait(x, t->oid, d->oid));
    }
    return ddl_files_drop_wait(x, drop.files, drop.count);
}

err_t relocate_begin_wait(struct ddl_context *x, const struct table_desc *t, struct relocation *r)
{
    struct plan_options o = ddl_plan_options(x);
    struct old_files drop = {ARENA_ARRAY(x->mem, struct ddl_file, 1 + (size_t)t->index_count * 3),
                             0};
    *r = (struct relocation){.table = t->oid};
    TRY(plan_table_make_wait(&o, t->oid, x->mem, &r->from));
    catalog_touch(x->catalog, t->oid);
    TRY(new_number_wait(x, t->oid, FILE_HEAP, t->file, &drop));
    for (uint32_t i = 0; i < t->index_count; i++)
        TRY(index_files_wait(x, &t->indexes[i], &drop));
    r->old_files = drop.files;
    r->old_file_count = drop.count;
    return ERR_OK;
}

err_t relocate_rows_wait(struct ddl_context *x, struct relocation *r, struct expr **computed,
                         bool on_session_core)
{
    struct plan_options o = ddl_plan_options(x);
    struct plan_table *to;
    TRY(plan_table_make_wait(&o, r->table, x->mem, &to));
    struct rewrite w = {.from = r->from,
                        .to = to,
                        .computed = computed,
                        .check_not_null = computed != NULL,
                        .on_session_core = on_session_core};
    TRY(ddl_rewrite_wait(x, &w));
    for (uint32_t i = 0; i < to->index_count; i++)
        TRY(ddl_build_index_wait(x, r->table, to->indexes[i].oid));
    return ddl_files_drop_wait(x, r->old_files, r->old_file_count);
}

err_t ddl_redistribute_wait(struct ddl_context *x, oid table, char kind, const int16_t *keys,
                            uint32_t key_count)
{
    const struct table_desc *t;
    TRY(ddl_lock_wait(x, table, LOCK_ACCESS_EXCLUSIVE));
    TRY(table_by_oid_wait(x->catalog, table, &t));
    struct relocation r;
    bool moves = shard_count() > 1;
    err_t e = moves ? relocate_begin_wait(x, t, &r) : ERR_OK;
    table_release(t);
    TRY(e);
    struct catalog_row row;
    datum *v;
    bool *n;
    TRY(rows_get_wait(x, REL_DISTRIBUTION, INDEX_DISTRIBUTION_RELID, 1, table, 0, &row));
    rows_copy(x->mem, &row, COLS_DISTRIBUTION, &v, &n);
    v[COL_DISKIND - 1] = (datum)kind;
    v[COL_DISKEYS - 1] = catalog_int2vector(x->mem, keys, key_count);
    TRY(catalog_replace_wait(x->catalog, REL_DISTRIBUTION, &row, v, n, x->mem));
    return moves ? relocate_rows_wait(x, &r, NULL, false) : ERR_OK;
}
