/*
 * ANALYZE: a sample of each shard's rows (reservoir, Vitter's algorithm R) gives per column the
 * null fraction, average width, number of distinct values, most common values and a histogram, as
 * pg_statistic keeps them. The estimators are PostgreSQL's: Haas and Stokes for distinct values.
 */
#include "sql/ddl/ddl_priv.h"

#include <math.h>
#include <stdlib.h>

enum { DEFAULT_TARGET = 100, SAMPLE_PER_TARGET = 300 };

/* ---- sampling ---- */

struct sample_row {
    uint8_t *bytes;
    uint32_t len;
};

struct shard_sample {
    struct arena *mem; /* of the shard's core */
    struct sample_row *rows;
    uint32_t count;
    uint64_t seen;
};

struct sampling {
    file_id heap;
    uint32_t want;
    struct shard_sample *shards;
};

static SUSPENDS err_t sample_on_shard(struct shard_work *w)
{
    const struct sampling *s = w->arg;
    struct shard_sample *out = &s->shards[w->shard];
    struct heap_scan *scan;
    out->mem = arena_new();
    out->rows = ARENA_ARRAY(out->mem, struct sample_row, s->want);
    TRY(heap_scan_begin_wait(shard_local(w->shard), &w->view, s->heap, out->mem, &scan));
    err_t e = ERR_OK;
    for (;;) {
        row_id id;
        const uint8_t *row;
        uint32_t len;
        e = heap_scan_next_wait(scan, &id, &row, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        uint64_t place = out->seen++;
        if (place >= s->want)
            place = core_random_u64() % out->seen;
        if (place < s->want) {
            struct sample_row *r = &out->rows[place];
            if (place == out->count)
                out->count++;
            core_free(r->bytes);
            r->bytes = core_malloc(len);
            memcpy(r->bytes, row, len);
            r->len = len;
        }
        if ((out->seen & 255) == 0)
            e = fiber_rest_wait();
        if (e != ERR_OK)
            break;
    }
    heap_scan_end(scan);
    return e;
}

static err_t sample_free_call(void *arg)
{
    struct shard_sample *s = arg;
    for (uint32_t i = 0; i < s->count; i++)
        core_free(s->rows[i].bytes);
    arena_free(s->mem);
    return ERR_OK;
}

/* ---- one column ---- */

struct value {
    datum d;
    uint32_t place; /* in the sample: physical order */
};

struct column_work {
    const struct type_info *type;
    struct value *values;
    uint32_t count;
    uint32_t nulls;
    uint32_t total;
    double width;
    uint32_t target;
};

struct group {
    uint32_t first;
    uint32_t count;
};

static int value_order(const void *a, const void *b, void *ctx)
{
    const struct value *x = a;
    const struct value *y = b;
    const struct type_info *type = ctx;
    int c = type->compare(x->d, y->d);
    return c ? c : (x->place > y->place) - (x->place < y->place);
}

static int group_order(const void *a, const void *b)
{
    const struct group *x = a;
    const struct group *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

struct column_result {
    double null_fraction;
    double width;
    double distinct;
    uint32_t common_count;
    datum *common;
    datum *fractions; /* float4 */
    uint32_t bound_count;
    datum *bounds;
    bool has_correlation;
    double correlation;
};

static double distinct_estimate(const struct column_work *w, uint32_t groups, uint32_t singles,
                                double rows)
{
    double d = groups;
    if (singles == groups && groups == w->count)
        return -1.0 * (1.0 - (double)w->nulls / w->total); /* looks unique */
    if (singles > 0 && w->count < rows) {
        double n = w->count;
        double big = rows * (1.0 - (double)w->nulls / w->total);
        d = n * groups / (n - singles + singles * n / MAX(big, n));
        d = MIN(MAX(d, (double)groups), big);
    }
    d = floor(d + 0.5);
    return d > 0.1 * rows && rows > 0 ? -d / rows : d;
}

/* Values clearly more frequent than an average one, as a list of groups in order of frequency. */
static uint32_t common_groups(const struct column_work *w, struct group *groups, uint32_t count,
                              double distinct, double rows)
{
    qsort(groups, count, sizeof(*groups), group_order);
    uint32_t n = MIN(count, w->target);
    double estimated = distinct < 0 ? -distinct * rows : distinct;
    if (count <= w->target && distinct > 0) {
        uint32_t repeated = 0;
        while (repeated < n && groups[repeated].count > 1)
            repeated++;
        return repeated == count ? n : repeated;
    }
    double average = w->count / MAX(estimated, 1.0);
    double least = MAX(average * 1.25, 2.0);
    while (n > 0 && groups[n - 1].count < least)
        n--;
    return n;
}

static double correlation_of(const struct column_work *w)
{
    double n = w->count;
    double sum_xy = 0;
    for (uint32_t i = 0; i < w->count; i++)
        sum_xy += (double)i * w->values[i].place;
    double sum = (n - 1) * n / 2;
    double sum2 = (n - 1) * n * (2 * n - 1) / 6;
    double var = n * sum2 - sum * sum;
    return var == 0 ? 0 : (n * sum_xy - sum * sum) / var;
}

static void histogram_make(struct arena *mem, const struct column_work *w,
                           const struct group *groups, uint32_t common, uint32_t group_count,
                           struct column_result *r)
{
    if (group_count - common < 2)
        return;
    bool *skip = ARENA_ARRAY(mem, bool, w->count);
    for (uint32_t g = 0; g < common; g++)
        for (uint32_t i = 0; i < groups[g].count; i++)
            skip[groups[g].first + i] = true;
    datum *rest = ARENA_ARRAY(mem, datum, w->count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->count; i++)
        if (!skip[i])
            rest[n++] = w->values[i].d;
    uint32_t bounds = MIN(w->target + 1, group_count - common);
    if (bounds < 2)
        return;
    r->bounds = ARENA_ARRAY(mem, datum, bounds);
    r->bound_count = bounds;
    for (uint32_t i = 0; i < bounds; i++)
        r->bounds[i] = rest[(uint64_t)i * (n - 1) / (bounds - 1)];
}

static SUSPENDS err_t column_compute_wait(struct arena *mem, struct column_work *w, double rows,
                                          struct column_result *r)
{
    *r = (struct column_result){0};
    if (w->total == 0)
        return ERR_OK;
    r->null_fraction = (double)w->nulls / w->total;
    r->width = w->count ? w->width / w->count : 0;
    if (w->count == 0)
        return ERR_OK;
    if (!w->type->compare) {
        r->distinct = 0;
        return ERR_OK;
    }
    /* places among the values that are there */
    for (uint32_t i = 0; i < w->count; i++)
        w->values[i].place = i;
    qsort_r(w->values, w->count, sizeof(*w->values), value_order, (void *)(uintptr_t)w->type);
    TRY(fiber_rest_wait());
    r->has_correlation = true;
    r->correlation = correlation_of(w);
    struct group *groups = ARENA_ARRAY(mem, struct group, w->count);
    uint32_t group_count = 0;
    uint32_t singles = 0;
    for (uint32_t i = 0; i < w->count;) {
        uint32_t end = i + 1;
        while (end < w->count && w->type->compare(w->values[i].d, w->values[end].d) == 0)
            end++;
        groups[group_count++] = (struct group){i, end - i};
        singles += end - i == 1;
        i = end;
    }
    r->distinct = distinct_estimate(w, group_count, singles, rows);
    uint32_t common = common_groups(w, groups, group_count, r->distinct, rows);
    r->common_count = common;
    r->common = ARENA_ARRAY(mem, datum, common + 1);
    r->fractions = ARENA_ARRAY(mem, datum, common + 1);
    for (uint32_t i = 0; i < common; i++) {
        r->common[i] = w->values[groups[i].first].d;
        r->fractions[i] = datum_of_f32((float)groups[i].count / (float)w->total);
    }
    histogram_make(mem, w, groups, common, group_count, r);
    return ERR_OK;
}

/* ---- pg_statistic ---- */

static err_t stat_array(struct arena *mem, oid element, const datum *values, uint32_t count,
                        datum *out)
{
    struct array_view view = {.element = element,
                              .ndim = 1,
                              .dims = {(int32_t)count},
                              .lower = {1},
                              .count = count,
                              .values = values,
                              .nulls = ARENA_ARRAY(mem, bool, count + 1)};
    return array_make(mem, &view, out);
}

static SUSPENDS err_t write_column_wait(struct ddl_context *x, const struct table_desc *t,
                                        const struct column_desc *c, const struct column_result *r)
{
    datum *v = ARENA_ARRAY(x->mem, datum, COLS_STATISTIC);
    bool *n = ARENA_ARRAY(x->mem, bool, COLS_STATISTIC);
    oid equal = operator_for_strategy(AM_BTREE, c->type, c->type, 3);
    oid less = operator_for_strategy(AM_BTREE, c->type, c->type, 1);
    v[COL_STARELID - 1] = t->oid;
    v[COL_STAATTNUM - 1] = datum_of_i16(c->attno);
    v[COL_STANULLFRAC - 1] = datum_of_f32((float)r->null_fraction);
    v[COL_STAWIDTH - 1] = datum_of_i32((int32_t)(r->width + 0.5));
    v[COL_STADISTINCT - 1] = datum_of_f32((float)r->distinct);
    for (int i = 0; i < 5; i++) {
        n[COL_STANUMBERS1 - 1 + i] = true;
        n[COL_STAVALUES1 - 1 + i] = true;
    }
    int slot = 0;
    if (r->common_count) {
        v[COL_STAKIND1 - 1 + slot] = datum_of_i16(1);
        v[COL_STAOP1 - 1 + slot] = equal;
        v[COL_STACOLL1 - 1 + slot] = c->collation;
        n[COL_STANUMBERS1 - 1 + slot] = false;
        n[COL_STAVALUES1 - 1 + slot] = false;
        TRY(stat_array(x->mem, TYPE_FLOAT4, r->fractions, r->common_count,
                       &v[COL_STANUMBERS1 - 1 + slot]));
        TRY(stat_array(x->mem, c->type, r->common, r->common_count, &v[COL_STAVALUES1 - 1 + slot]));
        slot++;
    }
    if (r->bound_count) {
        v[COL_STAKIND1 - 1 + slot] = datum_of_i16(2);
        v[COL_STAOP1 - 1 + slot] = less;
        v[COL_STACOLL1 - 1 + slot] = c->collation;
        n[COL_STAVALUES1 - 1 + slot] = false;
        TRY(stat_array(x->mem, c->type, r->bounds, r->bound_count, &v[COL_STAVALUES1 - 1 + slot]));
        slot++;
    }
    if (r->has_correlation) {
        datum number = datum_of_f32((float)r->correlation);
        v[COL_STAKIND1 - 1 + slot] = datum_of_i16(3);
        v[COL_STAOP1 - 1 + slot] = less;
        v[COL_STACOLL1 - 1 + slot] = c->collation;
        n[COL_STANUMBERS1 - 1 + slot] = false;
        TRY(stat_array(x->mem, TYPE_FLOAT4, &number, 1, &v[COL_STANUMBERS1 - 1 + slot]));
    }
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_STATISTIC, INDEX_STATISTIC_RELID_ATT_INH, 2, t->oid,
                          datum_of_i16(c->attno), x->mem, &rows));
    if (rows.count)
        return catalog_replace_wait(x->catalog, REL_STATISTIC, &rows.rows[0], v, n, x->mem);
    return catalog_put_wait(x->catalog, REL_STATISTIC, v, n, x->mem);
}

/* ---- a table ---- */

static err_t fill_column(struct arena *mem, const struct plan_table *t, uint32_t column,
                         struct sampling *s, struct column_work *w)
{
    datum *values = ARENA_ARRAY(mem, datum, t->column_count + 1);
    bool *nulls = ARENA_ARRAY(mem, bool, t->column_count + 1);
    uint32_t room = 0;
    for (uint32_t i = 0; i < shard_count(); i++)
        room += s->shards[i].count;
    w->values = ARENA_ARRAY(mem, struct value, room + 1);
    for (uint32_t i = 0; i < shard_count(); i++) {
        for (uint32_t k = 0; k < s->shards[i].count; k++) {
            const struct sample_row *r = &s->shards[i].rows[k];
            uint8_t *bytes = arena_memdup(mem, r->bytes, r->len);
            ddl_row_read(t, bytes, column + 1, values, nulls);
            w->total++;
            if (nulls[column]) {
                w->nulls++;
                continue;
            }
            ASSUME(w->type != NULL);
            uint32_t len = w->type->by_value ? (uint32_t)MAX(w->type->typlen, 1)
                                             : datum_varlen(values[column])->len + 4;
            /* a short value's header is one byte in PostgreSQL's count */
            w->width += w->type->typlen > 0 ? w->type->typlen
                        : len < 130         ? (double)len - 3
                                            : (double)len;
            if (!w->type->by_value && len > 1024)
                continue; /* too wide to be common */
            w->values[w->count++] = (struct value){values[column], w->count};
        }
    }
    return ERR_OK;
}

static SUSPENDS err_t columns_wait(struct ddl_context *x, const struct table_desc *t,
                                   const struct plan_table *pt, struct sampling *s, double rows,
                                   const char *const *names, uint32_t name_count)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column_desc *c = &t->columns[i];
        const struct type_info *type = type_find(c->type);
        bool wanted = !c->dropped && type && name_count == 0;
        for (uint32_t k = 0; k < name_count; k++)
            wanted = wanted || (!c->dropped && strcmp(names[k], c->name) == 0);
        if (!wanted || rows == 0)
            continue;
        struct arena *mem = arena_new();
        struct column_work w = {.type = type, .target = DEFAULT_TARGET};
        struct column_result r;
        err_t e = fill_column(mem, pt, i, s, &w);
        if (e == ERR_OK)
            e = column_compute_wait(mem, &w, rows, &r);
        if (e == ERR_OK)
            e = write_column_wait(x, t, c, &r);
        arena_free(mem);
        TRY(e);
    }
    return ERR_OK;
}

static SUSPENDS err_t class_numbers_wait(struct ddl_context *x, oid relation, file_id file,
                                         double rows)
{
    uint64_t bytes = 0;
    uint64_t estimate;
    struct catalog_row row;
    datum *v;
    bool *n;
    if (file)
        TRY(ddl_file_size_wait(x, file, &bytes, &estimate));
    TRY(rows_get_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, relation, 0, &row));
    rows_copy(x->mem, &row, COLS_CLASS, &v, &n);
    v[COL_RELPAGES - 1] = datum_of_i32((int32_t)MIN(bytes / PAGE_BYTES, (uint64_t)INT32_MAX));
    v[COL_RELTUPLES - 1] = datum_of_f32((float)rows);
    v[COL_RELALLVISIBLE - 1] = v[COL_RELPAGES - 1];
    return catalog_replace_wait(x->catalog, REL_CLASS, &row, v, n, x->mem);
}

err_t ddl_analyze_table_wait(struct ddl_context *x, oid table, const char *const *columns,
                             uint32_t column_count)
{
    const struct table_desc *t;
    struct plan_options o = ddl_plan_options(x);
    struct plan_table *pt;
    TRY(plan_table_make_wait(&o, table, x->mem, &pt));
    TRY(table_by_oid_wait(x->catalog, table, &t));
    uint32_t shards = shard_count();
    struct sampling s = {.heap = t->file, .want = DEFAULT_TARGET * SAMPLE_PER_TARGET / shards + 1};
    s.shards = ARENA_ARRAY(x->mem, struct shard_sample, shards);
    err_t e = ddl_on_shards_wait(x, sample_on_shard, &s);
    double rows = 0;
    for (uint32_t i = 0; i < shards; i++)
        rows += (double)s.shards[i].seen;
    if (e == ERR_OK)
        e = columns_wait(x, t, pt, &s, rows, columns, column_count);
    for (uint32_t i = 0; i < shards; i++)
        if (s.shards[i].mem)
            ERR_IGNORE(core_call_wait(shard_core(i), sample_free_call, &s.shards[i]));
    if (e == ERR_OK)
        e = class_numbers_wait(x, table, t->file, rows);
    for (uint32_t i = 0; e == ERR_OK && i < t->index_count; i++)
        e = class_numbers_wait(x, t->indexes[i].oid, t->indexes[i].file, rows);
    table_release(t);
    return e;
}
