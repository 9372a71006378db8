/*
 * Compiling a plan: every expression of every node into programs, hung on the plan itself the first
 * time it runs. The programs live in the plan's arena, are immutable from then on, and are read by
 * fragments on all cores.
 */
#include "sql/exec/exec_priv.h"

struct compile {
    struct arena *mem;
    const struct plan *plan; /* NULL for a table alone */
};

static err_t compile_optional(struct compile *c, const struct expr *e, struct program **out)
{
    return e != NULL ? expr_compile(c->mem, e, out) : ERR_OK;
}

/* ---- output types ---- */

static err_t returning_types(struct compile *c, const struct plan_node *n, struct node_code *code)
{
    oid *types = ARENA_ARRAY(c->mem, oid, n->modify.returning_count + 1);
    for (uint32_t i = 0; i < n->modify.returning_count; i++)
        types[i] = n->modify.returning[i]->type;
    code->types = types;
    code->type_count = n->modify.returning_count;
    return ERR_OK;
}

static void scan_types(struct compile *c, const struct plan_table *t, struct node_code *code)
{
    oid *types = ARENA_ARRAY(c->mem, oid, t->column_count + 3);
    memcpy(types, t->column_types, sizeof(oid) * t->column_count);
    types[t->column_count] = TYPE_INT8;
    types[t->column_count + 1] = TYPE_OID;
    types[t->column_count + 2] = TYPE_INT4;
    code->types = types;
    code->type_count = t->column_count + 3;
}

static const struct node_code *child_code(const struct plan_node *n)
{
    if (n->kind == PLAN_APPEND)
        return n->append.count > 0 ? n->append.children[0]->code : NULL;
    return n->outer != NULL ? n->outer->code : NULL;
}

static err_t output_types(struct compile *c, const struct plan_node *n, struct node_code *code)
{
    if (n->targets != NULL) {
        oid *types = ARENA_ARRAY(c->mem, oid, n->target_count + 1);
        for (uint32_t i = 0; i < n->target_count; i++)
            types[i] = n->types != NULL        ? n->types[i]
                       : n->targets[i] != NULL ? n->targets[i]->type
                                               : TYPE_TEXT;
        code->types = types;
        code->type_count = n->target_count;
        return ERR_OK;
    }
    if (n->kind == PLAN_SEQ_SCAN || n->kind == PLAN_INDEX_SCAN) {
        scan_types(c, n->scan.table, code);
        return ERR_OK;
    }
    if (n->kind == PLAN_MODIFY)
        return returning_types(c, n, code);
    if (n->types != NULL) {
        code->types = n->types;
        code->type_count = n->target_count;
        return ERR_OK;
    }
    const struct node_code *child = child_code(n);
    if (child != NULL && n->kind != PLAN_AGGREGATE) {
        code->types = child->types;
        code->type_count = child->type_count;
        if ((n->kind == PLAN_NESTED_LOOP || n->kind == PLAN_HASH_JOIN ||
             n->kind == PLAN_MERGE_JOIN) &&
            n->join.type != JOIN_SEMI && n->join.type != JOIN_ANTI)
            return err_raise(ERR_INTERNAL_ERROR, "join without targets");
    }
    return ERR_OK;
}

/* ---- tables ---- */

struct mark {
    bool *columns;
    uint32_t count;
    bool all;
};

static err_t mark_visit(struct expr *e, void *ctx, bool *descend)
{
    struct mark *m = ctx;
    *descend = true;
    if (e->kind == EXPR_INPUT) {
        if (e->input.slot == 0 && e->input.index < m->count)
            m->columns[e->input.index] = true;
    } else if (e->kind == EXPR_SUBPLAN) {
        m->all = true;
    }
    return ERR_OK;
}

static void mark_columns(struct expr *e, bool *columns, uint32_t count, bool *all)
{
    struct mark m = {.columns = columns, .count = count};
    if (e != NULL && expr_walk(e, mark_visit, &m) != ERR_OK)
        m.all = true;
    *all |= m.all;
}

static err_t compile_index(struct compile *c, const struct plan_table *t,
                           const struct plan_index *index, struct index_code *code)
{
    code->columns = ARENA_ARRAY(c->mem, bool, t->column_count + 1);
    bool has_expressions = false;
    for (uint32_t i = 0; i < index->key_count; i++) {
        if (index->attnos[i] > 0) {
            code->columns[index->attnos[i] - 1] = true;
        } else {
            has_expressions = true;
            mark_columns(index->expressions[i], code->columns, t->column_count,
                         &code->depends_on_all);
        }
    }
    mark_columns(index->predicate, code->columns, t->column_count, &code->depends_on_all);
    TRY(compile_optional(c, index->predicate, &code->predicate));
    if (has_expressions)
        TRY(expr_compile_list(c->mem, index->expressions, index->key_count, &code->expressions));
    return ERR_OK;
}

static err_t compile_table(struct compile *c, struct plan_table *t)
{
    if (t->code != NULL)
        return ERR_OK;
    struct table_code *code = ARENA_NEW(c->mem, struct table_code);
    code->checks = ARENA_ARRAY(c->mem, struct program *, t->check_count + 1);
    code->in_unique = ARENA_ARRAY(c->mem, bool, t->column_count + 1);
    for (uint32_t i = 0; i < t->check_count; i++)
        TRY(expr_compile(c->mem, t->checks[i].expr, &code->checks[i]));
    code->indexes = ARENA_ARRAY(c->mem, struct index_code, t->index_count + 1);
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct plan_index *index = &t->indexes[i];
        TRY(compile_index(c, t, index, &code->indexes[i]));
        if (index->map_table != NULL) {
            code->has_map = true;
            TRY(compile_table(c, index->map_table));
        }
        if (index->is_unique && !index->is_known_only && index->predicate == NULL)
            for (uint32_t k = 0; k < index->key_count; k++)
                if (index->attnos[k] > 0)
                    code->in_unique[index->attnos[k] - 1] = true;
    }
    for (uint32_t i = 0; i < t->shard_key_count; i++)
        code->in_unique[t->shard_key[i] - 1] = true;
    t->code = code;
    return ERR_OK;
}

err_t code_compile_table(struct arena *mem, struct plan_table *table)
{
    struct compile c = {.mem = mem};
    return compile_table(&c, table);
}

/* ---- nodes ---- */

static err_t compile_node(struct compile *c, struct plan_node *n);

static err_t compile_sort_keys(struct compile *c, const struct plan_sort_key *keys, uint32_t count,
                               struct node_code *code)
{
    code->sort_count = count;
    code->sort_columns = ARENA_ARRAY(c->mem, struct key_column, count + 1);
    code->sort_indexes = ARENA_ARRAY(c->mem, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct key_column *k = &code->sort_columns[i];
        TRY(type_require(keys[i].type, &k->type));
        if (k->type->sort_key == NULL)
            return err_raise(ERR_UNDEFINED_FUNCTION,
                             "could not identify an ordering operator for type %s",
                             type_display(c->mem, keys[i].type));
        k->descending = keys[i].descending;
        k->nulls_first = keys[i].nulls_first;
        code->sort_indexes[i] = keys[i].column;
    }
    return ERR_OK;
}

static bool is_integer(oid type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

/* Both sides of an equality in one form. */
static err_t join_part(oid left, oid right, struct key_part *l, struct key_part *r)
{
    if (left != right && is_integer(left) && is_integer(right)) {
        left = TYPE_INT8;
        right = TYPE_INT8;
    }
    TRY(key_part_make(left, l));
    TRY(key_part_make(right, r));
    bool floats = (l->kind == KEY_FLOAT4 || l->kind == KEY_FLOAT8) &&
                  (r->kind == KEY_FLOAT4 || r->kind == KEY_FLOAT8);
    bool texts = l->kind == KEY_BYTES && r->kind == KEY_BYTES;
    if (left != right && !floats && !texts)
        return err_not_built("hash join of %s with %s is not supported yet", l->type->name,
                             r->type->name);
    return ERR_OK;
}

static err_t compile_join(struct compile *c, struct plan_node *n, struct node_code *code)
{
    TRY(compile_optional(c, n->join.condition, &code->condition));
    uint32_t count = n->join.key_count;
    if (n->kind == PLAN_NESTED_LOOP)
        return ERR_OK;
    code->outer_parts = ARENA_ARRAY(c->mem, struct key_part, count + 1);
    code->inner_parts = ARENA_ARRAY(c->mem, struct key_part, count + 1);
    TRY(expr_compile_list(c->mem, n->join.outer_keys, count, &code->outer_keys));
    TRY(expr_compile_list(c->mem, n->join.inner_keys, count, &code->inner_keys));
    for (uint32_t i = 0; i < count; i++)
        TRY(join_part(n->join.outer_keys[i]->type, n->join.inner_keys[i]->type,
                      &code->outer_parts[i], &code->inner_parts[i]));
    if (n->kind == PLAN_MERGE_JOIN) {
        TRY(compile_sort_keys(c, n->join.merge_order, count, code));
        for (uint32_t i = 0; i < count; i++) {
            oid left = n->join.outer_keys[i]->type;
            oid right = n->join.inner_keys[i]->type;
            oid type = left != right && is_integer(left) ? (oid)TYPE_INT8 : left;
            if (left != right && !is_integer(left))
                return err_not_built("merge join of different types is not supported yet");
            TRY(type_require(type, &code->sort_columns[i].type));
        }
    }
    return ERR_OK;
}

static err_t key_parts(struct compile *c, const oid *types, uint32_t count, struct key_part **out)
{
    *out = ARENA_ARRAY(c->mem, struct key_part, count + 1);
    for (uint32_t i = 0; i < count; i++)
        TRY(key_part_make(types[i], &(*out)[i]));
    return ERR_OK;
}

static err_t compile_aggregate_call(struct compile *c, const struct plan_aggregate *a,
                                    bool is_final, struct aggregate_code *code,
                                    uint32_t *state_bytes)
{
    code->func = a->func;
    code->aggregate = a->func->aggregate;
    if (code->aggregate == NULL || code->aggregate->step == NULL || code->aggregate->final == NULL)
        return err_not_built("aggregate function %s is not supported yet", a->func->name);
    code->state_offset = *state_bytes;
    *state_bytes += (code->aggregate->state_bytes + 15) & ~15u;
    code->arg_types = ARENA_ARRAY(c->mem, oid, a->arg_count + 1);
    if (is_final) {
        if (code->aggregate->merge == NULL)
            return err_raise(ERR_INTERNAL_ERROR, "aggregate function %s cannot be split",
                             a->func->name);
        for (uint32_t i = 0; i < a->arg_count; i++)
            code->arg_types[i] = a->arg_types != NULL ? a->arg_types[i] : OID_NONE;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < a->arg_count; i++)
        code->arg_types[i] = a->args[i]->type;
    TRY(expr_compile_list(c->mem, a->args, a->arg_count, &code->args));
    TRY(compile_optional(c, a->filter, &code->filter));
    code->collects = (a->distinct || a->order_count > 0) && a->arg_count > 0;
    if (!code->collects)
        return ERR_OK;
    code->arg_layout = row_layout_new(c->mem, code->arg_types, a->arg_count);
    if (a->distinct)
        TRY(key_parts(c, code->arg_types, a->arg_count, &code->distinct_parts));
    /* Sorted by ORDER BY, or for DISTINCT alone by the arguments, as PostgreSQL does. */
    struct node_code keys = {0};
    if (a->order_count > 0) {
        struct plan_sort_key *by = ARENA_ARRAY(c->mem, struct plan_sort_key, a->order_count);
        memcpy(by, a->order, sizeof(*by) * a->order_count);
        TRY(compile_sort_keys(c, by, a->order_count, &keys));
        uint32_t exprs = 0;
        for (uint32_t i = 0; i < a->order_count; i++)
            exprs = MAX(exprs, a->order[i].column + 1);
        TRY(expr_compile_list(c->mem, a->order_exprs, exprs, &code->order));
    } else {
        struct plan_sort_key *by = ARENA_ARRAY(c->mem, struct plan_sort_key, a->arg_count);
        for (uint32_t i = 0; i < a->arg_count; i++)
            by[i] = (struct plan_sort_key){.column = i, .type = a->args[i]->type};
        TRY(compile_sort_keys(c, by, a->arg_count, &keys));
        code->order = code->args;
    }
    code->order_columns = keys.sort_columns;
    code->order_indexes = keys.sort_indexes;
    code->order_count = keys.sort_count;
    return ERR_OK;
}

static err_t compile_aggregate(struct compile *c, struct plan_node *n, struct node_code *code)
{
    uint32_t groups = n->aggregate.group_count;
    bool is_final = n->aggregate.stage == AGGREGATE_FINAL;
    oid *types = ARENA_ARRAY(c->mem, oid, groups + 1);
    for (uint32_t i = 0; i < groups; i++)
        types[i] = n->aggregate.group[i]->type;
    TRY(expr_compile_list(c->mem, n->aggregate.group, groups, &code->outer_keys));
    TRY(key_parts(c, types, groups, &code->outer_parts));
    code->group_count = groups;
    code->group_layout = row_layout_new(c->mem, types, groups);
    code->aggregates = ARENA_ARRAY(c->mem, struct aggregate_code, n->aggregate.aggregate_count + 1);
    for (uint32_t i = 0; i < n->aggregate.aggregate_count; i++) {
        if (n->aggregate.stage == AGGREGATE_PARTIAL &&
            (n->aggregate.aggregates[i].func->aggregate == NULL ||
             n->aggregate.aggregates[i].func->aggregate->save == NULL))
            return err_raise(ERR_INTERNAL_ERROR, "aggregate function %s cannot be split",
                             n->aggregate.aggregates[i].func->name);
        TRY(compile_aggregate_call(c, &n->aggregate.aggregates[i], is_final, &code->aggregates[i],
                                   &code->state_bytes));
    }
    if (code->types == NULL) { /* no targets: groups then aggregates */
        uint32_t count = groups + n->aggregate.aggregate_count;
        oid *all = ARENA_ARRAY(c->mem, oid, count + 1);
        memcpy(all, types, sizeof(oid) * groups);
        for (uint32_t i = 0; i < n->aggregate.aggregate_count; i++)
            all[groups + i] = n->aggregate.stage == AGGREGATE_PARTIAL
                                  ? (oid)TYPE_BYTEA
                                  : n->aggregate.aggregates[i].type;
        code->types = all;
        code->type_count = count;
    }
    return ERR_OK;
}

static err_t compile_window(struct compile *c, struct plan_node *n, struct node_code *code)
{
    const oid *in = n->outer->code->types;
    uint32_t in_count = n->outer->code->type_count;
    uint32_t count = n->window.function_count;
    oid *types = ARENA_ARRAY(c->mem, oid, n->window.partition_count + n->window.order_count + 1);
    for (uint32_t i = 0; i < n->window.partition_count; i++)
        types[i] = in[n->window.partition[i]];
    TRY(key_parts(c, types, n->window.partition_count, &code->outer_parts));
    for (uint32_t i = 0; i < n->window.order_count; i++)
        types[i] = n->window.order[i].type;
    TRY(key_parts(c, types, n->window.order_count, &code->inner_parts));
    TRY(compile_optional(c, n->window.start_offset, &code->low));
    TRY(compile_optional(c, n->window.end_offset, &code->high));
    code->aggregates = ARENA_ARRAY(c->mem, struct aggregate_code, count + 1);
    oid *all = ARENA_ARRAY(c->mem, oid, in_count + count + 1);
    memcpy(all, in, sizeof(oid) * in_count);
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_aggregate *f = &n->window.functions[i];
        struct aggregate_code *a = &code->aggregates[i];
        all[in_count + i] = f->type;
        uint32_t state_bytes = 0;
        if (f->func->kind == 'a') {
            TRY(compile_aggregate_call(c, f, false, a, &state_bytes));
            continue;
        }
        a->func = f->func;
        a->arg_types = f->arg_types;
        TRY(expr_compile_list(c->mem, f->args, f->arg_count, &a->args));
    }
    code->types = all;
    code->type_count = in_count + count;
    return ERR_OK;
}

static err_t compile_index_scan(struct compile *c, struct plan_node *n, struct node_code *code)
{
    const struct plan_index_bounds *b = &n->scan.bounds;
    TRY(expr_compile_list(c->mem, b->equal, b->equal_count, &code->outer_keys));
    TRY(compile_optional(c, b->low, &code->low));
    return compile_optional(c, b->high, &code->high);
}

/* Inputs behind the table's columns (row id and so on) hide how many columns are read below them.
 */
static uint32_t columns_read(const struct plan_table *t, const struct program *p)
{
    uint32_t count = program_input_count(p, 0);
    return count <= t->column_count ? count : t->column_count;
}

static void scan_columns_used(const struct plan_node *n, struct node_code *code)
{
    const struct plan_table *t = n->scan.table;
    uint32_t used = columns_read(t, code->filter);
    used = MAX(used, n->targets != NULL ? columns_read(t, code->targets) : t->columns_used);
    code->columns_used = MIN(used, t->column_count);
}

static err_t compile_values(struct compile *c, struct plan_node *n, struct node_code *code)
{
    uint32_t columns = n->values.column_count;
    code->group_count = columns;
    code->lists = ARENA_ARRAY(c->mem, struct program *, n->values.row_count + 1);
    for (uint32_t i = 0; i < n->values.row_count; i++)
        TRY(expr_compile_list(c->mem, n->values.rows[i], columns, &code->lists[i]));
    return ERR_OK;
}

static err_t compile_calls(struct compile *c, const struct expr *const *calls, uint32_t count,
                           struct program ***out)
{
    *out = ARENA_ARRAY(c->mem, struct program *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct expr *e = calls[i];
        if (e->kind == EXPR_CALL && e->func != NULL && e->func->returns_set)
            TRY(expr_compile_list(c->mem, e->args, e->arg_count, &(*out)[i]));
        else
            TRY(expr_compile(c->mem, e, &(*out)[i]));
    }
    return ERR_OK;
}

struct take_sets {
    struct compile *c;
    const struct expr **calls;
    uint32_t count;
    uint32_t capacity;
};

static err_t take_set_call(struct arena *mem, const struct expr *e, void *ctx, struct expr **out)
{
    struct take_sets *t = ctx;
    if (e->kind != EXPR_CALL || e->func == NULL || !e->func->returns_set)
        return ERR_OK;
    if (t->count == t->capacity) {
        uint32_t capacity = t->capacity == 0 ? 4 : t->capacity * 2;
        const struct expr **calls = ARENA_ARRAY(mem, const struct expr *, capacity);
        if (t->count > 0)
            memcpy(calls, t->calls, sizeof(*calls) * t->count);
        t->calls = calls;
        t->capacity = capacity;
    }
    struct expr *input = expr_new(mem, EXPR_INPUT, e->type, e->typmod);
    input->input.slot = 1;
    input->input.index = t->count;
    t->calls[t->count++] = e;
    *out = input;
    return ERR_OK;
}

static err_t compile_project_set(struct compile *c, struct plan_node *n, struct node_code *code)
{
    struct take_sets t = {.c = c};
    struct expr **targets = ARENA_ARRAY(c->mem, struct expr *, n->target_count + 1);
    for (uint32_t i = 0; i < n->target_count; i++)
        TRY(expr_rewrite(c->mem, n->targets[i], take_set_call, &t, &targets[i]));
    code->set_calls = t.calls;
    code->set_call_count = t.count;
    TRY(expr_compile_list(c->mem, targets, n->target_count, &code->targets));
    return compile_calls(c, t.calls, t.count, &code->lists);
}

static err_t compile_modify(struct compile *c, struct plan_node *n, struct node_code *code)
{
    TRY(compile_table(c, n->modify.table));
    code->table = n->modify.table->code;
    TRY(compile_optional(c, n->modify.recheck, &code->recheck));
    if (n->modify.recheck_set != NULL)
        TRY(expr_compile_list(c->mem, n->modify.recheck_set, n->modify.set_count,
                              &code->recheck_set));
    if (n->modify.returning_count > 0)
        TRY(expr_compile_list(c->mem, n->modify.returning, n->modify.returning_count,
                              &code->returning));
    const struct plan_on_conflict *oc = n->modify.on_conflict;
    if (oc != NULL && oc->do_update) {
        TRY(expr_compile_list(c->mem, oc->set, oc->set_count, &code->outer_keys));
        TRY(compile_optional(c, oc->where, &code->condition));
    }
    return ERR_OK;
}

err_t code_compile_modify(struct arena *mem, struct plan_node *node)
{
    struct compile c = {.mem = mem};
    node->code = ARENA_NEW(mem, struct node_code);
    TRY(output_types(&c, node, node->code));
    node->code->layout = row_layout_new(mem, node->code->types, node->code->type_count);
    return compile_modify(&c, node, node->code);
}

static err_t compile_lock_rows(struct compile *c, struct plan_node *n, struct node_code *code)
{
    code->lists = ARENA_ARRAY(c->mem, struct program *, n->lock_rows.count + 1);
    for (uint32_t i = 0; i < n->lock_rows.count; i++) {
        TRY(compile_optional(c, n->lock_rows.marks[i].recheck, &code->lists[i]));
        TRY(compile_table(c, n->lock_rows.marks[i].table));
    }
    return ERR_OK;
}

/* ---- what a gather's fragment needs from the session's core ---- */

struct find_subplans {
    struct compile *c;
    bool *found;
    bool *params; /* exec params and work tables; NULL: not asked */
    bool *inside; /* of them, those that the subtree sets itself */
    bool *ctes;   /* visited */
};

static err_t find_visit(struct expr *e, void *ctx, bool *descend)
{
    struct find_subplans *f = ctx;
    *descend = true;
    if (e->kind == EXPR_SUBPLAN && e->subplan.index < f->c->plan->subplan_count)
        f->found[e->subplan.index] = true;
    if (e->kind == EXPR_EXEC_PARAM && f->params != NULL && e->param < f->c->plan->exec_param_count)
        f->params[e->param] = true;
    return ERR_OK;
}

static err_t find_in(struct find_subplans *f, struct expr *const *list, uint32_t count)
{
    for (uint32_t i = 0; list != NULL && i < count; i++)
        if (list[i] != NULL)
            TRY(expr_walk(list[i], find_visit, f));
    return ERR_OK;
}

static err_t find_in_node(struct find_subplans *f, const struct plan_node *n)
{
    if (n == NULL)
        return ERR_OK;
    TRY(fiber_check_stack());
    TRY(find_in(f, n->targets, n->target_count));
    TRY(find_in(f, &n->filter, 1));
    switch (n->kind) {
    case PLAN_INDEX_SCAN:
        TRY(find_in(f, n->scan.bounds.equal, n->scan.bounds.equal_count));
        TRY(find_in(f, &n->scan.bounds.low, 1));
        TRY(find_in(f, &n->scan.bounds.high, 1));
        break;
    case PLAN_VALUES:
        for (uint32_t i = 0; i < n->values.row_count; i++)
            TRY(find_in(f, n->values.rows[i], n->code->group_count));
        break;
    case PLAN_CTE_SCAN:
        if (f->params == NULL || f->ctes[n->cte.cte])
            break;
        f->ctes[n->cte.cte] = true;
        TRY(find_in_node(f, f->c->plan->ctes[n->cte.cte]));
        break;
    case PLAN_RECURSIVE_UNION:
        if (f->params != NULL)
            f->inside[f->c->plan->exec_param_count + n->recursive.work_table] = true;
        break;
    case PLAN_WORK_TABLE:
        if (f->params != NULL && n->recursive.work_table < f->c->plan->work_table_count)
            f->params[f->c->plan->exec_param_count + n->recursive.work_table] = true;
        break;
    case PLAN_GATHER:
        if (gather_has_key(n->gather.target))
            TRY(find_in(f, n->gather.key, n->gather.key_table->shard_key_count));
        break;
    case PLAN_FUNCTION_SCAN:
        TRY(find_in(f, n->function.calls, n->function.call_count));
        break;
    case PLAN_NESTED_LOOP:
    case PLAN_HASH_JOIN:
    case PLAN_MERGE_JOIN:
        for (uint32_t i = 0; f->params != NULL && i < n->join.nest_param_count; i++)
            f->inside[n->join.nest_params[i].param] = true;
        TRY(find_in(f, &n->join.condition, 1));
        TRY(find_in(f, n->join.outer_keys, n->join.key_count));
        TRY(find_in(f, n->join.inner_keys, n->join.key_count));
        break;
    case PLAN_AGGREGATE:
        TRY(find_in(f, n->aggregate.group, n->aggregate.group_count));
        for (uint32_t i = 0; i < n->aggregate.aggregate_count; i++) {
            const struct plan_aggregate *a = &n->aggregate.aggregates[i];
            TRY(find_in(f, a->args, a->arg_count));
            TRY(find_in(f, &a->filter, 1));
        }
        break;
    case PLAN_WINDOW:
        TRY(find_in(f, &n->window.start_offset, 1));
        TRY(find_in(f, &n->window.end_offset, 1));
        for (uint32_t i = 0; i < n->window.function_count; i++) {
            TRY(find_in(f, n->window.functions[i].args, n->window.functions[i].arg_count));
            TRY(find_in(f, &n->window.functions[i].filter, 1));
        }
        break;
    case PLAN_LIMIT:
        TRY(find_in(f, &n->limit.count, 1));
        TRY(find_in(f, &n->limit.offset, 1));
        break;
    case PLAN_APPEND:
        for (uint32_t i = 0; i < n->append.count; i++)
            TRY(find_in_node(f, n->append.children[i]));
        break;
    case PLAN_MODIFY:
        TRY(find_in(f, &n->modify.recheck, 1));
        TRY(find_in(f, n->modify.recheck_set, n->modify.set_count));
        TRY(find_in(f, n->modify.returning, n->modify.returning_count));
        if (n->modify.on_conflict != NULL) {
            TRY(find_in(f, n->modify.on_conflict->set, n->modify.on_conflict->set_count));
            TRY(find_in(f, &n->modify.on_conflict->where, 1));
        }
        break;
    default:
        break;
    }
    TRY(find_in_node(f, n->outer));
    return find_in_node(f, n->inner);
}

static bool has_gather(const struct plan_node *n)
{
    if (n == NULL)
        return false;
    if (n->kind == PLAN_GATHER || n->kind == PLAN_CTE_SCAN || n->kind == PLAN_VIRTUAL_SCAN ||
        n->kind == PLAN_WORK_TABLE)
        return true;
    if (fiber_check_stack() != ERR_OK)
        return true;
    if (n->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < n->append.count; i++)
            if (has_gather(n->append.children[i]))
                return true;
    return has_gather(n->outer) || has_gather(n->inner);
}

static const struct plan_node *fragment_modify(const struct plan_node *n)
{
    while (n != NULL && n->kind != PLAN_MODIFY)
        n = n->kind == PLAN_RESULT || n->kind == PLAN_LIMIT ? n->outer : NULL;
    return n;
}

/* Uncorrelated subplans used by the fragment, and by subplans it uses. */
static err_t needed_subplans(struct compile *c, const struct plan_node *fragment,
                             struct node_code *code)
{
    uint32_t count = c->plan->subplan_count;
    if (count == 0)
        return ERR_OK;
    bool *found = ARENA_ARRAY(c->mem, bool, count);
    bool *seen = ARENA_ARRAY(c->mem, bool, count);
    struct find_subplans f = {.c = c, .found = found};
    TRY(find_in_node(&f, fragment));
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < count; i++) {
            const struct plan_subplan *s = &c->plan->subplans[i];
            if (!found[i] || seen[i])
                continue;
            seen[i] = true;
            again = true;
            TRY(find_in(&f, s->args, s->arg_count));
            TRY(find_in(&f, &s->test, 1));
            if (!s->code->has_gather)
                TRY(find_in_node(&f, s->root));
        }
    }
    code->subplans = ARENA_ARRAY(c->mem, uint32_t, count);
    for (uint32_t i = 0; i < count; i++)
        if (found[i] && !c->plan->subplans[i].is_correlated)
            code->subplans[code->subplan_count++] = i;
    return ERR_OK;
}

static err_t gather_subplans(struct compile *c, struct plan_node *n, struct node_code *code)
{
    code->modify = fragment_modify(n->outer);
    if (code->modify != NULL)
        code->writes_elsewhere =
            code->modify->modify.changes_shard_key || code->modify->modify.table->code->has_map;
    return needed_subplans(c, n->outer, code);
}

static err_t compile_gather(struct compile *c, struct plan_node *n, struct node_code *code)
{
    if (gather_has_key(n->gather.target)) {
        uint32_t count = n->gather.key_table->shard_key_count;
        TRY(expr_compile_list(c->mem, n->gather.key, count, &code->outer_keys));
    }
    return compile_sort_keys(c, n->gather.merge, n->gather.merge_count, code);
}

static err_t compile_kind(struct compile *c, struct plan_node *n, struct node_code *code)
{
    switch (n->kind) {
    case PLAN_SEQ_SCAN:
        scan_columns_used(n, code);
        return ERR_OK;
    case PLAN_INDEX_SCAN:
        scan_columns_used(n, code);
        return compile_index_scan(c, n, code);
    case PLAN_VALUES:
        return compile_values(c, n, code);
    case PLAN_FUNCTION_SCAN:
        return compile_calls(c, (const struct expr *const *)n->function.calls,
                             n->function.call_count, &code->lists);
    case PLAN_NESTED_LOOP:
    case PLAN_HASH_JOIN:
    case PLAN_MERGE_JOIN:
        return compile_join(c, n, code);
    case PLAN_AGGREGATE:
        return compile_aggregate(c, n, code);
    case PLAN_SORT:
        TRY(compile_optional(c, n->sort.bound, &code->low));
        return compile_sort_keys(c, n->sort.keys, n->sort.key_count, code);
    case PLAN_LIMIT:
        TRY(compile_optional(c, n->limit.count, &code->low));
        TRY(compile_optional(c, n->limit.offset, &code->high));
        return compile_sort_keys(c, n->limit.ties, n->limit.tie_count, code);
    case PLAN_DISTINCT:
        return key_parts(c, n->outer->code->types,
                         MIN(n->distinct.key_count, n->outer->code->type_count),
                         &code->outer_parts);
    case PLAN_SET_OPERATION:
        return key_parts(c, n->outer->code->types, n->outer->code->type_count, &code->outer_parts);
    case PLAN_RECURSIVE_UNION:
        return n->recursive.distinct ? key_parts(c, n->outer->code->types,
                                                 n->outer->code->type_count, &code->outer_parts)
                                     : ERR_OK;
    case PLAN_PROJECT_SET:
        return compile_project_set(c, n, code);
    case PLAN_LOCK_ROWS:
        return compile_lock_rows(c, n, code);
    case PLAN_MODIFY:
        return compile_modify(c, n, code);
    case PLAN_GATHER:
        return compile_gather(c, n, code);
    case PLAN_WINDOW:
        return compile_window(c, n, code);
    case PLAN_RESULT:
    case PLAN_VIRTUAL_SCAN:
    case PLAN_CTE_SCAN:
    case PLAN_WORK_TABLE:
    case PLAN_APPEND:
    case PLAN_MATERIALIZE:
        return ERR_OK;
    }
    return err_raise(ERR_INTERNAL_ERROR, "plan node of kind %d", (int)n->kind);
}

static err_t compile_node(struct compile *c, struct plan_node *n)
{
    if (n == NULL)
        return ERR_OK;
    TRY(fiber_check_stack());
    TRY(compile_node(c, n->outer));
    TRY(compile_node(c, n->inner));
    if (n->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < n->append.count; i++)
            TRY(compile_node(c, n->append.children[i]));
    struct node_code *code = ARENA_NEW(c->mem, struct node_code);
    n->code = code;
    TRY(output_types(c, n, code));
    TRY(compile_optional(c, n->filter, &code->filter));
    if (n->targets != NULL && n->kind != PLAN_PROJECT_SET)
        TRY(expr_compile_list(c->mem, n->targets, n->target_count, &code->targets));
    TRY(compile_kind(c, n, code));
    code->layout = row_layout_new(c->mem, code->types, code->type_count);
    return ERR_OK;
}

static bool keeps_result(enum plan_kind kind)
{
    return kind == PLAN_MATERIALIZE || kind == PLAN_SORT || kind == PLAN_HASH_JOIN;
}

/* Everything a node's subtree reads that changes between rescans. */
static err_t node_depends(struct compile *c, struct plan_node *n)
{
    const struct plan *p = c->plan;
    uint32_t count = p->exec_param_count + p->work_table_count;
    if (count == 0)
        return ERR_OK;
    bool *found = ARENA_ARRAY(c->mem, bool, p->subplan_count + 1);
    bool *seen = ARENA_ARRAY(c->mem, bool, p->subplan_count + 1);
    bool *params = ARENA_ARRAY(c->mem, bool, count);
    bool *inside = ARENA_ARRAY(c->mem, bool, count);
    bool *ctes = ARENA_ARRAY(c->mem, bool, p->cte_count + 1);
    struct find_subplans f = {
        .c = c, .found = found, .params = params, .inside = inside, .ctes = ctes};
    /* The hash join keeps its inner side only. */
    if (n->kind == PLAN_HASH_JOIN) {
        TRY(find_in(&f, n->join.inner_keys, n->join.key_count));
        TRY(find_in_node(&f, n->inner));
    } else {
        TRY(find_in_node(&f, n));
    }
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < p->subplan_count; i++) {
            if (!found[i] || seen[i])
                continue;
            const struct plan_subplan *s = &p->subplans[i];
            seen[i] = true;
            again = true;
            for (uint32_t k = 0; k < s->arg_count && s->params != NULL; k++)
                inside[s->params[k]] = true;
            for (uint32_t k = 0; k < s->column_count && s->test != NULL; k++)
                inside[s->first_param + k] = true;
            if (s->result_param != UINT32_MAX)
                inside[s->result_param] = true;
            TRY(find_in(&f, s->args, s->arg_count));
            TRY(find_in(&f, &p->subplans[i].test, 1));
            TRY(find_in_node(&f, s->root));
        }
    }
    n->code->depends = ARENA_ARRAY(c->mem, uint32_t, count);
    for (uint32_t i = 0; i < count; i++)
        if (params[i] && !inside[i])
            n->code->depends[n->code->depend_count++] = i;
    return ERR_OK;
}

static err_t compile_gathers(struct compile *c, struct plan_node *n)
{
    if (n == NULL)
        return ERR_OK;
    TRY(fiber_check_stack());
    if (n->kind == PLAN_GATHER)
        TRY(gather_subplans(c, n, n->code));
    /* The workers of a routed modification evaluate its expressions on other cores. */
    if (n->kind == PLAN_MODIFY && !n->modify.local) {
        struct plan_node alone = *n;
        alone.outer = NULL;
        TRY(needed_subplans(c, &alone, n->code));
    }
    if (keeps_result(n->kind))
        TRY(node_depends(c, n));
    if (n->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < n->append.count; i++)
            TRY(compile_gathers(c, n->append.children[i]));
    TRY(compile_gathers(c, n->outer));
    return compile_gathers(c, n->inner);
}

static err_t compile_subplan(struct compile *c, struct plan_subplan *s)
{
    struct subplan_code *code = ARENA_NEW(c->mem, struct subplan_code);
    s->code = code;
    TRY(compile_node(c, s->root));
    TRY(expr_compile_list(c->mem, s->args, s->arg_count, &code->args));
    TRY(compile_optional(c, s->test, &code->test));
    code->has_gather = has_gather(s->root);
    if (s->hashed && s->hash_left != NULL && !s->is_correlated) {
        if (s->root->code->type_count > 0 &&
            join_part(s->hash_left->type, s->root->code->types[0], &code->hash_left_part,
                      &code->hash_part) == ERR_OK)
            TRY(expr_compile(c->mem, s->hash_left, &code->hash_left));
    }
    return ERR_OK;
}

err_t code_compile_plan(const struct plan *plan)
{
    if (plan->is_compiled)
        return ERR_OK;
    struct compile c = {.mem = plan->mem, .plan = plan};
    for (uint32_t i = 0; i < plan->cte_count; i++)
        TRY(compile_node(&c, plan->ctes[i]));
    for (uint32_t i = 0; i < plan->subplan_count; i++)
        TRY(compile_subplan(&c, &plan->subplans[i]));
    TRY(compile_node(&c, plan->root));
    for (uint32_t i = 0; i < plan->cte_count; i++) {
        TRY(compile_gathers(&c, plan->ctes[i]));
        TRY(node_depends(&c, plan->ctes[i]));
    }
    for (uint32_t i = 0; i < plan->subplan_count; i++)
        TRY(compile_gathers(&c, plan->subplans[i].root));
    TRY(compile_gathers(&c, plan->root));
    ((struct plan *)(uintptr_t)plan)->is_compiled = true;
    return ERR_OK;
}
