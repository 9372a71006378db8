/*
 * kill -9 under load. A child process runs transfers between accounts over several shards and
 * cores, with row locks in random order (so with deadlocks too), savepoints, inserts and deletes;
 * each worker counts its commits in a row of its own and, when a commit was acknowledged, in shared
 * memory. After the kill another child recovers and checks: every acknowledged count is there, at
 * most one more; the sum of the accounts; snapshots during the run saw the sum too; structure and
 * indexes.
 */
#include "shard_test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { ACCOUNTS = 60, WORKERS_PER_CORE = 6, WORKERS_MAX = 64, START_BALANCE = 1000 };

struct shared_state {
    uint64_t acked[WORKERS_MAX];
    uint64_t commits;
    uint64_t deadlocks;
    uint64_t conflicts;
    uint64_t sums_checked;
    uint64_t failures;
    uint64_t rounds;
    bool has_spilled;
};
static struct shared_state *shared;
static uint32_t cores;
static uint64_t round_seed;

/* Accounts are rows with key < ACCOUNTS and the balance in tag + seed; counters have key 1000 +
 * worker, the count in seed. Balances are kept in `seed` as offset from 1 << 30. */
struct change {
    uint64_t key;
    int32_t delta;
    bool set_tag;
    bool found;
};

SUSPENDS static err_t add_to_row(struct shard *s, struct txn_view *v, void *arg)
{
    struct change *c = arg;
    row_id id;
    struct test_row r = {0};
    TRY(table_lock(s, v, c->key, &id, &r, &c->found));
    if (!c->found)
        return ERR_OK;
    uint32_t old_tag = r.tag;
    r.seed = (uint32_t)((int32_t)r.seed + c->delta);
    if (c->set_tag)
        r.tag = r.seed % 97;
    r.len = r.seed % 7 == 0 ? 3000 : r.seed % 300;
    uint8_t *bytes = malloc(row_bytes(&r));
    row_fill(&r, bytes);
    err_t e = row_update_wait(s, v, TABLE_HEAP, id, bytes, row_bytes(&r));
    free(bytes);
    TRY(e);
    if (old_tag != r.tag) {
        uint8_t k[4];
        tag_bytes(old_tag, k);
        TRY(index_remove_wait(s, v, TABLE_TAG, TABLE_HEAP, k, 4, id));
        tag_bytes(r.tag, k);
        TRY(index_insert_wait(s, v, TABLE_TAG, TABLE_HEAP, k, 4, id, INDEX_NOT_UNIQUE, NULL));
    }
    return ERR_OK;
}

struct sum {
    int64_t total;
    uint32_t accounts;
    uint64_t counters[WORKERS_MAX];
};

SUSPENDS static err_t sum_rows(struct shard *s, struct txn_view *v, void *arg)
{
    struct sum *sum = arg;
    struct sum own = {0};
    struct arena *mem = arena_new();
    struct heap_scan *scan;
    err_t e = heap_scan_begin_wait(s, v, TABLE_HEAP, mem, &scan);
    while (e == ERR_OK) {
        row_id id;
        const uint8_t *row;
        uint32_t len;
        struct test_row r = {0};
        e = heap_scan_next_wait(scan, &id, &row, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        CHECK(row_parse(row, len, &r));
        if (r.key < ACCOUNTS) {
            own.total += (int64_t)r.seed;
            own.accounts++;
        } else if (r.key >= 1000 && r.key < 1000 + WORKERS_MAX) {
            own.counters[r.key - 1000] = r.seed;
        }
    }
    arena_free(mem);
    if (e == ERR_OK) {
        sum->total += own.total;
        sum->accounts += own.accounts;
        for (uint32_t i = 0; i < WORKERS_MAX; i++)
            sum->counters[i] += own.counters[i];
    }
    return e;
}

SUSPENDS static err_t sum_all(struct txn *t, struct sum *sum)
{
    memset(sum, 0, sizeof(*sum));
    for (uint32_t i = 0; i < shard_count(); i++)
        TRY(on_shard_wait(t, i, false, sum_rows, sum));
    return ERR_OK;
}

static uint32_t shard_of_key(uint64_t key)
{
    return (uint32_t)(key % shard_count());
}

/* One transaction of a worker; 0 when committed. */
SUSPENDS static err_t transfer(struct txn *t, uint32_t worker, uint64_t *seed)
{
    struct change c = {.key = 1000 + worker, .delta = 1};
    TRY(on_shard_wait(t, shard_of_key(c.key), true, add_to_row, &c));
    CHECK(c.found);
    if (test_below(seed, 4) == 0) { /* something to be undone */
        uint32_t mark = txn_mark(t);
        c = (struct change){.key = test_below(seed, ACCOUNTS), .delta = 5000};
        err_t e = on_shard_wait(t, shard_of_key(c.key), true, add_to_row, &c);
        if (e == ERR_OK) {
            struct test_row r = {.key = 5000 + worker, .len = 20000, .seed = worker};
            e = on_shard_wait(t, shard_of_key(r.key), true, table_insert, &r);
        }
        CHECK_OK(txn_undo_to_wait(t, mark));
        if (e != ERR_OK)
            return e;
        txn_statement_begin(t);
    }
    uint32_t from = test_below(seed, ACCOUNTS);
    uint32_t to = (from + 1 + test_below(seed, ACCOUNTS - 1)) % ACCOUNTS;
    int32_t amount = (int32_t)test_below(seed, 100);
    c = (struct change){.key = from, .delta = -amount, .set_tag = true};
    TRY(on_shard_wait(t, shard_of_key(from), true, add_to_row, &c));
    CHECK(c.found);
    txn_statement_begin(t);
    c = (struct change){.key = to, .delta = amount, .set_tag = true};
    TRY(on_shard_wait(t, shard_of_key(to), true, add_to_row, &c));
    CHECK(c.found);
    return ERR_OK;
}

/* An old snapshot beside the changes: with a small budget its versions are
 * spilled when the crash comes. */
SUSPENDS static void reader_loop(void *arg)
{
    (void)arg;
    for (;;) {
        struct txn *t = test_begin(REPEATABLE_READ, 99);
        for (uint32_t i = 0; i < 3; i++) {
            struct sum sum;
            err_t e = sum_all(t, &sum);
            CHECK_OK(e);
            CHECK(e != ERR_OK || sum.total == (int64_t)ACCOUNTS * (START_BALANCE + 100000));
            ERR_IGNORE(fiber_sleep_wait(20000));
        }
        CHECK_OK(txn_commit_wait(t));
        __atomic_store_n(&shared->failures, failures, __ATOMIC_RELAXED);
    }
}

static uint32_t worker_next;

SUSPENDS static void worker_loop(void *arg)
{
    uint32_t worker = (uint32_t)(uintptr_t)arg;
    uint64_t seed = round_seed * 1000 + worker;
    for (;;) {
        bool repeatable = test_below(&seed, 2) == 0;
        struct txn *t = test_begin(repeatable ? REPEATABLE_READ : READ_COMMITTED, 100 + worker);
        err_t e;
        if (test_below(&seed, 20) == 0 && repeatable) {
            struct sum sum;
            e = sum_all(t, &sum);
            if (e == ERR_OK) {
                CHECK(sum.accounts == ACCOUNTS);
                CHECK(sum.total == (int64_t)ACCOUNTS * (START_BALANCE + 100000));
                __atomic_add_fetch(&shared->sums_checked, 1, __ATOMIC_RELAXED);
                for (uint32_t i = 0; i < WORKERS_MAX; i++)
                    CHECK(sum.counters[i] == 0 || i != worker ||
                          sum.counters[i] == shared->acked[i]);
            }
            CHECK_OK(e);
            CHECK_OK(txn_commit_wait(t));
            continue;
        }
        e = transfer(t, worker, &seed);
        if (e == ERR_OK) {
            e = txn_commit_wait(t);
            CHECK_OK(e);
            if (e == ERR_OK) {
                __atomic_add_fetch(&shared->acked[worker], 1, __ATOMIC_RELAXED);
                __atomic_add_fetch(&shared->commits, 1, __ATOMIC_RELAXED);
            }
        } else {
            if (e == ERR_T_R_DEADLOCK_DETECTED)
                __atomic_add_fetch(&shared->deadlocks, 1, __ATOMIC_RELAXED);
            else if (e == ERR_T_R_SERIALIZATION_FAILURE)
                __atomic_add_fetch(&shared->conflicts, 1, __ATOMIC_RELAXED);
            else
                CHECK_OK(e);
            txn_rollback_wait(t);
        }
        __atomic_store_n(&shared->failures, failures, __ATOMIC_RELAXED);
    }
}

static err_t start_workers(void *arg)
{
    (void)arg;
    if (core_id() == 0)
        TRY(fiber_spawn(reader_loop, NULL));
    for (uint32_t i = 0; i < WORKERS_PER_CORE; i++) {
        uint32_t worker = __atomic_fetch_add(&worker_next, 1, __ATOMIC_RELAXED);
        TRY(fiber_spawn(worker_loop, (void *)(uintptr_t)worker));
    }
    return ERR_OK;
}

SUSPENDS static void load(void)
{
    shards_set_deadlock_timeout(20000);
    CHECK_OK(shards_open_wait(&test_options));
    for (uint32_t i = 0; i < core_count(); i++)
        CHECK_OK(core_call_wait(i, start_workers, NULL));
    uint64_t seed = round_seed;
    for (;;) { /* until killed */
        ERR_IGNORE(fiber_sleep_wait(5000 + test_below(&seed, 100000)));
        CHECK_OK(shards_checkpoint_wait());
    }
}

SUSPENDS static void create(void)
{
    CHECK_OK(shards_create_wait(&test_options, 5));
    CHECK_OK(shards_open_wait(&test_options));
    test_create_tables_wait();
    struct txn *t = test_begin(READ_COMMITTED, 1);
    for (uint32_t i = 0; i < ACCOUNTS + WORKERS_MAX; i++) {
        struct test_row r = {.key = i < ACCOUNTS ? i : 1000 + i - ACCOUNTS,
                             .seed = i < ACCOUNTS ? START_BALANCE + 100000 : 0,
                             .len = 10};
        txn_statement_begin(t);
        CHECK_OK(on_shard_wait(t, shard_of_key(r.key), true, table_insert, &r));
    }
    CHECK_OK(txn_commit_wait(t));
    CHECK_OK(shards_close_wait());
}

SUSPENDS static err_t check_shard(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    (void)arg;
    struct arena *mem = arena_new();
    uint64_t entries = 0;
    err_t e = shard_verify_wait(s, mem);
    for (uint32_t i = 0; i < 3000 && s->versions.count + s->versions.spilled != 0; i++)
        ERR_IGNORE(fiber_sleep_wait(1000));
    CHECK(s->versions.count == 0);
    CHECK(s->versions.spilled == 0);
    if (s->versions.file_next != 0)
        __atomic_store_n(&shared->has_spilled, true, __ATOMIC_RELAXED);
    CHECK(s->finished_count == 0);
    uint64_t rows = 0;
    for (uint32_t i = 0; i < ACCOUNTS + WORKERS_MAX; i++)
        rows += shard_of_key(i < ACCOUNTS ? i : 1000 + i - ACCOUNTS) == shard_number(s);
    if (e == ERR_OK)
        e = shard_verify_index_wait(s, TABLE_KEY, TABLE_HEAP, mem, &entries);
    CHECK(entries == rows);
    if (e == ERR_OK)
        e = shard_verify_index_wait(s, TABLE_TAG, TABLE_HEAP, mem, &entries);
    CHECK(entries == rows);
    arena_free(mem);
    return e;
}

SUSPENDS static void check(void)
{
    CHECK_OK(shards_open_wait(&test_options));
    struct txn *t = test_begin(REPEATABLE_READ, 1);
    struct sum sum;
    CHECK_OK(sum_all(t, &sum));
    CHECK(sum.accounts == ACCOUNTS);
    CHECK(sum.total == (int64_t)ACCOUNTS * (START_BALANCE + 100000));
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        CHECK(sum.counters[i] == shared->acked[i] || sum.counters[i] == shared->acked[i] + 1);
        if (sum.counters[i] != shared->acked[i] && sum.counters[i] != shared->acked[i] + 1)
            fprintf(stderr, "worker %u: %llu, acknowledged %llu\n", i,
                    (unsigned long long)sum.counters[i], (unsigned long long)shared->acked[i]);
        shared->acked[i] = sum.counters[i];
    }
    CHECK_OK(txn_commit_wait(t));
    for (uint32_t i = 0; i < shard_count(); i++) {
        struct on_shard c = {.shard_no = i, .fn = check_shard};
        CHECK_OK(core_call_wait(shard_core(i), on_shard_run, &c));
    }
    /* Half of the time the next load starts on what a crash left, else on a closed directory. */
    if (round_seed % 2 == 0)
        CHECK_OK(shards_close_wait());
}

static pid_t child(uint32_t core_number, void (*fn)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        static const int none[CORE_COUNT_MAX] = {[0 ... CORE_COUNT_MAX - 1] = -1};
        struct core_options o = {
            .core_count = core_number, .cpus = none, .numa_nodes = none, .busy_poll_us = 20};
        test_entry = fn;
        err_t e = core_run(&o, test_core_entry, NULL);
        _exit(e != ERR_OK || failures != 0);
    }
    return pid;
}

static bool child_passes(uint32_t core_number, void (*fn)(void))
{
    int status = 0;
    pid_t pid = child(core_number, fn);
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void kill_rounds(uint32_t core_number, uint32_t rounds, uint64_t seed, uint64_t budget)
{
    const char *rounds_text = getenv("ROUNDS");
    if (rounds_text != NULL)
        rounds = (uint32_t)atoi(rounds_text);
    cores = core_number;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    test_directory_make();
    test_options.version_bytes_max = budget;
    bool ok = child_passes(core_number, create);
    CU_ASSERT(ok);
    for (uint32_t i = 0; i < rounds && ok; i++) {
        round_seed = seed + i;
        uint64_t s = round_seed;
        uint64_t before = shared->commits;
        pid_t pid = child(core_number, load);
        /* A busy machine may need a while to come so far. */
        for (int wait = 0; wait < 3000 && shared->commits == before; wait++)
            usleep(10000);
        usleep((useconds_t)test_below(&s, 400000));
        int status = 0;
        bool ended = waitpid(pid, &status, WNOHANG) != 0;
        if (!ended) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
        }
        /* Another number of cores may recover it. */
        ok = !ended && shared->failures == 0 && child_passes(1 + i % 4, check);
        CU_ASSERT(ok);
    }
    fprintf(stderr, "commits %llu, deadlocks %llu, conflicts %llu, sums %llu\n",
            (unsigned long long)shared->commits, (unsigned long long)shared->deadlocks,
            (unsigned long long)shared->conflicts, (unsigned long long)shared->sums_checked);
    CU_ASSERT(shared->commits > rounds);
    CU_ASSERT(shared->has_spilled == (budget < MIB(1)));
    if (ok)
        test_directory_remove();
    else
        fprintf(stderr, "kept %s\n", test_directory);
    munmap(shared, sizeof(*shared));
}

static void one_core(void)
{
    kill_rounds(1, 6, 10, MIB(64));
}
static void two_cores(void)
{
    kill_rounds(2, 8, 20, MIB(64));
}
static void four_cores(void)
{
    kill_rounds(4, 6, 30, MIB(64));
}
/* Versions are spilled nearly at once. */
static void spilling(void)
{
    kill_rounds(2, 6, 40, 8000);
}

SUITE_MAIN("shard crash", TEST(one_core), TEST(two_cores), TEST(four_cores), TEST(spilling))
