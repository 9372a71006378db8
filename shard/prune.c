/*
 * Pruning. Purge lets go in order of commit and stops at the oldest snapshot. What an old snapshot
 * keeps it from is pruned instead: a version is needed only while some snapshot lies between the
 * commit before it and its own, so a row that was changed a million times beside one old snapshot
 * needs one version.
 *
 * A pass asks all cores for their snapshots. `until` is the commit counter from before it asked: a
 * snapshot that a core does not name is newer, so what was committed up to `until` can be judged
 * for good. The pass walks the purge queue and, of parts whose commit is settled,
 *
 *   - drops before images that no snapshot lies under (version_drop; a page is never changed)
 *   - joins inserts of neighbouring slots that no snapshot tells apart
 *   - moves what is left to the part before it in the queue, when no snapshot tells the two apart,
 *     and frees parts that hold nothing any more
 *
 * Nothing of it is logged: after a crash there are no snapshots, and replay drops what was pruned
 * here when the log says that its part is purged. A version that was moved still has the number of
 * the transaction that made it, by which the log names it when purge changes a page for it. Changes
 * of serializable transactions are not joined: reads under older snapshots are validated by them
 * (serial.c).
 *
 * Each part is looked at when it is PRUNE_AGE_US old, for by then most snapshots have gone; all are
 * looked at again when the versions have doubled since, so the work for each is bounded. After
 * Böttcher, Leis, Neumann, Kemper, "Scalable Garbage Collection for In-Memory MVCC Systems" (VLDB
 * 2019), which prunes by intervals too, but when a chain is walked.
 */
#include "shard/shard_priv.h"

#include <stdlib.h>

enum { PRUNE_AGE_US = 100000, PRUNE_STEPS_PER_REST = 256, PRUNE_AGAIN_MIN = 4096 };

struct prune {
    struct shard *shard;
    struct live_snapshots live;
    lsn_t settled;
    uint32_t steps;
};

/* Can a commit be judged: settled, and nobody can take a snapshot below it any more? */
static bool is_settled(const struct prune *n, const struct part *p)
{
    return p->state == PART_COMMITTED && p->ts <= n->live.until && p->commit_lsn <= n->settled;
}

static bool are_alike(const struct prune *n, const struct part *a, const struct part *b)
{
    return a == b || !snapshots_between(&n->live, MIN(a->ts, b->ts), MAX(a->ts, b->ts));
}

/* The writer of a row's cell says whether the version store need be asked at all (parts_id_min):
 * what is older than a dropped version answers for its writer from now on. */
static void version_prune(struct prune *n, struct version *v, struct part *heir)
{
    if (heir != NULL)
        heir->id_floor = MIN(heir->id_floor, v->part->id_floor);
    version_drop(&n->shard->versions, v);
}

static void prune_update(struct prune *n, struct version *v)
{
    if ((v->cell_flags & CELL_BIG) != 0)
        return; /* its chunks go with purge */
    struct version *older = v->chain_older;
    while (older != NULL && older->kind != VERSION_UPDATE && older->kind != VERSION_DELETE)
        older = older->chain_older;
    if (older == NULL)
        older = version_insert_of(&n->shard->versions, v->heap, v->row);
    ts_t from = 0;
    if (older != NULL && older->part != v->part) {
        if (older->part->state != PART_COMMITTED)
            return;
        from = older->part->ts;
    } else if (older != NULL) {
        from = v->part->ts;
    }
    if (from < v->part->ts && snapshots_between(&n->live, from, v->part->ts))
        return;
    version_prune(n, v, older != NULL ? older->part : NULL);
}

static void prune_insert(struct prune *n, struct version *v)
{
    struct version *other = v->chain_older;
    if (other == NULL || other->is_spilled || other->part->is_serializable ||
        other->kind != VERSION_INSERT || other->is_bulk != v->is_bulk ||
        !is_settled(n, other->part) || !are_alike(n, other->part, v->part))
        return;
    if (other->last_slot + 1u == v->first_slot)
        other->last_slot = v->last_slot;
    else if (v->last_slot + 1u == other->first_slot)
        other->first_slot = v->first_slot;
    else
        return;
    version_prune(n, v, other->part);
}

SUSPENDS static err_t prune_rest_wait(struct prune *n)
{
    if (++n->steps % PRUNE_STEPS_PER_REST == 0)
        TRY(fiber_rest_wait());
    return ERR_OK;
}

/* Versions of committed parts are dropped by the purge fiber only, so they stay across waits. */
SUSPENDS static err_t prune_versions_wait(struct prune *n, struct part *p)
{
    for (struct version *v = p->oldest; v != NULL;) {
        struct version *next = v->newer;
        SCOPED_HOLD struct spill_hold hold = {0};
        /* What stands below it may be in files: read from the pool, not from the disk. */
        if (v->kind == VERSION_UPDATE && (spill_is_here(&n->shard->versions, v->heap, v->row) ||
                                          spill_hold_try_wait(n->shard, v->heap, v->row, &hold)))
            prune_update(n, v);
        else if (v->kind == VERSION_INSERT)
            prune_insert(n, v);
        v = next;
        TRY(prune_rest_wait(n));
    }
    return ERR_OK;
}

/* Entries' additions and removals are purged together: they move when all that is here does. */
static bool may_move_all(const struct part *p)
{
    return p->spill == NULL && p->sweep_count == 0 && p->file_versions == 0;
}

SUSPENDS static err_t join_before_wait(struct prune *n, struct part *p)
{
    struct part *to = p->queue_prev;
    if (to == NULL || to->is_serializable || !is_settled(n, to) || !are_alike(n, to, p))
        return ERR_OK;
    to->ts = p->ts = MAX(to->ts, p->ts);
    to->id_floor = MIN(to->id_floor, p->id_floor);
    bool all = may_move_all(p);
    to->purge_pass = 0; /* entries come first again */
    to->purge_at = NULL;
    for (struct version *v = p->oldest; v != NULL;) {
        struct version *next = v->newer;
        if (all || v->kind == VERSION_UPDATE || v->kind == VERSION_INSERT)
            version_move(v, to);
        v = next;
        TRY(prune_rest_wait(n));
    }
    if (all)
        to->id_last = p->id_last; /* when all of `to` is purged, p is */
    return ERR_OK;
}

SUSPENDS static err_t prune_parts_wait(struct prune *n)
{
    struct shard *s = n->shard;
    while (s->prune_next != NULL && !s->is_stopping) {
        struct part *p = s->prune_next;
        if (!is_settled(n, p))
            break;
        if (!p->is_serializable) {
            TRY(prune_versions_wait(n, p));
            TRY(join_before_wait(n, p));
        }
        s->prune_next = p->queue_next;
        if (part_is_empty(p))
            purge_queue_remove(s, p);
        TRY(prune_rest_wait(n));
    }
    return ERR_OK;
}

err_t prune_some_wait(struct shard *s)
{
    uint64_t now = core_now_us();
    bool is_due = now - s->prune_at_us >= PRUNE_AGE_US;
    if (s->purge_first == NULL)
        s->prune_is_wanted = false;
    if (s->purge_first == NULL || (!is_due && !s->prune_is_wanted))
        return ERR_OK;
    s->prune_kept = MIN(s->prune_kept, s->versions.count);
    ts_t until = s->prune_is_wanted ? UINT64_MAX : s->prune_until;
    bool is_again = s->prune_is_wanted || s->versions.count > 2 * s->prune_kept + PRUNE_AGAIN_MIN;
    if (is_again)
        s->prune_next = s->purge_first;
    err_t e = ERR_OK;
    if (s->prune_next != NULL && s->prune_next->ts <= until) {
        struct prune n = {.shard = s, .settled = settled_lsn(s)};
        e = snapshots_gather_wait(&n.live);
        n.live.until = MIN(n.live.until, until);
        if (e == ERR_OK)
            e = prune_parts_wait(&n);
        snapshots_gather_end(&n.live);
        if (e == ERR_OK && is_again)
            s->prune_kept = s->versions.count;
        s->prune_passes++;
    }
    s->prune_is_wanted = false;
    s->prune_at_us = core_now_us();
    s->prune_until = shared_commit_read();
    return e;
}
