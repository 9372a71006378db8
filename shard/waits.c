/*
 * Waits for other transactions: every wait of a core by session, so that it can be shown, and the
 * graph of who waits for whom.
 */
#include "shard/shard_priv.h"

#include <stdlib.h>

struct core_waits {
    struct txn_wait **buckets;
    uint32_t mask;
    uint32_t count;
    uint64_t serial;
};

/* Access: each entry by its core. */
static struct core_waits waits_of_core[CORE_COUNT_MAX];

static uint32_t bucket_of(const struct core_waits *c, uint32_t session)
{
    return (uint32_t)((session * 0x9e3779b97f4a7c15u) >> 32) & c->mask;
}

static void waits_insert(struct core_waits *c, struct txn_wait *w)
{
    struct txn_wait **at = &c->buckets[bucket_of(c, w->session)];
    w->hash_next = *at;
    w->hash_at = at;
    if (*at != NULL)
        (*at)->hash_at = &w->hash_next;
    *at = w;
}

static void waits_resize(struct core_waits *c, uint32_t mask)
{
    struct core_waits old = *c;
    c->mask = mask;
    c->buckets = core_zalloc((mask + 1u) * sizeof(struct txn_wait *));
    for (uint32_t i = 0; old.buckets != NULL && i <= old.mask; i++) {
        struct txn_wait *w = old.buckets[i];
        while (w != NULL) {
            struct txn_wait *next = w->hash_next;
            waits_insert(c, w);
            w = next;
        }
    }
    core_free(old.buckets);
}

static void waits_add(struct txn_wait *w)
{
    enum { MASK_FIRST = 63 };
    struct core_waits *c = &waits_of_core[core_id()];
    if (c->buckets == NULL)
        waits_resize(c, MASK_FIRST);
    else if (c->count > c->mask)
        waits_resize(c, c->mask * 4 + 3);
    w->serial = (uint64_t)(core_id() + 1) << 48 | ++c->serial;
    waits_insert(c, w);
    c->count++;
}

static void waits_remove(struct txn_wait *w)
{
    struct core_waits *c = &waits_of_core[core_id()];
    *w->hash_at = w->hash_next;
    if (w->hash_next != NULL)
        w->hash_next->hash_at = w->hash_at;
    c->count--;
    if (c->count == 0) {
        core_free(c->buckets);
        c->buckets = NULL;
    }
}

/* ---- waiting ---- */

static _Atomic uint64_t deadlock_timeout_us = 1000000;

void shards_set_deadlock_timeout(uint64_t microseconds)
{
    atomic_store_explicit(&deadlock_timeout_us, MAX(microseconds, 1000), memory_order_relaxed);
}

void txn_wait_wake(struct txn_wait *w)
{
    w->is_done = true;
    wait_queue_wake_all(&w->queue);
}

void waits_fail(uint64_t node, const char *detail)
{
    const struct core_waits *c = &waits_of_core[core_id()];
    if (c->buckets == NULL)
        return;
    uint32_t session = node <= UINT32_MAX ? (uint32_t)node : 0;
    for (struct txn_wait *w = c->buckets[bucket_of(c, session)]; w != NULL; w = w->hash_next) {
        if (wait_node(w->id, w->session) != node || w->is_done || w->deadlock != NULL)
            continue;
        w->deadlock = core_malloc(strlen(detail) + 1);
        memcpy(w->deadlock, detail, strlen(detail) + 1);
        wait_queue_wake_all(&w->queue);
    }
}

static COLD err_t raise_deadlock(const char *detail)
{
    err_t e = err_raise(ERR_T_R_DEADLOCK_DETECTED, "deadlock detected");
    err_detail("%s", detail);
    err_hint("See server log for query details.");
    return e;
}

/* A deadlock is closed by the last of its waits, so each wait asks once. */
err_t txn_wait_wait(struct txn_wait *w, struct wait_limits limits)
{
    uint64_t timeout = limits.deadlock_timeout_ms != 0
                           ? (uint64_t)limits.deadlock_timeout_ms * 1000
                           : atomic_load_explicit(&deadlock_timeout_us, memory_order_relaxed);
    uint64_t check_at = core_now_us() + timeout;
    uint64_t deadline = limits.lock_timeout_ms != 0
                            ? core_now_us() + (uint64_t)limits.lock_timeout_ms * 1000
                            : UINT64_MAX;
    w->started_at = core_wall_us();
    waits_add(w);
    err_t e = ERR_OK;
    while (!w->is_done && e == ERR_OK) {
        if (w->deadlock != NULL) {
            e = raise_deadlock(w->deadlock);
            break;
        }
        e = wait_queue_wait(&w->queue, MIN(deadline, check_at));
        if (e != ERR_INTERNAL_TIMEOUT)
            continue;
        if (w->is_done || w->deadlock != NULL) {
            e = ERR_OK;
        } else if (core_now_us() >= deadline) {
            e = err_raise(ERR_LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout");
        } else {
            check_at = UINT64_MAX;
            e = deadlock_check_wait(w);
        }
    }
    waits_remove(w);
    core_free(w->deadlock);
    w->deadlock = NULL;
    return e;
}

err_t txn_watch_wait(struct txn_watcher **list, const void *thing, txn_id_t id, uint32_t session,
                     const struct txn_wait_ops *ops, struct wait_limits limits)
{
    struct txn_watcher w = {
        .wait = {.id = id, .session = session, .ops = ops}, .thing = thing, .next = *list};
    w.wait.owner = &w;
    if (*list != NULL)
        (*list)->prev = &w;
    *list = &w;
    err_t e = txn_wait_wait(&w.wait, limits);
    if (w.thing == NULL) /* and the list may be gone with it */
        return e;
    if (w.prev != NULL)
        w.prev->next = w.next;
    else
        *list = w.next;
    if (w.next != NULL)
        w.next->prev = w.prev;
    return e;
}

void txn_watch_end(struct txn_watcher **list)
{
    while (*list != NULL) {
        struct txn_watcher *w = *list;
        *list = w->next;
        w->thing = NULL;
        txn_wait_wake(&w->wait);
    }
}

/* ---- the graph ---- */

#define NODE_IS_TXN (UINT64_C(1) << 63)
#define NODE_IS_VIRTUAL (UINT64_C(1) << 62)

uint64_t wait_node(txn_id_t id, uint32_t session)
{
    return session != 0 ? session : NODE_IS_TXN | id;
}

uint64_t wait_node_virtual(struct wait_graph *g)
{
    g->virtual_next++;
    return NODE_IS_VIRTUAL | (uint64_t)core_id() << 40 | g->virtual_next;
}

bool wait_node_is_virtual(uint64_t node)
{
    return (node & (NODE_IS_VIRTUAL | NODE_IS_TXN)) == NODE_IS_VIRTUAL;
}

void wait_graph_add(struct wait_graph *g, const struct wait_edge *e)
{
    if (g->count == g->capacity) {
        g->capacity = g->capacity == 0 ? 64 : g->capacity * 2;
        g->edges = core_realloc(g->edges, g->capacity * sizeof(*g->edges));
    }
    g->edges[g->count++] = *e;
}

void waits_graph(struct wait_graph *g)
{
    const struct core_waits *c = &waits_of_core[core_id()];
    for (uint32_t i = 0; c->buckets != NULL && i <= c->mask; i++) {
        for (const struct txn_wait *w = c->buckets[i]; w != NULL; w = w->hash_next) {
            if (!w->is_done)
                w->ops->edges(w, g);
        }
    }
}

/* ---- who blocks a session ---- */

void blocker_add(struct blocker_list *l, uint32_t session)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity == 0 ? 16 : l->capacity * 2;
        l->sessions = core_realloc(l->sessions, l->capacity * sizeof(*l->sessions));
    }
    l->sessions[l->count++] = session;
}

struct blockers_call {
    uint32_t session;
    struct blocker_list list;
};

static err_t blockers_collect(void *arg)
{
    struct blockers_call *call = arg;
    const struct core_waits *c = &waits_of_core[core_id()];
    if (c->buckets == NULL)
        return ERR_OK;
    const struct txn_wait *w = c->buckets[bucket_of(c, call->session)];
    for (; w != NULL; w = w->hash_next) {
        if (w->session == call->session && !w->is_done)
            w->ops->blockers(w, &call->list);
    }
    return ERR_OK;
}

static err_t blockers_free(void *arg)
{
    struct blockers_call *call = arg;
    core_free(call->list.sessions);
    return ERR_OK;
}

static int compare_sessions(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

err_t session_blockers_wait(uint32_t session, struct arena *mem, uint32_t **sessions,
                            uint32_t *count)
{
    *sessions = NULL;
    *count = 0;
    for (uint32_t core = 0; core < core_count(); core++) {
        struct blockers_call call = {.session = session};
        TRY(core_call_wait(core, blockers_collect, &call));
        if (call.list.count != 0) {
            uint32_t *all = ARENA_ARRAY(mem, uint32_t, *count + call.list.count);
            if (*count != 0)
                memcpy(all, *sessions, *count * sizeof(*all));
            memcpy(all + *count, call.list.sessions, call.list.count * sizeof(*all));
            *sessions = all;
            *count += call.list.count;
        }
        TRY(core_call_wait(core, blockers_free, &call));
    }
    if (*count == 0)
        return ERR_OK;
    qsort(*sessions, *count, sizeof(**sessions), compare_sessions);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < *count; i++) {
        if ((*sessions)[i] != (*sessions)[kept - 1])
            (*sessions)[kept++] = (*sessions)[i];
    }
    *count = kept;
    return ERR_OK;
}

/* ---- all locks ---- */

const char *lock_kind_name(enum lock_kind kind)
{
    static const char *const names[] = {"transactionid", "relation", "advisory"};
    return names[kind];
}

const char *lock_mode_name(enum lock_kind kind, uint32_t mode)
{
    static const char *const tables[LOCK_MODES_MAX] = {
        "",
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    };
    if (kind == LOCKS_OF_ROWS)
        return "ShareLock"; /* on the transaction in the way */
    if (kind == LOCKS_ADVISORY)
        return mode <= ADVISORY_SHARED_TXN ? "ShareLock" : "ExclusiveLock";
    return tables[mode];
}

struct lock_row *lock_rows_add(struct lock_rows *l)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity == 0 ? 64 : l->capacity * 2;
        l->rows = core_realloc(l->rows, l->capacity * sizeof(*l->rows));
    }
    return &l->rows[l->count++];
}

struct locks_call {
    enum lock_list which;
    struct lock_rows out;
};

static err_t locks_collect(void *arg)
{
    struct locks_call *call = arg;
    struct lock_rows *out = &call->out;
    if (call->which == LOCKS_ALL) {
        table_locks_list(out);
        advisory_locks_list(out);
    }
    const struct core_waits *c = &waits_of_core[core_id()];
    for (uint32_t i = 0; c->buckets != NULL && i <= c->mask; i++) {
        for (const struct txn_wait *w = c->buckets[i]; w != NULL; w = w->hash_next) {
            if (w->is_done)
                continue;
            struct lock_row *row = lock_rows_add(out);
            w->ops->show(w, row);
            row->session = w->session;
            row->id = w->id;
            row->waits_since = w->started_at;
        }
    }
    for (size_t i = 0; i < out->count; i++)
        out->rows[i].is_for_session = out->rows[i].kind == LOCKS_ADVISORY &&
                                      (out->rows[i].mode == ADVISORY_SHARED_SESSION ||
                                       out->rows[i].mode == ADVISORY_EXCLUSIVE_SESSION);
    return ERR_OK;
}

static err_t locks_free(void *arg)
{
    struct locks_call *call = arg;
    core_free(call->out.rows);
    return ERR_OK;
}

err_t locks_list_wait(struct arena *mem, enum lock_list which, struct lock_row **rows,
                      size_t *count)
{
    *rows = NULL;
    *count = 0;
    for (uint32_t core = 0; core < core_count(); core++) {
        struct locks_call call = {.which = which};
        TRY(core_call_wait(core, locks_collect, &call));
        const struct lock_rows *here = &call.out;
        err_t e = ERR_OK;
        if (here->count != 0) {
            void *all = NULL;
            e = arena_alloc_try(mem, (*count + here->count) * sizeof(struct lock_row), &all);
            if (e == ERR_OK) {
                if (*count != 0)
                    memcpy(all, *rows, *count * sizeof(struct lock_row));
                *rows = all;
                memcpy(*rows + *count, here->rows, here->count * sizeof(struct lock_row));
                *count += here->count;
            }
        }
        TRY(core_call_wait(core, locks_free, &call));
        TRY(e);
    }
    return ERR_OK;
}
