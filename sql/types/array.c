/*
 * Arrays of any element type, and the int2vector and oidvector of the catalogs, which are stored as
 * one-dimensional arrays with lower bound 0 but written "1 2 3".
 *
 * Data of the varlen, little endian:
 *
 *   0   i32 number of dimensions (0 = the empty array), at most 6
 *   4   i32 1 when a null bitmap follows, else 0
 *   8   u32 element type
 *   12  per dimension: i32 length, i32 lower bound
 *       [null bitmap, bit set = null, padded to a multiple of 4]
 *       elements in row-major order: by value 8-byte words (nulls too: zero); by reference a struct
 *       varlen padded to 4 (nulls: nothing)
 *
 * Arrays come from tables as well, so array_read checks all lengths.
 */
#include "sql/types/types.h"

#include "core/core.h"
#include "sql/types/types_priv.h"

enum { DIMENSIONS_MAX = 6, ELEMENTS_MAX = 0x7ffffff, ARRAY_HEADER_BYTES = 12 };

static bool element_by_value(oid element)
{
    const struct type_info *t = type_find(element);
    return t != NULL && t->by_value;
}

/* ---- building and reading ---- */

err_t array_make(struct arena *mem, const struct array_view *view, datum *out)
{
    bool by_value = element_by_value(view->element);
    bool has_null = false;
    uint64_t bytes = ARRAY_HEADER_BYTES + 8u * (uint32_t)view->ndim;
    for (uint32_t i = 0; i < view->count; i++) {
        bool is_null = view->nulls != NULL && view->nulls[i];
        has_null |= is_null;
        if (by_value)
            bytes += 8;
        else if (!is_null)
            bytes +=
                (sizeof(struct varlen) + (uint64_t)datum_varlen(view->values[i])->len + 3) & ~3ull;
    }
    uint32_t bitmap = has_null ? ((view->count + 7) / 8 + 3) & ~3u : 0;
    bytes += bitmap;
    struct varlen *v;
    if (bytes > ALLOC_BYTES_MAX - 64)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (%d)",
                         ALLOC_BYTES_MAX);
    TRY(varlen_try(mem, NULL, bytes, &v));
    memset(v->data, 0, ARRAY_HEADER_BYTES + 8u * (uint32_t)view->ndim + bitmap);
    store_u32(v->data, (uint32_t)view->ndim);
    store_u32(v->data + 4, has_null);
    store_u32(v->data + 8, view->element);
    uint8_t *p = v->data + ARRAY_HEADER_BYTES;
    for (int32_t d = 0; d < view->ndim; d++, p += 8) {
        store_u32(p, (uint32_t)view->dims[d]);
        store_u32(p + 4, (uint32_t)view->lower[d]);
    }
    uint8_t *bits = p;
    p += bitmap;
    for (uint32_t i = 0; i < view->count; i++) {
        bool is_null = view->nulls != NULL && view->nulls[i];
        if (is_null)
            bits[i / 8] |= (uint8_t)(1u << (i % 8));
        if (by_value) {
            store_u64(p, is_null ? 0 : view->values[i]);
            p += 8;
        } else if (!is_null) {
            const struct varlen *e = datum_varlen(view->values[i]);
            uint32_t n = (uint32_t)sizeof(struct varlen) + e->len;
            memcpy(p, e, n);
            memset(p + n, 0, ((n + 3) & ~3u) - n);
            p += (n + 3) & ~3u;
        }
    }
    ASSERT(p == v->data + v->len);
    *out = datum_of_varlen(v);
    return ERR_OK;
}

err_t array_of(struct arena *mem, oid element, const datum *values, const bool *nulls,
               uint32_t count, datum *out)
{
    struct array_view view = {
        .element = element, .ndim = count > 0, .count = count, .values = values, .nulls = nulls};
    view.dims[0] = (int32_t)count;
    view.lower[0] = 1;
    return array_make(mem, &view, out);
}

static COLD err_t raise_damaged(void)
{
    return err_raise(ERR_DATA_CORRUPTED, "array data is damaged");
}

err_t array_read(struct arena *mem, datum array, struct array_view *out)
{
    const struct varlen *v = datum_varlen(array);
    const uint8_t *p = v->data;
    const uint8_t *end = v->data + v->len;
    *out = (struct array_view){0};
    if (v->len < ARRAY_HEADER_BYTES)
        return raise_damaged();
    out->ndim = (int32_t)load_u32(p);
    bool has_null = load_u32(p + 4) != 0;
    out->element = load_u32(p + 8);
    p += ARRAY_HEADER_BYTES;
    if (out->ndim < 0 || out->ndim > DIMENSIONS_MAX || end - p < 8 * (ptrdiff_t)out->ndim)
        return raise_damaged();
    uint64_t count = out->ndim > 0;
    for (int32_t d = 0; d < out->ndim; d++, p += 8) {
        out->dims[d] = (int32_t)load_u32(p);
        out->lower[d] = (int32_t)load_u32(p + 4);
        if (out->dims[d] < 0)
            return raise_damaged();
        count *= (uint64_t)out->dims[d];
        if (count > ELEMENTS_MAX)
            return raise_damaged();
    }
    out->count = (uint32_t)count;
    const uint8_t *bits = p;
    uint64_t bitmap = has_null ? ((count + 7) / 8 + 3) & ~3ull : 0;
    if ((uint64_t)(end - p) < bitmap)
        return raise_damaged();
    p += bitmap;
    bool by_value = element_by_value(out->element);
    if (by_value && (uint64_t)(end - p) < count * 8)
        return raise_damaged();
    datum *values = arena_alloc(mem, sizeof(datum) * (count + 1));
    bool *nulls = arena_alloc(mem, sizeof(bool) * (count + 1));
    for (uint32_t i = 0; i < count; i++) {
        nulls[i] = has_null && ((bits[i / 8] >> (i % 8)) & 1);
        values[i] = 0;
        if (by_value) {
            values[i] = load_u64(p);
            p += 8;
        } else if (!nulls[i]) {
            if (end - p < (ptrdiff_t)sizeof(struct varlen) ||
                (uint64_t)(end - p) - sizeof(struct varlen) < load_u32(p))
                return raise_damaged();
            values[i] = (datum)(uintptr_t)p;
            uint64_t n = (sizeof(struct varlen) + (uint64_t)load_u32(p) + 3) & ~3ull;
            p = (uint64_t)(end - p) < n ? end : p + n;
        }
    }
    out->values = values;
    out->nulls = nulls;
    return ERR_OK;
}

/* ---- text form ---- */

struct reader {
    struct type_io *io;
    const struct type_info *element;
    const char *text; /* whole literal, for messages */
    size_t text_len;
    const char *p;
    const char *end;
    datum *values;
    bool *nulls;
    uint32_t count;
    uint32_t capacity;
    int32_t ndim; /* -1 until the first element is met */
    int32_t dims[DIMENSIONS_MAX];
    bool dim_known[DIMENSIONS_MAX];
};

static COLD err_t raise_malformed(const struct reader *r, const char *detail)
{
    err_t e = err_raise(ERR_INVALID_TEXT_REPRESENTATION, "malformed array literal: \"%.*s\"",
                        (int)MIN(r->text_len, (size_t)4096), r->text);
    if (detail != NULL)
        err_detail("%s", detail);
    return e;
}

static void skip_spaces(struct reader *r)
{
    while (r->p < r->end && is_space(*r->p))
        r->p++;
}

static void push_element(struct reader *r, datum value, bool is_null)
{
    if (r->count == r->capacity) {
        uint32_t capacity = r->capacity ? r->capacity * 2 : 16;
        datum *values = arena_alloc(r->io->mem, sizeof(datum) * capacity);
        bool *nulls = arena_alloc(r->io->mem, sizeof(bool) * capacity);
        if (r->count > 0) {
            memcpy(values, r->values, sizeof(datum) * r->count);
            memcpy(nulls, r->nulls, sizeof(bool) * r->count);
        }
        r->values = values;
        r->nulls = nulls;
        r->capacity = capacity;
    }
    r->values[r->count] = value;
    r->nulls[r->count++] = is_null;
}

static bool is_null_word(const char *s, size_t len)
{
    return len == 4 && ascii_lower(s[0]) == 'n' && ascii_lower(s[1]) == 'u' &&
           ascii_lower(s[2]) == 'l' && ascii_lower(s[3]) == 'l';
}

/* One element: "quoted" or bare up to a delimiter or brace. */
static err_t read_element(struct reader *r)
{
    struct strbuf b;
    strbuf_init(&b, r->io->mem);
    bool quoted = false;
    size_t keep = 0; /* bytes that trailing space trimming may not touch */
    while (true) {
        if (r->p == r->end)
            return raise_malformed(r, "Unexpected end of input.");
        char c = *r->p;
        if (c == '"') {
            if (quoted || b.len > 0)
                return raise_malformed(r, "Unexpected array element.");
            quoted = true;
            r->p++;
            while (true) {
                if (r->p == r->end)
                    return raise_malformed(r, "Unexpected end of input.");
                if (*r->p == '"')
                    break;
                if (*r->p == '\\' && ++r->p == r->end)
                    return raise_malformed(r, "Unexpected end of input.");
                strbuf_putc(&b, *r->p++);
            }
            r->p++;
            keep = b.len;
            skip_spaces(r);
            if (r->p < r->end && *r->p != r->element->delimiter && *r->p != '}' && *r->p != '{')
                return raise_malformed(r, *r->p == '\\' ? "Unexpected \"\\\" character."
                                                        : "Unexpected array element.");
            continue;
        }
        if (c == '\\') {
            if (++r->p == r->end)
                return raise_malformed(r, "Unexpected end of input.");
            strbuf_putc(&b, *r->p++);
            keep = b.len;
            continue;
        }
        if (c == '{')
            return raise_malformed(r, "Unexpected \"{\" character.");
        if (c == r->element->delimiter || c == '}')
            break;
        strbuf_putc(&b, c);
        r->p++;
    }
    while (b.len > keep && is_space(b.data[b.len - 1]))
        b.len--;
    const char *text = b.data == NULL ? "" : b.data;
    if (!quoted && b.len == 0) {
        if (*r->p == '}')
            return raise_malformed(r, "Unexpected \"}\" character.");
        char detail[64] = "Unexpected \"?\" character.";
        detail[12] = *r->p;
        return raise_malformed(r, detail);
    }
    if (!quoted && keep == 0 && is_null_word(text, b.len)) {
        push_element(r, 0, true);
        return ERR_OK;
    }
    struct type_io io = *r->io;
    io.type = r->element->oid;
    io.element = r->element->element;
    datum value = 0;
    TRY(r->element->input(&io, text, b.len, &value));
    if (io.typmod >= 0 && r->element->apply_typmod != NULL)
        TRY(r->element->apply_typmod(&io, value, false, &value));
    push_element(r, value, false);
    return ERR_OK;
}

/* A brace level; depth counts from 0. Recursion is bounded by DIMENSIONS_MAX. */
static err_t read_level(struct reader *r, int32_t depth)
{
    if (depth >= DIMENSIONS_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                         "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                         depth + 1, DIMENSIONS_MAX);
    r->p++; /* { */
    skip_spaces(r);
    int32_t items = 0;
    if (r->p < r->end && *r->p == '}') {
        if (depth > 0 && r->ndim >= 0)
            return raise_malformed(
                r, "Multidimensional arrays must have sub-arrays with matching dimensions.");
        r->p++;
        if (depth == 0 && r->ndim < 0)
            r->ndim = 0;
        return ERR_OK;
    }
    while (true) {
        skip_spaces(r);
        if (r->p == r->end)
            return raise_malformed(r, "Unexpected end of input.");
        if (*r->p == '{') {
            if (r->ndim >= 0 && depth + 1 >= r->ndim)
                return raise_malformed(r, "Unexpected \"{\" character.");
            TRY(read_level(r, depth + 1));
        } else {
            if (r->ndim < 0)
                r->ndim = depth + 1;
            if (r->ndim != depth + 1) {
                return raise_malformed(
                    r, "Multidimensional arrays must have sub-arrays with matching dimensions.");
            }
            TRY(read_element(r));
        }
        items++;
        skip_spaces(r);
        if (r->p == r->end)
            return raise_malformed(r, "Unexpected end of input.");
        if (*r->p == r->element->delimiter) {
            if (r->ndim < 0) /* after an empty sub-array */
                return raise_malformed(r, "Unexpected array element.");
            r->p++;
            continue;
        }
        if (*r->p == '}')
            break;
        return raise_malformed(r, "Unexpected array element.");
    }
    r->p++;
    if (r->dim_known[depth] && r->dims[depth] != items)
        return raise_malformed(
            r, "Multidimensional arrays must have sub-arrays with matching dimensions.");
    r->dim_known[depth] = true;
    r->dims[depth] = items;
    return ERR_OK;
}

static err_t read_bound(struct reader *r, int64_t *out)
{
    bool negative = false;
    if (r->p < r->end && (*r->p == '-' || *r->p == '+'))
        negative = *r->p++ == '-';
    if (r->p == r->end || *r->p < '0' || *r->p > '9')
        return raise_malformed(r, "\"[\" must introduce explicitly-specified array dimensions.");
    int64_t v = 0;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9') {
        v = v * 10 + (*r->p++ - '0');
        if (v > (int64_t)INT32_MAX + 1)
            return err_raise(ERR_ARRAY_SUBSCRIPT_ERROR, "array bound is out of integer range");
    }
    *out = negative ? -v : v;
    return ERR_OK;
}

/* "[l:u][u]=" before the braces. */
static err_t read_bounds(struct reader *r, int32_t *count, int32_t *dims, int32_t *lower)
{
    *count = 0;
    while (true) {
        skip_spaces(r);
        if (r->p == r->end || *r->p != '[')
            break;
        r->p++;
        if (*count >= DIMENSIONS_MAX)
            return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                             "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                             *count + 1, DIMENSIONS_MAX);
        int64_t low = 1;
        int64_t high = 0;
        TRY(read_bound(r, &high));
        if (r->p < r->end && *r->p == ':') {
            r->p++;
            low = high;
            TRY(read_bound(r, &high));
        }
        if (r->p == r->end || *r->p != ']')
            return raise_malformed(r, "Missing \"]\" after array dimensions.");
        r->p++;
        if (high < low)
            return err_raise(ERR_ARRAY_SUBSCRIPT_ERROR,
                             "upper bound cannot be less than lower bound");
        lower[*count] = (int32_t)low;
        dims[*count] = (int32_t)(high - low + 1);
        (*count)++;
    }
    if (*count > 0) {
        if (r->p == r->end || *r->p != '=')
            return raise_malformed(r, "Missing \"=\" after array dimensions.");
        r->p++;
        skip_spaces(r);
    }
    return ERR_OK;
}

err_t array_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    struct reader r = {.io = io, .text = text, .text_len = len, .p = text, .end = text + len};
    TRY(type_require(io->element, &r.element));
    if (r.element->input == NULL)
        return err_not_built("arrays of type %s are not supported yet",
                             type_display(io->mem, io->element));
    TRY(fiber_check_stack());
    int32_t bound_count = 0;
    int32_t dims[DIMENSIONS_MAX] = {0};
    int32_t lower[DIMENSIONS_MAX] = {1, 1, 1, 1, 1, 1};
    TRY(read_bounds(&r, &bound_count, dims, lower));
    skip_spaces(&r);
    if (r.p == r.end || *r.p != '{')
        return raise_malformed(&r, bound_count > 0
                                       ? "Array contents must start with \"{\"."
                                       : "Array value must start with \"{\" or dimension "
                                         "information.");
    r.ndim = -1;
    TRY(read_level(&r, 0));
    skip_spaces(&r);
    if (r.p != r.end)
        return raise_malformed(&r, "Junk after closing right brace.");
    if (r.ndim < 0)
        r.ndim = 0;
    struct array_view view = {.element = r.element->oid,
                              .ndim = r.count == 0 ? 0 : r.ndim,
                              .count = r.count,
                              .values = r.values,
                              .nulls = r.nulls};
    if (bound_count > 0 && bound_count != view.ndim)
        return raise_malformed(&r, "Specified array dimensions do not match array contents.");
    for (int32_t d = 0; d < view.ndim; d++) {
        if (bound_count > 0 && dims[d] != r.dims[d])
            return raise_malformed(&r, "Specified array dimensions do not match array contents.");
        view.dims[d] = r.dims[d];
        view.lower[d] = lower[d];
    }
    return array_make(io->mem, &view, out);
}

static bool needs_quotes(const char *s, size_t len, char delimiter)
{
    if (len == 0 || is_null_word(s, len))
        return true;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '"' || s[i] == '\\' || s[i] == '{' || s[i] == '}' || s[i] == delimiter ||
            is_space(s[i]))
            return true;
    return false;
}

err_t array_output(struct type_io *io, datum value, struct strbuf *out)
{
    struct array_view a;
    const struct type_info *element;
    TRY(array_read(io->mem, value, &a));
    TRY(type_require(a.element, &element));
    if (element->output == NULL)
        return err_not_built("arrays of type %s are not supported yet",
                             type_display(io->mem, a.element));
    TRY(fiber_check_stack());
    if (a.count == 0) {
        strbuf_puts(out, "{}");
        return ERR_OK;
    }
    bool show_bounds = false;
    for (int32_t d = 0; d < a.ndim; d++)
        show_bounds |= a.lower[d] != 1;
    if (show_bounds) {
        for (int32_t d = 0; d < a.ndim; d++)
            strbuf_printf(out, "[%d:%lld]", a.lower[d], (long long)a.lower[d] + a.dims[d] - 1);
        strbuf_putc(out, '=');
    }
    struct type_io element_io = *io;
    element_io.type = a.element;
    element_io.element = element->element;
    struct strbuf one;
    strbuf_init(&one, io->mem);
    for (uint32_t i = 0; i < a.count; i++) {
        uint32_t block = a.count;
        for (int32_t d = 0; d < a.ndim; d++) {
            if (i % block == 0)
                strbuf_putc(out, '{');
            block /= (uint32_t)a.dims[d];
        }
        if (a.nulls[i]) {
            strbuf_puts(out, "NULL");
        } else {
            strbuf_reset(&one);
            TRY(element->output(&element_io, a.values[i], &one));
            const char *s = one.data == NULL ? "" : one.data;
            if (!needs_quotes(s, one.len, element->delimiter)) {
                TRY(strbuf_put(out, s, one.len));
            } else {
                strbuf_putc(out, '"');
                for (size_t k = 0; k < one.len; k++) {
                    if (s[k] == '"' || s[k] == '\\')
                        strbuf_putc(out, '\\');
                    strbuf_putc(out, s[k]);
                }
                strbuf_putc(out, '"');
            }
        }
        block = 1;
        for (int32_t d = a.ndim - 1; d >= 0; d--) {
            block *= (uint32_t)a.dims[d];
            if ((i + 1) % block == 0)
                strbuf_putc(out, '}');
        }
        if (i + 1 < a.count)
            strbuf_putc(out, element->delimiter);
    }
    return ERR_OK;
}

/* ---- binary form: i32 ndim, i32 flags, u32 element type, per dimension i32 length and i32 lower
 * bound, then per element i32 length (-1 = null) and bytes; all big endian ---- */

static err_t vector_check(oid type, const struct array_view *a, const bool *nulls)
{
    if (type != TYPE_INT2VECTOR && type != TYPE_OIDVECTOR)
        return ERR_OK;
    bool fits = a->ndim == 1 && a->count > 0 && a->lower[0] == 0;
    for (uint32_t i = 0; i < a->count; i++)
        fits = fits && !nulls[i];
    if (fits)
        return ERR_OK;
    return err_raise(ERR_INVALID_BINARY_REPRESENTATION, "invalid %s data",
                     type == TYPE_INT2VECTOR ? "int2vector" : "oidvector");
}

err_t array_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    TRY(fiber_check_stack());
    if (len < 12)
        return raise_binary_short();
    const uint8_t *p = bytes;
    const uint8_t *end = bytes + len;
    struct array_view a = {.ndim = (int32_t)load_be32(p)};
    uint32_t flags = load_be32(p + 4);
    a.element = load_be32(p + 8);
    p += 12;
    if (a.ndim < 0)
        return err_raise(ERR_INVALID_BINARY_REPRESENTATION, "invalid number of dimensions: %d",
                         a.ndim);
    if (a.ndim > DIMENSIONS_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                         "number of array dimensions (%d) exceeds the maximum allowed (%d)", a.ndim,
                         DIMENSIONS_MAX);
    if (flags > 1)
        return err_raise(ERR_INVALID_BINARY_REPRESENTATION, "invalid array flags");
    if (io->element != OID_NONE && a.element != io->element)
        return err_raise(ERR_DATATYPE_MISMATCH,
                         "binary data has array element type %u (%s) instead of expected %u (%s)",
                         a.element, type_display(io->mem, a.element), io->element,
                         type_display(io->mem, io->element));
    const struct type_info *element;
    TRY(type_require(a.element, &element));
    if (element->receive == NULL)
        return err_not_built("arrays of type %s are not supported yet",
                             type_display(io->mem, a.element));
    uint64_t count = a.ndim > 0;
    for (int32_t d = 0; d < a.ndim; d++) {
        if (end - p < 8)
            return raise_binary_short();
        a.dims[d] = (int32_t)load_be32(p);
        a.lower[d] = (int32_t)load_be32(p + 4);
        p += 8;
    }
    for (int32_t d = 0; d < a.ndim; d++) {
        count *= (uint32_t)a.dims[d];
        if (a.dims[d] < 0 || count > ELEMENTS_MAX)
            return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                             "array size exceeds the maximum allowed (%d)", ELEMENTS_MAX);
    }
    for (int32_t d = 0; d < a.ndim; d++)
        if ((int64_t)a.lower[d] + a.dims[d] > INT32_MAX)
            return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "array lower bound is too large: %d",
                             a.lower[d]);
    /* Every element takes at least its length word, so the count is bounded by the message. */
    if ((uint64_t)(end - p) < count * 4)
        return err_raise(ERR_PROTOCOL_VIOLATION, "insufficient data left in message");
    datum *values = arena_zalloc(io->mem, sizeof(datum) * (count + 1));
    bool *nulls = arena_zalloc(io->mem, sizeof(bool) * (count + 1));
    struct type_io element_io = *io;
    element_io.type = a.element;
    element_io.element = element->element;
    for (uint32_t i = 0; i < count; i++) {
        if (end - p < 4)
            return err_raise(ERR_PROTOCOL_VIOLATION, "insufficient data left in message");
        int32_t n = (int32_t)load_be32(p);
        p += 4;
        if (n == -1) {
            nulls[i] = true;
            continue;
        }
        if (n < 0 || end - p < n)
            return err_raise(ERR_INVALID_BINARY_REPRESENTATION,
                             "insufficient data left in message");
        err_t e = element->receive(&element_io, p, (size_t)n, &values[i]);
        if (value_was_overlong(e))
            return err_raise(ERR_INVALID_BINARY_REPRESENTATION,
                             "improper binary format in array element %u", i + 1);
        TRY(e);
        if (io->typmod >= 0 && element->apply_typmod != NULL)
            TRY(element->apply_typmod(&element_io, values[i], false, &values[i]));
        p += n;
    }
    if (p != end)
        return raise_binary_length(len, (size_t)(p - bytes));
    a.count = (uint32_t)count;
    TRY(vector_check(io->type, &a, nulls));
    if (count == 0)
        a.ndim = 0;
    a.values = values;
    a.nulls = nulls;
    return array_make(io->mem, &a, out);
}

err_t array_send(struct type_io *io, datum value, struct strbuf *out)
{
    struct array_view a;
    const struct type_info *element;
    TRY(array_read(io->mem, value, &a));
    TRY(type_require(a.element, &element));
    if (element->send == NULL)
        return err_not_built("arrays of type %s are not supported yet",
                             type_display(io->mem, a.element));
    TRY(fiber_check_stack());
    bool has_null = false;
    for (uint32_t i = 0; i < a.count; i++)
        has_null |= a.nulls[i];
    uint8_t word[8];
    store_be32(word, (uint32_t)a.ndim);
    store_be32(word + 4, has_null);
    TRY(strbuf_put(out, word, 8));
    store_be32(word, a.element);
    TRY(strbuf_put(out, word, 4));
    for (int32_t d = 0; d < a.ndim; d++) {
        store_be32(word, (uint32_t)a.dims[d]);
        store_be32(word + 4, (uint32_t)a.lower[d]);
        TRY(strbuf_put(out, word, 8));
    }
    struct type_io element_io = *io;
    element_io.type = a.element;
    element_io.element = element->element;
    for (uint32_t i = 0; i < a.count; i++) {
        size_t at = out->len;
        store_be32(word, UINT32_MAX);
        TRY(strbuf_put(out, word, 4));
        if (a.nulls[i])
            continue;
        TRY(element->send(&element_io, a.values[i], out));
        store_be32(out->data + at, u32_from(out->len - at - 4));
    }
    return ERR_OK;
}

/* ---- order: elements (null last), then number of elements, dimensions, bounds ---- */

/* Walks the stored form without memory. */
struct cursor {
    const uint8_t *p;
    const uint8_t *bits; /* NULL: no nulls */
    bool by_value;
    int32_t ndim;
    uint32_t count;
    oid element;
    const uint8_t *shape;
};
static void cursor_open(struct cursor *c, datum d)
{
    const struct varlen *v = datum_varlen(d);
    c->ndim = (int32_t)load_u32(v->data);
    c->element = load_u32(v->data + 8);
    c->shape = v->data + ARRAY_HEADER_BYTES;
    c->count = c->ndim > 0;
    for (int32_t i = 0; i < c->ndim; i++)
        c->count *= load_u32(c->shape + 8 * i);
    c->p = c->shape + 8 * c->ndim;
    c->bits = load_u32(v->data + 4) ? c->p : NULL;
    if (c->bits != NULL)
        c->p += ((c->count + 7) / 8 + 3) & ~3u;
    c->by_value = element_by_value(c->element);
}
static datum cursor_next(struct cursor *c, uint32_t i, bool *is_null)
{
    *is_null = c->bits != NULL && ((c->bits[i / 8] >> (i % 8)) & 1);
    datum d = 0;
    if (c->by_value) {
        d = load_u64(c->p);
        c->p += 8;
    } else if (!*is_null) {
        d = (datum)(uintptr_t)c->p;
        c->p += (sizeof(struct varlen) + load_u32(c->p) + 3) & ~3ul;
    }
    return d;
}

int array_compare(datum a, datum b)
{
    struct cursor x;
    struct cursor y;
    cursor_open(&x, a);
    cursor_open(&y, b);
    if (x.element != y.element)
        return x.element > y.element ? 1 : -1;
    const struct type_info *t = type_find(x.element);
    uint32_t common = MIN(x.count, y.count);
    for (uint32_t i = 0; i < common; i++) {
        bool x_null;
        bool y_null;
        datum v = cursor_next(&x, i, &x_null);
        datum w = cursor_next(&y, i, &y_null);
        if (x_null || y_null) {
            if (x_null && y_null)
                continue;
            return x_null ? 1 : -1;
        }
        int c = t == NULL || t->compare == NULL ? 0 : t->compare(v, w);
        if (c != 0)
            return c;
    }
    if (x.count != y.count)
        return x.count > y.count ? 1 : -1;
    if (x.ndim != y.ndim)
        return x.ndim > y.ndim ? 1 : -1;
    for (int32_t pass = 0; pass < 2; pass++) {
        for (int32_t i = 0; i < x.ndim; i++) {
            int32_t v = (int32_t)load_u32(x.shape + 8 * i + 4 * pass);
            int32_t w = (int32_t)load_u32(y.shape + 8 * i + 4 * pass);
            if (v != w)
                return v > w ? 1 : -1;
        }
    }
    return 0;
}

uint64_t array_hash(datum d)
{
    struct cursor c;
    cursor_open(&c, d);
    const struct type_info *t = type_find(c.element);
    uint64_t h = hash_u64(c.count);
    for (uint32_t i = 0; i < c.count; i++) {
        bool is_null;
        datum v = cursor_next(&c, i, &is_null);
        h = hash_combine(h, is_null || t == NULL || t->hash == NULL ? 0 : t->hash(v));
    }
    return h;
}

void array_sort_key(datum d, struct strbuf *out)
{
    struct cursor c;
    cursor_open(&c, d);
    const struct type_info *t = type_find(c.element);
    for (uint32_t i = 0; i < c.count; i++) {
        bool is_null;
        datum v = cursor_next(&c, i, &is_null);
        strbuf_putc(out, is_null ? 2 : 1);
        if (!is_null && t != NULL && t->sort_key != NULL)
            t->sort_key(v, out);
    }
    strbuf_putc(out, 0);
    key_put_u32(out, (uint32_t)c.ndim);
    for (int32_t pass = 0; pass < 2; pass++)
        for (int32_t i = 0; i < c.ndim; i++)
            key_put_u32(out, load_u32(c.shape + 8 * i + 4 * pass) ^ 0x80000000u);
}

/* Length coercion of every element: varchar(3)[]. */
err_t array_apply_typmod(struct type_io *io, datum in, bool is_explicit, datum *out)
{
    *out = in;
    const struct type_info *element = type_find(io->element);
    if (io->typmod < 0 || element == NULL || element->apply_typmod == NULL)
        return ERR_OK;
    struct array_view a;
    TRY(array_read(io->mem, in, &a));
    datum *values = arena_alloc(io->mem, sizeof(datum) * (a.count + 1u));
    struct type_io element_io = *io;
    element_io.type = element->oid;
    element_io.element = element->element;
    for (uint32_t i = 0; i < a.count; i++) {
        values[i] = a.values[i];
        if (!a.nulls[i])
            TRY(element->apply_typmod(&element_io, a.values[i], is_explicit, &values[i]));
    }
    a.values = values;
    return array_make(io->mem, &a, out);
}

/* ---- int2vector, oidvector ---- */

err_t vector_of(struct arena *mem, oid element, const datum *values, uint32_t count, datum *out)
{
    struct array_view view = {.element = element, .ndim = 1, .count = count, .values = values};
    view.dims[0] = (int32_t)count;
    return array_make(mem, &view, out);
}

static err_t vector_input(struct type_io *io, oid element, const char *text, size_t len, datum *out)
{
    const struct type_info *t;
    TRY(type_require(element, &t));
    datum *values = arena_alloc(io->mem, sizeof(datum) * (len / 2 + 2));
    uint32_t count = 0;
    for (size_t i = 0; i < len;) {
        if (is_space(text[i])) {
            i++;
            continue;
        }
        size_t from = i;
        while (i < len && !is_space(text[i]))
            i++;
        TRY(t->input(io, text + from, i - from, &values[count++]));
    }
    return vector_of(io->mem, element, values, count, out);
}
err_t int2vector_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return vector_input(io, TYPE_INT2, text, len, out);
}
err_t oidvector_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return vector_input(io, TYPE_OID, text, len, out);
}
static err_t vector_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    struct cursor c;
    cursor_open(&c, value);
    for (uint32_t i = 0; i < c.count; i++) {
        bool is_null;
        datum v = cursor_next(&c, i, &is_null);
        if (c.element == TYPE_OID)
            strbuf_printf(out, "%s%u", i ? " " : "", datum_oid(v));
        else
            strbuf_printf(out, "%s%d", i ? " " : "", datum_i16(v));
    }
    return ERR_OK;
}
err_t int2vector_output(struct type_io *io, datum value, struct strbuf *out)
{
    return vector_output(io, value, out);
}
err_t oidvector_output(struct type_io *io, datum value, struct strbuf *out)
{
    return vector_output(io, value, out);
}
int oidvector_compare(datum a, datum b)
{
    struct cursor x;
    struct cursor y;
    cursor_open(&x, a);
    cursor_open(&y, b);
    if (x.count != y.count) /* shorter first, as the catalogs' own order has it */
        return x.count > y.count ? 1 : -1;
    return x.count == 0 ? 0 : array_compare(a, b); /* empty ones may lack their dimension */
}
uint64_t oidvector_hash(datum d)
{
    return array_hash(d);
}
void oidvector_sort_key(datum d, struct strbuf *out)
{
    struct cursor c;
    cursor_open(&c, d);
    key_put_u32(out, c.count);
    for (uint32_t i = 0; i < c.count; i++) {
        bool is_null;
        key_put_u32(out, (uint32_t)cursor_next(&c, i, &is_null));
    }
}
