/*
 * Foreign keys and deferrable keys at work. Statements note the changes that such a constraint must
 * look at; the notes are worked off at the end of the statement, or, where the constraint is
 * deferred, at the end of the transaction. One queue per session holds what is deferred and what
 * SET CONSTRAINTS said.
 */
#ifndef SQL_EXEC_CONSTRAINT_QUEUE_H
#define SQL_EXEC_CONSTRAINT_QUEUE_H

#include "sql/analyze/utility.h"

struct constraint_queue;
struct constraint_queue *constraint_queue_new(struct catalog_session *cs,
                                              const struct session_env *env);
void constraint_queue_free(struct constraint_queue *q);

/* Everything that is deferred, inside of a running statement of the transaction (before COMMIT). */
SUSPENDS err_t constraint_fire_deferred_wait(struct constraint_queue *q);
/* SET CONSTRAINTS: names NULL = ALL. IMMEDIATE checks what is pending at once.
 * ERR_UNDEFINED_OBJECT, ERR_WRONG_OBJECT_TYPE (not deferrable). */
SUSPENDS err_t constraint_set_wait(struct constraint_queue *q, const struct utility_name *names,
                                   uint32_t count, bool deferred);
bool constraint_is_empty(const struct constraint_queue *q); /* nothing pending */
/* A constraint of the table has pending work: its structure must not change now. */
bool constraint_is_pending(const struct constraint_queue *q, oid table);
/* What was done since the mark was undone (savepoints, a failed statement). */
void constraint_undo_to(struct constraint_queue *q, uint32_t mark);
void constraint_transaction_end(struct constraint_queue *q);
/* Its memory goes to another core with the session: pieces, and arenas by themselves. */
void constraint_queue_memory(struct constraint_queue *q, void (*piece)(void *p),
                             void (*arena)(struct arena *a));

/* Tables that a modification must hold beside its own (ROW SHARE): those that it refers to. */
struct plan_table;
SUSPENDS err_t foreign_lock_wait(struct constraint_queue *q, const struct plan_table *t);
/* ALTER TABLE ADD / VALIDATE CONSTRAINT: every row of the referencing table has its match. */
SUSPENDS err_t foreign_validate_wait(struct constraint_queue *q, oid table, oid constraint);

#endif
