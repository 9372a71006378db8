/* Arenas, marks, strbuf, budgets; links as plain rings; histograms. */
#include "tests/unit/core/unit.h"

#include "core/link.h"
#include "core/stats.h"

static void arenas_grow_and_rewind(void)
{
    struct arena *a = arena_new();
    size_t start = arena_bytes(a);
    char *kept = arena_strdup(a, "kept");
    for (int round = 0; round < 3; round++) {
        struct arena_mark mark = arena_mark(a);
        for (size_t i = 1; i < 3000; i++) {
            uint8_t *p = arena_alloc(a, i);
            CU_ASSERT_EQUAL((uintptr_t)p % 16, 0);
            memset(p, 0xee, i);
        }
        uint8_t *huge = arena_zalloc(a, 5 << 20);
        CU_ASSERT_EQUAL(huge[(5 << 20) - 1], 0);
        CU_ASSERT_TRUE(arena_bytes(a) > 9 << 20);
        arena_rewind(a, mark);
        CU_ASSERT_STRING_EQUAL(kept, "kept");
        CU_ASSERT_EQUAL(arena_bytes(a), start);
    }
    CU_ASSERT_STRING_EQUAL(arena_strndup(a, "abcdef", 3), "abc");
    CU_ASSERT_STRING_EQUAL(arena_printf(a, "%d-%s", 7, "x"), "7-x");
    arena_reset(a);
    CU_ASSERT_EQUAL(arena_bytes(a), start);
    arena_free(a);
    arena_free(NULL);
}

static void strbufs_grow(void)
{
    struct arena *a = arena_new();
    struct strbuf b;
    strbuf_init(&b, a);
    strbuf_printf(&b, "%s", "");
    for (int i = 0; i < 20000; i++) {
        strbuf_printf(&b, "%d,", i % 10);
        if (i % 1000 == 0)
            arena_alloc(a, 8); /* now it cannot grow in place */
    }
    CU_ASSERT_EQUAL(b.len, 40000);
    CU_ASSERT_EQUAL(strlen(b.data), 40000);
    for (size_t i = 0; i < b.len; i += 2)
        CU_ASSERT_EQUAL(b.data[i], (char)('0' + i / 2 % 10));
    strbuf_reset(&b);
    strbuf_puts(&b, "ab");
    strbuf_putc(&b, 'c');
    CU_ASSERT_EQUAL(strbuf_put(&b, "de", 2), ERR_OK);
    CU_ASSERT_STRING_EQUAL(b.data, "abcde");
    CU_ASSERT_EQUAL(strbuf_put(&b, "x", (size_t)1 << 40), ERR_PROGRAM_LIMIT_EXCEEDED);
    void *p;
    CU_ASSERT_EQUAL(arena_alloc_try(a, (size_t)ALLOC_BYTES_MAX + 1, &p),
                    ERR_PROGRAM_LIMIT_EXCEEDED);
    arena_free(a);
}

static void body_budget(void)
{
    uint64_t before = stats_read(&stats_self()->memory_bytes);
    core_memory_budget_set(before + 100000);
    struct arena *a = arena_new();
    void *p;
    CHECK_OK(arena_alloc_try(a, 50000, &p));
    CHECK(arena_alloc_try(a, 80000, &p) == ERR_OUT_OF_MEMORY);
    CHECK(p == NULL);
    CHECK(stats_read(&stats_self()->memory_bytes) == before + arena_bytes(a));
    memset(arena_alloc(a, 200000), 1, 200000); /* the plain ones draw on the reserve */
    arena_free(a);
    void *m = core_malloc(1000);
    CHECK(stats_read(&stats_self()->memory_bytes) >= before + 1000);
    m = core_realloc(m, 100000);
    core_free(m);
    CHECK(stats_read(&stats_self()->memory_bytes) == before);
}

static void budgets_are_counted_per_core(void)
{
    unit_run(2, body_budget);
}

static void rings_are_bounded_and_ordered(void)
{
    struct link_ring *ring = link_ring_new(4);
    struct link_message m = {0};
    CU_ASSERT_TRUE(link_ring_is_empty(ring));
    for (uint32_t round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            m.code = round * 4 + i;
            CU_ASSERT_TRUE(link_ring_push(ring, &m));
        }
        CU_ASSERT_FALSE(link_ring_push(ring, &m));
        for (uint32_t i = 0; i < 4; i++) {
            CU_ASSERT_TRUE(link_ring_pop(ring, &m));
            CU_ASSERT_EQUAL(m.code, round * 4 + i);
        }
        CU_ASSERT_FALSE(link_ring_pop(ring, &m));
    }
    link_ring_free(ring);
}

static void histograms_find_quantiles(void)
{
    static struct stats_histogram h;
    CU_ASSERT_EQUAL(stats_histogram_quantile(&h, 0.5), 0);
    for (uint64_t i = 1; i <= 10000; i++)
        stats_histogram_add(&h, i);
    uint64_t p50 = stats_histogram_quantile(&h, 0.5);
    uint64_t p99 = stats_histogram_quantile(&h, 0.99);
    CU_ASSERT_TRUE(p50 >= 5000 && p50 <= 6000);
    CU_ASSERT_TRUE(p99 >= 9900 && p99 <= 11800);
    static struct stats_histogram sum;
    stats_histogram_merge(&sum, &h);
    stats_histogram_merge(&sum, &h);
    CU_ASSERT_EQUAL(stats_read(&sum.count), 20000);
    stats_histogram_add(&h, UINT64_MAX); /* the last bucket takes what is too large */
    CU_ASSERT_STRING_EQUAL(stats_counter_name(0), "loops");
    bool is_there = false;
    for (uint32_t i = 0; stats_counter_name(i) != NULL; i++)
        is_there |= strcmp(stats_counter_name(i), "pool_bytes") == 0;
    CU_ASSERT_TRUE(is_there);
}

/* Work is told from the waits inside of it; stages without time leave no trace. */
static void body_traces(void)
{
    CHECK(stats_trace() == NULL);
    stats_trace_add(STATS_STAGE_run, 0); /* nobody listens */
    stats_trace_end();
    struct stats_trace t;
    uint64_t now = stats_clock();
    stats_trace_begin(&t, now - 1000000);
    stats_trace_class(STATS_CLASS_update);
    CHECK(t.ticks[STATS_STAGE_queue] >= 1000000);
    stats_trace_add(STATS_STAGE_hop, stats_clock() - 5000000);
    stats_trace_add_work(STATS_STAGE_run, stats_clock() - 7000000, 0);
    CHECK(t.ticks[STATS_STAGE_hop] >= 5000000);
    CHECK(t.ticks[STATS_STAGE_run] >= 1000000);
    CHECK(t.ticks[STATS_STAGE_run] + 5000000 <= stats_clock() - now + 7000000);
    stats_trace_add_work(STATS_STAGE_run, stats_clock(), 0); /* all of it was waiting */
    const struct stats_page *page = stats_of(core_id());
    CHECK(stats_read(&page->latency[STATS_CLASS_update][STATS_STAGE_run].count) == 0);
    stats_trace_end();
    CHECK(stats_trace() == NULL);
    CHECK(stats_read(&page->latency[STATS_CLASS_update][STATS_STAGE_run].count) == 1);
    CHECK(stats_read(&page->latency[STATS_CLASS_update][STATS_STAGE_total].count) == 1);
    CHECK(stats_read(&page->latency[STATS_CLASS_update][STATS_STAGE_read].count) == 0);
    CHECK(stats_read(&page->latency[STATS_CLASS_other][STATS_STAGE_total].count) == 0);
    stats_latency_reset();
    CHECK(stats_read(&page->latency[STATS_CLASS_update][STATS_STAGE_total].count) == 0);
    CHECK(stats_histogram_quantile(&page->latency[STATS_CLASS_update][STATS_STAGE_total], 0.5) ==
          0);
}

static void traces_tell_work_from_waits(void)
{
    unit_run(1, body_traces);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"arenas_grow_and_rewind", arenas_grow_and_rewind},
        {"strbufs_grow", strbufs_grow},
        {"budgets_are_counted_per_core", budgets_are_counted_per_core},
        {"rings_are_bounded_and_ordered", rings_are_bounded_and_ordered},
        {"histograms_find_quantiles", histograms_find_quantiles},
        {"traces_tell_work_from_waits", traces_tell_work_from_waits},
    };
    return unit_main("arena", tests, ARRAY_LEN(tests));
}
