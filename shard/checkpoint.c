/*
 * Checkpoints. In one no-suspend section: the instant cut of the page store, the end of the log,
 * and the state that is not in pages. Since every change is atomic with its log record and its undo
 * version, the three agree. Then log, pages and superblock are written in the background.
 *
 * State blob: u32 magic, u64 highest txn id, u64 highest ts, u64 serial of versions, u32 number of
 * spill files given out, then
 *   u32 parts, each: u64 id, u64 last id, u8 state, u64 ts, u64 floor, u64 commit lsn, u32
 *     participants, u32 each, u32 spill files, u32 each, if any: u64 tail, u64 last record,
 *     u32 versions (oldest first), each: u8 kind, u8 flags, u64 serial, u32 seq, u64 heap, u64 row,
 *       u64 index, u64 writer, u16 cell flags, u16 first slot, u16 last slot, u32 len, bytes
 *   u32 finished, each: u64 id, u64 ts, u64 lsn
 *   u32 prepared by users, each: u64 id, u8 is_held, u32 len, info, u32 locks, each: u64 heap,
 *     u64 row, u16 modes
 *   u32 shards, each: u64 how far its log was settled
 *   u32 serializable ones prepared by users, each: u64 id, u32 len, what it has read
 * Committed parts come first, in the order of the purge queue, with those versions only that purge
 * needs: after a crash there is no snapshot that could look at the others. What is spilled is in
 * pages, which the cut covers.
 */
#include "shard/shard_priv.h"

enum { STATE_MAGIC = 0x32504350, VERSION_BULK = 1, VERSION_MOVED = 2, SPILL_FILES_MAX = 1 << 24 };

static bool is_kept(const struct part *p, const struct version *v)
{
    return p->state != PART_COMMITTED || version_is_for_purge(v);
}

static void put_version(struct byte_writer *w, const struct version *v)
{
    write_u8(w, v->kind);
    write_u8(w, (uint8_t)((v->is_bulk ? VERSION_BULK : 0) | (v->is_moved ? VERSION_MOVED : 0)));
    write_u64(w, v->serial);
    write_u32(w, v->seq);
    write_u64(w, v->heap);
    write_u64(w, v->row);
    write_u64(w, v->index);
    write_u64(w, v->writer);
    write_u16(w, v->cell_flags);
    write_u16(w, v->first_slot);
    write_u16(w, v->last_slot);
    write_u32(w, v->len);
    write_bytes(w, v->bytes, v->len);
}

static void put_spill(struct byte_writer *w, const struct spill *sp)
{
    uint32_t files = sp != NULL ? sp->file_count : 0; /* its first one may be in the making */
    write_u32(w, files);
    if (files == 0)
        return;
    for (uint32_t i = 0; i < sp->file_count; i++)
        write_u32(w, sp->files[i]);
    write_u64(w, sp->tail);
    write_u64(w, sp->last);
}

static void put_part(struct byte_writer *w, const struct part *p)
{
    write_u64(w, p->id);
    write_u64(w, p->id_last);
    write_u8(w, (uint8_t)p->state);
    write_u64(w, p->ts);
    write_u64(w, p->floor);
    write_u64(w, p->commit_lsn);
    write_u32(w, p->participant_count);
    for (uint32_t i = 0; i < p->participant_count; i++)
        write_u32(w, p->participants[i]);
    put_spill(w, p->spill);
    size_t count_at = w->len;
    write_u32(w, 0);
    uint32_t count = 0;
    for (const struct version *v = p->oldest; v != NULL; v = v->newer) {
        if (is_kept(p, v)) {
            put_version(w, v);
            count++;
        }
    }
    store_u32(w->bytes + count_at, count);
}

static void put_held(struct byte_writer *w, const struct part *p)
{
    write_u64(w, p->id);
    write_u8(w, p->is_held ? 1 : 0);
    write_u32(w, p->held_info.len);
    write_bytes(w, p->held_info.bytes, p->held_info.len);
    size_t count_at = w->len;
    write_u32(w, 0);
    uint32_t count = 0;
    const struct lock_hold *at = NULL;
    struct lock_name name;
    while (lock_hold_next(&p->owner, &at, &name)) {
        write_lock(w, &name);
        count++;
    }
    store_u32(w->bytes + count_at, count);
}

static void put_held_parts(struct shard *s, struct byte_writer *w)
{
    size_t count_at = w->len;
    write_u32(w, 0);
    uint32_t count = 0;
    for (const struct part *p = s->parts_first; p != NULL; p = p->next) {
        if (p->state != PART_COMMITTED && (p->is_held || p->is_holding)) {
            put_held(w, p);
            count++;
        }
    }
    store_u32(w->bytes + count_at, count);
}

static void put_held_reads(struct shard *s, struct byte_writer *w)
{
    size_t count_at = w->len;
    write_u32(w, 0);
    uint32_t count = 0;
    for (const struct part *p = s->parts_first; p != NULL; p = p->next) {
        if (p->state == PART_COMMITTED || p->held_reads.len == 0)
            continue;
        write_u64(w, p->id);
        write_u32(w, p->held_reads.len);
        write_bytes(w, p->held_reads.bytes, p->held_reads.len);
        count++;
    }
    store_u32(w->bytes + count_at, count);
}

void checkpoint_state_write(struct shard *s, uint8_t **out, size_t *bytes)
{
    struct byte_writer w = {0};
    write_u32(&w, STATE_MAGIC);
    write_u64(&w, MAX(s->txn_id_max, shared_transaction_read()));
    write_u64(&w, MAX(s->ts_max, shared_commit_read()));
    write_u64(&w, s->versions.serial);
    write_u32(&w, s->versions.file_next);
    size_t count_at = w.len;
    write_u32(&w, 0);
    uint32_t count = 0;
    for (const struct part *p = s->purge_first; p != NULL; p = p->queue_next) {
        put_part(&w, p);
        count++;
    }
    for (const struct part *p = s->parts_first; p != NULL; p = p->next) {
        if (p->state != PART_COMMITTED && p->is_logged) {
            put_part(&w, p);
            count++;
        }
    }
    store_u32(w.bytes + count_at, count);
    write_u32(&w, u32_from(s->finished_count));
    for (uint32_t b = 0; b < FINISHED_BUCKETS; b++) {
        for (const struct finished_txn *f = s->finished[b]; f != NULL; f = f->next) {
            write_u64(&w, f->id);
            write_u64(&w, f->ts);
            write_u64(&w, f->lsn);
        }
    }
    put_held_parts(s, &w);
    anchors_write(s, &w);
    put_held_reads(s, &w);
    *out = w.bytes;
    *bytes = w.len;
}

static bool read_version(struct shard *s, struct part *p, struct byte_reader *r)
{
    struct version v = {.kind = read_u8(r)};
    uint8_t flags = read_u8(r);
    v.is_bulk = (flags & VERSION_BULK) != 0;
    v.is_moved = (flags & VERSION_MOVED) != 0;
    v.serial = read_u64(r);
    v.seq = read_u32(r);
    v.heap = read_u64(r);
    v.row = read_u64(r);
    v.index = read_u64(r);
    v.writer = read_u64(r);
    v.cell_flags = read_u16(r);
    v.first_slot = read_u16(r);
    v.last_slot = read_u16(r);
    v.len = read_u32(r);
    if (r->is_bad || v.kind < VERSION_INSERT || v.kind > VERSION_INDEX_SWEEP ||
        v.len > PAGE_BYTES || (v.is_bulk && v.kind != VERSION_INSERT))
        return false;
    const uint8_t *bytes = read_bytes(r, v.len);
    if (r->is_bad)
        return false;
    (void)version_restore(&s->versions, p, &v, bytes);
    return true;
}

static bool read_spill(struct part *p, struct byte_reader *r)
{
    uint32_t files = read_u32(r);
    const uint8_t *list = read_bytes(r, files * 4u);
    if (r->is_bad || files > SPILL_FILES_MAX)
        return false;
    if (files == 0)
        return true;
    struct spill *sp = core_zalloc(sizeof(*sp));
    p->spill = sp;
    sp->part = p;
    sp->files = core_malloc(files * 4u);
    memcpy(sp->files, list, files * 4u);
    sp->file_count = files;
    sp->tail = read_u64(r);
    sp->last = read_u64(r);
    return !r->is_bad;
}

static bool read_part(struct shard *s, struct byte_reader *r)
{
    txn_id_t id = read_u64(r);
    txn_id_t id_last = read_u64(r);
    uint8_t state = read_u8(r);
    ts_t ts = read_u64(r);
    ts_t floor = read_u64(r);
    lsn_t commit_lsn = read_u64(r);
    uint32_t participants = read_u32(r);
    if (r->is_bad || id == 0 || state > PART_COMMITTED || participants > SHARD_COUNT_MAX ||
        part_find(s, id) != NULL)
        return false;
    const uint8_t *list = read_bytes(r, participants * 4);
    if (r->is_bad)
        return false;
    struct part *p = part_make(s, id, 0);
    p->id_last = id_last;
    p->is_logged = true;
    p->floor = floor;
    if (participants != 0)
        part_set_participants(p, list, participants);
    bool ok = read_spill(p, r);
    uint32_t versions = read_u32(r);
    for (uint32_t i = 0; i < versions && ok; i++) {
        if (!read_version(s, p, r))
            return false;
    }
    if (!ok || r->is_bad)
        return false;
    p->state = state == PART_PREPARED ? PART_PREPARED : PART_ACTIVE;
    if (state == PART_COMMITTED)
        part_restore_committed(s, p, ts, commit_lsn);
    return true;
}

static bool read_held(struct shard *s, struct byte_reader *r)
{
    struct part *p = part_find(s, read_u64(r));
    bool is_held = read_u8(r) != 0;
    uint32_t info_bytes = read_u32(r);
    const uint8_t *info = read_bytes(r, info_bytes);
    if (r->is_bad || p == NULL)
        return false;
    (void)held_bytes_put(&p->held_info, info, 0, info_bytes, info_bytes);
    p->is_held = is_held;
    p->is_holding = !is_held;
    uint32_t locks = read_u32(r);
    for (uint32_t i = 0; i < locks && !r->is_bad; i++) {
        struct lock_name name = read_lock(r);
        if (!r->is_bad)
            lock_restore(&s->row_locks, &p->owner, &name);
    }
    return !r->is_bad;
}

static bool read_held_reads(struct shard *s, struct byte_reader *r)
{
    struct part *p = part_find(s, read_u64(r));
    uint32_t len = read_u32(r);
    const uint8_t *bytes = read_bytes(r, len);
    return !r->is_bad && p != NULL && held_bytes_put(&p->held_reads, bytes, 0, len, len) &&
           (!p->is_held || serial_held_read(s, p));
}

err_t checkpoint_state_read(struct shard *s, const uint8_t *state, size_t bytes)
{
    if (bytes == 0)
        return ERR_OK; /* a new store */
    struct byte_reader r = {.at = state, .end = state + bytes};
    bool ok = read_u32(&r) == STATE_MAGIC;
    txn_id_t id_max = read_u64(&r);
    ts_t ts_max = read_u64(&r);
    s->txn_id_max = MAX(s->txn_id_max, id_max);
    s->ts_max = MAX(s->ts_max, ts_max);
    s->versions.serial = read_u64(&r);
    s->versions.file_next = read_u32(&r);
    uint32_t parts = read_u32(&r);
    for (uint32_t i = 0; i < parts && ok && !r.is_bad; i++)
        ok = read_part(s, &r);
    uint32_t finished = read_u32(&r);
    for (uint32_t i = 0; i < finished && ok && !r.is_bad; i++) {
        txn_id_t id = read_u64(&r);
        ts_t ts = read_u64(&r);
        lsn_t lsn = read_u64(&r);
        if (!r.is_bad)
            finished_add(s, id, ts, lsn);
    }
    uint32_t held = ok && !r.is_bad && r.at != r.end ? read_u32(&r) : 0; /* once there was none */
    for (uint32_t i = 0; i < held && ok && !r.is_bad; i++)
        ok = read_held(s, &r);
    if (ok && !r.is_bad && r.at != r.end)
        ok = anchors_read(s, &r);
    uint32_t reads = ok && !r.is_bad && r.at != r.end ? read_u32(&r) : 0; /* nor these */
    for (uint32_t i = 0; i < reads && ok && !r.is_bad; i++)
        ok = read_held_reads(s, &r);
    if (!ok || r.is_bad || r.at != r.end)
        return err_raise(ERR_DATA_CORRUPTED, "bad checkpoint state in shard %u", s->number);
    return ERR_OK;
}

err_t shard_checkpoint_wait(struct shard *s, uint64_t pace_us)
{
    while (s->checkpoint_is_running)
        TRY(wait_queue_wait(&s->checkpoint_waiters, UINT64_MAX));
    s->checkpoint_is_running = true;
    uint8_t *state;
    size_t state_bytes;
    nosuspend_begin();
    page_store_cut(s->pages);
    lsn_t lsn = wal_end(s->wal);
    checkpoint_state_write(s, &state, &state_bytes);
    s->checkpoint_count++;
    nosuspend_end();
    err_t e = shard_flush_wait(s, lsn);
    if (e == ERR_OK)
        e = page_store_write_cut_wait(s->pages, lsn, state, state_bytes, pace_us);
    core_free(state);
    if (e == ERR_OK) {
        s->checkpoint_lsn = lsn;
        e = wal_recycle_wait(s->wal, lsn);
    }
    s->checkpoint_at_us = core_now_us();
    s->checkpoint_is_running = false;
    wait_queue_wake_all(&s->checkpoint_waiters);
    return e;
}
