/*
 * Executions, runs and the calls that all nodes share. See exec_priv.h for what a run is.
 */
#include "core/settings.h"
#include "sql/exec/exec_priv.h"

/* ---- runs ---- */

static uint64_t work_mem_bytes(const struct session_env *env)
{
    const struct settings_view *v = env != NULL ? env->settings : NULL;
    return (uint64_t)setting_int(v, SET_work_mem) * 1024;
}

void run_make_shared(struct run *run)
{
    const struct plan *p = run->plan;
    if (p->cte_count > 0)
        run->ctes = ARENA_ARRAY(run->mem, struct cte_state, p->cte_count);
    if (p->work_table_count > 0)
        run->work_tables = ARENA_ARRAY(run->mem, struct work_table, p->work_table_count);
    if (p->subplan_count > 0)
        run->subplans = ARENA_ARRAY(run->mem, struct subplan_state, p->subplan_count);
}

void run_times_init(struct run *run)
{
    const struct plan *p = run->plan;
    run->times = ARENA_ARRAY(run->mem, uint64_t,
                             1 + (p != NULL ? p->exec_param_count + p->work_table_count : 0));
}

void run_param_set(struct run *run, uint32_t param, datum value, bool is_null)
{
    run->exec_params[param] = value;
    run->exec_param_nulls[param] = is_null;
    run->times[1 + param] = ++run->times[0];
}

bool node_is_current(const struct node *n, uint64_t made_at)
{
    for (uint32_t i = 0; i < n->code->depend_count; i++)
        if (n->run->times[1 + n->code->depends[i]] > made_at)
            return false;
    return true;
}

/* What a session's services do happens on the session's core only. */
static const struct sql_services no_services;

struct run *run_new_remote(const struct run *from, struct arena *mem, const datum *exec_params,
                           const bool *exec_param_nulls)
{
    struct run *run = ARENA_NEW(mem, struct run);
    run->exec = from->exec;
    run->plan = from->plan;
    run->mem = mem;
    struct session_env *env = ARENA_NEW(mem, struct session_env);
    if (from->env != NULL)
        *env = *from->env;
    env->services = (struct sql_services *)(uintptr_t)&no_services;
    run->env = env;
    run->params = from->params;
    run->param_nulls = from->param_nulls;
    run->param_count = from->param_count;
    run->work_mem = from->work_mem;
    uint32_t count = run->plan != NULL ? run->plan->exec_param_count : 0;
    if (count > 0) {
        run->exec_params = arena_memdup(mem, exec_params, sizeof(datum) * count);
        run->exec_param_nulls = arena_memdup(mem, exec_param_nulls, sizeof(bool) * count);
    }
    run_times_init(run);
    if (run->plan != NULL)
        run_make_shared(run);
    return run;
}

static SUSPENDS void close_node_wait(struct node *n)
{
    if (n->ops->close != NULL)
        n->ops->close(n);
}

SUSPENDS void run_end_wait(struct run *run)
{
    /* Fragments on other cores read memory of this run: they end first. */
    for (struct node *n = run->nodes; n != NULL; n = n->all_next)
        if (n->ops == &node_gather_ops)
            close_node_wait(n);
    for (struct node *n = run->nodes; n != NULL; n = n->all_next)
        if (n->ops != &node_gather_ops)
            close_node_wait(n);
    for (struct node *n = run->nodes; n != NULL; n = n->all_next) {
        arena_free(n->row_mem);
        n->row_mem = NULL;
    }
    run->nodes = NULL;
    while (run->stores != NULL)
        row_store_end_wait(run->stores);
}

void run_eval_init(struct run *run, struct eval *e)
{
    *e = (struct eval){
        .env = run->env,
        .mem = run->mem,
        .state_mem = run->mem,
        .params = run->params,
        .param_nulls = run->param_nulls,
        .param_count = run->param_count,
        .exec_params = run->exec_params,
        .exec_param_nulls = run->exec_param_nulls,
        .subplan_owner = run,
        .subplan = run->plan != NULL && run->plan->subplan_count > 0 ? subplan_eval : NULL,
    };
}

SUSPENDS err_t run_rest_wait(struct run *run)
{
    if (run->stop != NULL && atomic_load_explicit(run->stop, memory_order_relaxed))
        return err_raise(ERR_QUERY_CANCELED, "no more rows are wanted");
    return fiber_rest_wait();
}

void run_view_begin(struct run *run, uint32_t shard_no, bool writes, struct txn_view *out)
{
    if (run->txn != NULL) {
        *out = txn_view_make(run->txn, shard_no, writes);
        return;
    }
    *out = run->view;
    out->shard_no = shard_no;
    out->wrote = false;
    out->logged = false;
    out->observed = 0;
}

void run_view_end(struct run *run, uint32_t shard_no, const struct txn_view *view)
{
    if (run->txn != NULL) {
        txn_merge(run->txn, shard_no, view);
        return;
    }
    if (shard_no == run->shard_no) {
        run->view.wrote |= view->wrote;
        run->view.logged |= view->logged;
        run->view.observed = MAX(run->view.observed, view->observed);
        return;
    }
    ASSERT(run->extras != NULL);
    struct extra_view *x = &run->extras[shard_no];
    if (!x->used) {
        x->view = *view;
        x->used = true;
        return;
    }
    x->view.wrote |= view->wrote;
    x->view.logged |= view->logged;
    x->view.observed = MAX(x->view.observed, view->observed);
}

/* ---- nodes ---- */

void slot_init(struct slot *s, struct arena *mem, uint32_t count)
{
    s->count = count;
    s->values = ARENA_ARRAY(mem, datum, count + 1);
    s->nulls = ARENA_ARRAY(mem, bool, count + 1);
}

static const struct node_ops *ops_of(enum plan_kind kind)
{
    switch (kind) {
    case PLAN_RESULT:
        return &node_result_ops;
    case PLAN_SEQ_SCAN:
        return &node_seq_scan_ops;
    case PLAN_INDEX_SCAN:
        return &node_index_scan_ops;
    case PLAN_VALUES:
        return &node_values_ops;
    case PLAN_FUNCTION_SCAN:
        return &node_function_ops;
    case PLAN_VIRTUAL_SCAN:
        return &node_virtual_ops;
    case PLAN_CTE_SCAN:
        return &node_cte_ops;
    case PLAN_WORK_TABLE:
        return &node_work_table_ops;
    case PLAN_NESTED_LOOP:
        return &node_nested_loop_ops;
    case PLAN_HASH_JOIN:
        return &node_hash_join_ops;
    case PLAN_MERGE_JOIN:
        return &node_merge_join_ops;
    case PLAN_AGGREGATE:
        return &node_aggregate_ops;
    case PLAN_SORT:
        return &node_sort_ops;
    case PLAN_LIMIT:
        return &node_limit_ops;
    case PLAN_DISTINCT:
        return &node_distinct_ops;
    case PLAN_SET_OPERATION:
        return &node_set_operation_ops;
    case PLAN_APPEND:
        return &node_append_ops;
    case PLAN_RECURSIVE_UNION:
        return &node_recursive_ops;
    case PLAN_MATERIALIZE:
        return &node_materialize_ops;
    case PLAN_PROJECT_SET:
        return &node_project_set_ops;
    case PLAN_LOCK_ROWS:
        return &node_lock_rows_ops;
    case PLAN_MODIFY:
        return &node_modify_ops;
    case PLAN_GATHER:
        return &node_gather_ops;
    case PLAN_WINDOW:
        return &node_window_ops;
    }
    return NULL;
}

/* A node whose programs allocate nothing needs no memory of its own. */
static bool needs_row_memory(const struct node_code *c)
{
    return program_uses_memory(c->filter) || program_uses_memory(c->targets) ||
           program_uses_memory(c->condition) || program_uses_memory(c->outer_keys) ||
           program_uses_memory(c->inner_keys) || program_uses_memory(c->low) ||
           program_uses_memory(c->high) || c->lists != NULL || c->recheck != NULL ||
           c->aggregates != NULL;
}

SUSPENDS err_t node_new_wait(struct run *run, const struct plan_node *plan, struct node **out)
{
    TRY(fiber_check_stack());
    const struct node_ops *ops = ops_of(plan->kind);
    if (ops == NULL)
        return err_not_built("plan node of kind %d is not supported yet", (int)plan->kind);
    struct node *n = arena_zalloc(run->mem, ops->bytes);
    n->ops = ops;
    n->plan = plan;
    n->code = plan->code;
    n->run = run;
    n->all_next = run->nodes;
    run->nodes = n;
    run_eval_init(run, &n->eval);
    if (needs_row_memory(n->code)) {
        n->row_mem = arena_new();
        n->row_mark = arena_mark(n->row_mem);
        n->eval.mem = n->row_mem;
    }
    if (n->code->targets != NULL)
        slot_init(&n->out, run->mem, plan->target_count);
    /* The children of a gather run elsewhere. */
    if (plan->kind != PLAN_GATHER && plan->kind != PLAN_RECURSIVE_UNION) {
        if (plan->outer != NULL)
            TRY(node_new_wait(run, plan->outer, &n->outer));
        if (plan->inner != NULL)
            TRY(node_new_wait(run, plan->inner, &n->inner));
    }
    *out = n;
    return ops->open != NULL ? ops->open(n) : ERR_OK;
}

static SUSPENDS err_t measured_next_wait(struct node *n, const struct slot **row)
{
    struct plan_counter *c = &n->run->counters[n->plan->id];
    uint64_t start = core_now_precise_ns();
    err_t e = n->ops->next(n, row);
    double us = (double)(core_now_precise_ns() - start) / 1000;
    c->total_us += us;
    if (c->loops == 0) {
        c->loops = 1;
        c->first_row_us = c->total_us;
    }
    if (e == ERR_OK && *row != NULL)
        c->rows++;
    return e;
}

SUSPENDS err_t node_next_wait(struct node *n, const struct slot **row)
{
    TRY(fiber_check_stack());
    if (UNLIKELY(n->run->counters != NULL))
        return measured_next_wait(n, row);
    return n->ops->next(n, row);
}

SUSPENDS err_t node_rescan_wait(struct node *n)
{
    if (n->run->counters != NULL && n->run->counters[n->plan->id].loops > 0)
        n->run->counters[n->plan->id].loops++;
    return n->ops->rescan(n);
}

void node_row_begin(struct node *n)
{
    if (n->row_mem != NULL)
        arena_rewind(n->row_mem, n->row_mark);
}

SUSPENDS err_t node_filter_wait(struct node *n, bool *pass)
{
    *pass = true;
    if (n->code->filter == NULL)
        return ERR_OK;
    TRY(expr_eval_bool_wait(n->code->filter, &n->eval, pass));
    if (!*pass && n->run->counters != NULL)
        n->run->counters[n->plan->id].removed_by_filter++;
    return ERR_OK;
}

SUSPENDS err_t node_project_wait(struct node *n, const struct slot *plain, const struct slot **row)
{
    if (n->code->targets == NULL) {
        *row = plain;
        return ERR_OK;
    }
    TRY(expr_eval_list_wait(n->code->targets, &n->eval, n->out.values, n->out.nulls));
    *row = &n->out;
    return ERR_OK;
}

/* ---- executions ---- */

SUSPENDS err_t exec_start_wait(const struct exec_options *o, struct exec **out)
{
    const struct plan *plan = o->plan;
    TRY(code_compile_plan(plan));
    struct arena *mem = arena_new();
    struct exec *x = ARENA_NEW(mem, struct exec);
    struct run *run = &x->run;
    run->exec = x;
    run->origin = run;
    run->plan = plan;
    run->mem = mem;
    run->env = o->env;
    run->params = o->params;
    run->param_nulls = o->param_nulls;
    run->param_count = o->param_count;
    run->txn = o->txn;
    run->work_mem = work_mem_bytes(o->env);
    x->core = core_id();
    constraint_begin(x, o->constraints);
    if (plan->exec_param_count > 0) {
        run->exec_params = ARENA_ARRAY(mem, datum, plan->exec_param_count);
        run->exec_param_nulls = ARENA_ARRAY(mem, bool, plan->exec_param_count);
        memset(run->exec_param_nulls, true, plan->exec_param_count);
    }
    if (o->instrument)
        run->counters = ARENA_ARRAY(mem, struct plan_counter, plan->node_count + 1);
    run_times_init(run);
    run_make_shared(run);
    err_t e = node_new_wait(run, plan->root, &x->root);
    if (e != ERR_OK) {
        exec_end_wait(x);
        return e;
    }
    *out = x;
    return ERR_OK;
}

static bool has_modify(const struct plan_node *n)
{
    if (n == NULL)
        return false;
    if (n->kind == PLAN_MODIFY)
        return true;
    if (n->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < n->append.count; i++)
            if (has_modify(n->append.children[i]))
                return true;
    return has_modify(n->outer) || has_modify(n->inner);
}

/* WITH queries that change rows run whole and once: when they are read, or at the end. */
static SUSPENDS err_t finish_with_wait(struct exec *x)
{
    for (uint32_t i = 0; x->run.plan->modifies_in_with && i < x->run.plan->cte_count; i++)
        if (has_modify(x->run.plan->ctes[i]))
            TRY(cte_finish_wait(&x->run, i));
    return ERR_OK;
}

SUSPENDS err_t exec_next_wait(struct exec *x, const struct slot **row)
{
    if (x->is_done) {
        *row = NULL;
        return ERR_OK;
    }
    TRY(node_next_wait(x->root, row));
    if (*row == NULL) {
        TRY(finish_with_wait(x));
        TRY(constraint_finish_wait(x));
        x->is_done = true;
    } else {
        x->rows_returned++;
    }
    return ERR_OK;
}

uint64_t exec_row_count(const struct exec *x)
{
    return x->run.plan->command == CMD_SELECT ? x->rows_returned : x->run.rows_modified;
}

const struct plan_counter *exec_counters(const struct exec *x)
{
    return x->run.counters;
}

SUSPENDS void exec_end_wait(struct exec *x)
{
    if (x == NULL)
        return;
    fiber_shield_begin();
    run_end_wait(&x->run);
    fiber_shield_end();
    constraint_end(x);
    arena_free(x->run.mem);
}
