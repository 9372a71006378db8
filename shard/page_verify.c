/* The page store's account of its blocks against everything that refers to one. */
#include "shard/pages_priv.h"

enum { BITS = 64 };

struct recount {
    const struct page_store *ps;
    uint64_t *seen;
};

static bool bit_is_set(const uint64_t *map, uint64_t i)
{
    return (map[i / BITS] >> (i % BITS) & 1) != 0;
}

static COLD err_t block_bad(const struct recount *r, uint64_t block, file_id file, const char *what)
{
    return err_raise(ERR_DATA_CORRUPTED, "file \"%s\", block %llu (of file %u/%u): %s", r->ps->path,
                     (unsigned long long)block, (unsigned)(file >> 32), (unsigned)file, what);
}

static err_t count_block(struct recount *r, uint64_t entry, file_id file)
{
    const struct blocks *b = &r->ps->blocks;
    uint64_t block = entry_block(entry);
    if (entry == 0)
        return ERR_OK;
    if (block < SUPER_BLOCKS || block >= b->count)
        return block_bad(r, block, file, "lies outside of the file");
    if (bit_is_set(r->seen, block))
        return block_bad(r, block, file, "is referred to twice");
    if (!bit_is_set(b->used, block))
        return block_bad(r, block, file, "is in use but counts as free");
    if (bit_is_set(b->pending0, block) || bit_is_set(b->pending1, block))
        return block_bad(r, block, file, "is in use but about to be freed");
    r->seen[block / BITS] |= UINT64_C(1) << (block % BITS);
    return ERR_OK;
}

static err_t count_map(struct recount *r, const struct page_file *f)
{
    for (int level = 0; level < MAP_LEVELS; level++) {
        for (uint32_t i = 0; i < f->levels[level].capacity; i++) {
            const struct map_node *n = f->levels[level].nodes[i];
            if (n == NULL)
                continue;
            TRY(count_block(r, n->entry, f->id));
            for (uint32_t k = 0; level == 0 && k < n->capacity; k++)
                TRY(count_block(r, n->entries[k], f->id));
        }
    }
    return ERR_OK;
}

static err_t count_all(struct recount *r)
{
    const struct page_store *ps = r->ps;
    const struct blocks *b = &ps->blocks;
    for (uint32_t i = 0; i < ps->slot_count; i++) {
        if (ps->slots[i] != NULL)
            TRY(count_map(r, ps->slots[i]));
    }
    TRY(count_map(r, &ps->directory));
    for (uint32_t i = 0; i < ps->state_entry_count; i++)
        TRY(count_block(r, ps->state_entries[i], 0));
    uint64_t free_count = 0;
    for (uint64_t i = SUPER_BLOCKS; i < b->count; i++) {
        if (!bit_is_set(b->used, i))
            free_count++;
        else if (!bit_is_set(r->seen, i) && !bit_is_set(b->pending0, i) &&
                 !bit_is_set(b->pending1, i))
            return block_bad(r, i, 0, "counts as used but nothing refers to it");
    }
    if (free_count != b->free_count)
        return err_raise(ERR_DATA_CORRUPTED, "file \"%s\" has %llu free blocks, its account %llu",
                         ps->path, (unsigned long long)free_count,
                         (unsigned long long)b->free_count);
    return ERR_OK;
}

err_t page_store_verify_blocks(struct page_store *ps)
{
    if (ps->is_cut || ps->dead != NULL || ps->ops_in_flight > 0)
        return ERR_OK;
    struct recount r = {.ps = ps, .seen = core_zalloc((ps->blocks.words + 1) * sizeof(uint64_t))};
    err_t e = count_all(&r);
    core_free(r.seen);
    return e;
}
