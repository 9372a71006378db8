/*
 * Where the row with a unique key is, when the key does not contain the shard key: the map table
 * says, which is distributed by the key. It is read by the statement's own view, so that what it
 * says and the row that is there belong to the same snapshot.
 */
#include "sql/exec/exec_priv.h"

struct map_shard_call {
    struct run *run;
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
    uint32_t n = map->column_count;
    struct slot found;
    slot_init(&found, mem, n);
    table_decode(map, row.data, n, found.values, found.nulls);
    int64_t shard_no = datum_i64(found.values[n - 2]);
    if (n < 2 || found.nulls[n - 2] || shard_no < 0 || shard_no >= (int64_t)shard_count())
        return err_raise(ERR_DATA_CORRUPTED, "map table \"%s\" is damaged", map->name);
    c->shard_no = (uint32_t)shard_no;
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
        .run = run, .map = map, .keys = keys, .shard_no = table_row_shard(map, keys, nulls)};
    uint32_t at = c.shard_no;
    run_view_begin(run, at, false, &c.view);
    err_t e = core_call_short_wait(shard_core(at), find_call, &c);
    run_view_end(run, at, &c.view);
    *shard_no = c.shard_no;
    return e;
}
