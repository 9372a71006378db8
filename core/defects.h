/*
 * Deliberate defects, to show that the simulation finds what it is for (tests/sim/defects). A build
 * with PERCORE_DEFECTS has them all and chooses one at run time; in every other build DEFECT() is
 * the constant false and costs nothing.
 */
#ifndef CORE_DEFECTS_H
#define CORE_DEFECTS_H

#include "core/base.h"

enum defect {
    DEFECT_NONE,
    DEFECT_CUT_NOT_SYNCED,       /* a checkpoint's superblock before its pages are durable */
    DEFECT_ACK_BEFORE_FLUSH,     /* a commit is answered before its record is durable */
    DEFECT_PREPARE_FORGOTTEN,    /* one participant's log is not waited for */
    DEFECT_BLOCKS_REUSED,        /* freed blocks are used again before the checkpoint is durable */
    DEFECT_FROZEN_NOT_CLONED,    /* a frozen page is changed in place */
    DEFECT_DOORBELL_LOST,        /* a sleeping core is not rung for */
    DEFECT_SNAPSHOT_OFF_BY_ONE,  /* a snapshot sees the next commit too */
    DEFECT_LOCK_IGNORED,         /* now and then a held lock does not make anybody wait */
    DEFECT_ROWS_TOLD_EARLY,      /* rows are sent before what they show is durable */
    DEFECT_SETTLED_BY_GUESS,     /* recovery commits what not every participant prepared */
    DEFECT_PURGED_EARLY,         /* versions go though a snapshot on another core needs them */
    DEFECT_SEQUENCE_NOT_LOGGED,  /* after a checkpoint a sequence goes on without a record */
    DEFECT_SAVEPOINT_KEEPS_ONE,  /* rollback to a savepoint leaves the first change behind it */
    DEFECT_RECORD_NOT_CHECKED,   /* replay believes records with a wrong checksum */
    DEFECT_UNIQUE_NOT_WAITED,    /* a unique check ignores transactions in progress */
    DEFECT_INDEX_ENTRY_KEPT,     /* now and then an entry is not removed */
    DEFECT_OBSERVED_NOT_DURABLE, /* a commit does not wait for what it saw on other shards */
    DEFECT_LOGS_NOT_CUT,     /* recovery keeps a COMMIT though another log has lost its PREPARE */
    DEFECT_NEEDS_FORGOTTEN,  /* what stands in front of a PREPARE in its log is not waited for */
    DEFECT_ANCHORS_NOT_READ, /* recovery does not look whether logs are as long as others say */
    DEFECT_WRITERS_NOT_AWAITED, /* an index is filled beside writers that do not put into it */
    DEFECT_HELD_READS_LOST,     /* a restart forgets what prepared transactions have read */
    DEFECT_KEY_NOT_IN_DOUBT, /* a deferrable key that another transaction writes too is not noted */
    DEFECT_COUNT,
};

#ifdef PERCORE_DEFECTS
extern enum defect defect_chosen;
bool defect_sometimes(uint32_t one_in);
#define DEFECT(name) (defect_chosen == DEFECT_##name)
#define DEFECT_SOMETIMES(name, one_in) (defect_chosen == DEFECT_##name && defect_sometimes(one_in))
#else
#define DEFECT(name) false
#define DEFECT_SOMETIMES(name, one_in) false
#endif

#endif
