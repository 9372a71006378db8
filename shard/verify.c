/*
 * Checks of a whole shard, for tests and check tools; nobody may write meanwhile (but purge goes
 * on: what it changed under the check's hands is not judged). Heap files: page structure, forwards
 * and moved cells that belong together, chains of chunks. B+trees: page structure, order of entries
 * within the bounds given by the separators above, equal depth, and every page either reached from
 * the root, on the free list, or the meta page.
 */
#include "shard/shard_priv.h"

enum { PAGE_FLAG_FREE = 1, PAGES_PER_REST = 16 };

static COLD err_t heap_bad(file_id file, row_id row, const char *what)
{
    return err_raise(ERR_DATA_CORRUPTED, "file %llu/%llu, row (%u,%u): %s",
                     (unsigned long long)(file >> 32), (unsigned long long)(file & 0xffffffff),
                     row_page(row), row_slot(row), what);
}

static COLD err_t tree_bad(file_id file, uint32_t page, const char *what)
{
    return err_raise(ERR_INDEX_CORRUPTED, "file %llu/%llu, page %u: %s",
                     (unsigned long long)(file >> 32), (unsigned long long)(file & 0xffffffff),
                     page, what);
}

/* Copy a cell out: the page may not stay pinned while others are looked at. */
SUSPENDS static err_t cell_read_wait(struct shard *s, file_id file, row_id at, bool *found,
                                     uint16_t *flags, uint64_t *word, uint32_t *len)
{
    *found = false;
    if (row_page(at) >= file_page_count(s->pages, file))
        return ERR_OK;
    struct page *page;
    TRY(page_pin_wait(s->pages, file, row_page(at), &page));
    struct cell c;
    *found = hp_get(page->data, row_slot(at), &c);
    if (*found) {
        *flags = c.flags;
        *len = c.len;
        *word = c.len >= 8 ? load_u64(c.payload) : 0;
    }
    page_unpin(page);
    return ERR_OK;
}

SUSPENDS static err_t check_chunks_wait(struct shard *s, file_id file, row_id row,
                                        const struct big_row *big)
{
    uint64_t left = big->stored_len;
    row_id at = big->first_chunk;
    while (left > 0) {
        bool found;
        uint16_t flags;
        uint64_t next;
        uint32_t len;
        TRY(cell_read_wait(s, file, at, &found, &flags, &next, &len));
        if (!found || (flags & CELL_CHUNK) == 0 || len <= 8 || len - 8 > left)
            return heap_bad(file, row, "bad chain of chunks");
        left -= len - 8;
        at = next;
    }
    return at == ROW_ID_NONE ? ERR_OK : heap_bad(file, row, "chain of chunks does not end");
}

SUSPENDS static err_t check_cell_wait(struct shard *s, file_id file, row_id row, uint16_t flags,
                                      uint64_t word, uint32_t len, const struct big_row *big)
{
    bool found;
    uint16_t other_flags;
    uint64_t other_word;
    uint32_t other_len;
    if ((flags & CELL_FORWARD) != 0) {
        if (len != 8)
            return heap_bad(file, row, "bad forward");
        TRY(cell_read_wait(s, file, word, &found, &other_flags, &other_word, &other_len));
        if (!found || (other_flags & CELL_MOVED) == 0 || other_word != row)
            return heap_bad(file, row, "forward leads to no moved cell");
        return ERR_OK;
    }
    if ((flags & CELL_MOVED) != 0) {
        TRY(cell_read_wait(s, file, word, &found, &other_flags, &other_word, &other_len));
        if (!found || (other_flags & CELL_FORWARD) == 0 || other_word != row)
            return heap_bad(file, row, "moved cell without its forward");
        return ERR_OK;
    }
    if ((flags & CELL_BIG) != 0 && (flags & CELL_CHUNK) == 0) {
        if (len != sizeof(*big))
            return heap_bad(file, row, "bad long row");
        return check_chunks_wait(s, file, row, big);
    }
    return ERR_OK;
}

SUSPENDS static err_t verify_heap_wait(struct shard *s, file_id file)
{
    uint32_t pages = file_page_count(s->pages, file);
    for (uint32_t p = 0; p < pages; p++) {
        struct page *page;
        if (p % PAGES_PER_REST == 0)
            TRY(fiber_rest_wait());
        TRY(page_pin_wait(s->pages, file, p, &page));
        err_t e = hp_check(page->data);
        for (uint32_t i = 0; i < hp_slot_count(page->data) && e == ERR_OK; i++) {
            struct cell c;
            if (!hp_get(page->data, i, &c))
                continue;
            struct big_row big = {0};
            if (c.len == sizeof(big))
                memcpy(&big, c.payload, sizeof(big));
            uint16_t flags = c.flags;
            if ((flags & CELL_DELETED) != 0)
                flags &= (uint16_t)~CELL_BIG; /* purge frees the chunks before the row */
            uint64_t word = c.len >= 8 ? load_u64(c.payload) : 0;
            e = check_cell_wait(s, file, row_make(p, i), flags, word, c.len, &big);
            struct cell now;
            if (e == ERR_DATA_CORRUPTED && (!hp_get(page->data, i, &now) || now.flags != c.flags ||
                                            (now.len >= 8 && load_u64(now.payload) != word)))
                e = ERR_OK; /* purged meanwhile */
        }
        page_unpin(page);
        TRY(e);
    }
    return ERR_OK;
}

/* ---- trees ---- */

struct bound {
    bool is_set;
    uint32_t len;
    row_id rid;
    uint8_t *key;
};

struct todo {
    uint32_t page;
    uint32_t level;
    struct bound low;
    struct bound high;
    struct todo *next;
};

static struct bound bound_of(struct arena *mem, const uint8_t *d, uint32_t i)
{
    struct bound b = {.is_set = true, .key = arena_alloc(mem, INDEX_KEY_BYTES_MAX + 8)};
    b.len = bp_key_copy(d, i, b.key);
    b.rid = bp_rid(d, i);
    return b;
}

static bool is_within(const uint8_t *d, uint32_t i, const struct bound *low,
                      const struct bound *high)
{
    if (low->is_set) {
        struct bt_search k = {.key = low->key, .len = low->len, .rid = low->rid};
        if (bp_compare(d, i, &k) < 0)
            return false;
    }
    if (high->is_set) {
        struct bt_search k = {.key = high->key, .len = high->len, .rid = high->rid};
        if (bp_compare(d, i, &k) >= 0)
            return false;
    }
    return true;
}

static err_t check_node(struct arena *mem, file_id file, const struct todo *t, const uint8_t *d,
                        uint8_t *seen, uint32_t pages, struct todo **stack)
{
    TRY(bp_check(d, t->level));
    uint32_t count = bp_count(d);
    for (uint32_t i = t->level > 0 ? 1 : 0; i < count; i++) {
        if (!is_within(d, i, &t->low, &t->high))
            return tree_bad(file, t->page, "entry is outside of the bounds of its page");
    }
    if (t->level == 0)
        return ERR_OK;
    if (count == 0)
        return tree_bad(file, t->page, "inner page without entries");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t child = bp_child(d, i);
        if (child >= pages || seen[child] != 0)
            return tree_bad(file, t->page, "bad child");
        seen[child] = 1;
        struct todo *c = ARENA_NEW(mem, struct todo);
        c->page = child;
        c->level = t->level - 1;
        c->low = i > 0 ? bound_of(mem, d, i) : t->low;
        c->high = i + 1 < count ? bound_of(mem, d, i + 1) : t->high;
        c->next = *stack;
        *stack = c;
    }
    return ERR_OK;
}

SUSPENDS static err_t walk_tree_wait(struct shard *s, struct arena *mem, file_id file,
                                     const struct btree *bt, uint8_t *seen, uint32_t pages)
{
    struct page *page;
    if (bt->root >= pages)
        return tree_bad(file, bt->root, "bad root");
    TRY(page_pin_wait(s->pages, file, bt->root, &page));
    struct todo *stack = ARENA_NEW(mem, struct todo);
    stack->page = bt->root;
    stack->level = bp_level(page->data);
    page_unpin(page);
    seen[bt->root] = 1;
    while (stack != NULL) {
        struct todo *t = stack;
        stack = t->next;
        TRY(fiber_rest_wait());
        TRY(page_pin_wait(s->pages, file, t->page, &page));
        err_t e = check_node(mem, file, t, page->data, seen, pages, &stack);
        page_unpin(page);
        TRY(e);
    }
    return ERR_OK;
}

SUSPENDS static err_t verify_tree_once_wait(struct shard *s, struct arena *mem, file_id file,
                                            const struct btree *bt)
{
    if (bt->root == PAGE_NONE)
        return ERR_OK;
    uint32_t pages = file_page_count(s->pages, file);
    uint8_t *seen = core_zalloc(pages);
    seen[BT_META_PAGE] = 1;
    err_t e = walk_tree_wait(s, mem, file, bt, seen, pages);
    for (uint32_t p = bt->free_head; p != 0 && e == ERR_OK;) {
        struct page *page;
        if (p >= pages || seen[p] != 0) {
            e = tree_bad(file, p, "bad free list");
            break;
        }
        seen[p] = 1;
        e = page_pin_wait(s->pages, file, p, &page);
        if (e != ERR_OK)
            break;
        const struct page_header *h = (const void *)page->data;
        if ((h->flags & PAGE_FLAG_FREE) == 0)
            e = tree_bad(file, p, "page on the free list is not free");
        p = h->owner_word;
        page_unpin(page);
    }
    for (uint32_t p = 0; p < pages && e == ERR_OK; p++) {
        if (seen[p] == 0)
            e = tree_bad(file, p, "page is not reachable");
    }
    core_free(seen);
    return e;
}

/* A finding counts only when the tree stood still while it was made: purge may have moved entries
 * and pages in between, then the check begins again. Purge has a bounded amount to do, so this
 * ends. */
SUSPENDS static err_t verify_tree_wait(struct shard *s, struct arena *mem, file_id file)
{
    struct btree *bt = btree_of(s, file);
    TRY(btree_load_wait(s, bt));
    for (;;) {
        struct arena_mark mark = arena_mark(mem);
        uint64_t changes = bt->changes;
        err_t e = verify_tree_once_wait(s, mem, file, bt);
        if (e != ERR_INDEX_CORRUPTED || bt->changes == changes)
            return e;
        arena_rewind(mem, mark);
    }
}

err_t shard_verify_file_wait(struct shard *s, file_id file, struct arena *mem)
{
    ASSERT(shard_is_owner(s));
    enum file_kind kind;
    if (!file_exists(s->pages, file, &kind))
        return ERR_OK;
    struct arena_mark mark = arena_mark(mem);
    err_t e = kind == FILE_HEAP    ? verify_heap_wait(s, file)
              : kind == FILE_BTREE ? verify_tree_wait(s, mem, file)
                                   : ERR_OK;
    arena_rewind(mem, mark);
    return e;
}

err_t shard_verify_wait(struct shard *s, struct arena *mem)
{
    ASSERT(shard_is_owner(s));
    uint64_t cursor = 0;
    file_id file;
    enum file_kind kind;
    uint32_t pages;
    while (file_next(s->pages, &cursor, &file, &kind, &pages))
        TRY(shard_verify_file_wait(s, file, mem));
    return page_store_verify_blocks(s->pages);
}

bool shard_is_purged(const struct shard *s)
{
    return s->purge_first == NULL;
}

bool shard_file_next(struct shard *s, uint64_t *cursor, file_id *file, enum file_kind *kind)
{
    uint32_t pages;
    do {
        if (!file_next(s->pages, cursor, file, kind, &pages))
            return false;
    } while (*kind == FILE_SPILL);
    return true;
}

err_t page_structure_check(const uint8_t *d)
{
    struct page_header h;
    memcpy(&h, d, sizeof(h));
    if (h.kind == FILE_HEAP)
        return hp_check(d);
    if (h.kind != FILE_BTREE || h.page_no == BT_META_PAGE || (h.flags & PAGE_FLAG_FREE) != 0)
        return ERR_OK;
    if (bp_level(d) >= BT_LEVELS_MAX)
        return tree_bad(h.file, h.page_no, "level is out of range");
    return bp_check(d, bp_level(d));
}

err_t shard_verify_index_wait(struct shard *s, file_id index, file_id heap, struct arena *mem,
                              uint64_t *entries)
{
    struct btree *bt = btree_of(s, index);
    uint8_t *key = arena_alloc(mem, INDEX_KEY_BYTES_MAX + 8);
    struct bt_search k = {.key = key};
    *entries = 0;
    for (;;) {
        struct bt_leaf leaf;
        TRY(fiber_rest_wait());
        TRY(btree_leaf_wait(s, bt, &k, false, &leaf));
        if (leaf.leaf == NULL)
            return ERR_OK;
        err_t e = ERR_OK;
        const uint8_t *d = leaf.leaf->data;
        for (uint32_t i = 0; i < bp_count(d) && e == ERR_OK; i++) {
            bool found;
            uint16_t flags;
            uint64_t word;
            uint32_t len;
            e = cell_read_wait(s, heap, bp_rid(d, i), &found, &flags, &word, &len);
            if (e == ERR_OK && (!found || (flags & (CELL_MOVED | CELL_CHUNK)) != 0))
                e = heap_bad(heap, bp_rid(d, i), "index entry leads to no row");
            (*entries)++;
        }
        bool more = leaf.fence != NULL;
        if (more) {
            k.len = bp_key_copy(leaf.fence->data, leaf.fence_index, key);
            k.rid = bp_rid(leaf.fence->data, leaf.fence_index);
        }
        btree_leaf_end(&leaf);
        TRY(e);
        if (!more)
            return ERR_OK;
    }
}
