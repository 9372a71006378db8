/*
 * Direct descriptors: a ring's own table of open files. A process may open only so many files; a
 * socket that lies in its ring's table does not count among them, and every ring's table may be as
 * large as that limit. So sockets move there once the process's descriptors run low.
 *
 * The table is registered when the first socket needs it. A slot is emptied before it is given to
 * another socket, so no operation can meet the wrong one.
 */
#include "core/io_uring_priv.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    DIRECT_SLOTS_MAX = 1 << 20,
    OP_FIXED_FD_INSTALL = 54,     /* IORING_OP_FIXED_FD_INSTALL, which older headers do not name */
    OPEN_FILES_FOR_OTHERS = 1000, /* data files, logins under way, temporary files */
};

static uint32_t open_files_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    return (uint32_t)MIN(limit.rlim_cur, (rlim_t)DIRECT_SLOTS_MAX);
}

static uint32_t open_files_for_sockets(void)
{
    uint32_t limit = open_files_limit();
    return limit - MIN((uint32_t)OPEN_FILES_FOR_OTHERS, limit / 2);
}

uint64_t io_socket_capacity(void)
{
    return open_files_for_sockets() + (uint64_t)core_count() * open_files_limit();
}

static bool direct_init(struct backend *b)
{
    if (b->direct_is_tried)
        return b->direct_free != NULL;
    b->direct_is_tried = true;
    uint32_t count = open_files_limit();
    int r = io_uring_register_files_sparse(&b->ring, count);
    if (r != 0) {
        log_write(LOG_WARNING, "could not register a table of %u direct descriptors: %s", count,
                  strerror(-r));
        return false;
    }
    b->direct_free = core_malloc(sizeof(*b->direct_free) * count);
    b->direct_free_count = count;
    for (uint32_t i = 0; i < count; i++)
        b->direct_free[i] = count - 1 - i;
    return true;
}

int direct_take(struct backend *b, int os_fd)
{
    if (b->direct_from_fd == 0)
        b->direct_from_fd = open_files_for_sockets();
    if ((uint32_t)os_fd < b->direct_from_fd || !direct_init(b) || b->direct_free_count == 0)
        return -1;
    int slot = (int)b->direct_free[b->direct_free_count - 1];
    if (io_uring_register_files_update(&b->ring, (unsigned)slot, &os_fd, 1) != 1)
        return -1;
    b->direct_free_count--;
    return slot;
}

void direct_give(struct backend *b, int slot)
{
    int none = -1;
    if (io_uring_register_files_update(&b->ring, (unsigned)slot, &none, 1) != 1) {
        log_write(LOG_WARNING, "could not empty slot %d of the direct descriptors", slot);
        return; /* one slot less */
    }
    b->direct_free[b->direct_free_count++] = (uint32_t)slot;
}

struct install {
    struct uring_op op;
    struct fiber *fiber;
    int32_t result;
};

static void install_complete(struct uring_op *op, int32_t res, uint32_t flags)
{
    (void)flags;
    struct install *i = CONTAINER_OF(op, struct install, op);
    i->result = res;
    fiber_make_ready(i->fiber);
}

int direct_install_wait(struct backend *b, int slot)
{
    struct install i = {.op.complete = install_complete, .fiber = runner.fiber};
    struct io_uring_sqe *sqe = uring_sqe(b);
    io_uring_prep_rw(OP_FIXED_FD_INSTALL, sqe, slot, NULL, 0, 0);
    sqe->flags |= IOSQE_FIXED_FILE;
    uring_set_op(sqe, &i.op);
    fiber_suspend_wait();
    return i.result >= 0 ? i.result : -1;
}
