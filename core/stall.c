/*
 * Stall watch. The reactor measures every slice itself and logs those above stall_log_us. To show
 * where a long one spends its time, a watcher thread looks at each core's slice word a few dozen
 * times a second; a slice that is still the same and too old gets a signal, whose handler (on its
 * own signal stack) prints the stack.
 */
#include "core/core_priv.h"

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_PERIOD_US_MIN = 20000, SIGNAL_STACK_BYTES = 64 * 1024 };

/* Access: w = the core writes, the watcher reads. */
struct stall_slot {
    _Alignas(CACHE_LINE_BYTES) _Atomic uint64_t slice; /* w: tick at the slice's start, 0 = none */
    pthread_t thread;
    _Atomic bool is_known;
};

static struct stall_slot slots[CORE_COUNT_MAX];
static pthread_t watcher;
static bool watcher_runs;
static _Atomic bool watcher_stop;

static void print_stack(int signal_number)
{
    (void)signal_number;
    static const char text[] = "stalled slice, stack of the core thread:\n";
    void *frames[48];
    int count = backtrace(frames, (int)ARRAY_LEN(frames));
    if (write(STDERR_FILENO, text, sizeof(text) - 1) > 0)
        backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

static void *watch(void *arg)
{
    (void)arg;
    uint64_t reported[CORE_COUNT_MAX] = {0};
    uint64_t period_us = MAX(process.options.stall_log_us, WATCH_PERIOD_US_MIN);
    struct timespec period = {.tv_sec = (time_t)(period_us / 1000000),
                              .tv_nsec = (long)(period_us % 1000000 * 1000)};
    while (!atomic_load(&watcher_stop)) {
        nanosleep(&period, NULL);
        uint64_t now = core_ticks();
        for (uint32_t i = 0; i < process.core_count; i++) {
            uint64_t slice = atomic_load_explicit(&slots[i].slice, memory_order_relaxed);
            if (slice == 0 || slice == reported[i] || now < slice ||
                now - slice < process.stall_ticks || !atomic_load(&slots[i].is_known))
                continue;
            reported[i] = slice;
            pthread_kill(slots[i].thread, SIGURG);
        }
    }
    return NULL;
}

void stall_watch_start(void)
{
    if (process.options.stall_log_us == 0 || backend_is_simulated)
        return;
    void *frames[4];
    (void)backtrace(frames, 4); /* loads the unwinder now, not in the handler */
    struct sigaction action = {.sa_handler = print_stack, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigaction(SIGURG, &action, NULL);
    atomic_store(&watcher_stop, false);
    watcher_runs = pthread_create(&watcher, NULL, watch, NULL) == 0;
}

void stall_watch_stop(void)
{
    for (uint32_t i = 0; i < CORE_COUNT_MAX; i++)
        atomic_store(&slots[i].is_known, false);
    if (!watcher_runs)
        return;
    watcher_runs = false;
    atomic_store(&watcher_stop, true);
    pthread_join(watcher, NULL);
}

void stall_watch_add_thread(struct core *c)
{
    if (process.options.stall_log_us == 0 || backend_is_simulated)
        return;
    /* A sanitizer has given the thread a signal stack already, and wants that one back at its end.
     */
    stack_t present;
    if (sigaltstack(NULL, &present) != 0)
        return;
    if ((present.ss_flags & SS_DISABLE) != 0) {
        static __thread char *signal_stack;
        if (signal_stack == NULL)
            signal_stack = malloc(SIGNAL_STACK_BYTES);
        if (signal_stack == NULL)
            return;
        stack_t stack = {.ss_sp = signal_stack, .ss_size = SIGNAL_STACK_BYTES};
        if (sigaltstack(&stack, NULL) != 0)
            return;
    }
    slots[c->id].thread = pthread_self();
    c->stall_word = &slots[c->id].slice;
    atomic_store(&slots[c->id].is_known, true);
}

void stall_report(struct core *c, uint64_t slice_us)
{
    stats_add(&c->stats->stalls, 1);
    log_write(LOG_LOG, "stall: a slice took %llu us", (unsigned long long)slice_us);
}
