/* Serving messages of a connection: start-up packets, then the simple and the extended protocol. */
#include "net/conn_priv.h"

#include "core/settings.h"

enum {
    PROTOCOL_3 = 3 << 16,
    CODE_TLS = 80877103,
    CODE_GSS = 80877104,
    NAME_BYTES_MAX = 64,
};

static SUSPENDS void serve_error_wait(struct conn *c, bool fatal)
{
    struct diag *d = arena_alloc(c->scratch, sizeof(*d));
    diag_copy(d, err_diag());
    if (d->code == ERR_ADMIN_SHUTDOWN || d->code == ERR_CONNECTION_FAILURE ||
        d->code == ERR_IDLE_SESSION_TIMEOUT || d->code == ERR_IDLE_IN_TRANSACTION_SESSION_TIMEOUT)
        fatal = true;
    fatal = fatal || c->ending;
    if (!c->closed)
        out_error(c, fatal ? "FATAL" : "ERROR", d, false);
    if (c->lost_sync && !c->closed) {
        ERR_IGNORE(err_raise(ERR_PROTOCOL_VIOLATION,
                             "terminating connection because protocol synchronization was lost"));
        out_error(c, "FATAL", err_diag(), false);
        fatal = true;
    }
    if (fatal)
        c->ending = true;
}

/* ---- start-up ---- */

struct startup {
    const char *user;
    const char *database;
    const char **settings; /* name, value, ..., NULL */
    const char **unknown;  /* _pq_. options we do not know */
    uint32_t unknown_count;
};

static err_t startup_replication(const char *value)
{
    bool wanted = strcmp(value, "database") == 0;
    if (!wanted && !setting_parse_bool(value, &wanted)) {
        err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE,
                            "invalid value for parameter \"replication\": \"%s\"", value);
        err_hint("Valid values are: \"false\", 0, \"true\", 1, \"database\".");
        return e;
    }
    return wanted ? err_not_built("replication connections are not supported yet") : ERR_OK;
}

/* Longer names are cut, as everywhere. */
static const char *startup_name(struct conn *c, const char *name)
{
    char *copy = arena_strdup(c->scratch, name);
    if (strlen(copy) >= NAME_BYTES_MAX)
        copy[NAME_BYTES_MAX - 1] = '\0';
    return copy;
}

static err_t startup_parse(struct conn *c, const char *p, const char *end, struct startup *out)
{
    uint32_t count = 0;
    for (const char *q = p; q < end; q++)
        count += *q == '\0';
    out->settings = ARENA_ARRAY(c->scratch, const char *, count + 2);
    out->unknown = ARENA_ARRAY(c->scratch, const char *, count + 1);
    uint32_t n = 0;
    while (p < end && *p) {
        const char *name = p;
        p += strnlen(p, (size_t)(end - p)) + 1;
        if (p >= end)
            break;
        const char *value = p;
        p += strnlen(p, (size_t)(end - p)) + 1;
        if (p > end)
            break;
        if (strcmp(name, "user") == 0) {
            out->user = startup_name(c, value);
        } else if (strcmp(name, "database") == 0) {
            out->database = startup_name(c, value);
        } else if (strncmp(name, "_pq_.", 5) == 0) {
            out->unknown[out->unknown_count++] = arena_strdup(c->scratch, name);
        } else if (strcmp(name, "replication") == 0) {
            TRY(startup_replication(value));
        } else {
            out->settings[n++] = arena_strdup(c->scratch, name);
            out->settings[n++] = arena_strdup(c->scratch, value);
        }
    }
    if (p + 1 != end || *p != '\0')
        return err_raise(ERR_PROTOCOL_VIOLATION,
                         "invalid startup packet layout: expected terminator as last byte");
    if (!out->user || out->user[0] == '\0')
        return err_raise(ERR_INVALID_AUTHORIZATION_SPECIFICATION,
                         "no PostgreSQL user name specified in startup packet");
    if (!out->database || out->database[0] == '\0')
        out->database = out->user;
    return ERR_OK;
}

static SUSPENDS err_t startup_login_wait(struct conn *c, const struct startup *st)
{
    bool is_superuser;
    TRY(auth_check_wait(c, st->user, st->database, &is_superuser));
    TRY(net_check_room(is_superuser));
    if (net_is_stopping())
        return err_raise(ERR_CANNOT_CONNECT_NOW, "the database system is shutting down");
    struct session_options o = {
        .database = st->database,
        .user = st->user,
        .client_address = c->peer->address,
        .client_port = c->peer->is_unix ? -1 : c->peer->port,
        .settings = st->settings,
    };
    out_begin(c, 'R'); /* who it is, is settled: what follows may still refuse it */
    out_u32(c, 0);
    out_end(c);
    TRY(session_open_wait(&o, c->sink, &c->session));
    TRY(session_report_all_wait(c->session));
    out_begin(c, 'K');
    out_u32(c, session_pid(c->session));
    out_u32(c, session_cancel_key(c->session));
    out_end(c);
    out_begin(c, 'Z');
    out_u8(c, 'I');
    out_end(c);
    conn_logged_in(c);
    return ERR_OK;
}

static SUSPENDS err_t startup_session_wait(struct conn *c, uint32_t version, const char *p,
                                           const char *end)
{
    c->speaks_old = version >> 16 < 3 && version != 0;
    if (version >> 16 != 3)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0",
                         version >> 16, version & 0xffff);
    struct startup st = {0};
    TRY(startup_parse(c, p, end, &st));
    if (version > PROTOCOL_3 || st.unknown_count > 0) {
        out_begin(c, 'v');
        out_u32(c, PROTOCOL_3);
        out_u32(c, st.unknown_count);
        for (uint32_t i = 0; i < st.unknown_count; i++)
            out_string(c, st.unknown[i]);
        out_end(c);
    }
    return startup_login_wait(c, &st);
}

static SUSPENDS void startup_encryption_wait(struct conn *c, bool wants_tls)
{
    uint8_t answer = 'N';
    if (wants_tls && !c->tls && !c->peer->is_unix && net_tls()) {
        c->tls = tls_new(net_tls());
        if (c->tls)
            answer = 'S';
    }
    /* Bytes behind the request that came in clear would be taken for encrypted ones: refuse them.
     */
    if (answer == 'S' && c->in.begin != c->in.end) {
        c->ending = true;
        return;
    }
    if (io_socket_send_wait(c->socket, &answer, 1) != ERR_OK)
        c->ending = true;
}

SUSPENDS void conn_startup_wait(struct conn *c)
{
    const uint8_t *p = c->in.data + c->in.begin;
    size_t bytes = load_be32(p);
    if (bytes < 8 || bytes > STARTUP_BYTES_MAX) {
        ERR_IGNORE(err_raise(ERR_PROTOCOL_VIOLATION, "invalid length of startup packet"));
        serve_error_wait(c, true);
        return;
    }
    uint8_t *packet = arena_memdup(c->scratch, p, bytes);
    conn_consume(c, bytes);
    uint32_t code = load_be32(packet + 4);
    if (code == CODE_TLS || code == CODE_GSS) {
        startup_encryption_wait(c, code == CODE_TLS);
        return;
    }
    if (code == CODE_CANCEL) {
        if (bytes == 16)
            sql_cancel_wait(load_be32(packet + 8), load_be32(packet + 12));
        c->ending = true;
        return;
    }
    err_t e = startup_session_wait(c, code, (const char *)packet + 8, (const char *)packet + bytes);
    if (e != ERR_OK) {
        if (err_diag()->code == ERR_CONNECTION_FAILURE)
            c->ending = true;
        else
            serve_error_wait(c, true);
    }
}

/* ---- reading fields of a message ---- */

struct reader {
    const uint8_t *p;
    const uint8_t *end;
    err_t error; /* the first one; what is read after it is empty */
};

static COLD void read_short(struct reader *r)
{
    if (r->error == ERR_OK)
        r->error = err_raise(ERR_PROTOCOL_VIOLATION, "insufficient data left in message");
    r->p = r->end;
}

static uint8_t read_u8(struct reader *r)
{
    if (r->p < r->end)
        return *r->p++;
    if (r->error == ERR_OK)
        r->error = err_raise(ERR_PROTOCOL_VIOLATION, "no data left in message");
    return 0;
}

static uint16_t read_u16(struct reader *r)
{
    if (r->end - r->p < 2) {
        read_short(r);
        return 0;
    }
    r->p += 2;
    return load_be16(r->p - 2);
}

static uint32_t read_u32(struct reader *r)
{
    if (r->end - r->p < 4) {
        read_short(r);
        return 0;
    }
    r->p += 4;
    return load_be32(r->p - 4);
}

static const char *read_string(struct reader *r)
{
    if (r->error != ERR_OK)
        return "";
    const uint8_t *nul = memchr(r->p, 0, (size_t)(r->end - r->p));
    if (!nul) {
        r->error = err_raise(ERR_PROTOCOL_VIOLATION, "invalid string in message");
        return "";
    }
    const char *s = (const char *)r->p;
    r->error = sql_check_text(s, (size_t)(nul - r->p));
    r->p = nul + 1;
    return s;
}

static err_t read_done(const struct reader *r)
{
    if (r->error != ERR_OK)
        return r->error;
    if (r->p != r->end)
        return err_raise(ERR_PROTOCOL_VIOLATION, "invalid message format");
    return ERR_OK;
}

/* ---- messages ---- */

static SUSPENDS void serve_ready_wait(struct conn *c)
{
    if (session_has_notifications(c->session))
        ERR_IGNORE(session_notifications_wait(c->session)); /* a lost client is noticed later */
    out_begin(c, 'Z');
    out_u8(c, (uint8_t)session_status(c->session));
    out_end(c);
}

static SUSPENDS err_t serve_query_wait(struct conn *c, struct reader *r)
{
    const char *text = read_string(r);
    TRY(read_done(r));
    return session_query_wait(c->session, text);
}

static SUSPENDS err_t serve_parse_wait(struct conn *c, struct reader *r)
{
    const char *name = read_string(r);
    const char *text = read_string(r);
    uint32_t count = read_u16(r);
    oid *types = ARENA_ARRAY(c->scratch, oid, count + 1);
    for (uint32_t i = 0; i < count; i++)
        types[i] = read_u32(r);
    TRY(read_done(r));
    TRY(session_parse_wait(c->session, name, text, types, count));
    out_begin(c, '1');
    out_end(c);
    return ERR_OK;
}

static int16_t *read_formats(struct conn *c, struct reader *r, uint32_t *count)
{
    *count = read_u16(r);
    int16_t *formats = ARENA_ARRAY(c->scratch, int16_t, *count + 1);
    for (uint32_t i = 0; i < *count; i++)
        formats[i] = (int16_t)read_u16(r);
    return formats;
}

static SUSPENDS err_t serve_bind_wait(struct conn *c, struct reader *r)
{
    const char *portal = read_string(r);
    const char *statement = read_string(r);
    uint32_t format_count;
    int16_t *formats = read_formats(c, r, &format_count);
    uint32_t value_count = read_u16(r);
    struct bind_value *values = ARENA_ARRAY(c->scratch, struct bind_value, value_count + 1);
    for (uint32_t i = 0; i < value_count && r->error == ERR_OK; i++) {
        values[i].len = (int32_t)read_u32(r);
        values[i].bytes = r->p;
        if (values[i].len < -1 || values[i].len > r->end - r->p)
            read_short(r);
        else if (values[i].len > 0)
            r->p += values[i].len;
        if (r->error != ERR_OK && portal[0] != '\0')
            err_context("portal \"%s\" parameter $%u", portal, i + 1);
        else if (r->error != ERR_OK)
            err_context("unnamed portal parameter $%u", i + 1);
    }
    uint32_t result_format_count;
    int16_t *result_formats = read_formats(c, r, &result_format_count);
    TRY(read_done(r));
    TRY(session_bind_wait(c->session, portal, statement, values, value_count, formats, format_count,
                          result_formats, result_format_count));
    out_begin(c, '2');
    out_end(c);
    return ERR_OK;
}

static void serve_parameter_types(struct conn *c, const oid *types, uint32_t count)
{
    out_begin(c, 't');
    out_u16(c, u16_from(count));
    for (uint32_t i = 0; i < count; i++)
        out_u32(c, types[i]);
    out_end(c);
}

static SUSPENDS err_t serve_describe_wait(struct conn *c, struct reader *r)
{
    uint8_t kind = read_u8(r);
    const char *name = read_string(r);
    TRY(read_done(r));
    const struct result_column *columns;
    uint32_t count;
    const int16_t *formats = NULL;
    if (kind == 'S') {
        const oid *types = NULL;
        uint32_t type_count;
        err_t e = session_describe_statement_wait(c->session, name, &types, &type_count, &columns,
                                                  &count);
        if (types) /* known, even where the columns are not any more */
            serve_parameter_types(c, types, type_count);
        TRY(e);
    } else if (kind == 'P') {
        TRY(session_describe_portal_wait(c->session, name, &columns, &count, &formats));
    } else {
        return err_raise(ERR_PROTOCOL_VIOLATION, "invalid DESCRIBE message subtype %d", kind);
    }
    if (columns)
        return c->sink->describe(c->sink, columns, count, formats);
    out_begin(c, 'n');
    out_end(c);
    return ERR_OK;
}

static SUSPENDS err_t serve_execute_wait(struct conn *c, struct reader *r)
{
    const char *portal = read_string(r);
    uint32_t max_rows = read_u32(r);
    TRY(read_done(r));
    return session_execute_wait(c->session, portal, (int32_t)max_rows < 0 ? 0 : max_rows);
}

static SUSPENDS err_t serve_close_wait(struct conn *c, struct reader *r)
{
    uint8_t kind = read_u8(r);
    const char *name = read_string(r);
    TRY(read_done(r));
    if (kind == 'S')
        TRY(session_close_statement_wait(c->session, name));
    else if (kind == 'P')
        TRY(session_close_portal_wait(c->session, name));
    else
        return err_raise(ERR_PROTOCOL_VIOLATION, "invalid CLOSE message subtype %d", kind);
    out_begin(c, '3');
    out_end(c);
    return ERR_OK;
}

static SUSPENDS err_t serve_extended_wait(struct conn *c, uint8_t type, struct reader *r)
{
    switch (type) {
    case 'P':
        return serve_parse_wait(c, r);
    case 'B':
        return serve_bind_wait(c, r);
    case 'D':
        return serve_describe_wait(c, r);
    case 'E':
        return serve_execute_wait(c, r);
    default:
        return serve_close_wait(c, r);
    }
}

static SUSPENDS void serve_failed_wait(struct conn *c)
{
    struct diag *d = arena_alloc(c->scratch, sizeof(*d));
    diag_copy(d, err_diag());
    session_failed_wait(c->session); /* protocol errors fail the transaction too */
    ERR_IGNORE(err_adopt(d));
    serve_error_wait(c, false);
}

static SUSPENDS void serve_unknown_wait(struct conn *c, uint8_t type)
{
    c->ending = true;
    ERR_IGNORE(err_raise(ERR_PROTOCOL_VIOLATION, "invalid frontend message type %d", type));
    serve_error_wait(c, true);
}

SUSPENDS void conn_serve_wait(struct conn *c)
{
    uint8_t type;
    const uint8_t *body;
    size_t len;
    if (conn_read_message_wait(c, &type, &body, &len) != ERR_OK) {
        serve_error_wait(c, true);
        return;
    }
    /* COPY data reads more input while the statement runs, so the message moves out of the buffer.
     */
    uint8_t *copy;
    if (arena_alloc_try(c->scratch, len + 1, (void **)&copy) != ERR_OK) {
        serve_error_wait(c, true);
        return;
    }
    memcpy(copy, body, len);
    copy[len] = 0;
    struct reader r = {.p = copy, .end = copy + len};
    switch (type) {
    case 'Q':
        if (c->skip_to_sync)
            return;
        if (serve_query_wait(c, &r) != ERR_OK)
            serve_failed_wait(c);
        if (!c->ending)
            serve_ready_wait(c);
        return;
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
        if (!c->skip_to_sync && serve_extended_wait(c, type, &r) != ERR_OK) {
            serve_failed_wait(c);
            c->skip_to_sync = true;
        }
        return;
    case 'S':
        c->skip_to_sync = false;
        if (read_done(&r) != ERR_OK || session_sync_wait(c->session) != ERR_OK)
            serve_failed_wait(c);
        if (!c->ending)
            serve_ready_wait(c);
        return;
    case 'H':
        if (c->skip_to_sync)
            return;
        if (read_done(&r) != ERR_OK) {
            serve_failed_wait(c);
            c->skip_to_sync = true;
        } else if (conn_flush_wait(c) != ERR_OK) {
            c->ending = true;
        }
        return;
    case 'F':
        if (c->skip_to_sync)
            return;
        ERR_IGNORE(err_not_built("the function call protocol is not supported"));
        serve_failed_wait(c);
        serve_ready_wait(c);
        return;
    case 'd':
    case 'c':
    case 'f':
        return; /* left over from a COPY that failed */
    case 'X':
        c->ending = true;
        return;
    default:
        serve_unknown_wait(c, type);
    }
}
