/* Rows of map tables: the key, then shard and address of the table row that has it. */
#include "sql/exec/map.h"

#include "sql/exec/exec_priv.h"

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
