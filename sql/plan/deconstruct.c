/*
 * From the join tree to clauses: every condition is placed at the lowest join (or relation) where
 * it may be applied, equalities form classes from which conditions are derived again where they are
 * needed, outer joins become constraints on the order of joining.
 *
 * The right side of an outer, semi or anti join is joined as one unit (its relations are
 * min_right), so conditions of ON are applied exactly at that join and never move; what ON says of
 * the right side alone was put into the right side.
 */
#include "sql/plan/plan_priv.h"

void clause_list_add(struct arena *mem, struct clause_list *l, struct clause *c)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->items[i] == c)
            return;
    LIST_ADD(mem, l, c);
}

struct clause *clause_new(struct level *l, struct expr *e)
{
    struct clause *c = ARENA_NEW(l->mem, struct clause);
    c->expr = e;
    c->selectivity = -1;
    if (expr_rels(l, e, &c->rels) != ERR_OK)
        c->rels = ~(relset)0;
    c->required = c->rels;
    if (e->kind != EXPR_CALL || e->arg_count != 2 || !e->oper_oid ||
        operator_strategy(e->oper_oid) != 3)
        return c;
    c->left = e->args[0];
    c->right = e->args[1];
    c->op = e->oper_oid;
    if (expr_rels(l, c->left, &c->left_rels) == ERR_OK &&
        expr_rels(l, c->right, &c->right_rels) == ERR_OK)
        c->is_equality = c->left_rels && c->right_rels && !set_meets(c->left_rels, c->right_rels);
    return c;
}

/* ---- classes ---- */

struct eclass *eclass_find(struct level *l, const struct expr *e)
{
    for (uint32_t i = 0; i < l->eclasses.count; i++) {
        struct eclass *ec = l->eclasses.items[i];
        for (uint32_t k = 0; !ec->merged_into && k < ec->members.count; k++)
            if (exprs_match(ec->members.items[k].expr, e))
                return ec;
    }
    return NULL;
}

static struct eclass *eclass_of_side(struct level *l, const struct expr *e, bool below_outer)
{
    struct eclass *ec = eclass_find(l, e);
    return ec && ec->below_outer == below_outer ? ec : NULL;
}

static void eclass_add(struct level *l, struct eclass *ec, struct expr *e, relset rels)
{
    for (uint32_t i = 0; i < ec->members.count; i++)
        if (exprs_match(ec->members.items[i].expr, e))
            return;
    struct eclass_member m = {.expr = e, .rels = rels, .below_outer = ec->below_outer};
    LIST_ADD(l->mem, &ec->members, m);
    ec->rels |= rels;
}

static bool is_pseudo_constant(const struct expr *e)
{
    return !expr_is_volatile(e) && !expr_kind_within((struct expr *)(uintptr_t)e, EXPR_SUBPLAN);
}

/* true: the clause lives on as a part of a class. */
static bool eclass_absorb(struct level *l, struct clause *c)
{
    if (c->left == NULL || expr_is_volatile(c->expr) || c->required != c->rels ||
        expr_kind_within(c->expr, EXPR_SUBPLAN) || exprs_match(c->left, c->right) ||
        set_meets(c->left_rels, c->right_rels) || expr_needs_session(l->p, c->expr))
        return false;
    if (!c->left_rels && !c->right_rels)
        return false;
    struct expr *constant = !c->left_rels ? c->left : !c->right_rels ? c->right : NULL;
    if (constant) {
        /* int8 column = int4 constant and the like stay as written: members are of one kind */
        struct expr *side = c->left_rels ? c->left : c->right;
        if (!is_pseudo_constant(constant) || !types_hash_alike(side->type, constant->type))
            return false;
        struct eclass *ec = eclass_of_side(l, side, c->below_outer);
        if (ec && ec->constant)
            return false;
        if (!ec) {
            if (eclass_find(l, side))
                return false;
            ec = ARENA_NEW(l->mem, struct eclass);
            ec->below_outer = c->below_outer;
            LIST_ADD(l->mem, &l->eclasses, ec);
            eclass_add(l, ec, side, c->left_rels | c->right_rels);
        }
        ec->constant = constant;
        clause_list_add(l->mem, &ec->sources, c);
        c->ec = ec;
        return true;
    }
    ASSUME(c->right != NULL);
    if (!types_hash_alike(c->left->type, c->right->type))
        return false;
    struct eclass *a = eclass_of_side(l, c->left, c->below_outer);
    struct eclass *b = eclass_of_side(l, c->right, c->below_outer);
    if ((!a && eclass_find(l, c->left)) || (!b && eclass_find(l, c->right)))
        return false; /* known on the other side of an outer join: not to be mixed */
    if (a && b && a != b && a->constant && b->constant)
        return false;
    if (!a && !b) {
        a = ARENA_NEW(l->mem, struct eclass);
        a->below_outer = c->below_outer;
        LIST_ADD(l->mem, &l->eclasses, a);
    } else if (!a) {
        a = b;
    } else if (b && a != b) {
        for (uint32_t i = 0; i < b->members.count; i++)
            eclass_add(l, a, b->members.items[i].expr, b->members.items[i].rels);
        for (uint32_t i = 0; i < b->sources.count; i++) {
            b->sources.items[i]->ec = a;
            clause_list_add(l->mem, &a->sources, b->sources.items[i]);
        }
        if (b->constant)
            a->constant = b->constant;
        b->merged_into = a;
    }
    eclass_add(l, a, c->left, c->left_rels);
    eclass_add(l, a, c->right, c->right_rels);
    clause_list_add(l->mem, &a->sources, c);
    c->ec = a;
    return true;
}

/* x = y of a class: the clause as it was written if there was one. */
static struct clause *eclass_clause(struct level *l, struct eclass *ec, struct expr *x,
                                    struct expr *y)
{
    for (uint32_t i = 0; i < ec->sources.count; i++) {
        struct clause *c = ec->sources.items[i];
        if ((exprs_match(c->left, x) && exprs_match(c->right, y)) ||
            (exprs_match(c->left, y) && exprs_match(c->right, x)))
            return c;
    }
    oid op = operator_equality(x->type, y->type);
    if (!op && ec->sources.count && types_sort_alike(x->type, y->type))
        op = ec->sources.items[0]->op; /* relabelled kinds: varchar, text, regclass ... */
    if (!op)
        return NULL;
    struct clause *c = clause_new(l, expr_operator(l->mem, op, x, y));
    c->left = x;
    c->right = y;
    c->op = op;
    c->ec = ec;
    c->below_outer = ec->below_outer;
    clause_list_add(l->mem, &ec->sources, c);
    return c;
}

/* ---- placing ---- */

static void place_base(struct level *l, struct clause *c)
{
    for (uint32_t i = 0; i < l->rels.count; i++)
        if (l->rels.items[i]->set == c->required)
            clause_list_add(l->mem, &l->rels.items[i]->clauses, c);
}

static void place(struct level *l, struct clause *c)
{
    if (!c->below_outer && expr_needs_session(l->p, c->expr)) {
        clause_list_add(l->mem, &l->session, c);
        return;
    }
    if (set_count(c->required) == 1)
        place_base(l, c);
    else
        clause_list_add(l->mem, &l->joins, c);
}

/* Conditions above an outer join that read its nullable side wait for it. */
static relset delayed(struct level *l, relset rels)
{
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < l->specials.count; i++) {
            const struct special *s = l->specials.items[i];
            relset nullable = s->type == JOIN_LEFT   ? s->syntactic_right
                              : s->type == JOIN_FULL ? s->syntactic_left | s->syntactic_right
                                                     : 0;
            relset whole = s->min_left | s->min_right;
            if (set_meets(rels, nullable) && !set_within(whole, rels)) {
                rels |= whole;
                again = true;
            }
        }
    }
    return rels;
}

static err_t distribute(struct level *l, struct expr *quals, relset scope, bool below_outer)
{
    struct expr_list list = {0};
    expr_conjuncts(l->mem, quals, &list);
    for (uint32_t i = 0; i < list.count; i++) {
        struct expr *e = list.items[i];
        relset rels;
        TRY(expr_rels(l, e, &rels));
        if (expr_is_true(e))
            continue;
        if (rels == 0 && !below_outer) {
            if (expr_is_false(e))
                l->is_empty = true;
            else
                expr_list_add(l->mem, &l->once, e);
            continue;
        }
        struct clause *c = clause_new(l, e);
        c->below_outer = below_outer;
        c->required = delayed(l, rels ? rels : scope);
        if (!eclass_absorb(l, c))
            place(l, c);
    }
    return ERR_OK;
}

/* ON of an outer, semi or anti join. */
static err_t distribute_on(struct level *l, struct special *s, struct expr *quals)
{
    struct expr_list list = {0};
    expr_conjuncts(l->mem, quals, &list);
    relset used = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        struct expr *e = list.items[i];
        relset rels;
        TRY(expr_rels(l, e, &rels));
        if (!set_within(rels, s->syntactic_left | s->syntactic_right))
            return err_not_built("a join condition that refers outside of its join is not "
                                 "supported yet");
        if (expr_is_true(e))
            continue;
        if (s->type != JOIN_FULL && rels && set_within(rels, s->syntactic_right) &&
            !expr_needs_session(l->p, e)) {
            TRY(distribute(l, e, s->syntactic_right, true));
            continue;
        }
        struct clause *c = clause_new(l, e);
        c->below_outer = true;
        used |= rels;
        LIST_ADD(l->mem, &s->clauses, c);
    }
    s->min_left = used & s->syntactic_left;
    s->min_right = s->syntactic_right;
    if (s->type == JOIN_FULL)
        s->min_left = s->syntactic_left;
    /* an outer join within the left side is done first when this one reads its nullable side */
    for (uint32_t i = 0; i < l->specials.count; i++) {
        const struct special *o = l->specials.items[i];
        relset both = o->syntactic_left | o->syntactic_right;
        if (!set_within(both, s->syntactic_left))
            continue;
        if (o->type == JOIN_FULL ? set_meets(s->min_left, both)
                                 : set_meets(s->min_left, o->syntactic_right))
            s->min_left |= both;
    }
    if (!s->min_left)
        s->min_left = s->syntactic_left;
    return ERR_OK;
}

static err_t walk_tree(struct level *l, struct jtree *t, bool below_outer, relset *out)
{
    TRY(fiber_check_stack());
    *out = 0;
    if (t->kind == JTREE_RTE) {
        *out = l->rte_rels[t->rte]->set;
        return ERR_OK;
    }
    if (t->kind == JTREE_LIST) {
        for (uint32_t i = 0; i < t->items.count; i++) {
            relset sub;
            TRY(walk_tree(l, t->items.items[i], below_outer, &sub));
            *out |= sub;
        }
        return distribute(l, t->quals, *out, below_outer);
    }
    relset left;
    relset right;
    bool full = t->join == JOIN_FULL;
    TRY(walk_tree(l, t->left, below_outer || full, &left));
    TRY(walk_tree(l, t->right, below_outer || t->join != JOIN_INNER, &right));
    *out = left | right;
    if (t->join == JOIN_INNER)
        return distribute(l, t->quals, *out, below_outer);
    ASSERT(t->join != JOIN_RIGHT);
    struct special *s = ARENA_NEW(l->mem, struct special);
    s->type = t->join;
    s->syntactic_left = left;
    s->syntactic_right = right;
    if (t->join == JOIN_LEFT || full)
        l->nullable |= right | (full ? left : 0);
    TRY(distribute_on(l, s, t->quals));
    LIST_ADD(l->mem, &l->specials, s);
    return ERR_OK;
}

/* left.x = right.y of an outer join where left.x is a constant: right.y can be nothing else. */
static void constants_through_outer(struct level *l)
{
    for (uint32_t i = 0; i < l->specials.count; i++) {
        struct special *s = l->specials.items[i];
        for (uint32_t k = 0; s->type != JOIN_FULL && k < s->clauses.count; k++) {
            const struct clause *c = s->clauses.items[k];
            if (!c->is_equality)
                continue;
            bool left = set_within(c->left_rels, s->syntactic_left) &&
                        set_within(c->right_rels, s->syntactic_right);
            bool right = set_within(c->right_rels, s->syntactic_left) &&
                         set_within(c->left_rels, s->syntactic_right);
            if (!left && !right)
                continue;
            const struct eclass *ec = eclass_find(l, left ? c->left : c->right);
            struct expr *inner = left ? c->right : c->left;
            if (!ec || !ec->constant || ec->below_outer ||
                set_count(left ? c->right_rels : c->left_rels) != 1)
                continue;
            oid op = operator_equality(inner->type, ec->constant->type);
            if (!op)
                continue;
            struct clause *n = clause_new(l, expr_operator(l->mem, op, inner, ec->constant));
            n->below_outer = true;
            place_base(l, n);
        }
    }
}

/* Conditions within one relation, and with constants. */
static err_t derive_base(struct level *l)
{
    for (uint32_t i = 0; i < l->eclasses.count; i++) {
        struct eclass *ec = l->eclasses.items[i];
        if (ec->merged_into)
            continue;
        for (uint32_t k = 0; k < ec->members.count; k++) {
            const struct eclass_member *m = &ec->members.items[k];
            if (ec->constant) {
                struct clause *c = eclass_clause(l, ec, m->expr, ec->constant);
                if (!c)
                    return err_raise(ERR_INTERNAL_ERROR, "no equality operator for a derived "
                                                         "condition");
                place(l, c); /* members were never delayed by an outer join */
                continue;
            }
            for (uint32_t j = 0; j < k; j++) {
                const struct eclass_member *o = &ec->members.items[j];
                if (o->rels != m->rels || set_count(m->rels) != 1)
                    continue;
                struct clause *c = eclass_clause(l, ec, o->expr, m->expr);
                if (!c)
                    return err_raise(ERR_INTERNAL_ERROR, "no equality operator for a derived "
                                                         "condition");
                place(l, c);
                break;
            }
        }
    }
    return ERR_OK;
}

static err_t lateral_rels(struct level *l, struct rel *r);

SUSPENDS err_t deconstruct_wait(struct level *l)
{
    relset all;
    TRY(walk_tree(l, l->tree, false, &all));
    constants_through_outer(l);
    TRY(derive_base(l));
    for (uint32_t i = 0; i < l->rels.count; i++)
        TRY(lateral_rels(l, l->rels.items[i]));
    for (uint32_t i = 0; i < l->rels.count; i++)
        TRY(scan_rel_init_wait(l, l->rels.items[i]));
    return ERR_OK;
}

/* ---- lateral references ---- */

static err_t lateral_node(struct query_map *m, const struct expr *e, uint32_t depth,
                          struct expr **out)
{
    struct rels_of {
        struct level *l;
        relset rels;
    } *w = m->ctx;
    (void)out;
    if (e->kind == EXPR_COLUMN && e->column.levels_up == depth) {
        const struct rel *r = w->l->rte_rels[e->column.rte];
        if (!r)
            return err_raise(ERR_INTERNAL_ERROR, "lateral reference to what is not in FROM");
        w->rels |= r->set;
    }
    return ERR_OK;
}

/* Which relations a subquery, function or VALUES list reads; its references are made plain here. */
static err_t lateral_rels(struct level *l, struct rel *r)
{
    struct {
        struct level *l;
        relset rels;
    } w = {.l = l};
    struct query_map m = {.mem = l->mem, .fn = lateral_node, .ctx = &w};
    struct range_entry *e = r->entry;
    if (e->kind == RTE_FUNCTION)
        for (uint32_t i = 0; i < e->function_count; i++) {
            struct expr *copy;
            TRY(level_flatten(l, e->functions[i], &e->functions[i]));
            TRY(query_map_expr(&m, e->functions[i], &copy));
        }
    if (e->kind == RTE_VALUES)
        for (uint32_t i = 0; i < e->value_row_count; i++)
            for (uint32_t k = 0; k < e->column_count; k++) {
                struct expr *copy;
                TRY(level_flatten(l, e->values[i][k], &e->values[i][k]));
                TRY(query_map_expr(&m, e->values[i][k], &copy));
            }
    if (e->subquery && e->kind != RTE_CTE) {
        struct expr link = {.kind = EXPR_SUBQUERY, .type = TYPE_BOOL};
        link.subquery.query = e->subquery;
        struct expr *flat;
        struct expr *copy;
        TRY(level_flatten(l, &link, &flat));
        TRY(query_map_expr(&m, flat, &copy));
        e->subquery = flat->subquery.query;
    }
    r->lateral = w.rels & ~r->set;
    return ERR_OK;
}

/* ---- what applies at a join ---- */

static const struct eclass_member *member_in(const struct eclass *ec, relset set)
{
    for (uint32_t i = 0; i < ec->members.count; i++)
        if (set_within(ec->members.items[i].rels, set))
            return &ec->members.items[i];
    return NULL;
}

static err_t class_clauses(struct level *l, struct eclass *ec, relset left, relset right,
                           struct clause_list *out)
{
    const struct eclass_member *a = member_in(ec, left);
    const struct eclass_member *b = member_in(ec, right);
    const struct eclass_member *base = a ? a : b;
    if (a && b) {
        /* as written, where there is such a pair */
        for (uint32_t i = 0; i < ec->sources.count; i++) {
            struct clause *c = ec->sources.items[i];
            if (c->is_equality &&
                ((set_within(c->left_rels, left) && set_within(c->right_rels, right)) ||
                 (set_within(c->left_rels, right) && set_within(c->right_rels, left)))) {
                clause_list_add(l->mem, out, c);
                goto wider;
            }
        }
        struct clause *c = eclass_clause(l, ec, a->expr, b->expr);
        if (!c)
            return err_raise(ERR_INTERNAL_ERROR, "no equality operator for a derived condition");
        clause_list_add(l->mem, out, c);
    }
wider:
    for (uint32_t i = 0; i < ec->members.count; i++) {
        const struct eclass_member *m = &ec->members.items[i];
        if (!set_within(m->rels, left | right) || set_within(m->rels, left) ||
            set_within(m->rels, right))
            continue;
        if (!base) {
            base = m;
            continue;
        }
        struct clause *c = eclass_clause(l, ec, base->expr, m->expr);
        if (!c)
            return err_raise(ERR_INTERNAL_ERROR, "no equality operator for a derived condition");
        clause_list_add(l->mem, out, c);
    }
    return ERR_OK;
}

err_t join_clauses(struct level *l, relset left, relset right, const struct special *s,
                   struct clause_list *conditions, struct clause_list *filters)
{
    relset both = left | right;
    struct clause_list *generic = s ? filters : conditions;
    for (uint32_t i = 0; s && i < s->clauses.count; i++)
        clause_list_add(l->mem, conditions, s->clauses.items[i]);
    for (uint32_t i = 0; i < l->eclasses.count; i++) {
        struct eclass *ec = l->eclasses.items[i];
        if (!ec->merged_into && !ec->constant && set_meets(ec->rels, left) &&
            set_meets(ec->rels, right))
            TRY(class_clauses(l, ec, left, right, generic));
    }
    for (uint32_t i = 0; i < l->joins.count; i++) {
        struct clause *c = l->joins.items[i];
        if (set_within(c->required, both) && !set_within(c->required, left) &&
            !set_within(c->required, right))
            clause_list_add(l->mem, generic, c);
    }
    return ERR_OK;
}
