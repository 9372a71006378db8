/*
 * Settling prepared transactions after replay. Two kinds are met: those in the middle of a
 * many-shard commit, PREPARED, and those that their users have prepared, held (hold.c).
 * Every shard gives its list of prepared transactions;
 * for each, every participant is asked what it knows. All have prepared or committed it: it is
 * committed, since its coordinator may have said so to the client. Otherwise one never prepared, so
 * nobody was told anything: it is rolled back. A committed one is forgotten by a participant only
 * when all have their COMMIT settled, so "unknown" never means "committed and forgotten" while
 * another is still prepared.
 *
 * A held one that every participant knows, but that not all have prepared, stays held: its COMMIT
 * PREPARED, if there was one, had not come to its end. One participant knows nothing: either not
 * all came to hold it, or its rollback had begun; it is rolled back.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

struct doubt {
    txn_id_t id;
    uint32_t count;
    uint32_t *participants;
    struct doubt *next;
};

struct ask {
    uint32_t shard_no;
    txn_id_t id;
    enum { OUTCOME_COMMIT, OUTCOME_ROLLBACK, OUTCOME_HELD } outcome;
    ts_t ts; /* in: of the commit; out: of a commit already done */
    enum { KNOWS_NOTHING, KNOWS_HELD, KNOWS_PREPARED, KNOWS_COMMITTED } knows;
    struct doubt *doubts; /* out */
};

/* On the shard's core; the list is freed by doubts_free there. */
static err_t list_doubts(void *arg)
{
    struct ask *a = arg;
    struct shard *s = shard_local(a->shard_no);
    for (const struct part *p = s->parts_first; p != NULL; p = p->next) {
        if (p->state == PART_COMMITTED || (p->state == PART_ACTIVE && !p->is_held))
            continue;
        struct doubt *d = core_zalloc(sizeof(*d));
        d->id = p->id;
        d->count = p->participant_count;
        d->participants = p->participants; /* stays while it is prepared: nothing runs yet */
        d->next = a->doubts;
        a->doubts = d;
    }
    return ERR_OK;
}

static err_t free_doubts(void *arg)
{
    struct ask *a = arg;
    while (a->doubts != NULL) {
        struct doubt *d = a->doubts;
        a->doubts = d->next;
        core_free(d);
    }
    return ERR_OK;
}

static err_t ask_status(void *arg)
{
    struct ask *a = arg;
    struct shard *s = shard_local(a->shard_no);
    const struct part *p = part_find(s, a->id);
    const struct finished_txn *f = finished_find(s, a->id);
    a->knows = KNOWS_NOTHING;
    if (f != NULL) {
        a->knows = KNOWS_COMMITTED;
        a->ts = f->ts;
    } else if (p != NULL && p->state == PART_PREPARED) {
        a->knows = KNOWS_PREPARED;
    } else if (p != NULL && p->is_held) {
        a->knows = KNOWS_HELD;
    }
    return ERR_OK;
}

SUSPENDS static err_t tell_outcome(void *arg)
{
    struct ask *a = arg;
    struct shard *s = shard_local(a->shard_no);
    lsn_t lsn;
    if (a->outcome == OUTCOME_COMMIT)
        return part_decide_wait(s, a->id, a->ts, NULL, 0, NULL, &lsn);
    if (a->outcome == OUTCOME_HELD)
        return part_hold_again_wait(s, a->id);
    return part_rollback_wait(s, a->id);
}

SUSPENDS static err_t settle_wait(const struct doubt *d, uint32_t own_shard)
{
    ts_t ts = 0;
    struct ask a = {.shard_no = own_shard, .id = d->id, .outcome = OUTCOME_COMMIT};
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->participants[i] >= shard_count())
            return err_raise(ERR_DATA_CORRUPTED, "prepared transaction names shard %u",
                             d->participants[i]);
        struct ask one = {.shard_no = d->participants[i], .id = d->id};
        TRY(core_call_wait(shard_core(one.shard_no), ask_status, &one));
        if (one.knows == KNOWS_NOTHING && !DEFECT(SETTLED_BY_GUESS))
            a.outcome = OUTCOME_ROLLBACK;
        if (one.knows == KNOWS_HELD && a.outcome == OUTCOME_COMMIT)
            a.outcome = OUTCOME_HELD;
        if (one.knows == KNOWS_COMMITTED)
            ts = one.ts;
    }
    a.ts = a.outcome == OUTCOME_COMMIT && ts == 0 ? shared_commit_advance() : ts;
    /* Only here: the other participants find it in their own lists. All come to the same answer, so
     * committing needs one timestamp, which the first one logged hands on through `finished`. */
    return core_call_wait(shard_core(own_shard), tell_outcome, &a);
}

err_t recovery_settle_wait(void)
{
    /* Shard by shard. A rollback here makes the others find "knows nothing", a commit "committed":
     * the answers stay the same while the lists shrink. */
    for (uint32_t i = 0; i < shard_count(); i++) {
        struct ask list = {.shard_no = i};
        TRY(core_call_wait(shard_core(i), list_doubts, &list));
        err_t e = ERR_OK;
        for (const struct doubt *d = list.doubts; d != NULL && e == ERR_OK; d = d->next)
            e = settle_wait(d, i);
        TRY(core_call_wait(shard_core(i), free_doubts, &list));
        TRY(e);
    }
    return ERR_OK;
}
