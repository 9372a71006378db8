/* Constraints: CHECK, NOT NULL, PRIMARY KEY and UNIQUE. */
#include "sql/ddl/ddl_priv.h"

static SUSPENDS err_t constraint_exists_wait(struct ddl_context *x, oid table, const char *name,
                                             bool *exists)
{
    struct catalog_probe p = {.relation = REL_CONSTRAINT,
                              .index = INDEX_CONSTRAINT_CONRELID_CONTYPID_CONNAME,
                              .key_count = 3,
                              .key = {table, 0, datum_of_text(x->mem, name)}};
    TRY(catalog_probe_wait(x->catalog, &p, 1, x->mem));
    *exists = p.found.count > 0;
    return ERR_OK;
}

err_t ddl_constraint_name_free_wait(struct ddl_context *x, const struct table_desc *t,
                                    const char *name)
{
    bool exists;
    TRY(constraint_exists_wait(x, t->oid, name, &exists));
    if (exists)
        return err_raise(ERR_DUPLICATE_OBJECT,
                         "constraint \"%s\" for relation \"%s\" already exists", name, t->name);
    return ERR_OK;
}

static SUSPENDS err_t choose_check_name_wait(struct ddl_context *x, const struct table_desc *t,
                                             const struct ddl_expression *e, const char **out)
{
    const char *column = e->column_count == 1 ? t->columns[e->columns[0] - 1].name : NULL;
    for (uint32_t i = 0;; i++) {
        const char *label = i ? arena_printf(x->mem, "check%u", i) : "check";
        *out = ddl_object_name(x->mem, t->name, column, label);
        bool exists;
        TRY(constraint_exists_wait(x, t->oid, *out, &exists));
        if (!exists)
            return ERR_OK;
    }
}

static SUSPENDS err_t validate_wait(struct ddl_context *x, const struct table_desc *t,
                                    const struct expr *e, bool *ok)
{
    struct plan_options o = ddl_plan_options(x);
    struct plan_table *pt;
    struct expr *over_row;
    TRY(plan_table_make_wait(&o, t->oid, x->mem, &pt));
    TRY(ddl_expression_over_row_wait(x, e, &over_row));
    return ddl_validate_check_wait(x, pt, over_row, ok);
}

static SUSPENDS err_t add_check_wait(struct ddl_context *x, const struct table_desc *t,
                                     const struct ddl_constraint *c, bool is_new)
{
    struct ddl_expression e;
    TRY(ddl_expression_wait(x, t, c->check_sql, TYPE_BOOL, -1, &e));
    const char *name = c->name;
    if (name)
        TRY(ddl_constraint_name_free_wait(x, t, name));
    else
        TRY(choose_check_name_wait(x, t, &e, &name));
    if (!is_new && !c->not_valid) {
        bool ok;
        TRY(validate_wait(x, t, e.expr, &ok));
        if (!ok) {
            err_t err = err_raise(ERR_CHECK_VIOLATION,
                                  "check constraint \"%s\" of relation \"%s\" is violated by some "
                                  "row",
                                  name, t->name);
            err_object(t->schema_name, t->name, NULL, NULL, name);
            return err;
        }
    }
    struct constraint_row r = {.name = name,
                               .schema = t->schema,
                               .type = 'c',
                               .validated = is_new || !c->not_valid,
                               .no_inherit = c->no_inherit,
                               .relation = t->oid,
                               .columns = e.columns,
                               .column_count = e.column_count,
                               .check_sql = e.text};
    TRY(catalog_new_oid_wait(x->catalog, &r.oid));
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(rows_constraint(w, x->mem, &r));
    for (uint32_t i = 0; i < e.column_count; i++)
        TRY(rows_depend(w, x->mem, REL_CONSTRAINT, r.oid, 0, REL_CLASS, t->oid, e.columns[i], 'a'));
    if (e.column_count == 0)
        TRY(rows_depend(w, x->mem, REL_CONSTRAINT, r.oid, 0, REL_CLASS, t->oid, 0, 'a'));
    TRY(catalog_apply_wait(w));
    struct catalog_row row;
    TRY(rows_get_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, t->oid, 0, &row));
    int32_t checks = catalog_int_value(&row, COL_RELCHECKS);
    return rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, t->oid, 0, COL_RELCHECKS,
                         datum_of_i16((int16_t)(checks + 1)), false);
}

err_t ddl_set_not_null_wait(struct ddl_context *x, oid table, int16_t number, bool validate)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    const struct column_desc *c = &t->columns[number - 1];
    err_t e = ERR_OK;
    bool done = c->not_null;
    if (!done && validate) {
        struct expr *column = expr_new(x->mem, EXPR_COLUMN, c->type, c->typmod);
        column->column.attno = number;
        struct expr *test = expr_new(x->mem, EXPR_IS_NULL, TYPE_BOOL, -1);
        test->negated = true;
        test->args = ARENA_ARRAY(x->mem, struct expr *, 1);
        test->args[0] = column;
        test->arg_count = 1;
        bool ok = true;
        e = validate_wait(x, t, test, &ok);
        if (e == ERR_OK && !ok) {
            e = err_raise(ERR_NOT_NULL_VIOLATION,
                          "column \"%s\" of relation \"%s\" contains null values", c->name,
                          t->name);
            err_object(t->schema_name, t->name, c->name, NULL, NULL);
        }
    }
    table_release(t);
    if (e != ERR_OK || done)
        return e;
    return rows_set_wait(x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, table,
                         datum_of_i16(number), COL_ATTNOTNULL, datum_of_bool(true), false);
}

/* Clients that list triggers see what looks at a deferrable key later, as with PostgreSQL. */
static SUSPENDS err_t put_trigger_wait(struct ddl_context *x, const struct constraint_row *c)
{
    enum { UNIQUE_KEY_RECHECK = 1250, ROW_INSERT_UPDATE = 1 | 4 | 16 };
    struct trigger_row t = {.relation = c->relation,
                            .function = UNIQUE_KEY_RECHECK,
                            .type = ROW_INSERT_UPDATE,
                            .index = c->index,
                            .constraint = c->oid,
                            .deferrable = true,
                            .deferred = c->deferred};
    TRY(catalog_new_oid_wait(x->catalog, &t.oid));
    t.name =
        arena_printf(x->mem, "%s_ConstraintTrigger_%u", c->type == 'p' ? "PK" : "Unique", t.oid);
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(rows_trigger(w, x->mem, &t));
    TRY(rows_depend(w, x->mem, REL_TRIGGER, t.oid, 0, REL_CONSTRAINT, c->oid, 0, 'i'));
    TRY(catalog_apply_wait(w));
    return rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, c->relation, 0, COL_RELHASTRIGGERS,
                         datum_of_bool(true), false);
}

static SUSPENDS err_t put_key_rows_wait(struct ddl_context *x, const struct table_desc *t,
                                        const struct ddl_constraint *c, const char *name, oid index,
                                        const int16_t *columns, uint32_t count)
{
    struct constraint_row r = {.name = name,
                               .schema = t->schema,
                               .type = c->kind == CON_PRIMARY ? 'p' : 'u',
                               .deferrable = c->deferrable,
                               .deferred = c->deferred,
                               .validated = true,
                               .relation = t->oid,
                               .index = index,
                               .columns = columns,
                               .column_count = count};
    TRY(catalog_new_oid_wait(x->catalog, &r.oid));
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(rows_constraint(w, x->mem, &r));
    TRY(rows_depend(w, x->mem, REL_CLASS, index, 0, REL_CONSTRAINT, r.oid, 0, 'i'));
    for (uint32_t i = 0; i < count; i++)
        TRY(rows_depend(w, x->mem, REL_CONSTRAINT, r.oid, 0, REL_CLASS, t->oid, columns[i], 'a'));
    TRY(catalog_apply_wait(w));
    return c->deferrable ? put_trigger_wait(x, &r) : ERR_OK;
}

/* The index that is to become the constraint's. */
static err_t using_index_find(const struct table_desc *t, const struct ddl_constraint *c,
                              const struct index_desc **out)
{
    const struct index_desc *d = NULL;
    for (uint32_t i = 0; i < t->index_count; i++)
        if (strcmp(t->indexes[i].name, c->using_index) == 0)
            d = &t->indexes[i];
    *out = d;
    if (!d)
        return err_raise(ERR_UNDEFINED_OBJECT, "index \"%s\" does not exist", c->using_index);
    if (d->is_constraint)
        return err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "index \"%s\" is already associated with a constraint", d->name);
    if (!d->is_valid)
        return err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE, "index \"%s\" is not valid",
                         d->name);
    bool has_expression = false;
    for (uint32_t i = 0; i < d->key_count; i++)
        has_expression |= d->keys[i].attno == 0;
    err_t e = ERR_OK;
    if (!d->is_unique)
        e = err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a unique index", d->name);
    else if (has_expression)
        e = err_raise(ERR_WRONG_OBJECT_TYPE, "index \"%s\" contains expressions", d->name);
    else if (d->predicate)
        e = err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is a partial index", d->name);
    if (e != ERR_OK)
        err_detail("Cannot create a primary key or unique constraint using such an index.");
    return e;
}

/* An existing unique index becomes the constraint's. */
static SUSPENDS err_t using_index_wait(struct ddl_context *x, const struct table_desc *t,
                                       const struct ddl_constraint *c)
{
    const struct index_desc *d;
    err_t e = using_index_find(t, c, &d);
    if (e != ERR_OK)
        return ddl_error_at(x, c->location, e);
    int16_t *columns = ARENA_ARRAY(x->mem, int16_t, d->key_count);
    for (uint32_t i = 0; i < d->key_count; i++) {
        columns[i] = d->keys[i].attno;
        if (c->kind == CON_PRIMARY)
            TRY(ddl_set_not_null_wait(x, t->oid, columns[i], true));
    }
    const char *name = c->name ? c->name : d->name;
    if (strcmp(name, d->name) != 0) {
        ddl_notice(x, "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"%s\" to \"%s\"",
                   d->name, name);
        TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, d->oid, 0, COL_RELNAME,
                          datum_of_text(x->mem, name), false));
    }
    if (c->kind == CON_PRIMARY)
        TRY(rows_set_wait(x, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, d->oid, 0, COL_INDISPRIMARY,
                          datum_of_bool(true), false));
    if (c->deferrable)
        TRY(ddl_index_deferrable_wait(x, d->oid));
    /* the index now hangs on the constraint, not on the columns */
    struct catalog_rows rows;
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(catalog_find_wait(x->catalog, REL_DEPEND, INDEX_DEPEND_DEPENDER, 2, REL_CLASS, d->oid,
                          x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        TRY(catalog_remove(w, REL_DEPEND, &rows.rows[i]));
    TRY(catalog_apply_wait(w));
    return put_key_rows_wait(x, t, c, name, d->oid, columns, d->key_count);
}

static err_t key_columns(struct ddl_context *x, const struct table_desc *t,
                         const struct ddl_constraint *c, int16_t **out)
{
    const char *what = c->kind == CON_PRIMARY ? "primary key" : "unique";
    *out = ARENA_ARRAY(x->mem, int16_t, c->column_count + 1);
    for (uint32_t i = 0; i < c->column_count; i++) {
        const struct column_desc *d = table_column(t, c->columns[i]);
        if (!d)
            return err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" named in key does not exist",
                             c->columns[i]);
        for (uint32_t k = 0; k < i; k++)
            if ((*out)[k] == d->attno)
                return err_raise(ERR_DUPLICATE_COLUMN,
                                 "column \"%s\" appears twice in %s constraint", d->name, what);
        (*out)[i] = d->attno;
    }
    return ERR_OK;
}

static SUSPENDS err_t add_key_wait(struct ddl_context *x, const struct table_desc *t,
                                   const struct ddl_constraint *c, bool is_new)
{
    int16_t *columns;
    if (c->kind == CON_PRIMARY && table_primary_key(t))
        return err_raise(ERR_INVALID_TABLE_DEFINITION,
                         "multiple primary keys for table \"%s\" are not allowed", t->name);
    bool taken = false;
    if (c->name && !c->using_index)
        TRY(ddl_relation_exists_wait(x, t->schema, c->name, &taken));
    if (taken)
        return err_raise(ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", c->name);
    if (c->name)
        TRY(ddl_constraint_name_free_wait(x, t, c->name));
    if (c->using_index)
        return using_index_wait(x, t, c);
    TRY(key_columns(x, t, c, &columns));
    for (uint32_t i = 0; c->kind == CON_PRIMARY && i < c->column_count; i++)
        TRY(ddl_set_not_null_wait(x, t->oid, columns[i], !is_new));
    /* rows without a key stay where they were inserted; with one they go where the key says */
    if (c->kind == CON_PRIMARY && t->distribution == DISTRIBUTED_KEYLESS)
        TRY(ddl_redistribute_wait(x, t->oid, 'h', columns, c->column_count));
    struct ddl_index_item *items =
        ARENA_ARRAY(x->mem, struct ddl_index_item, c->column_count + c->include_count);
    for (uint32_t i = 0; i < c->column_count; i++)
        items[i].column = c->columns[i];
    for (uint32_t i = 0; i < c->include_count; i++)
        items[c->column_count + i].column = c->include[i];
    struct index_request r = {.table = t->oid,
                              .name = c->name,
                              .is_unique = true,
                              .is_primary = c->kind == CON_PRIMARY,
                              .nulls_not_distinct = c->nulls_not_distinct,
                              .is_constraint = true,
                              .deferrable = c->deferrable,
                              .item_count = c->column_count + c->include_count,
                              .key_count = c->column_count,
                              .items = items,
                              .options = c->options,
                              .option_count = c->option_count,
                              .is_new_table = is_new,
                              .label = c->kind == CON_PRIMARY ? "pkey" : "key"};
    oid index;
    TRY(ddl_make_index_wait(x, &r, &index));
    struct catalog_row row;
    TRY(rows_get_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, index, 0, &row));
    return put_key_rows_wait(x, t, c, catalog_text_value(x->mem, &row, COL_RELNAME, NULL), index,
                             columns, c->column_count);
}

err_t ddl_add_constraint_wait(struct ddl_context *x, oid table, const struct ddl_constraint *c,
                              bool is_new_table)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    err_t e;
    switch (c->kind) {
    case CON_CHECK:
        e = add_check_wait(x, t, c, is_new_table);
        break;
    case CON_PRIMARY:
    case CON_UNIQUE:
        e = add_key_wait(x, t, c, is_new_table);
        break;
    case CON_FOREIGN:
        e = ddl_add_foreign_key_wait(x, t, c, is_new_table);
        break;
    default:
        e = err_not_built("this kind of constraint is not supported");
        break;
    }
    table_release(t);
    return e;
}
