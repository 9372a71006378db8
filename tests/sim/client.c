/*
 * A client of the simulated server: protocol 3 over a simulated socket, one request at a time, in a
 * fiber of the clients' core. It knows nothing of the server's code.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

enum { REQUEST_US_MAX = 120000000, CONNECT_US_MAX = 60000000 };

struct cell {
    uint32_t at; /* in values */
    bool is_null;
};

struct client {
    struct io_socket *socket;
    struct wait_queue wake;
    uint8_t *in;
    size_t in_len;
    size_t in_room;
    size_t in_at;
    bool closed;
    uint32_t pid;
    uint32_t key;
    char status;
    /* of the last request */
    char *values;
    size_t values_len;
    size_t values_room;
    struct cell *cells;
    uint32_t cell_count;
    uint32_t cell_room;
    uint32_t row_count;
    uint32_t column_count;
    bool failed;
    bool parsed; /* ParseComplete came */
    char sqlstate[6];
    char message[256];
    char tag[64];
    char prepared[16][32];
    char doing[100]; /* the request, or its beginning */
    uint32_t prepared_count;
    uint8_t *out;
    size_t out_len;
    size_t out_room;
};

/* ---- bytes out ---- */

static void out_bytes(struct client *c, const void *bytes, size_t len)
{
    if (c->out_len + len > c->out_room) {
        c->out_room = MAX(c->out_room * 2, c->out_len + len + 256);
        c->out = realloc(c->out, c->out_room);
        ASSERT(c->out != NULL);
    }
    memcpy(c->out + c->out_len, bytes, len);
    c->out_len += len;
}

static void out_u32(struct client *c, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    out_bytes(c, b, 4);
}

static void out_u16(struct client *c, uint16_t v)
{
    uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    out_bytes(c, b, 2);
}

static void out_text(struct client *c, const char *s)
{
    out_bytes(c, s, strlen(s) + 1);
}

/* Returns where the length goes; type 0 = none (start-up). */
static size_t out_begin(struct client *c, char type)
{
    if (type != 0)
        out_bytes(c, &type, 1);
    size_t at = c->out_len;
    out_u32(c, 0);
    return at;
}

static void out_end(struct client *c, size_t at)
{
    uint32_t v = (uint32_t)(c->out_len - at);
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    memcpy(c->out + at, b, 4);
}

SUSPENDS static bool out_send_wait(struct client *c)
{
    bool ok = !c->closed && io_socket_send_wait(c->socket, c->out, c->out_len) == ERR_OK;
    c->out_len = 0;
    return ok;
}

/* ---- bytes in ---- */

static void received(void *owner, const uint8_t *data, uint32_t len)
{
    struct client *c = owner;
    if (c->in_at == c->in_len)
        c->in_at = c->in_len = 0;
    if (c->in_len + len > c->in_room) {
        c->in_room = MAX(c->in_room * 2, c->in_len + len + 1024);
        c->in = realloc(c->in, c->in_room);
        ASSERT(c->in != NULL);
    }
    memcpy(c->in + c->in_len, data, len);
    c->in_len += len;
    wait_queue_wake_all(&c->wake);
}

static void closed(void *owner, int os_error)
{
    (void)os_error;
    struct client *c = owner;
    c->closed = true;
    wait_queue_wake_all(&c->wake);
}

static const struct io_socket_events events = {.received = received, .closed = closed};

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The next whole message; false when the connection ended first. Valid until the next call. */
SUSPENDS static bool next_message_wait(struct client *c, char *type, const uint8_t **body,
                                       uint32_t *len)
{
    uint64_t deadline = core_now_us() + REQUEST_US_MAX;
    for (;;) {
        size_t have = c->in_len - c->in_at;
        if (have >= 5) {
            const uint8_t *p = c->in + c->in_at;
            uint32_t bytes = get_u32(p + 1);
            SIM_CHECK(bytes >= 4 && bytes < MIB(64), "a message of %u bytes", bytes);
            if (have >= (size_t)bytes + 1) {
                *type = (char)p[0];
                *body = p + 5;
                *len = bytes - 4;
                c->in_at += (size_t)bytes + 1;
                run->progress_us = io_sim_now_us();
                return true;
            }
        }
        if (c->closed)
            return false;
        err_t e = wait_queue_wait(&c->wake, deadline);
        SIM_CHECK(e == ERR_OK || core_now_us() < deadline,
                  "no answer for %u simulated seconds to %s", REQUEST_US_MAX / 1000000, c->doing);
    }
}

/* ---- life ---- */

void client_break(struct client *c)
{
    if (c == NULL)
        return;
    if (!c->closed)
        io_socket_abort(c->socket);
    io_socket_close(c->socket);
    free(c->in);
    free(c->out);
    free(c->values);
    free(c->cells);
    free(c);
}

void client_close_wait(struct client *c)
{
    if (c == NULL)
        return;
    out_end(c, out_begin(c, 'X'));
    (void)out_send_wait(c);
    client_break(c);
}

static struct client *connect_raw(void)
{
    int fd = io_sim_connect("tcp:" SIM_PORT);
    if (fd < 0)
        return NULL;
    struct client *c = calloc(1, sizeof(*c));
    ASSERT(c != NULL);
    if (io_socket_adopt(fd, &events, c, &c->socket) != ERR_OK)
        sim_fail("a connection could not be adopted");
    return c;
}

struct client *client_open_wait(void)
{
    struct client *c = connect_raw();
    if (c == NULL)
        return NULL;
    size_t at = out_begin(c, 0);
    out_u32(c, 3 << 16);
    out_text(c, "user");
    out_text(c, "postgres");
    out_text(c, "");
    out_end(c, at);
    if (!out_send_wait(c) || client_finish_wait(c) != DONE) {
        client_break(c);
        return NULL;
    }
    return c;
}

void client_cancel_wait(struct client *c)
{
    struct client *other = connect_raw();
    if (other == NULL)
        return;
    size_t at = out_begin(other, 0);
    out_u32(other, 80877102);
    out_u32(other, c->pid);
    out_u32(other, c->key);
    out_end(other, at);
    (void)out_send_wait(other);
    while (!other->closed &&
           wait_queue_wait(&other->wake, core_now_us() + REQUEST_US_MAX) == ERR_OK)
        continue;
    client_break(other);
}

/* ---- answers ---- */

static void add_row(struct client *c, const uint8_t *p, uint32_t len)
{
    const uint8_t *end = p + len;
    uint32_t columns = (uint32_t)p[0] << 8 | p[1];
    p += 2;
    c->column_count = columns;
    for (uint32_t i = 0; i < columns; i++) {
        SIM_CHECK(end - p >= 4, "a short DataRow");
        uint32_t bytes = get_u32(p);
        p += 4;
        if (c->cell_count == c->cell_room) {
            c->cell_room = MAX(c->cell_room * 2, 64);
            c->cells = realloc(c->cells, c->cell_room * sizeof(*c->cells));
            ASSERT(c->cells != NULL);
        }
        struct cell *cell = &c->cells[c->cell_count++];
        *cell = (struct cell){.at = (uint32_t)c->values_len, .is_null = bytes == UINT32_MAX};
        if (cell->is_null)
            continue;
        SIM_CHECK((uint64_t)(end - p) >= bytes, "a short DataRow");
        if (c->values_len + bytes + 1 > c->values_room) {
            c->values_room = MAX(c->values_room * 2, c->values_len + bytes + 256);
            c->values = realloc(c->values, c->values_room);
            ASSERT(c->values != NULL);
        }
        memcpy(c->values + c->values_len, p, bytes);
        c->values[c->values_len + bytes] = '\0';
        c->values_len += bytes + 1;
        p += bytes;
    }
    c->row_count++;
}

static void take_error(struct client *c, const uint8_t *p, uint32_t len)
{
    c->failed = true;
    const char *at = (const char *)p;
    const char *end = at + len;
    while (at < end && *at != '\0') {
        char field = *at++;
        size_t bytes = strnlen(at, (size_t)(end - at));
        if (field == 'C')
            (void)snprintf(c->sqlstate, sizeof(c->sqlstate), "%.*s", (int)bytes, at);
        if (field == 'M')
            (void)snprintf(c->message, sizeof(c->message), "%.*s", (int)bytes, at);
        if (field == 'W')
            sim_note("context: %.*s", (int)bytes, at);
        at += bytes + 1;
    }
}

static void begin_request(struct client *c, const char *text)
{
    (void)snprintf(c->doing, sizeof(c->doing), "%s", text);
    c->values_len = 0;
    c->cell_count = 0;
    c->row_count = 0;
    c->column_count = 0;
    c->failed = false;
    c->parsed = false;
    c->sqlstate[0] = '\0';
    c->message[0] = '\0';
    c->tag[0] = '\0';
}

/* Until ReadyForQuery, or CopyInResponse with is_copy. */
SUSPENDS static enum answer answer_wait(struct client *c, bool is_copy, bool *copy_began)
{
    char type;
    const uint8_t *body;
    uint32_t len;
    while (next_message_wait(c, &type, &body, &len)) {
        switch (type) {
        case 'D':
            add_row(c, body, len);
            break;
        case 'E':
            take_error(c, body, len);
            break;
        case 'C':
            (void)snprintf(c->tag, sizeof(c->tag), "%.*s", (int)len, (const char *)body);
            break;
        case 'K':
            c->pid = get_u32(body);
            c->key = get_u32(body + 4);
            break;
        case 'Z':
            c->status = (char)body[0];
            run->statements++;
            io_sim_trace_add(c->failed ? (uint64_t)(uint8_t)c->sqlstate[4] : c->row_count);
            if (c->failed)
                run->errors++;
            return c->failed ? FAILED : DONE;
        case 'G':
            if (is_copy) {
                *copy_began = true;
                return DONE;
            }
            break;
        case '1':
            c->parsed = true;
            break;
        case 'R':
        case 'S':
        case 'N':
        case 'T':
        case 't':
        case 'n':
        case 'I':
        case '2':
        case '3':
            break;
        default:
            sim_fail("an unexpected message of type '%c'", type);
        }
    }
    return LOST;
}

enum answer client_finish_wait(struct client *c)
{
    return answer_wait(c, false, NULL);
}

/* A cancel request may come at any moment of any statement. */
SUSPENDS static enum answer finish_or_cancel_wait(struct client *c)
{
    if (controller_cancels()) {
        ERR_IGNORE(fiber_sleep_wait(sim_below(400)));
        client_cancel_wait(c);
    }
    return client_finish_wait(c);
}

bool client_send_query(struct client *c, const char *text)
{
    begin_request(c, text);
    size_t at = out_begin(c, 'Q');
    out_text(c, text);
    out_end(c, at);
    bool ok = !c->closed && io_socket_send_small(c->socket, c->out, (uint32_t)c->out_len);
    c->out_len = 0;
    return ok;
}

enum answer client_query_wait(struct client *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int len = vasprintf(&text, format, args);
    va_end(args);
    ASSERT(len >= 0);
    begin_request(c, text);
    size_t at = out_begin(c, 'Q');
    out_bytes(c, text, (size_t)len + 1);
    out_end(c, at);
    free(text);
    if (!out_send_wait(c))
        return LOST;
    return strcmp(format, "ROLLBACK") == 0 ? client_finish_wait(c) : finish_or_cancel_wait(c);
}

static bool is_prepared(struct client *c, const char *name)
{
    if (name[0] == '\0')
        return false;
    for (uint32_t i = 0; i < c->prepared_count; i++)
        if (strcmp(c->prepared[i], name) == 0)
            return true;
    return false;
}

enum answer client_execute_wait(struct client *c, const char *name, const char *text, ...)
{
    begin_request(c, text);
    bool known = is_prepared(c, name);
    if (!known) {
        size_t at = out_begin(c, 'P');
        out_text(c, name);
        out_text(c, text);
        out_u16(c, 0);
        out_end(c, at);
    }
    const char *values[16];
    uint16_t count = 0;
    va_list args;
    va_start(args, text);
    for (const char *v = va_arg(args, const char *); v != NULL; v = va_arg(args, const char *)) {
        ASSERT(count < ARRAY_LEN(values));
        values[count++] = v;
    }
    va_end(args);
    size_t at = out_begin(c, 'B');
    out_text(c, "");
    out_text(c, name);
    out_u16(c, 0);
    out_u16(c, count);
    for (uint16_t i = 0; i < count; i++) {
        out_u32(c, (uint32_t)strlen(values[i]));
        out_bytes(c, values[i], strlen(values[i]));
    }
    out_u16(c, 0);
    out_end(c, at);
    at = out_begin(c, 'E');
    out_text(c, "");
    out_u32(c, 0);
    out_end(c, at);
    out_end(c, out_begin(c, 'S'));
    if (!out_send_wait(c))
        return LOST;
    enum answer a = finish_or_cancel_wait(c);
    if (c->parsed && name[0] != '\0') {
        SIM_CHECK(c->prepared_count < ARRAY_LEN(c->prepared), "too many prepared statements");
        (void)snprintf(c->prepared[c->prepared_count++], sizeof(c->prepared[0]), "%s", name);
    }
    return a;
}

enum answer client_copy_in_wait(struct client *c, const char *text, const char *rows, size_t len,
                                size_t stop_at, enum copy_stop how)
{
    bool began = false;
    begin_request(c, text);
    size_t at = out_begin(c, 'Q');
    out_text(c, text);
    out_end(c, at);
    if (!out_send_wait(c))
        return LOST;
    enum answer a = answer_wait(c, true, &began);
    if (!began)
        return a;
    size_t done = 0;
    while (done < len && done < stop_at) {
        size_t part = 1 + (size_t)sim_below(3000);
        part = MIN(part, MIN(len, stop_at) - done);
        at = out_begin(c, 'd');
        out_bytes(c, rows + done, part);
        out_end(c, at);
        if (!out_send_wait(c))
            return LOST;
        done += part;
    }
    if (done < len && how == COPY_BREAK) {
        io_socket_abort(c->socket);
        return LOST;
    }
    at = out_begin(c, done < len ? 'f' : 'c');
    if (done < len)
        out_text(c, "the client had enough");
    out_end(c, at);
    return out_send_wait(c) ? finish_or_cancel_wait(c) : LOST;
}

/* ---- what came ---- */

uint32_t client_rows(const struct client *c)
{
    return c->row_count;
}

uint32_t client_columns(const struct client *c)
{
    return c->column_count;
}

const char *client_value(const struct client *c, uint32_t row, uint32_t column)
{
    ASSERT(row < c->row_count && column < c->column_count);
    const struct cell *cell = &c->cells[row * c->column_count + column];
    return cell->is_null ? NULL : c->values + cell->at;
}

int64_t client_int(const struct client *c, uint32_t row, uint32_t column)
{
    const char *v = client_value(c, row, column);
    SIM_CHECK(v != NULL, "a null where a number is");
    return strtoll(v, NULL, 10);
}

const char *client_sqlstate(const struct client *c)
{
    return c->sqlstate;
}

const char *client_message(const struct client *c)
{
    return c->message;
}

const char *client_tag(const struct client *c)
{
    return c->tag;
}

char client_status(const struct client *c)
{
    return c->status;
}
