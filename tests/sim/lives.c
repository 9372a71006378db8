/*
 * The lives of one seed. Each life is a forked process: statics, caches and memory of a server end
 * with it as they do with a real one, and a crash or an endless loop is seen from outside. What the
 * processes share is the simulated disk and `run`.
 *
 * Most seeds begin from one of a few disks that hold the initialised tables, made once per program;
 * some begin from an empty disk, so that the first start is interrupted too.
 */
#include "tests/sim/lives.h"

#include "core/settings.h"
#include "tools/server.h"
#include "wal/wal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SHARDS_MAX = 6,
    LIFE_CPU_S_MAX = 100, /* others may keep the machine busy */
    LIFE_WALL_S_MAX = 1000,
    EXIT_FAILED = 3,   /* sim_fail() */
    EXIT_REFUSED = 4,  /* the server did not start or not end in order */
    EXIT_HUNG = 5,     /* nothing could happen any more */
    RUN_REGION_GB = 6, /* address space only */
    BASE_SEED = 77,
    VERSIONS_KB = 65536,
    VERSIONS_KB_MIN = 1024,
    CROWD_ONE_IN = 1000,
    MANY_MIN = 20,
    LOG_SEGMENTS_MAX = 1000,
    LOG_SEGMENT_SHIFT = 18, /* so that segments end and are used again */
    CORES_MAX = 6,
    PREPARED_MAX = 64,
};

struct run *run;
bool sim_verbose;
static struct sim_disk *bases[SHARDS_MAX + 1];

void sim_note(const char *format, ...)
{
    if (!sim_verbose)
        return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "sim %10.6f ", (double)io_sim_now_us() / 1e6);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void sim_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (run->failure[0] == '\0') {
        int n = snprintf(run->failure, sizeof(run->failure), "life %u, %.6f s: ", run->life.number,
                         (double)io_sim_now_us() / 1e6);
        (void)vsnprintf(run->failure + n, sizeof(run->failure) - (size_t)n, format, args);
    }
    va_end(args);
    if (getenv("SIM_STOP") != NULL) /* for a debugger */
        (void)raise(SIGSTOP);
    _exit(EXIT_FAILED);
}

/* ---- a life, in its process ---- */

static void set(const char *name, const char *value)
{
    if (settings_set_argv(name, value) != ERR_OK)
        sim_fail("setting %s: %s", name, err_diag()->message);
}

static void life_settings(void)
{
    char text[32];
    set("port", SIM_PORT);
    set("listen_addresses", "127.0.0.1");
    set("unix_socket_directories", "");
    (void)snprintf(text, sizeof(text), "%llukB", (unsigned long long)run->pool_kb * run->shards);
    set("shared_buffers", text);
    (void)snprintf(text, sizeof(text), "%llukB", (unsigned long long)run->versions_kb);
    set("version_store_size", text);
    set("max_wal_size", "2MB");
    set("checkpoint_timeout", "30s");
    set("timezone", "UTC");
    (void)snprintf(text, sizeof(text), "%u", run->life.prepared_max);
    set("max_prepared_transactions", text);
    if (run->life.session_moves != NULL)
        set("session_moves", run->life.session_moves);
}

NORETURN static void life_process(void)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = 0;
    (void)setrlimit(RLIMIT_CORE, &limit);
    limit = (struct rlimit){.rlim_cur = LIFE_CPU_S_MAX, .rlim_max = LIFE_CPU_S_MAX + 5};
    (void)setrlimit(RLIMIT_CPU, &limit);
    (void)alarm(LIFE_WALL_S_MAX);
    const struct life *life = &run->life;
    io_sim_end_at(life->end_where, life->end_nth, life->end_more, life->end == END_KILL);
    io_sim_disk_room(life->disk_room);
    *io_sim_faults() = life->faults;
    life_settings();
    uint64_t bytes;
    struct server_config config = {
        .data_directory = SIM_DATA,
        .is_new = !io_sim_file_size(SIM_DATA "/PG_VERSION", &bytes),
        .shard_count = run->shards,
    };
    static const int none[CORES_MAX] = {-1, -1, -1, -1, -1, -1};
    struct core_options o = {.core_count = life->cores,

                             .cpus = none,
                             .numa_nodes = none,
                             .busy_poll_us = 20};
    run->progress_us = io_sim_now_us();
    io_sim_link_slots(life->link_slots);
    io_sim_clients(controller_main, NULL);
    err_t e = core_run(&o, server_entry, &config);
    if (e != ERR_OK && !io_sim_power_was_lost()) {
        log_diag(LOG_FATAL, err_diag());
        _exit(EXIT_HUNG);
    }
    _exit(e == ERR_OK && server_has_failed() ? EXIT_REFUSED : 0);
}

/* What the process wrote to stderr last. */
static void take_output(int fd, char *out, size_t room)
{
    off_t size = lseek(fd, 0, SEEK_END);
    off_t from = size > (off_t)room - 1 ? size - (off_t)room + 1 : 0;
    ssize_t n = pread(fd, out, room - 1, from);
    out[n > 0 ? n : 0] = '\0';
}

static void report_life(int status, int output)
{
    char text[2500];
    if (run->failure[0] == '\0') {
        int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        const char *what = by == SIGALRM || by == SIGXCPU || by == SIGKILL
                               ? "ran too long or was killed"
                           : WIFSIGNALED(status)                 ? "the server crashed"
                           : WEXITSTATUS(status) == EXIT_HUNG    ? "everything waits for nothing"
                           : WEXITSTATUS(status) == EXIT_REFUSED ? "the server refused"
                                                                 : "the server went down";
        (void)snprintf(run->failure, sizeof(run->failure), "life %u, %.6f s: %s (status %x)",
                       run->life.number, (double)io_sim_now_us() / 1e6, what, (unsigned)status);
    }
    if (output < 0)
        return;
    take_output(output, text, sizeof(text));
    size_t n = strlen(run->failure);
    (void)snprintf(run->failure + n, sizeof(run->failure) - n, "\n%s", text);
}

/* Damage is told as damage. */
static bool tells_of_rot(int output)
{
    static const char *const words[] = {
        "damaged", "invalid", "corrupt", "checksum", "no valid superblock", "could not read"};
    char text[2500];
    if (output < 0)
        return true;
    take_output(output, text, sizeof(text));
    for (uint32_t i = 0; i < ARRAY_LEN(words); i++)
        if (strstr(text, words[i]) != NULL)
            return true;
    return false;
}

/* False when it found a bug. */
static bool life_run(void)
{
    int output = sim_verbose ? -1 : memfd_create("life", MFD_CLOEXEC);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (output >= 0)
            (void)dup2(output, STDERR_FILENO);
        life_process();
    }
    int status;
    while (pid < 0 || waitpid(pid, &status, 0) < 0)
        if (pid < 0)
            abort();
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ok) {
        bool went_down =
            WIFEXITED(status) && (WEXITSTATUS(status) == EXIT_REFUSED || WEXITSTATUS(status) == 1);
        io_sim_process_died();
        if (went_down && run->life.may_fail && (!run->life.is_rotten || tells_of_rot(output))) {
            ok = true;
            if (sim_verbose)
                fprintf(stderr, "sim: life %u: the server went down, as it may\n",
                        run->life.number);
        }
    }
    if (!ok)
        report_life(status, output);
    if (output >= 0)
        close(output);
    run->lives_done++;
    return ok;
}

/* ---- what a seed means ---- */

/* Many commits under way at once, in short lives; often of one kind, so that not every log soon
 * depends on every other. */
static void draw_many(struct life *l)
{
    l->workers = MANY_MIN + sim_below(MANY_MIN * 3);
    l->work_us = 3000 + (uint64_t)sim_below(30000);
    if (sim_below(2) == 0)
        l->only = &marks_workload;
}

/* One log lags behind the others. */
static void draw_lag(struct life *l)
{
    draw_many(l);
    l->cores = MAX(l->cores, run->shards);
    l->checkpoint_pause_us = sim_below(4000);
    l->faults.slow_core = 1 + sim_below(run->shards);
    l->faults.slow_core_us = 2000 + sim_below(20000);
}

static void draw_faults(struct life *l)
{
    struct io_sim_faults *f = &l->faults;
    *f = io_sim_usual_faults;
    f->rest_percent = sim_below(3) == 0 ? 30 : 2;
    f->vary_percent = sim_below(2) == 0 ? 50 : 0;
    if (sim_below(4) == 0)
        f->durable_us_max = 300 + sim_below(10000);
    if (sim_below(4) == 0)
        draw_lag(l);
    f->doorbell_us_max = sim_below(4) == 0 ? 3000 : 50;
    f->net_split_percent = sim_below(4) == 0 ? 90 : 25;
    f->net_window_bytes = sim_below(4) == 0 ? 512 + sim_below(4096) : 65536;
    if (sim_below(3) == 0) {
        f->stall = 200 + sim_below(2000);
        f->stall_us_max = 100 + sim_below(20000);
    }
    if (sim_below(6) == 0)
        f->doorbell_lost = 5000;
    if (sim_below(3) == 0) {
        f->disk_slow = 1000 + sim_below(50000);
        f->disk_slow_us_max = 1000 + sim_below(100000);
    }
    if (sim_below(3) == 0)
        f->net_reset = 200 + sim_below(5000);
    if (sim_below(3) == 0) {
        f->net_stall = 1000 + sim_below(20000);
        f->net_stall_us_max = 1000 + sim_below(500000);
    }
    if (sim_below(8) == 0) {
        uint32_t chance = 50 + sim_below(3000);
        uint32_t *kinds[] = {&f->read_error, &f->write_error,    &f->sync_error,
                             &f->open_error, &f->allocate_error, &f->rename_error};
        for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
            if (sim_below(3) == 0)
                *kinds[i] = chance;
        l->may_fail = true;
    }
    if (sim_below(12) == 0) {
        l->disk_room = (uint64_t)sim_below(24) << 20;
        l->may_fail = true;
    }
}

static void draw_end(struct life *l)
{
    static const enum io_sim_end ends[] = {IO_SIM_END_STEP,  IO_SIM_END_STEP,   IO_SIM_END_STEP,
                                           IO_SIM_END_SYNC,  IO_SIM_END_SYNCED, IO_SIM_END_STUCK,
                                           IO_SIM_END_STUCK, IO_SIM_END_STUCK};
    l->end_where = ends[sim_below(ARRAY_LEN(ends))];
    switch (l->end_where) {
    case IO_SIM_END_STEP:
        l->end_nth = 1 + (sim_below(3) == 0 ? sim_below(300) : sim_below(4000));
        break;
    case IO_SIM_END_SYNC:
    case IO_SIM_END_SYNCED:
        l->end_nth = 1 + sim_below(sim_below(2) == 0 ? 12 : 100);
        l->end_more = 1 + sim_below(8);
        break;
    case IO_SIM_END_STUCK:
        l->end_nth = 1 + sim_below(400);
        l->end_more = 50 + sim_below(sim_below(2) == 0 ? 5000 : 20000);
        break;
    }
}

/* After the first, lives differ from seed to seed in nearly everything. */
static void draw_life(struct life *l, uint32_t number, uint32_t count)
{
    *l = (struct life){.number = number, .disk_room = UINT64_MAX};
    l->cores = 1 + sim_below(4);
    l->workers = 1 + sim_below(12);
    l->work_us = 5000 + (uint64_t)sim_below(80000);
    if (sim_below(16) == 0)
        l->work_us *= 16;
    l->link_slots = sim_below(6) == 0 ? 2 : 0;
    static const char *const moves[] = {"force", "off", "auto", "auto"};
    l->session_moves = moves[sim_below(4)];
    if (sim_below(4) != 0)
        l->checkpointers = 1 + (sim_below(4) == 0 ? sim_below(3) : 0);
    l->checkpoint_pause_us = sim_below(2) == 0 ? sim_below(20000) : sim_below(2000);
    l->cancel_one_in = sim_below(3) == 0 ? 20 + sim_below(400) : 0;
    l->prepared_max = sim_below(8) == 0 ? 2 : PREPARED_MAX;
    l->is_last = number + 1 == count;
    l->spread_one_in = 1 + sim_below(sim_below(2) == 0 ? 4 : 16);
    if (sim_below(4) == 0)
        draw_many(l);
    if (sim_below(CROWD_ONE_IN) == 0) {
        l->workers = 1000 + sim_below(1500);
        l->work_us = 20000 + sim_below(60000);
        l->cancel_one_in = 0;
    }
    if (l->is_last) {
        l->faults = io_sim_usual_faults;
        l->end = END_STOP;
        l->work_us = 10000;
        return;
    }
    draw_faults(l);
    l->end = (enum life_end)sim_below(3);
    if (l->end != END_STOP && sim_below(4) != 0)
        draw_end(l);
}

/* ---- rot ---- */

/* Rather where something was written. */
static void flip_bit(const char *path, uint64_t from, uint64_t to)
{
    uint64_t at = from;
    uint8_t byte = 0;
    for (uint32_t i = 0; i < 50 && byte == 0; i++) {
        at = from + io_sim_random(to - from);
        (void)io_sim_peek(path, at, &byte);
    }
    uint32_t bit = sim_below(8);
    (void)io_sim_flip_bit(path, at, bit);
}

/* Bits of the data files; now and then of the superblocks, which exist twice. */
static bool rot_pages(void)
{
    uint32_t bits = 1 + sim_below(4);
    for (uint32_t i = 0; i < bits; i++) {
        char path[64];
        uint64_t bytes = 0;
        (void)snprintf(path, sizeof(path), SIM_DATA "/shard-%04u/pages", sim_below(run->shards));
        if (!io_sim_file_size(path, &bytes) || bytes == 0)
            return false;
        if (sim_below(4) == 0)
            bytes = MIN(bytes, (uint64_t)2 * 8192);
        flip_bit(path, 0, bytes);
    }
    return true;
}

/* The segment that was written to last, and that write. */
static bool log_path(uint32_t shard, char *path, size_t room, struct io_sim_write *last)
{
    *last = (struct io_sim_write){0};
    for (uint32_t no = 0; no < LOG_SEGMENTS_MAX; no++) {
        char one[64];
        struct io_sim_write w;
        (void)snprintf(one, sizeof(one), SIM_DATA "/shard-%04u/wal/%016X.wal", shard, no);
        if (!io_sim_durable_write(one, 0, &w) || w.serial < last->serial)
            continue;
        *last = w;
        (void)snprintf(path, room, "%s", one);
    }
    return last->serial != 0;
}

/* The log that was written to before all others: those have gone on since. */
static uint32_t log_behind(void)
{
    uint32_t behind = 0;
    uint64_t serial = UINT64_MAX;
    for (uint32_t shard = 0; shard < run->shards; shard++) {
        char path[64];
        struct io_sim_write last;
        if (log_path(shard, path, sizeof(path), &last) && last.serial < serial) {
            behind = shard;
            serial = last.serial;
        }
    }
    return behind;
}

/* Bits of a log: in the last two writes, which may be what a power loss tears, or before them. */
static bool rot_log(bool is_tail)
{
    char path[64];
    struct io_sim_write last;
    struct io_sim_write w;
    uint32_t shard = is_tail && sim_below(4) != 0 ? log_behind() : sim_below(run->shards);
    if (!log_path(shard, path, sizeof(path), &last) || !io_sim_durable_write(path, 2, &w))
        return false;
    uint64_t from = is_tail ? w.offset : 0;
    uint64_t to = is_tail ? last.offset + last.len : w.offset;
    if (is_tail && sim_below(4) != 0)
        from = last.fresh;
    /* The middle: near the end, where the next start surely reads it. */
    if (!is_tail && io_sim_durable_write(path, 3 + sim_below(12), &w) && w.offset < to)
        from = w.offset;
    if (from >= to)
        return false;
    if (sim_verbose)
        fprintf(stderr, "sim: rot in %s, %llu to %llu\n", path, (unsigned long long)from,
                (unsigned long long)to);
    flip_bit(path, from, to);
    return true;
}

/* A life that ends at work, so that the next start has a log to read. */
static bool unfinished_life(uint32_t number, bool is_tail)
{
    struct life *l = &run->life;
    *l = (struct life){.number = number,
                       .cores = 1 + sim_below(4),
                       .workers = 1 + sim_below(12),
                       .spread_one_in = 1 + sim_below(4),
                       .prepared_max = PREPARED_MAX,
                       .work_us = 10000 + sim_below(40000),
                       .end = sim_below(2) == 0 ? END_KILL : END_POWER,
                       .disk_room = UINT64_MAX,
                       .faults = io_sim_usual_faults};
    if (is_tail && sim_below(4) != 0) { /* one log ends while the others go on */
        draw_lag(l);
        if (sim_below(4) != 0) /* what half a commit is seen by, in itself */
            l->only = &marks_workload;
        l->end_where = IO_SIM_END_STUCK;
        l->end_nth = 40 + sim_below(400);
        l->end_more = 1000 + sim_below(20000);
    }
    return life_run();
}

/* Some bits turn after all is well; then everything is read. */
static bool rotten_life(uint32_t number)
{
    enum { PAGES, LOG_MIDDLE, LOG_TAIL };
    static const uint8_t kinds[] = {PAGES, LOG_MIDDLE, LOG_TAIL, LOG_TAIL, LOG_TAIL};
    uint32_t kind = kinds[sim_below(ARRAY_LEN(kinds))];
    if (kind != PAGES && !unfinished_life(number, kind == LOG_TAIL))
        return false;
    if (kind == PAGES ? !rot_pages() : !rot_log(kind == LOG_TAIL))
        return true;
    run->life = (struct life){.number = number + 1,
                              .cores = 1 + sim_below(4),
                              .end = END_STOP,
                              .is_rotten = true,
                              .is_cut_short = kind == LOG_TAIL,
                              .may_fail = true,
                              .disk_room = UINT64_MAX,
                              .faults = io_sim_usual_faults};
    return life_run();
}

static const char *end_name(enum life_end e)
{
    return e == END_STOP ? "stop" : e == END_POWER ? "power loss" : "kill";
}

static const char *where_name(enum io_sim_end where)
{
    static const char *const names[] = {"step", "sync", "end of sync", "stuck write"};
    return names[where];
}

static void start_run(uint64_t seed, uint32_t shards)
{
    io_sim_reseed(seed);
    run = io_sim_alloc(sizeof(*run));
    run->seed = seed;
    run->shards = shards;
    run->versions_kb = VERSIONS_KB;
    for (uint32_t i = 0; i < workload_count; i++)
        if (workloads[i]->start != NULL)
            workloads[i]->start();
}

static void seed_process(uint64_t seed, struct result *out)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15u;
    z ^= z >> 29;
    uint32_t shards = 1 + (uint32_t)(z % SHARDS_MAX);
    bool from_empty = z / SHARDS_MAX % 16 == 0;
    const char *empty = getenv("SIM_EMPTY");
    if (empty != NULL)
        from_empty = empty[0] == '1';
    if (!from_empty)
        io_sim_disk_put(bases[shards]);
    io_sim_share_memory((uint64_t)RUN_REGION_GB << 30);
    start_run(seed, shards);
    run->is_set_up = !from_empty;
    if (from_empty)
        io_sim_put_file(SIM_DATA "/pg_hba.conf", "host all all all trust\n");
    /* Some seeds run few kinds of work, at higher rates each. */
    if (sim_below(3) == 0)
        run->workload_mask = 1u << sim_below(workload_count) | 1u << sim_below(workload_count);
    if (sim_below(2) == 0)
        run->versions_kb = VERSIONS_KB_MIN;
    run->has_big_rows = sim_below(6) == 0;
    run->pool_kb = sim_below(2) == 0 ? 1024 : (uint64_t)1024 << sim_below(5);
    uint32_t count = 2 + sim_below(5);
    bool ok = true;
    for (uint32_t i = 0; i < count && ok; i++) {
        draw_life(&run->life, i, count);
        const struct life *l = &run->life;
        if (sim_verbose)
            fprintf(stderr,
                    "sim: life %u of %u: %u cores, %u shards, pool %llu kB each, %u workers for "
                    "%llu us, ends by %s at %s %llu%s\n",
                    i, count, l->cores, run->shards, (unsigned long long)run->pool_kb, l->workers,
                    (unsigned long long)l->work_us, end_name(l->end), where_name(l->end_where),
                    (unsigned long long)l->end_nth, l->may_fail ? ", may fail" : "");
        ok = life_run();
    }
    if (ok && sim_below(3) == 0)
        ok = rotten_life(count);
    *out = (struct result){
        .ok = ok,
        .trace = io_sim_trace(),
        .statements = run->statements,
        .commits = run->commits,
        .simulated_us = io_sim_now_us(),
        .disk_steps = io_sim_disk_steps(),
        .full_links = io_sim_full_links(),
        .lives = run->lives_done,
    };
    (void)snprintf(out->failure, sizeof(out->failure), "%s", run->failure);
}

void lives_run_seed(uint64_t seed, struct result *out)
{
    struct result *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(shared != MAP_FAILED);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        seed_process(seed, shared);
        _exit(0);
    }
    int status = 0;
    ASSERT(pid > 0);
    while (waitpid(pid, &status, 0) < 0)
        continue;
    *out = *shared;
    if (status != 0) {
        out->ok = false;
        (void)snprintf(out->failure, sizeof(out->failure), "the simulator crashed (status %x)",
                       (unsigned)status);
    }
    munmap(shared, sizeof(*shared));
}

void lives_make_bases(void)
{
    wal_segment_shift = LOG_SEGMENT_SHIFT;
    for (uint32_t shards = 1; shards <= SHARDS_MAX; shards++) {
        (void)io_sim_disk_take();
        io_sim_share_memory((uint64_t)RUN_REGION_GB << 30);
        start_run(BASE_SEED, shards);
        run->pool_kb = 16384;
        run->life = (struct life){.cores = shards,
                                  .end = END_STOP,
                                  .disk_room = UINT64_MAX,
                                  .faults = io_sim_usual_faults};
        io_sim_put_file(SIM_DATA "/pg_hba.conf", "host all all all trust\n");
        if (!life_run()) {
            fprintf(stderr, "sim: the base with %u shards could not be made: %s\n", shards,
                    run->failure);
            exit(1);
        }
        bases[shards] = io_sim_disk_take();
    }
}
