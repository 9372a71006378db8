/*
 * Sessions of this core by pid, for cancel and pg_stat_activity. A pid is a stable session number;
 * the core that opened the session can be computed from it.
 */
#include "sql/session/registry.h"

#include "sql/session/session_priv.h"

enum { REGISTRY_BUCKETS = 4096 };

struct registry {
    uint64_t count;
    uint32_t next_pid;
    struct session *buckets[REGISTRY_BUCKETS];
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
