/*
 * The deadlock detector, on core 0. A wait that lasts longer than deadlock_timeout asks for a look;
 * those that ask while one is going on share the next. A look collects the edges of all cores (who
 * waits for whom), strips everything that leads to somebody who runs, and for each asker that is
 * left looks for a way back to itself: that asker is the victim. The cores answer one after the
 * other, so a cycle may be made of edges that never were at the same time: what was found counts
 * only if a second collection has the same waits in it. Its victims are taken out before the next
 * asker's turn, so one cycle has one victim. A session may wait on several shards at once: all its
 * waits fail, also those that have asked in an earlier look, or its statement would not end.
 *
 * Between two looks there is a pause in proportion to the last one's work (not to how long busy
 * cores let it wait), so that a crowd of waiters cannot keep core 0 busy.
 */
#include "shard/shard_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum { DETAIL_BYTES = 2048, PAUSE_FACTOR = 10 };

struct ask { /* the asker's; it waits for the answer */
    uint64_t node;
    uint64_t wait;
    bool is_done;
    struct ask *next;
};

/* Access: core 0 only. */
static struct {
    struct ask *first;
    struct ask **last;
    bool is_running;
    uint64_t rest_until_us;
    struct wait_queue done;
} detector;

/* ---- a graph with nodes by number ---- */

struct arc {
    uint32_t to;
    const struct wait_edge *edge;
};

struct graph {
    uint64_t *names; /* sorted */
    uint32_t node_count;
    uint32_t *first; /* node_count + 1: a node's arcs */
    struct arc *arcs;
    uint32_t *degree; /* arcs to nodes that are not stripped */
    bool *is_out;     /* stripped */
    struct arena *mem;
};

static int compare_names(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool graph_find(const struct graph *g, uint64_t name, uint32_t *node)
{
    uint32_t low = 0;
    uint32_t high = g->node_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (g->names[middle] < name)
            low = middle + 1;
        else
            high = middle;
    }
    *node = low;
    return low < g->node_count && g->names[low] == name;
}

static void graph_build(struct graph *g, const struct wait_graph *w, struct arena *mem)
{
    g->mem = mem;
    g->names = ARENA_ARRAY(mem, uint64_t, w->count * 2 + 1);
    for (size_t i = 0; i < w->count; i++) {
        g->names[2 * i] = w->edges[i].from;
        g->names[2 * i + 1] = w->edges[i].to;
    }
    qsort(g->names, w->count * 2, sizeof(*g->names), compare_names);
    for (size_t i = 0; i < w->count * 2; i++) {
        if (g->node_count == 0 || g->names[g->node_count - 1] != g->names[i])
            g->names[g->node_count++] = g->names[i];
    }
    g->first = ARENA_ARRAY(mem, uint32_t, g->node_count + 2);
    g->arcs = ARENA_ARRAY(mem, struct arc, w->count + 1);
    g->degree = ARENA_ARRAY(mem, uint32_t, g->node_count + 1);
    g->is_out = ARENA_ARRAY(mem, bool, g->node_count + 1);
    uint32_t node = 0;
    for (size_t i = 0; i < w->count; i++) {
        (void)graph_find(g, w->edges[i].from, &node);
        g->degree[node]++;
    }
    for (uint32_t i = 0; i < g->node_count; i++)
        g->first[i + 1] = g->first[i] + g->degree[i];
    uint32_t *fill = ARENA_ARRAY(mem, uint32_t, g->node_count + 1);
    for (size_t i = 0; i < w->count; i++) {
        (void)graph_find(g, w->edges[i].from, &node);
        struct arc *a = &g->arcs[g->first[node] + fill[node]++];
        a->edge = &w->edges[i];
        (void)graph_find(g, w->edges[i].to, &a->to);
    }
}

/* Nodes without a way on, again and again: what stays leads into a cycle. */
static void graph_strip(struct graph *g)
{
    uint32_t arc_count = g->first[g->node_count];
    uint32_t *in_first = ARENA_ARRAY(g->mem, uint32_t, g->node_count + 2);
    uint32_t *in_from = ARENA_ARRAY(g->mem, uint32_t, arc_count + 1);
    uint32_t *fill = ARENA_ARRAY(g->mem, uint32_t, g->node_count + 1);
    for (uint32_t i = 0; i < arc_count; i++)
        in_first[g->arcs[i].to + 1]++;
    for (uint32_t i = 0; i < g->node_count; i++)
        in_first[i + 1] += in_first[i];
    for (uint32_t from = 0; from < g->node_count; from++) {
        for (uint32_t i = g->first[from]; i < g->first[from + 1]; i++) {
            uint32_t to = g->arcs[i].to;
            in_from[in_first[to] + fill[to]++] = from;
        }
    }
    uint32_t *stack = ARENA_ARRAY(g->mem, uint32_t, g->node_count + 1);
    uint32_t depth = 0;
    for (uint32_t i = 0; i < g->node_count; i++) {
        if (g->degree[i] == 0) {
            g->is_out[i] = true;
            stack[depth++] = i;
        }
    }
    while (depth > 0) {
        uint32_t node = stack[--depth];
        for (uint32_t i = in_first[node]; i < in_first[node + 1]; i++) {
            uint32_t from = in_from[i];
            if (!g->is_out[from] && --g->degree[from] == 0) {
                g->is_out[from] = true;
                stack[depth++] = from;
            }
        }
    }
}

/* A shortest way from start, through its wait `first`, back to it, as arcs in *path; 0 = none.
 * Waits not in `among` (when given) are passed over. */
static uint32_t graph_cycle(const struct graph *g, uint32_t start, uint64_t first,
                            const uint64_t *among, uint32_t among_count, const struct arc ***path)
{
    const struct arc **by = ARENA_ARRAY(g->mem, const struct arc *, g->node_count + 1);
    uint32_t *from = ARENA_ARRAY(g->mem, uint32_t, g->node_count + 1);
    uint32_t *queue = ARENA_ARRAY(g->mem, uint32_t, g->node_count + 1);
    uint32_t head = 0;
    uint32_t tail = 0;
    queue[tail++] = start;
    while (head < tail && by[start] == NULL) {
        uint32_t node = queue[head++];
        for (uint32_t i = g->first[node]; i < g->first[node + 1]; i++) {
            const struct arc *a = &g->arcs[i];
            if (g->is_out[a->to] || by[a->to] != NULL || (node == start && a->edge->wait != first))
                continue;
            bool is_allowed = among == NULL || a->edge->wait == 0;
            for (uint32_t k = 0; !is_allowed && k < among_count; k++)
                is_allowed = among[k] == a->edge->wait;
            if (!is_allowed)
                continue;
            by[a->to] = a;
            from[a->to] = node;
            queue[tail++] = a->to;
        }
    }
    if (by[start] == NULL)
        return 0;
    uint32_t length = 0;
    uint32_t node = start;
    do {
        length++;
        node = from[node];
    } while (node != start);
    *path = ARENA_ARRAY(g->mem, const struct arc *, length);
    for (uint32_t i = length; i-- > 0;) {
        (*path)[i] = by[node];
        node = from[node];
    }
    return length;
}

/* ---- collecting ---- */

static err_t collect_here(void *arg)
{
    waits_graph(arg);
    return ERR_OK;
}

static err_t collect_free(void *arg)
{
    struct wait_graph *g = arg;
    core_free(g->edges);
    return ERR_OK;
}

SUSPENDS static void collect_wait(struct wait_graph *all, struct arena *mem)
{
    *all = (struct wait_graph){0};
    for (uint32_t core = 0; core < core_count(); core++) {
        struct wait_graph here = {0};
        ERR_IGNORE(core_call_wait(core, collect_here, &here));
        if (here.count != 0) {
            struct wait_edge *edges = ARENA_ARRAY(mem, struct wait_edge, all->count + here.count);
            if (all->count != 0)
                memcpy(edges, all->edges, all->count * sizeof(*edges));
            memcpy(edges + all->count, here.edges, here.count * sizeof(*edges));
            all->edges = edges;
            all->count += here.count;
        }
        ERR_IGNORE(core_call_wait(core, collect_free, &here));
    }
}

/* ---- the detail of the victim's message ---- */

static int describe_what(const struct wait_edge *e, txn_id_t blocker, char *out, size_t bytes)
{
    const char *mode = lock_mode_name((enum lock_kind)e->kind, e->mode);
    unsigned long long database = e->a >> 32;
    unsigned long long low = e->a & UINT32_MAX;
    switch ((enum lock_kind)e->kind) {
    case LOCKS_OF_TABLES:
        return snprintf(out, bytes, "%s on relation %llu of database %llu", mode, low, database);
    case LOCKS_ADVISORY:
        return snprintf(out, bytes, "%s on advisory lock [%llu,%llu,%llu,%llu]", mode, database,
                        (unsigned long long)(e->b >> 32), (unsigned long long)(e->b & UINT32_MAX),
                        low);
    case LOCKS_OF_ROWS:
        break;
    }
    return snprintf(out, bytes, "%s on transaction %llu", mode, (unsigned long long)blocker);
}

static uint32_t node_process(uint64_t name)
{
    return name <= UINT32_MAX ? (uint32_t)name : 0;
}

static void describe_cycle(const struct graph *g, const struct arc **path, uint32_t length,
                           char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < length && used < bytes;) {
        const struct wait_edge *wait = path[i]->edge;
        uint32_t last = i; /* over the virtual nodes to the next session */
        while (wait_node_is_virtual(g->names[path[last]->to]))
            last++;
        char what[160];
        (void)describe_what(wait, path[last]->edge->to_id, what, sizeof(what));
        int n = snprintf(out + used, bytes - used,
                         "%sProcess %u waits for %s; blocked by process %u.", i == 0 ? "" : "\n",
                         node_process(wait->from), what, node_process(g->names[path[last]->to]));
        if (n < 0)
            break;
        used += (size_t)n;
        i = last + 1;
    }
}

/* ---- looking ---- */

/* The same cycle, in a second collection? Then detail tells it. */
SUSPENDS static bool is_confirmed_wait(const struct ask *a, const uint64_t *waits, uint32_t count,
                                       char *detail)
{
    struct arena *mem = arena_new();
    struct wait_graph edges;
    collect_wait(&edges, mem);
    struct graph g = {0};
    graph_build(&g, &edges, mem);
    uint32_t node;
    const struct arc **path;
    uint32_t length = 0;
    if (graph_find(&g, a->node, &node))
        length = graph_cycle(&g, node, a->wait, waits, count, &path);
    if (length != 0)
        describe_cycle(&g, path, length, detail, DETAIL_BYTES);
    arena_free(mem);
    return length != 0;
}

struct failing {
    uint64_t node;
    const char *detail;
};

static err_t fail_here(void *arg)
{
    const struct failing *f = arg;
    waits_fail(f->node, f->detail);
    return ERR_OK;
}

SUSPENDS static void fail_wait(uint64_t node, const char *detail)
{
    struct failing f = {.node = node, .detail = detail};
    for (uint32_t core = 0; core < core_count(); core++)
        ERR_IGNORE(core_call_wait(core, fail_here, &f));
}

/* Returns the microseconds of core 0 that it took. */
SUSPENDS static uint64_t look_wait(struct ask *asks)
{
    struct arena *mem = arena_new();
    struct wait_graph edges;
    collect_wait(&edges, mem);
    uint64_t start_ns = core_now_precise_ns();
    struct graph g = {0};
    graph_build(&g, &edges, mem);
    graph_strip(&g);
    uint64_t work_us = (core_now_precise_ns() - start_ns) / 1000;
    for (struct ask *a = asks; a != NULL; a = a->next) {
        uint32_t node;
        if (!graph_find(&g, a->node, &node) || g.is_out[node])
            continue;
        const struct arc **path;
        uint32_t length = graph_cycle(&g, node, a->wait, NULL, 0, &path);
        if (length == 0)
            continue;
        uint64_t *waits = ARENA_ARRAY(mem, uint64_t, length);
        for (uint32_t i = 0; i < length; i++)
            waits[i] = path[i]->edge->wait;
        char *detail = ARENA_ARRAY(mem, char, DETAIL_BYTES);
        if (!is_confirmed_wait(a, waits, length, detail))
            continue;
        g.is_out[node] = true;
        fail_wait(a->node, detail);
    }
    arena_free(mem);
    return work_us;
}

SUSPENDS static err_t detector_ask(void *arg)
{
    struct ask *own = arg;
    fiber_shield_begin();
    if (detector.last == NULL)
        detector.last = &detector.first;
    *detector.last = own;
    detector.last = &own->next;
    while (!own->is_done) {
        if (detector.is_running) {
            wait_queue_shielded_wait(&detector.done);
            continue;
        }
        detector.is_running = true;
        uint64_t now = core_now_us();
        if (now < detector.rest_until_us)
            ERR_IGNORE(fiber_sleep_wait(detector.rest_until_us - now));
        struct ask *asks = detector.first;
        detector.first = NULL;
        detector.last = &detector.first;
        uint64_t work_us = look_wait(asks);
        detector.rest_until_us = core_now_us() + work_us * PAUSE_FACTOR;
        for (struct ask *next; asks != NULL; asks = next) {
            next = asks->next;
            asks->is_done = true;
        }
        detector.is_running = false;
        wait_queue_wake_all(&detector.done);
    }
    fiber_shield_end();
    return ERR_OK;
}

err_t deadlock_check_wait(const struct txn_wait *w)
{
    struct ask a = {.node = wait_node(w->id, w->session), .wait = w->serial};
    fiber_shield_begin();
    err_t e = core_call_wait(0, detector_ask, &a);
    fiber_shield_end();
    return e;
}
