/*
 * Unpacked numerics, for sql/types/numeric*.c and the numeric functions.
 *
 * A number is sign × Σ digits[i] × 10000^(weight - i). dscale is the count of decimal places shown.
 * Digits are base 10000, as PostgreSQL's are, so that the scales it chooses for quotients and roots
 * come out the same.
 */
#ifndef SQL_TYPES_NUMBER_H
#define SQL_TYPES_NUMBER_H

#include "sql/types/numeric.h"

enum {
    NUMERIC_BASE = 10000,
    NUMERIC_BASE_DIGITS = 4,
    NUMERIC_PRECISION_MAX = 1000,
    NUMERIC_DISPLAY_SCALE_MAX = 1000,
    NUMERIC_SIGNIFICANT_MIN = 16, /* digits that inexact results have at least */
    NUMERIC_SCALE_MAX = 16383,
    NUMERIC_WEIGHT_MAX = 32767,
};

enum numeric_sign {
    NUMERIC_POSITIVE,
    NUMERIC_NEGATIVE,
    NUMERIC_NAN,
    NUMERIC_INFINITY,
    NUMERIC_MINUS_INFINITY,
};

struct number {
    enum numeric_sign sign;
    int32_t weight;
    int32_t dscale;
    int32_t count; /* of digits; 0 = zero */
    int16_t *
        digits; /* in the arena that the operation was given, or in the packed value (then const) */
};

void number_read(datum d, struct number *out); /* digits point into the datum */
/* ERR_NUMERIC_VALUE_OUT_OF_RANGE "value overflows numeric format" */
err_t number_pack(struct arena *mem, const struct number *n, datum *out);
static inline bool number_is_special(const struct number *n)
{
    return n->sign >= NUMERIC_NAN;
}
void number_normalize(struct number *n); /* no zero digits at either end; zero is positive */
struct number number_of_i64(struct arena *mem, int64_t v);
err_t number_parse(struct arena *mem, const char *text, size_t len, struct number *out,
                   const char **end);
void number_format(const struct number *n, struct strbuf *out);

int number_compare_abs(const struct number *a, const struct number *b);
int number_compare(const struct number *a, const struct number *b); /* both finite */
struct number number_add(struct arena *mem, const struct number *a, const struct number *b);
struct number number_sub(struct arena *mem, const struct number *a, const struct number *b);
/* Exact, then rounded to rscale decimal places. */
struct number number_mul(struct arena *mem, const struct number *a, const struct number *b,
                         int32_t rscale);
/* b is not zero; rounded (or cut) to rscale decimal places. */
struct number number_div(struct arena *mem, const struct number *a, const struct number *b,
                         int32_t rscale, bool round);
int32_t number_div_scale(const struct number *a, const struct number *b);
/* In place, digits copied first when they are shared. scale may be negative. */
struct number number_round(struct arena *mem, const struct number *n, int32_t scale);
struct number number_truncate(struct arena *mem, const struct number *n, int32_t scale);
double number_to_f64(const struct number *n); /* finite; nearest through text */

/* numeric_math.c; all rounded to rscale */
struct number number_sqrt(struct arena *mem, const struct number *n, int32_t rscale);
struct number number_exp(struct arena *mem, const struct number *n, int32_t rscale);
struct number number_ln(struct arena *mem, const struct number *n, int32_t rscale);
int32_t number_ln_decimal_weight(struct arena *mem,
                                 const struct number *n); /* decimal exponent of |ln n| */

#endif
