/*
 * The tail of a many-shard commit. The coordinator has taken the timestamp and may reply; the
 * participants still have to stamp, and later to forget:
 *
 *   coordinator's core              participant's core
 *     outcome_send    ──decided──►   COMMIT logged, part stamped, locks released
 *     count           ◄──durable──   when that record is durable
 *     all durable     ──forget───►   FORGET logged, entry in `finished` dropped
 *     count, free     ◄──forgotten─
 *
 * The group belongs to the coordinator's core and its items travel as messages; nothing here is
 * needed for safety: after a crash the prepared lists decide.
 */
#include "shard/shard_priv.h"

struct outcome_group;

struct outcome {
    struct outcome *next;
    struct outcome_group *group;
    uint32_t shard_no;
    txn_id_t id;
    ts_t ts;
    lsn_t lsn;
};

struct outcome_group {
    uint32_t origin;
    uint32_t count;
    uint32_t remaining;
    bool is_dropped; /* a participant's shard was closed: nothing to forget */
    uint32_t life;   /* of the origin's shards: after a reopening nobody counts it any more */
    struct outcome items[];
};

/* Access: each entry by its core. */
static uint32_t in_flight[CORE_COUNT_MAX];
static uint32_t lives[CORE_COUNT_MAX];

void outcomes_reset(void)
{
    in_flight[core_id()] = 0;
    lives[core_id()]++;
}

uint32_t outcomes_in_flight(void)
{
    return in_flight[core_id()];
}

static void list_put(struct outcome_list *l, struct outcome *o)
{
    o->next = NULL;
    if (l->last != NULL)
        l->last->next = o;
    else
        l->first = o;
    l->last = o;
}

static struct outcome *list_take(struct outcome_list *l)
{
    struct outcome *o = l->first;
    l->first = o->next;
    if (l->first == NULL)
        l->last = NULL;
    return o;
}

/* ---- back on the origin's core ---- */

static void group_free(struct outcome_group *g)
{
    if (g->life == lives[g->origin])
        in_flight[g->origin]--;
    core_free(g);
}

static void outcome_forgotten(void *arg)
{
    struct outcome *o = arg;
    struct outcome_group *g = o->group;
    g->remaining--;
    if (g->remaining == 0)
        group_free(g);
}

static void outcome_forget(void *arg);

static void outcome_durable(void *arg)
{
    struct outcome *o = arg;
    struct outcome_group *g = o->group;
    g->remaining--;
    if (g->remaining != 0)
        return;
    if (g->is_dropped) {
        group_free(g);
        return;
    }
    g->remaining = g->count;
    for (uint32_t i = 0; i < g->count; i++)
        core_post(shard_core(g->items[i].shard_no), outcome_forget, &g->items[i]);
}

/* The shard is closed: its prepared list decides at the next start, and the others need not forget.
 */
static void outcome_dropped(void *arg)
{
    struct outcome *o = arg;
    o->group->is_dropped = true;
    outcome_durable(o);
}

/* ---- on the participant's core ---- */

static void outcome_arrived(void *arg)
{
    struct outcome *o = arg;
    struct shard *s = placement_shard(o->shard_no);
    if (s == NULL) {
        core_post(o->group->origin, outcome_dropped, o);
        return;
    }
    list_put(&s->decided, o);
    wait_queue_wake_all(&s->settle_wanted);
}

static void outcome_forget(void *arg)
{
    struct outcome *o = arg;
    struct shard *s = placement_shard(o->shard_no);
    if (s == NULL) {
        core_post(o->group->origin, outcome_forgotten, o);
        return;
    }
    list_put(&s->forgets, o);
    wait_queue_wake_all(&s->settle_wanted);
}

void outcomes_drop(struct shard *s)
{
    while (s->decided.first != NULL) {
        struct outcome *o = list_take(&s->decided);
        core_post(o->group->origin, outcome_dropped, o);
    }
    while (s->undurable.first != NULL) {
        struct outcome *o = list_take(&s->undurable);
        core_post(o->group->origin, outcome_dropped, o);
    }
    while (s->forgets.first != NULL) {
        struct outcome *o = list_take(&s->forgets);
        core_post(o->group->origin, outcome_forgotten, o);
    }
}

void outcome_send(txn_id_t id, ts_t ts, const uint32_t *participants, uint32_t count)
{
    struct outcome_group *g = core_zalloc(sizeof(*g) + count * sizeof(struct outcome));
    g->origin = core_id();
    g->count = g->remaining = count;
    g->life = lives[g->origin];
    in_flight[g->origin]++;
    for (uint32_t i = 0; i < count; i++) {
        g->items[i] = (struct outcome){.group = g, .shard_no = participants[i], .id = id, .ts = ts};
        uint32_t core = shard_core(participants[i]);
        if (core == g->origin)
            outcome_arrived(&g->items[i]); /* others wait for the locks: not a turn later */
        else
            core_post(core, outcome_arrived, &g->items[i]);
    }
}

err_t settle_some_wait(struct shard *s, bool block)
{
    while (s->decided.first != NULL) {
        struct outcome *o = s->decided.first;
        TRY(part_decide_wait(s, o->id, o->ts));
        ASSERT(s->decided.first == o);
        o->lsn = wal_end(s->wal);
        list_put(&s->undurable, list_take(&s->decided));
    }
    while (s->forgets.first != NULL) {
        TRY(shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX));
        struct outcome *o = list_take(&s->forgets);
        nosuspend_begin();
        struct log_writer w = {.len = 0};
        log_put_u64(&w, o->id);
        (void)shard_log(s, LOG_FORGET, &w, NULL, 0);
        finished_remove(s, o->id);
        nosuspend_end();
        core_post(o->group->origin, outcome_forgotten, o);
    }
    if (block && s->undurable.first != NULL)
        TRY(wal_flush_wait(s->wal, s->undurable.last->lsn));
    while (s->undurable.first != NULL && s->undurable.first->lsn <= wal_durable(s->wal)) {
        struct outcome *o = list_take(&s->undurable);
        core_post(o->group->origin, outcome_durable, o);
    }
    return ERR_OK;
}
