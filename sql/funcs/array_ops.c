/*
 * Array functions and operators: shape, building, searching, comparison, containment, text.
 *
 * Elements are compared by their type's default order, as PostgreSQL's default operator classes
 * do. Arrays that reach a function under another static element type (varchar[] read as text[])
 * give results of the static type.
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/type_functions.h"

enum { DIMENSIONS_MAX = 6, ELEMENTS_MAX = 0x7ffffff };

/* ---- shape, from the header alone (sql/types/types.h) ---- */

struct shape {
    int32_t ndim;
    const uint8_t *bounds; /* i32 length, i32 lower per dimension */
};

static err_t shape_read(datum array, struct shape *out)
{
    const struct varlen *v = datum_varlen(array);
    *out = (struct shape){0};
    if (v->len < 12)
        return err_raise(ERR_DATA_CORRUPTED, "array data is damaged");
    out->ndim = (int32_t)load_u32(v->data);
    out->bounds = v->data + 12;
    if (out->ndim < 0 || out->ndim > DIMENSIONS_MAX ||
        v->len < 12 + 8 * (uint32_t)(out->ndim < 0 ? 0 : out->ndim))
        return err_raise(ERR_DATA_CORRUPTED, "array data is damaged");
    return ERR_OK;
}

static int32_t shape_length(const struct shape *s, int32_t dimension)
{
    return (int32_t)load_u32(s->bounds + 8 * dimension);
}

static int32_t shape_lower(const struct shape *s, int32_t dimension)
{
    return (int32_t)load_u32(s->bounds + 8 * dimension + 4);
}

/* Bounds of arrays that clients send are theirs: no overflow on the way. */
static int32_t shape_upper(const struct shape *s, int32_t dimension)
{
    return (int32_t)((int64_t)shape_lower(s, dimension) + shape_length(s, dimension) - 1);
}

static bool shape_has(const struct shape *s, int32_t dimension)
{
    return dimension >= 1 && dimension <= s->ndim;
}

FUNCTION(fn_array_ndims)
{
    struct shape s;
    TRY(shape_read(c->args[0], &s));
    if (s.ndim == 0)
        RETURN_NULL();
    RETURN_I32(s.ndim);
}

FUNCTION(fn_array_dims)
{
    struct shape s;
    TRY(shape_read(c->args[0], &s));
    if (s.ndim == 0)
        RETURN_NULL();
    struct strbuf b;
    strbuf_init(&b, c->mem);
    for (int32_t i = 0; i < s.ndim; i++)
        strbuf_printf(&b, "[%d:%d]", shape_lower(&s, i), shape_upper(&s, i));
    return result_strbuf(c, &b, out);
}

FUNCTION(fn_array_length)
{
    struct shape s;
    TRY(shape_read(c->args[0], &s));
    if (!shape_has(&s, ARG_I32(1)))
        RETURN_NULL();
    RETURN_I32(shape_length(&s, ARG_I32(1) - 1));
}

FUNCTION(fn_array_lower)
{
    struct shape s;
    TRY(shape_read(c->args[0], &s));
    if (!shape_has(&s, ARG_I32(1)))
        RETURN_NULL();
    RETURN_I32(shape_lower(&s, ARG_I32(1) - 1));
}

FUNCTION(fn_array_upper)
{
    struct shape s;
    TRY(shape_read(c->args[0], &s));
    if (!shape_has(&s, ARG_I32(1)))
        RETURN_NULL();
    RETURN_I32(shape_upper(&s, ARG_I32(1) - 1));
}

FUNCTION(fn_cardinality)
{
    struct shape s;
    TRY(shape_read(c->args[0], &s));
    int64_t count = s.ndim > 0;
    for (int32_t i = 0; i < s.ndim; i++)
        count *= shape_length(&s, i);
    RETURN_I32((int32_t)count);
}

/* ---- building ---- */

static oid element_of(oid array_type)
{
    const struct type_info *t = type_find(array_type);
    return t == NULL ? OID_NONE : t->element;
}

static err_t empty_array(struct call *c, oid element, datum *out)
{
    return array_of(c->mem, element, NULL, NULL, 0, out);
}

/* The array argument with the result's element type; null reads as empty. */
static err_t array_argument(struct call *c, uint32_t n, struct array_view *view)
{
    oid element = element_of(c->arg_types[n]);
    *view = (struct array_view){.element = element};
    if (c->nulls[n])
        return ERR_OK;
    TRY(array_read(c->mem, c->args[n], view));
    if (element != OID_NONE)
        view->element = element;
    return ERR_OK;
}

/* Room for one element more, the old ones from `at` on. */
static void values_with_room(struct call *c, struct array_view *view, uint32_t at, datum added,
                             bool added_null)
{
    uint32_t count = view->count + 1;
    datum *values = arena_alloc(c->mem, sizeof(datum) * count);
    bool *nulls = arena_alloc(c->mem, sizeof(bool) * count);
    uint32_t hole = at == 0 ? view->count : 0;
    if (view->count > 0) {
        memcpy(values + at, view->values, sizeof(datum) * view->count);
        memcpy(nulls + at, view->nulls, sizeof(bool) * view->count);
    }
    values[hole] = added;
    nulls[hole] = added_null;
    view->values = values;
    view->nulls = nulls;
    view->count = count;
}

static err_t add_element(struct call *c, uint32_t array, uint32_t element, bool in_front,
                         datum *out)
{
    struct array_view view;
    TRY(array_argument(c, array, &view));
    if (view.ndim > 1)
        return err_raise(ERR_DATA_EXCEPTION, "argument must be empty or one-dimensional array");
    if (view.element == OID_NONE)
        view.element = c->arg_types[element];
    if (view.ndim == 0) {
        view.ndim = 1;
        view.lower[0] = 1;
    }
    int32_t bound;
    if (in_front && ckd_sub_i32(&bound, view.lower[0], 1))
        return raise_int_range("integer");
    if (ckd_add_i32(&bound, view.lower[0], view.dims[0] + !in_front))
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "array lower bound is too large: %d",
                         view.lower[0]);
    values_with_room(c, &view, in_front ? 1 : 0, c->args[element], c->nulls[element]);
    view.dims[0] = (int32_t)view.count;
    return array_make(c->mem, &view, out);
}

FUNCTION(fn_array_append)
{
    return add_element(c, 0, 1, false, out);
}

FUNCTION(fn_array_prepend)
{
    return add_element(c, 1, 0, true, out);
}

static err_t raise_incompatible(const char *detail)
{
    err_t e = err_raise(ERR_ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays");
    err_detail("%s", detail);
    return e;
}

static bool same_shape(const struct array_view *a, int32_t a_from, const struct array_view *b,
                       int32_t b_from, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        if (a->dims[a_from + i] != b->dims[b_from + i] ||
            a->lower[a_from + i] != b->lower[b_from + i])
            return false;
    return true;
}

FUNCTION(fn_array_cat)
{
    if (c->nulls[0] && c->nulls[1])
        RETURN_NULL();
    if (c->nulls[0] || c->nulls[1])
        RETURN_DATUM(c->args[c->nulls[0] ? 1 : 0]);
    struct array_view a;
    struct array_view b;
    TRY(array_argument(c, 0, &a));
    TRY(array_argument(c, 1, &b));
    if (b.ndim == 0)
        RETURN_DATUM(c->args[0]);
    if (a.ndim == 0)
        RETURN_DATUM(c->args[1]);
    struct array_view r;
    if (a.ndim == b.ndim) {
        if (!same_shape(&a, 1, &b, 1, a.ndim - 1))
            return raise_incompatible("Arrays with differing element dimensions are not compatible "
                                      "for concatenation.");
        r = a;
        r.dims[0] += b.dims[0];
    } else if (a.ndim == b.ndim - 1) {
        if (!same_shape(&a, 0, &b, 1, a.ndim))
            return raise_incompatible(
                "Arrays with differing dimensions are not compatible for concatenation.");
        r = b;
        r.dims[0]++;
    } else if (a.ndim == b.ndim + 1) {
        if (!same_shape(&b, 0, &a, 1, b.ndim))
            return raise_incompatible(
                "Arrays with differing dimensions are not compatible for concatenation.");
        r = a;
        r.dims[0]++;
    } else {
        err_t e = err_raise(ERR_ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays");
        err_detail("Arrays of %d and %d dimensions are not compatible for concatenation.", a.ndim,
                   b.ndim);
        return e;
    }
    r.count = a.count + b.count;
    if (r.count > ELEMENTS_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (%d)",
                         ELEMENTS_MAX);
    int32_t end;
    if (ckd_add_i32(&end, r.lower[0], r.dims[0]))
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "array lower bound is too large: %d",
                         r.lower[0]);
    datum *values = arena_alloc(c->mem, sizeof(datum) * r.count);
    bool *nulls = arena_alloc(c->mem, sizeof(bool) * r.count);
    memcpy(values, a.values, sizeof(datum) * a.count);
    memcpy(values + a.count, b.values, sizeof(datum) * b.count);
    memcpy(nulls, a.nulls, sizeof(bool) * a.count);
    memcpy(nulls + a.count, b.nulls, sizeof(bool) * b.count);
    r.values = values;
    r.nulls = nulls;
    return array_make(c->mem, &r, out);
}

/* One-dimensional int4[] argument without nulls. */
static err_t fill_bounds(struct call *c, uint32_t n, struct array_view *view)
{
    TRY(array_read(c->mem, c->args[n], view));
    if (view->ndim > 1) {
        err_t e = err_raise(ERR_ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts");
        err_detail("Dimension array must be one dimensional.");
        return e;
    }
    for (uint32_t i = 0; i < view->count; i++)
        if (view->nulls[i])
            return err_raise(ERR_NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null");
    return ERR_OK;
}

static err_t fill(struct call *c, bool has_lower, datum *out)
{
    if (c->nulls[1] || (has_lower && c->nulls[2]))
        return err_raise(ERR_NULL_VALUE_NOT_ALLOWED,
                         "dimension array or low bound array cannot be null");
    struct array_view dims;
    struct array_view lower = {0};
    TRY(fill_bounds(c, 1, &dims));
    if (dims.count > DIMENSIONS_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                         "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                         dims.count, DIMENSIONS_MAX);
    if (has_lower) {
        TRY(fill_bounds(c, 2, &lower));
        if (lower.count != dims.count) {
            err_t e = err_raise(ERR_ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts");
            err_detail("Low bound array has different size than dimensions array.");
            return e;
        }
    }
    struct array_view view = {.element = c->arg_types[0], .ndim = (int32_t)dims.count};
    uint64_t count = dims.count > 0;
    for (uint32_t i = 0; i < dims.count; i++) {
        view.dims[i] = datum_i32(dims.values[i]);
        view.lower[i] = has_lower ? datum_i32(lower.values[i]) : 1;
        count = view.dims[i] < 0 ? UINT64_MAX : count * (uint64_t)view.dims[i];
        if (count > ELEMENTS_MAX)
            return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                             "array size exceeds the maximum allowed (%d)", ELEMENTS_MAX);
        int32_t end;
        if (ckd_add_i32(&end, view.lower[i], view.dims[i]))
            return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "array lower bound is too large: %d",
                             view.lower[i]);
    }
    if (count == 0)
        return empty_array(c, view.element, out);
    void *values;
    void *nulls;
    TRY(arena_alloc_try(c->mem, sizeof(datum) * count, &values));
    TRY(arena_alloc_try(c->mem, sizeof(bool) * count, &nulls));
    for (uint64_t i = 0; i < count; i++)
        ((datum *)values)[i] = c->args[0];
    memset(nulls, c->nulls[0], count);
    view.count = (uint32_t)count;
    view.values = values;
    view.nulls = nulls;
    return array_make(c->mem, &view, out);
}

FUNCTION(fn_array_fill)
{
    return fill(c, false, out);
}

FUNCTION(fn_array_fill_lower)
{
    return fill(c, true, out);
}

FUNCTION(fn_trim_array)
{
    struct array_view view;
    TRY(array_argument(c, 0, &view));
    int32_t length = view.ndim > 0 ? view.dims[0] : 0;
    int32_t n = ARG_I32(1);
    if (n < 0 || n > length)
        return err_raise(ERR_ARRAY_ELEMENT_ERROR,
                         "number of elements to trim must be between 0 and %d", length);
    if (n == length)
        return empty_array(c, view.element, out);
    view.count = view.count / (uint32_t)length * (uint32_t)(length - n);
    view.dims[0] = length - n;
    for (int32_t i = 0; i < view.ndim; i++)
        view.lower[i] = 1;
    return array_make(c->mem, &view, out);
}

/* ---- searching ---- */

static err_t element_order(struct call *c, oid element, const struct type_info **out)
{
    *out = type_find(element);
    if (*out == NULL || (*out)->compare == NULL)
        return err_raise(ERR_UNDEFINED_FUNCTION,
                         "could not identify an equality operator for type %s",
                         type_display(c->mem, element));
    return ERR_OK;
}

/* IS NOT DISTINCT FROM. */
static bool is_same(const struct type_info *t, datum a, bool a_null, datum b, bool b_null)
{
    if (a_null || b_null)
        return a_null && b_null;
    return t->compare(a, b) == 0;
}

static err_t search_begin(struct call *c, struct array_view *view, const struct type_info **t)
{
    TRY(array_argument(c, 0, view));
    if (view->ndim > 1)
        return err_not_built("searching for elements in multidimensional arrays is not supported");
    return element_order(c, view->element, t);
}

FUNCTION(fn_array_position)
{
    struct array_view view;
    const struct type_info *t;
    if (c->nulls[0])
        RETURN_NULL();
    TRY(search_begin(c, &view, &t));
    if (view.ndim < 1)
        RETURN_NULL();
    int64_t start = INT64_MIN;
    if (c->arg_count == 3) {
        if (c->nulls[2])
            return err_raise(ERR_NULL_VALUE_NOT_ALLOWED, "initial position must not be null");
        start = ARG_I32(2);
    }
    for (uint32_t i = 0; i < view.count; i++) {
        int64_t position = (int64_t)view.lower[0] + i;
        if (position >= start && is_same(t, view.values[i], view.nulls[i], c->args[1], c->nulls[1]))
            RETURN_I32((int32_t)position);
    }
    RETURN_NULL();
}

FUNCTION(fn_array_positions)
{
    struct array_view view;
    const struct type_info *t;
    if (c->nulls[0])
        RETURN_NULL();
    TRY(search_begin(c, &view, &t));
    datum *found = arena_alloc(c->mem, sizeof(datum) * (view.count + 1u));
    uint32_t count = 0;
    for (uint32_t i = 0; i < view.count; i++)
        if (is_same(t, view.values[i], view.nulls[i], c->args[1], c->nulls[1]))
            found[count++] = datum_of_i64((int64_t)view.lower[0] + i);
    return array_of(c->mem, TYPE_INT4, found, NULL, count, out);
}

FUNCTION(fn_array_remove)
{
    struct array_view view;
    const struct type_info *t;
    if (c->nulls[0])
        RETURN_NULL();
    TRY(array_argument(c, 0, &view));
    if (view.ndim > 1)
        return err_not_built("removing elements from multidimensional arrays is not supported");
    if (view.count == 0)
        RETURN_DATUM(c->args[0]);
    TRY(element_order(c, view.element, &t));
    datum *values = arena_alloc(c->mem, sizeof(datum) * view.count);
    bool *nulls = arena_alloc(c->mem, sizeof(bool) * view.count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < view.count; i++) {
        if (is_same(t, view.values[i], view.nulls[i], c->args[1], c->nulls[1]))
            continue;
        values[count] = view.values[i];
        nulls[count++] = view.nulls[i];
    }
    if (count == view.count)
        RETURN_DATUM(c->args[0]);
    if (count == 0)
        return empty_array(c, view.element, out);
    view.count = count;
    view.dims[0] = (int32_t)count;
    view.values = values;
    view.nulls = nulls;
    return array_make(c->mem, &view, out);
}

FUNCTION(fn_array_replace)
{
    struct array_view view;
    const struct type_info *t;
    if (c->nulls[0])
        RETURN_NULL();
    TRY(array_argument(c, 0, &view));
    if (view.count == 0)
        RETURN_DATUM(c->args[0]);
    TRY(element_order(c, view.element, &t));
    datum *values = arena_alloc(c->mem, sizeof(datum) * view.count);
    bool *nulls = arena_alloc(c->mem, sizeof(bool) * view.count);
    for (uint32_t i = 0; i < view.count; i++) {
        bool hit = is_same(t, view.values[i], view.nulls[i], c->args[1], c->nulls[1]);
        values[i] = hit ? c->args[2] : view.values[i];
        nulls[i] = hit ? c->nulls[2] : view.nulls[i];
    }
    view.values = values;
    view.nulls = nulls;
    return array_make(c->mem, &view, out);
}

/* width_bucket(operand, sorted thresholds): how many thresholds are not above the operand. */
FUNCTION(fn_width_bucket_array)
{
    struct array_view view;
    const struct type_info *t;
    TRY(array_argument(c, 1, &view));
    if (view.ndim > 1)
        return err_raise(ERR_ARRAY_SUBSCRIPT_ERROR, "thresholds must be one-dimensional array");
    for (uint32_t i = 0; i < view.count; i++)
        if (view.nulls[i])
            return err_raise(ERR_NULL_VALUE_NOT_ALLOWED, "thresholds array must not contain NULLs");
    TRY(element_order(c, view.element, &t));
    uint32_t from = 0;
    uint32_t end = view.count;
    while (from < end) {
        uint32_t middle = from + (end - from) / 2;
        if (t->compare(c->args[0], view.values[middle]) < 0)
            end = middle;
        else
            from = middle + 1;
    }
    RETURN_I32((int32_t)from);
}

/* ---- comparison and containment ---- */

static err_t compare_arrays(struct call *c, const char *what, int *out)
{
    oid element = element_of(c->arg_types[0]);
    const struct varlen *x = datum_varlen(c->args[0]);
    const struct varlen *y = datum_varlen(c->args[1]);
    struct shape s;
    TRY(shape_read(c->args[0], &s));
    TRY(shape_read(c->args[1], &s));
    if (element == OID_NONE)
        element = load_u32(x->data + 8);
    const struct type_info *t = type_find(element);
    if (t == NULL || t->compare == NULL)
        return err_raise(ERR_UNDEFINED_FUNCTION, "could not identify %s for type %s", what,
                         type_display(c->mem, element));
    datum b = c->args[1];
    if (load_u32(x->data + 8) != load_u32(y->data + 8)) {
        struct array_view view;
        TRY(array_read(c->mem, b, &view));
        view.element = load_u32(x->data + 8);
        TRY(array_make(c->mem, &view, &b));
    }
    *out = array_compare(c->args[0], b);
    return ERR_OK;
}

#define ARRAY_COMPARISON(name, relation, what)                                                     \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        int order;                                                                                 \
        TRY(compare_arrays(c, what, &order));                                                      \
        RETURN_BOOL(order relation 0);                                                             \
    }
ARRAY_COMPARISON(fn_array_eq, ==, "an equality operator")
ARRAY_COMPARISON(fn_array_ne, !=, "an equality operator")
ARRAY_COMPARISON(fn_array_lt, <, "a comparison function")
ARRAY_COMPARISON(fn_array_le, <=, "a comparison function")
ARRAY_COMPARISON(fn_array_gt, >, "a comparison function")
ARRAY_COMPARISON(fn_array_ge, >=, "a comparison function")

FUNCTION(fn_btarraycmp)
{
    int order;
    TRY(compare_arrays(c, "a comparison function", &order));
    RETURN_I32((order > 0) - (order < 0));
}

FUNCTION(fn_array_larger)
{
    int order;
    TRY(compare_arrays(c, "a comparison function", &order));
    RETURN_DATUM(c->args[order > 0 ? 0 : 1]);
}

FUNCTION(fn_array_smaller)
{
    int order;
    TRY(compare_arrays(c, "a comparison function", &order));
    RETURN_DATUM(c->args[order < 0 ? 0 : 1]);
}

/* Elements of an array by hash, for membership in arrays that are not small. */
struct member_set {
    const struct array_view *view;
    const struct type_info *type;
    uint32_t *slots; /* element + 1; NULL: walk the array */
    uint32_t mask;
};

static void member_set_init(struct call *c, struct member_set *m, const struct array_view *view,
                            const struct type_info *t, uint32_t lookups)
{
    enum { WALK_MAX = 64 };
    *m = (struct member_set){.view = view, .type = t};
    if (t->hash == NULL || (uint64_t)view->count * lookups <= WALK_MAX)
        return;
    uint32_t capacity = 16;
    while (capacity < view->count * 2)
        capacity *= 2;
    m->slots = ARENA_ARRAY(c->mem, uint32_t, capacity);
    m->mask = capacity - 1;
    for (uint32_t i = 0; i < view->count; i++) {
        if (view->nulls[i])
            continue;
        uint32_t at = (uint32_t)t->hash(view->values[i]) & m->mask;
        while (m->slots[at] != 0 &&
               t->compare(view->values[m->slots[at] - 1], view->values[i]) != 0)
            at = (at + 1) & m->mask;
        m->slots[at] = i + 1;
    }
}

static bool member_set_has(const struct member_set *m, datum value)
{
    const struct array_view *v = m->view;
    if (m->slots == NULL) {
        for (uint32_t i = 0; i < v->count; i++)
            if (!v->nulls[i] && m->type->compare(v->values[i], value) == 0)
                return true;
        return false;
    }
    for (uint32_t at = (uint32_t)m->type->hash(value) & m->mask; m->slots[at] != 0;
         at = (at + 1) & m->mask)
        if (m->type->compare(v->values[m->slots[at] - 1], value) == 0)
            return true;
    return false;
}

/* all: every element of `part` is in `whole`; else: one is. A null is in no array. */
static err_t contains(struct call *c, uint32_t whole, uint32_t part, bool all, bool *out)
{
    struct array_view w;
    struct array_view p;
    const struct type_info *t;
    TRY(array_argument(c, whole, &w));
    TRY(array_argument(c, part, &p));
    TRY(element_order(c, w.element, &t));
    struct member_set m;
    member_set_init(c, &m, &w, t, p.count);
    *out = all;
    for (uint32_t i = 0; i < p.count; i++) {
        bool hit = !p.nulls[i] && member_set_has(&m, p.values[i]);
        if (hit != all) {
            *out = hit;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

#define CONTAINMENT(name, whole, part, all)                                                        \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        bool result;                                                                               \
        TRY(contains(c, whole, part, all, &result));                                               \
        RETURN_BOOL(result);                                                                       \
    }
CONTAINMENT(fn_arraycontains, 0, 1, true)
CONTAINMENT(fn_arraycontained, 1, 0, true)
CONTAINMENT(fn_arrayoverlap, 0, 1, false)

/* ---- text ---- */

FUNCTION(fn_array_to_string)
{
    if (c->nulls[0] || c->nulls[1])
        RETURN_NULL();
    struct array_view view;
    TRY(array_argument(c, 0, &view));
    const struct varlen *delimiter = ARG_VARLEN(1);
    const struct varlen *null_text = c->arg_count == 3 && !c->nulls[2] ? ARG_VARLEN(2) : NULL;
    struct strbuf b;
    strbuf_init(&b, c->mem);
    bool is_first = true;
    for (uint32_t i = 0; i < view.count; i++) {
        if (view.nulls[i] && null_text == NULL)
            continue;
        if (!is_first)
            TRY(strbuf_put(&b, delimiter->data, delimiter->len));
        is_first = false;
        if (view.nulls[i])
            TRY(strbuf_put(&b, null_text->data, null_text->len));
        else
            TRY(value_output(c->env, c->mem, view.element, view.values[i], &b));
    }
    return result_strbuf(c, &b, out);
}
