/*
 * Analysed utility statements. Our own structs: nothing of PostgreSQL's node headers leaves
 * sql/analyze.
 */
#ifndef SQL_ANALYZE_UTILITY_H
#define SQL_ANALYZE_UTILITY_H

#include "sql/analyze/query.h"

enum utility_kind {
    /* run by sql/session */
    UTIL_BEGIN,
    UTIL_COMMIT,
    UTIL_ROLLBACK,
    UTIL_SAVEPOINT,
    UTIL_RELEASE,
    UTIL_ROLLBACK_TO,
    UTIL_PREPARE_TRANSACTION,
    UTIL_COMMIT_PREPARED,
    UTIL_ROLLBACK_PREPARED,
    UTIL_SET,
    UTIL_RESET,
    UTIL_RESET_ALL,
    UTIL_SHOW,
    UTIL_SHOW_ALL,
    UTIL_SET_TRANSACTION,
    UTIL_SET_SESSION_TRANSACTION,
    UTIL_SET_CONSTRAINTS,
    UTIL_DISCARD,
    UTIL_PREPARE,
    UTIL_EXECUTE,
    UTIL_DEALLOCATE,
    UTIL_DECLARE_CURSOR,
    UTIL_FETCH,
    UTIL_CLOSE_CURSOR,
    UTIL_LISTEN,
    UTIL_UNLISTEN,
    UTIL_NOTIFY,
    UTIL_LOCK,
    UTIL_CHECKPOINT,
    UTIL_EXPLAIN,
    UTIL_COPY,
    /* run by sql/ddl */
    UTIL_DDL, /* details in struct ddl, sql/analyze/ddl.h */
};

struct utility_option {
    const char *name;
    const char *value; /* NULL = given without a value */
    bool is_number;
    int32_t position; /* in the text, as errors tell it */
};

struct utility_name {
    const char *schema; /* NULL: by search_path */
    const char *name;
};

struct utility {
    enum utility_kind kind;
    const char *name;  /* savepoint, setting, prepared statement, cursor, channel, gid */
    const char *value; /* SET: value as text, list joined by ", " as PostgreSQL does; NULL =
                          DEFAULT. NOTIFY payload */
    bool is_local;     /* SET LOCAL */
    bool is_session;
    bool chain; /* AND CHAIN */
    bool all;   /* DEALLOCATE ALL, CLOSE ALL, UNLISTEN * */
    /* transaction modes: -1 not given */
    int isolation;
    int read_only;
    int deferrable;
    const char *snapshot; /* SET TRANSACTION SNAPSHOT */
    int discard;          /* 0 ALL 1 PLANS 2 SEQUENCES 3 TEMP */
    /* PREPARE name (types) AS raw; EXECUTE name(args) */
    oid *types;
    uint32_t type_count;
    struct raw_statement *raw; /* PREPARE: statement inside (its tree lives as long as the parse) */
    const char *raw_text;      /* PREPARE: its own source text */
    int32_t raw_place;         /* characters before that in the whole one */
    struct expr **args;
    uint32_t arg_count;
    /* EXPLAIN */
    struct statement *explained;
    struct utility_option *options;
    uint32_t option_count;
    /* cursors */
    int cursor_options;  /* PostgreSQL's CURSOR_OPT bits */
    int fetch_direction; /* 0 forward 1 backward 2 absolute 3 relative */
    int64_t fetch_count; /* INT64_MAX = ALL */
    bool is_move;
    struct statement *cursor_query;
    /* COPY */
    struct {
        oid table; /* 0 = query */
        struct statement *query;
        bool is_from;
        const char *file; /* NULL = STDIN/STDOUT */
        bool is_program;
        uint32_t column_count; /* attnos in order; all live ones when none was named */
        int16_t *columns;
        struct expr *where;
    } copy;
    /* SET CONSTRAINTS */
    bool deferred;
    struct utility_name *names; /* all: none */
    uint32_t name_count;
    /* LOCK */
    oid *tables;
    uint32_t table_count;
    int lock_mode;
    bool nowait;
    struct ddl *ddl;
};

/* EXECUTE's arguments brought to the parameters' types as in an assignment; o->text is the text of
 * the EXECUTE. */
SUSPENDS err_t analyze_execute_args_wait(const struct analyze_options *o, const struct utility *u,
                                         const oid *types, struct arena *mem, struct expr **out);

#endif
