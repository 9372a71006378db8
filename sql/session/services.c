/*
 * What SQL functions may call of a session: sequences, settings, cancel; names and definitions come
 * from the catalog (catalog_fill_services). Every service runs in the fiber of the statement.
 */
#include "sql/session/session_priv.h"

#include "sql/catalog/privileges.h"
#include "sql/ddl/ddl.h"
#include "sql/session/registry.h"

/* Values this session got from a sequence: currval, and numbers taken in advance (CACHE). */
struct sequence_value {
    struct sequence_value *next;
    oid sequence;
    int64_t value;
    int64_t increment;
    uint32_t left; /* cached numbers still to be given out */
    file_id file;  /* the cache dies with the file (TRUNCATE RESTART, setval) */
    bool has_value;
    /* rights that were there, so that not every call asks the catalog again */
    const char *allowed;
    uint64_t allowed_version;
    oid allowed_user;
};

static struct catalog_session *services_catalog(void *owner)
{
    struct session *s = owner;
    return &s->catalog;
}

static struct sequence_value *services_sequence(struct session *s, oid sequence)
{
    struct sequence_value *v = s->sequence_values;
    while (v && v->sequence != sequence)
        v = v->next;
    if (!v) {
        v = core_zalloc(sizeof(*v));
        v->sequence = sequence;
        v->next = s->sequence_values;
        s->sequence_values = v;
    }
    return v;
}

static SUSPENDS err_t services_open_sequence_wait(struct session *s, oid sequence,
                                                  const struct table_desc **out)
{
    TRY(table_by_oid_wait(&s->catalog, sequence, out));
    if (!*out)
        return err_raise(ERR_UNDEFINED_TABLE, "could not open relation with OID %u", sequence);
    if ((*out)->kind == 'S')
        return ERR_OK;
    err_t e = err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", (*out)->name);
    table_release(*out);
    return e;
}

struct sequence_call {
    const struct table_desc *table;
    struct txn_view view;
    struct sequence_state state;
    uint32_t want;
    int64_t first;
    uint32_t count;
};

static SUSPENDS err_t sequence_next_call(void *arg)
{
    struct sequence_call *c = arg;
    const struct table_desc *t = c->table;
    return sequence_next_wait(shard_local(t->sequence.shard), &c->view, t->file,
                              t->sequence.increment, t->sequence.min, t->sequence.max,
                              t->sequence.cycle, c->want, &c->first, &c->count);
}

static SUSPENDS err_t sequence_write_call(void *arg)
{
    struct sequence_call *c = arg;
    return sequence_write_wait(shard_local(c->table->sequence.shard), &c->view, c->table->file,
                               &c->state);
}

static SUSPENDS err_t services_sequence_call_wait(struct session *s, struct sequence_call *c,
                                                  core_fn fn)
{
    uint32_t shard_no = c->table->sequence.shard;
    c->view = txn_view_make(s->txn, shard_no, true);
    err_t e = core_call_wait(shard_core(shard_no), fn, c);
    txn_merge(s->txn, shard_no, &c->view);
    return e;
}

static SUSPENDS err_t services_fetch_numbers_wait(struct session *s, const struct table_desc *t,
                                                  struct sequence_value *v)
{
    struct sequence_call c = {.table = t, .want = (uint32_t)MIN(t->sequence.cache, 1 << 20)};
    TRY(services_sequence_call_wait(s, &c, sequence_next_call));
    if (c.count == 0) {
        bool up = t->sequence.increment > 0;
        return err_raise(ERR_SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
                         "nextval: reached %s value of sequence \"%s\" (%lld)",
                         up ? "maximum" : "minimum", t->name,
                         (long long)(up ? t->sequence.max : t->sequence.min));
    }
    v->value = c.first;
    v->left = c.count - 1;
    v->increment = t->sequence.increment;
    v->file = t->file;
    v->has_value = true;
    return ERR_OK;
}

static SUSPENDS err_t services_privilege_require(void *owner, char kind, oid object,
                                                 const char *letters)
{
    struct session *s = owner;
    if (s->catalog.is_superuser)
        return ERR_OK;
    struct sequence_value *v = services_sequence(s, object);
    uint64_t version = catalog_version();
    bool known = v->allowed && strcmp(v->allowed, letters) == 0 && v->allowed_version == version &&
                 v->allowed_user == s->catalog.user && !s->catalog.txn_changed_catalog;
    if (known)
        return ERR_OK;
    TRY(privilege_require_wait(&s->catalog, kind, object, s->catalog.user, letters));
    v->allowed = letters;
    v->allowed_version = version;
    v->allowed_user = s->catalog.user;
    return ERR_OK;
}

static SUSPENDS err_t services_nextval(void *owner, oid sequence, int64_t *out)
{
    struct session *s = owner;
    const struct table_desc *t;
    if (s->read_only)
        return err_raise(ERR_READ_ONLY_SQL_TRANSACTION,
                         "cannot execute nextval() in a read-only transaction");
    TRY(services_open_sequence_wait(s, sequence, &t));
    struct sequence_value *v = services_sequence(s, sequence);
    err_t e = ERR_OK;
    if (v->left > 0 && v->file == t->file) {
        v->value += v->increment;
        v->left--;
    } else {
        e = services_fetch_numbers_wait(s, t, v);
    }
    table_release(t);
    TRY(e);
    s->last_sequence = sequence;
    *out = v->value;
    return ERR_OK;
}

static SUSPENDS err_t services_currval(void *owner, oid sequence, int64_t *out)
{
    struct session *s = owner;
    const struct table_desc *t;
    TRY(services_open_sequence_wait(s, sequence, &t));
    struct sequence_value *v = services_sequence(s, sequence);
    err_t e = ERR_OK;
    if (!v->has_value)
        e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "currval of sequence \"%s\" is not yet defined in this session", t->name);
    table_release(t);
    *out = v->value;
    return e;
}

static err_t services_lastval(void *owner, int64_t *out)
{
    struct session *s = owner;
    if (s->last_sequence == OID_NONE)
        return err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "lastval is not yet defined in this session");
    *out = services_sequence(s, s->last_sequence)->value;
    return ERR_OK;
}

static SUSPENDS err_t services_setval(void *owner, oid sequence, int64_t value, bool is_called)
{
    struct session *s = owner;
    const struct table_desc *t;
    TRY(services_open_sequence_wait(s, sequence, &t));
    err_t e = ERR_OK;
    if (value < t->sequence.min || value > t->sequence.max)
        e = err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE,
                      "setval: value %lld is out of bounds for sequence \"%s\" (%lld..%lld)",
                      (long long)value, t->name, (long long)t->sequence.min,
                      (long long)t->sequence.max);
    struct sequence_call c = {.table = t, .state = {.last_value = value, .is_called = is_called}};
    if (e == ERR_OK)
        e = services_sequence_call_wait(s, &c, sequence_write_call);
    table_release(t);
    TRY(e);
    struct sequence_value *v = services_sequence(s, sequence);
    v->left = 0;
    if (is_called) {
        v->value = value;
        v->has_value = true;
    }
    return ERR_OK;
}

static err_t services_setting_show(void *owner, const char *name, bool missing_ok,
                                   struct arena *mem, const char **out)
{
    struct session *s = owner;
    err_t e = setting_show(s->settings, name, mem, out);
    if (e != ERR_OK && missing_ok) {
        *out = NULL;
        return ERR_OK;
    }
    return e;
}

static err_t services_setting_set(void *owner, const char *name, const char *value, bool is_local)
{
    return session_set(owner, name, value, is_local);
}

static SUSPENDS err_t services_cancel_backend(void *owner, uint32_t pid, bool terminate, bool *done)
{
    return session_signal_wait(owner, pid, terminate, done);
}

static SUSPENDS err_t services_database_users(void *owner, oid database, bool terminate,
                                              uint64_t *count)
{
    return session_database_users_wait(owner, database, terminate, count);
}

static err_t services_current_txn_id(void *owner, bool assign, uint64_t *out)
{
    struct session *s = owner;
    *out = assign ? txn_assign_id(s->txn) : txn_id(s->txn);
    return ERR_OK;
}

static void services_notice_detail(void *owner, err_t code, const char *severity,
                                   const char *message, const char *detail)
{
    struct session *s = owner;
    struct arena_mark mark = arena_mark(s->statement);
    struct diag *d = ARENA_NEW(s->statement, struct diag);
    d->code = code;
    d->message = message;
    d->detail = detail;
    d->file = "services.c";
    d->routine = "services_notice_detail";
    if (session_wants_notice(s, severity))
        ERR_IGNORE(s->sink->notice(s->sink, severity, d));
    arena_rewind(s->statement, mark);
}

/* ---- locks ---- */

static SUSPENDS err_t services_advisory_lock(void *owner, const struct advisory_call *c, bool *done)
{
    struct session *s = owner;
    struct advisory_request r = {
        .key = {.database = s->catalog.database, .is_two = c->two_keys, .key = (uint64_t)c->key},
        .is_shared = c->shared,
        .is_try = c->try_only,
        .session = s->pid,
        .txn = txn_id(s->txn),
        .limits = run_wait_limits(s),
    };
    *done = true;
    switch (c->what) {
    case ADVISORY_LOCK:
        return advisory_lock_wait(&s->advisory_locks, &r, done);
    case ADVISORY_LOCK_TXN:
        return txn_advisory_lock_wait(s->txn, &r, done);
    case ADVISORY_UNLOCK_ALL:
        advisory_unlock_all_wait(&s->advisory_locks, s->pid);
        return ERR_OK;
    case ADVISORY_UNLOCK:
        break;
    }
    TRY(advisory_unlock_wait(&r, done));
    if (*done)
        return ERR_OK;
    return session_notice(s, "WARNING", ERR_WARNING, "you don't own a lock of type %s",
                          c->shared ? "ShareLock" : "ExclusiveLock");
}

static SUSPENDS err_t services_blockers(void *owner, uint32_t pid, struct arena *mem,
                                        uint32_t **pids, uint32_t *count)
{
    (void)owner;
    return session_blockers_wait(pid, mem, pids, count);
}

static SUSPENDS err_t services_check_database(void *owner, bool alone, struct arena *mem,
                                              const char *const **problems, uint32_t *count)
{
    struct session *s = owner;
    struct ddl_context ctx = {
        .catalog = &s->catalog, .env = &s->env, .mem = mem, .text = "", .session = s};
    return ddl_check_wait(&ctx, alone, problems, count);
}

static SUSPENDS err_t services_session_memory(void *owner, struct arena *mem,
                                              struct session_bytes **rows, uint32_t *count)
{
    (void)owner;
    return session_memory_wait(mem, rows, count);
}

static err_t services_export_snapshot(void *owner, struct arena *mem, const char **out)
{
    return exported_make(owner, mem, out);
}

static void services_move_visit(void *ctx, struct session *target)
{
    const uint32_t *core = ctx;
    session_move_request(target, *core);
}

static SUSPENDS err_t services_move_session(void *owner, uint32_t pid, uint32_t core, bool *done)
{
    const struct session *s = owner;
    if (!s->catalog.is_superuser && pid != s->pid)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                         "must be a superuser to move the session of another");
    return registry_visit_wait(pid, services_move_visit, &core, done);
}

static void services_core_visit(void *ctx, struct session *target)
{
    (void)target;
    *(uint32_t *)ctx = core_id();
}

static SUSPENDS err_t services_session_core(void *owner, uint32_t pid, uint32_t *core, bool *found)
{
    (void)owner;
    return registry_visit_wait(pid, services_core_visit, core, found);
}

static err_t services_notify(void *owner, const char *channel, const char *payload)
{
    return notify_send(owner, channel, payload);
}

static err_t services_listening_channels(void *owner, struct arena *mem, const char *const **names,
                                         uint32_t *count)
{
    return notify_channels(owner, mem, names, count);
}

static SUSPENDS err_t services_notification_usage(void *owner, double *out)
{
    struct session *s = owner;
    *out = notify_usage_wait(s->catalog.database);
    return ERR_OK;
}

static void services_notice(void *owner, err_t code, const char *severity, const char *message)
{
    /* A client that is gone is noticed by its socket. */
    ERR_IGNORE(session_notice(owner, severity, code, "%s", message));
}

struct sql_services *services_new(struct session *s)
{
    struct sql_services *v = core_zalloc(sizeof(*v));
    v->owner = s;
    catalog_fill_services(v, services_catalog);
    v->privilege_require = services_privilege_require;
    v->nextval = services_nextval;
    v->currval = services_currval;
    v->lastval = services_lastval;
    v->setval = services_setval;
    v->setting_show = services_setting_show;
    v->setting_set = services_setting_set;
    v->cancel_backend = services_cancel_backend;
    v->database_users = services_database_users;
    v->current_txn_id = services_current_txn_id;
    v->advisory_lock = services_advisory_lock;
    v->check_database = services_check_database;
    v->blockers = services_blockers;
    v->session_memory = services_session_memory;
    v->move_session = services_move_session;
    v->session_core = services_session_core;
    v->notify = services_notify;
    v->export_snapshot = services_export_snapshot;
    v->listening_channels = services_listening_channels;
    v->notification_usage = services_notification_usage;
    v->notice = services_notice;
    v->notice_detail = services_notice_detail;
    return v;
}

void sequence_values_memory(struct session *s, void (*piece)(void *p))
{
    for (struct sequence_value *v = s->sequence_values; v; v = v->next)
        piece(v);
}

/* Versions of the catalog are counted by each core for itself. */
void sequence_values_forget_rights(struct session *s)
{
    for (struct sequence_value *v = s->sequence_values; v; v = v->next)
        v->allowed = NULL;
}

void sequence_values_free(struct session *s)
{
    while (s->sequence_values) {
        struct sequence_value *v = s->sequence_values;
        s->sequence_values = v->next;
        core_free(v);
    }
}
