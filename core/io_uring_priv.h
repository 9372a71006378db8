/* What the files of the io_uring backend share: a core's ring, operations, the helper thread. */
#ifndef CORE_IO_URING_PRIV_H
#define CORE_IO_URING_PRIV_H

#include "core/core_priv.h"
#include "core/io.h"

#include <liburing.h>
#include <pthread.h>

/* Embedded in whatever waits for a completion; the CQE's user_data is its address. */
struct uring_op {
    void (*complete)(struct uring_op *op, int32_t res, uint32_t flags);
};

/* user_data that is no address: the kind in the low byte, an argument above. */
enum {
    URING_TAG_NONE = 1,     /* result does not matter */
    URING_TAG_BELL = 3,     /* a doorbell arrived (MSG_RING) */
    URING_TAG_BELL_FD = 5,  /* a doorbell arrived (eventfd) */
    URING_TAG_BELL_OUT = 7, /* our MSG_RING failed; argument: the target */
    URING_TAGS_END = 65536,
};

/* Work for the core's helper thread: run there, then done in the reactor. */
struct helper_work {
    struct helper_work *next;
    void (*run)(struct helper_work *w);
    void (*done)(struct helper_work *w);
};

/* Access: m = under the mutex. */
struct helper {
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    struct helper_work *first; /* m */
    struct helper_work *last;  /* m */
    struct helper_work *done;  /* m: newest first */
    _Atomic bool has_done;
    bool is_stopping; /* m */
    bool is_working;  /* m: the thread looks for work, or is about to be started */
    bool has_thread;  /* of the core: to be joined */
    pthread_t thread;
};

enum { RECV_BUFFER_BYTES = 8192, RECV_BUFFER_COUNT = 512, RECV_GROUP = 0 };

struct backend {
    struct io_uring ring;
    bool has_ring;
    bool has_defer_taskrun;
    int bell_fd;
    bool durable_writes_by_helper; /* the scheduler grants no long slice */
    struct io_uring_buf_ring *recv_ring;
    uint8_t *recv_buffers;
    uint32_t recv_returned;  /* since the last advance */
    struct io_socket *rearm; /* their recv found no buffer */
    bool direct_is_tried;    /* the table below was registered, or could not be */
    uint32_t direct_from_fd; /* descriptors from this number on move there */
    uint32_t *direct_free;   /* empty slots; NULL: no table */
    uint32_t direct_free_count;
    struct helper helper;
};

struct io_uring_sqe *uring_sqe(struct backend *b);
static inline void uring_set_op(struct io_uring_sqe *sqe, struct uring_op *op)
{
    sqe->user_data = (uint64_t)(uintptr_t)op;
}
void uring_arm_bell(struct backend *b);

err_t helper_init(struct backend *b);
void helper_destroy(struct backend *b);
void helper_start(struct backend *b, struct helper_work *w);
bool helper_reap(struct backend *b);
/* Runs w->run on the helper and waits. */
SUSPENDS void helper_wait(struct backend *b, struct helper_work *w);

/* A copy of the descriptor in the ring's table; -1: not needed yet, or there is no room. */
int direct_take(struct backend *b, int os_fd);
void direct_give(struct backend *b, int slot);
/* An open file of the process for what is in the slot; -1: the kernel (before 6.8) cannot, or there
 * are too many. */
SUSPENDS int direct_install_wait(struct backend *b, int slot);

err_t uring_recv_buffers_init(struct backend *b);
void uring_recv_buffers_destroy(struct backend *b);
/* After a batch of completions: give buffers back, arm what found none. */
void uring_recv_finish_batch(struct backend *b);

#endif
