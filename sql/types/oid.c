/*
 * oid and the other identifier types: xid, cid, xid8, tid, pg_lsn. A tid is one word: block << 16 |
 * offset. The aliases of oid (regclass, regtype, ...) are in sql/funcs/regtypes.c: they call the
 * session's services.
 */
#include "sql/types/types.h"

#include "sql/types/types_priv.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- numbers ---- */

static err_t parse_u64(const char *type, const char *text, size_t len, uint64_t max, bool sign,
                       uint64_t *out)
{
    const char *p = text;
    size_t n = len;
    trim_spaces(&p, &n);
    bool negative = false;
    if (n > 0 && sign && (*p == '-' || *p == '+')) {
        negative = *p == '-';
        p++;
        n--;
    }
    if (n == 0)
        return raise_input_syntax(type, text, len);
    uint64_t v = 0;
    bool overflow = false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return raise_input_syntax(type, text, len);
        overflow |= ckd_mul_u64(&v, v, 10);
        overflow |= ckd_add_u64(&v, v, (uint64_t)(p[i] - '0'));
    }
    if (overflow || v > max || (negative && v > max / 2 + 1))
        return raise_out_of_range(type, text, len);
    *out = negative ? ((uint64_t)0 - v) & max : v;
    return ERR_OK;
}

err_t oid_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    return parse_u64("oid", text, len, UINT32_MAX, true, out);
}
err_t oid_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    strbuf_printf(out, "%u", datum_oid(value));
    return ERR_OK;
}
err_t oid_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 4)
        return raise_binary_length(len, 4);
    *out = load_be32(bytes);
    return ERR_OK;
}
err_t oid_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[4];
    store_be32(b, datum_oid(value));
    return strbuf_put(out, b, sizeof(b));
}
int oid_compare(datum a, datum b)
{
    return (datum_oid(a) > datum_oid(b)) - (datum_oid(a) < datum_oid(b));
}
uint64_t oid_hash(datum d)
{
    return hash_u64(datum_oid(d));
}
void oid_sort_key(datum d, struct strbuf *out)
{
    key_put_u32(out, datum_oid(d));
}

/* As PostgreSQL 15: the number that the text begins with, 0 when it begins with none. */
err_t xid_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    *out = (uint32_t)strtoul(arena_strndup(io->mem, text, len), NULL, 0);
    return ERR_OK;
}
err_t cid_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return xid_input(io, text, len, out);
}

err_t xid_output(struct type_io *io, datum value, struct strbuf *out)
{
    return oid_output(io, value, out);
}
err_t cid_output(struct type_io *io, datum value, struct strbuf *out)
{
    return oid_output(io, value, out);
}

err_t xid8_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    return parse_u64("xid8", text, len, UINT64_MAX, true, out);
}
err_t xid8_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    strbuf_printf(out, "%llu", (unsigned long long)value);
    return ERR_OK;
}
err_t xid8_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 8)
        return raise_binary_length(len, 8);
    *out = load_be64(bytes);
    return ERR_OK;
}
err_t xid8_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[8];
    store_be64(b, value);
    return strbuf_put(out, b, sizeof(b));
}
int xid8_compare(datum a, datum b)
{
    return (a > b) - (a < b);
}
uint64_t xid8_hash(datum d)
{
    return hash_u64(d);
}
void xid8_sort_key(datum d, struct strbuf *out)
{
    key_put_u64(out, d);
}

/* ---- pg_lsn: XXX/XXX ---- */

static bool parse_hex32(const char *p, size_t len, uint64_t *out)
{
    uint64_t v = 0;
    if (len == 0 || len > 8)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = ascii_lower(p[i]);
        if (c >= '0' && c <= '9')
            v = v * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v * 16 + (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}
err_t pg_lsn_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    const char *slash = len == 0 ? NULL : memchr(text, '/', len);
    uint64_t high = 0;
    uint64_t low = 0;
    if (slash == NULL || !parse_hex32(text, (size_t)(slash - text), &high) ||
        !parse_hex32(slash + 1, len - (size_t)(slash + 1 - text), &low))
        return raise_input_syntax("pg_lsn", text, len);
    *out = (high << 32) | low;
    return ERR_OK;
}
err_t pg_lsn_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    strbuf_printf(out, "%X/%X", (unsigned)(value >> 32), (unsigned)value);
    return ERR_OK;
}

/* ---- tid: (block,offset) ---- */

err_t tid_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    const char *comma = len == 0 ? NULL : memchr(text, ',', len);
    if (comma == NULL || text[0] != '(' || text[len - 1] != ')' || comma + 1 > text + len - 1)
        return raise_input_syntax("tid", text, len);
    uint64_t block = 0;
    uint64_t offset = 0;
    size_t block_len = (size_t)(comma - text - 1);
    size_t offset_len = (size_t)(text + len - 1 - (comma + 1)); /* both may be empty: 0 */
    if ((block_len > 0 &&
         parse_u64("tid", text + 1, block_len, 0xffffffffffffULL, false, &block) != ERR_OK) ||
        (offset_len > 0 &&
         parse_u64("tid", comma + 1, offset_len, UINT16_MAX, false, &offset) != ERR_OK))
        return raise_input_syntax("tid", text, len);
    *out = (block << 16) | offset;
    return ERR_OK;
}
err_t tid_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    strbuf_printf(out, "(%llu,%u)", (unsigned long long)(value >> 16), (unsigned)(value & 0xffff));
    return ERR_OK;
}
err_t tid_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 6)
        return raise_binary_length(len, 6);
    *out = ((uint64_t)load_be32(bytes) << 16) | load_be16(bytes + 4);
    return ERR_OK;
}
err_t tid_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[6];
    store_be32(b, (uint32_t)(value >> 16));
    store_be16(b + 4, (uint16_t)value);
    return strbuf_put(out, b, sizeof(b));
}
