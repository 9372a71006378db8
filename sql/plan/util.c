/* Lists, questions about expressions, and rewriting of whole queries. */
#include "sql/plan/plan_priv.h"

void *list_grow(struct arena *mem, void *items, uint32_t count, uint32_t *capacity, size_t bytes)
{
    if (count < *capacity)
        return items;
    uint32_t bigger = *capacity ? *capacity * 2 : 4;
    uint8_t *copy = arena_zalloc(mem, bytes * bigger);
    if (count)
        memcpy(copy, items, bytes * count);
    *capacity = bigger;
    return copy;
}

void expr_list_add(struct arena *mem, struct expr_list *l, struct expr *e)
{
    LIST_ADD(mem, l, e);
}

bool exprs_match(const struct expr *a, const struct expr *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind)
        return false;
    if (a->kind == EXPR_COLUMN)
        return a->column.rte == b->column.rte && a->column.attno == b->column.attno &&
               a->column.levels_up == b->column.levels_up;
    return expr_equal(a, b);
}

uint32_t expr_list_find(struct expr *const *items, uint32_t count, const struct expr *e)
{
    for (uint32_t i = 0; i < count; i++)
        if (exprs_match(items[i], e))
            return i;
    return UINT32_MAX;
}

uint32_t expr_list_add_new(struct arena *mem, struct expr_list *l, struct expr *e)
{
    uint32_t at = expr_list_find(l->items, l->count, e);
    if (at != UINT32_MAX)
        return at;
    expr_list_add(mem, l, e);
    return l->count - 1;
}

struct collect {
    struct arena *mem;
    struct expr_list *out;
};
static err_t collect_column(struct expr *e, void *ctx, bool *descend)
{
    struct collect *c = ctx;
    *descend = e->kind != EXPR_COLUMN;
    if (e->kind == EXPR_COLUMN)
        expr_list_add_new(c->mem, c->out, e);
    return ERR_OK;
}

err_t expr_columns(struct arena *mem, struct expr *e, struct expr_list *out)
{
    struct collect c = {.mem = mem, .out = out};
    return e ? expr_walk(e, collect_column, &c) : ERR_OK;
}

struct rels_walk {
    struct level *l;
    relset rels;
};
static err_t rels_visit(struct expr *e, void *ctx, bool *descend)
{
    struct rels_walk *w = ctx;
    *descend = true;
    if (e->kind != EXPR_COLUMN)
        return ERR_OK;
    *descend = false;
    struct rel *r = e->column.levels_up == 0 && e->column.rte < w->l->rtes.count
                        ? w->l->rte_rels[e->column.rte]
                        : NULL;
    if (!r)
        return err_raise(ERR_INTERNAL_ERROR, "column %d of range table entry %u is out of place",
                         e->column.attno, e->column.rte);
    w->rels |= r->set;
    return ERR_OK;
}

err_t expr_rels(struct level *l, struct expr *e, relset *out)
{
    struct rels_walk w = {.l = l};
    err_t err = expr_walk(e, rels_visit, &w);
    *out = w.rels;
    return err;
}

struct kind_walk {
    enum expr_kind kind;
    bool found;
    bool sets;
};
static err_t kind_visit(struct expr *e, void *ctx, bool *descend)
{
    struct kind_walk *w = ctx;
    if (w->sets ? (e->kind == EXPR_CALL && e->func && e->func->returns_set) : e->kind == w->kind)
        w->found = true;
    *descend = !w->found;
    return ERR_OK;
}

err_t expr_has(struct expr *e, enum expr_kind kind, bool *out)
{
    struct kind_walk w = {.kind = kind};
    err_t err = e ? expr_walk(e, kind_visit, &w) : ERR_OK;
    *out = w.found;
    return err;
}

bool expr_kind_within(struct expr *e, enum expr_kind kind)
{
    struct kind_walk w = {.kind = kind};
    if (e && expr_walk(e, kind_visit, &w) != ERR_OK)
        return true;
    return w.found;
}

bool expr_makes_set(const struct expr *e)
{
    struct kind_walk w = {.sets = true};
    if (expr_walk((struct expr *)(uintptr_t)e, kind_visit, &w) != ERR_OK)
        return true;
    return w.found;
}

struct expr *expr_column_new(struct arena *mem, const struct range_entry *rte, uint32_t index,
                             int32_t attno)
{
    ASSERT(attno > 0 && (uint32_t)attno <= rte->column_count);
    uint32_t i = (uint32_t)attno - 1;
    struct expr *e = expr_new(mem, EXPR_COLUMN, rte->column_types[i],
                              rte->column_typmods ? rte->column_typmods[i] : -1);
    e->collation = rte->column_collations ? rte->column_collations[i] : 0;
    e->column.rte = index;
    e->column.attno = attno;
    e->column.name = rte->column_names ? rte->column_names[i] : NULL;
    return e;
}

struct expr *expr_row_place(struct arena *mem, uint32_t rte, int32_t attno)
{
    struct expr *e = expr_new(mem, EXPR_COLUMN, attno == COLUMN_ROW_ID ? TYPE_INT8 : TYPE_INT4, -1);
    e->column.rte = rte;
    e->column.attno = attno;
    return e;
}

struct expr *expr_and(struct arena *mem, struct expr *const *items, uint32_t count)
{
    if (count == 0)
        return NULL;
    if (count == 1)
        return items[0];
    struct expr *e = expr_new(mem, EXPR_AND, TYPE_BOOL, -1);
    e->args = arena_memdup(mem, items, sizeof(struct expr *) * count);
    e->arg_count = count;
    return e;
}

void expr_conjuncts(struct arena *mem, struct expr *e, struct expr_list *out)
{
    if (!e)
        return;
    if (e->kind != EXPR_AND || fiber_check_stack() != ERR_OK) {
        expr_list_add(mem, out, e);
        return;
    }
    for (uint32_t i = 0; i < e->arg_count; i++)
        expr_conjuncts(mem, e->args[i], out);
}

const struct expr *expr_strip_relabel(const struct expr *e)
{
    while (e->kind == EXPR_RELABEL)
        e = e->args[0];
    return e;
}

struct expr *expr_bool_const(struct arena *mem, bool value, bool is_null)
{
    return expr_const(mem, TYPE_BOOL, -1, datum_of_bool(value), is_null);
}

bool expr_is_true(const struct expr *e)
{
    return e->kind == EXPR_CONST && !e->constant.is_null && datum_bool(e->constant.value);
}

bool expr_is_false(const struct expr *e)
{
    return e->kind == EXPR_CONST && (e->constant.is_null || !datum_bool(e->constant.value));
}

struct expr *expr_exec_param(struct arena *mem, uint32_t param, oid type, int32_t typmod)
{
    struct expr *e = expr_new(mem, EXPR_EXEC_PARAM, type, typmod);
    e->param = param;
    return e;
}

struct expr *expr_input(struct arena *mem, uint32_t slot, uint32_t index, const struct expr *like)
{
    struct expr *e = expr_new(mem, EXPR_INPUT, like->type, like->typmod);
    e->collation = like->collation;
    e->input.slot = slot;
    e->input.index = index;
    return e;
}

/* ---- strictness ---- */

static relset strict_args(struct level *l, struct expr *e)
{
    relset s = 0;
    for (uint32_t i = 0; i < e->arg_count; i++)
        s |= expr_strict_rels(l, e->args[i], false);
    return s;
}

relset expr_strict_rels(struct level *l, struct expr *e, bool as_condition)
{
    if (fiber_check_stack() != ERR_OK)
        return 0;
    relset s = 0;
    switch (e->kind) {
    case EXPR_COLUMN:
        if (e->column.levels_up == 0 && e->column.attno != COLUMN_WHOLE_ROW &&
            l->rte_rels[e->column.rte])
            return l->rte_rels[e->column.rte]->set;
        return 0;
    case EXPR_CALL:
        return e->func && e->func->strict && !e->func->returns_set ? strict_args(l, e) : 0;
    case EXPR_RELABEL:
    case EXPR_IO_CAST:
    case EXPR_ARRAY_CAST:
    case EXPR_TYPMOD:
        return expr_strict_rels(l, e->args[0], false);
    case EXPR_NOT:
        return expr_strict_rels(l, e->args[0], false);
    case EXPR_ANY_ALL:
        if (!e->func || !e->func->strict || e->negated || !as_condition)
            return 0;
        return expr_strict_rels(l, e->args[0], false) | expr_strict_rels(l, e->args[1], false);
    case EXPR_IS_NULL:
        return as_condition && e->negated ? expr_strict_rels(l, e->args[0], false) : 0;
    case EXPR_IS_BOOL:
        return as_condition && (e->negated ? e->op == 'u' : e->op != 'u')
                   ? expr_strict_rels(l, e->args[0], true)
                   : 0;
    case EXPR_AND:
        if (!as_condition) { /* NULL AND false is false, and so on: all must be NULL */
            s = ~(relset)0;
            for (uint32_t i = 0; i < e->arg_count; i++)
                s &= expr_strict_rels(l, e->args[i], false);
            return s;
        }
        for (uint32_t i = 0; i < e->arg_count; i++)
            s |= expr_strict_rels(l, e->args[i], true);
        return s;
    case EXPR_OR:
        s = ~(relset)0;
        for (uint32_t i = 0; i < e->arg_count; i++)
            s &= expr_strict_rels(l, e->args[i], as_condition);
        return s;
    default:
        return 0;
    }
}

/* ---- operators and types ---- */

struct expr *expr_operator(struct arena *mem, oid op, struct expr *left, struct expr *right)
{
    const struct operator_info *o = operator_find(op);
    ASSERT(o);
    struct expr *e = expr_new(mem, EXPR_CALL, o->result, -1);
    e->func = func_find(o->function);
    e->from_operator = true;
    e->oper_oid = op;
    e->args = ARENA_ARRAY(mem, struct expr *, 2);
    e->args[0] = left;
    e->args[1] = right;
    e->arg_count = 2;
    e->collation = left->collation;
    e->location = -1;
    return e;
}

bool type_is_integer(oid t)
{
    return t == TYPE_INT2 || t == TYPE_INT4 || t == TYPE_INT8;
}

static oid type_basic(oid t)
{
    return t == TYPE_VARCHAR ? TYPE_TEXT : t;
}

oid operator_equality(oid left, oid right)
{
    uint32_t count;
    const struct operator_info *const *list = operator_find_name("=", &count);
    left = type_basic(left);
    right = type_basic(right);
    for (uint32_t i = 0; i < count; i++)
        if (list[i]->left == left && list[i]->right == right &&
            operator_strategy(list[i]->oid) == 3)
            return list[i]->oid;
    return 0;
}

bool types_hash_alike(oid a, oid b)
{
    if (type_is_integer(a) && type_is_integer(b))
        return true;
    const struct type_info *x = type_find(a);
    const struct type_info *y = type_find(b);
    return x && y && x->hash && x->hash == y->hash;
}

bool types_sort_alike(oid a, oid b)
{
    const struct type_info *x = type_find(a);
    const struct type_info *y = type_find(b);
    return x && y && x->compare && x->compare == y->compare && x->sort_key == y->sort_key;
}

uint32_t type_width(oid type, int32_t typmod)
{
    const struct type_info *t = type_find(type);
    if (t && t->typlen > 0)
        return (uint32_t)t->typlen;
    if ((type == TYPE_VARCHAR || type == TYPE_BPCHAR) && typmod > 4) {
        uint32_t n = (uint32_t)typmod - 4;
        return type == TYPE_BPCHAR || n <= 32 ? n + 1 : n < 1000 ? 32 + (n - 32) / 2 : 516;
    }
    return 32;
}

/* ---- whole queries ---- */

static err_t map_node(struct arena *mem, const struct expr *e, void *ctx, struct expr **out)
{
    struct query_map *m = ctx;
    TRY(m->fn(m, e, m->depth, out));
    if (*out || e->kind != EXPR_SUBQUERY)
        return ERR_OK;
    TRY(fiber_check_stack());
    struct expr *copy = arena_memdup(mem, e, sizeof(*e));
    if (e->arg_count) {
        copy->args = ARENA_ARRAY(mem, struct expr *, e->arg_count);
        for (uint32_t i = 0; i < e->arg_count; i++)
            TRY(query_map_expr(m, e->args[i], &copy->args[i]));
    }
    if (e->subquery.test)
        TRY(query_map_expr(m, e->subquery.test, &copy->subquery.test));
    m->depth++;
    err_t err = query_map_run(m, e->subquery.query, &copy->subquery.query);
    m->depth--;
    *out = copy;
    return err;
}

err_t query_map_expr(struct query_map *m, const struct expr *e, struct expr **out)
{
    *out = NULL;
    return e ? expr_rewrite(m->mem, e, map_node, m, out) : ERR_OK;
}

static err_t map_exprs(struct query_map *m, struct expr **items, uint32_t count, struct expr ***out)
{
    struct expr **copy = ARENA_ARRAY(m->mem, struct expr *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        TRY(query_map_expr(m, items[i], &copy[i]));
    *out = copy;
    return ERR_OK;
}

static err_t map_targets(struct query_map *m, struct target **targets, uint32_t count)
{
    struct target *copy = ARENA_ARRAY(m->mem, struct target, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = (*targets)[i];
        TRY(query_map_expr(m, (*targets)[i].expr, &copy[i].expr));
    }
    *targets = copy;
    return ERR_OK;
}

/* An expression that is also a target stays the same expression (subqueries are equal by identity).
 */
static err_t map_as_target(struct query_map *m, const struct query *from, const struct query *to,
                           const struct expr *e, struct expr **out)
{
    for (uint32_t i = 0; i < from->target_count; i++)
        if (expr_equal(from->targets[i].expr, e)) {
            *out = to->targets[i].expr;
            return ERR_OK;
        }
    return query_map_expr(m, e, out);
}

static err_t map_items(struct query_map *m, const struct query *from, const struct query *to,
                       struct sort_item **items, uint32_t count)
{
    struct sort_item *copy = ARENA_ARRAY(m->mem, struct sort_item, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = (*items)[i];
        TRY(map_as_target(m, from, to, (*items)[i].expr, &copy[i].expr));
    }
    *items = copy;
    return ERR_OK;
}

static err_t map_from(struct query_map *m, const struct from_item *f, struct from_item **out)
{
    TRY(fiber_check_stack());
    struct from_item *copy = arena_memdup(m->mem, f, sizeof(*f));
    if (f->kind == FROM_JOIN) {
        TRY(map_from(m, f->left, &copy->left));
        TRY(map_from(m, f->right, &copy->right));
        TRY(query_map_expr(m, f->condition, &copy->condition));
    }
    *out = copy;
    return ERR_OK;
}

static err_t map_entry(struct query_map *m, const struct range_entry *e, struct range_entry **out)
{
    struct range_entry *copy = arena_memdup(m->mem, e, sizeof(*e));
    *out = copy;
    if (e->join_columns)
        TRY(map_exprs(m, e->join_columns, e->column_count, &copy->join_columns));
    if (e->functions)
        TRY(map_exprs(m, e->functions, e->function_count, &copy->functions));
    if (e->values) {
        copy->values = ARENA_ARRAY(m->mem, struct expr **, e->value_row_count + 1);
        for (uint32_t i = 0; i < e->value_row_count; i++)
            TRY(map_exprs(m, e->values[i], e->column_count, &copy->values[i]));
    }
    if (e->subquery) {
        m->depth++;
        TRY(query_map_run(m, e->subquery, &copy->subquery));
        m->depth--;
    }
    return m->entry ? m->entry(m, copy, m->depth) : ERR_OK;
}

err_t query_map_run(struct query_map *m, const struct query *q, struct query **out)
{
    TRY(fiber_check_stack());
    struct query *c = arena_memdup(m->mem, q, sizeof(*q));
    *out = c;
    c->rtes = ARENA_ARRAY(m->mem, struct range_entry *, q->rte_count + 1);
    for (uint32_t i = 0; i < q->rte_count; i++)
        TRY(map_entry(m, q->rtes[i], &c->rtes[i]));
    c->from = ARENA_ARRAY(m->mem, struct from_item *, q->from_count + 1);
    for (uint32_t i = 0; i < q->from_count; i++)
        TRY(map_from(m, q->from[i], &c->from[i]));
    TRY(query_map_expr(m, q->where, &c->where));
    TRY(map_targets(m, &c->targets, q->target_count));
    c->group_exprs = ARENA_ARRAY(m->mem, struct expr *, q->group_count + 1);
    for (uint32_t i = 0; i < q->group_count; i++)
        TRY(map_as_target(m, q, c, q->group_exprs[i], &c->group_exprs[i]));
    TRY(query_map_expr(m, q->having, &c->having));
    TRY(map_items(m, q, c, &c->distinct_on, q->distinct_on_count));
    TRY(map_items(m, q, c, &c->order, q->order_count));
    TRY(query_map_expr(m, q->limit, &c->limit));
    TRY(query_map_expr(m, q->offset, &c->offset));
    if (q->cte_count) {
        c->ctes = arena_memdup(m->mem, q->ctes, sizeof(*q->ctes) * q->cte_count);
        for (uint32_t i = 0; i < q->cte_count; i++) {
            m->depth++;
            TRY(query_map_run(m, q->ctes[i].query, &c->ctes[i].query));
            m->depth--;
        }
    }
    TRY(map_targets(m, &c->returning, q->returning_count));
    if (q->on_conflict) {
        struct on_conflict *oc = arena_memdup(m->mem, q->on_conflict, sizeof(*oc));
        TRY(map_targets(m, &oc->set, oc->set_count));
        TRY(query_map_expr(m, oc->where, &oc->where));
        c->on_conflict = oc;
    }
    return ERR_OK;
}
