/*
 * Comparison, arithmetic, casts, constructors and clocks of date, time, timetz, timestamp,
 * timestamptz and interval; AT TIME ZONE; OVERLAPS; series. The values' rules are in
 * sql/types/datetime.h and interval.h.
 */
#include "sql/funcs/funcs_priv.h"

#include "core/core.h"
#include "sql/types/datetime.h"
#include "sql/types/interval.h"

#include "sql/type_functions.h"

#include <math.h>
#include <stdio.h>

#define ZONE(c) env_zone((c)->env)
#define ARG_INTERVAL(n) interval_read(c->args[n])
#define ARG_TIMETZ(n) timetz_read(c->args[n])
#define RETURN_INTERVAL(i) return *out = interval_make(c->mem, (i)), ERR_OK
#define RETURN_TIMETZ(t) return *out = timetz_make(c->mem, (t)), ERR_OK

/* ---- comparison ---- */

#define COMPARISON(name, expression, test)                                                         \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        int order = expression;                                                                    \
        RETURN_BOOL(order test 0);                                                                 \
    }
#define SEVEN(eq, ne, lt, le, gt, ge, cmp, expression)                                             \
    COMPARISON(eq, expression, ==)                                                                 \
    COMPARISON(ne, expression, !=)                                                                 \
    COMPARISON(lt, expression, <)                                                                  \
    COMPARISON(le, expression, <=)                                                                 \
    COMPARISON(gt, expression, >)                                                                  \
    COMPARISON(ge, expression, >=)                                                                 \
    FUNCTION(cmp)                                                                                  \
    {                                                                                              \
        RETURN_I32(expression);                                                                    \
    }
#define SAME_TYPE(t)                                                                               \
    SEVEN(fn_##t##_eq, fn_##t##_ne, fn_##t##_lt, fn_##t##_le, fn_##t##_gt, fn_##t##_ge,            \
          fn_##t##_cmp, t##_compare(c->args[0], c->args[1]))                                       \
    FUNCTION(fn_##t##_larger)                                                                      \
    {                                                                                              \
        RETURN_DATUM(t##_compare(c->args[0], c->args[1]) > 0 ? c->args[0] : c->args[1]);           \
    }                                                                                              \
    FUNCTION(fn_##t##_smaller)                                                                     \
    {                                                                                              \
        RETURN_DATUM(t##_compare(c->args[0], c->args[1]) < 0 ? c->args[0] : c->args[1]);           \
    }
SAME_TYPE(date)
SAME_TYPE(time)
SAME_TYPE(timetz)
SAME_TYPE(timestamp)
SAME_TYPE(interval)
#define CROSS_TYPE(a, b, expression)                                                               \
    SEVEN(fn_##a##_eq_##b, fn_##a##_ne_##b, fn_##a##_lt_##b, fn_##a##_le_##b, fn_##a##_gt_##b,     \
          fn_##a##_ge_##b, fn_##a##_cmp_##b, expression)
CROSS_TYPE(date, timestamp, date_compare_timestamp(ARG_I32(0), ARG_I64(1)))
CROSS_TYPE(timestamp, date, -date_compare_timestamp(ARG_I32(1), ARG_I64(0)))
CROSS_TYPE(date, timestamptz, date_compare_timestamptz(ZONE(c), ARG_I32(0), ARG_I64(1)))
CROSS_TYPE(timestamptz, date, -date_compare_timestamptz(ZONE(c), ARG_I32(1), ARG_I64(0)))
CROSS_TYPE(timestamp, timestamptz, timestamp_compare_timestamptz(ZONE(c), ARG_I64(0), ARG_I64(1)))
CROSS_TYPE(timestamptz, timestamp, -timestamp_compare_timestamptz(ZONE(c), ARG_I64(1), ARG_I64(0)))

static uint32_t fold(int64_t v)
{
    uint32_t low = (uint32_t)v;
    uint32_t high = (uint32_t)((uint64_t)v >> 32);
    return low ^ (v >= 0 ? high : ~high);
}
FUNCTION(fn_time_hash)
{
    RETURN_I32((int32_t)pg_hash_u32(fold(ARG_I64(0))));
}
FUNCTION(fn_time_hash_extended)
{
    RETURN_I64((int64_t)pg_hash_u32_extended(fold(ARG_I64(0)), (uint64_t)ARG_I64(1)));
}
FUNCTION(fn_timetz_hash)
{
    struct timetz t = ARG_TIMETZ(0);
    RETURN_I32((int32_t)(pg_hash_u32(fold(t.usec)) ^ pg_hash_u32((uint32_t)t.zone)));
}
FUNCTION(fn_timetz_hash_extended)
{
    struct timetz t = ARG_TIMETZ(0);
    uint64_t seed = (uint64_t)ARG_I64(1);
    RETURN_I64((int64_t)(pg_hash_u32_extended(fold(t.usec), seed) ^
                         pg_hash_u32_extended((uint32_t)t.zone, seed)));
}
FUNCTION(fn_interval_hash)
{
    struct interval i = ARG_INTERVAL(0);
    RETURN_I32((int32_t)pg_hash_u32(fold((int64_t)interval_span(&i))));
}
FUNCTION(fn_interval_hash_extended)
{
    struct interval i = ARG_INTERVAL(0);
    RETURN_I64(
        (int64_t)pg_hash_u32_extended(fold((int64_t)interval_span(&i)), (uint64_t)ARG_I64(1)));
}

FUNCTION(fn_date_finite)
{
    RETURN_BOOL(date_is_finite(ARG_I32(0)));
}
FUNCTION(fn_timestamp_finite)
{
    RETURN_BOOL(timestamp_is_finite(ARG_I64(0)));
}
FUNCTION(fn_interval_finite)
{
    (void)c;
    RETURN_BOOL(true);
}

/* ---- dates and numbers ---- */

static err_t date_plus(int32_t date, int64_t days, datum *out)
{
    if (!date_is_finite(date))
        RETURN_I32(date);
    int64_t sum = date + days;
    if (!date_is_valid(sum))
        return raise_date_range();
    RETURN_I32((int32_t)sum);
}
FUNCTION(fn_date_pli)
{
    return date_plus(ARG_I32(0), ARG_I32(1), out);
}
FUNCTION(fn_date_mii)
{
    return date_plus(ARG_I32(0), -(int64_t)ARG_I32(1), out);
}
FUNCTION(fn_integer_pl_date)
{
    return date_plus(ARG_I32(1), ARG_I32(0), out);
}
FUNCTION(fn_date_mi)
{
    if (!date_is_finite(ARG_I32(0)) || !date_is_finite(ARG_I32(1)))
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "cannot subtract infinite dates");
    RETURN_I32(ARG_I32(0) - ARG_I32(1));
}

/* ---- timestamps and intervals ---- */

static err_t plus(struct call *c, bool with_zone, int64_t t, struct interval i, bool subtract,
                  datum *out)
{
    if (subtract)
        TRY(interval_negate(&i, &i));
    int64_t r = 0;
    if (with_zone)
        TRY(timestamptz_add_interval(ZONE(c), t, &i, &r));
    else
        TRY(timestamp_add_interval(t, &i, &r));
    RETURN_I64(r);
}
FUNCTION(fn_timestamp_pl_interval)
{
    return plus(c, false, ARG_I64(0), ARG_INTERVAL(1), false, out);
}
FUNCTION(fn_timestamp_mi_interval)
{
    return plus(c, false, ARG_I64(0), ARG_INTERVAL(1), true, out);
}
FUNCTION(fn_timestamptz_pl_interval)
{
    return plus(c, true, ARG_I64(0), ARG_INTERVAL(1), false, out);
}
FUNCTION(fn_timestamptz_mi_interval)
{
    return plus(c, true, ARG_I64(0), ARG_INTERVAL(1), true, out);
}
FUNCTION(fn_interval_pl_timestamp)
{
    return plus(c, false, ARG_I64(1), ARG_INTERVAL(0), false, out);
}
FUNCTION(fn_interval_pl_timestamptz)
{
    return plus(c, true, ARG_I64(1), ARG_INTERVAL(0), false, out);
}
static err_t date_plus_interval(struct call *c, int32_t date, struct interval i, bool subtract,
                                datum *out)
{
    int64_t t = 0;
    TRY(timestamp_of_date(date, &t));
    return plus(c, false, t, i, subtract, out);
}
FUNCTION(fn_date_pl_interval)
{
    return date_plus_interval(c, ARG_I32(0), ARG_INTERVAL(1), false, out);
}
FUNCTION(fn_date_mi_interval)
{
    return date_plus_interval(c, ARG_I32(0), ARG_INTERVAL(1), true, out);
}
FUNCTION(fn_interval_pl_date)
{
    return date_plus_interval(c, ARG_I32(1), ARG_INTERVAL(0), false, out);
}

/* Whole days of 24 hours out of the time. */
static struct interval justify_hours(struct interval i, bool *overflow)
{
    int64_t whole = i.usec / USECS_PER_DAY;
    i.usec -= whole * USECS_PER_DAY;
    *overflow = ckd_add_i32(&i.day, i.day, (int32_t)whole);
    if (i.day > 0 && i.usec < 0) {
        i.usec += USECS_PER_DAY;
        i.day--;
    } else if (i.day < 0 && i.usec > 0) {
        i.usec -= USECS_PER_DAY;
        i.day++;
    }
    return i;
}
FUNCTION(fn_timestamp_mi)
{
    int64_t a = ARG_I64(0);
    int64_t b = ARG_I64(1);
    if (!timestamp_is_finite(a) || !timestamp_is_finite(b))
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "cannot subtract infinite timestamps");
    struct interval i = {0};
    if (ckd_sub_i64(&i.usec, a, b))
        return raise_interval_range();
    bool overflow;
    i = justify_hours(i, &overflow);
    if (overflow)
        return raise_interval_range();
    RETURN_INTERVAL(i);
}
FUNCTION(fn_interval_justify_hours)
{
    bool overflow;
    struct interval i = justify_hours(ARG_INTERVAL(0), &overflow);
    if (overflow)
        return raise_interval_range();
    RETURN_INTERVAL(i);
}
FUNCTION(fn_interval_justify_days)
{
    struct interval i = ARG_INTERVAL(0);
    int32_t whole = i.day / 30;
    i.day -= whole * 30;
    if (ckd_add_i32(&i.month, i.month, whole))
        return raise_interval_range();
    if (i.month > 0 && i.day < 0) {
        i.day += 30;
        i.month--;
    } else if (i.month < 0 && i.day > 0) {
        i.day -= 30;
        i.month++;
    }
    RETURN_INTERVAL(i);
}
FUNCTION(fn_interval_justify_interval)
{
    struct interval i = ARG_INTERVAL(0);
    /* Days first when they pull against the time, so that the sum cannot overflow. */
    if ((i.day > 0 && i.usec > 0) || (i.day < 0 && i.usec < 0)) {
        int32_t whole = i.day / 30;
        i.day -= whole * 30;
        if (ckd_add_i32(&i.month, i.month, whole))
            return raise_interval_range();
    }
    int64_t days = i.usec / USECS_PER_DAY;
    i.usec -= days * USECS_PER_DAY;
    i.day += (int32_t)days;
    int32_t months = i.day / 30;
    i.day -= months * 30;
    if (ckd_add_i32(&i.month, i.month, months))
        return raise_interval_range();
    if (i.month > 0 && (i.day < 0 || (i.day == 0 && i.usec < 0))) {
        i.day += 30;
        i.month--;
    } else if (i.month < 0 && (i.day > 0 || (i.day == 0 && i.usec > 0))) {
        i.day -= 30;
        i.month++;
    }
    if (i.day > 0 && i.usec < 0) {
        i.usec += USECS_PER_DAY;
        i.day--;
    } else if (i.day < 0 && i.usec > 0) {
        i.usec -= USECS_PER_DAY;
        i.day++;
    }
    RETURN_INTERVAL(i);
}

FUNCTION(fn_interval_um)
{
    struct interval i = ARG_INTERVAL(0);
    TRY(interval_negate(&i, &i));
    RETURN_INTERVAL(i);
}
FUNCTION(fn_interval_pl)
{
    struct interval a = ARG_INTERVAL(0);
    struct interval b = ARG_INTERVAL(1);
    TRY(interval_add(&a, &b, &a));
    RETURN_INTERVAL(a);
}
FUNCTION(fn_interval_mi)
{
    struct interval a = ARG_INTERVAL(0);
    struct interval b = ARG_INTERVAL(1);
    TRY(interval_sub(&a, &b, &a));
    RETURN_INTERVAL(a);
}
FUNCTION(fn_interval_mul)
{
    struct interval a = ARG_INTERVAL(0);
    TRY(interval_scale(&a, ARG_F64(1), &a));
    RETURN_INTERVAL(a);
}
FUNCTION(fn_mul_d_interval)
{
    struct interval a = ARG_INTERVAL(1);
    TRY(interval_scale(&a, ARG_F64(0), &a));
    RETURN_INTERVAL(a);
}
FUNCTION(fn_interval_div)
{
    struct interval a = ARG_INTERVAL(0);
    TRY(interval_divide(&a, ARG_F64(1), &a));
    RETURN_INTERVAL(a);
}
FUNCTION(fn_interval_scale)
{
    struct interval a = ARG_INTERVAL(0);
    TRY(interval_round(&a, ARG_I32(1), &a));
    RETURN_INTERVAL(a);
}

/* ---- times of day ---- */

static int64_t around_the_clock(int64_t usec)
{
    usec %= USECS_PER_DAY;
    return usec < 0 ? usec + USECS_PER_DAY : usec;
}
static int64_t time_plus(int64_t t, int64_t usec, int sign)
{
    return around_the_clock(t + sign * (usec % USECS_PER_DAY));
}
FUNCTION(fn_time_mi_time)
{
    RETURN_INTERVAL(((struct interval){.usec = ARG_I64(0) - ARG_I64(1)}));
}
FUNCTION(fn_time_pl_interval)
{
    RETURN_I64(time_plus(ARG_I64(0), ARG_INTERVAL(1).usec, 1));
}
FUNCTION(fn_time_mi_interval)
{
    RETURN_I64(time_plus(ARG_I64(0), ARG_INTERVAL(1).usec, -1));
}
FUNCTION(fn_interval_pl_time)
{
    RETURN_I64(time_plus(ARG_I64(1), ARG_INTERVAL(0).usec, 1));
}
static err_t timetz_plus(struct call *c, uint32_t time, uint32_t span, int sign, datum *out)
{
    struct timetz t = ARG_TIMETZ(time);
    t.usec = time_plus(t.usec, ARG_INTERVAL(span).usec, sign);
    RETURN_TIMETZ(t);
}
FUNCTION(fn_timetz_pl_interval)
{
    return timetz_plus(c, 0, 1, 1, out);
}
FUNCTION(fn_timetz_mi_interval)
{
    return timetz_plus(c, 0, 1, -1, out);
}
FUNCTION(fn_interval_pl_timetz)
{
    return timetz_plus(c, 1, 0, 1, out);
}

static err_t date_time(int32_t date, int64_t time, datum *out)
{
    int64_t t = 0;
    TRY(timestamp_of_date(date, &t));
    if (timestamp_is_finite(t)) {
        t += time;
        if (!timestamp_is_valid(t))
            return raise_timestamp_range();
    }
    RETURN_I64(t);
}
FUNCTION(fn_datetime_timestamp)
{
    return date_time(ARG_I32(0), ARG_I64(1), out);
}
FUNCTION(fn_timedate_pl)
{
    return date_time(ARG_I32(1), ARG_I64(0), out);
}
FUNCTION(fn_timestamptz_of_date_time)
{
    datum t = 0;
    int64_t r = 0;
    TRY(date_time(ARG_I32(0), ARG_I64(1), &t));
    TRY(timestamp_to_utc(ZONE(c), datum_i64(t), &r));
    RETURN_I64(r);
}
static err_t date_timetz(int32_t date, struct timetz time, datum *out)
{
    int64_t t = 0;
    TRY(timestamp_of_date(date, &t));
    if (timestamp_is_finite(t)) {
        t += time.usec + time.zone * USECS_PER_SEC;
        if (!timestamp_is_valid(t))
            return raise_timestamp_range();
    }
    RETURN_I64(t);
}
FUNCTION(fn_datetimetz_timestamptz)
{
    return date_timetz(ARG_I32(0), ARG_TIMETZ(1), out);
}
FUNCTION(fn_timetzdate_pl)
{
    return date_timetz(ARG_I32(1), ARG_TIMETZ(0), out);
}

/* ---- casts ---- */

FUNCTION(fn_date_timestamp)
{
    int64_t t = 0;
    TRY(timestamp_of_date(ARG_I32(0), &t));
    RETURN_I64(t);
}
FUNCTION(fn_date_timestamptz)
{
    int64_t t = 0;
    TRY(timestamptz_of_date(ZONE(c), ARG_I32(0), &t));
    RETURN_I64(t);
}
FUNCTION(fn_timestamp_date)
{
    int32_t d = 0;
    TRY(date_of_timestamp(ARG_I64(0), &d));
    RETURN_I32(d);
}
FUNCTION(fn_timestamptz_date)
{
    int32_t d = 0;
    TRY(date_of_timestamptz(ZONE(c), ARG_I64(0), &d));
    RETURN_I32(d);
}
FUNCTION(fn_timestamptz_timestamp)
{
    int64_t t = 0;
    TRY(timestamp_to_local(ZONE(c), ARG_I64(0), &t));
    RETURN_I64(t);
}
FUNCTION(fn_timestamp_timestamptz)
{
    int64_t t = 0;
    TRY(timestamp_to_utc(ZONE(c), ARG_I64(0), &t));
    RETURN_I64(t);
}
FUNCTION(fn_timestamp_time)
{
    if (!timestamp_is_finite(ARG_I64(0)))
        RETURN_NULL();
    RETURN_I64(around_the_clock(ARG_I64(0)));
}
FUNCTION(fn_timestamptz_time)
{
    if (!timestamp_is_finite(ARG_I64(0)))
        RETURN_NULL();
    int64_t t = 0;
    TRY(timestamp_to_local(ZONE(c), ARG_I64(0), &t));
    RETURN_I64(around_the_clock(t));
}
FUNCTION(fn_timestamptz_timetz)
{
    int64_t t = ARG_I64(0);
    if (!timestamp_is_finite(t))
        RETURN_NULL();
    int32_t east = time_zone_offset_at(ZONE(c), t, NULL, NULL);
    RETURN_TIMETZ(((struct timetz){around_the_clock(t + east * USECS_PER_SEC), -east}));
}
FUNCTION(fn_timetz_time)
{
    RETURN_I64(ARG_TIMETZ(0).usec);
}
FUNCTION(fn_time_timetz)
{
    int64_t now = c->env != NULL ? c->env->now_us : 0;
    int64_t local = 0;
    TRY(timestamp_to_local(ZONE(c), now, &local));
    local += ARG_I64(0) - around_the_clock(local); /* that time, today */
    RETURN_TIMETZ(((struct timetz){ARG_I64(0), -time_zone_offset_local(ZONE(c), local)}));
}
FUNCTION(fn_time_interval)
{
    RETURN_INTERVAL(((struct interval){.usec = ARG_I64(0)}));
}
FUNCTION(fn_interval_time)
{
    RETURN_I64(around_the_clock(ARG_INTERVAL(0).usec));
}
FUNCTION(fn_time_scale)
{
    RETURN_I64(time_round(ARG_I64(0), ARG_I32(1)));
}
FUNCTION(fn_timetz_scale)
{
    struct timetz t = ARG_TIMETZ(0);
    t.usec = time_round(t.usec, ARG_I32(1));
    RETURN_TIMETZ(t);
}
FUNCTION(fn_timestamp_scale)
{
    int64_t t = 0;
    int32_t precision = ARG_I32(1);
    if (precision != -1 && (precision < 0 || precision > TIME_PRECISION_MAX) &&
        timestamp_is_finite(ARG_I64(0)))
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "timestamp(%d) precision must be between 0 and %d", precision,
                         TIME_PRECISION_MAX);
    TRY(timestamp_round(ARG_I64(0), precision, &t));
    RETURN_I64(t);
}
FUNCTION(fn_timestamptz_scale)
{
    return fn_timestamp_scale(c, out);
}

/* ---- AT TIME ZONE ---- */

static err_t zone_of_text(struct call *c, struct zone_choice *z)
{
    const struct varlen *v = ARG_VARLEN(0);
    if (!zone_choice_find((const char *)v->data, v->len, z))
        return raise_no_zone((const char *)v->data, v->len);
    return ERR_OK;
}
static err_t zone_of_interval(struct call *c, struct zone_choice *z)
{
    struct interval i = ARG_INTERVAL(0);
    if (i.month != 0 || i.day != 0) {
        struct strbuf b;
        strbuf_init(&b, c->mem);
        TRY(value_to_text(c, TYPE_INTERVAL, c->args[0], &b));
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "interval time zone \"%s\" must not include months or days", b.data);
    }
    *z = (struct zone_choice){.is_fixed = true, .offset = (int32_t)(i.usec / USECS_PER_SEC)};
    return ERR_OK;
}
static err_t at_zone(const struct zone_choice *z, int64_t t, bool to_local, datum *out)
{
    int64_t shift = to_local ? zone_choice_offset_at(z, t) : -zone_choice_offset_local(z, t);
    if (ckd_add_i64(&t, t, shift * USECS_PER_SEC) || !timestamp_is_valid(t))
        return raise_timestamp_range();
    RETURN_I64(t);
}
FUNCTION(fn_timestamptz_zone)
{
    struct zone_choice z;
    if (!timestamp_is_finite(ARG_I64(1)))
        RETURN_I64(ARG_I64(1));
    TRY(zone_of_text(c, &z));
    return at_zone(&z, ARG_I64(1), true, out);
}
FUNCTION(fn_timestamptz_izone)
{
    struct zone_choice z;
    if (!timestamp_is_finite(ARG_I64(1)))
        RETURN_I64(ARG_I64(1));
    TRY(zone_of_interval(c, &z));
    return at_zone(&z, ARG_I64(1), true, out);
}
FUNCTION(fn_timestamp_zone)
{
    struct zone_choice z;
    if (!timestamp_is_finite(ARG_I64(1)))
        RETURN_I64(ARG_I64(1));
    TRY(zone_of_text(c, &z));
    return at_zone(&z, ARG_I64(1), false, out);
}
FUNCTION(fn_timestamp_izone)
{
    struct zone_choice z;
    if (!timestamp_is_finite(ARG_I64(1)))
        RETURN_I64(ARG_I64(1));
    TRY(zone_of_interval(c, &z));
    return at_zone(&z, ARG_I64(1), false, out);
}
static err_t timetz_at_zone(struct call *c, int32_t east, datum *out)
{
    struct timetz t = ARG_TIMETZ(1);
    t.usec = around_the_clock(t.usec + (t.zone + east) * USECS_PER_SEC);
    t.zone = -east;
    RETURN_TIMETZ(t);
}
FUNCTION(fn_timetz_zone)
{
    struct zone_choice z;
    TRY(zone_of_text(c, &z));
    return timetz_at_zone(c, zone_choice_offset_at(&z, c->env != NULL ? c->env->now_us : 0), out);
}
FUNCTION(fn_timetz_izone)
{
    struct zone_choice z;
    TRY(zone_of_interval(c, &z));
    return timetz_at_zone(c, z.offset, out);
}

/* ---- clocks ---- */

FUNCTION(fn_now)
{
    RETURN_I64(c->env != NULL ? c->env->now_us : 0);
}
FUNCTION(fn_statement_timestamp)
{
    RETURN_I64(c->env != NULL ? c->env->statement_now_us : 0);
}
FUNCTION(fn_clock_timestamp)
{
    (void)c;
    RETURN_I64(core_wall_us() - EPOCH_2000_UNIX_US);
}
FUNCTION(fn_timeofday)
{
    int64_t now = core_wall_us() - EPOCH_2000_UNIX_US;
    const char *zone;
    int32_t east = time_zone_offset_at(ZONE(c), now, NULL, &zone);
    struct civil t;
    civil_of_timestamp(now + east * USECS_PER_SEC, &t);
    char text[128];
    snprintf(text, sizeof(text), "%.3s %.3s %02d %02d:%02d:%02d.%06d %lld %s",
             day_names[week_day(days_of_civil(t.year, t.month, t.day))], month_names[t.month - 1],
             t.day, t.hour, t.minute, t.second, t.usec, (long long)t.year, zone);
    return result_cstring(c, text, out);
}

/* ---- constructors ---- */

static err_t make_date(int64_t year, int32_t month, int32_t day, bool allow_bc, int64_t *days)
{
    int64_t y = year;
    bool ok = year != 0 && (allow_bc || year > 0);
    if (y < 0)
        y++; /* there is no year 0 */
    ok = ok && month >= 1 && month <= 12 && day >= 1 && day <= month_days(y, month);
    if (!ok)
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE,
                         "date field value out of range: %lld-%02d-%02d", (long long)year, month,
                         day);
    *days = days_of_civil(y, month, day);
    return ERR_OK;
}
static err_t make_time(int32_t hour, int32_t minute, double second, int64_t *out)
{
    bool ok = hour >= 0 && minute >= 0 && minute <= 59 && hour <= 24 && second >= 0 &&
              second <= 60; /* false for NaN */
    int64_t t = ok ? (int64_t)hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE +
                         (int64_t)rint(second * 1e6)
                   : 0;
    if (!ok || t > USECS_PER_DAY)
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE,
                         "time field value out of range: %d:%02d:%02g", hour, minute, second);
    *out = t;
    return ERR_OK;
}
FUNCTION(fn_make_date)
{
    int64_t days = 0;
    TRY(make_date(ARG_I32(0), ARG_I32(1), ARG_I32(2), true, &days));
    if (!date_is_valid(days))
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "date out of range: %d-%02d-%02d",
                         ARG_I32(0), ARG_I32(1), ARG_I32(2));
    RETURN_I32((int32_t)days);
}
FUNCTION(fn_make_time)
{
    int64_t t = 0;
    TRY(make_time(ARG_I32(0), ARG_I32(1), ARG_F64(2), &t));
    RETURN_I64(t);
}
static err_t make_timestamp(struct call *c, int64_t *out)
{
    int64_t days = 0;
    int64_t time = 0;
    TRY(make_date(ARG_I32(0), ARG_I32(1), ARG_I32(2), true, &days));
    TRY(make_time(ARG_I32(3), ARG_I32(4), ARG_F64(5), &time));
    if (ckd_mul_i64(out, days, USECS_PER_DAY) || ckd_add_i64(out, *out, time) ||
        !timestamp_is_valid(*out))
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE,
                         "timestamp out of range: %d-%02d-%02d %d:%02d:%02g", ARG_I32(0),
                         ARG_I32(1), ARG_I32(2), ARG_I32(3), ARG_I32(4), ARG_F64(5));
    return ERR_OK;
}
FUNCTION(fn_make_timestamp)
{
    int64_t t = 0;
    TRY(make_timestamp(c, &t));
    RETURN_I64(t);
}
FUNCTION(fn_make_timestamptz)
{
    int64_t t = 0;
    TRY(make_timestamp(c, &t));
    TRY(timestamp_to_utc(ZONE(c), t, &t));
    RETURN_I64(t);
}
FUNCTION(fn_make_timestamptz_at_timezone)
{
    int64_t t = 0;
    struct zone_choice z = {.is_fixed = true};
    TRY(make_timestamp(c, &t));
    const struct varlen *name = ARG_VARLEN(6);
    const char *text = (const char *)name->data;
    if (name->len > 0 && text[0] >= '0' && text[0] <= '9') {
        err_t e =
            err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid input syntax for type %s: \"%.*s\"",
                      "numeric time zone", (int)MIN(name->len, 4096u), text);
        err_hint("Numeric time zones must have \"-\" or \"+\" as first character.");
        return e;
    }
    if (!zone_displacement_parse(text, name->len, &z.offset) &&
        !zone_choice_find(text, name->len, &z))
        return raise_no_zone(text, name->len);
    return at_zone(&z, t, false, out);
}
FUNCTION(fn_make_interval)
{
    double seconds = ARG_F64(6);
    struct interval i = {0};
    int64_t months = (int64_t)ARG_I32(0) * 12 + ARG_I32(1);
    int64_t days = (int64_t)ARG_I32(2) * 7 + ARG_I32(3);
    double usec = rint(seconds * 1e6);
    if (months < INT32_MIN || months > INT32_MAX || days < INT32_MIN || days > INT32_MAX ||
        !(usec >= -0x1p62 && usec < 0x1p62))
        return raise_interval_range();
    i.month = (int32_t)months;
    i.day = (int32_t)days;
    i.usec = ARG_I32(4) * USECS_PER_HOUR + ARG_I32(5) * USECS_PER_MINUTE + (int64_t)usec;
    RETURN_INTERVAL(i);
}
FUNCTION(fn_float8_timestamptz)
{
    double s = ARG_F64(0);
    if (isnan(s))
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "timestamp cannot be NaN");
    if (isinf(s))
        RETURN_I64(s < 0 ? TIMESTAMP_BEGIN : TIMESTAMP_END);
    if (s < -210866803200.0 || s >= 9224318016000.0)
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "timestamp out of range: \"%g\"", s);
    int64_t t = (int64_t)rint((s - 946684800.0) * 1e6);
    if (!timestamp_is_valid(t))
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "timestamp out of range: \"%g\"", s);
    RETURN_I64(t);
}

/* ---- OVERLAPS ---- */

/* Half-open periods with unordered ends; an end may be unknown. 1 yes, 0 no, -1 unknown. */
static int overlaps(int (*compare)(datum, datum), datum v[4], const bool nulls[4])
{
    bool open[2];
    for (int p = 0; p < 2; p++) {
        datum *a = &v[p * 2];
        open[p] = nulls[p * 2 + 1];
        if (nulls[p * 2]) {
            if (open[p])
                return -1;
            a[0] = a[1];
            open[p] = true;
        } else if (!open[p] && compare(a[0], a[1]) > 0) {
            datum swap = a[0];
            a[0] = a[1];
            a[1] = swap;
        }
    }
    int order = compare(v[0], v[2]);
    if (order == 0)
        return open[0] || open[1] ? -1 : 1;
    int first = order < 0 ? 0 : 1; /* begins earlier */
    int second = 1 - first;
    if (open[first])
        return -1;
    if (compare(v[second * 2], v[first * 2 + 1]) < 0)
        return 1;
    return open[second] ? -1 : 0;
}
static err_t overlaps_result(struct call *c, int answer, datum *out)
{
    if (answer < 0)
        RETURN_NULL();
    RETURN_BOOL(answer == 1);
}
static err_t overlaps_call(struct call *c, int (*compare)(datum, datum), datum *out)
{
    datum v[4] = {c->args[0], c->args[1], c->args[2], c->args[3]};
    return overlaps_result(c, overlaps(compare, v, c->nulls), out);
}
FUNCTION(fn_overlaps_timestamp)
{
    return overlaps_call(c, timestamp_compare, out);
}
FUNCTION(fn_overlaps_time)
{
    return overlaps_call(c, time_compare, out);
}
FUNCTION(fn_overlaps_timetz)
{
    return overlaps_call(c, timetz_compare, out);
}
/* Ends given as intervals are added to their starts first. */
FUNCTION(fn_overlaps_interval)
{
    oid type = c->func->args[0];
    datum v[4];
    bool nulls[4];
    for (int k = 0; k < 4; k++) {
        v[k] = c->args[k];
        nulls[k] = c->nulls[k];
        if (k % 2 == 0 || c->func->args[k] != TYPE_INTERVAL)
            continue;
        nulls[k] = nulls[k] || nulls[k - 1];
        if (nulls[k])
            continue;
        struct interval i = ARG_INTERVAL(k);
        if (type == TYPE_TIME)
            v[k] = datum_of_i64(time_plus(datum_i64(v[k - 1]), i.usec, 1));
        else
            TRY(plus(c, type == TYPE_TIMESTAMPTZ, datum_i64(v[k - 1]), i, false, &v[k]));
    }
    return overlaps_result(c, overlaps(timestamp_compare, v, nulls), out);
}

/* ---- window ranges ---- */

static COLD err_t raise_frame(void)
{
    return err_raise(ERR_INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                     "invalid preceding or following size in window function");
}
static err_t frame_offset(struct call *c, struct interval *i)
{
    *i = ARG_INTERVAL(2);
    if (interval_span(i) < 0)
        return raise_frame();
    if (ARG_BOOL(3))
        TRY(interval_negate(i, i));
    return ERR_OK;
}
static err_t in_range(struct call *c, bool with_zone, int64_t value, int64_t base, datum *out)
{
    struct interval i;
    TRY(frame_offset(c, &i));
    int64_t bound = 0;
    if (with_zone)
        TRY(timestamptz_add_interval(ZONE(c), base, &i, &bound));
    else
        TRY(timestamp_add_interval(base, &i, &bound));
    RETURN_BOOL(ARG_BOOL(4) ? value <= bound : value >= bound);
}
FUNCTION(fn_in_range_timestamp_interval)
{
    return in_range(c, false, ARG_I64(0), ARG_I64(1), out);
}
FUNCTION(fn_in_range_timestamptz_interval)
{
    return in_range(c, true, ARG_I64(0), ARG_I64(1), out);
}
FUNCTION(fn_in_range_date_interval)
{
    int64_t value = 0;
    int64_t base = 0;
    TRY(timestamp_of_date(ARG_I32(0), &value));
    TRY(timestamp_of_date(ARG_I32(1), &base));
    return in_range(c, false, value, base, out);
}
FUNCTION(fn_in_range_interval_interval)
{
    struct interval i;
    TRY(frame_offset(c, &i));
    struct interval base = ARG_INTERVAL(1);
    struct interval value = ARG_INTERVAL(0);
    TRY(interval_add(&base, &i, &base));
    __int128 v = interval_span(&value);
    __int128 bound = interval_span(&base);
    RETURN_BOOL(ARG_BOOL(4) ? v <= bound : v >= bound);
}
FUNCTION(fn_in_range_time_interval)
{
    struct interval i = ARG_INTERVAL(2);
    if (i.usec < 0)
        return raise_frame();
    int64_t bound = 0;
    if (ckd_add_i64(&bound, ARG_I64(1), ARG_BOOL(3) ? -i.usec : i.usec))
        bound = ARG_BOOL(3) ? INT64_MIN : INT64_MAX;
    RETURN_BOOL(ARG_BOOL(4) ? ARG_I64(0) <= bound : ARG_I64(0) >= bound);
}

FUNCTION(fn_in_range_timetz_interval)
{
    struct timetz bound = ARG_TIMETZ(1);
    struct interval i = ARG_INTERVAL(2);
    if (i.usec < 0)
        return raise_frame();
    if (ckd_add_i64(&bound.usec, bound.usec, ARG_BOOL(3) ? -i.usec : i.usec))
        RETURN_BOOL(ARG_BOOL(4) != ARG_BOOL(3)); /* before or after all times */
    int order = timetz_compare(c->args[0], timetz_make(c->mem, bound));
    RETURN_BOOL(ARG_BOOL(4) ? order <= 0 : order >= 0);
}

/* ---- generate_series ---- */

struct series {
    int64_t at;
    int64_t last;
    struct interval step;
    const struct time_zone *zone;
    bool with_zone;
    bool falling;
    bool done;
};
static err_t series_begin(struct call *c, bool with_zone, void **state)
{
    struct series *s = ARENA_NEW(c->state_mem, struct series);
    s->at = ARG_I64(0);
    s->last = ARG_I64(1);
    s->step = ARG_INTERVAL(2);
    s->zone = ZONE(c);
    s->with_zone = with_zone;
    __int128 span = interval_span(&s->step);
    if (span == 0)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "step size cannot equal zero");
    s->falling = span < 0;
    *state = s;
    return ERR_OK;
}
static err_t series_begin_local(struct call *c, void **state)
{
    return series_begin(c, false, state);
}
static err_t series_begin_zoned(struct call *c, void **state)
{
    return series_begin(c, true, state);
}
static err_t series_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    (void)c;
    struct series *s = state;
    if (s->falling ? s->at < s->last : s->at > s->last) {
        *end = true;
        return ERR_OK;
    }
    values[0] = datum_of_i64(s->at);
    nulls[0] = false;
    if (s->with_zone)
        TRY(timestamptz_add_interval(s->zone, s->at, &s->step, &s->at));
    else
        TRY(timestamp_add_interval(s->at, &s->step, &s->at));
    return ERR_OK;
}
const struct set_function srf_generate_series_timestamp = {
    .column_count = 1, .begin = series_begin_local, .next = series_next};
const struct set_function srf_generate_series_timestamptz = {
    .column_count = 1, .begin = series_begin_zoned, .next = series_next};

/* ---- sum and avg of intervals ---- */

struct interval_sum {
    int64_t count;
    struct interval sum;
};
static err_t sum_step(struct aggregate_call *a, void *state)
{
    struct interval_sum *s = state;
    struct interval i = interval_read(a->call.args[0]);
    TRY(interval_add(&s->sum, &i, &s->sum));
    s->count++;
    return ERR_OK;
}
static err_t sum_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    struct interval_sum *s = state;
    *is_null = s->count == 0;
    if (s->count > 0)
        *out = interval_make(a->call.mem, s->sum);
    return ERR_OK;
}
static err_t avg_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    struct interval_sum *s = state;
    struct interval i;
    *is_null = s->count == 0;
    if (s->count == 0)
        return ERR_OK;
    TRY(interval_divide(&s->sum, (double)s->count, &i));
    *out = interval_make(a->call.mem, i);
    return ERR_OK;
}
static err_t sum_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    (void)a;
    const struct interval_sum *s = state;
    uint8_t b[24];
    store_u64(b, (uint64_t)s->count);
    store_u64(b + 8, (uint64_t)s->sum.usec);
    store_u32(b + 16, (uint32_t)s->sum.day);
    store_u32(b + 20, (uint32_t)s->sum.month);
    return strbuf_put(out, b, sizeof(b));
}
static err_t sum_merge(struct aggregate_call *a, void *state, const uint8_t *bytes, size_t len)
{
    (void)a;
    struct interval_sum *s = state;
    if (len != 24)
        return err_raise(ERR_DATA_CORRUPTED, "bad partial state of an interval sum");
    struct interval i = {(int64_t)load_u64(bytes + 8), (int32_t)load_u32(bytes + 16),
                         (int32_t)load_u32(bytes + 20)};
    s->count += (int64_t)load_u64(bytes);
    return interval_add(&s->sum, &i, &s->sum);
}
const struct aggregate agg_interval_sum = {.state_bytes = sizeof(struct interval_sum),
                                           .step = sum_step,
                                           .final = sum_final,
                                           .save = sum_save,
                                           .merge = sum_merge};
const struct aggregate agg_interval_avg = {.state_bytes = sizeof(struct interval_sum),
                                           .step = sum_step,
                                           .final = avg_final,
                                           .save = sum_save,
                                           .merge = sum_merge};
