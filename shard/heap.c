/*
 * Rows: insert, update, delete, lock, fetch. A row's image (payload and flags of a cell) is its
 * bytes as they are; or, longer than a page allows, lz4-compressed when that brings them under it;
 * or a struct big_row whose bytes (compressed when that helps) lie in a chain of chunks. Chunks of
 * an old image stay until purge: each has its own version.
 */
#include "shard/shard_priv.h"

#include <lz4.h>

enum { COMPRESS_BYTES_MAX = 8 << 20, CHUNKS_PER_REST = 32 };

static uint32_t page_number(const struct page *p)
{
    return ((const struct page_header *)(const void *)p->data)->page_no;
}

err_t row_buf_reserve(struct row_buf *b, uint32_t bytes)
{
    if (bytes <= b->capacity)
        return ERR_OK;
    uint32_t capacity = MAX(bytes, 256u);
    if (capacity < ROW_BYTES_MAX / 2)
        capacity = MAX(capacity, b->capacity * 2);
    void *data;
    TRY(arena_alloc_try(b->arena, capacity, &data));
    b->data = data;
    b->capacity = capacity;
    return ERR_OK;
}

/* ---- reading an image ---- */

static COLD err_t image_bad(file_id heap)
{
    return err_raise(ERR_DATA_CORRUPTED, "bad long row in file %llu/%llu",
                     (unsigned long long)(heap >> 32), (unsigned long long)(heap & 0xffffffff));
}

SUSPENDS static err_t chunks_read_wait(struct shard *s, file_id heap, row_id at, uint8_t *out,
                                       uint32_t len)
{
    uint32_t done = 0;
    uint32_t since_rest = 0;
    while (done < len) {
        if (at == ROW_ID_NONE || row_page(at) >= file_page_count(s->pages, heap))
            return image_bad(heap);
        struct page *page;
        TRY(page_pin_wait(s->pages, heap, row_page(at), &page));
        struct cell c;
        if (!hp_get(page->data, row_slot(at), &c) || (c.flags & CELL_CHUNK) == 0 || c.len <= 8 ||
            c.len - 8 > len - done) {
            page_unpin(page);
            return image_bad(heap);
        }
        at = load_u64(c.payload);
        memcpy(out + done, c.payload + 8, c.len - 8);
        done += c.len - 8;
        page_unpin(page);
        if (++since_rest == CHUNKS_PER_REST) {
            since_rest = 0;
            TRY(fiber_rest_wait());
        }
    }
    return ERR_OK;
}

static err_t decompress(file_id heap, const uint8_t *from, uint32_t len, uint32_t raw_len,
                        struct row_buf *out)
{
    if (raw_len > ROW_BYTES_MAX)
        return image_bad(heap);
    TRY(row_buf_reserve(out, raw_len));
    int n = LZ4_decompress_safe((const char *)from, (char *)out->data, (int)len, (int)raw_len);
    if (n < 0 || (uint32_t)n != raw_len)
        return image_bad(heap);
    out->len = raw_len;
    return ERR_OK;
}

err_t heap_image_read_wait(struct shard *s, file_id heap, uint16_t cell_flags,
                           const uint8_t *payload, uint32_t len, struct row_buf *out)
{
    if (LIKELY((cell_flags & CELL_IMAGE_MASK) == 0)) {
        TRY(row_buf_reserve(out, len));
        memcpy(out->data, payload, len);
        out->len = len;
        return ERR_OK;
    }
    if ((cell_flags & CELL_COMPRESSED) != 0) {
        if (len < 4)
            return image_bad(heap);
        return decompress(heap, payload + 4, len - 4, load_u32(payload), out);
    }
    if (len != sizeof(struct big_row))
        return image_bad(heap);
    struct big_row big;
    memcpy(&big, payload, sizeof(big));
    if (big.raw_len > ROW_BYTES_MAX || big.stored_len > big.raw_len)
        return image_bad(heap);
    if (big.stored_len == big.raw_len) {
        TRY(row_buf_reserve(out, big.raw_len));
        out->len = big.raw_len;
        return chunks_read_wait(s, heap, big.first_chunk, out->data, big.raw_len);
    }
    uint8_t *stored = core_malloc(big.stored_len);
    err_t e = chunks_read_wait(s, heap, big.first_chunk, stored, big.stored_len);
    if (e == ERR_OK)
        e = decompress(heap, stored, big.stored_len, big.raw_len, out);
    core_free(stored);
    return e;
}

/* Reads what a sight found of a pinned row, and unpins it. */
SUSPENDS static err_t read_and_unpin_wait(struct shard *s, file_id heap, struct row_pins *pins,
                                          const struct version *image, struct row_buf *out)
{
    uint16_t flags = image != NULL ? image->cell_flags : pins->image.flags;
    const uint8_t *payload = image != NULL ? image->bytes : pins->image.payload;
    uint32_t len = image != NULL ? image->len : pins->image.len;
    uint8_t big[sizeof(struct big_row)];
    err_t e;
    if ((flags & CELL_BIG) != 0 && len == sizeof(big)) {
        memcpy(big, payload, sizeof(big)); /* the walk may wait */
        heap_unpin_row(pins);
        return heap_image_read_wait(s, heap, flags, big, sizeof(big), out);
    }
    e = heap_image_read_wait(s, heap, flags, payload, len, out);
    heap_unpin_row(pins);
    return e;
}

err_t row_fetch_wait(struct shard *s, struct txn_view *v, file_id heap, row_id id, bool *found,
                     struct row_buf *out)
{
    ASSERT(shard_is_owner(s));
    serial_note_row(s, v, heap, id);
    SCOPED_HOLD struct spill_hold hold = {0};
    for (;;) {
        struct row_pins pins;
        TRY(heap_pin_row_wait(s, heap, id, found, &pins));
        if (!*found)
            return ERR_OK;
        struct row_sight sight = {.is_live = (pins.home_cell.flags & CELL_DELETED) == 0};
        if (pins.home_cell.writer >= s->parts_id_min) {
            if (UNLIKELY(!spill_is_settled(&s->versions, v, heap, id, SPILL_ROW))) {
                heap_unpin_row(&pins);
                TRY(spill_hold_wait(s, heap, id, &hold));
                continue;
            }
            sight = row_see(s, v, heap, id, sight.is_live);
        }
        if (UNLIKELY(sight.wait != NULL)) {
            heap_unpin_row(&pins);
            TRY(part_wait(s, sight.wait, v));
            continue;
        }
        if (!sight.is_live) {
            heap_unpin_row(&pins);
            *found = false;
            return ERR_OK;
        }
        return read_and_unpin_wait(s, heap, &pins, sight.image, out);
    }
}

/* ---- making an image ---- */

struct image {
    const uint8_t *payload;
    uint32_t len;
    uint16_t flags;
    uint8_t *owned; /* core_malloc'ed payload, or NULL */
    struct big_row big;
};

static void image_free(struct image *i)
{
    core_free(i->owned);
    i->owned = NULL;
}

SUSPENDS static err_t chunk_put_wait(struct shard *s, struct txn_view *v, file_id heap, row_id next,
                                     const uint8_t *bytes, uint32_t len, row_id *out)
{
    struct heap_space *hs = space_of(s, heap);
    for (;;) {
        struct page *page;
        TRY(space_pick_wait(s, hs, len + 8, PAGE_NONE, PAGE_NONE, &page));
        err_t e = shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX + len);
        if (e != ERR_OK) {
            page_unpin(page);
            return e;
        }
        uint32_t slot = hp_pick_slot(page->data);
        if (!hp_fits_new(page->data, slot, len + 8)) {
            space_note_misfit(hs, page_number(page), hp_free_bytes(page->data), len + 8);
            page_unpin(page);
            continue;
        }
        nosuspend_begin();
        *out = row_make(page_number(page), slot);
        struct part *p = part_for_write(s, v);
        p->is_logged = v->logged = true;
        struct log_writer w = {.len = 0};
        log_put_u64(&w, v->id);
        log_put_u32(&w, v->seq);
        log_put_u64(&w, heap);
        log_put_u64(&w, *out);
        log_put_u64(&w, next);
        lsn_t lsn = shard_log(s, LOG_CHUNK_PUT, &w, bytes, len);
        uint8_t head[8];
        store_u64(head, next);
        uint8_t *d = page_modify(page);
        hp_put(d, slot, v->id, CELL_CHUNK, head, 8, bytes, len, s->scratch);
        page_set_lsn(page, lsn);
        (void)version_push(&s->versions, p, VERSION_CHUNK_ADD, v->seq, heap, *out, NULL, 0);
        space_note(hs, page_number(page), hp_free_bytes(d));
        nosuspend_end();
        page_unpin(page);
        return ERR_OK;
    }
}

/* From the last chunk to the first, so that each knows its next. */
SUSPENDS static err_t chunks_put_wait(struct shard *s, struct txn_view *v, file_id heap,
                                      const uint8_t *bytes, uint32_t len, row_id *first)
{
    *first = ROW_ID_NONE;
    uint32_t at = (len - 1) / CHUNK_BYTES_MAX * CHUNK_BYTES_MAX;
    for (uint32_t n = 1;; n++) {
        TRY(version_budget_wait(s));
        TRY(chunk_put_wait(s, v, heap, *first, bytes + at, MIN(len - at, CHUNK_BYTES_MAX), first));
        if (at == 0)
            return ERR_OK;
        at -= CHUNK_BYTES_MAX;
        if (n % CHUNKS_PER_REST == 0)
            TRY(fiber_rest_wait());
    }
}

/* u32 raw length, then as many bytes as it returns; 0: that would bring nothing. */
static uint32_t image_compress(const uint8_t *row, uint32_t len, uint8_t **owned)
{
    if (len > COMPRESS_BYTES_MAX)
        return 0;
    int bound = LZ4_compressBound((int)len);
    *owned = core_malloc((size_t)bound + 4);
    void *state = core_malloc((size_t)LZ4_sizeofState());
    int n = LZ4_compress_fast_extState(state, (const char *)row, (char *)*owned + 4, (int)len,
                                       bound, 1);
    core_free(state);
    store_u32(*owned, len);
    return n > 0 && (uint32_t)n < len - len / 16 ? (uint32_t)n : 0;
}

bool heap_image_inline(const uint8_t *row, uint32_t len, const uint8_t **payload,
                       uint32_t *payload_len, uint16_t *flags, uint8_t **owned)
{
    *owned = NULL;
    *payload = row;
    *payload_len = len;
    *flags = 0;
    if (len <= ROW_INLINE_MAX)
        return true;
    uint32_t compressed_len = image_compress(row, len, owned);
    *payload = *owned;
    *payload_len = compressed_len + 4;
    *flags = CELL_COMPRESSED;
    return compressed_len != 0 && *payload_len <= ROW_INLINE_MAX;
}

SUSPENDS static err_t image_make_wait(struct shard *s, struct txn_view *v, file_id heap,
                                      const uint8_t *row, uint32_t len, struct image *out)
{
    *out = (struct image){.payload = row, .len = len};
    if (LIKELY(len <= ROW_INLINE_MAX))
        return ERR_OK;
    if (len > ROW_BYTES_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "row is too big: size %u, maximum size %u",
                         len, (uint32_t)ROW_BYTES_MAX);
    if (core_is_borrowed())
        return err_raise(ERR_INTERNAL_WOULD_SUSPEND, "a long row on a borrowed core");
    if (heap_image_inline(row, len, &out->payload, &out->len, &out->flags, &out->owned))
        return ERR_OK;
    bool is_compressed = out->len > 4;
    const uint8_t *stored = is_compressed ? out->owned + 4 : row;
    uint32_t stored_len = is_compressed ? out->len - 4 : len;
    out->big = (struct big_row){.raw_len = len, .stored_len = stored_len};
    err_t e = chunks_put_wait(s, v, heap, stored, stored_len, &out->big.first_chunk);
    image_free(out);
    out->payload = (const uint8_t *)&out->big;
    out->len = sizeof(out->big);
    out->flags = CELL_BIG;
    return e;
}

/* The chunks of an image that will be replaced: their space is freed by purge. */
SUSPENDS static err_t chunks_drop_wait(struct shard *s, struct txn_view *v, file_id heap,
                                       const struct big_row *big)
{
    row_id at = big->first_chunk;
    for (uint32_t n = 1; at != ROW_ID_NONE; n++) {
        if (row_page(at) >= file_page_count(s->pages, heap))
            return image_bad(heap);
        TRY(version_budget_wait(s));
        struct page *page;
        TRY(page_pin_wait(s->pages, heap, row_page(at), &page));
        struct cell c;
        bool ok = hp_get(page->data, row_slot(at), &c) && (c.flags & CELL_CHUNK) != 0 && c.len >= 8;
        row_id next = ok ? load_u64(c.payload) : 0;
        page_unpin(page);
        if (!ok)
            return image_bad(heap);
        TRY(shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX));
        nosuspend_begin();
        struct part *p = part_for_write(s, v);
        p->is_logged = v->logged = true;
        struct log_writer w = {.len = 0};
        log_put_u64(&w, v->id);
        log_put_u32(&w, v->seq);
        log_put_u64(&w, heap);
        log_put_u64(&w, at);
        (void)shard_log(s, LOG_CHUNK_DROP, &w, NULL, 0);
        (void)version_push(&s->versions, p, VERSION_CHUNK_DROP, v->seq, heap, at, NULL, 0);
        nosuspend_end();
        at = next;
        if (n % CHUNKS_PER_REST == 0)
            TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

SUSPENDS static err_t old_chunks_drop_wait(struct shard *s, struct txn_view *v, file_id heap,
                                           row_id id)
{
    struct row_pins pins;
    bool found;
    TRY(heap_pin_row_wait(s, heap, id, &found, &pins));
    if (!found)
        return ERR_OK;
    struct big_row big;
    bool is_big = (pins.image.flags & CELL_BIG) != 0 && pins.image.len == sizeof(big);
    if (is_big)
        memcpy(&big, pins.image.payload, sizeof(big));
    heap_unpin_row(&pins);
    return is_big ? chunks_drop_wait(s, v, heap, &big) : ERR_OK;
}

/* ---- writing ---- */

SUSPENDS static err_t insert_image_wait(struct shard *s, struct txn_view *v, file_id heap,
                                        const struct image *image, row_id *out)
{
    struct heap_space *hs = space_of(s, heap);
    for (;;) {
        struct page *page;
        TRY(space_pick_wait(s, hs, image->len, PAGE_NONE, PAGE_NONE, &page));
        err_t e = shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX + image->len);
        if (e != ERR_OK) {
            page_unpin(page);
            return e;
        }
        uint32_t slot = hp_pick_slot(page->data);
        if (!hp_fits_new(page->data, slot, image->len)) {
            space_note_misfit(hs, page_number(page), hp_free_bytes(page->data), image->len);
            page_unpin(page);
            continue;
        }
        nosuspend_begin();
        *out = row_make(page_number(page), slot);
        struct part *p = part_for_write(s, v);
        p->is_logged = v->logged = true;
        struct log_writer w = {.len = 0};
        log_put_u64(&w, v->id);
        log_put_u32(&w, v->seq);
        log_put_u64(&w, heap);
        log_put_u64(&w, *out);
        log_put_u16(&w, image->flags);
        lsn_t lsn = shard_log(s, LOG_ROW_INSERT, &w, image->payload, image->len);
        uint8_t *d = page_modify(page);
        hp_put(d, slot, v->id, image->flags, image->payload, image->len, NULL, 0, s->scratch);
        page_set_lsn(page, lsn);
        version_push_insert(&s->versions, p, v->seq, heap, *out);
        space_note(hs, page_number(page), hp_free_bytes(d));
        nosuspend_end();
        page_unpin(page);
        return ERR_OK;
    }
}

err_t row_insert_wait(struct shard *s, struct txn_view *v, file_id heap, const void *row,
                      uint32_t len, row_id *out)
{
    ASSERT(shard_is_owner(s));
    ASSERT(v->id != 0);
    TRY(version_budget_wait(s));
    struct image image;
    err_t e = image_make_wait(s, v, heap, row, len, &image);
    if (e == ERR_OK)
        e = insert_image_wait(s, v, heap, &image, out);
    image_free(&image);
    return e;
}

err_t row_update_wait(struct shard *s, struct txn_view *v, file_id heap, row_id id, const void *row,
                      uint32_t len)
{
    ASSERT(shard_is_owner(s));
    ASSERT(v->id != 0);
    TRY(version_budget_wait(s));
    TRY(old_chunks_drop_wait(s, v, heap, id));
    struct image image;
    err_t e = image_make_wait(s, v, heap, row, len, &image);
    if (e == ERR_OK) {
        (void)part_for_write(s, v);
        e = heap_update_at_wait(s, v->id, v->seq, heap, id, TARGET_CHOOSE, image.flags,
                                image.payload, image.len);
    }
    if (e == ERR_OK)
        v->logged = true;
    image_free(&image);
    return e;
}

err_t row_delete_wait(struct shard *s, struct txn_view *v, file_id heap, row_id id)
{
    ASSERT(shard_is_owner(s));
    ASSERT(v->id != 0);
    TRY(version_budget_wait(s));
    TRY(old_chunks_drop_wait(s, v, heap, id));
    (void)part_for_write(s, v);
    TRY(heap_delete_at_wait(s, v->id, v->seq, heap, id));
    v->logged = true;
    return ERR_OK;
}

/* ---- locking ---- */

struct newest {
    const struct version *image; /* NULL = the cell */
    struct part *wait;
    bool is_gone;
    bool is_changed; /* by a commit that the snapshot does not see */
    bool is_own;     /* by this very statement */
};

/* The newest committed-or-own state. Changes in progress by others (a writer that a key-share lock
 * does not exclude) are looked through. */
static struct newest newest_of(struct shard *s, struct txn_view *v, file_id heap, row_id id,
                               bool cell_is_live)
{
    struct newest n = {.is_gone = !cell_is_live};
    struct version *ver = version_chain(&s->versions, heap, id);
    for (; ver != NULL; ver = ver->chain_older) {
        if (ver->kind != VERSION_UPDATE && ver->kind != VERSION_DELETE)
            continue;
        const struct part *p = ver->part;
        if (p->id == v->id) {
            n.is_own = ver->seq >= v->seq;
            return n;
        }
        if (p->state == PART_COMMITTED) {
            n.is_changed = version_sight(s, v, ver) == SIGHT_UNSEEN;
            if (n.is_changed && p->commit_lsn > v->observed && !shard_is_settled(s, p->commit_lsn))
                v->observed = p->commit_lsn;
            return n;
        }
        if (p->state == PART_PREPARED) {
            n.wait = ver->part;
            return n;
        }
        n.is_gone = false;
        if (ver->kind == VERSION_UPDATE)
            n.image = ver;
    }
    ver = version_insert_of(&s->versions, heap, id);
    if (ver == NULL)
        return n;
    if (ver->part->id == v->id) {
        n.is_own = ver->seq >= v->seq;
    } else if (ver->part->state == PART_COMMITTED) {
        n.is_changed = version_sight(s, v, ver) == SIGHT_UNSEEN;
        if (n.is_changed && ver->part->commit_lsn > v->observed &&
            !shard_is_settled(s, ver->part->commit_lsn))
            v->observed = ver->part->commit_lsn;
    } else if (ver->part->state == PART_PREPARED) {
        n.wait = ver->part;
    } else {
        n.is_gone = true;
    }
    return n;
}

/* The row is locked: what is it now? */
SUSPENDS static err_t locked_state_wait(struct shard *s, struct txn_view *v, file_id heap,
                                        row_id id, enum row_lock_result *result,
                                        struct row_buf *newest)
{
    SCOPED_HOLD struct spill_hold hold = {0};
    for (;;) {
        struct row_pins pins;
        bool found;
        TRY(heap_pin_row_wait(s, heap, id, &found, &pins));
        if (UNLIKELY(!spill_is_settled(&s->versions, v, heap, id, SPILL_ROW))) {
            heap_unpin_row(&pins);
            TRY(spill_hold_wait(s, heap, id, &hold));
            continue;
        }
        struct newest n = {.is_gone = true};
        if (found)
            n = newest_of(s, v, heap, id, (pins.home_cell.flags & CELL_DELETED) == 0);
        if (n.wait != NULL) {
            heap_unpin_row(&pins);
            TRY(part_wait(s, n.wait, v));
            continue;
        }
        if (n.is_own) {
            heap_unpin_row(&pins);
            *result = ROW_SELF_CHANGED;
            return ERR_OK;
        }
        bool is_others = n.is_changed || (n.is_gone && !found);
        if (is_others && v->isolation != READ_COMMITTED) {
            heap_unpin_row(&pins);
            return err_raise(ERR_T_R_SERIALIZATION_FAILURE,
                             "could not serialize access due to concurrent %s",
                             n.is_gone ? "delete" : "update");
        }
        if (n.is_gone) {
            heap_unpin_row(&pins);
            *result = ROW_GONE;
            return ERR_OK;
        }
        *result = n.is_changed ? ROW_LOCKED_CHANGED : ROW_LOCKED;
        if (newest == NULL) {
            heap_unpin_row(&pins);
            return ERR_OK;
        }
        return read_and_unpin_wait(s, heap, &pins, n.image, newest);
    }
}

err_t row_lock_wait(struct shard *s, struct txn_view *v, file_id heap, row_id id,
                    enum row_lock_mode mode, enum lock_policy policy, enum row_lock_result *result,
                    struct row_buf *newest)
{
    ASSERT(shard_is_owner(s));
    ASSERT(v->id != 0);
    struct part *p = part_for_write(s, v);
    if (newest != NULL) /* it stays read when a savepoint takes back what was done with it */
        serial_note_row(s, v, heap, id);
    enum lock_outcome outcome;
    bool fresh;
    TRY(lock_acquire_wait(&s->row_locks, &p->owner, heap, id, mode, v->seq, policy, v->limits,
                          &outcome, &fresh));
    if (outcome == LOCK_BUSY) {
        if (policy == LOCK_NOWAIT)
            return err_raise(ERR_LOCK_NOT_AVAILABLE, "could not obtain lock on row");
        *result = ROW_SKIPPED;
        return ERR_OK;
    }
    err_t e = locked_state_wait(s, v, heap, id, result, newest);
    if (fresh && (e == ERR_INTERNAL_WOULD_SUSPEND || (e == ERR_OK && *result == ROW_GONE)))
        lock_release_mode(&s->row_locks, &p->owner, heap, id, mode);
    return e;
}
