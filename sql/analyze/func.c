/*
 * Function calls: candidates by name and argument count (named notation, defaults, VARIADIC), the
 * choice among them, casts in function form, and the call, aggregate or window node.
 */
#include "sql/analyze/analyze_priv.h"

/* ---- texts ---- */

static const char *function_name_text(struct arena *mem, const List *name)
{
    struct strbuf b;
    strbuf_init(&b, mem);
    for (int i = 0; i < list_length(name); i++) {
        if (i > 0)
            strbuf_putc(&b, '.');
        strbuf_puts(&b, list_string(name, i));
    }
    return b.data;
}

static const char *function_signature(struct scope *s, const struct function_call *call,
                                      uint32_t count)
{
    struct strbuf b;
    strbuf_init(&b, s->a->mem);
    strbuf_puts(&b, function_name_text(s->a->mem, call->name));
    strbuf_putc(&b, '(');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_puts(&b, ", ");
        if (call->arg_names && call->arg_names[i])
            strbuf_printf(&b, "%s => ", call->arg_names[i]);
        strbuf_puts(&b, analyze_type_text(s->a, call->args[i]->type));
    }
    strbuf_putc(&b, ')');
    return b.data;
}

static COLD err_t function_error(struct scope *s, const struct function_call *call, bool ambiguous)
{
    const char *signature = function_signature(s, call, call->arg_count);
    err_t e;
    if (ambiguous) {
        e = err_raise(ERR_AMBIGUOUS_FUNCTION, "function %s is not unique", signature);
        err_hint("Could not choose a best candidate function. You might need to add explicit type "
                 "casts.");
    } else {
        e = err_raise(ERR_UNDEFINED_FUNCTION, "function %s does not exist", signature);
        if (call->node && list_length(call->node->agg_order) > 1 && !call->node->agg_within_group)
            err_hint("No aggregate function matches the given name and argument types. Perhaps "
                     "you misplaced ORDER BY; ORDER BY must appear after all regular arguments of "
                     "the aggregate.");
        else
            err_hint("No function matches the given name and argument types. You might need to "
                     "add explicit type casts.");
    }
    return analyze_at(s->a, call->location, e);
}

/* ---- candidates ---- */

static struct candidate *candidate_new(struct scope *s, const struct func *f, uint32_t count)
{
    struct candidate *c = ARENA_NEW(s->a->mem, struct candidate);
    c->func = f;
    c->arg_count = count;
    return c;
}

static const char *function_arg_name(const struct func *f, uint32_t input)
{
    if (!f->arg_names)
        return NULL;
    if (!f->arg_modes)
        return f->arg_names[input];
    for (uint32_t i = 0, seen = 0; i < f->all_arg_count; i++) {
        char mode = f->arg_modes[i];
        if (mode != 'i' && mode != 'b' && mode != 'v')
            continue;
        if (seen++ == input)
            return f->arg_names[i];
    }
    return NULL;
}

/* Positions of named arguments; false when the names don't fit. */
static bool candidate_named(struct scope *s, const struct function_call *call, const struct func *f,
                            struct candidate **out)
{
    uint32_t n = (uint32_t)f->arg_count;
    uint32_t first_default = (uint32_t)(f->arg_count - f->default_count);
    if (call->arg_count > n)
        return false;
    int *order = ARENA_ARRAY(s->a->mem, int, n + 1);
    oid *args = ARENA_ARRAY(s->a->mem, oid, n + 1);
    for (uint32_t i = 0; i < n; i++)
        order[i] = -1;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        uint32_t at = i;
        if (call->arg_names[i]) {
            for (at = 0; at < n; at++) {
                const char *name = function_arg_name(f, at);
                if (name && strcmp(name, call->arg_names[i]) == 0)
                    break;
            }
            if (at == n || order[at] >= 0)
                return false;
        }
        order[at] = (int)i;
        args[i] = f->args[at];
    }
    for (uint32_t i = 0; i < n; i++) {
        if (order[i] < 0 && i < first_default)
            return false;
    }
    *out = candidate_new(s, f, call->arg_count);
    (*out)->args = args;
    (*out)->arg_order = order;
    (*out)->default_count = n - call->arg_count;
    return true;
}

static bool candidate_variadic(struct scope *s, const struct func *f, uint32_t count,
                               struct candidate **out)
{
    uint32_t plain = (uint32_t)f->arg_count - 1;
    if (f->variadic == OID_NONE || count < (uint32_t)f->arg_count)
        return false;
    oid *args = ARENA_ARRAY(s->a->mem, oid, count + 1);
    for (uint32_t i = 0; i < count; i++)
        args[i] = i < plain ? f->args[i] : f->variadic;
    *out = candidate_new(s, f, count);
    (*out)->args = args;
    (*out)->variadic_count = count - plain;
    return true;
}

static struct candidate *candidates_find(struct scope *s, const struct function_call *call,
                                         const char *name)
{
    uint32_t count;
    const struct func *const *list = func_find_name(name, &count);
    struct candidate *found = NULL;
    struct candidate **tail = &found;
    bool named = false;
    bool wants_variadic = call->node && call->node->func_variadic;
    for (uint32_t i = 0; i < call->arg_count && call->arg_names; i++)
        named |= call->arg_names[i] != NULL;
    for (uint32_t i = 0; list && i < count; i++) {
        const struct func *f = list[i];
        uint32_t n = (uint32_t)f->arg_count;
        struct candidate *c = NULL;
        if (named) {
            candidate_named(s, call, f, &c);
        } else if (!wants_variadic && candidate_variadic(s, f, call->arg_count, &c)) {
            /* gathered */
        } else if (n == call->arg_count ||
                   (n > call->arg_count && n - call->arg_count <= (uint32_t)f->default_count)) {
            c = candidate_new(s, f, call->arg_count);
            c->args = f->args;
            c->default_count = n - call->arg_count;
        }
        if (c) {
            *tail = c;
            tail = &c->next;
        }
    }
    return found;
}

/* ---- choice ---- */

static struct candidate *candidate_exact(struct candidate *list, const oid *types, uint32_t count)
{
    struct candidate *found = NULL;
    for (struct candidate *c = list; c; c = c->next) {
        if (count && memcmp(c->args, types, sizeof(oid) * count) != 0)
            continue;
        if (!found || (found->variadic_count && !c->variadic_count) ||
            (!c->variadic_count && c->default_count < found->default_count))
            found = c;
    }
    return found;
}

/* type(x) as a cast: literals, and coercions that have no function of that name. */
static bool function_is_cast(const struct function_call *call, const char *name, oid *target)
{
    if (call->arg_count != 1 || (call->arg_names && call->arg_names[0]))
        return false;
    const FuncCall *n = call->node;
    if (n && (n->agg_star || n->agg_distinct || n->agg_order || n->agg_filter || n->over ||
              n->func_variadic))
        return false;
    const struct type_info *t = type_find_name(name);
    if (!t || t->typtype == 'p')
        return false;
    *target = t->oid;
    oid source = call->args[0]->type;
    if (source == TYPE_UNKNOWN)
        return call->args[0]->kind == EXPR_CONST;
    if (coerce_is_binary(source, t->oid))
        return true;
    if (cast_find(source, t->oid) && cast_find(source, t->oid)->method == 'f')
        return false;
    if (!coerce_is_possible(1, &source, target, COERCE_BY_CAST))
        return false;
    return !(type_is_row(source) || source == TYPE_RECORD) || t->category != 'S';
}

static err_t function_pick(struct scope *s, const struct function_call *call, const char *name,
                           struct candidate **out, oid *cast_target)
{
    oid *types = ARENA_ARRAY(s->a->mem, oid, call->arg_count + 1);
    for (uint32_t i = 0; i < call->arg_count; i++)
        types[i] = call->args[i]->type;
    struct candidate *list = candidates_find(s, call, name);
    *cast_target = OID_NONE;
    *out = candidate_exact(list, types, call->arg_count);
    if (*out)
        return ERR_OK;
    oid target;
    if (function_is_cast(call, name, &target)) {
        *cast_target = target;
        return ERR_OK;
    }
    uint32_t matches;
    list = candidates_match(list, types, call->arg_count, &matches);
    if (matches > 1) {
        list = candidates_select(list, types, call->arg_count);
        if (!list)
            return function_error(s, call, true);
    }
    if (!list)
        return function_error(s, call, false);
    *out = list;
    return ERR_OK;
}

/* ---- arguments ---- */

/* Defaults are kept as SQL text of the last default_count arguments. */
static SUSPENDS err_t function_defaults_wait(struct scope *s, const struct func *f,
                                             struct expr ***out)
{
    if (!f->defaults)
        return err_not_built("default arguments of function %s are not supported yet", f->name);
    const char *text = arena_printf(s->a->mem, "SELECT %s", f->defaults);
    struct parsed *p;
    TRY(parse_text(text, s->a->mem, &p));
    const SelectStmt *select = p->statements[0].node;
    const char *saved = s->a->text;
    s->a->text = NULL;
    uint32_t count = (uint32_t)list_length(select->targetList);
    *out = ARENA_ARRAY(s->a->mem, struct expr *, count + 1);
    err_t e = ERR_OK;
    for (uint32_t i = 0; i < count && e == ERR_OK; i++) {
        const ResTarget *t = list_nth(select->targetList, (int)i);
        e = transform_wait(s, t->val, &(*out)[i]);
    }
    s->a->text = saved;
    parse_free(p);
    return e;
}

/* Arguments in declared order with defaults put in; types follows. */
static SUSPENDS err_t function_args_wait(struct scope *s, const struct function_call *call,
                                         const struct candidate *c, struct expr ***args,
                                         oid **declared, uint32_t *count)
{
    const struct func *f = c->func;
    uint32_t n = c->variadic_count ? call->arg_count : (uint32_t)f->arg_count;
    struct arena *mem = s->a->mem;
    *args = ARENA_ARRAY(mem, struct expr *, n + 1);
    *declared = ARENA_ARRAY(mem, oid, n + 1);
    *count = n;
    struct expr **defaults = NULL;
    if (c->default_count)
        TRY(function_defaults_wait(s, f, &defaults));
    for (uint32_t i = 0; i < n; i++) {
        int from = c->arg_order ? c->arg_order[i] : (i < call->arg_count ? (int)i : -1);
        (*declared)[i] = c->variadic_count ? c->args[i] : f->args[i];
        (*args)[i] = from >= 0 ? call->args[from]
                               : defaults[i - (uint32_t)(f->arg_count - f->default_count)];
    }
    return ERR_OK;
}

enum { FUNC_PG_TYPEOF = 1619 };

static err_t function_coerce_args(struct scope *s, const struct func *f, struct expr **args,
                                  const oid *declared, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        oid want = declared[i];
        if (want == TYPE_ANY && args[i]->type == TYPE_UNKNOWN && f->oid != FUNC_PG_TYPEOF &&
            (args[i]->kind == EXPR_CONST || args[i]->kind == EXPR_PARAM))
            want = TYPE_TEXT;
        TRY(coerce_type(s, args[i], want, -1, COERCE_BY_CONTEXT, false, -1, &args[i]));
    }
    return ERR_OK;
}

/* The gathered arguments become one array (except for VARIADIC "any"). */
static err_t function_gather(struct scope *s, const struct candidate *c, struct expr **args,
                             uint32_t *count)
{
    if (!c->variadic_count || c->func->variadic == TYPE_ANY)
        return ERR_OK;
    uint32_t first = *count - c->variadic_count;
    oid array = type_array(args[first]->type);
    if (array == OID_NONE)
        return err_raise(ERR_UNDEFINED_OBJECT, "could not find array type for data type %s",
                         analyze_type_text(s->a, args[first]->type));
    struct expr *a = expr_new(s->a->mem, EXPR_ARRAY, array, -1);
    a->args = arena_memdup(s->a->mem, &args[first], sizeof(*args) * c->variadic_count);
    a->arg_count = c->variadic_count;
    a->location = args[first]->location;
    collation_of_args(a);
    args[first] = a;
    *count = first + 1;
    return ERR_OK;
}

/* ---- nodes ---- */

static err_t function_check_set(struct scope *s, const struct func *f, int32_t location)
{
    switch (s->place) {
    case PLACE_OTHER:
    case PLACE_FROM_FUNCTION:
    case PLACE_SELECT_TARGET:
    case PLACE_INSERT_TARGET:
    case PLACE_GROUP_BY:
    case PLACE_ORDER_BY:
    case PLACE_DISTINCT_ON:
    case PLACE_VALUES_SINGLE:
    case PLACE_FROM_SUBSELECT:
        s->query->has_set_functions = true;
        return ERR_OK;
    case PLACE_VALUES:
        s->query->has_set_functions = true;
        return analyze_at(s->a, location,
                          err_not_built("set-returning functions in multi-row VALUES are not "
                                        "supported yet"));
    default:
        (void)f;
        return analyze_at(s->a, location,
                          err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                    "set-returning functions are not allowed in %s",
                                    place_name(s->place)));
    }
}

static SUSPENDS err_t aggregate_make_wait(struct scope *s, const struct function_call *call,
                                          struct expr *e)
{
    const FuncCall *n = call->node;
    e->kind = EXPR_AGGREGATE;
    if (!n)
        return aggregate_check(s, e, call->location);
    e->aggregate.star = n->agg_star;
    e->aggregate.distinct = n->agg_distinct;
    if (n->agg_filter)
        TRY(analyze_condition_wait(s, n->agg_filter, PLACE_FILTER, "FILTER", &e->aggregate.filter));
    if (n->agg_order)
        TRY(clause_order_wait(s, n->agg_order, PLACE_ORDER_BY, true, &e->aggregate.order,
                              &e->aggregate.order_count));
    if (n->agg_distinct) {
        for (uint32_t i = 0; i < e->arg_count; i++) {
            struct sort_item item;
            TRY(sort_item_make(s, e->args[i], 0, 0, NULL, e->args[i]->location, &item));
        }
        for (uint32_t i = 0; i < e->aggregate.order_count; i++) {
            bool found = false;
            for (uint32_t k = 0; k < e->arg_count && !found; k++)
                found = expr_equal(e->args[k], e->aggregate.order[i].expr);
            if (!found)
                return analyze_at(
                    s->a, expr_location(e->aggregate.order[i].expr),
                    err_raise(ERR_INVALID_COLUMN_REFERENCE,
                              "in an aggregate with DISTINCT, ORDER BY expressions must appear "
                              "in argument list"));
        }
    }
    return aggregate_check(s, e, call->location);
}

static const char *window_place_error(enum place p)
{
    switch (p) {
    case PLACE_OTHER:
    case PLACE_SELECT_TARGET:
    case PLACE_ORDER_BY:
    case PLACE_DISTINCT_ON:
    case PLACE_LIMIT:
    case PLACE_OFFSET:
        return NULL;
    case PLACE_JOIN_ON:
        return "window functions are not allowed in JOIN conditions";
    case PLACE_FROM_FUNCTION:
        return "window functions are not allowed in functions in FROM";
    case PLACE_WINDOW_PARTITION:
    case PLACE_WINDOW_ORDER:
    case PLACE_WINDOW_FRAME_RANGE:
    case PLACE_WINDOW_FRAME_ROWS:
    case PLACE_WINDOW_FRAME_GROUPS:
        return "window functions are not allowed in window definitions";
    default:
        return "window functions are not allowed in %s";
    }
}

static SUSPENDS err_t window_make_wait(struct scope *s, const struct function_call *call,
                                       struct expr *e)
{
    const FuncCall *n = call->node;
    const char *wrong = window_place_error(s->place);
    if (wrong) {
        const char *text = strstr(wrong, "%s")
                               ? arena_printf(s->a->mem, "window functions are not allowed in %s",
                                              place_name(s->place))
                               : wrong;
        return analyze_at(s->a, call->location, err_raise(ERR_WINDOWING_ERROR, "%s", text));
    }
    e->kind = EXPR_WINDOW;
    e->aggregate.star = n->agg_star;
    if (n->agg_distinct)
        return analyze_at(s->a, call->location,
                          err_not_built("DISTINCT is not implemented for window functions"));
    if (n->agg_order)
        return analyze_at(
            s->a, call->location,
            err_not_built("aggregate ORDER BY is not implemented for window functions"));
    if (n->agg_filter) {
        if (e->func->kind != 'a')
            return analyze_at(
                s->a, call->location,
                err_not_built("FILTER is not implemented for non-aggregate window functions"));
        TRY(analyze_condition_wait(s, n->agg_filter, PLACE_FILTER, "FILTER", &e->aggregate.filter));
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (expr_has_kind(e->args[i], EXPR_WINDOW))
            return analyze_at(
                s->a, call->location,
                err_raise(ERR_WINDOWING_ERROR, "window function calls cannot be nested"));
    }
    s->query->has_windows = true;
    return window_find_wait(s, n->over, &e->aggregate.window);
}

static err_t function_check_call(struct scope *s, const struct function_call *call,
                                 const struct func *f)
{
    const FuncCall *n = call->node;
    const char *name = function_name_text(s->a->mem, call->name);
    struct analysis *a = s->a;
    if (f->kind == 'p') {
        err_t e = err_raise(ERR_WRONG_OBJECT_TYPE, "%s is a procedure",
                            function_signature(s, call, call->arg_count));
        err_hint("To call a procedure, use CALL.");
        return analyze_at(a, call->location, e);
    }
    if (!n)
        return ERR_OK;
    if (f->kind == 'a') {
        const struct aggregate_info *info = aggregate_info_find(f->oid);
        if (n->agg_within_group || (info && info->kind != 'n'))
            return analyze_at(a, call->location,
                              err_not_built("ordered-set aggregates are not supported yet"));
        if (call->arg_count == 0 && !n->agg_star)
            return analyze_at(a, call->location,
                              err_raise(ERR_WRONG_OBJECT_TYPE,
                                        "%s(*) must be used to call a parameterless aggregate "
                                        "function",
                                        name));
        return ERR_OK;
    }
    const char *what = n->agg_star                       ? "%s(*) specified"
                       : n->agg_distinct                 ? "DISTINCT specified"
                       : n->agg_within_group             ? "WITHIN GROUP specified"
                       : n->agg_order                    ? "ORDER BY specified"
                       : n->agg_filter && f->kind != 'w' ? "FILTER specified"
                                                         : NULL;
    if (what && f->kind != 'w')
        return analyze_at(
            a, call->location,
            err_raise(ERR_WRONG_OBJECT_TYPE, "%s%s, but %s is not an aggregate function",
                      n->agg_star ? name : "", n->agg_star ? "(*) specified" : what, name));
    if (f->kind == 'w' && !n->over)
        return analyze_at(
            a, call->location,
            err_raise(ERR_WRONG_OBJECT_TYPE, "window function %s requires an OVER clause", name));
    if (f->kind == 'f' && n->over)
        return analyze_at(a, call->location,
                          err_raise(ERR_WRONG_OBJECT_TYPE,
                                    "OVER specified, but %s is not a window function nor an "
                                    "aggregate function",
                                    name));
    return ERR_OK;
}

static SUSPENDS err_t function_schema_wait(struct scope *s, const struct function_call *call,
                                           bool *builtin)
{
    int n = list_length(call->name);
    *builtin = true;
    if (n < 2)
        return ERR_OK;
    const char *schema = list_string(call->name, n - 2);
    if (strcmp(schema, "pg_catalog") == 0)
        return ERR_OK;
    *builtin = false;
    oid schema_oid;
    TRY(schema_oid_wait(s->a->catalog, schema, &schema_oid));
    if (schema_oid == OID_NONE)
        return analyze_at(s->a, call->location,
                          err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", schema));
    return ERR_OK;
}

/* VARIADIC array for arguments of any type: concat and concat_ws of an array's elements are
 * array_to_string; others are not built. */
static err_t variadic_any(struct scope *s, const struct function_call *call, const struct func *f,
                          struct expr **out)
{
    enum { FUNCTION_CONCAT = 3058, FUNCTION_CONCAT_WS = 3059 };
    struct expr *array = call->args[call->arg_count - 1];
    if (array->type != TYPE_UNKNOWN && type_element(array->type) == OID_NONE)
        return analyze_at(s->a, expr_location(array),
                          err_raise(ERR_DATATYPE_MISMATCH, "VARIADIC argument must be an array"));
    bool with_separator = f->oid == FUNCTION_CONCAT_WS && call->arg_count == 2;
    if ((f->oid != FUNCTION_CONCAT && !with_separator) || array->type == TYPE_UNKNOWN)
        return analyze_at(s->a, call->location,
                          err_not_built("VARIADIC \"any\" with an array is not supported yet"));
    struct expr *args[2] = {array};
    if (with_separator)
        args[1] = call->args[0];
    else
        args[1] = expr_const(s->a->mem, TYPE_TEXT, -1, datum_of_text(s->a->mem, ""), false);
    return function_make_builtin(s, "array_to_string", args, 2, call->location, out);
}

static SUSPENDS err_t function_call_wait(struct scope *s, struct function_call *call,
                                         const struct candidate *c, struct expr **out)
{
    const struct func *f = c->func;
    struct arena *mem = s->a->mem;
    TRY(function_check_call(s, call, f));
    if (call->node && call->node->func_variadic && f->variadic == TYPE_ANY)
        return variadic_any(s, call, f, out);
    struct expr **args;
    oid *declared;
    uint32_t count;
    TRY(function_args_wait(s, call, c, &args, &declared, &count));
    oid *actual = ARENA_ARRAY(mem, oid, count + 1);
    for (uint32_t i = 0; i < count; i++)
        actual[i] = args[i]->type;
    oid result;
    err_t e = coerce_enforce_generic(s, actual, declared, count, f->result, false, &result);
    if (e != ERR_OK)
        return analyze_at(s->a, call->location, e);
    TRY(function_coerce_args(s, f, args, declared, count));
    TRY(function_gather(s, c, args, &count));
    struct expr *r = expr_new(mem, EXPR_CALL, result, -1);
    r->func = f;
    r->args = args;
    r->arg_count = count;
    r->location = call->location;
    if (call->node && call->node->funcformat == COERCE_SQL_SYNTAX)
        r->op = 's';
    collation_of_args(r);
    *out = r;
    if (call->node && call->node->over)
        return window_make_wait(s, call, r);
    if (f->kind == 'a')
        return aggregate_make_wait(s, call, r);
    if (f->returns_set)
        return function_check_set(s, f, call->location);
    return ERR_OK;
}

SUSPENDS err_t function_make_wait(struct scope *s, struct function_call *call, struct expr **out)
{
    const char *name = list_string(call->name, list_length(call->name) - 1);
    if (call->arg_count > CALL_ARGS_MAX)
        return analyze_at(s->a, call->location,
                          err_raise(ERR_TOO_MANY_ARGUMENTS,
                                    "cannot pass more than %d arguments to a function",
                                    CALL_ARGS_MAX));
    bool builtin;
    TRY(function_schema_wait(s, call, &builtin));
    if (!builtin)
        return function_error(s, call, false);
    struct candidate *c;
    oid cast_target;
    TRY(function_pick(s, call, name, &c, &cast_target));
    if (cast_target != OID_NONE)
        return coerce_type(s, call->args[0], cast_target, -1, COERCE_BY_CAST, true, call->location,
                           out);
    return function_call_wait(s, call, c, out);
}

/* A built-in by name for constructs that are functions inside; arguments fit as they are or by
 * implicit coercion; no defaults. */
err_t function_make_builtin(struct scope *s, const char *name, struct expr **args, uint32_t count,
                            int32_t location, struct expr **out)
{
    oid *types = ARENA_ARRAY(s->a->mem, oid, count + 1);
    struct function_call call = {.args = args, .arg_count = count, .location = location};
    for (uint32_t i = 0; i < count; i++)
        types[i] = args[i]->type;
    struct candidate *list = candidates_find(s, &call, name);
    struct candidate *c = candidate_exact(list, types, count);
    if (!c) {
        uint32_t matches;
        c = candidates_match(list, types, count, &matches);
        if (matches > 1)
            c = candidates_select(c, types, count);
    }
    if (!c)
        return analyze_at(s->a, location,
                          err_raise(ERR_UNDEFINED_FUNCTION, "function %s does not exist", name));
    struct expr *r = expr_new(s->a->mem, EXPR_CALL, c->func->result, -1);
    r->func = c->func;
    r->args = ARENA_ARRAY(s->a->mem, struct expr *, count + 1);
    if (count)
        memcpy(r->args, args, sizeof(*args) * count);
    r->arg_count = count;
    r->location = location;
    oid *declared = arena_memdup(s->a->mem, c->args, sizeof(oid) * (count ? count : 1));
    TRY(coerce_enforce_generic(s, types, declared, count, c->func->result, false, &r->type));
    TRY(function_coerce_args(s, c->func, r->args, declared, count));
    collation_of_args(r);
    *out = r;
    return ERR_OK;
}
