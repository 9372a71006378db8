/* Attributes, assertions, checked integers, wire and page byte access. Included by everything. */
#ifndef CORE_BASE_H
#define CORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CACHE_LINE_BYTES 64
#define PRINTF_LIKE(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))
#define NORETURN __attribute__((noreturn))
#define COLD __attribute__((cold, noinline))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * A function that may suspend its fiber is named *_wait and marked SUSPENDS. Clang's thread-safety
 * analysis then rejects a call from an unmarked function or from a section between
 * nosuspend_begin() and nosuspend_end().
 */
#if defined(__clang__)
struct __attribute__((capability("suspension"))) suspension {
    char unused;
};
extern struct suspension may_suspend;
#define SUSPENDS __attribute__((requires_capability(may_suspend)))
#define SUSPENSION_RELEASED __attribute__((release_capability(may_suspend)))
#define SUSPENSION_ACQUIRED __attribute__((acquire_capability(may_suspend)))
#define NO_SUSPEND_ANALYSIS __attribute__((no_thread_safety_analysis))
#else
#define SUSPENDS
#define SUSPENSION_RELEASED
#define SUSPENSION_ACQUIRED
#define NO_SUSPEND_ANALYSIS
#endif

/* Between the two no fiber switch may happen; the suspend primitive asserts it. They nest. */
void nosuspend_begin(void) SUSPENSION_RELEASED;
void nosuspend_end(void) SUSPENSION_ACQUIRED;

NORETURN COLD void assert_failed(const char *file, int line, const char *condition);

/* Our own bugs only; on in release builds too. One condition, no side effects. */
#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (UNLIKELY(!(condition)))                                                                \
            assert_failed(__FILE__, __LINE__, #condition);                                         \
    } while (0)

#ifdef PERCORE_SLOW_CHECKS
#define ASSERT_SLOW(condition) ASSERT(condition)
#else
#define ASSERT_SLOW(condition) ((void)0)
#endif

/* Checked arithmetic: true when the result does not fit (C23's stdckdint by another name). */
static inline bool ckd_add_i64(int64_t *out, int64_t a, int64_t b)
{
    return __builtin_add_overflow(a, b, out);
}
static inline bool ckd_sub_i64(int64_t *out, int64_t a, int64_t b)
{
    return __builtin_sub_overflow(a, b, out);
}
static inline bool ckd_mul_i64(int64_t *out, int64_t a, int64_t b)
{
    return __builtin_mul_overflow(a, b, out);
}
static inline bool ckd_add_i32(int32_t *out, int32_t a, int32_t b)
{
    return __builtin_add_overflow(a, b, out);
}
static inline bool ckd_sub_i32(int32_t *out, int32_t a, int32_t b)
{
    return __builtin_sub_overflow(a, b, out);
}
static inline bool ckd_mul_i32(int32_t *out, int32_t a, int32_t b)
{
    return __builtin_mul_overflow(a, b, out);
}
static inline bool ckd_add_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    return __builtin_add_overflow(a, b, out);
}
static inline bool ckd_mul_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    return __builtin_mul_overflow(a, b, out);
}

/* Narrowing that asserts. */
static inline uint8_t u8_from(uint64_t x)
{
    ASSERT(x <= UINT8_MAX);
    return (uint8_t)x;
}
static inline uint16_t u16_from(uint64_t x)
{
    ASSERT(x <= UINT16_MAX);
    return (uint16_t)x;
}
static inline uint32_t u32_from(uint64_t x)
{
    ASSERT(x <= UINT32_MAX);
    return (uint32_t)x;
}
static inline int32_t i32_from(int64_t x)
{
    ASSERT(x >= INT32_MIN && x <= INT32_MAX);
    return (int32_t)x;
}

/* Page and log bytes: little endian, any alignment. Wire bytes: big endian. */
#define DEFINE_LOAD_STORE(bits)                                                                    \
    static inline uint##bits##_t load_u##bits(const void *p)                                       \
    {                                                                                              \
        uint##bits##_t v;                                                                          \
        memcpy(&v, p, sizeof(v));                                                                  \
        return v;                                                                                  \
    }                                                                                              \
    static inline void store_u##bits(void *p, uint##bits##_t v)                                    \
    {                                                                                              \
        memcpy(p, &v, sizeof(v));                                                                  \
    }
DEFINE_LOAD_STORE(16)
DEFINE_LOAD_STORE(32)
DEFINE_LOAD_STORE(64)
#undef DEFINE_LOAD_STORE
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pages and log are little endian");

static inline uint16_t load_be16(const void *p)
{
    return __builtin_bswap16(load_u16(p));
}
static inline uint32_t load_be32(const void *p)
{
    return __builtin_bswap32(load_u32(p));
}
static inline uint64_t load_be64(const void *p)
{
    return __builtin_bswap64(load_u64(p));
}
static inline void store_be16(void *p, uint16_t v)
{
    store_u16(p, __builtin_bswap16(v));
}
static inline void store_be32(void *p, uint32_t v)
{
    store_u32(p, __builtin_bswap32(v));
}
static inline void store_be64(void *p, uint64_t v)
{
    store_u64(p, __builtin_bswap64(v));
}

/* What the static analyzer cannot see; no code. */
#ifdef __clang_analyzer__
#define ASSUME(condition) ASSERT(condition)
#else
#define ASSUME(condition) ((void)0)
#endif

#endif
