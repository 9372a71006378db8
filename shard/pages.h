/*
 * Page store and buffer pool of one shard: copy-on-write checkpoints, never overwrite (DESIGN.md
 * section 5).
 *
 * A file is a growing array of 8 KiB pages named by a file_id (database oid << 32 | file number;
 * the store knows nothing of the catalog). The page map turns (file, page number) into a block of
 * the shard's data file. A changed page always goes to a free block; blocks of the last durable
 * checkpoint are not reused before the next one is durable.
 *
 * Used only as the shard's owner. A page pointer may be held across a wait only while pinned, and
 * its bytes must be checked again after a wait. Writing happens inside a no-suspend section:
 * page_modify() marks the page dirty and, when the running checkpoint still needs the old image,
 * sets that aside first (the pointer stays).
 */
#ifndef SHARD_PAGES_H
#define SHARD_PAGES_H

#include "wal/wal.h"

typedef uint64_t file_id;
enum { PAGE_BYTES = 8192, PAGE_HEADER_BYTES = 32, PAGE_NONE = 0xffffffff };

enum file_kind {
    FILE_HEAP = 1,
    FILE_BTREE = 2,
    FILE_SEQUENCE = 3,
    FILE_SPILL = 4, /* row versions that are not in memory: the shard's own, in no catalog */
};

/* Head of each page; the rest belongs to heap, B+tree, ... */
struct page_header {
    uint32_t checksum; /* crc32c of the page from byte 4; set when written, verified when read */
    uint16_t kind;     /* enum file_kind */
    uint16_t flags;    /* the owner's */
    uint64_t file;
    uint32_t page_no;
    uint32_t owner_word; /* the owner's */
    lsn_t lsn;           /* of the last change */
};
_Static_assert(sizeof(struct page_header) == PAGE_HEADER_BYTES, "page header layout");

struct page_store;
struct page {
    uint8_t *data; /* PAGE_BYTES; stays valid while pinned */
    /* private to pages.c from here */
    uint64_t private_words[12];
};

struct page_store_options {
    const char *path;    /* the shard's data file */
    uint64_t pool_bytes; /* frames */
    int numa_node;
};

/* New empty store with its first checkpoint at lsn 0. */
SUSPENDS err_t page_store_create_wait(const struct page_store_options *o, struct page_store **out);
/* Opens at the newest valid superblock; *state (in the arena) is the blob given to that checkpoint.
 */
SUSPENDS err_t page_store_open_wait(const struct page_store_options *o, struct arena *mem,
                                    struct page_store **out, lsn_t *lsn, const uint8_t **state,
                                    size_t *state_bytes);
SUSPENDS void page_store_close_wait(struct page_store *ps);
/* While the log is replayed the store may use the blocks kept back for a checkpoint. */
void page_store_set_recovering(struct page_store *ps, bool is_recovering);

/* ---- files: changes take effect at once in memory and on disk with the next checkpoint; callers
 * log them. ---- */
void file_create(struct page_store *ps, file_id file, enum file_kind kind); /* exists: no change */
void file_drop(struct page_store *ps, file_id file); /* absent is fine; no page may be pinned */
bool file_exists(const struct page_store *ps, file_id file, enum file_kind *kind);
uint32_t file_page_count(const struct page_store *ps, file_id file);
/* Walk all files (for check tools, DROP DATABASE): false at the end. cursor starts at 0. */
bool file_next(const struct page_store *ps, uint64_t *cursor, file_id *file, enum file_kind *kind,
               uint32_t *pages);

/* ---- pages ---- */

/* Errors: ERR_IO_ERROR, ERR_DATA_CORRUPTED (checksum, wrong id), ERR_OUT_OF_MEMORY (all frames
 * pinned), ERR_DISK_FULL (no clean frame to be had). ERR_INTERNAL_WOULD_SUSPEND on a borrowed
 * shard. */
SUSPENDS err_t page_pin_wait(struct page_store *ps, file_id file, uint32_t page_no,
                             struct page **out);
/* Without waiting: NULL when not in the pool. */
struct page *page_pin_cached(struct page_store *ps, file_id file, uint32_t page_no);
/* A page that did not exist: zeroed but for its header, pinned and dirty. page_no may be any number
 * not below the page count (pages between read as zeroed pages); PAGE_NONE = the end of the file at
 * the moment of success. A page made by another fiber during the wait is pinned as it is. Logged by
 * the caller. */
SUSPENDS err_t page_pin_new_wait(struct page_store *ps, file_id file, uint32_t page_no,
                                 struct page **out);
/* Take n clean spare frames in advance so that page_new_reserved cannot fail or wait (B+tree splits
 * inside a no-suspend section). They belong to the running fiber; a second call tops up to n.
 * Unused ones go back with page_reserve_end, which the same fiber always calls (not after an
 * error). */
SUSPENDS err_t page_reserve_wait(struct page_store *ps, uint32_t n);
struct page *page_new_reserved(struct page_store *ps,
                               file_id file); /* at the end of file, pinned */
void page_reserve_end(struct page_store *ps);
/* Before new work (not undo or commit): waits while nearly all frames are dirty, so that the rest
 * stays clean for readers. ERR_DISK_FULL when the dirty ones cannot be written. */
SUSPENDS err_t page_room_wait(struct page_store *ps);
void page_unpin(struct page *p);
/* Before any change, in a no-suspend section; lsn may be filled in later by page_set_lsn. */
uint8_t *page_modify(struct page *p);
void page_set_lsn(struct page *p, lsn_t lsn);
/* Hint: pages from page_no will be read in order. */
void page_read_ahead(struct page_store *ps, file_id file, uint32_t page_no, uint32_t count);
enum page_use { PAGE_USE_NORMAL, PAGE_USE_SCAN };
/* As page_pin_wait, but a scan's page is the first to be evicted. */
SUSPENDS err_t page_pin_use_wait(struct page_store *ps, file_id file, uint32_t page_no,
                                 enum page_use use, struct page **out);

/* ---- checkpoint ---- */

/* The instant cut: freezes all dirty pages, files and map. One checkpoint at a time. No suspension.
 */
void page_store_cut(struct page_store *ps);
/* Write the frozen images and map, then the superblock with lsn and the state blob; then blocks of
 * the previous checkpoint are free. On error (disk full, I/O) the old checkpoint stays valid,
 * frozen pages count as dirty again, and the call may be repeated after a new cut. pace_us > 0
 * spreads the writes. */
SUSPENDS err_t page_store_write_cut_wait(struct page_store *ps, lsn_t lsn, const uint8_t *state,
                                         size_t state_bytes, uint64_t pace_us);
/* A cut that is not going to be written: frozen pages count as dirty again. */
void page_store_cut_abandon(struct page_store *ps);

/* Every block in use is referred to exactly once, by the live state or by what a checkpoint still
 * needs. ERR_DATA_CORRUPTED. Nothing to say (ERR_OK) while a checkpoint or a drop is under way. */
err_t page_store_verify_blocks(struct page_store *ps);

struct page_store_stats {
    uint64_t hits;
    uint64_t reads;
    uint64_t evictions;
    uint64_t dirty_evictions;
    uint64_t clones;
    uint64_t checkpoints;
    uint64_t checkpoint_pages;
    uint64_t frames;
    uint64_t frames_dirty;
    uint64_t blocks;
    uint64_t blocks_free;
};
void page_store_stats_read(const struct page_store *ps, struct page_store_stats *out);

#endif
