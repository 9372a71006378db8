/*
 * Arenas: bump allocation by lifetime (call, statement, transaction, session). Blocks come from the
 * running core's pools and count against its memory; an arena belongs to one core and is used only
 * there. Memory is 16-byte aligned and not zeroed unless said.
 */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include "core/err.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);  /* NULL is fine */
void arena_reset(struct arena *a); /* keeps the first block */
/* Never NULL: a core out of its memory budget is a failed allocation of a *_try function below; the
 * plain functions draw on the core's reserve and abort only when the machine itself has none. */
void *arena_alloc(struct arena *a, size_t bytes) __attribute__((malloc, alloc_size(2)));
void *arena_zalloc(struct arena *a, size_t bytes) __attribute__((malloc, alloc_size(2)));
/* For sizes that come from a client: ERR_OUT_OF_MEMORY past the core's budget or ALLOC_BYTES_MAX.
 */
err_t arena_alloc_try(struct arena *a, size_t bytes, void **out);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t bytes); /* adds the NUL */
void *arena_memdup(struct arena *a, const void *p, size_t bytes);
char *arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
size_t arena_bytes(const struct arena *a); /* reserved by it */

/* Its memory goes over to another core: leave on the old one, join on the new one. Between the two
 * nobody uses it. NULL is fine. */
void arena_leave(struct arena *a);
void arena_join(struct arena *a);

/* Everything allocated after a mark can be dropped at once (per-row scratch). */
struct arena_mark {
    void *block;
    size_t used;
};
struct arena_mark arena_mark(struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(count)))

enum { ALLOC_BYTES_MAX = 0x3fffffff }; /* 1 GiB - 1, PostgreSQL's limit for one value */

/* Growing byte string in an arena. data is always NUL-terminated once anything was appended. */
struct strbuf {
    struct arena *arena;
    char *data;
    size_t len;
    size_t capacity;
};
void strbuf_init(struct strbuf *b, struct arena *a);
void strbuf_reset(struct strbuf *b);
err_t strbuf_put(struct strbuf *b, const void *bytes, size_t len); /* ERR_PROGRAM_LIMIT_EXCEEDED */
/* The plain ones are for text of bounded size. */
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* General memory for long-lived structures, counted per core; freed on the core that made it, or on
 * the one that it went over to: core_memory_leave on the old one, core_memory_join on the new one
 * (NULL is fine). */
void *core_malloc(size_t bytes) __attribute__((malloc));
void *core_zalloc(size_t bytes) __attribute__((malloc));
void *core_realloc(void *p, size_t bytes);
void core_free(void *p);
void core_memory_leave(void *p);
void core_memory_join(void *p);

#endif
