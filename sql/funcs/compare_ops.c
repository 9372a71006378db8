/*
 * Comparison operators of all families, btree support functions, larger/smaller, and the hash
 * functions that SQL can call (PostgreSQL's values: sql/types/pg_hash.c).
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/types/float.h"

#include "sql/type_functions.h"

#include <math.h>

#define PREDICATE(name, condition)                                                                 \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        RETURN_BOOL(condition);                                                                    \
    }
/* Six operators from two scalar readers. */
#define SCALAR_SIX(prefix, A, B)                                                                   \
    PREDICATE(prefix##eq, A(0) == B(1))                                                            \
    PREDICATE(prefix##ne, A(0) != B(1))                                                            \
    PREDICATE(prefix##lt, A(0) < B(1))                                                             \
    PREDICATE(prefix##le, A(0) <= B(1))                                                            \
    PREDICATE(prefix##gt, A(0) > B(1))                                                             \
    PREDICATE(prefix##ge, A(0) >= B(1))
/* Six operators from a compare function of datums. */
#define COMPARE_SIX(eq, ne, lt, le, gt, ge, compare)                                               \
    PREDICATE(eq, compare(c->args[0], c->args[1]) == 0)                                            \
    PREDICATE(ne, compare(c->args[0], c->args[1]) != 0)                                            \
    PREDICATE(lt, compare(c->args[0], c->args[1]) < 0)                                             \
    PREDICATE(le, compare(c->args[0], c->args[1]) <= 0)                                            \
    PREDICATE(gt, compare(c->args[0], c->args[1]) > 0)                                             \
    PREDICATE(ge, compare(c->args[0], c->args[1]) >= 0)
#define ORDER(name, compare)                                                                       \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        int r = compare(c->args[0], c->args[1]);                                                   \
        RETURN_I32(r > 0 ? 1 : r < 0 ? -1 : 0);                                                    \
    }
#define LARGER_SMALLER(larger, smaller, compare)                                                   \
    FUNCTION(larger)                                                                               \
    {                                                                                              \
        RETURN_DATUM(compare(c->args[0], c->args[1]) > 0 ? c->args[0] : c->args[1]);               \
    }                                                                                              \
    FUNCTION(smaller)                                                                              \
    {                                                                                              \
        RETURN_DATUM(compare(c->args[0], c->args[1]) < 0 ? c->args[0] : c->args[1]);               \
    }

SCALAR_SIX(fn_int2, ARG_I16, ARG_I16)
SCALAR_SIX(fn_int4, ARG_I32, ARG_I32)
SCALAR_SIX(fn_int8, ARG_I64, ARG_I64)
SCALAR_SIX(fn_int24, ARG_I16, ARG_I32)
SCALAR_SIX(fn_int42, ARG_I32, ARG_I16)
SCALAR_SIX(fn_int28, ARG_I16, ARG_I64)
SCALAR_SIX(fn_int82, ARG_I64, ARG_I16)
SCALAR_SIX(fn_int48, ARG_I32, ARG_I64)
SCALAR_SIX(fn_int84, ARG_I64, ARG_I32)
SCALAR_SIX(fn_oid, ARG_OID, ARG_OID)
SCALAR_SIX(fn_bool, ARG_BOOL, ARG_BOOL)
SCALAR_SIX(fn_xid8, (uint64_t)ARG_I64, (uint64_t)ARG_I64)
SCALAR_SIX(fn_tid, (uint64_t)ARG_I64, (uint64_t)ARG_I64)
SCALAR_SIX(fn_char, (uint8_t)ARG_I64, (uint8_t)ARG_I64)
PREDICATE(fn_xideq, ARG_OID(0) == ARG_OID(1))
PREDICATE(fn_xidneq, ARG_OID(0) != ARG_OID(1))
PREDICATE(fn_cideq, ARG_OID(0) == ARG_OID(1))
COMPARE_SIX(fn_pg_lsn_eq, fn_pg_lsn_ne, fn_pg_lsn_lt, fn_pg_lsn_le, fn_pg_lsn_gt, fn_pg_lsn_ge,
            xid8_compare)

#define FLOAT_SIX(prefix, A, B)                                                                    \
    PREDICATE(prefix##eq, float8_order((double)A(0), (double)B(1)) == 0)                           \
    PREDICATE(prefix##ne, float8_order((double)A(0), (double)B(1)) != 0)                           \
    PREDICATE(prefix##lt, float8_order((double)A(0), (double)B(1)) < 0)                            \
    PREDICATE(prefix##le, float8_order((double)A(0), (double)B(1)) <= 0)                           \
    PREDICATE(prefix##gt, float8_order((double)A(0), (double)B(1)) > 0)                            \
    PREDICATE(prefix##ge, float8_order((double)A(0), (double)B(1)) >= 0)
FLOAT_SIX(fn_float4, ARG_F32, ARG_F32)
FLOAT_SIX(fn_float8, ARG_F64, ARG_F64)
FLOAT_SIX(fn_float48, ARG_F32, ARG_F64)
FLOAT_SIX(fn_float84, ARG_F64, ARG_F32)

/* Equal texts have equal lengths: no need to order them. */
static bool same_bytes(datum a, datum b)
{
    const struct varlen *x = datum_varlen(a);
    const struct varlen *y = datum_varlen(b);
    return x->len == y->len && memcmp(x->data, y->data, x->len) == 0;
}
#define TEXT_SIX(eq, ne, lt, le, gt, ge)                                                           \
    PREDICATE(eq, same_bytes(c->args[0], c->args[1]))                                              \
    PREDICATE(ne, !same_bytes(c->args[0], c->args[1]))                                             \
    PREDICATE(lt, text_compare(c->args[0], c->args[1]) < 0)                                        \
    PREDICATE(le, text_compare(c->args[0], c->args[1]) <= 0)                                       \
    PREDICATE(gt, text_compare(c->args[0], c->args[1]) > 0)                                        \
    PREDICATE(ge, text_compare(c->args[0], c->args[1]) >= 0)
TEXT_SIX(fn_texteq, fn_textne, fn_text_lt, fn_text_le, fn_text_gt, fn_text_ge)
TEXT_SIX(fn_nameeq, fn_namene, fn_namelt, fn_namele, fn_namegt, fn_namege)
TEXT_SIX(fn_nameeqtext, fn_namenetext, fn_namelttext, fn_nameletext, fn_namegttext, fn_namegetext)
TEXT_SIX(fn_texteqname, fn_textnename, fn_textltname, fn_textlename, fn_textgtname, fn_textgename)
TEXT_SIX(fn_byteaeq, fn_byteane, fn_bytealt, fn_byteale, fn_byteagt, fn_byteage)
PREDICATE(fn_text_pattern_lt, text_compare(c->args[0], c->args[1]) < 0)
PREDICATE(fn_text_pattern_le, text_compare(c->args[0], c->args[1]) <= 0)
PREDICATE(fn_text_pattern_ge, text_compare(c->args[0], c->args[1]) >= 0)
PREDICATE(fn_text_pattern_gt, text_compare(c->args[0], c->args[1]) > 0)
COMPARE_SIX(fn_bpchareq, fn_bpcharne, fn_bpcharlt, fn_bpcharle, fn_bpchargt, fn_bpcharge,
            bpchar_compare)
PREDICATE(fn_bpchar_pattern_lt, bpchar_compare(c->args[0], c->args[1]) < 0)
PREDICATE(fn_bpchar_pattern_le, bpchar_compare(c->args[0], c->args[1]) <= 0)
PREDICATE(fn_bpchar_pattern_ge, bpchar_compare(c->args[0], c->args[1]) >= 0)
PREDICATE(fn_bpchar_pattern_gt, bpchar_compare(c->args[0], c->args[1]) > 0)
COMPARE_SIX(fn_uuid_eq, fn_uuid_ne, fn_uuid_lt, fn_uuid_le, fn_uuid_gt, fn_uuid_ge, uuid_compare)
COMPARE_SIX(fn_oidvectoreq, fn_oidvectorne, fn_oidvectorlt, fn_oidvectorle, fn_oidvectorgt,
            fn_oidvectorge, oidvector_compare)

COMPARE_SIX(fn_record_eq, fn_record_ne, fn_record_lt, fn_record_le, fn_record_gt, fn_record_ge,
            record_compare)

ORDER(fn_btint2cmp, int2_compare)
ORDER(fn_btint4cmp, int4_compare)
ORDER(fn_btint8cmp, int8_compare)
ORDER(fn_btint24cmp, int8_compare) /* words of all widths are sign-extended */
ORDER(fn_btint42cmp, int8_compare)
ORDER(fn_btint28cmp, int8_compare)
ORDER(fn_btint82cmp, int8_compare)
ORDER(fn_btint48cmp, int8_compare)
ORDER(fn_btint84cmp, int8_compare)
ORDER(fn_btboolcmp, bool_compare)
ORDER(fn_btoidcmp, oid_compare)
ORDER(fn_btcharcmp, char_compare)
ORDER(fn_btnamecmp, text_compare)
ORDER(fn_btnametextcmp, text_compare)
ORDER(fn_bttextnamecmp, text_compare)
ORDER(fn_bttextcmp, text_compare)
ORDER(fn_bttext_pattern_cmp, text_compare)
ORDER(fn_bpcharcmp, bpchar_compare)
ORDER(fn_btbpchar_pattern_cmp, bpchar_compare)
ORDER(fn_byteacmp, bytea_compare)
ORDER(fn_uuid_cmp, uuid_compare)
ORDER(fn_btoidvectorcmp, oidvector_compare)
ORDER(fn_btrecordcmp, record_compare)
ORDER(fn_btfloat4cmp, float4_compare)
ORDER(fn_btfloat8cmp, float8_compare)
ORDER(fn_xid8cmp, xid8_compare)
ORDER(fn_bttidcmp, xid8_compare)
ORDER(fn_pg_lsn_cmp, xid8_compare)
FUNCTION(fn_btfloat48cmp)
{
    RETURN_I32(float8_order((double)ARG_F32(0), ARG_F64(1)));
}
FUNCTION(fn_btfloat84cmp)
{
    RETURN_I32(float8_order(ARG_F64(0), (double)ARG_F32(1)));
}

LARGER_SMALLER(fn_int2larger, fn_int2smaller, int2_compare)
LARGER_SMALLER(fn_int4larger, fn_int4smaller, int4_compare)
LARGER_SMALLER(fn_int8larger, fn_int8smaller, int8_compare)
LARGER_SMALLER(fn_oidlarger, fn_oidsmaller, oid_compare)
LARGER_SMALLER(fn_float4larger, fn_float4smaller, float4_compare)
LARGER_SMALLER(fn_float8larger, fn_float8smaller, float8_compare)
LARGER_SMALLER(fn_text_larger, fn_text_smaller, text_compare)
LARGER_SMALLER(fn_bpchar_larger, fn_bpchar_smaller, bpchar_compare)
LARGER_SMALLER(fn_xid8_larger, fn_xid8_smaller, xid8_compare)
LARGER_SMALLER(fn_tidlarger, fn_tidsmaller, xid8_compare)

FUNCTION(fn_booland_statefunc)
{
    RETURN_BOOL(ARG_BOOL(0) && ARG_BOOL(1));
}
FUNCTION(fn_boolor_statefunc)
{
    RETURN_BOOL(ARG_BOOL(0) || ARG_BOOL(1));
}

/* ---- hash functions ---- */

static int32_t as_i32(uint32_t h)
{
    return (int32_t)h;
}
/* bigint hashes like the int4 of the same value when it fits. */
static uint32_t fold_i64(int64_t v)
{
    uint32_t low = (uint32_t)v;
    uint32_t high = (uint32_t)((uint64_t)v >> 32);
    return low ^ (v >= 0 ? high : ~high);
}
static double hashable(double v)
{
    return isnan(v) ? NAN : v;
}
static uint32_t hash_float(double v)
{
    v = hashable(v);
    return v == 0 ? 0 : pg_hash_bytes(&v, sizeof(v));
}
static uint64_t hash_float_extended(double v, uint64_t seed)
{
    v = hashable(v);
    return v == 0 ? seed : pg_hash_bytes_extended(&v, sizeof(v), seed);
}
static uint32_t bpchar_bytes(const struct varlen *v)
{
    uint32_t n = v->len;
    while (n > 0 && v->data[n - 1] == ' ')
        n--;
    return n;
}
#define HASH(name, extended, value, extended_value)                                                \
    FUNCTION(fn_##name)                                                                            \
    {                                                                                              \
        RETURN_I32(as_i32(value));                                                                 \
    }                                                                                              \
    FUNCTION(fn_##extended)                                                                        \
    {                                                                                              \
        uint64_t seed = (uint64_t)ARG_I64(1);                                                      \
        RETURN_I64((int64_t)(extended_value));                                                     \
    }
HASH(hashint2, hashint2extended, pg_hash_u32((uint32_t)ARG_I32(0)),
     pg_hash_u32_extended((uint32_t)ARG_I32(0), seed))
HASH(hashint4, hashint4extended, pg_hash_u32((uint32_t)ARG_I32(0)),
     pg_hash_u32_extended((uint32_t)ARG_I32(0), seed))
HASH(hashint8, hashint8extended, pg_hash_u32(fold_i64(ARG_I64(0))),
     pg_hash_u32_extended(fold_i64(ARG_I64(0)), seed))
HASH(hashoid, hashoidextended, pg_hash_u32(ARG_OID(0)), pg_hash_u32_extended(ARG_OID(0), seed))
HASH(hashchar, hashcharextended, pg_hash_u32((uint32_t)(int8_t)ARG_I64(0)),
     pg_hash_u32_extended((uint32_t)(int8_t)ARG_I64(0), seed))
HASH(hashfloat4, hashfloat4extended, hash_float((double)ARG_F32(0)),
     hash_float_extended((double)ARG_F32(0), seed))
HASH(hashfloat8, hashfloat8extended, hash_float(ARG_F64(0)), hash_float_extended(ARG_F64(0), seed))
HASH(hashtext, hashtextextended, pg_hash_bytes(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len),
     pg_hash_bytes_extended(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len, seed))
HASH(hashname, hashnameextended, pg_hash_bytes(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len),
     pg_hash_bytes_extended(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len, seed))
HASH(hashvarlena, hashvarlenaextended, pg_hash_bytes(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len),
     pg_hash_bytes_extended(ARG_VARLEN(0)->data, ARG_VARLEN(0)->len, seed))
HASH(hashbpchar, hashbpcharextended,
     pg_hash_bytes(ARG_VARLEN(0)->data, bpchar_bytes(ARG_VARLEN(0))),
     pg_hash_bytes_extended(ARG_VARLEN(0)->data, bpchar_bytes(ARG_VARLEN(0)), seed))
HASH(uuid_hash, uuid_hash_extended, pg_hash_bytes(ARG_VARLEN(0)->data, 16),
     pg_hash_bytes_extended(ARG_VARLEN(0)->data, 16, seed))
