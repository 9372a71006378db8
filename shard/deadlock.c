/*
 * Waiting for other transactions, and the deadlock detector.
 *
 * A wait that lasts longer than deadlock_timeout reports its edges (who waits for whom, by
 * transaction id) to the detector on core 0, and again after each further timeout, since blockers
 * change. The detector keeps the reported waits in a table by waiting transaction; a report that
 * closes a cycle makes the reporter the victim, so nobody else has to be found. Stale edges lead
 * nowhere: a transaction that does not wait has no entry.
 */
#include "shard/shard_priv.h"

#include <stdio.h>

static _Atomic uint64_t deadlock_timeout_us = 1000000;

void shards_set_deadlock_timeout(uint64_t microseconds)
{
    atomic_store_explicit(&deadlock_timeout_us, MAX(microseconds, 1000), memory_order_relaxed);
}

/* ---- the detector, on core 0 ---- */

enum { WAIT_TEXT_BYTES = 112, EDGE_TABLE_BUCKETS = 1024, CYCLE_LENGTH_MAX = 1000 };

struct edge {
    txn_id_t to;
    uint32_t to_session;
    char what[WAIT_TEXT_BYTES];
};

struct reported_wait {
    uint64_t wait_id;
    txn_id_t id;
    uint32_t session;
    struct reported_wait *next;
    /* search state */
    uint64_t visited;
    struct reported_wait *from;
    uint32_t from_edge;
    struct reported_wait *stack_next;
    uint32_t edge_count;
    struct edge edges[];
};

/* Access: core 0 only. */
static struct reported_wait *reported[EDGE_TABLE_BUCKETS];
static uint64_t search_number;

/* A report as it travels: owned by the reporter, which waits for the answer. */
struct report {
    uint64_t wait_id;
    txn_id_t id;
    uint32_t session;
    uint32_t edge_count;
    struct edge *edges;
    bool is_victim; /* out */
    char *detail;   /* out, detail_bytes */
    size_t detail_bytes;
};

static struct reported_wait **bucket_of(txn_id_t id)
{
    return &reported[id % EDGE_TABLE_BUCKETS];
}

static void reported_remove(uint64_t wait_id, txn_id_t id)
{
    struct reported_wait **at = bucket_of(id);
    while (*at != NULL) {
        if ((*at)->wait_id == wait_id) {
            struct reported_wait *w = *at;
            *at = w->next;
            core_free(w);
            return;
        }
        at = &(*at)->next;
    }
}

/* Depth-first from start; true when a path leads back to its transaction; *last closes it. */
static bool find_cycle(struct reported_wait *start, struct reported_wait **last,
                       uint32_t *last_edge)
{
    search_number++;
    start->visited = search_number;
    start->from = NULL;
    start->stack_next = NULL;
    struct reported_wait *stack = start;
    while (stack != NULL) {
        struct reported_wait *w = stack;
        stack = w->stack_next;
        for (uint32_t i = 0; i < w->edge_count; i++) {
            if (w->edges[i].to == start->id) {
                *last = w;
                *last_edge = i;
                return true;
            }
            for (struct reported_wait *n = *bucket_of(w->edges[i].to); n != NULL; n = n->next) {
                if (n->id != w->edges[i].to || n->visited == search_number)
                    continue;
                n->visited = search_number;
                n->from = w;
                n->from_edge = i;
                n->stack_next = stack;
                stack = n;
            }
        }
    }
    return false;
}

static void describe_cycle(struct reported_wait *last, uint32_t last_edge, char *out, size_t bytes)
{
    /* The path was linked backwards; collect and print forwards. */
    struct reported_wait **path = core_malloc(sizeof(struct reported_wait *) * CYCLE_LENGTH_MAX);
    uint32_t *edges = core_malloc(sizeof(uint32_t) * CYCLE_LENGTH_MAX);
    uint32_t n = 0;
    uint32_t edge = last_edge;
    for (struct reported_wait *w = last; w != NULL && n < CYCLE_LENGTH_MAX; w = w->from) {
        path[n] = w;
        edges[n] = edge;
        edge = w->from_edge;
        n++;
    }
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = n; i-- > 0 && used < bytes;) {
        const struct edge *e = &path[i]->edges[edges[i]];
        int len =
            snprintf(out + used, bytes - used, "%sProcess %u waits for %s; blocked by process %u.",
                     used == 0 ? "" : "\n", path[i]->session, e->what, e->to_session);
        if (len < 0)
            break;
        used += (size_t)len;
    }
    core_free(path);
    core_free(edges);
}

static err_t detector_report(void *arg)
{
    struct report *r = arg;
    reported_remove(r->wait_id, r->id);
    struct reported_wait *w = core_malloc(sizeof(*w) + r->edge_count * sizeof(struct edge));
    *w = (struct reported_wait){.wait_id = r->wait_id,
                                .id = r->id,
                                .session = r->session,
                                .edge_count = r->edge_count,
                                .next = *bucket_of(r->id)};
    memcpy(w->edges, r->edges, r->edge_count * sizeof(struct edge));
    *bucket_of(r->id) = w;
    struct reported_wait *last = NULL;
    uint32_t last_edge = 0;
    r->is_victim = find_cycle(w, &last, &last_edge);
    if (r->is_victim) {
        describe_cycle(last, last_edge, r->detail, r->detail_bytes);
        reported_remove(r->wait_id, r->id);
    }
    return ERR_OK;
}

static err_t detector_forget(void *arg)
{
    const struct report *r = arg;
    reported_remove(r->wait_id, r->id);
    return ERR_OK;
}

/* ---- the waiter ---- */

void txn_wait_wake(struct txn_wait *w)
{
    w->is_done = true;
    wait_queue_wake_all(&w->queue);
}

SUSPENDS static err_t report_wait(struct txn_wait *w, uint64_t wait_id)
{
    enum { DETAIL_BYTES = 2048 };
    struct txn_blocker blockers[TXN_BLOCKERS_MAX];
    uint32_t n = w->blockers(w, blockers, TXN_BLOCKERS_MAX);
    if (n == 0)
        return ERR_OK;
    struct edge *edges = core_malloc(n * sizeof(*edges));
    for (uint32_t i = 0; i < n; i++) {
        edges[i].to = blockers[i].id;
        edges[i].to_session = blockers[i].session;
        w->describe(w, blockers[i].id, edges[i].what, sizeof(edges[i].what));
    }
    char *detail = core_malloc(DETAIL_BYTES);
    struct report r = {.wait_id = wait_id,
                       .id = w->id,
                       .session = w->session,
                       .edge_count = n,
                       .edges = edges,
                       .detail = detail,
                       .detail_bytes = DETAIL_BYTES};
    fiber_shield_begin();
    err_t e = core_call_wait(0, detector_report, &r);
    fiber_shield_end();
    if (e == ERR_OK && r.is_victim && !w->is_done) {
        e = err_raise(ERR_T_R_DEADLOCK_DETECTED, "deadlock detected");
        err_detail("%s", detail);
        err_hint("See server log for query details.");
    }
    core_free(edges);
    core_free(detail);
    return e;
}

err_t txn_wait_wait(struct txn_wait *w, uint64_t deadline_us)
{
    uint64_t wait_id = (uint64_t)(uintptr_t)w; /* unique while it waits */
    bool is_reported = false;
    uint64_t timeout = atomic_load_explicit(&deadlock_timeout_us, memory_order_relaxed);
    uint64_t report_at = core_now_us() + timeout;
    err_t e = ERR_OK;
    while (!w->is_done) {
        e = wait_queue_wait(&w->queue, MIN(deadline_us, report_at));
        if (w->is_done) {
            if (e == ERR_INTERNAL_TIMEOUT)
                e = ERR_OK;
            break;
        }
        if (e == ERR_INTERNAL_TIMEOUT) {
            if (core_now_us() >= deadline_us) {
                e = err_raise(ERR_LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout");
                break;
            }
            e = report_wait(w, wait_id);
            is_reported = true;
            report_at = core_now_us() + timeout;
        }
        if (e != ERR_OK)
            break;
    }
    if (is_reported) {
        struct diag *kept = NULL;
        if (e != ERR_OK) {
            kept = core_malloc(sizeof(*kept));
            diag_copy(kept, err_diag());
        }
        struct report r = {.wait_id = wait_id, .id = w->id};
        fiber_shield_begin();
        ERR_IGNORE(core_call_wait(0, detector_forget, &r));
        fiber_shield_end();
        if (kept != NULL) {
            e = err_adopt(kept);
            core_free(kept);
        }
    }
    return e;
}
