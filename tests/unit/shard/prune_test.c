/* Pruning: old snapshots beside many changes keep what they see and nothing else; a model of many
 * snapshots, changes over shards, savepoints, inserts and deletes, with pruning forced at random.
 */
#include "shard_test.h"

SUSPENDS static err_t prune_now(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    (void)arg;
    TRY(wal_flush_wait(s->wal, wal_end(s->wal)));
    s->prune_is_wanted = true;
    wait_queue_wake_all(&s->purge_wanted);
    return ERR_OK;
}

SUSPENDS static void prune_all(struct txn *t)
{
    for (uint32_t i = 0; i < shard_count(); i++)
        CHECK_OK(on_shard_wait(t, i, true, prune_now, NULL));
    CHECK_OK(fiber_sleep_wait(2000));
}

/* As test_begin, and its commit does not wait for the disk. */
SUSPENDS static struct txn *begin_quick(void)
{
    struct txn_options o = {.isolation = READ_COMMITTED, .session = 1};
    struct txn *t = txn_begin(&o);
    txn_statement_begin(t);
    return t;
}

/* The seed of a row as t sees it, 0 = no row. */
SUSPENDS static uint32_t seed_of(struct txn *t, uint64_t key)
{
    struct test_row r = {.key = key};
    CHECK_OK(on_shard_wait(t, (uint32_t)(key % shard_count()), false, table_get, &r));
    return r.found ? r.seed : 0;
}

SUSPENDS static err_t write_row(struct txn *t, uint64_t key, uint32_t seed, uint32_t tag,
                                bool insert)
{
    struct test_row r = {.key = key, .tag = tag, .len = 40 + seed % 60, .seed = seed};
    err_t e = on_shard_wait(t, (uint32_t)(key % shard_count()), true,
                            insert ? table_insert : table_update, &r);
    txn_advance(t);
    return e;
}

SUSPENDS static void hot_row_steps(void)
{
    test_options.version_bytes_max = 60000;
    CHECK_OK(shards_create_wait(&test_options, 1));
    CHECK_OK(shards_open_wait(&test_options));
    test_create_tables_wait();
    struct txn *t = begin_quick();
    CHECK_OK(write_row(t, 1, 1, 0, true));
    CHECK_OK(txn_commit_wait(t));
    struct txn *old = test_begin(REPEATABLE_READ, 2);
    struct txn *middle = NULL;
    for (uint32_t i = 2; i < 600; i++) {
        t = begin_quick();
        CHECK_OK(write_row(t, 1, i, 0, false));
        CHECK_OK(txn_commit_wait(t));
        if (i == 300)
            middle = test_begin(REPEATABLE_READ, 3);
    }
    CHECK(seed_of(old, 1) == 1);
    CHECK(seed_of(middle, 1) == 300);
    /* What is in use at the moment is left for the next time. */
    for (uint32_t i = 0; i < 200 && shard_local(0)->versions.count >= 20; i++)
        prune_all(old);
    CHECK(shard_local(0)->versions.count < 20);
    CHECK(seed_of(old, 1) == 1);
    CHECK(seed_of(middle, 1) == 300);
    CHECK(write_row(old, 1, 9, 0, false) == ERR_T_R_SERIALIZATION_FAILURE);
    txn_rollback_wait(old); /* and its lock on the row goes */
    CHECK(seed_of(middle, 1) == 300);
    CHECK(write_row(middle, 1, 9, 0, false) == ERR_T_R_SERIALIZATION_FAILURE);
    txn_rollback_wait(middle);
    /* The last version goes a moment before its transaction does. */
    for (uint32_t i = 0; i < 200 && shard_local(0)->purge_first != NULL; i++)
        CHECK_OK(fiber_sleep_wait(5000));
    CHECK(shard_local(0)->versions.count == 0);
    CHECK(shard_local(0)->purge_first == NULL);
    CHECK_OK(shards_close_wait());
}

/* A writer with a smaller number than one before it: what the older one left must still be found
 * when the newer version is pruned. */
SUSPENDS static void late_writer_steps(void)
{
    test_options.version_bytes_max = MIB(64);
    CHECK_OK(shards_create_wait(&test_options, 1));
    CHECK_OK(shards_open_wait(&test_options));
    test_create_tables_wait();
    struct txn *t = begin_quick();
    CHECK_OK(write_row(t, 1, 1, 0, true));
    CHECK_OK(txn_commit_wait(t));
    for (uint32_t i = 0; i < 100 && shard_local(0)->purge_first != NULL; i++)
        CHECK_OK(fiber_sleep_wait(5000));
    struct txn *low = test_begin(READ_COMMITTED, 2);
    (void)txn_assign_id(low);
    struct txn *old = test_begin(REPEATABLE_READ, 3);
    t = begin_quick();
    CHECK_OK(write_row(t, 1, 2, 0, false));
    CHECK_OK(txn_commit_wait(t));
    txn_statement_begin(low);
    CHECK_OK(write_row(low, 1, 3, 0, false));
    CHECK_OK(txn_commit_wait(low));
    prune_all(old);
    /* Many parts come and go, so that the smallest number in use is computed anew. */
    for (uint32_t i = 0; i < 40; i++) {
        t = begin_quick();
        CHECK_OK(write_row(t, 2, 10 + i, 0, i == 0));
        CHECK_OK(txn_commit_wait(t));
    }
    prune_all(old);
    prune_all(old);
    CHECK(seed_of(old, 1) == 1);
    txn_rollback_wait(old);
    CHECK_OK(shards_close_wait());
}

/* ---- the model ---- */

enum { KEYS = 24, SNAPSHOTS = 6, ROUNDS = 400 };

struct held {
    struct txn *txn;
    uint32_t seeds[KEYS];
};

static uint32_t model[KEYS];

SUSPENDS static void check_held(struct held *h)
{
    for (uint32_t k = 0; k < KEYS; k++)
        CHECK(seed_of(h->txn, k) == h->seeds[k]);
}

SUSPENDS static void change(uint64_t *random, uint32_t *seed)
{
    struct txn *t = begin_quick();
    uint32_t next[KEYS];
    memcpy(next, model, sizeof(next));
    uint32_t writes = 1 + test_below(random, 4);
    for (uint32_t i = 0; i < writes; i++) {
        uint32_t k = test_below(random, KEYS);
        uint32_t before = next[k];
        uint32_t mark = txn_mark(t);
        ++*seed;
        if (next[k] != 0 && test_below(random, 6) == 0) {
            struct test_row r = {.key = k};
            CHECK_OK(on_shard_wait(t, k % shard_count(), true, table_delete, &r));
            txn_advance(t);
            next[k] = 0;
        } else {
            uint32_t tag = test_below(random, 3) == 0 ? *seed % 7 : 0;
            CHECK_OK(write_row(t, k, *seed, tag, next[k] == 0));
            next[k] = *seed;
        }
        if (test_below(random, 8) == 0) {
            CHECK_OK(txn_undo_to_wait(t, mark));
            next[k] = before;
        }
    }
    if (test_below(random, 10) == 0) {
        txn_rollback_wait(t);
        return;
    }
    CHECK_OK(txn_commit_wait(t));
    memcpy(model, next, sizeof(model));
}

/* Structure of pages and trees; and with no snapshot left, no version or entry too many. */
SUSPENDS static err_t check_shard(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    (void)arg;
    for (uint32_t i = 0; i < 3000 && s->versions.count != 0; i++)
        TRY(fiber_sleep_wait(1000));
    CHECK(s->versions.count == 0);
    CHECK(s->versions.bytes == 0);
    uint64_t rows = 0;
    for (uint32_t k = 0; k < KEYS; k++)
        rows += k % shard_count() == shard_number(s) && model[k] != 0;
    struct arena *mem = arena_new();
    uint64_t entries = 0;
    err_t e = shard_verify_wait(s, mem);
    if (e == ERR_OK)
        e = shard_verify_index_wait(s, TABLE_KEY, TABLE_HEAP, mem, &entries);
    CHECK(entries == rows);
    if (e == ERR_OK)
        e = shard_verify_index_wait(s, TABLE_TAG, TABLE_HEAP, mem, &entries);
    CHECK(entries == rows);
    arena_free(mem);
    return e;
}

SUSPENDS static void crash_and_check(struct held *held)
{
    struct txn *last = begin_quick();
    prune_all(last); /* and everything is durable */
    txn_rollback_wait(last);
    for (uint32_t n = 0; n < SNAPSHOTS; n++) {
        if (held[n].txn == NULL)
            continue;
        check_held(&held[n]);
        txn_discard(held[n].txn);
        held[n].txn = NULL;
    }
    shards_abandon_wait();
    CHECK_OK(shards_open_wait(&test_options));
    struct held now = {.txn = test_begin(READ_COMMITTED, 1)};
    memcpy(now.seeds, model, sizeof(model));
    check_held(&now);
    txn_statement_end(now.txn);
    for (uint32_t i = 0; i < shard_count(); i++) {
        struct txn *t = test_begin(READ_COMMITTED, 1);
        struct on_shard c = {.shard_no = i, .fn = check_shard, .view = txn_view_make(t, i, false)};
        txn_statement_end(t);
        CHECK_OK(core_call_wait(shard_core(i), on_shard_run, &c));
        txn_rollback_wait(t);
    }
    txn_rollback_wait(now.txn);
}

SUSPENDS static void snapshots_steps(void)
{
    test_options.version_bytes_max = MIB(64);
    CHECK_OK(shards_create_wait(&test_options, 2));
    CHECK_OK(shards_open_wait(&test_options));
    test_create_tables_wait();
    uint64_t random = 20261126;
    uint32_t seed = 0;
    struct held held[SNAPSHOTS] = {0};
    memset(model, 0, sizeof(model));
    for (uint32_t i = 0; i < ROUNDS && failures == 0; i++) {
        change(&random, &seed);
        struct held *h = &held[test_below(&random, SNAPSHOTS)];
        if (test_below(&random, 20) == 0 && h->txn == NULL) {
            h->txn = test_begin(REPEATABLE_READ, 10);
            memcpy(h->seeds, model, sizeof(model));
        } else if (test_below(&random, 40) == 0 && h->txn != NULL) {
            check_held(h);
            txn_rollback_wait(h->txn);
            h->txn = NULL;
        }
        if (test_below(&random, 10) == 0) {
            struct txn *t = begin_quick();
            prune_all(t);
            txn_rollback_wait(t);
        }
        if (test_below(&random, 15) == 0) {
            for (uint32_t n = 0; n < SNAPSHOTS; n++) {
                if (held[n].txn != NULL)
                    check_held(&held[n]);
            }
        }
        if (test_below(&random, 60) == 0)
            CHECK_OK(shards_checkpoint_wait());
        if (test_below(&random, 100) == 0)
            crash_and_check(held);
    }
    crash_and_check(held);
    CHECK_OK(shards_close_wait());
}

#define SCENARIO(name, cores)                                                                      \
    static void name(void)                                                                         \
    {                                                                                              \
        test_directory_make();                                                                     \
        test_run(cores, name##_steps);                                                             \
        test_directory_remove();                                                                   \
    }
SCENARIO(hot_row, 1)
SCENARIO(late_writer, 1)
SCENARIO(snapshots, 2)

SUITE_MAIN("pruning of versions", TEST(hot_row), TEST(late_writer), TEST(snapshots))
