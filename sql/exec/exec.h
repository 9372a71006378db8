/*
 * Running plans. One execution = one struct exec on the session's core; gathers open fragments on
 * the shards' cores by messages (or directly).
 */
#ifndef SQL_EXEC_EXEC_H
#define SQL_EXEC_EXEC_H

#include "sql/plan/plan.h"

struct exec;
struct constraint_queue;

struct exec_options {
    const struct plan *plan; /* must outlive the execution */
    struct txn *txn;
    const struct session_env *env;
    const datum *params;
    const bool *param_nulls;
    uint32_t param_count;
    bool instrument; /* EXPLAIN ANALYZE */
    bool can_rewind; /* SCROLL cursors: results are kept */
    struct constraint_queue
        *constraints; /* the session's (constraint_queue.h); NULL: nothing is modified */
};
SUSPENDS err_t exec_start_wait(const struct exec_options *o, struct exec **out);
/* Next result row; *row = NULL at the end. Valid until the next call. */
SUSPENDS err_t exec_next_wait(struct exec *e, const struct slot **row);
/* Rows inserted, updated, deleted (or returned, for SELECT). */
uint64_t exec_row_count(const struct exec *x);
const struct plan_counter *exec_counters(const struct exec *x);
/* Closes fragments and frees everything; also after an error. */
SUSPENDS void exec_end_wait(struct exec *e);
/* Removes temporary files that a crash left; once, at start, before anything runs. */
SUSPENDS err_t exec_temp_clean_wait(void);

#endif
