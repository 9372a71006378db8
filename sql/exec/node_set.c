/*
 * LIMIT, DISTINCT, INTERSECT and EXCEPT, UNION ALL.
 *
 * The hashed ones keep what fits into work_mem; rows of further keys go into partitions by hash,
 * which are worked off one after the other when the input is at its end, each with the next bits of
 * the hash.
 */
#include "sql/exec/exec_priv.h"

enum { PARTITION_BITS = 4, PARTITIONS = 1 << PARTITION_BITS, LEVEL_MAX = 12 };
enum { PARTITION_BUDGET = 32 * 1024 };

static uint32_t partition_of(uint64_t hash, uint32_t level)
{
    return (uint32_t)(hash >> (64 - PARTITION_BITS * (level + 1))) & (PARTITIONS - 1);
}

/* ---- LIMIT ---- */

struct limit_node {
    struct node node;
    bool is_ready;
    bool has_count;
    int64_t count;
    int64_t offset;
    int64_t position;
    struct strbuf last_key; /* WITH TIES */
    struct strbuf key;
};

static SUSPENDS err_t limit_value_wait(struct node *n, const struct program *p, bool is_offset,
                                       bool *has, int64_t *out)
{
    *has = false;
    *out = 0;
    if (p == NULL)
        return ERR_OK;
    datum value = 0;
    bool is_null = true;
    TRY(expr_eval_wait(p, &n->eval, &value, &is_null));
    if (is_null)
        return ERR_OK;
    *has = true;
    *out = datum_i64(value);
    if (*out >= 0)
        return ERR_OK;
    if (is_offset)
        return err_raise(ERR_INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE,
                         "OFFSET must not be negative");
    return err_raise(ERR_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT must not be negative");
}

static void tie_key(struct limit_node *l, const struct slot *in, struct strbuf *out)
{
    const struct node_code *c = l->node.code;
    out->len = 0;
    for (uint32_t i = 0; i < c->sort_count; i++)
        key_append(&c->sort_columns[i], in->values[c->sort_indexes[i]],
                   in->nulls[c->sort_indexes[i]], out);
}

static SUSPENDS err_t limit_next_wait(struct node *n, const struct slot **row)
{
    struct limit_node *l = (struct limit_node *)n;
    if (!l->is_ready) {
        bool has_offset = false;
        TRY(limit_value_wait(n, n->code->high, true, &has_offset, &l->offset));
        TRY(limit_value_wait(n, n->code->low, false, &l->has_count, &l->count));
        strbuf_init(&l->last_key, n->run->mem);
        strbuf_init(&l->key, n->run->mem);
        l->position = 0;
        l->is_ready = true;
    }
    *row = NULL;
    const struct slot *in = NULL;
    for (; l->position < l->offset; l->position++) {
        if (l->has_count && l->count == 0)
            return ERR_OK;
        TRY(node_next_wait(n->outer, &in));
        if (in == NULL) {
            l->position = INT64_MAX;
            l->has_count = true;
            l->count = 0;
            return ERR_OK;
        }
        TRY(run_rest_wait(n->run));
    }
    bool ties = n->plan->limit.with_ties;
    bool is_past = l->has_count && l->position - l->offset >= l->count;
    if (is_past && (!ties || l->count == 0))
        return ERR_OK;
    TRY(node_next_wait(n->outer, &in));
    if (in == NULL)
        return ERR_OK;
    if (ties && l->has_count) {
        if (is_past) {
            tie_key(l, in, &l->key);
            if (l->key.len != l->last_key.len ||
                memcmp(l->key.data, l->last_key.data, l->key.len) != 0) {
                l->count = 0;
                return ERR_OK;
            }
        } else if (l->position - l->offset == l->count - 1) {
            tie_key(l, in, &l->last_key);
        }
    }
    l->position++;
    node_row_begin(n);
    n->eval.inputs[0] = in;
    return node_project_wait(n, in, row);
}

static SUSPENDS err_t limit_rescan_wait(struct node *n)
{
    ((struct limit_node *)n)->is_ready = false;
    return node_rescan_wait(n->outer);
}

const struct node_ops node_limit_ops = {
    .bytes = sizeof(struct limit_node),
    .next = limit_next_wait,
    .rescan = limit_rescan_wait,
};

/* ---- DISTINCT ---- */

struct partition {
    struct partition *next;
    struct row_store *left;
    struct row_store *right;
    uint32_t level;
};

struct distinct_node {
    struct node node;
    uint32_t key_count;
    struct arena *mem;
    struct hash_table seen;
    struct strbuf key;
    struct strbuf last_key;
    struct strbuf bytes;
    bool has_last;
    struct row_store *spilled[PARTITIONS];
    bool is_spilling;
    struct partition *pending;
    struct partition *current; /* NULL: the child is read */
    struct row_reader reader;
    struct slot row;
    uint32_t level;
    bool is_done;
};

static void distinct_reset(struct distinct_node *d)
{
    arena_free(d->mem);
    d->mem = arena_new();
    hash_table_init(&d->seen, d->mem);
    d->is_spilling = false;
    memset(d->spilled, 0, sizeof(d->spilled));
}

static SUSPENDS err_t distinct_open_wait(struct node *n)
{
    struct distinct_node *d = (struct distinct_node *)n;
    d->key_count = MIN(n->plan->distinct.key_count, n->outer->code->type_count);
    strbuf_init(&d->key, n->run->mem);
    strbuf_init(&d->last_key, n->run->mem);
    strbuf_init(&d->bytes, n->run->mem);
    slot_init(&d->row, n->run->mem, n->outer->code->type_count);
    distinct_reset(d);
    return ERR_OK;
}

/* The child's next row, or the current partition's. */
static SUSPENDS err_t distinct_input_wait(struct distinct_node *d, const struct slot **in)
{
    if (d->current == NULL)
        return node_next_wait(d->node.outer, in);
    const uint8_t *bytes = NULL;
    uint32_t len = 0;
    TRY(row_reader_next_wait(&d->reader, &bytes, &len));
    *in = NULL;
    if (bytes != NULL) {
        row_decode(d->node.outer->code->layout, bytes, 0, d->row.count, d->row.values,
                   d->row.nulls);
        *in = &d->row;
    }
    return ERR_OK;
}

static void push_partitions(struct run *run, struct partition **pending,
                            struct row_store *const *left, struct row_store *const *right,
                            uint32_t level)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        if (left[i] == NULL)
            continue;
        struct partition *p = ARENA_NEW(run->mem, struct partition);
        p->left = left[i];
        p->right = right != NULL ? right[i] : NULL;
        p->level = level;
        p->next = *pending;
        *pending = p;
    }
}

static SUSPENDS void distinct_next_partition_wait(struct distinct_node *d)
{
    if (d->is_spilling)
        push_partitions(d->node.run, &d->pending, d->spilled, NULL, d->level + 1);
    if (d->current != NULL)
        row_store_end_wait(d->current->left);
    distinct_reset(d);
    d->current = d->pending;
    if (d->current == NULL) {
        d->is_done = true;
        return;
    }
    d->pending = d->current->next;
    d->level = d->current->level;
    row_reader_init(&d->reader, d->current->left);
}

static SUSPENDS err_t spill_row_wait(struct run *run, struct row_store **stores, uint64_t hash,
                                     uint32_t level, const struct row_layout *layout,
                                     const struct slot *in, struct strbuf *scratch)
{
    struct row_store **store = &stores[partition_of(hash, level)];
    if (*store == NULL)
        *store = row_store_new(run, PARTITION_BUDGET);
    scratch->len = 0;
    TRY(row_encode(layout, in->values, in->nulls, scratch));
    return row_store_add_wait(*store, scratch->data, u32_from(scratch->len));
}

static SUSPENDS err_t distinct_is_new_wait(struct distinct_node *d, const struct slot *in,
                                           bool *is_new)
{
    struct node *n = &d->node;
    d->key.len = 0;
    for (uint32_t i = 0; i < d->key_count; i++)
        key_part_append(&n->code->outer_parts[i], in->values[i], in->nulls[i], &d->key);
    if (n->plan->distinct.sorted) {
        *is_new = !d->has_last || d->key.len != d->last_key.len ||
                  memcmp(d->key.data, d->last_key.data, d->key.len) != 0;
        d->has_last = true;
        struct strbuf swap = d->last_key;
        d->last_key = d->key;
        d->key = swap;
        return ERR_OK;
    }
    uint64_t hash = bytes_hash(d->key.data, d->key.len);
    *is_new = false;
    if (hash_table_find(&d->seen, hash, d->key.data, d->key.len) != NULL)
        return ERR_OK;
    if (d->is_spilling)
        return spill_row_wait(n->run, d->spilled, hash, d->level, n->outer->code->layout, in,
                              &d->bytes);
    hash_table_add(&d->seen, hash, d->key.data, d->key.len);
    *is_new = true;
    d->is_spilling = arena_bytes(d->mem) > n->run->work_mem && d->level < LEVEL_MAX;
    return ERR_OK;
}

static SUSPENDS err_t distinct_next_wait(struct node *n, const struct slot **row)
{
    struct distinct_node *d = (struct distinct_node *)n;
    *row = NULL;
    while (!d->is_done) {
        const struct slot *in = NULL;
        TRY(distinct_input_wait(d, &in));
        if (in == NULL) {
            distinct_next_partition_wait(d);
            continue;
        }
        bool is_new = false;
        TRY(distinct_is_new_wait(d, in, &is_new));
        if (is_new) {
            n->eval.inputs[0] = in;
            node_row_begin(n);
            TRY(node_filter_wait(n, &is_new));
            if (is_new)
                return node_project_wait(n, in, row);
        }
        TRY(run_rest_wait(n->run));
    }
    return ERR_OK;
}

static SUSPENDS err_t distinct_rescan_wait(struct node *n)
{
    struct distinct_node *d = (struct distinct_node *)n;
    distinct_reset(d);
    d->pending = NULL;
    d->current = NULL;
    d->level = 0;
    d->has_last = false;
    d->is_done = false;
    return node_rescan_wait(n->outer);
}

static SUSPENDS void distinct_close_wait(struct node *n)
{
    struct distinct_node *d = (struct distinct_node *)n;
    arena_free(d->mem);
    d->mem = NULL;
}

const struct node_ops node_distinct_ops = {
    .bytes = sizeof(struct distinct_node),
    .open = distinct_open_wait,
    .next = distinct_next_wait,
    .rescan = distinct_rescan_wait,
    .close = distinct_close_wait,
};

/* ---- INTERSECT, EXCEPT ---- */

struct set_count { /* payload of an entry */
    uint64_t left;
    uint64_t right;
    _Alignas(8) uint8_t row[];
};

struct set_node {
    struct node node;
    struct arena *mem;
    struct hash_table table;
    struct strbuf key;
    struct strbuf bytes;
    struct slot row; /* of partitions and of the output */
    struct row_store *left[PARTITIONS];
    struct row_store *right[PARTITIONS];
    bool is_spilling;
    struct partition *pending;
    struct partition *current;
    uint32_t level;
    bool is_filled;
    uint64_t bucket;
    struct hash_entry *entry;
    uint64_t copies; /* of entry still to come */
};

static void set_reset(struct set_node *s)
{
    arena_free(s->mem);
    s->mem = arena_new();
    hash_table_init(&s->table, s->mem);
    memset(s->left, 0, sizeof(s->left));
    memset(s->right, 0, sizeof(s->right));
    s->is_spilling = false;
    s->is_filled = false;
    s->bucket = 0;
    s->entry = NULL;
    s->copies = 0;
}

static SUSPENDS err_t set_open_wait(struct node *n)
{
    struct set_node *s = (struct set_node *)n;
    strbuf_init(&s->key, n->run->mem);
    strbuf_init(&s->bytes, n->run->mem);
    slot_init(&s->row, n->run->mem, n->outer->code->type_count);
    set_reset(s);
    return ERR_OK;
}

static SUSPENDS err_t set_add_wait(struct set_node *s, const struct slot *in, bool is_left)
{
    struct node *n = &s->node;
    const struct row_layout *layout = n->outer->code->layout;
    s->key.len = 0;
    for (uint32_t i = 0; i < s->row.count; i++)
        key_part_append(&n->code->outer_parts[i], in->values[i], in->nulls[i], &s->key);
    uint64_t hash = bytes_hash(s->key.data, s->key.len);
    struct hash_entry *e = hash_table_find(&s->table, hash, s->key.data, s->key.len);
    if (e != NULL) {
        struct set_count *c = e->payload;
        if (is_left)
            c->left++;
        else
            c->right++;
        return ERR_OK;
    }
    if (s->is_spilling)
        return spill_row_wait(n->run, is_left ? s->left : s->right, hash, s->level, layout, in,
                              &s->bytes);
    if (!is_left)
        return ERR_OK;
    e = hash_table_add(&s->table, hash, s->key.data, s->key.len);
    s->bytes.len = 0;
    TRY(row_encode(layout, in->values, in->nulls, &s->bytes));
    struct set_count *c = arena_alloc(s->mem, sizeof(*c) + s->bytes.len);
    c->left = 1;
    c->right = 0;
    memcpy(c->row, s->bytes.data, s->bytes.len);
    e->payload = c;
    s->is_spilling = arena_bytes(s->mem) > n->run->work_mem && s->level < LEVEL_MAX;
    return ERR_OK;
}

static SUSPENDS err_t set_add_store_wait(struct set_node *s, struct row_store *store, bool is_left)
{
    struct row_reader reader;
    row_reader_init(&reader, store);
    for (;;) {
        const uint8_t *bytes = NULL;
        uint32_t len = 0;
        TRY(row_reader_next_wait(&reader, &bytes, &len));
        if (bytes == NULL)
            return ERR_OK;
        row_decode(s->node.outer->code->layout, bytes, 0, s->row.count, s->row.values,
                   s->row.nulls);
        TRY(set_add_wait(s, &s->row, is_left));
        TRY(run_rest_wait(s->node.run));
    }
}

static SUSPENDS err_t set_add_child_wait(struct set_node *s, struct node *child, bool is_left)
{
    for (;;) {
        const struct slot *in = NULL;
        TRY(node_next_wait(child, &in));
        if (in == NULL)
            return ERR_OK;
        TRY(set_add_wait(s, in, is_left));
        TRY(run_rest_wait(s->node.run));
    }
}

static SUSPENDS err_t set_fill_wait(struct set_node *s)
{
    s->is_filled = true;
    if (s->current == NULL) {
        TRY(set_add_child_wait(s, s->node.outer, true));
        return set_add_child_wait(s, s->node.inner, false);
    }
    TRY(set_add_store_wait(s, s->current->left, true));
    row_store_end_wait(s->current->left);
    if (s->current->right != NULL) {
        TRY(set_add_store_wait(s, s->current->right, false));
        row_store_end_wait(s->current->right);
    }
    return ERR_OK;
}

static uint64_t set_copies(const struct plan_node *p, const struct set_count *c)
{
    if (p->set_operation.operation == SET_INTERSECT) {
        uint64_t both = MIN(c->left, c->right);
        return p->set_operation.all ? both : both > 0;
    }
    if (p->set_operation.all)
        return c->left > c->right ? c->left - c->right : 0;
    return c->right == 0;
}

static SUSPENDS err_t set_next_wait(struct node *n, const struct slot **row)
{
    struct set_node *s = (struct set_node *)n;
    *row = NULL;
    for (;;) {
        if (!s->is_filled)
            TRY(set_fill_wait(s));
        while (s->copies == 0) {
            s->entry = hash_table_next(&s->table, &s->bucket, s->entry);
            if (s->entry == NULL)
                break;
            s->copies = set_copies(n->plan, s->entry->payload);
            TRY(run_rest_wait(n->run));
        }
        if (s->entry == NULL) {
            if (s->is_spilling)
                push_partitions(n->run, &s->pending, s->left, s->right, s->level + 1);
            set_reset(s);
            s->current = s->pending;
            if (s->current == NULL) {
                s->is_filled = true;
                return ERR_OK;
            }
            s->pending = s->current->next;
            s->level = s->current->level;
            continue;
        }
        s->copies--;
        const struct set_count *c = s->entry->payload;
        row_decode(n->outer->code->layout, c->row, 0, s->row.count, s->row.values, s->row.nulls);
        n->eval.inputs[0] = &s->row;
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &s->row, row);
    }
}

static SUSPENDS err_t set_rescan_wait(struct node *n)
{
    struct set_node *s = (struct set_node *)n;
    set_reset(s);
    s->pending = NULL;
    s->current = NULL;
    s->level = 0;
    TRY(node_rescan_wait(n->outer));
    return node_rescan_wait(n->inner);
}

static SUSPENDS void set_close_wait(struct node *n)
{
    struct set_node *s = (struct set_node *)n;
    arena_free(s->mem);
    s->mem = NULL;
}

const struct node_ops node_set_operation_ops = {
    .bytes = sizeof(struct set_node),
    .open = set_open_wait,
    .next = set_next_wait,
    .rescan = set_rescan_wait,
    .close = set_close_wait,
};

/* ---- UNION ALL ---- */

struct append_node {
    struct node node;
    struct node **children;
    uint32_t at;
};

static SUSPENDS err_t append_open_wait(struct node *n)
{
    struct append_node *a = (struct append_node *)n;
    uint32_t count = n->plan->append.count;
    a->children = ARENA_ARRAY(n->run->mem, struct node *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        TRY(node_new_wait(n->run, n->plan->append.children[i], &a->children[i]));
    return ERR_OK;
}

static SUSPENDS err_t append_next_wait(struct node *n, const struct slot **row)
{
    struct append_node *a = (struct append_node *)n;
    *row = NULL;
    while (a->at < n->plan->append.count) {
        const struct slot *in = NULL;
        TRY(node_next_wait(a->children[a->at], &in));
        if (in == NULL) {
            a->at++;
            continue;
        }
        n->eval.inputs[0] = in;
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, in, row);
        TRY(run_rest_wait(n->run));
    }
    return ERR_OK;
}

static SUSPENDS err_t append_rescan_wait(struct node *n)
{
    struct append_node *a = (struct append_node *)n;
    a->at = 0;
    for (uint32_t i = 0; i < n->plan->append.count; i++)
        TRY(node_rescan_wait(a->children[i]));
    return ERR_OK;
}

const struct node_ops node_append_ops = {
    .bytes = sizeof(struct append_node),
    .open = append_open_wait,
    .next = append_next_wait,
    .rescan = append_rescan_wait,
};
