/*
 * B+tree against a sorted reference: random keys of variable length (shared prefixes, very long
 * ones, equal keys), splits on all levels, deletes that free pages, ranges in both directions with
 * every kind of bound, scans that go on while the tree changes, small pool, replay. Row ids are
 * made up: an index does not look at rows.
 */
#include "shard_test.h"

enum { INDEX = 2001, HEAP = 1001, ENTRIES_MAX = 6000 };

struct entry {
    uint8_t *key;
    uint32_t len;
    row_id rid;
};

static struct {
    struct entry entries[ENTRIES_MAX]; /* sorted */
    uint32_t count;
    uint64_t seed;
    uint32_t style;
} st;

static int entry_compare(const struct entry *a, const struct entry *b)
{
    int c = memcmp(a->key, b->key, MIN(a->len, b->len));
    if (c != 0)
        return c;
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return a->rid < b->rid ? -1 : a->rid > b->rid;
}

static uint32_t place_of(const struct entry *e)
{
    uint32_t lo = 0;
    uint32_t hi = st.count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (entry_compare(&st.entries[mid], e) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint32_t random_key(uint8_t *out)
{
    uint32_t len = 0;
    switch (st.style) {
    case 0: /* numbers */
        store_be64(out, test_below(&st.seed, 3000));
        return 8;
    case 1: /* long common prefixes, few of them */
        len = 40 + 700 * test_below(&st.seed, 3);
        memset(out, 'a' + (int)test_below(&st.seed, 3), len);
        break;
    case 2: /* everything, up to the longest */
        len = test_below(&st.seed, 8) == 0 ? test_below(&st.seed, INDEX_KEY_BYTES_MAX - 11) : 0;
        memset(out, 'x', len);
        break;
    default: /* bytes with zeros, short, many equal */
        len = test_below(&st.seed, 4);
        for (uint32_t i = 0; i < len; i++)
            out[i] = (uint8_t)test_below(&st.seed, 3);
        return len;
    }
    uint32_t tail = test_below(&st.seed, 12);
    for (uint32_t i = 0; i < tail; i++)
        out[len + i] = (uint8_t)test_random(&st.seed);
    return len + tail;
}

SUSPENDS static err_t make(struct shard *s, struct txn_view *v, void *arg)
{
    (void)arg;
    return shard_file_create_wait(s, v, INDEX, FILE_BTREE);
}

SUSPENDS static void add(struct txn *t)
{
    if (st.count == ENTRIES_MAX)
        return;
    uint8_t key[INDEX_KEY_BYTES_MAX];
    struct entry e = {.key = key, .len = random_key(key)};
    e.rid = row_make(test_below(&st.seed, 1000000), test_below(&st.seed, 100));
    uint32_t at = place_of(&e);
    if (at < st.count && entry_compare(&st.entries[at], &e) == 0)
        return;
    struct txn_view v = txn_view_make(t, 0, true);
    CHECK_OK(index_insert_wait(shard_local(0), &v, INDEX, HEAP, key, e.len, e.rid, INDEX_NOT_UNIQUE,
                               NULL));
    txn_merge(t, 0, &v);
    memmove(&st.entries[at + 1], &st.entries[at], (st.count - at) * sizeof(e));
    e.key = malloc(e.len + 1);
    memcpy(e.key, key, e.len);
    st.entries[at] = e;
    st.count++;
}

SUSPENDS static void take(struct txn *t)
{
    if (st.count == 0)
        return;
    uint32_t at = test_below(&st.seed, st.count);
    struct entry e = st.entries[at];
    struct txn_view v = txn_view_make(t, 0, true);
    CHECK_OK(index_remove_wait(shard_local(0), &v, INDEX, HEAP, e.key, e.len, e.rid));
    txn_merge(t, 0, &v);
    free(e.key);
    st.count--;
    memmove(&st.entries[at], &st.entries[at + 1], (st.count - at) * sizeof(e));
}

/* Is the entry within the range, by the contract's words? */
static bool is_in(const struct entry *e, const struct index_range *r)
{
    if (r->low != NULL) {
        bool begins = e->len >= r->low_len && memcmp(e->key, r->low, r->low_len) == 0;
        struct entry low = {.key = (uint8_t *)(uintptr_t)r->low, .len = r->low_len};
        if (begins ? r->low_exclusive : entry_compare(e, &low) < 0)
            return false;
    }
    if (r->high != NULL) {
        bool begins = e->len >= r->high_len && memcmp(e->key, r->high, r->high_len) == 0;
        struct entry high = {.key = (uint8_t *)(uintptr_t)r->high, .len = r->high_len};
        if (begins ? !r->high_inclusive : entry_compare(e, &high) > 0)
            return false;
    }
    return true;
}

SUSPENDS static void check_range(struct txn *t, const struct index_range *range, bool disturb)
{
    struct arena *mem = arena_new();
    struct txn_view v = txn_view_make(t, 0, false);
    struct index_scan *scan;
    struct shard *s = shard_local(0);
    struct entry *want = malloc((st.count + 1) * sizeof(*want));
    uint32_t n = 0;
    for (uint32_t i = 0; i < st.count; i++) {
        const struct entry *e = &st.entries[range->backward ? st.count - 1 - i : i];
        if (is_in(e, range)) {
            want[n] = *e;
            want[n].key = malloc(e->len + 1);
            memcpy(want[n].key, e->key, e->len);
            n++;
        }
    }
    CHECK_OK(index_scan_begin_wait(s, &v, INDEX, HEAP, range, mem, &scan));
    for (uint32_t i = 0; i <= n; i++) {
        row_id id = 0;
        const uint8_t *key = NULL;
        uint32_t len = 0;
        CHECK_OK(index_scan_next_wait(scan, &id, &key, &len));
        if (i == n) {
            CHECK(id == ROW_ID_NONE);
            break;
        }
        bool same = id == want[i].rid && len == want[i].len && memcmp(key, want[i].key, len) == 0;
        CHECK(same);
        if (!same)
            break;
        if (disturb && test_below(&st.seed, 10) == 0) {
            /* Others come and go; this snapshot sees none of it. */
            struct txn *other = test_begin(READ_COMMITTED, 77);
            for (uint32_t k = 0; k < 5; k++) {
                add(other);
                take(other);
            }
            CHECK_OK(txn_commit_wait(other));
        }
    }
    index_scan_end(scan);
    for (uint32_t i = 0; i < n; i++)
        free(want[i].key);
    free(want);
    arena_free(mem);
}

SUSPENDS static void check_ranges(uint32_t times, bool disturb)
{
    uint8_t low[INDEX_KEY_BYTES_MAX];
    uint8_t high[INDEX_KEY_BYTES_MAX];
    for (uint32_t i = 0; i < times && failures == 0; i++) {
        struct txn *t = test_begin(REPEATABLE_READ, 5);
        struct index_range r = {.backward = test_below(&st.seed, 2) == 0,
                                .low_exclusive = test_below(&st.seed, 2) == 0,
                                .high_inclusive = test_below(&st.seed, 2) == 0};
        if (test_below(&st.seed, 4) != 0) {
            r.low_len = random_key(low);
            r.low_len = test_below(&st.seed, 3) == 0 ? r.low_len / 2 : r.low_len;
            r.low = low;
        }
        if (test_below(&st.seed, 4) != 0) {
            r.high_len = random_key(high);
            r.high_len = test_below(&st.seed, 3) == 0 ? r.high_len / 2 : r.high_len;
            r.high = high;
            if (test_below(&st.seed, 3) == 0 && r.low != NULL) {
                memcpy(high, low, r.low_len); /* one key, or keys that begin with it */
                r.high_len = r.low_len;
            }
        }
        check_range(t, &r, disturb);
        CHECK_OK(txn_commit_wait(t));
    }
}

SUSPENDS static void check_tree(void)
{
    struct arena *mem = arena_new();
    CHECK_OK(shard_verify_wait(shard_local(0), mem));
    struct txn *t = test_begin(REPEATABLE_READ, 5);
    struct index_range all = {0};
    check_range(t, &all, false);
    all.backward = true;
    check_range(t, &all, false);
    CHECK_OK(txn_commit_wait(t));
    arena_free(mem);
}

SUSPENDS static void wait_purged(void)
{
    struct shard *s = shard_local(0);
    for (uint32_t i = 0; i < 3000 && s->versions.count != 0; i++)
        CHECK_OK(fiber_sleep_wait(1000));
    CHECK(s->versions.count == 0);
}

SUSPENDS static void steps(void)
{
    CHECK_OK(shards_create_wait(&test_options, 1));
    CHECK_OK(shards_open_wait(&test_options));
    struct txn *t = test_begin(READ_COMMITTED, 1);
    CHECK_OK(on_shard_wait(t, 0, true, make, NULL));
    CHECK_OK(txn_commit_wait(t));
    uint32_t phases[] = {2500, 400, 3500, 0, 300, 0};
    for (uint32_t p = 0; p < ARRAY_LEN(phases) && failures == 0; p++) {
        for (uint32_t guard = 0; st.count != phases[p] && guard < 200000 && failures == 0;
             guard++) {
            t = test_begin(READ_COMMITTED, 1);
            for (uint32_t i = 0; i < 100; i++) {
                bool grow = st.count < phases[p];
                if (test_below(&st.seed, 10) < 2)
                    grow = !grow;
                if (grow)
                    add(t);
                else
                    take(t);
                txn_advance(t);
                if (st.count == phases[p])
                    break;
            }
            CHECK_OK(txn_commit_wait(t));
            if (guard > 2000)
                break; /* the key space is too small for so many */
        }
        check_tree();
        check_ranges(40, false);
        check_ranges(10, true);
        if (p % 2 == 1) {
            shards_abandon_wait();
            CHECK_OK(shards_open_wait(&test_options));
            check_tree();
        }
        wait_purged();
        check_tree();
    }
    for (uint32_t i = 0; i < st.count; i++)
        free(st.entries[i].key);
    CHECK_OK(shards_close_wait());
}

static void style(uint32_t number)
{
    memset(&st, 0, sizeof(st));
    st.seed = 1000 + number;
    if (getenv("SEED") != NULL)
        st.seed = strtoull(getenv("SEED"), NULL, 0);
    st.style = number;
    test_directory_make();
    test_options.pool_bytes = MIB(1);
    test_run(1, steps);
    test_directory_remove();
}
static void numbers(void)
{
    style(0);
}
static void prefixes(void)
{
    style(1);
}
static void long_keys(void)
{
    style(2);
}
static void short_keys(void)
{
    style(3);
}

SUITE_MAIN("shard btree", TEST(numbers), TEST(prefixes), TEST(long_keys), TEST(short_keys))
