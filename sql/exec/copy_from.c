/*
 * COPY FROM: bytes in chunks of any size become lines (or binary tuples), lines become fields,
 * fields become values, rows go to a table writer.
 *
 * Bytes that are not used up yet stay at the front of `buffer`; a scan for the end of a line goes
 * on where it stopped when more bytes have come, so no byte is looked at twice for that. In csv a
 * line ends at a newline outside of quotes.
 */
#include "core/core.h"
#include "sql/exec/copy.h"
#include "sql/exec/exec_priv.h"
#include "sql/types/utf8.h"

enum { CONTEXT_BYTES_MAX = 100 };
enum line_end { LINE_END_UNKNOWN, LINE_END_NL, LINE_END_CR, LINE_END_CRNL };

struct reader {
    const struct copy_from *c;
    struct arena *mem;
    struct table_writer *writer;
    /* bytes */
    uint8_t *buffer;
    size_t used;
    size_t start; /* of the current line */
    size_t capacity;
    bool is_eof;
    /* scanning for a line's end */
    size_t scan;
    bool in_quote;
    bool last_escape;
    enum line_end line_end;
    /* the current line */
    uint64_t line_number;
    const char *line;
    size_t line_len;
    bool has_line; /* for error contexts */
    int32_t field; /* being converted; -1 */
    const char *field_text;
    size_t field_len;
    /* its fields */
    char *text; /* unescaped fields, one after the other, each with a NUL */
    size_t text_capacity;
    uint32_t field_count;
    uint32_t field_capacity;
    char **fields; /* NULL = null */
    size_t *field_lens;
    /* rows */
    const struct type_info **types;
    struct arena *row_mem;
    struct arena_mark row_mark;
    struct slot row;
    struct eval eval;
    struct program *defaults;
    struct program *where;
    datum *default_values;
    bool *default_nulls;
    bool *is_copied;
    uint64_t rows;
    bool is_writing; /* an error is the writer's, about the row it names */
};

/* ---- bytes ---- */

static err_t reserve(struct reader *r, size_t more)
{
    if (r->used + more <= r->capacity)
        return ERR_OK;
    if (r->start > 0) {
        memmove(r->buffer, r->buffer + r->start, r->used - r->start);
        r->used -= r->start;
        r->scan -= r->start;
        r->start = 0;
        if (r->used + more <= r->capacity)
            return ERR_OK;
    }
    size_t capacity = MAX(r->capacity * 2, (r->used + more) * 2);
    if (capacity > ALLOC_BYTES_MAX && r->used + more <= ALLOC_BYTES_MAX)
        capacity = ALLOC_BYTES_MAX;
    void *memory = NULL;
    TRY(arena_alloc_try(r->mem, capacity, &memory));
    if (r->used > 0)
        memcpy(memory, r->buffer, r->used);
    r->buffer = memory;
    r->capacity = capacity;
    return ERR_OK;
}

/* Another chunk behind what is there; is_eof when there is none. */
static SUSPENDS err_t more_wait(struct reader *r)
{
    const uint8_t *data = NULL;
    size_t len = 0;
    TRY(r->c->read(r->c->owner, &data, &len));
    if (len == 0) {
        r->is_eof = true;
        return ERR_OK;
    }
    TRY(reserve(r, len));
    memcpy(r->buffer + r->used, data, len);
    r->used += len;
    return ERR_OK;
}

/* ---- lines ---- */

static err_t literal_line_end(const struct reader *r, bool is_cr)
{
    bool csv = r->c->options->format == COPY_CSV;
    err_t e;
    if (is_cr)
        e = csv ? err_raise(ERR_BAD_COPY_FILE_FORMAT, "unquoted carriage return found in data")
                : err_raise(ERR_BAD_COPY_FILE_FORMAT, "literal carriage return found in data");
    else
        e = csv ? err_raise(ERR_BAD_COPY_FILE_FORMAT, "unquoted newline found in data")
                : err_raise(ERR_BAD_COPY_FILE_FORMAT, "literal newline found in data");
    if (csv)
        err_hint(is_cr ? "Use quoted CSV field to represent carriage return."
                       : "Use quoted CSV field to represent newline.");
    else
        err_hint(is_cr ? "Use \"\\r\" to represent carriage return."
                       : "Use \"\\n\" to represent newline.");
    return e;
}

enum scan_result { SCAN_MORE, SCAN_LINE };

/* The unescaped \n or \r at r->scan. *next: where the following line begins. */
static err_t settle_line_end(struct reader *r, size_t *next, enum scan_result *out)
{
    uint8_t c = r->buffer[r->scan];
    *out = SCAN_LINE;
    if (c == '\r') {
        if (r->line_end == LINE_END_UNKNOWN || r->line_end == LINE_END_CRNL) {
            if (r->scan + 1 >= r->used && !r->is_eof) {
                *out = SCAN_MORE;
                return ERR_OK;
            }
            bool is_pair = r->scan + 1 < r->used && r->buffer[r->scan + 1] == '\n';
            if (is_pair) {
                r->line_end = LINE_END_CRNL;
                *next = r->scan + 2;
                return ERR_OK;
            }
            if (r->line_end == LINE_END_CRNL)
                return literal_line_end(r, true);
            r->line_end = LINE_END_CR;
        } else if (r->line_end == LINE_END_NL) {
            return literal_line_end(r, true);
        }
        *next = r->scan + 1;
        return ERR_OK;
    }
    if (r->line_end == LINE_END_CR || r->line_end == LINE_END_CRNL)
        return literal_line_end(r, false);
    r->line_end = LINE_END_NL;
    *next = r->scan + 1;
    return ERR_OK;
}

static err_t scan_text(struct reader *r, size_t *next, enum scan_result *out)
{
    const uint8_t *b = r->buffer;
    *out = SCAN_MORE;
    while (r->scan < r->used) {
        uint8_t c = b[r->scan];
        if (c == '\\') {
            /* The next byte is data whatever it is. */
            if (r->scan + 1 >= r->used && !r->is_eof)
                return ERR_OK;
            r->scan = MIN(r->scan + 2, r->used);
            continue;
        }
        if (c == '\n' || c == '\r')
            return settle_line_end(r, next, out);
        r->scan++;
    }
    return ERR_OK;
}

static err_t scan_csv(struct reader *r, size_t *next, enum scan_result *out)
{
    const struct copy_options *o = r->c->options;
    const uint8_t *b = r->buffer;
    uint8_t quote = (uint8_t)o->quote;
    int escape = o->escape != o->quote ? (uint8_t)o->escape : -1;
    *out = SCAN_MORE;
    for (; r->scan < r->used; r->scan++) {
        uint8_t c = b[r->scan];
        if (r->in_quote && c == escape)
            r->last_escape = !r->last_escape;
        if (c == quote && !r->last_escape)
            r->in_quote = !r->in_quote;
        if (c != escape)
            r->last_escape = false;
        if (!r->in_quote && (c == '\n' || c == '\r'))
            return settle_line_end(r, next, out);
    }
    return ERR_OK;
}

/* The next line into r->line, without its end; *found false at the end of the data. */
static SUSPENDS err_t next_line_wait(struct reader *r, bool *found)
{
    bool csv = r->c->options->format == COPY_CSV;
    *found = false;
    r->has_line = false;
    r->line_number++;
    r->in_quote = false;
    r->last_escape = false;
    for (;;) {
        size_t next = 0;
        enum scan_result result = SCAN_MORE;
        TRY(csv ? scan_csv(r, &next, &result) : scan_text(r, &next, &result));
        if (result == SCAN_MORE && r->is_eof) {
            if (r->scan == r->start)
                return ERR_OK;
            next = r->used;
            result = SCAN_LINE;
        }
        if (result == SCAN_LINE) {
            r->line = (const char *)r->buffer + r->start;
            r->line_len = r->scan - r->start;
            r->start = next;
            r->scan = next;
            /* "\." alone ends the data; what follows is skipped. */
            if (r->line_len == 2 && memcmp(r->line, "\\.", 2) == 0) {
                while (!r->is_eof) {
                    r->used = 0;
                    r->start = 0;
                    TRY(more_wait(r));
                }
                r->used = 0;
                r->start = 0;
                r->scan = 0;
                return ERR_OK;
            }
            r->has_line = true;
            TRY(utf8_check(r->line, r->line_len));
            *found = true;
            return ERR_OK;
        }
        TRY(more_wait(r));
    }
}

/* ---- fields ---- */

static void add_field(struct reader *r, char *text, size_t len)
{
    if (r->field_count == r->field_capacity) {
        uint32_t capacity = r->field_capacity * 2 + 16;
        char **fields = ARENA_ARRAY(r->mem, char *, capacity);
        size_t *lens = ARENA_ARRAY(r->mem, size_t, capacity);
        if (r->field_count > 0) {
            memcpy(fields, r->fields, sizeof(char *) * r->field_count);
            memcpy(lens, r->field_lens, sizeof(size_t) * r->field_count);
        }
        r->fields = fields;
        r->field_lens = lens;
        r->field_capacity = capacity;
    }
    r->fields[r->field_count] = text;
    r->field_lens[r->field_count++] = len;
}

static err_t reserve_text(struct reader *r)
{
    size_t need = r->line_len * 2 + 16;
    if (need <= r->text_capacity)
        return ERR_OK;
    void *memory = NULL;
    TRY(arena_alloc_try(r->mem, need * 2, &memory));
    r->text = memory;
    r->text_capacity = need * 2;
    return ERR_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The escape after a backslash at p; returns what is behind it. */
static const char *unescape(const char *p, const char *end, char *out, bool *is_byte)
{
    char c = *p++;
    switch (c) {
    case 'b':
        *out = '\b';
        return p;
    case 'f':
        *out = '\f';
        return p;
    case 'n':
        *out = '\n';
        return p;
    case 'r':
        *out = '\r';
        return p;
    case 't':
        *out = '\t';
        return p;
    case 'v':
        *out = '\v';
        return p;
    case 'x': {
        if (p >= end || hex_digit(*p) < 0)
            break;
        int v = hex_digit(*p++);
        if (p < end && hex_digit(*p) >= 0)
            v = v * 16 + hex_digit(*p++);
        *out = (char)(uint8_t)v;
        *is_byte = true;
        return p;
    }
    default:
        if (c >= '0' && c <= '7') {
            int v = c - '0';
            for (int i = 0; i < 2 && p < end && *p >= '0' && *p <= '7'; i++)
                v = v * 8 + (*p++ - '0');
            *out = (char)(uint8_t)v;
            *is_byte = true;
            return p;
        }
        break;
    }
    *out = c;
    return p;
}

static err_t split_text(struct reader *r)
{
    const struct copy_options *o = r->c->options;
    size_t null_len = strlen(o->null_text);
    TRY(reserve_text(r));
    r->field_count = 0;
    const char *p = r->line;
    const char *end = p + r->line_len;
    char *to = r->text;
    for (;;) {
        const char *start = p;
        char *field = to;
        bool has_bytes = false;
        while (p < end && *p != o->delimiter) {
            char c = *p++;
            if (c == '\\' && p < end)
                p = unescape(p, end, &c, &has_bytes);
            *to++ = c;
        }
        bool is_null =
            (size_t)(p - start) == null_len && memcmp(start, o->null_text, null_len) == 0;
        size_t len = (size_t)(to - field);
        *to++ = '\0';
        if (has_bytes && !is_null)
            TRY(utf8_check(field, len));
        add_field(r, is_null ? NULL : field, len);
        if (p >= end)
            return ERR_OK;
        p++;
    }
}

static err_t split_csv(struct reader *r)
{
    const struct copy_options *o = r->c->options;
    size_t null_len = strlen(o->null_text);
    TRY(reserve_text(r));
    r->field_count = 0;
    const char *p = r->line;
    const char *end = p + r->line_len;
    char *to = r->text;
    for (;;) {
        char *field = to;
        bool saw_quote = false;
        bool in_quote = false;
        while (p < end) {
            char c = *p;
            if (!in_quote) {
                if (c == o->delimiter)
                    break;
                p++;
                if (c == o->quote) {
                    saw_quote = true;
                    in_quote = true;
                } else {
                    *to++ = c;
                }
                continue;
            }
            p++;
            if (c == o->escape && p < end && (*p == o->escape || *p == o->quote)) {
                *to++ = *p++;
                continue;
            }
            if (c == o->quote) {
                in_quote = false;
                continue;
            }
            *to++ = c;
        }
        if (in_quote)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field");
        size_t len = (size_t)(to - field);
        *to++ = '\0';
        bool is_null = !saw_quote && len == null_len && memcmp(field, o->null_text, len) == 0;
        /* FORCE_NULL: a quoted null string is null as well. */
        if (r->field_count < r->c->column_count) {
            if (o->force_not_null[r->field_count] && is_null)
                is_null = false;
            else if (o->force_null[r->field_count] && saw_quote && len == null_len &&
                     memcmp(field, o->null_text, len) == 0)
                is_null = true;
        }
        add_field(r, is_null ? NULL : field, len);
        if (p >= end)
            return ERR_OK;
        p++;
    }
}

static err_t split_line(struct reader *r)
{
    return r->c->options->format == COPY_CSV ? split_csv(r) : split_text(r);
}

static SUSPENDS err_t header_wait(struct reader *r, bool *found)
{
    TRY(next_line_wait(r, found));
    if (!*found || r->c->options->header != COPY_HEADER_MATCH)
        return ERR_OK;
    TRY(split_line(r));
    const struct plan_table *t = r->c->table;
    if (r->field_count != r->c->column_count)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT,
                         "wrong number of fields in header line: got %u, expected %u",
                         r->field_count, r->c->column_count);
    for (uint32_t i = 0; i < r->field_count; i++) {
        const char *name = t->column_names[r->c->columns[i] - 1];
        if (r->fields[i] == NULL)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT,
                             "column name mismatch in header line field %u: got null value "
                             "(\"%s\"), expected \"%s\"",
                             i + 1, r->c->options->null_text, name);
        if (strcmp(r->fields[i], name) != 0)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT,
                             "column name mismatch in header line field %u: got \"%s\", expected "
                             "\"%s\"",
                             i + 1, r->fields[i], name);
    }
    return ERR_OK;
}

/* ---- rows ---- */

static SUSPENDS err_t write_row_wait(struct reader *r)
{
    const struct copy_from *c = r->c;
    r->field = -1;
    if (r->defaults != NULL) {
        TRY(expr_eval_list_wait(r->defaults, &r->eval, r->default_values, r->default_nulls));
        for (uint32_t i = 0; i < c->table->column_count; i++)
            if (!r->is_copied[i]) {
                r->row.values[i] = r->default_values[i];
                r->row.nulls[i] = r->default_nulls[i];
            }
    }
    if (r->where != NULL) {
        bool pass = false;
        TRY(expr_eval_bool_wait(r->where, &r->eval, &pass));
        if (!pass)
            return ERR_OK;
    }
    table_writer_tag(r->writer, r->line_number);
    r->is_writing = true;
    TRY(table_writer_add_wait(r->writer, r->row.values, r->row.nulls));
    r->is_writing = false;
    r->rows++;
    return ERR_OK;
}

static err_t convert_fields(struct reader *r)
{
    const struct copy_from *c = r->c;
    const struct plan_table *t = c->table;
    if (r->field_count > c->column_count)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "extra data after last expected column");
    for (uint32_t i = 0; i < c->column_count; i++) {
        uint32_t column = (uint32_t)c->columns[i] - 1;
        r->field = -1;
        if (i >= r->field_count)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT, "missing data for column \"%s\"",
                             t->column_names[column]);
        r->field = (int32_t)column;
        r->field_text = r->fields[i];
        r->field_len = r->field_lens[i];
        r->row.nulls[column] = r->fields[i] == NULL;
        if (r->fields[i] == NULL)
            continue;
        TRY(value_input(c->env, r->row_mem, t->column_types[column], t->column_typmods[column],
                        r->fields[i], r->field_lens[i], &r->row.values[column]));
    }
    r->field = -1;
    return ERR_OK;
}

static SUSPENDS err_t text_rows_wait(struct reader *r)
{
    bool found = true;
    if (r->c->options->header != COPY_HEADER_NONE)
        TRY(header_wait(r, &found));
    while (found) {
        TRY(next_line_wait(r, &found));
        if (!found)
            break;
        arena_rewind(r->row_mem, r->row_mark);
        if (r->c->column_count == 0 && r->line_len > 0)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT, "extra data after last expected column");
        r->field_count = 0;
        if (r->c->column_count > 0)
            TRY(split_line(r));
        TRY(convert_fields(r));
        TRY(write_row_wait(r));
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

/* ---- binary ---- */

/* At least bytes from start on. */
static SUSPENDS err_t need_wait(struct reader *r, size_t bytes)
{
    while (r->used - r->start < bytes) {
        if (r->is_eof)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT, "unexpected EOF in COPY data");
        r->scan = r->start;
        TRY(more_wait(r));
    }
    return ERR_OK;
}

static SUSPENDS err_t binary_header_wait(struct reader *r)
{
    static const uint8_t signature[11] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0};
    if (need_wait(r, sizeof(signature)) != ERR_OK ||
        memcmp(r->buffer + r->start, signature, sizeof(signature)) != 0)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "COPY file signature not recognized");
    r->start += sizeof(signature);
    if (need_wait(r, 4) != ERR_OK)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "invalid COPY file header (missing flags)");
    uint32_t flags = load_be32(r->buffer + r->start);
    r->start += 4;
    if (flags & (1u << 16))
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "invalid COPY file header (WITH OIDS)");
    if (flags >> 17)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT,
                         "unrecognized critical flags in COPY file header");
    if (need_wait(r, 4) != ERR_OK)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "invalid COPY file header (missing length)");
    uint32_t extension = load_be32(r->buffer + r->start);
    r->start += 4;
    if (extension > INT32_MAX || need_wait(r, extension) != ERR_OK)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "invalid COPY file header (wrong length)");
    r->start += extension;
    return ERR_OK;
}

static SUSPENDS err_t binary_field_wait(struct reader *r, uint32_t column)
{
    const struct plan_table *t = r->c->table;
    r->field = (int32_t)column;
    r->field_text = NULL;
    TRY(need_wait(r, 4));
    uint32_t len = load_be32(r->buffer + r->start);
    r->start += 4;
    r->row.nulls[column] = len == UINT32_MAX;
    if (len == UINT32_MAX)
        return ERR_OK;
    if (len > INT32_MAX)
        return err_raise(ERR_BAD_COPY_FILE_FORMAT, "invalid field size");
    TRY(need_wait(r, len));
    const uint8_t *bytes = r->buffer + r->start;
    r->start += len;
    return value_receive(r->c->env, r->row_mem, t->column_types[column], t->column_typmods[column],
                         bytes, len, &r->row.values[column]);
}

static SUSPENDS err_t binary_rows_wait(struct reader *r)
{
    TRY(binary_header_wait(r));
    for (;;) {
        r->line_number++;
        r->field = -1;
        while (r->used - r->start < 2 && !r->is_eof) {
            r->scan = r->start;
            TRY(more_wait(r));
        }
        if (r->used == r->start)
            return ERR_OK; /* no trailer: the end of the data does */
        TRY(need_wait(r, 2));
        int16_t count = (int16_t)load_be16(r->buffer + r->start);
        r->start += 2;
        if (count == -1) {
            while (r->used == r->start && !r->is_eof) {
                r->scan = r->start;
                TRY(more_wait(r));
            }
            if (r->used > r->start)
                return err_raise(ERR_BAD_COPY_FILE_FORMAT, "received copy data after EOF marker");
            return ERR_OK;
        }
        if (count < 0 || (uint32_t)count != r->c->column_count)
            return err_raise(ERR_BAD_COPY_FILE_FORMAT, "row field count is %d, expected %u", count,
                             r->c->column_count);
        arena_rewind(r->row_mem, r->row_mark);
        for (uint32_t i = 0; i < r->c->column_count; i++)
            TRY(binary_field_wait(r, (uint32_t)r->c->columns[i] - 1));
        TRY(write_row_wait(r));
        TRY(fiber_rest_wait());
    }
}

/* ---- errors ---- */

static COLD void add_context(struct reader *r)
{
    const struct plan_table *t = r->c->table;
    bool is_binary = r->c->options->format == COPY_BINARY;
    uint64_t failed = r->is_writing ? table_writer_failed_tag(r->writer) : 0;
    if (failed != 0 && failed != r->line_number) {
        err_context("COPY %s, line %lu", t->name, (unsigned long)failed);
        return;
    }
    unsigned long line = (unsigned long)r->line_number;
    if (line == 0) /* the header */
        return;
    if (r->field >= 0) {
        const char *column = t->column_names[r->field];
        if (is_binary)
            err_context("COPY %s, line %lu, column %s", t->name, line, column);
        else if (r->field_text == NULL)
            err_context("COPY %s, line %lu, column %s: null input", t->name, line, column);
        else if (r->field_len > CONTEXT_BYTES_MAX)
            err_context("COPY %s, line %lu, column %s: \"%.*s...\"", t->name, line, column,
                        (int)utf8_clip_bytes(r->field_text, r->field_len, CONTEXT_BYTES_MAX),
                        r->field_text);
        else
            err_context("COPY %s, line %lu, column %s: \"%.*s\"", t->name, line, column,
                        (int)r->field_len, r->field_text);
        return;
    }
    if (!r->has_line || is_binary) {
        err_context("COPY %s, line %lu", t->name, line);
        return;
    }
    size_t shown = 0;
    if (utf8_check(r->line, r->line_len) == ERR_OK)
        shown = utf8_clip_bytes(r->line, r->line_len, CONTEXT_BYTES_MAX);
    if (shown == 0 && r->line_len > 0)
        err_context("COPY %s, line %lu", t->name, line);
    else
        err_context("COPY %s, line %lu: \"%.*s%s\"", t->name, line, (int)shown, r->line,
                    shown < r->line_len ? "..." : "");
}

/* ---- setting up ---- */

static err_t reader_init(struct reader *r, const struct copy_from *c)
{
    const struct plan_table *t = c->table;
    r->c = c;
    r->mem = arena_new();
    r->row_mem = arena_new();
    r->row_mark = arena_mark(r->row_mem);
    r->field = -1;
    slot_init(&r->row, r->mem, t->column_count + 3);
    memset(r->row.nulls, true, t->column_count + 3);
    r->eval = (struct eval){.env = c->env, .mem = r->row_mem, .state_mem = r->mem};
    r->eval.inputs[0] = &r->row;
    r->is_copied = ARENA_ARRAY(r->mem, bool, t->column_count + 1);
    for (uint32_t i = 0; i < c->column_count; i++)
        r->is_copied[c->columns[i] - 1] = true;
    bool has_defaults = false;
    for (uint32_t i = 0; c->defaults != NULL && i < t->column_count; i++)
        has_defaults |= !r->is_copied[i] && c->defaults[i] != NULL;
    if (has_defaults) {
        r->default_values = ARENA_ARRAY(r->mem, datum, t->column_count);
        r->default_nulls = ARENA_ARRAY(r->mem, bool, t->column_count);
        TRY(expr_compile_list(r->mem, c->defaults, t->column_count, &r->defaults));
    }
    return c->where != NULL ? expr_compile(r->mem, c->where, &r->where) : ERR_OK;
}

static SUSPENDS err_t run_copy_wait(struct reader *r)
{
    TRY(table_writer_open_wait(r->c->table, r->c->txn, r->c->env, r->c->constraints, r->mem,
                               &r->writer));
    TRY(r->c->options->format == COPY_BINARY ? binary_rows_wait(r) : text_rows_wait(r));
    r->field = -1;
    r->has_line = false;
    r->is_writing = true;
    return table_writer_flush_wait(r->writer);
}

SUSPENDS err_t copy_from_wait(const struct copy_from *c, uint64_t *rows)
{
    struct reader *r = core_zalloc(sizeof(*r));
    err_t e = reader_init(r, c);
    if (e == ERR_OK) {
        e = run_copy_wait(r);
        if (e != ERR_OK)
            add_context(r);
    }
    *rows = r->rows;
    if (r->writer != NULL) {
        /* Joining what is under way must not replace the error at hand. */
        struct diag *diag = NULL;
        if (e != ERR_OK) {
            diag = arena_alloc(r->mem, sizeof(*diag));
            diag_copy(diag, err_diag());
        }
        table_writer_abandon_wait(r->writer);
        if (diag != NULL)
            e = err_adopt(diag);
    }
    arena_free(r->row_mem);
    arena_free(r->mem);
    core_free(r);
    return e;
}
