/* The log on a simulated disk: full disk, failing writes, slow segment making. */
#include "core/io_sim.h"
#include "storage_test.h"
#include "wal/wal_priv.h"

static void sim_run(void (*fn)(void))
{
    io_sim_reset(11);
    struct core_options options = {.core_count = 1};
    CHECK(core_run(&options, test_entry, &fn) == ERR_OK);
}

#define SIM(name)                                                                                  \
    SUSPENDS static void name(void);                                                               \
    static void name##_sim(void)                                                                   \
    {                                                                                              \
        sim_run(name);                                                                             \
    }                                                                                              \
    SUSPENDS static void name(void)

static struct wal_options options_sim(void)
{
    return (struct wal_options){.directory = "/wal", .buffer_bytes = 1 << 20};
}

SUSPENDS static err_t append_wait(struct wal *w, uint64_t i, bool critical)
{
    static uint8_t bytes[8000];
    store_u64(bytes, i);
    TRY(critical ? wal_reserve_critical_wait(w, 1, sizeof(bytes))
                 : wal_reserve_wait(w, 1, sizeof(bytes)));
    struct wal_part part = {bytes, sizeof(bytes)};
    (void)wal_append(w, 1, &part, 1);
    return ERR_OK;
}

SUSPENDS static err_t count(void *ctx, uint8_t kind, const uint8_t *payload, uint32_t len,
                            lsn_t lsn)
{
    uint64_t *next = ctx;
    CHECK(kind == 1 && len == 8000 && load_u64(payload) == *next && lsn > 0);
    ++*next;
    return ERR_OK;
}

SIM(full_disk_refuses_and_heals)
{
    struct wal_options o = options_sim();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    CHECK_OK(fiber_sleep_wait(1000000)); /* the keeper makes what it wants ahead */
    io_sim_disk_room(3 << 20);
    uint64_t i = 0;
    err_t err = ERR_OK;
    while (i < 20000 && (err = append_wait(w, i, false)) == ERR_OK)
        i++;
    CHECK(err == ERR_DISK_FULL && i > 2000 && i < 20000 && !wal_failed(w));
    for (int k = 0; k < 100; k++, i++) /* commits and undo still have room */
        CHECK_OK(append_wait(w, i, true));
    CHECK_OK(wal_flush_wait(w, wal_end(w)));
    CHECK_ERR(append_wait(w, i, false), ERR_DISK_FULL);
    io_sim_disk_room(GIB(4));
    CHECK_OK(fiber_sleep_wait(3 * WAL_KEEPER_RETRY_US));
    for (int k = 0; k < 3000; k++, i++)
        CHECK_OK(append_wait(w, i, false));
    CHECK_OK(wal_flush_wait(w, wal_end(w)));
    wal_close_wait(w);
    uint64_t next = 0;
    CHECK_OK(wal_open_wait(&o, &w));
    CHECK_OK(wal_replay_wait(w, 0, count, &next));
    CHECK(next == i);
    wal_close_wait(w);
}

SIM(full_disk_to_the_end_is_a_failure_not_a_hang)
{
    struct wal_options o = options_sim();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    CHECK_OK(fiber_sleep_wait(1000000));
    io_sim_disk_room(3 << 20);
    uint64_t i = 0;
    err_t err = ERR_OK;
    while (i < 20000 && (err = append_wait(w, i, true)) == ERR_OK)
        i++;
    CHECK(err == ERR_DISK_FULL && wal_failed(w));
    CHECK_ERR(wal_flush_wait(w, wal_end(w)), ERR_DISK_FULL);
    wal_close_wait(w);
}

SIM(failed_write_is_permanent)
{
    struct wal_options o = options_sim();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    CHECK_OK(fiber_sleep_wait(1000000));
    CHECK_OK(append_wait(w, 0, false));
    CHECK_OK(wal_flush_wait(w, wal_end(w)));
    lsn_t good = wal_end(w);
    io_sim_fail_write(1, IO_SIM_EIO);
    CHECK_OK(append_wait(w, 1, false));
    CHECK_ERR(wal_flush_wait(w, wal_end(w)), ERR_IO_ERROR);
    CHECK(wal_failed(w) && wal_durable(w) == good);
    CHECK_ERR(append_wait(w, 2, false), ERR_IO_ERROR);
    CHECK_ERR(append_wait(w, 2, true), ERR_IO_ERROR);
    CHECK_ERR(wal_flush_wait(w, good), ERR_IO_ERROR);
    wal_close_wait(w);
}

SIM(unreadable_log_is_an_error_not_its_end)
{
    struct wal_options o = options_sim();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    CHECK_OK(append_wait(w, 0, false));
    CHECK_OK(wal_flush_wait(w, wal_end(w)));
    wal_close_wait(w);
    CHECK_OK(wal_open_wait(&o, &w));
    uint64_t next = 0;
    io_sim_fail_read(1);
    CHECK_ERR(wal_replay_wait(w, 0, count, &next), ERR_IO_ERROR);
    wal_close_wait(w);
}

/* A write fails, and its record can be read all the same. Whoever goes on behind it after a restart
 * must find both after a power loss. */
static uint64_t read_back;

SUSPENDS static void go_on_behind_it(void)
{
    struct wal_options o = options_sim();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    CHECK_OK(fiber_sleep_wait(1000000));
    CHECK_OK(append_wait(w, 0, false));
    CHECK_OK(wal_flush_wait(w, wal_end(w)));
    io_sim_fail_write(1, IO_SIM_EIO);
    CHECK_OK(append_wait(w, 1, false));
    CHECK_ERR(wal_flush_wait(w, wal_end(w)), ERR_IO_ERROR);
    wal_close_wait(w);
    read_back = 0;
    CHECK_OK(wal_open_wait(&o, &w));
    CHECK_OK(wal_replay_wait(w, 0, count, &read_back));
    CHECK_OK(append_wait(w, read_back, false));
    CHECK_OK(wal_flush_wait(w, wal_end(w)));
    io_sim_power_loss();
}

SUSPENDS static void find_all(void)
{
    struct wal_options o = options_sim();
    struct wal *w;
    uint64_t next = 0;
    CHECK_OK(wal_open_wait(&o, &w));
    CHECK_OK(wal_replay_wait(w, 0, count, &next));
    CHECK(next == read_back + 1);
    wal_close_wait(w);
}

static void failed_write_that_can_be_read(void)
{
    void (*const lives[])(void) = {go_on_behind_it, find_all};
    struct core_options options = {.core_count = 1};
    uint32_t seen = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        io_sim_reset(seed);
        CHECK(core_run(&options, test_entry, (void *)(uintptr_t)&lives[0]) == ERR_IO_ERROR);
        seen += read_back == 2;
        CHECK(core_run(&options, test_entry, (void *)(uintptr_t)&lives[1]) == ERR_OK);
    }
    CHECK(seen > 0 && seen < 40);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"full_disk_refuses_and_heals", full_disk_refuses_and_heals_sim},
        {"full_disk_to_the_end_is_a_failure_not_a_hang",
         full_disk_to_the_end_is_a_failure_not_a_hang_sim},
        {"failed_write_is_permanent", failed_write_is_permanent_sim},
        {"unreadable_log_is_an_error_not_its_end", unreadable_log_is_an_error_not_its_end_sim},
        {"failed_write_that_can_be_read", failed_write_that_can_be_read},
    };
    (void)test_on_core;
    return test_main("wal_sim", cases, ARRAY_LEN(cases), argc, argv);
}
