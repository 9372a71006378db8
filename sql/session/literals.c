/*
 * Which literals of a text may become parameters without anybody noticing.
 *
 * A literal is taken where it is an operand of its own and where its place alone settles what it
 * means:
 *
 *     WHERE   column or (...) compared by = <> != < > <= >= with a number or a string
 *     SET     column = literal, column + - * / number
 *     VALUES  an element of a row of INSERT
 *
 * Numbers keep their type (int4, int8, numeric), strings stay of unknown type, so that analysis
 * resolves operators as with the literal. A literal is left alone wherever the grammar or the
 * analysis looks at it as such: target lists and RETURNING (their expressions may have to match
 * GROUP BY, ORDER BY or DISTINCT), ordinals, LIMIT, type modifiers, INTERVAL '...' and other typed
 * literals, casts, function arguments, IN lists, patterns, and operands of arithmetic that constant
 * folding could see fail before any row is there. What is left alone stays in the text, and so in
 * the key of the plan.
 *
 * The scan gives up on what it does not know as well as PostgreSQL's scanner does: parameters,
 * dollar quotes, prefixed strings, backslashes in strings, very long texts.
 */
#include "sql/session/literals.h"

#include <stdlib.h>
#include <strings.h>

enum {
    TEXT_BYTES_MAX = 16 << 10,
    TOKENS_MAX = 2048,
    LITERALS_MAX = 512,
    DEPTH_MAX = 32,
    WORD_BYTES_MAX = 63, /* longer identifiers are cut with a notice */
};

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SIGN };

struct token {
    enum token_kind kind;
    uint32_t at;
    uint32_t len;
};

struct scan {
    const char *text;
    struct arena *mem;
    struct token *tokens; /* with a TOKEN_END behind the last */
    uint32_t count;
};

/* ---- tokens ---- */

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_operator(char c)
{
    return c != '\0' && strchr("+-*/<>=~!@#%^&|`?", c) != NULL;
}

/* Behind white space and comments; NULL: a comment that does not end. */
static const char *skip_space(const char *p)
{
    for (;;) {
        while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == '\f')
            p++;
        if (p[0] == '-' && p[1] == '-') {
            while (*p != '\0' && *p != '\n' && *p != '\r')
                p++;
            continue;
        }
        if (p[0] != '/' || p[1] != '*')
            return p;
        p += 2;
        for (uint32_t depth = 1; depth > 0; p++) {
            if (*p == '\0')
                return NULL;
            if (p[0] == '/' && p[1] == '*') {
                depth++;
                p++;
            } else if (p[0] == '*' && p[1] == '/') {
                depth--;
                p++;
            }
        }
    }
}

static const char *word_end(const char *p)
{
    const char *start = p;
    while (is_word_start(*p) || is_digit(*p) || *p == '$')
        p++;
    if (*p == '\'' || p - start > WORD_BYTES_MAX)
        return NULL; /* E'...', B'...' and their like */
    if (p - start == 1 && (*start == 'u' || *start == 'U') && *p == '&')
        return NULL;
    return p;
}

/* Of a quoted identifier or a string: doubled quotes stand for themselves. */
static const char *quoted_end(const char *p, char quote)
{
    for (p++; *p != '\0'; p++) {
        if (*p == '\\')
            return NULL;
        if (*p == quote && *++p != quote)
            return p;
    }
    return NULL;
}

static const char *number_end(const char *p)
{
    while (is_digit(*p))
        p++;
    if (*p == '.') {
        p++;
        while (is_digit(*p))
            p++;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        if (!is_digit(*p))
            return NULL;
        while (is_digit(*p))
            p++;
    }
    return is_word_start(*p) || *p == '.' || *p == '$' ? NULL : p;
}

/* A run of operator characters ends before a comment. */
static const char *operator_end(const char *p)
{
    while (is_operator(*p) && !(p[0] == '-' && p[1] == '-') && !(p[0] == '/' && p[1] == '*'))
        p++;
    return p;
}

static const char *token_end(const char *p, enum token_kind *kind)
{
    if (is_word_start(*p)) {
        *kind = TOKEN_WORD;
        return word_end(p);
    }
    if (is_digit(*p)) {
        *kind = TOKEN_NUMBER;
        return number_end(p);
    }
    if (*p == '\'' || *p == '"') {
        *kind = *p == '"' ? TOKEN_QUOTED : TOKEN_STRING;
        const char *end = quoted_end(p, *p);
        return end != NULL && *p == '"' && end - p - 2 > WORD_BYTES_MAX ? NULL : end;
    }
    *kind = TOKEN_SIGN;
    if (is_operator(*p))
        return operator_end(p);
    if (strchr("(),;[].", *p) != NULL)
        return *p == '.' && is_digit(p[1]) ? NULL : p + 1;
    if (*p != ':')
        return NULL;
    return p[1] == ':' || p[1] == '=' ? p + 2 : p + 1;
}

static bool scan_tokens(struct scan *s, size_t text_bytes)
{
    size_t room = MIN(text_bytes, (size_t)TOKENS_MAX) + 1; /* no more tokens than bytes */
    s->tokens = arena_alloc(s->mem, room * sizeof(*s->tokens));
    const char *p = skip_space(s->text);
    while (p != NULL && *p != '\0') {
        if (s->count == TOKENS_MAX)
            return false;
        struct token *t = &s->tokens[s->count++];
        const char *end = token_end(p, &t->kind);
        if (end == NULL)
            return false;
        t->at = (uint32_t)(p - s->text);
        t->len = (uint32_t)(end - p);
        p = skip_space(end);
    }
    while (s->count > 0 && s->text[s->tokens[s->count - 1].at] == ';' &&
           s->tokens[s->count - 1].kind == TOKEN_SIGN)
        s->count--;
    s->tokens[s->count] = (struct token){.at = (uint32_t)text_bytes};
    return p != NULL;
}

static bool token_is(const struct scan *s, uint32_t i, const char *sign)
{
    const struct token *t = &s->tokens[i];
    return t->kind == TOKEN_SIGN && strncmp(s->text + t->at, sign, t->len) == 0 &&
           sign[t->len] == '\0';
}

static bool token_is_one_of(const struct scan *s, uint32_t i, enum token_kind kind,
                            const char *const *words)
{
    const struct token *t = &s->tokens[i];
    if (t->kind != kind)
        return false;
    char first = (char)(s->text[t->at] | 0x20); /* most words differ in it */
    for (; *words != NULL; words++)
        if (((*words)[0] | 0x20) == first && strncasecmp(s->text + t->at, *words, t->len) == 0 &&
            (*words)[t->len] == '\0')
            return true;
    return false;
}

/* ---- places ---- */

enum zone { ZONE_OFF, ZONE_WHERE, ZONE_SET, ZONE_VALUES };

struct place {
    enum zone zones[DEPTH_MAX]; /* by depth of parentheses */
    uint32_t depth;
    bool is_insert;
};

static bool place_word(struct place *p, const struct scan *s, uint32_t i)
{
    static const char *const off[] = {
        "select",    "from",   "group",     "having", "order", "limit", "offset", "fetch", "on",
        "returning", "window", "intersect", "except", "union", "using", "join",   NULL};
    static const char *const where[] = {"where", NULL};
    static const char *const set[] = {"set", NULL};
    static const char *const values[] = {"values", NULL};
    enum zone *zone = &p->zones[p->depth];
    if (token_is_one_of(s, i, TOKEN_WORD, off))
        *zone = ZONE_OFF;
    else if (token_is_one_of(s, i, TOKEN_WORD, where))
        *zone = ZONE_WHERE;
    else if (token_is_one_of(s, i, TOKEN_WORD, set))
        *zone = ZONE_SET;
    else if (token_is_one_of(s, i, TOKEN_WORD, values))
        *zone = p->is_insert && p->depth == 0 ? ZONE_VALUES : ZONE_OFF;
    return true;
}

/* Takes note of a token that is no literal; false: give up. */
static bool place_move(struct place *p, const struct scan *s, uint32_t i)
{
    if (s->tokens[i].kind == TOKEN_WORD)
        return place_word(p, s, i);
    if (token_is(s, i, "(")) {
        if (p->depth + 1 == DEPTH_MAX)
            return false;
        enum zone outer = p->zones[p->depth++];
        p->zones[p->depth] = outer == ZONE_VALUES && p->depth > 1 ? ZONE_OFF : outer;
    } else if (token_is(s, i, ")")) {
        if (p->depth == 0)
            return false;
        p->depth--;
    }
    return !token_is(s, i, ";");
}

static bool ends_operand(const struct scan *s, uint32_t i)
{
    static const char *const words[] = {"and",   "or",    "where", "from",  "returning", "order",
                                        "limit", "group", "for",   "fetch", "offset",    "then",
                                        "else",  "end",   "when",  NULL};
    return s->tokens[i].kind == TOKEN_END || token_is(s, i, ",") || token_is(s, i, ")") ||
           token_is_one_of(s, i, TOKEN_WORD, words);
}

/* How many tokens before i belong to the literal (its sign): -1 = it is not taken. */
static int place_takes(const struct place *p, const struct scan *s, uint32_t i)
{
    static const char *const comparisons[] = {"=", "<", ">", "<=", ">=", "<>", "!=", NULL};
    static const char *const arithmetic[] = {"+", "-", "*", "/", NULL};
    bool is_number = s->tokens[i].kind == TOKEN_NUMBER;
    enum zone zone = p->zones[p->depth];
    if (zone == ZONE_OFF || i < 2 || !ends_operand(s, i + 1))
        return -1;
    uint32_t sign = 0;
    if (zone == ZONE_VALUES) {
        sign = is_number && token_is(s, i - 1, "-");
        bool is_element = token_is(s, i - 1 - sign, "(") || token_is(s, i - 1 - sign, ",");
        bool ends = token_is(s, i + 1, ",") || token_is(s, i + 1, ")");
        return p->depth == 1 && is_element && ends ? (int)sign : -1;
    }
    if (is_number && i >= 3 && token_is(s, i - 1, "-") &&
        (token_is_one_of(s, i - 2, TOKEN_SIGN, comparisons) ||
         token_is_one_of(s, i - 2, TOKEN_SIGN, arithmetic)))
        sign = 1;
    uint32_t op = i - 1 - sign;
    if (op == 0)
        return -1;
    enum token_kind left = s->tokens[op - 1].kind;
    bool is_name = left == TOKEN_WORD || left == TOKEN_QUOTED;
    if (token_is_one_of(s, op, TOKEN_SIGN, comparisons))
        return is_name || token_is(s, op - 1, ")") ? (int)sign : -1;
    if (zone == ZONE_SET && is_number && is_name && token_is_one_of(s, op, TOKEN_SIGN, arithmetic))
        return (int)sign;
    return -1;
}

/* ---- literals ---- */

/* As PostgreSQL types a number; OID_NONE: it is better left alone. */
static oid number_type(const char *digits, size_t len, bool is_negative)
{
    if (len == 0)
        return OID_NONE;
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(digits[i]))
            return TYPE_NUMERIC;
        if (v > UINT64_MAX / 10 - 1)
            return OID_NONE;
        v = v * 10 + (uint64_t)(digits[i] - '0');
    }
    if (v <= INT32_MAX || (is_negative && v == (uint64_t)INT32_MAX + 1))
        return TYPE_INT4;
    /* -9223372036854775808 and 2147483648 behind another operator are the grammar's business. */
    return v < INT64_MAX && v != (uint64_t)INT32_MAX + 1 ? TYPE_INT8 : OID_NONE;
}

static bool literal_make(const struct scan *s, const struct token *t, bool is_negative,
                         struct literal *out)
{
    const char *from = s->text + t->at;
    char *copy = arena_alloc(s->mem, (size_t)t->len + 2);
    size_t len = 0;
    if (t->kind == TOKEN_NUMBER) {
        out->type = number_type(from, t->len, is_negative);
        if (out->type == OID_NONE)
            return false;
        if (is_negative)
            copy[len++] = '-';
        memcpy(copy + len, from, t->len);
        len += t->len;
    } else {
        out->type = OID_NONE;
        for (uint32_t i = 1; i + 1 < t->len; i++) {
            copy[len++] = from[i];
            i += from[i] == '\'';
        }
    }
    copy[len] = '\0';
    out->text = copy;
    out->len = len;
    return true;
}

/* The text is copied up to each literal that is taken. */
struct rewriting {
    char *to;
    size_t len;
    uint32_t copied; /* of the old text */
};

static void rewrite_until(struct rewriting *w, const struct scan *s, uint32_t at)
{
    memcpy(w->to + w->len, s->text + w->copied, at - w->copied);
    w->len += at - w->copied;
    w->copied = at;
}

static void rewrite_param(struct rewriting *w, uint32_t number)
{
    char digits[12];
    char *p = digits + sizeof(digits);
    do
        *--p = (char)('0' + number % 10);
    while (number /= 10);
    w->to[w->len++] = '$';
    memcpy(w->to + w->len, p, (size_t)(digits + sizeof(digits) - p));
    w->len += (size_t)(digits + sizeof(digits) - p);
}

static bool is_supported_command(const struct scan *s)
{
    static const char *const commands[] = {"select", "insert", "update", "delete", NULL};
    return s->count > 0 && token_is_one_of(s, 0, TOKEN_WORD, commands);
}

static bool take_all(struct scan *s, bool take, struct rewriting *w, struct literals *out)
{
    static const char *const insert[] = {"insert", NULL};
    struct place place = {.is_insert = token_is_one_of(s, 0, TOKEN_WORD, insert)};
    for (uint32_t i = 0; i < s->count; i++) {
        const struct token *t = &s->tokens[i];
        if (t->kind != TOKEN_NUMBER && t->kind != TOKEN_STRING) {
            if (!place_move(&place, s, i))
                return false;
            continue;
        }
        int sign = take && out->count < LITERALS_MAX ? place_takes(&place, s, i) : -1;
        if (sign < 0 || !literal_make(s, t, sign != 0, &out->items[out->count]))
            continue;
        out->types[out->count] = out->items[out->count].type;
        rewrite_until(w, s, s->tokens[i - (uint32_t)sign].at);
        rewrite_param(w, ++out->count);
        w->copied = t->at + t->len;
    }
    return place.depth == 0;
}

bool literals_take(const char *text, bool take, struct arena *mem, struct literals *out)
{
    *out = (struct literals){0};
    size_t bytes = strnlen(text, TEXT_BYTES_MAX + 1);
    if (bytes > TEXT_BYTES_MAX)
        return false;
    struct scan s = {.text = text, .mem = mem};
    if (!scan_tokens(&s, bytes) || !is_supported_command(&s))
        return false;
    uint32_t candidates = 0;
    for (uint32_t i = 0; i < s.count; i++)
        candidates += s.tokens[i].kind == TOKEN_NUMBER || s.tokens[i].kind == TOKEN_STRING;
    out->items = ARENA_ARRAY(mem, struct literal, candidates + 1);
    out->types = ARENA_ARRAY(mem, oid, candidates + 1);
    /* "$512" is at most three bytes longer than the literal that it stands for. */
    struct rewriting w = {.to = arena_alloc(mem, bytes + (size_t)candidates * 3 + 1)};
    if (!take_all(&s, take, &w, out))
        return false;
    const struct token *last = &s.tokens[s.count - 1];
    if (w.copied < last->at + last->len)
        rewrite_until(&w, &s, last->at + last->len);
    w.to[w.len] = '\0';
    out->text = w.to;
    return true;
}
