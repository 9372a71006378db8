/*
 * A helper thread per core, started when needed and gone after IDLE_NS without work: blocking calls
 * that io_uring does not have (reading directories, truncating), long pure work (password hashing),
 * and durable writes on machines whose scheduler would keep the kernel's write workers waiting.
 */
#include "core/io_uring_priv.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

enum { IDLE_NS = 1000000000 };

/* Under the mutex. False: nothing has come for so long. */
static bool helper_has_work(struct helper *h)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_NS / 1000000000;
    until.tv_nsec += IDLE_NS % 1000000000;
    int r = 0;
    while (h->first == NULL && !h->is_stopping && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&h->has_work, &h->mutex, &until);
    return h->first != NULL;
}

static void *helper_main(void *arg)
{
    struct backend *b = arg;
    struct helper *h = &b->helper;
    pthread_mutex_lock(&h->mutex);
    while (helper_has_work(h)) {
        struct helper_work *w = h->first;
        h->first = w->next;
        if (h->first == NULL)
            h->last = NULL;
        pthread_mutex_unlock(&h->mutex);
        w->run(w);
        pthread_mutex_lock(&h->mutex);
        w->next = h->done;
        h->done = w;
        atomic_store_explicit(&h->has_done, true, memory_order_release);
        uint64_t one = 1;
        if (write(b->bell_fd, &one, sizeof(one)) < 0)
            continue; /* the counter is full: the bell rings already */
    }
    h->is_working = false;
    pthread_mutex_unlock(&h->mutex);
    return NULL;
}

err_t helper_init(struct backend *b)
{
    pthread_mutex_init(&b->helper.mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->helper.has_work, &attr);
    pthread_condattr_destroy(&attr);
    return ERR_OK;
}

void helper_destroy(struct backend *b)
{
    struct helper *h = &b->helper;
    if (h->has_thread) {
        pthread_mutex_lock(&h->mutex);
        h->is_stopping = true;
        pthread_cond_signal(&h->has_work);
        pthread_mutex_unlock(&h->mutex);
        pthread_join(h->thread, NULL);
        h->has_thread = false;
    }
    pthread_cond_destroy(&h->has_work);
    pthread_mutex_destroy(&h->mutex);
}

void helper_start(struct backend *b, struct helper_work *w)
{
    struct helper *h = &b->helper;
    w->next = NULL;
    pthread_mutex_lock(&h->mutex);
    if (h->last != NULL)
        h->last->next = w;
    else
        h->first = w;
    h->last = w;
    bool is_working = h->is_working;
    h->is_working = true;
    pthread_cond_signal(&h->has_work);
    pthread_mutex_unlock(&h->mutex);
    if (is_working)
        return;
    if (h->has_thread)
        pthread_join(h->thread, NULL); /* it is past its last work */
    int r = pthread_create(&h->thread, NULL, helper_main, b);
    ASSERT(r == 0);
    h->has_thread = true;
}

bool helper_reap(struct backend *b)
{
    struct helper *h = &b->helper;
    pthread_mutex_lock(&h->mutex);
    struct helper_work *newest = h->done;
    h->done = NULL;
    atomic_store_explicit(&h->has_done, false, memory_order_relaxed);
    pthread_mutex_unlock(&h->mutex);
    struct helper_work *w = NULL; /* oldest first */
    while (newest != NULL) {
        struct helper_work *next = newest->next;
        newest->next = w;
        w = newest;
        newest = next;
    }
    bool any = w != NULL;
    while (w != NULL) {
        struct helper_work *next = w->next;
        w->done(w);
        w = next;
    }
    return any;
}

struct waiting_work {
    struct helper_work work;
    struct helper_work *inner;
    struct fiber *fiber;
    void (*fn)(void *arg);
    void *arg;
};

static void inner_run(struct helper_work *w)
{
    struct helper_work *inner = CONTAINER_OF(w, struct waiting_work, work)->inner;
    inner->run(inner);
}

static void fn_run(struct helper_work *w)
{
    struct waiting_work *ww = CONTAINER_OF(w, struct waiting_work, work);
    ww->fn(ww->arg);
}

static void wake(struct helper_work *w)
{
    fiber_make_ready(CONTAINER_OF(w, struct waiting_work, work)->fiber);
}

void helper_wait(struct backend *b, struct helper_work *w)
{
    struct waiting_work ww = {
        .work = {.run = inner_run, .done = wake}, .inner = w, .fiber = runner.fiber};
    helper_start(b, &ww.work);
    fiber_suspend_wait();
}

err_t core_helper_wait(void (*fn)(void *arg), void *arg)
{
    if (runner_is_borrowing())
        return err_would_suspend();
    struct waiting_work ww = {
        .work = {.run = fn_run, .done = wake}, .fiber = runner.fiber, .fn = fn, .arg = arg};
    helper_start(core_self()->backend, &ww.work);
    fiber_suspend_wait();
    return ERR_OK;
}
