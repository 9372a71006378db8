/*
 * Scans of a shard's part of a table: sequential and by index. Slot 0 is the table row; behind its
 * columns stand row id, tableoid and shard number. Only columns that the plan reads are decoded.
 */
#include "sql/exec/exec_priv.h"

void table_decode(const struct plan_table *t, const uint8_t *row, uint32_t count, datum *values,
                  bool *nulls)
{
    row_decode(t->layout, row, 0, count, values, nulls);
    uint32_t stored = row_column_count(row);
    for (uint32_t i = stored; i < count; i++) {
        nulls[i] = t->missing == NULL || t->missing_nulls[i];
        values[i] = nulls[i] ? 0 : t->missing[i];
    }
}

static void scan_row_init(struct node *n, struct slot *row)
{
    const struct plan_table *t = n->plan->scan.table;
    slot_init(row, n->run->mem, t->column_count + 3);
    memset(row->nulls, true, t->column_count);
    n->eval.inputs[0] = row;
}

static inline void scan_row_set(struct node *n, struct slot *row, row_id id, const uint8_t *bytes)
{
    const struct plan_table *t = n->plan->scan.table;
    table_decode(t, bytes, n->code->columns_used, row->values, row->nulls);
    datum *system = row->values + t->column_count;
    system[0] = datum_of_i64((int64_t)id);
    system[1] = datum_of_oid(t->oid);
    system[2] = datum_of_i32((int32_t)n->run->shard_no);
}

static err_t check_on_shard(const struct node *n)
{
    if (!n->run->on_shard)
        return err_raise(ERR_INTERNAL_ERROR, "scan of \"%s\" outside of a fragment",
                         n->plan->scan.table->name);
    return ERR_OK;
}

/* ---- sequential ---- */

struct seq_scan {
    struct node node;
    struct slot row;
    struct heap_scan *scan;
    struct arena *scan_mem;
};

static SUSPENDS err_t seq_open_wait(struct node *n)
{
    struct seq_scan *s = (struct seq_scan *)n;
    TRY(check_on_shard(n));
    scan_row_init(n, &s->row);
    return ERR_OK;
}

static SUSPENDS err_t seq_next_wait(struct node *n, const struct slot **row)
{
    struct seq_scan *s = (struct seq_scan *)n;
    struct run *run = n->run;
    if (s->scan == NULL) {
        if (s->scan_mem == NULL)
            s->scan_mem = arena_new();
        TRY(heap_scan_begin_wait(shard_local(run->shard_no), &run->view, n->plan->scan.table->file,
                                 s->scan_mem, &s->scan));
    }
    for (;;) {
        row_id id = ROW_ID_NONE;
        const uint8_t *bytes = NULL;
        uint32_t len = 0;
        TRY(heap_scan_next_wait(s->scan, &id, &bytes, &len));
        if (id == ROW_ID_NONE) {
            *row = NULL;
            return ERR_OK;
        }
        node_row_begin(n);
        scan_row_set(n, &s->row, id, bytes);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &s->row, row);
        TRY(run_rest_wait(run));
    }
}

static void seq_stop(struct seq_scan *s)
{
    if (s->scan != NULL)
        heap_scan_end(s->scan);
    s->scan = NULL;
    if (s->scan_mem != NULL)
        arena_reset(s->scan_mem);
}

static SUSPENDS err_t seq_rescan_wait(struct node *n)
{
    seq_stop((struct seq_scan *)n);
    return ERR_OK;
}

static SUSPENDS void seq_close_wait(struct node *n)
{
    struct seq_scan *s = (struct seq_scan *)n;
    seq_stop(s);
    arena_free(s->scan_mem);
    s->scan_mem = NULL;
}

const struct node_ops node_seq_scan_ops = {
    .bytes = sizeof(struct seq_scan),
    .open = seq_open_wait,
    .next = seq_next_wait,
    .rescan = seq_rescan_wait,
    .close = seq_close_wait,
};

/* ---- by index ---- */

struct index_scan_node {
    struct node node;
    struct slot row;
    struct index_scan *scan;
    struct arena *scan_mem;
    struct row_buf bytes;
    struct strbuf low;
    struct strbuf high;
    datum *equal;
    bool *equal_nulls;
    bool is_evaluated;
    bool is_done;
    struct arena *key_mem;      /* = ANY: the array's memory, for one evaluation of the bounds */
    struct array_view elements; /* of the array column */
    uint32_t *order;
    uint32_t element_count;
    uint32_t element_at;
};

static SUSPENDS err_t index_open_wait(struct node *n)
{
    struct index_scan_node *s = (struct index_scan_node *)n;
    TRY(check_on_shard(n));
    scan_row_init(n, &s->row);
    uint32_t count = n->plan->scan.bounds.equal_count;
    s->equal = ARENA_ARRAY(n->run->mem, datum, count + 1);
    s->equal_nulls = ARENA_ARRAY(n->run->mem, bool, count + 1);
    strbuf_init(&s->low, n->run->mem);
    strbuf_init(&s->high, n->run->mem);
    s->bytes.arena = n->run->mem;
    if (n->plan->scan.bounds.low != NULL || n->plan->scan.bounds.high != NULL) {
        if (count >= n->plan->scan.index->key_count)
            return err_raise(ERR_INTERNAL_ERROR, "index range past the last key column");
    }
    return ERR_OK;
}

/* An integer bound may be of a wider type than its column. -1 below, 1 above what the column can
 * hold, 0 inside. */
static int out_of_range(const struct key_column *c, datum value)
{
    int64_t v = datum_i64(value);
    switch (c->type->oid) {
    case TYPE_INT2:
        return v < INT16_MIN ? -1 : v > INT16_MAX ? 1 : 0;
    case TYPE_INT4:
        return v < INT32_MIN ? -1 : v > INT32_MAX ? 1 : 0;
    default:
        return 0;
    }
}

/* Elements of col = ANY(array) in key order, without nulls and duplicates. */
static err_t order_elements(struct index_scan_node *s, const struct key_column *c)
{
    struct arena *mem = s->key_mem;
    TRY(array_read(mem, s->equal[s->node.plan->scan.bounds.array_column], &s->elements));
    s->order = ARENA_ARRAY(mem, uint32_t, s->elements.count + 1);
    s->element_count = 0;
    for (uint32_t i = 0; i < s->elements.count; i++)
        if (!s->elements.nulls[i] && out_of_range(c, s->elements.values[i]) == 0)
            s->order[s->element_count++] = i;
    bool reverse = c->descending != s->node.plan->scan.backward;
    const datum *v = s->elements.values;
    /* Shell sort: the arrays are short and nothing is allocated. */
    for (uint32_t gap = s->element_count / 2; gap > 0; gap /= 2)
        for (uint32_t i = gap; i < s->element_count; i++) {
            uint32_t x = s->order[i];
            uint32_t k = i;
            for (; k >= gap; k -= gap) {
                int order = c->type->compare(v[s->order[k - gap]], v[x]);
                if (reverse ? order >= 0 : order <= 0)
                    break;
                s->order[k] = s->order[k - gap];
            }
            s->order[k] = x;
        }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->element_count; i++)
        if (kept == 0 || c->type->compare(v[s->order[kept - 1]], v[s->order[i]]) != 0)
            s->order[kept++] = s->order[i];
    s->element_count = kept;
    return ERR_OK;
}

static SUSPENDS err_t evaluate_equal_wait(struct index_scan_node *s)
{
    struct node *n = &s->node;
    const struct plan_index_bounds *b = &n->plan->scan.bounds;
    const struct plan_index *index = n->plan->scan.index;
    s->is_evaluated = true;
    s->is_done = false;
    s->element_at = 0;
    s->element_count = 1;
    struct arena *row_mem = n->eval.mem;
    if (b->array_column < b->equal_count) {
        if (s->key_mem == NULL)
            s->key_mem = arena_new();
        arena_reset(s->key_mem);
        n->eval.mem = s->key_mem;
    }
    err_t e = expr_eval_list_wait(n->code->outer_keys, &n->eval, s->equal, s->equal_nulls);
    n->eval.mem = row_mem;
    TRY(e);
    for (uint32_t i = 0; i < b->equal_count; i++) {
        if (s->equal_nulls[i] ||
            (i != b->array_column && out_of_range(&index->key_columns[i], s->equal[i]) != 0)) {
            s->is_done = true;
            return ERR_OK;
        }
    }
    if (b->array_column < b->equal_count)
        TRY(order_elements(s, &index->key_columns[b->array_column]));
    return ERR_OK;
}

/* One end of the range column into key bytes. *any false: the range is empty. */
static SUSPENDS err_t range_end_wait(struct index_scan_node *s, const struct program *p,
                                     bool is_low, struct strbuf *out, bool *unbounded, bool *any)
{
    struct node *n = &s->node;
    const struct key_column *c =
        &n->plan->scan.index->key_columns[n->plan->scan.bounds.equal_count];
    datum value = 0;
    bool is_null = true;
    TRY(expr_eval_wait(p, &n->eval, &value, &is_null));
    int out_of = is_null ? 0 : out_of_range(c, value);
    if (is_null || (is_low && out_of > 0) || (!is_low && out_of < 0)) {
        *any = false;
        return ERR_OK;
    }
    *unbounded = out_of != 0;
    if (!*unbounded)
        key_append(c, value, false, out);
    return ERR_OK;
}

/* The key range for the current element. In key order a descending column turns low and high
 * around; nulls, which no range takes in, stand at one end. */
static SUSPENDS err_t make_range_wait(struct index_scan_node *s, struct index_range *range,
                                      bool *any)
{
    struct node *n = &s->node;
    const struct plan_index_bounds *b = &n->plan->scan.bounds;
    const struct plan_index *index = n->plan->scan.index;
    *range = (struct index_range){.backward = n->plan->scan.backward};
    *any = true;
    s->low.len = 0;
    for (uint32_t i = 0; i < b->equal_count; i++) {
        datum value =
            i == b->array_column ? s->elements.values[s->order[s->element_at]] : s->equal[i];
        key_append(&index->key_columns[i], value, false, &s->low);
    }
    size_t prefix = s->low.len;
    s->high.len = 0;
    if (prefix > 0)
        TRY(strbuf_put(&s->high, s->low.data, prefix));
    range->high_inclusive = true;
    if (b->low != NULL || b->high != NULL) {
        const struct key_column *c = &index->key_columns[b->equal_count];
        struct strbuf *first = c->descending ? &s->high : &s->low; /* where the lower bound goes */
        struct strbuf *second = c->descending ? &s->low : &s->high;
        bool low_open = true;
        bool high_open = true;
        if (b->low != NULL)
            TRY(range_end_wait(s, n->code->low, true, first, &low_open, any));
        if (*any && b->high != NULL)
            TRY(range_end_wait(s, n->code->high, false, second, &high_open, any));
        if (!*any)
            return ERR_OK;
        bool start_open = c->descending ? high_open : low_open;
        bool end_open = c->descending ? low_open : high_open;
        bool start_inclusive = c->descending ? b->high_inclusive : b->low_inclusive;
        bool end_inclusive = c->descending ? b->low_inclusive : b->high_inclusive;
        range->low_exclusive = !start_open && !start_inclusive;
        range->high_inclusive = end_open || end_inclusive;
        if (start_open && c->nulls_first) {
            key_append(c, 0, true, &s->low);
            range->low_exclusive = true;
        }
        if (end_open && !c->nulls_first) {
            key_append(c, 0, true, &s->high);
            range->high_inclusive = false;
        }
    }
    if (s->low.len > 0) {
        range->low = s->low.data;
        range->low_len = u32_from(s->low.len);
    }
    if (s->high.len > 0) {
        range->high = s->high.data;
        range->high_len = u32_from(s->high.len);
    }
    return ERR_OK;
}

/* Positions the scan on the next element's range. */
static SUSPENDS err_t begin_range_wait(struct index_scan_node *s, bool *any)
{
    struct node *n = &s->node;
    struct run *run = n->run;
    struct index_range range;
    TRY(make_range_wait(s, &range, any));
    if (!*any)
        return ERR_OK;
    if (s->scan != NULL)
        return index_scan_restart_wait(s->scan, &range);
    if (s->scan_mem == NULL)
        s->scan_mem = arena_new();
    return index_scan_begin_wait(shard_local(run->shard_no), &run->view, n->plan->scan.index->file,
                                 n->plan->scan.table->file, &range, s->scan_mem, &s->scan);
}

static SUSPENDS err_t index_next_wait(struct node *n, const struct slot **row)
{
    struct index_scan_node *s = (struct index_scan_node *)n;
    struct run *run = n->run;
    *row = NULL;
    if (!s->is_evaluated) {
        node_row_begin(n);
        TRY(evaluate_equal_wait(s));
        bool any = false;
        while (!s->is_done && !any) {
            if (s->element_at >= s->element_count) {
                s->is_done = true;
                break;
            }
            TRY(begin_range_wait(s, &any));
            if (!any)
                s->element_at++;
        }
    }
    while (!s->is_done) {
        row_id id = ROW_ID_NONE;
        TRY(index_scan_next_row_wait(s->scan, &id, &s->bytes));
        if (id == ROW_ID_NONE) {
            if (++s->element_at >= s->element_count) {
                s->is_done = true;
                return ERR_OK;
            }
            bool any = false;
            TRY(begin_range_wait(s, &any));
            s->is_done = !any;
            continue;
        }
        node_row_begin(n);
        scan_row_set(n, &s->row, id, s->bytes.data);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &s->row, row);
        TRY(run_rest_wait(run));
    }
    return ERR_OK;
}

static SUSPENDS err_t index_rescan_wait(struct node *n)
{
    struct index_scan_node *s = (struct index_scan_node *)n;
    /* The shard or its view may be others now. */
    if (s->scan != NULL)
        index_scan_end(s->scan);
    s->scan = NULL;
    if (s->scan_mem != NULL)
        arena_reset(s->scan_mem);
    s->is_evaluated = false;
    s->is_done = false;
    return ERR_OK;
}

static SUSPENDS void index_close_wait(struct node *n)
{
    struct index_scan_node *s = (struct index_scan_node *)n;
    if (s->scan != NULL)
        index_scan_end(s->scan);
    s->scan = NULL;
    arena_free(s->scan_mem);
    s->scan_mem = NULL;
    arena_free(s->key_mem);
    s->key_mem = NULL;
}

const struct node_ops node_index_scan_ops = {
    .bytes = sizeof(struct index_scan_node),
    .open = index_open_wait,
    .next = index_next_wait,
    .rescan = index_rescan_wait,
    .close = index_close_wait,
};
