/*
 * Keys of deferrable unique constraints that another row had too, or might have had, when they were
 * written: looked at again, now that the constraint has to hold.
 *
 * Whoever writes a key second notes it (INDEX_UNIQUE_LATER), so of two rows with one key at least
 * one is looked at here, after both are there. The row that the note is about must still have the
 * key, else it is nobody's business any more; another row that has it is a violation. What other
 * transactions have not decided yet is waited for. An index without the shard key is looked at
 * where its map table has the key.
 */
#include "sql/exec/constraint_priv.h"

struct doubt {
    file_id index; /* where the key is looked up: itself, or that of its map table */
    file_id heap;
    const uint8_t *key; /* its bytes there */
    uint32_t key_len;
    row_id id;
    uint32_t position; /* in the batch */
};
struct doubt_call {
    struct shard_call on;
    struct doubt *doubts;
    uint32_t count;
    uint32_t shared; /* out: position of the first whose key another row has too; UINT32_MAX */
};

static SUSPENDS err_t look_wait(void *arg)
{
    struct doubt_call *c = arg;
    struct shard *s = shard_local(c->on.shard_no);
    c->shared = UINT32_MAX;
    for (uint32_t i = 0; i < c->count && c->shared == UINT32_MAX; i++) {
        const struct doubt *d = &c->doubts[i];
        bool is_shared;
        TRY(index_key_shared_wait(s, &c->on.view, d->index, d->heap, d->key, d->key_len, d->id,
                                  &is_shared));
        if (is_shared)
            c->shared = d->position;
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

/* The index that a note is about, and the key's values. */
static err_t read_note(const struct constraint_note *n, const struct plan_table *t,
                       const struct plan_index **index, datum *values, bool *nulls)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct plan_index *x = &t->indexes[i];
        if (x->oid != n->index)
            continue;
        ASSERT(x->key_count <= FOREIGN_COLUMNS_MAX);
        row_decode(x->key_layout, constraint_note_key(n), 0, x->key_count, values, nulls);
        *index = x;
        return ERR_OK;
    }
    /* the table's lock keeps it while there are notes */
    return err_raise(ERR_INTERNAL_ERROR, "index %u of relation %u is gone", n->index, n->table);
}

/* Where to look, and what for. scratch: for the key's bytes. */
static err_t make_doubt(struct constraint_work *w, const struct plan_table *t, uint32_t position,
                        struct strbuf *scratch, struct doubt *out)
{
    const struct constraint_note *n = w->keys[position].note;
    const struct plan_index *x = NULL;
    datum values[FOREIGN_COLUMNS_MAX];
    bool nulls[FOREIGN_COLUMNS_MAX];
    TRY(read_note(n, t, &x, values, nulls));
    const struct plan_table *map = x->map_table;
    const struct key_column *columns = map != NULL ? map->indexes[0].key_columns : x->key_columns;
    scratch->len = 0;
    for (uint32_t i = 0; i < x->key_count; i++)
        key_append(&columns[i], values[i], nulls[i], scratch);
    *out = (struct doubt){.index = map != NULL ? map->indexes[0].file : x->file,
                          .heap = map != NULL ? map->file : t->file,
                          .key = arena_memdup(w->mem, scratch->data, scratch->len),
                          .key_len = u32_from(scratch->len),
                          .id = n->id,
                          .position = position};
    return ERR_OK;
}

static COLD err_t raise_doubt(struct constraint_work *w, const struct plan_table *t,
                              uint32_t position)
{
    const struct plan_index *x = NULL;
    datum values[FOREIGN_COLUMNS_MAX];
    bool nulls[FOREIGN_COLUMNS_MAX];
    TRY(read_note(w->keys[position].note, t, &x, values, nulls));
    return table_raise_unique(t, x, w->q->env, values, nulls);
}

SUSPENDS err_t key_doubts_wait(struct constraint_work *w)
{
    struct plan_options o = {.catalog = w->q->catalog, .env = w->q->env};
    struct plan_table *t;
    TRY(plan_table_make_wait(&o, w->keys[0].note->table, w->mem, &t));
    uint32_t shards = shard_count();
    uint32_t *sizes = ARENA_ARRAY(w->mem, uint32_t, shards);
    struct doubt_call *of_shard = ARENA_ARRAY(w->mem, struct doubt_call, shards);
    struct shard_call **calls = ARENA_ARRAY(w->mem, struct shard_call *, shards);
    uint32_t call_count = 0;
    struct strbuf scratch;
    strbuf_init(&scratch, w->mem);
    for (uint32_t i = 0; i < w->count; i++)
        sizes[w->keys[i].note->shard_no]++;
    for (uint32_t i = 0; i < w->count; i++) {
        uint32_t s = w->keys[i].note->shard_no;
        struct doubt_call *c = &of_shard[s];
        if (c->doubts == NULL) {
            c->doubts = ARENA_ARRAY(w->mem, struct doubt, sizes[s]);
            c->on.shard_no = s;
            calls[call_count++] = &c->on;
        }
        TRY(make_doubt(w, t, i, &scratch, &c->doubts[c->count++]));
    }
    TRY(constraint_on_shards_wait(w->q->catalog->txn, look_wait, calls, call_count));
    uint32_t first = UINT32_MAX;
    for (uint32_t s = 0; s < shards; s++)
        if (of_shard[s].count > 0)
            first = MIN(first, of_shard[s].shared);
    return first == UINT32_MAX ? ERR_OK : raise_doubt(w, t, first);
}
