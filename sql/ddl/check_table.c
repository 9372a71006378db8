/*
 * One stored table, on all shards at once: the structure of its files (shard/verify.c), that every
 * row decodes and lies on the shard that its key says, and that each index has exactly the entries
 * that the rows ask for. Rows and entries are compared by count and by a sum of hashes of (key, row
 * address), so one pass over each is enough and nothing is kept; only when they differ are the
 * culprits looked up. Map tables of global unique indexes are compared the same way over all
 * shards.
 */
#include "sql/ddl/check_priv.h"

#include "sql/types/hash.h"

#include <stdio.h>
#include <stdlib.h>

enum { CULPRITS_MAX = 5, REST_ROWS = 256 };

struct sum {
    uint64_t count;
    uint64_t hash;
};

struct table_check {
    const struct plan_table *table;
    const struct session_env *env;
    struct findings *findings; /* per shard */
    struct sum *rows;          /* per shard: of a replicated table they are all equal */
    struct sum *maps;          /* per shard and index: rows that the map table must have */
};

struct shard_check {
    const struct table_check *t;
    struct shard_work *w;
    struct shard *shard;
    struct findings *f;
    struct arena *mem;
    struct key_maker *makers; /* per index */
    struct sum *expected;     /* per index: entries that the rows ask for */
};

static void sum_add(struct sum *s, uint64_t hash)
{
    s->count++;
    s->hash += hash_u64(hash);
}

static bool sum_equal(const struct sum *a, const struct sum *b)
{
    return a->count == b->count && a->hash == b->hash;
}

static uint64_t entry_hash(const void *key, size_t len, row_id id)
{
    return hash_combine(hash_bytes(key, len), id);
}

static uint64_t map_hash(const void *key, size_t len, uint32_t shard, row_id id)
{
    return hash_combine(hash_combine(hash_bytes(key, len), shard), id);
}

static SUSPENDS err_t check_row_wait(struct shard_check *c, row_id id, const uint8_t *row,
                                     uint32_t len)
{
    const struct plan_table *t = c->t->table;
    if (row_check(t->layout, row, len) != ERR_OK) {
        finding(c->f, "shard %u: table %s, row (%llu,%u): %s", c->w->shard, t->name,
                (unsigned long long)(id >> 16), (unsigned)(id & 0xffff), err_diag()->message);
        return ERR_OK;
    }
    sum_add(&c->t->rows[c->w->shard], hash_bytes(row, len));
    for (uint32_t i = 0; i < t->index_count; i++) {
        struct key_maker *k = &c->makers[i];
        bool skip;
        bool has_null;
        if (!t->indexes[i].is_valid) /* it may lack entries, also those that it cannot have */
            continue;
        TRY(key_make_wait(k, row, &skip, &has_null));
        if (skip)
            continue;
        sum_add(&c->expected[i], entry_hash(k->key.data, k->key.len, id));
        if (t->indexes[i].map_table != NULL && (!has_null || t->indexes[i].nulls_not_distinct))
            sum_add(&c->t->maps[c->w->shard * t->index_count + i],
                    map_hash(k->key.data, k->key.len, c->w->shard, id));
    }
    return ERR_OK;
}

/* A row whose key belongs elsewhere would not be found. */
static void check_place(struct shard_check *c, row_id id, const uint8_t *row, datum *values,
                        bool *nulls)
{
    const struct plan_table *t = c->t->table;
    if (t->distribution != DISTRIBUTED_HASH)
        return;
    ddl_row_read(t, row, t->column_count, values, nulls);
    datum key[32];
    uint32_t shard = shard_of_hash(0);
    bool has_null = false;
    ASSERT(t->shard_key_count <= ARRAY_LEN(key));
    for (uint32_t i = 0; i < t->shard_key_count; i++) {
        key[i] = values[t->shard_key[i] - 1];
        has_null |= nulls[t->shard_key[i] - 1];
    }
    if (!has_null)
        shard = shard_of_hash(key_hash(t->shard_key_columns, t->shard_key_count, key));
    if (shard != c->w->shard)
        finding(c->f, "shard %u: table %s, row (%llu,%u) belongs on shard %u", c->w->shard, t->name,
                (unsigned long long)(id >> 16), (unsigned)(id & 0xffff), shard);
}

static SUSPENDS err_t check_rows_wait(struct shard_check *c)
{
    uint32_t n = c->t->table->column_count;
    datum *values = ARENA_ARRAY(c->mem, datum, n + 1);
    bool *nulls = ARENA_ARRAY(c->mem, bool, n + 1);
    struct heap_scan *scan;
    TRY(heap_scan_begin_wait(c->shard, &c->w->view, c->t->table->file, c->mem, &scan));
    err_t e = ERR_OK;
    for (uint32_t i = 1; e == ERR_OK; i++) {
        row_id id;
        const uint8_t *row;
        uint32_t len;
        e = heap_scan_next_wait(scan, &id, &row, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        uint64_t before = c->f->count;
        e = check_row_wait(c, id, row, len);
        if (e == ERR_OK && c->f->count == before)
            check_place(c, id, row, values, nulls);
        if (e == ERR_OK && i % REST_ROWS == 0)
            e = fiber_rest_wait();
    }
    heap_scan_end(scan);
    return e;
}

/* ---- indexes ---- */

struct entry {
    row_id id;
    uint64_t hash;
};

struct entry_list {
    struct entry *entries;
    uint64_t count;
    uint64_t capacity;
};

static void list_add(struct entry_list *l, row_id id, uint64_t hash)
{
    if (l->count == l->capacity) {
        l->capacity = MAX(UINT64_C(1024), l->capacity * 2);
        l->entries = core_realloc(l->entries, l->capacity * sizeof(*l->entries));
    }
    l->entries[l->count++] = (struct entry){id, hash};
}

static int entry_order(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static void list_sort(struct entry_list *l)
{
    if (l->entries != NULL)
        qsort(l->entries, l->count, sizeof(*l->entries), entry_order);
}

static SUSPENDS err_t walk_index_wait(struct shard_check *c, uint32_t i, struct sum *sum,
                                      struct entry_list *list)
{
    const struct plan_table *t = c->t->table;
    const struct plan_index *x = &t->indexes[i];
    struct index_range all = {0};
    struct index_scan *scan;
    struct strbuf last;
    bool has_last = false;
    strbuf_init(&last, c->mem);
    TRY(index_scan_begin_wait(c->shard, &c->w->view, x->file, t->file, &all, c->mem, &scan));
    err_t e = ERR_OK;
    for (uint32_t n = 1; e == ERR_OK; n++) {
        row_id id;
        const uint8_t *key;
        uint32_t len;
        e = index_scan_next_wait(scan, &id, &key, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        if (has_last) {
            int order = memcmp(last.data, key, MIN(last.len, (size_t)len));
            if (order > 0 || (order == 0 && last.len > len))
                finding(c->f, "shard %u: index %s is out of order at row (%llu,%u)", c->w->shard,
                        x->name, (unsigned long long)(id >> 16), (unsigned)(id & 0xffff));
        }
        strbuf_reset(&last);
        e = strbuf_put(&last, key, len);
        has_last = len > 0;
        sum_add(sum, entry_hash(key, len, id));
        if (list != NULL)
            list_add(list, id, entry_hash(key, len, id));
        if (e == ERR_OK && n % REST_ROWS == 0)
            e = fiber_rest_wait();
    }
    index_scan_end(scan);
    return e;
}

static SUSPENDS err_t list_rows_wait(struct shard_check *c, uint32_t i, struct entry_list *list)
{
    struct heap_scan *scan;
    struct key_maker *k = &c->makers[i];
    TRY(heap_scan_begin_wait(c->shard, &c->w->view, c->t->table->file, c->mem, &scan));
    err_t e = ERR_OK;
    for (uint32_t n = 1; e == ERR_OK; n++) {
        row_id id;
        const uint8_t *row;
        uint32_t len;
        bool skip;
        bool has_null;
        e = heap_scan_next_wait(scan, &id, &row, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        if (row_check(c->t->table->layout, row, len) != ERR_OK)
            continue;
        e = key_make_wait(k, row, &skip, &has_null);
        if (e == ERR_OK && !skip)
            list_add(list, id, entry_hash(k->key.data, k->key.len, id));
        if (e == ERR_OK && n % REST_ROWS == 0)
            e = fiber_rest_wait();
    }
    heap_scan_end(scan);
    return e;
}

static void name_culprits(struct shard_check *c, uint32_t i, const struct entry_list *rows,
                          const struct entry_list *entries)
{
    const char *name = c->t->table->indexes[i].name;
    uint64_t r = 0;
    uint64_t k = 0;
    uint32_t shown = 0;
    while ((r < rows->count || k < entries->count) && shown < CULPRITS_MAX) {
        int order = r == rows->count      ? 1
                    : k == entries->count ? -1
                                          : entry_order(&rows->entries[r], &entries->entries[k]);
        if (order == 0) {
            r++;
            k++;
            continue;
        }
        shown++;
        const struct entry *e = order < 0 ? &rows->entries[r++] : &entries->entries[k++];
        finding(c->f,
                order < 0 ? "shard %u: index %s has no entry for row (%llu,%u)"
                          : "shard %u: index %s has an entry for row (%llu,%u) that no row has",
                c->w->shard, name, (unsigned long long)(e->id >> 16), (unsigned)(e->id & 0xffff));
    }
}

static SUSPENDS err_t find_culprits_wait(struct shard_check *c, uint32_t i)
{
    struct entry_list rows = {0};
    struct entry_list entries = {0};
    struct sum sum = {0};
    err_t e = list_rows_wait(c, i, &rows);
    if (e == ERR_OK)
        e = walk_index_wait(c, i, &sum, &entries);
    if (e == ERR_OK) {
        list_sort(&rows);
        list_sort(&entries);
        name_culprits(c, i, &rows, &entries);
    }
    core_free(rows.entries);
    core_free(entries.entries);
    return e;
}

static SUSPENDS err_t check_index_wait(struct shard_check *c, uint32_t i)
{
    const struct plan_index *x = &c->t->table->indexes[i];
    struct sum found = {0};
    uint64_t entries;
    char where[96];
    if (x->file == 0)
        return ERR_OK;
    (void)snprintf(where, sizeof(where), "shard %u: index %.60s: ", c->w->shard, x->name);
    TRY(finding_of_error(c->f, where, shard_verify_file_wait(c->shard, x->file, c->mem)));
    TRY(finding_of_error(
        c->f, where,
        shard_verify_index_wait(c->shard, x->file, c->t->table->file, c->mem, &entries)));
    TRY(finding_of_error(c->f, where, walk_index_wait(c, i, &found, NULL)));
    if (!x->is_valid) /* a build that failed: it may lack entries */
        return ERR_OK;
    if (sum_equal(&found, &c->expected[i]))
        return ERR_OK;
    finding(c->f, "shard %u: index %s has %llu entries, its table asks for %llu", c->w->shard,
            x->name, (unsigned long long)found.count, (unsigned long long)c->expected[i].count);
    return finding_of_error(c->f, where, find_culprits_wait(c, i));
}

static SUSPENDS err_t shard_check_wait(struct shard_check *c)
{
    const struct plan_table *t = c->t->table;
    char where[96];
    for (uint32_t i = 0; i < t->index_count; i++)
        TRY(key_maker_init(&c->makers[i], t, &t->indexes[i], c->t->env, c->mem));
    (void)snprintf(where, sizeof(where), "shard %u: table %.60s: ", c->w->shard, t->name);
    TRY(finding_of_error(c->f, where, shard_verify_file_wait(c->shard, t->file, c->mem)));
    uint64_t before = c->f->count;
    TRY(finding_of_error(c->f, where, check_rows_wait(c)));
    for (uint32_t i = 0; i < t->index_count; i++) {
        if (c->f->count == before) /* else the rows are no measure for the entries */
            TRY(check_index_wait(c, i));
    }
    return ERR_OK;
}

static SUSPENDS err_t table_on_shard(struct shard_work *w)
{
    const struct table_check *t = w->arg;
    struct arena *mem = arena_new();
    struct shard_check c = {
        .t = t,
        .w = w,
        .shard = shard_local(w->shard),
        .f = &t->findings[w->shard],
        .mem = mem,
        .makers = ARENA_ARRAY(mem, struct key_maker, t->table->index_count + 1),
        .expected = ARENA_ARRAY(mem, struct sum, t->table->index_count + 1),
    };
    err_t e = ERR_OK;
    if (t->table->distribution != DISTRIBUTED_SHARD_0 || w->shard == 0)
        e = shard_check_wait(&c);
    for (uint32_t i = 0; i < t->table->index_count; i++) {
        if (c.makers[i].eval.mem != NULL)
            arena_free(c.makers[i].eval.mem);
    }
    arena_free(mem);
    return e;
}

/* ---- map tables of global unique indexes ---- */

struct map_check {
    const struct plan_table *map;
    const struct plan_index *index;
    struct sum *sums; /* per shard */
};

static SUSPENDS err_t map_on_shard(struct shard_work *w)
{
    const struct map_check *m = w->arg;
    uint32_t n = m->map->column_count;
    struct arena *mem = arena_new();
    datum *values = ARENA_ARRAY(mem, datum, n);
    bool *nulls = ARENA_ARRAY(mem, bool, n);
    struct strbuf key;
    struct heap_scan *scan;
    strbuf_init(&key, mem);
    err_t e = heap_scan_begin_wait(shard_local(w->shard), &w->view, m->map->file, mem, &scan);
    for (uint32_t i = 1; e == ERR_OK; i++) {
        row_id id;
        const uint8_t *row;
        uint32_t len;
        e = heap_scan_next_wait(scan, &id, &row, &len);
        if (e != ERR_OK || id == ROW_ID_NONE) {
            heap_scan_end(scan);
            break;
        }
        if (row_check(m->map->layout, row, len) != ERR_OK)
            continue; /* the map table's own check says so */
        ddl_row_read(m->map, row, n, values, nulls);
        strbuf_reset(&key);
        for (uint32_t k = 0; k < m->index->key_count; k++)
            key_append(&m->index->key_columns[k], values[k], nulls[k], &key);
        sum_add(&m->sums[w->shard], map_hash(key.data, key.len, (uint32_t)datum_i32(values[n - 2]),
                                             (row_id)datum_i64(values[n - 1])));
        if (i % REST_ROWS == 0)
            e = fiber_rest_wait();
    }
    arena_free(mem);
    return e;
}

static SUSPENDS err_t check_map_wait(struct check *c, const struct table_check *t, uint32_t i)
{
    const struct plan_index *x = &t->table->indexes[i];
    uint32_t shards = shard_count();
    struct map_check m = {
        .map = x->map_table, .index = x, .sums = ARENA_ARRAY(c->x->mem, struct sum, shards)};
    if (x->map_table->column_count != x->key_count + 2u) {
        finding(&c->own, "map table of index %s has the wrong columns", x->name);
        return ERR_OK;
    }
    TRY(ddl_lock_wait(c->x, x->map_table->oid, LOCK_TABLE_SHARE));
    TRY(ddl_on_shards_wait(c->x, map_on_shard, &m));
    struct sum rows = {0};
    struct sum maps = {0};
    for (uint32_t s = 0; s < shards; s++) {
        rows.count += t->maps[s * t->table->index_count + i].count;
        rows.hash += t->maps[s * t->table->index_count + i].hash;
        maps.count += m.sums[s].count;
        maps.hash += m.sums[s].hash;
    }
    if (!sum_equal(&rows, &maps))
        finding(&c->own,
                "unique index %s: its map table does not agree with the table's rows (%llu and "
                "%llu)",
                x->name, (unsigned long long)maps.count, (unsigned long long)rows.count);
    return ERR_OK;
}

/* ---- tables ---- */

err_t check_table_wait(struct check *c, oid relation)
{
    struct ddl_context *x = c->x;
    if (relation >= FIRST_USER_OID)
        TRY(ddl_lock_wait(x, relation, LOCK_TABLE_SHARE));
    const struct table_desc *desc;
    TRY(table_by_oid_wait(x->catalog, relation, &desc));
    bool is_stored = desc != NULL && desc->file != 0 && desc->distribution != DISTRIBUTED_NONE;
    if (desc != NULL)
        table_release(desc);
    if (!is_stored)
        return ERR_OK;
    uint32_t shards = shard_count();
    struct plan_options o = ddl_plan_options(x);
    struct plan_table *t;
    TRY(plan_table_make_wait(&o, relation, x->mem, &t));
    struct table_check work = {
        .table = t,
        .env = x->env,
        .findings = ARENA_ARRAY(x->mem, struct findings, shards),
        .rows = ARENA_ARRAY(x->mem, struct sum, shards),
        .maps = ARENA_ARRAY(x->mem, struct sum, (size_t)shards * (t->index_count + 1)),
    };
    for (uint32_t s = 0; s < shards; s++)
        work.findings[s].text = core_malloc(FINDINGS_BYTES_MAX);
    err_t e = ddl_on_shards_wait(x, table_on_shard, &work);
    uint64_t problems = 0;
    for (uint32_t s = 0; s < shards; s++) {
        problems += work.findings[s].count;
        take_findings(c, &work.findings[s]);
        core_free(work.findings[s].text);
    }
    TRY(e);
    for (uint32_t s = 1; s < shards && t->distribution == DISTRIBUTED_REPLICATED; s++) {
        if (!sum_equal(&work.rows[0], &work.rows[s]))
            finding(&c->own, "replicated table %s differs between shards 0 and %u", t->name, s);
    }
    for (uint32_t i = 0; i < t->index_count && problems == 0; i++) {
        if (t->indexes[i].map_table != NULL && t->indexes[i].is_valid)
            TRY(check_map_wait(c, &work, i));
    }
    return ERR_OK;
}
