/*
 * Records: row values that carry their columns' types (ROW(...), composite results, whole rows).
 * Data of the varlen, little endian:
 *
 *   0   u32 column count
 *   4   per column: u32 type, u32 1 when null; then, unless null: by value an 8-byte word, by
 *       reference a struct varlen padded to 4
 */
#include "sql/types/types.h"

#include "core/core.h"
#include "sql/types/types_priv.h"

enum { RECORD_COLUMNS_MAX = 1664 };

static bool is_by_value(oid type)
{
    const struct type_info *t = type_find(type);
    return t != NULL && t->by_value;
}

err_t record_make(struct arena *mem, const struct record_view *view, datum *out)
{
    uint64_t bytes = 4;
    for (uint32_t i = 0; i < view->count; i++) {
        bytes += 8;
        if (view->nulls[i])
            continue;
        bytes += is_by_value(view->types[i])
                     ? 8
                     : (sizeof(struct varlen) + (uint64_t)datum_varlen(view->values[i])->len + 3) &
                           ~3ull;
    }
    struct varlen *v;
    TRY(varlen_try(mem, NULL, bytes, &v));
    uint8_t *p = v->data;
    store_u32(p, view->count);
    p += 4;
    for (uint32_t i = 0; i < view->count; i++) {
        store_u32(p, view->types[i]);
        store_u32(p + 4, view->nulls[i]);
        p += 8;
        if (view->nulls[i])
            continue;
        if (is_by_value(view->types[i])) {
            store_u64(p, view->values[i]);
            p += 8;
            continue;
        }
        const struct varlen *e = datum_varlen(view->values[i]);
        uint32_t n = (uint32_t)sizeof(struct varlen) + e->len;
        uint32_t padded = (n + 3) & ~3u;
        memcpy(p, e, n);
        memset(p + n, 0, padded - n);
        p += padded;
    }
    *out = datum_of_varlen(v);
    return ERR_OK;
}

/* One column at *p; false when the bytes end early. */
static bool read_column(const uint8_t **p, const uint8_t *end, oid *type, datum *value,
                        bool *is_null)
{
    if (end - *p < 8)
        return false;
    *type = load_u32(*p);
    *is_null = load_u32(*p + 4) != 0;
    *p += 8;
    *value = 0;
    if (*is_null)
        return true;
    if (is_by_value(*type)) {
        if (end - *p < 8)
            return false;
        *value = load_u64(*p);
        *p += 8;
        return true;
    }
    if (end - *p < (ptrdiff_t)sizeof(struct varlen))
        return false;
    uint64_t n = (sizeof(struct varlen) + (uint64_t)load_u32(*p) + 3) & ~3ull;
    if ((uint64_t)(end - *p) < n)
        return false;
    *value = (datum)(uintptr_t)*p;
    *p += n;
    return true;
}

err_t record_read(struct arena *mem, datum record, struct record_view *out)
{
    const struct varlen *v = datum_varlen(record);
    const uint8_t *p = v->data;
    const uint8_t *end = v->data + v->len;
    *out = (struct record_view){0};
    if (v->len < 4 || load_u32(p) > RECORD_COLUMNS_MAX)
        return err_raise(ERR_DATA_CORRUPTED, "record data is damaged");
    out->count = load_u32(p);
    p += 4;
    oid *types = arena_alloc(mem, sizeof(oid) * (out->count + 1));
    datum *values = arena_alloc(mem, sizeof(datum) * (out->count + 1));
    bool *nulls = arena_alloc(mem, sizeof(bool) * (out->count + 1));
    for (uint32_t i = 0; i < out->count; i++)
        if (!read_column(&p, end, &types[i], &values[i], &nulls[i]))
            return err_raise(ERR_DATA_CORRUPTED, "record data is damaged");
    out->types = types;
    out->values = values;
    out->nulls = nulls;
    return ERR_OK;
}

err_t record_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)text;
    (void)len;
    (void)out;
    if (io->type == TYPE_RECORD)
        return err_not_built("input of anonymous composite types is not implemented");
    return err_not_built("input of composite type %s is not supported yet",
                         type_display(io->mem, io->type));
}

static bool field_needs_quotes(const char *s, size_t len)
{
    if (len == 0)
        return true;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '"' || s[i] == '\\' || s[i] == '(' || s[i] == ')' || s[i] == ',' ||
            is_space(s[i]))
            return true;
    return false;
}

err_t record_output(struct type_io *io, datum value, struct strbuf *out)
{
    struct record_view r;
    TRY(fiber_check_stack());
    TRY(record_read(io->mem, value, &r));
    struct strbuf one;
    strbuf_init(&one, io->mem);
    strbuf_putc(out, '(');
    for (uint32_t i = 0; i < r.count; i++) {
        if (i > 0)
            strbuf_putc(out, ',');
        if (r.nulls[i])
            continue;
        strbuf_reset(&one);
        TRY(value_output(io->env, io->mem, r.types[i], r.values[i], &one));
        const char *s = one.data == NULL ? "" : one.data;
        if (!field_needs_quotes(s, one.len)) {
            TRY(strbuf_put(out, s, one.len));
            continue;
        }
        strbuf_putc(out, '"');
        for (size_t k = 0; k < one.len; k++) {
            if (s[k] == '"' || s[k] == '\\')
                strbuf_putc(out, s[k]);
            strbuf_putc(out, s[k]);
        }
        strbuf_putc(out, '"');
    }
    strbuf_putc(out, ')');
    return ERR_OK;
}

err_t record_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)bytes;
    return record_input(io, NULL, len, out);
}

/* i32 column count; per column u32 type, i32 length (-1 null), bytes; big endian. */
err_t record_send(struct type_io *io, datum value, struct strbuf *out)
{
    struct record_view r;
    TRY(fiber_check_stack());
    TRY(record_read(io->mem, value, &r));
    uint8_t word[8];
    store_be32(word, r.count);
    TRY(strbuf_put(out, word, 4));
    for (uint32_t i = 0; i < r.count; i++) {
        store_be32(word, r.types[i]);
        store_be32(word + 4, UINT32_MAX);
        TRY(strbuf_put(out, word, 8));
        size_t at = out->len;
        if (r.nulls[i])
            continue;
        TRY(value_send(io->env, io->mem, r.types[i], r.values[i], out));
        store_be32(out->data + at - 4, u32_from(out->len - at));
    }
    return ERR_OK;
}

/* ---- order: column by column, null last, then the number of columns ---- */

struct walk {
    const uint8_t *p;
    const uint8_t *end;
    uint32_t count;
};
static struct walk walk_open(datum d)
{
    const struct varlen *v = datum_varlen(d);
    return (struct walk){v->data + 4, v->data + v->len, v->len < 4 ? 0 : load_u32(v->data)};
}

int record_compare(datum a, datum b)
{
    struct walk x = walk_open(a);
    struct walk y = walk_open(b);
    for (uint32_t i = 0; i < x.count && i < y.count; i++) {
        oid x_type = 0;
        oid y_type = 0;
        datum v = 0;
        datum w = 0;
        bool x_null = true;
        bool y_null = true;
        if (!read_column(&x.p, x.end, &x_type, &v, &x_null) ||
            !read_column(&y.p, y.end, &y_type, &w, &y_null))
            return 0;
        if (x_null || y_null) {
            if (x_null != y_null)
                return x_null ? 1 : -1;
            continue;
        }
        const struct type_info *t = type_find(x_type);
        if (x_type != y_type)
            return x_type > y_type ? 1 : -1;
        int c = t == NULL || t->compare == NULL ? 0 : t->compare(v, w);
        if (c != 0)
            return c;
    }
    return (x.count > y.count) - (x.count < y.count);
}

uint64_t record_hash(datum d)
{
    struct walk x = walk_open(d);
    uint64_t h = hash_u64(x.count);
    for (uint32_t i = 0; i < x.count; i++) {
        oid type = 0;
        datum v = 0;
        bool is_null = true;
        if (!read_column(&x.p, x.end, &type, &v, &is_null))
            break;
        const struct type_info *t = type_find(type);
        h = hash_combine(h, is_null || t == NULL || t->hash == NULL ? 0 : t->hash(v));
    }
    return h;
}

void record_sort_key(datum d, struct strbuf *out)
{
    struct walk x = walk_open(d);
    for (uint32_t i = 0; i < x.count; i++) {
        oid type = 0;
        datum v = 0;
        bool is_null = true;
        if (!read_column(&x.p, x.end, &type, &v, &is_null))
            break;
        strbuf_putc(out, is_null ? 2 : 1);
        const struct type_info *t = type_find(type);
        if (!is_null && t != NULL && t->sort_key != NULL)
            t->sort_key(v, out);
    }
    strbuf_putc(out, 0);
}

/* ---- void: the result of functions without one ---- */

err_t void_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    (void)text;
    (void)len;
    *out = 0;
    return ERR_OK;
}
err_t void_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    (void)value;
    (void)out;
    return ERR_OK;
}
err_t void_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)bytes;
    return void_input(io, NULL, len, out);
}
err_t void_send(struct type_io *io, datum value, struct strbuf *out)
{
    return void_output(io, value, out);
}
