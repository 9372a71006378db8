/*
 * sum, avg, variance and deviation over numeric, and over integers where the result is numeric.
 *
 * A running sum is an array of 64-bit totals, one per base-10000 place, so that adding a value is
 * one pass over its digits and allocates nothing; carries are settled at the end. A place takes 9 ·
 * 10^14 values before it could overflow.
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/types/number.h"

struct accumulator {
    int64_t *places; /* places[i] counts 10000^(high - i) */
    int32_t high;
    int32_t count;
    int32_t dscale;
};

struct numeric_state {
    int64_t values; /* finite ones */
    int64_t nans;
    int64_t infinities;
    int64_t minus_infinities;
    struct accumulator sum;
    struct accumulator squares;
};

static void accumulator_widen(struct arena *mem, struct accumulator *a, int32_t high, int32_t low)
{
    int32_t old_low = a->high - a->count + 1;
    if (a->count > 0 && high <= a->high && low >= old_low)
        return;
    if (a->count > 0) {
        high = MAX(high, a->high);
        low = MIN(low, old_low);
    }
    int32_t room = high - low + 3; /* a little more at each end, so that this is rare */
    int64_t *places = ARENA_ARRAY(mem, int64_t, room);
    high += 1;
    if (a->count > 0)
        memcpy(places + (high - a->high), a->places, sizeof(*places) * (size_t)a->count);
    a->places = places;
    a->high = high;
    a->count = room;
}

static void accumulator_add(struct arena *mem, struct accumulator *a, const struct number *n)
{
    a->dscale = MAX(a->dscale, n->dscale);
    if (n->count == 0)
        return;
    accumulator_widen(mem, a, n->weight, n->weight - n->count + 1);
    int64_t *at = a->places + (a->high - n->weight);
    if (n->sign == NUMERIC_NEGATIVE) {
        for (int32_t i = 0; i < n->count; i++)
            at[i] -= n->digits[i];
    } else {
        for (int32_t i = 0; i < n->count; i++)
            at[i] += n->digits[i];
    }
}

static struct number accumulator_total(struct arena *mem, const struct accumulator *a)
{
    enum { EXTRA = 5 }; /* places that carries of 64-bit totals can reach */
    int32_t count = a->count + EXTRA;
    int64_t *work = ARENA_ARRAY(mem, int64_t, count + 1);
    if (a->count)
        memcpy(work + EXTRA, a->places, sizeof(*work) * (size_t)a->count);
    int64_t carry = 0;
    for (int32_t i = count - 1; i > 0; i--) {
        int64_t v = work[i] + carry;
        carry = v / NUMERIC_BASE;
        work[i] = v % NUMERIC_BASE;
    }
    work[0] += carry;
    bool negative = false;
    for (int32_t i = 0; i < count; i++) {
        if (work[i] != 0) {
            negative = work[i] < 0;
            break;
        }
    }
    int64_t borrow = 0;
    struct number n = {.digits = ARENA_ARRAY(mem, int16_t, count + 1), .count = count};
    for (int32_t i = count - 1; i >= 0; i--) {
        int64_t v = (negative ? -work[i] : work[i]) - borrow;
        borrow = v < 0;
        n.digits[i] = (int16_t)(v + (borrow ? NUMERIC_BASE : 0));
    }
    n.weight = a->high + EXTRA;
    n.sign = negative ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE;
    n.dscale = a->dscale;
    number_normalize(&n);
    return n;
}

/* ---- steps ---- */

static void argument_number(struct aggregate_call *a, struct number *n)
{
    if (a->call.arg_types[0] == TYPE_NUMERIC)
        number_read(a->call.args[0], n);
    else
        *n = number_of_i64(a->call.mem, datum_i64(a->call.args[0]));
}

static err_t numeric_state_add(struct aggregate_call *a, struct numeric_state *s, bool squares)
{
    struct number n;
    argument_number(a, &n);
    if (number_is_special(&n)) {
        s->nans += n.sign == NUMERIC_NAN;
        s->infinities += n.sign == NUMERIC_INFINITY;
        s->minus_infinities += n.sign == NUMERIC_MINUS_INFINITY;
        return ERR_OK;
    }
    s->values++;
    accumulator_add(a->mem, &s->sum, &n);
    if (squares) {
        struct number square = number_mul(a->call.mem, &n, &n, 2 * n.dscale);
        accumulator_add(a->mem, &s->squares, &square);
    }
    return ERR_OK;
}

static err_t numeric_sum_step(struct aggregate_call *a, void *state)
{
    return numeric_state_add(a, state, false);
}

static err_t numeric_variance_step(struct aggregate_call *a, void *state)
{
    return numeric_state_add(a, state, true);
}

/* ---- partial states: four counts, then the two sums as packed numerics ---- */

static err_t save_total(struct aggregate_call *a, const struct accumulator *sum, struct strbuf *out)
{
    struct number n = accumulator_total(a->call.mem, sum);
    datum packed;
    TRY(number_pack(a->call.mem, &n, &packed));
    const struct varlen *v = datum_varlen(packed);
    TRY(strbuf_put(out, &v->len, sizeof(v->len)));
    return strbuf_put(out, v->data, v->len);
}

static err_t numeric_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    const struct numeric_state *s = state;
    const int64_t counts[4] = {s->values, s->nans, s->infinities, s->minus_infinities};
    TRY(strbuf_put(out, counts, sizeof(counts)));
    TRY(save_total(a, &s->sum, out));
    return save_total(a, &s->squares, out);
}

static err_t merge_total(struct aggregate_call *a, struct accumulator *sum, const uint8_t **bytes,
                         const uint8_t *end)
{
    if (end - *bytes < 4)
        return err_raise(ERR_DATA_CORRUPTED, "partial aggregate state is too short");
    uint32_t len = load_u32(*bytes);
    *bytes += 4;
    if ((size_t)(end - *bytes) < len || len < 6)
        return err_raise(ERR_DATA_CORRUPTED, "partial aggregate state is too short");
    struct number n;
    number_read(datum_of_varlen(varlen_new(a->call.mem, *bytes, len)), &n);
    accumulator_add(a->mem, sum, &n);
    *bytes += len;
    return ERR_OK;
}

static err_t numeric_merge(struct aggregate_call *a, void *state, const uint8_t *bytes, size_t len)
{
    struct numeric_state *s = state;
    const uint8_t *end = bytes + len;
    int64_t counts[4];
    if (len < sizeof(counts))
        return err_raise(ERR_DATA_CORRUPTED, "partial aggregate state is too short");
    memcpy(counts, bytes, sizeof(counts));
    bytes += sizeof(counts);
    s->values += counts[0];
    s->nans += counts[1];
    s->infinities += counts[2];
    s->minus_infinities += counts[3];
    TRY(merge_total(a, &s->sum, &bytes, end));
    return merge_total(a, &s->squares, &bytes, end);
}

/* ---- results ---- */

/* Sums with NaN or infinities in them; false: the finite sum stands. */
static bool special_total(const struct numeric_state *s, struct number *n)
{
    *n = (struct number){0};
    if (s->nans || (s->infinities && s->minus_infinities))
        n->sign = NUMERIC_NAN;
    else if (s->infinities)
        n->sign = NUMERIC_INFINITY;
    else if (s->minus_infinities)
        n->sign = NUMERIC_MINUS_INFINITY;
    else
        return false;
    return true;
}

static bool is_empty(const struct numeric_state *s)
{
    return s->values + s->nans + s->infinities + s->minus_infinities == 0;
}

static err_t numeric_sum_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    const struct numeric_state *s = state;
    struct number n;
    *is_null = is_empty(s);
    if (*is_null)
        return ERR_OK;
    if (!special_total(s, &n))
        n = accumulator_total(a->call.mem, &s->sum);
    return number_pack(a->call.mem, &n, out);
}

static err_t numeric_avg_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    const struct numeric_state *s = state;
    struct number n;
    *is_null = is_empty(s);
    if (*is_null)
        return ERR_OK;
    if (special_total(s, &n))
        return number_pack(a->call.mem, &n, out);
    n = accumulator_total(a->call.mem, &s->sum);
    struct number count = number_of_i64(a->call.mem, s->values);
    n = number_div(a->call.mem, &n, &count, number_div_scale(&n, &count), true);
    return number_pack(a->call.mem, &n, out);
}

static err_t variance_final(struct aggregate_call *a, const struct numeric_state *s, bool sample,
                            bool root, datum *out, bool *is_null)
{
    struct arena *mem = a->call.mem;
    int64_t all = s->values + s->nans + s->infinities + s->minus_infinities;
    *is_null = all == 0 || (sample && all == 1);
    if (*is_null)
        return ERR_OK;
    struct number r = {.sign = NUMERIC_NAN};
    if (all != s->values)
        return number_pack(mem, &r, out);
    struct number sum = accumulator_total(mem, &s->sum);
    struct number squares = accumulator_total(mem, &s->squares);
    struct number count = number_of_i64(mem, s->values);
    struct number below = number_of_i64(mem, sample ? s->values - 1 : s->values);
    int32_t scale = 2 * sum.dscale;
    struct number a1 = number_mul(mem, &count, &squares, scale);
    struct number b1 = number_mul(mem, &sum, &sum, scale);
    struct number top = number_sub(mem, &a1, &b1);
    if (top.count == 0 || top.sign == NUMERIC_NEGATIVE) {
        *out = numeric_of_i64(mem, 0);
        return ERR_OK;
    }
    struct number bottom = number_mul(mem, &count, &below, 0);
    scale = number_div_scale(&top, &bottom);
    r = number_div(mem, &top, &bottom, scale, true);
    if (root)
        r = number_sqrt(mem, &r, scale);
    return number_pack(mem, &r, out);
}

#define VARIANCE(name, sample, root)                                                               \
    static err_t name(struct aggregate_call *a, void *state, datum *out, bool *is_null)            \
    {                                                                                              \
        return variance_final(a, state, sample, root, out, is_null);                               \
    }
VARIANCE(var_samp_final, true, false)
VARIANCE(var_pop_final, false, false)
VARIANCE(stddev_samp_final, true, true)
VARIANCE(stddev_pop_final, false, true)

#define NUMERIC_AGGREGATE(name, step_function, final_function)                                     \
    const struct aggregate name = {                                                                \
        .state_bytes = sizeof(struct numeric_state),                                               \
        .step = step_function,                                                                     \
        .final = final_function,                                                                   \
        .save = numeric_save,                                                                      \
        .merge = numeric_merge,                                                                    \
    }
NUMERIC_AGGREGATE(agg_numeric_sum, numeric_sum_step, numeric_sum_final);
NUMERIC_AGGREGATE(agg_numeric_avg, numeric_sum_step, numeric_avg_final);
NUMERIC_AGGREGATE(agg_numeric_var_samp, numeric_variance_step, var_samp_final);
NUMERIC_AGGREGATE(agg_numeric_var_pop, numeric_variance_step, var_pop_final);
NUMERIC_AGGREGATE(agg_numeric_stddev_samp, numeric_variance_step, stddev_samp_final);
NUMERIC_AGGREGATE(agg_numeric_stddev_pop, numeric_variance_step, stddev_pop_final);
