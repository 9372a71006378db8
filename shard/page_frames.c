/*
 * The buffer pool: frames, the hash from (file, page) to frame, clock eviction, clones.
 *
 * Frames are an array; a frame's number links it in hash chains, the free list and the dirty lists.
 * The clock hand gives each page as many more rounds as it was used lately (up to USE_MAX). The
 * cleaner (page_write.c) runs the hand ahead and keeps free_target frames free, so that a pin finds
 * one without a write. Pages that only a scan wanted come into a small ring of frames that the scan
 * reuses, and count as unused.
 */
#include "shard/pages_priv.h"

#include <stdio.h>

enum { TRY_STEPS = 128 };

void frames_init(struct page_store *ps, uint64_t pool_bytes)
{
    uint64_t count = MIN(MAX(pool_bytes / PAGE_BYTES, (uint64_t)FRAMES_MIN), UINT64_C(1) << 31);
    ps->frame_count = (uint32_t)count;
    ps->memory = io_buffer_alloc(count * PAGE_BYTES);
    ps->frames = core_zalloc(count * sizeof(struct page));
    uint32_t buckets = 16;
    while (buckets < count + count / 2)
        buckets *= 2;
    ps->buckets = core_zalloc(buckets * sizeof(uint32_t));
    ps->bucket_mask = buckets - 1;
    for (uint32_t i = ps->frame_count; i-- > 0;) {
        struct frame *f = frame_at(ps, i);
        f->ps = ps;
        f->data = ps->memory + (size_t)i * PAGE_BYTES;
        f->hash_next = ps->free_first;
        ps->free_first = i + 1;
    }
    ps->free_count = ps->frame_count;
    ps->free_target = MIN(MAX(ps->frame_count / 64, 4u), 1024u);
    ps->dirty_max = ps->frame_count - MAX(ps->frame_count / 8, 4u);
    ps->clone_max = MAX(ps->frame_count / 8, 64u);
    ps->scan_ring_size = MIN(ps->frame_count / 8, (uint32_t)SCAN_RING_MAX);
}

void frames_destroy(struct page_store *ps)
{
    io_buffer_free(ps->memory, (size_t)ps->frame_count * PAGE_BYTES);
    core_free(ps->frames);
    core_free(ps->buckets);
}

/* ---- hash ---- */

static uint32_t *bucket_of(const struct page_store *ps, file_id id, uint32_t page_no)
{
    uint64_t h = (id ^ (uint64_t)page_no << 20) * 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
    return &ps->buckets[(uint32_t)(h >> 32) & ps->bucket_mask];
}

struct frame *frame_find(const struct page_store *ps, file_id id, uint32_t page_no)
{
    uint32_t no = *bucket_of(ps, id, page_no);
    while (no != 0) {
        struct frame *f = (struct frame *)(void *)((struct page *)(void *)ps->frames + no - 1);
        if (f->page_no == page_no && f->id == id)
            return f;
        no = f->hash_next;
    }
    return NULL;
}

void frame_hash_add(struct frame *f)
{
    uint32_t *b = bucket_of(f->ps, f->id, f->page_no);
    f->hash_next = *b;
    *b = frame_no(f) + 1;
}

void frame_hash_remove(struct frame *f)
{
    uint32_t no = frame_no(f) + 1;
    uint32_t *p = bucket_of(f->ps, f->id, f->page_no);
    while (*p != no) {
        ASSERT(*p != 0);
        p = &frame_at(f->ps, *p - 1)->hash_next;
    }
    *p = f->hash_next;
    f->hash_next = 0;
}

/* ---- dirty lists ---- */

static struct frame_list *dirty_list_of(struct frame *f)
{
    return frame_is_frozen(f) ? &f->ps->frozen : &f->ps->dirty;
}

void frame_mark_dirty(struct frame *f)
{
    ASSERT((f->flags & FRAME_DIRTY) == 0);
    struct page_store *ps = f->ps;
    uint32_t no = frame_no(f) + 1;
    f->flags |= FRAME_DIRTY;
    f->epoch = (uint32_t)ps->epoch;
    f->list_next = 0;
    f->list_prev = ps->dirty.last;
    if (ps->dirty.last != 0)
        frame_at(ps, ps->dirty.last - 1)->list_next = no;
    else
        ps->dirty.first = no;
    ps->dirty.last = no;
    ps->dirty_count++;
}

void frame_clear_dirty(struct frame *f)
{
    ASSERT((f->flags & FRAME_DIRTY) != 0);
    struct page_store *ps = f->ps;
    struct frame_list *l = dirty_list_of(f);
    if (f->list_prev != 0)
        frame_at(ps, f->list_prev - 1)->list_next = f->list_next;
    else
        l->first = f->list_next;
    if (f->list_next != 0)
        frame_at(ps, f->list_next - 1)->list_prev = f->list_prev;
    else
        l->last = f->list_prev;
    f->list_prev = f->list_next = 0;
    f->flags &= (uint8_t)~FRAME_DIRTY;
    ps->dirty_count--;
}

/* ---- free frames and eviction ---- */

void frame_assign(struct frame *f, struct page_file *file, uint32_t page_no)
{
    ASSERT(f->state == FRAME_FREE);
    f->file = file;
    f->id = file->id;
    f->page_no = page_no;
    f->flags = 0;
    f->use = 1;
    f->pins = 0;
    f->read_error = ERR_OK;
    file->refs++;
}

void frame_release(struct frame *f)
{
    struct page_store *ps = f->ps;
    ASSERT(f->pins == 0);
    ASSERT((f->flags & (FRAME_DIRTY | FRAME_WRITING)) == 0);
    ASSERT(f->clone == NULL);
    if (f->file != NULL)
        f->file->refs--;
    f->file = NULL;
    f->state = FRAME_FREE;
    f->flags = 0;
    f->hash_next = ps->free_first;
    ps->free_first = frame_no(f) + 1;
    ps->free_count++;
    if (ps->frame_waiters > 0)
        wait_queue_wake_all(&ps->frame_queue);
}

void frame_settle(struct frame *f)
{
    if (f->pins == 0 && (f->flags & FRAME_DETACHED) != 0 &&
        (f->flags & (FRAME_DIRTY | FRAME_WRITING)) == 0 && f->state != FRAME_READING)
        frame_release(f);
}

static bool frame_is_idle(const struct frame *f)
{
    return f->state == FRAME_VALID && f->pins == 0 && f->clone == NULL &&
           (f->flags & (FRAME_WRITING | FRAME_DETACHED)) == 0;
}

static void frame_evict(struct frame *f)
{
    frame_hash_remove(f);
    f->ps->stats.evictions++;
    frame_release(f);
}

bool clock_step(struct page_store *ps, struct frame **dirty)
{
    *dirty = NULL;
    struct frame *f = frame_at(ps, ps->hand);
    ps->hand = ps->hand + 1 == ps->frame_count ? 0 : ps->hand + 1;
    if (!frame_is_idle(f))
        return false;
    if (f->use > 0) {
        f->use--;
        return false;
    }
    if ((f->flags & FRAME_DIRTY) != 0) {
        *dirty = f;
        return false;
    }
    frame_evict(f);
    return true;
}

struct frame *frame_try(struct page_store *ps)
{
    if (ps->free_count < ps->free_target)
        cleaner_kick(ps);
    for (int step = 0; ps->free_first == 0 && step < TRY_STEPS; step++) {
        struct frame *dirty;
        (void)clock_step(ps, &dirty);
    }
    if (ps->free_first == 0)
        return NULL;
    struct frame *f = frame_at(ps, ps->free_first - 1);
    ps->free_first = f->hash_next;
    f->hash_next = 0;
    ps->free_count--;
    return f;
}

COLD static err_t raise_no_frame(const struct page_store *ps, err_t err)
{
    switch (err) {
    case ERR_DISK_FULL:
        err = err_raise(err, "could not extend file \"%s\": No space left on device", ps->path);
        err_hint("Check free disk space.");
        return err;
    case ERR_OUT_OF_MEMORY:
        err = err_raise(err, "no unpinned buffers available");
        err_hint("Increase shared_buffers.");
        return err;
    default:
        return err_raise(err, "could not write to file \"%s\"", ps->path);
    }
}

err_t frame_get_wait(struct page_store *ps, struct frame **out)
{
    for (;;) {
        *out = frame_try(ps);
        if (LIKELY(*out != NULL))
            return ERR_OK;
        if (core_is_borrowed())
            return ERR_INTERNAL_WOULD_SUSPEND;
        ps->frame_waiters++;
        ps->round_error = ERR_OK;
        cleaner_kick(ps);
        wait_queue_shielded_wait(&ps->frame_queue);
        ps->frame_waiters--;
        err_t err = ps->round_error;
        *out = frame_try(ps);
        if (*out != NULL)
            return ERR_OK;
        if (err != ERR_OK)
            return raise_no_frame(ps, err);
    }
}

/* Half of the frames that are to stay clean may become dirty before new work has to wait. */
static bool is_crowded(const struct page_store *ps)
{
    return ps->dirty_count > ps->dirty_max + (ps->frame_count - ps->dirty_max) / 2;
}

err_t page_room_wait(struct page_store *ps)
{
    if (LIKELY(ps->dirty_count <= ps->dirty_max))
        return ERR_OK;
    cleaner_kick(ps);
    if (!is_crowded(ps))
        return ERR_OK;
    if (core_is_borrowed())
        return ERR_INTERNAL_WOULD_SUSPEND;
    /* A round that began before this may have seen fewer pages. */
    uint64_t enough = ps->trim_rounds + 2;
    while (is_crowded(ps) && ps->trim_rounds < enough && !ps->is_closing) {
        cleaner_kick(ps);
        wait_queue_shielded_wait(&ps->trim_queue);
    }
    if (is_crowded(ps) && ps->trim_error != ERR_OK)
        return raise_no_frame(ps, ps->trim_error);
    return ERR_OK;
}

/* ---- clones ---- */

void clone_set_aside(struct frame *f)
{
    struct page_store *ps = f->ps;
    ASSERT(f->clone == NULL);
    struct page_clone *c = core_malloc(sizeof(*c));
    c->file = f->file;
    c->frame = f;
    c->page_no = f->page_no;
    c->is_held = (f->flags & FRAME_WRITING) != 0;
    struct page_clone **list = c->is_held ? &ps->held_clones : &ps->clones;
    c->next = *list;
    memcpy(c->image, f->data, PAGE_BYTES);
    *list = c;
    ps->clone_count++;
    ps->stats.clones++;
    f->file->refs++;
    f->clone = c;
    wait_queue_wake_all(&ps->op_queue); /* the checkpoint writes clones first */
}

void clone_free(struct page_store *ps, struct page_clone *c)
{
    if (c->frame != NULL)
        c->frame->clone = NULL;
    c->file->refs--;
    core_free(c);
    ps->clone_count--;
    if (ps->clone_count < ps->clone_max)
        wait_queue_wake_all(&ps->clone_queue);
}

void clone_let_go(struct frame *f)
{
    struct page_store *ps = f->ps;
    struct page_clone *c = f->clone;
    struct page_clone **at = &ps->held_clones;
    ASSERT(c->is_held);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->is_held = false;
    c->next = ps->clones;
    ps->clones = c;
    if ((f->flags & FRAME_DETACHED) != 0) {
        c->frame = NULL;
        f->clone = NULL;
    }
}

void clones_free_all(struct page_store *ps)
{
    struct page_clone **const lists[] = {&ps->clones, &ps->held_clones};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        while (*lists[i] != NULL) {
            struct page_clone *c = *lists[i];
            *lists[i] = c->next;
            clone_free(ps, c);
        }
}

/* ---- dropped files ---- */

static void frame_drop(struct frame *f)
{
    struct page_store *ps = f->ps;
    ASSERT(f->pins == 0 || f->state == FRAME_READING);
    frame_hash_remove(f);
    f->flags |= FRAME_DETACHED;
    if (f->clone != NULL && !f->clone->is_held) { /* the clone stays for the cut */
        f->clone->frame = NULL;
        f->clone = NULL;
    }
    if ((f->flags & FRAME_DIRTY) != 0 && !(frame_is_frozen(f) && file_in_cut(ps, f->file)))
        frame_clear_dirty(f);
    frame_settle(f);
}

void frames_drop_file(struct page_store *ps, struct page_file *file)
{
    if (file->refs == 0)
        return;
    if (file->pages < ps->frame_count / 4) {
        for (uint32_t i = 0; i < file->pages; i++) {
            struct frame *f = frame_find(ps, file->id, i);
            if (f != NULL)
                frame_drop(f);
        }
        return;
    }
    for (uint32_t i = 0; i < ps->frame_count; i++) {
        struct frame *f = frame_at(ps, i);
        if (f->file == file && (f->flags & FRAME_DETACHED) == 0)
            frame_drop(f);
    }
}

/* ---- checks ---- */

uint32_t page_seal(uint8_t *data)
{
    uint32_t checksum = crc32c(0, data + sizeof(uint32_t), PAGE_BYTES - sizeof(uint32_t));
    store_u32(data, checksum);
    return checksum;
}

err_t page_check(const struct page_store *ps, const uint8_t *data, uint64_t entry, uint16_t kind,
                 file_id file, uint32_t page_no)
{
    (void)ps;
    struct page_header h;
    memcpy(&h, data, sizeof(h));
    uint32_t checksum = crc32c(0, data + sizeof(uint32_t), PAGE_BYTES - sizeof(uint32_t));
    if (h.checksum != checksum || !entry_matches(entry, checksum) || h.kind != kind ||
        h.file != file || h.page_no != page_no)
        return ERR_DATA_CORRUPTED;
    return ERR_OK;
}

err_t page_raise(const struct page_store *ps, err_t err, file_id file, uint32_t page_no,
                 uint64_t entry)
{
    err = err_raise(err, "%s block %u of file %u/%u",
                    err == ERR_DATA_CORRUPTED ? "invalid page in" : "could not read", page_no,
                    (uint32_t)(file >> 32), (uint32_t)file);
    err_detail("It is stored in block %llu of \"%s\".", (unsigned long long)entry_block(entry),
               ps->path);
    return err;
}
