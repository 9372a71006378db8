/*
 * Connections: bytes in, messages, the fiber that serves them, the end.
 *
 * Reading is done by the reactor: bytes are gathered until a whole message is there, and only then
 * a fiber is started. It serves all messages that have arrived, flushes, gives its buffers back and
 * ends. So a client that is idle, slow or in the middle of a message holds no fiber; a client that
 * does not read holds a fiber but no thread, and its input is paused once INPUT_PAUSE_BYTES are
 * waiting.
 *
 * Logins: while sessions that have been there for a while run statements on a core, it admits new
 * ones at login_rate_per_core; the others wait in order, without a fiber. A core whose sessions
 * rest admits as fast as it can. Cancel requests do not wait.
 *
 * A connection is freed when its stream has ended (closed) and no fiber runs for it.
 */
#include "core/defects.h"
#include "net/conn_priv.h"

#include <errno.h>
#include <unistd.h>

#include "core/settings.h"

enum {
    LOGIN_SHARE_KEY = 1, /* no role and database have it */
    LOGIN_SHARE = 20,    /* a fifth of a role's: a storm leaves the core to those who work */
    FIBER_RETRY_US = 10000,
    LOGIN_BURST_US = 5000, /* of the rate, at once */
    LOGIN_RETRY_US = 500,
    STATEMENTS_US = 10000, /* so long after a statement the core counts as working */
    SETTLED_US = 100000,   /* logins whose clients only come and go are not protected */
};

struct conn_queue { /* by fiber_next */
    struct conn *first;
    struct conn *last;
};

struct conn_list {
    struct conn *first;
    uint32_t count;
    struct conn_queue fibers; /* the core had no fiber for them */
    struct timer fiber_retry;
    struct conn_queue logins;
    struct timer login_retry;
    uint64_t login_next_us; /* when the next one may begin */
    uint64_t statement_us;  /* when a settled session last had one */
};

static struct conn_list lists[CORE_COUNT_MAX]; /* each used on its core only */

static void conn_run(void *arg);

uint32_t conn_count_local(void)
{
    return lists[core_id()].count;
}

static void conn_link(struct conn *c)
{
    struct conn_list *l = &lists[core_id()];
    c->next = l->first;
    if (l->first)
        l->first->prev = c;
    l->first = c;
    l->count++;
}

static void conn_unlink(struct conn *c)
{
    struct conn_list *l = &lists[core_id()];
    if (c->prev)
        c->prev->next = c->next;
    else
        l->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    l->count--;
}

/* ---- input ---- */

/* Length of the first message's head and body, or 0 when it is not known yet. */
static size_t conn_message_bytes(const struct conn *c)
{
    size_t have = c->in.end - c->in.begin;
    const uint8_t *p = c->in.data + c->in.begin;
    if (c->phase == CONN_STARTUP)
        return have >= 4 ? load_be32(p) : 0;
    return have >= 5 ? (size_t)load_be32(p + 1) + 1 : 0;
}

/* What a message of a type may say of its length; 0 = there is no such type. */
static size_t conn_bytes_max(uint8_t type)
{
    switch (type) {
    case 'Q':
    case 'P':
    case 'B':
    case 'F':
    case 'd':
        return MESSAGE_BYTES_MAX;
    case 'D':
    case 'E':
    case 'C':
    case 'S':
    case 'H':
    case 'X':
    case 'c':
    case 'f':
    case 'p':
        return SMALL_BYTES_MAX;
    default:
        return 0;
    }
}

/* Lengths that no message may have: answered by an error, so they count as a message that is there.
 */
static bool conn_message_is_bad(const struct conn *c, size_t bytes)
{
    if (c->phase == CONN_STARTUP)
        return bytes < 8 || bytes > STARTUP_BYTES_MAX;
    size_t most = conn_bytes_max(c->in.data[c->in.begin]);
    if (!c->session) /* still authenticating: nothing large is due */
        most = MIN(most, SMALL_BYTES_MAX);
    return bytes < 5 || bytes - 1 > most;
}

bool conn_has_message(const struct conn *c)
{
    if (c->in.end - c->in.begin < (c->phase == CONN_STARTUP ? 4u : 5u))
        return false;
    size_t bytes = conn_message_bytes(c); /* of an unknown type it says nothing: refused at once */
    return conn_message_is_bad(c, bytes) || c->in.end - c->in.begin >= bytes;
}

void conn_consume(struct conn *c, size_t len)
{
    ASSERT(len <= c->in.end - c->in.begin);
    c->in.begin += len;
    if (c->in.begin == c->in.end) {
        c->in.begin = 0;
        c->in.end = 0;
    }
}

static void queue_put(struct conn_queue *q, struct conn *c)
{
    c->fiber_next = NULL;
    if (q->first)
        q->last->fiber_next = c;
    else
        q->first = c;
    q->last = c;
}

static struct conn *queue_take(struct conn_queue *q)
{
    struct conn *c = q->first;
    if (c)
        q->first = c->fiber_next;
    return c;
}

static void conn_retry_fibers(void *arg)
{
    struct conn_list *l = arg;
    while (l->fibers.first && fiber_spawn(conn_run, l->fibers.first) == ERR_OK)
        (void)queue_take(&l->fibers);
    if (l->fibers.first)
        timer_start(&l->fiber_retry, core_now_us() + FIBER_RETRY_US, conn_retry_fibers, l);
}

/* A core that has no fiber left serves it with the next one that a connection gives back, or one
 * that is free a little later. Who is in a transaction block does not queue: those that have all
 * the fibers may wait for its locks. */
static void conn_spawn(struct conn_list *l, struct conn *c)
{
    if (c->session && session_status(c->session) != 'I' &&
        fiber_spawn_past_limit(conn_run, c) == ERR_OK)
        return;
    if (!l->fibers.first && fiber_spawn(conn_run, c) == ERR_OK)
        return;
    if (!l->fibers.first)
        timer_start(&l->fiber_retry, core_now_us() + FIBER_RETRY_US, conn_retry_fibers, l);
    queue_put(&l->fibers, c);
}

static bool login_is_admitted(struct conn_list *l)
{
    uint64_t now = core_now_us();
    if (l->statement_us + STATEMENTS_US < now)
        return true;
    if (l->login_next_us > now)
        return false;
    uint64_t rate = (uint64_t)setting_int(NULL, SET_login_rate_per_core);
    l->login_next_us = MAX(l->login_next_us, now - MIN(now, LOGIN_BURST_US)) + 1000000 / rate;
    return true;
}

static void login_retry(void *arg)
{
    struct conn_list *l = arg;
    while (l->logins.first && login_is_admitted(l))
        conn_spawn(l, queue_take(&l->logins));
    if (l->logins.first)
        timer_start(&l->login_retry, MAX(l->login_next_us, core_now_us() + LOGIN_RETRY_US),
                    login_retry, l);
}

static bool conn_is_cancel_request(const struct conn *c)
{
    return c->in.end - c->in.begin >= 8 && load_be32(c->in.data + c->in.begin + 4) == CODE_CANCEL;
}

static void conn_start_fiber(struct conn *c)
{
    if (c->fiber_runs || !c->socket)
        return;
    c->fiber_runs = true;
    c->arrived_at = stats_clock();
    struct conn_list *l = &lists[core_id()];
    bool is_login = c->phase == CONN_STARTUP && !c->closed && !conn_is_cancel_request(c);
    if (!is_login || (!l->logins.first && login_is_admitted(l))) {
        conn_spawn(l, c);
        return;
    }
    if (!l->logins.first)
        timer_start(&l->login_retry, MAX(l->login_next_us, core_now_us() + LOGIN_RETRY_US),
                    login_retry, l);
    queue_put(&l->logins, c);
}

void conn_input(void *owner, const uint8_t *bytes, size_t len)
{
    struct conn *c = owner;
    bytes_append(&c->in, bytes, len);
}

static void conn_received(void *owner, const uint8_t *data, uint32_t len)
{
    struct conn *c = owner;
    if (c->tls) {
        /* What a fiber sends is in the same queue, and goes as fast as the client reads. */
        bool drains = !c->fiber_runs || !tls_is_ready(c->tls);
        if (!tls_receive(c->tls, data, len, conn_input, c)) {
            io_socket_abort(c->socket);
            return;
        }
        /* Of the handshake, its last flight too, and answers to what is no data. */
        uint8_t out[4096];
        size_t n;
        while (drains && (n = tls_output(c->tls, out, sizeof(out))) > 0) {
            if (!io_socket_send_small(c->socket, out, (uint32_t)n)) {
                io_socket_abort(c->socket);
                return;
            }
        }
    } else {
        conn_input(c, data, len);
    }
    /* While a fiber works, more than a message ahead is not read. A message that is still coming in
     * may grow to its own length. */
    if (c->fiber_runs && c->in.end - c->in.begin > INPUT_PAUSE_BYTES && conn_has_message(c) &&
        !c->paused) {
        c->paused = true;
        io_socket_pause(c->socket, true);
    }
    if (!conn_has_message(c) && !(c->tls && tls_is_ready(c->tls) && c->out.end > 0))
        return;
    if (c->fiber_runs)
        wait_queue_wake_all(&c->input_arrived);
    else
        conn_start_fiber(c);
}

static void conn_free(struct conn *c)
{
    if (c->timer_runs)
        timer_stop(&c->timer);
    conn_unlink(c);
    bytes_free(&c->in);
    bytes_free(&c->out);
    core_free(c->peer);
    tls_free(c->tls);
    io_socket_close(c->socket);
    net_conn_gone();
    core_free(c);
}

static void conn_closed(void *owner, int os_error)
{
    struct conn *c = owner;
    (void)os_error;
    c->closed = true;
    if (c->fiber_runs) {
        /* What it runs is of no use to anybody any more. */
        if (c->session && c->phase == CONN_READY && !c->ending)
            session_cancel(c->session, true);
        wait_queue_wake_all(&c->input_arrived);
        return;
    }
    if (c->session)
        conn_start_fiber(c); /* closes the session */
    else
        conn_free(c);
}

static const struct io_socket_events conn_events = {
    .received = conn_received,
    .closed = conn_closed,
};

/* ---- timers and ends from outside ---- */

static void conn_end(struct conn *c, err_t reason, const char *message)
{
    if (c->end_message || c->closed)
        return;
    c->end_reason = reason;
    c->end_message = message;
    if (c->fiber_runs) {
        if (c->session)
            session_cancel(c->session, true);
        wait_queue_wake_all(&c->input_arrived);
    } else {
        conn_start_fiber(c);
    }
}

static void conn_timed_out(void *arg)
{
    struct conn *c = arg;
    c->timer_runs = false;
    /* The phase does not tell: while a password is asked for, messages are read as after login. */
    if (!c->session) {
        io_socket_abort(c->socket);
        return;
    }
    err_t code;
    if (session_idle_limit_ms(c->session, &code) > 0)
        conn_end(c, code,
                 code == ERR_IDLE_SESSION_TIMEOUT
                     ? "terminating connection due to idle-session timeout"
                     : "terminating connection due to idle-in-transaction timeout");
}

static void conn_set_timer(struct conn *c, int64_t ms)
{
    if (c->timer_runs)
        timer_stop(&c->timer);
    c->timer_runs = ms > 0;
    c->timer_us = core_now_us() + (uint64_t)MAX(ms, 0) * 1000;
    if (ms > 0)
        timer_start(&c->timer, c->timer_us, conn_timed_out, c);
}

static void conn_set_idle_timer(struct conn *c)
{
    err_t code;
    if (c->session && !c->timer_runs)
        conn_set_timer(c, session_idle_limit_ms(c->session, &code));
}

static void conn_terminated(void *owner)
{
    conn_end(owner, ERR_ADMIN_SHUTDOWN, "terminating connection due to administrator command");
}

/* It was asked to move while it was idle. */
static void conn_asked_to_move(void *owner)
{
    struct conn *c = owner;
    if (!c->closed)
        conn_start_fiber(c);
}

/* While a fiber runs it sees to them itself, at the end of its messages at the latest. */
static void conn_notified(void *owner)
{
    struct conn *c = owner;
    if (!c->closed)
        conn_start_fiber(c);
}

void conn_end_all(err_t reason, const char *message)
{
    struct conn *next;
    for (struct conn *c = lists[core_id()].first; c; c = next) {
        next = c->next;
        if (c->phase == CONN_STARTUP && !c->fiber_runs)
            io_socket_abort(c->socket);
        else
            conn_end(c, reason, message);
    }
}

/* ---- reading and writing in the fiber ---- */

SUSPENDS err_t conn_read_message_wait(struct conn *c, uint8_t *type, const uint8_t **body,
                                      size_t *len)
{
    while (!conn_has_message(c)) {
        if (c->closed)
            return err_raise(ERR_CONNECTION_FAILURE, "unexpected EOF on client connection");
        if (c->end_message)
            return err_raise(c->end_reason, "%s", c->end_message);
        if (c->paused) {
            c->paused = false;
            io_socket_pause(c->socket, false);
        }
        TRY(conn_flush_wait(c));
        if (!conn_has_message(c) && !c->closed)
            TRY(wait_queue_wait(&c->input_arrived, UINT64_MAX));
    }
    size_t bytes = conn_message_bytes(c);
    const uint8_t *p = c->in.data + c->in.begin;
    *type = p[0];
    if (conn_bytes_max(*type) == 0) { /* the caller refuses it */
        *body = p;
        *len = 0;
        conn_consume(c, c->in.end - c->in.begin);
        return ERR_OK;
    }
    if (conn_message_is_bad(c, bytes)) {
        c->ending = true;
        return err_raise(ERR_PROTOCOL_VIOLATION, "invalid message length");
    }
    *body = p + 5;
    *len = bytes - 5;
    conn_consume(c, bytes);
    /* begin/end may have been reset, the bytes stay until more input is appended, which happens in
     * waits only; the body is used before the next one. */
    return ERR_OK;
}

static SUSPENDS err_t conn_send_tls_wait(struct conn *c)
{
    if (!tls_send(c->tls, c->out.data, c->out.end))
        return err_raise(ERR_CONNECTION_FAILURE, "could not send data to client: TLS error");
    uint8_t *buffer = core_malloc(OUTPUT_FLUSH_BYTES);
    err_t e = ERR_OK;
    size_t n;
    while (e == ERR_OK && (n = tls_output(c->tls, buffer, OUTPUT_FLUSH_BYTES)) > 0)
        e = io_socket_send_wait(c->socket, buffer, n);
    core_free(buffer);
    return e;
}

/* Every way out of `out` goes through here first. */
static SUSPENDS err_t conn_observe_wait(struct conn *c)
{
    if (!c->out_tells || !c->session || DEFECT(ROWS_TOLD_EARLY))
        return ERR_OK;
    c->out_tells = false;
    return session_before_send_wait(c->session);
}

SUSPENDS err_t conn_flush_wait(struct conn *c)
{
    if (c->out.end == 0)
        return ERR_OK;
    if (c->send_failed || c->closed) {
        c->out.end = 0;
        return err_raise(ERR_CONNECTION_FAILURE, "connection to client lost");
    }
    TRY(conn_observe_wait(c));
    err_t e =
        c->tls ? conn_send_tls_wait(c) : io_socket_send_wait(c->socket, c->out.data, c->out.end);
    c->out.end = 0;
    c->send_failed = e != ERR_OK;
    return e;
}

/* The last answer of a fiber: a small one is left with the socket, so that the fiber need not wait
 * for the kernel to take it. A client that does not read fills the socket's bounded room, and then
 * the fiber waits. */
static SUSPENDS err_t conn_reply_wait(struct conn *c)
{
    TRY(conn_observe_wait(c));
    if (!c->tls && !c->send_failed && !c->closed && c->out.end > 0 &&
        c->out.end <= REPLY_COPY_BYTES_MAX &&
        io_socket_send_small(c->socket, c->out.data, u32_from(c->out.end))) {
        c->out.end = 0;
        return ERR_OK;
    }
    return conn_flush_wait(c);
}

/* ---- the fiber ---- */

static void conn_tell_end(struct conn *c)
{
    struct diag *d = arena_alloc(c->scratch, sizeof(*d));
    diag_copy(d, err_diag());
    out_error(c, "FATAL", d, false);
}

static SUSPENDS void conn_finish_wait(struct conn *c)
{
    if (c->session) {
        session_close_wait(c->session);
        c->session = NULL;
    }
    fiber_cancel_clear();
    if (!c->closed)
        ERR_IGNORE(conn_flush_wait(c));
    conn_free(c);
}

static bool conn_has_notifications(const struct conn *c)
{
    return c->session && !c->closed && !c->end_message && session_has_notifications(c->session);
}

/* Between messages. */
static bool conn_looks_whether_to_move(struct conn *c)
{
    c->moves = c->phase == CONN_READY && !c->ending && !c->closed && !c->end_message &&
               session_wants_to_move(c->session, &c->move_to);
    return c->moves;
}

static SUSPENDS void conn_serve_all_wait(struct conn *c)
{
    bool served = false;
    c->moves = false;
    if (c->timer_runs && c->phase == CONN_READY && conn_has_message(c))
        conn_set_timer(c, 0); /* notifications do not count as doing something */
    while (!c->ending && !c->closed && !c->end_message && conn_has_message(c)) {
        if (c->phase == CONN_STARTUP) {
            conn_startup_wait(c);
        } else {
            if (core_now_us() - c->ready_us > SETTLED_US)
                lists[core_id()].statement_us = core_now_us();
            conn_serve_wait(c);
        }
        if (c->session && session_is_terminated(c->session) && !c->end_message) {
            c->end_reason = ERR_ADMIN_SHUTDOWN;
            c->end_message = "terminating connection due to administrator command";
        }
        served = true;
        arena_reset(c->scratch);
        if (conn_looks_whether_to_move(c))
            break;
    }
    if (!served && !conn_has_message(c))
        (void)conn_looks_whether_to_move(c); /* asked for while it was idle */
    if (!c->ending && conn_has_notifications(c))
        ERR_IGNORE(session_notifications_wait(c->session)); /* the flush to come tells */
    if (c->end_message && !c->closed && !c->ending) {
        ERR_IGNORE(err_raise(c->end_reason, "%s", c->end_message));
        conn_tell_end(c);
        c->ending = true;
    }
}

static void conn_take_share(const struct conn *c)
{
    uint64_t key = LOGIN_SHARE_KEY;
    uint32_t share = LOGIN_SHARE;
    if (c->session)
        session_share(c->session, &key, &share);
    fiber_share(key, share);
}

/* What it needs only for working goes. */
static void conn_rest(struct conn *c)
{
    if (c->session)
        session_rest(c->session);
    c->sink = NULL;
    bytes_free(&c->out);
    if (c->in.begin == c->in.end)
        bytes_free(&c->in);
    arena_free(c->scratch);
    c->scratch = NULL;
}

/* ---- to another core ---- */

static void conn_memory(struct conn *c, void (*piece)(void *p))
{
    piece(c);
    piece(c->in.data);
    if (c->tls)
        tls_memory(c->tls, piece);
}

static void conn_arrive_post(void *arg)
{
    struct conn *c = arg;
    conn_link(c);
    conn_memory(c, core_memory_join);
    net_conn_moved(c->moved_from);
    err_t e = io_socket_attach(c->moved_fd, &conn_events, c, &c->socket);
    ASSERT(e == ERR_OK);
    session_move_join(c->move);
    c->move = NULL;
    c->fiber_runs = false;
    if (c->timer_runs)
        timer_start(&c->timer, c->timer_us, conn_timed_out, c);
    if (net_ends_sessions() && !c->end_message)
        conn_end(c, ERR_ADMIN_SHUTDOWN, net_end_message);
    else if (c->end_message || conn_has_message(c) || conn_has_notifications(c))
        conn_start_fiber(c);
    else
        conn_set_idle_timer(c);
}

/* false: it stays. True: c is not this core's any more. */
static SUSPENDS bool conn_move_wait(struct conn *c)
{
    c->moves = false;
    if (net_is_stopping()) {
        stats_add(&stats_self()->refused_stopping, 1);
        return false;
    }
    struct session_move *m = session_move_begin_wait(c->session, c->move_to);
    int fd = c->closed ? -1 : io_socket_release_wait(c->socket);
    if (fd < 0) {
        stats_add(&stats_self()->refused_socket, 1);
        c->paused = false;
        session_move_cancel_wait(m);
        return false;
    }
    conn_rest(c);
    if (c->timer_runs)
        timer_stop(&c->timer);
    c->socket = NULL;
    c->paused = false;
    c->move = m;
    c->moved_fd = fd;
    c->moved_from = core_id();
    session_move_leave(m);
    conn_unlink(c);
    c->next = c->prev = NULL;
    conn_memory(c, core_memory_leave);
    core_post(c->move_to, conn_arrive_post, c);
    return true;
}

static SUSPENDS void conn_run_wait(struct conn *c)
{
    struct row_sink sink;
    sink_init(&sink, c);
    c->sink = &sink;
    c->scratch = arena_new();
    if (c->session)
        session_wake(c->session, &sink);
    struct stats_trace trace;
    uint64_t arrived_at = c->arrived_at;
    for (;;) {
        conn_take_share(c);
        if (c->phase == CONN_READY)
            stats_trace_begin(&trace, arrived_at);
        conn_serve_all_wait(c);
        if (c->ending || c->closed)
            break;
        uint64_t served_at = stats_clock();
        if (conn_reply_wait(c) != ERR_OK)
            break;
        stats_trace_add(STATS_STAGE_send, served_at);
        stats_trace_end();
        arrived_at = stats_clock(); /* of what came meanwhile, nearly */
        if (c->paused) {
            c->paused = false;
            io_socket_pause(c->socket, false);
        }
        if (c->moves && conn_move_wait(c))
            return;
        if (!conn_has_message(c) && !c->closed && !c->end_message && !conn_has_notifications(c)) {
            conn_set_idle_timer(c);
            conn_rest(c);
            c->fiber_runs = false;
            return;
        }
    }
    struct arena *scratch = c->scratch;
    conn_finish_wait(c);
    arena_free(scratch);
}

static SUSPENDS void conn_run(void *arg)
{
    struct conn_list *l = &lists[core_id()];
    struct conn *c = arg;
    do {
        conn_run_wait(c);
        fiber_cancel_clear();
    } while ((c = queue_take(&l->fibers)) != NULL);
}

void conn_adopt(int os_fd)
{
    struct conn *c = core_zalloc(sizeof(*c));
    conn_link(c);
    if (io_socket_adopt(os_fd, &conn_events, c, &c->socket) != ERR_OK) {
        close(os_fd);
        conn_unlink(c);
        net_conn_gone();
        core_free(c);
        return;
    }
    c->peer = core_malloc(sizeof(*c->peer));
    io_socket_peer(c->socket, c->peer);
    conn_set_timer(c, setting_int(NULL, SET_authentication_timeout) * 1000);
}

void conn_logged_in(struct conn *c)
{
    conn_set_timer(c, 0);
    core_free(c->peer);
    c->peer = NULL;
    io_socket_settle(c->socket);
    c->ready_us = core_now_us();
    c->phase = CONN_READY;
    session_on_terminate(c->session, conn_terminated, c);
    session_on_notify(c->session, conn_notified, c);
    session_on_move(c->session, conn_asked_to_move, c);
}
