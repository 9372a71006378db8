/*
 * Expression trees: making, comparing, copying, walking, rewriting. Locations never matter for
 * equality. Queries inside EXPR_SUBQUERY are not entered: they belong to a later room.
 */
#include "core/core.h"
#include "sql/expr/expr.h"

struct expr *expr_new(struct arena *mem, enum expr_kind kind, oid type, int32_t typmod)
{
    struct expr *e = ARENA_NEW(mem, struct expr);
    e->kind = kind;
    e->type = type;
    e->typmod = typmod;
    e->location = -1;
    return e;
}

struct expr *expr_const(struct arena *mem, oid type, int32_t typmod, datum value, bool is_null)
{
    struct expr *e = expr_new(mem, EXPR_CONST, type, typmod);
    e->constant.value = is_null ? 0 : value;
    e->constant.is_null = is_null;
    const struct type_info *t = type_find(type);
    e->collation = t ? t->collation : OID_NONE;
    return e;
}

/* ---- children ---- */

typedef err_t (*child_fn)(struct expr **slot, void *ctx);

static err_t children_of_sort(struct sort_item *items, uint32_t count, child_fn fn, void *ctx)
{
    for (uint32_t i = 0; i < count; i++)
        TRY(fn(&items[i].expr, ctx));
    return ERR_OK;
}

static err_t children_of_case(struct expr *e, child_fn fn, void *ctx)
{
    if (e->cases.operand)
        TRY(fn(&e->cases.operand, ctx));
    for (uint32_t i = 0; i < e->cases.when_count; i++) {
        TRY(fn(&e->cases.whens[i].condition, ctx));
        TRY(fn(&e->cases.whens[i].result, ctx));
    }
    if (e->cases.otherwise)
        TRY(fn(&e->cases.otherwise, ctx));
    return ERR_OK;
}

static err_t children_of_aggregate(struct expr *e, child_fn fn, void *ctx)
{
    if (e->aggregate.filter)
        TRY(fn(&e->aggregate.filter, ctx));
    TRY(children_of_sort(e->aggregate.order, e->aggregate.order_count, fn, ctx));
    struct window_spec *w = e->aggregate.window;
    if (e->kind != EXPR_WINDOW || !w)
        return ERR_OK;
    for (uint32_t i = 0; i < w->partition_count; i++)
        TRY(fn(&w->partition[i], ctx));
    TRY(children_of_sort(w->order, w->order_count, fn, ctx));
    if (w->start_offset)
        TRY(fn(&w->start_offset, ctx));
    if (w->end_offset)
        TRY(fn(&w->end_offset, ctx));
    return ERR_OK;
}

static err_t children(struct expr *e, child_fn fn, void *ctx)
{
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (e->args[i])
            TRY(fn(&e->args[i], ctx));
    }
    switch (e->kind) {
    case EXPR_CASE:
        return children_of_case(e, fn, ctx);
    case EXPR_AGGREGATE:
    case EXPR_WINDOW:
        return children_of_aggregate(e, fn, ctx);
    case EXPR_SUBQUERY:
        return e->subquery.test ? fn(&e->subquery.test, ctx) : ERR_OK;
    default:
        return ERR_OK;
    }
}

/* ---- walking ---- */

struct walk {
    err_t (*visit)(struct expr *e, void *ctx, bool *descend);
    void *ctx;
};

static err_t walk_slot(struct expr **slot, void *ctx)
{
    struct walk *w = ctx;
    return expr_walk(*slot, w->visit, w->ctx);
}

err_t expr_walk(struct expr *e, err_t (*visit)(struct expr *e, void *ctx, bool *descend), void *ctx)
{
    if (!e)
        return ERR_OK;
    TRY(fiber_check_stack());
    bool descend = true;
    TRY(visit(e, ctx, &descend));
    if (!descend)
        return ERR_OK;
    struct walk w = {.visit = visit, .ctx = ctx};
    return children(e, walk_slot, &w);
}

/* ---- copying and rewriting ---- */

static struct sort_item *copy_sort(struct arena *mem, const struct sort_item *from, uint32_t count)
{
    return count ? arena_memdup(mem, from, sizeof(*from) * count) : NULL;
}

/* The node and every array that holds its children's pointers; not the children. */
static struct expr *copy_node(struct arena *mem, const struct expr *e)
{
    struct expr *c = arena_memdup(mem, e, sizeof(*e));
    if (e->arg_count)
        c->args = arena_memdup(mem, e->args, sizeof(struct expr *) * e->arg_count);
    if (e->kind == EXPR_CASE && e->cases.when_count) {
        c->cases.whens =
            arena_memdup(mem, e->cases.whens, sizeof(struct case_when) * e->cases.when_count);
    } else if (e->kind == EXPR_AGGREGATE || e->kind == EXPR_WINDOW) {
        c->aggregate.order = copy_sort(mem, e->aggregate.order, e->aggregate.order_count);
        if (e->kind == EXPR_WINDOW && e->aggregate.window) {
            struct window_spec *w = arena_memdup(mem, e->aggregate.window, sizeof(*w));
            if (w->partition_count)
                w->partition =
                    arena_memdup(mem, w->partition, sizeof(struct expr *) * w->partition_count);
            w->order = copy_sort(mem, w->order, w->order_count);
            c->aggregate.window = w;
        }
    }
    return c;
}

struct rewrite {
    struct arena *mem;
    err_t (*fn)(struct arena *mem, const struct expr *e, void *ctx, struct expr **out);
    void *ctx;
};

static err_t rewrite_slot(struct expr **slot, void *ctx)
{
    struct rewrite *r = ctx;
    return expr_rewrite(r->mem, *slot, r->fn, r->ctx, slot);
}

err_t expr_rewrite(struct arena *mem, const struct expr *e,
                   err_t (*fn)(struct arena *mem, const struct expr *e, void *ctx,
                               struct expr **out),
                   void *ctx, struct expr **out)
{
    if (!e) {
        *out = NULL;
        return ERR_OK;
    }
    TRY(fiber_check_stack());
    struct expr *replacement = NULL;
    TRY(fn(mem, e, ctx, &replacement));
    if (replacement) {
        *out = replacement;
        return ERR_OK;
    }
    struct expr *c = copy_node(mem, e);
    struct rewrite r = {.mem = mem, .fn = fn, .ctx = ctx};
    TRY(children(c, rewrite_slot, &r));
    *out = c;
    return ERR_OK;
}

static err_t copy_keep(struct arena *mem, const struct expr *e, void *ctx, struct expr **out)
{
    (void)ctx;
    if (e->kind == EXPR_CONST) {
        const struct type_info *t = type_find(e->type);
        struct expr *c = arena_memdup(mem, e, sizeof(*e));
        if (!e->constant.is_null && !(t && t->by_value))
            c->constant.value = datum_copy(mem, e->constant.value, false);
        *out = c;
    }
    return ERR_OK;
}

struct expr *expr_copy(struct arena *mem, const struct expr *e)
{
    struct expr *c = NULL;
    /* Only a stack that is nearly used up makes this fail; trees that deep were refused before. */
    if (expr_rewrite(mem, e, copy_keep, NULL, &c) != ERR_OK)
        return (struct expr *)(uintptr_t)e;
    return c;
}

/* ---- equality ---- */

static bool equal_list(struct expr *const *a, struct expr *const *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!expr_equal(a[i], b[i]))
            return false;
    }
    return true;
}

static bool equal_const(const struct expr *a, const struct expr *b)
{
    if (a->constant.is_null || b->constant.is_null)
        return a->constant.is_null == b->constant.is_null;
    const struct type_info *t = type_find(a->type);
    if (t && t->by_value)
        return a->constant.value == b->constant.value;
    const struct varlen *x = datum_varlen(a->constant.value);
    const struct varlen *y = datum_varlen(b->constant.value);
    return x->len == y->len && memcmp(x->data, y->data, x->len) == 0;
}

static bool equal_sort(const struct sort_item *a, const struct sort_item *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (a[i].sort_operator != b[i].sort_operator || a[i].descending != b[i].descending ||
            a[i].nulls_first != b[i].nulls_first || !expr_equal(a[i].expr, b[i].expr))
            return false;
    }
    return true;
}

static bool equal_case(const struct expr *a, const struct expr *b)
{
    if (a->cases.when_count != b->cases.when_count ||
        !expr_equal(a->cases.operand, b->cases.operand) ||
        !expr_equal(a->cases.otherwise, b->cases.otherwise))
        return false;
    for (uint32_t i = 0; i < a->cases.when_count; i++) {
        if (!expr_equal(a->cases.whens[i].condition, b->cases.whens[i].condition) ||
            !expr_equal(a->cases.whens[i].result, b->cases.whens[i].result))
            return false;
    }
    return true;
}

static bool equal_window(const struct window_spec *a, const struct window_spec *b)
{
    if (a == b)
        return true;
    if (!a || !b)
        return false;
    return a->partition_count == b->partition_count && a->order_count == b->order_count &&
           a->frame_options == b->frame_options &&
           equal_list(a->partition, b->partition, a->partition_count) &&
           equal_sort(a->order, b->order, a->order_count) &&
           expr_equal(a->start_offset, b->start_offset) && expr_equal(a->end_offset, b->end_offset);
}

static bool equal_aggregate(const struct expr *a, const struct expr *b)
{
    return a->aggregate.distinct == b->aggregate.distinct &&
           a->aggregate.star == b->aggregate.star &&
           a->aggregate.levels_up == b->aggregate.levels_up &&
           a->aggregate.order_count == b->aggregate.order_count &&
           expr_equal(a->aggregate.filter, b->aggregate.filter) &&
           equal_sort(a->aggregate.order, b->aggregate.order, a->aggregate.order_count) &&
           (a->kind != EXPR_WINDOW ||
            equal_window((const struct window_spec *)(const void *)a->aggregate.window,
                         (const struct window_spec *)(const void *)b->aggregate.window));
}

static bool equal_own(const struct expr *a, const struct expr *b)
{
    switch (a->kind) {
    case EXPR_SUBSCRIPT:
        return a->slice.omitted == b->slice.omitted;
    case EXPR_CONST:
        return equal_const(a, b);
    case EXPR_PARAM:
    case EXPR_EXEC_PARAM:
        return a->param == b->param;
    case EXPR_COLUMN:
        return a->column.rte == b->column.rte && a->column.attno == b->column.attno &&
               a->column.levels_up == b->column.levels_up;
    case EXPR_INPUT:
        return a->input.slot == b->input.slot && a->input.index == b->input.index;
    case EXPR_CASE:
        return equal_case(a, b);
    case EXPR_AGGREGATE:
    case EXPR_WINDOW:
        return equal_aggregate(a, b);
    case EXPR_SUBQUERY:
        return a->subquery.subkind == b->subquery.subkind &&
               a->subquery.query == b->subquery.query &&
               expr_equal(a->subquery.test, b->subquery.test);
    case EXPR_SUBPLAN:
        return a->subplan.index == b->subplan.index;
    case EXPR_NEXTVAL:
        return a->nextval.sequence == b->nextval.sequence;
    case EXPR_ROW_COMPARE:
        for (uint32_t i = 0; i < a->arg_count / 2; i++) {
            if (a->row_compare.funcs[i] != b->row_compare.funcs[i])
                return false;
        }
        return true;
    default:
        return true;
    }
}

bool expr_equal(const struct expr *a, const struct expr *b)
{
    if (a == b)
        return true;
    if (!a || !b)
        return false;
    if (fiber_stack_left() < 8192)
        return false;
    if (a->kind != b->kind || a->type != b->type || a->typmod != b->typmod ||
        a->collation != b->collation || a->op != b->op || a->negated != b->negated ||
        a->func != b->func || a->arg_count != b->arg_count)
        return false;
    return equal_own(a, b) && equal_list(a->args, b->args, a->arg_count);
}

/* ---- properties ---- */

static bool calls_volatile(const struct expr *e)
{
    if (e->kind == EXPR_NEXTVAL)
        return true;
    return e->func && e->kind != EXPR_AGGREGATE && e->kind != EXPR_WINDOW &&
           e->func->volatility == 'v';
}

static err_t visit_volatile(struct expr *e, void *ctx, bool *descend)
{
    bool *found = ctx;
    *found = *found || calls_volatile(e);
    *descend = !*found;
    return ERR_OK;
}

bool expr_is_volatile(const struct expr *e)
{
    bool found = false;
    ERR_IGNORE(expr_walk((struct expr *)(uintptr_t)e, visit_volatile, &found));
    return found;
}

static err_t visit_mutable(struct expr *e, void *ctx, bool *descend)
{
    bool *found = ctx;
    bool calls = e->func && e->kind != EXPR_AGGREGATE && e->kind != EXPR_WINDOW;
    *found = *found || calls_volatile(e) || (calls && e->func->volatility != 'i');
    *descend = !*found;
    return ERR_OK;
}

bool expr_is_mutable(const struct expr *e)
{
    bool found = false;
    ERR_IGNORE(expr_walk((struct expr *)(uintptr_t)e, visit_mutable, &found));
    return found;
}

static err_t visit_variable(struct expr *e, void *ctx, bool *descend)
{
    bool *found = ctx;
    switch (e->kind) {
    case EXPR_PARAM:
    case EXPR_EXEC_PARAM:
    case EXPR_COLUMN:
    case EXPR_INPUT:
    case EXPR_AGGREGATE:
    case EXPR_WINDOW:
    case EXPR_GROUPING:
    case EXPR_SUBQUERY:
    case EXPR_SUBPLAN:
    case EXPR_DEFAULT:
        *found = true;
        break;
    case EXPR_CALL:
        *found = *found || calls_volatile(e) || e->func->returns_set;
        break;
    default:
        *found = *found || calls_volatile(e);
        break;
    }
    *descend = !*found;
    return ERR_OK;
}

bool expr_is_constant(const struct expr *e)
{
    bool found = false;
    err_t err = expr_walk((struct expr *)(uintptr_t)e, visit_variable, &found);
    return err == ERR_OK && !found;
}
