/* Files of a shard: created at once, dropped by purge; both logged and undone with their
 * transaction. Their versions are chained under (file, ROW_ID_NONE). */
#include "shard/shard_priv.h"

void shard_file_forget(struct shard *s, file_id file)
{
    space_forget(s, file);
    btree_forget(s, file);
    sequence_forget(s, file);
    file_drop(s->pages, file);
}

SUSPENDS static err_t file_op_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id file,
                                   bool is_create, enum file_kind kind)
{
    TRY(shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX));
    nosuspend_begin();
    struct part *p = part_find(s, id);
    if (p == NULL)
        p = part_make(s, id, 0);
    p->is_logged = true;
    struct log_writer w = {.len = 0};
    log_put_u64(&w, id);
    log_put_u32(&w, seq);
    log_put_u64(&w, file);
    if (is_create)
        log_put_u8(&w, (uint8_t)kind);
    (void)shard_log(s, is_create ? LOG_FILE_CREATE : LOG_FILE_DROP, &w, NULL, 0);
    if (is_create)
        file_create(s->pages, file, kind);
    (void)version_push(&s->versions, p, is_create ? VERSION_FILE_CREATE : VERSION_FILE_DROP, seq,
                       file, ROW_ID_NONE, NULL, 0);
    nosuspend_end();
    return ERR_OK;
}

err_t shard_file_create_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id file,
                                enum file_kind kind)
{
    return file_op_wait(s, id, seq, file, true, kind);
}

err_t shard_file_drop_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id file)
{
    return file_op_wait(s, id, seq, file, false, FILE_HEAP);
}

err_t shard_file_create_wait(struct shard *s, struct txn_view *v, file_id file, enum file_kind kind)
{
    ASSERT(shard_is_owner(s));
    if (file_exists(s->pages, file, NULL))
        return err_raise(ERR_DUPLICATE_FILE, "file %llu/%llu exists already",
                         (unsigned long long)(file >> 32), (unsigned long long)(file & 0xffffffff));
    (void)part_for_write(s, v);
    TRY(shard_file_create_at_wait(s, v->id, v->seq, file, kind));
    v->logged = true;
    return ERR_OK;
}

err_t shard_file_drop_wait(struct shard *s, struct txn_view *v, file_id file)
{
    ASSERT(shard_is_owner(s));
    (void)part_for_write(s, v);
    TRY(shard_file_drop_at_wait(s, v->id, v->seq, file));
    v->logged = true;
    return ERR_OK;
}

uint64_t shard_file_bytes(struct shard *s, file_id file)
{
    return file_exists(s->pages, file, NULL)
               ? (uint64_t)file_page_count(s->pages, file) * PAGE_BYTES
               : 0;
}

uint64_t shard_file_rows_estimate(struct shard *s, file_id heap)
{
    if (!file_exists(s->pages, heap, NULL))
        return 0;
    uint32_t pages = file_page_count(s->pages, heap);
    struct heap_space *hs = space_of(s, heap);
    if (pages > 0) { /* a page in the pool is a fresh sample */
        struct page *page = page_pin_cached(s->pages, heap, pages / 2);
        if (page != NULL) {
            hs->rows_per_page += ((double)hp_slot_count(page->data) - hs->rows_per_page) / 4;
            page_unpin(page);
        }
    }
    return (uint64_t)((double)pages * hs->rows_per_page);
}
