/*
 * bytea (hex and escape forms) and uuid (16 bytes).
 */
#include "sql/types/types.h"

#include "sql/types/types_priv.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- bytea ---- */

err_t hex_decode(const char *text, size_t len, uint8_t *to, size_t *bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        char c = text[i];
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            i++;
            continue;
        }
        int high = hex_value(c);
        if (high < 0)
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid hexadecimal digit: \"%.*s\"",
                             (int)utf8_clip(text + i, len - i, 1), text + i);
        if (++i >= len)
            return err_raise(ERR_INVALID_PARAMETER_VALUE,
                             "invalid hexadecimal data: odd number of digits");
        int low = hex_value(text[i]);
        if (low < 0)
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid hexadecimal digit: \"%.*s\"",
                             (int)utf8_clip(text + i, len - i, 1), text + i);
        i++;
        to[n++] = (uint8_t)((high << 4) | low);
    }
    *bytes = n;
    return ERR_OK;
}

static bool is_octal(char c, char max)
{
    return c >= '0' && c <= max;
}

err_t bytea_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    struct varlen *v;
    TRY(varlen_try(io->mem, NULL, len, &v));
    if (len >= 2 && text[0] == '\\' && text[1] == 'x') {
        size_t n = 0;
        TRY(hex_decode(text + 2, len - 2, v->data, &n));
        v->len = (uint32_t)n;
        *out = datum_of_varlen(v);
        return ERR_OK;
    }
    uint32_t n = 0;
    for (size_t i = 0; i < len;) {
        if (text[i] != '\\') {
            v->data[n++] = (uint8_t)text[i++];
        } else if (i + 3 < len && is_octal(text[i + 1], '3') && is_octal(text[i + 2], '7') &&
                   is_octal(text[i + 3], '7')) {
            v->data[n++] = (uint8_t)(((text[i + 1] - '0') << 6) | ((text[i + 2] - '0') << 3) |
                                     (text[i + 3] - '0'));
            i += 4;
        } else if (i + 1 < len && text[i + 1] == '\\') {
            v->data[n++] = '\\';
            i += 2;
        } else {
            return err_raise(ERR_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type %s",
                             "bytea");
        }
    }
    v->len = n;
    *out = datum_of_varlen(v);
    return ERR_OK;
}

err_t bytea_output(struct type_io *io, datum value, struct strbuf *out)
{
    static const char digits[] = "0123456789abcdef";
    const struct varlen *v = datum_varlen(value);
    if (io->env != NULL && io->env->bytea_output == 1) {
        for (uint32_t i = 0; i < v->len; i++) {
            uint8_t c = v->data[i];
            if (c == '\\')
                TRY(strbuf_put(out, "\\\\", 2));
            else if (c < 0x20 || c > 0x7e)
                strbuf_printf(out, "\\%03o", c);
            else
                strbuf_putc(out, (char)c);
        }
        return ERR_OK;
    }
    TRY(strbuf_put(out, "\\x", 2));
    char chunk[512];
    for (uint32_t i = 0; i < v->len;) {
        size_t n = 0;
        for (; i < v->len && n < sizeof(chunk); i++) {
            chunk[n++] = digits[v->data[i] >> 4];
            chunk[n++] = digits[v->data[i] & 15];
        }
        TRY(strbuf_put(out, chunk, n));
    }
    return ERR_OK;
}

err_t bytea_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    struct varlen *v;
    TRY(varlen_try(io->mem, bytes, len, &v));
    *out = datum_of_varlen(v);
    return ERR_OK;
}
err_t bytea_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    const struct varlen *v = datum_varlen(value);
    return strbuf_put(out, v->data, v->len);
}
int bytea_compare(datum a, datum b)
{
    const struct varlen *x = datum_varlen(a);
    const struct varlen *y = datum_varlen(b);
    int c = memcmp(x->data, y->data, MIN(x->len, y->len));
    return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}
uint64_t bytea_hash(datum d)
{
    const struct varlen *v = datum_varlen(d);
    return hash_bytes(v->data, v->len);
}
void bytea_sort_key(datum d, struct strbuf *out)
{
    const struct varlen *v = datum_varlen(d);
    key_put_bytes(out, v->data, v->len);
}

/* ---- uuid ---- */

enum { UUID_BYTES = 16 };

err_t uuid_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    struct varlen *v = varlen_new(io->mem, NULL, UUID_BYTES);
    size_t i = 0;
    bool braces = len > 0 && text[0] == '{';
    if (braces)
        i++;
    for (int b = 0; b < UUID_BYTES; b++) {
        int high = i < len ? hex_value(text[i]) : -1;
        int low = i + 1 < len ? hex_value(text[i + 1]) : -1;
        if (high < 0 || low < 0)
            return raise_input_syntax("uuid", text, len);
        v->data[b] = (uint8_t)((high << 4) | low);
        i += 2;
        if (i < len && text[i] == '-' && b % 2 == 1 && b < UUID_BYTES - 1)
            i++;
    }
    if (braces) {
        if (i >= len || text[i] != '}')
            return raise_input_syntax("uuid", text, len);
        i++;
    }
    if (i != len)
        return raise_input_syntax("uuid", text, len);
    *out = datum_of_varlen(v);
    return ERR_OK;
}
err_t uuid_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    static const char digits[] = "0123456789abcdef";
    const struct varlen *v = datum_varlen(value);
    char text[36];
    size_t n = 0;
    for (int b = 0; b < UUID_BYTES; b++) {
        if (b == 4 || b == 6 || b == 8 || b == 10)
            text[n++] = '-';
        text[n++] = digits[v->data[b] >> 4];
        text[n++] = digits[v->data[b] & 15];
    }
    return strbuf_put(out, text, n);
}
err_t uuid_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    if (len != UUID_BYTES)
        return raise_binary_length(len, UUID_BYTES);
    *out = datum_of_varlen(varlen_new(io->mem, bytes, UUID_BYTES));
    return ERR_OK;
}
err_t uuid_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    return strbuf_put(out, datum_varlen(value)->data, UUID_BYTES);
}
int uuid_compare(datum a, datum b)
{
    return memcmp(datum_varlen(a)->data, datum_varlen(b)->data, UUID_BYTES);
}
uint64_t uuid_hash(datum d)
{
    return hash_bytes(datum_varlen(d)->data, UUID_BYTES);
}
void uuid_sort_key(datum d, struct strbuf *out)
{
    ERR_IGNORE(strbuf_put(out, datum_varlen(d)->data, UUID_BYTES));
}
