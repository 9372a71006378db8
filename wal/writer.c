/*
 * The writer of a log: ring buffer, group commit, failure.
 *
 * Appending copies a record into the ring. A batch is everything between the durable position and
 * the end at the moment it begins; one write is in flight at a time, and what is appended meanwhile
 * is the next batch. A write starts on 4 KiB block boundaries, so a batch that begins inside a
 * block writes that block again, with the same bytes in front: whatever part of the new image
 * reaches the disk, the records that were durable before keep their bytes. Behind the batch's end
 * the last block is zeros. Writes up to WAL_BOUNCE_BYTES go out from a copy, so memory under a
 * write never changes (file systems that checksum would otherwise see it torn); larger ones take
 * whole blocks only, from the ring, and leave the last partial block to a following small write of
 * the same batch.
 *
 * A requested write begins in a timer of the running reactor turn, when all ready fibers have had
 * their turn: the kernel would not see it earlier anyway, and their commits come along.
 *
 * Only whole batches move `mark`, the durable position that records carry: a batch ends at a record
 * boundary, a single write may not.
 */
#include "wal/wal_priv.h"

#include <stdatomic.h>
#include <stdio.h>

static void flush_request(struct wal *w);

uint32_t record_crc_begin(lsn_t start, const struct record_header *h)
{
    uint32_t crc = crc32c(0, &start, sizeof(start));
    return crc32c(crc, (const uint8_t *)h + sizeof(h->crc), sizeof(*h) - sizeof(h->crc));
}

static uint64_t ring_free(const struct wal *w)
{
    return w->capacity - (w->end - align_down(w->durable, IO_BLOCK_BYTES));
}

static err_t wal_new(const struct wal_options *o, struct wal **out)
{
    struct wal *w = core_zalloc(sizeof(*w));
    size_t n = strlen(o->directory);
    if (n > WAL_PATH_BYTES / 2) {
        core_free(w);
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "log directory name is too long");
    }
    w->directory = core_malloc(n + 1);
    memcpy(w->directory, o->directory, n + 1);
    w->keep_bytes_min = o->keep_bytes_min;
    w->commit_delay_us = o->commit_delay_us;
    w->durable_word = o->durable_word;
    w->capacity = align_up(MAX(o->buffer_bytes, (uint64_t)WAL_BUFFER_BYTES_MIN), IO_BLOCK_BYTES);
    w->capacity = MIN(w->capacity, GIB(1));
    w->ring = io_buffer_alloc(w->capacity);
    w->bounce = io_buffer_alloc(WAL_BOUNCE_BYTES);
    *out = w;
    return ERR_OK;
}

static void wal_free(struct wal *w)
{
    io_buffer_free(w->ring, w->capacity);
    io_buffer_free(w->bounce, WAL_BOUNCE_BYTES);
    core_free(w->directory);
    core_free(w);
}

SUSPENDS static err_t create_first_wait(struct wal *w)
{
    TRY(io_mkdir_wait(w->directory));
    struct arena *mem = arena_new();
    uint64_t *numbers;
    size_t count = 0;
    err_t err = wal_segments_list_wait(w, mem, &numbers, &count);
    arena_free(mem);
    TRY(err);
    if (count != 0)
        return err_raise(ERR_DUPLICATE_FILE, "directory \"%s\" holds a log already", w->directory);
    TRY(wal_segment_create_wait(w, 0));
    wal_position(w, 0, NULL);
    return wal_keeper_start(w);
}

err_t wal_create_wait(const struct wal_options *o, struct wal **out)
{
    struct wal *w;
    TRY(wal_new(o, &w));
    err_t err = create_first_wait(w);
    if (err != ERR_OK) {
        wal_free(w);
        return err;
    }
    *out = w;
    return ERR_OK;
}

err_t wal_open_wait(const struct wal_options *o, struct wal **out)
{
    TRY(io_mkdir_wait(o->directory));
    return wal_new(o, out);
}

void wal_close_wait(struct wal *w)
{
    if (w == NULL)
        return;
    w->closing = true;
    timer_stop(&w->timer);
    w->timer_armed = false;
    while (w->writing)
        wait_queue_shielded_wait(&w->idle);
    wal_keeper_stop_wait(w);
    wal_replay_drop_wait(w);
    wal_free(w);
}

static void mark_set(struct wal *w, lsn_t lsn)
{
    w->mark = lsn;
    if (w->durable_word != NULL)
        atomic_store_explicit(w->durable_word, lsn, memory_order_release);
}

void wal_position(struct wal *w, lsn_t lsn, const uint8_t *block_prefix)
{
    ASSERT(!w->positioned);
    ASSERT(lsn % RECORD_ALIGN == 0);
    w->end = lsn;
    w->durable = lsn;
    mark_set(w, lsn);
    w->batch_target = lsn;
    w->recycled_to = lsn;
    uint64_t block = align_down(lsn, IO_BLOCK_BYTES);
    if (lsn != block)
        memcpy(w->ring + block % w->capacity, block_prefix, lsn - block);
    w->positioned = true;
}

/* ---- appending ---- */

SUSPENDS static err_t reserve_wait(struct wal *w, uint32_t records, uint32_t bytes, bool critical)
{
    ASSERT(w->positioned);
    uint64_t need = (uint64_t)records * (RECORD_HEADER_BYTES + RECORD_ALIGN) + bytes;
    if (need > w->capacity / 2)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                         "log reservation of %llu bytes exceeds the log buffer",
                         (unsigned long long)need);
    for (;;) {
        if (UNLIKELY(w->failure != ERR_OK))
            return wal_raise_failure(w);
        if (UNLIKELY(w->keeper_error != ERR_OK) && !critical &&
            w->ready_end * WAL_SEGMENT_BYTES < w->end + need + full_margin_bytes()) {
            err_t err =
                err_raise(w->keeper_error, "could not extend the log in \"%s\"%s", w->directory,
                          w->keeper_error == ERR_DISK_FULL ? ": No space left on device" : "");
            if (w->keeper_error == ERR_DISK_FULL)
                err_hint("Check free disk space.");
            return err;
        }
        if (LIKELY(need <= ring_free(w)))
            return ERR_OK;
        if (core_is_borrowed())
            return ERR_INTERNAL_WOULD_SUSPEND;
        w->stats.buffer_full_waits++;
        flush_request(w);
        wait_queue_shielded_wait(&w->space);
    }
}

err_t wal_reserve_wait(struct wal *w, uint32_t records, uint32_t bytes)
{
    return reserve_wait(w, records, bytes, false);
}

err_t wal_reserve_critical_wait(struct wal *w, uint32_t records, uint32_t bytes)
{
    return reserve_wait(w, records, bytes, true);
}

static void ring_put(struct wal *w, lsn_t at, const void *bytes, uint64_t len)
{
    uint64_t offset = at % w->capacity;
    uint64_t first = MIN(len, w->capacity - offset);
    memcpy(w->ring + offset, bytes, first);
    if (first < len)
        memcpy(w->ring, (const uint8_t *)bytes + first, len - first);
}

lsn_t wal_append(struct wal *w, uint8_t kind, const struct wal_part *parts, uint32_t count)
{
    static const uint8_t zeros[RECORD_ALIGN];
    uint64_t len = 0;
    for (uint32_t i = 0; i < count; i++)
        len += parts[i].len;
    ASSERT(len <= WAL_RECORD_BYTES_MAX);
    uint32_t span = record_span((uint32_t)len);
    ASSERT(w->positioned);
    ASSERT(span <= ring_free(w) || w->failure != ERR_OK);
    lsn_t start = w->end;
    if (UNLIKELY(w->failure != ERR_OK)) { /* nothing reaches the disk any more; positions go on */
        w->end += span;
        return w->end;
    }
    struct record_header h = {
        .len = (uint16_t)len,
        .kind = kind,
        .magic = RECORD_MAGIC,
        .segment = (uint32_t)segment_of(start),
        .undurable = u32_from(start - w->mark),
    };
    uint32_t crc = record_crc_begin(start, &h);
    lsn_t at = start + RECORD_HEADER_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        crc = crc32c(crc, parts[i].bytes, parts[i].len);
        ring_put(w, at, parts[i].bytes, parts[i].len);
        at += parts[i].len;
    }
    h.crc = crc;
    ring_put(w, start, &h, sizeof(h));
    ring_put(w, at, zeros, start + span - at);
    w->end = start + span;
    w->stats.records++;
    w->stats.bytes += span;
    if (UNLIKELY(w->end - w->durable > w->capacity / 2))
        flush_request(w);
    return w->end;
}

/* ---- flushing ---- */

static void timer_fired(void *arg)
{
    struct wal *w = arg;
    w->timer_armed = false;
    wal_write_begin(w);
}

static void timer_arm(struct wal *w, uint64_t delay_us)
{
    if (w->timer_armed || w->closing)
        return;
    w->timer_armed = true;
    timer_start(&w->timer, core_now_us() + delay_us, timer_fired, w);
}

static void flush_request(struct wal *w)
{
    if (w->failure != ERR_OK)
        return;
    w->flush_wanted = true;
    if (!w->writing)
        timer_arm(w, w->commit_delay_us);
}

static void write_done(struct io_request *req)
{
    struct wal *w = req->owner;
    ASSERT(w->writing);
    w->writing = false;
    if (req->result != ERR_OK) {
        char what[96];
        (void)snprintf(what, sizeof(what), "could not write at %llX%s",
                       (unsigned long long)w->durable,
                       req->result == ERR_DISK_FULL ? ": No space left on device" : "");
        wal_fail(w, req->result, what);
        wait_queue_wake_all(&w->idle);
        return;
    }
    bool next_segment = segment_of(w->write_to) != segment_of(w->durable);
    w->durable = w->write_to;
    w->stats.writes++;
    w->stats.write_ns += core_now_precise_ns() - w->write_started_ns;
    if (w->durable == w->batch_target) {
        mark_set(w, w->durable);
        wait_queue_wake_all(&w->waiters[!w->gathering]);
    }
    wait_queue_wake_all(&w->space);
    wait_queue_wake_all(&w->idle);
    if (next_segment)
        wal_keeper_kick(w);
    if (w->closing)
        return;
    if (w->durable != w->batch_target)
        wal_write_begin(w);
    else if (w->flush_wanted || !wait_queue_is_empty(&w->waiters[w->gathering]))
        timer_arm(w, w->commit_delay_us);
}

void wal_write_begin(struct wal *w)
{
    if (w->writing || w->closing || w->failure != ERR_OK)
        return;
    if (w->durable == w->batch_target) { /* a new batch: all gathered waiters belong to it */
        w->flush_wanted = false;
        if (w->end == w->durable)
            return;
        w->batch_target = w->end;
        w->gathering = !w->gathering;
    }
    uint64_t no = segment_of(w->durable);
    struct io_file *file = wal_segment_file(w, no);
    if (file == NULL) {
        w->stalled = true;
        wal_keeper_kick(w);
        return;
    }
    w->stalled = false;
    lsn_t from = align_down(w->durable, IO_BLOCK_BYTES);
    lsn_t to = MIN(w->batch_target, (no + 1) * WAL_SEGMENT_BYTES);
    to = MIN(to, from + wal_write_bytes_max());
    uint64_t offset = from % w->capacity;
    const uint8_t *source;
    uint64_t len = align_up(to, IO_BLOCK_BYTES) - from;
    if (len > WAL_BOUNCE_BYTES) {
        to = MIN(align_down(to, IO_BLOCK_BYTES), from + (w->capacity - offset));
        len = to - from;
    }
    if (len > WAL_BOUNCE_BYTES) {
        source = w->ring + offset;
    } else {
        uint64_t valid = to - from;
        uint64_t first = MIN(valid, w->capacity - offset);
        memcpy(w->bounce, w->ring + offset, first);
        memcpy(w->bounce + first, w->ring, valid - first);
        memset(w->bounce + valid, 0, len - valid);
        source = w->bounce;
    }
    ASSERT(to > w->durable);
    w->writing = true;
    w->write_to = to;
    w->write_started_ns = core_now_precise_ns();
    w->request = (struct io_request){.done = write_done, .owner = w};
    io_write_start(&w->request, file, source, (uint32_t)len, from % WAL_SEGMENT_BYTES);
}

err_t wal_flush_wait(struct wal *w, lsn_t lsn)
{
    ASSERT(lsn <= w->end);
    if (LIKELY(lsn <= w->mark && w->failure == ERR_OK))
        return ERR_OK;
    if (w->failure == ERR_OK) {
        if (core_is_borrowed())
            return ERR_INTERNAL_WOULD_SUSPEND;
        w->stats.flush_waits++;
    }
    while (lsn > w->mark && w->failure == ERR_OK) {
        if (lsn <= w->batch_target) { /* the running batch covers it */
            wait_queue_shielded_wait(&w->waiters[!w->gathering]);
        } else {
            flush_request(w);
            wait_queue_shielded_wait(&w->waiters[w->gathering]);
        }
    }
    return lsn <= w->mark && w->failure == ERR_OK ? ERR_OK : wal_raise_failure(w);
}

void wal_flush_start(struct wal *w)
{
    if (w->end > w->durable)
        flush_request(w);
}

lsn_t wal_end(const struct wal *w)
{
    return w->end;
}

lsn_t wal_durable(const struct wal *w)
{
    return w->mark;
}

void wal_set_commit_delay(struct wal *w, uint64_t commit_delay_us)
{
    w->commit_delay_us = commit_delay_us;
}

void wal_stats_read(const struct wal *w, struct wal_stats *out)
{
    *out = w->stats;
}

/* ---- failure ---- */

bool wal_failed(const struct wal *w)
{
    return w->failure != ERR_OK;
}

void wal_set_on_failure(struct wal *w, void (*fn)(void *ctx, err_t err), void *ctx)
{
    w->on_failure = fn;
    w->on_failure_ctx = ctx;
}

void wal_fail(struct wal *w, err_t err, const char *what)
{
    if (w->failure != ERR_OK)
        return;
    w->failure = err;
    (void)snprintf(w->failure_text, sizeof(w->failure_text), "log in \"%.200s\" failed: %.200s",
                   w->directory, what);
    log_write(LOG_ERROR, "%s", w->failure_text);
    timer_stop(&w->timer);
    w->timer_armed = false;
    wait_queue_wake_all(&w->waiters[0]);
    wait_queue_wake_all(&w->waiters[1]);
    wait_queue_wake_all(&w->space);
    if (w->on_failure != NULL)
        w->on_failure(w->on_failure_ctx, err);
}

err_t wal_raise_failure(const struct wal *w)
{
    return err_raise(w->failure, "%s", w->failure_text);
}
