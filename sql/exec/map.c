/*
 * Rows of map tables: the key, then shard and address of the table row that has it.
 *
 * Queries ask a map by the statement's own view, so that what it says and the row that is there
 * belong to the same snapshot.
 */
#include "sql/exec/map.h"

#include "sql/exec/exec_priv.h"

err_t map_row_place(const struct plan_table *map, const uint8_t *row, datum *values, bool *nulls,
                    struct row_place *out)
{
    uint32_t n = map->column_count;
    table_decode(map, row, n, values, nulls);
    *out = (struct row_place){.shard_no = (uint32_t)datum_i64(values[n - 2]),
                              .id = (row_id)values[n - 1]};
    return out->shard_no < shard_count()
               ? ERR_OK
               : err_raise(ERR_DATA_CORRUPTED, "map table \"%s\" is damaged", map->name);
}

/* ---- where a row is ---- */

struct map_shard_call {
    const struct plan_table *map;
    const datum *keys;
    struct txn_view view;
    uint32_t shard_no; /* in: of the map's row; out: of the table's */
};

static SUSPENDS err_t find_wait(struct map_shard_call *c, struct arena *mem)
{
    const struct plan_table *map = c->map;
    const struct plan_index *index = &map->indexes[0];
    struct strbuf key;
    strbuf_init(&key, mem);
    for (uint32_t i = 0; i < index->key_count; i++)
        key_append(&index->key_columns[i], c->keys[i], false, &key);
    struct index_range range = {.low = key.data,
                                .low_len = u32_from(key.len),
                                .high = key.data,
                                .high_len = u32_from(key.len),
                                .high_inclusive = true};
    struct index_scan *scan = NULL;
    TRY(index_age_check(shard_local(c->shard_no), &c->view, map->file, map->map_of));
    TRY(index_scan_begin_wait(shard_local(c->shard_no), &c->view, index->file, map->file, &range,
                              mem, &scan));
    struct row_buf row = {.arena = mem};
    row_id id = ROW_ID_NONE;
    err_t e = index_scan_next_row_wait(scan, &id, &row);
    index_scan_end(scan);
    if (e != ERR_OK || id == ROW_ID_NONE)
        return e;
    struct slot found;
    struct row_place place;
    slot_init(&found, mem, map->column_count);
    TRY(map_row_place(map, row.data, found.values, found.nulls, &place));
    c->shard_no = place.shard_no;
    return ERR_OK;
}

static SUSPENDS err_t find_call(void *arg)
{
    struct map_shard_call *c = arg;
    struct arena *mem = arena_new();
    err_t e = find_wait(c, mem);
    arena_free(mem);
    return e;
}

SUSPENDS err_t map_shard_wait(struct run *run, const struct plan_table *map, const datum *keys,
                              const bool *nulls, uint32_t *shard_no)
{
    *shard_no = shard_of_hash(0);
    for (uint32_t i = 0; i < map->shard_key_count; i++)
        if (nulls[i] || !integer_fits(map->column_types[i], keys[i]))
            return ERR_OK;
    struct map_shard_call c = {
        .map = map, .keys = keys, .shard_no = table_row_shard(map, keys, nulls)};
    uint32_t at = c.shard_no;
    run_view_begin(run, at, false, &c.view);
    err_t e = core_call_short_wait(shard_core(at), find_call, &c);
    run_view_end(run, at, &c.view);
    *shard_no = c.shard_no;
    return e;
}

/* ---- bringing rows in ---- */

struct leads {
    const struct plan_table *map;
    datum *values;
    bool *nulls;
    datum shard;
    datum row;
};

static bool leads_to_same(void *ctx, const uint8_t *row, uint32_t len)
{
    const struct leads *l = ctx;
    uint32_t n = l->map->column_count;
    (void)len;
    table_decode(l->map, row, n, l->values, l->nulls);
    return l->values[n - 2] == l->shard && l->values[n - 1] == l->row;
}

err_t map_bring_wait(const struct plan_table *map, uint32_t shard_no, struct txn_view *v,
                     const struct strbuf *row, const struct strbuf *key, bool is_checked,
                     bool *is_conflict)
{
    uint32_t n = map->column_count;
    struct arena *mem = arena_new();
    struct leads l = {
        .map = map, .values = ARENA_ARRAY(mem, datum, n), .nulls = ARENA_ARRAY(mem, bool, n)};
    table_decode(map, (const uint8_t *)row->data, n, l.values, l.nulls);
    l.shard = l.values[n - 2];
    l.row = l.values[n - 1];
    struct row_bring b = {.heap = map->file,
                          .index = map->indexes[0].file,
                          .row = row->data,
                          .len = u32_from(row->len),
                          .key = key->data,
                          .key_len = u32_from(key->len),
                          .is_checked = is_checked,
                          .is_same = leads_to_same,
                          .ctx = &l};
    row_id conflict = ROW_ID_NONE;
    err_t e = row_bring_wait(shard_local(shard_no), v, &b, &conflict);
    *is_conflict = conflict != ROW_ID_NONE;
    arena_free(mem);
    return e;
}
