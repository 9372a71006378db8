/*
 * interval: text in all four IntervalStyles, binary form, order, arithmetic. Input is read from its
 * end, so that a unit is known when its number comes; a number without a unit takes the next larger
 * unit than what followed it. ISO 8601 durations are tried when that fails.
 */
#include "sql/types/interval.h"

#include "sql/types/datetime_priv.h"
#include "sql/types/types_priv.h"

#include <math.h>
#include <stdlib.h>

enum {
    RANGE_MONTH = 1 << 1, /* bits of the parser's field masks */
    RANGE_YEAR = 1 << 2,
    RANGE_DAY = 1 << 3,
    RANGE_HOUR = 1 << 10,
    RANGE_MINUTE = 1 << 11,
    RANGE_SECOND = 1 << 12,
    RANGE_FULL = 0x7fff,
    PRECISION_FULL = 0xffff,
};

struct interval interval_read(datum d)
{
    const struct varlen *v = datum_varlen(d);
    ASSERT(v->len == 16);
    return (struct interval){(int64_t)load_u64(v->data), (int32_t)load_u32(v->data + 8),
                             (int32_t)load_u32(v->data + 12)};
}
datum interval_make(struct arena *mem, struct interval i)
{
    struct varlen *v = varlen_new(mem, NULL, 16);
    store_u64(v->data, (uint64_t)i.usec);
    store_u32(v->data + 8, (uint32_t)i.day);
    store_u32(v->data + 12, (uint32_t)i.month);
    return datum_of_varlen(v);
}
__int128 interval_span(const struct interval *i)
{
    return (__int128)i->usec + ((__int128)i->month * 30 + i->day) * USECS_PER_DAY;
}
err_t raise_interval_range(void)
{
    return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "interval out of range");
}

/* ---- accumulating fields; false on overflow ---- */

struct sums {
    int64_t usec;
    int32_t day;
    int64_t month; /* years and months fit by themselves; their sum is checked at the end */
};

static bool add_usec(struct sums *i, int64_t v, double fraction, int64_t scale)
{
    int64_t part;
    if (ckd_mul_i64(&part, v, scale) || ckd_add_i64(&i->usec, i->usec, part))
        return false;
    double f = fraction * (double)scale;
    int64_t whole = (int64_t)f;
    f -= (double)whole;
    if (f > 0.5)
        whole++;
    else if (f < -0.5)
        whole--;
    return !ckd_add_i64(&i->usec, i->usec, whole);
}
static bool add_days(struct sums *i, int64_t v, int64_t scale)
{
    if (v < INT32_MIN || v > INT32_MAX)
        return false;
    v *= scale;
    return v >= INT32_MIN && v <= INT32_MAX && !ckd_add_i32(&i->day, i->day, (int32_t)v);
}
static bool add_day_fraction(struct sums *i, double fraction, int scale)
{
    double f = fraction * scale;
    int32_t days = (int32_t)f;
    return !ckd_add_i32(&i->day, i->day, days) && add_usec(i, 0, f - days, USECS_PER_DAY);
}
static bool add_months(struct sums *i, int64_t v)
{
    return v >= INT32_MIN && v <= INT32_MAX && !ckd_add_i64(&i->month, i->month, v);
}
static bool add_years(struct sums *i, int64_t v, double fraction, int64_t scale)
{
    int64_t years = 0;
    if (ckd_mul_i64(&years, v, scale) || years < INT32_MIN || years > INT32_MAX)
        return false;
    i->month += years * 12;
    return add_months(i, (int64_t)rint(fraction * (double)scale * 12));
}

static bool add_unit(struct sums *i, enum datetime_unit unit, int64_t v, double f)
{
    switch (unit) {
    case UNIT_MICROSECOND:
        return add_usec(i, v, f, 1);
    case UNIT_MILLISECOND:
        return add_usec(i, v, f, 1000);
    case UNIT_SECOND:
        return add_usec(i, v, f, USECS_PER_SEC);
    case UNIT_MINUTE:
        return add_usec(i, v, f, USECS_PER_MINUTE);
    case UNIT_HOUR:
        return add_usec(i, v, f, USECS_PER_HOUR);
    case UNIT_DAY:
        return add_days(i, v, 1) && add_usec(i, 0, f, USECS_PER_DAY);
    case UNIT_WEEK:
        return add_days(i, v, 7) && add_day_fraction(i, f, 7);
    case UNIT_MONTH:
        return add_months(i, v) && add_day_fraction(i, f, 30);
    case UNIT_YEAR:
        return add_years(i, v, f, 1);
    case UNIT_DECADE:
        return add_years(i, v, f, 10);
    case UNIT_CENTURY:
        return add_years(i, v, f, 100);
    case UNIT_MILLENNIUM:
        return add_years(i, v, f, 1000);
    default:
        return false;
    }
}

/* ---- input ---- */

static enum decode fraction_value(const char *dot, double *out)
{
    *out = 0;
    for (const char *p = dot + 1; *p != 0; p++)
        if (*p < '0' || *p > '9')
            return DECODE_SYNTAX;
    if (dot[1] != 0)
        *out = strtod(dot, NULL);
    return DECODE_OK;
}
static enum decode long_decode(const char *text, const char **end, int64_t *out)
{
    const char *p = text;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    uint64_t v = 0;
    bool overflow = false;
    const char *digits = p;
    for (; *p >= '0' && *p <= '9'; p++) {
        overflow |= ckd_mul_u64(&v, v, 10);
        overflow |= ckd_add_u64(&v, v, (uint64_t)(*p - '0'));
    }
    uint64_t limit = (uint64_t)INT64_MAX + negative;
    if (overflow || v > limit)
        return DECODE_RANGE;
    *out = negative ? (int64_t)((uint64_t)0 - v) : (int64_t)v;
    *end = p == digits ? text : p;
    return DECODE_OK;
}
static enum datetime_unit unit_of_range(int32_t range)
{
    switch (range) {
    case RANGE_YEAR:
        return UNIT_YEAR;
    case RANGE_MONTH:
    case RANGE_YEAR | RANGE_MONTH:
        return UNIT_MONTH;
    case RANGE_DAY:
        return UNIT_DAY;
    case RANGE_HOUR:
    case RANGE_DAY | RANGE_HOUR:
        return UNIT_HOUR;
    case RANGE_MINUTE:
    case RANGE_HOUR | RANGE_MINUTE:
    case RANGE_DAY | RANGE_HOUR | RANGE_MINUTE:
        return UNIT_MINUTE;
    default:
        return UNIT_SECOND;
    }
}
static uint32_t unit_bit(enum datetime_unit unit)
{
    return 1u << unit;
}
#define TIME_BITS (1u << UNIT_HOUR | 1u << UNIT_MINUTE | 1u << UNIT_SECOND)
#define SECOND_BITS (1u << UNIT_SECOND | 1u << UNIT_MILLISECOND | 1u << UNIT_MICROSECOND)

static enum decode decode_clock(const char *text, int32_t range, bool negative, struct sums *out)
{
    int64_t hour;
    int32_t minute;
    int32_t second;
    int32_t usec;
    enum decode e =
        time_decode(text, range == (RANGE_MINUTE | RANGE_SECOND), &hour, &minute, &second, &usec);
    if (e != DECODE_OK)
        return e;
    int64_t sign = negative ? -1 : 1;
    if (!add_usec(out, sign * hour, 0, USECS_PER_HOUR) ||
        !add_usec(out, sign * minute, 0, USECS_PER_MINUTE) ||
        !add_usec(out, sign * second, 0, USECS_PER_SEC) || !add_usec(out, sign * usec, 0, 1))
        return DECODE_RANGE;
    return DECODE_OK;
}

static enum decode decode_amount(const struct field *f, int32_t range, bool force_negative,
                                 enum datetime_unit *unit, struct sums *out, uint32_t *part)
{
    const char *end;
    int64_t v;
    double fraction = 0;
    if (*unit == UNIT_NONE)
        *unit = unit_of_range(range);
    enum decode e = long_decode(f->text, &end, &v);
    if (e != DECODE_OK)
        return e;
    if (*end == '-') { /* years-months */
        int64_t months;
        e = integer_decode(end + 1, &end, &months);
        if (e != DECODE_OK || months < 0 || months >= 12)
            return DECODE_RANGE;
        if (*end != 0)
            return DECODE_SYNTAX;
        *unit = UNIT_MONTH;
        if (f->text[0] == '-')
            months = -months;
        if (ckd_mul_i64(&v, v, 12) || ckd_add_i64(&v, v, months))
            return DECODE_RANGE;
    } else if (*end == '.') {
        e = fraction_value(end, &fraction);
        if (e != DECODE_OK)
            return e;
        if (f->text[0] == '-')
            fraction = -fraction;
    } else if (*end != 0) {
        return DECODE_SYNTAX;
    }
    if (force_negative) {
        v = v > 0 ? -v : v;
        fraction = fraction > 0 ? -fraction : fraction;
    }
    if (*unit == UNIT_QUARTER || *unit > UNIT_MILLENNIUM)
        return DECODE_SYNTAX;
    if (!add_unit(out, *unit, v, fraction))
        return DECODE_RANGE;
    *part = *unit == UNIT_SECOND && fraction != 0 ? SECOND_BITS : unit_bit(*unit);
    if (*unit == UNIT_HOUR)
        *unit = UNIT_DAY;
    return DECODE_OK;
}

static enum decode decode_fields(const struct fields *all, int32_t range, bool sql_standard,
                                 struct sums *out)
{
    bool force_negative = sql_standard && all->count > 0 && all->at[0].text[0] == '-';
    for (uint32_t i = 1; i < all->count; i++)
        if (all->at[i].text[0] == '-' || all->at[i].text[0] == '+')
            force_negative = false;
    enum datetime_unit unit = UNIT_NONE;
    uint32_t seen = 0;
    bool ago = false;
    for (uint32_t i = all->count; i-- > 0;) {
        const struct field *f = &all->at[i];
        uint32_t part = 0;
        enum decode e = DECODE_OK;
        if (f->kind == FIELD_TIME || (f->kind == FIELD_ZONE && strchr(f->text, ':') != NULL)) {
            bool is_signed = f->kind == FIELD_ZONE;
            bool negative = force_negative || (is_signed && f->text[0] == '-');
            e = decode_clock(f->text + is_signed, range, negative, out);
            unit = UNIT_DAY;
            part = TIME_BITS;
        } else if (f->kind == FIELD_ZONE || f->kind == FIELD_DATE || f->kind == FIELD_NUMBER) {
            e = decode_amount(f, range, force_negative, &unit, out, &part);
        } else {
            unit = interval_unit_find(f->text, f->len);
            if (unit == UNIT_NONE)
                return DECODE_SYNTAX;
            ago |= unit == UNIT_AGO;
        }
        if (e != DECODE_OK)
            return e;
        if ((part & seen) != 0)
            return DECODE_SYNTAX;
        seen |= part;
    }
    if (seen == 0)
        return DECODE_SYNTAX;
    if (ago) {
        if (out->day == INT32_MIN || out->usec == INT64_MIN)
            return DECODE_RANGE;
        *out = (struct sums){-out->usec, -out->day, -out->month};
    }
    return DECODE_OK;
}

/* ---- ISO 8601 durations ---- */

static bool iso_number(const char **p, int64_t *v, double *fraction, int *digits)
{
    const char *s = *p;
    if (!((*s >= '0' && *s <= '9') || *s == '-' || *s == '.'))
        return false;
    char *end = NULL;
    double d = strtod(s, &end);
    if (end == s || !(d >= -1e15 && d <= 1e15))
        return false;
    *v = (int64_t)(d >= 0 ? floor(d) : -floor(-d));
    *fraction = d - (double)*v;
    if (*s == '-')
        s++;
    *digits = 0;
    while (*s >= '0' && *s <= '9') {
        (*digits)++;
        s++;
    }
    *p = end;
    return true;
}

/* Y-M-D or H:M:S after the first number; in the date part it may end in T. */
static enum decode iso_alternative(const char **p, bool is_date, int64_t v, double f,
                                   struct sums *out)
{
    static const enum datetime_unit date_units[] = {UNIT_YEAR, UNIT_MONTH, UNIT_DAY};
    static const enum datetime_unit time_units[] = {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    char delimiter = is_date ? '-' : ':';
    int digits;
    for (int i = 0;; i++) {
        if (!add_unit(out, is_date ? date_units[i] : time_units[i], v, f))
            return DECODE_RANGE;
        if (**p == 0 || (is_date && **p == 'T'))
            return DECODE_OK;
        if (i == 2 || **p != delimiter)
            return DECODE_SYNTAX;
        (*p)++;
        if (!iso_number(p, &v, &f, &digits))
            return DECODE_SYNTAX;
    }
}

static enum decode decode_iso(const char *text, size_t len, struct sums *out)
{
    char copy[FIELD_BYTES_MAX];
    if (len < 2 || len >= sizeof(copy) || text[0] != 'P')
        return DECODE_SYNTAX;
    memcpy(copy, text, len);
    copy[len] = 0;
    const char *p = copy + 1;
    bool is_date = true;
    bool any = false;
    while (*p != 0) {
        if (*p == 'T') {
            is_date = false;
            any = false;
            p++;
            continue;
        }
        int64_t v;
        double f;
        int digits;
        if (!iso_number(&p, &v, &f, &digits))
            return DECODE_SYNTAX;
        enum datetime_unit unit = UNIT_NONE;
        switch (*p) {
        case 'Y':
            unit = is_date ? UNIT_YEAR : UNIT_NONE;
            break;
        case 'M':
            unit = is_date ? UNIT_MONTH : UNIT_MINUTE;
            break;
        case 'W':
            unit = is_date ? UNIT_WEEK : UNIT_NONE;
            break;
        case 'D':
            unit = is_date ? UNIT_DAY : UNIT_NONE;
            break;
        case 'H':
            unit = is_date ? UNIT_NONE : UNIT_HOUR;
            break;
        case 'S':
            unit = is_date ? UNIT_NONE : UNIT_SECOND;
            break;
        case 'T':
        case 0:
        case '-':
        case ':': {
            if (any || (*p == (is_date ? ':' : '-')) || (*p == 'T' && !is_date))
                return DECODE_SYNTAX;
            if (*p != '-' && *p != ':' && digits == (is_date ? 8 : 6)) { /* run on */
                bool ok = is_date ? add_unit(out, UNIT_YEAR, v / 10000, 0) &&
                                        add_unit(out, UNIT_MONTH, v / 100 % 100, 0) &&
                                        add_unit(out, UNIT_DAY, v % 100, f)
                                  : add_unit(out, UNIT_HOUR, v / 10000, 0) &&
                                        add_unit(out, UNIT_MINUTE, v / 100 % 100, 0) &&
                                        add_unit(out, UNIT_SECOND, v % 100, f);
                if (!ok)
                    return DECODE_RANGE;
                continue;
            }
            enum decode e = iso_alternative(&p, is_date, v, f, out);
            if (e != DECODE_OK)
                return e;
            if (!is_date)
                return DECODE_OK;
            continue;
        }
        default:
            break;
        }
        if (unit == UNIT_NONE)
            return DECODE_SYNTAX;
        if (!add_unit(out, unit, v, f))
            return DECODE_RANGE;
        p++;
        any = true;
    }
    return DECODE_OK;
}

err_t interval_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    struct fields all;
    struct sums i = {0};
    int32_t range = io->typmod >= 0 ? (io->typmod >> 16) & RANGE_FULL : RANGE_FULL;
    enum decode e = fields_split(text, len, &all);
    if (e == DECODE_OK)
        e = decode_fields(&all, range, io->env != NULL && io->env->interval_style == 2, &i);
    if (e == DECODE_SYNTAX) {
        const char *p = text;
        size_t n = len;
        i = (struct sums){0};
        e = decode_iso(p, n, &i);
    }
    if (e == DECODE_RANGE)
        e = DECODE_INTERVAL_RANGE;
    if (e != DECODE_OK)
        return raise_decode(e, "interval", text, len);
    if (i.month < INT32_MIN || i.month > INT32_MAX)
        return raise_interval_range();
    *out = interval_make(io->mem, (struct interval){i.usec, i.day, (int32_t)i.month});
    return ERR_OK;
}

/* ---- output ---- */

struct parts {
    int64_t v[5]; /* years, months, days, hours, minutes */
    int32_t second;
    int32_t usec;
};
static void split_parts(const struct interval *i, struct parts *p)
{
    p->v[0] = i->month / 12;
    p->v[1] = i->month % 12;
    p->v[2] = i->day;
    p->v[3] = i->usec / USECS_PER_HOUR;
    p->v[4] = i->usec / USECS_PER_MINUTE % 60;
    p->second = (int32_t)(i->usec / USECS_PER_SEC % 60);
    p->usec = (int32_t)(i->usec % USECS_PER_SEC);
}
static int64_t magnitude(int64_t v)
{
    return v < 0 ? -v : v;
}
static void put_seconds(struct strbuf *out, const struct parts *p, bool pad)
{
    strbuf_printf(out, pad ? "%02d" : "%d", abs(p->second));
    put_fraction(out, abs(p->usec));
}

static void put_postgres(struct strbuf *out, const struct parts *p)
{
    static const char *const names[] = {"year", "mon", "day"};
    bool is_zero = true;
    bool is_before = false;
    for (int k = 0; k < 3; k++) {
        if (p->v[k] == 0)
            continue;
        strbuf_printf(out, "%s%s%lld %s%s", is_zero ? "" : " ", is_before && p->v[k] > 0 ? "+" : "",
                      (long long)p->v[k], names[k], p->v[k] != 1 ? "s" : "");
        is_before = p->v[k] < 0;
        is_zero = false;
    }
    if (!is_zero && p->v[3] == 0 && p->v[4] == 0 && p->second == 0 && p->usec == 0)
        return;
    bool minus = p->v[3] < 0 || p->v[4] < 0 || p->second < 0 || p->usec < 0;
    strbuf_printf(out, "%s%s%02lld:%02lld:", is_zero ? "" : " ",
                  minus       ? "-"
                  : is_before ? "+"
                              : "",
                  (long long)magnitude(p->v[3]), (long long)magnitude(p->v[4]));
    put_seconds(out, p, true);
}

static void put_verbose(struct strbuf *out, const struct parts *p)
{
    static const char *const names[] = {"year", "mon", "day", "hour", "min"};
    bool is_zero = true;
    bool is_before = false;
    strbuf_putc(out, '@');
    for (int k = 0; k < 5; k++) {
        int64_t v = p->v[k];
        if (v == 0)
            continue;
        if (is_zero) {
            is_before = v < 0;
            v = magnitude(v);
        } else if (is_before) {
            v = -v;
        }
        strbuf_printf(out, " %lld %s%s", (long long)v, names[k], v == 1 ? "" : "s");
        is_zero = false;
    }
    if (p->second != 0 || p->usec != 0) {
        strbuf_putc(out, ' ');
        if (p->second < 0 || (p->second == 0 && p->usec < 0)) {
            if (is_zero)
                is_before = true;
            else if (!is_before)
                strbuf_putc(out, '-');
        } else if (is_before) {
            strbuf_putc(out, '-');
        }
        put_seconds(out, p, false);
        strbuf_puts(out, abs(p->second) != 1 || p->usec != 0 ? " secs" : " sec");
        is_zero = false;
    }
    if (is_zero)
        strbuf_puts(out, " 0");
    if (is_before)
        strbuf_puts(out, " ago");
}

static void put_sql_standard(struct strbuf *out, struct parts p)
{
    bool negative = p.second < 0 || p.usec < 0;
    bool positive = p.second > 0 || p.usec > 0;
    for (int k = 0; k < 5; k++) {
        negative |= p.v[k] < 0;
        positive |= p.v[k] > 0;
    }
    bool months = p.v[0] != 0 || p.v[1] != 0;
    bool day = p.v[2] != 0;
    bool time = p.v[3] != 0 || p.v[4] != 0 || p.second != 0 || p.usec != 0;
    bool standard = !(negative && positive) && !(months && (day || time));
    if (negative && standard) {
        strbuf_putc(out, '-');
        for (int k = 0; k < 5; k++)
            p.v[k] = -p.v[k];
        p.second = -p.second;
        p.usec = -p.usec;
    }
    if (!negative && !positive) {
        strbuf_putc(out, '0');
        return;
    }
    if (!standard) {
        bool time_minus = p.v[3] < 0 || p.v[4] < 0 || p.second < 0 || p.usec < 0;
        strbuf_printf(out,
                      "%c%lld-%lld %c%lld %c%lld:%02lld:", p.v[0] < 0 || p.v[1] < 0 ? '-' : '+',
                      (long long)magnitude(p.v[0]), (long long)magnitude(p.v[1]),
                      p.v[2] < 0 ? '-' : '+', (long long)magnitude(p.v[2]), time_minus ? '-' : '+',
                      (long long)magnitude(p.v[3]), (long long)magnitude(p.v[4]));
        put_seconds(out, &p, true);
        return;
    }
    if (months) {
        strbuf_printf(out, "%lld-%lld", (long long)p.v[0], (long long)p.v[1]);
        return;
    }
    if (day)
        strbuf_printf(out, "%lld ", (long long)p.v[2]);
    strbuf_printf(out, "%lld:%02lld:", (long long)p.v[3], (long long)p.v[4]);
    put_seconds(out, &p, true);
}

static void put_iso(struct strbuf *out, const struct parts *p)
{
    static const char letters[] = "YMDHM";
    bool time = p->v[3] != 0 || p->v[4] != 0 || p->second != 0 || p->usec != 0;
    if (p->v[0] == 0 && p->v[1] == 0 && p->v[2] == 0 && !time) {
        strbuf_puts(out, "PT0S");
        return;
    }
    strbuf_putc(out, 'P');
    for (int k = 0; k < 5; k++) {
        if (k == 3 && time)
            strbuf_putc(out, 'T');
        if (p->v[k] != 0)
            strbuf_printf(out, "%lld%c", (long long)p->v[k], letters[k]);
    }
    if (p->second != 0 || p->usec != 0) {
        if (p->second < 0 || p->usec < 0)
            strbuf_putc(out, '-');
        put_seconds(out, p, false);
        strbuf_putc(out, 'S');
    }
}

err_t interval_output(struct type_io *io, datum value, struct strbuf *out)
{
    struct interval i = interval_read(value);
    struct parts p;
    split_parts(&i, &p);
    switch (io->env != NULL ? io->env->interval_style : 0) {
    case 1:
        put_verbose(out, &p);
        break;
    case 2:
        put_sql_standard(out, p);
        break;
    case 3:
        put_iso(out, &p);
        break;
    default:
        put_postgres(out, &p);
    }
    return ERR_OK;
}

err_t interval_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    if (len != 16)
        return raise_binary_length(len, 16);
    *out = interval_make(io->mem,
                         (struct interval){(int64_t)load_be64(bytes), (int32_t)load_be32(bytes + 8),
                                           (int32_t)load_be32(bytes + 12)});
    return ERR_OK;
}
err_t interval_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    struct interval i = interval_read(value);
    uint8_t b[16];
    store_be64(b, (uint64_t)i.usec);
    store_be32(b + 8, (uint32_t)i.day);
    store_be32(b + 12, (uint32_t)i.month);
    return strbuf_put(out, b, sizeof(b));
}

/* ---- order ---- */

int interval_compare(datum a, datum b)
{
    struct interval x = interval_read(a);
    struct interval y = interval_read(b);
    __int128 p = interval_span(&x);
    __int128 q = interval_span(&y);
    return (p > q) - (p < q);
}
uint64_t interval_hash(datum d)
{
    struct interval i = interval_read(d);
    return hash_u64((uint64_t)interval_span(&i));
}
void interval_sort_key(datum d, struct strbuf *out)
{
    struct interval i = interval_read(d);
    __int128 span = interval_span(&i);
    key_put_i64(out, (int64_t)(span >> 64));
    key_put_u64(out, (uint64_t)span);
}

/* ---- typmod ---- */

err_t interval_typmod_in(const int32_t *args, uint32_t count, int32_t *out)
{
    static const int32_t ranges[] = {RANGE_YEAR,
                                     RANGE_MONTH,
                                     RANGE_DAY,
                                     RANGE_HOUR,
                                     RANGE_MINUTE,
                                     RANGE_SECOND,
                                     RANGE_YEAR | RANGE_MONTH,
                                     RANGE_DAY | RANGE_HOUR,
                                     RANGE_DAY | RANGE_HOUR | RANGE_MINUTE,
                                     RANGE_DAY | RANGE_HOUR | RANGE_MINUTE | RANGE_SECOND,
                                     RANGE_HOUR | RANGE_MINUTE,
                                     RANGE_HOUR | RANGE_MINUTE | RANGE_SECOND,
                                     RANGE_MINUTE | RANGE_SECOND,
                                     RANGE_FULL};
    bool known = false;
    for (size_t i = 0; count > 0 && i < ARRAY_LEN(ranges); i++)
        known |= ranges[i] == args[0];
    if (!known || count > 2)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid INTERVAL type modifier");
    if (count == 1) {
        *out = args[0] == RANGE_FULL ? -1 : (args[0] << 16) | PRECISION_FULL;
        return ERR_OK;
    }
    if (args[1] < 0)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "INTERVAL(%d) precision must not be negative",
                         args[1]);
    *out = (args[0] << 16) | MIN(args[1], TIME_PRECISION_MAX);
    return ERR_OK;
}
void interval_typmod_out(int32_t typmod, struct strbuf *out)
{
    static const struct {
        int32_t range;
        const char *text;
    } names[] = {
        {RANGE_YEAR, " year"},
        {RANGE_MONTH, " month"},
        {RANGE_DAY, " day"},
        {RANGE_HOUR, " hour"},
        {RANGE_MINUTE, " minute"},
        {RANGE_SECOND, " second"},
        {RANGE_YEAR | RANGE_MONTH, " year to month"},
        {RANGE_DAY | RANGE_HOUR, " day to hour"},
        {RANGE_DAY | RANGE_HOUR | RANGE_MINUTE, " day to minute"},
        {RANGE_DAY | RANGE_HOUR | RANGE_MINUTE | RANGE_SECOND, " day to second"},
        {RANGE_HOUR | RANGE_MINUTE, " hour to minute"},
        {RANGE_HOUR | RANGE_MINUTE | RANGE_SECOND, " hour to second"},
        {RANGE_MINUTE | RANGE_SECOND, " minute to second"},
    };
    if (typmod < 0)
        return;
    int32_t range = (typmod >> 16) & RANGE_FULL;
    int32_t precision = typmod & PRECISION_FULL;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].range == range)
            strbuf_puts(out, names[i].text);
    if (precision != PRECISION_FULL)
        strbuf_printf(out, "(%d)", precision);
}
err_t interval_round(const struct interval *a, int32_t typmod, struct interval *out)
{
    *out = *a;
    if (typmod < 0)
        return ERR_OK;
    int32_t range = (typmod >> 16) & RANGE_FULL;
    int32_t precision = typmod & PRECISION_FULL;
    switch (range) {
    case RANGE_YEAR:
        out->month -= out->month % 12;
        out->day = 0;
        out->usec = 0;
        break;
    case RANGE_MONTH:
    case RANGE_YEAR | RANGE_MONTH:
        out->day = 0;
        out->usec = 0;
        break;
    case RANGE_DAY:
        out->usec = 0;
        break;
    case RANGE_HOUR:
    case RANGE_DAY | RANGE_HOUR:
        out->usec -= out->usec % USECS_PER_HOUR;
        break;
    case RANGE_MINUTE:
    case RANGE_HOUR | RANGE_MINUTE:
    case RANGE_DAY | RANGE_HOUR | RANGE_MINUTE:
        out->usec -= out->usec % USECS_PER_MINUTE;
        break;
    default:
        break;
    }
    if (precision >= TIME_PRECISION_MAX)
        return ERR_OK;
    if (out->usec > INT64_MAX - USECS_PER_SEC || out->usec < INT64_MIN + USECS_PER_SEC)
        return raise_interval_range();
    out->usec = time_round(out->usec, precision);
    return ERR_OK;
}
err_t interval_apply_typmod(struct type_io *io, datum in, bool is_explicit, datum *out)
{
    (void)is_explicit;
    struct interval i = interval_read(in);
    TRY(interval_round(&i, io->typmod, &i));
    *out = interval_make(io->mem, i);
    return ERR_OK;
}

/* ---- arithmetic ---- */

err_t interval_add(const struct interval *a, const struct interval *b, struct interval *out)
{
    struct interval r;
    if (ckd_add_i32(&r.month, a->month, b->month) || ckd_add_i32(&r.day, a->day, b->day) ||
        ckd_add_i64(&r.usec, a->usec, b->usec))
        return raise_interval_range();
    *out = r;
    return ERR_OK;
}
err_t interval_sub(const struct interval *a, const struct interval *b, struct interval *out)
{
    struct interval r;
    if (ckd_sub_i32(&r.month, a->month, b->month) || ckd_sub_i32(&r.day, a->day, b->day) ||
        ckd_sub_i64(&r.usec, a->usec, b->usec))
        return raise_interval_range();
    *out = r;
    return ERR_OK;
}
err_t interval_negate(const struct interval *a, struct interval *out)
{
    static const struct interval zero = {0};
    return interval_sub(&zero, a, out);
}

static double to_microseconds(double seconds)
{
    return rint(seconds * 1e6) / 1e6;
}
static bool fits_i32(double v)
{
    return v >= -2147483648.0 && v < 2147483648.0; /* false for NaN */
}
static bool fits_i64(double v)
{
    return v >= -0x1p63 && v < 0x1p63;
}
/* What a field's scaling leaves over goes down: months to days of 30, days to 24 hours. */
static err_t interval_scaled(double month, double day, double usec, struct interval *out)
{
    if (!fits_i32(month) || !fits_i32(day))
        return raise_interval_range();
    struct interval r = {.month = (int32_t)month, .day = (int32_t)day};
    double month_days_left = to_microseconds((month - r.month) * 30);
    double seconds_left =
        to_microseconds((day - r.day + month_days_left - (double)(int32_t)month_days_left) * 86400);
    if (fabs(seconds_left) >= 86400) {
        if (ckd_add_i32(&r.day, r.day, (int32_t)(seconds_left / 86400)))
            return raise_interval_range();
        seconds_left -= (double)((int32_t)(seconds_left / 86400) * 86400);
    }
    if (ckd_add_i32(&r.day, r.day, (int32_t)month_days_left))
        return raise_interval_range();
    double time = rint(usec + seconds_left * 1e6);
    if (!fits_i64(time))
        return raise_interval_range();
    r.usec = (int64_t)time;
    *out = r;
    return ERR_OK;
}
err_t interval_scale(const struct interval *a, double factor, struct interval *out)
{
    return interval_scaled(a->month * factor, a->day * factor, (double)a->usec * factor, out);
}
err_t interval_divide(const struct interval *a, double divisor, struct interval *out)
{
    if (divisor == 0)
        return err_raise(ERR_DIVISION_BY_ZERO, "division by zero");
    return interval_scaled(a->month / divisor, a->day / divisor, (double)a->usec / divisor, out);
}

static err_t add_calendar(int64_t local, const struct interval *i, bool months, int64_t *out)
{
    struct civil c;
    civil_of_timestamp(local, &c);
    if (months) {
        int64_t m = c.year * 12 + c.month - 1 + i->month;
        c.year = m / 12 - (m % 12 < 0);
        c.month = (int32_t)(m - c.year * 12 + 1);
        c.day = MIN(c.day, month_days(c.year, c.month));
    } else {
        int64_t days = days_of_civil(c.year, c.month, c.day) + i->day;
        if (days < -EPOCH_2000_JULIAN)
            return raise_timestamp_range();
        civil_of_days(days, &c.year, &c.month, &c.day);
    }
    return timestamp_of_civil(&c, out) ? ERR_OK : raise_timestamp_range();
}

err_t timestamp_add_interval(int64_t t, const struct interval *i, int64_t *out)
{
    *out = t;
    if (!timestamp_is_finite(t))
        return ERR_OK;
    if (i->month != 0)
        TRY(add_calendar(t, i, true, &t));
    if (i->day != 0)
        TRY(add_calendar(t, i, false, &t));
    if (ckd_add_i64(out, t, i->usec) || !timestamp_is_valid(*out))
        return raise_timestamp_range();
    return ERR_OK;
}
err_t timestamptz_add_interval(const struct time_zone *zone, int64_t t, const struct interval *i,
                               int64_t *out)
{
    *out = t;
    if (!timestamp_is_finite(t))
        return ERR_OK;
    for (int step = 0; step < 2; step++) {
        if (step == 0 ? i->month == 0 : i->day == 0)
            continue;
        TRY(timestamp_to_local(zone, t, &t));
        TRY(add_calendar(t, i, step == 0, &t));
        TRY(timestamp_to_utc(zone, t, &t));
    }
    if (ckd_add_i64(out, t, i->usec) || !timestamp_is_valid(*out))
        return raise_timestamp_range();
    return ERR_OK;
}
