/*
 * percore-check: verifies a stopped data directory. It never changes it.
 *
 *   1. The directory as it lies on the disk (shard/check.h): superblocks, page maps, checksums and
 *      structure of every page of the newest checkpoint, the log up to its torn tail. What recovery
 *      needs is copied into a scratch directory on the way.
 *   2. Recovery runs on that copy, by the server's own code, and the recovered databases are
 *      checked (sql/ddl/check.c): trees, forwards and chains of chunks, index entries against rows
 *      both ways, map tables, sequences, files and catalogs.
 *
 * Each step is a process of its own, so that not even a crash of the code that reads damaged data
 * ends the check: it is one of the problems then. A running server checks itself by SQL: SELECT *
 * FROM percore_check().
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/core.h"
#include "core/settings.h"
#include "shard/check.h"
#include "shard/held.h"
#include "sql/sql.h"

enum { PATH_BYTES_MAX = 4096, EXIT_CLEAN = 0, EXIT_PROBLEMS = 1, EXIT_NOT_RUN = 2 };

static struct {
    const char *directory;
    const char *scratch_base;
    char scratch[PATH_BYTES_MAX];
    bool disk_only;
    bool is_quiet;
    uint64_t problems;
    int exit_code; /* of a step */
} check;

static void usage(void)
{
    puts("percore-check verifies a stopped data directory without changing it.\n"
         "\n"
         "Usage:\n"
         "  percore-check [OPTION]... [-D] DIR\n"
         "\n"
         "Options:\n"
         "  -D DIR         data directory\n"
         "  --scratch DIR  where the copy for recovery is made ($TMPDIR or /tmp); it needs as\n"
         "                 much space as the data\n"
         "  --disk-only    only what lies on the disk: no copy, no recovery, no databases\n"
         "  -q             only problems are printed\n"
         "  --help\n"
         "\n"
         "Exit status: 0 clean, 1 problems were found, 2 the check could not run.\n"
         "A running server checks the database of a session: SELECT * FROM percore_check();");
}

NORETURN static void cannot(const char *what, const char *why)
{
    fprintf(stderr, "percore-check: %s%s%s\n", what, why[0] ? ": " : "", why);
    exit(EXIT_NOT_RUN);
}

static void parse_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        bool has_next = i + 1 < argc;
        if (strcmp(a, "--help") == 0 || strcmp(a, "-?") == 0) {
            usage();
            exit(0);
        }
        if (strcmp(a, "-D") == 0 && has_next)
            check.directory = argv[++i];
        else if (strcmp(a, "--scratch") == 0 && has_next)
            check.scratch_base = argv[++i];
        else if (strcmp(a, "--disk-only") == 0)
            check.disk_only = true;
        else if (strcmp(a, "-q") == 0)
            check.is_quiet = true;
        else if (a[0] != '-' && check.directory == NULL)
            check.directory = a;
        else
            cannot("unexpected argument (see --help)", a);
    }
    if (check.directory == NULL)
        cannot("no data directory: use -D", "");
    if (check.scratch_base == NULL)
        check.scratch_base = getenv("TMPDIR");
    if (check.scratch_base == NULL)
        check.scratch_base = "/tmp";
}

/* Keeps a server from starting meanwhile, and finds one that runs. */
static void lock_directory(void)
{
    char path[PATH_BYTES_MAX];
    struct stat st;
    if (snprintf(path, sizeof(path), "%s/PG_VERSION", check.directory) >= (int)sizeof(path))
        cannot("directory name is too long", check.directory);
    if (stat(path, &st) != 0)
        cannot("not an initialised data directory", check.directory);
    (void)snprintf(path, sizeof(path), "%s/percore.pid", check.directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return;
    if (fd < 0)
        cannot("could not open the lock file", strerror(errno));
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        cannot("a server is running in the directory", "there, use SELECT * FROM percore_check()");
    /* kept open for the process's life */
}

static void print_problem(const char *database, const char *text)
{
    if (database != NULL)
        printf("database %s: %s\n", database, text);
    else
        printf("%s\n", text);
    check.problems++;
}

static COLD int step_failed(void)
{
    const struct diag *d = err_diag();
    fprintf(stderr, "percore-check: %s\n", d->message ? d->message : "unknown error");
    return EXIT_NOT_RUN;
}

/* ---- step 1: the disk ---- */

static void disk_problem(struct check_report *r, const char *text)
{
    (void)r;
    print_problem(NULL, text);
}

static SUSPENDS void disk_step(void *arg)
{
    (void)arg;
    struct check_report report = {.problem = disk_problem};
    struct check_totals t;
    err_t e =
        check_directory_wait(check.directory, check.disk_only ? NULL : check.scratch, &report, &t);
    check.exit_code = e != ERR_OK           ? step_failed()
                      : report.problems > 0 ? EXIT_PROBLEMS
                                            : EXIT_CLEAN;
    if (e == ERR_OK && !check.is_quiet)
        printf("%u shards, %llu of %llu blocks in use, %llu pages, %llu log records to replay, "
               "shut down %s\n",
               t.shards, (unsigned long long)t.blocks_used, (unsigned long long)t.blocks,
               (unsigned long long)t.pages, (unsigned long long)t.log_records,
               t.clean ? "cleanly" : "by a crash");
    core_stop_all();
}

/* ---- step 2: the recovered databases ---- */

static void database_problem(void *owner, const char *database, const char *text)
{
    (void)owner;
    print_problem(database, text);
}

static SUSPENDS err_t recovered_wait(void)
{
    struct shard_options o = {
        .data_directory = check.scratch,
        .pool_bytes = MIB(64),
        .version_bytes_max = MIB(1024),
        .wal_buffer_bytes = MIB(4),
        .max_wal_bytes = MIB(1024),
        .checkpoint_timeout_us = UINT64_C(3600000000),
    };
    uint32_t shards;
    bool clean;
    TRY(shards_inspect_wait(&o, &shards, &clean));
    o.pool_bytes = MAX(MIB(256) / shards, MIB(4));
    TRY(shards_open_wait(&o));
    struct sql_options sql = {.superuser = "postgres"};
    TRY(sql_start_wait(&sql));
    /* Prepared transactions keep writers' locks and leave tables half changed: their undo is
     * checked with the rest. */
    TRY(held_rollback_all_wait());
    TRY(sql_check_wait(database_problem, NULL));
    struct arena *mem = arena_new();
    err_t e = ERR_OK;
    for (uint32_t i = 0; i < shards && e == ERR_OK; i++)
        e = shard_verify_wait(shard_local(i), mem);
    arena_free(mem);
    return e;
}

static SUSPENDS void recovery_step(void *arg)
{
    (void)arg;
    err_t e = recovered_wait();
    if (e == ERR_IO_ERROR || e == ERR_DISK_FULL || e == ERR_OUT_OF_MEMORY) {
        check.exit_code = step_failed();
    } else if (e != ERR_OK) {
        const struct diag *d = err_diag();
        char text[1024];
        (void)snprintf(text, sizeof(text), "after recovery: %s%s%s", d->message,
                       d->detail ? "; " : "", d->detail ? d->detail : "");
        print_problem(NULL, text);
    }
    if (check.exit_code == EXIT_CLEAN && check.problems > 0)
        check.exit_code = EXIT_PROBLEMS;
    shards_abandon_wait();
    core_stop_all();
}

/* ---- steps as processes ---- */

static int run_step(void (*step)(void *arg), const char *name)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        cannot("could not start a process", strerror(errno));
    if (pid == 0) {
        static const int any = -1;
        struct core_options o = {.core_count = 1, .cpus = &any, .numa_nodes = &any};
        if (core_run(&o, step, NULL) != ERR_OK)
            check.exit_code = step_failed();
        (void)fflush(NULL);
        _exit(check.exit_code);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    printf("%s crashed with signal %d\n", name, WTERMSIG(status));
    return EXIT_PROBLEMS;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    lock_directory();
    if (!check.disk_only) {
        if (snprintf(check.scratch, sizeof(check.scratch), "%s/percore-check-XXXXXX",
                     check.scratch_base) >= (int)sizeof(check.scratch))
            cannot("directory name is too long", check.scratch_base);
        if (mkdtemp(check.scratch) == NULL)
            cannot("could not make a scratch directory", strerror(errno));
    }
    int result = run_step(disk_step, "the check of the disk");
    if (!check.disk_only && result != EXIT_NOT_RUN) {
        int second = run_step(recovery_step, "recovery");
        result = MAX(result, second);
    }
    if (!check.disk_only)
        (void)nftw(check.scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (result == EXIT_CLEAN && !check.is_quiet)
        puts("clean");
    return result;
}
