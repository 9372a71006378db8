/* Dates, times, intervals and zones: text forms as PostgreSQL's, binary forms, order and keys. */
#include "tests/unit/sql_funcs/cases.h"

#include "sql/types/datetime.h"
#include "sql/types/interval.h"

static const struct test_case text_cases[] = {
#include "tests/unit/sql_types/datetime_cases.def"
};
static void body_text(void)
{
    run_cases(text_cases, ARRAY_LEN(text_cases));
}

/* Values in ascending order: compare, sort keys and hashes must agree, binary forms come back. */
static void check_order(const char *type, const char *const *texts, size_t count)
{
    struct arena *mem = arena_new();
    const struct type_info *t = type_find_name(type);
    datum values[16];
    struct strbuf keys[16];
    for (size_t i = 0; i < count; i++) {
        CHECK_OK(value_input(&test_env, mem, t->oid, -1, texts[i], strlen(texts[i]), &values[i]));
        strbuf_init(&keys[i], mem);
        t->sort_key(values[i], &keys[i]);
        struct strbuf wire;
        datum back = 0;
        strbuf_init(&wire, mem);
        CHECK_OK(value_send(&test_env, mem, t->oid, values[i], &wire));
        CHECK_OK(
            value_receive(&test_env, mem, t->oid, -1, (const uint8_t *)wire.data, wire.len, &back));
        CHECK(t->compare(values[i], back) == 0);
        CHECK(t->hash(values[i]) == t->hash(back));
        err_t e = value_receive(&test_env, mem, t->oid, -1, (const uint8_t *)wire.data,
                                wire.len - 1, &back);
        CHECK(e == ERR_PROTOCOL_VIOLATION);
        uint8_t longer[32] = {0};
        memcpy(longer, wire.data, wire.len);
        e = value_receive(&test_env, mem, t->oid, -1, longer, wire.len + 1, &back);
        CHECK(e == ERR_INVALID_BINARY_REPRESENTATION && value_was_overlong(e));
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            int expected = (i > k) - (i < k);
            int c = t->compare(values[i], values[k]);
            CHECK((c > 0) - (c < 0) == expected);
            int b = memcmp(keys[i].data, keys[k].data, MIN(keys[i].len, keys[k].len));
            CHECK((b > 0) - (b < 0) == expected);
        }
    }
    arena_free(mem);
}
static void body_order(void)
{
    static const char *const dates[] = {"-infinity",  "4714-11-24 BC", "0001-01-01", "1999-12-31",
                                        "2000-01-01", "5874897-12-31", "infinity"};
    static const char *const times[] = {"00:00", "00:00:00.000001", "12:00", "24:00"};
    static const char *const timetz[] = {"00:00+10", "12:00+02", "11:00+01", "10:00+00",
                                         "10:00-01"};
    static const char *const stamps[] = {
        "-infinity",  "4714-11-24 BC",      "1969-12-31 23:59:59.999999",
        "1970-01-01", "294276-12-31 23:59", "infinity"};
    static const char *const intervals[] = {
        "-178000000 years", "-1 mon", "-29 days",         "00:00",
        "23:59:59.999999",  "1 day",  "29 days 24:00:01", "178000000 years"};
    check_order("date", dates, ARRAY_LEN(dates));
    check_order("time", times, ARRAY_LEN(times));
    check_order("timetz", timetz, ARRAY_LEN(timetz));
    check_order("timestamp", stamps, ARRAY_LEN(stamps));
    check_order("timestamptz", stamps, ARRAY_LEN(stamps));
    check_order("interval", intervals, ARRAY_LEN(intervals));
    struct interval month = {.month = 1};
    struct interval days = {.day = 30};
    struct interval hours = {.usec = 720 * USECS_PER_HOUR};
    struct arena *mem = arena_new();
    datum a = interval_make(mem, month);
    datum b = interval_make(mem, days);
    datum c = interval_make(mem, hours);
    const struct type_info *t = type_find(TYPE_INTERVAL);
    CHECK(t->compare(a, b) == 0 && t->compare(b, c) == 0);
    CHECK(t->hash(a) == t->hash(b) && t->hash(b) == t->hash(c));
    arena_free(mem);
}

static void body_calendar(void)
{
    int64_t previous = days_of_civil(-4713, 11, 23);
    for (int64_t year = -4713; year < 3000; year++) {
        for (int32_t month = year == -4713 ? 12 : 1; month <= 12; month++) {
            int64_t first = days_of_civil(year, month, 1);
            int64_t y;
            int32_t m;
            int32_t d;
            civil_of_days(first - 1, &y, &m, &d);
            CHECK(d == month_days(y, m));
            civil_of_days(first, &y, &m, &d);
            CHECK(y == year && m == month && d == 1);
            CHECK(first > previous);
            previous = first;
        }
    }
    CHECK(days_of_civil(2000, 1, 1) == 0);
    CHECK(days_of_civil(1970, 1, 1) == EPOCH_1970_DAYS);
    CHECK(week_day(0) == 6);
}

static void body_zones(void)
{
    const struct time_zone *berlin = time_zone_find("europe/BERLIN");
    CHECK(berlin != NULL && berlin == time_zone_find("Europe/Berlin"));
    CHECK(strcmp(time_zone_name(berlin), "Europe/Berlin") == 0);
    CHECK(time_zone_find("Europe/Nowhere") == NULL);
    CHECK(time_zone_find("../../etc/passwd") == NULL);
    CHECK(time_zone_find("/etc/localtime") == NULL);
    CHECK(time_zone_find("") == NULL);
    CHECK(strcmp(time_zone_name(time_zone_find("+02")), "<+02>-02") == 0);
    bool dst;
    const char *name;
    CHECK(time_zone_offset_at(time_zone_find("-3.5"), 0, &dst, &name) == -12600);
    CHECK(strcmp(name, "-03:30") == 0 && !dst);
    /* July 2500, far beyond the file's transitions. */
    int64_t july = days_of_civil(2500, 7, 1) * USECS_PER_DAY;
    CHECK(time_zone_offset_at(berlin, july, &dst, &name) == 7200);
    CHECK(dst && strcmp(name, "CEST") == 0);
    int64_t gap = days_of_civil(2500, 3, 28) * USECS_PER_DAY + 2 * USECS_PER_HOUR + 1;
    CHECK(time_zone_offset_local(berlin, gap) == 3600);
    CHECK(time_zone_offset_at(NULL, july, &dst, &name) == 0 && strcmp(name, "UTC") == 0);
}

static void text(void)
{
    unit_run(1, body_text);
}
static void order(void)
{
    unit_run(1, body_order);
}
static void calendar(void)
{
    unit_run(1, body_calendar);
}
static void zones(void)
{
    unit_run(1, body_zones);
}
int main(void)
{
    static const struct unit_test tests[] = {
        {"text", text}, {"order", order}, {"calendar", calendar}, {"zones", zones}};
    return unit_main("datetime", tests, ARRAY_LEN(tests));
}
