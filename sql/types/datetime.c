/*
 * date, time, timetz, timestamp, timestamptz: the calendar, conversions, text and binary forms,
 * order. Text follows DateStyle; 24:00:00 is a valid time of day; a leap second rolls over.
 */
#include "sql/types/datetime.h"

#include "sql/types/datetime_priv.h"
#include "sql/types/types_priv.h"

#include <stdlib.h>

#define TIMESTAMP_FIRST INT64_C(-211813488000000000) /* 4713-11-24 BC */
#define TIMESTAMP_PAST INT64_C(9223371331200000000)  /* 294277-01-01 */
enum {
    DATE_PAST = 2147483494 - EPOCH_2000_JULIAN, /* 5874898-06-03 */
    DAYS_400_YEARS = 146097,
    ZONE_SECONDS_MAX = 15 * 3600 + 59 * 60 + 59,
};

const char *const month_names[12] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
const char *const day_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                  "Thursday", "Friday", "Saturday"};

/* ---- calendar ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Years are counted from March, so that the leap day is a year's last. */
int64_t days_of_civil(int64_t year, int32_t month, int32_t day)
{
    if (month <= 2)
        year--;
    int64_t era = floor_div(year, 400);
    int64_t in_era = year - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t days = in_era * 365 + in_era / 4 - in_era / 100 + in_year;
    return era * DAYS_400_YEARS + days - 730425; /* 0000-03-01 to 2000-01-01 */
}

void civil_of_days(int64_t days, int64_t *year, int32_t *month, int32_t *day)
{
    days += 730425;
    int64_t era = floor_div(days, DAYS_400_YEARS);
    int64_t d = days - era * DAYS_400_YEARS;
    int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    int64_t in_year = d - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * in_year + 2) / 153;
    *day = (int32_t)(in_year - (153 * m + 2) / 5 + 1);
    *month = (int32_t)(m < 10 ? m + 3 : m - 9);
    *year = y + era * 400 + (*month <= 2);
}

int32_t month_days(int64_t year, int32_t month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && is_leap);
}

int32_t week_day(int64_t days)
{
    int64_t d = (days + 6) % 7; /* 2000-01-01 was a Saturday */
    return (int32_t)(d < 0 ? d + 7 : d);
}

int64_t days_of_iso_week(int64_t year, int32_t week)
{
    int64_t fourth = days_of_civil(year, 1, 4); /* always in week 1 */
    return fourth - (week_day(fourth) + 6) % 7 + (int64_t)(week - 1) * 7;
}

void iso_week_of_days(int64_t days, int64_t *year, int32_t *week)
{
    int32_t month;
    int32_t day;
    int64_t thursday = days - (week_day(days) + 6) % 7 + 3;
    civil_of_days(thursday, year, &month, &day);
    *week = (int32_t)((thursday - days_of_civil(*year, 1, 1)) / 7 + 1);
}

int64_t time_of_civil(const struct civil *c)
{
    return ((int64_t)c->hour * 3600 + c->minute * 60 + c->second) * USECS_PER_SEC + c->usec;
}
void civil_of_time(int64_t usec, struct civil *out)
{
    out->hour = (int32_t)(usec / USECS_PER_HOUR);
    out->minute = (int32_t)(usec / USECS_PER_MINUTE % 60);
    out->second = (int32_t)(usec / USECS_PER_SEC % 60);
    out->usec = (int32_t)(usec % USECS_PER_SEC);
}

bool timestamp_is_valid(int64_t t)
{
    return t >= TIMESTAMP_FIRST && t < TIMESTAMP_PAST;
}
bool date_is_valid(int64_t days)
{
    return days >= -EPOCH_2000_JULIAN && days < DATE_PAST;
}

void civil_of_timestamp(int64_t t, struct civil *out)
{
    int64_t days = floor_div(t, USECS_PER_DAY);
    civil_of_days(days, &out->year, &out->month, &out->day);
    civil_of_time(t - days * USECS_PER_DAY, out);
}
bool timestamp_of_civil_unchecked(const struct civil *c, int64_t *out)
{
    if (c->year < -4800 || c->year > 300000)
        return false;
    int64_t days = days_of_civil(c->year, c->month, c->day);
    return !ckd_mul_i64(out, days, USECS_PER_DAY) && !ckd_add_i64(out, *out, time_of_civil(c));
}
bool timestamp_of_civil(const struct civil *c, int64_t *out)
{
    return timestamp_of_civil_unchecked(c, out) && timestamp_is_valid(*out);
}

/* ---- conversions ---- */

err_t raise_date_range(void)
{
    return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "date out of range");
}
err_t raise_timestamp_range(void)
{
    return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "timestamp out of range");
}

err_t timestamp_to_utc(const struct time_zone *zone, int64_t local, int64_t *out)
{
    *out = local;
    if (!timestamp_is_finite(local))
        return ERR_OK;
    int64_t offset = time_zone_offset_local(zone, local);
    if (ckd_sub_i64(out, local, offset * USECS_PER_SEC) || !timestamp_is_valid(*out))
        return raise_timestamp_range();
    return ERR_OK;
}
err_t timestamp_to_local(const struct time_zone *zone, int64_t utc, int64_t *out)
{
    *out = utc;
    if (!timestamp_is_finite(utc))
        return ERR_OK;
    int64_t offset = time_zone_offset_at(zone, utc, NULL, NULL);
    if (ckd_add_i64(out, utc, offset * USECS_PER_SEC) || !timestamp_is_valid(*out))
        return raise_timestamp_range();
    return ERR_OK;
}
static COLD err_t raise_date_for_timestamp(void)
{
    return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "date out of range for timestamp");
}
err_t timestamp_of_date(int32_t date, int64_t *out)
{
    if (!date_is_finite(date)) {
        *out = date == DATE_BEGIN ? TIMESTAMP_BEGIN : TIMESTAMP_END;
        return ERR_OK;
    }
    if (date >= TIMESTAMP_PAST / USECS_PER_DAY)
        return raise_date_for_timestamp();
    *out = date * USECS_PER_DAY;
    return ERR_OK;
}
err_t timestamptz_of_date(const struct time_zone *zone, int32_t date, int64_t *out)
{
    int64_t local = 0;
    TRY(timestamp_of_date(date, &local));
    *out = local;
    if (!timestamp_is_finite(local))
        return ERR_OK;
    *out = local - time_zone_offset_local(zone, local) * USECS_PER_SEC;
    return timestamp_is_valid(*out) ? ERR_OK : raise_date_for_timestamp();
}
err_t date_of_timestamp(int64_t local, int32_t *out)
{
    if (!timestamp_is_finite(local))
        *out = local == TIMESTAMP_BEGIN ? DATE_BEGIN : DATE_END;
    else
        *out = (int32_t)floor_div(local, USECS_PER_DAY);
    return ERR_OK;
}
err_t date_of_timestamptz(const struct time_zone *zone, int64_t utc, int32_t *out)
{
    int64_t local = utc;
    if (timestamp_is_finite(utc))
        local += time_zone_offset_at(zone, utc, NULL, NULL) * USECS_PER_SEC;
    return date_of_timestamp(local, out);
}

int date_compare_timestamp(int32_t date, int64_t t)
{
    if (date >= TIMESTAMP_PAST / USECS_PER_DAY && date != DATE_END) /* later than any timestamp */
        return t == TIMESTAMP_END ? -1 : 1;
    int64_t d = date == DATE_BEGIN ? TIMESTAMP_BEGIN
                : date == DATE_END ? TIMESTAMP_END
                                   : date * USECS_PER_DAY;
    return (d > t) - (d < t);
}
int date_compare_timestamptz(const struct time_zone *zone, int32_t date, int64_t t)
{
    if (!date_is_finite(date) || date >= TIMESTAMP_PAST / USECS_PER_DAY)
        return date_compare_timestamp(date, t);
    int64_t d = date * USECS_PER_DAY;
    d -= time_zone_offset_local(zone, d) * USECS_PER_SEC;
    return (d > t) - (d < t);
}
int timestamp_compare_timestamptz(const struct time_zone *zone, int64_t local, int64_t utc)
{
    int64_t t = local;
    if (timestamp_is_finite(local))
        t -= time_zone_offset_local(zone, local) * USECS_PER_SEC;
    return (t > utc) - (t < utc);
}

/* ---- words of units ---- */

struct unit_word {
    const char *name; /* at most 10 letters count */
    enum datetime_unit unit;
};
static const struct unit_word unit_words[] = {
    {"ago", UNIT_AGO},
    {"c", UNIT_CENTURY},
    {"cent", UNIT_CENTURY},
    {"centuries", UNIT_CENTURY},
    {"century", UNIT_CENTURY},
    {"d", UNIT_DAY},
    {"day", UNIT_DAY},
    {"days", UNIT_DAY},
    {"dec", UNIT_DECADE},
    {"decade", UNIT_DECADE},
    {"decades", UNIT_DECADE},
    {"decs", UNIT_DECADE},
    {"h", UNIT_HOUR},
    {"hour", UNIT_HOUR},
    {"hours", UNIT_HOUR},
    {"hr", UNIT_HOUR},
    {"hrs", UNIT_HOUR},
    {"m", UNIT_MINUTE},
    {"microsecon", UNIT_MICROSECOND},
    {"mil", UNIT_MILLENNIUM},
    {"millennia", UNIT_MILLENNIUM},
    {"millennium", UNIT_MILLENNIUM},
    {"millisecon", UNIT_MILLISECOND},
    {"mils", UNIT_MILLENNIUM},
    {"min", UNIT_MINUTE},
    {"mins", UNIT_MINUTE},
    {"minute", UNIT_MINUTE},
    {"minutes", UNIT_MINUTE},
    {"mon", UNIT_MONTH},
    {"mons", UNIT_MONTH},
    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH},
    {"ms", UNIT_MILLISECOND},
    {"msec", UNIT_MILLISECOND},
    {"mseconds", UNIT_MILLISECOND},
    {"msecs", UNIT_MILLISECOND},
    {"qtr", UNIT_QUARTER},
    {"quarter", UNIT_QUARTER},
    {"s", UNIT_SECOND},
    {"sec", UNIT_SECOND},
    {"second", UNIT_SECOND},
    {"seconds", UNIT_SECOND},
    {"secs", UNIT_SECOND},
    {"timezone", UNIT_TIMEZONE},
    {"timezone_h", UNIT_TIMEZONE_HOUR},
    {"timezone_m", UNIT_TIMEZONE_MINUTE},
    {"us", UNIT_MICROSECOND},
    {"usec", UNIT_MICROSECOND},
    {"usecond", UNIT_MICROSECOND},
    {"useconds", UNIT_MICROSECOND},
    {"usecs", UNIT_MICROSECOND},
    {"w", UNIT_WEEK},
    {"week", UNIT_WEEK},
    {"weeks", UNIT_WEEK},
    {"y", UNIT_YEAR},
    {"year", UNIT_YEAR},
    {"years", UNIT_YEAR},
    {"yr", UNIT_YEAR},
    {"yrs", UNIT_YEAR},
};
static const struct unit_word extract_words[] = {
    {"dow", UNIT_DOW},         {"doy", UNIT_DOY},  {"epoch", UNIT_EPOCH}, {"isodow", UNIT_ISODOW},
    {"isoyear", UNIT_ISOYEAR}, {"j", UNIT_JULIAN}, {"jd", UNIT_JULIAN},   {"julian", UNIT_JULIAN},
};

static enum datetime_unit find_unit(const struct unit_word *table, size_t count, const char *word,
                                    size_t len)
{
    len = MIN(len, (size_t)10);
    for (size_t i = 0; i < count; i++)
        if (strncmp(table[i].name, word, len) == 0 && table[i].name[len] == 0)
            return table[i].unit;
    return UNIT_NONE;
}
enum datetime_unit interval_unit_find(const char *word, size_t len)
{
    return find_unit(unit_words, ARRAY_LEN(unit_words), word, len);
}
enum datetime_unit extract_unit_find(const char *word, size_t len)
{
    enum datetime_unit u = interval_unit_find(word, len);
    if (u != UNIT_NONE)
        return u == UNIT_AGO ? UNIT_NONE : u;
    return find_unit(extract_words, ARRAY_LEN(extract_words), word, len);
}

/* ---- text ---- */

void put_fraction(struct strbuf *out, int32_t usec)
{
    if (usec == 0)
        return;
    char text[8] = {'.'};
    int n = 7;
    for (int i = 6; i >= 1; i--) {
        text[i] = (char)('0' + usec % 10);
        usec /= 10;
    }
    while (text[n - 1] == '0')
        n--;
    ERR_IGNORE(strbuf_put(out, text, (size_t)n));
}
static void put_two(struct strbuf *out, int32_t v)
{
    strbuf_putc(out, (char)('0' + v / 10 % 10));
    strbuf_putc(out, (char)('0' + v % 10));
}
void put_offset(struct strbuf *out, int32_t east)
{
    int32_t a = east < 0 ? -east : east;
    strbuf_putc(out, east < 0 ? '-' : '+');
    put_two(out, a / 3600);
    if (a % 3600 != 0) {
        strbuf_putc(out, ':');
        put_two(out, a / 60 % 60);
    }
    if (a % 60 != 0) {
        strbuf_putc(out, ':');
        put_two(out, a % 60);
    }
}
static void put_year(struct strbuf *out, int64_t year)
{
    int64_t y = year > 0 ? year : 1 - year;
    if (y < 10000) {
        put_two(out, (int32_t)(y / 100));
        put_two(out, (int32_t)(y % 100));
    } else {
        strbuf_printf(out, "%lld", (long long)y);
    }
}
static void put_time(struct strbuf *out, const struct civil *c)
{
    put_two(out, c->hour);
    strbuf_putc(out, ':');
    put_two(out, c->minute);
    strbuf_putc(out, ':');
    put_two(out, c->second);
    put_fraction(out, c->usec);
}

enum { STYLE_ISO, STYLE_SQL, STYLE_POSTGRES, STYLE_GERMAN };
enum { ORDER_MDY, ORDER_DMY, ORDER_YMD };

static void put_pair(struct strbuf *out, const struct civil *c, bool day_first, char delimiter)
{
    put_two(out, day_first ? c->day : c->month);
    strbuf_putc(out, delimiter);
    put_two(out, day_first ? c->month : c->day);
    strbuf_putc(out, delimiter);
    put_year(out, c->year);
}
/* The date as ISO, SQL and German write it, with and without time. */
static void put_date(struct strbuf *out, const struct civil *c, int style, int order)
{
    switch (style) {
    case STYLE_SQL:
        put_pair(out, c, order == ORDER_DMY, '/');
        break;
    case STYLE_POSTGRES:
        put_pair(out, c, order == ORDER_DMY, '-');
        break;
    case STYLE_GERMAN:
        put_pair(out, c, true, '.');
        break;
    default:
        put_year(out, c->year);
        strbuf_putc(out, '-');
        put_two(out, c->month);
        strbuf_putc(out, '-');
        put_two(out, c->day);
    }
}
static void put_timestamp(struct strbuf *out, const struct civil *c, const struct session_env *env,
                          bool has_zone, int32_t offset, const char *abbreviation)
{
    int style = env != NULL ? env->date_style : STYLE_ISO;
    int order = env != NULL ? env->date_order : ORDER_MDY;
    if (style == STYLE_POSTGRES) {
        int32_t dow = week_day(days_of_civil(c->year, c->month, c->day));
        ERR_IGNORE(strbuf_put(out, day_names[dow], 3));
        strbuf_putc(out, ' ');
        if (order == ORDER_DMY) {
            put_two(out, c->day);
            strbuf_putc(out, ' ');
        }
        ERR_IGNORE(strbuf_put(out, month_names[c->month - 1], 3));
        strbuf_putc(out, ' ');
        if (order != ORDER_DMY) {
            put_two(out, c->day);
            strbuf_putc(out, ' ');
        }
        put_time(out, c);
        strbuf_putc(out, ' ');
        put_year(out, c->year);
    } else {
        put_date(out, c, style, order);
        strbuf_putc(out, ' ');
        put_time(out, c);
    }
    if (has_zone) {
        if (style == STYLE_ISO)
            put_offset(out, offset);
        else
            strbuf_printf(out, " %.10s", abbreviation);
    }
    if (c->year <= 0)
        strbuf_puts(out, " BC");
}

static bool put_infinity(struct strbuf *out, bool is_negative, bool is_positive)
{
    if (is_negative)
        strbuf_puts(out, "-infinity");
    else if (is_positive)
        strbuf_puts(out, "infinity");
    return is_negative || is_positive;
}

/* ---- typmods ---- */

err_t precision_typmod_in(const char *type, const char *suffix, const int32_t *args, uint32_t count,
                          int32_t *out)
{
    if (count != 1)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid type modifier");
    if (args[0] < 0)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "%s(%d)%s precision must not be negative",
                         type, args[0], suffix);
    *out = MIN(args[0], TIME_PRECISION_MAX);
    return ERR_OK;
}
static const int64_t precision_units[TIME_PRECISION_MAX + 1] = {1000000, 100000, 10000, 1000,
                                                                100,     10,     1};
int64_t time_round(int64_t usec, int32_t precision)
{
    if (precision < 0 || precision >= TIME_PRECISION_MAX)
        return usec;
    int64_t unit = precision_units[precision];
    if (usec >= 0)
        return (usec + unit / 2) / unit * unit;
    return -((-usec + unit / 2) / unit * unit);
}
err_t timestamp_round(int64_t t, int32_t precision, int64_t *out)
{
    *out = timestamp_is_finite(t) ? time_round(t, precision) : t;
    return ERR_OK;
}

err_t time_typmod_in(const int32_t *args, uint32_t count, int32_t *out)
{
    return precision_typmod_in("TIME", "", args, count, out);
}
void time_typmod_out(int32_t typmod, struct strbuf *out)
{
    if (typmod >= 0)
        strbuf_printf(out, "(%d)", typmod);
}
err_t time_apply_typmod(struct type_io *io, datum in, bool is_explicit, datum *out)
{
    (void)is_explicit;
    *out = datum_of_i64(time_round(datum_i64(in), io->typmod));
    return ERR_OK;
}
err_t timetz_typmod_in(const int32_t *args, uint32_t count, int32_t *out)
{
    return precision_typmod_in("TIME", " WITH TIME ZONE", args, count, out);
}
void timetz_typmod_out(int32_t typmod, struct strbuf *out)
{
    time_typmod_out(typmod, out);
}
err_t timetz_apply_typmod(struct type_io *io, datum in, bool is_explicit, datum *out)
{
    (void)is_explicit;
    struct timetz t = timetz_read(in);
    t.usec = time_round(t.usec, io->typmod);
    *out = timetz_make(io->mem, t);
    return ERR_OK;
}
err_t timestamp_typmod_in(const int32_t *args, uint32_t count, int32_t *out)
{
    return precision_typmod_in("TIMESTAMP", "", args, count, out);
}
void timestamp_typmod_out(int32_t typmod, struct strbuf *out)
{
    time_typmod_out(typmod, out);
}
err_t timestamp_apply_typmod(struct type_io *io, datum in, bool is_explicit, datum *out)
{
    (void)is_explicit;
    int64_t t;
    TRY(timestamp_round(datum_i64(in), io->typmod, &t));
    *out = datum_of_i64(t);
    return ERR_OK;
}
err_t timestamptz_typmod_in(const int32_t *args, uint32_t count, int32_t *out)
{
    return precision_typmod_in("TIMESTAMP", " WITH TIME ZONE", args, count, out);
}
void timestamptz_typmod_out(int32_t typmod, struct strbuf *out)
{
    time_typmod_out(typmod, out);
}
err_t timestamptz_apply_typmod(struct type_io *io, datum in, bool is_explicit, datum *out)
{
    return timestamp_apply_typmod(io, in, is_explicit, out);
}

/* ---- date ---- */

err_t date_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    struct moment m;
    enum decode e = moment_decode(io, text, len, false, &m);
    if (e != DECODE_OK)
        return raise_decode(e, "date", text, len);
    int64_t days = 0;
    switch (m.kind) {
    case MOMENT_EPOCH:
        days = EPOCH_1970_DAYS;
        break;
    case MOMENT_INFINITY:
        *out = datum_of_i32(DATE_END);
        return ERR_OK;
    case MOMENT_MINUS_INFINITY:
        *out = datum_of_i32(DATE_BEGIN);
        return ERR_OK;
    case MOMENT_VALUE:
        days = days_of_civil(m.civil.year, m.civil.month, m.civil.day);
        break;
    }
    if (!date_is_valid(days))
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "date out of range: \"%.*s\"",
                         (int)MIN(len, (size_t)4096), text);
    *out = datum_of_i32((int32_t)days);
    return ERR_OK;
}
err_t date_output(struct type_io *io, datum value, struct strbuf *out)
{
    int32_t d = datum_i32(value);
    if (put_infinity(out, d == DATE_BEGIN, d == DATE_END))
        return ERR_OK;
    struct civil c = {0};
    civil_of_days(d, &c.year, &c.month, &c.day);
    put_date(out, &c, io->env != NULL ? io->env->date_style : STYLE_ISO,
             io->env != NULL ? io->env->date_order : ORDER_MDY);
    if (c.year <= 0)
        strbuf_puts(out, " BC");
    return ERR_OK;
}
err_t date_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 4)
        return raise_binary_length(len, 4);
    int32_t d = (int32_t)load_be32(bytes);
    if (date_is_finite(d) && !date_is_valid(d))
        return raise_date_range();
    *out = datum_of_i32(d);
    return ERR_OK;
}
err_t date_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[4];
    store_be32(b, (uint32_t)datum_i32(value));
    return strbuf_put(out, b, sizeof(b));
}
int date_compare(datum a, datum b)
{
    int32_t x = datum_i32(a);
    int32_t y = datum_i32(b);
    return (x > y) - (x < y);
}
uint64_t date_hash(datum d)
{
    return hash_u64((uint64_t)(int64_t)datum_i32(d));
}
void date_sort_key(datum d, struct strbuf *out)
{
    key_put_u32(out, (uint32_t)datum_i32(d) ^ 0x80000000u);
}

/* ---- time ---- */

err_t time_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    struct moment m;
    enum decode e = moment_decode(io, text, len, true, &m);
    if (e != DECODE_OK)
        return raise_decode(e, "time", text, len);
    *out = datum_of_i64(time_of_civil(&m.civil));
    return ERR_OK;
}
err_t time_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    struct civil c;
    civil_of_time(datum_i64(value), &c);
    put_time(out, &c);
    return ERR_OK;
}
static COLD err_t raise_time_range(void)
{
    return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "time out of range");
}
err_t time_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 8)
        return raise_binary_length(len, 8);
    int64_t t = (int64_t)load_be64(bytes);
    if (t < 0 || t > USECS_PER_DAY)
        return raise_time_range();
    *out = datum_of_i64(t);
    return ERR_OK;
}
err_t time_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[8];
    store_be64(b, value);
    return strbuf_put(out, b, sizeof(b));
}
int time_compare(datum a, datum b)
{
    int64_t x = datum_i64(a);
    int64_t y = datum_i64(b);
    return (x > y) - (x < y);
}
uint64_t time_hash(datum d)
{
    return hash_u64(d);
}
void time_sort_key(datum d, struct strbuf *out)
{
    key_put_i64(out, datum_i64(d));
}

/* ---- timetz ---- */

struct timetz timetz_read(datum d)
{
    const struct varlen *v = datum_varlen(d);
    ASSERT(v->len == 12);
    return (struct timetz){(int64_t)load_u64(v->data), (int32_t)load_u32(v->data + 8)};
}
datum timetz_make(struct arena *mem, struct timetz t)
{
    struct varlen *v = varlen_new(mem, NULL, 12);
    store_u64(v->data, (uint64_t)t.usec);
    store_u32(v->data + 8, (uint32_t)t.zone);
    return datum_of_varlen(v);
}
err_t timetz_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    struct moment m;
    enum decode e = moment_decode(io, text, len, true, &m);
    if (e != DECODE_OK)
        return raise_decode(e, "time with time zone", text, len);
    *out = timetz_make(io->mem, (struct timetz){time_of_civil(&m.civil), -m.offset});
    return ERR_OK;
}
err_t timetz_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    struct timetz t = timetz_read(value);
    struct civil c;
    civil_of_time(t.usec, &c);
    put_time(out, &c);
    put_offset(out, -t.zone);
    return ERR_OK;
}
err_t timetz_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    if (len != 12)
        return raise_binary_length(len, 12);
    struct timetz t = {(int64_t)load_be64(bytes), (int32_t)load_be32(bytes + 8)};
    if (t.usec < 0 || t.usec > USECS_PER_DAY)
        return raise_time_range();
    if (t.zone < -ZONE_SECONDS_MAX || t.zone > ZONE_SECONDS_MAX)
        return err_raise(ERR_INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                         "time zone displacement out of range");
    *out = timetz_make(io->mem, t);
    return ERR_OK;
}
err_t timetz_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    struct timetz t = timetz_read(value);
    uint8_t b[12];
    store_be64(b, (uint64_t)t.usec);
    store_be32(b + 8, (uint32_t)t.zone);
    return strbuf_put(out, b, sizeof(b));
}
/* By instant, then by zone: equal only when both are. */
int timetz_compare(datum a, datum b)
{
    struct timetz x = timetz_read(a);
    struct timetz y = timetz_read(b);
    int64_t p = x.usec + x.zone * USECS_PER_SEC;
    int64_t q = y.usec + y.zone * USECS_PER_SEC;
    if (p != q)
        return p < q ? -1 : 1;
    return (x.zone > y.zone) - (x.zone < y.zone);
}
uint64_t timetz_hash(datum d)
{
    struct timetz t = timetz_read(d);
    return hash_combine(hash_u64((uint64_t)t.usec), (uint64_t)(int64_t)t.zone);
}
void timetz_sort_key(datum d, struct strbuf *out)
{
    struct timetz t = timetz_read(d);
    key_put_i64(out, t.usec + t.zone * USECS_PER_SEC);
    key_put_u32(out, (uint32_t)t.zone ^ 0x80000000u);
}

/* ---- timestamp, timestamptz ---- */

static err_t timestamp_parse(struct type_io *io, const char *type, const char *text, size_t len,
                             bool with_zone, datum *out)
{
    struct moment m;
    enum decode e = moment_decode(io, text, len, false, &m);
    if (e != DECODE_OK)
        return raise_decode(e, type, text, len);
    int64_t t = 0;
    bool ok = true;
    switch (m.kind) {
    case MOMENT_EPOCH:
        t = -EPOCH_2000_UNIX_US;
        break;
    case MOMENT_INFINITY:
        t = TIMESTAMP_END;
        break;
    case MOMENT_MINUS_INFINITY:
        t = TIMESTAMP_BEGIN;
        break;
    case MOMENT_VALUE:
        if (!with_zone) {
            ok = timestamp_of_civil(&m.civil, &t);
        } else {
            /* A local time just outside may be an instant inside. */
            ok = timestamp_of_civil_unchecked(&m.civil, &t) &&
                 !ckd_sub_i64(&t, t, m.offset * USECS_PER_SEC) && timestamp_is_valid(t);
        }
        break;
    }
    if (!ok)
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "timestamp out of range: \"%.*s\"",
                         (int)MIN(len, (size_t)4096), text);
    *out = datum_of_i64(t);
    return ERR_OK;
}

err_t timestamp_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return timestamp_parse(io, "timestamp", text, len, false, out);
}
err_t timestamptz_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return timestamp_parse(io, "timestamp with time zone", text, len, true, out);
}
err_t timestamp_output(struct type_io *io, datum value, struct strbuf *out)
{
    int64_t t = datum_i64(value);
    if (put_infinity(out, t == TIMESTAMP_BEGIN, t == TIMESTAMP_END))
        return ERR_OK;
    struct civil c;
    civil_of_timestamp(t, &c);
    put_timestamp(out, &c, io->env, false, 0, "");
    return ERR_OK;
}
err_t timestamptz_output(struct type_io *io, datum value, struct strbuf *out)
{
    int64_t t = datum_i64(value);
    if (put_infinity(out, t == TIMESTAMP_BEGIN, t == TIMESTAMP_END))
        return ERR_OK;
    const char *abbreviation;
    int32_t offset = time_zone_offset_at(env_zone(io->env), t, NULL, &abbreviation);
    struct civil c;
    civil_of_timestamp(t + offset * USECS_PER_SEC, &c);
    put_timestamp(out, &c, io->env, true, offset, abbreviation);
    return ERR_OK;
}
err_t timestamp_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 8)
        return raise_binary_length(len, 8);
    int64_t t = (int64_t)load_be64(bytes);
    if (timestamp_is_finite(t) && !timestamp_is_valid(t))
        return raise_timestamp_range();
    *out = datum_of_i64(t);
    return ERR_OK;
}
err_t timestamp_send(struct type_io *io, datum value, struct strbuf *out)
{
    return time_send(io, value, out);
}
err_t timestamptz_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    return timestamp_receive(io, bytes, len, out);
}
err_t timestamptz_send(struct type_io *io, datum value, struct strbuf *out)
{
    return time_send(io, value, out);
}
int timestamp_compare(datum a, datum b)
{
    return time_compare(a, b);
}
uint64_t timestamp_hash(datum d)
{
    return time_hash(d);
}
void timestamp_sort_key(datum d, struct strbuf *out)
{
    time_sort_key(d, out);
}
