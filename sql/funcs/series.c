/*
 * generate_series over integers, generate_subscripts, unnest, and the splitting of text
 * (string_to_array, string_to_table).
 * Rows are made one at a time; the argument array stays in the call's argument memory.
 */
#include "sql/funcs/funcs_priv.h"

/* ---- generate_series of int4 and int8 ---- */

struct series {
    int64_t next;
    int64_t stop;
    int64_t step;
    bool is_done;
};

static err_t series_begin(struct call *c, void **state)
{
    struct series *s = ARENA_NEW(c->mem, struct series);
    *s = (struct series){.next = ARG_I64(0), .stop = ARG_I64(1), .step = 1};
    if (c->arg_count == 3)
        s->step = ARG_I64(2);
    if (s->step == 0)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "step size cannot equal zero");
    *state = s;
    return ERR_OK;
}

/* The stop of an int4 series lies within int4, so one width serves both. */
static err_t series_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    (void)c;
    struct series *s = state;
    *end = s->is_done || (s->step > 0 ? s->next > s->stop : s->next < s->stop);
    if (*end)
        return ERR_OK;
    values[0] = datum_of_i64(s->next);
    nulls[0] = false;
    s->is_done = ckd_add_i64(&s->next, s->next, s->step);
    return ERR_OK;
}

const struct set_function srf_generate_series_int = {
    .column_count = 1,
    .begin = series_begin,
    .next = series_next,
};

/* ---- generate_subscripts ---- */

static err_t subscripts_begin(struct call *c, void **state)
{
    const struct varlen *v = ARG_VARLEN(0);
    struct series *s = ARENA_NEW(c->mem, struct series);
    *state = s;
    if (v->len < 12)
        return err_raise(ERR_DATA_CORRUPTED, "array data is damaged");
    int32_t ndim = (int32_t)load_u32(v->data);
    int32_t dimension = ARG_I32(1);
    if (dimension < 1 || dimension > ndim || v->len < 12 + 8 * (uint32_t)ndim) {
        s->is_done = true;
        return ERR_OK;
    }
    const uint8_t *bounds = v->data + 12 + 8 * (size_t)(dimension - 1);
    int64_t lower = (int32_t)load_u32(bounds + 4);
    int64_t upper = lower + (int32_t)load_u32(bounds) - 1;
    bool reverse = c->arg_count == 3 && ARG_BOOL(2);
    s->next = reverse ? upper : lower;
    s->stop = reverse ? lower : upper;
    s->step = reverse ? -1 : 1;
    return ERR_OK;
}

const struct set_function srf_generate_subscripts = {
    .column_count = 1,
    .begin = subscripts_begin,
    .next = series_next,
};

/* ---- unnest(anyarray) ---- */

struct unnest {
    struct array_view view;
    uint32_t at;
};

static err_t unnest_begin(struct call *c, void **state)
{
    struct unnest *u = ARENA_NEW(c->mem, struct unnest);
    *state = u;
    return array_read(c->mem, c->args[0], &u->view);
}

static err_t unnest_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    (void)c;
    struct unnest *u = state;
    *end = u->at >= u->view.count;
    if (*end)
        return ERR_OK;
    values[0] = u->view.values[u->at];
    nulls[0] = u->view.nulls[u->at];
    u->at++;
    return ERR_OK;
}

const struct set_function srf_array_unnest = {
    .column_count = 1,
    .begin = unnest_begin,
    .next = unnest_next,
};

/* ---- splitting text: string_to_array, string_to_table ----
 *
 * No delimiter (null): every character is a field. An empty delimiter: the whole text is one. A
 * field equal to the null text is null. Empty text has no fields.
 */

struct splitter {
    const uint8_t *p;
    const uint8_t *end;
    const struct varlen *delimiter; /* NULL: by characters */
    const struct varlen *null_text;
    bool is_done;
};

static void splitter_init(struct call *c, struct splitter *s)
{
    const struct varlen *text = ARG_VARLEN(0);
    *s = (struct splitter){.p = text->data, .end = text->data + text->len};
    if (!c->nulls[1])
        s->delimiter = ARG_VARLEN(1);
    if (c->arg_count == 3 && !c->nulls[2])
        s->null_text = ARG_VARLEN(2);
    s->is_done = text->len == 0;
}

/* false at the end. */
static bool splitter_next(struct splitter *s, const uint8_t **field, size_t *len)
{
    if (s->is_done)
        return false;
    size_t left = (size_t)(s->end - s->p);
    *field = s->p;
    if (s->delimiter == NULL) {
        *len = MIN(left, (size_t)utf8_char_bytes(*s->p));
        s->p += *len;
        s->is_done = s->p == s->end;
        return true;
    }
    const uint8_t *hit =
        s->delimiter->len == 0 ? NULL : memmem(s->p, left, s->delimiter->data, s->delimiter->len);
    *len = hit == NULL ? left : (size_t)(hit - s->p);
    s->is_done = hit == NULL;
    s->p += *len + s->delimiter->len;
    return true;
}

static bool splitter_is_null(const struct splitter *s, const uint8_t *field, size_t len)
{
    return s->null_text != NULL && s->null_text->len == len &&
           memcmp(s->null_text->data, field, len) == 0;
}

FUNCTION(fn_text_to_array)
{
    if (c->nulls[0])
        RETURN_NULL();
    struct splitter s;
    const uint8_t *field;
    size_t len;
    uint32_t count = 0;
    splitter_init(c, &s);
    while (splitter_next(&s, &field, &len))
        count++;
    void *values;
    void *nulls;
    TRY(arena_alloc_try(c->mem, sizeof(datum) * (count + 1u), &values));
    TRY(arena_alloc_try(c->mem, sizeof(bool) * (count + 1u), &nulls));
    splitter_init(c, &s);
    for (uint32_t i = 0; splitter_next(&s, &field, &len); i++) {
        struct varlen *v;
        TRY(varlen_try(c->mem, field, len, &v));
        ((datum *)values)[i] = datum_of_varlen(v);
        ((bool *)nulls)[i] = splitter_is_null(&s, field, len);
    }
    return array_of(c->mem, TYPE_TEXT, values, nulls, count, out);
}

static err_t text_to_table_begin(struct call *c, void **state)
{
    struct splitter *s = ARENA_NEW(c->mem, struct splitter);
    *state = s;
    s->is_done = true;
    if (!c->nulls[0])
        splitter_init(c, s);
    return ERR_OK;
}

static err_t text_to_table_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    struct splitter *s = state;
    const uint8_t *field;
    size_t len;
    *end = !splitter_next(s, &field, &len);
    if (*end)
        return ERR_OK;
    nulls[0] = splitter_is_null(s, field, len);
    return result_bytes(c, field, len, &values[0]);
}

const struct set_function srf_text_to_table = {
    .column_count = 1,
    .begin = text_to_table_begin,
    .next = text_to_table_next,
};
