/*
 * LIKE and ILIKE on text, name, char(n) and bytea. The matcher keeps one place to return to: after
 * a mismatch only the last % can be stretched, so it needs no recursion and its time is bounded by
 * text × pattern. ILIKE compares lower-cased copies.
 */
#include "sql/funcs/funcs_priv.h"

static COLD err_t raise_escape_at_end(void)
{
    return err_raise(ERR_INVALID_ESCAPE_SEQUENCE,
                     "LIKE pattern must not end with escape character");
}

/* utf8: _ is one character, else one byte. */
static err_t like_match(const uint8_t *t, size_t t_len, const uint8_t *p, size_t p_len, bool utf8,
                        bool *match)
{
    size_t ti = 0;
    size_t pi = 0;
    bool has_star = false;
    size_t star_p = 0; /* after the last % */
    size_t star_t = 0; /* where its match ends for now */
    *match = false;
    while (true) {
        bool mismatch = false;
        if (pi < p_len && p[pi] == '%') {
            has_star = true;
            star_p = ++pi;
            star_t = ti;
            continue;
        }
        if (ti == t_len) {
            if (pi == p_len) {
                *match = true;
                return ERR_OK;
            }
            return ERR_OK; /* stretching a % further cannot help at the end */
        }
        if (pi == p_len) {
            mismatch = true;
        } else if (p[pi] == '_') {
            pi++;
            ti += utf8 ? utf8_char_bytes(t[ti]) : 1;
        } else {
            size_t at = pi;
            if (p[at] == '\\' && ++at == p_len)
                return raise_escape_at_end();
            if (p[at] == t[ti]) {
                pi = at + 1;
                ti++;
            } else {
                mismatch = true;
            }
        }
        if (mismatch) {
            if (!has_star)
                return ERR_OK;
            star_t += utf8 ? utf8_char_bytes(t[star_t]) : 1;
            ti = star_t;
            pi = star_p;
        }
    }
}

static err_t like(struct call *c, bool utf8, bool want, datum *out)
{
    const struct varlen *t = ARG_VARLEN(0);
    const struct varlen *p = ARG_VARLEN(1);
    bool match;
    TRY(like_match(t->data, t->len, p->data, p->len, utf8, &match));
    RETURN_BOOL(match == want);
}

static struct varlen *lowered(struct call *c, const struct varlen *v)
{
    struct varlen *r = varlen_new(c->mem, NULL, v->len * 2 + 4);
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->len; i += utf8_char_bytes(v->data[i]))
        n += utf8_encode(utf8_to_lower(utf8_decode(v->data + i)), r->data + n);
    r->len = n;
    return r;
}
static err_t ilike(struct call *c, bool want, datum *out)
{
    const struct varlen *t = lowered(c, ARG_VARLEN(0));
    const struct varlen *p = lowered(c, ARG_VARLEN(1));
    bool match;
    TRY(like_match(t->data, t->len, p->data, p->len, true, &match));
    RETURN_BOOL(match == want);
}

#define LIKE(name, call)                                                                           \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        return call;                                                                               \
    }
LIKE(fn_textlike, like(c, true, true, out))
LIKE(fn_textnlike, like(c, true, false, out))
LIKE(fn_namelike, like(c, true, true, out))
LIKE(fn_namenlike, like(c, true, false, out))
LIKE(fn_bytealike, like(c, false, true, out))
LIKE(fn_byteanlike, like(c, false, false, out))
LIKE(fn_texticlike, ilike(c, true, out))
LIKE(fn_texticnlike, ilike(c, false, out))
LIKE(fn_nameiclike, ilike(c, true, out))
LIKE(fn_nameicnlike, ilike(c, false, out))

/* pattern LIKE ... ESCAPE e: rewritten to the backslash form. */
FUNCTION(fn_like_escape)
{
    const struct varlen *p = ARG_VARLEN(0);
    const struct varlen *e = ARG_VARLEN(1);
    struct strbuf b;
    strbuf_init(&b, c->mem);
    if (e->len > 0 && utf8_length(e->data, e->len) != 1) {
        err_t code = err_raise(ERR_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        err_hint("Escape string must be empty or one character.");
        return code;
    }
    if (e->len == 1 && e->data[0] == '\\')
        RETURN_DATUM(c->args[0]);
    bool after = false;
    for (uint32_t i = 0; i < p->len;) {
        uint32_t n = utf8_char_bytes(p->data[i]);
        if (e->len == n && memcmp(p->data + i, e->data, n) == 0 && !after) {
            strbuf_putc(&b, '\\');
            after = true;
        } else if (p->data[i] == '\\') {
            strbuf_putc(&b, '\\');
            if (!after)
                strbuf_putc(&b, '\\');
            after = false;
        } else {
            TRY(strbuf_put(&b, p->data + i, n));
            after = false;
        }
        i += n;
    }
    return result_strbuf(c, &b, out);
}
