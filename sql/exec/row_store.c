/*
 * Rows kept aside: an append-only list of byte strings with any number of readers, in memory up to
 * a budget, then in a temporary file.
 *
 * The rows form one logical byte string, each as u32 length, u32 zero, bytes padded to 8. In memory
 * it is cut into chunks (a row never straddles two); when the budget is used up the chunks are
 * written out one after the other, so a logical offset is also the file offset, and readers go on
 * where they were. After that a tail buffer collects what is not written yet.
 *
 * Files: <data_directory>/pg_temp/<number>, removed when the store ends; what a crash left
 * is removed at start.
 */
#include "core/io.h"
#include "core/settings.h"
#include "sql/exec/exec_priv.h"

enum {
    CHUNK_BYTES_MIN = 8 * 1024,
    CHUNK_BYTES_MAX = 256 * 1024,
    READ_BYTES = 64 * 1024,
    ROW_HEADER_BYTES = 8,
};

struct chunk {
    struct chunk *next;
    uint64_t start; /* logical */
    size_t capacity;
    size_t used;
    _Alignas(8) uint8_t data[];
};

struct row_store {
    struct run *run;
    struct row_store *next; /* of the run's */
    struct row_store **link;
    struct arena *mem; /* chunks */
    struct chunk *first;
    struct chunk *last;
    uint64_t budget;
    uint64_t bytes; /* logical end */
    uint64_t count;
    bool is_in_file;
    struct io_file *file;
    uint64_t file_number;
    uint64_t file_bytes; /* written; what follows is in tail */
    uint8_t *tail;
    size_t tail_used;
    size_t tail_capacity;
};

static const char *temp_directory(struct arena *mem)
{
    const char *data = setting_string(NULL, SET_data_directory);
    if (data == NULL || data[0] == '\0')
        data = ".";
    return arena_printf(mem, "%s/pg_temp", data);
}

static const char *temp_path(struct arena *mem, uint64_t number)
{
    return arena_printf(mem, "%s/%lu", temp_directory(mem), (unsigned long)number);
}

struct row_store *row_store_new(struct run *run, uint64_t budget)
{
    struct row_store *s = ARENA_NEW(run->mem, struct row_store);
    s->run = run;
    s->mem = arena_new();
    s->budget = budget;
    s->next = run->stores;
    s->link = &run->stores;
    if (s->next != NULL)
        s->next->link = &s->next;
    run->stores = s;
    return s;
}

uint64_t row_store_count(const struct row_store *s)
{
    return s->count;
}

uint64_t row_store_bytes(const struct row_store *s)
{
    return s->bytes;
}

static err_t chunk_new(struct row_store *s, size_t row_bytes)
{
    size_t capacity = s->last == NULL ? (size_t)CHUNK_BYTES_MIN
                                      : MIN(s->last->capacity * 2, (size_t)CHUNK_BYTES_MAX);
    capacity = MAX(capacity, row_bytes);
    void *memory = NULL;
    TRY(arena_alloc_try(s->mem, sizeof(struct chunk) + capacity, &memory));
    struct chunk *c = memory;
    *c = (struct chunk){.start = s->bytes, .capacity = capacity};
    if (s->last != NULL)
        s->last->next = c;
    else
        s->first = c;
    s->last = c;
    return ERR_OK;
}

static SUSPENDS err_t write_wait(struct row_store *s, const uint8_t *data, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        uint32_t len = (uint32_t)MIN(bytes - at, (size_t)1 << 20);
        TRY(io_write_wait(s->file, data + at, len, s->file_bytes));
        at += len;
        s->file_bytes += len;
    }
    return ERR_OK;
}

/* The chunks stay in memory until the store ends: readers may point into them. */
static SUSPENDS err_t move_to_file_wait(struct row_store *s)
{
    static _Atomic uint64_t last_number;
    const uint32_t flags = IO_READ | IO_WRITE | IO_CREATE | IO_TRUNCATE;
    s->file_number = atomic_fetch_add(&last_number, 1) + 1;
    const char *path = temp_path(s->mem, s->file_number);
    err_t e = io_open_wait(path, flags, 0600, &s->file);
    if (e == ERR_UNDEFINED_FILE) {
        TRY(io_mkdir_wait(temp_directory(s->mem)));
        e = io_open_wait(path, flags, 0600, &s->file);
    }
    TRY(e);
    for (const struct chunk *c = s->first; c != NULL; c = c->next)
        TRY(write_wait(s, c->data, c->used));
    ASSERT(s->file_bytes == s->bytes);
    s->tail_capacity = READ_BYTES;
    s->tail = core_malloc(s->tail_capacity);
    s->is_in_file = true;
    return ERR_OK;
}

static SUSPENDS err_t tail_room_wait(struct row_store *s, size_t bytes)
{
    if (s->tail_used + bytes <= s->tail_capacity)
        return ERR_OK;
    TRY(write_wait(s, s->tail, s->tail_used));
    s->tail_used = 0;
    if (bytes > s->tail_capacity) {
        core_free(s->tail);
        s->tail = core_malloc(bytes);
        s->tail_capacity = bytes;
    }
    return ERR_OK;
}

SUSPENDS err_t row_store_add_wait(struct row_store *s, const void *row, uint32_t len)
{
    size_t bytes = ROW_HEADER_BYTES + (((size_t)len + 7) & ~(size_t)7);
    if (!s->is_in_file && s->bytes + bytes > s->budget && s->count > 0)
        TRY(move_to_file_wait(s));
    uint8_t *to;
    if (s->is_in_file) {
        TRY(tail_room_wait(s, bytes));
        to = s->tail + s->tail_used;
        s->tail_used += bytes;
    } else {
        if (s->last == NULL || s->last->used + bytes > s->last->capacity)
            TRY(chunk_new(s, bytes));
        to = s->last->data + s->last->used;
        s->last->used += bytes;
    }
    store_u32(to, len);
    store_u32(to + 4, 0);
    memcpy(to + ROW_HEADER_BYTES, row, len);
    s->bytes += bytes;
    s->count++;
    return ERR_OK;
}

/* ---- reading ---- */

void row_reader_init(struct row_reader *r, struct row_store *s)
{
    *r = (struct row_reader){.store = s};
}

void row_reader_rewind(struct row_reader *r)
{
    r->at = 0;
    r->chunk = NULL;
}

void row_reader_seek(struct row_reader *r, uint64_t at)
{
    const struct chunk *c = r->chunk;
    r->at = at;
    if (c != NULL && at < c->start)
        r->chunk = NULL;
}

static const uint8_t *read_memory(struct row_reader *r)
{
    struct row_store *s = r->store;
    struct chunk *c = r->chunk;
    if (c == NULL)
        c = s->first;
    while (r->at >= c->start + c->used)
        c = c->next;
    r->chunk = c;
    return c->data + (r->at - c->start);
}

/* At least bytes from r->at on into the reader's buffer. */
static SUSPENDS err_t fill_buffer_wait(struct row_reader *r, size_t bytes)
{
    struct row_store *s = r->store;
    if (r->buffer_bytes < bytes) {
        size_t capacity = MAX(bytes, (size_t)READ_BYTES);
        void *memory = NULL;
        TRY(arena_alloc_try(s->mem, capacity, &memory));
        r->buffer = memory;
        r->buffer_bytes = capacity;
    }
    size_t want = (size_t)MIN((uint64_t)r->buffer_bytes, s->bytes - r->at);
    size_t in_file = r->at < s->file_bytes ? (size_t)MIN(want, s->file_bytes - r->at) : 0;
    for (size_t at = 0; at < in_file;) {
        uint32_t len = (uint32_t)MIN(in_file - at, (size_t)1 << 20);
        TRY(io_read_wait(s->file, r->buffer + at, len, r->at + at));
        at += len;
    }
    if (in_file < want)
        memcpy(r->buffer + in_file, s->tail + (r->at + in_file - s->file_bytes), want - in_file);
    r->buffer_start = r->at;
    r->buffer_len = want;
    return ERR_OK;
}

SUSPENDS err_t row_reader_next_wait(struct row_reader *r, const uint8_t **row, uint32_t *len)
{
    struct row_store *s = r->store;
    if (r->at >= s->bytes) {
        *row = NULL;
        return ERR_OK;
    }
    const uint8_t *p;
    if (!s->is_in_file) {
        p = read_memory(r);
        *len = load_u32(p);
    } else {
        uint64_t end = r->buffer_start + r->buffer_len;
        if (r->at < r->buffer_start || r->at + ROW_HEADER_BYTES > end)
            TRY(fill_buffer_wait(r, ROW_HEADER_BYTES));
        *len = load_u32(r->buffer + (r->at - r->buffer_start));
        size_t bytes = ROW_HEADER_BYTES + (((size_t)*len + 7) & ~(size_t)7);
        if (r->at + bytes > s->bytes)
            return err_raise(ERR_DATA_CORRUPTED, "temporary file %lu is damaged",
                             (unsigned long)s->file_number);
        if (r->at + bytes > r->buffer_start + r->buffer_len)
            TRY(fill_buffer_wait(r, bytes));
        p = r->buffer + (r->at - r->buffer_start);
    }
    r->at += ROW_HEADER_BYTES + (((uint64_t)*len + 7) & ~(uint64_t)7);
    *row = p + ROW_HEADER_BYTES;
    return ERR_OK;
}

SUSPENDS void row_store_end_wait(struct row_store *s)
{
    if (s->mem == NULL)
        return;
    if (s->file != NULL) {
        fiber_shield_begin();
        io_close_wait(s->file);
        ERR_IGNORE(io_unlink_wait(temp_path(s->mem, s->file_number)));
        fiber_shield_end();
    }
    core_free(s->tail);
    arena_free(s->mem);
    s->mem = NULL;
    *s->link = s->next;
    if (s->next != NULL)
        s->next->link = s->link;
}

SUSPENDS err_t exec_temp_clean_wait(void)
{
    struct arena *mem = arena_new();
    const char *directory = temp_directory(mem);
    char **names = NULL;
    size_t count = 0;
    err_t e = io_list_dir_wait(directory, mem, &names, &count);
    if (e == ERR_UNDEFINED_FILE) {
        e = ERR_OK;
        count = 0;
    }
    for (size_t i = 0; e == ERR_OK && i < count; i++)
        e = io_unlink_wait(arena_printf(mem, "%s/%s", directory, names[i]));
    arena_free(mem);
    return e;
}
