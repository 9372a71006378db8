/*
 * GATHER: the child runs as a fragment on the core of each target shard, rows come together here.
 *
 * A shard of this core needs no messages: its fragment is a run of its own in this fiber. Others
 * are started at once and fill batches while this side reads what is there; with merge keys, rows
 * come out in order through a heap over the fragments.
 */
#include "sql/exec/exec_priv.h"

struct source {
    uint32_t shard_no;
    bool is_local;
    bool is_done;
    bool is_counted;
    struct run *local; /* a run of this fiber on the shard */
    struct node *local_node;
    lsn_t merged;
    struct fragment *remote;
    struct slot row; /* decoded from a batch */
    const struct slot *head;
    struct strbuf key; /* of head, when merging */
};

struct gather_node {
    struct node node;
    struct source **by_shard; /* made when first needed */
    struct source **sources;  /* of this scan */
    uint32_t source_count;
    uint32_t local_count;
    struct source **heap;
    uint32_t heap_count;
    struct source *last; /* whose row was returned */
    bool is_open;
    datum *keys;
    bool *key_nulls;
};

static SUSPENDS err_t gather_open_wait(struct node *n)
{
    struct gather_node *g = (struct gather_node *)n;
    struct arena *mem = n->run->mem;
    if (n->run->txn == NULL)
        return err_raise(ERR_INTERNAL_ERROR, "gather inside of a remote fragment");
    uint32_t shards = n->plan->gather.target == GATHER_ALL ? shard_count() : 1;
    g->by_shard = ARENA_ARRAY(mem, struct source *, shards);
    g->sources = ARENA_ARRAY(mem, struct source *, shards);
    g->heap = n->plan->gather.merge_count > 0 ? ARENA_ARRAY(mem, struct source *, shards) : NULL;
    if (gather_has_key(n->plan->gather.target)) {
        uint32_t count = n->plan->gather.key_table->shard_key_count;
        g->keys = ARENA_ARRAY(mem, datum, count + 1);
        g->key_nulls = ARENA_ARRAY(mem, bool, count + 1);
    }
    return ERR_OK;
}

/* ---- opening ---- */

static SUSPENDS err_t key_shard_wait(struct gather_node *g, uint32_t *out)
{
    struct node *n = &g->node;
    const struct plan_table *t = n->plan->gather.key_table;
    node_row_begin(n);
    TRY(expr_eval_list_wait(n->code->outer_keys, &n->eval, g->keys, g->key_nulls));
    if (n->plan->gather.target == GATHER_MAP)
        return map_shard_wait(n->run, t, g->keys, g->key_nulls, out);
    for (uint32_t i = 0; i < t->shard_key_count; i++)
        if (g->key_nulls[i]) {
            *out = shard_of_hash(0);
            return ERR_OK;
        }
    *out = shard_of_hash(key_hash(t->shard_key_columns, t->shard_key_count, g->keys));
    return ERR_OK;
}

static SUSPENDS err_t open_local_wait(struct gather_node *g, struct source *s)
{
    struct node *n = &g->node;
    struct run *run = n->run;
    s->is_local = true;
    struct txn_view view = txn_view_make(run->txn, s->shard_no, n->plan->gather.writes);
    s->merged = 0;
    if (s->local != NULL) {
        s->local->shard_no = s->shard_no;
        s->local->view = view;
        s->local->rows_modified = 0;
        return node_rescan_wait(s->local_node);
    }
    struct run *local = arena_memdup(run->mem, run, sizeof(*run));
    local->on_shard = true;
    local->shard_no = s->shard_no;
    local->view = view;
    local->stores = NULL;
    local->nodes = NULL;
    local->ctes = NULL;
    local->subplans = NULL;
    if (run->plan->subplan_count > 0)
        local->subplans = ARENA_ARRAY(run->mem, struct subplan_state, run->plan->subplan_count);
    local->rows_modified = 0;
    s->local = local;
    return node_new_wait(local, n->plan->outer, &s->local_node);
}

static SUSPENDS err_t open_remote_wait(struct gather_node *g, struct source *s)
{
    struct node *n = &g->node;
    struct run *run = n->run;
    s->is_local = false;
    if (s->remote == NULL) {
        s->remote = ARENA_NEW(run->mem, struct fragment);
        s->remote->root = n->plan->outer;
        s->remote->is_short = n->plan->gather.is_short && gather_has_key(n->plan->gather.target);
        s->remote->writes = n->plan->gather.writes;
        s->remote->prefetches = !n->plan->gather.writes || n->code->modify != NULL;
        slot_init(&s->row, run->mem, n->plan->outer->code->type_count);
        if (run->counters != NULL)
            s->remote->counters =
                ARENA_ARRAY(run->mem, struct plan_counter, run->plan->node_count + 1);
        if (n->code->writes_elsewhere)
            s->remote->extras = ARENA_ARRAY(run->mem, struct extra_view, shard_count());
    }
    struct fragment *f = s->remote;
    f->shard_no = s->shard_no;
    f->core = shard_core(s->shard_no);
    TRY(fragment_open_wait(run, f));
    if (f->is_short && !f->writes)
        return fragment_fill_short_wait(run, f);
    fragment_fill_start(f);
    return ERR_OK;
}

static SUSPENDS err_t add_source_wait(struct gather_node *g, uint32_t index, uint32_t shard_no)
{
    struct node *n = &g->node;
    struct source *s = g->by_shard[index];
    if (s == NULL) {
        s = g->by_shard[index] = ARENA_NEW(n->run->mem, struct source);
        strbuf_init(&s->key, n->run->mem);
    }
    s->shard_no = shard_no;
    s->is_done = false;
    s->is_counted = false;
    s->head = NULL;
    s->is_local = shard_core(shard_no) == core_id();
    g->sources[g->source_count++] = s;
    g->local_count += s->is_local;
    return ERR_OK;
}

/* Subqueries that the fragments need the results of: into exec params, or (prepare_shared_wait) to
 * be read in place. */
static SUSPENDS err_t prepare_initial_wait(struct gather_node *g)
{
    struct node *n = &g->node;
    struct run *run = n->run;
    struct run *host = run->origin;
    for (uint32_t i = 0; i < n->plan->gather.initial_count; i++) {
        uint32_t index = n->plan->gather.initial[i];
        uint32_t param = run->plan->subplans[index].result_param;
        TRY(subplan_prepare_wait(host, index));
        const struct subplan_state *s = &host->subplans[index];
        if (param != UINT32_MAX && (run->exec_param_nulls[param] != s->is_null ||
                                    (!s->is_null && run->exec_params[param] != s->value)))
            run_param_set(run, param, s->value, s->is_null);
    }
    return ERR_OK;
}

static SUSPENDS err_t prepare_shared_wait(struct gather_node *g)
{
    struct run *run = g->node.run;
    const struct node_code *code = g->node.code;
    if (g->local_count == g->source_count)
        return ERR_OK;
    for (uint32_t i = 0; i < code->subplan_count; i++)
        if (run->plan->subplans[code->subplans[i]].code->has_gather)
            TRY(subplan_prepare_wait(&run->exec->run, code->subplans[i]));
    return ERR_OK;
}

static SUSPENDS err_t begin_wait(struct gather_node *g)
{
    struct node *n = &g->node;
    g->is_open = true;
    g->source_count = 0;
    g->local_count = 0;
    g->last = NULL;
    uint32_t shard_no = 0;
    TRY(prepare_initial_wait(g));
    switch (n->plan->gather.target) {
    case GATHER_ALL:
        for (uint32_t i = 0; i < shard_count(); i++)
            TRY(add_source_wait(g, i, i));
        break;
    case GATHER_KEY:
    case GATHER_MAP:
        TRY(key_shard_wait(g, &shard_no));
        txn_touch(n->run->txn, shard_core(shard_no));
        TRY(add_source_wait(g, 0, shard_no));
        break;
    case GATHER_SHARD_0:
        TRY(add_source_wait(g, 0, 0));
        break;
    case GATHER_HOME:
        TRY(add_source_wait(g, 0, shard_home_of_core(core_id())));
        break;
    }
    if (n->code->writes_elsewhere)
        for (uint32_t i = 0; i < shard_count(); i++)
            txn_enlist(n->run->txn, i);
    TRY(prepare_shared_wait(g));
    for (uint32_t i = 0; i < g->source_count; i++)
        if (!g->sources[i]->is_local)
            TRY(open_remote_wait(g, g->sources[i]));
    for (uint32_t i = 0; i < g->source_count; i++)
        if (g->sources[i]->is_local)
            TRY(open_local_wait(g, g->sources[i]));
    return ERR_OK;
}

/* ---- reading ---- */

static void merge_local_view(struct gather_node *g, struct source *s)
{
    struct run *local = s->local;
    txn_merge(g->node.run->txn, s->shard_no, &local->view);
    s->merged = local->view.observed;
}

/* Every copy of a replicated table is written; rows are counted once. */
static bool is_counted_source(const struct gather_node *g, const struct source *s)
{
    const struct plan_node *m = g->node.code->modify;
    return m == NULL || m->modify.table->distribution != DISTRIBUTED_REPLICATED ||
           s == g->sources[0];
}

static void add_counters(struct run *run, struct plan_counter *from)
{
    if (run->counters == NULL || from == NULL)
        return;
    for (uint32_t i = 0; i < run->plan->node_count; i++) {
        struct plan_counter *to = &run->counters[i];
        to->rows += from[i].rows;
        to->loops += from[i].loops;
        to->removed_by_filter += from[i].removed_by_filter;
        to->total_us += from[i].total_us;
        to->first_row_us = MAX(to->first_row_us, from[i].first_row_us);
        from[i] = (struct plan_counter){0};
    }
}

static void source_end(struct gather_node *g, struct source *s)
{
    struct run *run = g->node.run;
    s->is_done = true;
    s->head = NULL;
    if (s->is_local)
        merge_local_view(g, s);
    else
        add_counters(run, s->remote->counters);
    if (!s->is_counted && is_counted_source(g, s))
        run->rows_modified += s->is_local ? s->local->rows_modified : s->remote->rows_modified;
    s->is_counted = true;
}

/* The source's next row into head, NULL at its end. */
static SUSPENDS err_t source_next_wait(struct gather_node *g, struct source *s)
{
    struct node *n = &g->node;
    do {
        if (s->is_local) {
            err_t e = node_next_wait(s->local_node, &s->head);
            if (e != ERR_OK || s->local->view.observed != s->merged)
                merge_local_view(g, s);
            TRY(e);
        } else {
            const uint8_t *bytes = NULL;
            TRY(fragment_next_wait(n->run, s->remote, &bytes));
            s->head = NULL;
            if (bytes != NULL) {
                row_decode(n->plan->outer->code->layout, bytes, 0, s->row.count, s->row.values,
                           s->row.nulls);
                s->head = &s->row;
            }
        }
        if (s->head == NULL) {
            source_end(g, s);
            return ERR_OK;
        }
    } while (!is_counted_source(g, s));
    return ERR_OK;
}

/* Without order: what is there first, then this core's own work, then whatever comes. */
static SUSPENDS err_t any_next_wait(struct gather_node *g, const struct slot **in)
{
    *in = NULL;
    for (;;) {
        struct source *next = NULL;
        for (uint32_t i = 0; i < g->source_count && next == NULL; i++) {
            struct source *s = g->sources[i];
            if (s->is_done || s->is_local)
                continue;
            const struct fragment *f = s->remote;
            bool is_owner = !(f->is_filling && f->filling == f->reading);
            const struct batch *b = &f->batches[f->reading];
            if (f->is_ended || (is_owner && b->read_at < b->used) ||
                (f->is_filling && atomic_load_explicit(&f->is_filled, memory_order_acquire)))
                next = s;
        }
        for (uint32_t i = 0; i < g->source_count && next == NULL; i++)
            if (!g->sources[i]->is_done && g->sources[i]->is_local)
                next = g->sources[i];
        for (uint32_t i = 0; i < g->source_count && next == NULL; i++)
            if (!g->sources[i]->is_done)
                next = g->sources[i];
        if (next == NULL)
            return ERR_OK;
        TRY(source_next_wait(g, next));
        *in = next->head;
        if (*in != NULL)
            return ERR_OK;
    }
}

static void head_key(struct gather_node *g, struct source *s)
{
    const struct node_code *c = g->node.code;
    s->key.len = 0;
    for (uint32_t i = 0; i < c->sort_count; i++)
        key_append(&c->sort_columns[i], s->head->values[c->sort_indexes[i]],
                   s->head->nulls[c->sort_indexes[i]], &s->key);
}

static bool key_less(const struct source *a, const struct source *b)
{
    int order = memcmp(a->key.data, b->key.data, MIN(a->key.len, b->key.len));
    if (order == 0)
        return a->key.len != b->key.len ? a->key.len < b->key.len : a->shard_no < b->shard_no;
    return order < 0;
}

static void sift_down(struct gather_node *g, uint32_t at)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= g->heap_count)
            return;
        if (child + 1 < g->heap_count && key_less(g->heap[child + 1], g->heap[child]))
            child++;
        if (!key_less(g->heap[child], g->heap[at]))
            return;
        struct source *swap = g->heap[at];
        g->heap[at] = g->heap[child];
        g->heap[child] = swap;
        at = child;
    }
}

static SUSPENDS err_t merge_next_wait(struct gather_node *g, const struct slot **in)
{
    if (g->last == NULL) {
        g->heap_count = 0;
        for (uint32_t i = 0; i < g->source_count; i++) {
            TRY(source_next_wait(g, g->sources[i]));
            if (g->sources[i]->head != NULL) {
                head_key(g, g->sources[i]);
                g->heap[g->heap_count++] = g->sources[i];
            }
        }
        for (uint32_t i = g->heap_count / 2; i-- > 0;)
            sift_down(g, i);
    } else {
        TRY(source_next_wait(g, g->last));
        if (g->last->head != NULL)
            head_key(g, g->last);
        else
            g->heap[0] = g->heap[--g->heap_count];
        sift_down(g, 0);
    }
    *in = NULL;
    if (g->heap_count > 0) {
        g->last = g->heap[0];
        *in = g->last->head;
    }
    return ERR_OK;
}

static SUSPENDS err_t gather_next_wait(struct node *n, const struct slot **row)
{
    struct gather_node *g = (struct gather_node *)n;
    if (!g->is_open)
        TRY(begin_wait(g));
    for (;;) {
        const struct slot *in = NULL;
        if (g->source_count == 1) {
            if (!g->sources[0]->is_done) {
                TRY(source_next_wait(g, g->sources[0]));
                in = g->sources[0]->head;
            }
        } else if (n->plan->gather.merge_count > 0) {
            TRY(merge_next_wait(g, &in));
        } else {
            TRY(any_next_wait(g, &in));
        }
        *row = NULL;
        if (in == NULL)
            return ERR_OK;
        if (n->code->filter == NULL && n->code->targets == NULL) {
            *row = in;
            return ERR_OK;
        }
        n->eval.inputs[0] = in;
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, in, row);
        TRY(run_rest_wait(n->run));
    }
}

/* ---- ending ---- */

static SUSPENDS void end_sources_wait(struct gather_node *g)
{
    struct run *run = g->node.run;
    for (uint32_t i = 0; i < g->source_count; i++) {
        struct source *s = g->sources[i];
        if (!s->is_local && s->remote != NULL) {
            fragment_close_wait(run, s->remote);
            add_counters(run, s->remote->counters);
        } else if (s->is_local && s->local != NULL) {
            merge_local_view(g, s);
        }
    }
    g->source_count = 0;
    g->is_open = false;
}

static SUSPENDS err_t gather_rescan_wait(struct node *n)
{
    end_sources_wait((struct gather_node *)n);
    return ERR_OK;
}

static SUSPENDS void gather_close_wait(struct node *n)
{
    struct gather_node *g = (struct gather_node *)n;
    if (g->by_shard == NULL)
        return;
    end_sources_wait(g);
    uint32_t shards = n->plan->gather.target == GATHER_ALL ? shard_count() : 1;
    for (uint32_t i = 0; i < shards; i++)
        if (g->by_shard[i] != NULL && g->by_shard[i]->local != NULL)
            run_end_wait(g->by_shard[i]->local);
    g->by_shard = NULL;
}

const struct node_ops node_gather_ops = {
    .bytes = sizeof(struct gather_node),
    .open = gather_open_wait,
    .next = gather_next_wait,
    .rescan = gather_rescan_wait,
    .close = gather_close_wait,
};
