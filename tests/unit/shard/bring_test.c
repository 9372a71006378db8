/* A map of keys built beside writers (row_bring_wait): a table whose rows have a tag each, no two
 * the same, and a map of tags to rows, each a row with an entry in a unique index. Rows are there
 * without map rows, writers keep the map from then on (first beside those who know nothing of it,
 * or keep only what it knows), each with a transaction that commits or is taken back, and a build
 * that brings in what its snapshot sees. Every later snapshot finds in the map what it finds in the
 * table, after a crash too. */
#include "shard_test.h"

enum { MAP_HEAP = 1011, MAP_KEY = 1012, ROWS = 120, WRITERS = 4, HELD = 3, FOUND_MAX = 2000 };
enum { TAGS = 4, STEPS = 2500, MAP_BYTES = 12 };

/* A map row: u32 tag, big endian, u64 row of the table. Its key is the tag. */
static void map_row(uint32_t tag, row_id row, uint8_t out[MAP_BYTES])
{
    store_be32(out, tag);
    store_u64(out + 4, row);
}

struct found {
    uint32_t tag;
    row_id row;
};
struct found_list {
    struct found items[FOUND_MAX];
    uint32_t count;
};

static int found_order(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;
    if (x->tag != y->tag)
        return x->tag < y->tag ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

SUSPENDS static err_t map_create(struct shard *s, struct txn_view *v, void *arg)
{
    TRY(table_create(s, v, arg));
    TRY(shard_file_create_wait(s, v, MAP_HEAP, FILE_HEAP));
    return shard_file_create_wait(s, v, MAP_KEY, FILE_BTREE);
}

/* ---- what a snapshot sees ---- */

SUSPENDS static err_t list_table(struct shard *s, struct txn_view *v, void *arg)
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
        CHECK(l->count < FOUND_MAX);
        l->items[l->count++] = (struct found){load_u32(row + 8), id};
    }
    heap_scan_end(scan);
    arena_free(mem);
    qsort(l->items, l->count, sizeof(*l->items), found_order);
    return e;
}

SUSPENDS static err_t list_map(struct shard *s, struct txn_view *v, void *arg)
{
    struct found_list *l = arg;
    struct arena *mem = arena_new();
    struct row_buf row = {.arena = mem};
    struct index_range all = {0};
    struct index_scan *scan;
    l->count = 0;
    err_t e = index_scan_begin_wait(s, v, MAP_KEY, MAP_HEAP, &all, mem, &scan);
    while (e == ERR_OK) {
        row_id id;
        e = index_scan_next_row_wait(scan, &id, &row);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        CHECK(l->count < FOUND_MAX && row.len == MAP_BYTES);
        l->items[l->count++] = (struct found){load_be32(row.data), load_u64(row.data + 4)};
    }
    index_scan_end(scan);
    arena_free(mem);
    qsort(l->items, l->count, sizeof(*l->items), found_order);
    return e;
}

static struct found_list by_table;
static struct found_list by_map;

SUSPENDS static void check_same(struct txn *t)
{
    CHECK_OK(on_shard_wait(t, 0, true, list_table, &by_table));
    CHECK_OK(on_shard_wait(t, 0, true, list_map, &by_map));
    CHECK(by_table.count == by_map.count);
    for (uint32_t i = 0; i < MIN(by_table.count, by_map.count); i++)
        CHECK(found_order(&by_table.items[i], &by_map.items[i]) == 0);
}

/* ---- bringing in ---- */

static bool is_same(void *ctx, const uint8_t *row, uint32_t len)
{
    const uint8_t *own = ctx;
    return len == MAP_BYTES && load_u64(row + 4) == load_u64(own + 4);
}

SUSPENDS static err_t bring(struct shard *s, struct txn_view *v, const struct found *f,
                            bool is_checked, row_id *conflict)
{
    uint8_t bytes[MAP_BYTES];
    map_row(f->tag, f->row, bytes);
    struct row_bring b = {.heap = MAP_HEAP,
                          .index = MAP_KEY,
                          .row = bytes,
                          .len = MAP_BYTES,
                          .key = bytes,
                          .key_len = 4,
                          .is_checked = is_checked,
                          .is_same = is_same,
                          .ctx = bytes};
    return row_bring_wait(s, v, &b, conflict);
}

SUSPENDS static err_t fill_one(struct shard *s, struct txn_view *v, void *arg)
{
    row_id conflict;
    TRY(bring(s, v, arg, true, &conflict));
    CHECK(conflict == ROW_ID_NONE);
    return ERR_OK;
}

/* ---- writers ---- */

SUSPENDS static err_t map_find(struct shard *s, const struct txn_view *v, const struct found *f,
                               row_id *out)
{
    struct txn_view latest = *v;
    latest.snapshot = UINT64_MAX - 1;
    latest.seq++;
    struct arena *mem = arena_new();
    struct row_buf row = {.arena = mem};
    uint8_t k[4];
    tag_bytes(f->tag, k);
    struct index_range range = {
        .low = k, .low_len = 4, .high = k, .high_len = 4, .high_inclusive = true};
    struct index_scan *scan;
    err_t e = index_scan_begin_wait(s, &latest, MAP_KEY, MAP_HEAP, &range, mem, &scan);
    for (bool more = true; e == ERR_OK && more;) {
        e = index_scan_next_row_wait(scan, out, &row);
        more = *out != ROW_ID_NONE && load_u64(row.data + 4) != f->row;
    }
    arena_free(mem);
    return e;
}

SUSPENDS static err_t map_insert(struct shard *s, struct txn_view *v, const struct found *f)
{
    if (tag_kept != TAG_WHOLE)
        return ERR_OK;
    uint8_t bytes[MAP_BYTES];
    row_id id;
    row_id conflict;
    map_row(f->tag, f->row, bytes);
    TRY(row_insert_wait(s, v, MAP_HEAP, bytes, MAP_BYTES, &id));
    TRY(index_insert_wait(s, v, MAP_KEY, MAP_HEAP, bytes, 4, id, INDEX_UNIQUE, &conflict));
    CHECK(conflict == ROW_ID_NONE);
    return ERR_OK;
}

SUSPENDS static err_t committed_tag(struct shard *s, row_id row, bool *found, uint32_t *tag)
{
    struct txn_view others = {.snapshot = UINT64_MAX - 1};
    struct arena *mem = arena_new();
    struct row_buf image = {.arena = mem};
    err_t e = row_fetch_wait(s, &others, TABLE_HEAP, row, found, &image);
    if (e == ERR_OK && *found)
        *tag = load_u32(image.data + 8);
    arena_free(mem);
    return e;
}

SUSPENDS static err_t map_remove(struct shard *s, struct txn_view *v, const struct found *f)
{
    if (tag_kept == TAG_UNKNOWN)
        return ERR_OK;
    row_id id;
    TRY(map_find(s, v, f, &id));
    if (id == ROW_ID_NONE && tag_kept == TAG_WHOLE) {
        bool found;
        uint32_t tag = 0;
        TRY(committed_tag(s, f->row, &found, &tag));
        if (found && tag == f->tag) {
            struct txn_view others = {.snapshot = UINT64_MAX - 1};
            row_id conflict;
            TRY(bring(s, &others, f, false, &conflict));
            TRY(map_find(s, v, f, &id));
        }
    }
    if (id == ROW_ID_NONE)
        return ERR_OK;
    enum row_lock_result result;
    TRY(row_lock_wait(s, v, MAP_HEAP, id, LOCK_UPDATE, LOCK_WAIT, &result, NULL));
    CHECK(result == ROW_LOCKED || result == ROW_LOCKED_CHANGED);
    TRY(row_delete_wait(s, v, MAP_HEAP, id));
    uint8_t k[4];
    tag_bytes(f->tag, k);
    return index_remove_wait(s, v, MAP_KEY, MAP_HEAP, k, 4, id);
}

struct change {
    uint64_t key;
    uint32_t tag;
    enum { CHANGE_TAG, CHANGE_DELETE, CHANGE_INSERT } kind;
};

SUSPENDS static err_t change_insert(struct shard *s, struct txn_view *v, const struct test_row *r)
{
    uint8_t bytes[64];
    row_fill(r, bytes);
    row_id id;
    TRY(row_insert_wait(s, v, TABLE_HEAP, bytes, row_bytes(r), &id));
    uint8_t k[KEY_BYTES_MAX];
    uint32_t len = key_bytes(r->key, k);
    row_id conflict;
    TRY(index_insert_wait(s, v, TABLE_KEY, TABLE_HEAP, k, len, id, INDEX_UNIQUE, &conflict));
    CHECK(conflict == ROW_ID_NONE);
    return map_insert(s, v, &(struct found){r->tag, id});
}

SUSPENDS static err_t change_apply(struct shard *s, struct txn_view *v, void *arg)
{
    const struct change *c = arg;
    struct test_row r = {.key = c->key, .tag = c->tag, .len = 10, .seed = 1};
    row_id id;
    struct test_row old;
    bool found;
    TRY(table_lock(s, v, c->key, &id, &old, &found));
    if (!found)
        return c->kind == CHANGE_INSERT ? change_insert(s, v, &r) : ERR_OK;
    struct found before = {old.tag, id};
    if (c->kind == CHANGE_DELETE) {
        uint8_t k[KEY_BYTES_MAX];
        uint32_t len = key_bytes(c->key, k);
        TRY(row_delete_wait(s, v, TABLE_HEAP, id));
        TRY(index_remove_wait(s, v, TABLE_KEY, TABLE_HEAP, k, len, id));
        return map_remove(s, v, &before);
    }
    uint8_t bytes[64];
    row_fill(&r, bytes);
    TRY(row_update_wait(s, v, TABLE_HEAP, id, bytes, row_bytes(&r)));
    if (old.tag == c->tag)
        return ERR_OK;
    TRY(map_remove(s, v, &before));
    return map_insert(s, v, &(struct found){c->tag, id});
}

/* A row's tags are its own, and few, so that they come back. */
SUSPENDS static void write_step(struct txn **t, uint32_t writer, uint64_t *random)
{
    if (*t == NULL)
        *t = test_begin(READ_COMMITTED, 10 + writer);
    uint32_t what = test_below(random, 10);
    struct change c = {.key = test_below(random, ROWS / WRITERS) * WRITERS + writer,
                       .kind = what < 5   ? CHANGE_TAG
                               : what < 7 ? CHANGE_DELETE
                                          : CHANGE_INSERT};
    c.tag = (uint32_t)c.key * TAGS + test_below(random, TAGS);
    uint32_t mark = txn_mark(*t);
    txn_statement_begin(*t);
    CHECK_OK(on_shard_wait(*t, 0, true, change_apply, &c));
    if (test_below(random, 8) == 0)
        CHECK_OK(txn_undo_to_wait(*t, mark));
    if (test_below(random, 6) != 0)
        return;
    if (test_below(random, 3) == 0)
        txn_rollback_wait(*t);
    else
        CHECK_OK(txn_commit_wait(*t));
    *t = NULL;
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

SUSPENDS static err_t verify(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    (void)arg;
    uint64_t entries;
    struct arena *mem = arena_new();
    err_t e = shard_verify_wait(s, mem);
    if (e == ERR_OK)
        e = shard_verify_index_wait(s, MAP_KEY, MAP_HEAP, mem, &entries);
    arena_free(mem);
    return e;
}

SUSPENDS static void fill_round(uint64_t *random)
{
    static struct found_list seen;
    struct txn *writers[WRITERS] = {0};
    struct txn *held[HELD] = {0};
    struct txn *t = test_begin(READ_COMMITTED, 1);
    tag_kept = TAG_UNKNOWN;
    for (uint32_t key = 0; key < ROWS; key++) {
        struct change c = {.key = key, .tag = key * TAGS, .kind = CHANGE_INSERT};
        CHECK_OK(on_shard_wait(t, 0, true, change_apply, &c));
    }
    CHECK_OK(txn_commit_wait(t));
    writers_between(TAG_UNKNOWN, TAG_KNOWN_ONLY, random);
    writers_between(TAG_KNOWN_ONLY, TAG_WHOLE, random);
    for (uint32_t i = 0; i < 60; i++) { /* they keep it already, before the build */
        uint32_t w = test_below(random, WRITERS);
        write_step(&writers[w], w, random);
    }
    struct txn *build = test_begin(REPEATABLE_READ, 2);
    CHECK_OK(on_shard_wait(build, 0, true, list_table, &seen));
    uint32_t at = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        if (test_below(random, 8) == 0 && at < seen.count)
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

SUSPENDS static void open_empty(void)
{
    CHECK_OK(shards_create_wait(&test_options, 1));
    CHECK_OK(shards_open_wait(&test_options));
    struct txn *t = test_begin(READ_COMMITTED, 1);
    CHECK_OK(on_shard_wait(t, 0, true, map_create, NULL));
    CHECK_OK(txn_commit_wait(t));
}

SUSPENDS static void beside_writers_steps(void)
{
    uint64_t random = 20261128;
    for (int round = 0; round < 4; round++) {
        if (round > 0) {
            test_directory_remove();
            test_directory_make();
        }
        test_options.version_bytes_max = round < 2 ? MIB(64) : KIB(96); /* versions are spilled */
        open_empty();
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

/* ---- one by one ---- */

struct one {
    struct found f;
    bool is_checked;
    row_id conflict;
};

SUSPENDS static err_t bring_one(struct shard *s, struct txn_view *v, void *arg)
{
    struct one *o = arg;
    return bring(s, v, &o->f, o->is_checked, &o->conflict);
}

SUSPENDS static void brought(struct txn *t, uint32_t tag, row_id row, bool is_conflict)
{
    struct one o = {.f = {tag, row}, .is_checked = true};
    CHECK_OK(on_shard_wait(t, 0, true, bring_one, &o));
    CHECK((o.conflict != ROW_ID_NONE) == is_conflict);
}

SUSPENDS static err_t remove_one(struct shard *s, struct txn_view *v, void *arg)
{
    return map_remove(s, v, arg);
}

struct waiter {
    struct txn *txn;
    uint32_t tag;
    row_id row;
    bool is_conflict;
    bool is_done;
};

SUSPENDS static void waiter_run(void *arg)
{
    struct waiter *w = arg;
    brought(w->txn, w->tag, w->row, w->is_conflict);
    w->is_done = true;
}

/* Whoever else has the key is taking it away: the outcome decides. */
SUSPENDS static void outcome(struct txn *build, bool commits, uint32_t tag)
{
    struct found first = {tag, 5};
    struct waiter w = {.txn = build, .tag = tag, .row = 6, .is_conflict = !commits};
    tag_kept = TAG_KNOWN_ONLY;
    brought(build, tag, 5, false);
    struct txn *t = test_begin(READ_COMMITTED, 7);
    CHECK_OK(on_shard_wait(t, 0, true, remove_one, &first));
    brought(build, tag, 5, false); /* there, and perhaps not for long: nothing in its way */
    CHECK_OK(fiber_spawn(waiter_run, &w));
    CHECK_OK(fiber_sleep_wait(20000));
    CHECK(!w.is_done);
    if (commits)
        CHECK_OK(txn_commit_wait(t));
    else
        txn_rollback_wait(t);
    while (!w.is_done)
        CHECK_OK(fiber_sleep_wait(1000));
}

SUSPENDS static void crash_and_open(void)
{
    struct shard *s = shard_local(0);
    CHECK_OK(shard_flush_wait(s, shard_log_end(s)));
    shards_abandon_wait();
    CHECK_OK(shards_open_wait(&test_options));
}

SUSPENDS static void conflicts_steps(void)
{
    open_empty();
    struct txn *build = test_begin(REPEATABLE_READ, 2);
    brought(build, 1, 1, false);
    brought(build, 1, 1, false);
    brought(build, 1, 2, true);
    brought(build, 2, 2, false);
    outcome(build, true, 3);
    outcome(build, false, 4);
    txn_rollback_wait(build);
    for (int crash = 0; crash < 2; crash++) {
        struct txn *t = test_begin(REPEATABLE_READ, 1);
        static const struct found expected[] = {{1, 1}, {2, 2}, {3, 6}, {4, 5}};
        CHECK_OK(on_shard_wait(t, 0, true, list_map, &by_map));
        CHECK(by_map.count == ARRAY_LEN(expected));
        for (uint32_t i = 0; i < MIN(by_map.count, (uint32_t)ARRAY_LEN(expected)); i++)
            CHECK(found_order(&by_map.items[i], &expected[i]) == 0);
        CHECK_OK(on_shard_wait(t, 0, true, verify, NULL));
        txn_rollback_wait(t);
        crash_and_open();
    }
    CHECK_OK(shards_close_wait());
}

static void conflicts(void)
{
    test_directory_make();
    test_run(1, conflicts_steps);
    test_directory_remove();
}

/* Rows longer than a page, if they can be packed. */
SUSPENDS static err_t bring_long(struct shard *s, struct txn_view *v, void *arg)
{
    uint64_t random = 3;
    enum { LONG = 30000 };
    uint8_t *bytes = core_zalloc(LONG);
    row_id conflict;
    struct row_bring b = {.heap = MAP_HEAP,
                          .index = MAP_KEY,
                          .row = bytes,
                          .len = LONG,
                          .key = "long",
                          .key_len = 4,
                          .is_checked = true,
                          .is_same = is_same,
                          .ctx = bytes};
    (void)arg;
    err_t e = row_bring_wait(s, v, &b, &conflict);
    for (uint32_t i = 0; i < LONG; i++)
        bytes[i] = (uint8_t)test_random(&random);
    b.key = "none";
    CHECK(row_bring_wait(s, v, &b, &conflict) == ERR_FEATURE_NOT_SUPPORTED);
    core_free(bytes);
    return e;
}

SUSPENDS static err_t long_is_there(struct shard *s, struct txn_view *v, void *arg)
{
    (void)arg;
    struct arena *mem = arena_new();
    struct row_buf row = {.arena = mem};
    struct index_range all = {0};
    struct index_scan *scan;
    row_id id;
    TRY(index_scan_begin_wait(s, v, MAP_KEY, MAP_HEAP, &all, mem, &scan));
    err_t e = index_scan_next_row_wait(scan, &id, &row);
    CHECK(e == ERR_OK && id != ROW_ID_NONE && row.len == 30000 && row.data[29999] == 0);
    if (e == ERR_OK)
        e = index_scan_next_row_wait(scan, &id, &row);
    CHECK(e == ERR_OK && id == ROW_ID_NONE);
    index_scan_end(scan);
    arena_free(mem);
    return e;
}

/* Record bytes are untrusted. */
SUSPENDS static err_t bad_records(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    (void)arg;
    enum { HEAD = 28, BYTES = HEAD + 8 };
    uint8_t good[BYTES] = {0};
    store_u64(good, MAP_HEAP);
    store_u64(good + 8, row_make(0, 50));
    store_u64(good + 16, MAP_KEY);
    store_u16(good + 26, 4);
    for (uint32_t len = 0; len < HEAD + 4; len++)
        CHECK(redo_record_wait(s, LOG_ROW_BROUGHT, good, len, 1) == ERR_DATA_CORRUPTED);
    const struct {
        uint32_t at;
        uint64_t value;
    } bad[] = {{0, 99},         {0, MAP_KEY},        {8, UINT64_MAX},
               {8, 1ull << 48}, {8, row_make(0, 0)}, {8, row_make(0, RANGE_SLOT)},
               {16, 99},        {16, MAP_HEAP}};
    for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t record[BYTES];
        memcpy(record, good, BYTES);
        store_u64(record + bad[i].at, bad[i].value);
        CHECK(redo_record_wait(s, LOG_ROW_BROUGHT, record, BYTES, 1) == ERR_DATA_CORRUPTED);
    }
    store_u16(good + 26, 9); /* the key is longer than what is there */
    CHECK(redo_record_wait(s, LOG_ROW_BROUGHT, good, BYTES, 1) == ERR_DATA_CORRUPTED);
    return ERR_OK;
}

SUSPENDS static void bytes_steps(void)
{
    open_empty();
    struct txn *t = test_begin(REPEATABLE_READ, 1);
    CHECK_OK(on_shard_wait(t, 0, true, bring_long, NULL));
    CHECK_OK(on_shard_wait(t, 0, true, bad_records, NULL));
    for (int crash = 0; crash < 2; crash++) {
        CHECK_OK(on_shard_wait(t, 0, true, long_is_there, NULL));
        CHECK_OK(on_shard_wait(t, 0, true, verify, NULL));
        CHECK_OK(txn_commit_wait(t));
        crash_and_open();
        t = test_begin(REPEATABLE_READ, 1);
    }
    txn_rollback_wait(t);
    CHECK_OK(shards_close_wait());
}

static void bytes(void)
{
    test_directory_make();
    test_run(1, bytes_steps);
    test_directory_remove();
}

SUITE_MAIN("rows brought in beside writers", TEST(beside_writers), TEST(conflicts), TEST(bytes))
