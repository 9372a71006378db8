/*
 * Workers of routed modifications: batches of child rows go to a shard's core, are applied there
 * row by row, and RETURNING rows come back. What a worker keeps on the shard's core (run, scratch,
 * results) stays there over batches until it is closed.
 */
#include "sql/exec/exec_priv.h"

enum { ROW_HEADER_BYTES = 16, RESULT_HEADER_BYTES = 8 };

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

void worker_init(struct worker *w, struct run *run, const struct plan_node *plan,
                 const struct row_layout *child_layout, uint32_t shard_no)
{
    *w = (struct worker){.origin = run,
                         .plan = plan,
                         .child_layout = child_layout,
                         .child_columns = child_layout->column_count,
                         .shard_no = shard_no,
                         .core = shard_core(shard_no)};
    strbuf_init(&w->batches[0], run->mem);
    strbuf_init(&w->batches[1], run->mem);
    if (plan->modify.changes_shard_key || plan->modify.table->code->has_map)
        w->extras = ARENA_ARRAY(run->mem, struct extra_view, shard_count());
}

err_t worker_add(struct worker *w, const datum *values, const bool *nulls, uint32_t number,
                 uint64_t tag)
{
    struct strbuf *b = &w->batches[w->collecting];
    uint8_t head[ROW_HEADER_BYTES] = {0};
    size_t start = b->len;
    TRY(strbuf_put(b, head, sizeof(head)));
    TRY(row_encode(w->child_layout, values, nulls, b));
    size_t len = b->len - start - ROW_HEADER_BYTES;
    uint8_t pad[8] = {0};
    TRY(strbuf_put(b, pad, padded(len) - len));
    uint8_t *at = (uint8_t *)b->data + start;
    store_u32(at, u32_from(len));
    store_u32(at + 4, number);
    store_u64(at + 8, tag);
    w->counts[w->collecting]++;
    return ERR_OK;
}

/* ---- on the shard's core ---- */

static err_t set_up(struct worker *w)
{
    struct arena *mem = arena_new();
    struct run *run =
        run_new_remote(w->origin, mem, w->origin->exec_params, w->origin->exec_param_nulls);
    run->on_shard = true;
    run->shard_no = w->shard_no;
    run->extras = w->extras;
    w->run = run;
    w->modify = ARENA_NEW(mem, struct modify);
    slot_init(&w->child, mem, w->child_columns);
    strbuf_init(&w->out, mem);
    strbuf_init(&w->notes, mem);
    run->notes = w->origin->notes != NULL ? &w->notes : NULL;
    TRY(modify_init(w->modify, run, w->plan));
    w->modify->write.is_checked = w->is_checked;
    return ERR_OK;
}

static err_t put_result(struct worker *w, uint32_t number)
{
    uint8_t head[RESULT_HEADER_BYTES] = {0};
    uint8_t pad[8] = {0};
    size_t start = w->out.len;
    TRY(strbuf_put(&w->out, head, sizeof(head)));
    TRY(row_encode(w->plan->code->layout, w->modify->returned.values, w->modify->returned.nulls,
                   &w->out));
    size_t len = w->out.len - start - RESULT_HEADER_BYTES;
    TRY(strbuf_put(&w->out, pad, padded(len) - len));
    store_u32(w->out.data + start, u32_from(len));
    store_u32(w->out.data + start + 4, number);
    return ERR_OK;
}

static SUSPENDS err_t apply_batch_wait(struct worker *w, const struct strbuf *b)
{
    for (size_t at = 0; at < b->len;) {
        const uint8_t *row = (const uint8_t *)b->data + at;
        uint32_t len = load_u32(row);
        at += ROW_HEADER_BYTES + padded(len);
        w->failed_tag = load_u64(row + 8);
        w->modify->order = w->failed_tag;
        row_decode(w->child_layout, row + ROW_HEADER_BYTES, 0, w->child_columns, w->child.values,
                   w->child.nulls);
        enum modify_result result = MODIFY_SKIPPED;
        TRY(modify_apply_wait(w->modify, &w->run->view, w->shard_no, &w->child, &result));
        if (result == MODIFY_DONE) {
            w->rows_modified++;
            if (w->modify->returns)
                TRY(put_result(w, load_u32(row + 4)));
        }
        TRY(run_rest_wait(w->run));
    }
    return ERR_OK;
}

static SUSPENDS err_t apply_wait(void *arg)
{
    struct worker *w = arg;
    w->rows_modified = 0;
    if (w->run == NULL)
        TRY(set_up(w));
    w->out.len = 0;
    w->run->view = w->view;
    err_t e = apply_batch_wait(w, &w->batches[w->sent]);
    w->view = w->run->view;
    w->results = (const uint8_t *)w->out.data;
    w->results_len = w->out.len;
    w->results_at = 0;
    return e;
}

static SUSPENDS err_t close_wait(void *arg)
{
    struct worker *w = arg;
    struct run *run = w->run;
    w->run = NULL;
    if (run == NULL)
        return ERR_OK;
    modify_end(w->modify);
    fiber_shield_begin();
    run_end_wait(run);
    fiber_shield_end();
    arena_free(run->mem);
    return ERR_OK;
}

/* ---- the requester's side ---- */

static err_t take_results(struct run *run, struct worker *w, err_t e)
{
    run_view_end(run, w->shard_no, &w->view);
    for (uint32_t i = 0; w->extras != NULL && i < shard_count(); i++)
        if (w->extras[i].used) {
            run_view_end(run, i, &w->extras[i].view);
            w->extras[i].used = false;
        }
    w->batches[w->sent].len = 0;
    w->counts[w->sent] = 0;
    return e == ERR_OK && w->run != NULL ? constraint_take_notes(run->exec, &w->notes) : e;
}

SUSPENDS err_t worker_start_wait(struct run *run, struct worker *w)
{
    ASSERT(!w->is_running);
    if (w->extras != NULL)
        for (uint32_t i = 0; i < shard_count(); i++)
            txn_enlist(run->txn, i);
    run_view_begin(run, w->shard_no, true, &w->view);
    if (run->txn != NULL)
        txn_touch(run->txn, w->core);
    w->sent = w->collecting;
    w->collecting = 1 - w->collecting;
    if (w->core == core_id()) {
        return take_results(run, w, apply_wait(w));
    }
    w->is_running = true;
    core_call_start(&w->call, w->core, apply_wait, w);
    return ERR_OK;
}

SUSPENDS err_t worker_join_wait(struct run *run, struct worker *w)
{
    if (!w->is_running)
        return ERR_OK;
    err_t e = core_call_join_wait(&w->call);
    w->is_running = false;
    return take_results(run, w, e);
}

SUSPENDS void worker_close_wait(struct run *run, struct worker *w)
{
    fiber_shield_begin();
    if (w->is_running) {
        /* The error at hand, if any, stays. */
        struct diag *diag = arena_alloc(run->mem, sizeof(*diag));
        diag_copy(diag, err_diag());
        ERR_IGNORE(worker_join_wait(run, w));
        ERR_IGNORE(err_adopt(diag));
    }
    if (w->run != NULL)
        ERR_IGNORE(core_call_wait(w->core, close_wait, w));
    fiber_shield_end();
}
