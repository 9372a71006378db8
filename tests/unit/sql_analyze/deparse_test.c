/*
 * Expressions printed as SQL: the same texts that PostgreSQL 15 prints (pg_get_expr of a CHECK
 * constraint "(expression) IS NOT NULL", plain and pretty), through analysis against a table.
 */
#include "sql/analyze/query.h"
#include "tests/unit/core/unit.h"
#include "tests/unit/sql_analyze/table.h"

struct printed {
    const char *expression;
    const char *plain;
    const char *pretty;
};
static const struct printed cases[] = {
    {"a + 1 * 2 - 3", "(((a + (1 * 2)) - 3) IS NOT NULL)", "(a + 1 * 2 - 3) IS NOT NULL"},
    {"(a + 1) * 2", "(((a + 1) * 2) IS NOT NULL)", "((a + 1) * 2) IS NOT NULL"},
    {"a - (2 - 3)", "((a - (2 - 3)) IS NOT NULL)", "(a - (2 - 3)) IS NOT NULL"},
    {"a > 0 and b = 'x' or not f", "((((a > 0) AND (b = 'x'::text)) OR (NOT f)) IS NOT NULL)",
     "(a > 0 AND b = 'x'::text OR NOT f) IS NOT NULL"},
    {"f is true", "((f IS TRUE) IS NOT NULL)", "(f IS TRUE) IS NOT NULL"},
    {"b like 'a%'", "((b ~~ 'a%'::text) IS NOT NULL)", "(b ~~ 'a%'::text) IS NOT NULL"},
    {"b || a", "((b || a) IS NOT NULL)", "(b || a) IS NOT NULL"},
    {"lower(b)", "(lower(b) IS NOT NULL)", "lower(b) IS NOT NULL"},
    {"\"left\"(b, 2)", "(\"left\"(b, 2) IS NOT NULL)", "\"left\"(b, 2) IS NOT NULL"},
    {"a in (1,2,3)", "((a = ANY (ARRAY[1, 2, 3])) IS NOT NULL)",
     "(a = ANY (ARRAY[1, 2, 3])) IS NOT NULL"},
    {"b in ('x','y')", "((b = ANY (ARRAY['x'::text, 'y'::text])) IS NOT NULL)",
     "(b = ANY (ARRAY['x'::text, 'y'::text])) IS NOT NULL"},
    {"v = 'x'", "(((v)::text = 'x'::text) IS NOT NULL)", "(v::text = 'x'::text) IS NOT NULL"},
    {"v || 'y'", "(((v)::text || 'y'::text) IS NOT NULL)", "(v::text || 'y'::text) IS NOT NULL"},
    {"a between 1 and 5", "(((a >= 1) AND (a <= 5)) IS NOT NULL)",
     "(a >= 1 AND a <= 5) IS NOT NULL"},
    {"a::text", "((a)::text IS NOT NULL)", "a::text IS NOT NULL"},
    {"a::numeric(10,2)", "((a)::numeric(10,2) IS NOT NULL)", "a::numeric(10,2) IS NOT NULL"},
    {"d::int", "((d)::integer IS NOT NULL)", "d::integer IS NOT NULL"},
    {"'5'::int", "(5 IS NOT NULL)", "5 IS NOT NULL"},
    {"-5", "('-5'::integer IS NOT NULL)", "'-5'::integer IS NOT NULL"},
    {"1.5", "(1.5 IS NOT NULL)", "1.5 IS NOT NULL"},
    {"'1 day'::interval", "('1 day'::interval IS NOT NULL)", "'1 day'::interval IS NOT NULL"},
    {"now()", "(now() IS NOT NULL)", "now() IS NOT NULL"},
    {"current_timestamp", "(CURRENT_TIMESTAMP IS NOT NULL)", "CURRENT_TIMESTAMP IS NOT NULL"},
    {"current_timestamp(3)", "(CURRENT_TIMESTAMP(3) IS NOT NULL)",
     "CURRENT_TIMESTAMP(3) IS NOT NULL"},
    {"current_date", "(CURRENT_DATE IS NOT NULL)", "CURRENT_DATE IS NOT NULL"},
    {"c at time zone 'UTC'", "((c AT TIME ZONE 'UTC'::text) IS NOT NULL)",
     "(c AT TIME ZONE 'UTC'::text) IS NOT NULL"},
    {"extract(year from c)", "(EXTRACT(year FROM c) IS NOT NULL)",
     "EXTRACT(year FROM c) IS NOT NULL"},
    {"coalesce(a, 1)", "(COALESCE(a, 1) IS NOT NULL)", "COALESCE(a, 1) IS NOT NULL"},
    {"greatest(a, 2)", "(GREATEST(a, 2) IS NOT NULL)", "GREATEST(a, 2) IS NOT NULL"},
    {"nullif(a, 1)", "(NULLIF(a, 1) IS NOT NULL)", "NULLIF(a, 1) IS NOT NULL"},
    {"case when a > 1 then 'x' else b end",
     "(\nCASE\n    WHEN (a > 1) THEN 'x'::text\n    ELSE b\nEND IS NOT NULL)",
     "\nCASE\n    WHEN a > 1 THEN 'x'::text\n    ELSE b\nEND IS NOT NULL"},
    {"case a when 1 then 'x' when 2 then 'y' end",
     "(\nCASE a\n    WHEN 1 THEN 'x'::text\n    WHEN 2 THEN 'y'::text\n    ELSE NULL::text\nEND IS "
     "NOT NULL)",
     "\nCASE a\n    WHEN 1 THEN 'x'::text\n    WHEN 2 THEN 'y'::text\n    ELSE NULL::text\nEND IS "
     "NOT NULL"},
    {"e[1]", "(e[1] IS NOT NULL)", "e[1] IS NOT NULL"},
    {"e[1] + 2", "((e[1] + 2) IS NOT NULL)", "(e[1] + 2) IS NOT NULL"},
    {"array[1,a]", "(ARRAY[1, a] IS NOT NULL)", "ARRAY[1, a] IS NOT NULL"},
    {"row(a,b)", "(ROW(a, b) IS NOT NULL)", "ROW(a, b) IS NOT NULL"},
    {"(a,b) = (1,'x')", "(((a = 1) AND (b = 'x'::text)) IS NOT NULL)",
     "(a = 1 AND b = 'x'::text) IS NOT NULL"},
    {"(a,b) < (1,'x')", "((ROW(a, b) < ROW(1, 'x'::text)) IS NOT NULL)",
     "((ROW(a, b) < ROW(1, 'x'::text))) IS NOT NULL"},
    {"a is null", "((a IS NULL) IS NOT NULL)", "(a IS NULL) IS NOT NULL"},
    {"b is distinct from 'x'", "((b IS DISTINCT FROM 'x'::text) IS NOT NULL)",
     "(b IS DISTINCT FROM 'x'::text) IS NOT NULL"},
    {"a = any(e)", "((a = ANY (e)) IS NOT NULL)", "(a = ANY (e)) IS NOT NULL"},
    {"a = all(array[1,2])", "((a = ALL (ARRAY[1, 2])) IS NOT NULL)",
     "(a = ALL (ARRAY[1, 2])) IS NOT NULL"},
    {"b collate \"C\"", "((b COLLATE \"C\") IS NOT NULL)", "(b COLLATE \"C\") IS NOT NULL"},
    {"substring(b from 1 for 2)", "(SUBSTRING(b FROM 1 FOR 2) IS NOT NULL)",
     "SUBSTRING(b FROM 1 FOR 2) IS NOT NULL"},
    {"trim(b)", "(TRIM(BOTH FROM b) IS NOT NULL)", "TRIM(BOTH FROM b) IS NOT NULL"},
    {"trim(leading 'x' from b)", "(TRIM(LEADING 'x'::text FROM b) IS NOT NULL)",
     "TRIM(LEADING 'x'::text FROM b) IS NOT NULL"},
    {"position('x' in b)", "(POSITION(('x'::text) IN (b)) IS NOT NULL)",
     "POSITION(('x'::text) IN (b)) IS NOT NULL"},
    {"overlay(b placing 'x' from 1)", "(OVERLAY(b PLACING 'x'::text FROM 1) IS NOT NULL)",
     "OVERLAY(b PLACING 'x'::text FROM 1) IS NOT NULL"},
    {"date '2020-01-01'", "('2020-01-01'::date IS NOT NULL)", "'2020-01-01'::date IS NOT NULL"},
    {"true", "(true IS NOT NULL)", "true IS NOT NULL"},
    {"a::float8", "((a)::double precision IS NOT NULL)", "a::double precision IS NOT NULL"},
    {"3000000000", "('3000000000'::bigint IS NOT NULL)", "'3000000000'::bigint IS NOT NULL"},
    {"1e10", "('10000000000'::numeric IS NOT NULL)", "'10000000000'::numeric IS NOT NULL"},
    {"b::varchar(5)", "((b)::character varying(5) IS NOT NULL)",
     "b::character varying(5) IS NOT NULL"},
    {"bp = 'x'", "((bp = 'x'::bpchar) IS NOT NULL)", "(bp = 'x'::bpchar) IS NOT NULL"},
    {"ts + interval '1 hour'", "((ts + '01:00:00'::interval) IS NOT NULL)",
     "(ts + '01:00:00'::interval) IS NOT NULL"},
    {"c > '2020-01-01'", "((c > '2020-01-01 00:00:00+00'::timestamp with time zone) IS NOT NULL)",
     "(c > '2020-01-01 00:00:00+00'::timestamp with time zone) IS NOT NULL"},
    {"-a", "((- a) IS NOT NULL)", "(- a) IS NOT NULL"},
    {"not (a > 1)", "((NOT (a > 1)) IS NOT NULL)", "(NOT a > 1) IS NOT NULL"},
    {"(a > 1) = f", "(((a > 1) = f) IS NOT NULL)", "((a > 1) = f) IS NOT NULL"},
    {"abs(-a)", "(abs((- a)) IS NOT NULL)", "abs(- a) IS NOT NULL"},
    {"(a + 1)::text", "(((a + 1))::text IS NOT NULL)", "((a + 1)::text) IS NOT NULL"},
    {"lower(b || 'x')", "(lower((b || 'x'::text)) IS NOT NULL)",
     "lower(b || 'x'::text) IS NOT NULL"},
    {"a is not null and b is null", "(((a IS NOT NULL) AND (b IS NULL)) IS NOT NULL)",
     "(a IS NOT NULL AND b IS NULL) IS NOT NULL"},
    {"concat(a, b)", "(concat(a, b) IS NOT NULL)", "concat(a, b) IS NOT NULL"},
    {"round(d, 2)", "(round(d, 2) IS NOT NULL)", "round(d, 2) IS NOT NULL"},
    {"a % 2 * 3", "(((a % 2) * 3) IS NOT NULL)", "(a % 2 * 3) IS NOT NULL"},
    {"a ^ 2", "(((a)::double precision ^ (2)::double precision) IS NOT NULL)",
     "(a::double precision ^ 2::double precision) IS NOT NULL"},
};

static void check_text(struct arena *mem, struct expr *e, bool pretty, const char *expected)
{
    struct strbuf b;
    strbuf_init(&b, mem);
    const struct deparse_options o = {.pretty = pretty};
    CHECK_OK(expr_deparse(mem, e, &o, &b));
    bool same = b.data && strcmp(b.data, expected) == 0;
    CHECK(same);
    if (!same)
        fprintf(stderr, "got      %s\nexpected %s\n", b.data, expected);
}

static SUSPENDS void body(void)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena *mem = arena_new();
        struct analyze_options o = test_options(cases[i].expression);
        struct expr *e = NULL;
        CHECK_OK(
            analyze_table_expr_wait(&o, &test_table, cases[i].expression, OID_NONE, -1, mem, &e));
        if (e) {
            struct expr *test = expr_new(mem, EXPR_IS_NULL, TYPE_BOOL, -1);
            test->negated = true;
            test->args = &e;
            test->arg_count = 1;
            check_text(mem, test, false, cases[i].plain);
            check_text(mem, test, true, cases[i].pretty);
        }
        arena_free(mem);
    }
}

static void as_postgres(void)
{
    unit_run(1, body);
}

/* Copies are equal and print the same; different expressions are not equal. */
static SUSPENDS void body_copies(void)
{
    struct arena *mem = arena_new();
    struct expr *previous = NULL;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct analyze_options o = test_options(cases[i].expression);
        struct expr *e = NULL;
        CHECK_OK(
            analyze_table_expr_wait(&o, &test_table, cases[i].expression, OID_NONE, -1, mem, &e));
        if (!e)
            continue;
        struct expr *c = expr_copy(mem, e);
        CHECK(c != e && expr_equal(c, e));
        CHECK(!previous || !expr_equal(previous, e));
        previous = e;
    }
    arena_free(mem);
}

static void copies_are_equal(void)
{
    unit_run(1, body_copies);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"as_postgres", as_postgres},
        {"copies_are_equal", copies_are_equal},
    };
    return unit_main("sql_deparse", tests, ARRAY_LEN(tests));
}
