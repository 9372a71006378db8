/*
 * Index scans. A scan takes entries leaf by leaf in batches: visibility of each is decided in the
 * same step that reads the page, so nothing that happens to page or versions afterwards can change
 * what the snapshot gets. Between batches nothing is pinned; the scan goes on behind the last entry
 * by (key, row id), or at the separator that bounds the finished leaf. The first batch is small
 * (most scans are look-ups of one key), later ones larger.
 */
#include "shard/shard_priv.h"

enum { BATCH_FIRST = 8, BATCH_MAX = 128, BATCH_KEY_BYTES = 8192 };

struct scan_entry {
    row_id rid;
    uint32_t key_at;
    uint32_t key_len;
};

struct index_scan {
    struct shard *shard;
    struct txn_view *view;
    struct btree *tree;
    file_id index;
    file_id heap;
    struct arena *mem;
    struct bt_search low;
    struct bt_search high;
    bool has_low;
    bool has_high;
    bool backward;
    bool is_finished; /* no more leaves */
    bool is_started;
    struct bt_search at; /* next: entries >= at (backward: < at) */
    uint8_t *at_key;     /* its buffer */
    uint8_t *bound_bytes;
    uint32_t bound_capacity;
    struct scan_entry *entries;
    uint32_t entries_max;
    uint32_t count;
    uint32_t next;
    uint8_t *keys;
    uint32_t keys_len;
    uint32_t keys_capacity;
};

static void set_range(struct index_scan *scan, const struct index_range *r)
{
    uint32_t low_len = r->low != NULL ? r->low_len : 0;
    uint32_t high_len = r->high != NULL ? r->high_len : 0;
    if (low_len + high_len > scan->bound_capacity) {
        scan->bound_capacity = low_len + high_len + 32;
        scan->bound_bytes = arena_alloc(scan->mem, scan->bound_capacity);
    }
    if (low_len != 0)
        memcpy(scan->bound_bytes, r->low, low_len);
    if (high_len != 0)
        memcpy(scan->bound_bytes + low_len, r->high, high_len);
    scan->has_low = r->low != NULL;
    scan->has_high = r->high != NULL;
    scan->low = (struct bt_search){
        .key = scan->bound_bytes, .len = low_len, .after_prefix = r->low_exclusive};
    scan->high = (struct bt_search){
        .key = scan->bound_bytes + low_len, .len = high_len, .after_prefix = r->high_inclusive};
    scan->backward = r->backward;
    scan->is_finished = false;
    scan->is_started = false;
    scan->count = scan->next = 0;
    scan->entries_max = BATCH_FIRST;
    static const uint8_t nothing[1];
    if (!r->backward) {
        scan->at = scan->has_low ? scan->low : (struct bt_search){.key = nothing};
    } else {
        scan->at =
            scan->has_high ? scan->high : (struct bt_search){.key = nothing, .after_prefix = true};
    }
}

/* Made by a transaction that the snapshot does not see. */
static bool file_is_newer(const struct shard *s, const struct txn_view *v, file_id file)
{
    const struct version *ver = version_chain(&s->versions, file, ROW_ID_NONE);
    for (; ver != NULL; ver = ver->chain_older) {
        if (ver->kind == VERSION_FILE_CREATE && ver->part->id != v->id)
            return ver->part->state != PART_COMMITTED || ver->part->ts > v->snapshot;
    }
    return false;
}

/* An index built beside no writers holds the newest keys only: a snapshot from before would find
 * rows by keys that they did not have then, and miss others. */
err_t index_age_check(const struct shard *s, const struct txn_view *v, file_id index, file_id heap)
{
    if (v->isolation == READ_COMMITTED || v->snapshot >= UINT64_MAX - 1)
        return ERR_OK;
    if (!file_is_newer(s, v, index) || file_is_newer(s, v, heap))
        return ERR_OK;
    err_t e = err_raise(ERR_T_R_SERIALIZATION_FAILURE,
                        "could not serialize access due to an index made after the snapshot");
    err_hint("The transaction might succeed if retried.");
    return e;
}

err_t index_scan_begin_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                            const struct index_range *range, struct arena *mem,
                            struct index_scan **out)
{
    ASSERT(shard_is_owner(s));
    TRY(index_age_check(s, v, index, heap));
    struct index_scan *scan = ARENA_NEW(mem, struct index_scan);
    scan->shard = s;
    scan->view = v;
    scan->index = index;
    scan->heap = heap;
    scan->mem = mem;
    scan->tree = btree_of(s, index);
    scan->entries = arena_alloc(mem, BATCH_FIRST * sizeof(*scan->entries));
    set_range(scan, range);
    serial_note_range(s, v, index, range);
    *out = scan;
    return ERR_OK;
}

err_t index_scan_restart_wait(struct index_scan *scan, const struct index_range *range)
{
    uint32_t max = scan->entries_max;
    set_range(scan, range);
    serial_note_range(scan->shard, scan->view, scan->index, range);
    scan->entries_max = max; /* the array is that large */
    return ERR_OK;
}

void index_scan_end(struct index_scan *scan)
{
    scan->is_finished = true;
    scan->count = scan->next = 0;
}

static err_t entry_put(struct index_scan *scan, const uint8_t *d, uint32_t i)
{
    const uint8_t *prefix;
    const uint8_t *suffix;
    uint32_t prefix_len;
    uint32_t suffix_len;
    bp_key(d, i, &prefix, &prefix_len, &suffix, &suffix_len);
    uint32_t len = prefix_len + suffix_len;
    if (scan->keys_len + len >= scan->keys_capacity) { /* never NULL, even for empty keys */
        uint32_t capacity = MAX(scan->keys_capacity * 2, scan->keys_len + len + 128);
        void *bytes;
        TRY(arena_alloc_try(scan->mem, capacity, &bytes));
        if (scan->keys_len != 0)
            memcpy(bytes, scan->keys, scan->keys_len);
        scan->keys = bytes;
        scan->keys_capacity = capacity;
    }
    struct scan_entry *e = &scan->entries[scan->count++];
    e->rid = bp_rid(d, i);
    e->key_at = scan->keys_len;
    e->key_len = len;
    if (prefix_len != 0)
        memcpy(scan->keys + scan->keys_len, prefix, prefix_len);
    memcpy(scan->keys + scan->keys_len + prefix_len, suffix, suffix_len);
    scan->keys_len += len;
    return ERR_OK;
}

/* Go on at entry i of the page (backward: below it). */
static void resume_at(struct index_scan *scan, const uint8_t *d, uint32_t i, row_id rid_add)
{
    if (scan->at_key == NULL)
        scan->at_key = arena_alloc(scan->mem, INDEX_KEY_BYTES_MAX + 8);
    scan->at.len = bp_key_copy(d, i, scan->at_key);
    scan->at.key = scan->at_key;
    scan->at.rid = bp_rid(d, i) + rid_add;
    scan->at.after_prefix = false;
}

/* Entries of one leaf, in order, into the batch. *wait: the next entry needs an outcome first;
 * *load: the versions of this row. */
static err_t take_leaf(struct index_scan *scan, const struct bt_leaf *leaf, struct part **wait,
                       row_id *load)
{
    *wait = NULL;
    *load = ROW_ID_NONE;
    const uint8_t *d = leaf->leaf->data;
    uint32_t count = bp_count(d);
    uint32_t from;
    uint32_t to;
    if (!scan->backward) {
        from = bp_lower_bound(d, &scan->at);
        to = scan->has_high ? bp_lower_bound(d, &scan->high) : count;
    } else {
        to = bp_lower_bound(d, &scan->at);
        from = scan->has_low ? bp_lower_bound(d, &scan->low) : 0;
    }
    for (uint32_t n = from; n < to; n++) {
        uint32_t i = scan->backward ? to - 1 - (n - from) : n;
        if (scan->count == scan->entries_max || scan->keys_len > BATCH_KEY_BYTES) {
            /* Full: the next batch begins with this entry. */
            resume_at(scan, d, i, scan->backward ? 1 : 0);
            return ERR_OK;
        }
        const uint8_t *prefix;
        const uint8_t *suffix;
        uint32_t prefix_len;
        uint32_t suffix_len;
        bp_key(d, i, &prefix, &prefix_len, &suffix, &suffix_len);
        if (UNLIKELY(!spill_is_settled(&scan->shard->versions, scan->view, scan->heap, bp_rid(d, i),
                                       SPILL_ENTRY))) {
            *load = bp_rid(d, i);
            resume_at(scan, d, i, scan->backward ? 1 : 0);
            return ERR_OK;
        }
        struct part *p;
        if (!index_entry_see(scan->shard, scan->view, scan->index, scan->heap, prefix, prefix_len,
                             suffix, suffix_len, bp_rid(d, i), &p)) {
            if (p == NULL)
                continue;
            *wait = p;
            resume_at(scan, d, i, scan->backward ? 1 : 0);
            return ERR_OK;
        }
        TRY(entry_put(scan, d, i));
    }
    /* The leaf is done. */
    bool bound_inside = scan->backward ? from > 0 : to < count;
    if (bound_inside || leaf->fence == NULL) {
        scan->is_finished = true;
        return ERR_OK;
    }
    const uint8_t *fd = leaf->fence->data;
    if (scan->backward ? scan->has_low && bp_compare(fd, leaf->fence_index, &scan->low) <= 0
                       : scan->has_high && bp_compare(fd, leaf->fence_index, &scan->high) >= 0) {
        scan->is_finished = true;
        return ERR_OK;
    }
    resume_at(scan, fd, leaf->fence_index, 0);
    return ERR_OK;
}

SUSPENDS static err_t next_batch_wait(struct index_scan *scan)
{
    if (scan->is_started && scan->entries_max < BATCH_MAX) {
        scan->entries_max = BATCH_MAX;
        scan->entries = arena_alloc(scan->mem, BATCH_MAX * sizeof(*scan->entries));
    }
    scan->is_started = true;
    scan->count = scan->next = 0;
    scan->keys_len = 0;
    SCOPED_HOLD struct spill_hold hold = {0};
    while (scan->count == 0 && !scan->is_finished) {
        struct bt_leaf leaf;
        TRY(btree_leaf_wait(scan->shard, scan->tree, &scan->at, scan->backward, &leaf));
        if (leaf.leaf == NULL) {
            scan->is_finished = true;
            break;
        }
        struct part *wait;
        row_id load;
        err_t e = take_leaf(scan, &leaf, &wait, &load);
        btree_leaf_end(&leaf);
        TRY(e);
        if (load != ROW_ID_NONE && scan->count == 0)
            TRY(spill_hold_wait(scan->shard, scan->heap, load, &hold));
        else if (wait != NULL && scan->count == 0)
            TRY(part_wait(scan->shard, wait, scan->view));
        else if (scan->count == 0 && !scan->is_finished)
            TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

err_t index_scan_next_wait(struct index_scan *scan, row_id *id, const uint8_t **key,
                           uint32_t *key_len)
{
    if (scan->next == scan->count) {
        if (scan->is_finished) {
            *id = ROW_ID_NONE;
            return ERR_OK;
        }
        TRY(next_batch_wait(scan));
        if (scan->count == 0) {
            *id = ROW_ID_NONE;
            return ERR_OK;
        }
    }
    const struct scan_entry *e = &scan->entries[scan->next++];
    *id = e->rid;
    if (key != NULL) {
        *key = scan->keys + e->key_at;
        *key_len = e->key_len;
    }
    return ERR_OK;
}

err_t index_scan_next_row_wait(struct index_scan *scan, row_id *id, struct row_buf *row)
{
    for (;;) {
        TRY(index_scan_next_wait(scan, id, NULL, NULL));
        if (*id == ROW_ID_NONE)
            return ERR_OK;
        bool found;
        TRY(row_fetch_wait(scan->shard, scan->view, scan->heap, *id, &found, row));
        if (found)
            return ERR_OK;
    }
}
