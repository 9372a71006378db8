/*
 * What the files of core share among themselves: struct core, struct fiber, the running context,
 * and the functions that the io backend (io_uring or simulated) provides.
 */
#ifndef CORE_CORE_PRIV_H
#define CORE_CORE_PRIV_H

#include "core/core.h"
#include "core/link.h"
#include "core/shared.h"
#include "core/stats.h"

struct backend; /* the io backend's part of a core */
struct timer_node;
struct arena_block;
struct local_post;

#if defined(__SANITIZE_ADDRESS__)
#define CORE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CORE_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define CORE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CORE_TSAN 1
#endif
#endif
#ifndef CORE_ASAN
#define CORE_ASAN 0
#endif
#ifndef CORE_TSAN
#define CORE_TSAN 0
#endif

/* ---- the running context, one per thread ---- */

struct runner {
    struct core *core;   /* as whom the code runs; NULL outside of core_run */
    struct core *home;   /* whose turn it is; differs from core while core is borrowed */
    struct fiber *fiber; /* NULL in the reactor */
    uint32_t nosuspend;
    bool is_big_stack;
};
extern __thread struct runner runner;

static inline bool runner_is_borrowing(void)
{
    return runner.core != runner.home;
}

/* ---- fibers ---- */

struct fiber {
    void *sp;
    struct fiber *next;     /* in the ready queue or the free list */
    struct fiber *all_next; /* every mapped fiber of the core */
    struct fiber *all_prev;
    struct core *core;
    void (*entry)(void *arg);
    void *arg;
    char *stack_low; /* lowest usable byte */
    size_t stack_bytes;
    void *map;
    size_t map_bytes;
    struct diag *diag;
    /* Set while it waits and may be interrupted: takes it out of what it waits for, makes it
     * ready. */
    void (*interrupt)(struct fiber *f);
    void *wait;
    err_t cancel_reason;
    char *cancel_message;
    uint32_t cancel_serial;
    uint32_t shield_depth;
    struct stats_trace *trace; /* of the request it serves; NULL */
    struct run_group *group;   /* whose share of the core it uses */
    uint64_t used_ticks;       /* of the core, for this request */
    bool is_heavy;             /* has used many slices */
    bool is_queued;            /* in the ready queue */
    bool is_done;
    void *asan_fake_stack;
    void *tsan_fiber;
};

/* ---- the run queue (run_queue.c) ---- */

enum { RUN_GROUP_BUCKETS = 256, RUN_SHARE_DEFAULT = 100 };

/* Ready fibers of a group that are quick, or heavy: first come, first served. */
struct run_class {
    struct fiber *first;
    struct fiber *last;
    uint64_t virtual_time;
    uint64_t turn;    /* when it was charged or joined last, as a count */
    uint32_t heap_at; /* place in the heap + 1; 0: nothing is ready */
    bool is_heavy;
};

struct run_group {
    struct run_group *next;
    uint64_t key; /* 0: the server's own work */
    uint32_t weight;
    uint32_t fiber_count; /* that belong to it, ready or not */
    struct run_class classes[2];
};

struct run_queue {
    struct run_class **heap; /* least virtual time first */
    uint32_t heap_count;
    uint32_t heap_room;
    uint32_t ready_count;
    uint32_t group_count;
    uint64_t clock; /* virtual time of what was taken last */
    uint64_t turn;
    struct run_group *groups[RUN_GROUP_BUCKETS];
};

/* The fiber, which runs or is new, belongs to that group from now on and has used nothing yet. */
void run_queue_join(struct run_queue *q, struct fiber *f, uint64_t key, uint32_t weight);
void run_queue_leave(struct run_queue *q, struct fiber *f);
void run_queue_put(struct run_queue *q, struct fiber *f);
/* The fiber that should run now; NULL: none is ready. */
struct fiber *run_queue_take(struct run_queue *q);
/* It ran for so long. */
void run_queue_charge(struct run_queue *q, struct fiber *f, uint64_t ticks);
void run_queue_destroy(struct run_queue *q);

/* ---- fibers ---- */

/* The one place where a fiber gives up its core. Somebody must have arranged fiber_make_ready(). */
SUSPENDS void fiber_suspend_wait(void);
void fiber_make_ready(struct fiber *f);
/* As fiber_spawn, but past the core's fiber limit (work for other cores' fibers), in a group. */
err_t fiber_spawn_unlimited(void (*entry)(void *arg), void *arg, uint64_t share_key, uint32_t share,
                            struct fiber **out);
/* Raises the pending cancel's error and returns it; 0 when there is none or the fiber is shielded.
 */
err_t fiber_cancel_check(struct fiber *f);
/* In the reactor: run the fibers that are ready now. True when there was one. */
bool fibers_run(struct core *c);
void fibers_init(struct core *c, uint32_t stack_bytes, uint32_t count_max);
void fibers_destroy(struct core *c);
/* err_raise inside *_wait functions on a borrowed core. */
COLD err_t err_would_suspend(void);

void fiber_switch(void **save_sp, void *load_sp);
void fiber_trampoline(void);

/* ---- a core ---- */

enum { BACKGROUND_COUNT_MAX = 32 };
struct background_slice {
    bool (*slice)(void *arg);
    void *arg;
};

enum { ARENA_CLASS_COUNT = 5 };

/* Only the running core touches any of this; a borrower counts as it. */
struct core {
    uint32_t id;
    int cpu;
    int numa_node;
    uint64_t now_us;

    struct run_queue ready;
    struct fiber *free_fibers;
    struct fiber *all_fibers;
    uint32_t free_fiber_count;
    uint32_t fiber_count;
    uint32_t fiber_count_max;
    uint32_t stack_count_max; /* of all cores */
    bool has_light_guards;
    uint32_t stack_bytes;
    void *reactor_sp;
    void *reactor_tsan_fiber;
    char *reactor_stack_low;
    size_t reactor_stack_bytes;
    void (*big_fn)(void *arg);
    void *big_arg;
    uint64_t slice_start; /* in ticks */
    uint64_t slice_check; /* until then nothing is looked at */
    uint64_t slice_end;
    uint32_t slice_rest_count; /* simulated: rests left in this slice */

    struct timer_node *timers; /* root of the heap */
    struct local_post *post_first;
    struct local_post *post_last;

    struct background_slice background[BACKGROUND_COUNT_MAX];
    uint32_t background_count;
    uint32_t background_next;
    uint64_t background_last_us;
    bool background_has_more;

    struct links links;
    uint64_t last_traffic_us;
    uint32_t poll_credit; /* above 0: polling has paid lately */
    bool is_polling;      /* has turned without work since the last traffic */
    bool is_sleeping;     /* its state word is not AWAKE */
    uint64_t sleep_deadline_us;

    uint64_t memory_budget_bytes;
    struct arena_block *free_blocks[ARENA_CLASS_COUNT];
    uint64_t pool_bytes;

    uint64_t random_state[4];
    struct stats_page *stats;
    struct backend *backend;
    _Atomic uint64_t *stall_word;
};

struct core_process {
    uint32_t core_count;
    struct core *cores[CORE_COUNT_MAX];
    struct core_options options;
    void (*entry)(void *arg);
    void *entry_arg;
    uint64_t ticks_per_us;
    uint64_t slice_ticks;
    uint64_t heavy_slice_ticks; /* after these a heavy fiber makes room for what has arrived */
    uint64_t arrival_check_ticks;
    uint64_t stall_ticks;
};
extern struct core_process process;

/* ---- time ---- */

/* The processor's cheapest steady counter. */
static inline uint64_t core_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t v;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
    return v;
#else
#error "no tick counter for this processor"
#endif
}

bool timers_fire(struct core *c);
uint64_t timers_next_us(const struct core *c); /* UINT64_MAX = none */

/* ---- reactor ---- */

/* Runs on the core's thread (io_uring) or in the one thread (simulator). */
err_t core_start(struct core *c);
void core_end(struct core *c);
/* One turn. With nothing to do the core's state word becomes ASLEEP and backend_sleep() is called.
 */
void reactor_turn(struct core *c);
/* Something was added for a core while it was borrowed: it must be woken on return. */
bool core_has_new_work(const struct core *c);
void call_message_arrived(struct core *c, const struct link_message *m);
bool posts_run(struct core *c);
void posts_drop(struct core *c);
void arena_pool_destroy(struct core *c);

/* ---- stall watch ---- */

void stall_watch_start(void);
void stall_watch_stop(void);
void stall_watch_add_thread(struct core *c);
COLD void stall_report(struct core *c, uint64_t slice_us);

/* ---- the io backend ---- */

extern const bool backend_is_simulated;
/* Starts the cores, returns when all have ended. */
err_t backend_run(void);
err_t backend_core_start(struct core *c);
void backend_core_end(struct core *c);
bool backend_reap(struct core *c);
void backend_submit(struct core *c);
/* Submits and waits for a completion, a doorbell, or deadline_us (UINT64_MAX = none). The simulated
 * one only takes note. */
void backend_sleep(struct core *c, uint64_t deadline_us);
/* Called as the home core. */
void backend_doorbell(struct core *from, uint32_t target);
/* Safe from any thread: wakes a core from outside (stop). */
void backend_doorbell_outside(uint32_t target);
bool backend_has_unsubmitted(const struct core *c);
/* Completions wait for the next turn (a hint, cheap). */
bool backend_has_arrivals(const struct core *c);
/* Room for a borrower's operations. */
bool backend_can_borrow(const struct core *c);
uint64_t backend_now_ns(void);
int64_t backend_wall_us(void);
void backend_random_bytes(void *out, size_t bytes);
/* Simulated: a fiber gives up its core here though its slice is not used up. */
bool backend_rests_early(void);

#endif
