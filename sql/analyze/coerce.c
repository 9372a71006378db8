/*
 * Coercions: which type can become which in which context, and the nodes that do it. The rules are
 * PostgreSQL's: the cast table, then arrays by their elements, then conversion through text where
 * the context allows it; literals of unknown type are read by the target type's input function at
 * once, parameters of unknown type take the type that is wanted of them.
 */
#include "sql/analyze/analyze_priv.h"

#include <ctype.h>

enum path { PATH_NONE, PATH_FUNCTION, PATH_RELABEL, PATH_ARRAY, PATH_IO };

static bool context_allows(char cast_context, enum coercion context)
{
    switch (context) {
    case COERCE_BY_CONTEXT:
        return cast_context == 'i';
    case COERCE_BY_ASSIGNMENT:
        return cast_context != 'e';
    case COERCE_BY_CAST:
        return true;
    }
    return false;
}

static enum path path_from_text(oid target, oid source, enum coercion context)
{
    if (context >= COERCE_BY_ASSIGNMENT && type_category(target) == 'S')
        return PATH_IO;
    if (context >= COERCE_BY_CAST && type_category(source) == 'S')
        return PATH_IO;
    return PATH_NONE;
}

static enum path coercion_path(oid target, oid source, enum coercion context,
                               const struct func **func)
{
    *func = NULL;
    if (source == target)
        return PATH_RELABEL;
    const struct cast_info *c = cast_find(source, target);
    if (c) {
        if (!context_allows(c->context, context))
            return PATH_NONE;
        if (c->method == 'f') {
            *func = func_find(c->function);
            return PATH_FUNCTION;
        }
        return c->method == 'i' ? PATH_IO : PATH_RELABEL;
    }
    if (target != TYPE_OIDVECTOR && target != TYPE_INT2VECTOR) {
        oid to = type_element(target);
        oid from = type_element(source);
        if (to != OID_NONE && from != OID_NONE) {
            enum path p = coercion_path(to, from, context, func);
            if (p == PATH_FUNCTION)
                return PATH_ARRAY;
            if (p == PATH_RELABEL || p == PATH_IO)
                return p;
        }
    }
    return path_from_text(target, source, context);
}

bool coerce_is_binary(oid from, oid to)
{
    const struct func *unused;
    if (from == to)
        return true;
    if (to == TYPE_ANYARRAY)
        return type_element(from) != OID_NONE;
    if (to == TYPE_RECORD)
        return type_is_row(from);
    return coercion_path(to, from, COERCE_BY_CONTEXT, &unused) == PATH_RELABEL;
}

bool coerce_is_possible(uint32_t count, const oid *from, const oid *to, enum coercion context)
{
    bool generic = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct func *unused;
        if (from[i] == to[i] || to[i] == TYPE_ANY)
            continue;
        if (type_is_polymorphic(to[i])) {
            generic = true;
            continue;
        }
        if (from[i] == TYPE_UNKNOWN)
            continue;
        if (coercion_path(to[i], from[i], context, &unused) != PATH_NONE)
            continue;
        if (to[i] == TYPE_RECORD && type_is_row(from[i]))
            continue;
        if (from[i] == TYPE_RECORD && type_is_row(to[i]))
            continue;
        if (to[i] == TYPE_RECORD_ARRAY && type_is_row(type_element(from[i])) &&
            type_element(from[i]) != OID_NONE)
            continue;
        return false;
    }
    return !generic || coerce_check_generic(from, to, count);
}

/* ---- literals and parameters ---- */

bool coerce_is_unknown_literal(const struct expr *e)
{
    return e->kind == EXPR_CONST && e->type == TYPE_UNKNOWN;
}

static bool is_time_type(oid type)
{
    return type == TYPE_DATE || type == TYPE_TIME || type == TYPE_TIMETZ ||
           type == TYPE_TIMESTAMP || type == TYPE_TIMESTAMPTZ;
}

/* 'now', 'today' ...: the value belongs to the moment of analysis and must not be shared. */
static bool is_moving_literal(const struct varlen *text)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    for (size_t w = 0; w < ARRAY_LEN(words); w++) {
        size_t n = strlen(words[w]);
        for (size_t at = 0; at + n <= text->len; at++) {
            size_t k = 0;
            while (k < n && tolower(text->data[at + k]) == words[w][k])
                k++;
            if (k == n)
                return true;
        }
    }
    return false;
}

err_t coerce_unknown_literal(struct scope *s, struct expr *e, oid type, int32_t typmod,
                             struct expr **out)
{
    struct analysis *a = s->a;
    const struct type_info *t = type_find(type);
    if (!t && !e->constant.is_null)
        return analyze_at(a, e->location,
                          err_not_built("literals of composite types are not supported yet"));
    if (e->constant.is_null) {
        *out = expr_const(a->mem, type, -1, 0, true);
        (*out)->location = e->location;
        return ERR_OK;
    }
    if (t->typtype == 'p' && type != TYPE_RECORD && type != TYPE_CSTRING)
        return analyze_at(
            a, e->location,
            err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot accept a value of type %s", t->name));
    const struct varlen *text = datum_varlen(e->constant.value);
    if (is_time_type(type) && is_moving_literal(text))
        a->has_volatile_settings = true;
    datum value;
    err_t err = value_input(a->env, a->mem, type, type == TYPE_INTERVAL ? typmod : -1,
                            (const char *)text->data, text->len, &value);
    if (err != ERR_OK)
        return analyze_at(a, e->location, err);
    *out = expr_const(a->mem, type, type == TYPE_INTERVAL ? typmod : -1, value, false);
    (*out)->location = e->location;
    return ERR_OK;
}

static err_t coerce_unknown_param(struct scope *s, struct expr *e, oid type, struct expr **out)
{
    struct analysis *a = s->a;
    oid *known = &a->param_types[e->param - 1];
    if (*known == OID_NONE || *known == TYPE_UNKNOWN) {
        *known = type;
    } else if (*known != type) {
        err_t err = err_raise(ERR_AMBIGUOUS_PARAMETER,
                              "inconsistent types deduced for parameter $%u", e->param);
        err_detail("%s versus %s", analyze_type_text(a, *known), analyze_type_text(a, type));
        return analyze_at(a, e->location, err);
    }
    e->type = type;
    e->collation = type_collation(type);
    *out = e;
    return ERR_OK;
}

/* ---- nodes ---- */

void collation_of_args(struct expr *e)
{
    enum { COLLATION_DEFAULT = 100 };
    oid chosen = OID_NONE;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        const struct expr *arg = e->args[i];
        if (!arg || arg->collation == OID_NONE || type_collation(arg->type) == OID_NONE)
            continue;
        if (chosen == OID_NONE || chosen == COLLATION_DEFAULT)
            chosen = arg->collation;
    }
    if (chosen != OID_NONE)
        e->collation = chosen;
    else
        e->collation = type_collation(e->type);
}

static struct expr *cast_node(struct scope *s, enum expr_kind kind, struct expr *arg, oid type,
                              bool is_explicit, int32_t location)
{
    struct expr *e = expr_new(s->a->mem, kind, type, -1);
    e->args = ARENA_ARRAY(s->a->mem, struct expr *, 1);
    e->args[0] = arg;
    e->arg_count = 1;
    e->is_explicit_cast = is_explicit;
    e->location = location >= 0 ? location : expr_location(arg);
    collation_of_args(e);
    if (type_collation(type) == OID_NONE)
        e->collation = OID_NONE;
    return e;
}

static err_t coerce_by_path(struct scope *s, struct expr *e, oid target, enum coercion context,
                            bool is_explicit, int32_t location, struct expr **out)
{
    const struct func *func;
    struct expr *r;
    switch (coercion_path(target, e->type, context, &func)) {
    case PATH_FUNCTION:
        ASSUME(func != NULL);
        r = cast_node(s, EXPR_CALL, e, target, is_explicit, location);
        r->op = is_explicit ? 'e' : 'i';
        r->func = func;
        if (func->arg_count > 1) { /* (value, typmod, is_explicit): the length comes later */
            r->args = ARENA_ARRAY(s->a->mem, struct expr *, 3);
            r->args[0] = e;
            r->args[1] = expr_const(s->a->mem, TYPE_INT4, -1, datum_of_i32(-1), false);
            r->args[2] = expr_const(s->a->mem, TYPE_BOOL, -1,
                                    datum_of_bool(context == COERCE_BY_CAST), false);
            r->arg_count = (uint32_t)func->arg_count;
        }
        *out = r;
        return ERR_OK;
    case PATH_RELABEL:
        *out = cast_node(s, EXPR_RELABEL, e, target, is_explicit, location);
        return ERR_OK;
    case PATH_ARRAY:
        r = cast_node(s, EXPR_ARRAY_CAST, e, target, is_explicit, location);
        r->func = func;
        *out = r;
        return ERR_OK;
    case PATH_IO:
        *out = cast_node(s, EXPR_IO_CAST, e, target, is_explicit, location);
        return ERR_OK;
    case PATH_NONE:
        break;
    }
    if (target == TYPE_RECORD && type_is_row(e->type)) {
        *out = e;
        return ERR_OK;
    }
    if (e->type == TYPE_RECORD && type_is_row(target))
        return analyze_at(
            s->a, location,
            err_not_built("casting a record to a composite type is not supported yet"));
    return err_raise(ERR_INTERNAL_ERROR, "failed to find conversion function from %s to %s",
                     analyze_type_text(s->a, e->type), analyze_type_text(s->a, target));
}

err_t coerce_type(struct scope *s, struct expr *e, oid target, int32_t typmod,
                  enum coercion context, bool is_explicit, int32_t location, struct expr **out)
{
    *out = e;
    if (e->type == target || target == TYPE_ANY)
        return ERR_OK;
    if (target == TYPE_ANYELEMENT || target == TYPE_ANYNONARRAY || target == TYPE_ANYCOMPATIBLE ||
        target == TYPE_ANYCOMPATIBLENONARRAY)
        return ERR_OK;
    if (type_is_polymorphic(target) && e->type != TYPE_UNKNOWN)
        return ERR_OK;
    if (e->type == TYPE_UNKNOWN) {
        if (e->kind == EXPR_CONST)
            return coerce_unknown_literal(s, e, target, typmod, out);
        if (e->kind == EXPR_PARAM)
            return coerce_unknown_param(s, e, target, out);
        if (e->kind == EXPR_RELABEL && e->op == 'c') { /* COLLATE keeps its place outside */
            struct expr *inner;
            TRY(coerce_type(s, e->args[0], target, typmod, context, is_explicit, location, &inner));
            struct expr *r = cast_node(s, EXPR_RELABEL, inner, target, true, e->location);
            r->op = 'c';
            r->collation = e->collation;
            *out = r;
            return ERR_OK;
        }
        *out = cast_node(s, EXPR_IO_CAST, e, target, is_explicit, location);
        return ERR_OK;
    }
    return coerce_by_path(s, e, target, context, is_explicit, location, out);
}

static bool type_has_length(oid type)
{
    oid element = type_element(type);
    const struct type_info *t = type_find(element != OID_NONE ? element : type);
    return t && t->apply_typmod;
}

static struct expr *coerce_length(struct scope *s, struct expr *e, int32_t typmod, bool is_explicit,
                                  enum coercion context, int32_t location)
{
    if (typmod < 0 || typmod == e->typmod)
        return e;
    struct expr *r;
    if (!type_has_length(e->type)) {
        r = cast_node(s, EXPR_RELABEL, e, e->type, is_explicit, location);
    } else if (type_element(e->type) != OID_NONE) {
        r = cast_node(s, EXPR_IO_CAST, e, e->type, is_explicit, location);
    } else {
        r = cast_node(s, EXPR_TYPMOD, e, e->type, is_explicit, location);
        r->negated = context != COERCE_BY_CAST;
    }
    r->typmod = typmod;
    return r;
}

/* The inner step of a two-step coercion is not shown when the outer one is. */
static void hide_inner_cast(struct expr *e)
{
    if (e->kind == EXPR_CALL || e->kind == EXPR_RELABEL || e->kind == EXPR_IO_CAST ||
        e->kind == EXPR_ARRAY_CAST) {
        if (e->kind == EXPR_CALL)
            e->op = 'i';
        e->is_explicit_cast = false;
    }
}

err_t coerce_to_target(struct scope *s, struct expr *e, oid target, int32_t typmod,
                       enum coercion context, bool is_explicit, int32_t location, struct expr **out)
{
    oid from = e->type;
    if (!coerce_is_possible(1, &from, &target, context)) {
        *out = NULL;
        return ERR_OK;
    }
    struct expr *r;
    TRY(coerce_type(s, e, target, typmod, context, is_explicit, location, &r));
    struct expr *final = coerce_length(s, r, typmod, is_explicit, context, location);
    if (final != r && r != e && r->kind != EXPR_CONST)
        hide_inner_cast(r);
    *out = final;
    return ERR_OK;
}

err_t coerce_to_boolean(struct scope *s, struct expr *e, const char *construct, struct expr **out)
{
    return coerce_to_specific(s, e, TYPE_BOOL, construct, out);
}

err_t coerce_to_specific(struct scope *s, struct expr *e, oid target, const char *construct,
                         struct expr **out)
{
    *out = e;
    if (e->type != target) {
        TRY(coerce_to_target(s, e, target, -1, COERCE_BY_ASSIGNMENT, false, -1, out));
        if (!*out)
            return analyze_at(s->a, expr_location(e),
                              err_raise(ERR_DATATYPE_MISMATCH,
                                        "argument of %s must be type %s, not type %s", construct,
                                        analyze_type_text(s->a, target),
                                        analyze_type_text(s->a, e->type)));
    }
    if (expr_returns_set(*out))
        return analyze_at(
            s->a, expr_location(e),
            err_raise(ERR_DATATYPE_MISMATCH, "argument of %s must not return a set", construct));
    return ERR_OK;
}

/* ---- common types ---- */

static bool coerces_implicitly(oid from, oid to)
{
    return coerce_is_possible(1, &from, &to, COERCE_BY_CONTEXT);
}

err_t coerce_common_type(struct scope *s, struct expr *const *list, uint32_t count,
                         const char *context, oid *out)
{
    ASSERT(count > 0);
    oid chosen = list[0]->type;
    bool same = chosen != TYPE_UNKNOWN;
    for (uint32_t i = 1; i < count && same; i++)
        same = list[i]->type == chosen;
    *out = chosen;
    if (same)
        return ERR_OK;
    char category = type_category(chosen);
    bool preferred = type_is_preferred(chosen);
    for (uint32_t i = 1; i < count; i++) {
        oid next = list[i]->type;
        if (next == TYPE_UNKNOWN || next == chosen)
            continue;
        bool take = chosen == TYPE_UNKNOWN;
        if (!take && type_category(next) != category) {
            *out = OID_NONE;
            if (!context)
                return ERR_OK;
            return analyze_at(
                s->a, expr_location(list[i]),
                err_raise(ERR_DATATYPE_MISMATCH, "%s types %s and %s cannot be matched", context,
                          analyze_type_text(s->a, chosen), analyze_type_text(s->a, next)));
        }
        if (take ||
            (!preferred && coerces_implicitly(chosen, next) && !coerces_implicitly(next, chosen))) {
            chosen = next;
            category = type_category(next);
            preferred = type_is_preferred(next);
        }
    }
    *out = chosen == TYPE_UNKNOWN ? TYPE_TEXT : chosen;
    return ERR_OK;
}

int32_t coerce_common_typmod(struct expr *const *list, uint32_t count, oid type)
{
    int32_t typmod = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i]->type != type)
            return -1;
        if (i == 0)
            typmod = list[i]->typmod;
        else if (typmod != list[i]->typmod)
            return -1;
    }
    return typmod;
}

err_t coerce_to_common(struct scope *s, struct expr *e, oid type, const char *context,
                       struct expr **out)
{
    *out = e;
    if (e->type == type)
        return ERR_OK;
    if (coerces_implicitly(e->type, type))
        return coerce_type(s, e, type, -1, COERCE_BY_CONTEXT, false, -1, out);
    return analyze_at(s->a, expr_location(e),
                      err_raise(ERR_CANNOT_COERCE, "%s could not convert type %s to %s", context,
                                analyze_type_text(s->a, e->type), analyze_type_text(s->a, type)));
}
