/* Functions, operators, aggregates and sets against what PostgreSQL 15 answers; the tables. */
#include "evaluate.h"
#include "func_facts.h"
#include "sql/catalog_rows.h"

#include <CUnit/Basic.h>

static void answers_as_postgresql(void)
{
    for (size_t i = 0; i < ARRAY_LEN(func_facts); i++) {
        struct arena *mem = arena_new();
        const char *got = evaluate(mem, func_facts[i].signature, func_facts[i].arguments);
        if (strcmp(got, func_facts[i].result) != 0) {
            fprintf(stderr, "%s [%s]: expected [%s], got [%s]\n", func_facts[i].signature,
                    func_facts[i].arguments, func_facts[i].result, got);
            CU_FAIL("differs from PostgreSQL");
        }
        arena_free(mem);
    }
}

static void tables_answer_lookups(void)
{
    uint32_t count = 0;
    CU_ASSERT_EQUAL(func_find(65)->oid, 65);
    CU_ASSERT_STRING_EQUAL(func_find(65)->name, "int4eq");
    CU_ASSERT_PTR_NULL(func_find(0));
    CU_ASSERT_PTR_NULL(func_find(4000000000u));
    CU_ASSERT_PTR_NULL(func_find_name("no_such_function", &count));
    CU_ASSERT_EQUAL(count, 0);
    for (uint32_t i = 0; func_at(i) != NULL; i++) {
        const struct func *f = func_at(i);
        bool found = false;
        const struct func *const *run = func_find_name(f->name, &count);
        for (uint32_t k = 0; k < count; k++)
            found |= run[k] == f;
        CU_ASSERT(found);
        CU_ASSERT_PTR_EQUAL(func_find(f->oid), f);
    }
    for (uint32_t i = 0; operator_at(i) != NULL; i++)
        CU_ASSERT_PTR_EQUAL(operator_find(operator_at(i)->oid), operator_at(i));
    for (uint32_t i = 0; cast_at(i) != NULL; i++)
        CU_ASSERT_PTR_EQUAL(cast_find(cast_at(i)->source, cast_at(i)->target), cast_at(i));
    CU_ASSERT_PTR_NULL(cast_find(TYPE_BOOL, TYPE_UUID));
    CU_ASSERT_EQUAL(aggregate_info_find(2147)->function, 2147);
    CU_ASSERT_PTR_NULL(aggregate_info_find(65));
}

static void operators_have_strategies(void)
{
    CU_ASSERT_EQUAL(operator_strategy(96), 3);   /* int4 = int4 */
    CU_ASSERT_EQUAL(operator_strategy(97), 1);   /* < */
    CU_ASSERT_EQUAL(operator_strategy(525), 4);  /* >= */
    CU_ASSERT_EQUAL(operator_strategy(551), 0);  /* + */
    CU_ASSERT_EQUAL(operator_strategy(2314), 0); /* ~<~ is not of a default class */
    CU_ASSERT_EQUAL(operator_for_strategy(403, TYPE_INT4, TYPE_INT4, 1), 97);
    CU_ASSERT_EQUAL(operator_for_strategy(403, TYPE_INT4, TYPE_INT8, 3), 15);
    CU_ASSERT_EQUAL(operator_for_strategy(403, TYPE_VARCHAR, TYPE_VARCHAR, 3), 98);
    CU_ASSERT_EQUAL(operator_for_strategy(403, TYPE_INT4_ARRAY, TYPE_INT4_ARRAY, 3), 1070);
    CU_ASSERT_EQUAL(operator_for_strategy(405, TYPE_TEXT, TYPE_TEXT, 1), 98);
    CU_ASSERT_EQUAL(operator_for_strategy(403, TYPE_JSON, TYPE_JSON, 1), 0);
    CU_ASSERT_EQUAL(opclass_default(403, TYPE_INT4)->oid, 1978);
}

static err_t any_role(void *owner, char kind, const char *name, bool missing_ok, oid *out)
{
    (void)owner;
    (void)name;
    (void)missing_ok;
    CU_ASSERT_EQUAL(kind, 'r'); /* of access lists */
    *out = 10;
    return ERR_OK;
}

/* Every cell of the static catalogs is valid input of its column's type, and the columns agree. */
static void catalog_rows_read(void)
{
    struct sql_services services = {.resolve_name = any_role};
    struct session_env env = test_env;
    env.services = &services;
    for (uint32_t i = 0; i < catalog_static_count; i++) {
        const struct catalog_static *c = &catalog_static[i];
        const struct catalog_table *t = NULL;
        for (uint32_t k = 0; k < catalog_table_count; k++)
            if (catalog_tables[k].oid == c->oid)
                t = &catalog_tables[k];
        CU_ASSERT_PTR_NOT_NULL(t);
        if (t == NULL)
            continue;
        CU_ASSERT_STRING_EQUAL(t->name, c->name);
        CU_ASSERT_EQUAL(t->column_count, c->column_count);
        for (uint32_t row = 0; row < c->row_count; row++) {
            struct arena *mem = arena_new();
            for (uint32_t column = 0; column < c->column_count; column++) {
                const char *text = catalog_static_text(c, row, column);
                datum d;
                CU_ASSERT(text != NULL || !t->columns[column].not_null);
                if (text != NULL && value_input(&env, mem, t->columns[column].type, -1, text,
                                                strlen(text), &d) != ERR_OK) {
                    fprintf(stderr, "%s row %u, %s: %s\n", c->name, row, t->columns[column].name,
                            err_diag()->message);
                    CU_FAIL("unreadable cell");
                }
            }
            arena_free(mem);
        }
    }
}

static void long_work_is_refused(void)
{
    struct arena *mem = arena_new();
    /* An expression that would backtrack for hours. */
    const char *text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
    const char *r =
        evaluate(mem, "op ~(text,text)", arena_printf(mem, "%s\x1f(a*)*(a*)*(a*)*c\\d", text));
    CU_ASSERT(strcmp(r, "f") == 0 || strncmp(r, "!54000", 6) == 0);
    /* Results past the limit of a value. */
    r = evaluate(mem, "repeat(text,int4)",
                 "abcdefgh\x1f"
                 "2000000000");
    CU_ASSERT_STRING_EQUAL(r, "!54000 requested length too large");
    arena_free(mem);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    CU_pSuite s = CU_add_suite("funcs", NULL, NULL);
    CU_add_test(s, "answers as PostgreSQL", answers_as_postgresql);
    CU_add_test(s, "tables answer lookups", tables_answer_lookups);
    CU_add_test(s, "operators have strategies", operators_have_strategies);
    CU_add_test(s, "catalog rows read", catalog_rows_read);
    CU_add_test(s, "long work is refused", long_work_is_refused);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}
