/* Where rows and shards are: hash → bucket → shard → core. Set once before the shards are opened,
 * then only read. */
#include "shard/shard_priv.h"

/* Access: written before use; shards[n] by the core that owns shard n. */
static struct {
    uint32_t count;
    uint32_t cores;
    uint16_t bucket_shard[BUCKET_COUNT];
    struct shard *shards[SHARD_COUNT_MAX];
} placement;

void placement_set(uint32_t count)
{
    ASSERT(count > 0);
    ASSERT(count <= SHARD_COUNT_MAX);
    placement.count = count;
    placement.cores = core_count();
    for (uint32_t i = 0; i < BUCKET_COUNT; i++)
        placement.bucket_shard[i] = (uint16_t)(i % count);
}

void placement_put_shard(uint32_t shard_no, struct shard *s)
{
    ASSERT(shard_no < placement.count);
    placement.shards[shard_no] = s;
}

struct shard *placement_shard(uint32_t shard_no)
{
    ASSERT(shard_no < placement.count);
    return placement.shards[shard_no];
}

uint32_t shard_count(void)
{
    return placement.count;
}

uint32_t shard_of_hash(uint64_t hash)
{
    return placement.bucket_shard[hash % BUCKET_COUNT];
}

uint32_t shard_core(uint32_t shard_no)
{
    ASSERT(shard_no < placement.count);
    return shard_no % placement.cores;
}

uint32_t shard_home_of_core(uint32_t core)
{
    return core % placement.count;
}

struct shard *shard_local(uint32_t shard_no)
{
    ASSERT(shard_core(shard_no) == core_id());
    struct shard *s = placement.shards[shard_no];
    ASSERT(s != NULL);
    return s;
}

uint32_t shard_number(const struct shard *s)
{
    return s->number;
}
