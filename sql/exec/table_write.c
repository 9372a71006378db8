/*
 * Writing rows of a table on one shard: NOT NULL and CHECK, the row itself, its index entries, and
 * for global unique indexes the rows of their hidden map tables, which may live on other shards and
 * are written there by calls, in the same transaction.
 *
 * The caller has put the new row into w->row (and the old one into w->old) and holds the row's
 * lock. Entries are kept as PostgreSQL's are: a partial index has entries for rows that satisfy its
 * predicate; an update touches an index only when its key or predicate changes.
 */
#include "sql/exec/exec_priv.h"
#include "sql/exec/map.h"

void table_write_init(struct table_write *w, struct run *run, const struct plan_table *table)
{
    *w = (struct table_write){.table = table, .run = run};
    run_eval_init(run, &w->eval);
    slot_init(&w->row, run->mem, table->column_count + 3);
    slot_init(&w->old, run->mem, table->column_count + 3);
    strbuf_init(&w->bytes, run->mem);
    strbuf_init(&w->key, run->mem);
    strbuf_init(&w->old_key, run->mem);
    w->newest.arena = run->mem;
    uint32_t keys = 1;
    for (uint32_t i = 0; i < table->index_count; i++)
        keys = MAX(keys, table->indexes[i].key_count);
    w->key_values = ARENA_ARRAY(run->mem, datum, keys + 2);
    w->key_nulls = ARENA_ARRAY(run->mem, bool, keys + 2);
    w->doubts = ARENA_ARRAY(run->mem, struct key_doubt, table->index_count + 1);
}

bool integer_fits(oid type, datum value)
{
    int64_t v = datum_i64(value);
    if (type == TYPE_INT2)
        return v >= INT16_MIN && v <= INT16_MAX;
    if (type == TYPE_INT4)
        return v >= INT32_MIN && v <= INT32_MAX;
    return true;
}

uint32_t table_row_shard(const struct plan_table *t, const datum *values, const bool *nulls)
{
    switch (t->distribution) {
    case DISTRIBUTED_SHARD_0:
        return 0;
    case DISTRIBUTED_KEYLESS:
    case DISTRIBUTED_REPLICATED:
    case DISTRIBUTED_NONE:
        return shard_home_of_core(core_id());
    case DISTRIBUTED_HASH:
        break;
    }
    datum keys[32];
    ASSERT(t->shard_key_count <= ARRAY_LEN(keys));
    for (uint32_t i = 0; i < t->shard_key_count; i++) {
        uint32_t column = (uint32_t)t->shard_key[i] - 1;
        if (nulls[column])
            return shard_of_hash(0);
        keys[i] = values[column];
    }
    return shard_of_hash(key_hash(t->shard_key_columns, t->shard_key_count, keys));
}

/* ---- error texts ---- */

enum { SHOWN_VALUE_BYTES = 64 };

static err_t put_value(const struct session_env *env, struct arena *mem, oid type, datum value,
                       bool is_null, bool clip, struct strbuf *out)
{
    if (is_null) {
        strbuf_puts(out, "null");
        return ERR_OK;
    }
    struct strbuf text;
    strbuf_init(&text, mem);
    TRY(value_output(env, mem, type, value, &text));
    size_t len = text.len;
    if (clip && len > SHOWN_VALUE_BYTES) {
        len = SHOWN_VALUE_BYTES;
        while (len > 0 && ((uint8_t)text.data[len] & 0xc0) == 0x80)
            len--;
    }
    TRY(strbuf_put(out, text.data != NULL ? text.data : "", len));
    if (len < text.len)
        strbuf_puts(out, "...");
    return ERR_OK;
}

/* "(1, x, null)" of the live columns. */
static COLD void failing_row(struct table_write *w)
{
    const struct plan_table *t = w->table;
    struct arena *mem = arena_new();
    struct strbuf text;
    strbuf_init(&text, mem);
    bool is_first = true;
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->column_names[i] == NULL)
            continue;
        if (!is_first)
            strbuf_puts(&text, ", ");
        is_first = false;
        if (put_value(w->run->env, mem, t->column_types[i], w->row.values[i], w->row.nulls[i], true,
                      &text) != ERR_OK) {
            arena_free(mem);
            return;
        }
    }
    err_detail("Failing row contains (%s).", text.len > 0 ? text.data : "");
    arena_free(mem);
}

static COLD err_t raise_not_null(struct table_write *w, uint32_t column)
{
    const struct plan_table *t = w->table;
    err_t e = err_raise(ERR_NOT_NULL_VIOLATION,
                        "null value in column \"%s\" of relation \"%s\" violates not-null "
                        "constraint",
                        t->column_names[column] != NULL ? t->column_names[column] : "", t->name);
    failing_row(w);
    err_object(t->schema_name, t->name, t->column_names[column], NULL, NULL);
    return e;
}

static COLD err_t raise_check(struct table_write *w, const struct plan_check *check)
{
    const struct plan_table *t = w->table;
    err_t e = err_raise(ERR_CHECK_VIOLATION,
                        "new row for relation \"%s\" violates check constraint \"%s\"", t->name,
                        check->name);
    failing_row(w);
    err_object(t->schema_name, t->name, NULL, NULL, check->name);
    return e;
}

static const char *key_column_name(void *ctx, const struct expr *column)
{
    const struct plan_table *t = ctx;
    if (column->kind == EXPR_INPUT && column->input.index < t->column_count)
        return t->column_names[column->input.index];
    return "?column?";
}

COLD err_t table_raise_unique(const struct plan_table *t, const struct plan_index *index,
                              const struct session_env *env, const datum *values, const bool *nulls)
{
    struct arena *mem = arena_new();
    struct strbuf names;
    struct strbuf text;
    strbuf_init(&names, mem);
    strbuf_init(&text, mem);
    err_t e = ERR_OK;
    const struct deparse_options o = {.column_name = key_column_name, .ctx = (void *)(uintptr_t)t};
    for (uint32_t i = 0; i < index->key_count && e == ERR_OK; i++) {
        if (i > 0) {
            strbuf_puts(&names, ", ");
            strbuf_puts(&text, ", ");
        }
        if (index->attnos[i] > 0)
            strbuf_puts(&names, t->column_names[index->attnos[i] - 1]);
        else
            e = expr_deparse(mem, index->expressions[i], &o, &names);
        if (e == ERR_OK)
            e = put_value(env, mem, index->key_columns[i].type->oid, values[i], nulls[i], false,
                          &text);
    }
    err_t raised = err_raise(ERR_UNIQUE_VIOLATION,
                             "duplicate key value violates unique constraint \"%s\"", index->name);
    if (e == ERR_OK)
        err_detail("Key (%s)=(%s) already exists.", names.len > 0 ? names.data : "",
                   text.len > 0 ? text.data : "");
    err_object(t->schema_name, t->name, NULL, NULL, index->name);
    arena_free(mem);
    return raised;
}

/* ---- constraints ---- */

SUSPENDS err_t table_check_wait(struct table_write *w)
{
    const struct plan_table *t = w->table;
    if (t->not_null != NULL)
        for (uint32_t i = 0; i < t->column_count; i++)
            if (t->not_null[i] && w->row.nulls[i])
                return raise_not_null(w, i);
    w->eval.inputs[0] = &w->row;
    for (uint32_t i = 0; i < t->check_count; i++) {
        datum value = 0;
        bool is_null = true;
        TRY(expr_eval_wait(t->code->checks[i], &w->eval, &value, &is_null));
        if (!is_null && !datum_bool(value))
            return raise_check(w, &t->checks[i]);
    }
    return ERR_OK;
}

/* ---- keys ---- */

struct key_info {
    bool has_entry; /* the predicate holds */
    bool has_null;
};

/* The row's key into w->key_values and key. */
static SUSPENDS err_t make_key_wait(struct table_write *w, uint32_t i, const struct slot *row,
                                    struct strbuf *key, struct key_info *out)
{
    const struct plan_index *index = &w->table->indexes[i];
    const struct index_code *code = &w->table->code->indexes[i];
    *out = (struct key_info){.has_entry = true};
    w->eval.inputs[0] = row;
    if (code->predicate != NULL)
        TRY(expr_eval_bool_wait(code->predicate, &w->eval, &out->has_entry));
    key->len = 0;
    if (!out->has_entry)
        return ERR_OK;
    if (code->expressions != NULL)
        TRY(expr_eval_list_wait(code->expressions, &w->eval, w->key_values, w->key_nulls));
    for (uint32_t k = 0; k < index->key_count; k++) {
        if (index->attnos[k] > 0) {
            w->key_values[k] = row->values[index->attnos[k] - 1];
            w->key_nulls[k] = row->nulls[index->attnos[k] - 1];
        }
        out->has_null |= w->key_nulls[k];
        key_append(&index->key_columns[k], w->key_values[k], w->key_nulls[k], key);
    }
    if (key->len > INDEX_KEY_BYTES_MAX) {
        err_t e = err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                            "index row size %zu exceeds btree version 4 maximum %d for index "
                            "\"%s\"",
                            key->len, (int)INDEX_KEY_BYTES_MAX, index->name);
        err_hint("Values larger than 1/3 of a buffer page cannot be indexed.\n"
                 "Consider a function index of an MD5 hash of the value, or use full text "
                 "indexing.");
        err_object(w->table->schema_name, w->table->name, NULL, NULL, index->name);
        return e;
    }
    return ERR_OK;
}

/* Data exceptions, and keys that are too long. */
static bool is_of_data(err_t e)
{
    return e == ERR_PROGRAM_LIMIT_EXCEEDED || memcmp(err_sqlstate(e), "22", 2) == 0;
}

/* An index that is not valid may lack entries. That of a row for which it can have no key was never
 * made, or will not be: no reason to refuse a change of the row. */
static SUSPENDS err_t make_lax_key_wait(struct table_write *w, uint32_t i, const struct slot *row,
                                        bool is_lax, struct strbuf *key, struct key_info *out)
{
    err_t e = make_key_wait(w, i, row, key, out);
    if (e == ERR_OK || !is_lax || !is_of_data(e))
        return e;
    key->len = 0;
    *out = (struct key_info){.has_entry = false};
    return ERR_OK;
}

/* ---- map tables of global unique indexes, on any shard ---- */

struct map_call {
    const struct run *from;
    const struct plan_table *map;
    uint32_t shard_no;
    struct txn_view view;
    const datum *values; /* key columns, shard, row id */
    const bool *nulls;
    /* MAP_BRING_DELETE: it was not found, and a build beside writers has not brought it yet */
    enum { MAP_INSERT, MAP_DELETE, MAP_BRING_DELETE, MAP_FIND } op;
    bool is_conflict;
    bool is_found;          /* MAP_DELETE */
    struct row_place found; /* MAP_FIND: the table row; ROW_ID_NONE */
    bool is_in_doubt;       /* MAP_INSERT */
    row_id in_doubt;        /* the map row */
};

/* What others see of the newest commits: nothing of the transaction's own. */
static struct txn_view committed_view(const struct txn_view *v)
{
    return (struct txn_view){.snapshot = UINT64_MAX - 1,
                             .isolation = READ_COMMITTED,
                             .session = v->session,
                             .limits = v->limits};
}

static SUSPENDS err_t map_bring_row_wait(struct table_write *w, const struct map_call *c)
{
    struct txn_view others = committed_view(&c->view);
    bool is_conflict;
    w->bytes.len = 0;
    TRY(row_encode(c->map->layout, w->row.values, w->row.nulls, &w->bytes));
    return map_bring_wait(c->map, c->shard_no, &others, &w->bytes, &w->key, false, &is_conflict);
}

/* The map row with the key, for deletions the one that leads to the same table row. */
static SUSPENDS err_t map_find_wait(struct table_write *w, struct map_call *c, row_id *out)
{
    const struct plan_table *map = c->map;
    const struct plan_index *index = &map->indexes[0];
    struct key_info info;
    TRY(make_key_wait(w, 0, &w->row, &w->key, &info));
    if (c->op == MAP_BRING_DELETE)
        TRY(map_bring_row_wait(w, c));
    struct txn_view latest = c->view;
    latest.snapshot = UINT64_MAX - 1;
    latest.seq++;
    struct index_range range = {.low = w->key.data,
                                .low_len = u32_from(w->key.len),
                                .high = w->key.data,
                                .high_len = u32_from(w->key.len),
                                .high_inclusive = true};
    struct index_scan *scan = NULL;
    struct shard *s = shard_local(c->shard_no);
    TRY(index_scan_begin_wait(s, &latest, index->file, map->file, &range, w->run->mem, &scan));
    struct row_buf row = {.arena = w->run->mem};
    err_t e = ERR_OK;
    *out = ROW_ID_NONE;
    for (;;) {
        row_id id = ROW_ID_NONE;
        e = index_scan_next_row_wait(scan, &id, &row);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        e = map_row_place(map, row.data, w->old.values, w->old.nulls, &c->found);
        if (e != ERR_OK)
            break;
        uint32_t n = map->column_count;
        if (c->op == MAP_FIND || (w->old.values[n - 2] == c->values[n - 2] &&
                                  w->old.values[n - 1] == c->values[n - 1])) {
            *out = id;
            break;
        }
    }
    index_scan_end(scan);
    c->view.observed = MAX(c->view.observed, latest.observed);
    return e;
}

static SUSPENDS err_t map_apply_wait(struct table_write *w, struct map_call *c)
{
    memcpy(w->row.values, c->values, sizeof(datum) * c->map->column_count);
    memcpy(w->row.nulls, c->nulls, sizeof(bool) * c->map->column_count);
    row_id id = ROW_ID_NONE;
    c->found.id = ROW_ID_NONE;
    if (c->op != MAP_INSERT) {
        TRY(map_find_wait(w, c, &id));
        c->is_found = id != ROW_ID_NONE;
        if (id == ROW_ID_NONE || c->op == MAP_FIND)
            return ERR_OK;
        enum row_lock_result result;
        TRY(row_lock_wait(shard_local(c->shard_no), &c->view, c->map->file, id, LOCK_UPDATE,
                          LOCK_WAIT, &result, NULL));
        if (result == ROW_GONE)
            return ERR_OK;
        return table_delete_wait(w, &c->view, c->shard_no, id);
    }
    bool inserted = false;
    row_id conflict = ROW_ID_NONE;
    TRY(table_insert_wait(w, &c->view, c->shard_no, true, NULL, 0, &inserted, &id, &conflict));
    c->is_conflict = !inserted;
    c->is_in_doubt = w->doubt_count > 0;
    c->in_doubt = id;
    return ERR_OK;
}

static SUSPENDS err_t map_run_wait(void *arg)
{
    struct map_call *c = arg;
    struct arena *mem = arena_new();
    struct run run = {.mem = mem, .env = c->from->env, .on_shard = true, .shard_no = c->shard_no};
    struct table_write *w = ARENA_NEW(mem, struct table_write);
    table_write_init(w, &run, c->map);
    err_t e = map_apply_wait(w, c);
    arena_free(mem);
    return e;
}

static SUSPENDS err_t map_call_wait(struct table_write *w, struct txn_view *v, uint32_t i,
                                    uint32_t shard_no, row_id id, struct map_call *out)
{
    const struct plan_index *index = &w->table->indexes[i];
    const struct plan_table *map = index->map_table;
    uint32_t n = index->key_count;
    if (map->column_count != n + 2 || map->index_count == 0)
        return err_raise(ERR_INTERNAL_ERROR, "map table of index \"%s\" has the wrong columns",
                         index->name);
    w->key_values[n] = datum_of_i32((int32_t)shard_no);
    w->key_nulls[n] = false;
    w->key_values[n + 1] = datum_of_i64((int64_t)id);
    w->key_nulls[n + 1] = false;
    struct map_call *c = out;
    c->from = w->run;
    c->map = map;
    c->shard_no = table_row_shard(map, w->key_values, w->key_nulls);
    c->values = w->key_values;
    c->nulls = w->key_nulls;
    bool is_here = c->shard_no == shard_no;
    if (is_here)
        c->view = *v;
    else
        run_view_begin(w->run, c->shard_no, true, &c->view);
    err_t e = core_call_wait(shard_core(c->shard_no), map_run_wait, c);
    if (is_here)
        *v = c->view;
    else
        run_view_end(w->run, c->shard_no, &c->view);
    return e;
}

SUSPENDS err_t table_find_conflict_wait(struct table_write *w, struct txn_view *v,
                                        uint32_t shard_no, uint32_t i, struct row_place *out)
{
    const struct plan_index *index = &w->table->indexes[i];
    struct key_info info;
    *out = (struct row_place){.shard_no = shard_no, .id = ROW_ID_NONE};
    TRY(make_key_wait(w, i, &w->row, &w->key, &info));
    if (!info.has_entry || (info.has_null && !index->nulls_not_distinct))
        return ERR_OK;
    if (index->map_table != NULL) {
        struct map_call c = {.op = MAP_FIND};
        TRY(map_call_wait(w, v, i, shard_no, ROW_ID_NONE, &c));
        if (c.found.id != ROW_ID_NONE)
            *out = c.found;
        return ERR_OK;
    }
    struct txn_view latest = *v;
    latest.snapshot = UINT64_MAX - 1;
    latest.seq++;
    struct index_range range = {.low = w->key.data,
                                .low_len = u32_from(w->key.len),
                                .high = w->key.data,
                                .high_len = u32_from(w->key.len),
                                .high_inclusive = true};
    struct index_scan *scan = NULL;
    TRY(index_scan_begin_wait(shard_local(shard_no), &latest, index->file, w->table->file, &range,
                              w->eval.mem, &scan));
    const uint8_t *key = NULL;
    uint32_t key_len = 0;
    err_t e = index_scan_next_wait(scan, &out->id, &key, &key_len);
    index_scan_end(scan);
    v->observed = MAX(v->observed, latest.observed);
    return e;
}

SUSPENDS err_t table_keys_match_wait(struct table_write *w, uint32_t i, bool *match)
{
    struct key_info old;
    struct key_info new;
    TRY(make_key_wait(w, i, &w->old, &w->old_key, &old));
    TRY(make_key_wait(w, i, &w->row, &w->key, &new));
    *match = old.has_entry && new.has_entry &&
             w->key.len == w->old_key.len &&memcmp(w->key.data, w->old_key.data, w->key.len) == 0;
    return ERR_OK;
}

/* ---- rows ---- */

static bool is_arbiter(uint32_t i, bool tolerate, const uint32_t *arbiters, uint32_t count)
{
    if (!tolerate || count == 0)
        return tolerate;
    for (uint32_t k = 0; k < count; k++)
        if (arbiters[k] == i)
            return true;
    return false;
}

/* Writers of an index that is not valid yet need not look again: the one that it is to replace
 * still says what is unique, and the build looks at all keys. */
static void add_doubt(struct table_write *w, uint32_t i, uint32_t shard_no, row_id id)
{
    if (w->table->indexes[i].is_valid)
        w->doubts[w->doubt_count++] = (struct key_doubt){i, {shard_no, id}};
}

/* One index entry for w->row. *conflict: the row that has the key already. */
static SUSPENDS err_t entry_insert_wait(struct table_write *w, struct txn_view *v,
                                        uint32_t shard_no, uint32_t i, row_id id, row_id *conflict)
{
    const struct plan_table *t = w->table;
    const struct plan_index *index = &t->indexes[i];
    enum index_unique unique = INDEX_NOT_UNIQUE;
    *conflict = ROW_ID_NONE;
    struct key_info info;
    TRY(make_lax_key_wait(w, i, &w->row, index->is_known_only, &w->key, &info));
    if (!info.has_entry)
        return ERR_OK;
    if (index->is_known_only)
        return index->file == 0
                   ? ERR_OK
                   : index_insert_known_wait(shard_local(shard_no), v, index->file, t->file,
                                             w->key.data, u32_from(w->key.len), id);
    bool can_conflict = !info.has_null || index->nulls_not_distinct;
    if (index->map_table != NULL && can_conflict) {
        struct map_call c = {.op = MAP_INSERT};
        TRY(map_call_wait(w, v, i, shard_no, id, &c));
        if (c.is_conflict) { /* nothing of this index has to be taken back */
            *conflict = CONFLICT_ELSEWHERE;
            return ERR_OK;
        }
        if (c.is_in_doubt)
            add_doubt(w, i, c.shard_no, c.in_doubt);
    } else if (index->is_unique && can_conflict) {
        unique = index->is_deferrable ? INDEX_UNIQUE_LATER : INDEX_UNIQUE;
    }
    if (index->file != 0)
        TRY(index_insert_wait(shard_local(shard_no), v, index->file, t->file, w->key.data,
                              u32_from(w->key.len), id, unique, conflict));
    if (unique == INDEX_UNIQUE_LATER && *conflict != ROW_ID_NONE) {
        add_doubt(w, i, shard_no, id);
        *conflict = ROW_ID_NONE;
    }
    return ERR_OK;
}

/* The row, locked, has the key in w->old_key for everyone else: no crash can take that. Then
 * w->key_values are those of its key, in mem. */
static SUSPENDS err_t committed_key_wait(struct table_write *w, const struct txn_view *v,
                                         uint32_t shard_no, uint32_t i, row_id id,
                                         struct arena *mem, bool *has_key)
{
    const struct plan_table *t = w->table;
    struct shard *s = shard_local(shard_no);
    struct txn_view others = committed_view(v);
    struct row_buf image = {.arena = mem};
    TRY(row_fetch_wait(s, &others, t->file, id, has_key, &image));
    if (!*has_key)
        return ERR_OK;
    struct slot row;
    struct key_info info;
    slot_init(&row, mem, t->column_count + 3);
    table_decode(t, image.data, t->column_count, row.values, row.nulls);
    TRY(make_lax_key_wait(w, i, &row, true, &w->key, &info));
    *has_key = info.has_entry && w->key.len == w->old_key.len &&
               memcmp(w->key.data, w->old_key.data, w->key.len) == 0;
    return *has_key ? shard_flush_wait(s, others.observed) : ERR_OK;
}

/* The row in w->old_key and w->key_values goes from the map. While the index is being built it may
 * not be there: then the build must not find it later, as a row that still has the key. Only what
 * is committed can be brought in; what the transaction itself has put in is there, but for what it
 * wrote by a plan that kept no more than what is known (the build waits for its end). */
static SUSPENDS err_t map_remove_wait(struct table_write *w, struct txn_view *v, uint32_t shard_no,
                                      uint32_t i, row_id id)
{
    const struct plan_index *index = &w->table->indexes[i];
    struct map_call c = {.op = MAP_DELETE};
    TRY(map_call_wait(w, v, i, shard_no, id, &c));
    if (c.is_found || index->is_valid || index->is_known_only)
        return ERR_OK;
    struct arena *mem = arena_new();
    bool has_key;
    err_t e = committed_key_wait(w, v, shard_no, i, id, mem, &has_key);
    if (e == ERR_OK && has_key) {
        c = (struct map_call){.op = MAP_BRING_DELETE};
        e = map_call_wait(w, v, i, shard_no, id, &c);
    }
    arena_free(mem);
    return e;
}

static SUSPENDS err_t entry_remove_wait(struct table_write *w, struct txn_view *v,
                                        uint32_t shard_no, uint32_t i, const struct slot *row,
                                        row_id id)
{
    const struct plan_table *t = w->table;
    const struct plan_index *index = &t->indexes[i];
    struct key_info info;
    TRY(make_lax_key_wait(w, i, row, !index->is_valid, &w->old_key, &info));
    if (!info.has_entry)
        return ERR_OK;
    if (index->file != 0 && index->is_known_only)
        TRY(index_remove_known_wait(shard_local(shard_no), v, index->file, t->file, w->old_key.data,
                                    u32_from(w->old_key.len), id));
    else if (index->file != 0)
        TRY(index_remove_wait(shard_local(shard_no), v, index->file, t->file, w->old_key.data,
                              u32_from(w->old_key.len), id));
    if (index->map_table != NULL && (!info.has_null || index->nulls_not_distinct))
        TRY(map_remove_wait(w, v, shard_no, i, id));
    return ERR_OK;
}

SUSPENDS err_t table_insert_wait(struct table_write *w, struct txn_view *v, uint32_t shard_no,
                                 bool tolerate, const uint32_t *arbiters, uint32_t arbiter_count,
                                 bool *inserted, row_id *id, row_id *conflict)
{
    const struct plan_table *t = w->table;
    struct shard *s = shard_local(shard_no);
    *inserted = false;
    *conflict = ROW_ID_NONE;
    w->doubt_count = 0;
    w->bytes.len = 0;
    TRY(row_encode(t->layout, w->row.values, w->row.nulls, &w->bytes));
    TRY(row_insert_wait(s, v, t->file, w->bytes.data, u32_from(w->bytes.len), id));
    for (uint32_t i = 0; i < t->index_count; i++) {
        TRY(entry_insert_wait(w, v, shard_no, i, *id, conflict));
        if (*conflict == ROW_ID_NONE)
            continue;
        if (!is_arbiter(i, tolerate, arbiters, arbiter_count))
            return table_raise_unique(t, &t->indexes[i], w->run->env, w->key_values, w->key_nulls);
        /* Someone was faster: take back what was done for this row. */
        for (uint32_t k = 0; k < i; k++)
            TRY(entry_remove_wait(w, v, shard_no, k, &w->row, *id));
        return row_delete_wait(s, v, t->file, *id);
    }
    *inserted = true;
    return ERR_OK;
}

static bool key_depends_on(const struct index_code *code, const bool *changed, uint32_t columns)
{
    if (code->depends_on_all || changed == NULL)
        return true;
    for (uint32_t i = 0; i < columns; i++)
        if (changed[i] && code->columns[i])
            return true;
    return false;
}

SUSPENDS err_t table_update_wait(struct table_write *w, struct txn_view *v, uint32_t shard_no,
                                 row_id id, const bool *changed)
{
    const struct plan_table *t = w->table;
    w->doubt_count = 0;
    w->bytes.len = 0;
    TRY(row_encode(t->layout, w->row.values, w->row.nulls, &w->bytes));
    TRY(row_update_wait(shard_local(shard_no), v, t->file, id, w->bytes.data,
                        u32_from(w->bytes.len)));
    for (uint32_t i = 0; i < t->index_count; i++) {
        if (!key_depends_on(&t->code->indexes[i], changed, t->column_count))
            continue;
        struct key_info before;
        struct key_info after;
        const struct plan_index *x = &t->indexes[i];
        TRY(make_lax_key_wait(w, i, &w->old, !x->is_valid, &w->old_key, &before));
        TRY(make_lax_key_wait(w, i, &w->row, x->is_known_only, &w->key, &after));
        if (before.has_entry == after.has_entry && w->key.len == w->old_key.len &&
            memcmp(w->key.data != NULL ? w->key.data : "",
                   w->old_key.data != NULL ? w->old_key.data : "", w->key.len) == 0)
            continue;
        if (before.has_entry)
            TRY(entry_remove_wait(w, v, shard_no, i, &w->old, id));
        row_id conflict = ROW_ID_NONE;
        TRY(entry_insert_wait(w, v, shard_no, i, id, &conflict));
        if (conflict != ROW_ID_NONE)
            return table_raise_unique(t, &t->indexes[i], w->run->env, w->key_values, w->key_nulls);
    }
    return ERR_OK;
}

SUSPENDS err_t table_delete_wait(struct table_write *w, struct txn_view *v, uint32_t shard_no,
                                 row_id id)
{
    const struct plan_table *t = w->table;
    TRY(row_delete_wait(shard_local(shard_no), v, t->file, id));
    for (uint32_t i = 0; i < t->index_count; i++)
        TRY(entry_remove_wait(w, v, shard_no, i, &w->old, id));
    return ERR_OK;
}
