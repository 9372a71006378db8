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
