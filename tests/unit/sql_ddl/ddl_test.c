/*
 * DDL on real clusters of 1 and 3 shards, from SQL text: tables with rows, redistribution by a new
 * key, index builds, uniqueness over all shards, dependencies, rollback.
 */
#include "tests/unit/sql_catalog/catalog_test.h"

#include "sql/analyze/utility.h"
#include "sql/ddl/ddl.h"
#include "sql/exec/exec.h"
#include "sql/parse/parse.h"

static struct client client;
static int64_t result; /* first column of the last query's last row */
static const char *tag;

/* A session's nextval is not part of this test. */
static err_t everything_allowed(void *owner, char kind, oid object, const char *letters)
{
    (void)owner, (void)kind, (void)object, (void)letters;
    return ERR_OK;
}

static err_t numbers(void *owner, oid sequence, int64_t *out)
{
    static int64_t last;
    (void)owner;
    CHECK(sequence != 0);
    *out = ++last;
    return ERR_OK;
}

static SUSPENDS err_t run_query(const struct query *q)
{
    struct plan_options po = {.catalog = &client.cs, .env = &client.env};
    struct plan *p;
    struct exec *run;
    TRY(plan_query_wait(&po, q, client.mem, &p));
    struct exec_options o = {.plan = p, .txn = client.cs.txn, .env = &client.env};
    TRY(exec_start_wait(&o, &run));
    err_t e;
    const struct slot *row = NULL;
    while ((e = exec_next_wait(run, &row)) == ERR_OK && row)
        result = row->count ? datum_i64(row->values[0]) : 0;
    exec_end_wait(run);
    return e;
}

static SUSPENDS err_t run_statement(const char *text)
{
    struct parsed *parsed;
    struct statement *s;
    struct analyze_options o = {.catalog = &client.cs, .env = &client.env, .text = text};
    TRY(parse_text(text, client.mem, &parsed));
    err_t e = analyze_statement_wait(&o, &parsed->statements[0], client.mem, &s);
    if (e == ERR_OK && s->command == CMD_UTILITY) {
        struct ddl_context x = {
            .catalog = &client.cs, .env = &client.env, .mem = client.mem, .text = text};
        e = s->utility->kind == UTIL_DDL ? ddl_execute_wait(&x, s->utility->ddl, &tag)
                                         : err_raise(ERR_INTERNAL_ERROR, "not DDL");
    } else if (e == ERR_OK) {
        e = run_query(s->query);
    }
    parse_free(parsed);
    return e;
}

/* In a transaction of its own. */
static SUSPENDS err_t run(const char *text)
{
    client_begin(&client);
    err_t e = run_statement(text);
    if (e != ERR_OK) {
        struct diag *d = malloc(sizeof(*d));
        diag_copy(d, err_diag());
        client_rollback_wait(&client);
        e = err_adopt(d);
        free(d);
        return e;
    }
    return client_commit_wait(&client);
}

static SUSPENDS int64_t ask(const char *text)
{
    result = -1;
    CHECK_OK(run(text));
    return result;
}

static SUSPENDS void keyless_gets_key(void)
{
    CHECK_OK(run("CREATE TABLE k (id int, v text)"));
    CHECK_OK(run("INSERT INTO k SELECT g, 'v' || g FROM generate_series(1, 3000) g"));
    CHECK_OK(run("ALTER TABLE k ADD PRIMARY KEY (id)"));
    CHECK(ask("SELECT count(*) FROM k") == 3000);
    CHECK(ask("SELECT sum(id)::int8 FROM k") == 3000 * 3001 / 2);
    CHECK(ask("SELECT id::int8 FROM k WHERE id = 777") == 777);
    const struct table_desc *t;
    CHECK_OK(table_by_name_wait(&client.cs, NULL, "k", &t));
    CHECK(t && t->distribution == DISTRIBUTED_HASH && t->shard_key_count == 1);
    CHECK(t && t->columns[0].not_null);
    table_release(t);
    CHECK(run("INSERT INTO k VALUES (5, 'again')") == ERR_UNIQUE_VIOLATION);
    CHECK(run("INSERT INTO k VALUES (null, 'x')") == ERR_NOT_NULL_VIOLATION);
}

static SUSPENDS void duplicates_are_found(void)
{
    CHECK_OK(run("CREATE TABLE d (id int, v int)"));
    CHECK_OK(run("INSERT INTO d SELECT g, g / 2 FROM generate_series(1, 100) g"));
    CHECK(run("CREATE UNIQUE INDEX d_v ON d (v)") == ERR_UNIQUE_VIOLATION);
    CHECK(strcmp(err_diag()->message, "could not create unique index \"d_v\"") == 0);
    CHECK(err_diag()->detail && strncmp(err_diag()->detail, "Key (v)=(", 9) == 0);
    /* nothing is left of it */
    oid index;
    char kind;
    CHECK_OK(catalog_relation_oid_wait(&client.cs, NULL, "d_v", &index, &kind));
    CHECK(index == 0);
    CHECK_OK(run("CREATE UNIQUE INDEX d_id ON d (id)"));
    CHECK(run("INSERT INTO d VALUES (50, 0)") == ERR_UNIQUE_VIOLATION);
    CHECK_OK(run("INSERT INTO d VALUES (null, 0), (null, 0)"));
    CHECK_OK(run("DROP TABLE d"));
}

static SUSPENDS void columns_change(void)
{
    CHECK_OK(run("ALTER TABLE k ADD COLUMN n int DEFAULT 7, ADD COLUMN s serial"));
    CHECK(ask("SELECT sum(n)::int8 FROM k") == 21000);
    CHECK(ask("SELECT count(DISTINCT s) FROM k") == 3000);
    CHECK_OK(run("ALTER TABLE k ALTER COLUMN n TYPE int8 USING n * 2"));
    CHECK(ask("SELECT n FROM k WHERE id = 3") == 14);
    CHECK_OK(run("ALTER TABLE k DROP COLUMN v"));
    CHECK(run("ALTER TABLE k DROP COLUMN v") == ERR_UNDEFINED_COLUMN);
    CHECK(run("SELECT v FROM k") == ERR_UNDEFINED_COLUMN);
    CHECK(ask("SELECT id::int8 FROM k WHERE n = 14 AND id = 9") == 9);
    CHECK(run("ALTER TABLE k ADD CHECK (id > 1)") == ERR_CHECK_VIOLATION);
    CHECK_OK(run("ALTER TABLE k ADD CONSTRAINT c CHECK (id > 0)"));
    CHECK(run("INSERT INTO k (id) VALUES (-1)") == ERR_CHECK_VIOLATION);
}

static SUSPENDS void undone(void)
{
    client_begin(&client);
    CHECK_OK(run_statement("CREATE TABLE gone (id int PRIMARY KEY)"));
    txn_statement_begin(client.cs.txn);
    CHECK_OK(run_statement("TRUNCATE k"));
    txn_statement_begin(client.cs.txn);
    result = -1;
    CHECK_OK(run_statement("SELECT count(*) FROM k"));
    CHECK(result == 0);
    client_rollback_wait(&client);
    CHECK(ask("SELECT count(*) FROM k") == 3000);
    CHECK(run("SELECT * FROM gone") == ERR_UNDEFINED_TABLE);
}

static SUSPENDS void dependencies(void)
{
    CHECK_OK(run("CREATE VIEW kv AS SELECT id, n FROM k WHERE id < 10"));
    CHECK(ask("SELECT count(*) FROM kv") == 9);
    CHECK(run("DROP TABLE k") == ERR_DEPENDENT_OBJECTS_STILL_EXIST);
    CHECK(run("ALTER TABLE k DROP COLUMN n") == ERR_DEPENDENT_OBJECTS_STILL_EXIST);
    CHECK(run("DROP INDEX k_pkey") == ERR_DEPENDENT_OBJECTS_STILL_EXIST);
    CHECK(run("DROP SEQUENCE k_s_seq") == ERR_DEPENDENT_OBJECTS_STILL_EXIST);
    CHECK(run("DROP VIEW k") == ERR_WRONG_OBJECT_TYPE);
    CHECK_OK(run("DROP TABLE k CASCADE"));
    CHECK(run("SELECT * FROM kv") == ERR_UNDEFINED_TABLE);
    CHECK(ask("SELECT count(*) FROM pg_class WHERE oid >= 16384") == 0);
    CHECK(ask("SELECT count(*) FROM pg_attribute WHERE attrelid >= 16384") == 0);
    CHECK(ask("SELECT count(*) FROM pg_depend WHERE objid >= 16384") == 0);
    CHECK(ask("SELECT count(*) FROM pg_type WHERE oid >= 16384") == 0);
    CHECK(ask("SELECT count(*) FROM pg_constraint WHERE oid >= 16384") == 0);
}

static SUSPENDS void body(void)
{
    client_init(&client);
    client.services.nextval = numbers;
    client.services.privilege_require = everything_allowed;
    ddl_start();
    keyless_gets_key();
    duplicates_are_found();
    columns_change();
    undone();
    dependencies();
    arena_free(client.mem);
}

static void one_shard(void)
{
    cluster_with(1, 1, body);
}
static void three_shards_of_two_cores(void)
{
    cluster_with(2, 3, body);
}

int main(void)
{
    const struct unit_test tests[] = {{"one shard", one_shard},
                                      {"three shards of two cores", three_shards_of_two_cores}};
    return unit_main("sql_ddl", tests, ARRAY_LEN(tests));
}
