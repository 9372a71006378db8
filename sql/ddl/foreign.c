/*
 * Foreign keys in the catalog: the row of pg_constraint, four internal triggers as PostgreSQL's
 * (what the actions at both ends are known by), dependencies on the columns of both tables and on
 * the unique index that the key is looked up in.
 */
#include "sql/ddl/ddl_priv.h"

#include "sql/exec/constraint_queue.h"

enum { KEYS_MAX = 32 };
enum { TYPE_ROW = 1, TYPE_INSERT = 4, TYPE_DELETE = 8, TYPE_UPDATE = 16 };
enum { FUNCTION_CHECK_INSERT = 1644, FUNCTION_CHECK_UPDATE = 1645 };

struct foreign {
    const struct ddl_constraint *c;
    const struct table_desc *t;
    const struct table_desc *target;
    const struct index_desc *index;
    const char *name;
    uint32_t count;
    int16_t columns[KEYS_MAX];
    int16_t target_columns[KEYS_MAX];
    int16_t delete_columns[KEYS_MAX];
    oid target_equal[KEYS_MAX];
    oid both_target[KEYS_MAX];
    oid both_own[KEYS_MAX];
};

err_t ddl_check_not_pending(const struct ddl_context *x, const struct table_desc *t,
                            const char *what)
{
    if (!x->constraints || !constraint_is_pending(x->constraints, t->oid))
        return ERR_OK;
    return err_raise(ERR_OBJECT_IN_USE, "cannot %s \"%s\" because it has pending trigger events",
                     what, t->name);
}

/* ---- columns ---- */

static bool is_system_column(const char *name)
{
    static const char *const names[] = {"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static err_t resolve_columns(const struct table_desc *t, const char **names, uint32_t count,
                             int16_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct column_desc *c = table_column(t, names[i]);
        if (!c && is_system_column(names[i]))
            return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                             "system columns cannot be used in foreign keys");
        if (!c)
            return err_raise(ERR_UNDEFINED_COLUMN,
                             "column \"%s\" referenced in foreign key constraint does not exist",
                             names[i]);
        if (i >= KEYS_MAX)
            return err_raise(ERR_TOO_MANY_COLUMNS, "cannot have more than %d keys in a foreign key",
                             KEYS_MAX);
        out[i] = c->attno;
    }
    return ERR_OK;
}

static err_t resolve_delete_columns(struct foreign *f)
{
    const struct ddl_constraint *c = f->c;
    for (uint32_t i = 0; i < c->delete_column_count; i++) {
        bool found = false;
        TRY(resolve_columns(f->t, &c->delete_columns[i], 1, &f->delete_columns[i]));
        for (uint32_t k = 0; k < f->count; k++)
            found = found || f->columns[k] == f->delete_columns[i];
        if (!found)
            return err_raise(ERR_INVALID_COLUMN_REFERENCE,
                             "column \"%s\" referenced in ON DELETE SET action must be part of "
                             "foreign key",
                             c->delete_columns[i]);
    }
    return ERR_OK;
}

static err_t find_primary_key(struct foreign *f)
{
    f->index = table_primary_key(f->target);
    if (!f->index)
        return err_raise(ERR_UNDEFINED_OBJECT,
                         "there is no primary key for referenced table \"%s\"", f->target->name);
    if (f->index->is_deferrable)
        return err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "cannot use a deferrable primary key for referenced table \"%s\"",
                         f->target->name);
    for (uint32_t i = 0; i < f->index->key_count; i++)
        f->target_columns[i] = f->index->keys[i].attno;
    return ERR_OK;
}

static bool index_matches(const struct foreign *f, const struct index_desc *d, uint32_t count)
{
    if (!d->is_unique || !d->is_valid || d->predicate || d->key_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < count; k++)
            found = found || (d->keys[k].attno != 0 && d->keys[k].attno == f->target_columns[i]);
        if (!found)
            return false;
    }
    return true;
}

static err_t find_unique_index(struct foreign *f, uint32_t count)
{
    bool deferrable = false;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (f->target_columns[i] == f->target_columns[k])
                return err_raise(ERR_INVALID_FOREIGN_KEY,
                                 "foreign key referenced-columns list must not contain duplicates");
    for (uint32_t i = 0; !f->index && i < f->target->index_count; i++) {
        const struct index_desc *d = &f->target->indexes[i];
        if (!index_matches(f, d, count))
            continue;
        if (d->is_deferrable)
            deferrable = true;
        else
            f->index = d;
    }
    if (f->index)
        return ERR_OK;
    if (deferrable)
        return err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "cannot use a deferrable unique constraint for referenced table \"%s\"",
                         f->target->name);
    return err_raise(ERR_INVALID_FOREIGN_KEY,
                     "there is no unique constraint matching given keys for referenced table "
                     "\"%s\"",
                     f->target->name);
}

static err_t find_target_columns(struct foreign *f)
{
    uint32_t count = f->c->target_count;
    if (count == 0) {
        TRY(find_primary_key(f));
        count = f->index->key_count;
    } else {
        TRY(resolve_columns(f->target, f->c->target_columns, count, f->target_columns));
        TRY(find_unique_index(f, count));
    }
    if (count != f->count)
        return err_raise(ERR_INVALID_FOREIGN_KEY,
                         "number of referencing and referenced columns for foreign key disagree");
    return ERR_OK;
}

/* ---- comparing both ends ---- */

static oid compared_as(oid type)
{
    return type == TYPE_VARCHAR ? TYPE_TEXT : type;
}

static bool casts_implicitly(oid from, oid to)
{
    if (from == to)
        return true;
    const struct cast_info *c = cast_find(from, to);
    return c && c->context == 'i';
}

static err_t find_operators(struct ddl_context *x, struct foreign *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct column_desc *own = &f->t->columns[f->columns[i] - 1];
        const struct column_desc *target = &f->target->columns[f->target_columns[i] - 1];
        oid left = compared_as(target->type);
        oid right = compared_as(own->type);
        f->both_target[i] = operator_for_strategy(AM_BTREE, left, left, 3);
        f->target_equal[i] = operator_for_strategy(AM_BTREE, left, right, 3);
        f->both_own[i] = operator_for_strategy(AM_BTREE, right, right, 3);
        if (f->target_equal[i] == 0 && casts_implicitly(right, left)) {
            f->target_equal[i] = f->both_target[i];
            f->both_own[i] = f->both_target[i];
        }
        if (f->target_equal[i] == 0 || f->both_own[i] == 0) {
            err_t e = err_raise(ERR_DATATYPE_MISMATCH,
                                "foreign key constraint \"%s\" cannot be implemented", f->name);
            err_detail("Key columns \"%s\" and \"%s\" are of incompatible types: %s and %s.",
                       own->name, target->name, type_display(x->mem, own->type),
                       type_display(x->mem, target->type));
            return e;
        }
    }
    return ERR_OK;
}

/* ---- the target ---- */

static SUSPENDS err_t check_target_wait(struct ddl_context *x, const struct foreign *f)
{
    char own = f->t->persistence;
    char other = f->target->persistence;
    if (f->target->kind != 'r')
        return err_raise(ERR_WRONG_OBJECT_TYPE, "referenced relation \"%s\" is not a table",
                         f->target->name);
    if (f->target->is_system)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                         "permission denied: \"%s\" is a system catalog", f->target->name);
    if (own == 'p' && other != 'p')
        return err_raise(ERR_INVALID_TABLE_DEFINITION,
                         "constraints on permanent tables may reference only permanent tables");
    if (own == 'u' && other != 'p' && other != 'u')
        return err_raise(ERR_INVALID_TABLE_DEFINITION,
                         "constraints on unlogged tables may reference only permanent or unlogged "
                         "tables");
    if (own == 't' && other != 't')
        return err_raise(ERR_INVALID_TABLE_DEFINITION,
                         "constraints on temporary tables may reference only temporary tables");
    return ddl_check_not_pending(x, f->target, "ALTER TABLE");
}

/* Of all constraints in the schema, as PostgreSQL does. */
static SUSPENDS err_t choose_name_wait(struct ddl_context *x, struct foreign *f)
{
    struct strbuf columns;
    if (f->c->name) {
        f->name = f->c->name;
        return ddl_constraint_name_free_wait(x, f->t, f->name);
    }
    strbuf_init(&columns, x->mem);
    for (uint32_t i = 0; i < f->c->column_count && columns.len < 64; i++)
        strbuf_printf(&columns, "%s%s", i ? "_" : "", f->c->columns[i]);
    for (uint32_t i = 0;; i++) {
        struct catalog_rows rows;
        const char *label = i ? arena_printf(x->mem, "fkey%u", i) : "fkey";
        f->name = ddl_object_name(x->mem, f->t->name, columns.data, label);
        TRY(catalog_find_wait(x->catalog, REL_CONSTRAINT, INDEX_CONSTRAINT_CONNAME_NSP, 2,
                              datum_of_text(x->mem, f->name), f->t->schema, x->mem, &rows));
        if (rows.count == 0)
            return ERR_OK;
    }
}

/* ---- catalog rows ---- */

static oid action_function(char action, bool is_update)
{
    static const struct {
        char action;
        oid on_delete;
    } functions[] = {{'c', 1646}, {'r', 1648}, {'n', 1650}, {'d', 1652}, {'a', 1654}};
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (functions[i].action == action)
            return functions[i].on_delete + (is_update ? 1 : 0);
    return 0;
}

static err_t put_trigger(struct catalog_writer *w, struct arena *mem, const struct foreign *f,
                         oid number, oid constraint, bool is_action, int16_t type, oid function)
{
    char action = is_action ? (type & TYPE_DELETE ? f->c->delete_action : f->c->update_action) : 0;
    bool can_defer = !is_action || action == 'a';
    struct trigger_row t = {
        .oid = number,
        .relation = is_action ? f->target->oid : f->t->oid,
        .name = arena_printf(mem, "RI_ConstraintTrigger_%c_%u", is_action ? 'a' : 'c', number),
        .function = function,
        .type = (int16_t)(TYPE_ROW | type),
        .other = is_action ? f->t->oid : f->target->oid,
        .index = f->index->oid,
        .constraint = constraint,
        .deferrable = f->c->deferrable && can_defer,
        .deferred = f->c->deferred && can_defer};
    TRY(rows_trigger(w, mem, &t));
    return rows_depend(w, mem, REL_TRIGGER, number, 0, REL_CONSTRAINT, constraint, 0, 'i');
}

static SUSPENDS err_t has_triggers_wait(struct ddl_context *x, oid table)
{
    return rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, table, 0, COL_RELHASTRIGGERS,
                         datum_of_bool(true), false);
}

static SUSPENDS err_t put_rows_wait(struct ddl_context *x, const struct foreign *f, bool validated,
                                    oid *constraint)
{
    struct foreign_row row = {.target = f->target->oid,
                              .columns = f->target_columns,
                              .target_equal = f->target_equal,
                              .both_target = f->both_target,
                              .both_own = f->both_own,
                              .update_action = f->c->update_action,
                              .delete_action = f->c->delete_action,
                              .match = f->c->match,
                              .delete_column_count = f->c->delete_column_count,
                              .delete_columns = f->delete_columns};
    struct constraint_row r = {.name = f->name,
                               .schema = f->t->schema,
                               .type = 'f',
                               .deferrable = f->c->deferrable,
                               .deferred = f->c->deferred,
                               .validated = validated,
                               .relation = f->t->oid,
                               .index = f->index->oid,
                               .columns = f->columns,
                               .column_count = f->count,
                               .foreign = &row};
    oid first;
    TRY(catalog_new_oids_wait(x->catalog, 5, &first));
    r.oid = *constraint = first;
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(rows_constraint(w, x->mem, &r));
    for (uint32_t i = 0; i < f->count; i++)
        TRY(rows_depend(w, x->mem, REL_CONSTRAINT, r.oid, 0, REL_CLASS, f->t->oid, f->columns[i],
                        'a'));
    for (uint32_t i = 0; i < f->count; i++)
        TRY(rows_depend(w, x->mem, REL_CONSTRAINT, r.oid, 0, REL_CLASS, f->target->oid,
                        f->target_columns[i], 'n'));
    TRY(rows_depend(w, x->mem, REL_CONSTRAINT, r.oid, 0, REL_CLASS, f->index->oid, 0, 'n'));
    TRY(put_trigger(w, x->mem, f, first + 1, r.oid, true, TYPE_DELETE,
                    action_function(f->c->delete_action, false)));
    TRY(put_trigger(w, x->mem, f, first + 2, r.oid, true, TYPE_UPDATE,
                    action_function(f->c->update_action, true)));
    TRY(put_trigger(w, x->mem, f, first + 3, r.oid, false, TYPE_INSERT, FUNCTION_CHECK_INSERT));
    TRY(put_trigger(w, x->mem, f, first + 4, r.oid, false, TYPE_UPDATE, FUNCTION_CHECK_UPDATE));
    TRY(catalog_apply_wait(w));
    TRY(has_triggers_wait(x, f->t->oid));
    return f->target->oid == f->t->oid ? ERR_OK : has_triggers_wait(x, f->target->oid);
}

static SUSPENDS err_t add_wait(struct ddl_context *x, struct foreign *f, bool is_new)
{
    const struct ddl_constraint *c = f->c;
    oid constraint;
    TRY(check_target_wait(x, f));
    TRY(resolve_columns(f->t, c->columns, c->column_count, f->columns));
    f->count = c->column_count;
    TRY(find_target_columns(f));
    TRY(resolve_delete_columns(f));
    TRY(choose_name_wait(x, f));
    TRY(find_operators(x, f));
    TRY(put_rows_wait(x, f, is_new || !c->not_valid, &constraint));
    if (is_new || c->not_valid)
        return ERR_OK;
    return ddl_validate_foreign_key_wait(x, f->t->oid, constraint);
}

err_t ddl_add_foreign_key_wait(struct ddl_context *x, const struct table_desc *t,
                               const struct ddl_constraint *c, bool is_new_table)
{
    struct foreign *f = ARENA_NEW(x->mem, struct foreign);
    f->c = c;
    f->t = t;
    TRY(ddl_open_wait(x, &c->references, LOCK_SHARE_ROW_EXCLUSIVE, &f->target));
    if (!f->target)
        return ddl_missing(x, &c->references, "relation");
    err_t e = add_wait(x, f, is_new_table);
    table_release(f->target);
    return e;
}

err_t ddl_validate_foreign_key_wait(struct ddl_context *x, oid table, oid constraint)
{
    if (!x->constraints)
        return err_raise(ERR_INTERNAL_ERROR, "validation of a foreign key outside of a session");
    return foreign_validate_wait(x->constraints, table, constraint);
}

/* ---- ALTER COLUMN TYPE ---- */

static SUSPENDS err_t retype_wait(struct ddl_context *x, const struct table_desc *t,
                                  const struct constraint_desc *c)
{
    struct foreign *f = ARENA_NEW(x->mem, struct foreign);
    f->t = t;
    f->name = c->name;
    f->count = c->column_count;
    memcpy(f->columns, c->columns, sizeof(int16_t) * f->count);
    memcpy(f->target_columns, c->foreign_columns, sizeof(int16_t) * f->count);
    TRY(ddl_lock_wait(x, t->oid, LOCK_ACCESS_EXCLUSIVE));
    TRY(ddl_lock_wait(x, c->foreign_table, LOCK_ACCESS_EXCLUSIVE));
    TRY(table_by_oid_wait(x->catalog, c->foreign_table, &f->target));
    if (!f->target)
        return err_raise(ERR_INTERNAL_ERROR, "relation %u is gone", c->foreign_table);
    err_t e = find_operators(x, f);
    table_release(f->target);
    TRY(e);
    struct catalog_row row;
    datum *v;
    bool *n;
    TRY(rows_get_wait(x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, c->oid, 0, &row));
    rows_copy(x->mem, &row, COLS_CONSTRAINT, &v, &n);
    v[COL_CONPFEQOP - 1] = catalog_oid_array(x->mem, f->target_equal, f->count);
    v[COL_CONPPEQOP - 1] = catalog_oid_array(x->mem, f->both_target, f->count);
    v[COL_CONFFEQOP - 1] = catalog_oid_array(x->mem, f->both_own, f->count);
    TRY(catalog_replace_wait(x->catalog, REL_CONSTRAINT, &row, v, n, x->mem));
    return c->validated ? ddl_validate_foreign_key_wait(x, t->oid, c->oid) : ERR_OK;
}

static SUSPENDS err_t retype_all_wait(struct ddl_context *x, oid table, oid target, int16_t number)
{
    const struct table_desc *t;
    err_t e = ERR_OK;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    for (uint32_t i = 0; t && e == ERR_OK && i < t->constraint_count; i++) {
        const struct constraint_desc *c = &t->constraints[i];
        bool concerned = false;
        for (uint32_t k = 0; c->type == 'f' && k < c->column_count; k++)
            concerned = concerned || (target == 0 && c->columns[k] == number) ||
                        (c->foreign_table == target && c->foreign_columns[k] == number);
        if (concerned)
            e = retype_wait(x, t, c);
    }
    table_release(t);
    return e;
}

err_t ddl_retype_foreign_keys_wait(struct ddl_context *x, oid table, int16_t number)
{
    const struct table_desc *t;
    err_t e;
    TRY(retype_all_wait(x, table, 0, number));
    TRY(table_by_oid_wait(x->catalog, table, &t));
    e = ERR_OK;
    for (uint32_t i = 0; e == ERR_OK && i < t->referrer_count; i++) {
        bool seen = false;
        for (uint32_t k = 0; k < i; k++)
            seen = seen || t->referrers[k].table == t->referrers[i].table;
        if (!seen)
            e = retype_all_wait(x, t->referrers[i].table, table, number);
    }
    table_release(t);
    return e;
}

/* ---- ALTER CONSTRAINT ---- */

err_t ddl_alter_constraint_wait(struct ddl_context *x, oid table, const struct ddl_constraint *c)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    const struct constraint_desc *found = NULL;
    for (uint32_t i = 0; i < t->constraint_count; i++)
        if (strcmp(t->constraints[i].name, c->name) == 0)
            found = &t->constraints[i];
    err_t e = ERR_OK;
    oid constraint = found ? found->oid : 0;
    if (!found)
        e = err_raise(ERR_UNDEFINED_OBJECT, "constraint \"%s\" of relation \"%s\" does not exist",
                      c->name, t->name);
    else if (found->type != 'f')
        e = err_raise(ERR_WRONG_OBJECT_TYPE,
                      "constraint \"%s\" of relation \"%s\" is not a foreign key constraint",
                      c->name, t->name);
    table_release(t);
    TRY(e);
    struct catalog_rows rows;
    TRY(rows_set_wait(x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, constraint, 0, COL_CONDEFERRABLE,
                      datum_of_bool(c->deferrable), false));
    TRY(rows_set_wait(x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, constraint, 0, COL_CONDEFERRED,
                      datum_of_bool(c->deferred), false));
    TRY(catalog_find_wait(x->catalog, REL_TRIGGER, INDEX_TRIGGER_TGCONSTRAINT, 1, constraint, 0,
                          x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++) {
        datum *v;
        bool *n;
        oid function = catalog_oid_value(&rows.rows[i], COL_TGFOID);
        /* actions other than NO ACTION never wait */
        if (function != FUNCTION_CHECK_INSERT && function != FUNCTION_CHECK_UPDATE &&
            function != 1654 && function != 1655)
            continue;
        rows_copy(x->mem, &rows.rows[i], COLS_TRIGGER, &v, &n);
        v[COL_TGDEFERRABLE - 1] = datum_of_bool(c->deferrable);
        v[COL_TGINITDEFERRED - 1] = datum_of_bool(c->deferred);
        TRY(catalog_replace_wait(x->catalog, REL_TRIGGER, &rows.rows[i], v, n, x->mem));
    }
    return ERR_OK;
}
