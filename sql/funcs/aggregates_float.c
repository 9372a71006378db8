/*
 * sum, avg, variance, deviation, covariance, correlation and regression over floats.
 *
 * Squared deviations are kept by the updating formula of Youngs and Cramer, as PostgreSQL does, so
 * that results agree with its to the last digit: with N values of sum S, a further x adds
 * (x·N − S)² / (N·(N−1)), N and S taken with x in them. Chan's formula joins two parts.
 */
#include "sql/funcs/funcs_priv.h"

#include <math.h>

static COLD err_t raise_overflow(void)
{
    return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
}

static COLD err_t raise_short_state(void)
{
    return err_raise(ERR_DATA_CORRUPTED, "partial aggregate state has a wrong length");
}

/* ---- sum ---- */

struct float_sum {
    double sum; /* of float4: rounded to float after every step */
    uint64_t has_value;
};

static err_t float_sum_add(struct float_sum *s, double value, bool is_single)
{
    if (!s->has_value) {
        s->sum = value;
        s->has_value = 1;
        return ERR_OK;
    }
    double sum = is_single ? (double)((float)s->sum + (float)value) : s->sum + value;
    if (UNLIKELY(isinf(sum)) && !isinf(s->sum) && !isinf(value))
        return raise_overflow();
    s->sum = sum;
    return ERR_OK;
}

static err_t float4_sum_step(struct aggregate_call *a, void *state)
{
    return float_sum_add(state, (double)datum_f32(a->call.args[0]), true);
}

static err_t float8_sum_step(struct aggregate_call *a, void *state)
{
    return float_sum_add(state, datum_f64(a->call.args[0]), false);
}

static err_t float4_sum_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    (void)a;
    const struct float_sum *s = state;
    *is_null = !s->has_value;
    *out = datum_of_f32((float)s->sum);
    return ERR_OK;
}

static err_t float8_sum_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    (void)a;
    const struct float_sum *s = state;
    *is_null = !s->has_value;
    *out = datum_of_f64(s->sum);
    return ERR_OK;
}

static err_t float_sum_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    (void)a;
    return strbuf_put(out, state, sizeof(struct float_sum));
}

static err_t float_sum_merge(void *state, const uint8_t *bytes, size_t len, bool is_single)
{
    struct float_sum other;
    if (len != sizeof(other))
        return raise_short_state();
    memcpy(&other, bytes, sizeof(other));
    return other.has_value ? float_sum_add(state, other.sum, is_single) : ERR_OK;
}

static err_t float4_sum_merge(struct aggregate_call *a, void *state, const uint8_t *bytes,
                              size_t len)
{
    (void)a;
    return float_sum_merge(state, bytes, len, true);
}

static err_t float8_sum_merge(struct aggregate_call *a, void *state, const uint8_t *bytes,
                              size_t len)
{
    (void)a;
    return float_sum_merge(state, bytes, len, false);
}

const struct aggregate agg_float4_sum = {
    .state_bytes = sizeof(struct float_sum),
    .step = float4_sum_step,
    .final = float4_sum_final,
    .save = float_sum_save,
    .merge = float4_sum_merge,
};
const struct aggregate agg_float8_sum = {
    .state_bytes = sizeof(struct float_sum),
    .step = float8_sum_step,
    .final = float8_sum_final,
    .save = float_sum_save,
    .merge = float8_sum_merge,
};

/* ---- moments of one and of two variables ---- */

struct moments {
    double n;
    double sx;
    double sxx;
    double sy;
    double syy;
    double sxy;
};

static err_t moments_add(struct moments *m, double x)
{
    double n = m->n + 1;
    double sx = m->sx + x;
    if (m->n > 0) {
        double d = x * n - sx;
        double sxx = m->sxx + d * d / (n * m->n);
        if (UNLIKELY(isinf(sx) || isinf(sxx))) {
            if (!isinf(m->sx) && !isinf(x))
                return raise_overflow();
            sxx = NAN;
        }
        m->sxx = sxx;
    } else if (isnan(x) || isinf(x)) {
        m->sxx = NAN;
    }
    m->n = n;
    m->sx = sx;
    return ERR_OK;
}

static err_t moments_add_pair(struct moments *m, double x, double y)
{
    double n = m->n + 1;
    double sx = m->sx + x;
    double sy = m->sy + y;
    if (m->n > 0) {
        double dx = x * n - sx;
        double dy = y * n - sy;
        double scale = 1.0 / (n * m->n);
        double sxx = m->sxx + dx * dx * scale;
        double syy = m->syy + dy * dy * scale;
        double sxy = m->sxy + dx * dy * scale;
        bool x_was_finite = !isinf(m->sx) && !isinf(x);
        bool y_was_finite = !isinf(m->sy) && !isinf(y);
        if (((isinf(sx) || isinf(sxx)) && x_was_finite) ||
            ((isinf(sy) || isinf(syy)) && y_was_finite) ||
            (isinf(sxy) && x_was_finite && y_was_finite))
            return raise_overflow();
        m->sxx = isinf(sxx) ? NAN : sxx;
        m->syy = isinf(syy) ? NAN : syy;
        m->sxy = isinf(sxy) ? NAN : sxy;
    } else {
        if (isnan(x) || isinf(x))
            m->sxx = m->sxy = NAN;
        if (isnan(y) || isinf(y))
            m->syy = m->sxy = NAN;
    }
    m->n = n;
    m->sx = sx;
    m->sy = sy;
    return ERR_OK;
}

static err_t float4_moments_step(struct aggregate_call *a, void *state)
{
    return moments_add(state, (double)datum_f32(a->call.args[0]));
}

static err_t float8_moments_step(struct aggregate_call *a, void *state)
{
    return moments_add(state, datum_f64(a->call.args[0]));
}

/* (Y, X) is the order of arguments. */
static err_t pair_moments_step(struct aggregate_call *a, void *state)
{
    return moments_add_pair(state, datum_f64(a->call.args[1]), datum_f64(a->call.args[0]));
}

static err_t moments_save(struct aggregate_call *a, const void *state, struct strbuf *out)
{
    (void)a;
    return strbuf_put(out, state, sizeof(struct moments));
}

static bool became_infinite(double r, double a, double b)
{
    return isinf(r) && !isinf(a) && !isinf(b);
}

static err_t moments_merge(struct aggregate_call *a, void *state, const uint8_t *bytes, size_t len)
{
    (void)a;
    struct moments *m = state;
    struct moments o;
    if (len != sizeof(o))
        return raise_short_state();
    memcpy(&o, bytes, sizeof(o));
    if (o.n == 0)
        return ERR_OK;
    if (m->n == 0) {
        *m = o;
        return ERR_OK;
    }
    struct moments r = {.n = m->n + o.n, .sx = m->sx + o.sx, .sy = m->sy + o.sy};
    double dx = m->sx / m->n - o.sx / o.n;
    double dy = m->sy / m->n - o.sy / o.n;
    double weight = m->n * o.n;
    r.sxx = m->sxx + o.sxx + weight * dx * dx / r.n;
    r.syy = m->syy + o.syy + weight * dy * dy / r.n;
    r.sxy = m->sxy + o.sxy + weight * dx * dy / r.n;
    if (became_infinite(r.sx, m->sx, o.sx) || became_infinite(r.sy, m->sy, o.sy) ||
        became_infinite(r.sxx, m->sxx, o.sxx) || became_infinite(r.syy, m->syy, o.syy) ||
        became_infinite(r.sxy, m->sxy, o.sxy))
        return raise_overflow();
    *m = r;
    return ERR_OK;
}

/* ---- results: null when fewer than `least` values or when `undefined` ---- */

#define MOMENT_FINAL(name, least, undefined, result)                                               \
    static err_t name(struct aggregate_call *a, void *state, datum *out, bool *is_null)            \
    {                                                                                              \
        (void)a;                                                                                   \
        const struct moments *m = state;                                                           \
        *is_null = m->n < (least) || (undefined);                                                  \
        if (!*is_null)                                                                             \
            *out = datum_of_f64(result);                                                           \
        return ERR_OK;                                                                             \
    }
MOMENT_FINAL(avg_final, 1, false, m->sx / m->n)
MOMENT_FINAL(var_pop_final, 1, false, m->sxx / m->n)
MOMENT_FINAL(var_samp_final, 2, false, m->sxx / (m->n - 1))
MOMENT_FINAL(stddev_pop_final, 1, false, sqrt(m->sxx / m->n))
MOMENT_FINAL(stddev_samp_final, 2, false, sqrt(m->sxx / (m->n - 1)))
MOMENT_FINAL(regr_sxx_final, 1, false, m->sxx)
MOMENT_FINAL(regr_syy_final, 1, false, m->syy)
MOMENT_FINAL(regr_sxy_final, 1, false, m->sxy)
MOMENT_FINAL(regr_avgx_final, 1, false, m->sx / m->n)
MOMENT_FINAL(regr_avgy_final, 1, false, m->sy / m->n)
MOMENT_FINAL(covar_pop_final, 1, false, m->sxy / m->n)
MOMENT_FINAL(covar_samp_final, 2, false, m->sxy / (m->n - 1))
MOMENT_FINAL(corr_final, 1, m->sxx == 0 || m->syy == 0, m->sxy / sqrt(m->sxx * m->syy))
MOMENT_FINAL(regr_r2_final, 1, m->sxx == 0,
             m->syy == 0 ? 1.0 : (m->sxy * m->sxy) / (m->sxx * m->syy))
MOMENT_FINAL(regr_slope_final, 1, m->sxx == 0, m->sxy / m->sxx)
MOMENT_FINAL(regr_intercept_final, 1, m->sxx == 0, (m->sy - m->sx * m->sxy / m->sxx) / m->n)

static err_t regr_count_final(struct aggregate_call *a, void *state, datum *out, bool *is_null)
{
    (void)a;
    *is_null = false;
    *out = datum_of_i64((int64_t)((const struct moments *)state)->n);
    return ERR_OK;
}

#define MOMENT_AGGREGATE(name, step_function, final_function)                                      \
    const struct aggregate name = {                                                                \
        .state_bytes = sizeof(struct moments),                                                     \
        .step = step_function,                                                                     \
        .final = final_function,                                                                   \
        .save = moments_save,                                                                      \
        .merge = moments_merge,                                                                    \
    }
MOMENT_AGGREGATE(agg_float4_avg, float4_moments_step, avg_final);
MOMENT_AGGREGATE(agg_float8_avg, float8_moments_step, avg_final);
MOMENT_AGGREGATE(agg_float4_var_pop, float4_moments_step, var_pop_final);
MOMENT_AGGREGATE(agg_float8_var_pop, float8_moments_step, var_pop_final);
MOMENT_AGGREGATE(agg_float4_var_samp, float4_moments_step, var_samp_final);
MOMENT_AGGREGATE(agg_float8_var_samp, float8_moments_step, var_samp_final);
MOMENT_AGGREGATE(agg_float4_stddev_pop, float4_moments_step, stddev_pop_final);
MOMENT_AGGREGATE(agg_float8_stddev_pop, float8_moments_step, stddev_pop_final);
MOMENT_AGGREGATE(agg_float4_stddev_samp, float4_moments_step, stddev_samp_final);
MOMENT_AGGREGATE(agg_float8_stddev_samp, float8_moments_step, stddev_samp_final);
MOMENT_AGGREGATE(agg_regr_count, pair_moments_step, regr_count_final);
MOMENT_AGGREGATE(agg_regr_sxx, pair_moments_step, regr_sxx_final);
MOMENT_AGGREGATE(agg_regr_syy, pair_moments_step, regr_syy_final);
MOMENT_AGGREGATE(agg_regr_sxy, pair_moments_step, regr_sxy_final);
MOMENT_AGGREGATE(agg_regr_avgx, pair_moments_step, regr_avgx_final);
MOMENT_AGGREGATE(agg_regr_avgy, pair_moments_step, regr_avgy_final);
MOMENT_AGGREGATE(agg_regr_r2, pair_moments_step, regr_r2_final);
MOMENT_AGGREGATE(agg_regr_slope, pair_moments_step, regr_slope_final);
MOMENT_AGGREGATE(agg_regr_intercept, pair_moments_step, regr_intercept_final);
MOMENT_AGGREGATE(agg_covar_pop, pair_moments_step, covar_pop_final);
MOMENT_AGGREGATE(agg_covar_samp, pair_moments_step, covar_samp_final);
MOMENT_AGGREGATE(agg_corr, pair_moments_step, corr_final);
