/*
 * to_char of timestamps and intervals, to_date, to_timestamp. A template is cut into nodes: fields
 * with FM, TM and TH marks, and literal characters. Fields are found by longest spelling; upper,
 * lower and capitalized spellings matter where the output is words.
 */
#include "sql/funcs/funcs_priv.h"

#include "sql/types/chars.h"
#include "sql/types/datetime.h"
#include "sql/types/interval.h"

#include <stdio.h>
#include <stdlib.h>

enum field {
    F_AD_DOTS,
    F_AM_DOTS,
    F_AD,
    F_AM,
    F_BC_DOTS,
    F_BC,
    F_CC,
    F_DAY,
    F_DDD,
    F_DD,
    F_DY,
    F_D,
    F_FF1,
    F_FF2,
    F_FF3,
    F_FF4,
    F_FF5,
    F_FF6,
    F_FX,
    F_HH24,
    F_HH12,
    F_HH,
    F_IDDD,
    F_ID,
    F_IW,
    F_IYYY,
    F_IYY,
    F_IY,
    F_I,
    F_J,
    F_MI,
    F_MM,
    F_MONTH,
    F_MON,
    F_MS,
    F_OF,
    F_PM_DOTS,
    F_PM,
    F_Q,
    F_RM,
    F_SSSSS,
    F_SSSS,
    F_SS,
    F_TZH,
    F_TZM,
    F_TZ,
    F_US,
    F_WW,
    F_W,
    F_Y_YYY,
    F_YYYY,
    F_YYY,
    F_YY,
    F_Y,
    F_NONE,
};
static const struct {
    const char *name;
    enum field field;
    bool is_digits;
    bool capital; /* may be spelled "Day" */
} fields[] = {
    /* Longer spellings of the same beginning stand first. */
    {"A.D.", F_AD_DOTS, false, false}, {"A.M.", F_AM_DOTS, false, false},
    {"AD", F_AD, false, false},        {"AM", F_AM, false, false},
    {"B.C.", F_BC_DOTS, false, false}, {"BC", F_BC, false, false},
    {"CC", F_CC, true, false},         {"DAY", F_DAY, false, true},
    {"DDD", F_DDD, true, false},       {"DD", F_DD, true, false},
    {"DY", F_DY, false, true},         {"D", F_D, true, false},
    {"FF1", F_FF1, true, false},       {"FF2", F_FF2, true, false},
    {"FF3", F_FF3, true, false},       {"FF4", F_FF4, true, false},
    {"FF5", F_FF5, true, false},       {"FF6", F_FF6, true, false},
    {"FX", F_FX, false, false},        {"HH24", F_HH24, true, false},
    {"HH12", F_HH12, true, false},     {"HH", F_HH, true, false},
    {"IDDD", F_IDDD, true, false},     {"ID", F_ID, true, false},
    {"IW", F_IW, true, false},         {"IYYY", F_IYYY, true, false},
    {"IYY", F_IYY, true, false},       {"IY", F_IY, true, false},
    {"I", F_I, true, false},           {"J", F_J, true, false},
    {"MI", F_MI, true, false},         {"MM", F_MM, true, false},
    {"MONTH", F_MONTH, false, true},   {"MON", F_MON, false, true},
    {"MS", F_MS, true, false},         {"OF", F_OF, false, false},
    {"P.M.", F_PM_DOTS, false, false}, {"PM", F_PM, false, false},
    {"Q", F_Q, true, false},           {"RM", F_RM, false, false},
    {"SSSSS", F_SSSSS, true, false},   {"SSSS", F_SSSS, true, false},
    {"SS", F_SS, true, false},         {"TZH", F_TZH, false, false},
    {"TZM", F_TZM, true, false},       {"TZ", F_TZ, false, false},
    {"US", F_US, true, false},         {"WW", F_WW, true, false},
    {"W", F_W, true, false},           {"Y,YYY", F_Y_YYY, true, false},
    {"YYYY", F_YYYY, true, false},     {"YYY", F_YYY, true, false},
    {"YY", F_YY, true, false},         {"Y", F_Y, true, false},
};

enum letter_case { CASE_UPPER, CASE_LOWER, CASE_CAPITAL };
enum node_kind { NODE_FIELD, NODE_CHAR, NODE_SEPARATOR, NODE_SPACE };
struct node {
    enum node_kind kind;
    enum field field;
    bool is_digits;
    enum letter_case letters;
    bool fill;        /* FM */
    char ordinal;     /* 'T' TH, 't' th, 0 */
    const char *text; /* of a character, or the field's spelling */
    uint32_t len;
};

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}
static bool match_exact(const char *p, const char *end, const char *name, bool lower)
{
    for (; *name != 0; name++, p++)
        if (p == end || *p != (lower ? ascii_lower(*name) : *name))
            return false;
    return true;
}
static bool match_capital(const char *p, const char *end, const char *name)
{
    return p < end && *p == *name && match_exact(p + 1, end, name + 1, true);
}
static bool take_mark(const char **p, const char *end, const char *mark)
{
    size_t n = strlen(mark);
    if ((size_t)(end - *p) < n || (memcmp(*p, mark, n) != 0))
        return false;
    *p += n;
    return true;
}
static bool is_separator(char c)
{
    return c > 32 && c < 127 && !(c >= '0' && c <= '9') && !(upper(c) >= 'A' && upper(c) <= 'Z');
}

/* Nodes of a template, in mem; ends with count. */
static struct node *parse_template(struct call *c, const struct varlen *v, uint32_t *count)
{
    const char *p = (const char *)v->data;
    const char *end = p + v->len;
    struct node *nodes = ARENA_ARRAY(c->mem, struct node, v->len + 1);
    uint32_t n = 0;
    while (p < end) {
        struct node *node = &nodes[n];
        const char *start = p;
        bool fill = false;
        bool no_pad = false;
        for (;;) {
            if (take_mark(&p, end, "FM") || take_mark(&p, end, "fm"))
                fill = true;
            else if (take_mark(&p, end, "TM") || take_mark(&p, end, "tm"))
                no_pad = true;
            else
                break;
        }
        size_t k = 0;
        for (; k < ARRAY_LEN(fields); k++) {
            if (match_exact(p, end, fields[k].name, false))
                node->letters = CASE_UPPER;
            else if (fields[k].capital && match_capital(p, end, fields[k].name))
                node->letters = CASE_CAPITAL;
            else if (match_exact(p, end, fields[k].name, true))
                node->letters = CASE_LOWER;
            else
                continue;
            break;
        }
        if (k < ARRAY_LEN(fields)) {
            node->kind = NODE_FIELD;
            node->field = fields[k].field;
            node->is_digits = fields[k].is_digits;
            node->fill = fill || (no_pad && (node->field == F_MONTH || node->field == F_DAY));
            node->text = p;
            node->len = (uint32_t)strlen(fields[k].name);
            p += node->len;
            if (take_mark(&p, end, "TH"))
                node->ordinal = 'T';
            else if (take_mark(&p, end, "th"))
                node->ordinal = 't';
            else if (take_mark(&p, end, "SP") || take_mark(&p, end, "sp"))
                node->ordinal = 0;
            n++;
            continue;
        }
        if (p > start && p == end)
            break;
        if (*p == '"') {
            p++;
            while (p < end && *p != '"') {
                if (*p == '\\' && p + 1 < end)
                    p++;
                uint32_t bytes = MIN(utf8_char_bytes((uint8_t)*p), (uint32_t)(end - p));
                nodes[n++] = (struct node){.kind = NODE_CHAR, .text = p, .len = bytes};
                p += bytes;
            }
            if (p < end)
                p++;
            continue;
        }
        if (*p == '\\' && p + 1 < end && p[1] == '"')
            p++;
        uint32_t bytes = MIN(utf8_char_bytes((uint8_t)*p), (uint32_t)(end - p));
        nodes[n].kind = is_space(*p) ? NODE_SPACE : is_separator(*p) ? NODE_SEPARATOR : NODE_CHAR;
        nodes[n].text = p;
        nodes[n].len = bytes;
        n++;
        p += bytes;
    }
    *count = n;
    return nodes;
}

/* ---- to_char ---- */

struct broken {
    struct civil f; /* of an interval: its fields, hours unbounded */
    int64_t hour;
    int64_t days; /* since 2000-01-01 */
    int32_t day_of_year;
    bool is_interval;
    bool has_zone;
    int32_t offset;
    const char *zone;
};

static const char *const roman_months[12] = {"I",   "II",   "III", "IV", "V",  "VI",
                                             "VII", "VIII", "IX",  "X",  "XI", "XII"};

static void put_ordinal(struct strbuf *out, size_t start, char ordinal)
{
    if (ordinal == 0 || out->len == start)
        return;
    char last = out->data[out->len - 1];
    char before = out->len - start > 1 ? out->data[out->len - 2] : '0';
    const char *suffix = before == '1' ? "TH"
                         : last == '1' ? "ST"
                         : last == '2' ? "ND"
                         : last == '3' ? "RD"
                                       : "TH";
    for (; *suffix != 0; suffix++)
        strbuf_putc(out, ordinal == 'T' ? *suffix : ascii_lower(*suffix));
}
static void put_number(struct strbuf *out, const struct node *n, int64_t v, int width)
{
    size_t start = out->len;
    int w = n->fill ? 0 : v < 0 ? width + 1 : width;
    strbuf_printf(out, "%0*lld", w, (long long)v);
    put_ordinal(out, start, n->ordinal);
}
/* A sign counts as one of the digits. */
static void put_unsigned(struct strbuf *out, const struct node *n, int64_t v, int width)
{
    put_number(out, n, v, v < 0 ? width - 1 : width);
}
static void put_word(struct strbuf *out, const struct node *n, const char *word, size_t len,
                     int width)
{
    for (size_t i = 0; i < len; i++)
        strbuf_putc(out, n->letters == CASE_UPPER            ? upper(word[i])
                         : n->letters == CASE_LOWER || i > 0 ? ascii_lower(word[i])
                                                             : word[i]);
    for (size_t i = len; !n->fill && i < (size_t)width; i++)
        strbuf_putc(out, ' ');
}
static int64_t shown_year(const struct broken *b, int64_t year)
{
    return b->is_interval || year > 0 ? year : -(year - 1);
}
static COLD err_t raise_interval_format(void)
{
    err_t e = err_raise(ERR_INVALID_DATETIME_FORMAT,
                        "invalid format specification for an interval value");
    err_hint("Intervals are not tied to specific calendar dates.");
    return e;
}

static void put_mark(struct strbuf *out, const struct node *n, const char *text)
{
    put_word(out, n, text, strlen(text), 0);
}

static err_t put_field(struct strbuf *out, const struct node *n, const struct broken *b)
{
    const struct civil *f = &b->f;
    int64_t iso_year = f->year;
    int32_t iso_week = 0;
    switch (n->field) {
    case F_AD_DOTS:
    case F_BC_DOTS:
    case F_AD:
    case F_BC:
    case F_DAY:
    case F_DY:
    case F_D:
    case F_ID:
    case F_OF:
    case F_TZ:
    case F_TZH:
    case F_TZM:
    case F_MONTH:
    case F_MON:
        if (b->is_interval)
            return raise_interval_format();
        break;
    default:
        break;
    }
    if (!b->is_interval)
        iso_week_of_days(b->days, &iso_year, &iso_week);
    int32_t month_index = (f->month + 11) % 12;
    switch (n->field) {
    case F_AM_DOTS:
    case F_PM_DOTS:
        put_mark(out, n, b->hour % 24 >= 12 ? "P.M." : "A.M.");
        break;
    case F_AM:
    case F_PM:
        put_mark(out, n, b->hour % 24 >= 12 ? "PM" : "AM");
        break;
    case F_AD_DOTS:
    case F_BC_DOTS:
        put_mark(out, n, f->year <= 0 ? "B.C." : "A.D.");
        break;
    case F_AD:
    case F_BC:
        put_mark(out, n, f->year <= 0 ? "BC" : "AD");
        break;
    case F_HH:
    case F_HH12:
        put_number(out, n, b->hour % 12 == 0 ? 12 : b->hour % 12, 2);
        break;
    case F_HH24:
        put_number(out, n, b->hour, 2);
        break;
    case F_MI:
        put_number(out, n, f->minute, 2);
        break;
    case F_SS:
        put_number(out, n, f->second, 2);
        break;
    case F_FF1:
    case F_FF2:
    case F_FF3:
    case F_FF4:
    case F_FF5:
    case F_FF6:
    case F_MS:
    case F_US: {
        static const int32_t units[] = {100000, 10000, 1000, 100, 10, 1};
        int digits = n->field == F_MS ? 3 : n->field == F_US ? 6 : (int)(n->field - F_FF1) + 1;
        size_t start = out->len;
        strbuf_printf(out, "%0*d", digits, f->usec / units[digits - 1]);
        put_ordinal(out, start, n->ordinal);
        break;
    }
    case F_SSSS:
    case F_SSSSS: {
        size_t start = out->len;
        strbuf_printf(out, "%lld", (long long)b->hour * 3600 + f->minute * 60 + f->second);
        put_ordinal(out, start, n->ordinal);
        break;
    }
    case F_TZ:
        if (b->has_zone)
            for (const char *z = b->zone; *z != 0; z++)
                strbuf_putc(out, n->letters == CASE_LOWER ? ascii_lower(*z) : *z);
        break;
    case F_TZH:
        strbuf_printf(out, "%c%02d", b->offset >= 0 ? '+' : '-', abs(b->offset) / 3600);
        break;
    case F_TZM:
        strbuf_printf(out, "%02d", abs(b->offset) % 3600 / 60);
        break;
    case F_OF:
        strbuf_printf(out, "%c%0*d", b->offset >= 0 ? '+' : '-', n->fill ? 0 : 2,
                      abs(b->offset) / 3600);
        if (abs(b->offset) % 3600 != 0)
            strbuf_printf(out, ":%02d", abs(b->offset) % 3600 / 60);
        break;
    case F_MONTH:
        put_word(out, n, month_names[month_index], strlen(month_names[month_index]), 9);
        break;
    case F_MON:
        put_word(out, n, month_names[month_index], 3, 0);
        break;
    case F_MM:
        put_number(out, n, f->month, 2);
        break;
    case F_DAY: {
        const char *name = day_names[week_day(b->days)];
        put_word(out, n, name, strlen(name), 9);
        break;
    }
    case F_DY:
        put_word(out, n, day_names[week_day(b->days)], 3, 0);
        break;
    case F_DDD:
        put_unsigned(out, n, b->day_of_year, 3);
        break;
    case F_IDDD:
        put_number(out, n,
                   b->is_interval ? b->day_of_year : b->days - days_of_iso_week(iso_year, 1) + 1,
                   3);
        break;
    case F_DD:
        put_unsigned(out, n, f->day, 2);
        break;
    case F_D:
        put_number(out, n, week_day(b->days) + 1, 1);
        break;
    case F_ID:
        put_number(out, n, (week_day(b->days) + 6) % 7 + 1, 1);
        break;
    case F_WW:
        put_number(out, n, (b->day_of_year - 1) / 7 + 1, 2);
        break;
    case F_IW:
        put_number(out, n, b->is_interval ? (b->day_of_year - 1) / 7 + 1 : iso_week, 2);
        break;
    case F_W:
        put_number(out, n, (f->day - 1) / 7 + 1, 1);
        break;
    case F_Q:
        if (f->month != 0)
            put_number(out, n, (f->month - 1) / 3 + 1, 1);
        break;
    case F_CC: {
        int64_t century = b->is_interval ? f->year / 100
                          : f->year > 0  ? (f->year - 1) / 100 + 1
                                         : f->year / 100 - 1;
        put_number(out, n, century, century <= 99 && century >= -99 ? 2 : 0);
        break;
    }
    case F_Y_YYY: {
        int64_t y = shown_year(b, f->year);
        size_t start = out->len;
        strbuf_printf(out, "%lld,%03lld", (long long)(y / 1000), (long long)(y % 1000));
        put_ordinal(out, start, n->ordinal);
        break;
    }
    case F_YYYY:
        put_number(out, n, shown_year(b, f->year), 4);
        break;
    case F_IYYY:
        put_number(out, n, shown_year(b, iso_year), 4);
        break;
    case F_YYY:
        put_number(out, n, shown_year(b, f->year) % 1000, 3);
        break;
    case F_IYY:
        put_number(out, n, shown_year(b, iso_year) % 1000, 3);
        break;
    case F_YY:
        put_number(out, n, shown_year(b, f->year) % 100, 2);
        break;
    case F_IY:
        put_number(out, n, shown_year(b, iso_year) % 100, 2);
        break;
    case F_Y:
        put_number(out, n, shown_year(b, f->year) % 10, 1);
        break;
    case F_I:
        put_number(out, n, shown_year(b, iso_year) % 10, 1);
        break;
    case F_RM: {
        if (f->month == 0 && f->year == 0)
            break;
        const char *r = roman_months[f->month < 0 ? f->month + 12 : (f->month + 11) % 12];
        put_word(out, n, r, strlen(r), 4);
        break;
    }
    case F_J:
        if (b->is_interval) /* as if the fields were a date */
            put_number(out, n, days_of_civil(f->year, MAX(f->month, 1), f->day) + EPOCH_2000_JULIAN,
                       0);
        else
            put_number(out, n, b->days + EPOCH_2000_JULIAN, 0);
        break;
    case F_FX:
    case F_NONE:
        break;
    }
    return ERR_OK;
}

static err_t format(struct call *c, const struct broken *b, datum *out)
{
    uint32_t count;
    struct node *nodes = parse_template(c, ARG_VARLEN(1), &count);
    struct strbuf text;
    strbuf_init(&text, c->mem);
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i].kind == NODE_FIELD)
            TRY(put_field(&text, &nodes[i], b));
        else
            TRY(strbuf_put(&text, nodes[i].text, nodes[i].len));
    }
    return result_strbuf(c, &text, out);
}
static err_t timestamp_to_char(struct call *c, bool with_zone, datum *out)
{
    int64_t t = ARG_I64(0);
    if (!timestamp_is_finite(t) || ARG_VARLEN(1)->len == 0)
        RETURN_NULL();
    struct broken b = {.has_zone = with_zone, .zone = ""};
    if (with_zone)
        b.offset = time_zone_offset_at(env_zone(c->env), t, NULL, &b.zone);
    civil_of_timestamp(t + b.offset * USECS_PER_SEC, &b.f);
    b.hour = b.f.hour;
    b.days = days_of_civil(b.f.year, b.f.month, b.f.day);
    b.day_of_year = (int32_t)(b.days - days_of_civil(b.f.year, 1, 1) + 1);
    return format(c, &b, out);
}
FUNCTION(fn_timestamp_to_char)
{
    return timestamp_to_char(c, false, out);
}
FUNCTION(fn_timestamptz_to_char)
{
    return timestamp_to_char(c, true, out);
}
FUNCTION(fn_interval_to_char)
{
    if (ARG_VARLEN(1)->len == 0)
        RETURN_NULL();
    struct interval i = interval_read(c->args[0]);
    struct broken b = {.is_interval = true, .zone = ""};
    b.f.year = i.month / 12;
    b.f.month = i.month % 12;
    b.f.day = i.day;
    b.hour = i.usec / USECS_PER_HOUR;
    b.f.minute = (int32_t)(i.usec / USECS_PER_MINUTE % 60);
    b.f.second = (int32_t)(i.usec / USECS_PER_SEC % 60);
    b.f.usec = (int32_t)(i.usec % USECS_PER_SEC);
    b.day_of_year = (int32_t)((b.f.year * 12 + b.f.month) * 30 + b.f.day);
    return format(c, &b, out);
}

/* ---- to_timestamp, to_date ---- */

struct reading {
    const char *p;
    const char *end;
    bool exact; /* FX */
    int64_t year;
    bool has_year;
    int year_digits;
    int64_t century;
    bool has_century;
    bool is_bc;
    int64_t month, day, day_of_year, week, week_of_month, week_day, iso_week, iso_day, julian;
    bool has_month, has_day, has_iso, has_julian, has_week_day;
    int64_t hour, minute, second, seconds, msec, usec;
    bool has_seconds;
    bool twelve;
    int half; /* 1 AM 2 PM */
    bool has_zone;
    int64_t zone_sign, zone_hour, zone_minute;
    bool has_gregorian;
    int skipped; /* characters before this field that the template does not have */
};

static COLD err_t raise_bad_field(const struct node *n, const char *value, int len,
                                  const char *detail)
{
    err_t e = err_raise(ERR_INVALID_DATETIME_FORMAT, "invalid value \"%.*s\" for \"%.*s\"", len,
                        value, (int)n->len, n->text);
    if (detail != NULL)
        err_detail("%s", detail);
    return e;
}
static bool next_is_separator(const struct node *n, const struct node *end)
{
    if (n->ordinal != 0)
        return true;
    n++;
    if (n == end)
        return true;
    if (n->kind == NODE_FIELD)
        return !n->is_digits;
    return !(n->text[0] >= '0' && n->text[0] <= '9');
}
/* A field that stands twice in the template must say the same twice; 0 is as good as nothing. */
static err_t set_field(const struct node *n, int64_t value, int64_t *out)
{
    if (*out != 0 && *out != value) {
        err_t e = err_raise(ERR_INVALID_DATETIME_FORMAT,
                            "conflicting values for \"%.*s\" field in formatting string",
                            (int)n->len, n->text);
        err_detail("This value contradicts a previous setting for the same field type.");
        return e;
    }
    *out = value;
    return ERR_OK;
}
/* A number of at most `width` digits, any length when something else must follow it. */
static err_t read_int(struct reading *r, const struct node *n, const struct node *end, int width,
                      int64_t *out, int *digits)
{
    while (r->p < r->end && is_space(*r->p))
        r->p++;
    const char *start = r->p;
    bool any_length = n->fill || next_is_separator(n, end);
    const char *stop = any_length || r->end - start < width ? r->end : start + width;
    const char *p = start;
    bool negative = false;
    if (p < stop && (*p == '-' || *p == '+'))
        negative = *p++ == '-';
    int64_t v = 0;
    const char *first = p;
    while (p < stop && *p >= '0' && *p <= '9') {
        v = v * 10 + (*p++ - '0');
        if (v > INT32_MAX) {
            err_t e = err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE,
                                "value for \"%.*s\" in source string is out of range", (int)n->len,
                                n->text);
            err_detail("Value must be in the range %d to %d.", INT32_MIN, INT32_MAX);
            return e;
        }
    }
    if (!any_length && r->end - start < width) {
        err_t e = err_raise(ERR_INVALID_DATETIME_FORMAT,
                            "source string too short for \"%.*s\" formatting field", (int)n->len,
                            n->text);
        err_detail("Field requires %d characters, but only %d remain.", width,
                   (int)(r->end - start));
        err_hint("If your source string is not fixed-width, try using the \"FM\" modifier.");
        return e;
    }
    if (p == first)
        return raise_bad_field(n, start, (int)MIN(stop - start, width),
                               "Value must be an integer.");
    if (!any_length && p - start < width) {
        err_t e = raise_bad_field(n, start, width, NULL);
        err_detail("Field requires %d characters, but only %d could be parsed.", width,
                   (int)(p - start));
        err_hint("If your source string is not fixed-width, try using the \"FM\" modifier.");
        return e;
    }
    *digits = (int)(p - first);
    r->p = p;
    return set_field(n, negative ? -v : v, out);
}
static err_t read_set(struct reading *r, const struct node *n, const struct node *end, int width,
                      int64_t *out)
{
    int digits;
    return read_int(r, n, end, width, out, &digits);
}
static bool read_word(struct reading *r, const char *const *names, int count, size_t len, int *out)
{
    for (int k = 0; k < count; k++) {
        size_t m = len > 0 ? len : strlen(names[k]);
        if ((size_t)(r->end - r->p) >= m && strncasecmp(r->p, names[k], m) == 0) {
            r->p += m;
            *out = k;
            return true;
        }
    }
    return false;
}
static err_t read_name(struct reading *r, const struct node *n, const char *const *names, int count,
                       size_t len, int *out)
{
    if (read_word(r, names, count, len, out))
        return ERR_OK;
    int m = 0;
    while (r->p + m < r->end && !is_space(r->p[m]))
        m++;
    return raise_bad_field(n, r->p, m,
                           "The given value did not match any of the allowed values for this "
                           "field.");
}
static int64_t partial_year(int64_t y, int digits)
{
    if (digits >= 4)
        return y;
    return y < 70 ? y + 2000 : y < 100 ? y + 1900 : y < 520 ? y + 2000 : y < 1000 ? y + 1000 : y;
}

static err_t read_zone_hour(struct reading *r, const struct node *n, const struct node *end)
{
    r->has_zone = true;
    r->zone_sign = 1;
    if (r->p < r->end && (*r->p == '-' || *r->p == '+' || *r->p == ' '))
        r->zone_sign = *r->p++ == '-' ? -1 : 1;
    else if (r->skipped > 0 && r->p[-1] == '-') /* the minus was taken for a separator */
        r->zone_sign = -1;
    return read_set(r, n, end, 2, &r->zone_hour);
}

static err_t read_roman_month(struct reading *r, const struct node *n)
{
    size_t best = 0;
    int month = 0;
    for (int m = 0; m < 12; m++) {
        size_t len = strlen(roman_months[m]);
        if (len > best && (size_t)(r->end - r->p) >= len &&
            strncasecmp(r->p, roman_months[m], len) == 0) {
            best = len;
            month = m + 1;
        }
    }
    if (best == 0)
        return raise_bad_field(n, r->p, (int)MIN(r->end - r->p, 16), NULL);
    r->p += best;
    r->has_month = true;
    return set_field(n, month, &r->month);
}

static err_t read_field(struct reading *r, const struct node *n, const struct node *end)
{
    static const char *const eras[] = {"A.D.", "B.C.", "AD", "BC"};
    static const char *const halves[] = {"A.M.", "P.M.", "AM", "PM"};
    int k = 0;
    int digits = 0;
    switch (n->field) {
    case F_FX:
        r->exact = true;
        return ERR_OK;
    case F_AM_DOTS:
    case F_PM_DOTS:
    case F_AM:
    case F_PM:
        TRY(read_name(r, n, n->field == F_AM || n->field == F_PM ? halves + 2 : halves, 2, 0, &k));
        if (r->half == 2)
            TRY(set_field(n, k, &(int64_t){1}));
        r->half = k + 1;
        r->twelve = true;
        return ERR_OK;
    case F_AD_DOTS:
    case F_BC_DOTS:
    case F_AD:
    case F_BC:
        TRY(read_name(r, n, n->field == F_AD || n->field == F_BC ? eras + 2 : eras, 2, 0, &k));
        if (r->is_bc)
            TRY(set_field(n, k, &(int64_t){1}));
        r->is_bc = k == 1;
        return ERR_OK;
    case F_HH:
    case F_HH12:
        r->twelve = true;
        TRY(read_set(r, n, end, 2, &r->hour));
        break;
    case F_HH24:
        TRY(read_set(r, n, end, 2, &r->hour));
        break;
    case F_MI:
        TRY(read_set(r, n, end, 2, &r->minute));
        break;
    case F_SS:
        TRY(read_set(r, n, end, 2, &r->second));
        break;
    case F_MS: /* 25 is 0.25 s */
        TRY(read_int(r, n, end, 3, &r->msec, &digits));
        r->msec *= digits == 1 ? 100 : digits == 2 ? 10 : 1;
        break;
    case F_FF1:
    case F_FF2:
    case F_FF3:
    case F_FF4:
    case F_FF5:
    case F_FF6:
    case F_US:
        TRY(read_int(r, n, end, n->field == F_US ? 6 : (int)(n->field - F_FF1) + 1, &r->usec,
                     &digits));
        for (int i = digits; i < 6; i++)
            r->usec *= 10;
        break;
    case F_SSSS:
    case F_SSSSS:
        TRY(read_set(r, n, end, 5, &r->seconds));
        r->has_seconds = true;
        break;
    case F_TZH:
        TRY(read_zone_hour(r, n, end));
        break;
    case F_TZM:
        r->has_zone = true;
        if (r->zone_sign == 0)
            r->zone_sign = 1;
        TRY(read_set(r, n, end, 2, &r->zone_minute));
        break;
    case F_TZ:
    case F_OF:
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "formatting field \"%.*s\" is only supported in to_char", (int)n->len,
                         n->text);
    case F_MONTH:
        TRY(read_name(r, n, month_names, 12, 0, &k));
        r->has_month = true;
        return set_field(n, k + 1, &r->month);
    case F_MON:
        TRY(read_name(r, n, month_names, 12, 3, &k));
        r->has_month = true;
        return set_field(n, k + 1, &r->month);
    case F_RM:
        return read_roman_month(r, n);
    case F_MM:
        TRY(read_set(r, n, end, 2, &r->month));
        r->has_month = true;
        break;
    case F_DAY:
        TRY(read_name(r, n, day_names, 7, 0, &k));
        r->has_week_day = true;
        return set_field(n, k + 1, &r->week_day);
    case F_DY:
        TRY(read_name(r, n, day_names, 7, 3, &k));
        r->has_week_day = true;
        return set_field(n, k + 1, &r->week_day);
    case F_DDD:
    case F_IDDD:
        TRY(read_set(r, n, end, 3, &r->day_of_year));
        r->has_iso |= n->field == F_IDDD;
        break;
    case F_DD:
        TRY(read_set(r, n, end, 2, &r->day));
        r->has_day = true;
        break;
    case F_D:
        TRY(read_set(r, n, end, 1, &r->week_day));
        r->has_week_day = true;
        break;
    case F_ID:
        TRY(read_set(r, n, end, 1, &r->iso_day));
        r->has_iso = true;
        break;
    case F_WW:
        TRY(read_set(r, n, end, 2, &r->week));
        break;
    case F_IW:
        TRY(read_set(r, n, end, 2, &r->iso_week));
        r->has_iso = true;
        break;
    case F_W:
        TRY(read_set(r, n, end, 1, &r->week_of_month));
        break;
    case F_Q: {
        int64_t ignored = 0;
        TRY(read_set(r, n, end, 1, &ignored));
        break;
    }
    case F_CC:
        TRY(read_set(r, n, end, 2, &r->century));
        r->has_century = true;
        break;
    case F_Y_YYY: {
        int64_t thousands = 0;
        const char *comma = memchr(r->p, ',', (size_t)(r->end - r->p));
        struct node whole = *n;
        whole.fill = true;
        if (comma == NULL)
            return raise_bad_field(n, r->p, (int)MIN(r->end - r->p, 16), NULL);
        TRY(read_set(r, &whole, end, 9, &thousands));
        if (r->p != comma)
            return raise_bad_field(n, r->p, (int)MIN(r->end - r->p, 16), NULL);
        r->p++;
        TRY(read_set(r, n, end, 3, &r->year));
        r->year += thousands * 1000;
        r->has_year = true;
        r->year_digits = 4;
        break;
    }
    case F_YYYY:
    case F_IYYY:
    case F_YYY:
    case F_IYY:
    case F_YY:
    case F_IY:
    case F_Y:
    case F_I: {
        bool is_iso =
            n->field == F_IYYY || n->field == F_IYY || n->field == F_IY || n->field == F_I;
        int width = (int)n->len;
        TRY(read_int(r, n, end, width, &r->year, &digits));
        r->year_digits = width == 4 ? 4 : width;
        if (width < 4 && digits < 4)
            r->year = partial_year(r->year, digits);
        r->has_year = true;
        r->has_iso |= is_iso;
        break;
    }
    case F_J:
        TRY(read_set(r, n, end, 10, &r->julian));
        r->has_julian = true;
        break;
    case F_NONE:
        break;
    }
    if (n->ordinal != 0 && r->end - r->p >= 2)
        r->p += 2;
    return ERR_OK;
}

/* Gregorian and ISO fields do not mix; those of neither kind go with both. */
static err_t note_convention(struct reading *r, enum field field)
{
    switch (field) {
    case F_D:
    case F_DD:
    case F_DDD:
    case F_MM:
    case F_MON:
    case F_MONTH:
    case F_RM:
    case F_W:
    case F_WW:
    case F_Y_YYY:
    case F_YYYY:
    case F_YYY:
    case F_YY:
    case F_Y:
        r->has_gregorian = true;
        break;
    case F_ID:
    case F_IDDD:
    case F_IW:
    case F_IYYY:
    case F_IYY:
    case F_IY:
    case F_I:
        r->has_iso = true;
        break;
    default:
        break;
    }
    if (r->has_gregorian && r->has_iso) {
        err_t e = err_raise(ERR_INVALID_DATETIME_FORMAT, "invalid combination of date conventions");
        err_hint("Do not mix Gregorian and ISO week date conventions in a formatting template.");
        return e;
    }
    return ERR_OK;
}

static int skip_spaces(struct reading *r)
{
    const char *start = r->p;
    while (r->p < r->end && is_space(*r->p))
        r->p++;
    return (int)(r->p - start);
}

static err_t read_template(struct call *c, struct reading *r)
{
    uint32_t count;
    const struct varlen *text = ARG_VARLEN(0);
    struct node *nodes = parse_template(c, ARG_VARLEN(1), &count);
    r->p = (const char *)text->data;
    r->end = r->p + text->len;
    for (uint32_t i = 0; i < count; i++) {
        const struct node *n = &nodes[i];
        if (n->kind == NODE_FIELD && n->field == F_FX) {
            r->exact = true;
            continue;
        }
        if (r->p >= r->end)
            break; /* the rest of the template has nothing to read */
        if (!r->exact && (n->kind == NODE_FIELD || i == 0))
            r->skipped += skip_spaces(r);
        if (n->kind == NODE_FIELD) {
            /* Separators that the template does not have, but never a sign of TZH. */
            TRY(note_convention(r, n->field));
            TRY(read_field(r, n, nodes + count));
            if (!r->exact)
                r->skipped = skip_spaces(r);
            continue;
        }
        if (r->exact) {
            r->p += MIN(utf8_char_bytes((uint8_t)*r->p), (uint32_t)(r->end - r->p));
        } else if (n->kind == NODE_CHAR) {
            if (r->skipped > 0)
                r->skipped--;
            else
                r->p += MIN(utf8_char_bytes((uint8_t)*r->p), (uint32_t)(r->end - r->p));
        } else {
            r->skipped--;
            if (r->p < r->end && (is_space(*r->p) || is_separator(*r->p))) {
                r->p++;
                r->skipped++;
            }
        }
    }
    return ERR_OK;
}

static COLD err_t raise_field_range(struct call *c)
{
    const struct varlen *text = ARG_VARLEN(0);
    return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE,
                     "date/time field value out of range: \"%.*s\"", (int)MIN(text->len, 4096u),
                     (const char *)text->data);
}

static err_t assemble(struct call *c, const struct reading *r, struct civil *f)
{
    *f = (struct civil){.year = 0, .month = 1, .day = 1};
    int64_t hour = r->hour;
    int64_t minute = r->minute;
    int64_t second = r->second;
    if (r->has_seconds) {
        hour = r->seconds / 3600;
        minute = r->seconds / 60 % 60;
        second = r->seconds % 60;
    }
    if (r->twelve) {
        if (hour < 1 || hour > 12) {
            err_t e = err_raise(ERR_INVALID_DATETIME_FORMAT,
                                "hour \"%lld\" is invalid for the 12-hour clock", (long long)hour);
            err_hint("Use the 24-hour clock, or give an hour between 1 and 12.");
            return e;
        }
        if (r->half == 2 && hour < 12)
            hour += 12;
        else if (r->half == 1 && hour == 12)
            hour = 0;
    }
    int64_t year = r->year;
    if (r->has_century && !r->has_year)
        year = r->century > 0 ? (r->century - 1) * 100 + 1 : (r->century + 1) * 100 + 1;
    else if (r->has_century && r->year_digits <= 2)
        year = year % 100 == 0 ? r->century * 100 : (r->century - 1) * 100 + year % 100;
    if (r->is_bc)
        year = year > 0 ? -(year - 1) : year;
    else if (year < 0)
        year++;
    if (!r->has_year && !r->has_century)
        year = 0; /* 1 BC, as an unset year */
    int64_t month = r->has_month ? r->month : 1;
    int64_t day = r->has_day ? r->day : 1;
    int64_t days = 0;
    bool by_days = false;
    if (r->has_julian) {
        days = r->julian - EPOCH_2000_JULIAN;
        by_days = true;
    } else if (r->iso_week > 0) {
        if (r->iso_week > 53)
            return raise_field_range(c);
        int64_t weekday = r->iso_day > 0    ? r->iso_day
                          : r->has_week_day ? (r->week_day == 1 ? 7 : r->week_day - 1)
                                            : 1;
        days = days_of_iso_week(year, (int32_t)r->iso_week) + weekday - 1;
        by_days = true;
    } else if (r->day_of_year != 0) {
        if (!r->has_year && !r->has_century && !r->is_bc)
            return err_raise(ERR_INVALID_DATETIME_FORMAT,
                             "cannot calculate day of year without year information");
        if (r->day_of_year < 1 || r->day_of_year > 371 ||
            (!r->has_iso &&
             r->day_of_year > days_of_civil(year + 1, 1, 1) - days_of_civil(year, 1, 1)))
            return raise_field_range(c);
        days = (r->has_iso ? days_of_iso_week(year, 1) : days_of_civil(year, 1, 1)) +
               r->day_of_year - 1;
        by_days = true;
    } else if (r->week != 0) {
        days = days_of_civil(year, 1, 1) + (r->week - 1) * 7;
        by_days = true;
    } else if (r->week_of_month != 0) {
        day = (r->week_of_month - 1) * 7 + 1;
    }
    if (by_days) {
        civil_of_days(days, &f->year, &f->month, &f->day);
    } else {
        if (month < 1 || month > 12 || day < 1 || day > month_days(year, (int32_t)month))
            return raise_field_range(c);
        f->year = year;
        f->month = (int32_t)month;
        f->day = (int32_t)day;
    }
    if (hour < 0 || hour > 24 || minute < 0 || minute > 59 || second < 0 || second > 60 ||
        (hour == 24 && (minute > 0 || second > 0)))
        return raise_field_range(c);
    f->hour = (int32_t)hour;
    f->minute = (int32_t)minute;
    f->second = (int32_t)second;
    f->usec = (int32_t)(r->msec * 1000 + r->usec);
    return ERR_OK;
}

FUNCTION(fn_to_timestamp)
{
    struct reading r = {0};
    struct civil f;
    TRY(read_template(c, &r));
    TRY(assemble(c, &r, &f));
    int64_t local;
    if (!timestamp_of_civil_unchecked(&f, &local))
        return raise_timestamp_range();
    int64_t offset;
    if (r.has_zone)
        offset = r.zone_sign * (r.zone_hour * 3600 + r.zone_minute * 60);
    else
        offset = time_zone_offset_local(env_zone(c->env), local);
    local -= offset * USECS_PER_SEC;
    if (!timestamp_is_valid(local))
        return raise_timestamp_range();
    RETURN_I64(local);
}
FUNCTION(fn_to_date)
{
    struct reading r = {0};
    struct civil f;
    TRY(read_template(c, &r));
    TRY(assemble(c, &r, &f));
    int64_t days = days_of_civil(f.year, f.month, f.day);
    if (!date_is_valid(days))
        return err_raise(ERR_DATETIME_VALUE_OUT_OF_RANGE, "date out of range: \"%.*s\"",
                         (int)MIN(ARG_VARLEN(0)->len, 4096u), (const char *)ARG_VARLEN(0)->data);
    RETURN_I32((int32_t)days);
}
