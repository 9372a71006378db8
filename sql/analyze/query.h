/*
 * Analysed statements: what analyze makes of a raw parse tree, and plan and ddl take.
 *
 * Everything is resolved (tables, columns, types, functions, coercions) and lives in one arena;
 * trees are immutable and hold oids and copied names, not descriptors of the session, so that plans
 * can be cached.
 */
#ifndef SQL_ANALYZE_QUERY_H
#define SQL_ANALYZE_QUERY_H

#include "sql/catalog/catalog.h"

enum command { CMD_SELECT, CMD_INSERT, CMD_UPDATE, CMD_DELETE, CMD_UTILITY };

enum rte_kind { RTE_TABLE, RTE_SUBQUERY, RTE_JOIN, RTE_FUNCTION, RTE_VALUES, RTE_CTE, RTE_RESULT };

struct range_entry {
    enum rte_kind kind;
    const char *alias; /* the name it is known by */
    bool alias_given;
    uint32_t alias_column_count; /* names that the alias gave to the first columns */
    uint32_t column_count;
    const char **column_names;
    oid *column_types;
    int32_t *column_typmods;
    oid *column_collations;
    bool lateral;
    bool in_from; /* false: target of INSERT, EXCLUDED */
    /* RTE_TABLE. Columns are the table's attnos (dropped ones have NULL names). */
    oid table;
    char table_kind;
    /* RTE_SUBQUERY, and views */
    struct query *subquery;
    /* RTE_JOIN: column i is join_columns[i] (COLUMN or COALESCE of both for USING) over the sides'
     * rtes; the first using_count are merged, and of these the sides' own columns are kept */
    int join_type; /* enum join_type */
    struct expr **join_columns;
    uint32_t using_count;
    struct expr **using_left;
    struct expr **using_right;
    const char *using_alias; /* JOIN ... USING (...) AS alias; NULL */
    /* RTE_FUNCTION */
    struct expr **functions; /* EXPR_CALLs; more than one = ROWS FROM */
    uint32_t function_count;
    bool with_ordinality;
    /* RTE_VALUES */
    struct expr ***values; /* [row][column] */
    uint32_t value_row_count;
    /* RTE_CTE */
    uint32_t cte_index;
    uint32_t cte_levels_up;
    bool cte_self; /* reference of a recursive CTE to itself */
};

enum join_type { JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL, JOIN_SEMI, JOIN_ANTI };

/* FROM tree */
enum from_kind { FROM_RTE, FROM_JOIN };
struct from_item {
    enum from_kind kind;
    uint32_t rte; /* FROM_RTE: the entry; FROM_JOIN: the join's entry (or UINT32_MAX) */
    enum join_type join;
    struct from_item *left;
    struct from_item *right;
    struct expr *condition; /* NULL = none */
};

struct target {
    struct expr *expr;
    const char *name; /* result column name */
    bool junk;        /* for ORDER BY / GROUP BY only: not sent */
    int32_t attno;    /* INSERT, UPDATE: column assigned */
    bool defaulted;   /* INSERT: the column was not named and gets its default */
    oid origin_table; /* RowDescription */
    int16_t origin_column;
};

struct grouping { /* one grouping set: indexes into group_exprs */
    uint32_t count;
    uint32_t *members;
};

/* GROUP BY as it was written, where it has grouping sets. */
struct group_item {
    enum { GROUP_EMPTY, GROUP_SIMPLE, GROUP_ROLLUP, GROUP_CUBE, GROUP_SETS } kind;
    uint32_t count;
    uint32_t *members;        /* simple: indexes into group_exprs */
    struct group_item *items; /* rollup, cube, sets */
};

struct cte {
    const char *name;
    const char **column_names; /* as written after the name */
    uint32_t column_name_count;
    struct query *query;
    bool recursive;
    int materialized; /* 0 default, 1 always, 2 never */
    uint32_t reference_count;
};

enum set_operation { SET_NONE, SET_UNION, SET_INTERSECT, SET_EXCEPT };
struct set_tree { /* leaf: rte (RTE_SUBQUERY); else operation */
    enum set_operation operation;
    bool all;
    uint32_t rte;
    struct set_tree *left;
    struct set_tree *right;
    uint32_t column_count;
    oid *types;
    int32_t *typmods;
    oid *collations;
};

struct row_mark { /* FOR UPDATE ... */
    uint32_t rte;
    enum row_lock_mode mode;
    enum lock_policy policy;
};

struct on_conflict {
    bool do_update;
    oid *arbiter_indexes; /* empty: any */
    uint32_t arbiter_count;
    struct target *set; /* columns over rte target and EXCLUDED (its rte index below) */
    uint32_t set_count;
    struct expr *where;
    uint32_t excluded_rte;
};

/* PostgreSQL's FRAMEOPTION bits. */
enum {
    WINDOW_NONDEFAULT = 0x1,
    WINDOW_RANGE = 0x2,
    WINDOW_ROWS = 0x4,
    WINDOW_GROUPS = 0x8,
    WINDOW_BETWEEN = 0x10,
    WINDOW_START_UNBOUNDED = 0x20,
    WINDOW_END_UNBOUNDED = 0x100,
    WINDOW_START_CURRENT = 0x200,
    WINDOW_END_CURRENT = 0x400,
    WINDOW_START_PRECEDING = 0x800,
    WINDOW_END_PRECEDING = 0x1000,
    WINDOW_START_FOLLOWING = 0x2000,
    WINDOW_END_FOLLOWING = 0x4000,
    WINDOW_EXCLUDE_CURRENT = 0x8000,
    WINDOW_EXCLUDE_GROUP = 0x10000,
    WINDOW_EXCLUDE_TIES = 0x20000,
};
struct query {
    enum command command;
    uint32_t rte_count;
    struct range_entry **rtes;
    struct from_item **from; /* items joined by comma */
    uint32_t from_count;
    struct expr *where;
    struct target *targets;
    uint32_t target_count;
    bool has_aggregates;
    bool has_windows;
    bool has_subqueries;
    bool has_set_functions; /* in targets */
    bool has_modifying_cte;
    struct expr **group_exprs;
    uint32_t group_count;
    struct grouping *grouping_sets; /* NULL: plain GROUP BY */
    uint32_t grouping_set_count;
    struct group_item *group_items; /* as written; NULL: plain GROUP BY */
    uint32_t group_item_count;
    bool group_distinct;
    struct expr *having;
    struct window_spec **windows; /* of the WINDOW clause */
    uint32_t window_count;
    bool distinct;
    struct sort_item
        *distinct_on; /* DISTINCT ON, or all targets for DISTINCT; expr = target's expr */
    uint32_t distinct_on_count;
    bool has_distinct_on;
    struct sort_item *order; /* expr equal to some target's (junk ones added) */
    uint32_t order_count;
    struct expr *limit; /* int8; NULL = none */
    bool limit_with_ties;
    struct expr *offset;
    struct set_tree
        *set_tree; /* then targets are plain columns over it: EXPR_COLUMN of leaf 0's rte */
    struct cte *ctes;
    uint32_t cte_count;
    bool with_recursive; /* WITH RECURSIVE was written */
    struct row_mark *row_marks;
    uint32_t row_mark_count;
    uint32_t exec_param_count; /* of EXPR_EXEC_PARAMs given out by analyze (top query) */
    /* INSERT, UPDATE, DELETE */
    uint32_t target_rte; /* result relation */
    oid target_table;
    /* INSERT: targets' attno say the columns; rows come from: values (RTE_VALUES in from) or a
     * subquery in from, or one row of targets without from. Columns not named get their default as
     * a target (analyze adds them). */
    bool overriding_system;
    bool overriding_user;
    struct on_conflict *on_conflict;
    struct target *returning;
    uint32_t returning_count;
};

/* Result of analysing one statement. */
struct statement {
    enum command command;
    const char *tag;         /* utility: "CREATE TABLE" ...; for DML the tag is made at the end */
    struct query *query;     /* not CMD_UTILITY; also the query of EXPLAIN, CREATE TABLE AS, DECLARE
                                CURSOR, COPY (query) */
    struct utility *utility; /* sql/analyze/utility.h */
    uint32_t param_count;
    oid *param_types; /* inferred */
    /* tables whose change makes this stale, beside the catalog version */
    bool has_volatile_settings; /* a literal such as 'now' was read: not to be shared or kept */
    struct arena *mem;
};

/* ---- analysis (sql/analyze) ---- */
struct raw_statement; /* sql/parse/parse.h */
struct analyze_options {
    struct catalog_session *catalog;
    const struct session_env *env;
    const char *text;       /* for positions */
    int32_t text_place;     /* characters before it in what the client sent */
    const oid *param_types; /* given types; 0 = to be inferred */
    uint32_t param_count;
    bool params_fixed;     /* no more than given ($n beyond is ERR_UNDEFINED_PARAMETER) */
    bool check_privileges; /* the session's role must have the rights that the query needs */
};
SUSPENDS err_t analyze_statement_wait(const struct analyze_options *o, struct raw_statement *raw,
                                      struct arena *mem, struct statement **out);
/* The query of a view. */
SUSPENDS err_t analyze_view_wait(const struct analyze_options *o, const struct table_desc *t,
                                 struct arena *mem, struct query **out);
/* A SELECT as text, as PostgreSQL prints views. */
struct query_text_options {
    struct catalog_session *catalog; /* whose names are looked up */
    const struct session_env *env;   /* NULL: default formats */
    bool pretty;
    bool stored;              /* for pg_rewrite: relations by oid, so that renames do not matter */
    const char *const *names; /* of the result's columns; NULL: the query's own */
    uint32_t name_count;
};
SUSPENDS err_t query_text_wait(const struct query_text_options *o, struct query *q,
                               struct arena *mem, struct strbuf *out);
/* Relations in stored texts: STORED_SCHEMA."16390", with a star at the end when the alias after it
 * was not written by the user. */
#define STORED_SCHEMA "pg_oid"
/* One expression of a table: column default, check constraint, index expression or predicate (text
 * as stored). Columns are EXPR_COLUMN rte 0. type 0 = as it comes; else coerced (assignment). */
SUSPENDS err_t analyze_table_expr_wait(const struct analyze_options *o, const struct table_desc *t,
                                       const char *text, oid type, int32_t typmod,
                                       struct arena *mem, struct expr **out);

#endif
