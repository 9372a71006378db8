/*
 * Subqueries in expressions: EXISTS and IN in WHERE become semi and anti joins where that is the
 * same; all others become subplans, with exec params for what they take from this level.
 */
#include "sql/plan/plan_priv.h"

/* ---- joins ---- */

static bool rtes_have(const struct u32_list *l, uint32_t rte)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->items[i] == rte)
            return true;
    return false;
}

/* Every column of e, at any depth, that is of this level: in a, in b? */
struct where_columns {
    const struct u32_list *left;
    const struct u32_list *right;
    bool in_left, in_right, elsewhere;
};
static err_t where_node(struct query_map *m, const struct expr *e, uint32_t depth,
                        struct expr **out)
{
    (void)out;
    struct where_columns *w = m->ctx;
    if (e->kind == EXPR_AGGREGATE && e->aggregate.levels_up >= depth)
        w->elsewhere = true;
    if (e->kind != EXPR_COLUMN || e->column.levels_up != depth)
        return ERR_OK;
    if (rtes_have(w->left, e->column.rte))
        w->in_left = true;
    else if (rtes_have(w->right, e->column.rte))
        w->in_right = true;
    else
        w->elsewhere = true;
    return ERR_OK;
}

static err_t where_are_columns(struct level *l, const struct expr *e, struct where_columns *w)
{
    struct query_map m = {.mem = l->mem, .fn = where_node, .ctx = w};
    struct expr *copy;
    return query_map_expr(&m, e, &copy);
}

/* Only WHERE may look outside; FROM must stand alone. */
static bool from_is_free(const struct query *q)
{
    struct query from = *q;
    struct expr none = {.kind = EXPR_CONST, .type = TYPE_BOOL, .constant.is_null = true};
    from.where = &none;
    from.target_count = 0;
    from.returning_count = 0;
    from.order_count = 0;
    return !query_refers_outside(&from);
}

struct test_columns {
    uint32_t first;
    struct expr **columns;
    uint32_t count;
};
static err_t test_node(struct query_map *m, const struct expr *e, uint32_t depth, struct expr **out)
{
    const struct test_columns *t = m->ctx;
    if (depth == 0 && e->kind == EXPR_EXEC_PARAM && e->param >= t->first &&
        e->param < t->first + t->count)
        *out = t->columns[e->param - t->first];
    return ERR_OK;
}

static err_t test_with_columns(struct level *l, const struct expr *link, struct expr **columns,
                               uint32_t count, struct expr **out)
{
    struct test_columns t = {link->subquery.first_param, columns, count};
    struct query_map m = {.mem = l->mem, .fn = test_node, .ctx = &t};
    return query_map_expr(&m, link->subquery.test, out);
}

static void sublink_make_join(struct level *l, struct jtree *list, enum join_type type,
                              struct jtree *right, struct expr *quals)
{
    struct jtree *left = ARENA_NEW(l->mem, struct jtree);
    left->kind = JTREE_LIST;
    memcpy(&left->items, &list->items, sizeof(left->items));
    struct jtree *join = ARENA_NEW(l->mem, struct jtree);
    join->kind = JTREE_JOIN;
    join->join = type;
    join->left = left;
    join->right = right;
    join->quals = quals;
    memset(&list->items, 0, sizeof(list->items));
    LIST_ADD(l->mem, &list->items, join);
}

/* EXISTS, or IN over a plain query: its relations become the join's right side. */
static err_t join_merged(struct level *l, struct jtree *list, const struct expr *link,
                         enum join_type type, bool *done)
{
    const struct query *sub = link->subquery.query;
    struct u32_list left = {0};
    jtree_rtes(list, &left, l->mem);
    uint32_t rtes = l->rtes.count;
    uint32_t offset;
    struct query *q;
    TRY(query_merge(l, sub, &offset, &q));
    struct u32_list right = {0};
    for (uint32_t i = offset; i < l->rtes.count; i++)
        LIST_ADD(l->mem, &right, i);
    struct expr_list conjuncts = {0};
    expr_conjuncts(l->mem, q->where, &conjuncts);
    if (link->subquery.subkind == SUBQUERY_ANY) {
        struct expr **columns = ARENA_ARRAY(l->mem, struct expr *, q->target_count + 1);
        for (uint32_t i = 0; i < q->target_count; i++)
            columns[i] = q->targets[i].expr;
        struct expr *test;
        TRY(test_with_columns(l, link, columns, q->target_count, &test));
        expr_conjuncts(l->mem, test, &conjuncts);
    }
    struct expr_list inside = {0};
    struct expr_list between = {0};
    bool any_left = false;
    bool good = true;
    for (uint32_t i = 0; i < conjuncts.count; i++) {
        struct where_columns w = {.left = &left, .right = &right};
        TRY(where_are_columns(l, conjuncts.items[i], &w));
        good = good && !w.elsewhere && !expr_is_volatile(conjuncts.items[i]);
        any_left = any_left || w.in_left;
        expr_list_add(l->mem, w.in_left || !w.in_right ? &between : &inside, conjuncts.items[i]);
    }
    if (!good || !any_left) {
        for (uint32_t i = rtes; i < l->rtes.count; i++)
            l->rtes.items[i] = NULL; /* nothing refers to them */
        l->rtes.count = rtes;
        l->pulled.count = rtes;
        l->nullable_rtes.count = rtes;
        return ERR_OK;
    }
    struct jtree *tree = jtree_of_query(l->mem, q);
    jtree_shift(tree, offset);
    tree->quals = expr_and(l->mem, inside.items, inside.count);
    *done = true;
    sublink_make_join(l, list, type, tree, expr_and(l->mem, between.items, between.count));
    return sublinks_pull_up(l, tree);
}

/* IN over any query that does not look outside: it becomes a relation. */
static err_t join_subquery(struct level *l, struct jtree *list, const struct expr *link, bool *done)
{
    const struct query *sub = link->subquery.query;
    if (query_refers_outside(sub))
        return ERR_OK;
    struct range_entry *e = ARENA_NEW(l->mem, struct range_entry);
    e->kind = RTE_SUBQUERY;
    e->alias = "ANY_subquery";
    e->in_from = true;
    e->subquery = (struct query *)(uintptr_t)sub;
    e->column_names = ARENA_ARRAY(l->mem, const char *, sub->target_count + 1);
    e->column_types = ARENA_ARRAY(l->mem, oid, sub->target_count + 1);
    e->column_typmods = ARENA_ARRAY(l->mem, int32_t, sub->target_count + 1);
    e->column_collations = ARENA_ARRAY(l->mem, oid, sub->target_count + 1);
    for (uint32_t i = 0; i < sub->target_count; i++) {
        const struct target *t = &sub->targets[i];
        if (t->junk)
            continue;
        uint32_t n = e->column_count++;
        e->column_names[n] = t->name ? t->name : "?column?";
        e->column_types[n] = t->expr->type;
        e->column_typmods[n] = t->expr->typmod;
        e->column_collations[n] = t->expr->collation;
    }
    struct u32_list left = {0};
    jtree_rtes(list, &left, l->mem);
    uint32_t rte = level_add_rte(l, e);
    struct expr **columns = ARENA_ARRAY(l->mem, struct expr *, e->column_count + 1);
    for (uint32_t i = 0; i < e->column_count; i++)
        columns[i] = expr_column_new(l->mem, e, rte, (int32_t)i + 1);
    struct expr *test;
    TRY(test_with_columns(l, link, columns, e->column_count, &test));
    struct u32_list right = {0};
    LIST_ADD(l->mem, &right, rte);
    struct where_columns w = {.left = &left, .right = &right};
    TRY(where_are_columns(l, test, &w));
    if (!w.in_left || !w.in_right || w.elsewhere || expr_is_volatile(test)) {
        l->rtes.count--;
        l->pulled.count--;
        l->nullable_rtes.count--;
        return ERR_OK;
    }
    struct jtree *leaf = ARENA_NEW(l->mem, struct jtree);
    leaf->kind = JTREE_RTE;
    leaf->rte = rte;
    sublink_make_join(l, list, JOIN_SEMI, leaf, test);
    *done = true;
    return ERR_OK;
}

static err_t sublink_to_join(struct level *l, struct jtree *list, const struct expr *e, bool *done)
{
    bool anti = e->kind == EXPR_NOT && e->args[0]->kind == EXPR_SUBQUERY &&
                e->args[0]->subquery.subkind == SUBQUERY_EXISTS;
    const struct expr *raw = anti ? e->args[0] : e;
    if (raw->kind != EXPR_SUBQUERY ||
        (raw->subquery.subkind != SUBQUERY_EXISTS && raw->subquery.subkind != SUBQUERY_ANY))
        return ERR_OK;
    struct expr *link;
    TRY(level_flatten(l, raw, &link));
    const struct query *sub = link->subquery.query;
    bool plain = sub->command == CMD_SELECT && !sub->set_tree && !sub->has_aggregates &&
                 sub->group_count == 0 && !sub->grouping_sets && !sub->having &&
                 !sub->has_windows && !sub->limit && !sub->offset && sub->cte_count == 0 &&
                 sub->from_count > 0 && !sub->has_set_functions && sub->row_mark_count == 0;
    if (link->subquery.subkind == SUBQUERY_ANY)
        for (uint32_t i = 0; i < sub->target_count; i++)
            plain = plain && !sub->targets[i].junk && !expr_is_volatile(sub->targets[i].expr) &&
                    !expr_kind_within(sub->targets[i].expr, EXPR_SUBQUERY);
    if (plain && from_is_free(sub) && l->rtes.count + sub->rte_count <= RELS_MAX)
        TRY(join_merged(l, list, link, anti ? JOIN_ANTI : JOIN_SEMI, done));
    if (!*done && link->subquery.subkind == SUBQUERY_ANY)
        TRY(join_subquery(l, list, link, done));
    return ERR_OK;
}

err_t sublinks_pull_up(struct level *l, struct jtree *list)
{
    TRY(fiber_check_stack());
    if (list->kind != JTREE_LIST || !list->quals || list->items.count == 0)
        return ERR_OK;
    struct expr_list conjuncts = {0};
    struct expr_list rest = {0};
    expr_conjuncts(l->mem, list->quals, &conjuncts);
    for (uint32_t i = 0; i < conjuncts.count; i++) {
        bool done = false;
        TRY(sublink_to_join(l, list, conjuncts.items[i], &done));
        if (!done)
            expr_list_add(l->mem, &rest, conjuncts.items[i]);
    }
    list->quals = expr_and(l->mem, rest.items, rest.count);
    return ERR_OK;
}

/* ---- subplans ---- */

struct correlate {
    struct level *l;
    struct subplan_draft *d;
    struct expr_list args; /* at this level, beside d->params */
    bool uses_params;      /* of outer levels */
};

static err_t lower_node(struct query_map *m, const struct expr *e, uint32_t depth,
                        struct expr **out)
{
    uint32_t by = *(uint32_t *)m->ctx;
    if (e->kind == EXPR_COLUMN && e->column.levels_up >= depth + by) {
        *out = arena_memdup(m->mem, e, sizeof(*e));
        (*out)->column.levels_up -= by;
    }
    return ERR_OK;
}

static err_t correlate_node(struct query_map *m, const struct expr *e, uint32_t depth,
                            struct expr **out)
{
    struct correlate *c = m->ctx;
    if (e->kind == EXPR_EXEC_PARAM && e->param >= c->l->p->own_params)
        c->uses_params = true;
    bool is_column = e->kind == EXPR_COLUMN && e->column.levels_up == depth + 1;
    bool is_aggregate = e->kind == EXPR_AGGREGATE && e->aggregate.levels_up == depth + 1;
    if (e->kind == EXPR_COLUMN && e->column.levels_up > depth + 1)
        return err_raise(ERR_INTERNAL_ERROR, "column reference to a level that is not there");
    if (!is_column && !is_aggregate)
        return ERR_OK;
    struct expr *here;
    if (is_column) {
        here = arena_memdup(m->mem, e, sizeof(*e));
        here->column.levels_up = 0;
    } else {
        uint32_t by = depth + 1;
        struct query_map lower = {.mem = m->mem, .fn = lower_node, .ctx = &by};
        TRY(query_map_expr(&lower, e, &here));
        here->aggregate.levels_up = 0;
    }
    uint32_t at = expr_list_add_new(m->mem, &c->args, here);
    if (at == c->d->params.count)
        LIST_ADD(m->mem, &c->d->params, plan_exec_param(c->l->p));
    *out = expr_exec_param(m->mem, c->d->params.items[at], e->type, e->typmod);
    (*out)->collation = e->collation;
    return ERR_OK;
}

static void subplan_try_hash(struct level *l, struct subplan_draft *d, const struct expr *test,
                             struct expr **left)
{
    if (d->is_correlated || d->subkind != SUBQUERY_ANY || d->column_count != 1 ||
        test->kind != EXPR_CALL || test->arg_count != 2 || operator_strategy(test->oper_oid) != 3 ||
        !operator_find(test->oper_oid)->can_hash)
        return;
    const struct expr *right = expr_strip_relabel(test->args[1]);
    if (right->kind != EXPR_EXEC_PARAM || right->param != d->first_param ||
        expr_kind_within(test->args[0], EXPR_EXEC_PARAM) ||
        !types_hash_alike(test->args[0]->type, test->args[1]->type) ||
        !types_hash_alike(right->type, test->args[1]->type))
        return;
    (void)l;
    d->hashed = true;
    d->hash_equal = test->func;
    *left = test->args[0];
}

static SUSPENDS err_t subplan_make_wait(struct level *l, const struct expr *link, struct expr **out)
{
    struct planner *p = l->p;
    struct subplan_draft *d = ARENA_NEW(l->mem, struct subplan_draft);
    d->subkind = link->subquery.subkind;
    d->first_param = link->subquery.first_param;
    d->type = link->type;
    d->shared = UINT32_MAX;
    d->result_param = UINT32_MAX;
    struct correlate c = {.l = l, .d = d};
    struct query_map m = {.mem = l->mem, .fn = correlate_node, .ctx = &c};
    m.depth = 0;
    struct query *q;
    TRY(query_map_run(&m, link->subquery.query, &q));
    d->is_correlated = c.args.count > 0 || c.uses_params;
    struct expr *test = NULL;
    if (link->subquery.test)
        TRY(sublinks_to_subplans_wait(l, link->subquery.test, &test));
    for (uint32_t i = 0; i < q->target_count; i++)
        d->column_count += !q->targets[i].junk;
    double fraction = d->subkind == SUBQUERY_EXISTS ? 1e-9 : 0;
    TRY(plan_level_wait(p, l, q, fraction, &d->sub));
    d->cost_startup = d->sub.node->startup_cost;
    d->cost_total = d->sub.node->total_cost;
    LIST_ADD(l->mem, &p->drafts, d);
    struct expr *e = expr_new(l->mem, EXPR_SUBPLAN, link->type, link->typmod);
    e->collation = link->collation;
    e->subplan.index = p->drafts.count - 1;
    if (test) {
        d->has_test = true;
        expr_list_add(l->mem, &c.args, test);
        struct expr *left = NULL;
        subplan_try_hash(l, d, test, &left);
        if (left)
            expr_list_add(l->mem, &c.args, left);
    }
    e->args = c.args.items;
    e->arg_count = c.args.count;
    *out = e;
    return ERR_OK;
}

struct replace {
    const struct expr *const *from;
    struct expr *const *to;
    uint32_t count;
};
static err_t replace_node(struct arena *mem, const struct expr *e, void *ctx, struct expr **out)
{
    (void)mem;
    const struct replace *r = ctx;
    for (uint32_t i = 0; i < r->count; i++)
        if (r->from[i] == e)
            *out = r->to[i];
    return ERR_OK;
}

struct found_links {
    struct arena *mem;
    struct expr_list list;
};
static err_t find_links(struct expr *e, void *ctx, bool *descend)
{
    struct found_links *f = ctx;
    *descend = e->kind != EXPR_SUBQUERY;
    if (e->kind == EXPR_SUBQUERY)
        expr_list_add(f->mem, &f->list, e);
    return ERR_OK;
}

/* Planning may suspend, rewriting may not: the subqueries are found and planned first. */
SUSPENDS err_t sublinks_to_subplans_wait(struct level *l, const struct expr *e, struct expr **out)
{
    TRY(fiber_check_stack());
    struct found_links f = {.mem = l->mem};
    TRY(expr_walk((struct expr *)(uintptr_t)e, find_links, &f));
    *out = (struct expr *)(uintptr_t)e;
    if (f.list.count == 0)
        return ERR_OK;
    struct expr **plans = ARENA_ARRAY(l->mem, struct expr *, f.list.count);
    for (uint32_t i = 0; i < f.list.count; i++)
        TRY(subplan_make_wait(l, f.list.items[i], &plans[i]));
    struct replace r = {(const struct expr *const *)f.list.items, plans, f.list.count};
    return expr_rewrite(l->mem, e, replace_node, &r, out);
}
