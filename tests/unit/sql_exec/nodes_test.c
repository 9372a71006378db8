/*
 * Nodes over VALUES made by hand, against models: joins of all types by nested loop, hash and merge
 * against brute force; sorting, grouping, DISTINCT and set operations, in memory and spilled;
 * limits, WITH and recursive queries, subqueries, aggregates with DISTINCT and ORDER BY.
 */
#include "exec_test.h"

/* ---- a side of a join: (key or NULL, number) ---- */

enum { SIDE_MAX = 4000 };
struct side {
    uint32_t count;
    int32_t key[SIDE_MAX]; /* -1 = NULL */
};
static struct side left;
static struct side right;

static void side_make(struct side *s, uint32_t count, uint32_t keys, bool nulls)
{
    s->count = count;
    for (uint32_t i = 0; i < count; i++)
        s->key[i] = nulls && random_below(10) == 0 ? -1 : (int32_t)random_below(keys);
}

static struct plan_node *side_node(const struct side *s)
{
    struct plan_node *n = node_of(PLAN_VALUES, NULL, NULL);
    n->values.row_count = s->count;
    n->values.column_count = 2;
    n->values.rows = ARENA_ARRAY(mem, struct expr **, s->count + 1);
    for (uint32_t i = 0; i < s->count; i++) {
        n->values.rows[i] = ARENA_ARRAY(mem, struct expr *, 2);
        n->values.rows[i][0] = s->key[i] < 0 ? k_null(TYPE_INT4) : k4(s->key[i]);
        n->values.rows[i][1] = k4((int32_t)i);
    }
    types_of(n, 2, (oid[]){TYPE_INT4, TYPE_INT4});
    return n;
}

/* A multiset of pairs as an order-independent sum. */
struct pairs {
    uint64_t count;
    uint64_t sum;
};
static void pairs_add(struct pairs *p, int64_t a, int64_t b)
{
    uint64_t bytes[2] = {(uint64_t)a, (uint64_t)b};
    p->count++;
    p->sum += bytes_hash(bytes, sizeof(bytes));
}
static int64_t value_or_null(const struct slot *s, uint32_t i)
{
    return s->nulls[i] ? -100 : datum_i64(s->values[i]);
}
static void take_pair(const struct slot *s, void *ctx)
{
    pairs_add(ctx, value_or_null(s, 0), s->count > 1 ? value_or_null(s, 1) : -100);
}

/* The extra condition: left number + right number is even. */
static bool extra_holds(bool extra, uint32_t l, uint32_t r)
{
    return !extra || (l + r) % 2 == 0;
}

static void model_join(enum join_type type, bool extra, bool null_aware, struct pairs *out)
{
    static bool matched[SIDE_MAX];
    memset(matched, 0, sizeof(matched));
    *out = (struct pairs){0};
    for (uint32_t l = 0; l < left.count; l++) {
        bool any = false;
        bool unknown = false;
        for (uint32_t r = 0; r < right.count; r++) {
            unknown |= left.key[l] < 0 || right.key[r] < 0;
            if (left.key[l] < 0 || left.key[l] != right.key[r] || !extra_holds(extra, l, r))
                continue;
            any = true;
            matched[r] = true;
            if (type != JOIN_SEMI && type != JOIN_ANTI)
                pairs_add(out, l, r);
        }
        if (type == JOIN_SEMI && any)
            pairs_add(out, l, -100);
        if (type == JOIN_ANTI && !any && !(null_aware && unknown))
            pairs_add(out, l, -100);
        if ((type == JOIN_LEFT || type == JOIN_FULL) && !any)
            pairs_add(out, l, -100);
    }
    for (uint32_t r = 0; r < right.count && (type == JOIN_RIGHT || type == JOIN_FULL); r++)
        if (!matched[r])
            pairs_add(out, -100, r);
}

static struct plan_node *join_node(enum plan_kind kind, enum join_type type, bool extra,
                                   bool null_aware)
{
    struct plan_node *l = side_node(&left);
    struct plan_node *r = side_node(&right);
    if (kind == PLAN_MERGE_JOIN) {
        l = sort_of(l, 0, TYPE_INT4, false);
        r = sort_of(r, 0, TYPE_INT4, false);
    }
    if (kind == PLAN_NESTED_LOOP)
        r = node_of(PLAN_MATERIALIZE, r, NULL);
    struct plan_node *j = node_of(kind, l, r);
    j->join.type = type;
    j->join.null_aware = null_aware;
    struct expr *lk = in(0, 0, TYPE_INT4);
    struct expr *rk = in(1, 0, TYPE_INT4);
    struct expr *odd =
        call2("int4mod", call2("int4pl", in(0, 1, TYPE_INT4), in(1, 1, TYPE_INT4)), k4(2));
    struct expr *even = extra ? call2("int4eq", odd, k4(0)) : NULL;
    if (kind == PLAN_NESTED_LOOP) {
        struct expr *eq = call2("int4eq", lk, rk);
        j->join.condition = eq;
        if (even != NULL) {
            struct expr *both = expr_new(mem, EXPR_AND, TYPE_BOOL, -1);
            both->args = ARENA_ARRAY(mem, struct expr *, 2);
            both->args[0] = eq;
            both->args[1] = even;
            both->arg_count = 2;
            j->join.condition = both;
        }
    } else {
        j->join.condition = even;
        j->join.key_count = 1;
        j->join.outer_keys = ARENA_ARRAY(mem, struct expr *, 1);
        j->join.inner_keys = ARENA_ARRAY(mem, struct expr *, 1);
        j->join.outer_keys[0] = lk;
        j->join.inner_keys[0] = rk;
        j->join.merge_order = sort_key(0, TYPE_INT4, false);
    }
    struct expr *targets[2] = {in(0, 1, TYPE_INT4), in(1, 1, TYPE_INT4)};
    targets_of(j, type == JOIN_SEMI || type == JOIN_ANTI ? 1 : 2, targets);
    return j;
}

static SUSPENDS void check_join(enum plan_kind kind, enum join_type type, bool extra,
                                bool null_aware)
{
    struct pairs want;
    struct pairs got = {0};
    uint64_t rows = 0;
    model_join(type, extra, null_aware, &want);
    CHECK_OK(
        run_plan(plan_of(join_node(kind, type, extra, null_aware)), NULL, take_pair, &got, &rows));
    if (want.count != got.count || want.sum != got.sum)
        fprintf(stderr, "join kind %d type %d extra %d: %lu rows, expected %lu\n", (int)kind,
                (int)type, extra, (unsigned long)got.count, (unsigned long)want.count);
    CHECK(want.count == got.count && want.sum == got.sum);
}

static SUSPENDS void joins_of(uint32_t l, uint32_t r, uint32_t keys, bool loops)
{
    static const enum join_type types[] = {JOIN_INNER, JOIN_LEFT, JOIN_RIGHT,
                                           JOIN_FULL,  JOIN_SEMI, JOIN_ANTI};
    side_make(&left, l, keys, true);
    side_make(&right, r, keys, true);
    for (uint32_t t = 0; t < ARRAY_LEN(types); t++)
        for (int extra = 0; extra < 2; extra++) {
            check_join(PLAN_HASH_JOIN, types[t], extra, false);
            check_join(PLAN_MERGE_JOIN, types[t], extra, false);
            if (loops && types[t] != JOIN_RIGHT && types[t] != JOIN_FULL)
                check_join(PLAN_NESTED_LOOP, types[t], extra, false);
        }
    check_join(PLAN_HASH_JOIN, JOIN_ANTI, false, true);
    if (loops)
        check_join(PLAN_NESTED_LOOP, JOIN_ANTI, false, true);
    side_make(&right, r, keys, false);
    check_join(PLAN_HASH_JOIN, JOIN_ANTI, false, true);
}

static SUSPENDS void joins(void)
{
    joins_of(0, 0, 5, true);
    joins_of(0, 20, 5, true);
    joins_of(20, 0, 5, true);
    joins_of(1, 1, 1, true);
    joins_of(60, 80, 7, true);
    joins_of(80, 60, 200, true);
    work_mem_set("64kB"); /* the hash join goes to partitions */
    joins_of(3000, 4000, 900, false);
    env.settings = NULL;
}

/* ---- sorting ---- */

struct order_check {
    int64_t last;
    uint64_t out_of_order;
    struct pairs pairs;
    bool descending;
};
static void take_ordered(const struct slot *s, void *ctx)
{
    struct order_check *c = ctx;
    int64_t v = s->nulls[0] ? INT32_MAX : datum_i64(s->values[0]); /* nulls are largest */
    if (c->pairs.count > 0 && (c->descending ? v > c->last : v < c->last))
        c->out_of_order++;
    c->last = v;
    pairs_add(&c->pairs, value_or_null(s, 0), value_or_null(s, 1));
}

static SUSPENDS void check_sort(bool descending)
{
    struct order_check c = {.descending = descending};
    struct pairs want = {0};
    uint64_t rows = 0;
    for (uint32_t i = 0; i < left.count; i++)
        pairs_add(&want, left.key[i] < 0 ? -100 : left.key[i], i);
    CHECK_OK(run_plan(plan_of(sort_of(side_node(&left), 0, TYPE_INT4, descending)), NULL,
                      take_ordered, &c, &rows));
    CHECK(c.out_of_order == 0);
    CHECK(c.pairs.count == want.count && c.pairs.sum == want.sum);
}

static SUSPENDS void sorting(void)
{
    static const uint32_t counts[] = {0, 1, 2, 15, 16, 17, 33, 500, 4000};
    for (uint32_t i = 0; i < ARRAY_LEN(counts); i++) {
        side_make(&left, counts[i], 300, true);
        check_sort(false);
        check_sort(true);
        work_mem_set("64kB");
        check_sort(i % 2 != 0);
        env.settings = NULL;
    }
    /* top-n */
    side_make(&left, 3000, 1000000, false);
    struct plan_node *s = sort_of(side_node(&left), 0, TYPE_INT4, false);
    s->sort.limit_hint = 10;
    struct plan_node *l = node_of(PLAN_LIMIT, s, NULL);
    l->limit.count = k8(10);
    struct order_check c = {0};
    uint64_t rows = 0;
    CHECK_OK(run_plan(plan_of(l), NULL, take_ordered, &c, &rows));
    CHECK(rows == 10 && c.out_of_order == 0);
    uint32_t smaller = 0;
    for (uint32_t i = 0; i < left.count; i++)
        smaller += left.key[i] < c.last;
    CHECK(smaller <= 9);
}

/* Many runs and a merge in several passes, straight on the sorter. */
static SUSPENDS void sorter_spills(void)
{
    struct run run = {.mem = mem, .env = &env};
    const struct type_info *type = NULL;
    CHECK_OK(type_require(TYPE_INT8, &type));
    struct key_column column = {.type = type};
    uint32_t index = 0;
    struct sorter *s = sorter_new(&run, &column, &index, 1, 16 * 1024, 0);
    uint64_t sum = 0;
    const uint32_t count = 60000;
    for (uint32_t i = 0; i < count; i++) {
        datum v = datum_of_i64((int64_t)random_below(1000000));
        bool null = false;
        sum += v;
        CHECK_OK(sorter_add_wait(s, &v, &null, &v, sizeof(v)));
    }
    CHECK_OK(sorter_finish_wait(s));
    for (int pass = 0; pass < 2; pass++) {
        uint64_t got = 0;
        uint64_t last = 0;
        uint32_t n = 0;
        for (;;) {
            const uint8_t *row = NULL;
            uint32_t len = 0;
            CHECK_OK(sorter_next_wait(s, &row, &len, NULL, NULL));
            if (row == NULL)
                break;
            uint64_t v = load_u64(row);
            CHECK(len == 8 && v >= last);
            last = v;
            got += v;
            n++;
        }
        CHECK(n == count && got == sum);
        CHECK_OK(sorter_rewind_wait(s));
    }
    sorter_end_wait(s);
    run_end_wait(&run);
}

static SUSPENDS void row_store_reads_back(void)
{
    struct run run = {.mem = mem, .env = &env};
    struct row_store *s = row_store_new(&run, 20000);
    struct row_reader early;
    row_reader_init(&early, s);
    static uint8_t bytes[200000];
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t len = i == 1500 ? (uint32_t)sizeof(bytes) : i % 97;
        memset(bytes, (int)(i & 255), len);
        CHECK_OK(row_store_add_wait(s, bytes, len));
        if (i % 3 == 0) { /* a reader that follows the writer through the change to a file */
            const uint8_t *row = NULL;
            uint32_t got = 0;
            CHECK_OK(row_reader_next_wait(&early, &row, &got));
            uint32_t n = i / 3;
            CHECK(row != NULL && got == (n == 1500 ? sizeof(bytes) : n % 97));
            CHECK(got == 0 || row[got - 1] == (n & 255));
        }
    }
    struct row_reader r;
    row_reader_init(&r, s);
    for (uint32_t i = 0; i <= 3000; i++) {
        const uint8_t *row = NULL;
        uint32_t got = 0;
        CHECK_OK(row_reader_next_wait(&r, &row, &got));
        if (i == 3000) {
            CHECK(row == NULL);
            break;
        }
        CHECK(row != NULL && got == (i == 1500 ? sizeof(bytes) : i % 97));
        CHECK(((uintptr_t)row & 7) == 0);
        CHECK(got == 0 || (row[0] == (i & 255) && row[got - 1] == (i & 255)));
    }
    row_store_end_wait(s);
}

/* ---- grouping ---- */

static struct plan_aggregate *aggregates(uint32_t *count)
{
    struct plan_aggregate *a = ARENA_ARRAY(mem, struct plan_aggregate, 3);
    a[0] = (struct plan_aggregate){.func = fn("count", 0, NULL), .star = true, .type = TYPE_INT8};
    for (int i = 1; i < 3; i++) {
        a[i] = (struct plan_aggregate){
            .func = fn("sum", 1, (oid[]){TYPE_INT4}), .arg_count = 1, .type = TYPE_INT8};
        a[i].args = ARENA_ARRAY(mem, struct expr *, 1);
        a[i].args[0] = in(0, 1, TYPE_INT4);
        a[i].arg_types = ARENA_ARRAY(mem, oid, 1);
        a[i].arg_types[0] = TYPE_INT4;
    }
    a[2].args[0] = in(0, 0, TYPE_INT4);
    a[2].distinct = true;
    *count = 3;
    return a;
}

static struct plan_node *group_node(struct plan_node *child, int strategy, uint32_t groups)
{
    struct plan_node *n = node_of(PLAN_AGGREGATE, child, NULL);
    n->aggregate.strategy = strategy;
    n->aggregate.group_count = groups;
    n->aggregate.group = ARENA_ARRAY(mem, struct expr *, groups + 1);
    if (groups > 0)
        n->aggregate.group[0] = in(0, 0, TYPE_INT4);
    n->aggregate.aggregates = aggregates(&n->aggregate.aggregate_count);
    return n;
}

struct group_check {
    uint64_t groups;
    uint64_t wrong;
};
static void take_group(const struct slot *s, void *ctx)
{
    struct group_check *c = ctx;
    int32_t key = s->nulls[0] ? -1 : datum_i32(s->values[0]);
    int64_t count = 0;
    int64_t sum = 0;
    for (uint32_t i = 0; i < left.count; i++)
        if (left.key[i] == key) {
            count++;
            sum += i;
        }
    c->groups++;
    bool distinct_ok = key < 0 ? s->nulls[3] : datum_i64(s->values[3]) == key;
    if (datum_i64(s->values[1]) != count || datum_i64(s->values[2]) != sum || !distinct_ok)
        c->wrong++;
}
static void take_total(const struct slot *s, void *ctx)
{
    struct group_check *c = ctx;
    c->groups++;
    if (datum_i64(s->values[0]) != left.count)
        c->wrong++;
}

static uint32_t distinct_keys(const struct side *s)
{
    static bool seen[100001];
    memset(seen, 0, sizeof(seen));
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->count; i++)
        if (!seen[s->key[i] + 1]) {
            seen[s->key[i] + 1] = true;
            n++;
        }
    return n;
}

static SUSPENDS void check_groups(void)
{
    uint64_t rows = 0;
    struct group_check hashed = {0};
    CHECK_OK(
        run_plan(plan_of(group_node(side_node(&left), 1, 1)), NULL, take_group, &hashed, &rows));
    CHECK(hashed.wrong == 0 && hashed.groups == distinct_keys(&left));
    struct group_check sorted = {0};
    struct plan_node *by_key = sort_of(side_node(&left), 0, TYPE_INT4, false);
    CHECK_OK(run_plan(plan_of(group_node(by_key, 2, 1)), NULL, take_group, &sorted, &rows));
    CHECK(sorted.wrong == 0 && sorted.groups == distinct_keys(&left));
    struct group_check plain = {0};
    CHECK_OK(
        run_plan(plan_of(group_node(side_node(&left), 0, 0)), NULL, take_total, &plain, &rows));
    CHECK(plain.wrong == 0 && plain.groups == 1);
}

static SUSPENDS void check_distinct(void)
{
    uint64_t rows = 0;
    for (int sorted = 0; sorted < 2; sorted++) {
        struct plan_node *child = side_node(&left);
        if (sorted)
            child = sort_of(child, 0, TYPE_INT4, false);
        struct plan_node *d = node_of(PLAN_DISTINCT, child, NULL);
        d->distinct.key_count = 1;
        d->distinct.sorted = sorted;
        CHECK_OK(run_plan(plan_of(d), NULL, NULL, NULL, &rows));
        CHECK(rows == distinct_keys(&left));
    }
}

static struct plan_node *keys_only(const struct side *s)
{
    struct plan_node *n = side_node(s);
    struct plan_node *r = node_of(PLAN_RESULT, n, NULL);
    targets_of(r, 1, (struct expr *[]){in(0, 0, TYPE_INT4)});
    return r;
}

static SUSPENDS void check_set(enum set_operation operation, bool all)
{
    static uint32_t l[100001];
    static uint32_t r[100001];
    memset(l, 0, sizeof(l));
    memset(r, 0, sizeof(r));
    for (uint32_t i = 0; i < left.count; i++)
        l[left.key[i] + 1]++;
    for (uint32_t i = 0; i < right.count; i++)
        r[right.key[i] + 1]++;
    struct pairs want = {0};
    for (uint32_t k = 0; k < ARRAY_LEN(l); k++) {
        uint32_t n = operation == SET_INTERSECT
                         ? (all ? MIN(l[k], r[k]) : l[k] > 0 && r[k] > 0)
                         : (all ? (l[k] > r[k] ? l[k] - r[k] : 0) : l[k] > 0 && r[k] == 0);
        for (uint32_t i = 0; i < n; i++)
            pairs_add(&want, k == 0 ? -100 : (int64_t)k - 1, -100);
    }
    struct plan_node *s = node_of(PLAN_SET_OPERATION, keys_only(&left), keys_only(&right));
    s->set_operation.operation = operation;
    s->set_operation.all = all;
    struct pairs got = {0};
    uint64_t rows = 0;
    CHECK_OK(run_plan(plan_of(s), NULL, take_pair, &got, &rows));
    CHECK(got.count == want.count && got.sum == want.sum);
}

static SUSPENDS void grouping(void)
{
    for (int spill = 0; spill < 2; spill++) {
        if (spill)
            work_mem_set("64kB");
        side_make(&left, 4000, spill ? 3000 : 50, true);
        side_make(&right, 3500, spill ? 3000 : 50, true);
        check_groups();
        check_distinct();
        for (int all = 0; all < 2; all++) {
            check_set(SET_INTERSECT, all);
            check_set(SET_EXCEPT, all);
        }
        side_make(&left, 0, 1, true);
        check_groups();
        check_distinct();
        check_set(SET_EXCEPT, true);
    }
    env.settings = NULL;
}

/* Two partial aggregations of halves, merged. */
static SUSPENDS void partial_aggregates(void)
{
    side_make(&left, 2000, 40, true);
    struct plan_node *halves[2];
    for (uint32_t h = 0; h < 2; h++) {
        struct plan_node *v = side_node(&left);
        v->filter = call2("int4eq", call2("int4mod", in(0, 1, TYPE_INT4), k4(2)), k4((int32_t)h));
        halves[h] = group_node(v, 1, 1);
        halves[h]->aggregate.aggregate_count = 2;
        halves[h]->aggregate.stage = AGGREGATE_PARTIAL;
        targets_of(
            halves[h], 3,
            (struct expr *[]){in(3, 0, TYPE_INT4), in(3, 1, TYPE_BYTEA), in(3, 2, TYPE_BYTEA)});
    }
    struct plan_node *both = node_of(PLAN_APPEND, NULL, NULL);
    both->append.children = halves;
    both->append.count = 2;
    struct plan_node *final = group_node(both, 1, 1);
    final->aggregate.aggregate_count = 2;
    final->aggregate.stage = AGGREGATE_FINAL;
    targets_of(final, 4,
               (struct expr *[]){in(3, 0, TYPE_INT4), in(3, 1, TYPE_INT8), in(3, 2, TYPE_INT8),
                                 in(3, 0, TYPE_INT4)});
    struct group_check c = {0};
    uint64_t rows = 0;
    CHECK_OK(run_plan(plan_of(final), NULL, take_group, &c, &rows));
    CHECK(c.wrong <= 1); /* the fourth column stands in for the sum of distinct keys */
    CHECK(c.groups == distinct_keys(&left));
}

/* ---- recursion, WITH, limits, subqueries ---- */

static void sum_first(const struct slot *s, void *ctx)
{
    *(int64_t *)ctx += value_or_null(s, 0);
}

static SUSPENDS void recursion(void)
{
    /* WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT n FROM t
     */
    struct plan_node *one = node_of(PLAN_RESULT, NULL, NULL);
    targets_of(one, 1, (struct expr *[]){k4(1)});
    struct plan_node *work = node_of(PLAN_WORK_TABLE, NULL, NULL);
    work->filter = call2("int4lt", in(0, 0, TYPE_INT4), k4(100));
    targets_of(work, 1, (struct expr *[]){call2("int4pl", in(0, 0, TYPE_INT4), k4(1))});
    struct plan_node *r = node_of(PLAN_RECURSIVE_UNION, one, work);
    types_of(r, 1, (oid[]){TYPE_INT4});
    struct plan_node *scan = node_of(PLAN_CTE_SCAN, NULL, NULL);
    types_of(scan, 1, (oid[]){TYPE_INT4});
    struct plan_node *again = node_of(PLAN_CTE_SCAN, NULL, NULL);
    types_of(again, 1, (oid[]){TYPE_INT4});
    struct plan_node *both = node_of(PLAN_APPEND, NULL, NULL);
    both->append.children = (struct plan_node *[]){scan, again};
    both->append.count = 2;
    struct plan *p = plan_of(both);
    p->ctes = (struct plan_node *[]){r};
    p->cte_count = 1;
    p->work_table_count = 1;
    int64_t sum = 0;
    uint64_t rows = 0;
    CHECK_OK(run_plan(p, NULL, sum_first, &sum, &rows));
    CHECK(rows == 200 && sum == 2 * 5050);
    /* UNION: 1 → 2 → ... → 9 → 0 → 1 ends by itself */
    struct plan_node *ring = node_of(PLAN_WORK_TABLE, NULL, NULL);
    targets_of(
        ring, 1,
        (struct expr *[]){call2("int4mod", call2("int4pl", in(0, 0, TYPE_INT4), k4(1)), k4(10))});
    struct plan_node *start = node_of(PLAN_RESULT, NULL, NULL);
    targets_of(start, 1, (struct expr *[]){k4(1)});
    struct plan_node *u = node_of(PLAN_RECURSIVE_UNION, start, ring);
    u->recursive.distinct = true;
    types_of(u, 1, (oid[]){TYPE_INT4});
    p = plan_of(u);
    p->work_table_count = 1;
    sum = 0;
    CHECK_OK(run_plan(p, NULL, sum_first, &sum, &rows));
    CHECK(rows == 10 && sum == 45);
}

static SUSPENDS uint64_t limited(struct expr *count, struct expr *offset)
{
    side_make(&left, 100, 5, false);
    struct plan_node *l = node_of(PLAN_LIMIT, side_node(&left), NULL);
    l->limit.count = count;
    l->limit.offset = offset;
    uint64_t rows = 0;
    if (run_plan(plan_of(l), NULL, NULL, NULL, &rows) != ERR_OK)
        return UINT64_MAX;
    return rows;
}

static SUSPENDS void limits(void)
{
    CHECK(limited(k8(7), NULL) == 7);
    CHECK(limited(k8(0), NULL) == 0);
    CHECK(limited(k8(7), k8(95)) == 5);
    CHECK(limited(k8(7), k8(200)) == 0);
    CHECK(limited(NULL, k8(30)) == 70);
    CHECK(limited(k_null(TYPE_INT8), NULL) == 100);
    CHECK(limited(k8(-1), NULL) == UINT64_MAX);
    CHECK(strcmp(err_diag()->message, "LIMIT must not be negative") == 0);
    CHECK(limited(NULL, k8(-1)) == UINT64_MAX);
    CHECK(strcmp(err_diag()->message, "OFFSET must not be negative") == 0);
    /* WITH TIES on sorted keys */
    side_make(&left, 100, 5, false);
    struct plan_node *l = node_of(PLAN_LIMIT, sort_of(side_node(&left), 0, TYPE_INT4, false), NULL);
    l->limit.count = k8(1);
    l->limit.with_ties = true;
    l->limit.ties = sort_key(0, TYPE_INT4, false);
    l->limit.tie_count = 1;
    uint64_t rows = 0;
    uint64_t zeros = 0;
    for (uint32_t i = 0; i < left.count; i++)
        zeros += left.key[i] == 0;
    CHECK_OK(run_plan(plan_of(l), NULL, NULL, NULL, &rows));
    CHECK(rows == zeros);
}

/* SELECT (SELECT count(*) FROM right WHERE key = left.key), key IN (SELECT key FROM right) */
static SUSPENDS void subqueries(void)
{
    side_make(&left, 200, 30, true);
    side_make(&right, 100, 30, true);
    struct plan_node *filtered = side_node(&right);
    filtered->filter = call2("int4eq", in(0, 0, TYPE_INT4), param(0, TYPE_INT4));
    struct plan_node *count = group_node(filtered, 0, 0);
    count->aggregate.aggregate_count = 1;
    types_of(count, 1, (oid[]){TYPE_INT8});
    struct plan_subplan subplans[2] = {
        {.root = count,
         .subkind = SUBQUERY_SCALAR,
         .is_correlated = true,
         .params = (uint32_t[]){0},
         .args = (struct expr *[]){in(0, 0, TYPE_INT4)},
         .arg_count = 1,
         .type = TYPE_INT8,
         .result_param = UINT32_MAX},
        {.root = keys_only(&right),
         .subkind = SUBQUERY_ANY,
         .test = call2("int4eq", in(0, 0, TYPE_INT4), param(1, TYPE_INT4)),
         .first_param = 1,
         .column_count = 1,
         .type = TYPE_BOOL,
         .result_param = UINT32_MAX,
         .hash_left = in(0, 0, TYPE_INT4)},
    };
    for (int hashed = 0; hashed < 2; hashed++) {
        subplans[1].hashed = hashed;
        struct expr *scalar = expr_new(mem, EXPR_SUBPLAN, TYPE_INT8, -1);
        struct expr *is_in = expr_new(mem, EXPR_SUBPLAN, TYPE_BOOL, -1);
        is_in->subplan.index = 1;
        struct plan_node *top = node_of(PLAN_RESULT, side_node(&left), NULL);
        targets_of(top, 2, (struct expr *[]){scalar, is_in});
        struct plan *p = plan_of(top);
        p->subplans = subplans;
        p->subplan_count = 2;
        p->exec_param_count = 2;
        struct pairs want = {0};
        bool has_null = false;
        for (uint32_t r = 0; r < right.count; r++)
            has_null |= right.key[r] < 0;
        for (uint32_t i = 0; i < left.count; i++) {
            int64_t n = 0;
            for (uint32_t r = 0; r < right.count; r++)
                n += left.key[i] >= 0 && left.key[i] == right.key[r];
            bool unknown = n == 0 && (left.key[i] < 0 || has_null);
            pairs_add(&want, n, unknown ? -100 : n > 0);
        }
        struct pairs got = {0};
        uint64_t rows = 0;
        CHECK_OK(run_plan(p, NULL, take_pair, &got, &rows));
        CHECK(got.count == want.count && got.sum == want.sum);
    }
}

static SUSPENDS void more_rows_than_one(void)
{
    side_make(&right, 2, 3, false);
    struct plan_subplan s = {.root = keys_only(&right),
                             .subkind = SUBQUERY_SCALAR,
                             .type = TYPE_INT4,
                             .result_param = UINT32_MAX};
    struct plan_node *top = node_of(PLAN_RESULT, NULL, NULL);
    targets_of(top, 1, (struct expr *[]){expr_new(mem, EXPR_SUBPLAN, TYPE_INT4, -1)});
    struct plan *p = plan_of(top);
    p->subplans = &s;
    p->subplan_count = 1;
    uint64_t rows = 0;
    CHECK(run_plan(p, NULL, NULL, NULL, &rows) == ERR_CARDINALITY_VIOLATION);
}

static struct expr *series(int64_t to)
{
    const struct func *f = fn("generate_series", 2, (oid[]){TYPE_INT8, TYPE_INT8});
    struct expr *e = expr_new(mem, EXPR_CALL, TYPE_INT8, -1);
    e->func = f;
    e->args = ARENA_ARRAY(mem, struct expr *, 2);
    e->args[0] = k8(1);
    e->args[1] = k8(to);
    e->arg_count = 2;
    return e;
}

static SUSPENDS void functions(void)
{
    struct plan_node *f = node_of(PLAN_FUNCTION_SCAN, NULL, NULL);
    f->function.calls = (struct expr *[]){series(5), series(3)};
    f->function.call_count = 2;
    f->function.ordinality = true;
    types_of(f, 3, (oid[]){TYPE_INT8, TYPE_INT8, TYPE_INT8});
    struct pairs got = {0};
    struct pairs want = {0};
    uint64_t rows = 0;
    for (int64_t i = 1; i <= 5; i++)
        pairs_add(&want, i, i <= 3 ? i : -100);
    CHECK_OK(run_plan(plan_of(f), NULL, take_pair, &got, &rows));
    CHECK(got.count == want.count && got.sum == want.sum);
    side_make(&left, 3, 5, false);
    struct plan_node *ps = node_of(PLAN_PROJECT_SET, side_node(&left), NULL);
    targets_of(ps, 2, (struct expr *[]){in(0, 1, TYPE_INT4), series(2)});
    CHECK_OK(run_plan(plan_of(ps), NULL, NULL, NULL, &rows));
    CHECK(rows == 6);
}

static SUSPENDS void temp_files_are_gone(void)
{
    char **names = NULL;
    size_t count = 0;
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/pg_temp", test_directory);
    err_t e = io_list_dir_wait(path, mem, &names, &count);
    CHECK(e == ERR_OK && count == 0);
}

static SUSPENDS void body(void)
{
    mem = arena_new();
    joins();
    sorting();
    sorter_spills();
    row_store_reads_back();
    grouping();
    partial_aggregates();
    recursion();
    limits();
    subqueries();
    more_rows_than_one();
    functions();
    temp_files_are_gone();
    arena_free(mem);
}

static void nodes(void)
{
    test_directory_make();
    unit_run(1, body);
    test_directory_remove();
}

int main(void)
{
    const struct unit_test tests[] = {{"nodes", nodes}};
    return unit_main("sql_exec nodes", tests, ARRAY_LEN(tests));
}
