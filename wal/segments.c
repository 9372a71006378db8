/*
 * The files of a log: making, opening ahead, recycling.
 *
 * A segment is a file of WAL_SEGMENT_BYTES named by its number in hexadecimal. All its bytes have
 * been written once before it is used (a merely allocated file makes each durable write twice as
 * slow), either with zeros when made or by its former life. New ones are filled under another name,
 * so that a named segment always has its full size.
 *
 * The keeper, a fiber per log, does this ahead of need: it holds the segment being written and the
 * next one open, and keeps WAL_SEGMENTS_AHEAD more. The writer waits for it (stalled) only when it
 * cannot keep up. Recycling renames segments that are no longer needed to positions behind the
 * last.
 *
 * Disk full: the keeper fails first, while there is still room in existing segments.
 * wal_reserve_wait then refuses new work with ERR_DISK_FULL, and the keeper goes on trying. Only
 * when records that were appended already cannot be written, the log has failed.
 */
#include "wal/wal_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILL_BYTES = 256 << 10, NAME_DIGITS = 16 };
static const char name_suffix[] = ".wal";
uint32_t wal_segment_shift = 24;
static const char unfinished_name[] = "unfinished";

void wal_segment_path(const struct wal *w, uint64_t no, char *path)
{
    (void)snprintf(path, WAL_PATH_BYTES, "%s/%016" PRIX64 "%s", w->directory, no, name_suffix);
}

static bool name_parse(const char *name, uint64_t *no)
{
    uint64_t v = 0;
    for (int i = 0; i < NAME_DIGITS; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'A' && c <= 'F')
            v = v << 4 | (uint64_t)(c - 'A' + 10);
        else
            return false;
    }
    *no = v;
    return strcmp(name + NAME_DIGITS, name_suffix) == 0;
}

err_t wal_segments_list_wait(struct wal *w, struct arena *mem, uint64_t **numbers, size_t *count)
{
    char **names;
    size_t n;
    TRY(io_list_dir_wait(w->directory, mem, &names, &n));
    *numbers = ARENA_ARRAY(mem, uint64_t, n + 1);
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t no;
        if (name_parse(names[i], &no))
            (*numbers)[(*count)++] = no; /* sorted: equal length, digits before letters */
    }
    return ERR_OK;
}

err_t wal_unfinished_remove_wait(struct wal *w, struct arena *mem)
{
    return io_unlink_wait(arena_printf(mem, "%s/%s", w->directory, unfinished_name));
}

/* ---- making ---- */

SUSPENDS static err_t fill_wait(struct io_file *f)
{
    TRY(io_allocate_wait(f, 0, WAL_SEGMENT_BYTES));
    void *zeros = io_buffer_alloc(FILL_BYTES);
    memset(zeros, 0, FILL_BYTES);
    err_t err = ERR_OK;
    for (uint64_t at = 0; at < WAL_SEGMENT_BYTES && err == ERR_OK; at += FILL_BYTES)
        err = io_write_wait(f, zeros, FILL_BYTES, at);
    io_buffer_free(zeros, FILL_BYTES);
    TRY(err);
    return io_sync_wait(f);
}

SUSPENDS static err_t create_unfinished_wait(const char *path)
{
    struct io_file *f;
    TRY(io_open_wait(path, IO_WRITE | IO_CREATE | IO_TRUNCATE | IO_DIRECT, 0600, &f));
    err_t err = fill_wait(f);
    io_close_wait(f);
    return err;
}

err_t wal_segment_create_wait(struct wal *w, uint64_t no)
{
    char *paths = core_malloc((size_t)WAL_PATH_BYTES * 2);
    char *final = paths + WAL_PATH_BYTES;
    (void)snprintf(paths, WAL_PATH_BYTES, "%s/%s", w->directory, unfinished_name);
    wal_segment_path(w, no, final);
    err_t err = create_unfinished_wait(paths);
    if (err == ERR_OK)
        err = io_rename_wait(paths, final);
    else
        ERR_IGNORE(io_unlink_wait(paths));
    core_free(paths);
    TRY(err);
    if (no >= w->ready_end)
        w->ready_end = no + 1;
    return ERR_OK;
}

/* ---- open segments ---- */

struct io_file *wal_segment_file(struct wal *w, uint64_t no)
{
    for (int i = 0; i < WAL_OPEN_SEGMENTS; i++) {
        if (w->open[i].file != NULL && w->open[i].no == no)
            return w->open[i].file;
    }
    return NULL;
}

SUSPENDS static err_t open_wait(struct wal *w, uint64_t no)
{
    char *path = core_malloc(WAL_PATH_BYTES);
    wal_segment_path(w, no, path);
    struct io_file *f = NULL;
    err_t err = io_open_wait(path, IO_WRITE | IO_DIRECT | IO_DSYNC, 0600, &f);
    core_free(path);
    TRY(err);
    for (int i = 0; i < WAL_OPEN_SEGMENTS; i++) {
        if (w->open[i].file == NULL) {
            w->open[i] = (struct wal_segment){.no = no, .file = f};
            return ERR_OK;
        }
    }
    io_close_wait(f);
    return err_raise(ERR_INTERNAL_ERROR, "too many open log segments");
}

/* Close the open segments in front of no. */
SUSPENDS static void close_before_wait(struct wal *w, uint64_t no)
{
    for (int i = 0; i < WAL_OPEN_SEGMENTS; i++) {
        struct io_file *f = w->open[i].file;
        if (f != NULL && w->open[i].no < no) {
            w->open[i].file = NULL;
            io_close_wait(f);
        }
    }
}

SUSPENDS static void directory_lock_wait(struct wal *w)
{
    while (w->directory_locked)
        wait_queue_shielded_wait(&w->directory_queue);
    w->directory_locked = true;
}

static void directory_unlock(struct wal *w)
{
    w->directory_locked = false;
    (void)wait_queue_wake_one(&w->directory_queue);
}

/* ---- keeper ---- */

/* One step of what is missing; *idle when nothing is. */
SUSPENDS static err_t keeper_step_wait(struct wal *w, bool *idle)
{
    *idle = false;
    uint64_t current = segment_of(w->durable);
    close_before_wait(w, current);
    for (uint64_t no = current; no <= current + 1; no++) {
        if (no >= w->ready_end)
            TRY(wal_segment_create_wait(w, no));
        if (wal_segment_file(w, no) == NULL) {
            TRY(open_wait(w, no));
            return ERR_OK;
        }
    }
    if (w->ready_end < current + 1 + WAL_SEGMENTS_AHEAD)
        return wal_segment_create_wait(w, w->ready_end);
    *idle = true;
    return ERR_OK;
}

SUSPENDS static void keeper_failed_wait(struct wal *w, err_t err)
{
    if (w->stalled) {
        wal_fail(w, err, err_diag()->message != NULL ? err_diag()->message : "could not extend");
        return;
    }
    if (w->keeper_error == ERR_OK)
        log_write(LOG_WARNING, "could not extend the log in \"%s\": %s", w->directory,
                  err_diag()->message != NULL ? err_diag()->message : "");
    w->keeper_error = err;
    ERR_IGNORE(wait_queue_wait(&w->keeper_queue, core_now_us() + WAL_KEEPER_RETRY_US));
}

SUSPENDS static void keeper_main(void *arg)
{
    struct wal *w = arg;
    while (!w->closing) {
        bool idle = false;
        directory_lock_wait(w);
        err_t err = w->closing ? ERR_OK : keeper_step_wait(w, &idle);
        directory_unlock(w);
        if (w->closing)
            break;
        if (err != ERR_OK) {
            keeper_failed_wait(w, err);
            if (w->failure != ERR_OK && !w->closing)
                wait_queue_shielded_wait(&w->keeper_queue);
            continue;
        }
        w->keeper_error = ERR_OK;
        if (w->stalled)
            wal_write_begin(w);
        if (idle && !w->stalled)
            wait_queue_shielded_wait(&w->keeper_queue);
    }
    directory_lock_wait(w);
    close_before_wait(w, UINT64_MAX);
    directory_unlock(w);
    w->keeper_running = false;
    wait_queue_wake_all(&w->idle);
}

void wal_keeper_kick(struct wal *w)
{
    wait_queue_wake_all(&w->keeper_queue);
}

err_t wal_keeper_start(struct wal *w)
{
    TRY(fiber_spawn(keeper_main, w));
    w->keeper_running = true;
    return ERR_OK;
}

void wal_keeper_stop_wait(struct wal *w)
{
    ASSERT(w->closing);
    wal_keeper_kick(w);
    while (w->keeper_running)
        wait_queue_shielded_wait(&w->idle);
}

/* ---- recycling ---- */

static uint64_t segments_wanted_ahead(struct wal *w, lsn_t lsn)
{
    uint64_t used = segment_of(lsn) - segment_of(w->recycled_to) + 1;
    uint64_t faded = w->segments_per_recycle - w->segments_per_recycle / 10;
    w->segments_per_recycle = MAX(used, faded);
    w->recycled_to = lsn;
    uint64_t wanted = MAX(w->segments_per_recycle, w->keep_bytes_min / WAL_SEGMENT_BYTES);
    return MAX(wanted, (uint64_t)WAL_SEGMENTS_AHEAD);
}

SUSPENDS static err_t recycle_one_wait(struct wal *w, uint64_t wanted, char *paths)
{
    char *to = paths + WAL_PATH_BYTES;
    wal_segment_path(w, w->oldest, paths);
    if (w->ready_end - segment_of(w->durable) > wanted) {
        TRY(io_unlink_wait(paths));
    } else {
        wal_segment_path(w, w->ready_end, to);
        err_t err = io_rename_wait(paths, to);
        if (err != ERR_OK && err != ERR_UNDEFINED_FILE)
            return err;
        if (err == ERR_OK)
            w->ready_end++;
    }
    w->oldest++;
    return ERR_OK;
}

err_t wal_recycle_wait(struct wal *w, lsn_t lsn)
{
    ASSERT(w->positioned);
    ASSERT(lsn <= w->durable);
    if (lsn < w->recycled_to || segment_of(lsn) <= w->oldest)
        return ERR_OK;
    uint64_t wanted = segments_wanted_ahead(w, lsn);
    char *paths = core_malloc((size_t)WAL_PATH_BYTES * 2);
    directory_lock_wait(w);
    close_before_wait(w, segment_of(lsn));
    err_t err = ERR_OK;
    while (err == ERR_OK && !w->closing && w->oldest < segment_of(lsn))
        err = recycle_one_wait(w, wanted, paths);
    directory_unlock(w);
    core_free(paths);
    return err;
}
