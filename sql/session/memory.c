/* Memory that sessions hold (percore_session_memory). Rows of other cores are gathered there,
 * copied here, and given back by a second call. */
#include <malloc.h>

#include "sql/catalog/cache.h"
#include "sql/session/registry.h"
#include "sql/session/session_priv.h"

struct memory_call {
    struct arena *mem; /* of the core that is asked */
    struct session_bytes *rows;
    uint32_t count;
    uint32_t room;
};

void session_memory(struct session *s, void (*piece)(void *p), void (*arena)(struct arena *a))
{
    piece(s);
    piece(s->path_mem);
    piece(s->services);
    piece(s->portals);
    piece(s->role_names);
    settings_view_memory(s->settings, piece);
    prepared_memory(s, piece);
    sequence_values_memory(s, piece);
    constraint_queue_memory(s->constraints, piece, arena);
    notify_memory(s, piece);
    catalog_session_memory(&s->catalog, piece);
    if (s->txn)
        txn_memory(s->txn, piece);
    for (uint32_t i = 0; s->portals && i < NAME_BUCKETS; i++) {
        for (struct portal *p = s->portals[i]; p; p = p->next) {
            if (p->snapshot)
                txn_cursor_memory(p->snapshot, piece);
            arena(p->mem);
            arena(p->kept_mem);
        }
    }
    arena(s->statement);
    arena(s->block_mem);
}

/* Of everything that is its own; plans are the core's. */
static int64_t session_bytes(const struct session *s)
{
    size_t bytes = malloc_usable_size((void *)(uintptr_t)s) + malloc_usable_size(s->path_mem) +
                   malloc_usable_size(s->services) + malloc_usable_size(s->portals) +
                   malloc_usable_size(s->role_names) + settings_view_bytes(s->settings) +
                   prepared_bytes(s);
    bytes += s->statement && !s->is_lent ? arena_bytes(s->statement) : 0;
    bytes += s->block_mem ? arena_bytes(s->block_mem) : 0;
    return (int64_t)bytes;
}

static void memory_add(void *ctx, struct session *s)
{
    struct memory_call *c = ctx;
    if (c->count == c->room) {
        uint32_t room = c->room ? c->room * 2 : 64;
        struct session_bytes *rows = ARENA_ARRAY(c->mem, struct session_bytes, room);
        if (c->count)
            memcpy(rows, c->rows, sizeof(*rows) * c->count);
        c->rows = rows;
        c->room = room;
    }
    c->rows[c->count++] = (struct session_bytes){.pid = s->pid, .bytes = session_bytes(s)};
}

static err_t memory_collect(void *arg)
{
    struct memory_call *c = arg;
    c->mem = arena_new();
    session_each_local(memory_add, c);
    return ERR_OK;
}

static err_t memory_release(void *arg)
{
    struct memory_call *c = arg;
    arena_free(c->mem);
    return ERR_OK;
}

SUSPENDS err_t session_memory_wait(struct arena *mem, struct session_bytes **rows, uint32_t *count)
{
    *rows = NULL;
    *count = 0;
    for (uint32_t core = 0; core < core_count(); core++) {
        struct memory_call c = {0};
        TRY(core_call_wait(core, memory_collect, &c));
        void *all = NULL;
        err_t e = arena_alloc_try(mem, sizeof(**rows) * ((size_t)*count + c.count + 1), &all);
        if (e == ERR_OK) {
            if (*count)
                memcpy(all, *rows, sizeof(**rows) * *count);
            if (c.count)
                memcpy((struct session_bytes *)all + *count, c.rows, sizeof(**rows) * c.count);
            *rows = all;
            *count += c.count;
        }
        ERR_IGNORE(core_call_wait(core, memory_release, &c)); /* never fails */
        TRY(e);
    }
    return ERR_OK;
}
