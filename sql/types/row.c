/*
 * The row codec: table rows and rows in transit. Layout, all little endian:
 *
 *   0                u16 column count n
 *   2                null bitmap, (n + 7) / 8 bytes, bit set = null
 *   ...              zero padding to a multiple of 4
 *   C                cells: one per column at cell_offset, packed (1, 2, 4 or 8 bytes; by reference
 *                    u32 offset from the row's start); null cells are zero
 *   ...              zero padding to a multiple of 4, then struct varlens, each padded to 4
 *
 * A row written before columns were added has a smaller n; cells of its columns stand at the same
 * offsets from C, but C itself depends on n. Cells are read with memcpy, so only the varlens need
 * alignment (4).
 */
#include "sql/types/types.h"

#include "sql/types/types_priv.h"

enum { ROW_HEADER_BYTES = 2, ROW_VALUE_BYTES_MAX = 0x3fffffff };

static uint32_t cells_start(uint32_t count)
{
    return (ROW_HEADER_BYTES + (count + 7) / 8 + 3) & ~3u;
}

struct row_layout *row_layout_new(struct arena *mem, const oid *types, uint32_t count)
{
    struct row_layout *l = ARENA_NEW(mem, struct row_layout);
    uint8_t *cell_bytes = ARENA_ARRAY(mem, uint8_t, count + 1);
    bool *by_value = ARENA_ARRAY(mem, bool, count + 1);
    bool *is_signed = ARENA_ARRAY(mem, bool, count + 1);
    uint32_t *cell_offset = ARENA_ARRAY(mem, uint32_t, count + 1);
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct type_info *t = type_find(types[i]);
        by_value[i] = t != NULL && t->by_value;
        if (!by_value[i])
            cell_bytes[i] = 4;
        else if (t->typlen == 1 || t->typlen == 2 || t->typlen == 4)
            cell_bytes[i] = (uint8_t)t->typlen;
        else
            cell_bytes[i] = 8;
        is_signed[i] = types[i] == TYPE_INT2 || types[i] == TYPE_INT4 || types[i] == TYPE_DATE;
        cell_offset[i] = at;
        at += cell_bytes[i];
    }
    l->column_count = count;
    l->cell_bytes = cell_bytes;
    l->by_value = by_value;
    l->is_signed = is_signed;
    l->cell_offset = cell_offset;
    l->cells_bytes = at;
    return l;
}

err_t row_encode(const struct row_layout *l, const datum *values, const bool *nulls,
                 struct strbuf *out)
{
    uint32_t count = l->column_count;
    uint32_t start = cells_start(count);
    uint64_t total = (start + l->cells_bytes + 3) & ~3u;
    uint64_t fixed = total;
    for (uint32_t i = 0; i < count; i++)
        if (!l->by_value[i] && !nulls[i])
            total += (sizeof(struct varlen) + (uint64_t)datum_varlen(values[i])->len + 3) & ~3ull;
    if (total > ROW_VALUE_BYTES_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "row is too big: size %llu, maximum size %d",
                         (unsigned long long)total, ROW_VALUE_BYTES_MAX);
    size_t base = out->len;
    static const uint8_t zeros[256];
    for (uint64_t left = fixed; left > 0;) {
        size_t n = MIN(left, sizeof(zeros));
        TRY(strbuf_put(out, zeros, n));
        left -= n;
    }
    /* Varlens first: they may move the buffer; offsets are remembered in the cells. */
    uint32_t at = (uint32_t)fixed;
    for (uint32_t i = 0; i < count; i++) {
        if (l->by_value[i] || nulls[i])
            continue;
        const struct varlen *v = datum_varlen(values[i]);
        uint32_t bytes = (uint32_t)sizeof(struct varlen) + v->len;
        TRY(strbuf_put(out, v, bytes));
        uint32_t padded = (bytes + 3) & ~3u;
        if (padded > bytes)
            TRY(strbuf_put(out, zeros, padded - bytes));
        store_u32(out->data + base + start + l->cell_offset[i], at);
        at += padded;
    }
    uint8_t *row = (uint8_t *)out->data + base;
    store_u16(row, u16_from(count));
    for (uint32_t i = 0; i < count; i++) {
        if (nulls[i]) {
            row[ROW_HEADER_BYTES + i / 8] |= (uint8_t)(1u << (i % 8));
            continue;
        }
        if (l->by_value[i]) /* little endian: the low bytes come first */
            memcpy(row + start + l->cell_offset[i], &values[i], l->cell_bytes[i]);
    }
    return ERR_OK;
}

uint32_t row_column_count(const uint8_t *row)
{
    return load_u16(row);
}

static bool is_null_at(const uint8_t *row, uint32_t column)
{
    return (row[ROW_HEADER_BYTES + column / 8] >> (column % 8)) & 1;
}

err_t row_check(const struct row_layout *l, const uint8_t *row, size_t len)
{
    if (len < ROW_HEADER_BYTES)
        return err_raise(ERR_DATA_CORRUPTED, "row is shorter than its header");
    uint32_t count = row_column_count(row);
    if (count > l->column_count)
        return err_raise(ERR_DATA_CORRUPTED, "row has %u columns, its table has %u", count,
                         l->column_count);
    uint32_t start = cells_start(count);
    uint32_t cells =
        count == 0 ? 0 : l->cell_offset[count - 1] + (uint32_t)l->cell_bytes[count - 1];
    if (len < (size_t)start + cells)
        return err_raise(ERR_DATA_CORRUPTED, "row is shorter than its columns");
    for (uint32_t i = 0; i < count; i++) {
        if (l->by_value[i] || is_null_at(row, i))
            continue;
        uint32_t at = load_u32(row + start + l->cell_offset[i]);
        if (at < start + cells || at % 4 != 0 || (size_t)at + sizeof(struct varlen) > len ||
            (size_t)at + sizeof(struct varlen) + load_u32(row + at) > len)
            return err_raise(ERR_DATA_CORRUPTED, "column %u of a row lies outside of the row",
                             i + 1);
    }
    return ERR_OK;
}

static inline datum read_cell(const struct row_layout *l, const uint8_t *row, const uint8_t *cells,
                              uint32_t column)
{
    const uint8_t *cell = cells + l->cell_offset[column];
    if (!l->by_value[column])
        return (datum)(uintptr_t)(row + load_u32(cell));
    switch (l->cell_bytes[column]) {
    case 1:
        return *cell;
    case 2:
        return l->is_signed[column] ? datum_of_i16((int16_t)load_u16(cell)) : load_u16(cell);
    case 4:
        return l->is_signed[column] ? datum_of_i32((int32_t)load_u32(cell)) : load_u32(cell);
    default:
        return load_u64(cell);
    }
}

datum row_get(const struct row_layout *l, const uint8_t *row, uint32_t column, bool *is_null)
{
    *is_null = is_null_at(row, column);
    if (*is_null)
        return 0;
    return read_cell(l, row, row + cells_start(row_column_count(row)), column);
}

void row_decode(const struct row_layout *l, const uint8_t *row, uint32_t first, uint32_t count,
                datum *values, bool *nulls)
{
    uint32_t have = row_column_count(row);
    const uint8_t *cells = row + cells_start(have);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = first + i;
        nulls[i] = column >= have || is_null_at(row, column);
        values[i] = nulls[i] ? 0 : read_cell(l, row, cells, column);
    }
}
