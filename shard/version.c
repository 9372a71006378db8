/*
 * The version store of a shard: undo records, each in its transaction's undo list and in the chain
 * of its row, and what a view sees through them.
 *
 * A chain is named by (heap, row) and found through a hash; its newest version is the hash entry.
 * Inserts are kept apart, one version for neighbouring rows of a page, under the page's name
 * (slot RANGE_SLOT), so that a bulk load needs one version per page. An insert is older than all
 * other versions of its row, so a row's history is: its chain, then the insert that covers it.
 *
 * No chain = visible to all. A version seen by a view hides nothing below it: what is older was
 * committed earlier or is the view's own. Part of a chain may be in files (spill.c): whoever looks
 * at one asks spill_is_settled or spill_is_here first.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

/* Rows of a page have neighbouring buckets: work in order of rows, as in replay or a change of a
 * whole table, finds several in one cache line. */
static inline uint64_t chain_hash(file_id heap, row_id row)
{
    uint64_t h = (heap * 0x9e3779b97f4a7c15u) ^ (row_page(row) * 0xc2b2ae3d27d4eb4fu);
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    return (h ^ (h >> 32)) + row_slot(row);
}

void versions_init(struct version_store *vs)
{
    *vs = (struct version_store){.mask = 4095};
    vs->buckets = core_zalloc((vs->mask + 1) * sizeof(*vs->buckets));
    spill_init(vs);
}

void versions_destroy(struct version_store *vs)
{
    core_free(vs->buckets);
    *vs = (struct version_store){0};
}

static void grow(struct version_store *vs)
{
    uint64_t mask = vs->mask * 4 + 3;
    struct version **buckets = core_zalloc((mask + 1) * sizeof(*buckets));
    for (uint64_t i = 0; i <= vs->mask; i++) {
        struct version *v = vs->buckets[i];
        while (v != NULL) {
            struct version *next = v->hash_next;
            uint64_t b = chain_hash(v->heap, v->row) & mask;
            v->hash_next = buckets[b];
            buckets[b] = v;
            v = next;
        }
    }
    core_free(vs->buckets);
    vs->buckets = buckets;
    vs->mask = mask;
}

static struct version **chain_place(const struct version_store *vs, file_id heap, row_id row)
{
    struct version **at = &vs->buckets[chain_hash(heap, row) & vs->mask];
    while (*at != NULL && ((*at)->row != row || (*at)->heap != heap))
        at = &(*at)->hash_next;
    return at;
}

struct version *version_chain(const struct version_store *vs, file_id heap, row_id row)
{
    return *chain_place(vs, heap, row);
}

struct version *version_insert_of(const struct version_store *vs, file_id heap, row_id row)
{
    struct version *v = *chain_place(vs, heap, row_make(row_page(row), RANGE_SLOT));
    for (; v != NULL; v = v->chain_older) {
        if (row_slot(row) >= v->first_slot && row_slot(row) <= v->last_slot)
            return v;
    }
    return NULL;
}

/* newer: one of the same chain with a higher serial, or NULL. */
static void chain_add_below(struct version *newer, struct version *v)
{
    while (newer->chain_older != NULL && newer->chain_older->serial > v->serial)
        newer = newer->chain_older;
    v->chain_newer = newer;
    v->chain_older = newer->chain_older;
    if (v->chain_older != NULL)
        v->chain_older->chain_newer = v;
    newer->chain_older = v;
}

void version_chain_add(struct version_store *vs, struct version *v, struct version *hint)
{
    if (hint != NULL && hint->row == v->row && hint->heap == v->heap && hint->serial > v->serial) {
        chain_add_below(hint, v);
        return;
    }
    if (vs->chains > vs->mask)
        grow(vs);
    struct version **at = chain_place(vs, v->heap, v->row);
    struct version *head = *at;
    if (head == NULL) {
        vs->chains++;
        *at = v;
        return;
    }
    if (LIKELY(head->serial < v->serial)) {
        v->hash_next = head->hash_next;
        v->chain_older = head;
        head->chain_newer = v;
        head->hash_next = NULL;
        *at = v;
        return;
    }
    chain_add_below(head, v);
}

void version_chain_remove(struct version_store *vs, struct version *v)
{
    if (v->chain_newer == NULL) {
        struct version **at = chain_place(vs, v->heap, v->row);
        ASSERT(*at == v);
        if (v->chain_older != NULL) {
            v->chain_older->hash_next = v->hash_next;
            v->chain_older->chain_newer = NULL;
            *at = v->chain_older;
        } else {
            *at = v->hash_next;
            vs->chains--;
        }
    } else {
        v->chain_newer->chain_older = v->chain_older;
        if (v->chain_older != NULL)
            v->chain_older->chain_newer = v->chain_newer;
    }
}

static void part_list_add(struct part *p, struct version *v)
{
    v->part = p;
    v->newer = NULL;
    v->older = p->newest;
    if (p->newest != NULL)
        p->newest->newer = v;
    else
        p->oldest = v;
    p->newest = v;
    p->version_count++;
    p->version_bytes += version_bytes(v->len);
    if (version_needs_purge_work(v))
        p->purge_work++;
    if (v->kind == VERSION_FILE_CREATE || v->kind == VERSION_FILE_DROP)
        p->file_versions++;
}

static void part_list_remove(struct version *v)
{
    struct part *p = v->part;
    if (v->newer != NULL)
        v->newer->older = v->older;
    else
        p->newest = v->older;
    if (v->older != NULL)
        v->older->newer = v->newer;
    else
        p->oldest = v->newer;
    if (p->purge_at == v)
        p->purge_at = v->newer;
    p->version_count--;
    p->version_bytes -= version_bytes(v->len);
    if (version_needs_purge_work(v))
        p->purge_work--;
    if (v->kind == VERSION_FILE_CREATE || v->kind == VERSION_FILE_DROP)
        p->file_versions--;
}

void version_list_add(struct version_store *vs, struct version *v)
{
    part_list_add(v->part, v);
    vs->count++;
    vs->bytes += version_bytes(v->len);
}

void version_list_remove(struct version_store *vs, struct version *v)
{
    part_list_remove(v);
    vs->count--;
    vs->bytes -= version_bytes(v->len);
}

static struct version *version_add(struct version_store *vs, struct part *p,
                                   const struct version *head, const void *bytes)
{
    struct version *v = core_malloc(sizeof(*v) + head->len);
    *v = *head;
    v->part = p;
    if (v->len != 0)
        memcpy(v->bytes, bytes, v->len);
    version_chain_add(vs, v, NULL);
    version_list_add(vs, v);
    if (UNLIKELY(v->kind == VERSION_INDEX_SWEEP)) {
        if (p->sweep_count == p->sweep_capacity) {
            p->sweep_capacity = p->sweep_capacity * 2 + 8;
            p->sweeps = core_realloc(p->sweeps, p->sweep_capacity * sizeof(struct version *));
        }
        p->sweeps[p->sweep_count++] = v;
    }
    return v;
}

struct version *version_push(struct version_store *vs, struct part *p, enum version_kind kind,
                             uint32_t seq, file_id heap, row_id row, const void *bytes,
                             uint32_t len)
{
    struct version head = {.serial = ++vs->serial,
                           .seq = seq,
                           .kind = (uint8_t)kind,
                           .heap = heap,
                           .row = row,
                           .len = len};
    return version_add(vs, p, &head, bytes);
}

struct version *version_restore(struct version_store *vs, struct part *p,
                                const struct version *head, const void *bytes)
{
    vs->serial = MAX(vs->serial, head->serial);
    if (head->is_bulk)
        vs->bulk_inserts++;
    return version_add(vs, p, head, bytes);
}

void version_push_insert(struct version_store *vs, struct part *p, uint32_t seq, file_id heap,
                         row_id row)
{
    row_id name = row_make(row_page(row), RANGE_SLOT);
    struct version *last = p->newest;
    if (last != NULL && last->kind == VERSION_INSERT && last->seq == seq && last->heap == heap &&
        last->row == name && row_slot(row) == last->last_slot + 1u) {
        last->last_slot = row_slot(row);
        return;
    }
    struct version *v = version_push(vs, p, VERSION_INSERT, seq, heap, name, NULL, 0);
    v->first_slot = v->last_slot = row_slot(row);
}

txn_id_t version_txn(const struct version *v)
{
    return v->is_moved ? v->writer : v->part->id;
}

void version_move(struct version *v, struct part *to)
{
    ASSERT(v->kind != VERSION_INDEX_SWEEP);
    ASSERT(to->state == PART_COMMITTED);
    v->writer = version_txn(v); /* what stood there was for undo */
    v->is_moved = true;
    part_list_remove(v);
    part_list_add(to, v);
}

void version_drop(struct version_store *vs, struct version *v)
{
    struct part *p = v->part;
    ASSERT(!v->is_spilled);
    version_chain_remove(vs, v);
    version_list_remove(vs, v);
    if (UNLIKELY(v->kind == VERSION_INDEX_SWEEP)) {
        uint32_t i = p->sweep_count; /* undo drops the last one, purge the first */
        if (p->sweeps[0] == v)
            i = 1;
        while (p->sweeps[i - 1] != v)
            i--;
        memmove(&p->sweeps[i - 1], &p->sweeps[i], (p->sweep_count - i) * sizeof(struct version *));
        p->sweep_count--;
    }
    if (v->is_bulk)
        vs->bulk_inserts--;
    core_free(v);
}

void version_mark_bulk(struct version_store *vs, struct version *insert)
{
    ASSERT(insert->kind == VERSION_INSERT);
    if (insert->is_bulk)
        return;
    ASSERT(!insert->is_spilled);
    vs->bulk_inserts++;
    insert->is_bulk = true;
}

bool version_needs_purge_work(const struct version *v)
{
    return v->kind == VERSION_DELETE || v->kind == VERSION_CHUNK_DROP ||
           v->kind == VERSION_INDEX_REMOVE || v->kind == VERSION_FILE_DROP;
}

bool version_is_for_purge(const struct version *v)
{
    return version_needs_purge_work(v) || v->kind == VERSION_INDEX_ADD;
}

enum sight version_sight(struct shard *s, struct txn_view *v, const struct version *ver)
{
    const struct part *p = ver->part;
    if (p->id == v->id)
        return ver->seq < v->seq ? SIGHT_SEEN : SIGHT_UNSEEN;
    if (p->state == PART_COMMITTED) {
        if (p->ts > v->snapshot + (DEFECT(SNAPSHOT_OFF_BY_ONE) ? 1 : 0))
            return SIGHT_UNSEEN;
        if (p->commit_lsn > v->observed && !shard_is_settled(s, p->commit_lsn))
            v->observed = p->commit_lsn;
        return SIGHT_SEEN;
    }
    if (p->state == PART_PREPARED && p->floor < v->snapshot)
        return SIGHT_WAIT;
    return SIGHT_UNSEEN;
}

struct row_sight row_see(struct shard *s, struct txn_view *v, file_id heap, row_id row,
                         bool cell_is_live)
{
    struct row_sight r = {.is_live = cell_is_live};
    struct version *ver = version_chain(&s->versions, heap, row);
    for (; ver != NULL; ver = ver->chain_older) {
        if (ver->kind != VERSION_UPDATE && ver->kind != VERSION_DELETE)
            continue;
        switch (version_sight(s, v, ver)) {
        case SIGHT_SEEN:
            return r;
        case SIGHT_WAIT:
            r.wait = ver->part;
            return r;
        case SIGHT_UNSEEN:
            r.is_live = true;
            if (ver->kind == VERSION_UPDATE)
                r.image = ver;
            break;
        }
    }
    ver = version_insert_of(&s->versions, heap, row);
    if (ver != NULL) {
        switch (version_sight(s, v, ver)) {
        case SIGHT_SEEN:
            break;
        case SIGHT_WAIT:
            r.wait = ver->part;
            break;
        case SIGHT_UNSEEN:
            r.is_live = false;
            break;
        }
    }
    return r;
}

bool index_entry_see(struct shard *s, struct txn_view *v, file_id index, file_id heap,
                     const uint8_t *prefix, uint32_t prefix_len, const uint8_t *suffix,
                     uint32_t suffix_len, row_id row, struct part **wait)
{
    *wait = NULL;
    if (s->versions.count == 0 && s->versions.spilled == 0)
        return true;
    struct version *ver = version_chain(&s->versions, heap, row);
    const struct version *oldest = NULL;
    for (; ver != NULL; ver = ver->chain_older) {
        if (ver->kind != VERSION_INDEX_ADD && ver->kind != VERSION_INDEX_REMOVE)
            continue;
        if (ver->index != index || ver->len != prefix_len + suffix_len ||
            memcmp(ver->bytes, prefix, prefix_len) != 0 ||
            memcmp(ver->bytes + prefix_len, suffix, suffix_len) != 0)
            continue;
        switch (version_sight(s, v, ver)) {
        case SIGHT_SEEN:
            return ver->kind == VERSION_INDEX_ADD;
        case SIGHT_WAIT:
            *wait = ver->part;
            return false;
        case SIGHT_UNSEEN:
            oldest = ver;
            break;
        }
    }
    if (oldest != NULL && oldest->kind == VERSION_INDEX_ADD)
        return false;
    if (LIKELY(s->versions.bulk_inserts == 0))
        return true;
    /* An entry added in bulk appeared with its row. */
    ver = version_insert_of(&s->versions, heap, row);
    if (ver == NULL || !ver->is_bulk)
        return true;
    switch (version_sight(s, v, ver)) {
    case SIGHT_SEEN:
        return true;
    case SIGHT_WAIT:
        *wait = ver->part;
        return false;
    case SIGHT_UNSEEN:
        break;
    }
    return false;
}

static bool is_same_entry(const struct version *a, const struct version *b)
{
    return (a->kind == VERSION_INDEX_ADD || a->kind == VERSION_INDEX_REMOVE) &&
           a->index == b->index && a->len == b->len && memcmp(a->bytes, b->bytes, b->len) == 0;
}

struct version *version_index_newer(const struct version *v)
{
    struct version *n = v->chain_newer;
    while (n != NULL && !is_same_entry(n, v))
        n = n->chain_newer;
    return n;
}

struct version *version_index_older(const struct version *v)
{
    struct version *n = v->chain_older;
    while (n != NULL && !is_same_entry(n, v))
        n = n->chain_older;
    return n;
}
