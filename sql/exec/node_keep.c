/*
 * Nodes that keep rows: SORT, MATERIALIZE, WITH queries, recursive UNION and its work table. Kept
 * results survive a rescan unless something they depend on has changed (node_is_current).
 */
#include "sql/exec/exec_priv.h"

/* ---- SORT ---- */

struct sort_node {
    struct node node;
    struct sorter *sorter;
    struct slot row;
    struct strbuf bytes;
    uint64_t made_at;
};

static SUSPENDS err_t sort_open_wait(struct node *n)
{
    struct sort_node *s = (struct sort_node *)n;
    slot_init(&s->row, n->run->mem, n->outer->code->type_count);
    strbuf_init(&s->bytes, n->run->mem);
    n->eval.inputs[0] = &s->row;
    return ERR_OK;
}

static SUSPENDS err_t sort_fill_wait(struct sort_node *s)
{
    struct node *n = &s->node;
    struct run *run = n->run;
    s->made_at = run_now(run);
    int64_t limit = n->plan->sort.limit_hint;
    if (n->code->low != NULL) {
        datum bound = 0;
        bool is_null = true;
        TRY(expr_eval_wait(n->code->low, &n->eval, &bound, &is_null));
        if (!is_null && datum_i64(bound) > 0)
            limit = datum_i64(bound);
    }
    s->sorter = sorter_new(run, n->code->sort_columns, n->code->sort_indexes, n->code->sort_count,
                           run->work_mem, limit);
    for (;;) {
        const struct slot *in = NULL;
        TRY(node_next_wait(n->outer, &in));
        if (in == NULL)
            break;
        s->bytes.len = 0;
        TRY(row_encode(n->outer->code->layout, in->values, in->nulls, &s->bytes));
        TRY(sorter_add_wait(s->sorter, in->values, in->nulls, s->bytes.data,
                            u32_from(s->bytes.len)));
        TRY(run_rest_wait(run));
    }
    return sorter_finish_wait(s->sorter);
}

static SUSPENDS err_t sort_next_wait(struct node *n, const struct slot **row)
{
    struct sort_node *s = (struct sort_node *)n;
    if (s->sorter == NULL)
        TRY(sort_fill_wait(s));
    for (;;) {
        const uint8_t *bytes = NULL;
        uint32_t len = 0;
        TRY(sorter_next_wait(s->sorter, &bytes, &len, NULL, NULL));
        if (bytes == NULL) {
            *row = NULL;
            return ERR_OK;
        }
        row_decode(n->outer->code->layout, bytes, 0, s->row.count, s->row.values, s->row.nulls);
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &s->row, row);
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t sort_rescan_wait(struct node *n)
{
    struct sort_node *s = (struct sort_node *)n;
    if (s->sorter == NULL)
        return node_rescan_wait(n->outer);
    if (n->code->low == NULL && node_is_current(n, s->made_at))
        return sorter_rewind_wait(s->sorter);
    sorter_end_wait(s->sorter);
    s->sorter = NULL;
    return node_rescan_wait(n->outer);
}

static SUSPENDS void sort_close_wait(struct node *n)
{
    struct sort_node *s = (struct sort_node *)n;
    if (s->sorter != NULL)
        sorter_end_wait(s->sorter);
    s->sorter = NULL;
}

const struct node_ops node_sort_ops = {
    .bytes = sizeof(struct sort_node),
    .open = sort_open_wait,
    .next = sort_next_wait,
    .rescan = sort_rescan_wait,
    .close = sort_close_wait,
};

/* ---- MATERIALIZE: fills as it is read ---- */

struct materialize_node {
    struct node node;
    struct row_store *store;
    struct row_reader reader;
    struct slot row;
    struct strbuf bytes;
    uint64_t made_at;
    bool is_complete;
};

static SUSPENDS err_t materialize_open_wait(struct node *n)
{
    struct materialize_node *m = (struct materialize_node *)n;
    slot_init(&m->row, n->run->mem, n->outer->code->type_count);
    strbuf_init(&m->bytes, n->run->mem);
    n->eval.inputs[0] = &m->row;
    return ERR_OK;
}

static SUSPENDS err_t materialize_row_wait(struct materialize_node *m, const struct slot **in)
{
    struct node *n = &m->node;
    const struct row_layout *layout = n->outer->code->layout;
    if (m->store == NULL) {
        m->store = row_store_new(n->run, n->run->work_mem);
        row_reader_init(&m->reader, m->store);
        m->made_at = run_now(n->run);
        m->is_complete = false;
    }
    const uint8_t *bytes = NULL;
    uint32_t len = 0;
    TRY(row_reader_next_wait(&m->reader, &bytes, &len));
    if (bytes != NULL) {
        row_decode(layout, bytes, 0, m->row.count, m->row.values, m->row.nulls);
        *in = &m->row;
        return ERR_OK;
    }
    *in = NULL;
    if (m->is_complete)
        return ERR_OK;
    TRY(node_next_wait(n->outer, in));
    if (*in == NULL) {
        m->is_complete = true;
        return ERR_OK;
    }
    m->bytes.len = 0;
    TRY(row_encode(layout, (*in)->values, (*in)->nulls, &m->bytes));
    TRY(row_store_add_wait(m->store, m->bytes.data, u32_from(m->bytes.len)));
    m->reader.at = row_store_bytes(m->store);
    return ERR_OK;
}

static SUSPENDS err_t materialize_next_wait(struct node *n, const struct slot **row)
{
    struct materialize_node *m = (struct materialize_node *)n;
    for (;;) {
        const struct slot *in = NULL;
        TRY(materialize_row_wait(m, &in));
        *row = NULL;
        if (in == NULL)
            return ERR_OK;
        n->eval.inputs[0] = in;
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, in, row);
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t materialize_rescan_wait(struct node *n)
{
    struct materialize_node *m = (struct materialize_node *)n;
    if (m->store != NULL && node_is_current(n, m->made_at)) {
        row_reader_rewind(&m->reader);
        return ERR_OK;
    }
    if (m->store != NULL)
        row_store_end_wait(m->store);
    m->store = NULL;
    return node_rescan_wait(n->outer);
}

const struct node_ops node_materialize_ops = {
    .bytes = sizeof(struct materialize_node),
    .open = materialize_open_wait,
    .next = materialize_next_wait,
    .rescan = materialize_rescan_wait,
};

/* ---- WITH queries: one store per query, filled as far as any reader got ---- */

static SUSPENDS err_t cte_start_wait(struct run *run, uint32_t index)
{
    struct cte_state *c = &run->ctes[index];
    if (c->store != NULL && (c->is_running || node_is_current(c->root, c->made_at)))
        return ERR_OK;
    bool again = c->store != NULL;
    if (again)
        row_store_end_wait(c->store);
    c->store = row_store_new(run, run->work_mem);
    c->made_at = run_now(run);
    c->is_done = false;
    return again ? node_rescan_wait(c->root) : node_new_wait(run, run->plan->ctes[index], &c->root);
}

/* One more row into the store; is_done when there is none. */
static SUSPENDS err_t cte_pull_wait(struct run *run, uint32_t index, struct strbuf *scratch)
{
    struct cte_state *c = &run->ctes[index];
    if (c->is_running)
        return err_raise(ERR_INTERNAL_ERROR, "WITH query reads itself");
    const struct slot *in = NULL;
    /* What it changes is not counted: the statement's tag is about its own rows. */
    uint64_t modified = run->rows_modified;
    c->is_running = true;
    err_t e = node_next_wait(c->root, &in);
    c->is_running = false;
    run->rows_modified = modified;
    TRY(e);
    if (in == NULL) {
        c->is_done = true;
        return ERR_OK;
    }
    scratch->len = 0;
    TRY(row_encode(c->root->code->layout, in->values, in->nulls, scratch));
    return row_store_add_wait(c->store, scratch->data, u32_from(scratch->len));
}

SUSPENDS err_t cte_finish_wait(struct run *run, uint32_t index)
{
    struct strbuf scratch;
    strbuf_init(&scratch, run->mem);
    TRY(cte_start_wait(run, index));
    while (!run->ctes[index].is_done) {
        TRY(cte_pull_wait(run, index, &scratch));
        TRY(run_rest_wait(run));
    }
    return ERR_OK;
}

struct cte_node {
    struct node node;
    struct run *origin;
    struct row_reader reader;
    struct slot row;
    struct strbuf bytes;
    bool is_started;
};

/* From the first row on; the rows are made again when a recursive query in a correlated subquery
 * depends on values that have changed. */
static SUSPENDS err_t cte_begin_wait(struct cte_node *c)
{
    struct node *n = &c->node;
    uint32_t index = n->plan->cte.cte;
    const struct cte_state *state = &c->origin->ctes[index];
    TRY(cte_start_wait(c->origin, index));
    if (c->reader.store == state->store) {
        row_reader_rewind(&c->reader);
        return ERR_OK;
    }
    row_reader_init(&c->reader, state->store);
    if (c->row.values == NULL)
        slot_init(&c->row, n->run->mem, state->root->code->type_count);
    n->eval.inputs[0] = &c->row;
    return ERR_OK;
}

static SUSPENDS err_t cte_open_wait(struct node *n)
{
    struct cte_node *c = (struct cte_node *)n;
    c->origin = n->run->origin;
    if (c->origin == NULL || n->plan->cte.cte >= n->run->plan->cte_count)
        return err_raise(ERR_INTERNAL_ERROR, "WITH query read inside of a fragment");
    strbuf_init(&c->bytes, n->run->mem);
    return ERR_OK;
}

static SUSPENDS err_t cte_next_wait(struct node *n, const struct slot **row)
{
    struct cte_node *c = (struct cte_node *)n;
    uint32_t index = n->plan->cte.cte;
    struct cte_state *state = &c->origin->ctes[index];
    if (!c->is_started) {
        TRY(cte_begin_wait(c));
        c->is_started = true;
    }
    for (;;) {
        const uint8_t *bytes = NULL;
        uint32_t len = 0;
        TRY(row_reader_next_wait(&c->reader, &bytes, &len));
        if (bytes == NULL) {
            *row = NULL;
            if (state->is_done)
                return ERR_OK;
            TRY(cte_pull_wait(c->origin, index, &c->bytes));
            continue;
        }
        row_decode(state->root->code->layout, bytes, 0, c->row.count, c->row.values, c->row.nulls);
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &c->row, row);
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t cte_rescan_wait(struct node *n)
{
    ((struct cte_node *)n)->is_started = false;
    return ERR_OK;
}

const struct node_ops node_cte_ops = {
    .bytes = sizeof(struct cte_node),
    .open = cte_open_wait,
    .next = cte_next_wait,
    .rescan = cte_rescan_wait,
};

/* ---- recursive UNION ----
 *
 * The work table holds the rows of the last round; the recursive term reads it and what comes out
 * becomes the next round's, until nothing does. UNION drops rows that were there before. */

struct recursive_node {
    struct node node;
    struct row_store *next_store; /* rows of the round that runs */
    struct hash_table seen;
    struct arena *seen_mem;
    struct strbuf key;
    struct strbuf bytes;
    bool is_recursive; /* the first term is finished */
    bool has_run;      /* the recursive term, ever: it starts over with each round */
    bool is_done;
};

static SUSPENDS err_t recursive_open_wait(struct node *n)
{
    struct recursive_node *r = (struct recursive_node *)n;
    uint32_t index = n->plan->recursive.work_table;
    if (n->run->work_tables == NULL || index >= n->run->plan->work_table_count)
        return err_raise(ERR_INTERNAL_ERROR, "work table %u", index);
    n->run->work_tables[index].layout = n->plan->outer->code->layout;
    strbuf_init(&r->key, n->run->mem);
    strbuf_init(&r->bytes, n->run->mem);
    r->seen_mem = arena_new();
    hash_table_init(&r->seen, r->seen_mem);
    r->next_store = row_store_new(n->run, n->run->work_mem);
    TRY(node_new_wait(n->run, n->plan->outer, &n->outer));
    return node_new_wait(n->run, n->plan->inner, &n->inner);
}

static bool recursive_is_new(struct recursive_node *r, const struct slot *in)
{
    struct node *n = &r->node;
    if (!n->plan->recursive.distinct)
        return true;
    r->key.len = 0;
    for (uint32_t i = 0; i < in->count && i < n->outer->code->type_count; i++)
        key_part_append(&n->code->outer_parts[i], in->values[i], in->nulls[i], &r->key);
    uint64_t hash = bytes_hash(r->key.data, r->key.len);
    if (hash_table_find(&r->seen, hash, r->key.data, r->key.len) != NULL)
        return false;
    hash_table_add(&r->seen, hash, r->key.data, r->key.len);
    return true;
}

static SUSPENDS err_t next_round_wait(struct recursive_node *r)
{
    struct run *run = r->node.run;
    uint32_t index = r->node.plan->recursive.work_table;
    if (row_store_count(r->next_store) == 0) {
        r->is_done = true;
        return ERR_OK;
    }
    struct work_table *t = &run->work_tables[index];
    if (t->store != NULL)
        row_store_end_wait(t->store);
    t->store = r->next_store;
    r->next_store = row_store_new(run, run->work_mem);
    run->times[1 + run->plan->exec_param_count + index] = ++run->times[0];
    r->is_recursive = true;
    if (!r->has_run) {
        r->has_run = true;
        return ERR_OK;
    }
    return node_rescan_wait(r->node.inner);
}

static SUSPENDS err_t recursive_next_wait(struct node *n, const struct slot **row)
{
    struct recursive_node *r = (struct recursive_node *)n;
    *row = NULL;
    while (!r->is_done) {
        const struct slot *in = NULL;
        TRY(node_next_wait(r->is_recursive ? n->inner : n->outer, &in));
        if (in == NULL) {
            TRY(next_round_wait(r));
            continue;
        }
        TRY(run_rest_wait(n->run));
        if (!recursive_is_new(r, in))
            continue;
        r->bytes.len = 0;
        TRY(row_encode(n->outer->code->layout, in->values, in->nulls, &r->bytes));
        TRY(row_store_add_wait(r->next_store, r->bytes.data, u32_from(r->bytes.len)));
        n->eval.inputs[0] = in;
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, in, row);
    }
    return ERR_OK;
}

static SUSPENDS err_t recursive_rescan_wait(struct node *n)
{
    struct recursive_node *r = (struct recursive_node *)n;
    row_store_end_wait(r->next_store);
    r->next_store = row_store_new(n->run, n->run->work_mem);
    arena_reset(r->seen_mem);
    hash_table_init(&r->seen, r->seen_mem);
    r->is_done = false;
    r->is_recursive = false;
    return node_rescan_wait(n->outer);
}

static SUSPENDS void recursive_close_wait(struct node *n)
{
    struct recursive_node *r = (struct recursive_node *)n;
    arena_free(r->seen_mem);
    r->seen_mem = NULL;
}

const struct node_ops node_recursive_ops = {
    .bytes = sizeof(struct recursive_node),
    .open = recursive_open_wait,
    .next = recursive_next_wait,
    .rescan = recursive_rescan_wait,
    .close = recursive_close_wait,
};

struct work_table_node {
    struct node node;
    struct row_store *store; /* being read */
    struct row_reader reader;
    struct slot row;
};

static SUSPENDS err_t work_table_next_wait(struct node *n, const struct slot **row)
{
    struct work_table_node *w = (struct work_table_node *)n;
    if (n->run->work_tables == NULL)
        return err_raise(ERR_INTERNAL_ERROR, "work table read inside of a fragment");
    struct work_table *t = &n->run->work_tables[n->plan->recursive.work_table];
    *row = NULL;
    if (t->store == NULL)
        return ERR_OK;
    if (w->store == NULL) {
        w->store = t->store;
        row_reader_init(&w->reader, t->store);
        if (w->row.values == NULL)
            slot_init(&w->row, n->run->mem, t->layout->column_count);
        n->eval.inputs[0] = &w->row;
    }
    for (;;) {
        const uint8_t *bytes = NULL;
        uint32_t len = 0;
        TRY(row_reader_next_wait(&w->reader, &bytes, &len));
        if (bytes == NULL)
            return ERR_OK;
        row_decode(t->layout, bytes, 0, w->row.count, w->row.values, w->row.nulls);
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &w->row, row);
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t work_table_rescan_wait(struct node *n)
{
    ((struct work_table_node *)n)->store = NULL;
    return ERR_OK;
}

const struct node_ops node_work_table_ops = {
    .bytes = sizeof(struct work_table_node),
    .next = work_table_next_wait,
    .rescan = work_table_rescan_wait,
};
