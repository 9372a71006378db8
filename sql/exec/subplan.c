/*
 * Subqueries inside expressions.
 *
 * An uncorrelated one runs once; its result is kept and does not change any more, so fragments on
 * other cores read it in place (a gather runs it before it starts them). A correlated one runs
 * again for each evaluation, after its exec params were set. Where the expression is evaluated in a
 * remote fragment and the subquery itself has gathers, the fragment asks the session's core, which
 * runs it in a run of its own and hands back the rows.
 */
#include "sql/exec/exec_priv.h"

struct rows { /* a subquery's result, one way or the other */
    const struct plan_subplan *plan;
    struct node *node; /* running one; NULL: rows kept as bytes */
    uint8_t **kept;
    uint32_t kept_count;
    uint32_t at;
    struct slot slot;
};

static void rows_init_kept(struct rows *r, const struct plan_subplan *p, struct arena *mem,
                           uint8_t **kept, uint32_t count)
{
    *r = (struct rows){.plan = p, .kept = kept, .kept_count = count};
    slot_init(&r->slot, mem, p->root->code->type_count);
}

static SUSPENDS err_t rows_next_wait(struct rows *r, const struct slot **row)
{
    if (r->node != NULL)
        return node_next_wait(r->node, row);
    *row = NULL;
    if (r->at < r->kept_count) {
        row_decode(r->plan->root->code->layout, r->kept[r->at++], 0, r->slot.count, r->slot.values,
                   r->slot.nulls);
        *row = &r->slot;
    }
    return ERR_OK;
}

/* ---- what each kind of subquery makes of the rows ---- */

static void set_columns(struct run *run, const struct plan_subplan *p, const struct slot *row)
{
    for (uint32_t i = 0; i < p->column_count && i < row->count; i++)
        run_param_set(run, p->first_param + i, row->values[i], row->nulls[i]);
}

static SUSPENDS err_t test_rows_wait(struct run *run, struct rows *r, struct eval *e, datum *out,
                                     bool *is_null)
{
    const struct plan_subplan *p = r->plan;
    bool is_all = p->subkind == SUBQUERY_ALL;
    bool any_null = false;
    if (p->code->test == NULL)
        return err_raise(ERR_INTERNAL_ERROR, "subquery without a test");
    for (;;) {
        const struct slot *row = NULL;
        TRY(rows_next_wait(r, &row));
        if (row == NULL)
            break;
        set_columns(run, p, row);
        datum value = 0;
        bool null = true;
        TRY(expr_eval_wait(p->code->test, e, &value, &null));
        if (null) {
            any_null = true;
        } else if (datum_bool(value) != is_all) {
            *out = !is_all;
            *is_null = false;
            return ERR_OK;
        }
        TRY(run_rest_wait(run));
    }
    *out = is_all;
    *is_null = any_null;
    return ERR_OK;
}

static SUSPENDS err_t no_more_rows_wait(struct rows *r)
{
    const struct slot *row = NULL;
    TRY(rows_next_wait(r, &row));
    if (row == NULL)
        return ERR_OK;
    return err_raise(ERR_CARDINALITY_VIOLATION,
                     "more than one row returned by a subquery used as an expression");
}

static err_t copy_column(struct arena *mem, const struct plan_subplan *p, datum value, datum *out)
{
    const struct type_info *type = NULL;
    TRY(type_require(p->root->code->types[0], &type));
    *out = datum_copy(mem, value, type->by_value);
    return ERR_OK;
}

static SUSPENDS err_t scalar_wait(struct arena *mem, struct rows *r, datum *out, bool *is_null)
{
    const struct slot *row = NULL;
    *is_null = true;
    TRY(rows_next_wait(r, &row));
    if (row == NULL)
        return ERR_OK;
    *is_null = row->nulls[0];
    if (!*is_null)
        TRY(copy_column(mem, r->plan, row->values[0], out));
    return no_more_rows_wait(r);
}

static SUSPENDS err_t row_test_wait(struct run *run, struct rows *r, struct eval *e, datum *out,
                                    bool *is_null)
{
    const struct slot *row = NULL;
    *is_null = true;
    TRY(rows_next_wait(r, &row));
    if (row == NULL)
        return ERR_OK;
    set_columns(run, r->plan, row);
    TRY(expr_eval_wait(r->plan->code->test, e, out, is_null));
    if (!*is_null) {
        const struct type_info *type = NULL;
        TRY(type_require(r->plan->type, &type));
        *out = datum_copy(e->mem, *out, type->by_value);
    }
    return no_more_rows_wait(r);
}

static SUSPENDS err_t array_wait(struct run *run, struct arena *mem, struct rows *r, datum *out)
{
    uint32_t count = 0;
    uint32_t capacity = 16;
    datum *values = ARENA_ARRAY(mem, datum, capacity);
    bool *nulls = ARENA_ARRAY(mem, bool, capacity);
    for (;;) {
        const struct slot *row = NULL;
        TRY(rows_next_wait(r, &row));
        if (row == NULL)
            break;
        if (count == capacity) {
            datum *more = arena_alloc(mem, sizeof(datum) * capacity * 2);
            bool *more_nulls = arena_alloc(mem, sizeof(bool) * capacity * 2);
            memcpy(more, values, sizeof(datum) * count);
            memcpy(more_nulls, nulls, sizeof(bool) * count);
            values = more;
            nulls = more_nulls;
            capacity *= 2;
        }
        nulls[count] = row->nulls[0];
        values[count] = 0;
        if (!nulls[count])
            TRY(copy_column(mem, r->plan, row->values[0], &values[count]));
        count++;
        TRY(run_rest_wait(run));
    }
    return array_of(mem, r->plan->root->code->types[0], values, nulls, count, out);
}

static SUSPENDS err_t rows_to_value_wait(struct run *run, struct rows *r, struct eval *e,
                                         datum *out, bool *is_null)
{
    const struct slot *row = NULL;
    *is_null = false;
    switch (r->plan->subkind) {
    case SUBQUERY_EXISTS:
        TRY(rows_next_wait(r, &row));
        *out = datum_of_bool(row != NULL);
        return ERR_OK;
    case SUBQUERY_SCALAR:
        return scalar_wait(e->mem, r, out, is_null);
    case SUBQUERY_ANY:
    case SUBQUERY_ALL:
        return test_rows_wait(run, r, e, out, is_null);
    case SUBQUERY_ARRAY:
        return array_wait(run, e->mem, r, out);
    case SUBQUERY_ROW:
        return row_test_wait(run, r, e, out, is_null);
    }
    return err_raise(ERR_INTERNAL_ERROR, "subquery of kind %d", (int)r->plan->subkind);
}

/* ---- uncorrelated: once ---- */

static err_t keep_row(struct run *run, struct subplan_state *s, uint32_t *capacity,
                      const struct plan_subplan *p, const struct slot *row)
{
    if (s->row_count == *capacity) {
        uint32_t more = *capacity == 0 ? 16 : *capacity * 2;
        uint8_t **rows = arena_alloc(run->mem, sizeof(uint8_t *) * more);
        if (s->row_count > 0)
            memcpy(rows, s->rows, sizeof(uint8_t *) * s->row_count);
        s->rows = rows;
        *capacity = more;
    }
    struct strbuf b;
    strbuf_init(&b, run->mem);
    TRY(row_encode(p->root->code->layout, row->values, row->nulls, &b));
    s->rows[s->row_count++] = (uint8_t *)b.data;
    return ERR_OK;
}

static void hash_row(struct subplan_state *s, const struct plan_subplan *p, struct strbuf *key,
                     const struct slot *row)
{
    if (row->nulls[0]) {
        s->hash_has_null = true;
        return;
    }
    key->len = 0;
    key_part_append(&p->code->hash_part, row->values[0], false, key);
    uint64_t hash = bytes_hash(key->data, key->len);
    if (hash_table_find(&s->hash, hash, key->data, key->len) == NULL)
        hash_table_add(&s->hash, hash, key->data, key->len);
}

static SUSPENDS err_t keep_rows_wait(struct run *run, struct subplan_state *s,
                                     const struct plan_subplan *p)
{
    uint32_t capacity = 0;
    struct strbuf key;
    strbuf_init(&key, run->mem);
    s->is_hashed = p->code->hash_left != NULL && p->subkind == SUBQUERY_ANY;
    if (s->is_hashed)
        hash_table_init(&s->hash, run->mem);
    for (;;) {
        const struct slot *row = NULL;
        TRY(node_next_wait(s->root, &row));
        if (row == NULL)
            return ERR_OK;
        if (s->is_hashed)
            hash_row(s, p, &key, row);
        else
            TRY(keep_row(run, s, &capacity, p, row));
        TRY(run_rest_wait(run));
    }
}

SUSPENDS err_t subplan_prepare_wait(struct run *run, uint32_t index)
{
    struct subplan_state *s = &run->subplans[index];
    const struct plan_subplan *p = &run->plan->subplans[index];
    if (s->is_done)
        return ERR_OK;
    TRY(node_new_wait(run, p->root, &s->root));
    if (p->subkind == SUBQUERY_ANY || p->subkind == SUBQUERY_ALL || p->subkind == SUBQUERY_ROW) {
        TRY(keep_rows_wait(run, s, p));
    } else {
        struct rows r = {.plan = p, .node = s->root};
        struct eval e;
        run_eval_init(run, &e);
        TRY(rows_to_value_wait(run, &r, &e, &s->value, &s->is_null));
    }
    s->is_done = true;
    return ERR_OK;
}

static SUSPENDS err_t hashed_wait(const struct subplan_state *s, const struct plan_subplan *p,
                                  struct eval *e, datum *out, bool *is_null)
{
    datum left = 0;
    bool left_null = true;
    TRY(expr_eval_wait(p->code->hash_left, e, &left, &left_null));
    *out = 0;
    *is_null = false;
    if (s->hash.count == 0 && !s->hash_has_null)
        return ERR_OK;
    if (left_null) {
        *is_null = true;
        return ERR_OK;
    }
    struct strbuf key;
    strbuf_init(&key, e->mem);
    key_part_append(&p->code->hash_left_part, left, false, &key);
    *out = hash_table_find(&s->hash, bytes_hash(key.data, key.len), key.data, key.len) != NULL;
    *is_null = !*out && s->hash_has_null;
    return ERR_OK;
}

static SUSPENDS err_t uncorrelated_wait(struct run *run, uint32_t index, struct eval *e, datum *out,
                                        bool *is_null)
{
    const struct plan_subplan *p = &run->plan->subplans[index];
    struct run *host = run;
    if (p->code->has_gather)
        host = run->origin != NULL ? run->origin : &run->exec->run;
    const struct subplan_state *s = &host->subplans[index];
    if (!s->is_done) {
        if (run->origin == NULL && p->code->has_gather)
            return err_raise(ERR_INTERNAL_ERROR, "subquery %u was not run before its fragment",
                             index);
        TRY(subplan_prepare_wait(host, index));
    }
    if (s->is_hashed)
        return hashed_wait(s, p, e, out, is_null);
    if (p->subkind == SUBQUERY_ANY || p->subkind == SUBQUERY_ALL || p->subkind == SUBQUERY_ROW) {
        struct rows r;
        rows_init_kept(&r, p, e->mem, s->rows, s->row_count);
        return rows_to_value_wait(run, &r, e, out, is_null);
    }
    *out = s->value;
    *is_null = s->is_null;
    return ERR_OK;
}

/* ---- asked from a remote fragment ---- */

struct service {
    const struct run *from; /* the fragment's run: its exec params are copied */
    uint32_t index;
    struct arena *mem; /* of the session's core, holds the rows */
    uint8_t **rows;
    uint32_t *lengths;
    uint32_t count;
};

static SUSPENDS err_t service_rows_wait(struct run *run, struct service *v)
{
    const struct plan_subplan *p = &run->plan->subplans[v->index];
    struct node *root = NULL;
    TRY(node_new_wait(run, p->root, &root));
    uint32_t wanted = p->subkind == SUBQUERY_EXISTS                                 ? 1
                      : p->subkind == SUBQUERY_SCALAR || p->subkind == SUBQUERY_ROW ? 2
                                                                                    : UINT32_MAX;
    uint32_t capacity = 0;
    while (v->count < wanted) {
        const struct slot *row = NULL;
        TRY(node_next_wait(root, &row));
        if (row == NULL)
            break;
        if (v->count == capacity) {
            uint32_t more = capacity == 0 ? 8 : capacity * 2;
            uint8_t **rows = arena_alloc(v->mem, sizeof(uint8_t *) * more);
            uint32_t *lengths = arena_alloc(v->mem, sizeof(uint32_t) * more);
            if (v->count > 0) {
                memcpy(rows, v->rows, sizeof(uint8_t *) * v->count);
                memcpy(lengths, v->lengths, sizeof(uint32_t) * v->count);
            }
            v->rows = rows;
            v->lengths = lengths;
            capacity = more;
        }
        struct strbuf b;
        strbuf_init(&b, v->mem);
        TRY(row_encode(p->root->code->layout, row->values, row->nulls, &b));
        v->rows[v->count] = (uint8_t *)b.data;
        v->lengths[v->count++] = u32_from(b.len);
        TRY(run_rest_wait(run));
    }
    return ERR_OK;
}

static SUSPENDS err_t service_run_wait(void *arg)
{
    struct service *v = arg;
    struct exec *x = v->from->exec;
    v->mem = arena_new();
    v->count = 0;
    struct run *run =
        run_new_remote(&x->run, v->mem, v->from->exec_params, v->from->exec_param_nulls);
    run->env = x->run.env;
    run->txn = x->run.txn;
    run->origin = run;
    err_t e = service_rows_wait(run, v);
    fiber_shield_begin();
    run_end_wait(run);
    fiber_shield_end();
    return e;
}

static SUSPENDS err_t service_free_wait(void *arg)
{
    struct service *v = arg;
    arena_free(v->mem);
    return ERR_OK;
}

static SUSPENDS err_t service_wait(struct run *run, uint32_t index, struct eval *e, datum *out,
                                   bool *is_null)
{
    const struct plan_subplan *p = &run->plan->subplans[index];
    struct service v = {.from = run, .index = index};
    uint32_t core = run->exec->core;
    err_t err = core_call_wait(core, service_run_wait, &v);
    struct rows r;
    if (err == ERR_OK) {
        uint8_t **kept = arena_alloc(e->mem, sizeof(uint8_t *) * (v.count + 1));
        for (uint32_t i = 0; i < v.count; i++)
            kept[i] = arena_memdup(e->mem, v.rows[i], v.lengths[i]);
        rows_init_kept(&r, p, e->mem, kept, v.count);
    }
    if (v.mem != NULL) {
        fiber_shield_begin();
        err_t freed = core_call_wait(core, service_free_wait, &v);
        fiber_shield_end();
        if (err == ERR_OK)
            err = freed;
    }
    TRY(err);
    return rows_to_value_wait(run, &r, e, out, is_null);
}

/* ---- correlated: every time ---- */

static SUSPENDS err_t correlated_wait(struct run *run, uint32_t index, struct eval *e, datum *out,
                                      bool *is_null)
{
    const struct plan_subplan *p = &run->plan->subplans[index];
    datum *values = arena_alloc(e->mem, sizeof(datum) * (p->arg_count + 1));
    bool *nulls = arena_alloc(e->mem, sizeof(bool) * (p->arg_count + 1));
    TRY(expr_eval_list_wait(p->code->args, e, values, nulls));
    for (uint32_t i = 0; i < p->arg_count; i++)
        run_param_set(run, p->params[i], values[i], nulls[i]);
    if (p->code->has_gather && run->origin == NULL)
        return service_wait(run, index, e, out, is_null);
    struct run *host = p->code->has_gather ? run->origin : run;
    struct subplan_state *s = &host->subplans[index];
    if (s->root == NULL)
        TRY(node_new_wait(host, p->root, &s->root));
    else
        TRY(node_rescan_wait(s->root));
    struct rows r = {.plan = p, .node = s->root};
    TRY(rows_to_value_wait(run, &r, e, out, is_null));
    /* Ends fragments that still read the arguments, which live no longer than this call. */
    return p->code->has_gather ? node_rescan_wait(s->root) : ERR_OK;
}

err_t subplan_eval(void *owner, uint32_t index, struct eval *e, datum *out,
                   bool *is_null) NO_SUSPEND_ANALYSIS;
err_t subplan_eval(void *owner, uint32_t index, struct eval *e, datum *out, bool *is_null)
{
    struct run *run = owner;
    TRY(fiber_check_stack());
    if (index >= run->plan->subplan_count)
        return err_raise(ERR_INTERNAL_ERROR, "subplan %u", index);
    *is_null = true;
    *out = 0;
    if (run->plan->subplans[index].is_correlated)
        return correlated_wait(run, index, e, out, is_null);
    return uncorrelated_wait(run, index, e, out, is_null);
}
