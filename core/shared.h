/*
 * The words that threads share. Everything else belongs to one core. Each word has its own cache
 * line, and each has its reason here:
 *
 *   commit counter     Snapshots are values of it. One total order of commits is what makes a
 *                      snapshot taken after an acknowledged commit see it from any core.
 *   transaction ids    Unique over all cores for the life of the data directory.
 *   oldest snapshot    One word per core, written by that core only: the lower bound of what its
 *                      snapshots can see. Purge on any core reads all of them.
 *   snapshot moves     Snapshots that went from one core to another. Who looks at one core's word
 *                      after the other could miss one that moves meanwhile, and looks again when
 *                      this word has changed.
 *   core state         One per core: awake, asleep, borrowed. A sender must know whether to ring,
 *                      and a borrower must exclude the sleeper (see core/link.h).
 *   bell               One per core: a doorbell is on its way, so a second one is not needed.
 *   statistics pages   core/stats.h: single writer, anyone reads.
 *   stop flag          Set once at the end of the process.
 *   durable positions  Two words per log (in shard/settled.c), by its shard's core. Commits over
 *                      several shards need them, and asking would cost a message for each.
 *   stall watch        One word per core (in core/stall.c): which slice runs, for the watcher.
 *
 * Adding one needs a reason in this list.
 */
#ifndef CORE_SHARED_H
#define CORE_SHARED_H

#include "core/core.h"

#include <stdatomic.h>

#define SHARED_LINE _Alignas(CACHE_LINE_BYTES)

enum core_state { CORE_AWAKE, CORE_ASLEEP, CORE_BORROWED };

struct shared_core_words {
    SHARED_LINE _Atomic uint32_t state;
    SHARED_LINE _Atomic uint32_t bell;
    SHARED_LINE _Atomic uint64_t oldest_snapshot;
};

struct shared_words {
    SHARED_LINE _Atomic uint64_t commit_counter;
    SHARED_LINE _Atomic uint64_t transaction_counter;
    SHARED_LINE _Atomic uint64_t snapshot_moves;
    SHARED_LINE _Atomic bool is_stopping;
    struct shared_core_words cores[CORE_COUNT_MAX];
};
extern struct shared_words shared_words;

/* ---- commit counter ---- */

/* A new snapshot: sees every commit whose timestamp is at most this. */
static inline uint64_t shared_commit_read(void)
{
    return atomic_load_explicit(&shared_words.commit_counter, memory_order_seq_cst);
}
/* A commit's timestamp: counter + 1, taken. */
static inline uint64_t shared_commit_advance(void)
{
    return atomic_fetch_add_explicit(&shared_words.commit_counter, 1, memory_order_seq_cst) + 1;
}
/* Recovery and messages from elsewhere: the counter becomes at least value. */
void shared_commit_raise(uint64_t value);

/* ---- transaction ids ---- */

static inline uint64_t shared_transaction_next(void)
{
    return atomic_fetch_add_explicit(&shared_words.transaction_counter, 1, memory_order_relaxed) +
           1;
}
/* Takes count ids at once; returns the first. */
static inline uint64_t shared_transaction_take(uint64_t count)
{
    return atomic_fetch_add_explicit(&shared_words.transaction_counter, count,
                                     memory_order_relaxed) +
           1;
}
static inline uint64_t shared_transaction_read(void)
{
    return atomic_load_explicit(&shared_words.transaction_counter, memory_order_relaxed);
}
void shared_transaction_raise(uint64_t value);

/* ---- oldest snapshots ---- */

/*
 * UINT64_MAX = the core holds none. The safe order for a new snapshot when none older is published:
 *   shared_oldest_publish(core, shared_commit_read());   a lower bound, visible to all
 *   snapshot = shared_commit_read();                     may only be the same or newer
 * The store is sequentially consistent, so a purge that misses it has read its horizon before the
 * counter read below and cannot be ahead of the snapshot's bound.
 */
static inline void shared_oldest_publish(uint32_t core, uint64_t snapshot)
{
    atomic_store_explicit(&shared_words.cores[core].oldest_snapshot, snapshot,
                          memory_order_seq_cst);
}
static inline uint64_t shared_oldest_read(uint32_t core)
{
    return atomic_load_explicit(&shared_words.cores[core].oldest_snapshot, memory_order_seq_cst);
}
/* Between a moved snapshot's publication by its new core and its withdrawal by the old one. */
static inline void shared_snapshot_moved(void)
{
    atomic_fetch_add_explicit(&shared_words.snapshot_moves, 1, memory_order_seq_cst);
}
static inline uint64_t shared_snapshot_moves(void)
{
    return atomic_load_explicit(&shared_words.snapshot_moves, memory_order_seq_cst);
}
/* The purge horizon: versions that were replaced by a commit at or below it are invisible to all.
 * Reads the commit counter first, then every core's word. 0 when snapshots move all the time. */
uint64_t shared_oldest_min(void);

#endif
