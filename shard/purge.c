/*
 * Purge: committed parts leave the version store in the order of their commits, when their commit
 * is settled and no snapshot is older. What a part's versions kept alive goes with them: entries
 * that were removed, cells of deleted rows, dropped chunks and files. Each such step changes the
 * page, drops the version and logs a record in one no-suspend section, so replay drops the version
 * too.
 *
 * Two passes over a part: index entries first, then cells. An entry must be gone before its row's
 * address can be used again.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

enum { BUDGET_PASSES = 16, PURGE_STEPS = 256, DROPS_PER_STEP = 64 };

static struct log_writer purge_record(const struct version *v)
{
    struct log_writer w = {.len = 0};
    log_put_u64(&w, version_txn(v));
    log_put_u8(&w, v->kind);
    log_put_u64(&w, v->heap);
    log_put_u64(&w, v->row);
    log_put_u64(&w, v->index);
    return w;
}

SUSPENDS static err_t purge_entry_wait(struct shard *s, struct version *v)
{
    SCOPED_HOLD struct spill_hold hold = {0};
    TRY(spill_hold_wait(s, v->heap, v->row, &hold));
    if (version_index_newer(v) != NULL) { /* the entry lives on as that addition's */
        version_drop(&s->versions, v);
        return ERR_OK;
    }
    struct bt_path path;
    TRY(btree_path_wait(s, btree_of(s, v->index), v->bytes, v->len, v->row, false,
                        RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX + v->len, &path));
    nosuspend_begin();
    if (version_index_newer(v) == NULL) {
        struct log_writer w = purge_record(v);
        lsn_t lsn = shard_log(s, LOG_PURGE, &w, v->bytes, v->len);
        if (path.depth > 0 && path.found)
            btree_delete_apply(s, &path, lsn);
    }
    version_drop(&s->versions, v);
    nosuspend_end();
    btree_path_end(s, &path);
    return ERR_OK;
}

SUSPENDS static err_t purge_row_wait(struct shard *s, struct version *v)
{
    struct row_pins pins;
    bool found;
    TRY(heap_pin_row_wait(s, v->heap, v->row, &found, &pins));
    err_t e = shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX);
    if (e == ERR_OK && found && !hp_get(pins.home->data, row_slot(v->row), &pins.home_cell))
        e = err_raise(ERR_DATA_CORRUPTED, "a deleted row is missing");
    if (e != ERR_OK) {
        heap_unpin_row(&pins);
        return e;
    }
    nosuspend_begin();
    struct log_writer w = purge_record(v);
    lsn_t lsn = shard_log(s, LOG_PURGE, &w, NULL, 0);
    if (found)
        heap_free_apply(s, &pins, v->heap, v->row, lsn);
    version_drop(&s->versions, v);
    nosuspend_end();
    heap_unpin_row(&pins);
    return ERR_OK;
}

SUSPENDS static err_t purge_chunk_wait(struct shard *s, struct version *v)
{
    struct page *page = NULL;
    if (row_page(v->row) < file_page_count(s->pages, v->heap))
        TRY(page_pin_wait(s->pages, v->heap, row_page(v->row), &page));
    err_t e = shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX);
    if (e != ERR_OK) {
        if (page != NULL)
            page_unpin(page);
        return e;
    }
    nosuspend_begin();
    struct log_writer w = purge_record(v);
    lsn_t lsn = shard_log(s, LOG_PURGE, &w, NULL, 0);
    struct cell c;
    if (page != NULL && hp_get(page->data, row_slot(v->row), &c) && (c.flags & CELL_CHUNK) != 0) {
        uint8_t *d = page_modify(page);
        hp_free(d, row_slot(v->row));
        page_set_lsn(page, lsn);
        space_note(space_of(s, v->heap), row_page(v->row), hp_free_bytes(d));
    }
    version_drop(&s->versions, v);
    nosuspend_end();
    if (page != NULL)
        page_unpin(page);
    return ERR_OK;
}

SUSPENDS static err_t purge_file_wait(struct shard *s, struct version *v)
{
    TRY(shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX));
    nosuspend_begin();
    struct log_writer w = purge_record(v);
    (void)shard_log(s, LOG_PURGE, &w, NULL, 0);
    shard_file_forget(s, v->heap);
    version_drop(&s->versions, v);
    nosuspend_end();
    return ERR_OK;
}

err_t purge_version_wait(struct shard *s, struct version *v)
{
    /* A file may have been dropped by a commit before: its pages are gone with it. */
    switch ((enum version_kind)v->kind) {
    case VERSION_INDEX_REMOVE:
        if (file_exists(s->pages, v->index, NULL))
            return purge_entry_wait(s, v);
        break;
    case VERSION_DELETE:
        if (file_exists(s->pages, v->heap, NULL))
            return purge_row_wait(s, v);
        break;
    case VERSION_CHUNK_DROP:
        if (file_exists(s->pages, v->heap, NULL))
            return purge_chunk_wait(s, v);
        break;
    case VERSION_FILE_DROP:
        return purge_file_wait(s, v);
    default:
        break;
    }
    version_drop(&s->versions, v);
    return ERR_OK;
}

void purge_queue_pop(struct shard *s)
{
    struct part *p = s->purge_first;
    while (p->oldest != NULL)
        version_drop(&s->versions, p->oldest);
    spill_discard(s, p);
    purge_queue_remove(s, p);
    s->purged++;
}

void purge_queue_remove(struct shard *s, struct part *p)
{
    if (p->queue_prev != NULL)
        p->queue_prev->queue_next = p->queue_next;
    else
        s->purge_first = p->queue_next;
    if (p->queue_next != NULL)
        p->queue_next->queue_prev = p->queue_prev;
    else
        s->purge_last = p->queue_prev;
    if (s->prune_next == p)
        s->prune_next = p->queue_next;
    part_free(s, p);
}

/* One step of a part; *done: nothing is left in it that needs work. */
SUSPENDS static err_t purge_part_step_wait(struct shard *s, struct part *p, bool *done)
{
    *done = false;
    uint64_t spilled_work = p->spill != NULL ? p->spill->work : 0;
    if (p->purge_work == 0 && spilled_work == 0) {
        if (p->spill != NULL) {
            spill_discard_some(s, p);
            return ERR_OK;
        }
        /* What a bulk load left, or pruning has gathered, goes in small pieces; replay drops it at
         * PURGED. */
        for (uint32_t i = 0; i < DROPS_PER_STEP && p->version_count > DROPS_PER_STEP; i++)
            version_drop(&s->versions, p->oldest);
        *done = p->version_count <= DROPS_PER_STEP;
        return ERR_OK;
    }
    if (p->purge_at == NULL && spilled_work != 0 && p->purge_pass > 0) {
        /* Some at a time are taken back into memory. */
        bool entries = p->purge_pass == 1;
        if (!entries || p->spill->removes != 0) {
            struct version *newest = p->newest;
            err_t e = spill_take_work_wait(s, p, entries);
            p->purge_at = newest != NULL ? newest->newer : p->oldest;
            return e;
        }
    }
    if (p->purge_at == NULL) {
        p->purge_pass++;
        p->purge_at = p->oldest;
        return ERR_OK;
    }
    struct version *v = p->purge_at;
    bool is_entry = v->kind == VERSION_INDEX_REMOVE;
    if (version_needs_purge_work(v) && (is_entry || p->purge_pass != 1))
        return purge_version_wait(s, v); /* the drop moves purge_at on */
    p->purge_at = v->newer;
    return ERR_OK;
}

err_t purge_some_wait(struct shard *s, bool *more)
{
    *more = false;
    if (s->purge_first == NULL || s->is_replaying)
        return ERR_OK;
    ts_t horizon = DEFECT(PURGED_EARLY) ? shared_commit_read() : shared_oldest_min();
    lsn_t settled = settled_lsn(s);
    txn_id_t last = 0;
    err_t e = ERR_OK;
    for (uint32_t steps = 0; s->purge_first != NULL && !s->is_stopping; steps++) {
        struct part *p = s->purge_first;
        if (p->ts > horizon || p->commit_lsn > settled)
            break;
        if (steps >= PURGE_STEPS) {
            *more = true;
            break;
        }
        bool done;
        e = purge_part_step_wait(s, p, &done);
        if (e != ERR_OK)
            break;
        if (done) {
            /* Room for the record is taken before the versions go: nothing may come between. */
            e = shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX);
            if (e != ERR_OK)
                break;
            nosuspend_begin();
            do {
                last = s->purge_first->id_last;
                purge_queue_pop(s);
                steps++;
                p = s->purge_first;
            } while (p != NULL && p->purge_work == 0 && p->spill == NULL && p->ts <= horizon &&
                     p->commit_lsn <= settled && steps < PURGE_STEPS);
            struct log_writer w = {.len = 0};
            log_put_u64(&w, last);
            (void)shard_log(s, LOG_PURGED, &w, NULL, 0);
            nosuspend_end();
        }
    }
    return e;
}

err_t version_budget_wait(struct shard *s)
{
    uint64_t max = s->options.version_bytes_max;
    if (LIKELY(s->versions.bytes < max && !spill_is_wanted(s)) || s->is_replaying)
        return ERR_OK;
    wait_queue_wake_all(&s->purge_wanted);
    if (s->versions.bytes < max)
        return ERR_OK;
    if (core_is_borrowed())
        return err_raise(ERR_INTERNAL_WOULD_SUSPEND, "a wait for memory on a borrowed core");
    s->version_budget_hits++;
    uint64_t bytes = UINT64_MAX;
    for (uint32_t i = 0; s->versions.bytes >= max && i < BUDGET_PASSES && !s->is_stopping; i++) {
        /* Pruning has to have looked at everything before it is said that all are needed. */
        if (i != 0 && s->versions.bytes >= bytes)
            s->prune_is_wanted = true;
        bytes = s->versions.bytes;
        s->spill_at = 0;
        if (s->purge_first != NULL)
            TRY(shard_flush_wait(s, s->purge_last->commit_lsn));
        wait_queue_wake_all(&s->purge_wanted);
        TRY(wait_queue_wait(&s->budget_waiters, UINT64_MAX));
        if (s->spill_error != ERR_OK)
            break;
    }
    if (s->versions.bytes < max)
        return ERR_OK;
    if (s->spill_error == ERR_DISK_FULL)
        return err_raise(ERR_DISK_FULL,
                         "could not write old row versions: no space left on device");
    err_t e = err_raise(ERR_OUT_OF_MEMORY, "version store is full");
    err_detail("Row versions of running and recent transactions take %llu bytes in shard %u.",
               (unsigned long long)s->versions.bytes, s->number);
    err_hint("End long-running transactions, write in smaller transactions, or increase "
             "\"version_store_size\".");
    return e;
}
