/*
 * A shard's life: creating, opening with recovery, closing.
 *
 *   data directory/percore.control      shards, page size, clean or not
 *                 /shard-0000/pages     page store
 *                 /shard-0000/wal/      log
 *
 * Control file: 8 bytes "PERCORE1", u32 format, u32 shard count, u32 page bytes, u32 is clean,
 * u64 creation time (wall clock, microseconds), u32 crc32c of all that.
 *
 * Opening: every core opens its shards (checkpoint state); where the logs end together is found out
 * (cut.c); every core replays its logs up to there; then prepared transactions are settled from the
 * lists of all shards (recovery.c), what is unfinished is undone, and only then do the counters,
 * background fibers and users start.
 */
#include "shard/shard_priv.h"

#include <stdio.h>

enum {
    CONTROL_FORMAT = 1,
    CONTROL_BYTES = 8 + 4 * 4 + 8 + 4,
    PATH_BYTES_MAX = 4096,
};
static const char control_magic[8] = {'P', 'E', 'R', 'C', 'O', 'R', 'E', '1'};

/* ---- control file ---- */

static err_t path_make(char *out, const char *directory, const char *rest)
{
    int n = snprintf(out, PATH_BYTES_MAX, "%s/%s", directory, rest);
    if (n < 0 || n >= PATH_BYTES_MAX)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "data directory name is too long");
    return ERR_OK;
}

SUSPENDS static err_t control_write_wait(const struct shard_options *o, uint32_t count, bool clean,
                                         int64_t created_us)
{
    uint8_t b[CONTROL_BYTES];
    memcpy(b, control_magic, 8);
    store_u32(b + 8, CONTROL_FORMAT);
    store_u32(b + 12, count);
    store_u32(b + 16, PAGE_BYTES);
    store_u32(b + 20, clean ? 1 : 0);
    store_u64(b + 24, (uint64_t)created_us);
    store_u32(b + 32, crc32c(0, b, 32));
    char *path = core_malloc(PATH_BYTES_MAX);
    err_t e = path_make(path, o->data_directory, "percore.control");
    if (e == ERR_OK)
        e = io_replace_file_wait(path, b, sizeof(b), 0600);
    core_free(path);
    return e;
}

SUSPENDS static err_t control_read_wait(const struct shard_options *o, uint32_t *count, bool *clean,
                                        int64_t *created_us)
{
    struct arena *mem = arena_new();
    char *path = arena_alloc(mem, PATH_BYTES_MAX);
    char *data = NULL;
    size_t len = 0;
    err_t e = path_make(path, o->data_directory, "percore.control");
    if (e == ERR_OK)
        e = io_read_file_wait(path, 4096, mem, &data, &len);
    if (e == ERR_OK) {
        const uint8_t *b = (const uint8_t *)data;
        if (len != CONTROL_BYTES || memcmp(b, control_magic, 8) != 0 ||
            load_u32(b + 32) != crc32c(0, b, 32)) {
            e = err_raise(ERR_DATA_CORRUPTED, "control file \"%s\" is damaged", path);
        } else if (load_u32(b + 8) != CONTROL_FORMAT || load_u32(b + 16) != PAGE_BYTES) {
            e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                          "data directory was made by an incompatible version");
        } else if (load_u32(b + 12) == 0 || load_u32(b + 12) > SHARD_COUNT_MAX) {
            e = err_raise(ERR_DATA_CORRUPTED, "control file \"%s\" is damaged", path);
        } else {
            *count = load_u32(b + 12);
            *clean = load_u32(b + 20) != 0;
            *created_us = (int64_t)load_u64(b + 24);
        }
    }
    arena_free(mem);
    return e;
}

err_t shards_inspect_wait(const struct shard_options *o, uint32_t *count, bool *clean)
{
    int64_t created;
    return control_read_wait(o, count, clean, &created);
}

/* ---- creating ---- */

/* What an interrupted creation left in a directory of ours. */
SUSPENDS static err_t remove_files_wait(const char *directory)
{
    struct arena *mem = arena_new();
    char **names;
    size_t count;
    err_t e = io_list_dir_wait(directory, mem, &names, &count);
    for (size_t i = 0; i < count && e == ERR_OK; i++)
        e = io_unlink_wait(arena_printf(mem, "%s/%s", directory, names[i]));
    arena_free(mem);
    return e;
}

SUSPENDS static err_t create_one_wait(const struct shard_options *o, uint32_t number, char *path)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "shard-%04u", number);
    TRY(path_make(path, o->data_directory, name));
    TRY(io_mkdir_wait(path));
    (void)snprintf(name, sizeof(name), "shard-%04u/pages", number);
    TRY(path_make(path, o->data_directory, name));
    TRY(io_unlink_wait(path));
    struct page_store_options po = {
        .path = path, .pool_bytes = MIN(o->pool_bytes, MIB(1)), .numa_node = -1};
    struct page_store *ps;
    TRY(page_store_create_wait(&po, &ps));
    page_store_close_wait(ps);
    (void)snprintf(name, sizeof(name), "shard-%04u/wal", number);
    TRY(path_make(path, o->data_directory, name));
    TRY(io_mkdir_wait(path));
    TRY(remove_files_wait(path));
    struct wal_options wo = {.directory = path, .buffer_bytes = o->wal_buffer_bytes};
    struct wal *w;
    TRY(wal_create_wait(&wo, &w));
    wal_close_wait(w);
    return ERR_OK;
}

err_t shards_create_wait(const struct shard_options *o, uint32_t count)
{
    if (count == 0 || count > SHARD_COUNT_MAX)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "shard count must be between 1 and %u",
                         (uint32_t)SHARD_COUNT_MAX);
    char *path = core_malloc(PATH_BYTES_MAX);
    err_t e = io_mkdir_wait(o->data_directory);
    for (uint32_t i = 0; i < count && e == ERR_OK; i++)
        e = create_one_wait(o, i, path);
    core_free(path);
    TRY(e);
    TRY(io_sync_dir_wait(o->data_directory));
    return control_write_wait(o, count, true, core_wall_us());
}

/* ---- memory of a shard ---- */

static struct shard *shard_new(const struct shard_options *o, uint32_t number)
{
    struct shard *s = core_zalloc(sizeof(*s));
    s->number = number;
    s->core = core_id();
    s->options = *o;
    size_t bytes = strlen(o->data_directory) + 1;
    char *directory = core_malloc(bytes);
    memcpy(directory, o->data_directory, bytes);
    s->options.data_directory = directory;
    versions_init(&s->versions);
    s->part_mask = 255;
    s->part_buckets = core_zalloc((s->part_mask + 1u) * sizeof(struct part *));
    s->parts_id_min = UINT64_MAX;
    s->spill_at = o->version_bytes_max / 4 * 3;
    lock_table_init(&s->row_locks, LOCKS_OF_ROWS);
    settled_init(s);
    anchors_init(s);
    s->spaces = core_zalloc(FILE_TABLE_BUCKETS * sizeof(*s->spaces));
    s->btrees = core_zalloc(FILE_TABLE_BUCKETS * sizeof(*s->btrees));
    s->sequences = core_zalloc(FILE_TABLE_BUCKETS * sizeof(*s->sequences));
    return s;
}

SUSPENDS static void shard_free_wait(struct shard *s)
{
    while (s->parts_first != NULL) {
        struct part *p = s->parts_first;
        lock_release_all(&s->row_locks, &p->owner);
        while (p->newest != NULL)
            version_drop(&s->versions, p->newest);
        spill_discard(s, p);
        part_free(s, p);
    }
    serial_destroy(s);
    for (uint32_t b = 0; b < FINISHED_BUCKETS; b++) {
        while (s->finished[b] != NULL)
            finished_remove(s, s->finished[b]->id);
    }
    space_destroy(s);
    btrees_destroy(s);
    sequences_destroy(s);
    lock_table_destroy(&s->row_locks);
    settled_destroy(&s->settled);
    anchors_destroy(s);
    cut_free(s);
    spill_destroy(s);
    versions_destroy(&s->versions);
    if (s->pages != NULL)
        page_store_close_wait(s->pages);
    if (s->wal != NULL)
        wal_close_wait(s->wal);
    core_free(s->spaces);
    core_free(s->btrees);
    core_free(s->sequences);
    core_free(s->part_buckets);
    core_free((void *)(uintptr_t)s->options.data_directory);
    core_free(s);
}

/* ---- opening ---- */

static void log_failed(void *ctx, err_t err)
{
    (void)err;
    const struct shard *s = ctx;
    s->options.log_failed(s->number);
}

SUSPENDS static err_t open_files_wait(struct shard *s, char *path)
{
    char name[32];
    struct arena *mem = arena_new();
    (void)snprintf(name, sizeof(name), "shard-%04u/pages", s->number);
    err_t e = path_make(path, s->options.data_directory, name);
    struct page_store_options po = {
        .path = path, .pool_bytes = s->options.pool_bytes, .numa_node = -1};
    const uint8_t *state = NULL;
    size_t state_bytes = 0;
    if (e == ERR_OK)
        e = page_store_open_wait(&po, mem, &s->pages, &s->checkpoint_lsn, &state, &state_bytes);
    if (e == ERR_OK)
        e = checkpoint_state_read(s, state, state_bytes);
    arena_free(mem);
    TRY(e);
    TRY(spill_restore_wait(s));
    (void)snprintf(name, sizeof(name), "shard-%04u/wal", s->number);
    TRY(path_make(path, s->options.data_directory, name));
    struct wal_options wo = {.directory = path,
                             .buffer_bytes = s->options.wal_buffer_bytes,
                             .durable_word = settled_word(s->number)};
    TRY(wal_open_wait(&wo, &s->wal));
    if (s->options.log_failed != NULL)
        wal_set_on_failure(s->wal, log_failed, s);
    return ERR_OK;
}

struct core_open {
    struct core_call call;
    const struct shard_options *options;
};

SUSPENDS static err_t open_on_core(void *arg)
{
    const struct core_open *c = arg;
    snapshots_reset();
    outcomes_reset();
    char *path = core_malloc(PATH_BYTES_MAX);
    err_t e = ERR_OK;
    for (uint32_t i = core_id(); i < shard_count() && e == ERR_OK; i += core_count()) {
        struct shard *s = shard_new(c->options, i);
        placement_put_shard(i, s);
        e = open_files_wait(s, path);
    }
    core_free(path);
    return e;
}

SUSPENDS static err_t read_on_core(void *arg)
{
    (void)arg;
    for (uint32_t i = core_id(); i < shard_count(); i += core_count()) {
        struct shard *s = placement_shard(i);
        s->is_replaying = true;
        page_store_set_recovering(s->pages, true);
        TRY(cut_read_wait(s));
    }
    return ERR_OK;
}

/* When it is known where the logs end. */
SUSPENDS static err_t replay_on_core(void *arg)
{
    (void)arg;
    for (uint32_t i = core_id(); i < shard_count(); i += core_count()) {
        struct shard *s = placement_shard(i);
        TRY(wal_replay_end_wait(s->wal));
        s->is_replaying = false;
        s->checkpoint_at_us = core_now_us();
    }
    return ERR_OK;
}

/* Runs fn on every core at once. */
SUSPENDS static err_t on_all_cores_wait(core_fn fn, const struct shard_options *o)
{
    uint32_t n = core_count();
    struct core_open *calls = core_zalloc(n * sizeof(*calls));
    for (uint32_t i = 0; i < n; i++) {
        calls[i].options = o;
        core_call_start(&calls[i].call, i, fn, &calls[i]);
    }
    err_t e = ERR_OK;
    for (uint32_t i = 0; i < n; i++) {
        err_t one = core_call_join_wait(&calls[i].call);
        e = one != ERR_OK ? one : e;
    }
    core_free(calls);
    return e;
}

static err_t raise_counters_on_core(void *arg)
{
    (void)arg;
    for (uint32_t i = core_id(); i < shard_count(); i += core_count()) {
        const struct shard *s = placement_shard(i);
        shared_commit_raise(s->ts_max);
        /* Ids may have been given out without reaching a log. */
        shared_transaction_raise(s->txn_id_max + 1024);
    }
    return ERR_OK;
}

/* After settling: what never prepared is undone; nothing of many-shard commits is left to tell. */
SUSPENDS static err_t finish_on_core(void *arg)
{
    (void)arg;
    for (uint32_t i = core_id(); i < shard_count(); i += core_count()) {
        struct shard *s = placement_shard(i);
        struct part *p = s->parts_first;
        while (p != NULL) {
            struct part *next = p->next;
            ASSERT(p->state != PART_PREPARED);
            if (p->state == PART_ACTIVE && !p->is_held)
                TRY(part_rollback_wait(s, p->id));
            p = next;
        }
        TRY(wal_flush_wait(s->wal, wal_end(s->wal)));
    }
    return ERR_OK;
}

static err_t start_on_core(void *arg)
{
    (void)arg;
    for (uint32_t i = core_id(); i < shard_count(); i += core_count()) {
        struct shard *s = placement_shard(i);
        page_store_set_recovering(s->pages, false);
        for (uint32_t b = 0; b < FINISHED_BUCKETS; b++) {
            while (s->finished[b] != NULL)
                finished_remove(s, s->finished[b]->id);
        }
        TRY(shard_background_start(s));
    }
    return ERR_OK;
}

err_t shards_open_wait(const struct shard_options *o)
{
    uint32_t count;
    bool clean;
    int64_t created;
    TRY(control_read_wait(o, &count, &clean, &created));
    if (clean) {
        err_t e = control_write_wait(o, count, false, created);
        /* The mark is for messages only: a full disk is no reason not to start. */
        if (e != ERR_OK && e != ERR_DISK_FULL)
            return e;
    }
    placement_set(count);
    TRY(on_all_cores_wait(open_on_core, o));
    TRY(on_all_cores_wait(read_on_core, NULL));
    TRY(cut_logs_wait());
    TRY(on_all_cores_wait(replay_on_core, NULL));
    TRY(on_all_cores_wait(raise_counters_on_core, o));
    TRY(recovery_settle_wait());
    TRY(on_all_cores_wait(finish_on_core, o));
    TRY(on_all_cores_wait(held_restore_on_core, NULL));
    return on_all_cores_wait(start_on_core, o);
}

/* ---- checkpoint, close ---- */

SUSPENDS static err_t checkpoint_on_core(void *arg)
{
    (void)arg;
    for (uint32_t i = core_id(); i < shard_count(); i += core_count())
        TRY(shard_checkpoint_wait(placement_shard(i), 0));
    return ERR_OK;
}

err_t shards_checkpoint_wait(void)
{
    return on_all_cores_wait(checkpoint_on_core, NULL);
}

SUSPENDS static err_t drain_on_core(void *arg)
{
    (void)arg;
    /* What other cores still answer; a core that hangs does not hold up the rest for ever. */
    for (uint32_t i = 0; i < 5000 && outcomes_in_flight() > 0; i++)
        TRY(fiber_sleep_wait(1000));
    return ERR_OK;
}

SUSPENDS static err_t stop_on_core(void *arg)
{
    (void)arg;
    for (uint32_t i = core_id(); i < shard_count(); i += core_count()) {
        struct shard *s = placement_shard(i);
        if (s != NULL)
            shard_background_stop_wait(s);
    }
    return ERR_OK;
}

SUSPENDS static err_t free_on_core(void *arg)
{
    (void)arg;
    for (uint32_t i = core_id(); i < shard_count(); i += core_count()) {
        struct shard *s = placement_shard(i);
        if (s == NULL)
            continue;
        placement_put_shard(i, NULL);
        outcomes_drop(s);
        shard_free_wait(s);
    }
    held_drop_on_core();
    return ERR_OK;
}

err_t shards_close_wait(void)
{
    if (shard_count() == 0)
        return ERR_OK;
    const struct shard *any = placement_shard(shard_home_of_core(core_id()));
    struct shard_options o = {0};
    char *directory = NULL;
    if (any != NULL) {
        size_t bytes = strlen(any->options.data_directory) + 1;
        directory = core_malloc(bytes);
        memcpy(directory, any->options.data_directory, bytes);
        o.data_directory = directory;
    }
    err_t e = on_all_cores_wait(drain_on_core, NULL);
    if (e == ERR_OK)
        e = on_all_cores_wait(checkpoint_on_core, NULL);
    ERR_IGNORE(on_all_cores_wait(stop_on_core, NULL));
    ERR_IGNORE(on_all_cores_wait(free_on_core, NULL));
    uint32_t count;
    bool clean;
    int64_t created;
    if (e == ERR_OK && directory != NULL) {
        e = control_read_wait(&o, &count, &clean, &created);
        if (e == ERR_OK)
            e = control_write_wait(&o, count, true, created);
    }
    core_free(directory);
    return e;
}

void shards_abandon_wait(void)
{
    if (shard_count() == 0)
        return;
    ERR_IGNORE(on_all_cores_wait(stop_on_core, NULL));
    ERR_IGNORE(on_all_cores_wait(free_on_core, NULL));
}

/* ---- the log's state ---- */

lsn_t shard_log_end(struct shard *s)
{
    return wal_end(s->wal);
}
