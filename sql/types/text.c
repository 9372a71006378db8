/*
 * text, varchar, char(n) (bpchar), name, "char", cstring, unknown and the text-like catalog types
 * (pg_node_tree, aclitem). All text is valid UTF-8 without zero bytes, checked on input. Collation
 * is C.UTF-8: order of bytes. char(n) values are kept padded; trailing blanks count neither in
 * order nor in hash nor in keys. A typmod is the length + 4.
 */
#include "sql/types/types.h"

#include "sql/types/types_priv.h"

enum { TYPMOD_HEADER = 4, LENGTH_MAX = 10485760, NAME_BYTES_MAX = 63 };

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int c = memcmp(a, b, MIN(a_len, b_len));
    return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

/* ---- text ---- */

err_t text_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    TRY(utf8_check(text, len));
    struct varlen *v;
    TRY(varlen_try(io->mem, text, len, &v));
    *out = datum_of_varlen(v);
    return ERR_OK;
}
err_t text_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    const struct varlen *v = datum_varlen(value);
    return strbuf_put(out, v->data, v->len);
}
err_t text_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    return text_input(io, (const char *)bytes, len, out);
}
err_t text_send(struct type_io *io, datum value, struct strbuf *out)
{
    return text_output(io, value, out);
}
int text_compare(datum a, datum b)
{
    const struct varlen *x = datum_varlen(a);
    const struct varlen *y = datum_varlen(b);
    return compare_bytes(x->data, x->len, y->data, y->len);
}
uint64_t text_hash(datum d)
{
    const struct varlen *v = datum_varlen(d);
    return hash_bytes(v->data, v->len);
}
void text_sort_key(datum d, struct strbuf *out)
{
    const struct varlen *v = datum_varlen(d);
    key_put_text(out, v->data, v->len);
}

/* ---- lengths ---- */

static err_t length_typmod_in(const char *type, const int32_t *args, uint32_t count, int32_t *out)
{
    if (count != 1)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid type modifier");
    if (args[0] < 1)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "length for type %s must be at least 1",
                         type);
    if (args[0] > LENGTH_MAX)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "length for type %s cannot exceed %d", type,
                         LENGTH_MAX);
    *out = args[0] + TYPMOD_HEADER;
    return ERR_OK;
}
static void length_typmod_out(int32_t typmod, struct strbuf *out)
{
    if (typmod > TYPMOD_HEADER)
        strbuf_printf(out, "(%d)", typmod - TYPMOD_HEADER);
}
static bool only_blanks(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != ' ')
            return false;
    return true;
}

/* ---- varchar(n) ---- */

err_t varchar_typmod_in(const int32_t *args, uint32_t count, int32_t *out)
{
    return length_typmod_in("varchar", args, count, out);
}
void varchar_typmod_out(int32_t typmod, struct strbuf *out)
{
    length_typmod_out(typmod, out);
}
err_t varchar_apply_typmod(struct type_io *io, datum in, bool is_explicit, datum *out)
{
    const struct varlen *v = datum_varlen(in);
    *out = in;
    if (io->typmod < TYPMOD_HEADER)
        return ERR_OK;
    size_t limit = (size_t)(io->typmod - TYPMOD_HEADER);
    size_t keep = utf8_clip(v->data, v->len, limit);
    if (keep == v->len)
        return ERR_OK;
    if (!is_explicit && !only_blanks(v->data + keep, v->len - keep))
        return err_raise(ERR_STRING_DATA_RIGHT_TRUNCATION,
                         "value too long for type character varying(%zu)", limit);
    *out = datum_of_varlen(varlen_new(io->mem, v->data, (uint32_t)keep));
    return ERR_OK;
}

/* ---- char(n) ---- */

static size_t bpchar_length(const struct varlen *v)
{
    size_t n = v->len;
    while (n > 0 && v->data[n - 1] == ' ')
        n--;
    return n;
}
int bpchar_compare(datum a, datum b)
{
    const struct varlen *x = datum_varlen(a);
    const struct varlen *y = datum_varlen(b);
    return compare_bytes(x->data, bpchar_length(x), y->data, bpchar_length(y));
}
uint64_t bpchar_hash(datum d)
{
    const struct varlen *v = datum_varlen(d);
    return hash_bytes(v->data, bpchar_length(v));
}
void bpchar_sort_key(datum d, struct strbuf *out)
{
    const struct varlen *v = datum_varlen(d);
    key_put_text(out, v->data, bpchar_length(v));
}
err_t bpchar_typmod_in(const int32_t *args, uint32_t count, int32_t *out)
{
    return length_typmod_in("char", args, count, out);
}
void bpchar_typmod_out(int32_t typmod, struct strbuf *out)
{
    length_typmod_out(typmod, out);
}
err_t bpchar_apply_typmod(struct type_io *io, datum in, bool is_explicit, datum *out)
{
    const struct varlen *v = datum_varlen(in);
    *out = in;
    if (io->typmod < TYPMOD_HEADER)
        return ERR_OK;
    size_t limit = (size_t)(io->typmod - TYPMOD_HEADER);
    size_t have = utf8_length(v->data, v->len);
    if (have == limit)
        return ERR_OK;
    if (have < limit) {
        struct varlen *padded;
        TRY(varlen_try(io->mem, NULL, (uint64_t)v->len + (limit - have), &padded));
        memcpy(padded->data, v->data, v->len);
        memset(padded->data + v->len, ' ', limit - have);
        *out = datum_of_varlen(padded);
        return ERR_OK;
    }
    size_t keep = utf8_clip(v->data, v->len, limit);
    if (!is_explicit && !only_blanks(v->data + keep, v->len - keep))
        return err_raise(ERR_STRING_DATA_RIGHT_TRUNCATION, "value too long for type character(%zu)",
                         limit);
    *out = datum_of_varlen(varlen_new(io->mem, v->data, (uint32_t)keep));
    return ERR_OK;
}

/* ---- name ---- */

err_t name_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    TRY(utf8_check(text, len));
    size_t keep = utf8_clip_bytes(text, len, NAME_BYTES_MAX);
    *out = datum_of_varlen(varlen_new(io->mem, text, (uint32_t)keep));
    return ERR_OK;
}
err_t name_output(struct type_io *io, datum value, struct strbuf *out)
{
    return text_output(io, value, out);
}
err_t name_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    if (len > NAME_BYTES_MAX) {
        err_t e = err_raise(ERR_NAME_TOO_LONG, "identifier too long");
        err_detail("Identifier must be less than %d characters.", NAME_BYTES_MAX + 1);
        return e;
    }
    return name_input(io, (const char *)bytes, len, out);
}
err_t name_send(struct type_io *io, datum value, struct strbuf *out)
{
    return text_output(io, value, out);
}

/* ---- "char": one byte, written \ooo above 127 ---- */

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

err_t char_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    (void)io;
    if (len == 4 && text[0] == '\\' && is_octal(text[1]) && is_octal(text[2]) && is_octal(text[3]))
        *out = (uint8_t)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
    else
        *out = len == 0 ? 0 : (uint8_t)text[0];
    return ERR_OK;
}
err_t char_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t byte = (uint8_t)value;
    if (byte >= 0x80)
        strbuf_printf(out, "\\%03o", byte);
    else if (byte != 0)
        strbuf_putc(out, (char)byte);
    return ERR_OK;
}
err_t char_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 1)
        return raise_binary_byte(len);
    *out = bytes[0];
    return ERR_OK;
}
err_t char_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    strbuf_putc(out, (char)value);
    return ERR_OK;
}
int char_compare(datum a, datum b)
{
    return (int)(uint8_t)a - (int)(uint8_t)b;
}
uint64_t char_hash(datum d)
{
    return hash_u64((uint8_t)d);
}
void char_sort_key(datum d, struct strbuf *out)
{
    strbuf_putc(out, (char)d);
}
