/*
 * COPY FROM: bytes to rows.
 *
 *   chunks → lines (text, csv: a line may go on over newlines that are escaped or quoted) → fields
 * → values → table writer
 *
 * A line is gathered in one buffer; fields are unescaped into a second one, in place of nothing
 * else, so the work per row allocates only what the types' input functions need.
 */
#include "sql/exec/copy.h"

#include <ctype.h>

enum { CONTEXT_BYTES_MAX = 100 };

struct reader {
    const struct copy_from *c;
    const uint8_t *data; /* rest of the chunk */
    size_t len;
    bool at_end;
    struct strbuf line;
    struct strbuf fields; /* unescaped bytes of all fields of the line */
    const char **texts;   /* per copied column; NULL = null */
    size_t *lengths;
    uint64_t line_number;
    bool
        skip_newline; /* a carriage return ended the last line: a newline behind it belongs to it */
    struct arena *mem; /* of the whole copy */
    struct arena *row_mem;
    datum *values;
    bool *nulls;
    struct program **defaults;
    struct program *where;
    struct table_writer *writer;
    uint64_t rows;
};

static NO_SUSPEND_ANALYSIS err_t reader_fill_wait(struct reader *r)
{
    if (r->at_end || r->len > 0)
        return ERR_OK;
    TRY(r->c->read(r->c->owner, &r->data, &r->len));
    r->at_end = r->len == 0;
    return ERR_OK;
}

/* ---- contexts ---- */

static const char *context_text(struct reader *r, const char *bytes, size_t len)
{
    bool cut = len > CONTEXT_BYTES_MAX;
    return arena_printf(r->mem, "%.*s%s", (int)MIN(len, CONTEXT_BYTES_MAX), bytes,
                        cut ? "..." : "");
}

static err_t with_line(struct reader *r, err_t e)
{
    err_context("COPY %s, line %llu: \"%s\"", r->c->table->name, (unsigned long long)r->line_number,
                context_text(r, r->line.data ? r->line.data : "", r->line.len));
    return e;
}

static err_t with_column(struct reader *r, uint32_t i, err_t e)
{
    const char *name = r->c->table->column_names[r->c->columns[i] - 1];
    if (r->texts[i])
        err_context("COPY %s, line %llu, column %s: \"%s\"", r->c->table->name,
                    (unsigned long long)r->line_number, name,
                    context_text(r, r->texts[i], r->lengths[i]));
    else
        err_context("COPY %s, line %llu, column %s: null input", r->c->table->name,
                    (unsigned long long)r->line_number, name);
    return e;
}

/* ---- lines ---- */

/* Whether the bytes so far, with this one, end the line; quote state is kept over chunks. */
struct line_state {
    bool in_quotes;
    bool escaped; /* text: after a backslash; csv: after the escape character inside quotes */
};

static bool line_ends(const struct copy_options *o, struct line_state *s, char b)
{
    if (o->format == COPY_TEXT) {
        if (s->escaped) {
            s->escaped = false;
            return false;
        }
        s->escaped = b == '\\';
        return b == '\n' || b == '\r';
    }
    if (s->in_quotes && s->escaped) {
        s->escaped = false;
        return false;
    }
    if (s->in_quotes && b == o->escape && o->escape != o->quote) {
        s->escaped = true;
        return false;
    }
    if (b == o->quote)
        s->in_quotes = !s->in_quotes;
    return !s->in_quotes && (b == '\n' || b == '\r');
}

/* *found = false at the end of the data. */
static SUSPENDS err_t reader_line_wait(struct reader *r, bool *found)
{
    strbuf_reset(&r->line);
    struct line_state state = {0};
    *found = false;
    for (;;) {
        TRY(reader_fill_wait(r));
        if (r->at_end) {
            if (state.in_quotes) {
                r->line_number++;
                return with_line(
                    r, err_raise(ERR_BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field"));
            }
            *found = r->line.len > 0;
            break;
        }
        if (r->skip_newline && r->data[0] == '\n') {
            r->data++;
            r->len--;
            r->skip_newline = false;
            continue;
        }
        r->skip_newline = false;
        size_t n = 0;
        while (n < r->len && !line_ends(r->c->options, &state, (char)r->data[n]))
            n++;
        TRY(strbuf_put(&r->line, r->data, n));
        if (n < r->len) {
            r->skip_newline = r->data[n] == '\r';
            r->data += n + 1;
            r->len -= n + 1;
            *found = true;
            break;
        }
        r->data += n;
        r->len = 0;
    }
    r->line_number += *found;
    if (*found && r->line.len == 2 && memcmp(r->line.data, "\\.", 2) == 0) {
        /* End-of-data marker: what follows is read and dropped. */
        while (!r->at_end) {
            r->len = 0;
            TRY(reader_fill_wait(r));
        }
        *found = false;
    }
    return ERR_OK;
}

/* ---- fields ---- */

static err_t too_many(struct reader *r)
{
    return with_line(r,
                     err_raise(ERR_BAD_COPY_FILE_FORMAT, "extra data after last expected column"));
}

static int octal_value(const char **p, const char *end)
{
    int v = 0;
    for (int i = 0; i < 3 && *p < end && **p >= '0' && **p <= '7'; i++)
        v = v * 8 + (*(*p)++ - '0');
    return v & 0xff;
}

static int hex_value(const char **p, const char *end)
{
    int v = 0;
    for (int i = 0; i < 2 && *p < end && isxdigit((unsigned char)**p); i++) {
        int c = tolower((unsigned char)*(*p)++);
        v = v * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return v;
}

/* One escape behind a backslash; *p stands on the character after it. */
static char unescape(const char **p, const char *end)
{
    char b = *(*p)++;
    switch (b) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    case 'x':
        return *p < end && isxdigit((unsigned char)**p) ? (char)hex_value(p, end) : 'x';
    default:
        if (b < '0' || b > '7')
            return b;
        --*p;
        return (char)octal_value(p, end);
    }
}

/* The unescaped text never is longer than the line, so the buffer is sized once and pointers stay.
 */
static err_t split_text(struct reader *r, uint32_t *count)
{
    const struct copy_options *o = r->c->options;
    const char *p = r->line.data ? r->line.data : "";
    const char *end = p + r->line.len;
    char *out = r->fields.data;
    size_t null_len = strlen(o->null_text);
    *count = 0;
    for (;;) {
        const char *raw = p;
        char *begin = out;
        if (*count == r->c->column_count)
            return too_many(r);
        while (p < end && *p != o->delimiter) {
            if (*p == '\\' && p + 1 < end) {
                p++;
                *out++ = unescape(&p, end);
            } else {
                *out++ = *p++;
            }
        }
        bool is_null = (size_t)(p - raw) == null_len && memcmp(raw, o->null_text, null_len) == 0;
        r->texts[*count] = is_null ? NULL : begin;
        r->lengths[*count] = (size_t)(out - begin);
        *out++ = '\0';
        ++*count;
        if (p == end)
            return ERR_OK;
        p++;
    }
}

static err_t split_csv(struct reader *r, uint32_t *count)
{
    const struct copy_options *o = r->c->options;
    const char *p = r->line.data ? r->line.data : "";
    const char *end = p + r->line.len;
    char *out = r->fields.data;
    size_t null_len = strlen(o->null_text);
    *count = 0;
    for (;;) {
        char *begin = out;
        bool was_quoted = false;
        bool in_quotes = false;
        if (*count == r->c->column_count)
            return too_many(r);
        for (; p < end && (in_quotes || *p != o->delimiter); p++) {
            if (in_quotes && *p == o->escape && p + 1 < end &&
                (p[1] == o->escape || p[1] == o->quote)) {
                *out++ = *++p;
            } else if (*p == o->quote) {
                in_quotes = !in_quotes;
                was_quoted = true;
            } else {
                *out++ = *p;
            }
        }
        size_t len = (size_t)(out - begin);
        bool matches = len == null_len && memcmp(begin, o->null_text, null_len) == 0;
        bool is_null = matches && !was_quoted;
        if (o->force_not_null && o->force_not_null[*count])
            is_null = false;
        if (matches && was_quoted && o->force_null && o->force_null[*count])
            is_null = true;
        r->texts[*count] = is_null ? NULL : begin;
        r->lengths[*count] = len;
        *out++ = '\0';
        ++*count;
        if (p == end)
            return ERR_OK;
        p++;
    }
}

static err_t reader_split(struct reader *r, uint32_t *count)
{
    size_t room = r->line.len + r->c->column_count + 2;
    if (r->fields.capacity < room) {
        void *data;
        TRY(arena_alloc_try(r->mem, room * 2, &data));
        r->fields.data = data;
        r->fields.capacity = room * 2;
    }
    /* A line without anything in it is one empty field, or a row of no columns. */
    if (r->line.len == 0 && r->c->column_count == 0) {
        *count = 0;
        return ERR_OK;
    }
    return r->c->options->format == COPY_CSV ? split_csv(r, count) : split_text(r, count);
}

/* ---- rows ---- */

static SUSPENDS err_t reader_defaults_wait(struct reader *r, struct eval *eval)
{
    for (uint32_t i = 0; i < r->c->table->column_count; i++) {
        if (r->defaults[i])
            TRY(expr_eval_wait(r->defaults[i], eval, &r->values[i], &r->nulls[i]));
    }
    return ERR_OK;
}

static SUSPENDS err_t reader_add_row_wait(struct reader *r, struct eval *eval)
{
    TRY(reader_defaults_wait(r, eval));
    if (r->where) {
        struct slot slot = {
            .values = r->values, .nulls = r->nulls, .count = r->c->table->column_count};
        bool wanted;
        eval->inputs[0] = &slot;
        TRY(expr_eval_bool_wait(r->where, eval, &wanted));
        eval->inputs[0] = NULL;
        if (!wanted)
            return ERR_OK;
    }
    r->rows++;
    err_t e = table_writer_add_wait(r->writer, r->values, r->nulls);
    if (e != ERR_OK)
        err_context("COPY %s, line %llu", r->c->table->name, (unsigned long long)r->line_number);
    return e;
}

static err_t reader_convert(struct reader *r, uint32_t i)
{
    const struct plan_table *t = r->c->table;
    uint32_t column = (uint32_t)r->c->columns[i] - 1;
    r->nulls[column] = r->texts[i] == NULL;
    if (!r->texts[i])
        return ERR_OK;
    err_t e = value_input(r->c->env, r->row_mem, t->column_types[column], t->column_typmods[column],
                          r->texts[i], r->lengths[i], &r->values[column]);
    return e == ERR_OK ? e : with_column(r, i, e);
}

static SUSPENDS err_t reader_header_wait(struct reader *r)
{
    bool found;
    uint32_t count;
    TRY(reader_line_wait(r, &found));
    if (!found || r->c->options->header != COPY_HEADER_MATCH)
        return ERR_OK;
    TRY(reader_split(r, &count));
    for (uint32_t i = 0; i < r->c->column_count; i++) {
        const char *name = r->c->table->column_names[r->c->columns[i] - 1];
        if (i >= count)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT,
                             "wrong number of fields in header line: got %u, expected %u", count,
                             r->c->column_count);
        if (!r->texts[i] || strcmp(r->texts[i], name) != 0)
            return err_raise(
                ERR_BAD_COPY_FILE_FORMAT,
                "column name mismatch in header line field %u: got \"%s\", expected \"%s\"", i + 1,
                r->texts[i] ? r->texts[i] : "null value", name);
    }
    return ERR_OK;
}

static SUSPENDS err_t reader_lines_wait(struct reader *r, struct eval *eval)
{
    if (r->c->options->header != COPY_HEADER_NONE)
        TRY(reader_header_wait(r));
    for (;;) {
        bool found;
        uint32_t count;
        arena_reset(r->row_mem);
        TRY(reader_line_wait(r, &found));
        if (!found)
            return ERR_OK;
        TRY(reader_split(r, &count));
        if (count < r->c->column_count) {
            const char *name = r->c->table->column_names[r->c->columns[count] - 1];
            return with_line(
                r, err_raise(ERR_BAD_COPY_FILE_FORMAT, "missing data for column \"%s\"", name));
        }
        for (uint32_t i = 0; i < r->c->column_count; i++)
            TRY(reader_convert(r, i));
        TRY(reader_add_row_wait(r, eval));
        TRY(fiber_rest_wait());
    }
}

/* ---- binary ---- */

/* Exactly len bytes in *out (row_mem); *found false when the data ends before the first of them. */
static SUSPENDS err_t reader_bytes_wait(struct reader *r, size_t len, uint8_t **out, bool *found)
{
    void *bytes;
    TRY(arena_alloc_try(r->row_mem, len + 1, &bytes));
    *out = bytes;
    size_t have = 0;
    while (have < len) {
        TRY(reader_fill_wait(r));
        if (r->at_end) {
            *found = false;
            return have == 0 ? ERR_OK
                             : err_raise(ERR_BAD_COPY_FILE_FORMAT, "unexpected EOF in COPY data");
        }
        size_t n = MIN(len - have, r->len);
        memcpy(*out + have, r->data, n);
        r->data += n;
        r->len -= n;
        have += n;
    }
    *found = true;
    return ERR_OK;
}

static SUSPENDS err_t reader_binary_head_wait(struct reader *r)
{
    static const char signature[11] = "PGCOPY\n\377\r\n";
    uint8_t *b;
    bool found;
    TRY(reader_bytes_wait(r, 19, &b, &found));
    if (!found || memcmp(b, signature, 11) != 0)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "COPY file signature not recognized");
    if (load_be32(b + 11) & 0xffff0000u)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT,
                         "unrecognized critical flags in COPY file header");
    uint32_t extension = load_be32(b + 15);
    if (extension > ALLOC_BYTES_MAX)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "invalid COPY file header (wrong length)");
    return extension ? reader_bytes_wait(r, extension, &b, &found) : ERR_OK;
}

static SUSPENDS err_t reader_binary_field_wait(struct reader *r, uint32_t i)
{
    const struct plan_table *t = r->c->table;
    uint32_t column = (uint32_t)r->c->columns[i] - 1;
    uint8_t *b;
    bool found;
    TRY(reader_bytes_wait(r, 4, &b, &found));
    if (!found)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "unexpected EOF in COPY data");
    int32_t len = (int32_t)load_be32(b);
    r->nulls[column] = len == -1;
    r->texts[i] = NULL;
    if (len == -1)
        return ERR_OK;
    if (len < 0)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "invalid field size");
    TRY(reader_bytes_wait(r, (size_t)len, &b, &found));
    if (!found && len > 0)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "unexpected EOF in COPY data");
    err_t e = value_receive(r->c->env, r->row_mem, t->column_types[column],
                            t->column_typmods[column], b, (size_t)len, &r->values[column]);
    if (e != ERR_OK)
        err_context("COPY %s, line %llu, column %s", t->name, (unsigned long long)r->line_number,
                    t->column_names[column]);
    return e;
}

static SUSPENDS err_t reader_binary_wait(struct reader *r, struct eval *eval)
{
    TRY(reader_binary_head_wait(r));
    for (;;) {
        uint8_t *b;
        bool found;
        arena_reset(r->row_mem);
        TRY(reader_bytes_wait(r, 2, &b, &found));
        if (!found)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT, "unexpected EOF in COPY data");
        int16_t count = (int16_t)load_be16(b);
        if (count == -1)
            break;
        r->line_number++;
        if (count != (int32_t)r->c->column_count)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT, "row field count is %d, expected %u", count,
                             r->c->column_count);
        for (uint32_t i = 0; i < r->c->column_count; i++)
            TRY(reader_binary_field_wait(r, i));
        TRY(reader_add_row_wait(r, eval));
        TRY(fiber_rest_wait());
    }
    while (!r->at_end) {
        TRY(reader_fill_wait(r));
        if (r->len > 0)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT, "received copy data after EOF marker");
    }
    return ERR_OK;
}

/* ---- the whole ---- */

static err_t reader_prepare(struct reader *r)
{
    const struct copy_from *c = r->c;
    uint32_t count = c->table->column_count;
    strbuf_init(&r->line, r->mem);
    strbuf_init(&r->fields, r->mem);
    r->texts = ARENA_ARRAY(r->mem, const char *, c->column_count + 1);
    r->lengths = ARENA_ARRAY(r->mem, size_t, c->column_count + 1);
    r->values = ARENA_ARRAY(r->mem, datum, count + 1);
    r->nulls = ARENA_ARRAY(r->mem, bool, count + 1);
    r->defaults = ARENA_ARRAY(r->mem, struct program *, count + 1);
    memset(r->nulls, 1, count);
    for (uint32_t i = 0; i < count; i++) {
        if (c->defaults && c->defaults[i])
            TRY(expr_compile(r->mem, c->defaults[i], &r->defaults[i]));
    }
    return c->where ? expr_compile(r->mem, c->where, &r->where) : ERR_OK;
}

SUSPENDS err_t copy_from_wait(const struct copy_from *c, uint64_t *rows)
{
    struct arena *mem = arena_new();
    struct reader *r = ARENA_NEW(mem, struct reader);
    r->c = c;
    r->mem = mem;
    r->row_mem = arena_new();
    struct eval eval = {.env = c->env, .mem = r->row_mem, .state_mem = mem};
    err_t e = reader_prepare(r);
    if (e == ERR_OK)
        e = table_writer_open_wait(c->table, c->txn, c->env, mem, &r->writer);
    if (e == ERR_OK) {
        e = c->options->format == COPY_BINARY ? reader_binary_wait(r, &eval)
                                              : reader_lines_wait(r, &eval);
        if (e == ERR_OK)
            e = table_writer_close_wait(r->writer, rows);
        else
            table_writer_abandon_wait(r->writer);
    }
    arena_free(r->row_mem);
    arena_free(mem);
    return e;
}
