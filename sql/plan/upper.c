/*
 * Above FROM and WHERE: aggregation, projection, DISTINCT, ORDER BY, row locks, LIMIT.
 *
 * Each step is done where the rows are as long as its expressions fit there; when they do not, or
 * when rows of all shards must meet, a gather is put in first, after what each shard can do alone
 * (partial aggregation, distinct, sort and top-n).
 */
#include "sql/plan/plan_priv.h"

/* ---- rows of FROM and WHERE ---- */

static err_t result_without_rows(struct level *l, struct expr *const *wanted, uint32_t count,
                                 struct planned *out)
{
    out->node = plan_node_new(l->p, PLAN_RESULT);
    out->node->filter = expr_bool_const(l->mem, false, false);
    out->node->targets = ARENA_ARRAY(l->mem, struct expr *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        out->node->targets[i] = expr_const(l->mem, wanted[i]->type, wanted[i]->typmod, 0, true);
    planned_set_out(l->p, out, wanted, count);
    out->dist = (struct dist){.kind = DIST_ANY};
    return ERR_OK;
}

static err_t result_one_row(struct level *l, struct planned *out)
{
    struct expr *test = expr_and(l->mem, l->once.items, l->once.count);
    out->dist = (struct dist){.kind = DIST_ANY};
    if (test && !expr_fits(l->p, test, &out->dist))
        out->dist.kind = DIST_SESSION;
    struct fix f = fix_of(l, NULL, &out->dist);
    out->node = plan_node_new(l->p, PLAN_RESULT);
    out->node->rows = 1;
    out->node->total_cost = l->p->costs.cpu_tuple;
    out->node->targets = ARENA_ARRAY(l->mem, struct expr *, 1);
    TRY(build_fix(&f, test, &out->node->filter));
    planned_set_out(l->p, out, NULL, 0);
    return ERR_OK;
}

static err_t columns_of(struct level *l, struct expr *const *exprs, uint32_t count,
                        struct expr_list *out)
{
    for (uint32_t i = 0; i < count; i++)
        TRY(expr_columns(l->mem, exprs[i], out));
    return ERR_OK;
}

err_t upper_rows(struct level *l, struct expr *const *wanted, uint32_t count,
                 const struct order *want, struct planned *out)
{
    *out = (struct planned){0};
    if (l->is_empty)
        return result_without_rows(l, wanted, count, out);
    if (l->rels.count == 0)
        return result_one_row(l, out);
    struct rel *top;
    TRY(join_search(l, &top));
    struct path *path = path_choose(l, top, want);
    if (!path)
        return err_not_built("no plan was found for this query's lateral references");
    bool direct = l->session.count == 0 && l->once.count == 0 &&
                  exprs_fit(l->p, wanted, count, &path->dist) && path->dist.kind != DIST_ANY;
    for (uint32_t i = 0; i < count; i++)
        direct = direct && !expr_makes_set(wanted[i]);
    struct expr_list columns = {0};
    TRY(columns_of(l, wanted, count, &columns));
    struct expr_list tests = {0};
    for (uint32_t i = 0; i < l->once.count; i++)
        expr_list_add(l->mem, &tests, l->once.items[i]);
    for (uint32_t i = 0; i < l->session.count; i++)
        expr_list_add(l->mem, &tests, l->session.items[i]->expr);
    TRY(columns_of(l, tests.items, tests.count, &columns));
    if (direct)
        TRY(build_path(l, path, wanted, count, out));
    else
        TRY(build_path(l, path, columns.items, columns.count, out));
    if (tests.count == 0)
        return ERR_OK;
    struct expr *test = expr_and(l->mem, tests.items, tests.count);
    if (!expr_fits(l->p, test, &out->dist))
        TRY(build_gather(l, out, false));
    struct expr_list keep = {0};
    TRY(columns_of(l, wanted, count, &keep));
    for (uint32_t i = 0; i < out->order.count; i++)
        if (expr_list_find(out->out, out->out_count, out->order.keys[i].expr) != UINT32_MAX)
            expr_list_add_new(l->mem, &keep, out->order.keys[i].expr);
    return build_result(l, out, keep.items, keep.count, test);
}

/* The targets over x; gathered before when they cannot be made where x is. */
static err_t project(struct level *l, struct planned *x, struct expr *const *targets,
                     uint32_t count)
{
    if (!exprs_fit(l->p, targets, count, &x->dist)) {
        if (x->dist.kind == DIST_ANY)
            x->dist.kind = DIST_SESSION;
        else
            TRY(build_gather(l, x, false));
    }
    /* targets of a bare result are its own */
    bool sets = false;
    for (uint32_t i = 0; i < count; i++)
        sets = sets || expr_makes_set(targets[i]);
    if (x->node->kind == PLAN_RESULT && !x->node->outer && x->out_count == 0 && !sets) {
        struct fix f = fix_of(l, NULL, &x->dist);
        TRY(build_fix_list(&f, targets, count, &x->node->targets));
        planned_set_out(l->p, x, targets, count);
        return ERR_OK;
    }
    return build_result(l, x, targets, count, NULL);
}

/* ---- aggregation ---- */

struct grouping_step {
    struct level *l;
    struct expr_list groups;
    struct expr_list aggregates;
    struct expr_list both; /* groups, then aggregates: slot 3 */
};

struct find_aggregates {
    struct grouping_step *g;
    bool sets;
};
static err_t visit_aggregates(struct expr *e, void *ctx, bool *descend)
{
    struct find_aggregates *f = ctx;
    struct arena *mem = f->g->l->mem;
    *descend = true;
    if (e->kind == EXPR_AGGREGATE) {
        expr_list_add_new(mem, &f->g->aggregates, e);
        *descend = false;
    } else if (e->kind == EXPR_GROUPING) {
        *descend = false;
    }
    return ERR_OK;
}

/* Columns outside of aggregates that no group expression covers: a grouped key determines them. */
static err_t visit_dependent(struct expr *e, void *ctx, bool *descend)
{
    struct find_aggregates *f = ctx;
    struct grouping_step *g = f->g;
    *descend = false;
    if (e->kind == EXPR_AGGREGATE || e->kind == EXPR_GROUPING ||
        expr_list_find(g->groups.items, g->groups.count, e) != UINT32_MAX)
        return ERR_OK;
    *descend = true;
    if (e->kind == EXPR_COLUMN) {
        if (f->sets)
            return err_raise(ERR_INTERNAL_ERROR, "ungrouped column with grouping sets");
        expr_list_add(g->l->mem, &g->groups, e);
    }
    return ERR_OK;
}

static err_t grouping_collect(struct grouping_step *g, struct expr *const *targets, uint32_t count)
{
    struct query *q = g->l->q;
    struct find_aggregates f = {.g = g, .sets = q->grouping_sets != NULL};
    for (uint32_t i = 0; i < q->group_count; i++)
        if (q->grouping_sets)
            expr_list_add(g->l->mem, &g->groups, q->group_exprs[i]); /* members are positions */
        else if (q->group_exprs[i]->kind != EXPR_CONST)
            expr_list_add_new(g->l->mem, &g->groups, q->group_exprs[i]);
        else
            expr_list_add(g->l->mem, &g->groups, q->group_exprs[i]);
    for (uint32_t i = 0; i < count; i++) {
        TRY(expr_walk(targets[i], visit_aggregates, &f));
        TRY(expr_walk(targets[i], visit_dependent, &f));
    }
    TRY(expr_walk(q->having, visit_aggregates, &f));
    TRY(expr_walk(q->having, visit_dependent, &f));
    for (uint32_t i = 0; i < g->groups.count; i++)
        expr_list_add(g->l->mem, &g->both, g->groups.items[i]);
    for (uint32_t i = 0; i < g->aggregates.count; i++)
        expr_list_add(g->l->mem, &g->both, g->aggregates.items[i]);
    return ERR_OK;
}

static err_t aggregate_make(struct fix *f, const struct expr *e, bool with_args,
                            struct plan_aggregate *a)
{
    struct arena *mem = f->l->mem;
    if (!e->func || !e->func->aggregate)
        return err_not_built("aggregate function %s is not supported yet",
                             e->func ? e->func->name : "?");
    a->func = e->func;
    a->distinct = e->aggregate.distinct;
    a->star = e->aggregate.star;
    a->type = e->type;
    a->arg_count = e->arg_count;
    a->arg_types = ARENA_ARRAY(mem, oid, e->arg_count + 1);
    for (uint32_t i = 0; i < e->arg_count; i++)
        a->arg_types[i] = e->args[i]->type;
    if (!with_args)
        return ERR_OK;
    TRY(build_fix_list(f, e->args, e->arg_count, &a->args));
    TRY(build_fix(f, e->aggregate.filter, &a->filter));
    a->order_count = e->aggregate.order_count;
    a->order = ARENA_ARRAY(mem, struct plan_sort_key, a->order_count + 1);
    a->order_exprs = ARENA_ARRAY(mem, struct expr *, a->order_count + 1);
    for (uint32_t i = 0; i < a->order_count; i++) {
        const struct sort_item *s = &e->aggregate.order[i];
        TRY(build_fix(f, s->expr, &a->order_exprs[i]));
        a->order[i] = (struct plan_sort_key){.column = i,
                                             .type = s->expr->type,
                                             .sort_operator = s->sort_operator,
                                             .descending = s->descending,
                                             .nulls_first = s->nulls_first};
    }
    return ERR_OK;
}

static bool groups_hash(const struct grouping_step *g)
{
    for (uint32_t i = 0; i < g->groups.count; i++) {
        const struct type_info *t = type_find(g->groups.items[i]->type);
        if (!t || !t->hash)
            return false;
    }
    return true;
}

static void groups_order(const struct grouping_step *g, struct order *out)
{
    *out = (struct order){0};
    for (uint32_t i = 0; i < g->groups.count; i++)
        order_add(g->l, out, g->groups.items[i], g->groups.items[i]->type, OID_NONE, false, false);
}

/* The node over x. targets NULL: all of slot 3. */
static err_t aggregate_node(struct grouping_step *g, struct planned *x, enum aggregate_stage stage,
                            struct expr *const *targets, uint32_t count, struct expr *having)
{
    struct level *l = g->l;
    struct query *q = l->q;
    const struct costs *c = &l->p->costs;
    struct order sorted;
    groups_order(g, &sorted);
    int strategy = g->groups.count == 0 && !q->grouping_sets ? 0 : 1;
    bool ordered = strategy == 1 && stage == AGGREGATE_WHOLE && !q->grouping_sets;
    if (ordered && (order_satisfies(&x->order, &sorted) || !groups_hash(g) || !c->hashagg)) {
        /* every group expression must be a column to sort by */
        struct expr_list with = {0};
        for (uint32_t i = 0; i < x->out_count; i++)
            expr_list_add(l->mem, &with, x->out[i]);
        for (uint32_t i = 0; i < sorted.count; i++)
            expr_list_add_new(l->mem, &with, sorted.keys[i].expr);
        TRY(build_result(l, x, with.items, with.count, NULL));
        TRY(build_sort(l, x, &sorted, NULL, -1));
        strategy = 2;
    }
    if (strategy == 1 && !groups_hash(g))
        return err_not_built("grouping by a type without hashing is not supported here yet");
    struct plan_node *n = plan_node_new(l->p, PLAN_AGGREGATE);
    struct fix f = fix_of(l, x, &x->dist);
    n->outer = x->node;
    n->aggregate.stage = stage;
    n->aggregate.strategy = strategy;
    n->aggregate.group_count = g->groups.count;
    TRY(build_fix_list(&f, g->groups.items, g->groups.count, &n->aggregate.group));
    n->aggregate.sets = q->grouping_sets;
    n->aggregate.set_count = q->grouping_set_count;
    n->aggregate.aggregate_count = g->aggregates.count;
    n->aggregate.aggregates = ARENA_ARRAY(l->mem, struct plan_aggregate, g->aggregates.count + 1);
    for (uint32_t i = 0; i < g->aggregates.count; i++)
        TRY(aggregate_make(&f, g->aggregates.items[i], stage != AGGREGATE_FINAL,
                           &n->aggregate.aggregates[i]));
    double rows = x->node->rows;
    double groups = strategy == 0 ? 1
                                  : estimate_groups(l, g->groups.items, g->groups.count, rows) *
                                        MAX(q->grouping_set_count, 1u);
    double work = rows * c->cpu_operator * (double)(g->groups.count + g->aggregates.count);
    n->rows = having && stage != AGGREGATE_PARTIAL ? clamp_rows(groups / 3) : groups;
    n->startup_cost = strategy == 2 ? x->node->startup_cost : x->node->total_cost + work;
    n->total_cost = x->node->total_cost + work + groups * c->cpu_tuple;
    struct fix over = fix_of(l, NULL, &x->dist);
    over.group = g->both.items;
    over.group_count = g->both.count;
    over.sets = q->grouping_sets;
    over.set_count = q->grouping_set_count;
    over.group_exprs = &g->groups;
    over.set_column = g->both.count;
    if (!targets) {
        targets = g->both.items;
        count = g->both.count;
    }
    TRY(build_fix_list(&over, targets, count, &n->targets));
    if (stage != AGGREGATE_PARTIAL)
        TRY(build_fix(&over, having, &n->filter));
    x->node = n;
    planned_set_out(l->p, x, targets, count);
    if (stage == AGGREGATE_PARTIAL)
        for (uint32_t i = 0; i < g->aggregates.count; i++) {
            n->types[g->groups.count + i] = TYPE_BYTEA;
            n->targets[g->groups.count + i]->type = TYPE_BYTEA;
        }
    if (strategy != 2)
        x->order = (struct order){0};
    return ERR_OK;
}

static bool can_split(const struct grouping_step *g)
{
    if (g->l->q->grouping_sets || !groups_hash(g))
        return false;
    for (uint32_t i = 0; i < g->aggregates.count; i++) {
        const struct expr *e = g->aggregates.items[i];
        if (!e->func || !e->func->aggregate || !e->func->aggregate->save ||
            !e->func->aggregate->merge || e->aggregate.distinct || e->aggregate.order_count)
            return false;
    }
    return true;
}

static bool groups_cover_keys(const struct grouping_step *g, const struct dist *d)
{
    if (d->key_count == 0 || g->l->q->grouping_sets)
        return false;
    for (uint32_t i = 0; i < d->key_count; i++) {
        const struct eclass *ec = eclass_find(g->l, d->keys[i]);
        bool found = false;
        for (uint32_t k = 0; k < g->groups.count; k++)
            found = found || exprs_match(g->groups.items[k], d->keys[i]) ||
                    (ec && ec == eclass_find(g->l, g->groups.items[k]));
        if (!found)
            return false;
    }
    return true;
}

static err_t aggregate_step(struct level *l, struct planned *x, struct expr *const *targets,
                            uint32_t count, struct grouping_step *g)
{
    struct query *q = l->q;
    bool inputs_fit = exprs_fit(l->p, g->both.items, g->both.count, &x->dist);
    if (!inputs_fit) {
        TRY(build_gather(l, x, false));
    } else if (x->dist.kind == DIST_SPREAD && !groups_cover_keys(g, &x->dist)) {
        if (can_split(g)) {
            TRY(aggregate_node(g, x, AGGREGATE_PARTIAL, NULL, 0, NULL));
            TRY(build_gather(l, x, false));
            bool direct = true;
            for (uint32_t i = 0; i < count; i++)
                direct = direct && !expr_makes_set(targets[i]);
            return aggregate_node(g, x, AGGREGATE_FINAL, direct ? targets : NULL, count, q->having);
        }
        TRY(build_gather(l, x, false));
    }
    if (x->dist.kind == DIST_ANY)
        x->dist.kind = DIST_SESSION;
    struct expr *having = q->having;
    bool direct = !having || expr_fits(l->p, having, &x->dist);
    direct = direct && exprs_fit(l->p, targets, count, &x->dist);
    for (uint32_t i = 0; i < count; i++)
        direct = direct && !expr_makes_set(targets[i]);
    if (direct)
        return aggregate_node(g, x, AGGREGATE_WHOLE, targets, count, having);
    if (having && !expr_fits(l->p, having, &x->dist)) {
        TRY(build_gather(l, x, false));
    }
    bool sets = q->grouping_sets != NULL; /* GROUPING() is known at the node only */
    if (sets && !exprs_fit(l->p, targets, count, &x->dist))
        TRY(build_gather(l, x, false));
    direct = sets;
    for (uint32_t i = 0; i < count; i++)
        direct = direct && !expr_makes_set(targets[i]);
    return aggregate_node(g, x, AGGREGATE_WHOLE, direct ? targets : NULL, count, having);
}

/* ---- DISTINCT, ORDER BY, LIMIT ---- */

static err_t hash_distinct(struct level *l, struct planned *x, uint32_t keys)
{
    struct plan_node *n = plan_node_new(l->p, PLAN_DISTINCT);
    n->outer = x->node;
    n->distinct.key_count = keys;
    n->types = x->node->types;
    n->target_count = x->node->target_count;
    n->width = x->node->width;
    n->rows = estimate_groups(l, x->out, keys, x->node->rows);
    n->startup_cost =
        x->node->total_cost + x->node->rows * l->p->costs.cpu_operator * MAX(keys, 1u);
    n->total_cost = n->startup_cost + n->rows * l->p->costs.cpu_tuple;
    x->node = n;
    x->order = (struct order){0};
    return ERR_OK;
}

static err_t distinct_step(struct level *l, struct planned *x)
{
    bool hash = l->p->costs.hashagg;
    for (uint32_t i = 0; i < x->out_count; i++) {
        const struct type_info *t = type_find(x->out[i]->type);
        hash = hash && t && t->hash;
    }
    if (!hash) {
        struct order all = {0};
        struct order by;
        order_of_items(l, l->q->order, l->q->order_count, &by);
        for (uint32_t i = 0; i < by.count; i++)
            order_add(l, &all, by.keys[i].expr, by.keys[i].type, by.keys[i].sort_operator,
                      by.keys[i].descending, by.keys[i].nulls_first);
        for (uint32_t i = 0; i < x->out_count; i++)
            order_add(l, &all, x->out[i], x->out[i]->type, OID_NONE, false, false);
        TRY(build_gather(l, x, false));
        TRY(build_sort(l, x, &all, NULL, -1));
        struct order kept = x->order;
        TRY(hash_distinct(l, x, x->out_count));
        x->node->distinct.sorted = true;
        x->order = kept;
        return ERR_OK;
    }
    if (x->dist.kind == DIST_SPREAD) {
        bool whole = x->dist.key_count > 0;
        for (uint32_t i = 0; i < x->dist.key_count; i++)
            whole = whole && expr_list_find(x->out, x->out_count, x->dist.keys[i]) != UINT32_MAX;
        TRY(hash_distinct(l, x, x->out_count));
        if (whole)
            return ERR_OK;
        TRY(build_gather(l, x, false));
    }
    return hash_distinct(l, x, x->out_count);
}

static err_t distinct_on_step(struct level *l, struct planned *x)
{
    struct query *q = l->q;
    struct expr_list columns = {0};
    for (uint32_t i = 0; i < q->distinct_on_count; i++)
        expr_list_add_new(l->mem, &columns, q->distinct_on[i].expr);
    uint32_t keys = columns.count;
    for (uint32_t i = 0; i < x->out_count; i++)
        expr_list_add_new(l->mem, &columns, x->out[i]);
    TRY(build_result(l, x, columns.items, columns.count, NULL));
    struct order want;
    order_of_items(l, q->order, q->order_count, &want);
    for (uint32_t i = 0; i < q->distinct_on_count; i++)
        order_add(l, &want, q->distinct_on[i].expr, q->distinct_on[i].expr->type,
                  q->distinct_on[i].sort_operator, q->distinct_on[i].descending,
                  q->distinct_on[i].nulls_first);
    TRY(build_sort(l, x, &want, NULL, -1));
    if (x->dist.kind == DIST_SPREAD)
        TRY(build_gather(l, x, false));
    struct order kept = x->order;
    TRY(hash_distinct(l, x, keys));
    x->node->distinct.sorted = true;
    x->order = kept;
    return ERR_OK;
}

static bool simple_bound(const struct expr *e)
{
    const struct expr *s = expr_strip_relabel(e);
    return s->kind == EXPR_CONST || s->kind == EXPR_PARAM;
}

/* count + offset as an expression that every shard can evaluate; NULL = not to be pushed. */
static struct expr *limit_bound(struct level *l, int64_t *hint)
{
    const struct query *q = l->q;
    *hint = -1;
    if (!q->limit || q->limit_with_ties || !simple_bound(q->limit) ||
        (q->offset && !simple_bound(q->offset)))
        return NULL;
    bool constant = q->limit->kind == EXPR_CONST && (!q->offset || q->offset->kind == EXPR_CONST);
    if (constant) {
        if (q->limit->constant.is_null || datum_i64(q->limit->constant.value) < 0 ||
            (q->offset && !q->offset->constant.is_null && datum_i64(q->offset->constant.value) < 0))
            return NULL;
        int64_t sum = datum_i64(q->limit->constant.value);
        if (q->offset && !q->offset->constant.is_null &&
            ckd_add_i64(&sum, sum, datum_i64(q->offset->constant.value)))
            return NULL;
        if (sum > 0)
            *hint = sum;
        return expr_const(l->mem, TYPE_INT8, -1, datum_of_i64(sum), false);
    }
    if (!q->offset)
        return q->limit;
    uint32_t count;
    const struct operator_info *const *plus = operator_find_name("+", &count);
    for (uint32_t i = 0; i < count; i++)
        if (plus[i]->left == TYPE_INT8 && plus[i]->right == TYPE_INT8)
            return expr_operator(l->mem, plus[i]->oid, q->limit, q->offset);
    return NULL;
}

static err_t limit_node(struct level *l, struct planned *x, struct expr *count, struct expr *offset,
                        bool with_ties, const struct order *order)
{
    struct plan_node *n = plan_node_new(l->p, PLAN_LIMIT);
    struct fix f = fix_of(l, NULL, &x->dist);
    n->outer = x->node;
    TRY(build_fix(&f, count, &n->limit.count));
    TRY(build_fix(&f, offset, &n->limit.offset));
    n->limit.with_ties = with_ties;
    if (with_ties) {
        n->limit.ties = build_sort_keys(l, x, order, &n->limit.tie_count);
        if (n->limit.tie_count != order->count)
            return err_raise(ERR_INTERNAL_ERROR, "WITH TIES without its columns");
    }
    double rows = x->node->rows;
    double want = count && count->kind == EXPR_CONST && !count->constant.is_null
                      ? (double)datum_i64(count->constant.value)
                  : count ? rows * 0.1
                          : rows;
    double skip = offset && offset->kind == EXPR_CONST && !offset->constant.is_null
                      ? (double)datum_i64(offset->constant.value)
                      : 0;
    double run = x->node->total_cost - x->node->startup_cost;
    n->rows = clamp_rows(MIN(want, MAX(rows - skip, 1.0)));
    n->startup_cost = x->node->startup_cost + (rows > 0 ? run * MIN(1.0, skip / rows) : 0);
    n->total_cost =
        x->node->startup_cost + (rows > 0 ? run * MIN(1.0, (skip + n->rows) / rows) : run);
    n->types = x->node->types;
    n->target_count = x->node->target_count;
    n->width = x->node->width;
    x->node = n;
    return ERR_OK;
}

static err_t lock_rows_step(struct level *l, struct planned *x);

static err_t order_limit(struct level *l, struct planned *x)
{
    struct query *q = l->q;
    struct order want;
    int64_t hint;
    struct expr *bound = limit_bound(l, &hint);
    order_of_items(l, q->order, q->order_count, &want);
    bool marks = q->row_mark_count > 0;
    TRY(build_sort(l, x, &want, marks ? NULL : bound, marks ? -1 : hint));
    if (!q->limit && !q->offset)
        return marks ? lock_rows_step(l, x) : ERR_OK;
    if (x->dist.kind == DIST_SPREAD) {
        if (bound && !marks)
            TRY(limit_node(l, x, bound, NULL, false, NULL));
        TRY(build_gather(l, x, false));
        if (want.count && !order_satisfies(&x->order, &want))
            return err_raise(ERR_INTERNAL_ERROR, "order is lost in a gather");
    }
    if (marks)
        TRY(lock_rows_step(l, x));
    if ((q->limit && !expr_fits(l->p, q->limit, &x->dist)) ||
        (q->offset && !expr_fits(l->p, q->offset, &x->dist)))
        TRY(build_gather(l, x, marks));
    return limit_node(l, x, q->limit, q->offset, q->limit_with_ties, &want);
}

static err_t drop_junk(struct level *l, struct planned *x)
{
    const struct query *q = l->q;
    struct expr_list plain = {0};
    for (uint32_t i = 0; i < q->target_count; i++)
        if (!q->targets[i].junk)
            expr_list_add(l->mem, &plain, q->targets[i].expr);
    /* rows of all shards that must stay in order are merged before the sort columns go */
    if (x->dist.kind == DIST_SPREAD && q->order_count)
        TRY(build_gather(l, x, false));
    TRY(project(l, x, plain.items, plain.count));
    if (q->order_count == 0) /* nobody asked: a gather need not merge */
        x->order = (struct order){0};
    return ERR_OK;
}

err_t upper_finish(struct level *l, struct planned *x)
{
    struct query *q = l->q;
    if (q->has_distinct_on)
        TRY(distinct_on_step(l, x));
    else if (q->distinct)
        TRY(distinct_step(l, x));
    TRY(order_limit(l, x));
    return drop_junk(l, x);
}

/* ---- row locks ---- */

static struct rel *mark_rel(struct level *l, const struct row_mark *m)
{
    struct rel *r = l->rte_rels[m->rte];
    return r && r->table && r->dist.kind != DIST_SESSION ? r : NULL;
}

/* Columns of each locked table side by side, then where its row is. */
static err_t lock_columns(struct level *l, struct expr_list *all, struct expr_list *out)
{
    struct query *q = l->q;
    for (uint32_t i = 0; i < q->row_mark_count; i++) {
        const struct row_mark *m = &q->row_marks[i];
        const struct rel *r = mark_rel(l, m);
        if (!r)
            return err_not_built("row locks on what is not a plain table of this query are not "
                                 "supported yet");
        if (r->dist.kind == DIST_HOME)
            return err_not_built("row locks on replicated tables are not supported yet");
        for (uint32_t k = 0; k < all->count; k++)
            if (all->items[k]->column.rte == m->rte)
                expr_list_add_new(l->mem, out, all->items[k]);
    }
    for (uint32_t k = 0; k < all->count; k++)
        expr_list_add_new(l->mem, out, all->items[k]);
    for (uint32_t i = 0; i < q->row_mark_count; i++) {
        uint32_t rte = q->row_marks[i].rte;
        expr_list_add_new(l->mem, out, expr_row_place(l->mem, rte, COLUMN_ROW_ID));
        expr_list_add_new(l->mem, out, expr_row_place(l->mem, rte, COLUMN_SHARD));
    }
    return ERR_OK;
}

static err_t lock_rows_step(struct level *l, struct planned *x)
{
    struct query *q = l->q;
    struct plan_node *n = plan_node_new(l->p, PLAN_LOCK_ROWS);
    n->lock_rows.count = q->row_mark_count;
    n->lock_rows.marks = ARENA_ARRAY(l->mem, struct plan_row_mark, q->row_mark_count);
    for (uint32_t i = 0; i < q->row_mark_count; i++) {
        const struct row_mark *m = &q->row_marks[i];
        struct rel *r = mark_rel(l, m);
        struct plan_row_mark *to = &n->lock_rows.marks[i];
        to->table = arena_memdup(l->mem, r->table, sizeof(*r->table));
        to->table->columns_used = to->table->column_count;
        to->mode = m->mode;
        to->policy = m->policy;
        to->row_id_column =
            expr_list_find(x->out, x->out_count, expr_row_place(l->mem, m->rte, COLUMN_ROW_ID));
        to->shard_column =
            expr_list_find(x->out, x->out_count, expr_row_place(l->mem, m->rte, COLUMN_SHARD));
        if (to->row_id_column == UINT32_MAX || to->shard_column == UINT32_MAX)
            return err_raise(ERR_INTERNAL_ERROR, "row to lock is not known");
        to->attnos = ARENA_ARRAY(l->mem, int32_t, x->out_count + 1);
        for (uint32_t k = 0; k < x->out_count; k++) {
            const struct expr *e = x->out[k];
            if (e->kind != EXPR_COLUMN || e->column.rte != m->rte || e->column.attno <= 0)
                continue;
            if (to->column_count == 0)
                to->first_column = k;
            if (k != to->first_column + to->column_count)
                return err_raise(ERR_INTERNAL_ERROR, "columns of a locked row are not together");
            to->attnos[to->column_count++] = e->column.attno;
        }
        struct expr_list tests = {0};
        for (uint32_t k = 0; k < r->clauses.count; k++)
            if (r->clauses.items[k]->rels == r->set)
                expr_list_add(l->mem, &tests, r->clauses.items[k]->expr);
        struct fix f = fix_of(l, NULL, &x->dist);
        f.row_rte = m->rte;
        f.row_columns = r->table->column_count;
        f.row_is_table = true;
        TRY(build_fix(&f, expr_and(l->mem, tests.items, tests.count), &to->recheck));
    }
    n->outer = x->node;
    n->types = x->node->types;
    n->target_count = x->node->target_count;
    n->width = x->node->width;
    n->rows = x->node->rows;
    n->startup_cost = x->node->startup_cost;
    n->total_cost = x->node->total_cost + x->node->rows * l->p->costs.cpu_tuple;
    x->node = n;
    return ERR_OK;
}

/* SELECT ... FOR UPDATE: rows, sorted, locked, and only then projected from the newest versions. */
static err_t locked_plan(struct level *l, struct expr *const *targets, uint32_t count,
                         struct planned *out)
{
    struct query *q = l->q;
    if (q->has_aggregates || q->group_count || q->distinct || q->has_distinct_on || q->has_windows)
        return err_raise(
            ERR_FEATURE_NOT_SUPPORTED,
            "FOR UPDATE is not allowed with GROUP BY, DISTINCT, aggregates or window functions");
    struct expr_list all = {0};
    struct expr_list wanted = {0};
    TRY(columns_of(l, targets, count, &all));
    TRY(lock_columns(l, &all, &wanted));
    for (uint32_t i = 0; i < q->order_count; i++)
        expr_list_add_new(l->mem, &wanted, q->order[i].expr);
    struct order want;
    order_of_items(l, q->order, q->order_count, &want);
    TRY(upper_rows(l, wanted.items, wanted.count, &want, out));
    TRY(project(l, out, wanted.items, wanted.count));
    TRY(order_limit(l, out));
    return drop_junk(l, out);
}

/* ---- all ---- */

static double limit_rows(const struct query *q, double fraction)
{
    if (q->limit && q->limit->kind == EXPR_CONST && !q->limit->constant.is_null)
        return (double)MAX(datum_i64(q->limit->constant.value), 1) +
               (q->offset && q->offset->kind == EXPR_CONST && !q->offset->constant.is_null
                    ? (double)datum_i64(q->offset->constant.value)
                    : 0);
    if (q->limit)
        return 100; /* by parameter: few */
    return fraction > 0 ? 1 : 0;
}

/* Rows or groups, then window functions over them, then what stands above. g: NULL = no groups. */
static err_t windowed_plan(struct level *l, struct expr *const *targets, uint32_t count,
                           struct grouping_step *g, struct planned *out)
{
    struct expr_list needed = {0};
    struct order none = {0};
    if (g) {
        struct expr_list groupings;
        TRY(window_inputs(l, targets, count, &groupings));
        struct expr_list grouped = {0};
        for (uint32_t i = 0; i < g->both.count; i++)
            expr_list_add(l->mem, &grouped, g->both.items[i]);
        for (uint32_t i = 0; i < groupings.count; i++)
            expr_list_add(l->mem, &grouped, groupings.items[i]);
        TRY(columns_of(l, g->both.items, g->both.count, &needed));
        TRY(upper_rows(l, needed.items, needed.count, &none, out));
        TRY(aggregate_step(l, out, grouped.items, grouped.count, g));
        TRY(project(l, out, grouped.items, grouped.count));
    } else {
        TRY(columns_of(l, targets, count, &needed));
        TRY(upper_rows(l, needed.items, needed.count, &none, out));
        TRY(project(l, out, needed.items, needed.count));
    }
    TRY(window_steps(l, out, targets, count));
    TRY(project(l, out, targets, count));
    return upper_finish(l, out);
}

err_t upper_plan(struct level *l, double fraction, struct planned *out)
{
    struct query *q = l->q;
    uint32_t count = q->target_count;
    struct expr **targets = ARENA_ARRAY(l->mem, struct expr *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        targets[i] = q->targets[i].expr;
    bool groups = q->has_aggregates || q->group_count || q->grouping_sets || q->having;
    struct order want;
    struct grouping_step g = {.l = l};
    order_of_items(l, q->order, q->order_count, &want);
    if (groups) {
        TRY(grouping_collect(&g, targets, count));
        groups_order(&g, &want);
        want.count = 0; /* hashing needs none */
    } else if (q->has_distinct_on) {
        for (uint32_t i = 0; i < q->distinct_on_count; i++)
            order_add(l, &want, q->distinct_on[i].expr, q->distinct_on[i].expr->type,
                      q->distinct_on[i].sort_operator, q->distinct_on[i].descending,
                      q->distinct_on[i].nulls_first);
    } else if (q->distinct || q->has_windows) {
        want.count = 0; /* hashing needs none; windows sort by themselves */
    } else {
        l->limit_rows = limit_rows(q, fraction);
    }
    if (l->is_empty)
        q->row_mark_count = 0;
    if (q->row_mark_count)
        return locked_plan(l, targets, count, out);
    if (q->has_windows)
        return windowed_plan(l, targets, count, groups ? &g : NULL, out);
    if (!groups) {
        TRY(upper_rows(l, targets, count, &want, out));
        TRY(project(l, out, targets, count));
        return upper_finish(l, out);
    }
    struct expr_list needed = {0};
    TRY(columns_of(l, g.both.items, g.both.count, &needed));
    TRY(upper_rows(l, needed.items, needed.count, &want, out));
    TRY(aggregate_step(l, out, targets, count, &g));
    TRY(project(l, out, targets, count));
    return upper_finish(l, out);
}
