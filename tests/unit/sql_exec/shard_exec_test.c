/*
 * Execution over shards on 1, 2 and 4 cores: loading, scans and gathers (plain, ordered, by key,
 * closed early), index ranges, modifications local and routed with RETURNING, unique constraints of
 * one shard and global ones, rows that change shards, ON CONFLICT, row locks, subqueries of remote
 * fragments.
 */
#include "table_test.h"

enum { ROWS = 5000, GROUPS = 50 };

static const char *row_name(int32_t id)
{
    return arena_printf(mem, "name %d", id);
}

static SUSPENDS void load(void)
{
    struct txn *x = begin();
    struct table_writer *w = NULL;
    CHECK_OK(table_writer_open_wait(t, x, &env, NULL, mem, &w));
    for (int32_t i = 0; i < ROWS; i++) {
        datum values[COLUMNS] = {datum_of_i32(i), datum_of_i32(i % GROUPS),
                                 datum_of_text(mem, row_name(i))};
        bool nulls[COLUMNS] = {false, false, false};
        CHECK_OK(table_writer_add_wait(w, values, nulls));
    }
    uint64_t rows = 0;
    CHECK_OK(table_writer_close_wait(w, &rows));
    CHECK(rows == ROWS);
    CHECK_OK(txn_commit_wait(x));
}

/* ---- plans ---- */

static struct plan_node *seq_scan(void)
{
    struct plan_node *n = node_of(PLAN_SEQ_SCAN, NULL, NULL);
    n->scan.table = t;
    return n;
}
static struct plan_node *index_scan(struct plan_index *index)
{
    struct plan_node *n = node_of(PLAN_INDEX_SCAN, NULL, NULL);
    n->scan.table = t;
    n->scan.index = index;
    n->scan.bounds.array_column = UINT32_MAX;
    return n;
}
static struct plan_node *key_scan(struct expr *key)
{
    struct plan_node *n = index_scan(t_key);
    n->scan.bounds.equal_count = 1;
    n->scan.bounds.equal = ARENA_ARRAY(mem, struct expr *, 1);
    n->scan.bounds.equal[0] = key;
    return n;
}
static struct plan_node *gather_key(struct plan_node *child, struct expr *key, bool writes)
{
    struct plan_node *g = gather_of(child, writes);
    g->gather.target = GATHER_KEY;
    g->gather.key = ARENA_ARRAY(mem, struct expr *, 1);
    g->gather.key[0] = key;
    g->gather.key_table = t;
    g->gather.is_short = true;
    return g;
}

struct sums {
    uint64_t rows;
    int64_t ids;
    int64_t last;
    uint64_t out_of_order;
};
static void take_id(const struct slot *s, void *ctx)
{
    struct sums *c = ctx;
    int64_t id = datum_i64(s->values[0]);
    c->out_of_order += c->rows > 0 && id < c->last;
    c->last = id;
    c->ids += id;
    c->rows++;
}

/* Runs in a transaction of its own: commits, or rolls back after an error. */
static SUSPENDS err_t run_own(struct plan *p, void (*row)(const struct slot *s, void *ctx),
                              void *ctx, uint64_t *rows)
{
    struct txn *x = begin();
    err_t e = run_plan(p, x, row, ctx, rows);
    if (e == ERR_OK)
        return txn_commit_wait(x);
    struct diag *d = malloc(sizeof(*d));
    diag_copy(d, err_diag());
    txn_rollback_wait(x);
    e = err_adopt(d);
    free(d);
    return e;
}

static SUSPENDS struct sums run_ids(struct plan_node *root)
{
    struct sums c = {0};
    uint64_t rows = 0;
    CHECK_OK(run_own(plan_of(root), take_id, &c, &rows));
    return c;
}

static SUSPENDS uint64_t count_where(struct expr *filter)
{
    struct plan_node *s = seq_scan();
    s->filter = filter;
    return run_ids(gather_of(s, false)).rows;
}

/* ---- reading ---- */

static SUSPENDS void scans(void)
{
    const int64_t all = (int64_t)ROWS * (ROWS - 1) / 2;
    struct sums c = run_ids(gather_of(seq_scan(), false));
    CHECK(c.rows == ROWS && c.ids == all);
    struct plan_node *ordered = gather_of(sort_of(seq_scan(), 0, TYPE_INT4, false), false);
    ordered->gather.merge = sort_key(0, TYPE_INT4, false);
    ordered->gather.merge_count = 1;
    c = run_ids(ordered);
    CHECK(c.rows == ROWS && c.ids == all && c.out_of_order == 0);
    ordered = gather_of(index_scan(t_key), false);
    ordered->gather.merge = sort_key(0, TYPE_INT4, false);
    ordered->gather.merge_count = 1;
    struct plan_node *limit = node_of(PLAN_LIMIT, ordered, NULL);
    limit->limit.count = k8(10);
    c = run_ids(limit); /* closes fragments that have much left */
    CHECK(c.rows == 10 && c.ids == 45);
    limit = node_of(PLAN_LIMIT, gather_of(seq_scan(), false), NULL);
    limit->limit.count = k8(1);
    CHECK(run_ids(limit).rows == 1);
    for (int32_t id = 0; id < ROWS; id += 613) {
        c = run_ids(gather_key(key_scan(k4(id)), k4(id), false));
        CHECK(c.rows == 1 && c.ids == id);
    }
    CHECK(run_ids(gather_key(key_scan(k4(ROWS)), k4(ROWS), false)).rows == 0);
}

static SUSPENDS void check_range(struct expr *low, bool low_inclusive, struct expr *high,
                                 bool high_inclusive, bool backward, uint32_t groups)
{
    struct plan_node *n = index_scan(t_grp);
    n->scan.bounds.low = low;
    n->scan.bounds.low_inclusive = low_inclusive;
    n->scan.bounds.high = high;
    n->scan.bounds.high_inclusive = high_inclusive;
    n->scan.backward = backward;
    CHECK(run_ids(gather_of(n, false)).rows == (uint64_t)groups * (ROWS / GROUPS));
}

static SUSPENDS void ranges(void)
{
    for (int backward = 0; backward < 2; backward++) {
        check_range(k4(10), true, k4(20), true, backward, 11);
        check_range(k4(10), false, k4(20), true, backward, 10);
        check_range(k4(10), true, k4(20), false, backward, 10);
        check_range(k4(10), false, k4(20), false, backward, 9);
        check_range(k4(45), true, NULL, false, backward, 5);
        check_range(NULL, false, k4(4), false, backward, 4);
        check_range(k4(20), true, k4(10), true, backward, 0);
        check_range(k_null(TYPE_INT4), true, NULL, true, backward, 0);
        check_range(k8(-5000000000), true, k8(3), true, backward, 4);
        check_range(k8(5000000000), true, NULL, true, backward, 0);
        check_range(NULL, false, NULL, false, backward, GROUPS);
    }
    datum values[5] = {datum_of_i32(3), datum_of_i32(7), datum_of_i32(3), 0, datum_of_i32(900)};
    bool nulls[5] = {false, false, false, true, false};
    datum array = 0;
    CHECK_OK(array_of(mem, TYPE_INT4, values, nulls, 5, &array));
    struct plan_node *n = index_scan(t_grp);
    n->scan.bounds.equal_count = 1;
    n->scan.bounds.equal = ARENA_ARRAY(mem, struct expr *, 1);
    n->scan.bounds.equal[0] = expr_const(mem, TYPE_INT4_ARRAY, -1, array, false);
    n->scan.bounds.array_column = 0;
    CHECK(run_ids(gather_of(n, false)).rows == 2 * (ROWS / GROUPS));
}

/* For each of 20 outer rows a point read on its shard. */
static SUSPENDS void loop_over_gather(void)
{
    struct plan_node *outer = node_of(PLAN_VALUES, NULL, NULL);
    outer->values.row_count = 20;
    outer->values.column_count = 1;
    outer->values.rows = ARENA_ARRAY(mem, struct expr **, 20);
    for (int32_t i = 0; i < 20; i++) {
        outer->values.rows[i] = ARENA_ARRAY(mem, struct expr *, 1);
        outer->values.rows[i][0] = k4(i * 7);
    }
    types_of(outer, 1, (oid[]){TYPE_INT4});
    struct plan_node *inner = gather_key(key_scan(param(0, TYPE_INT4)), param(0, TYPE_INT4), false);
    struct plan_node *j = node_of(PLAN_NESTED_LOOP, outer, inner);
    struct plan_nest_param np = {.param = 0, .column = 0};
    j->join.nest_params = &np;
    j->join.nest_param_count = 1;
    targets_of(j, 1, (struct expr *[]){in(1, 0, TYPE_INT4)});
    struct plan *p = plan_of(j);
    p->exec_param_count = 1;
    struct sums c = {0};
    uint64_t rows = 0;
    CHECK_OK(run_own(p, take_id, &c, &rows));
    CHECK(c.rows == 20 && c.ids == 7 * 190);
    /* SEMI over all shards: each inner side is closed early. */
    inner = gather_of(index_scan(t_grp), false);
    inner->outer->scan.bounds.equal_count = 1;
    inner->outer->scan.bounds.equal = (struct expr *[]){param(0, TYPE_INT4)};
    j = node_of(PLAN_NESTED_LOOP, outer, inner);
    j->join.type = JOIN_SEMI;
    j->join.nest_params = &np;
    j->join.nest_param_count = 1;
    targets_of(j, 1, (struct expr *[]){in(0, 0, TYPE_INT4)});
    p = plan_of(j);
    p->exec_param_count = 1;
    c = (struct sums){0};
    CHECK_OK(run_own(p, take_id, &c, &rows));
    CHECK(c.rows == 8); /* 0, 7, ..., 49 are groups */
}

/* SELECT id FROM t WHERE grp = 3 AND (SELECT count(*) FROM t i WHERE i.grp = t.grp) = n, asked by
 * fragments of all shards. */
static SUSPENDS void subplan_in_fragment(void)
{
    struct plan_node *inner = seq_scan();
    inner->filter = call2("int4eq", in(0, C_GRP, TYPE_INT4), param(0, TYPE_INT4));
    struct plan_node *count = node_of(PLAN_AGGREGATE, gather_of(inner, false), NULL);
    struct plan_aggregate star = {.func = fn("count", 0, NULL), .star = true, .type = TYPE_INT8};
    count->aggregate.aggregates = &star;
    count->aggregate.aggregate_count = 1;
    types_of(count, 1, (oid[]){TYPE_INT8});
    struct plan_subplan s = {.root = count,
                             .subkind = SUBQUERY_SCALAR,
                             .is_correlated = true,
                             .params = (uint32_t[]){0},
                             .args = (struct expr *[]){in(0, C_GRP, TYPE_INT4)},
                             .arg_count = 1,
                             .type = TYPE_INT8,
                             .result_param = UINT32_MAX};
    struct plan_node *outer = seq_scan();
    struct expr *both = expr_new(mem, EXPR_AND, TYPE_BOOL, -1);
    both->args = (struct expr *[]){
        call2("int4lt", in(0, C_ID, TYPE_INT4), k4(100)),
        call2("int84eq", expr_new(mem, EXPR_SUBPLAN, TYPE_INT8, -1), k4(ROWS / GROUPS))};
    both->arg_count = 2;
    outer->filter = both;
    struct plan *p = plan_of(gather_of(outer, false));
    p->subplans = &s;
    p->subplan_count = 1;
    p->exec_param_count = 1;
    struct sums c = {0};
    uint64_t rows = 0;
    CHECK_OK(run_own(p, take_id, &c, &rows));
    CHECK(c.rows == 100 && c.ids == 4950);
    /* Uncorrelated, used by remote fragments in place: grp = (SELECT max(id) ... = 49) */
    struct plan_node *forty_nine =
        node_of(PLAN_RESULT, gather_key(key_scan(k4(49)), k4(49), false), NULL);
    targets_of(forty_nine, 1, (struct expr *[]){in(0, 0, TYPE_INT4)});
    struct plan_subplan u = {.root = forty_nine,
                             .subkind = SUBQUERY_SCALAR,
                             .type = TYPE_INT4,
                             .result_param = UINT32_MAX};
    for (int by_param = 0; by_param < 2; by_param++) {
        outer = seq_scan();
        outer->filter =
            call2("int4eq", in(0, C_GRP, TYPE_INT4),
                  by_param ? param(0, TYPE_INT4) : expr_new(mem, EXPR_SUBPLAN, TYPE_INT4, -1));
        struct plan_node *g = gather_of(outer, false);
        if (by_param) {
            u.result_param = 0;
            static uint32_t first;
            g->gather.initial = &first;
            g->gather.initial_count = 1;
        }
        p = plan_of(g);
        p->subplans = &u;
        p->subplan_count = 1;
        p->exec_param_count = 1;
        CHECK_OK(run_own(p, NULL, NULL, &rows));
        CHECK(rows == ROWS / GROUPS);
    }
}

/* ---- writing ---- */

static struct plan_node *modify_of(enum command command, struct plan_node *child, bool local)
{
    struct plan_node *m = node_of(PLAN_MODIFY, child, NULL);
    m->modify.command = command;
    m->modify.table = t;
    m->modify.row_id_column = 0;
    m->modify.shard_column = 1;
    m->modify.first_set = 2;
    m->modify.local = local;
    return m;
}
static struct plan *modify_plan(struct plan_node *root, enum command command)
{
    struct plan *p = plan_of(root);
    p->command = command;
    p->writes = true;
    return p;
}
static struct plan_node *row_node(int32_t id, struct expr *grp, const char *name)
{
    struct plan_node *r = node_of(PLAN_RESULT, NULL, NULL);
    targets_of(r, 3, (struct expr *[]){k4(id), grp, name ? kt(name) : k_null(TYPE_TEXT)});
    return r;
}

/* INSERT of one row: at its key, or routed. */
static SUSPENDS err_t insert(int32_t id, struct expr *grp, const char *name, bool local,
                             struct plan_on_conflict *oc, uint64_t *rows)
{
    struct plan_node *m = modify_of(CMD_INSERT, row_node(id, grp, name), local);
    m->modify.on_conflict = oc;
    struct plan_node *root = local ? gather_key(m, k4(id), true) : m;
    return run_own(modify_plan(root, CMD_INSERT), NULL, NULL, rows);
}

/* UPDATE t SET grp/id/name = value WHERE id = key */
static SUSPENDS err_t update(struct plan_node *scan, int32_t attno, struct expr *value, bool local,
                             uint64_t *rows)
{
    targets_of(scan, 3,
               (struct expr *[]){in(0, COLUMNS, TYPE_INT8), in(0, COLUMNS + 2, TYPE_INT4), value});
    struct plan_node *child = local ? scan : gather_of(scan, false);
    struct plan_node *m = modify_of(CMD_UPDATE, child, local);
    m->modify.set_count = 1;
    m->modify.set_attnos = ARENA_ARRAY(mem, int32_t, 1);
    m->modify.set_attnos[0] = attno;
    m->modify.changes_shard_key = attno == 1;
    struct plan_node *root = local ? gather_of(m, true) : m;
    return run_own(modify_plan(root, CMD_UPDATE), NULL, NULL, rows);
}

static SUSPENDS err_t delete_rows(struct plan_node *scan, bool local, uint64_t *rows)
{
    targets_of(scan, 2,
               (struct expr *[]){in(0, COLUMNS, TYPE_INT8), in(0, COLUMNS + 2, TYPE_INT4)});
    struct plan_node *m = modify_of(CMD_DELETE, local ? scan : gather_of(scan, false), local);
    return run_own(modify_plan(local ? gather_of(m, true) : m, CMD_DELETE), NULL, NULL, rows);
}

static SUSPENDS void inserts(bool local)
{
    uint64_t rows = 0;
    int32_t id = local ? 100000 : 200000;
    CHECK_OK(insert(id, k4(1), row_name(id), local, NULL, &rows));
    CHECK(rows == 1);
    CHECK(run_ids(gather_key(key_scan(k4(id)), k4(id), false)).rows == 1);
    CHECK(insert(id, k4(1), "other", local, NULL, &rows) == ERR_UNIQUE_VIOLATION);
    CHECK(strcmp(err_diag()->message,
                 "duplicate key value violates unique constraint \"t_pkey\"") == 0);
    const char *detail = arena_printf(mem, "Key (id)=(%d) already exists.", id);
    CHECK(err_diag()->detail != NULL && strcmp(err_diag()->detail, detail) == 0);
    CHECK(strcmp(err_diag()->constraint_name, "t_pkey") == 0);
    CHECK(insert(id + 1, k_null(TYPE_INT4), row_name(7), local, NULL, &rows) ==
          ERR_UNIQUE_VIOLATION); /* on another shard, most likely */
    CHECK(strcmp(err_diag()->detail, "Key (name)=(name 7) already exists.") == 0);
    CHECK(count_where(call2("int4eq", in(0, 0, TYPE_INT4), k4(id + 1))) == 0);
    CHECK(insert(id + 2, k4(-1), "x", local, NULL, &rows) == ERR_CHECK_VIOLATION);
    CHECK(strcmp(err_diag()->message,
                 "new row for relation \"t\" violates check constraint \"t_grp_check\"") == 0);
    detail = arena_printf(mem, "Failing row contains (%d, -1, x).", id + 2);
    CHECK(strcmp(err_diag()->detail, detail) == 0);
    /* nulls do not conflict */
    CHECK_OK(insert(id + 3, k4(1), NULL, local, NULL, &rows));
    CHECK_OK(insert(id + 4, k4(1), NULL, local, NULL, &rows));
    struct plan_node *scan = seq_scan();
    scan->filter = call2("int4ge", in(0, 0, TYPE_INT4), k4(id));
    CHECK_OK(delete_rows(scan, local, &rows));
    CHECK(rows == 3);
    CHECK_OK(insert(id, k4(1), row_name(id), local, NULL, &rows)); /* its keys are free again */
    scan = key_scan(k4(id));
    CHECK_OK(delete_rows(scan, local, &rows));
    CHECK(rows == 1);
}

static SUSPENDS void not_null(void)
{
    struct plan_node *r = node_of(PLAN_RESULT, NULL, NULL);
    targets_of(r, 3, (struct expr *[]){k_null(TYPE_INT4), k4(1), kt("a")});
    uint64_t rows = 0;
    CHECK(run_own(modify_plan(modify_of(CMD_INSERT, r, false), CMD_INSERT), NULL, NULL, &rows) ==
          ERR_NOT_NULL_VIOLATION);
    CHECK(strcmp(err_diag()->message, "null value in column \"id\" of relation \"t\" violates "
                                      "not-null constraint") == 0);
    CHECK(strcmp(err_diag()->detail, "Failing row contains (null, 1, a).") == 0);
}

static SUSPENDS void updates(bool local)
{
    uint64_t rows = 0;
    /* an indexed column of many rows: + 1000 and back */
    struct plan_node *scan = seq_scan();
    scan->filter = call2("int4lt", in(0, C_GRP, TYPE_INT4), k4(10));
    CHECK_OK(update(scan, 2, call2("int4pl", in(0, C_GRP, TYPE_INT4), k4(1000)), local, &rows));
    CHECK(rows == 10 * (ROWS / GROUPS));
    check_range(k4(1000), true, NULL, true, false, 10);
    check_range(NULL, true, k4(9), true, false, 0);
    /* by an index that is being changed: each row once */
    scan = index_scan(t_grp);
    scan->scan.bounds.low = k4(1000);
    scan->scan.bounds.low_inclusive = true;
    CHECK_OK(update(scan, 2, call2("int4mi", in(0, C_GRP, TYPE_INT4), k4(1000)), local, &rows));
    CHECK(rows == 10 * (ROWS / GROUPS));
    check_range(NULL, true, k4(9), true, false, 10);
    /* the global unique column */
    CHECK(update(key_scan(k4(5)), 3, kt(row_name(6)), local, &rows) == ERR_UNIQUE_VIOLATION);
    CHECK_OK(update(key_scan(k4(5)), 3, kt("fresh"), local, &rows));
    CHECK_OK(insert(300000, k4(0), row_name(5), local, NULL, &rows)); /* the old name is free */
    CHECK(insert(300001, k4(0), "fresh", local, NULL, &rows) == ERR_UNIQUE_VIOLATION);
    CHECK_OK(delete_rows(key_scan(k4(300000)), local, &rows));
    CHECK_OK(update(key_scan(k4(5)), 3, kt(row_name(5)), local, &rows));
    CHECK(rows == 1);
}

static SUSPENDS void moves(bool local)
{
    uint64_t rows = 0;
    struct plan_node *scan = seq_scan();
    scan->filter = call2("int4lt", in(0, C_ID, TYPE_INT4), k4(200));
    CHECK_OK(update(scan, 1, call2("int4pl", in(0, C_ID, TYPE_INT4), k4(500000)), local, &rows));
    CHECK(rows == 200);
    CHECK(count_where(NULL) == ROWS);
    for (int32_t id = 0; id < 200; id += 13) {
        CHECK(run_ids(gather_key(key_scan(k4(id)), k4(id), false)).rows == 0);
        CHECK(run_ids(gather_key(key_scan(k4(500000 + id)), k4(500000 + id), false)).rows == 1);
    }
    CHECK(insert(300001, k4(0), row_name(17), local, NULL, &rows) == ERR_UNIQUE_VIOLATION);
    CHECK(update(key_scan(k4(500000)), 1, k4(500001), local, &rows) == ERR_UNIQUE_VIOLATION);
    scan = seq_scan();
    scan->filter = call2("int4ge", in(0, C_ID, TYPE_INT4), k4(500000));
    CHECK_OK(update(scan, 1, call2("int4mi", in(0, C_ID, TYPE_INT4), k4(500000)), local, &rows));
    CHECK(rows == 200);
    struct sums c = run_ids(gather_of(seq_scan(), false));
    CHECK(c.rows == ROWS && c.ids == (int64_t)ROWS * (ROWS - 1) / 2);
}

static SUSPENDS int64_t group_of(int32_t id)
{
    struct plan_node *s = key_scan(k4(id));
    targets_of(s, 1, (struct expr *[]){in(0, C_GRP, TYPE_INT4)});
    struct sums c = run_ids(gather_key(s, k4(id), false));
    return c.rows == 1 ? c.ids : -1;
}

static SUSPENDS void conflicts(bool local)
{
    uint64_t rows = 0;
    uint32_t arbiter = 0;
    struct plan_on_conflict nothing = {.arbiters = &arbiter, .arbiter_count = 1};
    CHECK_OK(insert(3, k4(1), "zzz", local, &nothing, &rows));
    CHECK(rows == 0 && group_of(3) == 3);
    CHECK_OK(insert(600000, k4(1), "zzz", local, &nothing, &rows));
    CHECK(rows == 1);
    CHECK_OK(delete_rows(key_scan(k4(600000)), local, &rows));
    /* DO UPDATE SET grp = t.grp + excluded.grp WHERE t.grp < 40 */
    int32_t attno = 2;
    struct expr *set = call2("int4pl", in(0, C_GRP, TYPE_INT4), in(2, C_GRP, TYPE_INT4));
    struct plan_on_conflict doing = {.do_update = true,
                                     .arbiters = &arbiter,
                                     .arbiter_count = 1,
                                     .set_attnos = &attno,
                                     .set = &set,
                                     .set_count = 1,
                                     .where = call2("int4lt", in(0, C_GRP, TYPE_INT4), k4(40))};
    CHECK_OK(insert(3, k4(100), "zzz", local, &doing, &rows));
    CHECK(rows == 1 && group_of(3) == 103);
    CHECK_OK(insert(3, k4(100), "zzz", local, &doing, &rows));
    CHECK(rows == 0 && group_of(3) == 103);
    CHECK_OK(update(key_scan(k4(3)), 2, k4(3), local, &rows));
    /* the same row twice in one statement */
    struct plan_node *v = node_of(PLAN_VALUES, NULL, NULL);
    struct expr *first[3] = {k4(700000), k4(1), kt("p")};
    struct expr *second[3] = {k4(700000), k4(1), kt("q")};
    v->values.rows = (struct expr * *[]){first, second};
    v->values.row_count = 2;
    v->values.column_count = 3;
    types_of(v, 3, (oid[]){TYPE_INT4, TYPE_INT4, TYPE_TEXT});
    struct plan_node *m = modify_of(CMD_INSERT, v, false);
    m->modify.on_conflict = &doing;
    CHECK(run_own(modify_plan(m, CMD_INSERT), NULL, NULL, &rows) == ERR_CARDINALITY_VIOLATION);
    m = modify_of(CMD_INSERT, v, false);
    m->modify.on_conflict = &nothing;
    CHECK_OK(run_own(modify_plan(m, CMD_INSERT), NULL, NULL, &rows));
    CHECK(rows == 1);
    CHECK_OK(delete_rows(key_scan(k4(700000)), local, &rows));
    CHECK(count_where(NULL) == ROWS);
}

static void take_in_order(const struct slot *s, void *ctx)
{
    uint64_t *n = ctx;
    CHECK(s->count == 2 && datum_i32(s->values[0]) == 800000 + (int32_t)*n);
    ++*n;
}

/* 3000 rows over all shards come back in the order in which they were given. */
static SUSPENDS void returning(void)
{
    const uint32_t count = 3000;
    struct plan_node *v = node_of(PLAN_VALUES, NULL, NULL);
    v->values.row_count = count;
    v->values.column_count = 3;
    v->values.rows = ARENA_ARRAY(mem, struct expr **, count);
    for (uint32_t i = 0; i < count; i++) {
        v->values.rows[i] = ARENA_ARRAY(mem, struct expr *, 3);
        v->values.rows[i][0] = k4(800000 + (int32_t)i);
        v->values.rows[i][1] = k4(1);
        v->values.rows[i][2] = k_null(TYPE_TEXT);
    }
    types_of(v, 3, (oid[]){TYPE_INT4, TYPE_INT4, TYPE_TEXT});
    struct plan_node *m = modify_of(CMD_INSERT, v, false);
    m->modify.returning = (struct expr *[]){in(0, C_ID, TYPE_INT4), in(0, COLUMNS, TYPE_INT8)};
    m->modify.returning_count = 2;
    uint64_t seen = 0;
    uint64_t rows = 0;
    CHECK_OK(run_own(modify_plan(m, CMD_INSERT), take_in_order, &seen, &rows));
    CHECK(seen == count && rows == count);
    struct plan_node *scan = seq_scan();
    scan->filter = call2("int4ge", in(0, C_ID, TYPE_INT4), k4(800000));
    targets_of(scan, 2,
               (struct expr *[]){in(0, COLUMNS, TYPE_INT8), in(0, COLUMNS + 2, TYPE_INT4)});
    m = modify_of(CMD_DELETE, scan, true);
    m->modify.returning = (struct expr *[]){in(0, C_ID, TYPE_INT4)};
    m->modify.returning_count = 1;
    struct sums c = {0};
    CHECK_OK(run_own(modify_plan(gather_of(m, true), CMD_DELETE), take_id, &c, &rows));
    CHECK(c.rows == count && rows == count);
}

static SUSPENDS void locks(bool in_fragment)
{
    struct plan_node *scan = seq_scan();
    scan->filter = call2("int4lt", in(0, C_ID, TYPE_INT4), k4(20));
    targets_of(scan, 3,
               (struct expr *[]){in(0, C_ID, TYPE_INT4), in(0, COLUMNS, TYPE_INT8),
                                 in(0, COLUMNS + 2, TYPE_INT4)});
    struct plan_row_mark mark = {.table = t,
                                 .mode = LOCK_UPDATE,
                                 .policy = LOCK_NOWAIT,
                                 .row_id_column = 1,
                                 .shard_column = 2};
    struct plan_node *l =
        node_of(PLAN_LOCK_ROWS, in_fragment ? scan : gather_of(scan, false), NULL);
    l->lock_rows.marks = &mark;
    l->lock_rows.count = 1;
    struct plan *p = plan_of(in_fragment ? gather_of(l, true) : l);
    struct txn *first = begin();
    struct sums c = {0};
    uint64_t rows = 0;
    CHECK_OK(run_plan(p, first, take_id, &c, &rows));
    CHECK(c.rows == 20 && c.ids == 190);
    CHECK(run_own(p, NULL, NULL, &rows) == ERR_LOCK_NOT_AVAILABLE);
    CHECK(strcmp(err_diag()->message, "could not obtain lock on row in relation \"t\"") == 0);
    mark.policy = LOCK_SKIP;
    CHECK_OK(run_own(p, NULL, NULL, &rows));
    CHECK(rows == 0);
    txn_rollback_wait(first);
    CHECK_OK(run_own(p, NULL, NULL, &rows));
    CHECK(rows == 20);
}

static SUSPENDS void index_leads_to_rows(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct sums c = run_ids(gather_of(index_scan(&t->indexes[i]), false));
        CHECK(c.rows == ROWS && c.ids == (int64_t)ROWS * (ROWS - 1) / 2);
    }
}

static uint32_t shards_wanted;
static bool descending_index;

static SUSPENDS void body(void)
{
    mem = arena_new();
    struct shard_options o = {.data_directory = test_directory,
                              .pool_bytes = MIB(8),
                              .version_bytes_max = MIB(64),
                              .wal_buffer_bytes = MIB(1),
                              .max_wal_bytes = MIB(256),
                              .checkpoint_timeout_us = 1000000000};
    CHECK_OK(shards_create_wait(&o, shards_wanted));
    CHECK_OK(shards_open_wait(&o));
    tables_new(descending_index);
    create();
    load();
    scans();
    ranges();
    loop_over_gather();
    subplan_in_fragment();
    not_null();
    for (int local = 0; local < 2; local++) {
        inserts(local);
        updates(local);
        moves(local);
        conflicts(local);
        locks(local);
    }
    returning();
    index_leads_to_rows();
    CHECK_OK(shards_close_wait());
    arena_free(mem);
}

static void with(uint32_t cores, uint32_t shards, bool descending)
{
    shards_wanted = shards;
    descending_index = descending;
    test_directory_make();
    unit_run(cores, body);
    test_directory_remove();
}

static void one_core(void)
{
    with(1, 1, false);
}
static void two_shards_of_one_core(void)
{
    with(1, 2, true);
}
static void two_cores(void)
{
    with(2, 2, false);
}
static void four_cores(void)
{
    with(4, 4, true);
}

int main(void)
{
    const struct unit_test tests[] = {{"one core", one_core},
                                      {"two shards of one core", two_shards_of_one_core},
                                      {"two cores", two_cores},
                                      {"four cores", four_cores}};
    return unit_main("sql_exec shards", tests, ARRAY_LEN(tests));
}
