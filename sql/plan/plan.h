/*
 * Plans: immutable, self-contained operator trees that any core can run; and the planner's entry.
 *
 * Distribution. Every access to stored rows lies inside a fragment: the subtree under a
 * PLAN_GATHER. A fragment runs on the core of one shard (directly when that is this core) and its
 * scans read that shard's part of the tables. A gather names its shards: one by shard key values,
 * all, or shard 0 for catalogs. Everything above gathers runs on the session's core. A statement
 * that touches one shard is a single gather at the root. Fragments see the client's parameters and
 * the exec params read-only.
 *
 * Slots. Every node yields rows of target_count values. targets are evaluated over the node's input
 * slots: 0 = only or outer child, 1 = inner child. targets NULL: the (outer) child's row as it is,
 * for scans the table row. For scans slot 0 is the table row: index attno - 1, then at
 * column_count: row id (int8), +1: tableoid (oid), +2: shard number (int4). For aggregation slot 0
 * is the child's row (group expressions and arguments are evaluated over it) and targets and having
 * are over slot 3: group values first, then aggregate results; with grouping sets one more column
 * follows: the number of the set (int4, its index in sets), from which GROUPING() is computed;
 * group values that are not in the set are NULL. A PARTIAL aggregate has explicit targets (all of
 * slot 3). Slot 0 of other leaves: function scan = the calls' columns side by side, then the
 * ordinality (int8); VALUES, CTE scan, work table = their rows. filter is over the same slots as
 * targets; on a PLAN_RESULT without child it is evaluated once.
 *
 * Project set: each target is an EXPR_CALL of a set-returning function at its root, or a plain
 * expression. A gather has neither targets nor filter. Modify: slot 0 of recheck, recheck_set,
 * returning and ON CONFLICT expressions is laid out as a scan's (table row, then row id, tableoid,
 * shard); slot 1 is the child's whole row. PLAN_LOCK_ROWS and PLAN_MODIFY stand inside a fragment
 * (rows of that shard) or above gathers (rows of any shard, by their shard column).
 *
 * Subplans that are run once and whose value a fragment needs: the gather lists them in initial;
 * before it opens the fragment each is run (unless it was) and its value put into exec param
 * result_param, which the fragment's expressions read. No row gives NULL (EXISTS: false).
 */
#ifndef SQL_PLAN_PLAN_H
#define SQL_PLAN_PLAN_H

#include "sql/analyze/query.h"

struct plan_label {     /* names for EXPLAIN only */
    const char *name;   /* relation, function, CTE; NULL */
    const char *schema; /* NULL */
    const char *alias;
    const char **columns; /* of slot 0, for leaves that are no tables */
    uint32_t column_count;
    const char *command; /* set operation: "HashSetOp Intersect All" and the like */
};

enum plan_kind {
    PLAN_RESULT, /* one row without input (or child's rows through targets: projection, filter) */
    PLAN_SEQ_SCAN,
    PLAN_INDEX_SCAN,
    PLAN_VALUES,
    PLAN_FUNCTION_SCAN,
    PLAN_VIRTUAL_SCAN, /* registered producer; runs on the session's core */
    PLAN_CTE_SCAN,
    PLAN_WORK_TABLE, /* recursive CTE's self reference */
    PLAN_NESTED_LOOP,
    PLAN_HASH_JOIN,
    PLAN_MERGE_JOIN,
    PLAN_AGGREGATE,
    PLAN_SORT,
    PLAN_LIMIT,
    PLAN_DISTINCT,      /* over all columns of the child, or the first key_count (DISTINCT ON) */
    PLAN_SET_OPERATION, /* INTERSECT / EXCEPT [ALL] */
    PLAN_APPEND,        /* UNION ALL */
    PLAN_RECURSIVE_UNION,
    PLAN_MATERIALIZE,
    PLAN_PROJECT_SET, /* set-returning functions in targets */
    PLAN_WINDOW,
    PLAN_LOCK_ROWS, /* FOR UPDATE...: child yields row id and shard junk columns */
    PLAN_MODIFY,    /* INSERT, UPDATE, DELETE */
    PLAN_GATHER,
};

struct plan_sort_key {
    uint32_t column; /* of the child's output */
    oid type;
    oid sort_operator;
    bool descending;
    bool nulls_first;
};

struct plan_table { /* a table as the plan needs it on any core: copied from the descriptor */
    oid oid;
    const char *name;
    const char *alias;
    file_id file;
    uint32_t column_count;
    struct row_layout *layout;
    const char **column_names;
    oid *column_types;
    int32_t *column_typmods;
    bool *not_null;
    datum *missing; /* values of columns that old rows lack */
    bool *missing_nulls;
    file_id map_of;        /* a map table: the file of the table whose rows it names */
    uint32_t columns_used; /* highest attno the plan reads (decode up to there) */
    enum distribution_kind distribution;
    uint16_t shard_key_count;
    int16_t *shard_key;
    struct key_column *shard_key_columns;
    uint32_t index_count;
    struct plan_index *indexes; /* the live ones, in the descriptor's order (modify keeps them) */
    uint32_t check_count;       /* CHECK constraints, over slot 0 = table row */
    struct plan_check *checks;
    uint32_t
        foreign_count; /* for writing: foreign keys of this table, then those that refer to it */
    struct plan_foreign *foreign;
    const char *virtual_name;
    const char *schema_name;
    struct table_code *code; /* exec: compiled checks and index keys, made at the first run */
};
struct plan_index {
    oid oid;
    const char *name;
    file_id file;
    bool is_unique;
    bool nulls_not_distinct;
    bool is_deferrable;            /* several rows may have a key until it is checked */
    bool is_deferred;              /* at first */
    oid constraint;                /* of a deferrable one; OID_NONE: on its way to be one */
    struct row_layout *key_layout; /* deferrable: of a row of its columns */
    bool is_primary;
    bool is_valid;      /* else it is only kept, and may lack entries */
    bool is_known_only; /* on its way in or out: only what it knows already is kept right */
    uint16_t key_count;
    int16_t *attnos;           /* 0 = expression */
    struct expr **expressions; /* over slot 0 = table row; NULL where attno != 0 */
    struct key_column *key_columns;
    struct expr *predicate;       /* NULL */
    struct plan_table *map_table; /* unique without the shard key: its hidden table; NULL = none */
};
struct plan_check {
    const char *name;
    struct expr *expr;
};
/* One end of a foreign key: what exec must know to note a change for it. */
struct plan_foreign {
    oid constraint;
    oid other;          /* the table at the other end */
    bool is_referenced; /* this table is the one referred to */
    bool match_full;
    bool deferrable;
    uint16_t column_count;
    int16_t *columns; /* of this table, in the constraint's order */
    struct key_column *key_columns;
    struct row_layout *layout; /* of a row of these columns */
};

/* One bound column of an index scan: equality on a prefix of the key, then at most one range. */
struct plan_index_bounds {
    uint32_t equal_count;
    struct expr *
        *equal; /* one per leading key column; no inputs (constants, params, exec params) */
    /* one of them may be an array to try each element of: = ANY(array); UINT32_MAX = none */
    uint32_t array_column;
    struct expr *low; /* NULL = none */
    struct expr *high;
    bool low_inclusive;
    bool high_inclusive;
};

enum aggregate_stage { AGGREGATE_WHOLE, AGGREGATE_PARTIAL, AGGREGATE_FINAL };
struct plan_aggregate {
    const struct func *func;
    struct expr **args; /* over slot 0; WHOLE and PARTIAL */
    uint32_t arg_count;
    struct expr *filter;
    bool distinct;
    bool star;
    struct plan_sort_key *order; /* ORDER BY inside: columns are indexes into order_exprs' values */
    struct expr **order_exprs;
    uint32_t order_count;
    oid type; /* of the result */
    oid *arg_types;
};

/* Sets exec param `param` from a column of the outer row before each inner rescan. */
struct plan_nest_param {
    uint32_t param;
    uint32_t column;
};

enum gather_target {
    GATHER_ALL,
    GATHER_KEY,
    GATHER_MAP, /* where a map table says that the row with a unique key is */
    GATHER_SHARD_0,
    GATHER_HOME /* replicated: own home shard */
};
/* One shard, which the values of gather.key decide. */
static inline bool gather_has_key(enum gather_target t)
{
    return t == GATHER_KEY || t == GATHER_MAP;
}

struct plan_node {
    enum plan_kind kind;
    uint32_t id;             /* position in the plan, for EXPLAIN ANALYZE counters */
    struct plan_node *outer; /* child or left */
    struct plan_node *inner;
    struct expr **targets;
    uint32_t target_count;
    struct expr *filter;
    /* estimates */
    double startup_cost;
    double total_cost;
    double rows;
    uint32_t width;
    oid *types;                     /* target_count output types (for spilling, hashing, transit) */
    const struct plan_label *label; /* for EXPLAIN; NULL */
    struct node_code *code;         /* exec: compiled expressions, made at the plan's first run */
    union {
        struct {
            struct plan_table *table;
            struct plan_index *index; /* PLAN_INDEX_SCAN */
            struct plan_index_bounds bounds;
            bool backward;
        } scan;
        struct {
            struct expr ***rows;
            uint32_t row_count;
            uint32_t column_count;
        } values;
        struct {
            struct expr **calls; /* EXPR_CALL of set-returning or plain functions */
            uint32_t call_count;
            bool ordinality;
        } function;
        struct {
            uint32_t cte; /* index in plan->ctes; PLAN_WORK_TABLE: number of the work table */
        } cte;
        struct {
            enum join_type type;
            struct expr *condition; /* ON part: slots 0 outer, 1 inner; filter is applied after null
                                       extension */
            struct plan_nest_param *nest_params;
            uint32_t nest_param_count;
            struct expr **outer_keys;          /* hash, merge: equal expressions; over slot 0 */
            struct expr **inner_keys;          /* over slot 1 */
            const struct func **equal;         /* per key: equality function */
            struct plan_sort_key *merge_order; /* merge: per key */
            uint32_t key_count;
            bool null_aware; /* NOT IN semantics for JOIN_ANTI */
        } join;
        struct {
            enum aggregate_stage stage;
            int strategy; /* 0 plain (one group), 1 hashed, 2 input sorted by the group columns */
            struct expr **group; /* over slot 0 */
            uint32_t group_count;
            struct grouping *sets; /* NULL = one set of all */
            uint32_t set_count;
            struct plan_aggregate *aggregates;
            uint32_t aggregate_count;
            /* PARTIAL yields group values then one bytea per aggregate; FINAL takes that; targets
             * over slot 3 */
        } aggregate;
        struct {
            struct plan_sort_key *keys;
            uint32_t key_count;
            int64_t limit_hint; /* top-n: > 0 when a constant limit follows; -1 */
            struct expr *bound; /* top-n by parameters: int8 without inputs, evaluated at the
                                   start; NULL value or NULL pointer = none */
        } sort;
        struct {
            struct expr *count;
            struct expr *offset;
            bool with_ties;
            struct plan_sort_key *ties;
            uint32_t tie_count;
        } limit;
        struct { /* yields slot 0 = the child's columns, then a column per function */
            struct plan_aggregate *functions; /* args and filter over the child's row */
            uint32_t function_count;
            uint32_t *partition; /* columns of the child, which is sorted by them, then by order */
            uint32_t partition_count;
            struct plan_sort_key *order;
            uint32_t order_count;
            int frame_options;
            struct expr *start_offset; /* without inputs; NULL */
            struct expr *end_offset;
            const struct func *start_range; /* in_range() of RANGE offsets; NULL */
            const struct func *end_range;
        } window;
        struct {
            uint32_t key_count; /* leading columns compared */
            bool sorted;        /* input ordered by them; else hashed */
        } distinct;
        struct {
            enum set_operation operation;
            bool all;
        } set_operation; /* outer, inner: hashed over all columns */
        struct {
            struct plan_node **children;
            uint32_t count;
        } append;
        struct {
            uint32_t work_table; /* outer = non-recursive, inner = recursive term */
            bool distinct;
        } recursive;
        struct {
            struct plan_row_mark *marks;
            uint32_t count;
        } lock_rows;
        struct {
            enum command command;
            struct plan_table *table;
            /* INSERT: child yields one value per table column (column_count wide; dropped = NULL).
             * UPDATE: child yields row id, shard, then new values of the assigned columns; DELETE:
             * row id, shard. */
            uint32_t row_id_column;
            uint32_t shard_column;
            uint32_t set_count;
            int32_t *set_attnos; /* UPDATE: assigned columns; child columns first_set.. */
            uint32_t first_set;
            /* Read committed re-check after a lock wait: the scan's filter and the SET expressions
             * again over slot 0 = newest table row, slot 1 = the child's other columns (joined
             * tables). NULL filter = none. */
            struct expr *recheck;
            struct expr **recheck_set;
            bool local; /* inside a fragment: rows are of this shard; else routed from here */
            bool changes_shard_key;
            struct plan_on_conflict *on_conflict;
            struct expr *
                *returning; /* over slot 0 = table row (new; old for DELETE), slot 1 = child row */
            uint32_t returning_count;
        } modify;
        struct {
            enum gather_target target;
            struct expr **key;            /* gather_has_key: shard key values (no inputs) */
            struct plan_table *key_table; /* whose shard key; MAP: the map table */
            struct plan_sort_key *merge;  /* keep order: merge by these output columns */
            uint32_t merge_count;
            uint32_t *initial; /* subplans to be run before the fragment opens */
            uint32_t initial_count;
            bool writes;   /* has a PLAN_MODIFY or PLAN_LOCK_ROWS inside */
            bool is_short; /* point access: worth a borrow */
        } gather;
    };
};

struct plan_row_mark {
    struct plan_table *table;
    enum row_lock_mode mode;
    enum lock_policy policy;
    uint32_t row_id_column; /* of the child's row */
    uint32_t shard_column;
    struct expr *recheck;  /* over slot 0 = newest row; NULL */
    uint32_t first_column; /* child columns that come from this table: [first, first + count) with
                              attnos, to refresh */
    uint32_t column_count;
    int32_t *attnos;
};
struct plan_on_conflict {
    bool do_update;
    uint32_t *arbiters; /* positions in table->indexes; none = all unique ones */
    uint32_t arbiter_count;
    int32_t *set_attnos;
    struct expr **set; /* slot 0 = existing row, slot 2 = proposed row */
    uint32_t set_count;
    struct expr *where;
};

struct plan_subplan {
    struct plan_node *root;
    enum subquery_kind subkind;
    bool is_correlated; /* false: run once, kept */
    /* correlated: exec params set from expressions of the place of use before each run */
    uint32_t *params;
    struct expr **args; /* over the same slots as the expression that holds the EXPR_SUBPLAN */
    uint32_t arg_count;
    struct expr
        *test; /* ANY/ALL: over exec params first_param.. = subquery's columns, and test_args */
    uint32_t first_param;
    uint32_t column_count;
    oid type;
    uint32_t result_param; /* listed in a gather's initial; UINT32_MAX = none */
    bool hashed;           /* uncorrelated = ANY: hash table over the rows */
    struct expr *hash_left;
    const struct func *hash_equal;
    struct subplan_code *code; /* exec */
};

struct plan_lock {
    oid table;
    enum table_lock_mode mode;
};

struct plan {
    enum command command;
    struct plan_node *root;
    uint32_t node_count;
    struct plan_subplan *subplans;
    uint32_t subplan_count;
    struct plan_node **ctes;
    uint32_t cte_count;
    const char **cte_names; /* for EXPLAIN */
    uint32_t work_table_count;
    uint32_t exec_param_count;
    /* result columns (targets that are not junk; RETURNING) */
    uint32_t column_count;
    const char **column_names;
    oid *column_types;
    int32_t *column_typmods;
    oid *column_tables;
    int16_t *column_numbers;
    struct plan_lock *locks;
    uint32_t lock_count;
    bool meets_temporary; /* reads or writes temporary tables */
    bool writes;
    bool modifies_in_with;
    bool returns_rows;
    uint64_t catalog_version;
    struct arena *mem;
    bool is_compiled; /* exec: every node has its code */
};

struct plan_options {
    struct catalog_session *catalog;
    const struct session_env *env;
    const datum *params; /* values for a custom plan; NULL = generic */
    const bool *param_nulls;
    uint32_t param_count;
    double fetch_fraction; /* cursors: 0 = all rows */
};
/* Everything lands in mem. ERR_FEATURE_NOT_SUPPORTED for what no operator can do yet. */
SUSPENDS err_t plan_query_wait(const struct plan_options *o, const struct query *q,
                               struct arena *mem, struct plan **out);
/* The plan's view of a table, with indexes, checks analysed (for COPY and DDL too). */
SUSPENDS err_t plan_table_make_wait(const struct plan_options *o, oid table, struct arena *mem,
                                    struct plan_table **out);

/* EXPLAIN text lines as PostgreSQL's text format ("Index Scan using t_pkey on t  (cost=...").
 * counters: per node id, NULL without ANALYZE. */
struct plan_counter {
    double first_row_us;
    double total_us;
    uint64_t rows;
    uint64_t loops;
    uint64_t removed_by_filter;
};
struct explain_options {
    bool analyze, verbose, costs, buffers, timing, summary, settings, wal;
    int format; /* enum explain_format: 0 text, 1 JSON, 2 YAML, 3 XML */
};
struct explain_times {
    double planning_ms;
    double execution_ms;
};
err_t plan_explain(const struct plan *p, const struct session_env *env,
                   const struct explain_options *o, const struct plan_counter *counters,
                   const struct explain_times *times, struct arena *mem, struct strbuf *out);

#endif
