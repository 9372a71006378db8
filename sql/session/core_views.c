/*
 * Virtual relations over the cores' statistics (core/stats.h): pg_stat_core, pg_stat_core_link,
 * pg_stat_core_latency, pg_stat_core_migration. Every core's page may be read by anyone at any
 * time, so no core is asked; figures of one row need not be of the very same moment.
 */
#include "core/stats.h"
#include "sql/catalog/virtual.h"
#include "sql/session/session_priv.h"
#include "sql/session/view_rows.h"

static void view_count(datum *row, bool *nulls, uint32_t column, uint64_t count)
{
    view_set(row, nulls, column, datum_of_i64((int64_t)count));
}

/* ---- pg_stat_core: core, cpu, numa_node, then every counter ---- */

static err_t core_begin(const struct session_env *env, struct arena *mem, void **state)
{
    (void)env;
    uint32_t counters = 0;
    while (stats_counter_name(counters))
        counters++;
    struct view_rows *v = view_new(mem, 3 + counters);
    for (uint32_t core = 0; core < core_count(); core++) {
        const struct stats_page *page = stats_of(core);
        bool *nulls;
        datum *row = view_add(v, &nulls);
        view_set(row, nulls, 0, datum_of_i32((int32_t)core));
        if (page->cpu >= 0)
            view_set(row, nulls, 1, datum_of_i32(page->cpu));
        if (page->numa_node >= 0)
            view_set(row, nulls, 2, datum_of_i32(page->numa_node));
        for (uint32_t i = 0; i < counters; i++)
            view_count(row, nulls, 3 + i, stats_counter(page, i));
    }
    *state = v;
    return ERR_OK;
}

static const struct virtual_rows core_rows = {.begin = core_begin, .next = view_next};

/* ---- pg_stat_core_link: one row per ordered pair of cores ---- */

static err_t link_begin(const struct session_env *env, struct arena *mem, void **state)
{
    (void)env;
    struct view_rows *v = view_new(mem, 6);
    for (uint32_t core = 0; core < core_count(); core++) {
        const struct stats_page *page = stats_of(core);
        for (uint32_t peer = 0; peer < core_count(); peer++) {
            if (peer == core)
                continue;
            const struct stats_link *link = &page->links[peer];
            bool *nulls;
            datum *row = view_add(v, &nulls);
            view_set(row, nulls, 0, datum_of_i32((int32_t)core));
            view_set(row, nulls, 1, datum_of_i32((int32_t)peer));
            view_count(row, nulls, 2, stats_read(&link->messages_out));
            view_count(row, nulls, 3, stats_read(&link->messages_in));
            view_count(row, nulls, 4, stats_read(&link->doorbells_out));
            view_count(row, nulls, 5, stats_read(&link->overflow_depth));
        }
    }
    *state = v;
    return ERR_OK;
}

static const struct virtual_rows link_rows = {.begin = link_begin, .next = view_next};

/* ---- pg_stat_core_latency: one row per core, class and stage that have happened ---- */

static void latency_row(struct view_rows *v, uint32_t core, enum stats_class class,
                        enum stats_stage stage, const struct stats_histogram *h)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
    uint64_t count = stats_read(&h->count);
    if (count == 0)
        return;
    double sum_ns = (double)stats_read(&h->sum);
    bool *nulls;
    datum *row = view_add(v, &nulls);
    view_set(row, nulls, 0, datum_of_i32((int32_t)core));
    view_text(v, row, nulls, 1, stats_class_name(class));
    view_text(v, row, nulls, 2, stats_stage_name(stage));
    view_count(row, nulls, 3, count);
    view_set(row, nulls, 4, datum_of_f64(sum_ns / 1e6));
    view_set(row, nulls, 5, datum_of_f64(sum_ns / (double)count / 1e3));
    for (uint32_t i = 0; i < ARRAY_LEN(quantiles); i++)
        view_set(row, nulls, 6 + i,
                 datum_of_f64((double)stats_histogram_quantile(h, quantiles[i]) / 1e3));
}

static err_t latency_begin(const struct session_env *env, struct arena *mem, void **state)
{
    (void)env;
    struct view_rows *v = view_new(mem, 10);
    for (uint32_t core = 0; core < core_count(); core++) {
        const struct stats_page *page = stats_of(core);
        for (uint32_t c = 0; c < STATS_CLASS_COUNT; c++)
            for (uint32_t s = 0; s < STATS_STAGE_COUNT; s++)
                latency_row(v, core, (enum stats_class)c, (enum stats_stage)s,
                            &page->latency[c][s]);
    }
    *state = v;
    return ERR_OK;
}

static const struct virtual_rows latency_rows = {.begin = latency_begin, .next = view_next};

/* ---- pg_stat_core_migration: one row per core ---- */

static err_t migration_begin(const struct session_env *env, struct arena *mem, void **state)
{
    enum { COUNTS = 8 };
    (void)env;
    struct view_rows *v = view_new(mem, COUNTS + 3);
    for (uint32_t core = 0; core < core_count(); core++) {
        const struct stats_page *page = stats_of(core);
        bool *nulls;
        datum *row = view_add(v, &nulls);
        view_set(row, nulls, 0, datum_of_i32((int32_t)core));
        for (uint32_t i = 0; i < COUNTS; i++)
            view_count(row, nulls, 1 + i, stats_move(page, i));
        double ns = (double)stats_move(page, COUNTS);
        uint64_t count = stats_move(page, 0);
        view_set(row, nulls, COUNTS + 1, datum_of_f64(ns / 1e6));
        if (count > 0)
            view_set(row, nulls, COUNTS + 2, datum_of_f64(ns / (double)count / 1e3));
    }
    *state = v;
    return ERR_OK;
}

static const struct virtual_rows migration_rows = {.begin = migration_begin, .next = view_next};

void core_views_register(void)
{
    virtual_register("pg_stat_core", &core_rows);
    virtual_register("pg_stat_core_link", &link_rows);
    virtual_register("pg_stat_core_latency", &latency_rows);
    virtual_register("pg_stat_core_migration", &migration_rows);
}
