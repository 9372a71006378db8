/*
 * Settings: the table's names, and parsing and printing of values with PostgreSQL's units, ranges
 * and messages.
 */
#include "core/settings_priv.h"

#include "core/core_priv.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- the table ---- */

static const char *const *const enum_values[SETTING_COUNT] = {
    [SET_archive_mode] = (const char *const[]){"always", "on", "off", NULL},
    [SET_backslash_quote] = (const char *const[]){"safe_encoding", "on", "off", NULL},
    [SET_auto_parameters] = (const char *const[]){"off", "on", "always", NULL},
    [SET_bytea_output] = (const char *const[]){"escape", "hex", NULL},
    [SET_client_min_messages] =
        (const char *const[]){"debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice",
                              "warning", "error", NULL},
    [SET_compute_query_id] = (const char *const[]){"auto", "regress", "on", "off", NULL},
    [SET_constraint_exclusion] = (const char *const[]){"partition", "on", "off", NULL},
    [SET_default_toast_compression] = (const char *const[]){"pglz", "lz4", NULL},
    [SET_default_transaction_isolation] =
        (const char *const[]){"serializable", "repeatable read", "read committed",
                              "read uncommitted", NULL},
    [SET_doorbell] = (const char *const[]){"auto", "message", "eventfd", NULL},
    [SET_dynamic_shared_memory_type] = (const char *const[]){"posix", "sysv", "mmap", NULL},
    [SET_huge_pages] = (const char *const[]){"off", "on", "try", NULL},
    [SET_IntervalStyle] =
        (const char *const[]){"postgres", "postgres_verbose", "sql_standard", "iso_8601", NULL},
    [SET_session_moves] = (const char *const[]){"off", "auto", "force", NULL},
    [SET_log_error_verbosity] = (const char *const[]){"terse", "default", "verbose", NULL},
    [SET_log_min_error_statement] =
        (const char *const[]){"debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice",
                              "warning", "error", "log", "fatal", "panic", NULL},
    [SET_log_min_messages] =
        (const char *const[]){"debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice",
                              "warning", "error", "log", "fatal", "panic", NULL},
    [SET_log_statement] = (const char *const[]){"none", "ddl", "mod", "all", NULL},
    [SET_numa_policy] = (const char *const[]){"local", "interleave", "none", NULL},
    [SET_password_encryption] = (const char *const[]){"md5", "scram-sha-256", NULL},
    [SET_plan_cache_mode] =
        (const char *const[]){"auto", "force_generic_plan", "force_custom_plan", NULL},
    [SET_session_replication_role] = (const char *const[]){"origin", "replica", "local", NULL},
    [SET_shared_memory_type] = (const char *const[]){"sysv", "mmap", NULL},
    [SET_ssl_max_protocol_version] =
        (const char *const[]){"", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL},
    [SET_ssl_min_protocol_version] =
        (const char *const[]){"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL},
    [SET_stats_fetch_consistency] = (const char *const[]){"none", "cache", "snapshot", NULL},
    [SET_synchronous_commit] =
        (const char *const[]){"local", "remote_write", "remote_apply", "on", "off", NULL},
    [SET_track_functions] = (const char *const[]){"none", "pl", "all", NULL},
    [SET_transaction_isolation] = (const char *const[]){"serializable", "repeatable read",
                                                        "read committed", "read uncommitted", NULL},
    [SET_wal_compression] = (const char *const[]){"pglz", "lz4", "zstd", "on", "off", NULL},
    [SET_wal_level] = (const char *const[]){"minimal", "replica", "logical", NULL},
    [SET_wal_sync_method] =
        (const char *const[]){"fsync", "fdatasync", "open_sync", "open_datasync", NULL},
    [SET_xmlbinary] = (const char *const[]){"base64", "hex", NULL},
    [SET_xmloption] = (const char *const[]){"content", "document", NULL},
};

#define UNIT_OR_NULL(unit) (sizeof(unit) > 1 ? (unit) : NULL)

static const struct {
    const char *token;
    const char *unit;
    const char *boot;
    double min;
    double max;
    enum setting_type type;
    enum setting_context context;
    bool report;
    const char *group;
    const char *description;
} rows[SETTING_COUNT] = {
#define SETTING(name, type, unit, boot, min, max, context, report, group, description)             \
    [SET_##name] = {#name,  unit,  boot,       min, max, SETTING_##type, SETTING_##context,        \
                    report, group, description},
#include "core/settings.def"
#undef SETTING
};

static struct setting_info infos[SETTING_COUNT];

/* Names that are no C identifiers. */
static const struct {
    enum setting_id id;
    const char *name;
} shown_names[] = {
    {SET_numa_policy, "numa.policy"},
};

__attribute__((constructor)) static void infos_init(void)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        infos[i] = (struct setting_info){
            .name = rows[i].token,
            .type = rows[i].type,
            .unit = rows[i].unit[0] != '\0' ? rows[i].unit : NULL,
            .boot = rows[i].boot,
            .min = rows[i].min,
            .max = rows[i].max,
            .enum_values = enum_values[i],
            .context = rows[i].context,
            .report = rows[i].report,
            .group = rows[i].group,
            .description = rows[i].description,
        };
    }
    for (size_t i = 0; i < ARRAY_LEN(shown_names); i++)
        infos[shown_names[i].id].name = shown_names[i].name;
}

const struct setting_info *setting_info(enum setting_id id)
{
    ASSERT((unsigned)id < SETTING_COUNT);
    return &infos[id];
}

bool setting_find(const char *name, enum setting_id *out)
{
    /* Names of old releases that PostgreSQL still takes. */
    if (strcasecmp(name, "sort_mem") == 0)
        name = "work_mem";
    else if (strcasecmp(name, "vacuum_mem") == 0)
        name = "maintenance_work_mem";
    int low = 0; /* the table is sorted by name */
    int high = SETTING_COUNT - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        int order = strcasecmp(name, infos[middle].name);
        if (order == 0) {
            *out = (enum setting_id)middle;
            return true;
        }
        if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return false;
}

/* ---- units ---- */

struct unit {
    const char *name;
    double size; /* in bytes or microseconds */
};

/* Largest first. */
static const struct unit memory_units[] = {{"TB", 1024.0 * 1024 * 1024 * 1024},
                                           {"GB", 1024.0 * 1024 * 1024},
                                           {"MB", 1024.0 * 1024},
                                           {"kB", 1024},
                                           {"B", 1},
                                           {NULL, 0}};
static const struct unit time_units[] = {{"d", 86400e6}, {"h", 3600e6}, {"min", 60e6}, {"s", 1e6},
                                         {"ms", 1e3},    {"us", 1},     {NULL, 0}};

/* The units of a setting and the size of its base unit; NULL = it has none. */
static const struct unit *units_of(const struct setting_info *info, double *base)
{
    *base = 1;
    if (info->unit == NULL)
        return NULL;
    if (strcmp(info->unit, "8kB") == 0) {
        *base = 8192;
        return memory_units;
    }
    for (const struct unit *u = memory_units; u->name != NULL; u++) {
        if (strcmp(u->name, info->unit) == 0) {
            *base = u->size;
            return memory_units;
        }
    }
    for (const struct unit *u = time_units; u->name != NULL; u++) {
        if (strcmp(u->name, info->unit) == 0) {
            *base = u->size;
            return time_units;
        }
    }
    return NULL;
}

static COLD err_t invalid_value(const struct setting_info *info, const char *text)
{
    return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid value for parameter \"%s\": \"%s\"",
                     info->name, text);
}

static COLD err_t invalid_unit(const struct setting_info *info, const char *text,
                               const struct unit *units)
{
    err_t e = invalid_value(info, text);
    if (units == memory_units)
        err_hint("Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".");
    else if (units == time_units)
        err_hint("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and "
                 "\"d\".");
    return e;
}

/* value of the unit named by text, in base units. A fraction is first rounded to a multiple of the
 * next smaller unit, so that 30.1GB is a whole number of MB. */
static bool unit_convert(const struct unit *units, const char *name, double base, double *value)
{
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (strcmp(u->name, name) != 0)
            continue;
        double small = *value * u->size;
        if (u[1].name != NULL && *value != floor(*value))
            small = rint(small / u[1].size) * u[1].size;
        *value = small / base;
        return true;
    }
    return false;
}

/* Number and unit; the rest of the checks is the caller's. */
static err_t number_parse(const struct setting_info *info, const char *text, double *out)
{
    double base;
    const struct unit *units = units_of(info, &base);
    const char *at = text;
    char *end;
    while (isspace((unsigned char)*at))
        at++;
    errno = 0;
    double value = (double)strtoll(at, &end, 0); /* takes 0x and octal, as PostgreSQL does */
    if (*end == '.' || *end == 'e' || *end == 'E' || errno == ERANGE ||
        info->type == SETTING_REAL) {
        errno = 0;
        value = strtod(at, &end);
    }
    if (end == at || errno == ERANGE || isnan(value))
        return invalid_value(info, text);
    while (isspace((unsigned char)*end))
        end++;
    if (*end != '\0') {
        char name[4];
        size_t len = 0;
        while (*end != '\0' && !isspace((unsigned char)*end) && len < sizeof(name) - 1)
            name[len++] = *end++;
        name[len] = '\0';
        while (isspace((unsigned char)*end))
            end++;
        if (units == NULL)
            return invalid_value(info, text);
        if (*end != '\0' || !unit_convert(units, name, base, &value))
            return invalid_unit(info, text, units);
    }
    *out = value;
    return ERR_OK;
}

err_t setting_parse_bytes(const char *text, uint64_t *out)
{
    *out = 0;
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    while (isspace((unsigned char)*end))
        end++;
    bool fine = end != text && errno == 0 && value >= 0;
    if (fine && *end != '\0')
        fine = unit_convert(memory_units, end, 1, &value);
    if (!fine || value > 9e18) {
        err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid size: \"%s\"", text);
        err_hint("Valid units are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".");
        return e;
    }
    *out = (uint64_t)rint(value);
    return ERR_OK;
}

/* ---- parsing ---- */

static char *copy_of(const char *text)
{
    char *copy = strdup(text);
    ASSERT(copy != NULL);
    return copy;
}

/* Any unambiguous start of true, false, yes, no; on, off; 1, 0. */
bool setting_parse_bool(const char *text, bool *out)
{
    size_t len = strlen(text);
    if (len == 0)
        return false;
    if (strncasecmp(text, "true", len) == 0 || strncasecmp(text, "yes", len) == 0 ||
        strcasecmp(text, "on") == 0 || strcmp(text, "1") == 0) {
        *out = true;
        return true;
    }
    if (strncasecmp(text, "false", len) == 0 || strncasecmp(text, "no", len) == 0 ||
        (len >= 2 && strncasecmp(text, "off", len) == 0) || strcmp(text, "0") == 0) {
        *out = false;
        return true;
    }
    return false;
}

static err_t int_parse(const struct setting_info *info, const char *text, struct setting_value *out)
{
    double value;
    TRY(number_parse(info, text, &value));
    value = rint(value);
    if (value > INT_MAX || value < INT_MIN) {
        err_t e = invalid_value(info, text);
        err_hint("Value exceeds integer range.");
        return e;
    }
    out->number = (int64_t)value;
    out->real = value;
    if (value < info->min || value > info->max)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "%d%s%s is outside the valid range for parameter \"%s\" (%d .. %d)",
                         (int)out->number, info->unit != NULL ? " " : "",
                         info->unit != NULL ? info->unit : "", info->name, (int)info->min,
                         (int)info->max);
    char digits[24];
    snprintf(digits, sizeof(digits), "%lld", (long long)out->number);
    out->text = copy_of(digits);
    return ERR_OK;
}

static err_t real_parse(const struct setting_info *info, const char *text,
                        struct setting_value *out)
{
    double value;
    TRY(number_parse(info, text, &value));
    if (value < info->min || value > info->max)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "%g%s%s is outside the valid range for parameter \"%s\" (%g .. %g)", value,
                         info->unit != NULL ? " " : "", info->unit != NULL ? info->unit : "",
                         info->name, info->min, info->max);
    out->real = value;
    out->number = (int64_t)MAX(MIN(value, 9e18), -9e18);
    char digits[40];
    for (int precision = 6; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    out->text = copy_of(digits);
    return ERR_OK;
}

static int enum_index(const char *const *values, const char *text)
{
    for (int i = 0; values[i] != NULL; i++)
        if (strcasecmp(values[i], text) == 0)
            return i;
    return -1;
}

static err_t enum_parse(const struct setting_info *info, const char *text,
                        struct setting_value *out)
{
    const char *const *values = info->enum_values;
    int index = enum_index(values, text);
    if (index < 0 && strcasecmp(text, "debug") == 0)
        index = enum_index(values, "debug2");
    if (index < 0 && values == enum_values[SET_client_min_messages] &&
        (strcasecmp(text, "info") == 0 || strcasecmp(text, "fatal") == 0 ||
         strcasecmp(text, "panic") == 0))
        index = enum_index(values, strcasecmp(text, "info") == 0 ? "log" : "error");
    bool flag;
    if (index < 0 && strlen(text) > 0 && setting_parse_bool(text, &flag))
        index = enum_index(values, flag ? "on" : "off");
    if (index < 0) {
        err_t e = invalid_value(info, text);
        char list[512];
        size_t at = 0;
        for (int i = 0; values[i] != NULL && at + 40 < sizeof(list); i++)
            if (values[i][0] != '\0')
                at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", at > 0 ? ", " : "",
                                       values[i]);
        err_hint("Available values: %s.", list);
        return e;
    }
    out->number = index;
    out->text = copy_of(values[index]);
    return ERR_OK;
}

/* ---- checks of single string settings ---- */

/* ISO, SQL, Postgres, German; DMY (Euro), MDY (US), YMD (NonEuro = MDY). The other half stays as it
 * is. */
static err_t date_style_check(const char *text, const char *now, struct arena *out,
                              const char **canonical)
{
    const char *style = NULL;
    const char *order = NULL;
    const char *comma = now != NULL ? strchr(now, ',') : NULL; /* "ISO, MDY" */
    const char *style_now = comma != NULL ? arena_strndup(out, now, (size_t)(comma - now)) : "ISO";
    const char *order_now = comma != NULL ? comma + 2 : "MDY";
    const char *at = text;
    bool fine = true;
    bool conflicts = false;
    char word[16] = "";
    while (fine && !conflicts) {
        while (isspace((unsigned char)*at) || *at == ',')
            at++;
        if (*at == '\0')
            break;
        size_t len = 0;
        while (*at != '\0' && *at != ',' && !isspace((unsigned char)*at)) {
            if (len < sizeof(word) - 1)
                word[len++] = *at;
            at++;
        }
        word[len] = '\0';
        const char *new_style = NULL;
        const char *new_order = NULL;
        if (strcasecmp(word, "iso") == 0)
            new_style = "ISO";
        else if (strcasecmp(word, "sql") == 0)
            new_style = "SQL";
        else if (strncasecmp(word, "postgres", 8) == 0)
            new_style = "Postgres";
        else if (strcasecmp(word, "german") == 0)
            new_style = "German";
        else if (strcasecmp(word, "ymd") == 0)
            new_order = "YMD";
        else if (strcasecmp(word, "dmy") == 0 || strncasecmp(word, "euro", 4) == 0)
            new_order = "DMY";
        else if (strcasecmp(word, "mdy") == 0 || strcasecmp(word, "us") == 0 ||
                 strncasecmp(word, "noneuro", 7) == 0)
            new_order = "MDY";
        else if (strcasecmp(word, "default") != 0)
            fine = false;
        if (new_style != NULL) {
            conflicts |= style != NULL && strcmp(style, new_style) != 0;
            style = new_style;
            if (strcmp(new_style, "German") == 0 && order == NULL)
                order_now = "DMY";
        }
        if (new_order != NULL) {
            conflicts |= order != NULL && strcmp(order, new_order) != 0;
            order = new_order;
        }
    }
    if (!fine || conflicts) {
        err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE,
                            "invalid value for parameter \"DateStyle\": \"%s\"", text);
        if (conflicts)
            err_detail("Conflicting \"datestyle\" specifications.");
        else
            err_detail("Unrecognized key word: \"%s\".", word);
        return e;
    }
    *canonical = arena_printf(out, "%s, %s", style != NULL ? style : style_now,
                              order != NULL ? order : order_now);
    return ERR_OK;
}

/* UTF8 is spoken; SQL_ASCII takes the bytes as they are. */
static err_t client_encoding_check(const char *text, const char *now, struct arena *out,
                                   const char **canonical)
{
    (void)now;
    char name[32];
    size_t len = 0;
    for (const char *at = text; *at != '\0' && len < sizeof(name) - 1; at++)
        if (isalnum((unsigned char)*at))
            name[len++] = (char)tolower((unsigned char)*at);
    name[len] = '\0';
    (void)out;
    if (strcmp(name, "utf8") == 0 || strcmp(name, "unicode") == 0) {
        *canonical = "UTF8";
        return ERR_OK;
    }
    if (strcmp(name, "sqlascii") == 0) {
        *canonical = "SQL_ASCII";
        return ERR_OK;
    }
    static const char *const known[] = {
        "abc",         "alt",         "big5",        "euccn",        "eucjis2004",  "eucjp",
        "euckr",       "euctw",       "gb18030",     "gbk",          "iso88591",    "iso885910",
        "iso885913",   "iso885914",   "iso885915",   "iso885916",    "iso88592",    "iso88593",
        "iso88594",    "iso88595",    "iso88596",    "iso88597",     "iso88598",    "iso88599",
        "johab",       "koi8",        "koi8r",       "koi8u",        "latin1",      "latin10",
        "latin2",      "latin3",      "latin4",      "latin5",       "latin6",      "latin7",
        "latin8",      "latin9",      "mskanji",     "muleinternal", "shiftjis",    "shiftjis2004",
        "sjis",        "tcvn",        "tcvn5712",    "uhc",          "vscii",       "win",
        "win1250",     "win1251",     "win1252",     "win1253",      "win1254",     "win1255",
        "win1256",     "win1257",     "win1258",     "win866",       "win874",      "win932",
        "win936",      "win949",      "win950",      "windows1250",  "windows1251", "windows1252",
        "windows1253", "windows1254", "windows1255", "windows1256",  "windows1257", "windows1258",
        "windows866",  "windows874",  "windows932",  "windows936",   "windows949",  "windows950",
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(name, known[i]) == 0)
            return err_not_built("client_encoding \"%s\" is not supported: only UTF8 and "
                                 "SQL_ASCII are",
                                 text);
    return err_raise(ERR_INVALID_PARAMETER_VALUE,
                     "invalid value for parameter \"client_encoding\": \"%s\"", text);
}

/* Printable ASCII, 63 bytes, as PostgreSQL keeps it. */
static err_t application_name_check(const char *text, const char *now, struct arena *out,
                                    const char **canonical)
{
    (void)now;
    char *copy = arena_strndup(out, text, MIN(strlen(text), 63));
    for (char *at = copy; *at != '\0'; at++)
        if (*at < 32 || *at > 126)
            *at = '?';
    *canonical = copy;
    return ERR_OK;
}

static setting_check_fn checks[SETTING_COUNT] = {
    [SET_DateStyle] = date_style_check,
    [SET_client_encoding] = client_encoding_check,
    [SET_application_name] = application_name_check,
};

void setting_install_check(enum setting_id id, setting_check_fn check)
{
    ASSERT(infos[id].type == SETTING_STRING);
    checks[id] = check;
}

err_t setting_value_parse(enum setting_id id, const char *text, const char *now,
                          struct setting_value *out)
{
    const struct setting_info *info = &infos[id];
    *out = (struct setting_value){0};
    switch (info->type) {
    case SETTING_BOOL: {
        bool flag;
        if (!setting_parse_bool(text, &flag))
            return err_raise(ERR_INVALID_PARAMETER_VALUE,
                             "parameter \"%s\" requires a Boolean value", info->name);
        out->number = flag ? 1 : 0;
        out->text = copy_of(flag ? "on" : "off");
        return ERR_OK;
    }
    case SETTING_INT:
        return int_parse(info, text, out);
    case SETTING_REAL:
        return real_parse(info, text, out);
    case SETTING_ENUM:
        return enum_parse(info, text, out);
    case SETTING_STRING:
        break;
    }
    if (checks[id] == NULL) {
        out->text = copy_of(text);
        return ERR_OK;
    }
    struct arena *arena = arena_new();
    const char *canonical = text;
    err_t e = checks[id](text, now, arena, &canonical);
    if (e == ERR_OK)
        out->text = copy_of(canonical);
    arena_free(arena);
    return e;
}

/* ---- printing ---- */

char *setting_value_show(enum setting_id id, const struct setting_value *v, struct arena *out)
{
    const struct setting_info *info = &infos[id];
    if (id == SET_unix_socket_permissions || id == SET_data_directory_mode ||
        id == SET_log_file_mode)
        return arena_printf(out, "%04o", (unsigned)v->number);
    double base;
    const struct unit *units = units_of(info, &base);
    if (units == NULL || v->real <= 0 || (info->type != SETTING_INT && info->type != SETTING_REAL))
        return arena_strdup(out, v->text);
    /* The largest unit that divides it. */
    double small = v->real * base;
    for (const struct unit *u = units; u->name != NULL; u++) {
        double count = small / u->size;
        bool is_whole = count == floor(count);
        if (is_whole || u[1].name == NULL) {
            if (info->type == SETTING_INT)
                return arena_printf(out, "%lld%s", (long long)rint(count), u->name);
            return arena_printf(out, "%g%s", count, u->name);
        }
        if (info->type == SETTING_REAL && strcmp(u->name, info->unit) == 0)
            return arena_printf(out, "%g%s", v->real, u->name);
    }
    return arena_strdup(out, v->text);
}
