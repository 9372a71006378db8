/*
 * Index and sort keys: byte strings whose memcmp order is the order of the values.
 *
 *   per column: marker 00 (null first) | 01 (value follows) | 02 (null last); then the type's
 *   sort_key bytes, every bit inverted when the column descends.
 *
 * Each type's bytes are self-delimiting, so that a longer key of more columns still compares
 * column by column, and a prefix of columns is a prefix of bytes.
 */
#include "sql/types/types.h"

#include "sql/types/types_priv.h"

void key_put_bytes(struct strbuf *out, const uint8_t *bytes, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0)
            continue;
        ERR_IGNORE(strbuf_put(out, bytes + from, i + 1 - from));
        strbuf_putc(out, (char)0xff);
        from = i + 1;
    }
    ERR_IGNORE(strbuf_put(out, bytes + from, len - from));
    ERR_IGNORE(strbuf_put(out, "\0", 2));
}

void key_put_text(struct strbuf *out, const uint8_t *bytes, size_t len)
{
    ERR_IGNORE(strbuf_put(out, bytes, len));
    strbuf_putc(out, 0);
}

void key_append(const struct key_column *c, datum value, bool is_null, struct strbuf *out)
{
    if (is_null) {
        strbuf_putc(out, c->nulls_first ? 0 : 2);
        return;
    }
    ASSERT(c->type->sort_key != NULL);
    strbuf_putc(out, 1);
    size_t from = out->len;
    c->type->sort_key(value, out);
    if (c->descending)
        for (size_t i = from; i < out->len; i++)
            out->data[i] = (char)~out->data[i];
}

uint64_t key_hash(const struct key_column *columns, uint32_t count, const datum *values)
{
    uint64_t h = 0;
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(columns[i].type->hash != NULL);
        uint64_t one = columns[i].type->hash(values[i]);
        h = i == 0 ? one : hash_combine(h, one);
    }
    return h;
}
