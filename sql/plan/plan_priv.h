/*
 * What the planner's files share.
 *
 * A query is planned level by level. A level sees expressions over EXPR_COLUMN of its own range
 * table only: references to outer levels were replaced by exec params before (prepare.c), so a
 * query never refers to anything outside of itself. Rows in flight are lists of expressions
 * (planned.out); a node is made over its children by replacing whatever a child already yields with
 * EXPR_INPUT (build.c), and what is left over then is an error, never a guess.
 *
 * Where rows are is a property of paths and planned trees (struct dist). A gather turns any of them
 * into DIST_SESSION.
 */
#ifndef SQL_PLAN_PRIV_H
#define SQL_PLAN_PRIV_H

#include "core/core.h"
#include "core/settings.h"
#include "sql/plan/plan.h"

typedef unsigned __int128 relset; /* base relations of a level, by number */
enum { RELS_MAX = 128, JOIN_SEARCH_MAX = 10 };
#define RTE_NONE UINT32_MAX
/* Columns of a stored row that only plans know: where it lives. */
enum { COLUMN_ROW_ID = -100, COLUMN_SHARD = -101 };

static inline bool set_within(relset a, relset b)
{
    return (a & ~b) == 0;
}
static inline bool set_meets(relset a, relset b)
{
    return (a & b) != 0;
}
static inline relset set_of(uint32_t rel)
{
    return (relset)1 << rel;
}
static inline uint32_t set_count(relset s)
{
    return (uint32_t)(__builtin_popcountll((uint64_t)s) +
                      __builtin_popcountll((uint64_t)(s >> 64)));
}

/* Growing arrays in the plan's arena: LIST(T) l = {0}; list_add(mem, &l, item). */
#define LIST(type)                                                                                 \
    struct {                                                                                       \
        type *items;                                                                               \
        uint32_t count;                                                                            \
        uint32_t capacity;                                                                         \
    }
#define LIST_TYPE(name, type)                                                                      \
    struct name {                                                                                  \
        type *items;                                                                               \
        uint32_t count;                                                                            \
        uint32_t capacity;                                                                         \
    }
void *list_grow(struct arena *mem, void *items, uint32_t count, uint32_t *capacity, size_t bytes);
#define LIST_ADD(mem, list, ...)                                                                   \
    do {                                                                                           \
        (list)->items = list_grow((mem), (list)->items, (list)->count, &(list)->capacity,          \
                                  sizeof(*(list)->items));                                         \
        (list)->items[(list)->count++] = __VA_ARGS__;                                              \
    } while (0)

struct expr_list {
    struct expr **items;
    uint32_t count;
    uint32_t capacity;
};
struct u32_list {
    uint32_t *items;
    uint32_t count;
    uint32_t capacity;
};

/* ---- where rows are ---- */

enum dist_kind {
    DIST_ANY,     /* no stored rows: can be made anywhere */
    DIST_SESSION, /* on the session's core */
    DIST_HOME,    /* replicated tables only: any one shard */
    DIST_SINGLE,  /* all rows on one shard */
    DIST_SPREAD,  /* a part on every shard; keys: partitioned by these expressions */
};
struct dist {
    enum dist_kind kind;
    enum gather_target target; /* DIST_SINGLE: KEY, MAP, SHARD_0 or (one shard in all) ALL */
    struct expr **keys;        /* SINGLE by KEY or MAP: values; SPREAD: partition expressions */
    uint32_t key_count;
    struct plan_table *key_table; /* whose shard key's types hash them; MAP: the map table */
};

/* ---- order ---- */

struct order_key {
    struct expr *expr;
    struct eclass *ec; /* NULL */
    oid type;
    oid sort_operator;
    bool descending;
    bool nulls_first;
};
struct order {
    struct order_key *keys;
    uint32_t count;
};

/* ---- clauses ---- */

struct clause {
    struct expr *expr;
    relset rels;      /* whose columns it reads */
    relset required;  /* that must have been joined before it may be applied */
    bool below_outer; /* inside the nullable side of an outer join, or a semijoin's right side */
    bool is_equality; /* expr is left = right by an operator of a btree class, sides of disjoint
                         rels */
    struct expr *left;
    struct expr *right;
    relset left_rels;
    relset right_rels;
    oid op;
    struct eclass *ec;  /* derived from, or source of */
    double selectivity; /* < 0: not yet estimated */
};
struct clause_list {
    struct clause **items;
    uint32_t count;
    uint32_t capacity;
};

struct eclass_member {
    struct expr *expr;
    relset rels;
    bool below_outer;
};
struct eclass {
    LIST(struct eclass_member) members;
    struct expr *constant; /* no columns, not volatile; NULL */
    struct clause_list sources;
    relset rels;
    bool below_outer;
    struct eclass *merged_into;
};

/* An outer, semi or anti join: which relations must be on its sides when it is made. */
struct special {
    enum join_type type; /* LEFT, FULL, SEMI, ANTI */
    relset syntactic_left;
    relset syntactic_right;
    relset min_left;
    relset min_right;
    struct clause_list clauses; /* its ON part: applied exactly at this join */
};

/* Join tree as planned: subqueries pulled up, comma lists nested. */
enum jtree_kind { JTREE_RTE, JTREE_JOIN, JTREE_LIST };
struct jtree {
    enum jtree_kind kind;
    uint32_t rte;
    enum join_type join;
    struct jtree *left;
    struct jtree *right;
    LIST(struct jtree *) items; /* LIST: inner-joined */
    struct expr *quals;         /* JOIN: ON; LIST: WHERE */
};

/* ---- relations and paths ---- */

enum path_kind {
    PATH_SEQ,
    PATH_INDEX,
    PATH_LEAF, /* values, function, virtual relation, CTE, work table, nothing */
    PATH_SUBQUERY,
    PATH_NEST,
    PATH_HASH,
    PATH_MERGE,
    PATH_SORT,
    PATH_MATERIALIZE,
    PATH_GATHER,
    PATH_FILTER, /* clauses of a relation that run on the session's core */
    PATH_UNIQUE, /* distinct values of the inner side of a semijoin */
};
struct index_use {
    uint32_t index;                  /* in table->indexes */
    struct plan_index_bounds bounds; /* expressions over columns of other rels yet */
    bool backward;
    bool is_unique;             /* finds one row at most */
    struct clause_list clauses; /* that the bounds stand for exactly */
};
struct path {
    enum path_kind kind;
    struct rel *rel;
    double startup;
    double total;
    double rows;
    struct order order;
    struct dist dist;
    relset param; /* rels whose columns it needs from an outer side */
    struct path *outer;
    struct path *inner;
    struct index_use *use;
    struct clause_list filter;  /* scans: checked per row */
    struct clause_list applied; /* parameterised: join clauses that it enforces */
    enum join_type join;
    struct clause_list conditions; /* of the join; the first key_count are hash or merge keys */
    uint32_t key_count;
    struct clause_list filters; /* after null extension */
    struct expr_list unique;    /* PATH_UNIQUE */
};

struct rel {
    relset set;
    uint32_t rte; /* base: RTE_NONE for joins */
    struct range_entry *entry;
    const struct table_desc *desc; /* held for the time of planning */
    struct plan_table *table;
    struct clause_list clauses; /* base: restrictions */
    struct clause_list late;    /* base: those that must run on the session's core */
    relset lateral;
    double tuples;
    double pages;
    double rows;
    uint32_t width;
    struct dist dist; /* base */
    LIST(struct path *) paths;
    struct planned *sub; /* subquery */
    struct cte_draft *cte;
    struct expr_list functions;
};

/* A node with what its columns mean. */
struct planned {
    struct plan_node *node;
    struct expr **out;
    uint32_t out_count;
    struct dist dist;
    struct order order;
    struct u32_list initial; /* drafts that a fragment around it must have run before */
};

/* Planned subquery of an expression; EXPR_SUBPLAN (before build.c) has its number, and in args: the
 * correlation values, then the test when there is one, then hash_left. */
struct subplan_draft {
    struct planned sub;
    struct plan_node *gathered; /* root with a gather, made on demand */
    enum subquery_kind subkind;
    bool is_correlated;
    bool hashed;
    bool has_test;
    struct u32_list params;
    uint32_t first_param;
    uint32_t column_count;
    oid type;
    const struct func *hash_equal;
    uint32_t shared;       /* index of the finished subplan of an uncorrelated one; UINT32_MAX */
    uint32_t result_param; /* UINT32_MAX */
    double cost_startup, cost_total;
};

struct cte_draft {
    struct cte *cte;
    struct level *level; /* that has it in its WITH */
    bool is_planned;
    bool in_progress;
    uint32_t index; /* in plan->ctes */
    uint32_t work_table;
    double rows;
    uint32_t width;
    double total;
};

struct nest_ref { /* column of an outer side, read below as an exec param */
    struct expr *column;
    uint32_t param;
};

struct costs {
    double seq_page, random_page, cpu_tuple, cpu_index_tuple, cpu_operator;
    double cache_pages, work_bytes;
    bool seqscan, indexscan, nestloop, hashjoin, mergejoin, sort, hashagg, material;
};

/* One statement. */
struct planner {
    const struct plan_options *o;
    struct arena *mem;
    struct plan *plan;
    struct costs costs;
    uint32_t shards;
    uint32_t own_params; /* first exec param given out by the planner */
    LIST(const struct table_desc *) held;
    LIST(struct subplan_draft *) drafts;
    LIST(struct plan_subplan) subplans;
    LIST(struct plan_node *) ctes;
    LIST(const char *) cte_names;
    LIST(struct plan_lock) locks;
    struct u32_list pending; /* drafts wanted by the fragment being built */
};

struct level {
    struct planner *p;
    struct level *parent;
    struct arena *mem;
    struct query *q; /* own copy, changed at will */
    LIST(struct range_entry *) rtes;
    struct rel **rte_rels;       /* by rte; NULL = not in FROM */
    LIST(struct expr **) pulled; /* by rte: what a pulled-up subquery's columns are */
    LIST(bool) nullable_rtes;    /* by rte: below the nullable side of an outer join */
    LIST(struct rel *) rels;
    struct jtree *tree;
    struct cte_draft **ctes;
    LIST(struct special *) specials;
    LIST(struct eclass *) eclasses;
    struct clause_list joins;   /* clauses of several relations, not from classes */
    struct clause_list session; /* applied above everything, on the session's core */
    struct expr_list once;      /* conditions without columns */
    bool is_empty;              /* WHERE is constantly false */
    relset nullable;            /* rels on a nullable side */
    LIST(struct rel *) join_rels;
    LIST(struct nest_ref) nest;
    relset outer_rels;                    /* while building: rels that nest params may come from */
    const struct table_desc *target_desc; /* INSERT */
    struct plan_table *target;
    double limit_rows; /* wanted at most; 0 = all */
};

/* ---- util.c ---- */
void expr_list_add(struct arena *mem, struct expr_list *l, struct expr *e);
/* Adds it unless an equal one is there; its position. */
uint32_t expr_list_add_new(struct arena *mem, struct expr_list *l, struct expr *e);
bool exprs_match(const struct expr *a, const struct expr *b);
uint32_t expr_list_find(struct expr *const *items, uint32_t count, const struct expr *e);
/* All EXPR_COLUMNs below, each once. */
err_t expr_columns(struct arena *mem, struct expr *e, struct expr_list *out);
err_t expr_rels(struct level *l, struct expr *e, relset *out);
err_t expr_has(struct expr *e, enum expr_kind kind, bool *out);
bool expr_kind_within(struct expr *e, enum expr_kind kind);
struct expr *expr_column_new(struct arena *mem, const struct range_entry *rte, uint32_t index,
                             int32_t attno);
struct expr *expr_row_place(struct arena *mem, uint32_t rte, int32_t attno);
struct expr *expr_and(struct arena *mem, struct expr *const *items, uint32_t count);
void expr_conjuncts(struct arena *mem, struct expr *e, struct expr_list *out);
const struct expr *expr_strip_relabel(const struct expr *e);
struct expr *expr_bool_const(struct arena *mem, bool value, bool is_null);
bool expr_is_true(const struct expr *e);
bool expr_is_false(const struct expr *e); /* or NULL */
struct expr *expr_exec_param(struct arena *mem, uint32_t param, oid type, int32_t typmod);
struct expr *expr_input(struct arena *mem, uint32_t slot, uint32_t index, const struct expr *like);
bool expr_makes_set(const struct expr *e); /* anywhere below */
/* Rels whose NULL makes e not true / NULL. */
relset expr_strict_rels(struct level *l, struct expr *e, bool as_condition);
struct expr *expr_operator(struct arena *mem, oid op, struct expr *left, struct expr *right);
oid operator_equality(oid left, oid right); /* 0 = none */
bool type_is_integer(oid type);
bool types_hash_alike(oid a, oid b);
bool types_sort_alike(oid a, oid b);
uint32_t type_width(oid type, int32_t typmod);
/* Rewrites every expression of a query and of the queries below it; depth counts levels down. The
 * query is copied. fn may replace a node (then no descent). table: called for each range entry
 * copy; may be NULL. */
struct query_map {
    struct arena *mem;
    err_t (*fn)(struct query_map *m, const struct expr *e, uint32_t depth, struct expr **out);
    err_t (*entry)(struct query_map *m, struct range_entry *e, uint32_t depth);
    void *ctx;
    uint32_t depth;
};
err_t query_map_run(struct query_map *m, const struct query *q, struct query **out);
err_t query_map_expr(struct query_map *m, const struct expr *e, struct expr **out);

/* ---- plan.c ---- */
SUSPENDS err_t plan_hold_table_wait(struct planner *p, oid table, const struct table_desc **out);
void plan_lock_add(struct planner *p, oid table, enum table_lock_mode mode);
/* Plans a query that refers to nothing outside; result not gathered. All its non-junk targets in
 * order. tuple_fraction 0 = all rows. */
SUSPENDS err_t plan_level_wait(struct planner *p, struct level *parent, const struct query *q,
                               double fraction, struct planned *out);
uint32_t plan_exec_param(struct planner *p);
struct plan_node *plan_node_new(struct planner *p, enum plan_kind kind);

/* ---- table.c ---- */
/* for_writing: with checks and map tables, which reading does not need. */
SUSPENDS err_t plan_table_from_desc_wait(const struct plan_options *o, const struct table_desc *t,
                                         bool for_writing, struct arena *mem,
                                         struct plan_table **out);

/* ---- prepare.c, pullup.c, sublink.c ---- */
SUSPENDS err_t prepare_level_wait(struct level *l);
SUSPENDS err_t prepare_expr_wait(struct level *l, struct expr *e, struct expr **out);
err_t level_flatten(struct level *l, const struct expr *e, struct expr **out);
err_t pullup_subqueries(struct level *l);
void jtree_shift(struct jtree *t, uint32_t offset);
void jtree_rtes(const struct jtree *t, struct u32_list *out, struct arena *mem);
err_t sublinks_pull_up(struct level *l, struct jtree *list);
SUSPENDS err_t sublinks_to_subplans_wait(struct level *l, const struct expr *e, struct expr **out);
uint32_t level_add_rte(struct level *l, struct range_entry *e);
struct jtree *jtree_of_query(struct arena *mem, const struct query *q);
struct cte_draft *level_cte(struct level *l, const struct range_entry *e);
bool query_is_simple(const struct query *q);
/* The query's entries become entries of l from offset on; references to l come one level nearer. */
err_t query_merge(struct level *l, const struct query *q, uint32_t *offset, struct query **out);
bool query_refers_outside(const struct query *q);

/* ---- deconstruct.c ---- */
SUSPENDS err_t deconstruct_wait(struct level *l);
struct clause *clause_new(struct level *l, struct expr *e);
struct eclass *eclass_find(struct level *l, const struct expr *e); /* that has this member */
/* Clauses to be applied when left and right are joined. */
err_t join_clauses(struct level *l, relset left, relset right, const struct special *s,
                   struct clause_list *conditions, struct clause_list *filters);
void clause_list_add(struct arena *mem, struct clause_list *l, struct clause *c);

/* ---- selectivity.c ---- */
double clause_selectivity(struct level *l, struct clause *c);
double clause_list_selectivity(struct level *l, const struct clause_list *list);
double expr_distinct(struct level *l, struct expr *e, double rows);
double clamp_rows(double rows);
double estimate_groups(struct level *l, struct expr *const *exprs, uint32_t count, double rows);
struct rel *expr_single_rel(struct level *l, const struct expr *e, uint32_t *attno);

/* ---- cost.c ---- */
void cost_seq_scan(struct level *l, struct path *p);
void cost_index_scan(struct level *l, struct path *p, double selectivity);
double cost_clauses(struct planner *p, const struct clause_list *list);
void cost_sort(struct planner *p, double rows, uint32_t width, double limit, double in_total,
               double *startup, double *total);
double cost_gather(struct planner *p, const struct dist *d, double rows, double *startup);

/* ---- dist.c ---- */
bool dist_is_same(const struct dist *a, const struct dist *b);
bool dist_is_fragment(const struct dist *d);
/* Can both be in one fragment (or one place), joined so? clauses: the join's equalities. */
bool dist_join(struct level *l, const struct dist *a, const struct dist *b, enum join_type type,
               const struct clause_list *clauses, struct dist *out);
/* May e be evaluated where rows are so? */
bool expr_fits(struct planner *p, struct expr *e, const struct dist *d);
bool exprs_fit(struct planner *p, struct expr *const *items, uint32_t count, const struct dist *d);
bool expr_needs_session(struct planner *p, struct expr *e); /* whatever the rows */
void dist_of_table(struct level *l, struct rel *r);

/* ---- order.c ---- */
bool order_satisfies(const struct order *have, const struct order *want);
void order_add(struct level *l, struct order *o, struct expr *e, oid type, oid sort_operator,
               bool descending, bool nulls_first);
void order_of_items(struct level *l, const struct sort_item *items, uint32_t count,
                    struct order *out);

/* ---- scan.c, join.c ---- */
SUSPENDS err_t scan_rel_init_wait(struct level *l, struct rel *r);
err_t scan_paths(struct level *l, struct rel *r);
void path_add(struct level *l, struct rel *r, struct path *p);
struct path *path_new(struct level *l, enum path_kind kind, struct rel *r);
struct path *path_gather(struct level *l, struct path *p);
struct path *path_sort(struct level *l, struct path *p, const struct order *o);
struct path *path_materialize(struct level *l, struct path *p);
err_t join_search(struct level *l, struct rel **out);
/* The cheapest for that order and l->limit_rows, gather and sort included. */
struct path *path_choose(struct level *l, struct rel *r, const struct order *want);

/* ---- build.c ---- */
struct fix { /* what expressions of a node may read */
    struct level *l;
    struct expr *const *outer;
    uint32_t outer_count;
    struct expr *const *inner;
    uint32_t inner_count;
    struct expr *const *group; /* slot 3 */
    uint32_t group_count;
    uint32_t row_rte;      /* slot 0 is this entry's row */
    uint32_t row_columns;  /* of it: system columns follow */
    uint32_t conflict_rte; /* slot 2 */
    bool row_is_table;
    const struct dist *dist; /* of the node */
    const struct grouping *sets;
    uint32_t set_count;
    const struct expr_list *group_exprs;
    uint32_t set_column;
};
err_t build_path(struct level *l, struct path *path, struct expr *const *wanted, uint32_t count,
                 struct planned *out);
err_t build_fix(struct fix *f, const struct expr *e, struct expr **out);
err_t build_fix_list(struct fix *f, struct expr *const *items, uint32_t count, struct expr ***out);
struct fix fix_of(struct level *l, const struct planned *child, const struct dist *d);
void planned_set_out(struct planner *p, struct planned *x, struct expr *const *out, uint32_t count);
/* Above x: nodes that keep its columns. */
err_t build_gather(struct level *l, struct planned *x, bool writes);
err_t build_result(struct level *l, struct planned *x, struct expr *const *targets, uint32_t count,
                   struct expr *filter);
err_t build_sort(struct level *l, struct planned *x, const struct order *o, struct expr *limit,
                 int64_t limit_hint);
struct plan_sort_key *build_sort_keys(struct level *l, const struct planned *x,
                                      const struct order *o, uint32_t *count);
err_t build_subplan_root(struct level *l, struct subplan_draft *d, struct plan_node **out);

/* ---- window.c ---- */
/* GROUPING() calls that windows and targets read above an aggregation. */
err_t window_inputs(struct level *l, struct expr *const *targets, uint32_t count,
                    struct expr_list *groupings);
/* Window nodes for every EXPR_WINDOW in targets: x yields them beside its own columns. */
err_t window_steps(struct level *l, struct planned *x, struct expr *const *targets, uint32_t count);

/* ---- upper.c, setop.c, modify.c ---- */
err_t upper_plan(struct level *l, double fraction, struct planned *out);
/* DISTINCT, ORDER BY and LIMIT over x, whose columns are the level's targets; junk goes. */
err_t upper_finish(struct level *l, struct planned *x);
/* Rows of FROM and WHERE with the wanted expressions. */
err_t upper_rows(struct level *l, struct expr *const *wanted, uint32_t count,
                 const struct order *want, struct planned *out);
SUSPENDS err_t setop_plan_wait(struct level *l, struct planned *out);
SUSPENDS err_t cte_plan_wait(struct level *l, struct cte_draft *d);
err_t modify_plan(struct level *l, struct planned *out);

#endif
