/*
 * Random transactions over several shards against a reference map: inserts with unique conflicts,
 * updates that grow, shrink, move and leave the page, deletes, savepoints, rollbacks, old
 * snapshots, checkpoints in the middle of transactions, and crashes (shards abandoned and opened
 * again). After each crash and at the end: rows, both indexes in both directions, structure, and no
 * garbage.
 */
#include "shard_test.h"

enum { KEYS = 600, TAGS = 40 };

struct model {
    struct test_row rows[KEYS]; /* found: there */
};

static struct {
    struct model committed;
    struct model now; /* of the running transaction */
    struct model savepoint;
    struct model old; /* of the old snapshot */
    struct txn *old_txn;
    uint64_t seed;
    uint32_t steps;
    uint64_t budget; /* of versions; 0 = large */
    bool has_spilled;
} st;

struct scan_arg {
    const struct model *model;
    uint32_t count;
    uint32_t expected;
    uint8_t seen[KEYS];
};

SUSPENDS static err_t check_scan(struct shard *s, struct txn_view *v, void *arg)
{
    struct scan_arg *a = arg;
    a->count = 0; /* may be the second try after a borrow */
    memset(a->seen, 0, sizeof(a->seen));
    struct arena *mem = arena_new();
    struct heap_scan *scan;
    err_t e = heap_scan_begin_wait(s, v, TABLE_HEAP, mem, &scan);
    while (e == ERR_OK) {
        row_id id;
        const uint8_t *row;
        uint32_t len;
        e = heap_scan_next_wait(scan, &id, &row, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        struct test_row r;
        bool ok = row_parse(row, len, &r);
        CHECK(ok);
        if (!ok)
            break;
        const struct test_row *want = &a->model->rows[r.key];
        CHECK(want->found && want->seed == r.seed && want->len == r.len && want->tag == r.tag);
        CHECK(a->seen[r.key] == 0);
        a->seen[r.key] = 1;
        a->count++;
    }
    arena_free(mem);
    return e;
}

SUSPENDS static err_t check_index(struct shard *s, struct txn_view *v, void *arg)
{
    struct scan_arg *a = arg;
    for (uint32_t pass = 0; pass < 4; pass++) {
        bool by_tag = pass >= 2;
        bool backward = pass % 2 == 1;
        struct arena *mem = arena_new();
        struct row_buf row = {.arena = mem};
        struct index_range range = {.backward = backward};
        struct index_scan *scan;
        err_t e = index_scan_begin_wait(s, v, by_tag ? TABLE_TAG : TABLE_KEY, TABLE_HEAP, &range,
                                        mem, &scan);
        uint64_t last = backward ? UINT64_MAX : 0;
        uint32_t count = 0;
        while (e == ERR_OK) {
            row_id id;
            e = index_scan_next_row_wait(scan, &id, &row);
            if (e != ERR_OK || id == ROW_ID_NONE)
                break;
            struct test_row r;
            if (!row_parse(row.data, row.len, &r)) {
                CHECK(false);
                break;
            }
            uint64_t k = by_tag ? r.tag : r.key;
            CHECK(backward ? k <= last : k >= last);
            last = k;
            const struct test_row *want = &a->model->rows[r.key];
            CHECK(want->found && want->seed == r.seed && want->tag == r.tag);
            count++;
        }
        arena_free(mem);
        TRY(e);
        CHECK(count == a->expected);
    }
    return ERR_OK;
}

SUSPENDS static void check_model(struct txn *t, const struct model *m)
{
    for (uint32_t shard = 0; shard < shard_count(); shard++) {
        struct scan_arg a = {.model = m};
        for (uint32_t k = 0; k < KEYS; k++) {
            if (k % shard_count() == shard && m->rows[k].found)
                a.expected++;
        }
        CHECK_OK(on_shard_wait(t, shard, false, check_scan, &a));
        CHECK(a.count == a.expected);
        CHECK_OK(on_shard_wait(t, shard, false, check_index, &a));
    }
}

SUSPENDS static err_t check_structure(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    (void)arg;
    struct arena *mem = arena_new();
    err_t e = shard_verify_wait(s, mem);
    uint64_t entries;
    if (e == ERR_OK)
        e = shard_verify_index_wait(s, TABLE_KEY, TABLE_HEAP, mem, &entries);
    if (e == ERR_OK)
        e = shard_verify_index_wait(s, TABLE_TAG, TABLE_HEAP, mem, &entries);
    arena_free(mem);
    return e;
}

/* After everything is purged: as many entries as rows, no versions, no locks, no deleted cells. */
SUSPENDS static err_t check_no_garbage(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    const struct model *m = arg;
    for (uint32_t i = 0; i < 3000 && (s->versions.count != 0 || s->parts_first != NULL); i++)
        TRY(fiber_sleep_wait(1000));
    CHECK(s->versions.count == 0);
    CHECK(s->versions.bytes == 0);
    CHECK(s->versions.spilled == 0);
    CHECK(s->versions.spilled_bytes == 0);
    CHECK(s->versions.entry_count == 0);
    CHECK(s->versions.bulk_inserts == 0);
    CHECK(s->parts_first == NULL);
    uint64_t cursor = 0;
    file_id file;
    enum file_kind kind;
    uint32_t pages;
    while (file_next(s->pages, &cursor, &file, &kind, &pages))
        CHECK(kind != FILE_SPILL);
    CHECK(st.budget != 0 || s->versions.file_next == 0);
    if (s->versions.file_next != 0)
        __atomic_store_n(&st.has_spilled, true, __ATOMIC_RELAXED);
    CHECK(s->row_locks.count == 0);
    uint64_t rows = 0;
    for (uint32_t k = 0; k < KEYS; k++)
        rows += k % shard_count() == shard_number(s) && m->rows[k].found;
    struct arena *mem = arena_new();
    uint64_t entries = 0;
    err_t e = shard_verify_index_wait(s, TABLE_KEY, TABLE_HEAP, mem, &entries);
    CHECK(entries == rows);
    if (e == ERR_OK)
        e = shard_verify_index_wait(s, TABLE_TAG, TABLE_HEAP, mem, &entries);
    CHECK(entries == rows);
    arena_free(mem);
    /* Cells: homes, moved, chunks; none deleted. */
    uint64_t homes = 0;
    for (uint32_t p = 0; p < file_page_count(s->pages, TABLE_HEAP) && e == ERR_OK; p++) {
        struct page *page;
        e = page_pin_wait(s->pages, TABLE_HEAP, p, &page);
        if (e != ERR_OK)
            break;
        for (uint32_t i = 0; i < hp_slot_count(page->data); i++) {
            struct cell c;
            if (!hp_get(page->data, i, &c))
                continue;
            CHECK((c.flags & CELL_DELETED) == 0);
            homes += (c.flags & (CELL_MOVED | CELL_CHUNK)) == 0;
        }
        page_unpin(page);
    }
    CHECK(homes == rows);
    return e;
}

static uint32_t random_len(void)
{
    switch (test_below(&st.seed, 12)) {
    case 0:
        return test_below(&st.seed, 8300);
    case 1:
        return test_below(&st.seed, 40000);
    case 2:
        return 8000 + test_below(&st.seed, 300);
    case 3:
    case 4:
        return test_below(&st.seed, 3000);
    default:
        return test_below(&st.seed, 200);
    }
}

SUSPENDS static void random_write(struct txn *t)
{
    uint32_t key = test_below(&st.seed, KEYS);
    uint32_t shard = key % shard_count();
    struct test_row r = {.key = key,
                         .tag = test_below(&st.seed, TAGS),
                         .len = random_len(),
                         .seed = (uint32_t)test_random(&st.seed)};
    struct test_row *m = &st.now.rows[key];
    txn_statement_begin(t);
    switch (test_below(&st.seed, 4)) {
    case 0: {
        uint32_t mark = txn_mark(t);
        CHECK_OK(on_shard_wait(t, shard, true, table_insert, &r));
        CHECK((r.conflict != ROW_ID_NONE) == m->found);
        if (r.conflict != ROW_ID_NONE) {
            CHECK_OK(txn_undo_to_wait(t, mark));
        } else {
            *m = r;
            m->found = true;
        }
        break;
    }
    case 1:
        CHECK_OK(on_shard_wait(t, shard, true, table_delete, &r));
        CHECK(r.found == m->found);
        m->found = false;
        break;
    default:
        CHECK_OK(on_shard_wait(t, shard, true, table_update, &r));
        CHECK(r.found == m->found);
        if (r.found) {
            *m = r;
            m->found = true;
        }
        break;
    }
}

SUSPENDS static void random_read(struct txn *t)
{
    uint32_t key = test_below(&st.seed, KEYS);
    struct test_row r = {.key = key};
    txn_statement_begin(t);
    CHECK_OK(on_shard_wait(t, key % shard_count(), false, table_get, &r));
    const struct test_row *m = &st.now.rows[key];
    CHECK(r.found == m->found);
    if (r.found)
        CHECK(r.seed == m->seed && r.tag == m->tag && r.len == m->len);
}

/* The transaction when left open, else NULL. */
SUSPENDS static struct txn *random_transaction(bool leave_open)
{
    struct txn *t = test_begin(test_below(&st.seed, 2) == 0 ? READ_COMMITTED : REPEATABLE_READ,
                               1 + test_below(&st.seed, 1000));
    st.now = st.committed;
    uint32_t n = 1 + test_below(&st.seed, st.budget != 0 ? 60 : 12);
    uint32_t mark = 0;
    for (uint32_t i = 0; i < n; i++) {
        switch (test_below(&st.seed, 12)) {
        case 0:
            mark = txn_mark(t);
            st.savepoint = st.now;
            break;
        case 1:
            if (mark != 0) {
                CHECK_OK(txn_undo_to_wait(t, mark));
                st.now = st.savepoint;
                mark = txn_mark(t);
            }
            break;
        case 2:
        case 3:
            random_read(t);
            break;
        default:
            random_write(t);
            break;
        }
        if (test_below(&st.seed, 150) == 0)
            CHECK_OK(shards_checkpoint_wait());
    }
    if (test_below(&st.seed, 20) == 0) {
        txn_statement_begin(t);
        check_model(t, &st.now);
    }
    if (leave_open)
        return t; /* the crash takes it */
    if (test_below(&st.seed, 4) == 0) {
        txn_rollback_wait(t);
        return NULL;
    }
    CHECK_OK(txn_commit_wait(t));
    st.committed = st.now;
    return NULL;
}

SUSPENDS static void old_snapshot_step(void)
{
    if (st.old_txn != NULL && test_below(&st.seed, 30) == 0) {
        check_model(st.old_txn, &st.old);
        CHECK_OK(txn_commit_wait(st.old_txn));
        st.old_txn = NULL;
    }
    if (st.old_txn == NULL && test_below(&st.seed, st.budget != 0 ? 5 : 60) == 0) {
        st.old_txn = test_begin(REPEATABLE_READ, 5000);
        st.old = st.committed;
    }
}

SUSPENDS static void check_all(void)
{
    struct txn *t = test_begin(READ_COMMITTED, 1);
    check_model(t, &st.committed);
    for (uint32_t i = 0; i < shard_count(); i++)
        CHECK_OK(on_shard_wait(t, i, true, check_structure, NULL));
    CHECK_OK(txn_commit_wait(t));
}

SUSPENDS static void check_all_purged(void)
{
    struct txn *t = test_begin(READ_COMMITTED, 1);
    struct on_shard c = {.fn = check_no_garbage, .arg = &st.committed};
    CHECK_OK(txn_commit_wait(t));
    for (uint32_t i = 0; i < shard_count(); i++) {
        c.shard_no = i;
        CHECK_OK(core_call_wait(shard_core(i), on_shard_run, &c));
    }
}

SUSPENDS static void crash_and_open(void)
{
    if (st.old_txn != NULL) {
        txn_rollback_wait(st.old_txn);
        st.old_txn = NULL;
    }
    struct txn *open = test_below(&st.seed, 2) == 0 ? random_transaction(true) : NULL;
    shards_abandon_wait();
    if (open != NULL)
        txn_discard(open);
    CHECK_OK(shards_open_wait(&test_options));
    check_all();
}

SUSPENDS static void model_steps(void)
{
    const char *seed_text = getenv("SEED");
    const char *steps_text = getenv("STEPS");
    if (seed_text != NULL)
        st.seed = strtoull(seed_text, NULL, 0);
    st.steps = steps_text != NULL ? (uint32_t)atoi(steps_text) : st.steps;
    fprintf(stderr, "seed %llu\n", (unsigned long long)st.seed);
    uint32_t shards = 1 + test_below(&st.seed, 4);
    CHECK_OK(shards_create_wait(&test_options, shards));
    CHECK_OK(shards_open_wait(&test_options));
    test_create_tables_wait();
    for (uint32_t i = 0; i < st.steps && failures == 0; i++) {
        old_snapshot_step();
        (void)random_transaction(false);
        if (test_below(&st.seed, 200) == 0)
            crash_and_open();
        else if (test_below(&st.seed, 200) == 0)
            check_all();
        if (test_below(&st.seed, 400) == 0 && st.old_txn == NULL)
            check_all_purged();
    }
    if (st.old_txn != NULL)
        CHECK_OK(txn_commit_wait(st.old_txn));
    st.old_txn = NULL;
    check_all();
    check_all_purged();
    CHECK_OK(shards_close_wait());
    uint32_t count;
    bool clean;
    CHECK_OK(shards_inspect_wait(&test_options, &count, &clean));
    CHECK(count == shards);
    CHECK(clean);
    CHECK_OK(shards_open_wait(&test_options));
    check_all();
    CHECK_OK(shards_close_wait());
}

static void model_on(uint32_t cores, uint64_t seed)
{
    memset(&st, 0, sizeof(st));
    st.seed = seed;
    st.steps = 1500;
    test_directory_make();
    test_run(cores, model_steps);
    test_directory_remove();
}

/* Nearly all versions are spilled. */
static void spilling_on(uint32_t cores, uint64_t seed, uint64_t budget)
{
    memset(&st, 0, sizeof(st));
    st.seed = seed;
    st.steps = 600;
    st.budget = budget;
    test_directory_make();
    test_options.version_bytes_max = budget;
    test_run(cores, model_steps);
    CU_ASSERT(st.has_spilled);
    test_directory_remove();
}

static void spilling_one_core(void)
{
    spilling_on(1, 4, 30000);
}
static void spilling_two_cores(void)
{
    spilling_on(2, 5, 20000);
}
static void spilling_more(void)
{
    spilling_on(1, 6, 100000);
}

static void one_core(void)
{
    model_on(1, 1);
}
static void two_cores(void)
{
    model_on(2, 2);
}
static void four_cores(void)
{
    model_on(4, 3);
}

SUITE_MAIN("shard model", TEST(one_core), TEST(two_cores), TEST(four_cores),
           TEST(spilling_one_core), TEST(spilling_two_cores), TEST(spilling_more))
