/*
 * to_char of numbers and to_number.
 *
 * A template is read into slots: one per digit position and one for the decimal point, in order,
 * with signs, group separators and literal text between them. The number is rounded to the digits
 * after the point and laid over the slots from the right; positions before its first digit are
 * blank, or 0 from the first 0 of the template on. A sign that the template does not place stands
 * right before the first position that is written. FM leaves out blanks and, after the point, zeros
 * that only 9s ask for. The locale is C: point ".", group ",", no currency sign.
 */
#include "sql/funcs/funcs_priv.h"

#include "sql/types/chars.h"
#include "sql/types/numeric.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum item_kind {
    I_DIGIT,
    I_ZERO,
    I_POINT,
    I_GROUP,
    I_SIGN, /* S */
    I_MINUS,
    I_PLUS,
    I_PLUS_MINUS,
    I_CURRENCY,
    I_ORDINAL,
    I_TEXT,
};
struct item {
    enum item_kind kind;
    bool lower;
    const char *text;
    uint32_t len;
};
struct number_template {
    struct item *items;
    uint32_t count;
    int32_t before; /* digits before the point */
    int32_t after;
    int32_t zero_first; /* index of the first 0 among all digits, -1 = none */
    int32_t zero_last;
    int32_t shift; /* digits after V */
    bool has_point;
    bool fill;
    bool bracket;
    bool sign_before; /* S before the digits */
    bool sign_after;
    bool placed_sign; /* MI or SG */
    bool plus_seen;   /* PL */
    bool scientific;
    bool roman;
    bool roman_lower;
};

static bool mark(const char **p, const char *end, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(end - *p) < n)
        return false;
    bool up = true;
    bool low = true;
    for (size_t i = 0; i < n; i++) {
        up &= (*p)[i] == word[i];
        low &= (*p)[i] == ascii_lower(word[i]);
    }
    if (!up && !low)
        return false;
    *p += n;
    return true;
}
static COLD err_t raise_template(const char *message)
{
    return err_raise(ERR_SYNTAX_ERROR, "%s", message);
}

static err_t parse_number_template(struct call *c, const struct varlen *v,
                                   struct number_template *t)
{
    const char *p = (const char *)v->data;
    const char *end = p + v->len;
    *t = (struct number_template){.zero_first = -1, .zero_last = -1};
    t->items = ARENA_ARRAY(c->mem, struct item, v->len + 1);
    bool after_v = false;
    while (p < end) {
        struct item *i = &t->items[t->count];
        *i = (struct item){.text = p};
        if (t->scientific && *p != '"')
            return raise_template("\"EEEE\" must be the last pattern used");
        if (mark(&p, end, "FM")) {
            t->fill = true;
            continue;
        }
        if (mark(&p, end, "PL")) {
            i->kind = I_PLUS; /* the sign keeps its own place too */
            t->plus_seen = true;
        } else if (mark(&p, end, "MI")) {
            i->kind = I_MINUS;
            t->placed_sign = true;
        } else if (mark(&p, end, "SG")) {
            i->kind = I_PLUS_MINUS;
            t->placed_sign = true;
        } else if (mark(&p, end, "PR")) {
            t->bracket = true;
            continue;
        } else if (mark(&p, end, "RN")) {
            t->roman = true;
            t->roman_lower = i->text[0] == 'r';
            continue;
        } else if (mark(&p, end, "TH")) {
            i->kind = I_ORDINAL;
            i->lower = i->text[0] == 't';
        } else if (mark(&p, end, "EEEE")) {
            t->scientific = true;
            continue;
        } else if (mark(&p, end, "V")) {
            if (t->has_point)
                return raise_template("cannot use \"V\" and decimal point together");
            after_v = true;
            continue;
        } else if (mark(&p, end, "S")) {
            i->kind = I_SIGN;
            if (t->sign_before || t->sign_after)
                return raise_template("cannot use \"S\" twice");
            if (t->placed_sign || t->plus_seen || t->bracket)
                return raise_template("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
            if (t->before + t->after > 0)
                t->sign_after = true;
            else
                t->sign_before = true;
        } else if (mark(&p, end, "D") || *p == '.') {
            if (p == i->text)
                p++;
            i->kind = I_POINT;
            if (t->has_point)
                return raise_template("multiple decimal points");
            if (after_v)
                return raise_template("cannot use \"V\" and decimal point together");
            t->has_point = true;
        } else if (mark(&p, end, "G") || *p == ',') {
            if (p == i->text)
                p++;
            i->kind = I_GROUP;
        } else if (mark(&p, end, "B")) {
            continue; /* known, without effect */
        } else if (mark(&p, end, "L")) {
            i->kind = I_CURRENCY;
        } else if (*p == '9' || *p == '0') {
            i->kind = *p == '0' ? I_ZERO : I_DIGIT;
            if (*p == '0') {
                int32_t at = t->before + t->after;
                if (t->bracket)
                    return raise_template("\"0\" must be ahead of \"PR\"");
                if (t->zero_first < 0 && !t->has_point)
                    t->zero_first = at;
                t->zero_last = at;
            } else if (t->bracket) {
                return raise_template("\"9\" must be ahead of \"PR\"");
            }
            if (t->has_point)
                t->after++;
            else
                t->before++;
            t->shift += after_v;
            p++;
        } else if (*p == '"') {
            p++;
            while (p < end && *p != '"') {
                if (*p == '\\' && p + 1 < end)
                    p++;
                t->items[t->count++] = (struct item){.kind = I_TEXT, .text = p++, .len = 1};
            }
            p += p < end;
            continue;
        } else {
            if (*p == '\\' && p + 1 < end && p[1] == '"')
                p++;
            i->kind = I_TEXT;
            i->text = p;
            i->len = MIN(utf8_char_bytes((uint8_t)*p), (uint32_t)(end - p));
            p += i->len;
        }
        t->count++;
    }
    return ERR_OK;
}

/* ---- roman ---- */

static void put_roman(struct strbuf *out, int64_t v, bool valid, const struct number_template *t)
{
    static const struct {
        int value;
        const char *text;
    } steps[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"},
                 {90, "XC"},  {50, "L"},   {40, "XL"}, {10, "X"},   {9, "IX"},
                 {5, "V"},    {4, "IV"},   {1, "I"}};
    char text[24] = "###############";
    if (valid && v >= 1 && v <= 3999) {
        char *end = text;
        for (size_t i = 0; i < ARRAY_LEN(steps); i++)
            while (v >= steps[i].value) {
                end = stpcpy(end, steps[i].text);
                v -= steps[i].value;
            }
        for (char *p = text; t->roman_lower && *p != 0; p++)
            *p = ascii_lower(*p);
    }
    strbuf_printf(out, t->fill ? "%s" : "%15s", text);
}

/* ---- layout ---- */

/* digits: whole part without sign, then '.', then t->after digits (perhaps fewer). */
static void lay_out(struct strbuf *out, const struct number_template *t, const char *digits,
                    bool negative)
{
    const char *dot = strchr(digits, '.');
    int32_t whole = dot != NULL ? (int32_t)(dot - digits) : (int32_t)strlen(digits);
    const char *fraction = dot != NULL ? dot + 1 : "";
    int32_t fraction_len = (int32_t)strlen(fraction);
    bool overflow = whole > t->before;
    /* A lone 0 before a fraction is not written, except where 0 asks for it. */
    bool no_zero = whole == 1 && digits[0] == '0' && t->after > 0 && t->zero_first < 0;
    bool is_word = digits[0] > '9'; /* NaN, Infinity: no point */
    if (overflow) {
        whole = t->before;
        no_zero = false;
        is_word = false;
        fraction_len = t->after;
    }
    int32_t shown = no_zero ? 0 : whole;
    int32_t first = t->before - shown; /* first slot written */
    if (t->zero_first >= 0)
        first = MIN(first, t->zero_first);
    /* FM: the last slot after the point that is worth writing. */
    int32_t last = t->before + t->after - 1;
    if (t->fill) {
        int32_t worth = t->before - 1;
        for (int32_t i = 0; i < fraction_len; i++)
            if (overflow || fraction[i] != '0')
                worth = t->before + i;
        last = MAX(worth, t->zero_last);
    }
    bool sign_written = false;
    bool any_digit = false;
    int32_t slot = 0;
    bool done = false;
    int32_t total = t->before + t->after;
    for (uint32_t k = 0; k < t->count; k++) {
        const struct item *i = &t->items[k];
        bool is_slot = i->kind == I_DIGIT || i->kind == I_ZERO || i->kind == I_POINT;
        /* Before the first written slot comes the sign. FM9.9 of 0 writes "0.". */
        bool lone_zero = t->fill && no_zero && last < t->before && slot == t->before - 1;
        if (is_slot && !sign_written &&
            (slot >= first || (i->kind == I_POINT && slot >= first) || lone_zero)) {
            if (t->sign_before)
                strbuf_putc(out, negative ? '-' : '+');
            else if (t->bracket)
                ERR_IGNORE(strbuf_put(out, negative ? "<" : " ", negative || !t->fill ? 1 : 0));
            else if (!t->sign_after && !t->placed_sign) {
                if (negative)
                    strbuf_putc(out, '-');
                else if (!t->fill)
                    strbuf_putc(out, ' ');
            }
            sign_written = true;
        }
        switch (i->kind) {
        case I_POINT:
            if (!is_word)
                strbuf_putc(out, '.');
            any_digit = true;
            break;
        case I_DIGIT:
        case I_ZERO: {
            if (slot < t->before) {
                int32_t at = slot - (t->before - whole);
                if (slot >= t->before - shown) {
                    strbuf_putc(out, overflow ? '#' : digits[at]);
                    any_digit = true;
                } else if (slot >= first || lone_zero) {
                    strbuf_putc(out, '0');
                    any_digit = true;
                } else if (!t->fill) {
                    strbuf_putc(out, ' ');
                }
            } else if (slot <= last) {
                int32_t at = slot - t->before;
                if (overflow)
                    strbuf_putc(out, '#');
                else if (at < fraction_len)
                    strbuf_putc(out, fraction[at]); /* NOLINT: at < fraction_len */
            }
            slot++;
            if (slot == total) {
                done = true;
                if (t->bracket && sign_written)
                    ERR_IGNORE(strbuf_put(out, negative ? ">" : " ", negative || !t->fill ? 1 : 0));
                if (t->sign_after)
                    strbuf_putc(out, negative ? '-' : '+');
            }
            break;
        }
        case I_GROUP:
            if (any_digit)
                strbuf_putc(out, ',');
            else if (!t->fill)
                strbuf_putc(out, ' ');
            break;
        case I_SIGN:
            break;
        case I_MINUS:
            if (negative)
                strbuf_putc(out, '-');
            else if (!t->fill)
                strbuf_putc(out, ' ');
            break;
        case I_PLUS:
            if (!negative)
                strbuf_putc(out, '+');
            else if (!t->fill)
                strbuf_putc(out, ' ');
            break;
        case I_PLUS_MINUS:
            strbuf_putc(out, negative ? '-' : '+');
            break;
        case I_CURRENCY:
            if (!t->fill)
                strbuf_putc(out, ' ');
            break;
        case I_ORDINAL:
            if (!negative && !t->has_point && !overflow) {
                size_t n = strlen(digits);
                char a = digits[n - 1];
                char b = n > 1 ? digits[n - 2] : '0';
                const char *s = b == '1'   ? "TH"
                                : a == '1' ? "ST"
                                : a == '2' ? "ND"
                                : a == '3' ? "RD"
                                           : "TH";
                for (; *s != 0; s++)
                    strbuf_putc(out, i->lower ? ascii_lower(*s) : *s);
            }
            break;
        case I_TEXT:
            ERR_IGNORE(strbuf_put(out, i->text, i->len));
            break;
        }
    }
    (void)done;
}

/* text: a plain decimal, perhaps signed, with exactly the fraction to show. */
static err_t finish(struct call *c, const struct number_template *t, const char *text, datum *out)
{
    struct strbuf b;
    strbuf_init(&b, c->mem);
    strbuf_puts(&b, "");
    bool negative = *text == '-';
    lay_out(&b, t, text + negative, negative);
    return result_strbuf(c, &b, out);
}
/* "1.5e+10" with the sign's place. */
static err_t finish_scientific(struct call *c, const char *text, datum *out)
{
    struct strbuf b;
    strbuf_init(&b, c->mem);
    if (*text != '-')
        strbuf_putc(&b, ' ');
    strbuf_puts(&b, text);
    return result_strbuf(c, &b, out);
}

static err_t double_to_char(struct call *c, double v, int digits, datum *out)
{
    struct number_template t;
    TRY(parse_number_template(c, ARG_VARLEN(1), &t));
    char *text;
    if (t.roman) {
        struct strbuf b;
        strbuf_init(&b, c->mem);
        double r = rint(v);
        bool valid = r >= 1 && r <= 3999;
        put_roman(&b, valid ? (int64_t)r : 0, valid, &t);
        return result_strbuf(c, &b, out);
    }
    if (t.scientific) {
        if (isnan(v) || isinf(v)) {
            /* As wide as a number would be, of #. */
            struct strbuf b;
            strbuf_init(&b, c->mem);
            strbuf_putc(&b, ' ');
            for (int i = 0; i < t.before + t.after + 5; i++)
                strbuf_putc(&b, i == t.before ? '.' : '#');
            return result_strbuf(c, &b, out);
        }
        text = arena_printf(c->mem, "%.*e", t.after, v);
        return finish_scientific(c, text, out);
    }
    if (isnan(v) || isinf(v)) {
        return finish(c, &t, isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity", out);
    }
    if (t.shift > 0)
        v *= pow(10, t.shift);
    int whole = snprintf(NULL, 0, "%.0f", fabs(v));
    int after = t.after;
    if (whole >= digits)
        after = 0;
    else if (whole + after > digits)
        after = digits - whole;
    text = arena_printf(c->mem, "%.*f", after, v);
    return finish(c, &t, text, out);
}
FUNCTION(fn_float8_to_char)
{
    return double_to_char(c, ARG_F64(0), DBL_DIG, out);
}
FUNCTION(fn_float4_to_char)
{
    return double_to_char(c, (double)ARG_F32(0), FLT_DIG, out);
}

static err_t call_numeric(struct call *c, oid function, datum a, int32_t scale, datum *out)
{
    const struct func *f = func_find(function);
    datum args[2] = {a, datum_of_i32(scale)};
    bool nulls[2] = {false, false};
    struct call inner = *c;
    inner.func = f;
    inner.args = args;
    inner.nulls = nulls;
    inner.arg_count = 2;
    if (f == NULL || f->fn == NULL)
        return err_not_built("function %u is not supported yet", function);
    return f->fn(&inner, out);
}

static err_t numeric_to_char(struct call *c, datum v, datum *out)
{
    enum { FUNCTION_ROUND = 1707 }; /* round(numeric, integer) */
    struct number_template t;
    TRY(parse_number_template(c, ARG_VARLEN(1), &t));
    double approximate = 0;
    struct strbuf text;
    strbuf_init(&text, c->mem);
    TRY(value_to_text(c, TYPE_NUMERIC, v, &text));
    bool special = text.len > 0 && strpbrk(text.data, "NIn") != NULL;
    if (special || t.roman || t.scientific) {
        int64_t whole = 0;
        if (t.roman && !special)
            TRY(numeric_to_i64(v, INT32_MIN, INT32_MAX, "integer", &whole));
        if (t.roman)
            approximate = (double)whole;
        else
            TRY(numeric_to_f64(c->mem, v, &approximate));
        if (t.scientific && !special) {
            /* Exact digits: round at the decimal exponent, then shift the point. */
            const char *p = text.data + (text.data[0] == '-');
            char *digits = arena_alloc(c->mem, text.len + (size_t)t.after + 4);
            size_t n = 0;
            int exponent = 0;
            bool seen_point = false;
            bool leading = true;
            for (; *p != 0; p++) {
                if (*p == '.') {
                    seen_point = true;
                    continue;
                }
                if (leading && *p == '0') {
                    exponent -= seen_point;
                    continue;
                }
                if (leading)
                    exponent = seen_point ? exponent - 1 : 0;
                else if (!seen_point)
                    exponent++;
                leading = false;
                digits[n++] = *p;
            }
            if (n == 0) {
                digits[n++] = '0';
                exponent = 0;
            }
            size_t keep = (size_t)t.after + 1;
            bool up = n > keep && digits[keep] >= '5';
            while (n < keep)
                digits[n++] = '0';
            n = keep;
            for (size_t i = keep; up && i-- > 0;) {
                up = digits[i] == '9';
                digits[i] = up ? '0' : (char)(digits[i] + 1);
            }
            if (up) {
                memmove(digits + 1, digits, keep - 1);
                digits[0] = '1';
                exponent++;
            }
            digits[n] = 0;
            char *result = arena_printf(c->mem, "%s%c%s%se%c%02d", text.data[0] == '-' ? "-" : "",
                                        digits[0], t.after > 0 ? "." : "", digits + 1,
                                        exponent < 0 ? '-' : '+', abs(exponent));
            return finish_scientific(c, result, out);
        }
        return double_to_char(c, approximate, DBL_DIG, out);
    }
    if (t.shift > 0) {
        datum power = 0;
        struct type_io io = {.mem = c->mem, .type = TYPE_NUMERIC, .typmod = -1};
        char *p = arena_printf(c->mem, "1e%d", t.shift);
        TRY(type_find(TYPE_NUMERIC)->input(&io, p, strlen(p), &power));
        TRY(numeric_mul(c->mem, v, power, &v));
    }
    TRY(call_numeric(c, FUNCTION_ROUND, v, t.after, &v));
    strbuf_init(&text, c->mem);
    TRY(value_to_text(c, TYPE_NUMERIC, v, &text));
    return finish(c, &t, text.data, out);
}
FUNCTION(fn_numeric_to_char)
{
    return numeric_to_char(c, c->args[0], out);
}
FUNCTION(fn_int4_to_char)
{
    return numeric_to_char(c, numeric_of_i64(c->mem, ARG_I32(0)), out);
}
FUNCTION(fn_int8_to_char)
{
    return numeric_to_char(c, numeric_of_i64(c->mem, ARG_I64(0)), out);
}

/* ---- to_number ---- */

FUNCTION(fn_numeric_to_number)
{
    struct number_template t;
    const struct varlen *v = ARG_VARLEN(0);
    if (ARG_VARLEN(1)->len == 0)
        RETURN_NULL();
    TRY(parse_number_template(c, ARG_VARLEN(1), &t));
    if (t.roman)
        return err_not_built("\"RN\" not supported for input");
    if (t.scientific)
        return err_not_built("\"EEEE\" not supported for input");
    const char *p = (const char *)v->data;
    const char *end = p + v->len;
    char *digits = arena_alloc(c->mem, (size_t)v->len + 3);
    size_t n = 1;
    bool negative = false;
    bool sign_seen = false;
    bool point = false;
    int32_t before = 0;
    int32_t after = 0;
    while (p < end && is_space(*p))
        p++;
    for (uint32_t k = 0; k < t.count && p < end; k++) {
        const struct item *i = &t.items[k];
        switch (i->kind) {
        case I_DIGIT:
        case I_ZERO:
        case I_POINT:
            while (p < end && *p == ' ')
                p++;
            if (p < end && !sign_seen && n == 1 && (*p == '-' || *p == '+' || *p == '<')) {
                negative = *p != '+';
                sign_seen = true;
                p++;
            }
            if (p == end)
                break;
            if (*p >= '0' && *p <= '9') {
                if (i->kind == I_POINT || (point && after >= t.after) ||
                    (!point && before >= t.before))
                    break;
                point ? after++ : before++;
                digits[n++] = *p++;
            } else if (*p == '.' && t.has_point && !point) {
                point = true;
                digits[n++] = *p++;
                if (i->kind != I_POINT && k + 1 < t.count)
                    k--; /* the point stood where a digit was expected */
            }
            break;
        case I_GROUP:
            if (*p == ',')
                p++;
            break;
        case I_SIGN:
        case I_MINUS:
        case I_PLUS:
        case I_PLUS_MINUS:
            if (*p == '-' || *p == '+') {
                negative = *p == '-';
                sign_seen = true;
                p++;
            } else if (*p == ' ') {
                p++;
            }
            break;
        case I_ORDINAL:
            p += MIN(2, end - p);
            break;
        case I_CURRENCY:
            if (!(*p >= '0' && *p <= '9') && strchr("+-.,", *p) == NULL)
                p += MIN((ptrdiff_t)utf8_char_bytes((uint8_t)*p), end - p);
            break;
        case I_TEXT:
            p += MIN((ptrdiff_t)utf8_char_bytes((uint8_t)*p), end - p);
            break;
        }
    }
    if (p < end && !sign_seen && n > 1 && (*p == '-' || *p == '+') && t.before + t.after > 0)
        negative = *p == '-';
    digits[0] = negative ? '-' : ' ';
    struct type_io io = {.mem = c->mem, .type = TYPE_NUMERIC, .typmod = -1, .env = c->env};
    TRY(type_find(TYPE_NUMERIC)->input(&io, digits, n, out));
    if (t.shift > 0) {
        datum power = 0;
        char *text = arena_printf(c->mem, "0.%0*d%0*d", t.shift, 1, MAX(16 - t.shift, 1), 0);
        TRY(type_find(TYPE_NUMERIC)->input(&io, text, strlen(text), &power));
        return numeric_mul(c->mem, *out, power, out);
    }
    return ERR_OK;
}
