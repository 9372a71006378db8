/*
 * LOCK_ROWS (SELECT ... FOR UPDATE and the like): each row of the child is locked in its tables, on
 * this shard inside of a fragment, by a call to the row's shard above gathers. A row that changed
 * while we waited is read again: its columns are replaced and the query's conditions tested anew.
 */
#include "sql/exec/exec_priv.h"

struct lock_node {
    struct node node;
    struct slot row;     /* the child's row, refreshed */
    struct slot *tables; /* per mark: the newest row */
    struct row_buf *newest;
};

struct lock_call { /* to another core */
    const struct plan_row_mark *mark;
    uint32_t shard_no;
    row_id id;
    struct txn_view view;
    enum row_lock_result result;
    uint8_t *buffer; /* the requester's */
    uint32_t capacity;
    uint32_t len;
};

static SUSPENDS err_t lock_open_wait(struct node *n)
{
    struct lock_node *l = (struct lock_node *)n;
    uint32_t count = n->plan->lock_rows.count;
    slot_init(&l->row, n->run->mem, n->outer->code->type_count);
    l->tables = ARENA_ARRAY(n->run->mem, struct slot, count + 1);
    l->newest = ARENA_ARRAY(n->run->mem, struct row_buf, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        slot_init(&l->tables[i], n->run->mem, n->plan->lock_rows.marks[i].table->column_count + 3);
        l->newest[i].arena = n->run->mem;
    }
    return ERR_OK;
}

static SUSPENDS err_t lock_remote_run_wait(void *arg)
{
    struct lock_call *c = arg;
    struct arena *mem = arena_new();
    struct row_buf newest = {.arena = mem};
    err_t e = row_lock_wait(shard_local(c->shard_no), &c->view, c->mark->table->file, c->id,
                            c->mark->mode, c->mark->policy, &c->result, &newest);
    if (e == ERR_OK && (c->result == ROW_LOCKED || c->result == ROW_LOCKED_CHANGED)) {
        c->len = newest.len;
        if (newest.len <= c->capacity)
            memcpy(c->buffer, newest.data, newest.len);
    }
    arena_free(mem);
    return e;
}

/* Lock on any shard; for a changed row *bytes is the newest version. */
static SUSPENDS err_t lock_any_wait(struct lock_node *l, uint32_t i, uint32_t shard_no, row_id id,
                                    enum row_lock_result *result, const uint8_t **bytes)
{
    struct node *n = &l->node;
    struct run *run = n->run;
    const struct plan_row_mark *mark = &n->plan->lock_rows.marks[i];
    struct row_buf *newest = &l->newest[i];
    if (run->on_shard && shard_no == run->shard_no) {
        TRY(row_lock_wait(shard_local(shard_no), &run->view, mark->table->file, id, mark->mode,
                          mark->policy, result, newest));
        *bytes = newest->data;
        return ERR_OK;
    }
    struct lock_call c = {.mark = mark, .shard_no = shard_no, .id = id};
    for (;;) {
        c.buffer = newest->data;
        c.capacity = newest->capacity;
        c.len = 0;
        run_view_begin(run, shard_no, true, &c.view);
        err_t e = core_call_wait(shard_core(shard_no), lock_remote_run_wait, &c);
        run_view_end(run, shard_no, &c.view);
        TRY(e);
        if (c.len <= c.capacity)
            break;
        /* The lock is held by now; once more for the row's bytes. */
        void *memory = NULL;
        TRY(arena_alloc_try(run->mem, c.len, &memory));
        newest->data = memory;
        newest->capacity = c.len;
    }
    *result = c.result;
    *bytes = newest->data;
    return ERR_OK;
}

static COLD err_t name_relation(const struct plan_row_mark *mark)
{
    return err_raise(ERR_LOCK_NOT_AVAILABLE, "could not obtain lock on row in relation \"%s\"",
                     mark->table->name);
}

/* One table's row. *keep false: the whole row is dropped. */
static SUSPENDS err_t lock_mark_wait(struct lock_node *l, uint32_t i, bool *keep, bool *changed)
{
    struct node *n = &l->node;
    const struct plan_row_mark *mark = &n->plan->lock_rows.marks[i];
    if (l->row.nulls[mark->row_id_column])
        return ERR_OK; /* an outer join's missing side */
    row_id id = (row_id)l->row.values[mark->row_id_column];
    int64_t shard_no = datum_i64(l->row.values[mark->shard_column]);
    if (shard_no < 0 || shard_no >= (int64_t)shard_count())
        return err_raise(ERR_INTERNAL_ERROR, "row without a shard");
    enum row_lock_result result;
    const uint8_t *bytes = NULL;
    err_t e = lock_any_wait(l, i, (uint32_t)shard_no, id, &result, &bytes);
    if (e == ERR_LOCK_NOT_AVAILABLE && mark->policy == LOCK_NOWAIT)
        return name_relation(mark);
    if (e == ERR_T_R_SERIALIZATION_FAILURE) /* also for a deleted row, other than UPDATE */
        return err_raise(e, "could not serialize access due to concurrent update");
    TRY(e);
    *keep = result == ROW_LOCKED || result == ROW_LOCKED_CHANGED;
    if (!*keep || result == ROW_LOCKED)
        return ERR_OK;
    *changed = true;
    const struct plan_table *t = mark->table;
    struct slot *row = &l->tables[i];
    table_decode(t, bytes, t->column_count, row->values, row->nulls);
    row->values[t->column_count] = datum_of_i64((int64_t)id);
    row->values[t->column_count + 1] = datum_of_oid(t->oid);
    row->values[t->column_count + 2] = datum_of_i32((int32_t)shard_no);
    for (uint32_t k = 0; k < mark->column_count; k++) {
        int32_t attno = mark->attnos[k];
        if (attno <= 0)
            continue;
        l->row.values[mark->first_column + k] = row->values[attno - 1];
        l->row.nulls[mark->first_column + k] = row->nulls[attno - 1];
    }
    if (n->code->lists[i] == NULL)
        return ERR_OK;
    n->eval.inputs[0] = row;
    n->eval.inputs[1] = &l->row;
    return expr_eval_bool_wait(n->code->lists[i], &n->eval, keep);
}

static SUSPENDS err_t lock_next_wait(struct node *n, const struct slot **row)
{
    struct lock_node *l = (struct lock_node *)n;
    for (;;) {
        const struct slot *in = NULL;
        TRY(node_next_wait(n->outer, &in));
        *row = NULL;
        if (in == NULL)
            return ERR_OK;
        node_row_begin(n);
        memcpy(l->row.values, in->values, sizeof(datum) * MIN(in->count, l->row.count));
        memcpy(l->row.nulls, in->nulls, sizeof(bool) * MIN(in->count, l->row.count));
        bool keep = true;
        bool changed = false;
        for (uint32_t i = 0; i < n->plan->lock_rows.count && keep; i++)
            TRY(lock_mark_wait(l, i, &keep, &changed));
        if (keep) {
            n->eval.inputs[0] = &l->row;
            TRY(node_filter_wait(n, &keep));
        }
        if (keep)
            return node_project_wait(n, &l->row, row);
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t lock_rescan_wait(struct node *n)
{
    return node_rescan_wait(n->outer);
}

const struct node_ops node_lock_rows_ops = {
    .bytes = sizeof(struct lock_node),
    .open = lock_open_wait,
    .next = lock_next_wait,
    .rescan = lock_rescan_wait,
};
