/*
 * Notes for foreign keys and deferrable unique indexes: made where a row is changed, on its shard's
 * core, as bytes in the run's buffer; brought to the session's core with the results of the
 * fragment or worker, where they wait in the statement's list.
 *
 * A row that refers to nothing (a null in its key) and a key that nothing can refer to leave no
 * note; neither does an update that changes no column of the key.
 */
#include "sql/exec/constraint_priv.h"

#include <stdlib.h>

/* What the modification can leave notes for. */
void constraint_watch_init(struct modify *m)
{
    const struct plan_node *p = m->plan;
    const struct plan_table *t = p->modify.table;
    if (m->run->notes == NULL)
        return;
    for (uint32_t i = 0; i < t->index_count; i++)
        m->is_watching |= t->indexes[i].is_deferrable;
    if (t->foreign_count == 0)
        return;
    m->watched = ARENA_ARRAY(m->run->mem, bool, t->foreign_count);
    bool updates = p->modify.command == CMD_UPDATE || p->modify.on_conflict != NULL;
    for (uint32_t i = 0; i < t->foreign_count; i++) {
        const struct plan_foreign *f = &t->foreign[i];
        bool touched = false;
        for (uint32_t k = 0; k < f->column_count; k++)
            touched |= m->changed[f->columns[k] - 1];
        bool watch = updates && (touched || (p->modify.changes_shard_key && !f->is_referenced));
        watch |= p->modify.command == CMD_INSERT && !f->is_referenced;
        watch |= p->modify.command == CMD_DELETE && f->is_referenced;
        m->watched[i] = watch;
        m->is_watching |= watch;
    }
}

static err_t put_padded(const struct row_layout *layout, const datum *values, const bool *nulls,
                        struct strbuf *out)
{
    static const uint8_t zero[8];
    size_t start = out->len;
    TRY(row_encode(layout, values, nulls, out));
    size_t len = out->len - start;
    return strbuf_put(out, zero, ((len + 7) & ~(size_t)7) - len);
}

/* n: what is of its kind. other: more columns of the same layout; NULL. */
static err_t put_note(struct modify *m, struct constraint_note *n, const struct row_layout *layout,
                      const datum *key, const bool *key_nulls, const datum *other,
                      const bool *other_nulls)
{
    struct strbuf *b = m->run->notes;
    size_t start = b->len;
    n->changed = m->plan->modify.table->oid;
    n->order = m->order;
    n->seq = m->run->view.seq;
    TRY(strbuf_put(b, n, sizeof(*n)));
    TRY(put_padded(layout, key, key_nulls, b));
    n->key_bytes = u32_from(b->len - start - sizeof(*n));
    if (other != NULL)
        TRY(put_padded(layout, other, other_nulls, b));
    n->bytes = u32_from(b->len - start);
    memcpy(b->data + start, n, sizeof(*n));
    return ERR_OK;
}

/* ---- foreign keys ---- */

struct key_values {
    datum values[FOREIGN_COLUMNS_MAX];
    bool nulls[FOREIGN_COLUMNS_MAX];
    uint32_t null_count;
};

static void take_key(const struct plan_foreign *f, const struct slot *row, struct key_values *out)
{
    out->null_count = 0;
    for (uint32_t i = 0; i < f->column_count; i++) {
        uint32_t column = (uint32_t)f->columns[i] - 1;
        out->values[i] = row->values[column];
        out->nulls[i] = row->nulls[column];
        out->null_count += row->nulls[column];
    }
}

static bool same_keys(struct modify *m, const struct plan_foreign *f, const struct key_values *a,
                      const struct key_values *b)
{
    struct strbuf *left = &m->write.key;
    struct strbuf *right = &m->write.old_key;
    left->len = 0;
    right->len = 0;
    for (uint32_t i = 0; i < f->column_count; i++) {
        key_append(&f->key_columns[i], a->values[i], a->nulls[i], left);
        key_append(&f->key_columns[i], b->values[i], b->nulls[i], right);
    }
    return left->len == right->len && memcmp(left->data, right->data, left->len) == 0;
}

static err_t note_one(struct modify *m, const struct plan_foreign *f, const struct slot *old,
                      const struct slot *new, const struct row_place *from,
                      const struct row_place *to)
{
    struct key_values before;
    struct key_values after;
    ASSERT(f->column_count <= FOREIGN_COLUMNS_MAX);
    if (old != NULL)
        take_key(f, old, &before);
    if (new != NULL)
        take_key(f, new, &after);
    bool is_same = old != NULL && new != NULL &&same_keys(m, f, &before, &after);
    struct constraint_note n = {.constraint = f->constraint,
                                .table = f->is_referenced ? f->other : m->plan->modify.table->oid,
                                .shard_no = to->shard_no,
                                .id = to->id,
                                .old_id = from->id,
                                .old_shard_no = from->shard_no};
    if (f->is_referenced) {
        if (old == NULL || before.null_count > 0 || is_same)
            return ERR_OK;
        n.kind = new != NULL ? NOTE_KEY_UPDATED : NOTE_KEY_DELETED;
        return put_note(m, &n, f->layout, before.values, before.nulls,
                        new != NULL ? after.values : NULL, new != NULL ? after.nulls : NULL);
    }
    bool is_moved = f->deferrable && (from->id != to->id || from->shard_no != to->shard_no);
    if (new == NULL || (is_same && !is_moved) || after.null_count == f->column_count ||
        (after.null_count > 0 && !f->match_full))
        return ERR_OK;
    n.kind = is_same ? NOTE_MOVED : NOTE_REFER;
    return put_note(m, &n, f->layout, after.values, after.nulls, NULL, NULL);
}

/* ---- deferrable unique indexes ---- */

static err_t put_doubt(struct modify *m, const struct key_doubt *d, const struct slot *row)
{
    const struct plan_table *t = m->plan->modify.table;
    const struct plan_index *x = &t->indexes[d->index];
    datum *values = m->write.key_values;
    bool *nulls = m->write.key_nulls;
    for (uint32_t i = 0; i < x->key_count; i++) {
        values[i] = row->values[x->attnos[i] - 1];
        nulls[i] = row->nulls[x->attnos[i] - 1];
    }
    if (m->run->notes == NULL)
        return table_raise_unique(t, x, m->run->env, values, nulls);
    struct constraint_note n = {.constraint = x->constraint,
                                .table = t->oid,
                                .kind = NOTE_KEY_DOUBT,
                                .is_deferred = x->is_deferred,
                                .shard_no = d->entry.shard_no,
                                .id = d->entry.id,
                                .index = x->oid};
    return put_note(m, &n, x->key_layout, values, nulls, NULL, NULL);
}

/* ---- changes ---- */

err_t constraint_note_change(struct modify *m, const struct slot *old, const struct slot *new,
                             const struct row_place *from, const struct row_place *to)
{
    const struct plan_table *t = m->plan->modify.table;
    for (uint32_t i = 0; new != NULL &&i < m->write.doubt_count; i++)
        TRY(put_doubt(m, &m->write.doubts[i], new));
    if (m->watched == NULL)
        return ERR_OK;
    for (uint32_t i = 0; i < t->foreign_count; i++)
        if (m->watched[i])
            TRY(note_one(m, &t->foreign[i], old, new, from, to));
    return ERR_OK;
}

/* ---- lists ---- */

void constraint_notes_init(struct constraint_notes *n)
{
    *n = (struct constraint_notes){.mem = arena_new()};
}

void constraint_notes_end(struct constraint_notes *n)
{
    arena_free(n->mem);
    core_free(n->items);
    *n = (struct constraint_notes){0};
}

err_t constraint_notes_add(struct constraint_notes *n, const struct constraint_note *note)
{
    void *copy = NULL;
    TRY(arena_alloc_try(n->mem, note->bytes, &copy));
    memcpy(copy, note, note->bytes);
    if (n->count == n->room) {
        n->room = n->room == 0 ? 64 : n->room * 2;
        n->items = core_realloc(n->items, n->room * sizeof(*n->items));
    }
    n->items[n->count++] = (struct constraint_item){.note = copy};
    n->refers += note->kind == NOTE_REFER;
    return ERR_OK;
}

/* What a fragment or worker brought, in the order of the statement's rows. */
err_t constraint_take_notes(struct exec *x, struct strbuf *from)
{
    if (from == NULL || from->len == 0)
        return ERR_OK;
    if (x->notes == NULL) {
        if (x->constraints == NULL)
            return err_raise(ERR_INTERNAL_ERROR, "notes of constraints outside of a session");
        x->notes = core_malloc(sizeof(*x->notes));
        constraint_notes_init(x->notes);
    }
    for (size_t at = 0; at < from->len;) {
        const struct constraint_note *n =
            (const struct constraint_note *)(const void *)(from->data + at);
        TRY(constraint_notes_add(x->notes, n));
        at += n->bytes;
    }
    from->len = 0;
    return ERR_OK;
}

static int by_order(const void *a, const void *b)
{
    const struct constraint_item *x = a;
    const struct constraint_item *y = b;
    if (x->note->order != y->note->order)
        return x->note->order < y->note->order ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* They come in order per shard; all together they come in the order of the statement's rows. */
void constraint_notes_sort(struct constraint_notes *n)
{
    struct constraint_item *items = n->items + n->first;
    uint32_t count = n->count - n->first;
    bool is_sorted = true;
    for (uint32_t i = 0; i < count; i++) {
        items[i].position = i;
        is_sorted = is_sorted && (i == 0 || items[i - 1].note->order <= items[i].note->order);
    }
    if (!is_sorted)
        qsort(items, count, sizeof(*items), by_order);
}
