/*
 * Files through io_uring. Every operation is a struct file_call that can be done three ways: as an
 * SQE while the fiber waits, blocking on the core's helper thread (what io_uring does not have, and
 * durable writes where the scheduler demands it), or blocking right here where no core runs
 * (start-up of the process, tools).
 */
#include "core/io_uring_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct io_file {
    int fd;
    uint32_t flags;
    char path[];
};

enum file_call_kind {
    FILE_OPEN,
    FILE_CLOSE,
    FILE_READ,
    FILE_WRITE,
    FILE_SYNC,
    FILE_ALLOCATE,
    FILE_TRUNCATE,
    FILE_RENAME,
    FILE_UNLINK,
    FILE_MKDIR,
};

struct file_call {
    struct uring_op op;
    struct helper_work work;
    struct fiber *fiber;
    enum file_call_kind kind;
    int fd;
    const char *path;
    const char *path2;
    void *buf;
    uint64_t len;
    uint64_t offset;
    int flags;
    uint32_t mode;
    int res; /* as of an SQE: negative errno */
};

static int call_blocking(const struct file_call *f)
{
    int64_t r = -1;
    do {
        switch (f->kind) {
        case FILE_OPEN:
            r = open(f->path, f->flags, f->mode);
            break;
        case FILE_CLOSE:
            r = close(f->fd);
            break;
        case FILE_READ:
            r = pread(f->fd, f->buf, f->len, (off_t)f->offset);
            break;
        case FILE_WRITE:
            r = pwrite(f->fd, f->buf, f->len, (off_t)f->offset);
            break;
        case FILE_SYNC:
            r = fdatasync(f->fd);
            break;
        case FILE_ALLOCATE:
            r = fallocate(f->fd, 0, (off_t)f->offset, (off_t)f->len);
            break;
        case FILE_TRUNCATE:
            r = ftruncate(f->fd, (off_t)f->len);
            break;
        case FILE_RENAME:
            r = rename(f->path, f->path2);
            break;
        case FILE_UNLINK:
            r = unlink(f->path);
            break;
        case FILE_MKDIR:
            r = mkdir(f->path, f->mode);
            break;
        }
    } while (r < 0 && errno == EINTR && f->kind != FILE_CLOSE);
    return r < 0 ? -errno : (int)r;
}

static bool call_prepare(struct io_uring_sqe *sqe, const struct file_call *f)
{
    switch (f->kind) {
    case FILE_OPEN:
        io_uring_prep_openat(sqe, AT_FDCWD, f->path, f->flags, f->mode);
        return true;
    case FILE_CLOSE:
        io_uring_prep_close(sqe, f->fd);
        return true;
    case FILE_READ:
        io_uring_prep_read(sqe, f->fd, f->buf, (unsigned)f->len, f->offset);
        return true;
    case FILE_WRITE:
        io_uring_prep_write(sqe, f->fd, f->buf, (unsigned)f->len, f->offset);
        return true;
    case FILE_SYNC:
        io_uring_prep_fsync(sqe, f->fd, IORING_FSYNC_DATASYNC);
        return true;
    case FILE_ALLOCATE:
        io_uring_prep_fallocate(sqe, f->fd, 0, (off_t)f->offset, (off_t)f->len);
        return true;
    case FILE_RENAME:
        io_uring_prep_rename(sqe, f->path, f->path2);
        return true;
    case FILE_UNLINK:
        io_uring_prep_unlink(sqe, f->path, 0);
        return true;
    case FILE_MKDIR:
        io_uring_prep_mkdir(sqe, f->path, f->mode);
        return true;
    case FILE_TRUNCATE:
        break;
    }
    return false;
}

static void call_complete(struct uring_op *op, int32_t res, uint32_t flags)
{
    (void)flags;
    struct file_call *f = CONTAINER_OF(op, struct file_call, op);
    f->res = res;
    fiber_make_ready(f->fiber);
}

static void call_run_on_helper(struct helper_work *w)
{
    struct file_call *f = CONTAINER_OF(w, struct file_call, work);
    f->res = call_blocking(f);
}

static void call_helper_done(struct helper_work *w)
{
    fiber_make_ready(CONTAINER_OF(w, struct file_call, work)->fiber);
}

SUSPENDS static int call_wait(struct file_call *f, bool by_helper)
{
    if (runner.core == NULL)
        return call_blocking(f);
    struct backend *b = runner.core->backend;
    ASSERT(runner.fiber != NULL);
    ASSERT(!runner_is_borrowing());
    do {
        f->fiber = runner.fiber;
        if (by_helper || f->kind == FILE_TRUNCATE) {
            f->work = (struct helper_work){.run = call_run_on_helper, .done = call_helper_done};
            helper_start(b, &f->work);
        } else {
            struct io_uring_sqe *sqe = uring_sqe(b);
            call_prepare(sqe, f);
            f->op.complete = call_complete;
            uring_set_op(sqe, &f->op);
        }
        fiber_suspend_wait();
    } while ((f->res == -EINTR || f->res == -EAGAIN) && f->kind != FILE_CLOSE);
    return f->res;
}

static bool needs_helper(const struct io_file *f)
{
    return (f->flags & IO_DSYNC) != 0 && runner.core != NULL &&
           runner.core->backend->durable_writes_by_helper;
}

static bool cannot_wait(void)
{
    return runner.core != NULL && runner_is_borrowing();
}

static err_t err_of_errno(int os_error)
{
    switch (os_error) {
    case ENOENT:
    case ENOTDIR:
        return ERR_UNDEFINED_FILE;
    case EEXIST:
        return ERR_DUPLICATE_FILE;
    case ENOSPC:
    case EDQUOT:
        return ERR_DISK_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_INSUFFICIENT_PRIVILEGE;
    case EMFILE:
    case ENFILE:
        return ERR_INSUFFICIENT_RESOURCES;
    case ENOMEM:
        return ERR_OUT_OF_MEMORY;
    default:
        return ERR_IO_ERROR;
    }
}

static COLD err_t fail(int res, const char *verb, const char *path)
{
    return err_raise(err_of_errno(-res), "could not %s \"%s\": %s", verb, path, strerror(-res));
}

/* ---- open, close ---- */

err_t io_open_wait(const char *path, uint32_t flags, uint32_t mode, struct io_file **out)
{
    *out = NULL;
    if (cannot_wait())
        return err_would_suspend();
    int os = O_CLOEXEC;
    if ((flags & IO_READ) != 0 && (flags & IO_WRITE) != 0)
        os |= O_RDWR;
    else if ((flags & IO_WRITE) != 0)
        os |= O_WRONLY;
    os |= (flags & IO_CREATE) != 0 ? O_CREAT : 0;
    os |= (flags & IO_EXCLUSIVE) != 0 ? O_EXCL : 0;
    os |= (flags & IO_DIRECT) != 0 ? O_DIRECT : 0;
    os |= (flags & IO_DSYNC) != 0 ? O_DSYNC : 0;
    os |= (flags & IO_TRUNCATE) != 0 ? O_TRUNC : 0;
    struct file_call call = {.kind = FILE_OPEN, .path = path, .flags = os, .mode = mode};
    int res = call_wait(&call, false);
    if (res == -EINVAL && (flags & IO_DIRECT) != 0) {
        /* A file system without direct access (memory, mostly): the page cache then. With
         * IO_EXCLUSIVE the failed open may have made the file. */
        call.flags = os & ~O_DIRECT;
        if ((flags & IO_EXCLUSIVE) != 0)
            call.flags &= ~O_EXCL;
        res = call_wait(&call, false);
    }
    if (res < 0)
        return fail(res, "open file", path);
    size_t path_bytes = strlen(path) + 1;
    struct io_file *f = core_malloc(sizeof(*f) + path_bytes);
    f->fd = res;
    f->flags = flags;
    memcpy(f->path, path, path_bytes);
    *out = f;
    return ERR_OK;
}

void io_close_wait(struct io_file *f)
{
    if (f == NULL)
        return;
    struct file_call call = {.kind = FILE_CLOSE, .fd = f->fd};
    (void)call_wait(&call, false);
    core_free(f);
}

/* ---- data ---- */

err_t io_read_some_wait(struct io_file *f, void *buf, uint32_t len, uint64_t offset,
                        uint32_t *out_len)
{
    *out_len = 0;
    if (cannot_wait())
        return err_would_suspend();
    uint32_t done = 0;
    while (done < len) {
        struct file_call call = {.kind = FILE_READ,
                                 .fd = f->fd,
                                 .buf = (char *)buf + done,
                                 .len = len - done,
                                 .offset = offset + done};
        int res = call_wait(&call, false);
        if (res < 0)
            return fail(res, "read file", f->path);
        if (res == 0)
            break;
        done += (uint32_t)res;
        if ((f->flags & IO_DIRECT) != 0 && done % IO_BLOCK_BYTES != 0)
            break; /* only the end of the file is not aligned */
    }
    *out_len = done;
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
    uint32_t done = 0;
    bool by_helper = needs_helper(f);
    while (done < len) {
        struct file_call call = {.kind = FILE_WRITE,
                                 .fd = f->fd,
                                 .buf = (char *)(uintptr_t)buf + done,
                                 .len = len - done,
                                 .offset = offset + done};
        int res = call_wait(&call, by_helper);
        if (res == 0)
            res = -ENOSPC;
        if (res < 0)
            return fail(res, "write to file", f->path);
        done += (uint32_t)res;
    }
    return ERR_OK;
}

err_t io_sync_wait(struct io_file *f)
{
    if (cannot_wait())
        return err_would_suspend();
    struct file_call call = {.kind = FILE_SYNC, .fd = f->fd};
    int res = call_wait(&call, false);
    return res < 0 ? fail(res, "fsync file", f->path) : ERR_OK;
}

err_t io_allocate_wait(struct io_file *f, uint64_t offset, uint64_t len)
{
    if (cannot_wait())
        return err_would_suspend();
    struct file_call call = {.kind = FILE_ALLOCATE, .fd = f->fd, .offset = offset, .len = len};
    int res = call_wait(&call, false);
    if (res == -EOPNOTSUPP) { /* then only the size */
        uint64_t size;
        TRY(io_size_wait(f, &size));
        return size < offset + len ? io_truncate_wait(f, offset + len) : ERR_OK;
    }
    return res < 0 ? fail(res, "extend file", f->path) : ERR_OK;
}

err_t io_truncate_wait(struct io_file *f, uint64_t size)
{
    if (cannot_wait())
        return err_would_suspend();
    struct file_call call = {.kind = FILE_TRUNCATE, .fd = f->fd, .len = size};
    int res = call_wait(&call, true);
    return res < 0 ? fail(res, "truncate file", f->path) : ERR_OK;
}

err_t io_size_wait(struct io_file *f, uint64_t *out)
{
    struct stat st; /* an open file's: never leaves memory */
    *out = 0;
    if (fstat(f->fd, &st) != 0)
        return fail(-errno, "stat file", f->path);
    *out = (uint64_t)st.st_size;
    return ERR_OK;
}

/* ---- directories ---- */

err_t io_sync_dir_wait(const char *path)
{
    if (cannot_wait())
        return err_would_suspend();
    struct file_call call = {
        .kind = FILE_OPEN, .path = path, .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC};
    int fd = call_wait(&call, false);
    if (fd < 0)
        return fail(fd, "open directory", path);
    call = (struct file_call){.kind = FILE_SYNC, .fd = fd};
    int res = call_wait(&call, false);
    call = (struct file_call){.kind = FILE_CLOSE, .fd = fd};
    (void)call_wait(&call, false);
    return res < 0 && res != -EINVAL ? fail(res, "fsync directory", path) : ERR_OK;
}

SUSPENDS static err_t sync_parent_wait(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return io_sync_dir_wait(".");
    if (slash == path)
        return io_sync_dir_wait("/");
    char *parent = core_malloc((size_t)(slash - path) + 1);
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    err_t e = io_sync_dir_wait(parent);
    core_free(parent);
    return e;
}

err_t io_rename_wait(const char *from, const char *to)
{
    if (cannot_wait())
        return err_would_suspend();
    struct file_call call = {.kind = FILE_RENAME, .path = from, .path2 = to};
    int res = call_wait(&call, false);
    if (res < 0)
        return err_raise(err_of_errno(-res), "could not rename file \"%s\" to \"%s\": %s", from, to,
                         strerror(-res));
    return sync_parent_wait(to);
}

err_t io_unlink_wait(const char *path)
{
    if (cannot_wait())
        return err_would_suspend();
    struct file_call call = {.kind = FILE_UNLINK, .path = path};
    int res = call_wait(&call, false);
    return res < 0 && res != -ENOENT ? fail(res, "remove file", path) : ERR_OK;
}

err_t io_mkdir_wait(const char *path)
{
    if (cannot_wait())
        return err_would_suspend();
    struct file_call call = {.kind = FILE_MKDIR, .path = path, .mode = 0700};
    int res = call_wait(&call, false);
    if (res == -EEXIST)
        return ERR_OK;
    if (res < 0)
        return fail(res, "create directory", path);
    return sync_parent_wait(path);
}

struct list_work {
    struct helper_work work;
    const char *path;
    int os_error;
    char **names; /* malloc'ed */
    size_t count;
};

static void list_run(struct helper_work *w)
{
    struct list_work *l = CONTAINER_OF(w, struct list_work, work);
    DIR *dir = opendir(l->path);
    if (dir == NULL) {
        l->os_error = errno;
        return;
    }
    size_t room = 0;
    struct dirent *entry;
    while ((errno = 0, entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (l->count == room) {
            room = room == 0 ? 64 : room * 2;
            char **more = realloc((void *)l->names, room * sizeof(*more));
            if (more == NULL) {
                l->os_error = ENOMEM;
                break;
            }
            l->names = more;
        }
        l->names[l->count] = strdup(entry->d_name);
        if (l->names[l->count] == NULL) {
            l->os_error = ENOMEM;
            break;
        }
        l->count++;
    }
    if (l->os_error == 0)
        l->os_error = errno;
    closedir(dir);
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
    struct list_work l = {.work = {.run = list_run}, .path = path};
    if (runner.core == NULL)
        list_run(&l.work);
    else
        helper_wait(runner.core->backend, &l.work);
    if (l.os_error == 0) {
        char **copy = ARENA_ARRAY(out, char *, l.count + 1);
        for (size_t i = 0; i < l.count; i++)
            copy[i] = arena_strdup(out, l.names[i]);
        qsort((void *)copy, l.count, sizeof(*copy), name_compare);
        *names = copy;
        *count = l.count;
    }
    for (size_t i = 0; i < l.count; i++)
        free(l.names[i]);
    free((void *)l.names);
    return l.os_error == 0 ? ERR_OK : fail(-l.os_error, "open directory", path);
}

/* ---- asynchronous requests ---- */

struct request_priv {
    struct uring_op op;
    struct helper_work work;
    char *buf;
    uint64_t offset;
    struct io_file *file;
    uint32_t len; /* what is left */
    uint8_t kind;
    bool by_helper;
};
_Static_assert(sizeof(struct request_priv) <= sizeof(((struct io_request *)0)->private_words),
               "struct io_request has the room");

static void request_issue(struct io_request *req);

static void request_complete(struct io_request *req, int res)
{
    struct request_priv *p = (struct request_priv *)req->private_words;
    if (res == -EINTR || res == -EAGAIN) {
        request_issue(req);
        return;
    }
    if (res == 0 && p->kind == FILE_WRITE)
        res = -ENOSPC;
    if (res < 0) {
        req->result = err_of_errno(-res);
        req->os_error = -res;
    } else if (p->kind != FILE_SYNC && (uint32_t)res < p->len) {
        if (res > 0) {
            p->buf += res;
            p->offset += (uint32_t)res;
            p->len -= (uint32_t)res;
            request_issue(req);
            return;
        }
        req->result = ERR_DATA_CORRUPTED; /* premature end of the file */
    }
    req->done(req);
}

static void request_op_complete(struct uring_op *op, int32_t res, uint32_t flags)
{
    (void)flags;
    struct request_priv *p = CONTAINER_OF(op, struct request_priv, op);
    request_complete(CONTAINER_OF((void *)p, struct io_request, private_words), res);
}

static void request_helper_run(struct helper_work *w)
{
    struct request_priv *p = CONTAINER_OF(w, struct request_priv, work);
    struct file_call call = {.kind = (enum file_call_kind)p->kind,
                             .fd = p->file->fd,
                             .buf = p->buf,
                             .len = p->len,
                             .offset = p->offset};
    ASSUME(call.kind == FILE_READ || call.kind == FILE_WRITE || call.kind == FILE_SYNC);
    int res = call_blocking(&call);
    struct io_request *req = CONTAINER_OF((void *)p, struct io_request, private_words);
    req->os_error = res; /* until request_helper_done() */
}

static void request_helper_done(struct helper_work *w)
{
    struct request_priv *p = CONTAINER_OF(w, struct request_priv, work);
    struct io_request *req = CONTAINER_OF((void *)p, struct io_request, private_words);
    int res = req->os_error;
    req->os_error = 0;
    request_complete(req, res);
}

static void request_issue(struct io_request *req)
{
    struct request_priv *p = (struct request_priv *)req->private_words;
    struct backend *b = core_self()->backend;
    if (p->by_helper) {
        p->work = (struct helper_work){.run = request_helper_run, .done = request_helper_done};
        helper_start(b, &p->work);
        return;
    }
    struct file_call call = {.kind = (enum file_call_kind)p->kind,
                             .fd = p->file->fd,
                             .buf = p->buf,
                             .len = p->len,
                             .offset = p->offset};
    struct io_uring_sqe *sqe = uring_sqe(b);
    call_prepare(sqe, &call);
    p->op.complete = request_op_complete;
    uring_set_op(sqe, &p->op);
}

static void request_start(struct io_request *req, enum file_call_kind kind, struct io_file *f,
                          void *buf, uint32_t len, uint64_t offset)
{
    req->result = ERR_OK;
    req->os_error = 0;
    struct request_priv *p = (struct request_priv *)req->private_words;
    *p = (struct request_priv){.kind = (uint8_t)kind,
                               .file = f,
                               .buf = buf,
                               .len = len,
                               .offset = offset,
                               .by_helper = kind != FILE_READ && needs_helper(f)};
    request_issue(req);
}

void io_read_start(struct io_request *req, struct io_file *f, void *buf, uint32_t len,
                   uint64_t offset)
{
    request_start(req, FILE_READ, f, buf, len, offset);
}

void io_write_start(struct io_request *req, struct io_file *f, const void *buf, uint32_t len,
                    uint64_t offset)
{
    request_start(req, FILE_WRITE, f, (void *)(uintptr_t)buf, len, offset);
}

void io_sync_start(struct io_request *req, struct io_file *f)
{
    request_start(req, FILE_SYNC, f, NULL, 0, 0);
}

/* ---- memory ---- */

enum { HUGE_PAGE_BYTES = 2 << 20 };

void *io_buffer_alloc(size_t bytes)
{
    bytes = (bytes + IO_BLOCK_BYTES - 1) / IO_BLOCK_BYTES * IO_BLOCK_BYTES;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        log_write(LOG_PANIC, "out of memory: the machine has no %zu bytes left", bytes);
        abort();
    }
    if (bytes >= HUGE_PAGE_BYTES)
        (void)madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

void io_buffer_free(void *p, size_t bytes)
{
    if (p != NULL)
        munmap(p, (bytes + IO_BLOCK_BYTES - 1) / IO_BLOCK_BYTES * IO_BLOCK_BYTES);
}
