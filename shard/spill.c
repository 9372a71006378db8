/*
 * Spilling: versions beyond the memory budget go to files.
 *
 * What of a part is spilled lies in the part's spill, a stream of records over segments, which are
 * files of the page store. So reading goes through the buffer pool, a full disk is noticed in time,
 * and a checkpoint covers what undo and purge still need like any other page (written only when it
 * has to be; never logged: replay spills by itself). Before its commit a part spills its oldest
 * versions, but those of files and sweeps, which are few; so undo, which begins at the end, takes
 * from memory and from the end of the stream whichever is newer. After the commit order matters no
 * more.
 *
 *   record  u64 offset of the part's previous record, u64 offset of its previous record of the same
 *           heap page (0 = none), u64 serial, u64 heap, u64 row, u64 index, u64 writer, u32 seq,
 * u32 len, u16 cell flags, u16 first slot, u16 last slot, u8 kind, u8 flags, bytes; offsets count
 * the payload of pages, are multiples of 8, and begin at 8
 *
 * Visibility is decided in one step with a page in the hand, so it cannot read files. Instead, a
 * group, all spilled versions of one heap page's rows, is read back as copies into the chains, in
 * the order of serials, and held there while somebody needs them; later copies go when they take
 * too much room. In memory stays an entry for each heap page and spill, so a row of a page of which
 * nothing is spilled costs one look-up, and none while nothing is spilled at all. Whose snapshot is
 * newer than all of a page's spills has no need of them either.
 *
 * A version is in exactly one of three places: in its part's list; in its part's spill; in the
 * spill with a copy in its chain. Undo and purge work on the list only and take versions back into
 * it before. A part's spill goes at once when nothing in it needs work any more.
 */
#include "shard/shard_priv.h"

enum {
    RECORD_BYTES = 72,
    RECORD_FLAGS_AT = 71,
    RECORD_BULK = 1,
    RECORD_MOVED = 2,
    RECORD_DEAD = 4, /* taken back */
    RECORD_UNIQUE = 8,
    PAYLOAD_BYTES = PAGE_BYTES - PAGE_HEADER_BYTES,
    SEGMENT_PAGES = 128,
    SEGMENT_BYTES = SEGMENT_PAGES * PAYLOAD_BYTES,
    OFFSET_FIRST = 8,
    WINDOW_PAGES = 8,
    PART_BYTES_MIN = 32768, /* or an eighth of the budget: smaller parts are spilled at last */
    RECENT_VERSIONS = 16,   /* the newest of the shard stay, or none with a small budget */
    RECENT_BUDGET_MIN = 1 << 20,
    TAKE_BATCH = 64,
    DISCARD_BATCH = 256,
    COPY_BYTES_MIN = 16384,
    COPY_LAST_MAX = 4, /* times the copies that stay: may the group used last take alone */
    WINDOWS_PER_REST = 4,
    ENTRY_MASK_FIRST = 255,
    GROUP_BUCKETS = 256,
};
_Static_assert(PAYLOAD_BYTES % 8 == 0, "a word is in one page");
_Static_assert(WINDOW_PAGES *PAYLOAD_BYTES > 2 * (RECORD_BYTES + PAGE_BYTES),
               "a window takes the longest record");
#define SPILL_FILES ((file_id)0xfffffffeu << 32)

/* The records of one heap page in one spill. */
struct spill_entry {
    file_id heap;
    uint32_t page_no;
    struct spill *spill;
    uint64_t newest; /* offset */
    struct spill_entry *hash_next;
    struct spill_entry *prev; /* of the spill */
    struct spill_entry *next;
};

enum group_state { GROUP_LOADING, GROUP_LOADED, GROUP_FAILED };

struct spill_group {
    file_id heap;
    uint32_t page_no;
    uint32_t holds;
    enum group_state state;
    struct wait_queue loaded;
    struct version *copies;
    struct spill_group *hash_next;
    struct spill_group *prev;
    struct spill_group *next;
};

struct record {
    uint64_t prev;
    uint64_t page_prev;
    uint8_t flags;
    struct version head;
};

static uint64_t record_bytes(uint32_t len)
{
    return RECORD_BYTES + ((len + 7u) & ~7u);
}

static COLD err_t spill_bad(const struct shard *s)
{
    return err_raise(ERR_DATA_CORRUPTED, "bad spilled row version in shard %u", s->number);
}

/* ---- what is where ---- */

static uint64_t page_hash(file_id heap, uint32_t page_no)
{
    uint64_t h = (heap * 0x9e3779b97f4a7c15u) ^ (page_no * 0xc2b2ae3d27d4eb4fu);
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    return h ^ (h >> 32);
}

void spill_init(struct version_store *vs)
{
    vs->entry_mask = ENTRY_MASK_FIRST;
    vs->entries = core_zalloc((vs->entry_mask + 1) * sizeof(*vs->entries));
    vs->groups = core_zalloc(GROUP_BUCKETS * sizeof(struct spill_group *));
}

static void entries_grow(struct version_store *vs)
{
    uint64_t mask = vs->entry_mask * 4 + 3;
    struct spill_entry **entries = core_zalloc((mask + 1) * sizeof(*entries));
    for (uint64_t i = 0; i <= vs->entry_mask; i++) {
        struct spill_entry *e = vs->entries[i];
        while (e != NULL) {
            struct spill_entry *next = e->hash_next;
            uint64_t b = page_hash(e->heap, e->page_no) & mask;
            e->hash_next = entries[b];
            entries[b] = e;
            e = next;
        }
    }
    core_free(vs->entries);
    vs->entries = entries;
    vs->entry_mask = mask;
}

static struct spill_entry *entry_next(struct spill_entry *e, file_id heap, uint32_t page_no)
{
    while (e != NULL && (e->page_no != page_no || e->heap != heap))
        e = e->hash_next;
    return e;
}

static struct spill_entry *entry_first(const struct version_store *vs, file_id heap,
                                       uint32_t page_no)
{
    return entry_next(vs->entries[page_hash(heap, page_no) & vs->entry_mask], heap, page_no);
}

static struct spill_entry *entry_of(const struct version_store *vs, const struct spill *sp,
                                    file_id heap, uint32_t page_no)
{
    struct spill_entry *e = entry_first(vs, heap, page_no);
    while (e != NULL && e->spill != sp)
        e = entry_next(e->hash_next, heap, page_no);
    return e;
}

/* The page's newest record in the spill is at `at`; returns where it was before, 0 = nowhere. */
static uint64_t entry_set(struct version_store *vs, struct spill *sp, file_id heap,
                          uint32_t page_no, uint64_t at)
{
    struct spill_entry *e = entry_of(vs, sp, heap, page_no);
    if (e != NULL) {
        uint64_t before = e->newest;
        e->newest = at;
        return before;
    }
    if (vs->entry_count > vs->entry_mask)
        entries_grow(vs);
    e = core_malloc(sizeof(*e));
    struct spill_entry **bucket = &vs->entries[page_hash(heap, page_no) & vs->entry_mask];
    *e = (struct spill_entry){.heap = heap,
                              .page_no = page_no,
                              .spill = sp,
                              .newest = at,
                              .hash_next = *bucket,
                              .next = sp->entries};
    *bucket = e;
    if (sp->entries != NULL)
        sp->entries->prev = e;
    sp->entries = e;
    vs->entry_count++;
    return 0;
}

static void entry_remove(struct version_store *vs, struct spill_entry *e)
{
    struct spill_entry **at = &vs->entries[page_hash(e->heap, e->page_no) & vs->entry_mask];
    while (*at != e)
        at = &(*at)->hash_next;
    *at = e->hash_next;
    if (e->prev != NULL)
        e->prev->next = e->next;
    else
        e->spill->entries = e->next;
    if (e->next != NULL)
        e->next->prev = e->prev;
    vs->entry_count--;
    core_free(e);
}

/* ---- groups ---- */

static struct spill_group **group_place(const struct version_store *vs, file_id heap,
                                        uint32_t page_no)
{
    struct spill_group **at = &vs->groups[page_hash(heap, page_no) & (GROUP_BUCKETS - 1)];
    while (*at != NULL && ((*at)->page_no != page_no || (*at)->heap != heap))
        at = &(*at)->hash_next;
    return at;
}

static bool group_is_loaded(const struct version_store *vs, file_id heap, uint32_t page_no)
{
    const struct spill_group *g = *group_place(vs, heap, page_no);
    return g != NULL && g->state == GROUP_LOADED;
}

bool spill_is_here(const struct version_store *vs, file_id heap, row_id row)
{
    return vs->spilled == 0 || entry_first(vs, heap, row_page(row)) == NULL ||
           group_is_loaded(vs, heap, row_page(row));
}

/* All versions of a row that are older than one that is seen are seen too, so a walk over the chain
 * without the seen ones that are missing has the same end. */
bool spill_page_is_settled(const struct version_store *vs, const struct txn_view *v, file_id heap,
                           row_id row, enum spill_want want)
{
    for (struct spill_entry *e = entry_first(vs, heap, row_page(row)); e != NULL;
         e = entry_next(e->hash_next, heap, row_page(row))) {
        const struct part *p = e->spill->part;
        if (p->state != PART_COMMITTED || p->ts > v->snapshot ||
            (want == SPILL_ENTRY && e->spill->index_count != 0))
            return group_is_loaded(vs, heap, row_page(row));
    }
    return true;
}

static void group_list_put(struct version_store *vs, struct spill_group *g)
{
    g->prev = NULL;
    g->next = vs->groups_first;
    if (g->next != NULL)
        g->next->prev = g;
    else
        vs->groups_last = g;
    vs->groups_first = g;
}

static void group_list_take(struct version_store *vs, struct spill_group *g)
{
    if (g->prev != NULL)
        g->prev->next = g->next;
    else
        vs->groups_first = g->next;
    if (g->next != NULL)
        g->next->prev = g->prev;
    else
        vs->groups_last = g->prev;
}

static struct spill_group *group_make(struct version_store *vs, file_id heap, uint32_t page_no)
{
    struct spill_group *g = core_zalloc(sizeof(*g));
    g->heap = heap;
    g->page_no = page_no;
    *group_place(vs, heap, page_no) = g;
    group_list_put(vs, g);
    return g;
}

static void group_put_copy(struct version_store *vs, struct spill_group *g, struct version *v)
{
    v->copy_next = g->copies;
    g->copies = v;
    vs->copy_bytes += version_bytes(v->len);
}

static void group_take_copy(struct version_store *vs, struct spill_group *g, struct version *v)
{
    struct version **at = &g->copies;
    while (*at != v)
        at = &(*at)->copy_next;
    *at = v->copy_next;
    vs->copy_bytes -= version_bytes(v->len);
}

/* Out of table and list; the memory stays while it is held. */
static void group_forget(struct version_store *vs, struct spill_group *g)
{
    *group_place(vs, g->heap, g->page_no) = g->hash_next;
    group_list_take(vs, g);
}

static void group_empty(struct version_store *vs, struct spill_group *g)
{
    while (g->copies != NULL) {
        struct version *v = g->copies;
        group_take_copy(vs, g, v);
        version_chain_remove(vs, v);
        core_free(v);
    }
}

static void group_drop(struct version_store *vs, struct spill_group *g)
{
    ASSERT(g->holds == 0);
    group_empty(vs, g);
    group_forget(vs, g);
    core_free(g);
}

static void groups_trim(struct shard *s)
{
    struct version_store *vs = &s->versions;
    uint64_t max = MAX((uint64_t)COPY_BYTES_MIN, s->options.version_bytes_max / 8);
    struct spill_group *g = vs->groups_last;
    while (g != NULL && (vs->copy_bytes > max || g->copies == NULL)) {
        struct spill_group *prev = g->prev;
        if (prev == NULL && vs->copy_bytes <= COPY_LAST_MAX * max)
            break; /* likely wanted again at once, as by undo */
        if (g->holds == 0 && g->state == GROUP_LOADED)
            group_drop(vs, g);
        g = prev;
    }
}

void spill_hold_end(struct spill_hold *h)
{
    struct spill_group *g = h->group;
    if (g == NULL)
        return;
    h->group = NULL;
    ASSERT(g->holds > 0);
    g->holds--;
    if (g->state == GROUP_FAILED) {
        if (g->holds == 0)
            core_free(g);
        return;
    }
    groups_trim(h->shard);
}

static void hold_group(struct shard *s, struct spill_group *g, struct spill_hold *h)
{
    g->holds++;
    group_list_take(&s->versions, g);
    group_list_put(&s->versions, g);
    *h = (struct spill_hold){.shard = s, .group = g};
}

/* ---- reading streams ---- */

static file_id page_of(const struct spill *sp, uint64_t at, uint32_t *page_no)
{
    uint64_t page = at / PAYLOAD_BYTES;
    *page_no = (uint32_t)(page % SEGMENT_PAGES);
    return SPILL_FILES | sp->files[page / SEGMENT_PAGES];
}

/* from_pool: only what is in the pool; *missing then. */
SUSPENDS static err_t stream_read_wait(struct shard *s, const struct spill *sp, uint64_t at,
                                       void *out, uint32_t len, bool from_pool, bool *missing)
{
    *missing = false;
    for (uint32_t done = 0; done < len;) {
        if (sp->part == NULL || at + (len - done) > sp->tail) {
            *missing = true;
            return ERR_OK;
        }
        uint32_t page_no;
        file_id file = page_of(sp, at, &page_no);
        struct page *page;
        if (from_pool) {
            page = page_pin_cached(s->pages, file, page_no);
            if (page == NULL) {
                *missing = true;
                return ERR_OK;
            }
        } else {
            TRY(page_pin_wait(s->pages, file, page_no, &page));
        }
        uint32_t in_page = (uint32_t)(at % PAYLOAD_BYTES);
        uint32_t n = MIN(len - done, PAYLOAD_BYTES - in_page);
        memcpy((uint8_t *)out + done, page->data + PAGE_HEADER_BYTES + in_page, n);
        page_unpin(page);
        done += n;
        at += n;
    }
    return ERR_OK;
}

/* *missing: the spill has gone meanwhile, or as above. */
SUSPENDS static err_t record_read_wait(struct shard *s, const struct spill *sp, uint64_t at,
                                       bool from_pool, struct record *out, bool *missing)
{
    uint8_t b[RECORD_BYTES];
    TRY(stream_read_wait(s, sp, at, b, sizeof(b), from_pool, missing));
    if (*missing)
        return ERR_OK;
    *out = (struct record){.prev = load_u64(b),
                           .page_prev = load_u64(b + 8),
                           .head = {.serial = load_u64(b + 16),
                                    .heap = load_u64(b + 24),
                                    .row = load_u64(b + 32),
                                    .index = load_u64(b + 40),
                                    .writer = load_u64(b + 48),
                                    .seq = load_u32(b + 56),
                                    .len = load_u32(b + 60),
                                    .cell_flags = load_u16(b + 64),
                                    .first_slot = load_u16(b + 66),
                                    .last_slot = load_u16(b + 68),
                                    .kind = b[70]},
                           .flags = b[RECORD_FLAGS_AT]};
    out->head.is_bulk = (out->flags & RECORD_BULK) != 0;
    out->head.is_moved = (out->flags & RECORD_MOVED) != 0;
    out->head.is_unique = (out->flags & RECORD_UNIQUE) != 0;
    bool ok = out->head.kind >= VERSION_INSERT && out->head.kind <= VERSION_INDEX_SWEEP &&
              out->head.len <= PAGE_BYTES && out->prev < at && out->page_prev < at &&
              at + record_bytes(out->head.len) <= sp->tail;
    return ok ? ERR_OK : spill_bad(s);
}

/* ---- loading a group ---- */

struct source {
    struct spill *spill;
    uint64_t at;
};

static void spill_release(struct shard *s, struct spill *sp);

static void copies_free(struct version *copies)
{
    while (copies != NULL) {
        struct version *next = copies->copy_next;
        core_free(copies);
        copies = next;
    }
}

/* All of a source behind *end, newest first, as copies with their spill in `chain_older` for now.
 */
SUSPENDS static err_t source_read_wait(struct shard *s, const struct source *from, bool from_pool,
                                       struct version ***end, bool *missing)
{
    *missing = false;
    for (uint64_t at = from->at; at != 0;) {
        struct record r;
        TRY(record_read_wait(s, from->spill, at, from_pool, &r, missing));
        if (*missing)
            return ERR_OK;
        if ((r.flags & RECORD_DEAD) == 0) {
            struct version *v = core_malloc(sizeof(*v) + r.head.len);
            *v = r.head;
            v->is_spilled = true;
            v->spilled_at = at;
            v->chain_older = (struct version *)from->spill;
            v->copy_next = NULL;
            **end = v;
            *end = &v->copy_next;
            TRY(stream_read_wait(s, from->spill, at + RECORD_BYTES, v->bytes, v->len, from_pool,
                                 missing));
            if (*missing)
                return ERR_OK;
        }
        at = r.page_prev;
    }
    return ERR_OK;
}

/* Into the chains, unless their spill has gone. No suspension. */
static void group_fill(struct shard *s, struct spill_group *g, struct version *copies)
{
    struct version_store *vs = &s->versions;
    struct version *hint = NULL;
    while (copies != NULL) {
        struct version *v = copies;
        copies = v->copy_next;
        const struct spill *sp = (const struct spill *)v->chain_older;
        v->chain_older = NULL;
        if (sp->part == NULL) {
            core_free(v);
            continue;
        }
        v->part = sp->part;
        group_put_copy(vs, g, v);
        version_chain_add(vs, v, hint);
        hint = v;
    }
    g->state = GROUP_LOADED;
    vs->spill_loads++;
}

/* *missing only with from_pool. */
SUSPENDS static err_t group_load_wait(struct shard *s, struct spill_group *g, bool from_pool,
                                      bool *missing)
{
    struct version_store *vs = &s->versions;
    uint32_t count = 0;
    for (struct spill_entry *e = entry_first(vs, g->heap, g->page_no); e != NULL;
         e = entry_next(e->hash_next, g->heap, g->page_no))
        count++;
    struct source *sources = core_malloc((count + 1u) * sizeof(*sources));
    uint32_t n = 0;
    for (struct spill_entry *e = entry_first(vs, g->heap, g->page_no); e != NULL;
         e = entry_next(e->hash_next, g->heap, g->page_no)) {
        e->spill->readers++;
        sources[n++] = (struct source){e->spill, e->newest};
    }
    struct version *copies = NULL;
    struct version **end = &copies;
    err_t e = ERR_OK;
    *missing = false;
    for (uint32_t i = 0; i < count && e == ERR_OK && !*missing; i++) {
        e = source_read_wait(s, &sources[i], from_pool, &end, missing);
        if (from_pool || !*missing)
            continue;
        *missing = false; /* the spill has gone: nothing of it is needed */
        if (sources[i].spill->part != NULL)
            e = spill_bad(s);
    }
    if (e == ERR_OK && !*missing)
        group_fill(s, g, copies);
    else
        copies_free(copies);
    for (uint32_t i = 0; i < count; i++)
        spill_release(s, sources[i].spill);
    core_free(sources);
    return e;
}

/* A group that could not be loaded is no more; what was spilled into it meanwhile is in its spill.
 */
static void group_fail(struct version_store *vs, struct spill_group *g)
{
    group_empty(vs, g);
    group_forget(vs, g);
    g->state = GROUP_FAILED;
    wait_queue_wake_all(&g->loaded);
}

err_t spill_hold_wait(struct shard *s, file_id heap, row_id row, struct spill_hold *h)
{
    struct version_store *vs = &s->versions;
    spill_hold_end(h);
    for (;;) {
        if (entry_first(vs, heap, row_page(row)) == NULL)
            return ERR_OK;
        struct spill_group *g = *group_place(vs, heap, row_page(row));
        if (g != NULL && g->state == GROUP_LOADED) {
            hold_group(s, g, h);
            return ERR_OK;
        }
        if (core_is_borrowed())
            return err_raise(ERR_INTERNAL_WOULD_SUSPEND, "spilled versions on a borrowed core");
        if (g == NULL) {
            g = group_make(vs, heap, row_page(row));
            hold_group(s, g, h);
            bool missing;
            err_t e = group_load_wait(s, g, false, &missing);
            if (e != ERR_OK)
                group_fail(vs, g);
            else
                wait_queue_wake_all(&g->loaded);
            if (e != ERR_OK)
                spill_hold_end(h);
            return e;
        }
        hold_group(s, g, h);
        err_t e = ERR_OK;
        while (g->state == GROUP_LOADING && e == ERR_OK)
            e = wait_queue_wait(&g->loaded, UINT64_MAX);
        if (e == ERR_OK && g->state == GROUP_LOADED)
            return ERR_OK;
        spill_hold_end(h);
        TRY(e); /* who failed to load it has told; this fiber tries by itself */
    }
}

void spill_holds_end(struct spill_holds *h)
{
    for (uint32_t i = 0; i < h->count; i++)
        spill_hold_end(&h->list[i]);
    core_free(h->list);
    *h = (struct spill_holds){0};
}

err_t spill_holds_add_wait(struct shard *s, file_id heap, row_id row, struct spill_holds *h)
{
    struct spill_hold hold = {0};
    TRY(spill_hold_wait(s, heap, row, &hold));
    h->list = core_realloc(h->list, (h->count + 1u) * sizeof(*h->list));
    h->list[h->count++] = hold;
    return ERR_OK;
}

bool spill_hold_try_wait(struct shard *s, file_id heap, row_id row, struct spill_hold *h)
{
    struct version_store *vs = &s->versions;
    spill_hold_end(h);
    struct spill_group *g = *group_place(vs, heap, row_page(row));
    if (g == NULL && entry_first(vs, heap, row_page(row)) != NULL) {
        g = group_make(vs, heap, row_page(row));
        hold_group(s, g, h);
        bool missing;
        err_t e = group_load_wait(s, g, true, &missing);
        if (e != ERR_OK || missing) {
            group_fail(vs, g);
            spill_hold_end(h);
            return false;
        }
        return true;
    }
    if (g == NULL)
        return true;
    if (g->state != GROUP_LOADED)
        return false;
    hold_group(s, g, h);
    return true;
}

/* ---- life of a spill ---- */

static struct spill *spill_of(struct part *p)
{
    if (p->spill == NULL) {
        p->spill = core_zalloc(sizeof(*p->spill));
        p->spill->part = p;
        p->spill->tail = OFFSET_FIRST;
    }
    return p->spill;
}

static void files_drop(struct shard *s, struct spill *sp, uint32_t keep)
{
    while (sp->file_count > keep)
        file_drop(s->pages, SPILL_FILES | sp->files[--sp->file_count]);
}

static void spill_free(struct shard *s, struct spill *sp)
{
    files_drop(s, sp, 0);
    core_free(sp->files);
    core_free(sp->touched);
    core_free(sp);
}

static void spill_release(struct shard *s, struct spill *sp)
{
    ASSERT(sp->readers > 0);
    if (--sp->readers == 0 && sp->part == NULL)
        spill_free(s, sp);
}

static void entry_discard(struct shard *s, struct spill *sp)
{
    struct version_store *vs = &s->versions;
    struct spill_entry *e = sp->entries;
    struct spill_group *g = *group_place(vs, e->heap, e->page_no);
    struct version **at = g != NULL ? &g->copies : NULL;
    while (at != NULL && *at != NULL) {
        struct version *v = *at;
        if (v->part != sp->part) {
            at = &v->copy_next;
            continue;
        }
        *at = v->copy_next;
        vs->copy_bytes -= version_bytes(v->len);
        version_chain_remove(vs, v);
        core_free(v);
    }
    entry_remove(vs, e);
}

/* No entry is left: nobody finds it any more. */
static void spill_end(struct shard *s, struct part *p)
{
    struct spill *sp = p->spill;
    ASSERT(sp->entries == NULL);
    s->versions.spilled -= sp->count;
    s->versions.spilled_bytes -= sp->bytes;
    s->versions.bulk_inserts -= sp->bulk;
    p->spill = NULL;
    sp->part = NULL;
    if (sp->readers == 0)
        spill_free(s, sp);
}

void spill_discard(struct shard *s, struct part *p)
{
    if (p->spill == NULL)
        return;
    while (p->spill->entries != NULL)
        entry_discard(s, p->spill);
    spill_end(s, p);
}

void spill_discard_some(struct shard *s, struct part *p)
{
    for (uint32_t i = 0; i < DISCARD_BATCH && p->spill->entries != NULL; i++)
        entry_discard(s, p->spill);
    if (p->spill->entries == NULL)
        spill_end(s, p);
}

void spill_destroy(struct shard *s)
{
    struct version_store *vs = &s->versions;
    while (vs->groups_first != NULL) {
        vs->groups_first->holds = 0;
        group_drop(vs, vs->groups_first);
    }
    core_free(vs->entries);
    core_free(vs->groups);
}

void spill_show(struct version_store *vs)
{
    struct stats_page *page = stats_self();
    struct version_figures now = {.bytes = vs->bytes + vs->copy_bytes,
                                  .spilled = vs->spilled,
                                  .writes = vs->spill_writes,
                                  .loads = vs->spill_loads};
    stats_add(&page->version_bytes, now.bytes - vs->shown.bytes);
    stats_add(&page->versions_spilled, now.spilled - vs->shown.spilled);
    stats_add(&page->spill_writes, now.writes - vs->shown.writes);
    stats_add(&page->spill_reads, now.loads - vs->shown.loads);
    vs->shown = now;
}

/* ---- taking back ---- */

static bool is_of_entry(const struct version *v)
{
    return v->kind == VERSION_INDEX_ADD || v->kind == VERSION_INDEX_REMOVE;
}

/* The record counts no more. */
static void counts_remove(struct shard *s, struct spill *sp, const struct version *v)
{
    sp->count--;
    sp->bytes -= record_bytes(v->len);
    s->versions.spilled--;
    s->versions.spilled_bytes -= record_bytes(v->len);
    if (version_needs_purge_work(v))
        sp->work--;
    if (v->kind == VERSION_INDEX_REMOVE)
        sp->removes--;
    if (is_of_entry(v))
        sp->index_count--;
    if (v->is_bulk)
        sp->bulk--;
}

/* The newest record is cut off. */
static void tail_cut(struct shard *s, struct spill *sp, const struct version *v,
                     const struct record *r, uint64_t last_serial)
{
    struct spill_entry *e = entry_of(&s->versions, sp, v->heap, row_page(v->row));
    ASSERT(e != NULL);
    ASSERT(e->newest == sp->last);
    if (r->page_prev != 0)
        e->newest = r->page_prev;
    else
        entry_remove(&s->versions, e);
    sp->tail = sp->last;
    sp->last = r->prev;
    sp->last_serial = last_serial;
    if (sp->readers == 0)
        files_drop(s, sp, (uint32_t)((sp->tail + SEGMENT_BYTES - 1) / SEGMENT_BYTES));
}

err_t spill_take_wait(struct shard *s, struct version *v)
{
    struct part *p = v->part;
    struct spill *sp = p->spill;
    uint64_t at = v->spilled_at;
    bool missing = false;
    bool is_last = at == sp->last;
    struct record r = {0};
    struct record before = {0};
    struct page *page = NULL;
    sp->readers++;
    err_t e = record_read_wait(s, sp, at, false, &r, &missing);
    if (e == ERR_OK && !missing && is_last && r.prev != 0)
        e = record_read_wait(s, sp, r.prev, false, &before, &missing);
    if (e == ERR_OK && !missing && !is_last) {
        uint32_t page_no;
        file_id file = page_of(sp, at + RECORD_FLAGS_AT, &page_no);
        e = page_pin_wait(s->pages, file, page_no, &page);
    }
    sp->readers--; /* it cannot have gone: only who takes back lets it go */
    if (e == ERR_OK && (missing || sp->part == NULL || (r.flags & RECORD_DEAD) != 0))
        e = spill_bad(s);
    if (e != ERR_OK) {
        if (page != NULL)
            page_unpin(page);
        return e;
    }
    nosuspend_begin();
    if (page != NULL) {
        uint8_t *d = page_modify(page);
        d[PAGE_HEADER_BYTES + (at + RECORD_FLAGS_AT) % PAYLOAD_BYTES] |= RECORD_DEAD;
    }
    counts_remove(s, sp, v);
    struct spill_group *g = *group_place(&s->versions, v->heap, row_page(v->row));
    group_take_copy(&s->versions, g, v);
    v->is_spilled = false;
    version_list_add(&s->versions, v);
    if (page == NULL)
        tail_cut(s, sp, v, &r, before.head.serial);
    nosuspend_end();
    if (page != NULL)
        page_unpin(page);
    if (sp->count == 0)
        spill_discard(s, p);
    return ERR_OK;
}

static struct version *copy_at(const struct version_store *vs, const struct part *p, file_id heap,
                               row_id row, uint64_t at)
{
    struct version *v = version_chain(vs, heap, row);
    while (v != NULL && (!v->is_spilled || v->part != p || v->spilled_at != at))
        v = v->chain_older;
    return v;
}

SUSPENDS static err_t take_at_wait(struct shard *s, struct part *p, const struct record *r,
                                   uint64_t at)
{
    SCOPED_HOLD struct spill_hold hold = {0};
    TRY(spill_hold_wait(s, r->head.heap, r->head.row, &hold));
    struct version *v = copy_at(&s->versions, p, r->head.heap, r->head.row, at);
    return v != NULL ? spill_take_wait(s, v) : spill_bad(s);
}

err_t spill_newest_wait(struct shard *s, struct part *p)
{
    struct spill *sp = p->spill;
    if (LIKELY(sp == NULL) || (p->newest != NULL && p->newest->serial > sp->last_serial))
        return ERR_OK;
    struct record r;
    bool missing;
    uint64_t at = sp->last;
    TRY(record_read_wait(s, sp, at, false, &r, &missing));
    return missing ? spill_bad(s) : take_at_wait(s, p, &r, at);
}

err_t spill_take_work_wait(struct shard *s, struct part *p, bool entries)
{
    for (uint32_t i = 0; i < TAKE_BATCH && p->spill != NULL; i++) {
        struct spill *sp = p->spill;
        if ((entries ? sp->removes : sp->work) == 0)
            return ERR_OK;
        if (sp->cursor < OFFSET_FIRST || sp->cursor >= sp->tail)
            sp->cursor = OFFSET_FIRST;
        struct record r;
        bool missing;
        uint64_t at = sp->cursor;
        TRY(record_read_wait(s, sp, at, false, &r, &missing));
        if (missing)
            return spill_bad(s);
        if ((r.flags & RECORD_DEAD) == 0 && version_needs_purge_work(&r.head) &&
            (!entries || r.head.kind == VERSION_INDEX_REMOVE))
            TRY(take_at_wait(s, p, &r, at));
        if (p->spill == sp)
            sp->cursor = at + record_bytes(r.head.len);
    }
    return ERR_OK;
}

err_t spill_mark_bulk_wait(struct shard *s, file_id heap, row_id row, struct spill_hold *hold)
{
    TRY(spill_hold_wait(s, heap, row, hold));
    struct version *v = version_insert_of(&s->versions, heap, row);
    if (v == NULL || !v->is_spilled || v->is_bulk)
        return ERR_OK;
    uint64_t at = v->spilled_at + RECORD_FLAGS_AT;
    uint32_t page_no;
    file_id file = page_of(v->part->spill, at, &page_no);
    struct page *page;
    TRY(page_pin_wait(s->pages, file, page_no, &page));
    nosuspend_begin();
    uint8_t *d = page_modify(page);
    d[PAGE_HEADER_BYTES + at % PAYLOAD_BYTES] |= RECORD_BULK;
    v->is_bulk = true;
    v->part->spill->bulk++;
    s->versions.bulk_inserts++;
    nosuspend_end();
    page_unpin(page);
    return ERR_OK;
}

/* ---- spilling ---- */

/* Pages of a stream from its tail on, pinned. */
struct window {
    uint64_t page_first;
    uint32_t count;
    struct page *pages[WINDOW_PAGES];
};

static void window_end(struct window *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        page_unpin(w->pages[i]);
    w->count = 0;
}

/* For about so many bytes. */
SUSPENDS static err_t window_pin_wait(struct shard *s, struct spill *sp, uint64_t bytes,
                                      struct window *w)
{
    w->page_first = sp->tail / PAYLOAD_BYTES;
    w->count = 0;
    uint64_t pages = (sp->tail % PAYLOAD_BYTES + bytes) / PAYLOAD_BYTES + 1;
    while (w->count < MIN(pages, (uint64_t)WINDOW_PAGES)) {
        uint64_t page = w->page_first + w->count;
        uint32_t segment = u32_from(page / SEGMENT_PAGES);
        uint32_t page_no = (uint32_t)(page % SEGMENT_PAGES);
        if (segment == sp->file_count) {
            sp->files = core_realloc(sp->files, (segment + 1u) * sizeof(*sp->files));
            sp->files[sp->file_count++] = ++s->versions.file_next;
            file_create(s->pages, SPILL_FILES | sp->files[segment], FILE_SPILL);
        }
        file_id file = SPILL_FILES | sp->files[segment];
        struct page **out = &w->pages[w->count];
        if (page_no < file_page_count(s->pages, file))
            TRY(page_pin_wait(s->pages, file, page_no, out));
        else
            TRY(page_pin_new_wait(s->pages, file, page_no, out));
        w->count++;
    }
    return ERR_OK;
}

static void window_write(struct window *w, uint64_t at, const void *bytes, uint32_t len)
{
    for (uint32_t done = 0; done < len;) {
        uint32_t in_page = (uint32_t)((at + done) % PAYLOAD_BYTES);
        uint32_t n = MIN(len - done, PAYLOAD_BYTES - in_page);
        uint8_t *d = page_modify(w->pages[(at + done) / PAYLOAD_BYTES - w->page_first]);
        memcpy(d + PAGE_HEADER_BYTES + in_page, (const uint8_t *)bytes + done, n);
        done += n;
    }
}

bool spill_touches(const struct spill *sp, file_id file)
{
    for (uint32_t i = 0; i < sp->touched_count; i++) {
        if (sp->touched[i] == file)
            return true;
    }
    return false;
}

static void touch(struct spill *sp, file_id file)
{
    if (file == 0 || spill_touches(sp, file))
        return;
    sp->touched = core_realloc(sp->touched, (sp->touched_count + 1u) * sizeof(*sp->touched));
    sp->touched[sp->touched_count++] = file;
}

static void counts_add(struct shard *s, struct spill *sp, const struct version *v)
{
    sp->count++;
    sp->bytes += record_bytes(v->len);
    s->versions.spilled++;
    s->versions.spilled_bytes += record_bytes(v->len);
    if (version_needs_purge_work(v))
        sp->work++;
    if (v->kind == VERSION_INDEX_REMOVE)
        sp->removes++;
    if (is_of_entry(v))
        sp->index_count++;
    if (v->is_bulk)
        sp->bulk++;
    touch(sp, v->heap);
    touch(sp, v->index);
}

static void version_write(struct shard *s, struct spill *sp, struct window *w, struct version *v)
{
    struct version_store *vs = &s->versions;
    uint64_t at = sp->tail;
    uint64_t page_prev = entry_set(vs, sp, v->heap, row_page(v->row), at);
    uint8_t b[RECORD_BYTES];
    store_u64(b, sp->last);
    store_u64(b + 8, page_prev);
    store_u64(b + 16, v->serial);
    store_u64(b + 24, v->heap);
    store_u64(b + 32, v->row);
    store_u64(b + 40, v->index);
    store_u64(b + 48, v->writer);
    store_u32(b + 56, v->seq);
    store_u32(b + 60, v->len);
    store_u16(b + 64, v->cell_flags);
    store_u16(b + 66, v->first_slot);
    store_u16(b + 68, v->last_slot);
    b[70] = v->kind;
    b[RECORD_FLAGS_AT] =
        (uint8_t)((v->is_bulk ? RECORD_BULK : 0) | (v->is_moved ? RECORD_MOVED : 0) |
                  (v->is_unique ? RECORD_UNIQUE : 0));
    window_write(w, at, b, sizeof(b));
    window_write(w, at + RECORD_BYTES, v->bytes, v->len);
    sp->last = at;
    sp->last_serial = v->serial;
    sp->tail = at + record_bytes(v->len);
    counts_add(s, sp, v);
    vs->spill_writes++;
    version_list_remove(vs, v);
    struct spill_group *g = *group_place(vs, v->heap, row_page(v->row));
    if (g == NULL) {
        version_chain_remove(vs, v);
        core_free(v);
        return;
    }
    v->is_spilled = true;
    v->spilled_at = at;
    group_put_copy(vs, g, v);
}

static bool is_spillable(const struct version *v)
{
    return v->kind != VERSION_FILE_CREATE && v->kind != VERSION_FILE_DROP &&
           v->kind != VERSION_INDEX_SWEEP;
}

/* Fills the window from the part's old end; false: there was nothing (more) to take. */
static bool window_fill(struct shard *s, struct part *p, struct window *w)
{
    struct version_store *vs = &s->versions;
    struct spill *sp = p->spill;
    uint64_t end = (w->page_first + w->count) * PAYLOAD_BYTES;
    bool is_committed = p->state == PART_COMMITTED;
    struct version *v = is_committed || p->purge_at == NULL ? p->oldest : p->purge_at;
    uint64_t stay = s->options.version_bytes_max >= RECENT_BUDGET_MIN ? RECENT_VERSIONS : 0;
    uint64_t recent = vs->serial - MIN(stay, vs->serial);
    while (v != NULL && (is_committed || v->serial <= recent)) {
        struct version *next = v->newer;
        if (is_spillable(v)) {
            if (sp->tail + record_bytes(v->len) > end)
                break;
            version_write(s, sp, w, v);
        }
        v = next;
    }
    if (!is_committed)
        p->purge_at = v;
    return v != NULL && (is_committed || v->serial <= recent);
}

SUSPENDS static err_t spill_part_wait(struct shard *s, struct part *p)
{
    struct spill *sp = spill_of(p);
    sp->readers++;
    bool more = true;
    err_t e = ERR_OK;
    for (uint32_t i = 0; more && e == ERR_OK && sp->part != NULL && i < WINDOWS_PER_REST; i++) {
        struct window w;
        e = page_room_wait(s->pages);
        if (e == ERR_OK && sp->part != NULL)
            e = window_pin_wait(s, sp, p->version_bytes, &w);
        else
            w.count = 0;
        more = false;
        bool fits = w.count != 0 && sp->part != NULL && !p->is_undoing &&
                    w.page_first == sp->tail / PAYLOAD_BYTES; /* nothing was taken back meanwhile */
        if (e == ERR_OK && fits) {
            nosuspend_begin();
            more = window_fill(s, p, &w);
            nosuspend_end();
        }
        window_end(&w);
    }
    if (!more && sp->part != NULL)
        p->spill_seen = s->spill_passes;
    bool is_empty = sp->part != NULL && sp->count == 0;
    spill_release(s, sp);
    if (is_empty)
        spill_discard(s, p);
    return e;
}

bool spill_is_wanted(const struct shard *s)
{
    return s->versions.bytes > s->spill_at;
}

/* The largest. What many small ones hold is for pruning to join, as long as there is room. */
static struct part *part_choose(struct shard *s)
{
    struct part *best = NULL;
    uint64_t max = s->options.version_bytes_max;
    uint64_t bytes_min =
        s->versions.bytes < max / 8 * 7 ? MIN((uint64_t)PART_BYTES_MIN, max / 8) : 1;
    for (struct part *p = s->parts_first; p != NULL; p = p->next) {
        if (p->version_bytes >= bytes_min && !p->is_undoing && p->spill_seen != s->spill_passes &&
            (p->state != PART_COMMITTED || shard_is_settled(s, p->commit_lsn) || s->is_replaying) &&
            (best == NULL || p->version_bytes > best->version_bytes))
            best = p;
    }
    return best;
}

err_t spill_some_wait(struct shard *s)
{
    s->spill_passes++;
    uint64_t enough = s->options.version_bytes_max / 2;
    err_t e = ERR_OK;
    while (e == ERR_OK && s->versions.bytes > enough && !s->is_stopping) {
        struct part *p = part_choose(s);
        if (p == NULL)
            break;
        e = spill_part_wait(s, p);
        if (e == ERR_OK)
            e = fiber_rest_wait();
    }
    uint64_t max = s->options.version_bytes_max;
    s->spill_at = max / 4 * 3;
    if (s->versions.bytes > enough) /* not again before there is more to be had */
        s->spill_at = MAX(s->spill_at, s->versions.bytes + max / 16);
    return e;
}

/* ---- after a restart ---- */

SUSPENDS static err_t restore_one_wait(struct shard *s, struct part *p)
{
    struct spill *sp = p->spill;
    uint64_t last = sp->last;
    sp->last = 0;
    for (uint64_t at = OFFSET_FIRST; at < sp->tail;) {
        struct record r;
        bool missing;
        TRY(record_read_wait(s, sp, at, false, &r, &missing));
        if (missing || r.prev != sp->last)
            return spill_bad(s);
        uint64_t before = entry_set(&s->versions, sp, r.head.heap, row_page(r.head.row), at);
        if (before != r.page_prev)
            return spill_bad(s);
        if ((r.flags & RECORD_DEAD) == 0) {
            counts_add(s, sp, &r.head);
            if (r.head.is_bulk)
                s->versions.bulk_inserts++;
        }
        sp->last = at;
        sp->last_serial = r.head.serial;
        at += record_bytes(r.head.len);
        TRY(fiber_rest_wait());
    }
    return sp->last == last ? ERR_OK : spill_bad(s);
}

err_t spill_restore_wait(struct shard *s)
{
    for (struct part *p = s->parts_first; p != NULL; p = p->next) {
        struct spill *sp = p->spill;
        if (sp == NULL)
            continue;
        uint64_t pages = (sp->tail + PAYLOAD_BYTES - 1) / PAYLOAD_BYTES;
        if ((uint64_t)sp->file_count * SEGMENT_PAGES < pages)
            return spill_bad(s);
        TRY(restore_one_wait(s, p));
    }
    return ERR_OK;
}
