/*
 * Virtual relations over sessions and settings: pg_settings, pg_stat_activity,
 * pg_prepared_statements, pg_cursors. Rows are gathered when the scan begins; what lives on other
 * cores is copied there and fetched by one call per core.
 */
#include "sql/session/registry.h"
#include "sql/session/session_priv.h"
#include "sql/session/view_rows.h"

#include <stdlib.h>

/* ---- pg_settings ---- */

static const char *settings_number(struct arena *mem, const struct setting_info *i, double v)
{
    if (i->type == SETTING_INT)
        return arena_printf(mem, "%lld", (long long)v);
    return i->type == SETTING_REAL ? arena_printf(mem, "%g", v) : NULL;
}

static err_t settings_enum_values(struct arena *mem, const struct setting_info *i, datum *out)
{
    uint32_t count = 0;
    while (i->enum_values[count])
        count++;
    datum *values = ARENA_ARRAY(mem, datum, count + 1);
    for (uint32_t k = 0; k < count; k++)
        values[k] = datum_of_text(mem, i->enum_values[k]);
    struct array_view view = {
        .element = TYPE_TEXT,
        .ndim = 1,
        .dims = {(int32_t)count},
        .lower = {1},
        .count = count,
        .values = values,
        .nulls = ARENA_ARRAY(mem, bool, count + 1),
    };
    return array_make(mem, &view, out);
}

static err_t settings_begin(const struct session_env *env, struct arena *mem, void **state)
{
    static const char *const types[] = {"bool", "integer", "real", "string", "enum"};
    static const char *const contexts[] = {"internal", "postmaster", "sighup", "superuser", "user"};
    static const char *const sources[] = {
        "default", "configuration file", "command line", "database", "user", "client", "session"};
    struct view_rows *v = view_new(mem, 17);
    for (int i = 0; i < (int)SETTING_COUNT; i++) {
        const struct setting_info *info = setting_info((enum setting_id)i);
        const char *value;
        const char *reset;
        enum setting_source source;
        const char *file;
        int line;
        setting_describe(env->settings, (enum setting_id)i, mem, &value, &reset, &source, &file,
                         &line);
        bool *nulls;
        datum *row = view_add(v, &nulls);
        view_text(v, row, nulls, 0, info->name);
        view_text(v, row, nulls, 1, value);
        view_text(v, row, nulls, 2, info->unit && info->unit[0] ? info->unit : NULL);
        view_text(v, row, nulls, 3, info->group);
        view_text(v, row, nulls, 4, info->description);
        view_text(v, row, nulls, 6, contexts[info->context]);
        view_text(v, row, nulls, 7, types[info->type]);
        view_text(v, row, nulls, 8, sources[source]);
        view_text(v, row, nulls, 9, settings_number(mem, info, info->min));
        view_text(v, row, nulls, 10, settings_number(mem, info, info->max));
        if (info->type == SETTING_ENUM && info->enum_values) {
            TRY(settings_enum_values(mem, info, &row[11]));
            nulls[11] = false;
        }
        view_text(v, row, nulls, 12, info->boot);
        view_text(v, row, nulls, 13, reset);
        view_text(v, row, nulls, 14, file);
        if (file)
            view_set(row, nulls, 15, datum_of_i32(line));
        view_set(row, nulls, 16, datum_of_bool(false));
    }
    *state = v;
    return ERR_OK;
}

static const struct virtual_rows settings_rows = {.begin = settings_begin, .next = view_next};

/* ---- pg_stat_activity ---- */

struct activity {
    oid database;
    oid role;
    uint32_t pid;
    int32_t client_port;
    int64_t started_at;
    int64_t txn_started_at;
    int64_t query_started_at;
    int64_t state_changed_at;
    uint64_t txn;
    const char *database_name;
    const char *user;
    const char *application;
    const char *state;
    const char *query;
};

struct activity_call { /* rows of one core, in an arena of that core */
    struct arena *mem;
    struct activity *rows;
    uint64_t count;
    uint64_t room;
};

static void activity_add(void *ctx, struct session *s)
{
    struct activity_call *c = ctx;
    if (c->count == c->room) {
        uint64_t room = c->room ? c->room * 2 : 64;
        struct activity *rows = ARENA_ARRAY(c->mem, struct activity, room);
        if (c->count)
            memcpy(rows, c->rows, sizeof(*rows) * c->count);
        c->rows = rows;
        c->room = room;
    }
    c->rows[c->count++] = (struct activity){
        .database = s->catalog.database,
        .role = s->login_role,
        .pid = s->pid,
        .client_port = s->client_port,
        .started_at = s->started_at,
        .txn_started_at = s->txn ? s->txn_started_at : 0,
        .query_started_at = s->query_started_at,
        .state_changed_at = s->state_changed_at,
        .txn = s->txn ? txn_id(s->txn) : 0,
        .database_name = arena_strdup(c->mem, s->database),
        .user = arena_strdup(c->mem, s->user),
        .application = arena_strdup(
            c->mem, s->is_lent ? "" : setting_string(s->settings, SET_application_name)),
        .state = s->state,
        .query = arena_strdup(c->mem, s->query ? s->query : ""),
    };
}

static err_t activity_collect(void *arg)
{
    struct activity_call *c = arg;
    c->mem = arena_new();
    session_each_local(activity_add, c);
    return ERR_OK;
}

static err_t activity_release(void *arg)
{
    struct activity_call *c = arg;
    arena_free(c->mem);
    return ERR_OK;
}

static int waits_compare(const void *a, const void *b)
{
    uint32_t x = ((const struct lock_row *)a)->session;
    uint32_t y = ((const struct lock_row *)b)->session;
    return (x > y) - (x < y);
}

static void activity_row(struct view_rows *v, const struct activity *a, const struct lock_row *wait)
{
    bool *nulls;
    datum *row = view_add(v, &nulls);
    view_set(row, nulls, 0, datum_of_oid(a->database));
    view_text(v, row, nulls, 1, a->database_name);
    view_set(row, nulls, 2, datum_of_i32((int32_t)a->pid));
    view_set(row, nulls, 4, datum_of_oid(a->role));
    view_text(v, row, nulls, 5, a->user);
    view_text(v, row, nulls, 6, a->application);
    view_set(row, nulls, 9, datum_of_i32(a->client_port));
    view_time(row, nulls, 10, a->started_at);
    view_time(row, nulls, 11, a->txn_started_at);
    view_time(row, nulls, 12, a->query_started_at);
    view_time(row, nulls, 13, a->state_changed_at);
    if (strcmp(a->state, "active") != 0) {
        view_text(v, row, nulls, 14, "Client");
        view_text(v, row, nulls, 15, "ClientRead");
    } else if (wait) {
        view_text(v, row, nulls, 14, "Lock");
        view_text(v, row, nulls, 15, lock_kind_name(wait->kind));
    }
    view_text(v, row, nulls, 16, a->state);
    if (a->txn)
        view_set(row, nulls, 17, datum_of_oid((oid)a->txn));
    view_text(v, row, nulls, 20, a->query);
    view_text(v, row, nulls, 21, "client backend");
}

/* A session that moves while one core is asked after the other is met twice or not at all. */
struct pid_set {
    struct arena *mem;
    uint32_t *pids; /* open addressing, 0 = empty */
    uint64_t mask;
    uint64_t count;
};

static void pid_set_put(struct pid_set *s, uint32_t pid)
{
    uint64_t i = pid * UINT64_C(0x9e3779b97f4a7c15) >> 32 & s->mask;
    while (s->pids[i] != 0 && s->pids[i] != pid)
        i = (i + 1) & s->mask;
    s->count += s->pids[i] == 0;
    s->pids[i] = pid;
}

/* false: it is in it already. */
static bool pid_set_add(struct pid_set *s, uint32_t pid)
{
    if (s->count * 2 >= s->mask) {
        struct pid_set bigger = {.mem = s->mem, .mask = s->mask == 0 ? 63 : s->mask * 4 + 3};
        bigger.pids = ARENA_ARRAY(s->mem, uint32_t, bigger.mask + 1);
        for (uint64_t i = 0; s->pids && i <= s->mask; i++)
            if (s->pids[i] != 0)
                pid_set_put(&bigger, s->pids[i]);
        *s = bigger;
    }
    uint64_t before = s->count;
    pid_set_put(s, pid);
    return s->count > before;
}

static SUSPENDS err_t activity_gather_wait(struct arena *mem, struct view_rows *v)
{
    struct lock_row *waits;
    size_t wait_count;
    TRY(locks_list_wait(mem, LOCKS_WAITED_FOR, &waits, &wait_count));
    if (wait_count != 0)
        qsort(waits, wait_count, sizeof(*waits), waits_compare);
    struct pid_set seen = {.mem = mem};
    for (uint32_t core = 0; core < core_count(); core++) {
        struct activity_call c = {0};
        TRY(core_call_wait(core, activity_collect, &c));
        for (uint64_t i = 0; i < c.count; i++) {
            struct lock_row key = {.session = c.rows[i].pid};
            if (!pid_set_add(&seen, key.session))
                continue;
            activity_row(v, &c.rows[i],
                         wait_count == 0
                             ? NULL
                             : bsearch(&key, waits, wait_count, sizeof(key), waits_compare));
        }
        TRY(core_call_wait(core, activity_release, &c));
    }
    return ERR_OK;
}

struct moves_seen {
    uint64_t out;
    uint64_t in;
};

static struct moves_seen activity_moves(void)
{
    struct moves_seen m = {0};
    for (uint32_t core = 0; core < core_count(); core++) {
        m.in += stats_read(&stats_of(core)->moves_in);
        m.out += stats_read(&stats_of(core)->moves_out);
    }
    return m;
}

/* Again when something moved meanwhile, a few times: where all move all the time, the last look
 * counts. */
static SUSPENDS err_t activity_begin(const struct session_env *env, struct arena *mem, void **state)
{
    enum { ROUNDS_MAX = 4 };
    (void)env;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct view_rows *v = view_new(mem, 22);
        *state = v;
        struct moves_seen before = activity_moves();
        TRY(activity_gather_wait(mem, v));
        struct moves_seen after = activity_moves();
        if (before.in == before.out && after.in == before.in && after.out == before.out)
            break;
    }
    return ERR_OK;
}

static const struct virtual_rows activity_rows = {.begin = activity_begin, .next = view_next};

/* ---- pg_prepared_statements, pg_cursors: of the session that asks ---- */

static err_t prepared_begin(const struct session_env *env, struct arena *mem, void **state)
{
    struct session *s = env->services->owner; /* it may be on another core, and waits */
    struct view_rows *v = view_new(mem, 7);
    for (uint32_t b = 0; s && s->prepared && b <= s->prepared_mask; b++) {
        for (struct prepared *p = s->prepared[b]; p; p = p->next) {
            if (p->name[0] == '\0')
                continue;
            bool *nulls;
            datum *row = view_add(v, &nulls);
            view_text(v, row, nulls, 0, p->name);
            view_text(v, row, nulls, 1, p->cached->text);
            view_time(row, nulls, 2, p->prepared_at);
            datum *types = ARENA_ARRAY(mem, datum, p->param_count + 1);
            for (uint32_t i = 0; i < p->param_count; i++)
                types[i] = datum_of_oid(p->param_types[i]);
            struct array_view view = {
                .element = TYPE_REGTYPE,
                .ndim = p->param_count ? 1 : 0,
                .dims = {(int32_t)p->param_count},
                .lower = {1},
                .count = p->param_count,
                .values = types,
                .nulls = ARENA_ARRAY(mem, bool, p->param_count + 1),
            };
            TRY(array_make(mem, &view, &row[3]));
            nulls[3] = false;
            view_set(row, nulls, 4, datum_of_bool(p->from_sql));
            view_set(row, nulls, 5, datum_of_i64((int64_t)cached_uses(p->cached)));
            view_set(row, nulls, 6, datum_of_i64(0));
        }
    }
    *state = v;
    return ERR_OK;
}

static const struct virtual_rows prepared_rows = {.begin = prepared_begin, .next = view_next};

static err_t cursors_begin(const struct session_env *env, struct arena *mem, void **state)
{
    struct session *s = env->services->owner; /* it may be on another core, and waits */
    struct view_rows *v = view_new(mem, 6);
    for (uint32_t b = 0; s && s->portals && b < NAME_BUCKETS; b++) {
        for (struct portal *p = s->portals[b]; p; p = p->next) {
            bool *nulls;
            datum *row = view_add(v, &nulls);
            view_text(v, row, nulls, 0, p->name);
            view_text(v, row, nulls, 1, p->is_cursor ? p->text : p->cached->text);
            view_set(row, nulls, 2, datum_of_bool(p->hold));
            view_set(row, nulls, 3, datum_of_bool(p->is_binary));
            view_set(row, nulls, 4, datum_of_bool(p->scroll || p->may_scroll));
            view_time(row, nulls, 5, p->created_at);
        }
    }
    *state = v;
    return ERR_OK;
}

static const struct virtual_rows cursors_rows = {.begin = cursors_begin, .next = view_next};

void session_views_register(void)
{
    virtual_register("pg_settings", &settings_rows);
    virtual_register("pg_stat_activity", &activity_rows);
    virtual_register("pg_prepared_statements", &prepared_rows);
    virtual_register("pg_cursors", &cursors_rows);
    core_views_register();
    virtual_register("pg_locks", &lock_view_rows);
    virtual_register("pg_prepared_xacts", &two_phase_view_rows);
}
