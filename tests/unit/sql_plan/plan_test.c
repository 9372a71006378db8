/*
 * Plan shapes: statements are analysed over a made-up catalog and the plan's EXPLAIN text (without
 * costs) is compared. Print what is instead: plan_test -p.
 */
#define shard_count test_shard_count
#define expr_deparse test_deparse /* plan shapes do not depend on how expressions are written */
#include "sql/parse/parse.h"
#include "sql/plan/build.c"
#include "sql/plan/cost.c"
#include "sql/plan/deconstruct.c"
#include "sql/plan/dist.c"
#include "sql/plan/explain.c"
#include "sql/plan/join.c"
#include "sql/plan/modify.c"
#include "sql/plan/order.c"
#include "sql/plan/plan.c"
#include "sql/plan/prepare.c"
#include "sql/plan/pullup.c"
#include "sql/plan/scan.c"
#include "sql/plan/selectivity.c"
#include "sql/plan/setop.c"
#include "sql/plan/sublink.c"
#include "sql/plan/table.c"
#include "sql/plan/upper.c"
#include "sql/plan/util.c"
#include "tests/unit/core/unit.h"

/* Plain prefix notation but for operators. */
err_t test_deparse(struct arena *mem, const struct expr *e, const struct deparse_options *o,
                   struct strbuf *out)
{
    static const struct session_env plain;
    bool binary = e->kind == EXPR_CALL && e->from_operator && e->arg_count == 2;
    if (e->kind == EXPR_COLUMN) {
        strbuf_puts(out, o->column_name(o->ctx, e));
    } else if (e->kind == EXPR_PARAM) {
        strbuf_printf(out, "$%u", e->param);
    } else if (e->kind == EXPR_CONST) {
        if (e->constant.is_null)
            strbuf_puts(out, "NULL");
        else
            TRY(value_output(&plain, mem, e->type, e->constant.value, out));
    } else if (e->kind == EXPR_RELABEL) {
        TRY(test_deparse(mem, e->args[0], o, out));
    } else {
        strbuf_puts(out, binary                    ? ""
                         : e->func                 ? e->func->name
                         : e->kind == EXPR_AND     ? "AND"
                         : e->kind == EXPR_OR      ? "OR"
                         : e->kind == EXPR_NOT     ? "NOT"
                         : e->kind == EXPR_IS_NULL ? (e->negated ? "NOTNULL" : "ISNULL")
                                                   : "EXPR");
        strbuf_putc(out, '(');
        for (uint32_t i = 0; i < e->arg_count; i++) {
            if (i)
                strbuf_printf(out, binary ? " %s " : ", %s",
                              binary ? operator_find(e->oper_oid)->name : "");
            TRY(test_deparse(mem, e->args[i], o, out));
        }
        strbuf_putc(out, ')');
    }
    return ERR_OK;
}

static uint32_t test_shards = 4;
uint32_t test_shard_count(void)
{
    return test_shards;
}

/* ---- the catalog ---- */

struct fake_table {
    oid oid;
    const char *name;
    const char *columns; /* "id int4, name text" */
    const char *key;     /* attnos of the primary key: "12" */
    const char *shard_key;
    enum distribution_kind distribution;
    double rows;
    double pages;
};
static const struct fake_table fake_tables[] = {
    {20001, "users", "id int4, name text, email text", "1", "1", DISTRIBUTED_HASH, 1000, 10},
    {20002, "orders", "id int4, user_id int4, total numeric, note text", "1", "1", DISTRIBUTED_HASH,
     100000, 800},
    {20003, "baskets", "user_id int4, line int4, what text", "12", "1", DISTRIBUTED_HASH, 50000,
     500},
    {20004, "colours", "id int4, name text", "1", "1", DISTRIBUTED_REPLICATED, 10, 1},
    {20005, "sysa", "oid oid, relname name, relowner oid", "1", "", DISTRIBUTED_SHARD_0, 400, 10},
    {20006, "sysb", "oid oid, parent oid, num int2", "13", "", DISTRIBUTED_SHARD_0, 2000, 40},
    {20007, "logs", "at timestamptz, line text", "", "", DISTRIBUTED_KEYLESS, 10000, 100},
};
enum { FAKE_TABLES = sizeof(fake_tables) / sizeof(fake_tables[0]) };
static struct table_desc *fake_descs[FAKE_TABLES];
static struct arena *fake_mem;

static struct table_desc *fake_make(const struct fake_table *f)
{
    struct table_desc *t = ARENA_NEW(fake_mem, struct table_desc);
    t->oid = f->oid;
    t->name = f->name;
    t->schema = 2200;
    t->schema_name = "public";
    t->kind = 'r';
    t->persistence = 'p';
    t->file = f->oid;
    t->columns = ARENA_ARRAY(fake_mem, struct column_desc, 8);
    char *copy = arena_strdup(fake_mem, f->columns);
    oid types[8];
    for (char *save, *p = strtok_r(copy, ", ", &save); p; p = strtok_r(NULL, ", ", &save)) {
        struct column_desc *c = &t->columns[t->column_count];
        c->name = p;
        c->type = type_find_name(strtok_r(NULL, ", ", &save))->oid;
        c->typmod = -1;
        c->collation = type_find(c->type)->collation;
        c->attno = (int16_t)(t->column_count + 1);
        types[t->column_count++] = c->type;
    }
    t->layout = row_layout_new(fake_mem, types, t->column_count);
    t->distribution = f->distribution;
    t->rows_estimate = f->rows;
    t->pages_estimate = f->pages;
    t->shard_key_columns = ARENA_ARRAY(fake_mem, struct key_column, 4);
    for (const char *p = f->shard_key; *p; p++) {
        t->shard_key_columns[t->shard_key_count].type = type_find(types[*p - '1']);
        t->shard_key[t->shard_key_count++] = (int16_t)(*p - '0');
    }
    if (!*f->key)
        return t;
    struct index_desc *x = ARENA_NEW(fake_mem, struct index_desc);
    x->oid = f->oid + 1000;
    x->name = arena_printf(fake_mem, "%s_pkey", f->name);
    x->am = 403;
    x->file = x->oid;
    x->is_unique = x->is_primary = x->is_valid = x->is_ready = x->is_constraint = true;
    x->keys = ARENA_ARRAY(fake_mem, struct index_key, 4);
    x->key_columns = ARENA_ARRAY(fake_mem, struct key_column, 4);
    for (const char *p = f->key; *p; p++) {
        t->columns[*p - '1'].not_null = true;
        x->key_columns[x->key_count].type = type_find(types[*p - '1']);
        x->keys[x->key_count].type = types[*p - '1'];
        x->keys[x->key_count++].attno = (int16_t)(*p - '0');
    }
    x->column_count = x->key_count;
    t->indexes = x;
    t->index_count = 1;
    return t;
}

SUSPENDS err_t table_by_oid_wait(struct catalog_session *cs, oid table,
                                 const struct table_desc **out)
{
    (void)cs;
    *out = NULL;
    for (uint32_t i = 0; i < FAKE_TABLES; i++)
        if (fake_tables[i].oid == table)
            *out = fake_descs[i];
    return ERR_OK;
}
SUSPENDS err_t table_by_name_wait(struct catalog_session *cs, const char *schema, const char *name,
                                  const struct table_desc **out)
{
    (void)cs, (void)schema;
    *out = NULL;
    for (uint32_t i = 0; i < FAKE_TABLES; i++)
        if (strcmp(fake_tables[i].name, name) == 0)
            *out = fake_descs[i];
    return ERR_OK;
}
SUSPENDS err_t table_require_wait(struct catalog_session *cs, const char *schema, const char *name,
                                  const struct table_desc **out)
{
    TRY(table_by_name_wait(cs, schema, name, out));
    return *out ? ERR_OK : err_raise(ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", name);
}
void table_release(const struct table_desc *t)
{
    (void)t;
}
const struct column_desc *table_column(const struct table_desc *t, const char *name)
{
    for (uint32_t i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}
const struct index_desc *table_primary_key(const struct table_desc *t)
{
    return t->index_count ? &t->indexes[0] : NULL;
}
SUSPENDS err_t schema_oid_wait(struct catalog_session *cs, const char *name, oid *out)
{
    (void)cs;
    *out = strcmp(name, "pg_catalog") == 0 ? 11 : 2200;
    return ERR_OK;
}
SUSPENDS err_t schema_name_wait(struct catalog_session *cs, oid schema, struct arena *mem,
                                const char **out)
{
    (void)cs, (void)schema, (void)mem;
    *out = "public";
    return ERR_OK;
}
SUSPENDS err_t type_by_name_wait(struct catalog_session *cs, const char *schema, const char *name,
                                 oid *out)
{
    (void)cs, (void)schema;
    const struct type_info *t = type_find_name(name);
    *out = t ? t->oid : 0;
    return ERR_OK;
}
uint64_t catalog_version(void)
{
    return 1;
}

/* ---- cases ---- */

struct plan_case {
    uint32_t shards;
    const char *sql;
    const char *plan;
};
static const struct plan_case cases[] = {
#include "tests/unit/sql_plan/plan_cases.h"
};

static struct session_env env = {.extra_float_digits = 1,
                                 .user_name = "postgres",
                                 .session_user_name = "postgres",
                                 .database_name = "postgres",
                                 .user_oid = 10,
                                 .database_oid = 5};
static struct catalog_session session = {
    .database = 5, .user = 10, .is_superuser = true, .user_name = "postgres"};

static SUSPENDS err_t explain_wait(const char *sql, struct arena *mem, struct strbuf *text)
{
    struct parsed *parsed;
    TRY(parse_text(sql, mem, &parsed));
    struct analyze_options ao = {.catalog = &session, .env = &env, .text = sql};
    struct statement *st;
    TRY(analyze_statement_wait(&ao, &parsed->statements[0], mem, &st));
    struct plan_options po = {.catalog = &session, .env = &env};
    struct plan *plan;
    TRY(plan_query_wait(&po, st->query, mem, &plan));
    struct explain_options eo = {0};
    struct explain_times times = {0};
    TRY(plan_explain(plan, &env, &eo, NULL, &times, mem, text));
    struct strbuf json;
    strbuf_init(&json, mem);
    eo.format = 1;
    eo.costs = true;
    TRY(plan_explain(plan, &env, &eo, NULL, &times, mem, &json));
    CHECK(json.len > 10 && json.data[0] == '[' && json.data[json.len - 1] == ']');
    parse_free(parsed);
    return ERR_OK;
}

static bool print_only;
static const char *only_sql;

static SUSPENDS void run_case(const struct plan_case *c)
{
    struct arena *mem = arena_new();
    struct strbuf text;
    strbuf_init(&text, mem);
    test_shards = c->shards;
    err_t e = explain_wait(c->sql, mem, &text);
    const char *got =
        e == ERR_OK ? text.data : arena_printf(mem, "!%s %s", err_sqlstate(e), err_diag()->message);
    if (print_only) {
        printf("@@%u\t%s\n%s\n", c->shards, c->sql, got);
    } else if (strcmp(got, c->plan) != 0) {
        fprintf(stderr, "%s\n-- expected:\n%s\n-- got:\n%s\n", c->sql, c->plan, got);
        CHECK(false);
    }
    arena_free(mem);
}

static SUSPENDS void body(void)
{
    fake_mem = arena_new();
    for (uint32_t i = 0; i < FAKE_TABLES; i++)
        fake_descs[i] = fake_make(&fake_tables[i]);
    if (only_sql) {
        struct plan_case c = {4, only_sql, ""};
        run_case(&c);
    }
    for (uint32_t i = 0; !only_sql && i < sizeof(cases) / sizeof(cases[0]); i++)
        run_case(&cases[i]);
    arena_free(fake_mem);
}

static void plans(void)
{
    unit_run(1, body);
}

int main(int argc, char **argv)
{
    print_only = argc > 1;
    only_sql = argc > 2 ? argv[2] : NULL;
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("plan", NULL, NULL);
    CU_add_test(s, "plans", plans);
    CU_basic_run_tests();
    int failed = (int)CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}
