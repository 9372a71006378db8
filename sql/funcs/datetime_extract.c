/*
 * EXTRACT and date_part, date_trunc, date_bin, age. A part is computed once as a scaled integer;
 * EXTRACT gives it as numeric, date_part as double precision.
 */
#include "sql/funcs/funcs_priv.h"

#include "sql/types/chars.h"
#include "sql/types/datetime.h"
#include "sql/types/interval.h"
#include "sql/types/numeric.h"

#include <math.h>
#include <stdio.h>

struct part {
    enum { PART_INTEGER, PART_SCALED, PART_JULIAN, PART_INFINITE, PART_NULL } kind;
    __int128 value; /* PART_INFINITE: its sign; PART_JULIAN: the day */
    int scale;
    int64_t usec;     /* PART_JULIAN: of the day */
    double as_double; /* PART_SCALED, PART_JULIAN */
};

struct unit_name {
    char text[64];
    enum datetime_unit unit;
};
static void read_unit(const struct varlen *v, struct unit_name *u)
{
    size_t n = MIN((size_t)v->len, sizeof(u->text) - 1);
    for (size_t i = 0; i < n; i++)
        u->text[i] = ascii_lower((char)v->data[i]);
    u->text[n] = 0;
    u->unit = extract_unit_find(u->text, n);
}
/* Only units that can be counted, as date_trunc takes them. */
static void read_span_unit(const struct varlen *v, struct unit_name *u)
{
    read_unit(v, u);
    u->unit = interval_unit_find(u->text, strlen(u->text));
}
static COLD err_t raise_unit(struct call *c, const struct unit_name *u, oid type)
{
    if (u->unit == UNIT_NONE)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "unit \"%s\" not recognized for type %s",
                         u->text, type_display(c->mem, type));
    return err_raise(ERR_FEATURE_NOT_SUPPORTED, "unit \"%s\" not supported for type %s", u->text,
                     type_display(c->mem, type));
}

static err_t numeric_scaled(struct arena *mem, __int128 value, int scale, datum *out)
{
    if (scale == 0) {
        *out = numeric_of_i128(mem, value);
        return ERR_OK;
    }
    char text[48];
    unsigned __int128 a = (unsigned __int128)(value < 0 ? -value : value);
    uint64_t unit = scale == 3 ? 1000 : 1000000;
    int n = snprintf(text, sizeof(text), "%s%llu.%0*llu", value < 0 ? "-" : "",
                     (unsigned long long)(a / unit), scale, (unsigned long long)(a % unit));
    struct type_io io = {.mem = mem, .type = TYPE_NUMERIC, .typmod = -1};
    return type_find(TYPE_NUMERIC)->input(&io, text, (size_t)n, out);
}

static err_t part_numeric(struct call *c, const struct part *p, datum *out)
{
    struct type_io io = {.mem = c->mem, .type = TYPE_NUMERIC, .typmod = -1};
    switch (p->kind) {
    case PART_INTEGER:
        RETURN_DATUM(numeric_of_i128(c->mem, p->value));
    case PART_SCALED:
        return numeric_scaled(c->mem, p->value, p->scale, out);
    case PART_JULIAN: {
        datum fraction = 0;
        TRY(numeric_div(c->mem, numeric_of_i64(c->mem, p->usec),
                        numeric_of_i64(c->mem, USECS_PER_DAY), &fraction));
        return numeric_add(c->mem, numeric_of_i128(c->mem, p->value), fraction, out);
    }
    case PART_INFINITE: {
        const char *text = p->value < 0 ? "-Infinity" : "Infinity";
        return type_find(TYPE_NUMERIC)->input(&io, text, strlen(text), out);
    }
    case PART_NULL:
        break;
    }
    RETURN_NULL();
}
static err_t part_double(struct call *c, const struct part *p, datum *out)
{
    switch (p->kind) {
    case PART_INTEGER:
        RETURN_F64((double)p->value);
    case PART_SCALED:
    case PART_JULIAN:
        RETURN_F64(p->as_double);
    case PART_INFINITE:
        RETURN_F64(p->value < 0 ? -INFINITY : INFINITY);
    case PART_NULL:
        break;
    }
    RETURN_NULL();
}

static struct part integer_part(int64_t v)
{
    return (struct part){.kind = PART_INTEGER, .value = v};
}
static struct part scaled_part(__int128 v, int scale, double as_double)
{
    return (struct part){.kind = PART_SCALED, .value = v, .scale = scale, .as_double = as_double};
}

/* Parts of a second, which all types but date have. */
static bool second_part(enum datetime_unit unit, int64_t second, int64_t usec, struct part *p)
{
    int64_t all = second * USECS_PER_SEC + usec;
    switch (unit) {
    case UNIT_MICROSECOND:
        *p = integer_part(all);
        return true;
    case UNIT_MILLISECOND:
        *p = scaled_part(all, 3, (double)second * 1000.0 + (double)usec / 1000.0);
        return true;
    case UNIT_SECOND:
        *p = scaled_part(all, 6, (double)second + (double)usec / 1000000.0);
        return true;
    default:
        return false;
    }
}
static bool zone_part(enum datetime_unit unit, int32_t east, struct part *p)
{
    switch (unit) {
    case UNIT_TIMEZONE:
        *p = integer_part(east);
        return true;
    case UNIT_TIMEZONE_HOUR:
        *p = integer_part(east / 3600);
        return true;
    case UNIT_TIMEZONE_MINUTE:
        *p = integer_part(east % 3600 / 60);
        return true;
    default:
        return false;
    }
}
static int64_t decade_of(int64_t y)
{
    return y >= 0 ? y / 10 : -((8 - (y - 1)) / 10);
}
static int64_t century_of(int64_t y)
{
    return y > 0 ? (y + 99) / 100 : -((99 - (y - 1)) / 100);
}
static int64_t millennium_of(int64_t y)
{
    return y > 0 ? (y + 999) / 1000 : -((999 - (y - 1)) / 1000);
}
/* Parts of the calendar. */
static bool date_parts(enum datetime_unit unit, int64_t days, struct part *p)
{
    int64_t year;
    int32_t month;
    int32_t day;
    int32_t week;
    civil_of_days(days, &year, &month, &day);
    int64_t v;
    switch (unit) {
    case UNIT_DAY:
        v = day;
        break;
    case UNIT_MONTH:
        v = month;
        break;
    case UNIT_QUARTER:
        v = (month - 1) / 3 + 1;
        break;
    case UNIT_WEEK:
        iso_week_of_days(days, &year, &week);
        v = week;
        break;
    case UNIT_YEAR:
        v = year > 0 ? year : year - 1;
        break;
    case UNIT_DECADE:
        v = decade_of(year);
        break;
    case UNIT_CENTURY:
        v = century_of(year);
        break;
    case UNIT_MILLENNIUM:
        v = millennium_of(year);
        break;
    case UNIT_ISOYEAR:
        iso_week_of_days(days, &year, &week);
        v = year > 0 ? year : year - 1;
        break;
    case UNIT_DOW:
        v = week_day(days);
        break;
    case UNIT_ISODOW:
        v = (week_day(days) + 6) % 7 + 1;
        break;
    case UNIT_DOY:
        v = days - days_of_civil(year, 1, 1) + 1;
        break;
    default:
        return false;
    }
    *p = integer_part(v);
    return true;
}

/* Infinity has no month, but its year is infinite. */
static bool infinite_part(enum datetime_unit unit, bool negative, bool has_time, bool has_zone,
                          struct part *p)
{
    switch (unit) {
    case UNIT_MICROSECOND:
    case UNIT_MILLISECOND:
    case UNIT_SECOND:
    case UNIT_MINUTE:
    case UNIT_HOUR:
        p->kind = PART_NULL;
        return has_time;
    case UNIT_TIMEZONE:
    case UNIT_TIMEZONE_HOUR:
    case UNIT_TIMEZONE_MINUTE:
        p->kind = PART_NULL;
        return has_zone;
    case UNIT_DAY:
    case UNIT_MONTH:
    case UNIT_QUARTER:
    case UNIT_WEEK:
    case UNIT_DOW:
    case UNIT_ISODOW:
    case UNIT_DOY:
        p->kind = PART_NULL;
        return true;
    case UNIT_YEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM:
    case UNIT_JULIAN:
    case UNIT_ISOYEAR:
    case UNIT_EPOCH:
        *p = (struct part){.kind = PART_INFINITE, .value = negative ? -1 : 1};
        return true;
    default:
        return false;
    }
}

static err_t timestamp_part(struct call *c, const struct unit_name *u, int64_t t, bool with_zone,
                            struct part *p)
{
    oid type = with_zone ? TYPE_TIMESTAMPTZ : TYPE_TIMESTAMP;
    if (!timestamp_is_finite(t))
        return infinite_part(u->unit, t < 0, true, true, p) ? ERR_OK : raise_unit(c, u, type);
    int32_t east = with_zone ? time_zone_offset_at(env_zone(c->env), t, NULL, NULL) : 0;
    struct civil f;
    civil_of_timestamp(t + east * USECS_PER_SEC, &f);
    int64_t days = days_of_civil(f.year, f.month, f.day);
    int64_t of_day = time_of_civil(&f);
    if (second_part(u->unit, f.second, f.usec, p) || date_parts(u->unit, days, p))
        return ERR_OK;
    if (with_zone && zone_part(u->unit, east, p))
        return ERR_OK;
    switch (u->unit) {
    case UNIT_MINUTE:
        *p = integer_part(f.minute);
        return ERR_OK;
    case UNIT_HOUR:
        *p = integer_part(f.hour);
        return ERR_OK;
    case UNIT_JULIAN:
        *p = (struct part){.kind = PART_JULIAN,
                           .value = days + EPOCH_2000_JULIAN,
                           .usec = of_day,
                           .as_double = (double)(days + EPOCH_2000_JULIAN) +
                                        (((double)of_day - f.usec) / 1e6 + f.usec / 1e6) / 86400.0};
        return ERR_OK;
    case UNIT_EPOCH: {
        __int128 since = (__int128)t + EPOCH_2000_UNIX_US;
        *p = scaled_part(since, 6, (double)since / 1e6);
        return ERR_OK;
    }
    default:
        return raise_unit(c, u, type);
    }
}
static err_t date_part_of(struct call *c, const struct unit_name *u, int32_t d, struct part *p)
{
    if (!date_is_finite(d))
        return infinite_part(u->unit, d < 0, false, false, p) ? ERR_OK
                                                              : raise_unit(c, u, TYPE_DATE);
    if (date_parts(u->unit, d, p))
        return ERR_OK;
    if (u->unit == UNIT_JULIAN)
        *p = integer_part((int64_t)d + EPOCH_2000_JULIAN);
    else if (u->unit == UNIT_EPOCH)
        *p = integer_part(((int64_t)d - EPOCH_1970_DAYS) * 86400);
    else
        return raise_unit(c, u, TYPE_DATE);
    return ERR_OK;
}
static err_t time_part(struct call *c, const struct unit_name *u, int64_t t, bool with_zone,
                       int32_t west, struct part *p)
{
    struct civil f;
    civil_of_time(t, &f);
    if (second_part(u->unit, f.second, f.usec, p))
        return ERR_OK;
    if (with_zone && zone_part(u->unit, -west, p))
        return ERR_OK;
    if (u->unit == UNIT_MINUTE)
        *p = integer_part(f.minute);
    else if (u->unit == UNIT_HOUR)
        *p = integer_part(f.hour);
    else if (u->unit == UNIT_EPOCH)
        *p = scaled_part(t + west * USECS_PER_SEC, 6, (double)t / 1e6 + west);
    else
        return raise_unit(c, u, with_zone ? TYPE_TIMETZ : TYPE_TIME);
    return ERR_OK;
}
static err_t interval_part(struct call *c, const struct unit_name *u, const struct interval *i,
                           struct part *p)
{
    int32_t year = i->month / 12;
    if (second_part(u->unit, i->usec / USECS_PER_SEC % 60, i->usec % USECS_PER_SEC, p))
        return ERR_OK;
    int64_t v;
    switch (u->unit) {
    case UNIT_MINUTE:
        v = i->usec / USECS_PER_MINUTE % 60;
        break;
    case UNIT_HOUR:
        v = i->usec / USECS_PER_HOUR;
        break;
    case UNIT_DAY:
        v = i->day;
        break;
    case UNIT_MONTH:
        v = i->month % 12;
        break;
    case UNIT_QUARTER:
        v = i->month % 12 / 3 + 1;
        break;
    case UNIT_YEAR:
        v = year;
        break;
    case UNIT_DECADE:
        v = year / 10;
        break;
    case UNIT_CENTURY:
        v = year / 100;
        break;
    case UNIT_MILLENNIUM:
        v = year / 1000;
        break;
    case UNIT_EPOCH: {
        /* A year is 365.25 days here, a month 30. */
        int64_t seconds =
            ((int64_t)1461 * year + (int64_t)120 * (i->month % 12) + (int64_t)4 * i->day) *
            (86400 / 4);
        double d = (double)i->usec / 1e6;
        d += 365.25 * 86400 * year;
        d += 30.0 * 86400 * (i->month % 12);
        d += 86400.0 * i->day;
        *p = scaled_part((__int128)seconds * USECS_PER_SEC + i->usec, 6, d);
        return ERR_OK;
    }
    default:
        return raise_unit(c, u, TYPE_INTERVAL);
    }
    *p = integer_part(v);
    return ERR_OK;
}

static err_t part_of_arg(struct call *c, oid type, struct part *p)
{
    struct unit_name u;
    read_unit(ARG_VARLEN(0), &u);
    *p = (struct part){0};
    switch (type) {
    case TYPE_DATE:
        return date_part_of(c, &u, ARG_I32(1), p);
    case TYPE_TIME:
        return time_part(c, &u, ARG_I64(1), false, 0, p);
    case TYPE_TIMETZ: {
        struct timetz t = timetz_read(c->args[1]);
        return time_part(c, &u, t.usec, true, t.zone, p);
    }
    case TYPE_INTERVAL: {
        struct interval i = interval_read(c->args[1]);
        return interval_part(c, &u, &i, p);
    }
    default:
        return timestamp_part(c, &u, ARG_I64(1), type == TYPE_TIMESTAMPTZ, p);
    }
}
#define PARTS(name, type)                                                                          \
    FUNCTION(fn_extract_##name)                                                                    \
    {                                                                                              \
        struct part p;                                                                             \
        TRY(part_of_arg(c, type, &p));                                                             \
        return part_numeric(c, &p, out);                                                           \
    }
#define DATE_PARTS(name, type)                                                                     \
    FUNCTION(fn_##name##_part)                                                                     \
    {                                                                                              \
        struct part p;                                                                             \
        TRY(part_of_arg(c, type, &p));                                                             \
        return part_double(c, &p, out);                                                            \
    }
PARTS(date, TYPE_DATE)
PARTS(time, TYPE_TIME)
PARTS(timetz, TYPE_TIMETZ)
PARTS(timestamp, TYPE_TIMESTAMP)
PARTS(timestamptz, TYPE_TIMESTAMPTZ)
PARTS(interval, TYPE_INTERVAL)
DATE_PARTS(time, TYPE_TIME)
DATE_PARTS(timetz, TYPE_TIMETZ)
DATE_PARTS(timestamp, TYPE_TIMESTAMP)
DATE_PARTS(timestamptz, TYPE_TIMESTAMPTZ)
DATE_PARTS(interval, TYPE_INTERVAL)
/* date_part of a date goes by its timestamp, so that hours are 0. */
FUNCTION(fn_date_part_date)
{
    struct unit_name u;
    struct part p = {0};
    int64_t t = 0;
    read_unit(ARG_VARLEN(0), &u);
    TRY(timestamp_of_date(ARG_I32(1), &t));
    TRY(timestamp_part(c, &u, t, false, &p));
    return part_double(c, &p, out);
}

/* ---- date_trunc ---- */

static bool truncate_civil(enum datetime_unit unit, struct civil *f)
{
    int32_t week;
    int64_t days;
    switch (unit) {
    case UNIT_WEEK:
        days = days_of_civil(f->year, f->month, f->day);
        iso_week_of_days(days, &f->year, &week);
        civil_of_days(days_of_iso_week(f->year, week), &f->year, &f->month, &f->day);
        break;
    case UNIT_MILLENNIUM:
        f->year = f->year > 0 ? (f->year + 999) / 1000 * 1000 - 999
                              : -((999 - (f->year - 1)) / 1000) * 1000 + 1;
        f->month = f->day = 1;
        break;
    case UNIT_CENTURY:
        f->year =
            f->year > 0 ? (f->year + 99) / 100 * 100 - 99 : -((99 - (f->year - 1)) / 100) * 100 + 1;
        f->month = f->day = 1;
        break;
    case UNIT_DECADE:
        f->year = f->year > 0 ? f->year / 10 * 10 : -((8 - (f->year - 1)) / 10) * 10;
        f->month = f->day = 1;
        break;
    case UNIT_YEAR:
        f->month = f->day = 1;
        break;
    case UNIT_QUARTER:
        f->month = 3 * ((f->month - 1) / 3) + 1;
        f->day = 1;
        break;
    case UNIT_MONTH:
        f->day = 1;
        break;
    case UNIT_DAY:
        break;
    case UNIT_HOUR:
        f->minute = f->second = f->usec = 0;
        return true;
    case UNIT_MINUTE:
        f->second = f->usec = 0;
        return true;
    case UNIT_SECOND:
        f->usec = 0;
        return true;
    case UNIT_MILLISECOND:
        f->usec = f->usec / 1000 * 1000;
        return true;
    case UNIT_MICROSECOND:
        return true;
    default:
        return false;
    }
    f->hour = f->minute = f->second = f->usec = 0;
    return true;
}
static err_t truncate(struct call *c, int64_t t, bool with_zone, const struct zone_choice *zone,
                      datum *out)
{
    struct unit_name u;
    if (!timestamp_is_finite(t))
        RETURN_I64(t);
    read_span_unit(ARG_VARLEN(0), &u);
    struct civil probe = {.year = 2000, .month = 1, .day = 1};
    if (!truncate_civil(u.unit, &probe))
        return raise_unit(c, &u, with_zone ? TYPE_TIMESTAMPTZ : TYPE_TIMESTAMP);
    int32_t east = with_zone ? zone_choice_offset_at(zone, t) : 0;
    struct civil f;
    civil_of_timestamp(t + east * USECS_PER_SEC, &f);
    ASSERT(truncate_civil(u.unit, &f));
    if (!timestamp_of_civil(&f, &t))
        return raise_timestamp_range();
    if (with_zone && u.unit >= UNIT_DAY) /* another offset may hold at that time */
        east = zone_choice_offset_local(zone, t);
    t -= east * USECS_PER_SEC;
    if (!timestamp_is_valid(t))
        return raise_timestamp_range();
    RETURN_I64(t);
}
FUNCTION(fn_timestamp_trunc)
{
    return truncate(c, ARG_I64(1), false, NULL, out);
}
FUNCTION(fn_timestamptz_trunc)
{
    const struct time_zone *zone = env_zone(c->env);
    struct zone_choice z = {.is_fixed = zone == NULL, .zone = zone};
    return truncate(c, ARG_I64(1), true, &z, out);
}
FUNCTION(fn_timestamptz_trunc_zone)
{
    struct zone_choice z;
    const struct varlen *v = ARG_VARLEN(2);
    if (!zone_choice_find((const char *)v->data, v->len, &z))
        return raise_no_zone((const char *)v->data, v->len);
    return truncate(c, ARG_I64(1), true, &z, out);
}
FUNCTION(fn_interval_trunc)
{
    struct unit_name u;
    read_span_unit(ARG_VARLEN(0), &u);
    struct interval i = interval_read(c->args[1]);
    int32_t months = 0;
    int64_t unit = 0;
    switch (u.unit) {
    case UNIT_MILLENNIUM:
        months = 12000;
        break;
    case UNIT_CENTURY:
        months = 1200;
        break;
    case UNIT_DECADE:
        months = 120;
        break;
    case UNIT_YEAR:
        months = 12;
        break;
    case UNIT_QUARTER:
        months = 3;
        break;
    case UNIT_MONTH:
        months = 1;
        break;
    case UNIT_DAY:
        unit = INT64_MAX;
        break;
    case UNIT_HOUR:
        unit = USECS_PER_HOUR;
        break;
    case UNIT_MINUTE:
        unit = USECS_PER_MINUTE;
        break;
    case UNIT_SECOND:
        unit = USECS_PER_SEC;
        break;
    case UNIT_MILLISECOND:
        unit = 1000;
        break;
    case UNIT_MICROSECOND:
        unit = 1;
        break;
    default: {
        err_t e = raise_unit(c, &u, TYPE_INTERVAL);
        if (u.unit == UNIT_WEEK)
            err_detail("Months usually have fractional weeks.");
        return e;
    }
    }
    if (months > 0) {
        i.month -= i.month % months;
        i.day = 0;
        i.usec = 0;
    } else {
        i.usec = unit == INT64_MAX ? 0 : i.usec - i.usec % unit;
    }
    return *out = interval_make(c->mem, i), ERR_OK;
}

static err_t bin(struct call *c, datum *out)
{
    struct interval stride = interval_read(c->args[0]);
    int64_t t = ARG_I64(1);
    int64_t origin = ARG_I64(2);
    if (!timestamp_is_finite(t))
        RETURN_I64(t);
    if (!timestamp_is_finite(origin))
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "origin out of range");
    if (stride.month != 0)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "timestamps cannot be binned into intervals containing months or years");
    int64_t width;
    int64_t distance;
    if (ckd_mul_i64(&width, stride.day, USECS_PER_DAY) || ckd_add_i64(&width, width, stride.usec))
        return raise_interval_range();
    if (width <= 0)
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "stride must be greater than zero");
    if (ckd_sub_i64(&distance, t, origin))
        return raise_interval_range();
    int64_t left = distance % width;
    int64_t r;
    if (ckd_sub_i64(&r, t, left < 0 ? left + width : left) || !timestamp_is_valid(r))
        return raise_timestamp_range();
    RETURN_I64(r);
}
FUNCTION(fn_timestamp_bin)
{
    return bin(c, out);
}
FUNCTION(fn_timestamptz_bin)
{
    return bin(c, out);
}

/* ---- age ---- */

/* The difference in calendar fields, as people count it; days are carried from the length of the
 * earlier value's month. */
static err_t age(struct call *c, int64_t a, int64_t b, bool with_zone, datum *out)
{
    if (a == TIMESTAMP_BEGIN || b == TIMESTAMP_BEGIN) /* infinity counts as the last instant */
        return raise_timestamp_range();
    bool negative = a < b;
    struct civil x;
    struct civil y;
    int64_t p = a;
    int64_t q = b;
    if (with_zone) {
        TRY(timestamp_to_local(env_zone(c->env), a, &p));
        TRY(timestamp_to_local(env_zone(c->env), b, &q));
    }
    civil_of_timestamp(negative ? q : p, &x); /* the later */
    civil_of_timestamp(negative ? p : q, &y);
    int64_t months = (x.year - y.year) * 12 + x.month - y.month;
    int32_t days = x.day - y.day;
    int64_t usec = time_of_civil(&x) - time_of_civil(&y);
    while (usec < 0) {
        usec += USECS_PER_DAY;
        days--;
    }
    while (days < 0) {
        days += month_days(y.year, y.month);
        months--;
    }
    struct interval i = {usec, days, (int32_t)months};
    if (negative)
        i = (struct interval){-usec, -days, (int32_t)-months};
    return *out = interval_make(c->mem, i), ERR_OK;
}
FUNCTION(fn_timestamp_age)
{
    return age(c, ARG_I64(0), ARG_I64(1), false, out);
}
FUNCTION(fn_timestamptz_age)
{
    return age(c, ARG_I64(0), ARG_I64(1), true, out);
}
/* Since midnight of the current date. */
static err_t today(struct call *c, int32_t *date)
{
    return date_of_timestamptz(env_zone(c->env), c->env != NULL ? c->env->now_us : 0, date);
}
FUNCTION(fn_timestamp_age_today)
{
    int32_t date = 0;
    int64_t t = 0;
    TRY(today(c, &date));
    TRY(timestamp_of_date(date, &t));
    return age(c, t, ARG_I64(0), false, out);
}
FUNCTION(fn_timestamptz_age_today)
{
    int32_t date = 0;
    int64_t t = 0;
    TRY(today(c, &date));
    TRY(timestamptz_of_date(env_zone(c->env), date, &t));
    return age(c, t, ARG_I64(0), true, out);
}
