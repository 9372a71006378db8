/*
 * INSERT of one row, with ON CONFLICT.
 *
 * A row that has the key already is looked for first, so that the common conflict writes nothing.
 * When there is none the row goes in; whoever was faster meanwhile is met by a unique index, what
 * was done for the row is taken back, and the search begins anew. So one of insert or update
 * happens, as PostgreSQL promises. A unique index that lacks the shard key is a map table: the row
 * that it leads to may be on another shard, and DO UPDATE runs there, on its core, with a modify of
 * its own; notes for foreign keys and the row for RETURNING come back.
 */
#include "sql/exec/exec_priv.h"

/* ---- the row that is there ---- */

static COLD err_t raise_deferrable(const struct plan_table *t, const struct plan_index *x)
{
    err_t e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                        "ON CONFLICT does not support deferrable unique constraints/exclusion "
                        "constraints as arbiters");
    err_object(t->schema_name, t->name, NULL, NULL, x->name);
    return e;
}

/* Where it is, and by which index it was found. */
static SUSPENDS err_t arbiters_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                    struct row_place *conflict, uint32_t *index)
{
    const struct plan_on_conflict *oc = m->plan->modify.on_conflict;
    const struct plan_table *t = m->plan->modify.table;
    uint32_t count = oc->arbiter_count > 0 ? oc->arbiter_count : t->index_count;
    conflict->id = ROW_ID_NONE;
    for (uint32_t k = 0; k < count && conflict->id == ROW_ID_NONE; k++) {
        *index = oc->arbiter_count > 0 ? oc->arbiters[k] : k;
        if (!t->indexes[*index].is_unique || t->indexes[*index].is_known_only)
            continue;
        if (t->indexes[*index].is_deferrable)
            return raise_deferrable(t, &t->indexes[*index]);
        TRY(table_find_conflict_wait(&m->write, v, shard_no, *index, conflict));
    }
    return ERR_OK;
}

/* DO UPDATE of the row on this shard. *retry: it went away, or has another key by now. */
static SUSPENDS err_t update_here_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                       const struct slot *child, row_id id, uint32_t index,
                                       bool *retry, enum modify_result *result)
{
    const struct plan_on_conflict *oc = m->plan->modify.on_conflict;
    struct table_write *w = &m->write;
    enum row_lock_result locked;
    TRY(modify_lock_row_wait(m, v, shard_no, id, modify_lock_mode(m), &locked));
    *retry = locked == ROW_GONE;
    if (locked == ROW_LOCKED_CHANGED) {
        bool match = false;
        TRY(table_keys_match_wait(w, index, &match));
        *retry = !match;
    }
    if (*retry)
        return ERR_OK;
    if (locked == ROW_SELF_CHANGED) {
        err_t e = err_raise(ERR_CARDINALITY_VIOLATION,
                            "ON CONFLICT DO UPDATE command cannot affect row a second time");
        err_hint("Ensure that no rows proposed for insertion within the same command have "
                 "duplicate constrained values.");
        return e;
    }
    memcpy(m->excluded.values, w->row.values, sizeof(datum) * w->row.count);
    memcpy(m->excluded.nulls, w->row.nulls, sizeof(bool) * w->row.count);
    m->eval.inputs[0] = &w->old;
    m->eval.inputs[1] = child;
    m->eval.inputs[2] = &m->excluded;
    bool pass = true;
    if (m->code->condition != NULL)
        TRY(expr_eval_bool_wait(m->code->condition, &m->eval, &pass));
    if (!pass)
        return ERR_OK;
    TRY(expr_eval_list_wait(m->code->outer_keys, &m->eval, m->set.values, m->set.nulls));
    modify_copy_old_row(w);
    for (uint32_t i = 0; i < oc->set_count; i++) {
        uint32_t column = (uint32_t)oc->set_attnos[i] - 1;
        w->row.values[column] = m->set.values[i];
        w->row.nulls[column] = m->set.nulls[i];
    }
    TRY(modify_update_row_wait(m, v, shard_no, &id));
    return modify_return_wait(m, &w->row, child, result);
}

/* DO NOTHING because of a row that a repeatable read transaction cannot see is an error there. */
static SUSPENDS err_t visible_here_wait(const struct plan_table *t, struct txn_view *v,
                                        uint32_t shard_no, row_id id, struct arena *mem)
{
    struct txn_view own = *v;
    own.seq++;
    bool found = false;
    struct row_buf row = {.arena = mem};
    TRY(row_fetch_wait(shard_local(shard_no), &own, t->file, id, &found, &row));
    v->observed = MAX(v->observed, own.observed);
    if (!found)
        return err_raise(ERR_T_R_SERIALIZATION_FAILURE,
                         "could not serialize access due to concurrent update");
    return ERR_OK;
}

/* ---- on another shard ---- */

struct elsewhere {
    const struct modify *from; /* read in place: its fiber waits */
    const struct slot *child;
    struct row_place place;
    uint32_t index;
    struct txn_view view;
    struct extra_view *extras;
    bool retry;
    enum modify_result result;
    /* on the row's core, until it is closed */
    struct run *run;
    struct modify *modify;
    struct strbuf returned;
    struct strbuf notes;
};

static SUSPENDS err_t elsewhere_update_wait(void *arg)
{
    struct elsewhere *e = arg;
    const struct run *from = e->from->run;
    struct arena *mem = arena_new();
    struct run *run = run_new_remote(from, mem, from->exec_params, from->exec_param_nulls);
    run->on_shard = true;
    run->shard_no = e->place.shard_no;
    run->extras = e->extras;
    run->view = e->view;
    strbuf_init(&e->notes, mem);
    strbuf_init(&e->returned, mem);
    run->notes = from->notes != NULL ? &e->notes : NULL;
    e->run = run;
    e->modify = ARENA_NEW(mem, struct modify);
    TRY(modify_init(e->modify, run, e->from->plan));
    struct slot *row = &e->modify->write.row;
    memcpy(row->values, e->from->write.row.values, sizeof(datum) * row->count);
    memcpy(row->nulls, e->from->write.row.nulls, sizeof(bool) * row->count);
    e->modify->order = e->from->order;
    err_t err = update_here_wait(e->modify, &run->view, e->place.shard_no, e->child, e->place.id,
                                 e->index, &e->retry, &e->result);
    e->view = run->view;
    if (err == ERR_OK && e->result == MODIFY_DONE && e->modify->returns)
        err = row_encode(e->from->code->layout, e->modify->returned.values,
                         e->modify->returned.nulls, &e->returned);
    return err;
}

static SUSPENDS err_t elsewhere_visible_wait(void *arg)
{
    struct elsewhere *e = arg;
    struct arena *mem = arena_new();
    err_t err = visible_here_wait(e->from->plan->modify.table, &e->view, e->place.shard_no,
                                  e->place.id, mem);
    arena_free(mem);
    return err;
}

static SUSPENDS err_t elsewhere_close_wait(void *arg)
{
    struct elsewhere *e = arg;
    if (e->run == NULL)
        return ERR_OK;
    if (e->modify->row_mem != NULL)
        modify_end(e->modify);
    fiber_shield_begin();
    run_end_wait(e->run);
    fiber_shield_end();
    arena_free(e->run->mem);
    return ERR_OK;
}

/* What is brought back: the row to be returned, notes. */
static err_t take_back(struct modify *m, const struct elsewhere *e)
{
    if (e->notes.len > 0)
        TRY(strbuf_put(m->run->notes, e->notes.data, e->notes.len));
    if (e->returned.len == 0)
        return ERR_OK;
    uint8_t *row = arena_alloc(m->row_mem, e->returned.len);
    memcpy(row, e->returned.data, e->returned.len);
    row_decode(m->code->layout, row, 0, m->returned.count, m->returned.values, m->returned.nulls);
    return ERR_OK;
}

static SUSPENDS err_t call_elsewhere_wait(struct modify *m, struct elsewhere *e, core_fn fn)
{
    struct run *run = m->run;
    uint32_t core = shard_core(e->place.shard_no);
    e->extras = ARENA_ARRAY(m->row_mem, struct extra_view, shard_count());
    run_view_begin(run, e->place.shard_no, true, &e->view);
    err_t err = core_call_wait(core, fn, e);
    run_view_end(run, e->place.shard_no, &e->view);
    for (uint32_t i = 0; i < shard_count(); i++)
        if (e->extras[i].used)
            run_view_end(run, i, &e->extras[i].view);
    if (e->run == NULL)
        return err;
    if (err == ERR_OK)
        err = take_back(m, e);
    struct diag *diag = NULL;
    if (err != ERR_OK) {
        diag = arena_alloc(m->row_mem, sizeof(*diag));
        diag_copy(diag, err_diag());
    }
    fiber_shield_begin();
    ERR_IGNORE(core_call_wait(core, elsewhere_close_wait, e));
    fiber_shield_end();
    return diag != NULL ? err_adopt(diag) : ERR_OK;
}

/* ---- INSERT ---- */

static SUSPENDS err_t conflict_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                    const struct slot *child, const struct row_place *place,
                                    uint32_t index, bool *retry, enum modify_result *result)
{
    struct elsewhere e = {.from = m, .child = child, .place = *place, .index = index};
    bool is_here = place->shard_no == shard_no;
    *retry = false;
    if (!m->plan->modify.on_conflict->do_update) {
        if (v->isolation == READ_COMMITTED)
            return ERR_OK;
        return is_here
                   ? visible_here_wait(m->plan->modify.table, v, shard_no, place->id, m->row_mem)
                   : call_elsewhere_wait(m, &e, elsewhere_visible_wait);
    }
    if (is_here)
        return update_here_wait(m, v, shard_no, child, place->id, index, retry, result);
    TRY(call_elsewhere_wait(m, &e, elsewhere_update_wait));
    *retry = e.retry;
    *result = e.result;
    return ERR_OK;
}

SUSPENDS err_t modify_insert_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                  const struct slot *child, enum modify_result *result)
{
    struct table_write *w = &m->write;
    const struct plan_table *t = w->table;
    const struct plan_on_conflict *oc = m->plan->modify.on_conflict;
    if (child->count < t->column_count)
        return err_raise(ERR_INTERNAL_ERROR, "row for \"%s\" has too few columns", t->name);
    for (;;) {
        memcpy(w->row.values, child->values, sizeof(datum) * t->column_count);
        memcpy(w->row.nulls, child->nulls, sizeof(bool) * t->column_count);
        if (!w->is_checked)
            TRY(table_check_wait(w));
        struct row_place place = {.shard_no = shard_no, .id = ROW_ID_NONE};
        uint32_t index = 0;
        bool retry = true;
        if (oc != NULL)
            TRY(arbiters_wait(m, v, shard_no, &place, &index));
        if (place.id == ROW_ID_NONE) {
            row_id conflict = ROW_ID_NONE;
            row_id id = ROW_ID_NONE;
            bool inserted = false;
            TRY(table_insert_wait(w, v, shard_no, oc != NULL, oc != NULL ? oc->arbiters : NULL,
                                  oc != NULL ? oc->arbiter_count : 0, &inserted, &id, &conflict));
            if (inserted) {
                place.id = id;
                place.shard_no = shard_no;
                modify_set_system_columns(t, &w->row, id, shard_no);
                TRY(constraint_note_change(m, NULL, &w->row, &place, &place));
                return modify_return_wait(m, &w->row, child, result);
            }
        } else {
            TRY(conflict_wait(m, v, shard_no, child, &place, index, &retry, result));
        }
        if (!retry)
            return ERR_OK;
        TRY(run_rest_wait(m->run));
    }
}
