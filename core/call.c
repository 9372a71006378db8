/*
 * Calls between cores. The call object lives with the caller (usually on its fiber's stack) and
 * comes back to it:
 *
 *     caller's core                      target core
 *       LINK_CALL         ─────────►       a fiber runs fn(arg)
 *       LINK_CANCEL       ─────────►       that fiber is cancelled, if it still runs
 *       (joined)          ◄─────────     LINK_REPLY
 *       (joined)          ◄─────────     LINK_CANCEL_ACK
 *
 * Every cancel is acknowledged, and a join waits for reply and acknowledgement, so no message can
 * name a call that is gone. Links keep order: a cancel cannot overtake its call.
 *
 * A short call borrows a sleeping target: its state word goes ASLEEP → BORROWED, fn runs here as
 * the target core, then BORROWED → ASLEEP; a doorbell follows when fn left work behind. The target,
 * when it wakes, waits for the end of the borrow. A core with messages in flight is not borrowed,
 * so a short call never overtakes an earlier message of the same sender.
 */
#include "core/core_priv.h"

#include <stdlib.h>

/* Access: o = the calling core, t = the target core, both = handed over by messages. */
struct call {
    core_fn fn;               /* both */
    void *arg;                /* both */
    struct diag *diag;        /* both: of a failed call; malloc'ed */
    struct fiber *joiner;     /* o */
    struct fiber *callee;     /* t: while it runs */
    struct call *next;        /* t: waits for a stack */
    uint32_t origin;          /* both */
    uint32_t target;          /* both */
    err_t result;             /* both */
    uint64_t share_key;       /* both: of the caller's fiber */
    uint32_t share;           /* both */
    uint32_t cancel_serial;   /* o: of the caller's mark that was passed on last */
    bool is_done;             /* o */
    bool is_cancel_in_flight; /* o */
    bool is_refused;          /* o: started on a borrowed core */
};
_Static_assert(sizeof(struct call) <= sizeof(struct core_call), "struct core_call has the room");

static void call_finished(struct call *call)
{
    ASSERT(!call->is_done);
    call->is_done = true;
    if (call->joiner != NULL && !call->is_cancel_in_flight)
        fiber_make_ready(call->joiner);
}

static void call_reply(struct call *call)
{
    if (call->origin == runner.core->id) {
        call_finished(call);
        return;
    }
    struct link_message m = {.kind = LINK_REPLY, .p = call};
    links_send(call->origin, &m);
}

static void call_run(void *arg)
{
    struct call *call = arg;
    struct fiber *f = runner.fiber;
    call->result = call->fn(call->arg);
    if (call->result != ERR_OK) {
        call->diag = f->diag; /* handed over */
        f->diag = NULL;
    }
    call->callee = NULL;
    call_reply(call);
}

static void call_begin(struct call *call)
{
    err_t e = fiber_spawn_unlimited(call_run, call, call->share_key, call->share, &call->callee);
    if (e == ERR_OK)
        return;
    call->result = e;
    call->diag = malloc(sizeof(*call->diag));
    if (call->diag != NULL)
        diag_copy(call->diag, err_diag());
    call_reply(call);
}

void core_call_start(struct core_call *public_call, uint32_t target, core_fn fn, void *arg)
{
    struct core *c = core_self();
    struct call *call = (struct call *)public_call;
    ASSERT(target < process.core_count);
    *call = (struct call){.fn = fn, .arg = arg, .origin = c->id, .target = target};
    const struct run_group *group = runner.fiber != NULL ? runner.fiber->group : NULL;
    call->share_key = group != NULL ? group->key : 0;
    call->share = group != NULL ? group->weight : RUN_SHARE_DEFAULT;
    stats_add(&c->stats->calls, 1);
    if (runner_is_borrowing()) {
        call->is_refused = true;
        call->is_done = true;
    } else if (target == c->id) {
        call_begin(call);
    } else {
        struct link_message m = {.kind = LINK_CALL, .p = call};
        links_send(target, &m);
    }
}

/* Pass the caller's mark on to the fiber that works for it. */
static void call_pass_cancel(struct fiber *f)
{
    struct call *call = f->wait;
    if (call->is_done || call->is_cancel_in_flight || f->shield_depth > 0)
        return;
    if (f->cancel_reason == ERR_OK || call->cancel_serial == f->cancel_serial)
        return;
    call->cancel_serial = f->cancel_serial;
    if (call->target == f->core->id) {
        if (call->callee != NULL)
            fiber_cancel(call->callee, f->cancel_reason, f->cancel_message);
        return;
    }
    char *message = strdup(f->cancel_message);
    ASSERT(message != NULL);
    call->is_cancel_in_flight = true;
    struct link_message m = {
        .kind = LINK_CANCEL, .code = (uint32_t)f->cancel_reason, .p = call, .q = message};
    links_send(call->target, &m);
}

err_t core_call_join_wait(struct core_call *public_call)
{
    struct call *call = (struct call *)public_call;
    struct fiber *f = runner.fiber;
    ASSERT(f != NULL);
    if (call->is_refused || runner_is_borrowing())
        return err_would_suspend();
    ASSERT(call->origin == f->core->id);
    uint64_t began_at = stats_clock();
    while (!call->is_done || call->is_cancel_in_flight) {
        call->joiner = f;
        f->wait = call;
        f->interrupt = call_pass_cancel;
        if (f->cancel_reason != ERR_OK)
            call_pass_cancel(f);
        fiber_suspend_wait();
        f->interrupt = NULL;
        f->wait = NULL;
        call->joiner = NULL;
    }
    stats_trace_add(STATS_STAGE_hop, began_at);
    err_t result = call->result;
    if (result == ERR_OK)
        return ERR_OK;
    if (call->diag != NULL && call->diag->code == result) {
        free(f->diag);
        f->diag = call->diag;
        call->diag = NULL;
        return result;
    }
    free(call->diag);
    call->diag = NULL;
    return err_raise(result, "call to core %u failed", call->target);
}

err_t core_call_wait(uint32_t target, core_fn fn, void *arg)
{
    if (target == core_id())
        return fn(arg);
    if (runner_is_borrowing())
        return err_would_suspend();
    struct core_call call;
    core_call_start(&call, target, fn, arg);
    return core_call_join_wait(&call);
}

/* ---- borrowing ---- */

static bool borrow_begin(struct core *target)
{
    struct shared_core_words *words = &shared_words.cores[target->id];
    if (atomic_load_explicit(&words->state, memory_order_relaxed) != CORE_ASLEEP ||
        atomic_load_explicit(&words->bell, memory_order_relaxed) != 0)
        return false;
    uint32_t expected = CORE_ASLEEP;
    if (!atomic_compare_exchange_strong_explicit(&words->state, &expected, CORE_BORROWED,
                                                 memory_order_acq_rel, memory_order_relaxed))
        return false;
    struct core *home = runner.home;
    if (!links_have_inbound(target) && home->links.overflow[target->id].first == NULL &&
        target->links.overflow_count == 0 && backend_can_borrow(target)) {
        runner.core = target;
        target->now_us = MAX(target->now_us, home->now_us);
        return true;
    }
    atomic_store_explicit(&words->state, CORE_ASLEEP, memory_order_release);
    return false;
}

static void borrow_end(struct core *target)
{
    struct core *home = runner.home;
    bool has_work = core_has_new_work(target);
    runner.core = home;
    struct shared_core_words *words = &shared_words.cores[target->id];
    atomic_store_explicit(&words->state, CORE_ASLEEP, memory_order_seq_cst);
    if (has_work && atomic_exchange_explicit(&words->bell, 1, memory_order_seq_cst) == 0) {
        home->links.bell_wanted[target->id / 64] |= (uint64_t)1 << target->id % 64;
        home->links.is_bell_wanted = true;
    }
}

err_t core_call_short_wait(uint32_t target_id, core_fn fn, void *arg)
{
    ASSERT(runner.fiber != NULL);
    ASSERT(target_id < process.core_count);
    if (target_id == core_id())
        return fn(arg);
    if (runner_is_borrowing())
        return err_would_suspend();
    struct core *target = process.cores[target_id];
    struct core *home = runner.home;
    if (borrow_begin(target)) {
        uint32_t nosuspend = runner.nosuspend;
        err_t e = fn(arg);
        ASSERT(runner.nosuspend == nosuspend);
        borrow_end(target);
        stats_add(&home->stats->borrows, 1);
        if (e != ERR_INTERNAL_WOULD_SUSPEND)
            return e;
    }
    stats_add(&home->stats->borrow_refusals, 1);
    return core_call_wait(target_id, fn, arg);
}

/* ---- posts and arrivals ---- */

struct local_post {
    struct local_post *next;
    void (*fn)(void *arg);
    void *arg;
};

void core_post(uint32_t target, void (*fn)(void *arg), void *arg)
{
    struct core *c = core_self();
    if (target != c->id) {
        struct link_message m = {.kind = LINK_POST, .fn = fn, .q = arg};
        links_send(target, &m);
        return;
    }
    struct local_post *post = malloc(sizeof(*post));
    ASSERT(post != NULL);
    *post = (struct local_post){.fn = fn, .arg = arg};
    if (c->post_last != NULL)
        c->post_last->next = post;
    else
        c->post_first = post;
    c->post_last = post;
}

bool posts_run(struct core *c)
{
    struct local_post *post = c->post_first; /* new ones wait for the next turn */
    c->post_first = c->post_last = NULL;
    bool any = post != NULL;
    while (post != NULL) {
        struct local_post *next = post->next;
        post->fn(post->arg);
        free(post);
        post = next;
    }
    return any;
}

void posts_drop(struct core *c)
{
    while (c->post_first != NULL) {
        struct local_post *next = c->post_first->next;
        free(c->post_first);
        c->post_first = next;
    }
    c->post_last = NULL;
}

void call_message_arrived(struct core *c, const struct link_message *m)
{
    struct call *call = m->p;
    switch ((enum link_kind)m->kind) {
    case LINK_CALL:
        call_begin(call);
        break;
    case LINK_REPLY:
        call_finished(call);
        break;
    case LINK_CANCEL: {
        if (call->callee != NULL)
            fiber_cancel(call->callee, (err_t)m->code, m->q);
        struct link_message ack = {.kind = LINK_CANCEL_ACK, .p = call, .q = m->q};
        links_send(call->origin, &ack);
        break;
    }
    case LINK_CANCEL_ACK:
        free(m->q);
        ASSERT(call->is_cancel_in_flight);
        call->is_cancel_in_flight = false;
        if (call->joiner != NULL) {
            if (call->is_done)
                fiber_make_ready(call->joiner);
            else
                call_pass_cancel(call->joiner); /* a newer mark, perhaps */
        }
        break;
    case LINK_POST:
        m->fn(m->q);
        break;
    }
    (void)c;
}
