/*
 * UNION, INTERSECT, EXCEPT: members become subqueries, columns get common types. Conversions are
 * put into the members themselves; a member whose own DISTINCT or ORDER BY works on the old types
 * gets a level around it. So every leaf yields exactly the types of the tree above it.
 */
#include "sql/analyze/analyze_priv.h"

static const char *operation_name(const SelectStmt *n)
{
    return n->op == SETOP_UNION ? "UNION" : n->op == SETOP_INTERSECT ? "INTERSECT" : "EXCEPT";
}

static struct set_tree *tree_new(struct scope *s, uint32_t columns)
{
    struct set_tree *t = ARENA_NEW(s->a->mem, struct set_tree);
    t->column_count = columns;
    t->types = ARENA_ARRAY(s->a->mem, oid, columns + 1);
    t->typmods = ARENA_ARRAY(s->a->mem, int32_t, columns + 1);
    t->collations = ARENA_ARRAY(s->a->mem, oid, columns + 1);
    return t;
}

static struct target *leaf_target(struct query *q, uint32_t column)
{
    for (uint32_t i = 0; i < q->target_count; i++) {
        if (!q->targets[i].junk && column-- == 0)
            return &q->targets[i];
    }
    return NULL;
}

static void leaf_refresh(struct range_entry *r)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < r->subquery->target_count; i++) {
        const struct target *t = &r->subquery->targets[i];
        if (t->junk)
            continue;
        r->column_names[k] = t->name;
        r->column_types[k] = t->expr->type;
        r->column_typmods[k] = t->expr->typmod;
        r->column_collations[k] = type_collation(t->expr->type) ? t->expr->collation : OID_NONE;
        k++;
    }
    r->column_count = k;
}

/* ---- leaves ---- */

static SUSPENDS err_t leaf_make_wait(struct scope *s, const SelectStmt *n, struct set_tree **out)
{
    struct query *q;
    TRY(analyze_subquery_wait(s, n, true, NULL, false, &q));
    struct range_entry *r = range_entry_new(s, RTE_SUBQUERY, q->target_count);
    r->subquery = q;
    r->alias = arena_printf(s->a->mem, "*SELECT* %u", s->query->rte_count + 1);
    r->in_from = false;
    leaf_refresh(r);
    struct set_tree *t = tree_new(s, r->column_count);
    t->rte = scope_add_rte(s, r, NULL);
    for (uint32_t i = 0; i < r->column_count; i++) {
        t->types[i] = r->column_types[i];
        t->typmods[i] = r->column_typmods[i];
        t->collations[i] = r->column_collations[i];
    }
    *out = t;
    return ERR_OK;
}

/* The member in a level of its own, so that its targets can be converted outside. */
static err_t leaf_wrap(struct scope *s, struct range_entry *leaf)
{
    struct arena *mem = s->a->mem;
    TRY(query_push_down(leaf->subquery));
    struct scope *inner = scope_new(s->a, s, CMD_SELECT);
    struct range_entry *r = range_entry_new(inner, RTE_SUBQUERY, leaf->column_count);
    r->subquery = leaf->subquery;
    r->alias = leaf->alias;
    leaf_refresh(r);
    struct scope_item *item = scope_item_for_rte(inner, r, 0, NULL);
    scope_add_rte(inner, r, item);
    struct query *q = inner->query;
    q->from = ARENA_ARRAY(mem, struct from_item *, 1);
    q->from[0] = ARENA_NEW(mem, struct from_item);
    q->from_count = 1;
    q->targets = ARENA_ARRAY(mem, struct target, r->column_count + 1);
    q->target_count = r->column_count;
    for (uint32_t i = 0; i < r->column_count; i++) {
        q->targets[i].expr = scope_column_expr(inner, &item->columns[i], 0, -1);
        q->targets[i].name = r->column_names[i];
        const struct target *below = leaf_target(r->subquery, i);
        q->targets[i].origin_table = below->origin_table;
        q->targets[i].origin_column = below->origin_column;
    }
    leaf->subquery = q;
    return ERR_OK;
}

static bool leaf_is_open(const struct query *q)
{
    return !q->distinct && q->order_count == 0 && !q->set_tree;
}

static err_t leaf_convert(struct scope *s, struct set_tree *leaf, const oid *types)
{
    struct range_entry *r = s->query->rtes[leaf->rte];
    bool needed = false;
    for (uint32_t i = 0; i < leaf->column_count; i++)
        needed |= leaf_target(r->subquery, i)->expr->type != types[i];
    if (!needed)
        return ERR_OK;
    if (!leaf_is_open(r->subquery))
        TRY(leaf_wrap(s, r));
    for (uint32_t i = 0; i < leaf->column_count; i++) {
        struct target *t = leaf_target(r->subquery, i);
        if (t->expr->type != types[i]) {
            TRY(coerce_to_common(s, t->expr, types[i], "UNION", &t->expr));
            t->origin_table = OID_NONE;
            t->origin_column = 0;
        }
    }
    leaf_refresh(r);
    for (uint32_t i = 0; i < leaf->column_count; i++) {
        leaf->types[i] = r->column_types[i];
        leaf->typmods[i] = r->column_typmods[i];
        leaf->collations[i] = r->column_collations[i];
    }
    return ERR_OK;
}

static err_t tree_convert(struct scope *s, struct set_tree *t, const oid *types)
{
    TRY(fiber_check_stack());
    if (t->operation == SET_NONE)
        return leaf_convert(s, t, types);
    TRY(tree_convert(s, t->left, types));
    TRY(tree_convert(s, t->right, types));
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->types[i] != types[i])
            t->typmods[i] = -1;
        t->types[i] = types[i];
        t->collations[i] = type_collation(types[i]);
    }
    return ERR_OK;
}

/* ---- operations ---- */

static struct expr *tree_column(struct scope *s, const struct set_tree *t, uint32_t i)
{
    if (t->operation == SET_NONE) {
        struct expr *e = leaf_target(s->query->rtes[t->rte]->subquery, i)->expr;
        if (e->type == TYPE_UNKNOWN || e->location >= 0)
            return e;
    }
    struct expr *e = expr_new(s->a->mem, EXPR_CASE_VALUE, t->types[i], t->typmods[i]);
    e->collation = t->collations[i];
    return e;
}

static err_t operation_columns(struct scope *s, const SelectStmt *n, struct set_tree *t)
{
    const char *name = operation_name(n);
    for (uint32_t i = 0; i < t->column_count; i++) {
        struct expr *both[2] = {tree_column(s, t->left, i), tree_column(s, t->right, i)};
        TRY(coerce_common_type(s, both, 2, name, &t->types[i]));
        t->typmods[i] = coerce_common_typmod(both, 2, t->types[i]);
        t->collations[i] = type_collation(t->types[i]);
        for (int side = 0; side < 2; side++) {
            oid from = both[side]->type;
            if (!coerce_is_possible(1, &from, &t->types[i], COERCE_BY_CONTEXT))
                return analyze_at(s->a, expr_location(both[side]),
                                  err_raise(ERR_CANNOT_COERCE, "%s could not convert type %s to %s",
                                            name, analyze_type_text(s->a, from),
                                            analyze_type_text(s->a, t->types[i])));
        }
        oid less;
        oid equal;
        oid greater;
        operator_ordering(t->types[i], &less, &equal, &greater);
        if (equal == OID_NONE && !(n->op == SETOP_UNION && n->all))
            return analyze_at(s->a, expr_location(both[0]),
                              err_raise(ERR_UNDEFINED_FUNCTION,
                                        "could not identify an equality operator for type %s",
                                        analyze_type_text(s->a, t->types[i])));
    }
    TRY(tree_convert(s, t->left, t->types));
    return tree_convert(s, t->right, t->types);
}

static uint32_t tree_first_leaf(const struct set_tree *t)
{
    while (t->operation != SET_NONE)
        t = t->left;
    return t->rte;
}

/* WITH RECURSIVE: the left side says what columns the CTE has. */
static err_t recursive_begin(struct scope *s, struct recursive_cte *r, const struct set_tree *left)
{
    struct query columns = {.command = CMD_SELECT, .target_count = left->column_count};
    columns.targets = ARENA_ARRAY(s->a->mem, struct target, left->column_count + 1);
    const struct range_entry *first = s->query->rtes[tree_first_leaf(left)];
    for (uint32_t i = 0; i < left->column_count; i++) {
        columns.targets[i].name = first->column_names[i];
        columns.targets[i].expr = tree_column(s, left, i);
    }
    return cte_set_columns(s, r->cte, &columns, r->node);
}

static err_t recursive_end(struct scope *s, const struct recursive_cte *r, const struct set_tree *t)
{
    if (!s->parent->query->ctes[r->cte->index].recursive)
        return ERR_OK;
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->types[i] == r->cte->column_types[i] && t->typmods[i] == r->cte->column_typmods[i])
            continue;
        err_t e =
            err_raise(ERR_DATATYPE_MISMATCH,
                      "recursive query \"%s\" column %u has type %s in non-recursive term "
                      "but type %s overall",
                      r->cte->name, i + 1,
                      type_format(s->a->mem, r->cte->column_types[i], r->cte->column_typmods[i]),
                      type_format(s->a->mem, t->types[i], t->typmods[i]));
        err_hint("Cast the output of the non-recursive term to the correct type.");
        const struct query *first = s->query->rtes[tree_first_leaf(t)]->subquery;
        return analyze_at(s->a,
                          expr_location(leaf_target((struct query *)(uintptr_t)first, i)->expr), e);
    }
    return ERR_OK;
}

static bool is_member(const SelectStmt *n)
{
    return n->op == SETOP_NONE || n->sortClause || n->limitOffset || n->limitCount ||
           n->lockingClause || n->withClause;
}

static SUSPENDS err_t tree_make_wait(struct scope *s, const SelectStmt *n, bool is_top,
                                     struct recursive_cte *recursive, struct set_tree **out)
{
    TRY(fiber_check_stack());
    if (n->intoClause && !is_top)
        return analyze_at(
            s->a, n->intoClause->rel ? n->intoClause->rel->location : -1,
            err_raise(ERR_SYNTAX_ERROR,
                      "INTO is only allowed on first SELECT of UNION/INTERSECT/EXCEPT"));
    if (!is_top && is_member(n))
        return leaf_make_wait(s, n, out);
    struct set_tree *left;
    struct set_tree *right;
    TRY(tree_make_wait(s, n->larg, false, NULL, &left));
    if (recursive) {
        if (n->op == SETOP_UNION)
            TRY(recursive_begin(s, recursive, left));
    }
    const char *outside = s->no_recursion;
    if (n->op == SETOP_EXCEPT)
        s->no_recursion = "EXCEPT";
    err_t e = tree_make_wait(s, n->rarg, false, NULL, &right);
    s->no_recursion = outside;
    TRY(e);
    if (left->column_count != right->column_count) {
        const struct query *q = s->query->rtes[tree_first_leaf(right)]->subquery;
        return analyze_at(s->a, q->target_count ? expr_location(q->targets[0].expr) : -1,
                          err_raise(ERR_SYNTAX_ERROR,
                                    "each %s query must have the same number of columns",
                                    operation_name(n)));
    }
    struct set_tree *t = tree_new(s, left->column_count);
    t->operation = n->op == SETOP_UNION       ? SET_UNION
                   : n->op == SETOP_INTERSECT ? SET_INTERSECT
                                              : SET_EXCEPT;
    t->all = n->all;
    t->left = left;
    t->right = right;
    TRY(operation_columns(s, n, t));
    if (recursive)
        TRY(recursive_end(s, recursive, t));
    *out = t;
    return ERR_OK;
}

/* ---- the statement ---- */

static SUSPENDS err_t order_wait(struct scope *s, const SelectStmt *n, struct scope_item *item)
{
    struct query *q = s->query;
    uint32_t before = q->target_count;
    scope_add_item(s, item);
    err_t e =
        clause_order_wait(s, n->sortClause, PLACE_ORDER_BY, false, &q->order, &q->order_count);
    s->item_count--;
    TRY(e);
    if (q->target_count == before)
        return ERR_OK;
    e = err_raise(ERR_FEATURE_NOT_SUPPORTED, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
    err_detail("Only result column names can be used, not expressions or functions.");
    err_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.");
    return analyze_at(s->a, expr_location(q->targets[before].expr), e);
}

SUSPENDS err_t analyze_set_operation_wait(struct scope *s, const SelectStmt *n)
{
    struct query *q = s->query;
    struct recursive_cte *recursive = s->recursive;
    s->recursive = NULL;
    TRY(clause_with_wait(s, n->withClause));
    if (n->lockingClause) {
        const LockingClause *lc = list_nth(n->lockingClause, 0);
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "%s is not allowed with UNION/INTERSECT/EXCEPT",
                         lc->strength == LCS_FORUPDATE        ? "FOR UPDATE"
                         : lc->strength == LCS_FORNOKEYUPDATE ? "FOR NO KEY UPDATE"
                         : lc->strength == LCS_FORSHARE       ? "FOR SHARE"
                                                              : "FOR KEY SHARE");
    }
    struct set_tree *t;
    TRY(tree_make_wait(s, n, true, recursive, &t));
    q->set_tree = t;
    uint32_t first = tree_first_leaf(t);
    const struct range_entry *r = q->rtes[first];
    struct scope_item *item = ARENA_NEW(s->a->mem, struct scope_item);
    item->rte = first;
    item->columns_visible = true;
    item->lateral_ok = true;
    item->column_count = t->column_count;
    item->columns = ARENA_ARRAY(s->a->mem, struct scope_column, t->column_count + 1);
    q->targets = ARENA_ARRAY(s->a->mem, struct target, t->column_count + 1);
    q->target_count = t->column_count;
    for (uint32_t i = 0; i < t->column_count; i++) {
        item->columns[i] = (struct scope_column){
            .name = r->column_names[i],
            .rte = first,
            .attno = (int32_t)i + 1,
            .type = t->types[i],
            .typmod = t->typmods[i],
            .collation = t->collations[i],
        };
        q->targets[i].expr = scope_column_expr(s, &item->columns[i], 0, -1);
        q->targets[i].name = r->column_names[i];
    }
    TRY(order_wait(s, n, item));
    return clause_limit_wait(s, n);
}
