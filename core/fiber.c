/*
 * Fibers: stackful, of one core for life, pooled with their stacks.
 *
 * A fiber's mapping, lowest address first: guard page | stack (grows down) | struct fiber. A switch
 * always goes between a fiber and its core's reactor. Foreign code that needs a deep stack runs on
 * the reactor's own stack: the fiber switches there with a request, and is switched back to.
 *
 * Invariant: a fiber that is suspended is in exactly one place that will make it ready: the ready
 * queue, a wait queue or timer, a call, or an io request.
 */
#include "core/core_priv.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if CORE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if CORE_TSAN
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void *__tsan_get_current_fiber(void);
#endif

enum {
    STACK_BYTES_DEFAULT = 64 * 1024,
    STACK_BYTES_SANITIZED = 1024 * 1024,
    /* Of all cores. A guard in the page table leaves neighbouring stacks one mapping; a protected
     * page makes it two per stack, and the kernel's default limit is 65530. A core begins nothing
     * new above half of them, or when three quarters are mapped: what is under way needs calls to
     * other cores. */
    STACKS_MAX = 524288,
    STACKS_MAX_PROTECTED = 31000,
    FREE_FIBERS_MAX = 1024,
    STACK_LEFT_MIN_BYTES = 8 * 1024,
    SIMULATED_RESTS_PER_SLICE = 64,
    HEAVY_SLICES = 2, /* of the core for one request, and it is a heavy one */
};

__thread struct runner runner;

static _Atomic uint32_t stacks_mapped; /* of all cores */

struct core *core_self(void)
{
    ASSERT(runner.core != NULL);
    return runner.core;
}

uint32_t core_id(void)
{
    ASSERT(runner.core != NULL);
    return runner.core->id;
}

uint32_t core_count(void)
{
    return process.core_count;
}

bool core_is_borrowed(void)
{
    return runner_is_borrowing();
}

struct fiber *fiber_self(void)
{
    return runner.fiber;
}

NO_SUSPEND_ANALYSIS void nosuspend_begin(void)
{
    runner.nosuspend++;
}

NO_SUSPEND_ANALYSIS void nosuspend_end(void)
{
    ASSERT(runner.nosuspend > 0);
    runner.nosuspend--;
}

/* ---- switching ---- */

static void enter_reactor(struct fiber *f, bool is_last)
{
    struct core *c = f->core;
#if CORE_ASAN
    __sanitizer_start_switch_fiber(is_last ? NULL : &f->asan_fake_stack, c->reactor_stack_low,
                                   c->reactor_stack_bytes);
#else
    (void)is_last;
#endif
#if CORE_TSAN
    __tsan_switch_to_fiber(c->reactor_tsan_fiber, 0);
#endif
    fiber_switch(&f->sp, c->reactor_sp);
#if CORE_ASAN
    __sanitizer_finish_switch_fiber(f->asan_fake_stack, NULL, NULL);
#endif
}

static void enter_fiber(struct core *c, struct fiber *f)
{
#if CORE_ASAN
    void *fake_stack = NULL;
    __sanitizer_start_switch_fiber(&fake_stack, f->stack_low, f->stack_bytes);
#endif
#if CORE_TSAN
    __tsan_switch_to_fiber(f->tsan_fiber, 0);
#endif
    fiber_switch(&c->reactor_sp, f->sp);
#if CORE_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

/* The first function on every new stack, called by fiber_trampoline. */
NORETURN void fiber_main(void);
void fiber_main(void)
{
    struct fiber *f = runner.fiber;
#if CORE_ASAN
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
    f->entry(f->arg);
    ASSERT(runner.nosuspend == 0);
    f->is_done = true;
    enter_reactor(f, true);
    __builtin_unreachable();
}

void fiber_suspend_wait(void)
{
    struct fiber *f = runner.fiber;
    ASSERT(f != NULL);
    ASSERT(runner.nosuspend == 0);
    ASSERT(!runner.is_big_stack);
    ASSERT(!runner_is_borrowing());
    enter_reactor(f, false);
}

void fiber_make_ready(struct fiber *f)
{
    struct core *c = f->core;
    ASSERT(c == runner.core);
    ASSERT(!f->is_queued);
    f->is_queued = true;
    run_queue_put(&c->ready, f);
}

/* What a slice counts as: its ticks; under simulation its rests, so that a seed replays. */
static uint64_t slice_used(const struct core *c, uint64_t ticks)
{
    if (!backend_is_simulated)
        return ticks;
    uint32_t left = c->slice_rest_count;
    if (left > SIMULATED_RESTS_PER_SLICE)
        left = 0; /* counted past its end */
    return 1 + (SIMULATED_RESTS_PER_SLICE - left) * process.slice_ticks / SIMULATED_RESTS_PER_SLICE;
}

static void run_one(struct core *c, struct fiber *f)
{
    runner.fiber = f;
    uint64_t start = core_ticks();
    c->slice_start = start;
    c->slice_end = start + process.slice_ticks;
    c->slice_check = f->is_heavy ? start + process.heavy_slice_ticks : c->slice_end;
    c->slice_rest_count = SIMULATED_RESTS_PER_SLICE;
    if (c->stall_word != NULL)
        atomic_store_explicit(c->stall_word, start, memory_order_relaxed);
    for (;;) {
        enter_fiber(c, f);
        if (LIKELY(c->big_fn == NULL))
            break;
        void (*fn)(void *arg) = c->big_fn;
        c->big_fn = NULL;
        runner.is_big_stack = true;
        fn(c->big_arg);
        runner.is_big_stack = false;
    }
    runner.fiber = NULL;
    uint64_t ticks = core_ticks() - start;
    if (c->stall_word != NULL) {
        atomic_store_explicit(c->stall_word, 0, memory_order_relaxed);
        if (UNLIKELY(ticks > process.stall_ticks))
            stall_report(c, ticks / process.ticks_per_us);
    }
    ticks = slice_used(c, ticks);
    f->used_ticks += ticks;
    if (!f->is_queued)
        f->is_heavy = f->used_ticks > process.slice_ticks * HEAVY_SLICES;
    run_queue_charge(&c->ready, f, ticks);
}

void core_on_big_stack(void (*fn)(void *arg), void *arg)
{
    struct fiber *f = runner.fiber;
    if (f == NULL || runner.is_big_stack) {
        fn(arg);
        return;
    }
    struct core *c = runner.home;
    ASSERT(f->core == c);
    uint32_t nosuspend = runner.nosuspend;
    c->big_arg = arg;
    c->big_fn = fn;
    enter_reactor(f, false);
    ASSERT(runner.nosuspend == nosuspend);
}

/* ---- life ---- */

static void fiber_unmap(struct core *c, struct fiber *f)
{
#if CORE_TSAN
    __tsan_destroy_fiber(f->tsan_fiber);
#endif
    if (f->all_prev != NULL)
        f->all_prev->all_next = f->all_next;
    else
        c->all_fibers = f->all_next;
    if (f->all_next != NULL)
        f->all_next->all_prev = f->all_prev;
    void *map = f->map;
    size_t bytes = f->map_bytes;
#if CORE_ASAN
    ASAN_UNPOISON_MEMORY_REGION(map, bytes);
#endif
    munmap(map, bytes);
    atomic_fetch_sub_explicit(&stacks_mapped, 1, memory_order_relaxed);
    stats_sub(&c->stats->fiber_stacks, 1);
}

/* A page that faults, in the page table alone (Linux 6.13). */
static bool guard_install(char *page_start, size_t page)
{
#ifndef MADV_GUARD_INSTALL
    enum { MADV_GUARD_INSTALL = 102 };
#endif
    return madvise(page_start, page, MADV_GUARD_INSTALL) == 0;
}

static char *stack_map(size_t bytes)
{
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}

static bool guards_are_light(size_t page)
{
    char *map = stack_map(page);
    bool is_light = map != NULL && guard_install(map, page);
    if (map != NULL)
        munmap(map, page);
    return is_light;
}

/* NULL at the limit of stacks: beyond it malloc would fail too, and that is the end of the process.
 */
static struct fiber *fiber_map(struct core *c)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = page + c->stack_bytes;
    if (atomic_fetch_add_explicit(&stacks_mapped, 1, memory_order_relaxed) >= c->stack_count_max) {
        atomic_fetch_sub_explicit(&stacks_mapped, 1, memory_order_relaxed);
        return NULL;
    }
    char *map = stack_map(bytes);
    if (map == NULL ||
        !(c->has_light_guards ? guard_install(map, page) : mprotect(map, page, PROT_NONE) == 0)) {
        if (map != NULL)
            munmap(map, bytes);
        atomic_fetch_sub_explicit(&stacks_mapped, 1, memory_order_relaxed);
        return NULL;
    }
    size_t fiber_bytes = (sizeof(struct fiber) + 63) & ~(size_t)63;
    struct fiber *f = (struct fiber *)(void *)(map + bytes - fiber_bytes);
    *f = (struct fiber){
        .core = c,
        .map = map,
        .map_bytes = bytes,
        .stack_low = map + page,
        .stack_bytes = c->stack_bytes - fiber_bytes,
    };
#if CORE_TSAN
    f->tsan_fiber = __tsan_create_fiber(0);
#endif
    f->all_next = c->all_fibers;
    if (f->all_next != NULL)
        f->all_next->all_prev = f;
    c->all_fibers = f;
    stats_add(&c->stats->fiber_stacks, 1);
    return f;
}

/* A stack that looks as if fiber_switch had been called from fiber_trampoline's first instruction.
 */
static void fiber_prepare_stack(struct fiber *f)
{
    uint64_t *top = (uint64_t *)(void *)(f->stack_low + f->stack_bytes);
#if CORE_ASAN
    ASAN_UNPOISON_MEMORY_REGION(f->stack_low, f->stack_bytes);
#endif
#if defined(__x86_64__)
    top -= 2; /* the trampoline's call then leaves the stack as the ABI wants it */
    top[0] = 0;
    top[1] = 0;
    top -= 1;
    top[0] = (uint64_t)(uintptr_t)fiber_trampoline;
    for (int i = 0; i < 6; i++)
        *--top = 0;
#else
    top -= 20;
    memset(top, 0, 160);
    top[11] = (uint64_t)(uintptr_t)fiber_trampoline; /* x30 */
#endif
    f->sp = top;
}

static struct fiber *fiber_new(struct core *c, void (*entry)(void *arg), void *arg,
                               uint64_t share_key, uint32_t share)
{
    struct fiber *f = c->free_fibers;
    if (f != NULL) {
        c->free_fibers = f->next;
        c->free_fiber_count--;
    } else {
        f = fiber_map(c);
        if (f == NULL)
            return NULL;
    }
    f->next = NULL;
    f->entry = entry;
    f->arg = arg;
    f->interrupt = NULL;
    f->wait = NULL;
    f->shield_depth = 0;
    f->trace = NULL;
    f->is_done = false;
    run_queue_join(&c->ready, f, share_key, share);
    fiber_prepare_stack(f);
    c->fiber_count++;
    stats_add(&c->stats->fibers, 1);
    stats_add(&c->stats->fibers_started, 1);
    return f;
}

static void fiber_recycle(struct core *c, struct fiber *f)
{
    run_queue_leave(&c->ready, f);
    free(f->diag);
    f->diag = NULL;
    free(f->cancel_message);
    f->cancel_message = NULL;
    f->cancel_reason = ERR_OK;
    c->fiber_count--;
    stats_sub(&c->stats->fibers, 1);
    if (c->free_fiber_count >= FREE_FIBERS_MAX) {
        fiber_unmap(c, f);
        return;
    }
    f->next = c->free_fibers;
    c->free_fibers = f;
    c->free_fiber_count++;
}

err_t fiber_spawn_unlimited(void (*entry)(void *arg), void *arg, uint64_t share_key, uint32_t share,
                            struct fiber **out)
{
    struct core *c = core_self();
    struct fiber *f = fiber_new(c, entry, arg, share_key, share);
    if (f == NULL) {
        *out = NULL;
        return err_raise(ERR_INSUFFICIENT_RESOURCES, "too many active requests");
    }
    *out = f;
    fiber_make_ready(f);
    return ERR_OK;
}

err_t fiber_spawn_past_limit(void (*entry)(void *arg), void *arg)
{
    struct fiber *f;
    return fiber_spawn_unlimited(entry, arg, 0, RUN_SHARE_DEFAULT, &f);
}

err_t fiber_spawn(void (*entry)(void *arg), void *arg)
{
    struct core *c = core_self();
    uint32_t mapped = atomic_load_explicit(&stacks_mapped, memory_order_relaxed);
    if (c->fiber_count >= c->fiber_count_max ||
        (c->free_fibers == NULL && mapped >= c->stack_count_max / 4 * 3))
        return err_raise(ERR_INSUFFICIENT_RESOURCES, "too many active requests on core %u", c->id);
    return fiber_spawn_past_limit(entry, arg);
}

void fibers_init(struct core *c, uint32_t stack_bytes, uint32_t count_max)
{
    if (stack_bytes == 0)
        stack_bytes = CORE_ASAN || CORE_TSAN ? STACK_BYTES_SANITIZED : STACK_BYTES_DEFAULT;
    uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
    c->stack_bytes = (stack_bytes + page - 1) / page * page;
    c->has_light_guards = guards_are_light(page);
    c->stack_count_max = c->has_light_guards ? STACKS_MAX : STACKS_MAX_PROTECTED;
    c->fiber_count_max = count_max != 0 ? count_max : c->stack_count_max / 2;
}

/* At the end of the process, or of a simulated one: fibers that still wait are dropped as they are.
 */
void fibers_destroy(struct core *c)
{
    c->free_fibers = NULL;
    while (c->all_fibers != NULL) {
        struct fiber *f = c->all_fibers;
        free(f->diag); /* NOLINT: fiber_unmap takes f off the list */
        free(f->cancel_message);
        fiber_unmap(c, f);
    }
    run_queue_destroy(&c->ready);
}

/* As many as are ready now; after a heavy one what has arrived comes first. */
bool fibers_run(struct core *c)
{
    uint32_t left = c->ready.ready_count;
    if (left == 0)
        return false;
    bool was_heavy = false;
    while (left-- > 0 && !was_heavy) {
        struct fiber *f = run_queue_take(&c->ready);
        f->is_queued = false;
        was_heavy = f->is_heavy;
        run_one(c, f);
        stats_add(&c->stats->switches, 1);
        if (f->is_done)
            fiber_recycle(c, f);
        if (c->links.is_bell_wanted)
            links_ring_bells(c);
    }
    return true;
}

/* ---- yielding and cancelling ---- */

void fiber_yield_wait(void)
{
    ASSERT(runner.fiber != NULL);
    ASSERT(!runner_is_borrowing());
    fiber_make_ready(runner.fiber);
    fiber_suspend_wait();
}

void fiber_share(uint64_t key, uint32_t share)
{
    struct fiber *f = runner.fiber;
    ASSERT(f != NULL);
    ASSERT(!runner_is_borrowing());
    run_queue_join(&f->core->ready, f, key, share);
}

err_t fiber_cancel_check(struct fiber *f)
{
    if (LIKELY(f->cancel_reason == ERR_OK) || f->shield_depth > 0)
        return ERR_OK;
    return err_raise(f->cancel_reason, "%s", f->cancel_message);
}

/* A quick fiber has its slice; a heavy one less when something has arrived meanwhile. */
static bool slice_is_over(struct core *c, const struct fiber *f, uint64_t now)
{
    if (now >= c->slice_end)
        return true;
    if (f->is_heavy && (backend_has_arrivals(c) || links_have_inbound(c)))
        return true;
    c->slice_check = MIN(now + process.arrival_check_ticks, c->slice_end);
    return false;
}

err_t fiber_rest_wait(void)
{
    struct fiber *f = runner.fiber;
    ASSERT(f != NULL);
    if (UNLIKELY(f->cancel_reason != ERR_OK) && f->shield_depth == 0)
        return fiber_cancel_check(f);
    if (runner_is_borrowing() || runner.is_big_stack)
        return ERR_OK;
    struct core *c = f->core;
#ifdef PERCORE_SLOW_CHECKS
    if (!backend_is_simulated && core_random_u64() % 4 == 0)
        c->slice_check = c->slice_end =
            0; /* suspend where it is legal, not only where it is needed */
#endif
    if (backend_is_simulated) {
        if (c->slice_rest_count-- > 0 && !backend_rests_early())
            return ERR_OK;
    } else {
        uint64_t now = core_ticks();
        if (LIKELY(now < c->slice_check) || !slice_is_over(c, f, now))
            return ERR_OK;
    }
    uint64_t used = f->used_ticks + slice_used(c, core_ticks() - c->slice_start);
    f->is_heavy = used > process.slice_ticks * HEAVY_SLICES;
    fiber_yield_wait();
    return fiber_cancel_check(f);
}

void fiber_cancel(struct fiber *f, err_t reason, const char *message)
{
    ASSERT(f->core == runner.core);
    ASSERT(reason != ERR_OK);
    char *copy = strdup(message);
    ASSERT(copy != NULL);
    free(f->cancel_message);
    f->cancel_message = copy;
    f->cancel_reason = reason;
    f->cancel_serial++;
    if (f->interrupt != NULL && f->shield_depth == 0)
        f->interrupt(f);
}

void fiber_cancel_clear(void)
{
    struct fiber *f = runner.fiber;
    ASSERT(f != NULL);
    free(f->cancel_message);
    f->cancel_message = NULL;
    f->cancel_reason = ERR_OK;
}

void fiber_shield_begin(void)
{
    ASSERT(runner.fiber != NULL);
    runner.fiber->shield_depth++;
}

void fiber_shield_end(void)
{
    ASSERT(runner.fiber != NULL);
    ASSERT(runner.fiber->shield_depth > 0);
    runner.fiber->shield_depth--;
}

/* ---- stack limits ---- */

size_t fiber_stack_left(void)
{
    char *here = __builtin_frame_address(0);
    char *low;
    if (runner.fiber != NULL && !runner.is_big_stack)
        low = runner.fiber->stack_low;
    else if (runner.home != NULL)
        low = runner.home->reactor_stack_low;
    else
        return MIB(1); /* a thread of its own: main, tools */
    ASSERT(here >= low);
    return (size_t)(here - low);
}

err_t fiber_check_stack(void)
{
    if (LIKELY(fiber_stack_left() >= STACK_LEFT_MIN_BYTES))
        return ERR_OK;
    return err_raise(ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
}
