/*
 * Index entries: insert with uniqueness, remove, bulk build.
 *
 * An entry stays in the tree as long as any snapshot may need it; what it means to whom is in the
 * versions INDEX_ADD and INDEX_REMOVE in the chain of the row that it leads to. A removal changes
 * no page: purge deletes the entry later. Adding an entry that is still there (removed before, not
 * purged) changes no page either. Its undo, seeing that removal, leaves the entry; purge of the
 * removal, seeing a newer addition, leaves it to that.
 *
 * A build beside writers that keep the index already brings in the entry of each row that its
 * snapshot sees, where it is not there yet, as an entry without versions. What became of the row
 * since is in the chain (the snapshot holds up purge), so that such an entry is as exact as all
 * others for snapshots not older than the build's.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

err_t index_key_check(uint32_t len)
{
    if (len > INDEX_KEY_BYTES_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                         "index row size %u exceeds btree version 4 maximum %u", len,
                         (uint32_t)INDEX_KEY_BYTES_MAX);
    return ERR_OK;
}

enum entry_state index_entry_newest(struct shard *s, struct txn_view *v, file_id index,
                                    file_id heap, const uint8_t *key, uint32_t len, row_id row,
                                    struct part **wait)
{
    if (UNLIKELY(!spill_is_settled(&s->versions, v, heap, row, SPILL_ENTRY)))
        return ENTRY_LOAD;
    for (struct version *ver = version_chain(&s->versions, heap, row); ver != NULL;
         ver = ver->chain_older) {
        if ((ver->kind != VERSION_INDEX_ADD && ver->kind != VERSION_INDEX_REMOVE) ||
            ver->index != index || ver->len != len || memcmp(ver->bytes, key, len) != 0)
            continue;
        struct part *p = ver->part;
        if (p->id != v->id && p->state != PART_COMMITTED) {
            *wait = p;
            return ENTRY_WAIT;
        }
        if (p->id != v->id && p->commit_lsn > v->observed && !shard_is_settled(s, p->commit_lsn))
            v->observed = p->commit_lsn;
        return ver->kind == VERSION_INDEX_ADD ? ENTRY_LIVE : ENTRY_DEAD;
    }
    if (LIKELY(s->versions.bulk_inserts == 0))
        return ENTRY_LIVE;
    struct version *ver = version_insert_of(&s->versions, heap, row);
    if (ver == NULL || !ver->is_bulk || ver->part->id == v->id)
        return ENTRY_LIVE;
    struct part *p = ver->part;
    if (p->state != PART_COMMITTED) {
        *wait = p;
        return ENTRY_WAIT;
    }
    if (p->commit_lsn > v->observed && !shard_is_settled(s, p->commit_lsn))
        v->observed = p->commit_lsn;
    return ENTRY_LIVE;
}

struct unique_check {
    struct shard *shard;
    struct txn_view *view;
    file_id index;
    file_id heap;
    const uint8_t *key;
    uint32_t len;
    row_id id;
    bool is_later;     /* what is in progress is a conflict, not waited for */
    row_id conflict;   /* out */
    struct part *wait; /* out */
    row_id load;       /* out: this row's versions have to be read */
};

/* Look at a leaf's entries with the key; true when it is settled (conflict, wait or load). */
static bool check_leaf(void *ctx, const uint8_t *d)
{
    struct unique_check *u = ctx;
    if (d == NULL)
        return false;
    struct bt_search k = {.key = u->key, .len = u->len};
    for (uint32_t i = bp_lower_bound(d, &k); i < bp_count(d); i++) {
        k.rid = bp_rid(d, i);
        if (bp_compare(d, i, &k) != 0)
            return false;
        if (k.rid == u->id)
            continue;
        switch (index_entry_newest(u->shard, u->view, u->index, u->heap, u->key, u->len, k.rid,
                                   &u->wait)) {
        case ENTRY_DEAD:
            break;
        case ENTRY_LIVE:
            u->conflict = k.rid;
            return true;
        case ENTRY_WAIT:
            if (DEFECT(UNIQUE_NOT_WAITED) || (u->is_later && DEFECT(KEY_NOT_IN_DOUBT)))
                break;
            if (u->is_later)
                u->conflict = k.rid;
            return true;
        case ENTRY_LOAD:
            u->load = k.rid;
            return true;
        }
    }
    return false;
}

/* Can entries with the key be in no other leaf than the one at the end of the path? */
static bool path_covers_key(const struct bt_path *path, const uint8_t *key, uint32_t len)
{
    struct bt_search low = {.key = key, .len = len};
    struct bt_search high = {.key = key, .len = len, .rid = ((row_id)1 << 48) - 1};
    bool low_done = false;
    bool high_done = false;
    for (uint32_t i = path->depth - 1; i-- > 0 && !(low_done && high_done);) {
        const uint8_t *d = path->level[i].page->data;
        uint32_t at = path->level[i].index;
        if (!low_done && at > 0) {
            if (bp_compare(d, at, &low) > 0)
                return false;
            low_done = true;
        }
        if (!high_done && at + 1 < bp_count(d)) {
            if (bp_compare(d, at + 1, &high) <= 0)
                return false;
            high_done = true;
        }
    }
    return true;
}

err_t index_leaves_wait(struct shard *s, struct btree *bt, const uint8_t *key, uint32_t len,
                        bool (*visit)(void *ctx, const uint8_t *d), void *ctx, uint64_t *changes)
{
    struct bp_separator *at = core_malloc(sizeof(*at));
    err_t e = ERR_OK;
restart:
    memcpy(at->key, key, len);
    at->len = len;
    at->rid = 0;
    *changes = bt->changes;
    (void)visit(ctx, NULL);
    for (;;) {
        struct bt_search k = {.key = at->key, .len = at->len, .rid = at->rid};
        struct bt_leaf leaf;
        e = btree_leaf_wait(s, bt, &k, false, &leaf);
        if (e != ERR_OK)
            break;
        if (bt->changes != *changes) {
            btree_leaf_end(&leaf);
            goto restart;
        }
        struct bt_search high = {.key = key, .len = len, .rid = ((row_id)1 << 48) - 1};
        bool settled = leaf.leaf == NULL || visit(ctx, leaf.leaf->data);
        bool more = !settled && leaf.fence != NULL &&
                    bp_compare(leaf.fence->data, leaf.fence_index, &high) <= 0;
        if (more) {
            at->len = bp_key_copy(leaf.fence->data, leaf.fence_index, at->key);
            at->rid = bp_rid(leaf.fence->data, leaf.fence_index);
        }
        btree_leaf_end(&leaf);
        if (!more)
            break;
    }
    core_free(at);
    return e;
}

enum unique_outcome { UNIQUE_FREE, UNIQUE_CONFLICT, UNIQUE_LOOK_AGAIN };

/* Whether another live entry has the key, seen from the path to where it goes. Not free: the path
 * has been ended. *checked: the tree's state for which it is free. */
SUSPENDS static err_t unique_look_wait(struct unique_check *u, struct btree *bt,
                                       struct bt_path *path, struct spill_holds *holds,
                                       uint64_t *checked, enum unique_outcome *outcome)
{
    struct shard *s = u->shard;
    bool covers = path_covers_key(path, u->key, u->len);
    bool is_met = covers && check_leaf(u, path->level[path->depth - 1].page->data);
    *outcome = UNIQUE_FREE;
    if (covers && !is_met)
        return ERR_OK;
    *outcome = UNIQUE_LOOK_AGAIN;
    btree_path_end(s, path);
    if (!covers) {
        TRY(index_leaves_wait(s, bt, u->key, u->len, check_leaf, u, checked));
        is_met = u->conflict != ROW_ID_NONE || u->wait != NULL || u->load != ROW_ID_NONE;
        if (!is_met)
            return ERR_OK;
    }
    if (u->conflict != ROW_ID_NONE) {
        *outcome = UNIQUE_CONFLICT;
        return ERR_OK;
    }
    *checked = UINT64_MAX;
    if (u->load != ROW_ID_NONE) {
        TRY(spill_holds_add_wait(s, u->heap, u->load, holds));
        u->load = ROW_ID_NONE;
        return ERR_OK;
    }
    struct part *wait = u->wait;
    u->wait = NULL;
    return part_wait(s, wait, u->view);
}

static void add_record(struct log_writer *w, txn_id_t id, uint32_t seq, file_id index, file_id heap,
                       row_id row)
{
    w->len = 0;
    log_put_u64(w, id);
    log_put_u32(w, seq);
    log_put_u64(w, index);
    log_put_u64(w, heap);
    log_put_u64(w, row);
}

/* Phase 2 of an insert. */
static bool add_apply(struct shard *s, struct part *p, uint32_t seq, struct bt_path *path,
                      file_id heap, const uint8_t *key, uint32_t len, row_id row, bool is_bulk,
                      bool is_unique)
{
    file_id index = path->bt->file;
    if (UNLIKELY(is_bulk) && !index_bulk_note(s, p, seq, index, heap, row, is_unique))
        return false;
    struct log_writer w;
    add_record(&w, p->id, seq, index, heap, row);
    lsn_t lsn = shard_log(s, is_bulk ? LOG_INDEX_ADD_BULK : LOG_INDEX_ADD, &w, key, len);
    p->is_logged = true;
    if (path->found)
        path->bt->changes++;
    else
        btree_insert_apply(s, path, key, len, row, lsn);
    if (is_bulk)
        return true;
    struct version *v = version_push(&s->versions, p, VERSION_INDEX_ADD, seq, heap, row, key, len);
    v->index = index;
    v->is_unique = is_unique;
    return true;
}

err_t index_insert_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                        const void *key, uint32_t key_len, row_id id, enum index_unique unique,
                        row_id *conflict)
{
    ASSERT(shard_is_owner(s));
    ASSERT(v->id != 0);
    TRY(index_key_check(key_len));
    TRY(version_budget_wait(s));
    if (conflict != NULL)
        *conflict = ROW_ID_NONE;
    struct btree *bt = btree_of(s, index);
    struct unique_check u = {.shard = s,
                             .view = v,
                             .index = index,
                             .heap = heap,
                             .key = key,
                             .len = key_len,
                             .id = id,
                             .is_later = unique == INDEX_UNIQUE_LATER,
                             .conflict = ROW_ID_NONE,
                             .load = ROW_ID_NONE};
    SCOPED_HOLDS struct spill_holds holds = {0};
    uint64_t checked = UINT64_MAX;
    bool is_looked_at = unique == INDEX_NOT_UNIQUE;
    for (;;) {
        struct bt_path path;
        TRY(btree_path_wait(s, bt, key, key_len, id, true, 1, LOG_FIXED_BYTES_MAX + key_len,
                            &path));
        if (!is_looked_at && checked != bt->changes) {
            enum unique_outcome outcome;
            TRY(unique_look_wait(&u, bt, &path, &holds, &checked, &outcome));
            if (outcome == UNIQUE_LOOK_AGAIN)
                continue;
            if (outcome == UNIQUE_CONFLICT) {
                ASSERT(conflict != NULL);
                *conflict = u.conflict;
                is_looked_at = unique == INDEX_UNIQUE_LATER;
                if (is_looked_at)
                    continue;
                serial_note_present(s, v, index, key, key_len);
                return ERR_OK;
            }
        }
        nosuspend_begin();
        struct part *p = part_for_write(s, v);
        v->logged = true;
        bool is_bulk = !path.found && index_bulk_wanted(s, p, v->seq, heap, id);
        bool ok =
            add_apply(s, p, v->seq, &path, heap, key, key_len, id, is_bulk, unique == INDEX_UNIQUE);
        ASSERT(ok);
        nosuspend_end();
        btree_path_end(s, &path);
        return ERR_OK;
    }
}

err_t index_key_shared_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                            const void *key, uint32_t key_len, row_id id, bool *is_shared)
{
    ASSERT(shard_is_owner(s));
    ASSERT(v->id != 0);
    struct unique_check u = {
        .shard = s, .view = v, .index = index, .heap = heap, .key = key, .len = key_len, .id = id};
    struct btree *bt = btree_of(s, index);
    SCOPED_HOLDS struct spill_holds holds = {0};
    for (;;) {
        u.wait = NULL;
        u.load = u.conflict = ROW_ID_NONE;
        enum entry_state own = index_entry_newest(s, v, index, heap, key, key_len, id, &u.wait);
        uint64_t changes;
        if (own == ENTRY_LOAD)
            u.load = id;
        else if (own == ENTRY_LIVE)
            TRY(index_leaves_wait(s, bt, key, key_len, check_leaf, &u, &changes));
        *is_shared = u.conflict != ROW_ID_NONE;
        if (*is_shared) {
            serial_note_present(s, v, index, key, key_len);
            return ERR_OK;
        }
        if (u.load != ROW_ID_NONE)
            TRY(spill_holds_add_wait(s, heap, u.load, &holds));
        else if (u.wait != NULL)
            TRY(part_wait(s, u.wait, v));
        else
            return ERR_OK;
    }
}

/* The entry's newest state; until it is known: the path is ended, and ENTRY_WAIT the outcome. */
SUSPENDS static err_t own_state_wait(const struct unique_check *u, struct bt_path *path,
                                     struct spill_holds *holds, enum entry_state *out)
{
    struct part *wait = NULL;
    *out = index_entry_newest(u->shard, u->view, u->index, u->heap, u->key, u->len, u->id, &wait);
    if (*out != ENTRY_LOAD && *out != ENTRY_WAIT)
        return ERR_OK;
    btree_path_end(u->shard, path);
    if (*out == ENTRY_WAIT)
        return part_wait(u->shard, wait, u->view);
    *out = ENTRY_WAIT;
    return spill_holds_add_wait(u->shard, u->heap, u->id, holds);
}

/* ---- writers of an index on its way in or out ---- */

err_t index_insert_known_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                              const void *key, uint32_t key_len, row_id id)
{
    ASSERT(shard_is_owner(s));
    ASSERT(v->id != 0);
    TRY(index_key_check(key_len));
    TRY(version_budget_wait(s));
    const struct unique_check u = {
        .shard = s, .view = v, .index = index, .heap = heap, .key = key, .len = key_len, .id = id};
    SCOPED_HOLDS struct spill_holds holds = {0};
    for (;;) {
        struct bt_path path;
        TRY(btree_path_wait(s, btree_of(s, index), key, key_len, id, true, 1,
                            LOG_FIXED_BYTES_MAX + key_len, &path));
        enum entry_state own;
        TRY(own_state_wait(&u, &path, &holds, &own));
        if (own == ENTRY_WAIT)
            continue;
        if (path.found || own == ENTRY_DEAD) {
            nosuspend_begin();
            struct part *p = part_for_write(s, v);
            v->logged = true;
            bool ok = add_apply(s, p, v->seq, &path, heap, key, key_len, id, false, false);
            ASSERT(ok);
            nosuspend_end();
        }
        btree_path_end(s, &path);
        return ERR_OK;
    }
}

/* An entry that is there stays there till this: purge and undo take out only those of rows that
 * have lost the key, or of transactions that have not ended, whose lock the row would have. */
err_t index_remove_known_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                              const void *key, uint32_t key_len, row_id id)
{
    TRY(index_key_check(key_len));
    struct bt_path path;
    TRY(btree_path_wait(s, btree_of(s, index), key, key_len, id, false, 0, 0, &path));
    bool is_there = path.found;
    btree_path_end(s, &path);
    return is_there ? index_remove_wait(s, v, index, heap, key, key_len, id) : ERR_OK;
}

/* ---- builds beside writers ---- */

static void fill_apply(struct shard *s, struct bt_path *path, const uint8_t *key, uint32_t len,
                       row_id row)
{
    struct log_writer w = {.len = 0};
    log_put_u64(&w, path->bt->file);
    log_put_u64(&w, row);
    lsn_t lsn = shard_log(s, LOG_INDEX_ENTRY, &w, key, len);
    btree_insert_apply(s, path, key, len, row, lsn);
}

err_t index_entry_outcome_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                               const uint8_t *key, uint32_t len, row_id row)
{
    struct part *wait = NULL;
    enum entry_state state = index_entry_newest(s, v, index, heap, key, len, row, &wait);
    return state == ENTRY_WAIT ? part_wait(s, wait, v) : fiber_rest_wait();
}

err_t index_fill_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                      const void *key, uint32_t key_len, row_id id, bool unique, row_id *conflict)
{
    ASSERT(shard_is_owner(s));
    ASSERT(v->id != 0);
    TRY(index_key_check(key_len));
    *conflict = ROW_ID_NONE;
    struct btree *bt = btree_of(s, index);
    struct unique_check u = {.shard = s,
                             .view = v,
                             .index = index,
                             .heap = heap,
                             .key = key,
                             .len = key_len,
                             .id = id,
                             .conflict = ROW_ID_NONE,
                             .load = ROW_ID_NONE};
    SCOPED_HOLDS struct spill_holds holds = {0};
    uint64_t checked = UINT64_MAX;
    for (;;) {
        struct bt_path path;
        TRY(btree_path_wait(s, bt, key, key_len, id, true, 1, LOG_FIXED_BYTES_MAX + key_len,
                            &path));
        struct part *wait = NULL;
        enum entry_state own = ENTRY_DEAD;
        if (unique) /* a writer's too: one that only kept what was known has not looked */
            own = index_entry_newest(s, v, index, heap, key, key_len, id, &wait);
        uint64_t seen = bt->changes;
        if (own == ENTRY_LOAD) {
            btree_path_end(s, &path);
            TRY(spill_holds_add_wait(s, heap, id, &holds));
            continue;
        }
        if (own != ENTRY_DEAD && checked != bt->changes) {
            enum unique_outcome outcome;
            TRY(unique_look_wait(&u, bt, &path, &holds, &checked, &outcome));
            if (outcome == UNIQUE_LOOK_AGAIN)
                continue;
            if (outcome == UNIQUE_CONFLICT && own == ENTRY_LIVE && seen == bt->changes) {
                *conflict = u.conflict;
                return ERR_OK;
            }
            if (outcome == UNIQUE_CONFLICT) { /* the entry may be losing the key */
                u.conflict = ROW_ID_NONE;
                checked = UINT64_MAX;
                TRY(index_entry_outcome_wait(s, v, index, heap, key, key_len, id));
                continue;
            }
        }
        if (!path.found) {
            nosuspend_begin();
            fill_apply(s, &path, key, key_len, id);
            nosuspend_end();
        }
        btree_path_end(s, &path);
        return ERR_OK;
    }
}

err_t index_fill_redo_wait(struct shard *s, file_id index, row_id row, const uint8_t *key,
                           uint32_t len)
{
    TRY(index_key_check(len));
    struct bt_path path;
    TRY(btree_path_wait(s, btree_of(s, index), key, len, row, true, 0, 0, &path));
    if (!path.found) {
        nosuspend_begin();
        fill_apply(s, &path, key, len, row);
        nosuspend_end();
    }
    btree_path_end(s, &path);
    return ERR_OK;
}

err_t index_add_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id index, file_id heap,
                        row_id row, const uint8_t *key, uint32_t len, bool is_bulk)
{
    TRY(index_key_check(len));
    SCOPED_HOLD struct spill_hold hold = {0};
    if (is_bulk)
        TRY(spill_mark_bulk_wait(s, heap, row, &hold));
    struct bt_path path;
    TRY(btree_path_wait(s, btree_of(s, index), key, len, row, true, 0, 0, &path));
    nosuspend_begin();
    struct part *p = part_find(s, id);
    if (p == NULL)
        p = part_make(s, id, 0);
    bool ok = add_apply(s, p, seq, &path, heap, key, len, row, is_bulk, false);
    nosuspend_end();
    btree_path_end(s, &path);
    return ok ? ERR_OK : err_raise(ERR_DATA_CORRUPTED, "log: index entry without its row");
}

err_t index_remove_at_wait(struct shard *s, txn_id_t id, uint32_t seq, file_id index, file_id heap,
                           row_id row, const uint8_t *key, uint32_t len)
{
    TRY(index_key_check(len));
    TRY(shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX + len));
    nosuspend_begin();
    struct part *p = part_find(s, id);
    if (p == NULL)
        p = part_make(s, id, 0);
    struct log_writer w;
    add_record(&w, id, seq, index, heap, row);
    (void)shard_log(s, LOG_INDEX_REMOVE, &w, key, len);
    p->is_logged = true;
    struct version *v =
        version_push(&s->versions, p, VERSION_INDEX_REMOVE, seq, heap, row, key, len);
    v->index = index;
    btree_of(s, index)->changes++; /* what uniqueness saw is void */
    nosuspend_end();
    return ERR_OK;
}

err_t index_remove_wait(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                        const void *key, uint32_t key_len, row_id id)
{
    ASSERT(shard_is_owner(s));
    ASSERT(v->id != 0);
    TRY(version_budget_wait(s));
    (void)part_for_write(s, v);
    if (DEFECT_SOMETIMES(INDEX_ENTRY_KEPT, 16))
        return ERR_OK;
    TRY(index_remove_at_wait(s, v->id, v->seq, index, heap, id, key, key_len));
    v->logged = true;
    return ERR_OK;
}

/* ---- bulk build ---- */

/* An appended leaf keeps a tenth of its room for later entries, once its keys are packed. */
enum { FILL_BYTES_MAX = PAGE_BYTES * 9 / 10 };

err_t index_build_wait(struct shard *s, struct txn_view *v, file_id index,
                       err_t (*next)(void *ctx, const uint8_t **key, uint32_t *key_len, row_id *id),
                       void *ctx)
{
    ASSERT(shard_is_owner(s));
    (void)v;
    struct btree *bt = btree_of(s, index);
    uint8_t *leaf = core_zalloc(PAGE_BYTES);
    uint8_t *scratch = core_malloc(PAGE_BYTES);
    bp_init(leaf, 0);
    err_t e = ERR_OK;
    bool at_end = false;
    while (e == ERR_OK && !at_end) {
        const uint8_t *key;
        uint32_t len;
        row_id id;
        e = next(ctx, &key, &len, &id);
        if (e != ERR_OK)
            break;
        at_end = key == NULL;
        if (!at_end)
            e = index_key_check(len);
        bool full = at_end;
        if (e == ERR_OK && !at_end)
            full = (bp_count(leaf) > 2 && bp_used_packed(leaf, scratch) > FILL_BYTES_MAX) ||
                   !bp_insert(leaf, bp_count(leaf), key, len, id, 0, scratch);
        if (e != ERR_OK || !full)
            continue;
        if (bp_count(leaf) > 0) {
            uint8_t *kept = NULL; /* the caller's buffer may change during the wait */
            if (!at_end) {
                kept = core_malloc(len + 1u);
                memcpy(kept, key, len);
            }
            e = btree_append_leaf_wait(s, bt, leaf + PAGE_HEADER_BYTES);
            if (e == ERR_OK)
                e = fiber_rest_wait();
            bp_init(leaf, 0);
            if (e == ERR_OK && !at_end) {
                bool ok = bp_insert(leaf, 0, kept, len, id, 0, scratch);
                ASSERT(ok);
            }
            core_free(kept);
        }
    }
    core_free(scratch);
    core_free(leaf);
    return e;
}
