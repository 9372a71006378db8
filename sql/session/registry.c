/*
 * Sessions of this core by pid, for cancel and pg_stat_activity. A pid is a stable session number;
 * the core that opened the session, its home, can be computed from it.
 *
 * Once a session has left its home, the home keeps a sign that says where it went, and counts it
 * for the limits of its role and database until it ends. The new core writes to the sign (by a
 * post) when the session has come to it; the n-th move says n, so that a late post is known. Who
 * looks for a session asks at home, follows the sign, and, when the session has gone on meanwhile,
 * waits at home for the next word. No move passes unnoticed: the word comes after the arrival.
 */
#include "sql/session/registry.h"

#include "core/stats.h"
#include "sql/session/session_priv.h"

enum { REGISTRY_BUCKETS = 4096, TALLY_BUCKETS = 1024 };

/* Sessions of a role or in a database. */
struct tally {
    struct tally *next;
    oid object;
    uint32_t count;
};

/* A session of this home that is elsewhere. */
struct sign {
    struct sign *next;
    uint32_t pid;
    uint32_t core;
    uint32_t moves; /* of the session when it came there */
    oid role;
    oid database;
    struct wait_queue changed;
};

struct registry {
    uint64_t count;
    uint32_t next_pid;
    struct session *buckets[REGISTRY_BUCKETS];
    struct sign *signs[REGISTRY_BUCKETS];
    struct tally *tallies[TALLY_BUCKETS]; /* oids of roles and databases do not meet */
};

static struct registry *registries[CORE_COUNT_MAX]; /* each written and read on its core only */

static struct registry *registry_here(void)
{
    struct registry **r = &registries[core_id()];
    if (!*r)
        *r = core_zalloc(sizeof(**r));
    return *r;
}

uint32_t registry_core_of(uint32_t pid)
{
    return pid % core_count();
}

static struct tally **registry_tally(struct registry *r, oid object)
{
    struct tally **t = &r->tallies[object % TALLY_BUCKETS];
    while (*t && (*t)->object != object)
        t = &(*t)->next;
    return t;
}

static void registry_count(struct registry *r, oid object, bool more)
{
    struct tally **at = registry_tally(r, object);
    if (!*at) {
        ASSERT(more);
        *at = core_zalloc(sizeof(**at));
        (*at)->object = object;
    }
    struct tally *t = *at;
    t->count += more ? 1 : -1U;
    if (t->count > 0)
        return;
    *at = t->next;
    core_free(t);
}

static uint32_t registry_bucket(uint32_t pid)
{
    return pid / core_count() % REGISTRY_BUCKETS;
}

static void registry_link(struct registry *r, struct session *s)
{
    struct session **head = &r->buckets[registry_bucket(s->pid)];
    s->registry_prev = NULL;
    s->registry_next = *head;
    if (*head)
        (*head)->registry_prev = s;
    *head = s;
    r->count++;
    stats_add(&stats_self()->sessions, 1);
}

static void registry_unlink(struct registry *r, struct session *s)
{
    if (s->registry_prev)
        s->registry_prev->registry_next = s->registry_next;
    else
        r->buckets[registry_bucket(s->pid)] = s->registry_next;
    if (s->registry_next)
        s->registry_next->registry_prev = s->registry_prev;
    r->count--;
    stats_sub(&stats_self()->sessions, 1);
}

/* ---- signs ---- */

static struct sign **registry_sign(struct registry *r, uint32_t pid)
{
    struct sign **at = &r->signs[registry_bucket(pid)];
    while (*at && (*at)->pid != pid)
        at = &(*at)->next;
    return at;
}

static void sign_drop(struct sign **at)
{
    struct sign *g = *at;
    *at = g->next;
    wait_queue_wake_all(&g->changed);
    core_free(g);
}

struct sign_word { /* of the core that has the session now */
    uint32_t pid;
    uint32_t core;
    uint32_t moves;
    bool is_over;
};

static void sign_word_free(void *arg)
{
    core_free(arg);
}

static void sign_word_post(void *arg)
{
    struct sign_word *w = arg;
    struct registry *r = registry_here();
    struct sign **at = registry_sign(r, w->pid);
    struct sign *g = *at;
    if (g && w->is_over) {
        registry_count(r, g->role, false);
        registry_count(r, g->database, false);
        sign_drop(at);
    } else if (g && g->moves < w->moves) {
        g->core = w->core;
        g->moves = w->moves;
        wait_queue_wake_all(&g->changed);
    }
    core_post(w->core, sign_word_free, w);
}

static void sign_write(const struct session *s, bool is_over)
{
    struct sign_word *w = core_malloc(sizeof(*w));
    *w = (struct sign_word){
        .pid = s->pid, .core = core_id(), .moves = s->move_count, .is_over = is_over};
    core_post(registry_core_of(s->pid), sign_word_post, w);
}

/* ---- coming, moving and going ---- */

void registry_add(struct session *s)
{
    struct registry *r = registry_here();
    do { /* numbers wrap after 4 billion sessions: skip those in use */
        r->next_pid++;
        s->pid = (r->next_pid + 1000) * core_count() + core_id();
    } while (s->pid == 0 || session_find_local(s->pid) || *registry_sign(r, s->pid));
    registry_link(r, s);
    registry_count(r, s->login_role, true);
    registry_count(r, s->catalog.database, true);
}

void registry_remove(struct session *s)
{
    struct registry *r = registry_here();
    registry_unlink(r, s);
    if (registry_core_of(s->pid) != core_id()) {
        sign_write(s, true);
        return;
    }
    registry_count(r, s->login_role, false);
    registry_count(r, s->catalog.database, false);
}

void registry_leave(struct session *s, uint32_t to)
{
    struct registry *r = registry_here();
    registry_unlink(r, s);
    if (registry_core_of(s->pid) != core_id())
        return;
    struct sign *g = core_zalloc(sizeof(*g));
    g->pid = s->pid;
    g->core = to;
    g->moves = s->move_count;
    g->role = s->login_role;
    g->database = s->catalog.database;
    g->next = r->signs[registry_bucket(s->pid)];
    r->signs[registry_bucket(s->pid)] = g;
}

void registry_join(struct session *s)
{
    struct registry *r = registry_here();
    registry_link(r, s);
    if (registry_core_of(s->pid) != core_id())
        sign_write(s, false);
    else
        sign_drop(registry_sign(r, s->pid));
}

struct session *session_find_local(uint32_t pid)
{
    struct registry *r = registry_here();
    struct session *s = r->buckets[registry_bucket(pid)];
    while (s && s->pid != pid)
        s = s->registry_next;
    return s;
}

void session_each_local(void (*fn)(void *ctx, struct session *s), void *ctx)
{
    struct registry *r = registry_here();
    for (uint32_t i = 0; i < REGISTRY_BUCKETS; i++) {
        for (struct session *s = r->buckets[i]; s; s = s->registry_next)
            fn(ctx, s);
    }
}

struct tally_call {
    oid object;
    uint64_t count;
};

static err_t registry_tally_call(void *arg)
{
    struct tally_call *c = arg;
    struct tally *t = *registry_tally(registry_here(), c->object);
    c->count += t ? t->count : 0;
    return ERR_OK;
}

SUSPENDS err_t registry_sessions_of_wait(oid object, uint64_t *count)
{
    struct tally_call c = {.object = object};
    for (uint32_t core = 0; core < core_count(); core++)
        TRY(core_call_wait(core, registry_tally_call, &c));
    *count = c.count;
    return ERR_OK;
}

/* ---- visits ---- */

struct visit {
    uint32_t pid;
    void (*fn)(void *ctx, struct session *s);
    void *ctx;
    bool is_found;
};

static err_t visit_call(void *arg)
{
    struct visit *v = arg;
    struct session *s = session_find_local(v->pid);
    v->is_found = s != NULL;
    if (s)
        v->fn(v->ctx, s);
    return ERR_OK;
}

static SUSPENDS err_t visit_home_call(void *arg)
{
    struct visit *v = arg;
    struct registry *r = registry_here();
    for (;;) {
        ERR_IGNORE(visit_call(v)); /* never fails */
        struct sign *g = *registry_sign(r, v->pid);
        if (v->is_found || !g)
            return ERR_OK;
        uint32_t moves = g->moves;
        TRY(core_call_wait(g->core, visit_call, v));
        if (v->is_found)
            return ERR_OK;
        g = *registry_sign(r, v->pid); /* it has gone on, or ended */
        if (g && g->moves == moves)
            TRY(wait_queue_wait(&g->changed, UINT64_MAX));
    }
}

SUSPENDS err_t registry_visit_wait(uint32_t pid, void (*fn)(void *ctx, struct session *s),
                                   void *ctx, bool *found)
{
    struct visit v = {.pid = pid, .fn = fn, .ctx = ctx};
    err_t e = core_call_wait(registry_core_of(pid), visit_home_call, &v);
    *found = v.is_found;
    return e;
}

static void registry_cancel(void *ctx, struct session *s)
{
    const uint32_t *key = ctx;
    if (s->cancel_key == *key)
        session_cancel(s, false);
}

SUSPENDS void sql_cancel_wait(uint32_t pid, uint32_t key)
{
    bool found;
    ERR_IGNORE(registry_visit_wait(pid, registry_cancel, &key, &found));
}
