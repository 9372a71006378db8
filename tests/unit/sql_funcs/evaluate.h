/*
 * Calls built-in functions, operators, aggregates and set-returning functions by signature with
 * arguments as text, and gives the result as text: what the tables of expectations are checked
 * with. Signature: "name(type,type)" with internal type names; "left + right" operators as
 * "op +(int4,int4)". Arguments are separated by 0x1f, rows of an aggregate by 0x1e; \N is null.
 * An error gives "!SQLSTATE message".
 */
#ifndef TESTS_UNIT_SQL_FUNCS_EVALUATE_H
#define TESTS_UNIT_SQL_FUNCS_EVALUATE_H

#include "sql/expr/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct session_env test_env = {.extra_float_digits = 1,
                                      .user_name = "postgres",
                                      .session_user_name = "postgres",
                                      .database_name = "postgres",
                                      .user_oid = 10,
                                      .database_oid = 5,
                                      .pid = 4711,
                                      .is_superuser = true};

static const char *evaluate_error(struct arena *mem, err_t e)
{
    return arena_printf(mem, "!%s %s", err_sqlstate(e), err_diag()->message);
}

/* Splits at a separator, in place. */
static uint32_t evaluate_split(char *text, char separator, char **parts, uint32_t max)
{
    uint32_t n = 0;
    if (*text == 0 && separator == 0x1f)
        return 0;
    parts[n++] = text;
    for (char *p = text; *p != 0; p++) {
        if (*p == separator && n < max) {
            *p = 0;
            parts[n++] = p + 1;
        }
    }
    return n;
}

static bool evaluate_types(char *list, oid *types, uint32_t *count)
{
    char *words[CALL_ARGS_MAX];
    *count = 0;
    if (*list == 0)
        return true;
    *count = evaluate_split(list, ',', words, CALL_ARGS_MAX);
    for (uint32_t i = 0; i < *count; i++) {
        const struct type_info *t = type_find_name(words[i]);
        if (t == NULL)
            return false;
        types[i] = t->oid;
    }
    return true;
}

/* "concat(text,text)" against concat(VARIADIC "any") and the like. */
static bool evaluate_matches(oid want, oid have, bool strict)
{
    const struct type_info *t = type_find(have);
    if (want == have)
        return true;
    if (strict && t->category == 'A' &&
        (want == TYPE_ANYELEMENT || want == TYPE_ANYCOMPATIBLE || want == TYPE_ANYNONARRAY))
        return false;
    switch (want) {
    case TYPE_ANY:
    case TYPE_ANYELEMENT:
    case TYPE_ANYCOMPATIBLE:
        return true;
    case TYPE_ANYNONARRAY:
    case TYPE_ANYCOMPATIBLENONARRAY:
        return t->category != 'A';
    case TYPE_ANYARRAY:
    case TYPE_ANYCOMPATIBLEARRAY:
        return t->category == 'A';
    default:
        return false;
    }
}

static const struct func *evaluate_find(const char *name, const oid *types, uint32_t count)
{
    uint32_t n = 0;
    const struct func *const *f = func_find_name(name, &n);
    for (int exact = 2; exact >= 0; exact--) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t fixed = (uint32_t)f[i]->arg_count;
            bool variadic = f[i]->variadic == TYPE_ANY;
            if (variadic ? count + 1 < fixed : count != fixed)
                continue;
            bool ok = true;
            for (uint32_t k = 0; k < count && ok; k++) {
                oid want = f[i]->args[variadic && k >= fixed - 1 ? fixed - 1 : k];
                ok = exact == 2 ? want == types[k] : evaluate_matches(want, types[k], exact);
            }
            if (ok)
                return f[i];
        }
    }
    return NULL;
}

static oid evaluate_result_type(const struct func *f, const oid *types, uint32_t count)
{
    oid element = 0;
    for (uint32_t i = 0; i < count && i < (uint32_t)f->arg_count; i++) {
        const struct type_info *t = type_find(types[i]);
        if (f->args[i] == TYPE_ANYARRAY || f->args[i] == TYPE_ANYCOMPATIBLEARRAY)
            element = t->element;
        else if (f->args[i] == TYPE_ANYELEMENT || f->args[i] == TYPE_ANYCOMPATIBLE ||
                 f->args[i] == TYPE_ANYNONARRAY)
            element = types[i];
    }
    switch (f->result) {
    case TYPE_ANYELEMENT:
    case TYPE_ANYCOMPATIBLE:
        return element;
    case TYPE_ANYARRAY:
    case TYPE_ANYCOMPATIBLEARRAY:
        return type_find(element)->array;
    default:
        return f->result;
    }
}

static err_t evaluate_args(struct arena *mem, char *text, const oid *types, uint32_t count,
                           datum *args, bool *nulls)
{
    char *parts[CALL_ARGS_MAX];
    uint32_t n = count == 0 ? 0 : 1;
    if (count > 0) {
        if (*text == 0)
            parts[0] = text;
        else
            n = evaluate_split(text, 0x1f, parts, CALL_ARGS_MAX);
    }
    if (n != count)
        return err_raise(ERR_INTERNAL_ERROR, "test has %u arguments, signature %u", n, count);
    for (uint32_t i = 0; i < count; i++) {
        nulls[i] = strcmp(parts[i], "\\N") == 0;
        args[i] = 0;
        if (!nulls[i])
            TRY(value_input(&test_env, mem, types[i], -1, parts[i], strlen(parts[i]), &args[i]));
    }
    return ERR_OK;
}

static const char *evaluate_output(struct arena *mem, oid type, datum value, bool is_null)
{
    if (is_null)
        return "\\N";
    struct strbuf out;
    strbuf_init(&out, mem);
    err_t e = value_output(&test_env, mem, type, value, &out);
    if (e != ERR_OK)
        return evaluate_error(mem, e);
    return out.data == NULL ? "" : out.data;
}

static const char *evaluate_aggregate(struct arena *mem, struct call *c, const struct func *f,
                                      char *rows)
{
    const struct aggregate *agg = f->aggregate;
    if (agg == NULL)
        return "!not built";
    /* Odd rows go to a second state that is saved and merged, where the aggregate can. */
    void *states[2] = {arena_zalloc(mem, agg->state_bytes), arena_zalloc(mem, agg->state_bytes)};
    struct aggregate_call a = {.call = *c, .mem = mem};
    char *parts[1000];
    uint32_t n = *rows == 0 ? 0 : evaluate_split(rows, 0x1e, parts, 1000);
    uint32_t split = agg->save == NULL ? n : (n + 1) / 2;
    for (uint32_t i = 0; i < n; i++) {
        err_t e = evaluate_args(mem, parts[i], c->arg_types, c->arg_count, c->args, c->nulls);
        if (e != ERR_OK)
            return evaluate_error(mem, e);
        bool skip = false;
        for (uint32_t k = 0; k < c->arg_count; k++)
            skip |= c->nulls[k];
        if (skip && !agg->step_on_null)
            continue;
        e = agg->step(&a, states[i >= split]);
        if (e != ERR_OK)
            return evaluate_error(mem, e);
    }
    if (agg->save != NULL) {
        struct strbuf b;
        strbuf_init(&b, mem);
        err_t e = agg->save(&a, states[1], &b);
        if (e == ERR_OK)
            e = agg->merge(&a, states[0], (const uint8_t *)b.data, b.len);
        if (e != ERR_OK)
            return evaluate_error(mem, e);
    }
    datum out = 0;
    bool is_null = false;
    err_t e = agg->final(&a, states[0], &out, &is_null);
    if (e != ERR_OK)
        return evaluate_error(mem, e);
    return evaluate_output(mem, c->result_type, out, is_null);
}

static const char *evaluate_set(struct arena *mem, struct call *c, const struct func *f)
{
    const struct set_function *set = f->set_function;
    if (set == NULL)
        return "!not built";
    void *state = NULL;
    for (uint32_t i = 0; i < c->arg_count && f->strict; i++)
        if (c->nulls[i])
            return "";
    err_t e = set->begin(c, &state);
    struct strbuf out;
    strbuf_init(&out, mem);
    strbuf_puts(&out, "");
    for (uint32_t rows = 0; e == ERR_OK && rows < 1000; rows++) {
        datum values[32];
        bool nulls[32] = {false};
        bool end = false;
        e = set->next(c, state, values, nulls, &end);
        if (e != ERR_OK || end)
            break;
        for (uint32_t k = 0; k < set->column_count; k++) {
            oid type = set->column_types == NULL ? c->result_type : set->column_types[k];
            strbuf_printf(&out, "%s%s",
                          k > 0      ? "|"
                          : rows > 0 ? ";"
                                     : "",
                          evaluate_output(mem, type, values[k], nulls[k]));
        }
    }
    if (e != ERR_OK)
        return evaluate_error(mem, e);
    return out.data;
}

__attribute__((unused)) static const char *evaluate(struct arena *mem, const char *signature,
                                                    const char *arguments)
{
    char *name = arena_strdup(mem, signature);
    char *args_text = arena_strdup(mem, arguments);
    char *open = strrchr(name, '(');
    oid types[CALL_ARGS_MAX];
    uint32_t count = 0;
    if (open == NULL)
        return "!bad signature";
    *open = 0;
    open[strlen(open + 1)] = 0;
    if (!evaluate_types(open + 1, types, &count))
        return "!unknown type";
    const struct func *f = NULL;
    if (strncmp(name, "op ", 3) == 0) {
        uint32_t n = 0;
        const struct operator_info *const *o = operator_find_name(name + 3, &n);
        for (int exact = 2; exact >= 0 && f == NULL; exact--)
            for (uint32_t i = 0; i < n && f == NULL; i++)
                if (exact == 2
                        ? (count == 2 && o[i]->left == types[0] && o[i]->right == types[1]) ||
                              (count == 1 && o[i]->left == 0 && o[i]->right == types[0])
                        : count == 2 && o[i]->left != 0 &&
                              evaluate_matches(o[i]->left, types[0], exact) &&
                              evaluate_matches(o[i]->right, types[1], exact))
                    f = func_find(o[i]->function);
    } else {
        f = evaluate_find(name, types, count);
    }
    if (f == NULL)
        return "!no such function";
    datum args[CALL_ARGS_MAX];
    bool nulls[CALL_ARGS_MAX];
    void *state = NULL;
    struct call c = {.func = f,
                     .env = &test_env,
                     .mem = mem,
                     .state_mem = mem,
                     .state = &state,
                     .arg_types = types,
                     .result_type = evaluate_result_type(f, types, count),
                     .typmod = -1,
                     .collation = 100,
                     .arg_count = count,
                     .args = args,
                     .nulls = nulls};
    if (f->kind == 'a')
        return evaluate_aggregate(mem, &c, f, args_text);
    err_t e = evaluate_args(mem, args_text, types, count, args, nulls);
    if (e != ERR_OK)
        return evaluate_error(mem, e);
    if (f->returns_set)
        return evaluate_set(mem, &c, f);
    if (f->fn == NULL)
        return "!not built";
    datum out = 0;
    for (uint32_t i = 0; i < count && f->strict; i++)
        if (nulls[i])
            return "\\N";
    e = f->fn(&c, &out);
    if (e != ERR_OK)
        return evaluate_error(mem, e);
    return evaluate_output(mem, c.result_type, out, c.is_null);
}

/* Text in, text out again. */
__attribute__((unused)) static const char *evaluate_type(struct arena *mem, const char *type,
                                                         int32_t typmod, const char *text)
{
    const struct type_info *t = type_find_name(type);
    datum d = 0;
    if (t == NULL)
        return "!unknown type";
    err_t e = value_input(&test_env, mem, t->oid, typmod, text, strlen(text), &d);
    return e == ERR_OK ? evaluate_output(mem, t->oid, d, false) : evaluate_error(mem, e);
}

#endif
