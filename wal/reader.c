/*
 * Reading a log from a record boundary to its end.
 *
 * The end is the first position without a valid record. It is a torn tail if nothing behind it was
 * ever acknowledged: only one write is in flight at a time, so at most that write's blocks can be
 * on the disk behind a gap. Each record carries the position that was durable when it was appended;
 * a valid record anywhere behind the end whose carried position lies behind the end too proves that
 * the bytes at the end had been durable once: that is a hole, ERR_DATA_CORRUPTED. (Damage within
 * the last write of all cannot be told from a torn tail.) Behind the end, the rest of its segment
 * is searched at every record boundary, and the head of each later segment.
 *
 * A log that was cut (cut.c) ends at the cut whatever follows.
 *
 * Two pieces of 1 MiB (at most a segment): one is parsed while the next is read.
 */
#include "core/defects.h"
#include "wal/wal_priv.h"

#include <stdio.h>

enum {
    READ_BYTES_MAX = 1 << 20,
    SEARCH_BYTES = 64 << 10, /* head of a later segment: longer than any record */
};

static void piece_read(struct io_request *req)
{
    struct log_piece *p = req->owner;
    p->in_flight = false;
    wait_queue_wake_all(&p->reader->queue);
}

SUSPENDS static void reader_close_file_wait(struct log_reader *r)
{
    if (r->file != NULL)
        io_close_wait(r->file);
    r->file = NULL;
}

SUSPENDS static err_t reader_open_file_wait(struct log_reader *r, uint64_t no)
{
    if ((r->file != NULL || r->file_missing) && r->file_no == no)
        return ERR_OK;
    reader_close_file_wait(r);
    r->file_no = no;
    r->file_missing = false;
    wal_segment_path(r->w, no, r->path);
    err_t err = io_open_wait(r->path, IO_READ | IO_DIRECT, 0, &r->file);
    if (err == ERR_UNDEFINED_FILE) {
        r->file = NULL;
        r->file_missing = true;
        return ERR_OK;
    }
    TRY(err);
    return io_size_wait(r->file, &r->file_bytes);
}

/* Begin to load the piece at `at` (a multiple of piece_bytes). The other piece is complete. */
SUSPENDS static err_t piece_start_wait(struct log_reader *r, struct log_piece *p, uint64_t at)
{
    TRY(reader_open_file_wait(r, segment_of(at)));
    p->at = at;
    p->request.result = ERR_OK;
    uint64_t offset = at % WAL_SEGMENT_BYTES;
    uint64_t have = r->file_missing || r->file_bytes <= offset ? 0 : r->file_bytes - offset;
    if (have >= r->piece_bytes) {
        p->in_flight = true;
        p->request = (struct io_request){.done = piece_read, .owner = p};
        io_read_start(&p->request, r->file, p->bytes, r->piece_bytes, offset);
        return ERR_OK;
    }
    memset(p->bytes, 0, r->piece_bytes); /* a file cut short reads as zeros behind its end */
    uint32_t got = 0;
    if (have > 0)
        TRY(io_read_some_wait(r->file, p->bytes, (uint32_t)align_up(have, IO_BLOCK_BYTES), offset,
                              &got));
    memset(p->bytes + got, 0, r->piece_bytes - got);
    return ERR_OK;
}

SUSPENDS static err_t piece_finish_wait(struct log_reader *r, struct log_piece *p)
{
    while (p->in_flight)
        wait_queue_shielded_wait(&r->queue);
    if (p->request.result != ERR_OK) {
        wal_segment_path(r->w, segment_of(p->at), r->path);
        return err_raise(p->request.result, "could not read log file \"%s\" at offset %llu",
                         r->path, (unsigned long long)(p->at % WAL_SEGMENT_BYTES));
    }
    return ERR_OK;
}

/* The piece that holds position pos becomes pieces[0]; the next one is being read. */
SUSPENDS static err_t reader_seek_wait(struct log_reader *r, uint64_t pos)
{
    uint64_t at = align_down(pos, r->piece_bytes);
    struct log_piece *p = r->pieces;
    if (p[0].at == at)
        return piece_finish_wait(r, &p[0]);
    TRY(piece_finish_wait(r, &p[1]));
    if (p[1].at == at) {
        struct log_piece t = p[0]; /* nothing is in flight: the requests may move */
        p[0] = p[1];
        p[1] = t;
    } else {
        TRY(piece_finish_wait(r, &p[0]));
        p[1].at = UINT64_MAX;
        TRY(piece_start_wait(r, &p[0], at));
        TRY(piece_finish_wait(r, &p[0]));
    }
    return piece_start_wait(r, &p[1], at + r->piece_bytes);
}

err_t log_reader_get_wait(struct log_reader *r, uint64_t pos, uint32_t len, const uint8_t **out)
{
    struct log_piece *p = r->pieces;
    if (UNLIKELY(p[0].at != align_down(pos, r->piece_bytes) || p[0].in_flight))
        TRY(reader_seek_wait(r, pos));
    uint64_t offset = pos - p[0].at;
    if (LIKELY(offset + len <= r->piece_bytes)) {
        *out = p[0].bytes + offset;
        return ERR_OK;
    }
    TRY(piece_finish_wait(r, &p[1]));
    uint64_t first = r->piece_bytes - offset;
    memcpy(r->assembled, p[0].bytes + offset, first);
    memcpy(r->assembled + first, p[1].bytes, len - first);
    *out = r->assembled;
    return ERR_OK;
}

/* *record = NULL when there is no valid record at pos. */
SUSPENDS static err_t reader_record_wait(struct log_reader *r, uint64_t pos,
                                         struct record_header *h, const uint8_t **payload)
{
    const uint8_t *p;
    *payload = NULL;
    TRY(log_reader_get_wait(r, pos, RECORD_HEADER_BYTES, &p));
    memcpy(h, p, sizeof(*h));
    if (h->magic != RECORD_MAGIC || h->len > WAL_RECORD_BYTES_MAX ||
        h->segment != (uint32_t)segment_of(pos) || h->undurable > pos)
        return ERR_OK;
    TRY(log_reader_get_wait(r, pos, RECORD_HEADER_BYTES + (uint32_t)h->len, &p));
    uint32_t crc = record_crc_begin(pos, h);
    if (crc32c(crc, p + RECORD_HEADER_BYTES, h->len) == h->crc || DEFECT(RECORD_NOT_CHECKED))
        *payload = p + RECORD_HEADER_BYTES;
    return ERR_OK;
}

/* The next position from pos on, at most limit, where a record could start. */
SUSPENDS static err_t next_candidate_wait(struct log_reader *r, uint64_t *pos, uint64_t limit)
{
    while (*pos < limit) {
        const uint8_t *p;
        TRY(log_reader_get_wait(r, *pos, RECORD_ALIGN, &p));
        uint64_t n = MIN(limit - *pos, r->piece_bytes - *pos % r->piece_bytes);
        for (uint64_t i = 0; i < n; i += RECORD_ALIGN) {
            if (UNLIKELY(p[i + offsetof(struct record_header, magic)] == RECORD_MAGIC)) {
                *pos += i;
                return ERR_OK;
            }
        }
        *pos += n;
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

/* Search [pos, limit) for a record that proves the bytes at `end` were durable once. */
SUSPENDS static err_t search_wait(struct log_reader *r, lsn_t end, uint64_t pos, uint64_t limit)
{
    for (;;) {
        struct record_header h;
        const uint8_t *payload;
        TRY(next_candidate_wait(r, &pos, limit));
        if (pos >= limit)
            return ERR_OK;
        TRY(reader_record_wait(r, pos, &h, &payload));
        if (payload != NULL && pos - h.undurable > end) {
            wal_segment_path(r->w, segment_of(end), r->path);
            err_t err = err_raise(ERR_DATA_CORRUPTED, "log file \"%s\" is damaged at offset %llu",
                                  r->path, (unsigned long long)(end % WAL_SEGMENT_BYTES));
            err_detail("Valid log records follow at %llX.", (unsigned long long)pos);
            return err;
        }
        pos += payload != NULL ? record_span(h.len) : RECORD_ALIGN;
    }
}

SUSPENDS static err_t check_behind_end_wait(struct log_reader *r, lsn_t end,
                                            const uint64_t *numbers, size_t count)
{
    TRY(search_wait(r, end, end, (segment_of(end) + 1) * WAL_SEGMENT_BYTES));
    for (size_t i = 0; i < count; i++) {
        uint64_t at = numbers[i] * WAL_SEGMENT_BYTES;
        if (numbers[i] > segment_of(end))
            TRY(search_wait(r, end, at, at + SEARCH_BYTES));
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

err_t log_reader_records_wait(struct log_reader *r, lsn_t from, wal_apply_fn apply, void *ctx,
                              lsn_t *end)
{
    lsn_t pos = from;
    while (pos < r->cut.at) {
        struct record_header h;
        const uint8_t *payload;
        TRY(reader_record_wait(r, pos, &h, &payload));
        if (payload == NULL)
            break;
        pos += record_span(h.len);
        TRY(apply(ctx, h.kind, payload, h.len, pos));
        TRY(fiber_rest_wait());
    }
    *end = pos;
    return ERR_OK;
}

SUSPENDS static err_t first_segment_check(const struct log_reader *r, lsn_t from,
                                          const uint64_t *numbers, size_t count)
{
    bool has_before = false;
    bool has_later = false;
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == segment_of(from))
            return ERR_OK;
        has_before |= numbers[i] + 1 == segment_of(from);
        has_later |= numbers[i] > segment_of(from);
    }
    if (from % WAL_SEGMENT_BYTES == 0 && has_before && !has_later)
        return ERR_OK; /* ended exactly with a segment, and the next one was never made */
    wal_segment_path(r->w, segment_of(from), r->path);
    return err_raise(ERR_DATA_CORRUPTED, "log file \"%s\" is missing", r->path);
}

err_t log_reader_read_wait(struct log_reader *r, struct arena *mem, lsn_t from, wal_apply_fn apply,
                           void *ctx, uint64_t **numbers, size_t *count, lsn_t *end)
{
    if (from % RECORD_ALIGN != 0)
        return err_raise(ERR_DATA_CORRUPTED, "log position %llX is not a record boundary",
                         (unsigned long long)from);
    TRY(wal_segments_list_wait(r->w, mem, numbers, count));
    TRY(first_segment_check(r, from, *numbers, *count));
    TRY(wal_cut_read_wait(r->w, mem, &r->cut));
    TRY(log_reader_records_wait(r, from, apply, ctx, end));
    if (*end == r->cut.at)
        return ERR_OK; /* what lies behind is known, and is to go */
    return check_behind_end_wait(r, *end, *numbers, *count);
}

struct log_reader *log_reader_new(struct wal *w, struct arena *mem)
{
    struct log_reader *r = ARENA_NEW(mem, struct log_reader);
    r->w = w;
    r->piece_bytes = (uint32_t)MIN((uint64_t)READ_BYTES_MAX, WAL_SEGMENT_BYTES);
    r->path = arena_alloc(mem, WAL_PATH_BYTES);
    r->assembled = arena_alloc(mem, RECORD_SPAN_MAX);
    for (int i = 0; i < 2; i++) {
        r->pieces[i].bytes = io_buffer_alloc(r->piece_bytes);
        r->pieces[i].at = UINT64_MAX;
        r->pieces[i].reader = r;
    }
    return r;
}

void log_reader_end_wait(struct log_reader *r)
{
    for (int i = 0; i < 2; i++) {
        while (r->pieces[i].in_flight)
            wait_queue_shielded_wait(&r->queue);
        io_buffer_free(r->pieces[i].bytes, r->piece_bytes);
    }
    reader_close_file_wait(r);
}

err_t wal_inspect_wait(const char *directory, lsn_t from, wal_apply_fn apply, void *ctx, lsn_t *end)
{
    *end = from;
    struct arena *mem = arena_new();
    struct wal *w = ARENA_NEW(mem, struct wal);
    w->directory = arena_strdup(mem, directory);
    struct log_reader *r = log_reader_new(w, mem);
    uint64_t *numbers;
    size_t count;
    err_t err = log_reader_read_wait(r, mem, from, apply, ctx, &numbers, &count, end);
    log_reader_end_wait(r);
    arena_free(mem);
    return err;
}
