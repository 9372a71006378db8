/* numeric: text forms, exact and inexact arithmetic against values that PostgreSQL 15 gives. */
#include "sql/types/number.h"

#include "tests/unit/core/unit.h"

static struct arena *mem;

static datum make(const char *text)
{
    struct number n;
    const char *end;
    datum d = 0;
    CHECK_OK(number_parse(mem, text, strlen(text), &n, &end));
    CHECK_OK(number_pack(mem, &n, &d));
    return d;
}

static const char *show(datum d)
{
    struct number n;
    struct strbuf b;
    number_read(d, &n);
    strbuf_init(&b, mem);
    number_format(&n, &b);
    return b.data;
}

static const char *show_number(const struct number *n)
{
    datum d = 0;
    CHECK_OK(number_pack(mem, n, &d));
    return show(d);
}

#define CHECK_TEXT(actual, expected)                                                               \
    do {                                                                                           \
        const char *text_ = (actual);                                                              \
        if (strcmp(text_, expected) != 0)                                                          \
            fprintf(stderr, "got %s, expected %s\n", text_, expected);                             \
        CHECK(strcmp(text_, expected) == 0);                                                       \
    } while (0)

static void text_round_trip(void)
{
    static const char *const same[] = {"0",
                                       "1",
                                       "-1",
                                       "10000",
                                       "9999",
                                       "123456789012345678901234567890",
                                       "0.5",
                                       "0.00001",
                                       "-0.0000000001",
                                       "12345.678900",
                                       "100000000",
                                       "1.10",
                                       "0.000",
                                       "99999999.99999999"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        CHECK_TEXT(show(make(same[i])), same[i]);
    CHECK_TEXT(show(make("1e10")), "10000000000");
    CHECK_TEXT(show(make("1.5e-3")), "0.0015");
    CHECK_TEXT(show(make("5e-2")), "0.05");
    CHECK_TEXT(show(make("5e-5")), "0.00005");
    CHECK_TEXT(show(make("-0")), "0");
    CHECK_TEXT(show(make("00012.50")), "12.50");
    CHECK_TEXT(show(make(".25")), "0.25");
}

static const char *binary(err_t (*fn)(struct arena *, datum, datum, datum *), const char *a,
                          const char *b)
{
    datum r = 0;
    CHECK_OK(fn(mem, make(a), make(b), &r));
    return show(r);
}

static void arithmetic(void)
{
    CHECK_TEXT(binary(numeric_add, "0.1", "0.2"), "0.3");
    CHECK_TEXT(binary(numeric_add, "9999.9999", "0.0001"), "10000.0000");
    CHECK_TEXT(binary(numeric_sub, "1", "0.0001"), "0.9999");
    CHECK_TEXT(binary(numeric_sub, "5", "7.25"), "-2.25");
    CHECK_TEXT(binary(numeric_add, "123456789012345678901234567890", "1"),
               "123456789012345678901234567891");
    CHECK_TEXT(binary(numeric_mul, "1.10", "2"), "2.20");
    CHECK_TEXT(binary(numeric_mul, "99999999999", "99999999999"), "9999999999800000000001");
    CHECK_TEXT(binary(numeric_div, "10", "3.0"), "3.3333333333333333");
    CHECK_TEXT(binary(numeric_div, "1", "3"), "0.33333333333333333333");
    CHECK_TEXT(binary(numeric_div, "7.0", "2"), "3.5000000000000000");
    CHECK_TEXT(binary(numeric_div, "123456789012345678901234567890", "987654321.123"),
               "124999998857870312544.015");
    CHECK_TEXT(binary(numeric_div, "1", "99999999999999999999"),
               "0.000000000000000000010000000000000000");
    CHECK_TEXT(binary(numeric_div, "-55", "5"), "-11.0000000000000000");
}

static const char *rounded(const char *text, int32_t scale)
{
    struct number n;
    number_read(make(text), &n);
    struct number r = number_round(mem, &n, scale);
    return show_number(&r);
}

static void rounding(void)
{
    CHECK_TEXT(rounded("2.5", 0), "3");
    CHECK_TEXT(rounded("-2.5", 0), "-3");
    CHECK_TEXT(rounded("9999.5", 0), "10000");
    CHECK_TEXT(rounded("99999999.995", 2), "100000000.00");
    CHECK_TEXT(rounded("1.2345", 2), "1.23");
    CHECK_TEXT(rounded("0.4", 0), "0");
    CHECK_TEXT(rounded("0.5", 0), "1");
    CHECK_TEXT(rounded("12345", -2), "12300");
    CHECK_TEXT(rounded("55", -2), "100");
    CHECK_TEXT(rounded("45", -2), "0");
    CHECK_TEXT(rounded("1", 5), "1.00000");
}

/* Quotient × divisor + rest = dividend, over digits that make guesses wrong. */
static void division_property(void)
{
    static const char *const values[] = {"1",
                                         "9999",
                                         "10000",
                                         "99990000",
                                         "100000000",
                                         "123456789",
                                         "99999999999999999999",
                                         "100000000000000000000000001",
                                         "5000500050005000",
                                         "49999999500000005",
                                         "99999998",
                                         "999900000001",
                                         "9999999900000000"};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        for (size_t j = 0; j < ARRAY_LEN(values); j++) {
            struct number a;
            struct number b;
            number_read(make(values[i]), &a);
            number_read(make(values[j]), &b);
            struct number q = number_div(mem, &a, &b, 0, false);
            struct number p = number_mul(mem, &q, &b, 0);
            struct number rest = number_sub(mem, &a, &p);
            CHECK(rest.sign == NUMERIC_POSITIVE);
            CHECK(number_compare(&rest, &b) < 0);
        }
    }
}

static void functions(void)
{
    struct number n;
    number_read(make("2"), &n);
    struct number r = number_sqrt(mem, &n, 15);
    CHECK_TEXT(show_number(&r), "1.414213562373095");
    r = number_exp(mem, &n, 15);
    CHECK_TEXT(show_number(&r), "7.389056098930650");
    r = number_ln(mem, &n, 16);
    CHECK_TEXT(show_number(&r), "0.6931471805599453");
    number_read(make("1000000"), &n);
    r = number_ln(mem, &n, 15);
    CHECK_TEXT(show_number(&r), "13.815510557964274");
    r = number_sqrt(mem, &n, 3);
    CHECK_TEXT(show_number(&r), "1000.000");
    number_read(make("0.0001"), &n);
    r = number_sqrt(mem, &n, 5);
    CHECK_TEXT(show_number(&r), "0.01000");
    number_read(make("-3.5"), &n);
    r = number_exp(mem, &n, 17);
    CHECK_TEXT(show_number(&r), "0.03019738342231850");
}

static void order_and_keys(void)
{
    static const char *const ascending[] = {"-100000", "-99999.9", "-10000", "-9999",   "-1.5",
                                            "-1",      "-0.0001",  "0",      "0.00001", "0.1",
                                            "1",       "1.00001",  "9999",   "10000",   "10000.5"};
    const struct type_info *t = type_find(TYPE_NUMERIC);
    for (size_t i = 0; i + 1 < ARRAY_LEN(ascending); i++) {
        datum a = make(ascending[i]);
        datum b = make(ascending[i + 1]);
        CHECK(numeric_compare(a, b) < 0);
        struct strbuf x;
        struct strbuf y;
        strbuf_init(&x, mem);
        strbuf_init(&y, mem);
        t->sort_key(a, &x);
        t->sort_key(b, &y);
        CHECK(memcmp(x.data, y.data, MIN(x.len, y.len)) < 0);
    }
    CHECK(numeric_compare(make("1.0"), make("1")) == 0);
    CHECK(t->hash(make("1.0")) == t->hash(make("1")));
}

static void body(void)
{
    mem = arena_new();
    text_round_trip();
    arithmetic();
    rounding();
    division_property();
    functions();
    order_and_keys();
    arena_free(mem);
}

static void numeric_values(void)
{
    unit_run(1, body);
}

int main(void)
{
    static const struct unit_test tests[] = {{"numeric_values", numeric_values}};
    return unit_main("numeric", tests, ARRAY_LEN(tests));
}
