/*
 * Transactions that their users have prepared (PREPARE TRANSACTION): they have a name, belong to no
 * session, keep their locks, and outlive crashes until someone commits or rolls them back.
 *
 * Names are unique in the server; they are kept by core 0. All calls from any core.
 */
#ifndef SHARD_HELD_H
#define SHARD_HELD_H

#include "shard/txn.h"

enum { HELD_NAME_BYTES_MAX = 199 };

struct held_transaction {
    char name[HELD_NAME_BYTES_MAX + 1];
    txn_id_t id;    /* out */
    uint32_t owner; /* role */
    uint32_t database;
    int64_t prepared_at;  /* core_wall_us */
    bool changed_catalog; /* its commit makes descriptors stale */
};

/* The running transaction, between statements, becomes a prepared one; a serializable one is
 * validated now. On error it has been rolled back. The struct txn is not the caller's any more in
 * every case; its hooks of an abort have run.
 * Errors: ERR_DUPLICATE_OBJECT; ERR_OUT_OF_MEMORY when there are count_max already;
 * ERR_FEATURE_NOT_SUPPORTED (one advisory lock held for session and transaction); those of a
 * commit.
 */
SUSPENDS err_t txn_hold_wait(struct txn *t, const struct held_transaction *h, uint32_t count_max);

/* Nobody else may finish it then. ERR_UNDEFINED_OBJECT; ERR_OBJECT_NOT_IN_PREREQUISITE_STATE when
 * somebody else has claimed it. */
SUSPENDS err_t held_claim_wait(const char *name, struct held_transaction *out);
SUSPENDS void held_unclaim_wait(const char *name);
/* Commits or rolls back a claimed one; settled on return. On error it is there as before, and not
 * claimed, unless a log has failed: then the next start finds out. on_commit: as a hook of
 * txn_on_commit, on some core; NULL = none. */
SUSPENDS err_t held_finish_wait(const char *name, bool commit, void (*on_commit)(void *arg),
                                void *arg);

/* All that are prepared, in no order. */
SUSPENDS err_t held_list_wait(struct arena *mem, struct held_transaction **rows, uint32_t *count);
/* Rolls all back; for a check of a copy, where nobody will finish them. */
SUSPENDS err_t held_rollback_all_wait(void);

#endif
