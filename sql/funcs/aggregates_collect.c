/*
 * Aggregates that keep every value: string_agg over text and bytea, array_agg of elements and of
 * arrays. Without ORDER BY the order of values is that of the rows' arrival, so parts of several
 * shards are joined one after another.
 */
#include "sql/funcs/funcs_priv.h"

/* ---- string_agg ---- */

/* What is kept begins with the first row's delimiter, which the result leaves out; so two parts are
 * joined by putting one behind the other. */
struct strings {
    struct strbuf text;
    uint32_t first_delimiter_bytes;
    bool has_value;
};

static err_t string_agg_step(struct aggregate_call *a, void *state)
{
    struct strings *s = state;
    if (a->call.nulls[0])
        return ERR_OK;
    if (!s->has_value)
        strbuf_init(&s->text, a->mem);
    if (!a->call.nulls[1]) {
        const struct varlen *delimiter = datum_varlen(a->call.args[1]);
        if (!s->has_value)
            s->first_delimiter_bytes = delimiter->len;
        TRY(strbuf_put(&s->text, delimiter->data, delimiter->len));
    }
    s->has_value = true;
    const struct varlen *v = datum_varlen(a->call.args[0]);
    return strbuf_put(&s->text, v->data, v->len);
}

static err_t string_agg_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    const struct strings *s = state;
    *is_null = !s->has_value;
    if (*is_null)
        return ERR_OK;
    struct varlen *v;
    const char *from = s->text.len == 0 ? "" : s->text.data + s->first_delimiter_bytes;
    TRY(varlen_try(a->call.mem, from, s->text.len - s->first_delimiter_bytes, &v));
    *out = datum_of_varlen(v);
    return ERR_OK;
}

/* Nothing, or u32 bytes of the first delimiter, then the text. */
static err_t string_agg_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    (void)a;
    const struct strings *s = state;
    if (!s->has_value)
        return ERR_OK;
    TRY(strbuf_put(out, &s->first_delimiter_bytes, sizeof(s->first_delimiter_bytes)));
    return strbuf_put(out, s->text.data, s->text.len);
}

static err_t string_agg_merge(struct aggregate_call *a, void *state, const uint8_t *bytes,
                              size_t len)
{
    struct strings *s = state;
    if (len == 0)
        return ERR_OK;
    if (len < 4 || load_u32(bytes) > len - 4)
        return err_raise(ERR_DATA_CORRUPTED, "partial aggregate state has a wrong length");
    if (!s->has_value) {
        strbuf_init(&s->text, a->mem);
        s->first_delimiter_bytes = load_u32(bytes);
        s->has_value = true;
    }
    return strbuf_put(&s->text, bytes + 4, len - 4);
}

const struct aggregate agg_string_agg = {
    .state_bytes = sizeof(struct strings),
    .step_on_null = true,
    .step = string_agg_step,
    .final = string_agg_final,
    .save = string_agg_save,
    .merge = string_agg_merge,
};

/* ---- array_agg ---- */

struct elements {
    datum *values;
    bool *nulls;
    uint32_t count;
    uint32_t capacity;
    oid element;
    bool by_value;
    /* Of arrays: shape of each, and how many there are. */
    int32_t ndim;
    int32_t dims[6];
    int32_t lower[6];
    int32_t arrays;
};

static err_t elements_reserve(struct aggregate_call *a, struct elements *s, uint64_t more)
{
    uint64_t need = s->count + more;
    if (need <= s->capacity)
        return ERR_OK;
    uint64_t capacity = MAX(MAX(need, (uint64_t)s->capacity * 2), 16);
    if (capacity > UINT32_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (%d)",
                         0x7ffffff);
    void *values;
    void *nulls;
    TRY(arena_alloc_try(a->mem, sizeof(datum) * capacity, &values));
    TRY(arena_alloc_try(a->mem, sizeof(bool) * capacity, &nulls));
    if (s->count > 0) {
        memcpy(values, s->values, sizeof(datum) * s->count);
        memcpy(nulls, s->nulls, sizeof(bool) * s->count);
    }
    s->values = values;
    s->nulls = nulls;
    s->capacity = (uint32_t)capacity;
    return ERR_OK;
}

static void elements_begin(struct elements *s, oid element)
{
    const struct type_info *t = type_find(element);
    s->element = element;
    s->by_value = t != NULL && t->by_value;
}

/* Space for it was reserved. */
static void elements_put(struct aggregate_call *a, struct elements *s, datum value, bool is_null)
{
    s->values[s->count] = is_null ? 0 : datum_copy(a->mem, value, s->by_value);
    s->nulls[s->count++] = is_null;
}

static err_t array_agg_step(struct aggregate_call *a, void *state)
{
    struct elements *s = state;
    if (s->element == OID_NONE)
        elements_begin(s, a->call.arg_types[0]);
    TRY(elements_reserve(a, s, 1));
    elements_put(a, s, a->call.args[0], a->call.nulls[0]);
    return ERR_OK;
}

static err_t array_agg_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    const struct elements *s = state;
    *is_null = s->count == 0;
    if (*is_null)
        return ERR_OK;
    return array_of(a->call.mem, s->element, s->values, s->nulls, s->count, out);
}

static err_t array_agg_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    const struct elements *s = state;
    datum array;
    if (s->count == 0)
        return ERR_OK;
    TRY(array_of(a->call.mem, s->element, s->values, s->nulls, s->count, &array));
    return strbuf_put(out, datum_varlen(array)->data, datum_varlen(array)->len);
}

static err_t saved_array(struct aggregate_call *a, const uint8_t *bytes, size_t len,
                         struct array_view *out)
{
    struct varlen *v;
    TRY(varlen_try(a->call.mem, bytes, len, &v));
    return array_read(a->call.mem, datum_of_varlen(v), out);
}

static err_t elements_append(struct aggregate_call *a, struct elements *s,
                             const struct array_view *view)
{
    TRY(elements_reserve(a, s, view->count));
    for (uint32_t i = 0; i < view->count; i++)
        elements_put(a, s, view->values[i], view->nulls[i]);
    return ERR_OK;
}

static err_t array_agg_merge(struct aggregate_call *a, void *state, const uint8_t *bytes,
                             size_t len)
{
    struct elements *s = state;
    struct array_view view;
    if (len == 0)
        return ERR_OK;
    TRY(saved_array(a, bytes, len, &view));
    if (s->element == OID_NONE)
        elements_begin(s, view.element);
    return elements_append(a, s, &view);
}

const struct aggregate agg_array_agg = {
    .state_bytes = sizeof(struct elements),
    .step_on_null = true,
    .step = array_agg_step,
    .final = array_agg_final,
    .save = array_agg_save,
    .merge = array_agg_merge,
};

/* ---- array_agg of arrays: one more dimension ---- */

/* How many arrays of the shape (dims, lower from `first` on) the view holds: `arrays`. */
static err_t arrays_append(struct aggregate_call *a, struct elements *s,
                           const struct array_view *view, int32_t first, int32_t arrays)
{
    int32_t ndim = view->ndim - first;
    if (s->arrays == 0) {
        if (ndim <= 0 || view->count == 0)
            return err_raise(ERR_ARRAY_SUBSCRIPT_ERROR, "cannot accumulate empty arrays");
        if (ndim + 1 > 6)
            return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                             "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                             ndim + 1, 6);
        elements_begin(s, view->element);
        s->ndim = ndim;
        memcpy(s->dims, view->dims + first, sizeof(int32_t) * (size_t)ndim);
        memcpy(s->lower, view->lower + first, sizeof(int32_t) * (size_t)ndim);
    } else if (ndim != s->ndim ||
               memcmp(s->dims, view->dims + first, sizeof(int32_t) * (size_t)ndim) != 0 ||
               memcmp(s->lower, view->lower + first, sizeof(int32_t) * (size_t)ndim) != 0) {
        return err_raise(ERR_ARRAY_SUBSCRIPT_ERROR,
                         "cannot accumulate arrays of different dimensionality");
    }
    TRY(elements_append(a, s, view));
    s->arrays += arrays;
    return ERR_OK;
}

static err_t array_agg_array_step(struct aggregate_call *a, void *state)
{
    if (a->call.nulls[0])
        return err_raise(ERR_NULL_VALUE_NOT_ALLOWED, "cannot accumulate null arrays");
    struct array_view view;
    TRY(array_read(a->call.mem, a->call.args[0], &view));
    return arrays_append(a, state, &view, 0, 1);
}

static err_t arrays_make(struct aggregate_call *a, const struct elements *s, datum *out)
{
    struct array_view view = {.element = s->element,
                              .ndim = s->ndim + 1,
                              .count = s->count,
                              .values = s->values,
                              .nulls = s->nulls};
    view.dims[0] = s->arrays;
    view.lower[0] = 1;
    memcpy(view.dims + 1, s->dims, sizeof(int32_t) * (size_t)s->ndim);
    memcpy(view.lower + 1, s->lower, sizeof(int32_t) * (size_t)s->ndim);
    return array_make(a->call.mem, &view, out);
}

static err_t array_agg_array_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    const struct elements *s = state;
    *is_null = s->arrays == 0;
    return *is_null ? ERR_OK : arrays_make(a, s, out);
}

static err_t array_agg_array_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    const struct elements *s = state;
    datum array;
    if (s->arrays == 0)
        return ERR_OK;
    TRY(arrays_make(a, s, &array));
    return strbuf_put(out, datum_varlen(array)->data, datum_varlen(array)->len);
}

static err_t array_agg_array_merge(struct aggregate_call *a, void *state, const uint8_t *bytes,
                                   size_t len)
{
    struct array_view view;
    if (len == 0)
        return ERR_OK;
    TRY(saved_array(a, bytes, len, &view));
    return arrays_append(a, state, &view, 1, view.dims[0]);
}

const struct aggregate agg_array_agg_array = {
    .state_bytes = sizeof(struct elements),
    .step_on_null = true,
    .step = array_agg_array_step,
    .final = array_agg_array_final,
    .save = array_agg_array_save,
    .merge = array_agg_array_merge,
};
