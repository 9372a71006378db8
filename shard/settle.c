/*
 * A many-shard commit from the moment on when all participants have PREPARE in their logs:
 *
 *   coordinator's core              participant's core
 *     timestamp       ──decided──►   COMMIT logged, part stamped, locks released
 *     count           ◄──durable──   when that record is durable
 *     all durable: the client is answered
 *                     ──forget───►   FORGET logged, entry in `finished` dropped
 *     count, free     ◄──forgotten─
 *
 * The group belongs to the coordinator's core and its items travel as messages. When all COMMIT
 * records are durable, so are the PREPARE records in front of them; what other COMMITs in front of
 * them need (settled.c) comes with the message, and nearly always is durable too by then.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

struct outcome_group;

struct outcome {
    struct outcome *next;
    struct outcome_group *group;
    uint32_t shard_no;
    lsn_t lsn;    /* of its COMMIT */
    lsn_t *unmet; /* by shard: what the log there needed and what was not durable */
};

struct outcome_group {
    txn_id_t id;
    ts_t ts;
    const uint8_t *points; /* COMMIT_POINT_BYTES per item; these two are the coordinator's */
    const lsn_t *needs;
    uint32_t origin;
    uint32_t count;
    uint32_t remaining;
    bool is_dropped; /* a participant's log has failed, or its shard was closed */
    uint32_t life;   /* of the origin's shards: after a reopening nobody counts it any more */
    struct wait_queue answered; /* the coordinator */
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

static void outcome_durable(void *arg)
{
    struct outcome *o = arg;
    struct outcome_group *g = o->group;
    g->remaining--;
    if (g->remaining == 0)
        wait_queue_wake_all(&g->answered);
}

/* Nobody there will say whether it is durable: recovery finds out, and the others need not forget.
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

SUSPENDS static err_t answered_wait(struct outcome_group *g)
{
    while (g->remaining != 0)
        wait_queue_shielded_wait(&g->answered);
    if (g->is_dropped)
        return err_raise(ERR_IO_ERROR, "could not make the commit durable: a log has failed");
    for (uint32_t i = 0; i < g->count && !DEFECT(PREPARE_FORGOTTEN); i++)
        for (uint32_t k = 0; k < shard_count(); k++)
            if (g->items[i].unmet[k] != 0)
                TRY(settled_need_wait(k, g->items[i].unmet[k]));
    return ERR_OK;
}

err_t outcome_commit_wait(txn_id_t id, ts_t ts, const uint32_t *participants, uint32_t count,
                          const uint8_t *points, const lsn_t *needs)
{
    size_t head = sizeof(struct outcome_group) + count * sizeof(struct outcome);
    struct outcome_group *g = core_zalloc(head + (size_t)count * shard_count() * sizeof(lsn_t));
    lsn_t *unmet = (lsn_t *)(void *)((char *)g + head);
    g->id = id;
    g->ts = ts;
    g->points = points;
    g->needs = needs;
    g->origin = core_id();
    g->count = g->remaining = count;
    g->life = lives[g->origin];
    in_flight[g->origin]++;
    for (uint32_t i = 0; i < count; i++)
        g->items[i] = (struct outcome){
            .group = g, .shard_no = participants[i], .unmet = unmet + i * shard_count()};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t core = shard_core(participants[i]);
        if (core == g->origin)
            outcome_arrived(&g->items[i]); /* others wait for the locks: not a turn later */
        else
            core_post(core, outcome_arrived, &g->items[i]);
    }
    err_t e = answered_wait(g);
    if (e != ERR_OK) {
        group_free(g);
        return e;
    }
    g->remaining = count;
    for (uint32_t i = 0; i < count; i++)
        core_post(shard_core(participants[i]), outcome_forget, &g->items[i]);
    return ERR_OK;
}

/* ---- the fibers of a participant ---- */

err_t settle_some_wait(struct shard *s)
{
    while (s->decided.first != NULL) {
        struct outcome *o = s->decided.first;
        struct outcome_group *g = o->group;
        TRY(part_decide_wait(s, g->id, g->ts, g->points, g->count * COMMIT_POINT_BYTES, g->needs,
                             &o->lsn));
        ASSERT(s->decided.first == o);
        settled_unmet(s, o->unmet);
        (void)list_take(&s->decided);
        if (DEFECT(PREPARE_FORGOTTEN) && o == &g->items[g->count - 1]) {
            core_post(g->origin, outcome_durable, o);
            continue;
        }
        list_put(&s->undurable, o);
        wait_queue_wake_all(&s->report_wanted);
    }
    while (s->forgets.first != NULL) {
        TRY(shard_reserve_wait(s, RESERVE_CRITICAL | 2, LOG_FIXED_BYTES_MAX + anchor_bytes_max()));
        struct outcome *o = list_take(&s->forgets);
        nosuspend_begin();
        for (uint32_t i = 0; i < o->group->count; i++) /* whoever reads FORGET counts on these */
            settled_learn(s, o->group->items[i].shard_no, o->group->items[i].lsn);
        anchor_log(s);
        struct log_writer w = {.len = 0};
        log_put_u64(&w, o->group->id);
        (void)shard_log(s, LOG_FORGET, &w, NULL, 0);
        finished_remove(s, o->group->id);
        nosuspend_end();
        core_post(o->group->origin, outcome_forgotten, o);
    }
    return ERR_OK;
}

err_t settle_report_wait(struct shard *s)
{
    TRY(wal_flush_wait(s->wal, s->undurable.first->lsn));
    while (s->undurable.first != NULL && s->undurable.first->lsn <= wal_durable(s->wal)) {
        struct outcome *o = list_take(&s->undurable);
        core_post(o->group->origin, outcome_durable, o);
    }
    return ERR_OK;
}
