/*
 * Simulated sockets: a connection is two ends; each end holds what has been sent to it, with times
 * of arrival, up to a window. An end is named by a small number, which stands for the descriptor.
 * An end may be adopted on any core; what happens to it happens as events of that core.
 */
#include "core/io_sim_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_BYTES_MAX = 65536, CHUNK_BYTES_MAX = 8192, FD_FIRST = 1000000 };

struct chunk {
    struct chunk *next;
    uint64_t arrives_us;
    uint32_t len;
    bool is_end;
    int os_error;
    uint8_t bytes[];
};

struct end {
    int fd;
    int peer; /* -1: gone */
    bool is_unix;
    struct chunk *first;
    struct chunk *last;
    uint64_t queued; /* bytes not yet taken */
    uint64_t last_arrival_us;
    struct io_socket *socket; /* adopted */
};

struct send_item {
    struct send_item *next;
    const uint8_t *data;
    size_t len;
    struct fiber *fiber;
    bool *failed;
    uint8_t copy[];
};

struct io_socket {
    struct core *core;
    const struct io_socket_events *events;
    void *owner;
    int fd;
    struct send_item *first;
    struct send_item *last;
    struct fiber *releaser; /* waits in io_socket_release_wait */
    uint64_t small_bytes;
    uint32_t events_pending;
    bool is_paused;
    bool is_closing;
    bool is_aborted;
    bool is_closed_told;
    bool is_over;
};

struct io_listener {
    struct io_listener *next;
    struct core *core;
    void (*accepted)(void *owner, int os_fd);
    void *owner;
    uint32_t events_pending;
    bool is_paused;
    bool is_closing;
    uint16_t port;
    char where[128];
};

static struct {
    struct end **ends;
    int end_count;
    int end_room;
    struct io_listener *listeners;
    uint16_t next_port;
} net;

static struct end *end_of(int fd)
{
    int i = fd - FD_FIRST;
    return i >= 0 && i < net.end_count ? net.ends[i] : NULL;
}

static struct end *end_new(void)
{
    if (net.end_count == net.end_room) {
        net.end_room = net.end_room == 0 ? 64 : net.end_room * 2;
        net.ends = realloc((void *)net.ends, (size_t)net.end_room * sizeof(struct end *));
        ASSERT(net.ends != NULL);
    }
    struct end *e = calloc(1, sizeof(*e));
    ASSERT(e != NULL);
    e->fd = FD_FIRST + net.end_count;
    e->peer = -1;
    net.ends[net.end_count++] = e;
    return e;
}

static void end_free(struct end *e)
{
    while (e->first != NULL) {
        struct chunk *next = e->first->next;
        free(e->first);
        e->first = next;
    }
    net.ends[e->fd - FD_FIRST] = NULL;
    free(e);
}

void sim_net_reset(void)
{
    for (int i = 0; i < net.end_count; i++)
        if (net.ends[i] != NULL)
            end_free(net.ends[i]);
    free((void *)net.ends);
    memset(&net, 0, sizeof(net));
}

/* ---- delivery ---- */

static void socket_fire(void *arg);

static void socket_poke(struct io_socket *s, uint64_t delay_us)
{
    s->events_pending++;
    sim_event_add(s->core, delay_us, socket_fire, s);
}

/* Bytes (or the end) on their way to e. */
static void end_push(struct end *e, const void *bytes, uint32_t len, bool is_end, int os_error)
{
    struct chunk *c = malloc(sizeof(*c) + len);
    ASSERT(c != NULL);
    uint64_t delay = sim_random_between(5, 100);
    if (sim_happens(sim_world->faults.net_stall))
        delay += sim_random_between(1, MAX(sim_world->faults.net_stall_us_max, 1));
    uint64_t arrives = MAX(sim_now_us() + delay, e->last_arrival_us);
    *c = (struct chunk){.arrives_us = arrives, .len = len, .is_end = is_end, .os_error = os_error};
    if (len > 0)
        memcpy(c->bytes, bytes, len);
    e->last_arrival_us = arrives;
    e->queued += len;
    if (e->last != NULL)
        e->last->next = c;
    else
        e->first = c;
    e->last = c;
    sim_trace((uint64_t)e->fd, len);
    if (e->socket != NULL)
        socket_poke(e->socket, arrives - sim_now_us());
}

static void releaser_wake(struct io_socket *s)
{
    struct fiber *f = s->releaser;
    s->releaser = NULL;
    if (f != NULL)
        fiber_make_ready(f);
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
        s->small_bytes -= item->len;
        core_free(item);
    }
    if (s->first == NULL)
        releaser_wake(s);
}

/* The connection breaks: both ends are told, what is on its way is lost. */
static void end_break(struct end *e)
{
    while (e->first != NULL) {
        struct chunk *next = e->first->next;
        free(e->first);
        e->first = next;
    }
    e->last = NULL;
    e->queued = 0;
    e->peer = -1;
    end_push(e, NULL, 0, true, ECONNRESET);
}

static void ends_break(struct io_socket *s)
{
    struct end *e = end_of(s->fd);
    struct end *peer = end_of(e->peer);
    end_break(peer);
    end_break(e);
}

/* Move what is queued into the peer's window. */
static void socket_send_more(struct io_socket *s)
{
    const struct end *e = end_of(s->fd);
    struct end *peer;
    while (s->first != NULL) {
        struct send_item *item = s->first;
        peer = e != NULL && e->peer >= 0 ? end_of(e->peer) : NULL;
        if (peer == NULL || s->is_aborted) {
            send_item_done(s, true);
            continue;
        }
        uint64_t window = sim_world->faults.net_window_bytes;
        uint64_t room = peer->queued < window ? window - peer->queued : 0;
        uint32_t part = (uint32_t)MIN(MIN(item->len, room), CHUNK_BYTES_MAX);
        if (part == 0)
            return;
        if (sim_happens(sim_world->faults.net_reset)) {
            ends_break(s);
            continue;
        }
        if (part > 1 && sim_random() % 100 < sim_world->faults.net_split_percent)
            part = (uint32_t)sim_random_between(1, part); /* streams have no borders */
        end_push(peer, item->data, part, false, 0);
        item->data += part;
        item->len -= part;
        if (item->fiber == NULL)
            s->small_bytes -= part;
        if (item->len == 0)
            send_item_done(s, false);
    }
}

static void socket_receive(struct io_socket *s)
{
    struct end *e = end_of(s->fd);
    while (e->first != NULL && e->first->arrives_us <= sim_now_us() && !s->is_closing &&
           !s->is_closed_told && (!s->is_paused || s->is_aborted)) {
        struct chunk *c = e->first;
        e->first = c->next;
        if (e->first == NULL)
            e->last = NULL;
        e->queued -= c->len;
        if (c->is_end) {
            s->is_closed_told = true;
            s->events->closed(s->owner, c->os_error);
        } else if (!s->is_aborted) {
            s->events->received(s->owner, c->bytes, c->len);
        }
        free(c);
    }
    const struct end *peer = e->peer >= 0 ? end_of(e->peer) : NULL;
    if (peer != NULL && peer->socket != NULL && peer->socket->first != NULL)
        socket_poke(peer->socket, sim_random_between(1, 50)); /* there is room again */
}

static void socket_end_if_over(struct io_socket *s)
{
    if (!s->is_closing || s->first != NULL)
        return;
    if (!s->is_over) {
        s->is_over = true;
        struct end *e = s->fd >= 0 ? end_of(s->fd) : NULL;
        if (e != NULL) {
            struct end *peer = e->peer >= 0 ? end_of(e->peer) : NULL;
            if (peer != NULL) {
                end_push(peer, NULL, 0, true, 0);
                peer->peer = -1;
            }
            end_free(e);
        }
        stats_sub(&s->core->stats->sockets, 1);
    }
    if (s->events_pending == 0)
        core_free(s);
}

static void socket_fire(void *arg)
{
    struct io_socket *s = arg;
    if (!s->is_over) {
        s->events_pending++; /* a callback may close it */
        if (s->fd >= 0 && end_of(s->fd) != NULL) {
            if (!s->is_closing)
                socket_receive(s);
            if (!s->is_over)
                socket_send_more(s);
        }
        s->events_pending--;
    }
    s->events_pending--;
    socket_end_if_over(s);
}

/* ---- sockets ---- */

err_t io_socket_attach(int os_fd, const struct io_socket_events *events, void *owner,
                       struct io_socket **out)
{
    return io_socket_adopt(os_fd, events, owner, out);
}

err_t io_socket_adopt(int os_fd, const struct io_socket_events *events, void *owner,
                      struct io_socket **out)
{
    *out = NULL;
    struct end *e = end_of(os_fd);
    if (e == NULL || e->socket != NULL)
        return err_raise(ERR_CONNECTION_FAILURE, "no such simulated connection");
    struct io_socket *s = core_zalloc(sizeof(*s));
    s->core = core_self();
    s->events = events;
    s->owner = owner;
    s->fd = os_fd;
    e->socket = s;
    stats_add(&s->core->stats->sockets, 1);
    socket_poke(s, 1);
    for (const struct chunk *c = e->first; c != NULL; c = c->next)
        if (c->arrives_us > sim_now_us())
            socket_poke(s, c->arrives_us - sim_now_us());
    *out = s;
    return ERR_OK;
}

void io_socket_pause(struct io_socket *s, bool paused)
{
    if (s->is_paused && !paused)
        socket_poke(s, 1);
    s->is_paused = paused;
}

static void send_enqueue(struct io_socket *s, struct send_item *item)
{
    if (s->last != NULL)
        s->last->next = item;
    else
        s->first = item;
    s->last = item;
    socket_poke(s, sim_random_between(1, 5));
}

err_t io_socket_send_wait(struct io_socket *s, const void *data, size_t len)
{
    if (runner_is_borrowing())
        return err_would_suspend();
    if (len == 0)
        return ERR_OK;
    bool failed = s->is_closing || s->is_aborted;
    if (!failed) {
        struct send_item item = {
            .data = data, .len = len, .fiber = runner.fiber, .failed = &failed};
        send_enqueue(s, &item);
        fiber_suspend_wait();
    }
    return failed ? err_raise(ERR_CONNECTION_FAILURE, "could not send data to client") : ERR_OK;
}

bool io_socket_send_small(struct io_socket *s, const void *data, uint32_t len)
{
    if (s->is_closing || s->is_aborted || s->small_bytes + len > SMALL_BYTES_MAX)
        return false;
    if (len == 0)
        return true;
    struct send_item *item = core_malloc(sizeof(*item) + len);
    *item = (struct send_item){.data = item->copy, .len = len};
    memcpy(item->copy, data, len);
    s->small_bytes += len;
    send_enqueue(s, item);
    return true;
}

void io_socket_abort(struct io_socket *s)
{
    if (s->is_aborted || s->is_closing)
        return;
    s->is_aborted = true;
    struct end *e = end_of(s->fd);
    struct end *peer = e->peer >= 0 ? end_of(e->peer) : NULL;
    if (peer != NULL) {
        end_push(peer, NULL, 0, true, 0);
        peer->peer = -1;
        e->peer = -1;
    }
    end_push(e, NULL, 0, true, 0);
    releaser_wake(s);
}

void io_socket_close(struct io_socket *s)
{
    ASSERT(!s->is_closing);
    s->is_closing = true;
    socket_poke(s, 1);
}

void io_socket_settle(struct io_socket *s)
{
    (void)s;
}

uint64_t io_socket_capacity(void)
{
    return UINT32_MAX;
}

int io_socket_release_wait(struct io_socket *s)
{
    ASSERT(!s->is_closing && s->releaser == NULL);
    s->is_paused = true;
    while (s->first != NULL && !s->is_aborted) {
        s->releaser = runner.fiber;
        fiber_suspend_wait();
    }
    if (s->is_aborted || s->is_closed_told) {
        io_socket_pause(s, false);
        return -1;
    }
    int fd = s->fd;
    end_of(fd)->socket = NULL;
    s->fd = -1;
    s->is_closing = true;
    socket_poke(s, 1);
    return fd;
}

void io_socket_peer(const struct io_socket *s, struct io_peer *out)
{
    *out = (struct io_peer){0};
    const struct end *e = end_of(s->fd);
    if (e == NULL)
        return;
    out->is_unix = e->is_unix;
    if (e->is_unix)
        return;
    out->ip_bytes = 4;
    out->ip[0] = 127;
    out->ip[3] = 1;
    out->port = (uint16_t)(1024 + (e->fd - FD_FIRST) % 60000);
    snprintf(out->address, sizeof(out->address), "127.0.0.1");
}

/* ---- listening and connecting ---- */

struct arrival {
    struct io_listener *listener;
    int fd;
};

static void listener_free_if_over(struct io_listener *l)
{
    if (l->is_closing && l->events_pending == 0)
        core_free(l);
}

static void arrival_fire(void *arg)
{
    struct arrival a = *(struct arrival *)arg;
    if (a.listener->is_paused && !a.listener->is_closing) {
        sim_event_add(a.listener->core, 1000, arrival_fire, arg);
        return;
    }
    free(arg);
    a.listener->events_pending--;
    if (!a.listener->is_closing) {
        a.listener->accepted(a.listener->owner, a.fd);
        return;
    }
    struct end *e = end_of(a.fd);
    struct end *peer = e->peer >= 0 ? end_of(e->peer) : NULL;
    if (peer != NULL) {
        end_push(peer, NULL, 0, true, 0);
        peer->peer = -1;
    }
    end_free(e);
    listener_free_if_over(a.listener);
}

int io_sim_connect(const char *where)
{
    struct io_listener *l = net.listeners;
    while (l != NULL && strcmp(l->where, where) != 0)
        l = l->next;
    if (l == NULL)
        return -1;
    struct end *client = end_new();
    struct end *server = end_new();
    client->peer = server->fd;
    server->peer = client->fd;
    client->is_unix = server->is_unix = strncmp(where, "unix:", 5) == 0;
    struct arrival *a = malloc(sizeof(*a));
    ASSERT(a != NULL);
    *a = (struct arrival){.listener = l, .fd = server->fd};
    l->events_pending++;
    sim_event_add(l->core, sim_random_between(10, 200), arrival_fire, a);
    return client->fd;
}

static err_t listen_on(const char *where, uint16_t port, void (*accepted)(void *owner, int os_fd),
                       void *owner, struct io_listener **out)
{
    *out = NULL;
    for (const struct io_listener *l = net.listeners; l != NULL; l = l->next)
        if (strcmp(l->where, where) == 0)
            return err_raise(ERR_IO_ERROR, "could not listen on \"%s\": Address already in use",
                             where);
    struct io_listener *l = core_zalloc(sizeof(*l));
    l->core = core_self();
    l->accepted = accepted;
    l->owner = owner;
    l->port = port;
    snprintf(l->where, sizeof(l->where), "%s", where);
    l->next = net.listeners;
    net.listeners = l;
    *out = l;
    return ERR_OK;
}

err_t io_listen_tcp(const char *host, uint16_t port, uint32_t backlog,
                    void (*accepted)(void *owner, int os_fd), void *owner, struct io_listener **out)
{
    (void)host;
    (void)backlog;
    if (port == 0)
        port = (uint16_t)(20000 + net.next_port++);
    char where[32];
    snprintf(where, sizeof(where), "tcp:%u", port);
    return listen_on(where, port, accepted, owner, out);
}

err_t io_listen_unix(const char *path, uint32_t mode, uint32_t backlog,
                     void (*accepted)(void *owner, int os_fd), void *owner,
                     struct io_listener **out)
{
    (void)mode;
    (void)backlog;
    char where[128];
    snprintf(where, sizeof(where), "unix:%s", path);
    return listen_on(where, 0, accepted, owner, out);
}

void io_listener_pause(struct io_listener *l, bool paused)
{
    l->is_paused = paused;
}

void io_listener_close(struct io_listener *l)
{
    struct io_listener **at = &net.listeners;
    while (*at != NULL && *at != l)
        at = &(*at)->next;
    if (*at != NULL)
        *at = l->next;
    l->is_closing = true;
    listener_free_if_over(l);
}

uint16_t io_listener_port(const struct io_listener *l)
{
    return l->port;
}
