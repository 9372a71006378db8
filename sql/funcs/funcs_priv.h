/* Shared by the files of sql/funcs: arguments and results of a call. */
#ifndef SQL_FUNCS_FUNCS_PRIV_H
#define SQL_FUNCS_FUNCS_PRIV_H

#include "sql/expr/call.h"
#include "sql/types/hash.h"
#include "sql/types/utf8.h"

#include "sql/builtin_functions.h"

#define FUNCTION(name) err_t name(struct call *c, datum *out)

#define ARG_I16(n) datum_i16(c->args[n])
#define ARG_I32(n) datum_i32(c->args[n])
#define ARG_I64(n) datum_i64(c->args[n])
#define ARG_F32(n) datum_f32(c->args[n])
#define ARG_F64(n) datum_f64(c->args[n])
#define ARG_BOOL(n) datum_bool(c->args[n])
#define ARG_OID(n) datum_oid(c->args[n])
#define ARG_VARLEN(n) datum_varlen(c->args[n])

#define RETURN_I16(v) return *out = datum_of_i16(v), ERR_OK
#define RETURN_I32(v) return *out = datum_of_i32(v), ERR_OK
#define RETURN_I64(v) return *out = datum_of_i64(v), ERR_OK
#define RETURN_F32(v) return *out = datum_of_f32(v), ERR_OK
#define RETURN_F64(v) return *out = datum_of_f64(v), ERR_OK
#define RETURN_BOOL(v) return *out = datum_of_bool(v), ERR_OK
#define RETURN_OID(v) return *out = datum_of_oid(v), ERR_OK
#define RETURN_DATUM(v) return *out = (v), ERR_OK
#define RETURN_NULL() return *out = 0, c->is_null = true, ERR_OK
#define RETURN_TEXT(bytes, len)                                                                    \
    return *out = datum_of_varlen(varlen_new(c->mem, (bytes), u32_from(len))), ERR_OK

static inline err_t result_bytes(struct call *c, const void *bytes, uint64_t len, datum *out)
{
    struct varlen *v;
    TRY(varlen_try(c->mem, bytes, len, &v));
    *out = datum_of_varlen(v);
    return ERR_OK;
}
static inline err_t result_strbuf(struct call *c, const struct strbuf *b, datum *out)
{
    return result_bytes(c, b->data, b->len, out);
}
static inline err_t result_cstring(struct call *c, const char *s, datum *out)
{
    return result_bytes(c, s, strlen(s), out);
}
static inline char *arg_cstring(struct call *c, uint32_t n)
{
    return varlen_cstring(c->mem, ARG_VARLEN(n));
}

static inline err_t raise_int_range(const char *type)
{
    return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", type);
}
static inline err_t raise_zero_division(void)
{
    return err_raise(ERR_DIVISION_BY_ZERO, "division by zero");
}

/* Text of any value by its output function. */
err_t value_to_text(struct call *c, oid type, datum value, struct strbuf *out);

#endif
