/*
 * Arenas over blocks of five sizes (4 KiB to 1 MiB), kept in free lists of their core; what is
 * larger has a block of its own. Blocks form a stack, newest first: a mark names a block and how
 * much of it was used, and rewinding frees the blocks above it. The arena itself lives in its first
 * block.
 *
 * Under ASan the unused part of every block is poisoned and allocations are 16 bytes apart.
 */
#include "core/arena.h"

#include "core/core_priv.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if CORE_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
enum { RED_ZONE_BYTES = 16 };
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { RED_ZONE_BYTES = 0 };
#endif

enum {
    BLOCK_BYTES_MIN = 4096,
    BLOCK_CLASS_OWN = 255, /* not pooled */
    POOL_BYTES_MAX = 64 << 20,
};

struct arena_block {
    struct arena_block *below; /* or next in the free list */
    size_t bytes;              /* whole block */
    size_t used;               /* from the block's start, header included */
    uint32_t size_class;
    uint32_t unused;
};
_Static_assert(sizeof(struct arena_block) % 16 == 0, "allocations stay aligned");

struct arena {
    struct core *core; /* NULL: made where no core runs */
    struct arena_block *top;
    struct arena_block *first;
    size_t reserved_bytes;
};

static size_t class_bytes(uint32_t size_class)
{
    return (size_t)BLOCK_BYTES_MIN << 2 * size_class;
}

static bool pool_is_here(const struct core *c)
{
    return c != NULL && (c == runner.core || c == runner.home);
}

static struct arena_block *block_take(struct core *c, uint32_t size_class, size_t bytes)
{
    struct arena_block *b = NULL;
    if (pool_is_here(c)) {
        if (size_class != BLOCK_CLASS_OWN && c->free_blocks[size_class] != NULL) {
            b = c->free_blocks[size_class];
            UNPOISON(b, sizeof(*b));
            c->free_blocks[size_class] = b->below;
            c->pool_bytes -= bytes;
            stats_sub(&c->stats->pool_bytes, bytes);
        }
        stats_add(&c->stats->memory_bytes, bytes);
    }
    if (b == NULL)
        b = malloc(bytes);
    if (UNLIKELY(b == NULL)) {
        log_write(LOG_PANIC, "out of memory: the machine has no %zu bytes left", bytes);
        abort();
    }
    *b = (struct arena_block){.bytes = bytes, .used = sizeof(*b), .size_class = size_class};
    POISON(b + 1, bytes - sizeof(*b));
    return b;
}

static void block_give(struct core *c, struct arena_block *b)
{
    size_t bytes = b->bytes;
    if (pool_is_here(c)) {
        stats_sub(&c->stats->memory_bytes, bytes);
        if (b->size_class != BLOCK_CLASS_OWN && c->pool_bytes + bytes <= POOL_BYTES_MAX) {
            b->below = c->free_blocks[b->size_class];
            c->free_blocks[b->size_class] = b;
            c->pool_bytes += bytes;
            stats_add(&c->stats->pool_bytes, bytes);
            POISON(b, bytes);
            return;
        }
    }
    UNPOISON(b, bytes);
    free(b);
}

void arena_pool_destroy(struct core *c)
{
    for (uint32_t i = 0; i < ARENA_CLASS_COUNT; i++) {
        while (c->free_blocks[i] != NULL) {
            struct arena_block *b = c->free_blocks[i];
            UNPOISON(b, class_bytes(i));
            c->free_blocks[i] = b->below;
            free(b);
        }
    }
    c->pool_bytes = 0;
}

struct arena *arena_new(void)
{
    struct core *c = runner.core;
    struct arena_block *b = block_take(c, 0, BLOCK_BYTES_MIN);
    struct arena *a = (struct arena *)(b + 1);
    UNPOISON(a, sizeof(*a));
    b->used += (sizeof(*a) + 15) & ~(size_t)15;
    *a = (struct arena){.core = c, .top = b, .first = b, .reserved_bytes = b->bytes};
    return a;
}

static void drop_blocks_above(struct arena *a, struct arena_block *keep)
{
    while (a->top != keep) {
        struct arena_block *b = a->top;
        ASSERT(b != a->first);
        a->top = b->below;
        a->reserved_bytes -= b->bytes;
        block_give(a->core, b);
    }
}

void arena_free(struct arena *a)
{
    if (a == NULL)
        return;
    struct core *c = a->core;
    struct arena_block *first = a->first;
    drop_blocks_above(a, first);
    block_give(c, first);
}

void arena_reset(struct arena *a)
{
    size_t used = sizeof(struct arena_block) + ((sizeof(*a) + 15) & ~(size_t)15);
    arena_rewind(a, (struct arena_mark){.block = a->first, .used = used});
}

static COLD void *alloc_in_new_block(struct arena *a, size_t bytes)
{
    /* An arena is used on its core, or on a core that its user has borrowed. */
    ASSERT(a->core == NULL || runner.core == NULL || pool_is_here(a->core));
    size_t need = sizeof(struct arena_block) + bytes;
    uint32_t size_class = 0;
    /* Grow with the arena, so that large results take few blocks. */
    while (size_class < ARENA_CLASS_COUNT - 1 &&
           (class_bytes(size_class) < need || class_bytes(size_class) * 2 < a->reserved_bytes))
        size_class++;
    size_t block_bytes = class_bytes(size_class);
    if (block_bytes < need) {
        size_class = BLOCK_CLASS_OWN;
        block_bytes = need;
    }
    struct arena_block *b = block_take(a->core, size_class, block_bytes);
    b->below = a->top;
    a->top = b;
    a->reserved_bytes += block_bytes;
    void *p = (char *)b + b->used;
    b->used += bytes;
    return p;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    ASSERT(bytes < (size_t)1 << 47);
    size_t padded = ((bytes + 15) & ~(size_t)15) + RED_ZONE_BYTES;
    struct arena_block *b = a->top;
    void *p;
    if (LIKELY(padded <= b->bytes - b->used)) {
        p = (char *)b + b->used;
        b->used += padded;
    } else {
        p = alloc_in_new_block(a, padded);
    }
    UNPOISON(p, bytes);
    return p;
}

void *arena_zalloc(struct arena *a, size_t bytes)
{
    void *p = arena_alloc(a, bytes);
    memset(p, 0, bytes);
    return p;
}

err_t arena_alloc_try(struct arena *a, size_t bytes, void **out)
{
    *out = NULL;
    if (bytes > ALLOC_BYTES_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "invalid memory alloc request size %zu",
                         bytes);
    struct core *c = a->core;
    if (pool_is_here(c) && bytes > a->top->bytes - a->top->used &&
        stats_read(&c->stats->memory_bytes) + bytes > c->memory_budget_bytes) {
        err_t e = err_raise(ERR_OUT_OF_MEMORY, "out of memory");
        err_detail("Failed on request of size %zu: the core's memory budget is used up.", bytes);
        return e;
    }
    *out = arena_alloc(a, bytes);
    return ERR_OK;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_memdup(a, s, strlen(s) + 1);
}

char *arena_strndup(struct arena *a, const char *s, size_t bytes)
{
    char *p = arena_alloc(a, bytes + 1);
    memcpy(p, s, bytes);
    p[bytes] = '\0';
    return p;
}

void *arena_memdup(struct arena *a, const void *p, size_t bytes)
{
    void *copy = arena_alloc(a, bytes);
    if (bytes > 0)
        memcpy(copy, p, bytes);
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int want = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    ASSERT(want >= 0);
    char *p = arena_alloc(a, (size_t)want + 1);
    if ((size_t)want < sizeof(small)) {
        memcpy(p, small, (size_t)want + 1);
        return p;
    }
    va_start(args, format);
    vsnprintf(p, (size_t)want + 1, format, args);
    va_end(args);
    return p;
}

void arena_leave(struct arena *a)
{
    if (a == NULL)
        return;
    ASSERT(a->core == runner.core);
    if (a->core != NULL)
        stats_sub(&a->core->stats->memory_bytes, a->reserved_bytes);
    a->core = NULL;
}

void arena_join(struct arena *a)
{
    if (a == NULL)
        return;
    ASSERT(a->core == NULL);
    a->core = runner.core;
    if (a->core != NULL)
        stats_add(&a->core->stats->memory_bytes, a->reserved_bytes);
}

size_t arena_bytes(const struct arena *a)
{
    return a->reserved_bytes;
}

struct arena_mark arena_mark(struct arena *a)
{
    return (struct arena_mark){.block = a->top, .used = a->top->used};
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
    drop_blocks_above(a, mark.block);
    ASSERT(mark.used <= a->top->used);
    a->top->used = mark.used;
    POISON((char *)a->top + mark.used, a->top->bytes - mark.used);
}

/* ---- strbuf ---- */

void strbuf_init(struct strbuf *b, struct arena *a)
{
    *b = (struct strbuf){.arena = a};
}

void strbuf_reset(struct strbuf *b)
{
    b->len = 0;
    if (b->data != NULL)
        b->data[0] = '\0';
}

/* The newest allocation of the arena grows in place while its block has room. */
static bool grow_in_place(struct strbuf *b, size_t capacity)
{
    struct arena_block *top = b->arena->top;
    size_t old_padded = ((b->capacity + 15) & ~(size_t)15) + RED_ZONE_BYTES;
    size_t new_padded = ((capacity + 15) & ~(size_t)15) + RED_ZONE_BYTES;
    if (b->data == NULL || b->data + old_padded != (char *)top + top->used)
        return false;
    if (new_padded - old_padded > top->bytes - top->used)
        return false;
    top->used += new_padded - old_padded;
    UNPOISON(b->data, capacity);
    return true;
}

static err_t strbuf_reserve(struct strbuf *b, size_t len)
{
    ASSUME(b->data != NULL || (b->len == 0 && b->capacity == 0));
    size_t need = b->len + len + 1;
    if (LIKELY(need <= b->capacity))
        return ERR_OK;
    if (len > ALLOC_BYTES_MAX || need > ALLOC_BYTES_MAX) {
        err_t e = err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "out of memory");
        err_detail("Cannot enlarge string buffer containing %zu bytes by %zu more bytes.", b->len,
                   len);
        return e;
    }
    size_t capacity = MAX(b->capacity * 2, 64);
    capacity = MIN(MAX(capacity, need), (size_t)ALLOC_BYTES_MAX);
    if (grow_in_place(b, capacity)) {
        b->capacity = capacity;
        return ERR_OK;
    }
    void *p;
    TRY(arena_alloc_try(b->arena, capacity, &p));
    if (b->len > 0)
        memcpy(p, b->data, b->len);
    b->data = p;
    b->capacity = capacity;
    return ERR_OK;
}

err_t strbuf_put(struct strbuf *b, const void *bytes, size_t len)
{
    TRY(strbuf_reserve(b, len));
    if (len > 0)
        memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
    return ERR_OK;
}

/* The plain ones cannot report: past the budget they draw on the reserve, past the limit they cut.
 */
static bool strbuf_reserve_plain(struct strbuf *b, size_t len)
{
    ASSUME(b->data != NULL || (b->len == 0 && b->capacity == 0));
    size_t need = b->len + len + 1;
    if (LIKELY(need <= b->capacity))
        return true;
    if (need > ALLOC_BYTES_MAX)
        return false;
    size_t capacity = MIN(MAX(MAX(b->capacity * 2, 64), need), (size_t)ALLOC_BYTES_MAX);
    if (!grow_in_place(b, capacity)) {
        char *p = arena_alloc(b->arena, capacity);
        if (b->len > 0)
            memcpy(p, b->data, b->len);
        b->data = p;
    }
    b->capacity = capacity;
    return true;
}

void strbuf_puts(struct strbuf *b, const char *s)
{
    size_t len = strlen(s);
    if (!strbuf_reserve_plain(b, len))
        return;
    memcpy(b->data + b->len, s, len + 1);
    b->len += len;
}

void strbuf_putc(struct strbuf *b, char c)
{
    if (!strbuf_reserve_plain(b, 1))
        return;
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

void strbuf_printf(struct strbuf *b, const char *format, ...)
{
    va_list args;
    size_t room = b->capacity - b->len;
    va_start(args, format);
    int want = vsnprintf(b->data != NULL ? b->data + b->len : NULL, room, format, args);
    va_end(args);
    ASSERT(want >= 0);
    if ((size_t)want < room) {
        b->len += (size_t)want;
        return;
    }
    if (b->data != NULL)
        b->data[b->len] = '\0';
    if (!strbuf_reserve_plain(b, (size_t)want))
        return;
    va_start(args, format);
    vsnprintf(b->data + b->len, b->capacity - b->len, format, args);
    va_end(args);
    b->len += (size_t)want;
}

/* ---- general memory ---- */

static void *counted(void *p, size_t bytes)
{
    if (UNLIKELY(p == NULL)) {
        log_write(LOG_PANIC, "out of memory: the machine has no %zu bytes left", bytes);
        abort();
    }
    if (runner.core != NULL)
        stats_add(&runner.core->stats->memory_bytes, malloc_usable_size(p));
    return p;
}

static void uncount(void *p)
{
    if (runner.core != NULL)
        stats_sub(&runner.core->stats->memory_bytes, malloc_usable_size(p));
}

void *core_malloc(size_t bytes)
{
    return counted(malloc(bytes != 0 ? bytes : 1), bytes);
}

void *core_zalloc(size_t bytes)
{
    return counted(calloc(1, bytes != 0 ? bytes : 1), bytes);
}

void *core_realloc(void *p, size_t bytes)
{
    if (p != NULL)
        uncount(p);
    return counted(realloc(p, bytes != 0 ? bytes : 1), bytes);
}

void core_free(void *p)
{
    if (p == NULL)
        return;
    uncount(p);
    free(p);
}

void core_memory_leave(void *p)
{
    if (p != NULL)
        uncount(p);
}

void core_memory_join(void *p)
{
    if (p != NULL)
        (void)counted(p, 0);
}
