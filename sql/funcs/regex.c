/*
 * Translation of AREs to PCRE2's syntax, compilation, caching and search.
 *
 * PCRE2 runs on the core's big stack and allocates from arenas, so nothing leaks when a statement
 * fails. Constructs that PCRE2 knows and AREs do not (verbs, recursion, callouts, conditions) are
 * refused, so that a pattern means here what it means in PostgreSQL or is an error. Search effort
 * is bounded: past the limit the statement fails instead of holding its core.
 */
#include "sql/funcs/regex.h"

#include "core/core.h"
#include "sql/funcs/funcs_priv.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum { MATCH_STEPS_MAX = 5000000, HEAP_KIB_MAX = 16384 };

struct regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    uint32_t groups;
    uint32_t flags;
    const struct varlen *pattern;
};

static COLD err_t raise_regex(const char *what)
{
    return err_raise(ERR_INVALID_REGULAR_EXPRESSION, "invalid regular expression: %s", what);
}

/* ---- flags ---- */

err_t regex_flags(const char *letters, size_t len, uint32_t *flags, bool *global)
{
    for (size_t i = 0; i < len; i++) {
        switch (letters[i]) {
        case 'g':
            *global = true;
            break;
        case 'i':
            *flags |= REGEX_ICASE;
            break;
        case 'c':
            *flags &= ~(uint32_t)REGEX_ICASE;
            break;
        case 'x':
            *flags |= REGEX_EXPANDED;
            break;
        case 't':
            *flags &= ~(uint32_t)REGEX_EXPANDED;
            break;
        case 'q':
            *flags |= REGEX_LITERAL;
            break;
        case 'n':
        case 'm':
            *flags |= REGEX_NEWLINE_DOT | REGEX_NEWLINE_ANCHOR;
            break;
        case 'p':
            *flags |= REGEX_NEWLINE_DOT;
            *flags &= ~(uint32_t)REGEX_NEWLINE_ANCHOR;
            break;
        case 'w':
            *flags |= REGEX_NEWLINE_ANCHOR;
            *flags &= ~(uint32_t)REGEX_NEWLINE_DOT;
            break;
        case 's':
            *flags &= ~(uint32_t)(REGEX_NEWLINE_DOT | REGEX_NEWLINE_ANCHOR);
            break;
        case 'e':
            break;
        case 'b':
            return err_not_built("basic regular expressions are not supported yet");
        default:
            return err_raise(ERR_INVALID_PARAMETER_VALUE,
                             "invalid regular expression option: \"%.*s\"",
                             (int)utf8_clip(letters + i, len - i, 1), letters + i);
        }
    }
    return ERR_OK;
}

/* ---- translation ---- */

struct source {
    const uint8_t *p;
    const uint8_t *end;
};

static int hex_digits(struct source *s, int max, uint32_t *out)
{
    int n = 0;
    uint32_t v = 0;
    for (; n < max && s->p < s->end; n++, s->p++) {
        uint8_t ch = (uint8_t)utf8_to_lower(*s->p);
        if (ch >= '0' && ch <= '9')
            v = v * 16 + ch - '0';
        else if (ch >= 'a' && ch <= 'f')
            v = v * 16 + ch - 'a' + 10;
        else
            break;
    }
    *out = v;
    return n;
}

static err_t translate_escape(struct source *s, bool bracket, struct strbuf *b)
{
    if (++s->p == s->end)
        return raise_regex("invalid escape \\ sequence");
    uint8_t ch = *s->p++;
    uint32_t code = 0;
    switch (ch) {
    case 'm':
        strbuf_puts(b, "\\b(?=\\w)");
        return bracket ? raise_regex("invalid escape \\ sequence") : ERR_OK;
    case 'M':
        strbuf_puts(b, "\\b(?<=\\w)");
        return bracket ? raise_regex("invalid escape \\ sequence") : ERR_OK;
    case 'y':
        strbuf_puts(b, "\\b");
        return bracket ? raise_regex("invalid escape \\ sequence") : ERR_OK;
    case 'Y':
        strbuf_puts(b, "\\B");
        return bracket ? raise_regex("invalid escape \\ sequence") : ERR_OK;
    case 'A':
        strbuf_puts(b, "\\A");
        return bracket ? raise_regex("invalid escape \\ sequence") : ERR_OK;
    case 'Z':
        strbuf_puts(b, "\\z");
        return bracket ? raise_regex("invalid escape \\ sequence") : ERR_OK;
    case 'B':
        strbuf_puts(b, "\\\\");
        return ERR_OK;
    case 'b':
        strbuf_puts(b, "\\x{8}");
        return ERR_OK;
    case 'v':
        strbuf_puts(b, "\\x{b}");
        return ERR_OK;
    case 'a':
    case 'e':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'd':
    case 'D':
    case 's':
    case 'S':
    case 'w':
    case 'W':
        strbuf_putc(b, '\\');
        strbuf_putc(b, (char)ch);
        return ERR_OK;
    case 'u':
    case 'U':
        if (hex_digits(s, ch == 'u' ? 4 : 8, &code) != (ch == 'u' ? 4 : 8))
            return raise_regex("invalid escape \\ sequence");
        strbuf_printf(b, "\\x{%x}", code);
        return ERR_OK;
    case 'x':
        if (hex_digits(s, 255, &code) == 0)
            return raise_regex("invalid escape \\ sequence");
        strbuf_printf(b, "\\x{%x}", code);
        return ERR_OK;
    case 'c':
        if (s->p == s->end)
            return raise_regex("invalid escape \\ sequence");
        strbuf_printf(b, "\\x{%x}", (unsigned)(*s->p++ & 0x1f));
        return ERR_OK;
    case '0': {
        int n = 0;
        for (; n < 2 && s->p < s->end && *s->p >= '0' && *s->p <= '7'; n++)
            code = code * 8 + (uint32_t)(*s->p++ - '0');
        strbuf_printf(b, "\\x{%x}", code);
        return ERR_OK;
    }
    default:
        break;
    }
    if (ch >= '1' && ch <= '9') {
        if (bracket)
            return raise_regex("invalid escape \\ sequence");
        strbuf_printf(b, "(?:\\%c", ch);
        while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
            strbuf_putc(b, (char)*s->p++);
        strbuf_putc(b, ')');
        return ERR_OK;
    }
    if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z'))
        return raise_regex("invalid escape \\ sequence");
    if (ch < 0x80) {
        strbuf_putc(b, '\\');
        strbuf_putc(b, (char)ch);
        return ERR_OK;
    }
    uint32_t n = utf8_char_bytes(ch);
    TRY(strbuf_put(b, s->p - 1, n));
    s->p += n - 1;
    return ERR_OK;
}

/* From [ to its ]. */
static err_t translate_bracket(struct source *s, uint32_t flags, struct strbuf *b)
{
    if (s->end - s->p >= 7 &&
        (memcmp(s->p, "[[:<:]]", 7) == 0 || memcmp(s->p, "[[:>:]]", 7) == 0)) {
        TRY(strbuf_put(b, s->p, 7));
        s->p += 7;
        return ERR_OK;
    }
    strbuf_putc(b, '[');
    s->p++;
    bool negated = s->p < s->end && *s->p == '^';
    if (negated) {
        strbuf_putc(b, '^');
        s->p++;
        if (flags & REGEX_NEWLINE_DOT)
            strbuf_puts(b, "\\n");
    }
    bool first = true;
    while (s->p < s->end) {
        uint8_t ch = *s->p;
        if (ch == ']' && !first) {
            strbuf_putc(b, ']');
            s->p++;
            return ERR_OK;
        }
        first = false;
        if (ch == '\\') {
            TRY(translate_escape(s, true, b));
            continue;
        }
        if (ch == '[' && s->end - s->p >= 2 && s->p[1] == ':') {
            const uint8_t *close = memmem(s->p + 2, (size_t)(s->end - s->p - 2), ":]", 2);
            if (close == NULL)
                return raise_regex("brackets [] not balanced");
            /* Without regard to case a letter of one case is as good as one of the other. */
            bool is_case = (flags & REGEX_ICASE) != 0 && close - s->p == 7 &&
                           (memcmp(s->p + 2, "upper", 5) == 0 || memcmp(s->p + 2, "lower", 5) == 0);
            if (is_case)
                strbuf_puts(b, "[:alpha:]");
            else
                TRY(strbuf_put(b, s->p, (size_t)(close + 2 - s->p)));
            s->p = close + 2;
            continue;
        }
        if (ch == '[' && s->end - s->p >= 2 && (s->p[1] == '.' || s->p[1] == '=')) {
            char close_mark[2] = {(char)s->p[1], ']'};
            const uint8_t *close = memmem(s->p + 2, (size_t)(s->end - s->p - 2), close_mark, 2);
            if (close == NULL)
                return raise_regex("brackets [] not balanced");
            if (utf8_length(s->p + 2, (size_t)(close - s->p - 2)) != 1)
                return raise_regex("invalid collating element");
            strbuf_printf(b, "\\x{%x}", utf8_decode(s->p + 2));
            s->p = close + 2;
            continue;
        }
        if (ch == '[' || ch == ']')
            strbuf_putc(b, '\\');
        strbuf_putc(b, (char)ch);
        s->p++;
    }
    return raise_regex("brackets [] not balanced");
}

/* {m}, {m,}, {m,n}: what PCRE2 would take for literal text else. */
static err_t check_bound(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    if (p < end && *p == ',')
        p++;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    if (p == end)
        return raise_regex("braces {} not balanced");
    return *p == '}' ? ERR_OK : raise_regex("invalid repetition count(s)");
}

static err_t translate_pattern(struct source *s, uint32_t flags, struct strbuf *b)
{
    while (s->p < s->end) {
        uint8_t ch = *s->p;
        if (ch == '\\') {
            TRY(translate_escape(s, false, b));
            continue;
        }
        if (ch == '[') {
            TRY(translate_bracket(s, flags, b));
            continue;
        }
        if (ch == '(' && s->end - s->p >= 2 && s->p[1] == '*')
            return raise_regex("quantifier operand invalid");
        if (ch == '(' && s->end - s->p >= 2 && s->p[1] == '?') {
            uint8_t next = s->end - s->p >= 3 ? s->p[2] : 0;
            uint8_t after = s->end - s->p >= 4 ? s->p[3] : 0;
            if (next == '#') { /* comment */
                while (s->p < s->end && *s->p != ')')
                    s->p++;
                s->p += s->p < s->end;
                continue;
            }
            if (next != ':' && next != '=' && next != '!' &&
                !(next == '<' && (after == '=' || after == '!')))
                return raise_regex("quantifier operand invalid");
            TRY(strbuf_put(b, s->p, next == '<' ? 4 : 3));
            s->p += next == '<' ? 4 : 3;
            continue;
        }
        if (ch == '{' && s->end - s->p >= 2 && s->p[1] >= '0' && s->p[1] <= '9')
            TRY(check_bound(s->p + 1, s->end));
        strbuf_putc(b, (char)ch);
        s->p++;
    }
    return ERR_OK;
}

/* ---- on the big stack ---- */

struct work {
    /* compile */
    const char *pattern;
    size_t pattern_len;
    uint32_t options;
    pcre2_compile_context *compile_context;
    pcre2_code *code;
    int error;
    size_t error_offset;
    /* match */
    struct regex *re;
    const uint8_t *text;
    size_t len;
    size_t from;
    int result;
};
static void compile_work(void *arg)
{
    struct work *w = arg;
    w->code = pcre2_compile((PCRE2_SPTR)w->pattern, w->pattern_len, w->options, &w->error,
                            &w->error_offset, w->compile_context);
}
static void match_work(void *arg)
{
    struct work *w = arg;
    w->result = pcre2_match(w->re->code, w->text, w->len, w->from, PCRE2_NO_UTF_CHECK, w->re->data,
                            w->re->context);
}
static void on_big_stack(void (*fn)(void *arg), void *arg)
{
    if (fiber_self() == NULL)
        fn(arg); /* a plain thread has a large stack of its own */
    else
        core_on_big_stack(fn, arg);
}

static void *arena_malloc(size_t bytes, void *arena)
{
    return arena_alloc(arena, bytes);
}
static void arena_no_free(void *p, void *arena)
{
    (void)p;
    (void)arena;
}

static COLD err_t raise_compile(int error)
{
    switch (error) {
    case PCRE2_ERROR_MISSING_CLOSING_PARENTHESIS:
    case PCRE2_ERROR_UNMATCHED_CLOSING_PARENTHESIS:
        return raise_regex("parentheses () not balanced");
    case PCRE2_ERROR_MISSING_SQUARE_BRACKET:
        return raise_regex("brackets [] not balanced");
    case PCRE2_ERROR_QUANTIFIER_INVALID:
        return raise_regex("quantifier operand invalid");
    case PCRE2_ERROR_QUANTIFIER_OUT_OF_ORDER:
    case PCRE2_ERROR_QUANTIFIER_TOO_BIG:
        return raise_regex("invalid repetition count(s)");
    case PCRE2_ERROR_BAD_SUBPATTERN_REFERENCE:
        return raise_regex("invalid backreference number");
    case PCRE2_ERROR_UNKNOWN_POSIX_CLASS:
        return raise_regex("invalid character class");
    case PCRE2_ERROR_CLASS_RANGE_ORDER:
    case PCRE2_ERROR_CLASS_INVALID_RANGE:
        return raise_regex("invalid character range");
    case PCRE2_ERROR_END_BACKSLASH:
        return raise_regex("invalid escape \\ sequence");
    case PCRE2_ERROR_PATTERN_TOO_LARGE:
    case PCRE2_ERROR_PARENTHESES_NEST_TOO_DEEP:
        return raise_regex("regular expression is too complex");
    default: {
        char text[256];
        if (pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof(text)) < 0)
            snprintf(text, sizeof(text), "error %d", error);
        return raise_regex(text);
    }
    }
}

static err_t compile(struct arena *mem, const struct varlen *pattern, uint32_t flags,
                     struct regex **out)
{
    struct source s = {pattern->data, pattern->data + pattern->len};
    /* Directors and leading options. */
    if (s.end - s.p >= 4 && memcmp(s.p, "***:", 4) == 0) {
        s.p += 4;
    } else if (s.end - s.p >= 4 && memcmp(s.p, "***=", 4) == 0) {
        s.p += 4;
        flags |= REGEX_LITERAL;
    }
    if (!(flags & REGEX_LITERAL) && s.end - s.p >= 3 && s.p[0] == '(' && s.p[1] == '?' &&
        s.p[2] >= 'a' && s.p[2] <= 'z') {
        const uint8_t *close = memchr(s.p, ')', (size_t)(s.end - s.p));
        bool global = false;
        if (close == NULL)
            return raise_regex("parentheses () not balanced");
        if (regex_flags((const char *)s.p + 2, (size_t)(close - s.p - 2), &flags, &global) !=
                ERR_OK ||
            global)
            return raise_regex("invalid embedded option");
        s.p = close + 1;
    }
    struct strbuf b;
    strbuf_init(&b, mem);
    strbuf_puts(&b, "");
    if (flags & REGEX_LITERAL)
        TRY(strbuf_put(&b, s.p, (size_t)(s.end - s.p)));
    else
        TRY(translate_pattern(&s, flags, &b));

    pcre2_general_context *general = pcre2_general_context_create(arena_malloc, arena_no_free, mem);
    struct work w = {.pattern = b.data,
                     .pattern_len = b.len,
                     .options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C,
                     .compile_context = pcre2_compile_context_create(general)};
    pcre2_set_newline(w.compile_context, PCRE2_NEWLINE_LF);
    w.options |= flags & REGEX_ICASE ? PCRE2_CASELESS : 0;
    if (flags & REGEX_LITERAL) {
        w.options |= PCRE2_LITERAL;
        w.options &= ~(uint32_t)PCRE2_NEVER_BACKSLASH_C;
    } else {
        w.options |= PCRE2_UCP | PCRE2_DOLLAR_ENDONLY;
        w.options |= flags & REGEX_EXPANDED ? PCRE2_EXTENDED : 0;
        w.options |= flags & REGEX_NEWLINE_DOT ? 0 : PCRE2_DOTALL;
        w.options |= flags & REGEX_NEWLINE_ANCHOR ? PCRE2_MULTILINE : 0;
    }
    on_big_stack(compile_work, &w);
    if (w.code == NULL)
        return raise_compile(w.error);
    struct regex *re = ARENA_NEW(mem, struct regex);
    re->code = w.code;
    re->flags = flags;
    re->pattern = pattern;
    re->context = pcre2_match_context_create(general);
    re->data = pcre2_match_data_create_from_pattern(re->code, general);
    pcre2_set_match_limit(re->context, MATCH_STEPS_MAX);
    pcre2_set_heap_limit(re->context, HEAP_KIB_MAX);
    pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &re->groups);
    *out = re;
    return ERR_OK;
}

struct regex_cache {
    struct regex *re;
    uint32_t flags; /* as asked for */
};

err_t regex_get(struct call *c, const struct varlen *pattern, uint32_t flags, struct regex **out)
{
    struct regex_cache *cache = c->state == NULL ? NULL : *c->state;
    if (cache != NULL && cache->flags == flags && cache->re->pattern->len == pattern->len &&
        memcmp(cache->re->pattern->data, pattern->data, pattern->len) == 0) {
        *out = cache->re;
        return ERR_OK;
    }
    if (cache != NULL || c->state == NULL || c->state_mem == NULL)
        return compile(c->mem, pattern, flags, out);
    TRY(compile(c->state_mem, varlen_new(c->state_mem, pattern->data, pattern->len), flags, out));
    cache = ARENA_NEW(c->state_mem, struct regex_cache);
    cache->re = *out;
    cache->flags = flags;
    *c->state = cache;
    return ERR_OK;
}

uint32_t regex_groups(const struct regex *re)
{
    return re->groups;
}

err_t regex_search(struct regex *re, const uint8_t *text, size_t len, size_t from, bool *found,
                   struct regex_match *match)
{
    struct work w = {.re = re, .text = text, .len = len, .from = from};
    on_big_stack(match_work, &w);
    *found = w.result >= 0;
    if (w.result == PCRE2_ERROR_NOMATCH)
        return ERR_OK;
    if (w.result == PCRE2_ERROR_MATCHLIMIT || w.result == PCRE2_ERROR_HEAPLIMIT ||
        w.result == PCRE2_ERROR_DEPTHLIMIT)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                         "regular expression failed: regular expression is too complex");
    if (w.result < 0)
        return err_raise(ERR_INVALID_REGULAR_EXPRESSION, "regular expression failed: error %d",
                         w.result);
    const size_t *spans = pcre2_get_ovector_pointer(re->data);
    *match = (struct regex_match){
        .groups = re->groups, .start = spans[0], .end = spans[1], .spans = spans};
    if (match->start > match->end) /* a look-behind moved the start */
        match->start = match->end;
    return ERR_OK;
}
