/*
 * Byte keys and hash tables over them.
 *
 * A key is the concatenation of its columns' bytes, made so that values that SQL calls equal have
 * the same bytes and no key is a prefix of another by accident: integers and other plain words as
 * they are, text with its length, everything else in its memcmp-able form. Grouping, DISTINCT, set
 * operations and hash joins compare such keys with memcmp and never call a type's function.
 */
#include "sql/exec/exec_priv.h"

enum { BUCKETS_MIN = 64 };

err_t key_part_make(oid type, struct key_part *out)
{
    const struct type_info *info = NULL;
    TRY(type_require(type, &info));
    out->type = info;
    switch (type) {
    case TYPE_FLOAT4:
        out->kind = KEY_FLOAT4;
        return ERR_OK;
    case TYPE_FLOAT8:
        out->kind = KEY_FLOAT8;
        return ERR_OK;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_NAME:
    case TYPE_BYTEA:
    case TYPE_UUID:
    case TYPE_UNKNOWN:
        out->kind = KEY_BYTES;
        return ERR_OK;
    default:
        break;
    }
    if (info->by_value) {
        out->kind = KEY_WORD;
        return ERR_OK;
    }
    if (info->sort_key == NULL)
        return err_raise(ERR_UNDEFINED_FUNCTION,
                         "could not identify an equality operator for type %s", info->name);
    out->kind = KEY_SORT;
    return ERR_OK;
}

static void append(struct strbuf *b, const void *bytes, size_t len)
{
    /* Values are at most 1 GiB and few: past the limit the key is cut, which never happens before
     * the row itself was refused. */
    ERR_IGNORE(strbuf_put(b, bytes, len));
}

void key_part_append(const struct key_part *p, datum value, bool is_null, struct strbuf *out)
{
    uint8_t head[16];
    head[0] = is_null;
    if (is_null) {
        append(out, head, 1);
        return;
    }
    double number;
    switch (p->kind) {
    case KEY_WORD:
        store_u64(head + 1, value);
        append(out, head, 9);
        return;
    case KEY_FLOAT4:
    case KEY_FLOAT8:
        number = p->kind == KEY_FLOAT4 ? (double)datum_f32(value) : datum_f64(value);
        if (number == 0)
            number = 0; /* minus zero too */
        if (number != number)
            number = __builtin_nan("");
        store_u64(head + 1, datum_of_f64(number));
        append(out, head, 9);
        return;
    case KEY_BYTES: {
        const struct varlen *v = datum_varlen(value);
        store_u32(head + 1, v->len);
        append(out, head, 5);
        append(out, v->data, v->len);
        return;
    }
    case KEY_SORT:
        append(out, head, 1);
        p->type->sort_key(value, out);
        return;
    }
}

/* Multiply-and-fold over 8-byte words. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t bytes_hash(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint64_t h = 0x9e3779b97f4a7c15u ^ len;
    for (; len >= 8; p += 8, len -= 8)
        h = fold(h ^ load_u64(p), 0xd6e8feb86659fd93u);
    if (len > 0) {
        uint64_t last = 0;
        memcpy(&last, p, len);
        h = fold(h ^ last, 0xa0761d6478bd642fu);
    }
    return fold(h, 0xe7037ed1a0b428dbu);
}

void hash_table_init(struct hash_table *t, struct arena *mem)
{
    *t = (struct hash_table){.mem = mem, .bucket_count = BUCKETS_MIN};
    t->buckets = ARENA_ARRAY(mem, struct hash_entry *, BUCKETS_MIN);
}

struct hash_entry *hash_table_find(const struct hash_table *t, uint64_t hash, const void *key,
                                   size_t len)
{
    struct hash_entry *e = t->buckets[hash & (t->bucket_count - 1)];
    for (; e != NULL; e = e->next)
        if (e->hash == hash && e->key_len == len && memcmp(e->key, key, len) == 0)
            return e;
    return NULL;
}

static void grow(struct hash_table *t)
{
    uint64_t count = t->bucket_count * 4;
    struct hash_entry **buckets = ARENA_ARRAY(t->mem, struct hash_entry *, count);
    for (uint64_t i = 0; i < t->bucket_count; i++) {
        struct hash_entry *e = t->buckets[i];
        while (e != NULL) {
            struct hash_entry *next = e->next;
            e->next = buckets[e->hash & (count - 1)];
            buckets[e->hash & (count - 1)] = e;
            e = next;
        }
    }
    t->buckets = buckets;
    t->bucket_count = count;
}

struct hash_entry *hash_table_add(struct hash_table *t, uint64_t hash, const void *key, size_t len)
{
    if (t->count >= t->bucket_count)
        grow(t);
    struct hash_entry *e = arena_alloc(t->mem, sizeof(*e) + len);
    struct hash_entry **bucket = &t->buckets[hash & (t->bucket_count - 1)];
    *e = (struct hash_entry){.next = *bucket, .hash = hash, .key_len = u32_from(len)};
    if (len > 0)
        memcpy(e->key, key, len);
    *bucket = e;
    t->count++;
    return e;
}

struct hash_entry *hash_table_next(const struct hash_table *t, uint64_t *bucket,
                                   struct hash_entry *after)
{
    if (after != NULL) {
        if (after->next != NULL)
            return after->next;
        (*bucket)++;
    }
    for (; *bucket < t->bucket_count; (*bucket)++)
        if (t->buckets[*bucket] != NULL)
            return t->buckets[*bucket];
    return NULL;
}
