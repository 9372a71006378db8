/* Inside of the constraints that look later: constraint*.c, foreign*.c, key_doubt.c only. */
#ifndef SQL_EXEC_CONSTRAINT_PRIV_H
#define SQL_EXEC_CONSTRAINT_PRIV_H

#include "sql/exec/constraint_queue.h"
#include "sql/exec/exec_priv.h"

/* ---- notes: what happened to a row ---- */

enum constraint_kind {
    NOTE_REFER,       /* a row refers to a new key */
    NOTE_KEY_DELETED, /* a key that may be referred to went away */
    NOTE_KEY_UPDATED, /* ... became another one */
    NOTE_MOVED,       /* a referring row got another address: what is deferred goes along */
    NOTE_KEY_DOUBT,   /* a deferrable key that another row has too, or may have */
};
struct constraint_note { /* as it lies in a buffer of notes, then the rows, each padded to 8 */
    uint32_t bytes;      /* of the whole note */
    oid constraint;
    oid table;   /* the referencing one; NOTE_KEY_DOUBT: as changed */
    oid changed; /* the one whose row it is */
    uint16_t kind;
    bool is_deferred; /* NOTE_KEY_DOUBT: at first */
    bool unused;
    uint32_t shard_no;
    row_id id;     /* NOTE_KEY_DOUBT: the one that the index entry leads to */
    row_id old_id; /* moved: where it was */
    uint32_t old_shard_no;
    oid index;          /* NOTE_KEY_DOUBT */
    uint64_t order;     /* of the row within its statement */
    uint32_t key_bytes; /* padded: the key's columns, in the constraint's order (old ones) */
    uint32_t seq;       /* of the statement that made the change */
};

struct constraint_item {
    const struct constraint_note *note;
    uint32_t done_seq; /* 0 = pending */
    uint32_t position; /* while being sorted */
};
/* Notes of a statement and of those that its actions ran, in order. */
struct constraint_notes {
    struct arena *mem;
    struct constraint_item *items;
    uint32_t count;
    uint32_t room;
    uint32_t first;  /* all before it are done */
    uint32_t refers; /* pending ones of NOTE_REFER, about */
};
void constraint_notes_init(struct constraint_notes *n);
void constraint_notes_end(struct constraint_notes *n);
err_t constraint_notes_add(struct constraint_notes *n, const struct constraint_note *note);
void constraint_notes_sort(struct constraint_notes *n);

struct constraint_setting { /* SET CONSTRAINTS, newest last */
    oid constraint;         /* 0 = all */
    bool deferred;
    uint32_t seq;
};
struct constraint_queue {
    struct catalog_session *catalog;
    const struct session_env *env;
    struct constraint_notes deferred;
    bool has_deferred;
    struct constraint_setting *settings;
    uint32_t setting_count;
    uint32_t setting_room;
};

/* Whether it is, by what SET CONSTRAINTS said, or at_first. */
bool constraint_is_deferred(const struct constraint_queue *q, oid constraint, bool at_first);

/* ---- a batch: pending notes of one constraint and kind ---- */

struct constraint_key {
    const struct constraint_note *note;
    struct constraint_item *item; /* in the list: valid until it grows */
    datum *values;
    bool *nulls;
};
struct foreign_key;
struct constraint_work {
    struct constraint_queue *q;
    struct foreign_key *k;
    struct constraint_notes *notes;
    struct arena *mem;
    uint32_t kind;
    struct constraint_key *keys;
    uint32_t count;
    bool is_relief; /* only what is there is done; the rest waits */
};
/* All that are like this one. */
void constraint_take_group(struct constraint_work *w, const struct constraint_note *like);
/* They wait in the session's queue. */
err_t constraint_defer(struct constraint_work *w);
/* Calls of fn to several shards at the same time, in the transaction. */
struct shard_call { /* the first member of fn's argument */
    struct core_call call;
    uint32_t shard_no;
    bool writes;
    bool is_started;
    struct txn_view view;
};
SUSPENDS err_t constraint_on_shards_wait(struct txn *t, err_t (*fn)(void *arg),
                                         struct shard_call *const *calls, uint32_t count);
/* foreign.c: the batch is worked off, or deferred. */
SUSPENDS err_t foreign_work_wait(struct constraint_work *w, const struct constraint_note *like,
                                 bool may_defer);
/* In the middle of a statement: what refers to keys that are there is done. */
SUSPENDS err_t foreign_relieve_wait(struct constraint_work *w, const struct constraint_note *like);
/* key_doubt.c. ERR_UNIQUE_VIOLATION for the first key that another row has too. */
SUSPENDS err_t key_doubts_wait(struct constraint_work *w);

/* ---- what a foreign key is, compiled (foreign_key.c) ---- */

enum foreign_statement {
    STATEMENT_FIND,     /* the referenced row, where it cannot be looked up directly */
    STATEMENT_REFERRER, /* a referencing row */
    STATEMENT_DELETE,   /* the referencing rows */
    STATEMENT_SET_NULL,
    STATEMENT_SET_DEFAULT,
    STATEMENT_SET_NULL_ALL, /* ON UPDATE has no list of columns */
    STATEMENT_SET_DEFAULT_ALL,
    STATEMENT_UPDATE,
    STATEMENT_COUNT,
};
enum { FOREIGN_COLUMNS_MAX = 32 };
struct foreign_key {
    struct foreign_key *next; /* of its core's table */
    oid database;
    oid constraint;
    uint64_t version;
    uint32_t references;
    bool is_linked;
    struct arena *mem;
    struct catalog_session *catalog; /* while it is being made */
    const char *name;
    char update_action;
    char delete_action;
    char match;
    bool deferrable;
    bool deferred;
    uint16_t count;
    const struct plan_table *table; /* referencing */
    const struct plan_table *target;
    int16_t *columns;
    int16_t *target_columns;
    uint16_t delete_count;
    int16_t *delete_columns;
    struct row_layout *layout; /* of the columns in notes */
    struct row_layout *target_layout;
    struct key_column *key_columns;
    struct key_column *target_key_columns;
    const struct plan_index *index;       /* of target */
    uint16_t *places;                     /* column of the constraint for each of the index */
    bool is_direct;                       /* keys are looked up in the index by their bytes */
    struct plan *single[STATEMENT_COUNT]; /* for one key */
    struct plan *many[STATEMENT_COUNT];   /* for an array of keys of one column */
};
/* How the index that is looked up, or its map table's, encodes keys. */
static inline const struct key_column *foreign_index_columns(const struct foreign_key *k)
{
    const struct plan_table *map = k->index->map_table;
    return map != NULL ? map->indexes[0].key_columns : k->index->key_columns;
}
SUSPENDS err_t foreign_key_get_wait(struct constraint_queue *q, oid table, oid constraint,
                                    struct foreign_key **out);
void foreign_key_release(struct foreign_key *k);
bool foreign_is_deferred(const struct constraint_queue *q, const struct foreign_key *k);
/* many: parameter 1 is an array of keys (of one column). */
SUSPENDS err_t foreign_key_plan_wait(struct constraint_queue *q, struct foreign_key *k,
                                     enum foreign_statement s, bool many, const struct plan **out);
/* The type that a statement's parameter for the column has. */
oid foreign_param_type(const struct foreign_key *k, enum foreign_statement s, uint32_t column);

/* A row of the table that has no match, its key into values. */
SUSPENDS err_t foreign_orphan_wait(struct constraint_queue *q, struct foreign_key *k,
                                   struct arena *mem, datum *values, bool *nulls, bool *found);

err_t foreign_raise_missing(struct constraint_queue *q, const struct foreign_key *k,
                            const datum *values, const bool *nulls);
err_t foreign_raise_referenced(struct constraint_queue *q, const struct foreign_key *k,
                               const datum *values, const bool *nulls);

/* ---- looking up referenced rows (foreign_find.c) ---- */

struct foreign_find {   /* one key */
    datum *values;      /* in the constraint's order, as the target's types */
    const uint8_t *key; /* bytes in the index */
    uint32_t key_len;
    uint32_t shard_no; /* where to look next */
    row_id id;         /* from a map table; ROW_ID_NONE */
    bool is_found;
};
/* Finds and locks (KEY SHARE) the rows with these keys on their shards. */
SUSPENDS err_t foreign_find_wait(struct constraint_queue *q, const struct foreign_key *k,
                                 struct foreign_find *finds, uint32_t count, struct arena *mem);
/* Whether the row still is there with the key that the note says (newest state). */
SUSPENDS err_t foreign_row_stands_wait(struct constraint_queue *q, const struct foreign_key *k,
                                       const struct constraint_note *note, bool *stands);

static inline const uint8_t *constraint_note_key(const struct constraint_note *n)
{
    return (const uint8_t *)(n + 1);
}
static inline const uint8_t *constraint_note_new_key(const struct constraint_note *n)
{
    return (const uint8_t *)(n + 1) + n->key_bytes;
}

#endif
