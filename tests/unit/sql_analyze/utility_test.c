/* Utility statements: what is taken over from the raw tree. */
#include "sql/analyze/utility.h"
#include "sql/parse/parse.h"
#include "tests/unit/core/unit.h"
#include "tests/unit/sql_analyze/table.h"

static struct arena *mem;

static SUSPENDS const struct utility *analysed(const char *text)
{
    struct analyze_options o = test_options(text);
    struct parsed *p = NULL;
    struct statement *st = NULL;
    CHECK_OK(parse_text(text, mem, &p));
    if (!p)
        return NULL;
    CHECK_OK(analyze_statement_wait(&o, &p->statements[0], mem, &st));
    parse_free(p); /* results outlive the tree */
    return st ? st->utility : NULL;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static SUSPENDS void check_set(const char *text, enum utility_kind kind, const char *name,
                               const char *value)
{
    const struct utility *u = analysed(text);
    bool ok = u && u->kind == kind && same(u->name, name) && same(u->value, value);
    CHECK(ok);
    if (!ok && u)
        fprintf(stderr, "%s: %d %s = %s\n", text, (int)u->kind, u->name, u->value);
}

static SUSPENDS void body_settings(void)
{
    mem = arena_new();
    check_set("set work_mem = '4MB'", UTIL_SET, "work_mem", "4MB");
    check_set("set work_mem to 64", UTIL_SET, "work_mem", "64");
    check_set("set enable_sort = off", UTIL_SET, "enable_sort", "off");
    check_set("set x.y = -1.5", UTIL_SET, "x.y", "-1.5");
    check_set("set search_path = a, \"B c\", 'd'", UTIL_SET, "search_path", "a, \"B c\", d");
    check_set("set datestyle = ISO, 'MDY'", UTIL_SET, "datestyle", "iso, MDY");
    check_set("set work_mem to default", UTIL_SET, "work_mem", NULL);
    check_set("set time zone 'UTC'", UTIL_SET, "timezone", "UTC");
    check_set("set names 'utf8'", UTIL_SET, "client_encoding", "utf8");
    check_set("reset work_mem", UTIL_RESET, "work_mem", NULL);
    check_set("show work_mem", UTIL_SHOW, "work_mem", NULL);
    CHECK(analysed("show all")->kind == UTIL_SHOW_ALL);
    CHECK(analysed("reset all")->kind == UTIL_RESET_ALL);
    CHECK(analysed("set local work_mem = 1")->is_local);
    arena_free(mem);
}

static SUSPENDS void body_transactions(void)
{
    mem = arena_new();
    const struct utility *u = analysed("begin isolation level repeatable read, read only");
    CHECK(u->kind == UTIL_BEGIN && u->isolation == 1 && u->read_only == 1 && u->deferrable == -1);
    u = analysed("start transaction read write deferrable");
    CHECK(u->kind == UTIL_BEGIN && u->isolation == -1 && u->read_only == 0 && u->deferrable == 1);
    CHECK(analysed("commit and chain")->chain);
    u = analysed("rollback to savepoint \"S\"");
    CHECK(u->kind == UTIL_ROLLBACK_TO && same(u->name, "S"));
    u = analysed("set transaction isolation level serializable");
    CHECK(u->kind == UTIL_SET_TRANSACTION && u->isolation == 2);
    u = analysed("set session characteristics as transaction read only");
    CHECK(u->kind == UTIL_SET_SESSION_TRANSACTION && u->read_only == 1 && u->isolation == -1);
    arena_free(mem);
}

static SUSPENDS void body_prepared(void)
{
    mem = arena_new();
    const struct utility *u = analysed("PREPARE \"p (1\" (int, text) /* x */ AS SELECT $1, $2");
    CHECK(u->kind == UTIL_PREPARE && same(u->name, "p (1") && u->type_count == 2);
    CHECK(u->types[0] == TYPE_INT4 && u->types[1] == TYPE_TEXT);
    CHECK(same(u->raw_text, "SELECT $1, $2"));
    u = analysed("prepare q as select 'as'");
    CHECK(u->type_count == 0 && same(u->raw_text, "select 'as'"));
    u = analysed("execute q(1, 'x', 1 + 2.5)");
    CHECK(u->kind == UTIL_EXECUTE && u->arg_count == 3);
    CHECK(u->args[0]->type == TYPE_INT4 && u->args[1]->type == TYPE_UNKNOWN &&
          u->args[2]->type == TYPE_NUMERIC);
    CHECK(analysed("deallocate all")->all);
    arena_free(mem);
}

static SUSPENDS void body_others(void)
{
    mem = arena_new();
    const struct utility *u = analysed("explain (analyze, costs off, format json) select 1");
    CHECK(u->kind == UTIL_EXPLAIN && u->option_count == 3 && u->explained->query);
    CHECK(same(u->options[0].name, "analyze") && !u->options[0].value);
    CHECK(same(u->options[1].value, "off") && same(u->options[2].value, "json"));
    u = analysed("copy (select 1) to stdout (format csv, force_quote (a, b), header)");
    CHECK(u->kind == UTIL_COPY && !u->copy.is_from && u->copy.query->query);
    CHECK(same(u->options[1].value, "a, b") && !u->options[2].value);
    u = analysed("declare c scroll cursor with hold for select 1");
    CHECK(u->kind == UTIL_DECLARE_CURSOR && u->cursor_options == (0x0002 | 0x0020 | 0x0100));
    u = analysed("fetch backward 5 from c");
    CHECK(u->kind == UTIL_FETCH && u->fetch_direction == 1 && u->fetch_count == 5);
    CHECK(analysed("move all from c")->fetch_count == INT64_MAX);
    u = analysed("notify ch, 'text'");
    CHECK(u->kind == UTIL_NOTIFY && same(u->name, "ch") && same(u->value, "text"));
    CHECK(analysed("discard temp")->discard == 3);
    CHECK(analysed("unlisten *")->all);
    arena_free(mem);
}

static void settings(void)
{
    unit_run(1, body_settings);
}
static void transactions(void)
{
    unit_run(1, body_transactions);
}
static void prepared(void)
{
    unit_run(1, body_prepared);
}
static void others(void)
{
    unit_run(1, body_others);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"settings", settings},
        {"transactions", transactions},
        {"prepared", prepared},
        {"others", others},
    };
    return unit_main("sql_utility", tests, ARRAY_LEN(tests));
}
