/*
 * Nodes without stored input: RESULT (one row, or the child's rows through targets and filter),
 * VALUES, function scans, projection with set-returning functions.
 */
#include "sql/exec/exec_priv.h"

static const struct slot empty_slot;

/* ---- RESULT ---- */

struct result_node {
    struct node node;
    bool is_done;
};

static SUSPENDS err_t result_next_wait(struct node *n, const struct slot **row)
{
    struct result_node *r = (struct result_node *)n;
    *row = NULL;
    for (;;) {
        const struct slot *in = &empty_slot;
        if (n->outer != NULL) {
            TRY(node_next_wait(n->outer, &in));
            if (in == NULL)
                return ERR_OK;
        } else {
            if (r->is_done)
                return ERR_OK;
            r->is_done = true;
        }
        node_row_begin(n);
        n->eval.inputs[0] = in;
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, in, row);
        if (n->outer != NULL)
            TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t result_rescan_wait(struct node *n)
{
    ((struct result_node *)n)->is_done = false;
    return n->outer != NULL ? node_rescan_wait(n->outer) : ERR_OK;
}

const struct node_ops node_result_ops = {
    .bytes = sizeof(struct result_node),
    .next = result_next_wait,
    .rescan = result_rescan_wait,
};

/* ---- VALUES ---- */

struct values_node {
    struct node node;
    struct slot row;
    uint32_t at;
};

static SUSPENDS err_t values_open_wait(struct node *n)
{
    struct values_node *v = (struct values_node *)n;
    slot_init(&v->row, n->run->mem, n->code->group_count);
    n->eval.inputs[0] = &v->row;
    return ERR_OK;
}

static SUSPENDS err_t values_next_wait(struct node *n, const struct slot **row)
{
    struct values_node *v = (struct values_node *)n;
    while (v->at < n->plan->values.row_count) {
        node_row_begin(n);
        TRY(expr_eval_list_wait(n->code->lists[v->at++], &n->eval, v->row.values, v->row.nulls));
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &v->row, row);
        TRY(run_rest_wait(n->run));
    }
    *row = NULL;
    return ERR_OK;
}

static SUSPENDS err_t values_rescan_wait(struct node *n)
{
    ((struct values_node *)n)->at = 0;
    return ERR_OK;
}

const struct node_ops node_values_ops = {
    .bytes = sizeof(struct values_node),
    .open = values_open_wait,
    .next = values_next_wait,
    .rescan = values_rescan_wait,
};

/* ---- calls of set-returning functions ---- */

struct set_call {
    const struct expr *expr;
    const struct program *args; /* of a plain expression: the expression itself */
    bool is_set;
    uint32_t column_count;
    bool is_running;
    bool is_done;
    struct call call;
    void *state;
    void *call_state;
    datum *arg_values;
    bool *arg_nulls;
    oid *arg_types;
    struct arena *arg_mem; /* arguments and the function's state */
    struct arena *row_mem; /* its current row */
    datum *values;         /* of its current row */
    bool *nulls;
};

static err_t set_call_init(struct node *n, struct set_call *s, const struct expr *e,
                           const struct program *args)
{
    struct arena *mem = n->run->mem;
    s->expr = e;
    s->args = args;
    s->is_set = e->kind == EXPR_CALL && e->func != NULL && e->func->returns_set;
    s->column_count = 1;
    if (s->is_set) {
        if (e->func->set_function == NULL)
            return err_not_built("set-returning function %s is not supported yet", e->func->name);
        s->column_count = e->func->set_function->column_count;
        s->arg_types = ARENA_ARRAY(mem, oid, e->arg_count + 1);
        for (uint32_t i = 0; i < e->arg_count; i++)
            s->arg_types[i] = e->args[i]->type;
        s->arg_values = ARENA_ARRAY(mem, datum, e->arg_count + 1);
        s->arg_nulls = ARENA_ARRAY(mem, bool, e->arg_count + 1);
    }
    s->column_count = MAX(s->column_count, 1u);
    s->values = ARENA_ARRAY(mem, datum, s->column_count);
    s->nulls = ARENA_ARRAY(mem, bool, s->column_count);
    s->arg_mem = arena_new();
    s->row_mem = arena_new();
    return ERR_OK;
}

static void set_call_end(struct set_call *s)
{
    arena_free(s->arg_mem);
    arena_free(s->row_mem);
    s->arg_mem = NULL;
    s->row_mem = NULL;
}

static SUSPENDS err_t set_call_begin_wait(struct node *n, struct set_call *s)
{
    const struct expr *e = s->expr;
    arena_reset(s->arg_mem);
    s->is_running = true;
    s->is_done = false;
    s->state = NULL;
    s->call_state = NULL;
    struct arena *row_mem = n->eval.mem;
    n->eval.mem = s->arg_mem;
    if (!s->is_set) {
        err_t err = expr_eval_wait(s->args, &n->eval, &s->values[0], &s->nulls[0]);
        n->eval.mem = row_mem;
        return err;
    }
    err_t err = expr_eval_list_wait(s->args, &n->eval, s->arg_values, s->arg_nulls);
    n->eval.mem = row_mem;
    TRY(err);
    if (e->func->strict)
        for (uint32_t i = 0; i < e->arg_count; i++)
            if (s->arg_nulls[i])
                s->is_done = true;
    s->call = (struct call){.func = e->func,
                            .env = n->run->env,
                            .mem = s->arg_mem,
                            .state_mem = s->arg_mem,
                            .state = &s->call_state,
                            .arg_types = s->arg_types,
                            .result_type = e->type,
                            .typmod = e->typmod,
                            .collation = e->collation,
                            .arg_count = e->arg_count,
                            .args = s->arg_values,
                            .nulls = s->arg_nulls};
    if (!s->is_done)
        TRY(e->func->set_function->begin(&s->call, &s->state));
    return ERR_OK;
}

/* The next row into values; is_done when there is none. */
static SUSPENDS err_t set_call_next_wait(struct set_call *s)
{
    if (s->is_done)
        return ERR_OK;
    if (!s->is_set) {
        s->is_done = !s->is_running;
        s->is_running = false;
        return ERR_OK;
    }
    bool end = false;
    memset(s->nulls, 0, s->column_count);
    s->call.mem = s->row_mem;
    arena_reset(s->row_mem);
    TRY(s->expr->func->set_function->next(&s->call, s->state, s->values, s->nulls, &end));
    s->is_done = end;
    return ERR_OK;
}

/* ---- function scan ---- */

struct function_node {
    struct node node;
    struct slot row;
    struct set_call *calls;
    bool is_started;
    int64_t ordinal;
};

static SUSPENDS err_t function_open_wait(struct node *n)
{
    struct function_node *f = (struct function_node *)n;
    uint32_t count = n->plan->function.call_count;
    uint32_t columns = n->plan->function.ordinality;
    f->calls = ARENA_ARRAY(n->run->mem, struct set_call, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        TRY(set_call_init(n, &f->calls[i], n->plan->function.calls[i], n->code->lists[i]));
        columns += f->calls[i].column_count;
    }
    slot_init(&f->row, n->run->mem, columns);
    n->eval.inputs[0] = &f->row;
    return ERR_OK;
}

static SUSPENDS err_t function_row_wait(struct function_node *f, bool *found)
{
    struct node *n = &f->node;
    uint32_t count = n->plan->function.call_count;
    if (!f->is_started) {
        f->is_started = true;
        f->ordinal = 0;
        for (uint32_t i = 0; i < count; i++)
            TRY(set_call_begin_wait(n, &f->calls[i]));
    }
    *found = false;
    uint32_t column = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct set_call *s = &f->calls[i];
        TRY(set_call_next_wait(s));
        *found |= !s->is_done;
        for (uint32_t k = 0; k < s->column_count; k++, column++) {
            f->row.nulls[column] = s->is_done || s->nulls[k];
            f->row.values[column] = s->is_done ? 0 : s->values[k];
        }
    }
    if (n->plan->function.ordinality) {
        f->row.values[column] = datum_of_i64(++f->ordinal);
        f->row.nulls[column] = false;
    }
    return ERR_OK;
}

static SUSPENDS err_t function_next_wait(struct node *n, const struct slot **row)
{
    struct function_node *f = (struct function_node *)n;
    for (;;) {
        bool found = false;
        TRY(function_row_wait(f, &found));
        if (!found) {
            *row = NULL;
            return ERR_OK;
        }
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &f->row, row);
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t function_rescan_wait(struct node *n)
{
    ((struct function_node *)n)->is_started = false;
    return ERR_OK;
}

static SUSPENDS void function_close_wait(struct node *n)
{
    struct function_node *f = (struct function_node *)n;
    for (uint32_t i = 0; f->calls != NULL && i < n->plan->function.call_count; i++) {
        set_call_end(&f->calls[i]);
    }
}

const struct node_ops node_function_ops = {
    .bytes = sizeof(struct function_node),
    .open = function_open_wait,
    .next = function_next_wait,
    .rescan = function_rescan_wait,
    .close = function_close_wait,
};

/* ---- set-returning functions in targets: run in lockstep, short ones padded with NULL ---- */

struct project_set_node {
    struct node node;
    struct set_call *calls;
    struct slot sets;      /* slot 1: results of the calls */
    const struct slot *in; /* NULL: the next one is to be fetched */
    bool is_done;          /* without a child: its one row is finished */
};

static SUSPENDS err_t project_set_open_wait(struct node *n)
{
    struct project_set_node *p = (struct project_set_node *)n;
    uint32_t count = n->code->set_call_count;
    p->calls = ARENA_ARRAY(n->run->mem, struct set_call, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        TRY(set_call_init(n, &p->calls[i], n->code->set_calls[i], n->code->lists[i]));
        if (p->calls[i].column_count > 1)
            return err_not_built("record-returning functions in the target list are not "
                                 "supported yet");
    }
    slot_init(&p->sets, n->run->mem, count);
    n->eval.inputs[1] = &p->sets;
    return ERR_OK;
}

static SUSPENDS err_t project_set_row_wait(struct project_set_node *p, bool *found)
{
    struct node *n = &p->node;
    *found = n->code->set_call_count == 0;
    for (uint32_t i = 0; i < n->code->set_call_count; i++) {
        struct set_call *s = &p->calls[i];
        TRY(set_call_next_wait(s));
        *found |= !s->is_done;
        p->sets.nulls[i] = s->is_done || s->nulls[0];
        p->sets.values[i] = s->is_done ? 0 : s->values[0];
    }
    return ERR_OK;
}

static SUSPENDS err_t project_set_next_wait(struct node *n, const struct slot **row)
{
    struct project_set_node *p = (struct project_set_node *)n;
    *row = NULL;
    for (;;) {
        if (p->in == NULL) {
            if (p->is_done)
                return ERR_OK;
            p->in = &empty_slot;
            if (n->outer != NULL)
                TRY(node_next_wait(n->outer, &p->in));
            if (p->in == NULL) {
                p->is_done = true;
                return ERR_OK;
            }
            n->eval.inputs[0] = p->in;
            for (uint32_t i = 0; i < n->code->set_call_count; i++)
                TRY(set_call_begin_wait(n, &p->calls[i]));
        }
        bool found = false;
        TRY(project_set_row_wait(p, &found));
        if (!found || n->code->set_call_count == 0) {
            p->in = NULL;
            p->is_done = n->outer == NULL;
        }
        if (found) {
            node_row_begin(n);
            bool pass = true;
            TRY(node_filter_wait(n, &pass));
            if (pass)
                return node_project_wait(n, &p->sets, row);
        }
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t project_set_rescan_wait(struct node *n)
{
    ((struct project_set_node *)n)->in = NULL;
    ((struct project_set_node *)n)->is_done = false;
    return n->outer != NULL ? node_rescan_wait(n->outer) : ERR_OK;
}

static SUSPENDS void project_set_close_wait(struct node *n)
{
    struct project_set_node *p = (struct project_set_node *)n;
    for (uint32_t i = 0; p->calls != NULL && i < n->code->set_call_count; i++) {
        set_call_end(&p->calls[i]);
    }
}

const struct node_ops node_project_set_ops = {
    .bytes = sizeof(struct project_set_node),
    .open = project_set_open_wait,
    .next = project_set_next_wait,
    .rescan = project_set_rescan_wait,
    .close = project_set_close_wait,
};
