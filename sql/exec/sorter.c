/*
 * Sorting by normalised keys: every row gets its key bytes (key_append), compared with memcmp, the
 * first eight of them in the sort array itself. In memory it is a stable merge sort that rests now
 * and then; when the budget is used up the sorted rows become a run in a row store, and runs are
 * merged by a heap, at most MERGE_MAX at a time. With a limit, what cannot be among the first rows
 * is thrown away whenever twice as many have come together.
 */
#include "sql/exec/exec_priv.h"

enum { MERGE_MAX = 48, REST_EVERY = 4096, RUN_BUDGET = 64 * 1024 };

struct entry { /* key padded to 8, then the row */
    uint32_t key_len;
    uint32_t row_len;
    _Alignas(8) uint8_t data[];
};
struct item {
    uint64_t prefix;
    const struct entry *entry;
};
struct merge_input {
    struct row_store *store;
    struct row_reader reader;
    struct item item; /* entry NULL: at the end */
};

struct sorter {
    struct run *run;
    const struct key_column *columns;
    const uint32_t *indexes;
    uint32_t column_count;
    uint64_t budget;
    int64_t limit;
    struct arena *mem; /* entries in memory */
    struct item *items;
    struct item *spare;
    size_t count;
    size_t capacity;
    uint64_t bytes;
    struct strbuf key;
    struct row_store **runs;
    size_t run_count;
    size_t run_capacity;
    struct merge *merge;
    size_t read_at;
};

struct sorter *sorter_new(struct run *run, const struct key_column *columns,
                          const uint32_t *indexes, uint32_t count, uint64_t budget, int64_t limit)
{
    struct sorter *s = ARENA_NEW(run->mem, struct sorter);
    s->run = run;
    s->columns = columns;
    s->indexes = indexes;
    s->column_count = count;
    s->budget = budget;
    s->limit = limit;
    s->mem = arena_new();
    strbuf_init(&s->key, run->mem);
    return s;
}

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

static struct item item_of(const struct entry *e)
{
    uint8_t first[8] = {0};
    memcpy(first, e->data, MIN(e->key_len, 8u));
    return (struct item){.prefix = load_be64(first), .entry = e};
}

static inline int item_compare(const struct item *a, const struct item *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    uint32_t x = a->entry->key_len;
    uint32_t y = b->entry->key_len;
    int order = memcmp(a->entry->data, b->entry->data, MIN(x, y));
    if (order != 0)
        return order;
    return x == y ? 0 : x < y ? -1 : 1;
}

/* Bottom-up merge sort, insertion sort below 16. */
static SUSPENDS err_t sort_items_wait(struct sorter *s)
{
    const size_t small = 16;
    size_t n = s->count;
    for (size_t from = 0; from < n; from += small) {
        size_t to = MIN(from + small, n);
        for (size_t i = from + 1; i < to; i++) {
            struct item x = s->items[i];
            size_t k = i;
            for (; k > from && item_compare(&s->items[k - 1], &x) > 0; k--)
                s->items[k] = s->items[k - 1];
            s->items[k] = x;
        }
        if ((from / small) % (REST_EVERY / 16) == 0)
            TRY(run_rest_wait(s->run));
    }
    uint64_t work = 0;
    for (size_t width = small; width < n; width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t middle = MIN(from + width, n);
            size_t end = MIN(from + 2 * width, n);
            size_t a = from;
            size_t b = middle;
            for (size_t k = from; k < end; k++) {
                bool left =
                    a < middle && (b >= end || item_compare(&s->items[a], &s->items[b]) <= 0);
                s->spare[k] = left ? s->items[a++] : s->items[b++];
                if (++work % REST_EVERY == 0)
                    TRY(run_rest_wait(s->run));
            }
        }
        struct item *swap = s->items;
        s->items = s->spare;
        s->spare = swap;
    }
    return ERR_OK;
}

static err_t grow_items(struct sorter *s)
{
    size_t capacity = s->capacity == 0 ? 256 : s->capacity * 2;
    void *items = NULL;
    void *spare = NULL;
    TRY(arena_alloc_try(s->mem, capacity * sizeof(struct item), &items));
    TRY(arena_alloc_try(s->mem, capacity * sizeof(struct item), &spare));
    if (s->count > 0)
        memcpy(items, s->items, s->count * sizeof(struct item));
    s->items = items;
    s->spare = spare;
    s->capacity = capacity;
    s->bytes += capacity * sizeof(struct item) * 2;
    return ERR_OK;
}

static void reset_memory(struct sorter *s)
{
    arena_free(s->mem);
    s->mem = arena_new();
    s->items = NULL;
    s->spare = NULL;
    s->count = 0;
    s->capacity = 0;
    s->bytes = 0;
}

static err_t add_entry(struct sorter *s, const void *key, size_t key_len, const void *row,
                       uint32_t len)
{
    if (s->count == s->capacity)
        TRY(grow_items(s));
    size_t bytes = sizeof(struct entry) + padded(key_len) + len;
    void *memory = NULL;
    TRY(arena_alloc_try(s->mem, bytes, &memory));
    struct entry *e = memory;
    e->key_len = u32_from(key_len);
    e->row_len = len;
    if (key_len > 0)
        memcpy(e->data, key, key_len);
    memset(e->data + key_len, 0, padded(key_len) - key_len);
    memcpy(e->data + padded(key_len), row, len);
    s->items[s->count++] = item_of(e);
    s->bytes += bytes + 16;
    return ERR_OK;
}

/* Keeps the first s->limit rows only. */
static SUSPENDS err_t truncate_wait(struct sorter *s)
{
    TRY(sort_items_wait(s));
    struct arena *old = s->mem;
    struct item *items = s->items;
    size_t keep = MIN(s->count, (size_t)s->limit);
    s->mem = arena_new();
    s->items = NULL;
    s->spare = NULL;
    s->count = 0;
    s->capacity = 0;
    s->bytes = 0;
    err_t err = ERR_OK;
    for (size_t i = 0; i < keep && err == ERR_OK; i++) {
        const struct entry *e = items[i].entry;
        err = add_entry(s, e->data, e->key_len, e->data + padded(e->key_len), e->row_len);
    }
    arena_free(old);
    return err;
}

static SUSPENDS err_t store_item_wait(struct row_store *store, const struct item *item)
{
    const struct entry *e = item->entry;
    size_t bytes = sizeof(*e) + padded(e->key_len) + e->row_len;
    if (bytes > UINT32_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "row is too big to sort");
    return row_store_add_wait(store, e, (uint32_t)bytes);
}

static err_t add_run(struct sorter *s, struct row_store *store)
{
    if (s->run_count == s->run_capacity) {
        size_t capacity = s->run_capacity == 0 ? 16 : s->run_capacity * 2;
        struct row_store **runs = ARENA_ARRAY(s->run->mem, struct row_store *, capacity);
        if (s->run_count > 0)
            memcpy(runs, s->runs, sizeof(struct row_store *) * s->run_count);
        s->runs = runs;
        s->run_capacity = capacity;
    }
    s->runs[s->run_count++] = store;
    return ERR_OK;
}

static SUSPENDS err_t spill_wait(struct sorter *s)
{
    TRY(sort_items_wait(s));
    struct row_store *store = row_store_new(s->run, RUN_BUDGET);
    for (size_t i = 0; i < s->count; i++) {
        TRY(store_item_wait(store, &s->items[i]));
        if (i % 256 == 255)
            TRY(run_rest_wait(s->run));
    }
    TRY(add_run(s, store));
    reset_memory(s);
    return ERR_OK;
}

SUSPENDS err_t sorter_add_wait(struct sorter *s, const datum *values, const bool *nulls,
                               const void *row, uint32_t len)
{
    s->key.len = 0;
    for (uint32_t i = 0; i < s->column_count; i++)
        key_append(&s->columns[i], values[s->indexes[i]], nulls[s->indexes[i]], &s->key);
    TRY(add_entry(s, s->key.data, s->key.len, row, len));
    if (s->limit > 0 && s->count >= 64 && s->count >= 2 * (uint64_t)s->limit)
        return truncate_wait(s);
    if (s->bytes > s->budget)
        return spill_wait(s);
    return ERR_OK;
}

/* ---- merging ---- */

static SUSPENDS err_t input_advance_wait(struct merge_input *in)
{
    const uint8_t *bytes = NULL;
    uint32_t len = 0;
    TRY(row_reader_next_wait(&in->reader, &bytes, &len));
    if (bytes == NULL)
        in->item.entry = NULL;
    else
        in->item = item_of((const struct entry *)(const void *)bytes);
    return ERR_OK;
}

/* Equal keys: the earlier run first, which keeps the sort stable. */
static bool input_less(const struct merge_input *a, const struct merge_input *b)
{
    int order = item_compare(&a->item, &b->item);
    return order != 0 ? order < 0 : a < b;
}

static void sift_down(struct merge_input **heap, size_t count, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && input_less(heap[child + 1], heap[child]))
            child++;
        if (!input_less(heap[child], heap[at]))
            return;
        struct merge_input *swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

struct merge {
    struct merge_input *inputs;
    struct merge_input **heap;
    size_t count;
    bool must_advance;
};

static SUSPENDS err_t merge_begin_wait(struct sorter *s, struct row_store **runs, size_t count,
                                       struct merge *m)
{
    m->inputs = ARENA_ARRAY(s->run->mem, struct merge_input, count);
    m->heap = ARENA_ARRAY(s->run->mem, struct merge_input *, count);
    m->count = 0;
    m->must_advance = false;
    for (size_t i = 0; i < count; i++) {
        struct merge_input *in = &m->inputs[i];
        in->store = runs[i];
        row_reader_init(&in->reader, runs[i]);
        TRY(input_advance_wait(in));
        if (in->item.entry != NULL)
            m->heap[m->count++] = in;
    }
    for (size_t i = m->count / 2; i-- > 0;)
        sift_down(m->heap, m->count, i);
    return ERR_OK;
}

/* The entry is valid until the next call. */
static SUSPENDS err_t merge_next_wait(struct merge *m, const struct item **out)
{
    if (m->must_advance) {
        TRY(input_advance_wait(m->heap[0]));
        if (m->heap[0]->item.entry == NULL)
            m->heap[0] = m->heap[--m->count];
        sift_down(m->heap, m->count, 0);
    }
    m->must_advance = m->count > 0;
    *out = m->count > 0 ? &m->heap[0]->item : NULL;
    return ERR_OK;
}

static SUSPENDS err_t merge_runs_wait(struct sorter *s)
{
    size_t n = MIN(s->run_count, (size_t)MERGE_MAX);
    struct merge m;
    TRY(merge_begin_wait(s, s->runs, n, &m));
    struct row_store *store = row_store_new(s->run, RUN_BUDGET);
    uint64_t count = 0;
    for (;;) {
        const struct item *item = NULL;
        TRY(merge_next_wait(&m, &item));
        if (item == NULL)
            break;
        TRY(store_item_wait(store, item));
        if (++count % 256 == 0)
            TRY(run_rest_wait(s->run));
    }
    for (size_t i = 0; i < n; i++)
        row_store_end_wait(s->runs[i]);
    /* The merged run takes the place of the first ones, so order of equal keys is kept. */
    s->runs[n - 1] = store;
    memmove(s->runs, s->runs + n - 1, sizeof(struct row_store *) * (s->run_count - n + 1));
    s->run_count -= n - 1;
    return ERR_OK;
}

SUSPENDS err_t sorter_finish_wait(struct sorter *s)
{
    if (s->run_count == 0)
        return sort_items_wait(s);
    if (s->count > 0)
        TRY(spill_wait(s));
    while (s->run_count > MERGE_MAX)
        TRY(merge_runs_wait(s));
    return sorter_rewind_wait(s);
}

SUSPENDS err_t sorter_rewind_wait(struct sorter *s)
{
    s->read_at = 0;
    if (s->run_count == 0)
        return ERR_OK;
    if (s->merge == NULL)
        s->merge = ARENA_NEW(s->run->mem, struct merge);
    return merge_begin_wait(s, s->runs, s->run_count, s->merge);
}

SUSPENDS err_t sorter_next_wait(struct sorter *s, const uint8_t **row, uint32_t *len,
                                const uint8_t **key, uint32_t *key_len)
{
    const struct item *item = NULL;
    if (s->run_count > 0)
        TRY(merge_next_wait(s->merge, &item));
    else if (s->read_at < s->count)
        item = &s->items[s->read_at++];
    if (item == NULL) {
        *row = NULL;
        return ERR_OK;
    }
    *row = item->entry->data + padded(item->entry->key_len);
    *len = item->entry->row_len;
    if (key != NULL) {
        *key = item->entry->data;
        *key_len = item->entry->key_len;
    }
    return ERR_OK;
}

SUSPENDS void sorter_end_wait(struct sorter *s)
{
    if (s->mem == NULL)
        return;
    for (size_t i = 0; i < s->run_count; i++)
        row_store_end_wait(s->runs[i]);
    s->run_count = 0;
    arena_free(s->mem);
    s->mem = NULL;
}
