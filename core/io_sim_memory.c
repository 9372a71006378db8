/*
 * Memory of what outlives a simulated process: the world's clock and randomness, the disk, and what
 * a test keeps about it. Usually the heap; after io_sim_share_memory() a mapping that forked
 * processes share, so that each life of a server can be a process of its own and its end leaves
 * nothing behind but the disk.
 *
 * The shared mapping is handed out in power-of-two classes (and halves between them) with free
 * lists. Only one process at a time runs the world, so there is no lock.
 */
#include "core/io_sim_priv.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { CLASS_COUNT = 96, HEADER_BYTES = 16 };

struct free_piece {
    struct free_piece *next;
};

struct region {
    uint64_t bytes;
    uint64_t used;
    struct free_piece *free[CLASS_COUNT];
};

static struct region *region;

/* Classes 2k and 2k+1 hold 2^k and 1.5 * 2^k bytes. */
static uint32_t class_of(size_t bytes)
{
    uint32_t c = 10;
    while (((uint64_t)2 + c % 2) << (c / 2) < (uint64_t)bytes * 2)
        c++;
    ASSERT(c < CLASS_COUNT);
    return c;
}

static size_t class_bytes(uint32_t c)
{
    return (size_t)((uint64_t)2 + c % 2) << (c / 2) >> 1;
}

void *io_sim_alloc(size_t bytes)
{
    if (region == NULL) {
        void *p = calloc(1, MAX(bytes, 1));
        ASSERT(p != NULL);
        return p;
    }
    uint32_t c = class_of(bytes + HEADER_BYTES);
    char *p = (char *)region->free[c];
    if (p != NULL) {
        region->free[c] = region->free[c]->next;
        memset(p, 0, bytes + HEADER_BYTES);
    } else { /* never touched, so zero */
        size_t room = (class_bytes(c) + 15) & ~(size_t)15;
        ASSERT(region->used + room <= region->bytes);
        p = (char *)region + region->used;
        region->used += room;
    }
    *(uint32_t *)(void *)p = c;
    return p + HEADER_BYTES;
}

void io_sim_free(void *p)
{
    if (p == NULL)
        return;
    char *start = (char *)p - HEADER_BYTES;
    /* What is not of this region is of one that was shared before: it stays as it is. */
    if (region != NULL && (start < (char *)region || start >= (char *)region + region->bytes))
        return;
    if (region == NULL) {
        free(p);
        return;
    }
    uint32_t c = *(uint32_t *)(void *)start;
    struct free_piece *piece = (struct free_piece *)(void *)start;
    piece->next = region->free[c];
    region->free[c] = piece;
}

void io_sim_share_memory(uint64_t bytes_max)
{
    ASSERT(runner.core == NULL);
    struct region *r = mmap(NULL, bytes_max, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(r != MAP_FAILED);
    r->bytes = bytes_max;
    r->used = (sizeof(*r) + 63) & ~(uint64_t)63;
    region = r;
    sim_world_move();
    sim_disk_move();
}

uint64_t io_sim_shared_bytes(void)
{
    return region == NULL ? 0 : region->used;
}
