/* Fibers, waiting, timers, cancel and shield, the big stack, errors of fibers. */
#include "tests/unit/core/unit.h"

#include "core/stats.h"

static int order[64];
static int order_count;

static void note(void *arg)
{
    order[order_count++] = (int)(intptr_t)arg;
}

static SUSPENDS void note_and_yield(void *arg)
{
    note(arg);
    fiber_yield_wait();
    note((void *)((intptr_t)arg + 100));
}

static SUSPENDS void body_yield(void)
{
    order_count = 0;
    for (intptr_t i = 0; i < 4; i++)
        CHECK_OK(fiber_spawn(note_and_yield, (void *)i));
    for (int i = 0; i < 4; i++)
        fiber_yield_wait();
    CHECK(order_count == 8);
    for (int i = 0; i < 4; i++) {
        CHECK(order[i] == i);
        CHECK(order[4 + i] == 100 + i);
    }
}

static void fibers_run_in_order(void)
{
    unit_run(1, body_yield);
}

static struct wait_queue queue;
static struct fiber *waiter;
static err_t waiter_result;
static uint64_t waiter_deadline;
static bool waiter_done;

static SUSPENDS void wait_entry(void *arg)
{
    (void)arg;
    waiter = fiber_self();
    waiter_done = false;
    waiter_result = wait_queue_wait(&queue, waiter_deadline);
    waiter_done = true;
}

static SUSPENDS void start_waiter(uint64_t deadline)
{
    waiter_deadline = deadline;
    CHECK_OK(fiber_spawn(wait_entry, NULL));
    fiber_yield_wait();
    fiber_yield_wait();
}

static SUSPENDS void body_wait(void)
{
    CHECK(!wait_queue_wake_one(&queue));
    start_waiter(UINT64_MAX);
    CHECK(!wait_queue_is_empty(&queue));
    CHECK(wait_queue_wake_one(&queue));
    CHECK(wait_queue_is_empty(&queue));
    fiber_yield_wait();
    CHECK(waiter_done);
    CHECK(waiter_result == ERR_OK);

    uint64_t before = core_now_precise_ns();
    start_waiter(core_now_us() + 20000);
    CHECK_OK(fiber_sleep_wait(40000));
    CHECK(waiter_done);
    CHECK(waiter_result == ERR_INTERNAL_TIMEOUT);
    CHECK(core_now_precise_ns() - before >= 40000000);

    start_waiter(UINT64_MAX);
    fiber_cancel(waiter, ERR_QUERY_CANCELED, "canceling statement due to user request");
    fiber_yield_wait();
    CHECK(waiter_done);
    CHECK(waiter_result == ERR_QUERY_CANCELED);
    CHECK(wait_queue_is_empty(&queue));

    /* A wake that was given is not lost to a later cancel. */
    start_waiter(UINT64_MAX);
    CHECK(wait_queue_wake_one(&queue));
    fiber_cancel(waiter, ERR_QUERY_CANCELED, "x");
    fiber_yield_wait();
    CHECK(waiter_result == ERR_OK);
}

static void waits_have_one_outcome(void)
{
    unit_run(1, body_wait);
}

static bool shield_ok;

static SUSPENDS void shielded_entry(void *arg)
{
    (void)arg;
    waiter = fiber_self();
    fiber_shield_begin();
    CHECK_OK(fiber_sleep_wait(5000));
    CHECK_OK(fiber_rest_wait());
    fiber_shield_end();
    CHECK(fiber_rest_wait() == ERR_QUERY_CANCELED);
    CHECK(strcmp(err_diag()->message, "why") == 0);
    CHECK(fiber_sleep_wait(1) == ERR_QUERY_CANCELED);
    fiber_cancel_clear();
    CHECK_OK(fiber_sleep_wait(1));
    shield_ok = true;
}

static SUSPENDS void body_shield(void)
{
    CHECK_OK(fiber_spawn(shielded_entry, NULL));
    fiber_yield_wait();
    fiber_yield_wait();
    fiber_cancel(waiter, ERR_QUERY_CANCELED, "why");
    CHECK_OK(fiber_sleep_wait(20000));
    CHECK(shield_ok);
}

static void shield_holds_a_cancel_back(void)
{
    shield_ok = false;
    unit_run(1, body_shield);
}

static struct timer timers[100];
static uint64_t fired_at[100];
static int fired_count;

static void timer_note(void *arg)
{
    CHECK(fiber_self() == NULL);
    fired_at[fired_count++] = (uint64_t)(uintptr_t)arg;
}

static SUSPENDS void body_timers(void)
{
    memset(timers, 0, sizeof(timers));
    fired_count = 0;
    uint64_t now = core_now_us();
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t delay = i * 7919 % 100; /* a permutation */
        timer_start(&timers[i], now + delay * 100, timer_note, (void *)(uintptr_t)delay);
    }
    for (int i = 0; i < 100; i += 3)
        timer_stop(&timers[i]);
    timer_stop(&timers[0]);                                                    /* twice is fine */
    timer_start(&timers[1], now + 15000, timer_note, (void *)(uintptr_t)1000); /* moved */
    CHECK_OK(fiber_sleep_wait(20000));
    CHECK(fired_count == 66);
    for (int i = 1; i < fired_count; i++)
        CHECK(fired_at[i - 1] < fired_at[i]);
    CHECK(fired_at[65] == 1000);
}

static void timers_fire_in_order(void)
{
    unit_run(1, body_timers);
}

static size_t deep(int levels)
{
    volatile char room[1024];
    room[0] = (char)levels;
    return levels == 0 ? fiber_stack_left() : deep(levels - 1) + (size_t)(room[0] - room[0]);
}

static void on_big(void *arg)
{
    CHECK(fiber_stack_left() > 2 * 1024 * 1024);
    *(size_t *)arg = deep(1000); /* a megabyte: more than a fiber has */
    CHECK(err_raise(ERR_SYNTAX_ERROR, "from the big stack") == ERR_SYNTAX_ERROR);
}

static err_t recurse_until_refused(int *levels)
{
    volatile char room[512];
    room[0] = 1;
    TRY(fiber_check_stack());
    (*levels)++;
    err_t e = recurse_until_refused(levels);
    (void)room[0];
    return e;
}

static SUSPENDS void body_stacks(void)
{
    size_t left = 0;
    core_on_big_stack(on_big, &left);
    CHECK(left > 1024 * 1024);
    CHECK(strcmp(err_diag()->message, "from the big stack") == 0);
    fiber_yield_wait();
    int levels = 0;
    CHECK(recurse_until_refused(&levels) == ERR_STATEMENT_TOO_COMPLEX);
    CHECK(levels > 20);
    CHECK(strcmp(err_diag()->message, "stack depth limit exceeded") == 0);
}

static void stacks_have_limits(void)
{
    unit_run(1, body_stacks);
}

static SUSPENDS void raise_own(void *arg)
{
    char text[32];
    snprintf(text, sizeof(text), "fiber %d", (int)(intptr_t)arg);
    CHECK(err_raise(ERR_DIVISION_BY_ZERO, "%s", text) == ERR_DIVISION_BY_ZERO);
    err_detail("detail of %s", text);
    err_context("inner");
    err_context("outer");
    err_position(7);
    err_position(9);
    err_object(NULL, "t", NULL, NULL, "c");
    fiber_yield_wait();
    const struct diag *d = err_diag();
    CHECK(strcmp(d->message, text) == 0);
    CHECK(strncmp(d->detail, "detail of ", 10) == 0);
    CHECK(strcmp(d->context, "inner\nouter") == 0);
    CHECK(d->position == 7);
    CHECK(strcmp(d->table_name, "t") == 0);
    CHECK(strcmp(d->constraint_name, "c") == 0);
    CHECK(d->schema_name == NULL);
    static struct diag copy;
    diag_copy(&copy, d);
    CHECK(copy.message != d->message);
    CHECK(err_raise(ERR_SYNTAX_ERROR, "quote: %s", err_diag()->message) == ERR_SYNTAX_ERROR);
    CHECK(strncmp(err_diag()->message, "quote: fiber ", 13) == 0);
    CHECK(err_diag()->detail == NULL);
    CHECK(err_adopt(&copy) == ERR_DIVISION_BY_ZERO);
    CHECK(strcmp(err_diag()->message, text) == 0);
}

static SUSPENDS void body_errors(void)
{
    for (intptr_t i = 0; i < 10; i++)
        CHECK_OK(fiber_spawn(raise_own, (void *)i));
    for (int i = 0; i < 5; i++)
        fiber_yield_wait();
    CHECK(strcmp(err_sqlstate(ERR_DIVISION_BY_ZERO), "22012") == 0);
    CHECK(strcmp(err_sqlstate(ERR_OK), "00000") == 0);
    char big[10000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    CHECK(err_raise(ERR_SYNTAX_ERROR, "%s", big) == ERR_SYNTAX_ERROR);
    err_hint("still room");
    CHECK(strcmp(err_diag()->hint, "still room") == 0);
}

static void every_fiber_has_its_own_error(void)
{
    unit_run(1, body_errors);
}

static int rests;
static bool other_ran;

static void other(void *arg)
{
    (void)arg;
    other_ran = true;
}

static SUSPENDS void body_rest(void)
{
    rests = 0;
    /* The machine may take the processor away for a slice: some try must show it undisturbed. */
    for (int tries = 0; tries < 50 && rests <= 10; tries++) {
        other_ran = false;
        rests = 0;
        CHECK_OK(fiber_spawn(other, NULL));
        uint64_t start = core_now_precise_ns();
        while (!other_ran && core_now_precise_ns() - start < 5000000000) {
            CHECK_OK(fiber_rest_wait());
            rests++;
        }
        CHECK(other_ran);
    }
    CHECK(rests > 10); /* not at every call: only when the slice is over */
}

static void rest_yields_after_a_slice(void)
{
    unit_run(1, body_rest);
}

static uint32_t spawned_ran;

static SUSPENDS void count_spawned(void *arg)
{
    (void)arg;
    spawned_ran++;
    ERR_IGNORE(wait_queue_wait(&queue, UINT64_MAX));
    spawned_ran++;
}

static SUSPENDS void body_limit(void)
{
    spawned_ran = 0;
    uint32_t ok = 0;
    for (int i = 0; i < 20; i++)
        ok += fiber_spawn(count_spawned, NULL) == ERR_OK ? 1 : 0;
    CHECK(ok == 9); /* this fiber is one of the ten */
    CHECK(strcmp(err_sqlstate(err_diag()->code), "53000") == 0);
    fiber_yield_wait();
    wait_queue_wake_all(&queue);
    fiber_yield_wait();
    fiber_yield_wait();
    CHECK(spawned_ran == 18);
    CHECK_OK(fiber_spawn(other, NULL));
    fiber_yield_wait();
}

static void fiber_limit_is_an_error(void)
{
    struct core_options options = {.core_count = 1, .fibers_per_core_max = 10};
    unit_run_options(&options, body_limit);
}

static SUSPENDS void body_stall(void)
{
    fiber_yield_wait();
    uint64_t start = core_now_precise_ns();
    while (core_now_precise_ns() - start < 80000000) {
    }
    fiber_yield_wait();
    CHECK(stats_read(&stats_self()->stalls) >= 1);
}

static void stalls_are_seen(void)
{
    struct core_options options = {.core_count = 1, .stall_log_us = 30000};
    unit_run_options(&options, body_stall);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"fibers_run_in_order", fibers_run_in_order},
        {"waits_have_one_outcome", waits_have_one_outcome},
        {"shield_holds_a_cancel_back", shield_holds_a_cancel_back},
        {"timers_fire_in_order", timers_fire_in_order},
        {"stacks_have_limits", stacks_have_limits},
        {"every_fiber_has_its_own_error", every_fiber_has_its_own_error},
        {"rest_yields_after_a_slice", rest_yields_after_a_slice},
        {"fiber_limit_is_an_error", fiber_limit_is_an_error},
        {"stalls_are_seen", stalls_are_seen},
    };
    return unit_main("fiber", tests, ARRAY_LEN(tests));
}
