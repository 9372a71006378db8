/*
 * Sequential scan. A page is visited once: it is copied whole, and in the same step, without
 * suspension, every home row's visibility is decided. Rows of which the snapshot sees an older
 * version have it copied beside the page; rows that are elsewhere (moved, long) or wait for a
 * prepared transaction are fetched by address when their turn comes, which the snapshot keeps
 * stable.
 *
 * Pages that are added after the start hold nothing that the snapshot sees.
 */
#include "shard/shard_priv.h"

enum { READ_AHEAD_PAGES = 32, FETCH_LATER = 0xffffffff };

struct scan_row {
    uint32_t offset; /* in the page copy, or behind it: PAGE_BYTES + offset in old */
    uint32_t len;    /* FETCH_LATER */
    uint16_t slot;
    uint16_t flags;
};

struct heap_scan {
    struct shard *shard;
    struct txn_view *view;
    file_id heap;
    struct arena *mem;
    uint32_t page_count;
    uint32_t page_next;
    uint32_t page_no;
    uint32_t row_count;
    uint32_t row_next;
    struct scan_row *rows;
    uint8_t *page;
    uint8_t *old; /* old images of the page's rows */
    uint32_t old_len;
    uint32_t old_capacity;
    struct row_buf buf;
};

enum {
    ROWS_PER_PAGE_MAX =
        (PAGE_BYTES - HEAP_SLOTS_AT) / (HEAP_SLOT_BYTES + CELL_HEADER_BYTES + CELL_PAYLOAD_MIN) + 1
};

err_t heap_scan_begin_wait(struct shard *s, struct txn_view *v, file_id heap, struct arena *mem,
                           struct heap_scan **out)
{
    ASSERT(shard_is_owner(s));
    struct heap_scan *scan = ARENA_NEW(mem, struct heap_scan);
    scan->shard = s;
    scan->view = v;
    scan->heap = heap;
    scan->mem = mem;
    scan->page = arena_alloc(mem, PAGE_BYTES);
    scan->rows = ARENA_ARRAY(mem, struct scan_row, ROWS_PER_PAGE_MAX);
    scan->buf.arena = mem;
    scan->page_count = file_page_count(s->pages, heap);
    serial_note_heap(s, v, heap);
    *out = scan;
    return ERR_OK;
}

void heap_scan_restart(struct heap_scan *scan)
{
    scan->page_next = 0;
    scan->row_count = 0;
    scan->row_next = 0;
}

void heap_scan_end(struct heap_scan *scan)
{
    scan->row_count = scan->row_next = 0;
    scan->page_next = scan->page_count;
}

static err_t old_put(struct heap_scan *scan, const struct version *image, uint32_t *offset)
{
    if (scan->old_len + image->len > scan->old_capacity) {
        uint32_t capacity = MAX(scan->old_capacity * 2, scan->old_len + image->len + 1024);
        void *bytes;
        TRY(arena_alloc_try(scan->mem, capacity, &bytes));
        if (scan->old_len != 0)
            memcpy(bytes, scan->old, scan->old_len);
        scan->old = bytes;
        scan->old_capacity = capacity;
    }
    *offset = PAGE_BYTES + scan->old_len;
    memcpy(scan->old + scan->old_len, image->bytes, image->len);
    scan->old_len += image->len;
    return ERR_OK;
}

static err_t visit_row(struct heap_scan *scan, uint32_t slot, const struct cell *c)
{
    struct shard *s = scan->shard;
    struct row_sight sight = {.is_live = (c->flags & CELL_DELETED) == 0};
    if (c->writer >= s->parts_id_min)
        sight = row_see(s, scan->view, scan->heap, row_make(scan->page_no, slot), sight.is_live);
    if (!sight.is_live && sight.wait == NULL)
        return ERR_OK;
    ASSERT(scan->row_count < ROWS_PER_PAGE_MAX);
    struct scan_row *row = &scan->rows[scan->row_count++];
    row->slot = (uint16_t)slot;
    row->flags = 0;
    row->len = FETCH_LATER;
    if (sight.wait != NULL)
        return ERR_OK;
    if (sight.image != NULL) {
        if ((sight.image->cell_flags & CELL_BIG) != 0)
            return ERR_OK;
        row->flags = sight.image->cell_flags;
        row->len = sight.image->len;
        return old_put(scan, sight.image, &row->offset);
    }
    if ((c->flags & (CELL_FORWARD | CELL_BIG)) != 0)
        return ERR_OK;
    row->flags = c->flags & CELL_IMAGE_MASK;
    row->offset = (uint32_t)(c->payload - scan->page);
    row->len = c->len;
    return ERR_OK;
}

SUSPENDS static err_t next_page_wait(struct heap_scan *scan)
{
    struct shard *s = scan->shard;
    TRY(fiber_rest_wait());
    scan->row_count = scan->row_next = 0;
    scan->old_len = 0;
    scan->page_no = scan->page_next;
    if (scan->page_no % READ_AHEAD_PAGES == 0)
        page_read_ahead(s->pages, scan->heap, scan->page_no,
                        MIN((uint32_t)READ_AHEAD_PAGES * 2, scan->page_count - scan->page_no));
    SCOPED_HOLD struct spill_hold hold = {0};
    struct page *page;
    TRY(page_pin_use_wait(s->pages, scan->heap, scan->page_no, PAGE_USE_SCAN, &page));
    while (UNLIKELY(!spill_is_settled(&s->versions, scan->view, scan->heap,
                                      row_make(scan->page_no, 0), SPILL_ROW))) {
        page_unpin(page);
        TRY(spill_hold_wait(s, scan->heap, row_make(scan->page_no, 0), &hold));
        TRY(page_pin_use_wait(s->pages, scan->heap, scan->page_no, PAGE_USE_SCAN, &page));
    }
    memcpy(scan->page, page->data, PAGE_BYTES);
    page_unpin(page);
    /* No wait from here on: the copy and the versions belong together. */
    uint32_t slots = hp_slot_count(scan->page);
    uint32_t homes = 0;
    for (uint32_t i = 0; i < slots; i++) {
        struct cell c;
        if (!hp_get(scan->page, i, &c) || (c.flags & (CELL_MOVED | CELL_CHUNK)) != 0)
            continue;
        homes++;
        TRY(visit_row(scan, i, &c));
    }
    struct heap_space *hs = space_of(s, scan->heap);
    hs->rows_per_page += ((double)homes - hs->rows_per_page) / 64;
    scan->page_next++;
    return ERR_OK;
}

err_t heap_scan_next_wait(struct heap_scan *scan, row_id *id, const uint8_t **row, uint32_t *len)
{
    for (;;) {
        while (scan->row_next == scan->row_count) {
            if (scan->page_next >= scan->page_count) {
                *id = ROW_ID_NONE;
                return ERR_OK;
            }
            TRY(next_page_wait(scan));
        }
        const struct scan_row *r = &scan->rows[scan->row_next++];
        *id = row_make(scan->page_no, r->slot);
        if (r->len == FETCH_LATER) {
            bool found;
            TRY(row_fetch_wait(scan->shard, scan->view, scan->heap, *id, &found, &scan->buf));
            if (!found)
                continue;
            *row = scan->buf.data;
            *len = scan->buf.len;
            return ERR_OK;
        }
        const uint8_t *at =
            r->offset < PAGE_BYTES ? scan->page + r->offset : scan->old + (r->offset - PAGE_BYTES);
        if (r->flags != 0) {
            TRY(heap_image_read_wait(scan->shard, scan->heap, r->flags, at, r->len, &scan->buf));
            *row = scan->buf.data;
            *len = scan->buf.len;
            return ERR_OK;
        }
        *row = at;
        *len = r->len;
        if (((uintptr_t)at & 7) != 0) { /* cells are packed; readers of rows need alignment */
            TRY(row_buf_reserve(&scan->buf, r->len));
            memcpy(scan->buf.data, at, r->len);
            *row = scan->buf.data;
        }
        return ERR_OK;
    }
}
