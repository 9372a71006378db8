/*
 * Analysis of statements that need no catalog: result names and types, parameter types, and errors
 * with SQLSTATE, position and hints. Expected texts agree with PostgreSQL 15 (\\gdesc).
 */
#include "sql/analyze/query.h"
#include "sql/parse/parse.h"
#include "tests/unit/core/unit.h"
#include "tests/unit/sql_analyze/table.h"

struct analysed {
    const char *statement;
    const char *expected;
};
static const struct analysed cases[] = {
    {"select 1", "?column?|integer"},
    {"select 1 + 2.5, 'x', null, true, 1.5::float4, 3000000000",
     "?column?|numeric\n?column?|text\n?column?|text\n?column?|boolean\nfloat4|real\n?column?|"
     "bigint"},
    {"select case when true then 1 else 2.5 end, coalesce(null, 1), nullif(1,2), greatest(1,2.5)",
     "case|numeric\ncoalesce|integer\nnullif|integer\ngreatest|numeric"},
    {"select f(1, 'x', null)", "ERROR:  42883: function f(integer, unknown, unknown) does not "
                               "exist\nPOS 8\nHINT:  No function matches the given name and "
                               "argument types. You might need to add explicit type casts."},
    {"select 1 + 'a'::text",
     "ERROR:  42883: operator does not exist: integer + text\nPOS 10\nHINT:  No operator matches "
     "the given name and argument types. You might need to add explicit type casts."},
    {"select 'x' || 1", "?column?|text"},
    {"select 1 || 2",
     "ERROR:  42883: operator does not exist: integer || integer\nPOS 10\nHINT:  No operator "
     "matches the given name and argument types. You might need to add explicit type casts."},
    {"select 1 union select 2.5", "?column?|numeric"},
    {"select 1 union select 'x'",
     "ERROR:  22P02: invalid input syntax for type integer: \"x\"\nPOS 23"},
    {"select '1' union select 2", "?column?|integer"},
    {"select 1, 2 union select 1",
     "ERROR:  42601: each UNION query must have the same number of columns\nPOS 26"},
    {"select 'a' union select null", "?column?|text"},
    {"with x as (select 1 as q), y(z) as (select q + 1 from x) select * from y, x",
     "z|integer\nq|integer"},
    {"with x as (select 1), x as (select 2) select 1",
     "ERROR:  42712: WITH query name \"x\" specified more than once\nPOS 23"},
    {"with recursive t(n) as (values (1) union all select n + 1 from t where n < 10) select sum(n) "
     "from t",
     "sum|bigint"},
    {"with recursive t(n) as (select 1 union all select n + 1.5 from t) select * from t",
     "ERROR:  42804: recursive query \"t\" column 1 has type integer in non-recursive term but "
     "type numeric overall\nPOS 32\nHINT:  Cast the output of the non-recursive term to the "
     "correct type."},
    {"with recursive t as (select * from t) select 1",
     "ERROR:  42P19: recursive query \"t\" does not have the form non-recursive-term UNION [ALL] "
     "recursive-term\nPOS 16"},
    {"values (1, 'a'), (2, null)", "column1|integer\ncolumn2|text"},
    {"values (1), (1, 2)", "ERROR:  42601: VALUES lists must all be the same length\nPOS 14"},
    {"values (1), ('x')", "ERROR:  22P02: invalid input syntax for type integer: \"x\"\nPOS 14"},
    {"select * from (values (1, 2.5), (2, 3)) v(a, b)", "a|integer\nb|numeric"},
    {"select * from (values (1)) v(a, b)",
     "ERROR:  42P10: table \"v\" has 1 columns available but 2 columns specified"},
    {"select * from generate_series(1, 3)", "generate_series|integer"},
    {"select * from generate_series(1, 3) g", "g|integer"},
    {"select g.g, * from generate_series(1, 3) as g(x) ",
     "ERROR:  42703: column g.g does not exist\nPOS 8"},
    {"select x from generate_series(1, 3) with ordinality as g(x, o)", "x|integer"},
    {"select generate_series(1, 3)", "generate_series|integer"},
    {"select 1 where generate_series(1,2) > 0",
     "ERROR:  0A000: set-returning functions are not allowed in WHERE\nPOS 16"},
    {"select now(), current_date, current_timestamp(2), localtime, user",
     "now|timestamp with time zone\ncurrent_date|date\ncurrent_timestamp|timestamp(2) with time "
     "zone\nlocaltime|time without time zone\nuser|name"},
    {"select date '2020-01-01' + 1, timestamp '2020-01-01' - timestamp '2019-01-01', interval '1 "
     "day' * 2",
     "?column?|date\n?column?|interval\n?column?|interval"},
    {"select '2020-01-01'::date - '2019-01-01'", "?column?|integer"},
    {"select interval '1' day, interval '1-2' year to month, interval '1.234' second(2)",
     "interval|interval day\ninterval|interval year to month\ninterval|interval second(2)"},
    {"select extract(year from now()), date_part('year', now())",
     "extract|numeric\ndate_part|double precision"},
    {"select substring('abc' from 2), position('b' in 'abc'), trim('  a '), overlay('abc' placing "
     "'x' from 1)",
     "substring|text\nposition|integer\nbtrim|text\noverlay|text"},
    {"select cast('x' as int)",
     "ERROR:  22P02: invalid input syntax for type integer: \"x\"\nPOS 13"},
    {"select '12x'::int", "ERROR:  22P02: invalid input syntax for type integer: \"12x\"\nPOS 8"},
    {"select 1::text::varchar(3), 'abc'::char(2), 'a'::bpchar, 1::numeric(5,2)",
     "varchar|character varying(3)\nbpchar|character(2)\nbpchar|bpchar\nnumeric|numeric(5,2)"},
    {"select cast(1 as boolean), 1.5::int, true::int", "bool|boolean\nint4|integer\nint4|integer"},
    {"select cast(true as float8)",
     "ERROR:  42846: cannot cast type boolean to double precision\nPOS 8"},
    {"select array[1,2.5], array['a','b'], array[]::int[], array[[1,2],[3,4]]",
     "array|numeric[]\narray|text[]\narray|integer[]\narray|integer[]"},
    {"select array[]", "ERROR:  42P18: cannot determine type of empty array\nPOS 8\nHINT:  "
                       "Explicitly cast to the desired type, for example ARRAY[]::integer[]."},
    {"select array[1,'x']", "ERROR:  22P02: invalid input syntax for type integer: \"x\"\nPOS 16"},
    {"select row(1,2), (1,2) = (1,2), (1,2) < (3,4), (1,2,3) = (1,2)",
     "ERROR:  42601: unequal number of entries in row expressions\nPOS 56"},
    {"select abs(-1), round(1.5), round(1.5::float8), sqrt(4), power(2,3), mod(5,3), length('x'), "
     "upper('x')",
     "abs|integer\nround|numeric\nround|double precision\nsqrt|double precision\npower|double "
     "precision\nmod|integer\nlength|integer\nupper|text"},
    {"select int4('5'), text(5), numeric(5)",
     "ERROR:  42601: syntax error at end of input\nPOS 38"},
    {"select date('2020-01-01')", "date|date"},
    {"select make_interval(days => 3), make_interval(1, 2, 3), make_interval(days => 3, 4)",
     "ERROR:  42601: positional argument cannot follow named argument\nPOS 83"},
    {"select lower(name => 'x')",
     "ERROR:  42883: function lower(name => unknown) does not exist\nPOS 8\nHINT:  No function "
     "matches the given name and argument types. You might need to add explicit type casts."},
    {"select concat('a', 1, null), format('%s', 1), concat_ws(',', 'a', 'b')",
     "concat|text\nformat|text\nconcat_ws|text"},
    {"select *", "ERROR:  42601: SELECT * with no tables specified is not valid\nPOS 8"},
    {"select pg_typeof(1), pg_typeof('x'), pg_typeof(null)",
     "pg_typeof|regtype\npg_typeof|regtype\npg_typeof|regtype"},
    {"select 1 = 1.0, 1::int8 = 1::int2, 'a' = 'b', null = null",
     "?column?|boolean\n?column?|boolean\n?column?|boolean\n?column?|boolean"},
    {"select '1' = 1", "?column?|boolean"},
    {"select 'x' = 1", "ERROR:  22P02: invalid input syntax for type integer: \"x\"\nPOS 8"},
    {"select 1 < 'x'::varchar", "ERROR:  42883: operator does not exist: integer < character "
                                "varying\nPOS 10\nHINT:  No operator matches the given name and "
                                "argument types. You might need to add explicit type casts."},
    {"select 1 as a union (select 2 order by 1 limit 1) order by a", "a|integer"},
    {"(select 1) union all (select 2 union select 3) intersect select 4", "?column?|integer"},
    {"select unnest(array[1,2]), unnest('{a,b}'::text[])", "unnest|integer\nunnest|text"},
    {"select * from unnest(array[1,2], array['a','b']) as u(x, y)", "x|integer\ny|text"},
    {"select * from rows from (generate_series(1,2), generate_series(1,3)) as r",
     "generate_series|integer\ngenerate_series|integer"},
    {"select * from pg_get_keywords()",
     "word|text\ncatcode|\"char\"\nbarelabel|boolean\ncatdesc|text\nbaredesc|text"},
    {"select $1", "?column?|text\nPARAMS text"},
    {"select $1 + 1, $2::text, $1",
     "?column?|integer\ntext|text\n?column?|integer\nPARAMS integer text"},
    {"select $1 = $2", "?column?|boolean\nPARAMS text text"},
    {"select $1::int, $1::text", "int4|integer\ntext|text\nPARAMS integer"},
    {"select 'abc'::bytea, '{1,2}'::int[], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
     "bytea|bytea\nint4|integer[]\nuuid|uuid"},
    {"select coalesce()", "ERROR:  42601: syntax error at or near \")\"\nPOS 17"},
    {"select case when true then 1 else 'x' end",
     "ERROR:  22P02: invalid input syntax for type integer: \"x\"\nPOS 35"},
    {"select default", "ERROR:  42601: DEFAULT is not allowed in this context\nPOS 8"},
    {"select operator(pg_catalog.+) 1", "?column?|integer"},
    {"select 1 operator(pg_catalog.+) 2", "?column?|integer"},
    {"select (date '2020-01-01', date '2020-02-01') overlaps (date '2020-01-15', interval '1 "
     "month')",
     "overlaps|boolean"},
    {"select to_char(now(), 'YYYY'), to_date('2020', 'YYYY'), age(now())",
     "to_char|text\nto_date|date\nage|interval"},
};

static void describe_error(struct strbuf *b, err_t e)
{
    const struct diag *d = err_diag();
    strbuf_printf(b, "ERROR:  %s: %s", err_sqlstate(e), d->message);
    if (d->position)
        strbuf_printf(b, "\nPOS %d", d->position);
    if (d->detail)
        strbuf_printf(b, "\nDETAIL:  %s", d->detail);
    if (d->hint)
        strbuf_printf(b, "\nHINT:  %s", d->hint);
}

static void describe_query(struct strbuf *b, struct arena *mem, const struct statement *st)
{
    const struct query *q = st->query;
    const char *between = "";
    for (uint32_t i = 0; i < q->target_count; i++) {
        const struct target *t = &q->targets[i];
        if (t->junk)
            continue;
        strbuf_printf(b, "%s%s|%s", between, t->name,
                      type_format(mem, t->expr->type, t->expr->typmod));
        between = "\n";
    }
    if (between[0] == '\0')
        strbuf_puts(b, "The command has no result, or the result has no columns.");
    if (st->param_count)
        strbuf_puts(b, "\nPARAMS");
    for (uint32_t i = 0; i < st->param_count; i++)
        strbuf_printf(b, " %s", type_format(mem, st->param_types[i], -1));
}

static SUSPENDS void body(void)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena *mem = arena_new();
        struct analyze_options o = test_options(cases[i].statement);
        struct parsed *p = NULL;
        struct statement *st = NULL;
        struct strbuf b;
        strbuf_init(&b, mem);
        strbuf_puts(&b, "");
        err_t e = parse_text(cases[i].statement, mem, &p);
        if (e == ERR_OK)
            e = analyze_statement_wait(&o, &p->statements[0], mem, &st);
        if (e != ERR_OK)
            describe_error(&b, e);
        else
            describe_query(&b, mem, st);
        bool same = strcmp(b.data, cases[i].expected) == 0;
        CHECK(same);
        if (!same)
            fprintf(stderr, "%s\ngot\n%s\nexpected\n%s\n", cases[i].statement, b.data,
                    cases[i].expected);
        parse_free(p);
        arena_free(mem);
    }
}

static void statements(void)
{
    unit_run(1, body);
}

/* Nesting deeper than the stack is an error, not a crash. */
static SUSPENDS void body_deep(void)
{
    struct arena *mem = arena_new();
    struct strbuf text;
    strbuf_init(&text, mem);
    strbuf_puts(&text, "select ");
    for (int i = 0; i < 1500; i++)
        strbuf_puts(&text, "1 + (");
    strbuf_puts(&text, "1");
    for (int i = 0; i < 1500; i++)
        strbuf_puts(&text, ")");
    struct analyze_options o = test_options(text.data);
    struct parsed *p = NULL;
    struct statement *st = NULL;
    CHECK_OK(parse_text(text.data, mem, &p));
    CHECK(analyze_statement_wait(&o, &p->statements[0], mem, &st) == ERR_STATEMENT_TOO_COMPLEX);
    parse_free(p);
    arena_free(mem);
}

static void deep_nesting(void)
{
    unit_run(1, body_deep);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"statements", statements},
        {"deep_nesting", deep_nesting},
    };
    return unit_main("sql_analyze", tests, ARRAY_LEN(tests));
}
