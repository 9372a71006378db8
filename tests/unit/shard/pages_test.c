/* Page store: checkpoints, crashes, eviction, faults, files, map growth. */
#include "../wal/storage_test.h"
#include "shard/pages_priv.h"

static char store_path[96];

static struct page_store_options options_of(uint32_t frames)
{
    (void)snprintf(store_path, sizeof(store_path), "%s/data", test_directory);
    return (struct page_store_options){.path = store_path,
                                       .pool_bytes = (uint64_t)frames * PAGE_BYTES};
}

SUSPENDS static struct page_store *create_wait(uint32_t frames)
{
    struct page_store_options o = options_of(frames);
    struct page_store *ps = NULL;
    CHECK_OK(page_store_create_wait(&o, &ps));
    return ps;
}

static lsn_t opened_lsn;
static uint8_t opened_state[100000];
static size_t opened_state_bytes;

SUSPENDS static err_t open_wait(uint32_t frames, struct page_store **ps)
{
    struct page_store_options o = options_of(frames);
    struct arena *mem = arena_new();
    const uint8_t *state;
    *ps = NULL;
    err_t err = page_store_open_wait(&o, mem, ps, &opened_lsn, &state, &opened_state_bytes);
    if (err == ERR_OK && opened_state_bytes <= sizeof(opened_state))
        memcpy(opened_state, state, opened_state_bytes);
    arena_free(mem);
    return err;
}

static void fill(uint8_t *data, uint64_t value)
{
    uint64_t s = value;
    for (uint32_t at = PAGE_HEADER_BYTES; at < PAGE_BYTES; at += 8)
        store_u64(data + at, test_random(&s));
}

static bool is_filled(const uint8_t *data, uint64_t value)
{
    uint64_t s = value;
    for (uint32_t at = PAGE_HEADER_BYTES; at < PAGE_BYTES; at += 8) {
        if (load_u64(data + at) != test_random(&s))
            return false;
    }
    return true;
}

SUSPENDS static err_t put_wait(struct page_store *ps, file_id file, uint32_t page_no,
                               uint64_t value)
{
    struct page *p;
    if (page_no >= file_page_count(ps, file))
        TRY(page_pin_new_wait(ps, file, page_no, &p));
    else
        TRY(page_pin_wait(ps, file, page_no, &p));
    fill(page_modify(p), value);
    page_set_lsn(p, value);
    page_unpin(p);
    return ERR_OK;
}

SUSPENDS static bool has_wait(struct page_store *ps, file_id file, uint32_t page_no, uint64_t value)
{
    struct page *p;
    err_t err = page_pin_wait(ps, file, page_no, &p);
    if (err != ERR_OK) {
        fprintf(stderr, "page %u: %s\n", page_no, err_diag()->message);
        return false;
    }
    bool same = is_filled(p->data, value);
    page_unpin(p);
    return same;
}

SUSPENDS static err_t checkpoint_wait(struct page_store *ps, lsn_t lsn)
{
    page_store_cut(ps);
    return page_store_write_cut_wait(ps, lsn, NULL, 0, 0);
}

enum { F1 = 101, F2 = 102, F3 = 103 };

/* All blocks are accounted for: used = reachable from the live state and the durable checkpoint. */
static void check_blocks(struct page_store *ps)
{
    struct blocks *b = &ps->blocks;
    uint64_t used = 0;
    for (uint64_t i = 0; i < b->count; i++) {
        bool is_used = (b->used[i / 64] >> (i % 64) & 1) != 0;
        bool is_pending = ((b->pending0[i / 64] | b->pending1[i / 64]) >> (i % 64) & 1) != 0;
        used += is_used && !is_pending;
        CHECK(is_used || !is_pending);
    }
    CHECK(b->count - b->free_count >= used);
    uint64_t reachable = SUPER_BLOCKS + ps->state_entry_count;
    for (uint32_t i = 0; i <= ps->slot_count; i++) {
        const struct page_file *f = i < ps->slot_count ? ps->slots[i] : &ps->directory;
        for (int level = 0; f != NULL && level < MAP_LEVELS; level++) {
            for (uint32_t k = 0; k < f->levels[level].capacity; k++) {
                const struct map_node *n = f->levels[level].nodes[k];
                if (n == NULL)
                    continue;
                reachable += n->entry != 0;
                for (uint32_t e = 0; e < n->capacity; e++)
                    reachable += n->entries[e] != 0;
            }
        }
    }
    CHECK(used >= reachable && used <= reachable + ps->ops_in_flight * WRITE_PAGES_MAX);
}

ON_CORE(create_open_empty)
{
    struct page_store *ps = create_wait(32);
    file_id id;
    enum file_kind kind;
    uint32_t pages;
    uint64_t cursor = 0;
    CHECK(!file_next(ps, &cursor, &id, &kind, &pages));
    CHECK(!file_exists(ps, F1, NULL) && file_page_count(ps, F1) == 0);
    struct page *p;
    CHECK_ERR(page_pin_wait(ps, F1, 0, &p), ERR_DATA_CORRUPTED);
    page_store_close_wait(ps);
    struct page_store_options o = options_of(32);
    CHECK_ERR(page_store_create_wait(&o, &ps), ERR_DUPLICATE_FILE);
    CHECK_OK(open_wait(32, &ps));
    CHECK(opened_lsn == 0 && opened_state_bytes == 0);
    page_store_close_wait(ps);
    CHECK(unlink(store_path) == 0);
    CHECK_ERR(open_wait(32, &ps), ERR_UNDEFINED_FILE);
}

ON_CORE(pages_survive_checkpoint_only)
{
    struct page_store *ps = create_wait(64);
    file_create(ps, F1, FILE_HEAP);
    file_create(ps, F2, FILE_BTREE);
    for (uint32_t i = 0; i < 20; i++)
        CHECK_OK(put_wait(ps, F1, i, 1000 + i));
    CHECK_OK(put_wait(ps, F2, 7, 77)); /* pages 0 to 6 are zeroed */
    uint8_t *state = core_malloc(50000);
    for (int i = 0; i < 50000; i++)
        state[i] = (uint8_t)(i * 7 + i / 256);
    page_store_cut(ps);
    CHECK_OK(page_store_write_cut_wait(ps, 4711, state, 50000, 0));
    check_blocks(ps);
    for (uint32_t i = 0; i < 30; i++) /* not in the checkpoint */
        CHECK_OK(put_wait(ps, F1, i, 2000 + i));
    file_create(ps, F3, FILE_SEQUENCE);
    file_drop(ps, F2);
    CHECK(file_page_count(ps, F1) == 30 && !file_exists(ps, F2, NULL));
    page_store_close_wait(ps);

    CHECK_OK(open_wait(64, &ps));
    CHECK(opened_lsn == 4711 && opened_state_bytes == 50000);
    CHECK(memcmp(opened_state, state, 50000) == 0);
    core_free(state);
    enum file_kind kind;
    CHECK(file_exists(ps, F2, &kind) && kind == FILE_BTREE && !file_exists(ps, F3, NULL));
    CHECK(file_page_count(ps, F1) == 20 && file_page_count(ps, F2) == 8);
    for (uint32_t i = 0; i < 20; i++)
        CHECK(has_wait(ps, F1, i, 1000 + i));
    CHECK(has_wait(ps, F2, 7, 77));
    struct page *p;
    CHECK_OK(page_pin_wait(ps, F2, 3, &p));
    struct page_header h;
    memcpy(&h, p->data, sizeof(h));
    CHECK(h.file == F2 && h.page_no == 3 && h.kind == FILE_BTREE && h.lsn == 0);
    CHECK(load_u64(p->data + 4096) == 0);
    page_unpin(p);
    CHECK_ERR(page_pin_wait(ps, F1, 20, &p), ERR_DATA_CORRUPTED);
    page_store_close_wait(ps);
}

/* Random changes of more data than the pool holds, with cuts in between; a close is a crash. */
ON_CORE(random_changes_and_crashes)
{
    enum { PAGES = 1500, FILES = 3, ROUNDS = 12 };
    static uint64_t live[FILES][PAGES];
    static uint64_t durable[FILES][PAGES];
    memset(live, 0, sizeof(live));
    uint64_t seed = 42;
    struct page_store *ps = create_wait(200);
    for (uint32_t f = 0; f < FILES; f++)
        file_create(ps, F1 + f, FILE_HEAP);
    CHECK_OK(checkpoint_wait(ps, 1));
    memset(durable, 0, sizeof(durable));
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < 2000; k++) {
            uint32_t f = (uint32_t)(test_random(&seed) % FILES);
            uint32_t pages = file_page_count(ps, F1 + f);
            uint32_t no = (uint32_t)(test_random(&seed) % MIN(pages + 3, (uint32_t)PAGES));
            uint64_t value = test_random(&seed) | 1;
            CHECK_OK(put_wait(ps, F1 + f, no, value));
            live[f][no] = value;
        }
        if (round % 3 != 2) {
            CHECK_OK(checkpoint_wait(ps, (lsn_t)round + 2));
            memcpy(durable, live, sizeof(live));
            check_blocks(ps);
        } else {
            struct page_store_stats st;
            page_store_stats_read(ps, &st);
            CHECK(st.evictions > 1000 && st.dirty_evictions > 100 && st.reads > 1000);
            CHECK(st.blocks < 3 * FILES * PAGES + 2000);
            page_store_close_wait(ps);
            CHECK_OK(open_wait(200, &ps));
            if (ps == NULL)
                return;
            CHECK(opened_lsn == (lsn_t)round - 1 + 2);
            check_blocks(ps);
            memcpy(live, durable, sizeof(live));
        }
        int wrong = 0;
        for (uint32_t f = 0; f < FILES; f++) {
            for (uint32_t no = 0; no < file_page_count(ps, F1 + f); no++)
                wrong += live[f][no] != 0 && !has_wait(ps, F1 + f, no, live[f][no]);
        }
        CHECK(wrong == 0);
    }
    page_store_close_wait(ps);
}

/* ---- changes while a checkpoint is written ---- */

static struct {
    struct page_store *ps;
    bool stop;
    bool ended;
    bool failed;
    uint64_t values[600];
    struct wait_queue done;
} writer;

SUSPENDS static void writer_main(void *arg)
{
    (void)arg;
    uint64_t seed = 7;
    while (!writer.stop) {
        uint32_t no = (uint32_t)(test_random(&seed) % 600);
        uint64_t value = test_random(&seed) | 1;
        if (put_wait(writer.ps, F1, no, value) != ERR_OK)
            writer.failed = true;
        writer.values[no] = value;
        if (test_random(&seed) % 4 == 0)
            fiber_yield_wait();
    }
    writer.ended = true;
    wait_queue_wake_all(&writer.done);
}

ON_CORE(changes_during_checkpoint_keep_the_frozen_image)
{
    memset(&writer, 0, sizeof(writer));
    writer.ps = create_wait(300); /* fewer frames than pages: evictions too */
    file_create(writer.ps, F1, FILE_HEAP);
    for (uint32_t i = 0; i < 600; i++) {
        writer.values[i] = i + 1;
        CHECK_OK(put_wait(writer.ps, F1, i, i + 1));
    }
    CHECK_OK(fiber_spawn(writer_main, NULL));
    static uint64_t frozen[600];
    /* How many pages a cut meets again depends on the disk: on until there were some. */
    struct page_store_stats st = {0};
    for (int round = 0; round < 10 || (st.clones <= 10 && round < 500); round++) {
        for (int k = 0; k < 20; k++)
            fiber_yield_wait();
        page_store_cut(writer.ps);
        memcpy(frozen, writer.values, sizeof(frozen));
        CHECK_OK(page_store_write_cut_wait(writer.ps, (lsn_t)round, NULL, 0,
                                           round % 2 == 0 ? 0 : 20000));
        check_blocks(writer.ps);
        page_store_stats_read(writer.ps, &st);
    }
    writer.stop = true;
    while (!writer.ended)
        wait_queue_shielded_wait(&writer.done);
    CHECK(!writer.failed);
    CHECK(st.clones > 10);
    for (uint32_t i = 0; i < 600; i++)
        CHECK(has_wait(writer.ps, F1, i, writer.values[i]));
    page_store_close_wait(writer.ps);
    struct page_store *ps;
    CHECK_OK(open_wait(300, &ps));
    for (uint32_t i = 0; i < 600; i++)
        CHECK(has_wait(ps, F1, i, frozen[i]));
    page_store_close_wait(ps);
}

/* A cut in whose writing a file is dropped, another made and a third extended is as it was at the
 * cut. */
ON_CORE(file_changes_during_checkpoint)
{
    struct page_store *ps = create_wait(64);
    file_create(ps, F1, FILE_HEAP);
    file_create(ps, F2, FILE_HEAP);
    for (uint32_t i = 0; i < 30; i++) {
        CHECK_OK(put_wait(ps, F1, i, 100 + i));
        CHECK_OK(put_wait(ps, F2, i, 200 + i));
    }
    page_store_cut(ps);
    CHECK_OK(put_wait(ps, F1, 3, 999)); /* a clone whose frame goes away */
    file_drop(ps, F1);
    CHECK(!file_exists(ps, F1, NULL));
    file_create(ps, F1, FILE_BTREE); /* the same name again */
    CHECK_OK(put_wait(ps, F1, 0, 555));
    file_create(ps, F3, FILE_HEAP);
    CHECK_OK(put_wait(ps, F3, 0, 666));
    CHECK_OK(put_wait(ps, F2, 40, 777));
    CHECK_OK(page_store_write_cut_wait(ps, 5, NULL, 0, 0));
    CHECK(has_wait(ps, F1, 0, 555) && has_wait(ps, F3, 0, 666) && has_wait(ps, F2, 40, 777));
    page_store_close_wait(ps);
    CHECK_OK(open_wait(64, &ps));
    enum file_kind kind;
    CHECK(file_exists(ps, F1, &kind) && kind == FILE_HEAP && file_page_count(ps, F1) == 30);
    CHECK(!file_exists(ps, F3, NULL) && file_page_count(ps, F2) == 30);
    for (uint32_t i = 0; i < 30; i++)
        CHECK(has_wait(ps, F1, i, 100 + i) && has_wait(ps, F2, i, 200 + i));
    file_drop(ps, F1);
    CHECK_OK(put_wait(ps, F2, 30, 230));
    CHECK_OK(checkpoint_wait(ps, 6));
    for (int i = 0; i < 20; i++)
        fiber_yield_wait(); /* the cleaner gives back blocks */
    CHECK_OK(checkpoint_wait(ps, 7));
    check_blocks(ps);
    struct page_store_stats st;
    page_store_stats_read(ps, &st);
    CHECK(st.blocks - st.blocks_free == 2 + 31 + 1 + 2); /* pages, leaf, directory and its map */
    page_store_close_wait(ps);
    CHECK_OK(open_wait(64, &ps));
    CHECK(!file_exists(ps, F1, NULL) && file_page_count(ps, F2) == 31);
    uint64_t cursor = 0;
    file_id id;
    uint32_t pages;
    CHECK(file_next(ps, &cursor, &id, &kind, &pages) && id == F2 && pages == 31);
    CHECK(!file_next(ps, &cursor, &id, &kind, &pages));
    page_store_close_wait(ps);
}

ON_CORE(map_of_three_levels)
{
    static const uint32_t at[] = {0,       1019,    1020,       1021,          1020 * 1020 - 1,
                                  1040400, 1040401, 3000000000, PAGE_NONE - 1, 5};
    struct page_store *ps = create_wait(32);
    file_create(ps, F1, FILE_HEAP);
    for (uint32_t n = 0; n < ARRAY_LEN(at); n++) {
        CHECK_OK(put_wait(ps, F1, at[n], at[n] + 1000));
        CHECK_OK(checkpoint_wait(ps, n));
        check_blocks(ps);
        page_store_close_wait(ps);
        CHECK_OK(open_wait(32, &ps));
        if (ps == NULL)
            return;
        check_blocks(ps);
        for (uint32_t k = 0; k <= n; k++)
            CHECK(has_wait(ps, F1, at[k], at[k] + 1000));
    }
    struct page *p;
    CHECK_ERR(page_pin_new_wait(ps, F1, PAGE_NONE, &p), ERR_PROGRAM_LIMIT_EXCEEDED);
    page_store_close_wait(ps);
}

ON_CORE(many_files)
{
    struct page_store *ps = create_wait(64);
    for (uint32_t i = 0; i < 1000; i++) {
        file_create(ps, (file_id)i << 32 | 5, FILE_HEAP);
        CHECK_OK(put_wait(ps, (file_id)i << 32 | 5, 0, i));
    }
    CHECK_OK(checkpoint_wait(ps, 1));
    for (uint32_t i = 0; i < 1000; i += 2)
        file_drop(ps, (file_id)i << 32 | 5);
    CHECK_OK(checkpoint_wait(ps, 2));
    uint64_t pages_before = ps->stats.checkpoint_pages;
    uint64_t free_before = ps->blocks.free_count;
    CHECK_OK(checkpoint_wait(ps, 3)); /* nothing changed: writes nothing but the superblock */
    CHECK(ps->stats.checkpoint_pages == pages_before && ps->blocks.free_count >= free_before);
    page_store_close_wait(ps);
    CHECK_OK(open_wait(64, &ps));
    check_blocks(ps);
    uint64_t cursor = 0;
    file_id id;
    enum file_kind kind;
    uint32_t pages;
    uint32_t n = 0;
    while (file_next(ps, &cursor, &id, &kind, &pages)) {
        CHECK((id >> 32) % 2 == 1 && pages == 1 && has_wait(ps, id, 0, id >> 32));
        n++;
    }
    CHECK(n == 500);
    page_store_close_wait(ps);
}

/* ---- the pool ---- */

ON_CORE(all_frames_pinned)
{
    struct page_store *ps = create_wait(16);
    file_create(ps, F1, FILE_HEAP);
    struct page *pins[16];
    for (uint32_t i = 0; i < 16; i++)
        CHECK_OK(page_pin_new_wait(ps, F1, i, &pins[i]));
    struct page *p;
    CHECK_ERR(page_pin_new_wait(ps, F1, 16, &p), ERR_OUT_OF_MEMORY);
    CHECK(file_page_count(ps, F1) == 16);
    CHECK_ERR(page_reserve_wait(ps, 1), ERR_OUT_OF_MEMORY);
    CHECK(page_pin_cached(ps, F1, 3) == pins[3]);
    page_unpin(pins[3]);
    page_unpin(pins[5]);
    CHECK_OK(page_pin_new_wait(ps, F1, 16, &p));
    page_unpin(p);
    for (uint32_t i = 0; i < 16; i++) {
        if (i != 5)
            page_unpin(pins[i]);
    }
    for (uint32_t i = 0; i < 17; i++) {
        CHECK_OK(page_pin_wait(ps, F1, i, &p));
        page_unpin(p);
    }
    page_store_close_wait(ps);
}

ON_CORE(reserved_pages)
{
    struct page_store *ps = create_wait(32);
    file_create(ps, F1, FILE_BTREE);
    for (uint32_t i = 0; i < 100; i++)
        CHECK_OK(put_wait(ps, F1, i, i));
    CHECK_OK(page_reserve_wait(ps, 3));
    CHECK_OK(page_reserve_wait(ps, 4));
    nosuspend_begin();
    struct page *a = page_new_reserved(ps, F1);
    struct page *b = page_new_reserved(ps, F1);
    fill(page_modify(a), 100);
    fill(page_modify(b), 101);
    nosuspend_end();
    page_reserve_end(ps);
    page_reserve_end(ps); /* harmless */
    page_unpin(a);
    page_unpin(b);
    CHECK(file_page_count(ps, F1) == 102 && ps->reservations == NULL);
    for (uint32_t i = 0; i < 102; i++)
        CHECK(has_wait(ps, F1, i, i));
    page_store_close_wait(ps);
}

static struct {
    struct page_store *ps;
    int running;
    int right;
    struct wait_queue done;
} readers;

SUSPENDS static void reader_main(void *arg)
{
    uint32_t first = (uint32_t)(uintptr_t)arg;
    for (uint32_t i = 0; i < 50; i++)
        readers.right += has_wait(readers.ps, F1, (first / 4 + i) % 400, (first / 4 + i) % 400);
    readers.running--;
    wait_queue_wake_all(&readers.done);
}

ON_CORE(many_readers_of_the_same_pages)
{
    memset(&readers, 0, sizeof(readers));
    readers.ps = create_wait(128);
    file_create(readers.ps, F1, FILE_HEAP);
    for (uint32_t i = 0; i < 400; i++)
        CHECK_OK(put_wait(readers.ps, F1, i, i));
    CHECK_OK(checkpoint_wait(readers.ps, 1));
    page_store_close_wait(readers.ps);
    CHECK_OK(open_wait(128, &readers.ps));
    for (uint32_t i = 0; i < 40; i++) {
        CHECK_OK(fiber_spawn(reader_main, (void *)(uintptr_t)i));
        readers.running++;
    }
    while (readers.running > 0)
        wait_queue_shielded_wait(&readers.done);
    CHECK(readers.right == 40 * 50);
    CHECK(readers.ps->stats.reads < 200); /* 60 pages, one read each */
    page_read_ahead(readers.ps, F1, 300, 16);
    CHECK(has_wait(readers.ps, F1, 310, 310));
    uint64_t reads = readers.ps->stats.reads;
    for (uint32_t i = 300; i < 316; i++)
        CHECK(has_wait(readers.ps, F1, i, i));
    CHECK(readers.ps->stats.reads == reads);
    page_store_close_wait(readers.ps);
}

ON_CORE(scan_leaves_hot_pages)
{
    struct page_store *ps = create_wait(128);
    file_create(ps, F1, FILE_HEAP);
    file_create(ps, F2, FILE_HEAP);
    for (uint32_t i = 0; i < 2000; i++)
        CHECK_OK(put_wait(ps, F1, i, i));
    for (uint32_t i = 0; i < 40; i++)
        CHECK_OK(put_wait(ps, F2, i, i));
    CHECK_OK(checkpoint_wait(ps, 1));
    for (int k = 0; k < 3; k++) {
        for (uint32_t i = 0; i < 40; i++)
            CHECK(has_wait(ps, F2, i, i));
    }
    for (uint32_t i = 0; i < 2000; i++) {
        struct page *p;
        CHECK_OK(page_pin_use_wait(ps, F1, i, PAGE_USE_SCAN, &p));
        CHECK(is_filled(p->data, i));
        page_unpin(p);
    }
    uint32_t still = 0;
    for (uint32_t i = 0; i < 40; i++) {
        struct page *p = page_pin_cached(ps, F2, i);
        still += p != NULL;
        if (p != NULL)
            page_unpin(p);
    }
    CHECK(still >= 36);
    page_store_close_wait(ps);
}

/* ---- faults ---- */

static struct {
    enum fault_op op;
    err_t err;
    uint32_t after; /* operations of that kind that still work */
    uint32_t hits;
} fault;

static err_t fault_hook(void *ctx, enum fault_op op, uint64_t block)
{
    (void)ctx;
    (void)block;
    if (fault.err == ERR_OK || op != fault.op)
        return ERR_OK;
    if (fault.after > 0) {
        fault.after--;
        return ERR_OK;
    }
    fault.hits++;
    return fault.err;
}

static void fault_set(struct page_store *ps, enum fault_op op, err_t err, uint32_t after)
{
    ps->fault = fault_hook;
    fault.op = op;
    fault.err = err;
    fault.after = after;
    fault.hits = 0;
}

ON_CORE(disk_full_loses_nothing)
{
    struct page_store *ps = create_wait(64);
    file_create(ps, F1, FILE_HEAP);
    uint32_t made = 0;
    for (; made < 300; made++)
        CHECK_OK(put_wait(ps, F1, made, 10 + made));
    CHECK_OK(checkpoint_wait(ps, 1));
    fault_set(ps, FAULT_GROW, ERR_DISK_FULL, 0);
    err_t err = ERR_OK;
    while (made < 5000 && (err = put_wait(ps, F1, made, 10 + made)) == ERR_OK)
        made++;
    CHECK(err == ERR_DISK_FULL && made > 300 && fault.hits > 0);
    for (uint32_t i = 0; i < made; i += 7) /* reading evicts clean pages only */
        (void)has_wait(ps, F1, i, 10 + i);
    err_t full = checkpoint_wait(ps, 2);
    CHECK(full == ERR_OK || full == ERR_DISK_FULL);
    fault.err = ERR_OK; /* space is back */
    CHECK_OK(put_wait(ps, F1, made, 10 + made));
    for (uint32_t i = 0; i <= made; i++)
        CHECK(has_wait(ps, F1, i, 10 + i));
    CHECK_OK(checkpoint_wait(ps, 3));
    check_blocks(ps);
    page_store_close_wait(ps);
    CHECK_OK(open_wait(64, &ps));
    CHECK(opened_lsn == 3);
    for (uint32_t i = 0; i <= made; i++)
        CHECK(has_wait(ps, F1, i, 10 + i));
    page_store_close_wait(ps);
}

/* A checkpoint that fails at its n-th write, for every n, leaves the old one; the next succeeds. */
ON_CORE(checkpoint_fails_at_any_write)
{
    enum { PAGES = 60 };
    uint64_t value = 1;
    struct page_store *ps = create_wait(128);
    file_create(ps, F1, FILE_HEAP);
    for (uint32_t i = 0; i < PAGES; i++)
        CHECK_OK(put_wait(ps, F1, i, i));
    CHECK_OK(checkpoint_wait(ps, 1));
    static uint64_t durable[PAGES];
    static uint64_t live[PAGES];
    for (uint32_t i = 0; i < PAGES; i++)
        durable[i] = live[i] = i;
    lsn_t lsn = 1;
    bool failed = true;
    for (uint32_t n = 0; failed; n++) {
        for (uint32_t i = 0; i < PAGES; i += 2) {
            live[i] = 1000 * ++value;
            CHECK_OK(put_wait(ps, F1, i, live[i]));
        }
        fault_set(ps, FAULT_WRITE, ERR_IO_ERROR, n);
        page_store_cut(ps);
        static uint64_t at_cut[PAGES];
        memcpy(at_cut, live, sizeof(live));
        for (uint32_t i = 0; i < PAGES; i += 5) { /* clones */
            live[i] = 1000 * ++value;
            CHECK_OK(put_wait(ps, F1, i, live[i]));
        }
        err_t err = page_store_write_cut_wait(ps, lsn + 1, NULL, 0, 0);
        failed = err != ERR_OK;
        CHECK(err == ERR_OK || err == ERR_IO_ERROR);
        fault.err = ERR_OK;
        check_blocks(ps);
        if (!failed) {
            lsn++;
            memcpy(durable, at_cut, sizeof(durable));
        } else if (n % 2 == 0) { /* goes on and makes the next checkpoint */
            CHECK_OK(checkpoint_wait(ps, ++lsn));
            memcpy(durable, live, sizeof(live));
            check_blocks(ps);
            continue;
        }
        for (uint32_t i = 0; i < PAGES; i++)
            CHECK(has_wait(ps, F1, i, live[i]));
        page_store_close_wait(ps); /* a crash after the failure */
        CHECK_OK(open_wait(128, &ps));
        if (ps == NULL)
            return;
        CHECK(opened_lsn == lsn);
        check_blocks(ps);
        for (uint32_t i = 0; i < PAGES; i++)
            CHECK(has_wait(ps, F1, i, durable[i]));
        memcpy(live, durable, sizeof(live));
        CHECK(n < 100);
    }
    page_store_close_wait(ps);
}

ON_CORE(failed_sync_is_final)
{
    struct page_store *ps = create_wait(32);
    file_create(ps, F1, FILE_HEAP);
    CHECK_OK(put_wait(ps, F1, 0, 1));
    CHECK_OK(checkpoint_wait(ps, 1));
    CHECK_OK(put_wait(ps, F1, 0, 2));
    fault_set(ps, FAULT_SYNC, ERR_IO_ERROR, 0);
    CHECK_ERR(checkpoint_wait(ps, 2), ERR_IO_ERROR);
    fault.err = ERR_OK;
    CHECK_ERR(checkpoint_wait(ps, 3), ERR_IO_ERROR);
    page_store_close_wait(ps);
    CHECK_OK(open_wait(32, &ps));
    CHECK(opened_lsn == 1 && has_wait(ps, F1, 0, 1));
    page_store_close_wait(ps);
}

ON_CORE(eviction_write_error)
{
    struct page_store *ps = create_wait(32);
    file_create(ps, F1, FILE_HEAP);
    for (uint32_t i = 0; i < 20; i++)
        CHECK_OK(put_wait(ps, F1, i, i));
    fault_set(ps, FAULT_WRITE, ERR_IO_ERROR, 0);
    err_t err = ERR_OK;
    uint32_t made = 20;
    while (made < 200 && (err = put_wait(ps, F1, made, made)) == ERR_OK)
        made++;
    CHECK(err == ERR_IO_ERROR && made < 60);
    fault.err = ERR_OK;
    for (; made < 100; made++)
        CHECK_OK(put_wait(ps, F1, made, made));
    for (uint32_t i = 0; i < made; i++)
        CHECK(has_wait(ps, F1, i, i));
    check_blocks(ps);
    page_store_close_wait(ps);
}

ON_CORE(read_errors_and_damage)
{
    struct page_store *ps = create_wait(32);
    file_create(ps, F1, FILE_HEAP);
    for (uint32_t i = 0; i < 100; i++)
        CHECK_OK(put_wait(ps, F1, i, i));
    CHECK_OK(checkpoint_wait(ps, 1));
    page_store_close_wait(ps);
    CHECK_OK(open_wait(32, &ps));
    struct page *p;
    fault_set(ps, FAULT_READ, ERR_IO_ERROR, 0);
    CHECK_ERR(page_pin_wait(ps, F1, 50, &p), ERR_IO_ERROR);
    CHECK(strstr(err_diag()->message, "block 50 of file 0/101") != NULL);
    fault.err = ERR_OK;
    CHECK(has_wait(ps, F1, 50, 50));
    uint64_t block = entry_block(map_get(file_find(ps, F1), 60));
    uint64_t other = entry_block(map_get(file_find(ps, F1), 61));
    uint8_t byte;
    test_file_read(store_path, &byte, 1, block * PAGE_BYTES + 5000);
    byte ^= 1;
    test_file_write(store_path, &byte, 1, block * PAGE_BYTES + 5000);
    CHECK_ERR(page_pin_wait(ps, F1, 60, &p), ERR_DATA_CORRUPTED);
    CHECK(strstr(err_diag()->message, "invalid page in block 60 of file 0/101") != NULL);
    byte ^= 1;
    test_file_write(store_path, &byte, 1, block * PAGE_BYTES + 5000);
    CHECK(has_wait(ps, F1, 60, 60));
    /* A valid page in the wrong place. */
    static uint8_t image[PAGE_BYTES];
    test_file_read(store_path, image, PAGE_BYTES, block * PAGE_BYTES);
    test_file_write(store_path, image, PAGE_BYTES, other * PAGE_BYTES);
    CHECK_ERR(page_pin_wait(ps, F1, 61, &p), ERR_DATA_CORRUPTED);
    page_store_close_wait(ps);
}

/* A page's old block may not be overwritten before the checkpoint without it is durable. */
ON_CORE(old_blocks_stay_until_durable)
{
    struct page_store *ps = create_wait(32);
    file_create(ps, F1, FILE_HEAP);
    for (uint32_t i = 0; i < 200; i++)
        CHECK_OK(put_wait(ps, F1, i, i));
    CHECK_OK(checkpoint_wait(ps, 1));
    static uint8_t before[200][PAGE_BYTES];
    static uint64_t blocks[200];
    for (uint32_t i = 0; i < 200; i++) {
        blocks[i] = entry_block(map_get(file_find(ps, F1), i));
        test_file_read(store_path, before[i], PAGE_BYTES, blocks[i] * PAGE_BYTES);
    }
    for (uint32_t k = 0; k < 4000; k++)
        CHECK_OK(put_wait(ps, F1, k % 200, 1000 + k));
    uint64_t many = ps->blocks.count;
    fault_set(ps, FAULT_WRITE, ERR_IO_ERROR, 2);
    CHECK_ERR(checkpoint_wait(ps, 2), ERR_IO_ERROR);
    fault.err = ERR_OK;
    for (uint32_t k = 0; k < 4000; k++)
        CHECK_OK(put_wait(ps, F1, k % 200, 5000 + k));
    static uint8_t now[PAGE_BYTES];
    int changed = 0;
    for (uint32_t i = 0; i < 200; i++) {
        test_file_read(store_path, now, PAGE_BYTES, blocks[i] * PAGE_BYTES);
        changed += memcmp(now, before[i], PAGE_BYTES) != 0;
    }
    CHECK(changed == 0);
    CHECK(many < 3000); /* superseded blocks of no checkpoint are reused at once */
    CHECK_OK(checkpoint_wait(ps, 3));
    check_blocks(ps);
    page_store_close_wait(ps);
}

ON_CORE(damaged_superblocks)
{
    static uint8_t junk[SUPER_BYTES];
    memset(junk, 0x5a, sizeof(junk));
    struct page_store *ps = create_wait(64);
    file_create(ps, F1, FILE_HEAP);
    CHECK_OK(put_wait(ps, F1, 0, 10));
    CHECK_OK(checkpoint_wait(ps, 10));
    CHECK_OK(put_wait(ps, F1, 0, 20));
    CHECK_OK(checkpoint_wait(ps, 20));
    uint64_t slot = ps->super_slot;
    page_store_close_wait(ps);
    test_file_write(store_path, junk, SUPER_BYTES, slot * PAGE_BYTES); /* one sector: no harm */
    CHECK_OK(open_wait(64, &ps));
    CHECK(opened_lsn == 20 && has_wait(ps, F1, 0, 20));
    page_store_close_wait(ps);
    test_file_write(store_path, junk, SUPER_BYTES, slot * PAGE_BYTES + SUPER_BYTES);
    CHECK_OK(open_wait(64, &ps)); /* opening has written the first one again */
    CHECK(opened_lsn == 20 && has_wait(ps, F1, 0, 20));
    page_store_close_wait(ps);
    for (uint64_t at = 0; at < PAGE_BYTES; at += SUPER_BYTES)
        test_file_write(store_path, junk, SUPER_BYTES, slot * PAGE_BYTES + at);
    CHECK_OK(open_wait(64, &ps)); /* as after a torn write of the superblock */
    CHECK(opened_lsn == 10 && has_wait(ps, F1, 0, 10));
    CHECK_OK(put_wait(ps, F1, 0, 30));
    CHECK_OK(checkpoint_wait(ps, 30));
    page_store_close_wait(ps);
    CHECK_OK(open_wait(64, &ps));
    CHECK(opened_lsn == 30 && has_wait(ps, F1, 0, 30));
    page_store_close_wait(ps);
    for (uint64_t at = 0; at < 2 * PAGE_BYTES; at += SUPER_BYTES)
        test_file_write(store_path, junk, SUPER_BYTES, at);
    CHECK_ERR(open_wait(64, &ps), ERR_DATA_CORRUPTED);
}

ON_CORE(abandoned_cut)
{
    struct page_store *ps = create_wait(32);
    file_create(ps, F1, FILE_HEAP);
    for (uint32_t i = 0; i < 100; i++)
        CHECK_OK(put_wait(ps, F1, i, i));
    page_store_cut(ps);
    for (uint32_t i = 0; i < 100; i += 2)
        CHECK_OK(put_wait(ps, F1, i, i + 500));
    page_store_cut_abandon(ps);
    CHECK_OK(checkpoint_wait(ps, 9));
    check_blocks(ps);
    page_store_close_wait(ps);
    CHECK_OK(open_wait(32, &ps));
    for (uint32_t i = 0; i < 100; i++)
        CHECK(has_wait(ps, F1, i, i % 2 == 0 ? i + 500 : i));
    page_store_close_wait(ps);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        CORE_TEST(create_open_empty),
        CORE_TEST(pages_survive_checkpoint_only),
        CORE_TEST(random_changes_and_crashes),
        CORE_TEST(changes_during_checkpoint_keep_the_frozen_image),
        CORE_TEST(file_changes_during_checkpoint),
        CORE_TEST(map_of_three_levels),
        CORE_TEST(many_files),
        CORE_TEST(all_frames_pinned),
        CORE_TEST(reserved_pages),
        CORE_TEST(many_readers_of_the_same_pages),
        CORE_TEST(scan_leaves_hot_pages),
        CORE_TEST(disk_full_loses_nothing),
        CORE_TEST(checkpoint_fails_at_any_write),
        CORE_TEST(failed_sync_is_final),
        CORE_TEST(eviction_write_error),
        CORE_TEST(read_errors_and_damage),
        CORE_TEST(old_blocks_stay_until_durable),
        CORE_TEST(damaged_superblocks),
        CORE_TEST(abandoned_cut),
    };
    return test_main("pages", cases, ARRAY_LEN(cases), argc, argv);
}
