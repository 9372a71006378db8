/*
 * What the files of sql/analyze share: the running analysis, scopes (one per query level) and the
 * steps of name and type resolution. PostgreSQL's raw nodes come in as void * or Node *; only
 * sources that include sql/parse/nodes.h look into them.
 *
 * Every function that transforms expressions may look into the catalog, so most may suspend.
 */
#ifndef SQL_ANALYZE_PRIV_H
#define SQL_ANALYZE_PRIV_H

#include "core/core.h"
#include "sql/analyze/utility.h"
#include "sql/parse/nodes.h"
#include "sql/parse/parse.h"

/* ---- the running analysis: one per statement ---- */

struct held_table {
    const struct table_desc *table;
    struct held_table *next;
};
struct param_ref {
    struct expr *expr;
    struct param_ref *next;
};

struct analysis {
    const struct analyze_options *o;
    struct catalog_session *catalog;
    const struct session_env *env;
    struct arena *mem;
    const char *text;  /* for positions; NULL: positions mean nothing (inside views) */
    int32_t text_skip; /* bytes put before the user's text */
    oid *param_types;  /* of the statement's $n so far; 0 = not yet known */
    uint32_t param_count;
    uint32_t param_capacity;
    bool params_fixed;
    struct param_ref *param_refs;
    uint32_t exec_param_count;
    uint32_t view_depth;
    bool has_volatile_settings;
    struct held_table *tables; /* released when the analysis ends */
};

void analysis_begin(struct analysis *a, const struct analyze_options *o, struct arena *mem);
void analysis_end(struct analysis *a);
/* Sets the error's position from a byte offset; returns e. */
COLD void analyze_set_position(const struct analysis *a, int32_t location);
static inline err_t analyze_at(const struct analysis *a, int32_t location, err_t e)
{
    analyze_set_position(a, location);
    return e;
}
SUSPENDS err_t analysis_table_by_oid_wait(struct analysis *a, oid table,
                                          const struct table_desc **out);
/* NULL when there is none. */
SUSPENDS err_t analysis_table_find_wait(struct analysis *a, const char *schema, const char *name,
                                        const struct table_desc **out);
/* ERR_UNDEFINED_TABLE with position. */
SUSPENDS err_t analysis_table_wait(struct analysis *a, const RangeVar *rv,
                                   const struct table_desc **out);

/* ---- scopes ---- */

/* Where an expression stands: says what it may contain and how errors call it. */
enum place {
    PLACE_OTHER,
    PLACE_JOIN_ON,
    PLACE_FROM_SUBSELECT,
    PLACE_FROM_FUNCTION,
    PLACE_WHERE,
    PLACE_HAVING,
    PLACE_FILTER,
    PLACE_WINDOW_PARTITION,
    PLACE_WINDOW_ORDER,
    PLACE_WINDOW_FRAME_RANGE,
    PLACE_WINDOW_FRAME_ROWS,
    PLACE_WINDOW_FRAME_GROUPS,
    PLACE_SELECT_TARGET,
    PLACE_INSERT_TARGET,
    PLACE_UPDATE_SOURCE,
    PLACE_UPDATE_TARGET,
    PLACE_GROUP_BY,
    PLACE_ORDER_BY,
    PLACE_DISTINCT_ON,
    PLACE_LIMIT,
    PLACE_OFFSET,
    PLACE_RETURNING,
    PLACE_VALUES,
    PLACE_VALUES_SINGLE,
    PLACE_CHECK,
    PLACE_COLUMN_DEFAULT,
    PLACE_INDEX_EXPRESSION,
    PLACE_INDEX_PREDICATE,
    PLACE_EXECUTE,
    PLACE_COPY_WHERE,
    PLACE_CALL_ARGUMENT,
};
const char *place_name(enum place p);

/* A visible column: what a reference to it becomes. */
struct scope_column {
    const char *name; /* NULL: dropped */
    uint32_t rte;
    int32_t attno;
    oid type;
    int32_t typmod;
    oid collation;
    struct expr *merged; /* JOIN USING column that is an expression; NULL = plain column */
};

struct scope_item { /* entry of the namespace */
    const char *name;
    const char *schema; /* of a plain table, for schema.table.column; NULL */
    uint32_t rte;
    const struct table_desc *table; /* RTE_TABLE: system columns, keys */
    struct scope_column *columns;
    uint32_t column_count;
    bool relation_visible;
    bool columns_visible;
    bool lateral_only;
    bool lateral_ok;
};

struct scope_cte {
    const char *name;
    uint32_t index; /* in query->ctes */
    uint32_t column_count;
    const char **column_names;
    oid *column_types;
    int32_t *column_typmods;
    oid *column_collations;
    int32_t location;
    bool is_union;    /* has the form that recursion needs */
    bool in_progress; /* a recursive CTE's own query is being analysed */
    bool has_columns; /* its columns are known */
    bool is_visible;
    uint32_t self_count; /* references to itself */
};

struct scope {
    struct scope *parent;
    struct analysis *a;
    struct query *query;
    struct scope_item **items; /* namespace */
    uint32_t item_count;
    uint32_t item_capacity;
    struct scope_item **rte_items; /* by rte */
    uint32_t rte_capacity;
    struct scope_cte *ctes;
    uint32_t cte_count;
    const WithClause *with; /* while its items are analysed */
    enum place place;
    bool lateral_active;
    bool
        keep_unknowns; /* target columns of type unknown stay (INSERT ... SELECT, set operations) */
    bool has_modifying_parent;
    const List *locking;          /* FOR UPDATE inherited from above */
    const List *window_defs;      /* WINDOW clause and OVER (...), raw */
    struct window_spec **windows; /* same order */
    const char **window_names;
    uint32_t window_count;
    uint32_t window_capacity;
    struct target *order_targets;    /* while ORDER BY etc. are resolved: the target list */
    struct recursive_cte *recursive; /* WITH RECURSIVE: the query analysed next is this CTE's */
    const char *no_recursion;        /* what a reference of a CTE to itself may not stand within */
    bool has_self_reference;         /* FROM has one */
};
struct recursive_cte {
    struct scope_cte *cte;
    const CommonTableExpr *node;
};

struct scope *scope_new(struct analysis *a, struct scope *parent, enum command command);
uint32_t scope_add_rte(struct scope *s, struct range_entry *rte, struct scope_item *item);
void scope_add_item(struct scope *s, struct scope_item *item);
struct scope_item *scope_item_for_rte(struct scope *s, struct range_entry *rte, uint32_t index,
                                      const struct table_desc *t);
struct expr *scope_column_expr(struct scope *s, const struct scope_column *c, uint32_t levels_up,
                               int32_t location);
/* A column by name anywhere in sight; *out NULL when there is none. */
SUSPENDS err_t scope_find_column_wait(struct scope *s, const char *name, int32_t location,
                                      struct expr **out);
struct scope_item *scope_find_relation(struct scope *s, const char *schema, const char *name,
                                       uint32_t *levels_up, err_t *error, int32_t location);
SUSPENDS err_t scope_column_ref_wait(struct scope *s, const ColumnRef *ref, struct expr **out);
err_t scope_missing_relation(struct scope *s, const char *schema, const char *name,
                             int32_t location);
SUSPENDS err_t scope_item_column_wait(struct scope *s, struct scope_item *item, const char *name,
                                      uint32_t levels_up, int32_t location, struct expr **out);
/* rows of expressions for a star */
err_t scope_item_star(struct scope *s, struct scope_item *item, uint32_t levels_up,
                      int32_t location, struct expr ***exprs, const char ***names, uint32_t *count);
err_t scope_check_conflicts(struct scope *s, struct scope_item *const *left, uint32_t left_count,
                            struct scope_item *const *right, uint32_t right_count);
struct range_entry *range_entry_new(struct scope *s, enum rte_kind kind, uint32_t columns);
struct range_entry *range_entry_of_table(struct scope *s, const struct table_desc *t,
                                         const char *alias);

/* ---- types ---- */

/* Type of a TypeName node, with modifiers. ERR_UNDEFINED_OBJECT 'type "x" does not exist'. */
SUSPENDS err_t analyze_type_name_wait(struct analysis *a, const TypeName *n, oid *type,
                                      int32_t *typmod);
SUSPENDS err_t analyze_type_find_wait(struct analysis *a, const TypeName *n, oid *type);
/* For files that have options only (DDL). setof is left to the caller. */
SUSPENDS err_t analyze_type_node_wait(const struct analyze_options *o, const TypeName *n,
                                      struct arena *mem, oid *type, int32_t *typmod);
const char *analyze_type_name_text(struct arena *mem, const TypeName *n);
SUSPENDS err_t analyze_collation_wait(struct analysis *a, const List *name, int32_t location,
                                      oid *out);
char type_category(oid type);
bool type_is_preferred(oid type);
oid type_element(oid type); /* of a true array; 0 */
oid type_array(oid type);
oid type_collation(oid type);
bool type_is_row(oid type);
bool type_is_polymorphic(oid type);
const char *analyze_type_text(const struct analysis *a, oid type);

/* ---- coercion (coerce.c) ---- */

enum coercion { COERCE_BY_CONTEXT, COERCE_BY_ASSIGNMENT, COERCE_BY_CAST };

bool coerce_is_possible(uint32_t count, const oid *from, const oid *to, enum coercion context);
bool coerce_is_binary(oid from, oid to);
/* Type only; from must be coercible. */
err_t coerce_type(struct scope *s, struct expr *e, oid target, int32_t typmod,
                  enum coercion context, bool is_explicit, int32_t location, struct expr **out);
/* Type and length; *out NULL when there is no way. */
err_t coerce_to_target(struct scope *s, struct expr *e, oid target, int32_t typmod,
                       enum coercion context, bool is_explicit, int32_t location,
                       struct expr **out);
err_t coerce_to_boolean(struct scope *s, struct expr *e, const char *construct, struct expr **out);
err_t coerce_to_specific(struct scope *s, struct expr *e, oid target, const char *construct,
                         struct expr **out);
/* The common type of a list (UNION, CASE, VALUES ...): 0 and an error, or 0 without one when
 * context is NULL and there is none. */
err_t coerce_common_type(struct scope *s, struct expr *const *list, uint32_t count,
                         const char *context, oid *out);
int32_t coerce_common_typmod(struct expr *const *list, uint32_t count, oid type);
err_t coerce_to_common(struct scope *s, struct expr *e, oid type, const char *context,
                       struct expr **out);
bool coerce_check_generic(const oid *actual, const oid *declared, uint32_t count);
/* Resolves any* in declared (changed in place) from the actual types; the result's type too. */
err_t coerce_enforce_generic(struct scope *s, const oid *actual, oid *declared, uint32_t count,
                             oid result, bool allow_poly, oid *out);
bool coerce_is_unknown_literal(const struct expr *e);
err_t coerce_unknown_literal(struct scope *s, struct expr *e, oid type, int32_t typmod,
                             struct expr **out);
void collation_of_args(struct expr *e);

/* ---- operators and functions (oper.c, func.c) ---- */

struct candidate {
    const struct func *func;
    const struct operator_info *op;
    const oid *args;
    uint32_t arg_count;
    uint32_t default_count;  /* taken from the function's defaults */
    uint32_t variadic_count; /* arguments gathered */
    const int *arg_order;    /* named notation: position in the call of each argument, -1 default */
    struct candidate *next;
};
struct candidate *candidates_match(struct candidate *list, const oid *types, uint32_t count,
                                   uint32_t *matches);
struct candidate *candidates_select(struct candidate *list, const oid *types, uint32_t count);

/* opname: list of String nodes; left 0 for prefix operators. */
err_t operator_resolve(struct scope *s, const List *opname, oid left, oid right, bool missing_ok,
                       int32_t location, const struct operator_info **out);
err_t operator_resolve_name(struct scope *s, const char *name, oid left, oid right, bool missing_ok,
                            int32_t location, const struct operator_info **out);
err_t operator_make(struct scope *s, const List *opname, struct expr *left, struct expr *right,
                    int32_t location, struct expr **out);
err_t operator_make_named(struct scope *s, const char *name, struct expr *left, struct expr *right,
                          int32_t location, struct expr **out);
err_t operator_make_array(struct scope *s, const List *opname, bool is_any, struct expr *left,
                          struct expr *right, int32_t location, struct expr **out);
/* '<', '=' and '>' of a type's default order; 0 = none. */
void operator_ordering(oid type, oid *less, oid *equal, oid *greater);

struct function_call {
    const List *name;
    struct expr **args;
    const char **arg_names; /* NULL entries: positional */
    uint32_t arg_count;
    const FuncCall *node; /* aggregates' and windows' parts; NULL */
    int32_t location;
};
SUSPENDS err_t function_make_wait(struct scope *s, struct function_call *call, struct expr **out);
err_t function_make_builtin(struct scope *s, const char *name, struct expr **args, uint32_t count,
                            int32_t location, struct expr **out);

/* ---- expressions ---- */

SUSPENDS err_t analyze_expr_wait(struct scope *s, const void *node, enum place place,
                                 struct expr **out);
/* The same, in the place that is being analysed. */
SUSPENDS err_t transform_wait(struct scope *s, const void *node, struct expr **out);
SUSPENDS err_t transform_list_wait(struct scope *s, const List *list, enum place place,
                                   struct expr ***out, uint32_t *count);
SUSPENDS err_t transform_sublink_wait(struct scope *s, const SubLink *n, struct expr **out);
SUSPENDS err_t transform_op_wait(struct scope *s, const A_Expr *n, struct expr **out);
err_t row_compare_make(struct scope *s, const List *opname, struct expr **left, struct expr **right,
                       uint32_t count, int32_t location, struct expr **out);
SUSPENDS err_t transform_func_call_wait(struct scope *s, const FuncCall *n, struct expr **out);
SUSPENDS err_t transform_indirection_wait(struct scope *s, struct expr *base, const List *list,
                                          struct expr **out);
SUSPENDS err_t analyze_condition_wait(struct scope *s, const void *node, enum place place,
                                      const char *construct, struct expr **out);
struct expr *expr_bool(struct scope *s, enum expr_kind kind, struct expr **args, uint32_t count,
                       int32_t location);
const struct func *func_of_operator(const struct operator_info *op);

/* ---- targets ---- */

const char *target_figure_name(const void *node);
SUSPENDS err_t target_list_wait(struct scope *s, const List *list, enum place place,
                                struct target **out, uint32_t *count);
/* A ResTarget-free list (VALUES row, ROW()), stars expanded. */
SUSPENDS err_t target_exprs_wait(struct scope *s, const List *list, enum place place,
                                 bool allow_default, struct expr ***out, uint32_t *count);
void target_origin(struct scope *s, struct target *t);
err_t target_resolve_unknowns(struct scope *s, struct target *targets, uint32_t count);
uint32_t target_add(struct query *q, struct arena *mem, struct target t);

/* ---- clauses ---- */

SUSPENDS err_t clause_from_wait(struct scope *s, const List *from);
SUSPENDS err_t clause_order_wait(struct scope *s, const List *order, enum place place, bool sql99,
                                 struct sort_item **out, uint32_t *count);
SUSPENDS err_t clause_group_wait(struct scope *s, const List *group, bool distinct);
SUSPENDS err_t clause_distinct_wait(struct scope *s, const List *distinct);
SUSPENDS err_t clause_limit_wait(struct scope *s, const SelectStmt *n);
SUSPENDS err_t clause_windows_wait(struct scope *s);
err_t sort_item_make(struct scope *s, struct expr *e, int direction, int nulls, const List *use_op,
                     int32_t location, struct sort_item *out);
err_t sort_item_check(struct scope *s, struct sort_item *item, int32_t location);
SUSPENDS err_t clause_locking_wait(struct scope *s, const LockingClause *lc, bool pushed_down);
err_t cte_set_columns(struct scope *s, struct scope_cte *cte, const struct query *q,
                      const CommonTableExpr *n);
SUSPENDS err_t clause_with_wait(struct scope *s, const WithClause *with);
struct scope_cte *scope_find_cte(struct scope *s, const char *name, uint32_t *levels_up);
SUSPENDS err_t window_find_wait(struct scope *s, const WindowDef *def, struct window_spec **out);

/* ---- aggregates ---- */

err_t aggregate_check(struct scope *s, struct expr *agg, int32_t location);
err_t aggregate_check_query(struct scope *s);
bool expr_has_kind(const struct expr *e, enum expr_kind kind);
/* The first one, from the left; NULL. */
const struct expr *expr_find_kind(const struct expr *e, enum expr_kind kind);
int32_t expr_location(const struct expr *e);
bool expr_has_columns(const struct expr *e); /* of this level */
bool expr_returns_set(const struct expr *e);

/* Every expression slot of a query (its subqueries' through EXPR_SUBQUERY and RTE_SUBQUERY by the
 * caller's visit). */
err_t query_walk(struct query *q, err_t (*visit)(struct expr **slot, void *ctx), void *ctx);
/* Calls visit for every node below *slot, into nested queries too; depth is how many queries deep.
 */
struct deep_walk {
    err_t (*visit)(struct expr *e, uint32_t depth, struct deep_walk *w, bool *descend);
    void *ctx;
    uint32_t depth;
    bool skip_query_ctes;
    bool without_join_columns; /* what joins yield is visited only where it is used */
};
err_t deep_walk_expr(struct deep_walk *w, struct expr *e);
err_t deep_walk_query(struct deep_walk *w, struct query *q);
/* The query moves one level deeper: references out of it are corrected. */
err_t query_push_down(struct query *q);

/* ---- rights (privilege.c) ---- */

/* ERR_INSUFFICIENT_PRIVILEGE unless the session's role may run the query; without check_privileges
 * nothing is asked. */
SUSPENDS err_t analyze_rights_wait(struct analysis *a, struct query *q);
/* Whether the role may use the schema of a table that was found by name: not being allowed to is an
 * error when the schema was named; otherwise the table is not seen. */
SUSPENDS err_t analyze_schema_wait(struct analysis *a, int32_t location, bool named,
                                   const struct table_desc *t, bool *visible);

/* ---- statements ---- */

SUSPENDS err_t analyze_query_wait(struct analysis *a, const void *node, struct query **out);
/* A SELECT (or VALUES, set operation; for CTEs also INSERT ...) below s. */
SUSPENDS err_t analyze_subquery_wait(struct scope *parent, const void *node, bool keep_unknowns,
                                     const List *locking, bool lateral, struct query **out);
SUSPENDS err_t analyze_select_wait(struct scope *s, const SelectStmt *n);
SUSPENDS err_t analyze_set_operation_wait(struct scope *s, const SelectStmt *n);
SUSPENDS err_t analyze_insert_wait(struct scope *s, const InsertStmt *n);
SUSPENDS err_t analyze_update_wait(struct scope *s, const UpdateStmt *n);
SUSPENDS err_t analyze_delete_wait(struct scope *s, const DeleteStmt *n);
SUSPENDS err_t analyze_default_wait(struct scope *s, const struct table_desc *t,
                                    const struct column_desc *c, struct expr **out);
SUSPENDS err_t analyze_table_text_wait(struct analysis *a, const struct table_desc *t,
                                       const char *text, oid type, int32_t typmod,
                                       struct expr **out);
SUSPENDS err_t analyze_utility_wait(struct analysis *a, struct raw_statement *raw,
                                    struct statement *st);
SUSPENDS err_t analyze_inner_wait(struct analysis *a, void *node, struct statement **out);

#endif
