/*
 * Index builds: each shard reads its own rows on its own core, sorts the keys and loads the B+tree
 * bottom-up. The table is locked against writers, so the newest committed-or-own state of the rows
 * is what the index holds. A build beside writers (concurrent.c) takes the rows that its snapshot
 * sees, and brings the entries into the tree one by one, in order.
 */
#include "sql/ddl/ddl_priv.h"

#include "core/settings.h"

#include <stdio.h>

struct build {
    const struct plan_table *table;
    const struct plan_index *index;
    const struct session_env *env;
    uint64_t budget;
    bool beside_writers;
};

/* A scan that also sees everything that committed after the snapshot. */
static struct txn_view view_of_all(const struct txn_view *v)
{
    struct txn_view all = *v;
    all.snapshot = UINT64_MAX - 1;
    return all;
}

err_t key_maker_init(struct key_maker *k, const struct plan_table *t, const struct plan_index *x,
                     const struct session_env *env, struct arena *mem)
{
    *k = (struct key_maker){.t = t, .x = x};
    uint32_t n = t->column_count;
    k->values = ARENA_ARRAY(mem, datum, n + 3);
    k->nulls = ARENA_ARRAY(mem, bool, n + 3);
    k->programs = ARENA_ARRAY(mem, struct program *, x->key_count);
    for (uint32_t i = 0; i < x->key_count; i++) {
        if (x->attnos[i] == 0) {
            TRY(expr_compile(mem, x->expressions[i], &k->programs[i]));
            k->columns_needed = n;
        } else {
            k->columns_needed = MAX(k->columns_needed, (uint32_t)x->attnos[i]);
        }
    }
    if (x->predicate) {
        TRY(expr_compile(mem, x->predicate, &k->predicate));
        k->columns_needed = n;
    }
    k->slot = (struct slot){.values = k->values, .nulls = k->nulls, .count = n + 3};
    k->eval = (struct eval){.env = env, .mem = arena_new(), .state_mem = mem};
    k->eval.inputs[0] = &k->slot;
    strbuf_init(&k->key, mem);
    return ERR_OK;
}

void ddl_row_read(const struct plan_table *t, const uint8_t *row, uint32_t columns, datum *values,
                  bool *nulls)
{
    uint32_t stored = row_column_count(row);
    row_decode(t->layout, row, 0, columns, values, nulls);
    for (uint32_t i = stored; i < columns; i++) {
        values[i] = t->missing[i];
        nulls[i] = t->missing_nulls[i];
    }
}

SUSPENDS err_t key_make_wait(struct key_maker *k, const uint8_t *row, bool *skip, bool *has_null)
{
    arena_reset(k->eval.mem);
    ddl_row_read(k->t, row, k->columns_needed, k->values, k->nulls);
    *skip = false;
    *has_null = false;
    if (k->predicate) {
        bool in;
        TRY(expr_eval_bool_wait(k->predicate, &k->eval, &in));
        *skip = !in;
        if (!in)
            return ERR_OK;
    }
    strbuf_reset(&k->key);
    for (uint32_t i = 0; i < k->x->key_count; i++) {
        datum value;
        bool is_null;
        if (k->programs[i]) {
            TRY(expr_eval_wait(k->programs[i], &k->eval, &value, &is_null));
        } else {
            value = k->values[k->x->attnos[i] - 1];
            is_null = k->nulls[k->x->attnos[i] - 1];
        }
        *has_null = *has_null || is_null;
        key_append(&k->x->key_columns[i], value, is_null, &k->key);
    }
    if (k->key.len > INDEX_KEY_BYTES_MAX) {
        err_t e = err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                            "index row size %zu exceeds btree version 4 maximum %d for index "
                            "\"%s\"",
                            k->key.len, INDEX_KEY_BYTES_MAX, k->x->name);
        err_hint("Values larger than 1/3 of a buffer page cannot be indexed.\nConsider a function "
                 "index of an MD5 hash of the value, or use full text indexing.");
        return e;
    }
    return ERR_OK;
}

err_t ddl_duplicate_error(const struct plan_table *t, const struct plan_index *x,
                          const struct session_env *env, const struct key_maker *k,
                          struct arena *mem)
{
    struct strbuf names;
    struct strbuf values;
    strbuf_init(&names, mem);
    strbuf_init(&values, mem);
    strbuf_puts(&names, "");
    strbuf_puts(&values, "");
    for (uint32_t i = 0; i < x->key_count; i++) {
        int16_t attno = x->attnos[i];
        if (attno == 0) {
            strbuf_reset(&values);
            break;
        }
        strbuf_printf(&names, "%s%s", i ? ", " : "",
                      quote_identifier(mem, t->column_names[attno - 1]));
        strbuf_puts(&values, i ? ", " : "");
        if (k->nulls[attno - 1])
            strbuf_puts(&values, "null");
        else
            ERR_IGNORE(
                value_output(env, mem, t->column_types[attno - 1], k->values[attno - 1], &values));
    }
    err_t e = err_raise(ERR_UNIQUE_VIOLATION, "could not create unique index \"%s\"", x->name);
    if (values.len)
        err_detail("Key (%s)=(%s) is duplicated.", names.data, values.data);
    else
        err_detail("Duplicate keys exist.");
    err_object(t->schema_name, t->name, NULL, NULL, x->name);
    return e;
}

/* Feeds index_build_wait from the sort, watching for equal neighbours. */
/* What its map table keeps unique need not be looked at on each shard. */
static bool is_unique_here(const struct plan_index *x)
{
    return x->is_unique && x->map_table == NULL;
}

struct feed {
    struct key_sort *sort;
    const struct build *build;
    struct key_maker *maker;
    struct arena *mem;
    struct shard *shard;
    struct txn_view view;
    bool unique;
    uint8_t *last;
    uint32_t last_len;
    bool has_last;
    uint32_t steps;
};

static SUSPENDS err_t feed_next(void *ctx, const uint8_t **key, uint32_t *len, row_id *id)
{
    struct feed *f = ctx;
    bool has_null = false;
    TRY(key_sort_next_wait(f->sort, key, len, id, &has_null));
    if (!*key)
        return ERR_OK;
    if ((++f->steps & 1023) == 0)
        TRY(fiber_rest_wait());
    if (!f->unique || (has_null && !f->build->index->nulls_not_distinct))
        return ERR_OK;
    if (f->has_last && f->last_len == *len && memcmp(f->last, *key, *len) == 0) {
        bool found;
        bool skip;
        bool null;
        struct row_buf row = {.arena = f->mem};
        TRY(row_fetch_wait(f->shard, &f->view, f->build->table->file, *id, &found, &row));
        if (found)
            TRY(key_make_wait(f->maker, row.data, &skip, &null));
        return ddl_duplicate_error(f->build->table, f->build->index, f->build->env, f->maker,
                                   f->mem);
    }
    memcpy(f->last, *key, *len);
    f->last_len = *len;
    f->has_last = true;
    return ERR_OK;
}

static SUSPENDS err_t build_sort_wait(struct shard_work *w, const struct build *b,
                                      struct key_maker *k, struct key_sort *sort, struct arena *mem)
{
    struct txn_view all = b->beside_writers ? w->view : view_of_all(&w->view);
    struct heap_scan *scan;
    TRY(heap_scan_begin_wait(shard_local(w->shard), &all, b->table->file, mem, &scan));
    err_t e = ERR_OK;
    for (uint32_t n = 0; e == ERR_OK; n++) {
        row_id id;
        const uint8_t *row;
        uint32_t len;
        e = heap_scan_next_wait(scan, &id, &row, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        bool skip;
        bool has_null;
        e = key_make_wait(k, row, &skip, &has_null);
        if (e == ERR_OK && !skip)
            e = key_sort_add_wait(sort, k->key.data, (uint32_t)k->key.len, id, has_null);
        if (e == ERR_OK && (n & 255) == 255)
            e = fiber_rest_wait();
    }
    heap_scan_end(scan);
    w->view.observed = MAX(w->view.observed, all.observed);
    if (e == ERR_OK)
        e = key_sort_finish_wait(sort);
    return e;
}

/* Entry by entry into the live tree. */
static SUSPENDS err_t fill_wait(struct shard_work *w, const struct build *b, struct key_maker *k,
                                struct key_sort *sort, struct arena *mem)
{
    struct shard *s = shard_local(w->shard);
    const struct plan_index *x = b->index;
    for (uint32_t n = 1;; n++) {
        const uint8_t *key;
        uint32_t len;
        row_id id;
        row_id conflict;
        bool has_null = false;
        TRY(key_sort_next_wait(sort, &key, &len, &id, &has_null));
        if (!key)
            return shard_flush_wait(s, shard_log_end(s));
        bool unique = is_unique_here(x) && (!has_null || x->nulls_not_distinct);
        TRY(index_fill_wait(s, &w->view, x->file, b->table->file, key, len, id, unique, &conflict));
        if (conflict != ROW_ID_NONE) {
            bool found;
            bool skip;
            struct row_buf row = {.arena = mem};
            TRY(row_fetch_wait(s, &w->view, b->table->file, id, &found, &row));
            if (found)
                TRY(key_make_wait(k, row.data, &skip, &has_null));
            return ddl_duplicate_error(b->table, x, b->env, k, mem);
        }
        if ((n & 63) == 0)
            TRY(fiber_rest_wait());
    }
}

static SUSPENDS err_t build_on_shard(struct shard_work *w)
{
    const struct build *b = w->arg;
    struct arena *mem = arena_new();
    struct key_sort *sort = key_sort_new(b->budget);
    struct key_maker *k = ARENA_NEW(mem, struct key_maker);
    err_t e = key_maker_init(k, b->table, b->index, b->env, mem);
    if (e == ERR_OK)
        e = build_sort_wait(w, b, k, sort, mem);
    if (e == ERR_OK && b->beside_writers) {
        e = fill_wait(w, b, k, sort, mem);
    } else if (e == ERR_OK) {
        struct feed f = {.sort = sort,
                         .build = b,
                         .maker = k,
                         .mem = mem,
                         .shard = shard_local(w->shard),
                         .view = view_of_all(&w->view),
                         .unique = is_unique_here(b->index),
                         .last = arena_alloc(mem, INDEX_KEY_BYTES_MAX)};
        e = index_build_wait(f.shard, &w->view, b->index->file, feed_next, &f);
    }
    key_sort_free_wait(sort);
    arena_free(k->eval.mem);
    arena_free(mem);
    return e;
}

/* A map table's error speaks of the index that it stands for. */
static err_t map_error(err_t e, const struct plan_table *t, const struct plan_index *x)
{
    if (e != ERR_UNIQUE_VIOLATION)
        return e;
    struct diag *d = core_malloc(sizeof(*d));
    diag_copy(d, err_diag());
    e = err_raise(ERR_UNIQUE_VIOLATION, "could not create unique index \"%s\"", x->name);
    const char *values = d->detail ? strstr(d->detail, ")=(") : NULL;
    char names[512] = "";
    for (uint32_t i = 0; i < x->key_count && values; i++) {
        size_t at = strlen(names);
        if (x->attnos[i] == 0)
            values = NULL;
        else
            (void)snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "",
                           t->column_names[x->attnos[i] - 1]);
    }
    if (values)
        err_detail("Key (%s%s", names, values);
    else
        err_detail("Duplicate keys exist.");
    err_object(t->schema_name, t->name, NULL, NULL, x->name);
    core_free(d);
    return e;
}

static SUSPENDS err_t flush_on_shard(struct shard_work *w)
{
    struct shard *s = shard_local(w->shard);
    return shard_flush_wait(s, shard_log_end(s));
}

static SUSPENDS err_t build_map_wait(struct ddl_context *x, const struct plan_table *t,
                                     const struct plan_index *index, bool beside_writers)
{
    const struct plan_table *map = index->map_table;
    if (!map || map->index_count != 1)
        return err_raise(ERR_INTERNAL_ERROR, "index \"%s\" has no map", index->name);
    struct rewrite r = {.from = t, .to = map, .map_of = index, .beside_writers = beside_writers};
    if (beside_writers) {
        TRY(map_error(ddl_rewrite_wait(x, &r), t, index));
        return ddl_on_shards_wait(x, flush_on_shard, NULL);
    }
    TRY(ddl_rewrite_wait(x, &r));
    err_t e = ddl_build_index_wait(x, map->oid, map->indexes[0].oid);
    return map_error(e, t, index);
}

static SUSPENDS err_t build_wait(struct ddl_context *x, oid table, oid index, bool beside_writers)
{
    struct plan_options o = ddl_plan_options(x);
    struct plan_table *t;
    TRY(plan_table_make_wait(&o, table, x->mem, &t));
    for (uint32_t i = 0; i < t->index_count; i++) {
        if (t->indexes[i].oid != index)
            continue;
        if (t->indexes[i].map_table)
            TRY(build_map_wait(x, t, &t->indexes[i], beside_writers));
        if (t->indexes[i].file == 0)
            return ERR_OK;
        int64_t kb = setting_int(x->env->settings, SET_maintenance_work_mem);
        struct build b = {.table = t,
                          .index = &t->indexes[i],
                          .env = x->env,
                          .beside_writers = beside_writers,
                          .budget = (uint64_t)MAX(kb, 1024) * 1024 / MAX(shard_count(), 1u)};
        return ddl_on_shards_wait(x, build_on_shard, &b);
    }
    return err_raise(ERR_INTERNAL_ERROR, "index %u is not one of table %u", index, table);
}

err_t ddl_build_index_wait(struct ddl_context *x, oid table, oid index)
{
    return build_wait(x, table, index, false);
}

err_t ddl_fill_index_wait(struct ddl_context *x, oid table, oid index)
{
    return build_wait(x, table, index, true);
}

/* ---- checks over all rows ---- */

struct validate {
    const struct plan_table *table;
    const struct expr *condition;
    const struct session_env *env;
};

static SUSPENDS err_t validate_scan_wait(struct shard_work *w, struct validate *v,
                                         struct arena *mem)
{
    struct program *program;
    uint32_t n = v->table->column_count;
    struct slot slot = {ARENA_ARRAY(mem, datum, n + 3), ARENA_ARRAY(mem, bool, n + 3), n + 3};
    struct eval eval = {.env = v->env, .mem = arena_new(), .state_mem = mem};
    struct heap_scan *scan;
    struct txn_view all = view_of_all(&w->view);
    eval.inputs[0] = &slot;
    err_t e = expr_compile(mem, v->condition, &program);
    if (e == ERR_OK)
        e = heap_scan_begin_wait(shard_local(w->shard), &all, v->table->file, mem, &scan);
    if (e != ERR_OK) {
        arena_free(eval.mem);
        return e;
    }
    for (uint32_t i = 0; e == ERR_OK; i++) {
        row_id id;
        const uint8_t *row;
        uint32_t len;
        e = heap_scan_next_wait(scan, &id, &row, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        arena_reset(eval.mem);
        ddl_row_read(v->table, row, n, slot.values, slot.nulls);
        datum value;
        bool is_null;
        e = expr_eval_wait(program, &eval, &value, &is_null);
        if (e == ERR_OK && !is_null && !datum_bool(value))
            e = err_raise(ERR_CHECK_VIOLATION, "a row fails"); /* a null result passes */
        if (e == ERR_OK && (i & 255) == 255)
            e = fiber_rest_wait();
    }
    heap_scan_end(scan);
    arena_free(eval.mem);
    return e;
}

static SUSPENDS err_t validate_on_shard(struct shard_work *w)
{
    struct arena *mem = arena_new();
    err_t e = validate_scan_wait(w, w->arg, mem);
    arena_free(mem);
    return e;
}

err_t ddl_validate_check_wait(struct ddl_context *x, const struct plan_table *t,
                              const struct expr *condition, bool *ok)
{
    struct validate v = {.table = t, .condition = condition, .env = x->env};
    err_t e = ddl_on_shards_wait(x, validate_on_shard, &v);
    *ok = e == ERR_OK;
    return e == ERR_CHECK_VIOLATION ? ERR_OK : e;
}
