/*
 * Inside of the log: writer.c (buffer, group commit), segments.c (files), reader.c (replay).
 *
 * Record on disk, at an 8-byte boundary of the log, zero-padded to the next:
 *
 *   offset 0   u32  crc32c of start position (8 bytes), then of everything from offset 4
 *          4   u16  payload length
 *          6   u8   kind
 *          7   u8   RECORD_MAGIC
 *          8   u32  segment number of the start position (low 32 bits)
 *         12   u32  distance back to the position known durable when the record was appended
 *         16        payload
 *
 * The position inside the checksum makes a record of a recycled segment invalid at its new place;
 * the segment number lets a search reject it without reading the payload. The distance tells a torn
 * tail from a hole: see reader.c.
 */
#ifndef WAL_WAL_PRIV_H
#define WAL_WAL_PRIV_H

#include "wal/wal.h"

enum {
    RECORD_HEADER_BYTES = 16,
    RECORD_ALIGN = 8,
    RECORD_MAGIC = 0xa7,
    RECORD_SPAN_MAX = RECORD_HEADER_BYTES + WAL_RECORD_BYTES_MAX,
    WAL_BOUNCE_BYTES = 256 << 10,     /* writes up to here go through a copy */
    WAL_BUFFER_BYTES_MIN = 256 << 10, /* smallest ring */
    WAL_SEGMENTS_AHEAD = 2,           /* existing behind the one being written */
    WAL_OPEN_SEGMENTS = 4,
    WAL_PATH_BYTES = 4096,
    WAL_KEEPER_RETRY_US = 100000,
};
_Static_assert(WAL_RECORD_BYTES_MAX <= UINT16_MAX, "length field");
_Static_assert(RECORD_ALIGN >= 8 && RECORD_HEADER_BYTES % RECORD_ALIGN == 0, "record alignment");

struct record_header {
    uint32_t crc;
    uint16_t len;
    uint8_t kind;
    uint8_t magic;
    uint32_t segment;
    uint32_t undurable;
};
_Static_assert(sizeof(struct record_header) == RECORD_HEADER_BYTES, "record header layout");

struct wal_segment {
    uint64_t no;
    struct io_file *file; /* NULL: slot unused */
};

struct wal {
    char *directory;
    uint64_t keep_bytes_min;
    uint64_t commit_delay_us;
    bool positioned;           /* create or replay done: may append */
    struct wal_replay *replay; /* NULL: not between its steps */
    bool closing;

    /* the ring: bytes [align_down(durable), end) of the log, at position % capacity */
    uint8_t *ring;
    uint64_t capacity;
    lsn_t end;
    lsn_t durable;
    lsn_t mark; /* highest record boundary known durable: the end of the last batch */
    _Atomic uint64_t *durable_word; /* NULL, or the same for other cores */
    lsn_t batch_target;             /* end of the batch being written; == durable when none */

    /* the write in flight */
    bool writing;
    bool stalled; /* a write waits for its segment */
    bool flush_wanted;
    bool timer_armed;
    lsn_t write_to;
    uint64_t write_started_ns;
    uint8_t *bounce;
    struct io_request request;
    struct timer timer;

    /* waiters[gathering]: for the next batch; waiters[!gathering]: for the running one */
    struct wait_queue waiters[2];
    unsigned gathering;
    struct wait_queue space;
    struct wait_queue idle; /* close waits for the write in flight and for the keeper */

    err_t failure;
    char failure_text[512];
    void (*on_failure)(void *ctx, err_t err);
    void *on_failure_ctx;

    /* segments: files [oldest, ready_end) exist */
    uint64_t oldest;
    uint64_t ready_end;
    struct wal_segment open[WAL_OPEN_SEGMENTS];
    bool directory_locked;
    struct wait_queue directory_queue;
    bool keeper_running;
    err_t keeper_error; /* the last try to make a segment failed */
    struct wait_queue keeper_queue;
    lsn_t recycled_to;
    uint64_t segments_per_recycle; /* moving estimate of log volume between two recycles */

    struct wal_stats stats;
};

static inline uint64_t align_down(uint64_t x, uint64_t unit)
{
    return x & ~(unit - 1);
}
static inline uint64_t align_up(uint64_t x, uint64_t unit)
{
    return (x + unit - 1) & ~(unit - 1);
}
/* One physical write. A power of two, as the next. */
static inline uint64_t wal_write_bytes_max(void)
{
    return MIN((uint64_t)MIB(1), WAL_SEGMENT_BYTES / 2);
}
/* Left for commits and undo when the disk is full. */
static inline uint64_t full_margin_bytes(void)
{
    return WAL_SEGMENT_BYTES / 4;
}
static inline uint64_t segment_of(lsn_t lsn)
{
    return lsn >> wal_segment_shift;
}
static inline uint32_t record_span(uint32_t len)
{
    return (uint32_t)align_up(RECORD_HEADER_BYTES + (uint64_t)len, RECORD_ALIGN);
}
/* The part of the checksum that depends on the header and its place. */
uint32_t record_crc_begin(lsn_t start, const struct record_header *h);

/* writer.c */
void wal_write_begin(struct wal *w); /* in reactor or fiber: start the next write if there is one */
COLD void wal_fail(struct wal *w, err_t err, const char *what);
COLD err_t wal_raise_failure(const struct wal *w);
/* Load the partial block in front of lsn into the ring and continue there. */
void wal_position(struct wal *w, lsn_t lsn, const uint8_t *block_prefix);

/* cut.c: where the log is to end, and up to where there may be records behind that; both
 * UINT64_MAX and 0 when it was not cut. */
struct wal_cut {
    lsn_t at;
    lsn_t end;
};
SUSPENDS err_t wal_cut_read_wait(const struct wal *w, struct arena *mem, struct wal_cut *out);
SUSPENDS err_t wal_cut_remove_wait(const struct wal *w, struct arena *mem); /* durable on return */

/* reader.c: one pass over a log, or several. A piece is what one request reads. */
struct log_piece {
    uint8_t *bytes;
    uint64_t at; /* UINT64_MAX = none */
    bool in_flight;
    struct io_request request;
    struct log_reader *reader;
};

struct log_reader {
    struct wal *w;
    uint32_t piece_bytes;
    struct log_piece pieces[2];
    struct wait_queue queue;
    struct io_file *file;
    uint64_t file_no;
    uint64_t file_bytes;
    bool file_missing;
    struct wal_cut cut;
    uint8_t *assembled; /* a record across two pieces */
    char *path;
};
struct log_reader *log_reader_new(struct wal *w, struct arena *mem);
SUSPENDS void log_reader_end_wait(struct log_reader *r);
/* len bytes at pos, contiguous; valid until the next call. Meant for ascending positions. */
SUSPENDS err_t log_reader_get_wait(struct log_reader *r, uint64_t pos, uint32_t len,
                                   const uint8_t **out);
/* The valid records from `from` on, in front of the cut. apply may read elsewhere. */
SUSPENDS err_t log_reader_records_wait(struct log_reader *r, lsn_t from, wal_apply_fn apply,
                                       void *ctx, lsn_t *end);
/* Those, and a look at what lies behind the end: ERR_DATA_CORRUPTED if that was durable. Sorted
 * numbers of the segments, in the arena. Changes nothing on the disk. */
SUSPENDS err_t log_reader_read_wait(struct log_reader *r, struct arena *mem, lsn_t from,
                                    wal_apply_fn apply, void *ctx, uint64_t **numbers,
                                    size_t *count, lsn_t *end);

/* replay.c */
struct wal_replay; /* between its two steps */
SUSPENDS void wal_replay_drop_wait(struct wal *w);

/* segments.c */
struct io_file *wal_segment_file(struct wal *w, uint64_t no); /* NULL: not open (yet) */
void wal_keeper_kick(struct wal *w);
err_t wal_keeper_start(struct wal *w);
SUSPENDS void wal_keeper_stop_wait(struct wal *w);
SUSPENDS err_t wal_segment_create_wait(struct wal *w, uint64_t no);
SUSPENDS err_t wal_unfinished_remove_wait(struct wal *w, struct arena *mem);
/* Sorted numbers of the existing segments, in the arena. */
SUSPENDS err_t wal_segments_list_wait(struct wal *w, struct arena *mem, uint64_t **numbers,
                                      size_t *count);
void wal_segment_path(const struct wal *w, uint64_t no, char *path);

/* crc32c.c */
uint32_t crc32c_tables(uint32_t seed, const void *bytes, size_t len); /* the portable one */

#endif
