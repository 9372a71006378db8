/*
 * The reactor: what a core does in a turn, how it goes to sleep and wakes, and core_run().
 *
 * A turn: reap completions → drain links → local posts → ready fibers → expired timers → one
 * background slice → submit everything at once. A core without anything to do polls on while
 * traffic with other cores is recent (busy_poll_us), then sleeps in its ring until a completion, a
 * doorbell or the next timer.
 *
 * Polling has to pay: a message that it finds earns a credit, a window that passes without one
 * costs a credit, and without credit the core sleeps at once. Being woken by a message within the
 * window, which polling would have found, earns one too, so that polling begins again when it would
 * pay.
 *
 * Going to sleep: state := ASLEEP, fence, look at the links once more, sleep. Waking: state goes
 * ASLEEP → AWAKE; while a borrower has it, the waker waits (microseconds).
 */
#include "core/core_priv.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    SLICE_US = 500,
    HEAVY_SLICE_US = 50,
    ARRIVAL_CHECK_US = 5,
    SLEEP_US_MAX = 500000,       /* a lost doorbell costs at most this */
    OVERFLOW_SLEEP_US = 50,      /* waiting for room in a full link */
    BACKGROUND_PERIOD_US = 1000, /* under load */
    CALIBRATION_NS = 2000000,
    POLL_CREDIT_MAX = 8,
};

struct core_process process;

/* ---- time ---- */

uint64_t core_now_us(void)
{
    return runner.core != NULL ? runner.core->now_us : backend_now_ns() / 1000;
}

uint64_t core_now_precise_ns(void)
{
    return backend_now_ns();
}

int64_t core_wall_us(void)
{
    return backend_wall_us();
}

void core_random_bytes(void *out, size_t bytes)
{
    backend_random_bytes(out, bytes);
}

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

/* xoshiro256** by Blackman and Vigna. */
static uint64_t random_step(uint64_t s[4])
{
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t core_random_u64(void)
{
    if (runner.core != NULL)
        return random_step(runner.core->random_state);
    uint64_t v;
    backend_random_bytes(&v, sizeof(v));
    return v;
}

/* ---- background ---- */

void core_add_background(bool (*slice)(void *arg), void *arg)
{
    struct core *c = core_self();
    ASSERT(c->background_count < BACKGROUND_COUNT_MAX);
    c->background[c->background_count++] = (struct background_slice){.slice = slice, .arg = arg};
    c->background_has_more = true;
}

void core_background_wake(void)
{
    core_self()->background_has_more = true;
}

static bool background_run(struct core *c, bool is_busy)
{
    if (c->background_count == 0 ||
        (is_busy && c->now_us - c->background_last_us < BACKGROUND_PERIOD_US))
        return false;
    c->background_last_us = c->now_us;
    if (is_busy) {
        struct background_slice *b = &c->background[c->background_next++ % c->background_count];
        if (b->slice(b->arg))
            c->background_has_more = true;
        return true;
    }
    c->background_has_more = false;
    bool has_more = false;
    for (uint32_t i = 0; i < c->background_count; i++)
        has_more |= c->background[i].slice(c->background[i].arg);
    c->background_has_more |= has_more;
    return has_more;
}

/* ---- sleeping and waking ---- */

static void state_wake(struct core *c)
{
    struct shared_core_words *words = &shared_words.cores[c->id];
    for (uint32_t spins = 0;; spins++) {
        uint32_t expected = CORE_ASLEEP;
        if (atomic_compare_exchange_strong_explicit(&words->state, &expected, CORE_AWAKE,
                                                    memory_order_acq_rel, memory_order_acquire))
            break;
        ASSERT(expected == CORE_BORROWED);
        if (spins > 100)
            sched_yield(); /* the borrower may need this very processor */
    }
    c->is_sleeping = false;
    if (atomic_exchange_explicit(&words->bell, 0, memory_order_seq_cst) != 0)
        stats_add(&c->stats->doorbells_in, 1);
    else if (links_have_inbound(c))
        stats_add(&c->stats->late_wakes, 1);
}

static void go_to_sleep(struct core *c)
{
    uint64_t deadline = MIN(timers_next_us(c), c->now_us + SLEEP_US_MAX);
    if (c->links.overflow_count > 0)
        deadline = MIN(deadline, c->now_us + OVERFLOW_SLEEP_US);
    struct shared_core_words *words = &shared_words.cores[c->id];
    c->sleep_deadline_us = deadline;
    c->is_sleeping = true;
    atomic_store_explicit(&words->bell, 0, memory_order_seq_cst);
    atomic_store_explicit(&words->state, CORE_ASLEEP, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    if (links_have_inbound(c) || atomic_load(&shared_words.is_stopping)) {
        /* A borrower may have it already: the next turn wakes in order, at once, as if rung for. */
        c->sleep_deadline_us = c->now_us;
        atomic_store_explicit(&words->bell, 1, memory_order_seq_cst);
        return;
    }
    stats_add(&c->stats->sleeps, 1);
    backend_sleep(c, deadline);
}

/* ---- polling ---- */

static void poll_earned(struct core *c)
{
    c->poll_credit = MIN(c->poll_credit + 1, POLL_CREDIT_MAX);
    c->is_polling = false;
}

static bool poll_goes_on(struct core *c, bool is_busy)
{
    if (c->poll_credit > 0 && c->now_us - c->last_traffic_us < process.options.busy_poll_us) {
        c->is_polling |= !is_busy;
        return true;
    }
    if (c->is_polling)
        c->poll_credit--;
    c->is_polling = false;
    return false;
}

bool core_has_new_work(const struct core *c)
{
    return c->ready.ready_count > 0 || c->post_first != NULL || c->background_has_more ||
           c->links.overflow_count > 0 || timers_next_us(c) < c->sleep_deadline_us ||
           backend_has_unsubmitted(c);
}

void reactor_turn(struct core *c)
{
    bool has_slept = c->is_sleeping;
    if (has_slept)
        state_wake(c);
    uint64_t start_ns = backend_now_ns();
    c->now_us = start_ns / 1000;
    stats_add(&c->stats->loops, 1);
    bool was_traffic_recent = c->now_us - c->last_traffic_us < process.options.busy_poll_us;
    bool is_busy = backend_reap(c);
    if (links_drain(c)) {
        is_busy = true;
        if (c->is_polling || (has_slept && was_traffic_recent))
            poll_earned(c);
    }
    is_busy |= posts_run(c);
    is_busy |= fibers_run(c);
    is_busy |= timers_fire(c);
    is_busy |= background_run(c, c->ready.ready_count > 0);
    links_flush_overflow(c);
    links_ring_bells(c);
    bool has_more = c->ready.ready_count > 0 || c->post_first != NULL || c->background_has_more;
    if (is_busy) {
        uint64_t turn_ns = backend_now_ns() - start_ns;
        stats_add(&c->stats->busy_ns, turn_ns);
        stats_histogram_add(&c->stats->turn_ns, turn_ns);
    }
    if (has_more) {
        backend_submit(c);
        return;
    }
    if (poll_goes_on(c, is_busy)) {
        stats_add(&c->stats->spins, is_busy ? 0 : 1);
        backend_submit(c);
        return;
    }
    go_to_sleep(c);
}

/* ---- life of a core ---- */

static void reactor_stack_limits(struct core *c)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        if (pthread_attr_getstack(&attr, &low, &bytes) != 0)
            low = NULL;
        pthread_attr_destroy(&attr);
    }
    if (low == NULL) {
        low = (char *)__builtin_frame_address(0) - MIB(1);
        bytes = MIB(1);
    }
    /* The main thread's stack may be unlimited: then only its next 8 MiB count. */
    char *here = __builtin_frame_address(0);
    if ((size_t)(here - (char *)low) > MIB(16)) {
        size_t cut = (size_t)(here - (char *)low) - MIB(8);
        low = (char *)low + cut;
        bytes -= cut;
    }
    c->reactor_stack_low = low;
    c->reactor_stack_bytes = bytes;
}

#if CORE_TSAN
void *__tsan_get_current_fiber(void);
#endif

err_t core_start(struct core *c)
{
    runner = (struct runner){.core = c, .home = c};
    reactor_stack_limits(c);
#if CORE_TSAN
    c->reactor_tsan_fiber = __tsan_get_current_fiber();
#endif
    fibers_init(c, process.options.fiber_stack_bytes, process.options.fibers_per_core_max);
    backend_random_bytes(c->random_state, sizeof(c->random_state));
    c->random_state[0] |= 1;
    stall_watch_add_thread(c);
    TRY(backend_core_start(c));
    c->now_us = backend_now_ns() / 1000;
    return fiber_spawn(process.entry, process.entry_arg);
}

void core_end(struct core *c)
{
    runner = (struct runner){.core = c, .home = c};
    posts_drop(c);
    fibers_destroy(c);
    arena_pool_destroy(c);
    runner = (struct runner){0};
}

static void calibrate_ticks(void)
{
    struct timespec t0;
    struct timespec t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    uint64_t ticks = core_ticks();
    int64_t ns;
    do {
        clock_gettime(CLOCK_MONOTONIC, &t1);
        ns = (t1.tv_sec - t0.tv_sec) * 1000000000 + (t1.tv_nsec - t0.tv_nsec);
    } while (ns < CALIBRATION_NS);
    ticks = core_ticks() - ticks;
    process.ticks_per_us = MAX(ticks * 1000 / (uint64_t)ns, 1);
}

static void process_free(void)
{
    uint32_t n = process.core_count;
    links_destroy_all();
    for (uint32_t i = 0; i < n; i++) {
        free(process.cores[i]->stats);
        free(process.cores[i]);
        process.cores[i] = NULL;
    }
    process.core_count = 0;
}

static err_t process_init(const struct core_options *options)
{
    uint32_t n = options->core_count;
    process.options = *options;
    process.core_count = 0;
    uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    for (uint32_t i = 0; i < n; i++) {
        struct core *c = calloc(1, sizeof(*c));
        size_t page_bytes = sizeof(struct stats_page) + n * sizeof(struct stats_link);
        page_bytes = (page_bytes + 4095) / 4096 * 4096;
        struct stats_page *page = aligned_alloc(4096, page_bytes);
        if (c == NULL || page == NULL) {
            free(c);
            free(page);
            return err_raise(ERR_OUT_OF_MEMORY, "out of memory");
        }
        memset(page, 0, page_bytes);
        c->id = i;
        c->poll_credit = POLL_CREDIT_MAX / 2;
        c->cpu = options->cpus != NULL ? options->cpus[i] : -1;
        c->numa_node = options->numa_nodes != NULL ? options->numa_nodes[i] : -1;
        c->memory_budget_bytes = ram / 4 * 3 / n;
        page->core_id = i;
        page->cpu = c->cpu;
        page->numa_node = c->numa_node;
        c->stats = page;
        process.cores[i] = c;
        process.core_count = i + 1;
        struct shared_core_words *words = &shared_words.cores[i];
        atomic_store(&words->state, CORE_AWAKE);
        atomic_store(&words->bell, 0);
        atomic_store(&words->oldest_snapshot, UINT64_MAX);
    }
    return links_init_all();
}

err_t core_run(const struct core_options *options, void (*entry)(void *arg), void *arg)
{
    ASSERT(runner.core == NULL);
    if (options->core_count == 0 || options->core_count > CORE_COUNT_MAX)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "the number of core threads must be between 1 and %d", CORE_COUNT_MAX);
    process.entry = entry;
    process.entry_arg = arg;
    atomic_store(&shared_words.is_stopping, false);
    atomic_store(&shared_words.commit_counter, 0);
    atomic_store(&shared_words.transaction_counter, 0);
    if (process.ticks_per_us == 0)
        calibrate_ticks();
    process.slice_ticks = backend_is_simulated ? SLICE_US * 1000 : process.ticks_per_us * SLICE_US;
    process.heavy_slice_ticks = process.ticks_per_us * HEAVY_SLICE_US;
    process.arrival_check_ticks = process.ticks_per_us * ARRIVAL_CHECK_US;
    process.stall_ticks = process.ticks_per_us * options->stall_log_us;
    err_t e = process_init(options);
    if (e == ERR_OK) {
        stall_watch_start();
        e = backend_run();
        stall_watch_stop();
    }
    process_free();
    return e;
}

void core_stop_all(void)
{
    atomic_store(&shared_words.is_stopping, true);
    for (uint32_t i = 0; i < process.core_count; i++)
        backend_doorbell_outside(i);
}

void core_memory_budget_set(uint64_t bytes)
{
    core_self()->memory_budget_bytes = bytes;
}
