/* Time zones from the system's tz database (tzdata, TZif files), cached for the process's life. */
#ifndef SQL_TYPES_TIMEZONE_H
#define SQL_TYPES_TIMEZONE_H

#include "core/err.h"

struct time_zone;

/* "Europe/Berlin", "UTC", "+02", POSIX strings such as "EST5EDT"; case-insensitive. NULL when there
 * is no such zone. The result is immutable and lives as long as the core. */
const struct time_zone *time_zone_find(const char *name);
const char *time_zone_name(const struct time_zone *z); /* canonical spelling */

/* utc_us: microseconds since 2000-01-01 00:00 UTC. Seconds east of UTC, whether DST, and the
 * abbreviation (lives with the zone). zone NULL = UTC. */
int32_t time_zone_offset_at(const struct time_zone *z, int64_t utc_us, bool *is_dst,
                            const char **abbreviation);
/* Offset for a local time (microseconds since 2000-01-01 00:00 local); in a gap or an overlap as
 * PostgreSQL chooses (standard time in overlaps, the offset before in gaps). */
int32_t time_zone_offset_local(const struct time_zone *z, int64_t local_us);

#endif
