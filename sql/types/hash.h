/*
 * Hashing of values. Row placement depends on these results, so they are part of the data
 * directory's format: they never change.
 */
#ifndef SQL_TYPES_HASH_H
#define SQL_TYPES_HASH_H

#include "core/base.h"

static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    x ^= x >> 32;
    return x;
}
static inline uint64_t hash_u64(uint64_t x)
{
    return hash_mix(x + 0x9e3779b97f4a7c15ULL);
}
static inline uint64_t hash_combine(uint64_t h, uint64_t next)
{
    return hash_mix(h ^ (next + 0x9e3779b97f4a7c15ULL + (h << 6) + (h >> 2)));
}
static inline uint64_t hash_bytes(const void *bytes, size_t len)
{
    const uint8_t *p = (const uint8_t *)bytes;
    uint64_t h = 0x9e3779b97f4a7c15ULL ^ (uint64_t)len;
    while (len >= 8) {
        h = hash_mix(h ^ load_u64(p)) + 0x632be59bd9b4e019ULL;
        p += 8;
        len -= 8;
    }
    uint64_t tail = 0;
    for (size_t i = 0; i < len; i++)
        tail |= (uint64_t)p[i] << (8 * i);
    return hash_mix(h ^ tail);
}

/* The hash functions that SQL can call (hashint4, hashtext, ...): PostgreSQL's values. */
uint32_t pg_hash_bytes(const void *bytes, size_t len);
uint64_t pg_hash_bytes_extended(const void *bytes, size_t len, uint64_t seed);
uint32_t pg_hash_u32(uint32_t k);
uint64_t pg_hash_u32_extended(uint32_t k, uint64_t seed);

#endif
