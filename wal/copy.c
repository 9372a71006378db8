/* A copy of the part of a log that recovery reads, for tools that must not touch the original. */
#include "wal/wal_priv.h"

#include <stdio.h>

enum { COPY_BYTES = 1 << 20 };

SUSPENDS static err_t copy_file_wait(const char *from, const char *to, uint64_t bytes,
                                     uint8_t *buffer)
{
    struct io_file *in;
    TRY(io_open_wait(from, IO_READ, 0, &in));
    struct io_file *out = NULL;
    err_t e = io_open_wait(to, IO_WRITE | IO_CREATE | IO_TRUNCATE, 0600, &out);
    for (uint64_t at = 0; at < bytes && e == ERR_OK;) {
        uint32_t got = 0;
        e = io_read_some_wait(in, buffer, (uint32_t)MIN(bytes - at, (uint64_t)COPY_BYTES), at,
                              &got);
        if (e == ERR_OK && got == 0)
            break;
        if (e == ERR_OK)
            e = io_write_wait(out, buffer, got, at);
        at += got;
    }
    if (e == ERR_OK)
        e = io_truncate_wait(out, WAL_SEGMENT_BYTES);
    if (out != NULL)
        io_close_wait(out);
    io_close_wait(in);
    return e;
}

err_t wal_copy_wait(const char *from, const char *to, lsn_t begin, lsn_t end)
{
    TRY(io_mkdir_wait(to));
    struct arena *mem = arena_new();
    struct wal source = {.directory = arena_strdup(mem, from)};
    struct wal target = {.directory = arena_strdup(mem, to)};
    char *in = arena_alloc(mem, WAL_PATH_BYTES);
    char *out = arena_alloc(mem, WAL_PATH_BYTES);
    uint8_t *buffer = io_buffer_alloc(COPY_BYTES);
    uint64_t *numbers;
    size_t count;
    err_t e = wal_segments_list_wait(&source, mem, &numbers, &count);
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        uint64_t first = numbers[i] * WAL_SEGMENT_BYTES;
        if (numbers[i] + 1 < segment_of(begin))
            continue; /* one before: replay asks for it when the log ended with a segment */
        wal_segment_path(&source, numbers[i], in);
        wal_segment_path(&target, numbers[i], out);
        uint64_t bytes = end > first ? MIN(end - first, (uint64_t)WAL_SEGMENT_BYTES) : 0;
        e = copy_file_wait(in, out, bytes, buffer);
    }
    io_buffer_free(buffer, COPY_BYTES);
    arena_free(mem);
    return e;
}
