/*
 * Micro-benchmarks of statements: a whole server without a network, one core, in a directory of its
 * own. The parts (scan, grammar, wire, tree) and whole statements through a session, so that their
 * difference shows what lies between. Commits do not wait for the disk.
 */
#include "net/conn_priv.h"
#include "perf/micro.h"
#include "shard/shard_priv.h"
#include "sql/parse/parse.h"
#include "sql/session/literals.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    STACK_BYTES = 1 << 20,
    ROWS = 20000,
    TEXT_BYTES = 128,
    INDEX = 900001,
    HEAP = 900002,
    SEARCHES_PER_TRANSACTION = 16,
};

static struct session *session;
static struct conn wire;
static struct row_sink wire_sink;
static struct arena *mem;
static uint64_t rows_seen;
static uint64_t next_row = ROWS + 1;
static uint64_t next_key;
static uint32_t failures;
static char directory[64];

static void check(err_t e)
{
    if (e == ERR_OK || failures++ > 0)
        return;
    fprintf(stderr, "%s: %s\n", err_sqlstate(e), err_diag()->message);
}

/* ---- where results go ---- */

static err_t sink_describe_none(struct row_sink *s, const struct result_column *columns,
                                uint32_t count, const int16_t *formats)
{
    (void)s;
    (void)columns;
    (void)count;
    (void)formats;
    return ERR_OK;
}
static err_t sink_row_count(struct row_sink *s, const struct result_column *columns, uint32_t count,
                            const int16_t *formats, const datum *values, const bool *nulls)
{
    (void)s;
    (void)columns;
    (void)count;
    (void)formats;
    (void)values;
    (void)nulls;
    rows_seen++;
    return ERR_OK;
}
static err_t sink_complete_none(struct row_sink *s, const char *tag)
{
    (void)s;
    (void)tag;
    return ERR_OK;
}
static err_t sink_notice_none(struct row_sink *s, const char *severity, const struct diag *d)
{
    (void)s;
    (void)severity;
    (void)d;
    return ERR_OK;
}
static err_t sink_parameter_none(struct row_sink *s, const char *name, const char *value)
{
    (void)s;
    (void)name;
    (void)value;
    return ERR_OK;
}

static struct row_sink quiet = {
    .describe = sink_describe_none,
    .row = sink_row_count,
    .complete = sink_complete_none,
    .notice = sink_notice_none,
    .parameter = sink_parameter_none,
};

/* ---- parts ---- */

static const char point_select[] = "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;";

static void run_parse(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct parsed *p = NULL;
        check(parse_text(point_select, mem, &p));
        if (p)
            parse_free(p);
        arena_reset(mem);
    }
}

static void run_literals(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct literals l;
        failures += !literals_take(point_select, true, mem, &l);
        arena_reset(mem);
    }
}

static NO_SUSPEND_ANALYSIS void run_wire(uint64_t n)
{
    static const struct result_column columns[] = {{.name = "a", .type = TYPE_INT4},
                                                   {.name = "b", .type = TYPE_TEXT}};
    static const int16_t formats[2];
    static const bool nulls[2];
    datum values[2] = {datum_of_i32(123456), datum_of_text(mem, "some text of a row")};
    for (uint64_t i = 0; i < n; i++) {
        check(wire_sink.row(&wire_sink, columns, 2, formats, values, nulls));
        check(wire_sink.complete(&wire_sink, "SELECT 1"));
        wire.out.end = 0;
    }
    arena_reset(mem);
}

static SUSPENDS err_t index_make(struct txn_view *v)
{
    return shard_file_create_wait(shard_local(0), v, INDEX, FILE_BTREE);
}

/* ns of one operation, with a share of the transaction around SEARCHES_PER_TRANSACTION of them. */
static NO_SUSPEND_ANALYSIS void with_index(uint64_t n, err_t (*fn)(struct txn_view *v), bool write)
{
    struct txn_options o = {.isolation = READ_COMMITTED, .session = 1};
    for (uint64_t done = 0; done < n; done += SEARCHES_PER_TRANSACTION) {
        struct txn *t = txn_begin(&o);
        txn_statement_begin(t);
        struct txn_view v = txn_view_make(t, 0, write);
        for (uint64_t i = done; i < MIN(n, done + SEARCHES_PER_TRANSACTION); i++)
            check(fn(&v));
        txn_merge(t, 0, &v);
        check(txn_commit_wait(t));
    }
}

static NO_SUSPEND_ANALYSIS err_t index_insert_one(struct txn_view *v)
{
    uint8_t key[8];
    store_be64(key, next_key++ * UINT64_C(0x9e3779b97f4a7c15));
    return index_insert_wait(shard_local(0), v, INDEX, HEAP, key, sizeof(key),
                             row_make((uint32_t)next_key, 1), INDEX_NOT_UNIQUE, NULL);
}

static NO_SUSPEND_ANALYSIS err_t index_find_one(struct txn_view *v)
{
    uint8_t key[8];
    store_be64(key, core_random_u64() % (next_key + 1) * UINT64_C(0x9e3779b97f4a7c15));
    struct index_range range = {.low = key,
                                .low_len = sizeof(key),
                                .high = key,
                                .high_len = sizeof(key),
                                .high_inclusive = true};
    struct index_scan *scan;
    TRY(index_scan_begin_wait(shard_local(0), v, INDEX, HEAP, &range, mem, &scan));
    row_id id;
    const uint8_t *found;
    uint32_t len;
    err_t e = index_scan_next_wait(scan, &id, &found, &len);
    index_scan_end(scan);
    arena_reset(mem);
    return e;
}

static void run_index_insert(uint64_t n)
{
    with_index(n, index_insert_one, true);
}
static void run_index_find(uint64_t n)
{
    with_index(n, index_find_one, false);
}

/* ---- statements ---- */

static NO_SUSPEND_ANALYSIS void query(const char *text)
{
    check(session_query_wait(session, text));
}

static void run_select_one(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        query("SELECT 1");
}

static void run_select_key(uint64_t n)
{
    char text[TEXT_BYTES];
    for (uint64_t i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "SELECT n FROM t WHERE id = %u",
                 (unsigned)(core_random_u64() % ROWS) + 1);
        query(text);
    }
}

/* Another text each time that the cache does not take. */
static void run_select_planned(uint64_t n)
{
    char text[TEXT_BYTES];
    for (uint64_t i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "SELECT n FROM t WHERE id = %u::int",
                 (unsigned)(core_random_u64() % ROWS) + 1);
        query(text);
    }
}

static NO_SUSPEND_ANALYSIS void run_select_prepared(uint64_t n)
{
    char digits[16];
    for (uint64_t i = 0; i < n; i++) {
        int len = snprintf(digits, sizeof(digits), "%u", (unsigned)(core_random_u64() % ROWS) + 1);
        struct bind_value value = {.bytes = (const uint8_t *)digits, .len = len};
        check(session_bind_wait(session, "", "by_id", &value, 1, NULL, 0, NULL, 0));
        check(session_execute_wait(session, "", 0));
        check(session_sync_wait(session));
    }
}

static void run_update(uint64_t n)
{
    char text[TEXT_BYTES];
    for (uint64_t i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "UPDATE t SET n = n + 1 WHERE id = %u",
                 (unsigned)(core_random_u64() % ROWS) + 1);
        query(text);
    }
}

static void run_insert(uint64_t n)
{
    char text[TEXT_BYTES];
    for (uint64_t i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "INSERT INTO t VALUES (%llu, 0, 'some text of a row')",
                 (unsigned long long)next_row++);
        query(text);
    }
}

/* 1000 rows through one expression: what a row of it costs is a thousandth. */
static void run_expression(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        query("SELECT count(*) FROM generate_series(1, 1000) g WHERE g * 3 + 1 > g AND g <> 500");
}

static const struct micro list[] = {
    {"literals: scan of a point SELECT", "0.4 us", run_literals, sizeof(point_select) - 1, 0},
    {"parse: grammar of a point SELECT", "1.5 us", run_parse, sizeof(point_select) - 1, 0},
    {"wire: row of two columns and its end", "50 ns", run_wire, 58, 0},
    {"tree: insert, committed in sixteens", "1 us", run_index_insert, 0, 0},
    {"tree: look-up, in sixteens", "0.5 us", run_index_find, 0, 0},
    {"session: SELECT 1, plan-cache hit", "1.5 us", run_select_one, 0, 0},
    {"session: point SELECT, plan-cache hit", "3 us", run_select_key, 0, 0},
    {"session: point SELECT, prepared", "3 us", run_select_prepared, 0, 0},
    {"session: point SELECT, planned each time", "20 us", run_select_planned, 0, 0},
    {"session: UPDATE by key, not durable", "8 us", run_update, 0, 0},
    {"session: INSERT of a row, not durable", "8 us", run_insert, 0, 0},
    {"expression: filter of 1000 rows", "80 us", run_expression, 0, 0},
};

/* ---- the server ---- */

static SUSPENDS err_t start_wait(void)
{
    struct shard_options o = {
        .data_directory = directory,
        .pool_bytes = MIB(64),
        .version_bytes_max = MIB(64),
        .wal_buffer_bytes = MIB(4),
        .max_wal_bytes = MIB(512),
        .checkpoint_timeout_us = UINT64_C(1000000000),
    };
    TRY(shards_create_wait(&o, 1));
    TRY(shards_open_wait(&o));
    struct sql_options sql = {.bootstrap = true, .superuser = "postgres"};
    TRY(sql_start_wait(&sql));
    struct session_options so = {
        .database = "postgres", .user = "postgres", .client_address = "", .client_port = -1};
    TRY(session_open_wait(&so, &quiet, &session));
    TRY(session_query_wait(session, "SET synchronous_commit = off"));
    TRY(session_query_wait(session, "CREATE TABLE t (id int PRIMARY KEY, n int, filler text)"));
    char text[TEXT_BYTES];
    snprintf(text, sizeof(text),
             "INSERT INTO t SELECT g, 0, 'some text' FROM generate_series(1, %d) g", ROWS);
    TRY(session_query_wait(session, text));
    TRY(session_query_wait(session, "ANALYZE t"));
    TRY(session_parse_wait(session, "by_id", "SELECT n FROM t WHERE id = $1", NULL, 0));
    return session_sync_wait(session);
}

static SUSPENDS void make_index_wait(void)
{
    struct txn_options o = {.isolation = READ_COMMITTED, .session = 1};
    struct txn *t = txn_begin(&o);
    txn_statement_begin(t);
    struct txn_view v = txn_view_make(t, 0, true);
    check(index_make(&v));
    txn_merge(t, 0, &v);
    check(txn_commit_wait(t));
}

static SUSPENDS void entry(void *arg)
{
    (void)arg;
    mem = arena_new();
    wire.scratch = arena_new();
    sink_init(&wire_sink, &wire);
    wire.sink = &wire_sink;
    check(start_wait());
    if (failures == 0) {
        make_index_wait();
        micro_run_all(list, ARRAY_LEN(list));
    }
    if (session)
        session_close_wait(session);
    shards_abandon_wait();
    bytes_free(&wire.out);
    arena_free(wire.scratch);
    arena_free(mem);
    core_stop_all();
}

int micro_sql_main(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/percore-micro-XXXXXX");
    if (!mkdtemp(directory))
        return 1;
    struct core_options o = {.core_count = 1, .fiber_stack_bytes = STACK_BYTES};
    check(core_run(&o, entry, NULL));
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "%s is left behind\n", directory);
    return failures != 0;
}
