/*
 * Window functions: between aggregation and DISTINCT.
 *
 * Every window definition of the query becomes one PLAN_WINDOW over rows sorted by its partition
 * and order columns. Definitions that sort alike share the sort: those with more columns come
 * first, and a sort that the rows have already is not made again. Rows of all shards meet before,
 * unless each partition lies on one shard.
 */
#include "sql/plan/plan_priv.h"

LIST_TYPE(window_list, struct window_spec *);
struct window_step {
    struct level *l;
    struct expr_list calls; /* EXPR_WINDOW, all different */
    struct window_list specs;
    struct expr_list groupings; /* GROUPING(), known at the aggregation only */
};

static bool specs_alike(const struct window_spec *a, const struct window_spec *b)
{
    if (a->partition_count != b->partition_count || a->order_count != b->order_count ||
        a->frame_options != b->frame_options || !expr_equal(a->start_offset, b->start_offset) ||
        !expr_equal(a->end_offset, b->end_offset))
        return false;
    for (uint32_t i = 0; i < a->partition_count; i++)
        if (!expr_equal(a->partition[i], b->partition[i]))
            return false;
    for (uint32_t i = 0; i < a->order_count; i++)
        if (!expr_equal(a->order[i].expr, b->order[i].expr) ||
            a->order[i].sort_operator != b->order[i].sort_operator ||
            a->order[i].nulls_first != b->order[i].nulls_first)
            return false;
    return true;
}

static err_t visit_windows(struct expr *e, void *ctx, bool *descend)
{
    struct window_step *w = ctx;
    struct arena *mem = w->l->mem;
    *descend = true;
    if (e->kind == EXPR_GROUPING)
        expr_list_add_new(mem, &w->groupings, e);
    if (e->kind != EXPR_WINDOW)
        return ERR_OK;
    if (expr_list_find(w->calls.items, w->calls.count, e) != UINT32_MAX)
        return ERR_OK;
    expr_list_add(mem, &w->calls, e);
    for (uint32_t i = 0; i < w->specs.count; i++)
        if (specs_alike(w->specs.items[i], e->aggregate.window))
            return ERR_OK;
    LIST_ADD(mem, &w->specs, e->aggregate.window);
    return ERR_OK;
}

/* More sort columns first (stable): a later window then finds its rows in order more often. */
static void specs_sort(struct window_step *w)
{
    for (uint32_t i = 1; i < w->specs.count; i++)
        for (uint32_t k = i; k > 0; k--) {
            struct window_spec **s = &w->specs.items[k];
            if (s[-1]->partition_count + s[-1]->order_count >=
                s[0]->partition_count + s[0]->order_count)
                break;
            struct window_spec *swap = s[0];
            s[0] = s[-1];
            s[-1] = swap;
        }
}

static bool partition_covers(const struct window_step *w, const struct dist *d)
{
    if (d->key_count == 0)
        return false;
    for (uint32_t s = 0; s < w->specs.count; s++) {
        const struct window_spec *spec = w->specs.items[s];
        for (uint32_t i = 0; i < d->key_count; i++)
            if (expr_list_find(spec->partition, spec->partition_count, d->keys[i]) == UINT32_MAX)
                return false;
    }
    return true;
}

/* Whether all parts of all windows can be evaluated where the rows are. */
static bool windows_fit(struct window_step *w, const struct dist *d)
{
    for (uint32_t i = 0; i < w->calls.count; i++) {
        const struct expr *e = w->calls.items[i];
        const struct window_spec *s = e->aggregate.window;
        if (!exprs_fit(w->l->p, e->args, e->arg_count, d) ||
            (e->aggregate.filter && !expr_fits(w->l->p, e->aggregate.filter, d)) ||
            !exprs_fit(w->l->p, s->partition, s->partition_count, d) ||
            (s->start_offset && !expr_fits(w->l->p, s->start_offset, d)) ||
            (s->end_offset && !expr_fits(w->l->p, s->end_offset, d)))
            return false;
        for (uint32_t k = 0; k < s->order_count; k++)
            if (!expr_fits(w->l->p, s->order[k].expr, d))
                return false;
    }
    return true;
}

static const struct func *range_function(const struct window_spec *spec, const struct expr *offset)
{
    if (!offset || !(spec->frame_options & WINDOW_RANGE))
        return NULL;
    uint32_t count;
    const struct func *const *f = func_find_name("in_range", &count);
    for (uint32_t i = 0; i < count; i++)
        if (f[i]->args[0] == spec->order[0].expr->type && f[i]->args[2] == offset->type)
            return f[i];
    return NULL;
}

static err_t window_call(struct fix *f, const struct expr *e, struct plan_aggregate *a)
{
    struct arena *mem = f->l->mem;
    a->func = e->func;
    a->star = e->aggregate.star;
    a->type = e->type;
    a->arg_count = e->arg_count;
    a->arg_types = ARENA_ARRAY(mem, oid, e->arg_count + 1);
    for (uint32_t i = 0; i < e->arg_count; i++)
        a->arg_types[i] = e->args[i]->type;
    TRY(build_fix_list(f, e->args, e->arg_count, &a->args));
    return build_fix(f, e->aggregate.filter, &a->filter);
}

static err_t window_node(struct window_step *w, struct planned *x, const struct window_spec *spec)
{
    struct level *l = w->l;
    struct arena *mem = l->mem;
    struct order want = {0};
    struct expr_list columns = {0};
    for (uint32_t i = 0; i < x->out_count; i++)
        expr_list_add(mem, &columns, x->out[i]);
    for (uint32_t i = 0; i < spec->partition_count; i++)
        expr_list_add_new(mem, &columns, spec->partition[i]);
    for (uint32_t i = 0; i < spec->order_count; i++)
        expr_list_add_new(mem, &columns, spec->order[i].expr);
    TRY(build_result(l, x, columns.items, columns.count, NULL));
    for (uint32_t i = 0; i < spec->partition_count; i++)
        order_add(l, &want, spec->partition[i], spec->partition[i]->type, OID_NONE, false, false);
    for (uint32_t i = 0; i < spec->order_count; i++)
        order_add(l, &want, spec->order[i].expr, spec->order[i].expr->type,
                  spec->order[i].sort_operator, spec->order[i].descending,
                  spec->order[i].nulls_first);
    TRY(build_sort(l, x, &want, NULL, -1));
    if (x->dist.kind == DIST_SPREAD && !partition_covers(w, &x->dist))
        TRY(build_gather(l, x, false));
    struct plan_node *n = plan_node_new(l->p, PLAN_WINDOW);
    struct fix f = fix_of(l, x, &x->dist);
    n->window.frame_options = spec->frame_options;
    n->window.partition_count = spec->partition_count;
    n->window.partition = ARENA_ARRAY(mem, uint32_t, spec->partition_count + 1);
    for (uint32_t i = 0; i < spec->partition_count; i++)
        n->window.partition[i] = expr_list_find(x->out, x->out_count, spec->partition[i]);
    n->window.order_count = spec->order_count;
    n->window.order = ARENA_ARRAY(mem, struct plan_sort_key, spec->order_count + 1);
    for (uint32_t i = 0; i < spec->order_count; i++)
        n->window.order[i] = (struct plan_sort_key){
            .column = expr_list_find(x->out, x->out_count, spec->order[i].expr),
            .type = spec->order[i].expr->type,
            .sort_operator = spec->order[i].sort_operator,
            .descending = spec->order[i].descending,
            .nulls_first = spec->order[i].nulls_first};
    TRY(build_fix(&f, spec->start_offset, &n->window.start_offset));
    TRY(build_fix(&f, spec->end_offset, &n->window.end_offset));
    n->window.start_range = range_function(spec, spec->start_offset);
    n->window.end_range = range_function(spec, spec->end_offset);
    n->window.functions = ARENA_ARRAY(mem, struct plan_aggregate, w->calls.count + 1);
    struct expr_list out = {0};
    for (uint32_t i = 0; i < x->out_count; i++)
        expr_list_add(mem, &out, x->out[i]);
    for (uint32_t i = 0; i < w->calls.count; i++) {
        struct expr *e = w->calls.items[i];
        if (!specs_alike(e->aggregate.window, spec))
            continue;
        TRY(window_call(&f, e, &n->window.functions[n->window.function_count++]));
        expr_list_add(mem, &out, e);
    }
    n->outer = x->node;
    n->rows = x->node->rows;
    n->startup_cost = x->node->startup_cost;
    n->total_cost =
        x->node->total_cost +
        n->rows * (l->p->costs.cpu_tuple +
                   l->p->costs.cpu_operator * (double)(n->window.function_count + want.count));
    x->node = n;
    planned_set_out(l->p, x, out.items, out.count);
    return ERR_OK;
}

err_t window_inputs(struct level *l, struct expr *const *targets, uint32_t count,
                    struct expr_list *groupings)
{
    struct window_step w = {.l = l};
    for (uint32_t i = 0; i < count; i++)
        TRY(expr_walk(targets[i], visit_windows, &w));
    *groupings = w.groupings;
    return ERR_OK;
}

err_t window_steps(struct level *l, struct planned *x, struct expr *const *targets, uint32_t count)
{
    struct window_step w = {.l = l};
    for (uint32_t i = 0; i < count; i++)
        TRY(expr_walk(targets[i], visit_windows, &w));
    specs_sort(&w);
    if (x->dist.kind == DIST_ANY)
        x->dist.kind = DIST_SESSION;
    if (!windows_fit(&w, &x->dist))
        TRY(build_gather(l, x, false));
    for (uint32_t i = 0; i < w.specs.count; i++)
        TRY(window_node(&w, x, w.specs.items[i]));
    return ERR_OK;
}
