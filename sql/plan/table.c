/* A plan's own copy of a table descriptor, with index expressions, predicates and checks analysed.
 */
#include "sql/plan/plan_priv.h"

/* Columns of the table become slot 0. */
static err_t table_column_input(struct arena *mem, const struct expr *e, void *ctx,
                                struct expr **out)
{
    const struct plan_table *t = ctx;
    if (e->kind != EXPR_COLUMN)
        return ERR_OK;
    if (e->column.attno == COLUMN_TABLEOID) {
        *out = expr_input(mem, 0, t->column_count + 1, e);
        return ERR_OK;
    }
    if (e->column.attno <= 0)
        return err_not_built("system columns in expressions of tables are not supported yet");
    *out = expr_input(mem, 0, (uint32_t)e->column.attno - 1, e);
    return ERR_OK;
}

static SUSPENDS err_t table_expr_wait(const struct plan_options *o, const struct table_desc *desc,
                                      struct plan_table *t, const char *text, oid type,
                                      struct arena *mem, struct expr **out)
{
    struct analyze_options ao = {
        .catalog = o->catalog, .env = o->env, .text = text, .params_fixed = true};
    struct expr *e;
    TRY(analyze_table_expr_wait(&ao, desc, text, type, -1, mem, &e));
    struct expr *folded;
    TRY(expr_fold_wait(mem, o->env, e, &folded));
    return expr_rewrite(mem, folded, table_column_input, t, out);
}

static struct key_column *table_key_columns(struct arena *mem, const struct key_column *from,
                                            uint32_t count)
{
    return from ? arena_memdup(mem, from, sizeof(*from) * count) : NULL;
}

/* NULL when it is gone, and its index with it: this was not planned under the table's lock, and
 * will be anew, since the catalog is not what it was. */
static SUSPENDS err_t table_map_wait(const struct plan_options *o, oid map, struct arena *mem,
                                     struct plan_table **out)
{
    TRY(fiber_check_stack());
    const struct table_desc *desc;
    TRY(table_by_oid_wait(o->catalog, map, &desc));
    err_t e = desc ? plan_table_from_desc_wait(o, desc, true, mem, out) : ERR_OK;
    table_release(desc);
    return e;
}

/* What exec must know to look at a key later. */
static void table_index_later(const struct index_desc *from, struct arena *mem,
                              struct plan_index *to)
{
    to->is_deferrable = true;
    to->constraint = from->constraint != NULL ? from->constraint->oid : OID_NONE;
    to->is_deferred = from->constraint != NULL && from->constraint->deferred;
    oid *types = ARENA_ARRAY(mem, oid, from->key_count);
    for (uint32_t i = 0; i < from->key_count; i++)
        types[i] = from->key_columns[i].type->oid;
    to->key_layout = row_layout_new(mem, types, from->key_count);
}

static SUSPENDS err_t table_index_wait(const struct plan_options *o, const struct table_desc *desc,
                                       struct plan_table *t, const struct index_desc *from,
                                       struct arena *mem, struct plan_index *to)
{
    to->oid = from->oid;
    to->name = arena_strdup(mem, from->name);
    to->file = from->file;
    to->is_unique = from->is_unique;
    to->nulls_not_distinct = from->nulls_not_distinct;
    if (from->is_deferrable)
        table_index_later(from, mem, to);
    to->is_primary = from->is_primary;
    to->is_valid = from->is_valid;
    to->is_known_only = !from->is_ready;
    to->key_count = from->key_count;
    to->key_columns = table_key_columns(mem, from->key_columns, from->key_count);
    to->attnos = ARENA_ARRAY(mem, int16_t, from->key_count);
    to->expressions = ARENA_ARRAY(mem, struct expr *, from->key_count);
    for (uint32_t i = 0; i < from->key_count; i++) {
        to->attnos[i] = from->keys[i].attno;
        if (to->attnos[i] == 0)
            TRY(table_expr_wait(o, desc, t, from->keys[i].expression, OID_NONE, mem,
                                &to->expressions[i]));
    }
    if (from->predicate)
        TRY(table_expr_wait(o, desc, t, from->predicate, TYPE_BOOL, mem, &to->predicate));
    if (from->map_table == OID_NONE)
        return ERR_OK;
    TRY(table_map_wait(o, from->map_table, mem, &to->map_table));
    if (to->map_table != NULL)
        to->map_table->map_of = desc->file;
    return ERR_OK;
}

static void table_columns(const struct table_desc *desc, struct plan_table *t, struct arena *mem)
{
    uint32_t n = desc->column_count;
    t->column_names = ARENA_ARRAY(mem, const char *, n + 1);
    t->column_types = ARENA_ARRAY(mem, oid, n + 1);
    t->column_typmods = ARENA_ARRAY(mem, int32_t, n + 1);
    t->not_null = ARENA_ARRAY(mem, bool, n + 1);
    t->missing = ARENA_ARRAY(mem, datum, n + 1);
    t->missing_nulls = ARENA_ARRAY(mem, bool, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const struct column_desc *c = &desc->columns[i];
        const struct type_info *type = type_find(c->type);
        t->column_names[i] = c->dropped || !c->name ? NULL : arena_strdup(mem, c->name);
        t->column_types[i] = c->type;
        t->column_typmods[i] = c->typmod;
        t->not_null[i] = c->not_null && !c->dropped;
        t->missing_nulls[i] = !c->has_missing || c->missing_is_null;
        if (!t->missing_nulls[i])
            t->missing[i] = datum_copy(mem, c->missing, type ? type->by_value : false);
    }
    t->layout = row_layout_new(mem, t->column_types, n);
    t->columns_used = n;
}

static void table_foreign_end(const struct table_desc *desc, const int16_t *columns, uint16_t count,
                              struct arena *mem, struct plan_foreign *to)
{
    oid *types = ARENA_ARRAY(mem, oid, count);
    to->column_count = count;
    to->columns = arena_memdup(mem, columns, sizeof(int16_t) * count);
    to->key_columns = ARENA_ARRAY(mem, struct key_column, count);
    for (uint32_t i = 0; i < count; i++) {
        types[i] = desc->columns[columns[i] - 1].type;
        to->key_columns[i].type = type_find(types[i]);
    }
    to->layout = row_layout_new(mem, types, count);
}

static void table_foreign(const struct table_desc *desc, struct plan_table *t, struct arena *mem)
{
    t->foreign =
        ARENA_ARRAY(mem, struct plan_foreign, desc->constraint_count + desc->referrer_count + 1);
    for (uint32_t i = 0; i < desc->constraint_count; i++) {
        const struct constraint_desc *c = &desc->constraints[i];
        if (c->type != 'f')
            continue;
        struct plan_foreign *f = &t->foreign[t->foreign_count++];
        f->constraint = c->oid;
        f->other = c->foreign_table;
        f->match_full = c->match == 'f';
        f->deferrable = c->deferrable;
        table_foreign_end(desc, c->columns, c->column_count, mem, f);
    }
    for (uint32_t i = 0; i < desc->referrer_count; i++) {
        const struct referrer_desc *r = &desc->referrers[i];
        struct plan_foreign *f = &t->foreign[t->foreign_count++];
        f->constraint = r->constraint;
        f->other = r->table;
        f->is_referenced = true;
        table_foreign_end(desc, r->columns, r->column_count, mem, f);
    }
}

SUSPENDS err_t plan_table_from_desc_wait(const struct plan_options *o,
                                         const struct table_desc *desc, bool for_writing,
                                         struct arena *mem, struct plan_table **out)
{
    struct plan_table *t = ARENA_NEW(mem, struct plan_table);
    t->oid = desc->oid;
    t->name = arena_strdup(mem, desc->name);
    t->alias = t->name;
    t->schema_name = desc->schema_name ? arena_strdup(mem, desc->schema_name) : NULL;
    t->virtual_name = desc->virtual_name ? arena_strdup(mem, desc->virtual_name) : NULL;
    t->file = desc->file;
    t->column_count = desc->column_count;
    table_columns(desc, t, mem);
    t->distribution = desc->distribution;
    t->shard_key_count = desc->shard_key_count;
    t->shard_key = arena_memdup(mem, desc->shard_key, sizeof(int16_t) * desc->shard_key_count);
    t->shard_key_columns = table_key_columns(mem, desc->shard_key_columns, desc->shard_key_count);
    t->indexes = ARENA_ARRAY(mem, struct plan_index, desc->index_count + 1);
    for (uint32_t i = 0;
         i < desc->index_count && (desc->indexes[i].is_ready || desc->indexes[i].is_live); i++) {
        TRY(table_index_wait(o, desc, t, &desc->indexes[i], mem, &t->indexes[i]));
        t->index_count++;
    }
    t->checks = ARENA_ARRAY(mem, struct plan_check, desc->constraint_count + 1);
    for (uint32_t i = 0; for_writing && i < desc->constraint_count; i++) {
        const struct constraint_desc *c = &desc->constraints[i];
        if (c->type != 'c' || !c->check_sql)
            continue;
        struct plan_check *check = &t->checks[t->check_count++];
        check->name = arena_strdup(mem, c->name);
        TRY(table_expr_wait(o, desc, t, c->check_sql, TYPE_BOOL, mem, &check->expr));
    }
    if (for_writing)
        table_foreign(desc, t, mem);
    *out = t;
    return ERR_OK;
}

SUSPENDS err_t plan_table_make_wait(const struct plan_options *o, oid table, struct arena *mem,
                                    struct plan_table **out)
{
    TRY(fiber_check_stack());
    const struct table_desc *desc;
    TRY(table_by_oid_wait(o->catalog, table, &desc));
    if (!desc)
        return err_raise(ERR_UNDEFINED_TABLE, "relation with OID %u does not exist", table);
    err_t e = plan_table_from_desc_wait(o, desc, true, mem, out);
    table_release(desc);
    return e;
}
