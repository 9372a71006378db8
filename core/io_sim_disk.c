/*
 * The simulated disk. An inode has two images: `now` (what reads see) and `durable` (what survives
 * a power loss), and the list of writes that are in the first and not surely in the second. A sync
 * makes them one. At a power loss each unsynced write is kept whole, dropped, or torn by sectors.
 *
 * Names: changes of the name space are journalled in order, as a journalling file system does; any
 * sync (of a file or a directory) makes all earlier ones durable, a power loss keeps some first
 * part.
 */
#include "core/io_sim_priv.h"

#include <errno.h>
#include <stdlib.h>

enum { SECTOR_BYTES = 512 };

struct image {
    uint8_t *bytes;
    uint64_t size;
    uint64_t room;
};

struct unsynced {
    struct unsynced *next;
    uint64_t offset;
    uint32_t len;
    uint8_t bytes[];
};

struct inode {
    struct inode *next_all;
    struct image now;
    struct image durable;
    struct unsynced *first;
    struct unsynced *last;
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

static struct {
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
} disk;

/* ---- images ---- */

static void image_reserve(struct image *im, uint64_t size)
{
    if (size <= im->room)
        return;
    uint64_t room = MAX(im->room * 2, MAX(size, 65536));
    im->bytes = realloc(im->bytes, room);
    ASSERT(im->bytes != NULL);
    memset(im->bytes + im->room, 0, room - im->room);
    im->room = room;
}

static void image_resize(struct image *im, uint64_t size)
{
    image_reserve(im, size);
    if (size < im->size)
        memset(im->bytes + size, 0, im->size - size);
    im->size = size;
}

static void image_write(struct image *im, const void *bytes, uint64_t len, uint64_t offset)
{
    if (offset + len > im->size)
        image_resize(im, offset + len);
    memcpy(im->bytes + offset, bytes, len);
}

static void inode_drop_unsynced(struct inode *n)
{
    while (n->first != NULL) {
        struct unsynced *next = n->first->next;
        free(n->first);
        n->first = next;
    }
    n->last = NULL;
}

static void inode_sync(struct inode *n)
{
    for (const struct unsynced *u = n->first; u != NULL; u = u->next)
        image_write(&n->durable, u->bytes, u->len, u->offset);
    inode_drop_unsynced(n);
    image_resize(&n->durable, n->now.size);
}

static struct inode *inode_new(bool is_dir)
{
    struct inode *n = calloc(1, sizeof(*n));
    ASSERT(n != NULL);
    n->is_dir = is_dir;
    n->next_all = disk.inodes;
    disk.inodes = n;
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
        *at = calloc(1, sizeof(**at) + bytes);
        ASSERT(*at != NULL);
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
    free(n);
}

static void names_free(struct name **list)
{
    while (*list != NULL) {
        struct name *next = (*list)->next;
        free(*list);
        *list = next;
    }
}

static void journal_add(enum journal_kind kind, const char *path, struct inode *inode,
                        bool is_joined)
{
    size_t bytes = strlen(path) + 1;
    struct journal_entry *j = calloc(1, sizeof(*j) + bytes);
    ASSERT(j != NULL);
    j->kind = kind;
    j->inode = inode;
    j->is_joined = is_joined;
    memcpy(j->path, path, bytes);
    if (disk.journal_last != NULL)
        disk.journal_last->next = j;
    else
        disk.journal_first = j;
    disk.journal_last = j;
    if (kind == JOURNAL_ADD)
        name_set(&disk.names, path, inode);
    else
        name_remove(&disk.names, path);
}

static void journal_make_durable(uint64_t count)
{
    while (disk.journal_first != NULL) {
        struct journal_entry *j = disk.journal_first;
        if (count == 0 && !j->is_joined)
            break;
        if (!j->is_joined)
            count--;
        if (j->kind == JOURNAL_ADD)
            name_set(&disk.durable, j->path, j->inode);
        else
            name_remove(&disk.durable, j->path);
        disk.journal_first = j->next;
        free(j);
    }
    if (disk.journal_first == NULL)
        disk.journal_last = NULL;
}

static void journal_drop(void)
{
    while (disk.journal_first != NULL) {
        struct journal_entry *next = disk.journal_first->next;
        free(disk.journal_first);
        disk.journal_first = next;
    }
    disk.journal_last = NULL;
}

/* ---- the end of a world ---- */

static void inode_crash(struct inode *n)
{
    for (const struct unsynced *u = n->first; u != NULL; u = u->next) {
        uint64_t fate = sim_random() % 4; /* lost, kept, torn, torn */
        for (uint32_t at = 0; at < u->len; at += SECTOR_BYTES) {
            bool keep = fate == 1 || (fate >= 2 && sim_random() % 2 == 0);
            if (keep)
                image_write(&n->durable, u->bytes + at, MIN(SECTOR_BYTES, u->len - at),
                            u->offset + at);
        }
    }
    inode_drop_unsynced(n);
    image_resize(&n->now, 0);
    if (n->durable.size > 0)
        image_write(&n->now, n->durable.bytes, n->durable.size, 0);
}

void sim_disk_crash(void)
{
    uint64_t steps = 0;
    for (const struct journal_entry *j = disk.journal_first; j != NULL; j = j->next)
        steps += j->is_joined ? 0 : 1;
    journal_make_durable(sim_random() % (steps + 1));
    journal_drop();
    names_free(&disk.names);
    for (const struct name *n = disk.durable; n != NULL; n = n->next)
        name_set(&disk.names, n->path, n->inode);
    for (struct inode *n = disk.inodes; n != NULL; n = n->next_all)
        inode_crash(n);
    disk.write_fault = disk.read_fault = disk.sync_fault = (struct fault){0};
}

void sim_disk_reset(void)
{
    journal_drop();
    names_free(&disk.names);
    names_free(&disk.durable);
    while (disk.inodes != NULL) {
        struct inode *next = disk.inodes->next_all;
        inode_drop_unsynced(disk.inodes);
        free(disk.inodes->now.bytes);
        free(disk.inodes->durable.bytes);
        free(disk.inodes);
        disk.inodes = next;
    }
    memset(&disk, 0, sizeof(disk));
}

/* ---- faults ---- */

void io_sim_fail_write(uint64_t nth, enum io_sim_fault fault)
{
    disk.write_fault = (struct fault){.left = nth, .kind = fault};
}

void io_sim_fail_read(uint64_t nth)
{
    disk.read_fault = (struct fault){.left = nth, .kind = IO_SIM_EIO};
}

void io_sim_fail_sync(uint64_t nth, enum io_sim_fault fault)
{
    disk.sync_fault = (struct fault){.left = nth, .kind = fault};
}

void io_sim_disk_room(uint64_t bytes)
{
    disk.room = bytes;
    disk.has_room_limit = true;
}

uint64_t io_sim_write_count(void)
{
    return disk.write_count;
}

bool io_sim_flip_bit(const char *path, uint64_t offset, uint32_t bit)
{
    struct name *n = *name_find(&disk.names, path);
    if (n == NULL || offset >= n->inode->now.size || bit > 7)
        return false;
    n->inode->now.bytes[offset] ^= (uint8_t)(1u << bit);
    if (offset < n->inode->durable.size)
        n->inode->durable.bytes[offset] ^= (uint8_t)(1u << bit);
    return true;
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
        sim_world.power_lost = true;
        return -EIO; /* nobody lives to see it */
    }
    return -EIO;
}

/* ---- operations: begun at once, completed after a delay ---- */

enum operation { OP_READ, OP_WRITE, OP_SYNC };

static uint64_t operation_us(enum operation op)
{
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

static int write_begin(struct io_file *f, const void *buf, uint32_t len, uint64_t offset)
{
    disk.write_count++;
    sim_trace(disk.write_count, offset ^ len);
    struct inode *n = f->inode;
    if ((f->flags & IO_DIRECT) != 0) {
        ASSERT((uintptr_t)buf % IO_BLOCK_BYTES == 0);
        ASSERT(len % IO_BLOCK_BYTES == 0 && offset % IO_BLOCK_BYTES == 0);
    }
    bool loses_power = disk.write_fault.left == 1 && disk.write_fault.kind == IO_SIM_POWER_LOSS;
    int fault = fault_take(&disk.write_fault);
    if (fault != 0 && !loses_power)
        return fault;
    uint64_t grows = offset + len > n->now.size ? offset + len - n->now.size : 0;
    if (disk.has_room_limit) {
        if (grows > disk.room)
            return -ENOSPC;
        disk.room -= grows;
    }
    image_write(&n->now, buf, len, offset);
    struct unsynced *u = malloc(sizeof(*u) + len);
    ASSERT(u != NULL);
    *u = (struct unsynced){.offset = offset, .len = len};
    memcpy(u->bytes, buf, len);
    if (n->last != NULL)
        n->last->next = u;
    else
        n->first = u;
    n->last = u;
    return fault;
}

/* A durable write that completes: it, and nothing else, is on the disk. */
static void write_made_durable(struct inode *n, const void *buf, uint32_t len, uint64_t offset)
{
    image_write(&n->durable, buf, len, offset);
    struct unsynced **at = &n->first;
    struct unsynced *before = NULL;
    while (*at != NULL) {
        struct unsynced *u = *at;
        if (u->offset == offset && u->len == len && memcmp(u->bytes, buf, len) == 0) {
            *at = u->next;
            if (n->last == u)
                n->last = before;
            free(u);
            return;
        }
        before = u;
        at = &u->next;
    }
}

static uint32_t read_now(const struct inode *n, void *buf, uint32_t len, uint64_t offset)
{
    if (offset >= n->now.size)
        return 0;
    uint32_t got = (uint32_t)MIN(len, n->now.size - offset);
    memcpy(buf, n->now.bytes + offset, got);
    return got;
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
        sim_world.now_ns += us * 1000;
    else
        sim_delay_wait(us);
}

/* ---- files ---- */

err_t io_open_wait(const char *path, uint32_t flags, uint32_t mode, struct io_file **out)
{
    (void)mode;
    *out = NULL;
    if (cannot_wait())
        return err_would_suspend();
    pass_time_wait(sim_random_between(1, 50));
    struct name *n = *name_find(&disk.names, path);
    struct inode *inode = n != NULL ? n->inode : NULL;
    if (inode == NULL && (flags & IO_CREATE) == 0)
        return fail(ERR_UNDEFINED_FILE, "open file", path, ENOENT);
    if (inode != NULL && (flags & IO_EXCLUSIVE) != 0)
        return fail(ERR_DUPLICATE_FILE, "open file", path, EEXIST);
    if (inode == NULL) {
        inode = inode_new(false);
        journal_add(JOURNAL_ADD, path, inode, false);
    } else if ((flags & IO_TRUNCATE) != 0) {
        inode_drop_unsynced(inode);
        image_resize(&inode->now, 0);
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
    int fault = fault_take(&disk.read_fault);
    pass_time_wait(operation_us(OP_READ));
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
    pass_time_wait(operation_us(OP_WRITE));
    if (res < 0)
        return fail(err_of(res), "write to file", f->path, -res);
    if ((f->flags & IO_DSYNC) != 0) {
        write_made_durable(f->inode, buf, len, offset);
        journal_make_durable(UINT64_MAX);
    }
    return ERR_OK;
}

err_t io_sync_wait(struct io_file *f)
{
    if (cannot_wait())
        return err_would_suspend();
    int fault = fault_take(&disk.sync_fault);
    pass_time_wait(operation_us(OP_SYNC));
    if (fault != 0)
        return fail(err_of(fault), "fsync file", f->path, -fault);
    inode_sync(f->inode);
    journal_make_durable(UINT64_MAX);
    return ERR_OK;
}

err_t io_allocate_wait(struct io_file *f, uint64_t offset, uint64_t len)
{
    if (cannot_wait())
        return err_would_suspend();
    pass_time_wait(operation_us(OP_WRITE));
    struct inode *n = f->inode;
    if (offset + len <= n->now.size)
        return ERR_OK;
    uint64_t grows = offset + len - n->now.size;
    if (disk.has_room_limit) {
        if (grows > disk.room)
            return fail(ERR_DISK_FULL, "extend file", f->path, ENOSPC);
        disk.room -= grows;
    }
    image_resize(&n->now, offset + len);
    image_resize(&n->durable, MAX(n->durable.size, offset + len));
    return ERR_OK;
}

err_t io_truncate_wait(struct io_file *f, uint64_t size)
{
    if (cannot_wait())
        return err_would_suspend();
    pass_time_wait(operation_us(OP_WRITE));
    struct inode *n = f->inode;
    inode_sync(n); /* simpler than real: a truncation is ordered after what was written */
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

err_t io_rename_wait(const char *from, const char *to)
{
    if (cannot_wait())
        return err_would_suspend();
    struct name *n = *name_find(&disk.names, from);
    if (n == NULL)
        return err_raise(ERR_UNDEFINED_FILE, "could not rename file \"%s\" to \"%s\": %s", from, to,
                         strerror(ENOENT));
    struct inode *inode = n->inode;
    journal_add(JOURNAL_ADD, to, inode, false);
    journal_add(JOURNAL_REMOVE, from, NULL, true);
    pass_time_wait(operation_us(OP_SYNC));
    journal_make_durable(UINT64_MAX);
    return ERR_OK;
}

err_t io_unlink_wait(const char *path)
{
    if (cannot_wait())
        return err_would_suspend();
    if (*name_find(&disk.names, path) != NULL)
        journal_add(JOURNAL_REMOVE, path, NULL, false);
    pass_time_wait(sim_random_between(1, 50));
    return ERR_OK;
}

err_t io_mkdir_wait(const char *path)
{
    if (cannot_wait())
        return err_would_suspend();
    if (*name_find(&disk.names, path) == NULL)
        journal_add(JOURNAL_ADD, path, inode_new(true), false);
    pass_time_wait(operation_us(OP_SYNC));
    journal_make_durable(UINT64_MAX);
    return ERR_OK;
}

err_t io_sync_dir_wait(const char *path)
{
    (void)path;
    if (cannot_wait())
        return err_would_suspend();
    pass_time_wait(operation_us(OP_SYNC));
    journal_make_durable(UINT64_MAX);
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
    for (const struct name *n = disk.names; n != NULL; n = n->next)
        most++;
    char **list = ARENA_ARRAY(out, char *, most + 1);
    size_t found = 0;
    for (const struct name *n = disk.names; n != NULL; n = n->next) {
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
    } else if (p->op == OP_SYNC) {
        inode_sync(p->file->inode);
        journal_make_durable(UINT64_MAX);
    } else if ((p->file->flags & IO_DSYNC) != 0) {
        write_made_durable(p->file->inode, p->buf, p->len, p->offset);
        journal_make_durable(UINT64_MAX);
    }
    req->done(req);
}

static void request_start(struct io_request *req, enum operation op, struct io_file *f, void *buf,
                          uint32_t len, uint64_t offset, int res)
{
    req->result = ERR_OK;
    req->os_error = 0;
    struct request_priv *p = (struct request_priv *)req->private_words;
    *p = (struct request_priv){
        .file = f, .buf = buf, .offset = offset, .len = len, .res = res, .op = op};
    sim_event_add(core_self(), operation_us(op), request_fire, req);
}

void io_read_start(struct io_request *req, struct io_file *f, void *buf, uint32_t len,
                   uint64_t offset)
{
    request_start(req, OP_READ, f, buf, len, offset, fault_take(&disk.read_fault));
}

void io_write_start(struct io_request *req, struct io_file *f, const void *buf, uint32_t len,
                    uint64_t offset)
{
    int res = write_begin(f, buf, len, offset);
    request_start(req, OP_WRITE, f, (void *)(uintptr_t)buf, len, offset, res);
}

void io_sync_start(struct io_request *req, struct io_file *f)
{
    request_start(req, OP_SYNC, f, NULL, 0, 0, fault_take(&disk.sync_fault));
}

/* ---- memory ---- */

void *io_buffer_alloc(size_t bytes)
{
    bytes = (bytes + IO_BLOCK_BYTES - 1) / IO_BLOCK_BYTES * IO_BLOCK_BYTES;
    void *p = aligned_alloc(IO_BLOCK_BYTES, bytes);
    ASSERT(p != NULL);
    memset(p, 0, bytes);
    return p;
}

void io_buffer_free(void *p, size_t bytes)
{
    (void)bytes;
    free(p);
}
