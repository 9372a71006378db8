/*
 * Making indexes. A unique index that holds the whole shard key is local to each shard; one that
 * does not is kept as a hidden map table distributed by the index's columns (catalog.h), whose own
 * local unique index is what enforces it.
 */
#include "sql/ddl/ddl_priv.h"

enum { KEYS_MAX = 32 };

struct maker {
    const struct index_request *r;
    const struct table_desc *t;
    oid oid;
    const char *name;
    uint32_t n;
    int16_t attnos[KEYS_MAX];
    oid types[KEYS_MAX];
    int32_t typmods[KEYS_MAX];
    oid collations[KEYS_MAX];
    oid classes[KEYS_MAX];
    int16_t options[KEYS_MAX];
    const char *names[KEYS_MAX];
    struct ddl_expression expressions[KEYS_MAX];
    uint32_t expression_count;
    struct ddl_expression predicate;
};

static const struct opclass_info *opclass_named(const char *name, oid type)
{
    const struct opclass_info *c;
    const struct opclass_info *other = NULL;
    for (uint32_t i = 0; (c = opclass_at(i)) != NULL; i++) {
        if (c->am != AM_BTREE || strcmp(c->name, name) != 0)
            continue;
        if (c->type == type)
            return c;
        other = c;
    }
    return other;
}

static err_t item_opclass(struct ddl_context *x, struct maker *m, uint32_t i,
                          const struct ddl_index_item *item)
{
    const struct opclass_info *c;
    oid type = m->types[i];
    if (item->opclass) {
        c = opclass_named(item->opclass, type);
        if (!c)
            return err_raise(ERR_UNDEFINED_OBJECT,
                             "operator class \"%s\" does not exist for access method \"btree\"",
                             item->opclass);
        if (strstr(c->name, "pattern") == NULL && c->type != type &&
            opclass_default(AM_BTREE, type) != c)
            return err_raise(ERR_DATATYPE_MISMATCH,
                             "operator class \"%s\" does not accept data type %s", item->opclass,
                             type_display(x->mem, type));
    } else {
        c = opclass_default(AM_BTREE, type);
        if (!c) {
            err_t e = err_raise(ERR_UNDEFINED_OBJECT,
                                "data type %s has no default operator class for access method "
                                "\"btree\"",
                                type_display(x->mem, type));
            err_hint("You must specify an operator class for the index or define a default "
                     "operator class for the data type.");
            return e;
        }
    }
    const struct type_info *info = type_find(type);
    if (!info || !info->sort_key)
        return err_not_built("indexes on type %s are not supported", type_display(x->mem, type));
    m->classes[i] = c->oid;
    return ERR_OK;
}

static SUSPENDS err_t item_column_wait(struct ddl_context *x, struct maker *m, uint32_t i,
                                       const struct ddl_index_item *item)
{
    if (item->column) {
        const struct column_desc *c = table_column(m->t, item->column);
        if (!c)
            return m->r->is_constraint
                       ? err_raise(ERR_UNDEFINED_COLUMN,
                                   "column \"%s\" named in key does not exist", item->column)
                       : err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist",
                                   item->column);
        m->attnos[i] = c->attno;
        m->types[i] = c->type;
        m->typmods[i] = c->typmod;
        m->collations[i] = c->collation;
        m->names[i] = c->name;
        return ERR_OK;
    }
    struct ddl_expression *e = &m->expressions[m->expression_count++];
    TRY(ddl_expression_wait(x, m->t, item->expression, 0, -1, e));
    if (expr_is_mutable(e->expr))
        return err_raise(ERR_INVALID_OBJECT_DEFINITION,
                         "functions in index expression must be marked IMMUTABLE");
    m->types[i] = e->expr->type;
    m->typmods[i] = e->expr->typmod;
    m->collations[i] = e->expr->collation;
    m->names[i] = item->name ? item->name : "expr";
    return ERR_OK;
}

static SUSPENDS err_t items_wait(struct ddl_context *x, struct maker *m)
{
    const struct index_request *r = m->r;
    if (r->item_count > KEYS_MAX)
        return err_raise(ERR_TOO_MANY_COLUMNS, "cannot use more than %d columns in an index",
                         KEYS_MAX);
    m->n = r->item_count;
    for (uint32_t i = 0; i < m->n; i++) {
        const struct ddl_index_item *item = &r->items[i];
        TRY(item_column_wait(x, m, i, item));
        if (i >= r->key_count) {
            m->collations[i] = 0;
            continue;
        }
        TRY(item_opclass(x, m, i, item));
        bool nulls_first = item->nulls ? item->nulls == 1 : item->descending;
        m->options[i] = (int16_t)((item->descending ? 1 : 0) | (nulls_first ? 2 : 0));
        /* equal names in an index's own columns get numbers */
        const char *base = m->names[i];
        for (uint32_t number = 1, k = 0; k < i; k++) {
            if (strcmp(m->names[k], m->names[i]) == 0) {
                m->names[i] = arena_printf(x->mem, "%s%u", base, number++);
                k = UINT32_MAX;
            }
        }
    }
    if (!r->predicate)
        return ERR_OK;
    TRY(ddl_expression_wait(x, m->t, r->predicate, TYPE_BOOL, -1, &m->predicate));
    if (expr_is_mutable(m->predicate.expr))
        return err_raise(ERR_INVALID_OBJECT_DEFINITION,
                         "functions in index predicate must be marked IMMUTABLE");
    return ERR_OK;
}

/* t_pkey, t_a_b_key, t_a_lower_idx */
static SUSPENDS err_t choose_name_wait(struct ddl_context *x, struct maker *m)
{
    const struct index_request *r = m->r;
    if (r->name) {
        bool exists;
        TRY(ddl_relation_exists_wait(x, m->t->schema, r->name, &exists));
        if (exists)
            return err_raise(ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", r->name);
        m->name = r->name;
        return ERR_OK;
    }
    struct strbuf columns;
    strbuf_init(&columns, x->mem);
    for (uint32_t i = 0; i < m->n; i++)
        if (columns.len < 64)
            strbuf_printf(&columns, "%s%s", i ? "_" : "", m->names[i]);
    return ddl_free_name_wait(x, m->t->schema, m->t->name, r->is_primary ? NULL : columns.data,
                              r->label, &m->name);
}

static bool is_local(const struct maker *m)
{
    if (!m->r->is_unique || shard_count() == 1)
        return true;
    if (m->t->distribution == DISTRIBUTED_REPLICATED)
        return true;
    if (m->t->distribution != DISTRIBUTED_HASH)
        return false;
    for (uint32_t k = 0; k < m->t->shard_key_count; k++) {
        bool found = false;
        for (uint32_t i = 0; i < m->r->key_count; i++)
            found = found || m->attnos[i] == m->t->shard_key[k];
        if (!found)
            return false;
    }
    return true;
}

static const char *map_name(struct arena *mem, oid index)
{
    return arena_printf(mem, "pg_map_%u", index);
}

static const char *map_index_name(struct arena *mem, const char *map)
{
    return arena_printf(mem, "%s_index", map);
}

static SUSPENDS err_t make_map_wait(struct ddl_context *x, const struct maker *m, oid *map)
{
    uint32_t keys = m->r->key_count;
    struct table_request r = {.name = map_name(x->mem, m->oid),
                              .schema = SCHEMA_PG_TOAST,
                              .schema_name = "pg_toast",
                              .persistence = m->t->persistence,
                              .kind = 't',
                              .owner = m->t->owner,
                              .column_count = keys + 2,
                              .distribution = 'h',
                              .key_count = keys,
                              .no_row_type = true};
    r.columns = ARENA_ARRAY(x->mem, struct ddl_column, keys + 2);
    struct ddl_index_item *items = ARENA_ARRAY(x->mem, struct ddl_index_item, keys);
    for (uint32_t i = 0; i < keys; i++) {
        r.columns[i].name = arena_printf(x->mem, "key%u", i + 1);
        r.columns[i].type = m->types[i];
        r.columns[i].typmod = m->typmods[i];
        r.columns[i].collation = m->collations[i];
        r.keys[i] = (int16_t)(i + 1);
        items[i].column = r.columns[i].name;
        const struct type_info *type = type_find(m->types[i]);
        if (!type->hash)
            return err_not_built("unique indexes without the shard key on type %s are not "
                                 "supported",
                                 type_display(x->mem, m->types[i]));
    }
    r.columns[keys] =
        (struct ddl_column){.name = "shard", .type = TYPE_INT4, .typmod = -1, .not_null = true};
    r.columns[keys + 1] =
        (struct ddl_column){.name = "row_id", .type = TYPE_INT8, .typmod = -1, .not_null = true};
    TRY(ddl_make_table_wait(x, &r, map));
    struct index_request ir = {.table = *map,
                               .name = map_index_name(x->mem, r.name),
                               .is_unique = true,
                               .deferrable = m->r->deferrable,
                               .item_count = keys,
                               .key_count = keys,
                               .items = items,
                               .is_new_table = true,
                               .label = "idx"};
    oid index;
    TRY(ddl_make_index_wait(x, &ir, &index));
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(rows_depend(w, x->mem, REL_CLASS, *map, 0, REL_CLASS, m->oid, 0, 'i'));
    TRY(rows_distribution(w, x->mem, m->oid, 'm', NULL, 0, *map));
    return catalog_apply_wait(w);
}

static SUSPENDS err_t map_of_wait(struct ddl_context *x, oid index, oid *map)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_DISTRIBUTION, INDEX_DISTRIBUTION_RELID, 1, index, 0,
                          x->mem, &rows));
    *map = rows.count ? catalog_oid_value(&rows.rows[0], COL_DISMAP) : 0;
    return ERR_OK;
}

err_t ddl_index_deferrable_wait(struct ddl_context *x, oid index)
{
    oid map;
    TRY(rows_set_wait(x, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, index, 0, COL_INDIMMEDIATE,
                      datum_of_bool(false), false));
    TRY(map_of_wait(x, index, &map));
    if (!map)
        return ERR_OK;
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_INDEX, INDEX_INDEX_INDRELID, 1, map, 0, x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        TRY(rows_set_wait(x, REL_INDEX, INDEX_INDEX_INDEXRELID, 1,
                          catalog_oid_value(&rows.rows[i], COL_INDEXRELID), 0, COL_INDIMMEDIATE,
                          datum_of_bool(false), false));
    return ERR_OK;
}

static SUSPENDS err_t map_rename_wait(struct ddl_context *x, oid map, const char *name)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_INDEX, INDEX_INDEX_INDRELID, 1, map, 0, x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1,
                          catalog_oid_value(&rows.rows[i], COL_INDEXRELID), 0, COL_RELNAME,
                          datum_of_text(x->mem, map_index_name(x->mem, name)), false));
    return rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, map, 0, COL_RELNAME,
                         datum_of_text(x->mem, name), false);
}

static SUSPENDS err_t map_give_wait(struct ddl_context *x, oid map, oid from, oid index)
{
    TRY(rows_set_wait(x, REL_DISTRIBUTION, INDEX_DISTRIBUTION_RELID, 1, index, 0, COL_DISMAP, map,
                      false));
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_DEPEND, INDEX_DEPEND_DEPENDER, 2, REL_CLASS, map, x->mem,
                          &rows));
    for (uint32_t i = 0; i < rows.count; i++) {
        datum *v;
        bool *n;
        if (catalog_oid_value(&rows.rows[i], COL_REFOBJID) != from)
            continue;
        rows_copy(x->mem, &rows.rows[i], COLS_DEPEND, &v, &n);
        v[COL_REFOBJID - 1] = index;
        TRY(catalog_replace_wait(x->catalog, REL_DEPEND, &rows.rows[i], v, n, x->mem));
    }
    return map_rename_wait(x, map, map_name(x->mem, index));
}

err_t ddl_swap_maps_wait(struct ddl_context *x, oid index, oid other)
{
    oid a;
    oid b;
    TRY(map_of_wait(x, index, &a));
    TRY(map_of_wait(x, other, &b));
    if (!a || !b)
        return ERR_OK;
    TRY(map_rename_wait(x, a, arena_printf(x->mem, "%s_old", map_name(x->mem, index))));
    TRY(map_give_wait(x, b, other, index));
    return map_give_wait(x, a, index, other);
}

err_t ddl_index_flags_wait(struct ddl_context *x, oid index, const struct index_flags *f)
{
    struct catalog_row row;
    datum *v;
    bool *n;
    TRY(rows_get_wait(x, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, index, 0, &row));
    rows_copy(x->mem, &row, COLS_INDEX, &v, &n);
    v[COL_INDISVALID - 1] = datum_of_bool(f->valid);
    v[COL_INDISREADY - 1] = datum_of_bool(f->ready);
    v[COL_INDISLIVE - 1] = datum_of_bool(f->live);
    return catalog_replace_wait(x->catalog, REL_INDEX, &row, v, n, x->mem);
}

static err_t put_index_row(struct catalog_writer *w, struct arena *mem, const struct maker *m)
{
    datum *v = ARENA_ARRAY(mem, datum, COLS_INDEX);
    bool *n = ARENA_ARRAY(mem, bool, COLS_INDEX);
    const struct index_request *r = m->r;
    v[COL_INDEXRELID - 1] = m->oid;
    v[COL_INDRELID - 1] = m->t->oid;
    v[COL_INDNATTS - 1] = datum_of_i16((int16_t)m->n);
    v[COL_INDNKEYATTS - 1] = datum_of_i16((int16_t)r->key_count);
    v[COL_INDISUNIQUE - 1] = datum_of_bool(r->is_unique);
    v[COL_INDNULLSNOTDISTINCT - 1] = datum_of_bool(r->nulls_not_distinct);
    v[COL_INDISPRIMARY - 1] = datum_of_bool(r->is_primary);
    v[COL_INDIMMEDIATE - 1] = datum_of_bool(!r->deferrable);
    v[COL_INDISVALID - 1] = datum_of_bool(!r->is_invalid);
    v[COL_INDISREADY - 1] = datum_of_bool(!r->is_invalid);
    v[COL_INDISLIVE - 1] = datum_of_bool(true);
    v[COL_INDKEY - 1] = catalog_int2vector(mem, m->attnos, m->n);
    v[COL_INDCOLLATION - 1] = catalog_oidvector(mem, m->collations, r->key_count);
    v[COL_INDCLASS - 1] = catalog_oidvector(mem, m->classes, r->key_count);
    v[COL_INDOPTION - 1] = catalog_int2vector(mem, m->options, r->key_count);
    n[COL_INDEXPRS - 1] = m->expression_count == 0;
    n[COL_INDPRED - 1] = m->predicate.text == NULL;
    if (m->expression_count) {
        struct strbuf b;
        strbuf_init(&b, mem);
        for (uint32_t i = 0; i < m->expression_count; i++)
            strbuf_printf(&b, "%s%s", i ? ", " : "", m->expressions[i].text);
        v[COL_INDEXPRS - 1] = datum_of_text(mem, b.data);
    }
    if (m->predicate.text)
        v[COL_INDPRED - 1] = datum_of_text(mem, m->predicate.text);
    return catalog_put(w, REL_INDEX, v, n);
}

static err_t put_dependencies(struct catalog_writer *w, struct arena *mem, const struct maker *m)
{
    bool *seen = ARENA_ARRAY(mem, bool, m->t->column_count + 1);
    bool any = false;
    for (uint32_t i = 0; i < m->n; i++)
        seen[m->attnos[i]] = true;
    for (uint32_t i = 0; i < m->expression_count; i++)
        for (uint32_t c = 0; c < m->expressions[i].column_count; c++)
            seen[m->expressions[i].columns[c]] = true;
    for (uint32_t c = 0; c < m->predicate.column_count; c++)
        seen[m->predicate.columns[c]] = true;
    for (uint32_t c = 1; c <= m->t->column_count; c++) {
        if (!seen[c])
            continue;
        any = true;
        TRY(rows_depend(w, mem, REL_CLASS, m->oid, 0, REL_CLASS, m->t->oid, (int32_t)c, 'a'));
    }
    if (!any)
        TRY(rows_depend(w, mem, REL_CLASS, m->oid, 0, REL_CLASS, m->t->oid, 0, 'a'));
    return ERR_OK;
}

static err_t index_options(struct ddl_context *x, const struct index_request *r,
                           struct class_row *c)
{
    const char **options = ARENA_ARRAY(x->mem, const char *, r->option_count + 1);
    for (uint32_t i = 0; i < r->option_count; i++) {
        const struct ddl_option *o = &r->options[i];
        if (strcmp(o->name, "fillfactor") != 0 && strcmp(o->name, "deduplicate_items") != 0)
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "unrecognized parameter \"%s\"", o->name);
        options[i] = arena_printf(x->mem, "%s=%s", o->name, o->value ? o->value : "true");
    }
    c->options = options;
    c->option_count = r->option_count;
    return ERR_OK;
}

/* Written only where it is not set: others may make indexes of the table at the same time. */
static SUSPENDS err_t note_indexed_wait(struct ddl_context *x, oid table)
{
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    err_t e;
    do {
        struct catalog_row row;
        datum *v;
        bool *n;
        TRY(rows_get_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, table, 0, &row));
        if (catalog_bool_value(&row, COL_RELHASINDEX))
            return ERR_OK;
        rows_copy(x->mem, &row, COLS_CLASS, &v, &n);
        v[COL_RELHASINDEX - 1] = datum_of_bool(true);
        TRY(catalog_replace(w, REL_CLASS, &row, v, n));
        e = catalog_apply_wait(w);
    } while (e != ERR_OK && catalog_was_overtaken(w));
    return e;
}

static SUSPENDS err_t write_rows_wait(struct ddl_context *x, const struct maker *m)
{
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    struct class_row c = {.oid = m->oid,
                          .name = m->name,
                          .schema = m->t->schema,
                          .owner = m->t->owner,
                          .am = AM_BTREE,
                          .file = m->oid,
                          .persistence = m->t->persistence,
                          .kind = 'i',
                          .columns = (int16_t)m->n};
    TRY(index_options(x, m->r, &c));
    TRY(rows_class(w, x->mem, &c));
    for (uint32_t i = 0; i < m->n; i++) {
        struct attribute_row a = {.relation = m->oid,
                                  .name = m->names[i],
                                  .type = m->types[i],
                                  .typmod = m->typmods[i],
                                  .collation = m->collations[i],
                                  .number = (int16_t)(i + 1)};
        TRY(rows_attribute(w, x->mem, &a));
    }
    TRY(put_index_row(w, x->mem, m));
    if (!m->r->is_constraint)
        TRY(put_dependencies(w, x->mem, m));
    TRY(catalog_apply_wait(w));
    return note_indexed_wait(x, m->t->oid);
}

static SUSPENDS err_t make_wait(struct ddl_context *x, struct maker *m)
{
    TRY(items_wait(x, m));
    TRY(choose_name_wait(x, m));
    TRY(catalog_new_oid_wait(x->catalog, &m->oid));
    bool local = is_local(m);
    if (!local && m->r->nulls_not_distinct)
        return err_not_built("NULLS NOT DISTINCT on an index without the shard key is not "
                             "supported");
    TRY(write_rows_wait(x, m));
    struct ddl_file file = {file_of(x->catalog->database, m->oid), FILE_BTREE};
    TRY(ddl_files_create_wait(x, &file, 1));
    oid map;
    if (!local)
        TRY(make_map_wait(x, m, &map));
    return m->r->is_new_table || m->r->is_invalid ? ERR_OK
                                                  : ddl_build_index_wait(x, m->t->oid, m->oid);
}

err_t ddl_make_index_wait(struct ddl_context *x, const struct index_request *r, oid *out)
{
    TRY(fiber_check_stack());
    struct maker *m = ARENA_NEW(x->mem, struct maker);
    m->r = r;
    TRY(table_by_oid_wait(x->catalog, r->table, &m->t));
    if (!m->t)
        return err_raise(ERR_INTERNAL_ERROR, "relation %u is gone", r->table);
    err_t e = make_wait(x, m);
    table_release(m->t);
    *out = m->oid;
    return e;
}

void ddl_items_of_index(struct ddl_context *x, const struct table_desc *t,
                        const struct index_desc *d, struct ddl_index_item *items)
{
    for (uint32_t k = 0; k < d->column_count; k++) {
        const struct index_key *key = &d->keys[k];
        if (key->attno)
            items[k].column = arena_strdup(x->mem, t->columns[key->attno - 1].name);
        else
            items[k].expression = arena_strdup(x->mem, key->expression);
        const struct opclass_info *c = k < d->key_count ? opclass_find(key->opclass) : NULL;
        if (c && c != opclass_default(AM_BTREE, key->type))
            items[k].opclass = c->name;
        items[k].descending = key->descending;
        items[k].nulls = key->nulls_first ? 1 : 2;
    }
}

err_t ddl_create_index_run_wait(struct ddl_context *x, const struct ddl *d)
{
    const struct ddl_index *i = d->index;
    if (i->concurrently && x->in_block)
        return err_raise(ERR_ACTIVE_SQL_TRANSACTION, "CREATE INDEX CONCURRENTLY %s", x->in_block);
    if (i->method && strcmp(i->method, "btree") != 0) {
        const char *m = i->method;
        if (strcmp(m, "hash") == 0 || strcmp(m, "gin") == 0 || strcmp(m, "gist") == 0 ||
            strcmp(m, "brin") == 0 || strcmp(m, "spgist") == 0)
            return err_not_built("access method \"%s\" is not supported", m);
        return err_raise(ERR_UNDEFINED_OBJECT, "access method \"%s\" does not exist", m);
    }
    const struct table_desc *t;
    TRY(ddl_open_wait(x, &i->table,
                      i->concurrently ? LOCK_SHARE_UPDATE_EXCLUSIVE : LOCK_TABLE_SHARE, &t));
    if (!t)
        return ddl_missing(x, &i->table, "relation");
    err_t e = ERR_OK;
    bool skip = false;
    if (t->kind != 'r') {
        e = err_raise(ERR_WRONG_OBJECT_TYPE, "cannot create index on relation \"%s\"", t->name);
        err_detail("This operation is not supported for %s.", t->kind == 'v'   ? "views"
                                                              : t->kind == 'S' ? "sequences"
                                                                               : "indexes");
    }
    if (e == ERR_OK)
        e = ddl_check_owner_wait(x, t);
    if (e == ERR_OK && i->name && i->if_not_exists) {
        e = ddl_relation_exists_wait(x, t->schema, i->name, &skip);
        if (e == ERR_OK && skip)
            ddl_notice_code(x, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists, skipping",
                            i->name);
    }
    if (e == ERR_OK && !skip)
        e = ddl_check_not_pending(x, t, "CREATE INDEX");
    oid table = t->oid;
    bool concurrently = i->concurrently && t->persistence != 't';
    table_release(t);
    if (e != ERR_OK || skip)
        return e;
    if (i->concurrently && !concurrently) /* nobody else sees it */
        TRY(ddl_lock_wait(x, table, LOCK_TABLE_SHARE));
    struct ddl_index_item *items =
        ARENA_ARRAY(x->mem, struct ddl_index_item, i->item_count + i->include_count);
    for (uint32_t k = 0; k < i->item_count; k++)
        items[k] = i->items[k];
    for (uint32_t k = 0; k < i->include_count; k++)
        items[i->item_count + k] = i->include[k];
    struct index_request r = {.table = table,
                              .name = i->name,
                              .is_unique = i->is_unique,
                              .nulls_not_distinct = i->nulls_not_distinct,
                              .item_count = i->item_count + i->include_count,
                              .key_count = i->item_count,
                              .items = items,
                              .predicate = i->predicate,
                              .options = i->options,
                              .option_count = i->option_count,
                              .label = "idx"};
    oid index;
    return concurrently ? ddl_create_index_concurrently_wait(x, &r)
                        : ddl_make_index_wait(x, &r, &index);
}
