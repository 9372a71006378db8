/*
 * json: text that is checked on its way in and kept as it was written. The reader walks over the
 * text token by token; whoever looks for something inside reads from the start.
 */
#include "sql/types/json.h"

#include "core/core.h"
#include "sql/type_functions.h"
#include "sql/types/utf8.h"

/* ---- errors ---- */

static COLD err_t json_raise(const struct json_reader *r, const char *at, const char *end,
                             const char *before, const char *after)
{
    enum { CONTEXT_BYTES = 50 };
    uint32_t line = 1;
    const char *begin = r->text;
    for (const char *p = r->text; p < at; p++)
        if (*p == '\n') {
            line++;
            begin = p + 1;
        }
    const char *line_end = end;
    const char *from = begin;
    while (end - from >= CONTEXT_BYTES)
        from += utf8_char_bytes((uint8_t)*from);
    if (from - begin <= 3)
        from = begin;
    bool cut = line_end < r->end && *line_end != '\n' && *line_end != '\r';
    err_t e = err_raise(ERR_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
    char *token = arena_strndup(r->mem, at, (size_t)(end - at));
    if (at >= r->end)
        err_detail("The input string ended unexpectedly.");
    else
        err_detail("%s%s%s", before, after ? token : "", after ? after : "");
    err_context("JSON data, line %u: %s%s%s", line, from > begin ? "..." : "",
                arena_strndup(r->mem, from, (size_t)(line_end - from)), cut ? "..." : "");
    return e;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80);
}

static COLD err_t json_bad_token(const struct json_reader *r, const char *at)
{
    const char *end = at;
    while (end < r->end && is_word(*end))
        end++;
    if (end == at && end < r->end)
        end++;
    return json_raise(r, at, end, "Token \"", "\" is invalid.");
}

static COLD err_t json_expected(const struct json_reader *r, const char *what)
{
    return json_raise(r, r->start, r->p, arena_printf(r->mem, "Expected %s, but found \"", what),
                      "\".");
}

/* ---- tokens ---- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static err_t scan_string(struct json_reader *r)
{
    const char *p = r->start + 1;
    for (; p < r->end && *p != '"'; p++) {
        if ((unsigned char)*p < 0x20)
            return json_raise(r, r->start, p, "Token \"", "\" is invalid.");
        if (*p != '\\')
            continue;
        if (++p == r->end)
            break;
        if (*p == 'u') {
            for (int i = 0; i < 4; i++) {
                if (++p == r->end)
                    return json_raise(r, r->end, r->end, "", NULL);
                if (hex_value(*p) < 0)
                    return json_raise(r, r->start, p + utf8_char_bytes((uint8_t)*p),
                                      "\"\\u\" must be followed by four hexadecimal digits.", NULL);
            }
        } else if (!strchr("\"\\/bfnrt", *p)) {
            return json_raise(r, r->start, p + utf8_char_bytes((uint8_t)*p),
                              arena_printf(r->mem, "Escape sequence \"\\%.*s\" is invalid.",
                                           (int)utf8_char_bytes((uint8_t)*p), p),
                              NULL);
        }
    }
    if (p >= r->end)
        return json_raise(r, r->start, r->end, "Token \"", "\" is invalid.");
    r->p = p + 1;
    r->token = JSON_STRING;
    return ERR_OK;
}

static const char *digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static err_t scan_number(struct json_reader *r)
{
    const char *p = r->start + (*r->start == '-');
    bool bad = p == r->end;
    if (!bad && *p == '0')
        p++;
    else if (!bad && *p >= '1' && *p <= '9')
        p = digits(p, r->end);
    else
        bad = true;
    if (!bad && p < r->end && *p == '.') {
        const char *q = digits(p + 1, r->end);
        bad = q == p + 1;
        p = q;
    }
    if (!bad && p < r->end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < r->end && (*p == '+' || *p == '-');
        const char *q = digits(p, r->end);
        bad = q == p;
        p = q;
    }
    const char *rest = p;
    while (rest < r->end && is_word(*rest))
        rest++;
    if (bad || rest > p)
        return json_raise(r, r->start, MAX(rest, p), "Token \"", "\" is invalid.");
    r->p = p;
    r->token = JSON_NUMBER;
    return ERR_OK;
}

err_t json_next(struct json_reader *r)
{
    static const struct {
        const char *word;
        enum json_token token;
    } words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};
    static const char marks[] = "{}[],:";
    while (r->p < r->end && strchr(" \t\n\r", *r->p) && *r->p)
        r->p++;
    r->start = r->p;
    if (r->p == r->end) {
        r->token = JSON_END;
        return ERR_OK;
    }
    const char *mark = *r->p ? strchr(marks, *r->p) : NULL;
    if (mark) {
        r->token = (enum json_token)(JSON_OBJECT_BEGIN + (mark - marks));
        r->p++;
        return ERR_OK;
    }
    if (*r->p == '"')
        return scan_string(r);
    if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9'))
        return scan_number(r);
    const char *end = r->p;
    while (end < r->end && is_word(*end))
        end++;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if ((size_t)(end - r->p) == strlen(words[i].word) &&
            memcmp(r->p, words[i].word, (size_t)(end - r->p)) == 0) {
            r->token = words[i].token;
            r->p = end;
            return ERR_OK;
        }
    return json_bad_token(r, r->p);
}

err_t json_begin(struct json_reader *r, struct arena *mem, const char *text, size_t len)
{
    *r = (struct json_reader){.mem = mem, .text = text, .end = text + len, .p = text};
    return json_next(r);
}

/* ---- values ---- */

err_t json_member(struct json_reader *r, bool first, struct strbuf *key, bool *more)
{
    *more = false;
    if (r->token == JSON_OBJECT_END)
        return json_next(r);
    if (!first) {
        if (r->token != JSON_COMMA)
            return json_expected(r, "\",\" or \"}\"");
        TRY(json_next(r));
    }
    if (r->token != JSON_STRING)
        return json_expected(r, first ? "string or \"}\"" : "string");
    if (key) {
        key->len = 0;
        TRY(json_string(r, key));
    }
    TRY(json_next(r));
    if (r->token != JSON_COLON)
        return json_expected(r, "\":\"");
    *more = true;
    return json_next(r);
}

err_t json_element(struct json_reader *r, bool first, bool *more)
{
    *more = false;
    if (r->token == JSON_ARRAY_END)
        return json_next(r);
    if (!first) {
        if (r->token != JSON_COMMA)
            return json_expected(r, "\",\" or \"]\"");
        TRY(json_next(r));
    }
    *more = true;
    return ERR_OK;
}

static err_t skip_nested(struct json_reader *r)
{
    bool more = true;
    bool is_object = r->token == JSON_OBJECT_BEGIN;
    TRY(json_next(r));
    for (bool first = true;; first = false) {
        TRY(is_object ? json_member(r, first, NULL, &more) : json_element(r, first, &more));
        if (!more)
            return ERR_OK;
        TRY(json_skip(r, NULL, NULL));
    }
}

err_t json_skip(struct json_reader *r, const char **text, size_t *len)
{
    TRY(fiber_check_stack());
    const char *start = r->start;
    const char *end = r->p;
    switch (r->token) {
    case JSON_OBJECT_BEGIN:
    case JSON_ARRAY_BEGIN: {
        TRY(skip_nested(r));
        end = r->start;
        while (end > start && end[-1] != '}' && end[-1] != ']')
            end--;
        break;
    }
    case JSON_STRING:
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        TRY(json_next(r));
        break;
    default:
        return json_expected(r, "JSON value");
    }
    if (text) {
        *text = start;
        *len = (size_t)(end - start);
    }
    return ERR_OK;
}

err_t json_finish(struct json_reader *r)
{
    return r->token == JSON_END ? ERR_OK : json_expected(r, "end of input");
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v * 16 + (uint32_t)hex_value(p[i]);
    return v;
}

static COLD err_t raise_surrogate(const char *detail)
{
    err_t e = err_raise(ERR_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
    err_detail("%s", detail);
    return e;
}

static err_t put_escape(struct json_reader *r, const char **at, struct strbuf *out)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    const char *p = *at + 1; /* behind the backslash */
    *at = p + 1;
    if (*p != 'u') {
        const char *found = strchr(from, *p);
        strbuf_putc(out, found ? to[found - from] : *p);
        return ERR_OK;
    }
    uint32_t code = hex4(p + 1);
    p += 5;
    if (code >= 0xdc00 && code <= 0xdfff)
        return raise_surrogate("Unicode low surrogate must follow a high surrogate.");
    if (code >= 0xd800 && code <= 0xdbff) {
        uint32_t low = r->p - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2) : 0;
        if (low < 0xdc00 || low > 0xdfff)
            return raise_surrogate("Unicode low surrogate must follow a high surrogate.");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }
    if (code == 0) {
        err_t e = err_raise(ERR_UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence");
        err_detail("\\u0000 cannot be converted to text.");
        return e;
    }
    uint8_t bytes[4];
    uint32_t n = utf8_encode(code, bytes);
    *at = p;
    return strbuf_put(out, bytes, n);
}

err_t json_string(struct json_reader *r, struct strbuf *out)
{
    ASSERT(r->token == JSON_STRING);
    const char *end = r->p - 1;
    for (const char *p = r->start + 1; p < end;) {
        const char *q = p;
        while (q < end && *q != '\\')
            q++;
        TRY(strbuf_put(out, p, (size_t)(q - p)));
        p = q;
        if (p < end)
            TRY(put_escape(r, &p, out));
    }
    return ERR_OK;
}

void json_put_string(struct strbuf *out, const char *text, size_t len)
{
    static const char from[] = "\b\f\n\r\t\"\\";
    static const char to[] = "bfnrt\"\\";
    strbuf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        const char *found = text[i] ? strchr(from, text[i]) : NULL;
        if (found) {
            strbuf_putc(out, '\\');
            strbuf_putc(out, to[found - from]);
        } else if ((unsigned char)text[i] < 0x20) {
            strbuf_printf(out, "\\u%04x", (unsigned)text[i]);
        } else {
            strbuf_putc(out, text[i]);
        }
    }
    strbuf_putc(out, '"');
}

/* ---- the type ---- */

err_t json_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    struct json_reader r;
    TRY(utf8_check(text, len));
    TRY(json_begin(&r, io->mem, text, len));
    TRY(json_skip(&r, NULL, NULL));
    TRY(json_finish(&r));
    struct varlen *v;
    TRY(varlen_try(io->mem, text, len, &v));
    *out = datum_of_varlen(v);
    return ERR_OK;
}
err_t json_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    const struct varlen *v = datum_varlen(value);
    return strbuf_put(out, v->data, v->len);
}
err_t json_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    return json_input(io, (const char *)bytes, len, out);
}
err_t json_send(struct type_io *io, datum value, struct strbuf *out)
{
    return json_output(io, value, out);
}
