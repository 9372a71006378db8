/*
 * B+tree: a file of pages. Page 0 is the meta page: u32 root, u32 head of the free list (0 = none);
 * free pages are linked through owner_word. A file without pages is an empty tree.
 *
 * Phase 1 pins the path from the root (a tree that changed during a wait is walked again from the
 * root: `changes` counts every change), phase 2 changes the pages. Pages that become empty are
 * freed at once; there is no merging of half-empty pages. There are no links between leaves: a scan
 * goes on at the separator that bounds its leaf. Nothing outside a tree refers to its page numbers,
 * so replay may build another tree with the same entries.
 */
#include "shard/shard_priv.h"

enum { META_ROOT = PAGE_HEADER_BYTES, META_FREE = PAGE_HEADER_BYTES + 4, PAGE_FLAG_FREE = 1 };

static struct page_header *header_of(uint8_t *d)
{
    return (struct page_header *)(void *)d;
}

static uint32_t page_number(const struct page *p)
{
    return header_of(p->data)->page_no;
}

static void unpin(struct page **p)
{
    if (*p != NULL)
        page_unpin(*p);
    *p = NULL;
}

struct btree *btree_of(struct shard *s, file_id index)
{
    struct btree **at = &s->btrees[file_bucket(index)];
    for (struct btree *bt = *at; bt != NULL; bt = bt->next) {
        if (bt->file == index)
            return bt;
    }
    struct btree *bt = core_zalloc(sizeof(*bt));
    bt->file = index;
    bt->root = PAGE_NONE;
    bt->next = *at;
    *at = bt;
    return bt;
}

void btree_forget(struct shard *s, file_id index)
{
    struct btree **at = &s->btrees[file_bucket(index)];
    while (*at != NULL && (*at)->file != index)
        at = &(*at)->next;
    if (*at != NULL) {
        struct btree *bt = *at;
        *at = bt->next;
        core_free(bt);
    }
}

void btrees_destroy(struct shard *s)
{
    for (uint32_t i = 0; i < FILE_TABLE_BUCKETS; i++) {
        while (s->btrees[i] != NULL) {
            struct btree *bt = s->btrees[i];
            s->btrees[i] = bt->next;
            core_free(bt);
        }
    }
}

static COLD err_t tree_bad(const struct btree *bt, uint32_t page_no)
{
    return err_raise(ERR_INDEX_CORRUPTED, "bad index page %u in file %llu/%llu", page_no,
                     (unsigned long long)(bt->file >> 32),
                     (unsigned long long)(bt->file & 0xffffffff));
}

err_t btree_load_wait(struct shard *s, struct btree *bt)
{
    if (bt->is_loaded)
        return ERR_OK;
    if (file_page_count(s->pages, bt->file) == 0)
        return ERR_OK; /* root = PAGE_NONE */
    struct page *meta;
    TRY(page_pin_wait(s->pages, bt->file, BT_META_PAGE, &meta));
    if (!bt->is_loaded) {
        bt->root = load_u32(meta->data + META_ROOT);
        bt->free_head = load_u32(meta->data + META_FREE);
        bt->is_loaded = true;
        if (bt->root == 0) /* never set up: its making was not in the checkpoint */
            bt->root = PAGE_NONE;
    }
    page_unpin(meta);
    return ERR_OK;
}

static void meta_store(struct btree *bt, struct page *meta, lsn_t lsn)
{
    uint8_t *d = page_modify(meta);
    store_u32(d + META_ROOT, bt->root);
    store_u32(d + META_FREE, bt->free_head);
    page_set_lsn(meta, lsn);
}

SUSPENDS static err_t make_root_wait(struct shard *s, struct btree *bt)
{
    TRY(page_reserve_wait(s->pages, 2));
    uint32_t pages = file_page_count(s->pages, bt->file);
    if (bt->root == PAGE_NONE && pages == 0) {
        nosuspend_begin();
        struct page *meta = page_new_reserved(s->pages, bt->file);
        struct page *root = page_new_reserved(s->pages, bt->file);
        ASSERT(page_number(meta) == BT_META_PAGE);
        bp_init(page_modify(root), 0);
        bt->root = page_number(root);
        bt->free_head = 0;
        bt->is_loaded = true;
        bt->changes++;
        meta_store(bt, meta, s->replay_lsn);
        page_unpin(root);
        page_unpin(meta);
        nosuspend_end();
    }
    page_reserve_end(s->pages);
    if (bt->root == PAGE_NONE)
        return tree_bad(bt, BT_META_PAGE);
    return ERR_OK;
}

void btree_path_end(struct shard *s, struct bt_path *path)
{
    for (uint32_t i = 0; i < path->depth; i++)
        unpin(&path->level[i].page);
    path->depth = 0;
    unpin(&path->meta);
    unpin(&path->spare);
    if (path->has_reserve)
        page_reserve_end(s->pages);
    path->has_reserve = false;
}

/* Pin the path; *stale: the tree changed meanwhile. */
SUSPENDS static err_t walk_wait(struct shard *s, struct btree *bt, const struct bt_search *k,
                                uint64_t changes, struct bt_path *out, bool *stale)
{
    *stale = false;
    err_t e = page_pin_wait(s->pages, bt->file, BT_META_PAGE, &out->meta);
    if (e != ERR_OK) {
        out->meta = NULL;
        return e;
    }
    if (bt->changes != changes) {
        *stale = true;
        return ERR_OK;
    }
    out->is_rightmost = true;
    uint32_t page_no = bt->root;
    uint32_t level_expected = UINT32_MAX;
    for (;;) {
        if (out->depth == BT_LEVELS_MAX)
            return tree_bad(bt, page_no);
        struct page **page = &out->level[out->depth].page;
        TRY(page_pin_wait(s->pages, bt->file, page_no, page));
        out->depth++;
        if (bt->changes != changes) {
            *stale = true;
            return ERR_OK;
        }
        const uint8_t *d = (*page)->data;
        uint32_t level = bp_level(d);
        if ((level_expected != UINT32_MAX && level != level_expected) ||
            (level > 0 && bp_count(d) == 0))
            return tree_bad(bt, page_no);
        if (level == 0) {
            uint32_t pos = bp_lower_bound(d, k);
            out->level[out->depth - 1].index = pos;
            out->found = pos < bp_count(d) && bp_compare(d, pos, k) == 0;
            return ERR_OK;
        }
        uint32_t i = bp_child_index(d, k, false);
        out->level[out->depth - 1].index = i;
        out->is_rightmost = out->is_rightmost && i + 1 == bp_count(d);
        page_no = bp_child(d, i);
        level_expected = level - 1;
    }
}

err_t btree_path_wait(struct shard *s, struct btree *bt, const uint8_t *key, uint32_t len,
                      row_id rid, bool for_insert, uint32_t records, uint32_t bytes,
                      struct bt_path *out)
{
    struct bt_search k = {.key = key, .len = len, .rid = rid};
    for (;;) {
        *out = (struct bt_path){.bt = bt};
        TRY(btree_load_wait(s, bt));
        if (bt->root == PAGE_NONE) {
            if (!for_insert)
                return shard_reserve_wait(s, records, bytes);
            TRY(make_root_wait(s, bt));
            continue;
        }
        uint64_t changes = bt->changes;
        bool stale;
        err_t e = walk_wait(s, bt, &k, changes, out, &stale);
        if (e == ERR_OK && !stale && for_insert && !out->found &&
            !bp_fits(out->level[out->depth - 1].page->data, key, len)) {
            if (bt->free_head != 0) {
                e = page_pin_wait(s->pages, bt->file, bt->free_head, &out->spare);
                if (e != ERR_OK)
                    out->spare = NULL;
            }
            if (e == ERR_OK)
                e = page_reserve_wait(s->pages, out->depth + 1);
            out->has_reserve = e == ERR_OK;
        }
        if (e == ERR_OK && !stale)
            e = shard_reserve_wait(s, records, bytes);
        if (e == ERR_OK && !stale && bt->changes == changes)
            return ERR_OK;
        btree_path_end(s, out);
        TRY(e);
    }
}

static struct page *page_take(struct shard *s, struct bt_path *path, lsn_t lsn)
{
    struct btree *bt = path->bt;
    struct page *p = path->spare;
    if (p != NULL) {
        path->spare = NULL; /* the pin goes to the caller */
        ASSERT(page_number(p) == bt->free_head);
        uint8_t *d = page_modify(p);
        bt->free_head = header_of(d)->owner_word;
        header_of(d)->owner_word = 0;
        header_of(d)->flags = 0;
        meta_store(bt, path->meta, lsn);
        return p;
    }
    ASSERT(path->has_reserve);
    p = page_new_reserved(s->pages, bt->file);
    (void)page_modify(p);
    return p;
}

/* The entry (key, rid, child) goes to pos of the page at depth i of the path; splits as needed. */
static void insert_up(struct shard *s, struct bt_path *path, uint32_t i, uint32_t pos,
                      const uint8_t *key, uint32_t len, row_id rid, uint32_t child, lsn_t lsn)
{
    struct btree *bt = path->bt;
    uint32_t side = 0;
    for (;;) {
        struct page *page = path->level[i].page;
        uint8_t *d = page_modify(page);
        page_set_lsn(page, lsn);
        if (bp_insert(d, pos, key, len, rid, child, s->scratch))
            return;
        struct page *right = page_take(s, path, lsn);
        struct bp_separator *sep = &s->separators[side];
        side ^= 1;
        bp_split(d, right->data, pos, key, len, rid, child, path->is_rightmost, sep, s->scratch);
        page_set_lsn(right, lsn);
        key = sep->key;
        len = sep->len;
        rid = sep->rid;
        child = page_number(right);
        page_unpin(right);
        if (i == 0) {
            struct page *root = page_take(s, path, lsn);
            bp_init(root->data, bp_level(d) + 1);
            bool ok = bp_insert(root->data, 0, NULL, 0, 0, page_number(page), s->scratch) &&
                      bp_insert(root->data, 1, key, len, rid, child, s->scratch);
            ASSERT(ok);
            page_set_lsn(root, lsn);
            bt->root = page_number(root);
            page_unpin(root);
            meta_store(bt, path->meta, lsn);
            return;
        }
        i--;
        pos = path->level[i].index + 1;
    }
}

void btree_insert_apply(struct shard *s, struct bt_path *path, const uint8_t *key, uint32_t len,
                        row_id rid, lsn_t lsn)
{
    ASSERT(!path->found);
    ASSERT(len <= INDEX_KEY_BYTES_MAX);
    path->bt->changes++;
    insert_up(s, path, path->depth - 1, path->level[path->depth - 1].index, key, len, rid, 0, lsn);
}

static void page_give(struct bt_path *path, struct page *p, lsn_t lsn)
{
    struct btree *bt = path->bt;
    uint8_t *d = page_modify(p);
    bp_init(d, 0);
    header_of(d)->owner_word = bt->free_head;
    header_of(d)->flags = PAGE_FLAG_FREE;
    page_set_lsn(p, lsn);
    bt->free_head = page_number(p);
}

void btree_delete_apply(struct shard *s, struct bt_path *path, lsn_t lsn)
{
    (void)s;
    struct btree *bt = path->bt;
    ASSERT(path->found);
    bt->changes++;
    bool meta_changed = false;
    for (uint32_t i = path->depth; i-- > 0;) {
        struct page *page = path->level[i].page;
        uint8_t *d = page_modify(page);
        bp_remove(d, path->level[i].index);
        page_set_lsn(page, lsn);
        if (bp_count(d) > 0)
            break;
        if (i == 0) {
            bp_init(d, 0); /* the root becomes an empty leaf */
            break;
        }
        page_give(path, page, lsn);
        meta_changed = true;
    }
    struct page *root = path->level[0].page;
    if (bp_level(root->data) > 0 && bp_count(root->data) == 1) {
        bt->root = bp_child(root->data, 0);
        page_give(path, root, lsn);
        meta_changed = true;
    }
    if (meta_changed)
        meta_store(bt, path->meta, lsn);
}

err_t btree_append_leaf_wait(struct shard *s, struct btree *bt, const uint8_t *body)
{
    uint8_t *leaf = core_malloc(PAGE_BYTES);
    memset(leaf, 0, PAGE_HEADER_BYTES);
    memcpy(leaf + PAGE_HEADER_BYTES, body, PAGE_BYTES - PAGE_HEADER_BYTES);
    const uint8_t *content = leaf + PAGE_HEADER_BYTES; /* body may not outlive a wait */
    struct bp_separator *first = core_malloc(sizeof(*first));
    struct bt_path path;
    err_t e = bp_check(leaf, 0);
    if (e == ERR_OK && bp_count(leaf) == 0)
        e = tree_bad(bt, PAGE_NONE);
    uint64_t changes;
    if (e != ERR_OK)
        goto out;
    first->len = bp_key_copy(leaf, 0, first->key);
    first->rid = bp_rid(leaf, 0);
    for (;;) {
        e = btree_path_wait(s, bt, first->key, first->len, first->rid, true, 0, 0, &path);
        if (e != ERR_OK)
            goto out;
        changes = bt->changes;
        if (!path.has_reserve) {
            e = page_reserve_wait(s->pages, path.depth + 2);
            path.has_reserve = e == ERR_OK;
        }
        if (e == ERR_OK)
            e = shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX + PAGE_BYTES);
        if (e == ERR_OK && bt->changes == changes)
            break;
        btree_path_end(s, &path);
        if (e != ERR_OK)
            goto out;
    }
    uint8_t *last = path.level[path.depth - 1].page->data;
    uint32_t count = bp_count(last);
    if (!path.is_rightmost || path.level[path.depth - 1].index != count) {
        btree_path_end(s, &path);
        e = err_raise(ERR_INTERNAL_ERROR, "entries of an index build are not in order");
        goto out;
    }
    nosuspend_begin();
    struct log_writer w = {.len = 0};
    log_put_u64(&w, bt->file);
    lsn_t lsn = shard_log(s, LOG_INDEX_FILL, &w, content, PAGE_BYTES - PAGE_HEADER_BYTES);
    bt->changes++;
    if (count == 0) {
        memcpy(page_modify(path.level[path.depth - 1].page) + PAGE_HEADER_BYTES, content,
               PAGE_BYTES - PAGE_HEADER_BYTES);
        page_set_lsn(path.level[path.depth - 1].page, lsn);
    } else {
        /* The separator: as much of the first key as tells it from the last one before it. */
        uint8_t *before = s->separators[0].key;
        uint32_t before_len = bp_key_copy(last, count - 1, before);
        uint32_t same = 0;
        while (same < MIN(before_len, first->len) && before[same] == first->key[same])
            same++;
        if (same < first->len) {
            first->len = same + 1;
            first->rid = 0;
        }
        struct page *page = page_new_reserved(s->pages, bt->file);
        memcpy(page_modify(page) + PAGE_HEADER_BYTES, content, PAGE_BYTES - PAGE_HEADER_BYTES);
        page_set_lsn(page, lsn);
        uint32_t child = page_number(page);
        page_unpin(page);
        if (path.depth > 1) {
            insert_up(s, &path, path.depth - 2, path.level[path.depth - 2].index + 1, first->key,
                      first->len, first->rid, child, lsn);
        } else {
            struct page *root = page_take(s, &path, lsn);
            bp_init(root->data, 1);
            bool ok =
                bp_insert(root->data, 0, NULL, 0, 0, page_number(path.level[0].page), s->scratch) &&
                bp_insert(root->data, 1, first->key, first->len, first->rid, child, s->scratch);
            ASSERT(ok);
            page_set_lsn(root, lsn);
            bt->root = page_number(root);
            page_unpin(root);
            meta_store(bt, path.meta, lsn);
        }
    }
    nosuspend_end();
    btree_path_end(s, &path);
out:
    core_free(first);
    core_free(leaf);
    return e;
}

void btree_leaf_end(struct bt_leaf *l)
{
    unpin(&l->leaf);
    unpin(&l->fence);
}

err_t btree_leaf_wait(struct shard *s, struct btree *bt, const struct bt_search *k, bool backward,
                      struct bt_leaf *out)
{
restart:
    *out = (struct bt_leaf){0};
    TRY(btree_load_wait(s, bt));
    if (bt->root == PAGE_NONE)
        return ERR_OK;
    uint64_t changes = bt->changes;
    uint32_t page_no = bt->root;
    uint32_t level_expected = UINT32_MAX;
    for (;;) {
        struct page *page;
        err_t e = page_pin_wait(s->pages, bt->file, page_no, &page);
        if (e != ERR_OK) {
            btree_leaf_end(out);
            return e;
        }
        if (UNLIKELY(bt->changes != changes)) {
            page_unpin(page);
            btree_leaf_end(out);
            goto restart;
        }
        const uint8_t *d = page->data;
        uint32_t level = bp_level(d);
        if ((level_expected != UINT32_MAX && level != level_expected) ||
            (level > 0 && bp_count(d) == 0)) {
            page_unpin(page);
            btree_leaf_end(out);
            return tree_bad(bt, page_no);
        }
        if (level == 0) {
            out->leaf = page;
            return ERR_OK;
        }
        uint32_t i = bp_child_index(d, k, backward);
        page_no = bp_child(d, i);
        level_expected = level - 1;
        if (backward ? i > 0 : i + 1 < bp_count(d)) {
            unpin(&out->fence);
            out->fence = page;
            out->fence_index = backward ? i : i + 1;
        } else {
            page_unpin(page);
        }
    }
}
