/*
 * Log and page store together under simulated power losses. Record i says "slot(i) of page place(i)
 * := i", so that replay of a newer record does not hide that an older one is lost.
 * Several fibers append, change the page and wait for the flush; checkpoints run beside them. After
 * each loss, at a random write, the store is opened and the log replayed: every record that was
 * acknowledged is there, records are there in order without gaps, and each slot holds exactly its
 * last one. In every other world a request takes long now and then, longer than many that come
 * after it.
 */
#include "core/io_sim.h"
#include "shard/pages_priv.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    CU_assertImplementation((condition), __LINE__, #condition, __FILE__, "", CU_FALSE)

enum { PAGES = 400, SLOTS = 8, FRAMES = 96, FIBERS = 6, LIVES = 12, FILE_ID = 77 };

static struct {
    struct wal *w;
    struct page_store *ps;
    uint64_t seed;
    uint64_t next;  /* number of the next record */
    uint64_t acked; /* highest number acknowledged, over all lives */
    uint64_t last[PAGES][SLOTS];
    lsn_t store_lsn;
    bool exists;
    bool stop;
    int running;
    int lives_ok;
    uint64_t bad;
    struct wait_queue done;
} world;

static uint64_t random_u64(void)
{
    uint64_t z = (world.seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    return z ^ (z >> 29);
}

static uint32_t place(uint64_t i)
{
    return (uint32_t)((i * 0x9e3779b97f4a7c15u >> 40) % PAGES);
}

static uint32_t slot(uint64_t i)
{
    return (uint32_t)((i * 0xbf58476d1ce4e5b9u >> 50) % SLOTS);
}

static uint32_t record_bytes(uint64_t i)
{
    return 8 + (uint32_t)(i * 37 % 900);
}

/* Page and model; the page is pinned. */
static void page_put(struct page *p, uint64_t i)
{
    uint8_t *data = page_modify(p);
    store_u64(data + 64 + 8 * slot(i), i);
    store_u64(data + PAGE_BYTES - 8 * SLOTS + 8 * slot(i), i);
    world.last[place(i)][slot(i)] = i;
}

SUSPENDS static err_t pin_place_wait(uint64_t i, struct page **p)
{
    if (place(i) >= file_page_count(world.ps, FILE_ID))
        return page_pin_new_wait(world.ps, FILE_ID, place(i), p);
    return page_pin_wait(world.ps, FILE_ID, place(i), p);
}

SUSPENDS static void worker_main(void *arg)
{
    (void)arg;
    static uint8_t bytes[1024];
    while (!world.stop) {
        struct page *p;
        uint64_t i = world.next;
        if (pin_place_wait(i, &p) != ERR_OK)
            break;
        if (i != world.next || wal_reserve_wait(world.w, 1, record_bytes(i)) != ERR_OK ||
            i != world.next) {
            page_unpin(p);
            if (wal_failed(world.w))
                break;
            continue;
        }
        world.next++;
        store_u64(bytes, i);
        struct wal_part part = {bytes, record_bytes(i)};
        lsn_t lsn = wal_append(world.w, 1, &part, 1);
        page_put(p, i);
        page_set_lsn(p, lsn);
        page_unpin(p);
        if (random_u64() % 3 == 0) {
            fiber_yield_wait();
            continue;
        }
        if (wal_flush_wait(world.w, lsn) == ERR_OK)
            world.acked = MAX(world.acked, i);
    }
    world.running--;
    wait_queue_wake_all(&world.done);
}

SUSPENDS static err_t replay_record(void *ctx, uint8_t kind, const uint8_t *payload, uint32_t len,
                                    lsn_t lsn)
{
    (void)ctx;
    uint64_t i = load_u64(payload);
    if (kind != 1 || i != world.next || len != record_bytes(i))
        world.bad++;
    world.next = i + 1;
    struct page *p;
    TRY(pin_place_wait(i, &p));
    page_put(p, i);
    page_set_lsn(p, lsn);
    page_unpin(p);
    return ERR_OK;
}

SUSPENDS static err_t checkpoint_wait(void)
{
    page_store_cut(world.ps);
    lsn_t lsn = wal_end(world.w);
    uint8_t state[8];
    store_u64(state, world.next);
    err_t err = wal_flush_wait(world.w, lsn);
    if (err != ERR_OK) {
        page_store_cut_abandon(world.ps);
        return err;
    }
    TRY(page_store_write_cut_wait(world.ps, lsn, state, sizeof(state), 0));
    return wal_recycle_wait(world.w, lsn);
}

SUSPENDS static err_t create_wait(const struct wal_options *wo, const struct page_store_options *po)
{
    TRY(wal_create_wait(wo, &world.w));
    TRY(page_store_create_wait(po, &world.ps));
    file_create(world.ps, FILE_ID, FILE_HEAP);
    world.next = 1;
    TRY(checkpoint_wait());
    world.exists = true;
    return ERR_OK;
}

SUSPENDS static err_t recover_wait(const struct wal_options *wo,
                                   const struct page_store_options *po)
{
    struct arena *mem = arena_new();
    const uint8_t *state;
    size_t bytes;
    lsn_t lsn;
    TRY(page_store_open_wait(po, mem, &world.ps, &lsn, &state, &bytes));
    world.bad += bytes != 8;
    world.next = load_u64(state);
    arena_free(mem);
    memset(world.last, 0, sizeof(world.last));
    for (uint64_t i = 1; i < world.next; i++)
        world.last[place(i)][slot(i)] = i;
    TRY(wal_open_wait(wo, &world.w));
    TRY(wal_replay_wait(world.w, lsn, replay_record, NULL));
    world.bad += world.next <= world.acked; /* an acknowledged record is gone */
    for (uint32_t no = 0; no < file_page_count(world.ps, FILE_ID); no++) {
        struct page *p;
        TRY(page_pin_wait(world.ps, FILE_ID, no, &p));
        world.bad +=
            memcmp(p->data + 64, world.last[no], sizeof(world.last[no])) != 0 ||
            memcmp(p->data + PAGE_BYTES - 8 * SLOTS, world.last[no], sizeof(world.last[no])) != 0;
        page_unpin(p);
    }
    return ERR_OK;
}

SUSPENDS static void life_main(void *arg)
{
    (void)arg;
    struct wal_options wo = {.directory = "/sim/wal", .buffer_bytes = 256 << 10};
    struct page_store_options po = {.path = "/sim/data",
                                    .pool_bytes = (uint64_t)FRAMES * PAGE_BYTES};
    bool created = !world.exists;
    err_t err = ERR_OK;
    if (created)
        err = io_mkdir_wait("/sim");
    if (err == ERR_OK)
        err = created ? create_wait(&wo, &po) : recover_wait(&wo, &po);
    if (err != ERR_OK) {
        fprintf(stderr, "start: %s\n", err_diag()->message);
        world.bad++;
        core_stop_all();
        return;
    }
    io_sim_fail_write(1 + random_u64() % 200, IO_SIM_POWER_LOSS);
    world.stop = false;
    world.running = 0;
    for (int i = 0; i < FIBERS; i++) {
        if (fiber_spawn(worker_main, NULL) == ERR_OK)
            world.running++;
    }
    for (int k = 0; k < 50; k++) {
        for (uint64_t i = random_u64() % 60; i > 0; i--)
            fiber_yield_wait();
        if (checkpoint_wait() != ERR_OK)
            world.bad++;
    }
    io_sim_fail_write(0, IO_SIM_POWER_LOSS);
    io_sim_power_loss();
}

static void run_seed(uint64_t seed)
{
    memset(&world, 0, sizeof(world));
    world.seed = seed;
    io_sim_reset(seed);
    if (seed % 2 == 0) { /* writes pass each other */
        io_sim_faults()->disk_slow = 30000;
        io_sim_faults()->disk_slow_us_max = 100000;
    }
    for (int life = 0; life < LIVES && world.bad == 0; life++) {
        world.done = (struct wait_queue){0};
        struct core_options options = {.core_count = 1};
        err_t err = core_run(&options, life_main, NULL);
        CHECK(err == ERR_IO_ERROR && io_sim_power_was_lost());
        if (err != ERR_IO_ERROR)
            break;
    }
    CHECK(world.bad == 0 && world.acked > 50);
    if (world.bad != 0)
        fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
}

/* ---- a write that began before the cut ends after that of newer bytes ---- */

SUSPENDS static void put_once_wait(uint32_t at)
{
    struct page *p;
    CHECK(page_pin_wait(world.ps, FILE_ID, 0, &p) == ERR_OK);
    store_u64(page_modify(p) + at, at);
    page_unpin(p);
}

SUSPENDS static void overtaking_main(void *arg)
{
    (void)arg;
    struct page_store_options po = {.path = "/sim/data",
                                    .pool_bytes = (uint64_t)FRAMES * PAGE_BYTES};
    struct page *p;
    CHECK(io_mkdir_wait("/sim") == ERR_OK);
    CHECK(page_store_create_wait(&po, &world.ps) == ERR_OK);
    file_create(world.ps, FILE_ID, FILE_HEAP);
    CHECK(page_pin_new_wait(world.ps, FILE_ID, 0, &p) == ERR_OK);
    store_u64(page_modify(p) + 64, 64);
    struct frame *f = frame_find(world.ps, FILE_ID, 0);
    page_unpin(p);
    io_sim_faults()->disk_slow = 1000000;
    io_sim_faults()->disk_slow_us_max = 1000000;
    CHECK(frames_write_wait(world.ps, &f, 1, false) == ERR_OK);
    io_sim_faults()->disk_slow = 0;
    put_once_wait(72); /* the cut has this, and the write does not */
    page_store_cut(world.ps);
    put_once_wait(80); /* so that the cut's bytes are set aside */
    uint8_t state = 0;
    CHECK(page_store_write_cut_wait(world.ps, 1, &state, 1, 0) == ERR_OK);
    io_sim_power_loss();
}

SUSPENDS static void overtaken_main(void *arg)
{
    (void)arg;
    struct page_store_options po = {.path = "/sim/data",
                                    .pool_bytes = (uint64_t)FRAMES * PAGE_BYTES};
    struct arena *mem = arena_new();
    const uint8_t *state;
    size_t bytes;
    lsn_t lsn;
    struct page *p;
    CHECK(page_store_open_wait(&po, mem, &world.ps, &lsn, &state, &bytes) == ERR_OK);
    CHECK(page_pin_wait(world.ps, FILE_ID, 0, &p) == ERR_OK);
    CHECK(load_u64(p->data + 64) == 64 && load_u64(p->data + 72) == 72);
    CHECK(load_u64(p->data + 80) == 0);
    arena_free(mem);
    core_stop_all();
}

static void overtaken_write(void)
{
    struct core_options options = {.core_count = 1};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        memset(&world, 0, sizeof(world));
        io_sim_reset(seed);
        CHECK(core_run(&options, overtaking_main, NULL) == ERR_IO_ERROR);
        CHECK(core_run(&options, overtaken_main, NULL) == ERR_OK);
    }
}

static uint64_t first_seed = 1;
static uint64_t seed_count = 6;

static void power_loss_at_any_write(void)
{
    for (uint64_t s = 0; s < seed_count; s++)
        run_seed(first_seed + s);
}

/* Arguments: first seed, number of seeds. */
int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seed_count = strtoull(argv[2], NULL, 10);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite suite = CU_add_suite("pages_crash_sim", NULL, NULL);
    (void)CU_add_test(suite, "power_loss_at_any_write", power_loss_at_any_write);
    (void)CU_add_test(suite, "overtaken_write", overtaken_write);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    int failures = (int)CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures == 0 ? 0 : 1;
}
