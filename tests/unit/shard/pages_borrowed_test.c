/* A sleeping core's store and log used by another core: what needs no wait works, the rest is
 * refused. */
#include "../wal/storage_test.h"
#include "shard/pages_priv.h"

static struct {
    struct page_store *ps;
    struct wal *w;
    bool ready;
    int borrowed;
    int by_message;
    lsn_t lsn;
} shared;

enum { FILE_ID = 9, PAGES = 200, FRAMES = 32 };

SUSPENDS static err_t owner_start_wait(void *arg)
{
    (void)arg;
    static char wal_path[96];
    static char data_path[96];
    (void)snprintf(wal_path, sizeof(wal_path), "%s/wal", test_directory);
    (void)snprintf(data_path, sizeof(data_path), "%s/data", test_directory);
    struct wal_options wo = {.directory = wal_path, .buffer_bytes = 1 << 20};
    struct page_store_options po = {.path = data_path, .pool_bytes = FRAMES * PAGE_BYTES};
    TRY(wal_create_wait(&wo, &shared.w));
    TRY(page_store_create_wait(&po, &shared.ps));
    file_create(shared.ps, FILE_ID, FILE_HEAP);
    for (uint32_t i = 0; i < PAGES; i++) {
        struct page *p;
        TRY(page_pin_new_wait(shared.ps, FILE_ID, i, &p));
        store_u64(p->data + 64, i);
        page_unpin(p);
    }
    shared.ready = true;
    return ERR_OK;
}

SUSPENDS static err_t change_cached(void *arg)
{
    uint32_t no = (uint32_t)(uintptr_t)arg;
    struct page *p;
    TRY(page_pin_wait(shared.ps, FILE_ID, no, &p));
    err_t err = wal_reserve_wait(shared.w, 1, 8);
    if (err == ERR_OK) {
        struct wal_part part = {&no, sizeof(no)};
        shared.lsn = wal_append(shared.w, 1, &part, 1);
        store_u64(page_modify(p) + 72, no);
        page_set_lsn(p, shared.lsn);
        wal_flush_start(shared.w);
    }
    page_unpin(p);
    if (core_is_borrowed())
        shared.borrowed++;
    else
        shared.by_message++;
    return err;
}

SUSPENDS static err_t read_missing(void *arg)
{
    uint32_t no = (uint32_t)(uintptr_t)arg;
    struct page *p;
    err_t err = page_pin_wait(shared.ps, FILE_ID, no, &p);
    if (core_is_borrowed()) {
        CHECK(err == ERR_INTERNAL_WOULD_SUSPEND);
        CHECK(wal_flush_wait(shared.w, shared.lsn) == ERR_INTERNAL_WOULD_SUSPEND ||
              wal_durable(shared.w) >= shared.lsn);
        shared.borrowed++;
    } else {
        CHECK(err == ERR_OK && load_u64(p->data + 64) == no);
        shared.by_message++;
    }
    if (err == ERR_OK)
        page_unpin(p);
    return err;
}

SUSPENDS static err_t owner_end_wait(void *arg)
{
    (void)arg;
    TRY(wal_flush_wait(shared.w, shared.lsn));
    page_store_cut(shared.ps);
    TRY(page_store_write_cut_wait(shared.ps, shared.lsn, NULL, 0, 0));
    page_store_close_wait(shared.ps);
    wal_close_wait(shared.w);
    return ERR_OK;
}

SUSPENDS static void entry(void *arg)
{
    (void)arg;
    if (core_id() != 0)
        return;
    CHECK_OK(core_call_wait(1, owner_start_wait, NULL));
    for (int round = 0; round < 20 && shared.ready; round++) {
        CHECK_OK(fiber_sleep_wait(20000)); /* the other core falls asleep */
        uint32_t cached = PAGES - 1;
        CHECK_OK(core_call_short_wait(1, change_cached, (void *)(uintptr_t)cached));
        lsn_t lsn = shared.lsn;
        /* The flush that a borrower asked for comes about without anybody waiting for it. */
        for (int i = 0; i < 1000 && wal_durable(shared.w) < lsn; i++)
            CHECK_OK(fiber_sleep_wait(10000));
        CHECK(wal_durable(shared.w) >= lsn);
        uint32_t missing = (uint32_t)round * 5;
        CHECK_OK(core_call_short_wait(1, read_missing, (void *)(uintptr_t)missing));
    }
    CHECK(shared.borrowed > 0 && shared.by_message >= 20);
    CHECK_OK(core_call_wait(1, owner_end_wait, NULL));
    core_stop_all();
}

static void borrowed_store(void)
{
    (void)snprintf(test_directory, sizeof(test_directory), "/tmp/percore_test_XXXXXX");
    if (mkdtemp(test_directory) == NULL)
        abort();
    struct core_options options = {.core_count = 2};
    CHECK(core_run(&options, entry, NULL) == ERR_OK);
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", test_directory);
    CHECK(system(command) == 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST(borrowed_store)};
    (void)test_on_core;
    return test_main("pages_borrowed", cases, 1, argc, argv);
}
