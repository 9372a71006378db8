/*
 * Dates and times for other families and rooms: the calendar, conversions between instants and
 * local times, and the decoding of text.
 *
 * date: int32 days since 2000-01-01. time: int64 microseconds since midnight (24:00 allowed).
 * timestamp: int64 microseconds since 2000-01-01 00:00 local; timestamptz the same in UTC. The
 * smallest and largest words are -infinity and infinity. timetz: struct timetz as a varlen of 12
 * bytes. The calendar is the proleptic Gregorian one, years astronomical (0 = 1 BC).
 */
#ifndef SQL_TYPES_DATETIME_H
#define SQL_TYPES_DATETIME_H

#include "sql/types/timezone.h"
#include "sql/types/types.h"

#define USECS_PER_SEC INT64_C(1000000)
#define USECS_PER_MINUTE INT64_C(60000000)
#define USECS_PER_HOUR INT64_C(3600000000)
#define USECS_PER_DAY INT64_C(86400000000)
#define TIMESTAMP_BEGIN INT64_MIN /* -infinity */
#define TIMESTAMP_END INT64_MAX   /* infinity */
#define DATE_BEGIN INT32_MIN
#define DATE_END INT32_MAX
#define EPOCH_2000_UNIX_US INT64_C(946684800000000)
enum {
    EPOCH_2000_JULIAN = 2451545, /* Julian day of 2000-01-01 */
    EPOCH_1970_DAYS = -10957,
    TIME_PRECISION_MAX = 6,
};

struct civil {
    int64_t year; /* astronomical */
    int32_t month;
    int32_t day;
    int32_t hour;
    int32_t minute;
    int32_t second;
    int32_t usec;
};

struct timetz {
    int64_t usec;
    int32_t zone; /* seconds WEST of UTC, as PostgreSQL's */
};

static inline bool timestamp_is_finite(int64_t t)
{
    return t != TIMESTAMP_BEGIN && t != TIMESTAMP_END;
}
static inline bool date_is_finite(int32_t d)
{
    return d != DATE_BEGIN && d != DATE_END;
}
bool timestamp_is_valid(int64_t t); /* within the type's finite range */
bool date_is_valid(int64_t days);

int64_t days_of_civil(int64_t year, int32_t month, int32_t day); /* since 2000-01-01 */
void civil_of_days(int64_t days, int64_t *year, int32_t *month, int32_t *day);
int32_t month_days(int64_t year, int32_t month); /* 28..31 */
int32_t week_day(int64_t days);                  /* 0 = Sunday */
void civil_of_timestamp(int64_t t, struct civil *out);
bool timestamp_of_civil(const struct civil *c, int64_t *out); /* false: out of range */
/* The same for a local time whose instant alone has to be in range. */
bool timestamp_of_civil_unchecked(const struct civil *c, int64_t *out);
int64_t time_of_civil(const struct civil *c);        /* microseconds since midnight */
void civil_of_time(int64_t usec, struct civil *out); /* time fields only */

/* ISO 8601 weeks. */
void iso_week_of_days(int64_t days, int64_t *year, int32_t *week);
int64_t days_of_iso_week(int64_t year, int32_t week); /* its Monday */

/* Infinite values pass unchanged. ERR_DATETIME_VALUE_OUT_OF_RANGE. zone NULL = UTC. */
err_t timestamp_to_utc(const struct time_zone *zone, int64_t local, int64_t *out);
err_t timestamp_to_local(const struct time_zone *zone, int64_t utc, int64_t *out);
err_t timestamp_of_date(int32_t date, int64_t *out);
err_t timestamptz_of_date(const struct time_zone *zone, int32_t date, int64_t *out);
err_t date_of_timestamp(int64_t local, int32_t *out);
err_t date_of_timestamptz(const struct time_zone *zone, int64_t utc, int32_t *out);
/* Order of a date and a timestamp (or timestamptz) without overflow. */
int date_compare_timestamp(int32_t date, int64_t t);
int date_compare_timestamptz(const struct time_zone *zone, int32_t date, int64_t t);
int timestamp_compare_timestamptz(const struct time_zone *zone, int64_t local, int64_t utc);

/* typmod: 0..6, -1 = none. */
int64_t time_round(int64_t usec, int32_t precision);
err_t timestamp_round(int64_t t, int32_t precision, int64_t *out);

struct timetz timetz_read(datum d);
datum timetz_make(struct arena *mem, struct timetz t);

static inline const struct time_zone *env_zone(const struct session_env *env)
{
    return env == NULL ? NULL : env->zone;
}

COLD err_t raise_date_range(void);      /* date out of range */
COLD err_t raise_timestamp_range(void); /* timestamp out of range */

/* Words of dates: "year", "mons", "msec", "epoch", "isodow" ... as EXTRACT and date_trunc and
 * intervals take them (lower case, already trimmed). */
enum datetime_unit {
    UNIT_NONE,
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_TIMEZONE,
    UNIT_TIMEZONE_HOUR,
    UNIT_TIMEZONE_MINUTE,
    UNIT_EPOCH,
    UNIT_JULIAN,
    UNIT_DOW,
    UNIT_DOY,
    UNIT_ISODOW,
    UNIT_ISOYEAR,
    UNIT_AGO,
};
enum datetime_unit interval_unit_find(const char *word, size_t len); /* words of intervals */
enum datetime_unit extract_unit_find(const char *word, size_t len);  /* and those of EXTRACT */

extern const char *const month_names[12]; /* January */
extern const char *const day_names[7];    /* Sunday */

/* A zone as AT TIME ZONE and make_timestamptz take it: an abbreviation, a zone's name, or a POSIX
 * string. */
struct zone_choice {
    bool is_fixed;
    int32_t offset;               /* seconds east, is_fixed */
    const struct time_zone *zone; /* else; with abbreviation: its meaning there */
    const char *abbreviation;     /* upper case, static; NULL = the zone itself */
};
/* false: no such zone. */
bool zone_choice_find(const char *name, size_t len, struct zone_choice *out);
/* Seconds east at an instant, or at a local time. */
int32_t zone_choice_offset_at(const struct zone_choice *z, int64_t utc);
int32_t zone_choice_offset_local(const struct zone_choice *z, int64_t local);
COLD err_t raise_no_zone(const char *name, size_t len); /* time zone "x" not recognized */

/* "+02", "-3:30": signed displacement; seconds east. false: not one. */
bool zone_displacement_parse(const char *text, size_t len, int32_t *out);

/* Abbreviations of input; NULL = none. Sorted table by lower-case name. */
struct zone_abbreviation {
    const char *name;
    int32_t offset;
    bool is_dst;
    const char *zone; /* NULL = fixed */
};
const struct zone_abbreviation *zone_abbreviation_find(const char *lower_name, size_t len);

/* ---- time_zone details beyond timezone.h ---- */

/* As time_zone_find, but digits alone are no offset ("+02" is then a POSIX string: west). */
const struct time_zone *time_zone_find_name(const char *name);
/* Whether the zone has had one offset at all times. */
bool time_zone_is_fixed(const struct time_zone *z, int32_t *offset);
/* What the abbreviation (upper case) means in the zone around an instant; false: not used there. */
bool time_zone_abbreviation_at(const struct time_zone *z, const char *abbreviation, int64_t utc_us,
                               int32_t *offset, bool *is_dst);

#endif
