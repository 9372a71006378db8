/*
 * External merge sort of index entries on one core: (key bytes, row address), in order of key, then
 * address. Entries collect in runs of a few megabytes; a full run is sorted; when the runs in
 * memory exceed the budget they go to a temporary file. The result is a k-way merge by a binary
 * heap.
 *
 * On file a run is a sequence of: u32 key length | top bit: key holds a null, u64 row address, key.
 */
#include "sql/ddl/ddl_priv.h"

#include "core/io.h"
#include "core/settings.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUN_BYTES = 4 << 20, RUN_ENTRIES = 1 << 17, READ_BYTES = 64 << 10, HEAD_BYTES = 12 };
static const uint32_t NULL_FLAG = 1u << 31;

struct entry {
    uint64_t prefix; /* first eight bytes of the key, big endian: most comparisons end here */
    row_id id;
    uint32_t offset;
    uint32_t len; /* with NULL_FLAG */
};

struct run {
    struct run *next;
    /* in memory */
    uint8_t *bytes;
    size_t bytes_used;
    struct entry *entries;
    uint32_t count;
    uint32_t position;
    /* on file */
    bool on_file;
    uint64_t file_at;
    uint64_t file_end;
    uint8_t *buffer; /* READ_BYTES or one long entry */
    uint32_t buffer_room;
    uint32_t buffer_len;
    uint32_t buffer_at;
    /* present entry while merging */
    const uint8_t *key;
    uint32_t len;
    row_id id;
};

struct key_sort {
    uint64_t budget;
    uint64_t in_memory;
    struct run *runs;
    struct run *open; /* being filled: first of runs */
    uint32_t run_count;
    struct io_file *file;
    char *path;
    uint64_t file_size;
    struct run **heap;
    uint32_t heap_count;
    bool started;
};

static uint64_t prefix_of(const uint8_t *key, uint32_t len)
{
    uint8_t first[8] = {0};
    memcpy(first, key, MIN(len, 8u));
    return load_be64(first);
}

static int key_order(const uint8_t *a, uint32_t a_len, row_id a_id, const uint8_t *b,
                     uint32_t b_len, row_id b_id)
{
    int c = memcmp(a, b, MIN(a_len, b_len));
    if (c)
        return c;
    if (a_len != b_len)
        return a_len < b_len ? -1 : 1;
    return (a_id > b_id) - (a_id < b_id);
}

static int entry_order(const void *pa, const void *pb, void *bytes)
{
    const struct entry *a = pa;
    const struct entry *b = pb;
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    const uint8_t *base = bytes;
    return key_order(base + a->offset, a->len & ~NULL_FLAG, a->id, base + b->offset,
                     b->len & ~NULL_FLAG, b->id);
}

struct key_sort *key_sort_new(uint64_t budget_bytes)
{
    struct key_sort *s = core_zalloc(sizeof(*s));
    s->budget = MAX(budget_bytes, (uint64_t)RUN_BYTES * 4);
    return s;
}

static void run_free_memory(struct key_sort *s, struct run *r)
{
    if (!r->bytes)
        return;
    core_free(r->bytes);
    core_free(r->entries);
    r->bytes = NULL;
    r->entries = NULL;
    s->in_memory -= RUN_BYTES + RUN_ENTRIES * sizeof(struct entry);
}

static SUSPENDS err_t sort_open_file_wait(struct key_sort *s)
{
    if (s->file)
        return ERR_OK;
    const char *directory = setting_string(NULL, SET_data_directory);
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/pg_temp", directory ? directory : ".");
    TRY(io_mkdir_wait(path));
    (void)snprintf(path, sizeof(path), "%s/pg_temp/index_%u_%016llx", directory ? directory : ".",
                   core_id(), (unsigned long long)core_random_u64());
    s->path = core_malloc(strlen(path) + 1);
    memcpy(s->path, path, strlen(path) + 1);
    return io_open_wait(s->path, IO_READ | IO_WRITE | IO_CREATE | IO_TRUNCATE, 0600, &s->file);
}

static SUSPENDS err_t run_spill_wait(struct key_sort *s, struct run *r)
{
    TRY(sort_open_file_wait(s));
    enum { WRITE_BYTES = 1 << 20 };
    uint8_t *out = core_malloc(WRITE_BYTES + 4096);
    uint32_t used = 0;
    err_t e = ERR_OK;
    r->file_at = s->file_size;
    for (uint32_t i = 0; e == ERR_OK && i < r->count; i++) {
        const struct entry *x = &r->entries[i];
        uint32_t len = x->len & ~NULL_FLAG;
        store_u32(out + used, x->len);
        store_u64(out + used + 4, x->id);
        memcpy(out + used + HEAD_BYTES, r->bytes + x->offset, len);
        used += HEAD_BYTES + len;
        if (used >= WRITE_BYTES - 4096 || i + 1 == r->count) {
            e = io_write_wait(s->file, out, used, s->file_size);
            s->file_size += used;
            used = 0;
        }
    }
    core_free(out);
    r->file_end = s->file_size;
    r->on_file = true;
    run_free_memory(s, r);
    return e;
}

static SUSPENDS err_t run_close_wait(struct key_sort *s)
{
    struct run *r = s->open;
    s->open = NULL;
    if (!r)
        return ERR_OK;
    qsort_r(r->entries, r->count, sizeof(*r->entries), entry_order, r->bytes);
    TRY(fiber_rest_wait());
    if (s->in_memory <= s->budget)
        return ERR_OK;
    for (struct run *x = s->runs; x; x = x->next)
        if (!x->on_file)
            TRY(run_spill_wait(s, x));
    return ERR_OK;
}

err_t key_sort_add_wait(struct key_sort *s, const void *key, uint32_t len, row_id id, bool has_null)
{
    ASSERT(len <= INDEX_KEY_BYTES_MAX);
    struct run *r = s->open;
    if (r && (r->count == RUN_ENTRIES || r->bytes_used + len > RUN_BYTES)) {
        TRY(run_close_wait(s));
        r = NULL;
    }
    if (!r) {
        r = core_zalloc(sizeof(*r));
        r->bytes = core_malloc(RUN_BYTES);
        r->entries = core_malloc(RUN_ENTRIES * sizeof(struct entry));
        s->in_memory += RUN_BYTES + RUN_ENTRIES * sizeof(struct entry);
        r->next = s->runs;
        s->runs = r;
        s->open = r;
        s->run_count++;
    }
    struct entry *x = &r->entries[r->count++];
    x->prefix = prefix_of(key, len);
    x->id = id;
    x->offset = (uint32_t)r->bytes_used;
    x->len = len | (has_null ? NULL_FLAG : 0);
    memcpy(r->bytes + r->bytes_used, key, len);
    r->bytes_used += len;
    return ERR_OK;
}

/* ---- merging ---- */

static SUSPENDS err_t run_fill_wait(struct key_sort *s, struct run *r, uint32_t need)
{
    uint32_t left = r->buffer_len - r->buffer_at;
    memmove(r->buffer, r->buffer + r->buffer_at, left);
    r->buffer_at = 0;
    r->buffer_len = left;
    ASSERT(need <= r->buffer_room);
    uint64_t more = MIN((uint64_t)(r->buffer_room - left), r->file_end - r->file_at);
    if (more) {
        TRY(io_read_wait(s->file, r->buffer + left, (uint32_t)more, r->file_at));
        r->file_at += more;
        r->buffer_len += (uint32_t)more;
    }
    return ERR_OK;
}

/* The run's next entry becomes its present one; *end when there is none. */
static SUSPENDS err_t run_next_wait(struct key_sort *s, struct run *r, bool *end)
{
    *end = false;
    if (!r->on_file) {
        *end = r->position == r->count;
        if (!*end) {
            const struct entry *x = &r->entries[r->position++];
            r->key = r->bytes + x->offset;
            r->len = x->len;
            r->id = x->id;
        }
        return ERR_OK;
    }
    enum { ENTRY_BYTES_MAX = HEAD_BYTES + INDEX_KEY_BYTES_MAX };
    if (r->buffer_len - r->buffer_at < ENTRY_BYTES_MAX && r->file_at < r->file_end)
        TRY(run_fill_wait(s, r, ENTRY_BYTES_MAX));
    if (r->buffer_at == r->buffer_len) {
        *end = true;
        return ERR_OK;
    }
    const uint8_t *p = r->buffer + r->buffer_at;
    r->len = load_u32(p);
    r->id = load_u64(p + 4);
    r->key = p + HEAD_BYTES;
    uint32_t len = r->len & ~NULL_FLAG;
    if (len > INDEX_KEY_BYTES_MAX || HEAD_BYTES + len > r->buffer_len - r->buffer_at)
        return err_raise(ERR_DATA_CORRUPTED, "temporary file of an index build is damaged");
    r->buffer_at += HEAD_BYTES + len;
    return ERR_OK;
}

static bool run_before(const struct run *a, const struct run *b)
{
    return key_order(a->key, a->len & ~NULL_FLAG, a->id, b->key, b->len & ~NULL_FLAG, b->id) < 0;
}

static void heap_sink(struct key_sort *s, uint32_t i)
{
    for (;;) {
        uint32_t least = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < s->heap_count; child++)
            if (run_before(s->heap[child], s->heap[least]))
                least = child;
        if (least == i)
            return;
        struct run *t = s->heap[i];
        s->heap[i] = s->heap[least];
        s->heap[least] = t;
        i = least;
    }
}

err_t key_sort_finish_wait(struct key_sort *s)
{
    TRY(run_close_wait(s));
    s->heap = core_zalloc(sizeof(struct run *) * (s->run_count + 1));
    for (struct run *r = s->runs; r; r = r->next) {
        bool end;
        if (r->on_file) {
            r->buffer_room = READ_BYTES;
            r->buffer = core_malloc(READ_BYTES);
        }
        TRY(run_next_wait(s, r, &end));
        if (!end)
            s->heap[s->heap_count++] = r;
    }
    for (uint32_t i = s->heap_count / 2 + 1; i > 0; i--)
        if (i - 1 < s->heap_count)
            heap_sink(s, i - 1);
    return ERR_OK;
}

err_t key_sort_next_wait(struct key_sort *s, const uint8_t **key, uint32_t *len, row_id *id,
                         bool *has_null)
{
    *key = NULL;
    if (s->started && s->heap_count) {
        /* the entry given last time is used up now: its bytes stayed valid till here */
        bool end;
        TRY(run_next_wait(s, s->heap[0], &end));
        if (end)
            s->heap[0] = s->heap[--s->heap_count];
        if (s->heap_count)
            heap_sink(s, 0);
    }
    s->started = true;
    if (s->heap_count == 0)
        return ERR_OK;
    const struct run *r = s->heap[0];
    *key = r->key;
    *len = r->len & ~NULL_FLAG;
    *id = r->id;
    *has_null = (r->len & NULL_FLAG) != 0;
    return ERR_OK;
}

void key_sort_free_wait(struct key_sort *s)
{
    while (s->runs) {
        struct run *r = s->runs;
        s->runs = r->next;
        run_free_memory(s, r);
        core_free(r->buffer);
        core_free(r);
    }
    if (s->file) {
        io_close_wait(s->file);
        ERR_IGNORE(io_unlink_wait(s->path));
    }
    core_free(s->path);
    core_free(s->heap);
    core_free(s);
}
