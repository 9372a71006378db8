/* Where a session's results go: rows and tags become messages of the connection. */
#include "net/conn_priv.h"

static struct conn *sink_conn(struct row_sink *s)
{
    return s->owner;
}

static err_t sink_describe(struct row_sink *s, const struct result_column *columns, uint32_t count,
                           const int16_t *formats)
{
    struct conn *c = sink_conn(s);
    out_begin(c, 'T');
    out_u16(c, u16_from(count));
    for (uint32_t i = 0; i < count; i++) {
        out_string(c, columns[i].name);
        out_u32(c, columns[i].table);
        out_u16(c, (uint16_t)columns[i].column);
        out_u32(c, columns[i].type);
        out_u16(c, (uint16_t)columns[i].type_length);
        out_u32(c, (uint32_t)columns[i].typmod);
        out_u16(c, formats ? (uint16_t)formats[i] : 0);
    }
    out_end(c);
    return ERR_OK;
}

static size_t sink_format_int(char *end, int64_t v)
{
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char *p = end;
    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        *--p = '-';
    return (size_t)(end - p);
}

/* Text of the commonest types without a detour; false = the type's own function is asked. */
static bool sink_text_fast(struct conn *c, oid type, datum value)
{
    char text[24];
    size_t len;
    const struct varlen *v;
    switch (type) {
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        len = sink_format_int(text + sizeof(text), datum_i64(value));
        out_u32(c, (uint32_t)len);
        out_bytes(c, text + sizeof(text) - len, len);
        return true;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
        v = datum_varlen(value);
        out_u32(c, v->len);
        out_bytes(c, v->data, v->len);
        return true;
    default:
        return false;
    }
}

static const struct session_env *sink_env(struct conn *c)
{
    return session_environment(c->session);
}

static SUSPENDS err_t sink_row(struct row_sink *s, const struct result_column *columns,
                               uint32_t count, const int16_t *formats, const datum *values,
                               const bool *nulls)
{
    struct conn *c = sink_conn(s);
    size_t begin = c->out.end;
    out_begin(c, 'D');
    out_u16(c, u16_from(count));
    struct arena_mark mark = arena_mark(c->scratch);
    err_t e = ERR_OK;
    for (uint32_t i = 0; i < count && e == ERR_OK; i++) {
        if (UNLIKELY(formats[i] != 0 && formats[i] != 1)) {
            e = err_raise(ERR_INVALID_PARAMETER_VALUE, "unsupported format code: %d", formats[i]);
            continue;
        }
        if (nulls[i]) {
            out_u32(c, UINT32_MAX);
            continue;
        }
        if (formats[i] == 0 && sink_text_fast(c, columns[i].type, values[i]))
            continue;
        struct strbuf text;
        strbuf_init(&text, c->scratch);
        if (formats[i] == 0)
            e = value_output(sink_env(c), c->scratch, columns[i].type, values[i], &text);
        else
            e = value_send(sink_env(c), c->scratch, columns[i].type, values[i], &text);
        out_u32(c, u32_from(text.len));
        out_bytes(c, text.data, text.len);
    }
    arena_rewind(c->scratch, mark);
    if (e == ERR_OK && c->out.end - begin > MESSAGE_BYTES_MAX)
        e = err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "result row is too large");
    if (e != ERR_OK) {
        c->out.end = begin; /* half a row is never sent */
        return e;
    }
    out_end(c);
    c->out_tells = true;
    return c->out.end < OUTPUT_FLUSH_BYTES ? ERR_OK : conn_flush_wait(c);
}

static err_t sink_complete(struct row_sink *s, const char *tag)
{
    struct conn *c = sink_conn(s);
    out_begin(c, 'C');
    out_string(c, tag);
    out_end(c);
    return ERR_OK;
}

static err_t sink_simple(struct row_sink *s, uint8_t type)
{
    struct conn *c = sink_conn(s);
    out_begin(c, type);
    out_end(c);
    return ERR_OK;
}

static err_t sink_empty(struct row_sink *s)
{
    return sink_simple(s, 'I');
}

static err_t sink_suspended(struct row_sink *s)
{
    return sink_simple(s, 's');
}

static err_t sink_notice(struct row_sink *s, const char *severity, const struct diag *d)
{
    out_error(sink_conn(s), severity, d, true);
    return ERR_OK;
}

static err_t sink_parameter(struct row_sink *s, const char *name, const char *value)
{
    struct conn *c = sink_conn(s);
    out_begin(c, 'S');
    out_string(c, name);
    out_string(c, value);
    out_end(c);
    return ERR_OK;
}

static SUSPENDS err_t sink_notification(struct row_sink *s, uint32_t pid, const char *channel,
                                        const char *payload)
{
    struct conn *c = sink_conn(s);
    out_begin(c, 'A');
    out_u32(c, pid);
    out_string(c, channel);
    out_string(c, payload);
    out_end(c);
    return c->out.end < OUTPUT_FLUSH_BYTES ? ERR_OK : conn_flush_wait(c);
}

/* ---- COPY ---- */

static void sink_copy_begin(struct conn *c, uint8_t type, bool binary, uint32_t columns)
{
    out_begin(c, type);
    out_u8(c, binary ? 1 : 0);
    out_u16(c, u16_from(columns));
    for (uint32_t i = 0; i < columns; i++)
        out_u16(c, binary ? 1 : 0);
    out_end(c);
}

static SUSPENDS err_t sink_copy_in_begin(struct row_sink *s, bool binary, uint32_t columns)
{
    struct conn *c = sink_conn(s);
    sink_copy_begin(c, 'G', binary, columns);
    return conn_flush_wait(c);
}

static SUSPENDS err_t sink_copy_read(struct row_sink *s, const uint8_t **data, size_t *len)
{
    struct conn *c = sink_conn(s);
    for (;;) {
        uint8_t type;
        const uint8_t *body;
        TRY(conn_read_message_wait(c, &type, &body, len));
        switch (type) {
        case 'd':
            if (*len == 0)
                continue;
            *data = body;
            return ERR_OK;
        case 'c':
            *data = body;
            *len = 0;
            return ERR_OK;
        case 'f':
            return err_raise(ERR_QUERY_CANCELED, "COPY from stdin failed: %.*s",
                             (int)strnlen((const char *)body, *len), (const char *)body);
        case 'H':
        case 'S':
            continue; /* Flush and Sync within COPY are ignored */
        default:
            c->lost_sync = true;
            return err_raise(ERR_PROTOCOL_VIOLATION,
                             "unexpected message type 0x%02X during COPY from stdin", type);
        }
    }
}

static err_t sink_copy_out_begin(struct row_sink *s, bool binary, uint32_t columns)
{
    sink_copy_begin(sink_conn(s), 'H', binary, columns);
    return ERR_OK;
}

static SUSPENDS err_t sink_copy_write(struct row_sink *s, const uint8_t *data, size_t len)
{
    struct conn *c = sink_conn(s);
    out_begin(c, 'd');
    out_bytes(c, data, len);
    out_end(c);
    c->out_tells = true;
    return c->out.end < OUTPUT_FLUSH_BYTES ? ERR_OK : conn_flush_wait(c);
}

static err_t sink_copy_out_end(struct row_sink *s)
{
    return sink_simple(s, 'c');
}

void sink_init(struct row_sink *sink, struct conn *c)
{
    *sink = (struct row_sink){
        .describe = sink_describe,
        .row = sink_row,
        .complete = sink_complete,
        .empty = sink_empty,
        .suspended = sink_suspended,
        .notice = sink_notice,
        .parameter = sink_parameter,
        .notification = sink_notification,
        .copy_in_begin = sink_copy_in_begin,
        .copy_read = sink_copy_read,
        .copy_out_begin = sink_copy_out_begin,
        .copy_write = sink_copy_write,
        .copy_out_end = sink_copy_out_end,
        .owner = c,
    };
}
