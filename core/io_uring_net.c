/*
 * Sockets through io_uring: multishot accept, multishot receive into buffers that belong to the
 * core and are lent for the length of a callback (an idle socket owns none), sends that go out with
 * the turn's one submission.
 *
 * Life of a socket: the struct is freed when it is closing, no receive is armed, no send is in
 * flight and none is queued, and no callback of it is on the stack. Its descriptor is closed then.
 */
#include "core/io_uring_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LISTENER_FDS_MAX = 16,
    SMALL_BYTES_MAX = 64 * 1024, /* copied bytes one socket may have waiting */
    SMALL_CHUNK_BYTES = 900,     /* with the item below what the C library keeps at hand */
    ACCEPT_RETRY_US = 100000,
    KEEPALIVE_IDLE_S = 60,
};

struct send_item {
    struct send_item *next;
    const uint8_t *data;
    size_t len;
    struct fiber *fiber; /* waits; NULL: data is copied below */
    bool *failed;        /* of the waiting fiber */
    uint32_t room;       /* bytes of copy[] */
    uint8_t copy[];
};

struct io_socket {
    struct uring_op recv_op;
    struct uring_op send_op;
    const struct io_socket_events *events;
    void *owner;
    struct core *core;
    struct send_item *first;
    struct send_item *last;
    struct io_socket *rearm_next;
    struct fiber *releaser; /* waits in io_socket_release_wait */
    int fd;                 /* -1: direct */
    int direct;             /* slot in the ring's table, -1: none */
    uint32_t small_bytes;
    uint16_t depth; /* callbacks on the stack */
    bool is_recv_armed;
    bool is_cancel_sent;
    bool is_rearm_queued;
    bool is_paused;
    bool is_sending;
    bool is_closing;
    bool is_aborted;
    bool is_closed_told;
    bool is_send_failed;
};

/* ---- receive buffers ---- */

static size_t recv_ring_bytes(void)
{
    return sizeof(struct io_uring_buf) * RECV_BUFFER_COUNT;
}

err_t uring_recv_buffers_init(struct backend *b)
{
    void *ring =
        mmap(NULL, recv_ring_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *buffers = mmap(NULL, (size_t)RECV_BUFFER_BYTES * RECV_BUFFER_COUNT,
                         PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED || buffers == MAP_FAILED)
        return err_raise(ERR_OUT_OF_MEMORY, "could not map receive buffers");
    b->recv_ring = ring;
    b->recv_buffers = buffers;
    struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)ring,
                                   .ring_entries = RECV_BUFFER_COUNT,
                                   .bgid = RECV_GROUP};
    int r = io_uring_register_buf_ring(&b->ring, &reg, 0);
    if (r != 0)
        return err_raise(ERR_INSUFFICIENT_RESOURCES, "could not register receive buffers: %s",
                         strerror(-r));
    io_uring_buf_ring_init(b->recv_ring);
    for (int i = 0; i < RECV_BUFFER_COUNT; i++)
        io_uring_buf_ring_add(b->recv_ring, b->recv_buffers + (size_t)i * RECV_BUFFER_BYTES,
                              RECV_BUFFER_BYTES, (unsigned short)i,
                              io_uring_buf_ring_mask(RECV_BUFFER_COUNT), i);
    io_uring_buf_ring_advance(b->recv_ring, RECV_BUFFER_COUNT);
    return ERR_OK;
}

void uring_recv_buffers_destroy(struct backend *b)
{
    if (b->recv_ring != NULL)
        munmap(b->recv_ring, recv_ring_bytes());
    if (b->recv_buffers != NULL)
        munmap(b->recv_buffers, (size_t)RECV_BUFFER_BYTES * RECV_BUFFER_COUNT);
}

static void buffer_return(struct backend *b, uint16_t id)
{
    io_uring_buf_ring_add(b->recv_ring, b->recv_buffers + (size_t)id * RECV_BUFFER_BYTES,
                          RECV_BUFFER_BYTES, id, io_uring_buf_ring_mask(RECV_BUFFER_COUNT),
                          (int)b->recv_returned);
    b->recv_returned++;
}

/* ---- receiving ---- */

/* After the prep function: which of the two descriptors it is. */
static void sqe_of_socket(struct io_uring_sqe *sqe, const struct io_socket *s)
{
    if (s->direct < 0)
        return;
    sqe->fd = s->direct;
    sqe->flags |= IOSQE_FIXED_FILE;
}

static void recv_arm(struct io_socket *s)
{
    ASSERT(!s->is_recv_armed);
    struct io_uring_sqe *sqe = uring_sqe(s->core->backend);
    io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
    sqe_of_socket(sqe, s);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = RECV_GROUP;
    uring_set_op(sqe, &s->recv_op);
    s->is_recv_armed = true;
    s->is_cancel_sent = false;
}

static void recv_cancel(struct io_socket *s)
{
    if (!s->is_recv_armed || s->is_cancel_sent)
        return;
    struct io_uring_sqe *sqe = uring_sqe(s->core->backend);
    io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)&s->recv_op, 0);
    sqe->user_data = URING_TAG_NONE;
    s->is_cancel_sent = true;
}

static void socket_free_if_over(struct io_socket *s)
{
    if (!s->is_closing || s->depth > 0 || s->is_recv_armed || s->is_sending || s->first != NULL ||
        s->is_rearm_queued)
        return;
    if (s->direct >= 0) {
        direct_give(s->core->backend, s->direct);
    } else if (s->fd >= 0) {
        struct io_uring_sqe *sqe = uring_sqe(s->core->backend);
        io_uring_prep_close(sqe, s->fd);
        sqe->user_data = URING_TAG_NONE;
    }
    stats_sub(&s->core->stats->sockets, 1);
    core_free(s);
}

static void tell_closed(struct io_socket *s, int os_error)
{
    if (s->is_closed_told || s->is_closing)
        return;
    s->is_closed_told = true;
    s->events->closed(s->owner, os_error);
}

static bool socket_is_over(const struct io_socket *s)
{
    return s->is_closed_told || s->is_aborted || s->is_send_failed;
}

static bool socket_is_at_rest(const struct io_socket *s)
{
    return s->depth == 0 && !s->is_recv_armed && !s->is_rearm_queued && !s->is_sending &&
           s->first == NULL;
}

static void releaser_wake(struct io_socket *s)
{
    if (LIKELY(s->releaser == NULL) || (!socket_is_over(s) && !socket_is_at_rest(s)))
        return;
    struct fiber *f = s->releaser;
    s->releaser = NULL;
    fiber_make_ready(f);
}

static void recv_complete(struct uring_op *op, int32_t res, uint32_t flags)
{
    struct io_socket *s = CONTAINER_OF(op, struct io_socket, recv_op);
    struct backend *b = s->core->backend;
    s->depth++;
    if ((flags & IORING_CQE_F_MORE) == 0)
        s->is_recv_armed = false;
    if (res > 0) {
        ASSERT((flags & IORING_CQE_F_BUFFER) != 0);
        uint16_t id = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
        if (!s->is_closing && !s->is_aborted)
            s->events->received(s->owner, b->recv_buffers + (size_t)id * RECV_BUFFER_BYTES,
                                (uint32_t)res);
        buffer_return(b, id);
    } else {
        if ((flags & IORING_CQE_F_BUFFER) != 0)
            buffer_return(b, (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT));
        if (res == 0)
            tell_closed(s, 0);
        else if (res != -ENOBUFS && res != -ECANCELED && res != -EINTR && res != -EAGAIN)
            tell_closed(s, -res);
    }
    s->depth--;
    if (!s->is_recv_armed && !s->is_closing && !s->is_closed_told &&
        (!s->is_paused || s->is_aborted)) {
        if (res == -ENOBUFS) {
            s->is_rearm_queued = true;
            s->rearm_next = b->rearm;
            b->rearm = s;
        } else {
            recv_arm(s);
        }
    }
    releaser_wake(s);
    socket_free_if_over(s);
}

void uring_recv_finish_batch(struct backend *b)
{
    if (b->recv_returned > 0) {
        io_uring_buf_ring_advance(b->recv_ring, (int)b->recv_returned);
        b->recv_returned = 0;
    }
    struct io_socket *s = b->rearm;
    b->rearm = NULL;
    while (s != NULL) {
        struct io_socket *next = s->rearm_next;
        s->is_rearm_queued = false;
        if (!s->is_closing && !s->is_closed_told && !s->is_recv_armed &&
            (!s->is_paused || s->is_aborted))
            recv_arm(s);
        releaser_wake(s);
        socket_free_if_over(s);
        s = next;
    }
}

/* ---- sending ---- */

static void send_next(struct io_socket *s)
{
    struct send_item *item = s->first;
    ASSERT(!s->is_sending && item != NULL);
    struct io_uring_sqe *sqe = uring_sqe(s->core->backend);
    size_t part = MIN(item->len, (size_t)1 << 30);
    io_uring_prep_send(sqe, s->fd, item->data, part, MSG_NOSIGNAL | MSG_WAITALL);
    sqe_of_socket(sqe, s);
    uring_set_op(sqe, &s->send_op);
    s->is_sending = true;
}

static void send_item_done(struct io_socket *s, bool failed)
{
    struct send_item *item = s->first;
    s->first = item->next;
    if (s->first == NULL)
        s->last = NULL;
    if (item->fiber != NULL) {
        *item->failed = failed;
        fiber_make_ready(item->fiber);
    } else {
        s->small_bytes -= item->room;
        core_free(item);
    }
}

static void send_complete(struct uring_op *op, int32_t res, uint32_t flags)
{
    (void)flags;
    struct io_socket *s = CONTAINER_OF(op, struct io_socket, send_op);
    s->is_sending = false;
    struct send_item *item = s->first;
    ASSERT(item != NULL);
    if (res > 0) {
        ASSERT((size_t)res <= item->len);
        item->data += res;
        item->len -= (size_t)res;
        if (item->len == 0)
            send_item_done(s, false);
    } else if (res != -EINTR && res != -EAGAIN) {
        s->is_send_failed = true;
        while (s->first != NULL)
            send_item_done(s, true);
    }
    if (s->first != NULL) {
        send_next(s);
        return;
    }
    releaser_wake(s);
    socket_free_if_over(s);
}

static void send_enqueue(struct io_socket *s, struct send_item *item)
{
    if (s->last != NULL)
        s->last->next = item;
    else
        s->first = item;
    s->last = item;
    if (!s->is_sending)
        send_next(s);
}

static COLD err_t err_peer_gone(void)
{
    return err_raise(ERR_CONNECTION_FAILURE, "could not send data to client");
}

err_t io_socket_send_wait(struct io_socket *s, const void *data, size_t len)
{
    if (runner_is_borrowing())
        return err_would_suspend();
    ASSERT(s->core == runner.core);
    if (len == 0)
        return ERR_OK;
    if (s->is_send_failed || s->is_closing || s->is_aborted)
        return err_peer_gone();
    bool failed = false;
    struct send_item item = {.data = data, .len = len, .fiber = runner.fiber, .failed = &failed};
    send_enqueue(s, &item);
    fiber_suspend_wait();
    return failed ? err_peer_gone() : ERR_OK;
}

bool io_socket_send_small(struct io_socket *s, const void *data, uint32_t len)
{
    if (s->is_send_failed || s->is_closing || s->is_aborted)
        return false;
    struct send_item *item = s->last;
    bool in_flight = s->is_sending && item == s->first;
    if (item != NULL && item->fiber == NULL && !in_flight &&
        (size_t)(item->data - item->copy) + item->len + len <= item->room) {
        memcpy((uint8_t *)(uintptr_t)item->data + item->len, data, len);
        item->len += len;
        return true;
    }
    uint32_t room = MAX(len, SMALL_CHUNK_BYTES);
    if (s->small_bytes + room > SMALL_BYTES_MAX)
        return false;
    item = core_malloc(sizeof(*item) + room);
    *item = (struct send_item){.data = item->copy, .len = len, .room = room};
    memcpy(item->copy, data, len);
    s->small_bytes += room;
    send_enqueue(s, item);
    return true;
}

/* ---- life ---- */

static struct io_socket *socket_new(int os_fd, const struct io_socket_events *events, void *owner,
                                    bool is_settled)
{
    struct core *c = core_self();
    ASSERT(!runner_is_borrowing());
    struct io_socket *s = core_zalloc(sizeof(*s));
    s->recv_op.complete = recv_complete;
    s->send_op.complete = send_complete;
    s->events = events;
    s->owner = owner;
    s->core = c;
    s->fd = os_fd;
    s->direct = -1;
    if (is_settled) /* before the receive, which is submitted later, names the descriptor */
        io_socket_settle(s);
    recv_arm(s);
    stats_add(&c->stats->sockets, 1);
    return s;
}

err_t io_socket_adopt(int os_fd, const struct io_socket_events *events, void *owner,
                      struct io_socket **out)
{
    *out = socket_new(os_fd, events, owner, false);
    return ERR_OK;
}

err_t io_socket_attach(int os_fd, const struct io_socket_events *events, void *owner,
                       struct io_socket **out)
{
    *out = socket_new(os_fd, events, owner, true);
    return ERR_OK;
}

void io_socket_pause(struct io_socket *s, bool paused)
{
    if (s->is_paused == paused || s->is_closing)
        return;
    s->is_paused = paused;
    if (paused)
        recv_cancel(s);
    else if (!s->is_recv_armed && !s->is_rearm_queued && !s->is_closed_told && s->depth == 0)
        recv_arm(s);
}

void io_socket_abort(struct io_socket *s)
{
    if (s->is_aborted || s->is_closing)
        return;
    s->is_aborted = true;
    if (s->direct >= 0) {
        struct io_uring_sqe *sqe = uring_sqe(s->core->backend);
        io_uring_prep_shutdown(sqe, s->direct, SHUT_RDWR);
        sqe->flags |= IOSQE_FIXED_FILE;
        sqe->user_data = URING_TAG_NONE;
    } else {
        shutdown(s->fd, SHUT_RDWR);
    }
    if (!s->is_recv_armed && !s->is_rearm_queued && !s->is_closed_told && s->depth == 0)
        recv_arm(s); /* paused: closed() must come all the same */
    releaser_wake(s);
}

void io_socket_close(struct io_socket *s)
{
    ASSERT(!s->is_closing);
    s->is_closing = true;
    recv_cancel(s);
    socket_free_if_over(s);
}

/* An armed receive holds the file itself: it goes on. */
void io_socket_settle(struct io_socket *s)
{
    if (s->direct >= 0 || s->is_closing || s->is_aborted || s->is_closed_told || s->is_sending)
        return;
    s->direct = direct_take(s->core->backend, s->fd);
    if (s->direct < 0)
        return;
    close(s->fd);
    s->fd = -1;
}

int io_socket_release_wait(struct io_socket *s)
{
    ASSERT(!s->is_closing && s->releaser == NULL);
    io_socket_pause(s, true);
    while (!socket_is_over(s) && !socket_is_at_rest(s)) {
        s->releaser = runner.fiber;
        fiber_suspend_wait();
    }
    int fd = s->fd;
    if (s->direct >= 0 && !socket_is_over(s))
        fd = direct_install_wait(s->core->backend, s->direct);
    if (fd >= 0 && socket_is_over(s) && s->direct >= 0)
        close(fd);
    if (fd < 0 || socket_is_over(s)) {
        io_socket_pause(s, false);
        return -1;
    }
    s->fd = -1;
    s->is_closing = true;
    socket_free_if_over(s);
    return fd;
}

void io_socket_peer(const struct io_socket *s, struct io_peer *out)
{
    *out = (struct io_peer){0};
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof(address);
    if (getpeername(s->fd, (struct sockaddr *)&address, &bytes) != 0)
        return;
    if (address.ss_family == AF_UNIX) {
        struct ucred cred;
        socklen_t cred_bytes = sizeof(cred);
        out->is_unix = true;
        out->uid = UINT32_MAX;
        if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_bytes) == 0)
            out->uid = cred.uid;
    } else if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
        out->port = ntohs(in->sin_port);
        out->ip_bytes = 4;
        memcpy(out->ip, &in->sin_addr, 4);
        inet_ntop(AF_INET, &in->sin_addr, out->address, sizeof(out->address));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
        out->port = ntohs(in6->sin6_port);
        out->ip_bytes = 16;
        memcpy(out->ip, &in6->sin6_addr, 16);
        inet_ntop(AF_INET6, &in6->sin6_addr, out->address, sizeof(out->address));
    }
}

/* ---- listening ---- */

struct listener_fd {
    struct uring_op op;
    struct io_listener *listener;
    struct timer retry;
    int fd;
    bool is_armed;
    bool is_cancel_sent;
};

struct io_listener {
    void (*accepted)(void *owner, int os_fd);
    void *owner;
    struct core *core;
    bool is_paused;
    bool is_closing;
    uint16_t port;
    uint16_t depth;
    uint32_t fd_count;
    char *unix_path;
    struct listener_fd fds[LISTENER_FDS_MAX];
};

static void accept_arm(struct listener_fd *lf)
{
    if (lf->is_armed || lf->listener->is_closing || lf->listener->is_paused)
        return;
    struct io_uring_sqe *sqe = uring_sqe(lf->listener->core->backend);
    io_uring_prep_multishot_accept(sqe, lf->fd, NULL, NULL, SOCK_CLOEXEC);
    uring_set_op(sqe, &lf->op);
    lf->is_armed = true;
    lf->is_cancel_sent = false;
}

static void accept_cancel(struct listener_fd *lf)
{
    if (!lf->is_armed || lf->is_cancel_sent)
        return;
    struct io_uring_sqe *sqe = uring_sqe(lf->listener->core->backend);
    io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)&lf->op, 0);
    sqe->user_data = URING_TAG_NONE;
    lf->is_cancel_sent = true;
}

static void listener_free_if_over(struct io_listener *l)
{
    if (!l->is_closing || l->depth > 0)
        return;
    for (uint32_t i = 0; i < l->fd_count; i++)
        if (l->fds[i].is_armed)
            return;
    core_free(l->unix_path);
    core_free(l);
}

static void accept_retry(void *arg)
{
    accept_arm(arg);
}

static void accept_complete(struct uring_op *op, int32_t res, uint32_t flags)
{
    struct listener_fd *lf = CONTAINER_OF(op, struct listener_fd, op);
    struct io_listener *l = lf->listener;
    l->depth++;
    if ((flags & IORING_CQE_F_MORE) == 0)
        lf->is_armed = false;
    if (res >= 0) {
        if (l->is_closing)
            close(res);
        else
            l->accepted(l->owner, res);
    }
    if (!lf->is_armed && !l->is_closing && !l->is_paused) {
        if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS) {
            log_write(LOG_LOG, "could not accept new connection: %s", strerror(-res));
            timer_start(&lf->retry, core_now_us() + ACCEPT_RETRY_US, accept_retry, lf);
        } else {
            accept_arm(lf);
        }
    }
    l->depth--;
    listener_free_if_over(l);
}

static struct io_listener *listener_new(void (*accepted)(void *owner, int os_fd), void *owner)
{
    struct io_listener *l = core_zalloc(sizeof(*l));
    l->accepted = accepted;
    l->owner = owner;
    l->core = core_self();
    return l;
}

static void listener_add(struct io_listener *l, int fd)
{
    struct listener_fd *lf = &l->fds[l->fd_count++];
    lf->op.complete = accept_complete;
    lf->listener = l;
    lf->fd = fd;
    accept_arm(lf);
}

static COLD err_t listen_failed(const char *what, const char *where, int os_error)
{
    err_t e = err_raise(os_error == EACCES ? ERR_INSUFFICIENT_PRIVILEGE : ERR_IO_ERROR,
                        "could not %s \"%s\": %s", what, where, strerror(os_error));
    if (os_error == EADDRINUSE)
        err_hint("Is another server already running on this port or socket?");
    return e;
}

static int tcp_listen_one(const struct addrinfo *a, uint32_t backlog)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Accepted sockets have what their listener has: no system calls for each of them. */
    int idle = KEEPALIVE_IDLE_S;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    if (a->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, (int)backlog) == 0)
        return fd;
    int os_error = errno;
    close(fd);
    return -os_error;
}

static uint16_t fd_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return ntohs(((struct sockaddr_in6 *)&address)->sin6_port); /* NOLINT: getsockname filled it */
}

err_t io_listen_tcp(const char *host, uint16_t port, uint32_t backlog,
                    void (*accepted)(void *owner, int os_fd), void *owner, struct io_listener **out)
{
    *out = NULL;
    bool any = host == NULL || host[0] == '\0' || strcmp(host, "*") == 0;
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int r = getaddrinfo(any ? NULL : host, service, &hints, &list);
    if (r != 0)
        return err_raise(ERR_IO_ERROR, "could not translate host name \"%s\" to address: %s",
                         any ? "*" : host, gai_strerror(r));
    struct io_listener *l = listener_new(accepted, owner);
    int first_error = 0;
    for (struct addrinfo *a = list; a != NULL && l->fd_count < LISTENER_FDS_MAX; a = a->ai_next) {
        if (l->port != 0 && port == 0 && a->ai_family == AF_INET)
            ((struct sockaddr_in *)(void *)a->ai_addr)->sin_port = htons(l->port);
        if (l->port != 0 && port == 0 && a->ai_family == AF_INET6)
            ((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_port = htons(l->port);
        int fd = tcp_listen_one(a, backlog);
        if (fd < 0) {
            if (first_error == 0 || fd == -EADDRINUSE)
                first_error = -fd;
            continue;
        }
        if (l->port == 0)
            l->port = fd_port(fd);
        listener_add(l, fd);
    }
    freeaddrinfo(list);
    if (l->fd_count == 0 || first_error == EADDRINUSE) {
        io_listener_close(l);
        return listen_failed("listen on address", any ? "*" : host, first_error);
    }
    *out = l;
    return ERR_OK;
}

err_t io_listen_unix(const char *path, uint32_t mode, uint32_t backlog,
                     void (*accepted)(void *owner, int os_fd), void *owner,
                     struct io_listener **out)
{
    *out = NULL;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "Unix-domain socket path \"%s\" is too long (maximum %zu bytes)", path,
                         sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return listen_failed("create socket", path, errno);
    (void)unlink(path); /* a left-over; the data directory's lock says that no server runs */
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(path, (mode_t)mode) != 0 || listen(fd, (int)backlog) != 0) {
        int os_error = errno;
        close(fd);
        return listen_failed("bind Unix address", path, os_error);
    }
    struct io_listener *l = listener_new(accepted, owner);
    l->unix_path = core_malloc(strlen(path) + 1);
    memcpy(l->unix_path, path, strlen(path) + 1);
    listener_add(l, fd);
    *out = l;
    return ERR_OK;
}

void io_listener_pause(struct io_listener *l, bool paused)
{
    if (l->is_paused == paused)
        return;
    l->is_paused = paused;
    for (uint32_t i = 0; i < l->fd_count; i++) {
        if (paused)
            accept_cancel(&l->fds[i]);
        else
            accept_arm(&l->fds[i]);
    }
}

void io_listener_close(struct io_listener *l)
{
    l->is_closing = true;
    for (uint32_t i = 0; i < l->fd_count; i++) {
        struct listener_fd *lf = &l->fds[i];
        timer_stop(&lf->retry);
        accept_cancel(lf);
        /* Now, not when the accept has ended: the address is free again on return. */
        shutdown(lf->fd, SHUT_RDWR);
        close(lf->fd);
    }
    if (l->unix_path != NULL)
        (void)unlink(l->unix_path);
    listener_free_if_over(l);
}

uint16_t io_listener_port(const struct io_listener *l)
{
    return l->port;
}
