/*
 * The simulated backend's world: clock, randomness, the scheduler that steps the cores, doorbells.
 *
 * Each step takes one core that has something to do (or is awake), drawn from the seed, and lets it
 * make one reactor turn. The clock moves a few microseconds per step and a little with every
 * reading, and jumps to the next event when all cores sleep. If there is none, the world hangs: an
 * error that names it.
 */
#include "core/io_sim_priv.h"

#include <stdlib.h>

enum {
    WALL_EPOCH_S = 1795000000, /* November 2026 */
    STEP_NS_MAX = 8000,
    READ_CLOCK_NS = 20,
    DOORBELL_US_MAX = 50,
    NET_SPLIT_PERCENT = 25,
    NET_WINDOW_BYTES = 65536,
};

const bool backend_is_simulated = true;

const struct io_sim_faults io_sim_usual_faults = {
    .doorbell_us_max = DOORBELL_US_MAX,
    .net_split_percent = NET_SPLIT_PERCENT,
    .net_window_bytes = NET_WINDOW_BYTES,
    .rest_percent = 2,
};
static struct sim_world first_world = {
    .random_state = 1,
    .faults = {.doorbell_us_max = DOORBELL_US_MAX,
               .net_split_percent = NET_SPLIT_PERCENT,
               .net_window_bytes = NET_WINDOW_BYTES},
};
struct sim_world *sim_world = &first_world;

/* The core on which the clients' fibers run; not one of the server's. */
static struct {
    struct core *core;
    void (*entry)(void *arg);
    void *arg;
} clients;

/* ---- randomness and trace ---- */

/* splitmix64 by Steele, Lea and Flood. */
uint64_t sim_random(void)
{
    uint64_t z = (sim_world->random_state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t sim_random_between(uint64_t low, uint64_t high)
{
    return low + sim_random() % (high - low + 1);
}

uint64_t io_sim_random(uint64_t below)
{
    return below == 0 ? 0 : sim_random() % below;
}

void sim_trace(uint64_t what, uint64_t value)
{
    uint64_t h = sim_world->trace ^ what ^ value * 0x9e3779b97f4a7c15;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
    sim_world->trace = h ^ h >> 32;
}

uint64_t io_sim_trace(void)
{
    return sim_world->trace;
}

bool sim_happens(uint32_t chance)
{
    return chance != 0 && sim_random() % 1000000 < chance;
}

void io_sim_trace_add(uint64_t value)
{
    sim_trace(0, value);
}

uint64_t io_sim_now_us(void)
{
    return sim_now_us();
}

struct io_sim_faults *io_sim_faults(void)
{
    return &sim_world->faults;
}

void io_sim_reset(uint64_t seed)
{
    ASSERT(runner.core == NULL);
    *sim_world = (struct sim_world){.random_state = seed * 2 + 1, .faults = io_sim_usual_faults};
    sim_disk_reset();
    sim_net_reset();
}

void io_sim_reseed(uint64_t seed)
{
    ASSERT(runner.core == NULL);
    sim_world->random_state = seed * 2 + 1;
    sim_world->trace = 0;
    sim_world->event_serial = 0;
    sim_world->full_links = 0;
}

void sim_world_move(void)
{
    struct sim_world *w = io_sim_alloc(sizeof(*w));
    *w = *sim_world;
    sim_world = w;
}

void io_sim_doorbell_delay_us(uint64_t us_max)
{
    sim_world->faults.doorbell_us_max = us_max;
}

void io_sim_link_slots(uint32_t slots)
{
    links_slots_wanted = slots;
}

uint64_t io_sim_full_links(void)
{
    return sim_world->full_links;
}

void io_sim_stall(uint32_t core, uint64_t us)
{
    ASSERT(core < process.core_count);
    process.cores[core]->backend->stalled_us = sim_now_us() + us;
}

void backend_random_bytes(void *out, size_t bytes)
{
    uint8_t *at = out;
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(sim_random() >> 32);
}

bool backend_rests_early(void)
{
    return sim_world->faults.rest_percent != 0 &&
           sim_random() % 100 < sim_world->faults.rest_percent;
}

bool core_varies(void)
{
    return sim_world->faults.vary_percent != 0 &&
           sim_random() % 100 < sim_world->faults.vary_percent;
}

uint64_t backend_now_ns(void)
{
    /* Readers of the clock see it move, so that loops that wait for a time end. */
    return sim_world->now_ns += READ_CLOCK_NS;
}

int64_t backend_wall_us(void)
{
    return (int64_t)WALL_EPOCH_S * 1000000 + (int64_t)sim_now_us();
}

/* ---- events of a core ---- */

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->time_us != b->time_us ? a->time_us < b->time_us : a->serial < b->serial;
}

static void event_swap(struct sim_event *a, struct sim_event *b)
{
    struct sim_event t = *a;
    *a = *b;
    *b = t;
}

void sim_event_add(struct core *c, uint64_t delay_us, void (*fire)(void *arg), void *arg)
{
    struct backend *b = c->backend;
    if (b->event_count == b->event_room) {
        b->event_room = b->event_room == 0 ? 64 : b->event_room * 2;
        b->events = realloc(b->events, b->event_room * sizeof(*b->events));
        ASSERT(b->events != NULL);
    }
    uint32_t i = b->event_count++;
    b->events[i] = (struct sim_event){.time_us = sim_now_us() + delay_us,
                                      .serial = sim_world->event_serial++,
                                      .fire = fire,
                                      .arg = arg};
    while (i > 0 && event_before(&b->events[i], &b->events[(i - 1) / 2])) {
        event_swap(&b->events[i], &b->events[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static struct sim_event event_pop(struct backend *b)
{
    struct sim_event first = b->events[0];
    b->events[0] = b->events[--b->event_count];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= b->event_count)
            break;
        if (child + 1 < b->event_count && event_before(&b->events[child + 1], &b->events[child]))
            child++;
        if (!event_before(&b->events[child], &b->events[i]))
            break;
        event_swap(&b->events[child], &b->events[i]);
        i = child;
    }
    return first;
}

bool backend_reap(struct core *c)
{
    struct backend *b = c->backend;
    bool any = false;
    uint64_t now = sim_now_us();
    while (b->event_count > 0 && b->events[0].time_us <= now && sim_world->end == SIM_RUNS) {
        struct sim_event e = event_pop(b);
        sim_trace(e.serial, c->id);
        stats_add(&c->stats->cqes, 1);
        e.fire(e.arg);
        any = true;
    }
    return any;
}

static void make_ready(void *arg)
{
    fiber_make_ready(arg);
}

void sim_delay_wait(uint64_t us)
{
    sim_event_add(core_self(), us, make_ready, runner.fiber);
    fiber_suspend_wait();
}

err_t core_helper_wait(void (*fn)(void *arg), void *arg)
{
    if (runner_is_borrowing())
        return err_would_suspend();
    sim_delay_wait(sim_random_between(10, 5000));
    fn(arg);
    return ERR_OK;
}

/* ---- what the reactor asks for ---- */

void backend_submit(struct core *c)
{
    (void)c;
}

void backend_sleep(struct core *c, uint64_t deadline_us)
{
    (void)c;
    (void)deadline_us; /* in c->sleep_deadline_us */
}

bool backend_has_unsubmitted(const struct core *c)
{
    /* Operations go out by themselves; but an event may now come before the sleep's end. */
    return c->backend->event_count > 0 && c->backend->events[0].time_us < c->sleep_deadline_us;
}

bool backend_has_arrivals(const struct core *c)
{
    (void)c;
    return false; /* slices are counted in rests */
}

bool backend_can_borrow(const struct core *c)
{
    return c->backend->stalled_us <= sim_now_us();
}

void backend_doorbell(struct core *from, uint32_t target)
{
    (void)from;
    if (sim_happens(sim_world->faults.doorbell_lost))
        return;
    uint64_t at = sim_now_us() + sim_random_between(1, MAX(sim_world->faults.doorbell_us_max, 1));
    struct backend *b = process.cores[target]->backend;
    b->wake_us = MIN(b->wake_us, at);
}

void backend_doorbell_outside(uint32_t target)
{
    process.cores[target]->backend->wake_us = 0;
}

err_t backend_core_start(struct core *c)
{
    struct backend *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return err_raise(ERR_OUT_OF_MEMORY, "out of memory");
    b->wake_us = UINT64_MAX;
    c->backend = b;
    return ERR_OK;
}

void backend_core_end(struct core *c)
{
    if (c->backend == NULL)
        return;
    free(c->backend->events);
    free(c->backend);
    c->backend = NULL;
}

/* ---- the scheduler ---- */

static uint32_t world_core_count(void)
{
    return process.core_count + (clients.core != NULL ? 1 : 0);
}

/* The server's cores, then the clients'. */
static struct core *world_core(uint32_t i)
{
    return i < process.core_count ? process.cores[i] : clients.core;
}

/* When the core can next do something; 0 = now. */
static uint64_t core_due_us(const struct core *c)
{
    const struct backend *b = c->backend;
    uint64_t due = 0;
    if (c->is_sleeping) {
        due = MIN(c->sleep_deadline_us, b->wake_us);
        if (b->event_count > 0)
            due = MIN(due, b->events[0].time_us);
    }
    return MAX(due, b->stalled_us);
}

/* Is there anything that can still happen? Sleeps that only end by their length do not count. */
static bool anything_left(void)
{
    for (uint32_t i = 0; i < world_core_count(); i++) {
        const struct core *c = world_core(i);
        if (!c->is_sleeping || c->backend->event_count > 0 || c->timers != NULL ||
            c->backend->wake_us != UINT64_MAX || (c != clients.core && links_have_inbound(c)) ||
            c->backend->stalled_us > sim_now_us())
            return true;
    }
    return false;
}

static struct core *choose_core(void)
{
    for (;;) {
        uint64_t now = sim_now_us();
        uint32_t ready = 0;
        uint64_t next = UINT64_MAX;
        for (uint32_t i = 0; i < world_core_count(); i++) {
            uint64_t due = core_due_us(world_core(i));
            next = MIN(next, due);
            ready += due <= now ? 1 : 0;
        }
        if (ready == 0) {
            if (next == UINT64_MAX)
                return NULL;
            sim_world->now_ns = next * 1000;
            continue;
        }
        uint64_t pick = sim_random() % ready;
        for (uint32_t i = 0; i < world_core_count(); i++)
            if (core_due_us(world_core(i)) <= now && pick-- == 0)
                return world_core(i);
    }
}

/* The clients' core has no links and lends nothing. */
static void clients_turn(struct core *c)
{
    c->is_sleeping = false;
    c->now_us = backend_now_ns() / 1000;
    backend_reap(c);
    posts_run(c);
    fibers_run(c);
    timers_fire(c);
    c->is_sleeping = c->ready.ready_count == 0 && c->post_first == NULL;
    c->sleep_deadline_us = timers_next_us(c);
}

static void run_world(void)
{
    uint32_t idle_rounds = 0;
    while (!atomic_load(&shared_words.is_stopping) && sim_world->end == SIM_RUNS) {
        if (!anything_left() && ++idle_rounds > process.core_count * 4) {
            sim_world->is_hung = true;
            return;
        }
        struct core *c = choose_core();
        ASSERT(c != NULL);
        if (c->backend->wake_us <= sim_now_us())
            c->backend->wake_us = UINT64_MAX;
        uint64_t switches = stats_read(&c->stats->switches);
        runner = (struct runner){.core = c, .home = c};
        sim_trace(c->id, sim_world->now_ns);
        if (c == clients.core)
            clients_turn(c);
        else
            reactor_turn(c);
        runner = (struct runner){0};
        if (stats_read(&c->stats->switches) != switches)
            idle_rounds = 0;
        sim_world->now_ns += sim_random() % STEP_NS_MAX;
        if (c != clients.core && sim_happens(sim_world->faults.stall))
            c->backend->stalled_us =
                sim_now_us() + sim_random_between(1, MAX(sim_world->faults.stall_us_max, 1));
    }
}

void io_sim_power_loss(void)
{
    io_sim_end_now(false);
}

NO_SUSPEND_ANALYSIS void io_sim_end_now(bool is_kill)
{
    if (sim_world->end == SIM_RUNS)
        sim_world->end = is_kill ? SIM_KILLED : SIM_POWER_LOST;
    if (runner.fiber != NULL && !runner_is_borrowing() && !runner.is_big_stack &&
        runner.nosuspend == 0)
        sim_delay_wait(1000000000); /* the world ends before */
}

bool io_sim_power_was_lost(void)
{
    return sim_world->end != SIM_RUNS;
}

void io_sim_process_died(void)
{
    sim_world->end = SIM_KILLED;
    sim_disk_kill();
}

/* ---- clients ---- */

void io_sim_clients(void (*entry)(void *arg), void *arg)
{
    clients.entry = entry;
    clients.arg = arg;
}

void io_sim_post(uint32_t core, void (*fn)(void *arg), void *arg)
{
    ASSERT(core < process.core_count);
    sim_event_add(process.cores[core], sim_random_between(1, 20), fn, arg);
}

static err_t clients_start(void)
{
    struct core *c = calloc(1, sizeof(*c));
    struct stats_page *page = calloc(1, sizeof(*page));
    if (c == NULL || page == NULL) {
        free(c);
        free(page);
        return err_raise(ERR_OUT_OF_MEMORY, "out of memory");
    }
    *c = (struct core){
        .id = process.core_count, .cpu = -1, .numa_node = -1, .memory_budget_bytes = MIB(1024)};
    c->stats = page;
    clients.core = c;
    void (*server_entry)(void *arg) = process.entry;
    void *server_arg = process.entry_arg;
    process.entry = clients.entry;
    process.entry_arg = clients.arg;
    err_t e = core_start(c);
    process.entry = server_entry;
    process.entry_arg = server_arg;
    return e;
}

static void clients_end(void)
{
    struct core *c = clients.core;
    backend_core_end(c);
    if (c->reactor_stack_low != NULL)
        core_end(c);
    free(c->stats);
    free(c);
    clients.core = NULL;
    clients.entry = NULL;
}

err_t backend_run(void)
{
    err_t e = ERR_OK;
    sim_world->end = SIM_RUNS;
    sim_world->is_hung = false;
    for (uint32_t i = 0; i < process.core_count && e == ERR_OK; i++)
        e = core_start(process.cores[i]);
    if (e == ERR_OK && clients.entry != NULL)
        e = clients_start();
    runner = (struct runner){0};
    if (e == ERR_OK)
        run_world();
    for (uint32_t i = 0; i < process.core_count; i++) {
        sim_world->full_links += stats_read(&process.cores[i]->stats->overflows);
        backend_core_end(process.cores[i]);
        if (process.cores[i]->reactor_stack_low != NULL)
            core_end(process.cores[i]);
    }
    if (clients.core != NULL)
        clients_end();
    sim_net_reset();
    if (sim_world->end == SIM_KILLED)
        sim_disk_kill();
    if (sim_world->end == SIM_POWER_LOST)
        sim_disk_crash();
    if (sim_world->end != SIM_RUNS)
        return err_raise(ERR_IO_ERROR, "simulated %s",
                         sim_world->end == SIM_KILLED ? "kill" : "power loss");
    if (sim_world->is_hung)
        return err_raise(ERR_INTERNAL_ERROR, "all simulated cores wait for nothing");
    return e;
}
