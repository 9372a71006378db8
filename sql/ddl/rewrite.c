/*
 * Moving all rows of a table into new files: redistribution by a new shard key, changed columns,
 * and filling the map table of a global unique index.
 *
 * A router per source shard: it takes batches of rows from the source's core, makes the new rows,
 * and sends them in batches to the shards where they belong. A router normally runs on its source's
 * core; when an expression needs the session (nextval) all run on the session's core, one after the
 * other.
 *
 * Beside writers (a map table that is built concurrently) the rows are those that the snapshot
 * sees, and each goes to the map as it is there, not as a change of the transaction
 * (shard/bring.c).
 */
#include "sql/ddl/ddl_priv.h"
#include "sql/exec/map.h"

enum { SOURCE_BYTES = 256 << 10, TARGET_BYTES = 256 << 10, CELL_HEAD = 16 };

struct out_batch {
    uint8_t *bytes; /* u64 length, row padded to 8, ... */
    size_t used;
    size_t room;
    uint32_t rows;
};

struct router {
    struct core_call call;
    const struct rewrite *r;
    const struct session_env *env;
    uint32_t source;
    uint32_t targets;
    struct txn_view read_view;
    struct txn_view *views; /* per target */
    struct out_batch *out;  /* per target; only those in use have memory */
    uint8_t *in;            /* u64 length, u64 row id, row padded to 8, ... */
    size_t in_room;
    struct arena *mem;
    struct program **programs;
    struct eval eval;
    struct slot slot;
    datum *new_values;
    bool *new_nulls;
    struct strbuf row;
};

/* ---- on the source's core ---- */

struct source {
    uint32_t shard;
    struct txn_view view;
    file_id heap;
    bool is_settled;   /* only what no crash can take */
    struct arena *mem; /* of the source's core */
    struct heap_scan *scan;
    uint8_t *buffer;
    size_t room;
    size_t used;
    size_t need; /* room that the row at hand wants */
    bool at_end;
    bool has_row; /* one was read that did not fit */
    row_id id;
    const uint8_t *row;
    uint32_t len;
};

static SUSPENDS err_t source_fill_wait(struct source *s)
{
    s->used = 0;
    s->need = 0;
    if (!s->scan) {
        s->mem = arena_new();
        TRY(heap_scan_begin_wait(shard_local(s->shard), &s->view, s->heap, s->mem, &s->scan));
    }
    for (;;) {
        if (!s->has_row) {
            TRY(heap_scan_next_wait(s->scan, &s->id, &s->row, &s->len));
            if (s->id == ROW_ID_NONE) {
                s->at_end = true;
                return ERR_OK;
            }
            s->has_row = true;
        }
        size_t cell = CELL_HEAD + (((size_t)s->len + 7) & ~(size_t)7);
        if (s->used + cell > s->room) {
            s->need = cell;
            return fiber_rest_wait();
        }
        store_u64(s->buffer + s->used, s->len);
        store_u64(s->buffer + s->used + 8, s->id);
        memcpy(s->buffer + s->used + CELL_HEAD, s->row, s->len);
        s->used += cell;
        s->has_row = false;
    }
}

static SUSPENDS err_t source_next(void *arg)
{
    struct source *s = arg;
    TRY(source_fill_wait(s));
    return s->is_settled ? shard_flush_wait(shard_local(s->shard), s->view.observed) : ERR_OK;
}

static err_t source_end(void *arg)
{
    struct source *s = arg;
    if (s->scan)
        heap_scan_end(s->scan);
    arena_free(s->mem);
    return ERR_OK;
}

/* ---- on the target's core ---- */

struct delivery {
    uint32_t shard;
    struct txn_view *view;
    file_id heap;
    const uint8_t *bytes;
    size_t used;
    const struct plan_table *map; /* rows of it are brought in */
    const struct session_env *env;
};

static SUSPENDS err_t bring_wait(struct delivery *d, struct key_maker *k, struct arena *mem)
{
    struct strbuf row;
    bool skip;
    bool has_null;
    strbuf_init(&row, mem);
    for (size_t at = 0; at < d->used;) {
        uint64_t len = load_u64(d->bytes + at);
        bool is_conflict;
        strbuf_reset(&row);
        TRY(strbuf_put(&row, d->bytes + at + 8, len));
        TRY(key_make_wait(k, (const uint8_t *)row.data, &skip, &has_null));
        TRY(map_bring_wait(d->map, d->shard, d->view, &row, &k->key, true, &is_conflict));
        if (is_conflict)
            return ddl_duplicate_error(d->map, k->x, d->env, k, mem);
        at += 8 + ((len + 7) & ~(uint64_t)7);
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

static SUSPENDS err_t bring(struct delivery *d)
{
    struct arena *mem = arena_new();
    struct key_maker *k = ARENA_NEW(mem, struct key_maker);
    err_t e = key_maker_init(k, d->map, &d->map->indexes[0], d->env, mem);
    if (e == ERR_OK)
        e = bring_wait(d, k, mem);
    arena_free(k->eval.mem);
    arena_free(mem);
    return e;
}

static SUSPENDS err_t deliver(void *arg)
{
    struct delivery *d = arg;
    struct shard *s = shard_local(d->shard);
    if (d->map)
        return bring(d);
    uint32_t n = 0;
    for (size_t at = 0; at < d->used;) {
        uint64_t len = load_u64(d->bytes + at);
        row_id id;
        TRY(row_insert_wait(s, d->view, d->heap, d->bytes + at + 8, (uint32_t)len, &id));
        at += 8 + ((len + 7) & ~(uint64_t)7);
        if ((++n & 63) == 0)
            TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

static SUSPENDS err_t router_flush_wait(struct router *q, uint32_t target)
{
    struct out_batch *o = &q->out[target];
    if (o->used == 0)
        return ERR_OK;
    struct delivery d = {.shard = target,
                         .view = &q->views[target],
                         .heap = q->r->to->file,
                         .bytes = o->bytes,
                         .used = o->used,
                         .map = q->r->beside_writers ? q->r->to : NULL,
                         .env = q->env};
    err_t e = core_call_wait(shard_core(target), deliver, &d);
    o->used = 0;
    o->rows = 0;
    return e;
}

static SUSPENDS err_t router_put_wait(struct router *q, uint32_t target, const void *row,
                                      size_t len)
{
    struct out_batch *o = &q->out[target];
    size_t cell = 8 + ((len + 7) & ~(size_t)7);
    if (o->used + cell > o->room) {
        TRY(router_flush_wait(q, target));
        if (cell > o->room) {
            o->room = MAX(cell, (size_t)TARGET_BYTES);
            o->bytes = core_realloc(o->bytes, o->room);
        }
    }
    store_u64(o->bytes + o->used, len);
    memcpy(o->bytes + o->used + 8, row, len);
    o->used += cell;
    return ERR_OK;
}

/* ---- making rows ---- */

static SUSPENDS err_t router_init_wait(struct router *q)
{
    const struct rewrite *r = q->r;
    uint32_t n = r->from->column_count;
    q->mem = arena_new();
    q->in_room = SOURCE_BYTES;
    q->in = core_malloc(q->in_room);
    q->out = ARENA_ARRAY(q->mem, struct out_batch, q->targets);
    q->slot =
        (struct slot){ARENA_ARRAY(q->mem, datum, n + 3), ARENA_ARRAY(q->mem, bool, n + 3), n + 3};
    q->eval = (struct eval){.env = q->env, .mem = arena_new(), .state_mem = q->mem};
    q->eval.inputs[0] = &q->slot;
    uint32_t count = r->to->column_count;
    q->new_values = ARENA_ARRAY(q->mem, datum, count + 1);
    q->new_nulls = ARENA_ARRAY(q->mem, bool, count + 1);
    q->programs = ARENA_ARRAY(q->mem, struct program *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct expr *e = NULL;
        if (r->map_of && i < r->map_of->key_count)
            e = r->map_of->expressions[i];
        else if (r->computed)
            e = r->computed[i];
        if (e)
            TRY(expr_compile(q->mem, e, &q->programs[i]));
    }
    if (r->map_of && r->map_of->predicate)
        TRY(expr_compile(q->mem, r->map_of->predicate, &q->programs[count]));
    strbuf_init(&q->row, q->mem);
    return ERR_OK;
}

static uint32_t target_of(const struct router *q, const datum *values, const bool *nulls)
{
    const struct plan_table *to = q->r->to;
    if (to->distribution != DISTRIBUTED_HASH)
        return q->source;
    datum key[32];
    for (uint32_t i = 0; i < to->shard_key_count; i++) {
        uint32_t column = (uint32_t)to->shard_key[i] - 1;
        if (nulls[column])
            return 0; /* rows whose key is null live on the first shard */
        key[i] = values[column];
    }
    return shard_of_hash(key_hash(to->shard_key_columns, to->shard_key_count, key));
}

static SUSPENDS err_t router_map_row_wait(struct router *q, row_id id)
{
    const struct plan_index *x = q->r->map_of;
    bool has_null = false;
    if (q->programs[q->r->to->column_count]) {
        bool in;
        TRY(expr_eval_bool_wait(q->programs[q->r->to->column_count], &q->eval, &in));
        if (!in)
            return ERR_OK;
    }
    for (uint32_t i = 0; i < x->key_count; i++) {
        if (q->programs[i]) {
            TRY(expr_eval_wait(q->programs[i], &q->eval, &q->new_values[i], &q->new_nulls[i]));
        } else {
            q->new_values[i] = q->slot.values[x->attnos[i] - 1];
            q->new_nulls[i] = q->slot.nulls[x->attnos[i] - 1];
        }
        has_null = has_null || q->new_nulls[i];
    }
    if (has_null && !x->nulls_not_distinct)
        return ERR_OK; /* cannot conflict: not in the map */
    q->new_values[x->key_count] = datum_of_i32((int32_t)q->source);
    q->new_values[x->key_count + 1] = datum_of_i64((int64_t)id);
    q->new_nulls[x->key_count] = false;
    q->new_nulls[x->key_count + 1] = false;
    strbuf_reset(&q->row);
    TRY(row_encode(q->r->to->layout, q->new_values, q->new_nulls, &q->row));
    return router_put_wait(q, target_of(q, q->new_values, q->new_nulls), q->row.data, q->row.len);
}

static err_t not_null_error(const struct router *q, uint32_t column)
{
    const struct plan_table *to = q->r->to;
    err_t e =
        err_raise(ERR_NOT_NULL_VIOLATION, "column \"%s\" of relation \"%s\" contains null values",
                  to->column_names[column], to->name);
    err_object(to->schema_name, to->name, to->column_names[column], NULL, NULL);
    return e;
}

static SUSPENDS err_t router_row_wait(struct router *q, row_id id, const uint8_t *row, size_t len)
{
    const struct rewrite *r = q->r;
    uint32_t n = r->from->column_count;
    arena_reset(q->eval.mem);
    ddl_row_read(r->from, row, n, q->slot.values, q->slot.nulls);
    if (r->map_of)
        return router_map_row_wait(q, id);
    if (!r->computed)
        return router_put_wait(q, target_of(q, q->slot.values, q->slot.nulls), row, len);
    for (uint32_t i = 0; i < r->to->column_count; i++) {
        if (q->programs[i]) {
            TRY(expr_eval_wait(q->programs[i], &q->eval, &q->new_values[i], &q->new_nulls[i]));
        } else if (i < n) {
            q->new_values[i] = q->slot.values[i];
            q->new_nulls[i] = q->slot.nulls[i];
        } else {
            q->new_nulls[i] = true;
        }
        if (r->to->column_names[i] == NULL)
            q->new_nulls[i] = true; /* dropped: its old values go */
        if (q->new_nulls[i] && r->check_not_null && r->to->not_null[i])
            return not_null_error(q, i);
    }
    strbuf_reset(&q->row);
    TRY(row_encode(r->to->layout, q->new_values, q->new_nulls, &q->row));
    return router_put_wait(q, target_of(q, q->new_values, q->new_nulls), q->row.data, q->row.len);
}

static SUSPENDS err_t router_loop_wait(struct router *q, struct source *s)
{
    while (!s->at_end) {
        s->buffer = q->in;
        s->room = q->in_room;
        TRY(core_call_wait(shard_core(q->source), source_next, s));
        for (size_t at = 0; at < s->used;) {
            uint64_t len = load_u64(q->in + at);
            TRY(router_row_wait(q, load_u64(q->in + at + 8), q->in + at + CELL_HEAD, len));
            at += CELL_HEAD + ((len + 7) & ~(uint64_t)7);
            TRY(fiber_rest_wait());
        }
        if (s->need > q->in_room) {
            q->in_room = s->need;
            q->in = core_realloc(q->in, q->in_room);
        }
    }
    for (uint32_t i = 0; i < q->targets; i++)
        TRY(router_flush_wait(q, i));
    return ERR_OK;
}

static SUSPENDS err_t router_run(void *arg)
{
    struct router *q = arg;
    struct source s = {.shard = q->source, .view = q->read_view, .heap = q->r->from->file};
    s.is_settled = q->r->beside_writers;
    if (!q->r->beside_writers)
        s.view.snapshot = UINT64_MAX - 1;
    err_t e = router_init_wait(q);
    if (e == ERR_OK)
        e = router_loop_wait(q, &s);
    struct diag *kept = NULL;
    if (e != ERR_OK) {
        kept = core_malloc(sizeof(*kept));
        diag_copy(kept, err_diag());
    }
    ERR_IGNORE(core_call_wait(shard_core(q->source), source_end, &s));
    for (uint32_t i = 0; i < q->targets; i++)
        core_free(q->out[i].bytes);
    core_free(q->in);
    arena_free(q->eval.mem);
    arena_free(q->mem);
    if (kept) {
        e = err_adopt(kept);
        core_free(kept);
    }
    return e;
}

err_t ddl_rewrite_wait(struct ddl_context *x, const struct rewrite *r)
{
    uint32_t n = shard_count();
    struct txn *t = x->catalog->txn;
    struct router *routers = core_zalloc(sizeof(*routers) * n);
    err_t first = ERR_OK;
    struct diag *kept = NULL;
    for (uint32_t i = 0; i < n; i++) {
        struct router *q = &routers[i];
        q->r = r;
        q->env = x->env;
        q->source = i;
        q->targets = n;
        q->read_view = txn_view_make(t, i, true);
        q->views = core_malloc(sizeof(struct txn_view) * n);
        for (uint32_t k = 0; k < n; k++) {
            q->views[k] = q->read_view;
            q->views[k].shard_no = k;
            txn_enlist(t, k);
        }
        if (!r->on_session_core)
            core_call_start(&q->call, shard_core(i), router_run, q);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct router *q = &routers[i];
        err_t e = ERR_OK;
        if (!r->on_session_core)
            e = core_call_join_wait(&q->call);
        else if (first == ERR_OK)
            e = router_run(q);
        for (uint32_t k = 0; k < n; k++)
            txn_merge(t, k, &q->views[k]);
        core_free(q->views);
        if (e == ERR_OK || first != ERR_OK)
            continue;
        first = e;
        kept = core_malloc(sizeof(*kept));
        diag_copy(kept, err_diag());
    }
    core_free(routers);
    txn_advance(t);
    if (kept) {
        first = err_adopt(kept);
        core_free(kept);
    }
    return first;
}
