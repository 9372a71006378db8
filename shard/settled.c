/*
 * What is settled: how much of a shard's log outlives a crash, whatever the other logs lose in it.
 *
 * A many-shard commit is stamped, and its locks go, before its PREPARE records are durable. Its
 * COMMIT records name their positions, the points; recovery ends each log in front of the first
 * COMMIT with a point that another log has lost (cut.c). So a position is settled when it is
 * durable, and with it all points of the COMMITs up to there. Replies, checkpoints and all else
 * that must not be taken back wait for that. Since a point was appended before the COMMITs that
 * name it, waiting for points never goes in a circle.
 *
 * The points that were not durable when last looked at are kept in the order of the log. Every log
 * tells its durable position in a word for all cores, so that looking costs no message.
 */
#include "shard/shard_priv.h"

#include <stdatomic.h>

/* Access: written by the log's writer, read by all. */
static struct {
    SHARED_LINE _Atomic uint64_t lsn;
} durable_words[SHARD_COUNT_MAX];

_Atomic uint64_t *settled_word(uint32_t shard_no)
{
    return &durable_words[shard_no].lsn;
}

static bool point_is_durable(const struct commit_point *p)
{
    return p->lsn <= atomic_load_explicit(&durable_words[p->shard_no].lsn, memory_order_acquire);
}

static struct settled_need *need_at(const struct settled *x, uint32_t i)
{
    return &x->needs[(x->first + i) & (x->capacity - 1)];
}

static void needs_grow(struct settled *x)
{
    uint32_t capacity = MAX(x->capacity * 2, 16u);
    struct settled_need *needs = core_malloc(capacity * sizeof(*needs));
    for (uint32_t i = 0; i < x->count; i++)
        needs[i] = *need_at(x, i);
    core_free(x->needs);
    x->needs = needs;
    x->first = 0;
    x->capacity = capacity;
}

void settled_init(struct settled *x)
{
    *x = (struct settled){.newest = core_zalloc(shard_count() * sizeof(lsn_t))};
}

void settled_destroy(struct settled *x)
{
    core_free(x->needs);
    core_free(x->newest);
    *x = (struct settled){0};
}

void settled_add(struct shard *s, lsn_t lsn, const struct commit_point *points, uint32_t count)
{
    struct settled *x = &s->settled;
    for (uint32_t i = 0; i < count; i++) {
        const struct commit_point *p = &points[i];
        if (p->shard_no == s->number || p->lsn <= x->newest[p->shard_no])
            continue;
        x->newest[p->shard_no] = p->lsn;
        if (point_is_durable(p))
            continue;
        if (x->count == x->capacity)
            needs_grow(x);
        *need_at(x, x->count++) = (struct settled_need){.lsn = lsn, .point = *p};
    }
}

lsn_t settled_lsn(struct shard *s)
{
    struct settled *x = &s->settled;
    while (x->count != 0 && point_is_durable(&need_at(x, 0)->point)) {
        x->first++;
        x->count--;
    }
    lsn_t durable = wal_durable(s->wal);
    x->lsn = x->count == 0 ? durable : MIN(durable, need_at(x, 0)->lsn - 1);
    return x->lsn;
}

uint32_t settled_unmet(const struct shard *s, struct commit_point *out)
{
    if (s->settled.count == 0)
        return 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < shard_count(); i++) {
        struct commit_point p = {.shard_no = i, .lsn = s->settled.newest[i]};
        if (!point_is_durable(&p))
            out[n++] = p;
    }
    return n;
}

SUSPENDS static err_t flush_point(void *arg)
{
    const struct commit_point *p = arg;
    return wal_flush_wait(shard_local(p->shard_no)->wal, p->lsn);
}

err_t settled_point_wait(const struct commit_point *point)
{
    if (point_is_durable(point))
        return ERR_OK;
    struct commit_point p = *point;
    return core_call_wait(shard_core(p.shard_no), flush_point, &p);
}

err_t shard_flush_wait(struct shard *s, lsn_t lsn)
{
    ASSERT(shard_is_owner(s));
    if (shard_is_settled(s, lsn))
        return ERR_OK;
    TRY(wal_flush_wait(s->wal, lsn));
    while (settled_lsn(s) < lsn) {
        if (core_is_borrowed())
            return ERR_INTERNAL_WOULD_SUSPEND;
        struct commit_point p = need_at(&s->settled, 0)->point;
        TRY(settled_point_wait(&p));
    }
    return ERR_OK;
}
