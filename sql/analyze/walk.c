/*
 * Walks over whole queries: every expression of a level, and every expression below with the depth
 * of queries counted. Used for checks after analysis and for moving a query one level deeper.
 */
#include "sql/analyze/analyze_priv.h"

typedef err_t (*slot_fn)(struct expr **slot, void *ctx);

static err_t walk_targets(struct target *targets, uint32_t count, slot_fn visit, void *ctx)
{
    for (uint32_t i = 0; i < count; i++) {
        if (targets[i].expr)
            TRY(visit(&targets[i].expr, ctx));
    }
    return ERR_OK;
}

static err_t walk_optional(struct expr **slot, slot_fn visit, void *ctx)
{
    return *slot ? visit(slot, ctx) : ERR_OK;
}

static err_t walk_from(struct from_item *f, slot_fn visit, void *ctx)
{
    TRY(fiber_check_stack());
    if (f->kind != FROM_JOIN)
        return ERR_OK;
    TRY(walk_optional(&f->condition, visit, ctx));
    TRY(walk_from(f->left, visit, ctx));
    return walk_from(f->right, visit, ctx);
}

static err_t walk_rte(struct range_entry *r, bool join_columns, slot_fn visit, void *ctx)
{
    for (uint32_t i = 0; i < r->function_count; i++)
        TRY(visit(&r->functions[i], ctx));
    for (uint32_t i = 0; i < r->value_row_count; i++) {
        for (uint32_t c = 0; c < r->column_count; c++)
            TRY(visit(&r->values[i][c], ctx));
    }
    if (r->kind == RTE_JOIN && join_columns) {
        for (uint32_t i = 0; i < r->column_count; i++)
            TRY(visit(&r->join_columns[i], ctx));
    }
    return ERR_OK;
}

static err_t walk_query(struct query *q, bool join_columns, slot_fn visit, void *ctx)
{
    for (uint32_t i = 0; i < q->rte_count; i++)
        TRY(walk_rte(q->rtes[i], join_columns, visit, ctx));
    for (uint32_t i = 0; i < q->from_count; i++)
        TRY(walk_from(q->from[i], visit, ctx));
    TRY(walk_targets(q->targets, q->target_count, visit, ctx));
    TRY(walk_optional(&q->where, visit, ctx));
    for (uint32_t i = 0; i < q->group_count; i++)
        TRY(visit(&q->group_exprs[i], ctx));
    TRY(walk_optional(&q->having, visit, ctx));
    for (uint32_t i = 0; i < q->distinct_on_count; i++)
        TRY(visit(&q->distinct_on[i].expr, ctx));
    for (uint32_t i = 0; i < q->order_count; i++)
        TRY(visit(&q->order[i].expr, ctx));
    TRY(walk_optional(&q->limit, visit, ctx));
    TRY(walk_optional(&q->offset, visit, ctx));
    if (q->on_conflict) {
        TRY(walk_targets(q->on_conflict->set, q->on_conflict->set_count, visit, ctx));
        TRY(walk_optional(&q->on_conflict->where, visit, ctx));
    }
    return walk_targets(q->returning, q->returning_count, visit, ctx);
}

err_t query_walk(struct query *q, err_t (*visit)(struct expr **slot, void *ctx), void *ctx)
{
    return walk_query(q, true, visit, ctx);
}

/* ---- deep walks ---- */

static err_t deep_visit(struct expr *e, void *ctx, bool *descend)
{
    struct deep_walk *w = ctx;
    TRY(w->visit(e, w->depth, w, descend));
    if (e->kind != EXPR_SUBQUERY || !*descend)
        return ERR_OK;
    w->depth++;
    err_t err = deep_walk_query(w, e->subquery.query);
    w->depth--;
    return err;
}

err_t deep_walk_expr(struct deep_walk *w, struct expr *e)
{
    return expr_walk(e, deep_visit, w);
}

static err_t deep_slot(struct expr **slot, void *ctx)
{
    return deep_walk_expr(ctx, *slot);
}

err_t deep_walk_query(struct deep_walk *w, struct query *q)
{
    TRY(fiber_check_stack());
    TRY(walk_query(q, !w->without_join_columns, deep_slot, w));
    for (uint32_t i = 0; i < q->rte_count; i++) {
        if (q->rtes[i]->subquery) {
            w->depth++;
            err_t e = deep_walk_query(w, q->rtes[i]->subquery);
            w->depth--;
            TRY(e);
        }
    }
    for (uint32_t i = 0; i < q->cte_count; i++) {
        if (q->ctes[i].query) {
            w->depth++;
            err_t e = deep_walk_query(w, q->ctes[i].query);
            w->depth--;
            TRY(e);
        }
    }
    return ERR_OK;
}

/* ---- one level deeper ---- */

/* A node may be reached twice (targets are shared with ORDER BY), so it is marked by being in the
 * list of those already moved. */
struct push_seen {
    struct expr *expr;
    struct push_seen *next;
};

static bool push_was_seen(struct deep_walk *w, struct expr *e)
{
    struct push_seen **list = w->ctx;
    for (struct push_seen *p = *list; p; p = p->next) {
        if (p->expr == e)
            return true;
    }
    return false;
}

static err_t push_visit(struct expr *e, uint32_t depth, struct deep_walk *w, bool *descend)
{
    (void)descend;
    uint32_t *levels = e->kind == EXPR_COLUMN      ? &e->column.levels_up
                       : e->kind == EXPR_AGGREGATE ? &e->aggregate.levels_up
                                                   : NULL;
    if (!levels || *levels <= depth || push_was_seen(w, e))
        return ERR_OK;
    struct push_seen *p = core_malloc(sizeof(*p));
    p->expr = e;
    p->next = *(struct push_seen **)w->ctx;
    *(struct push_seen **)w->ctx = p;
    ++*levels;
    return ERR_OK;
}

static err_t push_ctes(struct query *q, uint32_t depth)
{
    TRY(fiber_check_stack());
    for (uint32_t i = 0; i < q->rte_count; i++) {
        struct range_entry *r = q->rtes[i];
        if (r->kind == RTE_CTE && r->cte_levels_up > depth)
            r->cte_levels_up++;
        if (r->subquery)
            TRY(push_ctes(r->subquery, depth + 1));
    }
    return ERR_OK;
}

err_t query_push_down(struct query *q)
{
    struct push_seen *seen = NULL;
    struct deep_walk w = {.visit = push_visit, .ctx = &seen};
    err_t e = deep_walk_query(&w, q);
    while (seen) {
        struct push_seen *next = seen->next;
        core_free(seen);
        seen = next;
    }
    if (e == ERR_OK)
        e = push_ctes(q, 0);
    return e;
}

/* ---- properties of expressions ---- */

/* Where the text of an expression begins: operators are located at their sign. */
int32_t expr_location(const struct expr *e)
{
    int32_t first = e->location;
    switch (e->kind) {
    case EXPR_CALL:
    case EXPR_DISTINCT:
    case EXPR_NULLIF:
    case EXPR_ANY_ALL:
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
    case EXPR_RELABEL:
    case EXPR_IO_CAST:
    case EXPR_ARRAY_CAST:
    case EXPR_TYPMOD:
    case EXPR_IS_NULL:
    case EXPR_IS_BOOL:
        break;
    default:
        return first;
    }
    if (fiber_stack_left() < 8192)
        return first;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        int32_t at = expr_location(e->args[i]);
        if (at >= 0 && (first < 0 || at < first))
            first = at;
    }
    return first;
}

struct kind_find {
    enum expr_kind kind;
    const struct expr *found;
};
static err_t kind_visit(struct expr *e, void *ctx, bool *descend)
{
    struct kind_find *f = ctx;
    if (!f->found && e->kind == f->kind)
        f->found = e;
    *descend = !f->found;
    return ERR_OK;
}

const struct expr *expr_find_kind(const struct expr *e, enum expr_kind kind)
{
    struct kind_find f = {.kind = kind};
    ERR_IGNORE(expr_walk((struct expr *)(uintptr_t)e, kind_visit, &f));
    return f.found;
}

bool expr_has_kind(const struct expr *e, enum expr_kind kind)
{
    return expr_find_kind(e, kind) != NULL;
}

static err_t columns_visit(struct expr *e, uint32_t depth, struct deep_walk *w, bool *descend)
{
    bool *found = w->ctx;
    if (e->kind == EXPR_COLUMN && e->column.levels_up == depth)
        *found = true;
    *descend = !*found;
    return ERR_OK;
}

bool expr_has_columns(const struct expr *e)
{
    bool found = false;
    struct deep_walk w = {.visit = columns_visit, .ctx = &found};
    ERR_IGNORE(deep_walk_expr(&w, (struct expr *)(uintptr_t)e));
    return found;
}

static err_t set_visit(struct expr *e, void *ctx, bool *descend)
{
    bool *found = ctx;
    if (e->kind == EXPR_CALL && e->func->returns_set)
        *found = true;
    *descend = !*found;
    return ERR_OK;
}

bool expr_returns_set(const struct expr *e)
{
    bool found = false;
    ERR_IGNORE(expr_walk((struct expr *)(uintptr_t)e, set_visit, &found));
    return found;
}
