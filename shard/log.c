/* Reserving and appending, which do nothing in replay; reading and writing of bytes. */
#include "shard/shard_priv.h"

err_t shard_reserve_wait(struct shard *s, uint32_t records, uint32_t bytes)
{
    if (s->is_replaying) {
        ERR_IGNORE(page_room_wait(s->pages)); /* replay ends as it can; readers want clean frames */
        return ERR_OK;
    }
    if ((records & RESERVE_CRITICAL) != 0)
        return wal_reserve_critical_wait(s->wal, records & ~RESERVE_CRITICAL, bytes);
    TRY(page_room_wait(s->pages));
    return wal_reserve_wait(s->wal, records, bytes);
}

lsn_t shard_log(struct shard *s, enum record_kind kind, const struct log_writer *w,
                const void *bytes, uint32_t len)
{
    if (s->is_replaying)
        return s->replay_lsn;
    ASSERT(w->len <= sizeof(w->bytes));
    struct wal_part parts[2] = {{w->bytes, w->len}, {bytes, len}};
    return wal_append(s->wal, (uint8_t)kind, parts, len != 0 ? 2 : 1);
}

static const uint8_t *take(struct byte_reader *r, size_t len)
{
    if (r->is_bad || (size_t)(r->end - r->at) < len) {
        r->is_bad = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += len;
    return p;
}

uint8_t read_u8(struct byte_reader *r)
{
    const uint8_t *p = take(r, 1);
    return p != NULL ? *p : 0;
}

uint16_t read_u16(struct byte_reader *r)
{
    const uint8_t *p = take(r, 2);
    return p != NULL ? load_u16(p) : 0;
}

uint32_t read_u32(struct byte_reader *r)
{
    const uint8_t *p = take(r, 4);
    return p != NULL ? load_u32(p) : 0;
}

uint64_t read_u64(struct byte_reader *r)
{
    const uint8_t *p = take(r, 8);
    return p != NULL ? load_u64(p) : 0;
}

const uint8_t *read_bytes(struct byte_reader *r, uint32_t len)
{
    return take(r, len);
}

struct lock_name read_lock(struct byte_reader *r)
{
    struct lock_name n;
    n.a = read_u64(r);
    n.b = read_u64(r);
    n.modes = read_u16(r);
    return n;
}

static uint8_t *room(struct byte_writer *w, size_t n)
{
    enum { ROOM_MORE = 4096 };
    if (w->len + n > w->capacity) {
        w->capacity = MAX(w->capacity * 2, w->len + n + ROOM_MORE);
        w->bytes = core_realloc(w->bytes, w->capacity);
    }
    uint8_t *at = w->bytes + w->len;
    w->len += n;
    return at;
}

void write_u8(struct byte_writer *w, uint8_t v)
{
    *room(w, 1) = v;
}

void write_u16(struct byte_writer *w, uint16_t v)
{
    store_u16(room(w, 2), v);
}

void write_u32(struct byte_writer *w, uint32_t v)
{
    store_u32(room(w, 4), v);
}

void write_u64(struct byte_writer *w, uint64_t v)
{
    store_u64(room(w, 8), v);
}

void write_bytes(struct byte_writer *w, const void *bytes, size_t len)
{
    if (len != 0)
        memcpy(room(w, len), bytes, len);
}

void write_lock(struct byte_writer *w, const struct lock_name *name)
{
    write_u64(w, name->a);
    write_u64(w, name->b);
    write_u16(w, name->modes);
}
