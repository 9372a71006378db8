/*
 * Sessions: opening and closing, derived settings, notices.
 *
 * A session belongs to one core. Between requests it holds no fiber; its statement arena is empty.
 */
#include "sql/catalog/privileges.h"
#include "sql/session/session_priv.h"

#include "sql/ddl/ddl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/types/timezone.h"
#include "sql/types/utf8.h"

/* ---- what analysis and functions see of the settings ---- */

/* Comma-separated identifiers, double-quoted ones as they are, others folded to lower case. */
static err_t session_split_names(struct arena *mem, const char *list, const char ***names,
                                 uint32_t *count)
{
    uint32_t room = 1;
    for (const char *p = list; *p; p++)
        room += *p == ',';
    *names = ARENA_ARRAY(mem, const char *, room);
    *count = 0;
    const char *p = list;
    for (;;) {
        while (*p == ' ' || *p == '\t' || *p == '\n' || *p == ',')
            p++;
        if (*p == '\0')
            return ERR_OK;
        struct strbuf name;
        strbuf_init(&name, mem);
        if (*p == '"') {
            for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
                if (*p == '"')
                    p++;
                strbuf_putc(&name, *p);
            }
            if (*p != '"')
                return err_raise(ERR_INVALID_PARAMETER_VALUE, "List syntax is invalid.");
            p++;
        } else {
            for (; *p && *p != ',' && *p != ' ' && *p != '\t'; p++)
                strbuf_putc(&name, (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p));
        }
        ASSERT(*count < room);
        (*names)[(*count)++] = name.data ? name.data : "";
    }
}

static void session_derive_search_path(struct session *s)
{
    struct arena_mark mark = arena_mark(s->statement);
    const char **names;
    uint32_t count;
    const char *text = setting_string(s->settings, SET_search_path);
    if (session_split_names(s->statement, text, &names, &count) != ERR_OK)
        count = 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(names[i], "$user") == 0)
            names[i] = s->catalog.user_name;
        bytes += sizeof(*names) * 2 + strlen(names[i]) + 1;
    }
    /* The names, those of them that exist, and their text. */
    const char **list = core_malloc(bytes);
    char *p = (char *)(list + (size_t)count * 2);
    for (uint32_t i = 0; i < count; i++) {
        list[i] = p;
        p = stpcpy(p, names[i]) + 1;
    }
    arena_rewind(s->statement, mark);
    core_free(s->path_mem);
    s->path_mem = list;
    s->catalog.search_path = list;
    s->catalog.search_path_count = count;
    s->path_schemas = list + count;
    s->env.search_schemas = s->path_schemas;
    s->env.search_schema_count = 0;
    s->path_version = UINT64_MAX; /* which of them exist is found out by the next statement */
}

/* current_schema() and name visibility see only the schemas of the path that exist. */
SUSPENDS err_t session_resolve_path_wait(struct session *s)
{
    uint64_t version = catalog_version();
    if (s->path_version == version && !s->catalog.txn_changed_catalog)
        return ERR_OK;
    bool other_role;
    TRY(login_identity_wait(s, &other_role));
    if (other_role)
        session_derive_search_path(s);
    uint32_t total = s->catalog.search_path_count;
    uint32_t count = 0;
    for (uint32_t i = 0; i < total; i++) {
        oid schema;
        TRY(schema_oid_wait(&s->catalog, s->catalog.search_path[i], &schema));
        if (schema != OID_NONE)
            s->path_schemas[count++] = s->catalog.search_path[i];
    }
    s->env.search_schema_count = count;
    s->path_version = version;
    return ERR_OK;
}

void session_refresh_env(struct session *s)
{
    const char *style = setting_string(s->settings, SET_DateStyle);
    s->env.date_style = strncasecmp(style, "SQL", 3) == 0        ? 1
                        : strncasecmp(style, "Postgres", 8) == 0 ? 2
                        : strncasecmp(style, "German", 6) == 0   ? 3
                                                                 : 0;
    s->env.date_order = strstr(style, "DMY") ? 1 : strstr(style, "YMD") ? 2 : 0;
    const char *interval = setting_string(s->settings, SET_IntervalStyle);
    s->env.interval_style = strcmp(interval, "postgres_verbose") == 0 ? 1
                            : strcmp(interval, "sql_standard") == 0   ? 2
                            : strcmp(interval, "iso_8601") == 0       ? 3
                                                                      : 0;
    s->env.extra_float_digits = (int)setting_int(s->settings, SET_extra_float_digits);
    s->env.bytea_output =
        strcmp(setting_string(s->settings, SET_bytea_output), "escape") == 0 ? 1 : 0;
    s->env.zone = time_zone_find(setting_string(s->settings, SET_TimeZone));
    s->settings_fingerprint = settings_fingerprint(s->settings);
    session_derive_search_path(s);
}

static err_t session_check_time_zone(const char *text, const char *now, struct arena *out,
                                     const char **canonical)
{
    (void)now;
    const struct time_zone *z = time_zone_find(text);
    if (!z)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "invalid value for parameter \"TimeZone\": \"%s\"", text);
    *canonical = arena_strdup(out, time_zone_name(z));
    return ERR_OK;
}

void session_install_checks(void)
{
    setting_install_check(SET_TimeZone, session_check_time_zone);
}

static err_t session_send_parameter(struct session *s, const char *name, const char *value)
{
    return s->sink->parameter(s->sink, name, value);
}

static void session_report_one(void *owner, const char *name, const char *text)
{
    /* A client that is gone is noticed by its socket. */
    ERR_IGNORE(session_send_parameter(owner, name, text));
}

SUSPENDS void session_report_settings_wait(struct session *s)
{
    bool other_role;                                 /* is_superuser follows who the session is */
    ERR_IGNORE(login_identity_wait(s, &other_role)); /* a lost role is the next statement's error */
    if (other_role)
        session_derive_search_path(s);
    settings_report_changes(s->settings, session_report_one, s);
}

SUSPENDS err_t session_report_all_wait(struct session *s)
{
    session_report_settings_wait(s);
    return ERR_OK;
}

err_t session_set(struct session *s, const char *name, const char *value, bool is_local)
{
    s->settings_touched = true;
    TRY(setting_set(s->settings, name, value, is_local, s->catalog.is_superuser,
                    SETTING_SOURCE_SESSION));
    session_refresh_env(s);
    return ERR_OK;
}

static int session_severity_rank(const char *severity)
{
    static const char *const order[] = {"DEBUG", "LOG", "INFO", "NOTICE", "WARNING", "ERROR"};
    for (int i = 0; i < (int)ARRAY_LEN(order); i++) {
        if (strncasecmp(severity, order[i], strlen(order[i])) == 0)
            return i;
    }
    return 3;
}

bool session_wants_notice(const struct session *s, const char *severity)
{
    const char *least = setting_string(s->settings, SET_client_min_messages);
    return session_severity_rank(severity) >= session_severity_rank(least) ||
           strcmp(severity, "INFO") == 0;
}

err_t session_notice(struct session *s, const char *severity, err_t code, const char *format, ...)
{
    if (!session_wants_notice(s, severity))
        return ERR_OK;
    struct arena_mark mark = arena_mark(s->statement);
    struct diag *d = ARENA_NEW(s->statement, struct diag);
    va_list args;
    va_start(args, format);
    if (vsnprintf(d->text, sizeof(d->text), format, args) < 0)
        d->text[0] = '\0';
    va_end(args);
    d->code = code;
    d->message = d->text;
    d->file = "session.c";
    d->routine = "session_notice";
    err_t e = s->sink->notice(s->sink, severity, d);
    arena_rewind(s->statement, mark);
    return e;
}

void session_begin_message(struct session *s)
{
    s->message_at = core_wall_us();
}

void session_set_state(struct session *s, const char *state, int64_t since)
{
    s->state = state;
    s->state_changed_at = since;
}

struct plan_options session_plan_options(struct session *s)
{
    return (struct plan_options){.catalog = &s->catalog, .env = &s->env};
}

SUSPENDS err_t session_fail_wait(struct session *s, err_t e)
{
    if (e == ERR_OK)
        return ERR_OK;
    struct diag *saved = arena_alloc(s->statement, sizeof(*saved));
    diag_copy(saved, err_diag());
    fiber_cancel_clear();
    block_error_wait(s);
    return err_adopt(saved);
}

/* ---- opening and closing ---- */

static COLD err_t session_bad_option(const char *word)
{
    err_t e =
        err_raise(ERR_SYNTAX_ERROR, "invalid command-line argument for server process: %s", word);
    err_hint("Try \"postgres --help\" for more information.");
    return e;
}

/* The startup packet's "options": -c name=value and --name=value, backslash escapes a space. */
static SUSPENDS err_t session_set_options(struct session *s, const char *text)
{
    const char *p = text;
    const char *last = "";
    bool wants_value = false; /* the word before was -c */
    while (*p) {
        while (*p == ' ')
            p++;
        struct strbuf word;
        strbuf_init(&word, s->statement);
        for (; *p && *p != ' '; p++) {
            if (*p == '\\' && p[1])
                p++;
            strbuf_putc(&word, *p);
        }
        if (!word.data)
            continue;
        char *item = word.data;
        bool is_next = !wants_value && strcmp(item, "-c") == 0;
        bool is_long = !wants_value && strncmp(item, "--", 2) == 0;
        bool is_setting = wants_value || is_long || strncmp(item, "-c", 2) == 0;
        if (!is_setting)
            return session_bad_option(word.data);
        item += wants_value ? 0 : 2;
        last = arena_strdup(s->statement, word.data);
        wants_value = is_next;
        if (is_next)
            continue;
        char *equals = strchr(item, '=');
        if (!equals)
            return err_raise(ERR_SYNTAX_ERROR,
                             is_long ? "%s requires a value" : "-c %s requires a value",
                             is_long ? word.data : item);
        *equals = '\0';
        for (char *c = item; *c; c++)
            *c = *c == '-' ? '_' : *c;
        TRY(setting_set(s->settings, item, equals + 1, false, s->catalog.is_superuser,
                        SETTING_SOURCE_CLIENT));
    }
    return wants_value ? session_bad_option(last) : ERR_OK;
}

struct session_limits { /* CONNECTION LIMIT of the role and the database; -1 = none */
    int32_t role;
    int32_t database;
};

static err_t session_identify(struct session *s, const struct session_options *o,
                              const struct login_facts *f, struct session_limits *limits)
{
    if (!f->has_role)
        return err_raise(ERR_INVALID_AUTHORIZATION_SPECIFICATION, "role \"%s\" does not exist",
                         o->user);
    if (!f->role.can_login)
        return err_raise(ERR_INVALID_AUTHORIZATION_SPECIFICATION,
                         "role \"%s\" is not permitted to log in", o->user);
    if (f->database == OID_NONE)
        return err_raise(ERR_INVALID_CATALOG_NAME, "database \"%s\" does not exist", o->database);
    if (!f->allows_connections)
        return err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "database \"%s\" is not currently accepting connections", o->database);
    if (!f->may_connect) {
        err_t e = err_raise(ERR_INSUFFICIENT_PRIVILEGE, "permission denied for database \"%s\"",
                            o->database);
        err_detail("User does not have CONNECT privilege.");
        return e;
    }
    limits->role = f->role.connection_limit;
    limits->database = f->database_limit;
    s->login_role = f->role.oid;
    s->catalog.user = f->role.oid;
    s->catalog.env = &s->env;
    s->catalog.database = f->database;
    s->catalog.is_superuser = f->role.superuser;
    s->catalog.user_name = s->user;
    s->env.user_oid = f->role.oid;
    s->env.database_oid = f->database;
    s->env.is_superuser = f->role.superuser;
    return ERR_OK;
}

/* The session is among those that are counted: of several that come at once too many are refused
 * rather than too few. Superusers have no limits. */
static SUSPENDS err_t session_check_limits_wait(struct session *s,
                                                const struct session_limits *limits)
{
    uint64_t count = 0;
    if (s->catalog.is_superuser)
        return ERR_OK;
    if (limits->role >= 0) {
        TRY(registry_sessions_of_wait(s->login_role, &count));
        if (count > (uint64_t)limits->role)
            return err_raise(ERR_TOO_MANY_CONNECTIONS, "too many connections for role \"%s\"",
                             s->user);
    }
    if (limits->database < 0)
        return ERR_OK;
    TRY(registry_sessions_of_wait(s->catalog.database, &count));
    if (count > (uint64_t)limits->database)
        return err_raise(ERR_TOO_MANY_CONNECTIONS, "too many connections for database \"%s\"",
                         s->database);
    return ERR_OK;
}

static SUSPENDS err_t session_setup_wait(struct session *s, const struct session_options *o,
                                         struct session_limits *limits)
{
    const struct login_facts *facts;
    TRY(login_facts_wait(o->user, o->database, s->statement, &facts));
    TRY(session_identify(s, o, facts, limits));
    TRY(setting_force(s->settings, SET_is_superuser, s->catalog.is_superuser ? "on" : "off"));
    TRY(setting_force(s->settings, SET_session_authorization, s->user));
    login_apply_settings(s, facts);
    for (const char *const *p = o->settings; p && p[0]; p += 2) {
        if (strcmp(p[0], "options") == 0)
            TRY(session_set_options(s, p[1]));
        else if (strcmp(p[0], "replication") != 0 && strncmp(p[0], "_pq_.", 5) != 0)
            TRY(setting_set(s->settings, p[0], p[1], false, s->catalog.is_superuser,
                            SETTING_SOURCE_CLIENT));
    }
    settings_commit(s->settings);
    session_refresh_env(s);
    return ERR_OK;
}

/* From here on the session counts as one of its database's. Who is about to drop or rename that
 * has locked it, and is waited for: it sees all sessions that are in, and none comes in after. */
static SUSPENDS err_t session_enter_database_wait(struct session *s,
                                                  const struct session_options *o)
{
    const struct txn_options options = {.isolation = READ_COMMITTED};
    struct txn *t = txn_begin(&options);
    (void)txn_assign_id(t);
    /* Its client cannot cancel it yet: as long as it may take to log in. */
    int64_t most_ms = setting_int(NULL, SET_authentication_timeout) * 1000;
    txn_set_wait_limits(t, (struct wait_limits){.lock_timeout_ms = (uint32_t)most_ms});
    err_t e =
        txn_lock_table_wait(t, database_lock_name(s->catalog.database), LOCK_ROW_EXCLUSIVE, false);
    const struct login_facts *facts = NULL;
    if (e == ERR_OK)
        e = login_facts_wait(o->user, o->database, s->statement, &facts);
    if (e == ERR_OK && facts->database != s->catalog.database) {
        e = err_raise(ERR_INVALID_CATALOG_NAME, "database \"%s\" does not exist", o->database);
        err_detail("It seems to have just been dropped or renamed.");
    } else if (e == ERR_OK) {
        registry_add(s);
    }
    struct diag *kept = NULL;
    if (e != ERR_OK) {
        kept = arena_alloc(s->statement, sizeof(*kept));
        diag_copy(kept, err_diag());
    }
    fiber_shield_begin();
    txn_rollback_wait(t);
    fiber_shield_end();
    return kept ? err_adopt(kept) : ERR_OK;
}

void session_wake(struct session *s, struct row_sink *sink)
{
    s->sink = sink;
    if (!s->statement)
        s->statement = arena_new();
    if (!s->block_mem)
        s->block_mem = arena_new();
    s->services = services_new(s);
    s->env.services = s->services;
}

void session_rest(struct session *s)
{
    if (s->block == BLOCK_NONE) {
        arena_free(s->statement);
        s->statement = NULL;
        arena_free(s->block_mem);
        s->block_mem = NULL;
    }
    if (s->portal_count == 0) {
        core_free(s->portals);
        s->portals = NULL;
    }
    core_free(s->services);
    s->services = NULL;
    s->env.services = NULL;
    s->sink = NULL;
}

static void session_free(struct session *s)
{
    sequence_values_free(s);
    constraint_queue_free(s->constraints);
    settings_view_free(s->settings);
    arena_free(s->block_mem);
    arena_free(s->statement);
    core_free(s->services);
    core_free(s->portals);
    core_free(s->path_mem);
    core_free(s->role_names);
    core_free(s);
}

static struct session *session_new(const struct session_options *o)
{
    size_t user_bytes = strlen(o->user) + 1;
    size_t database_bytes = strlen(o->database) + 1;
    const char *address = o->client_address ? o->client_address : "";
    size_t address_bytes = strlen(address) + 1;
    struct session *s = core_zalloc(sizeof(*s) + user_bytes + database_bytes + address_bytes);
    char *p = (char *)(s + 1);
    s->user = memcpy(p, o->user, user_bytes);
    s->database = memcpy(p + user_bytes, o->database, database_bytes);
    s->client_address = memcpy(p + user_bytes + database_bytes, address, address_bytes);
    return s;
}

SUSPENDS err_t session_open_wait(const struct session_options *o, struct row_sink *sink,
                                 struct session **out)
{
    struct session *s = session_new(o);
    s->cancel_key = (uint32_t)core_random_u64();
    s->client_port = o->client_port;
    s->started_at = core_wall_us();
    s->settings = settings_view_new();
    s->env.settings = s->settings;
    s->env.user_name = s->user;
    s->env.session_user_name = s->user;
    s->env.database_name = s->database;
    s->constraints = constraint_queue_new(&s->catalog, &s->env);
    session_wake(s, sink);
    session_begin_message(s);
    session_set_state(s, "idle", s->message_at);
    struct session_limits limits = {-1, -1};
    err_t e = session_setup_wait(s, o, &limits);
    if (e == ERR_OK)
        e = session_enter_database_wait(s, o);
    if (e == ERR_OK) {
        e = session_check_limits_wait(s, &limits);
        if (e != ERR_OK)
            registry_remove(s);
    }
    if (e != ERR_OK) {
        session_free(s);
        return e;
    }
    arena_reset(s->statement);
    s->env.pid = s->pid;
    *out = s;
    return ERR_OK;
}

SUSPENDS void session_close_wait(struct session *s)
{
    fiber_cancel_clear();
    block_abort_wait(s);
    fiber_shield_begin();
    portal_drop_all_wait(s, false);
    ERR_IGNORE(ddl_drop_temporary_wait(&s->catalog, &s->env));
    advisory_unlock_all_wait(&s->advisory_locks, s->pid);
    fiber_shield_end();
    notify_unlisten_now(s);
    prepared_drop_all(s);
    registry_remove(s);
    session_free(s);
}

err_t sql_check_text(const char *text, size_t len)
{
    return utf8_check(text, len);
}

const struct session_env *session_environment(const struct session *s)
{
    return &s->env;
}

char session_status(const struct session *s)
{
    return s->block == BLOCK_OPEN ? 'T' : s->block == BLOCK_FAILED ? 'E' : 'I';
}

SUSPENDS err_t session_before_send_wait(struct session *s)
{
    return s->txn ? txn_observe_wait(s->txn) : ERR_OK;
}

void session_cancel(struct session *s, bool terminate)
{
    s->terminate = s->terminate || terminate;
    if (!s->fiber) {
        if (terminate && s->on_terminate)
            s->on_terminate(s->on_terminate_owner);
        return;
    }
    if (terminate)
        fiber_cancel(s->fiber, ERR_ADMIN_SHUTDOWN,
                     "terminating connection due to administrator command");
    else
        fiber_cancel(s->fiber, ERR_QUERY_CANCELED, "canceling statement due to user request");
}

bool session_is_terminated(const struct session *s)
{
    return s->terminate;
}

void session_on_terminate(struct session *s, void (*fn)(void *owner), void *owner)
{
    s->on_terminate = fn;
    s->on_terminate_owner = owner;
}

uint32_t session_pid(const struct session *s)
{
    return s->pid;
}

uint32_t session_cancel_key(const struct session *s)
{
    return s->cancel_key;
}

void session_share(const struct session *s, uint64_t *key, uint32_t *share)
{
    *key = (uint64_t)s->login_role << 32 | s->catalog.database;
    *share = (uint32_t)setting_int(s->settings, SET_run_share);
}

int64_t session_idle_limit_ms(const struct session *s, err_t *code)
{
    if (s->block == BLOCK_OPEN || s->block == BLOCK_FAILED) {
        *code = ERR_IDLE_IN_TRANSACTION_SESSION_TIMEOUT;
        return setting_int(s->settings, SET_idle_in_transaction_session_timeout);
    }
    *code = ERR_IDLE_SESSION_TIMEOUT;
    return setting_int(s->settings, SET_idle_session_timeout);
}
