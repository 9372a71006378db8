/*
 * Links: one bounded single-producer single-consumer ring per ordered pair of cores, with messages
 * of one cache line.
 *
 * A sender never waits: what does not fit into the ring queues on the sender's side (struct
 * link_overflow), in order, and moves into the ring on later turns. So replies always have room and
 * a cycle of full links cannot deadlock. How much can queue is bounded by the number of calls
 * outstanding.
 *
 * Doorbells: after a push the sender fences and reads the receiver's state word; only when that is
 * not AWAKE it takes the bell word and rings. A core that goes to sleep stores ASLEEP, fences, and
 * looks at its inbound links once more. One of the two sees the other.
 */
#ifndef CORE_LINK_H
#define CORE_LINK_H

#include "core/err.h"

#include <stdatomic.h>

enum link_kind {
    LINK_CALL,       /* p: core_call, start it */
    LINK_REPLY,      /* p: core_call, finished */
    LINK_CANCEL,     /* p: core_call, q: message (owned by the sender), code: reason */
    LINK_CANCEL_ACK, /* p: core_call, q: the message, back */
    LINK_POST,       /* p: function, q: arg */
};

struct link_message {
    uint32_t kind;
    uint32_t code;
    void *p;
    void *q;
    void (*fn)(void *arg);
    uint64_t unused[4];
};
_Static_assert(sizeof(struct link_message) == CACHE_LINE_BYTES, "one message, one cache line");

/* Access: i = set at start; p, c = written only by the producer, the consumer core. */
struct link_ring {
    uint32_t slot_mask;                                     /* i */
    _Alignas(CACHE_LINE_BYTES) _Atomic uint32_t tail;       /* p */
    uint32_t head_seen;                                     /* p: last head read */
    _Alignas(CACHE_LINE_BYTES) _Atomic uint32_t head;       /* c */
    uint32_t tail_seen;                                     /* c: last tail read */
    _Alignas(CACHE_LINE_BYTES) struct link_message slots[]; /* p before tail moves, c after */
};

struct link_overflow_node;
struct link_overflow {
    struct link_overflow_node *first;
    struct link_overflow_node *last;
    uint64_t count;
};

/* A core's ends of its links, indexed by the peer's id. */
struct links {
    struct link_ring **in;
    struct link_ring **out;
    struct link_overflow *overflow;
    struct link_overflow_node *free_nodes;
    uint64_t overflow_count;
    uint64_t bell_wanted[4]; /* bit per core: ring before the tick ends */
    bool is_bell_wanted;
};

/* slot_count is a power of two. */
struct link_ring *link_ring_new(uint32_t slot_count);
void link_ring_free(struct link_ring *ring);
bool link_ring_push(struct link_ring *ring, const struct link_message *m); /* false: full */
bool link_ring_pop(struct link_ring *ring, struct link_message *out);      /* false: empty */
static inline bool link_ring_is_empty(const struct link_ring *ring)
{
    return atomic_load_explicit(&ring->tail, memory_order_acquire) ==
           atomic_load_explicit(&ring->head, memory_order_relaxed);
}

struct core;
/* Of each link from the next start of the cores on, a power of two; 0 = as usual. For tests. */
extern uint32_t links_slots_wanted;
err_t links_init_all(void); /* all rings of the process, before the threads start */
void links_destroy_all(void);
/* From the running core to another one. */
void links_send(uint32_t target, const struct link_message *m);
/* Takes what has arrived, bounded per turn. True when there was something. */
bool links_drain(struct core *c);
bool links_have_inbound(const struct core *c);
/* Move queued messages into rings that have room again. */
void links_flush_overflow(struct core *c);
/* Ring for the messages sent since the last time. c is the home core. */
void links_ring_bells(struct core *c);

#endif
