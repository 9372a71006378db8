/* Operators in expressions: plain ones, [NOT] IN lists, BETWEEN, DISTINCT, NULLIF, rows. */
#include "sql/analyze/analyze_priv.h"

/* ---- rows ---- */

static err_t row_pair(struct scope *s, const List *opname, struct expr *l, struct expr *r,
                      int32_t location, struct expr **out)
{
    TRY(operator_make(s, opname, l, r, location, out));
    if ((*out)->type != TYPE_BOOL)
        return analyze_at(s->a, location,
                          err_raise(ERR_DATATYPE_MISMATCH,
                                    "row comparison operator must yield type boolean, not type %s",
                                    analyze_type_text(s->a, (*out)->type)));
    if (expr_returns_set(*out))
        return analyze_at(
            s->a, location,
            err_raise(ERR_DATATYPE_MISMATCH, "row comparison operator must not return a set"));
    return ERR_OK;
}

static err_t row_order(struct scope *s, struct expr **pairs, uint32_t count, int strategy,
                       int32_t location, struct expr **out)
{
    struct arena *mem = s->a->mem;
    struct expr *e = expr_new(mem, EXPR_ROW_COMPARE, TYPE_BOOL, -1);
    e->op = (uint8_t)strategy;
    e->args = ARENA_ARRAY(mem, struct expr *, count * 2);
    e->arg_count = count * 2;
    e->location = location;
    e->row_compare.funcs = ARENA_ARRAY(mem, const struct func *, count);
    e->row_compare.equal_funcs = ARENA_ARRAY(mem, const struct func *, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct operator_info *op = operator_find(pairs[i]->oper_oid);
        const struct operator_info *equal = NULL;
        TRY(operator_resolve_name(s, "=", op->left, op->right, true, location, &equal));
        if (operator_strategy(op->oid) != strategy || !equal || !func_of_operator(equal))
            return analyze_at(s->a, location,
                              err_not_built("row comparison of columns of different operator "
                                            "families is not supported"));
        e->args[i] = pairs[i]->args[0];
        e->args[count + i] = pairs[i]->args[1];
        e->row_compare.funcs[i] = pairs[i]->func;
        e->row_compare.equal_funcs[i] = func_of_operator(equal);
    }
    e->oper_oid = pairs[0]->oper_oid;
    collation_of_args(e);
    *out = e;
    return ERR_OK;
}

err_t row_compare_make(struct scope *s, const List *opname, struct expr **left, struct expr **right,
                       uint32_t count, int32_t location, struct expr **out)
{
    struct arena *mem = s->a->mem;
    const char *name = list_string(opname, list_length(opname) - 1);
    if (count == 0)
        return analyze_at(s->a, location, err_not_built("cannot compare rows of zero length"));
    struct expr **pairs = ARENA_ARRAY(mem, struct expr *, count);
    for (uint32_t i = 0; i < count; i++)
        TRY(row_pair(s, opname, left[i], right[i], location, &pairs[i]));
    if (count == 1) {
        *out = pairs[0];
        return ERR_OK;
    }
    int strategy = operator_strategy(pairs[0]->oper_oid);
    if (strategy == 3) {
        *out = expr_bool(s, EXPR_AND, pairs, count, location);
        return ERR_OK;
    }
    if (strcmp(name, "<>") == 0) {
        *out = expr_bool(s, EXPR_OR, pairs, count, location);
        return ERR_OK;
    }
    if (strategy == 0) {
        err_t e =
            err_raise(ERR_FEATURE_NOT_SUPPORTED,
                      "could not determine interpretation of row comparison operator %s", name);
        err_hint("Row comparison operators must be associated with btree operator families.");
        return analyze_at(s->a, location, e);
    }
    return row_order(s, pairs, count, strategy, location, out);
}

static err_t row_lengths(struct scope *s, const struct expr *l, const struct expr *r,
                         int32_t location)
{
    if (l->arg_count == r->arg_count)
        return ERR_OK;
    return analyze_at(s->a, location,
                      err_raise(ERR_SYNTAX_ERROR, "unequal number of entries in row expressions"));
}

/* ---- DISTINCT, NULLIF ---- */

static err_t make_distinct(struct scope *s, const List *opname, struct expr *l, struct expr *r,
                           bool negated, int32_t location, struct expr **out)
{
    struct expr *e;
    TRY(operator_make(s, opname, l, r, location, &e));
    if (e->type != TYPE_BOOL)
        return analyze_at(s->a, location,
                          err_raise(ERR_DATATYPE_MISMATCH,
                                    "%s requires = operator to yield boolean", "IS DISTINCT FROM"));
    e->kind = EXPR_DISTINCT;
    e->negated = negated;
    *out = e;
    return ERR_OK;
}

static SUSPENDS err_t transform_distinct_wait(struct scope *s, const A_Expr *n, bool negated,
                                              struct expr **out)
{
    struct expr *l;
    struct expr *r;
    TRY(transform_wait(s, n->lexpr, &l));
    TRY(transform_wait(s, n->rexpr, &r));
    bool l_null = l->kind == EXPR_CONST && l->type == TYPE_UNKNOWN && l->constant.is_null;
    bool r_null = r->kind == EXPR_CONST && r->type == TYPE_UNKNOWN && r->constant.is_null;
    if (l_null != r_null) { /* IS [NOT] NULL in other words */
        struct expr **args = ARENA_ARRAY(s->a->mem, struct expr *, 1);
        args[0] = l_null ? r : l;
        *out = expr_bool(s, EXPR_IS_NULL, args, 1, n->location);
        (*out)->negated = !negated;
        return ERR_OK;
    }
    if (l->kind != EXPR_ROW || r->kind != EXPR_ROW)
        return make_distinct(s, n->name, l, r, negated, n->location, out);
    TRY(row_lengths(s, l, r, n->location));
    struct expr **pairs = ARENA_ARRAY(s->a->mem, struct expr *, l->arg_count + 1);
    for (uint32_t i = 0; i < l->arg_count; i++)
        TRY(make_distinct(s, n->name, l->args[i], r->args[i], negated, n->location, &pairs[i]));
    if (l->arg_count == 1)
        *out = pairs[0];
    else if (l->arg_count == 0)
        *out = expr_const(s->a->mem, TYPE_BOOL, -1, datum_of_bool(negated), false);
    else
        *out = expr_bool(s, negated ? EXPR_AND : EXPR_OR, pairs, l->arg_count, n->location);
    return ERR_OK;
}

static SUSPENDS err_t transform_nullif_wait(struct scope *s, const A_Expr *n, struct expr **out)
{
    struct expr *l;
    struct expr *r;
    TRY(transform_wait(s, n->lexpr, &l));
    TRY(transform_wait(s, n->rexpr, &r));
    struct expr *e;
    TRY(operator_make(s, n->name, l, r, n->location, &e));
    if (e->type != TYPE_BOOL)
        return analyze_at(
            s->a, n->location,
            err_raise(ERR_DATATYPE_MISMATCH, "%s requires = operator to yield boolean", "NULLIF"));
    e->kind = EXPR_NULLIF;
    e->type = e->args[0]->type;
    e->typmod = e->args[0]->typmod;
    e->collation = e->args[0]->collation;
    *out = e;
    return ERR_OK;
}

/* ---- IN ---- */

struct in_list {
    struct expr *left;
    struct expr **items;
    uint32_t count;
    bool is_or;
    bool has_rows;
};

/* x IN (constants) as x = ANY (array); leaves items with columns. */
static err_t in_as_array(struct scope *s, const A_Expr *n, struct in_list *in, struct expr **out)
{
    struct arena *mem = s->a->mem;
    *out = NULL;
    struct expr **plain = ARENA_ARRAY(mem, struct expr *, in->count + 1);
    uint32_t plain_count = 0;
    plain[plain_count++] = in->left;
    for (uint32_t i = 0; i < in->count; i++) {
        if (!expr_has_columns(in->items[i]))
            plain[plain_count++] = in->items[i];
    }
    if (plain_count < 3)
        return ERR_OK;
    oid common;
    TRY(coerce_common_type(s, plain, plain_count, NULL, &common));
    if (common == OID_NONE || common == TYPE_RECORD || type_array(common) == OID_NONE)
        return ERR_OK;
    for (uint32_t i = 0; i < plain_count; i++) {
        if (!coerce_is_possible(1, &plain[i]->type, &common, COERCE_BY_CONTEXT))
            return ERR_OK;
    }
    struct expr *array = expr_new(mem, EXPR_ARRAY, type_array(common), -1);
    array->args = ARENA_ARRAY(mem, struct expr *, plain_count);
    array->arg_count = plain_count - 1;
    array->location = -1;
    for (uint32_t i = 1; i < plain_count; i++)
        TRY(coerce_to_common(s, plain[i], common, "IN", &array->args[i - 1]));
    collation_of_args(array);
    TRY(operator_make_array(s, n->name, in->is_or, in->left, array, n->location, out));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        if (expr_has_columns(in->items[i]))
            in->items[kept++] = in->items[i];
    }
    in->count = kept;
    return ERR_OK;
}

static SUSPENDS err_t transform_in_wait(struct scope *s, const A_Expr *n, struct expr **out)
{
    const List *list = (const List *)n->rexpr;
    struct in_list in = {.is_or = strcmp(list_string(n->name, 0), "<>") != 0};
    TRY(transform_wait(s, n->lexpr, &in.left));
    in.has_rows = in.left->kind == EXPR_ROW;
    in.count = (uint32_t)list_length(list);
    in.items = ARENA_ARRAY(s->a->mem, struct expr *, in.count + 1);
    for (uint32_t i = 0; i < in.count; i++) {
        TRY(transform_wait(s, list_nth(list, (int)i), &in.items[i]));
        in.has_rows |= in.items[i]->kind == EXPR_ROW;
    }
    struct expr *by_array = NULL;
    if (!in.has_rows)
        TRY(in_as_array(s, n, &in, &by_array));
    struct expr **parts = ARENA_ARRAY(s->a->mem, struct expr *, in.count + 2);
    uint32_t part_count = 0;
    if (by_array)
        parts[part_count++] = by_array;
    for (uint32_t i = 0; i < in.count; i++) {
        struct expr *item = in.items[i];
        struct expr *test;
        if (in.left->kind == EXPR_ROW && item->kind == EXPR_ROW) {
            TRY(row_lengths(s, in.left, item, n->location));
            TRY(row_compare_make(s, n->name, in.left->args, item->args, item->arg_count,
                                 n->location, &test));
        } else {
            TRY(operator_make(s, n->name, in.left, item, n->location, &test));
        }
        TRY(coerce_to_boolean(s, test, "IN", &parts[part_count++]));
    }
    *out = part_count == 1
               ? parts[0]
               : expr_bool(s, in.is_or ? EXPR_OR : EXPR_AND, parts, part_count, n->location);
    return ERR_OK;
}

/* ---- BETWEEN ---- */

static err_t between_pair(struct scope *s, struct expr *x, const char *low_op, struct expr *low,
                          const char *high_op, struct expr *high, bool is_and, int32_t location,
                          struct expr **out)
{
    struct expr **parts = ARENA_ARRAY(s->a->mem, struct expr *, 2);
    TRY(operator_make_named(s, low_op, x, low, location, &parts[0]));
    TRY(operator_make_named(s, high_op, x, high, location, &parts[1]));
    TRY(coerce_to_boolean(s, parts[0], is_and ? "AND" : "OR", &parts[0]));
    TRY(coerce_to_boolean(s, parts[1], is_and ? "AND" : "OR", &parts[1]));
    *out = expr_bool(s, is_and ? EXPR_AND : EXPR_OR, parts, 2, location);
    return ERR_OK;
}

static SUSPENDS err_t transform_between_wait(struct scope *s, const A_Expr *n, struct expr **out)
{
    const List *bounds = (const List *)n->rexpr;
    bool negated = n->kind == AEXPR_NOT_BETWEEN || n->kind == AEXPR_NOT_BETWEEN_SYM;
    bool symmetric = n->kind == AEXPR_BETWEEN_SYM || n->kind == AEXPR_NOT_BETWEEN_SYM;
    const char *low_op = negated ? "<" : ">=";
    const char *high_op = negated ? ">" : "<=";
    struct expr *x;
    struct expr *a;
    struct expr *b;
    TRY(transform_wait(s, n->lexpr, &x));
    TRY(transform_wait(s, list_nth(bounds, 0), &a));
    TRY(transform_wait(s, list_nth(bounds, 1), &b));
    struct expr *one;
    TRY(between_pair(s, x, low_op, a, high_op, b, !negated, n->location, &one));
    *out = one;
    if (!symmetric)
        return ERR_OK;
    struct expr **parts = ARENA_ARRAY(s->a->mem, struct expr *, 2);
    parts[0] = one;
    TRY(between_pair(s, x, low_op, b, high_op, a, !negated, n->location, &parts[1]));
    *out = expr_bool(s, negated ? EXPR_AND : EXPR_OR, parts, 2, n->location);
    return ERR_OK;
}

/* ---- plain operators ---- */

static SUSPENDS err_t transform_array_op_wait(struct scope *s, const A_Expr *n, struct expr **out)
{
    struct expr *l;
    struct expr *r;
    TRY(transform_wait(s, n->lexpr, &l));
    TRY(transform_wait(s, n->rexpr, &r));
    return operator_make_array(s, n->name, n->kind == AEXPR_OP_ANY, l, r, n->location, out);
}

static err_t plain_op(struct scope *s, const A_Expr *n, struct expr *l, struct expr *r,
                      struct expr **out)
{
    if (l && l->kind == EXPR_ROW && r->kind == EXPR_ROW && IsA(n->lexpr, RowExpr) &&
        IsA(n->rexpr, RowExpr)) {
        TRY(row_lengths(s, l, r, n->location));
        return row_compare_make(s, n->name, l->args, r->args, l->arg_count, n->location, out);
    }
    return operator_make(s, n->name, l, r, n->location, out);
}

static bool is_row_subquery(const A_Expr *n)
{
    return n->lexpr && n->rexpr && IsA(n->lexpr, RowExpr) && IsA(n->rexpr, SubLink) &&
           ((const SubLink *)n->rexpr)->subLinkType == EXPR_SUBLINK;
}

static bool is_plain_op(const Node *n)
{
    return n && IsA(n, A_Expr) && ((const A_Expr *)n)->kind == AEXPR_OP;
}

/* a + b + c ... leans to the left: its spine is walked in a loop, so that long sums and
 * concatenations need no stack here. */
static SUSPENDS err_t transform_plain_op_wait(struct scope *s, const A_Expr *n, struct expr **out)
{
    uint32_t depth = 1;
    for (const A_Expr *e = n; is_plain_op(e->lexpr); e = (const A_Expr *)e->lexpr)
        depth++;
    const A_Expr **spine = ARENA_ARRAY(s->a->mem, const A_Expr *, depth);
    for (uint32_t i = depth; i-- > 0; n = (const A_Expr *)n->lexpr)
        spine[i] = n;
    struct expr *l = NULL;
    if (is_row_subquery(spine[0])) {
        SubLink row = *(const SubLink *)spine[0]->rexpr;
        row.subLinkType = ROWCOMPARE_SUBLINK;
        row.testexpr = spine[0]->lexpr;
        row.operName = spine[0]->name;
        row.location = spine[0]->location;
        TRY(transform_sublink_wait(s, &row, &l));
    } else if (spine[0]->lexpr) {
        TRY(transform_wait(s, spine[0]->lexpr, &l));
    }
    for (uint32_t i = 0; i < depth; i++) {
        if (i == 0 && is_row_subquery(spine[0]))
            continue;
        struct expr *r;
        if (!spine[i]->rexpr)
            return analyze_at(s->a, spine[i]->location,
                              err_raise(ERR_SYNTAX_ERROR, "postfix operators are not supported"));
        TRY(transform_wait(s, spine[i]->rexpr, &r));
        TRY(plain_op(s, spine[i], l, r, &l));
    }
    *out = l;
    return ERR_OK;
}

SUSPENDS err_t transform_op_wait(struct scope *s, const A_Expr *n, struct expr **out)
{
    switch (n->kind) {
    case AEXPR_OP_ANY:
    case AEXPR_OP_ALL:
        return transform_array_op_wait(s, n, out);
    case AEXPR_DISTINCT:
        return transform_distinct_wait(s, n, false, out);
    case AEXPR_NOT_DISTINCT:
        return transform_distinct_wait(s, n, true, out);
    case AEXPR_NULLIF:
        return transform_nullif_wait(s, n, out);
    case AEXPR_IN:
        return transform_in_wait(s, n, out);
    case AEXPR_BETWEEN:
    case AEXPR_NOT_BETWEEN:
    case AEXPR_BETWEEN_SYM:
    case AEXPR_NOT_BETWEEN_SYM:
        return transform_between_wait(s, n, out);
    case AEXPR_OP:
    case AEXPR_LIKE:
    case AEXPR_ILIKE:
    case AEXPR_SIMILAR:
        break;
    }
    return transform_plain_op_wait(s, n, out);
}
