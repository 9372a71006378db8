/*
 * Serializable transactions: optimistic, validated at commit (backward validation, as in Kung and
 * Robinson 1981, by rows and key ranges). A transaction reads its snapshot; each shard notes what
 * it read there: rows by address, key ranges of indexes, whole heaps of sequential scans. When a
 * transaction that wrote commits, nothing that it read may have been changed by a serializable
 * transaction that committed after its snapshot; then the order of commits is a serial order, and
 * who wrote nothing stands at the place of its snapshot and needs no validation.
 *
 * Over several shards the check and the timestamp are not one step. So a set of reads that was
 * checked stays, marked, until the timestamp is taken; meanwhile no serializable writer whose
 * changes it covers may commit here. And whoever meets a prepared writer, whose timestamp is not
 * known, takes it for one that came first. Both give a conflict (40001) where there may be one.
 *
 * An insert with uniqueness also tells something, of the moment and not of the snapshot: that the
 * key was there, or, when it succeeded and was then taken back to a savepoint, that it was not. Who
 * has learned that has a place at its commit, since a record of the attempt is in the log; until
 * then a present key may not have been removed, an absent one not have been added. An insert that
 * stays needs no note: others wait for its end.
 *
 * One that its user prepares is validated then, since its commit may not fail. Its reads stay, as
 * those of a commit under way: till it has ended, who changes what it read gets 40001. Who has read
 * what it changed comes before it in the order, and may commit; but not if that is prepared too.
 * Its commit waits for those under way that have read what it changed. What it read is in the log
 * and in checkpoints.
 *
 * Changes of transactions of weaker levels are not looked at, as in PostgreSQL. Stricter than
 * PostgreSQL: one read that was overtaken is enough, there need not be a second one beside it.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

enum {
    FILE_USER_MIN = 16384, /* file numbers below hold the catalog, which has its own rules */
    RANGES_MAX = 4096,     /* of one set; then the index counts as read whole */
    ROWS_MAX = 1 << 16,    /* then the heap does */
    SET_BUCKETS = 256,
};

struct read_row {
    file_id heap; /* 0 = free place */
    row_id row;
};

enum {
    HITS_ADDS = 1,
    HITS_REMOVES = 2,
    HITS_ALL = HITS_ADDS | HITS_REMOVES,
};

struct read_range {
    file_id index;
    ts_t since;   /* commits up to here do not touch it; at least those of the snapshot do not */
    uint8_t hits; /* which changes do */
    bool has_low;
    bool has_high;
    bool low_exclusive;
    bool high_inclusive;
    uint32_t low_len;
    uint32_t high_len;
    uint8_t *bytes; /* low, high */
};

struct read_set {
    txn_id_t id;
    ts_t snapshot; /* the oldest it read by */
    bool is_checked;
    bool is_held; /* its transaction is prepared by its user: checked for good */
    struct read_set *hash_next;
    struct read_set *checked_prev;
    struct read_set *checked_next;
    file_id *heaps; /* read whole */
    uint32_t heap_count;
    struct read_range *ranges;
    uint32_t range_count;
    uint32_t range_capacity;
    struct read_row *rows;
    uint32_t row_count;
    uint32_t row_mask;
};

struct serial {
    struct read_set *buckets[SET_BUCKETS];
    struct read_set *checked;
    struct part *committed; /* serializable writers, newest first */
    struct part *prepared;
    struct part *held;
    struct wait_queue checked_over; /* a checked set has gone, or is held */
};

static struct serial *serial_of(struct shard *s)
{
    if (s->serial == NULL)
        s->serial = core_zalloc(sizeof(*s->serial));
    return s->serial;
}

static struct read_set **set_place(struct serial *z, txn_id_t id)
{
    struct read_set **at = &z->buckets[id % SET_BUCKETS];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->hash_next;
    return at;
}

static void set_free(struct read_set *r)
{
    for (uint32_t i = 0; i < r->range_count; i++)
        core_free(r->ranges[i].bytes);
    core_free(r->ranges);
    core_free(r->heaps);
    core_free(r->rows);
    core_free(r);
}

void serial_destroy(struct shard *s)
{
    if (s->serial == NULL)
        return;
    for (uint32_t i = 0; i < SET_BUCKETS; i++) {
        while (s->serial->buckets[i] != NULL) {
            struct read_set *r = s->serial->buckets[i];
            s->serial->buckets[i] = r->hash_next;
            set_free(r);
        }
    }
    core_free(s->serial);
    s->serial = NULL;
}

void serial_reads_drop(struct shard *s, txn_id_t id)
{
    struct serial *z = s->serial;
    if (z == NULL)
        return;
    struct read_set **at = set_place(z, id);
    struct read_set *r = *at;
    if (r == NULL)
        return;
    *at = r->hash_next;
    if (r->is_checked) {
        if (r->checked_prev != NULL)
            r->checked_prev->checked_next = r->checked_next;
        else
            z->checked = r->checked_next;
        if (r->checked_next != NULL)
            r->checked_next->checked_prev = r->checked_prev;
        wait_queue_wake_all(&z->checked_over);
    }
    set_free(r);
}

/* ---- noting what is read ---- */

static struct read_set *set_of(struct shard *s, txn_id_t id, ts_t snapshot)
{
    struct read_set **at = set_place(serial_of(s), id);
    if (*at == NULL) {
        *at = core_zalloc(sizeof(**at));
        (*at)->id = id;
        (*at)->snapshot = snapshot;
    }
    (*at)->snapshot = MIN((*at)->snapshot, snapshot);
    return *at;
}

static struct read_set *set_for(struct shard *s, const struct txn_view *v, file_id file)
{
    if (LIKELY(v->isolation != SERIALIZABLE) || v->id == 0 || (uint32_t)file < FILE_USER_MIN)
        return NULL;
    ASSERT(v->shard_no == s->number); /* the coordinator knows of no other */
    return set_of(s, v->id, v->snapshot);
}

static bool heap_is_whole(const struct read_set *r, file_id heap)
{
    for (uint32_t i = 0; i < r->heap_count; i++) {
        if (r->heaps[i] == heap)
            return true;
    }
    return false;
}

static void note_heap(struct read_set *r, file_id heap)
{
    if (heap_is_whole(r, heap))
        return;
    r->heaps = core_realloc(r->heaps, (r->heap_count + 1u) * sizeof(*r->heaps));
    r->heaps[r->heap_count++] = heap;
}

void serial_note_heap(struct shard *s, const struct txn_view *v, file_id heap)
{
    struct read_set *r = set_for(s, v, heap);
    if (r != NULL)
        note_heap(r, heap);
}

static struct read_row *row_place(const struct read_set *r, file_id heap, row_id row)
{
    uint64_t h = (heap ^ row) * 0x9e3779b97f4a7c15u;
    uint32_t i = (uint32_t)(h >> 32) & r->row_mask;
    while (r->rows[i].heap != 0 && (r->rows[i].heap != heap || r->rows[i].row != row))
        i = (i + 1) & r->row_mask;
    return &r->rows[i];
}

static void rows_grow(struct read_set *r)
{
    enum { MASK_FIRST = 15 };
    struct read_row *old = r->rows;
    uint32_t old_places = old != NULL ? r->row_mask + 1 : 0;
    r->row_mask = old != NULL ? r->row_mask * 2 + 1 : MASK_FIRST;
    r->rows = core_zalloc((r->row_mask + 1u) * sizeof(*r->rows));
    for (uint32_t i = 0; i < old_places; i++) {
        if (old[i].heap != 0)
            *row_place(r, old[i].heap, old[i].row) = old[i];
    }
    core_free(old);
}

static void note_row(struct read_set *r, file_id heap, row_id row)
{
    if (heap_is_whole(r, heap))
        return;
    if (r->row_count >= ROWS_MAX) {
        note_heap(r, heap);
        return;
    }
    if (r->rows == NULL || r->row_count * 2 > r->row_mask)
        rows_grow(r);
    struct read_row *at = row_place(r, heap, row);
    if (at->heap != 0)
        return;
    *at = (struct read_row){.heap = heap, .row = row};
    r->row_count++;
}

void serial_note_row(struct shard *s, const struct txn_view *v, file_id heap, row_id row)
{
    struct read_set *r = set_for(s, v, heap);
    if (r != NULL)
        note_row(r, heap, row);
}

static bool range_is_same(const struct read_range *a, file_id index, const struct index_range *b)
{
    return a->index == index && a->has_low == (b->low != NULL) &&
           a->has_high == (b->high != NULL) && a->low_exclusive == b->low_exclusive &&
           a->high_inclusive == b->high_inclusive &&
           (b->low == NULL ||
            (a->low_len == b->low_len && memcmp(a->bytes, b->low, a->low_len) == 0)) &&
           (b->high == NULL || (a->high_len == b->high_len &&
                                memcmp(a->bytes + a->low_len, b->high, a->high_len) == 0));
}

/* Does what is noted already stand for this too? */
static bool range_covers(const struct read_range *a, ts_t since, uint8_t hits)
{
    return a->since <= since && (a->hits & hits) == hits;
}

static void note_range(struct read_set *r, file_id index, const struct index_range *range,
                       ts_t since, uint8_t hits)
{
    for (uint32_t i = r->range_count; i-- > 0 && i + 8 >= r->range_count;) {
        if (range_is_same(&r->ranges[i], index, range) && range_covers(&r->ranges[i], since, hits))
            return; /* the same look-up again, as in a join */
    }
    static const struct index_range whole;
    if (r->range_count >= RANGES_MAX) {
        for (uint32_t i = 0; i < r->range_count; i++) {
            if (r->ranges[i].index == index && !r->ranges[i].has_low && !r->ranges[i].has_high &&
                range_covers(&r->ranges[i], since, hits))
                return;
        }
        range = &whole;
    }
    if (r->range_count == r->range_capacity) {
        r->range_capacity = r->range_capacity == 0 ? 8 : r->range_capacity * 2;
        r->ranges = core_realloc(r->ranges, r->range_capacity * sizeof(*r->ranges));
    }
    uint32_t low_len = range->low != NULL ? range->low_len : 0;
    uint32_t high_len = range->high != NULL ? range->high_len : 0;
    uint8_t *bytes = core_malloc(low_len + high_len + 1u);
    if (low_len != 0)
        memcpy(bytes, range->low, low_len);
    if (high_len != 0)
        memcpy(bytes + low_len, range->high, high_len);
    r->ranges[r->range_count++] = (struct read_range){.index = index,
                                                      .since = since,
                                                      .hits = hits,
                                                      .has_low = range->low != NULL,
                                                      .has_high = range->high != NULL,
                                                      .low_exclusive = range->low_exclusive,
                                                      .high_inclusive = range->high_inclusive,
                                                      .low_len = low_len,
                                                      .high_len = high_len,
                                                      .bytes = bytes};
}

void serial_note_range(struct shard *s, const struct txn_view *v, file_id index,
                       const struct index_range *range)
{
    struct read_set *r = set_for(s, v, index);
    if (r != NULL)
        note_range(r, index, range, 0, HITS_ALL);
}

static struct index_range key_range(const uint8_t *key, uint32_t len)
{
    return (struct index_range){
        .low = key, .low_len = len, .high = key, .high_len = len, .high_inclusive = true};
}

void serial_note_present(struct shard *s, const struct txn_view *v, file_id index,
                         const uint8_t *key, uint32_t len)
{
    struct read_set *r = set_for(s, v, index);
    struct index_range range = key_range(key, len);
    if (r != NULL)
        note_range(r, index, &range, shared_commit_read(), HITS_REMOVES);
}

void serial_note_absent(struct shard *s, const struct part *p, file_id index, const uint8_t *key,
                        uint32_t len)
{
    if ((uint32_t)index < FILE_USER_MIN)
        return;
    ts_t now = shared_commit_read();
    struct index_range range = key_range(key, len);
    note_range(set_of(s, p->id, now), index, &range, now, HITS_ADDS);
}

/* ---- does a writer's change touch what was read? ---- */

static bool range_has(const struct read_range *r, const uint8_t *key, uint32_t len)
{
    if (r->has_low) {
        int c = memcmp(key, r->bytes, MIN(len, r->low_len));
        if (c < 0 || (c == 0 && (len < r->low_len || r->low_exclusive)))
            return false;
    }
    if (r->has_high) {
        int c = memcmp(key, r->bytes + r->low_len, MIN(len, r->high_len));
        if (c > 0 || (c == 0 && len >= r->high_len && !r->high_inclusive))
            return false;
    }
    return true;
}

static bool ranges_hit(const struct read_set *r, const struct version *v, ts_t ts)
{
    uint8_t change = v->kind == VERSION_INDEX_REMOVE ? HITS_REMOVES : HITS_ADDS;
    for (uint32_t i = 0; i < r->range_count; i++) {
        const struct read_range *range = &r->ranges[i];
        if (range->index == v->index && (range->hits & change) != 0 && ts > range->since &&
            (v->kind == VERSION_INDEX_SWEEP || range_has(range, v->bytes, v->len)))
            return true;
    }
    return false;
}

/* ts: of the writer's commit; UINT64_MAX: it is to come. */
static bool version_hits(const struct read_set *r, const struct version *v, ts_t ts)
{
    switch ((enum version_kind)v->kind) {
    case VERSION_INSERT:
        return heap_is_whole(r, v->heap);
    case VERSION_UPDATE:
    case VERSION_DELETE:
        return heap_is_whole(r, v->heap) ||
               (r->rows != NULL && row_place(r, v->heap, v->row)->heap != 0);
    case VERSION_INDEX_ADD:
    case VERSION_INDEX_REMOVE:
    case VERSION_INDEX_SWEEP: /* many entries without a version each: any range may have some */
        return ranges_hit(r, v, ts);
    case VERSION_CHUNK_ADD:
    case VERSION_CHUNK_DROP:
    case VERSION_FILE_CREATE:
    case VERSION_FILE_DROP:
        break;
    }
    return false;
}

/* What is in files only is known by the files that it touches. */
static bool spill_hits(const struct read_set *r, const struct spill *sp)
{
    for (uint32_t i = 0; i < r->heap_count; i++) {
        if (spill_touches(sp, r->heaps[i]))
            return true;
    }
    for (uint32_t i = 0; i < r->range_count; i++) {
        if (spill_touches(sp, r->ranges[i].index))
            return true;
    }
    for (uint32_t i = 0; r->rows != NULL && i <= r->row_mask; i++) {
        if (r->rows[i].heap != 0 && spill_touches(sp, r->rows[i].heap))
            return true;
    }
    return false;
}

static bool part_hits(const struct read_set *r, const struct part *p)
{
    ts_t ts = p->state == PART_COMMITTED ? p->ts : UINT64_MAX;
    if (p->spill != NULL && spill_hits(r, p->spill))
        return true;
    for (const struct version *v = p->newest; v != NULL; v = v->older) {
        if (version_hits(r, v, ts))
            return true;
    }
    return false;
}

static COLD err_t conflict(const char *reason)
{
    err_t e = err_raise(ERR_T_R_SERIALIZATION_FAILURE,
                        "could not serialize access due to read/write dependencies among "
                        "transactions");
    err_detail("Reason code: %s.", reason);
    err_hint("The transaction might succeed if retried.");
    return e;
}

static void set_stays(struct serial *z, struct read_set *r)
{
    if (r->is_checked)
        return;
    r->is_checked = true;
    r->checked_prev = NULL;
    r->checked_next = z->checked;
    if (z->checked != NULL)
        z->checked->checked_prev = r;
    z->checked = r;
}

err_t serial_check(struct shard *s, txn_id_t id, const struct part *own, bool stays)
{
    struct serial *z = s->serial;
    if (z == NULL)
        return ERR_OK;
    struct read_set *r = *set_place(z, id);
    if (r != NULL && !r->is_held) {
        /* The list is in the order of stamping: behind one that was stamped before the snapshot
         * all were. */
        for (const struct part *p = z->committed; p != NULL && p->serial_at > r->snapshot;
             p = p->serial_next) {
            if (p->id != id && p->ts > r->snapshot && part_hits(r, p))
                return conflict("Canceled on commit attempt with a read overtaken by a commit");
        }
        for (const struct part *p = z->prepared; p != NULL; p = p->serial_next) {
            if (p->id != id && part_hits(r, p))
                return conflict("Canceled on commit attempt with a read of a row being committed");
        }
    }
    bool looks = own != NULL && !own->is_held;
    for (const struct read_set *c = z->checked; looks && c != NULL; c = c->checked_next) {
        if (c->id != id && part_hits(c, own))
            return conflict("Canceled on commit attempt with a change of a row that a transaction "
                            "being committed has read");
    }
    if (r != NULL && stays)
        set_stays(z, r);
    return ERR_OK;
}

/* ---- writers ---- */

static void list_put(struct part **list, struct part *p)
{
    p->serial_list = list;
    p->serial_prev = NULL;
    p->serial_next = *list;
    if (*list != NULL)
        (*list)->serial_prev = p;
    *list = p;
    p->serial_at = shared_commit_read();
}

void serial_forget_part(struct part *p)
{
    if (p->serial_list == NULL)
        return;
    if (p->serial_prev != NULL)
        p->serial_prev->serial_next = p->serial_next;
    else
        *p->serial_list = p->serial_next;
    if (p->serial_next != NULL)
        p->serial_next->serial_prev = p->serial_prev;
    p->serial_list = NULL;
}

void serial_note_prepared(struct shard *s, struct part *p)
{
    serial_forget_part(p);
    if (p->is_serializable)
        list_put(&serial_of(s)->prepared, p);
}

void serial_note_committed(struct shard *s, struct part *p)
{
    serial_forget_part(p);
    if (p->is_serializable && !part_is_empty(p))
        list_put(&serial_of(s)->committed, p);
}

/* ---- prepared by their users ---- */

err_t serial_hold(struct shard *s, struct part *p)
{
    if (s->serial == NULL && !p->is_serializable)
        return ERR_OK;
    TRY(serial_check(s, p->id, p->is_serializable ? p : NULL, true));
    struct serial *z = serial_of(s);
    struct read_set *r = *set_place(z, p->id);
    for (const struct part *q = z->held; r != NULL && q != NULL; q = q->serial_next) {
        if (part_hits(r, q))
            return conflict("Canceled on prepare with a read of a row that a prepared transaction "
                            "has changed");
    }
    if (r != NULL) {
        r->is_held = true;
        wait_queue_wake_all(&z->checked_over);
    }
    serial_hold_again(s, p);
    return ERR_OK;
}

void serial_hold_again(struct shard *s, struct part *p)
{
    serial_forget_part(p);
    if (p->is_serializable)
        list_put(&serial_of(s)->held, p);
}

bool serial_may_commit(const struct shard *s, const struct part *p)
{
    if (LIKELY(!p->is_held) || !p->is_serializable || s->serial == NULL)
        return true;
    for (const struct read_set *c = s->serial->checked; c != NULL; c = c->checked_next) {
        if (!c->is_held && c->id != p->id && part_hits(c, p))
            return false;
    }
    return true;
}

err_t serial_checked_wait(struct shard *s)
{
    return wait_queue_wait(&s->serial->checked_over, UINT64_MAX);
}

/* u8 is_serializable; u32 heaps, each u64; u32 rows, each u64 heap, u64 row; u32 ranges, each u64
 * index, u8 hits, u8 has_low, u8 has_high, u8 low_exclusive, u8 high_inclusive, u32 low, u32 high,
 * bytes. */
void serial_held_write(struct shard *s, const struct part *p, struct byte_writer *w)
{
    static const struct read_set none;
    const struct read_set *r = s->serial != NULL ? *set_place(s->serial, p->id) : NULL;
    if (r == NULL && !p->is_serializable)
        return;
    r = r != NULL ? r : &none;
    write_u8(w, p->is_serializable ? 1 : 0);
    write_u32(w, r->heap_count);
    for (uint32_t i = 0; i < r->heap_count; i++)
        write_u64(w, r->heaps[i]);
    write_u32(w, r->row_count);
    for (uint32_t i = 0; r->rows != NULL && i <= r->row_mask; i++) {
        if (r->rows[i].heap == 0)
            continue;
        write_u64(w, r->rows[i].heap);
        write_u64(w, r->rows[i].row);
    }
    write_u32(w, r->range_count);
    for (uint32_t i = 0; i < r->range_count; i++) {
        const struct read_range *x = &r->ranges[i];
        write_u64(w, x->index);
        write_u8(w, x->hits);
        write_u8(w, x->has_low ? 1 : 0);
        write_u8(w, x->has_high ? 1 : 0);
        write_u8(w, x->low_exclusive ? 1 : 0);
        write_u8(w, x->high_inclusive ? 1 : 0);
        write_u32(w, x->low_len);
        write_u32(w, x->high_len);
        write_bytes(w, x->bytes, x->low_len + x->high_len);
    }
}

static void read_held_range(struct read_set *set, struct byte_reader *r)
{
    file_id index = read_u64(r);
    uint8_t hits = read_u8(r);
    bool has_low = read_u8(r) != 0;
    bool has_high = read_u8(r) != 0;
    struct index_range range = {.low_exclusive = read_u8(r) != 0};
    range.high_inclusive = read_u8(r) != 0;
    range.low_len = read_u32(r);
    range.high_len = read_u32(r);
    const uint8_t *low = read_bytes(r, range.low_len);
    const uint8_t *high = read_bytes(r, range.high_len);
    if (r->is_bad)
        return;
    range.low = has_low ? low : NULL;
    range.high = has_high ? high : NULL;
    note_range(set, index, &range, 0, hits);
}

bool serial_held_read(struct shard *s, struct part *p)
{
    if (p->held_reads.len == 0 || DEFECT(HELD_READS_LOST))
        return true;
    struct byte_reader r = {.at = p->held_reads.bytes,
                            .end = p->held_reads.bytes + p->held_reads.len};
    serial_reads_drop(s, p->id);
    struct read_set *set = set_of(s, p->id, 0);
    p->is_serializable = read_u8(&r) != 0;
    uint32_t heaps = read_u32(&r);
    for (uint32_t i = 0; i < heaps && !r.is_bad; i++)
        note_heap(set, read_u64(&r));
    uint32_t rows = read_u32(&r);
    for (uint32_t i = 0; i < rows && !r.is_bad; i++) {
        file_id heap = read_u64(&r);
        row_id row = read_u64(&r);
        if (!r.is_bad && heap != 0)
            note_row(set, heap, row);
    }
    uint32_t ranges = read_u32(&r);
    for (uint32_t i = 0; i < ranges && !r.is_bad; i++)
        read_held_range(set, &r);
    set->is_held = true;
    set_stays(s->serial, set);
    serial_hold_again(s, p);
    return !r.is_bad && r.at == r.end;
}
