/*
 * Inside execution: compiled plans, runs, nodes, and what nodes share.
 *
 * A run is one place where (a part of) a plan is executed: the session's own run, a fragment on a
 * shard (local: in the same fiber; remote: made on the shard's core), or a subquery that a remote
 * fragment asks the session's core for. All nodes of a run use its arena and its exec params. A run
 * lives on one core.
 */
#ifndef SQL_EXEC_EXEC_PRIV_H
#define SQL_EXEC_EXEC_PRIV_H

#include "core/core.h"
#include "shard/txn.h"
#include "sql/exec/exec.h"

#include <stdatomic.h>

/* ---- compiled plans (code.c): immutable after the first run, read by all cores ---- */

struct key_part { /* one column of a byte key for hashing and equality */
    enum key_kind { KEY_WORD, KEY_FLOAT4, KEY_FLOAT8, KEY_BYTES, KEY_SORT } kind;
    const struct type_info *type;
};

struct aggregate_code {
    const struct func *func;
    const struct aggregate *aggregate;
    struct program *args; /* list */
    struct program *filter;
    struct program *order; /* list of order_exprs */
    struct key_column *order_columns;
    const uint32_t *order_indexes;
    uint32_t order_count;
    struct key_part *distinct_parts;
    uint32_t state_offset;
    bool collects; /* DISTINCT or ORDER BY: rows are gathered first */
    oid *arg_types;
    struct row_layout *arg_layout;
};

struct node_code {
    uint32_t *depends; /* exec params and work tables (behind them) that the subtree reads */
    uint32_t depend_count;
    const oid *types; /* of the output */
    uint32_t type_count;
    struct row_layout *layout; /* of the output */
    struct program *filter;
    struct program *targets; /* NULL: the input row as it is */
    struct program *condition;
    struct program *outer_keys; /* also: group expressions, shard key of a gather */
    struct program *inner_keys;
    struct key_part *outer_parts;
    struct key_part *inner_parts;
    struct key_column *sort_columns;
    uint32_t *sort_indexes;
    uint32_t sort_count;
    struct program *low;    /* index bounds; LIMIT count */
    struct program *high;   /* OFFSET */
    struct program **lists; /* VALUES rows, function arguments, SET lists */
    struct program *recheck;
    struct program *recheck_set;
    struct program *returning;
    uint32_t columns_used; /* scans: how many table columns are decoded */
    struct aggregate_code *aggregates;
    uint32_t state_bytes;
    uint32_t group_count;
    struct row_layout *group_layout;
    /* PROJECT_SET: set-returning calls taken out of the targets */
    const struct expr **set_calls;
    uint32_t set_call_count;
    /* GATHER: subplans that fragments read, run before any remote fragment starts */
    uint32_t *subplans;
    uint32_t subplan_count;
    const struct plan_node *modify; /* the fragment's PLAN_MODIFY at its root, or NULL */
    bool writes_elsewhere;          /* the fragment writes to other shards too */
    struct table_code *table;
};

struct index_code {
    struct program *predicate;
    struct program *expressions; /* list; NULL when all keys are columns */
    bool *columns;               /* attno - 1 → key or predicate depends on it */
    bool depends_on_all;
};

struct table_code {
    struct program **checks;
    struct index_code *indexes;
    bool has_map;
    bool *in_unique; /* attno - 1 → column of a unique index (or the shard key) */
};

struct subplan_code {
    struct program *args; /* list */
    struct program *test;
    struct program *hash_left;
    struct key_part hash_left_part;
    struct key_part hash_part;
    bool has_gather;
};

err_t code_compile_plan(const struct plan *plan);
/* For a table outside of a plan (writer). */
err_t code_compile_table(struct arena *mem, struct plan_table *table);
/* A PLAN_MODIFY node made by hand (writer). */
err_t code_compile_modify(struct arena *mem, struct plan_node *node);

/* ---- byte keys and hash tables (hash_table.c) ---- */

err_t key_part_make(oid type, struct key_part *out);
/* Equal values of the (same) type make equal bytes; self-delimiting. */
void key_part_append(const struct key_part *p, datum value, bool is_null, struct strbuf *out);
uint64_t bytes_hash(const void *bytes, size_t len);

struct hash_entry {
    struct hash_entry *next; /* in the bucket */
    uint64_t hash;
    void *payload;
    uint32_t key_len;
    uint32_t flags;
    uint8_t key[];
};
struct hash_table {
    struct arena *mem;
    struct hash_entry **buckets;
    uint64_t bucket_count; /* power of two */
    uint64_t count;
};
void hash_table_init(struct hash_table *t, struct arena *mem);
struct hash_entry *hash_table_find(const struct hash_table *t, uint64_t hash, const void *key,
                                   size_t len);
/* The key must be absent. payload NULL. */
struct hash_entry *hash_table_add(struct hash_table *t, uint64_t hash, const void *key, size_t len);
struct hash_entry *hash_table_next(const struct hash_table *t, uint64_t *bucket,
                                   struct hash_entry *after); /* all, in no order */

/* ---- rows kept aside (row_store.c) ---- */

struct run;
struct row_store;
struct row_reader {
    struct row_store *store;
    uint64_t at; /* logical offset of the next row */
    void *chunk;
    uint8_t *buffer;
    size_t buffer_bytes;
    uint64_t buffer_start;
    size_t buffer_len;
};
/* In memory up to budget bytes, then in a temporary file. Ends with the run at the latest. */
struct row_store *row_store_new(struct run *run, uint64_t budget);
SUSPENDS err_t row_store_add_wait(struct row_store *s, const void *row, uint32_t len);
uint64_t row_store_count(const struct row_store *s);
uint64_t row_store_bytes(const struct row_store *s);
void row_reader_init(struct row_reader *r, struct row_store *s);
void row_reader_rewind(struct row_reader *r);
/* To the row that began when row_store_bytes() was at. */
void row_reader_seek(struct row_reader *r, uint64_t at);
/* *row NULL at the end; 8-aligned; valid until the next call with this reader. Rows may be added
 * between reads. */
SUSPENDS err_t row_reader_next_wait(struct row_reader *r, const uint8_t **row, uint32_t *len);
SUSPENDS void row_store_end_wait(struct row_store *s);

/* ---- sorting (sorter.c) ---- */

struct sorter;
/* limit > 0: only the first rows are wanted. Ends with the run. */
struct sorter *sorter_new(struct run *run, const struct key_column *columns,
                          const uint32_t *indexes, uint32_t count, uint64_t budget, int64_t limit);
/* row: bytes that come back; values, nulls: where columns[i] finds its value by indexes[i]. */
SUSPENDS err_t sorter_add_wait(struct sorter *s, const datum *values, const bool *nulls,
                               const void *row, uint32_t len);
SUSPENDS err_t sorter_finish_wait(struct sorter *s);
/* In order; *row NULL at the end; valid until the next call. key may be NULL. */
SUSPENDS err_t sorter_next_wait(struct sorter *s, const uint8_t **row, uint32_t *len,
                                const uint8_t **key, uint32_t *key_len);
SUSPENDS err_t sorter_rewind_wait(struct sorter *s);
SUSPENDS void sorter_end_wait(struct sorter *s);

/* ---- runs (run.c) ---- */

struct node;

struct cte_state {
    struct node *root;
    struct row_store *store;
    uint64_t made_at;
    bool is_done;
    bool is_running;
};
struct work_table {
    struct row_store *store;
    struct row_layout *layout;
};
struct subplan_state {
    struct node *root;
    bool is_done;
    /* Uncorrelated results that other cores read in place: nothing changes after is_done. */
    uint8_t **rows;
    uint32_t row_count;
    datum value;
    bool is_null;
    struct hash_table hash;
    bool is_hashed;
    bool hash_has_null;
};

struct extra_view { /* what a fragment did on other shards than its own */
    struct txn_view view;
    bool used;
};

struct run {
    struct exec *exec; /* the execution it belongs to; other core's for remote fragments */
    struct run
        *origin; /* session's run that holds CTEs and subplans; itself, or NULL when remote */
    const struct plan *plan;
    struct arena *mem;
    const struct session_env *env;
    const datum *params;
    const bool *param_nulls;
    uint32_t param_count;
    datum *exec_params;
    bool *exec_param_nulls;
    /* Times of change: [0] is the clock, then exec params, then work tables (what a kept result
     * depends on). */
    uint64_t *times;
    struct txn *txn; /* on the session's core only */
    /* Fragments: */
    bool on_shard;
    uint32_t shard_no;
    struct txn_view view;
    struct fragment *fragment; /* remote ones */
    struct extra_view *extras; /* remote ones that write elsewhere, by shard */
    const _Atomic bool *stop;
    struct plan_counter *counters; /* NULL: not measured */
    uint64_t work_mem;             /* bytes */
    struct cte_state *ctes;
    struct work_table *work_tables;
    struct subplan_state *subplans;
    struct row_store *stores; /* open ones */
    struct node *nodes;       /* all, newest first */
    uint64_t rows_modified;
    struct strbuf *notes; /* for foreign keys (constraint_note.c); NULL: none are made */
};

struct exec {
    struct run run;
    struct node *root;
    bool is_done;
    uint64_t rows_returned;
    uint32_t core;
    uint32_t depth;
    struct strbuf note_bytes;       /* notes of this core's fragments */
    struct constraint_notes *notes; /* of the statement, or of the one that this is an action of */
    struct constraint_queue *constraints; /* the session's */
    bool is_action;                       /* of a foreign key: who runs it works its notes off */
    ts_t crosscheck; /* > 0: rows that are not as this snapshot sees them are a conflict */
};

struct row_place {
    uint32_t shard_no;
    row_id id;
};

/* ---- constraints that look at rows later (constraint_*.c) ---- */

struct modify;
void constraint_watch_init(struct modify *m);
/* old NULL: inserted; new NULL: deleted. from and to differ where an update moved the row. */
err_t constraint_note_change(struct modify *m, const struct slot *old, const struct slot *new,
                             const struct row_place *from, const struct row_place *to);
/* Brings notes to the session's side and empties the buffer. */
err_t constraint_take_notes(struct exec *x, struct strbuf *from);
/* In the middle of a long statement: works off what can be, so that the list stays short. */
SUSPENDS err_t constraint_relieve_wait(struct exec *x);
/* At the statement's end. */
void constraint_begin(struct exec *x, struct constraint_queue *q);
SUSPENDS err_t constraint_finish_wait(struct exec *x);
void constraint_end(struct exec *x);

/* On a remote core: a run of its own in a new arena. */
struct run *run_new_remote(const struct run *from, struct arena *mem, const datum *exec_params,
                           const bool *exec_param_nulls);
/* What node trees of this run's subplans and CTEs hang on. */
void run_make_shared(struct run *run);
SUSPENDS void run_end_wait(struct run *run);
void run_eval_init(struct run *run, struct eval *e);
void run_param_set(struct run *run, uint32_t param, datum value, bool is_null);
void run_times_init(struct run *run);
static inline uint64_t run_now(const struct run *run)
{
    return run->times[0];
}
/* Whether something that was made at a time is still right: nothing its subtree reads changed. */
bool node_is_current(const struct node *n, uint64_t made_at);
SUSPENDS err_t cte_finish_wait(struct run *run, uint32_t index);
/* As fiber_rest_wait, and ends a fragment whose requester wants no more. */
SUSPENDS err_t run_rest_wait(struct run *run);

/* A view for work on any shard, and giving it back. */
void run_view_begin(struct run *run, uint32_t shard_no, bool writes, struct txn_view *out);
void run_view_end(struct run *run, uint32_t shard_no, const struct txn_view *view);

/* ---- nodes ---- */

struct node;
/* Each may suspend. */
struct node_ops {
    size_t bytes;
    err_t (*open)(struct node *n); /* NULL: nothing to do */
    err_t (*next)(struct node *n, const struct slot **row);
    err_t (*rescan)(struct node *n);
    void (*close)(struct node *n); /* NULL; memory goes with the arena */
};
struct node {
    const struct node_ops *ops;
    const struct plan_node *plan;
    const struct node_code *code;
    struct run *run;
    struct node *outer;
    struct node *inner;
    struct node *all_next;
    struct slot out; /* for targets */
    struct eval eval;
    struct arena *row_mem; /* of its current row; NULL: programs need none */
    struct arena_mark row_mark;
};

#define NODE_OPS(name) extern const struct node_ops name##_ops;
NODE_OPS(node_result)
NODE_OPS(node_seq_scan)
NODE_OPS(node_index_scan)
NODE_OPS(node_values)
NODE_OPS(node_function)
NODE_OPS(node_virtual)
NODE_OPS(node_cte)
NODE_OPS(node_work_table)
NODE_OPS(node_nested_loop)
NODE_OPS(node_hash_join)
NODE_OPS(node_merge_join)
NODE_OPS(node_aggregate)
NODE_OPS(node_window)
NODE_OPS(node_sort)
NODE_OPS(node_limit)
NODE_OPS(node_distinct)
NODE_OPS(node_set_operation)
NODE_OPS(node_append)
NODE_OPS(node_recursive)
NODE_OPS(node_materialize)
NODE_OPS(node_project_set)
NODE_OPS(node_lock_rows)
NODE_OPS(node_modify)
NODE_OPS(node_gather)
#undef NODE_OPS

/* Makes the node and its children (outer, inner; append makes its own) and opens them. */
SUSPENDS err_t node_new_wait(struct run *run, const struct plan_node *plan, struct node **out);
/* *row NULL at the end. The row is valid until the next call on this node. */
SUSPENDS err_t node_next_wait(struct node *n, const struct slot **row);
/* Start over; exec params may have changed. */
SUSPENDS err_t node_rescan_wait(struct node *n);
/* Per row: drops the last row's memory. */
void node_row_begin(struct node *n);
/* The filter over eval's inputs; counts what it removes. */
SUSPENDS err_t node_filter_wait(struct node *n, bool *pass);
/* targets over eval's inputs, or plain as it is. */
SUSPENDS err_t node_project_wait(struct node *n, const struct slot *plain, const struct slot **row);
void slot_init(struct slot *s, struct arena *mem, uint32_t count);

/* ---- subqueries (subplan.c) ---- */

err_t subplan_eval(void *owner, uint32_t index, struct eval *e, datum *out, bool *is_null);
/* Runs an uncorrelated one and keeps its result, so that other cores may read it. */
SUSPENDS err_t subplan_prepare_wait(struct run *run, uint32_t index);

/* ---- fragments (fragment.c, gather.c) ---- */

enum { BATCH_BYTES = 64 * 1024, BATCH_BYTES_SHORT = 4 * 1024 };
struct batch { /* rows: u32 length, u32 0, bytes padded to 8 */
    uint8_t *data;
    size_t capacity;
    size_t used;
    size_t read_at;
    size_t wanted; /* > 0: a row of that size did not fit */
    bool is_end;
};
/* A subtree that runs on a shard's core; owned by the requester. */
struct fragment {
    /* set by the requester */
    const struct run *origin; /* values, parameters, plan; read in place */
    const struct plan_node *root;
    uint32_t shard_no;
    uint32_t core;
    bool writes;
    bool is_short;
    datum *exec_params; /* as they were when it was opened */
    bool *exec_param_nulls;
    struct extra_view *extras;
    struct plan_counter *counters;
    _Atomic bool stop;
    /* both, handed over with the call */
    struct txn_view view;
    struct batch batches[2];
    uint32_t filling;
    uint64_t rows_modified;
    /* the target's */
    struct run *run;
    struct node *node;
    struct strbuf notes; /* read by the requester between calls */
    struct strbuf pending;
    bool has_pending;
    struct fiber *fiber; /* that fills now */
    /* the requester's */
    struct core_call call;
    bool is_filling;
    bool is_open;
    bool is_ended;       /* the last batch is here */
    bool is_target_open; /* something is left on the target */
    bool prefetches;
    uint32_t reading;
    _Atomic bool is_filled; /* the call under way has done its work */
};
SUSPENDS err_t fragment_open_wait(struct run *run, struct fragment *f);
void fragment_fill_start(struct fragment *f);
SUSPENDS err_t fragment_fill_short_wait(struct run *run, struct fragment *f);
SUSPENDS err_t fragment_fill_join_wait(struct run *run, struct fragment *f);
/* Next row's bytes; *row NULL at the end. */
SUSPENDS err_t fragment_next_wait(struct run *run, struct fragment *f, const uint8_t **row);
SUSPENDS void fragment_close_wait(struct run *run, struct fragment *f);

/* ---- writing rows (table_write.c): runs as the shard's owner ---- */

/* A deferrable unique index has another row with the key, or may have: to be looked at again. */
struct key_doubt {
    uint32_t index; /* of the table */
    struct row_place
        entry; /* the row that the entry leads to: of the table, or of the index's map */
};
struct table_write { /* reusable scratch for one table on one core */
    const struct plan_table *table;
    struct run *run;
    struct eval eval;
    struct slot row; /* table row: columns, row id, tableoid, shard */
    struct slot old;
    struct strbuf bytes;
    struct strbuf key;
    struct strbuf old_key;
    struct row_buf newest;
    datum *key_values;
    bool *key_nulls;
    struct key_doubt *doubts; /* of the row written last; room for one of each index */
    uint32_t doubt_count;
    bool is_checked; /* NOT NULL and CHECK were tested before */
    bool deep_copy;
};
void table_write_init(struct table_write *w, struct run *run, const struct plan_table *table);
/* A row by the key of a unique index that is not on this shard (its map table knows where). */
#define CONFLICT_ELSEWHERE (ROW_ID_NONE - 1)
/* NOT NULL and CHECK of w->row. */
SUSPENDS err_t table_check_wait(struct table_write *w);
/* w->row into the shard of the run (or shard_no from anywhere else: see row_put). *inserted false:
 * ON CONFLICT DO NOTHING met a row, which is then in *conflict. arbiters: positions of indexes
 * whose conflicts do not raise (NULL, 0 and tolerate: all unique ones). */
SUSPENDS err_t table_insert_wait(struct table_write *w, struct txn_view *v, uint32_t shard_no,
                                 bool tolerate, const uint32_t *arbiters, uint32_t arbiter_count,
                                 bool *inserted, row_id *id, row_id *conflict);
/* The row at id, locked, with bytes in w->old becomes w->row. changed: attno - 1 → assigned. */
SUSPENDS err_t table_update_wait(struct table_write *w, struct txn_view *v, uint32_t shard_no,
                                 row_id id, const bool *changed);
SUSPENDS err_t table_delete_wait(struct table_write *w, struct txn_view *v, uint32_t shard_no,
                                 row_id id);
/* A live row, committed or our own, with the key of w->row in unique index i: on shard_no, or for
 * an index with a map table anywhere; id ROW_ID_NONE = none. */
SUSPENDS err_t table_find_conflict_wait(struct table_write *w, struct txn_view *v,
                                        uint32_t shard_no, uint32_t i, struct row_place *out);
/* w->old and w->row have the same key in index i. */
SUSPENDS err_t table_keys_match_wait(struct table_write *w, uint32_t i, bool *match);
/* Shard of a row by its shard key, replicated and keyless tables: the home shard. */
uint32_t table_row_shard(const struct plan_table *t, const datum *values, const bool *nulls);
/* Whether an integer of any width is a value of the type; other types: true. */
bool integer_fits(oid type, datum value);
/* map.c: where a row of a map table leads, its columns into values and nulls; ERR_DATA_CORRUPTED:
 * to no shard. */
err_t map_row_place(const struct plan_table *map, const uint8_t *row, datum *values, bool *nulls,
                    struct row_place *out);
/* The shard of the row with the key, whose values may be of other widths, by the map
 * table; any shard when there is none. */
SUSPENDS err_t map_shard_wait(struct run *run, const struct plan_table *map, const datum *keys,
                              const bool *nulls, uint32_t *shard_no);
void table_decode(const struct plan_table *t, const uint8_t *row, uint32_t count, datum *values,
                  bool *nulls);
err_t table_raise_unique(const struct plan_table *t, const struct plan_index *index,
                         const struct session_env *env, const datum *values, const bool *nulls);

/* ---- modifying (node_modify.c, modify_apply.c) ---- */

struct modify { /* one PLAN_MODIFY on one shard or in the session */
    const struct plan_node *plan;
    const struct node_code *code;
    struct run *run;
    struct table_write write;
    struct eval eval;
    struct arena *row_mem;
    struct arena_mark row_mark;
    struct slot set;
    struct slot excluded;
    struct slot child_rest;
    struct slot returned;
    bool *changed;
    bool returns;
    bool is_watching; /* a foreign key of the table is concerned, or a deferrable unique index */
    bool *watched;    /* per plan_table.foreign */
    uint64_t order;   /* of the row within the statement */
};
enum modify_result { MODIFY_SKIPPED, MODIFY_DONE };
/* modify_conflict.c */
SUSPENDS err_t modify_insert_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                  const struct slot *child, enum modify_result *result);
/* Parts of modify_apply.c that it shares. */
SUSPENDS err_t modify_lock_row_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                    row_id id, enum row_lock_mode mode,
                                    enum row_lock_result *result);
enum row_lock_mode modify_lock_mode(const struct modify *m);
/* write.old becomes write.row, checked. */
SUSPENDS err_t modify_update_row_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                      row_id *id);
SUSPENDS err_t modify_return_wait(struct modify *m, const struct slot *row,
                                  const struct slot *child, enum modify_result *result);
void modify_copy_old_row(struct table_write *w);
void modify_set_system_columns(const struct plan_table *t, struct slot *row, row_id id,
                               uint32_t shard_no);
err_t modify_init(struct modify *m, struct run *run, const struct plan_node *plan);
void modify_end(struct modify *m);
/* One child row on the shard shard_no of this core. For MODIFY_DONE with RETURNING m->returned is
 * the row, valid until the next call. */
SUSPENDS err_t modify_apply_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                 const struct slot *child, enum modify_result *result);

/* A modification on one shard, fed from the session's core with batches of child rows. The worker
 * belongs to the requester; what hangs on `run` to the shard's core. */
enum { WORKER_ROWS_MAX = 1000, WORKER_BYTES_MAX = 64 * 1024 };
struct worker {
    const struct run *origin;
    const struct plan_node *plan;
    const struct row_layout *child_layout;
    uint32_t child_columns;
    uint32_t shard_no;
    uint32_t core;
    bool is_checked;
    struct txn_view view;
    struct extra_view *extras;
    struct strbuf batches[2]; /* rows: u32 length, u32 number, u64 tag, bytes padded to 8 */
    uint32_t counts[2];
    uint32_t collecting; /* the batch that is being put together */
    uint32_t sent;
    struct core_call call;
    bool is_running;
    /* results, valid until the next start */
    uint64_t rows_modified;
    const uint8_t *results; /* rows: u32 length, u32 number, bytes padded to 8 */
    size_t results_len;
    size_t results_at;
    uint64_t failed_tag;
    /* the target's */
    struct run *run;
    struct modify *modify;
    struct strbuf out;
    struct strbuf notes;
    struct slot child;
};
void worker_init(struct worker *w, struct run *run, const struct plan_node *plan,
                 const struct row_layout *child_layout, uint32_t shard_no);
err_t worker_add(struct worker *w, const datum *values, const bool *nulls, uint32_t number,
                 uint64_t tag);
static inline bool worker_is_full(const struct worker *w)
{
    return w->counts[w->collecting] >= WORKER_ROWS_MAX ||
           w->batches[w->collecting].len >= WORKER_BYTES_MAX;
}
/* Sends the collected batch (or works on it here, when the shard is this core's: then it is done
 * when this returns). The last one must have been joined. */
SUSPENDS err_t worker_start_wait(struct run *run, struct worker *w);
SUSPENDS err_t worker_join_wait(struct run *run, struct worker *w);
SUSPENDS void worker_close_wait(struct run *run, struct worker *w);

#endif
