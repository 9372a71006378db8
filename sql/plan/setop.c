/* UNION, INTERSECT, EXCEPT; common table expressions and their recursion. */
#include "sql/plan/plan_priv.h"

static SUSPENDS err_t set_tree_wait(struct level *l, const struct set_tree *t, struct planned *out);

/* Columns of a set operation go by those of its first leaf. */
static uint32_t first_leaf(const struct set_tree *t)
{
    while (t->operation != SET_NONE)
        t = t->left;
    return t->rte;
}

static SUSPENDS err_t set_leaf_wait(struct level *l, uint32_t rte, struct planned *out)
{
    struct range_entry *e = l->rtes.items[rte];
    if (!e->subquery)
        return err_raise(ERR_INTERNAL_ERROR, "leaf of a set operation is no subquery");
    TRY(plan_level_wait(l->p, l, e->subquery, 0, out));
    for (uint32_t i = 0; i < out->initial.count; i++)
        LIST_ADD(l->mem, &l->p->pending, out->initial.items[i]);
    out->initial = (struct u32_list){0};
    out->order = (struct order){0};
    return ERR_OK;
}

static void set_columns(struct level *l, const struct set_tree *t, struct planned *x)
{
    const struct range_entry *e = l->rtes.items[first_leaf(t)];
    uint32_t rte = first_leaf(t);
    x->out = ARENA_ARRAY(l->mem, struct expr *, e->column_count + 1);
    for (uint32_t i = 0; i < e->column_count; i++) {
        x->out[i] = expr_column_new(l->mem, e, rte, (int32_t)i + 1);
        if (t->operation != SET_NONE && i < t->column_count) {
            x->out[i]->type = t->types[i];
            x->out[i]->typmod = t->typmods ? t->typmods[i] : -1;
            x->out[i]->collation = t->collations ? t->collations[i] : x->out[i]->collation;
        }
    }
    x->out_count = e->column_count;
}

struct set_children {
    LIST(struct planned) list;
};

/* UNION ALL of UNION ALL is one append. */
static SUSPENDS err_t append_children_wait(struct level *l, const struct set_tree *t, bool all,
                                           struct set_children *c)
{
    TRY(fiber_check_stack());
    if (t->operation == SET_UNION && (t->all || !all)) {
        TRY(append_children_wait(l, t->left, all, c));
        return append_children_wait(l, t->right, all, c);
    }
    struct planned x;
    TRY(set_tree_wait(l, t, &x));
    if (l->p->pending.count) { /* run-once subplans belong to one fragment: close it */
        TRY(build_gather(l, &x, false));
    }
    LIST_ADD(l->mem, &c->list, x);
    return ERR_OK;
}

static void node_columns(struct level *l, struct planned *x, const struct set_tree *t)
{
    struct plan_node *n = x->node;
    set_columns(l, t, x);
    n->target_count = x->out_count;
    n->types = ARENA_ARRAY(l->mem, oid, x->out_count + 1);
    n->width = 0;
    for (uint32_t i = 0; i < x->out_count; i++) {
        n->types[i] = x->out[i]->type;
        n->width += type_width(x->out[i]->type, x->out[i]->typmod);
    }
}

/* All in one place, or all gathered. */
static err_t one_place(struct level *l, struct planned *items, uint32_t count, struct dist *out)
{
    bool same = true;
    struct dist d = {.kind = DIST_ANY};
    for (uint32_t i = 0; i < count; i++) {
        const struct dist *x = &items[i].dist;
        if (x->kind == DIST_ANY)
            continue;
        same = same && x->kind != DIST_SPREAD && (d.kind == DIST_ANY || dist_is_same(&d, x));
        d = *x;
    }
    if (same && d.kind != DIST_SESSION) {
        *out = d;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < count; i++)
        TRY(build_gather(l, &items[i], false));
    *out = (struct dist){.kind = DIST_SESSION};
    return ERR_OK;
}

static err_t check_types(const struct set_tree *t, const struct planned *x)
{
    if (x->out_count < t->column_count)
        return err_raise(ERR_INTERNAL_ERROR, "set operation with too few columns");
    for (uint32_t i = 0; i < t->column_count; i++)
        if (x->node->types && x->node->types[i] != t->types[i] &&
            !types_hash_alike(x->node->types[i], t->types[i]))
            return err_not_built("set operation over columns of types %u and %u is not supported "
                                 "yet",
                                 x->node->types[i], t->types[i]);
    return ERR_OK;
}

static err_t set_hashable(const struct set_tree *t)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct type_info *x = type_find(t->types[i]);
        if (!x || !x->hash)
            return err_not_built("set operations on a type without hashing are not supported yet");
    }
    return ERR_OK;
}

static SUSPENDS err_t union_wait(struct level *l, const struct set_tree *t, struct planned *out)
{
    struct set_children c = {0};
    TRY(append_children_wait(l, t->left, t->all, &c));
    TRY(append_children_wait(l, t->right, t->all, &c));
    *out = (struct planned){0};
    for (uint32_t i = 0; i < c.list.count; i++)
        TRY(check_types(t, &c.list.items[i]));
    TRY(one_place(l, c.list.items, c.list.count, &out->dist));
    struct plan_node *n = plan_node_new(l->p, PLAN_APPEND);
    n->append.count = c.list.count;
    n->append.children = ARENA_ARRAY(l->mem, struct plan_node *, c.list.count);
    for (uint32_t i = 0; i < c.list.count; i++) {
        const struct plan_node *child = c.list.items[i].node;
        n->append.children[i] = c.list.items[i].node;
        n->rows += child->rows;
        n->total_cost += child->total_cost + child->rows * l->p->costs.cpu_tuple * 0.5;
    }
    out->node = n;
    node_columns(l, out, t);
    if (t->all)
        return ERR_OK;
    TRY(set_hashable(t));
    struct plan_node *d = plan_node_new(l->p, PLAN_DISTINCT);
    d->outer = n;
    d->distinct.key_count = out->out_count;
    d->rows = n->rows;
    d->startup_cost = n->total_cost + n->rows * l->p->costs.cpu_operator;
    d->total_cost = d->startup_cost + n->rows * l->p->costs.cpu_tuple;
    out->node = d;
    node_columns(l, out, t);
    return ERR_OK;
}

static SUSPENDS err_t set_tree_wait(struct level *l, const struct set_tree *t, struct planned *out)
{
    TRY(fiber_check_stack());
    if (t->operation == SET_NONE) {
        TRY(set_leaf_wait(l, t->rte, out));
        set_columns(l, t, out);
        return ERR_OK;
    }
    if (t->operation == SET_UNION)
        return union_wait(l, t, out);
    struct planned sides[2];
    TRY(set_tree_wait(l, t->left, &sides[0]));
    if (l->p->pending.count)
        TRY(build_gather(l, &sides[0], false));
    TRY(set_tree_wait(l, t->right, &sides[1]));
    if (l->p->pending.count)
        TRY(build_gather(l, &sides[1], false));
    TRY(check_types(t, &sides[0]));
    TRY(check_types(t, &sides[1]));
    TRY(set_hashable(t));
    *out = (struct planned){0};
    TRY(one_place(l, sides, 2, &out->dist));
    struct plan_node *n = plan_node_new(l->p, PLAN_SET_OPERATION);
    n->outer = sides[0].node;
    n->inner = sides[1].node;
    n->set_operation.operation = t->operation;
    n->set_operation.all = t->all;
    n->rows = t->operation == SET_EXCEPT ? n->outer->rows : MIN(n->outer->rows, n->inner->rows);
    n->startup_cost = n->outer->total_cost + n->inner->total_cost +
                      (n->outer->rows + n->inner->rows) * l->p->costs.cpu_operator;
    n->total_cost = n->startup_cost + n->rows * l->p->costs.cpu_tuple;
    out->node = n;
    node_columns(l, out, t);
    return ERR_OK;
}

SUSPENDS err_t setop_plan_wait(struct level *l, struct planned *out)
{
    if (l->q->row_mark_count)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT");
    TRY(set_tree_wait(l, l->q->set_tree, out));
    struct expr_list targets = {0};
    for (uint32_t i = 0; i < l->q->target_count; i++)
        expr_list_add(l->mem, &targets, l->q->targets[i].expr);
    if (!exprs_fit(l->p, targets.items, targets.count, &out->dist))
        TRY(build_gather(l, out, false));
    TRY(build_result(l, out, targets.items, targets.count, NULL));
    return upper_finish(l, out);
}

/* ---- CTEs ---- */

static SUSPENDS err_t cte_recursive_wait(struct level *l, struct cte_draft *d)
{
    struct planner *p = l->p;
    struct query *q = arena_memdup(p->mem, d->cte->query, sizeof(*q));
    const struct set_tree *t = q->set_tree;
    if (!t || t->operation != SET_UNION || t->left->operation != SET_NONE ||
        t->right->operation != SET_NONE || q->order_count || q->limit || q->offset || q->cte_count)
        return err_not_built("this form of WITH RECURSIVE is not supported yet");
    struct level *inner = ARENA_NEW(p->mem, struct level);
    inner->p = p;
    inner->parent = d->level;
    inner->mem = p->mem;
    inner->q = q;
    TRY(prepare_level_wait(inner));
    d->work_table = p->plan->work_table_count++;
    struct planned first;
    struct planned second;
    TRY(set_leaf_wait(inner, t->left->rte, &first));
    TRY(build_gather(inner, &first, false));
    d->rows = MAX(first.node->rows * 10, 1.0);
    d->width = first.node->width;
    d->in_progress = true;
    TRY(set_leaf_wait(inner, t->right->rte, &second));
    TRY(build_gather(inner, &second, false));
    d->in_progress = false;
    TRY(check_types(t, &first));
    TRY(check_types(t, &second));
    if (!t->all)
        TRY(set_hashable(t));
    struct plan_node *n = plan_node_new(p, PLAN_RECURSIVE_UNION);
    n->outer = first.node;
    n->inner = second.node;
    n->recursive.work_table = d->work_table;
    n->recursive.distinct = !t->all;
    n->types = first.node->types;
    n->target_count = first.node->target_count;
    n->width = first.node->width;
    n->rows = first.node->rows + 10 * second.node->rows;
    n->total_cost =
        first.node->total_cost + 10 * second.node->total_cost + n->rows * p->costs.cpu_tuple;
    d->rows = n->rows;
    LIST_ADD(p->mem, &p->ctes, n);
    LIST_ADD(p->mem, &p->cte_names, arena_strdup(p->mem, d->cte->name));
    d->index = p->ctes.count - 1;
    d->is_planned = true;
    d->total = n->total_cost;
    return ERR_OK;
}

SUSPENDS err_t cte_plan_wait(struct level *l, struct cte_draft *d)
{
    struct planner *p = l->p;
    if (d->is_planned || d->in_progress)
        return ERR_OK;
    struct u32_list saved = p->pending;
    p->pending = (struct u32_list){0};
    if (d->cte->recursive && d->cte->query->set_tree) {
        TRY(cte_recursive_wait(l, d));
        p->pending = saved;
        return ERR_OK;
    }
    struct planned x;
    TRY(plan_level_wait(p, d->level, d->cte->query, 0, &x));
    p->pending = x.initial;
    TRY(build_gather(l, &x, false));
    p->pending = saved;
    LIST_ADD(p->mem, &p->ctes, x.node);
    LIST_ADD(p->mem, &p->cte_names, arena_strdup(p->mem, d->cte->name));
    d->index = p->ctes.count - 1;
    d->rows = x.node->rows;
    d->width = x.node->width;
    d->total = x.node->total_cost;
    d->is_planned = true;
    return ERR_OK;
}
