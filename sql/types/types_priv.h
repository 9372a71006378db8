/* Shared by the files of sql/types. */
#ifndef SQL_TYPES_TYPES_PRIV_H
#define SQL_TYPES_TYPES_PRIV_H

#include "sql/types/chars.h"
#include "sql/types/hash.h"
#include "sql/types/types.h"
#include "sql/types/utf8.h"

#include "sql/type_functions.h"

/* 'invalid input syntax for type integer: "abc"' */
COLD err_t raise_input_syntax(const char *type, const char *text, size_t len);
COLD err_t raise_out_of_range(const char *type, const char *text, size_t len);
/* A binary value of another length than its type takes. */
COLD err_t raise_binary_length(size_t len, size_t expected);
COLD err_t raise_binary_byte(size_t len); /* expected: one */
COLD err_t raise_binary_short(void);

/* Key pieces: big endian words that compare as bytes. */
static inline void key_put_u64(struct strbuf *out, uint64_t v)
{
    uint8_t b[8];
    store_be64(b, v);
    ERR_IGNORE(strbuf_put(out, b, 8));
}
static inline void key_put_u32(struct strbuf *out, uint32_t v)
{
    uint8_t b[4];
    store_be32(b, v);
    ERR_IGNORE(strbuf_put(out, b, 4));
}
static inline void key_put_i64(struct strbuf *out, int64_t v)
{
    key_put_u64(out, (uint64_t)v ^ (1ULL << 63));
}
/* Any bytes, ended so that a prefix sorts first: 00 becomes 00 FF, the end is 00 00. */
void key_put_bytes(struct strbuf *out, const uint8_t *bytes, size_t len);
/* Bytes without zero: ended by 00. */
void key_put_text(struct strbuf *out, const uint8_t *bytes, size_t len);

#endif
