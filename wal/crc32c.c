/*
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78): the checksum of log records and pages.
 *
 * Chains: crc32c(crc32c(0, a), b) == crc32c(0, a followed by b). The processor's own instruction
 * where there is one, else eight tables (slicing by eight), built on first use.
 */
#include "wal/wal_priv.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

enum { SLICES = 8, POLYNOMIAL = (int)0x82f63b78 };

static uint32_t tables[SLICES][256];
static atomic_bool tables_ready; /* set after the tables; building twice at once writes the same */

static void tables_build(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? (uint32_t)POLYNOMIAL : 0);
        tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int s = 1; s < SLICES; s++)
            tables[s][i] = (tables[s - 1][i] >> 8) ^ tables[0][tables[s - 1][i] & 0xff];
    }
    atomic_store_explicit(&tables_ready, true, memory_order_release);
}

uint32_t crc32c_tables(uint32_t seed, const void *bytes, size_t len)
{
    if (!atomic_load_explicit(&tables_ready, memory_order_acquire))
        tables_build();
    const uint8_t *p = bytes;
    uint32_t crc = ~seed;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v = load_u64(p) ^ crc;
        crc = tables[7][v & 0xff] ^ tables[6][(v >> 8) & 0xff] ^ tables[5][(v >> 16) & 0xff] ^
              tables[4][(v >> 24) & 0xff] ^ tables[3][(v >> 32) & 0xff] ^
              tables[2][(v >> 40) & 0xff] ^ tables[1][(v >> 48) & 0xff] ^ tables[0][v >> 56];
    }
    for (; len > 0; len--, p++)
        crc = (crc >> 8) ^ tables[0][(crc ^ *p) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t seed, const void *bytes,
                                                               size_t len)
{
    const uint8_t *p = bytes;
    uint64_t crc = ~seed;
    for (; len >= 8; len -= 8, p += 8)
        crc = _mm_crc32_u64(crc, load_u64(p));
    for (; len > 0; len--, p++)
        crc = _mm_crc32_u8((uint32_t)crc, *p);
    return ~(uint32_t)crc;
}
#endif

uint32_t crc32c(uint32_t seed, const void *bytes, size_t len)
{
#if defined(__x86_64__)
    if (LIKELY(__builtin_cpu_supports("sse4.2")))
        return crc32c_sse42(seed, bytes, len);
    return crc32c_tables(seed, bytes, len);
#elif defined(__ARM_FEATURE_CRC32)
    const uint8_t *p = bytes;
    uint32_t crc = ~seed;
    for (; len >= 8; len -= 8, p += 8)
        crc = __crc32cd(crc, load_u64(p));
    for (; len > 0; len--, p++)
        crc = __crc32cb(crc, *p);
    return ~crc;
#else
    return crc32c_tables(seed, bytes, len);
#endif
}
