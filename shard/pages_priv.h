/*
 * Inside of the page store: pages.c (store, files, pins), page_frames.c (buffer pool), page_write.c
 * (writing and the cleaner), page_map.c (page map and directory), page_cut.c (checkpoint,
 * superblock, opening), blocks.c (free blocks).
 *
 * Terms. A cut is the instant of a checkpoint; `epoch` counts cuts. While a cut runs (from
 * page_store_cut to the end of page_store_write_cut_wait) the store has two states: the frozen one,
 * which the checkpoint writes, and the live one.
 *
 *   frame    dirty, epoch older than the store's: frozen, its bytes still belong to the cut
 *   clone    frozen bytes of a frame that was changed since
 *   map leaf forked: `frozen` holds the entries of the cut, `entries` the live ones
 *   file     frozen_pages when the file grew since; a file dropped since stays until the cut ends
 *
 * On disk all blocks have PAGE_BYTES and begin with struct page_header. A reference to a block is
 * an entry: block number in the low 40 bits, the low 24 bits of its checksum above. So a block that
 * holds valid bytes of another time (a lost write) does not pass.
 *
 *   blocks 0, 1   superblocks, each as two equal sectors of SUPER_BYTES
 *   MAP           MAP_FANOUT entries of the level below; level 0: of pages. Path of a file with n
 * pages has as many levels as n needs. page_no = index in the level, flags = level. DIRECTORY
 * DIR_FANOUT x struct dir_entry. The directory is mapped like a file. STATE         u64 entry of
 * the next block, u32 bytes, u32 0, bytes: the caller's blob
 */
#ifndef SHARD_PAGES_PRIV_H
#define SHARD_PAGES_PRIV_H

#include "core/stats.h"
#include "shard/pages.h"

enum {
    MAP_FANOUT = (PAGE_BYTES - PAGE_HEADER_BYTES) / 8,
    MAP_LEVELS = 4,
    DIR_ENTRY_BYTES = 32,
    DIR_FANOUT = (PAGE_BYTES - PAGE_HEADER_BYTES) / DIR_ENTRY_BYTES,
    STATE_HEADER_BYTES = 16,
    STATE_BYTES_MAX = PAGE_BYTES - PAGE_HEADER_BYTES - STATE_HEADER_BYTES,
    SUPER_BYTES = 4096,
    SUPER_BLOCKS = 2,
    KIND_MAP = 0xf001,
    KIND_DIRECTORY = 0xf002,
    KIND_STATE = 0xf003,
    WRITE_PAGES_MAX = 16, /* one write */
    WRITE_OPS = 16,       /* in flight */
    CUT_OPS_MAX = 10,     /* of them for a checkpoint */
    READ_AHEAD_MAX = 32,  /* in flight */
    LOAD_READS = 16,
    FRAMES_MIN = 16,
    USE_MAX = 3,
    SCAN_RING_MAX = 256,
    CUT_SORT_FRAMES = 4096,
    BLOCK_BITS = 40,
    PATH_TEXT_BYTES = 256,
};
#define BLOCK_MASK ((UINT64_C(1) << BLOCK_BITS) - 1)
_Static_assert(MAP_FANOUT * 8 + PAGE_HEADER_BYTES == PAGE_BYTES, "map block layout");
_Static_assert((uint64_t)MAP_FANOUT *MAP_FANOUT *MAP_FANOUT *MAP_FANOUT > UINT32_MAX, "map levels");

struct dir_entry {
    uint64_t file; /* 0 kind: unused slot */
    uint64_t root;
    uint32_t pages;
    uint16_t kind;
    uint16_t height;
    uint64_t reserved;
};
_Static_assert(sizeof(struct dir_entry) == DIR_ENTRY_BYTES, "directory layout");

struct superblock {
    uint32_t checksum; /* from byte 4 */
    uint32_t version;
    uint64_t magic;
    uint64_t sequence;
    uint64_t lsn;
    uint64_t store_id;
    uint64_t dir_root;
    uint64_t state_root;
    uint64_t state_bytes;
    uint32_t dir_pages;
    uint32_t page_bytes;
    uint8_t reserved[SUPER_BYTES - 72];
};
_Static_assert(sizeof(struct superblock) == SUPER_BYTES, "superblock layout");

struct map_node {
    uint64_t entry;    /* where it was written last; 0 = never */
    uint64_t captured; /* epoch of the last cut that has taken it in */
    uint64_t written;  /* epoch of the last cut that wrote it */
    bool dirty;
    bool is_forked;
    bool frozen_dirty;
    uint32_t capacity; /* leaves: of entries; grows up to MAP_FANOUT */
    uint32_t frozen_capacity;
    uint64_t *entries;
    uint64_t *frozen;
};

struct map_level {
    struct map_node **nodes;
    uint32_t capacity;
};

struct page_file {
    file_id id;
    enum file_kind kind;
    uint32_t pages;
    uint32_t slot;
    uint32_t frozen_pages; /* valid when frozen_epoch is the running cut's */
    uint64_t frozen_epoch;
    uint64_t epoch_created; /* a cut with a higher epoch has it */
    uint64_t epoch_dropped;
    bool is_dead;
    bool is_slot_held;
    uint32_t refs; /* frames, clones and write items that point here */
    uint64_t root;
    uint32_t reap_leaf;
    struct map_level levels[MAP_LEVELS];
    struct page_file *hash_next;
    struct page_file *dead_next;
};

enum frame_state { FRAME_FREE, FRAME_READING, FRAME_VALID, FRAME_FAILED };
enum {
    FRAME_DIRTY = 1,
    FRAME_WRITING = 2,  /* a copy of it is being written; not to be evicted or written again */
    FRAME_DETACHED = 4, /* not in the hash: the file was dropped or the read failed */
    FRAME_SCAN = 8,     /* only a scan wanted it so far */
};

/* A frame is what callers hold as struct page. */
struct frame {
    uint8_t *data;
    struct page_store *ps;
    struct page_file *file;
    file_id id;
    struct page_clone *clone;
    struct wait_queue readers;
    uint32_t page_no;
    uint32_t pins;
    uint32_t hash_next; /* frame number + 1; also links free and reserved frames */
    uint32_t list_prev; /* dirty lists, number + 1 */
    uint32_t list_next;
    uint32_t epoch; /* low bits of the epoch in which it became dirty */
    uint16_t read_error;
    uint8_t state;
    uint8_t use;
    uint8_t flags;
};
_Static_assert(sizeof(struct frame) <= sizeof(struct page), "struct page has the room");
_Static_assert(offsetof(struct frame, data) == offsetof(struct page, data), "data comes first");

struct frame_list {
    uint32_t first; /* number + 1 */
    uint32_t last;
};

struct page_clone {
    struct page_clone *next;
    struct page_file *file;
    struct frame *frame; /* NULL when the frame is gone */
    uint32_t page_no;
    bool is_held; /* older bytes of the frame are being written: they have to be in the map first */
    uint8_t image[PAGE_BYTES];
};

/* Frames set aside by one fiber. */
struct reservation {
    struct fiber *fiber;
    uint32_t first; /* number + 1 */
    uint32_t count;
    struct reservation *next;
};

struct write_item {
    struct page_file *file;
    struct frame *frame; /* NULL: clone or meta */
    struct page_clone *clone;
    uint64_t entry;
    uint32_t page_no;
    bool is_frozen;
};

struct write_op {
    struct io_request request;
    struct page_store *ps;
    struct write_op *next;
    uint8_t *bounce; /* WRITE_PAGES_MAX pages */
    uint64_t block;
    uint64_t epoch;
    uint32_t count;     /* items in it */
    uint32_t allocated; /* blocks */
    bool is_cut;        /* counts against the checkpoint */
    bool is_meta;
    struct write_item items[WRITE_PAGES_MAX];
};

struct read_op {
    struct io_request request;
    struct frame *frame;
    uint64_t entry;
    struct read_op *next;
};

/* Free-block bitmaps, a bit per block. See blocks.c. */
struct blocks {
    uint64_t *used;
    uint64_t *fresh;    /* allocated for the live state since the last cut: in no checkpoint */
    uint64_t *pending0; /* free when the next superblock is durable */
    uint64_t *pending1; /* free one checkpoint later */
    uint64_t *full;     /* a bit per word of used: no free bit in it */
    uint64_t words;     /* allocated */
    uint64_t count;     /* blocks in the file */
    uint64_t free_count;
    uint64_t hint; /* word */
    bool is_growing;
    bool is_recovering; /* the live state may take the checkpoint's reserve */
    struct wait_queue growing;
};

enum fault_op { FAULT_READ, FAULT_WRITE, FAULT_SYNC, FAULT_GROW };

struct page_store {
    char path[PATH_TEXT_BYTES];
    struct io_file *file;
    uint64_t store_id;
    uint64_t sequence;   /* of the newest superblock tried */
    uint32_t super_slot; /* where the newest durable one is */
    uint64_t epoch;
    bool is_closing;

    /* files */
    struct page_file **file_buckets;
    uint32_t file_mask;
    uint32_t file_count;
    struct page_file **slots; /* directory slots; NULL = unused */
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint32_t slot_hint;
    struct page_file *dead; /* to be reaped */
    struct page_file directory;
    uint8_t **dir_images; /* payload of each directory page as written last; NULL = unknown */
    uint32_t dir_image_capacity;

    /* frames */
    struct frame *frames;
    uint8_t *memory;
    uint32_t frame_count;
    uint32_t *buckets; /* number + 1 */
    uint32_t bucket_mask;
    uint32_t free_first;
    uint32_t free_count;
    uint32_t free_target; /* the cleaner keeps so many */
    uint32_t hand;
    uint32_t dirty_count;
    uint32_t dirty_max;       /* the cleaner keeps it below, so that reads find clean frames */
    uint32_t pages_in_flight; /* frames the cleaner is writing */
    uint32_t reads_in_flight;
    struct frame_list dirty;
    struct frame_list frozen;
    struct reservation *reservations;
    uint32_t scan_ring[SCAN_RING_MAX]; /* number + 1 */
    uint32_t scan_ring_size;
    uint32_t scan_ring_at;

    /* waiting for frames; the cleaner */
    struct wait_queue frame_queue;
    uint32_t frame_waiters;
    err_t round_error;            /* why the cleaner's last round gave no frame */
    struct wait_queue trim_queue; /* waits for the end of a round of the cleaner */
    uint64_t trim_rounds;
    err_t trim_error; /* why the last round left too many pages dirty */
    struct wait_queue cleaner_queue;
    bool cleaner_running;
    bool cleaner_kicked;
    struct wait_queue idle;

    /* writing */
    struct write_op *ops;
    struct write_op *free_ops;
    uint32_t ops_in_flight;
    uint32_t cut_ops_in_flight;
    uint32_t page_ops_in_flight;  /* ops that carry pages, begun in this epoch */
    uint32_t page_ops_before_cut; /* begun earlier */
    uint32_t frozen_in_flight;    /* frozen images in ops */
    struct wait_queue op_queue;   /* waits for an op or for completions */
    struct read_op *free_reads;
    struct blocks blocks;

    /* the running cut */
    bool is_cut;
    bool is_cut_writing;
    bool sync_failed;
    err_t cut_error;
    uint32_t cut_slot_count;
    struct page_clone *clones; /* to be written */
    struct page_clone *held_clones;
    uint32_t clone_count;
    uint32_t clone_max;
    struct wait_queue clone_queue;
    uint64_t *state_entries; /* blocks of the durable blob */
    uint32_t state_entry_count;

    struct page_store_stats stats;

    /* Tests: an error instead of the real operation; ERR_OK goes on. */
    err_t (*fault)(void *ctx, enum fault_op op, uint64_t block);
    void *fault_ctx;
};

static inline uint64_t entry_block(uint64_t entry)
{
    return entry & BLOCK_MASK;
}
static inline uint64_t entry_make(uint64_t block, uint32_t checksum)
{
    return block | (uint64_t)checksum << BLOCK_BITS;
}
static inline bool entry_matches(uint64_t entry, uint32_t checksum)
{
    return entry >> BLOCK_BITS == (checksum & 0xffffff);
}
static inline uint32_t frame_no(const struct frame *f)
{
    return (uint32_t)((const struct page *)(const void *)f -
                      (const struct page *)(const void *)f->ps->frames);
}
static inline struct frame *frame_at(struct page_store *ps, uint32_t no)
{
    return (struct frame *)(void *)((struct page *)(void *)ps->frames + no);
}
static inline bool frame_is_frozen(const struct frame *f)
{
    return (f->flags & FRAME_DIRTY) != 0 && f->ps->is_cut && f->epoch != (uint32_t)f->ps->epoch;
}
/* Part of the running cut's frozen state. */
static inline bool file_in_cut(const struct page_store *ps, const struct page_file *f)
{
    return ps->is_cut && f->epoch_created < ps->epoch &&
           (!f->is_dead || f->epoch_dropped == ps->epoch);
}
static inline err_t store_fault(struct page_store *ps, enum fault_op op, uint64_t block)
{
    return UNLIKELY(ps->fault != NULL) ? ps->fault(ps->fault_ctx, op, block) : ERR_OK;
}

/* blocks.c */
enum block_use { BLOCK_LIVE, BLOCK_CUT };
void blocks_init(struct blocks *b, uint64_t count);
void blocks_destroy(struct blocks *b);
bool block_mark_used(struct blocks *b, uint64_t block); /* false: out of range or used already */
/* Up to want blocks in a row; 0 = none. */
uint64_t blocks_allocate(struct blocks *b, uint32_t want, enum block_use use, uint32_t *got);
void block_free_now(struct blocks *b, uint64_t block);
/* Not referenced any more: by the live state (is_cut tells whether a cut runs) or, with is_cut
 * false, by live and frozen state both. */
void block_release(struct blocks *b, uint64_t block, bool is_cut);
/* A live allocation turns out to carry a page of the running cut. */
void blocks_make_stale(struct blocks *b, uint64_t block);
void blocks_cut(struct blocks *b);
void blocks_cut_durable(struct blocks *b);
void blocks_cut_failed(struct blocks *b);
/* Make blocks_allocate(want) succeed at least partly, by growing the file. ERR_DISK_FULL. */
SUSPENDS err_t blocks_ensure_wait(struct page_store *ps, uint32_t want, enum block_use use);

/* page_map.c */
struct page_file *file_new(file_id id, enum file_kind kind, uint64_t epoch);
void file_free_memory(struct page_file *f);
void map_destroy(struct page_file *f);
uint64_t map_get(const struct page_file *f, uint32_t page_no);
void map_set_live(struct page_store *ps, struct page_file *f, uint32_t page_no, uint64_t entry);
/* Live and frozen. */
void map_set_both(struct page_store *ps, struct page_file *f, uint32_t page_no, uint64_t entry);
void file_set_pages(struct page_store *ps, struct page_file *f, uint32_t pages);
uint32_t file_cut_pages(const struct page_store *ps, const struct page_file *f);
SUSPENDS err_t map_load_wait(struct page_store *ps, struct page_file *f);
SUSPENDS err_t directory_load_wait(struct page_store *ps, struct page_file *directory);
struct meta_writer;
SUSPENDS err_t map_write_wait(struct page_store *ps, struct meta_writer *m, struct page_file *f,
                              uint32_t pages);
SUSPENDS err_t directory_write_wait(struct page_store *ps, struct meta_writer *m);
void map_cut_failed(struct page_store *ps); /* what the cut wrote is to be written again */
/* Release a leaf's blocks; false when the file has none left. */
bool map_reap_step(struct page_store *ps, struct page_file *f);
uint32_t directory_slot_take(struct page_store *ps, struct page_file *f);
void directory_slot_release(struct page_store *ps, struct page_file *f);
void file_hash_add(struct page_store *ps, struct page_file *f);
void file_hash_remove(struct page_store *ps, struct page_file *f);
struct page_file *file_find(const struct page_store *ps, file_id id);

/* page_frames.c */
void frames_init(struct page_store *ps, uint64_t pool_bytes);
void frames_destroy(struct page_store *ps);
struct frame *frame_find(const struct page_store *ps, file_id id, uint32_t page_no);
void frame_hash_add(struct frame *f);
void frame_hash_remove(struct frame *f);
void frame_mark_dirty(struct frame *f);
void frame_clear_dirty(struct frame *f);
void frame_release(struct frame *f); /* to the free list; wakes a waiter */
void frame_assign(struct frame *f, struct page_file *file, uint32_t page_no);
void frame_settle(struct frame *f); /* after a change of pins or flags: frees a detached frame */
struct frame *frame_try(struct page_store *ps); /* a free frame, or NULL */
SUSPENDS err_t frame_get_wait(struct page_store *ps, struct frame **out);
/* One frame the clock hand comes to: evicted (true), or *dirty to be written, or neither. */
bool clock_step(struct page_store *ps, struct frame **dirty);
void frames_drop_file(struct page_store *ps, struct page_file *file);
void clone_set_aside(struct frame *f);
void clone_free(struct page_store *ps, struct page_clone *c);
void clone_let_go(struct frame *f); /* the write of its older bytes has ended */
void clones_free_all(struct page_store *ps);
/* Bytes just read: checksum and identity. */
err_t page_check(const struct page_store *ps, const uint8_t *data, uint64_t entry, uint16_t kind,
                 file_id file, uint32_t page_no);
COLD err_t page_raise(const struct page_store *ps, err_t err, file_id file, uint32_t page_no,
                      uint64_t entry);
uint32_t page_seal(uint8_t *data); /* fills in and returns the checksum */

/* page_write.c */
SUSPENDS err_t op_get_wait(struct page_store *ps, bool is_cut, struct write_op **out);
void op_put(struct page_store *ps, struct write_op *op);
void op_add_frame(struct write_op *op, struct frame *f);
void op_add_clone(struct write_op *op, struct page_clone *c);
void op_start(struct write_op *op);
/* Write up to WRITE_PAGES_MAX frames or clones (those that still need it). */
SUSPENDS err_t frames_write_wait(struct page_store *ps, struct frame **frames, uint32_t count,
                                 bool is_cut);
SUSPENDS err_t clones_write_wait(struct page_store *ps);
void cleaner_kick(struct page_store *ps);
err_t cleaner_start(struct page_store *ps);

/* Map, directory and state blocks, in runs. */
struct meta_writer {
    struct page_store *ps;
    struct write_op *op;
};
/* A zeroed block to fill; its header's identity is set. */
SUSPENDS err_t meta_add_wait(struct meta_writer *m, uint16_t kind, uint16_t flags, file_id file,
                             uint32_t index, uint8_t **image);
uint64_t meta_seal(struct meta_writer *m, uint8_t *image); /* its entry */
void meta_finish(struct meta_writer *m);

/* page_cut.c */
bool superblock_read(const uint8_t *sector, struct superblock *s); /* false: not a valid one */
SUSPENDS err_t store_load_wait(struct page_store *ps, struct arena *mem, lsn_t *lsn,
                               const uint8_t **state, size_t *state_bytes);

/* pages.c */
SUSPENDS err_t block_read_wait(struct page_store *ps, uint64_t entry, uint8_t *data);

#endif
