/*
 * Writing pages, and the cleaner.
 *
 * A write op carries up to WRITE_PAGES_MAX images to as many blocks in a row, always from its own
 * copy: the frame may be changed while the write is in flight, and what arrives on disk has the
 * checksum of what was copied. At the copy the frame becomes clean (changes make it dirty again);
 * it stays unevictable until the map knows the new block.
 *
 * A page goes into the frozen state and the live one (map_set_both) if its bytes were the page's at
 * the cut: it was frozen, or copied before a cut that came while it was being written. Otherwise it
 * goes into the live state only. A frame with an unwritten clone is not written, and a clone is
 * held back while an older image of its frame is being written, so images of a page always arrive
 * in the map in their order.
 *
 * The cleaner is a fiber per store: it runs the clock hand ahead, writes dirty pages that have had
 * their time, keeps free frames, and gives back the blocks of dropped files.
 */
#include "shard/pages_priv.h"

#include <stdlib.h>

enum { ROUND_STEPS_PER_FRAME = USE_MAX + 2, ROUND_YIELD_STEPS = 2048 };

/* ---- ops ---- */

err_t op_get_wait(struct page_store *ps, bool is_cut, struct write_op **out)
{
    while (ps->free_ops == NULL || (is_cut && ps->cut_ops_in_flight >= CUT_OPS_MAX))
        wait_queue_shielded_wait(&ps->op_queue);
    struct write_op *op = ps->free_ops;
    ps->free_ops = op->next;
    op->ps = ps;
    op->next = NULL;
    op->count = 0;
    op->allocated = 0;
    op->is_cut = is_cut;
    op->is_meta = false;
    op->epoch = ps->epoch;
    *out = op;
    return ERR_OK;
}

void op_put(struct page_store *ps, struct write_op *op)
{
    op->next = ps->free_ops;
    ps->free_ops = op;
    wait_queue_wake_all(&ps->op_queue);
}

static uint64_t op_add_image(struct write_op *op, const uint8_t *data)
{
    ASSERT(op->count < op->allocated);
    uint8_t *to = op->bounce + (size_t)op->count * PAGE_BYTES;
    memcpy(to, data, PAGE_BYTES);
    return entry_make(op->block + op->count, page_seal(to));
}

void op_add_frame(struct write_op *op, struct frame *f)
{
    ASSERT((f->flags & FRAME_DIRTY) != 0);
    ASSERT((f->flags & FRAME_WRITING) == 0);
    uint64_t entry = op_add_image(op, f->data);
    op->items[op->count++] = (struct write_item){.file = f->file,
                                                 .frame = f,
                                                 .entry = entry,
                                                 .page_no = f->page_no,
                                                 .is_frozen = frame_is_frozen(f)};
    if (frame_is_frozen(f))
        f->ps->frozen_in_flight++;
    if (!op->is_cut)
        f->ps->pages_in_flight++;
    frame_clear_dirty(f);
    f->flags |= FRAME_WRITING;
    f->file->refs++;
}

void op_add_clone(struct write_op *op, struct page_clone *c)
{
    uint64_t entry = op_add_image(op, c->image);
    op->items[op->count++] = (struct write_item){
        .file = c->file, .clone = c, .entry = entry, .page_no = c->page_no, .is_frozen = true};
    c->file->refs++;
    op->ps->frozen_in_flight++;
}

static void item_written(struct page_store *ps, const struct write_op *op,
                         const struct write_item *it)
{
    bool in_cut = file_in_cut(ps, it->file);
    if (in_cut && (it->is_frozen || op->epoch != ps->epoch))
        map_set_both(ps, it->file, it->page_no, it->entry);
    else if (it->file->is_dead)
        block_release(&ps->blocks, entry_block(it->entry), ps->is_cut);
    else
        map_set_live(ps, it->file, it->page_no, it->entry);
}

static void item_failed(struct page_store *ps, const struct write_op *op,
                        const struct write_item *it, err_t err)
{
    block_free_now(&ps->blocks, entry_block(it->entry));
    if (file_in_cut(ps, it->file) && (it->is_frozen || op->epoch != ps->epoch))
        ps->cut_error = err; /* the frozen bytes may be gone */
    struct frame *f = it->frame;
    if (f != NULL && (f->flags & (FRAME_DIRTY | FRAME_DETACHED)) == 0)
        frame_mark_dirty(f);
}

static void item_finish(struct page_store *ps, const struct write_op *op,
                        const struct write_item *it)
{
    if (it->is_frozen)
        ps->frozen_in_flight--;
    it->file->refs--;
    if (it->clone != NULL)
        clone_free(ps, it->clone);
    if (it->file->is_dead)
        cleaner_kick(ps);
    struct frame *f = it->frame;
    if (f == NULL)
        return;
    f->flags &= (uint8_t)~FRAME_WRITING;
    if (f->clone != NULL && f->clone->is_held)
        clone_let_go(f);
    if (!op->is_cut)
        ps->pages_in_flight--;
    frame_settle(f);
    if (ps->free_count < ps->free_target && f->state == FRAME_VALID && f->pins == 0 &&
        f->use == 0 && f->clone == NULL && f->flags == (f->flags & FRAME_SCAN)) {
        frame_hash_remove(f);
        ps->stats.evictions++;
        ps->stats.dirty_evictions++;
        frame_release(f);
    }
}

static void op_done(struct io_request *req)
{
    struct write_op *op = req->owner;
    struct page_store *ps = op->ps;
    ps->ops_in_flight--;
    if (op->is_cut)
        ps->cut_ops_in_flight--;
    if (!op->is_meta)
        op->epoch == ps->epoch ? ps->page_ops_in_flight-- : ps->page_ops_before_cut--;
    if (req->result != ERR_OK) {
        if (op->is_meta || op->is_cut)
            ps->cut_error = req->result;
        else
            ps->round_error = req->result;
    }
    for (uint32_t i = 0; i < op->count && !op->is_meta; i++) {
        const struct write_item *it = &op->items[i];
        if (req->result == ERR_OK)
            item_written(ps, op, it);
        else
            item_failed(ps, op, it, req->result);
        item_finish(ps, op, it);
    }
    op_put(ps, op);
}

void op_start(struct write_op *op)
{
    struct page_store *ps = op->ps;
    ASSERT(op->count > 0);
    for (uint32_t i = op->count; i < op->allocated; i++)
        block_free_now(&ps->blocks, op->block + i);
    ps->ops_in_flight++;
    if (op->is_cut)
        ps->cut_ops_in_flight++;
    if (!op->is_meta)
        ps->page_ops_in_flight++;
    op->request = (struct io_request){.done = op_done, .owner = op};
    err_t fault = store_fault(ps, FAULT_WRITE, op->block);
    if (fault != ERR_OK) {
        op->request.result = fault;
        op_done(&op->request);
        return;
    }
    io_write_start(&op->request, ps->file, op->bounce, op->count * PAGE_BYTES,
                   op->block * PAGE_BYTES);
}

/* An op with up to want blocks. */
SUSPENDS static err_t op_prepare_wait(struct page_store *ps, uint32_t want, bool is_cut,
                                      struct write_op **out)
{
    enum block_use use = is_cut ? BLOCK_CUT : BLOCK_LIVE;
    struct write_op *op;
    TRY(op_get_wait(ps, is_cut, &op));
    for (;;) {
        err_t err = blocks_ensure_wait(ps, want, use);
        if (err != ERR_OK) {
            op_put(ps, op);
            return err;
        }
        op->block = blocks_allocate(&ps->blocks, want, use, &op->allocated);
        if (op->block != 0)
            break;
    }
    op->epoch = ps->epoch; /* a cut may have come while we waited */
    *out = op;
    return ERR_OK;
}

static int frame_order(const void *a, const void *b)
{
    const struct frame *x = *(struct frame *const *)a;
    const struct frame *y = *(struct frame *const *)b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->page_no < y->page_no ? -1 : x->page_no > y->page_no;
}

static bool frame_wants_write(const struct frame *f, bool is_cut)
{
    if ((f->flags & FRAME_DIRTY) == 0 || (f->flags & FRAME_WRITING) != 0)
        return false;
    return is_cut ? frame_is_frozen(f) : f->pins == 0 && f->clone == NULL;
}

/* Frames are looked at again after each wait; those that no longer want a write are left out. */
err_t frames_write_wait(struct page_store *ps, struct frame **frames, uint32_t count, bool is_cut)
{
    uint32_t at = 0;
    while (at < count) {
        uint32_t wanted = 0;
        for (uint32_t i = at; i < count && wanted < WRITE_PAGES_MAX; i++)
            wanted += frame_wants_write(frames[i], is_cut);
        if (wanted == 0)
            break;
        struct write_op *op;
        TRY(op_prepare_wait(ps, wanted, is_cut, &op));
        for (; at < count && op->count < op->allocated; at++) {
            struct frame *f = frames[at];
            if (!frame_wants_write(f, is_cut))
                continue;
            /* A frozen page's block belongs to the checkpoint, whoever writes it. */
            if (!is_cut && frame_is_frozen(f))
                blocks_make_stale(&ps->blocks, op->block + op->count);
            op_add_frame(op, f);
        }
        if (op->count == 0) {
            for (uint32_t i = 0; i < op->allocated; i++)
                block_free_now(&ps->blocks, op->block + i);
            op_put(ps, op);
            break;
        }
        if (is_cut)
            ps->stats.checkpoint_pages += op->count;
        op_start(op);
    }
    return ERR_OK;
}

err_t clones_write_wait(struct page_store *ps)
{
    uint32_t want = MIN(ps->clone_count, (uint32_t)WRITE_PAGES_MAX);
    struct write_op *op;
    TRY(op_prepare_wait(ps, want, true, &op));
    while (op->count < op->allocated && ps->clones != NULL) {
        struct page_clone *c = ps->clones;
        ps->clones = c->next;
        op_add_clone(op, c);
    }
    ASSERT(op->count > 0);
    ps->stats.checkpoint_pages += op->count;
    op_start(op);
    return ERR_OK;
}

/* ---- meta blocks ---- */

err_t meta_add_wait(struct meta_writer *m, uint16_t kind, uint16_t flags, file_id file,
                    uint32_t index, uint8_t **image)
{
    struct page_store *ps = m->ps;
    if (m->op != NULL && m->op->count == m->op->allocated)
        meta_finish(m);
    if (ps->cut_error != ERR_OK)
        return err_raise(ps->cut_error, "could not write to file \"%s\"", ps->path);
    if (m->op == NULL) {
        TRY(op_prepare_wait(ps, WRITE_PAGES_MAX, true, &m->op));
        m->op->is_meta = true;
    }
    *image = m->op->bounce + (size_t)m->op->count * PAGE_BYTES;
    memset(*image, 0, PAGE_BYTES);
    struct page_header h = {
        .kind = kind, .flags = flags, .file = file, .page_no = index, .lsn = ps->epoch};
    memcpy(*image, &h, sizeof(h));
    return ERR_OK;
}

uint64_t meta_seal(struct meta_writer *m, uint8_t *image)
{
    struct write_op *op = m->op;
    ASSERT(image == op->bounce + (size_t)op->count * PAGE_BYTES);
    uint64_t entry = entry_make(op->block + op->count, page_seal(image));
    op->count++;
    return entry;
}

void meta_finish(struct meta_writer *m)
{
    struct write_op *op = m->op;
    m->op = NULL;
    if (op == NULL)
        return;
    if (op->count > 0) {
        op_start(op);
        return;
    }
    for (uint32_t i = 0; i < op->allocated; i++)
        block_free_now(&m->ps->blocks, op->block + i);
    op_put(m->ps, op);
}

/* ---- cleaner ---- */

void cleaner_kick(struct page_store *ps)
{
    if (ps->cleaner_kicked)
        return;
    ps->cleaner_kicked = true;
    wait_queue_wake_all(&ps->cleaner_queue);
}

/* Blocks of dropped files, except those that the running cut still has. Waiters for frames first.
 */
SUSPENDS static void reap_wait(struct page_store *ps)
{
    struct page_file **p = &ps->dead;
    while (*p != NULL && !ps->is_closing && ps->frame_waiters == 0) {
        struct page_file *f = *p;
        if (file_in_cut(ps, f) || f->refs > 0) {
            p = &f->dead_next;
            continue;
        }
        if (map_reap_step(ps, f)) {
            fiber_yield_wait();
            p = &ps->dead; /* the list may have changed */
            continue;
        }
        *p = f->dead_next;
        directory_slot_release(ps, f);
        file_free_memory(f);
    }
}

SUSPENDS static void cleaner_flush_wait(struct page_store *ps, struct frame **batch,
                                        uint32_t *count, err_t *error)
{
    if (*count == 0)
        return;
    qsort(batch, *count, sizeof(batch[0]), frame_order);
    err_t err = frames_write_wait(ps, batch, *count, false);
    if (err != ERR_OK)
        *error = err;
    *count = 0;
}

/* One turn of the clock, until enough frames are free or being written. */
SUSPENDS static err_t cleaner_round_wait(struct page_store *ps)
{
    struct frame *batch[WRITE_PAGES_MAX];
    uint32_t count = 0;
    err_t error = ERR_OK;
    uint64_t steps = (uint64_t)ps->frame_count * ROUND_STEPS_PER_FRAME;
    uint32_t target = ps->free_target;
    while (steps-- > 0 && !ps->is_closing &&
           ps->free_count + ps->pages_in_flight + count < target) {
        struct frame *dirty;
        (void)clock_step(ps, &dirty);
        if (dirty != NULL && error == ERR_OK) {
            batch[count++] = dirty;
            if (count == WRITE_PAGES_MAX)
                cleaner_flush_wait(ps, batch, &count, &error);
        }
        if (steps % ROUND_YIELD_STEPS == 0) {
            cleaner_flush_wait(ps, batch, &count, &error); /* before frames change hands */
            fiber_yield_wait();
        }
    }
    cleaner_flush_wait(ps, batch, &count, &error);
    return error;
}

/* Too many dirty pages: those that have been so for longest are written. A running checkpoint
 * writes them anyway. */
SUSPENDS static err_t cleaner_trim_wait(struct page_store *ps)
{
    err_t error = ERR_OK;
    while (error == ERR_OK && ps->dirty_count > ps->dirty_max && !ps->is_cut_writing &&
           !ps->is_closing && ps->frame_waiters == 0) {
        struct frame *batch[WRITE_PAGES_MAX];
        uint32_t count = 0;
        uint32_t steps = 0;
        for (uint32_t no = ps->dirty.first; no != 0 && count < WRITE_PAGES_MAX;) {
            struct frame *f = frame_at(ps, no - 1);
            no = f->list_next;
            if (frame_wants_write(f, false))
                batch[count++] = f;
            if (++steps > ROUND_YIELD_STEPS)
                break;
        }
        if (count == 0)
            break;
        cleaner_flush_wait(ps, batch, &count, &error);
        fiber_yield_wait();
    }
    return error;
}

SUSPENDS static void cleaner_main(void *arg)
{
    struct page_store *ps = arg;
    while (!ps->is_closing) {
        ps->cleaner_kicked = false;
        err_t trim = cleaner_trim_wait(ps);
        uint64_t evictions = ps->stats.evictions;
        err_t err = cleaner_round_wait(ps);
        ps->trim_error = trim != ERR_OK ? trim : err;
        ps->trim_rounds++;
        wait_queue_wake_all(&ps->trim_queue);
        reap_wait(ps);
        if (ps->is_closing)
            break;
        if (ps->frame_waiters > 0 && ps->free_count == 0) {
            if (err == ERR_OK)
                err = ps->round_error;
            bool is_moving = ps->ops_in_flight > 0 || ps->reads_in_flight > 0 ||
                             (ps->is_cut_writing && ps->clone_count > 0);
            if (err == ERR_OK && is_moving) {
                wait_queue_shielded_wait(&ps->op_queue);
                continue;
            }
            if (err == ERR_OK && ps->stats.evictions != evictions) {
                fiber_yield_wait(); /* others took what this round freed */
                continue;
            }
            ps->round_error = err != ERR_OK ? err : ERR_OUT_OF_MEMORY;
            wait_queue_wake_all(&ps->frame_queue);
        }
        if (!ps->cleaner_kicked)
            wait_queue_shielded_wait(&ps->cleaner_queue);
    }
    ps->cleaner_running = false;
    wait_queue_wake_all(&ps->trim_queue);
    wait_queue_wake_all(&ps->idle);
}

err_t cleaner_start(struct page_store *ps)
{
    TRY(fiber_spawn(cleaner_main, ps));
    ps->cleaner_running = true;
    return ERR_OK;
}
