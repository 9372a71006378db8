/*
 * The per-core runtime: reactor, fibers, calls between cores, waiting, timers.
 *
 * One reactor thread per core. Work runs in fibers, which never change core and give up the core
 * only in *_wait functions. In the simulator several cores share one thread, and a sleeping core's
 * shards may be lent (core_call_short_wait), so code asks core_self(), never its thread.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "core/arena.h"
#include "core/err.h"

enum { CORE_COUNT_MAX = 256 };

struct core;
struct core *core_self(void); /* asserts that there is one */
uint32_t core_id(void);
uint32_t core_count(void);

/* ---- fibers ---- */

struct fiber;
struct fiber *fiber_self(void); /* NULL in the reactor itself */

/* Start a fiber on this core; it runs in a later step of the reactor, with its own diagnostics.
 * ERR_INSUFFICIENT_RESOURCES when the core's fiber limit is reached. entry is SUSPENDS. */
err_t fiber_spawn(void (*entry)(void *arg), void *arg);
/* As fiber_spawn, but past the core's limit, up to that of the process: for work that others wait
 * for. */
err_t fiber_spawn_past_limit(void (*entry)(void *arg), void *arg);
/* Whose share of the core the running fiber uses from now on, for a request that begins: key is any
 * number but 0 (the server's own work), share its weight, above 0. Fibers of one key share what is
 * theirs; a call to another core takes both along. */
void fiber_share(uint64_t key, uint32_t share);
SUSPENDS void fiber_yield_wait(void);
/* In loops over rows: yields when the slice is used up; ERR_QUERY_CANCELED etc. when cancelled. */
SUSPENDS err_t fiber_rest_wait(void);
/* Sleep; interruptible. */
SUSPENDS err_t fiber_sleep_wait(uint64_t microseconds);

/*
 * Cancellation. fiber_cancel() marks the fiber and wakes it from an interruptible wait, which
 * returns reason (with message). A fiber that waits in core_call_join_wait passes the mark on to
 * the fiber that works for it on the other core. fiber_rest_wait() also returns it. The mark stays
 * until fiber_cancel_clear(). Same core only.
 */
void fiber_cancel(struct fiber *f, err_t reason, const char *message);
void fiber_cancel_clear(void); /* own */
/* Between the two, interruptible waits are not interrupted (commit, rollback, cleanup). They nest.
 */
void fiber_shield_begin(void);
void fiber_shield_end(void);

/* Run fn(arg) on the core's big stack (8 MiB), for deep foreign code; fn cannot suspend. */
void core_on_big_stack(void (*fn)(void *arg), void *arg);
/* Run fn(arg) on the core's helper thread (password hashing, blocking foreign calls); the fiber
 * waits, not interruptible. fn must not use anything of the core. */
SUSPENDS err_t core_helper_wait(void (*fn)(void *arg), void *arg);
/* Bytes left on the running stack, for recursion limits. */
size_t fiber_stack_left(void);
/* ERR_STATEMENT_TOO_COMPLEX "stack depth limit exceeded" when less than 8 KiB is left. */
err_t fiber_check_stack(void);

/* ---- waiting on this core ---- */

/* FIFO queue of waiting fibers of one core. Zero-initialised = empty. */
struct wait_queue {
    struct wait_entry *first;
    struct wait_entry *last;
};
/* Interruptible: 0 when woken, the cancel reason, or ERR_INTERNAL_TIMEOUT at deadline_us
 * (core_now_us clock; UINT64_MAX = never). */
SUSPENDS err_t wait_queue_wait(struct wait_queue *q, uint64_t deadline_us);
/* Not interruptible. */
SUSPENDS void wait_queue_shielded_wait(struct wait_queue *q);
bool wait_queue_wake_one(struct wait_queue *q); /* false when empty */
void wait_queue_wake_all(struct wait_queue *q);
bool wait_queue_is_empty(const struct wait_queue *q);

/* ---- other cores ---- */

/* Runs on the target core in a fiber of its own; may suspend. arg stays owned by the caller, who
 * must not touch it until the call has been joined. An error's diagnostics come back with it. */
typedef err_t (*core_fn)(void *arg);

struct core_call {
    uint64_t private_words[16];
};
/* Never fails and never blocks; target may be this core (then it runs in a fiber here). */
void core_call_start(struct core_call *call, uint32_t target, core_fn fn, void *arg);
/* Always waits for the reply; a cancel of this fiber is passed on to the callee. */
SUSPENDS err_t core_call_join_wait(struct core_call *call);
/* start + join; on this core fn runs directly in the running fiber. */
SUSPENDS err_t core_call_wait(uint32_t target, core_fn fn, void *arg);
/* As core_call_wait, for work that normally does not suspend: where the target core sleeps, its
 * state word is borrowed and fn runs here at once, as the target core (core_self() is the target).
 * A suspension point reached then returns ERR_INTERNAL_WOULD_SUSPEND from the *_wait function; fn
 * undoes what it did and returns that, and the call is made again by message. */
SUSPENDS err_t core_call_short_wait(uint32_t target, core_fn fn, void *arg);
/* True while the running code works on a borrowed core: nothing may suspend. */
bool core_is_borrowed(void);

/* One way: fn(arg) runs on the target in its reactor, may not suspend, soon. arg is handed over. */
void core_post(uint32_t target, void (*fn)(void *arg), void *arg);

/* ---- time and randomness, through the seam ---- */

uint64_t core_now_us(void);         /* monotonic, cached once per reactor turn */
uint64_t core_now_precise_ns(void); /* monotonic, read now */
int64_t core_wall_us(void);         /* microseconds since 1970-01-01 UTC */
uint64_t core_random_u64(void);
/* Chooses the unusual of two ways that are both right. Only in the simulation, as its seed says;
 * elsewhere always false. Not for hot paths. */
bool core_varies(void);
void core_random_bytes(void *out, size_t bytes); /* from the kernel's generator */

struct timer {
    uint64_t private_words[6];
};
/* Runs fire(arg) in the reactor (may not suspend) at or soon after deadline_us. A timer must be
 * zeroed before its first use; starting a running one moves it. */
void timer_start(struct timer *t, uint64_t deadline_us, void (*fire)(void *arg), void *arg);
void timer_stop(struct timer *t); /* fine when not running */

/* ---- background work ---- */

/* Called once per reactor turn when there is time; returns true while it has more to do. */
void core_add_background(bool (*slice)(void *arg), void *arg);
/* There is background work again (a slice that returned false is not called until the core has had
 * something else to do). */
void core_background_wake(void);
/* What this core's arenas and core_malloc may hold before *_try allocations fail. Default: its
 * share of three quarters of the machine. */
void core_memory_budget_set(uint64_t bytes);

/* ---- process ---- */

struct core_options {
    uint32_t core_count;
    const int *cpus;       /* core_count entries, -1 = do not pin */
    const int *numa_nodes; /* core_count entries, -1 = any */
    uint32_t busy_poll_us;
    uint32_t stall_log_us;
    uint32_t fiber_stack_bytes;   /* 0 = 64 KiB (more under a sanitizer) */
    uint32_t fibers_per_core_max; /* 0 = default */
    bool force_eventfd;           /* doorbells for tests */
    void (*running)(void); /* on the calling thread, when the core threads run; may be NULL */
};
/* Start the core threads; entry(arg) runs in a fiber on every core. Returns when core_stop_all()
 * was called and all cores ended. */
err_t core_run(const struct core_options *options, void (*entry)(void *arg), void *arg);
void core_stop_all(void);

/* Server log line to stderr: "2026-11-21 10:00:00.000 UTC [core 1] LOG:  text". */
enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_NOTICE,
    LOG_WARNING,
    LOG_ERROR,
    LOG_LOG,
    LOG_FATAL,
    LOG_PANIC
};
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
void log_diag(enum log_level level, const struct diag *d);

#endif
