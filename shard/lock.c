/*
 * Locks: a table of named locks with modes, holders and a fair queue, used for rows (four modes,
 * per shard), for table locks (eight modes, per core) and for advisory locks (two modes, each for a
 * session and for a transaction, per core). A name is two 64-bit words.
 *
 * A request waits when its mode conflicts with a mode held by another owner, or with a waiter ahead
 * of it; an owner that holds the lock already goes ahead of the queue, or it would wait for those
 * who wait for it. Grants go to the front of the queue as far as they are compatible. Each hold
 * knows the seq of each mode, so that undo to a savepoint gives back what was taken since.
 *
 * Strong table locks are taken on one core after the other. So that nobody who comes later goes
 * ahead on a core that they have not reached, they are announced on all cores first: an
 * announcement has a place in the queue and stands in the way of the weak modes only (strong
 * requests meet on the first core). Who announced takes the place when it comes.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

struct lock_waiter {
    struct txn_wait wait;
    struct lock_table *table;
    struct lock *lock;
    struct lock_owner *owner;
    struct lock_waiter *prev;
    struct lock_waiter *next;
    uint32_t mode;
    uint32_t seq;
    bool is_announced; /* it waits elsewhere, or not at all yet: no fiber, not granted */
};

struct lock {
    uint64_t a;
    uint64_t b;
    struct lock *hash_next;
    struct lock_hold *holds;
    struct lock_waiter *first;
    struct lock_waiter *last;
    struct {
        uint32_t held;
        uint32_t waiting;
        uint32_t announced;
    } counts[]; /* by mode: no decision walks over all holders or all waiters */
};

struct lock_hold {
    struct lock *lock;
    struct lock_owner *owner;
    struct lock_hold *next; /* of the lock */
    struct lock_hold *prev;
    struct lock_hold *owner_next;
    struct lock_hold *owner_prev;
    struct txn_watcher *watchers; /* until it goes or becomes less: no requests, in nobody's way */
    uint64_t serial;              /* in order of the first grant */
    uint16_t modes;
    uint32_t seq[LOCK_MODES_MAX]; /* when taken; a session's advisory lock: how many times */
};

#define BIT(m) ((uint16_t)(1u << (m)))
#define WEAK_MODES (BIT(LOCK_ACCESS_SHARE) | BIT(LOCK_ROW_SHARE) | BIT(LOCK_ROW_EXCLUSIVE))

static const uint16_t row_conflicts[LOCK_MODES_MAX] = {
    [LOCK_KEY_SHARE] = BIT(LOCK_UPDATE),
    [LOCK_SHARE] = BIT(LOCK_NO_KEY_UPDATE) | BIT(LOCK_UPDATE),
    [LOCK_NO_KEY_UPDATE] = BIT(LOCK_SHARE) | BIT(LOCK_NO_KEY_UPDATE) | BIT(LOCK_UPDATE),
    [LOCK_UPDATE] =
        BIT(LOCK_KEY_SHARE) | BIT(LOCK_SHARE) | BIT(LOCK_NO_KEY_UPDATE) | BIT(LOCK_UPDATE),
};

static const uint16_t table_conflicts[LOCK_MODES_MAX] = {
    [LOCK_ACCESS_SHARE] = BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_ROW_SHARE] = BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_ROW_EXCLUSIVE] = BIT(LOCK_TABLE_SHARE) | BIT(LOCK_SHARE_ROW_EXCLUSIVE) |
                           BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_SHARE_UPDATE_EXCLUSIVE] = BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) | BIT(LOCK_TABLE_SHARE) |
                                    BIT(LOCK_SHARE_ROW_EXCLUSIVE) | BIT(LOCK_EXCLUSIVE) |
                                    BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_TABLE_SHARE] = BIT(LOCK_ROW_EXCLUSIVE) | BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) |
                         BIT(LOCK_SHARE_ROW_EXCLUSIVE) | BIT(LOCK_EXCLUSIVE) |
                         BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_SHARE_ROW_EXCLUSIVE] = BIT(LOCK_ROW_EXCLUSIVE) | BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) |
                                 BIT(LOCK_TABLE_SHARE) | BIT(LOCK_SHARE_ROW_EXCLUSIVE) |
                                 BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_EXCLUSIVE] = BIT(LOCK_ROW_SHARE) | BIT(LOCK_ROW_EXCLUSIVE) |
                       BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) | BIT(LOCK_TABLE_SHARE) |
                       BIT(LOCK_SHARE_ROW_EXCLUSIVE) | BIT(LOCK_EXCLUSIVE) |
                       BIT(LOCK_ACCESS_EXCLUSIVE),
    [LOCK_ACCESS_EXCLUSIVE] = BIT(LOCK_ACCESS_SHARE) | BIT(LOCK_ROW_SHARE) |
                              BIT(LOCK_ROW_EXCLUSIVE) | BIT(LOCK_SHARE_UPDATE_EXCLUSIVE) |
                              BIT(LOCK_TABLE_SHARE) | BIT(LOCK_SHARE_ROW_EXCLUSIVE) |
                              BIT(LOCK_EXCLUSIVE) | BIT(LOCK_ACCESS_EXCLUSIVE),
};

static const uint16_t advisory_conflicts[LOCK_MODES_MAX] = {
    [ADVISORY_SHARED_SESSION] = BIT(ADVISORY_EXCLUSIVE_SESSION) | BIT(ADVISORY_EXCLUSIVE_TXN),
    [ADVISORY_SHARED_TXN] = BIT(ADVISORY_EXCLUSIVE_SESSION) | BIT(ADVISORY_EXCLUSIVE_TXN),
    [ADVISORY_EXCLUSIVE_SESSION] = BIT(ADVISORY_SHARED_SESSION) | BIT(ADVISORY_SHARED_TXN) |
                                   BIT(ADVISORY_EXCLUSIVE_SESSION) | BIT(ADVISORY_EXCLUSIVE_TXN),
    [ADVISORY_EXCLUSIVE_TXN] = BIT(ADVISORY_SHARED_SESSION) | BIT(ADVISORY_SHARED_TXN) |
                               BIT(ADVISORY_EXCLUSIVE_SESSION) | BIT(ADVISORY_EXCLUSIVE_TXN),
};

/* Whether announcements stand in its way. */
static bool is_weak(const struct lock_table *t, uint32_t mode)
{
    return t->kind == LOCKS_OF_TABLES && (WEAK_MODES & BIT(mode)) != 0;
}

static bool is_counted(const struct lock_table *t, uint32_t mode)
{
    return t->kind == LOCKS_ADVISORY &&
           (mode == ADVISORY_SHARED_SESSION || mode == ADVISORY_EXCLUSIVE_SESSION);
}

void lock_table_init(struct lock_table *t, enum lock_kind kind)
{
    *t = (struct lock_table){.conflicts = kind == LOCKS_OF_ROWS     ? row_conflicts
                                          : kind == LOCKS_OF_TABLES ? table_conflicts
                                                                    : advisory_conflicts,
                             .kind = kind,
                             .mode_count = kind == LOCKS_OF_ROWS     ? LOCK_UPDATE + 1
                                           : kind == LOCKS_OF_TABLES ? LOCK_MODES_MAX
                                                                     : ADVISORY_EXCLUSIVE_TXN + 1,
                             .mask = 255};
    t->buckets = core_zalloc((t->mask + 1u) * sizeof(*t->buckets));
}

void lock_table_destroy(struct lock_table *t)
{
    while (t->free_locks != NULL) {
        struct lock *l = t->free_locks;
        t->free_locks = l->hash_next;
        core_free(l);
    }
    while (t->free_holds != NULL) {
        struct lock_hold *h = t->free_holds;
        t->free_holds = h->next;
        core_free(h);
    }
    core_free(t->buckets);
    *t = (struct lock_table){0};
}

static uint64_t name_hash(uint64_t a, uint64_t b)
{
    uint64_t h = (a * 0x9e3779b97f4a7c15u) ^ (b * 0xc2b2ae3d27d4eb4fu);
    h ^= h >> 31;
    h *= 0xbf58476d1ce4e5b9u;
    return h ^ (h >> 32);
}

static struct lock *lock_find(const struct lock_table *t, uint64_t a, uint64_t b)
{
    struct lock *l = t->buckets[name_hash(a, b) & t->mask];
    while (l != NULL && (l->a != a || l->b != b))
        l = l->hash_next;
    return l;
}

static void table_grow(struct lock_table *t)
{
    uint32_t mask = t->mask * 4 + 3;
    struct lock **buckets = core_zalloc((mask + 1u) * sizeof(*buckets));
    for (uint32_t i = 0; i <= t->mask; i++) {
        struct lock *l = t->buckets[i];
        while (l != NULL) {
            struct lock *next = l->hash_next;
            uint64_t at = name_hash(l->a, l->b) & mask;
            l->hash_next = buckets[at];
            buckets[at] = l;
            l = next;
        }
    }
    core_free(t->buckets);
    t->buckets = buckets;
    t->mask = mask;
}

static struct lock *lock_make(struct lock_table *t, uint64_t a, uint64_t b)
{
    if (t->count > t->mask)
        table_grow(t);
    struct lock *l = t->free_locks;
    if (l != NULL)
        t->free_locks = l->hash_next;
    else
        l = core_malloc(sizeof(*l) + t->mode_count * sizeof(l->counts[0]));
    struct lock **at = &t->buckets[name_hash(a, b) & t->mask];
    *l = (struct lock){.a = a, .b = b, .hash_next = *at};
    memset(l->counts, 0, t->mode_count * sizeof(l->counts[0]));
    *at = l;
    t->count++;
    return l;
}

static void lock_drop_if_idle(struct lock_table *t, struct lock *l)
{
    if (l->holds != NULL || l->first != NULL)
        return;
    struct lock **at = &t->buckets[name_hash(l->a, l->b) & t->mask];
    while (*at != l)
        at = &(*at)->hash_next;
    *at = l->hash_next;
    t->count--;
    l->hash_next = t->free_locks;
    t->free_locks = l;
}

/* In the shorter of two lists, the lock's holders and the owner's locks. */
static struct lock_hold *hold_of(const struct lock *l, const struct lock_owner *o)
{
    struct lock_hold *of_lock = l->holds;
    struct lock_hold *of_owner = o->holds;
    while (of_lock != NULL && of_owner != NULL) {
        if (of_lock->owner == o)
            return of_lock;
        if (of_owner->lock == l)
            return of_owner;
        of_lock = of_lock->next;
        of_owner = of_owner->owner_next;
    }
    return NULL;
}

/* own: the owner's hold of the lock, or NULL. */
static bool held_conflict(const struct lock_table *t, const struct lock *l,
                          const struct lock_hold *own, uint32_t mode)
{
    for (uint32_t m = 0; m < t->mode_count; m++) {
        uint32_t by_owner = own != NULL && (own->modes & BIT(m)) != 0;
        if ((t->conflicts[mode] & BIT(m)) != 0 && l->counts[m].held > by_owner)
            return true;
    }
    return false;
}

/* Modes that are announced. */
static uint16_t announced_modes(const struct lock_table *t, const struct lock *l)
{
    uint16_t modes = 0;
    for (uint32_t m = 0; m < t->mode_count; m++)
        modes |= l->counts[m].announced != 0 ? BIT(m) : 0;
    return modes;
}

/* Modes that somebody waits for. */
static uint16_t waiting_modes(const struct lock_table *t, const struct lock *l)
{
    uint16_t modes = 0;
    for (uint32_t m = 0; m < t->mode_count; m++)
        modes |= l->counts[m].waiting != 0 ? BIT(m) : 0;
    return modes;
}

static void hold_set_modes(const struct lock_table *t, struct lock_hold *h, uint16_t modes)
{
    if ((h->modes & ~modes) != 0)
        txn_watch_end(&h->watchers);
    for (uint32_t m = 0; m < t->mode_count; m++) {
        h->lock->counts[m].held += (modes >> m) & 1;
        h->lock->counts[m].held -= (h->modes >> m) & 1;
    }
    h->modes = modes;
}

static void grant(struct lock_table *t, struct lock *l, struct lock_owner *o, uint32_t mode,
                  uint32_t seq)
{
    struct lock_hold *h = hold_of(l, o);
    if (h == NULL) {
        h = t->free_holds;
        if (h != NULL)
            t->free_holds = h->next;
        else
            h = core_malloc(sizeof(*h));
        *h = (struct lock_hold){.lock = l,
                                .owner = o,
                                .next = l->holds,
                                .owner_next = o->holds,
                                .serial = ++t->hold_serial};
        if (l->holds != NULL)
            l->holds->prev = h;
        l->holds = h;
        if (o->holds != NULL)
            o->holds->owner_prev = h;
        o->holds = h;
    }
    hold_set_modes(t, h, h->modes | BIT(mode));
    h->seq[mode] = is_counted(t, mode) ? 1 : seq;
}

static void waiter_remove(struct lock_waiter *w)
{
    struct lock *l = w->lock;
    if (w->is_announced)
        l->counts[w->mode].announced--;
    else
        l->counts[w->mode].waiting--;
    if (w->prev != NULL)
        w->prev->next = w->next;
    else
        l->first = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    else
        l->last = w->prev;
}

/* Grant to waiters, in order, as far as they are compatible with holders and with those ahead. Ends
 * where those ahead are in the way of every mode that is waited for. */
static void grant_waiters(struct lock_table *t, struct lock *l)
{
    uint16_t ahead = 0;
    uint16_t open = waiting_modes(t, l);
    uint16_t announced = 0;
    struct lock_waiter *w = l->first;
    while (w != NULL && open != 0) {
        struct lock_waiter *next = w->next;
        uint16_t in_the_way = ahead | (is_weak(t, w->mode) ? announced : 0);
        if (w->is_announced) {
            announced |= BIT(w->mode);
            open &= (uint16_t) ~(t->conflicts[w->mode] & WEAK_MODES);
        } else if ((t->conflicts[w->mode] & in_the_way) == 0 &&
                   !held_conflict(t, l, hold_of(l, w->owner), w->mode)) {
            waiter_remove(w);
            grant(t, l, w->owner, w->mode, w->seq);
            txn_wait_wake(&w->wait);
        } else if ((ahead & BIT(w->mode)) == 0) {
            ahead |= BIT(w->mode);
            open &= (uint16_t)~t->conflicts[w->mode];
        }
        w = next;
    }
}

static void hold_free(struct lock_table *t, struct lock_hold *h)
{
    struct lock *l = h->lock;
    hold_set_modes(t, h, 0);
    if (h->prev != NULL)
        h->prev->next = h->next;
    else
        l->holds = h->next;
    if (h->next != NULL)
        h->next->prev = h->prev;
    if (h->owner_prev != NULL)
        h->owner_prev->owner_next = h->owner_next;
    else
        h->owner->holds = h->owner_next;
    if (h->owner_next != NULL)
        h->owner_next->owner_prev = h->owner_prev;
    h->next = t->free_holds;
    t->free_holds = h;
    if (l->first != NULL)
        grant_waiters(t, l);
    lock_drop_if_idle(t, l);
}

void lock_release_all(struct lock_table *t, struct lock_owner *o)
{
    while (o->holds != NULL)
        hold_free(t, o->holds);
}

static void hold_reduce(struct lock_table *t, struct lock_hold *h, uint16_t keep)
{
    if (keep == 0) {
        hold_free(t, h);
    } else if (keep != h->modes) {
        hold_set_modes(t, h, keep);
        if (h->lock->first != NULL)
            grant_waiters(t, h->lock);
    }
}

void lock_release_counted(struct lock_table *t, struct lock_owner *o)
{
    struct lock_hold *h = o->holds;
    while (h != NULL) {
        struct lock_hold *next = h->owner_next;
        hold_reduce(t, h, h->modes & (BIT(ADVISORY_SHARED_TXN) | BIT(ADVISORY_EXCLUSIVE_TXN)));
        h = next;
    }
}

void lock_release_since(struct lock_table *t, struct lock_owner *o, uint32_t seq)
{
    struct lock_hold *h = o->holds;
    while (h != NULL) {
        struct lock_hold *next = h->owner_next;
        uint16_t keep = 0;
        for (uint32_t m = 0; m < LOCK_MODES_MAX; m++) {
            if ((h->modes & BIT(m)) != 0 && (is_counted(t, m) || h->seq[m] < seq))
                keep |= BIT(m);
        }
        hold_reduce(t, h, keep);
        h = next;
    }
}

void lock_release_mode(struct lock_table *t, struct lock_owner *o, uint64_t a, uint64_t b,
                       uint32_t mode)
{
    struct lock *l = lock_find(t, a, b);
    ASSERT(l != NULL);
    struct lock_hold *h = hold_of(l, o);
    ASSERT(h != NULL);
    if (is_counted(t, mode) && --h->seq[mode] > 0)
        return;
    hold_set_modes(t, h, h->modes & (uint16_t)~BIT(mode));
    if (h->modes == 0)
        hold_free(t, h);
    else if (l->first != NULL)
        grant_waiters(t, l);
}

bool lock_hold_next(const struct lock_owner *o, const struct lock_hold **at, struct lock_name *out)
{
    const struct lock_hold *h = *at == NULL ? o->holds : (*at)->owner_next;
    *at = h;
    if (h == NULL)
        return false;
    *out = (struct lock_name){.a = h->lock->a, .b = h->lock->b, .modes = h->modes};
    return true;
}

void lock_restore(struct lock_table *t, struct lock_owner *o, const struct lock_name *name)
{
    struct lock *l = lock_find(t, name->a, name->b);
    if (l == NULL)
        l = lock_make(t, name->a, name->b);
    for (uint32_t m = 0; m < LOCK_MODES_MAX; m++) {
        if ((name->modes & BIT(m)) != 0)
            grant(t, l, o, m, 0);
    }
}

bool lock_is_counted(uint16_t modes)
{
    return (modes & (BIT(ADVISORY_SHARED_SESSION) | BIT(ADVISORY_EXCLUSIVE_SESSION))) != 0;
}

void lock_holds_move(struct lock_owner *from, struct lock_owner *to)
{
    struct lock_hold *h = from->holds;
    while (h != NULL) {
        struct lock_hold *next = h->owner_next;
        if (!lock_is_counted(h->modes)) {
            if (h->owner_prev != NULL)
                h->owner_prev->owner_next = next;
            else
                from->holds = next;
            if (next != NULL)
                next->owner_prev = h->owner_prev;
            h->owner = to;
            h->owner_prev = NULL;
            h->owner_next = to->holds;
            if (to->holds != NULL)
                to->holds->owner_prev = h;
            to->holds = h;
        }
        h = next;
    }
}

bool lock_is_held(const struct lock_table *t, uint64_t a, uint64_t b)
{
    return lock_find(t, a, b) != NULL;
}

uint32_t lock_hold_count(const struct lock_table *t, const struct lock_owner *o, uint64_t a,
                         uint64_t b, uint32_t mode)
{
    const struct lock *l = lock_find(t, a, b);
    const struct lock_hold *h = l != NULL ? hold_of(l, o) : NULL;
    if (h == NULL || (h->modes & BIT(mode)) == 0)
        return 0;
    return is_counted(t, mode) ? h->seq[mode] : 1;
}

static struct lock_waiter *announcement_of(const struct lock *l, const struct lock_owner *o)
{
    struct lock_waiter *w = l != NULL && o->announced > 0 ? l->first : NULL;
    while (w != NULL && !(w->is_announced && w->owner == o))
        w = w->next;
    return w;
}

void lock_announce(struct lock_table *t, struct lock_owner *o, uint64_t a, uint64_t b,
                   uint32_t mode)
{
    struct lock *l = lock_find(t, a, b);
    if (l == NULL)
        l = lock_make(t, a, b);
    struct lock_waiter *w = core_zalloc(sizeof(*w));
    *w = (struct lock_waiter){
        .table = t, .lock = l, .owner = o, .mode = mode, .is_announced = true, .prev = l->last};
    if (l->last != NULL)
        l->last->next = w;
    else
        l->first = w;
    l->last = w;
    l->counts[mode].announced++;
    o->announced++;
}

/* The announcement is over; who stood behind it may go on. */
static void announcement_end(struct lock_table *t, struct lock_waiter *w)
{
    if (w == NULL)
        return;
    struct lock *l = w->lock;
    w->owner->announced--;
    waiter_remove(w);
    core_free(w);
    if (l->first != NULL)
        grant_waiters(t, l);
    lock_drop_if_idle(t, l);
}

void lock_announce_end(struct lock_table *t, struct lock_owner *o, uint64_t a, uint64_t b)
{
    announcement_end(t, announcement_of(lock_find(t, a, b), o));
}

/* ---- who waits for whom ---- */

static void wait_blockers(const struct txn_wait *wait, struct blocker_list *out)
{
    const struct lock_waiter *w = wait->owner;
    const uint16_t conflicts = w->table->conflicts[w->mode];
    for (const struct lock_hold *h = w->lock->holds; h != NULL; h = h->next) {
        if (h->owner != w->owner && (h->modes & conflicts) != 0 && !h->owner->is_ending)
            blocker_add(out, h->owner->session);
    }
    for (const struct lock_waiter *a = w->lock->first; a != w && a != NULL; a = a->next) {
        if ((BIT(a->mode) & conflicts) != 0 && (!a->is_announced || is_weak(w->table, w->mode)))
            blocker_add(out, a->owner->session);
    }
}

static void edges_to_holders(const struct lock_waiter *w, uint64_t from, struct wait_graph *g)
{
    const struct lock *l = w->lock;
    bool is_virtual = wait_node_is_virtual(from);
    for (const struct lock_hold *h = l->holds; h != NULL; h = h->next) {
        if ((h->modes & w->table->conflicts[w->mode]) == 0 || (!is_virtual && h->owner == w->owner))
            continue;
        struct wait_edge e = {.from = from,
                              .to = wait_node(h->owner->id, h->owner->session),
                              .wait = is_virtual ? 0 : w->wait.serial,
                              .to_id = h->owner->id,
                              .a = l->a,
                              .b = l->b,
                              .kind = (uint8_t)w->table->kind,
                              .mode = (uint8_t)w->mode};
        wait_graph_add(g, &e);
    }
}

/* Those that come later wait for w too, and for all of its mode before it. */
static void edges_behind(const struct lock_waiter *w, uint64_t name, uint64_t *of_mode,
                         struct wait_graph *g)
{
    uint64_t node = wait_node_virtual(g);
    struct wait_edge v = {.from = node, .to = name, .to_id = w->owner->id};
    wait_graph_add(g, &v);
    v = (struct wait_edge){.from = node, .to = of_mode[w->mode]};
    if (v.to != 0)
        wait_graph_add(g, &v);
    of_mode[w->mode] = node;
}

/*
 * The whole queue, linear in holders and waiters: waiters of one mode share a virtual node that
 * leads to the holders in their way, and another that leads to all waiters of a mode so far. An
 * owner that holds the lock already is not in its own way, so it gets edges of its own.
 */
static void wait_edges(const struct txn_wait *wait, struct wait_graph *g)
{
    const struct lock_waiter *first = wait->owner;
    const struct lock *l = first->lock;
    const struct lock_waiter *real = l->first;
    while (real->is_announced)
        real = real->next;
    if (real != first)
        return;
    uint64_t holders[LOCK_MODES_MAX] = {0};
    uint64_t ahead[LOCK_MODES_MAX] = {0};
    uint64_t announced[LOCK_MODES_MAX] = {0};
    for (const struct lock_waiter *w = l->first; w != NULL; w = w->next) {
        if (w->is_announced) {
            edges_behind(w, wait_node(w->owner->id, w->owner->session), announced, g);
            continue;
        }
        struct wait_edge e = {.from = wait_node(w->owner->id, w->owner->session),
                              .wait = w->wait.serial,
                              .a = l->a,
                              .b = l->b,
                              .kind = (uint8_t)w->table->kind,
                              .mode = (uint8_t)w->mode};
        if (hold_of(l, w->owner) != NULL) {
            edges_to_holders(w, e.from, g);
        } else {
            if (holders[w->mode] == 0) {
                holders[w->mode] = wait_node_virtual(g);
                edges_to_holders(w, holders[w->mode], g);
            }
            e.to = holders[w->mode];
            wait_graph_add(g, &e);
        }
        for (uint32_t m = 0; m < LOCK_MODES_MAX; m++) {
            if ((w->table->conflicts[w->mode] & BIT(m)) == 0)
                continue;
            e.to = ahead[m];
            if (ahead[m] != 0)
                wait_graph_add(g, &e);
            e.to = announced[m];
            if (announced[m] != 0 && is_weak(w->table, w->mode))
                wait_graph_add(g, &e);
        }
        edges_behind(w, e.from, ahead, g);
    }
}

static void wait_show(const struct txn_wait *wait, struct lock_row *out)
{
    const struct lock_waiter *w = wait->owner;
    *out = (struct lock_row){
        .kind = w->table->kind, .mode = (uint8_t)w->mode, .a = w->lock->a, .b = w->lock->b};
    if (w->table->kind != LOCKS_OF_ROWS)
        return;
    /* A row is waited for through the transaction that has it. */
    for (const struct lock_hold *h = w->lock->holds; h != NULL; h = h->next) {
        if (h->owner != w->owner && (h->modes & w->table->conflicts[w->mode]) != 0)
            out->blocker = h->owner->id;
    }
}

static const struct txn_wait_ops lock_wait_ops = {
    .edges = wait_edges, .blockers = wait_blockers, .show = wait_show};

/* ---- watching holders ---- */

static void watch_blockers(const struct txn_wait *wait, struct blocker_list *out)
{
    const struct lock_hold *h = ((const struct txn_watcher *)wait->owner)->thing;
    if (h != NULL && !h->owner->is_ending)
        blocker_add(out, h->owner->session);
}

static void watch_edges(const struct txn_wait *wait, struct wait_graph *g)
{
    const struct lock_hold *h = ((const struct txn_watcher *)wait->owner)->thing;
    if (h == NULL)
        return;
    struct wait_edge e = {.from = wait_node(wait->id, wait->session),
                          .to = wait_node(h->owner->id, h->owner->session),
                          .wait = wait->serial,
                          .to_id = h->owner->id,
                          .kind = LOCKS_OF_ROWS};
    wait_graph_add(g, &e);
}

static void watch_show(const struct txn_wait *wait, struct lock_row *out)
{
    const struct lock_hold *h = ((const struct txn_watcher *)wait->owner)->thing;
    *out = (struct lock_row){.kind = LOCKS_OF_ROWS, .blocker = h != NULL ? h->owner->id : 0};
}

static const struct txn_wait_ops watch_ops = {
    .edges = watch_edges, .blockers = watch_blockers, .show = watch_show};

err_t lock_holders_wait(struct lock_table *t, uint64_t a, uint64_t b,
                        const struct lock_holders *who)
{
    for (;;) {
        const struct lock *l = lock_find(t, a, b);
        struct lock_hold *h = l != NULL ? l->holds : NULL;
        while (h != NULL && (h->serial > who->until || (h->modes & t->conflicts[who->mode]) == 0 ||
                             (h->owner->session == who->session && h->owner->session != 0)))
            h = h->next;
        if (h == NULL)
            return ERR_OK;
        TRY(txn_watch_wait(&h->watchers, h, who->id, who->session, &watch_ops, who->limits));
    }
}

void lock_table_list(const struct lock_table *t, struct lock_rows *out)
{
    for (uint32_t i = 0; i <= t->mask; i++) {
        for (const struct lock *l = t->buckets[i]; l != NULL; l = l->hash_next) {
            for (const struct lock_hold *h = l->holds; h != NULL; h = h->next) {
                for (uint32_t m = 0; m < LOCK_MODES_MAX; m++) {
                    if ((h->modes & BIT(m)) == 0)
                        continue;
                    *lock_rows_add(out) = (struct lock_row){.kind = t->kind,
                                                            .mode = (uint8_t)m,
                                                            .is_granted = true,
                                                            .session = h->owner->session,
                                                            .id = h->owner->id,
                                                            .a = l->a,
                                                            .b = l->b};
                }
            }
        }
    }
}

err_t lock_acquire_wait(struct lock_table *t, struct lock_owner *o, uint64_t a, uint64_t b,
                        uint32_t mode, uint32_t seq, enum lock_policy policy,
                        struct wait_limits limits, enum lock_outcome *outcome, bool *fresh)
{
    *outcome = LOCK_GRANTED;
    *fresh = false;
    struct lock *l = lock_find(t, a, b);
    if (l == NULL) {
        l = lock_make(t, a, b);
        grant(t, l, o, mode, seq);
        *fresh = true;
        return ERR_OK;
    }
    struct lock_hold *own = hold_of(l, o);
    struct lock_waiter *announced = announcement_of(l, o);
    if (own != NULL) {
        if ((own->modes & BIT(mode)) != 0) {
            own->seq[mode] += is_counted(t, mode);
            announcement_end(t, announced);
            return ERR_OK;
        }
        /* A mode whose conflicts cover this one's gives all that this one gives; advisory locks are
         * given back one by one. */
        for (uint32_t m = 0; m < LOCK_MODES_MAX && t->kind != LOCKS_ADVISORY; m++) {
            if ((own->modes & BIT(m)) == 0 || (t->conflicts[mode] & ~t->conflicts[m]) != 0)
                continue;
            announcement_end(t, announced);
            return ERR_OK;
        }
    }
    bool must_wait = held_conflict(t, l, own, mode) && !DEFECT_SOMETIMES(LOCK_IGNORED, 8);
    if (own == NULL && announced == NULL) {
        uint16_t ahead = waiting_modes(t, l) | (is_weak(t, mode) ? announced_modes(t, l) : 0);
        must_wait |= (t->conflicts[mode] & ahead) != 0;
    } else if (own == NULL) {
        for (const struct lock_waiter *w = l->first; w != announced; w = w->next) {
            if ((t->conflicts[mode] & BIT(w->mode)) != 0 && !w->is_announced)
                must_wait = true;
        }
    }
    if (!must_wait) {
        grant(t, l, o, mode, seq);
        announcement_end(t, announced);
        *fresh = true;
        return ERR_OK;
    }
    if (policy != LOCK_WAIT) {
        *outcome = LOCK_BUSY;
        return ERR_OK;
    }
    if (core_is_borrowed())
        return err_raise(ERR_INTERNAL_WOULD_SUSPEND, "a lock wait on a borrowed core");
    struct lock_waiter w = {
        .wait = {.id = o->id, .session = o->session, .ops = &lock_wait_ops},
        .table = t,
        .lock = l,
        .owner = o,
        .mode = mode,
        .seq = seq,
    };
    ASSERT(o->id != 0 || o->session != 0); /* the deadlock detector knows it by one of these */
    w.wait.owner = &w;
    t->waits++;
    l->counts[mode].waiting++;
    if (own != NULL) {
        w.next = l->first;
        if (l->first != NULL)
            l->first->prev = &w;
        else
            l->last = &w;
        l->first = &w;
    } else if (announced != NULL) {
        w.next = announced;
        w.prev = announced->prev;
        announced->prev = &w;
        if (w.prev != NULL)
            w.prev->next = &w;
        else
            l->first = &w;
    } else {
        w.prev = l->last;
        if (l->last != NULL)
            l->last->next = &w;
        else
            l->first = &w;
        l->last = &w;
    }
    announcement_end(t, announced); /* w is ahead of it: nobody is let by */
    uint64_t began_at = stats_clock();
    err_t e = txn_wait_wait(&w.wait, limits);
    stats_trace_add(STATS_STAGE_lock, began_at);
    if (w.wait.is_done) { /* granted, perhaps while the error was on its way */
        *fresh = true;
        if (e == ERR_OK)
            return ERR_OK;
        lock_release_mode(t, o, a, b, mode);
        return e;
    }
    ASSERT(e != ERR_OK);
    waiter_remove(&w);
    grant_waiters(t, l);
    lock_drop_if_idle(t, l);
    return e;
}
