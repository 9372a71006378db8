/*
 * The simulated disk. An inode has two images: `now` (what reads see) and `durable` (what survives
 * a power loss), and the list of writes that are in the first and not surely in the second. A sync
 * makes durable what had completed when it began. At a power loss each other write is kept whole,
 * dropped, or torn by sectors, each by itself, so that order means nothing.
 *
 * A write that fails may have written a part of its sectors. A sync that fails may have lost what
 * it was to make durable, though reads still show it, and later syncs do not bring it back.
 *
 * Names: changes of the name space are journalled in order, as a journalling file system does; any
 * sync (of a file or a directory) makes all earlier ones durable, a power loss keeps some first
 * part.
 *
 * Each beginning and end of a request is a step; the world can be told to end at any of them.
 */
#include "core/io_sim_image.h"
#include "core/io_sim_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { SECTOR_BYTES = 512, RECENT_WRITES = 16, STUCK_CHANCE = 20, STUCK_US_MAX = 3000000 };
#define NEVER_US UINT64_C(1000000000000)
#define IN_FLIGHT UINT64_MAX

struct unsynced {
    struct unsynced *next;
    uint64_t offset;
    uint64_t done_serial; /* IN_FLIGHT until the writer was told */
    uint32_t len;
    uint8_t bytes[];
};

struct inode {
    struct inode *next_all;
    struct image now;
    struct image durable;
    struct unsynced *first;
    struct unsynced *last;
    uint64_t durable_count; /* of durable writes that completed */
    struct io_sim_write recent[RECENT_WRITES];
    bool is_dir;
};

struct name {
    struct name *next;
    struct inode *inode;
    char path[];
};

enum journal_kind { JOURNAL_ADD, JOURNAL_REMOVE };
struct journal_entry {
    struct journal_entry *next;
    enum journal_kind kind;
    bool is_joined; /* with the one before: a rename is one step */
    struct inode *inode;
    char path[];
};

struct io_file {
    struct inode *inode;
    uint32_t flags;
    char path[];
};

struct fault {
    uint64_t left; /* 0 = none */
    enum io_sim_fault kind;
};

struct sim_disk {
    struct inode *inodes;
    struct name *names;   /* as seen now */
    struct name *durable; /* after a power loss */
    struct journal_entry *journal_first;
    struct journal_entry *journal_last;
    struct fault write_fault;
    struct fault read_fault;
    struct fault sync_fault;
    uint64_t room;
    bool has_room_limit;
    uint64_t write_count;
    uint64_t serial; /* of completions */
    uint64_t steps;
    enum io_sim_end end_where;
    uint64_t end_in; /* of what end_where counts; 0 = not by this */
    uint64_t end_more;
    bool end_is_kill;
};
static struct sim_disk first_disk;
static struct sim_disk *disk = &first_disk;

/* ---- contents ---- */

static void unsynced_add(struct inode *n, const void *buf, uint32_t len, uint64_t offset)
{
    struct unsynced *u = io_sim_alloc(sizeof(*u) + len);
    *u = (struct unsynced){.offset = offset, .len = len, .done_serial = IN_FLIGHT};
    memcpy(u->bytes, buf, len);
    if (n->last != NULL)
        n->last->next = u;
    else
        n->first = u;
    n->last = u;
}

/* Drops the list's entries for which keep() is false; before dropping one, last(n, u) is told. */
static void unsynced_sift(struct inode *n, bool (*keep)(const struct unsynced *u, uint64_t arg),
                          void (*last)(struct inode *n, const struct unsynced *u), uint64_t arg)
{
    struct unsynced **at = &n->first;
    n->last = NULL;
    while (*at != NULL) {
        struct unsynced *u = *at;
        if (keep(u, arg)) {
            n->last = u;
            at = &u->next;
            continue;
        }
        *at = u->next;
        if (last != NULL)
            last(n, u);
        io_sim_free(u);
    }
}

static bool keep_none(const struct unsynced *u, uint64_t arg)
{
    (void)u;
    (void)arg;
    return false;
}

static bool keep_done_later(const struct unsynced *u, uint64_t serial)
{
    return u->done_serial > serial;
}

static bool keep_done(const struct unsynced *u, uint64_t arg)
{
    (void)arg;
    return u->done_serial != IN_FLIGHT;
}

static void make_durable(struct inode *n, const struct unsynced *u)
{
    image_write(&n->durable, u->bytes, u->len, u->offset);
}

/* Of a write that nobody knows to be on the disk. */
enum tear_fate { TEAR_LOST, TEAR_KEPT, TEAR_SECTORS, TEAR_SECTORS_TOO, TEAR_FATES };

static void tear_into(struct image *im, const void *bytes, uint32_t len, uint64_t offset)
{
    uint64_t fate = sim_random() % TEAR_FATES;
    for (uint32_t at = 0; at < len; at += SECTOR_BYTES) {
        if (fate == TEAR_KEPT || (fate >= TEAR_SECTORS && sim_random() % 2 == 0))
            image_write(im, (const uint8_t *)bytes + at, MIN(SECTOR_BYTES, len - at), offset + at);
    }
}

static void maybe_durable(struct inode *n, const struct unsynced *u)
{
    tear_into(&n->durable, u->bytes, u->len, u->offset);
}

/* What had completed up to that serial is durable now. */
static void inode_sync(struct inode *n, uint64_t serial)
{
    unsynced_sift(n, keep_done_later, make_durable, serial);
    if (n->first == NULL)
        image_resize(&n->durable, n->now.size);
}

static struct inode *inode_new(bool is_dir)
{
    struct inode *n = io_sim_alloc(sizeof(*n));
    n->is_dir = is_dir;
    n->next_all = disk->inodes;
    disk->inodes = n;
    return n;
}

/* ---- names ---- */
static struct name **name_find(struct name **list, const char *path)
{
    while (*list != NULL && strcmp((*list)->path, path) != 0)
        list = &(*list)->next;
    return list;
}

static void name_set(struct name **list, const char *path, struct inode *inode)
{
    struct name **at = name_find(list, path);
    if (*at == NULL) {
        size_t bytes = strlen(path) + 1;
        *at = io_sim_alloc(sizeof(**at) + bytes);
        memcpy((*at)->path, path, bytes);
    }
    (*at)->inode = inode;
}

static void name_remove(struct name **list, const char *path)
{
    struct name **at = name_find(list, path);
    struct name *n = *at;
    if (n == NULL)
        return;
    *at = n->next;
    io_sim_free(n);
}

static void names_free(struct name **list)
{
    while (*list != NULL) {
        struct name *next = (*list)->next;
        io_sim_free(*list);
        *list = next;
    }
}

static void journal_add(enum journal_kind kind, const char *path, struct inode *inode,
                        bool is_joined)
{
    size_t bytes = strlen(path) + 1;
    struct journal_entry *j = io_sim_alloc(sizeof(*j) + bytes);
    j->kind = kind;
    j->inode = inode;
    j->is_joined = is_joined;
    memcpy(j->path, path, bytes);
    if (disk->journal_last != NULL)
        disk->journal_last->next = j;
    else
        disk->journal_first = j;
    disk->journal_last = j;
    if (kind == JOURNAL_ADD)
        name_set(&disk->names, path, inode);
    else
        name_remove(&disk->names, path);
}

static void journal_make_durable(uint64_t count)
{
    while (disk->journal_first != NULL) {
        struct journal_entry *j = disk->journal_first;
        if (count == 0 && !j->is_joined)
            break;
        if (!j->is_joined)
            count--;
        if (j->kind == JOURNAL_ADD)
            name_set(&disk->durable, j->path, j->inode);
        else
            name_remove(&disk->durable, j->path);
        disk->journal_first = j->next;
        io_sim_free(j);
    }
    if (disk->journal_first == NULL)
        disk->journal_last = NULL;
}

static void journal_drop(void)
{
    while (disk->journal_first != NULL) {
        struct journal_entry *next = disk->journal_first->next;
        io_sim_free(disk->journal_first);
        disk->journal_first = next;
    }
    disk->journal_last = NULL;
}

/* ---- the end of a world ---- */

static void names_restore(void)
{
    names_free(&disk->names);
    for (const struct name *n = disk->durable; n != NULL; n = n->next)
        name_set(&disk->names, n->path, n->inode);
}

static void faults_clear(void)
{
    disk->write_fault = disk->read_fault = disk->sync_fault = (struct fault){0};
    disk->end_in = 0;
}

static void all_lost(struct inode *n, const struct unsynced *u)
{
    (void)n;
    (void)u;
}

/* Most files' writes end each by itself; of some files all are lost, or all are there. */
void sim_disk_crash(void)
{
    uint64_t steps = 0;
    for (const struct journal_entry *j = disk->journal_first; j != NULL; j = j->next)
        steps += j->is_joined ? 0 : 1;
    journal_make_durable(sim_random() % (steps + 1));
    journal_drop();
    names_restore();
    for (struct inode *n = disk->inodes; n != NULL; n = n->next_all) {
        if (n->is_dir)
            continue;
        void (*const ends[])(struct inode *, const struct unsynced *) = {
            maybe_durable, maybe_durable, make_durable, all_lost};
        if (n->first != NULL)
            unsynced_sift(n, keep_none, ends[sim_random() % ARRAY_LEN(ends)], 0);
        image_copy(&n->now, &n->durable);
    }
    faults_clear();
}

/* The system lives on: names and completed writes stay as they are. Writes under way: each as after
 * a power loss, but the one that an earlier one overlaps is kept, since the system keeps order. */
void sim_disk_kill(void)
{
    for (struct inode *n = disk->inodes; n != NULL; n = n->next_all) {
        bool any = false;
        for (struct unsynced *u = n->first; u != NULL; u = u->next) {
            if (u->done_serial != IN_FLIGHT)
                continue;
            for (const struct unsynced *b = n->first; b != u; b = b->next)
                if (b->offset < u->offset + u->len && u->offset < b->offset + b->len)
                    u->done_serial = disk->serial;
            /* Or it happens, and is no more durable for that. */
            if (u->done_serial == IN_FLIGHT && sim_random() % 2 == 0)
                u->done_serial = disk->serial;
            any |= u->done_serial == IN_FLIGHT;
        }
        if (!any)
            continue;
        uint64_t size = n->now.size;
        unsynced_sift(n, keep_done, maybe_durable, 0);
        image_copy(&n->now, &n->durable);
        for (const struct unsynced *u = n->first; u != NULL; u = u->next)
            image_write(&n->now, u->bytes, u->len, u->offset);
        if (size > n->now.size)
            image_resize(&n->now, size);
    }
    faults_clear();
}

void sim_disk_reset(void)
{
    journal_drop();
    names_free(&disk->names);
    names_free(&disk->durable);
    while (disk->inodes != NULL) {
        struct inode *n = disk->inodes;
        disk->inodes = n->next_all;
        unsynced_sift(n, keep_none, NULL, 0);
        image_free(&n->now);
        image_free(&n->durable);
        io_sim_free(n);
    }
    memset(disk, 0, sizeof(*disk));
}

/* Into another region of memory; what is not durable stays behind. */
void sim_disk_move(void)
{
    struct sim_disk *old = disk;
    disk = io_sim_alloc(sizeof(*disk));
    disk->serial = old->serial;
    for (const struct name *n = old->durable; n != NULL; n = n->next) {
        struct inode *to = inode_new(n->inode->is_dir);
        image_move(&to->durable, &n->inode->durable);
        image_copy(&to->now, &to->durable);
        name_set(&disk->durable, n->path, to);
    }
    names_restore();
}

struct sim_disk *io_sim_disk_take(void)
{
    struct sim_disk *taken = disk;
    disk = io_sim_alloc(sizeof(*disk));
    return taken;
}

void io_sim_disk_put(struct sim_disk *taken)
{
    disk = taken;
}

void io_sim_put_file(const char *path, const char *text)
{
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        char directory[256];
        (void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
        if (*name_find(&disk->names, directory) == NULL)
            journal_add(JOURNAL_ADD, directory, inode_new(true), false);
    }
    struct inode *n = inode_new(false);
    image_write(&n->durable, text, strlen(text), 0);
    image_copy(&n->now, &n->durable);
    journal_add(JOURNAL_ADD, path, n, false);
    journal_make_durable(UINT64_MAX);
}

/* ---- faults ---- */

void io_sim_fail_write(uint64_t nth, enum io_sim_fault fault)
{
    disk->write_fault = (struct fault){.left = nth, .kind = fault};
}

void io_sim_fail_read(uint64_t nth)
{
    disk->read_fault = (struct fault){.left = nth, .kind = IO_SIM_EIO};
}

void io_sim_fail_sync(uint64_t nth, enum io_sim_fault fault)
{
    disk->sync_fault = (struct fault){.left = nth, .kind = fault};
}

void io_sim_disk_room(uint64_t bytes)
{
    disk->room = bytes;
    disk->has_room_limit = bytes != UINT64_MAX;
}

uint64_t io_sim_disk_room_left(void)
{
    return disk->has_room_limit ? disk->room : UINT64_MAX;
}

void io_sim_end_at(enum io_sim_end where, uint64_t nth, uint64_t more, bool is_kill)
{
    disk->end_where = where;
    disk->end_in = nth;
    disk->end_more = more;
    disk->end_is_kill = is_kill;
}

uint64_t io_sim_disk_steps(void)
{
    return disk->steps;
}

uint64_t io_sim_write_count(void)
{
    return disk->write_count;
}

bool io_sim_file_size(const char *path, uint64_t *bytes)
{
    const struct name *n = *name_find(&disk->names, path);
    if (n == NULL || n->inode->is_dir)
        return false;
    *bytes = n->inode->now.size;
    return true;
}

bool io_sim_durable_write(const char *path, uint32_t back, struct io_sim_write *out)
{
    const struct name *n = *name_find(&disk->names, path);
    if (n == NULL || back >= RECENT_WRITES || back >= n->inode->durable_count)
        return false;
    *out = n->inode->recent[(n->inode->durable_count - 1 - back) % RECENT_WRITES];
    return true;
}

bool io_sim_peek(const char *path, uint64_t offset, uint8_t *byte)
{
    const struct name *n = *name_find(&disk->names, path);
    return n != NULL && image_read(&n->inode->now, byte, 1, offset) == 1;
}

bool io_sim_flip_bit(const char *path, uint64_t offset, uint32_t bit)
{
    uint8_t byte;
    if (bit > 7 || !io_sim_peek(path, offset, &byte))
        return false;
    struct name *n = *name_find(&disk->names, path);
    byte ^= (uint8_t)(1u << bit);
    image_write(&n->inode->now, &byte, 1, offset);
    if (image_read(&n->inode->durable, &byte, 1, offset) == 1) {
        byte ^= (uint8_t)(1u << bit);
        image_write(&n->inode->durable, &byte, 1, offset);
    }
    return true;
}

static void end_now(void *arg)
{
    (void)arg;
    if (sim_world->end == SIM_RUNS)
        sim_world->end = disk->end_is_kill ? SIM_KILLED : SIM_POWER_LOST;
}

/* Something that may be counted happens. True for the one that is waited for. */
static bool counts(enum io_sim_end what)
{
    return disk->end_where == what && disk->end_in > 0 && --disk->end_in == 0;
}

/* A step of the disk: the world may end here. */
static void step(void)
{
    disk->steps++;
    if (counts(IO_SIM_END_STEP))
        end_now(NULL);
}

/* Negative errno when this operation is the one to fail. */
static int fault_take(struct fault *f)
{
    if (f->left == 0 || --f->left > 0)
        return 0;
    switch (f->kind) {
    case IO_SIM_EIO:
        return -EIO;
    case IO_SIM_ENOSPC:
        return -ENOSPC;
    case IO_SIM_POWER_LOSS:
        sim_world->end = SIM_POWER_LOST;
        return -EIO; /* nobody lives to see it */
    }
    return -EIO;
}

/* ---- operations: begun at once, completed after a delay ---- */

enum operation { OP_READ, OP_WRITE, OP_SYNC };

static uint64_t operation_us(enum operation op, const struct io_file *f)
{
    if (op == OP_WRITE && (f->flags & IO_DSYNC) != 0 && runner.core != NULL &&
        counts(IO_SIM_END_STUCK)) {
        sim_event_add(runner.core, disk->end_more, end_now, NULL);
        return NEVER_US;
    }
    if (sim_happens(sim_world->faults.disk_slow)) {
        /* Some are as good as stuck. */
        uint64_t most =
            sim_random() % STUCK_CHANCE == 0 ? STUCK_US_MAX : sim_world->faults.disk_slow_us_max;
        return sim_random_between(100, MAX(most, 100));
    }
    if (op == OP_WRITE && (f->flags & IO_DSYNC) != 0 && runner.core != NULL &&
        runner.core->id + 1 == sim_world->faults.slow_core)
        return sim_world->faults.slow_core_us;
    if (op == OP_WRITE && (f->flags & IO_DSYNC) != 0 && sim_world->faults.durable_us_max != 0)
        return sim_random_between(40, MAX(sim_world->faults.durable_us_max, 40));
    switch (op) {
    case OP_READ:
        return sim_random_between(20, 120);
    case OP_WRITE:
        return sim_random_between(40, 300);
    case OP_SYNC:
        return sim_random_between(100, 1500);
    }
    return 1;
}

/* Of a file's size, or a name. */
static uint64_t change_us(void)
{
    return operation_us(OP_SYNC, NULL);
}

static int read_begin(void)
{
    step();
    int fault = fault_take(&disk->read_fault);
    if (fault == 0 && sim_happens(sim_world->faults.read_error))
        fault = -EIO;
    return fault;
}

/* Room for the file to grow to size? */
static bool take_room(const struct inode *n, uint64_t size)
{
    uint64_t grows = size > n->now.size ? size - n->now.size : 0;
    if (!disk->has_room_limit)
        return true;
    if (grows > disk->room)
        return false;
    disk->room -= grows;
    return true;
}

static int write_begin(struct io_file *f, const void *buf, uint32_t len, uint64_t offset)
{
    disk->write_count++;
    sim_trace(disk->write_count, offset ^ len);
    struct inode *n = f->inode;
    if ((f->flags & IO_DIRECT) != 0) {
        ASSERT((uintptr_t)buf % IO_BLOCK_BYTES == 0);
        ASSERT(len % IO_BLOCK_BYTES == 0 && offset % IO_BLOCK_BYTES == 0);
    }
    int fault = fault_take(&disk->write_fault);
    if (fault == 0 && sim_happens(sim_world->faults.write_error))
        fault = -EIO;
    if (fault == 0 && !take_room(n, offset + len))
        fault = -ENOSPC;
    if (fault != 0 && sim_world->end == SIM_RUNS) {
        if (fault == -EIO) {
            tear_into(&n->durable, buf, len, offset);
            (void)tear_into(&n->now, buf, len, offset);
        }
        return fault;
    }
    image_write(&n->now, buf, len, offset);
    unsynced_add(n, buf, len, offset);
    step();
    return fault;
}

/* The writer is told. A durable write that completes: it, and nothing else, is on the disk. */
static void write_end(const struct io_file *f, const void *buf, uint32_t len, uint64_t offset)
{
    struct inode *n = f->inode;
    disk->serial++;
    step();
    if (sim_world->end != SIM_RUNS)
        return;
    struct unsynced *before = NULL;
    struct unsynced *u = n->first;
    while (u != NULL && (u->offset != offset || u->len != len || u->done_serial != IN_FLIGHT)) {
        before = u;
        u = u->next;
    }
    if (u == NULL)
        return; /* a truncation was faster */
    u->done_serial = disk->serial;
    if ((f->flags & IO_DSYNC) == 0)
        return;
    n->recent[n->durable_count++ % RECENT_WRITES] =
        (struct io_sim_write){.offset = offset,
                              .fresh = offset + image_common(&n->durable, u->bytes, len, offset),
                              .serial = disk->serial,
                              .len = len};
    image_write(&n->durable, u->bytes, len, offset);
    if (before != NULL)
        before->next = u->next;
    else
        n->first = u->next;
    if (n->last == u)
        n->last = before;
    io_sim_free(u);
    journal_make_durable(UINT64_MAX);
    (void)buf;
}

static int sync_begin(void)
{
    step();
    if (counts(IO_SIM_END_SYNC))
        end_now(NULL);
    int fault = fault_take(&disk->sync_fault);
    if (fault == 0 && sim_happens(sim_world->faults.sync_error))
        fault = -EIO;
    return fault;
}

/* began: the serial when the sync was asked for. */
static void sync_end(struct inode *n, uint64_t began, int fault)
{
    step();
    if (sim_world->end != SIM_RUNS)
        return;
    if (fault != 0) {
        unsynced_sift(n, keep_done_later, maybe_durable, began);
        return;
    }
    inode_sync(n, began);
    journal_make_durable(UINT64_MAX);
    if (counts(IO_SIM_END_SYNCED))
        io_sim_end_at(IO_SIM_END_STEP, MAX(disk->end_more, (uint64_t)1), 0, disk->end_is_kill);
}

static uint32_t read_now(const struct inode *n, void *buf, uint32_t len, uint64_t offset)
{
    return (uint32_t)image_read(&n->now, buf, len, offset);
}

static COLD err_t fail(err_t code, const char *verb, const char *path, int os_error)
{
    return err_raise(code, "could not %s \"%s\": %s", verb, path, strerror(os_error));
}

static err_t err_of(int res)
{
    return res == -ENOSPC ? ERR_DISK_FULL : ERR_IO_ERROR;
}

static bool cannot_wait(void)
{
    return runner.core != NULL && runner_is_borrowing();
}

SUSPENDS static void pass_time_wait(uint64_t us)
{
    if (runner.core == NULL)
        sim_world->now_ns += us * 1000;
    else
        sim_delay_wait(us);
}

/* Nobody learns that something was done when the world ended in it: what would come after it must
 * not come before it. */
SUSPENDS static void stop_if_over_wait(void)
{
    if (sim_world->end != SIM_RUNS && runner.core != NULL)
        io_sim_end_now(false);
}

/* ---- files ---- */

err_t io_open_wait(const char *path, uint32_t flags, uint32_t mode, struct io_file **out)
{
    (void)mode;
    *out = NULL;
    if (cannot_wait())
        return err_would_suspend();
    pass_time_wait(sim_random_between(1, 50));
    step();
    if (sim_happens(sim_world->faults.open_error))
        return fail(ERR_IO_ERROR, "open file", path, EIO);
    struct name *n = *name_find(&disk->names, path);
    struct inode *inode = n != NULL ? n->inode : NULL;
    if (inode == NULL && (flags & IO_CREATE) == 0)
        return fail(ERR_UNDEFINED_FILE, "open file", path, ENOENT);
    if (inode != NULL && (flags & IO_EXCLUSIVE) != 0)
        return fail(ERR_DUPLICATE_FILE, "open file", path, EEXIST);
    if (inode == NULL) {
        inode = inode_new(false);
        journal_add(JOURNAL_ADD, path, inode, false);
    } else if ((flags & IO_TRUNCATE) != 0) {
        /* A truncation is ordered after what was written before. */
        unsynced_sift(inode, keep_none, make_durable, 0);
        image_resize(&inode->now, 0);
        image_resize(&inode->durable, 0);
    }
    size_t bytes = strlen(path) + 1;
    struct io_file *f = core_malloc(sizeof(*f) + bytes);
    f->inode = inode;
    f->flags = flags;
    memcpy(f->path, path, bytes);
    *out = f;
    return ERR_OK;
}

void io_close_wait(struct io_file *f)
{
    core_free(f);
}

err_t io_read_some_wait(struct io_file *f, void *buf, uint32_t len, uint64_t offset,
                        uint32_t *out_len)
{
    *out_len = 0;
    if (cannot_wait())
        return err_would_suspend();
    int fault = read_begin();
    pass_time_wait(operation_us(OP_READ, f));
    if (fault != 0)
        return fail(ERR_IO_ERROR, "read file", f->path, -fault);
    *out_len = read_now(f->inode, buf, len, offset);
    return ERR_OK;
}

err_t io_read_wait(struct io_file *f, void *buf, uint32_t len, uint64_t offset)
{
    uint32_t done;
    TRY(io_read_some_wait(f, buf, len, offset, &done));
    if (done < len)
        return err_raise(ERR_DATA_CORRUPTED,
                         "could not read file \"%s\" at offset %llu: read %u of %u bytes", f->path,
                         (unsigned long long)offset, done, len);
    return ERR_OK;
}

err_t io_write_wait(struct io_file *f, const void *buf, uint32_t len, uint64_t offset)
{
    if (cannot_wait())
        return err_would_suspend();
    int res = write_begin(f, buf, len, offset);
    pass_time_wait(operation_us(OP_WRITE, f));
    if (res < 0)
        return fail(err_of(res), "write to file", f->path, -res);
    write_end(f, buf, len, offset);
    stop_if_over_wait();
    return ERR_OK;
}

err_t io_sync_wait(struct io_file *f)
{
    if (cannot_wait())
        return err_would_suspend();
    int fault = sync_begin();
    uint64_t began = disk->serial;
    pass_time_wait(operation_us(OP_SYNC, f));
    sync_end(f->inode, began, fault);
    stop_if_over_wait();
    return fault != 0 ? fail(err_of(fault), "fsync file", f->path, -fault) : ERR_OK;
}

err_t io_allocate_wait(struct io_file *f, uint64_t offset, uint64_t len)
{
    if (cannot_wait())
        return err_would_suspend();
    pass_time_wait(change_us());
    step();
    if (sim_happens(sim_world->faults.allocate_error))
        return fail(ERR_IO_ERROR, "extend file", f->path, EIO);
    struct inode *n = f->inode;
    if (offset + len <= n->now.size)
        return ERR_OK;
    if (!take_room(n, offset + len))
        return fail(ERR_DISK_FULL, "extend file", f->path, ENOSPC);
    image_resize(&n->now, offset + len);
    image_resize(&n->durable, MAX(n->durable.size, offset + len));
    return ERR_OK;
}

err_t io_truncate_wait(struct io_file *f, uint64_t size)
{
    if (cannot_wait())
        return err_would_suspend();
    pass_time_wait(change_us());
    struct inode *n = f->inode;
    step();
    stop_if_over_wait();
    unsynced_sift(n, keep_none, make_durable, 0); /* ordered after what was written before */
    image_resize(&n->now, size);
    image_resize(&n->durable, size);
    return ERR_OK;
}

err_t io_size_wait(struct io_file *f, uint64_t *out)
{
    *out = f->inode->now.size;
    return ERR_OK;
}

/* ---- directories ---- */

SUSPENDS static void names_sync_wait(void)
{
    step();
    if (sim_world->end == SIM_RUNS)
        journal_make_durable(UINT64_MAX);
    stop_if_over_wait();
}

err_t io_rename_wait(const char *from, const char *to)
{
    if (cannot_wait())
        return err_would_suspend();
    step();
    struct name *n = *name_find(&disk->names, from);
    if (n != NULL && sim_happens(sim_world->faults.rename_error))
        return err_raise(ERR_IO_ERROR, "could not rename file \"%s\" to \"%s\": %s", from, to,
                         strerror(EIO));
    if (n == NULL)
        return err_raise(ERR_UNDEFINED_FILE, "could not rename file \"%s\" to \"%s\": %s", from, to,
                         strerror(ENOENT));
    struct inode *inode = n->inode;
    journal_add(JOURNAL_ADD, to, inode, false);
    journal_add(JOURNAL_REMOVE, from, NULL, true);
    pass_time_wait(change_us());
    names_sync_wait();
    return ERR_OK;
}

err_t io_unlink_wait(const char *path)
{
    if (cannot_wait())
        return err_would_suspend();
    step();
    if (*name_find(&disk->names, path) != NULL)
        journal_add(JOURNAL_REMOVE, path, NULL, false);
    pass_time_wait(sim_random_between(1, 50));
    return ERR_OK;
}

err_t io_mkdir_wait(const char *path)
{
    if (cannot_wait())
        return err_would_suspend();
    step();
    if (*name_find(&disk->names, path) == NULL)
        journal_add(JOURNAL_ADD, path, inode_new(true), false);
    pass_time_wait(change_us());
    names_sync_wait();
    return ERR_OK;
}

err_t io_sync_dir_wait(const char *path)
{
    (void)path;
    if (cannot_wait())
        return err_would_suspend();
    pass_time_wait(change_us());
    names_sync_wait();
    return ERR_OK;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

err_t io_list_dir_wait(const char *path, struct arena *out, char ***names, size_t *count)
{
    *names = NULL;
    *count = 0;
    if (cannot_wait())
        return err_would_suspend();
    pass_time_wait(sim_random_between(10, 500));
    size_t path_bytes = strlen(path);
    bool exists = false;
    size_t most = 0;
    for (const struct name *n = disk->names; n != NULL; n = n->next)
        most++;
    char **list = ARENA_ARRAY(out, char *, most + 1);
    size_t found = 0;
    for (const struct name *n = disk->names; n != NULL; n = n->next) {
        if (strcmp(n->path, path) == 0)
            exists = n->inode->is_dir;
        if (strncmp(n->path, path, path_bytes) != 0 || n->path[path_bytes] != '/')
            continue;
        const char *rest = n->path + path_bytes + 1;
        if (*rest != '\0' && strchr(rest, '/') == NULL)
            list[found++] = arena_strdup(out, rest);
    }
    if (!exists && found == 0)
        return fail(ERR_UNDEFINED_FILE, "open directory", path, ENOENT);
    qsort((void *)list, found, sizeof(*list), name_compare);
    *names = list;
    *count = found;
    return ERR_OK;
}

/* ---- asynchronous requests ---- */

struct request_priv {
    struct io_file *file;
    void *buf;
    uint64_t offset;
    uint64_t began; /* a sync: serial of the last completion before it */
    uint32_t len;
    int32_t res;
    uint32_t op;
};
_Static_assert(sizeof(struct request_priv) <= sizeof(((struct io_request *)0)->private_words),
               "struct io_request has the room");

static void request_fire(void *arg)
{
    struct io_request *req = arg;
    struct request_priv *p = (struct request_priv *)req->private_words;
    req->result = ERR_OK;
    if (p->res < 0) {
        req->result = err_of(p->res);
        req->os_error = -p->res;
    } else if (p->op == OP_READ) {
        if (read_now(p->file->inode, p->buf, p->len, p->offset) < p->len)
            req->result = ERR_DATA_CORRUPTED;
    } else if (p->op == OP_WRITE) {
        write_end(p->file, p->buf, p->len, p->offset);
    }
    if (p->op == OP_SYNC)
        sync_end(p->file->inode, p->began, p->res);
    if (sim_world->end == SIM_RUNS)
        req->done(req);
}

static void request_start(struct io_request *req, enum operation op, struct io_file *f, void *buf,
                          uint32_t len, uint64_t offset, int res)
{
    req->result = ERR_OK;
    req->os_error = 0;
    struct request_priv *p = (struct request_priv *)req->private_words;
    *p = (struct request_priv){.file = f,
                               .buf = buf,
                               .offset = offset,
                               .began = disk->serial,
                               .len = len,
                               .res = res,
                               .op = op};
    sim_event_add(core_self(), operation_us(op, f), request_fire, req);
}

void io_read_start(struct io_request *req, struct io_file *f, void *buf, uint32_t len,
                   uint64_t offset)
{
    request_start(req, OP_READ, f, buf, len, offset, read_begin());
}

void io_write_start(struct io_request *req, struct io_file *f, const void *buf, uint32_t len,
                    uint64_t offset)
{
    int res = write_begin(f, buf, len, offset);
    request_start(req, OP_WRITE, f, (void *)(uintptr_t)buf, len, offset, res);
}

void io_sync_start(struct io_request *req, struct io_file *f)
{
    request_start(req, OP_SYNC, f, NULL, 0, 0, sync_begin());
}

/* ---- memory ---- */

/* Untouched parts of large buffers cost a simulated process nothing. */
void *io_buffer_alloc(size_t bytes)
{
    bytes = (bytes + IO_BLOCK_BYTES - 1) / IO_BLOCK_BYTES * IO_BLOCK_BYTES;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    ASSERT(p != MAP_FAILED);
    return p;
}

void io_buffer_free(void *p, size_t bytes)
{
    bytes = (bytes + IO_BLOCK_BYTES - 1) / IO_BLOCK_BYTES * IO_BLOCK_BYTES;
    if (p != NULL)
        munmap(p, bytes);
}
