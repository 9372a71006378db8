/*
 * Page store under many fibers: random changes, reads, new, dropped and remade files, checkpoints
 * that succeed, fail at random writes or are abandoned, and crashes, against a model of what the
 * live state and the last durable checkpoint must hold. Seeds: arguments, or a few fixed ones.
 */
#include "../wal/storage_test.h"
#include "shard/pages_priv.h"

enum { FILES = 6, PAGES = 1100, FIBERS = 8, FRAMES = 160, ROUNDS = 10 };

struct model {
    uint64_t values[FILES][PAGES + FIBERS * 2]; /* 0: page not there, or zeros */
    uint32_t pages[FILES];
    bool exists[FILES];
};

static struct {
    struct page_store *ps;
    struct model live;
    struct model cut;
    struct model durable;
    uint32_t busy[FILES]; /* fibers in the file: it may not be dropped */
    uint64_t seed;
    bool stop;
    int running;
    uint64_t wrong;
    uint64_t operations;
    uint64_t refused;
    struct wait_queue done;
} st;

static uint32_t fault_in;
static bool faults_on;

static err_t random_fault(void *ctx, enum fault_op op, uint64_t block)
{
    (void)ctx;
    (void)block;
    if (!faults_on || op == FAULT_SYNC || op == FAULT_READ)
        return ERR_OK;
    if (fault_in > 0) {
        fault_in--;
        return ERR_OK;
    }
    fault_in = (uint32_t)(test_random(&st.seed) % 40);
    return op == FAULT_GROW ? ERR_DISK_FULL : ERR_IO_ERROR;
}

static void fill(uint8_t *data, uint64_t value)
{
    store_u64(data + PAGE_HEADER_BYTES, value);
    store_u64(data + PAGE_BYTES / 2, value * 3);
    store_u64(data + PAGE_BYTES - 8, value ^ UINT64_MAX);
}
static bool is_filled(const uint8_t *data, uint64_t value)
{
    if (value == 0)
        return load_u64(data + PAGE_HEADER_BYTES) == 0 && load_u64(data + PAGE_BYTES - 8) == 0;
    return load_u64(data + PAGE_HEADER_BYTES) == value &&
           load_u64(data + PAGE_BYTES / 2) == value * 3 &&
           load_u64(data + PAGE_BYTES - 8) == (value ^ UINT64_MAX);
}

static void put_pinned(uint32_t file, uint32_t no, struct page *p)
{
    uint64_t value = test_random(&st.seed) | 1;
    fill(page_modify(p), value);
    st.live.values[file][no] = value;
    st.live.pages[file] = MAX(st.live.pages[file], no + 1);
}

SUSPENDS static err_t operate_wait(uint32_t file, uint32_t dice)
{
    file_id id = 1000 + file;
    uint32_t pages = file_page_count(st.ps, id);
    struct page *p;
    if (dice < 10 && pages < PAGES) {
        TRY(page_pin_new_wait(st.ps, id, PAGE_NONE, &p));
        struct page_header h;
        memcpy(&h, p->data, sizeof(h));
        put_pinned(file, h.page_no, p);
    } else if (dice < 14 && pages + 60 < PAGES) {
        uint32_t no = pages + (uint32_t)(test_random(&st.seed) % 50);
        TRY(page_pin_new_wait(st.ps, id, no, &p));
        put_pinned(file, no, p);
    } else if (dice < 18 && pages < PAGES - 40) {
        TRY(page_reserve_wait(st.ps, 2));
        p = page_new_reserved(st.ps, id);
        put_pinned(file, st.live.pages[file], p);
        page_reserve_end(st.ps);
    } else if (pages > 0) {
        uint32_t no = (uint32_t)(test_random(&st.seed) % pages);
        enum page_use use = dice % 5 == 0 ? PAGE_USE_SCAN : PAGE_USE_NORMAL;
        if (dice % 11 == 0)
            page_read_ahead(st.ps, id, no, 8);
        TRY(page_pin_use_wait(st.ps, id, no, use, &p));
        st.wrong += !is_filled(p->data, st.live.values[file][no]);
        if (dice % 3 == 0)
            fiber_yield_wait();
        if (dice % 2 == 0)
            put_pinned(file, no, p);
        if (dice % 7 == 0)
            fiber_yield_wait();
    } else {
        return ERR_OK;
    }
    page_unpin(p);
    return ERR_OK;
}

static void drop_or_make(uint32_t file)
{
    if (st.live.exists[file]) {
        file_drop(st.ps, 1000 + file);
        memset(st.live.values[file], 0, sizeof(st.live.values[file]));
        st.live.pages[file] = 0;
    } else {
        file_create(st.ps, 1000 + file, FILE_HEAP);
    }
    st.live.exists[file] = !st.live.exists[file];
}

SUSPENDS static void fiber_main(void *arg)
{
    (void)arg;
    while (!st.stop) {
        uint32_t file = (uint32_t)(test_random(&st.seed) % FILES);
        uint32_t dice = (uint32_t)(test_random(&st.seed) % 100);
        if (st.busy[file] == 0 && (!st.live.exists[file] || test_random(&st.seed) % 400 == 0)) {
            drop_or_make(file);
        } else if (st.live.exists[file]) {
            st.busy[file]++;
            st.refused += operate_wait(file, dice) != ERR_OK;
            st.busy[file]--;
        }
        st.operations++;
        if (dice % 4 == 0)
            fiber_yield_wait();
    }
    st.running--;
    wait_queue_wake_all(&st.done);
}

SUSPENDS static void check_wait(const struct model *m)
{
    for (uint32_t f = 0; f < FILES; f++) {
        CHECK(file_exists(st.ps, 1000 + f, NULL) == m->exists[f]);
        CHECK(file_page_count(st.ps, 1000 + f) == m->pages[f]);
        for (uint32_t no = 0; no < m->pages[f]; no++) {
            struct page *p;
            if (page_pin_wait(st.ps, 1000 + f, no, &p) != ERR_OK) {
                fprintf(stderr, "%s\n", err_diag()->message);
                st.wrong++;
                continue;
            }
            st.wrong += !is_filled(p->data, m->values[f][no]);
            page_unpin(p);
        }
    }
    CHECK(st.wrong == 0);
}

SUSPENDS static void reopen_wait(lsn_t lsn)
{
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/data", test_directory);
    struct page_store_options o = {.path = path, .pool_bytes = (uint64_t)FRAMES * PAGE_BYTES};
    if (lsn == 0) {
        CHECK_OK(page_store_create_wait(&o, &st.ps));
    } else {
        struct arena *mem = arena_new();
        lsn_t opened;
        const uint8_t *state;
        size_t bytes;
        CHECK_OK(page_store_open_wait(&o, mem, &st.ps, &opened, &state, &bytes));
        CHECK(opened == lsn && bytes == 8 && load_u64(state) == lsn);
        arena_free(mem);
    }
    st.ps->fault = random_fault;
}

SUSPENDS static bool checkpoint_wait(lsn_t lsn)
{
    page_store_cut(st.ps);
    st.cut = st.live;
    for (int i = 0; i < 3; i++)
        fiber_yield_wait(); /* the log is flushed here */
    if (test_random(&st.seed) % 10 == 0) {
        page_store_cut_abandon(st.ps);
        return false;
    }
    uint8_t state[8];
    store_u64(state, lsn);
    uint64_t pace = test_random(&st.seed) % 3 == 0 ? 5000 : 0;
    if (page_store_write_cut_wait(st.ps, lsn, state, sizeof(state), pace) != ERR_OK)
        return false;
    st.durable = st.cut;
    return true;
}

static uint64_t start_seed;

SUSPENDS static void run_round(lsn_t *durable, lsn_t *lsn)
{
    st.stop = false;
    for (int i = 0; i < FIBERS; i++) {
        CHECK_OK(fiber_spawn(fiber_main, NULL));
        st.running++;
    }
    for (int k = 0; k < 4; k++) {
        faults_on = test_random(&st.seed) % 3 == 0;
        for (uint64_t i = test_random(&st.seed) % 200; i > 0; i--)
            fiber_yield_wait();
        ++*lsn;
        if (checkpoint_wait(*lsn))
            *durable = *lsn;
    }
    for (uint64_t i = test_random(&st.seed) % 200; i > 0; i--)
        fiber_yield_wait();
    st.stop = true;
    while (st.running > 0)
        wait_queue_shielded_wait(&st.done);
    faults_on = false;
}

ON_CORE(model)
{
    memset(&st, 0, sizeof(st));
    st.seed = start_seed;
    faults_on = false;
    reopen_wait(0);
    lsn_t durable = 0;
    lsn_t lsn = 0;
    for (int round = 0; round < ROUNDS; round++) {
        run_round(&durable, &lsn);
        CHECK(st.wrong == 0);
        check_wait(&st.live);
        if (durable > 0 && round % 2 == 1) {
            page_store_close_wait(st.ps);
            reopen_wait(durable);
            check_wait(&st.durable);
            st.live = st.durable;
        }
    }
    CHECK(st.operations > 1000 && st.refused < st.operations);
    page_store_close_wait(st.ps);
    if (st.wrong > 0)
        fprintf(stderr, "seed %llu\n", (unsigned long long)start_seed);
}

static void seed_1(void)
{
    start_seed = 1;
    model_on_core();
}
static void seed_2(void)
{
    start_seed = 20261121;
    model_on_core();
}
static void seed_given(void)
{
    model_on_core();
}

int main(int argc, char **argv)
{
    static const struct test_case fixed[] = {TEST(seed_1), TEST(seed_2)};
    static const struct test_case given[] = {TEST(seed_given)};
    if (argc < 2)
        return test_main("pages_stress", fixed, ARRAY_LEN(fixed), 1, argv);
    start_seed = strtoull(argv[1], NULL, 10);
    return test_main("pages_stress", given, 1, 1, argv);
}
