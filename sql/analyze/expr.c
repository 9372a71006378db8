/*
 * Expressions: raw nodes to struct expr with every type resolved. Operators are in expr_ops.c,
 * subqueries in sublink.c, calls in func.c.
 */
#include "sql/analyze/analyze_priv.h"

#include <errno.h>
#include <stdlib.h>

const char *place_name(enum place p)
{
    static const char *const names[] = {
        [PLACE_OTHER] = "expressions",
        [PLACE_JOIN_ON] = "JOIN/ON",
        [PLACE_FROM_SUBSELECT] = "sub-SELECT in FROM",
        [PLACE_FROM_FUNCTION] = "function in FROM",
        [PLACE_WHERE] = "WHERE",
        [PLACE_HAVING] = "HAVING",
        [PLACE_FILTER] = "FILTER",
        [PLACE_WINDOW_PARTITION] = "window PARTITION BY",
        [PLACE_WINDOW_ORDER] = "window ORDER BY",
        [PLACE_WINDOW_FRAME_RANGE] = "window RANGE",
        [PLACE_WINDOW_FRAME_ROWS] = "window ROWS",
        [PLACE_WINDOW_FRAME_GROUPS] = "window GROUPS",
        [PLACE_SELECT_TARGET] = "SELECT",
        [PLACE_INSERT_TARGET] = "INSERT",
        [PLACE_UPDATE_SOURCE] = "UPDATE",
        [PLACE_UPDATE_TARGET] = "UPDATE",
        [PLACE_GROUP_BY] = "GROUP BY",
        [PLACE_ORDER_BY] = "ORDER BY",
        [PLACE_DISTINCT_ON] = "DISTINCT ON",
        [PLACE_LIMIT] = "LIMIT",
        [PLACE_OFFSET] = "OFFSET",
        [PLACE_RETURNING] = "RETURNING",
        [PLACE_VALUES] = "VALUES",
        [PLACE_VALUES_SINGLE] = "VALUES",
        [PLACE_CHECK] = "check constraints",
        [PLACE_COLUMN_DEFAULT] = "DEFAULT expressions",
        [PLACE_INDEX_EXPRESSION] = "index expressions",
        [PLACE_INDEX_PREDICATE] = "index predicates",
        [PLACE_EXECUTE] = "EXECUTE parameters",
        [PLACE_COPY_WHERE] = "COPY FROM WHERE conditions",
        [PLACE_CALL_ARGUMENT] = "CALL arguments",
    };
    return names[p];
}

/* ---- constants and parameters ---- */

static struct expr *unknown_text(struct scope *s, const char *text, int32_t location)
{
    struct expr *e = expr_const(s->a->mem, TYPE_UNKNOWN, -1, datum_of_text(s->a->mem, text), false);
    e->location = location;
    return e;
}

static err_t const_number(struct scope *s, const char *text, int32_t location, struct expr **out)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno == 0 && *end == '\0') {
        /* The one int4 that the grammar cannot give as an integer is -2147483648. */
        *out = v == INT32_MIN ? expr_const(s->a->mem, TYPE_INT4, -1, datum_of_i32(INT32_MIN), false)
                              : expr_const(s->a->mem, TYPE_INT8, -1, datum_of_i64(v), false);
        (*out)->location = location;
        return ERR_OK;
    }
    struct expr *literal = unknown_text(s, text, location);
    return coerce_unknown_literal(s, literal, TYPE_NUMERIC, -1, out);
}

static err_t transform_const(struct scope *s, const A_Const *n, struct expr **out)
{
    struct arena *mem = s->a->mem;
    if (n->isnull) {
        *out = expr_const(mem, TYPE_UNKNOWN, -1, 0, true);
    } else {
        switch (nodeTag(&n->val)) {
        case T_Integer:
            *out = expr_const(mem, TYPE_INT4, -1, datum_of_i32(n->val.ival.ival), false);
            break;
        case T_Float:
            return const_number(s, n->val.fval.fval, n->location, out);
        case T_Boolean:
            *out = expr_const(mem, TYPE_BOOL, -1, datum_of_bool(n->val.boolval.boolval), false);
            break;
        case T_String:
            *out = unknown_text(s, n->val.sval.sval, n->location);
            break;
        case T_BitString: {
            const struct type_info *bit = type_find(TYPE_BIT);
            if (!bit || !bit->input)
                return analyze_at(s->a, n->location,
                                  err_not_built("bit strings are not supported yet"));
            struct expr *literal = unknown_text(s, n->val.bsval.bsval, n->location);
            return coerce_unknown_literal(s, literal, TYPE_BIT, -1, out);
        }
        default:
            return err_raise(ERR_INTERNAL_ERROR, "unrecognized constant");
        }
    }
    (*out)->location = n->location;
    return ERR_OK;
}

static err_t transform_param(struct scope *s, const ParamRef *n, struct expr **out)
{
    enum { PARAMS_MAX = 65535 };
    struct analysis *a = s->a;
    if (n->number <= 0 || n->number > PARAMS_MAX ||
        (a->params_fixed && (uint32_t)n->number > a->param_count))
        return analyze_at(
            a, n->location,
            err_raise(ERR_UNDEFINED_PARAMETER, "there is no parameter $%d", n->number));
    uint32_t number = (uint32_t)n->number;
    if (number > a->param_capacity) {
        uint32_t capacity = MAX(number, a->param_capacity * 2);
        oid *types = ARENA_ARRAY(a->mem, oid, capacity);
        if (a->param_count)
            memcpy(types, a->param_types, sizeof(*types) * a->param_count);
        a->param_types = types;
        a->param_capacity = capacity;
    }
    if (number > a->param_count)
        a->param_count = number;
    oid type = a->param_types[number - 1];
    if (type == OID_NONE) {
        if (a->params_fixed)
            return analyze_at(
                a, n->location,
                err_raise(ERR_UNDEFINED_PARAMETER, "there is no parameter $%u", number));
        type = TYPE_UNKNOWN;
        a->param_types[number - 1] = TYPE_UNKNOWN;
    }
    if (!type_find(type)) /* a client may say any number */
        return err_raise(ERR_INTERNAL_ERROR, "cache lookup failed for type %u", type);
    struct expr *e = expr_new(a->mem, EXPR_PARAM, type, -1);
    e->param = number;
    e->location = n->location;
    e->collation = type_collation(type);
    struct param_ref *ref = ARENA_NEW(a->mem, struct param_ref);
    ref->expr = e;
    ref->next = a->param_refs;
    a->param_refs = ref;
    *out = e;
    return ERR_OK;
}

/* ---- casts ---- */

static SUSPENDS err_t transform_array_wait(struct scope *s, const A_ArrayExpr *n, oid array_type,
                                           oid element, int32_t typmod, struct expr **out);

static SUSPENDS err_t transform_cast_wait(struct scope *s, const TypeCast *n, struct expr **out)
{
    oid type;
    int32_t typmod;
    TRY(analyze_type_name_wait(s->a, n->typeName, &type, &typmod));
    if (n->typeName->setof)
        return analyze_at(s->a, n->location, err_raise(ERR_SYNTAX_ERROR, "cannot cast to a set"));
    struct expr *arg;
    if (IsA(n->arg, A_ArrayExpr) && type_element(type) != OID_NONE)
        TRY(transform_array_wait(s, (const A_ArrayExpr *)n->arg, type, type_element(type), typmod,
                                 &arg));
    else
        TRY(transform_wait(s, n->arg, &arg));
    ASSUME(arg != NULL);
    int32_t location = n->location >= 0 ? n->location : n->typeName->location;
    TRY(coerce_to_target(s, arg, type, typmod, COERCE_BY_CAST, true, location, out));
    if (!*out)
        return analyze_at(s->a, location >= 0 ? location : expr_location(arg),
                          err_raise(ERR_CANNOT_COERCE, "cannot cast type %s to %s",
                                    analyze_type_text(s->a, arg->type),
                                    analyze_type_text(s->a, type)));
    return ERR_OK;
}

static SUSPENDS err_t transform_collate_wait(struct scope *s, const CollateClause *n,
                                             struct expr **out)
{
    struct expr *arg;
    oid collation;
    TRY(transform_wait(s, n->arg, &arg));
    ASSUME(arg != NULL);
    if (type_collation(arg->type) == OID_NONE && arg->type != TYPE_UNKNOWN)
        return analyze_at(s->a, n->location,
                          err_raise(ERR_DATATYPE_MISMATCH,
                                    "collations are not supported by type %s",
                                    analyze_type_text(s->a, arg->type)));
    TRY(analyze_collation_wait(s->a, n->collname, n->location, &collation));
    if (coerce_is_unknown_literal(arg))
        TRY(coerce_type(s, arg, TYPE_TEXT, -1, COERCE_BY_CONTEXT, false, -1, &arg));
    struct expr *e = expr_new(s->a->mem, EXPR_RELABEL, arg->type, arg->typmod);
    e->args = ARENA_ARRAY(s->a->mem, struct expr *, 1);
    e->args[0] = arg;
    e->arg_count = 1;
    e->op = 'c';
    e->is_explicit_cast = true;
    e->collation = collation;
    e->location = n->location;
    *out = e;
    return ERR_OK;
}

/* ---- boolean ---- */

struct expr *expr_bool(struct scope *s, enum expr_kind kind, struct expr **args, uint32_t count,
                       int32_t location)
{
    struct expr *e = expr_new(s->a->mem, kind, TYPE_BOOL, -1);
    e->args = args;
    e->arg_count = count;
    e->location = location;
    return e;
}

static SUSPENDS err_t transform_bool_wait(struct scope *s, const BoolExpr *n, struct expr **out)
{
    const char *name = n->boolop == AND_EXPR ? "AND" : n->boolop == OR_EXPR ? "OR" : "NOT";
    enum expr_kind kind = n->boolop == AND_EXPR  ? EXPR_AND
                          : n->boolop == OR_EXPR ? EXPR_OR
                                                 : EXPR_NOT;
    uint32_t count = (uint32_t)list_length(n->args);
    struct expr **args = ARENA_ARRAY(s->a->mem, struct expr *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct expr *arg;
        TRY(transform_wait(s, list_nth(n->args, (int)i), &arg));
        TRY(coerce_to_boolean(s, arg, name, &args[i]));
    }
    *out = expr_bool(s, kind, args, count, n->location);
    return ERR_OK;
}

static SUSPENDS err_t transform_null_test_wait(struct scope *s, const NullTest *n,
                                               struct expr **out)
{
    struct expr **args = ARENA_ARRAY(s->a->mem, struct expr *, 1);
    TRY(transform_wait(s, n->arg, &args[0]));
    ASSUME(args[0] != NULL);
    if (args[0]->type == TYPE_UNKNOWN && args[0]->kind != EXPR_PARAM)
        TRY(coerce_type(s, args[0], TYPE_TEXT, -1, COERCE_BY_CONTEXT, false, -1, &args[0]));
    *out = expr_bool(s, EXPR_IS_NULL, args, 1, n->location);
    (*out)->negated = n->nulltesttype == IS_NOT_NULL;
    return ERR_OK;
}

static SUSPENDS err_t transform_bool_test_wait(struct scope *s, const BooleanTest *n,
                                               struct expr **out)
{
    static const struct {
        const char *name;
        char op;
        bool negated;
    } tests[] = {
        [IS_TRUE] = {"IS TRUE", 't', false},       [IS_NOT_TRUE] = {"IS NOT TRUE", 't', true},
        [IS_FALSE] = {"IS FALSE", 'f', false},     [IS_NOT_FALSE] = {"IS NOT FALSE", 'f', true},
        [IS_UNKNOWN] = {"IS UNKNOWN", 'u', false}, [IS_NOT_UNKNOWN] = {"IS NOT UNKNOWN", 'u', true},
    };
    struct expr **args = ARENA_ARRAY(s->a->mem, struct expr *, 1);
    struct expr *arg;
    TRY(transform_wait(s, n->arg, &arg));
    TRY(coerce_to_boolean(s, arg, tests[n->booltesttype].name, &args[0]));
    *out = expr_bool(s, EXPR_IS_BOOL, args, 1, n->location);
    (*out)->op = (uint8_t)tests[n->booltesttype].op;
    (*out)->negated = tests[n->booltesttype].negated;
    return ERR_OK;
}

/* ---- conditionals ---- */

static SUSPENDS err_t case_operand_wait(struct scope *s, const CaseExpr *n, struct expr *e,
                                        struct expr **placeholder)
{
    *placeholder = NULL;
    if (!n->arg)
        return ERR_OK;
    struct expr *arg;
    TRY(transform_wait(s, n->arg, &arg));
    ASSUME(arg != NULL);
    if (arg->type == TYPE_UNKNOWN)
        TRY(coerce_to_common(s, arg, TYPE_TEXT, "CASE", &arg));
    e->cases.operand = arg;
    *placeholder = expr_new(s->a->mem, EXPR_CASE_VALUE, arg->type, arg->typmod);
    (*placeholder)->collation = arg->collation;
    (*placeholder)->location = expr_location(arg);
    return ERR_OK;
}

static SUSPENDS err_t transform_case_wait(struct scope *s, const CaseExpr *n, struct expr **out)
{
    struct arena *mem = s->a->mem;
    struct expr *e = expr_new(mem, EXPR_CASE, OID_NONE, -1);
    e->location = n->location;
    struct expr *placeholder;
    TRY(case_operand_wait(s, n, e, &placeholder));
    uint32_t count = (uint32_t)list_length(n->args);
    e->cases.when_count = count;
    e->cases.whens = ARENA_ARRAY(mem, struct case_when, count + 1);
    struct expr **results = ARENA_ARRAY(mem, struct expr *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const CaseWhen *w = list_nth(n->args, (int)i);
        struct expr *condition;
        TRY(transform_wait(s, w->expr, &condition));
        if (placeholder)
            TRY(operator_make_named(s, "=", placeholder, condition, w->location, &condition));
        TRY(coerce_to_boolean(s, condition, "CASE/WHEN", &e->cases.whens[i].condition));
        TRY(transform_wait(s, w->result, &results[i + 1]));
    }
    if (n->defresult)
        TRY(transform_wait(s, n->defresult, &results[0]));
    else
        results[0] = expr_const(mem, TYPE_UNKNOWN, -1, 0, true);
    TRY(coerce_common_type(s, results, count + 1, "CASE", &e->type));
    for (uint32_t i = 0; i < count; i++)
        TRY(coerce_to_common(s, results[i + 1], e->type, "CASE/WHEN", &e->cases.whens[i].result));
    TRY(coerce_to_common(s, results[0], e->type, "CASE/ELSE", &e->cases.otherwise));
    if (!n->defresult) {
        e->typmod = count ? e->cases.whens[0].result->typmod : -1;
        e->cases.otherwise = NULL;
    } else {
        e->typmod = e->cases.otherwise->typmod;
    }
    e->collation = type_collation(e->type);
    for (uint32_t i = 0; i < count; i++) {
        const struct expr *r = e->cases.whens[i].result;
        if (r->typmod != e->typmod)
            e->typmod = -1;
        if (e->collation != OID_NONE && r->collation != OID_NONE && i == 0)
            e->collation = r->collation;
    }
    *out = e;
    return ERR_OK;
}

static SUSPENDS err_t transform_common_wait(struct scope *s, const List *list, enum expr_kind kind,
                                            const char *name, int32_t location, struct expr **out)
{
    struct arena *mem = s->a->mem;
    uint32_t count = (uint32_t)list_length(list);
    struct expr *e = expr_new(mem, kind, OID_NONE, -1);
    e->args = ARENA_ARRAY(mem, struct expr *, count + 1);
    e->arg_count = count;
    e->location = location;
    for (uint32_t i = 0; i < count; i++)
        TRY(transform_wait(s, list_nth(list, (int)i), &e->args[i]));
    TRY(coerce_common_type(s, e->args, count, name, &e->type));
    for (uint32_t i = 0; i < count; i++)
        TRY(coerce_to_common(s, e->args[i], e->type, name, &e->args[i]));
    e->typmod = coerce_common_typmod(e->args, count, e->type);
    collation_of_args(e);
    *out = e;
    return ERR_OK;
}

static SUSPENDS err_t transform_min_max_wait(struct scope *s, const MinMaxExpr *n,
                                             struct expr **out)
{
    bool least = n->op == IS_LEAST;
    TRY(transform_common_wait(s, n->args, EXPR_MIN_MAX, least ? "LEAST" : "GREATEST", n->location,
                              out));
    (*out)->negated = least;
    oid less;
    oid equal;
    oid greater;
    operator_ordering((*out)->type, &less, &equal, &greater);
    if (less == OID_NONE)
        return analyze_at(s->a, n->location,
                          err_raise(ERR_UNDEFINED_FUNCTION,
                                    "could not identify a comparison function for type %s",
                                    analyze_type_text(s->a, (*out)->type)));
    return ERR_OK;
}

/* ---- arrays and rows ---- */

static SUSPENDS err_t array_elements_wait(struct scope *s, const A_ArrayExpr *n, oid array_type,
                                          oid element, int32_t typmod, struct expr **args,
                                          bool *nested)
{
    uint32_t count = (uint32_t)list_length(n->elements);
    *nested = false;
    for (uint32_t i = 0; i < count; i++) {
        const Node *node = list_nth(n->elements, (int)i);
        if (IsA(node, A_ArrayExpr)) {
            TRY(transform_array_wait(s, (const A_ArrayExpr *)node, array_type, element, typmod,
                                     &args[i]));
            *nested = true;
        } else {
            TRY(transform_wait(s, node, &args[i]));
            oid type = args[i]->type; /* the vectors are values here, not arrays */
            if (type_element(type) != OID_NONE && type != TYPE_INT2VECTOR && type != TYPE_OIDVECTOR)
                *nested = true;
        }
    }
    return ERR_OK;
}

static SUSPENDS err_t transform_array_wait(struct scope *s, const A_ArrayExpr *n, oid array_type,
                                           oid element, int32_t typmod, struct expr **out)
{
    TRY(fiber_check_stack());
    struct arena *mem = s->a->mem;
    uint32_t count = (uint32_t)list_length(n->elements);
    struct expr **args = ARENA_ARRAY(mem, struct expr *, count + 1);
    bool nested;
    bool hard = array_type != OID_NONE;
    TRY(array_elements_wait(s, n, array_type, element, typmod, args, &nested));
    oid wanted;
    oid result;
    if (hard) {
        wanted = nested ? array_type : element;
        result = array_type;
    } else {
        if (count == 0) {
            err_t e = err_raise(ERR_INDETERMINATE_DATATYPE, "cannot determine type of empty array");
            err_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].");
            return analyze_at(s->a, n->location, e);
        }
        TRY(coerce_common_type(s, args, count, "ARRAY", &wanted));
        result = nested ? wanted : type_array(wanted);
        if (result == OID_NONE)
            return analyze_at(s->a, n->location,
                              err_raise(ERR_UNDEFINED_OBJECT,
                                        "could not find array type for data type %s",
                                        analyze_type_text(s->a, wanted)));
    }
    struct expr *e = expr_new(mem, EXPR_ARRAY, result, -1);
    for (uint32_t i = 0; i < count; i++) {
        struct expr *arg = args[i];
        if (hard) {
            TRY(coerce_to_target(s, arg, wanted, typmod, COERCE_BY_CAST, true, -1, &args[i]));
            if (!args[i])
                return analyze_at(s->a, expr_location(arg),
                                  err_raise(ERR_CANNOT_COERCE, "cannot cast type %s to %s",
                                            analyze_type_text(s->a, arg->type),
                                            analyze_type_text(s->a, wanted)));
        } else {
            TRY(coerce_to_common(s, arg, wanted, "ARRAY", &args[i]));
        }
    }
    e->args = args;
    e->arg_count = count;
    e->typmod = hard ? typmod : coerce_common_typmod(args, count, wanted);
    e->location = n->location;
    collation_of_args(e);
    *out = e;
    return ERR_OK;
}

static SUSPENDS err_t transform_row_wait(struct scope *s, const RowExpr *n, struct expr **out)
{
    struct expr *e = expr_new(s->a->mem, EXPR_ROW, TYPE_RECORD, -1);
    TRY(target_exprs_wait(s, n->args, s->place, false, &e->args, &e->arg_count));
    e->location = n->location;
    e->is_explicit_cast = n->row_format == COERCE_EXPLICIT_CALL;
    *out = e;
    return ERR_OK;
}

static SUSPENDS err_t subscript_index_wait(struct scope *s, const Node *node, struct expr **out)
{
    struct expr *at;
    TRY(transform_wait(s, node, &at));
    TRY(coerce_to_target(s, at, TYPE_INT4, -1, COERCE_BY_ASSIGNMENT, false, -1, out));
    if (!*out)
        return analyze_at(
            s->a, expr_location(at),
            err_raise(ERR_DATATYPE_MISMATCH, "array subscript must have type integer"));
    return ERR_OK;
}

/* Bounds of one dimension; [i] beside slices stands for [1:i]. */
static SUSPENDS err_t slice_bounds_wait(struct scope *s, const A_Indices *index, struct expr *e,
                                        uint32_t dimension)
{
    struct arena *mem = s->a->mem;
    for (uint32_t i = 0; i < 2; i++) {
        const Node *node = i == 0 ? index->lidx : index->uidx;
        struct expr **to = &e->args[1 + 2 * dimension + i];
        if (node) {
            TRY(subscript_index_wait(s, node, to));
        } else if (!index->is_slice) {
            *to = expr_const(mem, TYPE_INT4, -1, datum_of_i32(1), false);
        } else {
            *to = expr_const(mem, TYPE_INT4, -1, 0, true);
            e->slice.omitted |= 1u << (2 * dimension + i);
        }
    }
    return ERR_OK;
}

static SUSPENDS err_t subscript_wait(struct scope *s, struct expr *base, const List *list,
                                     int first, int count, struct expr **out)
{
    oid element = base->type == TYPE_NAME ? (oid)TYPE_CHAR : type_element(base->type);
    bool is_slice = false;
    if (element == OID_NONE)
        return analyze_at(s->a, expr_location(base),
                          err_raise(ERR_DATATYPE_MISMATCH,
                                    "cannot subscript type %s because it does not support "
                                    "subscripting",
                                    analyze_type_text(s->a, base->type)));
    for (int i = 0; i < count; i++)
        is_slice = is_slice || ((const A_Indices *)list_nth(list, first + i))->is_slice;
    if (is_slice && base->type == TYPE_NAME)
        return analyze_at(
            s->a, expr_location(base),
            err_raise(ERR_FEATURE_NOT_SUPPORTED, "slices of fixed-length arrays not implemented"));
    if (count > 6)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                         "number of array dimensions (%d) exceeds the maximum allowed (6)", count);
    struct expr *e =
        expr_new(s->a->mem, EXPR_SUBSCRIPT, is_slice ? type_array(element) : element, base->typmod);
    e->op = is_slice ? 's' : 0;
    e->arg_count = (uint32_t)count * (is_slice ? 2 : 1) + 1;
    e->args = ARENA_ARRAY(s->a->mem, struct expr *, e->arg_count);
    e->args[0] = base;
    e->location = expr_location(base);
    for (int i = 0; i < count; i++) {
        const A_Indices *index = list_nth(list, first + i);
        if (is_slice)
            TRY(slice_bounds_wait(s, index, e, (uint32_t)i));
        else
            TRY(subscript_index_wait(s, index->uidx, &e->args[i + 1]));
    }
    e->collation = type_collation(element) ? base->collation : OID_NONE;
    *out = e;
    return ERR_OK;
}

/* (t).x of a whole row is the column; other composite values cannot be taken apart yet. */
static SUSPENDS err_t select_field_wait(struct scope *s, struct expr *base, const char *field,
                                        struct expr **out)
{
    struct scope *level = s;
    int32_t location = base->location;
    if (base->kind != EXPR_COLUMN || base->column.attno != COLUMN_WHOLE_ROW)
        return analyze_at(
            s->a, expr_location(base),
            err_not_built("selecting a field of a composite value is not supported yet"));
    for (uint32_t i = 0; i < base->column.levels_up; i++)
        level = level->parent;
    TRY(scope_item_column_wait(s, level->rte_items[base->column.rte], field, base->column.levels_up,
                               location, out));
    if (!*out)
        return analyze_at(s->a, location,
                          err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" not found in data type %s",
                                    field, base->column.name));
    return ERR_OK;
}

SUSPENDS err_t transform_indirection_wait(struct scope *s, struct expr *base, const List *list,
                                          struct expr **out)
{
    int n = list_length(list);
    for (int i = 0; i < n;) {
        const Node *node = list_nth(list, i);
        if (IsA(node, A_Indices)) {
            int count = 1;
            while (i + count < n && IsA(list_nth(list, i + count), A_Indices))
                count++;
            TRY(subscript_wait(s, base, list, i, count, &base));
            i += count;
            continue;
        }
        if (IsA(node, A_Star))
            return analyze_at(s->a, expr_location(base),
                              err_not_built("row expansion via \"*\" is not supported here"));
        if (!type_is_row(base->type) && base->type != TYPE_RECORD)
            return analyze_at(s->a, expr_location(base),
                              err_raise(ERR_WRONG_OBJECT_TYPE,
                                        "column notation .%s applied to type %s, which is not a "
                                        "composite type",
                                        node_string(node), analyze_type_text(s->a, base->type)));
        TRY(select_field_wait(s, base, node_string(node), &base));
        i++;
    }
    *out = base;
    return ERR_OK;
}

static SUSPENDS err_t transform_a_indirection_wait(struct scope *s, const A_Indirection *n,
                                                   struct expr **out)
{
    struct expr *base;
    TRY(transform_wait(s, n->arg, &base));
    return transform_indirection_wait(s, base, n->indirection, out);
}

/* ---- others ---- */

static err_t transform_sql_value(struct scope *s, const SQLValueFunction *n, struct expr **out)
{
    static const struct {
        enum sql_value value;
        oid type;
    } map[] = {
        [SVFOP_CURRENT_DATE] = {VALUE_CURRENT_DATE, TYPE_DATE},
        [SVFOP_CURRENT_TIME] = {VALUE_CURRENT_TIME, TYPE_TIMETZ},
        [SVFOP_CURRENT_TIME_N] = {VALUE_CURRENT_TIME, TYPE_TIMETZ},
        [SVFOP_CURRENT_TIMESTAMP] = {VALUE_CURRENT_TIMESTAMP, TYPE_TIMESTAMPTZ},
        [SVFOP_CURRENT_TIMESTAMP_N] = {VALUE_CURRENT_TIMESTAMP, TYPE_TIMESTAMPTZ},
        [SVFOP_LOCALTIME] = {VALUE_LOCALTIME, TYPE_TIME},
        [SVFOP_LOCALTIME_N] = {VALUE_LOCALTIME, TYPE_TIME},
        [SVFOP_LOCALTIMESTAMP] = {VALUE_LOCALTIMESTAMP, TYPE_TIMESTAMP},
        [SVFOP_LOCALTIMESTAMP_N] = {VALUE_LOCALTIMESTAMP, TYPE_TIMESTAMP},
        [SVFOP_CURRENT_ROLE] = {VALUE_CURRENT_USER, TYPE_NAME},
        [SVFOP_CURRENT_USER] = {VALUE_CURRENT_USER, TYPE_NAME},
        [SVFOP_USER] = {VALUE_CURRENT_USER, TYPE_NAME},
        [SVFOP_SESSION_USER] = {VALUE_SESSION_USER, TYPE_NAME},
        [SVFOP_CURRENT_CATALOG] = {VALUE_CURRENT_CATALOG, TYPE_NAME},
        [SVFOP_CURRENT_SCHEMA] = {VALUE_CURRENT_SCHEMA, TYPE_NAME},
    };
    struct expr *e = expr_new(s->a->mem, EXPR_SQL_VALUE, map[n->op].type, -1);
    e->op = (uint8_t)map[n->op].value;
    e->collation = type_collation(e->type);
    e->location = n->location;
    *out = e;
    if (n->typmod < 0)
        return ERR_OK;
    struct expr *t = expr_new(s->a->mem, EXPR_TYPMOD, e->type, MIN(n->typmod, 6));
    t->args = ARENA_ARRAY(s->a->mem, struct expr *, 1);
    t->args[0] = e;
    t->arg_count = 1;
    t->location = n->location;
    t->is_explicit_cast = true;
    *out = t;
    return ERR_OK;
}

static SUSPENDS err_t transform_grouping_wait(struct scope *s, const GroupingFunc *n,
                                              struct expr **out)
{
    if (list_length(n->args) > 31)
        return analyze_at(
            s->a, n->location,
            err_raise(ERR_TOO_MANY_ARGUMENTS, "GROUPING must have fewer than 32 arguments"));
    struct expr *e = expr_new(s->a->mem, EXPR_GROUPING, TYPE_INT4, -1);
    TRY(transform_list_wait(s, n->args, s->place, &e->args, &e->arg_count));
    e->location = n->location;
    s->query->has_aggregates = true;
    *out = e;
    return ERR_OK;
}

SUSPENDS err_t transform_func_call_wait(struct scope *s, const FuncCall *n, struct expr **out)
{
    struct arena *mem = s->a->mem;
    if (n->agg_within_group)
        return analyze_at(s->a, n->location,
                          err_not_built("ordered-set aggregates are not supported yet"));
    struct function_call call = {.name = n->funcname, .node = n, .location = n->location};
    call.arg_count = (uint32_t)list_length(n->args);
    call.args = ARENA_ARRAY(mem, struct expr *, call.arg_count + 1);
    call.arg_names = ARENA_ARRAY(mem, const char *, call.arg_count + 1);
    bool named = false;
    for (uint32_t i = 0; i < call.arg_count; i++) {
        const Node *arg = list_nth(n->args, (int)i);
        if (IsA(arg, NamedArgExpr)) {
            const NamedArgExpr *na = (const NamedArgExpr *)arg;
            for (uint32_t k = 0; k < i; k++) {
                if (call.arg_names[k] && strcmp(call.arg_names[k], na->name) == 0)
                    return analyze_at(s->a, na->location,
                                      err_raise(ERR_SYNTAX_ERROR,
                                                "argument name \"%s\" used more than once",
                                                na->name));
            }
            call.arg_names[i] = arena_strdup(mem, na->name);
            named = true;
            arg = (const Node *)na->arg;
        }
        TRY(transform_wait(s, arg, &call.args[i]));
        if (named && !call.arg_names[i])
            return analyze_at(
                s->a, expr_location(call.args[i]),
                err_raise(ERR_SYNTAX_ERROR, "positional argument cannot follow named argument"));
    }
    return function_make_wait(s, &call, out);
}

/* ---- dispatch ---- */

SUSPENDS err_t transform_wait(struct scope *s, const void *node, struct expr **out)
{
    const Node *n = node;
    TRY(fiber_check_stack());
    *out = NULL;
    switch (nodeTag(n)) {
    case T_ColumnRef:
        return scope_column_ref_wait(s, node, out);
    case T_ParamRef:
        return transform_param(s, node, out);
    case T_A_Const:
        return transform_const(s, node, out);
    case T_A_Indirection:
        return transform_a_indirection_wait(s, node, out);
    case T_A_ArrayExpr:
        return transform_array_wait(s, node, OID_NONE, OID_NONE, -1, out);
    case T_TypeCast:
        return transform_cast_wait(s, node, out);
    case T_CollateClause:
        return transform_collate_wait(s, node, out);
    case T_A_Expr:
        return transform_op_wait(s, node, out);
    case T_BoolExpr:
        return transform_bool_wait(s, node, out);
    case T_FuncCall:
        return transform_func_call_wait(s, node, out);
    case T_SubLink:
        return transform_sublink_wait(s, node, out);
    case T_CaseExpr:
        return transform_case_wait(s, node, out);
    case T_RowExpr:
        return transform_row_wait(s, node, out);
    case T_CoalesceExpr:
        return transform_common_wait(s, ((const CoalesceExpr *)node)->args, EXPR_COALESCE,
                                     "COALESCE", ((const CoalesceExpr *)node)->location, out);
    case T_MinMaxExpr:
        return transform_min_max_wait(s, node, out);
    case T_SQLValueFunction:
        return transform_sql_value(s, node, out);
    case T_NullTest:
        return transform_null_test_wait(s, node, out);
    case T_BooleanTest:
        return transform_bool_test_wait(s, node, out);
    case T_GroupingFunc:
        return transform_grouping_wait(s, node, out);
    case T_SetToDefault:
        return analyze_at(s->a, ((const SetToDefault *)node)->location,
                          err_raise(ERR_SYNTAX_ERROR, "DEFAULT is not allowed in this context"));
    case T_CurrentOfExpr:
        return err_not_built("WHERE CURRENT OF is not supported yet");
    case T_XmlExpr:
    case T_XmlSerialize:
        return err_not_built("XML is not supported yet");
    case T_MultiAssignRef:
        return err_not_built("source for a multiple-column UPDATE item must be a sub-SELECT or "
                             "ROW() expression");
    default:
        return err_raise(ERR_INTERNAL_ERROR, "unrecognized expression node %d", (int)nodeTag(n));
    }
}

SUSPENDS err_t analyze_expr_wait(struct scope *s, const void *node, enum place place,
                                 struct expr **out)
{
    enum place saved = s->place;
    s->place = place;
    err_t e = transform_wait(s, node, out);
    s->place = saved;
    return e;
}

SUSPENDS err_t analyze_condition_wait(struct scope *s, const void *node, enum place place,
                                      const char *construct, struct expr **out)
{
    *out = NULL;
    if (!node)
        return ERR_OK;
    struct expr *e;
    TRY(analyze_expr_wait(s, node, place, &e));
    return coerce_to_boolean(s, e, construct, out);
}

SUSPENDS err_t transform_list_wait(struct scope *s, const List *list, enum place place,
                                   struct expr ***out, uint32_t *count)
{
    *count = (uint32_t)list_length(list);
    *out = ARENA_ARRAY(s->a->mem, struct expr *, *count + 1);
    for (uint32_t i = 0; i < *count; i++)
        TRY(analyze_expr_wait(s, list_nth(list, (int)i), place, &(*out)[i]));
    return ERR_OK;
}
