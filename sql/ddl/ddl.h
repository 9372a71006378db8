/*
 * Running DDL and the other catalog commands. One call runs one analysed statement inside the
 * session's transaction; everything it does is undone with the statement or the transaction.
 */
#ifndef SQL_DDL_DDL_H
#define SQL_DDL_DDL_H

#include "sql/analyze/ddl.h"

struct ddl_context {
    struct catalog_session *catalog;
    const struct session_env *env;
    struct arena *mem; /* of the statement */
    const char *text;  /* the whole query text, for positions */
    const char
        *in_block; /* why VACUUM, CREATE DATABASE ... refuse to run here; NULL = they do not */
    void *session; /* for services */
    struct constraint_queue *constraints; /* NULL: none of the session's */
    const datum *params;                  /* of CREATE TABLE AS; may be NULL */
    const bool *param_nulls;
    uint32_t param_count;
};

/* *tag is the command tag to send (it may be finer than the statement's own: "SELECT 5"). */
SUSPENDS err_t ddl_execute_wait(struct ddl_context *ctx, const struct ddl *d, const char **tag);

/* Once at start, before sessions run. */
void ddl_start(void);

/* The end of a session that made temporary tables: drops its temporary schema's contents in a
 * transaction of its own. Fine when it has none. */
SUSPENDS err_t ddl_drop_temporary_wait(struct catalog_session *cs, const struct session_env *env);
/* At start: temporary schemas that sessions left behind when the server died. */
SUSPENDS err_t ddl_sweep_temporary_wait(void);
/* Checks the session's database: files, rows, index entries, sequences, catalog (check.c).
 * problems: a line each, in ctx->mem. alone: nobody else uses the data directory, so files without
 * an owner count too. Superusers only. */
SUSPENDS err_t ddl_check_wait(struct ddl_context *ctx, bool alone, const char *const **problems,
                              uint32_t *count);
/* All databases, without a session, when nobody else uses them. */
SUSPENDS err_t ddl_check_databases_wait(void (*problem)(void *owner, const char *database,
                                                        const char *text),
                                        void *owner);
/* Before COMMIT of a transaction: ON COMMIT DELETE ROWS / DROP of its temporary tables. */
SUSPENDS err_t ddl_before_commit_wait(struct ddl_context *ctx);

#endif
