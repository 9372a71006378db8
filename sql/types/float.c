/*
 * float4 and float8. Output is the shortest decimal that reads back as the same value, in
 * PostgreSQL's layout: plain digits for exponents from -4 up to 15 (float8) or 6 (float4) places,
 * else d.ddde+xx; extra_float_digits below 1 asks for fewer digits by rounding.
 *
 * Shortest digits: any decimal of up to 15 (6) digits survives the trip through the type, so the
 * correctly rounded 15-digit form without trailing zeros is the shortest when it reads back; else
 * 16 and 17 digits are tried. Subnormals have less precision, so there all lengths are tried.
 *
 * Order: -Infinity < numbers < Infinity < NaN; NaN equals NaN, -0 equals 0.
 */
#include "sql/types/float.h"

#include "sql/types/types_priv.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- output ---- */

/* Digits and exponent of "%.*e" text, laid out as PostgreSQL prints shortest values. */
static void put_shortest(const char *e_form, int plain_max, struct strbuf *out)
{
    char digits[24] = "0";
    int count = 0;
    const char *p = e_form;
    if (*p == '-') {
        strbuf_putc(out, '-');
        p++;
    }
    for (; *p != 0 && *p != 'e'; p++)
        if (*p != '.' && count < (int)sizeof(digits))
            digits[count++] = *p;
    int exponent = *p == 'e' ? (int)strtol(p + 1, NULL, 10) : 0;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (exponent < -4 || exponent >= plain_max) {
        strbuf_putc(out, digits[0]);
        if (count > 1) {
            strbuf_putc(out, '.');
            ERR_IGNORE(strbuf_put(out, digits + 1, (size_t)count - 1));
        }
        strbuf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        strbuf_puts(out, "0.");
        for (int i = -1; i > exponent; i--)
            strbuf_putc(out, '0');
        ERR_IGNORE(strbuf_put(out, digits, (size_t)count));
        return;
    }
    for (int i = 0; i < count || i <= exponent; i++) {
        if (i == exponent + 1)
            strbuf_putc(out, '.');
        strbuf_putc(out, i < count ? digits[i] : '0');
    }
}

static bool put_special(double v, struct strbuf *out)
{
    if (isnan(v))
        strbuf_puts(out, "NaN");
    else if (isinf(v))
        strbuf_puts(out, v < 0 ? "-Infinity" : "Infinity");
    else
        return false;
    return true;
}

/* Text that lies halfway to a neighbour reads back by the rule of even digits only: one digit more
 * then, as in PostgreSQL. Below the largest numbers with binary digits behind the point, halfway
 * has more decimal digits than are tried. */
static bool is_halfway(const char *text, double v)
{
    enum { LARGE_BITS = DBL_MANT_DIG - 1 };
    if (fabs(v) < (double)(UINT64_C(1) << LARGE_BITS))
        return false;
    long double read = strtold(text, NULL);
    return read == ((long double)v + (long double)nextafter(v, INFINITY)) / 2 ||
           read == ((long double)v + (long double)nextafter(v, -INFINITY)) / 2;
}

static bool is_halfway_float(const char *text, float v)
{
    enum { LARGE_BITS = FLT_MANT_DIG - 1 };
    if (fabsf(v) < (float)(UINT32_C(1) << LARGE_BITS))
        return false;
    double read = strtod(text, NULL);
    return read == ((double)v + (double)nextafterf(v, INFINITY)) / 2 ||
           read == ((double)v + (double)nextafterf(v, -INFINITY)) / 2;
}

void float8_format(double v, int extra_digits, struct strbuf *out)
{
    if (put_special(v, out))
        return;
    if (extra_digits <= 0) {
        strbuf_printf(out, "%.*g", MAX(DBL_DIG + extra_digits, 1), v);
        return;
    }
    if (v == 0) {
        strbuf_puts(out, signbit(v) ? "-0" : "0");
        return;
    }
    if (fabs(v) < 1e15 && v == (double)(int64_t)v) {
        strbuf_printf(out, "%lld", (long long)v);
        return;
    }
    char text[48];
    for (int digits = fabs(v) < DBL_MIN ? 1 : DBL_DIG; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, v);
        if (digits == 17 || (strtod(text, NULL) == v && !is_halfway(text, v)))
            break;
    }
    put_shortest(text, DBL_DIG, out);
}

void float4_format(float v, int extra_digits, struct strbuf *out)
{
    if (put_special((double)v, out))
        return;
    if (extra_digits <= 0) {
        strbuf_printf(out, "%.*g", MAX(FLT_DIG + extra_digits, 1), (double)v);
        return;
    }
    if (v == 0) {
        strbuf_puts(out, signbit(v) ? "-0" : "0");
        return;
    }
    char text[48];
    for (int digits = fabsf(v) < FLT_MIN ? 1 : FLT_DIG; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, (double)v);
        if (digits == 9 || (strtof(text, NULL) == v && !is_halfway_float(text, v)))
            break;
    }
    put_shortest(text, FLT_DIG, out);
}

static int extra_digits(const struct type_io *io)
{
    return io->env == NULL ? 1 : io->env->extra_float_digits;
}

/* ---- input ---- */

static bool starts_with(const char *p, const char *word, size_t *used)
{
    size_t n = strlen(word);
    for (size_t i = 0; i < n; i++)
        if (ascii_lower(p[i]) != word[i])
            return false;
    *used = n;
    return true;
}

/* Infinity, inf, NaN with sign, any case. */
static bool parse_special(const char *p, double *v, size_t *used)
{
    size_t sign = *p == '-' || *p == '+' ? 1 : 0;
    size_t n = 0;
    if (starts_with(p + sign, "infinity", &n) || starts_with(p + sign, "inf", &n))
        *v = *p == '-' ? -INFINITY : INFINITY;
    else if (starts_with(p + sign, "nan", &n))
        *v = NAN;
    else
        return false;
    *used = sign + n;
    return true;
}

static err_t parse_float(struct arena *mem, const char *type, const char *text, size_t len,
                         bool single, double *out)
{
    char small[64];
    char *copy = len < sizeof(small) ? small : arena_alloc(mem, len + 1);
    memcpy(copy, text, len);
    copy[len] = 0;
    char *p = copy;
    while (is_space(*p))
        p++;
    if (*p == 0)
        return raise_input_syntax(type, text, len);
    char *end = p;
    size_t used = 0;
    if (parse_special(p, out, &used)) {
        end = p + used;
    } else {
        errno = 0;
        double v = single ? (double)strtof(p, &end) : strtod(p, &end);
        if (end == p)
            return raise_input_syntax(type, text, len);
        if (errno == ERANGE && (v == 0 || isinf(v)))
            return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "\"%.*s\" is out of range for type %s",
                             (int)(end - p), p, type);
        *out = v;
    }
    while (is_space(*end))
        end++;
    if (end != copy + len)
        return raise_input_syntax(type, text, len);
    return ERR_OK;
}

err_t float8_parse(struct arena *mem, const char *text, size_t len, double *out)
{
    return parse_float(mem, "double precision", text, len, false, out);
}

/* ---- type functions ---- */

err_t float8_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    double v = 0;
    TRY(parse_float(io->mem, "double precision", text, len, false, &v));
    *out = datum_of_f64(v);
    return ERR_OK;
}
err_t float8_output(struct type_io *io, datum value, struct strbuf *out)
{
    float8_format(datum_f64(value), extra_digits(io), out);
    return ERR_OK;
}
err_t float8_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 8)
        return raise_binary_length(len, 8);
    *out = load_be64(bytes);
    return ERR_OK;
}
err_t float8_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[8];
    store_be64(b, value);
    return strbuf_put(out, b, sizeof(b));
}

err_t float4_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    double v = 0;
    TRY(parse_float(io->mem, "real", text, len, true, &v));
    *out = datum_of_f32((float)v);
    return ERR_OK;
}
err_t float4_output(struct type_io *io, datum value, struct strbuf *out)
{
    float4_format(datum_f32(value), extra_digits(io), out);
    return ERR_OK;
}
err_t float4_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    (void)io;
    if (len != 4)
        return raise_binary_length(len, 4);
    *out = load_be32(bytes);
    return ERR_OK;
}
err_t float4_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    uint8_t b[4];
    store_be32(b, (uint32_t)value);
    return strbuf_put(out, b, sizeof(b));
}

int float8_order(double a, double b)
{
    if (UNLIKELY(isnan(a)))
        return isnan(b) ? 0 : 1;
    if (UNLIKELY(isnan(b)))
        return -1;
    return (a > b) - (a < b);
}

static uint64_t hash_double(double v)
{
    if (v == 0)
        v = 0; /* -0 too */
    if (isnan(v))
        v = NAN;
    return hash_u64(datum_of_f64(v));
}

static uint64_t order_bits(double v)
{
    if (v == 0)
        v = 0;
    if (isnan(v))
        return UINT64_MAX;
    uint64_t w = datum_of_f64(v);
    return w >> 63 ? ~w : w | (1ULL << 63);
}

int float8_compare(datum a, datum b)
{
    return float8_order(datum_f64(a), datum_f64(b));
}
int float4_compare(datum a, datum b)
{
    return float8_order((double)datum_f32(a), (double)datum_f32(b));
}
uint64_t float8_hash(datum d)
{
    return hash_double(datum_f64(d));
}
uint64_t float4_hash(datum d)
{
    return hash_double((double)datum_f32(d));
}
void float8_sort_key(datum d, struct strbuf *out)
{
    key_put_u64(out, order_bits(datum_f64(d)));
}
void float4_sort_key(datum d, struct strbuf *out)
{
    float v = datum_f32(d);
    if (v == 0)
        v = 0;
    uint32_t w = (uint32_t)datum_of_f32(v);
    key_put_u32(out, isnan(v) ? UINT32_MAX : w >> 31 ? ~w : w | 0x80000000u);
}
