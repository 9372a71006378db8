/*
 * Sequences: no value is handed out twice, whatever crashes. COPY: all of its rows or none, though
 * it is interrupted anywhere. DDL beside the other work: a table is exactly what the acknowledged
 * statements made it.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

/* ---- sequences ---- */

enum { SEQUENCE_MAX = 100000 };

/* Some are asked often, others hardly ever; one gives each session a few values at a time. */
static const struct {
    const char *name;
    const char *options;
    int32_t step;
    bool is_cached;
} sequences[] = {
    {"numbers", "", 1, false},           {"slow", "", 1, false},
    {"threes", "INCREMENT 3", 3, false}, {"down", "INCREMENT -1", -1, false},
    {"cached", "CACHE 10", 1, true},     {"slower", "INCREMENT 7 START 100", 7, false},
};

static struct sequence_model {
    int64_t last; /* furthest value that was told */
    uint8_t seen[SEQUENCE_MAX];
} * models;

static void sequence_start(void)
{
    models = io_sim_alloc(sizeof(*models) * ARRAY_LEN(sequences));
}

SUSPENDS static enum answer sequence_set_up_wait(struct client *c)
{
    enum answer a = DONE;
    for (uint32_t i = 0; i < ARRAY_LEN(sequences) && a == DONE; i++)
        a = client_query_wait(c, "CREATE SEQUENCE %s %s", sequences[i].name, sequences[i].options);
    return a;
}

/* before: what was told when the value was asked for. */
static void sequence_saw(uint32_t n, int64_t value, int64_t before)
{
    struct sequence_model *m = &models[n];
    int32_t step = sequences[n].step;
    uint64_t place = (uint64_t)(value < 0 ? -value : value);
    if (place >= SEQUENCE_MAX)
        return;
    sim_note("nextval %s %lld", sequences[n].name, (long long)value);
    SIM_CHECK(m->seen[place] == 0, "the sequence %s gives %lld twice", sequences[n].name,
              (long long)value);
    m->seen[place] = 1;
    SIM_CHECK(sequences[n].is_cached || before == 0 || (step > 0 ? value > before : value < before),
              "the sequence %s gives %lld after %lld", sequences[n].name, (long long)value,
              (long long)before);
    if (m->last == 0 || (step > 0 ? value > m->last : value < m->last))
        m->last = value;
}

SUSPENDS static enum answer sequence_step_wait(struct client *c, uint32_t n)
{
    bool in_block = sim_below(3) == 0;
    enum answer a = DONE;
    if (in_block)
        a = work_begin_wait(c, (enum sim_isolation)sim_below(3));
    int64_t before = models[n].last;
    uint32_t count = n == 0 && sim_below(4) == 0 ? 1 + sim_below(40) : 1;
    if (a == DONE && count > 1)
        a = client_query_wait(c, "SELECT nextval('%s') FROM generate_series(1, %u)",
                              sequences[n].name, count);
    else if (a == DONE)
        a = client_query_wait(c, "SELECT nextval('%s')", sequences[n].name);
    if (a == DONE)
        for (uint32_t i = 0; i < client_rows(c); i++)
            sequence_saw(n, client_int(c, i, 0), before);
    if (a == FAILED)
        sim_expect_error(c, "nextval");
    if (in_block && a != LOST)
        a = sim_below(2) == 0 ? work_rollback_wait(c) : client_query_wait(c, "COMMIT");
    return a;
}

SUSPENDS static void sequence_work_wait(uint32_t number)
{
    struct client *c = NULL;
    enum answer a = LOST;
    uint32_t own = sim_below(ARRAY_LEN(sequences));
    (void)number;
    while ((c = work_client_wait(c, a)) != NULL) {
        a = sequence_step_wait(c, sim_below(4) == 0 ? sim_below(ARRAY_LEN(sequences)) : own);
        if (sim_below(3) != 0)
            ERR_IGNORE(fiber_sleep_wait(sim_below(2000)));
    }
}

SUSPENDS static void sequence_verify_wait(struct client *c)
{
    for (uint32_t n = 0; n < ARRAY_LEN(sequences); n++) {
        int64_t before = models[n].last;
        verify_query_wait(c, "SELECT nextval('%s')", sequences[n].name);
        sequence_saw(n, client_int(c, 0, 0), before);
    }
}

const struct workload sequence_workload = {
    .name = "sequence",
    .share = 3,
    .start = sequence_start,
    .set_up_wait = sequence_set_up_wait,
    .work_wait = sequence_work_wait,
    .verify_wait = sequence_verify_wait,
    .is_for_crowds = true,
};

/* ---- COPY ---- */

enum { BATCHES_MAX = 2000, BATCH_ROWS_MAX = 1500 };

static struct copy_model {
    uint32_t count;
    uint8_t fate[BATCHES_MAX];
    uint16_t rows[BATCHES_MAX];
} * copies;

static void copy_start(void)
{
    copies = io_sim_alloc(sizeof(*copies));
}

SUSPENDS static enum answer copy_set_up_wait(struct client *c)
{
    return client_query_wait(
        c, "CREATE TABLE copied (batch int, i int, pad text, PRIMARY KEY (batch, i))");
}

SUSPENDS static enum answer copy_step_wait(struct client *c)
{
    if (copies->count == BATCHES_MAX) {
        ERR_IGNORE(fiber_sleep_wait(1000));
        return DONE;
    }
    uint32_t batch = copies->count++;
    uint32_t rows = 1 + sim_below(sim_below(8) == 0 ? BATCH_ROWS_MAX : 60);
    copies->rows[batch] = (uint16_t)rows;
    size_t room = (size_t)rows * 160;
    char *text = malloc(room);
    ASSERT(text != NULL);
    size_t len = 0;
    for (uint32_t i = 0; i < rows; i++)
        len += (size_t)snprintf(text + len, room - len, "%u\t%u\t%0*u\n", batch, i,
                                (int)(1 + i % 100), i);
    size_t stop_at = sim_below(3) == 0 ? sim_below((uint32_t)len) : SIZE_MAX;
    /* A client that goes away in the middle of a copy has sent no end: nothing can be committed. */
    enum fate fate = stop_at == SIZE_MAX ? FATE_UNKNOWN : FATE_ABORTED;
    copies->fate[batch] = (uint8_t)fate;
    enum answer a = work_single(&fate, client_copy_in_wait(c, "COPY copied FROM STDIN", text, len,
                                                           stop_at, (enum copy_stop)sim_below(2)));
    if (stop_at == SIZE_MAX)
        copies->fate[batch] = (uint8_t)fate;
    else
        SIM_CHECK(a != DONE, "an interrupted COPY succeeded");
    free(text);
    if (a == FAILED && strcmp(client_sqlstate(c), "57014") != 0)
        sim_expect_error(c, "COPY");
    return a;
}

SUSPENDS static void copy_work_wait(uint32_t number)
{
    (void)number;
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL) {
        a = copy_step_wait(c);
        ERR_IGNORE(fiber_sleep_wait(sim_below(5000)));
    }
}

SUSPENDS static void copy_verify_wait(struct client *c)
{
    verify_query_wait(c, "SELECT batch, count(*), sum(i), sum(length(pad)) FROM copied "
                         "GROUP BY batch ORDER BY batch");
    uint32_t at = 0;
    for (uint32_t b = 0; b < copies->count; b++) {
        bool is_there = at < client_rows(c) && client_int(c, at, 0) == b;
        SIM_CHECK(!is_there || copies->fate[b] != FATE_ABORTED, "COPY %u failed but has rows", b);
        SIM_CHECK(is_there || copies->fate[b] != FATE_COMMITTED, "COPY %u is lost", b);
        if (!is_there) {
            if (run->is_life_start)
                copies->fate[b] = FATE_ABORTED;
            continue;
        }
        int64_t rows = copies->rows[b];
        SIM_CHECK(client_int(c, at, 1) == rows && client_int(c, at, 2) == rows * (rows - 1) / 2,
                  "COPY %u has %lld of %lld rows", b, (long long)client_int(c, at, 1),
                  (long long)rows);
        copies->fate[b] = FATE_COMMITTED;
        at++;
    }
    SIM_CHECK(at == client_rows(c), "there are rows of unknown copies");
}

const struct workload copy_workload = {
    .name = "copy",
    .share = 3,
    .start = copy_start,
    .set_up_wait = copy_set_up_wait,
    .work_wait = copy_work_wait,
    .verify_wait = copy_verify_wait,
};

/* ---- DDL ---- */

enum { TABLES = 16, TABLE_ROWS_MAX = 400 };

struct table {
    bool exists;
    bool has_extra;
    bool has_index;
    uint32_t rows;
};

static struct ddl_model {
    struct table now[TABLES];
    struct table maybe[TABLES];
    bool is_open[TABLES];
} * ddl;

static void ddl_start(void)
{
    ddl = io_sim_alloc(sizeof(*ddl));
}

SUSPENDS static enum answer ddl_set_up_wait(struct client *c)
{
    return client_query_wait(c, "CREATE VIEW all_accounts AS SELECT * FROM accounts");
}

SUSPENDS static enum answer ddl_change_wait(struct client *c, uint32_t n, struct table *t)
{
    if (!t->exists) {
        t->exists = true;
        return client_query_wait(c, "CREATE TABLE made_%u (i int, t text)", n);
    }
    uint32_t rows = 1 + sim_below(30);
    switch (sim_below(8)) {
    case 0:
        *t = (struct table){0};
        return client_query_wait(c, "DROP TABLE made_%u", n);
    case 1:
        if (t->has_extra)
            return client_query_wait(c, "UPDATE made_%u SET extra = extra + 1", n);
        t->has_extra = true;
        return client_query_wait(c, "ALTER TABLE made_%u ADD COLUMN extra int DEFAULT 7", n);
    case 2:
        if (!t->has_extra)
            return DONE;
        t->has_extra = false;
        return client_query_wait(c, "ALTER TABLE made_%u DROP COLUMN extra", n);
    case 3:
        t->has_index = !t->has_index;
        return t->has_index ? client_query_wait(c, "CREATE INDEX made_%u_i ON made_%u (i)", n, n)
                            : client_query_wait(c, "DROP INDEX made_%u_i", n);
    case 4:
        t->rows = 0;
        return client_query_wait(c, "TRUNCATE made_%u", n);
    default:
        if (t->rows + rows > TABLE_ROWS_MAX)
            return DONE;
        t->rows += rows;
        return client_query_wait(c,
                                 "INSERT INTO made_%u (i, t) SELECT i, 'row ' || i FROM "
                                 "generate_series(%u, %u) i",
                                 n, t->rows - rows, t->rows - 1);
    }
}

SUSPENDS static enum answer ddl_step_wait(struct client *c, uint32_t n)
{
    struct table t = ddl->now[n];
    uint32_t changes = 1 + sim_below(4);
    enum answer a = work_begin_wait(c, SIM_READ_COMMITTED);
    for (uint32_t i = 0; i < changes && a == DONE; i++)
        a = ddl_change_wait(c, n, &t);
    if (a == FAILED)
        sim_expect_error(c, "changing a table");
    if (a == LOST)
        return a;
    if (a == FAILED || sim_below(5) == 0)
        return work_rollback_wait(c);
    ddl->maybe[n] = t;
    ddl->is_open[n] = true;
    enum fate fate;
    a = work_commit_wait(c, &fate);
    ddl->is_open[n] = fate == FATE_UNKNOWN;
    if (fate == FATE_COMMITTED)
        ddl->now[n] = t;
    return a;
}

SUSPENDS static void ddl_work_wait(uint32_t number)
{
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL) {
        if (!ddl->is_open[number])
            a = ddl_step_wait(c, number);
        ERR_IGNORE(fiber_sleep_wait(sim_below(20000)));
    }
}

SUSPENDS static bool table_is_wait(struct client *c, uint32_t n, const struct table *t)
{
    verify_query_wait(c,
                      "SELECT (SELECT count(*) FROM pg_attribute WHERE attrelid = r.oid AND "
                      "attname = 'extra'), (SELECT count(*) FROM pg_index WHERE indrelid = r.oid) "
                      "FROM pg_class r WHERE relname = 'made_%u'",
                      n);
    if ((client_rows(c) == 1) != t->exists)
        return false;
    if (!t->exists)
        return true;
    if ((client_int(c, 0, 0) == 1) != t->has_extra || (client_int(c, 0, 1) == 1) != t->has_index)
        return false;
    verify_query_wait(c, "SELECT count(*), coalesce(sum(i), 0), count(DISTINCT t) FROM made_%u", n);
    int64_t rows = t->rows;
    return client_int(c, 0, 0) == rows && client_int(c, 0, 1) == rows * (rows - 1) / 2 &&
           client_int(c, 0, 2) == rows;
}

SUSPENDS static void ddl_verify_wait(struct client *c)
{
    for (uint32_t n = 0; n < TABLES; n++) {
        bool is_now = table_is_wait(c, n, &ddl->now[n]);
        bool is_maybe = !is_now && ddl->is_open[n] && table_is_wait(c, n, &ddl->maybe[n]);
        SIM_CHECK(is_now || is_maybe, "table made_%u is not what was committed%s", n,
                  ddl->is_open[n] ? ", nor what may have been" : "");
        if (is_maybe)
            ddl->now[n] = ddl->maybe[n];
        if (is_maybe || run->is_life_start)
            ddl->is_open[n] = false;
    }
    verify_query_wait(c, "SELECT count(*) FROM all_accounts");
}

const struct workload ddl_workload = {
    .name = "ddl",
    .share = 3,
    .start = ddl_start,
    .set_up_wait = ddl_set_up_wait,
    .work_wait = ddl_work_wait,
    .verify_wait = ddl_verify_wait,
};
