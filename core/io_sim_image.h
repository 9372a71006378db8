/*
 * Contents of a simulated file: blocks that two images of one file, or worlds that began from one
 * disk, share until one of them writes. A block that was never written, or only with zeros, does
 * not exist.
 */
#ifndef CORE_IO_SIM_IMAGE_H
#define CORE_IO_SIM_IMAGE_H

#include "core/base.h"

struct image_block;

struct image {
    struct image_block **blocks;
    uint64_t room; /* in blocks */
    uint64_t size;
};

void image_resize(struct image *im, uint64_t size); /* what is beyond size reads as zeros later */
void image_write(struct image *im, const void *bytes, uint64_t len, uint64_t offset);
/* Bytes beyond the size are not touched; returns how many there were. */
uint64_t image_read(const struct image *im, void *bytes, uint64_t len, uint64_t offset);
/* How many bytes from offset on are as these; looks at no more than one block. */
uint64_t image_common(const struct image *im, const void *bytes, uint64_t len, uint64_t offset);
void image_free(struct image *im);
/* to becomes the same as from. */
void image_copy(struct image *to, const struct image *from);
/* As image_copy into another region of memory: the blocks are shared for good. */
void image_move(struct image *to, const struct image *from);

#endif
