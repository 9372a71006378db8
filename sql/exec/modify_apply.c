/*
 * One row of INSERT, UPDATE or DELETE on the shard that has it (or gets it): locking, the read
 * committed re-check, RETURNING (INSERT: modify_conflict.c). Runs as the shard's owner, called by
 * the local form of PLAN_MODIFY inside of a fragment and by the workers of the routed form.
 */
#include "sql/exec/exec_priv.h"

err_t modify_init(struct modify *m, struct run *run, const struct plan_node *plan)
{
    const struct plan_table *t = plan->modify.table;
    *m = (struct modify){.plan = plan, .code = plan->code, .run = run};
    table_write_init(&m->write, run, t);
    m->row_mem = arena_new();
    m->row_mark = arena_mark(m->row_mem);
    m->write.eval.mem = m->row_mem;
    run_eval_init(run, &m->eval);
    m->eval.mem = m->row_mem;
    m->returns = plan->modify.returning_count > 0;
    slot_init(&m->returned, run->mem, plan->modify.returning_count);
    m->changed = ARENA_ARRAY(run->mem, bool, t->column_count + 1);
    uint32_t sets = plan->modify.set_count;
    for (uint32_t i = 0; i < sets; i++)
        m->changed[plan->modify.set_attnos[i] - 1] = true;
    if (plan->modify.on_conflict != NULL) {
        sets = MAX(sets, plan->modify.on_conflict->set_count);
        slot_init(&m->excluded, run->mem, t->column_count + 3);
        for (uint32_t i = 0; i < plan->modify.on_conflict->set_count; i++)
            m->changed[plan->modify.on_conflict->set_attnos[i] - 1] = true;
    }
    slot_init(&m->set, run->mem, sets);
    constraint_watch_init(m);
    return ERR_OK;
}

void modify_end(struct modify *m)
{
    arena_free(m->row_mem);
    m->row_mem = NULL;
}

void modify_set_system_columns(const struct plan_table *t, struct slot *row, row_id id,
                               uint32_t shard_no)
{
    datum *system = row->values + t->column_count;
    system[0] = datum_of_i64((int64_t)id);
    system[1] = datum_of_oid(t->oid);
    system[2] = datum_of_i32((int32_t)shard_no);
}

SUSPENDS err_t modify_return_wait(struct modify *m, const struct slot *row,
                                  const struct slot *child, enum modify_result *result)
{
    *result = MODIFY_DONE;
    if (!m->returns)
        return ERR_OK;
    m->eval.inputs[0] = row;
    m->eval.inputs[1] = child;
    return expr_eval_list_wait(m->code->returning, &m->eval, m->returned.values, m->returned.nulls);
}

/* A key column of a unique index may change: the strong lock. */
enum row_lock_mode modify_lock_mode(const struct modify *m)
{
    const struct plan_table *t = m->plan->modify.table;
    for (uint32_t i = 0; i < t->column_count; i++)
        if (m->changed[i] && t->code->in_unique[i])
            return LOCK_UPDATE;
    return LOCK_NO_KEY_UPDATE;
}

/* ---- moving a row to another shard ---- */

struct move_call {
    const struct run *from;
    const struct plan_table *table;
    uint32_t shard_no;
    struct txn_view view;
    const struct slot *row;
    struct extra_view *extras;
    struct key_doubt *doubts; /* out, the caller's */
    uint32_t doubt_count;
    row_id id;
};

static SUSPENDS err_t move_run_wait(void *arg)
{
    struct move_call *c = arg;
    struct arena *mem = arena_new();
    struct run run = {.mem = mem,
                      .env = c->from->env,
                      .on_shard = true,
                      .shard_no = c->shard_no,
                      .view = c->view,
                      .extras = c->extras};
    struct table_write *w = ARENA_NEW(mem, struct table_write);
    table_write_init(w, &run, c->table);
    memcpy(w->row.values, c->row->values, sizeof(datum) * c->row->count);
    memcpy(w->row.nulls, c->row->nulls, sizeof(bool) * c->row->count);
    bool inserted = false;
    row_id conflict = ROW_ID_NONE;
    err_t e =
        table_insert_wait(w, &run.view, c->shard_no, false, NULL, 0, &inserted, &c->id, &conflict);
    c->view = run.view;
    c->doubt_count = w->doubt_count;
    memcpy(c->doubts, w->doubts, sizeof(*w->doubts) * w->doubt_count);
    arena_free(mem);
    return e;
}

static SUSPENDS err_t insert_elsewhere_wait(struct modify *m, uint32_t shard_no, row_id *id)
{
    struct run *run = m->run;
    struct move_call c = {.from = run,
                          .table = m->plan->modify.table,
                          .shard_no = shard_no,
                          .row = &m->write.row,
                          .doubts = m->write.doubts};
    /* Map rows that the insertion writes on further shards. */
    c.extras = ARENA_ARRAY(m->row_mem, struct extra_view, shard_count());
    run_view_begin(run, shard_no, true, &c.view);
    err_t e = core_call_wait(shard_core(shard_no), move_run_wait, &c);
    run_view_end(run, shard_no, &c.view);
    for (uint32_t i = 0; i < shard_count(); i++)
        if (c.extras[i].used)
            run_view_end(run, i, &c.extras[i].view);
    m->write.doubt_count = c.doubt_count;
    *id = c.id;
    return e;
}

/* ---- UPDATE and DELETE ---- */

/* Locks the row and reads its newest version into write.old. */
SUSPENDS err_t modify_lock_row_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                    row_id id, enum row_lock_mode mode,
                                    enum row_lock_result *result)
{
    struct table_write *w = &m->write;
    const struct plan_table *t = w->table;
    ts_t crosscheck = m->run->exec != NULL ? m->run->exec->crosscheck : 0;
    ts_t seen = v->snapshot;
    if (crosscheck != 0)
        v->snapshot = crosscheck;
    err_t e =
        row_lock_wait(shard_local(shard_no), v, t->file, id, mode, LOCK_WAIT, result, &w->newest);
    v->snapshot = seen;
    TRY(e);
    if (*result == ROW_LOCKED || *result == ROW_LOCKED_CHANGED) {
        table_decode(t, w->newest.data, t->column_count, w->old.values, w->old.nulls);
        modify_set_system_columns(t, &w->old, id, shard_no);
    }
    return ERR_OK;
}

/* The row changed while we waited: does it still qualify? */
static SUSPENDS err_t recheck_wait(struct modify *m, const struct slot *child, bool *pass)
{
    *pass = true;
    m->eval.inputs[0] = &m->write.old;
    m->eval.inputs[1] = child;
    if (m->code->recheck == NULL)
        return ERR_OK;
    return expr_eval_bool_wait(m->code->recheck, &m->eval, pass);
}

SUSPENDS err_t modify_update_row_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                      row_id *id)
{
    struct table_write *w = &m->write;
    TRY(table_check_wait(w));
    uint32_t to = shard_no;
    struct row_place from = {.shard_no = shard_no, .id = *id};
    if (w->table->distribution == DISTRIBUTED_HASH &&
        (m->plan->modify.changes_shard_key || m->plan->modify.on_conflict != NULL))
        to = table_row_shard(w->table, w->row.values, w->row.nulls);
    if (to == shard_no) {
        TRY(table_update_wait(w, v, shard_no, *id, m->changed));
        return constraint_note_change(m, &w->old, &w->row, &from, &from);
    }
    TRY(table_delete_wait(w, v, shard_no, *id));
    TRY(insert_elsewhere_wait(m, to, id));
    modify_set_system_columns(w->table, &w->row, *id, to);
    struct row_place moved = {.shard_no = to, .id = *id};
    return constraint_note_change(m, &w->old, &w->row, &from, &moved);
}

void modify_copy_old_row(struct table_write *w)
{
    memcpy(w->row.values, w->old.values, sizeof(datum) * w->row.count);
    memcpy(w->row.nulls, w->old.nulls, sizeof(bool) * w->row.count);
}

static SUSPENDS err_t update_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                  const struct slot *child, enum modify_result *result)
{
    const struct plan_node *p = m->plan;
    struct table_write *w = &m->write;
    row_id id = (row_id)child->values[p->modify.row_id_column];
    enum row_lock_result locked;
    TRY(modify_lock_row_wait(m, v, shard_no, id, modify_lock_mode(m), &locked));
    if (locked != ROW_LOCKED && locked != ROW_LOCKED_CHANGED)
        return ERR_OK;
    const datum *values = child->values + p->modify.first_set;
    const bool *nulls = child->nulls + p->modify.first_set;
    if (locked == ROW_LOCKED_CHANGED) {
        bool pass = false;
        TRY(recheck_wait(m, child, &pass));
        if (!pass)
            return ERR_OK;
        if (m->code->recheck_set != NULL) {
            TRY(expr_eval_list_wait(m->code->recheck_set, &m->eval, m->set.values, m->set.nulls));
            values = m->set.values;
            nulls = m->set.nulls;
        }
    }
    modify_copy_old_row(w);
    for (uint32_t i = 0; i < p->modify.set_count; i++) {
        uint32_t column = (uint32_t)p->modify.set_attnos[i] - 1;
        w->row.values[column] = values[i];
        w->row.nulls[column] = nulls[i];
    }
    TRY(modify_update_row_wait(m, v, shard_no, &id));
    return modify_return_wait(m, &w->row, child, result);
}

static SUSPENDS err_t delete_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                  const struct slot *child, enum modify_result *result)
{
    struct table_write *w = &m->write;
    row_id id = (row_id)child->values[m->plan->modify.row_id_column];
    enum row_lock_result locked;
    TRY(modify_lock_row_wait(m, v, shard_no, id, LOCK_UPDATE, &locked));
    if (locked != ROW_LOCKED && locked != ROW_LOCKED_CHANGED)
        return ERR_OK;
    if (locked == ROW_LOCKED_CHANGED) {
        bool pass = false;
        TRY(recheck_wait(m, child, &pass));
        if (!pass)
            return ERR_OK;
    }
    TRY(table_delete_wait(w, v, shard_no, id));
    struct row_place place = {.shard_no = shard_no, .id = id};
    TRY(constraint_note_change(m, &w->old, NULL, &place, &place));
    return modify_return_wait(m, &w->old, child, result);
}

SUSPENDS err_t modify_apply_wait(struct modify *m, struct txn_view *v, uint32_t shard_no,
                                 const struct slot *child, enum modify_result *result)
{
    *result = MODIFY_SKIPPED;
    arena_rewind(m->row_mem, m->row_mark);
    switch (m->plan->modify.command) {
    case CMD_INSERT:
        return modify_insert_wait(m, v, shard_no, child, result);
    case CMD_UPDATE:
        return update_wait(m, v, shard_no, child, result);
    case CMD_DELETE:
        return delete_wait(m, v, shard_no, child, result);
    case CMD_SELECT:
    case CMD_UTILITY:
        break;
    }
    return err_raise(ERR_INTERNAL_ERROR, "modification of kind %d", (int)m->plan->modify.command);
}
