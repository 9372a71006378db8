/*
 * interval: months, days and microseconds, kept apart. A varlen of 16 bytes: i64 microseconds, i32
 * days, i32 months. In comparisons a month is 30 days and a day 24 hours.
 */
#ifndef SQL_TYPES_INTERVAL_H
#define SQL_TYPES_INTERVAL_H

#include "sql/types/datetime.h"

struct interval {
    int64_t usec;
    int32_t day;
    int32_t month;
};
struct interval interval_read(datum d);
datum interval_make(struct arena *mem, struct interval i);
__int128 interval_span(const struct interval *i); /* microseconds, a month being 30 days */

/* "interval out of range" */
COLD err_t raise_interval_range(void);
err_t interval_add(const struct interval *a, const struct interval *b, struct interval *out);
err_t interval_sub(const struct interval *a, const struct interval *b, struct interval *out);
err_t interval_negate(const struct interval *a, struct interval *out);
err_t interval_scale(const struct interval *a, double factor, struct interval *out);
err_t interval_divide(const struct interval *a, double divisor, struct interval *out);
err_t interval_round(const struct interval *a, int32_t typmod, struct interval *out);

/* Months first, then days (both in the calendar), then time. ERR_DATETIME_VALUE_OUT_OF_RANGE. For
 * timestamptz months and days are those of the zone's local time. */
err_t timestamp_add_interval(int64_t t, const struct interval *i, int64_t *out);
err_t timestamptz_add_interval(const struct time_zone *zone, int64_t t, const struct interval *i,
                               int64_t *out);

#endif
