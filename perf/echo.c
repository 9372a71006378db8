/*
 * The floor: a bare io_uring server that answers with a server's bytes and understands nothing.
 * What it costs per request is the kernel's part; perf/floor compares Percore's with it.
 *
 *   echo PORT [THREADS]
 *
 * Same ring flags, multishot accept and receive with a provided-buffer ring, one io_uring_enter per
 * turn, as core/io_uring*.c. A request is what one receive brings, told by its first byte: a
 * start-up packet, Query, Parse + Sync, Bind + Execute + Sync; the answer is a point read's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <liburing.h>

enum { BUFFERS = 512, BUFFER_BYTES = 8192, SQ_ENTRIES = 1024, CQ_ENTRIES = 8192, THREADS_MAX = 64 };
enum { TAG_ACCEPT = 1, TAG_SEND = 2, TAG_RECV = 3 }; /* low bits; the descriptor above */

static int listener;

static const char ready[] = "Z\0\0\0\5I";
static const char login[] = "R\0\0\0\10\0\0\0\0"
                            "S\0\0\0\31client_encoding\0UTF8\0"
                            "S\0\0\0\31server_version\0"
                            "15.18\0"
                            "K\0\0\0\14\0\0\0\1\0\0\0\1"
                            "Z\0\0\0\5I";
static const char parsed[] = "1\0\0\0\4Z\0\0\0\5I";
static const char bound[] = "2\0\0\0\4"
                            "D\0\0\0\13\0\1\0\0\0\0010"
                            "C\0\0\0\15SELECT 1\0"
                            "Z\0\0\0\5I";
static const char queried[] =
    "T\0\0\0\41\0\1abalance\0\0\0\100\1\0\3\0\0\0\27\0\4\377\377\377\377\0\0"
    "D\0\0\0\13\0\1\0\0\0\0010"
    "C\0\0\0\15SELECT 1\0"
    "Z\0\0\0\5I";

static void die(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

static struct io_uring_sqe *sqe_get(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (!sqe) {
        io_uring_submit(ring);
        sqe = io_uring_get_sqe(ring);
    }
    if (!sqe)
        die("no room in the ring", EBUSY);
    return sqe;
}

static void arm_accept(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = sqe_get(ring);
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = TAG_ACCEPT;
}

static void arm_recv(struct io_uring *ring, int fd)
{
    struct io_uring_sqe *sqe = sqe_get(ring);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->user_data = (uint64_t)fd << 8 | TAG_RECV;
}

static void answer(struct io_uring *ring, int fd, const uint8_t *request)
{
    const char *bytes = ready;
    size_t len = sizeof(ready) - 1;
    switch (request[0]) {
    case 0:
        bytes = login;
        len = sizeof(login) - 1;
        break;
    case 'P':
        bytes = parsed;
        len = sizeof(parsed) - 1;
        break;
    case 'B':
        bytes = bound;
        len = sizeof(bound) - 1;
        break;
    case 'Q':
        bytes = queried;
        len = sizeof(queried) - 1;
        break;
    case 'X':
        return; /* the end of the stream follows */
    default:
        break;
    }
    struct io_uring_sqe *sqe = sqe_get(ring);
    io_uring_prep_send(sqe, fd, bytes, len, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->user_data = TAG_SEND;
}

static void *serve(void *arg)
{
    (void)arg;
    struct io_uring ring;
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE,
        .cq_entries = CQ_ENTRIES,
    };
    int r = io_uring_queue_init_params(SQ_ENTRIES, &ring, &params);
    if (r != 0)
        die("io_uring", -r);
    (void)io_uring_register_ring_fd(&ring);
    struct io_uring_buf_ring *buffers = aligned_alloc(4096, sizeof(struct io_uring_buf) * BUFFERS);
    uint8_t *memory = malloc((size_t)BUFFERS * BUFFER_BYTES);
    struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)buffers,
                                   .ring_entries = BUFFERS};
    if (!buffers || !memory || (r = io_uring_register_buf_ring(&ring, &reg, 0)) != 0)
        die("buffers", -r);
    io_uring_buf_ring_init(buffers);
    int mask = io_uring_buf_ring_mask(BUFFERS);
    for (int i = 0; i < BUFFERS; i++)
        io_uring_buf_ring_add(buffers, memory + (size_t)i * BUFFER_BYTES, BUFFER_BYTES,
                              (unsigned short)i, mask, i);
    io_uring_buf_ring_advance(buffers, BUFFERS);
    arm_accept(&ring);
    for (;;) {
        struct io_uring_cqe *cqe;
        r = io_uring_submit_and_wait_timeout(&ring, &cqe, 1, NULL, NULL);
        if (r < 0 && r != -EINTR && r != -ETIME)
            die("wait", -r);
        unsigned head;
        unsigned count = 0;
        int returned = 0;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            count++;
            int fd = (int)(cqe->user_data >> 8);
            uint8_t tag = cqe->user_data & 0xff;
            if (tag == TAG_ACCEPT) {
                if (cqe->res >= 0)
                    arm_recv(&ring, cqe->res);
                if ((cqe->flags & IORING_CQE_F_MORE) == 0)
                    arm_accept(&ring);
            } else if (tag == TAG_RECV && cqe->res > 0) {
                unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
                answer(&ring, fd, memory + (size_t)id * BUFFER_BYTES);
                io_uring_buf_ring_add(buffers, memory + (size_t)id * BUFFER_BYTES, BUFFER_BYTES,
                                      (unsigned short)id, mask, returned++);
                if ((cqe->flags & IORING_CQE_F_MORE) == 0)
                    arm_recv(&ring, fd);
            } else if (tag == TAG_RECV && cqe->res == -ENOBUFS) {
                arm_recv(&ring, fd);
            } else if (tag == TAG_RECV) {
                close(fd);
            }
        }
        io_uring_buf_ring_advance(buffers, returned);
        io_uring_cq_advance(&ring, count);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: echo PORT [THREADS]\n");
        return 1;
    }
    long threads = argc > 2 ? strtol(argv[2], NULL, 10) : 2;
    if (threads < 1 || threads > THREADS_MAX)
        die("threads", EINVAL);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10))};
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 1024) != 0)
        die("listen", errno);
    pthread_t thread;
    for (long i = 0; i < threads; i++) {
        if (pthread_create(&thread, NULL, serve, NULL) != 0)
            die("thread", errno);
    }
    pthread_join(thread, NULL);
    return 0;
}
