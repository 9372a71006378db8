/*
 * bool, int2, int4, int8: text and binary forms, order, hash, keys. One hash for the three integer
 * types, so that equal values of different widths meet in a hash table or on a shard.
 */
#include "sql/types/types.h"

#include "sql/types/types_priv.h"

/* ---- integers ---- */

/* Decimal with sign, spaces around allowed. */
static err_t parse_integer(const char *type, const char *text, size_t len, int64_t min, int64_t max,
                           int64_t *out)
{
    const char *p = text;
    const char *end = text + len;
    while (p < end && is_space(*p))
        p++;
    bool negative = false;
    if (p < end && (*p == '-' || *p == '+'))
        negative = *p++ == '-';
    if (p == end || *p < '0' || *p > '9')
        return raise_input_syntax(type, text, len);
    uint64_t v = 0;
    bool overflow = false;
    while (p < end && *p >= '0' && *p <= '9') {
        uint64_t digit = (uint64_t)(*p++ - '0');
        overflow |= ckd_mul_u64(&v, v, 10);
        overflow |= ckd_add_u64(&v, v, digit);
    }
    while (p < end && is_space(*p))
        p++;
    if (p != end)
        return raise_input_syntax(type, text, len);
    uint64_t limit = negative ? (uint64_t)0 - (uint64_t)min : (uint64_t)max;
    if (overflow || v > limit)
        return raise_out_of_range(type, text, len);
    *out = negative ? (int64_t)((uint64_t)0 - v) : (int64_t)v;
    return ERR_OK;
}

static void put_integer(int64_t v, struct strbuf *out)
{
    char buffer[24];
    char *end = buffer + sizeof(buffer);
    char *p = end;
    uint64_t u = v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    if (v < 0)
        *--p = '-';
    ERR_IGNORE(strbuf_put(out, p, (size_t)(end - p)));
}

static int compare_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

err_t int2_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    int64_t v;
    TRY(parse_integer("smallint", text, len, INT16_MIN, INT16_MAX, &v));
    *out = datum_of_i64(v);
    return ERR_OK;
}
err_t int2_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    put_integer(datum_i16(value), out);
    return ERR_OK;
}
err_t int2_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 2)
        return raise_binary_length(len, 2);
    *out = datum_of_i16((int16_t)load_be16(bytes));
    return ERR_OK;
}
err_t int2_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[2];
    store_be16(b, (uint16_t)datum_i16(value));
    return strbuf_put(out, b, sizeof(b));
}

err_t int4_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    int64_t v;
    TRY(parse_integer("integer", text, len, INT32_MIN, INT32_MAX, &v));
    *out = datum_of_i64(v);
    return ERR_OK;
}
err_t int4_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    put_integer(datum_i32(value), out);
    return ERR_OK;
}
err_t int4_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 4)
        return raise_binary_length(len, 4);
    *out = datum_of_i32((int32_t)load_be32(bytes));
    return ERR_OK;
}
err_t int4_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[4];
    store_be32(b, (uint32_t)datum_i32(value));
    return strbuf_put(out, b, sizeof(b));
}

err_t int8_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    int64_t v = 0;
    TRY(parse_integer("bigint", text, len, INT64_MIN, INT64_MAX, &v));
    *out = datum_of_i64(v);
    return ERR_OK;
}
err_t int8_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    put_integer(datum_i64(value), out);
    return ERR_OK;
}
err_t int8_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 8)
        return raise_binary_length(len, 8);
    *out = datum_of_i64((int64_t)load_be64(bytes));
    return ERR_OK;
}
err_t int8_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[8];
    store_be64(b, (uint64_t)datum_i64(value));
    return strbuf_put(out, b, sizeof(b));
}

int int2_compare(datum a, datum b)
{
    return compare_i64(datum_i16(a), datum_i16(b));
}
int int4_compare(datum a, datum b)
{
    return compare_i64(datum_i32(a), datum_i32(b));
}
int int8_compare(datum a, datum b)
{
    return compare_i64(datum_i64(a), datum_i64(b));
}
uint64_t int2_hash(datum d)
{
    return hash_u64((uint64_t)(int64_t)datum_i16(d));
}
uint64_t int4_hash(datum d)
{
    return hash_u64((uint64_t)(int64_t)datum_i32(d));
}
uint64_t int8_hash(datum d)
{
    return hash_u64(d);
}
void int2_sort_key(datum d, struct strbuf *out)
{
    uint8_t b[2];
    store_be16(b, (uint16_t)((uint16_t)datum_i16(d) ^ 0x8000u));
    ERR_IGNORE(strbuf_put(out, b, sizeof(b)));
}
void int4_sort_key(datum d, struct strbuf *out)
{
    key_put_u32(out, (uint32_t)datum_i32(d) ^ 0x80000000u);
}
void int8_sort_key(datum d, struct strbuf *out)
{
    key_put_i64(out, datum_i64(d));
}

/* ---- bool ---- */

err_t bool_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    static const struct {
        const char *word;
        size_t least; /* unique prefix */
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                 {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    const char *p = text;
    size_t n = len;
    trim_spaces(&p, &n);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (n < words[i].least || n > strlen(words[i].word))
            continue;
        size_t k = 0;
        while (k < n && ascii_lower(p[k]) == words[i].word[k])
            k++;
        if (k == n) {
            *out = datum_of_bool(words[i].value);
            return ERR_OK;
        }
    }
    return raise_input_syntax("boolean", text, len);
}
err_t bool_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    strbuf_putc(out, datum_bool(value) ? 't' : 'f');
    return ERR_OK;
}
err_t bool_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 1)
        return raise_binary_byte(len);
    *out = datum_of_bool(bytes[0] != 0);
    return ERR_OK;
}
err_t bool_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    strbuf_putc(out, datum_bool(value) ? 1 : 0);
    return ERR_OK;
}
int bool_compare(datum a, datum b)
{
    return (int)datum_bool(a) - (int)datum_bool(b);
}
uint64_t bool_hash(datum d)
{
    return hash_u64(datum_bool(d));
}
void bool_sort_key(datum d, struct strbuf *out)
{
    strbuf_putc(out, datum_bool(d) ? 1 : 0);
}
