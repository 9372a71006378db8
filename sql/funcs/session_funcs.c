/*
 * Functions about the session and the server: who and where, settings, sequences, sleeping,
 * cancelling, transaction ids, advisory locks, encodings, sizes.
 *
 * Those that ask the session's services, or sleep, may suspend; they are marked in proc.tab
 * (suspends) and called only from the expression wrapper, hence NO_SUSPEND_ANALYSIS.
 */
#include "sql/funcs/funcs.h"

#include "core/core.h"
#include "sql/funcs/funcs_priv.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>

/* The service, or 0A000. Only for use in SERVICE functions. */
#define SERVICE(entry)                                                                             \
    struct sql_services *s = c->env->services;                                                     \
    if (s == NULL || s->entry == NULL)                                                             \
        return err_not_built("%s() is not supported yet", c->func->name);
#define SUSPENDING(name) NO_SUSPEND_ANALYSIS FUNCTION(name)

static err_t text_or_null(struct call *c, const char *text, datum *out)
{
    if (text == NULL)
        RETURN_NULL();
    return result_cstring(c, text, out);
}

/* ---- who and where ---- */

FUNCTION(fn_pgsql_version)
{
    return result_cstring(c, "PostgreSQL 15.18 (Percore) on x86_64-pc-linux-gnu, 64-bit", out);
}
FUNCTION(fn_current_database)
{
    return text_or_null(c, c->env->database_name, out);
}
FUNCTION(fn_current_user)
{
    return text_or_null(c, c->env->user_name, out);
}
FUNCTION(fn_session_user)
{
    return text_or_null(c, c->env->session_user_name, out);
}
FUNCTION(fn_current_schema)
{
    if (c->env->search_schema_count == 0)
        RETURN_NULL();
    return result_cstring(c, c->env->search_schemas[0], out);
}
FUNCTION(fn_current_schemas)
{
    uint32_t count = c->env->search_schema_count;
    datum *names = arena_alloc(c->mem, sizeof(datum) * (count + 1));
    uint32_t n = 0;
    bool listed = false;
    for (uint32_t i = 0; i < count; i++)
        listed |= strcmp(c->env->search_schemas[i], "pg_catalog") == 0;
    if (ARG_BOOL(0) && !listed)
        names[n++] = datum_of_text(c->mem, "pg_catalog");
    for (uint32_t i = 0; i < count; i++)
        names[n++] = datum_of_text(c->mem, c->env->search_schemas[i]);
    return array_of(c->mem, TYPE_NAME, names, NULL, n, out);
}
FUNCTION(fn_pg_backend_pid)
{
    RETURN_I32((int32_t)c->env->pid);
}
FUNCTION(fn_pg_is_in_recovery)
{
    (void)c;
    RETURN_BOOL(false);
}
FUNCTION(fn_pg_typeof)
{
    RETURN_OID(c->arg_types[0]);
}
FUNCTION(fn_null)
{
    RETURN_NULL();
}
FUNCTION(fn_true)
{
    (void)c;
    RETURN_BOOL(true);
}
FUNCTION(fn_false)
{
    (void)c;
    RETURN_BOOL(false);
}
FUNCTION(fn_pg_num_nulls)
{
    int32_t n = 0;
    for (uint32_t i = 0; i < c->arg_count; i++)
        n += c->nulls[i];
    RETURN_I32(n);
}
FUNCTION(fn_pg_num_nonnulls)
{
    int32_t n = 0;
    for (uint32_t i = 0; i < c->arg_count; i++)
        n += !c->nulls[i];
    RETURN_I32(n);
}
FUNCTION(fn_pg_column_size)
{
    const struct type_info *t = type_find(c->arg_types[0]);
    if (t != NULL && t->by_value)
        RETURN_I32(t->typlen);
    RETURN_I32((int32_t)(ARG_VARLEN(0)->len + sizeof(struct varlen)));
}

/* Server-wide times: written at start and reload, read by all cores. */
static _Atomic int64_t start_time_us;
static _Atomic int64_t reload_time_us;
void funcs_set_start_time(int64_t us)
{
    atomic_store(&start_time_us, us);
    atomic_store(&reload_time_us, us);
}
void funcs_set_reload_time(int64_t us)
{
    atomic_store(&reload_time_us, us);
}
FUNCTION(fn_pg_postmaster_start_time)
{
    (void)c;
    RETURN_I64(atomic_load(&start_time_us));
}
FUNCTION(fn_pg_conf_load_time)
{
    (void)c;
    RETURN_I64(atomic_load(&reload_time_us));
}

/* ---- encodings ---- */

static const char *const encodings[] = {
    "SQL_ASCII", "EUC_JP",        "EUC_CN",     "EUC_KR",     "EUC_TW",     "EUC_JIS_2004",
    "UTF8",      "MULE_INTERNAL", "LATIN1",     "LATIN2",     "LATIN3",     "LATIN4",
    "LATIN5",    "LATIN6",        "LATIN7",     "LATIN8",     "LATIN9",     "LATIN10",
    "WIN1256",   "WIN1258",       "WIN866",     "WIN874",     "KOI8R",      "WIN1251",
    "WIN1252",   "ISO_8859_5",    "ISO_8859_6", "ISO_8859_7", "ISO_8859_8", "WIN1250",
    "WIN1253",   "WIN1254",       "WIN1255",    "WIN1257",    "KOI8U",      "SJIS",
    "BIG5",      "GBK",           "UHC",        "GB18030",    "JOHAB",      "SHIFT_JIS_2004"};

const char *encoding_name(int32_t encoding)
{
    return encoding >= 0 && encoding < (int32_t)ARRAY_LEN(encodings) ? encodings[encoding] : "";
}
/* Case and punctuation do not count: utf-8 is UTF8. */
static bool same_encoding(const char *a, const char *b)
{
    while (true) {
        while (*a != 0 && !utf8_is_alnum((uint8_t)*a))
            a++;
        while (*b != 0 && !utf8_is_alnum((uint8_t)*b))
            b++;
        if (utf8_to_lower((uint8_t)*a) != utf8_to_lower((uint8_t)*b))
            return false;
        if (*a == 0)
            return true;
        a++;
        b++;
    }
}
int32_t encoding_number(const char *name)
{
    if (same_encoding(name, "unicode"))
        return 6;
    for (size_t i = 0; i < ARRAY_LEN(encodings); i++)
        if (same_encoding(name, encodings[i]))
            return (int32_t)i;
    return -1;
}
FUNCTION(fn_PG_encoding_to_char)
{
    return result_cstring(c, encoding_name(ARG_I32(0)), out);
}
FUNCTION(fn_PG_char_to_encoding)
{
    RETURN_I32(encoding_number(arg_cstring(c, 0)));
}
FUNCTION(fn_getdatabaseencoding)
{
    return result_cstring(c, "UTF8", out);
}
FUNCTION(fn_pg_encoding_max_length_sql)
{
    RETURN_I32(ARG_I32(0) == 6 ? 4 : 1);
}

/* ---- settings ---- */

static NO_SUSPEND_ANALYSIS err_t show_setting(struct call *c, const char *name, bool missing_ok,
                                              datum *out)
{
    SERVICE(setting_show)
    const char *text = NULL;
    TRY(s->setting_show(s->owner, name, missing_ok, c->mem, &text));
    return text_or_null(c, text, out);
}
FUNCTION(fn_show_config_by_name)
{
    return show_setting(c, arg_cstring(c, 0), false, out);
}
FUNCTION(fn_show_config_by_name_missing_ok)
{
    return show_setting(c, arg_cstring(c, 0), ARG_BOOL(1), out);
}
FUNCTION(fn_pg_client_encoding)
{
    return show_setting(c, "client_encoding", false, out);
}
SUSPENDING(fn_set_config_by_name)
{
    SERVICE(setting_set)
    if (c->nulls[0])
        return err_raise(ERR_NULL_VALUE_NOT_ALLOWED, "SET requires parameter name");
    const char *name = arg_cstring(c, 0);
    const char *value = c->nulls[1] ? NULL : arg_cstring(c, 1);
    bool is_local = !c->nulls[2] && ARG_BOOL(2);
    TRY(s->setting_set(s->owner, name, value, is_local));
    return show_setting(c, name, false, out);
}

/* ---- sequences ---- */

/* Identity columns take their numbers without asking. */
static NO_SUSPEND_ANALYSIS err_t sequence_allows(struct call *c, const char *letters)
{
    SERVICE(privilege_require)
    return s->privilege_require(s->owner, 'c', ARG_OID(0), letters);
}

SUSPENDING(fn_nextval_oid)
{
    SERVICE(nextval)
    TRY(sequence_allows(c, "Uw"));
    int64_t v;
    TRY(s->nextval(s->owner, ARG_OID(0), &v));
    RETURN_I64(v);
}
SUSPENDING(fn_currval_oid)
{
    SERVICE(currval)
    TRY(sequence_allows(c, "rU"));
    int64_t v;
    TRY(s->currval(s->owner, ARG_OID(0), &v));
    RETURN_I64(v);
}
SUSPENDING(fn_lastval)
{
    SERVICE(lastval)
    int64_t v;
    TRY(s->lastval(s->owner, &v));
    RETURN_I64(v);
}
SUSPENDING(fn_setval_oid)
{
    SERVICE(setval)
    TRY(sequence_allows(c, "w"));
    TRY(s->setval(s->owner, ARG_OID(0), ARG_I64(1), true));
    RETURN_I64(ARG_I64(1));
}
SUSPENDING(fn_setval3_oid)
{
    SERVICE(setval)
    TRY(sequence_allows(c, "w"));
    TRY(s->setval(s->owner, ARG_OID(0), ARG_I64(1), ARG_BOOL(2)));
    RETURN_I64(ARG_I64(1));
}

/* ---- waiting, cancelling ---- */

SUSPENDING(fn_pg_sleep)
{
    double seconds = ARG_F64(0);
    *out = 0;
    if (!(seconds > 0))
        return ERR_OK;
    double us = MIN(seconds * 1e6, 9e18);
    return fiber_sleep_wait((uint64_t)us);
}
static NO_SUSPEND_ANALYSIS err_t signal_backend(struct call *c, bool terminate, datum *out)
{
    SERVICE(cancel_backend)
    bool done = false;
    if (ARG_I32(0) > 0)
        TRY(s->cancel_backend(s->owner, (uint32_t)ARG_I32(0), terminate, &done));
    if (!done && s->notice != NULL)
        s->notice(s->owner, ERR_WARNING, "WARNING",
                  arena_printf(c->mem, "PID %d is not a PostgreSQL backend process", ARG_I32(0)));
    RETURN_BOOL(done);
}
FUNCTION(fn_pg_cancel_backend)
{
    return signal_backend(c, false, out);
}
FUNCTION(fn_pg_terminate_backend)
{
    return signal_backend(c, true, out);
}

/* ---- transaction ids ---- */

SUSPENDING(fn_pg_current_xact_id)
{
    SERVICE(current_txn_id)
    uint64_t v = 0;
    TRY(s->current_txn_id(s->owner, true, &v));
    RETURN_DATUM(v);
}
SUSPENDING(fn_pg_current_xact_id_if_assigned)
{
    SERVICE(current_txn_id)
    uint64_t v = 0;
    TRY(s->current_txn_id(s->owner, false, &v));
    if (v == 0)
        RETURN_NULL();
    RETURN_DATUM(v);
}

/* ---- locks: advisory ones by one bigint key, or two ints in one word ---- */

static NO_SUSPEND_ANALYSIS err_t advisory(struct call *c, struct advisory_call a, datum *out)
{
    SERVICE(advisory_lock)
    if (a.what != ADVISORY_UNLOCK_ALL)
        a.key = a.two_keys
                    ? (int64_t)(((uint64_t)(uint32_t)ARG_I32(0) << 32) | (uint32_t)ARG_I32(1))
                    : ARG_I64(0);
    bool done = false;
    TRY(s->advisory_lock(s->owner, &a, &done));
    *out = a.try_only || a.what == ADVISORY_UNLOCK ? datum_of_bool(done) : 0;
    return ERR_OK;
}
#define ADVISORY(name, ...)                                                                        \
    FUNCTION(fn_##name##_int8)                                                                     \
    {                                                                                              \
        return advisory(c, (struct advisory_call){__VA_ARGS__}, out);                              \
    }                                                                                              \
    FUNCTION(fn_##name##_int4)                                                                     \
    {                                                                                              \
        return advisory(c, (struct advisory_call){__VA_ARGS__, .two_keys = true}, out);            \
    }
ADVISORY(pg_advisory_lock, .what = ADVISORY_LOCK)
ADVISORY(pg_advisory_lock_shared, .what = ADVISORY_LOCK, .shared = true)
ADVISORY(pg_advisory_xact_lock, .what = ADVISORY_LOCK_TXN)
ADVISORY(pg_advisory_xact_lock_shared, .what = ADVISORY_LOCK_TXN, .shared = true)
ADVISORY(pg_try_advisory_lock, .what = ADVISORY_LOCK, .try_only = true)
ADVISORY(pg_try_advisory_lock_shared, .what = ADVISORY_LOCK, .shared = true, .try_only = true)
ADVISORY(pg_try_advisory_xact_lock, .what = ADVISORY_LOCK_TXN, .try_only = true)
ADVISORY(pg_try_advisory_xact_lock_shared, .what = ADVISORY_LOCK_TXN, .shared = true,
         .try_only = true)
ADVISORY(pg_advisory_unlock, .what = ADVISORY_UNLOCK)
ADVISORY(pg_advisory_unlock_shared, .what = ADVISORY_UNLOCK, .shared = true)
FUNCTION(fn_pg_advisory_unlock_all)
{
    return advisory(c, (struct advisory_call){.what = ADVISORY_UNLOCK_ALL}, out);
}

static NO_SUSPEND_ANALYSIS err_t blockers(struct call *c, uint32_t **pids, uint32_t *count)
{
    SERVICE(blockers)
    *pids = NULL;
    *count = 0;
    if (ARG_I32(0) <= 0)
        return ERR_OK;
    return s->blockers(s->owner, (uint32_t)ARG_I32(0), c->mem, pids, count);
}
FUNCTION(fn_pg_blocking_pids)
{
    uint32_t *pids;
    uint32_t count;
    TRY(blockers(c, &pids, &count));
    datum *values = ARENA_ARRAY(c->mem, datum, count + 1);
    for (uint32_t i = 0; i < count; i++)
        values[i] = datum_of_i32((int32_t)pids[i]);
    return array_of(c->mem, TYPE_INT4, values, NULL, count, out);
}
/* Is the process blocked by one of those? For isolation testers. */
FUNCTION(fn_pg_isolation_test_session_is_blocked)
{
    uint32_t *pids;
    uint32_t count;
    TRY(blockers(c, &pids, &count));
    struct array_view among = {.element = TYPE_INT4};
    TRY(array_read(c->mem, c->args[1], &among));
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < among.count; k++)
            found |= !among.nulls[k] && datum_i32(among.values[k]) == (int32_t)pids[i];
    }
    RETURN_BOOL(found);
}

/* ---- notifications ---- */

SUSPENDING(fn_pg_notify)
{
    SERVICE(notify)
    *out = 0;
    return s->notify(s->owner, c->nulls[0] ? "" : arg_cstring(c, 0),
                     c->nulls[1] ? "" : arg_cstring(c, 1));
}
SUSPENDING(fn_pg_export_snapshot)
{
    SERVICE(export_snapshot)
    const char *text;
    TRY(s->export_snapshot(s->owner, c->mem, &text));
    return result_cstring(c, text, out);
}
SUSPENDING(fn_pg_notification_queue_usage)
{
    SERVICE(notification_usage)
    double usage = 0;
    TRY(s->notification_usage(s->owner, &usage));
    RETURN_F64(usage);
}

struct channels {
    const char *const *names;
    uint32_t count;
    uint32_t next;
};
static err_t listening_channels_begin(struct call *c, void **state)
{
    SERVICE(listening_channels)
    struct channels *list = ARENA_NEW(c->state_mem, struct channels);
    *state = list;
    return s->listening_channels(s->owner, c->state_mem, &list->names, &list->count);
}
static err_t listening_channels_next(struct call *c, void *state, datum *values, bool *nulls,
                                     bool *end)
{
    struct channels *list = state;
    *end = list->next == list->count;
    if (*end)
        return ERR_OK;
    nulls[0] = false;
    values[0] = datum_of_text(c->mem, list->names[list->next++]);
    return ERR_OK;
}
const struct set_function srf_pg_listening_channels = {
    .column_count = 1,
    .begin = listening_channels_begin,
    .next = listening_channels_next,
};

/* ---- sizes ---- */

static NO_SUSPEND_ANALYSIS err_t relation_size(struct call *c, const char *fork, bool with_indexes,
                                               datum *out)
{
    SERVICE(relation_size)
    int64_t bytes = 0;
    TRY(s->relation_size(s->owner, ARG_OID(0), fork, with_indexes, &bytes));
    if (bytes < 0)
        RETURN_NULL();
    RETURN_I64(bytes);
}
FUNCTION(fn_pg_relation_size)
{
    return relation_size(c, c->arg_count > 1 ? arg_cstring(c, 1) : "main", false, out);
}
FUNCTION(fn_pg_table_size)
{
    return relation_size(c, "table", false, out);
}
FUNCTION(fn_pg_total_relation_size)
{
    return relation_size(c, "table", true, out);
}
FUNCTION(fn_pg_indexes_size)
{
    return relation_size(c, "indexes", false, out);
}

static const struct {
    const char *name;
    int64_t limit; /* of the value in this unit, then the next is taken */
    int shift;     /* bits to this unit from the one before, after a first rounding bit */
    bool round;
} size_units[] = {{"bytes", 10 * 1024, 9, false},  {"kB", 20 * 1024 - 1, 10, true},
                  {"MB", 20 * 1024 - 1, 10, true}, {"GB", 20 * 1024 - 1, 10, true},
                  {"TB", 20 * 1024 - 1, 10, true}, {"PB", 20 * 1024 - 1, 10, true}};
static int64_t half_rounded(int64_t v)
{
    return (v + (v < 0 ? -1 : 1)) / 2;
}
FUNCTION(fn_pg_size_pretty)
{
    int64_t v = ARG_I64(0);
    for (size_t i = 0; i < ARRAY_LEN(size_units); i++) {
        uint64_t magnitude = v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
        if (i + 1 == ARRAY_LEN(size_units) || magnitude < (uint64_t)size_units[i].limit) {
            if (size_units[i].round)
                v = half_rounded(v);
            return result_cstring(
                c, arena_printf(c->mem, "%lld %s", (long long)v, size_units[i].name), out);
        }
        /* The value is kept doubled from kB on, so that the last step can round. */
        v /= (int64_t)1 << size_units[i].shift;
    }
    RETURN_NULL();
}
FUNCTION(fn_pg_size_bytes)
{
    static const struct {
        const char *name;
        double factor;
    } units[] = {{"", 1},        {"bytes", 1},   {"b", 1},       {"kb", 0x1p10},
                 {"mb", 0x1p20}, {"gb", 0x1p30}, {"tb", 0x1p40}, {"pb", 0x1p50}};
    char *text = arg_cstring(c, 0);
    char *p = text;
    while (*p == ' ')
        p++;
    char *number = p;
    p += *p == '-' || *p == '+';
    char *digits = p;
    while ((*p >= '0' && *p <= '9') || *p == '.')
        p++;
    if (p == digits)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid size: \"%s\"", text);
    long double v = strtold(number, NULL);
    while (*p == ' ')
        p++;
    size_t len = strlen(p);
    while (len > 0 && p[len - 1] == ' ')
        p[--len] = 0;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcasecmp(p, units[i].name) != 0)
            continue;
        v = roundl(v * (long double)units[i].factor);
        if (v < -0x1p63L || v >= 0x1p63L)
            return raise_int_range("bigint");
        RETURN_I64((int64_t)v);
    }
    err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid size: \"%s\"", text);
    err_detail("Invalid size unit: \"%s\".", p);
    err_hint("Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".");
    return e;
}
