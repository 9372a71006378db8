/*
 * Functions over regular expressions: ~ and its kin, substring, regexp_match(es), regexp_replace,
 * regexp_split, regexp_count, regexp_instr, regexp_like, regexp_substr, SIMILAR TO.
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/funcs/regex.h"

static err_t matches(struct call *c, uint32_t flags, bool want, datum *out)
{
    struct regex *re;
    struct regex_match m;
    bool found;
    TRY(regex_get(c, ARG_VARLEN(1), flags, &re));
    TRY(regex_search(re, ARG_VARLEN(0)->data, ARG_VARLEN(0)->len, 0, &found, &m));
    RETURN_BOOL(found == want);
}
#define MATCHES(name, flags, want)                                                                 \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        return matches(c, flags, want, out);                                                       \
    }
MATCHES(fn_textregexeq, 0, true)
MATCHES(fn_textregexne, 0, false)
MATCHES(fn_texticregexeq, REGEX_ICASE, true)
MATCHES(fn_texticregexne, REGEX_ICASE, false)
MATCHES(fn_nameregexeq, 0, true)
MATCHES(fn_nameregexne, 0, false)
MATCHES(fn_nameicregexeq, REGEX_ICASE, true)
MATCHES(fn_nameicregexne, REGEX_ICASE, false)

/* Flags argument at index n, if the call has one. */
static err_t get_flags(struct call *c, uint32_t n, const char *function, uint32_t *flags,
                       bool *global)
{
    bool g = false;
    *flags = 0;
    if (c->arg_count > n)
        TRY(regex_flags((const char *)ARG_VARLEN(n)->data, ARG_VARLEN(n)->len, flags, &g));
    if (g && global == NULL) {
        err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE,
                            "%s does not support the \"global\" option", function);
        if (strcmp(function, "regexp_match()") == 0)
            err_hint("Use the regexp_matches function instead.");
        return e;
    }
    if (global != NULL)
        *global = g;
    return ERR_OK;
}

static datum group_text(struct call *c, const uint8_t *text, const struct regex_match *m,
                        uint32_t group, bool *is_null)
{
    size_t from = group == 0 ? m->start : m->spans[2 * group];
    size_t to = group == 0 ? m->end : m->spans[2 * group + 1];
    *is_null = from == REGEX_UNSET;
    return *is_null ? 0 : datum_of_varlen(varlen_new(c->mem, text + from, u32_from(to - from)));
}

/* Array of the groups, or of the whole match when there are none. */
static err_t match_array(struct call *c, const uint8_t *text, const struct regex_match *m,
                         datum *out)
{
    uint32_t count = MAX(m->groups, 1u);
    datum *values = arena_alloc(c->mem, sizeof(datum) * count);
    bool *nulls = arena_alloc(c->mem, sizeof(bool) * count);
    for (uint32_t i = 0; i < count; i++)
        values[i] = group_text(c, text, m, m->groups == 0 ? 0 : i + 1, &nulls[i]);
    return array_of(c->mem, TYPE_TEXT, values, nulls, count, out);
}

static err_t do_regexp_match(struct call *c, datum *out)
{
    struct regex *re;
    struct regex_match m;
    bool found;
    uint32_t flags;
    const struct varlen *v = ARG_VARLEN(0);
    TRY(get_flags(c, 2, "regexp_match()", &flags, NULL));
    TRY(regex_get(c, ARG_VARLEN(1), flags, &re));
    TRY(regex_search(re, v->data, v->len, 0, &found, &m));
    if (!found)
        RETURN_NULL();
    return match_array(c, v->data, &m, out);
}
FUNCTION(fn_regexp_match)
{
    return do_regexp_match(c, out);
}
FUNCTION(fn_regexp_match_no_flags)
{
    return do_regexp_match(c, out);
}

/* substring(text from pattern): the first group if there is one. */
FUNCTION(fn_textregexsubstr)
{
    struct regex *re;
    struct regex_match m;
    bool found;
    const struct varlen *v = ARG_VARLEN(0);
    TRY(regex_get(c, ARG_VARLEN(1), 0, &re));
    TRY(regex_search(re, v->data, v->len, 0, &found, &m));
    if (!found)
        RETURN_NULL();
    bool is_null;
    *out = group_text(c, v->data, &m, m.groups > 0 ? 1 : 0, &is_null);
    c->is_null = is_null;
    return ERR_OK;
}

/* ---- walks over all matches ---- */

struct walk {
    struct regex *re;
    const uint8_t *text;
    size_t len;
    size_t from;     /* next search */
    size_t last_end; /* of the previous match */
    bool global;
    bool skip_empty; /* splits ignore empty matches at the ends and next to a match */
    bool done;
};
static err_t walk_next(struct walk *w, bool *found, struct regex_match *m)
{
    *found = false;
    while (!w->done && w->from <= w->len) {
        TRY(regex_search(w->re, w->text, w->len, w->from, found, m));
        if (!*found)
            break;
        bool degenerate = w->skip_empty && (m->start >= w->len || m->end <= w->last_end);
        w->from = m->end;
        if (m->start == m->end)
            w->from += w->from < w->len ? utf8_char_bytes(w->text[w->from]) : 1;
        w->last_end = m->end;
        if (!w->global)
            w->done = true;
        if (!degenerate)
            return ERR_OK;
        *found = false;
    }
    w->done = true;
    return ERR_OK;
}

/* Set functions keep their own copies: the arguments may live only for a row. */
struct matches_state {
    struct walk walk;
    size_t piece; /* of splits: start of the next piece */
    bool ended;
};
static err_t open_walk(struct call *c, bool split, const char *function, struct matches_state *s)
{
    uint32_t flags;
    bool global = false;
    TRY(get_flags(c, 2, function, &flags, split ? NULL : &global));
    const struct varlen *v = varlen_new(c->state_mem, ARG_VARLEN(0)->data, ARG_VARLEN(0)->len);
    TRY(regex_get(c, varlen_new(c->state_mem, ARG_VARLEN(1)->data, ARG_VARLEN(1)->len), flags,
                  &s->walk.re));
    s->walk.text = v->data;
    s->walk.len = v->len;
    s->walk.global = global || split;
    s->walk.skip_empty = split;
    return ERR_OK;
}
static err_t matches_begin(struct call *c, void **state)
{
    struct matches_state *s = ARENA_NEW(c->state_mem, struct matches_state);
    *state = s;
    return open_walk(c, false, "regexp_matches()", s);
}
static err_t matches_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    struct matches_state *s = state;
    struct regex_match m;
    bool found;
    TRY(walk_next(&s->walk, &found, &m));
    *end = !found;
    nulls[0] = false;
    return found ? match_array(c, s->walk.text, &m, &values[0]) : ERR_OK;
}
const struct set_function srf_regexp_matches = {
    .column_count = 1, .begin = matches_begin, .next = matches_next};

static err_t split_begin(struct call *c, void **state)
{
    struct matches_state *s = ARENA_NEW(c->state_mem, struct matches_state);
    *state = s;
    return open_walk(c, true, "regexp_split_to_table()", s);
}
static err_t split_piece(struct arena *mem, struct matches_state *s, datum *value, bool *end)
{
    struct regex_match m;
    bool found;
    *end = s->ended;
    if (s->ended)
        return ERR_OK;
    TRY(walk_next(&s->walk, &found, &m));
    size_t to = found ? m.start : s->walk.len;
    *value = datum_of_varlen(varlen_new(mem, s->walk.text + s->piece, u32_from(to - s->piece)));
    s->piece = found ? m.end : s->walk.len;
    s->ended = !found;
    return ERR_OK;
}
static err_t split_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    nulls[0] = false;
    return split_piece(c->mem, state, &values[0], end);
}
const struct set_function srf_regexp_split_to_table = {
    .column_count = 1, .begin = split_begin, .next = split_next};

static err_t do_split_to_array(struct call *c, datum *out)
{
    struct matches_state s = {0};
    uint32_t flags;
    TRY(get_flags(c, 2, "regexp_split_to_array()", &flags, NULL));
    TRY(regex_get(c, ARG_VARLEN(1), flags, &s.walk.re));
    s.walk.text = ARG_VARLEN(0)->data;
    s.walk.len = ARG_VARLEN(0)->len;
    s.walk.global = true;
    s.walk.skip_empty = true;
    uint32_t count = 0;
    uint32_t capacity = 16;
    datum *values = arena_alloc(c->mem, sizeof(datum) * capacity);
    while (true) {
        bool end;
        datum piece = 0;
        TRY(split_piece(c->mem, &s, &piece, &end));
        if (end)
            break;
        if (count == capacity) {
            datum *bigger = arena_alloc(c->mem, sizeof(datum) * capacity * 2);
            memcpy(bigger, values, sizeof(datum) * count);
            values = bigger;
            capacity *= 2;
        }
        values[count++] = piece;
    }
    return array_of(c->mem, TYPE_TEXT, values, NULL, count, out);
}
FUNCTION(fn_regexp_split_to_array)
{
    return do_split_to_array(c, out);
}
FUNCTION(fn_regexp_split_to_array_no_flags)
{
    return do_split_to_array(c, out);
}

/* ---- replace ---- */

static err_t put_replacement(struct strbuf *b, const struct varlen *with, const uint8_t *text,
                             const struct regex_match *m)
{
    for (uint32_t i = 0; i < with->len; i++) {
        uint8_t ch = with->data[i];
        if (ch != '\\' || i + 1 == with->len) {
            strbuf_putc(b, (char)ch);
            continue;
        }
        uint8_t next = with->data[++i];
        uint32_t group = next >= '1' && next <= '9' ? (uint32_t)(next - '0') : 0;
        if (next == '&')
            TRY(strbuf_put(b, text + m->start, m->end - m->start));
        else if (group > 0 && group <= m->groups && m->spans[2 * group] != REGEX_UNSET)
            TRY(strbuf_put(b, text + m->spans[2 * group],
                           m->spans[2 * group + 1] - m->spans[2 * group]));
        else if (next == '\\')
            strbuf_putc(b, '\\');
        else if (group == 0) {
            strbuf_putc(b, '\\');
            strbuf_putc(b, (char)next);
        }
    }
    return ERR_OK;
}
/* nth 0 = all. */
static err_t replace(struct call *c, uint32_t flags, size_t from, int32_t nth, datum *out)
{
    struct regex *re;
    const struct varlen *v = ARG_VARLEN(0);
    TRY(regex_get(c, ARG_VARLEN(1), flags, &re));
    struct walk w = {.re = re, .text = v->data, .len = v->len, .from = from, .global = true};
    struct strbuf b;
    strbuf_init(&b, c->mem);
    size_t copied = 0;
    int32_t seen = 0;
    while (true) {
        struct regex_match m;
        bool found;
        TRY(walk_next(&w, &found, &m));
        if (!found)
            break;
        if (nth > 0 && ++seen != nth)
            continue;
        TRY(strbuf_put(&b, v->data + copied, m.start - copied));
        TRY(put_replacement(&b, ARG_VARLEN(2), v->data, &m));
        copied = m.end;
        if (nth > 0)
            break;
    }
    TRY(strbuf_put(&b, v->data + copied, v->len - copied));
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_textregexreplace_noopt)
{
    return replace(c, 0, 0, 1, out);
}
FUNCTION(fn_textregexreplace)
{
    uint32_t flags;
    bool global;
    const struct varlen *o = ARG_VARLEN(3);
    if (o->len > 0 && o->data[0] >= '0' && o->data[0] <= '9') {
        err_t e =
            err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid regular expression option: \"%.*s\"",
                      (int)utf8_clip(o->data, o->len, 1), (const char *)o->data);
        err_hint("If you meant to use regexp_replace() with a start parameter, cast the fourth "
                 "argument to integer explicitly.");
        return e;
    }
    TRY(get_flags(c, 3, "regexp_replace()", &flags, &global));
    return replace(c, flags, 0, global ? 0 : 1, out);
}

static err_t start_offset(struct call *c, uint32_t n, size_t *from)
{
    *from = 0;
    if (c->arg_count <= n)
        return ERR_OK;
    if (ARG_I32(n) <= 0)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid value for parameter \"%s\": %d",
                         "start", ARG_I32(n));
    const struct varlen *v = ARG_VARLEN(0);
    *from = utf8_clip(v->data, v->len, (size_t)ARG_I32(n) - 1);
    if ((size_t)ARG_I32(n) - 1 > utf8_length(v->data, v->len))
        *from = v->len + 1;
    return ERR_OK;
}
static err_t check_parameter(const char *name, int32_t v, int32_t min, int32_t max)
{
    if (v < min || v > max)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid value for parameter \"%s\": %d",
                         name, v);
    return ERR_OK;
}
static err_t do_replace_extended(struct call *c, datum *out)
{
    uint32_t flags;
    size_t from;
    bool global = false;
    TRY(start_offset(c, 3, &from));
    int32_t nth = c->arg_count > 4 ? ARG_I32(4) : 1;
    TRY(check_parameter("n", nth, 0, INT32_MAX));
    TRY(get_flags(c, 5, "regexp_replace()", &flags, &global));
    if (c->arg_count == 4)
        nth = 1;
    return replace(c, flags, from, nth, out);
}
FUNCTION(fn_textregexreplace_extended)
{
    return do_replace_extended(c, out);
}

/* ---- count, instr, like, substr ---- */

static err_t do_regexp_count(struct call *c, datum *out)
{
    struct walk w = {.text = ARG_VARLEN(0)->data, .len = ARG_VARLEN(0)->len, .global = true};
    uint32_t flags;
    TRY(start_offset(c, 2, &w.from));
    TRY(get_flags(c, 3, "regexp_count()", &flags, NULL));
    TRY(regex_get(c, ARG_VARLEN(1), flags, &w.re));
    int32_t n = 0;
    while (true) {
        struct regex_match m;
        bool found;
        TRY(walk_next(&w, &found, &m));
        if (!found)
            RETURN_I32(n);
        n++;
    }
}
FUNCTION(fn_regexp_count)
{
    return do_regexp_count(c, out);
}

FUNCTION(fn_regexp_like)
{
    uint32_t flags;
    TRY(get_flags(c, 2, "regexp_like()", &flags, NULL));
    return matches(c, flags, true, out);
}

/* The nth match from start on; its whole or one group. */
static err_t nth_match(struct call *c, uint32_t flags_at, uint32_t group_at, const char *function,
                       struct regex_match *m, uint32_t *group, bool *found)
{
    struct walk w = {.text = ARG_VARLEN(0)->data, .len = ARG_VARLEN(0)->len, .global = true};
    uint32_t flags;
    TRY(start_offset(c, 2, &w.from));
    int32_t nth = c->arg_count > 3 ? ARG_I32(3) : 1;
    TRY(check_parameter("n", nth, 1, INT32_MAX));
    TRY(get_flags(c, flags_at, function, &flags, NULL));
    int32_t g = c->arg_count > group_at ? ARG_I32(group_at) : 0;
    TRY(check_parameter("subexpr", g, 0, INT32_MAX));
    TRY(regex_get(c, ARG_VARLEN(1), flags, &w.re));
    *group = (uint32_t)g;
    *found = false;
    if (*group > regex_groups(w.re))
        return ERR_OK;
    for (int32_t i = 0; i < nth; i++) {
        TRY(walk_next(&w, found, m));
        if (!*found)
            return ERR_OK;
    }
    return ERR_OK;
}
FUNCTION(fn_regexp_instr)
{
    struct regex_match m;
    uint32_t group;
    bool found;
    int32_t end_option = c->arg_count > 4 ? ARG_I32(4) : 0;
    TRY(check_parameter("endoption", end_option, 0, 1));
    TRY(nth_match(c, 5, 6, "regexp_instr()", &m, &group, &found));
    if (!found)
        RETURN_I32(0);
    size_t at =
        group == 0 ? (end_option ? m.end : m.start) : m.spans[2 * group + (uint32_t)end_option];
    if (at == REGEX_UNSET)
        RETURN_I32(0);
    RETURN_I32((int32_t)utf8_length(ARG_VARLEN(0)->data, at) + 1);
}
FUNCTION(fn_regexp_substr)
{
    struct regex_match m;
    uint32_t group;
    bool found;
    TRY(nth_match(c, 4, 5, "regexp_substr()", &m, &group, &found));
    if (!found)
        RETURN_NULL();
    bool is_null;
    *out = group_text(c, ARG_VARLEN(0)->data, &m, group, &is_null);
    c->is_null = is_null;
    return ERR_OK;
}

/* ---- SIMILAR TO: the SQL pattern as a regular expression ---- */

static err_t similar_pattern(struct call *c, const struct varlen *p, const struct varlen *e,
                             datum *out)
{
    struct strbuf b;
    strbuf_init(&b, c->mem);
    if (e != NULL && e->len > 0 && utf8_length(e->data, e->len) != 1) {
        err_t code = err_raise(ERR_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        err_hint("Escape string must be empty or one character.");
        return code;
    }
    const uint8_t *escape = e == NULL ? (const uint8_t *)"\\" : e->data;
    uint32_t escape_len = e == NULL ? 1 : e->len;
    bool after_escape = false;
    bool bracket = false;
    int quotes = 0;
    strbuf_puts(&b, "^(?:");
    for (uint32_t i = 0; i < p->len;) {
        uint8_t ch = p->data[i];
        uint32_t n = utf8_char_bytes(ch);
        if (after_escape) {
            if (ch == '"' && !bracket) {
                if (quotes == 0)
                    strbuf_puts(&b, "){1,1}?(");
                else if (quotes == 1)
                    strbuf_puts(&b, "){1,1}(?:");
                else
                    return err_raise(ERR_INVALID_USE_OF_ESCAPE_CHARACTER,
                                     "SQL regular expression may not contain more than two "
                                     "escape-double-quote separators");
                quotes++;
            } else {
                if (ch < 0x80 && !utf8_is_alnum(ch))
                    strbuf_putc(&b, '\\');
                TRY(strbuf_put(&b, p->data + i, n));
            }
            after_escape = false;
        } else if (escape_len == n && memcmp(p->data + i, escape, n) == 0) {
            after_escape = true;
        } else if (bracket) {
            if (ch == '\\')
                strbuf_putc(&b, '\\');
            TRY(strbuf_put(&b, p->data + i, n));
            bracket = ch != ']';
        } else if (ch == '[') {
            strbuf_putc(&b, '[');
            bracket = true;
        } else if (ch == '%') {
            strbuf_puts(&b, ".*");
        } else if (ch == '_') {
            strbuf_putc(&b, '.');
        } else if (ch == '(') {
            strbuf_puts(&b, "(?:");
        } else {
            if (ch == '\\' || ch == '.' || ch == '^' || ch == '$')
                strbuf_putc(&b, '\\');
            TRY(strbuf_put(&b, p->data + i, n));
        }
        i += n;
    }
    strbuf_puts(&b, ")$");
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_similar_to_escape_1)
{
    return similar_pattern(c, ARG_VARLEN(0), NULL, out);
}
FUNCTION(fn_similar_to_escape_2)
{
    return similar_pattern(c, ARG_VARLEN(0), ARG_VARLEN(1), out);
}
FUNCTION(fn_similar_escape)
{
    if (c->nulls[0])
        RETURN_NULL();
    return similar_pattern(c, ARG_VARLEN(0), c->nulls[1] ? NULL : ARG_VARLEN(1), out);
}
/* substring(text similar pattern escape e) */
FUNCTION(fn_substring_similar)
{
    datum pattern = 0;
    TRY(similar_pattern(c, ARG_VARLEN(1), ARG_VARLEN(2), &pattern));
    c->args[1] = pattern;
    return fn_textregexsubstr(c, out);
}
