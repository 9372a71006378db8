/*
 * Hash join: a table of the inner side's rows by key bytes, probed with the outer rows.
 *
 * When the inner side outgrows work_mem, its rows go into partitions by hash (grace hash join), the
 * outer rows into partitions of the same hash, and the pairs are joined one after the other; a
 * partition that is too big again is divided by the next bits. Rows with a NULL key match nothing
 * and are kept only where the join's type emits them.
 */
#include "sql/exec/exec_priv.h"

enum { PARTITION_BITS = 4, PARTITIONS = 1 << PARTITION_BITS, LEVEL_MAX = 12 };
enum { PARTITION_BUDGET = 32 * 1024 };

struct tuple {
    struct tuple *next;     /* same key */
    struct tuple *all_next; /* RIGHT, FULL: all tuples */
    bool matched;
    _Alignas(8) uint8_t row[];
};

struct pair { /* of partitions to be joined */
    struct pair *next;
    struct row_store *inner;
    struct row_store *outer;
    uint32_t level;
};

struct hash_node {
    struct node node;
    struct arena *mem;
    struct hash_table table;
    struct tuple *all;
    uint64_t inner_count;
    bool inner_has_null;
    struct slot keys;
    struct strbuf key;
    struct strbuf bytes;
    struct slot inner_row;
    struct slot outer_copy; /* outer rows of partitions */
    struct slot *outer_null;
    struct slot *inner_null;
    struct row_store *inner_parts[PARTITIONS];
    struct row_store *outer_parts[PARTITIONS];
    bool is_partitioned;
    struct pair *pending;
    struct pair *current;
    uint32_t level;
    struct row_reader outer_reader;
    bool is_built;
    uint64_t made_at;
    bool was_partitioned; /* at the first level: nothing to keep for a rescan */
    const struct slot *outer_row;
    struct tuple *at;
    bool outer_matched;
    struct tuple *drain; /* RIGHT, FULL at the end */
    bool is_draining;
    bool is_done;
};

static struct slot *null_slot(struct node *n, const struct plan_node *side)
{
    struct slot *s = ARENA_NEW(n->run->mem, struct slot);
    slot_init(s, n->run->mem, side->code->type_count);
    memset(s->nulls, true, s->count);
    return s;
}

static bool keeps_inner(const struct node *n)
{
    return n->plan->join.type == JOIN_RIGHT || n->plan->join.type == JOIN_FULL;
}

static bool keeps_outer(const struct node *n)
{
    enum join_type t = n->plan->join.type;
    return t == JOIN_LEFT || t == JOIN_FULL || t == JOIN_ANTI;
}

static void hash_reset(struct hash_node *h)
{
    arena_free(h->mem);
    h->mem = arena_new();
    hash_table_init(&h->table, h->mem);
    h->all = NULL;
    h->is_partitioned = false;
    memset(h->inner_parts, 0, sizeof(h->inner_parts));
    memset(h->outer_parts, 0, sizeof(h->outer_parts));
    h->is_built = false;
    h->outer_row = NULL;
    h->at = NULL;
    h->drain = NULL;
    h->is_draining = false;
}

static SUSPENDS err_t hash_open_wait(struct node *n)
{
    struct hash_node *h = (struct hash_node *)n;
    slot_init(&h->keys, n->run->mem, n->plan->join.key_count);
    slot_init(&h->inner_row, n->run->mem, n->plan->inner->code->type_count);
    slot_init(&h->outer_copy, n->run->mem, n->plan->outer->code->type_count);
    strbuf_init(&h->key, n->run->mem);
    strbuf_init(&h->bytes, n->run->mem);
    h->outer_null = null_slot(n, n->plan->outer);
    h->inner_null = null_slot(n, n->plan->inner);
    hash_reset(h);
    return ERR_OK;
}

static SUSPENDS err_t make_key_wait(struct hash_node *h, bool is_outer, const struct slot *in,
                                    bool *has_null, uint64_t *hash)
{
    struct node *n = &h->node;
    const struct key_part *parts = is_outer ? n->code->outer_parts : n->code->inner_parts;
    n->eval.inputs[is_outer ? 0 : 1] = in;
    TRY(expr_eval_list_wait(is_outer ? n->code->outer_keys : n->code->inner_keys, &n->eval,
                            h->keys.values, h->keys.nulls));
    h->key.len = 0;
    *has_null = false;
    for (uint32_t i = 0; i < h->keys.count; i++) {
        *has_null |= h->keys.nulls[i];
        key_part_append(&parts[i], h->keys.values[i], h->keys.nulls[i], &h->key);
    }
    *hash = bytes_hash(h->key.data, h->key.len);
    return ERR_OK;
}

static SUSPENDS err_t part_add_wait(struct hash_node *h, struct row_store **parts, uint64_t hash,
                                    const void *row, size_t len)
{
    uint32_t i = (uint32_t)(hash >> (64 - PARTITION_BITS * (h->level + 1))) & (PARTITIONS - 1);
    if (parts[i] == NULL)
        parts[i] = row_store_new(h->node.run, PARTITION_BUDGET);
    return row_store_add_wait(parts[i], row, u32_from(len));
}

/* Everything in memory moves to partitions. */
static SUSPENDS err_t start_partitions_wait(struct hash_node *h)
{
    struct node *n = &h->node;
    h->is_partitioned = true;
    uint64_t bucket = 0;
    struct hash_entry *e = NULL;
    const struct row_layout *layout = n->inner->code->layout;
    while ((e = hash_table_next(&h->table, &bucket, e)) != NULL) {
        for (struct tuple *t = e->payload; t != NULL; t = t->next) {
            row_decode(layout, t->row, 0, h->inner_row.count, h->inner_row.values,
                       h->inner_row.nulls);
            h->bytes.len = 0;
            TRY(row_encode(layout, h->inner_row.values, h->inner_row.nulls, &h->bytes));
            TRY(part_add_wait(h, h->inner_parts, e->hash, h->bytes.data, h->bytes.len));
        }
        TRY(run_rest_wait(n->run));
    }
    /* NULL keys are not in the table, only in the list of all. */
    for (struct tuple *t = h->all; t != NULL; t = t->all_next)
        if (t->next == t) {
            row_decode(layout, t->row, 0, h->inner_row.count, h->inner_row.values,
                       h->inner_row.nulls);
            h->bytes.len = 0;
            TRY(row_encode(layout, h->inner_row.values, h->inner_row.nulls, &h->bytes));
            TRY(part_add_wait(h, h->inner_parts, 0, h->bytes.data, h->bytes.len));
        }
    arena_free(h->mem);
    h->mem = arena_new();
    hash_table_init(&h->table, h->mem);
    h->all = NULL;
    return ERR_OK;
}

static SUSPENDS err_t build_row_wait(struct hash_node *h, const struct slot *in)
{
    struct node *n = &h->node;
    bool has_null = false;
    uint64_t hash = 0;
    node_row_begin(n);
    TRY(make_key_wait(h, false, in, &has_null, &hash));
    h->inner_count++;
    h->inner_has_null |= has_null;
    if (has_null && !keeps_inner(n))
        return ERR_OK;
    h->bytes.len = 0;
    TRY(row_encode(n->inner->code->layout, in->values, in->nulls, &h->bytes));
    if (h->is_partitioned)
        return part_add_wait(h, h->inner_parts, has_null ? 0 : hash, h->bytes.data, h->bytes.len);
    void *memory = NULL;
    TRY(arena_alloc_try(h->mem, sizeof(struct tuple) + h->bytes.len, &memory));
    struct tuple *t = memory;
    *t = (struct tuple){.all_next = h->all};
    memcpy(t->row, h->bytes.data, h->bytes.len);
    h->all = t;
    if (has_null) {
        t->next = t; /* marks a tuple outside of the table */
    } else {
        struct hash_entry *e = hash_table_find(&h->table, hash, h->key.data, h->key.len);
        if (e == NULL)
            e = hash_table_add(&h->table, hash, h->key.data, h->key.len);
        t->next = e->payload;
        e->payload = t;
    }
    if (arena_bytes(h->mem) > n->run->work_mem && h->level < LEVEL_MAX)
        return start_partitions_wait(h);
    return ERR_OK;
}

static SUSPENDS err_t store_row_wait(struct row_reader *reader, const struct row_layout *layout,
                                     struct slot *into, const struct slot **out)
{
    const uint8_t *bytes = NULL;
    uint32_t len = 0;
    TRY(row_reader_next_wait(reader, &bytes, &len));
    *out = NULL;
    if (bytes != NULL) {
        row_decode(layout, bytes, 0, into->count, into->values, into->nulls);
        *out = into;
    }
    return ERR_OK;
}

/* Outer rows of this level into partitions, when the inner side is. */
static SUSPENDS err_t next_outer_wait(struct hash_node *h, const struct slot **out);
static SUSPENDS err_t partition_outer_wait(struct hash_node *h)
{
    struct node *n = &h->node;
    for (;;) {
        const struct slot *in = NULL;
        TRY(next_outer_wait(h, &in));
        if (in == NULL)
            return ERR_OK;
        bool has_null = false;
        uint64_t hash = 0;
        node_row_begin(n);
        TRY(make_key_wait(h, true, in, &has_null, &hash));
        if (has_null && !keeps_outer(n))
            continue;
        h->bytes.len = 0;
        TRY(row_encode(n->outer->code->layout, in->values, in->nulls, &h->bytes));
        TRY(part_add_wait(h, h->outer_parts, has_null ? 0 : hash, h->bytes.data, h->bytes.len));
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t next_outer_wait(struct hash_node *h, const struct slot **out)
{
    struct node *n = &h->node;
    if (h->current == NULL)
        return node_next_wait(n->outer, out);
    *out = NULL;
    if (h->current->outer == NULL)
        return ERR_OK;
    return store_row_wait(&h->outer_reader, n->outer->code->layout, &h->outer_copy, out);
}

static SUSPENDS err_t build_wait(struct hash_node *h)
{
    struct node *n = &h->node;
    h->is_built = true;
    if (h->current == NULL) {
        h->made_at = run_now(n->run);
        h->inner_count = 0;
        h->inner_has_null = false;
    }
    struct row_reader reader;
    if (h->current != NULL && h->current->inner != NULL)
        row_reader_init(&reader, h->current->inner);
    for (;;) {
        const struct slot *in = NULL;
        if (h->current == NULL)
            TRY(node_next_wait(n->inner, &in));
        else if (h->current->inner != NULL)
            TRY(store_row_wait(&reader, n->inner->code->layout, &h->inner_row, &in));
        if (in == NULL)
            break;
        TRY(build_row_wait(h, in));
        TRY(run_rest_wait(n->run));
    }
    if (h->current != NULL && h->current->outer != NULL)
        row_reader_init(&h->outer_reader, h->current->outer);
    if (!h->is_partitioned)
        return ERR_OK;
    if (h->current == NULL)
        h->was_partitioned = true;
    TRY(partition_outer_wait(h));
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        if (h->inner_parts[i] == NULL && h->outer_parts[i] == NULL)
            continue;
        struct pair *p = ARENA_NEW(n->run->mem, struct pair);
        *p = (struct pair){.next = h->pending,
                           .inner = h->inner_parts[i],
                           .outer = h->outer_parts[i],
                           .level = h->level + 1};
        h->pending = p;
    }
    return ERR_OK;
}

/* The level's rows are through: on to the next pair of partitions. */
static SUSPENDS void next_pair_wait(struct hash_node *h)
{
    if (h->current != NULL) {
        if (h->current->inner != NULL)
            row_store_end_wait(h->current->inner);
        if (h->current->outer != NULL)
            row_store_end_wait(h->current->outer);
    }
    if (h->pending == NULL) {
        h->is_done = true;
        return;
    }
    hash_reset(h);
    h->current = h->pending;
    h->pending = h->current->next;
    h->level = h->current->level;
}

static SUSPENDS err_t probe_wait(struct hash_node *h, bool *found)
{
    struct node *n = &h->node;
    *found = false;
    TRY(next_outer_wait(h, &h->outer_row));
    if (h->outer_row == NULL)
        return ERR_OK;
    *found = true;
    h->outer_matched = false;
    h->at = NULL;
    bool has_null = false;
    uint64_t hash = 0;
    node_row_begin(n);
    TRY(make_key_wait(h, true, h->outer_row, &has_null, &hash));
    if (n->plan->join.null_aware && n->plan->join.type == JOIN_ANTI) {
        /* x NOT IN (...): a NULL on either side makes the answer unknown. */
        if (h->inner_count > 0 && (has_null || h->inner_has_null)) {
            h->outer_matched = true;
            return ERR_OK;
        }
    }
    if (has_null)
        return ERR_OK;
    const struct hash_entry *e = hash_table_find(&h->table, hash, h->key.data, h->key.len);
    h->at = e != NULL ? e->payload : NULL;
    return ERR_OK;
}

/* Next joined pair of the current outer row. */
static SUSPENDS err_t match_wait(struct hash_node *h, bool *emit)
{
    struct node *n = &h->node;
    enum join_type type = n->plan->join.type;
    *emit = false;
    n->eval.inputs[0] = h->outer_row;
    while (h->at != NULL) {
        struct tuple *t = h->at;
        h->at = t->next;
        row_decode(n->inner->code->layout, t->row, 0, h->inner_row.count, h->inner_row.values,
                   h->inner_row.nulls);
        n->eval.inputs[1] = &h->inner_row;
        node_row_begin(n);
        bool match = true;
        if (n->code->condition != NULL)
            TRY(expr_eval_bool_wait(n->code->condition, &n->eval, &match));
        if (!match) {
            TRY(run_rest_wait(n->run));
            continue;
        }
        t->matched = true;
        h->outer_matched = true;
        if (type == JOIN_SEMI || type == JOIN_ANTI)
            h->at = NULL;
        *emit = type != JOIN_ANTI;
        if (*emit)
            return ERR_OK;
    }
    return ERR_OK;
}

static SUSPENDS err_t hash_step_wait(struct hash_node *h, bool *emit)
{
    struct node *n = &h->node;
    *emit = false;
    if (!h->is_built) {
        TRY(build_wait(h));
        if (h->is_partitioned) {
            next_pair_wait(h);
            return ERR_OK;
        }
        if (h->table.count == 0 && !keeps_outer(n) && !keeps_inner(n)) {
            next_pair_wait(h);
            return ERR_OK;
        }
    }
    if (h->is_draining) {
        struct tuple *t = h->drain;
        if (t == NULL) {
            next_pair_wait(h);
            return ERR_OK;
        }
        h->drain = t->all_next;
        if (t->matched)
            return ERR_OK;
        row_decode(n->inner->code->layout, t->row, 0, h->inner_row.count, h->inner_row.values,
                   h->inner_row.nulls);
        n->eval.inputs[0] = h->outer_null;
        n->eval.inputs[1] = &h->inner_row;
        *emit = true;
        return ERR_OK;
    }
    if (h->outer_row == NULL) {
        bool found = false;
        TRY(probe_wait(h, &found));
        if (!found) {
            if (keeps_inner(n)) {
                h->is_draining = true;
                h->drain = h->all;
            } else {
                next_pair_wait(h);
            }
            return ERR_OK;
        }
    }
    TRY(match_wait(h, emit));
    if (*emit)
        return ERR_OK;
    if (!h->outer_matched && keeps_outer(n)) {
        n->eval.inputs[0] = h->outer_row;
        n->eval.inputs[1] = h->inner_null;
        *emit = true;
    }
    h->outer_row = NULL;
    return ERR_OK;
}

static SUSPENDS err_t hash_next_wait(struct node *n, const struct slot **row)
{
    struct hash_node *h = (struct hash_node *)n;
    *row = NULL;
    while (!h->is_done) {
        bool emit = false;
        TRY(hash_step_wait(h, &emit));
        if (emit) {
            node_row_begin(n);
            TRY(node_filter_wait(n, &emit));
            if (emit)
                return node_project_wait(n, n->eval.inputs[0], row);
        }
        TRY(run_rest_wait(n->run));
    }
    return ERR_OK;
}

static SUSPENDS err_t hash_rescan_wait(struct node *n)
{
    struct hash_node *h = (struct hash_node *)n;
    bool keep =
        h->is_built && h->current == NULL && !h->was_partitioned && node_is_current(n, h->made_at);
    h->pending = NULL;
    h->current = NULL;
    h->level = 0;
    h->is_done = false;
    h->was_partitioned = false;
    h->outer_row = NULL;
    h->at = NULL;
    h->is_draining = false;
    TRY(node_rescan_wait(n->outer));
    if (keep) {
        for (struct tuple *t = h->all; t != NULL; t = t->all_next)
            t->matched = false;
        return ERR_OK;
    }
    hash_reset(h);
    return node_rescan_wait(n->inner);
}

static SUSPENDS void hash_close_wait(struct node *n)
{
    struct hash_node *h = (struct hash_node *)n;
    arena_free(h->mem);
    h->mem = NULL;
}

const struct node_ops node_hash_join_ops = {
    .bytes = sizeof(struct hash_node),
    .open = hash_open_wait,
    .next = hash_next_wait,
    .rescan = hash_rescan_wait,
    .close = hash_close_wait,
};
