/* Micro-benchmarks of the core runtime: arenas, fibers, links, calls between cores, doorbells. */
#include "core/core.h"
#include "core/link.h"
#include "core/stats.h"
#include "perf/micro.h"

#include <stdio.h>

enum { STACK_BYTES = 1 << 20 };

static struct link_ring *ring;
static struct arena *mem;

static void run_link(uint64_t n)
{
    struct link_message m = {.kind = LINK_POST};
    for (uint64_t i = 0; i < n; i++) {
        if (!link_ring_push(ring, &m) || !link_ring_pop(ring, &m))
            return;
    }
}

static void run_arena(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(mem);
        (void)arena_alloc(mem, 64);
        (void)arena_alloc(mem, 200);
        arena_rewind(mem, mark);
    }
}

static void run_arena_new(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        arena_free(arena_new());
}

static void run_histogram(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        stats_latency_add(STATS_CLASS_other, STATS_STAGE_run, i * 1000);
}

static NO_SUSPEND_ANALYSIS void run_yield(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        fiber_yield_wait();
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static NO_SUSPEND_ANALYSIS void run_spawn(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (fiber_spawn(do_nothing, NULL) != ERR_OK)
            return;
        fiber_yield_wait();
    }
}

static err_t answer(void *arg)
{
    (void)arg;
    return ERR_OK;
}

static NO_SUSPEND_ANALYSIS void run_call(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        ERR_IGNORE(core_call_wait(1, answer, NULL));
}

static NO_SUSPEND_ANALYSIS void run_borrow(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        ERR_IGNORE(core_call_short_wait(1, answer, NULL));
}

static const struct micro alone[] = {
    {"link: push and pop", "6 ns", run_link, 0, 0},
    {"arena: two allocations and a rewind", "8 ns", run_arena, 0, 0},
    {"arena: new and free", "20 ns", run_arena_new, 0, 0},
    {"statistics: one latency", "3 ns", run_histogram, 0, 0},
    {"fiber: yield (a turn of the reactor)", "0.2 us", run_yield, 0, 0},
    {"fiber: start to end (a turn of the reactor)", "0.3 us", run_spawn, 0, 0},
};
static const struct micro polling[] = {
    {"link hop: call and answer, both cores polling", "0.5 us", run_call, 0, 1},
};
static const struct micro sleeping[] = {
    {"doorbell: call and answer, both cores asleep", "50 us", run_call, 0, 1},
    {"borrow: short call to a sleeping core", "0.1 us", run_borrow, 0, 1},
};

struct group {
    const struct micro *list;
    uint32_t count;
    uint32_t cores;
    uint32_t busy_poll_us;
};

static void group_entry(void *arg)
{
    const struct group *g = arg;
    if (core_id() != 0)
        return;
    mem = arena_new();
    micro_run_all(g->list, g->count);
    arena_free(mem);
    core_stop_all();
}

int micro_core_main(void)
{
    static struct group groups[] = {
        {alone, ARRAY_LEN(alone), 1, 0},
        {polling, ARRAY_LEN(polling), 2, 1000000},
        {sleeping, ARRAY_LEN(sleeping), 2, 0},
    };
    ring = link_ring_new(64);
    int failed = ring == NULL;
    for (uint32_t i = 0; !failed && i < ARRAY_LEN(groups); i++) {
        struct core_options o = {.core_count = groups[i].cores,
                                 .busy_poll_us = groups[i].busy_poll_us,
                                 .fiber_stack_bytes = STACK_BYTES};
        failed = core_run(&o, group_entry, &groups[i]) != ERR_OK;
        if (failed)
            fprintf(stderr, "%s\n", err_diag()->message);
    }
    link_ring_free(ring);
    return failed;
}
