/*
 * Cutting a log short. Recovery of several shards may find that the end of one log depends on what
 * another has lost; then all of it goes. The place is kept in a file until what lies behind is
 * wiped, since a crash in the middle of wiping would look like damage in the middle of a log.
 *
 * File "cut": u64 at, u64 end, u32 crc32c of both.
 */
#include "wal/wal_priv.h"

enum { CUT_BYTES = 20, CUT_CRC_AT = 16 };

static char *cut_path(const struct wal *w, struct arena *mem)
{
    return arena_printf(mem, "%s/cut", w->directory);
}

err_t wal_cut_read_wait(const struct wal *w, struct arena *mem, struct wal_cut *out)
{
    *out = (struct wal_cut){.at = UINT64_MAX};
    const char *path = cut_path(w, mem);
    char *data;
    size_t len;
    err_t e = io_read_file_wait(path, CUT_BYTES, mem, &data, &len);
    if (e == ERR_UNDEFINED_FILE)
        return ERR_OK;
    TRY(e);
    const uint8_t *b = (const uint8_t *)data;
    if (len != CUT_BYTES || load_u32(b + CUT_CRC_AT) != crc32c(0, b, CUT_CRC_AT))
        return err_raise(ERR_DATA_CORRUPTED, "log file \"%s\" is damaged", path);
    out->at = load_u64(b);
    out->end = load_u64(b + 8);
    return ERR_OK;
}

err_t wal_cut_wait(struct wal *w, lsn_t at, lsn_t end)
{
    ASSERT(!w->positioned);
    struct arena *mem = arena_new();
    struct wal_cut before;
    err_t e = wal_cut_read_wait(w, mem, &before);
    if (e == ERR_OK) {
        ASSERT(at <= before.at);
        uint8_t b[CUT_BYTES];
        store_u64(b, at);
        store_u64(b + 8, MAX(end, before.end));
        store_u32(b + CUT_CRC_AT, crc32c(0, b, CUT_CRC_AT));
        e = io_replace_file_wait(cut_path(w, mem), b, sizeof(b), 0600);
    }
    arena_free(mem);
    return e;
}

err_t wal_cut_remove_wait(const struct wal *w, struct arena *mem)
{
    TRY(io_unlink_wait(cut_path(w, mem)));
    return io_sync_dir_wait(w->directory);
}
