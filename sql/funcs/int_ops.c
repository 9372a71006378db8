/*
 * Integer arithmetic, bit operations and casts between integers, floats, oids and bool. Every
 * overflow is an error in PostgreSQL's words; INT_MIN / -1 too.
 */
#include "sql/funcs/funcs_priv.h"

#include <math.h>

static bool fits(int64_t v, int64_t min, int64_t max)
{
    return v >= min && v <= max;
}

/* Results narrower than 64 bits: compute wide, check the range. */
#define NARROW(name, expression, min, max, type)                                                   \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        int64_t v = (expression);                                                                  \
        if (UNLIKELY(!fits(v, min, max)))                                                          \
            return raise_int_range(type);                                                          \
        *out = datum_of_i64(v);                                                                    \
        return ERR_OK;                                                                             \
    }
#define NARROW_DIVIDE(name, A, B, operator, min, max, type)                                        \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        int64_t b = B(1);                                                                          \
        if (UNLIKELY(b == 0))                                                                      \
            return raise_zero_division();                                                          \
        int64_t v = (int64_t)A(0) operator b;                                                      \
        if (UNLIKELY(!fits(v, min, max)))                                                          \
            return raise_int_range(type);                                                          \
        *out = datum_of_i64(v);                                                                    \
        return ERR_OK;                                                                             \
    }
#define PL(name, A, B, ...) NARROW(name, (int64_t)A(0) + B(1), __VA_ARGS__)
#define MI(name, A, B, ...) NARROW(name, (int64_t)A(0) - B(1), __VA_ARGS__)
#define MUL(name, A, B, ...) NARROW(name, (int64_t)A(0) * B(1), __VA_ARGS__)
#define DIV(name, A, B, ...) NARROW_DIVIDE(name, A, B, /, __VA_ARGS__)
PL(fn_int2pl, ARG_I16, ARG_I16, INT16_MIN, INT16_MAX, "smallint")
MI(fn_int2mi, ARG_I16, ARG_I16, INT16_MIN, INT16_MAX, "smallint")
MUL(fn_int2mul, ARG_I16, ARG_I16, INT16_MIN, INT16_MAX, "smallint")
DIV(fn_int2div, ARG_I16, ARG_I16, INT16_MIN, INT16_MAX, "smallint")
PL(fn_int4pl, ARG_I32, ARG_I32, INT32_MIN, INT32_MAX, "integer")
MI(fn_int4mi, ARG_I32, ARG_I32, INT32_MIN, INT32_MAX, "integer")
MUL(fn_int4mul, ARG_I32, ARG_I32, INT32_MIN, INT32_MAX, "integer")
DIV(fn_int4div, ARG_I32, ARG_I32, INT32_MIN, INT32_MAX, "integer")
PL(fn_int24pl, ARG_I16, ARG_I32, INT32_MIN, INT32_MAX, "integer")
MI(fn_int24mi, ARG_I16, ARG_I32, INT32_MIN, INT32_MAX, "integer")
MUL(fn_int24mul, ARG_I16, ARG_I32, INT32_MIN, INT32_MAX, "integer")
DIV(fn_int24div, ARG_I16, ARG_I32, INT32_MIN, INT32_MAX, "integer")
PL(fn_int42pl, ARG_I32, ARG_I16, INT32_MIN, INT32_MAX, "integer")
MI(fn_int42mi, ARG_I32, ARG_I16, INT32_MIN, INT32_MAX, "integer")
MUL(fn_int42mul, ARG_I32, ARG_I16, INT32_MIN, INT32_MAX, "integer")
DIV(fn_int42div, ARG_I32, ARG_I16, INT32_MIN, INT32_MAX, "integer")
NARROW(fn_int2um, -(int64_t)ARG_I16(0), INT16_MIN, INT16_MAX, "smallint")
NARROW(fn_int4um, -(int64_t)ARG_I32(0), INT32_MIN, INT32_MAX, "integer")
NARROW(fn_int2abs, ARG_I16(0) < 0 ? -(int64_t)ARG_I16(0) : ARG_I16(0), INT16_MIN, INT16_MAX,
       "smallint")
NARROW(fn_int4abs, ARG_I32(0) < 0 ? -(int64_t)ARG_I32(0) : ARG_I32(0), INT32_MIN, INT32_MAX,
       "integer")
NARROW(fn_int4inc, (int64_t)ARG_I32(0) + 1, INT32_MIN, INT32_MAX, "integer")

/* Remainders cannot overflow, but the machine instruction for MIN % -1 traps. */
#define MODULO(name, ARG)                                                                          \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        int64_t b = ARG(1);                                                                        \
        if (UNLIKELY(b == 0))                                                                      \
            return raise_zero_division();                                                          \
        RETURN_I64(b == -1 ? 0 : (int64_t)ARG(0) % b);                                             \
    }
MODULO(fn_int2mod, ARG_I16)
MODULO(fn_int4mod, ARG_I32)
MODULO(fn_int8mod, ARG_I64)

/* Words of all widths are sign-extended, so one 64-bit form serves int2 and int4 operands too. */
#define WIDE(name, checked)                                                                        \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        int64_t v;                                                                                 \
        if (UNLIKELY(checked(&v, ARG_I64(0), ARG_I64(1))))                                         \
            return raise_int_range("bigint");                                                      \
        RETURN_I64(v);                                                                             \
    }
static bool ckd_div_i64(int64_t *v, int64_t a, int64_t b)
{
    if (b == -1)
        return ckd_sub_i64(v, 0, a);
    *v = a / b;
    return false;
}
#define WIDE_DIVIDE(name)                                                                          \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        int64_t v;                                                                                 \
        if (UNLIKELY(ARG_I64(1) == 0))                                                             \
            return raise_zero_division();                                                          \
        if (UNLIKELY(ckd_div_i64(&v, ARG_I64(0), ARG_I64(1))))                                     \
            return raise_int_range("bigint");                                                      \
        RETURN_I64(v);                                                                             \
    }
#define WIDE_FOUR(p)                                                                               \
    WIDE(fn_##p##pl, ckd_add_i64)                                                                  \
    WIDE(fn_##p##mi, ckd_sub_i64)                                                                  \
    WIDE(fn_##p##mul, ckd_mul_i64)                                                                 \
    WIDE_DIVIDE(fn_##p##div)
WIDE_FOUR(int8)
WIDE_FOUR(int84)
WIDE_FOUR(int48)
WIDE_FOUR(int82)
WIDE_FOUR(int28)
FUNCTION(fn_int8um)
{
    int64_t v;
    if (ckd_sub_i64(&v, 0, ARG_I64(0)))
        return raise_int_range("bigint");
    RETURN_I64(v);
}
FUNCTION(fn_int8abs)
{
    int64_t v = ARG_I64(0);
    if (v == INT64_MIN)
        return raise_int_range("bigint");
    RETURN_I64(v < 0 ? -v : v);
}
FUNCTION(fn_int8inc)
{
    int64_t v;
    if (ckd_add_i64(&v, ARG_I64(0), 1))
        return raise_int_range("bigint");
    RETURN_I64(v);
}
FUNCTION(fn_int8dec)
{
    int64_t v;
    if (ckd_sub_i64(&v, ARG_I64(0), 1))
        return raise_int_range("bigint");
    RETURN_I64(v);
}
/* Unary plus of all integer and float types: the value itself. */
FUNCTION(fn_identity)
{
    RETURN_DATUM(c->args[0]);
}

/* ---- bits ---- */

#define BITS(p, ARG, RETURN, WIDTH, SIGNED, UNSIGNED)                                              \
    FUNCTION(fn_##p##and)                                                                          \
    {                                                                                              \
        RETURN_I64(ARG_I64(0) & ARG_I64(1));                                                       \
    }                                                                                              \
    FUNCTION(fn_##p## or)                                                                          \
    {                                                                                              \
        RETURN_I64(ARG_I64(0) | ARG_I64(1));                                                       \
    }                                                                                              \
    FUNCTION(fn_##p## xor)                                                                         \
    {                                                                                              \
        RETURN_I64(ARG_I64(0) ^ ARG_I64(1));                                                       \
    }                                                                                              \
    FUNCTION(fn_##p##not )                                                                         \
    {                                                                                              \
        RETURN_I64(~ARG_I64(0));                                                                   \
    }                                                                                              \
    FUNCTION(fn_##p##shl)                                                                          \
    {                                                                                              \
        uint32_t n = (uint32_t)ARG_I32(1) & ((WIDTH)-1);                                           \
        RETURN((SIGNED)(UNSIGNED)((uint64_t)ARG_I64(0) << n));                                     \
    }                                                                                              \
    FUNCTION(fn_##p##shr)                                                                          \
    {                                                                                              \
        uint32_t n = (uint32_t)ARG_I32(1) & ((WIDTH)-1);                                           \
        RETURN((SIGNED)(ARG(0) >> n));                                                             \
    }
BITS(int2, ARG_I16, RETURN_I16, 32, int16_t, uint16_t)
BITS(int4, ARG_I32, RETURN_I32, 32, int32_t, uint32_t)
BITS(int8, ARG_I64, RETURN_I64, 64, int64_t, uint64_t)

/* ---- gcd, lcm ---- */

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
}
static uint64_t gcd_u64(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}
#define GCD_LCM(p, max, type)                                                                      \
    FUNCTION(fn_##p##gcd)                                                                          \
    {                                                                                              \
        uint64_t v = gcd_u64(magnitude(ARG_I64(0)), magnitude(ARG_I64(1)));                        \
        if (v > (max))                                                                             \
            return raise_int_range(type);                                                          \
        RETURN_I64((int64_t)v);                                                                    \
    }                                                                                              \
    FUNCTION(fn_##p##lcm)                                                                          \
    {                                                                                              \
        uint64_t a = magnitude(ARG_I64(0));                                                        \
        uint64_t b = magnitude(ARG_I64(1));                                                        \
        uint64_t v = 0;                                                                            \
        if (a == 0 || b == 0)                                                                      \
            RETURN_I64(0);                                                                         \
        if (ckd_mul_u64(&v, a / gcd_u64(a, b), b) || v > (max))                                    \
            return raise_int_range(type);                                                          \
        RETURN_I64((int64_t)v);                                                                    \
    }
GCD_LCM(int4, (uint64_t)INT32_MAX, "integer")
GCD_LCM(int8, (uint64_t)INT64_MAX, "bigint")

/* ---- casts ---- */

NARROW(fn_i4toi2, ARG_I32(0), INT16_MIN, INT16_MAX, "smallint")
NARROW(fn_int82, ARG_I64(0), INT16_MIN, INT16_MAX, "smallint")
NARROW(fn_int84, ARG_I64(0), INT32_MIN, INT32_MAX, "integer")
NARROW(fn_i8tooid, ARG_I64(0), 0, UINT32_MAX, "OID")
FUNCTION(fn_i2toi4)
{
    RETURN_I32(ARG_I16(0));
}
FUNCTION(fn_int28)
{
    RETURN_I64(ARG_I16(0));
}
FUNCTION(fn_int48)
{
    RETURN_I64(ARG_I32(0));
}
FUNCTION(fn_oidtoi8)
{
    RETURN_I64(ARG_OID(0));
}
FUNCTION(fn_i2tod)
{
    RETURN_F64(ARG_I16(0));
}
FUNCTION(fn_i4tod)
{
    RETURN_F64(ARG_I32(0));
}
FUNCTION(fn_i8tod)
{
    RETURN_F64((double)ARG_I64(0));
}
FUNCTION(fn_i2tof)
{
    RETURN_F32(ARG_I16(0));
}
FUNCTION(fn_i4tof)
{
    RETURN_F32((float)ARG_I32(0));
}
FUNCTION(fn_i8tof)
{
    RETURN_F32((float)ARG_I64(0));
}
/* Rounded half to even; the limits are powers of two and therefore exact. */
static err_t round_to(double v, double limit, const char *type, datum *out)
{
    v = rint(v);
    if (isnan(v) || v < -limit || v >= limit)
        return raise_int_range(type);
    *out = datum_of_i64((int64_t)v);
    return ERR_OK;
}
FUNCTION(fn_dtoi2)
{
    return round_to(ARG_F64(0), 0x1p15, "smallint", out);
}
FUNCTION(fn_dtoi4)
{
    return round_to(ARG_F64(0), 0x1p31, "integer", out);
}
FUNCTION(fn_dtoi8)
{
    return round_to(ARG_F64(0), 0x1p63, "bigint", out);
}
FUNCTION(fn_ftoi2)
{
    return round_to((double)ARG_F32(0), 0x1p15, "smallint", out);
}
FUNCTION(fn_ftoi4)
{
    return round_to((double)ARG_F32(0), 0x1p31, "integer", out);
}
FUNCTION(fn_ftoi8)
{
    return round_to((double)ARG_F32(0), 0x1p63, "bigint", out);
}
FUNCTION(fn_int4_bool)
{
    RETURN_BOOL(ARG_I32(0) != 0);
}
FUNCTION(fn_bool_int4)
{
    RETURN_I32(ARG_BOOL(0));
}
FUNCTION(fn_booltext)
{
    return result_cstring(c, ARG_BOOL(0) ? "true" : "false", out);
}
FUNCTION(fn_chartoi4)
{
    RETURN_I32((int8_t)ARG_I64(0));
}
FUNCTION(fn_i4tochar)
{
    if (ARG_I32(0) < INT8_MIN || ARG_I32(0) > INT8_MAX)
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range");
    RETURN_DATUM((uint8_t)ARG_I32(0));
}
FUNCTION(fn_xid8toxid)
{
    RETURN_OID((oid)ARG_I64(0));
}

/* ---- to_hex ---- */

FUNCTION(fn_to_hex32)
{
    return result_cstring(c, arena_printf(c->mem, "%x", (unsigned)ARG_I32(0)), out);
}
FUNCTION(fn_to_hex64)
{
    return result_cstring(c, arena_printf(c->mem, "%llx", (unsigned long long)ARG_I64(0)), out);
}

/* ---- window frames: value compared with base plus or minus offset ---- */

static err_t in_range(struct call *c, datum *out)
{
    __int128 value = ARG_I64(0);
    __int128 base = ARG_I64(1);
    __int128 offset = ARG_I64(2);
    if (offset < 0)
        return err_raise(ERR_INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                         "invalid preceding or following size in window function");
    __int128 bound = ARG_BOOL(3) ? base - offset : base + offset;
    RETURN_BOOL(ARG_BOOL(4) ? value <= bound : value >= bound);
}
FUNCTION(fn_in_range_int)
{
    return in_range(c, out);
}
