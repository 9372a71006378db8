/*
 * Subqueries in FROM become part of the query around them where that cannot change the result; and
 * references are made plain: columns of joins and of pulled-up subqueries are replaced by what they
 * stand for when an expression is prepared (level_flatten), not before.
 */
#include "sql/plan/plan_priv.h"

uint32_t level_add_rte(struct level *l, struct range_entry *e)
{
    LIST_ADD(l->mem, &l->rtes, e);
    LIST_ADD(l->mem, &l->pulled, NULL);
    LIST_ADD(l->mem, &l->nullable_rtes, false);
    return l->rtes.count - 1;
}

void jtree_rtes(const struct jtree *t, struct u32_list *out, struct arena *mem)
{
    if (fiber_check_stack() != ERR_OK)
        return;
    switch (t->kind) {
    case JTREE_RTE:
        LIST_ADD(mem, out, t->rte);
        return;
    case JTREE_JOIN:
        jtree_rtes(t->left, out, mem);
        jtree_rtes(t->right, out, mem);
        return;
    case JTREE_LIST:
        for (uint32_t i = 0; i < t->items.count; i++)
            jtree_rtes(t->items.items[i], out, mem);
        return;
    }
}

/* ---- flattening ---- */

struct shift {
    uint32_t by;
};
static err_t shift_node(struct query_map *m, const struct expr *e, uint32_t depth,
                        struct expr **out)
{
    const struct shift *s = m->ctx;
    if (e->kind == EXPR_COLUMN && e->column.levels_up >= depth) {
        *out = arena_memdup(m->mem, e, sizeof(*e));
        (*out)->column.levels_up += s->by;
    }
    return ERR_OK;
}

static err_t flatten_column(struct level *l, const struct expr *e, struct expr **out);

/* The row of an entry: PostgreSQL keeps a whole-row value, here it is made of the columns. */
static err_t flatten_row(struct level *l, const struct expr *e, struct expr **out)
{
    const struct range_entry *r = l->rtes.items[e->column.rte];
    if (l->nullable_rtes.items[e->column.rte])
        return err_not_built("whole-row references to the nullable side of an outer join are not "
                             "supported yet");
    struct expr *row = expr_new(l->mem, EXPR_ROW, e->type, -1);
    row->args = ARENA_ARRAY(l->mem, struct expr *, r->column_count);
    for (uint32_t i = 0; i < r->column_count; i++) {
        if (r->column_names && !r->column_names[i])
            continue; /* dropped */
        struct expr *c = expr_column_new(l->mem, r, e->column.rte, (int32_t)i + 1);
        TRY(flatten_column(l, c, &row->args[row->arg_count++]));
    }
    *out = row;
    return ERR_OK;
}

static err_t flatten_column(struct level *l, const struct expr *e, struct expr **out)
{
    TRY(fiber_check_stack());
    ASSERT(e->column.rte < l->rtes.count);
    const struct range_entry *r = l->rtes.items[e->column.rte];
    struct expr **stands_for = l->pulled.items[e->column.rte];
    if (r->kind == RTE_JOIN)
        stands_for = r->join_columns;
    if (e->column.attno == COLUMN_WHOLE_ROW)
        return flatten_row(l, e, out);
    if (!stands_for) {
        *out = arena_memdup(l->mem, e, sizeof(*e));
        return ERR_OK;
    }
    ASSERT(e->column.attno > 0 && (uint32_t)e->column.attno <= r->column_count);
    return level_flatten(l, stands_for[e->column.attno - 1], out);
}

static err_t flatten_node(struct query_map *m, const struct expr *e, uint32_t depth,
                          struct expr **out)
{
    struct level *l = m->ctx;
    if (e->kind != EXPR_COLUMN || e->column.levels_up != depth)
        return ERR_OK;
    struct expr here = *e;
    here.column.levels_up = 0;
    struct expr *flat;
    TRY(flatten_column(l, &here, &flat));
    if (depth == 0) {
        *out = flat;
        return ERR_OK;
    }
    struct shift s = {.by = depth};
    struct query_map sm = {.mem = l->mem, .fn = shift_node, .ctx = &s};
    return query_map_expr(&sm, flat, out);
}

err_t level_flatten(struct level *l, const struct expr *e, struct expr **out)
{
    struct query_map m = {.mem = l->mem, .fn = flatten_node, .ctx = l};
    return query_map_expr(&m, e, out);
}

/* ---- merging a query into the one around it ---- */

struct merge {
    uint32_t offset;
};
static err_t merge_node(struct query_map *m, const struct expr *e, uint32_t depth,
                        struct expr **out)
{
    const struct merge *g = m->ctx;
    if (e->kind == EXPR_COLUMN && e->column.levels_up >= depth) {
        *out = arena_memdup(m->mem, e, sizeof(*e));
        if (e->column.levels_up == depth)
            (*out)->column.rte += g->offset;
        else
            (*out)->column.levels_up--;
    }
    return ERR_OK;
}

/* depth says where the entry is: 0 = in the merged query itself. */
static err_t merge_entry(struct query_map *m, struct range_entry *e, uint32_t depth)
{
    (void)m;
    if (e->kind == RTE_CTE && e->cte_levels_up > depth)
        e->cte_levels_up--;
    return ERR_OK;
}

err_t query_merge(struct level *l, const struct query *q, uint32_t *offset, struct query **out)
{
    struct merge g = {.offset = l->rtes.count};
    struct query_map m = {.mem = l->mem, .fn = merge_node, .entry = merge_entry, .ctx = &g};
    *offset = g.offset;
    TRY(query_map_run(&m, q, out));
    for (uint32_t i = 0; i < (*out)->rte_count; i++)
        level_add_rte(l, (*out)->rtes[i]);
    return ERR_OK;
}

void jtree_shift(struct jtree *t, uint32_t offset)
{
    if (fiber_check_stack() != ERR_OK)
        return;
    if (t->kind == JTREE_RTE)
        t->rte += offset;
    if (t->kind == JTREE_JOIN) {
        jtree_shift(t->left, offset);
        jtree_shift(t->right, offset);
    }
    for (uint32_t i = 0; t->kind == JTREE_LIST && i < t->items.count; i++)
        jtree_shift(t->items.items[i], offset);
}

/* ---- which subqueries ---- */

bool query_is_simple(const struct query *q)
{
    return q->command == CMD_SELECT && !q->set_tree && !q->has_aggregates && !q->has_windows &&
           !q->has_set_functions && q->group_count == 0 && !q->grouping_sets && !q->having &&
           !q->distinct && !q->has_distinct_on && !q->limit && !q->offset && q->cte_count == 0 &&
           q->row_mark_count == 0 && q->from_count > 0;
}

struct outside {
    bool found;
};
static err_t outside_node(struct query_map *m, const struct expr *e, uint32_t depth,
                          struct expr **out)
{
    (void)out;
    struct outside *o = m->ctx;
    if (e->kind == EXPR_COLUMN && e->column.levels_up > depth)
        o->found = true;
    if (e->kind == EXPR_AGGREGATE && e->aggregate.levels_up > depth)
        o->found = true;
    return ERR_OK;
}

bool query_refers_outside(const struct query *q)
{
    struct outside o = {false};
    struct arena *scratch = arena_new();
    struct query_map m = {.mem = scratch, .fn = outside_node, .ctx = &o};
    struct query *copy;
    if (query_map_run(&m, q, &copy) != ERR_OK)
        o.found = true;
    arena_free(scratch);
    return o.found;
}

static bool pullup_allowed(struct level *l, const struct range_entry *e, bool nullable)
{
    const struct query *q = e->subquery;
    if (e->kind == RTE_CTE || !q || !query_is_simple(q) || q->order_count > 0)
        return false;
    if (l->rtes.count + q->rte_count > RELS_MAX)
        return false;
    /* Outputs that an outer join or a grouping set makes null have to stay columns. */
    bool only_columns = nullable || l->q->grouping_sets != NULL;
    for (uint32_t i = 0; i < q->target_count; i++) {
        const struct expr *t = q->targets[i].expr;
        if (q->targets[i].junk || expr_is_volatile(t) ||
            (only_columns && (t->kind != EXPR_COLUMN || t->column.levels_up != 0 ||
                              t->column.attno == COLUMN_WHOLE_ROW)))
            return false;
        /* columns of joins may be COALESCE of both sides */
        if (only_columns && q->rtes[t->column.rte]->kind == RTE_JOIN)
            return false;
    }
    return !(nullable && query_refers_outside(q));
}

static err_t pullup_tree(struct level *l, struct jtree *t, bool nullable);

static err_t pullup_rte(struct level *l, struct jtree *t, bool nullable)
{
    uint32_t rte = t->rte;
    l->nullable_rtes.items[rte] = nullable;
    struct range_entry *e = l->rtes.items[rte];
    if (!pullup_allowed(l, e, nullable))
        return ERR_OK;
    uint32_t offset;
    struct query *q;
    TRY(query_merge(l, e->subquery, &offset, &q));
    struct expr **stands_for = ARENA_ARRAY(l->mem, struct expr *, q->target_count + 1);
    for (uint32_t i = 0; i < q->target_count; i++)
        stands_for[i] = q->targets[i].expr;
    l->pulled.items[rte] = stands_for;
    struct jtree *sub = jtree_of_query(l->mem, q);
    jtree_shift(sub, offset);
    *t = *sub;
    TRY(sublinks_pull_up(l, t));
    return pullup_tree(l, t, nullable);
}

static err_t pullup_tree(struct level *l, struct jtree *t, bool nullable)
{
    TRY(fiber_check_stack());
    switch (t->kind) {
    case JTREE_RTE:
        return pullup_rte(l, t, nullable);
    case JTREE_LIST:
        for (uint32_t i = 0; i < t->items.count; i++)
            TRY(pullup_tree(l, t->items.items[i], nullable));
        return ERR_OK;
    case JTREE_JOIN: {
        bool left = t->join == JOIN_RIGHT || t->join == JOIN_FULL;
        bool right = t->join == JOIN_LEFT || t->join == JOIN_FULL;
        TRY(pullup_tree(l, t->left, nullable || left));
        return pullup_tree(l, t->right, nullable || right);
    }
    }
    return ERR_OK;
}

err_t pullup_subqueries(struct level *l)
{
    return pullup_tree(l, l->tree, false);
}
