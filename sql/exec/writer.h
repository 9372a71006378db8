/*
 * Writing rows into a table from the session's core: routing to shards, checks, index entries,
 * global unique maps. Used by INSERT, COPY FROM, CREATE TABLE AS and table rewrites. Rows are
 * batched per shard.
 */
#ifndef SQL_EXEC_WRITER_H
#define SQL_EXEC_WRITER_H

#include "sql/exec/exec.h"

struct table_writer;
/* constraints NULL: foreign keys and deferrable keys of the table are not looked at. */
SUSPENDS err_t table_writer_open_wait(const struct plan_table *table, struct txn *txn,
                                      const struct session_env *env,
                                      struct constraint_queue *constraints, struct arena *mem,
                                      struct table_writer **out);
/* values: column_count of them. NOT NULL and CHECK are tested here (23502, 23514 with PostgreSQL's
 * detail 'Failing row contains (...).'); unique conflicts come with this or a later call. Values
 * are copied. */
SUSPENDS err_t table_writer_add_wait(struct table_writer *w, const datum *values,
                                     const bool *nulls);
/* The end of a statement: its foreign keys are checked too. */
SUSPENDS err_t table_writer_flush_wait(struct table_writer *w);
SUSPENDS err_t table_writer_close_wait(struct table_writer *w, uint64_t *rows); /* flushes */
/* Instead of close, after an error: waits for batches under way and drops the rest. */
SUSPENDS void table_writer_abandon_wait(struct table_writer *w);
/* A number that goes with the following rows (COPY: the line), and that of the row an error was
 * about. */
void table_writer_tag(struct table_writer *w, uint64_t tag);
uint64_t table_writer_failed_tag(const struct table_writer *w);

#endif
