/* Inside of the foreign keys: foreign*.c only. */
#ifndef SQL_EXEC_FOREIGN_PRIV_H
#define SQL_EXEC_FOREIGN_PRIV_H

#include "sql/exec/exec_priv.h"
#include "sql/exec/foreign.h"

/* ---- notes: what happened to a row ---- */

enum foreign_kind {
    FOREIGN_REFER,       /* a row refers to a new key */
    FOREIGN_KEY_DELETED, /* a key that may be referred to went away */
    FOREIGN_KEY_UPDATED, /* ... became another one */
    FOREIGN_MOVED,       /* a referring row got another address: what is deferred goes along */
};
struct foreign_note { /* as it lies in a buffer of notes, then the rows, each padded to 8 */
    uint32_t bytes;   /* of the whole note */
    oid constraint;
    oid table;   /* the referencing one */
    oid changed; /* the one whose row it is */
    uint32_t kind;
    uint32_t shard_no;
    row_id id;
    row_id old_id; /* moved: where it was */
    uint32_t old_shard_no;
    uint32_t unused;
    uint64_t order;     /* of the row within its statement */
    uint32_t key_bytes; /* padded: the key's columns, in the constraint's order (old ones) */
    uint32_t seq;       /* of the statement that made the change */
};

struct foreign_item {
    const struct foreign_note *note;
    uint32_t done_seq; /* 0 = pending */
    uint32_t position; /* while being sorted */
};
/* Notes of a statement and of those that its actions ran, in order. */
struct foreign_notes {
    struct arena *mem;
    struct foreign_item *items;
    uint32_t count;
    uint32_t room;
    uint32_t first;  /* all before it are done */
    uint32_t refers; /* pending ones of FOREIGN_REFER, about */
};
void foreign_notes_init(struct foreign_notes *n);
void foreign_notes_end(struct foreign_notes *n);
err_t foreign_notes_add(struct foreign_notes *n, const struct foreign_note *note);
void foreign_notes_sort(struct foreign_notes *n);

struct foreign_setting { /* SET CONSTRAINTS, newest last */
    oid constraint;      /* 0 = all */
    bool deferred;
    uint32_t seq;
};
struct foreign_queue {
    struct catalog_session *catalog;
    const struct session_env *env;
    struct foreign_notes deferred;
    bool has_deferred;
    struct foreign_setting *settings;
    uint32_t setting_count;
    uint32_t setting_room;
};

/* ---- what a constraint is, compiled (foreign_key.c) ---- */

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
SUSPENDS err_t foreign_key_get_wait(struct foreign_queue *q, oid table, oid constraint,
                                    struct foreign_key **out);
void foreign_key_release(struct foreign_key *k);
/* many: parameter 1 is an array of keys (of one column). */
SUSPENDS err_t foreign_key_plan_wait(struct foreign_queue *q, struct foreign_key *k,
                                     enum foreign_statement s, bool many, const struct plan **out);
/* The type that a statement's parameter for the column has. */
oid foreign_param_type(const struct foreign_key *k, enum foreign_statement s, uint32_t column);

/* A row of the table that has no match, its key into values. */
SUSPENDS err_t foreign_orphan_wait(struct foreign_queue *q, struct foreign_key *k,
                                   struct arena *mem, datum *values, bool *nulls, bool *found);

err_t foreign_raise_missing(struct foreign_queue *q, const struct foreign_key *k,
                            const datum *values, const bool *nulls);
err_t foreign_raise_referenced(struct foreign_queue *q, const struct foreign_key *k,
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
SUSPENDS err_t foreign_find_wait(struct foreign_queue *q, const struct foreign_key *k,
                                 struct foreign_find *finds, uint32_t count, struct arena *mem);
/* Whether the row still is there with the key that the note says (newest state). */
SUSPENDS err_t foreign_row_stands_wait(struct foreign_queue *q, const struct foreign_key *k,
                                       const struct foreign_note *note, bool *stands);

static inline const uint8_t *foreign_note_key(const struct foreign_note *n)
{
    return (const uint8_t *)(n + 1);
}
static inline const uint8_t *foreign_note_new_key(const struct foreign_note *n)
{
    return (const uint8_t *)(n + 1) + n->key_bytes;
}

#endif
