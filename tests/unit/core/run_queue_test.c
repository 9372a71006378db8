/* The order in which a core runs its ready fibers: shares of groups, heavy after quick. */
#include "tests/unit/core/unit.h"

#include "core/core_priv.h"

#include <string.h>

enum { COST = 1000, FIBERS_MAX = 16 };

static struct run_queue queue;
static struct fiber fibers[FIBERS_MAX];

static void begin(void)
{
    run_queue_destroy(&queue);
    memset(fibers, 0, sizeof(fibers));
}

/* A ready fiber of the group: fibers of one group are told apart by nothing. */
static void add(int i, uint64_t group, uint32_t weight, bool is_heavy)
{
    run_queue_join(&queue, &fibers[i], group, weight);
    fibers[i].is_heavy = is_heavy;
    run_queue_put(&queue, &fibers[i]);
}

/* Runs count slices of equal cost; everybody wants more. Returns who ran: a letter per group, small
 * when heavy. */
static const char *run(int count)
{
    static char who[128];
    int n = 0;
    while (n < count) {
        struct fiber *f = run_queue_take(&queue);
        who[n++] = (char)((f->is_heavy ? 'a' : 'A') + f->group->key);
        run_queue_put(&queue, f);
        run_queue_charge(&queue, f, COST);
    }
    who[n] = '\0';
    return who;
}

static int count_of(const char *who, char c)
{
    int n = 0;
    for (; *who; who++)
        n += *who == c;
    return n;
}

static void one_group_runs_in_order_of_arrival(void)
{
    begin();
    for (int i = 0; i < 4; i++)
        add(i, 0, 100, false);
    for (int i = 0; i < 8; i++) {
        struct fiber *f = run_queue_take(&queue);
        CU_ASSERT_PTR_EQUAL(f, &fibers[i % 4]);
        run_queue_put(&queue, f);
        run_queue_charge(&queue, f, COST);
    }
    CU_ASSERT_EQUAL(queue.ready_count, 4);
}

static void groups_share_equally_however_many_fibers_they_have(void)
{
    begin();
    for (int i = 0; i < 5; i++)
        add(i, 0, 100, false);
    add(5, 1, 100, false);
    CU_ASSERT_STRING_EQUAL(run(10), "ABABABABAB");
}

static void weights_are_proportions(void)
{
    begin();
    add(0, 0, 300, false);
    add(1, 1, 100, false);
    const char *who = run(40);
    CU_ASSERT_EQUAL(count_of(who, 'A'), 30);
    CU_ASSERT_EQUAL(count_of(who, 'B'), 10);
    CU_ASSERT_PTR_NULL(strstr(who, "AAAAAA"));
}

static void heavy_fibers_get_a_fifth(void)
{
    begin();
    add(0, 0, 100, true);
    add(1, 0, 100, true);
    add(2, 0, 100, false);
    const char *who = run(50);
    CU_ASSERT_EQUAL(count_of(who, 'a'), 10);
    CU_ASSERT_EQUAL(count_of(who, 'A'), 40);
}

static void quick_fiber_runs_before_a_heavy_one_that_worked(void)
{
    begin();
    add(0, 0, 100, true);
    CU_ASSERT_STRING_EQUAL(run(100) + 95, "aaaaa");
    add(1, 0, 100, false); /* arrives while the heavy one waits for its next slice */
    CU_ASSERT_STRING_EQUAL(run(1), "A");
}

static void rest_earns_no_credit(void)
{
    begin();
    add(0, 0, 100, false);
    (void)run(100);
    add(1, 1, 100, false); /* did nothing so far: its equal share from now on, not 100 slices */
    const char *who = run(10);
    CU_ASSERT_EQUAL(count_of(who, 'B'), 5);
    CU_ASSERT_PTR_NULL(strstr(who, "BBB"));
}

static void groups_come_and_go(void)
{
    begin();
    for (uint64_t key = 1; key < 5000; key++) {
        add(0, key, 100, false);
        CU_ASSERT_PTR_EQUAL(run_queue_take(&queue), &fibers[0]);
        run_queue_leave(&queue, &fibers[0]);
    }
    CU_ASSERT(queue.group_count < 2000);
    CU_ASSERT_PTR_NULL(run_queue_take(&queue));
    for (int i = 0; i < FIBERS_MAX; i++)
        add(i, (uint64_t)i, 100, false);
    const char *who = run(FIBERS_MAX);
    for (int i = 0; i < FIBERS_MAX; i++)
        CU_ASSERT_EQUAL(count_of(who, (char)('A' + i)), 1);
    begin();
}

/* ---- the same through the reactor ---- */

enum { RUNS_BETWEEN = 5, GIVE_UP_S = 30 };

static int ran_count;
static int heavy_left;

static SUSPENDS void heavy_entry(void *arg)
{
    (void)arg;
    fiber_share(7, 100);
    /* They work until the quick one has come between; the limit is for a scheduler that is wrong.
     */
    uint64_t end_ns = core_now_precise_ns() + GIVE_UP_S * UINT64_C(1000000000);
    while (ran_count < RUNS_BETWEEN && core_now_precise_ns() < end_ns)
        CHECK_OK(fiber_rest_wait());
    heavy_left--;
}

static SUSPENDS void quick_entry(void *arg)
{
    (void)arg;
    fiber_share(7, 100);
    while (heavy_left > 0) {
        CHECK_OK(fiber_sleep_wait(500));
        ran_count++;
    }
}

static SUSPENDS void body_time_slices(void)
{
    ran_count = 0;
    heavy_left = 2;
    CHECK_OK(fiber_spawn(heavy_entry, NULL));
    CHECK_OK(fiber_spawn(heavy_entry, NULL));
    CHECK_OK(fiber_spawn(quick_entry, NULL));
    while (heavy_left > 0)
        CHECK_OK(fiber_sleep_wait(1000));
    CHECK_OK(fiber_sleep_wait(5000));
    CHECK(ran_count >= RUNS_BETWEEN);
}

static void heavy_fibers_leave_room(void)
{
    unit_run(1, body_time_slices);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"one group runs in order of arrival", one_group_runs_in_order_of_arrival},
        {"groups share equally", groups_share_equally_however_many_fibers_they_have},
        {"weights are proportions", weights_are_proportions},
        {"heavy fibers get a fifth", heavy_fibers_get_a_fifth},
        {"a quick fiber runs before a heavy one", quick_fiber_runs_before_a_heavy_one_that_worked},
        {"rest earns no credit", rest_earns_no_credit},
        {"groups come and go", groups_come_and_go},
        {"heavy fibers leave room", heavy_fibers_leave_room},
    };
    return unit_main("run queue", tests, sizeof(tests) / sizeof(tests[0]));
}
