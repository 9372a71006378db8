/* COPY TO: rows of an execution as text, csv or binary bytes. */
#include "core/core.h"
#include "sql/exec/copy.h"

static void put_escaped(struct strbuf *out, const char *text, size_t len, char delimiter)
{
    size_t start = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        char letter;
        switch (c) {
        case '\b':
            letter = 'b';
            break;
        case '\f':
            letter = 'f';
            break;
        case '\n':
            letter = 'n';
            break;
        case '\r':
            letter = 'r';
            break;
        case '\t':
            letter = 't';
            break;
        case '\v':
            letter = 'v';
            break;
        case '\\':
            letter = '\\';
            break;
        default:
            if (c != delimiter)
                continue;
            letter = c;
            break;
        }
        ERR_IGNORE(strbuf_put(out, text + start, i - start));
        strbuf_putc(out, '\\');
        strbuf_putc(out, letter);
        start = i + 1;
    }
    ERR_IGNORE(strbuf_put(out, text + start, len - start));
}

static bool needs_quotes(const struct copy_options *o, const char *text, size_t len, bool is_single)
{
    if (len == strlen(o->null_text) && memcmp(text, o->null_text, len) == 0)
        return true;
    if (is_single && len == 2 && memcmp(text, "\\.", 2) == 0)
        return true;
    for (size_t i = 0; i < len; i++)
        if (text[i] == o->delimiter || text[i] == o->quote || text[i] == '\n' || text[i] == '\r')
            return true;
    return false;
}

static void put_csv(const struct copy_options *o, struct strbuf *out, const char *text, size_t len,
                    bool force, bool is_single)
{
    if (!force && !needs_quotes(o, text, len, is_single)) {
        ERR_IGNORE(strbuf_put(out, text, len));
        return;
    }
    strbuf_putc(out, o->quote);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == o->quote || text[i] == o->escape)
            strbuf_putc(out, o->escape);
        strbuf_putc(out, text[i]);
    }
    strbuf_putc(out, o->quote);
}

static void put_be16(struct strbuf *out, uint16_t v)
{
    uint8_t b[2];
    store_be16(b, v);
    ERR_IGNORE(strbuf_put(out, b, sizeof(b)));
}

static void put_be32(struct strbuf *out, uint32_t v)
{
    uint8_t b[4];
    store_be32(b, v);
    ERR_IGNORE(strbuf_put(out, b, sizeof(b)));
}

static err_t binary_row(const struct copy_to *c, struct arena *mem, const struct slot *row,
                        struct strbuf *out)
{
    put_be16(out, u16_from(c->column_count));
    for (uint32_t i = 0; i < c->column_count; i++) {
        if (row->nulls[i]) {
            put_be32(out, UINT32_MAX);
            continue;
        }
        size_t start = out->len;
        put_be32(out, 0);
        TRY(value_send(c->env, mem, c->types[i], row->values[i], out));
        store_be32(out->data + start, u32_from(out->len - start - 4));
    }
    return ERR_OK;
}

static err_t text_row(const struct copy_to *c, struct arena *mem, const struct slot *row,
                      struct strbuf *out)
{
    const struct copy_options *o = c->options;
    struct strbuf value;
    strbuf_init(&value, mem);
    for (uint32_t i = 0; i < c->column_count; i++) {
        if (i > 0)
            strbuf_putc(out, o->delimiter);
        if (row->nulls[i]) {
            strbuf_puts(out, o->null_text);
            continue;
        }
        value.len = 0;
        TRY(value_output(c->env, mem, c->types[i], row->values[i], &value));
        const char *text = value.data != NULL ? value.data : "";
        if (o->format == COPY_CSV)
            put_csv(o, out, text, value.len, o->force_quote[i], c->column_count == 1);
        else
            put_escaped(out, text, value.len, o->delimiter);
    }
    strbuf_putc(out, '\n');
    return ERR_OK;
}

static void put_header(const struct copy_to *c, struct strbuf *out)
{
    const struct copy_options *o = c->options;
    if (o->format == COPY_BINARY) {
        static const uint8_t head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
        ERR_IGNORE(strbuf_put(out, head, 19));
        return;
    }
    if (o->header == COPY_HEADER_NONE)
        return;
    for (uint32_t i = 0; i < c->column_count; i++) {
        if (i > 0)
            strbuf_putc(out, o->delimiter);
        if (o->format == COPY_CSV)
            put_csv(o, out, c->names[i], strlen(c->names[i]), false, c->column_count == 1);
        else
            put_escaped(out, c->names[i], strlen(c->names[i]), o->delimiter);
    }
    strbuf_putc(out, '\n');
}

static SUSPENDS err_t write_wait(const struct copy_to *c, const struct strbuf *b)
{
    return b->len > 0 ? c->write(c->owner, (const uint8_t *)b->data, b->len) : ERR_OK;
}

static SUSPENDS err_t copy_rows_wait(const struct copy_to *c, struct arena *mem, uint64_t *rows)
{
    struct strbuf out;
    struct arena_mark mark = arena_mark(mem);
    strbuf_init(&out, mem);
    put_header(c, &out);
    bool is_binary = c->options->format == COPY_BINARY;
    if (!is_binary) /* else it goes with the first row */
        TRY(write_wait(c, &out));
    for (;;) {
        const struct slot *row = NULL;
        TRY(exec_next_wait(c->exec, &row));
        if (row == NULL)
            break;
        if (row->count < c->column_count)
            return err_raise(ERR_INTERNAL_ERROR, "row with %u columns in COPY TO", row->count);
        if (!is_binary || *rows > 0) {
            arena_rewind(mem, mark);
            strbuf_init(&out, mem);
        }
        if (is_binary)
            TRY(binary_row(c, mem, row, &out));
        else
            TRY(text_row(c, mem, row, &out));
        TRY(write_wait(c, &out));
        ++*rows;
        TRY(fiber_rest_wait());
    }
    if (is_binary) {
        static const uint8_t trailer[2] = {0xff, 0xff};
        if (*rows > 0)
            strbuf_reset(&out);
        TRY(strbuf_put(&out, trailer, sizeof(trailer)));
        return write_wait(c, &out);
    }
    return ERR_OK;
}

SUSPENDS err_t copy_to_wait(const struct copy_to *c, uint64_t *rows)
{
    struct arena *mem = arena_new();
    *rows = 0;
    err_t e = copy_rows_wait(c, mem, rows);
    arena_free(mem);
    return e;
}
