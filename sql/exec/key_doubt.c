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

static const struct plan_index *index_of(const struct plan_table *t, oid index)
{
    for (uint32_t i = 0; i < t->index_count; i++)
        if (t->indexes[i].oid == index)
            return &t->indexes[i];
    return NULL;
}

/* The key's values, and its bytes where it is looked up. */
static err_t make_doubt(struct constraint_work *w, const struct plan_table *t, uint32_t position,
                        struct doubt *out)
{
    struct constraint_key *k = &w->keys[position];
    const struct plan_index *x = index_of(t, k->note->index);
    if (x == NULL) /* kept by the table's lock while there are notes */
        return err_raise(ERR_INTERNAL_ERROR, "index %u of relation %u is gone", k->note->index,
                         k->note->table);
    const struct plan_table *map = x->map_table;
    const struct key_column *columns = map != NULL ? map->indexes[0].key_columns : x->key_columns;
    k->values = ARENA_ARRAY(w->mem, datum, x->key_count);
    k->nulls = ARENA_ARRAY(w->mem, bool, x->key_count);
    row_decode(x->key_layout, constraint_note_key(k->note), 0, x->key_count, k->values, k->nulls);
    struct strbuf key;
    strbuf_init(&key, w->mem);
    for (uint32_t i = 0; i < x->key_count; i++)
        key_append(&columns[i], k->values[i], k->nulls[i], &key);
    *out = (struct doubt){.index = map != NULL ? map->indexes[0].file : x->file,
                          .heap = map != NULL ? map->file : t->file,
                          .key = (const uint8_t *)key.data,
                          .key_len = u32_from(key.len),
                          .id = k->note->id,
                          .position = position};
    return ERR_OK;
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
        TRY(make_doubt(w, t, i, &c->doubts[c->count++]));
    }
    TRY(constraint_on_shards_wait(w->q->catalog->txn, look_wait, calls, call_count));
    uint32_t first = UINT32_MAX;
    for (uint32_t s = 0; s < shards; s++)
        if (of_shard[s].count > 0)
            first = MIN(first, of_shard[s].shared);
    if (first == UINT32_MAX)
        return ERR_OK;
    const struct constraint_key *k = &w->keys[first];
    return table_raise_unique(t, index_of(t, k->note->index), w->q->env, k->values, k->nulls);
}
