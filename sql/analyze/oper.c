/* Operators: finding the one that is meant and making its call. */
#include "sql/analyze/analyze_priv.h"

const struct func *func_of_operator(const struct operator_info *op)
{
    return func_find(op->function);
}

static const char *operator_signature(struct scope *s, const char *name, oid left, oid right)
{
    if (left == OID_NONE)
        return arena_printf(s->a->mem, "%s %s", name, analyze_type_text(s->a, right));
    return arena_printf(s->a->mem, "%s %s %s", analyze_type_text(s->a, left), name,
                        analyze_type_text(s->a, right));
}

static COLD err_t operator_error(struct scope *s, const char *name, oid left, oid right,
                                 bool ambiguous, int32_t location)
{
    const char *signature = operator_signature(s, name, left, right);
    err_t e;
    if (ambiguous) {
        e = err_raise(ERR_AMBIGUOUS_FUNCTION, "operator is not unique: %s", signature);
        err_hint("Could not choose a best candidate operator. You might need to add explicit type "
                 "casts.");
    } else {
        e = err_raise(ERR_UNDEFINED_FUNCTION, "operator does not exist: %s", signature);
        if (left == OID_NONE)
            err_hint("No operator matches the given name and argument type. You might need to add "
                     "an explicit type cast.");
        else
            err_hint("No operator matches the given name and argument types. You might need to "
                     "add explicit type casts.");
    }
    return analyze_at(s->a, location, e);
}

static const struct operator_info *operator_exact(const struct operator_info *const *list,
                                                  uint32_t count, oid left, oid right)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i]->left == left && list[i]->right == right)
            return list[i];
    }
    return NULL;
}

static const struct operator_info *operator_select(struct scope *s,
                                                   const struct operator_info *const *list,
                                                   uint32_t count, oid left, oid right,
                                                   bool *ambiguous)
{
    uint32_t args = left == OID_NONE ? 1 : 2;
    oid types[2] = {left == OID_NONE ? right : left, right};
    struct candidate *candidates = NULL;
    struct arena_mark mark = arena_mark(s->a->mem);
    for (uint32_t i = count; i-- > 0;) {
        const struct operator_info *op = list[i];
        if ((op->left == OID_NONE) != (left == OID_NONE))
            continue;
        struct candidate *c = ARENA_NEW(s->a->mem, struct candidate);
        oid *declared = ARENA_ARRAY(s->a->mem, oid, 2);
        declared[0] = left == OID_NONE ? op->right : op->left;
        declared[1] = op->right;
        c->op = op;
        c->args = declared;
        c->arg_count = args;
        c->next = candidates;
        candidates = c;
    }
    uint32_t matches;
    candidates = candidates_match(candidates, types, args, &matches);
    if (matches > 1) {
        candidates = candidates_select(candidates, types, args);
        *ambiguous = candidates == NULL;
    }
    const struct operator_info *found = candidates ? candidates->op : NULL;
    arena_rewind(s->a->mem, mark);
    return found;
}

err_t operator_resolve_name(struct scope *s, const char *name, oid left, oid right, bool missing_ok,
                            int32_t location, const struct operator_info **out)
{
    uint32_t count;
    const struct operator_info *const *list = operator_find_name(name, &count);
    bool ambiguous = false;
    oid l = left;
    oid r = right;
    /* One side of unknown type: first the other side's type is tried for it. */
    if (left != OID_NONE && l == TYPE_UNKNOWN && r != TYPE_UNKNOWN)
        l = r;
    else if (left != OID_NONE && r == TYPE_UNKNOWN && l != TYPE_UNKNOWN)
        r = l;
    *out = list ? operator_exact(list, count, l, r) : NULL;
    if (!*out && list)
        *out = operator_select(s, list, count, left, right, &ambiguous);
    if (!*out && !missing_ok)
        return operator_error(s, name, left, right, ambiguous, location);
    return ERR_OK;
}

static err_t operator_name(struct scope *s, const List *opname, int32_t location, const char **out)
{
    int n = list_length(opname);
    *out = list_string(opname, n - 1);
    if (n > 1 && strcmp(list_string(opname, n - 2), "pg_catalog") != 0)
        return analyze_at(s->a, location,
                          err_raise(ERR_UNDEFINED_FUNCTION, "operator does not exist: %s.%s",
                                    list_string(opname, n - 2), *out));
    return ERR_OK;
}

err_t operator_resolve(struct scope *s, const List *opname, oid left, oid right, bool missing_ok,
                       int32_t location, const struct operator_info **out)
{
    const char *name;
    TRY(operator_name(s, opname, location, &name));
    return operator_resolve_name(s, name, left, right, missing_ok, location, out);
}

static err_t operator_call(struct scope *s, const struct operator_info *op, struct expr *left,
                           struct expr *right, int32_t location, struct expr **out)
{
    struct arena *mem = s->a->mem;
    uint32_t count = left ? 2 : 1;
    struct expr **args = ARENA_ARRAY(mem, struct expr *, count);
    oid actual[2];
    oid declared[2];
    args[0] = left ? left : right;
    args[count - 1] = right;
    declared[0] = left ? op->left : op->right;
    declared[count - 1] = op->right;
    for (uint32_t i = 0; i < count; i++)
        actual[i] = args[i]->type;
    oid result;
    err_t e = coerce_enforce_generic(s, actual, declared, count, op->result, false, &result);
    if (e != ERR_OK)
        return analyze_at(s->a, location, e);
    for (uint32_t i = 0; i < count; i++)
        TRY(coerce_type(s, args[i], declared[i], -1, COERCE_BY_CONTEXT, false, -1, &args[i]));
    const struct func *func = func_of_operator(op);
    if (!func)
        return analyze_at(s->a, location,
                          err_not_built("operator %s is not supported yet",
                                        operator_signature(s, op->name, op->left, op->right)));
    struct expr *r = expr_new(mem, EXPR_CALL, result, -1);
    r->func = func;
    r->from_operator = true;
    r->oper_oid = op->oid;
    r->args = args;
    r->arg_count = count;
    r->location = location;
    collation_of_args(r);
    if (func->returns_set)
        s->query->has_set_functions = true;
    *out = r;
    return ERR_OK;
}

err_t operator_make_named(struct scope *s, const char *name, struct expr *left, struct expr *right,
                          int32_t location, struct expr **out)
{
    const struct operator_info *op;
    TRY(operator_resolve_name(s, name, left ? left->type : OID_NONE, right->type, false, location,
                              &op));
    return operator_call(s, op, left, right, location, out);
}

err_t operator_make(struct scope *s, const List *opname, struct expr *left, struct expr *right,
                    int32_t location, struct expr **out)
{
    const char *name;
    TRY(operator_name(s, opname, location, &name));
    return operator_make_named(s, name, left, right, location, out);
}

err_t operator_make_array(struct scope *s, const List *opname, bool is_any, struct expr *left,
                          struct expr *right, int32_t location, struct expr **out)
{
    const char *name;
    TRY(operator_name(s, opname, location, &name));
    oid element = TYPE_UNKNOWN;
    if (right->type != TYPE_UNKNOWN) {
        element = type_element(right->type);
        if (element == OID_NONE)
            return analyze_at(s->a, location,
                              err_raise(ERR_WRONG_OBJECT_TYPE,
                                        "op ANY/ALL (array) requires array on right side"));
    }
    const struct operator_info *op;
    TRY(operator_resolve_name(s, name, left->type, element, false, location, &op));
    oid actual[2] = {left->type, element};
    oid declared[2] = {op->left, op->right};
    oid result;
    TRY(coerce_enforce_generic(s, actual, declared, 2, op->result, false, &result));
    if (result != TYPE_BOOL)
        return analyze_at(s->a, location,
                          err_raise(ERR_WRONG_OBJECT_TYPE,
                                    "op ANY/ALL (array) requires operator to yield boolean"));
    const struct func *func = func_of_operator(op);
    if (!func || func->returns_set)
        return analyze_at(s->a, location,
                          err_raise(ERR_WRONG_OBJECT_TYPE,
                                    "op ANY/ALL (array) requires operator not to return a set"));
    oid array = type_array(declared[1]);
    if (array == OID_NONE)
        return analyze_at(s->a, location,
                          err_raise(ERR_UNDEFINED_OBJECT,
                                    "could not find array type for data type %s",
                                    analyze_type_text(s->a, declared[1])));
    struct expr *r = expr_new(s->a->mem, EXPR_ANY_ALL, TYPE_BOOL, -1);
    r->args = ARENA_ARRAY(s->a->mem, struct expr *, 2);
    r->arg_count = 2;
    r->func = func;
    r->oper_oid = op->oid;
    r->negated = !is_any;
    r->location = location;
    TRY(coerce_type(s, left, declared[0], -1, COERCE_BY_CONTEXT, false, -1, &r->args[0]));
    TRY(coerce_type(s, right, array, -1, COERCE_BY_CONTEXT, false, -1, &r->args[1]));
    collation_of_args(r);
    *out = r;
    return ERR_OK;
}

/* ---- orders ---- */

static oid ordering_member(const char *name, oid type, int strategy)
{
    uint32_t count;
    const struct operator_info *const *list = operator_find_name(name, &count);
    if (!list)
        return OID_NONE;
    const struct operator_info *op = operator_exact(list, count, type, type);
    return op && operator_strategy(op->oid) == strategy ? op->oid : OID_NONE;
}

/* Arrays are ordered when their elements are. */
static void array_ordering(oid element, oid *less, oid *equal, oid *greater)
{
    oid e_less;
    oid e_equal;
    oid e_greater;
    operator_ordering(element, &e_less, &e_equal, &e_greater);
    *less = e_less ? ordering_member("<", TYPE_ANYARRAY, 1) : OID_NONE;
    *equal = e_equal ? ordering_member("=", TYPE_ANYARRAY, 3) : OID_NONE;
    *greater = e_less ? ordering_member(">", TYPE_ANYARRAY, 5) : OID_NONE;
}

void operator_ordering(oid type, oid *less, oid *equal, oid *greater)
{
    oid by = type;
    switch (type) {
    case TYPE_VARCHAR:
    case TYPE_UNKNOWN:
        by = TYPE_TEXT;
        break;
    case TYPE_REGPROC:
    case TYPE_REGPROCEDURE:
    case TYPE_REGOPER:
    case TYPE_REGOPERATOR:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGCONFIG:
    case TYPE_REGDICTIONARY:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGCOLLATION:
        by = TYPE_OID;
        break;
    case TYPE_CIDR:
        by = TYPE_INET;
        break;
    default:
        break;
    }
    if (type_is_row(by))
        by = TYPE_RECORD;
    *less = ordering_member("<", by, 1);
    *equal = ordering_member("=", by, 3);
    *greater = ordering_member(">", by, 5);
    if (*less == OID_NONE && type_element(by) != OID_NONE) {
        array_ordering(type_element(by), less, equal, greater);
        return;
    }
    if (*equal == OID_NONE) { /* hashable types without an order */
        uint32_t count;
        const struct operator_info *const *list = operator_find_name("=", &count);
        const struct operator_info *op = list ? operator_exact(list, count, by, by) : NULL;
        if (op && op->can_hash)
            *equal = op->oid;
    }
}
