/* What the shard tests share: a directory, cores, shards, checks, a seeded generator, one table. */
#ifndef TESTS_UNIT_SHARD_SHARD_TEST_H
#define TESTS_UNIT_SHARD_SHARD_TEST_H

#include "shard/shard_priv.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t failures;

/* Threads of all cores may check. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);                                    \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
        }                                                                                          \
    } while (0)
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        err_t check_err_ = (call);                                                                 \
        if (check_err_ != ERR_OK) {                                                                \
            __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);                                    \
            fprintf(stderr, "%s:%d: %s: %s %s (%s:%d)\n", __FILE__, __LINE__, #call,               \
                    err_sqlstate(check_err_), err_diag()->message, err_diag()->file,               \
                    err_diag()->line);                                                             \
        }                                                                                          \
    } while (0)

static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline uint32_t test_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(test_random(state) % n);
}

static char test_directory[128];
static struct shard_options test_options;

static inline void test_directory_make(void)
{
    (void)snprintf(test_directory, sizeof(test_directory), "/tmp/percore-shard-XXXXXX");
    if (mkdtemp(test_directory) == NULL)
        abort();
    test_options = (struct shard_options){
        .data_directory = test_directory,
        .pool_bytes = MIB(4),
        .version_bytes_max = MIB(64),
        .wal_buffer_bytes = MIB(1),
        .max_wal_bytes = MIB(256),
        .checkpoint_timeout_us = 1000000000,
        .bulk_entries_min = 1, /* a row's first index entry has a version, the others have none */
    };
}
static inline void test_directory_remove(void)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", test_directory);
    if (system(command) != 0)
        abort();
}

static void (*test_entry)(void);

SUSPENDS static void test_core_entry(void *arg)
{
    (void)arg;
    if (core_id() != 0)
        return;
    test_entry();
    core_stop_all();
}

/* Runs fn in a fiber of core 0 with that many cores. */
static inline void test_run(uint32_t cores, void (*fn)(void))
{
    static const int none[CORE_COUNT_MAX] = {[0 ... CORE_COUNT_MAX - 1] = -1};
    struct core_options o = {.core_count = cores,
                             .cpus = none,
                             .numa_nodes = none,
                             .busy_poll_us = 20,
                             .stall_log_us = 0};
    test_entry = fn;
    err_t e = core_run(&o, test_core_entry, NULL);
    CU_ASSERT_EQUAL(e, ERR_OK);
    CU_ASSERT_EQUAL(failures, 0);
    failures = 0;
}

/* ---- work on a shard from any core ---- */

struct on_shard {
    uint32_t shard_no;
    err_t (*fn)(struct shard *s, struct txn_view *v, void *arg);
    struct txn_view view;
    void *arg;
};
static err_t on_shard_run(void *arg)
{
    struct on_shard *c = arg;
    return c->fn(shard_local(c->shard_no), &c->view, c->arg);
}
/* Runs fn as a fragment of t; for short reads with a borrow when the core sleeps. */
SUSPENDS static inline err_t
on_shard_wait(struct txn *t, uint32_t shard_no, bool may_write,
              err_t (*fn)(struct shard *s, struct txn_view *v, void *arg), void *arg)
{
    struct on_shard c = {
        .shard_no = shard_no, .fn = fn, .view = txn_view_make(t, shard_no, may_write), .arg = arg};
    err_t e = may_write ? core_call_wait(shard_core(shard_no), on_shard_run, &c)
                        : core_call_short_wait(shard_core(shard_no), on_shard_run, &c);
    txn_merge(t, shard_no, &c.view);
    return e;
}

static inline struct txn *test_begin(enum isolation isolation, uint32_t session)
{
    struct txn_options o = {.isolation = isolation, .synchronous_commit = true, .session = session};
    struct txn *t = txn_begin(&o);
    txn_statement_begin(t);
    return t;
}

/* ---- a table: u64 key (unique index), u32 tag (index), bytes ---- */

enum { TABLE_HEAP = 20001, TABLE_KEY = 20002, TABLE_TAG = 20003 }; /* of users */

struct test_row {
    uint64_t key;
    uint32_t tag;
    uint32_t len; /* of the bytes that follow */
    uint32_t seed;
    bool found;      /* out */
    row_id conflict; /* out */
    row_id id;       /* of uniqueness that is looked at later */
};

static inline uint32_t row_bytes(const struct test_row *r)
{
    return 20 + r->len;
}
static inline void row_fill(const struct test_row *r, uint8_t *out)
{
    store_u64(out, r->key);
    store_u32(out + 8, r->tag);
    store_u32(out + 12, r->len);
    store_u32(out + 16, r->seed);
    uint64_t s = r->seed;
    bool packs = r->seed % 3 == 0; /* some rows compress well */
    for (uint32_t i = 0; i < r->len; i++)
        out[20 + i] = packs ? (uint8_t)(i / 100 + r->seed) : (uint8_t)test_random(&s);
}
static inline bool row_parse(const uint8_t *row, uint32_t len, struct test_row *out)
{
    *out = (struct test_row){0};
    if (len < 20)
        return false;
    *out = (struct test_row){.key = load_u64(row),
                             .tag = load_u32(row + 8),
                             .len = load_u32(row + 12),
                             .seed = load_u32(row + 16)};
    if (row_bytes(out) != len)
        return false;
    uint8_t *want = malloc(len);
    row_fill(out, want);
    bool same = memcmp(want, row, len) == 0;
    free(want);
    return same;
}
/* Up to 808 bytes, so that small tables have trees of several levels. */
enum { KEY_BYTES_MAX = 808 };
static inline uint32_t key_bytes(uint64_t key, uint8_t out[KEY_BYTES_MAX])
{
    uint32_t filler = (uint32_t)(key % 5) * 200;
    store_be64(out, key);
    memset(out + 8, 'k', filler);
    return 8 + filler;
}
static inline void tag_bytes(uint32_t tag, uint8_t out[4])
{
    store_be32(out, tag);
}

SUSPENDS __attribute__((unused)) static err_t table_create(struct shard *s, struct txn_view *v,
                                                           void *arg)
{
    (void)arg;
    TRY(shard_file_create_wait(s, v, TABLE_HEAP, FILE_HEAP));
    TRY(shard_file_create_wait(s, v, TABLE_KEY, FILE_BTREE));
    return shard_file_create_wait(s, v, TABLE_TAG, FILE_BTREE);
}

/* How the writers keep the index on the tag. */
static enum { TAG_WHOLE, TAG_KNOWN_ONLY, TAG_UNKNOWN } tag_kept;

SUSPENDS __attribute__((unused)) static err_t tag_add(struct shard *s, struct txn_view *v,
                                                      const uint8_t *k, row_id id)
{
    if (tag_kept == TAG_UNKNOWN)
        return ERR_OK;
    if (tag_kept == TAG_KNOWN_ONLY)
        return index_insert_known_wait(s, v, TABLE_TAG, TABLE_HEAP, k, 4, id);
    return index_insert_wait(s, v, TABLE_TAG, TABLE_HEAP, k, 4, id, INDEX_NOT_UNIQUE, NULL);
}

SUSPENDS __attribute__((unused)) static err_t tag_remove(struct shard *s, struct txn_view *v,
                                                         const uint8_t *k, row_id id)
{
    if (tag_kept == TAG_UNKNOWN)
        return ERR_OK;
    if (tag_kept == TAG_KNOWN_ONLY)
        return index_remove_known_wait(s, v, TABLE_TAG, TABLE_HEAP, k, 4, id);
    return index_remove_wait(s, v, TABLE_TAG, TABLE_HEAP, k, 4, id);
}

/* conflict set: nothing inserted in the index; the caller undoes the statement. */
SUSPENDS __attribute__((unused)) static err_t table_insert(struct shard *s, struct txn_view *v,
                                                           void *arg)
{
    struct test_row *r = arg;
    uint8_t *bytes = malloc(row_bytes(r));
    row_fill(r, bytes);
    row_id id;
    err_t e = row_insert_wait(s, v, TABLE_HEAP, bytes, row_bytes(r), &id);
    free(bytes);
    TRY(e);
    uint8_t k[KEY_BYTES_MAX];
    uint32_t k_len = key_bytes(r->key, k);
    TRY(index_insert_wait(s, v, TABLE_KEY, TABLE_HEAP, k, k_len, id, INDEX_UNIQUE, &r->conflict));
    if (r->conflict != ROW_ID_NONE)
        return ERR_OK;
    tag_bytes(r->tag, k);
    return tag_add(s, v, k, id);
}

SUSPENDS __attribute__((unused)) static err_t table_find(struct shard *s, struct txn_view *v,
                                                         uint64_t key, struct arena *mem,
                                                         row_id *id, struct row_buf *row)
{
    uint8_t k[KEY_BYTES_MAX];
    uint32_t k_len = key_bytes(key, k);
    struct index_range range = {
        .low = k, .low_len = k_len, .high = k, .high_len = k_len, .high_inclusive = true};
    struct index_scan *scan;
    TRY(index_scan_begin_wait(s, v, TABLE_KEY, TABLE_HEAP, &range, mem, &scan));
    err_t e = index_scan_next_row_wait(scan, id, row);
    index_scan_end(scan);
    return e;
}

SUSPENDS __attribute__((unused)) static err_t table_get(struct shard *s, struct txn_view *v,
                                                        void *arg)
{
    struct test_row *r = arg;
    struct arena *mem = arena_new();
    struct row_buf row = {.arena = mem};
    row_id id;
    uint64_t key = r->key;
    err_t e = table_find(s, v, key, mem, &id, &row);
    if (e == ERR_OK) {
        bool found = id != ROW_ID_NONE;
        if (found) {
            CHECK(row_parse(row.data, row.len, r));
            CHECK(r->key == key);
        }
        r->found = found;
    }
    arena_free(mem);
    return e;
}

/* Lock by key; *old is the newest version. found: there is one. */
SUSPENDS __attribute__((unused)) static err_t table_lock(struct shard *s, struct txn_view *v,
                                                         uint64_t key, row_id *id,
                                                         struct test_row *old, bool *found)
{
    struct arena *mem = arena_new();
    struct row_buf row = {.arena = mem};
    *found = false;
    err_t e = table_find(s, v, key, mem, id, &row);
    if (e == ERR_OK && *id != ROW_ID_NONE) {
        enum row_lock_result result;
        e = row_lock_wait(s, v, TABLE_HEAP, *id, LOCK_UPDATE, LOCK_WAIT, &result, &row);
        if (e == ERR_OK && (result == ROW_LOCKED || result == ROW_LOCKED_CHANGED)) {
            CHECK(row_parse(row.data, row.len, old));
            *found = true;
        }
    }
    arena_free(mem);
    return e;
}

/* Update by key: new tag, len, seed. */
SUSPENDS __attribute__((unused)) static err_t table_update(struct shard *s, struct txn_view *v,
                                                           void *arg)
{
    struct test_row *r = arg;
    row_id id;
    struct test_row old;
    TRY(table_lock(s, v, r->key, &id, &old, &r->found));
    if (!r->found)
        return ERR_OK;
    uint8_t *bytes = malloc(row_bytes(r));
    row_fill(r, bytes);
    err_t e = row_update_wait(s, v, TABLE_HEAP, id, bytes, row_bytes(r));
    free(bytes);
    TRY(e);
    if (old.tag != r->tag) {
        uint8_t k[4];
        tag_bytes(old.tag, k);
        TRY(tag_remove(s, v, k, id));
        tag_bytes(r->tag, k);
        TRY(tag_add(s, v, k, id));
    }
    return ERR_OK;
}

SUSPENDS __attribute__((unused)) static err_t table_delete(struct shard *s, struct txn_view *v,
                                                           void *arg)
{
    struct test_row *r = arg;
    row_id id;
    struct test_row old;
    TRY(table_lock(s, v, r->key, &id, &old, &r->found));
    if (!r->found)
        return ERR_OK;
    TRY(row_delete_wait(s, v, TABLE_HEAP, id));
    uint8_t k[KEY_BYTES_MAX];
    uint32_t k_len = key_bytes(r->key, k);
    TRY(index_remove_wait(s, v, TABLE_KEY, TABLE_HEAP, k, k_len, id));
    tag_bytes(old.tag, k);
    return tag_remove(s, v, k, id);
}

SUSPENDS static inline void test_create_tables_wait(void)
{
    struct txn *t = test_begin(READ_COMMITTED, 1);
    for (uint32_t i = 0; i < shard_count(); i++)
        CHECK_OK(on_shard_wait(t, i, true, table_create, NULL));
    CHECK_OK(txn_commit_wait(t));
}

#define SUITE_MAIN(name, ...)                                                                      \
    int main(void)                                                                                 \
    {                                                                                              \
        static const struct {                                                                      \
            const char *label;                                                                     \
            void (*fn)(void);                                                                      \
        } tests[] = {__VA_ARGS__};                                                                 \
        if (CU_initialize_registry() != CUE_SUCCESS)                                               \
            return 1;                                                                              \
        CU_pSuite suite = CU_add_suite(name, NULL, NULL);                                          \
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)                              \
            CU_add_test(suite, tests[i].label, tests[i].fn);                                       \
        CU_basic_set_mode(CU_BRM_VERBOSE);                                                         \
        CU_basic_run_tests();                                                                      \
        unsigned failed = CU_get_number_of_failures();                                             \
        CU_cleanup_registry();                                                                     \
        return failed != 0;                                                                        \
    }
#define TEST(fn)                                                                                   \
    {                                                                                              \
#fn, fn                                                                                    \
    }

#endif
