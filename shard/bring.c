/*
 * Rows that say where others are, brought in for a build beside writers (shard.h, row_bring_wait).
 *
 * The index of a table may lie on other shards than its rows: then an entry is a row there, which
 * names shard and row, with an entry in a unique index of that shard. Its writers put such rows in
 * and delete them like all others. The build brings in those of before; and a writer that has to
 * delete one of before, which the build has not reached, brings it first: so that it has a history
 * from there on, which says who still sees it, and comes back when the writer is taken back.
 *
 * Like the entry that index_fill_wait puts in, one that is brought has no versions: everyone sees
 * it. It is put in where the view sees none that says the same. For the build, whose snapshot holds
 * up purge, this is exact: whatever happened to it since is in a chain.
 *
 * Looking waits (rows have to be read), so what was seen counts only while the tree is as it was
 * (`changes`): putting in and taking out of entries both change it.
 */
#include "shard/shard_priv.h"

struct looker {
    struct shard *shard;
    struct txn_view *view;
    const struct row_bring *b;
    struct btree *bt;
    uint64_t changes;
    row_id *rows; /* that have the key */
    uint32_t count;
    uint32_t room;
    struct arena *mem;
    struct row_buf image;
    struct spill_holds holds;
    /* What was found. Of two transactions' outcomes, one at a time is waited for. */
    bool is_there;   /* the view sees it */
    bool is_live;    /* one that says the same is, by the newest state */
    row_id own_wait; /* one that says the same and waits for an outcome; ROW_ID_NONE */
    row_id wait;     /* another one that does */
    row_id conflict; /* another one that is live */
};

static bool collect(void *ctx, const uint8_t *d)
{
    struct looker *l = ctx;
    struct bt_search k = {.key = l->b->key, .len = l->b->key_len};
    if (d == NULL) {
        l->count = 0;
        return false;
    }
    for (uint32_t i = bp_lower_bound(d, &k); i < bp_count(d); i++) {
        k.rid = bp_rid(d, i);
        if (bp_compare(d, i, &k) != 0)
            return true;
        if (l->count == l->room) {
            l->room = l->room * 2 + 4;
            l->rows = core_realloc(l->rows, l->room * sizeof(*l->rows));
        }
        l->rows[l->count++] = k.rid;
    }
    return false;
}

/* The bytes of a row, whoever sees it; found false: it is gone. */
SUSPENDS static err_t image_wait(struct looker *l, row_id row, bool *found)
{
    struct row_pins pins;
    TRY(heap_pin_row_wait(l->shard, l->b->heap, row, found, &pins));
    if (!*found)
        return ERR_OK;
    if (l->mem == NULL)
        l->mem = l->image.arena = arena_new();
    err_t e;
    if ((pins.image.flags & CELL_BIG) != 0 && pins.image.len == sizeof(struct big_row)) {
        uint8_t big[sizeof(struct big_row)];
        memcpy(big, pins.image.payload, sizeof(big)); /* the walk may wait */
        heap_unpin_row(&pins);
        return heap_image_read_wait(l->shard, l->b->heap, CELL_BIG, big, sizeof(big), &l->image);
    }
    e = heap_image_read_wait(l->shard, l->b->heap, pins.image.flags, pins.image.payload,
                             pins.image.len, &l->image);
    heap_unpin_row(&pins);
    return e;
}

/* *again: what it is had to be waited for. */
SUSPENDS static err_t look_at_wait(struct looker *l, row_id row, bool *again)
{
    struct shard *s = l->shard;
    const struct row_bring *b = l->b;
    const uint8_t *key = b->key;
    bool found;
    TRY(image_wait(l, row, &found));
    *again = !found;
    if (!found)
        return ERR_OK;
    bool is_same = b->is_same(b->ctx, l->image.data, l->image.len);
    if (!is_same && !b->is_checked)
        return ERR_OK;
    while (!spill_is_settled(&s->versions, l->view, b->heap, row, SPILL_ENTRY))
        TRY(spill_holds_add_wait(s, b->heap, row, &l->holds));
    struct part *part = NULL;
    if (is_same &&
        index_entry_see(s, l->view, b->index, b->heap, key, b->key_len, key, 0, row, &part))
        l->is_there = true;
    if (part != NULL) {
        *again = true;
        return part_wait(s, part, l->view);
    }
    if (!b->is_checked)
        return ERR_OK;
    switch (index_entry_newest(s, l->view, b->index, b->heap, key, b->key_len, row, &part)) {
    case ENTRY_DEAD:
        break;
    case ENTRY_LIVE:
        if (is_same)
            l->is_live = true;
        else
            l->conflict = row;
        break;
    case ENTRY_WAIT:
        if (is_same)
            l->own_wait = row;
        else
            l->wait = row;
        break;
    case ENTRY_LOAD:
        ASSERT(false); /* it is settled */
    }
    return ERR_OK;
}

/* The outcome that the entry of this row waited for. */
SUSPENDS static err_t outcome_wait(struct looker *l, row_id row)
{
    return index_entry_outcome_wait(l->shard, l->view, l->b->index, l->b->heap, l->b->key,
                                    l->b->key_len, row);
}

/* All rows with the key. *again: something changed or had to be waited for. */
SUSPENDS static err_t look_wait(struct looker *l, bool *again)
{
    l->is_there = l->is_live = *again = false;
    l->own_wait = l->wait = l->conflict = ROW_ID_NONE;
    TRY(index_leaves_wait(l->shard, l->bt, l->b->key, l->b->key_len, collect, l, &l->changes));
    for (uint32_t i = 0; i < l->count && !*again; i++)
        TRY(look_at_wait(l, l->rows[i], again));
    *again = *again || l->bt->changes != l->changes;
    if (*again || (l->conflict == ROW_ID_NONE && l->wait == ROW_ID_NONE))
        return ERR_OK;
    if (l->is_there && !l->is_live) { /* it may have lost the key */
        l->conflict = ROW_ID_NONE;
        *again = l->own_wait != ROW_ID_NONE;
        return *again ? outcome_wait(l, l->own_wait) : ERR_OK;
    }
    *again = l->conflict == ROW_ID_NONE;
    return *again ? outcome_wait(l, l->wait) : ERR_OK;
}

struct cell_image {
    const uint8_t *payload;
    uint32_t len;
    uint16_t flags;
};

/* Phase 2. record: the key, then the payload. */
static void bring_apply(struct looker *l, struct page *page, row_id id, struct bt_path *path,
                        const struct cell_image *c, const uint8_t *record)
{
    struct shard *s = l->shard;
    const struct row_bring *b = l->b;
    struct log_writer w = {.len = 0};
    log_put_u64(&w, b->heap);
    log_put_u64(&w, id);
    log_put_u64(&w, b->index);
    log_put_u16(&w, c->flags);
    log_put_u16(&w, u16_from(b->key_len));
    lsn_t lsn = shard_log(s, LOG_ROW_BROUGHT, &w, record, b->key_len + c->len);
    uint8_t *d = page_modify(page);
    hp_put(d, row_slot(id), 0, c->flags, c->payload, c->len, NULL, 0, s->scratch);
    page_set_lsn(page, lsn);
    space_note(space_of(s, b->heap), row_page(id), hp_free_bytes(d));
    btree_insert_apply(s, path, b->key, b->key_len, id, lsn);
}

/* *done false: the tree has changed since the look, or there was no room after all. */
SUSPENDS static err_t put_wait(struct looker *l, const struct cell_image *c, const uint8_t *record,
                               bool *done)
{
    struct shard *s = l->shard;
    const struct row_bring *b = l->b;
    struct heap_space *hs = space_of(s, b->heap);
    struct page *page;
    TRY(space_pick_wait(s, hs, c->len, PAGE_NONE, PAGE_NONE, &page));
    uint32_t page_no = ((const struct page_header *)(const void *)page->data)->page_no;
    uint32_t slot = hp_pick_slot(page->data);
    row_id id = row_make(page_no, slot);
    struct bt_path path;
    err_t e = btree_path_wait(s, l->bt, b->key, b->key_len, id, true, 1,
                              LOG_FIXED_BYTES_MAX + b->key_len + c->len, &path);
    if (e == ERR_OK) {
        *done = l->bt->changes == l->changes && hp_fits_new(page->data, slot, c->len);
        if (*done) {
            nosuspend_begin();
            bring_apply(l, page, id, &path, c, record);
            nosuspend_end();
        } else if (!hp_fits_new(page->data, hp_pick_slot(page->data), c->len)) {
            space_note_misfit(hs, page_no, hp_free_bytes(page->data), c->len);
        }
        btree_path_end(s, &path);
    }
    page_unpin(page);
    return e;
}

SUSPENDS static err_t bring_wait(struct looker *l, row_id *conflict)
{
    const struct row_bring *b = l->b;
    struct cell_image c;
    uint8_t *owned;
    uint8_t *record = NULL;
    if (!heap_image_inline(b->row, b->len, &c.payload, &c.len, &c.flags, &owned)) {
        core_free(owned);
        return err_not_built("a unique index without the shard key, built concurrently, of a value "
                             "of %u bytes is not supported",
                             b->len);
    }
    err_t e = ERR_OK;
    for (bool done = false; e == ERR_OK && !done;) {
        bool again;
        e = look_wait(l, &again);
        *conflict = l->conflict;
        done = e != ERR_OK || (!again && (l->is_there || l->conflict != ROW_ID_NONE));
        if (!done && !again) {
            if (record == NULL) {
                record = core_malloc(b->key_len + c.len);
                memcpy(record, b->key, b->key_len);
                memcpy(record + b->key_len, c.payload, c.len);
            }
            e = put_wait(l, &c, record, &done);
        }
    }
    core_free(record);
    core_free(owned);
    return e;
}

_Static_assert((int)ROW_INLINE_MAX + (int)INDEX_KEY_BYTES_MAX + (int)LOG_FIXED_BYTES_MAX <=
                   (int)WAL_RECORD_BYTES_MAX,
               "a row and its key fit one log record");

err_t row_bring_wait(struct shard *s, struct txn_view *v, const struct row_bring *b,
                     row_id *conflict)
{
    ASSERT(shard_is_owner(s));
    TRY(index_key_check(b->key_len));
    struct looker l = {.shard = s, .view = v, .b = b, .bt = btree_of(s, b->index)};
    err_t e = bring_wait(&l, conflict);
    spill_holds_end(&l.holds);
    core_free(l.rows);
    arena_free(l.mem);
    return e;
}

err_t row_bring_redo_wait(struct shard *s, file_id heap, row_id row, file_id index, uint16_t flags,
                          const uint8_t *key, uint32_t key_len, const uint8_t *payload,
                          uint32_t len)
{
    TRY(index_key_check(key_len));
    TRY(heap_bring_at_wait(s, heap, row, flags, payload, len));
    return index_fill_redo_wait(s, index, row, key, key_len);
}
