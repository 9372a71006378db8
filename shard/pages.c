/*
 * The page store: its life, its files, and pinning pages. See pages.h for the contract,
 * pages_priv.h for the terms and the disk format.
 */
#include "shard/pages_priv.h"

#include "core/defects.h"

static struct page *page_of(struct frame *f)
{
    return (struct page *)(void *)f;
}
static struct frame *frame_of(struct page *p)
{
    return (struct frame *)(void *)p;
}

/* ---- life ---- */

static err_t store_new(const struct page_store_options *o, struct page_store **out)
{
    if (strlen(o->path) >= PATH_TEXT_BYTES)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "data file name is too long");
    struct page_store *ps = core_zalloc(sizeof(*ps));
    memcpy(ps->path, o->path, strlen(o->path) + 1);
    ps->epoch = 1;
    ps->directory.kind = (enum file_kind)KIND_DIRECTORY;
    frames_init(ps, o->pool_bytes);
    ps->ops = core_zalloc(WRITE_OPS * sizeof(struct write_op));
    for (uint32_t i = 0; i < WRITE_OPS; i++) {
        ps->ops[i].bounce = io_buffer_alloc((size_t)WRITE_PAGES_MAX * PAGE_BYTES);
        ps->ops[i].next = ps->free_ops;
        ps->free_ops = &ps->ops[i];
    }
    *out = ps;
    return ERR_OK;
}

static void store_free(struct page_store *ps)
{
    clones_free_all(ps);
    for (uint32_t i = 0; i < ps->slot_count; i++) {
        struct page_file *f = ps->slots[i];
        if (f != NULL && !f->is_dead)
            file_free_memory(f);
    }
    while (ps->dead != NULL) {
        struct page_file *f = ps->dead;
        ps->dead = f->dead_next;
        file_free_memory(f);
    }
    map_destroy(&ps->directory);
    for (uint32_t i = 0; i < ps->dir_image_capacity; i++)
        core_free(ps->dir_images[i]);
    while (ps->free_reads != NULL) {
        struct read_op *r = ps->free_reads;
        ps->free_reads = r->next;
        core_free(r);
    }
    while (ps->reservations != NULL) {
        struct reservation *r = ps->reservations;
        ps->reservations = r->next;
        core_free(r);
    }
    for (uint32_t i = 0; i < WRITE_OPS; i++)
        io_buffer_free(ps->ops[i].bounce, (size_t)WRITE_PAGES_MAX * PAGE_BYTES);
    core_free(ps->ops);
    core_free(ps->dir_images);
    core_free(ps->slots);
    core_free(ps->file_buckets);
    core_free(ps->state_entries);
    frames_destroy(ps);
    blocks_destroy(&ps->blocks);
    core_free(ps);
}

void page_store_close_wait(struct page_store *ps)
{
    if (ps == NULL)
        return;
    ASSERT(!ps->is_cut_writing);
    ps->is_closing = true;
    wait_queue_wake_all(&ps->cleaner_queue);
    wait_queue_wake_all(&ps->op_queue);
    while (ps->cleaner_running)
        wait_queue_shielded_wait(&ps->idle);
    while (ps->ops_in_flight > 0 || ps->reads_in_flight > 0)
        wait_queue_shielded_wait(&ps->op_queue);
    if (ps->file != NULL)
        io_close_wait(ps->file);
    store_free(ps);
}

SUSPENDS static err_t create_with_wait(struct page_store *ps)
{
    TRY(io_open_wait(ps->path, IO_READ | IO_WRITE | IO_CREATE | IO_EXCLUSIVE | IO_DIRECT, 0600,
                     &ps->file));
    blocks_init(&ps->blocks, SUPER_BLOCKS);
    ps->store_id = core_random_u64();
    ps->super_slot = 1;
    TRY(cleaner_start(ps));
    page_store_cut(ps);
    return page_store_write_cut_wait(ps, 0, NULL, 0, 0);
}

err_t page_store_create_wait(const struct page_store_options *o, struct page_store **out)
{
    struct page_store *ps;
    TRY(store_new(o, &ps));
    err_t err = create_with_wait(ps);
    if (err != ERR_OK) {
        page_store_close_wait(ps);
        return err;
    }
    *out = ps;
    return ERR_OK;
}

err_t page_store_open_wait(const struct page_store_options *o, struct arena *mem,
                           struct page_store **out, lsn_t *lsn, const uint8_t **state,
                           size_t *state_bytes)
{
    struct page_store *ps;
    TRY(store_new(o, &ps));
    err_t err = io_open_wait(o->path, IO_READ | IO_WRITE | IO_DIRECT, 0600, &ps->file);
    if (err != ERR_OK)
        ps->file = NULL;
    if (err == ERR_OK)
        err = store_load_wait(ps, mem, lsn, state, state_bytes);
    if (err == ERR_OK)
        err = cleaner_start(ps);
    if (err != ERR_OK) {
        page_store_close_wait(ps);
        return err;
    }
    *out = ps;
    return ERR_OK;
}

void page_store_stats_read(const struct page_store *ps, struct page_store_stats *out)
{
    *out = ps->stats;
    out->frames = ps->frame_count;
    out->frames_dirty = ps->dirty_count;
    out->blocks = ps->blocks.count;
    out->blocks_free = ps->blocks.free_count;
}

/* ---- files ---- */

void file_create(struct page_store *ps, file_id file, enum file_kind kind)
{
    if (file_find(ps, file) != NULL)
        return;
    struct page_file *f = file_new(file, kind, ps->epoch);
    (void)directory_slot_take(ps, f);
    file_hash_add(ps, f);
}

void file_drop(struct page_store *ps, file_id file)
{
    struct page_file *f = file_find(ps, file);
    if (f == NULL)
        return;
    frames_drop_file(ps, f);
    file_hash_remove(ps, f);
    f->is_dead = true;
    f->epoch_dropped = ps->epoch;
    if (!file_in_cut(ps, f))
        directory_slot_release(ps, f);
    f->dead_next = ps->dead;
    ps->dead = f;
    cleaner_kick(ps);
}

bool file_exists(const struct page_store *ps, file_id file, enum file_kind *kind)
{
    const struct page_file *f = file_find(ps, file);
    if (f != NULL && kind != NULL)
        *kind = f->kind;
    return f != NULL;
}

uint32_t file_page_count(const struct page_store *ps, file_id file)
{
    const struct page_file *f = file_find(ps, file);
    return f == NULL ? 0 : f->pages;
}

bool file_next(const struct page_store *ps, uint64_t *cursor, file_id *file, enum file_kind *kind,
               uint32_t *pages)
{
    while (*cursor < ps->slot_count) {
        const struct page_file *f = ps->slots[(*cursor)++];
        if (f == NULL || f->is_dead)
            continue;
        *file = f->id;
        *kind = f->kind;
        *pages = f->pages;
        return true;
    }
    return false;
}

/* ---- pins ---- */

static void frame_pin(struct frame *f, enum page_use use)
{
    f->pins++;
    if (use == PAGE_USE_SCAN && (f->flags & FRAME_SCAN) != 0)
        return;
    f->flags &= (uint8_t)~FRAME_SCAN;
    if (f->use < USE_MAX)
        f->use++;
}

static void frame_unpin(struct frame *f)
{
    ASSERT(f->pins > 0);
    if (--f->pins == 0 && UNLIKELY((f->flags & FRAME_DETACHED) != 0))
        frame_settle(f);
}

static void page_init(struct frame *f)
{
    memset(f->data, 0, PAGE_BYTES);
    struct page_header h = {.kind = (uint16_t)f->file->kind, .file = f->id, .page_no = f->page_no};
    memcpy(f->data, &h, sizeof(h));
    f->state = FRAME_VALID;
}

/* After a read: VALID, or FAILED and out of the hash. */
static void read_finish(struct frame *f, err_t err, uint64_t entry)
{
    struct page_store *ps = f->ps;
    ASSERT(f->state == FRAME_READING);
    ps->reads_in_flight--;
    if (err == ERR_OK)
        err = page_check(ps, f->data, entry, (uint16_t)f->file->kind, f->id, f->page_no);
    if (err == ERR_OK) {
        f->state = FRAME_VALID;
    } else {
        f->state = FRAME_FAILED;
        f->read_error = (uint16_t)err;
        if ((f->flags & FRAME_DETACHED) == 0) {
            frame_hash_remove(f);
            f->flags |= FRAME_DETACHED;
        }
    }
    wait_queue_wake_all(&f->readers);
    wait_queue_wake_all(&ps->op_queue);
}

err_t block_read_wait(struct page_store *ps, uint64_t entry, uint8_t *data)
{
    err_t err = store_fault(ps, FAULT_READ, entry_block(entry));
    return err != ERR_OK
               ? err
               : io_read_wait(ps->file, data, PAGE_BYTES, entry_block(entry) * PAGE_BYTES);
}

COLD static err_t raise_no_file(const struct page_store *ps, file_id file)
{
    return err_raise(ERR_DATA_CORRUPTED, "file %u/%u does not exist in \"%s\"",
                     (uint32_t)(file >> 32), (uint32_t)file, ps->path);
}

COLD SUSPENDS static err_t throttle_wait(struct page_store *ps)
{
    if (!ps->is_cut_writing)
        return ERR_OK;
    if (core_is_borrowed())
        return ERR_INTERNAL_WOULD_SUSPEND;
    while (ps->is_cut_writing && ps->clone_count >= ps->clone_max)
        wait_queue_shielded_wait(&ps->clone_queue);
    return ERR_OK;
}

/* In the hash: wait until it is read. */
SUSPENDS static err_t pin_found_wait(struct frame *f, enum page_use use, struct page **out)
{
    struct page_store *ps = f->ps;
    if (UNLIKELY(f->state == FRAME_READING)) {
        if (core_is_borrowed())
            return ERR_INTERNAL_WOULD_SUSPEND;
        f->pins++;
        while (f->state == FRAME_READING)
            wait_queue_shielded_wait(&f->readers);
        f->pins--;
        if (f->state == FRAME_FAILED) {
            err_t err = (err_t)f->read_error;
            file_id id = f->id;
            uint32_t page_no = f->page_no;
            uint64_t entry = map_get(f->file, page_no);
            frame_settle(f);
            return page_raise(ps, err, id, page_no, entry);
        }
    }
    ps->stats.hits++;
    frame_pin(f, use);
    *out = page_of(f);
    return ERR_OK;
}

/* A scan takes its own oldest frame again, when it can. */
static void scan_recycle(struct page_store *ps)
{
    if (ps->scan_ring_size == 0 || ps->free_count > ps->frame_count / 4)
        return;
    uint32_t no = ps->scan_ring[ps->scan_ring_at];
    if (no == 0)
        return;
    struct frame *f = frame_at(ps, no - 1);
    if (f->state != FRAME_VALID || f->pins > 0 || f->clone != NULL || f->flags != FRAME_SCAN)
        return;
    frame_hash_remove(f);
    ps->stats.evictions++;
    frame_release(f); /* on top of the free list */
}

static void scan_remember(struct page_store *ps, struct frame *f)
{
    f->flags |= FRAME_SCAN;
    f->use = 0;
    if (ps->scan_ring_size == 0)
        return;
    ps->scan_ring[ps->scan_ring_at] = frame_no(f) + 1;
    ps->scan_ring_at = ps->scan_ring_at + 1 == ps->scan_ring_size ? 0 : ps->scan_ring_at + 1;
}

SUSPENDS static err_t pin_missing_wait(struct page_store *ps, file_id file, uint32_t page_no,
                                       enum page_use use, struct page **out)
{
    struct page_file *pf = file_find(ps, file);
    if (pf == NULL)
        return raise_no_file(ps, file);
    if (page_no >= pf->pages)
        return err_raise(ERR_DATA_CORRUPTED, "block %u of file %u/%u does not exist", page_no,
                         (uint32_t)(file >> 32), (uint32_t)file);
    uint64_t entry = map_get(pf, page_no);
    if (entry != 0 && core_is_borrowed())
        return ERR_INTERNAL_WOULD_SUSPEND;
    if (use == PAGE_USE_SCAN)
        scan_recycle(ps);
    struct frame *f;
    TRY(frame_get_wait(ps, &f));
    /* Things may have changed while waiting. */
    pf = file_find(ps, file);
    struct frame *found = frame_find(ps, file, page_no);
    if (pf == NULL || found != NULL) {
        frame_release(f);
        return pf == NULL ? raise_no_file(ps, file) : pin_found_wait(found, use, out);
    }
    entry = map_get(pf, page_no);
    frame_assign(f, pf, page_no);
    frame_hash_add(f);
    f->pins = 1;
    if (use == PAGE_USE_SCAN)
        scan_remember(ps, f);
    *out = page_of(f);
    if (entry == 0) {
        page_init(f);
        return ERR_OK;
    }
    f->state = FRAME_READING;
    ps->reads_in_flight++;
    ps->stats.reads++;
    uint64_t began_at = stats_clock();
    read_finish(f, block_read_wait(ps, entry, f->data), entry);
    stats_trace_add(STATS_STAGE_read, began_at);
    if (f->state == FRAME_VALID)
        return ERR_OK;
    err_t err = (err_t)f->read_error;
    frame_unpin(f);
    return page_raise(ps, err, file, page_no, entry);
}

err_t page_pin_use_wait(struct page_store *ps, file_id file, uint32_t page_no, enum page_use use,
                        struct page **out)
{
    if (UNLIKELY(ps->clone_count >= ps->clone_max))
        TRY(throttle_wait(ps));
    struct frame *f = frame_find(ps, file, page_no);
    if (LIKELY(f != NULL))
        return pin_found_wait(f, use, out);
    return pin_missing_wait(ps, file, page_no, use, out);
}

err_t page_pin_wait(struct page_store *ps, file_id file, uint32_t page_no, struct page **out)
{
    return page_pin_use_wait(ps, file, page_no, PAGE_USE_NORMAL, out);
}

struct page *page_pin_cached(struct page_store *ps, file_id file, uint32_t page_no)
{
    struct frame *f = frame_find(ps, file, page_no);
    if (f == NULL || f->state != FRAME_VALID)
        return NULL;
    ps->stats.hits++;
    frame_pin(f, PAGE_USE_NORMAL);
    return page_of(f);
}

void page_unpin(struct page *p)
{
    frame_unpin(frame_of(p));
}

void page_store_set_recovering(struct page_store *ps, bool is_recovering)
{
    ps->blocks.is_recovering = is_recovering;
}

/* ---- new pages ---- */

static struct page *page_new_in(struct page_store *ps, struct frame *f, struct page_file *pf,
                                uint32_t page_no)
{
    file_set_pages(ps, pf, page_no + 1);
    frame_assign(f, pf, page_no);
    frame_hash_add(f);
    page_init(f);
    f->pins = 1;
    frame_mark_dirty(f);
    return page_of(f);
}

err_t page_pin_new_wait(struct page_store *ps, file_id file, uint32_t page_no, struct page **out)
{
    if (UNLIKELY(ps->clone_count >= ps->clone_max))
        TRY(throttle_wait(ps));
    struct frame *f;
    TRY(frame_get_wait(ps, &f));
    struct page_file *pf = file_find(ps, file);
    if (pf == NULL) {
        frame_release(f);
        return raise_no_file(ps, file);
    }
    uint32_t at = page_no == PAGE_NONE ? pf->pages : page_no;
    if (at < pf->pages) { /* came into being while we waited */
        frame_release(f);
        return page_pin_wait(ps, file, at, out);
    }
    if (at == PAGE_NONE) {
        frame_release(f);
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "cannot extend file %u/%u beyond %u blocks",
                         (uint32_t)(file >> 32), (uint32_t)file, PAGE_NONE);
    }
    *out = page_new_in(ps, f, pf, at);
    return ERR_OK;
}

static struct reservation *reservation_find(struct page_store *ps)
{
    struct fiber *self = fiber_self();
    struct reservation *r = ps->reservations; /* a few at a time */
    while (r != NULL && r->fiber != self)
        r = r->next;
    return r;
}

err_t page_reserve_wait(struct page_store *ps, uint32_t n)
{
    if (UNLIKELY(ps->clone_count >= ps->clone_max))
        TRY(throttle_wait(ps));
    if (n > ps->frame_count / 2)
        return err_raise(ERR_OUT_OF_MEMORY, "no unpinned buffers available");
    struct reservation *r = reservation_find(ps);
    if (r == NULL) {
        r = core_zalloc(sizeof(*r));
        r->fiber = fiber_self();
        r->next = ps->reservations;
        ps->reservations = r;
    }
    while (r->count < n) {
        struct frame *f;
        err_t err = frame_get_wait(ps, &f);
        if (err != ERR_OK) {
            page_reserve_end(ps);
            return err;
        }
        f->hash_next = r->first;
        r->first = frame_no(f) + 1;
        r->count++;
    }
    return ERR_OK;
}

struct page *page_new_reserved(struct page_store *ps, file_id file)
{
    struct reservation *r = reservation_find(ps);
    ASSERT(r != NULL);
    ASSERT(r->count > 0);
    struct page_file *pf = file_find(ps, file);
    ASSERT(pf != NULL);
    ASSERT(pf->pages < PAGE_NONE);
    struct frame *f = frame_at(ps, r->first - 1);
    r->first = f->hash_next;
    r->count--;
    f->hash_next = 0;
    return page_new_in(ps, f, pf, pf->pages);
}

void page_reserve_end(struct page_store *ps)
{
    struct fiber *self = fiber_self();
    for (struct reservation **p = &ps->reservations; *p != NULL; p = &(*p)->next) {
        struct reservation *r = *p;
        if (r->fiber != self)
            continue;
        *p = r->next;
        while (r->count > 0) {
            struct frame *f = frame_at(ps, r->first - 1);
            r->first = f->hash_next;
            r->count--;
            frame_release(f);
        }
        core_free(r);
        return;
    }
}

/* ---- changing ---- */

uint8_t *page_modify(struct page *p)
{
    struct frame *f = frame_of(p);
    ASSERT(f->pins > 0);
    ASSERT(f->state == FRAME_VALID);
    if ((f->flags & FRAME_DIRTY) == 0) {
        frame_mark_dirty(f);
    } else if (UNLIKELY(frame_is_frozen(f)) && !DEFECT(FROZEN_NOT_CLONED)) {
        clone_set_aside(f);
        frame_clear_dirty(f);
        frame_mark_dirty(f);
    }
    return f->data;
}

void page_set_lsn(struct page *p, lsn_t lsn)
{
    ASSERT((frame_of(p)->flags & FRAME_DIRTY) != 0);
    store_u64(p->data + offsetof(struct page_header, lsn), lsn);
}

/* ---- read-ahead ---- */

static void read_ahead_done(struct io_request *req)
{
    struct read_op *r = req->owner;
    struct frame *f = r->frame;
    struct page_store *ps = f->ps;
    struct page_file *pf = f->file;
    read_finish(f, req->result, r->entry);
    frame_settle(f);
    if (pf->is_dead)
        cleaner_kick(ps);
    r->next = ps->free_reads;
    ps->free_reads = r;
}

void page_read_ahead(struct page_store *ps, file_id file, uint32_t page_no, uint32_t count)
{
    struct page_file *pf = file_find(ps, file);
    if (pf == NULL || core_is_borrowed() || ps->fault != NULL)
        return;
    for (uint32_t i = 0; i < count && page_no + i < pf->pages; i++) {
        uint64_t entry = map_get(pf, page_no + i);
        if (ps->reads_in_flight >= READ_AHEAD_MAX)
            return;
        if (entry == 0 || frame_find(ps, file, page_no + i) != NULL)
            continue;
        scan_recycle(ps);
        struct frame *f = frame_try(ps);
        if (f == NULL)
            return;
        struct read_op *r = ps->free_reads;
        if (r != NULL)
            ps->free_reads = r->next;
        else
            r = core_malloc(sizeof(*r));
        frame_assign(f, pf, page_no + i);
        frame_hash_add(f);
        scan_remember(ps, f);
        f->state = FRAME_READING;
        ps->reads_in_flight++;
        ps->stats.reads++;
        *r = (struct read_op){.frame = f, .entry = entry};
        r->request.done = read_ahead_done;
        r->request.owner = r;
        io_read_start(&r->request, ps->file, f->data, PAGE_BYTES, entry_block(entry) * PAGE_BYTES);
    }
}
