/*
 * Replay of one record: the same operations as live, with the addresses that the log names.
 * Versions, parts and purge queue are rebuilt on the way. Record bytes are untrusted: what does not
 * fit is ERR_DATA_CORRUPTED.
 */
#include "shard/shard_priv.h"

err_t log_record_bad(uint8_t kind, lsn_t lsn)
{
    return err_raise(ERR_DATA_CORRUPTED, "bad log record of kind %u at %llX", kind,
                     (unsigned long long)lsn);
}

static struct part *part_get(struct shard *s, txn_id_t id)
{
    struct part *p = part_find(s, id);
    return p != NULL ? p : part_make(s, id, 0);
}

SUSPENDS static err_t redo_undo_wait(struct shard *s, struct byte_reader *r, uint8_t kind,
                                     lsn_t lsn)
{
    txn_id_t id = read_u64(r);
    uint8_t version_kind = read_u8(r);
    row_id row = read_u64(r);
    row_id target = read_u64(r);
    bool remove_entry = read_u8(r) != 0;
    struct part *p = part_find(s, id);
    if (p != NULL)
        TRY(spill_newest_wait(s, p));
    if (r->is_bad || p == NULL || p->newest == NULL || p->newest->kind != version_kind ||
        p->newest->row != row || target == TARGET_CHOOSE)
        return log_record_bad(kind, lsn);
    return undo_newest_wait(s, p, target, true, remove_entry);
}

SUSPENDS static err_t redo_purge_wait(struct shard *s, struct byte_reader *r, uint8_t kind,
                                      lsn_t lsn)
{
    txn_id_t id = read_u64(r);
    uint8_t version_kind = read_u8(r);
    file_id heap = read_u64(r);
    row_id row = read_u64(r);
    file_id index = read_u64(r);
    if (r->is_bad)
        return log_record_bad(kind, lsn);
    uint32_t key_len = (uint32_t)(r->end - r->at);
    SCOPED_HOLD struct spill_hold hold = {0};
    TRY(spill_hold_wait(s, heap, row, &hold));
    struct version *v = version_chain(&s->versions, heap, row);
    for (; v != NULL; v = v->chain_older) {
        if (version_txn(v) != id || v->kind != version_kind)
            continue;
        if (v->kind != VERSION_INDEX_REMOVE ||
            (v->index == index && v->len == key_len && memcmp(v->bytes, r->at, key_len) == 0))
            break;
    }
    if (v == NULL || v->part->state != PART_COMMITTED)
        return log_record_bad(kind, lsn);
    if (v->is_spilled)
        TRY(spill_take_wait(s, v));
    return purge_version_wait(s, v);
}

static err_t redo_purged(struct shard *s, txn_id_t id)
{
    struct part *p = s->purge_first;
    while (p != NULL && p->id_last != id)
        p = p->queue_next;
    if (p == NULL)
        return ERR_OK;
    while (s->purge_first != p)
        purge_queue_pop(s);
    purge_queue_pop(s);
    return ERR_OK;
}

static err_t redo_prepare(struct shard *s, struct byte_reader *r, uint8_t kind, lsn_t lsn)
{
    txn_id_t id = read_u64(r);
    ts_t floor = read_u64(r);
    uint32_t count = read_u32(r);
    if (r->is_bad || count > SHARD_COUNT_MAX || id == 0)
        return log_record_bad(kind, lsn);
    const uint8_t *list = read_bytes(r, count * 4);
    if (r->is_bad)
        return log_record_bad(kind, lsn);
    struct part *p = part_get(s, id);
    if (p->state != PART_ACTIVE)
        return log_record_bad(kind, lsn);
    p->state = PART_PREPARED;
    p->is_logged = true;
    p->floor = floor;
    s->ts_max = MAX(s->ts_max, floor);
    part_set_participants(p, list, count);
    return ERR_OK;
}

static err_t redo_held(struct shard *s, struct byte_reader *r, uint8_t kind, lsn_t lsn)
{
    txn_id_t id = read_u64(r);
    if (r->is_bad || id == 0)
        return log_record_bad(kind, lsn);
    struct part *p = part_get(s, id);
    bool ok = kind == LOG_HELD_INFO    ? redo_held_bytes(p, &p->held_info, r)
              : kind == LOG_HELD_READS ? redo_held_bytes(p, &p->held_reads, r)
              : kind == LOG_HELD_LOCKS ? redo_held_locks(s, p, r)
                                       : redo_hold(s, p, r);
    return ok ? ERR_OK : log_record_bad(kind, lsn);
}

static err_t redo_unhold(struct shard *s, txn_id_t id, uint8_t kind, lsn_t lsn)
{
    struct part *p = part_find(s, id);
    if (p == NULL || !p->is_held)
        return log_record_bad(kind, lsn);
    p->is_held = false;
    p->state = PART_ACTIVE;
    return ERR_OK;
}

static err_t redo_commit(struct shard *s, struct byte_reader *r, uint8_t kind, lsn_t lsn)
{
    txn_id_t id = read_u64(r);
    ts_t ts = read_u64(r);
    bool is_distributed = read_u8(r) != 0;
    if (r->is_bad)
        return log_record_bad(kind, lsn);
    s->ts_max = MAX(s->ts_max, ts);
    s->txn_id_max = MAX(s->txn_id_max, id);
    if (is_distributed)
        finished_add(s, id, ts, lsn);
    struct part *p = part_find(s, id);
    if (p == NULL)
        return ERR_OK;
    bool is_empty = part_is_empty(p);
    part_commit(s, p, ts, lsn);
    /* There are no snapshots: only what purge goes by stays. The part does, until it is PURGED. */
    for (struct version *v = is_empty ? NULL : p->oldest; v != NULL;) {
        struct version *next = v->newer;
        if (!version_is_for_purge(v))
            version_drop(&s->versions, v);
        v = next;
    }
    return ERR_OK;
}

static err_t redo_abort(struct shard *s, txn_id_t id, uint8_t kind, lsn_t lsn)
{
    struct part *p = part_find(s, id);
    if (p == NULL)
        return ERR_OK;
    if (!part_is_empty(p))
        return log_record_bad(kind, lsn);
    part_end(s, p);
    return ERR_OK;
}

/* The records that begin with u64 txn, u32 seq, u64 file. */
SUSPENDS static err_t redo_change_wait(struct shard *s, struct byte_reader *r, uint8_t kind,
                                       lsn_t lsn)
{
    txn_id_t id = read_u64(r);
    uint32_t seq = read_u32(r);
    file_id file = read_u64(r);
    if (r->is_bad || id == 0)
        return log_record_bad(kind, lsn);
    if (kind == LOG_FILE_CREATE) {
        uint8_t file_kind = read_u8(r);
        if (r->is_bad || file_kind < FILE_HEAP || file_kind > FILE_SEQUENCE)
            return log_record_bad(kind, lsn);
        return shard_file_create_at_wait(s, id, seq, file, (enum file_kind)file_kind);
    }
    if (kind == LOG_FILE_DROP)
        return shard_file_drop_at_wait(s, id, seq, file);
    if (!file_exists(s->pages, file, NULL))
        return log_record_bad(kind, lsn);
    row_id row = read_u64(r);
    row_id other = 0;
    uint16_t flags = 0;
    if (kind == LOG_ROW_UPDATE || kind == LOG_CHUNK_PUT || kind == LOG_INDEX_ADD ||
        kind == LOG_INDEX_ADD_BULK || kind == LOG_INDEX_REMOVE)
        other = read_u64(r);
    if (kind == LOG_ROW_INSERT || kind == LOG_ROW_UPDATE)
        flags = read_u16(r);
    if (r->is_bad)
        return log_record_bad(kind, lsn);
    const uint8_t *bytes = r->at;
    uint32_t len = (uint32_t)(r->end - r->at);
    switch (kind) {
    case LOG_ROW_INSERT:
        return heap_insert_at_wait(s, id, seq, file, row, flags, bytes, len);
    case LOG_ROW_UPDATE:
        if (other == TARGET_CHOOSE)
            break;
        return heap_update_at_wait(s, id, seq, file, row, other, flags, bytes, len);
    case LOG_ROW_DELETE:
        return heap_delete_at_wait(s, id, seq, file, row);
    case LOG_CHUNK_PUT:
        return heap_chunk_at_wait(s, id, seq, file, row, other, bytes, len);
    case LOG_CHUNK_DROP:
        return heap_chunk_drop_at_wait(s, id, seq, file, row);
    case LOG_INDEX_ADD: /* here row is the heap, other the row */
    case LOG_INDEX_ADD_BULK:
        if (other >> 48 != 0)
            break;
        return index_add_at_wait(s, id, seq, file, row, other, bytes, len,
                                 kind == LOG_INDEX_ADD_BULK);
    case LOG_INDEX_REMOVE:
        if (other >> 48 != 0)
            break;
        return index_remove_at_wait(s, id, seq, file, row, other, bytes, len);
    default:
        break;
    }
    return log_record_bad(kind, lsn);
}

SUSPENDS static err_t redo_brought_wait(struct shard *s, struct byte_reader *r, uint8_t kind,
                                        lsn_t lsn)
{
    file_id heap = read_u64(r);
    row_id row = read_u64(r);
    file_id index = read_u64(r);
    uint16_t flags = read_u16(r);
    uint16_t key_len = read_u16(r);
    const uint8_t *key = read_bytes(r, key_len);
    enum file_kind heap_kind;
    enum file_kind index_kind;
    if (r->is_bad || row >> 48 != 0 || !file_exists(s->pages, heap, &heap_kind) ||
        heap_kind != FILE_HEAP || !file_exists(s->pages, index, &index_kind) ||
        index_kind != FILE_BTREE)
        return log_record_bad(kind, lsn);
    return row_bring_redo_wait(s, heap, row, index, flags, key, key_len, r->at,
                               (uint32_t)(r->end - r->at));
}

err_t redo_record_wait(void *shard, uint8_t kind, const uint8_t *payload, uint32_t len, lsn_t lsn)
{
    struct shard *s = shard;
    struct byte_reader r = {.at = payload, .end = payload + len};
    s->replay_lsn = lsn;
    if (UNLIKELY(spill_is_wanted(s)))
        TRY(spill_some_wait(s));
    switch (kind) {
    case LOG_ROW_INSERT:
    case LOG_ROW_UPDATE:
    case LOG_ROW_DELETE:
    case LOG_CHUNK_PUT:
    case LOG_CHUNK_DROP:
    case LOG_INDEX_ADD:
    case LOG_INDEX_ADD_BULK:
    case LOG_INDEX_REMOVE:
    case LOG_FILE_CREATE:
    case LOG_FILE_DROP:
        return redo_change_wait(s, &r, kind, lsn);
    case LOG_INDEX_FILL: {
        file_id index = read_u64(&r);
        const uint8_t *body = read_bytes(&r, PAGE_BYTES - PAGE_HEADER_BYTES);
        if (r.is_bad || !file_exists(s->pages, index, NULL))
            return log_record_bad(kind, lsn);
        return btree_append_leaf_wait(s, btree_of(s, index), body);
    }
    case LOG_INDEX_ENTRY: {
        file_id index = read_u64(&r);
        row_id row = read_u64(&r);
        if (r.is_bad || row >> 48 != 0 || !file_exists(s->pages, index, NULL))
            return log_record_bad(kind, lsn);
        return index_fill_redo_wait(s, index, row, r.at, (uint32_t)(r.end - r.at));
    }
    case LOG_ROW_BROUGHT:
        return redo_brought_wait(s, &r, kind, lsn);
    case LOG_INDEX_SWEPT: {
        file_id index = read_u64(&r);
        row_id row = read_u64(&r);
        if (r.is_bad || row >> 48 != 0 || !file_exists(s->pages, index, NULL))
            return log_record_bad(kind, lsn);
        return index_swept_redo_wait(s, index, row, r.at, (uint32_t)(r.end - r.at));
    }
    case LOG_COMMIT:
        return redo_commit(s, &r, kind, lsn);
    case LOG_PREPARE:
        return redo_prepare(s, &r, kind, lsn);
    case LOG_HELD_INFO:
    case LOG_HELD_READS:
    case LOG_HELD_LOCKS:
    case LOG_HOLD:
        return redo_held(s, &r, kind, lsn);
    case LOG_UNHOLD:
        return redo_unhold(s, read_u64(&r), kind, lsn);
    case LOG_ABORT:
        return redo_abort(s, read_u64(&r), kind, lsn);
    case LOG_UNDO:
        return redo_undo_wait(s, &r, kind, lsn);
    case LOG_PURGE:
        return redo_purge_wait(s, &r, kind, lsn);
    case LOG_PURGED:
        return redo_purged(s, read_u64(&r));
    case LOG_ANCHOR:
        return anchor_read(s, &r) ? ERR_OK : log_record_bad(kind, lsn);
    case LOG_FORGET:
        finished_remove(s, read_u64(&r));
        return ERR_OK;
    case LOG_SEQUENCE: {
        file_id seq = read_u64(&r);
        int64_t value = (int64_t)read_u64(&r);
        bool is_called = read_u8(&r) != 0;
        if (r.is_bad || !file_exists(s->pages, seq, NULL))
            return log_record_bad(kind, lsn);
        return sequence_redo_wait(s, seq, value, is_called);
    }
    default:
        return log_record_bad(kind, lsn);
    }
}
