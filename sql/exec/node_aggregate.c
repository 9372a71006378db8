/*
 * Aggregation: plain (one group), over sorted input (a group at a time), or hashed; whole, partial
 * (yields states as bytes) or final (merges such bytes); grouping sets.
 *
 * A hashed group lives in the node's arena: key bytes, group values as an encoded row, the states
 * of its aggregates. When the arena outgrows work_mem no new groups are made: input rows of other
 * keys are set aside in partitions by hash and aggregated afterwards. DISTINCT and ORDER BY inside
 * an aggregate gather the group's argument rows first and step over them, sorted, at the end.
 *
 * Slot 3 is what targets and filter (HAVING) see: group values, results, and last the number of the
 * row's grouping set (from which GROUPING() is computed).
 */
#include "sql/exec/exec_priv.h"

enum { PARTITION_BITS = 4, PARTITIONS = 1 << PARTITION_BITS, LEVEL_MAX = 12 };
enum { PARTITION_BUDGET = 32 * 1024 };
enum { STRATEGY_PLAIN, STRATEGY_HASHED, STRATEGY_SORTED };

struct collected { /* an argument row of an ordered or DISTINCT aggregate */
    uint32_t key_len;
    uint32_t row_at;            /* offset in data */
    _Alignas(8) uint8_t data[]; /* key, padded to 8; row */
};
struct collect {
    struct collected **rows;
    size_t count;
    size_t capacity;
    struct hash_table distinct;
    bool has_distinct;
};

struct group {
    uint32_t set;
    uint8_t *states;
    struct collect *collects; /* per aggregate; NULL when none collects */
    _Alignas(8) uint8_t row[];
};

struct pending {
    struct pending *next;
    struct row_store *store;
    uint32_t level;
};

struct aggregate_node {
    struct node node;
    int strategy;
    uint32_t count; /* of aggregates */
    uint32_t set_count;
    uint64_t *set_masks; /* bit: column left out */
    struct arena *mem;   /* groups */
    struct arena *old;   /* sorted: the group being emitted */
    struct hash_table table;
    struct aggregate_call *calls;
    void **call_states;
    datum *args; /* of the widest aggregate */
    bool *arg_nulls;
    struct slot keys;
    struct slot result; /* slot 3 */
    struct slot plain;  /* the same without the set's number */
    struct slot stored; /* input rows of partitions */
    struct strbuf key;
    struct strbuf last_key;
    struct strbuf bytes;
    struct strbuf sort_key;
    struct group *group; /* plain and sorted: the running one */
    struct row_store *parts[PARTITIONS];
    bool is_spilling;
    struct pending *pending;
    struct pending *current;
    struct row_reader reader;
    uint32_t level;
    uint64_t rows_in;
    bool is_filled;
    bool is_done;
    uint64_t bucket;
    struct hash_entry *entry;
};

static SUSPENDS err_t aggregate_open_wait(struct node *n)
{
    struct aggregate_node *a = (struct aggregate_node *)n;
    const struct plan_node *p = n->plan;
    struct arena *mem = n->run->mem;
    a->count = p->aggregate.aggregate_count;
    a->set_count = p->aggregate.sets != NULL ? p->aggregate.set_count : 1;
    a->strategy = p->aggregate.sets != NULL       ? STRATEGY_HASHED
                  : p->aggregate.group_count == 0 ? STRATEGY_PLAIN
                                                  : p->aggregate.strategy;
    if (a->strategy == STRATEGY_PLAIN && p->aggregate.group_count > 0)
        a->strategy = STRATEGY_HASHED;
    uint32_t groups = n->code->group_count;
    if (groups > 64 && p->aggregate.sets != NULL)
        return err_not_built("more than 64 columns in grouping sets are not supported yet");
    a->set_masks = ARENA_ARRAY(mem, uint64_t, a->set_count + 1);
    for (uint32_t i = 0; p->aggregate.sets != NULL && i < a->set_count; i++) {
        a->set_masks[i] = groups == 64 ? UINT64_MAX : ((uint64_t)1 << groups) - 1;
        for (uint32_t k = 0; k < p->aggregate.sets[i].count; k++)
            a->set_masks[i] &= ~((uint64_t)1 << p->aggregate.sets[i].members[k]);
    }
    uint32_t widest = 1;
    a->calls = ARENA_ARRAY(mem, struct aggregate_call, a->count + 1);
    a->call_states = ARENA_ARRAY(mem, void *, a->count + 1);
    for (uint32_t i = 0; i < a->count; i++)
        widest = MAX(widest, p->aggregate.aggregates[i].arg_count);
    a->args = ARENA_ARRAY(mem, datum, widest);
    a->arg_nulls = ARENA_ARRAY(mem, bool, widest);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct plan_aggregate *pa = &p->aggregate.aggregates[i];
        a->calls[i].call = (struct call){.func = pa->func,
                                         .env = n->run->env,
                                         .mem = n->row_mem,
                                         .state_mem = mem,
                                         .state = &a->call_states[i],
                                         .arg_types = n->code->aggregates[i].arg_types,
                                         .result_type = pa->type,
                                         .typmod = -1,
                                         .arg_count = pa->arg_count,
                                         .args = a->args,
                                         .nulls = a->arg_nulls};
    }
    slot_init(&a->keys, mem, groups);
    slot_init(&a->result, mem, groups + a->count + 1);
    a->plain = a->result;
    a->plain.count--;
    slot_init(&a->stored, mem, n->plan->outer->code->type_count);
    strbuf_init(&a->key, mem);
    strbuf_init(&a->last_key, mem);
    strbuf_init(&a->bytes, mem);
    strbuf_init(&a->sort_key, mem);
    a->mem = arena_new();
    hash_table_init(&a->table, a->mem);
    n->eval.inputs[3] = &a->result;
    return ERR_OK;
}

/* ---- groups ---- */

static err_t group_new(struct aggregate_node *a, uint32_t set, struct group **out)
{
    struct node *n = &a->node;
    a->bytes.len = 0;
    TRY(row_encode(n->code->group_layout, a->keys.values, a->keys.nulls, &a->bytes));
    struct group *g = arena_alloc(a->mem, sizeof(*g) + a->bytes.len);
    g->set = set;
    g->states = arena_zalloc(a->mem, n->code->state_bytes + 16);
    g->collects = NULL;
    memcpy(g->row, a->bytes.data, a->bytes.len);
    for (uint32_t i = 0; i < a->count; i++)
        if (n->code->aggregates[i].collects) {
            g->collects = ARENA_ARRAY(a->mem, struct collect, a->count);
            break;
        }
    *out = g;
    return ERR_OK;
}

static err_t collect_add(struct aggregate_node *a, const struct aggregate_code *code,
                         struct collect *c, const datum *order, const bool *order_nulls,
                         uint32_t arg_count)
{
    ASSUME(c != NULL);
    if (code->distinct_parts != NULL) {
        if (!c->has_distinct) {
            hash_table_init(&c->distinct, a->mem);
            c->has_distinct = true;
        }
        a->sort_key.len = 0;
        for (uint32_t i = 0; i < arg_count; i++)
            key_part_append(&code->distinct_parts[i], a->args[i], a->arg_nulls[i], &a->sort_key);
        uint64_t hash = bytes_hash(a->sort_key.data, a->sort_key.len);
        if (hash_table_find(&c->distinct, hash, a->sort_key.data, a->sort_key.len) != NULL)
            return ERR_OK;
        hash_table_add(&c->distinct, hash, a->sort_key.data, a->sort_key.len);
    }
    a->sort_key.len = 0;
    for (uint32_t i = 0; i < code->order_count; i++)
        key_append(&code->order_columns[i], order[code->order_indexes[i]],
                   order_nulls[code->order_indexes[i]], &a->sort_key);
    a->bytes.len = 0;
    TRY(row_encode(code->arg_layout, a->args, a->arg_nulls, &a->bytes));
    size_t key_bytes = (a->sort_key.len + 7) & ~(size_t)7;
    void *memory = NULL;
    TRY(arena_alloc_try(a->mem, sizeof(struct collected) + key_bytes + a->bytes.len, &memory));
    struct collected *row = memory;
    row->key_len = u32_from(a->sort_key.len);
    row->row_at = u32_from(key_bytes);
    if (a->sort_key.len > 0)
        memcpy(row->data, a->sort_key.data, a->sort_key.len);
    memcpy(row->data + key_bytes, a->bytes.data, a->bytes.len);
    if (c->count == c->capacity) {
        size_t capacity = c->capacity == 0 ? 8 : c->capacity * 2;
        struct collected **rows = arena_alloc(a->mem, sizeof(*rows) * capacity);
        if (c->count > 0)
            memcpy(rows, c->rows, sizeof(*rows) * c->count);
        c->rows = rows;
        c->capacity = capacity;
    }
    c->rows[c->count++] = row;
    return ERR_OK;
}

static bool any_null(const bool *nulls, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (nulls[i])
            return true;
    return false;
}

static err_t call_step(struct aggregate_node *a, uint32_t i, struct group *g)
{
    const struct aggregate_code *code = &a->node.code->aggregates[i];
    struct aggregate_call *c = &a->calls[i];
    if (!code->aggregate->step_on_null && any_null(a->arg_nulls, c->call.arg_count))
        return ERR_OK;
    c->mem = a->mem;
    c->call.mem = a->node.row_mem;
    c->call.is_null = false;
    return code->aggregate->step(c, g->states + code->state_offset);
}

/* A state's bytes from a partial aggregation. */
static err_t call_merge(struct aggregate_node *a, uint32_t i, struct group *g,
                        const struct slot *in)
{
    const struct aggregate_code *code = &a->node.code->aggregates[i];
    uint32_t column = a->node.code->group_count + i;
    if (column >= in->count)
        return err_raise(ERR_INTERNAL_ERROR, "partial aggregate %u is missing", i);
    if (in->nulls[column])
        return ERR_OK;
    const struct varlen *v = datum_varlen(in->values[column]);
    struct aggregate_call *c = &a->calls[i];
    c->mem = a->mem;
    c->call.mem = a->node.row_mem;
    return code->aggregate->merge(c, g->states + code->state_offset, v->data, v->len);
}

/* One input row into a group. */
static SUSPENDS err_t group_step_wait(struct aggregate_node *a, struct group *g,
                                      const struct slot *in)
{
    struct node *n = &a->node;
    bool is_final = n->plan->aggregate.stage == AGGREGATE_FINAL;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct aggregate_code *code = &n->code->aggregates[i];
        if (is_final) {
            TRY(call_merge(a, i, g, in));
            continue;
        }
        if (code->filter != NULL) {
            bool pass = false;
            TRY(expr_eval_bool_wait(code->filter, &n->eval, &pass));
            if (!pass)
                continue;
        }
        uint32_t arg_count = a->calls[i].call.arg_count;
        if (arg_count > 0)
            TRY(expr_eval_list_wait(code->args, &n->eval, a->args, a->arg_nulls));
        if (!code->collects) {
            TRY(call_step(a, i, g));
            continue;
        }
        if (!code->aggregate->step_on_null && any_null(a->arg_nulls, arg_count))
            continue;
        if (code->order == code->args) {
            TRY(collect_add(a, code, &g->collects[i], a->args, a->arg_nulls, arg_count));
            continue;
        }
        uint32_t columns = 0;
        for (uint32_t k = 0; k < code->order_count; k++)
            columns = MAX(columns, code->order_indexes[k] + 1);
        datum *order = ARENA_ARRAY(n->row_mem, datum, columns);
        bool *order_nulls = ARENA_ARRAY(n->row_mem, bool, columns);
        TRY(expr_eval_list_wait(code->order, &n->eval, order, order_nulls));
        TRY(collect_add(a, code, &g->collects[i], order, order_nulls, arg_count));
    }
    return ERR_OK;
}

static int collected_compare(const struct collected *x, const struct collected *y)
{
    int order = memcmp(x->data, y->data, MIN(x->key_len, y->key_len));
    return order != 0 ? order : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

/* Stable merge sort, then every row steps. */
static SUSPENDS err_t collect_finish_wait(struct aggregate_node *a, uint32_t i, struct group *g)
{
    const struct aggregate_code *code = &a->node.code->aggregates[i];
    struct collect *c = &g->collects[i];
    ASSUME(c != NULL);
    struct collected **spare = arena_alloc(a->mem, sizeof(*spare) * (c->count + 1));
    uint64_t work = 0;
    for (size_t width = 1; width < c->count; width *= 2) {
        for (size_t from = 0; from < c->count; from += 2 * width) {
            size_t middle = MIN(from + width, c->count);
            size_t end = MIN(from + 2 * width, c->count);
            size_t x = from;
            size_t y = middle;
            for (size_t k = from; k < end; k++) {
                bool left =
                    x < middle && (y >= end || collected_compare(c->rows[x], c->rows[y]) <= 0);
                spare[k] = left ? c->rows[x++] : c->rows[y++];
                if (++work % 4096 == 0)
                    TRY(run_rest_wait(a->node.run));
            }
        }
        struct collected **swap = c->rows;
        c->rows = spare;
        spare = swap;
    }
    for (size_t k = 0; k < c->count; k++) {
        const struct collected *row = c->rows[k];
        row_decode(code->arg_layout, row->data + row->row_at, 0, a->calls[i].call.arg_count,
                   a->args, a->arg_nulls);
        TRY(call_step(a, i, g));
        if (k % 256 == 255)
            TRY(run_rest_wait(a->node.run));
    }
    return ERR_OK;
}

/* The group's row into slot 3. */
static SUSPENDS err_t group_finish_wait(struct aggregate_node *a, struct group *g)
{
    struct node *n = &a->node;
    uint32_t groups = n->code->group_count;
    node_row_begin(n);
    row_decode(n->code->group_layout, g->row, 0, groups, a->result.values, a->result.nulls);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct aggregate_code *code = &n->code->aggregates[i];
        struct aggregate_call *c = &a->calls[i];
        datum *value = &a->result.values[groups + i];
        bool *is_null = &a->result.nulls[groups + i];
        if (code->collects && n->plan->aggregate.stage != AGGREGATE_FINAL)
            TRY(collect_finish_wait(a, i, g));
        c->mem = a->mem;
        c->call.mem = n->row_mem;
        if (n->plan->aggregate.stage == AGGREGATE_PARTIAL) {
            struct strbuf bytes;
            strbuf_init(&bytes, n->row_mem);
            TRY(code->aggregate->save(c, g->states + code->state_offset, &bytes));
            *value = datum_of_varlen(
                varlen_new(n->row_mem, bytes.len > 0 ? bytes.data : "", u32_from(bytes.len)));
            *is_null = false;
            continue;
        }
        *value = 0;
        *is_null = false;
        TRY(code->aggregate->final(c, g->states + code->state_offset, value, is_null));
    }
    a->result.values[groups + a->count] = datum_of_i32((int32_t)g->set);
    a->result.nulls[groups + a->count] = false;
    return ERR_OK;
}

/* ---- input ---- */

static SUSPENDS err_t eval_keys_wait(struct aggregate_node *a, const struct slot *in)
{
    struct node *n = &a->node;
    node_row_begin(n);
    n->eval.inputs[0] = in;
    return expr_eval_list_wait(n->code->outer_keys, &n->eval, a->keys.values, a->keys.nulls);
}

static void make_key(struct aggregate_node *a, uint32_t set)
{
    a->key.len = 0;
    if (a->set_count > 1) {
        uint8_t bytes[4];
        store_u32(bytes, set);
        ERR_IGNORE(strbuf_put(&a->key, bytes, 4));
    }
    for (uint32_t i = 0; i < a->keys.count; i++)
        key_part_append(&a->node.code->outer_parts[i], a->keys.values[i], a->keys.nulls[i],
                        &a->key);
}

static SUSPENDS err_t spill_wait(struct aggregate_node *a, uint32_t set, uint64_t hash,
                                 const struct slot *in)
{
    struct node *n = &a->node;
    uint32_t i = (uint32_t)(hash >> (64 - PARTITION_BITS * (a->level + 1))) & (PARTITIONS - 1);
    if (a->parts[i] == NULL)
        a->parts[i] = row_store_new(n->run, PARTITION_BUDGET);
    a->bytes.len = 0;
    uint8_t head[8] = {0};
    store_u32(head, set);
    TRY(strbuf_put(&a->bytes, head, sizeof(head)));
    struct strbuf row;
    strbuf_init(&row, n->row_mem);
    TRY(row_encode(n->outer->code->layout, in->values, in->nulls, &row));
    TRY(strbuf_put(&a->bytes, row.data, row.len));
    return row_store_add_wait(a->parts[i], a->bytes.data, u32_from(a->bytes.len));
}

/* One row into its group of one grouping set. */
static SUSPENDS err_t hashed_row_wait(struct aggregate_node *a, uint32_t set, const struct slot *in)
{
    struct node *n = &a->node;
    TRY(eval_keys_wait(a, in));
    for (uint32_t i = 0; a->set_masks[set] != 0 && i < a->keys.count; i++)
        if ((a->set_masks[set] >> i) & 1) {
            a->keys.nulls[i] = true;
            a->keys.values[i] = 0;
        }
    make_key(a, set);
    uint64_t hash = bytes_hash(a->key.data, a->key.len);
    struct hash_entry *e = hash_table_find(&a->table, hash, a->key.data, a->key.len);
    if (e == NULL) {
        if (!a->is_spilling)
            a->is_spilling = arena_bytes(a->mem) > n->run->work_mem && a->table.count > 0 &&
                             a->level < LEVEL_MAX;
        if (a->is_spilling)
            return spill_wait(a, set, hash, in);
        struct group *g = NULL;
        TRY(group_new(a, set, &g));
        e = hash_table_add(&a->table, hash, a->key.data, a->key.len);
        e->payload = g;
    }
    return group_step_wait(a, e->payload, in);
}

/* An empty grouping set has one group, rows or not. */
static err_t empty_sets(struct aggregate_node *a)
{
    struct node *n = &a->node;
    if (a->rows_in > 0 || n->plan->aggregate.sets == NULL)
        return ERR_OK;
    memset(a->keys.nulls, true, a->keys.count);
    for (uint32_t set = 0; set < a->set_count; set++) {
        if (n->plan->aggregate.sets[set].count > 0)
            continue;
        make_key(a, set);
        struct group *g = NULL;
        TRY(group_new(a, set, &g));
        struct hash_entry *e =
            hash_table_add(&a->table, bytes_hash(a->key.data, a->key.len), a->key.data, a->key.len);
        e->payload = g;
    }
    return ERR_OK;
}

static SUSPENDS err_t hashed_fill_wait(struct aggregate_node *a)
{
    struct node *n = &a->node;
    a->is_filled = true;
    while (a->current == NULL) {
        const struct slot *in = NULL;
        TRY(node_next_wait(n->outer, &in));
        if (in == NULL)
            return empty_sets(a);
        a->rows_in++;
        for (uint32_t set = 0; set < a->set_count; set++)
            TRY(hashed_row_wait(a, set, in));
        TRY(run_rest_wait(n->run));
    }
    row_reader_init(&a->reader, a->current->store);
    for (;;) {
        const uint8_t *bytes = NULL;
        uint32_t len = 0;
        TRY(row_reader_next_wait(&a->reader, &bytes, &len));
        if (bytes == NULL)
            break;
        row_decode(n->outer->code->layout, bytes + 8, 0, a->stored.count, a->stored.values,
                   a->stored.nulls);
        TRY(hashed_row_wait(a, load_u32(bytes), &a->stored));
        TRY(run_rest_wait(n->run));
    }
    row_store_end_wait(a->current->store);
    return ERR_OK;
}

static void hashed_reset(struct aggregate_node *a)
{
    arena_free(a->mem);
    a->mem = arena_new();
    hash_table_init(&a->table, a->mem);
    memset(a->parts, 0, sizeof(a->parts));
    a->is_spilling = false;
    a->is_filled = false;
    a->bucket = 0;
    a->entry = NULL;
}

/* All groups of this level are out: what was set aside comes next. */
static void hashed_next_level(struct aggregate_node *a)
{
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        if (a->parts[i] == NULL)
            continue;
        struct pending *p = ARENA_NEW(a->node.run->mem, struct pending);
        *p = (struct pending){.next = a->pending, .store = a->parts[i], .level = a->level + 1};
        a->pending = p;
    }
    if (a->pending == NULL) {
        a->is_done = true;
        return;
    }
    hashed_reset(a);
    a->current = a->pending;
    a->pending = a->current->next;
    a->level = a->current->level;
}

static SUSPENDS err_t hashed_next_wait(struct aggregate_node *a, bool *found)
{
    *found = false;
    while (!a->is_done) {
        if (!a->is_filled)
            TRY(hashed_fill_wait(a));
        a->entry = hash_table_next(&a->table, &a->bucket, a->entry);
        if (a->entry != NULL) {
            *found = true;
            return group_finish_wait(a, a->entry->payload);
        }
        hashed_next_level(a);
    }
    return ERR_OK;
}

static SUSPENDS err_t plain_next_wait(struct aggregate_node *a, bool *found)
{
    struct node *n = &a->node;
    *found = !a->is_done;
    if (a->is_done)
        return ERR_OK;
    a->is_done = true;
    struct group *g = NULL;
    TRY(group_new(a, 0, &g));
    for (;;) {
        const struct slot *in = NULL;
        TRY(node_next_wait(n->outer, &in));
        if (in == NULL)
            return group_finish_wait(a, g);
        node_row_begin(n);
        n->eval.inputs[0] = in;
        TRY(group_step_wait(a, g, in));
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t sorted_next_wait(struct aggregate_node *a, bool *found)
{
    struct node *n = &a->node;
    *found = false;
    if (a->is_done)
        return ERR_OK;
    for (;;) {
        const struct slot *in = NULL;
        TRY(node_next_wait(n->outer, &in));
        if (in == NULL) {
            a->is_done = true;
            *found = a->group != NULL;
            return a->group != NULL ? group_finish_wait(a, a->group) : ERR_OK;
        }
        TRY(eval_keys_wait(a, in));
        make_key(a, 0);
        bool same = a->group != NULL && a->key.len == a->last_key.len &&
                    memcmp(a->key.data, a->last_key.data, a->key.len) == 0;
        struct group *finished = NULL;
        if (!same) {
            /* The new group begins in the other arena, so the finished one can be emitted. */
            finished = a->group;
            struct arena *swap = a->old != NULL ? a->old : arena_new();
            a->old = a->mem;
            a->mem = swap;
            arena_reset(a->mem);
            TRY(group_new(a, 0, &a->group));
            struct strbuf key = a->last_key;
            a->last_key = a->key;
            a->key = key;
        }
        TRY(group_step_wait(a, a->group, in));
        if (finished != NULL) {
            struct arena *running = a->mem;
            a->mem = a->old;
            err_t e = group_finish_wait(a, finished);
            a->mem = running;
            *found = true;
            return e;
        }
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t aggregate_next_wait(struct node *n, const struct slot **row)
{
    struct aggregate_node *a = (struct aggregate_node *)n;
    *row = NULL;
    for (;;) {
        bool found = false;
        if (a->strategy == STRATEGY_PLAIN)
            TRY(plain_next_wait(a, &found));
        else if (a->strategy == STRATEGY_SORTED)
            TRY(sorted_next_wait(a, &found));
        else
            TRY(hashed_next_wait(a, &found));
        if (!found)
            return ERR_OK;
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &a->plain, row);
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t aggregate_rescan_wait(struct node *n)
{
    struct aggregate_node *a = (struct aggregate_node *)n;
    hashed_reset(a);
    a->pending = NULL;
    a->current = NULL;
    a->level = 0;
    a->rows_in = 0;
    a->group = NULL;
    a->is_done = false;
    return node_rescan_wait(n->outer);
}

static SUSPENDS void aggregate_close_wait(struct node *n)
{
    struct aggregate_node *a = (struct aggregate_node *)n;
    arena_free(a->mem);
    arena_free(a->old);
    a->mem = NULL;
    a->old = NULL;
}

const struct node_ops node_aggregate_ops = {
    .bytes = sizeof(struct aggregate_node),
    .open = aggregate_open_wait,
    .next = aggregate_next_wait,
    .rescan = aggregate_rescan_wait,
    .close = aggregate_close_wait,
};
