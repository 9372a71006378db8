/*
 * Looking up referenced rows by key, many at once: each key goes to the shard that its row is on
 * (by the shard key, or by the map table of a unique index that lacks it), is sought in the unique
 * index there, and the row is locked FOR KEY SHARE. All shards work at the same time.
 *
 * Read committed looks at the newest state; a key whose row went away or changed while the lock was
 * waited for is sought again, another row may have it now. The other levels look at their snapshot,
 * and such a change raises 40001; changes that leave the key alone do not, as in PostgreSQL. That
 * is why locks are taken with a read committed view: it hands over the newest row.
 */
#include "sql/exec/constraint_priv.h"

enum stage { STAGE_MAP, STAGE_ROW };

struct find_call { /* one shard's part */
    struct shard_call on;
    const struct foreign_key *k;
    enum stage stage;
    struct foreign_find **finds;
    uint32_t count;
};

struct finder { /* on the shard's core */
    struct find_call *c;
    struct shard *shard;
    struct arena *mem;
    struct arena_mark mark;
    struct row_buf row;
    datum *values;
    bool *nulls;
    struct strbuf key;
};

/* What the lookup sees: the statement's own changes too. */
static struct txn_view lookup_view(const struct txn_view *v)
{
    struct txn_view look = *v;
    look.seq++;
    if (v->isolation == READ_COMMITTED)
        look.snapshot = UINT64_MAX - 1;
    return look;
}

/* The row with exactly these key bytes. */
static SUSPENDS err_t index_find_wait(struct finder *f, file_id index, file_id heap,
                                      const struct foreign_find *x, row_id *id, struct row_buf *row)
{
    struct txn_view look = lookup_view(&f->c->on.view);
    struct index_range range = {.low = x->key,
                                .low_len = x->key_len,
                                .high = x->key,
                                .high_len = x->key_len,
                                .high_inclusive = true};
    struct index_scan *scan = NULL;
    TRY(index_scan_begin_wait(f->shard, &look, index, heap, &range, f->mem, &scan));
    err_t e;
    if (row != NULL) {
        e = index_scan_next_row_wait(scan, id, row);
    } else {
        const uint8_t *key = NULL;
        uint32_t key_len = 0;
        e = index_scan_next_wait(scan, id, &key, &key_len);
    }
    index_scan_end(scan);
    f->c->on.view.observed = MAX(f->c->on.view.observed, look.observed);
    return e;
}

static bool has_key(struct finder *f, const struct foreign_find *x)
{
    const struct foreign_key *k = f->c->k;
    const struct key_column *columns = foreign_index_columns(k);
    f->key.len = 0;
    table_decode(k->target, f->row.data, k->target->column_count, f->values, f->nulls);
    for (uint32_t i = 0; i < k->index->key_count; i++) {
        uint32_t column = (uint32_t)k->index->attnos[i] - 1;
        key_append(&columns[i], f->values[column], f->nulls[column], &f->key);
    }
    return f->key.len == x->key_len && memcmp(f->key.data, x->key, x->key_len) == 0;
}

/* *again: the row is not what it was when it was found. */
static SUSPENDS err_t lock_found_wait(struct finder *f, struct foreign_find *x, row_id id,
                                      bool *again)
{
    struct txn_view *v = &f->c->on.view;
    enum isolation isolation = v->isolation;
    enum row_lock_result result;
    v->isolation = READ_COMMITTED;
    err_t e = row_lock_wait(f->shard, v, f->c->k->target->file, id, LOCK_KEY_SHARE, LOCK_WAIT,
                            &result, &f->row);
    v->isolation = (uint8_t)isolation;
    TRY(e);
    *again = false;
    /* what this statement wrote itself was seen by the lookup as it is */
    x->is_found = result == ROW_SELF_CHANGED ||
                  ((result == ROW_LOCKED || result == ROW_LOCKED_CHANGED) && has_key(f, x));
    if (x->is_found)
        return ERR_OK;
    if (isolation != READ_COMMITTED)
        return err_raise(ERR_T_R_SERIALIZATION_FAILURE,
                         "could not serialize access due to concurrent update");
    *again = true;
    return ERR_OK;
}

static SUSPENDS err_t find_row_wait(struct finder *f, struct foreign_find *x)
{
    const struct foreign_key *k = f->c->k;
    for (;;) {
        row_id id = x->id;
        if (k->index->map_table == NULL)
            TRY(index_find_wait(f, k->index->file, k->target->file, x, &id, NULL));
        if (id == ROW_ID_NONE)
            return ERR_OK;
        bool again = false;
        TRY(lock_found_wait(f, x, id, &again));
        if (!again || k->index->map_table != NULL)
            return ERR_OK;
        TRY(fiber_rest_wait());
    }
}

/* Shard and address of the row from the map table. */
static SUSPENDS err_t find_map_wait(struct finder *f, struct foreign_find *x)
{
    const struct plan_table *map = f->c->k->index->map_table;
    row_id id = ROW_ID_NONE;
    TRY(index_find_wait(f, map->indexes[0].file, map->file, x, &id, &f->row));
    x->id = ROW_ID_NONE;
    if (id == ROW_ID_NONE)
        return ERR_OK;
    struct row_place place;
    TRY(map_row_place(map, f->row.data, f->values, f->nulls, &place));
    x->shard_no = place.shard_no;
    x->id = place.id;
    return ERR_OK;
}

static SUSPENDS err_t find_on_shard_wait(void *arg)
{
    struct find_call *c = arg;
    uint32_t columns = c->k->target->column_count;
    struct finder f = {.c = c, .shard = shard_local(c->on.shard_no), .mem = arena_new()};
    if (c->k->index->map_table != NULL)
        columns = MAX(columns, c->k->index->map_table->column_count);
    f.row.arena = arena_new();
    strbuf_init(&f.key, f.row.arena);
    f.values = ARENA_ARRAY(f.row.arena, datum, columns + 1);
    f.nulls = ARENA_ARRAY(f.row.arena, bool, columns + 1);
    f.mark = arena_mark(f.mem);
    err_t e = ERR_OK;
    for (uint32_t i = 0; e == ERR_OK && i < c->count; i++) {
        arena_rewind(f.mem, f.mark);
        e = c->stage == STAGE_MAP ? find_map_wait(&f, c->finds[i]) : find_row_wait(&f, c->finds[i]);
        if (e == ERR_OK)
            e = fiber_rest_wait();
    }
    arena_free(f.row.arena);
    arena_free(f.mem);
    return e;
}

/* ---- on the session's core ---- */

static SUSPENDS err_t stage_wait(struct constraint_queue *q, const struct foreign_key *k,
                                 enum stage stage, struct foreign_find **finds, uint32_t count,
                                 struct arena *mem)
{
    if (count == 0)
        return ERR_OK;
    uint32_t shards = shard_count();
    uint32_t *sizes = ARENA_ARRAY(mem, uint32_t, shards);
    struct find_call **of_shard = ARENA_ARRAY(mem, struct find_call *, shards);
    for (uint32_t i = 0; i < count; i++)
        sizes[finds[i]->shard_no]++;
    struct shard_call **calls = ARENA_ARRAY(mem, struct shard_call *, shards);
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t s = finds[i]->shard_no;
        if (of_shard[s] == NULL) {
            of_shard[s] = ARENA_NEW(mem, struct find_call);
            *of_shard[s] =
                (struct find_call){.on = {.shard_no = s, .writes = stage == STAGE_ROW},
                                   .k = k,
                                   .stage = stage,
                                   .finds = ARENA_ARRAY(mem, struct foreign_find *, sizes[s])};
            calls[n++] = &of_shard[s]->on;
        }
        of_shard[s]->finds[of_shard[s]->count++] = finds[i];
    }
    return constraint_on_shards_wait(q->catalog->txn, find_on_shard_wait, calls, n);
}

static uint32_t first_shard(const struct foreign_key *k, const struct foreign_find *x)
{
    const struct plan_table *t = k->target;
    datum keys[FOREIGN_COLUMNS_MAX];
    if (k->index->map_table != NULL) {
        for (uint32_t i = 0; i < k->index->key_count; i++)
            keys[i] = x->values[k->places[i]];
        bool nulls[FOREIGN_COLUMNS_MAX] = {false};
        return table_row_shard(k->index->map_table, keys, nulls);
    }
    if (t->distribution != DISTRIBUTED_HASH)
        return table_row_shard(t, NULL, NULL); /* one shard */
    if (shard_count() == 1)
        return 0; /* no index has a map table then: the key may lack the shard key */
    for (uint32_t i = 0; i < t->shard_key_count; i++)
        for (uint32_t c = 0; c < k->count; c++)
            if (k->target_columns[c] == t->shard_key[i])
                keys[i] = x->values[c];
    return shard_of_hash(key_hash(t->shard_key_columns, t->shard_key_count, keys));
}

SUSPENDS err_t foreign_find_wait(struct constraint_queue *q, const struct foreign_key *k,
                                 struct foreign_find *finds, uint32_t count, struct arena *mem)
{
    bool has_map = k->index->map_table != NULL;
    struct foreign_find **open = ARENA_ARRAY(mem, struct foreign_find *, count + 1);
    uint32_t open_count = 0;
    for (uint32_t i = 0; i < count; i++)
        open[open_count++] = &finds[i];
    while (open_count > 0) {
        for (uint32_t i = 0; i < open_count; i++)
            open[i]->shard_no = first_shard(k, open[i]);
        if (!has_map)
            return stage_wait(q, k, STAGE_ROW, open, open_count, mem);
        TRY(stage_wait(q, k, STAGE_MAP, open, open_count, mem));
        uint32_t rows = 0;
        for (uint32_t i = 0; i < open_count; i++)
            if (open[i]->id != ROW_ID_NONE)
                open[rows++] = open[i];
        TRY(stage_wait(q, k, STAGE_ROW, open, rows, mem));
        /* A row that was not what the map said: the map may say something else now. */
        open_count = 0;
        for (uint32_t i = 0; i < rows; i++)
            if (!open[i]->is_found)
                open[open_count++] = open[i];
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

/* ---- does the referring row still stand? ---- */

struct stand_call {
    const struct foreign_key *k;
    const struct constraint_note *note;
    struct txn_view view;
    bool stands;
};

static SUSPENDS err_t stands_call(void *arg)
{
    struct stand_call *c = arg;
    const struct foreign_key *k = c->k;
    const struct plan_table *t = k->table;
    struct arena *mem = arena_new();
    struct row_buf row = {.arena = mem};
    struct txn_view look = c->view;
    look.snapshot = UINT64_MAX - 1;
    look.seq++;
    bool found = false;
    err_t e =
        row_fetch_wait(shard_local(c->note->shard_no), &look, t->file, c->note->id, &found, &row);
    c->view.observed = MAX(c->view.observed, look.observed);
    if (e == ERR_OK && found) {
        datum *values = ARENA_ARRAY(mem, datum, t->column_count + 1);
        bool *nulls = ARENA_ARRAY(mem, bool, t->column_count + 1);
        datum *noted = ARENA_ARRAY(mem, datum, k->count);
        bool *noted_nulls = ARENA_ARRAY(mem, bool, k->count);
        struct strbuf now;
        struct strbuf then;
        strbuf_init(&now, mem);
        strbuf_init(&then, mem);
        table_decode(t, row.data, t->column_count, values, nulls);
        row_decode(k->layout, constraint_note_key(c->note), 0, k->count, noted, noted_nulls);
        for (uint32_t i = 0; i < k->count; i++) {
            uint32_t column = (uint32_t)k->columns[i] - 1;
            key_append(&k->key_columns[i], values[column], nulls[column], &now);
            key_append(&k->key_columns[i], noted[i], noted_nulls[i], &then);
        }
        c->stands = now.len == then.len && memcmp(now.data, then.data, now.len) == 0;
    }
    arena_free(mem);
    return e;
}

SUSPENDS err_t foreign_row_stands_wait(struct constraint_queue *q, const struct foreign_key *k,
                                       const struct constraint_note *note, bool *stands)
{
    struct stand_call c = {
        .k = k, .note = note, .view = txn_view_make(q->catalog->txn, note->shard_no, false)};
    err_t e = core_call_wait(shard_core(note->shard_no), stands_call, &c);
    txn_merge(q->catalog->txn, note->shard_no, &c.view);
    *stands = c.stands;
    return e;
}
