/*
 * Analysed expressions, and their compiled form: a flat program run with computed goto.
 *
 * analyze makes struct expr with all types, functions and coercions resolved; plan rewrites columns
 * into inputs and subqueries into subplans; expr_compile() turns that into a program. Trees are
 * immutable once made and hold no pointers to anything of a session, so plans can be cached and run
 * on any core.
 */
#ifndef SQL_EXPR_EXPR_H
#define SQL_EXPR_EXPR_H

#include "sql/expr/call.h"

enum expr_kind {
    EXPR_CONST,
    EXPR_PARAM,      /* $n of the client */
    EXPR_EXEC_PARAM, /* set by the executor: correlated values, results of once-run subplans */
    EXPR_COLUMN,     /* analyze: column of a range table entry */
    EXPR_INPUT,      /* plan: column of an input slot */
    EXPR_CALL,       /* function, operator, cast function; op: 0 as called, 'i' implicit cast, 'e'
                        cast as written, 's' special SQL syntax (EXTRACT, AT TIME ZONE ...) */
    EXPR_AND,        /* args: two or more */
    EXPR_OR,
    EXPR_NOT,
    EXPR_IS_NULL,    /* IS [NOT] NULL, flag negated; row arguments tested field-wise */
    EXPR_IS_BOOL,    /* IS [NOT] TRUE/FALSE/UNKNOWN: op 't' 'f' 'u', negated */
    EXPR_CASE,       /* args: operand or NULL in case_operand; whens; default */
    EXPR_CASE_VALUE, /* the operand inside a simple CASE's comparisons */
    EXPR_COALESCE,
    EXPR_MIN_MAX,   /* GREATEST / LEAST: negated = LEAST */
    EXPR_NULLIF,    /* args a, b; func = equality */
    EXPR_DISTINCT,  /* IS [NOT] DISTINCT FROM: func = equality; negated = NOT DISTINCT */
    EXPR_ANY_ALL,   /* scalar op ANY/ALL (array): args scalar, array; func; negated = ALL; IN lists
                       too, oper_oid set when it is an operator's */
    EXPR_ARRAY,     /* ARRAY[...] */
    EXPR_SUBSCRIPT, /* array[index]: args array, indexes; op 's': array[low:high], args array, then
                       low and high per dimension; name[index]: "char" */
    EXPR_ROW,       /* ROW(...) */
    EXPR_ROW_COMPARE, /* (a,b) < (c,d): args left then right; op strategy 1,2,4,5; funcs in whens'
                         place */
    EXPR_RELABEL,     /* binary-compatible cast: value unchanged; op 'c': COLLATE */
    EXPR_IO_CAST,     /* cast through text output and input */
    EXPR_ARRAY_CAST,  /* element-wise cast: func = element cast function */
    EXPR_TYPMOD,      /* length coercion: apply_typmod(args[0]); negated = implicit */
    EXPR_AGGREGATE,   /* analyze only; plan turns it into EXPR_INPUT */
    EXPR_WINDOW,      /* analyze only */
    EXPR_GROUPING,    /* GROUPING(...) */
    EXPR_SUBQUERY,    /* analyze only; plan turns it into EXPR_SUBPLAN */
    EXPR_SUBPLAN,
    EXPR_SQL_VALUE, /* CURRENT_DATE, CURRENT_USER, ...: op = enum sql_value */
    EXPR_DEFAULT,   /* DEFAULT in VALUES/SET; gone after analyze */
    EXPR_NEXTVAL,   /* identity default: sequence oid in column_ref.table */
};

enum sql_value {
    VALUE_CURRENT_DATE,
    VALUE_CURRENT_TIME,
    VALUE_CURRENT_TIMESTAMP,
    VALUE_LOCALTIME,
    VALUE_LOCALTIMESTAMP,
    VALUE_CURRENT_USER,
    VALUE_SESSION_USER,
    VALUE_CURRENT_CATALOG,
    VALUE_CURRENT_SCHEMA,
};

enum subquery_kind {
    SUBQUERY_EXISTS,
    SUBQUERY_SCALAR, /* one row, one column (or NULL) */
    SUBQUERY_ANY,    /* test on rows: args[0] is the comparison, with EXPR_SUBQUERY_COLUMN inputs */
    SUBQUERY_ALL,
    SUBQUERY_ARRAY, /* ARRAY(SELECT ...) */
    SUBQUERY_ROW,   /* (a,b) = (SELECT x,y) */
};

struct query; /* sql/analyze/query.h */
struct window_spec;

/* System columns: attno < 0. */
enum {
    COLUMN_CTID = -1,
    COLUMN_XMIN = -2,
    COLUMN_CMIN = -3,
    COLUMN_XMAX = -4,
    COLUMN_CMAX = -5,
    COLUMN_TABLEOID = -6,
    COLUMN_WHOLE_ROW = 0,
};

struct case_when {
    struct expr *condition; /* simple CASE: comparison with EXPR_CASE_VALUE */
    struct expr *result;
};

struct expr {
    enum expr_kind kind;
    oid type;
    int32_t typmod; /* -1 */
    oid collation;
    int32_t location; /* byte offset in the statement's text, -1 unknown */
    uint8_t op;       /* see kinds */
    bool negated;
    bool is_explicit_cast; /* as written by the user, for deparsing; else implicit */
    bool from_operator;    /* EXPR_CALL written as an operator: oper_oid */
    oid oper_oid;
    const struct func *func;
    struct expr **args;
    uint32_t arg_count;
    union {
        struct {
            datum value;
            bool is_null;
        } constant;
        uint32_t param; /* $n: n, from 1; exec params: index from 0 */
        struct {
            uint32_t rte;       /* index in the query's range table, from 0 */
            uint32_t levels_up; /* 0 = this query */
            int32_t attno;      /* from 1; 0 whole row; < 0 system */
            const char *name;   /* for deparsing and error texts; may be NULL */
        } column;
        struct {
            uint32_t slot;  /* 0 outer / only input, 1 inner, 2 conflicting row (EXCLUDED), 3 =
                               aggregates */
            uint32_t index; /* column in that slot, from 0 */
        } input;
        struct {
            struct expr *operand; /* NULL: searched CASE */
            struct case_when *whens;
            uint32_t when_count;
            struct expr *otherwise; /* NULL = NULL */
        } cases;
        struct {
            bool distinct;
            bool star;               /* count(*) */
            struct expr *filter;     /* NULL */
            struct sort_item *order; /* ORDER BY inside */
            uint32_t order_count;
            uint32_t levels_up;         /* the query it belongs to */
            struct window_spec *window; /* EXPR_WINDOW */
        } aggregate;
        struct {
            enum subquery_kind subkind;
            struct query *query;
            struct expr
                *test; /* ANY/ALL/ROW: boolean over args (left) and SUBQUERY columns, which are
                        * EXPR_EXEC_PARAM numbered first_param.. ; NULL for the others */
            uint32_t first_param;
        } subquery;
        struct {
            uint32_t omitted; /* EXPR_SUBSCRIPT, slices: bit i - 1 = bound args[i] was not given */
        } slice;
        struct {
            uint32_t index; /* in the plan's subplans */
        } subplan;
        struct {
            oid sequence;
        } nextval;
        struct {
            const struct func *
                *funcs; /* EXPR_ROW_COMPARE: one < and one = style function per column */
            const struct func **equal_funcs;
        } row_compare;
    };
};

struct sort_item {
    struct expr *expr; /* analyze: expression; in plans an EXPR_INPUT */
    oid sort_operator; /* < or > */
    oid equal_operator;
    bool descending;
    bool nulls_first;
};

/* What OVER names; frame_options: WINDOW_* (sql/analyze/query.h). */
struct window_spec {
    const char *name;  /* of the WINDOW clause; NULL */
    const char *base;  /* the named window that it copies; NULL */
    bool order_copied; /* ORDER BY is the base's */
    struct expr **partition;
    uint32_t partition_count;
    struct sort_item *order;
    uint32_t order_count;
    int frame_options; /* WINDOW_* */
    struct expr *start_offset;
    struct expr *end_offset;
};

/* ---- helpers over trees (expr/tree.c) ---- */
struct expr *expr_new(struct arena *mem, enum expr_kind kind, oid type, int32_t typmod);
struct expr *expr_const(struct arena *mem, oid type, int32_t typmod, datum value, bool is_null);
bool expr_equal(const struct expr *a, const struct expr *b);
struct expr *expr_copy(struct arena *mem, const struct expr *e);
/* visit(e, ctx) for e and, when it returns true, its children. */
err_t expr_walk(struct expr *e, err_t (*visit)(struct expr *e, void *ctx, bool *descend),
                void *ctx);
/* Replace bottom-up or top-down: fn may set *out to a replacement (then no descent). The tree is
 * copied. */
err_t expr_rewrite(struct arena *mem, const struct expr *e,
                   err_t (*fn)(struct arena *mem, const struct expr *e, void *ctx,
                               struct expr **out),
                   void *ctx, struct expr **out);
bool expr_is_volatile(const struct expr *e);
/* Its value may change between statements: it calls a stable or volatile function. */
bool expr_is_mutable(const struct expr *e);
bool expr_is_constant(
    const struct expr *e); /* no columns, inputs, params, subplans, volatile calls */

/* ---- compiled programs (expr/compile.c, expr/eval.c) ---- */
struct program;

struct slot { /* a row in flight */
    datum *values;
    bool *nulls;
    uint32_t count;
};

/* What a running program sees. One per executor node or fragment. */
struct eval {
    const struct session_env *env;
    struct arena *mem;       /* per row */
    struct arena *state_mem; /* per execution */
    const struct slot *inputs[4];
    const datum *params; /* client parameters, index n - 1 */
    const bool *param_nulls;
    uint32_t param_count;
    datum *exec_params;
    bool *exec_param_nulls;
    struct eval_states *states; /* of call sites, by program; NULL at first */
    void *subplan_owner;
    /* Evaluate subplan index; may suspend. */
    err_t (*subplan)(void *owner, uint32_t index, struct eval *e, datum *out, bool *is_null);
};

err_t expr_compile(struct arena *mem, const struct expr *e, struct program **out);
/* States of call sites live in e->state_mem; a program is immutable and may be run by many. */
SUSPENDS err_t expr_eval_wait(const struct program *p, struct eval *e, datum *out, bool *is_null);
SUSPENDS err_t expr_eval_bool_wait(const struct program *p, struct eval *e,
                                   bool *out); /* NULL = false */
/* Several expressions as one program with as many outputs (a target list, keys). NULL entries give
 * NULL. count may be 0. */
err_t expr_compile_list(struct arena *mem, struct expr *const *list, uint32_t count,
                        struct program **out);
SUSPENDS err_t expr_eval_list_wait(const struct program *p, struct eval *e, datum *values,
                                   bool *nulls);
/* Whether running it may allocate from e->mem, and how many columns of an input slot it reads
 * (highest + 1; 0 = none). */
bool program_uses_memory(const struct program *p);
uint32_t program_input_count(const struct program *p, uint32_t slot);
/* Constant folding with a given environment (plan time): immutable parts only. */
SUSPENDS err_t expr_fold_wait(struct arena *mem, const struct session_env *env,
                              const struct expr *e, struct expr **out);
/* How expr_deparse() writes. */
struct deparse_options {
    const struct session_env *env; /* NULL: default formats, numbers in regclass constants */
    bool pretty;                   /* only the parentheses that are needed */
    bool implicit;                 /* an implicit cast at the top is shown too */
    uint32_t indent;               /* of lines inside of the expression */
    /* Names of columns and inputs; NULL, or a NULL answer: the name that the node keeps. */
    const char *(*column_name)(void *ctx, const struct expr *column);
    /* EXPR_SUBQUERY, and what stands after OVER; NULL: "(SubPlan)" and "(?)". */
    err_t (*subquery)(void *ctx, const struct expr *e, uint32_t indent, struct strbuf *out);
    err_t (*window)(void *ctx, const struct window_spec *w, uint32_t indent, struct strbuf *out);
    void *ctx;
};
/* Appends SQL text as PostgreSQL prints it (pg_get_expr, EXPLAIN, pg_get_viewdef). */
err_t expr_deparse(struct arena *mem, const struct expr *e, const struct deparse_options *o,
                   struct strbuf *out);
/* A line break in such a text: spaces at the end of the line go; indent beyond 40 wraps around. */
void deparse_new_line(struct strbuf *out, uint32_t indent, uint32_t more, const char *keyword);

#endif
