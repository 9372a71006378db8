/*
 * Notifications between cores: the desk that orders those of a database, and the board of each
 * core that listens.
 *
 *   session's core            desk (a core, by database)        cores with listeners
 *   before commit: reserve -> next place in the order
 *   after commit: release  -> everything released at the  ----> arrival on the board,
 *                             front of the order goes out       its listeners are woken
 *                          <- given back when all have seen it
 *
 * A place is taken before the commit and while the transaction holds its locks, so of two
 * transactions where one saw or waited for the other, the later one has the later place, and all
 * listeners see one order. Nothing goes out before it is committed and visible. There is no lock:
 * the order is the desk's own, and a place costs one call to it.
 *
 * The desk sends a batch only to cores that listen to one of its channels. A core tells the desk of
 * a channel with its first listener, before that LISTEN commits, and takes it back with the last
 * one. Messages of a pair of cores keep their order, and a call waits for its answer, so "no more"
 * never overtakes "now".
 *
 * On a board every batch is there once, however many sessions listen. A session that has something
 * unseen points at the first such arrival; what nobody points at and nobody can come to is given
 * back. A desk counts the bytes of what is not given back and refuses new places beyond a limit.
 */
#include "sql/session/notify.h"

#include "sql/session/session_priv.h"
#include "sql/types/hash.h"

enum { TABLE_BUCKETS_FIRST = 16, CORE_WORDS = CORE_COUNT_MAX / 64 };

/* Cores that listen to a channel, at the desk. */
struct desk_channel {
    struct notify_node node;
    oid database;
    uint64_t cores[CORE_WORDS];
    char name[];
};

/* Access: all on the core. */
struct desk {
    struct notify_table channels;
    struct notify_batch *first; /* reserved and not gone out */
    struct notify_batch *last;
    uint64_t slots; /* given so far */
    uint64_t gone;  /* the last one that went out, or was dropped */
    uint64_t bytes; /* reserved or not given back */
};

struct board {
    struct notify_table channels;
    struct notify_table listenings;
    struct notify_arrival *first;
    struct notify_arrival *last;
    struct wait_queue arrived;
    uint64_t arrived_slot[CORE_COUNT_MAX]; /* by desk */
};

struct notify_core {
    struct desk desk;
    struct board board;
};

static struct notify_core *cores[CORE_COUNT_MAX]; /* each used on its core only */

static struct notify_core *notify_here(void)
{
    struct notify_core **c = &cores[core_id()];
    if (!*c)
        *c = core_zalloc(sizeof(**c));
    return *c;
}

uint32_t notify_desk_of(oid database)
{
    return database % core_count();
}

/* ---- tables ---- */

static void table_grow(struct notify_table *t)
{
    uint32_t size = t->buckets ? (t->mask + 1) * 2 : TABLE_BUCKETS_FIRST;
    struct notify_node **buckets = core_zalloc(sizeof(*buckets) * size);
    for (uint32_t i = 0; t->buckets && i <= t->mask; i++) {
        while (t->buckets[i]) {
            struct notify_node *n = t->buckets[i];
            t->buckets[i] = n->next;
            n->next = buckets[n->hash & (size - 1)];
            buckets[n->hash & (size - 1)] = n;
        }
    }
    core_free(t->buckets);
    t->buckets = buckets;
    t->mask = size - 1;
}

static void table_add(struct notify_table *t, struct notify_node *n, uint64_t hash)
{
    if (!t->buckets || t->count > t->mask)
        table_grow(t);
    n->hash = hash;
    n->next = t->buckets[hash & t->mask];
    t->buckets[hash & t->mask] = n;
    t->count++;
}

static void table_remove(struct notify_table *t, struct notify_node *n)
{
    struct notify_node **p = &t->buckets[n->hash & t->mask];
    while (*p != n)
        p = &(*p)->next;
    *p = n->next;
    if (--t->count > 0)
        return;
    core_free(t->buckets);
    *t = (struct notify_table){0};
}

static struct notify_node *table_first(const struct notify_table *t, uint64_t hash)
{
    return t->buckets ? t->buckets[hash & t->mask] : NULL;
}

static uint64_t channel_hash(oid database, const char *name)
{
    return hash_combine(hash_bytes(name, strlen(name)), database);
}

/* ---- the desk ---- */

static void batch_free(void *arg)
{
    core_free(arg);
}

/* In order with the calls made to that core; at once on this one. */
static void notify_post(uint32_t core, void (*fn)(void *arg), void *arg)
{
    if (core == core_id())
        fn(arg);
    else
        core_post(core, fn, arg);
}

static void desk_give_back(void *arg)
{
    struct notify_batch *b = arg;
    ASSERT(b->holders > 0);
    if (--b->holders > 0)
        return;
    notify_here()->desk.bytes -= b->bytes;
    notify_post(b->home, batch_free, b);
}

static struct desk_channel *desk_find(const struct desk *d, oid database, const char *name)
{
    uint64_t hash = channel_hash(database, name);
    struct notify_node *n = table_first(&d->channels, hash);
    for (; n; n = n->next) {
        struct desk_channel *c = CONTAINER_OF(n, struct desk_channel, node);
        if (n->hash == hash && c->database == database && strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}

static void board_arrive(void *arg);

static void desk_send_out(struct desk *d, struct notify_batch *b)
{
    uint64_t to[CORE_WORDS] = {0};
    const char *text = b->text;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct desk_channel *c = desk_find(d, b->database, text);
        for (uint32_t w = 0; c && w < CORE_WORDS; w++)
            to[w] |= c->cores[w];
        text += strlen(text) + 1;
        text += strlen(text) + 1;
    }
    b->holders = 1;
    for (uint32_t w = 0; w < CORE_WORDS; w++)
        b->holders += (uint32_t)__builtin_popcountll(to[w]);
    for (uint32_t w = 0; w < CORE_WORDS; w++) {
        for (uint64_t left = to[w]; left; left &= left - 1)
            notify_post(w * 64 + (uint32_t)__builtin_ctzll(left), board_arrive, b);
    }
    desk_give_back(b);
}

static void desk_released(struct desk *d)
{
    while (d->first && d->first->state != BATCH_RESERVED) {
        struct notify_batch *b = d->first;
        d->first = b->next;
        if (!d->first)
            d->last = NULL;
        d->gone = b->slot;
        if (b->state == BATCH_COMMITTED) {
            desk_send_out(d, b);
        } else {
            b->holders = 1;
            desk_give_back(b);
        }
    }
}

static void desk_commit_post(void *arg)
{
    struct notify_batch *b = arg;
    b->state = BATCH_COMMITTED;
    desk_released(&notify_here()->desk);
}

static void desk_drop_post(void *arg)
{
    struct notify_batch *b = arg;
    b->state = BATCH_DROPPED;
    desk_released(&notify_here()->desk);
}

void notify_release(struct notify_batch *b, bool is_committed)
{
    notify_post(b->desk, is_committed ? desk_commit_post : desk_drop_post, b);
}

static err_t desk_reserve_call(void *arg)
{
    struct notify_batch *b = arg;
    struct desk *d = &notify_here()->desk;
    if (d->bytes + b->bytes > NOTIFY_QUEUE_BYTES_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "too many notifications in the NOTIFY queue");
    d->bytes += b->bytes;
    b->slot = ++d->slots;
    b->state = BATCH_RESERVED;
    b->next = NULL;
    if (d->last)
        d->last->next = b;
    else
        d->first = b;
    d->last = b;
    return ERR_OK;
}

SUSPENDS err_t notify_reserve_wait(struct notify_batch *b)
{
    return core_call_wait(b->desk, desk_reserve_call, b);
}

struct usage_call {
    uint64_t bytes;
};

static err_t desk_usage_call(void *arg)
{
    struct usage_call *c = arg;
    c->bytes = notify_here()->desk.bytes;
    return ERR_OK;
}

SUSPENDS double notify_usage_wait(oid database)
{
    struct usage_call c = {0};
    ERR_IGNORE(core_call_wait(notify_desk_of(database), desk_usage_call, &c));
    return (double)c.bytes / NOTIFY_QUEUE_BYTES_MAX;
}

struct gone_call {
    uint64_t slot;
};

static err_t desk_gone_call(void *arg)
{
    struct gone_call *c = arg;
    c->slot = notify_here()->desk.gone;
    return ERR_OK;
}

/* The answer comes behind what was sent before it. */
SUSPENDS uint64_t notify_caught_up_wait(uint32_t desk)
{
    struct gone_call c = {0};
    ERR_IGNORE(core_call_wait(desk, desk_gone_call, &c)); /* never fails */
    return c.slot;
}

/* A core's word to the desk about a channel. */
struct desk_word {
    oid database;
    uint32_t core;
    char name[NOTIFY_CHANNEL_BYTES_MAX + 1];
};

static err_t desk_listen_call(void *arg)
{
    const struct desk_word *w = arg;
    struct desk *d = &notify_here()->desk;
    struct desk_channel *c = desk_find(d, w->database, w->name);
    if (!c) {
        size_t bytes = strlen(w->name) + 1;
        c = core_zalloc(sizeof(*c) + bytes);
        c->database = w->database;
        memcpy(c->name, w->name, bytes);
        table_add(&d->channels, &c->node, channel_hash(w->database, w->name));
    }
    c->cores[w->core / 64] |= UINT64_C(1) << w->core % 64;
    return ERR_OK;
}

static void desk_word_free(void *arg)
{
    core_free(arg);
}

static void desk_unlisten_post(void *arg)
{
    struct desk_word *w = arg;
    struct desk *d = &notify_here()->desk;
    struct desk_channel *c = desk_find(d, w->database, w->name);
    ASSERT(c != NULL);
    c->cores[w->core / 64] &= ~(UINT64_C(1) << w->core % 64);
    uint64_t any = 0;
    for (uint32_t i = 0; i < CORE_WORDS; i++)
        any |= c->cores[i];
    if (!any) {
        table_remove(&d->channels, &c->node);
        core_free(c);
    }
    notify_post(w->core, desk_word_free, w);
}

/* ---- the board: channels ---- */

struct notify_channel *notify_channel_find(oid database, const char *name)
{
    const struct board *b = &notify_here()->board;
    uint64_t hash = channel_hash(database, name);
    struct notify_node *n = table_first(&b->channels, hash);
    for (; n; n = n->next) {
        struct notify_channel *c = CONTAINER_OF(n, struct notify_channel, node);
        if (n->hash == hash && c->database == database && strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}

static void desk_word_fill(struct desk_word *w, oid database, const char *name)
{
    size_t bytes = strlen(name) + 1;
    ASSERT(bytes <= sizeof(w->name));
    w->database = database;
    w->core = core_id();
    memcpy(w->name, name, bytes);
}

SUSPENDS struct notify_channel *notify_channel_hold_wait(oid database, const char *name)
{
    struct notify_channel *c = notify_channel_find(database, name);
    if (c) {
        c->holds++;
        while (!c->is_known)
            wait_queue_shielded_wait(&c->becomes_known);
        return c;
    }
    size_t bytes = strlen(name) + 1;
    c = core_zalloc(sizeof(*c) + bytes);
    c->database = database;
    memcpy(c->name, name, bytes);
    c->holds = 1;
    table_add(&notify_here()->board.channels, &c->node, channel_hash(database, name));
    struct desk_word w;
    desk_word_fill(&w, database, name);
    ERR_IGNORE(core_call_wait(notify_desk_of(database), desk_listen_call, &w)); /* never fails */
    c->is_known = true;
    wait_queue_wake_all(&c->becomes_known);
    return c;
}

void notify_channel_release(struct notify_channel *c)
{
    ASSERT(c->holds > 0);
    if (--c->holds > 0)
        return;
    ASSERT(c->first == NULL);
    struct desk_word *w = core_zalloc(sizeof(*w));
    desk_word_fill(w, c->database, c->name);
    table_remove(&notify_here()->board.channels, &c->node);
    notify_post(notify_desk_of(c->database), desk_unlisten_post, w);
    core_free(c);
}

static uint64_t listening_hash(const struct notify_session *n, const struct notify_channel *c)
{
    return hash_combine(hash_mix((uint64_t)(uintptr_t)n), (uint64_t)(uintptr_t)c);
}

struct listening *listening_add(struct notify_session *n, struct notify_channel *c)
{
    struct listening *l = core_zalloc(sizeof(*l));
    l->owner = n;
    l->channel = c;
    l->channel_next = c->first;
    if (c->first)
        c->first->channel_prev = l;
    c->first = l;
    table_add(&notify_here()->board.listenings, &l->node, listening_hash(n, c));
    return l;
}

struct listening *listening_find(const struct notify_session *n, const struct notify_channel *c)
{
    uint64_t hash = listening_hash(n, c);
    struct notify_node *at = table_first(&notify_here()->board.listenings, hash);
    for (; at; at = at->next) {
        struct listening *l = CONTAINER_OF(at, struct listening, node);
        if (l->owner == n && l->channel == c)
            return l;
    }
    return NULL;
}

void listening_remove(struct listening *l)
{
    struct notify_channel *c = l->channel;
    if (l->channel_prev)
        l->channel_prev->channel_next = l->channel_next;
    else
        c->first = l->channel_next;
    if (l->channel_next)
        l->channel_next->channel_prev = l->channel_prev;
    table_remove(&notify_here()->board.listenings, &l->node);
    core_free(l);
    notify_channel_release(c);
}

/* ---- the board: arrivals ---- */

/* Only the front: what lies behind an unseen batch will be looked at by its session. */
static void board_give_back_seen(struct board *b)
{
    while (b->first && b->first->waiters == 0) {
        struct notify_arrival *a = b->first;
        b->first = a->next;
        if (!b->first)
            b->last = NULL;
        struct notify_batch *batch = a->batch;
        core_free(a);
        notify_post(batch->desk, desk_give_back, batch);
    }
}

void notify_arrival_leave(struct notify_arrival *a)
{
    ASSERT(a->waiters > 0);
    a->waiters--;
    board_give_back_seen(&notify_here()->board);
}

static void board_arrive(void *arg)
{
    struct notify_batch *batch = arg;
    struct board *b = &notify_here()->board;
    struct notify_arrival *a = core_zalloc(sizeof(*a));
    a->batch = batch;
    if (b->last)
        b->last->next = a;
    else
        b->first = a;
    b->last = a;
    b->arrived_slot[batch->desk] = batch->slot;
    const char *text = batch->text;
    const struct notify_channel *before = NULL;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct notify_channel *c = notify_channel_find(batch->database, text);
        for (struct listening *l = c && c != before ? c->first : NULL; l; l = l->channel_next)
            notify_session_arrived(l->owner, a);
        before = c;
        text += strlen(text) + 1;
        text += strlen(text) + 1;
    }
    wait_queue_wake_all(&b->arrived);
    board_give_back_seen(b);
}

SUSPENDS void notify_arrived_wait(uint32_t desk, uint64_t slot)
{
    struct board *b = &notify_here()->board;
    while (b->arrived_slot[desk] < slot)
        wait_queue_shielded_wait(&b->arrived);
}
