/* The simulated world: same seed, same trace; power losses; faults; sockets; borrowing. */
#include "tests/unit/core/unit.h"

#include "core/io_sim.h"
#include "core/stats.h"

/* What fibers of a lost world held is dropped with them: no leak of ours. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* ---- determinism: cores that call each other, sleep and write ---- */

static atomic_int workers;
static uint64_t calls_made;

static SUSPENDS err_t remote(void *arg)
{
    uint64_t *n = arg;
    TRY(fiber_sleep_wait(core_random_u64() % 100));
    *n += core_id() + 1;
    return ERR_OK;
}

static err_t remote_short(void *arg)
{
    *(uint64_t *)arg += 1;
    return ERR_OK;
}

static SUSPENDS void worker(void *arg)
{
    uint64_t n = (uint64_t)(uintptr_t)arg;
    char path[32];
    snprintf(path, sizeof(path), "file%u", (unsigned)n);
    struct io_file *f;
    CHECK_OK(io_open_wait(path, IO_READ | IO_WRITE | IO_CREATE, 0600, &f));
    for (int i = 0; i < 20; i++) {
        uint64_t sum = 0;
        uint32_t target = (uint32_t)(core_random_u64() % core_count());
        CHECK_OK(core_call_wait(target, remote, &sum));
        CHECK_OK(core_call_short_wait(target, remote_short, &sum));
        CHECK(sum == target + 2);
        CHECK_OK(io_write_wait(f, &sum, sizeof(sum), (uint64_t)i * 8));
        calls_made++;
    }
    io_close_wait(f);
    atomic_fetch_sub(&workers, 1);
}

static err_t start_workers(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < 5; i++)
        TRY(fiber_spawn(worker, (void *)(uintptr_t)(core_id() * 10 + i)));
    return ERR_OK;
}

static SUSPENDS void body_world(void)
{
    calls_made = 0;
    atomic_store(&workers, (int)(5 * core_count()));
    for (uint32_t i = 0; i < core_count(); i++)
        CHECK_OK(core_call_wait(i, start_workers, NULL));
    while (atomic_load(&workers) > 0)
        CHECK_OK(fiber_sleep_wait(1000));
    CHECK(calls_made == 100 * core_count());
    uint64_t borrows = 0;
    for (uint32_t i = 0; i < core_count(); i++)
        borrows += stats_read(&stats_of(i)->borrows);
    CHECK(borrows > 0);
}

static uint64_t trace_of(uint64_t seed)
{
    io_sim_reset(seed);
    unit_run(4, body_world);
    return io_sim_trace();
}

static void same_seed_same_trace(void)
{
    uint64_t first = trace_of(7);
    CU_ASSERT_EQUAL(trace_of(7), first);
    CU_ASSERT_NOT_EQUAL(trace_of(8), first);
    io_sim_reset(9);
    io_sim_doorbell_delay_us(20000);
    unit_run(3, body_world);
}

/* ---- hours pass at once ---- */

static SUSPENDS void body_clock(void)
{
    int64_t before = core_wall_us();
    CHECK_OK(fiber_sleep_wait(3600ull * 1000000));
    CHECK(core_wall_us() - before >= 3600ll * 1000000);
    CHECK(core_wall_us() - before < 3700ll * 1000000);
}

static void time_is_virtual(void)
{
    io_sim_reset(1);
    unit_run(2, body_clock);
}

static struct wait_queue nobody_wakes;

static SUSPENDS void body_hang(void)
{
    wait_queue_shielded_wait(&nobody_wakes);
}

static void hangs_are_seen(void)
{
    io_sim_reset(1);
    nobody_wakes = (struct wait_queue){0};
    unit_body = body_hang;
    struct core_options options = {.core_count = 2};
    CU_ASSERT_EQUAL(core_run(&options, unit_entry, NULL), ERR_INTERNAL_ERROR);
    CU_ASSERT_STRING_EQUAL(err_diag()->message, "all simulated cores wait for nothing");
}

/* ---- power loss: a log of numbered records; what was acknowledged must be there ---- */

static uint64_t acknowledged;
static uint64_t loss_at;

static SUSPENDS void body_write_log(void)
{
    struct io_file *f;
    CHECK_OK(io_mkdir_wait("d"));
    CHECK_OK(
        io_open_wait("d/log", IO_READ | IO_WRITE | IO_CREATE | IO_DIRECT | IO_DSYNC, 0600, &f));
    uint64_t *block = io_buffer_alloc(IO_BLOCK_BYTES);
    struct io_file *g;
    CHECK_OK(io_open_wait("d/lazy", IO_READ | IO_WRITE | IO_CREATE, 0600, &g));
    io_sim_fail_write(loss_at, IO_SIM_POWER_LOSS);
    for (uint64_t i = 1; i <= 100; i++) {
        for (int k = 0; k < IO_BLOCK_BYTES / 8; k++)
            block[k] = i;
        if (io_write_wait(f, block, IO_BLOCK_BYTES, (i - 1) * IO_BLOCK_BYTES) != ERR_OK)
            break;
        acknowledged = i;
        if (io_write_wait(g, block, IO_BLOCK_BYTES, (i - 1) * IO_BLOCK_BYTES) != ERR_OK)
            break;
    }
    CHECK(false); /* the power goes before */
}

static uint64_t lazy_kept;
static uint64_t lazy_torn;

static SUSPENDS void body_check_log(void)
{
    uint64_t *block = io_buffer_alloc(IO_BLOCK_BYTES);
    struct io_file *f;
    CHECK_OK(io_open_wait("d/log", IO_READ | IO_DIRECT, 0, &f));
    for (uint64_t i = 1; i <= acknowledged; i++) {
        CHECK_OK(io_read_wait(f, block, IO_BLOCK_BYTES, (i - 1) * IO_BLOCK_BYTES));
        for (int k = 0; k < IO_BLOCK_BYTES / 8; k++)
            CHECK(block[k] == i);
    }
    io_close_wait(f);
    if (io_open_wait("d/lazy", IO_READ, 0, &f) == ERR_OK) {
        for (uint64_t i = 1; i <= acknowledged; i++) {
            uint32_t got;
            CHECK_OK(io_read_some_wait(f, block, IO_BLOCK_BYTES, (i - 1) * IO_BLOCK_BYTES, &got));
            uint32_t same = 0;
            for (uint32_t k = 0; k < got / 8; k++)
                same += block[k] == i ? 1 : 0;
            lazy_kept += same == IO_BLOCK_BYTES / 8 ? 1 : 0;
            lazy_torn += same > 0 && same < IO_BLOCK_BYTES / 8 ? 1 : 0;
        }
        io_close_wait(f);
    }
    io_buffer_free(block, IO_BLOCK_BYTES);
}

static void power_loss_keeps_what_was_synced(void)
{
    lazy_kept = 0;
    lazy_torn = 0;
    uint64_t lazy_written = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        io_sim_reset(seed);
        acknowledged = 0;
        loss_at = 1 + io_sim_random(60);
        unit_body = body_write_log;
        atomic_store(&unit_failures, 0);
        struct core_options options = {.core_count = 1};
        CU_ASSERT_EQUAL(core_run(&options, unit_entry, NULL), ERR_IO_ERROR);
        CU_ASSERT_TRUE(io_sim_power_was_lost());
        CU_ASSERT_EQUAL(atomic_load(&unit_failures), 0);
        lazy_written += acknowledged;
        unit_run(1, body_check_log);
    }
    /* Without a sync some survive, some do not, some in part. */
    CU_ASSERT_TRUE(lazy_kept > 0);
    CU_ASSERT_TRUE(lazy_torn > 0);
    CU_ASSERT_TRUE(lazy_kept < lazy_written);
}

static SUSPENDS void body_faults(void)
{
    struct io_file *f;
    char text[8] = "1234567";
    CHECK_OK(io_open_wait("f", IO_READ | IO_WRITE | IO_CREATE, 0600, &f));
    io_sim_fail_write(2, IO_SIM_EIO);
    CHECK_OK(io_write_wait(f, text, 8, 0));
    CHECK(io_write_wait(f, text, 8, 8) == ERR_IO_ERROR);
    CHECK_OK(io_write_wait(f, text, 8, 8));
    io_sim_fail_write(1, IO_SIM_ENOSPC);
    CHECK(io_write_wait(f, text, 8, 16) == ERR_DISK_FULL);
    io_sim_fail_sync(1, IO_SIM_EIO);
    CHECK(io_sync_wait(f) == ERR_IO_ERROR);
    CHECK_OK(io_sync_wait(f));
    io_sim_fail_read(1);
    CHECK(io_read_wait(f, text, 8, 0) == ERR_IO_ERROR);
    CHECK(io_read_wait(f, text, 8, 1000) == ERR_DATA_CORRUPTED);
    io_sim_disk_room(10);
    CHECK_OK(io_write_wait(f, text, 8, 16));
    CHECK(io_write_wait(f, text, 8, 24) == ERR_DISK_FULL);
    CHECK_OK(io_write_wait(f, text, 8, 0)); /* in place needs no room */
    CHECK(io_sim_flip_bit("f", 0, 0));
    CHECK_OK(io_read_wait(f, text, 8, 0));
    CHECK(text[0] == '0');
    CHECK(!io_sim_flip_bit("g", 0, 0));
    io_close_wait(f);
    struct arena *a = arena_new();
    char **names;
    size_t count;
    CHECK_OK(io_mkdir_wait("x"));
    io_sim_disk_room(1000);
    CHECK_OK(io_replace_file_wait("x/b", "hi", 2, 0600));
    CHECK_OK(io_replace_file_wait("x/a", "hi", 2, 0600));
    CHECK_OK(io_list_dir_wait("x", a, &names, &count));
    CHECK(count == 2 && strcmp(names[0], "a") == 0 && strcmp(names[1], "b") == 0);
    CHECK(io_list_dir_wait("y", a, &names, &count) == ERR_UNDEFINED_FILE);
    arena_free(a);
}

static void faults_are_errors(void)
{
    io_sim_reset(3);
    unit_run(1, body_faults);
}

/* ---- sockets ---- */

struct peer {
    struct io_socket *socket;
    uint64_t received;
    uint64_t sum;
    bool closed;
    struct wait_queue queue;
};

static uint32_t served;

static void server_received(void *owner, const uint8_t *data, uint32_t len)
{
    struct peer *p = owner;
    CHECK(io_socket_send_small(p->socket, data, len));
}

static void peer_closed(void *owner, int os_error)
{
    (void)os_error;
    struct peer *p = owner;
    p->closed = true;
    wait_queue_wake_all(&p->queue);
}

static void server_closed(void *owner, int os_error)
{
    (void)os_error;
    struct peer *p = owner;
    io_socket_close(p->socket);
    free(p);
    served++;
}

static void client_received(void *owner, const uint8_t *data, uint32_t len)
{
    struct peer *p = owner;
    for (uint32_t i = 0; i < len; i++)
        p->sum += data[i];
    p->received += len;
    wait_queue_wake_all(&p->queue);
}

static const struct io_socket_events server_events = {server_received, server_closed};
static const struct io_socket_events client_events = {client_received, peer_closed};

static void adopt_server(void *arg)
{
    struct peer *p = calloc(1, sizeof(*p));
    CHECK_OK(io_socket_adopt((int)(intptr_t)arg, &server_events, p, &p->socket));
}

static void accepted(void *owner, int os_fd)
{
    (void)owner;
    core_post((uint32_t)os_fd % core_count(), adopt_server, (void *)(intptr_t)os_fd);
}

static SUSPENDS void body_sockets(void)
{
    served = 0;
    struct io_listener *l;
    CHECK_OK(io_listen_tcp("*", 5432, 10, accepted, NULL, &l));
    CHECK(io_sim_connect("tcp:5433") == -1);
    uint8_t bytes[3000];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        sum += bytes[i] = (uint8_t)(i * 13);
    for (int round = 0; round < 5; round++) {
        struct peer p = {0};
        CHECK_OK(io_socket_adopt(io_sim_connect("tcp:5432"), &client_events, &p, &p.socket));
        for (int i = 0; i < 100; i++) {
            CHECK_OK(io_socket_send_wait(p.socket, bytes, sizeof(bytes)));
            while (p.received < sizeof(bytes))
                CHECK_OK(wait_queue_wait(&p.queue, UINT64_MAX));
            CHECK(p.received == sizeof(bytes) && p.sum == sum);
            p.received = p.sum = 0;
        }
        io_socket_close(p.socket);
        CHECK_OK(fiber_sleep_wait(10000));
    }
    CHECK(served == 5);
    io_listener_close(l);
    CHECK(io_sim_connect("tcp:5432") == -1);
}

static void sockets_echo(void)
{
    io_sim_reset(5);
    unit_run(3, body_sockets);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"same_seed_same_trace", same_seed_same_trace},
        {"time_is_virtual", time_is_virtual},
        {"hangs_are_seen", hangs_are_seen},
        {"power_loss_keeps_what_was_synced", power_loss_keeps_what_was_synced},
        {"faults_are_errors", faults_are_errors},
        {"sockets_echo", sockets_echo},
    };
    return unit_main("io_sim", tests, ARRAY_LEN(tests));
}
