/*
 * Where the logs of all shards end together. While they are read, what no cut can take is
 * replayed.
 *
 * A COMMIT record of a many-shard transaction names the positions of its PREPARE records, and the
 * log may have come to the disk before them. So each log ends at most in front of the first COMMIT
 * with a point behind the end of another log; which may take points from under COMMITs elsewhere,
 * until nothing changes any more. What goes was never answered: replies wait until what they tell
 * is settled (settled.c), and a COMMIT carries how far its log was settled then, so that only
 * COMMITs behind the last such mark are looked at.
 *
 * First it is looked at whether each log goes as far as the others say (anchor.c).
 *
 * The ends are the same when recovery is interrupted and done again: they are the highest that fit
 * together, and no log loses anything in front of its own.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

struct cut_commit {
    struct cut_commit *next;
    lsn_t start; /* in front of the record */
    lsn_t lsn;
    uint32_t count;
    struct cut_point {
        uint32_t shard_no;
        lsn_t lsn;
    } points[];
};

struct cut {
    lsn_t at; /* in front of the record that is read next */
    lsn_t end;
    struct cut_commit *first; /* not known to be settled, in the order of the log */
    struct cut_commit **last;
};

static void drop_settled(struct cut *c, lsn_t settled)
{
    while (c->first != NULL && c->first->lsn <= settled) {
        struct cut_commit *old = c->first;
        c->first = old->next;
        if (c->first == NULL)
            c->last = &c->first;
        core_free(old);
    }
}

static err_t note_record(struct shard *s, uint8_t kind, const uint8_t *payload, uint32_t len,
                         lsn_t start, lsn_t lsn)
{
    struct cut *c = s->cut;
    struct byte_reader r = {.at = payload, .end = payload + len};
    if (kind == LOG_ANCHOR)
        return anchor_read(s, &r) ? ERR_OK : log_record_bad(kind, lsn);
    if (kind != LOG_COMMIT)
        return ERR_OK;
    (void)read_u64(&r); /* its id */
    (void)read_u64(&r); /* its timestamp */
    if (read_u8(&r) == 0 || r.at == r.end)
        return ERR_OK;
    drop_settled(c, read_u64(&r));
    uint32_t count = (uint32_t)(r.end - r.at) / COMMIT_POINT_BYTES;
    struct cut_commit *k = core_malloc(sizeof(*k) + count * sizeof(struct cut_point));
    *k = (struct cut_commit){.start = start, .lsn = lsn, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        k->points[i].shard_no = read_u32(&r);
        k->points[i].lsn = read_u64(&r);
        if (k->points[i].shard_no >= shard_count())
            r.is_bad = true;
    }
    *c->last = k;
    c->last = &k->next;
    return r.is_bad || r.at != r.end ? log_record_bad(kind, lsn) : ERR_OK;
}

/* In front of the first COMMIT that is not known to be settled, a log is not cut. */
static err_t look_at_record(void *shard, uint8_t kind, const uint8_t *payload, uint32_t len,
                            lsn_t lsn, lsn_t *safe)
{
    struct shard *s = shard;
    struct cut *c = s->cut;
    TRY(note_record(s, kind, payload, len, c->at, lsn));
    c->at = lsn;
    *safe = c->first == NULL ? lsn : c->first->start;
    return ERR_OK;
}

err_t cut_read_wait(struct shard *s)
{
    struct cut *c = core_zalloc(sizeof(*c));
    s->cut = c;
    c->at = s->checkpoint_lsn;
    c->last = &c->first;
    return wal_replay_begin_wait(s->wal, s->checkpoint_lsn,
                                 shard_count() > 1 ? look_at_record : NULL, redo_record_wait, s,
                                 &c->end);
}

void cut_free(struct shard *s)
{
    if (s->cut == NULL)
        return;
    drop_settled(s->cut, UINT64_MAX);
    core_free(s->cut);
    s->cut = NULL;
}

struct cut_call {
    uint32_t shard_no;
    lsn_t *ends; /* of all shards */
    bool changed;
};

static err_t take_end(void *arg)
{
    struct cut_call *c = arg;
    c->ends[c->shard_no] = shard_local(c->shard_no)->cut->end;
    return ERR_OK;
}

static err_t check_ends(void *arg)
{
    struct cut_call *c = arg;
    const lsn_t *anchors = shard_local(c->shard_no)->anchors;
    for (uint32_t i = 0; i < shard_count(); i++) {
        if (anchors[i] <= c->ends[i] || DEFECT(ANCHORS_NOT_READ))
            continue;
        err_t e = err_raise(ERR_DATA_CORRUPTED, "log of shard %u is damaged at %llX", i,
                            (unsigned long long)c->ends[i]);
        err_detail("It was durable up to %llX, as the log of shard %u says.",
                   (unsigned long long)anchors[i], c->shard_no);
        return e;
    }
    return ERR_OK;
}

static bool has_lost_point(const struct cut_commit *k, const lsn_t *ends)
{
    for (uint32_t i = 0; i < k->count; i++)
        if (k->points[i].lsn > ends[k->points[i].shard_no])
            return true;
    return false;
}

static err_t lower_end(void *arg)
{
    struct cut_call *c = arg;
    const struct cut *x = shard_local(c->shard_no)->cut;
    for (const struct cut_commit *k = x->first; k != NULL; k = k->next) {
        if (k->lsn > c->ends[c->shard_no])
            break;
        if (has_lost_point(k, c->ends) && !DEFECT(LOGS_NOT_CUT)) {
            c->ends[c->shard_no] = k->start;
            c->changed = true;
            break;
        }
    }
    return ERR_OK;
}

SUSPENDS static err_t cut_here_wait(void *arg)
{
    struct cut_call *c = arg;
    struct shard *s = shard_local(c->shard_no);
    lsn_t at = c->ends[c->shard_no];
    err_t e = at < s->cut->end ? wal_cut_wait(s->wal, at, s->cut->end) : ERR_OK;
    cut_free(s);
    return e;
}

SUSPENDS static err_t on_each_shard_wait(core_fn fn, struct cut_call *c)
{
    for (c->shard_no = 0; c->shard_no < shard_count(); c->shard_no++)
        TRY(core_call_wait(shard_core(c->shard_no), fn, c));
    return ERR_OK;
}

err_t cut_logs_wait(void)
{
    struct cut_call c = {.ends = core_zalloc(shard_count() * sizeof(lsn_t))};
    err_t e = on_each_shard_wait(take_end, &c);
    if (e == ERR_OK)
        e = on_each_shard_wait(check_ends, &c);
    do {
        c.changed = false;
        if (e == ERR_OK)
            e = on_each_shard_wait(lower_end, &c);
    } while (c.changed && e == ERR_OK);
    if (e == ERR_OK)
        e = on_each_shard_wait(cut_here_wait, &c);
    core_free(c.ends);
    return e;
}
