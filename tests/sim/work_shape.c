/*
 * Tables that get other definitions while sessions on all cores read and write them, by plans that
 * they have kept: columns come and go and change their types, the rows are removed, the table is
 * dropped and made again.
 *
 * A column that is added is called n<number> and is '<number>' in the rows that are there; the
 * numbers are given once, in increasing order. So a row tells by which definition it was read: its
 * numbers must be those of the newest definition that was acknowledged before, or of a later one,
 * and the same in all rows of an answer.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

enum { TABLES = 3, COLUMNS_MAX = 5, RECENT = 64, IDS = 40 };

struct shape {
    bool exists;
    bool is_wide; /* v is a bigint */
    uint8_t count;
    uint32_t numbers[COLUMNS_MAX];
};

/* The newest definitions, in order; those behind `acknowledged` have been asked for. */
struct table {
    struct shape shapes[RECENT];
    uint64_t acknowledged; /* how many there were, up to the newest that is committed */
    uint64_t asked;        /* all; the last one may be the one before it, or not have come */
    bool is_busy;          /* some session changes it */
};

static struct model {
    struct table tables[TABLES];
    uint32_t last_number;
} * model;

static void start(void)
{
    model = io_sim_alloc(sizeof(*model));
    for (uint32_t n = 0; n < TABLES; n++) {
        struct table *t = &model->tables[n];
        t->shapes[0] = (struct shape){.exists = true};
        t->acknowledged = t->asked = 1;
    }
}

SUSPENDS static enum answer set_up_wait(struct client *c)
{
    enum answer a = DONE;
    for (uint32_t n = 0; n < TABLES && a == DONE; n++)
        a = client_query_wait(c, "CREATE TABLE shape_%u (id int PRIMARY KEY, v int)", n);
    return a;
}

static struct shape *shape_of(struct table *t, uint64_t which)
{
    return &t->shapes[which % RECENT];
}

static bool is_state(const struct client *c, const char *state)
{
    return strcmp(client_sqlstate(c), state) == 0;
}

/* ---- other definitions ---- */

SUSPENDS static enum answer column_wait(struct client *c, uint32_t n, struct shape *s)
{
    if (s->count < COLUMNS_MAX && (s->count == 0 || sim_below(2) == 0)) {
        uint32_t number = ++model->last_number;
        s->numbers[s->count++] = number;
        return client_query_wait(c, "ALTER TABLE shape_%u ADD COLUMN n%u text DEFAULT '%u'", n,
                                 number, number);
    }
    uint32_t at = sim_below(s->count);
    uint32_t number = s->numbers[at];
    for (uint32_t i = at; i + 1 < s->count; i++)
        s->numbers[i] = s->numbers[i + 1];
    s->count--;
    return client_query_wait(c, "ALTER TABLE shape_%u DROP COLUMN n%u", n, number);
}

SUSPENDS static enum answer change_wait(struct client *c, uint32_t n, struct shape *s)
{
    if (!s->exists) {
        *s = (struct shape){.exists = true};
        return client_query_wait(c, "CREATE TABLE shape_%u (id int PRIMARY KEY, v int)", n);
    }
    switch (sim_below(12)) {
    case 0:
        *s = (struct shape){0};
        return client_query_wait(c, "DROP TABLE shape_%u", n);
    case 1:
        return client_query_wait(c, "TRUNCATE shape_%u", n);
    case 2:
    case 3:
        s->is_wide = !s->is_wide;
        return client_query_wait(c, "ALTER TABLE shape_%u ALTER COLUMN v TYPE %s", n,
                                 s->is_wide ? "bigint" : "int");
    default:
        return column_wait(c, n, s);
    }
}

SUSPENDS static enum answer shape_step_wait(struct client *c, uint32_t n)
{
    struct table *t = &model->tables[n];
    struct shape s = *shape_of(t, t->asked - 1);
    enum answer a = work_begin_wait(c, SIM_READ_COMMITTED);
    uint32_t changes = 1 + sim_below(2);
    for (uint32_t i = 0; i < changes && a == DONE; i++)
        a = change_wait(c, n, &s);
    if (a == FAILED)
        sim_expect_error(c, "changing a definition");
    if (a == LOST)
        return a;
    if (a == FAILED || sim_below(8) == 0)
        return work_rollback_wait(c);
    *shape_of(t, t->asked++) = s;
    enum fate fate;
    a = work_commit_wait(c, &fate);
    if (fate == FATE_COMMITTED)
        t->acknowledged = t->asked;
    else if (fate == FATE_ABORTED)
        t->asked--;
    return a;
}

/* One session at a time, and none while a commit's fate is open. */
SUSPENDS static enum answer shape_wait(struct client *c)
{
    uint32_t n = sim_below(TABLES);
    struct table *t = &model->tables[n];
    if (t->is_busy || t->asked != t->acknowledged)
        return DONE;
    t->is_busy = true;
    enum answer a = shape_step_wait(c, n);
    t->is_busy = false;
    return a;
}

/* ---- rows ---- */

/* Columns from the third on are those of the definition. */
static bool row_fits(const struct client *c, uint32_t row, const struct shape *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const char *v = client_value(c, row, 2 + i);
        if (v == NULL || strtoul(v, NULL, 10) != s->numbers[i])
            return false;
    }
    return true;
}

static bool answer_fits(const struct client *c, const struct shape *s)
{
    if (!s->exists || client_columns(c) != 2u + s->count)
        return false;
    for (uint32_t row = 0; row < client_rows(c); row++)
        if (!row_fits(c, row, s))
            return false;
    return true;
}

static void check_answer(const struct client *c, uint32_t n, uint64_t first)
{
    struct table *t = &model->tables[n];
    if (client_rows(c) == 0 || t->asked - first > RECENT)
        return;
    for (uint64_t i = first; i < t->asked; i++)
        if (answer_fits(c, shape_of(t, i)))
            return;
    sim_fail("shape_%u: a row of %u columns (%s, ...) fits no definition that it can have", n,
             client_columns(c), client_columns(c) > 2 ? client_value(c, 0, 2) : "none");
}

/* Whole rows, by a plan made now or kept; one that was kept for other columns is an error. */
SUSPENDS static enum answer read_wait(struct client *c, uint32_t n)
{
    uint64_t first = model->tables[n].acknowledged - 1;
    char name[32];
    char text[64];
    (void)snprintf(name, sizeof(name), "all %u", n);
    (void)snprintf(text, sizeof(text), "SELECT * FROM shape_%u ORDER BY id", n);
    bool is_kept = sim_below(2) == 0;
    enum answer a = is_kept ? client_execute_wait(c, name, text, NULL)
                            : client_query_wait(c, "SELECT * FROM shape_%u", n);
    if (a == DONE)
        check_answer(c, n, first);
    if (a == FAILED && is_kept && is_state(c, "0A000"))
        return LOST; /* it has to be given up; so is the connection */
    return a;
}

SUSPENDS static enum answer write_wait(struct client *c, uint32_t n)
{
    static const char *const texts[] = {
        "INSERT INTO shape_%u (id, v) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        "UPDATE shape_%u SET v = $2 WHERE id = $1",
        "UPDATE shape_%u SET v = v + 1 WHERE id BETWEEN $1 AND $2",
        "DELETE FROM shape_%u WHERE id = $1 AND v > $2",
    };
    uint32_t which = sim_below(6);
    which = which < ARRAY_LEN(texts) ? which : 0;
    char name[32];
    char text[100];
    char id[16];
    char value[16];
    (void)snprintf(name, sizeof(name), "write %u %u", n, which);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof(text), texts[which], n);
#pragma GCC diagnostic pop
    (void)snprintf(id, sizeof(id), "%u", sim_below(IDS));
    (void)snprintf(value, sizeof(value), "%u", sim_below(IDS));
    return client_execute_wait(c, name, text, id, value, NULL);
}

SUSPENDS static enum answer row_step_wait(struct client *c)
{
    uint32_t n = sim_below(TABLES);
    bool in_block = sim_below(3) == 0;
    enum answer a = in_block ? work_begin_wait(c, (enum sim_isolation)sim_below(3)) : DONE;
    uint32_t steps = in_block ? 1 + sim_below(3) : 1;
    for (uint32_t i = 0; i < steps && a == DONE; i++)
        a = sim_below(2) == 0 ? read_wait(c, n) : write_wait(c, n);
    if (a == FAILED && !is_state(c, "42P01") && !is_state(c, "0A000"))
        sim_expect_error(c, "rows of a table that changes");
    if (in_block && a != LOST)
        a = a == DONE && sim_below(6) != 0 ? client_query_wait(c, "COMMIT") : work_rollback_wait(c);
    return a;
}

SUSPENDS static void work_wait(uint32_t number)
{
    bool changes = number % 4 == 0 || sim_below(4) == 0;
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL) {
        a = changes && sim_below(3) == 0 ? shape_wait(c) : row_step_wait(c);
        if (changes)
            ERR_IGNORE(fiber_sleep_wait(sim_below(2000)));
    }
}

/* ---- verification ---- */

SUSPENDS static bool table_is_wait(struct client *c, uint32_t n, const struct shape *s)
{
    verify_query_wait(
        c,
        "SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = (SELECT "
        "oid FROM pg_class WHERE relname = 'shape_%u') AND attnum > 1 AND NOT "
        "attisdropped ORDER BY attnum",
        n);
    if (!s->exists || client_rows(c) == 0)
        return !s->exists && client_rows(c) == 0;
    if (client_rows(c) != 1u + s->count ||
        strcmp(client_value(c, 0, 1), s->is_wide ? "bigint" : "integer") != 0)
        return false;
    for (uint32_t i = 0; i < s->count; i++)
        if (strtoul(client_value(c, 1 + i, 0) + 1, NULL, 10) != s->numbers[i])
            return false;
    verify_query_wait(c, "SELECT * FROM shape_%u", n);
    return client_rows(c) == 0 || answer_fits(c, s);
}

SUSPENDS static void verify_wait(struct client *c)
{
    for (uint32_t n = 0; n < TABLES; n++) {
        struct table *t = &model->tables[n];
        bool is_last = table_is_wait(c, n, shape_of(t, t->asked - 1));
        bool is_open = t->asked != t->acknowledged;
        SIM_CHECK(is_last || (is_open && table_is_wait(c, n, shape_of(t, t->acknowledged - 1))),
                  "table shape_%u is not what was committed%s", n,
                  is_open ? ", nor what may have been" : "");
        if (!run->is_life_start)
            continue;
        t->is_busy = false;
        if (is_last)
            t->acknowledged = t->asked;
        else
            t->asked = t->acknowledged;
    }
}

const struct workload shape_workload = {
    .name = "shape",
    .share = 2,
    .start = start,
    .set_up_wait = set_up_wait,
    .work_wait = work_wait,
    .verify_wait = verify_wait,
};
