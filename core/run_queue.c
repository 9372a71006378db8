/*
 * The run queue of a core: which ready fiber runs next.
 *
 * Fibers belong to groups: one per role and database that has requests, and one for the server's
 * own work. A group has two classes: quick, and heavy for fibers whose request has used the core
 * for more than HEAVY_SLICES slices. Each class of each group has a virtual time: how long it ran,
 * divided by its weight. The ready class with the least virtual time runs next; inside a class the
 * order is that of arrival. So groups share the core in proportion to their weights, however many
 * sessions each has, and inside a group the heavy ones get a share of their own that is small.
 *
 * A class that was not ready joins at the clock, the virtual time of what was taken last: rest
 * earns no credit. (Start-time fair queueing: Goyal, Vin, Cheng, 1996, with the time known
 * afterwards.)
 *
 * Ready classes are in a binary heap; it has room for all classes of all groups, so putting a fiber
 * cannot fail. Groups without fibers are kept for a while, because they come back.
 */
#include "core/core_priv.h"

#include <stdlib.h>

enum {
    GROUPS_KEPT = 1024,
    HEAVY_PART = 4, /* quick fibers weigh so many times what heavy ones of their group do */
    VIRTUAL_SCALE = 1024,
};

static void heap_set(struct run_queue *q, uint32_t at, struct run_class *k)
{
    q->heap[at] = k;
    k->heap_at = at + 1;
}

/* Of equals the quick one goes first, then the one that ran longer ago. */
static bool heap_before(const struct run_class *a, const struct run_class *b)
{
    if (a->virtual_time != b->virtual_time)
        return a->virtual_time < b->virtual_time;
    return a->is_heavy != b->is_heavy ? b->is_heavy : a->turn < b->turn;
}

static void heap_up(struct run_queue *q, uint32_t at, struct run_class *k)
{
    for (; at > 0 && heap_before(k, q->heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap_set(q, at, q->heap[(at - 1) / 2]);
    heap_set(q, at, k);
}

static void heap_down(struct run_queue *q, uint32_t at, struct run_class *k)
{
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= q->heap_count)
            break;
        if (child + 1 < q->heap_count && heap_before(q->heap[child + 1], q->heap[child]))
            child++;
        if (!heap_before(q->heap[child], k))
            break;
        heap_set(q, at, q->heap[child]);
        at = child;
    }
    heap_set(q, at, k);
}

void run_queue_put(struct run_queue *q, struct fiber *f)
{
    struct run_class *k = &f->group->classes[f->is_heavy];
    f->next = NULL;
    q->ready_count++;
    if (k->first != NULL) {
        k->last->next = f;
        k->last = f;
        return;
    }
    k->first = k->last = f;
    k->virtual_time = MAX(k->virtual_time, q->clock);
    k->turn = q->turn++;
    ASSERT(q->heap_count < q->heap_room);
    heap_up(q, q->heap_count++, k);
}

struct fiber *run_queue_take(struct run_queue *q)
{
    if (q->heap_count == 0)
        return NULL;
    struct run_class *k = q->heap[0];
    q->clock = MAX(q->clock, k->virtual_time);
    struct fiber *f = k->first;
    k->first = f->next;
    q->ready_count--;
    if (k->first != NULL)
        return f;
    k->last = NULL;
    k->heap_at = 0;
    struct run_class *last = q->heap[--q->heap_count];
    if (q->heap_count > 0)
        heap_down(q, 0, last);
    return f;
}

void run_queue_charge(struct run_queue *q, struct fiber *f, uint64_t ticks)
{
    struct run_class *k = &f->group->classes[f->is_heavy];
    uint64_t weight = (uint64_t)f->group->weight * (f->is_heavy ? 1 : HEAVY_PART);
    k->virtual_time += MAX(ticks, 1) * VIRTUAL_SCALE / weight + 1;
    k->turn = q->turn++;
    if (k->heap_at > 0)
        heap_down(q, k->heap_at - 1, k);
}

/* ---- groups ---- */

static struct run_group **group_link(struct run_queue *q, uint64_t key)
{
    struct run_group **link = &q->groups[(key * 0x9E3779B97F4A7C15u >> 40) % RUN_GROUP_BUCKETS];
    while (*link != NULL && (*link)->key != key)
        link = &(*link)->next;
    return link;
}

static struct run_group *group_new(struct run_queue *q, uint64_t key)
{
    uint32_t room = (q->group_count + 1) * 2;
    if (room > q->heap_room) {
        room *= 2;
        struct run_class **bigger = realloc(q->heap, sizeof(*bigger) * room);
        ASSERT(bigger != NULL);
        q->heap = bigger;
        q->heap_room = room;
    }
    struct run_group *g = calloc(1, sizeof(*g));
    ASSERT(g != NULL);
    g->key = key;
    g->weight = RUN_SHARE_DEFAULT;
    g->classes[1].is_heavy = true;
    q->group_count++;
    return g;
}

void run_queue_join(struct run_queue *q, struct fiber *f, uint64_t key, uint32_t weight)
{
    ASSERT(weight > 0);
    ASSERT(!f->is_queued);
    struct run_group *g = f->group;
    if (g == NULL || g->key != key) {
        run_queue_leave(q, f);
        struct run_group **link = group_link(q, key);
        if (*link == NULL)
            *link = group_new(q, key);
        g = *link;
        g->fiber_count++;
        f->group = g;
    }
    g->weight = weight;
    f->is_heavy = false;
    f->used_ticks = 0;
}

void run_queue_leave(struct run_queue *q, struct fiber *f)
{
    struct run_group *g = f->group;
    if (g == NULL)
        return;
    f->group = NULL;
    ASSERT(g->fiber_count > 0);
    if (--g->fiber_count > 0 || q->group_count <= GROUPS_KEPT)
        return;
    *group_link(q, g->key) = g->next;
    q->group_count--;
    free(g);
}

void run_queue_destroy(struct run_queue *q)
{
    for (uint32_t i = 0; i < RUN_GROUP_BUCKETS; i++) {
        while (q->groups[i] != NULL) {
            struct run_group *g = q->groups[i];
            q->groups[i] = g->next;
            free(g);
        }
    }
    free(q->heap);
    *q = (struct run_queue){0};
}
