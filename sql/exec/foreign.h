/*
 * Foreign keys at work. Statements note the changes that a foreign key must look at; the notes are
 * worked off at the end of the statement, or, where the constraint is deferred, at the end of the
 * transaction. One queue per session holds what is deferred and what SET CONSTRAINTS said.
 */
#ifndef SQL_EXEC_FOREIGN_H
#define SQL_EXEC_FOREIGN_H

#include "sql/analyze/utility.h"

struct foreign_queue;
struct foreign_queue *foreign_queue_new(struct catalog_session *cs, const struct session_env *env);
void foreign_queue_free(struct foreign_queue *q);

/* Everything that is deferred, inside of a running statement of the transaction (before COMMIT). */
SUSPENDS err_t foreign_fire_deferred_wait(struct foreign_queue *q);
/* SET CONSTRAINTS: names NULL = ALL. IMMEDIATE checks what is pending at once.
 * ERR_UNDEFINED_OBJECT, ERR_WRONG_OBJECT_TYPE (not deferrable). */
SUSPENDS err_t foreign_set_constraints_wait(struct foreign_queue *q,
                                            const struct utility_name *names, uint32_t count,
                                            bool deferred);
bool foreign_is_empty(const struct foreign_queue *q); /* nothing pending */
/* A constraint of the table has pending work: its structure must not change now. */
bool foreign_is_pending(const struct foreign_queue *q, oid table);
/* What was done since the mark was undone (savepoints, a failed statement). */
void foreign_undo_to(struct foreign_queue *q, uint32_t mark);
void foreign_transaction_end(struct foreign_queue *q);
/* Its memory goes to another core with the session: pieces, and arenas by themselves. */
void foreign_queue_memory(struct foreign_queue *q, void (*piece)(void *p),
                          void (*arena)(struct arena *a));

/* Tables that a modification must hold beside its own (ROW SHARE): those that it refers to. */
struct plan_table;
SUSPENDS err_t foreign_lock_wait(struct foreign_queue *q, const struct plan_table *t);
/* ALTER TABLE ADD / VALIDATE CONSTRAINT: every row of the referencing table has its match. */
SUSPENDS err_t foreign_validate_wait(struct foreign_queue *q, oid table, oid constraint);

#endif
