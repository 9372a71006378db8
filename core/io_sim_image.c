/* See io_sim_image.h. */
#include "core/io_sim_image.h"

#include "core/io_sim.h"

enum { BLOCK_BYTES = 4096 };
#define REFS_FOREVER UINT32_MAX

struct image_block {
    uint32_t refs;
    uint8_t bytes[BLOCK_BYTES];
};

static void block_release(struct image_block *b)
{
    if (b == NULL || b->refs == REFS_FOREVER)
        return;
    ASSERT(b->refs > 0);
    if (--b->refs == 0)
        io_sim_free(b);
}

static void image_reserve(struct image *im, uint64_t blocks)
{
    if (blocks <= im->room)
        return;
    uint64_t room = MAX(im->room * 2, MAX(blocks, 64));
    struct image_block **bigger = io_sim_alloc(room * sizeof(*bigger));
    if (im->room > 0)
        memcpy((void *)bigger, (const void *)im->blocks, im->room * sizeof(*bigger));
    io_sim_free((void *)im->blocks);
    im->blocks = bigger;
    im->room = room;
}

/* The block, alone this image's. */
static uint8_t *block_to_write(struct image *im, uint64_t no)
{
    image_reserve(im, no + 1);
    struct image_block *b = im->blocks[no];
    if (b != NULL && b->refs == 1)
        return b->bytes;
    struct image_block *own = io_sim_alloc(sizeof(*own));
    own->refs = 1;
    if (b != NULL)
        memcpy(own->bytes, b->bytes, BLOCK_BYTES);
    block_release(b);
    im->blocks[no] = own;
    return own->bytes;
}

void image_resize(struct image *im, uint64_t size)
{
    if (size < im->size) {
        uint64_t keep = (size + BLOCK_BYTES - 1) / BLOCK_BYTES;
        for (uint64_t no = keep; no < im->room; no++) {
            block_release(im->blocks[no]);
            im->blocks[no] = NULL;
        }
        if (size % BLOCK_BYTES != 0 && keep <= im->room && im->blocks[keep - 1] != NULL)
            memset(block_to_write(im, keep - 1) + size % BLOCK_BYTES, 0,
                   BLOCK_BYTES - size % BLOCK_BYTES);
    }
    im->size = size;
}

static bool is_zero(const uint8_t *p, uint64_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

void image_write(struct image *im, const void *bytes, uint64_t len, uint64_t offset)
{
    const uint8_t *from = bytes;
    if (offset + len > im->size)
        im->size = offset + len;
    while (len > 0) {
        uint64_t no = offset / BLOCK_BYTES;
        uint64_t at = offset % BLOCK_BYTES;
        uint64_t part = MIN(len, BLOCK_BYTES - at);
        bool exists = no < im->room && im->blocks[no] != NULL;
        if (exists || !is_zero(from, part))
            memcpy(block_to_write(im, no) + at, from, part);
        from += part;
        offset += part;
        len -= part;
    }
}

uint64_t image_read(const struct image *im, void *bytes, uint64_t len, uint64_t offset)
{
    uint8_t *to = bytes;
    if (offset >= im->size)
        return 0;
    len = MIN(len, im->size - offset);
    for (uint64_t done = 0; done < len;) {
        uint64_t no = offset / BLOCK_BYTES;
        uint64_t at = offset % BLOCK_BYTES;
        uint64_t part = MIN(len - done, BLOCK_BYTES - at);
        const struct image_block *b = no < im->room ? im->blocks[no] : NULL;
        if (b != NULL)
            memcpy(to + done, b->bytes + at, part);
        else
            memset(to + done, 0, part);
        done += part;
        offset += part;
    }
    return len;
}

uint64_t image_common(const struct image *im, const void *bytes, uint64_t len, uint64_t offset)
{
    static const uint8_t zeros[BLOCK_BYTES];
    uint64_t no = offset / BLOCK_BYTES;
    const struct image_block *b = no < im->room ? im->blocks[no] : NULL;
    const uint8_t *old = (b != NULL ? b->bytes : zeros) + offset % BLOCK_BYTES;
    const uint8_t *new = bytes;
    uint64_t most = MIN(len, BLOCK_BYTES - offset % BLOCK_BYTES);
    uint64_t n = 0;
    while (n < most && old[n] == new[n])
        n++;
    return n;
}

void image_free(struct image *im)
{
    for (uint64_t i = 0; i < im->room; i++)
        block_release(im->blocks[i]);
    io_sim_free((void *)im->blocks);
    *im = (struct image){0};
}

void image_copy(struct image *to, const struct image *from)
{
    image_free(to);
    image_reserve(to, from->room);
    for (uint64_t i = 0; i < from->room; i++) {
        to->blocks[i] = from->blocks[i];
        if (to->blocks[i] != NULL && to->blocks[i]->refs != REFS_FOREVER)
            to->blocks[i]->refs++;
    }
    to->size = from->size;
}

void image_move(struct image *to, const struct image *from)
{
    *to = (struct image){.size = from->size};
    image_reserve(to, from->room);
    for (uint64_t i = 0; i < from->room; i++) {
        to->blocks[i] = from->blocks[i];
        if (to->blocks[i] != NULL)
            to->blocks[i]->refs = REFS_FOREVER;
    }
}
