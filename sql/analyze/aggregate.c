/*
 * Aggregates: which query level a call belongs to, where calls may stand, and after a query is
 * analysed, that everything else is grouped.
 */
#include "sql/analyze/analyze_priv.h"

/* ---- the level of a call ---- */

struct level_find {
    uint32_t column_level; /* smallest, from the call's query; UINT32_MAX = no columns */
    uint32_t aggregate_level;
    int32_t aggregate_location;
};

static err_t level_visit(struct expr *e, uint32_t depth, struct deep_walk *w, bool *descend)
{
    (void)descend;
    struct level_find *f = w->ctx;
    if (e->kind == EXPR_COLUMN && e->column.levels_up >= depth)
        f->column_level = MIN(f->column_level, e->column.levels_up - depth);
    if (e->kind == EXPR_AGGREGATE && e->aggregate.levels_up >= depth &&
        e->aggregate.levels_up - depth < f->aggregate_level) {
        f->aggregate_level = e->aggregate.levels_up - depth;
        f->aggregate_location = e->location;
    }
    return ERR_OK;
}

static const char *aggregate_place_error(enum place p)
{
    switch (p) {
    case PLACE_OTHER:
    case PLACE_HAVING:
    case PLACE_WINDOW_PARTITION:
    case PLACE_WINDOW_ORDER:
    case PLACE_SELECT_TARGET:
    case PLACE_ORDER_BY:
    case PLACE_DISTINCT_ON:
        return NULL;
    case PLACE_JOIN_ON:
        return "aggregate functions are not allowed in JOIN conditions";
    case PLACE_FROM_SUBSELECT:
        return "aggregate functions are not allowed in FROM clause of their own query level";
    case PLACE_FROM_FUNCTION:
        return "aggregate functions are not allowed in functions in FROM";
    default:
        return "";
    }
}

static err_t aggregate_place(struct scope *s, struct scope *level, int32_t location)
{
    const char *wrong = aggregate_place_error(level->place);
    if (!wrong)
        return ERR_OK;
    err_t e = wrong[0] ? err_raise(ERR_GROUPING_ERROR, "%s", wrong)
                       : err_raise(ERR_GROUPING_ERROR, "aggregate functions are not allowed in %s",
                                   place_name(level->place));
    return analyze_at(s->a, location, e);
}

err_t aggregate_check(struct scope *s, struct expr *agg, int32_t location)
{
    struct level_find f = {.column_level = UINT32_MAX, .aggregate_level = UINT32_MAX};
    struct deep_walk w = {.visit = level_visit, .ctx = &f};
    for (uint32_t i = 0; i < agg->arg_count; i++)
        TRY(deep_walk_expr(&w, agg->args[i]));
    for (uint32_t i = 0; i < agg->aggregate.order_count; i++)
        TRY(deep_walk_expr(&w, agg->aggregate.order[i].expr));
    if (agg->aggregate.filter)
        TRY(deep_walk_expr(&w, agg->aggregate.filter));
    uint32_t level = MIN(f.column_level, f.aggregate_level);
    if (level == UINT32_MAX)
        level = 0;
    if (f.aggregate_level == level && f.aggregate_level != UINT32_MAX)
        return analyze_at(
            s->a, f.aggregate_location,
            err_raise(ERR_GROUPING_ERROR, "aggregate function calls cannot be nested"));
    for (uint32_t i = 0; i < agg->arg_count; i++) {
        const struct expr *window = expr_find_kind(agg->args[i], EXPR_WINDOW);
        if (window)
            return analyze_at(s->a, window->location,
                              err_raise(ERR_GROUPING_ERROR,
                                        "aggregate function calls cannot contain window function "
                                        "calls"));
        if (expr_returns_set(agg->args[i]))
            return analyze_at(s->a, location,
                              err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                        "aggregate function calls cannot contain set-returning "
                                        "function calls"));
    }
    agg->aggregate.levels_up = level;
    struct scope *owner = s;
    for (uint32_t i = 0; i < level && owner->parent; i++)
        owner = owner->parent;
    TRY(aggregate_place(s, owner, location));
    owner->query->has_aggregates = true;
    return ERR_OK;
}

/* ---- everything else is grouped ---- */

struct group_check {
    struct scope *s;
    struct query *q;
    uint32_t *dependent; /* rtes whose primary key is grouped: 1 yes, 2 no, 0 unknown */
    bool in_grouping_args;
};

static bool key_is_grouped(const struct group_check *g, uint32_t rte)
{
    const struct scope_item *item = g->s->rte_items[rte];
    if (!item || !item->table || g->q->rtes[rte]->kind != RTE_TABLE)
        return false;
    const struct index_desc *key = table_primary_key(item->table);
    if (!key || key->key_count == 0 || key->is_deferrable)
        return false;
    for (uint16_t k = 0; k < key->key_count; k++) {
        bool found = false;
        for (uint32_t i = 0; i < g->q->group_count && !found; i++) {
            const struct expr *e = g->q->group_exprs[i];
            found = e->kind == EXPR_COLUMN && e->column.levels_up == 0 && e->column.rte == rte &&
                    e->column.attno == key->keys[k].attno;
        }
        if (!found)
            return false;
    }
    return true;
}

static bool column_is_grouped(struct group_check *g, const struct expr *e)
{
    for (uint32_t i = 0; i < g->q->group_count; i++) {
        const struct expr *group = g->q->group_exprs[i];
        if (group->kind == EXPR_COLUMN && group->column.levels_up == 0 &&
            group->column.rte == e->column.rte && group->column.attno == e->column.attno)
            return true;
    }
    if (g->q->grouping_sets)
        return false;
    uint32_t *known = &g->dependent[e->column.rte];
    if (*known == 0)
        *known = key_is_grouped(g, e->column.rte) ? 1 : 2;
    return *known == 1;
}

static COLD err_t ungrouped(struct group_check *g, const struct expr *e, uint32_t depth)
{
    const struct range_entry *r = g->q->rtes[e->column.rte];
    const char *table = r->alias ? r->alias : "unnamed_join";
    const char *column = e->column.name ? e->column.name : "?";
    err_t err =
        depth == 0
            ? err_raise(ERR_GROUPING_ERROR,
                        "column \"%s.%s\" must appear in the GROUP BY clause or be used in an "
                        "aggregate function",
                        table, column)
            : err_raise(ERR_GROUPING_ERROR,
                        "subquery uses ungrouped column \"%s.%s\" from outer query", table, column);
    return analyze_at(g->s->a, e->location, err);
}

static err_t grouping_args(struct group_check *g, struct expr *e)
{
    for (uint32_t a = 0; a < e->arg_count; a++) {
        bool found = false;
        for (uint32_t i = 0; i < g->q->group_count && !found; i++)
            found = expr_equal(e->args[a], g->q->group_exprs[i]);
        if (!found)
            return analyze_at(g->s->a, expr_location(e->args[a]),
                              err_raise(ERR_GROUPING_ERROR,
                                        "arguments to GROUPING must be grouping expressions of "
                                        "the associated query level"));
    }
    return ERR_OK;
}

static err_t group_visit(struct expr *e, uint32_t depth, struct deep_walk *w, bool *descend)
{
    struct group_check *g = w->ctx;
    if (e->kind == EXPR_AGGREGATE && e->aggregate.levels_up >= depth) {
        *descend = false;
        return ERR_OK;
    }
    if (e->kind == EXPR_GROUPING && depth == 0) {
        *descend = false;
        return grouping_args(g, e);
    }
    if (depth == 0 && e->kind != EXPR_COLUMN && e->kind != EXPR_CONST) {
        for (uint32_t i = 0; i < g->q->group_count; i++) {
            if (expr_equal(e, g->q->group_exprs[i])) {
                *descend = false;
                return ERR_OK;
            }
        }
    }
    if (e->kind == EXPR_COLUMN && e->column.levels_up == depth && !column_is_grouped(g, e))
        return ungrouped(g, e, depth);
    return ERR_OK;
}

static err_t visit_aggregate(struct expr *e, void *ctx, bool *descend)
{
    int32_t *location = ctx;
    if (e->kind == EXPR_AGGREGATE && *location < 0)
        *location = e->location;
    *descend = *location < 0;
    return ERR_OK;
}

static int32_t aggregate_location(struct expr *e)
{
    int32_t location = -1;
    ERR_IGNORE(expr_walk(e, visit_aggregate, &location));
    return location;
}

err_t aggregate_check_query(struct scope *s)
{
    struct query *q = s->query;
    if (!q->has_aggregates && q->group_count == 0 && !q->grouping_sets && !q->having)
        return ERR_OK;
    for (uint32_t i = 0; i < q->group_count; i++) {
        if (expr_has_kind(q->group_exprs[i], EXPR_AGGREGATE))
            return analyze_at(
                s->a, expr_location(q->group_exprs[i]),
                err_raise(ERR_GROUPING_ERROR, "aggregate functions are not allowed in GROUP BY"));
        if (expr_has_kind(q->group_exprs[i], EXPR_WINDOW))
            return analyze_at(
                s->a, expr_location(q->group_exprs[i]),
                err_raise(ERR_WINDOWING_ERROR, "window functions are not allowed in GROUP BY"));
    }
    struct group_check g = {.s = s, .q = q};
    g.dependent = ARENA_ARRAY(s->a->mem, uint32_t, q->rte_count + 1);
    struct deep_walk w = {.visit = group_visit, .ctx = &g};
    for (uint32_t i = 0; i < q->target_count; i++)
        TRY(deep_walk_expr(&w, q->targets[i].expr));
    if (q->having)
        TRY(deep_walk_expr(&w, q->having));
    if (!s->has_self_reference || !q->has_aggregates)
        return ERR_OK;
    int32_t location = -1;
    for (uint32_t i = 0; i < q->target_count && location < 0; i++)
        location = aggregate_location(q->targets[i].expr);
    if (q->having && location < 0)
        location = aggregate_location(q->having);
    return analyze_at(s->a, location,
                      err_raise(ERR_INVALID_RECURSION, "aggregate functions are not allowed in a "
                                                       "recursive query's recursive term"));
}
