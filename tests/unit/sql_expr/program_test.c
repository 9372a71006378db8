/*
 * Programs: three-valued logic with short circuit, CASE, COALESCE and the like, inlined and called
 * functions, ANY/ALL plain and hashed, arrays, rows, casts, call-site states, folding.
 */
#include "sql/expr/expr.h"

#include "tests/unit/core/unit.h"

static struct arena *mem;
static struct session_env env = {.user_name = "u", .session_user_name = "u"};
static struct slot input;
static datum input_values[4];
static bool input_nulls[4];

/* ---- building trees ---- */

static struct expr *k4(int32_t v)
{
    return expr_const(mem, TYPE_INT4, -1, datum_of_i32(v), false);
}
static struct expr *k8(int64_t v)
{
    return expr_const(mem, TYPE_INT8, -1, datum_of_i64(v), false);
}
static struct expr *kb(int v) /* -1 = NULL */
{
    return expr_const(mem, TYPE_BOOL, -1, v > 0, v < 0);
}
static struct expr *kt(const char *s)
{
    return expr_const(mem, TYPE_TEXT, -1, datum_of_text(mem, s), false);
}
static struct expr *null_of(oid type)
{
    return expr_const(mem, type, -1, 0, true);
}
static struct expr *in(uint32_t i, oid type)
{
    struct expr *e = expr_new(mem, EXPR_INPUT, type, -1);
    e->input.index = i;
    return e;
}
static struct expr *node(enum expr_kind kind, oid type, uint32_t n, struct expr **args)
{
    struct expr *e = expr_new(mem, kind, type, -1);
    e->args = arena_memdup(mem, args, sizeof(*args) * (n + 1));
    e->arg_count = n;
    return e;
}
#define ARGS(...) ((struct expr *[]){__VA_ARGS__, NULL})

/* The function with that name and exactly these argument types. */
static const struct func *fn(const char *name, uint32_t n, struct expr **args)
{
    uint32_t count = 0;
    const struct func *const *f = func_find_name(name, &count);
    for (uint32_t i = 0; i < count; i++) {
        bool same = f[i]->arg_count == (int16_t)n;
        for (uint32_t a = 0; same && a < n; a++)
            same = f[i]->args[a] == args[a]->type;
        if (same)
            return f[i];
    }
    return NULL;
}
static struct expr *call(const char *name, uint32_t n, struct expr **args)
{
    const struct func *f = fn(name, n, args);
    CHECK(f != NULL);
    struct expr *e = node(EXPR_CALL, f->result, n, args);
    e->func = f;
    return e;
}

static SUSPENDS err_t eval(struct expr *e, datum *out, bool *is_null)
{
    struct program *p = NULL;
    struct eval ev = {.env = &env, .mem = mem, .state_mem = mem};
    ev.inputs[0] = &input;
    TRY(expr_compile(mem, e, &p));
    return expr_eval_wait(p, &ev, out, is_null);
}

/* 0, 1, -1 NULL, -2 error */
static SUSPENDS int truth(struct expr *e)
{
    datum d = 0;
    bool null = false;
    if (eval(e, &d, &null) != ERR_OK)
        return -2;
    return null ? -1 : (int)d;
}
static SUSPENDS int64_t number(struct expr *e)
{
    datum d = 0;
    bool null = false;
    CHECK_OK(eval(e, &d, &null));
    return null ? INT64_MIN : datum_i64(d);
}
static SUSPENDS const char *text(struct expr *e)
{
    datum d = 0;
    bool null = false;
    err_t err = eval(e, &d, &null);
    if (err != ERR_OK)
        return err_sqlstate(err);
    return null ? "NULL" : varlen_cstring(mem, datum_varlen(d));
}

/* ---- tests ---- */

static struct expr *boom(void)
{
    /* 1 / 0 = 1 */
    return call("int4eq", 2, ARGS(call("int4div", 2, ARGS(k4(1), k4(0))), k4(1)));
}

static SUSPENDS void logic(void)
{
    static const int and_table[3][3] = {{-1, 0, -1}, {0, 0, 0}, {-1, 0, 1}};
    static const int or_table[3][3] = {{-1, -1, 1}, {-1, 0, 1}, {1, 1, 1}};
    for (int a = -1; a <= 1; a++)
        for (int b = -1; b <= 1; b++) {
            CHECK(truth(node(EXPR_AND, TYPE_BOOL, 2, ARGS(kb(a), kb(b)))) ==
                  and_table[a + 1][b + 1]);
            CHECK(truth(node(EXPR_OR, TYPE_BOOL, 2, ARGS(kb(a), kb(b)))) == or_table[a + 1][b + 1]);
        }
    CHECK(truth(node(EXPR_NOT, TYPE_BOOL, 1, ARGS(kb(-1)))) == -1);
    CHECK(truth(node(EXPR_NOT, TYPE_BOOL, 1, ARGS(kb(0)))) == 1);
    CHECK(truth(boom()) == -2);
    CHECK(truth(node(EXPR_AND, TYPE_BOOL, 3, ARGS(kb(-1), kb(0), boom()))) == 0);
    CHECK(truth(node(EXPR_OR, TYPE_BOOL, 2, ARGS(kb(1), boom()))) == 1);
    CHECK(truth(node(EXPR_AND, TYPE_BOOL, 2, ARGS(kb(1), boom()))) == -2);
    struct expr *is = node(EXPR_IS_BOOL, TYPE_BOOL, 1, ARGS(kb(-1)));
    is->op = 'u';
    CHECK(truth(is) == 1);
    is->op = 't';
    is->negated = true;
    CHECK(truth(is) == 1);
}

static SUSPENDS void arithmetic(void)
{
    CHECK(number(call("int4pl", 2, ARGS(k4(2), k4(3)))) == 5);
    CHECK(number(call("int4mi", 2, ARGS(k4(2), k4(3)))) == -1);
    CHECK(number(call("int84mul", 2, ARGS(k8(1), k4(-7)))) == -7);
    CHECK(number(call("int4pl", 2, ARGS(null_of(TYPE_INT4), k4(3)))) == INT64_MIN);
    datum d;
    bool null;
    CHECK(eval(call("int4pl", 2, ARGS(k4(INT32_MAX), k4(1))), &d, &null) ==
          ERR_NUMERIC_VALUE_OUT_OF_RANGE);
    CHECK(strcmp(err_diag()->message, "integer out of range") == 0);
    CHECK(eval(call("int8mul", 2, ARGS(k8(INT64_MAX), k8(2))), &d, &null) ==
          ERR_NUMERIC_VALUE_OUT_OF_RANGE);
    CHECK(strcmp(err_diag()->message, "bigint out of range") == 0);
    CHECK(truth(call("int48lt", 2, ARGS(k4(-5), k8(3)))) == 1);
    CHECK(truth(call("int4ge", 2, ARGS(k4(-5), k4(-5)))) == 1);
    CHECK(truth(call("texteq", 2, ARGS(kt("abc"), kt("abc")))) == 1);
    CHECK(truth(call("textne", 2, ARGS(kt("abc"), kt("abd")))) == 1);
    CHECK(strcmp(text(call("upper", 1, ARGS(kt("abc")))), "ABC") == 0);
    /* many registers */
    struct expr *sum = k4(0);
    for (int i = 0; i < 200; i++)
        sum = call("int4pl", 2, ARGS(k4(i), sum));
    CHECK(number(sum) == 19900);
}

static SUSPENDS void conditionals(void)
{
    struct expr *c = expr_new(mem, EXPR_CASE, TYPE_INT4, -1);
    struct case_when whens[2] = {{kb(-1), k4(1)}, {kb(1), k4(2)}};
    c->cases.whens = whens;
    c->cases.when_count = 2;
    CHECK(number(c) == 2);
    whens[1].condition = kb(0);
    CHECK(number(c) == INT64_MIN);
    c->cases.otherwise = k4(9);
    CHECK(number(c) == 9);
    /* simple CASE inside of a simple CASE */
    struct expr *v = expr_new(mem, EXPR_CASE_VALUE, TYPE_INT4, -1);
    struct expr *inside = expr_new(mem, EXPR_CASE, TYPE_INT4, -1);
    struct case_when inside_whens[1] = {{call("int4eq", 2, ARGS(v, k4(7))), k4(70)}};
    inside->cases.operand = k4(7);
    inside->cases.whens = inside_whens;
    inside->cases.when_count = 1;
    struct expr *outside = expr_new(mem, EXPR_CASE, TYPE_INT4, -1);
    struct case_when outside_whens[2] = {{call("int4eq", 2, ARGS(v, inside)), k4(1)},
                                         {call("int4eq", 2, ARGS(v, k4(3))), k4(2)}};
    outside->cases.operand = k4(3);
    outside->cases.whens = outside_whens;
    outside->cases.when_count = 2;
    CHECK(number(outside) == 2);
    outside->cases.operand = k4(70);
    CHECK(number(outside) == 1);
    CHECK(number(node(EXPR_COALESCE, TYPE_INT4, 3,
                      ARGS(null_of(TYPE_INT4), k4(4), call("int4div", 2, ARGS(k4(1), k4(0)))))) ==
          4);
    struct expr *m = node(EXPR_MIN_MAX, TYPE_INT4, 3, ARGS(k4(3), null_of(TYPE_INT4), k4(8)));
    CHECK(number(m) == 8);
    m->negated = true;
    CHECK(number(m) == 3);
    struct expr *n = node(EXPR_NULLIF, TYPE_INT4, 2, ARGS(k4(3), k4(3)));
    n->func = fn("int4eq", 2, n->args);
    CHECK(number(n) == INT64_MIN);
    n->args[1] = k4(4);
    CHECK(number(n) == 3);
    struct expr *d = node(EXPR_DISTINCT, TYPE_BOOL, 2, ARGS(null_of(TYPE_INT4), k4(3)));
    d->func = fn("int4eq", 2, d->args);
    CHECK(truth(d) == 1);
    d->args[1] = null_of(TYPE_INT4);
    CHECK(truth(d) == 0);
    d->negated = true;
    CHECK(truth(d) == 1);
}

static struct expr *any(struct expr *scalar, struct expr *array, bool all)
{
    struct expr *e = node(EXPR_ANY_ALL, TYPE_BOOL, 2, ARGS(scalar, array));
    e->func = fn(all ? "int4gt" : "int4eq", 2, ARGS(k4(0), k4(0)));
    e->oper_oid = all ? 521 : 96;
    e->negated = all;
    return e;
}

static struct expr *array_of_ints(uint32_t count, int32_t step, bool with_null)
{
    datum *v = ARENA_ARRAY(mem, datum, count + 1);
    bool *n = ARENA_ARRAY(mem, bool, count + 1);
    for (uint32_t i = 0; i < count; i++)
        v[i] = datum_of_i32((int32_t)i * step);
    if (with_null)
        n[count - 1] = true;
    datum d = 0;
    CHECK_OK(array_of(mem, TYPE_INT4, v, n, count, &d));
    return expr_const(mem, TYPE_INT4_ARRAY, -1, d, false);
}

static SUSPENDS void any_and_all(void)
{
    for (uint32_t count = 1; count <= 40; count += 3) { /* plain, then hashed */
        CHECK(truth(any(k4((int32_t)(count - 1) * 3), array_of_ints(count, 3, false), false)) == 1);
        CHECK(truth(any(k4(1), array_of_ints(count, 3, false), false)) == 0);
        CHECK(truth(any(k4(1), array_of_ints(count, 3, true), false)) == -1);
        CHECK(truth(any(null_of(TYPE_INT4), array_of_ints(count, 3, false), false)) == -1);
    }
    CHECK(truth(any(null_of(TYPE_INT4), array_of_ints(0, 3, false), false)) == 0);
    CHECK(truth(any(k4(5), null_of(TYPE_INT4_ARRAY), false)) == -1);
    CHECK(truth(any(k4(100), array_of_ints(5, 3, false), true)) == 1);
    CHECK(truth(any(k4(12), array_of_ints(5, 3, false), true)) == 0);
    CHECK(truth(any(k4(100), array_of_ints(5, 3, true), true)) == -1);
    CHECK(truth(any(k4(5), array_of_ints(0, 1, false), true)) == 1);
}

static SUSPENDS void arrays_and_rows(void)
{
    struct expr *a = node(EXPR_ARRAY, TYPE_INT4_ARRAY, 3, ARGS(k4(1), null_of(TYPE_INT4), k4(3)));
    CHECK(number(node(EXPR_SUBSCRIPT, TYPE_INT4, 2, ARGS(a, k4(3)))) == 3);
    CHECK(number(node(EXPR_SUBSCRIPT, TYPE_INT4, 2, ARGS(a, k4(2)))) == INT64_MIN);
    CHECK(number(node(EXPR_SUBSCRIPT, TYPE_INT4, 2, ARGS(a, k4(4)))) == INT64_MIN);
    CHECK(number(node(EXPR_SUBSCRIPT, TYPE_INT4, 2, ARGS(a, k4(0)))) == INT64_MIN);
    struct expr *two = node(EXPR_ARRAY, TYPE_INT4_ARRAY, 2, ARGS(a, a));
    CHECK(number(node(EXPR_SUBSCRIPT, TYPE_INT4, 3, ARGS(two, k4(2), k4(1)))) == 1);
    struct expr *row = node(EXPR_ROW, TYPE_RECORD, 2, ARGS(null_of(TYPE_INT4), k4(3)));
    struct expr *is = node(EXPR_IS_NULL, TYPE_BOOL, 1, ARGS(row));
    CHECK(truth(is) == 0);
    is->negated = true;
    CHECK(truth(is) == 0);
    row->args[1] = null_of(TYPE_INT4);
    is->negated = false;
    CHECK(truth(is) == 1);
    /* (1, 2) < (1, 3) */
    struct expr *cmp = node(EXPR_ROW_COMPARE, TYPE_BOOL, 4, ARGS(k4(1), k4(2), k4(1), k4(3)));
    const struct func *lt = fn("int4lt", 2, cmp->args);
    const struct func *eq = fn("int4eq", 2, cmp->args);
    cmp->row_compare.funcs = (const struct func *[]){lt, lt};
    cmp->row_compare.equal_funcs = (const struct func *[]){eq, eq};
    CHECK(truth(cmp) == 1);
    cmp->args[3] = k4(2);
    CHECK(truth(cmp) == 0);
    cmp->args[0] = null_of(TYPE_INT4);
    CHECK(truth(cmp) == -1);
    cmp->args[0] = k4(0);
    cmp->args[3] = null_of(TYPE_INT4);
    CHECK(truth(cmp) == 1);
}

static SUSPENDS void casts(void)
{
    CHECK(strcmp(text(node(EXPR_IO_CAST, TYPE_TEXT, 1, ARGS(k4(-42)))), "-42") == 0);
    CHECK(number(node(EXPR_IO_CAST, TYPE_INT4, 1, ARGS(kt("17")))) == 17);
    CHECK(strcmp(text(node(EXPR_IO_CAST, TYPE_INT4, 1, ARGS(kt("x")))), "22P02") == 0);
    struct expr *clip = node(EXPR_TYPMOD, TYPE_VARCHAR, 1, ARGS(kt("abcdef")));
    clip->args[0]->type = TYPE_VARCHAR;
    clip->typmod = 4 + 3;
    CHECK(strcmp(text(clip), "abc") == 0);
    clip->negated = true; /* implicit: too long is an error */
    CHECK(strcmp(text(clip), "22001") == 0);
    struct expr *user = expr_new(mem, EXPR_SQL_VALUE, TYPE_NAME, -1);
    user->op = VALUE_CURRENT_USER;
    CHECK(strcmp(text(user), "u") == 0);
}

static SUSPENDS void lists_and_inputs(void)
{
    input = (struct slot){.values = input_values, .nulls = input_nulls, .count = 4};
    input_values[0] = datum_of_i32(5);
    input_nulls[1] = true;
    struct expr *list[3] = {in(0, TYPE_INT4), NULL,
                            call("int4pl", 2, ARGS(in(0, TYPE_INT4), k4(1)))};
    struct program *p = NULL;
    struct eval ev = {.env = &env, .mem = mem, .state_mem = mem};
    ev.inputs[0] = &input;
    datum values[3];
    bool nulls[3];
    CHECK_OK(expr_compile_list(mem, list, 3, &p));
    CHECK_OK(expr_eval_list_wait(p, &ev, values, nulls));
    CHECK(datum_i32(values[0]) == 5 && !nulls[0] && nulls[1] && datum_i32(values[2]) == 6);
    CHECK(program_input_count(p, 0) == 1 && program_input_count(p, 1) == 0);
    CHECK(!program_uses_memory(p));
    struct expr *is = node(EXPR_IS_NULL, TYPE_BOOL, 1, ARGS(in(1, TYPE_INT4)));
    CHECK(truth(is) == 1);
}

static SUSPENDS void folding(void)
{
    struct expr *e = NULL;
    CHECK_OK(expr_fold_wait(mem, &env, call("int4pl", 2, ARGS(k4(1), k4(2))), &e));
    CHECK(e->kind == EXPR_CONST && datum_i32(e->constant.value) == 3);
    struct expr *column = in(0, TYPE_BOOL);
    CHECK_OK(expr_fold_wait(mem, &env, node(EXPR_AND, TYPE_BOOL, 2, ARGS(kb(1), column)), &e));
    CHECK(e->kind == EXPR_INPUT);
    CHECK_OK(expr_fold_wait(mem, &env, node(EXPR_AND, TYPE_BOOL, 2, ARGS(column, kb(0))), &e));
    CHECK(e->kind == EXPR_CONST && !datum_bool(e->constant.value));
    CHECK_OK(expr_fold_wait(mem, &env, boom(), &e)); /* left for the run */
    CHECK(e->kind == EXPR_CALL);
    struct expr *now = call("now", 0, ARGS(NULL));
    CHECK_OK(expr_fold_wait(mem, &env, now, &e)); /* stable: not folded */
    CHECK(e->kind == EXPR_CALL);
}

static SUSPENDS void body(void)
{
    mem = arena_new();
    logic();
    arithmetic();
    conditionals();
    any_and_all();
    arrays_and_rows();
    casts();
    lists_and_inputs();
    folding();
    arena_free(mem);
}

static void programs(void)
{
    unit_run(1, body);
}

int main(void)
{
    const struct unit_test tests[] = {{"programs", programs}};
    return unit_main("sql_expr", tests, ARRAY_LEN(tests));
}
