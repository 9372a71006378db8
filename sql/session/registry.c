/*
 * Sessions of this core by pid, for cancel and pg_stat_activity. A pid is a stable session number;
 * the core that opened the session can be computed from it.
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

struct registry {
    uint64_t count;
    uint32_t next_pid;
    struct session *buckets[REGISTRY_BUCKETS];
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

void registry_add(struct session *s)
{
    struct registry *r = registry_here();
    do { /* numbers wrap after 4 billion sessions: skip those in use */
        r->next_pid++;
        s->pid = (r->next_pid + 1000) * core_count() + core_id();
    } while (s->pid == 0 || session_find_local(s->pid));
    struct session **head = &r->buckets[s->pid / core_count() % REGISTRY_BUCKETS];
    s->registry_prev = NULL;
    s->registry_next = *head;
    if (*head)
        (*head)->registry_prev = s;
    *head = s;
    r->count++;
    registry_count(r, s->login_role, true);
    registry_count(r, s->catalog.database, true);
    stats_add(&stats_self()->sessions, 1);
}

void registry_remove(struct session *s)
{
    struct registry *r = registry_here();
    if (s->registry_prev)
        s->registry_prev->registry_next = s->registry_next;
    else
        r->buckets[s->pid / core_count() % REGISTRY_BUCKETS] = s->registry_next;
    if (s->registry_next)
        s->registry_next->registry_prev = s->registry_prev;
    r->count--;
    registry_count(r, s->login_role, false);
    registry_count(r, s->catalog.database, false);
    stats_sub(&stats_self()->sessions, 1);
}

struct session *session_find_local(uint32_t pid)
{
    struct registry *r = registry_here();
    struct session *s = r->buckets[pid / core_count() % REGISTRY_BUCKETS];
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

struct cancel_by_key {
    uint32_t pid;
    uint32_t key;
};

static err_t registry_cancel_call(void *arg)
{
    struct cancel_by_key *c = arg;
    struct session *s = session_find_local(c->pid);
    if (s && s->cancel_key == c->key)
        session_cancel(s, false);
    return ERR_OK;
}

SUSPENDS void sql_cancel_wait(uint32_t pid, uint32_t key)
{
    struct cancel_by_key c = {.pid = pid, .key = key};
    ERR_IGNORE(core_call_wait(registry_core_of(pid), registry_cancel_call, &c));
}
