/* Building backend messages in the connection's output buffer. */
#include "net/conn_priv.h"

enum { BYTES_FIRST = 1000 }; /* the C library keeps free ones of this size at hand */

uint8_t *bytes_room(struct bytes *b, size_t len)
{
    if (b->end + len > b->capacity) {
        if (b->begin > 0) {
            memmove(b->data, b->data + b->begin, b->end - b->begin);
            b->end -= b->begin;
            b->begin = 0;
        }
        size_t capacity = b->capacity ? b->capacity : BYTES_FIRST;
        while (capacity < b->end + len)
            capacity *= 2;
        if (capacity != b->capacity) {
            b->data = core_realloc(b->data, capacity);
            b->capacity = capacity;
        }
    }
    return b->data + b->end;
}

void bytes_append(struct bytes *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(bytes_room(b, len), data, len);
    b->end += len;
}

void bytes_free(struct bytes *b)
{
    core_free(b->data);
    *b = (struct bytes){0};
}

void out_begin(struct conn *c, uint8_t type)
{
    ASSERT(c->out.begin == 0);
    c->message_at = c->out.end;
    uint8_t *p = bytes_room(&c->out, 5);
    p[0] = type;
    store_be32(p + 1, 0);
    c->out.end += 5;
}

void out_end(struct conn *c)
{
    size_t len = c->out.end - c->message_at - 1;
    store_be32(c->out.data + c->message_at + 1, u32_from(len));
}

void out_u8(struct conn *c, uint8_t v)
{
    *bytes_room(&c->out, 1) = v;
    c->out.end += 1;
}

void out_u16(struct conn *c, uint16_t v)
{
    store_be16(bytes_room(&c->out, 2), v);
    c->out.end += 2;
}

void out_u32(struct conn *c, uint32_t v)
{
    store_be32(bytes_room(&c->out, 4), v);
    c->out.end += 4;
}

void out_bytes(struct conn *c, const void *bytes, size_t len)
{
    bytes_append(&c->out, bytes, len);
}

void out_string(struct conn *c, const char *s)
{
    bytes_append(&c->out, s, strlen(s) + 1);
}

static void out_field(struct conn *c, char field, const char *text)
{
    if (!text)
        return;
    out_u8(c, (uint8_t)field);
    out_string(c, text);
}

static void out_number_field(struct conn *c, char field, int64_t number)
{
    char text[24];
    char *p = text + sizeof(text) - 1;
    *p = '\0';
    do
        *--p = (char)('0' + number % 10);
    while (number /= 10);
    out_field(c, field, p);
}

/* ErrorResponse or NoticeResponse. */
void out_error(struct conn *c, const char *severity, const struct diag *d, bool is_notice)
{
    c->out_tells = true;
    if (UNLIKELY(c->speaks_old)) {
        const char *parts[] = {"E", severity, ":  ", d->message ? d->message : "unknown error",
                               "\n"};
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
            out_bytes(c, parts[i], strlen(parts[i]));
        out_u8(c, 0);
        return;
    }
    out_begin(c, is_notice ? 'N' : 'E');
    out_field(c, 'S', severity);
    out_field(c, 'V', severity);
    out_field(c, 'C', err_sqlstate(d->code));
    out_field(c, 'M', d->message ? d->message : "unknown error");
    out_field(c, 'D', d->detail);
    out_field(c, 'H', d->hint);
    if (d->position > 0)
        out_number_field(c, 'P', d->position);
    if (d->internal_position > 0)
        out_number_field(c, 'p', d->internal_position);
    out_field(c, 'q', d->internal_query);
    out_field(c, 'W', d->context);
    out_field(c, 's', d->schema_name);
    out_field(c, 't', d->table_name);
    out_field(c, 'c', d->column_name);
    out_field(c, 'd', d->datatype_name);
    out_field(c, 'n', d->constraint_name);
    out_field(c, 'F', d->file);
    if (d->line > 0)
        out_number_field(c, 'L', d->line);
    out_field(c, 'R', d->routine);
    out_u8(c, 0);
    out_end(c);
}
