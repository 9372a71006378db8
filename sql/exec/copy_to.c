/* COPY TO: rows to bytes. One write per row, as clients that count on a message per row expect. */
#include "sql/exec/copy.h"

struct writer {
    const struct copy_to *c;
    struct arena *mem;
    struct arena *row_mem;
    struct strbuf out;
};

static NO_SUSPEND_ANALYSIS err_t writer_flush_wait(struct writer *w)
{
    if (w->out.len == 0)
        return ERR_OK;
    err_t e = w->c->write(w->c->owner, (const uint8_t *)w->out.data, w->out.len);
    strbuf_reset(&w->out);
    return e;
}

static void put_text(struct writer *w, const char *bytes, size_t len)
{
    const struct copy_options *o = w->c->options;
    const char *from = bytes;
    const char *end = bytes + len;
    for (const char *p = bytes; p < end; p++) {
        static const char plain[] = "\b\f\n\r\t\v";
        static const char letters[] = "bfnrtv";
        const char *special = *p && *p < ' ' ? strchr(plain, *p) : NULL;
        if (!special && *p != '\\' && *p != o->delimiter)
            continue;
        ERR_IGNORE(strbuf_put(&w->out, from, (size_t)(p - from)));
        strbuf_putc(&w->out, '\\');
        strbuf_putc(&w->out, special ? letters[special - plain] : *p);
        from = p + 1;
    }
    ERR_IGNORE(strbuf_put(&w->out, from, (size_t)(end - from)));
}

static void put_csv(struct writer *w, const char *bytes, size_t len, bool force)
{
    const struct copy_options *o = w->c->options;
    bool quote = force || (len == strlen(o->null_text) && memcmp(bytes, o->null_text, len) == 0);
    if (w->c->column_count == 1 && len == 2 && memcmp(bytes, "\\.", 2) == 0)
        quote = true;
    for (size_t i = 0; i < len && !quote; i++)
        quote = bytes[i] == o->delimiter || bytes[i] == o->quote || bytes[i] == '\n' ||
                bytes[i] == '\r';
    if (!quote) {
        ERR_IGNORE(strbuf_put(&w->out, bytes, len));
        return;
    }
    strbuf_putc(&w->out, o->quote);
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == o->quote || bytes[i] == o->escape)
            strbuf_putc(&w->out, o->escape);
        strbuf_putc(&w->out, bytes[i]);
    }
    strbuf_putc(&w->out, o->quote);
}

static err_t put_field(struct writer *w, uint32_t i, const struct slot *row)
{
    const struct copy_to *c = w->c;
    const struct copy_options *o = c->options;
    struct strbuf text;
    strbuf_init(&text, w->row_mem);
    if (o->format == COPY_BINARY) {
        uint8_t head[4];
        if (!row->nulls[i])
            TRY(value_send(c->env, w->row_mem, c->types[i], row->values[i], &text));
        store_be32(head, row->nulls[i] ? UINT32_MAX : u32_from(text.len));
        TRY(strbuf_put(&w->out, head, 4));
        return strbuf_put(&w->out, text.data, text.len);
    }
    if (i > 0)
        strbuf_putc(&w->out, o->delimiter);
    if (row->nulls[i]) {
        strbuf_puts(&w->out, o->null_text);
        return ERR_OK;
    }
    TRY(value_output(c->env, w->row_mem, c->types[i], row->values[i], &text));
    const char *bytes = text.data ? text.data : "";
    if (o->format == COPY_CSV)
        put_csv(w, bytes, text.len, o->force_quote_all || (o->force_quote && o->force_quote[i]));
    else
        put_text(w, bytes, text.len);
    return ERR_OK;
}

static err_t put_row(struct writer *w, const struct slot *row)
{
    if (w->c->options->format == COPY_BINARY) {
        uint8_t head[2];
        store_be16(head, u16_from(w->c->column_count));
        TRY(strbuf_put(&w->out, head, 2));
    }
    for (uint32_t i = 0; i < w->c->column_count; i++)
        TRY(put_field(w, i, row));
    if (w->c->options->format != COPY_BINARY)
        strbuf_putc(&w->out, '\n');
    return ERR_OK;
}

static err_t put_head(struct writer *w)
{
    const struct copy_options *o = w->c->options;
    if (o->format == COPY_BINARY)
        return strbuf_put(&w->out, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0", 19);
    if (o->header == COPY_HEADER_NONE)
        return ERR_OK;
    for (uint32_t i = 0; i < w->c->column_count; i++) {
        if (i > 0)
            strbuf_putc(&w->out, o->delimiter);
        if (o->format == COPY_CSV)
            put_csv(w, w->c->names[i], strlen(w->c->names[i]), false);
        else
            put_text(w, w->c->names[i], strlen(w->c->names[i]));
    }
    strbuf_putc(&w->out, '\n');
    return ERR_OK;
}

static SUSPENDS err_t writer_rows_wait(struct writer *w, uint64_t *rows)
{
    TRY(put_head(w));
    TRY(writer_flush_wait(w));
    for (;;) {
        const struct slot *row;
        TRY(exec_next_wait(w->c->exec, &row));
        if (!row)
            break;
        arena_reset(w->row_mem);
        TRY(put_row(w, row));
        ++*rows;
        TRY(writer_flush_wait(w));
        TRY(fiber_rest_wait());
    }
    if (w->c->options->format == COPY_BINARY)
        TRY(strbuf_put(&w->out, "\377\377", 2));
    return writer_flush_wait(w);
}

SUSPENDS err_t copy_to_wait(const struct copy_to *c, uint64_t *rows)
{
    struct arena *mem = arena_new();
    struct writer w = {.c = c, .mem = mem, .row_mem = arena_new()};
    strbuf_init(&w.out, mem);
    *rows = 0;
    err_t e = writer_rows_wait(&w, rows);
    arena_free(w.row_mem);
    arena_free(mem);
    return e;
}
