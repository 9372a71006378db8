/* What the tests of execution share: expressions and plan nodes made by hand, running a plan. */
#ifndef TESTS_UNIT_SQL_EXEC_EXEC_TEST_H
#define TESTS_UNIT_SQL_EXEC_EXEC_TEST_H

#include "core/settings.h"
#include "sql/exec/exec_priv.h"
#include "sql/exec/writer.h"

#include "tests/unit/core/unit.h"

#define UNUSED __attribute__((unused))

static struct arena *mem; /* of the running test */
static struct session_env env = {.user_name = "u", .session_user_name = "u"};

static uint64_t random_state = 42;
UNUSED static uint64_t random_u64(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
UNUSED static uint32_t random_below(uint32_t n)
{
    return (uint32_t)(random_u64() % n);
}

/* ---- expressions ---- */

UNUSED static struct expr *k4(int32_t v)
{
    return expr_const(mem, TYPE_INT4, -1, datum_of_i32(v), false);
}
UNUSED static struct expr *k8(int64_t v)
{
    return expr_const(mem, TYPE_INT8, -1, datum_of_i64(v), false);
}
UNUSED static struct expr *kt(const char *s)
{
    return expr_const(mem, TYPE_TEXT, -1, datum_of_text(mem, s), false);
}
UNUSED static struct expr *k_null(oid type)
{
    return expr_const(mem, type, -1, 0, true);
}
UNUSED static struct expr *in(uint32_t slot, uint32_t i, oid type)
{
    struct expr *e = expr_new(mem, EXPR_INPUT, type, -1);
    e->input.slot = slot;
    e->input.index = i;
    return e;
}
UNUSED static struct expr *param(uint32_t i, oid type)
{
    struct expr *e = expr_new(mem, EXPR_EXEC_PARAM, type, -1);
    e->param = i;
    return e;
}
UNUSED static const struct func *fn(const char *name, uint32_t n, const oid *types)
{
    uint32_t count = 0;
    const struct func *const *f = func_find_name(name, &count);
    for (uint32_t i = 0; i < count; i++) {
        bool same = f[i]->arg_count == (int16_t)n;
        for (uint32_t a = 0; same && a < n; a++)
            same = f[i]->args[a] == types[a];
        if (same)
            return f[i];
    }
    fprintf(stderr, "no function %s\n", name);
    abort();
}
UNUSED static struct expr *call2(const char *name, struct expr *a, struct expr *b)
{
    const struct func *f = fn(name, 2, (oid[]){a->type, b->type});
    struct expr *e = expr_new(mem, EXPR_CALL, f->result, -1);
    e->func = f;
    e->args = ARENA_ARRAY(mem, struct expr *, 2);
    e->args[0] = a;
    e->args[1] = b;
    e->arg_count = 2;
    return e;
}

/* ---- plans ---- */

static uint32_t node_ids;

UNUSED static struct plan_node *node_of(enum plan_kind kind, struct plan_node *outer,
                                        struct plan_node *inner)
{
    struct plan_node *n = ARENA_NEW(mem, struct plan_node);
    n->kind = kind;
    n->id = node_ids++;
    n->outer = outer;
    n->inner = inner;
    return n;
}
UNUSED static void targets_of(struct plan_node *n, uint32_t count, struct expr **targets)
{
    n->targets = arena_memdup(mem, targets, sizeof(*targets) * count);
    n->target_count = count;
    n->types = ARENA_ARRAY(mem, oid, count);
    for (uint32_t i = 0; i < count; i++)
        n->types[i] = targets[i]->type;
}
UNUSED static void types_of(struct plan_node *n, uint32_t count, const oid *types)
{
    n->target_count = count;
    n->types = arena_memdup(mem, types, sizeof(*types) * count);
}
UNUSED static struct plan_sort_key *sort_key(uint32_t column, oid type, bool descending)
{
    struct plan_sort_key *k = ARENA_NEW(mem, struct plan_sort_key);
    *k = (struct plan_sort_key){
        .column = column, .type = type, .descending = descending, .nulls_first = descending};
    return k;
}
UNUSED static struct plan_node *sort_of(struct plan_node *child, uint32_t column, oid type,
                                        bool descending)
{
    struct plan_node *n = node_of(PLAN_SORT, child, NULL);
    n->sort.keys = sort_key(column, type, descending);
    n->sort.key_count = 1;
    n->sort.limit_hint = -1;
    return n;
}
UNUSED static struct plan_node *gather_of(struct plan_node *child, bool writes)
{
    struct plan_node *g = node_of(PLAN_GATHER, child, NULL);
    g->gather.target = GATHER_ALL;
    g->gather.writes = writes;
    return g;
}
UNUSED static struct plan *plan_of(struct plan_node *root)
{
    struct plan *p = ARENA_NEW(mem, struct plan);
    p->root = root;
    p->node_count = node_ids;
    p->mem = mem;
    p->returns_rows = true;
    return p;
}

/* Rows of a plan through fn, which may be NULL; how many. */
UNUSED static SUSPENDS err_t run_plan(struct plan *p, struct txn *txn,
                                      void (*row)(const struct slot *s, void *ctx), void *ctx,
                                      uint64_t *rows)
{
    struct exec_options o = {.plan = p, .txn = txn, .env = &env};
    struct exec *x = NULL;
    *rows = 0;
    TRY(exec_start_wait(&o, &x));
    err_t e = ERR_OK;
    for (;;) {
        const struct slot *s = NULL;
        e = exec_next_wait(x, &s);
        if (e != ERR_OK || s == NULL)
            break;
        ++*rows;
        if (row != NULL)
            row(s, ctx);
    }
    if (e == ERR_OK && p->command != CMD_SELECT)
        *rows = exec_row_count(x);
    exec_end_wait(x);
    return e;
}

static char test_directory[128];
UNUSED static void test_directory_make(void)
{
    (void)snprintf(test_directory, sizeof(test_directory), "/tmp/percore-exec-XXXXXX");
    if (mkdtemp(test_directory) == NULL)
        abort();
    if (settings_set_argv("data_directory", test_directory) != ERR_OK)
        abort();
}
UNUSED static void test_directory_remove(void)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", test_directory);
    if (system(command) != 0)
        abort();
}
UNUSED static void work_mem_set(const char *value)
{
    struct settings_view *v = settings_view_new();
    CHECK_OK(setting_set(v, "work_mem", value, false, true, SETTING_SOURCE_SESSION));
    env.settings = v;
}

#endif
