/*
 * What is settled: how much of a shard's log outlives a crash, whatever the other logs lose in it.
 *
 * A many-shard commit is stamped, and its locks go, before its PREPARE records are durable. Its
 * COMMIT records name their positions, the points; recovery ends each log in front of the first
 * COMMIT with a point that another log has lost (cut.c). So a position is settled when it is
 * durable, and with it everything that the COMMITs up to there need: their points, and what was
 * needed in front of these points. A commit gets the latter from its participants with their
 * PREPARE. Replies, checkpoints and all else that must not be taken back wait for that. What a
 * COMMIT needs was appended before it, so waiting never goes in a circle.
 *
 * What is needed and was not met when last looked at is kept in the order of the log. When all that
 * a COMMIT needs is durable, so is what stands in front of it in the logs where it is: these
 * positions are settled too, though the shard whose log it is may not have looked yet (`met`).
 *
 * Every log tells its durable position in a word for all cores, so that looking costs no message.
 */
#include "shard/shard_priv.h"

#include <stdatomic.h>

/* Access: written by the shard's owner, with a write to its disk; read by all. Packed, since
 * commits read the settled ones of all shards (anchor.c). */
static SHARED_LINE _Atomic uint64_t durable_words[SHARD_COUNT_MAX];
static SHARED_LINE _Atomic uint64_t settled_words[SHARD_COUNT_MAX];

_Atomic uint64_t *settled_word(uint32_t shard_no)
{
    return &durable_words[shard_no];
}

lsn_t settled_elsewhere(uint32_t shard_no)
{
    return atomic_load_explicit(&settled_words[shard_no], memory_order_acquire);
}

static bool is_durable(uint32_t shard_no, lsn_t lsn)
{
    return lsn <= atomic_load_explicit(&durable_words[shard_no], memory_order_acquire);
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

void settled_init(struct shard *s)
{
    s->settled = (struct settled){.newest = core_zalloc(shard_count() * sizeof(lsn_t)),
                                  .met = core_zalloc(shard_count() * sizeof(lsn_t))};
    atomic_store(&durable_words[s->number], 0); /* of a directory that was open before */
    atomic_store(&settled_words[s->number], 0);
}

void settled_destroy(struct settled *x)
{
    core_free(x->needs);
    core_free(x->newest);
    core_free(x->met);
    *x = (struct settled){0};
}

void settled_add(struct shard *s, lsn_t start, const lsn_t *needs)
{
    struct settled *x = &s->settled;
    for (uint32_t i = 0; i < shard_count(); i++) {
        if (i == s->number || needs[i] <= x->newest[i])
            continue;
        x->newest[i] = needs[i];
        if (x->count == x->capacity)
            needs_grow(x);
        *need_at(x, x->count++) =
            (struct settled_need){.start = start, .shard_no = i, .lsn = needs[i]};
    }
}

/* The first one of the oldest COMMIT that is not met, and how many of that COMMIT's are in front of
 * it; NULL: that many are all of them. */
static const struct settled_need *unmet(const struct settled *x, uint32_t *met)
{
    *met = 0;
    while (*met < x->count && need_at(x, *met)->start == need_at(x, 0)->start) {
        const struct settled_need *n = need_at(x, *met);
        if (!is_durable(n->shard_no, n->lsn))
            return n;
        ++*met;
    }
    return NULL;
}

void settled_learn(struct shard *s, uint32_t shard_no, lsn_t lsn)
{
    s->settled.met[shard_no] = MAX(s->settled.met[shard_no], lsn);
}

lsn_t settled_lsn(struct shard *s)
{
    struct settled *x = &s->settled;
    uint32_t met;
    while (x->count != 0 && unmet(x, &met) == NULL) {
        for (; met > 0; met--) {
            settled_learn(s, need_at(x, 0)->shard_no, need_at(x, 0)->lsn);
            x->first++;
            x->count--;
        }
    }
    lsn_t durable = wal_durable(s->wal);
    lsn_t lsn = x->count == 0 ? durable : MIN(durable, need_at(x, 0)->start);
    if (lsn != x->lsn) {
        x->lsn = lsn;
        atomic_store_explicit(&settled_words[s->number], lsn, memory_order_release);
    }
    return lsn;
}

void settled_unmet(const struct shard *s, lsn_t *needs)
{
    if (s->settled.count == 0)
        return;
    for (uint32_t i = 0; i < shard_count(); i++)
        if (!is_durable(i, s->settled.newest[i]))
            needs[i] = MAX(needs[i], s->settled.newest[i]);
}

struct flush_call {
    uint32_t shard_no;
    lsn_t lsn;
};

SUSPENDS static err_t flush_log(void *arg)
{
    const struct flush_call *c = arg;
    return wal_flush_wait(shard_local(c->shard_no)->wal, c->lsn);
}

err_t settled_need_wait(uint32_t shard_no, lsn_t lsn)
{
    if (is_durable(shard_no, lsn))
        return ERR_OK;
    struct flush_call c = {.shard_no = shard_no, .lsn = lsn};
    return core_call_wait(shard_core(shard_no), flush_log, &c);
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
        uint32_t met;
        const struct settled_need *n = unmet(&s->settled, &met);
        if (n != NULL) /* else all are by now */
            TRY(settled_need_wait(n->shard_no, n->lsn));
    }
    return ERR_OK;
}
