/*
 * COPY: text, csv and binary in chunks of every size, out and in again; options; what is refused,
 * with PostgreSQL's messages and contexts.
 */
#include "table_test.h"

#include "sql/exec/copy.h"

/* ---- bytes in and out ---- */

struct source {
    const char *data;
    size_t len;
    size_t at;
    size_t chunk;
};
static err_t source_read(void *owner, const uint8_t **data, size_t *len)
{
    struct source *s = owner;
    *len = MIN(s->chunk, s->len - s->at);
    *data = (const uint8_t *)s->data + s->at;
    s->at += *len;
    return ERR_OK;
}
static err_t sink_write(void *owner, const uint8_t *data, size_t len)
{
    return strbuf_put(owner, data, len);
}

static struct utility_option option_list[8];
static struct copy_options options(bool is_from, const char *const *pairs)
{
    static const char *const names[] = {"id", "grp", "name"};
    struct utility u = {.options = option_list};
    u.copy.is_from = is_from;
    for (; *pairs != NULL; pairs += 2)
        option_list[u.option_count++] =
            (struct utility_option){.name = pairs[0], .value = pairs[1]};
    struct copy_options o;
    CHECK_OK(copy_options_parse(&u, names, 3, mem, &o));
    return o;
}
#define OPTIONS(is_from, ...) options(is_from, (const char *const[]){__VA_ARGS__, NULL})
#define NO_OPTIONS(is_from) options(is_from, (const char *const[]){NULL})

static const int16_t all_columns[] = {1, 2, 3};

/* In a transaction of its own, which is kept only when all went well. */
static SUSPENDS err_t copy_in(const struct copy_options *o, const char *data, size_t len,
                              size_t chunk, uint64_t *rows)
{
    struct source s = {.data = data, .len = len, .chunk = chunk};
    struct txn *x = begin();
    struct copy_from c = {.options = o,
                          .table = t,
                          .column_count = 3,
                          .columns = all_columns,
                          .txn = x,
                          .env = &env,
                          .read = source_read,
                          .owner = &s};
    err_t e = copy_from_wait(&c, rows);
    if (e == ERR_OK)
        return txn_commit_wait(x);
    struct diag *d = malloc(sizeof(*d));
    diag_copy(d, err_diag());
    txn_rollback_wait(x);
    e = err_adopt(d);
    free(d);
    return e;
}

static SUSPENDS struct strbuf copy_out(const struct copy_options *o, uint64_t *rows)
{
    static const char *names[] = {"id", "grp", "name"};
    static const oid types[] = {TYPE_INT4, TYPE_INT4, TYPE_TEXT};
    struct strbuf out;
    strbuf_init(&out, mem);
    struct plan_node *scan = node_of(PLAN_INDEX_SCAN, NULL, NULL);
    scan->scan.table = t;
    scan->scan.index = t_key;
    scan->scan.bounds.array_column = UINT32_MAX;
    struct plan_node *g = gather_of(scan, false);
    g->gather.merge = sort_key(0, TYPE_INT4, false);
    g->gather.merge_count = 1;
    struct txn *x = begin();
    struct exec_options eo = {.plan = plan_of(g), .txn = x, .env = &env};
    struct copy_to c = {.options = o,
                        .column_count = 3,
                        .names = names,
                        .types = types,
                        .env = &env,
                        .write = sink_write,
                        .owner = &out};
    CHECK_OK(exec_start_wait(&eo, &c.exec));
    CHECK_OK(copy_to_wait(&c, rows));
    exec_end_wait(c.exec);
    CHECK_OK(txn_commit_wait(x));
    return out;
}

static SUSPENDS void empty_table(void)
{
    struct plan_node *scan = node_of(PLAN_SEQ_SCAN, NULL, NULL);
    scan->scan.table = t;
    targets_of(scan, 2,
               (struct expr *[]){in(0, COLUMNS, TYPE_INT8), in(0, COLUMNS + 2, TYPE_INT4)});
    struct plan_node *m = node_of(PLAN_MODIFY, scan, NULL);
    m->modify.command = CMD_DELETE;
    m->modify.table = t;
    m->modify.shard_column = 1;
    m->modify.local = true;
    struct plan *p = plan_of(gather_of(m, true));
    p->command = CMD_DELETE;
    struct txn *x = begin();
    uint64_t rows = 0;
    CHECK_OK(run_plan(p, x, NULL, NULL, &rows));
    CHECK_OK(txn_commit_wait(x));
}

/* Text in one form must come out in the other, whatever the chunks. */
static SUSPENDS void round_trip(const struct copy_options *from, const struct copy_options *to,
                                const char *text, size_t len, const char *expected,
                                uint64_t expected_rows)
{
    static const size_t chunks[] = {1, 2, 3, 7, 64, 100000};
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        uint64_t rows = 0;
        CHECK_OK(copy_in(from, text, len, chunks[i], &rows));
        CHECK(rows == expected_rows);
        struct strbuf out = copy_out(to, &rows);
        CHECK(rows == expected_rows);
        if (expected != NULL && strcmp(out.len > 0 ? out.data : "", expected) != 0)
            fprintf(stderr, "got:\n%s\nexpected:\n%s\n", out.data, expected);
        CHECK(expected == NULL || strcmp(out.len > 0 ? out.data : "", expected) == 0);
        empty_table();
    }
}

static SUSPENDS void text_format(void)
{
    struct copy_options from = NO_OPTIONS(true);
    struct copy_options to = NO_OPTIONS(false);
    const char *plain = "1\t2\tone\n2\t\\N\tt\\tw\\\\o\\n\n3\t4\t\\N\n4\t5\t\n";
    round_trip(&from, &to, plain, strlen(plain), plain, 4);
    const char *escapes = "1\t2\t\\x41\\102\\q\n2\t2\tline\\\nbreak\n\\.\nrubbish\n";
    round_trip(&from, &to, escapes, strlen(escapes), "1\t2\tABq\n2\t2\tline\\nbreak\n", 2);
    const char *no_end = "1\t2\tx";
    round_trip(&from, &to, no_end, strlen(no_end), "1\t2\tx\n", 1);
    const char *crlf = "1\t2\tx\r\n2\t3\ty\r\n";
    round_trip(&from, &to, crlf, strlen(crlf), "1\t2\tx\n2\t3\ty\n", 2);
    round_trip(&from, &to, "", 0, "", 0);
    struct copy_options semi = OPTIONS(true, "delimiter", ";", "null", "nil");
    const char *other = "1;nil;a\\;b\n";
    round_trip(&semi, &to, other, strlen(other), "1\t\\N\ta;b\n", 1);
}

static SUSPENDS void csv_format(void)
{
    struct copy_options from = OPTIONS(true, "format", "csv");
    struct copy_options to = OPTIONS(false, "format", "csv");
    const char *text = "1,2,one\n2,,\"a,\"\"b\"\"\nc\"\n3,4,\n4,5,\"\"\n";
    round_trip(&from, &to, text, strlen(text), text, 4);
    struct copy_options header = OPTIONS(true, "format", "csv", "header", "true");
    struct copy_options header_out =
        OPTIONS(false, "format", "csv", "header", "true", "force_quote", "name");
    const char *titled = "id,grp,name\n1,2,x\n2,3,\n";
    round_trip(&header, &header_out, titled, strlen(titled), "id,grp,name\n1,2,\"x\"\n2,3,\n", 2);
    struct copy_options match = OPTIONS(true, "format", "csv", "header", "match");
    round_trip(&match, &header_out, titled, strlen(titled), "id,grp,name\n1,2,\"x\"\n2,3,\n", 2);
    struct copy_options forced =
        OPTIONS(true, "format", "csv", "force_not_null", "name", "force_null", "grp");
    const char *nulls = "1,\"\",\n";
    round_trip(&forced, &to, nulls, strlen(nulls), "1,,\"\"\n", 1);
    struct copy_options escape = OPTIONS(true, "format", "csv", "quote", "'", "escape", "\\");
    const char *quoted = "1,2,'it\\'s \\\\ \\n'\n";
    round_trip(&escape, &to, quoted, strlen(quoted), "1,2,it's \\ \\n\n", 1);
    uint64_t rows = 0;
    const char *wrong = "id,other,name\n";
    CHECK(copy_in(&match, wrong, strlen(wrong), 100, &rows) == ERR_BAD_COPY_FILE_FORMAT);
    CHECK(strcmp(err_diag()->message, "column name mismatch in header line field 2: got "
                                      "\"other\", expected \"grp\"") == 0);
}

static SUSPENDS void binary_format(void)
{
    struct copy_options text = NO_OPTIONS(true);
    struct copy_options from = OPTIONS(true, "format", "binary");
    struct copy_options to = OPTIONS(false, "format", "binary");
    uint64_t rows = 0;
    const char *plain = "1\t2\tone\n2\t\\N\ttwo\n3\t4\t\\N\n";
    CHECK_OK(copy_in(&text, plain, strlen(plain), 100, &rows));
    struct strbuf bytes = copy_out(&to, &rows);
    CHECK(rows == 3 && bytes.len > 21 && memcmp(bytes.data, "PGCOPY\n\377\r\n", 11) == 0);
    empty_table();
    struct copy_options text_out = NO_OPTIONS(false);
    round_trip(&from, &text_out, bytes.data, bytes.len, plain, 3);
    for (size_t cut = 1; cut < bytes.len - 2; cut += 5)
        if (copy_in(&from, bytes.data, cut, 4, &rows) == ERR_OK)
            empty_table(); /* cut between rows: accepted without the trailer */
    CHECK(copy_in(&from, "rubbish rubbish", 15, 3, &rows) == ERR_BAD_COPY_FILE_FORMAT);
    CHECK(strcmp(err_diag()->message, "COPY file signature not recognized") == 0);
}

static SUSPENDS void refused(const char *text, err_t code, const char *message, const char *context)
{
    struct copy_options from = NO_OPTIONS(true);
    uint64_t rows = 0;
    CHECK(copy_in(&from, text, strlen(text), 10, &rows) == code);
    if (strcmp(err_diag()->message, message) != 0)
        fprintf(stderr, "got: %s\n", err_diag()->message);
    CHECK(strcmp(err_diag()->message, message) == 0);
    const char *got = err_diag()->context != NULL ? err_diag()->context : "";
    if (strcmp(got, context) != 0)
        fprintf(stderr, "got: %s\nexpected: %s\n", got, context);
    CHECK(strcmp(got, context) == 0);
}

static SUSPENDS void errors(void)
{
    refused("1\t2\tx\n2\tq\ty\n", ERR_INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type integer: \"q\"", "COPY t, line 2, column grp: \"q\"");
    refused("1\t2\tx\n2\t3\n", ERR_BAD_COPY_FILE_FORMAT, "missing data for column \"name\"",
            "COPY t, line 2: \"2\t3\"");
    refused("1\t2\tx\ty\n", ERR_BAD_COPY_FILE_FORMAT, "extra data after last expected column",
            "COPY t, line 1: \"1\t2\tx\ty\"");
    refused("1\t2\tx\n\\N\t3\ty\n", ERR_NOT_NULL_VIOLATION,
            "null value in column \"id\" of relation \"t\" violates not-null constraint",
            "COPY t, line 2: \"\\N\t3\ty\"");
    refused("1\t-2\tx\n", ERR_CHECK_VIOLATION,
            "new row for relation \"t\" violates check constraint \"t_grp_check\"",
            "COPY t, line 1: \"1\t-2\tx\"");
    refused("1\t2\tx\n2\t2\ty\n1\t3\tz\n4\t2\tw\n", ERR_UNIQUE_VIOLATION,
            "duplicate key value violates unique constraint \"t_pkey\"", "COPY t, line 3");
    refused("1\t2\tx\r\n2\t2\ty\n", ERR_BAD_COPY_FILE_FORMAT, "literal newline found in data",
            "COPY t, line 2");
    uint64_t rows = 0;
    struct copy_options csv = OPTIONS(true, "format", "csv");
    const char *open = "1,2,\"x\n";
    CHECK(copy_in(&csv, open, strlen(open), 10, &rows) == ERR_BAD_COPY_FILE_FORMAT);
    CHECK(strcmp(err_diag()->message, "unterminated CSV quoted field") == 0);
}

static void bad_option(const char *a, const char *a_value, const char *b, const char *b_value,
                       const char *message)
{
    static const char *const names[] = {"id", "grp", "name"};
    struct utility_option list[2] = {{.name = a, .value = a_value}, {.name = b, .value = b_value}};
    struct utility u = {.options = list, .option_count = b != NULL ? 2 : 1};
    u.copy.is_from = true;
    struct copy_options o;
    CHECK(copy_options_parse(&u, names, 3, mem, &o) != ERR_OK);
    if (strcmp(err_diag()->message, message) != 0)
        fprintf(stderr, "got: %s\n", err_diag()->message);
    CHECK(strcmp(err_diag()->message, message) == 0);
}

static void bad_options(void)
{
    bad_option("colour", "red", NULL, NULL, "option \"colour\" not recognized");
    bad_option("format", "xml", NULL, NULL, "COPY format \"xml\" not recognized");
    bad_option("format", "csv", "format", "csv", "conflicting or redundant options");
    bad_option("delimiter", "ab", NULL, NULL, "COPY delimiter must be a single one-byte character");
    bad_option("delimiter", "a", NULL, NULL, "COPY delimiter cannot be \"a\"");
    bad_option("delimiter", "\n", NULL, NULL,
               "COPY delimiter cannot be newline or carriage return");
    bad_option("quote", "'", NULL, NULL, "COPY quote available only in CSV mode");
    bad_option("format", "binary", "delimiter", ",", "cannot specify DELIMITER in BINARY mode");
    bad_option("format", "csv", "quote", ",", "COPY delimiter and quote must be different");
    bad_option("format", "csv", "force_null", "nope",
               "FORCE_NULL column \"nope\" not referenced by COPY");
    bad_option("format", "csv", "force_quote", "id",
               "COPY force quote only available using COPY TO");
}

static SUSPENDS void body(void)
{
    mem = arena_new();
    struct shard_options o = {.data_directory = test_directory,
                              .pool_bytes = MIB(8),
                              .version_bytes_max = MIB(64),
                              .wal_buffer_bytes = MIB(1),
                              .max_wal_bytes = MIB(256),
                              .checkpoint_timeout_us = 1000000000};
    CHECK_OK(shards_create_wait(&o, 2));
    CHECK_OK(shards_open_wait(&o));
    tables_new(false);
    create();
    text_format();
    csv_format();
    binary_format();
    errors();
    bad_options();
    CHECK_OK(shards_close_wait());
    arena_free(mem);
}

static void copy(void)
{
    test_directory_make();
    unit_run(2, body);
    test_directory_remove();
}

int main(void)
{
    const struct unit_test tests[] = {{"copy", copy}};
    return unit_main("sql_exec copy", tests, ARRAY_LEN(tests));
}
