/*
 * Call convention of SQL functions, aggregates and set-returning functions, and what a built-in
 * function's table row looks like. The rows are generated from the .tab files (tools/tablegen).
 */
#ifndef SQL_EXPR_CALL_H
#define SQL_EXPR_CALL_H

#include "sql/types/types.h"

enum { CALL_ARGS_MAX = 100 };

struct func;
struct call {
    const struct func *func;
    const struct session_env *env;
    struct arena *mem;       /* result and scratch; dropped per row by the executor */
    struct arena *state_mem; /* lives as long as the statement (caches) */
    void **state;            /* one pointer per call site, NULL at first; for caches */
    const oid *arg_types;    /* actual types, for polymorphic functions */
    oid result_type;
    int32_t typmod;
    oid collation;
    uint32_t arg_count;
    datum *args;
    bool *nulls;
    bool is_null; /* out: result is null (false on entry) */
};
/* Puts the result in *out. Strict functions are not called with a null argument. */
typedef err_t (*sql_function)(struct call *c, datum *out);

struct func { /* pg_proc row */
    oid oid;
    const char *name;
    oid result;
    bool returns_set;
    bool strict;
    char kind;       /* f a w p */
    char volatility; /* i s v */
    char parallel;
    oid language;
    oid variadic; /* element type, or 0 */
    int16_t arg_count;
    int16_t default_count;
    const oid *args;
    const char *source; /* prosrc */
    sql_function fn;    /* NULL: not built (0A000 when used) */
    bool suspends; /* calls services that may wait: fn is called from expression wrapper only */
    const struct aggregate *aggregate;       /* kind a */
    const struct set_function *set_function; /* returns_set */
    float cost;                              /* procost, prorows */
    float rows;
    /* With OUT and VARIADIC arguments; NULL when all are plain IN arguments. */
    const oid *all_args;
    uint16_t all_arg_count;
    const char *arg_modes;        /* one of i o b v t per entry of all_args; NULL = all IN */
    const char *const *arg_names; /* per all_args entry (else per args); NULL = none */
    const char *defaults;         /* SQL text of the last default_count arguments, ", " between */
};

/* Aggregates. The state is state_bytes of zeroed memory, then whatever it allocates from mem. */
struct aggregate_call {
    struct call call;  /* args of this row; mem = per row */
    struct arena *mem; /* lives as long as the group */
};
struct aggregate {
    uint32_t state_bytes;
    bool step_on_null; /* false: rows with a null argument are skipped before step */
    err_t (*step)(struct aggregate_call *a, void *state);
    err_t (*final)(struct aggregate_call *a, void *state, datum *out, bool *is_null);
    /* Partial aggregation over shards: state to bytes, and merging of such bytes into a state.
     * NULL: not to be split. */
    err_t (*save)(struct aggregate_call *a, const void *state, struct strbuf *out);
    err_t (*merge)(struct aggregate_call *a, void *state, const uint8_t *bytes, size_t len);
};

/* Set-returning functions: begin once, next until *end. columns > 1 for record results. */
struct set_function {
    uint32_t column_count;
    const char *const *column_names; /* NULL: one column, named after the function */
    const oid *column_types;         /* NULL: the function's result type */
    err_t (*begin)(struct call *c, void **state);
    err_t (*next)(struct call *c, void *state, datum *values, bool *nulls,
                  bool *end); /* may suspend */
};

struct advisory_call {
    enum { ADVISORY_LOCK, ADVISORY_LOCK_TXN, ADVISORY_UNLOCK, ADVISORY_UNLOCK_ALL } what;
    bool two_keys; /* key holds two 32-bit keys */
    bool shared;
    bool try_only;
    int64_t key;
};

/* Services of later rooms for functions (nextval, pg_get_expr, regclass, to_regtype,
 * current_setting, pg_sleep, ...). Filled in by sql/session; every one may suspend and is called
 * through a wrapper. A NULL entry answers 0A000. */
struct session_bytes {
    uint32_t pid;
    int64_t bytes;
};
struct sql_services {
    void *owner;
    err_t (*nextval)(void *owner, oid sequence, int64_t *out);
    err_t (*currval)(void *owner, oid sequence, int64_t *out);
    err_t (*lastval)(void *owner, int64_t *out);
    err_t (*setval)(void *owner, oid sequence, int64_t value, bool is_called);
    /* name (possibly qualified and quoted) → oid; 0 and no error with missing_ok. kind: 'c' class,
     * 't' type, 'p' proc, 'n' namespace, 'r' role, 'o' operator, 'C' collation, 'd' database, 's'
     * tablespace */
    err_t (*resolve_name)(void *owner, char kind, const char *name, bool missing_ok, oid *out);
    /* oid → name as ::regclass prints it (qualified when not visible); NULL when there is none */
    err_t (*name_of)(void *owner, char kind, oid object, struct arena *mem, const char **out);
    err_t (*is_visible)(void *owner, char kind, oid object, bool *visible, bool *exists);
    err_t (*index_definition)(void *owner, oid index, int32_t column, bool pretty,
                              struct arena *mem, const char **out);
    err_t (*constraint_definition)(void *owner, oid constraint, bool pretty, struct arena *mem,
                                   const char **out);
    err_t (*view_definition)(void *owner, oid view, bool pretty, struct arena *mem,
                             const char **out);
    /* fork: "main", ..., "table", "indexes"; "database", "tablespace": relation is the oid of one.
     * bytes < 0: there is no such thing. */
    err_t (*relation_size)(void *owner, oid relation, const char *fork, bool with_indexes,
                           int64_t *bytes);
    err_t (*setting_show)(void *owner, const char *name, bool missing_ok, struct arena *mem,
                          const char **out);
    err_t (*setting_set)(void *owner, const char *name, const char *value, bool is_local);
    err_t (*cancel_backend)(void *owner, uint32_t pid, bool terminate, bool *done);
    /* Sessions of a database but this one; terminate: after telling them to end. */
    err_t (*database_users)(void *owner, oid database, bool terminate, uint64_t *count);
    err_t (*current_txn_id)(void *owner, bool assign, uint64_t *out); /* 0 = none */
    err_t (*description)(void *owner, oid object, oid class_oid, int32_t sub, struct arena *mem,
                         const char **out);
    err_t (*role_name)(void *owner, oid role, struct arena *mem, const char **out);
    err_t (*advisory_lock)(void *owner, const struct advisory_call *c, bool *done);
    /* Processes that a process waits for; 0 stands for a prepared transaction. */
    err_t (*blockers)(void *owner, uint32_t pid, struct arena *mem, uint32_t **pids,
                      uint32_t *count);
    err_t (*notify)(void *owner, const char *channel, const char *payload);
    err_t (*export_snapshot)(void *owner, struct arena *mem, const char **out);
    /* Channels that the session listens to, in order of LISTEN. */
    err_t (*listening_channels)(void *owner, struct arena *mem, const char *const **names,
                                uint32_t *count);
    err_t (*notification_usage)(void *owner, double *out);
    /* percore_session_memory: all sessions of the server. */
    err_t (*session_memory)(void *owner, struct arena *mem, struct session_bytes **rows,
                            uint32_t *count);
    /* percore_move_session; *done false: there is no such session. Superusers, or the own one. */
    err_t (*move_session)(void *owner, uint32_t pid, uint32_t core, bool *done);
    err_t (*session_core)(void *owner, uint32_t pid, uint32_t *core, bool *found);
    void (*notice)(void *owner, err_t code, const char *severity, const char *message);
    /* The same with a DETAIL; may be NULL: then notice is used. */
    void (*notice_detail)(void *owner, err_t code, const char *severity, const char *message,
                          const char *detail);
    /* pg_get_expr: shows a stored expression of a relation (0: of none), which names relations by
     * oid ('16390'::regclass), as people read it. */
    err_t (*stored_expression)(void *owner, const char *text, oid relation, bool pretty,
                               struct arena *mem, const char **out);
    /* Qualified and quoted name of the sequence that a column owns (serial, identity), NULL when it
     * owns none. ERR_UNDEFINED_COLUMN. */
    err_t (*serial_sequence)(void *owner, oid table, const char *column, struct arena *mem,
                             const char **out);
    /* Rights: kind 'c' relation, 'n' schema, 'd' database; any of the letters (as access lists have
     * them) is enough. require raises "permission denied for table x" for the current role. */
    err_t (*privilege_require)(void *owner, char kind, oid object, const char *letters);
    err_t (*privilege_test)(void *owner, char kind, oid object, oid role, const char *letters,
                            bool with_option, bool *yes, bool *exists);
    /* What the access lists of columns give: to the column (by name, else by number). *exists
     * false: no column of that number. ERR_UNDEFINED_COLUMN. */
    err_t (*column_privilege_test)(void *owner, oid relation, const char *name, int16_t number,
                                   oid role, const char *letters, bool with_option, bool *yes,
                                   bool *exists);
    /* To any column. */
    err_t (*any_column_privilege_test)(void *owner, oid relation, oid role, const char *letters,
                                       bool with_option, bool *yes);
    err_t (*role_member)(void *owner, oid member, oid role, bool only_inherited, bool *yes);
    /* *is_called false: no number was taken yet (pg_sequences.last_value is null). */
    err_t (*sequence_last_value)(void *owner, oid sequence, int64_t *out, bool *is_called);
    /* percore_check: what is wrong with the session's database, a line each, in mem. */
    err_t (*check_database)(void *owner, bool alone, struct arena *mem,
                            const char *const **problems, uint32_t *count);
};

/* Registry of built-ins (generated arrays; binary search and name hash). */
const struct func *func_find(oid function);
/* Functions of that name in pg_catalog: a run of pointers, *count of them. */
const struct func *const *func_find_name(const char *name, uint32_t *count);
const struct func *func_at(uint32_t index); /* all rows by oid; NULL past the end */

struct operator_info { /* pg_operator row */
    oid oid;
    const char *name;
    char kind; /* b l */
    bool can_merge;
    bool can_hash;
    oid left;
    oid right;
    oid result;
    oid commutator;
    oid negator;
    oid function;
    const char *restrict_estimator; /* "eqsel", ... or "" */
    const char *join_estimator;
};
const struct operator_info *operator_find(oid op);
const struct operator_info *const *operator_find_name(const char *name, uint32_t *count);
const struct operator_info *operator_at(uint32_t index);
/* btree strategy of an operator in the default opclass of its types: 1 <, 2 <=, 3 =, 4 >=, 5 >; 0 =
 * none. */
int operator_strategy(oid op);
/* The operator of a btree (am 403) or hash (am 405) strategy in the default operator family that
 * holds exactly these types; 0 = none. Hash equality is strategy 1. */
oid operator_for_strategy(oid am, oid left, oid right, int strategy);

struct opclass_info { /* pg_opclass row */
    oid oid;
    oid am;
    const char *name;
    oid family;
    oid type;
    bool is_default;
    oid key_type;
};
const struct opclass_info *opclass_find(oid opclass);
/* Default class of a type; enums, arrays, varchar and records are looked up by the type that they
 * stand for (anyenum, anyarray, text, record). NULL = none. */
const struct opclass_info *opclass_default(oid am, oid type);
const struct opclass_info *opclass_at(uint32_t index); /* NULL past the end */

struct cast_info {
    oid oid;
    oid source;
    oid target;
    oid function; /* 0 */
    char context; /* i a e */
    char method;  /* f i b */
};
const struct cast_info *cast_find(oid source, oid target);
const struct cast_info *cast_at(uint32_t index);
const struct aggregate_info *aggregate_info_find(oid function);
struct aggregate_info { /* pg_aggregate row */
    oid function;
    char kind; /* n o h */
    int16_t direct_args;
    oid transition;
    oid final;
    oid sort_operator;
    oid state_type;
    const char *initial; /* NULL */
};

#endif
