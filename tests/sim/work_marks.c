/*
 * Marks: rows that nobody else touches, so that nobody waits for anybody and very many commits are
 * under way at once, on one to three shards each. Each commit makes all of its marks or none, in
 * every snapshot; what was acknowledged is seen at once and stays, whatever happened to commits
 * that stand beside it in the logs.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

enum { COMMITS_MAX = 30000, MARKS_EACH_MAX = 4, RECENT = 120 };

/* The ids of a commit's marks are MARKS_EACH_MAX * its number and the following. */
struct commit {
    uint8_t count;
    uint8_t made;    /* enum fate */
    uint8_t removed; /* FATE_NONE = nobody has asked for it */
};

static struct marks {
    uint32_t count;
    struct commit commits[COMMITS_MAX];
} * marks;

static void start(void)
{
    marks = io_sim_alloc(sizeof(*marks));
}

SUSPENDS static enum answer set_up_wait(struct client *c)
{
    return client_query_wait(c, "CREATE TABLE marks (id int PRIMARY KEY)");
}

/* ---- work ---- */

SUSPENDS static enum answer insert_wait(struct client *c, uint32_t first, uint32_t count)
{
    char ids[MARKS_EACH_MAX][16];
    for (uint32_t i = 0; i < MARKS_EACH_MAX; i++)
        (void)snprintf(ids[i], sizeof(ids[i]), "%u", first + i);
    if (count == 1)
        return client_execute_wait(c, "one", "INSERT INTO marks VALUES ($1)", ids[0], NULL);
    if (count == 2)
        return client_execute_wait(c, "two", "INSERT INTO marks VALUES ($1), ($2)", ids[0], ids[1],
                                   NULL);
    return client_execute_wait(c, "three", "INSERT INTO marks VALUES ($1), ($2), ($3)", ids[0],
                               ids[1], ids[2], NULL);
}

SUSPENDS static enum answer block_wait(struct client *c, uint32_t first, uint32_t count,
                                       enum fate *fate)
{
    *fate = FATE_ABORTED;
    enum answer a = work_begin_wait(c, (enum sim_isolation)sim_below(3));
    for (uint32_t i = 0; i < count && a == DONE; i++)
        a = insert_wait(c, first + i, 1);
    if (a == LOST)
        return a;
    if (a == FAILED) {
        sim_expect_error(c, "a mark");
        return work_rollback_wait(c);
    }
    if (sim_below(10) == 0)
        return work_rollback_wait(c);
    return work_commit_wait(c, fate);
}

SUSPENDS static enum answer make_wait(struct client *c)
{
    if (marks->count == COMMITS_MAX) {
        ERR_IGNORE(fiber_sleep_wait(1000));
        return DONE;
    }
    uint32_t number = marks->count++;
    struct commit *m = &marks->commits[number];
    uint32_t count = sim_below(run->life.spread_one_in) == 0 ? 2 + sim_below(2) : 1;
    *m = (struct commit){.count = (uint8_t)count, .made = FATE_UNKNOWN};
    enum fate fate = FATE_UNKNOWN;
    enum answer a;
    if (sim_below(4) == 0) {
        a = block_wait(c, number * MARKS_EACH_MAX, count, &fate);
    } else {
        a = work_single(&fate, insert_wait(c, number * MARKS_EACH_MAX, count));
        if (a == FAILED)
            sim_expect_error(c, "a mark");
    }
    m->made = (uint8_t)fate;
    return a;
}

SUSPENDS static enum answer remove_wait(struct client *c)
{
    uint32_t number = marks->count == 0 ? 0 : sim_below(marks->count);
    struct commit *m = &marks->commits[number];
    if (m->made != FATE_COMMITTED || m->removed != FATE_NONE)
        return DONE;
    m->removed = FATE_UNKNOWN;
    enum fate fate;
    enum answer a =
        WORK_SINGLE(&fate, client_query_wait(c, "DELETE FROM marks WHERE id BETWEEN %u AND %u",
                                             number * MARKS_EACH_MAX,
                                             number * MARKS_EACH_MAX + MARKS_EACH_MAX - 1));
    m->removed = (uint8_t)(fate == FATE_ABORTED ? FATE_NONE : fate);
    if (a == FAILED)
        sim_expect_error(c, "removing marks");
    if (a == DONE)
        SIM_CHECK((uint32_t)strtoul(client_tag(c) + strlen("DELETE "), NULL, 10) == m->count,
                  "commit %u of %u marks: %s", number, m->count, client_tag(c));
    return a;
}

/* How many of the commit's marks are in the answer, from *row on. */
static uint32_t found(struct client *c, uint32_t *row, uint32_t number)
{
    uint32_t n = 0;
    while (*row < client_rows(c) && client_int(c, *row, 0) / MARKS_EACH_MAX == number) {
        n++;
        (*row)++;
    }
    return n;
}

static void check_whole(uint32_t number, uint32_t n)
{
    const struct commit *m = &marks->commits[number];
    SIM_CHECK(n == 0 || n == m->count, "commit %u: %u of %u marks are there", number, n, m->count);
}

/* One snapshot of the newest commits. */
SUSPENDS static enum answer look_wait(struct client *c)
{
    uint32_t end = marks->count;
    uint32_t first = end > RECENT ? end - RECENT : 0;
    struct commit before[RECENT];
    memcpy(before, marks->commits + first, (end - first) * sizeof(*before));
    enum answer a = client_query_wait(c, "SELECT id FROM marks WHERE id >= %u ORDER BY id",
                                      first * MARKS_EACH_MAX);
    if (a == FAILED)
        sim_expect_error(c, "looking at marks");
    if (a != DONE)
        return a;
    uint32_t row = 0;
    for (uint32_t i = first; i < marks->count; i++) {
        uint32_t n = found(c, &row, i);
        check_whole(i, n);
        const struct commit *now = &marks->commits[i];
        SIM_CHECK(n == 0 || now->made != FATE_ABORTED, "commit %u was rolled back and is seen", i);
        if (i >= end)
            continue;
        const struct commit *m = &before[i - first];
        SIM_CHECK(n != 0 || m->made != FATE_COMMITTED || now->removed != FATE_NONE,
                  "commit %u was acknowledged and is not seen", i);
        SIM_CHECK(n == 0 || m->removed != FATE_COMMITTED,
                  "the marks of commit %u were removed and are seen", i);
    }
    SIM_CHECK(row == client_rows(c), "marks of unknown commits are seen");
    return a;
}

SUSPENDS static void work_wait(uint32_t number)
{
    (void)number;
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL) {
        if (sim_below(16) == 0)
            a = look_wait(c);
        else if (sim_below(8) == 0)
            a = remove_wait(c);
        else
            a = make_wait(c);
    }
}

/* ---- verification ---- */

/* What is open is settled by what is there, once nobody can be at work on it any more. */
static void verify_commit(uint32_t number, bool is_there)
{
    struct commit *m = &marks->commits[number];
    if (is_there) {
        SIM_CHECK(m->made != FATE_ABORTED, "commit %u was not done but is there", number);
        SIM_CHECK(m->removed != FATE_COMMITTED, "the marks of commit %u were removed but are there",
                  number);
        m->made = FATE_COMMITTED;
        if (run->is_life_start)
            m->removed = FATE_NONE;
        return;
    }
    SIM_CHECK(m->made != FATE_COMMITTED || m->removed != FATE_NONE,
              "commit %u was acknowledged and is lost", number);
    if (!run->is_life_start)
        return;
    if (m->made == FATE_UNKNOWN)
        m->made = FATE_ABORTED;
    if (m->removed == FATE_UNKNOWN)
        m->removed = FATE_COMMITTED;
}

SUSPENDS static void verify_each_wait(struct client *c, bool only_whole)
{
    verify_query_wait(c, "SELECT id FROM marks ORDER BY id");
    uint32_t row = 0;
    for (uint32_t i = 0; i < marks->count; i++) {
        uint32_t n = found(c, &row, i);
        check_whole(i, n);
        if (!only_whole)
            verify_commit(i, n != 0);
    }
    SIM_CHECK(row == client_rows(c), "there are marks of unknown commits");
}

SUSPENDS static void verify_wait(struct client *c)
{
    verify_each_wait(c, false);
}

SUSPENDS static void verify_itself_wait(struct client *c)
{
    verify_each_wait(c, true);
}

const struct workload marks_workload = {
    .name = "marks",
    .share = 3,
    .start = start,
    .set_up_wait = set_up_wait,
    .work_wait = work_wait,
    .verify_wait = verify_wait,
    .verify_itself_wait = verify_itself_wait,
    .is_for_crowds = true,
};
