/* Text of dates, times and intervals: what the files of this family share. */
#ifndef SQL_TYPES_DATETIME_PRIV_H
#define SQL_TYPES_DATETIME_PRIV_H

#include "sql/types/datetime.h"

/* ---- fields of an input string ---- */

enum field_kind {
    FIELD_NUMBER,  /* 123, .5, 12.5 */
    FIELD_TEXT,    /* letters */
    FIELD_DATE,    /* 1999-01-08, jan-08-1999, europe/berlin */
    FIELD_TIME,    /* 04:05:06.7 */
    FIELD_ZONE,    /* +02:00, -7 */
    FIELD_SPECIAL, /* -infinity */
};
enum { FIELDS_MAX = 25, FIELD_BYTES_MAX = 256 };
struct field {
    enum field_kind kind;
    const char *text; /* lower case, NUL-terminated */
    uint32_t len;
};
struct fields {
    uint32_t count;
    struct field at[FIELDS_MAX + 1];
    char bytes[FIELD_BYTES_MAX + FIELDS_MAX + 2];
};

enum decode {
    DECODE_OK,
    DECODE_SYNTAX,
    DECODE_RANGE,
    DECODE_RANGE_HINT, /* a different DateStyle may help */
    DECODE_ZONE_RANGE,
    DECODE_INTERVAL_RANGE,
    DECODE_RAISED, /* err_raise has been called */
};
enum decode fields_split(const char *text, size_t len, struct fields *out);
COLD err_t raise_decode(enum decode e, const char *type, const char *text, size_t len);

/* Calendar or time value of a string. */
enum moment_kind { MOMENT_VALUE, MOMENT_EPOCH, MOMENT_INFINITY, MOMENT_MINUS_INFINITY };
struct moment {
    enum moment_kind kind;
    struct civil civil;
    bool has_zone;
    int32_t offset;    /* seconds east: given, or the session zone's */
    bool offset_known; /* false: a time of day in a zone that needs a date */
};
enum decode moment_decode(const struct type_io *io, const char *text, size_t len, bool time_only,
                          struct moment *out);

/* hh:mm[:ss[.f]], mm:ss.f; hours may be large for intervals. */
enum decode time_decode(const char *text, bool minute_to_second, int64_t *hour, int32_t *minute,
                        int32_t *second, int32_t *usec);
enum decode fraction_decode(const char *text, int32_t *usec); /* ".123" */
/* Decimal digits with sign into int32; DECODE_RANGE. */
enum decode integer_decode(const char *text, const char **end, int64_t *out);

void put_fraction(struct strbuf *out, int32_t usec); /* ".5", nothing when 0 */
void put_offset(struct strbuf *out, int32_t east);   /* +02, -03:30 */

err_t precision_typmod_in(const char *type, const char *suffix, const int32_t *args, uint32_t count,
                          int32_t *out);

#endif
