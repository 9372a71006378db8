/*
 * Indexes that are made, made anew and dropped, CONCURRENTLY and not, while others change the
 * tables that they are of. Anybody changes any row, so there is no model: in one snapshot, queries
 * that go through the indexes must find what a scan of the heap finds, whatever the indexes are
 * just then, and a unique one that is valid must be right.
 *
 * What ends in the middle leaves an index that is not valid; at the start of the next life those
 * are dropped, or made anew.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

enum { TABLES = 2, IDS = 60, VALUES = 12, UNIQUE_VALUES = 200, SLOW_IDS = 12, QUESTION_MAX = 900 };

/* Each is the only one that its part of the question can be answered by. */
static const struct {
    const char *name;
    const char *make; /* UNIQUE or "" */
    const char *columns;
    const char *question; /* %1$u: of which table; %2$u, %3$u: the least and greatest value */
    bool on_one_shard;    /* a unique one without the shard key */
} kinds[] = {
    {"a", "", "(a)",
     "(SELECT string_agg(id || ':' || a, ' ' ORDER BY id) FROM keyed_%1$u "
     "WHERE a BETWEEN %2$u AND %3$u)",
     false},
    {"b", "", "(b) WHERE a % 2 = 0",
     "(SELECT string_agg(id || ':' || b, ' ' ORDER BY id) FROM keyed_%1$u "
     "WHERE b BETWEEN %2$u AND %3$u AND a %% 2 = 0)",
     false},
    {"c", "UNIQUE", "(c, id)",
     "(SELECT string_agg(id || ':' || c, ' ' ORDER BY id) FROM keyed_%1$u "
     "WHERE c BETWEEN %2$u AND %3$u)",
     false},
    {"e", "", "((a + b * 100))",
     "(SELECT string_agg(id || ':' || a || ':' || b, ' ' ORDER BY id) FROM keyed_%1$u "
     "WHERE a + b * 100 BETWEEN %2$u AND %3$u * 100)",
     false},
    {"u", "UNIQUE", "(u)",
     "(SELECT string_agg(id || ':' || u, ' ' ORDER BY id) FROM keyed_%1$u "
     "WHERE u BETWEEN %2$u AND %3$u * 20)",
     true},
};

SUSPENDS static enum answer set_up_wait(struct client *c)
{
    enum answer a = DONE;
    for (uint32_t n = 0; n < TABLES && a == DONE; n++) {
        a = client_query_wait(c,
                              "CREATE TABLE keyed_%u (id int PRIMARY KEY, a int NOT NULL, b int, "
                              "c int NOT NULL, u int, pad text)",
                              n);
        if (a == DONE)
            a = client_query_wait(
                c,
                "INSERT INTO keyed_%u SELECT i, i %% %d, i %% 7, i %% 5, i, 'pad' "
                "FROM generate_series(0, %d) i",
                n, VALUES, IDS / 2);
    }
    return a;
}

static bool is_state(const struct client *c, const char *state)
{
    return strcmp(client_sqlstate(c), state) == 0;
}

/* ---- heap and indexes ---- */

static void question_make(char *out, uint32_t table, uint32_t low, uint32_t high)
{
    size_t at = (size_t)snprintf(out, QUESTION_MAX, "SELECT ");
    for (uint32_t k = 0; k < ARRAY_LEN(kinds); k++) {
        if (k > 0)
            at += (size_t)snprintf(out + at, QUESTION_MAX - at, ", ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        at += (size_t)snprintf(out + at, QUESTION_MAX - at, kinds[k].question, table, low, high);
#pragma GCC diagnostic pop
    }
    ASSERT(at < QUESTION_MAX);
}

static const char *const through_heap =
    "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; "
    "SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_seqscan = on";
static const char *const through_indexes[] = {
    "SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = on; "
    "SET LOCAL enable_indexonlyscan = on; SET LOCAL enable_seqscan = off",
    "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = on; "
    "SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_seqscan = off",
    "SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = off; "
    "SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_seqscan = off",
};

SUSPENDS static enum answer ask_wait(struct client *c, bool is_verifying, const char *through,
                                     const char *question)
{
    if (!is_verifying)
        return client_query_wait(c, "%s; %s", through, question);
    verify_query_wait(c, "%s; %s", through, question);
    return DONE;
}

/* In a transaction with one snapshot. */
SUSPENDS static enum answer compare_wait(struct client *c, uint32_t table, uint32_t low,
                                         uint32_t high, bool is_verifying)
{
    char question[QUESTION_MAX];
    question_make(question, table, low, high);
    enum answer a = ask_wait(c, is_verifying, through_heap, question);
    if (a != DONE)
        return a;
    char *heap[ARRAY_LEN(kinds)];
    for (uint32_t k = 0; k < ARRAY_LEN(kinds); k++)
        heap[k] = strdup(client_value(c, 0, k) != NULL ? client_value(c, 0, k) : "");
    a = ask_wait(c, is_verifying, through_indexes[sim_below(ARRAY_LEN(through_indexes))], question);
    for (uint32_t k = 0; k < ARRAY_LEN(kinds); k++) {
        const char *index = a == DONE ? client_value(c, 0, k) : heap[k];
        SIM_CHECK(strcmp(heap[k], index != NULL ? index : "") == 0,
                  "keyed_%u, index %s, %u to %u: the heap has %s, the index %s", table,
                  kinds[k].name, low, high, heap[k], index != NULL ? index : "nothing");
        free(heap[k]);
    }
    return a;
}

/* In the same snapshot. */
SUSPENDS static enum answer unique_wait(struct client *c, uint32_t table, bool is_verifying)
{
    char question[QUESTION_MAX];
    (void)snprintf(question, sizeof(question),
                   "SELECT u FROM keyed_%u WHERE EXISTS (SELECT 1 FROM pg_index i JOIN pg_class r "
                   "ON r.oid = i.indexrelid WHERE r.relname = 'keyed_%u_u' AND i.indisvalid) "
                   "GROUP BY u HAVING u IS NOT NULL AND count(*) > 1",
                   table, table);
    enum answer a = ask_wait(c, is_verifying, through_heap, question);
    SIM_CHECK(a != DONE || client_rows(c) == 0, "keyed_%u: %lld is there twice, its index is valid",
              table, (long long)client_int(c, 0, 0));
    return a;
}

/* ---- rows ---- */

/* Drawn one after the other: compilers differ in the order of arguments. */
SUSPENDS static enum answer insert_wait(struct client *c, uint32_t n)
{
    uint32_t id = sim_below(IDS);
    uint32_t how = sim_below(3);
    uint32_t v[3];
    for (uint32_t i = 0; i < ARRAY_LEN(v); i++)
        v[i] = sim_below(VALUES);
    uint32_t u = sim_below(UNIQUE_VALUES);
    uint32_t pad = sim_below(1500);
    switch (how) {
    case 0:
        return client_query_wait(c, "INSERT INTO keyed_%u VALUES (%u, %u, %u, %u, %u, 'new')", n,
                                 id, v[0], v[1], v[2], u);
    case 1:
        return client_query_wait(
            c,
            "INSERT INTO keyed_%u SELECT i, i %% %d, NULL, %u, NULL, repeat('x', %u) FROM "
            "generate_series(%u, %u) i ON CONFLICT DO NOTHING",
            n, VALUES, v[0], pad, id, id + v[1]);
    default:
        return client_query_wait(c,
                                 "INSERT INTO keyed_%u VALUES (%u, %u, %u, %u, NULL, 'again') ON "
                                 "CONFLICT (id) DO UPDATE SET a = excluded.a, c = excluded.c",
                                 n, id, v[0], v[1], v[2]);
    }
}

/* Kept plans have to learn of an index. */
SUSPENDS static enum answer planned_wait(struct client *c, uint32_t n)
{
    static const char *const texts[] = {
        "UPDATE keyed_%u SET a = $1 WHERE id = $2",
        "UPDATE keyed_%u SET b = $1, pad = pad || 'x' WHERE id = $2",
        "UPDATE keyed_%u SET c = c + $1 WHERE id = $2",
        "DELETE FROM keyed_%u WHERE id = $2 AND c >= $1",
    };
    uint32_t which = sim_below(ARRAY_LEN(texts));
    char name[16];
    char text[128];
    char value[16];
    char id[16];
    (void)snprintf(name, sizeof(name), "keyed %u %u", n, which);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof(text), texts[which], n);
#pragma GCC diagnostic pop
    (void)snprintf(value, sizeof(value), "%u", sim_below(which == 2 ? 2 : VALUES));
    (void)snprintf(id, sizeof(id), "%u", sim_below(IDS));
    return client_execute_wait(c, name, text, value, id, NULL);
}

SUSPENDS static enum answer change_wait(struct client *c, uint32_t n)
{
    uint32_t id = sim_below(IDS);
    switch (sim_below(12)) {
    case 0:
    case 1:
    case 2:
        return insert_wait(c, n);
    case 3:
        return client_query_wait(c, "UPDATE keyed_%u SET u = %u WHERE id = %u", n,
                                 sim_below(UNIQUE_VALUES), id);
    case 4: /* the row may go to another shard */
        return client_query_wait(c, "UPDATE keyed_%u SET id = %u WHERE id = %u", n, sim_below(IDS),
                                 id);
    case 5:
        return client_query_wait(
            c,
            "UPDATE keyed_%u SET a = (a + 1) %% %d, c = (c + 1) %% %d WHERE id BETWEEN %u AND %u",
            n, VALUES, VALUES, id, id + sim_below(12));
    case 6:
        return client_query_wait(c, "UPDATE keyed_%u SET pad = 'pad' WHERE id BETWEEN %u AND %u", n,
                                 id, id + sim_below(12));
    default:
        return planned_wait(c, n);
    }
}

/* Changes of a transaction, some of them taken back. */
SUSPENDS static enum answer changes_wait(struct client *c, uint32_t n)
{
    bool has_savepoint = false;
    enum answer a = DONE;
    uint32_t steps = 1 + sim_below(6);
    for (uint32_t i = 0; i < steps && a == DONE; i++) {
        if (!has_savepoint && sim_below(3) == 0) {
            a = client_query_wait(c, "SAVEPOINT s");
            has_savepoint = a == DONE;
        }
        if (a == DONE)
            a = change_wait(c, n);
        bool is_twice = a == FAILED && is_state(c, "23505");
        if (has_savepoint && (is_twice || (a == DONE && sim_below(3) == 0)))
            a = client_query_wait(c, "ROLLBACK TO s");
        if (a == DONE && sim_below(12) == 0) /* who makes an index has to wait for us */
            ERR_IGNORE(fiber_sleep_wait(sim_below(8000)));
    }
    return a;
}

/* Statements that take long, since they meet rows of transactions that take long: while they wait,
 * indexes come and others change rows that they have not reached. */
SUSPENDS static enum answer slow_wait(struct client *c, uint32_t n)
{
    if (sim_below(2) == 0)
        return client_query_wait(c,
                                 "UPDATE keyed_%u SET a = (a + 1) %% %d, b = (b + 5) %% %d, c = (c "
                                 "+ 1) %% %d WHERE id >= %u",
                                 n, VALUES, VALUES, VALUES, sim_below(SLOW_IDS));
    enum answer a = work_begin_wait(c, SIM_READ_COMMITTED);
    if (a == DONE)
        a = client_query_wait(c, "UPDATE keyed_%u SET pad = 'slow' WHERE id = %u", n,
                              sim_below(SLOW_IDS));
    if (a == DONE)
        ERR_IGNORE(fiber_sleep_wait(2000 + sim_below(10000)));
    if (a != FAILED)
        return a == DONE ? client_query_wait(c, "COMMIT") : a;
    sim_expect_error(c, "holding a row");
    return work_rollback_wait(c);
}

static uint32_t draw_table(void)
{
    return sim_below(4) == 0 ? sim_below(TABLES) : 0;
}

SUSPENDS static enum answer transaction_wait(struct client *c)
{
    uint32_t n = draw_table();
    if (sim_below(5) == 0) {
        enum answer slow = slow_wait(c, n);
        if (slow == FAILED)
            sim_expect_error(c, "changing many rows beside indexes");
        return slow;
    }
    bool looks = sim_below(3) == 0;
    enum answer a =
        work_begin_wait(c, (enum sim_isolation)(looks ? 1 + sim_below(2) : sim_below(3)));
    if (a == DONE && (!looks || sim_below(3) == 0))
        a = changes_wait(c, n);
    uint32_t low = sim_below(VALUES / 2);
    if (a == DONE && looks)
        a = compare_wait(c, n, low, low + sim_below(VALUES / 2), false);
    if (a == DONE && looks && run->shards == 1)
        a = unique_wait(c, n, false);
    if (a == FAILED && !is_state(c, "23505"))
        sim_expect_error(c, "changing rows beside indexes");
    if (a == LOST)
        return a;
    if (a == FAILED || sim_below(5) == 0)
        return work_rollback_wait(c);
    enum fate fate;
    return work_commit_wait(c, &fate);
}

/* ---- indexes ---- */

SUSPENDS static enum answer index_step_wait(struct client *c)
{
    uint32_t n = draw_table();
    uint32_t k = sim_below(ARRAY_LEN(kinds));
    if (kinds[k].on_one_shard && run->shards > 1)
        k = 0;
    const char *how = sim_below(4) != 0 ? "CONCURRENTLY" : "";
    enum answer a;
    switch (sim_below(8)) {
    case 0:
    case 1:
    case 2:
    case 3:
        a = client_query_wait(c, "CREATE %s INDEX %s keyed_%u_%s ON keyed_%u %s", kinds[k].make,
                              how, n, kinds[k].name, n, kinds[k].columns);
        break;
    case 4:
        a = client_query_wait(c, "REINDEX INDEX %s keyed_%u_%s", how, n, kinds[k].name);
        break;
    case 5:
        a = client_query_wait(c, "REINDEX TABLE %s keyed_%u", how, n);
        break;
    default:
        a = client_query_wait(c, "DROP INDEX %s keyed_%u_%s", how, n, kinds[k].name);
        break;
    }
    bool is_usual = is_state(c, "42P07") || is_state(c, "42704") || is_state(c, "42P01") ||
                    is_state(c, "23505");
    if (a == FAILED && !is_usual)
        sim_expect_error(c, "making or dropping an index");
    return a;
}

SUSPENDS static void work_wait(uint32_t number)
{
    bool makes_indexes = number % 3 == 0 || sim_below(4) == 0;
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL) {
        a = makes_indexes ? index_step_wait(c) : transaction_wait(c);
        if (makes_indexes && sim_below(2) == 0)
            ERR_IGNORE(fiber_sleep_wait(sim_below(4000)));
    }
}

/* ---- verification ---- */

/* What was left in the middle can be dropped, or made whole. */
SUSPENDS static void end_invalid_wait(struct client *c)
{
    verify_query_wait(c, "SELECT r.relname, i.indisunique FROM pg_index i JOIN pg_class r ON r.oid "
                         "= i.indexrelid WHERE r.relname LIKE 'keyed%%' AND NOT i.indisvalid "
                         "ORDER BY 1");
    uint32_t count = client_rows(c);
    char(*names)[64] = calloc(count + 1, sizeof(*names));
    ASSERT(names != NULL);
    for (uint32_t i = 0; i < count; i++)
        (void)snprintf(names[i], sizeof(names[i]), "%s", client_value(c, i, 0));
    for (uint32_t i = 0; i < count; i++) {
        const char *how = sim_below(3) != 0 ? "CONCURRENTLY" : "";
        bool may_be_kept = strstr(names[i], "_u") == NULL && strstr(names[i], "cc") == NULL;
        bool is_kept = may_be_kept && sim_below(2) == 0;
        sim_note("%s is not valid", names[i]);
        verify_query_wait(c, "%s INDEX %s %s", is_kept ? "REINDEX" : "DROP", how, names[i]);
    }
    free(names);
    if (count == 0)
        return;
    verify_query_wait(c, "SELECT 1 FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid "
                         "WHERE r.relname LIKE 'keyed%%' AND NOT i.indisvalid");
    SIM_CHECK(client_rows(c) == 0, "there still are indexes that are not valid");
}

SUSPENDS static void verify_wait(struct client *c)
{
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t n = 0; n < TABLES; n++) {
            verify_query_wait(c, "BEGIN ISOLATION LEVEL REPEATABLE READ");
            (void)compare_wait(c, n, 0, VALUES + 20, true);
            if (run->shards == 1)
                (void)unique_wait(c, n, true);
            verify_query_wait(c, "COMMIT");
        }
        if (round > 0 || !run->is_life_start || run->life.is_rotten)
            return;
        end_invalid_wait(c);
    }
}

const struct workload index_workload = {
    .name = "index",
    .share = 3,
    .set_up_wait = set_up_wait,
    .work_wait = work_wait,
    .verify_wait = verify_wait,
    .verify_itself_wait = verify_wait,
};
