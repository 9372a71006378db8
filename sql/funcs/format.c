/*
 * format(): %s, %I, %L and %% with width, '-' and argument positions, as PostgreSQL reads them.
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/types/quote.h"

struct cursor {
    const uint8_t *p;
    const uint8_t *end;
};

static COLD err_t raise_short(void)
{
    err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE, "unterminated format() type specifier");
    err_hint("For a single \"%%\" use \"%%%%\".");
    return e;
}

static err_t read_number(struct cursor *s, bool *found, int32_t *out)
{
    int32_t v = 0;
    *found = false;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        if (ckd_mul_i32(&v, v, 10) || ckd_add_i32(&v, v, *s->p - '0'))
            return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range");
        *found = true;
        s->p++;
    }
    *out = v;
    return ERR_OK;
}

static err_t put_padded(struct strbuf *b, const char *text, size_t len, bool left, int64_t width)
{
    int64_t chars = (int64_t)utf8_length(text, len);
    if (width < 0) {
        left = true;
        width = -width;
    }
    int64_t blanks = MAX(width - chars, 0);
    for (int64_t i = 0; i < blanks && !left; i++)
        TRY(strbuf_put(b, " ", 1));
    TRY(strbuf_put(b, text, len));
    for (int64_t i = 0; i < blanks && left; i++)
        TRY(strbuf_put(b, " ", 1));
    return ERR_OK;
}

/* The value list: arguments 1.. of the call, or the elements of a VARIADIC array. */
struct values {
    uint32_t count;
    const datum *values;
    const bool *nulls;
    const oid *types;
};

static err_t convert(struct call *c, const struct values *v, uint32_t index, uint8_t kind,
                     struct strbuf *text)
{
    if (v->nulls[index]) {
        if (kind == 'I')
            return err_raise(ERR_NULL_VALUE_NOT_ALLOWED,
                             "null values cannot be formatted as an SQL identifier");
        if (kind == 'L')
            strbuf_puts(text, "NULL");
        return ERR_OK;
    }
    if (kind == 's')
        return value_to_text(c, v->types[index], v->values[index], text);
    struct strbuf plain;
    strbuf_init(&plain, c->mem);
    strbuf_puts(&plain, "");
    TRY(value_to_text(c, v->types[index], v->values[index], &plain));
    if (kind == 'L')
        return quote_literal(text, plain.data, plain.len);
    strbuf_puts(text, quote_identifier(c->mem, plain.data));
    return ERR_OK;
}

static err_t too_few(void)
{
    return err_raise(ERR_INVALID_PARAMETER_VALUE, "too few arguments for format()");
}

static err_t format_text(struct call *c, const struct values *v, datum *out)
{
    struct cursor s = {ARG_VARLEN(0)->data, ARG_VARLEN(0)->data + ARG_VARLEN(0)->len};
    struct strbuf b;
    strbuf_init(&b, c->mem);
    int64_t next = 0; /* argument that comes next, from 0 */
    while (s.p < s.end) {
        if (*s.p != '%') {
            const uint8_t *from = s.p;
            while (s.p < s.end && *s.p != '%')
                s.p++;
            TRY(strbuf_put(&b, from, (size_t)(s.p - from)));
            continue;
        }
        if (++s.p == s.end)
            return raise_short();
        if (*s.p == '%') {
            strbuf_putc(&b, '%');
            s.p++;
            continue;
        }
        bool found = false;
        bool left = false;
        int32_t number = 0;
        int32_t position = -1;
        int64_t width = 0;
        TRY(read_number(&s, &found, &number));
        bool have_width = false;
        if (found && s.p < s.end && *s.p == '$') {
            if (number == 0)
                return err_raise(ERR_INVALID_PARAMETER_VALUE,
                                 "format specifies argument 0, but arguments are numbered from 1");
            position = number;
            s.p++;
        } else if (found) {
            width = number;
            have_width = true;
        }
        if (!have_width) {
            while (s.p < s.end && *s.p == '-') {
                left = true;
                s.p++;
            }
            if (s.p < s.end && *s.p == '*') {
                s.p++;
                TRY(read_number(&s, &found, &number));
                int64_t at = next;
                if (found) {
                    if (s.p == s.end || *s.p != '$')
                        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                                         "width argument position must be ended by \"$\"");
                    s.p++;
                    if (number == 0)
                        return err_raise(
                            ERR_INVALID_PARAMETER_VALUE,
                            "format specifies argument 0, but arguments are numbered from 1");
                    at = (int64_t)number - 1;
                }
                if (at >= v->count)
                    return too_few();
                next = at + 1;
                if (!v->nulls[at]) {
                    struct strbuf text;
                    datum d = 0;
                    strbuf_init(&text, c->mem);
                    strbuf_puts(&text, "");
                    TRY(value_to_text(c, v->types[at], v->values[at], &text));
                    TRY(value_input(c->env, c->mem, TYPE_INT4, -1, text.data, text.len, &d));
                    width = datum_i32(d);
                }
            } else {
                TRY(read_number(&s, &found, &number));
                width = number;
            }
        }
        if (s.p == s.end)
            return raise_short();
        uint8_t kind = *s.p;
        uint32_t kind_bytes = utf8_char_bytes(kind);
        if (kind != 's' && kind != 'I' && kind != 'L') {
            err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE,
                                "unrecognized format() type specifier \"%.*s\"", (int)kind_bytes,
                                (const char *)s.p);
            err_hint("For a single \"%%\" use \"%%%%\".");
            return e;
        }
        s.p++;
        int64_t at = position > 0 ? (int64_t)position - 1 : next;
        if (at >= v->count)
            return too_few();
        next = at + 1;
        struct strbuf text;
        strbuf_init(&text, c->mem);
        strbuf_puts(&text, "");
        TRY(convert(c, v, (uint32_t)at, kind, &text));
        TRY(put_padded(&b, text.data, text.len, left, width));
    }
    return result_strbuf(c, &b, out);
}

FUNCTION(fn_text_format)
{
    if (c->nulls[0])
        RETURN_NULL();
    struct values v = {c->arg_count - 1, c->args + 1, c->nulls + 1, c->arg_types + 1};
    return format_text(c, &v, out);
}
