/*
 * Per-core counters and latency histograms. Each core owns one page of words: only the running core
 * writes it (plain relaxed stores, no locked instructions), anyone reads it at any time.
 *
 * Histograms are log-bucketed: four buckets per power of two, so a quantile is right within 19 %.
 */
#ifndef CORE_STATS_H
#define CORE_STATS_H

#include "core/base.h"

#include <stdatomic.h>

/* STAT(name, description) */
#define STATS_COUNTERS(STAT)                                                                       \
    STAT(loops, "turns of the reactor")                                                            \
    STAT(busy_ns, "time spent in turns that found work")                                           \
    STAT(spins, "turns that polled without finding work")                                          \
    STAT(sleeps, "times the core slept in its ring")                                               \
    STAT(sqes, "operations submitted to the kernel")                                               \
    STAT(cqes, "completions reaped")                                                               \
    STAT(enters, "io_uring_enter calls")                                                           \
    STAT(messages_out, "messages sent to other cores")                                             \
    STAT(messages_in, "messages received from other cores")                                        \
    STAT(doorbells_out, "sleeping cores woken")                                                    \
    STAT(doorbells_in, "times woken by another core")                                              \
    STAT(late_wakes, "messages found after a sleep that no doorbell announced")                    \
    STAT(overflows, "messages that found their link full")                                         \
    STAT(borrows, "short calls run on a sleeping core in place")                                   \
    STAT(borrow_refusals, "short calls that had to go by message")                                 \
    STAT(calls, "calls started")                                                                   \
    STAT(fibers_started, "fibers started")                                                         \
    STAT(switches, "fiber runs")                                                                   \
    STAT(stalls, "slices above stall_log_us")                                                      \
    STAT(fibers, "live fibers")                                                                    \
    STAT(fiber_stacks, "stacks mapped, live and pooled")                                           \
    STAT(sessions, "client sessions")                                                              \
    STAT(sockets, "open sockets")                                                                  \
    STAT(memory_bytes, "bytes held by arenas and core_malloc")                                     \
    STAT(pool_bytes, "bytes of free blocks kept for reuse")                                        \
    STAT(connections_ended, "client connections that were here and ended")                         \
    STAT(version_bytes, "bytes of old row versions in memory")                                     \
    STAT(versions_spilled, "old row versions that are in files only")                              \
    STAT(spill_writes, "old row versions written to files")                                        \
    STAT(spill_reads, "heap pages whose versions were read back")

/* MOVE(name, description): sessions that go from core to core (pg_stat_core_migration). */
#define STATS_MOVES(MOVE)                                                                          \
    MOVE(moves_in, "sessions that came to the core")                                               \
    MOVE(moves_out, "sessions that left it")                                                       \
    MOVE(out_data, "of these: toward the shard that their statements touched")                     \
    MOVE(out_load, "of these: away from it because it was busy")                                   \
    MOVE(out_forced, "of these: session_moves = force")                                            \
    MOVE(out_requested, "of these: percore_move_session()")                                        \
    MOVE(refused_socket, "stayed: the client was going, or its socket could not be handed over")   \
    MOVE(refused_stopping, "stayed: the server was shutting down")                                 \
    MOVE(in_ns, "time from the decision on the old core to the arrival here")

/* STAGE(name): stages of a statement. CLASS(name): classes of statements. */
// clang-format off
#define STATS_STAGES(STAGE)                                                                        \
    STAGE(queue) STAGE(parse) STAGE(plan) STAGE(run) STAGE(lock)                                   \
    STAGE(hop) STAGE(read) STAGE(flush) STAGE(send) STAGE(total)
#define STATS_CLASSES(CLASS)                                                                       \
    CLASS(select) CLASS(insert) CLASS(update) CLASS(delete) CLASS(commit) CLASS(other)
// clang-format on

enum stats_stage {
#define STAGE(name) STATS_STAGE_##name,
    STATS_STAGES(STAGE)
#undef STAGE
        STATS_STAGE_COUNT
};
enum stats_class {
#define CLASS(name) STATS_CLASS_##name,
    STATS_CLASSES(CLASS)
#undef CLASS
        STATS_CLASS_COUNT
};

typedef _Atomic uint64_t stats_word;

enum { STATS_BUCKET_COUNT = 160 }; /* up to 2^40 ns: 18 minutes */
struct stats_histogram {
    stats_word count;
    stats_word sum;
    stats_word buckets[STATS_BUCKET_COUNT];
};

/* One peer of a core. */
struct stats_link {
    stats_word messages_out;
    stats_word messages_in;
    stats_word doorbells_out;
    stats_word overflow_depth;
};

struct stats_page {
#define STAT(name, description) stats_word name;
    STATS_COUNTERS(STAT)
#undef STAT
#define MOVE(name, description) stats_word name;
    STATS_MOVES(MOVE)
#undef MOVE
    stats_word connections_came; /* from other cores, as moves_in, but never reset */
    stats_word connections_left;
    uint32_t core_id;
    int32_t cpu;
    int32_t numa_node;
    struct stats_histogram latency[STATS_CLASS_COUNT][STATS_STAGE_COUNT];
    struct stats_histogram turn_ns;
    struct stats_link links[]; /* one per core */
};

/* The running core's page; a private dummy where no core runs. */
struct stats_page *stats_self(void);
/* Any core's page, NULL when there is no such core. */
const struct stats_page *stats_of(uint32_t core);

static inline void stats_add(stats_word *word, uint64_t n)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
static inline void stats_sub(stats_word *word, uint64_t n)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) - n,
                          memory_order_relaxed);
}
static inline uint64_t stats_read(const stats_word *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

void stats_histogram_add(struct stats_histogram *h, uint64_t value);
/* Upper bound of the bucket that holds the quantile (0.0–1.0); 0 when empty. */
uint64_t stats_histogram_quantile(const struct stats_histogram *h, double quantile);
/* Adds from into to (for sums over cores; to is private). */
void stats_histogram_merge(struct stats_histogram *to, const struct stats_histogram *from);
void stats_latency_add(enum stats_class class, enum stats_stage stage, uint64_t ns);
/* The running core's words of STATS_MOVES become 0. */
void stats_moves_reset(void);
uint64_t stats_move(const struct stats_page *page, uint32_t index); /* in the order of the table */
/* Empties the running core's latency histograms. */
void stats_latency_reset(void);

/*
 * Where the time of a request goes. A trace hangs on the fiber that serves the request; what waits
 * or works says so where it does. On other cores' fibers there is none: their work is the
 * requester's hop. Times are in ticks of the processor's counter.
 */
struct stats_trace {
    uint64_t ticks[STATS_STAGE_COUNT];
    uint64_t began_at;
    enum stats_class class;
};
uint64_t stats_clock(void);
/* The running fiber's; NULL: it has none. */
struct stats_trace *stats_trace(void);
void stats_trace_begin(struct stats_trace *t, uint64_t began_at);
void stats_trace_class(enum stats_class class);
/* The time since then belongs to a stage. */
void stats_trace_add(enum stats_stage stage, uint64_t since);
/* Time spent waiting so far (lock, hop, read, flush), to be taken off what surrounds it. */
uint64_t stats_trace_waited(void);
/* As stats_trace_add, without what was spent waiting meanwhile. */
void stats_trace_add_work(enum stats_stage stage, uint64_t since, uint64_t waited_before);
/* Into the core's histograms, stages that took no time left out. */
void stats_trace_end(void);

/* The counters by index, for pg_stat_core: name NULL past the end. */
const char *stats_counter_name(uint32_t index);
uint64_t stats_counter(const struct stats_page *page, uint32_t index);
const char *stats_stage_name(enum stats_stage stage);
const char *stats_class_name(enum stats_class class);

#endif
