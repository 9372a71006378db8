/*
 * Catalog rows on shard 0. The calling core encodes rows and index keys; the shard's core only
 * moves bytes, so one trip does any number of lookups or changes. Results are made in an arena of
 * the shard's core, copied by the caller and freed where they were made.
 */
#include "sql/catalog/store.h"

#include "core/core.h"
#include "core/shared.h"
#include "sql/catalog/cache.h"

struct found_row {
    struct found_row *next;
    row_id id;
    uint32_t len;
    const uint8_t *bytes;
};

struct probe_item {
    file_id heap;
    file_id index;
    bool by_index;
    const uint8_t *prefix;
    uint32_t prefix_len;
    struct found_row *first;
    uint32_t count;
};

struct probe_call {
    struct txn_view view;
    struct probe_item *items;
    uint32_t count;
    struct arena *results; /* of the shard's core */
};

static void probe_take(struct probe_call *c, struct probe_item *item, struct found_row ***tail,
                       row_id id, const uint8_t *bytes, uint32_t len)
{
    struct found_row *f = arena_alloc(c->results, sizeof(*f));
    f->next = NULL;
    f->id = id;
    f->len = len;
    f->bytes = arena_memdup(c->results, bytes, len);
    **tail = f;
    *tail = &f->next;
    item->count++;
}

static SUSPENDS err_t probe_index_wait(struct probe_call *c, struct probe_item *item)
{
    struct shard *s = shard_local(0);
    struct index_range range = {
        .low = item->prefix,
        .low_len = item->prefix_len,
        .high = item->prefix,
        .high_len = item->prefix_len,
        .high_inclusive = true,
    };
    struct index_scan *scan;
    struct found_row **tail = &item->first;
    struct row_buf row = {.arena = c->results};
    TRY(index_scan_begin_wait(s, &c->view, item->index, item->heap, &range, c->results, &scan));
    err_t e;
    for (;;) {
        row_id id;
        e = index_scan_next_row_wait(scan, &id, &row);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        probe_take(c, item, &tail, id, row.data, row.len);
    }
    index_scan_end(scan);
    return e;
}

static SUSPENDS err_t probe_heap_wait(struct probe_call *c, struct probe_item *item)
{
    struct heap_scan *scan;
    struct found_row **tail = &item->first;
    TRY(heap_scan_begin_wait(shard_local(0), &c->view, item->heap, c->results, &scan));
    err_t e;
    for (;;) {
        row_id id;
        const uint8_t *bytes;
        uint32_t len;
        e = heap_scan_next_wait(scan, &id, &bytes, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        probe_take(c, item, &tail, id, bytes, len);
        e = fiber_rest_wait();
        if (e != ERR_OK)
            break;
    }
    heap_scan_end(scan);
    return e;
}

static SUSPENDS err_t probe_on_shard(void *arg)
{
    struct probe_call *c = arg;
    c->results = arena_new();
    for (uint32_t i = 0; i < c->count; i++) {
        struct probe_item *item = &c->items[i];
        if (item->by_index)
            TRY(probe_index_wait(c, item));
        else
            TRY(probe_heap_wait(c, item));
    }
    return ERR_OK;
}

static void results_free(void *arg)
{
    arena_free(arg);
}

static void results_release(struct arena *results)
{
    if (!results)
        return;
    uint32_t owner = shard_core(0);
    if (owner == core_id())
        arena_free(results);
    else
        core_post(owner, results_free, results);
}

static err_t probe_prepare(oid database, const struct catalog_probe *p, struct arena *mem,
                           struct probe_item *item)
{
    const struct catalog_relation *r = catalog_relation_find(p->relation);
    ASSERT(r && r->fact->kind == 'r');
    item->heap = catalog_file(database, r);
    item->by_index = false;
    if (!p->index)
        return ERR_OK;
    const struct catalog_relation *owner;
    uint32_t position;
    bool known = catalog_index_find(p->index, &owner, &position);
    ASSERT(known);
    ASSERT(owner == r);
    const struct key_column *keys = r->index_keys[position];
    ASSERT(keys && p->key_count <= r->fact->indexes[position].key_count);
    struct strbuf key;
    strbuf_init(&key, mem);
    for (uint32_t k = 0; k < p->key_count; k++)
        key_append(&keys[k], p->key[k], false, &key);
    item->by_index = true;
    item->index = catalog_index_file(database, r, position);
    item->prefix = (const uint8_t *)key.data;
    item->prefix_len = u32_from(key.len);
    return ERR_OK;
}

static err_t probe_decode(const struct catalog_probe *p, const struct probe_item *item,
                          struct arena *mem, struct catalog_rows *out)
{
    const struct catalog_relation *r = catalog_relation_find(p->relation);
    uint32_t columns = r->fact->column_count;
    out->count = item->count;
    out->rows = ARENA_ARRAY(mem, struct catalog_row, item->count ? item->count : 1);
    uint32_t i = 0;
    for (const struct found_row *f = item->first; f; f = f->next, i++) {
        struct catalog_row *row = &out->rows[i];
        const uint8_t *bytes = arena_memdup(mem, f->bytes, f->len);
        TRY(row_check(r->layout, bytes, f->len));
        row->id = f->id;
        row->values = ARENA_ARRAY(mem, datum, columns);
        row->nulls = ARENA_ARRAY(mem, bool, columns);
        row_decode(r->layout, bytes, 0, columns, row->values, row->nulls);
    }
    return ERR_OK;
}

/* What is committed now, and own changes. */
static struct txn_view view_of_now(struct txn *t, bool may_write)
{
    struct txn_view view = txn_view_make(t, 0, may_write);
    uint64_t now = shared_commit_read();
    if (view.snapshot < now)
        view.snapshot = now;
    view.isolation = READ_COMMITTED;
    return view;
}

err_t catalog_probe_in_wait(struct catalog_session *cs, oid database, struct catalog_probe *probes,
                            uint32_t count, struct arena *mem)
{
    struct probe_call c = {.count = count};
    c.items = ARENA_ARRAY(mem, struct probe_item, count);
    for (uint32_t i = 0; i < count; i++)
        TRY(probe_prepare(database, &probes[i], mem, &c.items[i]));
    /* A transaction without changes of the catalog takes no snapshot for this. */
    bool own = !(cs && cs->txn && cs->txn_changed_catalog);
    struct txn *t = cs ? cs->txn : NULL;
    if (own) {
        struct txn_options o = {
            .isolation = READ_COMMITTED, .read_only = true, .synchronous_commit = true};
        t = txn_begin(&o);
        txn_statement_begin(t);
    }
    c.view = view_of_now(t, false);
    err_t e = core_call_wait(shard_core(0), probe_on_shard, &c);
    if (e == ERR_OK)
        txn_merge(t, 0, &c.view);
    for (uint32_t i = 0; e == ERR_OK && i < count; i++)
        e = probe_decode(&probes[i], &c.items[i], mem, &probes[i].found);
    results_release(c.results);
    if (own) {
        if (e == ERR_OK)
            return txn_commit_wait(t); /* waits until what was seen is durable */
        txn_rollback_wait(t);
    }
    return e;
}

err_t catalog_probe_wait(struct catalog_session *cs, struct catalog_probe *probes, uint32_t count,
                         struct arena *mem)
{
    return catalog_probe_in_wait(cs, cs->database, probes, count, mem);
}

err_t catalog_find_wait(struct catalog_session *cs, oid relation, oid index, uint32_t key_count,
                        datum key0, datum key1, struct arena *mem, struct catalog_rows *out)
{
    struct catalog_probe p = {
        .relation = relation, .index = index, .key_count = key_count, .key = {key0, key1}};
    TRY(catalog_probe_in_wait(cs, cs ? cs->database : 0, &p, 1, mem));
    *out = p.found;
    return ERR_OK;
}

/* ---- changes ---- */

enum change_kind { CHANGE_PUT, CHANGE_REPLACE, CHANGE_REMOVE };

struct change_key {
    file_id index;
    bool unique;
    const uint8_t *old_key; /* NULL: not there before */
    uint32_t old_len;
    const uint8_t *new_key;
    uint32_t new_len;
};

struct change {
    struct change *next;
    enum change_kind kind;
    const struct catalog_relation *relation;
    file_id heap;
    row_id id;
    const uint8_t *row;
    uint32_t row_len;
    uint32_t key_count;
    struct change_key *keys;
    const datum *values;
    const bool *nulls;
};

struct catalog_writer {
    struct catalog_session *cs;
    struct arena *mem;
    oid database;
    struct change *first;
    struct change **tail;
    bool is_overtaken;
};

struct change_call {
    struct txn_view view;
    const struct change *first;
    const struct change *conflict; /* out: a unique key was taken */
    uint32_t conflict_key;
    bool is_overtaken; /* out: a row is not what it was */
};

struct catalog_writer *catalog_writer_new(struct catalog_session *cs, struct arena *mem)
{
    struct catalog_writer *w = ARENA_NEW(mem, struct catalog_writer);
    w->cs = cs;
    w->mem = mem;
    w->database = cs->database;
    w->tail = &w->first;
    return w;
}

bool catalog_was_overtaken(const struct catalog_writer *w)
{
    return w->is_overtaken;
}

void catalog_writer_database(struct catalog_writer *w, oid database)
{
    w->database = database;
}

static bool change_make_key(struct arena *mem, const struct catalog_relation *r, uint32_t position,
                            const datum *values, const bool *nulls, const uint8_t **key,
                            uint32_t *len)
{
    const struct catalog_index *x = &r->fact->indexes[position];
    bool has_null = false;
    struct strbuf b;
    strbuf_init(&b, mem);
    for (uint32_t k = 0; k < x->key_count; k++) {
        int column = x->keys[k] - 1;
        has_null = has_null || nulls[column];
        key_append(&r->index_keys[position][k], values[column], nulls[column], &b);
    }
    *key = (const uint8_t *)b.data;
    *len = u32_from(b.len);
    return has_null;
}

static err_t change_add(struct catalog_writer *w, enum change_kind kind, oid relation,
                        const struct catalog_row *old, const datum *values, const bool *nulls)
{
    const struct catalog_relation *r = catalog_relation_find(relation);
    ASSERT(r && r->fact->kind == 'r');
    struct change *c = ARENA_NEW(w->mem, struct change);
    c->kind = kind;
    c->relation = r;
    c->heap = catalog_file(w->database, r);
    c->id = old ? old->id : ROW_ID_NONE;
    ASSUME(values != NULL || old != NULL);
    c->values = values ? values : old->values;
    c->nulls = values ? nulls : old->nulls;
    if (values) {
        struct strbuf row;
        strbuf_init(&row, w->mem);
        TRY(row_encode(r->layout, values, nulls, &row));
        c->row = (const uint8_t *)row.data;
        c->row_len = u32_from(row.len);
    }
    c->keys = ARENA_ARRAY(w->mem, struct change_key, r->fact->index_count + 1);
    for (uint32_t i = 0; i < r->fact->index_count; i++) {
        if (!r->index_keys[i])
            continue;
        struct change_key k = {.index = catalog_index_file(w->database, r, i),
                               .unique = r->fact->indexes[i].is_unique};
        if (old)
            (void)change_make_key(w->mem, r, i, old->values, old->nulls, &k.old_key, &k.old_len);
        if (values && change_make_key(w->mem, r, i, values, nulls, &k.new_key, &k.new_len))
            k.unique = false;
        if (kind == CHANGE_REPLACE && k.old_len == k.new_len &&
            memcmp(k.old_key, k.new_key, k.new_len) == 0)
            continue;
        c->keys[c->key_count++] = k;
    }
    catalog_note_row(w->cs, relation, c->values, c->nulls);
    *w->tail = c;
    w->tail = &c->next;
    return ERR_OK;
}

err_t catalog_put(struct catalog_writer *w, oid relation, const datum *values, const bool *nulls)
{
    return change_add(w, CHANGE_PUT, relation, NULL, values, nulls);
}

err_t catalog_replace(struct catalog_writer *w, oid relation, const struct catalog_row *old,
                      const datum *values, const bool *nulls)
{
    catalog_note_row(w->cs, relation, old->values, old->nulls);
    return change_add(w, CHANGE_REPLACE, relation, old, values, nulls);
}

err_t catalog_remove(struct catalog_writer *w, oid relation, const struct catalog_row *old)
{
    return change_add(w, CHANGE_REMOVE, relation, old, NULL, NULL);
}

static SUSPENDS err_t change_run_wait(struct change_call *call, const struct change *c)
{
    struct shard *s = shard_local(0);
    row_id id = c->id;
    if (c->kind == CHANGE_PUT) {
        TRY(row_insert_wait(s, &call->view, c->heap, c->row, c->row_len, &id));
    } else {
        enum row_lock_result result;
        TRY(row_lock_wait(s, &call->view, c->heap, id, LOCK_UPDATE, LOCK_WAIT, &result, NULL));
        call->is_overtaken = result != ROW_LOCKED;
        if (call->is_overtaken)
            return err_raise(ERR_INTERNAL_ERROR, "tuple concurrently %s",
                             result == ROW_GONE ? "deleted" : "updated");
        if (c->kind == CHANGE_REPLACE)
            TRY(row_update_wait(s, &call->view, c->heap, id, c->row, c->row_len));
        else
            TRY(row_delete_wait(s, &call->view, c->heap, id));
    }
    for (uint32_t i = 0; i < c->key_count; i++) {
        const struct change_key *k = &c->keys[i];
        if (k->old_key)
            TRY(index_remove_wait(s, &call->view, k->index, c->heap, k->old_key, k->old_len, id));
        if (!k->new_key)
            continue;
        row_id conflict = ROW_ID_NONE;
        TRY(index_insert_wait(s, &call->view, k->index, c->heap, k->new_key, k->new_len, id,
                              k->unique ? INDEX_UNIQUE : INDEX_NOT_UNIQUE, &conflict));
        if (conflict != ROW_ID_NONE) {
            call->conflict = c;
            call->conflict_key = i;
            return err_raise(ERR_UNIQUE_VIOLATION, "duplicate key");
        }
    }
    return ERR_OK;
}

static SUSPENDS err_t change_on_shard(void *arg)
{
    struct change_call *call = arg;
    for (const struct change *c = call->first; c; c = c->next) {
        TRY(change_run_wait(call, c));
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

static err_t change_conflict(struct catalog_writer *w, const struct change_call *call)
{
    const struct change *c = call->conflict;
    const struct catalog_table *t = c->relation->fact;
    file_id file = c->keys[call->conflict_key].index;
    const struct catalog_index *x = t->indexes;
    while ((uint32_t)file != x->oid)
        x++;
    struct strbuf names;
    struct strbuf values;
    strbuf_init(&names, w->mem);
    strbuf_init(&values, w->mem);
    strbuf_puts(&values, "");
    for (uint32_t k = 0; k < x->key_count; k++) {
        int column = x->keys[k] - 1;
        strbuf_printf(&names, "%s%s", k ? ", " : "", t->columns[column].name);
        strbuf_puts(&values, k ? ", " : "");
        ERR_IGNORE(value_output(NULL, w->mem, t->columns[column].type, c->values[column], &values));
    }
    err_t e = err_raise(ERR_UNIQUE_VIOLATION,
                        "duplicate key value violates unique constraint \"%s\"", x->name);
    err_detail("Key (%s)=(%s) already exists.", names.data, values.data);
    err_object("pg_catalog", t->name, NULL, NULL, x->name);
    return e;
}

err_t catalog_apply_wait(struct catalog_writer *w)
{
    if (!w->first)
        return ERR_OK;
    struct catalog_session *cs = w->cs;
    catalog_begin_change(cs);
    struct change_call call = {.view = view_of_now(cs->txn, true), .first = w->first};
    err_t e = core_call_wait(shard_core(0), change_on_shard, &call);
    txn_merge(cs->txn, 0, &call.view);
    txn_advance(cs->txn);
    w->first = NULL;
    w->tail = &w->first;
    w->is_overtaken = call.is_overtaken;
    if (e == ERR_UNIQUE_VIOLATION && call.conflict)
        return change_conflict(w, &call);
    return e;
}

err_t catalog_put_wait(struct catalog_session *cs, oid relation, const datum *values,
                       const bool *nulls, struct arena *mem)
{
    struct catalog_writer *w = catalog_writer_new(cs, mem);
    TRY(catalog_put(w, relation, values, nulls));
    return catalog_apply_wait(w);
}

err_t catalog_replace_wait(struct catalog_session *cs, oid relation, const struct catalog_row *old,
                           const datum *values, const bool *nulls, struct arena *mem)
{
    struct catalog_writer *w = catalog_writer_new(cs, mem);
    TRY(catalog_replace(w, relation, old, values, nulls));
    return catalog_apply_wait(w);
}

err_t catalog_remove_wait(struct catalog_session *cs, oid relation, const struct catalog_row *old,
                          struct arena *mem)
{
    struct catalog_writer *w = catalog_writer_new(cs, mem);
    TRY(catalog_remove(w, relation, old));
    return catalog_apply_wait(w);
}

/* ---- counters ---- */

struct counter_call {
    struct txn_view view;
    oid number;
    int64_t min;
    uint32_t want;
    int64_t first;
    uint32_t count;
};

static SUSPENDS err_t counter_on_shard(void *arg)
{
    struct counter_call *c = arg;
    return sequence_next_wait(shard_local(0), &c->view, file_of(0, c->number), 1, c->min,
                              UINT32_MAX, true, c->want, &c->first, &c->count);
}

static SUSPENDS err_t counter_next_wait(struct catalog_session *cs, struct counter_call *c)
{
    c->view = view_of_now(cs->txn, true);
    err_t e = core_call_wait(shard_core(0), counter_on_shard, c);
    txn_merge(cs->txn, 0, &c->view);
    return e;
}

err_t catalog_new_oids_wait(struct catalog_session *cs, uint32_t count, oid *first)
{
    struct counter_call c = {.number = FILE_OID_COUNTER, .min = FIRST_USER_OID, .want = count};
    /* A run that the wrap around cut short is given up. */
    for (int round = 0; round < 3; round++) {
        TRY(counter_next_wait(cs, &c));
        if (c.count >= count) {
            *first = (oid)c.first;
            return ERR_OK;
        }
    }
    return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "out of object identifiers");
}

err_t catalog_new_oid_wait(struct catalog_session *cs, oid *out)
{
    return catalog_new_oids_wait(cs, 1, out);
}

err_t catalog_temp_number_wait(struct catalog_session *cs, uint32_t *out)
{
    struct counter_call c = {.number = FILE_TEMP_COUNTER, .min = 1, .want = 1};
    TRY(counter_next_wait(cs, &c));
    *out = (uint32_t)c.first;
    return ERR_OK;
}

/* ---- values ---- */

const char *catalog_text_value(struct arena *mem, const struct catalog_row *row, int column,
                               bool *is_null)
{
    if (is_null)
        *is_null = row->nulls[column - 1];
    if (row->nulls[column - 1])
        return NULL;
    return varlen_cstring(mem, datum_varlen(row->values[column - 1]));
}

static datum vector_make(struct arena *mem, oid element, const datum *values, uint32_t count,
                         int32_t lower)
{
    struct array_view view = {.element = element, .ndim = 1, .count = count, .values = values};
    view.dims[0] = (int32_t)count;
    view.lower[0] = lower;
    if (count == 0 && lower == 1)
        view.ndim = 0;
    view.nulls = ARENA_ARRAY(mem, bool, count + 1);
    datum out = 0;
    err_t e = array_make(mem, &view, &out);
    ASSERT(e == ERR_OK);
    return out;
}

datum catalog_int2vector(struct arena *mem, const int16_t *values, uint32_t count)
{
    datum *d = ARENA_ARRAY(mem, datum, count + 1);
    for (uint32_t i = 0; i < count; i++)
        d[i] = datum_of_i16(values[i]);
    return vector_make(mem, TYPE_INT2, d, count, 0);
}

datum catalog_oidvector(struct arena *mem, const oid *values, uint32_t count)
{
    datum *d = ARENA_ARRAY(mem, datum, count + 1);
    for (uint32_t i = 0; i < count; i++)
        d[i] = datum_of_oid(values[i]);
    return vector_make(mem, TYPE_OID, d, count, 0);
}

datum catalog_int2_array(struct arena *mem, const int16_t *values, uint32_t count)
{
    datum *d = ARENA_ARRAY(mem, datum, count + 1);
    for (uint32_t i = 0; i < count; i++)
        d[i] = datum_of_i16(values[i]);
    return vector_make(mem, TYPE_INT2, d, count, 1);
}

datum catalog_oid_array(struct arena *mem, const oid *values, uint32_t count)
{
    datum *d = ARENA_ARRAY(mem, datum, count + 1);
    for (uint32_t i = 0; i < count; i++)
        d[i] = datum_of_oid(values[i]);
    return vector_make(mem, TYPE_OID, d, count, 1);
}

datum catalog_text_array(struct arena *mem, const char *const *values, uint32_t count)
{
    datum *d = ARENA_ARRAY(mem, datum, count + 1);
    for (uint32_t i = 0; i < count; i++)
        d[i] = datum_of_text(mem, values[i]);
    return vector_make(mem, TYPE_TEXT, d, count, 1);
}

err_t catalog_array_read(struct arena *mem, datum array, uint32_t *count, const datum **values)
{
    struct array_view view;
    TRY(array_read(mem, array, &view));
    *count = view.count;
    *values = view.values;
    return ERR_OK;
}
