/*
 * ALTER TABLE. Subcommands run in PostgreSQL's passes (drops, type changes, new columns, column
 * attributes, constraints, the rest), each on the table as the earlier ones left it.
 */
#include "sql/ddl/ddl_priv.h"

#include "sql/ddl/relocate.h"

#include <strings.h>

/* ---- columns ---- */

static SUSPENDS err_t column_named_wait(struct ddl_context *x, oid table, const char *name,
                                        const struct table_desc **t, const struct column_desc **c)
{
    TRY(table_by_oid_wait(x->catalog, table, t));
    *c = table_column(*t, name);
    if (*c)
        return ERR_OK;
    err_t e = err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                        name, (*t)->name);
    table_release(*t);
    *t = NULL;
    return e;
}

static SUSPENDS err_t set_attribute_wait(struct ddl_context *x, oid table, int16_t number,
                                         int column, datum value, bool is_null)
{
    return rows_set_wait(x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, table,
                         datum_of_i16(number), column, value, is_null);
}

/* A default that is the same for all rows is stored once (attmissingval). */
static SUSPENDS err_t constant_default_wait(struct ddl_context *x, const struct expr *e,
                                            struct attribute_row *a)
{
    struct program *p;
    struct arena *mem = x->mem;
    struct expr *over_row;
    struct eval eval = {.env = x->env, .mem = mem, .state_mem = mem};
    TRY(ddl_expression_over_row_wait(x, e, &over_row));
    TRY(expr_compile(mem, over_row, &p));
    TRY(expr_eval_wait(p, &eval, &a->missing, &a->missing_is_null));
    a->has_missing = !a->missing_is_null;
    return ERR_OK;
}

static SUSPENDS err_t put_column_wait(struct ddl_context *x, const struct attribute_row *a)
{
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(rows_attribute(w, x->mem, a));
    TRY(catalog_apply_wait(w));
    return rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, a->relation, 0, COL_RELNATTS,
                         datum_of_i16(a->number), false);
}

/* Rewrites the table so that its new last column is the default's value row by row. */
static SUSPENDS err_t fill_column_wait(struct ddl_context *x, oid table, int16_t number)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    struct relocation r;
    struct ddl_expression e = {0};
    const struct column_desc *c = &t->columns[number - 1];
    const char *text = c->default_sql;
    if (!text && c->identity)
        text = arena_printf(x->mem, "pg_catalog.nextval('%u'::pg_catalog.regclass)",
                            c->owned_sequence);
    struct expr **computed = ARENA_ARRAY(x->mem, struct expr *, t->column_count);
    err_t err = relocate_begin_wait(x, t, &r);
    if (err == ERR_OK)
        err = ddl_expression_wait(x, t, text, c->type, c->typmod, &e);
    if (err == ERR_OK)
        err = ddl_expression_over_row_wait(x, e.expr, &computed[number - 1]);
    table_release(t);
    TRY(err);
    return relocate_rows_wait(x, &r, computed, true);
}

static SUSPENDS err_t add_column_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    const struct ddl_column *c = a->column;
    const struct table_desc *t;
    struct ddl_view_change *views;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    struct attribute_row row = {.relation = table,
                                .name = c->name,
                                .type = c->type,
                                .typmod = c->typmod,
                                .collation = c->collation,
                                .number = (int16_t)(t->column_count + 1),
                                .dimensions = (int16_t)c->array_dimensions,
                                .identity = c->identity};
    if (ddl_is_system_column(c->name)) {
        table_release(t);
        return err_raise(ERR_DUPLICATE_COLUMN,
                         "column name \"%s\" conflicts with a system column name", c->name);
    }
    bool exists = table_column(t, c->name) != NULL;
    bool is_full = t->column_count >= 1600;
    const char *table_name = arena_strdup(x->mem, t->name);
    bool has_default = c->default_sql || c->serial != SERIAL_NONE || c->identity;
    bool rewrite = c->serial != SERIAL_NONE || c->identity;
    err_t e = ERR_OK;
    if (!exists && !is_full && c->default_sql) {
        struct ddl_expression d;
        e = ddl_expression_wait(x, t, c->default_sql, c->type, c->typmod, &d);
        if (e == ERR_OK && d.is_volatile)
            rewrite = true;
        else if (e == ERR_OK)
            e = constant_default_wait(x, d.expr, &row);
    }
    table_release(t);
    TRY(e);
    if (exists && a->missing_ok) {
        ddl_notice_code(x, ERR_DUPLICATE_COLUMN,
                        "column \"%s\" of relation \"%s\" already exists, skipping", c->name,
                        table_name);
        return ERR_OK;
    }
    if (exists)
        return err_raise(ERR_DUPLICATE_COLUMN, "column \"%s\" of relation \"%s\" already exists",
                         c->name, table_name);
    if (is_full)
        return err_raise(ERR_TOO_MANY_COLUMNS, "tables can have at most %d columns", 1600);
    TRY(ddl_views_before_add_wait(x, table, c->name, &views));
    TRY(put_column_wait(x, &row));
    TRY(ddl_views_after_change_wait(x, views, false));
    if (c->serial != SERIAL_NONE || c->identity)
        TRY(ddl_column_sequence_wait(x, table, row.number, c));
    else if (c->default_sql)
        TRY(ddl_set_default_wait(x, table, row.number, c->default_sql));
    if (rewrite)
        TRY(fill_column_wait(x, table, row.number));
    if (c->not_null)
        TRY(ddl_set_not_null_wait(x, table, row.number, !has_default || !row.has_missing));
    for (uint32_t i = 0; i < a->column_constraint_count; i++)
        TRY(ddl_add_constraint_wait(x, table, &a->column_constraints[i], false));
    return ERR_OK;
}

static SUSPENDS err_t drop_column_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    const struct column_desc *c = table_column(t, a->name);
    err_t e = ERR_OK;
    struct drop_object o = {REL_CLASS, table, c ? c->attno : 0};
    if (!c && ddl_is_system_column(a->name))
        e = err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot drop system column \"%s\"", a->name);
    else if (!c && a->missing_ok)
        ddl_notice(x, "column \"%s\" of relation \"%s\" does not exist, skipping", a->name,
                   t->name);
    else if (!c)
        e = err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                      a->name, t->name);
    bool in_key = false;
    for (uint32_t k = 0; c && k < t->shard_key_count; k++)
        in_key = in_key || t->shard_key[k] == c->attno;
    table_release(t);
    if (e != ERR_OK || !o.sub)
        return e;
    struct ddl_view_change *views;
    TRY(ddl_views_before_change_wait(x, table, &views));
    TRY(ddl_drop_objects_wait(x, &o, 1, a->cascade, false));
    TRY(ddl_views_after_change_wait(x, views, true));
    if (!in_key)
        return ERR_OK;
    /* the rows stay where they are: without the key, reads ask all shards */
    TRY(rows_set_wait(x, REL_DISTRIBUTION, INDEX_DISTRIBUTION_RELID, 1, table, 0, COL_DISKEYS,
                      catalog_int2vector(x->mem, NULL, 0), false));
    return rows_set_wait(x, REL_DISTRIBUTION, INDEX_DISTRIBUTION_RELID, 1, table, 0, COL_DISKIND,
                         (datum)'k', false);
}

static SUSPENDS err_t set_default_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    const struct table_desc *t;
    const struct column_desc *c;
    TRY(column_named_wait(x, table, a->name, &t, &c));
    int16_t number = c->attno;
    err_t e = ERR_OK;
    if (c->identity) {
        e = err_raise(ERR_SYNTAX_ERROR, "column \"%s\" of relation \"%s\" is an identity column",
                      c->name, t->name);
        if (!a->text)
            err_hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead.");
    }
    table_release(t);
    TRY(e);
    return ddl_set_default_wait(x, table, number, a->text);
}

static SUSPENDS err_t not_null_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    const struct table_desc *t;
    const struct column_desc *c;
    TRY(column_named_wait(x, table, a->name, &t, &c));
    int16_t number = c->attno;
    err_t e = ERR_OK;
    if (a->kind == ALTER_DROP_NOT_NULL) {
        const struct index_desc *pk = table_primary_key(t);
        for (uint32_t i = 0; pk && i < pk->key_count; i++)
            if (pk->keys[i].attno == number)
                e = err_raise(ERR_INVALID_TABLE_DEFINITION, "column \"%s\" is in a primary key",
                              c->name);
        for (uint32_t i = 0; e == ERR_OK && i < t->shard_key_count; i++)
            if (t->shard_key[i] == number)
                e = err_raise(ERR_INVALID_TABLE_DEFINITION, "column \"%s\" is in the shard key",
                              c->name);
        if (e == ERR_OK && c->identity)
            e = err_raise(ERR_SYNTAX_ERROR,
                          "column \"%s\" of relation \"%s\" is an identity column", c->name,
                          t->name);
    }
    table_release(t);
    TRY(e);
    if (a->kind == ALTER_SET_NOT_NULL)
        return ddl_set_not_null_wait(x, table, number, true);
    return set_attribute_wait(x, table, number, COL_ATTNOTNULL, datum_of_bool(false), false);
}

/* ---- ALTER COLUMN TYPE ---- */

/* Whether a length or precision takes every value that another one let in. */
static bool typmod_is_wider(oid type, int32_t from, int32_t to)
{
    if (to < 0)
        return true;
    if (from < 0)
        return false;
    if (type == TYPE_VARCHAR)
        return to >= from;
    if (type == TYPE_NUMERIC) /* the same scale, as many digits before it */
        return ((to - 4) & 0xffff) == ((from - 4) & 0xffff) && to >= from;
    return to == from;
}

/* Whether the rows can stay as they are. */
static bool is_plain_relabel(const struct expr *e, int16_t number)
{
    int32_t typmod = -1;
    for (; e->arg_count == 1; e = e->args[0]) {
        if (e->kind == EXPR_TYPMOD && typmod == -1)
            typmod = e->typmod;
        else if (e->kind != EXPR_RELABEL)
            return false;
    }
    return e->kind == EXPR_COLUMN && e->column.attno == number &&
           typmod_is_wider(e->type, e->typmod, typmod);
}

static SUSPENDS err_t type_expression_wait(struct ddl_context *x, const struct table_desc *t,
                                           const struct column_desc *c, const struct ddl_alter *a,
                                           struct ddl_expression *out)
{
    const char *name = quote_identifier(x->mem, c->name);
    const char *text = a->text ? a->text : name;
    err_t e = ddl_expression_wait(x, t, text, a->column->type, a->column->typmod, out);
    if (e != ERR_DATATYPE_MISMATCH)
        return e;
    const char *type = type_format(x->mem, a->column->type, a->column->typmod);
    if (a->text) {
        e = err_raise(ERR_DATATYPE_MISMATCH,
                      "result of USING clause for column \"%s\" cannot be cast automatically to "
                      "type %s",
                      c->name, type);
        err_hint("You might need to add an explicit cast.");
        return e;
    }
    e = err_raise(ERR_DATATYPE_MISMATCH, "column \"%s\" cannot be cast automatically to type %s",
                  c->name, type);
    err_hint("You might need to specify \"USING %s::%s\".", name, type);
    return e;
}

/* An index expression or predicate that reads the column would have to be made anew. */
static SUSPENDS err_t expression_is_free_wait(struct ddl_context *x, const struct table_desc *t,
                                              const char *text, int16_t number)
{
    struct ddl_expression e;
    TRY(ddl_expression_wait(x, t, text, OID_NONE, -1, &e));
    for (uint32_t i = 0; i < e.column_count; i++)
        if (e.columns[i] == number)
            return err_not_built("changing the type of a column that an index expression or "
                                 "predicate reads is not supported");
    return ERR_OK;
}

static SUSPENDS err_t write_type_wait(struct ddl_context *x, oid table, int16_t number,
                                      const struct ddl_column *c, bool rewritten);
static SUSPENDS err_t update_map_columns_wait(struct ddl_context *x, const struct index_desc *d,
                                              int16_t number, const struct ddl_column *c,
                                              bool stays);

/* stays: neither rows nor the type change, only how long values may be. */
static SUSPENDS err_t update_index_columns_wait(struct ddl_context *x, const struct table_desc *t,
                                                int16_t number, const struct ddl_column *c,
                                                bool stays)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_desc *d = &t->indexes[i];
        for (uint32_t k = 0; k < d->column_count; k++) {
            if (d->keys[k].attno == 0 && !stays)
                TRY(expression_is_free_wait(x, t, d->keys[k].expression, number));
            if (d->keys[k].attno != number)
                continue;
            struct catalog_row row;
            datum *v;
            bool *n;
            TRY(rows_get_wait(x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, d->oid,
                              datum_of_i16((int16_t)(k + 1)), &row));
            rows_copy(x->mem, &row, COLS_ATTRIBUTE, &v, &n);
            const struct type_info *type = type_find(c->type);
            v[COL_ATTTYPID - 1] = c->type;
            v[COL_ATTTYPMOD - 1] = datum_of_i32(c->typmod);
            v[COL_ATTLEN - 1] = datum_of_i16(type->typlen);
            v[COL_ATTALIGN - 1] = (datum)type->align;
            v[COL_ATTSTORAGE - 1] = (datum)type->storage;
            v[COL_ATTBYVAL - 1] = datum_of_bool(type->typlen > 0 && type->by_value);
            v[COL_ATTCOLLATION - 1] = c->collation;
            TRY(catalog_replace_wait(x->catalog, REL_ATTRIBUTE, &row, v, n, x->mem));
            if (k >= d->key_count || stays)
                continue;
            const struct opclass_info *cls = opclass_default(AM_BTREE, c->type);
            if (!cls || !type->sort_key)
                return err_not_built("indexes on type %s are not supported",
                                     type_display(x->mem, c->type));
            TRY(rows_get_wait(x, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, d->oid, 0, &row));
            rows_copy(x->mem, &row, COLS_INDEX, &v, &n);
            const datum *old;
            uint32_t count;
            TRY(catalog_array_read(x->mem, v[COL_INDCLASS - 1], &count, &old));
            oid *classes = ARENA_ARRAY(x->mem, oid, count + 1);
            for (uint32_t j = 0; j < count; j++)
                classes[j] = j == k ? cls->oid : datum_oid(old[j]);
            v[COL_INDCLASS - 1] = catalog_oidvector(x->mem, classes, count);
            TRY(catalog_replace_wait(x->catalog, REL_INDEX, &row, v, n, x->mem));
        }
        if (d->predicate && !stays)
            TRY(expression_is_free_wait(x, t, d->predicate, number));
        if (d->map_table)
            TRY(update_map_columns_wait(x, d, number, c, stays));
    }
    return ERR_OK;
}

/* The map table of a unique index has the index's keys as its first columns. */
static SUSPENDS err_t update_map_columns_wait(struct ddl_context *x, const struct index_desc *d,
                                              int16_t number, const struct ddl_column *c,
                                              bool stays)
{
    const struct table_desc *map;
    err_t e = ERR_OK;
    TRY(table_by_oid_wait(x->catalog, d->map_table, &map));
    for (uint32_t k = 0; map && e == ERR_OK && k < d->key_count; k++) {
        int16_t column = (int16_t)(k + 1);
        if (d->keys[k].attno != number)
            continue;
        e = update_index_columns_wait(x, map, column, c, stays);
        if (e == ERR_OK)
            e = write_type_wait(x, map->oid, column, c, true);
    }
    table_release(map);
    return e;
}

/* Views and checks hold the old type in their meaning. */
static SUSPENDS err_t type_dependents_wait(struct ddl_context *x, const struct table_desc *t,
                                           const struct column_desc *c)
{
    struct catalog_probe p = {.relation = REL_DEPEND,
                              .index = INDEX_DEPEND_REFERENCE,
                              .key_count = 3,
                              .key = {REL_CLASS, t->oid, datum_of_i32(c->attno)}};
    TRY(catalog_probe_wait(x->catalog, &p, 1, x->mem));
    for (uint32_t i = 0; i < p.found.count; i++) {
        const char *text;
        const struct catalog_row *r = &p.found.rows[i];
        oid class = catalog_oid_value(r, COL_CLASSID);
        if (class != REL_REWRITE)
            continue;
        TRY(ddl_object_text_wait(x, class, catalog_oid_value(r, COL_OBJID), 0, &text));
        err_t e = err_raise(ERR_FEATURE_NOT_SUPPORTED,
                            "cannot alter type of a column used by a view or rule");
        err_detail("rule _RETURN on %s depends on column \"%s\"", text, c->name);
        return e;
    }
    return ERR_OK;
}

static SUSPENDS err_t write_type_wait(struct ddl_context *x, oid table, int16_t number,
                                      const struct ddl_column *c, bool rewritten)
{
    struct catalog_row row;
    datum *v;
    bool *n;
    const struct type_info *type = type_find(c->type);
    TRY(rows_get_wait(x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, table,
                      datum_of_i16(number), &row));
    rows_copy(x->mem, &row, COLS_ATTRIBUTE, &v, &n);
    v[COL_ATTTYPID - 1] = c->type;
    v[COL_ATTTYPMOD - 1] = datum_of_i32(c->typmod);
    v[COL_ATTLEN - 1] = datum_of_i16(type->typlen);
    v[COL_ATTNDIMS - 1] = datum_of_i32(c->array_dimensions);
    v[COL_ATTBYVAL - 1] = datum_of_bool(type->typlen > 0 && type->by_value);
    v[COL_ATTALIGN - 1] = (datum)type->align;
    v[COL_ATTSTORAGE - 1] = (datum)type->storage;
    v[COL_ATTCOLLATION - 1] = c->collation;
    if (rewritten) {
        v[COL_ATTHASMISSING - 1] = datum_of_bool(false);
        n[COL_ATTMISSINGVAL - 1] = true;
    }
    return catalog_replace_wait(x->catalog, REL_ATTRIBUTE, &row, v, n, x->mem);
}

static SUSPENDS err_t drop_statistics_wait(struct ddl_context *x, oid table, int16_t number)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_STATISTIC, INDEX_STATISTIC_RELID_ATT_INH, 2, table,
                          datum_of_i16(number), x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        TRY(catalog_remove_wait(x->catalog, REL_STATISTIC, &rows.rows[i], x->mem));
    return ERR_OK;
}

static SUSPENDS err_t alter_type_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    const struct table_desc *t;
    const struct column_desc *c;
    TRY(column_named_wait(x, table, a->name, &t, &c));
    struct ddl_expression e;
    struct relocation r;
    int16_t number = c->attno;
    const char *default_sql = c->default_sql ? arena_strdup(x->mem, c->default_sql) : NULL;
    struct expr **computed = ARENA_ARRAY(x->mem, struct expr *, t->column_count);
    err_t err = type_dependents_wait(x, t, c);
    if (err == ERR_OK)
        err = type_expression_wait(x, t, c, a, &e);
    bool rewrite = err == ERR_OK && !is_plain_relabel(e.expr, number);
    if (err == ERR_OK && rewrite)
        err = ddl_expression_over_row_wait(x, e.expr, &computed[number - 1]);
    if (err == ERR_OK && rewrite)
        err = relocate_begin_wait(x, t, &r);
    if (err == ERR_OK)
        err = update_index_columns_wait(x, t, number, a->column,
                                        !rewrite && c->type == a->column->type);
    table_release(t);
    TRY(err);
    TRY(write_type_wait(x, table, number, a->column, rewrite));
    TRY(drop_statistics_wait(x, table, number));
    if (rewrite)
        TRY(relocate_rows_wait(x, &r, computed, e.is_volatile));
    if (default_sql)
        TRY(ddl_set_default_wait(x, table, number, default_sql));
    return ddl_retype_foreign_keys_wait(x, table, number);
}

/* ---- constraints ---- */

static SUSPENDS err_t drop_constraint_wait(struct ddl_context *x, oid table,
                                           const struct ddl_alter *a)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    struct drop_object o = {REL_CONSTRAINT, 0, 0};
    for (uint32_t i = 0; i < t->constraint_count; i++)
        if (strcmp(t->constraints[i].name, a->name) == 0)
            o.object = t->constraints[i].oid;
    err_t e = ERR_OK;
    if (!o.object && a->missing_ok)
        ddl_notice(x, "constraint \"%s\" of relation \"%s\" does not exist, skipping", a->name,
                   t->name);
    else if (!o.object)
        e = err_raise(ERR_UNDEFINED_OBJECT, "constraint \"%s\" of relation \"%s\" does not exist",
                      a->name, t->name);
    table_release(t);
    return e != ERR_OK || !o.object ? e : ddl_drop_objects_wait(x, &o, 1, a->cascade, false);
}

static SUSPENDS err_t validate_constraint_wait(struct ddl_context *x, oid table,
                                               const struct ddl_alter *a)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    const struct constraint_desc *c = NULL;
    for (uint32_t i = 0; i < t->constraint_count; i++)
        if (strcmp(t->constraints[i].name, a->name) == 0)
            c = &t->constraints[i];
    err_t e = ERR_OK;
    bool ok = true;
    oid object = c ? c->oid : 0;
    bool todo = c && !c->validated && c->type == 'c';
    bool is_foreign = c && !c->validated && c->type == 'f';
    if (!c)
        e = err_raise(ERR_UNDEFINED_OBJECT, "constraint \"%s\" of relation \"%s\" does not exist",
                      a->name, t->name);
    else if (c->type != 'c' && c->type != 'f')
        e = err_raise(ERR_WRONG_OBJECT_TYPE,
                      "constraint \"%s\" of relation \"%s\" is not a foreign key or check "
                      "constraint",
                      a->name, t->name);
    if (e == ERR_OK && is_foreign)
        e = ddl_lock_wait(x, c->foreign_table, LOCK_ROW_SHARE);
    if (e == ERR_OK && is_foreign)
        e = ddl_validate_foreign_key_wait(x, table, c->oid);
    if (todo) {
        struct ddl_expression d;
        struct plan_options o = ddl_plan_options(x);
        struct plan_table *pt;
        struct expr *over_row;
        e = ddl_expression_wait(x, t, c->check_sql, TYPE_BOOL, -1, &d);
        if (e == ERR_OK)
            e = plan_table_make_wait(&o, table, x->mem, &pt);
        if (e == ERR_OK)
            e = ddl_expression_over_row_wait(x, d.expr, &over_row);
        if (e == ERR_OK)
            e = ddl_validate_check_wait(x, pt, over_row, &ok);
        if (e == ERR_OK && !ok)
            e = err_raise(ERR_CHECK_VIOLATION,
                          "check constraint \"%s\" of relation \"%s\" is violated by some row",
                          c->name, t->name);
    }
    table_release(t);
    if (e != ERR_OK || (!todo && !is_foreign))
        return e;
    return rows_set_wait(x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, object, 0, COL_CONVALIDATED,
                         datum_of_bool(true), false);
}

/* ---- identity, options, the rest ---- */

static SUSPENDS err_t identity_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    const struct table_desc *t;
    const struct column_desc *c;
    TRY(column_named_wait(x, table, a->name, &t, &c));
    int16_t number = c->attno;
    struct drop_object o = {REL_CLASS, c->owned_sequence, 0};
    struct ddl_column column = {.name = arena_strdup(x->mem, c->name), .type = c->type};
    err_t e = ERR_OK;
    bool skip = false;
    if (a->kind == ALTER_ADD_IDENTITY) {
        column.identity = a->letter;
        column.identity_options = a->column->identity_options;
        if (c->type != TYPE_INT2 && c->type != TYPE_INT4 && c->type != TYPE_INT8)
            e = err_raise(ERR_INVALID_PARAMETER_VALUE,
                          "identity column type must be smallint, integer, or bigint");
        else if (!c->not_null)
            e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                          "column \"%s\" of relation \"%s\" must be declared NOT NULL before "
                          "identity can be added",
                          c->name, t->name);
        else if (c->identity)
            e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                          "column \"%s\" of relation \"%s\" is already an identity column", c->name,
                          t->name);
        else if (c->default_sql)
            e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                          "column \"%s\" of relation \"%s\" already has a default value", c->name,
                          t->name);
    } else if (!c->identity) {
        skip = true;
        if (a->missing_ok && a->kind == ALTER_DROP_IDENTITY)
            ddl_notice(x, "column \"%s\" of relation \"%s\" is not an identity column, skipping",
                       c->name, t->name);
        else
            e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                          "column \"%s\" of relation \"%s\" is not an identity column", c->name,
                          t->name);
    }
    table_release(t);
    if (e != ERR_OK || skip)
        return e;
    if (a->kind == ALTER_SET_IDENTITY) {
        if (a->letter)
            TRY(set_attribute_wait(x, table, number, COL_ATTIDENTITY, (datum)a->letter, false));
        return a->number == 0 ? ERR_OK
                              : ddl_change_sequence_wait(x, o.object, &a->column->identity_options);
    }
    TRY(set_attribute_wait(x, table, number, COL_ATTIDENTITY, (datum)column.identity, false));
    if (a->kind == ALTER_ADD_IDENTITY)
        return ddl_column_sequence_wait(x, table, number, &column);
    /* the sequence goes with its dependency turned into a plain one first */
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_DEPEND, INDEX_DEPEND_DEPENDER, 2, REL_CLASS, o.object,
                          x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        if (catalog_char_value(&rows.rows[i], COL_DEPTYPE) == 'i')
            TRY(catalog_remove_wait(x->catalog, REL_DEPEND, &rows.rows[i], x->mem));
    return ddl_drop_objects_wait(x, &o, 1, false, true);
}

static SUSPENDS err_t options_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    const char **kept = ARENA_ARRAY(x->mem, const char *, t->option_count + a->option_count + 1);
    uint32_t count = 0;
    bool is_table = t->kind == 'r';
    for (uint32_t i = 0; i < t->option_count; i++) {
        bool replaced = false;
        for (uint32_t k = 0; k < a->option_count; k++) {
            size_t len = strlen(a->options[k].name);
            replaced = replaced || (strncmp(t->options[i], a->options[k].name, len) == 0 &&
                                    t->options[i][len] == '=');
        }
        if (!replaced)
            kept[count++] = arena_strdup(x->mem, t->options[i]);
    }
    table_release(t);
    for (uint32_t k = 0; k < a->option_count; k++) {
        const struct ddl_option *o = &a->options[k];
        if (strcmp(o->name, "shard_key") == 0 || strcmp(o->name, "placement") == 0)
            return err_not_built("changing \"%s\" is not supported", o->name);
        if (a->kind == ALTER_SET_OPTIONS && !o->qualifier && is_table)
            TRY(ddl_storage_option_check(o));
        if (a->kind == ALTER_SET_OPTIONS && !o->qualifier)
            kept[count++] = arena_printf(x->mem, "%s=%s", o->name, o->value ? o->value : "true");
    }
    return rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, table, 0, COL_RELOPTIONS,
                         count ? catalog_text_array(x->mem, kept, count) : 0, count == 0);
}

/* Kept for who asks: every table is as durable as the others. Indexes and sequences go along. */
static SUSPENDS err_t logged_wait(struct ddl_context *x, oid table, char persistence)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    err_t e = ERR_OK;
    if (t->persistence == 't')
        e = err_raise(ERR_INVALID_TABLE_DEFINITION,
                      "cannot change logged status of table \"%s\" because it is temporary",
                      t->name);
    if (e != ERR_OK)
        err_object(t->schema_name, t->name, NULL, NULL, NULL);
    else
        e = rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, table, 0, COL_RELPERSISTENCE,
                          (datum)persistence, false);
    for (uint32_t i = 0; e == ERR_OK && i < t->index_count; i++)
        e = rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, t->indexes[i].oid, 0,
                          COL_RELPERSISTENCE, (datum)persistence, false);
    for (uint32_t i = 0; e == ERR_OK && i < t->column_count; i++)
        if (t->columns[i].owned_sequence)
            e = rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, t->columns[i].owned_sequence, 0,
                              COL_RELPERSISTENCE, (datum)persistence, false);
    table_release(t);
    return e;
}

/* The index by which CLUSTER would order the table; NULL: none. Kept for who asks. */
static SUSPENDS err_t cluster_on_wait(struct ddl_context *x, oid table, const char *name)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    err_t e = ERR_OK;
    const struct index_desc *d = NULL;
    for (uint32_t i = 0; name && i < t->index_count; i++)
        if (strcmp(t->indexes[i].name, name) == 0)
            d = &t->indexes[i];
    if (name && !d)
        e = err_raise(ERR_UNDEFINED_OBJECT, "index \"%s\" for table \"%s\" does not exist", name,
                      t->name);
    else if (d && d->predicate)
        e = err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot cluster on partial index \"%s\"", name);
    else if (d && !d->is_valid)
        e = err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot cluster on invalid index \"%s\"", name);
    oid index = d ? d->oid : OID_NONE;
    for (uint32_t i = 0; e == ERR_OK && i < t->index_count; i++)
        e = rows_set_wait(x, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, t->indexes[i].oid, 0,
                          COL_INDISCLUSTERED, datum_of_bool(t->indexes[i].oid == index), false);
    table_release(t);
    return e;
}

static SUSPENDS err_t owner_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    struct ddl_role role = {.kind = a->letter == 'n' ? ROLE_SPEC_NAME : ROLE_SPEC_CURRENT,
                            .name = a->text};
    oid owner;
    TRY(ddl_role_oid_wait(x, &role, &owner));
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    struct catalog_rows rows;
    err_t e = rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, table, 0, COL_RELOWNER, owner, false);
    for (uint32_t i = 0; e == ERR_OK && i < t->index_count; i++)
        e = rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, t->indexes[i].oid, 0, COL_RELOWNER,
                          owner, false);
    for (uint32_t i = 0; e == ERR_OK && i < t->column_count; i++)
        if (t->columns[i].owned_sequence)
            e = rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, t->columns[i].owned_sequence, 0,
                              COL_RELOWNER, owner, false);
    if (e == ERR_OK && t->row_type)
        e = catalog_find_wait(x->catalog, REL_TYPE, INDEX_TYPE_OID, 1, t->row_type, 0, x->mem,
                              &rows);
    if (e == ERR_OK && t->row_type && rows.count)
        e = rows_set_wait(x, REL_TYPE, INDEX_TYPE_OID, 1, t->row_type, 0, COL_TYPOWNER, owner,
                          false);
    table_release(t);
    return e;
}

/* Kept for who asks: large values are stored by size alone. */
static SUSPENDS err_t set_storage_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    static const char *const words[] = {"plain", "external", "extended", "main"};
    const struct table_desc *t;
    const struct column_desc *c;
    char letter = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(a->text, words[i]) == 0)
            letter = "pexm"[i];
    if (!letter)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid storage type \"%s\"", a->text);
    TRY(column_named_wait(x, table, a->name, &t, &c));
    const struct type_info *type = type_find(c->type);
    int16_t number = c->attno;
    err_t e = ERR_OK;
    if (letter != 'p' && type && type->storage == 'p')
        e = err_raise(ERR_FEATURE_NOT_SUPPORTED, "column data type %s can only have storage PLAIN",
                      type_format(x->mem, c->type, c->typmod));
    table_release(t);
    TRY(e);
    return set_attribute_wait(x, table, number, COL_ATTSTORAGE, (datum)letter, false);
}

static SUSPENDS err_t statistics_target_wait(struct ddl_context *x, oid table,
                                             const struct ddl_alter *a)
{
    const struct table_desc *t;
    const struct column_desc *c;
    if (!a->name)
        return err_not_built("SET STATISTICS by column number is not supported");
    TRY(column_named_wait(x, table, a->name, &t, &c));
    int16_t number = c->attno;
    table_release(t);
    int64_t target = MIN(a->number, 10000);
    return set_attribute_wait(x, table, number, COL_ATTSTATTARGET, datum_of_i32((int32_t)target),
                              false);
}

static SUSPENDS err_t run_one_wait(struct ddl_context *x, oid table, const struct ddl_alter *a)
{
    switch (a->kind) {
    case ALTER_ADD_COLUMN:
        return add_column_wait(x, table, a);
    case ALTER_DROP_COLUMN:
        return drop_column_wait(x, table, a);
    case ALTER_SET_DEFAULT:
        return set_default_wait(x, table, a);
    case ALTER_SET_NOT_NULL:
    case ALTER_DROP_NOT_NULL:
        return not_null_wait(x, table, a);
    case ALTER_COLUMN_TYPE:
        return alter_type_wait(x, table, a);
    case ALTER_ADD_CONSTRAINT:
        return ddl_add_constraint_wait(x, table, a->constraint, false);
    case ALTER_DROP_CONSTRAINT:
        return drop_constraint_wait(x, table, a);
    case ALTER_CONSTRAINT:
        return ddl_alter_constraint_wait(x, table, a->constraint);
    case ALTER_VALIDATE_CONSTRAINT:
        return validate_constraint_wait(x, table, a);
    case ALTER_ADD_IDENTITY:
    case ALTER_SET_IDENTITY:
    case ALTER_DROP_IDENTITY:
        return identity_wait(x, table, a);
    case ALTER_SET_LOGGED:
        return logged_wait(x, table, a->letter);
    case ALTER_CLUSTER_ON:
        return cluster_on_wait(x, table, a->name);
    case ALTER_OWNER:
        return owner_wait(x, table, a);
    case ALTER_SET_OPTIONS:
    case ALTER_RESET_OPTIONS:
        return options_wait(x, table, a);
    case ALTER_SET_STATISTICS:
        return statistics_target_wait(x, table, a);
    case ALTER_SET_STORAGE:
        return set_storage_wait(x, table, a);
    case ALTER_SET_TABLESPACE:
        if (strcmp(a->name, "pg_default") != 0)
            return err_raise(ERR_UNDEFINED_OBJECT, "tablespace \"%s\" does not exist", a->name);
        return ERR_OK;
    case ALTER_REPLICA_IDENTITY:
        return rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, table, 0, COL_RELREPLIDENT,
                             (datum)a->letter, false);
    case ALTER_NOT_BUILT:
        return err_not_built("%s", a->text);
    default:
        return ERR_OK;
    }
}

static int pass_of(const struct ddl_alter *a)
{
    switch (a->kind) {
    case ALTER_DROP_COLUMN:
    case ALTER_DROP_CONSTRAINT:
        return 0;
    case ALTER_COLUMN_TYPE:
        return 1;
    case ALTER_ADD_COLUMN:
        return 2;
    case ALTER_ADD_CONSTRAINT:
        return a->constraint->kind == CON_CHECK || a->constraint->kind == CON_FOREIGN ? 5 : 4;
    case ALTER_SET_DEFAULT:
    case ALTER_SET_NOT_NULL:
    case ALTER_DROP_NOT_NULL:
    case ALTER_ADD_IDENTITY:
    case ALTER_SET_IDENTITY:
    case ALTER_DROP_IDENTITY:
        return 3;
    default:
        return 6;
    }
}

static err_t check_kind(const struct ddl *d, const struct table_desc *t)
{
    if (d->object == OBJ_VIEW && t->kind != 'v')
        return err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a view", t->name);
    if (d->object == OBJ_SEQUENCE && t->kind != 'S')
        return err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", t->name);
    if (t->kind == 'r')
        return ERR_OK;
    for (uint32_t i = 0; i < d->alter_count; i++) {
        enum ddl_alter_kind k = d->alters[i].kind;
        if (k != ALTER_OWNER && k != ALTER_SET_OPTIONS && k != ALTER_RESET_OPTIONS)
            return err_raise(ERR_WRONG_OBJECT_TYPE,
                             "ALTER action cannot be performed on relation \"%s\"", t->name);
    }
    return ERR_OK;
}

/* As PostgreSQL's: what readers and writers need not wait for. */
static enum table_lock_mode lock_mode(const struct ddl *d)
{
    enum table_lock_mode mode = LOCK_SHARE_UPDATE_EXCLUSIVE;
    for (uint32_t i = 0; i < d->alter_count; i++) {
        const struct ddl_alter *a = &d->alters[i];
        switch (a->kind) {
        case ALTER_VALIDATE_CONSTRAINT:
        case ALTER_SET_STATISTICS:
            break;
        case ALTER_ADD_CONSTRAINT:
            if (a->constraint->kind != CON_FOREIGN)
                return LOCK_ACCESS_EXCLUSIVE;
            mode = MAX(mode, LOCK_SHARE_ROW_EXCLUSIVE);
            break;
        case ALTER_CONSTRAINT:
            return LOCK_ACCESS_EXCLUSIVE;
        default:
            return LOCK_ACCESS_EXCLUSIVE;
        }
    }
    return mode;
}

err_t ddl_alter_table_run_wait(struct ddl_context *x, const struct ddl *d)
{
    const struct table_desc *t;
    if (d->object == OBJ_INDEX) {
        uint32_t position;
        TRY(ddl_open_index_wait(x, &d->names[0], LOCK_ACCESS_EXCLUSIVE, &t, &position));
        if (!t)
            return ddl_missing(x, &d->names[0], "relation");
        table_release(t);
        return ERR_OK; /* SET (fillfactor ...), SET TABLESPACE pg_default: no effect */
    }
    TRY(ddl_open_wait(x, &d->names[0], lock_mode(d), &t));
    if (!t) {
        if (!d->missing_ok)
            return ddl_missing(x, &d->names[0], "relation");
        ddl_notice(x, "relation \"%s\" does not exist, skipping", d->names[0].name);
        return ERR_OK;
    }
    oid table = t->oid;
    err_t e = ddl_check_owner_wait(x, t);
    if (e == ERR_OK)
        e = check_kind(d, t);
    if (e == ERR_OK)
        e = ddl_check_not_pending(x, t, "ALTER TABLE");
    table_release(t);
    TRY(e);
    for (int pass = 0; pass <= 6; pass++)
        for (uint32_t i = 0; i < d->alter_count; i++)
            if (pass_of(&d->alters[i]) == pass)
                TRY(run_one_wait(x, table, &d->alters[i]));
    return ERR_OK;
}
