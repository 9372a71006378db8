/* Floats in text and in order, for functions and other types. */
#ifndef SQL_TYPES_FLOAT_H
#define SQL_TYPES_FLOAT_H

#include "sql/types/types.h"

/* extra_digits as extra_float_digits: above 0 the shortest exact form. */
void float8_format(double v, int extra_digits, struct strbuf *out);
void float4_format(float v, int extra_digits, struct strbuf *out);
/* Input of double precision: ERR_INVALID_TEXT_REPRESENTATION, ERR_NUMERIC_VALUE_OUT_OF_RANGE. */
err_t float8_parse(struct arena *mem, const char *text, size_t len, double *out);
int float8_order(double a, double b); /* NaN last, equal to itself */

#endif
