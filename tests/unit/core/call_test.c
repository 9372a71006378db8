/* Calls between cores: storms, errors, cancel through a call, posts, borrowing, oversubscription.
 */
#include "tests/unit/core/unit.h"

#include "core/stats.h"

struct add {
    uint32_t expect_core;
    uint64_t in;
    uint64_t out;
};

static err_t add_one(void *arg)
{
    struct add *a = arg;
    CHECK(core_id() == a->expect_core);
    a->out = a->in + 1;
    return ERR_OK;
}

static SUSPENDS err_t add_slowly(void *arg)
{
    fiber_yield_wait();
    return add_one(arg);
}

static SUSPENDS void body_fan_out(void)
{
    enum { ROUNDS = 500 };
    uint32_t n = core_count();
    struct core_call calls[16];
    struct add adds[16];
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < n; i++) {
            adds[i] = (struct add){.expect_core = i, .in = round * 100 + i};
            core_call_start(&calls[i], i, round % 2 == 0 ? add_one : add_slowly, &adds[i]);
        }
        for (uint32_t i = n; i-- > 0;)
            CHECK_OK(core_call_join_wait(&calls[i]));
        for (uint32_t i = 0; i < n; i++)
            CHECK(adds[i].out == round * 100 + i + 1);
    }
}

static void calls_fan_out(void)
{
    unit_run(2, body_fan_out);
    unit_run(4, body_fan_out); /* more threads than this machine may have CPUs */
    struct core_options options = {.core_count = 3, .force_eventfd = true};
    unit_run_options(&options, body_fan_out);
    struct core_options polling = {.core_count = 2, .busy_poll_us = 100};
    unit_run_options(&polling, body_fan_out);
}

/* Every core calls every other from many fibers at once; links overflow on the way. */
enum { STORM_FIBERS = 300, STORM_CALLS = 20 };
static atomic_int storm_running;
static atomic_uint_fast64_t storm_sum;

static SUSPENDS void storm_fiber(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (uint64_t i = 0; i < STORM_CALLS; i++) {
        uint32_t target = (uint32_t)((seed + i) % core_count());
        struct add a = {.expect_core = target, .in = i};
        CHECK_OK(core_call_wait(target, (seed + i) % 3 == 0 ? add_slowly : add_one, &a));
        CHECK(a.out == i + 1);
        atomic_fetch_add(&storm_sum, a.out);
    }
    atomic_fetch_sub(&storm_running, 1);
}

static err_t storm_start(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < STORM_FIBERS; i++)
        TRY(fiber_spawn(storm_fiber, (void *)(uintptr_t)(i + core_id())));
    return ERR_OK;
}

static SUSPENDS void body_storm(void)
{
    atomic_store(&storm_sum, 0);
    atomic_store(&storm_running, (int)(STORM_FIBERS * core_count()));
    for (uint32_t i = 0; i < core_count(); i++)
        CHECK_OK(core_call_wait(i, storm_start, NULL));
    while (atomic_load(&storm_running) > 0)
        CHECK_OK(fiber_sleep_wait(1000));
    CHECK(atomic_load(&storm_sum) ==
          (uint64_t)STORM_FIBERS * core_count() * STORM_CALLS * (STORM_CALLS + 1) / 2);
}

static void storms_lose_nothing(void)
{
    unit_run(4, body_storm);
    struct core_options options = {.core_count = 2, .force_eventfd = true, .busy_poll_us = 20};
    unit_run_options(&options, body_storm);
}

static atomic_uint_fast64_t posts_seen;

static void post_note(void *arg)
{
    CHECK(fiber_self() == NULL);
    uint64_t seen = atomic_load(&posts_seen);
    CHECK((uint64_t)(uintptr_t)arg == seen); /* in order */
    atomic_store(&posts_seen, seen + 1);
}

static SUSPENDS void body_posts(void)
{
    enum { COUNT = 5000 }; /* more than a link holds */
    for (uint32_t target = 0; target < 2; target++) {
        atomic_store(&posts_seen, 0);
        for (uint64_t i = 0; i < COUNT; i++)
            core_post(target, post_note, (void *)(uintptr_t)i);
        for (int i = 0; i < 1000 && atomic_load(&posts_seen) < COUNT; i++)
            CHECK_OK(fiber_sleep_wait(1000));
        CHECK(atomic_load(&posts_seen) == COUNT);
    }
}

static void posts_keep_their_order(void)
{
    unit_run(2, body_posts);
}

static err_t fail_far(void *arg)
{
    (void)arg;
    err_t e = err_raise(ERR_UNIQUE_VIOLATION, "duplicate key on core %u", core_id());
    err_detail("Key (a)=(1) already exists.");
    return e;
}

static SUSPENDS void body_error(void)
{
    CHECK(core_call_wait(1, fail_far, NULL) == ERR_UNIQUE_VIOLATION);
    CHECK(strcmp(err_diag()->message, "duplicate key on core 1") == 0);
    CHECK(strcmp(err_diag()->detail, "Key (a)=(1) already exists.") == 0);
}

static void errors_come_back(void)
{
    unit_run(2, body_error);
}

static SUSPENDS err_t sleep_long(void *arg)
{
    atomic_store((atomic_bool *)arg, true);
    err_t e = fiber_sleep_wait(60000000);
    atomic_store((atomic_bool *)arg, false);
    return e;
}

static struct fiber *victim;
static err_t victim_result;
static bool victim_done;
static atomic_bool sleeping;
static uint32_t victim_target;

static SUSPENDS void victim_entry(void *arg)
{
    (void)arg;
    victim = fiber_self();
    victim_result = core_call_wait(victim_target, sleep_long, &sleeping);
    CHECK(strcmp(err_diag()->message, "stop it") == 0);
    victim_done = true;
}

static SUSPENDS void body_cancel(void)
{
    for (int early = 0; early < 2; early++) {
        victim_target = 1;
        victim_done = false;
        CHECK_OK(fiber_spawn(victim_entry, NULL));
        fiber_yield_wait();
        fiber_yield_wait();
        while (early == 0 && !atomic_load(&sleeping))
            CHECK_OK(fiber_sleep_wait(1000));
        fiber_cancel(victim, ERR_QUERY_CANCELED, "stop it");
        for (int i = 0; i < 1000 && !victim_done; i++)
            CHECK_OK(fiber_sleep_wait(1000));
        CHECK(victim_done);
        CHECK(victim_result == ERR_QUERY_CANCELED);
    }
    /* The mark races with the reply: neither may be lost, nobody may hang. */
    for (int i = 0; i < 300; i++) {
        struct add a = {.expect_core = 1, .in = 1};
        struct core_call call;
        core_call_start(&call, 1, add_slowly, &a);
        if (i % 3 == 0)
            CHECK_OK(fiber_sleep_wait(20));
        fiber_cancel(fiber_self(), ERR_QUERY_CANCELED, "race");
        CHECK_OK(core_call_join_wait(&call));
        fiber_cancel_clear();
        CHECK(a.out == 2);
    }
}

static void cancel_goes_through_a_call(void)
{
    unit_run(2, body_cancel);
}

static uint32_t borrowed_seen;
static struct wait_queue nobody;

static SUSPENDS err_t short_work(void *arg)
{
    struct add *a = arg;
    CHECK(core_id() == a->expect_core);
    if (core_is_borrowed()) {
        borrowed_seen++;
        CHECK(fiber_self() != NULL);
        CHECK(fiber_rest_wait() == ERR_OK);
        CHECK(wait_queue_wait(&nobody, UINT64_MAX) == ERR_INTERNAL_WOULD_SUSPEND);
        CHECK(fiber_sleep_wait(1) == ERR_INTERNAL_WOULD_SUSPEND);
        CHECK(core_call_wait(0, add_one, a) == ERR_INTERNAL_WOULD_SUSPEND);
        struct core_call call;
        core_call_start(&call, 0, add_one, a);
        CHECK(core_call_join_wait(&call) == ERR_INTERNAL_WOULD_SUSPEND);
        struct arena *arena = arena_new();
        CHECK(arena_zalloc(arena, 100) != NULL);
        arena_free(arena);
    }
    a->out = a->in + 1;
    return ERR_OK;
}

static atomic_int left_behind;

static void left_fiber(void *arg)
{
    (void)arg;
    CHECK(core_id() == 1);
    CHECK(!core_is_borrowed());
    atomic_fetch_add(&left_behind, 1);
}

static err_t leave_work(void *arg)
{
    (void)arg;
    return fiber_spawn(left_fiber, NULL);
}

static SUSPENDS err_t suspends_sometimes(void *arg)
{
    struct add *a = arg;
    TRY(fiber_sleep_wait(10));
    a->out = a->in + 1;
    return ERR_OK;
}

static err_t short_failure(void *arg)
{
    (void)arg;
    return err_raise(ERR_DIVISION_BY_ZERO, "short on %u", core_id());
}

static SUSPENDS void body_borrow(void)
{
    borrowed_seen = 0;
    for (uint64_t i = 0; i < 200; i++) {
        struct add a = {.expect_core = 1, .in = i};
        if (i % 10 == 0)
            CHECK_OK(fiber_sleep_wait(1000)); /* core 1 falls asleep */
        CHECK_OK(core_call_short_wait(1, short_work, &a));
        CHECK(a.out == i + 1);
        CHECK(core_id() == 0);
    }
    CHECK(borrowed_seen > 100);
    CHECK(core_call_short_wait(1, short_failure, NULL) == ERR_DIVISION_BY_ZERO);
    CHECK(strcmp(err_diag()->message, "short on 1") == 0);
    /* What a borrower leaves behind runs on the core itself, at once. */
    atomic_store(&left_behind, 0);
    for (int i = 0; i < 50; i++) {
        CHECK_OK(fiber_sleep_wait(200));
        CHECK_OK(core_call_short_wait(1, leave_work, NULL));
        uint64_t start = core_now_precise_ns();
        while (atomic_load(&left_behind) <= i && core_now_precise_ns() - start < 2000000000)
            CHECK_OK(fiber_sleep_wait(100));
        CHECK(atomic_load(&left_behind) == i + 1);
        CHECK(core_now_precise_ns() - start < 400000000);
    }
    /* Work that turns out to suspend goes by message. */
    struct add a = {.in = 41};
    CHECK_OK(fiber_sleep_wait(1000));
    CHECK_OK(core_call_short_wait(1, suspends_sometimes, &a));
    CHECK(a.out == 42);
}

static void sleeping_cores_are_borrowed(void)
{
    unit_run(2, body_borrow);
}

/* Two cores borrow, call and wake the same third one while it comes and goes. */
static uint64_t counter_of_core_2;
static atomic_int hammers;

static err_t bump(void *arg)
{
    (void)arg;
    CHECK(core_id() == 2);
    counter_of_core_2++; /* no lock: whoever runs here owns core 2 */
    return ERR_OK;
}

static SUSPENDS void hammer(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < 3000; i++) {
        if (i % 7 == 0)
            CHECK_OK(core_call_wait(2, bump, NULL));
        else
            CHECK_OK(core_call_short_wait(2, bump, NULL));
        if (i % 50 == 0)
            CHECK_OK(fiber_sleep_wait(100));
    }
    atomic_fetch_sub(&hammers, 1);
}

static err_t hammer_start(void *arg)
{
    return fiber_spawn(hammer, arg);
}

static SUSPENDS void body_hammer(void)
{
    counter_of_core_2 = 0;
    atomic_store(&hammers, 4);
    for (uint32_t i = 0; i < 4; i++)
        CHECK_OK(core_call_wait(i % 2, hammer_start, NULL));
    while (atomic_load(&hammers) > 0)
        CHECK_OK(fiber_sleep_wait(1000));
    CHECK_OK(core_call_wait(2, bump, NULL));
    CHECK(counter_of_core_2 == 12001);
    CHECK(stats_read(&stats_of(0)->borrows) + stats_read(&stats_of(1)->borrows) > 0);
}

static void borrowers_exclude_each_other(void)
{
    unit_run(3, body_hammer);
}

static void add_in_helper(void *arg)
{
    struct add *a = arg;
    a->out = a->in + 1;
}

static SUSPENDS void body_helper(void)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct add a = {.in = i};
        CHECK_OK(core_helper_wait(add_in_helper, &a));
        CHECK(a.out == i + 1);
    }
}

static void helper_runs_work(void)
{
    unit_run(1, body_helper);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"calls_fan_out", calls_fan_out},
        {"storms_lose_nothing", storms_lose_nothing},
        {"posts_keep_their_order", posts_keep_their_order},
        {"errors_come_back", errors_come_back},
        {"cancel_goes_through_a_call", cancel_goes_through_a_call},
        {"sleeping_cores_are_borrowed", sleeping_cores_are_borrowed},
        {"borrowers_exclude_each_other", borrowers_exclude_each_other},
        {"helper_runs_work", helper_runs_work},
    };
    return unit_main("call", tests, ARRAY_LEN(tests));
}
