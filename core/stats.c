/* Counters and histograms of the cores; see stats.h. */
#include "core/stats.h"

#include "core/core_priv.h"

/* Where no core runs (start-up, tools) counts go nowhere that is read. */
static __thread union {
    struct stats_page page;
    char room[sizeof(struct stats_page) + sizeof(struct stats_link)];
} nowhere;

struct stats_page *stats_self(void)
{
    return runner.core != NULL ? runner.core->stats : &nowhere.page;
}

const struct stats_page *stats_of(uint32_t core)
{
    return core < process.core_count ? process.cores[core]->stats : NULL;
}

/* Values 0–3 have their own bucket; above, the two bits below the highest choose a quarter. */
static uint32_t bucket_of(uint64_t value)
{
    if (value < 4)
        return (uint32_t)value;
    uint32_t log = 63 - (uint32_t)__builtin_clzll(value);
    uint32_t bucket = (log - 1) * 4 + (uint32_t)(value >> (log - 2) & 3);
    return MIN(bucket, STATS_BUCKET_COUNT - 1);
}

static uint64_t bucket_upper(uint32_t bucket)
{
    if (bucket < 4)
        return bucket;
    uint32_t log = bucket / 4 + 1;
    uint64_t quarter = bucket % 4;
    return ((uint64_t)1 << log) + ((quarter + 1) << (log - 2)) - 1;
}

void stats_histogram_add(struct stats_histogram *h, uint64_t value)
{
    stats_add(&h->count, 1);
    stats_add(&h->sum, value);
    stats_add(&h->buckets[bucket_of(value)], 1);
}

uint64_t stats_histogram_quantile(const struct stats_histogram *h, double quantile)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < STATS_BUCKET_COUNT; i++)
        count += stats_read(&h->buckets[i]);
    if (count == 0)
        return 0;
    uint64_t rank = (uint64_t)(quantile * (double)count);
    if (rank >= count)
        rank = count - 1;
    for (uint32_t i = 0; i < STATS_BUCKET_COUNT; i++) {
        uint64_t n = stats_read(&h->buckets[i]);
        if (rank < n)
            return bucket_upper(i);
        rank -= n;
    }
    return bucket_upper(STATS_BUCKET_COUNT - 1);
}

void stats_histogram_merge(struct stats_histogram *to, const struct stats_histogram *from)
{
    stats_add(&to->count, stats_read(&from->count));
    stats_add(&to->sum, stats_read(&from->sum));
    for (uint32_t i = 0; i < STATS_BUCKET_COUNT; i++)
        stats_add(&to->buckets[i], stats_read(&from->buckets[i]));
}

void stats_latency_add(enum stats_class class, enum stats_stage stage, uint64_t ns)
{
    stats_histogram_add(&stats_self()->latency[class][stage], ns);
}

static const size_t move_words[] = {
#define MOVE(name, description) offsetof(struct stats_page, name),
    STATS_MOVES(MOVE)
#undef MOVE
};

uint64_t stats_move(const struct stats_page *page, uint32_t index)
{
    ASSERT(index < ARRAY_LEN(move_words));
    return stats_read((const stats_word *)(const void *)((const char *)page + move_words[index]));
}

void stats_moves_reset(void)
{
    struct stats_page *page = stats_self();
#define MOVE(name, description) atomic_store_explicit(&page->name, 0, memory_order_relaxed);
    STATS_MOVES(MOVE)
#undef MOVE
}

void stats_latency_reset(void)
{
    struct stats_page *page = stats_self();
    for (uint32_t class = 0; class < STATS_CLASS_COUNT; class ++) {
        for (uint32_t stage = 0; stage < STATS_STAGE_COUNT; stage++) {
            struct stats_histogram *h = &page->latency[class][stage];
            atomic_store_explicit(&h->count, 0, memory_order_relaxed);
            atomic_store_explicit(&h->sum, 0, memory_order_relaxed);
            for (uint32_t i = 0; i < STATS_BUCKET_COUNT; i++)
                atomic_store_explicit(&h->buckets[i], 0, memory_order_relaxed);
        }
    }
}

/* ---- traces ---- */

uint64_t stats_clock(void)
{
    return core_ticks();
}

struct stats_trace *stats_trace(void)
{
    return runner.fiber != NULL ? runner.fiber->trace : NULL;
}

void stats_trace_begin(struct stats_trace *t, uint64_t began_at)
{
    ASSERT(runner.fiber != NULL);
    uint64_t now = core_ticks();
    *t = (struct stats_trace){.began_at = began_at, .class = STATS_CLASS_other};
    t->ticks[STATS_STAGE_queue] = now > began_at ? now - began_at : 0;
    runner.fiber->trace = t;
}

void stats_trace_class(enum stats_class class)
{
    struct stats_trace *t = stats_trace();
    if (t != NULL)
        t->class = class;
}

void stats_trace_add(enum stats_stage stage, uint64_t since)
{
    struct stats_trace *t = stats_trace();
    if (t != NULL)
        t->ticks[stage] += core_ticks() - since;
}

uint64_t stats_trace_waited(void)
{
    const struct stats_trace *t = stats_trace();
    return t != NULL ? t->ticks[STATS_STAGE_lock] + t->ticks[STATS_STAGE_hop] +
                           t->ticks[STATS_STAGE_read] + t->ticks[STATS_STAGE_flush]
                     : 0;
}

void stats_trace_add_work(enum stats_stage stage, uint64_t since, uint64_t waited_before)
{
    struct stats_trace *t = stats_trace();
    if (t == NULL)
        return;
    uint64_t all = core_ticks() - since;
    uint64_t waited = stats_trace_waited() - waited_before;
    t->ticks[stage] += all > waited ? all - waited : 0;
}

void stats_trace_end(void)
{
    struct stats_trace *t = stats_trace();
    if (t == NULL)
        return;
    runner.fiber->trace = NULL;
    t->ticks[STATS_STAGE_total] = core_ticks() - t->began_at;
    for (uint32_t stage = 0; stage < STATS_STAGE_COUNT; stage++) {
        if (t->ticks[stage] != 0)
            stats_latency_add(t->class, (enum stats_stage)stage,
                              t->ticks[stage] * 1000 / process.ticks_per_us);
    }
}

/* ---- names ---- */

static const char *const counter_names[] = {
#define STAT(name, description) #name,
    STATS_COUNTERS(STAT)
#undef STAT
};

const char *stats_counter_name(uint32_t index)
{
    return index < ARRAY_LEN(counter_names) ? counter_names[index] : NULL;
}

uint64_t stats_counter(const struct stats_page *page, uint32_t index)
{
    ASSERT(index < ARRAY_LEN(counter_names));
    return stats_read(&(&page->loops)[index]);
}

const char *stats_stage_name(enum stats_stage stage)
{
    static const char *const names[] = {
#define STAGE(name) #name,
        STATS_STAGES(STAGE)
#undef STAGE
    };
    return names[stage];
}

const char *stats_class_name(enum stats_class class)
{
    static const char *const names[] = {
#define CLASS(name) #name,
        STATS_CLASSES(CLASS)
#undef CLASS
    };
    return names[class];
}
