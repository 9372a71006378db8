/* Raw parsing: trees, errors with positions, memory, several trees at once, command tags. */
#include "sql/parse/parse.h"

#include <malloc.h>

#include "tests/unit/core/unit.h"

static struct parsed *parse_ok(struct arena *mem, const char *text)
{
    struct parsed *p = NULL;
    err_t e = parse_text(text, mem, &p);
    CHECK(e == ERR_OK);
    return p;
}

static void body_statements(void)
{
    struct arena *mem = arena_new();
    struct parsed *p = parse_ok(mem, "");
    CHECK(p->count == 0);
    parse_free(p);
    p = parse_ok(mem, "  ; ;; -- nothing\n");
    CHECK(p->count == 0);
    parse_free(p);
    p = parse_ok(mem, "select 1; insert into t values (1) ;");
    CHECK(p->count == 2);
    CHECK(p->statements[0].location == 0 && p->statements[0].length == 8);
    CHECK(p->statements[1].location == 9);
    CHECK(strcmp(parse_command_tag(&p->statements[0]), "SELECT") == 0);
    CHECK(strcmp(parse_command_tag(&p->statements[1]), "INSERT") == 0);
    struct parsed *q = parse_ok(mem, "select 'grüße' as \"ß\"");
    parse_free(p); /* the other tree lives on */
    CHECK(strcmp(parse_command_tag(&q->statements[0]), "SELECT") == 0);
    parse_free(q);
    arena_free(mem);
}

static void check_error(const char *text, err_t code, const char *message, int32_t position)
{
    struct arena *mem = arena_new();
    struct parsed *p = NULL;
    err_t e = parse_text(text, mem, &p);
    CHECK(e == code);
    CHECK(strcmp(err_diag()->message, message) == 0);
    CHECK(err_diag()->position == position);
    if (err_diag()->position != position)
        printf("%s: position %d\n", text, err_diag()->position);
    arena_free(mem);
}

static void body_errors(void)
{
    check_error("selec 1", ERR_SYNTAX_ERROR, "syntax error at or near \"selec\"", 1);
    check_error("select 1 fro t x", ERR_SYNTAX_ERROR, "syntax error at or near \"t\"", 14);
    check_error("select 'ü' ü ü", ERR_SYNTAX_ERROR, "syntax error at or near \"ü\"", 14);
    check_error("select (", ERR_SYNTAX_ERROR, "syntax error at end of input", 9);
    check_error("select 'abc", ERR_SYNTAX_ERROR, "unterminated quoted string at or near \"'abc\"",
                8);
    check_error("select U&'\\d83d'", ERR_SYNTAX_ERROR, "invalid Unicode surrogate pair", 16);
}

static void body_memory(void)
{
    struct arena *mem = arena_new();
    size_t before = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20000; i++) {
            struct arena_mark mark = arena_mark(mem);
            struct parsed *p = NULL;
            if (i % 4 == 0)
                CHECK(parse_text("select * from t where )", mem, &p) != ERR_OK);
            else
                parse_free(parse_ok(mem, "select a, b from t where c = $1 and d in (1,2,3)"));
            arena_rewind(mem, mark);
        }
        struct mallinfo2 info = mallinfo2();
        if (round == 0)
            before = info.uordblks;
        else
            CHECK(info.uordblks < before + 64 * 1024);
    }
    arena_free(mem);
}

static void check_tag(const char *text, const char *tag, bool is_exit)
{
    struct arena *mem = arena_new();
    struct parsed *p = parse_ok(mem, text);
    CHECK(p && p->count == 1);
    if (p && p->count == 1) {
        const char *got = parse_command_tag(&p->statements[0]);
        CHECK(strcmp(got, tag) == 0);
        if (strcmp(got, tag) != 0)
            printf("%s: %s\n", text, got);
        CHECK(parse_is_transaction_exit(&p->statements[0]) == is_exit);
    }
    parse_free(p);
    arena_free(mem);
}

static void body_tags(void)
{
    check_tag("begin", "BEGIN", false);
    check_tag("start transaction read only", "START TRANSACTION", false);
    check_tag("end", "COMMIT", true);
    check_tag("rollback to savepoint a", "ROLLBACK", true);
    check_tag("prepare transaction 'x'", "PREPARE TRANSACTION", true);
    check_tag("commit prepared 'x'", "COMMIT PREPARED", false);
    check_tag("release a", "RELEASE", false);
    check_tag("drop index concurrently i", "DROP INDEX", false);
    check_tag("drop operator class x using btree", "DROP OPERATOR CLASS", false);
    check_tag("alter table t add a int", "ALTER TABLE", false);
    check_tag("alter table t rename a to b", "ALTER TABLE", false);
    check_tag("alter index i rename to j", "ALTER INDEX", false);
    check_tag("alter sequence s owner to x", "ALTER SEQUENCE", false);
    check_tag("create table t as select 1", "CREATE TABLE AS", false);
    check_tag("select 1 into t", "SELECT INTO", false);
    check_tag("create function f() returns int language sql as 'select 1'", "CREATE FUNCTION",
              false);
    check_tag("create aggregate a (int) (sfunc = x, stype = int)", "CREATE AGGREGATE", false);
    check_tag("truncate t", "TRUNCATE TABLE", false);
    check_tag("vacuum analyze t", "VACUUM", false);
    check_tag("analyze", "ANALYZE", false);
    check_tag("grant select on t to u", "GRANT", false);
    check_tag("revoke a from b", "REVOKE ROLE", false);
    check_tag("reset all", "RESET", false);
    check_tag("set x.y = 1", "SET", false);
    check_tag("discard all", "DISCARD ALL", false);
    check_tag("deallocate all", "DEALLOCATE ALL", false);
    check_tag("move next from c", "MOVE", false);
    check_tag("close all", "CLOSE CURSOR ALL", false);
    check_tag("copy t from stdin", "COPY", false);
    check_tag("lock t", "LOCK TABLE", false);
    check_tag("checkpoint", "CHECKPOINT", false);
    check_tag("merge into t using s on true when matched then delete", "MERGE", false);
    check_tag("do 'x'", "DO", false);
}

static void statements(void)
{
    unit_run(1, body_statements);
}
static void errors(void)
{
    unit_run(1, body_errors);
}
static void memory(void)
{
    unit_run(1, body_memory);
}
static void tags(void)
{
    unit_run(1, body_tags);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"statements", statements},
        {"errors", errors},
        {"memory", memory},
        {"tags", tags},
    };
    return unit_main("sql_parse", tests, ARRAY_LEN(tests));
}
