/* Links between cores and their doorbells; see link.h. */
#include "core/link.h"
#include "core/defects.h"

#include "core/core_priv.h"

#include <stdlib.h>

enum {
    LINK_SLOTS_MAX = 256,
    LINK_SLOTS_MIN = 32,
    LINK_DRAIN_MAX = 128, /* messages taken from one peer per turn */
};

struct link_overflow_node {
    struct link_overflow_node *next;
    struct link_message message;
};

struct link_ring *link_ring_new(uint32_t slot_count)
{
    ASSERT((slot_count & (slot_count - 1)) == 0);
    size_t bytes = sizeof(struct link_ring) + slot_count * sizeof(struct link_message);
    struct link_ring *ring = aligned_alloc(CACHE_LINE_BYTES, bytes);
    if (ring == NULL)
        return NULL;
    memset(ring, 0, bytes);
    ring->slot_mask = slot_count - 1;
    return ring;
}

void link_ring_free(struct link_ring *ring)
{
    free(ring);
}

bool link_ring_push(struct link_ring *ring, const struct link_message *m)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail - ring->head_seen > ring->slot_mask) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (tail - ring->head_seen > ring->slot_mask)
            return false;
    }
    ring->slots[tail & ring->slot_mask] = *m;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

bool link_ring_pop(struct link_ring *ring, struct link_message *out)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == ring->tail_seen) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head == ring->tail_seen)
            return false;
    }
    *out = ring->slots[head & ring->slot_mask];
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}

/* ---- all links of the process ---- */

uint32_t links_slots_wanted;

err_t links_init_all(void)
{
    uint32_t n = process.core_count;
    uint32_t slots = LINK_SLOTS_MAX;
    while (slots > LINK_SLOTS_MIN && slots * n > LINK_SLOTS_MAX * 16)
        slots /= 2;
    if (links_slots_wanted != 0)
        slots = links_slots_wanted;
    for (uint32_t i = 0; i < n; i++) {
        struct links *l = &process.cores[i]->links;
        l->in = calloc(n, sizeof(*l->in));
        l->out = calloc(n, sizeof(*l->out));
        l->overflow = calloc(n, sizeof(*l->overflow));
        if (l->in == NULL || l->out == NULL || l->overflow == NULL)
            return err_raise(ERR_OUT_OF_MEMORY, "out of memory");
    }
    for (uint32_t from = 0; from < n; from++) {
        for (uint32_t to = 0; to < n; to++) {
            if (from == to)
                continue;
            struct link_ring *ring = link_ring_new(slots);
            if (ring == NULL)
                return err_raise(ERR_OUT_OF_MEMORY, "out of memory");
            process.cores[from]->links.out[to] = ring;
            process.cores[to]->links.in[from] = ring;
        }
    }
    return ERR_OK;
}

static void overflow_nodes_free(struct link_overflow_node *node)
{
    while (node != NULL) {
        struct link_overflow_node *next = node->next;
        free(node);
        node = next;
    }
}

void links_destroy_all(void)
{
    uint32_t n = process.core_count;
    for (uint32_t i = 0; i < n; i++) {
        struct links *l = &process.cores[i]->links;
        for (uint32_t to = 0; to < n; to++) {
            if (l->out != NULL)
                link_ring_free(l->out[to]);
            if (l->overflow != NULL)
                overflow_nodes_free(l->overflow[to].first);
        }
        overflow_nodes_free(l->free_nodes);
        free((void *)l->in);
        free((void *)l->out);
        free(l->overflow);
        *l = (struct links){0};
    }
}

/* ---- sending ---- */

static void overflow_add(struct links *l, uint32_t target, const struct link_message *m)
{
    struct link_overflow_node *node = l->free_nodes;
    if (node != NULL)
        l->free_nodes = node->next;
    else
        node = malloc(sizeof(*node));
    ASSERT(node != NULL);
    node->next = NULL;
    node->message = *m;
    struct link_overflow *o = &l->overflow[target];
    if (o->last != NULL)
        o->last->next = node;
    else
        o->first = node;
    o->last = node;
    o->count++;
    l->overflow_count++;
}

/* Called after a push: rings later in this turn when the receiver may not see it by itself. */
static void want_bell(uint32_t target)
{
    atomic_thread_fence(memory_order_seq_cst);
    struct shared_core_words *words = &shared_words.cores[target];
    if (atomic_load_explicit(&words->state, memory_order_relaxed) == CORE_AWAKE)
        return;
    if (DEFECT_SOMETIMES(DOORBELL_LOST, 16))
        return;
    if (atomic_exchange_explicit(&words->bell, 1, memory_order_seq_cst) != 0)
        return;
    struct links *home = &runner.home->links;
    home->bell_wanted[target / 64] |= (uint64_t)1 << target % 64;
    home->is_bell_wanted = true;
}

void links_send(uint32_t target, const struct link_message *m)
{
    struct core *c = core_self();
    ASSERT(target < process.core_count);
    ASSERT(target != c->id);
    struct links *l = &c->links;
    stats_add(&c->stats->messages_out, 1);
    stats_add(&c->stats->links[target].messages_out, 1);
    c->last_traffic_us = c->now_us;
    if (l->overflow[target].first != NULL || !link_ring_push(l->out[target], m)) {
        overflow_add(l, target, m);
        stats_add(&c->stats->overflows, 1);
        stats_add(&c->stats->links[target].overflow_depth, 1);
    }
    want_bell(target);
}

void links_flush_overflow(struct core *c)
{
    struct links *l = &c->links;
    if (LIKELY(l->overflow_count == 0))
        return;
    for (uint32_t target = 0; target < process.core_count; target++) {
        struct link_overflow *o = &l->overflow[target];
        bool moved = false;
        while (o->first != NULL && link_ring_push(l->out[target], &o->first->message)) {
            struct link_overflow_node *node = o->first;
            o->first = node->next;
            if (o->first == NULL)
                o->last = NULL;
            o->count--;
            l->overflow_count--;
            stats_sub(&c->stats->links[target].overflow_depth, 1);
            node->next = l->free_nodes;
            l->free_nodes = node;
            moved = true;
        }
        if (moved)
            want_bell(target);
    }
}

void links_ring_bells(struct core *c)
{
    struct links *l = &c->links;
    if (!l->is_bell_wanted)
        return;
    l->is_bell_wanted = false;
    for (uint32_t word = 0; word < ARRAY_LEN(l->bell_wanted); word++) {
        uint64_t bits = l->bell_wanted[word];
        l->bell_wanted[word] = 0;
        while (bits != 0) {
            uint32_t target = word * 64 + (uint32_t)__builtin_ctzll(bits);
            bits &= bits - 1;
            stats_add(&c->stats->doorbells_out, 1);
            stats_add(&c->stats->links[target].doorbells_out, 1);
            backend_doorbell(c, target);
        }
    }
}

/* ---- receiving ---- */

bool links_drain(struct core *c)
{
    bool any = false;
    for (uint32_t from = 0; from < process.core_count; from++) {
        struct link_ring *ring = c->links.in[from];
        if (ring == NULL)
            continue;
        struct link_message m;
        uint32_t count = 0;
        while (count < LINK_DRAIN_MAX && link_ring_pop(ring, &m)) {
            count++;
            call_message_arrived(c, &m);
        }
        if (count > 0) {
            any = true;
            stats_add(&c->stats->messages_in, count);
            stats_add(&c->stats->links[from].messages_in, count);
        }
    }
    if (any)
        c->last_traffic_us = c->now_us;
    return any;
}

bool links_have_inbound(const struct core *c)
{
    for (uint32_t from = 0; from < process.core_count; from++) {
        const struct link_ring *ring = c->links.in[from];
        if (ring != NULL && !link_ring_is_empty(ring))
            return true;
    }
    return false;
}
