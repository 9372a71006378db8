/*
 * A level made ready for planning: CTEs resolved, subqueries pulled up, relations numbered,
 * expressions flattened, folded and freed of subqueries, outer joins weakened where WHERE or ON
 * would throw the null-extended rows away anyway.
 */
#include "sql/plan/plan_priv.h"

static struct jtree *jtree_of_item(struct arena *mem, const struct from_item *f)
{
    struct jtree *t = ARENA_NEW(mem, struct jtree);
    if (f->kind == FROM_RTE || fiber_check_stack() != ERR_OK) {
        t->kind = JTREE_RTE;
        t->rte = f->rte;
        return t;
    }
    t->kind = JTREE_JOIN;
    t->join = f->join;
    t->left = jtree_of_item(mem, f->left);
    t->right = jtree_of_item(mem, f->right);
    t->quals = f->condition;
    return t;
}

struct jtree *jtree_of_query(struct arena *mem, const struct query *q)
{
    struct jtree *t = ARENA_NEW(mem, struct jtree);
    t->kind = JTREE_LIST;
    for (uint32_t i = 0; i < q->from_count; i++)
        LIST_ADD(mem, &t->items, jtree_of_item(mem, q->from[i]));
    t->quals = q->where;
    return t;
}

/* ---- CTEs ---- */

struct cte_draft *level_cte(struct level *l, const struct range_entry *e)
{
    for (uint32_t i = 0; i < e->cte_levels_up; i++) {
        ASSERT(l->parent);
        l = l->parent;
    }
    ASSERT(e->cte_index < l->q->cte_count);
    return l->ctes[e->cte_index];
}

struct cte_shift {
    uint32_t by;
    uint32_t own_params;
    bool uses_params;
};
static err_t cte_shift_entry(struct query_map *m, struct range_entry *e, uint32_t depth)
{
    const struct cte_shift *s = m->ctx;
    if (e->kind == RTE_CTE && e->cte_levels_up > depth)
        e->cte_levels_up += s->by;
    return ERR_OK;
}
static err_t cte_param_node(struct query_map *m, const struct expr *e, uint32_t depth,
                            struct expr **out)
{
    struct cte_shift *s = m->ctx;
    (void)depth, (void)out;
    if (e->kind == EXPR_EXEC_PARAM && e->param >= s->own_params)
        s->uses_params = true;
    return ERR_OK;
}

struct volatile_walk {
    bool found;
};
static err_t volatile_node(struct query_map *m, const struct expr *e, uint32_t depth,
                           struct expr **out)
{
    (void)depth, (void)out;
    struct volatile_walk *v = m->ctx;
    v->found = v->found || e->kind == EXPR_NEXTVAL ||
               (e->kind == EXPR_CALL && e->func && e->func->volatility == 'v');
    return ERR_OK;
}

static bool cte_is_volatile(struct level *l, const struct query *q)
{
    struct volatile_walk v = {false};
    struct query_map m = {.mem = l->mem, .fn = volatile_node, .ctx = &v};
    struct query *copy;
    return query_map_run(&m, q, &copy) != ERR_OK || v.found;
}

/* A CTE that is read once is a subquery; one that depends on an outer row must be one. */
static err_t cte_try_inline(struct level *l, struct range_entry *e)
{
    struct cte_draft *d = level_cte(l, e);
    const struct cte *c = d->cte;
    if (c->query->command != CMD_SELECT)
        return ERR_OK;
    struct cte_shift s = {.by = e->cte_levels_up, .own_params = l->p->own_params};
    struct query_map m = {.mem = l->mem, .fn = cte_param_node, .entry = cte_shift_entry, .ctx = &s};
    struct query *copy;
    TRY(query_map_run(&m, c->query, &copy));
    bool wanted = c->materialized == 2 || (c->materialized == 0 && c->reference_count <= 1);
    if (c->recursive || e->cte_self ||
        (!s.uses_params &&
         (!wanted || c->query->row_mark_count > 0 || cte_is_volatile(l, c->query))))
        return ERR_OK;
    e->kind = RTE_SUBQUERY;
    e->subquery = copy;
    return ERR_OK;
}

static err_t prepare_ctes(struct level *l)
{
    struct query *q = l->q;
    l->ctes = ARENA_ARRAY(l->mem, struct cte_draft *, q->cte_count + 1);
    for (uint32_t i = 0; i < q->cte_count; i++) {
        struct cte_draft *d = ARENA_NEW(l->mem, struct cte_draft);
        d->cte = &q->ctes[i];
        d->level = l;
        l->ctes[i] = d;
    }
    return ERR_OK;
}

/* Entries that came with pulled-up subqueries too: run until none is left. */
static err_t prepare_cte_entries(struct level *l, uint32_t from)
{
    for (uint32_t i = from; i < l->rtes.count; i++)
        if (l->rtes.items[i]->kind == RTE_CTE)
            TRY(cte_try_inline(l, l->rtes.items[i]));
    return ERR_OK;
}

/* ---- expressions ---- */

SUSPENDS err_t prepare_expr_wait(struct level *l, struct expr *e, struct expr **out)
{
    *out = NULL;
    if (!e)
        return ERR_OK;
    struct expr *flat;
    struct expr *folded;
    TRY(level_flatten(l, e, &flat));
    TRY(expr_fold_wait(l->mem, l->p->o->env, flat, &folded));
    return sublinks_to_subplans_wait(l, folded, out);
}

static SUSPENDS err_t prepare_targets_wait(struct level *l, struct target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        TRY(prepare_expr_wait(l, targets[i].expr, &targets[i].expr));
    return ERR_OK;
}

/* ORDER BY, DISTINCT and GROUP BY expressions that are targets stay those targets' expressions. */
static SUSPENDS err_t prepare_as_target_wait(struct level *l, const struct target *before,
                                             const struct target *after, uint32_t count,
                                             struct expr *e, struct expr **out)
{
    for (uint32_t i = 0; i < count; i++)
        if (expr_equal(before[i].expr, e)) {
            *out = after[i].expr;
            return ERR_OK;
        }
    return prepare_expr_wait(l, e, out);
}

static SUSPENDS err_t prepare_items_wait(struct level *l, const struct target *before,
                                         struct sort_item **items, uint32_t count)
{
    struct sort_item *copy = ARENA_ARRAY(l->mem, struct sort_item, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = (*items)[i];
        TRY(prepare_as_target_wait(l, before, l->q->targets, l->q->target_count, (*items)[i].expr,
                                   &copy[i].expr));
    }
    *items = copy;
    return ERR_OK;
}

static SUSPENDS err_t prepare_exprs_wait(struct level *l)
{
    struct query *q = l->q;
    const struct target *before = q->targets;
    q->targets = arena_memdup(l->mem, q->targets, sizeof(*q->targets) * (q->target_count + 1));
    TRY(prepare_targets_wait(l, q->targets, q->target_count));
    TRY(prepare_items_wait(l, before, &q->order, q->order_count));
    TRY(prepare_items_wait(l, before, &q->distinct_on, q->distinct_on_count));
    struct expr **group = ARENA_ARRAY(l->mem, struct expr *, q->group_count + 1);
    for (uint32_t i = 0; i < q->group_count; i++)
        TRY(prepare_as_target_wait(l, before, q->targets, q->target_count, q->group_exprs[i],
                                   &group[i]));
    q->group_exprs = group;
    TRY(prepare_expr_wait(l, q->having, &q->having));
    TRY(prepare_expr_wait(l, q->limit, &q->limit));
    TRY(prepare_expr_wait(l, q->offset, &q->offset));
    if (q->returning_count) {
        q->returning =
            arena_memdup(l->mem, q->returning, sizeof(*q->returning) * q->returning_count);
        TRY(prepare_targets_wait(l, q->returning, q->returning_count));
    }
    if (q->on_conflict) {
        struct on_conflict *oc = arena_memdup(l->mem, q->on_conflict, sizeof(*oc));
        oc->set = arena_memdup(l->mem, oc->set, sizeof(*oc->set) * (oc->set_count + 1));
        TRY(prepare_targets_wait(l, oc->set, oc->set_count));
        TRY(prepare_expr_wait(l, oc->where, &oc->where));
        q->on_conflict = oc;
    }
    return ERR_OK;
}

/* Conditions on groups that need no aggregate are conditions on rows. */
static err_t having_to_where(struct level *l, struct jtree *top)
{
    struct query *q = l->q;
    if (!q->having || q->group_count == 0 || q->grouping_sets)
        return ERR_OK;
    struct expr_list all = {0};
    struct expr_list stay = {0};
    struct expr_list go = {0};
    expr_conjuncts(l->mem, q->having, &all);
    for (uint32_t i = 0; i < all.count; i++) {
        struct expr *e = all.items[i];
        bool keep = expr_kind_within(e, EXPR_AGGREGATE) || expr_kind_within(e, EXPR_SUBQUERY) ||
                    expr_kind_within(e, EXPR_GROUPING) || expr_is_volatile(e);
        expr_list_add(l->mem, keep ? &stay : &go, e);
    }
    q->having = expr_and(l->mem, stay.items, stay.count);
    if (top->quals)
        expr_list_add(l->mem, &go, top->quals);
    top->quals = expr_and(l->mem, go.items, go.count);
    return ERR_OK;
}

static SUSPENDS err_t prepare_quals_wait(struct level *l, struct jtree *t)
{
    TRY(fiber_check_stack());
    TRY(prepare_expr_wait(l, t->quals, &t->quals));
    if (t->kind == JTREE_JOIN) {
        TRY(prepare_quals_wait(l, t->left));
        TRY(prepare_quals_wait(l, t->right));
    }
    for (uint32_t i = 0; t->kind == JTREE_LIST && i < t->items.count; i++)
        TRY(prepare_quals_wait(l, t->items.items[i]));
    return ERR_OK;
}

/* ---- outer joins ---- */

static relset jtree_rels(struct level *l, const struct jtree *t)
{
    struct u32_list rtes = {0};
    jtree_rtes(t, &rtes, l->mem);
    relset s = 0;
    for (uint32_t i = 0; i < rtes.count; i++)
        s |= l->rte_rels[rtes.items[i]]->set;
    return s;
}

static err_t reduce_outer(struct level *l, struct jtree *t, relset needed)
{
    TRY(fiber_check_stack());
    if (t->kind == JTREE_RTE)
        return ERR_OK;
    relset own = t->quals ? expr_strict_rels(l, t->quals, true) : 0;
    if (t->kind == JTREE_LIST) {
        for (uint32_t i = 0; i < t->items.count; i++)
            TRY(reduce_outer(l, t->items.items[i], needed | own));
        return ERR_OK;
    }
    relset left = jtree_rels(l, t->left);
    relset right = jtree_rels(l, t->right);
    if (t->join == JOIN_FULL) {
        if (set_meets(left, needed) && set_meets(right, needed))
            t->join = JOIN_INNER;
        else if (set_meets(left, needed))
            t->join = JOIN_LEFT;
        else if (set_meets(right, needed))
            t->join = JOIN_RIGHT;
    }
    if (t->join == JOIN_RIGHT) {
        struct jtree *swap = t->left;
        t->left = t->right;
        t->right = swap;
        t->join = JOIN_LEFT;
        right = left;
    }
    if (t->join == JOIN_LEFT && set_meets(right, needed))
        t->join = JOIN_INNER;
    relset to_left = t->join == JOIN_FULL ? 0 : needed;
    relset to_right = t->join == JOIN_FULL ? 0 : own;
    if (t->join == JOIN_INNER || t->join == JOIN_SEMI)
        to_left |= own;
    if (t->join == JOIN_INNER)
        to_right |= needed;
    TRY(reduce_outer(l, t->left, to_left));
    return reduce_outer(l, t->right, to_right);
}

static err_t number_rels(struct level *l)
{
    l->rte_rels = ARENA_ARRAY(l->mem, struct rel *, l->rtes.count + 1);
    struct u32_list rtes = {0};
    jtree_rtes(l->tree, &rtes, l->mem);
    if (rtes.count > RELS_MAX)
        return err_not_built("more than %d relations in one query are not supported yet",
                             (int)RELS_MAX);
    for (uint32_t i = 0; i < rtes.count; i++) {
        struct rel *r = ARENA_NEW(l->mem, struct rel);
        r->rte = rtes.items[i];
        r->entry = l->rtes.items[r->rte];
        r->set = set_of(i);
        l->rte_rels[r->rte] = r;
        LIST_ADD(l->mem, &l->rels, r);
    }
    return ERR_OK;
}

/* UPDATE and DELETE: the target is a relation of FROM, named there or not. */
static void add_target_to_tree(struct level *l)
{
    if (l->q->command != CMD_UPDATE && l->q->command != CMD_DELETE)
        return;
    struct u32_list rtes = {0};
    jtree_rtes(l->tree, &rtes, l->mem);
    for (uint32_t i = 0; i < rtes.count; i++)
        if (rtes.items[i] == l->q->target_rte)
            return;
    struct jtree *leaf = ARENA_NEW(l->mem, struct jtree);
    leaf->kind = JTREE_RTE;
    leaf->rte = l->q->target_rte;
    LIST_ADD(l->mem, &l->tree->items, leaf);
}

SUSPENDS err_t prepare_level_wait(struct level *l)
{
    struct query *q = l->q;
    for (uint32_t i = 0; i < q->rte_count; i++)
        level_add_rte(l, arena_memdup(l->mem, q->rtes[i], sizeof(*q->rtes[i])));
    TRY(prepare_ctes(l));
    TRY(prepare_cte_entries(l, 0));
    l->tree = jtree_of_query(l->mem, q);
    if (q->set_tree) { /* FROM is the set tree; only ORDER BY and LIMIT have expressions */
        l->rte_rels = ARENA_ARRAY(l->mem, struct rel *, l->rtes.count + 1);
        return prepare_exprs_wait(l);
    }
    add_target_to_tree(l);
    TRY(having_to_where(l, l->tree));
    TRY(sublinks_pull_up(l, l->tree));
    for (uint32_t done = 0; done < l->rtes.count;) {
        uint32_t count = l->rtes.count;
        TRY(prepare_cte_entries(l, done));
        done = count;
        TRY(pullup_subqueries(l));
    }
    TRY(number_rels(l));
    TRY(prepare_quals_wait(l, l->tree));
    TRY(reduce_outer(l, l->tree, 0));
    return prepare_exprs_wait(l);
}
