/*
 * bytea: concatenation, substrings, bits, trimming; encode/decode; digests; conversion between
 * encodings (UTF-8 only); uuid generation.
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/types/chars.h"

#include "core/core.h"

#include <openssl/evp.h>
#include <strings.h>

static err_t bytea_part(struct call *c, int64_t start, bool has_length, int64_t length, datum *out)
{
    const struct varlen *v = ARG_VARLEN(0);
    int64_t end = has_length ? start + length : INT64_MAX;
    if (has_length && end < start)
        return err_raise(ERR_SUBSTRING_ERROR, "negative substring length not allowed");
    int64_t from = MIN(MAX(start, 1), (int64_t)v->len + 1) - 1;
    int64_t to = MIN(MAX(end - 1, from), (int64_t)v->len);
    RETURN_TEXT(v->data + from, (uint64_t)(to - from));
}
FUNCTION(fn_bytea_substr)
{
    return bytea_part(c, ARG_I32(1), true, ARG_I32(2), out);
}
FUNCTION(fn_bytea_substr_no_len)
{
    return bytea_part(c, ARG_I32(1), false, 0, out);
}
FUNCTION(fn_byteapos)
{
    const struct varlen *a = ARG_VARLEN(0);
    const struct varlen *b = ARG_VARLEN(1);
    const uint8_t *p = memmem(a->data, a->len, b->data, b->len);
    RETURN_I32(p == NULL ? 0 : (int32_t)(p - a->data) + 1);
}
static err_t bytea_overlay(struct call *c, int64_t start, int64_t length, datum *out)
{
    const struct varlen *v = ARG_VARLEN(0);
    const struct varlen *w = ARG_VARLEN(1);
    if (start <= 0)
        return err_raise(ERR_SUBSTRING_ERROR, "negative substring length not allowed");
    if (start + length > INT32_MAX)
        return raise_int_range("integer");
    size_t head = (size_t)MIN(start - 1, (int64_t)v->len);
    size_t tail = (size_t)MIN(MAX(start + length - 1, 0), (int64_t)v->len);
    struct strbuf b;
    strbuf_init(&b, c->mem);
    TRY(strbuf_put(&b, v->data, head));
    TRY(strbuf_put(&b, w->data, w->len));
    TRY(strbuf_put(&b, v->data + tail, v->len - tail));
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_byteaoverlay)
{
    return bytea_overlay(c, ARG_I32(2), ARG_I32(3), out);
}
FUNCTION(fn_byteaoverlay_no_len)
{
    return bytea_overlay(c, ARG_I32(2), ARG_VARLEN(1)->len, out);
}

static err_t check_index(int64_t index, int64_t count)
{
    if (index < 0 || index >= count)
        return err_raise(ERR_ARRAY_SUBSCRIPT_ERROR, "index %lld out of valid range, 0..%lld",
                         (long long)index, (long long)count - 1);
    return ERR_OK;
}
FUNCTION(fn_byteaGetByte)
{
    TRY(check_index(ARG_I32(1), ARG_VARLEN(0)->len));
    RETURN_I32(ARG_VARLEN(0)->data[ARG_I32(1)]);
}
FUNCTION(fn_byteaSetByte)
{
    TRY(check_index(ARG_I32(1), ARG_VARLEN(0)->len));
    struct varlen *v = varlen_new(c->mem, ARG_VARLEN(0)->data, ARG_VARLEN(0)->len);
    v->data[ARG_I32(1)] = (uint8_t)ARG_I32(2);
    *out = datum_of_varlen(v);
    return ERR_OK;
}
FUNCTION(fn_byteaGetBit)
{
    TRY(check_index(ARG_I64(1), (int64_t)ARG_VARLEN(0)->len * 8));
    RETURN_I32((ARG_VARLEN(0)->data[ARG_I64(1) / 8] >> (ARG_I64(1) % 8)) & 1);
}
FUNCTION(fn_byteaSetBit)
{
    TRY(check_index(ARG_I64(1), (int64_t)ARG_VARLEN(0)->len * 8));
    if (ARG_I32(2) != 0 && ARG_I32(2) != 1)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "new bit must be 0 or 1");
    struct varlen *v = varlen_new(c->mem, ARG_VARLEN(0)->data, ARG_VARLEN(0)->len);
    uint8_t bit = (uint8_t)(1u << (ARG_I64(1) % 8));
    uint8_t *byte = &v->data[ARG_I64(1) / 8];
    *byte = (uint8_t)(ARG_I32(2) ? *byte | bit : *byte & ~bit);
    *out = datum_of_varlen(v);
    return ERR_OK;
}
FUNCTION(fn_bytea_bit_count)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < ARG_VARLEN(0)->len; i++)
        n += __builtin_popcount(ARG_VARLEN(0)->data[i]);
    RETURN_I64(n);
}

static err_t trim_bytes(struct call *c, bool left, bool right, datum *out)
{
    const struct varlen *v = ARG_VARLEN(0);
    const struct varlen *set = ARG_VARLEN(1);
    uint32_t from = 0;
    uint32_t to = v->len;
    while (left && from < to && memchr(set->data, v->data[from], set->len) != NULL)
        from++;
    while (right && from < to && memchr(set->data, v->data[to - 1], set->len) != NULL)
        to--;
    RETURN_TEXT(v->data + from, to - from);
}
FUNCTION(fn_byteatrim)
{
    return trim_bytes(c, true, true, out);
}
FUNCTION(fn_bytealtrim)
{
    return trim_bytes(c, true, false, out);
}
FUNCTION(fn_byteartrim)
{
    return trim_bytes(c, false, true, out);
}

/* ---- encode, decode ---- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static err_t put_base64(struct strbuf *b, const uint8_t *p, size_t len)
{
    size_t line = 0;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = MIN(len - i, (size_t)3);
        uint32_t w = (uint32_t)p[i] << 16;
        w |= have > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        w |= have > 2 ? p[i + 2] : 0;
        char four[4] = {base64_digits[w >> 18], base64_digits[(w >> 12) & 63],
                        have > 1 ? base64_digits[(w >> 6) & 63] : '=',
                        have > 2 ? base64_digits[w & 63] : '='};
        if (line == 76) {
            strbuf_putc(b, '\n');
            line = 0;
        }
        TRY(strbuf_put(b, four, 4));
        line += 4;
    }
    return ERR_OK;
}
static err_t take_base64(struct strbuf *b, const uint8_t *p, size_t len)
{
    uint32_t w = 0;
    int pos = 0;
    int end = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t ch = p[i];
        if (ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r')
            continue;
        uint32_t v = 0;
        if (ch == '=') {
            if (end == 0) {
                if (pos == 2)
                    end = 1;
                else if (pos == 3)
                    end = 2;
                else
                    return err_raise(ERR_INVALID_PARAMETER_VALUE,
                                     "unexpected \"=\" while decoding base64 sequence");
            }
        } else {
            const char *at = memchr(base64_digits, ch, 64);
            if (at == NULL)
                return err_raise(ERR_INVALID_PARAMETER_VALUE,
                                 "invalid symbol \"%.*s\" found while decoding base64 sequence",
                                 (int)utf8_clip(p + i, len - i, 1), (const char *)p + i);
            v = (uint32_t)(at - base64_digits);
        }
        w = (w << 6) | v;
        if (++pos == 4) {
            strbuf_putc(b, (char)(w >> 16));
            if (end == 0 || end > 1)
                strbuf_putc(b, (char)(w >> 8));
            if (end == 0 || end > 2)
                strbuf_putc(b, (char)w);
            w = 0;
            pos = 0;
        }
    }
    if (pos != 0) {
        err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid base64 end sequence");
        err_hint("Input data is missing padding, is truncated, or is otherwise corrupted.");
        return e;
    }
    return ERR_OK;
}

static bool format_is(const struct varlen *v, const char *name)
{
    return v->len == strlen(name) && strncasecmp((const char *)v->data, name, v->len) == 0;
}
static err_t raise_encoding(struct call *c)
{
    return err_raise(ERR_INVALID_PARAMETER_VALUE, "unrecognized encoding: \"%s\"",
                     arg_cstring(c, 1));
}
FUNCTION(fn_binary_encode)
{
    static const char digits[] = "0123456789abcdef";
    const struct varlen *v = ARG_VARLEN(0);
    struct strbuf b;
    strbuf_init(&b, c->mem);
    if (format_is(ARG_VARLEN(1), "base64")) {
        TRY(put_base64(&b, v->data, v->len));
    } else if (format_is(ARG_VARLEN(1), "hex")) {
        for (uint32_t i = 0; i < v->len; i++) {
            char two[2] = {digits[v->data[i] >> 4], digits[v->data[i] & 15]};
            TRY(strbuf_put(&b, two, 2));
        }
    } else if (format_is(ARG_VARLEN(1), "escape")) {
        for (uint32_t i = 0; i < v->len; i++) {
            uint8_t ch = v->data[i];
            if (ch == 0 || ch >= 0x80)
                strbuf_printf(&b, "\\%03o", ch);
            else if (ch == '\\')
                strbuf_puts(&b, "\\\\");
            else
                strbuf_putc(&b, (char)ch);
        }
    } else {
        return raise_encoding(c);
    }
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_binary_decode)
{
    const struct varlen *v = ARG_VARLEN(0);
    struct strbuf b;
    strbuf_init(&b, c->mem);
    if (format_is(ARG_VARLEN(1), "base64")) {
        TRY(take_base64(&b, v->data, v->len));
        return result_strbuf(c, &b, out);
    }
    if (format_is(ARG_VARLEN(1), "hex")) {
        struct varlen *r = varlen_new(c->mem, NULL, v->len / 2 + 1);
        size_t n = 0;
        TRY(hex_decode((const char *)v->data, v->len, r->data, &n));
        r->len = (uint32_t)n;
        *out = datum_of_varlen(r);
        return ERR_OK;
    }
    if (format_is(ARG_VARLEN(1), "escape")) {
        for (uint32_t i = 0; i < v->len;) {
            const uint8_t *p = v->data + i;
            if (*p != '\\') {
                strbuf_putc(&b, (char)*p);
                i++;
            } else if (i + 3 < v->len && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                       p[3] >= '0' && p[3] <= '7') {
                strbuf_putc(&b, (char)(((p[1] - '0') << 6) | ((p[2] - '0') << 3) | (p[3] - '0')));
                i += 4;
            } else if (i + 1 < v->len && p[1] == '\\') {
                strbuf_putc(&b, '\\');
                i += 2;
            } else {
                return err_raise(ERR_INVALID_TEXT_REPRESENTATION,
                                 "invalid input syntax for type %s", "bytea");
            }
        }
        return result_strbuf(c, &b, out);
    }
    return raise_encoding(c);
}

/* ---- digests ---- */

static err_t digest(const struct varlen *v, const EVP_MD *kind, uint8_t *bytes, uint32_t *len)
{
    unsigned n = 0;
    if (EVP_Digest(v->data, v->len, bytes, &n, kind, NULL) != 1)
        return err_raise(ERR_INTERNAL_ERROR, "could not compute %s hash", EVP_MD_get0_name(kind));
    *len = n;
    return ERR_OK;
}
static err_t md5_text(struct call *c, datum *out)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    uint32_t len = 0;
    TRY(digest(ARG_VARLEN(0), EVP_md5(), bytes, &len));
    struct strbuf b;
    strbuf_init(&b, c->mem);
    for (uint32_t i = 0; i < len; i++)
        strbuf_printf(&b, "%02x", bytes[i]);
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_md5_text)
{
    return md5_text(c, out);
}
FUNCTION(fn_md5_bytea)
{
    return md5_text(c, out);
}
#define SHA(name, kind)                                                                            \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        uint8_t bytes[EVP_MAX_MD_SIZE];                                                            \
        uint32_t len = 0;                                                                          \
        TRY(digest(ARG_VARLEN(0), kind, bytes, &len));                                             \
        RETURN_TEXT(bytes, len);                                                                   \
    }
SHA(fn_sha224_bytea, EVP_sha224())
SHA(fn_sha256_bytea, EVP_sha256())
SHA(fn_sha384_bytea, EVP_sha384())
SHA(fn_sha512_bytea, EVP_sha512())

FUNCTION(fn_gen_random_uuid)
{
    struct varlen *v = varlen_new(c->mem, NULL, 16);
    core_random_bytes(v->data, 16);
    v->data[6] = (uint8_t)((v->data[6] & 0x0f) | 0x40);
    v->data[8] = (uint8_t)((v->data[8] & 0x3f) | 0x80);
    *out = datum_of_varlen(v);
    return ERR_OK;
}

/* ---- encodings: the server knows UTF8 (and SQL_ASCII as its bytes) ---- */

static err_t check_encoding(struct call *c, uint32_t n, const char *what)
{
    const struct varlen *v = ARG_VARLEN(n);
    static const char *const names[] = {"utf8", "utf-8", "unicode"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (format_is(v, names[i]))
            return ERR_OK;
    return err_not_built("%s encoding \"%s\" is not supported yet", what, arg_cstring(c, n));
}
FUNCTION(fn_pg_convert_from)
{
    TRY(check_encoding(c, 1, "source"));
    TRY(utf8_check(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len));
    RETURN_DATUM(c->args[0]);
}
FUNCTION(fn_pg_convert_to)
{
    TRY(check_encoding(c, 1, "destination"));
    RETURN_DATUM(c->args[0]);
}
FUNCTION(fn_length_in_encoding)
{
    TRY(check_encoding(c, 1, "source"));
    TRY(utf8_check(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len));
    RETURN_I32((int32_t)utf8_length(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len));
}

/* ---- int4send() and its kin: the binary form that the protocol sends ---- */

FUNCTION(fn_type_send)
{
    struct strbuf b;
    strbuf_init(&b, c->mem);
    strbuf_puts(&b, "");
    TRY(value_send(c->env, c->mem, c->func->args[0], c->args[0], &b));
    return result_strbuf(c, &b, out);
}
