/*
 * Text: length, concatenation, substrings, padding, trimming, case, searching and replacing.
 * Positions and lengths count characters (code points).
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/types/quote.h"

#include "sql/type_functions.h"

err_t value_to_text(struct call *c, oid type, datum value, struct strbuf *out)
{
    return value_output(c->env, c->mem, type, value, out);
}

static bool is_ascii(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] >= 0x80)
            return false;
    return true;
}

/* ---- lengths ---- */

static uint32_t bpchar_bytes(const struct varlen *v)
{
    uint32_t n = v->len;
    while (n > 0 && v->data[n - 1] == ' ')
        n--;
    return n;
}
FUNCTION(fn_textlen)
{
    RETURN_I32((int32_t)utf8_length(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len));
}
FUNCTION(fn_bpcharlen)
{
    RETURN_I32((int32_t)utf8_length(ARG_VARLEN(0)->data, bpchar_bytes(ARG_VARLEN(0))));
}
FUNCTION(fn_textoctetlen)
{
    RETURN_I32((int32_t)ARG_VARLEN(0)->len);
}
FUNCTION(fn_bit_length)
{
    RETURN_I32((int32_t)(ARG_VARLEN(0)->len * 8));
}

/* ---- concatenation ---- */

FUNCTION(fn_textcat)
{
    const struct varlen *a = ARG_VARLEN(0);
    const struct varlen *b = ARG_VARLEN(1);
    struct varlen *v;
    TRY(varlen_try(c->mem, NULL, (uint64_t)a->len + b->len, &v));
    memcpy(v->data, a->data, a->len);
    memcpy(v->data + a->len, b->data, b->len);
    *out = datum_of_varlen(v);
    return ERR_OK;
}
/* text || any, any || text: the other side as a cast to text gives it */
static err_t put_cast_to_text(struct call *c, uint32_t arg, struct strbuf *b)
{
    if (c->arg_types[arg] == TYPE_BOOL) {
        strbuf_puts(b, datum_bool(c->args[arg]) ? "true" : "false");
        return ERR_OK;
    }
    if (c->arg_types[arg] == TYPE_BPCHAR) {
        const struct varlen *v = ARG_VARLEN(arg);
        return strbuf_put(b, v->data, bpchar_bytes(v));
    }
    return value_to_text(c, c->arg_types[arg], c->args[arg], b);
}
FUNCTION(fn_textanycat)
{
    struct strbuf b;
    strbuf_init(&b, c->mem);
    TRY(strbuf_put(&b, ARG_VARLEN(0)->data, ARG_VARLEN(0)->len));
    TRY(put_cast_to_text(c, 1, &b));
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_anytextcat)
{
    struct strbuf b;
    strbuf_init(&b, c->mem);
    TRY(put_cast_to_text(c, 0, &b));
    TRY(strbuf_put(&b, ARG_VARLEN(1)->data, ARG_VARLEN(1)->len));
    return result_strbuf(c, &b, out);
}

/* concat and concat_ws: nulls are left out. A VARIADIC array comes as one array argument. */
static err_t concat_values(struct call *c, uint32_t first, const struct varlen *separator,
                           datum *out)
{
    struct strbuf b;
    strbuf_init(&b, c->mem);
    bool any = false;
    for (uint32_t i = first; i < c->arg_count; i++) {
        if (c->nulls[i])
            continue;
        if (any && separator != NULL)
            TRY(strbuf_put(&b, separator->data, separator->len));
        TRY(value_to_text(c, c->arg_types[i], c->args[i], &b));
        any = true;
    }
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_text_concat)
{
    return concat_values(c, 0, NULL, out);
}
FUNCTION(fn_text_concat_ws)
{
    if (c->nulls[0])
        RETURN_NULL();
    return concat_values(c, 1, ARG_VARLEN(0), out);
}

/* ---- substrings ---- */

/* start from 1, may be below; length < 0 with has_length is an error. */
static err_t substring(struct call *c, const struct varlen *v, int64_t start, bool has_length,
                       int64_t length, datum *out)
{
    int64_t end = INT64_MAX;
    if (has_length) {
        end = start + length; /* both came from int4 */
        if (end < start)
            return err_raise(ERR_SUBSTRING_ERROR, "negative substring length not allowed");
    }
    int64_t from = MAX(start, 1);
    if (end <= from)
        RETURN_TEXT("", 0);
    size_t skip = utf8_clip(v->data, v->len, (size_t)(from - 1));
    size_t take = end == INT64_MAX ? v->len - skip
                                   : utf8_clip(v->data + skip, v->len - skip, (size_t)(end - from));
    RETURN_TEXT(v->data + skip, take);
}
FUNCTION(fn_text_substr)
{
    return substring(c, ARG_VARLEN(0), ARG_I32(1), true, ARG_I32(2), out);
}
FUNCTION(fn_text_substr_no_len)
{
    return substring(c, ARG_VARLEN(0), ARG_I32(1), false, 0, out);
}
FUNCTION(fn_text_left)
{
    const struct varlen *v = ARG_VARLEN(0);
    int64_t n = ARG_I32(1);
    if (n < 0)
        n = MAX((int64_t)utf8_length(v->data, v->len) + n, 0);
    RETURN_TEXT(v->data, utf8_clip(v->data, v->len, (size_t)n));
}
FUNCTION(fn_text_right)
{
    const struct varlen *v = ARG_VARLEN(0);
    int64_t n = ARG_I32(1);
    int64_t skip = n < 0 ? -n : MAX((int64_t)utf8_length(v->data, v->len) - n, 0);
    size_t from = utf8_clip(v->data, v->len, (size_t)skip);
    RETURN_TEXT(v->data + from, v->len - from);
}
static err_t overlay(struct call *c, int64_t start, int64_t length, datum *out)
{
    if (start <= 0)
        return err_raise(ERR_SUBSTRING_ERROR, "negative substring length not allowed");
    int32_t past;
    if (ckd_add_i32(&past, (int32_t)start, (int32_t)length))
        return raise_int_range("integer");
    const struct varlen *v = ARG_VARLEN(0);
    const struct varlen *w = ARG_VARLEN(1);
    size_t head = utf8_clip(v->data, v->len, (size_t)(start - 1));
    size_t tail = past <= 1 ? 0 : utf8_clip(v->data, v->len, (size_t)past - 1);
    struct strbuf b;
    strbuf_init(&b, c->mem);
    TRY(strbuf_put(&b, v->data, head));
    TRY(strbuf_put(&b, w->data, w->len));
    TRY(strbuf_put(&b, v->data + tail, v->len - tail));
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_textoverlay)
{
    return overlay(c, ARG_I32(2), ARG_I32(3), out);
}
FUNCTION(fn_textoverlay_no_len)
{
    return overlay(c, ARG_I32(2), (int64_t)utf8_length(ARG_VARLEN(1)->data, ARG_VARLEN(1)->len),
                   out);
}

/* ---- padding ---- */

static err_t pad(struct call *c, bool left, const void *fill, size_t fill_len, datum *out)
{
    const struct varlen *v = ARG_VARLEN(0);
    int64_t want = MAX(ARG_I32(1), 0);
    int64_t have = (int64_t)utf8_length(v->data, v->len);
    if (have >= want || fill_len == 0)
        RETURN_TEXT(v->data, utf8_clip(v->data, v->len, (size_t)want));
    size_t fill_chars = utf8_length(fill, fill_len);
    uint64_t missing = (uint64_t)(want - have);
    uint64_t whole = missing / fill_chars;
    size_t rest = utf8_clip(fill, fill_len, (size_t)(missing % fill_chars));
    struct varlen *r;
    TRY(varlen_try(c->mem, NULL, (uint64_t)v->len + whole * fill_len + rest, &r));
    uint8_t *p = r->data;
    if (!left) {
        memcpy(p, v->data, v->len);
        p += v->len;
    }
    for (uint64_t i = 0; i < whole; i++, p += fill_len)
        memcpy(p, fill, fill_len);
    memcpy(p, fill, rest);
    p += rest;
    if (left)
        memcpy(p, v->data, v->len);
    *out = datum_of_varlen(r);
    return ERR_OK;
}
FUNCTION(fn_lpad)
{
    return pad(c, true, ARG_VARLEN(2)->data, ARG_VARLEN(2)->len, out);
}
FUNCTION(fn_rpad)
{
    return pad(c, false, ARG_VARLEN(2)->data, ARG_VARLEN(2)->len, out);
}
FUNCTION(fn_lpad_blank)
{
    return pad(c, true, " ", 1, out);
}
FUNCTION(fn_rpad_blank)
{
    return pad(c, false, " ", 1, out);
}

/* ---- trimming ---- */

static bool in_set(const uint8_t *p, uint32_t n, const uint8_t *set, size_t set_len)
{
    for (size_t i = 0; i < set_len; i += utf8_char_bytes(set[i]))
        if (utf8_char_bytes(set[i]) == n && memcmp(set + i, p, n) == 0)
            return true;
    return false;
}
static err_t trim(struct call *c, const void *characters, size_t set_len, bool left, bool right,
                  datum *out)
{
    const struct varlen *v = ARG_VARLEN(0);
    const uint8_t *set = characters;
    size_t from = 0;
    size_t to = v->len;
    while (left && from < to) {
        uint32_t n = utf8_char_bytes(v->data[from]);
        if (!in_set(v->data + from, n, set, set_len))
            break;
        from += n;
    }
    while (right && from < to) {
        size_t at = to - 1;
        while (at > from && (v->data[at] & 0xc0) == 0x80)
            at--;
        if (!in_set(v->data + at, (uint32_t)(to - at), set, set_len))
            break;
        to = at;
    }
    RETURN_TEXT(v->data + from, to - from);
}
FUNCTION(fn_ltrim)
{
    return trim(c, ARG_VARLEN(1)->data, ARG_VARLEN(1)->len, true, false, out);
}
FUNCTION(fn_rtrim)
{
    return trim(c, ARG_VARLEN(1)->data, ARG_VARLEN(1)->len, false, true, out);
}
FUNCTION(fn_btrim)
{
    return trim(c, ARG_VARLEN(1)->data, ARG_VARLEN(1)->len, true, true, out);
}
FUNCTION(fn_ltrim1)
{
    return trim(c, " ", 1, true, false, out);
}
FUNCTION(fn_rtrim1)
{
    return trim(c, " ", 1, false, true, out);
}
FUNCTION(fn_btrim1)
{
    return trim(c, " ", 1, true, true, out);
}

/* ---- case ---- */

static err_t map_case(struct call *c, char mode, datum *out)
{
    const struct varlen *v = ARG_VARLEN(0);
    struct varlen *r;
    if (is_ascii(v->data, v->len) && mode != 'i') {
        TRY(varlen_try(c->mem, v->data, v->len, &r));
        for (uint32_t i = 0; i < v->len; i++)
            r->data[i] =
                (uint8_t)(mode == 'u' ? utf8_to_upper(v->data[i]) : utf8_to_lower(v->data[i]));
        *out = datum_of_varlen(r);
        return ERR_OK;
    }
    TRY(varlen_try(c->mem, NULL, (uint64_t)v->len * 2 + 4, &r));
    uint32_t n = 0;
    bool inside = false;
    for (uint32_t i = 0; i < v->len; i += utf8_char_bytes(v->data[i])) {
        uint32_t code = utf8_decode(v->data + i);
        bool up = mode == 'u' || (mode == 'i' && !inside);
        n += utf8_encode(up ? utf8_to_upper(code) : utf8_to_lower(code), r->data + n);
        inside = utf8_is_alnum(code);
    }
    r->len = n;
    *out = datum_of_varlen(r);
    return ERR_OK;
}
FUNCTION(fn_upper)
{
    return map_case(c, 'u', out);
}
FUNCTION(fn_lower)
{
    return map_case(c, 'l', out);
}
FUNCTION(fn_initcap)
{
    return map_case(c, 'i', out);
}

/* ---- searching and replacing ---- */

/* Byte offset of needle in the haystack from `from`, or -1. */
static int64_t find(const uint8_t *hay, size_t hay_len, const uint8_t *needle, size_t needle_len,
                    size_t from)
{
    if (from > hay_len)
        return -1;
    const uint8_t *p = memmem(hay + from, hay_len - from, needle, needle_len);
    return p == NULL ? -1 : p - hay;
}
FUNCTION(fn_textpos)
{
    const struct varlen *a = ARG_VARLEN(0);
    const struct varlen *b = ARG_VARLEN(1);
    int64_t at = find(a->data, a->len, b->data, b->len, 0);
    RETURN_I32(at < 0 ? 0 : (int32_t)utf8_length(a->data, (size_t)at) + 1);
}
FUNCTION(fn_text_starts_with)
{
    const struct varlen *a = ARG_VARLEN(0);
    const struct varlen *b = ARG_VARLEN(1);
    RETURN_BOOL(a->len >= b->len && memcmp(a->data, b->data, b->len) == 0);
}
FUNCTION(fn_replace_text)
{
    const struct varlen *v = ARG_VARLEN(0);
    const struct varlen *what = ARG_VARLEN(1);
    const struct varlen *with = ARG_VARLEN(2);
    if (what->len == 0 || v->len == 0)
        RETURN_DATUM(c->args[0]);
    struct strbuf b;
    strbuf_init(&b, c->mem);
    size_t from = 0;
    int64_t at;
    while ((at = find(v->data, v->len, what->data, what->len, from)) >= 0) {
        TRY(strbuf_put(&b, v->data + from, (size_t)at - from));
        TRY(strbuf_put(&b, with->data, with->len));
        from = (size_t)at + what->len;
    }
    TRY(strbuf_put(&b, v->data + from, v->len - from));
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_split_part)
{
    const struct varlen *v = ARG_VARLEN(0);
    const struct varlen *s = ARG_VARLEN(1);
    int64_t field = ARG_I32(2);
    if (field == 0)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "field position must not be zero");
    if (v->len == 0)
        RETURN_TEXT("", 0);
    if (s->len == 0)
        RETURN_TEXT(v->data, field == 1 || field == -1 ? v->len : 0);
    if (field < 0) {
        int64_t fields = 1;
        int64_t at = 0;
        for (size_t from = 0; (at = find(v->data, v->len, s->data, s->len, from)) >= 0;
             from = (size_t)at + s->len)
            fields++;
        field = fields + field + 1;
        if (field <= 0)
            RETURN_TEXT("", 0);
    }
    size_t from = 0;
    while (true) {
        int64_t at = find(v->data, v->len, s->data, s->len, from);
        size_t end = at < 0 ? v->len : (size_t)at;
        if (--field == 0)
            RETURN_TEXT(v->data + from, end - from);
        if (at < 0)
            RETURN_TEXT("", 0);
        from = end + s->len;
    }
}
FUNCTION(fn_translate)
{
    const struct varlen *v = ARG_VARLEN(0);
    const struct varlen *from = ARG_VARLEN(1);
    const struct varlen *to = ARG_VARLEN(2);
    struct strbuf b;
    strbuf_init(&b, c->mem);
    for (uint32_t i = 0; i < v->len;) {
        uint32_t n = utf8_char_bytes(v->data[i]);
        size_t at = 0;
        size_t index = 0;
        while (at < from->len && (utf8_char_bytes(from->data[at]) != n ||
                                  memcmp(from->data + at, v->data + i, n) != 0)) {
            at += utf8_char_bytes(from->data[at]);
            index++;
        }
        if (at >= from->len) {
            TRY(strbuf_put(&b, v->data + i, n));
        } else {
            size_t place = utf8_clip(to->data, to->len, index);
            if (place < to->len)
                TRY(strbuf_put(&b, to->data + place, utf8_char_bytes(to->data[place])));
        }
        i += n;
    }
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_repeat)
{
    const struct varlen *v = ARG_VARLEN(0);
    uint64_t times = (uint64_t)MAX(ARG_I32(1), 0);
    struct varlen *r;
    TRY(varlen_try(c->mem, NULL, (uint64_t)v->len * times, &r));
    for (uint64_t i = 0; i < times && v->len > 0; i++)
        memcpy(r->data + i * v->len, v->data, v->len);
    *out = datum_of_varlen(r);
    return ERR_OK;
}
FUNCTION(fn_text_reverse)
{
    const struct varlen *v = ARG_VARLEN(0);
    struct varlen *r = varlen_new(c->mem, NULL, v->len);
    uint32_t to = v->len;
    for (uint32_t i = 0; i < v->len;) {
        uint32_t n = utf8_char_bytes(v->data[i]);
        to -= n;
        memcpy(r->data + to, v->data + i, n);
        i += n;
    }
    *out = datum_of_varlen(r);
    return ERR_OK;
}
FUNCTION(fn_ascii)
{
    RETURN_I32(ARG_VARLEN(0)->len == 0 ? 0 : (int32_t)utf8_decode(ARG_VARLEN(0)->data));
}
FUNCTION(fn_chr)
{
    int32_t code = ARG_I32(0);
    uint8_t bytes[4];
    if (code < 0)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "character number must be positive");
    if (code == 0)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "null character not permitted");
    if (code > 0x10ffff)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                         "requested character too large for encoding: %d", code);
    if (code >= 0xd800 && code <= 0xdfff)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                         "requested character not valid for encoding: %d", code);
    uint32_t n = utf8_encode((uint32_t)code, bytes);
    RETURN_TEXT(bytes, n);
}

/* ---- conversions between the text types ---- */

FUNCTION(fn_text_name)
{
    const struct varlen *v = ARG_VARLEN(0);
    RETURN_TEXT(v->data, utf8_clip_bytes(v->data, v->len, 63));
}
FUNCTION(fn_bpchar_name)
{
    const struct varlen *v = ARG_VARLEN(0);
    size_t n = utf8_clip_bytes(v->data, v->len, 63);
    while (n > 0 && v->data[n - 1] == ' ')
        n--;
    RETURN_TEXT(v->data, n);
}
FUNCTION(fn_name_text)
{
    RETURN_DATUM(c->args[0]);
}
FUNCTION(fn_char_text)
{
    struct type_io io = {.mem = c->mem, .type = TYPE_CHAR, .typmod = -1, .env = c->env};
    struct strbuf b;
    strbuf_init(&b, c->mem);
    TRY(char_output(&io, c->args[0], &b));
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_text_char)
{
    struct type_io io = {.mem = c->mem, .type = TYPE_CHAR, .typmod = -1, .env = c->env};
    return char_input(&io, (const char *)ARG_VARLEN(0)->data, ARG_VARLEN(0)->len, out);
}
/* Length coercion as a function: value, typmod, explicit. */
static err_t coerce_length(struct call *c, oid type, datum *out)
{
    const struct type_info *t = type_find(type);
    struct type_io io = {.mem = c->mem, .type = type, .typmod = ARG_I32(1), .env = c->env};
    return t->apply_typmod(&io, c->args[0], ARG_BOOL(2), out);
}
FUNCTION(fn_bpchar)
{
    return coerce_length(c, TYPE_BPCHAR, out);
}
FUNCTION(fn_varchar)
{
    return coerce_length(c, TYPE_VARCHAR, out);
}

/* ---- quoting ---- */

FUNCTION(fn_quote_ident)
{
    return result_cstring(c, quote_identifier(c->mem, arg_cstring(c, 0)), out);
}
static err_t quote_any(struct call *c, datum *out)
{
    struct strbuf b;
    struct strbuf text;
    strbuf_init(&b, c->mem);
    strbuf_init(&text, c->mem);
    TRY(value_to_text(c, c->arg_types[0], c->args[0], &text));
    TRY(quote_literal(&b, text.data == NULL ? "" : text.data, text.len));
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_quote_literal)
{
    return quote_any(c, out);
}
FUNCTION(fn_quote_nullable)
{
    if (c->nulls[0])
        return result_cstring(c, "NULL", out);
    return quote_any(c, out);
}
static COLD err_t raise_bad_identifier(const struct varlen *v, const char *detail)
{
    err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE, "string is not a valid identifier: \"%.*s\"",
                        (int)v->len, (const char *)v->data);
    if (detail != NULL)
        err_detail("%s", detail);
    return e;
}
static bool begins_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}
static uint32_t after_spaces(const struct varlen *v, uint32_t i)
{
    while (i < v->len && strchr(" \t\n\r\f", v->data[i]) != NULL)
        i++;
    return i;
}
/* A name in double quotes at i, without them; i goes behind it. */
static err_t read_quoted_name(const struct varlen *v, uint32_t *i, struct strbuf *b)
{
    for ((*i)++; *i < v->len; (*i)++) {
        if (v->data[*i] == '"' && (*i + 1 == v->len || v->data[*i + 1] != '"'))
            break;
        *i += v->data[*i] == '"';
        strbuf_putc(b, (char)v->data[*i]);
    }
    if (*i >= v->len)
        return raise_bad_identifier(v, "String has unclosed double quotes.");
    (*i)++;
    return b->len > 0 ? ERR_OK : raise_bad_identifier(v, "Quoted identifier must not be empty.");
}
FUNCTION(fn_parse_ident)
{
    const struct varlen *v = ARG_VARLEN(0);
    bool strict = ARG_BOOL(1);
    datum *parts = ARENA_ARRAY(c->mem, datum, v->len + 1);
    uint32_t count = 0;
    uint32_t i = after_spaces(v, 0);
    while (true) {
        struct strbuf b;
        strbuf_init(&b, c->mem);
        if (i < v->len && v->data[i] == '"') {
            TRY(read_quoted_name(v, &i, &b));
        } else if (i < v->len && begins_name(v->data[i])) {
            for (; i < v->len && (begins_name(v->data[i]) || v->data[i] == '$' ||
                                  (v->data[i] >= '0' && v->data[i] <= '9'));
                 i++)
                strbuf_putc(&b, (char)(v->data[i] >= 'A' && v->data[i] <= 'Z' ? v->data[i] + 32
                                                                              : v->data[i]));
        } else {
            return raise_bad_identifier(v, i < v->len && v->data[i] == '.'
                                               ? "No valid identifier before \".\"."
                                           : count > 0 ? "No valid identifier after \".\"."
                                                       : NULL);
        }
        parts[count++] = datum_of_varlen(varlen_new(c->mem, b.data, (uint32_t)b.len));
        i = after_spaces(v, i);
        if (i == v->len || (v->data[i] != '.' && !strict))
            break;
        if (v->data[i] != '.')
            return raise_bad_identifier(v, NULL);
        i = after_spaces(v, i + 1);
    }
    return array_of(c->mem, TYPE_TEXT, parts, NULL, count, out);
}
