/*
 * Replay of a log, and making its end fit to go on from.
 *
 * The ends of several logs may depend on each other (shard/cut.c), so replay has two steps: reading
 * to the end, and, when all ends are known, going on from there. A log is read from the disk once:
 * while reading, a look at each record tells up to where the log outlives whatever is found at its
 * end, and that much is applied at once. What is not safe yet is held, copied, in a queue (held).
 * When more than held_bytes_max() would be held, the queue is dropped: nothing is applied until so
 * much is safe that the rest fits again, and then that stretch is read a second time.
 *
 * Records of the torn write that did reach the disk could become reachable again when new records
 * are written up to exactly their start. So replay writes zeros over everything that the last batch
 * may have touched (wipe_bytes()) before the first append; and a log that was cut is wiped up to
 * where its valid records had ended. A write that failed may be readable and still never reach the
 * disk, whatever a later sync says, and what is built on its records counts them as durable: so the
 * last write's bytes are written once more too.
 */
#include "wal/wal_priv.h"

enum { HELD_CHUNK_BYTES = 256 << 10, REWRITE_BYTES = 1 << 20 };

static uint64_t held_bytes_max(void)
{
    return 2 * WAL_SEGMENT_BYTES;
}

struct held_record {
    lsn_t lsn;
    uint32_t len;
    uint8_t kind;
    uint8_t payload[];
};

struct held_chunk {
    struct held_chunk *next;
    uint32_t begin; /* of the first record that was not taken */
    uint32_t end;
    _Alignas(8) uint8_t bytes[HELD_CHUNK_BYTES];
};

struct held {
    struct held_chunk *first;
    struct held_chunk *last;
    struct held_chunk *spare;
    uint64_t bytes;
};

struct wal_replay {
    struct arena *mem;
    struct log_reader *reader;
    wal_look_fn look; /* NULL: all is safe */
    wal_apply_fn apply;
    void *ctx;
    lsn_t from;
    lsn_t safe;
    lsn_t applied;  /* the end of the last record that was */
    bool is_behind; /* what follows `applied` is not held */
    struct held held;
    lsn_t end;
    uint64_t *numbers;
    size_t count;
};

/* ---- records that may not be applied yet ---- */

static uint32_t held_span(uint32_t len)
{
    return (uint32_t)align_up(offsetof(struct held_record, payload) + (uint64_t)len, 8);
}

static void held_push(struct held *q, uint8_t kind, const uint8_t *payload, uint32_t len, lsn_t lsn)
{
    uint32_t span = held_span(len);
    struct held_chunk *c = q->last;
    if (c == NULL || c->end + span > HELD_CHUNK_BYTES) {
        c = q->spare != NULL ? q->spare : core_malloc(sizeof(*c));
        q->spare = NULL;
        c->next = NULL;
        c->begin = 0;
        c->end = 0;
        if (q->last != NULL)
            q->last->next = c;
        else
            q->first = c;
        q->last = c;
    }
    struct held_record *r = (struct held_record *)(void *)(c->bytes + c->end);
    r->lsn = lsn;
    r->len = len;
    r->kind = kind;
    memcpy(r->payload, payload, len);
    c->end += span;
    q->bytes += span;
}

static const struct held_record *held_first(const struct held *q)
{
    const struct held_chunk *c = q->first;
    return c == NULL ? NULL : (const struct held_record *)(const void *)(c->bytes + c->begin);
}

static void held_pop(struct held *q)
{
    struct held_chunk *c = q->first;
    uint32_t span = held_span(held_first(q)->len);
    c->begin += span;
    q->bytes -= span;
    if (c->begin < c->end)
        return;
    q->first = c->next;
    if (q->first == NULL)
        q->last = NULL;
    core_free(q->spare);
    q->spare = c;
}

static void held_clear(struct held *q)
{
    while (q->first != NULL) {
        struct held_chunk *c = q->first;
        q->first = c->next;
        core_free(c);
    }
    core_free(q->spare);
    *q = (struct held){0};
}

/* ---- applying ---- */

SUSPENDS static err_t apply_held_wait(struct wal_replay *p)
{
    const struct held_record *r;
    while ((r = held_first(&p->held)) != NULL && r->lsn <= p->safe) {
        TRY(p->apply(p->ctx, r->kind, r->payload, r->len, r->lsn));
        p->applied = r->lsn;
        held_pop(&p->held);
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

/* The next record that was neither applied nor held; once p->is_behind, nothing is done. */
SUSPENDS static err_t take_record_wait(void *replay, uint8_t kind, const uint8_t *payload,
                                       uint32_t len, lsn_t lsn)
{
    struct wal_replay *p = replay;
    if (p->is_behind)
        return ERR_OK;
    if (held_first(&p->held) == NULL && lsn <= p->safe) {
        TRY(p->apply(p->ctx, kind, payload, len, lsn));
        p->applied = lsn;
        return ERR_OK;
    }
    if (p->held.bytes + held_span(len) <= held_bytes_max()) {
        held_push(&p->held, kind, payload, len, lsn);
        return ERR_OK;
    }
    held_clear(&p->held);
    p->is_behind = true;
    return ERR_OK;
}

/* From `applied` to limit, in a log that has been read at least so far. */
SUSPENDS static err_t read_again_wait(struct wal_replay *p, lsn_t limit)
{
    struct log_reader *r = p->reader;
    struct wal_cut cut = r->cut;
    lsn_t end;
    p->is_behind = false;
    r->cut.at = limit;
    err_t err = log_reader_records_wait(r, p->applied, take_record_wait, p, &end);
    r->cut = cut;
    if (err == ERR_OK && end != limit) {
        wal_segment_path(r->w, segment_of(end), r->path);
        err = err_raise(ERR_DATA_CORRUPTED, "log file \"%s\" is damaged at offset %llu", r->path,
                        (unsigned long long)(end % WAL_SEGMENT_BYTES));
    }
    return err;
}

SUSPENDS static err_t first_reading_wait(void *replay, uint8_t kind, const uint8_t *payload,
                                         uint32_t len, lsn_t lsn)
{
    struct wal_replay *p = replay;
    if (p->look != NULL)
        TRY(p->look(p->ctx, kind, payload, len, lsn, &p->safe));
    if (!p->is_behind) {
        TRY(apply_held_wait(p));
        return take_record_wait(p, kind, payload, len, lsn);
    }
    uint64_t unsafe = lsn - MIN(lsn, p->safe);
    return unsafe > held_bytes_max() / 2 ? ERR_OK : read_again_wait(p, lsn);
}

/* ---- going on from the end ---- */

static uint64_t wipe_bytes(void)
{
    return wal_write_bytes_max() + 2 * (uint64_t)RECORD_SPAN_MAX;
}

/* What the log has from position at on, up to its end, then zeros. */
SUSPENDS static err_t end_bytes_wait(struct log_reader *r, uint64_t at, lsn_t end, uint32_t len,
                                     uint8_t *out)
{
    memset(out, 0, len);
    uint64_t kept = at < end ? MIN(end - at, len) : 0;
    for (uint64_t done = 0; done < kept;) {
        const uint8_t *p;
        uint32_t n = (uint32_t)MIN(kept - done, (uint64_t)IO_BLOCK_BYTES);
        TRY(log_reader_get_wait(r, at + done, n, &p));
        memcpy(out + done, p, n);
        done += n;
    }
    return ERR_OK;
}

/* Writes [from, to) of one segment, or all its rest if the file was cut short. */
SUSPENDS static err_t rewrite_segment_wait(struct log_reader *r, uint64_t from, uint64_t to,
                                           lsn_t end, uint8_t *buffer)
{
    wal_segment_path(r->w, segment_of(from), r->path);
    struct io_file *f;
    err_t err = io_open_wait(r->path, IO_WRITE | IO_DIRECT | IO_DSYNC, 0600, &f);
    if (err == ERR_UNDEFINED_FILE)
        return ERR_OK;
    TRY(err);
    uint64_t size = 0;
    err = io_size_wait(f, &size);
    if (size < WAL_SEGMENT_BYTES)
        to = (segment_of(from) + 1) * WAL_SEGMENT_BYTES;
    for (uint64_t at = from; at < to && err == ERR_OK; at += REWRITE_BYTES) {
        uint32_t len = (uint32_t)MIN(to - at, (uint64_t)REWRITE_BYTES);
        err = end_bytes_wait(r, at, end, len, buffer);
        if (err == ERR_OK)
            err = io_write_wait(f, buffer, len, at % WAL_SEGMENT_BYTES);
    }
    io_close_wait(f);
    return err;
}

static uint64_t wipe_end(const struct log_reader *r, lsn_t end)
{
    return align_up(MAX(end, r->cut.end) + wipe_bytes(), IO_BLOCK_BYTES);
}

/* The last write before the end, which may have failed or never been told of, is written again, and
 * zeros behind it. */
SUSPENDS static err_t rewrite_end_wait(struct wal_replay *p, lsn_t end)
{
    struct log_reader *r = p->reader;
    uint64_t last = end - MIN(end, wal_write_bytes_max());
    uint64_t from = align_down(MAX(last, p->from), IO_BLOCK_BYTES);
    uint64_t to = wipe_end(r, end);
    uint8_t *buffer = io_buffer_alloc(REWRITE_BYTES);
    err_t err = ERR_OK;
    while (from < to && err == ERR_OK) {
        uint64_t border = (segment_of(from) + 1) * WAL_SEGMENT_BYTES;
        err = rewrite_segment_wait(r, from, MIN(to, border), end, buffer);
        from = border;
    }
    io_buffer_free(buffer, REWRITE_BYTES);
    return err;
}

/* Segments behind a gap in the numbers cannot hold anything; the writer wants [oldest, ready_end).
 */
SUSPENDS static err_t adopt_segments_wait(struct wal *w, lsn_t end, const uint64_t *numbers,
                                          size_t count, char *path)
{
    w->oldest = count > 0 ? numbers[0] : segment_of(end);
    w->ready_end = segment_of(end);
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == w->ready_end) {
            w->ready_end++;
        } else if (numbers[i] > w->ready_end) {
            wal_segment_path(w, numbers[i], path);
            TRY(io_unlink_wait(path));
        }
    }
    return ERR_OK;
}

/* A process that was killed may have left records that can be read and are not durable. What is
 * built on them from now on counts them as durable; and what will be wiped must not come back. */
SUSPENDS static err_t sync_segments_wait(const struct log_reader *r, lsn_t from, lsn_t end)
{
    for (uint64_t no = segment_of(from); no <= segment_of(wipe_end(r, end)); no++) {
        struct io_file *f;
        wal_segment_path(r->w, no, r->path);
        err_t err = io_open_wait(r->path, IO_READ | IO_WRITE, 0600, &f);
        if (err == ERR_UNDEFINED_FILE)
            continue; /* one that was never made */
        TRY(err);
        err = io_sync_wait(f);
        io_close_wait(f);
        TRY(err);
    }
    return ERR_OK;
}

/* ---- the two steps ---- */

void wal_replay_drop_wait(struct wal *w)
{
    struct wal_replay *p = w->replay;
    if (p == NULL)
        return;
    w->replay = NULL;
    held_clear(&p->held);
    log_reader_end_wait(p->reader);
    arena_free(p->mem);
}

err_t wal_replay_begin_wait(struct wal *w, lsn_t from, wal_look_fn look, wal_apply_fn apply,
                            void *ctx, lsn_t *end)
{
    ASSERT(!w->positioned && w->replay == NULL);
    *end = from;
    struct arena *mem = arena_new();
    struct wal_replay *p = ARENA_NEW(mem, struct wal_replay);
    *p = (struct wal_replay){.mem = mem,
                             .reader = log_reader_new(w, mem),
                             .look = look,
                             .apply = apply,
                             .ctx = ctx,
                             .from = from,
                             .safe = look == NULL ? UINT64_MAX : from,
                             .applied = from};
    w->replay = p;
    err_t err = wal_unfinished_remove_wait(w, mem);
    if (err == ERR_OK)
        err = log_reader_read_wait(p->reader, mem, from, first_reading_wait, p, &p->numbers,
                                   &p->count, &p->end);
    if (err != ERR_OK)
        wal_replay_drop_wait(w);
    else
        *end = p->end;
    return err;
}

SUSPENDS static err_t go_on_wait(struct wal_replay *p)
{
    struct log_reader *r = p->reader;
    struct wal *w = r->w;
    TRY(wal_cut_read_wait(w, p->mem, &r->cut));
    lsn_t end = MIN(p->end, r->cut.at);
    p->safe = end;
    TRY(apply_held_wait(p));
    held_clear(&p->held);
    if (p->applied != end)
        TRY(read_again_wait(p, end));
    TRY(sync_segments_wait(r, p->from, end));
    TRY(rewrite_end_wait(p, end));
    if (r->cut.end != 0)
        TRY(wal_cut_remove_wait(w, p->mem));
    TRY(adopt_segments_wait(w, end, p->numbers, p->count, r->path));
    uint8_t *prefix = arena_alloc(p->mem, IO_BLOCK_BYTES); /* of the block that is gone on with */
    TRY(end_bytes_wait(r, align_down(end, IO_BLOCK_BYTES), end, IO_BLOCK_BYTES, prefix));
    wal_position(w, end, prefix);
    return wal_keeper_start(w);
}

err_t wal_replay_end_wait(struct wal *w)
{
    err_t err = go_on_wait(w->replay);
    wal_replay_drop_wait(w);
    return err;
}

err_t wal_replay_wait(struct wal *w, lsn_t from, wal_apply_fn apply, void *ctx)
{
    lsn_t end;
    TRY(wal_replay_begin_wait(w, from, NULL, apply, ctx, &end));
    return wal_replay_end_wait(w);
}
