/*
 * What happens in a life, seen from outside of the server: wait until it serves, make the tables or
 * verify what earlier lives left, let workers work, verify again, end it as planned.
 */
#include "tests/sim/sim.h"

#include "core/stats.h"
#include "tools/server.h"

#include <string.h>

enum {
    START_US_MAX = 300000000,
    FAULTY_START_US_MAX = 20000000,
    DRAIN_US_MAX = 200000000,
    DISK_FULL_US = 20000000, /* then somebody makes room: a rollback may have to wait for it */
    LOG_EXTENDED_US = 3000000
};

const struct workload *const workloads[] = {
    &bank_workload,     &marks_workload,   &list_workload, &rows_workload,
    &sequence_workload, &copy_workload,    &ddl_workload,  &shape_workload,
    &index_workload,    &counter_workload, &pair_workload,
};
const uint32_t workload_count = ARRAY_LEN(workloads);

static struct {
    bool is_over;
    bool workers_are_gone;
    uint32_t running;
    uint32_t keepers;
    struct wait_queue ended;
} work;

bool controller_work_is_over(void)
{
    return work.is_over;
}

bool controller_workers_are_gone(void)
{
    return work.workers_are_gone;
}

bool controller_cancels(void)
{
    return work.running > 0 && !work.is_over && run->life.cancel_one_in != 0 &&
           sim_below(run->life.cancel_one_in) == 0;
}

/* Errors that come from faults, from others at work, or from our own requests. */
void sim_expect_error(const struct client *c, const char *doing)
{
    static const char *const usual[] = {
        "40001", "40P01", "57014", "25P02", "55P03", /* others at work, cancels */
        "53100", "58030", "53200", "57P01", "57P03", /* the disk; going down */
    };
    const char *state = client_sqlstate(c);
    bool is_disk = strcmp(state, "53100") == 0 || strcmp(state, "58030") == 0;
    for (uint32_t i = 0; i < ARRAY_LEN(usual); i++)
        if (strcmp(state, usual[i]) == 0 && (!is_disk || run->life.may_fail))
            return;
    sim_fail("%s: unexpected error %s: %s", doing, state, client_message(c));
}

/* ---- stopping the server ---- */

static void stop_in_reactor(void *arg)
{
    (void)arg;
    server_stop(SERVER_STOP_FAST);
}

SUSPENDS static void sleep_wait(uint64_t us)
{
    ERR_IGNORE(fiber_sleep_wait(us));
}

/* Every message to a sleeping core rang for it, but for the bells that the world lost. */
static void check_doorbells(void)
{
    for (uint32_t i = 0; i < run->life.cores && run->life.faults.doorbell_lost == 0; i++)
        SIM_CHECK(stats_read(&stats_of(i)->late_wakes) == 0,
                  "core %u found messages that nobody had rung for", i);
}

NO_SUSPEND_ANALYSIS static void end_life(void)
{
    check_doorbells();
    const struct life *l = &run->life;
    if (l->end == END_STOP) {
        io_sim_post(0, stop_in_reactor, NULL);
        return; /* the server ends the world */
    }
    /* Near some step of the disk, or without one. */
    static const enum io_sim_end ends[] = {IO_SIM_END_STEP, IO_SIM_END_STEP, IO_SIM_END_SYNC,
                                           IO_SIM_END_SYNCED, IO_SIM_END_STUCK};
    enum io_sim_end where = ends[sim_below(ARRAY_LEN(ends))];
    uint64_t nth = 1 + sim_below(where == IO_SIM_END_STEP ? 20 : 4);
    io_sim_end_at(where, nth, 1 + sim_below(where == IO_SIM_END_STUCK ? 4000 : 8),
                  l->end == END_KILL);
    sleep_wait(where == IO_SIM_END_STEP ? 5000 : 20000);
    io_sim_end_now(l->end == END_KILL);
}

/* ---- steps of a life ---- */

/* A server that the disk does not let start is killed after a while. */
SUSPENDS static struct client *first_client_wait(void)
{
    uint64_t deadline = core_now_us() + (run->life.may_fail ? FAULTY_START_US_MAX : START_US_MAX);
    for (;;) {
        struct client *c = client_open_wait();
        if (c != NULL)
            return c;
        if (run->life.may_fail && core_now_us() > deadline) {
            io_sim_end_now(true);
        }
        SIM_CHECK(core_now_us() < deadline, "the server does not come up");
        sleep_wait(2000);
    }
}

/* Again and again until it succeeds: faults may break any attempt. */
SUSPENDS static bool set_up_wait(struct client *c)
{
    if (client_query_wait(c, "SELECT count(*) FROM pg_class WHERE relname = 'set_up_is_done'") !=
        DONE)
        return false;
    if (client_int(c, 0, 0) == 1)
        return true;
    if (client_query_wait(c, "BEGIN") != DONE)
        return false;
    for (uint32_t i = 0; i < workload_count; i++)
        if (workloads[i]->set_up_wait(c) != DONE)
            return false;
    return client_query_wait(c, "CREATE TABLE set_up_is_done (i int)") == DONE &&
           client_query_wait(c, "COMMIT") == DONE;
}

SUSPENDS static void set_up_surely_wait(void)
{
    uint64_t room_at = core_now_us() + DISK_FULL_US;
    for (uint32_t tries = 0; !run->is_set_up; tries++) {
        if (core_now_us() > room_at)
            io_sim_disk_room(UINT64_MAX);
        SIM_CHECK(run->life.may_fail || tries < 20000, "the tables cannot be made");
        struct client *c = first_client_wait();
        run->is_set_up = set_up_wait(c);
        if (client_sqlstate(c)[0] != '\0')
            sim_expect_error(c, "making the tables");
        client_close_wait(c);
        if (!run->is_set_up)
            sleep_wait(1000);
    }
}

SUSPENDS static void worker_ended(void)
{
    work.running--;
    wait_queue_wake_all(&work.ended);
}

SUSPENDS static void checkpoints_main(void *arg)
{
    (void)arg;
    work_checkpoints_wait();
    worker_ended();
}

static uint32_t draw_kind(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < workload_count; i++)
        sum += workloads[i]->share;
    uint32_t at = sim_below(sum);
    uint32_t kind = 0;
    while (at >= workloads[kind]->share)
        at -= workloads[kind++]->share;
    return kind;
}

/* Those behind the first few are for any work that many can do. */
static const struct workload *work_of(uint32_t number)
{
    const struct workload *w = run->life.only;
    bool fits = w != NULL;
    while (!fits) {
        uint32_t kind = draw_kind();
        w = workloads[kind];
        fits = number < WORKERS_MAX ? run->workload_mask == 0 || (run->workload_mask >> kind & 1)
                                    : w->is_for_crowds;
    }
    return w;
}

SUSPENDS static void worker_main(void *arg)
{
    uint32_t number = (uint32_t)(uintptr_t)arg;
    const struct workload *w = work_of(number);
    w->work_wait(number);
    worker_ended();
}

SUSPENDS static void keeper_main(void *arg)
{
    const struct workload *w = arg;
    w->keep_wait();
    work.keepers--;
    wait_queue_wake_all(&work.ended);
}

SUSPENDS static void keepers_start(void)
{
    for (uint32_t i = 0; i < workload_count; i++) {
        if (workloads[i]->keep_wait == NULL)
            continue;
        work.keepers++;
        if (fiber_spawn(keeper_main, (void *)(uintptr_t)workloads[i]) != ERR_OK)
            sim_fail("no fiber for a keeper");
    }
}

SUSPENDS static void drain_wait(const uint32_t *running, const char *what)
{
    uint64_t deadline = core_now_us() + DRAIN_US_MAX;
    uint64_t room_at = core_now_us() + DISK_FULL_US;
    while (*running > 0) {
        if (core_now_us() > room_at)
            io_sim_disk_room(UINT64_MAX);
        SIM_CHECK(core_now_us() < deadline, "%u %s do not end", *running, what);
        ERR_IGNORE(wait_queue_wait(&work.ended, core_now_us() + 1000000));
    }
}

SUSPENDS static void work_wait(void)
{
    work.is_over = work.workers_are_gone = false;
    keepers_start();
    for (uint32_t i = 0; i < run->life.workers; i++) {
        work.running++;
        if (fiber_spawn(worker_main, (void *)(uintptr_t)i) != ERR_OK)
            sim_fail("no fiber for a worker");
    }
    for (uint32_t i = 0; i < run->life.checkpointers; i++) {
        work.running++;
        if (fiber_spawn(checkpoints_main, NULL) != ERR_OK)
            sim_fail("no fiber for checkpoints");
    }
    sleep_wait(run->life.work_us);
    if (run->life.end != END_STOP && !run->life.is_last && sim_below(2) == 0)
        end_life(); /* in the middle of it */
    work.is_over = true;
    drain_wait(&work.running, "workers");
    work.workers_are_gone = true;
    drain_wait(&work.keepers, "keepers");
}

/* Faults of the disk and the network rest while the database is compared with the model; the
 * world's end does not. */
SUSPENDS static void verify_wait(void)
{
    struct io_sim_faults before = *io_sim_faults();
    struct io_sim_faults *f = io_sim_faults();
    f->read_error = f->write_error = f->sync_error = f->open_error = 0;
    f->allocate_error = f->rename_error = f->net_reset = 0;
    uint64_t room =
        io_sim_disk_room_left(); /* also pages that are only read may have to be written */
    io_sim_disk_room(UINT64_MAX);
    if (room != UINT64_MAX)
        sleep_wait(LOG_EXTENDED_US); /* statements fail until the log's keeper has tried again */
    struct client *c = first_client_wait();
    for (uint32_t i = 0; i < workload_count; i++) {
        sim_note("verifying %s", workloads[i]->name);
        if (!run->life.is_cut_short)
            workloads[i]->verify_wait(c);
        else if (workloads[i]->verify_itself_wait != NULL)
            workloads[i]->verify_itself_wait(c);
    }
    client_close_wait(c);
    *io_sim_faults() = before;
    io_sim_disk_room(room);
}

SUSPENDS void controller_main(void *arg)
{
    (void)arg;
    set_up_surely_wait();
    sim_note("the server serves");
    run->is_life_start = true;
    verify_wait();
    run->is_life_start = false;
    if (run->life.workers > 0) {
        sim_note("work begins");
        work_wait();
        sim_note("work is over");
        if (run->life.end == END_STOP || sim_below(2) == 0)
            verify_wait();
    }
    sim_note("the end");
    end_life();
}
