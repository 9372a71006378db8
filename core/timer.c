/*
 * Timers: an intrusive pairing heap per core, after Fredman, Sedgewick, Sleator and Tarjan. Start
 * is constant time, stop and fire are logarithmic, amortised; a timer costs its own 48 bytes only,
 * so that each of many thousands of idle sessions may have one.
 */
#include "core/core_priv.h"

struct timer_node {
    struct timer_node *child; /* first child */
    struct timer_node *next;  /* next sibling */
    struct timer_node
        *prev; /* previous sibling, or the parent of a first child; NULL at the root */
    uint64_t deadline_us;
    void (*fire)(void *arg); /* NULL = not running */
    void *arg;
};
_Static_assert(sizeof(struct timer_node) <= sizeof(struct timer), "struct timer has the room");

static struct timer_node *meld(struct timer_node *a, struct timer_node *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (b->deadline_us < a->deadline_us) {
        struct timer_node *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* The two-pass merge of a list of siblings: pairs from the left, then all from the right. */
static struct timer_node *merge_children(struct timer_node *first)
{
    struct timer_node *pairs = NULL;
    while (first != NULL) {
        struct timer_node *a = first;
        struct timer_node *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL)
            b->next = b->prev = NULL;
        struct timer_node *pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    struct timer_node *root = NULL;
    while (pairs != NULL) {
        struct timer_node *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        root = meld(root, pair);
    }
    if (root != NULL)
        root->prev = root->next = NULL;
    return root;
}

static void heap_remove(struct core *c, struct timer_node *n)
{
    if (c->timers == n) {
        c->timers = merge_children(n->child);
    } else {
        ASSERT(n->prev != NULL);
        if (n->prev->child == n)
            n->prev->child = n->next;
        else
            n->prev->next = n->next;
        if (n->next != NULL)
            n->next->prev = n->prev;
        c->timers = meld(c->timers, merge_children(n->child));
    }
    n->child = n->next = n->prev = NULL;
    n->fire = NULL;
}

void timer_start(struct timer *t, uint64_t deadline_us, void (*fire)(void *arg), void *arg)
{
    struct core *c = core_self();
    struct timer_node *n = (struct timer_node *)t;
    ASSERT(fire != NULL);
    if (n->fire != NULL)
        heap_remove(c, n);
    *n = (struct timer_node){.deadline_us = deadline_us, .fire = fire, .arg = arg};
    c->timers = meld(c->timers, n);
}

void timer_stop(struct timer *t)
{
    struct timer_node *n = (struct timer_node *)t;
    if (n->fire != NULL)
        heap_remove(core_self(), n);
}

uint64_t timers_next_us(const struct core *c)
{
    return c->timers != NULL ? c->timers->deadline_us : UINT64_MAX;
}

bool timers_fire(struct core *c)
{
    bool fired = false;
    while (c->timers != NULL && c->timers->deadline_us <= c->now_us) {
        struct timer_node *n = c->timers;
        void (*fire)(void *arg) = n->fire;
        void *arg = n->arg;
        heap_remove(c, n);
        fire(arg);
        fired = true;
    }
    return fired;
}
