/*
 * Operators and functions on numeric. The scales of inexact results are chosen as PostgreSQL
 * chooses them: at least 16 significant digits and not fewer places than the inputs have.
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/types/number.h"

#include <math.h>
#include <stdlib.h>

static err_t result_number(struct call *c, const struct number *n, datum *out)
{
    return number_pack(c->mem, n, out);
}

static err_t result_special(struct call *c, enum numeric_sign sign, datum *out)
{
    struct number n = {.sign = sign};
    return number_pack(c->mem, &n, out);
}

static struct number arg_number(struct call *c, uint32_t i)
{
    struct number n;
    number_read(c->args[i], &n);
    return n;
}

#define NUMERIC_COMPARISON(name, relation)                                                         \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        RETURN_BOOL(numeric_compare(c->args[0], c->args[1]) relation 0);                           \
    }
NUMERIC_COMPARISON(fn_numeric_eq, ==)
NUMERIC_COMPARISON(fn_numeric_ne, !=)
NUMERIC_COMPARISON(fn_numeric_gt, >)
NUMERIC_COMPARISON(fn_numeric_ge, >=)
NUMERIC_COMPARISON(fn_numeric_lt, <)
NUMERIC_COMPARISON(fn_numeric_le, <=)

FUNCTION(fn_numeric_cmp)
{
    RETURN_I32(numeric_compare(c->args[0], c->args[1]));
}

FUNCTION(fn_numeric_larger)
{
    RETURN_DATUM(numeric_compare(c->args[0], c->args[1]) > 0 ? c->args[0] : c->args[1]);
}

FUNCTION(fn_numeric_smaller)
{
    RETURN_DATUM(numeric_compare(c->args[0], c->args[1]) < 0 ? c->args[0] : c->args[1]);
}

FUNCTION(fn_numeric_add)
{
    return numeric_add(c->mem, c->args[0], c->args[1], out);
}

FUNCTION(fn_numeric_sub)
{
    return numeric_sub(c->mem, c->args[0], c->args[1], out);
}

FUNCTION(fn_numeric_mul)
{
    return numeric_mul(c->mem, c->args[0], c->args[1], out);
}

FUNCTION(fn_numeric_div)
{
    return numeric_div(c->mem, c->args[0], c->args[1], out);
}

static bool number_is_inf(const struct number *n)
{
    return n->sign == NUMERIC_INFINITY || n->sign == NUMERIC_MINUS_INFINITY;
}

/* mod and div: infinities and zero divisors settled here; *done says that out is the answer. */
static err_t integral_division_special(struct call *c, const struct number *a,
                                       const struct number *b, bool is_mod, bool *done, datum *out)
{
    *done = true;
    if (a->sign == NUMERIC_NAN || b->sign == NUMERIC_NAN)
        return result_special(c, NUMERIC_NAN, out);
    if (!number_is_special(b) && b->count == 0)
        return raise_zero_division();
    if (number_is_inf(a)) {
        if (is_mod || number_is_inf(b))
            return result_special(c, NUMERIC_NAN, out);
        bool negative = (a->sign == NUMERIC_MINUS_INFINITY) != (b->sign == NUMERIC_NEGATIVE);
        return result_special(c, negative ? NUMERIC_MINUS_INFINITY : NUMERIC_INFINITY, out);
    }
    if (number_is_inf(b)) {
        *out = is_mod ? c->args[0] : numeric_of_i64(c->mem, 0);
        return ERR_OK;
    }
    *done = false;
    return ERR_OK;
}

/* What truncating division leaves; b is not zero. */
static struct number number_rest(struct arena *mem, const struct number *a, const struct number *b)
{
    struct number q = number_div(mem, a, b, 0, false);
    struct number product = number_mul(mem, &q, b, b->dscale);
    return number_sub(mem, a, &product);
}

FUNCTION(fn_numeric_mod)
{
    struct number a = arg_number(c, 0);
    struct number b = arg_number(c, 1);
    bool done;
    TRY(integral_division_special(c, &a, &b, true, &done, out));
    if (done)
        return ERR_OK;
    struct number r = number_rest(c->mem, &a, &b);
    return result_number(c, &r, out);
}

/* Euclid's algorithm; both finite. A step needs the last two rests only: there may be very many. */
static struct number greatest_divisor(struct call *c, struct number a, struct number b)
{
    enum { KEPT = 3 };
    int32_t dscale = MAX(a.dscale, b.dscale);
    struct arena *rests[KEPT] = {arena_new(), arena_new(), arena_new()};
    for (uint32_t step = 0; b.count != 0; step++) {
        struct arena *mem = rests[step % KEPT];
        arena_reset(mem);
        struct number r = number_rest(mem, &a, &b);
        a = b;
        b = r;
    }
    struct number g = number_truncate(c->mem, &a, a.dscale);
    for (uint32_t i = 0; i < KEPT; i++)
        arena_free(rests[i]);
    g.sign = NUMERIC_POSITIVE;
    g.dscale = dscale;
    return g;
}

FUNCTION(fn_numeric_gcd)
{
    struct number a = arg_number(c, 0);
    struct number b = arg_number(c, 1);
    if (number_is_special(&a) || number_is_special(&b))
        return result_special(c, NUMERIC_NAN, out);
    struct number g = greatest_divisor(c, a, b);
    return result_number(c, &g, out);
}

FUNCTION(fn_numeric_lcm)
{
    struct number a = arg_number(c, 0);
    struct number b = arg_number(c, 1);
    if (number_is_special(&a) || number_is_special(&b))
        return result_special(c, NUMERIC_NAN, out);
    int32_t dscale = MAX(a.dscale, b.dscale);
    struct number result = {.dscale = dscale};
    if (a.count && b.count) {
        struct number g = greatest_divisor(c, a, b);
        struct number q = number_div(c->mem, &a, &g, 0, false);
        result = number_mul(c->mem, &q, &b, dscale);
        result.sign = NUMERIC_POSITIVE;
        result.dscale = dscale;
    }
    return result_number(c, &result, out);
}

FUNCTION(fn_width_bucket_numeric)
{
    struct number operand = arg_number(c, 0);
    struct number low = arg_number(c, 1);
    struct number high = arg_number(c, 2);
    int32_t count = ARG_I32(3);
    if (count <= 0)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                         "count must be greater than zero");
    if (operand.sign == NUMERIC_NAN || low.sign == NUMERIC_NAN || high.sign == NUMERIC_NAN)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                         "operand, lower bound, and upper bound cannot be NaN");
    if (number_is_inf(&low) || number_is_inf(&high))
        return err_raise(ERR_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                         "lower and upper bounds must be finite");
    int order = numeric_compare(c->args[1], c->args[2]);
    if (order == 0)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                         "lower bound cannot equal upper bound");
    int below = numeric_compare(c->args[0], c->args[1]);
    int above = numeric_compare(c->args[0], c->args[2]);
    if (order < 0 ? below < 0 : below > 0)
        RETURN_I32(0);
    int32_t result;
    if (order < 0 ? above >= 0 : above <= 0) {
        if (ckd_add_i32(&result, count, 1))
            return raise_int_range("integer");
        RETURN_I32(result);
    }
    struct number width = number_sub(c->mem, &high, &low);
    struct number place = number_sub(c->mem, &operand, &low);
    struct number buckets = number_of_i64(c->mem, count);
    place = number_mul(c->mem, &place, &buckets, place.dscale);
    struct number q = number_div(c->mem, &place, &width, 0, false);
    datum packed;
    int64_t whole;
    TRY(number_pack(c->mem, &q, &packed));
    TRY(numeric_to_i64(packed, INT32_MIN, INT32_MAX, "integer", &whole));
    RETURN_I32((int32_t)MIN(whole, count - 1) + 1);
}

FUNCTION(fn_numeric_div_trunc)
{
    struct number a = arg_number(c, 0);
    struct number b = arg_number(c, 1);
    bool done;
    TRY(integral_division_special(c, &a, &b, false, &done, out));
    if (done)
        return ERR_OK;
    struct number q = number_div(c->mem, &a, &b, 0, false);
    return result_number(c, &q, out);
}

FUNCTION(fn_numeric_uminus)
{
    static const enum numeric_sign turned[] = {NUMERIC_NEGATIVE, NUMERIC_POSITIVE, NUMERIC_NAN,
                                               NUMERIC_MINUS_INFINITY, NUMERIC_INFINITY};
    struct number n = arg_number(c, 0);
    n.sign = turned[n.sign];
    return result_number(c, &n, out);
}

FUNCTION(fn_numeric_uplus)
{
    RETURN_DATUM(c->args[0]);
}

FUNCTION(fn_numeric_abs)
{
    struct number n = arg_number(c, 0);
    if (n.sign == NUMERIC_NEGATIVE)
        n.sign = NUMERIC_POSITIVE;
    else if (n.sign == NUMERIC_MINUS_INFINITY)
        n.sign = NUMERIC_INFINITY;
    return result_number(c, &n, out);
}

FUNCTION(fn_numeric_inc)
{
    return numeric_add(c->mem, c->args[0], numeric_of_i64(c->mem, 1), out);
}

/* Window frames: value compared with base plus or minus offset. */
FUNCTION(fn_in_range_numeric_numeric)
{
    enum numeric_sign value = arg_number(c, 0).sign;
    enum numeric_sign base = arg_number(c, 1).sign;
    enum numeric_sign offset = arg_number(c, 2).sign;
    bool sub = ARG_BOOL(3);
    bool less = ARG_BOOL(4);
    if (offset == NUMERIC_NAN || offset == NUMERIC_NEGATIVE || offset == NUMERIC_MINUS_INFINITY)
        return err_raise(ERR_INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                         "invalid preceding or following size in window function");
    if (value == NUMERIC_NAN)
        RETURN_BOOL(base == NUMERIC_NAN || !less);
    if (base == NUMERIC_NAN)
        RETURN_BOOL(less);
    if (offset == NUMERIC_INFINITY && base == (sub ? NUMERIC_INFINITY : NUMERIC_MINUS_INFINITY))
        RETURN_BOOL(true); /* infinity minus infinity: everything is in range */
    datum bound = 0;
    TRY((sub ? numeric_sub : numeric_add)(c->mem, c->args[1], c->args[2], &bound));
    int order = numeric_compare(c->args[0], bound);
    RETURN_BOOL(less ? order <= 0 : order >= 0);
}

FUNCTION(fn_numeric_sign)
{
    struct number n = arg_number(c, 0);
    if (n.sign == NUMERIC_NAN)
        return result_special(c, NUMERIC_NAN, out);
    bool negative = n.sign == NUMERIC_NEGATIVE || n.sign == NUMERIC_MINUS_INFINITY;
    bool zero = !number_is_special(&n) && n.count == 0;
    RETURN_DATUM(numeric_of_i64(c->mem, zero ? 0 : negative ? -1 : 1));
}

FUNCTION(fn_numeric_scale)
{
    struct number n = arg_number(c, 0);
    if (number_is_special(&n))
        RETURN_NULL();
    RETURN_I32(n.dscale);
}

static int32_t number_min_scale(const struct number *n)
{
    int32_t places = (n->count - n->weight - 1) * NUMERIC_BASE_DIGITS;
    if (n->count == 0 || places <= 0)
        return 0;
    int last = n->digits[n->count - 1];
    while (places > 0 && last % 10 == 0) {
        places--;
        last /= 10;
    }
    return places;
}

FUNCTION(fn_numeric_min_scale)
{
    struct number n = arg_number(c, 0);
    if (number_is_special(&n))
        RETURN_NULL();
    RETURN_I32(number_min_scale(&n));
}

FUNCTION(fn_numeric_trim_scale)
{
    struct number n = arg_number(c, 0);
    if (!number_is_special(&n))
        n.dscale = number_min_scale(&n);
    return result_number(c, &n, out);
}

/* ---- rounding ---- */

static err_t round_to(struct call *c, int32_t scale, bool round, datum *out)
{
    struct number n = arg_number(c, 0);
    if (number_is_special(&n))
        RETURN_DATUM(c->args[0]);
    scale = scale < -NUMERIC_SCALE_MAX ? -NUMERIC_SCALE_MAX : MIN(scale, NUMERIC_SCALE_MAX);
    struct number r = round ? number_round(c->mem, &n, scale) : number_truncate(c->mem, &n, scale);
    return result_number(c, &r, out);
}

FUNCTION(fn_numeric_round)
{
    return round_to(c, ARG_I32(1), true, out);
}

FUNCTION(fn_numeric_round_0)
{
    return round_to(c, 0, true, out);
}

FUNCTION(fn_numeric_trunc)
{
    return round_to(c, ARG_I32(1), false, out);
}

FUNCTION(fn_numeric_trunc_0)
{
    return round_to(c, 0, false, out);
}

static err_t round_toward(struct call *c, bool up, datum *out)
{
    struct number n = arg_number(c, 0);
    if (number_is_special(&n))
        RETURN_DATUM(c->args[0]);
    struct number r = number_truncate(c->mem, &n, 0);
    bool exact = number_compare(&r, &n) == 0;
    if (!exact && up != (n.sign == NUMERIC_NEGATIVE)) {
        struct number step = number_of_i64(c->mem, up ? 1 : -1);
        r = number_add(c->mem, &r, &step);
    }
    r.dscale = 0;
    return result_number(c, &r, out);
}

FUNCTION(fn_numeric_ceil)
{
    return round_toward(c, true, out);
}

FUNCTION(fn_numeric_floor)
{
    return round_toward(c, false, out);
}

/* numeric(numeric, typmod): the length coercion */
FUNCTION(fn_numeric_typmod)
{
    struct type_io io = {.mem = c->mem, .type = TYPE_NUMERIC, .typmod = ARG_I32(1)};
    return type_find(TYPE_NUMERIC)->apply_typmod(&io, c->args[0], true, out);
}

/* ---- casts ---- */

FUNCTION(fn_int8_numeric)
{
    RETURN_DATUM(numeric_of_i64(c->mem, ARG_I64(0)));
}

FUNCTION(fn_float8_numeric)
{
    return numeric_of_f64(c->mem, ARG_F64(0), out);
}

FUNCTION(fn_float4_numeric)
{
    return numeric_of_f32(c->mem, ARG_F32(0), out);
}

static err_t to_integer(struct call *c, int64_t min, int64_t max, const char *type, datum *out)
{
    int64_t v;
    TRY(numeric_to_i64(c->args[0], min, max, type, &v));
    RETURN_I64(v);
}

FUNCTION(fn_numeric_int2)
{
    return to_integer(c, INT16_MIN, INT16_MAX, "smallint", out);
}

FUNCTION(fn_numeric_int4)
{
    return to_integer(c, INT32_MIN, INT32_MAX, "integer", out);
}

FUNCTION(fn_numeric_int8)
{
    return to_integer(c, INT64_MIN, INT64_MAX, "bigint", out);
}

FUNCTION(fn_numeric_float8)
{
    double v;
    TRY(numeric_to_f64(c->mem, c->args[0], &v));
    RETURN_F64(v);
}

FUNCTION(fn_numeric_float4)
{
    double v;
    TRY(numeric_to_f64(c->mem, c->args[0], &v));
    float narrow = (float)v;
    if ((isinf(narrow) && !isinf(v)) || (narrow == 0 && v != 0)) {
        struct strbuf text;
        strbuf_init(&text, c->mem);
        struct number n;
        number_read(c->args[0], &n);
        number_format(&n, &text);
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "\"%s\" is out of range for type real",
                         text.data);
    }
    RETURN_F32(narrow);
}

/* ---- roots, powers, logarithms ---- */

static const double LOG10_E = 0.434294481903252;
enum { EXPONENT_MAX = 6000 };

static int32_t clamp_scale(int32_t scale, int32_t at_least)
{
    scale = MAX(scale, at_least);
    scale = MAX(scale, 0);
    return MIN(scale, NUMERIC_DISPLAY_SCALE_MAX);
}

FUNCTION(fn_numeric_sqrt)
{
    struct number n = arg_number(c, 0);
    if (n.sign == NUMERIC_NEGATIVE || n.sign == NUMERIC_MINUS_INFINITY)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "cannot take square root of a negative number");
    if (number_is_special(&n))
        RETURN_DATUM(c->args[0]);
    int32_t weight = n.weight * NUMERIC_BASE_DIGITS / 2 + 1;
    struct number r =
        number_sqrt(c->mem, &n, clamp_scale(NUMERIC_SIGNIFICANT_MIN - weight, n.dscale));
    return result_number(c, &r, out);
}

/* e^n to a scale, negated if told so; beyond e^6000 it overflows, below e^-6000 it is zero. */
static err_t exponential(struct call *c, const struct number *n, double approximate, bool negated,
                         int32_t scale, datum *out)
{
    if (approximate >= EXPONENT_MAX)
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    struct number r;
    if (approximate <= -EXPONENT_MAX) {
        r = number_of_i64(c->mem, 0);
        r.dscale = scale;
    } else {
        r = number_exp(c->mem, n, scale);
        if (negated && r.count > 0)
            r.sign = NUMERIC_NEGATIVE;
    }
    return result_number(c, &r, out);
}

FUNCTION(fn_numeric_exp)
{
    struct number n = arg_number(c, 0);
    if (n.sign == NUMERIC_MINUS_INFINITY)
        RETURN_DATUM(numeric_of_i64(c->mem, 0));
    if (number_is_special(&n))
        RETURN_DATUM(c->args[0]);
    double approximate = number_to_f64(&n);
    double digits = fmax(-2000, fmin(2000, approximate * LOG10_E));
    return exponential(c, &n, approximate, false,
                       clamp_scale(NUMERIC_SIGNIFICANT_MIN - (int32_t)digits, n.dscale), out);
}

static err_t check_logarithm(const struct number *n)
{
    if (n->sign == NUMERIC_NEGATIVE || n->sign == NUMERIC_MINUS_INFINITY)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_LOG,
                         "cannot take logarithm of a negative number");
    if (!number_is_special(n) && n->count == 0)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of zero");
    return ERR_OK;
}

FUNCTION(fn_numeric_ln)
{
    struct number n = arg_number(c, 0);
    if (n.sign == NUMERIC_NAN)
        RETURN_DATUM(c->args[0]);
    TRY(check_logarithm(&n));
    if (number_is_special(&n))
        RETURN_DATUM(c->args[0]);
    int32_t scale =
        clamp_scale(NUMERIC_SIGNIFICANT_MIN - number_ln_decimal_weight(c->mem, &n), n.dscale);
    struct number r = number_ln(c->mem, &n, scale);
    return result_number(c, &r, out);
}

static err_t logarithm(struct call *c, const struct number *base, const struct number *n,
                       datum *out)
{
    if (base->sign == NUMERIC_NAN || n->sign == NUMERIC_NAN)
        return result_special(c, NUMERIC_NAN, out);
    if (number_is_special(base) && n->sign == NUMERIC_NEGATIVE)
        TRY(check_logarithm(n));
    if (n->sign == NUMERIC_MINUS_INFINITY)
        TRY(check_logarithm(n));
    TRY(check_logarithm(base));
    TRY(check_logarithm(n));
    if (number_is_special(base) && number_is_special(n))
        return result_special(c, NUMERIC_NAN, out);
    if (number_is_special(n))
        return result_special(c, NUMERIC_INFINITY, out);
    if (number_is_special(base))
        RETURN_DATUM(numeric_of_i64(c->mem, 0));
    int32_t base_weight = number_ln_decimal_weight(c->mem, base);
    int32_t weight = number_ln_decimal_weight(c->mem, n);
    int32_t scale =
        clamp_scale(NUMERIC_SIGNIFICANT_MIN - (weight - base_weight), MAX(base->dscale, n->dscale));
    struct number ln_base = number_ln(c->mem, base, MAX(0, scale + weight - 2 * base_weight) + 8);
    struct number ln_n = number_ln(c->mem, n, MAX(0, scale + base_weight) + 8);
    if (ln_base.count == 0)
        return raise_zero_division();
    struct number r = number_div(c->mem, &ln_n, &ln_base, scale, true);
    return result_number(c, &r, out);
}

FUNCTION(fn_numeric_log)
{
    struct number base = arg_number(c, 0);
    struct number n = arg_number(c, 1);
    return logarithm(c, &base, &n, out);
}

FUNCTION(fn_numeric_log10)
{
    struct number base = number_of_i64(c->mem, 10);
    struct number n = arg_number(c, 0);
    return logarithm(c, &base, &n, out);
}

/* Power by an integer: repeated squaring, every product with enough places for the wanted scale. */
static err_t power_integer(struct call *c, const struct number *base, int64_t exponent,
                           int32_t least_scale, datum *out)
{
    double lead = number_to_f64(&(struct number){
        .count = base->count, .digits = base->digits, .weight = 0, .sign = NUMERIC_POSITIVE});
    double digits = (log10(lead) + base->weight * NUMERIC_BASE_DIGITS) * (double)exponent;
    if (digits > 131072 + 4)
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    int32_t scale = clamp_scale(NUMERIC_SIGNIFICANT_MIN, least_scale);
    if (digits + 1 < -scale) {
        struct number zero = number_of_i64(c->mem, 0);
        zero.dscale = scale;
        return result_number(c, &zero, out);
    }
    uint64_t e = exponent < 0 ? 0 - (uint64_t)exponent : (uint64_t)exponent;
    int32_t work = scale + (int32_t)fabs(digits) + 16;
    struct number r = number_of_i64(c->mem, 1);
    struct number square = *base;
    for (; e > 0; e >>= 1) {
        if (e & 1)
            r = number_mul(c->mem, &r, &square, MIN(r.dscale + square.dscale, work));
        if (e > 1)
            square = number_mul(c->mem, &square, &square, MIN(square.dscale + square.dscale, work));
    }
    if (exponent < 0) {
        struct number one = number_of_i64(c->mem, 1);
        if (r.count == 0)
            return raise_zero_division();
        r = number_div(c->mem, &one, &r, scale, true);
    } else {
        r = number_round(c->mem, &r, scale);
    }
    return result_number(c, &r, out);
}

static COLD err_t raise_zero_to_negative(void)
{
    return err_raise(ERR_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                     "zero raised to a negative power is undefined");
}
static COLD err_t raise_complex_power(void)
{
    return err_raise(ERR_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                     "a negative number raised to a non-integer power yields a complex result");
}

static err_t power_special(struct call *c, const struct number *a, const struct number *b,
                           datum *out)
{
    struct number one = number_of_i64(c->mem, 1);
    if (!number_is_special(a) && number_compare(a, &one) == 0)
        RETURN_DATUM(numeric_of_i64(c->mem, 1));
    if (!number_is_special(b) && b->count == 0)
        RETURN_DATUM(numeric_of_i64(c->mem, 1));
    if (a->sign == NUMERIC_NAN || b->sign == NUMERIC_NAN)
        return result_special(c, NUMERIC_NAN, out);
    if (!number_is_special(a) && a->count == 0 && b->sign == NUMERIC_MINUS_INFINITY)
        return raise_zero_to_negative();
    if (a->sign == NUMERIC_MINUS_INFINITY && !number_is_special(b) && number_min_scale(b) > 0)
        return raise_complex_power();
    double x = a->sign == NUMERIC_INFINITY         ? HUGE_VAL
               : a->sign == NUMERIC_MINUS_INFINITY ? -HUGE_VAL
                                                   : number_to_f64(a);
    double y = b->sign == NUMERIC_INFINITY         ? HUGE_VAL
               : b->sign == NUMERIC_MINUS_INFINITY ? -HUGE_VAL
                                                   : number_to_f64(b);
    double r = pow(x, y);
    if (isinf(r))
        return result_special(c, r > 0 ? NUMERIC_INFINITY : NUMERIC_MINUS_INFINITY, out);
    RETURN_DATUM(numeric_of_i64(c->mem, (int64_t)r));
}

FUNCTION(fn_numeric_power)
{
    struct number a = arg_number(c, 0);
    struct number b = arg_number(c, 1);
    if (number_is_special(&a) || number_is_special(&b))
        return power_special(c, &a, &b, out);
    if (a.count == 0 && b.sign == NUMERIC_NEGATIVE)
        return raise_zero_to_negative();
    bool integral = number_min_scale(&b) == 0;
    if (a.sign == NUMERIC_NEGATIVE && !integral)
        return raise_complex_power();
    if (a.count == 0) {
        struct number r = number_of_i64(c->mem, b.count == 0);
        r.dscale = NUMERIC_SIGNIFICANT_MIN;
        return result_number(c, &r, out);
    }
    if (integral && b.weight <= 2) {
        int64_t exponent;
        TRY(numeric_to_i64(c->args[1], INT64_MIN, INT64_MAX, "bigint", &exponent));
        if (exponent >= INT32_MIN && exponent <= INT32_MAX)
            return power_integer(c, &a, exponent, MAX(a.dscale, b.dscale), out);
    }
    bool negative =
        a.sign == NUMERIC_NEGATIVE && b.count == b.weight + 1 && (b.digits[b.count - 1] & 1) != 0;
    a.sign = NUMERIC_POSITIVE;
    /* The exponent of e, roughly: it bounds the digits that the exact steps need. */
    int32_t weight = number_ln_decimal_weight(c->mem, &a);
    struct number ln = number_ln(c->mem, &a, MAX(0, 8 - weight));
    struct number product = number_mul(c->mem, &ln, &b, MAX(0, 8 - weight));
    double approximate = number_to_f64(&product);
    if (fabs(approximate) > EXPONENT_MAX + 20) {
        if (approximate > 0)
            return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
        struct number zero = number_of_i64(c->mem, 0);
        zero.dscale = NUMERIC_DISPLAY_SCALE_MAX;
        return result_number(c, &zero, out);
    }
    int32_t digits = (int32_t)(approximate * LOG10_E);
    int32_t scale = clamp_scale(NUMERIC_SIGNIFICANT_MIN - digits, MAX(a.dscale, b.dscale));
    int32_t work = MAX(0, scale + digits) + 12;
    ln = number_ln(c->mem, &a, MAX(0, work - weight));
    product = number_mul(c->mem, &ln, &b, work);
    return exponential(c, &product, number_to_f64(&product), negative, scale, out);
}

FUNCTION(fn_numeric_fac)
{
    int64_t n = ARG_I64(0);
    if (n < 0)
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE,
                         "factorial of a negative number is undefined");
    if (n > 32177)
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    /* In place, lowest digit last; the largest factorial that fits takes all of them. */
    int32_t room = n < 2000 ? 2000 : NUMERIC_WEIGHT_MAX + 2;
    struct number r = {.digits = ARENA_ARRAY(c->mem, int16_t, room), .count = room};
    int32_t first = room - 1;
    r.digits[first] = 1;
    for (int32_t i = 2; i <= (int32_t)n; i++) {
        int32_t carry = 0;
        for (int32_t at = room - 1; at >= first || carry > 0; at--) {
            int32_t v = r.digits[at] * i + carry;
            r.digits[at] = (int16_t)(v % NUMERIC_BASE);
            carry = v / NUMERIC_BASE;
            first = MIN(first, at);
        }
    }
    r.digits += first;
    r.count -= first;
    r.weight = r.count - 1;
    while (r.count > 0 && r.digits[r.count - 1] == 0)
        r.count--;
    return result_number(c, &r, out);
}

/* ---- generate_series ---- */

struct numeric_series {
    datum current;
    datum stop;
    datum step;
};

static err_t numeric_series_begin(struct call *c, void **state)
{
    struct numeric_series *s = ARENA_NEW(c->state_mem, struct numeric_series);
    s->step = c->arg_count > 2 ? datum_copy(c->state_mem, c->args[2], false)
                               : numeric_of_i64(c->state_mem, 1);
    s->current = datum_copy(c->state_mem, c->args[0], false);
    s->stop = datum_copy(c->state_mem, c->args[1], false);
    struct number n;
    static const char *const names[] = {"start", "stop", "step size"};
    datum values[3] = {s->current, s->stop, s->step};
    for (int i = 0; i < 3; i++) {
        number_read(values[i], &n);
        if (number_is_special(&n))
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "%s value cannot be %s", names[i],
                             n.sign == NUMERIC_NAN ? "NaN" : "infinity");
    }
    if (n.count == 0)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "step size cannot equal zero");
    *state = s;
    return ERR_OK;
}

static err_t numeric_series_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    struct numeric_series *s = state;
    struct number step;
    number_read(s->step, &step);
    int order = numeric_compare(s->current, s->stop);
    *end = step.sign == NUMERIC_NEGATIVE ? order < 0 : order > 0;
    if (*end)
        return ERR_OK;
    values[0] = s->current;
    nulls[0] = false;
    return numeric_add(c->state_mem, s->current, s->step, &s->current);
}

const struct set_function set_numeric_series = {
    .column_count = 1,
    .begin = numeric_series_begin,
    .next = numeric_series_next,
};
