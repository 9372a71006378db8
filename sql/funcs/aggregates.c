/*
 * Aggregates with small states: count, sum and avg of integers, min and max of any type with an
 * order, bool_and/bool_or and the bit aggregates. A step allocates nothing; only min and max of
 * by-reference types keep a buffer, which grows.
 *
 * A saved partial state is the state's own words (it travels between cores of one process only).
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/types/numeric.h"

static COLD err_t raise_short_state(void)
{
    return err_raise(ERR_DATA_CORRUPTED, "partial aggregate state has a wrong length");
}

/* ---- count ---- */

static err_t count_step(struct aggregate_call *a, void *state)
{
    (void)a;
    ++*(int64_t *)state;
    return ERR_OK;
}

static err_t count_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    (void)a;
    *is_null = false;
    *out = datum_of_i64(*(const int64_t *)state);
    return ERR_OK;
}

static err_t count_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    (void)a;
    return strbuf_put(out, state, sizeof(int64_t));
}

static err_t count_merge(struct aggregate_call *a, void *state, const uint8_t *bytes, size_t len)
{
    (void)a;
    if (len != sizeof(int64_t))
        return raise_short_state();
    *(int64_t *)state += (int64_t)load_u64(bytes);
    return ERR_OK;
}

const struct aggregate agg_count = {
    .state_bytes = sizeof(int64_t),
    .step = count_step,
    .final = count_final,
    .save = count_save,
    .merge = count_merge,
};

/* ---- sum and avg of integers ---- */

/* Integers are sign-extended words, so one step serves all three types. */
struct small_sum { /* of int2, int4 */
    int64_t sum;
    int64_t count;
};

struct wide_sum { /* of int8 */
    __int128 sum;
    int64_t count;
};

static err_t small_sum_step(struct aggregate_call *a, void *state)
{
    struct small_sum *s = state;
    s->sum += datum_i64(a->call.args[0]);
    s->count++;
    return ERR_OK;
}

static err_t wide_sum_step(struct aggregate_call *a, void *state)
{
    struct wide_sum *s = state;
    s->sum += datum_i64(a->call.args[0]);
    s->count++;
    return ERR_OK;
}

static err_t small_sum_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    (void)a;
    return strbuf_put(out, state, sizeof(struct small_sum));
}

static err_t small_sum_merge(struct aggregate_call *a, void *state, const uint8_t *bytes,
                             size_t len)
{
    (void)a;
    struct small_sum *s = state;
    struct small_sum other;
    if (len != sizeof(other))
        return raise_short_state();
    memcpy(&other, bytes, sizeof(other));
    s->sum += other.sum;
    s->count += other.count;
    return ERR_OK;
}

static err_t wide_sum_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    (void)a;
    return strbuf_put(out, state, sizeof(struct wide_sum));
}

static err_t wide_sum_merge(struct aggregate_call *a, void *state, const uint8_t *bytes, size_t len)
{
    (void)a;
    struct wide_sum *s = state;
    struct wide_sum other;
    if (len != sizeof(other))
        return raise_short_state();
    memcpy(&other, bytes, sizeof(other));
    s->sum += other.sum;
    s->count += other.count;
    return ERR_OK;
}

static err_t small_sum_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    (void)a;
    const struct small_sum *s = state;
    *is_null = s->count == 0;
    *out = datum_of_i64(s->sum);
    return ERR_OK;
}

static err_t wide_sum_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    const struct wide_sum *s = state;
    *is_null = s->count == 0;
    if (!*is_null)
        *out = numeric_of_i128(a->call.mem, s->sum);
    return ERR_OK;
}

static err_t average(struct aggregate_call *a, __int128 sum, int64_t count, datum *out,
                     bool *is_null)
{
    *is_null = count == 0;
    if (*is_null)
        return ERR_OK;
    struct arena *mem = a->call.mem;
    return numeric_div(mem, numeric_of_i128(mem, sum), numeric_of_i64(mem, count), out);
}

static err_t small_avg_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    const struct small_sum *s = state;
    return average(a, s->sum, s->count, out, is_null);
}

static err_t wide_avg_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    const struct wide_sum *s = state;
    return average(a, s->sum, s->count, out, is_null);
}

#define INTEGER_AGGREGATE(name, kind, final_function)                                              \
    const struct aggregate name = {                                                                \
        .state_bytes = sizeof(struct kind),                                                        \
        .step = kind##_step,                                                                       \
        .final = final_function,                                                                   \
        .save = kind##_save,                                                                       \
        .merge = kind##_merge,                                                                     \
    }
INTEGER_AGGREGATE(agg_int4_sum, small_sum, small_sum_final);
INTEGER_AGGREGATE(agg_int4_avg, small_sum, small_avg_final);
INTEGER_AGGREGATE(agg_int8_sum, wide_sum, wide_sum_final);
INTEGER_AGGREGATE(agg_int8_avg, wide_sum, wide_avg_final);

/* ---- min, max ---- */

struct extreme {
    const struct type_info *type; /* NULL until the first value */
    datum value;                  /* by reference: in room */
    struct varlen *room;
    uint32_t capacity;
};

static err_t extreme_keep(struct aggregate_call *a, struct extreme *s, datum value)
{
    if (s->type->by_value) {
        s->value = value;
        return ERR_OK;
    }
    const struct varlen *v = datum_varlen(value);
    if (s->room == NULL || v->len > s->capacity) {
        uint64_t capacity = MIN((uint64_t)v->len + v->len / 2 + 16, (uint64_t)ALLOC_BYTES_MAX - 64);
        capacity = MAX(capacity, (uint64_t)v->len);
        TRY(varlen_try(a->mem, NULL, capacity, &s->room));
        s->capacity = (uint32_t)capacity;
    }
    s->room->len = v->len;
    memmove(s->room->data, v->data, v->len);
    s->value = datum_of_varlen(s->room);
    return ERR_OK;
}

/* Of equal values that are not the same (1.0 and 1.00) PostgreSQL returns the later one, but the
 * earlier of character(n). */
static err_t extreme_add(struct aggregate_call *a, struct extreme *s, datum value, int sign)
{
    if (UNLIKELY(s->type == NULL)) {
        oid type = a->call.arg_types[0];
        const struct type_info *t = type_find(type);
        if (t == NULL || t->compare == NULL)
            return err_not_built("%s of type %s is not supported yet", a->call.func->name,
                                 type_display(a->call.mem, type));
        s->type = t;
        return extreme_keep(a, s, value);
    }
    int order = s->type->compare(value, s->value);
    if ((sign > 0 ? order < 0 : order > 0) ||
        (order == 0 && (s->type->by_value || s->type->oid == TYPE_BPCHAR)))
        return ERR_OK;
    return extreme_keep(a, s, value);
}

static err_t max_step(struct aggregate_call *a, void *state)
{
    return extreme_add(a, state, a->call.args[0], 1);
}

static err_t min_step(struct aggregate_call *a, void *state)
{
    return extreme_add(a, state, a->call.args[0], -1);
}

static err_t extreme_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    (void)a;
    const struct extreme *s = state;
    *is_null = s->type == NULL;
    *out = s->value;
    return ERR_OK;
}

/* Nothing, a word, or the varlen's data. */
static err_t extreme_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    (void)a;
    const struct extreme *s = state;
    if (s->type == NULL)
        return ERR_OK;
    TRY(strbuf_put(out, "v", 1));
    if (s->type->by_value)
        return strbuf_put(out, &s->value, sizeof(s->value));
    return strbuf_put(out, datum_varlen(s->value)->data, datum_varlen(s->value)->len);
}

static err_t extreme_merge(struct aggregate_call *a, void *state, const uint8_t *bytes, size_t len,
                           int sign)
{
    if (len == 0)
        return ERR_OK;
    const struct type_info *t = type_find(a->call.arg_types[0]);
    if (t == NULL)
        return raise_short_state();
    if (t->by_value) {
        if (len != 1 + sizeof(datum))
            return raise_short_state();
        return extreme_add(a, state, load_u64(bytes + 1), sign);
    }
    struct varlen *v;
    TRY(varlen_try(a->call.mem, bytes + 1, len - 1, &v));
    return extreme_add(a, state, datum_of_varlen(v), sign);
}

static err_t max_merge(struct aggregate_call *a, void *state, const uint8_t *bytes, size_t len)
{
    return extreme_merge(a, state, bytes, len, 1);
}

static err_t min_merge(struct aggregate_call *a, void *state, const uint8_t *bytes, size_t len)
{
    return extreme_merge(a, state, bytes, len, -1);
}

const struct aggregate agg_max = {
    .state_bytes = sizeof(struct extreme),
    .step = max_step,
    .final = extreme_final,
    .save = extreme_save,
    .merge = max_merge,
};
const struct aggregate agg_min = {
    .state_bytes = sizeof(struct extreme),
    .step = min_step,
    .final = extreme_final,
    .save = extreme_save,
    .merge = min_merge,
};

/* ---- and, or, xor of booleans and integers ---- */

struct bits {
    uint64_t word;
    uint64_t has_value;
};

static err_t bits_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    (void)a;
    const struct bits *s = state;
    *is_null = !s->has_value;
    *out = s->word;
    return ERR_OK;
}

static err_t bits_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    (void)a;
    return strbuf_put(out, state, sizeof(struct bits));
}

/* Sign-extended words stay sign-extended under all three. */
#define BIT_AGGREGATE(name, operator)                                                              \
    static err_t name##_step(struct aggregate_call *a, void *state)                                \
    {                                                                                              \
        struct bits *s = state;                                                                    \
        s->word = s->has_value ? s->word operator a->call.args[0] : a->call.args[0];               \
        s->has_value = 1;                                                                          \
        return ERR_OK;                                                                             \
    }                                                                                              \
    static err_t name##_merge(struct aggregate_call *a, void *state, const uint8_t *bytes,         \
                              size_t len)                                                          \
    {                                                                                              \
        (void)a;                                                                                   \
        struct bits *s = state;                                                                    \
        struct bits other;                                                                         \
        if (len != sizeof(other))                                                                  \
            return raise_short_state();                                                            \
        memcpy(&other, bytes, sizeof(other));                                                      \
        if (!other.has_value)                                                                      \
            return ERR_OK;                                                                         \
        s->word = s->has_value ? s->word operator other.word : other.word;                         \
        s->has_value = 1;                                                                          \
        return ERR_OK;                                                                             \
    }                                                                                              \
    const struct aggregate agg_##name = {                                                          \
        .state_bytes = sizeof(struct bits),                                                        \
        .step = name##_step,                                                                       \
        .final = bits_final,                                                                       \
        .save = bits_save,                                                                         \
        .merge = name##_merge,                                                                     \
    }
BIT_AGGREGATE(bit_and, &);
BIT_AGGREGATE(bit_or, |);
BIT_AGGREGATE(bit_xor, ^);
