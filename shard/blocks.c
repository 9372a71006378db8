/*
 * Free blocks of a shard's data file.
 *
 * The bitmap of used blocks is derived from the map when the store is opened. A block may be reused
 * as soon as neither the live state nor a checkpoint that could become the starting point after a
 * crash refers to it. Three more bits say when that is:
 *
 *   fresh     allocated for the live state since the last cut, so no checkpoint has it: when
 *             superseded, it is free at once
 *   pending0  superseded, but in the durable checkpoint (or perhaps): free when the running or next
 *             checkpoint is durable
 *   pending1  superseded after the running cut and part of it: free with the checkpoint after it;
 *             becomes pending0 when the running one is durable
 *
 * What a checkpoint itself allocates is not fresh. A failed checkpoint turns pending1 into
 * pending0.
 *
 * Allocation is next-fit and prefers runs, found by a summary bit per word. The live state leaves a
 * few blocks to the checkpoint, so that a full disk does not keep a checkpoint from freeing blocks.
 */
#include "core/defects.h"
#include "shard/pages_priv.h"

enum {
    WORD_BITS = 64,
    GROW_BLOCKS_MIN = 512,   /* 4 MiB */
    GROW_BLOCKS_MAX = 32768, /* 256 MiB */
    GROW_BLOCKS_LAST = 64,   /* tried when the disk has no room for more */
    RUNS_LOOKED_AT = 8,
    CUT_RESERVE_BLOCKS = 64,
};

static bool bit_get(const uint64_t *map, uint64_t i)
{
    return (map[i / WORD_BITS] >> (i % WORD_BITS) & 1) != 0;
}
static void bit_set(uint64_t *map, uint64_t i)
{
    map[i / WORD_BITS] |= UINT64_C(1) << (i % WORD_BITS);
}
static void bit_clear(uint64_t *map, uint64_t i)
{
    map[i / WORD_BITS] &= ~(UINT64_C(1) << (i % WORD_BITS));
}

static uint64_t *bits_grow(uint64_t *map, uint64_t old_words, uint64_t words, int fill)
{
    map = core_realloc(map, words * sizeof(uint64_t));
    memset(map + old_words, fill, (words - old_words) * sizeof(uint64_t));
    return map;
}

/* Blocks behind count are marked used, so that allocation needs no limit. */
static void blocks_set_count(struct blocks *b, uint64_t count)
{
    ASSERT(count >= b->count);
    uint64_t words = (count + WORD_BITS - 1) / WORD_BITS;
    if (words > b->words) {
        uint64_t grown = MAX(words, b->words * 2);
        grown = (grown + WORD_BITS - 1) / WORD_BITS * WORD_BITS;
        b->used = bits_grow(b->used, b->words, grown, 0xff);
        b->fresh = bits_grow(b->fresh, b->words, grown, 0);
        b->pending0 = bits_grow(b->pending0, b->words, grown, 0);
        b->pending1 = bits_grow(b->pending1, b->words, grown, 0);
        b->full = bits_grow(b->full, b->words / WORD_BITS, grown / WORD_BITS, 0xff);
        b->words = grown;
    }
    for (uint64_t i = b->count; i < count; i++) {
        bit_clear(b->used, i);
        bit_clear(b->full, i / WORD_BITS);
    }
    b->free_count += count - b->count;
    b->count = count;
}

void blocks_init(struct blocks *b, uint64_t count)
{
    blocks_set_count(b, MAX(count, (uint64_t)SUPER_BLOCKS));
    for (uint64_t i = 0; i < SUPER_BLOCKS; i++)
        ASSERT(block_mark_used(b, i));
}

void blocks_destroy(struct blocks *b)
{
    core_free(b->used);
    core_free(b->fresh);
    core_free(b->pending0);
    core_free(b->pending1);
    core_free(b->full);
    *b = (struct blocks){0};
}

bool block_mark_used(struct blocks *b, uint64_t block)
{
    if (block >= b->count || bit_get(b->used, block))
        return false;
    bit_set(b->used, block);
    if (b->used[block / WORD_BITS] == UINT64_MAX)
        bit_set(b->full, block / WORD_BITS);
    b->free_count--;
    return true;
}

void block_free_now(struct blocks *b, uint64_t block)
{
    ASSERT(block >= SUPER_BLOCKS && block < b->count);
    ASSERT(bit_get(b->used, block));
    bit_clear(b->used, block);
    bit_clear(b->fresh, block);
    bit_clear(b->full, block / WORD_BITS);
    b->free_count++;
}

void block_release(struct blocks *b, uint64_t block, bool is_cut)
{
    ASSERT(block >= SUPER_BLOCKS && block < b->count);
    ASSERT(bit_get(b->used, block));
    ASSERT(!bit_get(b->pending0, block));
    ASSERT(!bit_get(b->pending1, block));
    if (bit_get(b->fresh, block) || DEFECT(BLOCKS_REUSED))
        block_free_now(b, block);
    else
        bit_set(is_cut ? b->pending1 : b->pending0, block);
}

void blocks_make_stale(struct blocks *b, uint64_t block)
{
    ASSERT(bit_get(b->used, block));
    bit_clear(b->fresh, block);
}

/* ---- allocation ---- */

static uint64_t live_reserve(const struct blocks *b)
{
    if (UNLIKELY(b->is_recovering)) /* a start on a full disk needs what the stop has left over */
        return 0;
    return CUT_RESERVE_BLOCKS + b->count / 128;
}

/* First word from `from` with a free bit; b->words = none. */
static uint64_t word_with_room(const struct blocks *b, uint64_t from)
{
    uint64_t groups = b->words / WORD_BITS;
    uint64_t g = from / WORD_BITS;
    if (g >= groups)
        return b->words;
    uint64_t open = ~b->full[g] & (UINT64_MAX << (from % WORD_BITS));
    while (open == 0) {
        if (++g == groups)
            return b->words;
        open = ~b->full[g];
    }
    return g * WORD_BITS + (uint64_t)__builtin_ctzll(open);
}

static uint32_t run_length(const struct blocks *b, uint64_t block, uint32_t want)
{
    uint32_t n = 0;
    while (n < want && block + n < b->count && !bit_get(b->used, block + n))
        n++;
    return n;
}

uint64_t blocks_allocate(struct blocks *b, uint32_t want, enum block_use use, uint32_t *got)
{
    *got = 0;
    uint64_t reserve = use == BLOCK_LIVE ? live_reserve(b) : 0;
    if (b->free_count <= reserve)
        return 0;
    want = (uint32_t)MIN((uint64_t)want, b->free_count - reserve);
    uint64_t best = 0;
    uint32_t best_length = 0;
    if (core_varies()) /* blocks that were freed a moment ago */
        b->hint = 0;
    uint64_t word = word_with_room(b, b->hint);
    for (int looked = 0; looked < RUNS_LOOKED_AT && best_length < want; looked++) {
        if (word >= b->words) {
            if (looked > 0 && b->hint == 0)
                break;
            b->hint = 0;
            word = word_with_room(b, 0);
            ASSERT(word < b->words);
        }
        uint64_t block = word * WORD_BITS;
        uint64_t open = ~b->used[word];
        while (open != 0 && best_length < want) {
            uint64_t start = block + (uint64_t)__builtin_ctzll(open);
            uint32_t n = run_length(b, start, want);
            if (n > best_length) {
                best_length = n;
                best = start;
            }
            uint64_t behind = start + n - block;
            open = behind >= WORD_BITS ? 0 : open & (UINT64_MAX << behind);
        }
        word = word_with_room(b, word + 1);
    }
    ASSERT(best_length > 0);
    for (uint32_t i = 0; i < best_length; i++) {
        ASSERT(block_mark_used(b, best + i));
        if (use == BLOCK_LIVE)
            bit_set(b->fresh, best + i);
    }
    b->hint = (best + best_length) / WORD_BITS;
    *got = best_length;
    return best;
}

/* ---- checkpoints ---- */

void blocks_cut(struct blocks *b)
{
    memset(b->fresh, 0, b->words * sizeof(uint64_t));
}

void blocks_cut_durable(struct blocks *b)
{
    for (uint64_t w = 0; w < b->words; w++) {
        uint64_t freed = b->pending0[w];
        b->pending0[w] = b->pending1[w];
        b->pending1[w] = 0;
        if (freed == 0)
            continue;
        ASSERT((b->used[w] & freed) == freed);
        b->used[w] &= ~freed;
        b->free_count += (uint64_t)__builtin_popcountll(freed);
        bit_clear(b->full, w);
    }
}

void blocks_cut_failed(struct blocks *b)
{
    for (uint64_t w = 0; w < b->words; w++) {
        b->pending0[w] |= b->pending1[w];
        b->pending1[w] = 0;
    }
}

/* ---- growing ---- */

SUSPENDS static err_t grow_wait(struct page_store *ps)
{
    struct blocks *b = &ps->blocks;
    uint64_t step = b->count / 8;
    step = MAX(step, (uint64_t)GROW_BLOCKS_MIN);
    step = MIN(step, (uint64_t)GROW_BLOCKS_MAX);
    err_t err = store_fault(ps, FAULT_GROW, b->count);
    if (err == ERR_OK)
        err = io_allocate_wait(ps->file, b->count * PAGE_BYTES, step * PAGE_BYTES);
    if (err == ERR_DISK_FULL && ps->fault == NULL) {
        step = GROW_BLOCKS_LAST;
        err = io_allocate_wait(ps->file, b->count * PAGE_BYTES, step * PAGE_BYTES);
    }
    if (err == ERR_OK)
        blocks_set_count(b, b->count + step);
    return err;
}

err_t blocks_ensure_wait(struct page_store *ps, uint32_t want, enum block_use use)
{
    struct blocks *b = &ps->blocks;
    for (;;) {
        uint64_t needed = use == BLOCK_LIVE ? want + live_reserve(b) : want;
        /* Some more than needed, so that runs are found. */
        if (LIKELY(b->free_count >= needed + b->count / 32))
            return ERR_OK;
        if (b->is_growing) {
            wait_queue_shielded_wait(&b->growing);
            continue;
        }
        b->is_growing = true;
        err_t err = grow_wait(ps);
        b->is_growing = false;
        wait_queue_wake_all(&b->growing);
        needed = use == BLOCK_LIVE ? live_reserve(b) : 0;
        if (err != ERR_OK && b->free_count > needed)
            return ERR_OK; /* what there is will do */
        if (err == ERR_DISK_FULL) {
            err = err_raise(ERR_DISK_FULL, "could not extend file \"%s\": No space left on device",
                            ps->path);
            err_hint("Check free disk space.");
            return err;
        }
        if (err != ERR_OK)
            return err_raise(err, "could not extend file \"%s\"", ps->path);
    }
}
