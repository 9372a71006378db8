/*
 * Rows with a primary key, a unique column that all workers draw from the same few values, an
 * indexed column, and a text of any size. The unique column may be deferrable: then COMMIT may find
 * that somebody was faster. Each worker changes rows of its own in transactions with
 * savepoints and failing statements, and knows what each row must be. In some lives the indexes are
 * made anew beside them. Verification compares every row with the model, and each index with the
 * heap.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_EACH = 30, UNIQUE_VALUES = 300, SECONDS = 20, SAVEPOINTS_MAX = 3 };

struct row {
    bool exists;
    int32_t unique;
    int32_t second;
    uint32_t text_seed;
    uint32_t text_len;
};

struct tracked {
    struct row now;
    struct row maybe; /* when a commit's fate is unknown */
    bool is_open;
};

struct worker_rows {
    struct tracked rows[ROWS_EACH];
};

static struct rows_model {
    struct worker_rows workers[WORKERS_MAX];
} * model;

static void start(void)
{
    model = io_sim_alloc(sizeof(*model));
}

SUSPENDS static enum answer set_up_wait(struct client *c)
{
    static const char *const when[] = {"", "", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"};
    enum answer a = client_query_wait(
        c, "CREATE TABLE things (id int PRIMARY KEY, u int UNIQUE %s, s int NOT NULL, t text)",
        when[sim_below(ARRAY_LEN(when))]);
    if (a == DONE)
        a = client_query_wait(c, "CREATE INDEX things_s ON things (s)");
    return a;
}

/* ---- texts ---- */

static void text_make(char *out, const struct row *r)
{
    uint64_t z = r->text_seed;
    /* Half of them compress well. */
    uint32_t step = r->text_seed % 2 == 0 ? 1 : 16;
    for (uint32_t i = 0; i < r->text_len; i++) {
        if (i % step == 0)
            z = z * 6364136223846793005u + 1442695040888963407u;
        out[i] = (char)('a' + (z >> 33) % 26);
    }
    out[r->text_len] = '\0';
}

static uint32_t draw_text_len(void)
{
    switch (sim_below(24)) {
    case 0:
        return 7900 + sim_below(400); /* about a page */
    case 1:
        return 1900 + sim_below(300);
    case 2:
        return sim_below(60000);
    case 3:
    case 4:
    case 5:
        return 400 + sim_below(3000); /* some sectors */
    default:
        return run->has_big_rows ? 1000 + sim_below(7000) : sim_below(200);
    }
}

/* ---- a transaction ---- */

struct pending {
    struct row rows[ROWS_EACH];
};

struct work {
    struct client *c;
    uint32_t number;
    struct pending now;
    struct pending saved[SAVEPOINTS_MAX];
    uint32_t saved_count;
    bool is_single; /* each statement is a transaction */
};

/* The row that a statement will make. In a transaction of its own, its fate is open until the
 * answer comes, and the world may end before. */
static void intend(struct work *w, uint32_t i, const struct row *r)
{
    struct tracked *t = &model->workers[w->number].rows[i];
    if (!w->is_single)
        return;
    t->maybe = *r;
    t->is_open = true;
}

static void settle_single(struct work *w, uint32_t i, enum answer a)
{
    struct tracked *t = &model->workers[w->number].rows[i];
    enum fate fate = FATE_UNKNOWN;
    (void)work_single(&fate, a);
    if (a == DONE)
        t->now = t->maybe;
    t->is_open = a == LOST;
}

SUSPENDS static enum answer insert_wait(struct work *w, uint32_t i)
{
    struct row r = {.exists = true,
                    .unique = (int32_t)sim_below(UNIQUE_VALUES),
                    .second = (int32_t)sim_below(SECONDS),
                    .text_seed = (uint32_t)io_sim_random(UINT32_MAX),
                    .text_len = draw_text_len()};
    char *text = malloc(r.text_len + 1);
    ASSERT(text != NULL);
    text_make(text, &r);
    char id[16];
    char unique[16];
    char second[16];
    (void)snprintf(id, sizeof(id), "%u", w->number * 1000 + i);
    (void)snprintf(unique, sizeof(unique), "%d", r.unique);
    (void)snprintf(second, sizeof(second), "%d", r.second);
    intend(w, i, &r);
    enum answer a = client_execute_wait(w->c, "new", "INSERT INTO things VALUES ($1, $2, $3, $4)",
                                        id, unique, second, text, NULL);
    free(text);
    if (a == DONE)
        w->now.rows[i] = r;
    return a;
}

SUSPENDS static enum answer change_wait(struct work *w, uint32_t i)
{
    struct row r = w->now.rows[i];
    uint32_t id = w->number * 1000 + i;
    enum answer a;
    switch (sim_below(4)) {
    case 0:
        r.unique = (int32_t)sim_below(UNIQUE_VALUES);
        intend(w, i, &r);
        a = client_query_wait(w->c, "UPDATE things SET u = %d WHERE id = %u", r.unique, id);
        break;
    case 1:
        r.second = (int32_t)sim_below(SECONDS);
        intend(w, i, &r);
        a = client_query_wait(w->c, "UPDATE things SET s = %d WHERE id = %u", r.second, id);
        break;
    case 2: {
        r.text_seed = (uint32_t)io_sim_random(UINT32_MAX);
        r.text_len = draw_text_len();
        char *text = malloc(r.text_len + 1);
        ASSERT(text != NULL);
        text_make(text, &r);
        intend(w, i, &r);
        a = client_query_wait(w->c, "UPDATE things SET t = '%s' WHERE u = %d AND id = %u", text,
                              r.unique, id);
        free(text);
        break;
    }
    default:
        r = (struct row){0};
        intend(w, i, &r);
        a = client_query_wait(w->c, "DELETE FROM things WHERE id = %u", id);
        break;
    }
    if (a != DONE)
        return a;
    SIM_CHECK(strcmp(client_tag(w->c), r.exists ? "UPDATE 1" : "DELETE 1") == 0,
              "row %u of our own: %s", id, client_tag(w->c));
    w->now.rows[i] = r;
    return a;
}

SUSPENDS static enum answer own_rows_wait(struct work *w)
{
    enum answer a = client_query_wait(w->c, "SELECT id, s FROM things WHERE id BETWEEN %u AND %u",
                                      w->number * 1000, w->number * 1000 + ROWS_EACH - 1);
    if (a != DONE)
        return a;
    uint32_t expected = 0;
    const struct tracked *rows = model->workers[w->number].rows;
    for (uint32_t i = 0; i < ROWS_EACH; i++) {
        if (rows[i].is_open)
            return a; /* then nobody knows */
        expected += w->now.rows[i].exists ? 1 : 0;
    }
    SIM_CHECK(client_rows(w->c) == expected, "worker %u sees %u own rows, not %u", w->number,
              client_rows(w->c), expected);
    return a;
}

SUSPENDS static enum answer step_wait(struct work *w)
{
    uint32_t i = sim_below(ROWS_EACH);
    if (model->workers[w->number].rows[i].is_open)
        return own_rows_wait(w);
    if (sim_below(10) == 0)
        return own_rows_wait(w);
    enum answer a = w->now.rows[i].exists ? change_wait(w, i) : insert_wait(w, i);
    if (w->is_single)
        settle_single(w, i, a);
    return a;
}

SUSPENDS static enum answer single_wait(struct work *w)
{
    w->is_single = true;
    enum answer a = step_wait(w);
    w->is_single = false;
    if (a == FAILED && strcmp(client_sqlstate(w->c), "23505") != 0)
        sim_expect_error(w->c, "changing a thing");
    return a;
}

/* A unique violation or the like: back to the last savepoint, if there is one. */
SUSPENDS static enum answer step_failed_wait(struct work *w)
{
    if (strcmp(client_sqlstate(w->c), "23505") != 0)
        sim_expect_error(w->c, "changing things");
    if (w->saved_count == 0)
        return FAILED;
    enum answer a = client_query_wait(w->c, "ROLLBACK TO s%u", w->saved_count);
    if (a == DONE)
        w->now = w->saved[w->saved_count - 1];
    return a;
}

SUSPENDS static enum answer savepoint_wait(struct work *w)
{
    enum answer a = DONE;
    if (w->saved_count < SAVEPOINTS_MAX && sim_below(4) == 0) {
        a = client_query_wait(w->c, "SAVEPOINT s%u", w->saved_count + 1);
        if (a == DONE)
            w->saved[w->saved_count++] = w->now;
    } else if (w->saved_count > 0 && sim_below(6) == 0) {
        a = client_query_wait(w->c, "RELEASE s%u", w->saved_count);
        if (a == DONE)
            w->saved_count--;
    } else if (w->saved_count > 0 && sim_below(5) == 0) {
        uint32_t to = 1 + sim_below(w->saved_count);
        a = client_query_wait(w->c, "ROLLBACK TO s%u", to);
        if (a == DONE) {
            w->now = w->saved[to - 1];
            w->saved_count = to;
        }
    }
    return a;
}

static void settle(struct work *w, enum fate fate)
{
    struct tracked *rows = model->workers[w->number].rows;
    for (uint32_t i = 0; i < ROWS_EACH; i++) {
        if (memcmp(&rows[i].now, &w->now.rows[i], sizeof(struct row)) == 0 || rows[i].is_open)
            continue;
        if (fate == FATE_COMMITTED) {
            rows[i].now = w->now.rows[i];
        } else if (fate == FATE_UNKNOWN) {
            rows[i].maybe = w->now.rows[i];
            rows[i].is_open = true;
        }
    }
}

SUSPENDS static enum answer transaction_wait(struct work *w)
{
    w->saved_count = 0;
    for (uint32_t i = 0; i < ROWS_EACH; i++)
        w->now.rows[i] = model->workers[w->number].rows[i].now;
    if (sim_below(3) == 0)
        return single_wait(w);
    enum answer a = work_begin_wait(w->c, (enum sim_isolation)sim_below(3));
    uint32_t steps = 1 + sim_below(6);
    for (uint32_t i = 0; i < steps && a == DONE; i++) {
        a = savepoint_wait(w);
        if (a == DONE)
            a = step_wait(w);
        if (a == FAILED)
            a = step_failed_wait(w);
    }
    if (a == LOST)
        return a;
    if (a == FAILED || sim_below(12) == 0)
        return work_rollback_wait(w->c);
    enum fate fate = FATE_UNKNOWN;
    settle(w, fate); /* the world may end while it waits */
    struct worker_rows *mine = &model->workers[w->number];
    a = work_commit_keys_wait(w->c, &fate);
    if (fate == FATE_UNKNOWN)
        return a;
    for (uint32_t i = 0; i < ROWS_EACH; i++) {
        struct tracked *t = &mine->rows[i];
        if (t->is_open && memcmp(&t->maybe, &w->now.rows[i], sizeof(t->maybe)) == 0 &&
            memcmp(&t->now, &w->now.rows[i], sizeof(t->now)) != 0) {
            t->is_open = false;
            if (fate == FATE_COMMITTED)
                t->now = t->maybe;
        }
    }
    return a;
}

SUSPENDS static void work_wait(uint32_t number)
{
    struct work *w = calloc(1, sizeof(*w));
    ASSERT(w != NULL);
    w->number = number;
    enum answer a = LOST;
    while ((w->c = work_client_wait(w->c, a)) != NULL)
        a = transaction_wait(w);
    free(w);
}

/* ---- verification ---- */

static bool row_is(struct client *c, uint32_t at, const struct row *r, char *text)
{
    text_make(text, r);
    return r->exists && client_int(c, at, 1) == r->unique && client_int(c, at, 2) == r->second &&
           strcmp(client_value(c, at, 3), text) == 0;
}

static void verify_row(struct client *c, uint32_t id, uint32_t at, bool is_there, struct tracked *t,
                       char *text)
{
    bool is_now = is_there ? row_is(c, at, &t->now, text) : !t->now.exists;
    bool is_maybe = t->is_open && (is_there ? row_is(c, at, &t->maybe, text) : !t->maybe.exists);
    if (!is_now && !is_maybe && is_there)
        sim_fail("row %u is (%s, %s, %zu bytes), not (%d, %d, %u bytes)%s", id,
                 client_value(c, at, 1), client_value(c, at, 2), strlen(client_value(c, at, 3)),
                 t->now.exists ? t->now.unique : -1, t->now.second, t->now.text_len,
                 t->is_open ? " nor what a commit would have made it" : "");
    SIM_CHECK(is_now || is_maybe, "row %u is lost", id);
    if (is_maybe && !is_now)
        t->now = t->maybe;
    /* In the life of the commit itself it may still come. */
    if (t->is_open && (is_maybe || run->is_life_start))
        t->is_open = false;
}

SUSPENDS static void verify_contents_wait(struct client *c)
{
    verify_query_wait(c, "SELECT id, u, s, t FROM things ORDER BY id");
    char *text = malloc(70000);
    ASSERT(text != NULL);
    uint32_t at = 0;
    for (uint32_t n = 0; n < WORKERS_MAX; n++) {
        for (uint32_t i = 0; i < ROWS_EACH; i++) {
            uint32_t id = n * 1000 + i;
            bool is_there = at < client_rows(c) && client_int(c, at, 0) == id;
            verify_row(c, id, at, is_there, &model->workers[n].rows[i], text);
            at += is_there ? 1 : 0;
        }
    }
    free(text);
    SIM_CHECK(at == client_rows(c), "things holds %u rows, %u are known", client_rows(c), at);
}

/* ---- indexes made anew beside the workers ---- */

/* What builds left that failed, or whose server went away. */
SUSPENDS static enum answer drop_left_wait(struct client *c)
{
    enum answer a = client_query_wait(c, "SELECT relname FROM pg_class WHERE relname LIKE "
                                         "'things%%ccnew%%' AND relkind = 'i' LIMIT 1");
    if (a != DONE || client_rows(c) == 0)
        return a;
    char name[64];
    (void)snprintf(name, sizeof(name), "%s", client_value(c, 0, 0));
    return client_query_wait(c, "DROP INDEX CONCURRENTLY %s", name);
}

/* The unique one lacks the shard key: with several shards it is a map table over all of them. */
SUSPENDS static void keep_wait(void)
{
    bool is_wanted = sim_below(3) == 0;
    struct client *c = NULL;
    enum answer a = LOST;
    while (is_wanted && (c = work_client_wait(c, a)) != NULL) {
        ERR_IGNORE(fiber_sleep_wait(sim_below(100000)));
        a = drop_left_wait(c);
        if (a == DONE)
            a = client_query_wait(c, "REINDEX INDEX CONCURRENTLY things_%s",
                                  sim_below(3) == 0 ? "s" : "u_key");
        if (a == FAILED)
            sim_expect_error(c, "making an index anew");
    }
}

/* ---- verification of indexes ---- */

/* The same question to the heap and to an index. */
SUSPENDS static void verify_indexes_wait(struct client *c)
{
    static const char *const questions[] = {
        "SELECT string_agg(id::text, ',' ORDER BY id) FROM things WHERE s >= 0",
        "SELECT string_agg(id::text, ',' ORDER BY id) FROM things WHERE s BETWEEN 3 AND 9",
        "SELECT string_agg(id::text, ',' ORDER BY id) FROM things WHERE u >= 0",
        "SELECT string_agg(u::text, ',' ORDER BY u) FROM things WHERE id >= 0",
    };
    for (uint32_t i = 0; i < ARRAY_LEN(questions); i++) {
        verify_query_wait(c, "SET enable_indexscan = off");
        verify_query_wait(c, "SET enable_bitmapscan = off");
        verify_query_wait(c, "SET enable_indexonlyscan = off");
        verify_query_wait(c, "%s", questions[i]);
        char *heap = strdup(client_value(c, 0, 0) != NULL ? client_value(c, 0, 0) : "");
        verify_query_wait(c, "RESET ALL");
        verify_query_wait(c, "SET enable_seqscan = off");
        verify_query_wait(c, "%s", questions[i]);
        const char *index = client_value(c, 0, 0) != NULL ? client_value(c, 0, 0) : "";
        SIM_CHECK(strcmp(heap, index) == 0, "%s: heap %s, index %s", questions[i], heap, index);
        free(heap);
        verify_query_wait(c, "RESET ALL");
    }
    verify_query_wait(c, "SELECT u FROM things GROUP BY u HAVING count(*) > 1");
    SIM_CHECK(client_rows(c) == 0, "%lld is there twice", (long long)client_int(c, 0, 0));
    if (!run->life.is_last || run->is_life_start) /* what is prepared may hold locks then */
        return;
    verify_query_wait(c, "SELECT * FROM percore_check()"); /* the map table too */
    SIM_CHECK(client_rows(c) == 0, "percore_check: %s", client_value(c, 0, 0));
}

SUSPENDS static void verify_wait(struct client *c)
{
    verify_contents_wait(c);
    verify_indexes_wait(c);
}

const struct workload rows_workload = {
    .name = "rows",
    .share = 3,
    .start = start,
    .set_up_wait = set_up_wait,
    .work_wait = work_wait,
    .keep_wait = keep_wait,
    .verify_wait = verify_wait,
    .verify_itself_wait = verify_indexes_wait,
};
