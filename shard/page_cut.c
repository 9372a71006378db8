/*
 * Checkpoints: the cut, writing it, superblocks; and opening a store at its newest checkpoint.
 *
 * The cut itself changes a number (epoch) and moves a list: what is dirty then is frozen. Writing
 * it:
 *
 *   1. frozen pages and clones, sorted by file and page, in runs of blocks
 *   2. map leaves that changed, their parents, the directory, the caller's blob
 *   3. fdatasync; the superblock that is not the durable one; fdatasync
 *   4. blocks of the previous checkpoint that this one no longer has are free
 *
 * A crash before the superblock of step 3 leaves the previous checkpoint, none of whose blocks was
 * touched. The superblock exists twice within its block, so that damage to one sector loses
 * nothing; a torn write of it leaves the other superblock.
 *
 * On failure nothing is undone: blocks written are where the live state says, and pages not written
 * are dirty again. If the superblock's own write failed it is unknown which checkpoint a crash
 * would find; both stay whole until the next one is durable. A failed fdatasync is final: what the
 * disk did with earlier writes is unknown then, so this store makes no checkpoint any more.
 */
#include "shard/pages_priv.h"

#include "core/defects.h"

#include <stdlib.h>

#define SUPER_MAGIC UINT64_C(0x45524f4353455250) /* "PRCSCORE" */
enum { SUPER_VERSION = 1, PACE_STEP_US = 10000 };

/* ---- the cut ---- */

void page_store_cut(struct page_store *ps)
{
    ASSERT(!ps->is_cut);
    ASSERT(ps->frozen.first == 0);
    ASSERT(ps->clones == NULL && ps->held_clones == NULL);
    ps->epoch++;
    ps->page_ops_before_cut += ps->page_ops_in_flight;
    ps->page_ops_in_flight = 0;
    ps->is_cut = true;
    ps->cut_error = ERR_OK;
    ps->frozen = ps->dirty;
    ps->dirty = (struct frame_list){0};
    ps->cut_slot_count = ps->slot_count;
    blocks_cut(&ps->blocks);
}

/* ---- pages ---- */

struct frozen_key {
    uint64_t file;
    uint32_t page_no;
    uint32_t frame;
};

static int frozen_order(const void *a, const void *b)
{
    const struct frozen_key *x = a;
    const struct frozen_key *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->page_no < y->page_no ? -1 : x->page_no > y->page_no;
}

static uint32_t frozen_gather(struct page_store *ps, struct frozen_key *keys)
{
    uint32_t n = 0;
    for (uint32_t no = ps->frozen.first; no != 0 && n < CUT_SORT_FRAMES;) {
        struct frame *f = frame_at(ps, no - 1);
        if ((f->flags & FRAME_WRITING) == 0)
            keys[n++] = (struct frozen_key){f->id, f->page_no, no - 1};
        no = f->list_next;
    }
    qsort(keys, n, sizeof(keys[0]), frozen_order);
    return n;
}

struct pace {
    uint64_t start_us;
    uint64_t total_us;
    uint64_t pages;
    uint64_t first; /* checkpoint_pages at the start */
};

SUSPENDS static void pace_wait(struct page_store *ps, const struct pace *pace)
{
    if (pace->total_us == 0 || pace->pages == 0) {
        fiber_yield_wait();
        return;
    }
    uint64_t done = MIN(ps->stats.checkpoint_pages - pace->first, pace->pages);
    uint64_t due =
        pace->start_us + (uint64_t)((double)pace->total_us * (double)done / (double)pace->pages);
    while (core_now_us() < due && ps->clone_count < ps->clone_max / 2 && !ps->is_closing) {
        if (fiber_sleep_wait(MIN(due - core_now_us(), (uint64_t)PACE_STEP_US)) != ERR_OK) {
            fiber_yield_wait(); /* a cancelled fiber does not sleep */
            break;
        }
    }
}

COLD static err_t raise_cut(const struct page_store *ps)
{
    return err_raise(ps->cut_error, "could not write to file \"%s\"%s", ps->path,
                     ps->cut_error == ERR_DISK_FULL ? ": No space left on device" : "");
}

SUSPENDS static err_t cut_frames_wait(struct page_store *ps, const struct frozen_key *keys,
                                      uint32_t count, const struct pace *pace)
{
    for (uint32_t at = 0; at < count;) {
        struct frame *batch[WRITE_PAGES_MAX];
        uint32_t n = 0;
        while (n < WRITE_PAGES_MAX && at < count)
            batch[n++] = frame_at(ps, keys[at++].frame);
        TRY(frames_write_wait(ps, batch, n, true));
        pace_wait(ps, pace);
        while (ps->clones != NULL)
            TRY(clones_write_wait(ps));
        if (ps->cut_error != ERR_OK)
            return raise_cut(ps);
    }
    return ERR_OK;
}

/* A held clone waits for a write from before the cut. */
static bool cut_pages_done(const struct page_store *ps)
{
    return ps->frozen.first == 0 && ps->clones == NULL && ps->frozen_in_flight == 0 &&
           ps->page_ops_before_cut == 0;
}

SUSPENDS static err_t cut_pages_wait(struct page_store *ps, uint64_t pace_us)
{
    struct pace pace = {.start_us = core_now_us(),
                        .total_us = pace_us,
                        .pages = ps->dirty_count,
                        .first = ps->stats.checkpoint_pages};
    struct frozen_key *keys = core_malloc(CUT_SORT_FRAMES * sizeof(*keys));
    err_t err = ERR_OK;
    while (err == ERR_OK && !cut_pages_done(ps)) {
        uint32_t n = 0;
        if (ps->cut_error != ERR_OK)
            err = raise_cut(ps);
        else if (ps->clones != NULL)
            err = clones_write_wait(ps);
        else if ((n = frozen_gather(ps, keys)) > 0)
            err = cut_frames_wait(ps, keys, n, &pace);
        else
            wait_queue_shielded_wait(&ps->op_queue);
    }
    core_free(keys);
    return err;
}

/* ---- map, directory, blob ---- */

/* The last piece first, so that each names the next. */
SUSPENDS static err_t state_write_wait(struct page_store *ps, struct meta_writer *m,
                                       const uint8_t *state, size_t bytes, uint64_t *root)
{
    for (uint32_t i = 0; i < ps->state_entry_count; i++)
        block_release(&ps->blocks, entry_block(ps->state_entries[i]), false);
    core_free(ps->state_entries);
    size_t count = (bytes + STATE_BYTES_MAX - 1) / STATE_BYTES_MAX;
    ps->state_entries = core_malloc((count + 1) * sizeof(uint64_t));
    ps->state_entry_count = 0;
    *root = 0;
    for (size_t i = count; i-- > 0;) {
        size_t at = i * STATE_BYTES_MAX;
        size_t len = MIN(bytes - at, (size_t)STATE_BYTES_MAX);
        uint8_t *image;
        TRY(meta_add_wait(m, KIND_STATE, 0, 0, (uint32_t)i, &image));
        store_u64(image + PAGE_HEADER_BYTES, *root);
        store_u32(image + PAGE_HEADER_BYTES + 8, (uint32_t)len);
        memcpy(image + PAGE_HEADER_BYTES + STATE_HEADER_BYTES, state + at, len);
        *root = meta_seal(m, image);
        ps->state_entries[ps->state_entry_count++] = *root;
    }
    return ERR_OK;
}

SUSPENDS static err_t cut_meta_wait(struct page_store *ps, struct meta_writer *m,
                                    const uint8_t *state, size_t bytes, uint64_t *state_root)
{
    for (uint32_t slot = 0; slot < ps->cut_slot_count; slot++) {
        struct page_file *f = ps->slots[slot];
        if (f != NULL && file_in_cut(ps, f))
            TRY(map_write_wait(ps, m, f, file_cut_pages(ps, f)));
        if (slot % 256 == 255)
            fiber_yield_wait();
    }
    TRY(directory_write_wait(ps, m));
    return state_write_wait(ps, m, state, bytes, state_root);
}

/* ---- superblock ---- */

SUSPENDS static err_t sync_wait(struct page_store *ps)
{
    err_t err = store_fault(ps, FAULT_SYNC, 0);
    if (err == ERR_OK)
        err = io_sync_wait(ps->file);
    if (err == ERR_OK)
        return ERR_OK;
    ps->sync_failed = true;
    return err_raise(err, "could not fsync file \"%s\"", ps->path);
}

/* Into its slot, twice, and durable. */
SUSPENDS static err_t super_put_wait(struct page_store *ps, uint32_t slot,
                                     const struct superblock *s)
{
    uint8_t *image = io_buffer_alloc(PAGE_BYTES);
    memset(image, 0, PAGE_BYTES);
    memcpy(image, s, sizeof(*s));
    memcpy(image + SUPER_BYTES, s, sizeof(*s));
    err_t err = store_fault(ps, FAULT_WRITE, slot);
    if (err == ERR_OK)
        err = io_write_wait(ps->file, image, PAGE_BYTES, (uint64_t)slot * PAGE_BYTES);
    io_buffer_free(image, PAGE_BYTES);
    if (err != ERR_OK)
        return err_raise(err, "could not write the superblock of file \"%s\"", ps->path);
    return sync_wait(ps);
}

SUSPENDS static err_t super_write_wait(struct page_store *ps, lsn_t lsn, uint64_t state_root,
                                       size_t state_bytes)
{
    struct superblock s = {.version = SUPER_VERSION,
                           .magic = SUPER_MAGIC,
                           .sequence = ++ps->sequence,
                           .lsn = lsn,
                           .store_id = ps->store_id,
                           .dir_root = ps->directory.root,
                           .dir_pages = ps->directory.pages,
                           .state_root = state_root,
                           .state_bytes = state_bytes,
                           .page_bytes = PAGE_BYTES};
    s.checksum = crc32c(0, (const uint8_t *)&s + 4, sizeof(s) - 4);
    uint32_t slot = 1 - ps->super_slot;
    TRY(super_put_wait(ps, slot, &s));
    ps->super_slot = slot;
    return ERR_OK;
}

/* ---- writing a cut ---- */

SUSPENDS static void cut_drain_wait(struct page_store *ps)
{
    while (ps->cut_ops_in_flight > 0 || ps->frozen_in_flight > 0 || ps->page_ops_before_cut > 0)
        wait_queue_shielded_wait(&ps->op_queue);
}

SUSPENDS static err_t cut_write_wait(struct page_store *ps, lsn_t lsn, const uint8_t *state,
                                     size_t state_bytes, uint64_t pace_us)
{
    if (ps->sync_failed)
        return err_raise(ERR_IO_ERROR, "file \"%s\" failed to sync before", ps->path);
    TRY(cut_pages_wait(ps, pace_us));
    struct meta_writer m = {.ps = ps};
    uint64_t state_root = 0;
    err_t err = cut_meta_wait(ps, &m, state, state_bytes, &state_root);
    meta_finish(&m);
    cut_drain_wait(ps);
    TRY(err);
    if (ps->cut_error != ERR_OK)
        return raise_cut(ps);
    if (!DEFECT(CUT_NOT_SYNCED))
        TRY(sync_wait(ps));
    return super_write_wait(ps, lsn, state_root, state_bytes);
}

static void cut_failed(struct page_store *ps)
{
    clones_free_all(ps);
    map_cut_failed(ps);
    for (uint32_t no = ps->frozen.first; no != 0;) {
        struct frame *f = frame_at(ps, no - 1);
        no = f->list_next;
        if ((f->flags & FRAME_DETACHED) != 0) {
            frame_clear_dirty(f);
            frame_settle(f);
        }
    }
    if (ps->frozen.first != 0) { /* in front of the dirty ones */
        if (ps->dirty.first != 0) {
            frame_at(ps, ps->frozen.last - 1)->list_next = ps->dirty.first;
            frame_at(ps, ps->dirty.first - 1)->list_prev = ps->frozen.last;
        } else {
            ps->dirty.last = ps->frozen.last;
        }
        ps->dirty.first = ps->frozen.first;
    }
    ps->frozen = (struct frame_list){0};
    blocks_cut_failed(&ps->blocks);
}

static void cut_end(struct page_store *ps)
{
    for (struct page_file *f = ps->dead; f != NULL; f = f->dead_next)
        directory_slot_release(ps, f);
    ps->is_cut = false;
    ps->is_cut_writing = false;
    wait_queue_wake_all(&ps->clone_queue);
    wait_queue_wake_all(&ps->op_queue);
    cleaner_kick(ps);
}

err_t page_store_write_cut_wait(struct page_store *ps, lsn_t lsn, const uint8_t *state,
                                size_t state_bytes, uint64_t pace_us)
{
    ASSERT(ps->is_cut);
    ASSERT(!ps->is_cut_writing);
    ps->is_cut_writing = true;
    err_t err = cut_write_wait(ps, lsn, state, state_bytes, pace_us);
    if (err == ERR_OK) {
        ASSERT(cut_pages_done(ps));
        blocks_cut_durable(&ps->blocks);
        ps->stats.checkpoints++;
    } else {
        cut_drain_wait(ps);
        cut_failed(ps);
    }
    cut_end(ps);
    return err;
}

void page_store_cut_abandon(struct page_store *ps)
{
    ASSERT(ps->is_cut);
    ASSERT(!ps->is_cut_writing);
    /* Writes in flight may still count for it: they only add to both states, which is right. */
    cut_failed(ps);
    cut_end(ps);
}

/* ---- opening ---- */

bool superblock_read(const uint8_t *sector, struct superblock *s)
{
    memcpy(s, sector, sizeof(*s));
    return s->magic == SUPER_MAGIC && s->checksum == crc32c(0, sector + 4, SUPER_BYTES - 4);
}

SUSPENDS static err_t super_read_wait(struct page_store *ps, uint8_t *buffer,
                                      struct superblock *best)
{
    bool slot_valid[SUPER_BLOCKS] = {false, false};
    bool found = false;
    for (uint32_t slot = 0; slot < SUPER_BLOCKS; slot++) {
        uint32_t got = 0;
        err_t err =
            io_read_some_wait(ps->file, buffer, PAGE_BYTES, (uint64_t)slot * PAGE_BYTES, &got);
        if (err != ERR_OK)
            continue; /* unreadable is as bad as torn */
        memset(buffer + got, 0, PAGE_BYTES - got);
        for (uint32_t copy = 0; copy < 2; copy++) {
            struct superblock s;
            if (!superblock_read(buffer + (size_t)copy * SUPER_BYTES, &s))
                continue;
            slot_valid[slot] = true;
            if (!found || s.sequence > best->sequence) {
                *best = s;
                ps->super_slot = slot;
                found = true;
            }
        }
    }
    if (!found)
        return err_raise(ERR_DATA_CORRUPTED, "file \"%s\" has no valid superblock", ps->path);
    if (best->version != SUPER_VERSION || best->page_bytes != PAGE_BYTES)
        return err_raise(ERR_DATA_CORRUPTED, "file \"%s\" has format version %u, page size %u",
                         ps->path, best->version, best->page_bytes);
    /* The very first checkpoint has no other. */
    if (!slot_valid[1 - ps->super_slot] && best->sequence > 1)
        log_write(LOG_WARNING, "file \"%s\": superblock %u is invalid, using checkpoint %llu",
                  ps->path, 1 - ps->super_slot, (unsigned long long)best->sequence);
    return ERR_OK;
}

COLD static err_t raise_state(const struct page_store *ps, uint64_t entry)
{
    return err_raise(ERR_DATA_CORRUPTED, "invalid checkpoint state in block %llu of file \"%s\"",
                     (unsigned long long)entry_block(entry), ps->path);
}

SUSPENDS static err_t state_read_wait(struct page_store *ps, const struct superblock *s,
                                      uint8_t *buffer, uint8_t *out)
{
    uint64_t entry = s->state_root;
    uint64_t at = 0;
    uint32_t index = 0;
    uint64_t count = (s->state_bytes + STATE_BYTES_MAX - 1) / STATE_BYTES_MAX;
    ps->state_entries = core_malloc((count + 1) * sizeof(uint64_t));
    while (at < s->state_bytes) {
        if (entry == 0 || index >= count || !block_mark_used(&ps->blocks, entry_block(entry)))
            return raise_state(ps, entry);
        TRY(block_read_wait(ps, entry, buffer));
        if (page_check(ps, buffer, entry, KIND_STATE, 0, index) != ERR_OK)
            return raise_state(ps, entry);
        uint32_t len = load_u32(buffer + PAGE_HEADER_BYTES + 8);
        if (len > STATE_BYTES_MAX || len > s->state_bytes - at)
            return raise_state(ps, entry);
        memcpy(out + at, buffer + PAGE_HEADER_BYTES + STATE_HEADER_BYTES, len);
        at += len;
        ps->state_entries[ps->state_entry_count++] = entry;
        entry = load_u64(buffer + PAGE_HEADER_BYTES);
        index++;
    }
    return ERR_OK;
}

SUSPENDS static err_t open_with_wait(struct page_store *ps, struct arena *mem, uint8_t *buffer,
                                     struct superblock *s, const uint8_t **state)
{
    uint64_t size = 0;
    TRY(io_size_wait(ps->file, &size));
    blocks_init(&ps->blocks, size / PAGE_BYTES);
    TRY(super_read_wait(ps, buffer, s));
    if (s->state_bytes > size)
        return err_raise(ERR_DATA_CORRUPTED, "invalid superblock in file \"%s\"", ps->path);
    ps->sequence = s->sequence;
    ps->store_id = s->store_id;
    ps->directory.root = s->dir_root;
    ps->directory.pages = s->dir_pages;
    TRY(directory_load_wait(ps, &ps->directory));
    uint8_t *blob = arena_alloc(mem, s->state_bytes + 1);
    TRY(state_read_wait(ps, s, buffer, blob));
    *state = blob;
    return ERR_OK;
}

err_t store_load_wait(struct page_store *ps, struct arena *mem, lsn_t *lsn, const uint8_t **state,
                      size_t *state_bytes)
{
    uint8_t *buffer = io_buffer_alloc(PAGE_BYTES);
    struct superblock *s = core_zalloc(sizeof(*s));
    err_t err = open_with_wait(ps, mem, buffer, s, state);
    /* A process that was killed may have left a superblock that is not durable, and if its sync
     * failed, no later one makes it so. Blocks and log that only the other one needs are given up
     * from now on, so it is written once more: with the bytes that are there, so that nothing can
     * be torn. */
    if (err == ERR_OK)
        err = super_put_wait(ps, ps->super_slot, s);
    *lsn = s->lsn;
    *state_bytes = s->state_bytes;
    core_free(s);
    io_buffer_free(buffer, PAGE_BYTES);
    return err;
}
