/*
 * Arithmetic and mathematics of float4 and float8. Overflow to infinity and underflow to zero are
 * errors unless an operand was already infinite or zero, in PostgreSQL's words.
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/types/float.h"

#include "core/core.h"

#include <errno.h>
#include <float.h>
#include <math.h>

static COLD err_t raise_overflow(void)
{
    return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
}
static COLD err_t raise_underflow(void)
{
    return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow");
}
static COLD err_t raise_input_range(void)
{
    return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range");
}

/* float4 arithmetic rounds to float at once, so overflow is seen in the narrow result. */
#define ARITHMETIC(p, type, A, B, RETURN)                                                          \
    FUNCTION(fn_##p##pl)                                                                           \
    {                                                                                              \
        type a = (type)A(0);                                                                       \
        type b = (type)B(1);                                                                       \
        type v = a + b;                                                                            \
        if (UNLIKELY(isinf(v)) && !isinf(a) && !isinf(b))                                          \
            return raise_overflow();                                                               \
        RETURN(v);                                                                                 \
    }                                                                                              \
    FUNCTION(fn_##p##mi)                                                                           \
    {                                                                                              \
        type a = (type)A(0);                                                                       \
        type b = (type)B(1);                                                                       \
        type v = a - b;                                                                            \
        if (UNLIKELY(isinf(v)) && !isinf(a) && !isinf(b))                                          \
            return raise_overflow();                                                               \
        RETURN(v);                                                                                 \
    }                                                                                              \
    FUNCTION(fn_##p##mul)                                                                          \
    {                                                                                              \
        type a = (type)A(0);                                                                       \
        type b = (type)B(1);                                                                       \
        type v = a * b;                                                                            \
        if (UNLIKELY(isinf(v)) && !isinf(a) && !isinf(b))                                          \
            return raise_overflow();                                                               \
        if (UNLIKELY(v == 0) && a != 0 && b != 0)                                                  \
            return raise_underflow();                                                              \
        RETURN(v);                                                                                 \
    }                                                                                              \
    FUNCTION(fn_##p##div)                                                                          \
    {                                                                                              \
        type a = (type)A(0);                                                                       \
        type b = (type)B(1);                                                                       \
        if (UNLIKELY(b == 0) && !isnan(a))                                                         \
            return raise_zero_division();                                                          \
        type v = a / b;                                                                            \
        if (UNLIKELY(isinf(v)) && !isinf(a))                                                       \
            return raise_overflow();                                                               \
        if (UNLIKELY(v == 0) && a != 0 && !isinf(b))                                               \
            return raise_underflow();                                                              \
        RETURN(v);                                                                                 \
    }
ARITHMETIC(float4, float, ARG_F32, ARG_F32, RETURN_F32)
ARITHMETIC(float8, double, ARG_F64, ARG_F64, RETURN_F64)
ARITHMETIC(float48, double, ARG_F32, ARG_F64, RETURN_F64)
ARITHMETIC(float84, double, ARG_F64, ARG_F32, RETURN_F64)

FUNCTION(fn_float4um)
{
    RETURN_F32(-ARG_F32(0));
}
FUNCTION(fn_float8um)
{
    RETURN_F64(-ARG_F64(0));
}
FUNCTION(fn_float4abs)
{
    RETURN_F32(fabsf(ARG_F32(0)));
}
FUNCTION(fn_float8abs)
{
    RETURN_F64(fabs(ARG_F64(0)));
}
FUNCTION(fn_ftod)
{
    RETURN_F64((double)ARG_F32(0));
}
FUNCTION(fn_dtof)
{
    double v = ARG_F64(0);
    float f = (float)v;
    if (isinf(f) && !isinf(v))
        return raise_overflow();
    if (f == 0 && v != 0)
        return raise_underflow();
    RETURN_F32(f);
}

/* ---- one argument, no error but range ---- */

#define SIMPLE(name, expression)                                                                   \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        double a = ARG_F64(0);                                                                     \
        RETURN_F64(expression);                                                                    \
    }
SIMPLE(fn_dround, rint(a))
SIMPLE(fn_dtrunc, trunc(a))
SIMPLE(fn_dceil, ceil(a))
SIMPLE(fn_dfloor, floor(a))
SIMPLE(fn_dsign, a > 0 ? 1.0 : a < 0 ? -1.0 : 0.0)
SIMPLE(fn_dcbrt, cbrt(a))
SIMPLE(fn_datan, atan(a))
SIMPLE(fn_dsinh, sinh(a))
SIMPLE(fn_dtanh, tanh(a))
SIMPLE(fn_dasinh, asinh(a))
SIMPLE(fn_dcosh, cosh(a))

FUNCTION(fn_dsqrt)
{
    double a = ARG_F64(0);
    if (a < 0)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "cannot take square root of a negative number");
    RETURN_F64(sqrt(a));
}
FUNCTION(fn_dexp)
{
    double a = ARG_F64(0);
    double v = exp(a);
    if (isinf(v) && !isinf(a))
        return raise_overflow();
    if (v == 0 && !isinf(a))
        return raise_underflow();
    RETURN_F64(v);
}
static err_t check_logarithm(double a)
{
    if (a == 0)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of zero");
    if (a < 0)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_LOG,
                         "cannot take logarithm of a negative number");
    return ERR_OK;
}
FUNCTION(fn_dlog1)
{
    TRY(check_logarithm(ARG_F64(0)));
    RETURN_F64(log(ARG_F64(0)));
}
FUNCTION(fn_dlog10)
{
    TRY(check_logarithm(ARG_F64(0)));
    RETURN_F64(log10(ARG_F64(0)));
}
FUNCTION(fn_dpow)
{
    double a = ARG_F64(0);
    double b = ARG_F64(1);
    if (isnan(a))
        RETURN_F64(b == 0 ? 1.0 : a);
    if (isnan(b))
        RETURN_F64(a == 1.0 ? 1.0 : b);
    if (a == 0 && b < 0)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "zero raised to a negative power is undefined");
    if (a < 0 && floor(b) != b)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "a negative number raised to a non-integer power yields a complex result");
    double v = pow(a, b);
    if (isinf(v) && !isinf(a) && !isinf(b))
        return raise_overflow();
    if (v == 0 && a != 0 && !isinf(a) && !isinf(b))
        return raise_underflow();
    RETURN_F64(v);
}

/* ---- trigonometry ---- */

#define PERIODIC(name, function)                                                                   \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        double a = ARG_F64(0);                                                                     \
        if (isinf(a))                                                                              \
            return raise_input_range();                                                            \
        RETURN_F64(function(a));                                                                   \
    }
static double cotangent(double a)
{
    return 1.0 / tan(a);
}
PERIODIC(fn_dsin, sin)
PERIODIC(fn_dcos, cos)
PERIODIC(fn_dtan, tan)
PERIODIC(fn_dcot, cotangent)
#define BOUNDED(name, function, low, high)                                                         \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        double a = ARG_F64(0);                                                                     \
        if (a < (low) || a > (high))                                                               \
            return raise_input_range();                                                            \
        RETURN_F64(function(a));                                                                   \
    }
BOUNDED(fn_dasin, asin, -1.0, 1.0)
BOUNDED(fn_dacos, acos, -1.0, 1.0)
BOUNDED(fn_dacosh, acosh, 1.0, INFINITY)
BOUNDED(fn_datanh, atanh, -1.0, 1.0)
FUNCTION(fn_datan2)
{
    RETURN_F64(atan2(ARG_F64(0), ARG_F64(1)));
}
FUNCTION(fn_degrees)
{
    double v = ARG_F64(0) / 0.0174532925199432957692;
    if (isinf(v) && !isinf(ARG_F64(0)))
        return raise_overflow();
    RETURN_F64(v);
}
FUNCTION(fn_radians)
{
    RETURN_F64(ARG_F64(0) * 0.0174532925199432957692);
}
FUNCTION(fn_dpi)
{
    (void)c;
    RETURN_F64(M_PI);
}

/*
 * Degrees. Results are scaled so that they are exact where people expect it (30, 45, 60, 90): each
 * function is computed in radians on the part of the first quadrant where it is most precise, and
 * divided by its own value at that part's end.
 */
#define RADIANS_PER_DEGREE 0.0174532925199432957692
static double sin_to_30(double a)
{
    return (sin(a * RADIANS_PER_DEGREE) / sin(30.0 * RADIANS_PER_DEGREE)) / 2.0;
}
static double cos_to_60(double a)
{
    return 1.0 -
           ((1.0 - cos(a * RADIANS_PER_DEGREE)) / (1.0 - cos(60.0 * RADIANS_PER_DEGREE))) / 2.0;
}
static double sin_first(double a) /* 0..90 */
{
    return a <= 30.0 ? sin_to_30(a) : cos_to_60(90.0 - a);
}
static double cos_first(double a)
{
    return a <= 60.0 ? cos_to_60(a) : sin_to_30(90.0 - a);
}
/* Into the first quadrant; signs of sine and cosine are changed along. */
static double first_quadrant(double a, double *sin_sign, double *cos_sign)
{
    *sin_sign = *cos_sign = 1.0;
    a = fmod(a, 360.0);
    if (a < 0.0) {
        a = -a;
        *sin_sign = -1.0;
    }
    if (a > 180.0) {
        a = 360.0 - a;
        *sin_sign = -*sin_sign;
    }
    if (a > 90.0) {
        a = 180.0 - a;
        *cos_sign = -1.0;
    }
    return a;
}
static double sin_degrees(double a)
{
    double s = 1.0;
    double t = 1.0;
    double r = first_quadrant(a, &s, &t);
    return s * sin_first(r);
}
static double cos_degrees(double a)
{
    double s = 1.0;
    double t = 1.0;
    double r = first_quadrant(a, &s, &t);
    return t * cos_first(r);
}
static double tan_degrees(double a)
{
    double s = 1.0;
    double t = 1.0;
    double r = first_quadrant(a, &s, &t);
    double v = s * t * ((sin_first(r) / cos_first(r)) / (sin_first(45.0) / cos_first(45.0)));
    return v == 0.0 ? 0.0 : v;
}
static double cot_degrees(double a)
{
    double s = 1.0;
    double t = 1.0;
    double r = first_quadrant(a, &s, &t);
    double v = s * t * ((cos_first(r) / sin_first(r)) / (cos_first(45.0) / sin_first(45.0)));
    return v == 0.0 ? 0.0 : v;
}
static double asin_part(double a) /* 0..1 */
{
    return a <= 0.5 ? (asin(a) / asin(0.5)) * 30.0 : 90.0 - (acos(a) / acos(0.5)) * 60.0;
}
static double acos_part(double a)
{
    return a <= 0.5 ? 90.0 - (asin(a) / asin(0.5)) * 30.0 : (acos(a) / acos(0.5)) * 60.0;
}
static double asin_degrees(double a)
{
    return a >= 0 ? asin_part(a) : isnan(a) ? a : -asin_part(-a);
}
static double acos_degrees(double a)
{
    return a >= 0 ? acos_part(a) : isnan(a) ? a : 90.0 + asin_part(-a);
}
PERIODIC(fn_dsind, sin_degrees)
PERIODIC(fn_dcosd, cos_degrees)
PERIODIC(fn_dtand, tan_degrees)
PERIODIC(fn_dcotd, cot_degrees)
BOUNDED(fn_dasind, asin_degrees, -1.0, 1.0)
BOUNDED(fn_dacosd, acos_degrees, -1.0, 1.0)
FUNCTION(fn_datand)
{
    RETURN_F64((atan(ARG_F64(0)) / atan(1.0)) * 45.0);
}
FUNCTION(fn_datan2d)
{
    RETURN_F64((atan2(ARG_F64(0), ARG_F64(1)) / atan(1.0)) * 45.0);
}

/* ---- random ---- */

FUNCTION(fn_drandom)
{
    (void)c;
    RETURN_F64((double)(core_random_u64() >> 11) * 0x1p-53);
}
FUNCTION(fn_setseed)
{
    double v = ARG_F64(0);
    *out = 0;
    if (!(v >= -1 && v <= 1))
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "setseed parameter %g is out of allowed range [-1,1]", v);
    return err_not_built("setseed is not supported yet");
}

/* ---- width_bucket ---- */

FUNCTION(fn_width_bucket_float8)
{
    double operand = ARG_F64(0);
    double low = ARG_F64(1);
    double high = ARG_F64(2);
    int32_t count = ARG_I32(3);
    if (count <= 0)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                         "count must be greater than zero");
    if (isnan(operand) || isnan(low) || isnan(high))
        return err_raise(ERR_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                         "operand, lower bound, and upper bound cannot be NaN");
    if (isinf(low) || isinf(high))
        return err_raise(ERR_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                         "lower and upper bounds must be finite");
    if (low == high)
        return err_raise(ERR_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                         "lower bound cannot equal upper bound");
    bool rising = low < high;
    if (rising ? operand < low : operand > low)
        RETURN_I32(0);
    int32_t result = 0;
    if (rising ? operand >= high : operand <= high) {
        if (ckd_add_i32(&result, count, 1))
            return raise_int_range("integer");
        RETURN_I32(result);
    }
    double place = rising ? (operand - low) / (high - low) : (low - operand) / (low - high);
    if (isinf(high - low))
        place = (operand / 2 - low / 2) / (high / 2 - low / 2);
    result = (int32_t)((double)count * place);
    RETURN_I32(MIN(result, count - 1) + 1);
}

/* ---- window frames: value compared with base plus or minus offset ---- */

static err_t float_in_range(struct call *c, double value, double base, double offset, datum *out)
{
    if (isnan(offset) || offset < 0)
        return err_raise(ERR_INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                         "invalid preceding or following size in window function");
    bool less = ARG_BOOL(4);
    if (isnan(value))
        RETURN_BOOL(isnan(base) || !less);
    if (isnan(base))
        RETURN_BOOL(less);
    /* Infinite base and offset of opposite direction: everything is in range. */
    if (isinf(offset) && isinf(base) && (ARG_BOOL(3) ? base > 0 : base < 0))
        RETURN_BOOL(true);
    double bound = ARG_BOOL(3) ? base - offset : base + offset;
    RETURN_BOOL(less ? value <= bound : value >= bound);
}
FUNCTION(fn_in_range_float8_float8)
{
    return float_in_range(c, ARG_F64(0), ARG_F64(1), ARG_F64(2), out);
}
FUNCTION(fn_in_range_float4_float8)
{
    return float_in_range(c, (double)ARG_F32(0), (double)ARG_F32(1), ARG_F64(2), out);
}
