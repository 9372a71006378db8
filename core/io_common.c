/* Parts of the io seam that are made of other parts, for every backend. */
#include "core/core_priv.h"
#include "core/io.h"

#include <stdio.h>

enum { READ_CHUNK_BYTES = 1 << 20 };

err_t io_read_file_wait(const char *path, size_t max_bytes, struct arena *out, char **data,
                        size_t *len)
{
    *data = NULL;
    *len = 0;
    struct io_file *f;
    TRY(io_open_wait(path, IO_READ, 0, &f));
    uint64_t size = 0;
    err_t e = io_size_wait(f, &size);
    if (e == ERR_OK && size > max_bytes)
        e = err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "file \"%s\" is too large", path);
    void *p = NULL;
    if (e == ERR_OK)
        e = arena_alloc_try(out, (size_t)size + 1, &p);
    size_t done = 0;
    while (e == ERR_OK && done < size) {
        uint32_t got = 0;
        e = io_read_some_wait(f, (char *)p + done, (uint32_t)MIN(size - done, READ_CHUNK_BYTES),
                              done, &got);
        if (got == 0)
            break;
        done += got;
    }
    io_close_wait(f);
    TRY(e);
    *data = p;
    (*data)[done] = '\0';
    *len = done;
    return ERR_OK;
}

SUSPENDS static err_t write_new_file_wait(const char *path, const void *data, size_t len,
                                          uint32_t mode)
{
    struct io_file *f;
    TRY(io_open_wait(path, IO_WRITE | IO_CREATE | IO_TRUNCATE, mode, &f));
    err_t e = ERR_OK;
    size_t done = 0;
    while (e == ERR_OK && done < len) {
        uint32_t part = (uint32_t)MIN(len - done, READ_CHUNK_BYTES);
        e = io_write_wait(f, (const char *)data + done, part, done);
        done += part;
    }
    if (e == ERR_OK)
        e = io_sync_wait(f);
    io_close_wait(f);
    return e;
}

err_t io_replace_file_wait(const char *path, const void *data, size_t len, uint32_t mode)
{
    size_t path_bytes = strlen(path);
    char *temporary = core_malloc(path_bytes + 5);
    memcpy(temporary, path, path_bytes);
    memcpy(temporary + path_bytes, ".tmp", 5);
    err_t e = write_new_file_wait(temporary, data, len, mode);
    if (e == ERR_OK)
        e = io_rename_wait(temporary, path);
    core_free(temporary);
    return e;
}
