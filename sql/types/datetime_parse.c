/*
 * Decoding of dates and times from text, as liberal as PostgreSQL: the string is split into fields
 * by their looks, then every field is given a meaning by what has been seen before it. `seen` is
 * the set of parts known so far; a part given twice is a syntax error.
 */
#include "sql/types/datetime_priv.h"
#include "sql/types/types_priv.h"

#include "core/core.h"

#include <math.h>
#include <stdlib.h>

enum {
    HAS_YEAR = 1,
    HAS_MONTH = 2,
    HAS_DAY = 4,
    HAS_TIME = 8,
    HAS_ZONE = 16,
    HAS_DAY_OF_YEAR = 32,
    HAS_HALF = 64,
    HAS_ERA = 128,
    HAS_WEEKDAY = 256,
    HAS_DATE = HAS_YEAR | HAS_MONTH | HAS_DAY,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}
static bool is_punct(char c)
{
    return (c > 32 && c < 127) && !is_digit(c) && !is_alpha(c);
}

/* ---- words ---- */

enum word_kind {
    WORD_NONE,
    WORD_MONTH,
    WORD_WEEKDAY,
    WORD_AM,
    WORD_PM,
    WORD_AD,
    WORD_BC,
    WORD_IGNORED,
    WORD_JULIAN,
    WORD_TIME,
    WORD_NOW,
    WORD_TODAY,
    WORD_TOMORROW,
    WORD_YESTERDAY,
    WORD_MIDNIGHT,
    WORD_EPOCH,
    WORD_INFINITY,
    WORD_MINUS_INFINITY,
    WORD_DST,
    WORD_UNIT, /* known, but with no use in a date */
};
static const struct word {
    const char *name;
    enum word_kind kind;
    int32_t value;
} words[] = {
    {"-infinity", WORD_MINUS_INFINITY, 0},
    {"ad", WORD_AD, 0},
    {"allballs", WORD_MIDNIGHT, 0},
    {"am", WORD_AM, 0},
    {"apr", WORD_MONTH, 4},
    {"april", WORD_MONTH, 4},
    {"at", WORD_IGNORED, 0},
    {"aug", WORD_MONTH, 8},
    {"august", WORD_MONTH, 8},
    {"bc", WORD_BC, 0},
    {"d", WORD_UNIT, 0},
    {"dec", WORD_MONTH, 12},
    {"december", WORD_MONTH, 12},
    {"dow", WORD_UNIT, 0},
    {"doy", WORD_UNIT, 0},
    {"dst", WORD_DST, 0},
    {"epoch", WORD_EPOCH, 0},
    {"feb", WORD_MONTH, 2},
    {"february", WORD_MONTH, 2},
    {"fri", WORD_WEEKDAY, 5},
    {"friday", WORD_WEEKDAY, 5},
    {"h", WORD_UNIT, 0},
    {"infinity", WORD_INFINITY, 0},
    {"isodow", WORD_UNIT, 0},
    {"isoyear", WORD_UNIT, 0},
    {"j", WORD_JULIAN, 0},
    {"jan", WORD_MONTH, 1},
    {"january", WORD_MONTH, 1},
    {"jd", WORD_JULIAN, 0},
    {"jul", WORD_MONTH, 7},
    {"julian", WORD_JULIAN, 0},
    {"july", WORD_MONTH, 7},
    {"jun", WORD_MONTH, 6},
    {"june", WORD_MONTH, 6},
    {"m", WORD_UNIT, 0},
    {"mar", WORD_MONTH, 3},
    {"march", WORD_MONTH, 3},
    {"may", WORD_MONTH, 5},
    {"mm", WORD_UNIT, 0},
    {"mon", WORD_WEEKDAY, 1},
    {"monday", WORD_WEEKDAY, 1},
    {"nov", WORD_MONTH, 11},
    {"november", WORD_MONTH, 11},
    {"now", WORD_NOW, 0},
    {"oct", WORD_MONTH, 10},
    {"october", WORD_MONTH, 10},
    {"on", WORD_IGNORED, 0},
    {"pm", WORD_PM, 0},
    {"s", WORD_UNIT, 0},
    {"sat", WORD_WEEKDAY, 6},
    {"saturday", WORD_WEEKDAY, 6},
    {"sep", WORD_MONTH, 9},
    {"sept", WORD_MONTH, 9},
    {"september", WORD_MONTH, 9},
    {"sun", WORD_WEEKDAY, 0},
    {"sunday", WORD_WEEKDAY, 0},
    {"t", WORD_TIME, 0},
    {"thu", WORD_WEEKDAY, 4},
    {"thur", WORD_WEEKDAY, 4},
    {"thurs", WORD_WEEKDAY, 4},
    {"thursday", WORD_WEEKDAY, 4},
    {"today", WORD_TODAY, 0},
    {"tomorrow", WORD_TOMORROW, 0},
    {"tue", WORD_WEEKDAY, 2},
    {"tues", WORD_WEEKDAY, 2},
    {"tuesday", WORD_WEEKDAY, 2},
    {"wed", WORD_WEEKDAY, 3},
    {"wednesday", WORD_WEEKDAY, 3},
    {"weds", WORD_WEEKDAY, 3},
    {"y", WORD_UNIT, 0},
    {"yesterday", WORD_YESTERDAY, 0},
};

static const struct word *word_find(const char *name)
{
    size_t low = 0;
    size_t high = ARRAY_LEN(words);
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = strcmp(words[mid].name, name);
        if (c == 0)
            return &words[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static const struct zone_abbreviation abbreviations[] = {
#define FIXED(name, offset, is_dst) {name, offset, is_dst, NULL},
#define ZONED(name, zone) {name, 0, false, zone},
#include "sql/types/datetime_abbreviations.def"
#undef FIXED
#undef ZONED
};

const struct zone_abbreviation *zone_abbreviation_find(const char *lower_name, size_t len)
{
    size_t low = 0;
    size_t high = ARRAY_LEN(abbreviations);
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = strncmp(abbreviations[mid].name, lower_name, len);
        if (c == 0)
            c = abbreviations[mid].name[len] != 0;
        if (c == 0)
            return &abbreviations[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* ---- fields ---- */

struct splitter {
    const char *p;
    const char *end;
    struct fields *out;
    uint32_t used;
    bool overflow;
};
static char peek(const struct splitter *s)
{
    return s->p < s->end ? *s->p : '\0';
}
static void take(struct splitter *s)
{
    if (s->used + 1 >= sizeof(s->out->bytes) || s->used >= FIELD_BYTES_MAX) {
        s->overflow = true;
        s->p = s->end;
        return;
    }
    s->out->bytes[s->used++] = ascii_lower(*s->p++);
}
static void take_digits(struct splitter *s)
{
    while (is_digit(peek(s)))
        take(s);
}

static enum field_kind split_number(struct splitter *s)
{
    take_digits(s);
    char c = peek(s);
    if (c == ':') {
        take(s);
        while (is_digit(peek(s)) || peek(s) == ':' || peek(s) == '.')
            take(s);
        return FIELD_TIME;
    }
    if (c != '-' && c != '/' && c != '.')
        return FIELD_NUMBER;
    char delimiter = c;
    take(s);
    if (is_digit(peek(s))) {
        enum field_kind kind = delimiter == '.' ? FIELD_NUMBER : FIELD_DATE;
        take_digits(s);
        if (peek(s) == delimiter) {
            kind = FIELD_DATE;
            take(s);
            while (is_digit(peek(s)) || peek(s) == delimiter)
                take(s);
        }
        return kind;
    }
    while (is_alpha(peek(s)) || is_digit(peek(s)) || peek(s) == delimiter)
        take(s);
    return FIELD_DATE;
}

static enum field_kind split_word(struct splitter *s)
{
    uint32_t start = s->used;
    while (is_alpha(peek(s)))
        take(s);
    char c = peek(s);
    bool is_date = c == '-' || c == '/' || c == '.';
    if (!is_date && (c == '+' || is_digit(c))) {
        /* A POSIX zone such as "est5edt", unless the letters are a word of their own. */
        s->out->bytes[s->used] = 0;
        is_date = word_find(s->out->bytes + start) == NULL;
    }
    if (!is_date)
        return FIELD_TEXT;
    while (is_alpha(peek(s)) || is_digit(peek(s)) || (peek(s) != 0 && strchr("+-/_.:", peek(s))))
        take(s);
    return FIELD_DATE;
}

enum decode fields_split(const char *text, size_t len, struct fields *out)
{
    struct splitter s = {.p = text, .end = text + len, .out = out};
    out->count = 0;
    while (s.p < s.end) {
        char c = *s.p;
        if (is_space(c)) {
            s.p++;
            continue;
        }
        if (out->count >= FIELDS_MAX)
            return DECODE_SYNTAX;
        uint32_t start = s.used;
        enum field_kind kind;
        if (is_digit(c)) {
            kind = split_number(&s);
        } else if (c == '.') {
            take(&s);
            take_digits(&s);
            kind = FIELD_NUMBER;
        } else if (is_alpha(c)) {
            kind = split_word(&s);
        } else if (c == '+' || c == '-') {
            take(&s);
            while (s.p < s.end && is_space(*s.p))
                s.p++;
            if (is_digit(peek(&s))) {
                kind = FIELD_ZONE;
                take(&s);
                while (is_digit(peek(&s)) || peek(&s) == ':' || peek(&s) == '.' || peek(&s) == '-')
                    take(&s);
            } else if (is_alpha(peek(&s))) {
                kind = FIELD_SPECIAL;
                while (is_alpha(peek(&s)))
                    take(&s);
            } else {
                return DECODE_SYNTAX;
            }
        } else if (is_punct(c)) {
            s.p++;
            continue;
        } else {
            return DECODE_SYNTAX;
        }
        if (s.overflow)
            return DECODE_SYNTAX;
        struct field *f = &out->at[out->count++];
        f->kind = kind;
        f->text = out->bytes + start;
        f->len = s.used - start;
        out->bytes[s.used++] = 0;
    }
    return DECODE_OK;
}

/* ---- numbers ---- */

enum decode integer_decode(const char *text, const char **end, int64_t *out)
{
    const char *p = text;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    int64_t v = 0;
    const char *digits = p;
    for (; is_digit(*p); p++) {
        v = v * 10 + (*p - '0');
        if (v > INT64_C(2147483648))
            return DECODE_RANGE;
    }
    if (p == digits)
        p = text;
    v = negative ? -v : v;
    if (v > INT32_MAX)
        return DECODE_RANGE;
    *end = p;
    *out = v;
    return DECODE_OK;
}

enum decode fraction_decode(const char *text, int32_t *usec)
{
    if (text[1] == 0) {
        *usec = 0;
        return DECODE_OK;
    }
    for (const char *p = text + 1; *p != 0; p++)
        if (!is_digit(*p))
            return DECODE_SYNTAX;
    *usec = (int32_t)rint(strtod(text, NULL) * 1000000);
    return DECODE_OK;
}

enum decode time_decode(const char *text, bool minute_to_second, int64_t *hour, int32_t *minute,
                        int32_t *second, int32_t *usec)
{
    const char *p;
    int64_t a;
    int64_t b;
    int64_t c = 0;
    *usec = 0;
    enum decode e = integer_decode(text, &p, &a);
    if (e != DECODE_OK)
        return e;
    if (*p != ':')
        return DECODE_SYNTAX;
    e = integer_decode(p + 1, &p, &b);
    if (e != DECODE_OK)
        return e;
    if (*p == 0 || *p == '.') {
        if (*p == '.') {
            e = fraction_decode(p, usec);
            if (e != DECODE_OK)
                return e;
        }
        if (minute_to_second || *p == '.') { /* mm:ss */
            c = b;
            b = a;
            a = 0;
        }
    } else if (*p == ':') {
        e = integer_decode(p + 1, &p, &c);
        if (e == DECODE_OK && *p == '.')
            e = fraction_decode(p, usec);
        else if (e == DECODE_OK && *p != 0)
            e = DECODE_SYNTAX;
        if (e != DECODE_OK)
            return e;
    } else {
        return DECODE_SYNTAX;
    }
    if (a < 0 || b < 0 || b > 59 || c < 0 || c > 60)
        return DECODE_RANGE;
    *hour = a;
    *minute = (int32_t)b;
    *second = (int32_t)c;
    return DECODE_OK;
}

static enum decode zone_decode(const char *text, int32_t *east)
{
    if (*text != '+' && *text != '-')
        return DECODE_SYNTAX;
    const char *p;
    int64_t h;
    int64_t m = 0;
    int64_t s = 0;
    if (!is_digit(text[1]))
        return DECODE_SYNTAX;
    if (integer_decode(text + 1, &p, &h) != DECODE_OK)
        return DECODE_ZONE_RANGE;
    if (*p == ':') {
        if (integer_decode(p + 1, &p, &m) != DECODE_OK)
            return DECODE_ZONE_RANGE;
        if (*p == ':' && integer_decode(p + 1, &p, &s) != DECODE_OK)
            return DECODE_ZONE_RANGE;
    } else if (*p == 0 && strlen(text) > 3) { /* hhmm */
        m = h % 100;
        h /= 100;
    }
    if (h < 0 || h > 15 || m < 0 || m > 59 || s < 0 || s > 59)
        return DECODE_ZONE_RANGE;
    int64_t v = h * 3600 + m * 60 + s;
    *east = (int32_t)(*text == '-' ? -v : v);
    return *p == 0 ? DECODE_OK : DECODE_SYNTAX;
}

bool zone_displacement_parse(const char *text, size_t len, int32_t *out)
{
    char copy[32];
    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = 0;
    return zone_decode(copy, out) == DECODE_OK;
}

/* ---- decoding ---- */

struct decoder {
    const struct type_io *io;
    int order; /* DateStyle: 0 MDY, 1 DMY, 2 YMD */
    bool time_only;
    uint32_t seen;
    struct civil *c;
    bool text_month;
    bool short_year; /* one or two digits */
    bool is_bc;
    bool is_julian;
    int half; /* 1 AM, 2 PM */
    struct zone_choice zone;
    bool has_zone;
    bool dst_added;
};

/* 040506, 20010203, 0405: which by length and by what is missing. */
static enum decode decode_run(struct decoder *d, char *text, uint32_t seen, uint32_t *part)
{
    char *dot = strchr(text, '.');
    size_t len = strlen(text);
    int64_t v;
    const char *end;
    if (dot != NULL) {
        enum decode e = fraction_decode(dot, &d->c->usec);
        if (e != DECODE_OK)
            return e;
        *dot = 0;
        len = strlen(text);
    } else if ((seen & HAS_DATE) != HAS_DATE && len >= 6) {
        char year[FIELD_BYTES_MAX];
        memcpy(year, text, len - 4);
        year[len - 4] = 0;
        d->c->day = (text[len - 2] - '0') * 10 + (text[len - 1] - '0');
        d->c->month = (text[len - 4] - '0') * 10 + (text[len - 3] - '0');
        enum decode e = integer_decode(year, &end, &v);
        if (e != DECODE_OK || *end != 0)
            return e != DECODE_OK ? e : DECODE_SYNTAX;
        d->c->year = v;
        d->short_year = len - 4 == 2;
        *part = HAS_DATE;
        return DECODE_OK;
    }
    for (size_t i = 0; i < len; i++)
        if (!is_digit(text[i]))
            return DECODE_SYNTAX;
    if ((seen & HAS_TIME) == 0 && (len == 6 || len == 4)) {
        d->c->hour = (text[0] - '0') * 10 + (text[1] - '0');
        d->c->minute = (text[2] - '0') * 10 + (text[3] - '0');
        d->c->second = len == 6 ? (text[4] - '0') * 10 + (text[5] - '0') : 0;
        *part = HAS_TIME;
        return DECODE_OK;
    }
    return DECODE_SYNTAX;
}

static enum decode decode_number(struct decoder *d, char *text, uint32_t seen, uint32_t *part)
{
    const char *end;
    int64_t v;
    size_t len = strlen(text);
    enum decode e = integer_decode(text, &end, &v);
    if (e != DECODE_OK)
        return e;
    if (end == text)
        return DECODE_SYNTAX;
    if (*end == '.') {
        if (end - text > 2)
            return decode_run(d, text, seen | HAS_DATE, part);
        e = fraction_decode(end, &d->c->usec);
        if (e != DECODE_OK)
            return e;
    } else if (*end != 0) {
        return DECODE_SYNTAX;
    }
    uint32_t date = seen & HAS_DATE;
    bool year_like = len >= 3;
    uint32_t as = 0;
    if (len == 3 && date == HAS_YEAR && v >= 1 && v <= 366) { /* day of the year */
        *part = HAS_DAY_OF_YEAR | HAS_MONTH | HAS_DAY;
        int64_t days = days_of_civil(d->c->year, 1, 1) + v - 1;
        int64_t year;
        civil_of_days(days, &year, &d->c->month, &d->c->day);
        d->c->year = year;
        return DECODE_OK;
    }
    switch (date) {
    case 0:
        as = year_like || d->order == 2 ? HAS_YEAR : d->order == 1 ? HAS_DAY : HAS_MONTH;
        break;
    case HAS_YEAR:
        as = HAS_MONTH;
        break;
    case HAS_MONTH:
        as = d->text_month && (year_like || d->order == 2) ? HAS_YEAR : HAS_DAY;
        break;
    case HAS_YEAR | HAS_MONTH:
        if (d->text_month && year_like && d->short_year) {
            /* 01-Jan-1999 though years come first: the short number was the day. */
            d->c->day = (int32_t)d->c->year;
            d->c->year = v;
            d->short_year = false;
            *part = HAS_DAY;
            return DECODE_OK;
        }
        as = HAS_DAY;
        break;
    case HAS_DAY:
        as = HAS_MONTH;
        break;
    case HAS_MONTH | HAS_DAY:
        as = HAS_YEAR;
        break;
    case HAS_DATE:
        return decode_run(d, text, seen, part);
    default:
        return DECODE_SYNTAX;
    }
    *part = as;
    if (as == HAS_YEAR) {
        d->c->year = v;
        d->short_year = len <= 2;
    } else if (as == HAS_MONTH) {
        d->c->month = (int32_t)v;
    } else {
        d->c->day = (int32_t)v;
    }
    return DECODE_OK;
}

/* 1999-01-08, 08-jan-1999: parts between anything that is neither letter nor digit. */
static enum decode decode_date(struct decoder *d, char *text, uint32_t seen, uint32_t *part)
{
    char *parts[4];
    uint32_t count = 0;
    char *p = text;
    while (*p != 0 && count < 4) {
        while (*p != 0 && !is_digit(*p) && !is_alpha(*p))
            p++;
        if (*p == 0)
            return DECODE_SYNTAX;
        parts[count++] = p;
        bool digits = is_digit(*p);
        while (digits ? is_digit(*p) : is_alpha(*p))
            p++;
        if (*p != 0)
            *p++ = 0;
    }
    if (*p != 0 || count > 3)
        return DECODE_SYNTAX;
    *part = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_alpha(parts[i][0]))
            continue;
        const struct word *w = word_find(parts[i]);
        if (w != NULL && w->kind == WORD_IGNORED)
            continue;
        if (w == NULL || w->kind != WORD_MONTH || (seen & HAS_MONTH) != 0)
            return DECODE_SYNTAX;
        d->c->month = w->value;
        d->text_month = true;
        seen |= HAS_MONTH;
        *part |= HAS_MONTH;
        parts[i] = NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i] == NULL || is_alpha(parts[i][0]))
            continue;
        uint32_t one = 0;
        enum decode e = decode_number(d, parts[i], seen, &one);
        if (e != DECODE_OK)
            return e;
        if ((seen & one) != 0)
            return DECODE_SYNTAX;
        seen |= one;
        *part |= one;
    }
    return (seen & ~(uint32_t)(HAS_DAY_OF_YEAR | HAS_ZONE)) == HAS_DATE ? DECODE_OK : DECODE_SYNTAX;
}

static enum decode decode_zone_name(struct decoder *d, const char *name, bool must)
{
    const struct time_zone *z = time_zone_find_name(name);
    if (z == NULL) {
        if (!must)
            return DECODE_SYNTAX;
        if (raise_no_zone(name, strlen(name)) != ERR_OK)
            return DECODE_RAISED;
    }
    d->zone = (struct zone_choice){.zone = z};
    d->has_zone = true;
    return DECODE_OK;
}

static void local_now(const struct decoder *d, struct civil *out, int32_t *offset)
{
    const struct session_env *env = d->io->env;
    int64_t now = env != NULL ? env->now_us : 0;
    *offset = time_zone_offset_at(env_zone(env), now, NULL, NULL);
    civil_of_timestamp(now + *offset * USECS_PER_SEC, out);
}

static enum decode decode_word(struct decoder *d, const struct field *f, enum word_kind *pending,
                               struct moment *m, uint32_t *part)
{
    struct civil *c = d->c;
    struct civil now;
    int32_t offset;
    *part = 0;
    const struct zone_abbreviation *a =
        f->kind == FIELD_TEXT ? zone_abbreviation_find(f->text, f->len) : NULL;
    if (a != NULL) {
        *part = HAS_ZONE;
        d->has_zone = true;
        if (zone_choice_find(f->text, f->len, &d->zone))
            return DECODE_OK;
        return DECODE_SYNTAX;
    }
    const struct word *w = word_find(f->text);
    if (w == NULL) {
        *part = HAS_ZONE;
        return decode_zone_name(d, f->text, false);
    }
    switch (w->kind) {
    case WORD_IGNORED:
        return DECODE_OK;
    case WORD_MONTH:
        *part = HAS_MONTH;
        if ((d->seen & HAS_MONTH) && !d->text_month && !(d->seen & HAS_DAY) && c->month >= 1 &&
            c->month <= 31) {
            c->day = c->month; /* what looked like the month was the day */
            *part = HAS_DAY;
        }
        d->text_month = true;
        c->month = w->value;
        return DECODE_OK;
    case WORD_WEEKDAY:
        *part = HAS_WEEKDAY;
        return DECODE_OK;
    case WORD_AM:
    case WORD_PM:
        *part = HAS_HALF;
        d->half = w->kind == WORD_AM ? 1 : 2;
        return DECODE_OK;
    case WORD_AD:
    case WORD_BC:
        *part = HAS_ERA;
        d->is_bc = w->kind == WORD_BC;
        return DECODE_OK;
    case WORD_JULIAN:
        *pending = WORD_JULIAN;
        return DECODE_OK;
    case WORD_TIME:
        if (!d->time_only && (d->seen & HAS_DATE) != HAS_DATE)
            return DECODE_SYNTAX;
        *pending = WORD_TIME;
        return DECODE_OK;
    case WORD_NOW:
        local_now(d, &now, &offset);
        *part = d->time_only ? HAS_TIME : HAS_DATE | HAS_TIME | HAS_ZONE;
        *c = now;
        if (!d->time_only) {
            d->has_zone = true;
            d->zone = (struct zone_choice){.is_fixed = true, .offset = offset};
        }
        return DECODE_OK;
    case WORD_TODAY:
    case WORD_TOMORROW:
    case WORD_YESTERDAY: {
        if (d->time_only)
            return DECODE_SYNTAX;
        local_now(d, &now, &offset);
        int64_t days = days_of_civil(now.year, now.month, now.day);
        days += w->kind == WORD_TOMORROW ? 1 : w->kind == WORD_YESTERDAY ? -1 : 0;
        civil_of_days(days, &c->year, &c->month, &c->day);
        *part = HAS_DATE;
        return DECODE_OK;
    }
    case WORD_MIDNIGHT:
        *part = HAS_TIME | HAS_ZONE;
        c->hour = c->minute = c->second = 0;
        d->has_zone = true;
        d->zone = (struct zone_choice){.is_fixed = true};
        return DECODE_OK;
    case WORD_EPOCH:
    case WORD_INFINITY:
    case WORD_MINUS_INFINITY:
        if (d->time_only)
            return DECODE_SYNTAX;
        *part = HAS_DATE | HAS_TIME | HAS_ZONE;
        m->kind = w->kind == WORD_EPOCH      ? MOMENT_EPOCH
                  : w->kind == WORD_INFINITY ? MOMENT_INFINITY
                                             : MOMENT_MINUS_INFINITY;
        return DECODE_OK;
    case WORD_DST: /* "MET DST": an hour more */
        if (!d->has_zone || !d->zone.is_fixed || d->dst_added)
            return DECODE_SYNTAX;
        d->zone.offset += 3600;
        d->dst_added = true;
        return DECODE_OK;
    case WORD_NONE:
    case WORD_UNIT:
        break;
    }
    return DECODE_SYNTAX;
}

static enum decode decode_julian(struct decoder *d, const char *text, uint32_t *part)
{
    const char *end;
    int64_t v;
    enum decode e = integer_decode(text, &end, &v);
    if (e != DECODE_OK)
        return e;
    if (end == text || v < 0)
        return DECODE_RANGE;
    *part = HAS_DATE;
    civil_of_days(v - EPOCH_2000_JULIAN, &d->c->year, &d->c->month, &d->c->day);
    d->is_julian = true;
    if (*end == '.') {
        double fraction = strtod(end, NULL);
        struct civil t = {0};
        civil_of_time((int64_t)rint(fraction * (double)USECS_PER_DAY), &t);
        d->c->hour = t.hour;
        d->c->minute = t.minute;
        d->c->second = t.second;
        d->c->usec = t.usec;
        *part |= HAS_TIME;
    } else if (*end != 0) {
        return DECODE_SYNTAX;
    }
    return DECODE_OK;
}

/* "040506-07": run-on time and displacement. */
static enum decode decode_run_zone(struct decoder *d, char *text, uint32_t *part)
{
    char *sign = strchr(text, '-');
    if (sign == NULL)
        return DECODE_SYNTAX;
    int32_t east;
    enum decode e = zone_decode(sign, &east);
    if (e != DECODE_OK)
        return e;
    *sign = 0;
    e = decode_run(d, text, d->seen | HAS_DATE, part);
    if (e != DECODE_OK)
        return e;
    d->has_zone = true;
    d->zone = (struct zone_choice){.is_fixed = true, .offset = east};
    *part |= HAS_ZONE;
    return DECODE_OK;
}

static enum decode decode_field(struct decoder *d, struct fields *all, uint32_t i,
                                enum word_kind *pending, struct moment *m, uint32_t *part)
{
    struct field *f = &all->at[i];
    char *text = all->bytes + (f->text - all->bytes);
    enum decode e;
    *part = 0;
    switch (f->kind) {
    case FIELD_DATE: {
        if (*pending == WORD_JULIAN) {
            char *sign = strchr(text, '-');
            int32_t east = 0;
            if (sign == NULL)
                return DECODE_SYNTAX;
            e = zone_decode(sign, &east);
            if (e != DECODE_OK)
                return e;
            *sign = 0;
            e = decode_julian(d, text, part);
            d->has_zone = true;
            d->zone = (struct zone_choice){.is_fixed = true, .offset = east};
            *part |= HAS_ZONE | HAS_TIME;
            *pending = WORD_NONE;
            return e;
        }
        bool date_known =
            d->time_only
                ? !(i == 0 && all->count >= 2 &&
                    (all->at[all->count - 1].kind == FIELD_DATE || all->at[1].kind == FIELD_TIME))
                : (d->seen & (HAS_MONTH | HAS_DAY)) == (HAS_MONTH | HAS_DAY);
        if (*pending != WORD_NONE || date_known) {
            if (is_digit(text[0]) || *pending != WORD_NONE) {
                if (*pending != WORD_NONE && *pending != WORD_TIME)
                    return DECODE_SYNTAX;
                if (*pending == WORD_NONE && !d->time_only && (d->seen & HAS_TIME) != 0)
                    return DECODE_SYNTAX;
                *pending = WORD_NONE;
                return decode_run_zone(d, text, part);
            }
            *part = HAS_ZONE;
            return decode_zone_name(d, text, true);
        }
        return decode_date(d, text, d->seen, part);
    }
    case FIELD_TIME: {
        if (*pending != WORD_NONE && *pending != WORD_TIME)
            return DECODE_SYNTAX;
        *pending = WORD_NONE;
        int64_t hour;
        e = time_decode(text, false, &hour, &d->c->minute, &d->c->second, &d->c->usec);
        if (e != DECODE_OK)
            return e;
        if (hour > 24)
            return DECODE_RANGE;
        d->c->hour = (int32_t)hour;
        *part = HAS_TIME;
        return DECODE_OK;
    }
    case FIELD_ZONE: {
        int32_t east;
        e = zone_decode(text, &east);
        if (e != DECODE_OK)
            return e;
        d->has_zone = true;
        d->zone = (struct zone_choice){.is_fixed = true, .offset = east};
        *part = HAS_ZONE;
        return DECODE_OK;
    }
    case FIELD_NUMBER: {
        if (*pending == WORD_JULIAN) {
            *pending = WORD_NONE;
            return decode_julian(d, text, part);
        }
        if (*pending == WORD_TIME) {
            *pending = WORD_NONE;
            e = decode_run(d, text, d->seen | HAS_DATE, part);
            return e == DECODE_OK && *part != HAS_TIME ? DECODE_SYNTAX : e;
        }
        const char *dot = strchr(text, '.');
        size_t before = dot == NULL ? f->len : (size_t)(dot - text);
        if (d->time_only) {
            if (i == 0 && all->count >= 2 && all->at[all->count - 1].kind == FIELD_DATE &&
                dot != NULL)
                return decode_date(d, text, d->seen, part);
            if (dot != NULL ? before > 2 : f->len > 4)
                return decode_run(d, text, d->seen | HAS_DATE, part);
            return decode_number(d, text, d->seen | HAS_DATE, part);
        }
        if (dot != NULL && (d->seen & HAS_DATE) == 0)
            return decode_date(d, text, d->seen, part);
        if (dot != NULL && before > 2)
            return decode_run(d, text, d->seen, part);
        if (dot == NULL && f->len >= 6 && ((d->seen & HAS_DATE) == 0 || (d->seen & HAS_TIME) == 0))
            return decode_run(d, text, d->seen, part);
        return decode_number(d, text, d->seen, part);
    }
    case FIELD_TEXT:
    case FIELD_SPECIAL: {
        enum word_kind before = *pending;
        e = decode_word(d, f, pending, m, part);
        if (e == DECODE_OK && *pending == WORD_TIME && before == WORD_NONE &&
            (i + 1 >= all->count || all->at[i + 1].kind == FIELD_TEXT ||
             all->at[i + 1].kind == FIELD_ZONE || all->at[i + 1].kind == FIELD_SPECIAL))
            return DECODE_SYNTAX;
        return e;
    }
    }
    return DECODE_SYNTAX;
}

static enum decode check_date(struct decoder *d)
{
    struct civil *c = d->c;
    if ((d->seen & HAS_YEAR) != 0 && !d->is_julian) {
        if (d->is_bc) {
            if (c->year <= 0)
                return DECODE_RANGE;
            c->year = -(c->year - 1);
        } else if (d->short_year) {
            if (c->year < 0)
                return DECODE_RANGE;
            c->year += c->year < 70 ? 2000 : c->year < 100 ? 1900 : 0;
        } else if (c->year <= 0) {
            return DECODE_RANGE;
        }
    }
    if ((d->seen & HAS_MONTH) != 0 && (c->month < 1 || c->month > 12))
        return DECODE_RANGE_HINT;
    if ((d->seen & HAS_DAY) != 0 && (c->day < 1 || c->day > 31))
        return DECODE_RANGE_HINT;
    if ((d->seen & HAS_DATE) == HAS_DATE && c->day > month_days(c->year, c->month))
        return DECODE_RANGE;
    return DECODE_OK;
}

enum decode moment_decode(const struct type_io *io, const char *text, size_t len, bool time_only,
                          struct moment *out)
{
    struct fields all;
    enum decode e = fields_split(text, len, &all);
    if (e != DECODE_OK)
        return e;
    *out = (struct moment){.kind = MOMENT_VALUE};
    struct decoder d = {.io = io,
                        .order = io->env != NULL ? io->env->date_order : 0,
                        .time_only = time_only,
                        .c = &out->civil};
    enum word_kind pending = WORD_NONE;
    for (uint32_t i = 0; i < all.count; i++) {
        uint32_t part;
        e = decode_field(&d, &all, i, &pending, out, &part);
        if (e != DECODE_OK)
            return e;
        if ((part & d.seen) != 0)
            return DECODE_SYNTAX;
        d.seen |= part;
    }
    if (pending != WORD_NONE)
        return DECODE_SYNTAX;
    out->has_zone = d.has_zone;
    if (out->kind != MOMENT_VALUE)
        return DECODE_OK;
    e = check_date(&d);
    if (e != DECODE_OK)
        return e;
    struct civil *c = &out->civil;
    if (d.half != 0) {
        if (c->hour > 12)
            return DECODE_RANGE;
        if (d.half == 1 && c->hour == 12)
            c->hour = 0;
        else if (d.half == 2 && c->hour != 12)
            c->hour += 12;
    }
    if (c->hour > 24 || c->minute > 59 || c->second > 60 || time_of_civil(c) > USECS_PER_DAY)
        return DECODE_RANGE;
    bool has_date = (d.seen & HAS_DATE) == HAS_DATE;
    if (time_only ? (d.seen & HAS_TIME) == 0 : !has_date)
        return DECODE_SYNTAX;
    if (d.has_zone && d.zone.is_fixed) {
        out->offset = d.zone.offset;
        out->offset_known = true;
        return DECODE_OK;
    }
    struct civil at = *c;
    if (!has_date) {
        if (d.has_zone) {
            /* Without a date only a zone that never changes will do. */
            int32_t offset;
            if (d.zone.abbreviation != NULL || !time_zone_is_fixed(d.zone.zone, &offset))
                return DECODE_SYNTAX;
        }
        int32_t ignored;
        struct civil now;
        local_now(&d, &now, &ignored);
        at.year = now.year;
        at.month = now.month;
        at.day = now.day;
    }
    int64_t local;
    out->offset_known = true;
    if (!timestamp_of_civil_unchecked(&at, &local)) {
        out->offset = 0; /* the caller finds it out of range */
        return DECODE_OK;
    }
    if (d.has_zone)
        out->offset = zone_choice_offset_local(&d.zone, local);
    else
        out->offset = time_zone_offset_local(env_zone(io->env), local);
    return DECODE_OK;
}

err_t raise_decode(enum decode e, const char *type, const char *text, size_t len)
{
    int n = (int)MIN(len, (size_t)4096);
    switch (e) {
    case DECODE_RAISED:
        return err_diag()->code;
    case DECODE_RANGE:
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE,
                         "date/time field value out of range: \"%.*s\"", n, text);
    case DECODE_RANGE_HINT: {
        err_t code = err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE,
                               "date/time field value out of range: \"%.*s\"", n, text);
        err_hint("Perhaps you need a different \"datestyle\" setting.");
        return code;
    }
    case DECODE_ZONE_RANGE:
        return err_raise(ERR_INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                         "time zone displacement out of range: \"%.*s\"", n, text);
    case DECODE_INTERVAL_RANGE:
        return err_raise(ERR_INTERVAL_FIELD_OVERFLOW, "interval field value out of range: \"%.*s\"",
                         n, text);
    case DECODE_OK:
    case DECODE_SYNTAX:
        break;
    }
    return err_raise(ERR_INVALID_DATETIME_FORMAT, "invalid input syntax for type %s: \"%.*s\"",
                     type, n, text);
}

/* ---- zones by name ---- */

bool zone_choice_find(const char *name, size_t len, struct zone_choice *out)
{
    char lower[256];
    if (len >= sizeof(lower))
        return false;
    for (size_t i = 0; i < len; i++)
        lower[i] = ascii_lower(name[i]);
    lower[len] = 0;
    const struct zone_abbreviation *a = zone_abbreviation_find(lower, len);
    *out = (struct zone_choice){0};
    if (a == NULL) {
        memcpy(lower, name, len);
        out->zone = time_zone_find_name(lower);
        return out->zone != NULL;
    }
    if (a->zone == NULL) {
        out->is_fixed = true;
        out->offset = a->offset;
        return true;
    }
    out->zone = time_zone_find_name(a->zone);
    out->abbreviation = a->name;
    return out->zone != NULL;
}

static bool choice_abbreviation(const struct zone_choice *z, int64_t utc, int32_t *offset)
{
    char upper[32];
    size_t n = 0;
    if (z->abbreviation == NULL)
        return false;
    for (; z->abbreviation[n] != 0 && n + 1 < sizeof(upper); n++) {
        char c = z->abbreviation[n];
        upper[n] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    }
    upper[n] = 0;
    bool dst;
    return time_zone_abbreviation_at(z->zone, upper, utc, offset, &dst);
}
int32_t zone_choice_offset_at(const struct zone_choice *z, int64_t utc)
{
    int32_t offset = z->offset;
    if (z->is_fixed || choice_abbreviation(z, utc, &offset))
        return offset;
    return time_zone_offset_at(z->zone, utc, NULL, NULL);
}
int32_t zone_choice_offset_local(const struct zone_choice *z, int64_t local)
{
    int32_t offset = z->offset;
    if (z->is_fixed)
        return offset;
    int32_t own = time_zone_offset_local(z->zone, local);
    if (choice_abbreviation(z, local - own * USECS_PER_SEC, &offset))
        return offset;
    return own;
}

err_t raise_no_zone(const char *name, size_t len)
{
    return err_raise(ERR_INVALID_PARAMETER_VALUE, "time zone \"%.*s\" not recognized",
                     (int)MIN(len, (size_t)4096), name);
}
