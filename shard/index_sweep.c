/*
 * Index entries added in bulk. A statement that adds very many entries for rows that it inserts
 * itself would need a version for each. Such entries need none: they are seen by whom the row's
 * insert is seen by (one version per page, marked by version_mark_bulk), and to take them back one
 * walk over the index finds them by the rows they lead to. A VERSION_INDEX_SWEEP per statement and
 * index says in the undo list that the walk is due.
 *
 * The walk comes before any row is taken back: after that the rows' addresses may be used again. It
 * takes back what has versions too (the first entries of the statement); their undo then finds
 * nothing to do. It is logged entry by entry and can be repeated after a crash.
 */
#include "shard/shard_priv.h"

enum { BULK_ENTRIES_MIN = 2000, SWEEP_BATCH = 64 };
_Static_assert(PAGE_BYTES > 2 * (INDEX_KEY_BYTES_MAX + 8), "a batch takes a key at least");

bool index_bulk_wanted(struct shard *s, struct part *p, uint32_t seq, file_id heap, row_id row)
{
    if (p->adds_seq != seq) {
        p->adds_seq = seq;
        p->adds_count = 0;
    }
    p->adds_count++;
    uint64_t min = s->options.bulk_entries_min;
    if (LIKELY(p->adds_count <= (min != 0 ? min : BULK_ENTRIES_MIN)))
        return false;
    const struct version *insert = version_insert_of(&s->versions, heap, row);
    return insert != NULL && insert->part == p && insert->seq == seq && !insert->is_spilled;
}

bool index_bulk_note(struct shard *s, struct part *p, uint32_t seq, file_id index, file_id heap,
                     row_id row, bool is_unique)
{
    struct version *insert = version_insert_of(&s->versions, heap, row);
    if (insert == NULL || insert->part != p || insert->seq != seq)
        return false;
    version_mark_bulk(&s->versions, insert);
    for (uint32_t i = p->sweep_count; i-- > 0 && p->sweeps[i]->seq == seq;) {
        if (p->sweeps[i]->index != index || p->sweeps[i]->heap != heap)
            continue;
        p->sweeps[i]->is_unique |= is_unique;
        return true;
    }
    struct version *v =
        version_push(&s->versions, p, VERSION_INDEX_SWEEP, seq, heap, ROW_ID_NONE, NULL, 0);
    v->index = index;
    v->is_unique = is_unique;
    return true;
}

SUSPENDS static err_t take_back_wait(struct shard *s, file_id index, row_id row, const uint8_t *key,
                                     uint32_t len)
{
    struct bt_path path;
    TRY(btree_path_wait(s, btree_of(s, index), key, len, row, false, RESERVE_CRITICAL | 1,
                        LOG_FIXED_BYTES_MAX + len, &path));
    if (path.depth > 0 && path.found) {
        nosuspend_begin();
        struct log_writer w = {.len = 0};
        log_put_u64(&w, index);
        log_put_u64(&w, row);
        lsn_t lsn = shard_log(s, LOG_INDEX_SWEPT, &w, key, len);
        btree_delete_apply(s, &path, lsn);
        nosuspend_end();
    }
    btree_path_end(s, &path);
    return ERR_OK;
}

err_t index_swept_redo_wait(struct shard *s, file_id index, row_id row, const uint8_t *key,
                            uint32_t len)
{
    return take_back_wait(s, index, row, key, len);
}

/* One index: leaves from left to right; a batch of keys is copied out of a leaf, then taken back.
 */
struct sweep {
    struct bt_search at;
    uint8_t at_key[INDEX_KEY_BYTES_MAX + 8];
    uint32_t count;
    row_id rows[SWEEP_BATCH];
    uint32_t key_at[SWEEP_BATCH + 1];
    uint8_t keys[PAGE_BYTES];
};

static bool is_taken_back(struct shard *s, const struct part *p, uint32_t seq, file_id heap,
                          row_id row)
{
    const struct version *insert = version_insert_of(&s->versions, heap, row);
    return insert != NULL && insert->part == p && insert->seq >= seq && insert->is_bulk;
}

static void sweep_go_to(struct sweep *w, const uint8_t *d, uint32_t i)
{
    w->at.len = bp_key_copy(d, i, w->at_key);
    w->at.rid = bp_rid(d, i);
}

static bool is_unique_since(const struct part *p, uint32_t seq, file_id index)
{
    for (uint32_t i = p->sweep_count; i-- > 0 && p->sweeps[i]->seq >= seq;) {
        if (p->sweeps[i]->index == index && p->sweeps[i]->is_unique)
            return true;
    }
    return false;
}

SUSPENDS static err_t sweep_one_wait(struct shard *s, struct part *p, uint32_t seq, file_id index,
                                     file_id heap, struct sweep *w)
{
    bool notes_absent = p->notes_absent && is_unique_since(p, seq, index);
    w->at = (struct bt_search){.key = w->at_key};
    SCOPED_HOLD struct spill_hold hold = {0};
    for (bool more = true; more;) {
        struct bt_leaf leaf;
        TRY(btree_leaf_wait(s, btree_of(s, index), &w->at, false, &leaf));
        if (leaf.leaf == NULL)
            return ERR_OK;
        const uint8_t *d = leaf.leaf->data;
        uint32_t count = bp_count(d);
        uint32_t i = bp_lower_bound(d, &w->at);
        w->count = 0;
        w->key_at[0] = 0;
        row_id load = ROW_ID_NONE;
        for (; i < count && w->count < SWEEP_BATCH; i++) {
            if (UNLIKELY(!spill_is_here(&s->versions, heap, bp_rid(d, i)))) {
                load = bp_rid(d, i);
                break;
            }
            if (!is_taken_back(s, p, seq, heap, bp_rid(d, i)))
                continue;
            if (w->key_at[w->count] + INDEX_KEY_BYTES_MAX + 8 > sizeof(w->keys))
                break;
            uint32_t len = bp_key_copy(d, i, w->keys + w->key_at[w->count]);
            if (notes_absent)
                serial_note_absent(s, p, index, w->keys + w->key_at[w->count], len);
            w->rows[w->count++] = bp_rid(d, i);
            w->key_at[w->count] = w->key_at[w->count - 1] + len;
        }
        if (i < count)
            sweep_go_to(w, d, i);
        else if (leaf.fence != NULL)
            sweep_go_to(w, leaf.fence->data, leaf.fence_index);
        else
            more = false;
        btree_leaf_end(&leaf);
        for (uint32_t n = 0; n < w->count; n++)
            TRY(take_back_wait(s, index, w->rows[n], w->keys + w->key_at[n],
                               w->key_at[n + 1] - w->key_at[n]));
        if (load != ROW_ID_NONE)
            TRY(spill_hold_wait(s, heap, load, &hold));
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

err_t index_sweep_wait(struct shard *s, struct part *p, uint32_t seq)
{
    struct sweep *w = core_malloc(sizeof(*w));
    err_t e = ERR_OK;
    for (uint32_t i = p->sweep_count; i-- > 0 && e == ERR_OK && p->sweeps[i]->seq >= seq;) {
        /* Once per index: the oldest marker is enough. */
        bool is_repeated = false;
        for (uint32_t n = i; n-- > 0 && p->sweeps[n]->seq >= seq && !is_repeated;)
            is_repeated = p->sweeps[n]->index == p->sweeps[i]->index;
        if (!is_repeated && file_exists(s->pages, p->sweeps[i]->index, NULL))
            e = sweep_one_wait(s, p, seq, p->sweeps[i]->index, p->sweeps[i]->heap, w);
    }
    core_free(w);
    return e;
}
