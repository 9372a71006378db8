/*
 * Wait queues and sleeping. An entry lives on the waiting fiber's stack. Whoever takes an entry out
 * of its queue (a wake, the timeout, a cancel) writes the outcome and makes the fiber ready, so
 * each wait has exactly one outcome: a wake that was given is never lost to a cancel that came
 * later.
 */
#include "core/core_priv.h"

enum wait_outcome { WAIT_PENDING, WAIT_WOKEN, WAIT_TIMED_OUT, WAIT_INTERRUPTED };

struct wait_entry {
    struct wait_entry *next;
    struct wait_entry *prev;
    struct wait_queue *queue; /* NULL for a plain sleep */
    struct fiber *fiber;
    enum wait_outcome outcome;
    struct timer timer;
};

static void entry_finish(struct wait_entry *e, enum wait_outcome outcome)
{
    ASSERT(e->outcome == WAIT_PENDING);
    struct wait_queue *q = e->queue;
    if (q != NULL) {
        if (e->prev != NULL)
            e->prev->next = e->next;
        else
            q->first = e->next;
        if (e->next != NULL)
            e->next->prev = e->prev;
        else
            q->last = e->prev;
    }
    e->outcome = outcome;
    e->fiber->interrupt = NULL;
    timer_stop(&e->timer);
    fiber_make_ready(e->fiber);
}

static void entry_time_out(void *arg)
{
    entry_finish(arg, WAIT_TIMED_OUT);
}

static void entry_interrupt(struct fiber *f)
{
    entry_finish(f->wait, WAIT_INTERRUPTED);
}

static void entry_enqueue(struct wait_entry *e, struct wait_queue *q)
{
    e->queue = q;
    e->prev = q->last;
    if (q->last != NULL)
        q->last->next = e;
    else
        q->first = e;
    q->last = e;
}

SUSPENDS static enum wait_outcome entry_wait(struct wait_entry *e, uint64_t deadline_us,
                                             bool may_interrupt)
{
    struct fiber *f = e->fiber;
    if (deadline_us != UINT64_MAX)
        timer_start(&e->timer, deadline_us, entry_time_out, e);
    f->wait = e;
    f->interrupt = may_interrupt ? entry_interrupt : NULL;
    fiber_suspend_wait();
    f->wait = NULL;
    ASSERT(e->outcome != WAIT_PENDING);
    return e->outcome;
}

err_t wait_queue_wait(struct wait_queue *q, uint64_t deadline_us)
{
    if (runner_is_borrowing())
        return err_would_suspend();
    struct fiber *f = runner.fiber;
    ASSERT(f != NULL);
    TRY(fiber_cancel_check(f));
    struct wait_entry e = {.fiber = f};
    entry_enqueue(&e, q);
    switch (entry_wait(&e, deadline_us, true)) {
    case WAIT_WOKEN:
        return ERR_OK;
    case WAIT_TIMED_OUT:
        return err_raise(ERR_INTERNAL_TIMEOUT, "wait timed out");
    default:
        return fiber_cancel_check(f);
    }
}

void wait_queue_shielded_wait(struct wait_queue *q)
{
    struct wait_entry e = {.fiber = runner.fiber};
    ASSERT(e.fiber != NULL);
    ASSERT(!runner_is_borrowing());
    entry_enqueue(&e, q);
    (void)entry_wait(&e, UINT64_MAX, false);
}

bool wait_queue_wake_one(struct wait_queue *q)
{
    if (q->first == NULL)
        return false;
    entry_finish(q->first, WAIT_WOKEN);
    return true;
}

void wait_queue_wake_all(struct wait_queue *q)
{
    while (wait_queue_wake_one(q)) {
    }
}

bool wait_queue_is_empty(const struct wait_queue *q)
{
    return q->first == NULL;
}

err_t fiber_sleep_wait(uint64_t microseconds)
{
    if (runner_is_borrowing())
        return err_would_suspend();
    struct fiber *f = runner.fiber;
    ASSERT(f != NULL);
    TRY(fiber_cancel_check(f));
    uint64_t deadline;
    if (ckd_add_u64(&deadline, backend_now_ns() / 1000, microseconds))
        deadline = UINT64_MAX - 1;
    struct wait_entry e = {.fiber = f};
    if (entry_wait(&e, deadline, true) == WAIT_INTERRUPTED)
        return fiber_cancel_check(f);
    return ERR_OK;
}
