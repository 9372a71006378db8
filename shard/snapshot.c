/*
 * Snapshots of a core. The commit counter only grows, so a list in order of taking is in order of
 * age: the first is the oldest, and the core publishes it. A core without snapshots publishes a
 * lower bound before it reads the counter (core/shared.h), or purge elsewhere could overtake it.
 *
 * A snapshot moves to another core by joining that one's list, in its place by age, before it
 * leaves the old list; the shared count of such moves tells those who look at one list after the
 * other.
 */
#include "shard/shard_priv.h"

#include <stdlib.h>

/* Access: each entry by its core. */
static struct snapshot_list {
    SHARED_LINE struct snapshot *first;
    struct snapshot *last;
} lists[CORE_COUNT_MAX];

/* ---- who waits for a snapshot's end ---- */

static void watch_blockers(const struct txn_wait *wait, struct blocker_list *out)
{
    const struct snapshot *s = ((const struct txn_watcher *)wait->owner)->thing;
    if (s != NULL)
        blocker_add(out, s->session);
}

static void watch_edges(const struct txn_wait *wait, struct wait_graph *g)
{
    const struct snapshot *s = ((const struct txn_watcher *)wait->owner)->thing;
    if (s == NULL || s->session == 0)
        return;
    struct wait_edge e = {.from = wait_node(wait->id, wait->session),
                          .to = wait_node(0, s->session),
                          .wait = wait->serial,
                          .kind = LOCKS_OF_ROWS};
    wait_graph_add(g, &e);
}

static void watch_show(const struct txn_wait *wait, struct lock_row *out)
{
    (void)wait; /* one who reads has no transaction number to be named by */
    *out = (struct lock_row){.kind = LOCKS_OF_ROWS};
}

static const struct txn_wait_ops watch_ops = {
    .edges = watch_edges, .blockers = watch_blockers, .show = watch_show};

err_t snapshot_older_wait(void *arg)
{
    const struct snapshot_older_call *c = arg;
    for (;;) {
        struct snapshot *s = lists[core_id()].first;
        while (s != NULL && s->ts < c->ts &&
               (s->session == c->session || (s->database != c->database && s->database != 0)))
            s = s->next;
        if (s == NULL || s->ts >= c->ts)
            return ERR_OK;
        TRY(txn_watch_wait(&s->watchers, s, c->id, c->session, &watch_ops, c->limits));
    }
}

/* ---- a core's list ---- */

void snapshot_take(struct snapshot *s)
{
    ASSERT(!s->is_active);
    uint32_t core = core_id();
    struct snapshot_list *l = &lists[core];
    if (l->first == NULL)
        shared_oldest_publish(core, shared_commit_read());
    s->ts = shared_commit_read();
    s->is_active = true;
    s->next = NULL;
    s->prev = l->last;
    if (l->last != NULL)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
}

/* A snapshot that was lent by another core: that core keeps it in its list, so that at no moment it
 * is in no list, and purge, which looks at the cores one after the other, cannot miss it. */
struct snapshot_lease {
    struct snapshot *lent; /* of the lender's core */
    uint32_t lender;
    uint32_t holders;
};

struct snapshot *snapshot_lend(struct snapshot *from)
{
    struct snapshot *s = core_zalloc(sizeof(*s));
    snapshot_copy(s, from);
    return s;
}

void snapshot_borrow(struct snapshot *to, struct snapshot *lent, uint32_t lender)
{
    ASSERT(!to->is_active);
    struct snapshot_lease *l = core_malloc(sizeof(*l));
    *l = (struct snapshot_lease){.lent = lent, .lender = lender, .holders = 1};
    to->ts = lent->ts;
    to->is_active = true;
    to->lease = l;
}

static void lent_returned(void *arg)
{
    struct snapshot *s = arg;
    snapshot_drop(s);
    core_free(s);
}

static void lease_drop(struct snapshot *s)
{
    struct snapshot_lease *l = s->lease;
    s->lease = NULL;
    s->is_active = false;
    if (--l->holders > 0)
        return;
    core_post(l->lender, lent_returned, l->lent);
    core_free(l);
}

void snapshot_drop(struct snapshot *s)
{
    if (!s->is_active)
        return;
    if (s->lease != NULL) {
        lease_drop(s);
        return;
    }
    txn_watch_end(&s->watchers);
    uint32_t core = core_id();
    struct snapshot_list *l = &lists[core];
    bool was_oldest = s->prev == NULL;
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        l->first = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    else
        l->last = s->prev;
    s->is_active = false;
    if (was_oldest)
        shared_oldest_publish(core, l->first != NULL ? l->first->ts : UINT64_MAX);
}

void snapshot_copy(struct snapshot *to, struct snapshot *from)
{
    ASSERT(!to->is_active && from->is_active);
    to->ts = from->ts;
    to->session = from->session;
    to->database = from->database;
    to->is_active = true;
    to->lease = from->lease;
    if (from->lease != NULL) {
        from->lease->holders++;
        return;
    }
    struct snapshot_list *l = &lists[core_id()];
    to->prev = from;
    to->next = from->next;
    if (from->next != NULL)
        from->next->prev = to;
    else
        l->last = to;
    from->next = to;
}

void snapshot_move(struct snapshot *to, struct snapshot *from)
{
    if (!from->is_active)
        return;
    snapshot_copy(to, from);
    snapshot_drop(from);
}

/* As old as one that another core still has. */
void snapshot_join(struct snapshot *s, ts_t ts)
{
    ASSERT(!s->is_active);
    struct snapshot_list *l = &lists[core_id()];
    struct snapshot *before = l->last;
    while (before != NULL && before->ts > ts)
        before = before->prev;
    s->ts = ts;
    s->is_active = true;
    s->prev = before;
    s->next = before != NULL ? before->next : l->first;
    if (s->next != NULL)
        s->next->prev = s;
    else
        l->last = s;
    if (before != NULL) {
        before->next = s;
        return;
    }
    l->first = s;
    shared_oldest_publish(core_id(), ts);
}

void snapshots_reset(void)
{
    lists[core_id()] = (struct snapshot_list){0};
    shared_oldest_publish(core_id(), UINT64_MAX);
}

/* ---- the snapshots of all cores ---- */

/* Of one core: single ones from the oldest on, and the rest as one range. */
enum { RANGES_PER_CORE = 64 };

struct core_snapshots {
    struct core_call call;
    uint32_t count;
    struct snapshot_range ranges[RANGES_PER_CORE];
};

static err_t list_snapshots(void *arg)
{
    struct core_snapshots *c = arg;
    c->count = 0;
    for (const struct snapshot *s = lists[core_id()].first; s != NULL; s = s->next) {
        struct snapshot_range *last = c->count != 0 ? &c->ranges[c->count - 1] : NULL;
        if (last != NULL && last->last == s->ts)
            continue;
        if (c->count == RANGES_PER_CORE) {
            last->last = lists[core_id()].last->ts;
            break;
        }
        c->ranges[c->count++] = (struct snapshot_range){s->ts, s->ts};
    }
    return ERR_OK;
}

static int range_order(const void *a, const void *b)
{
    const struct snapshot_range *x = a;
    const struct snapshot_range *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

SUSPENDS static err_t snapshots_gather_once_wait(struct live_snapshots *out)
{
    uint32_t cores = core_count();
    *out = (struct live_snapshots){.until = shared_commit_read()};
    struct core_snapshots *calls = core_malloc(cores * sizeof(*calls));
    for (uint32_t i = 0; i < cores; i++)
        core_call_start(&calls[i].call, i, list_snapshots, &calls[i]);
    err_t e = ERR_OK;
    uint32_t n = 0;
    for (uint32_t i = 0; i < cores; i++) {
        err_t one = core_call_join_wait(&calls[i].call);
        e = one != ERR_OK ? one : e;
        n += one == ERR_OK ? calls[i].count : 0;
    }
    if (e == ERR_OK) {
        out->ranges = core_malloc((n + 1u) * sizeof(*out->ranges));
        n = 0;
        for (uint32_t i = 0; i < cores; i++) {
            memcpy(out->ranges + n, calls[i].ranges, calls[i].count * sizeof(*out->ranges));
            n += calls[i].count;
        }
        qsort(out->ranges, n, sizeof(*out->ranges), range_order);
        for (uint32_t i = 0; i < n; i++) {
            struct snapshot_range *last = out->count != 0 ? &out->ranges[out->count - 1] : NULL;
            if (last != NULL && out->ranges[i].first <= last->last)
                last->last = MAX(last->last, out->ranges[i].last);
            else
                out->ranges[out->count++] = out->ranges[i];
        }
    }
    core_free(calls);
    return e;
}

/* The cores answer one after the other: a snapshot that moves meanwhile could be on neither. */
err_t snapshots_gather_wait(struct live_snapshots *out)
{
    enum { ROUNDS_MAX = 4 };
    for (int round = 0; round < ROUNDS_MAX; round++) {
        uint64_t moves = shared_snapshot_moves();
        TRY(snapshots_gather_once_wait(out));
        if (shared_snapshot_moves() == moves)
            return ERR_OK;
        snapshots_gather_end(out);
    }
    *out = (struct live_snapshots){0}; /* until 0: nothing is known */
    return ERR_OK;
}

void snapshots_gather_end(struct live_snapshots *l)
{
    core_free(l->ranges);
    *l = (struct live_snapshots){0};
}

bool snapshots_between(const struct live_snapshots *l, ts_t from, ts_t to)
{
    /* The last range that begins below `to` is the one that reaches farthest. */
    uint32_t low = 0;
    uint32_t high = l->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (l->ranges[middle].first < to)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && l->ranges[low - 1].last >= from;
}
