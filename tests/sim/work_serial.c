/*
 * What isolation levels promise to programs that read and then write.
 *
 * Counters: each transaction adds one to some, by a value that it has read (REPEATABLE READ and
 * SERIALIZABLE; READ COMMITTED with FOR UPDATE) or by UPDATE v = v + 1. No update may be lost: a
 * counter is the number of transactions that committed.
 *
 * Pairs: two rows, or places for rows, of which serializable transactions see to it that at most
 * one is taken; each reads both and writes one, so weaker isolation would let two of them take
 * both. Many are prepared, and finished by other sessions, perhaps in another life.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

/* ---- counters ---- */

enum { COUNTERS = 6, COUNTERS_EACH = 2 };

static struct counter {
    uint32_t acknowledged;
    uint32_t possible; /* acknowledged, under way or unknown */
} * counters;

static void counter_start(void)
{
    counters = io_sim_alloc(sizeof(*counters) * COUNTERS);
}

SUSPENDS static enum answer counter_set_up_wait(struct client *c)
{
    enum answer a = client_query_wait(
        c, "CREATE TABLE counters (id int PRIMARY KEY, name text UNIQUE, v int NOT NULL)");
    if (a == DONE)
        a = client_query_wait(
            c, "INSERT INTO counters SELECT i, 'counter ' || i, 0 FROM generate_series(0, %d) i",
            COUNTERS - 1);
    return a;
}

/* The row is found by its key or by another index. */
static void counter_where(char *out, size_t room, uint32_t n)
{
    if (sim_below(3) == 0)
        (void)snprintf(out, room, "name = 'counter %u'", n);
    else
        (void)snprintf(out, room, "id = %u", n);
}

/* least: what was acknowledged before the snapshot was taken. */
SUSPENDS static enum answer add_read_wait(struct client *c, uint32_t n, bool locks, uint32_t least)
{
    char where[32];
    counter_where(where, sizeof(where), n);
    enum answer a = client_query_wait(c, "SELECT v FROM counters WHERE %s%s", where,
                                      locks ? " FOR UPDATE" : "");
    if (a != DONE)
        return a;
    SIM_CHECK(client_rows(c) == 1, "counter %u: %u rows", n, client_rows(c));
    int64_t v = client_int(c, 0, 0);
    SIM_CHECK(v >= least && v <= counters[n].possible,
              "counter %u is %lld; %u were acknowledged, %u can be", n, (long long)v, least,
              counters[n].possible);
    if (sim_below(16) == 0)
        ERR_IGNORE(fiber_sleep_wait(sim_below(3000)));
    counter_where(where, sizeof(where), n);
    return client_query_wait(c, "UPDATE counters SET v = %lld WHERE %s", (long long)v + 1, where);
}

SUSPENDS static enum answer counter_add_wait(struct client *c, uint32_t n, enum sim_isolation level,
                                             uint32_t least)
{
    uint32_t how = sim_below(4);
    if (level == SIM_READ_COMMITTED && how < 2)
        return add_read_wait(c, n, true, counters[n].acknowledged);
    if (level != SIM_READ_COMMITTED && how != 0)
        return add_read_wait(c, n, sim_below(8) == 0, least);
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", n);
    if (sim_below(2) == 0)
        return client_execute_wait(c, "add", "UPDATE counters SET v = v + 1 WHERE id = $1", number,
                                   NULL);
    return client_execute_wait(c, "add by name",
                               "UPDATE counters SET v = v + 1 WHERE name = 'counter ' || $1",
                               number, NULL);
}

SUSPENDS static enum answer counter_step_wait(struct client *c)
{
    enum sim_isolation level = (enum sim_isolation)sim_below(3);
    uint32_t which[COUNTERS_EACH];
    uint32_t least[COUNTERS_EACH];
    uint32_t count = 1 + (sim_below(3) == 0 ? 1 : 0);
    which[0] = sim_below(COUNTERS);
    which[1] = (which[0] + 1 + sim_below(COUNTERS - 1)) % COUNTERS;
    for (uint32_t i = 0; i < COUNTERS_EACH; i++)
        least[i] = counters[which[i]].acknowledged;
    enum answer a = work_begin_wait(c, level);
    for (uint32_t i = 0; i < count && a == DONE; i++) {
        bool is_undone = sim_below(8) == 0;
        if (is_undone)
            a = client_query_wait(c, "SAVEPOINT s");
        if (a == DONE)
            a = counter_add_wait(c, which[i], level, least[i]);
        SIM_CHECK(a != DONE || strcmp(client_tag(c), "UPDATE 1") == 0, "counter %u: %s", which[i],
                  client_tag(c));
        if (a == DONE && is_undone)
            a = client_query_wait(c, "ROLLBACK TO s");
        if (a == DONE && is_undone)
            a = counter_add_wait(c, which[i], level, least[i]);
    }
    if (a == FAILED)
        sim_expect_error(c, "counting");
    if (a == LOST)
        return a;
    if (a == FAILED || sim_below(10) == 0)
        return work_rollback_wait(c);
    for (uint32_t i = 0; i < count; i++)
        counters[which[i]].possible++;
    enum fate fate;
    a = work_commit_wait(c, &fate);
    for (uint32_t i = 0; i < count; i++) {
        counters[which[i]].acknowledged += fate == FATE_COMMITTED ? 1 : 0;
        counters[which[i]].possible -= fate == FATE_ABORTED ? 1 : 0;
    }
    return a;
}

SUSPENDS static void counter_work_wait(uint32_t number)
{
    (void)number;
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL)
        a = counter_step_wait(c);
}

SUSPENDS static void counter_verify_wait(struct client *c)
{
    verify_query_wait(c, "SELECT v FROM counters ORDER BY id");
    SIM_CHECK(client_rows(c) == COUNTERS, "%u counters", client_rows(c));
    for (uint32_t n = 0; n < COUNTERS; n++) {
        struct counter *k = &counters[n];
        int64_t v = client_int(c, n, 0);
        SIM_CHECK(v >= k->acknowledged && v <= k->possible,
                  "counter %u is %lld; %u were acknowledged, %u can be", n, (long long)v,
                  k->acknowledged, k->possible);
        if (run->is_life_start)
            k->acknowledged = k->possible = (uint32_t)v;
    }
}

const struct workload counter_workload = {
    .name = "counter",
    .share = 2,
    .start = counter_start,
    .set_up_wait = counter_set_up_wait,
    .work_wait = counter_work_wait,
    .verify_wait = counter_verify_wait,
};

/* ---- pairs ---- */

enum { PAIRS = 2, PREPARED_SHARE_MAX = 6 };

static struct pair_model {
    uint32_t prepared; /* how many had PREPARE TRANSACTION sent */
    uint32_t open;     /* about so many are there now */
    bool is_used;      /* in this life there was one, or one has come into it */
} * pairs;

static void pair_start(void)
{
    pairs = io_sim_alloc(sizeof(*pairs));
}

/* The rows of the first ones are always there; those of the others come and go. */
SUSPENDS static enum answer pair_set_up_wait(struct client *c)
{
    enum answer a =
        client_query_wait(c, "CREATE TABLE pairs (id int PRIMARY KEY, taken int NOT NULL)");
    if (a == DONE)
        a = client_query_wait(c, "INSERT INTO pairs SELECT i, 0 FROM generate_series(0, %d) i",
                              PAIRS * 2 - 1);
    if (a == DONE)
        a = client_query_wait(c, "CREATE TABLE places (p int, side int, PRIMARY KEY (p, side))");
    if (a == DONE)
        a = client_query_wait(c, "CREATE INDEX places_p ON places (p)");
    return a;
}

/* Or all would soon wait for what is prepared. */
static const char *impatience(void)
{
    return sim_below(4) != 0 ? "SET LOCAL lock_timeout = 1; " : "";
}

/* Reads both, writes one. */
SUSPENDS static enum answer pair_rows_wait(struct client *c, uint32_t p)
{
    enum answer a =
        sim_below(2) == 0
            ? client_query_wait(c, "%sSELECT id, taken FROM pairs WHERE id BETWEEN %u AND %u",
                                impatience(), p * 2, p * 2 + 1)
            : client_query_wait(c, "%sSELECT id, taken FROM pairs WHERE id = %u OR id = %u",
                                impatience(), p * 2, p * 2 + 1);
    if (a != DONE)
        return a;
    SIM_CHECK(client_rows(c) == 2, "pair %u: %u rows", p, client_rows(c));
    uint32_t sum = 0;
    int64_t id = p * 2 + sim_below(2);
    for (uint32_t i = 0; i < 2; i++) {
        sum += (uint32_t)client_int(c, i, 1);
        if (client_int(c, i, 1) != 0)
            id = client_int(c, i, 0);
    }
    SIM_CHECK(sum <= 1, "both rows of pair %u are taken", p);
    return client_query_wait(c, "UPDATE pairs SET taken = %u WHERE id = %lld", 1 - sum,
                             (long long)id);
}

SUSPENDS static enum answer pair_places_wait(struct client *c, uint32_t p)
{
    enum answer a = client_query_wait(c, "%sSELECT side FROM places WHERE p = %u", impatience(), p);
    if (a != DONE)
        return a;
    SIM_CHECK(client_rows(c) <= 1, "both places of pair %u are taken", p);
    if (client_rows(c) == 0)
        return client_query_wait(c, "INSERT INTO places VALUES (%u, %u)", p, sim_below(2));
    return client_query_wait(c, "DELETE FROM places WHERE p = %u AND side = %lld", p,
                             (long long)client_int(c, 0, 0));
}

SUSPENDS static enum answer pair_prepare_wait(struct client *c)
{
    pairs->open++;
    pairs->is_used = true;
    enum answer a = client_query_wait(c, "PREPARE TRANSACTION 'pair %u'", pairs->prepared++);
    if (a == FAILED) {
        pairs->open -= pairs->open > 0 ? 1 : 0;
        sim_expect_error(c, "PREPARE TRANSACTION");
        return client_status(c) == 'I' ? DONE : work_rollback_wait(c);
    }
    return a;
}

SUSPENDS static enum answer pair_step_wait(struct client *c)
{
    uint32_t p = sim_below(PAIRS);
    enum answer a = work_begin_wait(c, SIM_SERIALIZABLE);
    if (a == DONE)
        a = sim_below(2) == 0 ? pair_rows_wait(c, p) : pair_places_wait(c, p);
    bool is_twice = a == FAILED && strcmp(client_sqlstate(c), "23505") == 0;
    if (a == FAILED && !is_twice)
        sim_expect_error(c, "a pair");
    if (a == LOST)
        return a;
    if (a == FAILED || sim_below(16) == 0)
        return work_rollback_wait(c);
    if (pairs->open < PREPARED_SHARE_MAX && sim_below(3) == 0)
        return pair_prepare_wait(c);
    enum fate fate;
    return work_commit_wait(c, &fate);
}

SUSPENDS static enum answer pair_look_wait(struct client *c)
{
    enum answer a = client_query_wait(
        c, "SELECT id / 2 FROM pairs GROUP BY id / 2 HAVING sum(taken) > 1 UNION ALL "
           "SELECT p FROM places GROUP BY p HAVING count(*) > 1");
    if (a == FAILED)
        sim_expect_error(c, "looking at pairs");
    SIM_CHECK(a != DONE || client_rows(c) == 0, "both of pair %lld are taken",
              (long long)client_int(c, 0, 0));
    return a;
}

SUSPENDS static void pair_work_wait(uint32_t number)
{
    (void)number;
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL)
        a = sim_below(8) == 0 ? pair_look_wait(c) : pair_step_wait(c);
}

/* COMMIT PREPARED or ROLLBACK PREPARED of any that is there. Others may be at it too: those whose
 * connections were lost. */
SUSPENDS static enum answer pair_finish_wait(struct client *c)
{
    enum answer a = client_query_wait(c, "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE "
                                         "'pair%%' ORDER BY gid");
    if (a == DONE)
        pairs->open = client_rows(c);
    if (a == DONE && client_rows(c) == 0)
        return DONE;
    if (a == DONE) {
        char gid[32];
        (void)snprintf(gid, sizeof(gid), "%s", client_value(c, sim_below(client_rows(c)), 0));
        bool commits = sim_below(4) != 0;
        a = client_query_wait(c, "%s PREPARED '%s'", commits ? "COMMIT" : "ROLLBACK", gid);
        const char *state = client_sqlstate(c);
        SIM_CHECK(a != FAILED || !commits || strncmp(state, "40", 2) != 0,
                  "what was prepared cannot be committed: %s %s", state, client_message(c));
        if (a == FAILED && (strcmp(state, "42704") == 0 || strcmp(state, "55000") == 0))
            return DONE;
        pairs->open -= a == DONE && pairs->open > 0 ? 1 : 0;
    }
    if (a == FAILED)
        sim_expect_error(c, "finishing a prepared transaction");
    return a;
}

/* Others wait for the locks of what is prepared. At the end of the last life nothing is left. */
SUSPENDS static void pair_keep_wait(void)
{
    struct client *c = NULL;
    while (!controller_workers_are_gone() || (run->life.is_last && pairs->open != 0)) {
        ERR_IGNORE(fiber_sleep_wait(1000 + sim_below(20000)));
        if (!pairs->is_used)
            continue;
        if (c == NULL)
            c = client_open_wait();
        if (c != NULL && pair_finish_wait(c) == LOST) {
            client_break(c);
            c = NULL;
        }
    }
    client_close_wait(c);
}

SUSPENDS static void pair_verify_itself_wait(struct client *c)
{
    verify_query_wait(c, "SELECT id / 2 FROM pairs GROUP BY id / 2 HAVING sum(taken) > 1 UNION ALL "
                         "SELECT p FROM places GROUP BY p HAVING count(*) > 1");
    SIM_CHECK(client_rows(c) == 0, "both of pair %lld are taken", (long long)client_int(c, 0, 0));
}

SUSPENDS static void pair_verify_wait(struct client *c)
{
    pair_verify_itself_wait(c);
    verify_query_wait(c, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'pair%%'");
    if (!run->is_life_start)
        return;
    pairs->open = (uint32_t)client_int(c, 0, 0);
    pairs->is_used = pairs->open != 0;
}

const struct workload pair_workload = {
    .name = "pair",
    .share = 4,
    .start = pair_start,
    .set_up_wait = pair_set_up_wait,
    .work_wait = pair_work_wait,
    .keep_wait = pair_keep_wait,
    .verify_wait = pair_verify_wait,
    .verify_itself_wait = pair_verify_itself_wait,
};
