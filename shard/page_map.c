/*
 * The page map: (file, page number) → block, and the directory of files.
 *
 * Each file has a radix tree of MAP_FANOUT. Leaves are held in memory; an upper node needs no
 * memory of its own content, since each child knows where it was written. Only checkpoints write
 * map blocks, so upper levels always belong to the last or the running cut. Leaves change at any
 * time: when a leaf of the running cut, not yet written by it, changes in the live state only, it
 * is forked.
 *
 * The directory's pages are built from the files when a cut is written, and those that differ from
 * what is on disk are written. They are mapped by the same tree, as pages of a file of their own.
 */
#include "shard/pages_priv.h"

enum { LEAF_ENTRIES_MIN = 4, YIELD_NODES = 1024 };

/* ---- files ---- */

struct page_file *file_new(file_id id, enum file_kind kind, uint64_t epoch)
{
    struct page_file *f = core_zalloc(sizeof(*f));
    f->id = id;
    f->kind = kind;
    f->epoch_created = epoch;
    return f;
}

void map_destroy(struct page_file *f)
{
    for (int level = 0; level < MAP_LEVELS; level++) {
        struct map_level *l = &f->levels[level];
        for (uint32_t i = 0; i < l->capacity; i++) {
            struct map_node *n = l->nodes[i];
            if (n == NULL)
                continue;
            core_free(n->entries);
            core_free(n->frozen);
            core_free(n);
        }
        core_free(l->nodes);
        *l = (struct map_level){0};
    }
}

void file_free_memory(struct page_file *f)
{
    map_destroy(f);
    core_free(f);
}

static uint32_t file_bucket(const struct page_store *ps, file_id id)
{
    return (uint32_t)(id * 0x9e3779b97f4a7c15u >> 32) & ps->file_mask;
}

struct page_file *file_find(const struct page_store *ps, file_id id)
{
    if (ps->file_buckets == NULL)
        return NULL;
    struct page_file *f = ps->file_buckets[file_bucket(ps, id)];
    while (f != NULL && f->id != id)
        f = f->hash_next;
    return f;
}

static void file_hash_resize(struct page_store *ps, uint32_t buckets)
{
    struct page_file **old = ps->file_buckets;
    uint32_t old_count = old == NULL ? 0 : ps->file_mask + 1;
    ps->file_buckets = core_zalloc(buckets * sizeof(struct page_file *));
    ps->file_mask = buckets - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        for (struct page_file *f = old[i], *next; f != NULL; f = next) {
            next = f->hash_next;
            struct page_file **b = &ps->file_buckets[file_bucket(ps, f->id)];
            f->hash_next = *b;
            *b = f;
        }
    }
    core_free(old);
}

void file_hash_add(struct page_store *ps, struct page_file *f)
{
    if (ps->file_buckets == NULL)
        file_hash_resize(ps, 64);
    else if (ps->file_count > ps->file_mask)
        file_hash_resize(ps, (ps->file_mask + 1) * 2);
    struct page_file **b = &ps->file_buckets[file_bucket(ps, f->id)];
    f->hash_next = *b;
    *b = f;
    ps->file_count++;
}

void file_hash_remove(struct page_store *ps, struct page_file *f)
{
    struct page_file **p = &ps->file_buckets[file_bucket(ps, f->id)];
    while (*p != f) {
        ASSERT(*p != NULL);
        p = &(*p)->hash_next;
    }
    *p = f->hash_next;
    ps->file_count--;
}

static void slots_grow(struct page_store *ps, uint32_t count)
{
    if (count <= ps->slot_capacity)
        return;
    uint32_t capacity = MAX(ps->slot_capacity * 2, MAX(count, 64u));
    ps->slots = core_realloc(ps->slots, capacity * sizeof(struct page_file *));
    memset(ps->slots + ps->slot_capacity, 0,
           (capacity - ps->slot_capacity) * sizeof(struct page_file *));
    ps->slot_capacity = capacity;
}

uint32_t directory_slot_take(struct page_store *ps, struct page_file *f)
{
    uint32_t slot = ps->slot_hint;
    while (slot < ps->slot_count && ps->slots[slot] != NULL)
        slot++;
    if (slot >= ps->slot_count) {
        slots_grow(ps, slot + 1);
        ps->slot_count = slot + 1;
    }
    ps->slots[slot] = f;
    ps->slot_hint = slot + 1;
    f->slot = slot;
    f->is_slot_held = true;
    return slot;
}

void directory_slot_release(struct page_store *ps, struct page_file *f)
{
    if (!f->is_slot_held)
        return;
    ASSERT(ps->slots[f->slot] == f);
    ps->slots[f->slot] = NULL;
    ps->slot_hint = MIN(ps->slot_hint, f->slot);
    f->is_slot_held = false;
}

void file_set_pages(struct page_store *ps, struct page_file *f, uint32_t pages)
{
    ASSERT(pages >= f->pages);
    if (file_in_cut(ps, f) && f->frozen_epoch != ps->epoch) {
        f->frozen_epoch = ps->epoch;
        f->frozen_pages = f->pages;
    }
    f->pages = pages;
}

uint32_t file_cut_pages(const struct page_store *ps, const struct page_file *f)
{
    return f->frozen_epoch == ps->epoch ? f->frozen_pages : f->pages;
}

/* ---- entries ---- */

static uint32_t nodes_for(uint32_t children)
{
    return children / MAP_FANOUT + (children % MAP_FANOUT != 0);
}

static struct map_node *node_at(const struct page_file *f, int level, uint32_t index)
{
    const struct map_level *l = &f->levels[level];
    return index < l->capacity ? l->nodes[index] : NULL;
}

static struct map_node *node_make(struct page_file *f, int level, uint32_t index)
{
    struct map_level *l = &f->levels[level];
    if (index >= l->capacity) {
        uint32_t capacity = MAX(index + 1, l->capacity * 2);
        l->nodes = core_realloc(l->nodes, capacity * sizeof(struct map_node *));
        memset(l->nodes + l->capacity, 0, (capacity - l->capacity) * sizeof(struct map_node *));
        l->capacity = capacity;
    }
    if (l->nodes[index] == NULL)
        l->nodes[index] = core_zalloc(sizeof(struct map_node));
    return l->nodes[index];
}

static void entries_grow(uint64_t **entries, uint32_t *capacity, uint32_t count)
{
    if (count <= *capacity)
        return;
    uint32_t grown = MAX(*capacity * 4, MAX(count, (uint32_t)LEAF_ENTRIES_MIN));
    grown = MIN(grown, (uint32_t)MAP_FANOUT);
    *entries = core_realloc(*entries, grown * sizeof(uint64_t));
    memset(*entries + *capacity, 0, (grown - *capacity) * sizeof(uint64_t));
    *capacity = grown;
}

uint64_t map_get(const struct page_file *f, uint32_t page_no)
{
    const struct map_node *leaf = node_at(f, 0, page_no / MAP_FANOUT);
    uint32_t i = page_no % MAP_FANOUT;
    return leaf != NULL && i < leaf->capacity ? leaf->entries[i] : 0;
}

void map_set_live(struct page_store *ps, struct page_file *f, uint32_t page_no, uint64_t entry)
{
    struct map_node *leaf = node_make(f, 0, page_no / MAP_FANOUT);
    uint32_t i = page_no % MAP_FANOUT;
    if (file_in_cut(ps, f) && page_no / MAP_FANOUT < nodes_for(file_cut_pages(ps, f)) &&
        leaf->captured != ps->epoch && !leaf->is_forked) {
        leaf->is_forked = true;
        leaf->frozen_dirty = leaf->dirty;
        leaf->frozen_capacity = leaf->capacity;
        if (leaf->capacity > 0) {
            leaf->frozen = core_malloc(leaf->capacity * sizeof(uint64_t));
            memcpy(leaf->frozen, leaf->entries, leaf->capacity * sizeof(uint64_t));
        }
    }
    entries_grow(&leaf->entries, &leaf->capacity, i + 1);
    uint64_t old = leaf->entries[i];
    leaf->entries[i] = entry;
    leaf->dirty = true;
    if (old != 0)
        block_release(&ps->blocks, entry_block(old), ps->is_cut);
}

void map_set_both(struct page_store *ps, struct page_file *f, uint32_t page_no, uint64_t entry)
{
    struct map_node *leaf = node_make(f, 0, page_no / MAP_FANOUT);
    uint32_t i = page_no % MAP_FANOUT;
    ASSERT(leaf->captured != ps->epoch);
    entries_grow(&leaf->entries, &leaf->capacity, i + 1);
    uint64_t old = leaf->entries[i];
    leaf->entries[i] = entry;
    leaf->dirty = true;
    if (leaf->is_forked) {
        entries_grow(&leaf->frozen, &leaf->frozen_capacity, i + 1);
        ASSERT(leaf->frozen[i] == old);
        leaf->frozen[i] = entry;
        leaf->frozen_dirty = true;
    }
    if (old != 0)
        block_release(&ps->blocks, entry_block(old), false);
}

/* ---- writing with a cut ---- */

static void leaf_unfork(struct map_node *leaf)
{
    core_free(leaf->frozen);
    leaf->frozen = NULL;
    leaf->frozen_capacity = 0;
    leaf->is_forked = false;
    leaf->frozen_dirty = false;
}

static void node_replace(struct page_store *ps, struct map_node *n, uint64_t entry)
{
    if (n->entry != 0)
        block_release(&ps->blocks, entry_block(n->entry), false);
    n->entry = entry;
    n->written = ps->epoch;
}

SUSPENDS static err_t leaf_write_wait(struct page_store *ps, struct meta_writer *m,
                                      struct page_file *f, uint32_t index, uint32_t pages)
{
    struct map_node *leaf = node_at(f, 0, index);
    if (leaf == NULL || leaf->captured == ps->epoch)
        return ERR_OK;
    bool wanted = leaf->is_forked ? leaf->frozen_dirty : leaf->dirty;
    if (!wanted) {
        leaf_unfork(leaf);
        leaf->captured = ps->epoch;
        return ERR_OK;
    }
    uint8_t *image;
    TRY(meta_add_wait(m, KIND_MAP, 0, f->id, index, &image));
    /* No wait from here: the leaf may have been forked meanwhile. */
    const uint64_t *entries = leaf->is_forked ? leaf->frozen : leaf->entries;
    uint32_t count = leaf->is_forked ? leaf->frozen_capacity : leaf->capacity;
    count = MIN(count, pages - index * MAP_FANOUT);
    if (count > 0)
        memcpy(image + PAGE_HEADER_BYTES, entries, count * sizeof(uint64_t));
    if (leaf->is_forked)
        leaf_unfork(leaf);
    else
        leaf->dirty = false;
    leaf->captured = ps->epoch;
    node_replace(ps, leaf, meta_seal(m, image));
    return ERR_OK;
}

SUSPENDS static err_t upper_write_wait(struct page_store *ps, struct meta_writer *m,
                                       struct page_file *f, int level, uint32_t index,
                                       uint32_t children)
{
    uint32_t first = index * MAP_FANOUT;
    uint32_t count = MIN((uint32_t)MAP_FANOUT, children - first);
    bool wanted = false;
    bool is_empty = true;
    for (uint32_t i = 0; i < count; i++) {
        const struct map_node *child = node_at(f, level - 1, first + i);
        if (child != NULL && child->entry != 0) {
            is_empty = false;
            wanted |= child->written == ps->epoch;
        }
    }
    if (is_empty)
        return ERR_OK;
    struct map_node *n = node_make(f, level, index);
    if (!wanted && !n->dirty && n->entry != 0)
        return ERR_OK;
    uint8_t *image;
    TRY(meta_add_wait(m, KIND_MAP, (uint16_t)level, f->id, index, &image));
    for (uint32_t i = 0; i < count; i++) {
        const struct map_node *child = node_at(f, level - 1, first + i);
        if (child != NULL)
            store_u64(image + PAGE_HEADER_BYTES + i * 8, child->entry);
    }
    n->dirty = false;
    n->captured = ps->epoch;
    node_replace(ps, n, meta_seal(m, image));
    return ERR_OK;
}

static int height_for(uint32_t pages)
{
    int height = 1;
    for (uint32_t n = nodes_for(pages); n > 1; n = nodes_for(n))
        height++;
    return height;
}

/* Writes what changed in the file's frozen map; f->root is its root then. */
err_t map_write_wait(struct page_store *ps, struct meta_writer *m, struct page_file *f,
                     uint32_t pages)
{
    uint32_t count = nodes_for(pages);
    for (uint32_t i = 0; i < count; i++) {
        TRY(leaf_write_wait(ps, m, f, i, pages));
        if (i % YIELD_NODES == YIELD_NODES - 1)
            fiber_yield_wait();
    }
    int level = 0;
    while (count > 1) {
        uint32_t children = count;
        count = nodes_for(children);
        level++;
        for (uint32_t i = 0; i < count; i++)
            TRY(upper_write_wait(ps, m, f, level, i, children));
    }
    const struct map_node *root = node_at(f, level, 0);
    f->root = root != NULL && pages > 0 ? root->entry : 0;
    return ERR_OK;
}

static void directory_build(const struct page_store *ps, uint32_t page, uint8_t *image)
{
    for (uint32_t i = 0; i < DIR_FANOUT; i++) {
        uint32_t slot = page * DIR_FANOUT + i;
        const struct page_file *f = slot < ps->cut_slot_count ? ps->slots[slot] : NULL;
        if (f == NULL || !file_in_cut(ps, f))
            continue;
        uint32_t pages = file_cut_pages(ps, f);
        struct dir_entry e = {
            .file = f->id,
            .root = f->root,
            .pages = pages,
            .kind = (uint16_t)f->kind,
            .height = (uint16_t)height_for(pages),
        };
        memcpy(image + i * DIR_ENTRY_BYTES, &e, sizeof(e));
    }
}

static void dir_images_grow(struct page_store *ps, uint32_t count)
{
    if (count <= ps->dir_image_capacity)
        return;
    ps->dir_images = core_realloc(ps->dir_images, count * sizeof(uint8_t *));
    memset(ps->dir_images + ps->dir_image_capacity, 0,
           (count - ps->dir_image_capacity) * sizeof(uint8_t *));
    ps->dir_image_capacity = count;
}

err_t directory_write_wait(struct page_store *ps, struct meta_writer *m)
{
    enum { PAYLOAD = PAGE_BYTES - PAGE_HEADER_BYTES };
    uint32_t count = ps->cut_slot_count / DIR_FANOUT + (ps->cut_slot_count % DIR_FANOUT != 0);
    uint32_t pages = MAX(count, ps->directory.pages);
    dir_images_grow(ps, pages);
    for (uint32_t i = 0; i < pages; i++) {
        uint8_t *payload = core_zalloc(PAYLOAD);
        directory_build(ps, i, payload);
        if (ps->dir_images[i] != NULL && memcmp(ps->dir_images[i], payload, PAYLOAD) == 0) {
            core_free(payload);
            continue;
        }
        uint8_t *image;
        err_t err = meta_add_wait(m, KIND_DIRECTORY, 0, 0, i, &image);
        if (err != ERR_OK) {
            core_free(payload);
            return err;
        }
        memcpy(image + PAGE_HEADER_BYTES, payload, PAYLOAD);
        core_free(ps->dir_images[i]);
        ps->dir_images[i] = payload;
        map_set_both(ps, &ps->directory, i, meta_seal(m, image));
    }
    ps->directory.pages = pages;
    return map_write_wait(ps, m, &ps->directory, pages);
}

static void file_cut_failed(const struct page_store *ps, struct page_file *f)
{
    for (int level = 0; level < MAP_LEVELS; level++) {
        for (uint32_t i = 0; i < f->levels[level].capacity; i++) {
            struct map_node *n = f->levels[level].nodes[i];
            if (n == NULL)
                continue;
            if (n->is_forked)
                leaf_unfork(n);
            if (n->captured == ps->epoch)
                n->dirty = true;
        }
    }
}

void map_cut_failed(struct page_store *ps)
{
    for (uint32_t i = 0; i < ps->slot_count; i++) {
        if (ps->slots[i] != NULL)
            file_cut_failed(ps, ps->slots[i]);
    }
    file_cut_failed(ps, &ps->directory);
    for (uint32_t i = 0; i < ps->dir_image_capacity; i++) {
        core_free(ps->dir_images[i]);
        ps->dir_images[i] = NULL;
    }
}

bool map_reap_step(struct page_store *ps, struct page_file *f)
{
    uint32_t index = f->reap_leaf++;
    if (index >= f->levels[0].capacity) {
        for (int level = 0; level < MAP_LEVELS; level++) {
            for (uint32_t i = 0; i < f->levels[level].capacity; i++) {
                const struct map_node *n = f->levels[level].nodes[i];
                if (n != NULL && n->entry != 0)
                    block_release(&ps->blocks, entry_block(n->entry), false);
            }
        }
        return false;
    }
    const struct map_node *leaf = f->levels[0].nodes[index];
    if (leaf != NULL) {
        ASSERT(!leaf->is_forked);
        for (uint32_t i = 0; i < leaf->capacity; i++) {
            if (leaf->entries[i] != 0)
                block_release(&ps->blocks, entry_block(leaf->entries[i]), false);
        }
    }
    return true;
}

/* ---- loading ---- */

struct load {
    struct page_store *ps;
    uint8_t *buffers; /* LOAD_READS blocks */
    struct io_request requests[LOAD_READS];
    uint32_t in_flight;
    struct wait_queue queue;
};

static void load_done(struct io_request *req)
{
    struct load *l = req->owner;
    l->in_flight--;
    if (l->in_flight == 0)
        wait_queue_wake_all(&l->queue);
}

COLD static err_t raise_map_damaged(const struct page_store *ps, const char *what, uint64_t entry)
{
    return err_raise(ERR_DATA_CORRUPTED, "invalid %s in block %llu of file \"%s\"", what,
                     (unsigned long long)entry_block(entry), ps->path);
}

/* Read and check the blocks of `entries` (0 = absent); use() gets each image in turn. */
SUSPENDS static err_t load_blocks_wait(struct load *l, const uint64_t *entries, uint32_t count,
                                       uint16_t kind, uint16_t level, file_id file,
                                       err_t (*use)(void *ctx, uint32_t index, uint64_t entry,
                                                    const uint8_t *image),
                                       void *ctx)
{
    struct page_store *ps = l->ps;
    const char *what = kind == KIND_MAP ? "page map" : "file directory";
    for (uint32_t at = 0; at < count; at += LOAD_READS) {
        uint32_t n = MIN(count - at, (uint32_t)LOAD_READS);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t entry = entries[at + i];
            if (entry != 0 && !block_mark_used(&ps->blocks, entry_block(entry)))
                return raise_map_damaged(ps, "reference", entry);
        }
        for (uint32_t i = 0; i < n; i++) {
            if (entries[at + i] == 0)
                continue;
            l->requests[i] = (struct io_request){.done = load_done, .owner = l};
            l->in_flight++;
            io_read_start(&l->requests[i], ps->file, l->buffers + (size_t)i * PAGE_BYTES,
                          PAGE_BYTES, entry_block(entries[at + i]) * PAGE_BYTES);
        }
        while (l->in_flight > 0)
            wait_queue_shielded_wait(&l->queue);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t entry = entries[at + i];
            if (entry == 0)
                continue;
            if (l->requests[i].result != ERR_OK)
                return err_raise(l->requests[i].result, "could not read block %llu of file \"%s\"",
                                 (unsigned long long)entry_block(entry), ps->path);
            const uint8_t *image = l->buffers + (size_t)i * PAGE_BYTES;
            struct page_header h;
            memcpy(&h, image, sizeof(h));
            if (page_check(ps, image, entry, kind, file, at + i) != ERR_OK || h.flags != level)
                return raise_map_damaged(ps, what, entry);
            TRY(use(ctx, at + i, entry, image));
        }
    }
    return ERR_OK;
}

struct load_level {
    struct page_store *ps;
    struct page_file *file;
    int level;
    uint32_t children; /* in the level below; pages for level 0 */
    uint64_t *below;   /* entries of the level below */
};

static err_t load_use_node(void *ctx, uint32_t index, uint64_t entry, const uint8_t *image)
{
    struct load_level *l = ctx;
    struct map_node *n = node_make(l->file, l->level, index);
    n->entry = entry;
    uint32_t first = index * MAP_FANOUT;
    uint32_t count = MIN((uint32_t)MAP_FANOUT, l->children - first);
    const uint8_t *p = image + PAGE_HEADER_BYTES;
    if (l->level > 0) {
        memcpy(l->below + first, p, count * sizeof(uint64_t));
        return ERR_OK;
    }
    entries_grow(&n->entries, &n->capacity, count);
    memcpy(n->entries, p, count * sizeof(uint64_t));
    for (uint32_t i = 0; i < count; i++) {
        if (n->entries[i] != 0 && !block_mark_used(&l->ps->blocks, entry_block(n->entries[i])))
            return raise_map_damaged(l->ps, "reference", n->entries[i]);
    }
    return ERR_OK;
}

SUSPENDS static err_t map_load_with_wait(struct load *l, struct page_file *f)
{
    uint32_t counts[MAP_LEVELS + 1] = {f->pages};
    int height = height_for(f->pages);
    ASSERT(height <= MAP_LEVELS);
    for (int level = 0; level < height; level++)
        counts[level + 1] = nodes_for(counts[level]);
    uint64_t *entries = core_zalloc(sizeof(uint64_t));
    entries[0] = f->root;
    err_t err = ERR_OK;
    for (int level = height - 1; level >= 0 && err == ERR_OK && f->pages > 0; level--) {
        struct load_level ll = {.ps = l->ps, .file = f, .level = level, .children = counts[level]};
        if (level > 0)
            ll.below = core_zalloc(counts[level] * sizeof(uint64_t));
        err = load_blocks_wait(l, entries, counts[level + 1], KIND_MAP, (uint16_t)level, f->id,
                               load_use_node, &ll);
        core_free(entries);
        entries = ll.below;
    }
    core_free(entries);
    return err;
}

err_t map_load_wait(struct page_store *ps, struct page_file *f)
{
    struct load *l = core_zalloc(sizeof(*l));
    l->ps = ps;
    l->buffers = io_buffer_alloc((size_t)LOAD_READS * PAGE_BYTES);
    err_t err = map_load_with_wait(l, f);
    io_buffer_free(l->buffers, (size_t)LOAD_READS * PAGE_BYTES);
    core_free(l);
    return err;
}

static err_t load_use_directory(void *ctx, uint32_t index, uint64_t entry, const uint8_t *image)
{
    struct page_store *ps = ctx;
    enum { PAYLOAD = PAGE_BYTES - PAGE_HEADER_BYTES };
    ps->dir_images[index] = core_malloc(PAYLOAD);
    memcpy(ps->dir_images[index], image + PAGE_HEADER_BYTES, PAYLOAD);
    for (uint32_t i = 0; i < DIR_FANOUT; i++) {
        struct dir_entry e;
        memcpy(&e, ps->dir_images[index] + i * DIR_ENTRY_BYTES, sizeof(e));
        if (e.kind == 0)
            continue;
        if (e.height != height_for(e.pages) || file_find(ps, e.file) != NULL)
            return raise_map_damaged(ps, "file directory", entry);
        struct page_file *f = file_new(e.file, (enum file_kind)e.kind, 0);
        f->pages = e.pages;
        f->root = e.root;
        f->slot = index * DIR_FANOUT + i;
        f->is_slot_held = true;
        slots_grow(ps, f->slot + 1);
        ps->slots[f->slot] = f;
        ps->slot_count = MAX(ps->slot_count, f->slot + 1);
        file_hash_add(ps, f);
    }
    return ERR_OK;
}

SUSPENDS static err_t directory_load_with_wait(struct load *l, struct page_file *directory)
{
    struct page_store *ps = l->ps;
    TRY(map_load_with_wait(l, directory));
    dir_images_grow(ps, directory->pages);
    for (uint32_t i = 0; i < directory->pages; i++) {
        /* its block is marked by the map already */
        uint64_t entry = map_get(directory, i);
        if (entry == 0)
            return raise_map_damaged(ps, "file directory", entry);
        TRY(block_read_wait(ps, entry, l->buffers));
        if (page_check(ps, l->buffers, entry, KIND_DIRECTORY, 0, i) != ERR_OK)
            return raise_map_damaged(ps, "file directory", entry);
        TRY(load_use_directory(ps, i, entry, l->buffers));
    }
    for (uint32_t i = 0; i < ps->slot_count; i++) {
        if (ps->slots[i] != NULL)
            TRY(map_load_with_wait(l, ps->slots[i]));
    }
    return ERR_OK;
}

err_t directory_load_wait(struct page_store *ps, struct page_file *directory)
{
    struct load *l = core_zalloc(sizeof(*l));
    l->ps = ps;
    l->buffers = io_buffer_alloc((size_t)LOAD_READS * PAGE_BYTES);
    err_t err = directory_load_with_wait(l, directory);
    io_buffer_free(l->buffers, (size_t)LOAD_READS * PAGE_BYTES);
    core_free(l);
    return err;
}
