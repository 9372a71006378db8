/*
 * Nested loop and merge joins.
 *
 * A row of the outer side stays valid while the inner side is read for it. Slot 0 is the outer row,
 * slot 1 the inner one (all NULL where an outer join found none). SEMI and ANTI yield outer rows.
 */
#include "sql/exec/exec_priv.h"

/* A slot of NULLs, as wide as a side. */
static struct slot *null_slot(struct node *n, const struct plan_node *side)
{
    struct slot *s = ARENA_NEW(n->run->mem, struct slot);
    slot_init(s, n->run->mem, side->code->type_count);
    memset(s->nulls, true, s->count);
    return s;
}

static SUSPENDS err_t condition_wait(struct node *n, bool null_matches, bool *out)
{
    *out = true;
    if (n->code->condition == NULL)
        return ERR_OK;
    datum value = 0;
    bool is_null = true;
    TRY(expr_eval_wait(n->code->condition, &n->eval, &value, &is_null));
    *out = is_null ? null_matches : datum_bool(value);
    return ERR_OK;
}

/* ---- nested loop ---- */

struct loop_node {
    struct node node;
    const struct slot *outer_row;
    struct slot *inner_null;
    bool is_matched;
    bool inner_runs; /* was not read to its end */
};

static SUSPENDS err_t loop_open_wait(struct node *n)
{
    struct loop_node *l = (struct loop_node *)n;
    enum join_type type = n->plan->join.type;
    if (type == JOIN_RIGHT || type == JOIN_FULL)
        return err_not_built("FULL JOIN is only supported with merge-joinable or hash-joinable "
                             "join conditions");
    l->inner_null = null_slot(n, n->plan->inner);
    return ERR_OK;
}

/* The next outer row, its values into exec params, and the inner side from its start. */
static SUSPENDS err_t loop_outer_wait(struct loop_node *l)
{
    struct node *n = &l->node;
    /* Fragments that still run for the last outer row read its values: they end first. */
    if (l->inner_runs && n->plan->join.nest_param_count > 0)
        TRY(node_rescan_wait(n->inner));
    l->inner_runs = false;
    TRY(node_next_wait(n->outer, &l->outer_row));
    if (l->outer_row == NULL)
        return ERR_OK;
    l->inner_runs = true;
    l->is_matched = false;
    for (uint32_t i = 0; i < n->plan->join.nest_param_count; i++) {
        const struct plan_nest_param *p = &n->plan->join.nest_params[i];
        run_param_set(n->run, p->param, l->outer_row->values[p->column],
                      l->outer_row->nulls[p->column]);
    }
    return node_rescan_wait(n->inner);
}

static SUSPENDS err_t loop_next_wait(struct node *n, const struct slot **row)
{
    struct loop_node *l = (struct loop_node *)n;
    enum join_type type = n->plan->join.type;
    for (;;) {
        if (l->outer_row == NULL) {
            TRY(loop_outer_wait(l));
            *row = NULL;
            if (l->outer_row == NULL)
                return ERR_OK;
        }
        TRY(run_rest_wait(n->run));
        const struct slot *inner = NULL;
        TRY(node_next_wait(n->inner, &inner));
        const struct slot *outer = l->outer_row;
        bool emit = false;
        n->eval.inputs[0] = outer;
        n->eval.inputs[1] = inner != NULL ? inner : l->inner_null;
        node_row_begin(n);
        if (inner == NULL) {
            emit = !l->is_matched && (type == JOIN_LEFT || type == JOIN_ANTI);
            l->outer_row = NULL;
            l->inner_runs = false;
        } else {
            bool match = false;
            TRY(condition_wait(n, type == JOIN_ANTI && n->plan->join.null_aware, &match));
            if (!match)
                continue;
            l->is_matched = true;
            emit = type != JOIN_ANTI;
            if (type == JOIN_SEMI || type == JOIN_ANTI)
                l->outer_row = NULL;
        }
        if (!emit)
            continue;
        TRY(node_filter_wait(n, &emit));
        if (emit)
            return node_project_wait(n, outer, row);
    }
}

static SUSPENDS err_t loop_rescan_wait(struct node *n)
{
    struct loop_node *l = (struct loop_node *)n;
    if (l->inner_runs)
        TRY(node_rescan_wait(n->inner));
    l->inner_runs = false;
    l->outer_row = NULL;
    return node_rescan_wait(n->outer);
}

const struct node_ops node_nested_loop_ops = {
    .bytes = sizeof(struct loop_node),
    .open = loop_open_wait,
    .next = loop_next_wait,
    .rescan = loop_rescan_wait,
};

/* ---- merge join ----
 *
 * Both sides come in key order. Inner rows of one key are set aside as a group and read again for
 * every outer row of that key. Rows with a NULL key match nothing. */

struct merge_side {
    const struct slot *row; /* NULL: at the end */
    struct strbuf key;
    bool has_null;
};

struct merge_node {
    struct node node;
    struct merge_side outer;
    struct merge_side inner;
    struct slot keys;
    struct slot *outer_null;
    struct slot *inner_null;
    struct slot group_row;
    struct row_store *group;
    struct row_reader reader;
    struct strbuf group_key;
    struct strbuf bytes;
    uint8_t *matched; /* per row of the group, for RIGHT and FULL */
    size_t matched_bytes;
    uint64_t group_at;
    bool has_group;
    bool is_draining; /* emitting rows of the group that found no partner */
    bool outer_matched;
    bool is_started;
};

static SUSPENDS err_t merge_open_wait(struct node *n)
{
    struct merge_node *m = (struct merge_node *)n;
    m->outer_null = null_slot(n, n->plan->outer);
    m->inner_null = null_slot(n, n->plan->inner);
    slot_init(&m->keys, n->run->mem, n->plan->join.key_count);
    slot_init(&m->group_row, n->run->mem, n->plan->inner->code->type_count);
    strbuf_init(&m->outer.key, n->run->mem);
    strbuf_init(&m->inner.key, n->run->mem);
    strbuf_init(&m->group_key, n->run->mem);
    strbuf_init(&m->bytes, n->run->mem);
    return ERR_OK;
}

static SUSPENDS err_t merge_advance_wait(struct merge_node *m, bool is_outer)
{
    struct node *n = &m->node;
    struct merge_side *s = is_outer ? &m->outer : &m->inner;
    if (m->is_started && s->row == NULL)
        return ERR_OK;
    TRY(run_rest_wait(n->run));
    TRY(node_next_wait(is_outer ? n->outer : n->inner, &s->row));
    if (s->row == NULL)
        return ERR_OK;
    node_row_begin(n);
    n->eval.inputs[is_outer ? 0 : 1] = s->row;
    TRY(expr_eval_list_wait(is_outer ? n->code->outer_keys : n->code->inner_keys, &n->eval,
                            m->keys.values, m->keys.nulls));
    s->key.len = 0;
    s->has_null = false;
    for (uint32_t i = 0; i < m->keys.count; i++) {
        s->has_null |= m->keys.nulls[i];
        key_append(&n->code->sort_columns[i], m->keys.values[i], m->keys.nulls[i], &s->key);
    }
    return ERR_OK;
}

static int key_compare(const struct strbuf *a, const struct strbuf *b)
{
    int order = memcmp(a->data, b->data, MIN(a->len, b->len));
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static bool keeps_inner(enum join_type type)
{
    return type == JOIN_RIGHT || type == JOIN_FULL;
}

static bool keeps_outer(enum join_type type)
{
    return type == JOIN_LEFT || type == JOIN_FULL || type == JOIN_ANTI;
}

/* All inner rows of the current key into the group. */
static SUSPENDS err_t merge_load_group_wait(struct merge_node *m)
{
    struct node *n = &m->node;
    if (m->group != NULL)
        row_store_end_wait(m->group);
    m->group = row_store_new(n->run, n->run->work_mem);
    m->group_key.len = 0;
    TRY(strbuf_put(&m->group_key, m->inner.key.data, m->inner.key.len));
    do {
        m->bytes.len = 0;
        TRY(row_encode(n->inner->code->layout, m->inner.row->values, m->inner.row->nulls,
                       &m->bytes));
        TRY(row_store_add_wait(m->group, m->bytes.data, u32_from(m->bytes.len)));
        TRY(merge_advance_wait(m, false));
    } while (m->inner.row != NULL && key_compare(&m->inner.key, &m->group_key) == 0);
    if (keeps_inner(n->plan->join.type)) {
        size_t bytes = row_store_count(m->group) / 8 + 1;
        if (bytes > m->matched_bytes) {
            m->matched = arena_alloc(n->run->mem, bytes * 2);
            m->matched_bytes = bytes * 2;
        }
        memset(m->matched, 0, bytes);
    }
    row_reader_init(&m->reader, m->group);
    m->group_at = 0;
    m->has_group = true;
    m->outer_matched = false;
    return ERR_OK;
}

static SUSPENDS err_t merge_group_row_wait(struct merge_node *m, bool *found)
{
    const uint8_t *bytes = NULL;
    uint32_t len = 0;
    TRY(row_reader_next_wait(&m->reader, &bytes, &len));
    *found = bytes != NULL;
    if (bytes != NULL) {
        row_decode(m->node.inner->code->layout, bytes, 0, m->group_row.count, m->group_row.values,
                   m->group_row.nulls);
        m->group_at++;
    }
    return ERR_OK;
}

/* After the last group row for an outer row: the next outer row; the group stays if that has its
 * key. */
static SUSPENDS err_t merge_next_outer_wait(struct merge_node *m)
{
    TRY(merge_advance_wait(m, true));
    m->outer_matched = false;
    row_reader_rewind(&m->reader);
    m->group_at = 0;
    if (m->outer.row != NULL && !m->outer.has_null &&
        key_compare(&m->outer.key, &m->group_key) == 0)
        return ERR_OK;
    m->has_group = false;
    m->is_draining = keeps_inner(m->node.plan->join.type);
    return ERR_OK;
}

enum merge_step { MERGE_AGAIN, MERGE_EMIT, MERGE_END };

static SUSPENDS err_t merge_in_group_wait(struct merge_node *m, enum merge_step *step)
{
    struct node *n = &m->node;
    enum join_type type = n->plan->join.type;
    bool found = false;
    *step = MERGE_AGAIN;
    /* SEMI and ANTI are decided by the first match. */
    bool is_decided = m->outer_matched && (type == JOIN_SEMI || type == JOIN_ANTI);
    if (!is_decided)
        TRY(merge_group_row_wait(m, &found));
    n->eval.inputs[0] = m->outer.row;
    if (!found) {
        bool unmatched = !m->outer_matched && keeps_outer(type);
        if (unmatched) {
            /* Emit now, advance on the next call. */
            m->outer_matched = true;
            n->eval.inputs[1] = m->inner_null;
            *step = MERGE_EMIT;
            return ERR_OK;
        }
        return merge_next_outer_wait(m);
    }
    n->eval.inputs[1] = &m->group_row;
    node_row_begin(n);
    bool match = false;
    TRY(condition_wait(n, false, &match));
    if (!match)
        return ERR_OK;
    m->outer_matched = true;
    if (keeps_inner(type))
        m->matched[(m->group_at - 1) / 8] |= (uint8_t)(1 << ((m->group_at - 1) % 8));
    if (type != JOIN_ANTI)
        *step = MERGE_EMIT;
    return ERR_OK;
}

static SUSPENDS err_t merge_drain_wait(struct merge_node *m, enum merge_step *step)
{
    bool found = false;
    *step = MERGE_AGAIN;
    TRY(merge_group_row_wait(m, &found));
    if (!found) {
        m->is_draining = false;
        return ERR_OK;
    }
    if ((m->matched[(m->group_at - 1) / 8] >> ((m->group_at - 1) % 8)) & 1)
        return ERR_OK;
    m->node.eval.inputs[0] = m->outer_null;
    m->node.eval.inputs[1] = &m->group_row;
    *step = MERGE_EMIT;
    return ERR_OK;
}

/* No group: the smaller side moves on; equal keys make a group. Unmatched rows are emitted before
 * their side advances, which then happens on the next call. */
static SUSPENDS err_t merge_align_wait(struct merge_node *m, bool *pending_outer,
                                       bool *pending_inner, enum merge_step *step)
{
    struct node *n = &m->node;
    enum join_type type = n->plan->join.type;
    *step = MERGE_AGAIN;
    if (m->outer.row == NULL && (m->inner.row == NULL || !keeps_inner(type))) {
        *step = MERGE_END;
        return ERR_OK;
    }
    if (m->inner.row == NULL && !keeps_outer(type)) {
        *step = MERGE_END;
        return ERR_OK;
    }
    bool use_outer = m->outer.row != NULL && (m->outer.has_null || m->inner.row == NULL);
    bool use_inner = m->inner.row != NULL && (m->inner.has_null || m->outer.row == NULL);
    if (!use_outer && !use_inner) {
        int order = key_compare(&m->outer.key, &m->inner.key);
        if (order == 0)
            return merge_load_group_wait(m);
        use_outer = order < 0;
    }
    if (use_outer) {
        *pending_outer = true;
        n->eval.inputs[0] = m->outer.row;
        n->eval.inputs[1] = m->inner_null;
        if (keeps_outer(type))
            *step = MERGE_EMIT;
    } else {
        *pending_inner = true;
        n->eval.inputs[0] = m->outer_null;
        n->eval.inputs[1] = m->inner.row;
        if (keeps_inner(type))
            *step = MERGE_EMIT;
    }
    return ERR_OK;
}

struct merge_join {
    struct merge_node merge;
    bool pending_outer;
    bool pending_inner;
};

static SUSPENDS err_t merge_next_wait(struct node *n, const struct slot **row)
{
    struct merge_join *j = (struct merge_join *)n;
    struct merge_node *m = &j->merge;
    if (!m->is_started) {
        TRY(merge_advance_wait(m, true));
        TRY(merge_advance_wait(m, false));
        m->is_started = true;
    }
    for (;;) {
        enum merge_step step = MERGE_AGAIN;
        if (j->pending_outer)
            TRY(merge_advance_wait(m, true));
        if (j->pending_inner)
            TRY(merge_advance_wait(m, false));
        j->pending_outer = false;
        j->pending_inner = false;
        TRY(run_rest_wait(n->run));
        if (m->has_group)
            TRY(merge_in_group_wait(m, &step));
        else if (m->is_draining)
            TRY(merge_drain_wait(m, &step));
        else
            TRY(merge_align_wait(m, &j->pending_outer, &j->pending_inner, &step));
        if (step == MERGE_END) {
            *row = NULL;
            return ERR_OK;
        }
        if (step == MERGE_AGAIN)
            continue;
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, n->eval.inputs[0], row);
    }
}

static SUSPENDS err_t merge_rescan_wait(struct node *n)
{
    struct merge_join *j = (struct merge_join *)n;
    j->pending_outer = false;
    j->pending_inner = false;
    j->merge.is_started = false;
    j->merge.has_group = false;
    j->merge.is_draining = false;
    TRY(node_rescan_wait(n->outer));
    return node_rescan_wait(n->inner);
}

const struct node_ops node_merge_join_ops = {
    .bytes = sizeof(struct merge_join),
    .open = merge_open_wait,
    .next = merge_next_wait,
    .rescan = merge_rescan_wait,
};
