/*
 * Remote fragments: a subtree of the plan that runs on another core's shard and hands its rows over
 * in batches.
 *
 * The fragment's node tree is memory on the target core that stays between calls; each call fills
 * one batch, a buffer of the requester's, so while one batch is read the next one is being filled.
 * The first call makes the tree, the one that reaches the end (or an error) takes it down again. A
 * requester that wants no more raises the stop flag, cancels the call under way, joins it and has
 * the tree taken down.
 *
 * Order of ownership: a struct fragment and its batches belong to whoever holds the call: the
 * target between start and join, else the requester. Only stop and is_filled are looked at by the
 * other side meanwhile.
 */
#include "sql/exec/exec_priv.h"

static SUSPENDS void take_down_wait(struct fragment *f)
{
    if (f->run == NULL)
        return;
    struct run *run = f->run;
    f->rows_modified = run->rows_modified;
    f->run = NULL;
    f->node = NULL;
    f->has_pending = false;
    fiber_shield_begin();
    run_end_wait(run);
    fiber_shield_end();
    arena_free(run->mem);
}

static SUSPENDS err_t set_up_wait(struct fragment *f)
{
    struct arena *mem = arena_new();
    struct run *run = run_new_remote(f->origin, mem, f->exec_params, f->exec_param_nulls);
    run->on_shard = true;
    run->shard_no = f->shard_no;
    run->view = f->view;
    run->fragment = f;
    run->extras = f->extras;
    run->stop = &f->stop;
    run->counters = f->counters;
    f->run = run;
    strbuf_init(&f->notes, mem);
    run->notes = f->writes && f->origin->notes != NULL ? &f->notes : NULL;
    strbuf_init(&f->pending, mem);
    f->has_pending = false;
    return node_new_wait(run, f->root, &f->node);
}

/* False: no room; the batch says how much is wanted when it is empty. */
static bool put_row(struct batch *b, const struct strbuf *row)
{
    size_t bytes = 8 + ((row->len + 7) & ~(size_t)7);
    if (b->used + bytes > b->capacity) {
        if (b->used == 0)
            b->wanted = bytes;
        return false;
    }
    uint8_t *to = b->data + b->used;
    store_u32(to, u32_from(row->len));
    store_u32(to + 4, 0);
    memcpy(to + 8, row->data, row->len);
    b->used += bytes;
    return true;
}

static SUSPENDS err_t fill_batch_wait(struct fragment *f, struct batch *b)
{
    if (f->run == NULL)
        TRY(set_up_wait(f));
    const struct row_layout *layout = f->root->code->layout;
    for (;;) {
        if (!f->has_pending) {
            const struct slot *row = NULL;
            TRY(node_next_wait(f->node, &row));
            if (row == NULL) {
                b->is_end = true;
                return ERR_OK;
            }
            f->pending.len = 0;
            TRY(row_encode(layout, row->values, row->nulls, &f->pending));
        }
        f->has_pending = !put_row(b, &f->pending);
        if (f->has_pending)
            return ERR_OK;
    }
}

/* On the target core. */
static SUSPENDS err_t fill_wait(void *arg)
{
    struct fragment *f = arg;
    struct batch *b = &f->batches[f->filling];
    if (!core_is_borrowed())
        f->fiber = fiber_self();
    b->used = 0;
    b->read_at = 0;
    b->wanted = 0;
    b->is_end = false;
    err_t e = fill_batch_wait(f, b);
    f->fiber = NULL;
    if (f->run != NULL) {
        f->view.wrote |= f->run->view.wrote;
        f->view.logged |= f->run->view.logged;
        f->view.observed = MAX(f->view.observed, f->run->view.observed);
    }
    if (f->run != NULL)
        f->rows_modified = f->run->rows_modified;
    /* Notes stay for the requester to read; then it closes. */
    if (e != ERR_OK || (b->is_end && f->notes.len == 0))
        take_down_wait(f);
    atomic_store_explicit(&f->is_filled, true, memory_order_release);
    return e;
}

static SUSPENDS err_t close_wait(void *arg)
{
    take_down_wait(arg);
    return ERR_OK;
}

/* On the target core, in its reactor: the requester is not interested any more. */
static void cancel_fill(void *arg)
{
    struct fragment *f = arg;
    if (f->fiber != NULL)
        fiber_cancel(f->fiber, ERR_QUERY_CANCELED, "no more rows are wanted");
}

/* ---- the requester's side ---- */

SUSPENDS err_t fragment_open_wait(struct run *run, struct fragment *f)
{
    uint32_t params = run->plan->exec_param_count;
    size_t bytes = f->is_short ? BATCH_BYTES_SHORT : BATCH_BYTES;
    for (uint32_t i = 0; i < 2; i++) {
        struct batch *b = &f->batches[i];
        if (b->data == NULL && (i == 0 || !f->is_short)) {
            b->data = arena_alloc(run->mem, bytes);
            b->capacity = bytes;
        }
    }
    if (params > 0) {
        if (f->exec_params == NULL) {
            f->exec_params = ARENA_ARRAY(run->mem, datum, params);
            f->exec_param_nulls = ARENA_ARRAY(run->mem, bool, params);
        }
        memcpy(f->exec_params, run->exec_params, sizeof(datum) * params);
        memcpy(f->exec_param_nulls, run->exec_param_nulls, sizeof(bool) * params);
    }
    f->origin = run;
    atomic_store_explicit(&f->stop, false, memory_order_relaxed);
    f->filling = 0;
    f->reading = 0;
    f->batches[0].used = 0;
    f->batches[0].read_at = 0;
    f->batches[0].is_end = false;
    f->batches[1].used = 0;
    f->batches[1].read_at = 0;
    f->batches[1].is_end = false;
    f->rows_modified = 0;
    f->is_open = true;
    f->is_ended = false;
    f->is_target_open = false;
    f->view = txn_view_make(run->txn, f->shard_no, f->writes);
    return ERR_OK;
}

void fragment_fill_start(struct fragment *f)
{
    f->is_filling = true;
    atomic_store_explicit(&f->is_filled, false, memory_order_relaxed);
    core_call_start(&f->call, f->core, fill_wait, f);
}

/* What came back with a call. */
static err_t take_results(struct run *run, struct fragment *f, err_t e)
{
    struct batch *b = &f->batches[f->filling];
    txn_merge(run->txn, f->shard_no, &f->view);
    f->view.observed = 0;
    for (uint32_t i = 0; f->extras != NULL && i < shard_count(); i++)
        if (f->extras[i].used) {
            txn_merge(run->txn, i, &f->extras[i].view);
            f->extras[i].used = false;
        }
    f->is_ended = e != ERR_OK || b->is_end;
    f->is_target_open = !f->is_ended || f->run != NULL;
    f->reading = f->filling;
    return e == ERR_OK && f->run != NULL ? constraint_take_notes(run->exec, &f->notes) : e;
}

SUSPENDS err_t fragment_fill_join_wait(struct run *run, struct fragment *f)
{
    err_t e = core_call_join_wait(&f->call);
    f->is_filling = false;
    return take_results(run, f, e);
}

/* Open and first batch in one short call. */
SUSPENDS err_t fragment_fill_short_wait(struct run *run, struct fragment *f)
{
    return take_results(run, f, core_call_short_wait(f->core, fill_wait, f));
}

static err_t grow_batch(struct run *run, struct batch *b, size_t bytes)
{
    void *memory = NULL;
    TRY(arena_alloc_try(run->mem, bytes, &memory));
    b->data = memory;
    b->capacity = bytes;
    return ERR_OK;
}

SUSPENDS err_t fragment_next_wait(struct run *run, struct fragment *f, const uint8_t **row)
{
    for (;;) {
        struct batch *b = &f->batches[f->reading];
        if (!(f->is_filling && f->filling == f->reading) && b->read_at < b->used) {
            uint8_t *at = b->data + b->read_at;
            uint32_t len = load_u32(at);
            b->read_at += 8 + (((size_t)len + 7) & ~(size_t)7);
            *row = at + 8;
            return ERR_OK;
        }
        if (f->is_ended) {
            *row = NULL;
            return ERR_OK;
        }
        if (f->is_filling) {
            TRY(fragment_fill_join_wait(run, f));
        } else {
            /* Not prefetched: this batch is used up or was too small for a row. */
            size_t wanted = b->wanted;
            f->filling = f->reading;
            if (wanted > b->capacity || b->capacity < BATCH_BYTES)
                TRY(grow_batch(run, b, MAX(wanted, (size_t)BATCH_BYTES)));
            fragment_fill_start(f);
            continue;
        }
        b = &f->batches[f->reading];
        if (b->used == 0 || f->is_ended || !f->prefetches)
            continue;
        /* Fill the other one while this one is read. */
        struct batch *other = &f->batches[1 - f->reading];
        if (other->capacity < BATCH_BYTES)
            TRY(grow_batch(run, other, BATCH_BYTES));
        f->filling = 1 - f->reading;
        fragment_fill_start(f);
    }
}

SUSPENDS void fragment_close_wait(struct run *run, struct fragment *f)
{
    if (!f->is_open)
        return;
    bool is_posted = false;
    struct diag *diag = NULL;
    fiber_shield_begin();
    if (f->is_filling) {
        /* How the fragment ends is nobody's error: the one at hand, if any, stays. */
        diag = arena_alloc(run->mem, sizeof(*diag));
        diag_copy(diag, err_diag());
        atomic_store_explicit(&f->stop, true, memory_order_relaxed);
        core_post(f->core, cancel_fill, f);
        is_posted = true; /* the close call goes behind the post, which uses f */
        ERR_IGNORE(fragment_fill_join_wait(run, f));
    }
    if (f->is_target_open || is_posted)
        ERR_IGNORE(core_call_wait(f->core, close_wait, f));
    fiber_shield_end();
    if (diag != NULL)
        ERR_IGNORE(err_adopt(diag));
    f->is_open = false;
    f->is_target_open = false;
}
