/*
 * numeric for other families: what sums, averages, casts and generators need of it. A numeric is a
 * varlen datum; results are made in mem. Text and binary forms, order and hash are the type's own
 * functions (numeric_input, numeric_compare, numeric_hash, ...), found through type_find().
 */
#ifndef SQL_TYPES_NUMERIC_H
#define SQL_TYPES_NUMERIC_H

#include "sql/types/types.h"

datum numeric_of_i64(struct arena *mem, int64_t v);
/* A 128-bit sum, as sum(bigint) and avg(integer) keep it. */
datum numeric_of_i128(struct arena *mem, __int128 v);
/* As casts from double precision: 15 significant digits. NaN and infinities are numeric values. */
err_t numeric_of_f64(struct arena *mem, double v, datum *out);
err_t numeric_of_f32(struct arena *mem, float v, datum *out); /* 6 digits */
/* Rounded; ERR_NUMERIC_VALUE_OUT_OF_RANGE "bigint out of range", 'cannot convert NaN to bigint'.
 * type_name is the target in the message: "smallint", "integer", "bigint". */
err_t numeric_to_i64(datum v, int64_t min, int64_t max, const char *type_name, int64_t *out);
err_t numeric_to_f64(struct arena *mem, datum v, double *out);

err_t numeric_add(struct arena *mem, datum a, datum b, datum *out);
err_t numeric_sub(struct arena *mem, datum a, datum b, datum *out);
err_t numeric_mul(struct arena *mem, datum a, datum b, datum *out);
/* Scale chosen as the / operator does; ERR_DIVISION_BY_ZERO. */
err_t numeric_div(struct arena *mem, datum a, datum b, datum *out);
int numeric_compare(datum a, datum b);

#endif
