/* An index built beside writers: rows that are there without entries, writers that keep the index
 * from then on (first beside those who know nothing of it, or keep only what it knows), each with a
 * transaction that commits or is taken back, and a build that brings in what its snapshot sees.
 * Every later snapshot finds by the index what it finds in the heap, during the build, after it,
 * and after a crash. */
#include "shard_test.h"

enum { ROWS = 240, WRITERS = 4, HELD = 3, ENTRIES_MAX = 4000, STEPS = 2500 };

struct found {
    uint32_t tag;
    row_id id;
};
struct found_list {
    struct found items[ENTRIES_MAX];
    uint32_t count;
};

static int found_order(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;
    if (x->tag != y->tag)
        return x->tag < y->tag ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* As before there was an index on the tag. */
SUSPENDS static err_t insert_bare(struct shard *s, struct txn_view *v, void *arg)
{
    const struct test_row *r = arg;
    uint8_t bytes[64];
    row_fill(r, bytes);
    row_id id;
    TRY(row_insert_wait(s, v, TABLE_HEAP, bytes, row_bytes(r), &id));
    uint8_t k[KEY_BYTES_MAX];
    uint32_t len = key_bytes(r->key, k);
    row_id conflict;
    return index_insert_wait(s, v, TABLE_KEY, TABLE_HEAP, k, len, id, INDEX_UNIQUE, &conflict);
}

SUSPENDS static err_t list_heap(struct shard *s, struct txn_view *v, void *arg)
{
    struct found_list *l = arg;
    struct arena *mem = arena_new();
    struct heap_scan *scan;
    l->count = 0;
    err_t e = heap_scan_begin_wait(s, v, TABLE_HEAP, mem, &scan);
    while (e == ERR_OK) {
        row_id id;
        const uint8_t *row;
        uint32_t len;
        e = heap_scan_next_wait(scan, &id, &row, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        CHECK(l->count < ENTRIES_MAX);
        l->items[l->count++] = (struct found){load_u32(row + 8), id};
    }
    heap_scan_end(scan);
    arena_free(mem);
    qsort(l->items, l->count, sizeof(*l->items), found_order);
    return e;
}

SUSPENDS static err_t list_index(struct shard *s, struct txn_view *v, void *arg)
{
    struct found_list *l = arg;
    struct arena *mem = arena_new();
    struct index_range all = {0};
    struct index_scan *scan;
    l->count = 0;
    err_t e = index_scan_begin_wait(s, v, TABLE_TAG, TABLE_HEAP, &all, mem, &scan);
    while (e == ERR_OK) {
        row_id id;
        const uint8_t *key;
        uint32_t len;
        e = index_scan_next_wait(scan, &id, &key, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        CHECK(l->count < ENTRIES_MAX && len == 4);
        l->items[l->count++] = (struct found){load_be32(key), id};
    }
    index_scan_end(scan);
    arena_free(mem);
    return e;
}

static struct found_list by_heap;
static struct found_list by_index;

SUSPENDS static void check_same(struct txn *t)
{
    CHECK_OK(on_shard_wait(t, 0, true, list_heap, &by_heap));
    CHECK_OK(on_shard_wait(t, 0, true, list_index, &by_index));
    CHECK(by_heap.count == by_index.count);
    for (uint32_t i = 0; i < MIN(by_heap.count, by_index.count); i++)
        CHECK(found_order(&by_heap.items[i], &by_index.items[i]) == 0);
}

SUSPENDS static err_t fill_one(struct shard *s, struct txn_view *v, void *arg)
{
    const struct found *f = arg;
    uint8_t k[4];
    row_id conflict;
    tag_bytes(f->tag, k);
    return index_fill_wait(s, v, TABLE_TAG, TABLE_HEAP, k, 4, f->id, false, &conflict);
}

SUSPENDS static void write_step(struct txn **t, uint32_t writer, uint64_t *random)
{
    if (*t == NULL)
        *t = test_begin(READ_COMMITTED, 10 + writer);
    uint64_t key = test_below(random, ROWS * 2 / WRITERS) * WRITERS + writer;
    struct test_row r = {.key = key, .tag = test_below(random, 30), .len = 10, .seed = 1};
    uint32_t what = test_below(random, 10);
    uint32_t mark = txn_mark(*t);
    txn_statement_begin(*t);
    if (what < 5)
        CHECK_OK(on_shard_wait(*t, 0, true, table_update, &r));
    else if (what < 7)
        CHECK_OK(on_shard_wait(*t, 0, true, table_delete, &r));
    else
        CHECK_OK(on_shard_wait(*t, 0, true, table_insert, &r));
    if (what >= 7 && r.conflict != ROW_ID_NONE)
        CHECK_OK(txn_undo_to_wait(*t, mark));
    if (what == 0)
        CHECK_OK(txn_undo_to_wait(*t, mark));
    if (test_below(random, 6) != 0)
        return;
    if (test_below(random, 3) == 0)
        txn_rollback_wait(*t);
    else
        CHECK_OK(txn_commit_wait(*t));
    *t = NULL;
}

SUSPENDS static err_t verify(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    (void)arg;
    uint64_t entries;
    struct arena *mem = arena_new();
    err_t e = shard_verify_wait(s, mem);
    if (e == ERR_OK)
        e = shard_verify_index_wait(s, TABLE_TAG, TABLE_HEAP, mem, &entries);
    arena_free(mem);
    return e;
}

/* Statements of before a step and of after it, until all transactions have ended. */
SUSPENDS static void writers_between(uint32_t before, uint32_t after, uint64_t *random)
{
    struct txn *writers[WRITERS] = {0};
    for (uint32_t i = 0; i < 600; i++) {
        uint32_t w = test_below(random, WRITERS);
        tag_kept = test_below(random, 2) == 0 ? before : after;
        write_step(&writers[w], w, random);
        if (i % 16 == 0)
            CHECK_OK(fiber_sleep_wait(100)); /* purge goes on */
    }
    tag_kept = after;
    for (uint32_t i = 0; i < WRITERS; i++)
        if (writers[i] != NULL)
            CHECK_OK(txn_commit_wait(writers[i]));
}

SUSPENDS static void fill_round(uint64_t *random)
{
    static struct found_list seen;
    struct txn *writers[WRITERS] = {0};
    struct txn *held[HELD] = {0};
    struct txn *t = test_begin(READ_COMMITTED, 1);
    for (uint64_t key = 0; key < ROWS; key++) {
        struct test_row r = {.key = key, .tag = test_below(random, 30), .len = 10, .seed = 1};
        CHECK_OK(on_shard_wait(t, 0, true, insert_bare, &r));
    }
    CHECK_OK(txn_commit_wait(t));
    writers_between(TAG_UNKNOWN, TAG_KNOWN_ONLY, random);
    writers_between(TAG_KNOWN_ONLY, TAG_WHOLE, random);
    for (uint32_t i = 0; i < 60; i++) { /* they keep it already, before the build */
        uint32_t w = test_below(random, WRITERS);
        write_step(&writers[w], w, random);
    }
    struct txn *build = test_begin(REPEATABLE_READ, 2);
    CHECK_OK(on_shard_wait(build, 0, true, list_heap, &seen));
    uint32_t at = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        if (test_below(random, 4) == 0 && at < seen.count)
            CHECK_OK(on_shard_wait(build, 0, true, fill_one, &seen.items[at++]));
        uint32_t w = test_below(random, WRITERS);
        write_step(&writers[w], w, random);
        struct txn **h = &held[test_below(random, HELD)];
        if (test_below(random, 50) == 0 && *h == NULL)
            *h = test_begin(REPEATABLE_READ, 3);
        if (at == seen.count && build != NULL) {
            check_same(build);
            txn_rollback_wait(build);
            build = NULL;
        }
        if (build == NULL && *h != NULL && test_below(random, 20) == 0) {
            check_same(*h);
            txn_rollback_wait(*h);
            *h = NULL;
        }
        if (test_below(random, 200) == 0)
            CHECK_OK(shards_checkpoint_wait());
        if (i % 16 == 0)
            CHECK_OK(fiber_sleep_wait(100)); /* purge goes on */
    }
    CHECK(build == NULL);
    for (uint32_t i = 0; i < HELD; i++)
        if (held[i] != NULL) {
            check_same(held[i]);
            txn_rollback_wait(held[i]);
        }
    for (uint32_t i = 0; i < WRITERS; i++)
        if (writers[i] != NULL)
            CHECK_OK(txn_commit_wait(writers[i]));
}

SUSPENDS static void beside_writers_steps(void)
{
    uint64_t random = 20261127;
    for (int round = 0; round < 4; round++) {
        if (round > 0) {
            test_directory_remove();
            test_directory_make();
        }
        CHECK_OK(shards_create_wait(&test_options, 1));
        CHECK_OK(shards_open_wait(&test_options));
        test_create_tables_wait();
        fill_round(&random);
        for (int crash = 0; crash < 2; crash++) {
            struct txn *t = test_begin(REPEATABLE_READ, 1);
            check_same(t);
            CHECK_OK(on_shard_wait(t, 0, true, verify, NULL));
            txn_rollback_wait(t);
            shards_abandon_wait();
            CHECK_OK(shards_open_wait(&test_options));
        }
        CHECK_OK(shards_close_wait());
    }
}

static void beside_writers(void)
{
    test_directory_make();
    test_run(1, beside_writers_steps);
    test_directory_remove();
}

SUITE_MAIN("indexes built beside writers", TEST(beside_writers))
