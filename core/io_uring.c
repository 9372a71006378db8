/*
 * The io_uring backend: core threads, their rings, doorbells, sleeping. Files are in
 * io_uring_file.c, sockets in io_uring_net.c, the helper thread in io_uring_helper.c.
 *
 * A ring is entered by its own thread only. A borrower may prepare operations in a sleeping core's
 * ring (the state word makes it exclusive, the owner is inside io_uring_enter); the doorbell that
 * ends the borrow makes the owner submit them.
 *
 * Every core has an eventfd under a permanent multishot poll, which serves wakes from outside and,
 * where MSG_RING does not pass the start-up test, all doorbells.
 */
#include "core/io_uring_priv.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    RING_SQ_ENTRIES = 4096,
    RING_CQ_ENTRIES = 16384,
    BORROWER_SQES = 256,
    REAP_MAX = 4096,
    LONG_SLICE_NS = 100000000,
    THREAD_STACK_BYTES = 8 << 20,
    BIG_STACK_RESERVE_BYTES = 1 << 20,
};

const bool backend_is_simulated = false;

static bool bells_by_message;
static int outside_bells[CORE_COUNT_MAX];

/* ---- clock and randomness ---- */

uint64_t backend_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int64_t backend_wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

bool backend_rests_early(void)
{
    return false;
}

bool core_varies(void)
{
    return false;
}

void backend_random_bytes(void *out, size_t bytes)
{
    char *at = out;
    while (bytes > 0) {
        ssize_t n = getrandom(at, bytes, 0);
        if (n < 0) {
            ASSERT(errno == EINTR);
            continue;
        }
        at += n;
        bytes -= (size_t)n;
    }
}

/* ---- the ring ---- */

static int ring_open(struct io_uring *ring, unsigned sq_entries, unsigned cq_entries,
                     bool *has_defer_taskrun)
{
    static const unsigned flag_sets[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
            IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int r = -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(flag_sets); i++) {
        struct io_uring_params params = {
            .flags = flag_sets[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = cq_entries,
        };
        r = io_uring_queue_init_params(sq_entries, ring, &params);
        if (r == 0) {
            *has_defer_taskrun = (flag_sets[i] & IORING_SETUP_DEFER_TASKRUN) != 0;
            return 0;
        }
        if (r != -EINVAL)
            return r;
    }
    return r;
}

static void ring_submit(struct core *c, struct backend *b)
{
    unsigned ready = io_uring_sq_ready(&b->ring);
    stats_add(&c->stats->sqes, ready);
    stats_add(&c->stats->enters, 1);
    int r = io_uring_submit_and_get_events(&b->ring);
    ASSERT(r >= 0 || r == -EBUSY || r == -EAGAIN || r == -EINTR);
}

struct io_uring_sqe *uring_sqe(struct backend *b)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
    for (int tries = 0; UNLIKELY(sqe == NULL); tries++) {
        ASSERT(!runner_is_borrowing());
        ASSERT(tries < 1000000);
        ring_submit(runner.home, b);
        sqe = io_uring_get_sqe(&b->ring);
    }
    return sqe;
}

static bool ring_wants_enter(const struct backend *b)
{
    unsigned flags = __atomic_load_n(b->ring.sq.kflags, __ATOMIC_RELAXED);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

void backend_submit(struct core *c)
{
    struct backend *b = c->backend;
    if (io_uring_sq_ready(&b->ring) > 0 || ring_wants_enter(b))
        ring_submit(c, b);
}

bool backend_has_arrivals(const struct core *c)
{
    return ring_wants_enter(c->backend) || io_uring_cq_ready(&c->backend->ring) > 0;
}

bool backend_has_unsubmitted(const struct core *c)
{
    return io_uring_sq_ready(&c->backend->ring) > 0;
}

bool backend_can_borrow(const struct core *c)
{
    return io_uring_sq_space_left(&c->backend->ring) >= BORROWER_SQES;
}

void backend_sleep(struct core *c, uint64_t deadline_us)
{
    struct backend *b = c->backend;
    uint64_t now_us = backend_now_ns() / 1000;
    if (deadline_us <= now_us) {
        backend_submit(c);
        return;
    }
    uint64_t wait_us = deadline_us - now_us;
    struct __kernel_timespec timeout = {
        .tv_sec = (long long)(wait_us / 1000000),
        .tv_nsec = (long long)(wait_us % 1000000 * 1000),
    };
    struct io_uring_cqe *cqe;
    stats_add(&c->stats->sqes, io_uring_sq_ready(&b->ring));
    stats_add(&c->stats->enters, 1);
    int r = io_uring_submit_and_wait_timeout(&b->ring, &cqe, 1, &timeout, NULL);
    ASSERT(r >= 0 || r == -ETIME || r == -EINTR || r == -EBUSY || r == -EAGAIN);
}

static void bell_by_fd(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));
    ASSERT(n == sizeof(one) || errno == EAGAIN);
}

static void tagged_completion(struct backend *b, uint64_t tag, const struct io_uring_cqe *cqe)
{
    switch (tag & 0xff) {
    case URING_TAG_BELL_FD:
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            uring_arm_bell(b);
        break;
    case URING_TAG_BELL_OUT:
        if (cqe->res < 0) /* the target's ring could not take it: the other way always works */
            bell_by_fd(process.cores[tag >> 8]->backend->bell_fd);
        break;
    default:
        break;
    }
}

bool backend_reap(struct core *c)
{
    struct backend *b = c->backend;
    struct io_uring *ring = &b->ring;
    if (UNLIKELY(ring_wants_enter(b) && io_uring_cq_ready(ring) == 0))
        ring_submit(c, b);
    uint32_t count = 0;
    struct io_uring_cqe *cqe;
    while (count < REAP_MAX && io_uring_peek_cqe(ring, &cqe) == 0 && cqe != NULL) {
        uint64_t data = cqe->user_data;
        int32_t res = cqe->res;
        uint32_t flags = cqe->flags;
        if (data < URING_TAGS_END) {
            struct io_uring_cqe copy = {.user_data = data, .res = res, .flags = flags};
            io_uring_cqe_seen(ring, cqe);
            tagged_completion(b, data, &copy);
        } else {
            struct uring_op *op = (struct uring_op *)(uintptr_t)data;
            io_uring_cqe_seen(ring, cqe);
            op->complete(op, res, flags);
        }
        count++;
    }
    if (count > 0) {
        stats_add(&c->stats->cqes, count);
        uring_recv_finish_batch(b);
    }
    bool helped = atomic_load_explicit(&b->helper.has_done, memory_order_acquire) && helper_reap(b);
    return count > 0 || helped;
}

/* ---- doorbells ---- */

void uring_arm_bell(struct backend *b)
{
    struct io_uring_sqe *sqe = uring_sqe(b);
    io_uring_prep_poll_multishot(sqe, b->bell_fd, POLLIN);
    sqe->user_data = URING_TAG_BELL_FD;
}

void backend_doorbell(struct core *from, uint32_t target)
{
    struct backend *to = process.cores[target]->backend;
    if (!bells_by_message) {
        bell_by_fd(to->bell_fd);
        return;
    }
    struct io_uring_sqe *sqe = uring_sqe(from->backend);
    io_uring_prep_msg_ring(sqe, to->ring.ring_fd, 0, URING_TAG_BELL, 0);
    sqe->user_data = URING_TAG_BELL_OUT | (uint64_t)target << 8;
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    if (from->ready.ready_count > 0) /* other fibers first: do not let the sleeper wait for them */
        ring_submit(from, from->backend);
}

void backend_doorbell_outside(uint32_t target)
{
    bell_by_fd(outside_bells[target]);
}

/* Does a message from one ring of ours reach another? */
static bool message_bell_works(void)
{
    struct io_uring a;
    struct io_uring b;
    bool defer;
    bool works = false;
    if (ring_open(&a, 8, 8, &defer) != 0)
        return false;
    if (ring_open(&b, 8, 8, &defer) != 0) {
        io_uring_queue_exit(&a);
        return false;
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(&a);
    io_uring_prep_msg_ring(sqe, b.ring_fd, 0, URING_TAG_BELL, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    if (io_uring_submit(&a) == 1) {
        struct io_uring_cqe *cqe = NULL;
        struct __kernel_timespec timeout = {.tv_nsec = 50000000};
        works = io_uring_submit_and_wait_timeout(&b, &cqe, 1, &timeout, NULL) >= 0 && cqe != NULL &&
                cqe->user_data == URING_TAG_BELL;
    }
    io_uring_queue_exit(&a);
    io_uring_queue_exit(&b);
    return works;
}

/* ---- threads ---- */

struct sched_attr_v0 {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

/* Ask for a long slice, so that the kernel's short-slice workers preempt this thread at once.
 * Kernels before 6.12 take the call and forget the value, so it is read back. */
static bool thread_ask_long_slice(void)
{
    struct sched_attr_v0 attr = {.size = sizeof(attr), .runtime = LONG_SLICE_NS};
    if (syscall(SYS_sched_setattr, 0, &attr, 0) != 0)
        return false;
    struct sched_attr_v0 back = {.size = sizeof(back)};
    if (syscall(SYS_sched_getattr, 0, &back, sizeof(back), 0) != 0)
        return false;
    return back.runtime == LONG_SLICE_NS;
}

static void thread_pin(int cpu)
{
    if (cpu < 0)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
        log_write(LOG_WARNING, "could not pin a core thread to CPU %d", cpu);
}

/* Memory of this thread comes from its node while that has any (stacks, arenas, buffer pools). */
static void thread_prefer_node(int node)
{
    enum { MEMORY_PREFERRED = 1, NODES_MAX = 1024 };
    if (node < 0 || node >= NODES_MAX)
        return;
    unsigned long mask[NODES_MAX / (8 * sizeof(unsigned long))] = {0};
    size_t bits = 8 * sizeof(unsigned long);
    mask[(size_t)node / bits] = 1ul << ((size_t)node % bits);
    if (syscall(SYS_set_mempolicy, MEMORY_PREFERRED, mask, (unsigned long)NODES_MAX) != 0)
        log_write(LOG_DEBUG, "no memory policy for NUMA node %d", node);
}

err_t backend_core_start(struct core *c)
{
    struct backend *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return err_raise(ERR_OUT_OF_MEMORY, "out of memory");
    c->backend = b;
    b->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (b->bell_fd < 0)
        return err_raise(ERR_INSUFFICIENT_RESOURCES, "could not create an eventfd: %s",
                         strerror(errno));
    outside_bells[c->id] = b->bell_fd;
    int r = ring_open(&b->ring, RING_SQ_ENTRIES, RING_CQ_ENTRIES, &b->has_defer_taskrun);
    if (r != 0)
        return err_raise(ERR_INSUFFICIENT_RESOURCES, "could not set up io_uring: %s", strerror(-r));
    b->has_ring = true;
    (void)io_uring_register_ring_fd(&b->ring);
    b->durable_writes_by_helper = !thread_ask_long_slice();
    TRY(helper_init(b));
    TRY(uring_recv_buffers_init(b));
    uring_arm_bell(b);
    return ERR_OK;
}

void backend_core_end(struct core *c)
{
    struct backend *b = c->backend;
    if (b == NULL)
        return;
    helper_destroy(b);
    if (b->has_ring)
        io_uring_queue_exit(&b->ring);
    uring_recv_buffers_destroy(b);
    if (b->bell_fd > 0)
        close(b->bell_fd);
    free(b);
    c->backend = NULL;
}

static pthread_barrier_t all_started;
static pthread_barrier_t all_stopped;
static pthread_mutex_t start_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct diag start_diag; /* under start_mutex: the first failure */

static NO_SUSPEND_ANALYSIS void *thread_main(void *arg)
{
    struct core *c = arg;
    char name[16];
    snprintf(name, sizeof(name), "core-%u", c->id);
    (void)pthread_setname_np(pthread_self(), name);
    thread_pin(c->cpu);
    thread_prefer_node(c->numa_node);
    if (core_start(c) != ERR_OK) {
        pthread_mutex_lock(&start_mutex);
        if (start_diag.code == ERR_OK)
            diag_copy(&start_diag, err_diag());
        pthread_mutex_unlock(&start_mutex);
        atomic_store(&shared_words.is_stopping, true);
    }
    pthread_barrier_wait(&all_started);
    while (!atomic_load_explicit(&shared_words.is_stopping, memory_order_relaxed))
        reactor_turn(c);
    /* Others may still ring here: nothing is closed before all have stopped. */
    pthread_barrier_wait(&all_stopped);
    if (c->is_sleeping)
        c->is_sleeping = false;
    backend_core_end(c);
    core_end(c);
    return NULL;
}

err_t backend_run(void)
{
    uint32_t n = process.core_count;
    bells_by_message = !process.options.force_eventfd && message_bell_works();
    start_diag.code = ERR_OK;
    pthread_t threads[CORE_COUNT_MAX];
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES + BIG_STACK_RESERVE_BYTES);
    pthread_barrier_init(&all_started, NULL, n);
    pthread_barrier_init(&all_stopped, NULL, n);
    uint32_t started = 0;
    for (; started < n; started++)
        if (pthread_create(&threads[started], &attr, thread_main, process.cores[started]) != 0)
            break;
    ASSERT(started == n); /* the barrier counts on all; a machine without n threads cannot serve */
    if (process.options.running != NULL)
        process.options.running();
    for (uint32_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all_started);
    pthread_barrier_destroy(&all_stopped);
    pthread_attr_destroy(&attr);
    return start_diag.code == ERR_OK ? ERR_OK : err_adopt(&start_diag);
}
