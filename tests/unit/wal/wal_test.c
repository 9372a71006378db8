/* The log: round trips, torn tails, damage, recycling, group commit, back-pressure, failure. */
#include "storage_test.h"
#include "wal/wal_priv.h"

static struct wal_options options_small(void)
{
    return (struct wal_options){.directory = test_directory, .buffer_bytes = 1 << 20};
}

/* Record i of a test log has a length and bytes that follow from i. */
static uint32_t record_len(uint64_t i)
{
    uint64_t s = i * 77 + 5;
    uint64_t r = test_random(&s);
    if (i % 50 == 49)
        return WAL_RECORD_BYTES_MAX - (uint32_t)(r % 3);
    return (uint32_t)(r % 300);
}
static void record_fill(uint64_t i, uint8_t *out, uint32_t len)
{
    for (uint32_t k = 0; k < len; k++)
        out[k] = (uint8_t)(i * 31 + k * 7 + (k >> 8));
}

static uint8_t scratch[WAL_RECORD_BYTES_MAX];
static uint8_t scratch2[WAL_RECORD_BYTES_MAX];

SUSPENDS static lsn_t append_wait(struct wal *w, uint64_t i)
{
    uint32_t len = record_len(i);
    record_fill(i, scratch, len);
    CHECK_OK(wal_reserve_wait(w, 1, len));
    struct wal_part parts[2] = {{scratch, len / 3}, {scratch + len / 3, len - len / 3}};
    return wal_append(w, (uint8_t)(i % 200 + 1), parts, 2);
}

struct expect {
    uint64_t next; /* number of the record expected */
    uint64_t wrong;
    lsn_t last;
    bool sleepy;
};

SUSPENDS static err_t expect_apply(void *ctx, uint8_t kind, const uint8_t *payload, uint32_t len,
                                   lsn_t lsn)
{
    struct expect *e = ctx;
    if (e->sleepy && e->next % 10 == 0)
        fiber_yield_wait();
    record_fill(e->next, scratch2, record_len(e->next));
    if (kind != (uint8_t)(e->next % 200 + 1) || len != record_len(e->next) ||
        memcmp(payload, scratch2, len) != 0 || lsn <= e->last)
        e->wrong++;
    e->last = lsn;
    e->next++;
    return ERR_OK;
}

/* Opens, replays, and leaves the log open for appending. */
SUSPENDS static err_t reopen_wait(struct expect *e, lsn_t from, struct wal **w)
{
    struct wal_options o = options_small();
    TRY(wal_open_wait(&o, w));
    err_t err = wal_replay_wait(*w, from, expect_apply, e);
    if (err != ERR_OK) {
        wal_close_wait(*w);
        *w = NULL;
    }
    return err;
}

static void segment_path(uint64_t no, char *out, size_t bytes)
{
    (void)snprintf(out, bytes, "%s/%016llX.wal", test_directory, (unsigned long long)no);
}

static void crc_vectors(void)
{
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    memset(ones, 0xff, sizeof(ones));
    uint8_t up[32];
    for (int i = 0; i < 32; i++)
        up[i] = (uint8_t)i;
    /* RFC 3720 B.4 */
    CHECK(crc32c(0, zeros, 32) == 0x8a9136aa);
    CHECK(crc32c(0, ones, 32) == 0x62a8ab43);
    CHECK(crc32c(0, up, 32) == 0x46dd794e);
    CHECK(crc32c(0, "123456789", 9) == 0xe3069283);
    CHECK(crc32c_tables(0, "123456789", 9) == 0xe3069283);
    CHECK(crc32c(0, "", 0) == 0);
    uint64_t seed = 1;
    for (uint32_t len = 0; len < 600; len++) {
        for (uint32_t k = 0; k < len; k++)
            scratch[k] = (uint8_t)test_random(&seed);
        uint32_t whole = crc32c(7, scratch, len);
        CHECK(whole == crc32c_tables(7, scratch, len));
        CHECK(whole == crc32c(crc32c(7, scratch, len / 3), scratch + len / 3, len - len / 3));
    }
}

ON_CORE(append_flush_replay)
{
    struct wal_options o = options_small();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    CHECK(wal_end(w) == 0);
    lsn_t lsn = 0;
    lsn_t middle = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        lsn = append_wait(w, i);
        if (i % 37 == 0)
            CHECK_OK(wal_flush_wait(w, lsn));
        if (i == 499)
            middle = lsn;
    }
    CHECK_OK(wal_flush_wait(w, lsn));
    CHECK(wal_durable(w) == lsn);
    lsn_t unflushed = append_wait(w, 1000);
    CHECK(unflushed > lsn && wal_end(w) == unflushed);
    wal_close_wait(w);
    struct wal *again;
    CHECK_ERR(wal_create_wait(&o, &again), ERR_DUPLICATE_FILE);

    struct expect e = {.sleepy = true};
    CHECK_OK(reopen_wait(&e, 0, &w));
    CHECK(e.next == 1000 && e.wrong == 0 && e.last == lsn && wal_end(w) == lsn);
    for (uint64_t i = 1000; i < 1100; i++)
        lsn = append_wait(w, i);
    CHECK_OK(wal_flush_wait(w, lsn));
    wal_close_wait(w);
    e = (struct expect){.next = 500};
    CHECK_OK(reopen_wait(&e, middle, &w));
    CHECK(e.next == 1100 && e.wrong == 0 && e.last == lsn);
    wal_close_wait(w);
}

ON_CORE(records_cross_segments)
{
    struct wal_options o = options_small();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    lsn_t lsn = 0;
    uint64_t i = 0;
    while (wal_end(w) < 3 * (uint64_t)WAL_SEGMENT_BYTES + 12345)
        lsn = append_wait(w, i++);
    CHECK_OK(wal_flush_wait(w, lsn));
    struct wal_stats st;
    wal_stats_read(w, &st);
    CHECK(st.records == i && st.bytes == lsn && st.writes > 0);
    CHECK(st.buffer_full_waits > 0); /* 48 MiB went through 1 MiB */
    wal_close_wait(w);
    struct expect e = {0};
    CHECK_OK(reopen_wait(&e, 0, &w));
    CHECK(e.next == i && e.wrong == 0 && e.last == lsn);
    wal_close_wait(w);
}

static bool cut_file_exists(void)
{
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/cut", test_directory);
    return access(path, F_OK) == 0;
}

/* What look calls safe: nothing up to a record, then all in front of one, and so on. */
struct horizon {
    struct expect expect;
    lsn_t told;
    lsn_t safe_at;   /* when this record is read */
    lsn_t safe_to;   /* so much becomes safe */
    uint64_t early;  /* applied though not safe */
    uint64_t looked; /* at so many records */
};

SUSPENDS static err_t horizon_look(void *ctx, uint8_t kind, const uint8_t *payload, uint32_t len,
                                   lsn_t lsn, lsn_t *safe)
{
    (void)kind;
    (void)payload;
    (void)len;
    struct horizon *h = ctx;
    h->looked++;
    if (lsn == h->safe_at)
        h->told = h->safe_to;
    *safe = h->told;
    return ERR_OK;
}

SUSPENDS static err_t horizon_apply(void *ctx, uint8_t kind, const uint8_t *payload, uint32_t len,
                                    lsn_t lsn)
{
    struct horizon *h = ctx;
    h->early += lsn > h->told;
    return expect_apply(&h->expect, kind, payload, len, lsn);
}

/* What is not safe while reading waits, in memory or to be read again; each record is applied once,
 * in order, up to the end or the cut. */
ON_CORE(replay_in_two_steps)
{
    enum { EARLY = 3000, MIDDLE = 5000 };
    struct wal_options o = options_small();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    static lsn_t lsns[MIDDLE + 1];
    lsn_t lsn = 0;
    lsn_t late = 0;
    uint64_t n = 0;
    uint64_t late_n = 0;
    while (wal_end(w) < 5 * (uint64_t)WAL_SEGMENT_BYTES) {
        lsn = append_wait(w, n++);
        if (n <= MIDDLE)
            lsns[n] = lsn;
        if (late == 0 && lsn > 4 * (uint64_t)WAL_SEGMENT_BYTES) {
            late = lsn;
            late_n = n;
        }
    }
    CHECK_OK(wal_flush_wait(w, lsn));
    wal_close_wait(w);
    CHECK(lsns[MIDDLE] != 0 && late != 0);
    struct {
        lsn_t safe_at;
        lsn_t safe_to;
        lsn_t cut;
        uint64_t first; /* applied in the first step */
        uint64_t all;
    } const cases[] = {
        {lsns[MIDDLE], lsns[EARLY], 0, EARLY, n}, /* more than is held: the rest later */
        {lsns[MIDDLE], lsns[MIDDLE], 0, MIDDLE, n},
        {late, late, 0, late_n, n},   /* was more, and is read again */
        {late, lsns[EARLY], 0, 0, n}, /* still too much */
        {lsn, lsn, 0, n, n},
        {0, 0, lsns[EARLY], 0, EARLY}, /* nothing was safe */
        {lsns[EARLY], lsns[EARLY], lsns[MIDDLE], EARLY,
         MIDDLE}, /* the last: what is behind is gone */
    };
    for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct horizon h = {.safe_at = cases[i].safe_at, .safe_to = cases[i].safe_to};
        CHECK_OK(wal_open_wait(&o, &w));
        lsn_t end;
        CHECK_OK(wal_replay_begin_wait(w, 0, horizon_look, horizon_apply, &h, &end));
        CHECK(h.expect.next == cases[i].first && h.early == 0);
        if (i == 0) { /* between the steps */
            CHECK(end == lsn && h.looked == n);
            wal_close_wait(w);
            continue;
        }
        if (cases[i].cut != 0)
            CHECK_OK(wal_cut_wait(w, cases[i].cut, end));
        h.told = UINT64_MAX;
        CHECK_OK(wal_replay_end_wait(w));
        CHECK(h.expect.next == cases[i].all && h.expect.wrong == 0);
        CHECK(wal_end(w) == (cases[i].cut != 0 ? cases[i].cut : lsn));
        if (cases[i].cut == 0)
            CHECK(h.looked == n);
        wal_close_wait(w);
        if (cases[i].cut == lsns[EARLY]) { /* as it was, for the next */
            CHECK_OK(wal_open_wait(&o, &w));
            CHECK_OK(wal_replay_wait(w, 0, expect_apply, &(struct expect){0}));
            for (uint64_t k = EARLY; k < n; k++)
                lsn = append_wait(w, k);
            CHECK_OK(wal_flush_wait(w, lsn));
            wal_close_wait(w);
        }
    }
}

/* Several segments go; nothing of them comes back when the log grows over it. */
ON_CORE(cut_short)
{
    struct wal_options o = options_small();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    lsn_t lsn = 0;
    lsn_t at = 0;
    lsn_t middle = 0;
    uint64_t i = 0;
    while (wal_end(w) < 3 * (uint64_t)WAL_SEGMENT_BYTES + 12345) {
        lsn = append_wait(w, i++);
        if (i == 500)
            at = lsn;
        if (i == 5000)
            middle = lsn;
    }
    CHECK_OK(wal_flush_wait(w, lsn));
    wal_close_wait(w);
    /* Twice, the second time farther down, as when the first was interrupted. */
    CHECK_OK(wal_open_wait(&o, &w));
    CHECK_OK(wal_cut_wait(w, middle, lsn));
    struct expect e = {0};
    lsn_t end;
    CHECK_OK(wal_inspect_wait(test_directory, 0, expect_apply, &e, &end));
    CHECK(e.next == 5000 && e.wrong == 0 && end == middle);
    CHECK_OK(wal_cut_wait(w, at, middle));
    CHECK(cut_file_exists());
    e = (struct expect){0};
    CHECK_OK(wal_replay_wait(w, 0, expect_apply, &e));
    CHECK(e.next == 500 && e.wrong == 0 && wal_end(w) == at);
    CHECK(!cut_file_exists());
    /* The same records end where the old ones did, in front of what was there. */
    for (i = 500; i < 2000; i++) {
        lsn_t here = append_wait(w, i);
        CHECK_OK(wal_flush_wait(w, here));
    }
    lsn_t last = wal_end(w);
    wal_close_wait(w);
    e = (struct expect){0};
    CHECK_OK(reopen_wait(&e, 0, &w));
    CHECK(e.next == 2000 && e.wrong == 0 && wal_end(w) == last);
    wal_close_wait(w);
}

/* Cut the log at every byte of its last records, with zeros, garbage and a shorter file. */
ON_CORE(torn_tail_at_every_byte)
{
    enum { COUNT = 20, IMAGE = 16384 };
    struct wal_options o = options_small();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    lsn_t ends[COUNT + 1] = {0};
    for (uint64_t i = 0; i < COUNT; i++) {
        ends[i + 1] = append_wait(w, i);
        CHECK_OK(wal_flush_wait(w, ends[i + 1]));
    }
    wal_close_wait(w);
    char path[128];
    segment_path(0, path, sizeof(path));
    static uint8_t image[IMAGE];
    static uint8_t torn[IMAGE];
    test_file_read(path, image, IMAGE, 0);
    lsn_t first_cut = ends[COUNT] > 150 ? ends[COUNT] - 150 : 0;
    uint64_t seed = 9;
    for (lsn_t cut = first_cut; cut <= ends[COUNT]; cut++) {
        memcpy(torn, image, IMAGE);
        int way = (int)(cut % 3);
        for (uint64_t k = cut; k < IMAGE; k++)
            torn[k] = way == 1 ? (uint8_t)test_random(&seed) : 0;
        test_file_write(path, torn, IMAGE, 0);
        if (way == 2)
            CHECK(truncate(path, (off_t)cut) == 0);
        uint64_t whole = 0; /* padding is not part of a record */
        while (whole < COUNT &&
               memcmp(torn, image, ends[whole] + RECORD_HEADER_BYTES + record_len(whole)) == 0)
            whole++;
        struct expect e = {0};
        CHECK_OK(reopen_wait(&e, 0, &w));
        if (w == NULL)
            return;
        CHECK(e.next == whole && e.wrong == 0);
        CHECK(wal_end(w) == ends[whole]);
        if (cut % 25 == 0) { /* and goes on from there */
            uint64_t n = e.next;
            CHECK_OK(wal_flush_wait(w, append_wait(w, n)));
            wal_close_wait(w);
            struct expect e2 = {0};
            CHECK_OK(reopen_wait(&e2, 0, &w));
            CHECK(e2.next == n + 1 && e2.wrong == 0);
        }
        wal_close_wait(w);
    }
}

/* A block of the last batch is lost, later ones are there: torn, not a hole; nothing of the later
 * ones may come back when the log grows over them. */
ON_CORE(torn_batch_with_later_blocks)
{
    struct wal_options o = options_small();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    for (uint64_t i = 0; i < 10; i++)
        CHECK_OK(wal_flush_wait(w, append_wait(w, i)));
    lsn_t ends[200];
    for (uint64_t i = 10; i < 120; i++)
        ends[i] = append_wait(w, i);
    CHECK_OK(wal_flush_wait(w, ends[119]));
    wal_close_wait(w);
    char path[128];
    segment_path(0, path, sizeof(path));
    static uint8_t zeros[4096];
    uint64_t lost = 3 * 4096;
    CHECK(lost > ends[10] && lost < ends[110]);
    test_file_write(path, zeros, 4096, lost);
    struct expect e = {0};
    CHECK_OK(reopen_wait(&e, 0, &w));
    CHECK(e.wrong == 0 && e.next > 10 && e.next < 110 && wal_end(w) <= lost);
    /* The same records again, so that the old later ones would fit on exactly. */
    uint64_t n = e.next;
    while (wal_end(w) < lost + 4096)
        CHECK_OK(wal_flush_wait(w, append_wait(w, n++)));
    lsn_t end = wal_end(w);
    wal_close_wait(w);
    e = (struct expect){0};
    CHECK_OK(reopen_wait(&e, 0, &w));
    CHECK(e.next == n && e.wrong == 0 && e.last == end);
    wal_close_wait(w);
}

ON_CORE(damage_in_the_middle)
{
    struct wal_options o = options_small();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    lsn_t ends[101] = {0};
    for (uint64_t i = 0; i < 100; i++) {
        ends[i + 1] = append_wait(w, i);
        CHECK_OK(wal_flush_wait(w, ends[i + 1]));
    }
    wal_close_wait(w);
    char path[128];
    segment_path(0, path, sizeof(path));
    for (uint64_t i = 0; i < 99; i += 7) { /* any byte of any record but the last */
        uint64_t at = ends[i] + (i * 13) % (16 + record_len(i));
        uint8_t good;
        test_file_read(path, &good, 1, at);
        uint8_t bad = good ^ 0x40;
        test_file_write(path, &bad, 1, at);
        struct expect e = {0};
        CHECK_ERR(reopen_wait(&e, 0, &w), ERR_DATA_CORRUPTED);
        CHECK(e.next == i && e.wrong == 0);
        test_file_write(path, &good, 1, at);
    }
    struct expect e = {0};
    CHECK_OK(reopen_wait(&e, 0, &w));
    CHECK(e.next == 100 && e.wrong == 0);
    wal_close_wait(w);
}

ON_CORE(missing_segment)
{
    struct wal_options o = options_small();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    uint64_t i = 0;
    while (wal_end(w) < 3 * (uint64_t)WAL_SEGMENT_BYTES)
        (void)append_wait(w, i++);
    CHECK_OK(wal_flush_wait(w, wal_end(w)));
    wal_close_wait(w);
    char path[128];
    char aside[128];
    segment_path(1, path, sizeof(path));
    (void)snprintf(aside, sizeof(aside), "%s/aside", test_directory);
    CHECK(rename(path, aside) == 0);
    struct expect e = {0};
    CHECK_ERR(reopen_wait(&e, 0, &w), ERR_DATA_CORRUPTED);
    CHECK_ERR(reopen_wait(&e, WAL_SEGMENT_BYTES, &w), ERR_DATA_CORRUPTED);
    CHECK(rename(aside, path) == 0);
    static uint8_t zeros[1 << 16];
    test_file_write(path, zeros, sizeof(zeros), 1 << 20); /* a hole of blocks */
    e = (struct expect){0};
    CHECK_ERR(reopen_wait(&e, 0, &w), ERR_DATA_CORRUPTED);
    CHECK(e.wrong == 0);
}

static uint64_t directory_segments(void)
{
    uint64_t n = 0;
    char path[128];
    for (uint64_t no = 0; no < 64; no++) {
        segment_path(no, path, sizeof(path));
        n += access(path, F_OK) == 0;
    }
    return n;
}

/* Steady load with recycling: bounded files, stale records in recycled segments are never taken. */
ON_CORE(recycled_segments)
{
    struct wal_options o = options_small();
    struct wal *w;
    CHECK_OK(wal_create_wait(&o, &w));
    uint64_t i = 0;
    lsn_t from = 0;
    uint64_t from_record = 0;
    for (int round = 1; round <= 8; round++) {
        while (wal_end(w) < (uint64_t)round * WAL_SEGMENT_BYTES + 1000)
            (void)append_wait(w, i++);
        CHECK_OK(wal_flush_wait(w, wal_end(w)));
        from = wal_end(w);
        from_record = i;
        CHECK_OK(wal_recycle_wait(w, from));
        CHECK(directory_segments() <= 7);
    }
    char path[128];
    segment_path(0, path, sizeof(path));
    CHECK(access(path, F_OK) != 0);
    for (int k = 0; k < 30; k++)
        (void)append_wait(w, i++);
    CHECK_OK(wal_flush_wait(w, wal_end(w)));
    lsn_t end = wal_end(w);
    wal_close_wait(w);
    struct expect e = {.next = from_record};
    CHECK_OK(reopen_wait(&e, from, &w));
    CHECK(e.next == i && e.wrong == 0 && wal_end(w) == end);
    wal_close_wait(w);
    /* Behind the end there is old content, with valid records of another lap: put one at the end.
     */
    segment_path(end / WAL_SEGMENT_BYTES, path, sizeof(path));
    uint64_t first_record_at = from % WAL_SEGMENT_BYTES;
    static uint8_t copy[512];
    test_file_read(path, copy, sizeof(copy), first_record_at);
    test_file_write(path, copy, sizeof(copy), end % WAL_SEGMENT_BYTES);
    e = (struct expect){.next = from_record};
    CHECK_OK(reopen_wait(&e, from, &w));
    CHECK(e.next == i && e.wrong == 0 && wal_end(w) == end);
    wal_close_wait(w);
}

/* ---- group commit ---- */

static struct {
    struct wal *w;
    int running;
    int failed;
    int early;
    struct wait_queue done;
} group;

SUSPENDS static void committer(void *arg)
{
    uint64_t n = (uint64_t)(uintptr_t)arg;
    for (uint64_t i = 0; i < 20; i++) {
        lsn_t lsn = append_wait(group.w, n * 100 + i);
        if (wal_flush_wait(group.w, lsn) != ERR_OK)
            group.failed++;
        else if (wal_durable(group.w) < lsn)
            group.early++;
    }
    group.running--;
    wait_queue_wake_all(&group.done);
}

ON_CORE(group_commit_batches)
{
    struct wal_options o = options_small();
    o.buffer_bytes = 256 << 10; /* and some of them wait for room */
    memset(&group, 0, sizeof(group));
    CHECK_OK(wal_create_wait(&o, &group.w));
    for (uint64_t f = 0; f < 100; f++) {
        CHECK_OK(fiber_spawn(committer, (void *)(uintptr_t)f));
        group.running++;
    }
    while (group.running > 0)
        wait_queue_shielded_wait(&group.done);
    struct wal_stats st;
    wal_stats_read(group.w, &st);
    CHECK(group.failed == 0 && group.early == 0 && st.records == 2000);
    CHECK(st.writes < 400); /* 20 rounds of batches, not 2000 single writes */
    wal_set_commit_delay(group.w, 2000);
    uint64_t t = core_now_precise_ns();
    CHECK_OK(wal_flush_wait(group.w, append_wait(group.w, 0)));
    CHECK(core_now_precise_ns() - t >= 1900000);
    wal_close_wait(group.w);
}

/* ---- failure ---- */

static int failures_reported;
static void on_failure(void *ctx, err_t err)
{
    CHECK(ctx == &failures_reported && err == ERR_IO_ERROR);
    failures_reported++;
}

ON_CORE(failure_is_permanent)
{
    struct wal_options o = options_small();
    struct wal *w;
    failures_reported = 0;
    CHECK_OK(wal_create_wait(&o, &w));
    wal_set_on_failure(w, on_failure, &failures_reported);
    lsn_t good = append_wait(w, 0);
    CHECK_OK(wal_flush_wait(w, good));
    CHECK(!wal_failed(w));
    /* Writing to a file opened for reading fails. */
    struct io_file *real = w->open[0].no == 0 ? w->open[0].file : w->open[1].file;
    struct io_file *broken;
    char path[128];
    segment_path(0, path, sizeof(path));
    CHECK_OK(io_open_wait(path, IO_READ | IO_DIRECT, 0, &broken));
    for (int i = 0; i < WAL_OPEN_SEGMENTS; i++) {
        if (w->open[i].no == 0 && w->open[i].file != NULL)
            w->open[i].file = broken;
    }
    lsn_t lost = append_wait(w, 1);
    CHECK_ERR(wal_flush_wait(w, lost), ERR_IO_ERROR);
    CHECK(wal_failed(w) && failures_reported == 1 && wal_durable(w) == good);
    for (int i = 0; i < WAL_OPEN_SEGMENTS; i++) {
        if (w->open[i].file == broken)
            w->open[i].file = real;
    }
    CHECK_ERR(wal_flush_wait(w, lost), ERR_IO_ERROR);
    CHECK_ERR(wal_flush_wait(w, good), ERR_IO_ERROR);
    CHECK_ERR(wal_reserve_wait(w, 1, 10), ERR_IO_ERROR);
    CHECK(failures_reported == 1);
    io_close_wait(broken);
    wal_close_wait(w);
    struct expect e = {0};
    CHECK_OK(reopen_wait(&e, 0, &w));
    CHECK(e.next == 1);
    wal_close_wait(w);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST(crc_vectors),
        CORE_TEST(append_flush_replay),
        CORE_TEST(records_cross_segments),
        CORE_TEST(cut_short),
        CORE_TEST(replay_in_two_steps),
        CORE_TEST(torn_tail_at_every_byte),
        CORE_TEST(torn_batch_with_later_blocks),
        CORE_TEST(damage_in_the_middle),
        CORE_TEST(missing_segment),
        CORE_TEST(recycled_segments),
        CORE_TEST(group_commit_batches),
        CORE_TEST(failure_is_permanent),
    };
    return test_main("wal", cases, ARRAY_LEN(cases), argc, argv);
}
