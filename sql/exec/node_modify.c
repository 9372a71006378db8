/*
 * PLAN_MODIFY: local (inside of a fragment, on its shard, row by row) or routed (on the session's
 * core: child rows are collected per shard and sent to workers, all shards at work at once;
 * RETURNING rows come back in the child's order).
 */
#include "sql/exec/exec_priv.h"

enum { NOTES_BYTES = 64 * 1024 }; /* of foreign keys, before they are looked at */

struct modify_node {
    struct node node;
    struct modify local;
    bool is_local;
    /* routed */
    struct worker **workers; /* by shard, made when first needed */
    uint32_t worker_count;
    struct slot row; /* a returned one */
    uint32_t number; /* of the next child row in this round */
    uint64_t order;  /* in the whole statement */
    /* ON CONFLICT with a key that may be on any shard: rows are worked off in their order, one
     * shard after the other, so that the first of several with one key is the one that goes in */
    bool is_serial;
    uint32_t serial_shard; /* whose rows this round sends */
    uint32_t next_shard;   /* whose first row has come already; UINT32_MAX */
    bool child_ended;
};

static SUSPENDS err_t modify_open_wait(struct node *n)
{
    struct modify_node *m = (struct modify_node *)n;
    m->is_local = n->plan->modify.local;
    if (m->is_local) {
        if (!n->run->on_shard)
            return err_raise(ERR_INTERNAL_ERROR, "local modification outside of a fragment");
        return modify_init(&m->local, n->run, n->plan);
    }
    if (n->run->txn == NULL)
        return err_raise(ERR_INTERNAL_ERROR, "routed modification inside of a remote fragment");
    for (uint32_t i = 0; i < n->code->subplan_count; i++)
        if (n->run->plan->subplans[n->code->subplans[i]].code->has_gather)
            TRY(subplan_prepare_wait(&n->run->exec->run, n->code->subplans[i]));
    m->is_serial = n->plan->modify.on_conflict != NULL && n->plan->modify.table->code->has_map;
    m->next_shard = UINT32_MAX;
    m->worker_count = shard_count();
    m->workers = ARENA_ARRAY(n->run->mem, struct worker *, m->worker_count);
    slot_init(&m->row, n->run->mem, n->plan->modify.returning_count);
    return ERR_OK;
}

static SUSPENDS err_t local_next_wait(struct modify_node *m, const struct slot **row)
{
    struct node *n = &m->node;
    struct run *run = n->run;
    for (;;) {
        const struct slot *in = NULL;
        *row = NULL;
        TRY(node_next_wait(n->outer, &in));
        if (in == NULL)
            return ERR_OK;
        enum modify_result result = MODIFY_SKIPPED;
        m->local.order = run->rows_modified;
        TRY(modify_apply_wait(&m->local, &run->view, run->shard_no, in, &result));
        if (m->local.is_watching && run->txn != NULL && run->notes->len >= NOTES_BYTES) {
            TRY(constraint_take_notes(run->exec, run->notes));
            TRY(constraint_relieve_wait(run->exec));
        }
        if (result == MODIFY_DONE) {
            run->rows_modified++;
            if (m->local.returns) {
                *row = &m->local.returned;
                return ERR_OK;
            }
        }
        TRY(run_rest_wait(run));
    }
}

/* ---- routed ---- */

static err_t row_shard(struct modify_node *m, const struct slot *in, uint32_t *out)
{
    const struct plan_node *p = m->node.plan;
    const struct plan_table *t = p->modify.table;
    if (p->modify.command == CMD_INSERT) {
        if (in->count < t->column_count)
            return err_raise(ERR_INTERNAL_ERROR, "row for \"%s\" has too few columns", t->name);
        *out = table_row_shard(t, in->values, in->nulls);
        return ERR_OK;
    }
    int64_t shard_no = datum_i64(in->values[p->modify.shard_column]);
    if (in->nulls[p->modify.shard_column] || shard_no < 0 || shard_no >= (int64_t)m->worker_count)
        return err_raise(ERR_INTERNAL_ERROR, "row without a shard");
    *out = (uint32_t)shard_no;
    return ERR_OK;
}

static err_t add_to_worker(struct modify_node *m, uint32_t shard_no, const struct slot *in,
                           bool *is_full)
{
    struct node *n = &m->node;
    if (m->workers[shard_no] == NULL) {
        m->workers[shard_no] = ARENA_NEW(n->run->mem, struct worker);
        worker_init(m->workers[shard_no], n->run, n->plan, n->outer->code->layout, shard_no);
    }
    TRY(worker_add(m->workers[shard_no], in->values, in->nulls, m->number, m->order));
    *is_full |= worker_is_full(m->workers[shard_no]);
    return ERR_OK;
}

/* A round: child rows until one shard has a full batch or the child ends. */
static SUSPENDS err_t collect_wait(struct modify_node *m)
{
    struct node *n = &m->node;
    const struct plan_table *t = n->plan->modify.table;
    bool is_copied =
        n->plan->modify.command == CMD_INSERT && t->distribution == DISTRIBUTED_REPLICATED;
    if (!m->is_serial)
        m->number = 0;
    m->serial_shard = m->next_shard;
    m->next_shard = UINT32_MAX;
    for (bool is_full = false; !is_full;) {
        const struct slot *in = NULL;
        TRY(node_next_wait(n->outer, &in));
        if (in == NULL) {
            m->child_ended = true;
            return ERR_OK;
        }
        if (n->plan->modify.command != CMD_INSERT && in->nulls[n->plan->modify.row_id_column])
            continue; /* an outer join found no row of the target */
        uint32_t shard_no = 0;
        TRY(row_shard(m, in, &shard_no));
        if (is_copied)
            for (uint32_t i = 0; i < m->worker_count; i++)
                TRY(add_to_worker(m, i, in, &is_full));
        else
            TRY(add_to_worker(m, shard_no, in, &is_full));
        m->number++;
        m->order++;
        if (m->is_serial && m->serial_shard == UINT32_MAX)
            m->serial_shard = shard_no;
        if (m->is_serial && m->serial_shard != shard_no) {
            m->next_shard = shard_no;
            return ERR_OK;
        }
        TRY(run_rest_wait(n->run));
    }
    return ERR_OK;
}

/* Every shard's batch at once: the remote ones first, then this core's. All are joined, also after
 * an error, so that none runs on. */
static SUSPENDS err_t send_wait(struct modify_node *m)
{
    struct run *run = m->node.run;
    const struct plan_table *t = m->node.plan->modify.table;
    err_t first = ERR_OK;
    struct diag *diag = NULL;
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < m->worker_count; i++) {
            struct worker *w = m->workers[i];
            if (w == NULL || w->counts[w->collecting] == 0 ||
                (m->is_serial && i != m->serial_shard) || (w->core == core_id()) != (pass == 1) ||
                first != ERR_OK)
                continue;
            first = worker_start_wait(run, w);
        }
    if (first != ERR_OK) {
        diag = arena_alloc(run->mem, sizeof(*diag));
        diag_copy(diag, err_diag());
    }
    bool is_counted = false;
    for (uint32_t i = 0; i < m->worker_count; i++) {
        struct worker *w = m->workers[i];
        if (w == NULL)
            continue;
        err_t e = worker_join_wait(run, w);
        if (e != ERR_OK && first == ERR_OK) {
            first = e;
            diag = arena_alloc(run->mem, sizeof(*diag));
            diag_copy(diag, err_diag());
        }
        if (t->distribution != DISTRIBUTED_REPLICATED || !is_counted)
            run->rows_modified += w->rows_modified;
        else
            w->results_len = 0;
        is_counted = true;
        w->rows_modified = 0;
    }
    if (first == ERR_OK)
        first = constraint_relieve_wait(run->exec);
    return diag != NULL ? err_adopt(diag) : first;
}

/* The returned row with the lowest number. */
static bool next_result(struct modify_node *m)
{
    struct worker *best = NULL;
    uint32_t best_number = UINT32_MAX;
    for (uint32_t i = 0; i < m->worker_count; i++) {
        struct worker *w = m->workers[i];
        if (w == NULL || w->results_at >= w->results_len)
            continue;
        uint32_t number = load_u32(w->results + w->results_at + 4);
        if (best == NULL || number < best_number) {
            best = w;
            best_number = number;
        }
    }
    if (best == NULL)
        return false;
    const uint8_t *row = best->results + best->results_at;
    best->results_at += 8 + (((size_t)load_u32(row) + 7) & ~(size_t)7);
    row_decode(m->node.code->layout, row + 8, 0, m->row.count, m->row.values, m->row.nulls);
    return true;
}

static void last_serial_round(struct modify_node *m)
{
    m->serial_shard = m->next_shard;
    m->next_shard = UINT32_MAX;
}

static SUSPENDS err_t routed_next_wait(struct modify_node *m, const struct slot **row)
{
    *row = NULL;
    for (;;) {
        if (m->row.count > 0 && next_result(m)) {
            *row = &m->row;
            return ERR_OK;
        }
        if (m->child_ended && m->next_shard == UINT32_MAX)
            return ERR_OK;
        if (!m->child_ended)
            TRY(collect_wait(m));
        else
            last_serial_round(m);
        TRY(send_wait(m));
    }
}

static SUSPENDS err_t modify_next_wait(struct node *n, const struct slot **row)
{
    struct modify_node *m = (struct modify_node *)n;
    return m->is_local ? local_next_wait(m, row) : routed_next_wait(m, row);
}

static SUSPENDS err_t modify_rescan_wait(struct node *n)
{
    ((struct modify_node *)n)->child_ended = false;
    return node_rescan_wait(n->outer);
}

static SUSPENDS void modify_close_wait(struct node *n)
{
    struct modify_node *m = (struct modify_node *)n;
    modify_end(&m->local);
    for (uint32_t i = 0; m->workers != NULL && i < m->worker_count; i++)
        if (m->workers[i] != NULL)
            worker_close_wait(n->run, m->workers[i]);
    m->workers = NULL;
}

const struct node_ops node_modify_ops = {
    .bytes = sizeof(struct modify_node),
    .open = modify_open_wait,
    .next = modify_next_wait,
    .rescan = modify_rescan_wait,
    .close = modify_close_wait,
};
