/* Which literals are taken out of a text, as what, and what is left alone. */
#include "sql/session/literals.c"

#include "tests/unit/core/unit.h"

static void check_text(const char *text, const char *expected, uint32_t count)
{
    struct arena *mem = arena_new();
    struct literals l;
    bool taken = literals_take(text, true, mem, &l);
    CHECK(taken);
    if (taken && (strcmp(l.text, expected) != 0 || l.count != count)) {
        printf("%s\n  gave     %s (%u)\n  expected %s (%u)\n", text, l.text, l.count, expected,
               count);
        CHECK(false);
    }
    arena_free(mem);
}

static void check_left_alone(const char *text)
{
    check_text(text, text, 0);
}

static void check_given_up(const char *text)
{
    struct arena *mem = arena_new();
    struct literals l;
    if (literals_take(text, true, mem, &l))
        printf("%s\n  was taken as %s\n", text, l.text);
    CHECK(!literals_take(text, true, mem, &l));
    arena_free(mem);
}

static void check_type(const char *number, oid type, const char *text)
{
    struct arena *mem = arena_new();
    struct literals l;
    CHECK(literals_take(arena_printf(mem, "select a from t where a = %s", number), true, mem, &l));
    CHECK(l.count == (type != OID_NONE || text != NULL ? 1u : 0u));
    if (l.count == 1) {
        CHECK(l.types[0] == type);
        CHECK(strcmp(l.items[0].text, text) == 0);
        CHECK(l.items[0].len == strlen(text));
    }
    arena_free(mem);
}

static void body_taken(void)
{
    check_text("SELECT a FROM t WHERE id = 7;", "SELECT a FROM t WHERE id = $1", 1);
    check_text("select a from t where \"Id\"=7 and s<>'x' or f(a) >= 1.5 order by a limit 3",
               "select a from t where \"Id\"=$1 and s<>$2 or f(a) >= $3 order by a limit 3", 3);
    check_text("UPDATE t SET a = a + -12, b = 'x' WHERE id = -3",
               "UPDATE t SET a = a + $1, b = $2 WHERE id = $3", 3);
    check_text("insert into t (a, b) values (1, 'x'), (-2, now()), (f(3), 4 + 5) returning a + 1",
               "insert into t (a, b) values ($1, $2), ($3, now()), (f(3), 4 + 5) returning a + 1",
               3);
    check_text("delete from t /* of 1 */ where a = 1 -- 2\n",
               "delete from t /* of 1 */ where a = $1", 1);
    check_text("select a from t where b in (select c from u where d = 1) and e = 2",
               "select a from t where b in (select c from u where d = $1) and e = $2", 2);
    check_text("select (select b from u where c = 1), d + 2 from t",
               "select (select b from u where c = $1), d + 2 from t", 1);
}

static void body_left_alone(void)
{
    check_left_alone("select 1");
    check_left_alone("select a + 1 from t group by a + 1 order by 1, 2 limit 3 offset 4");
    check_left_alone("select a from t where a = 1::int2");
    check_left_alone("select a from t where a = '1' || b");
    check_left_alone("select a from t where a = 1 + b");
    check_left_alone("select a from t where a = date '2020-01-01'");
    check_left_alone("select a from t where a > now() - interval '1 day'");
    check_left_alone("select a from t where a::numeric(10,2) in (1, 2)");
    check_left_alone("select a from t where a like 'x%'");
    check_left_alone("select a from t where b + 2147483647 > c");
    check_left_alone("select a from t where a[1] = 2");
    check_left_alone("select a from t where b->'k' = 'v' or c @> 'x'");
    check_left_alone("select a from t where s = 'a'\n'b'");
    check_left_alone("select a from t having count(*) > 1");
    check_left_alone("select * from t join u on t.a = 1");
    check_left_alone("select * from (values (1), (2)) v");
    check_left_alone("insert into t select 1, 'x'");
    check_left_alone("insert into t values (1 + 2, -(3), cast('4' as int), 5::int2)");
}

static void body_given_up(void)
{
    static const char *const texts[] = {
        "",
        "-- nothing",
        "begin",
        "explain select a from t where a = 1",
        "with x as (select 1) select a from x where a = 1",
        "select 1; select 2",
        "select a from t where a = $1",
        "select a from t where a = $$x$$",
        "select a from t where a = E'x'",
        "select a from t where a = U&'x'",
        "select a from t where a = 'x\\y'",
        "select a from t where a = 'x",
        "select a from t where \"a = 1",
        "select a from t where a = 1x",
        "select a from t where a = 1..2",
        "select a from t where a = .5",
        "select a from t where (a = 1",
        "select a from t where a = 1)",
        "select a from t /* where a = 1",
        "select a23456789_123456789_123456789_123456789_123456789_123456789_1234 from t",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        check_given_up(texts[i]);
    struct arena *mem = arena_new();
    char *deep = arena_zalloc(mem, 200);
    strcpy(deep, "select ");
    memset(deep + 7, '(', 40);
    memset(deep + 47, ')', 40);
    check_given_up(deep);
    char *longer = arena_zalloc(mem, TEXT_BYTES_MAX + 2);
    memset(longer, ' ', TEXT_BYTES_MAX + 1);
    memcpy(longer, "select", 6);
    check_given_up(longer);
    longer[TEXT_BYTES_MAX] = '\0';
    struct literals l;
    CHECK(literals_take(longer, true, mem, &l));
    arena_free(mem);
}

static void body_types(void)
{
    check_type("0", TYPE_INT4, "0");
    check_type("2147483647", TYPE_INT4, "2147483647");
    check_type("-2147483648", TYPE_INT4, "-2147483648");
    check_type("2147483648", OID_NONE, NULL);
    check_type("2147483649", TYPE_INT8, "2147483649");
    check_type("- 5", TYPE_INT4, "-5");
    check_type("9223372036854775806", TYPE_INT8, "9223372036854775806");
    check_type("9223372036854775808", OID_NONE, NULL);
    check_type("99999999999999999999999999", OID_NONE, NULL);
    check_type("1.50", TYPE_NUMERIC, "1.50");
    check_type("-1e3", TYPE_NUMERIC, "-1e3");
    check_type("'it''s'", OID_NONE, "it's");
    check_type("''", OID_NONE, "");
}

static void body_not_taken_when_off(void)
{
    struct arena *mem = arena_new();
    struct literals l;
    CHECK(literals_take("select a from t where a = 1 ; ", false, mem, &l));
    CHECK(l.count == 0 && strcmp(l.text, "select a from t where a = 1") == 0);
    arena_free(mem);
}

static void taken(void)
{
    unit_run(1, body_taken);
}
static void left_alone(void)
{
    unit_run(1, body_left_alone);
}
static void given_up(void)
{
    unit_run(1, body_given_up);
}
static void types(void)
{
    unit_run(1, body_types);
}
static void not_taken_when_off(void)
{
    unit_run(1, body_not_taken_when_off);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"taken", taken},
        {"left_alone", left_alone},
        {"given_up", given_up},
        {"types", types},
        {"not_taken_when_off", not_taken_when_off},
    };
    return unit_main("literals", tests, ARRAY_LEN(tests));
}
