/*
 * A data directory as it lies on the disk: for each shard the superblocks, the directory of files,
 * their page maps and every page of the newest checkpoint, the checkpoint's state, and the log
 * behind it. Reads only. See pages_priv.h for the format.
 *
 * Whatever is damaged is reported and left out; the check goes on with the rest. Blocks are read in
 * batches of the order of the map, which is the order of a file's pages.
 */
#include "shard/check.h"
#include "shard/pages_priv.h"
#include "shard/shard_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 32, CHECK_PATH_BYTES = 4096, RECORD_TEXT_BYTES = 256 };

struct disk {
    struct check_report *report;
    struct check_totals *totals;
    const char *directory;
    const char *copy_to;
    uint32_t shard;
    struct io_file *pages;
    struct io_file *copy; /* NULL: none is made */
    uint64_t block_count;
    uint8_t *used; /* a bit per block */
    uint8_t *buffers;
    struct io_request requests[BATCH];
    uint32_t in_flight;
    struct wait_queue queue;
    struct superblock super;
    char *path; /* scratch */
    char *path2;
};

/* What a block should be. */
struct block_name {
    uint16_t kind;
    file_id file;
    uint32_t first; /* number of the first of a batch */
};

typedef err_t (*block_use)(struct disk *d, void *ctx, uint32_t index, const uint8_t *image);

void check_problem(struct check_report *r, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof(text), format, args) < 0)
        text[0] = '\0';
    va_end(args);
    r->problems++;
    r->problem(r, text);
}

static const char *block_text(const struct block_name *n, uint32_t index, char *out, size_t bytes)
{
    unsigned database = (unsigned)(n->file >> 32);
    unsigned number = (unsigned)n->file;
    if (n->kind == KIND_MAP)
        (void)snprintf(out, bytes, "page map block %u of file %u/%u", index, database, number);
    else if (n->kind == KIND_DIRECTORY)
        (void)snprintf(out, bytes, "directory page %u", index);
    else if (n->kind == KIND_STATE)
        (void)snprintf(out, bytes, "checkpoint state block %u", index);
    else
        (void)snprintf(out, bytes, "page %u of file %u/%u", index, database, number);
    return out;
}

static void block_problem(struct disk *d, const struct block_name *n, uint32_t index,
                          uint64_t entry, const char *what)
{
    char name[96];
    check_problem(d->report, "shard %u: %s in block %llu: %s", d->shard,
                  block_text(n, index, name, sizeof(name)), (unsigned long long)entry_block(entry),
                  what);
}

/* False: not a block that could be read. */
static bool block_claim(struct disk *d, const struct block_name *n, uint32_t index, uint64_t entry)
{
    uint64_t block = entry_block(entry);
    if (block < SUPER_BLOCKS || block >= d->block_count) {
        block_problem(d, n, index, entry, "the reference lies outside of the file");
        return false;
    }
    uint8_t bit = (uint8_t)(1u << (block % 8));
    if ((d->used[block / 8] & bit) != 0)
        block_problem(d, n, index, entry, "the block is in use by something else too");
    d->used[block / 8] |= bit;
    d->totals->blocks_used++;
    return true;
}

static void batch_read_done(struct io_request *req)
{
    struct disk *d = req->owner;
    if (--d->in_flight == 0)
        wait_queue_wake_all(&d->queue);
}

SUSPENDS static void batch_read_wait(struct disk *d, const uint64_t *entries, const bool *wanted,
                                     uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!wanted[i])
            continue;
        d->requests[i] = (struct io_request){.done = batch_read_done, .owner = d};
        d->in_flight++;
        io_read_start(&d->requests[i], d->pages, d->buffers + (size_t)i * PAGE_BYTES, PAGE_BYTES,
                      entry_block(entries[i]) * PAGE_BYTES);
    }
    while (d->in_flight > 0)
        wait_queue_shielded_wait(&d->queue);
}

SUSPENDS static err_t block_copy_wait(struct disk *d, uint64_t block, const uint8_t *image)
{
    if (d->copy == NULL)
        return ERR_OK;
    return io_write_wait(d->copy, image, PAGE_BYTES, block * PAGE_BYTES);
}

/* Claims, reads and checks the blocks of up to BATCH entries (0 = none) and hands them to use.
 * Copies of what use gets stay valid until its next wait: it must not call this again. */
SUSPENDS static err_t batch_wait(struct disk *d, const struct block_name *n,
                                 const uint64_t *entries, uint32_t count, block_use use, void *ctx)
{
    bool wanted[BATCH];
    ASSERT(count <= BATCH);
    for (uint32_t i = 0; i < count; i++)
        wanted[i] = entries[i] != 0 && block_claim(d, n, n->first + i, entries[i]);
    batch_read_wait(d, entries, wanted, count);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *image = d->buffers + (size_t)i * PAGE_BYTES;
        if (!wanted[i])
            continue;
        if (d->requests[i].result != ERR_OK) {
            block_problem(d, n, n->first + i, entries[i], "could not be read");
            continue;
        }
        TRY(block_copy_wait(d, entry_block(entries[i]), image));
        if (page_check(NULL, image, entries[i], n->kind, n->file, n->first + i) != ERR_OK)
            block_problem(d, n, n->first + i, entries[i], "checksum or identity is wrong");
        else
            TRY(use(d, ctx, n->first + i, image));
    }
    return fiber_rest_wait();
}

/* ---- pages ---- */

static err_t use_page(struct disk *d, void *ctx, uint32_t index, const uint8_t *image)
{
    (void)ctx;
    (void)index;
    d->totals->pages++;
    if (page_structure_check(image) != ERR_OK)
        check_problem(d->report, "shard %u: %s", d->shard, err_diag()->message);
    return ERR_OK;
}

/* ---- page maps ---- */

struct map_walk {
    file_id file;
    uint16_t kind; /* of the pages */
    block_use use;
    void *ctx;
};

struct node {
    uint8_t image[PAGE_BYTES];
    bool is_there;
};

static err_t use_node(struct disk *d, void *ctx, uint32_t index, const uint8_t *image)
{
    struct node *node = ctx;
    (void)d;
    (void)index;
    memcpy(node->image, image, PAGE_BYTES);
    node->is_there = true;
    return ERR_OK;
}

/* counts[l]: how many there are in level l - 1 (pages for 0). */
SUSPENDS static err_t map_walk_wait(struct disk *d, const struct map_walk *w,
                                    const uint32_t *counts, uint64_t entry, int level,
                                    uint32_t index)
{
    struct node *node = core_zalloc(sizeof(*node));
    struct block_name name = {KIND_MAP, w->file, index};
    err_t e = batch_wait(d, &name, &entry, 1, use_node, node);
    struct page_header h;
    memcpy(&h, node->image, sizeof(h));
    if (e == ERR_OK && node->is_there && h.flags != level) {
        block_problem(d, &name, index, entry, "belongs to another level");
        node->is_there = false;
    }
    uint32_t first = index * MAP_FANOUT;
    uint32_t count = node->is_there ? MIN((uint32_t)MAP_FANOUT, counts[level] - first) : 0;
    uint64_t *entries = core_malloc(MAP_FANOUT * sizeof(*entries));
    memcpy(entries, node->image + PAGE_HEADER_BYTES, MAP_FANOUT * sizeof(*entries));
    core_free(node);
    if (level > 0) {
        for (uint32_t i = 0; i < count && e == ERR_OK; i++) {
            if (entries[i] != 0)
                e = map_walk_wait(d, w, counts, entries[i], level - 1, first + i);
        }
    } else {
        for (uint32_t i = 0; i < count && e == ERR_OK; i += BATCH) {
            struct block_name pages = {w->kind, w->file, first + i};
            e = batch_wait(d, &pages, entries + i, MIN(count - i, (uint32_t)BATCH), w->use, w->ctx);
        }
    }
    core_free(entries);
    return e;
}

SUSPENDS static err_t map_check_wait(struct disk *d, const struct map_walk *w, uint64_t root,
                                     uint32_t pages)
{
    uint32_t counts[MAP_LEVELS + 1] = {pages};
    int level = 0;
    while (counts[level] > MAP_FANOUT) {
        counts[level + 1] = counts[level] / MAP_FANOUT + (counts[level] % MAP_FANOUT != 0);
        level++;
    }
    if (root == 0 || pages == 0)
        return ERR_OK;
    return map_walk_wait(d, w, counts, root, level, 0);
}

/* ---- the directory of files ---- */

struct file_list {
    struct dir_entry *entries;
    uint32_t count;
    uint32_t capacity;
};

static err_t use_directory(struct disk *d, void *ctx, uint32_t index, const uint8_t *image)
{
    struct file_list *l = ctx;
    (void)index;
    for (uint32_t i = 0; i < DIR_FANOUT; i++) {
        struct dir_entry e;
        memcpy(&e, image + PAGE_HEADER_BYTES + i * DIR_ENTRY_BYTES, sizeof(e));
        if (e.kind == 0)
            continue;
        if (e.kind < FILE_HEAP || e.kind > FILE_SPILL) {
            check_problem(d->report, "shard %u: file %u/%u has the unknown kind %u", d->shard,
                          (unsigned)(e.file >> 32), (unsigned)e.file, e.kind);
            continue;
        }
        if (l->count == l->capacity) {
            l->capacity = MAX(64u, l->capacity * 2);
            l->entries = core_realloc(l->entries, l->capacity * sizeof(*l->entries));
        }
        l->entries[l->count++] = e;
    }
    return ERR_OK;
}

static int file_order(const void *a, const void *b)
{
    const struct dir_entry *x = a;
    const struct dir_entry *y = b;
    return (x->file > y->file) - (x->file < y->file);
}

SUSPENDS static err_t files_check_wait(struct disk *d)
{
    struct file_list l = {0};
    struct map_walk directory = {0, KIND_DIRECTORY, use_directory, &l};
    err_t e = map_check_wait(d, &directory, d->super.dir_root, d->super.dir_pages);
    if (l.count > 0)
        qsort(l.entries, l.count, sizeof(*l.entries), file_order);
    for (uint32_t i = 0; i < l.count && e == ERR_OK; i++) {
        const struct dir_entry *f = &l.entries[i];
        if (i > 0 && f->file == l.entries[i - 1].file)
            check_problem(d->report, "shard %u: file %u/%u is listed twice", d->shard,
                          (unsigned)(f->file >> 32), (unsigned)f->file);
        struct map_walk w = {f->file, f->kind, use_page, NULL};
        e = map_check_wait(d, &w, f->root, f->pages);
    }
    core_free(l.entries);
    return e;
}

/* ---- the checkpoint's state ---- */

struct state_walk {
    uint64_t next;
    uint64_t bytes;
};

static err_t use_state(struct disk *d, void *ctx, uint32_t index, const uint8_t *image)
{
    struct state_walk *s = ctx;
    (void)d;
    (void)index;
    s->next = load_u64(image + PAGE_HEADER_BYTES);
    s->bytes += load_u32(image + PAGE_HEADER_BYTES + 8);
    return ERR_OK;
}

SUSPENDS static err_t state_check_wait(struct disk *d)
{
    struct state_walk s = {.next = d->super.state_root};
    uint64_t limit = d->super.state_bytes / STATE_BYTES_MAX + 1;
    uint32_t i = 0;
    for (; s.next != 0 && i < limit; i++) {
        uint64_t entry = s.next;
        struct block_name n = {KIND_STATE, 0, i};
        s.next = 0;
        TRY(batch_wait(d, &n, &entry, 1, use_state, &s));
    }
    if (s.next != 0 || s.bytes != d->super.state_bytes)
        check_problem(d->report, "shard %u: the checkpoint's state has %llu of %llu bytes",
                      d->shard, (unsigned long long)s.bytes,
                      (unsigned long long)d->super.state_bytes);
    return ERR_OK;
}

/* ---- superblocks ---- */

SUSPENDS static err_t super_check_wait(struct disk *d, bool *found)
{
    uint64_t newest = 0;
    uint32_t bad = 0;
    *found = false;
    for (uint32_t slot = 0; slot < SUPER_BLOCKS; slot++) {
        uint32_t got = 0;
        err_t e =
            io_read_some_wait(d->pages, d->buffers, PAGE_BYTES, (uint64_t)slot * PAGE_BYTES, &got);
        if (e != ERR_OK || got < PAGE_BYTES) {
            bad += 2;
            continue;
        }
        TRY(block_copy_wait(d, slot, d->buffers));
        for (uint32_t copy = 0; copy < 2; copy++) {
            struct superblock s;
            if (!superblock_read(d->buffers + (size_t)copy * SUPER_BYTES, &s)) {
                bad++;
                continue;
            }
            if (!*found || s.sequence > newest) {
                d->super = s;
                newest = s.sequence;
            }
            *found = true;
        }
    }
    if (!*found)
        check_problem(d->report, "shard %u: no valid superblock", d->shard);
    else if (bad > (newest == 1 ? 2u : 0u)) /* the first checkpoint has no other */
        check_problem(d->report, "shard %u: %u of 4 copies of the superblock are damaged", d->shard,
                      bad);
    return ERR_OK;
}

SUSPENDS static err_t super_newest_wait(struct io_file *pages, uint8_t *buffer, const char *path,
                                        struct superblock *out)
{
    bool found = false;
    for (uint32_t slot = 0; slot < SUPER_BLOCKS; slot++) {
        uint32_t got = 0;
        TRY(io_read_some_wait(pages, buffer, PAGE_BYTES, (uint64_t)slot * PAGE_BYTES, &got));
        memset(buffer + got, 0, PAGE_BYTES - got);
        for (uint32_t copy = 0; copy < 2; copy++) {
            struct superblock s;
            if (!superblock_read(buffer + (size_t)copy * SUPER_BYTES, &s))
                continue;
            if (!found || s.sequence > out->sequence)
                *out = s;
            found = true;
        }
    }
    return found ? ERR_OK
                 : err_raise(ERR_DATA_CORRUPTED, "file \"%s\" has no valid superblock", path);
}

err_t check_newest_checkpoint_wait(const char *directory, uint32_t shard,
                                   struct check_checkpoint *out)
{
    char *path = core_malloc(CHECK_PATH_BYTES);
    (void)snprintf(path, CHECK_PATH_BYTES, "%.4000s/shard-%04u/pages", directory, shard);
    (void)snprintf(out->log_directory, sizeof(out->log_directory), "%.4000s/shard-%04u/wal",
                   directory, shard);
    struct io_file *pages;
    err_t e = io_open_wait(path, IO_READ | IO_DIRECT, 0, &pages);
    if (e == ERR_OK) {
        uint8_t *buffer = io_buffer_alloc(PAGE_BYTES);
        struct superblock *s = core_zalloc(sizeof(*s));
        e = super_newest_wait(pages, buffer, path, s);
        out->lsn = s->lsn;
        out->sequence = s->sequence;
        core_free(s);
        io_buffer_free(buffer, PAGE_BYTES);
        io_close_wait(pages);
    }
    core_free(path);
    return e;
}

/* ---- the log ---- */

static err_t check_record(void *ctx, uint8_t kind, const uint8_t *payload, uint32_t len, lsn_t lsn)
{
    struct disk *d = ctx;
    char text[RECORD_TEXT_BYTES];
    d->totals->log_records++;
    if (!log_record_text(kind, payload, len, text, sizeof(text)))
        check_problem(d->report, "shard %u: bad log record before %llX: %s", d->shard,
                      (unsigned long long)lsn, text);
    return ERR_OK;
}

SUSPENDS static err_t log_check_wait(struct disk *d)
{
    (void)snprintf(d->path, CHECK_PATH_BYTES, "%s/shard-%04u/wal", d->directory, d->shard);
    lsn_t end = d->super.lsn;
    err_t e = wal_inspect_wait(d->path, d->super.lsn, check_record, d, &end);
    if (e == ERR_OUT_OF_MEMORY || e == ERR_INSUFFICIENT_PRIVILEGE)
        return e;
    if (e != ERR_OK)
        check_problem(d->report, "shard %u: log: %s", d->shard, err_diag()->message);
    if (d->copy == NULL)
        return ERR_OK;
    (void)snprintf(d->path2, CHECK_PATH_BYTES, "%s/shard-%04u/wal", d->copy_to, d->shard);
    return wal_copy_wait(d->path, d->path2, d->super.lsn, end);
}

/* ---- shards ---- */

SUSPENDS static err_t copy_open_wait(struct disk *d, uint64_t bytes)
{
    (void)snprintf(d->path2, CHECK_PATH_BYTES, "%s/shard-%04u", d->copy_to, d->shard);
    TRY(io_mkdir_wait(d->path2));
    (void)snprintf(d->path2, CHECK_PATH_BYTES, "%s/shard-%04u/pages", d->copy_to, d->shard);
    TRY(io_open_wait(d->path2, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, 0600, &d->copy));
    return io_truncate_wait(d->copy, bytes);
}

SUSPENDS static err_t shard_files_wait(struct disk *d)
{
    uint64_t bytes = 0;
    bool found;
    TRY(io_size_wait(d->pages, &bytes));
    d->block_count = bytes / PAGE_BYTES;
    d->used = core_zalloc(d->block_count / 8 + 1);
    d->totals->blocks += d->block_count;
    if (d->copy_to != NULL)
        TRY(copy_open_wait(d, bytes));
    TRY(super_check_wait(d, &found));
    if (!found)
        return ERR_OK;
    TRY(files_check_wait(d));
    TRY(state_check_wait(d));
    return log_check_wait(d);
}

SUSPENDS static err_t shard_check_wait(struct disk *d)
{
    (void)snprintf(d->path, CHECK_PATH_BYTES, "%s/shard-%04u/pages", d->directory, d->shard);
    err_t e = io_open_wait(d->path, IO_READ | IO_DIRECT, 0, &d->pages);
    if (e == ERR_UNDEFINED_FILE) {
        check_problem(d->report, "shard %u: %s", d->shard, err_diag()->message);
        return ERR_OK;
    }
    TRY(e);
    e = shard_files_wait(d);
    if (d->copy != NULL)
        io_close_wait(d->copy);
    io_close_wait(d->pages);
    core_free(d->used);
    return e;
}

SUSPENDS static err_t control_copy_wait(struct disk *d, struct arena *mem)
{
    char *data;
    size_t len;
    (void)snprintf(d->path, CHECK_PATH_BYTES, "%s/percore.control", d->directory);
    TRY(io_read_file_wait(d->path, CHECK_PATH_BYTES, mem, &data, &len));
    (void)snprintf(d->path, CHECK_PATH_BYTES, "%s/percore.control", d->copy_to);
    return io_replace_file_wait(d->path, data, len, 0600);
}

SUSPENDS static err_t directory_wait(struct disk *d, struct arena *mem)
{
    struct shard_options o = {.data_directory = d->directory};
    uint32_t shards;
    err_t e = shards_inspect_wait(&o, &shards, &d->totals->clean);
    if (e == ERR_DATA_CORRUPTED) {
        check_problem(d->report, "%s", err_diag()->message);
        return ERR_OK;
    }
    TRY(e);
    if (d->copy_to != NULL)
        TRY(control_copy_wait(d, mem));
    for (uint32_t i = 0; i < shards; i++) {
        struct disk one = *d;
        one.shard = i;
        TRY(shard_check_wait(&one));
        d->totals->shards++;
    }
    return ERR_OK;
}

err_t check_directory_wait(const char *directory, const char *copy_to, struct check_report *r,
                           struct check_totals *out)
{
    *out = (struct check_totals){0};
    if (strlen(directory) > CHECK_PATH_BYTES - 64 ||
        (copy_to != NULL && strlen(copy_to) > CHECK_PATH_BYTES - 64))
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "directory name is too long");
    struct arena *mem = arena_new();
    struct disk *d = ARENA_NEW(mem, struct disk);
    d->report = r;
    d->totals = out;
    d->directory = directory;
    d->copy_to = copy_to;
    d->path = arena_alloc(mem, CHECK_PATH_BYTES);
    d->path2 = arena_alloc(mem, CHECK_PATH_BYTES);
    d->buffers = io_buffer_alloc((size_t)BATCH * PAGE_BYTES);
    err_t e = directory_wait(d, mem);
    io_buffer_free(d->buffers, (size_t)BATCH * PAGE_BYTES);
    arena_free(mem);
    return e;
}
