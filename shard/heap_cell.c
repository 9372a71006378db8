/*
 * Cells of rows on their pages: pinning a row, placing a changed row (in place, moved, moved back),
 * and the operations with explicit addresses that live work and replay share.
 *
 * A moved cell never lies on its home page. Page bytes read before a wait are read again after it.
 */
#include "shard/shard_priv.h"

static uint32_t page_number(const struct page *p)
{
    return ((const struct page_header *)(const void *)p->data)->page_no;
}

static void unpin(struct page **p)
{
    if (*p != NULL)
        page_unpin(*p);
    *p = NULL;
}

static COLD err_t row_missing(file_id heap, row_id row)
{
    return err_raise(ERR_DATA_CORRUPTED, "row (%u,%u) of file %llu/%llu is missing", row_page(row),
                     row_slot(row), (unsigned long long)(heap >> 32),
                     (unsigned long long)(heap & 0xffffffff));
}

void heap_unpin_row(struct row_pins *pins)
{
    unpin(&pins->home);
    unpin(&pins->moved);
}

err_t heap_pin_row_wait(struct shard *s, file_id heap, row_id row, bool *found,
                        struct row_pins *out)
{
    *found = false;
    *out = (struct row_pins){0};
    if (row_page(row) >= file_page_count(s->pages, heap))
        return ERR_OK;
    TRY(page_pin_wait(s->pages, heap, row_page(row), &out->home));
    for (;;) {
        struct cell *c = &out->home_cell;
        if (!hp_get(out->home->data, row_slot(row), c) ||
            (c->flags & (CELL_MOVED | CELL_CHUNK)) != 0) {
            heap_unpin_row(out);
            return ERR_OK;
        }
        if (LIKELY((c->flags & CELL_FORWARD) == 0)) {
            unpin(&out->moved);
            out->image = *c;
            break;
        }
        row_id at = load_u64(c->payload);
        if (out->moved == NULL || page_number(out->moved) != row_page(at)) {
            unpin(&out->moved);
            err_t e = page_pin_wait(s->pages, heap, row_page(at), &out->moved);
            if (e != ERR_OK) {
                out->moved = NULL;
                heap_unpin_row(out);
                return e;
            }
            continue; /* it may have waited: look again */
        }
        struct cell *m = &out->image;
        if (!hp_get(out->moved->data, row_slot(at), m) || (m->flags & CELL_MOVED) == 0 ||
            m->len < 8 || load_u64(m->payload) != row) {
            heap_unpin_row(out);
            return row_missing(heap, row);
        }
        m->payload += 8;
        m->len -= 8;
        break;
    }
    out->image.flags &= CELL_IMAGE_MASK;
    *found = true;
    return ERR_OK;
}

void heap_place_end(struct row_place *p)
{
    unpin(&p->home);
    unpin(&p->old);
    unpin(&p->fresh);
}

/* Pin the page of a target that replay names; it may not exist yet. */
SUSPENDS static err_t pin_or_make_wait(struct shard *s, file_id heap, uint32_t page_no,
                                       struct page **out)
{
    if (page_no < file_page_count(s->pages, heap))
        return page_pin_wait(s->pages, heap, page_no, out);
    return page_pin_new_wait(s->pages, heap, page_no, out);
}

/* One look at everything that is pinned. *done: the place is decided and nothing was waited for. */
SUSPENDS static err_t place_step_wait(struct shard *s, file_id heap, row_id row,
                                      uint32_t payload_len, row_id target_wanted,
                                      struct row_place *p, bool *done)
{
    *done = false;
    struct cell home;
    if (!hp_get(p->home->data, row_slot(row), &home))
        return row_missing(heap, row);
    row_id old_at = (home.flags & CELL_FORWARD) != 0 ? load_u64(home.payload) : ROW_ID_NONE;
    if (old_at == ROW_ID_NONE) {
        unpin(&p->old);
    } else if (p->old == NULL || p->old_at != old_at) {
        unpin(&p->old);
        p->old_at = old_at;
        err_t e = page_pin_wait(s->pages, heap, row_page(old_at), &p->old);
        if (e != ERR_OK)
            p->old = NULL;
        return e;
    }
    p->old_at = old_at;
    if (target_wanted != TARGET_CHOOSE) {
        p->target = target_wanted;
        if (target_wanted == ROW_ID_NONE || target_wanted == old_at) {
            *done = true;
            return ERR_OK;
        }
        if (p->fresh == NULL) {
            err_t e = pin_or_make_wait(s, heap, row_page(target_wanted), &p->fresh);
            if (e != ERR_OK)
                p->fresh = NULL;
            return e;
        }
        *done = true;
        return ERR_OK;
    }
    if (hp_fits(p->home->data, row_slot(row), payload_len)) {
        p->target = ROW_ID_NONE;
        *done = true;
        return ERR_OK;
    }
    if (p->old != NULL && hp_fits(p->old->data, row_slot(old_at), payload_len + 8)) {
        p->target = old_at;
        *done = true;
        return ERR_OK;
    }
    struct heap_space *hs = space_of(s, heap);
    if (p->fresh != NULL) {
        uint32_t slot = hp_pick_slot(p->fresh->data);
        if (hp_fits_new(p->fresh->data, slot, payload_len + 8)) {
            p->target = row_make(page_number(p->fresh), slot);
            *done = true;
            return ERR_OK;
        }
        space_note_misfit(hs, page_number(p->fresh), hp_free_bytes(p->fresh->data),
                          payload_len + 8);
        unpin(&p->fresh);
    }
    uint32_t old_page = old_at == ROW_ID_NONE ? PAGE_NONE : row_page(old_at);
    err_t e = space_pick_wait(s, hs, payload_len + 8, row_page(row), old_page, &p->fresh);
    if (e != ERR_OK)
        p->fresh = NULL;
    return e;
}

err_t heap_place_wait(struct shard *s, file_id heap, row_id row, uint32_t payload_len,
                      row_id target_wanted, uint32_t records, uint32_t bytes, struct row_place *out)
{
    *out = (struct row_place){.old_at = ROW_ID_NONE, .target = ROW_ID_NONE};
    if (row_page(row) >= file_page_count(s->pages, heap))
        return row_missing(heap, row);
    TRY(page_pin_wait(s->pages, heap, row_page(row), &out->home));
    bool is_reserved = false;
    for (;;) {
        bool done;
        err_t e = place_step_wait(s, heap, row, payload_len, target_wanted, out, &done);
        if (e == ERR_OK && done && is_reserved)
            return ERR_OK;
        if (e == ERR_OK && done) {
            e = shard_reserve_wait(s, records, bytes);
            is_reserved = true; /* until the next wait */
        } else {
            is_reserved = false;
        }
        if (e != ERR_OK) {
            heap_place_end(out);
            return e;
        }
    }
}

void heap_place_apply(struct shard *s, struct row_place *p, row_id row, uint64_t writer,
                      uint16_t flags, const void *payload, uint32_t len, lsn_t lsn)
{
    uint32_t slot = row_slot(row);
    uint8_t *home = page_modify(p->home);
    struct heap_space *hs = space_of(s, ((const struct page_header *)(const void *)home)->file);
    if (p->old != NULL && p->target != p->old_at) {
        uint8_t *old = page_modify(p->old);
        hp_free(old, row_slot(p->old_at));
        page_set_lsn(p->old, lsn);
        space_note(hs, page_number(p->old), hp_free_bytes(old));
    }
    if (p->target == ROW_ID_NONE) {
        hp_put(home, slot, writer, flags, payload, len, NULL, 0, s->scratch);
    } else {
        struct page *at = p->target == p->old_at ? p->old : p->fresh;
        uint8_t *d = page_modify(at);
        uint8_t home_id[8];
        store_u64(home_id, row);
        hp_put(d, row_slot(p->target), writer, flags | CELL_MOVED, home_id, 8, payload, len,
               s->scratch);
        page_set_lsn(at, lsn);
        space_note(hs, page_number(at), hp_free_bytes(d));
        uint8_t forward[8];
        store_u64(forward, p->target);
        hp_put(home, slot, writer, CELL_FORWARD, forward, 8, NULL, 0, s->scratch);
    }
    page_set_lsn(p->home, lsn);
    space_note(hs, row_page(row), hp_free_bytes(home));
}

void heap_free_apply(struct shard *s, struct row_pins *pins, file_id heap, row_id row, lsn_t lsn)
{
    struct heap_space *hs = space_of(s, heap);
    if (pins->moved != NULL) {
        row_id at = load_u64(pins->home_cell.payload);
        uint8_t *d = page_modify(pins->moved);
        hp_free(d, row_slot(at));
        page_set_lsn(pins->moved, lsn);
        space_note(hs, row_page(at), hp_free_bytes(d));
    }
    uint8_t *d = page_modify(pins->home);
    hp_free(d, row_slot(row));
    page_set_lsn(pins->home, lsn);
    space_note(hs, row_page(row), hp_free_bytes(d));
}

/* ---- replay ---- */

static struct part *redo_part(struct shard *s, txn_id_t id)
{
    struct part *p = part_find(s, id);
    if (p == NULL)
        p = part_make(s, id, 0);
    p->is_logged = true;
    return p;
}

SUSPENDS static err_t put_new_wait(struct shard *s, file_id heap, row_id at, txn_id_t id,
                                   uint16_t flags, const void *a, uint32_t a_len, const void *b,
                                   uint32_t b_len)
{
    if (row_slot(at) == RANGE_SLOT || a_len + b_len > CELL_PAYLOAD_MAX)
        return err_raise(ERR_DATA_CORRUPTED, "log record names an impossible cell");
    struct page *page;
    TRY(pin_or_make_wait(s, heap, row_page(at), &page));
    if (!hp_fits_new(page->data, row_slot(at), a_len + b_len)) {
        page_unpin(page);
        return err_raise(ERR_DATA_CORRUPTED, "log record does not fit page %u of file %llu/%llu",
                         row_page(at), (unsigned long long)(heap >> 32),
                         (unsigned long long)(heap & 0xffffffff));
    }
    nosuspend_begin();
    hp_put(page_modify(page), row_slot(at), id, flags, a, a_len, b, b_len, s->scratch);
    page_set_lsn(page, s->replay_lsn);
    nosuspend_end();
    page_unpin(page);
    return ERR_OK;
}

err_t heap_insert_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap, row_id row,
                          uint16_t flags, const uint8_t *payload, uint32_t len)
{
    TRY(put_new_wait(s, heap, row, id, flags & CELL_IMAGE_MASK, payload, len, NULL, 0));
    version_push_insert(&s->versions, redo_part(s, id), seq, heap, row);
    return ERR_OK;
}

err_t heap_bring_at_wait(struct shard *s, file_id heap, row_id row, uint16_t flags,
                         const uint8_t *payload, uint32_t len)
{
    return put_new_wait(s, heap, row, 0, flags & CELL_COMPRESSED, payload, len, NULL, 0);
}

err_t heap_chunk_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap, row_id at,
                         row_id next, const uint8_t *bytes, uint32_t len)
{
    uint8_t head[8];
    store_u64(head, next);
    TRY(put_new_wait(s, heap, at, id, CELL_CHUNK, head, 8, bytes, len));
    (void)version_push(&s->versions, redo_part(s, id), VERSION_CHUNK_ADD, seq, heap, at, NULL, 0);
    return ERR_OK;
}

err_t heap_chunk_drop_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap, row_id at)
{
    (void)version_push(&s->versions, redo_part(s, id), VERSION_CHUNK_DROP, seq, heap, at, NULL, 0);
    return ERR_OK;
}

/* The before image must be read while old and home are pinned. */
static bool place_image(const struct row_place *p, row_id row, struct cell *out)
{
    ASSUME(p->home != NULL);
    if (!hp_get(p->home->data, row_slot(row), out))
        return false;
    uint64_t writer = out->writer;
    if (p->old != NULL) {
        if (!hp_get(p->old->data, row_slot(p->old_at), out) || out->len < 8)
            return false;
        out->payload += 8;
        out->len -= 8;
    }
    out->flags &= CELL_IMAGE_MASK;
    out->writer = writer;
    return true;
}

err_t heap_update_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap, row_id row,
                          row_id target, uint16_t flags, const uint8_t *payload, uint32_t len)
{
    if (len > ROW_INLINE_MAX)
        return err_raise(ERR_DATA_CORRUPTED, "row payload of %u bytes", len);
    struct row_place place;
    uint32_t bytes = LOG_FIXED_BYTES_MAX + len;
    TRY(heap_place_wait(s, heap, row, len, target, 1, bytes, &place));
    struct cell before;
    bool ok = place_image(&place, row, &before);
    uint32_t cell_len = len + (place.target == ROW_ID_NONE ? 0 : 8);
    if (ok && place.target == ROW_ID_NONE)
        ok = hp_fits(place.home->data, row_slot(row), cell_len);
    else if (ok && place.target == place.old_at)
        ok = hp_fits(place.old->data, row_slot(place.target), cell_len);
    else if (ok)
        ok = hp_fits_new(place.fresh->data, row_slot(place.target), cell_len);
    if (!ok) {
        heap_place_end(&place);
        return row_missing(heap, row);
    }
    nosuspend_begin();
    struct part *p = redo_part(s, id);
    struct log_writer w = {.len = 0};
    log_put_u64(&w, id);
    log_put_u32(&w, seq);
    log_put_u64(&w, heap);
    log_put_u64(&w, row);
    log_put_u64(&w, place.target);
    log_put_u16(&w, flags);
    lsn_t lsn = shard_log(s, LOG_ROW_UPDATE, &w, payload, len);
    struct version *v =
        version_push(&s->versions, p, VERSION_UPDATE, seq, heap, row, before.payload, before.len);
    v->cell_flags = before.flags;
    v->writer = before.writer;
    heap_place_apply(s, &place, row, id, flags, payload, len, lsn);
    nosuspend_end();
    heap_place_end(&place);
    return ERR_OK;
}

err_t heap_delete_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id heap, row_id row)
{
    struct page *page;
    if (row_page(row) >= file_page_count(s->pages, heap))
        return row_missing(heap, row);
    TRY(page_pin_wait(s->pages, heap, row_page(row), &page));
    err_t e = shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX);
    struct cell c;
    if (e == ERR_OK && (!hp_get(page->data, row_slot(row), &c) || (c.flags & CELL_DELETED) != 0))
        e = row_missing(heap, row);
    if (e != ERR_OK) {
        page_unpin(page);
        return e;
    }
    nosuspend_begin();
    struct part *p = redo_part(s, id);
    struct log_writer w = {.len = 0};
    log_put_u64(&w, id);
    log_put_u32(&w, seq);
    log_put_u64(&w, heap);
    log_put_u64(&w, row);
    lsn_t lsn = shard_log(s, LOG_ROW_DELETE, &w, NULL, 0);
    struct version *v = version_push(&s->versions, p, VERSION_DELETE, seq, heap, row, NULL, 0);
    v->writer = c.writer;
    hp_set_flags(page_modify(page), row_slot(row), id, c.flags | CELL_DELETED);
    page_set_lsn(page, lsn);
    nosuspend_end();
    page_unpin(page);
    return ERR_OK;
}
