/*
 * Undo: the newest version of a part is taken back, with a log record that says so, until the mark.
 * The record names the kind and the row as a check, and where a row went that had to move; replay,
 * which has rebuilt the same undo list, does the same.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

static COLD err_t undo_bad(const struct version *v)
{
    return err_raise(ERR_DATA_CORRUPTED, "undo does not fit row (%u,%u) of file %llu/%llu",
                     row_page(v->row), row_slot(v->row), (unsigned long long)(v->heap >> 32),
                     (unsigned long long)(v->heap & 0xffffffff));
}

/* Record: u64 txn, u8 kind, u64 row, u64 target, u8 remove_entry. */
static struct log_writer undo_record(const struct part *p, const struct version *v, row_id target,
                                     bool remove_entry)
{
    struct log_writer w = {.len = 0};
    log_put_u64(&w, p->id);
    log_put_u8(&w, v->kind);
    log_put_u64(&w, v->row);
    log_put_u64(&w, target);
    log_put_u8(&w, remove_entry ? 1 : 0);
    return w;
}

SUSPENDS static err_t undo_insert_wait(struct shard *s, struct part *p, struct version *v)
{
    row_id row = row_make(row_page(v->row), v->last_slot);
    struct row_pins pins;
    bool found;
    TRY(heap_pin_row_wait(s, v->heap, row, &found, &pins));
    if (!found)
        return undo_bad(v);
    err_t e = shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX);
    if (e != ERR_OK) {
        heap_unpin_row(&pins);
        return e;
    }
    nosuspend_begin();
    struct log_writer w = undo_record(p, v, ROW_ID_NONE, false);
    lsn_t lsn = shard_log(s, LOG_UNDO, &w, NULL, 0);
    heap_free_apply(s, &pins, v->heap, row, lsn);
    if (v->first_slot == v->last_slot)
        version_drop(&s->versions, v);
    else
        v->last_slot--;
    nosuspend_end();
    heap_unpin_row(&pins);
    return ERR_OK;
}

SUSPENDS static err_t undo_update_wait(struct shard *s, struct part *p, struct version *v,
                                       row_id target)
{
    struct row_place place;
    TRY(heap_place_wait(s, v->heap, v->row, v->len, target, RESERVE_CRITICAL | 1,
                        LOG_FIXED_BYTES_MAX, &place));
    nosuspend_begin();
    struct log_writer w = undo_record(p, v, place.target, false);
    lsn_t lsn = shard_log(s, LOG_UNDO, &w, NULL, 0);
    heap_place_apply(s, &place, v->row, v->writer, v->cell_flags, v->bytes, v->len, lsn);
    version_drop(&s->versions, v);
    nosuspend_end();
    heap_place_end(&place);
    return ERR_OK;
}

/* DELETE and CHUNK_ADD: one home cell. */
SUSPENDS static err_t undo_cell_wait(struct shard *s, struct part *p, struct version *v)
{
    if (row_page(v->row) >= file_page_count(s->pages, v->heap))
        return undo_bad(v);
    struct page *page;
    TRY(page_pin_wait(s->pages, v->heap, row_page(v->row), &page));
    err_t e = shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX);
    struct cell c;
    if (e == ERR_OK && !hp_get(page->data, row_slot(v->row), &c))
        e = undo_bad(v);
    if (e != ERR_OK) {
        page_unpin(page);
        return e;
    }
    nosuspend_begin();
    struct log_writer w = undo_record(p, v, ROW_ID_NONE, false);
    lsn_t lsn = shard_log(s, LOG_UNDO, &w, NULL, 0);
    uint8_t *d = page_modify(page);
    if (v->kind == VERSION_DELETE) {
        hp_set_flags(d, row_slot(v->row), v->writer, c.flags & (uint16_t)~CELL_DELETED);
    } else {
        hp_free(d, row_slot(v->row));
        space_note(space_of(s, v->heap), row_page(v->row), hp_free_bytes(d));
    }
    page_set_lsn(page, lsn);
    version_drop(&s->versions, v);
    nosuspend_end();
    page_unpin(page);
    return ERR_OK;
}

SUSPENDS static err_t undo_index_add_wait(struct shard *s, struct part *p, struct version *v,
                                          bool logged, bool logged_remove)
{
    struct bt_path path;
    SCOPED_HOLD struct spill_hold hold = {0};
    TRY(spill_hold_wait(s, v->heap, v->row, &hold));
    TRY(btree_path_wait(s, btree_of(s, v->index), v->bytes, v->len, v->row, false,
                        RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX, &path));
    /* An entry that was there before, removed and not purged, is left to that purge. */
    const struct version *before = version_index_older(v);
    bool remove = logged ? logged_remove : before == NULL || before->kind != VERSION_INDEX_REMOVE;
    nosuspend_begin();
    struct log_writer w = undo_record(p, v, ROW_ID_NONE, remove);
    lsn_t lsn = shard_log(s, LOG_UNDO, &w, NULL, 0);
    if (remove && path.depth > 0 && path.found)
        btree_delete_apply(s, &path, lsn);
    if (p->notes_absent && v->is_unique)
        serial_note_absent(s, p, v->index, v->bytes, v->len);
    btree_of(s, v->index)->changes++;
    version_drop(&s->versions, v);
    nosuspend_end();
    btree_path_end(s, &path);
    return ERR_OK;
}

SUSPENDS static err_t undo_plain_wait(struct shard *s, struct part *p, struct version *v)
{
    TRY(shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX));
    nosuspend_begin();
    struct log_writer w = undo_record(p, v, ROW_ID_NONE, false);
    (void)shard_log(s, LOG_UNDO, &w, NULL, 0);
    if (v->kind == VERSION_FILE_CREATE)
        shard_file_forget(s, v->heap);
    if (v->kind == VERSION_INDEX_REMOVE)
        btree_of(s, v->index)->changes++;
    version_drop(&s->versions, v);
    nosuspend_end();
    return ERR_OK;
}

err_t undo_newest_wait(struct shard *s, struct part *p, row_id target, bool remove_entry_logged,
                       bool remove_entry)
{
    struct version *v = p->newest;
    ASSERT(v != NULL);
    switch ((enum version_kind)v->kind) {
    case VERSION_INSERT:
        return undo_insert_wait(s, p, v);
    case VERSION_UPDATE:
        return undo_update_wait(s, p, v, target);
    case VERSION_DELETE:
    case VERSION_CHUNK_ADD:
        return undo_cell_wait(s, p, v);
    case VERSION_INDEX_ADD:
        return undo_index_add_wait(s, p, v, remove_entry_logged, remove_entry);
    case VERSION_CHUNK_DROP:
    case VERSION_INDEX_REMOVE:
    case VERSION_FILE_CREATE:
    case VERSION_FILE_DROP:
    case VERSION_INDEX_SWEEP:
        return undo_plain_wait(s, p, v);
    }
    return undo_bad(v);
}

err_t undo_to_wait(struct shard *s, struct part *p, uint32_t seq)
{
    p->notes_absent = seq != 0 && p->is_serializable;
    if (p->sweep_count != 0)
        TRY(index_sweep_wait(s, p, seq));
    p->is_undoing = true;
    err_t e = spill_newest_wait(s, p);
    while (e == ERR_OK && p->newest != NULL && p->newest->seq >= seq) {
        if (DEFECT(SAVEPOINT_KEEPS_ONE) && seq != 0 && p->newest->older != NULL &&
            p->newest->older->seq < seq)
            break;
        e = undo_newest_wait(s, p, TARGET_CHOOSE, false, false);
        if (e == ERR_OK)
            e = spill_newest_wait(s, p);
        if (e == ERR_OK)
            e = fiber_rest_wait();
    }
    p->is_undoing = false;
    return e;
}
