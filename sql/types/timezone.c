/*
 * Time zones: TZif files (RFC 8536, version 2 and later) and POSIX TZ strings.
 *
 * A zone is a sorted list of transitions plus the POSIX rule of the footer for all time after the
 * last one. Zones are read at first use and never dropped. They are shared by all cores: an entry
 * is complete and immutable before it is published in its bucket by compare-and-swap, and readers
 * load the bucket with acquire. Two cores may read the same file at once; the loser's copy stays
 * unused.
 */
#include "sql/types/timezone.h"

#include "core/arena.h"
#include "sql/types/datetime.h"
#include "sql/types/types_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ZONE_DIRECTORY "/usr/share/zoneinfo"

enum {
    ZONE_FILE_BYTES_MAX = 1 << 17,
    ZONE_NAME_BYTES_MAX = 255,
    ZONE_BUCKETS = 1024,
    ZONE_COUNT_MAX = 20000, /* POSIX strings are made up by clients */
    ZONE_TYPES_MAX = 256,
    ABBREVIATION_BYTES_MAX = 32,
};

struct zone_type {
    int32_t offset; /* seconds east */
    bool is_dst;
    const char *abbreviation;
};

enum rule_kind { RULE_JULIAN, RULE_DAY, RULE_MONTH };
struct zone_rule { /* when in a year */
    enum rule_kind kind;
    int32_t day; /* RULE_MONTH: 0 = Sunday */
    int32_t week;
    int32_t month;
    int32_t seconds; /* of local time */
};

struct time_zone {
    struct time_zone *next; /* in the bucket */
    const char *key;        /* as asked for, upper case */
    const char *name;
    uint32_t transition_count;
    uint32_t type_count;
    const int64_t *at;    /* Unix seconds */
    const uint8_t *kinds; /* index in types */
    const struct zone_type *types;
    bool has_rule; /* daylight saving goes on after the last transition */
    struct zone_type standard;
    struct zone_type daylight;
    struct zone_rule begin; /* of daylight saving, in standard time */
    struct zone_rule end;   /* in daylight time */
};

static struct time_zone *_Atomic zone_buckets[ZONE_BUCKETS];
static _Atomic uint32_t zone_count;

static char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

/* ---- POSIX strings ---- */

/* A name: letters, or anything in <>. */
static const char *posix_name(const char *p, char *out)
{
    size_t n = 0;
    bool quoted = *p == '<';
    if (quoted)
        p++;
    while (*p != 0 && n + 1 < ABBREVIATION_BYTES_MAX) {
        if (quoted ? *p == '>' : (*p >= '0' && *p <= '9') || *p == ',' || *p == '-' || *p == '+')
            break;
        out[n++] = *p++;
    }
    out[n] = 0;
    if (quoted) {
        if (*p != '>')
            return NULL;
        p++;
    }
    return p;
}
static const char *posix_number(const char *p, int32_t low, int32_t high, int32_t *out)
{
    int32_t v = 0;
    if (*p < '0' || *p > '9')
        return NULL;
    while (*p >= '0' && *p <= '9') {
        v = v * 10 + (*p++ - '0');
        if (v > high)
            return NULL;
    }
    *out = v;
    return v < low ? NULL : p;
}
/* [+-]hh[:mm[:ss]] */
static const char *posix_offset(const char *p, int32_t *seconds)
{
    bool negative = *p == '-';
    int32_t h = 0;
    int32_t m = 0;
    int32_t s = 0;
    if (*p == '-' || *p == '+')
        p++;
    p = posix_number(p, 0, 24 * 7 - 1, &h);
    if (p != NULL && *p == ':') {
        p = posix_number(p + 1, 0, 59, &m);
        if (p != NULL && *p == ':')
            p = posix_number(p + 1, 0, 60, &s);
    }
    *seconds = h * 3600 + m * 60 + s;
    if (negative)
        *seconds = -*seconds;
    return p;
}
static const char *posix_rule(const char *p, struct zone_rule *r)
{
    r->seconds = 7200;
    if (*p == 'J') {
        r->kind = RULE_JULIAN;
        p = posix_number(p + 1, 1, 365, &r->day);
    } else if (*p == 'M') {
        r->kind = RULE_MONTH;
        p = posix_number(p + 1, 1, 12, &r->month);
        if (p == NULL || *p++ != '.')
            return NULL;
        p = posix_number(p, 1, 5, &r->week);
        if (p == NULL || *p++ != '.')
            return NULL;
        p = posix_number(p, 0, 6, &r->day);
    } else {
        r->kind = RULE_DAY;
        p = posix_number(p, 0, 365, &r->day);
    }
    if (p != NULL && *p == '/')
        p = posix_offset(p + 1, &r->seconds);
    return p;
}

static bool posix_parse(const char *p, struct time_zone *z)
{
    char standard[ABBREVIATION_BYTES_MAX];
    char daylight[ABBREVIATION_BYTES_MAX];
    int32_t west = 0;
    p = posix_name(p, standard);
    if (p == NULL || *p == 0)
        return false;
    p = posix_offset(p, &west);
    if (p == NULL)
        return false;
    z->standard.offset = -west;
    z->has_rule = false;
    daylight[0] = 0;
    if (*p != 0) {
        p = posix_name(p, daylight);
        if (p == NULL || daylight[0] == 0)
            return false;
        west -= 3600;
        if (*p != 0 && *p != ',' && *p != ';')
            p = posix_offset(p, &west);
        if (p == NULL)
            return false;
        z->daylight.offset = -west;
        z->daylight.is_dst = true;
        if (*p == 0)
            p = ",M3.2.0,M11.1.0";
        if (*p != ',' && *p != ';')
            return false;
        p = posix_rule(p + 1, &z->begin);
        if (p == NULL || *p != ',')
            return false;
        p = posix_rule(p + 1, &z->end);
        if (p == NULL || *p != 0)
            return false;
        z->has_rule = true;
    }
    size_t a = strlen(standard) + 1;
    size_t b = strlen(daylight) + 1;
    char *names = core_malloc(a + b);
    memcpy(names, standard, a);
    memcpy(names + a, daylight, b);
    z->standard.abbreviation = names;
    z->daylight.abbreviation = names + a;
    return true;
}

/* ---- TZif files ---- */

struct tzif_counts {
    uint32_t utc;
    uint32_t standard;
    uint32_t leap;
    uint32_t time;
    uint32_t type;
    uint32_t chars;
};
enum { TZIF_HEADER_BYTES = 44 };

static bool tzif_header(const uint8_t *p, size_t len, struct tzif_counts *c)
{
    if (len < TZIF_HEADER_BYTES || memcmp(p, "TZif", 4) != 0)
        return false;
    c->utc = load_be32(p + 20);
    c->standard = load_be32(p + 24);
    c->leap = load_be32(p + 28);
    c->time = load_be32(p + 32);
    c->type = load_be32(p + 36);
    c->chars = load_be32(p + 40);
    uint32_t most = ZONE_FILE_BYTES_MAX;
    return c->utc <= most && c->standard <= most && c->leap <= most && c->time <= most &&
           c->type >= 1 && c->type <= ZONE_TYPES_MAX && c->chars <= most;
}
static size_t tzif_bytes(const struct tzif_counts *c, size_t time_bytes)
{
    return c->time * time_bytes + c->time + c->type * 6 + c->chars + c->leap * (time_bytes + 4) +
           c->standard + c->utc;
}

static bool tzif_parse(const uint8_t *p, size_t len, struct time_zone *z)
{
    struct tzif_counts c;
    if (!tzif_header(p, len, &c) || p[4] < '2')
        return false;
    size_t skip = TZIF_HEADER_BYTES + tzif_bytes(&c, 4);
    if (skip > len || !tzif_header(p + skip, len - skip, &c))
        return false;
    p += skip + TZIF_HEADER_BYTES;
    len -= skip + TZIF_HEADER_BYTES;
    if (tzif_bytes(&c, 8) > len || c.leap != 0)
        return false;
    const uint8_t *times = p;
    const uint8_t *kinds = times + c.time * 8;
    const uint8_t *types = kinds + c.time;
    const uint8_t *chars = types + c.type * 6;
    const uint8_t *footer = p + tzif_bytes(&c, 8);
    size_t footer_len = len - tzif_bytes(&c, 8);

    int64_t *at = core_zalloc(sizeof(int64_t) * (c.time + 1));
    uint8_t *kind = core_zalloc(c.time + 1);
    struct zone_type *t = core_zalloc(sizeof(struct zone_type) * c.type);
    char *text = core_zalloc(c.chars + 1);
    memcpy(text, chars, c.chars);
    for (uint32_t i = 0; i < c.type; i++) {
        t[i].offset = (int32_t)load_be32(types + i * 6);
        t[i].is_dst = types[i * 6 + 4] != 0;
        if (types[i * 6 + 5] >= c.chars + 1)
            return false;
        t[i].abbreviation = text + types[i * 6 + 5];
    }
    for (uint32_t i = 0; i < c.time; i++) {
        at[i] = (int64_t)load_be64(times + i * 8);
        kind[i] = kinds[i];
        if (kind[i] >= c.type || (i > 0 && at[i] <= at[i - 1]))
            return false;
    }
    z->at = at;
    z->kinds = kind;
    z->types = t;
    z->transition_count = c.time;
    z->type_count = c.type;
    if (footer_len >= 2 && footer[0] == '\n') {
        char rule[256];
        size_t n = 0;
        while (n + 1 < footer_len && footer[n + 1] != '\n' && n + 1 < sizeof(rule)) {
            rule[n] = (char)footer[n + 1];
            n++;
        }
        rule[n] = 0;
        if (n > 0 && !posix_parse(rule, z))
            return false;
    }
    return true;
}

/* The name's exact spelling in the directory; into `path` at `used`. */
static bool find_in_directory(const char *directory, const char *name, size_t len, char *out)
{
    DIR *d = opendir(directory);
    if (d == NULL)
        return false;
    bool found = false;
    for (struct dirent *e = readdir(d); e != NULL && !found; e = readdir(d)) {
        if (e->d_name[0] == '.' || strlen(e->d_name) != len ||
            strncasecmp(e->d_name, name, len) != 0)
            continue;
        memcpy(out, e->d_name, len);
        found = true;
    }
    closedir(d);
    return found;
}

static bool read_zone_file(const char *name, struct time_zone *z)
{
    char path[sizeof(ZONE_DIRECTORY) + ZONE_NAME_BYTES_MAX + 2] = ZONE_DIRECTORY;
    size_t used = strlen(path);
    const char *p = name;
    for (;;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || p[0] == '.')
            return false;
        path[used] = 0;
        char exact[ZONE_NAME_BYTES_MAX + 1];
        if (!find_in_directory(path, p, n, exact))
            return false;
        path[used++] = '/';
        memcpy(path + used, exact, n);
        used += n;
        path[used] = 0;
        p += n;
        if (*p == 0)
            break;
        p++;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    uint8_t *bytes = core_malloc(ZONE_FILE_BYTES_MAX);
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, bytes + len, ZONE_FILE_BYTES_MAX - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    close(fd);
    bool ok = tzif_parse(bytes, len, z);
    core_free(bytes);
    if (ok) {
        size_t n = strlen(path) - strlen(ZONE_DIRECTORY);
        char *copy = core_malloc(n);
        memcpy(copy, path + strlen(ZONE_DIRECTORY) + 1, n);
        z->name = copy;
    }
    return ok;
}

/* ---- finding ---- */

static struct time_zone *zone_lookup(const char *key, uint32_t bucket)
{
    struct time_zone *z = atomic_load_explicit(&zone_buckets[bucket], memory_order_acquire);
    while (z != NULL && strcmp(z->key, key) != 0)
        z = z->next;
    return z;
}

static const struct time_zone *zone_publish(struct time_zone *z, uint32_t bucket)
{
    struct time_zone *head = atomic_load_explicit(&zone_buckets[bucket], memory_order_acquire);
    do {
        z->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&zone_buckets[bucket], &head, z,
                                                    memory_order_release, memory_order_acquire));
    atomic_fetch_add_explicit(&zone_count, 1, memory_order_relaxed);
    return z;
}

const struct time_zone *time_zone_find_name(const char *name)
{
    char key[ZONE_NAME_BYTES_MAX + 1];
    size_t len = 0;
    for (; name[len] != 0; len++) {
        if (len == ZONE_NAME_BYTES_MAX)
            return NULL;
        key[len] = ascii_upper(name[len]);
    }
    key[len] = 0;
    if (len == 0)
        return NULL;
    uint32_t bucket = (uint32_t)(hash_bytes(key, len) % ZONE_BUCKETS);
    struct time_zone *z = zone_lookup(key, bucket);
    if (z != NULL)
        return z;
    if (atomic_load_explicit(&zone_count, memory_order_relaxed) >= ZONE_COUNT_MAX)
        return NULL;
    z = core_zalloc(sizeof(*z));
    char *copy = core_malloc(len + 1);
    memcpy(copy, key, len + 1);
    z->key = copy;
    if (!read_zone_file(name, z)) {
        memset(z, 0, sizeof(*z));
        z->key = copy;
        z->name = copy;
        bool is_utc = strcmp(key, "UTC") == 0 || strcmp(key, "GMT") == 0;
        if (is_utc)
            z->standard.abbreviation = copy;
        else if (!posix_parse(key, z)) {
            core_free(copy);
            core_free(z);
            return NULL;
        }
    }
    return zone_publish(z, bucket);
}

const struct time_zone *time_zone_find(const char *name)
{
    char *end = NULL;
    double hours = (*name >= '0' && *name <= '9') || *name == '+' || *name == '-' || *name == '.'
                       ? strtod(name, &end)
                       : 0;
    if (end == NULL || end == name || *end != 0)
        return time_zone_find_name(name);
    if (!(hours >= -168 && hours <= 168))
        return NULL;
    int32_t east = (int32_t)(hours * 3600);
    int32_t a = east < 0 ? -east : east;
    char text[24];
    int n = snprintf(text, sizeof(text), "%02d", a / 3600);
    if (a % 3600 != 0)
        n += snprintf(text + n, sizeof(text) - (size_t)n, ":%02d", a % 3600 / 60);
    if (a % 60 != 0)
        (void)snprintf(text + n, sizeof(text) - (size_t)n, ":%02d", a % 60);
    char posix[64];
    snprintf(posix, sizeof(posix), east < 0 ? "<-%s>+%s" : "<+%s>-%s", text, text);
    return time_zone_find_name(posix);
}

const char *time_zone_name(const struct time_zone *z)
{
    return z == NULL ? "UTC" : z->name;
}

/* ---- transitions ---- */

static int64_t rule_day(const struct zone_rule *r, int64_t year)
{
    if (r->kind == RULE_DAY)
        return days_of_civil(year, 1, 1) + r->day;
    if (r->kind == RULE_JULIAN) {
        bool after_leap_day = r->day >= 60 && month_days(year, 2) == 29;
        return days_of_civil(year, 1, 1) + r->day - 1 + after_leap_day;
    }
    int64_t first = days_of_civil(year, r->month, 1);
    int64_t day = first + (r->day - week_day(first) + 7) % 7 + 7 * (r->week - 1);
    return day >= first + month_days(year, r->month) ? day - 7 : day;
}
static int64_t unix_of(int64_t days, int32_t seconds)
{
    return (days - EPOCH_1970_DAYS) * 86400 + seconds;
}

struct zone_moment {
    const struct zone_type *type;
    bool has_next;
    int64_t next_at; /* Unix seconds of the first transition after */
    const struct zone_type *next;
};

static void moment_by_rule(const struct time_zone *z, int64_t t, struct zone_moment *m)
{
    int64_t year;
    int32_t month;
    int32_t day;
    int64_t days = t / 86400 - (t % 86400 < 0) + EPOCH_1970_DAYS;
    civil_of_days(days, &year, &month, &day);
    int64_t last = INT64_MIN;
    m->next_at = INT64_MAX;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t begin = unix_of(rule_day(&z->begin, y), z->begin.seconds - z->standard.offset);
        int64_t end = unix_of(rule_day(&z->end, y), z->end.seconds - z->daylight.offset);
        for (int i = 0; i < 2; i++) {
            int64_t at = i == 0 ? begin : end;
            const struct zone_type *type = i == 0 ? &z->daylight : &z->standard;
            if (at <= t && at > last) {
                last = at;
                m->type = type;
            }
            if (at > t && at < m->next_at) {
                m->next_at = at;
                m->next = type;
                m->has_next = true;
            }
        }
    }
}

static void moment_find(const struct time_zone *z, int64_t t, struct zone_moment *m)
{
    m->has_next = false;
    if (z->transition_count == 0 || t >= z->at[z->transition_count - 1]) {
        m->type = z->transition_count > 0 ? &z->types[z->kinds[z->transition_count - 1]]
                  : z->type_count > 0     ? &z->types[0]
                                          : &z->standard;
        if (z->has_rule)
            moment_by_rule(z, t, m);
        return;
    }
    uint32_t low = 0; /* first transition after t */
    uint32_t high = z->transition_count - 1;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (z->at[mid] > t)
            high = mid;
        else
            low = mid + 1;
    }
    m->type = low == 0 ? &z->types[0] : &z->types[z->kinds[low - 1]];
    m->has_next = true;
    m->next_at = z->at[low];
    m->next = &z->types[z->kinds[low]];
}

static int64_t unix_seconds(int64_t us)
{
    return us / USECS_PER_SEC - (us % USECS_PER_SEC < 0) + EPOCH_2000_UNIX_US / USECS_PER_SEC;
}

int32_t time_zone_offset_at(const struct time_zone *z, int64_t utc_us, bool *is_dst,
                            const char **abbreviation)
{
    static const struct zone_type utc = {0, false, "UTC"};
    struct zone_moment m = {.type = &utc};
    if (z != NULL)
        moment_find(z, unix_seconds(utc_us), &m);
    if (is_dst != NULL)
        *is_dst = m.type->is_dst;
    if (abbreviation != NULL)
        *abbreviation = m.type->abbreviation;
    return m.type->offset;
}

int32_t time_zone_offset_local(const struct time_zone *z, int64_t local_us)
{
    if (z == NULL)
        return 0;
    int64_t local = unix_seconds(local_us);
    struct zone_moment m;
    moment_find(z, local - 86400, &m);
    if (!m.has_next)
        return m.type->offset;
    int64_t before = local - m.type->offset; /* the instant, read on either side */
    int64_t after = local - m.next->offset;
    if (before < m.next_at && after < m.next_at)
        return m.type->offset;
    if (before > m.next_at && after >= m.next_at)
        return m.next->offset;
    /* A gap (the clock jumps forward) reads as before it, a repeated hour as after. */
    return before > after ? m.type->offset : m.next->offset;
}

bool time_zone_is_fixed(const struct time_zone *z, int32_t *offset)
{
    const struct zone_type *first = z->type_count > 0 ? &z->types[0] : &z->standard;
    *offset = first->offset;
    for (uint32_t i = 1; i < z->type_count; i++)
        if (z->types[i].offset != first->offset)
            return false;
    return !z->has_rule || z->daylight.offset == z->standard.offset;
}

bool time_zone_abbreviation_at(const struct time_zone *z, const char *abbreviation, int64_t utc_us,
                               int32_t *offset, bool *is_dst)
{
    int64_t t = unix_seconds(utc_us);
    struct zone_moment m;
    moment_find(z, t, &m);
    const struct zone_type *found = NULL;
    if (strcmp(m.type->abbreviation, abbreviation) == 0)
        found = m.type;
    /* The nearest use before the instant, else the first after it. */
    uint32_t after = 0;
    while (after < z->transition_count && z->at[after] <= t)
        after++;
    for (uint32_t i = after; i > 0 && found == NULL; i--)
        if (strcmp(z->types[z->kinds[i - 1]].abbreviation, abbreviation) == 0)
            found = &z->types[z->kinds[i - 1]];
    if (found == NULL && z->type_count > 0 && strcmp(z->types[0].abbreviation, abbreviation) == 0)
        found = &z->types[0];
    for (uint32_t i = after; i < z->transition_count && found == NULL; i++)
        if (strcmp(z->types[z->kinds[i]].abbreviation, abbreviation) == 0)
            found = &z->types[z->kinds[i]];
    if (found == NULL)
        return false;
    *offset = found->offset;
    *is_dst = found->is_dst;
    return true;
}
