/*
 * Transfers between accounts on all shards, each with a row that tells of it. In every snapshot the
 * sum is the same, and each balance is what the transfers of that snapshot make it. What was
 * acknowledged is seen by whoever begins afterwards, on any core, and after every restart.
 *
 * Some transfers are prepared and finished by another session, perhaps in a later life. One whose
 * PREPARE was acknowledged is there, with its locks, until somebody finishes it: by COMMIT PREPARED
 * whole, by ROLLBACK PREPARED not at all, and never both seen and prepared.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

enum {
    ACCOUNTS = 24,
    FIRST_BALANCE = 1000,
    TRANSFERS_MAX = 30000,
    OPEN_MAX = 12, /* or nearly all accounts would be locked */
};

struct transfer {
    uint8_t from;
    uint8_t to;
    uint8_t fate; /* enum fate; of one that is prepared: aborted, until COMMIT PREPARED is sent */
    int16_t amount;
};

/* A transfer with PREPARE TRANSACTION sent, until its end is known. */
struct prepared {
    uint32_t transfer;
    bool is_acknowledged;
    bool is_listed; /* while verifying */
    bool is_busy;   /* somebody waits for an answer about it */
    enum { ASKED_NOTHING, ASKED_COMMIT, ASKED_ROLLBACK } asked; /* without an answer */
};

static struct bank {
    uint32_t count;
    uint32_t acknowledged;
    uint32_t possible; /* acknowledged or unknown */
    uint32_t witnesses;
    uint32_t open_count;
    struct prepared open[OPEN_MAX];
    struct transfer transfers[TRANSFERS_MAX];
} * bank;

static void start(void)
{
    bank = io_sim_alloc(sizeof(*bank));
}

SUSPENDS static enum answer set_up_wait(struct client *c)
{
    enum answer a = client_query_wait(
        c, "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL, note text)");
    if (a == DONE)
        a = client_query_wait(c, "CREATE TABLE transfers (id int PRIMARY KEY, a int, b int, "
                                 "amount int)");
    if (a == DONE)
        a = client_query_wait(c, "CREATE TABLE witnesses (id int PRIMARY KEY, transfer int)");
    if (a == DONE)
        a = client_query_wait(c,
                              "INSERT INTO accounts SELECT i, %d, 'account ' || i FROM "
                              "generate_series(0, %d) i",
                              FIRST_BALANCE, ACCOUNTS - 1);
    return a;
}

/* ---- work ---- */

SUSPENDS static enum answer move_wait(struct client *c, uint32_t id, const struct transfer *t)
{
    char numbers[4][16];
    (void)snprintf(numbers[0], 16, "%u", id);
    (void)snprintf(numbers[1], 16, "%u", t->from);
    (void)snprintf(numbers[2], 16, "%u", t->to);
    (void)snprintf(numbers[3], 16, "%d", t->amount);
    enum answer a;
    if (sim_below(2) == 0)
        a = client_query_wait(c, "UPDATE accounts SET balance = balance - %d WHERE id = %u",
                              t->amount, t->from);
    else
        a = client_execute_wait(c, "minus",
                                "UPDATE accounts SET balance = balance - $1 WHERE id = $2",
                                numbers[3], numbers[1], NULL);
    if (a == DONE && strcmp(client_tag(c), "UPDATE 1") != 0)
        sim_fail("account %u: %s", t->from, client_tag(c));
    if (a == DONE)
        a = client_execute_wait(c, "plus",
                                "UPDATE accounts SET balance = balance + $1 WHERE id = $2",
                                numbers[3], numbers[2], NULL);
    if (a == DONE)
        a = client_execute_wait(c, "note", "INSERT INTO transfers VALUES ($1, $2, $3, $4)",
                                numbers[0], numbers[1], numbers[2], numbers[3], NULL);
    return a;
}

static void fate_told(struct transfer *t, enum fate fate)
{
    t->fate = (uint8_t)fate;
    bank->acknowledged += fate == FATE_COMMITTED ? 1 : 0;
    bank->possible -= fate == FATE_ABORTED ? 1 : 0;
}

/* ---- prepared transfers ---- */

static struct prepared *open_of(uint32_t transfer)
{
    for (uint32_t i = 0; i < bank->open_count; i++)
        if (bank->open[i].transfer == transfer)
            return &bank->open[i];
    return NULL;
}

static void open_end(struct prepared *p)
{
    *p = bank->open[--bank->open_count];
}

SUSPENDS static enum answer prepare_wait(struct client *c, uint32_t id)
{
    bank->open[bank->open_count++] = (struct prepared){.transfer = id, .is_busy = true};
    enum answer a = client_query_wait(c, "PREPARE TRANSACTION 't%u'", id);
    struct prepared *p = open_of(id);
    SIM_CHECK(p != NULL, "transfer %u was finished before it was prepared", id);
    p->is_busy = false;
    if (a == FAILED) {
        open_end(p);
        sim_expect_error(c, "PREPARE TRANSACTION");
        return client_status(c) == 'I' ? DONE : work_rollback_wait(c);
    }
    if (a == DONE) {
        SIM_CHECK(strcmp(client_tag(c), "PREPARE TRANSACTION") == 0, "PREPARE TRANSACTION: %s",
                  client_tag(c));
        p->is_acknowledged = true;
    }
    return a;
}

/* There is no such prepared transaction any more, or not yet. Returns whether its end is known. */
static bool is_gone(const struct prepared *p)
{
    if (!p->is_acknowledged) /* its PREPARE may still be on its way */
        return false;
    SIM_CHECK(p->asked != ASKED_NOTHING, "the prepared transfer %u is lost", p->transfer);
    if (p->asked == ASKED_COMMIT)
        fate_told(&bank->transfers[p->transfer], FATE_COMMITTED);
    return true;
}

/* COMMIT PREPARED or ROLLBACK PREPARED of any. What was sent without an answer is sent again. */
SUSPENDS static enum answer finish_wait(struct client *c)
{
    if (bank->open_count == 0)
        return DONE;
    struct prepared *p = &bank->open[sim_below(bank->open_count)];
    if (p->is_busy)
        return DONE;
    uint32_t id = p->transfer;
    struct transfer *t = &bank->transfers[id];
    bool is_first = p->asked == ASKED_NOTHING;
    if (is_first)
        p->asked = sim_below(3) != 0 ? ASKED_COMMIT : ASKED_ROLLBACK;
    bool commit = p->asked == ASKED_COMMIT;
    if (is_first && commit) {
        t->fate = FATE_UNKNOWN;
        bank->possible++;
    }
    p->is_busy = true;
    enum answer a = client_query_wait(c, "%s PREPARED 't%u'", commit ? "COMMIT" : "ROLLBACK", id);
    p = open_of(id);
    SIM_CHECK(p != NULL, "transfer %u was finished by somebody else", id);
    p->is_busy = false;
    const char *state = client_sqlstate(c);
    if (a == DONE) {
        if (commit)
            fate_told(t, FATE_COMMITTED);
        run->commits++;
        open_end(p);
    } else if (a == FAILED && strcmp(state, "42704") == 0) {
        if (is_first)
            p->asked = ASKED_NOTHING;
        if (is_gone(p))
            open_end(p);
        else if (is_first && commit)
            fate_told(t, FATE_ABORTED);
    } else if (a == FAILED) {
        /* An attempt whose answer was lost may still be at work. */
        if (is_first || strcmp(state, "55000") != 0)
            sim_expect_error(c, "finishing a prepared transfer");
        if (is_first)
            p->asked = ASKED_NOTHING;
        if (is_first && commit)
            fate_told(t, FATE_ABORTED);
    } else {
        run->unknown_commits++;
    }
    return a == LOST ? LOST : DONE;
}

/* Others wait for the locks of what is prepared, so somebody has to finish it all the time. At the
 * end of the last life nothing is left. */
SUSPENDS static void keep_wait(void)
{
    struct client *c = NULL;
    while (!controller_workers_are_gone() || (run->life.is_last && bank->open_count != 0)) {
        ERR_IGNORE(fiber_sleep_wait(1000 + sim_below(40000)));
        if (bank->open_count == 0)
            continue;
        if (c == NULL)
            c = client_open_wait();
        if (c == NULL)
            continue;
        enum answer a = finish_wait(c);
        if (a == LOST || sim_below(10) == 0) {
            client_break(c);
            c = NULL;
        }
    }
    client_close_wait(c);
}

/* ---- transfers ---- */

/* A thousand clients would do nothing but wait for each other's deadlocks to be found, so those of
 * a crowd lock in one order. */
SUSPENDS static enum answer transfer_wait(struct client *c, bool in_order)
{
    if (bank->count == TRANSFERS_MAX) {
        ERR_IGNORE(fiber_sleep_wait(1000));
        return DONE;
    }
    uint32_t id = bank->count++;
    struct transfer *t = &bank->transfers[id];
    *t = (struct transfer){.from = (uint8_t)sim_below(ACCOUNTS),
                           .to = (uint8_t)sim_below(ACCOUNTS),
                           .amount = (int16_t)(1 + sim_below(100)),
                           .fate = FATE_ABORTED};
    if (in_order && t->from > t->to) {
        uint8_t other = t->from;
        t->from = t->to;
        t->to = other;
    }
    bool prepares = !in_order && bank->open_count < OPEN_MAX && sim_below(6) == 0;
    enum answer a = work_begin_wait(c, (enum sim_isolation)sim_below(prepares ? 2 : 3));
    if (a == DONE)
        a = move_wait(c, id, t);
    if (a == FAILED) {
        sim_expect_error(c, "a transfer");
        return work_rollback_wait(c);
    }
    if (a == LOST)
        return a;
    if (sim_below(10) == 0)
        return work_rollback_wait(c);
    if (prepares && bank->open_count < OPEN_MAX)
        return prepare_wait(c, id);
    t->fate = FATE_UNKNOWN;
    bank->possible++;
    enum fate fate;
    a = work_commit_wait(c, &fate);
    fate_told(t, fate);
    return a;
}

/* Reads on all shards and writes on some, in one statement: its rows must not outlive what they
 * saw.
 */
SUSPENDS static enum answer witness_wait(struct client *c)
{
    uint32_t id = bank->witnesses;
    bank->witnesses += 3;
    enum fate fate;
    enum answer a = WORK_SINGLE(
        &fate, client_query_wait(c,
                                 "INSERT INTO witnesses SELECT %u + row_number() OVER (), id FROM "
                                 "(SELECT id FROM transfers ORDER BY id DESC LIMIT 3) t",
                                 id));
    if (a == FAILED)
        sim_expect_error(c, "a witness");
    return a;
}

/* Sum of the balances in the answer; the model's or a snapshot's rows are compared elsewhere. */
SUSPENDS static enum answer look_wait(struct client *c)
{
    uint32_t least = bank->acknowledged;
    bool is_repeatable = sim_below(2) == 0;
    enum answer a = DONE;
    if (is_repeatable)
        a = work_begin_wait(c, SIM_REPEATABLE_READ);
    if (a == DONE)
        a = client_query_wait(c, "SELECT sum(balance), count(*) FROM accounts");
    if (a == DONE) {
        SIM_CHECK(client_int(c, 0, 1) == ACCOUNTS, "%lld accounts", (long long)client_int(c, 0, 1));
        SIM_CHECK(client_int(c, 0, 0) == ACCOUNTS * FIRST_BALANCE,
                  "the sum of all balances is %lld", (long long)client_int(c, 0, 0));
    }
    if (a == DONE && is_repeatable && sim_below(3) == 0) /* old versions have to be kept for it */
        ERR_IGNORE(fiber_sleep_wait(sim_below(40000)));
    if (a == DONE)
        a = client_query_wait(c, "SELECT count(*), (SELECT sum(balance) FROM accounts) "
                                 "FROM transfers");
    if (a == DONE) {
        SIM_CHECK(client_int(c, 0, 1) == ACCOUNTS * FIRST_BALANCE,
                  "the sum of all balances is %lld later", (long long)client_int(c, 0, 1));
        int64_t count = client_int(c, 0, 0);
        SIM_CHECK(count >= least, "%lld transfers are seen, %u were acknowledged before",
                  (long long)count, least);
        SIM_CHECK(count <= bank->possible, "%lld transfers are seen, only %u can be",
                  (long long)count, bank->possible);
    }
    if (a == FAILED)
        sim_expect_error(c, "looking at accounts");
    if (is_repeatable && a != LOST)
        a = work_rollback_wait(c);
    return a;
}

SUSPENDS static void work_wait(uint32_t number)
{
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL) {
        if (number % 4 == 3 || sim_below(8) == 0)
            a = look_wait(c);
        else if (sim_below(6) == 0)
            a = witness_wait(c);
        else if (sim_below(12) == 0)
            a = finish_wait(c);
        else
            a = transfer_wait(c, number >= WORKERS_MAX);
    }
}

/* ---- verification ---- */

static void verify_listed(struct client *c)
{
    for (uint32_t i = 0; i < bank->open_count; i++)
        bank->open[i].is_listed = false;
    for (uint32_t row = 0; row < client_rows(c); row++) {
        struct prepared *p = open_of((uint32_t)strtoul(client_value(c, row, 0) + 1, NULL, 10));
        SIM_CHECK(p != NULL, "the prepared transfer %s was finished and is there",
                  client_value(c, row, 0));
        p->is_listed = true;
    }
    for (uint32_t i = 0; i < bank->open_count; i++) {
        const struct prepared *p = &bank->open[i];
        SIM_CHECK(p->is_listed || !p->is_acknowledged || p->asked != ASKED_NOTHING,
                  "transfer %u was prepared, and is not any more", p->transfer);
    }
}

/* After the transfers were looked at: whoever is not prepared has ended as its fate says. */
static void verify_open(void)
{
    for (uint32_t i = bank->open_count; i-- > 0;) {
        struct prepared *p = &bank->open[i];
        bool is_there = bank->transfers[p->transfer].fate == FATE_COMMITTED;
        SIM_CHECK(!is_there || !p->is_listed, "transfer %u is there and prepared", p->transfer);
        SIM_CHECK(is_there || p->is_listed || !p->is_acknowledged || p->asked != ASKED_COMMIT,
                  "transfer %u was prepared, then committed or not, and is lost", p->transfer);
        p->is_acknowledged = true;
        p->is_busy = false;
        p->asked = ASKED_NOTHING;
        if (!p->is_listed)
            open_end(p);
    }
}

/* What is prepared has its locks. */
SUSPENDS static void verify_locks_wait(struct client *c)
{
    for (uint32_t i = 0; i < bank->open_count; i++) {
        const struct transfer *t = &bank->transfers[bank->open[i].transfer];
        enum answer a =
            client_query_wait(c, "SELECT balance FROM accounts WHERE id = %u FOR UPDATE NOWAIT",
                              sim_below(2) == 0 ? t->from : t->to);
        SIM_CHECK(a == FAILED && strcmp(client_sqlstate(c), "55P03") == 0,
                  "the prepared transfer %u does not lock its accounts (%s)",
                  bank->open[i].transfer, a == FAILED ? client_sqlstate(c) : "no error");
    }
}

SUSPENDS static void verify_transfers_wait(struct client *c, int64_t *balances)
{
    verify_query_wait(c, "SELECT id, a, b, amount FROM transfers ORDER BY id");
    uint32_t row = 0;
    for (uint32_t id = 0; id < bank->count; id++) {
        struct transfer *t = &bank->transfers[id];
        bool is_there = row < client_rows(c) && client_int(c, row, 0) == id;
        SIM_CHECK(!is_there || t->fate != FATE_ABORTED,
                  "transfer %u was not committed but is there", id);
        SIM_CHECK(is_there || t->fate != FATE_COMMITTED, "transfer %u was acknowledged and is lost",
                  id);
        if (t->fate == FATE_UNKNOWN && (is_there || run->is_life_start))
            fate_told(t, is_there ? FATE_COMMITTED : FATE_ABORTED);
        if (!is_there)
            continue;
        SIM_CHECK(client_int(c, row, 1) == t->from && client_int(c, row, 2) == t->to &&
                      client_int(c, row, 3) == t->amount,
                  "transfer %u has other values", id);
        balances[t->from] -= t->amount;
        balances[t->to] += t->amount;
        row++;
    }
    SIM_CHECK(row == client_rows(c), "transfers holds %u rows, %u are known", client_rows(c), row);
}

SUSPENDS static void verify_witnesses_wait(struct client *c)
{
    verify_query_wait(c, "SELECT transfer FROM witnesses w WHERE NOT EXISTS "
                         "(SELECT 1 FROM transfers t WHERE t.id = w.transfer)");
    SIM_CHECK(client_rows(c) == 0,
              "transfer %lld was seen by a statement that is there, and is lost",
              (long long)client_int(c, 0, 0));
}

SUSPENDS static void verify_wait(struct client *c)
{
    int64_t balances[ACCOUNTS];
    for (uint32_t i = 0; i < ACCOUNTS; i++)
        balances[i] = FIRST_BALANCE;
    verify_query_wait(c, "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 't%%'");
    verify_listed(c);
    verify_transfers_wait(c, balances);
    if (run->is_life_start) {
        verify_open();
        if (!run->life.is_rotten)
            verify_locks_wait(c);
    }
    SIM_CHECK(run->is_life_start || !run->life.is_last || bank->open_count == 0,
              "%u transfers are still prepared", bank->open_count);
    verify_witnesses_wait(c);
    verify_query_wait(c, "SELECT id, balance FROM accounts ORDER BY id");
    SIM_CHECK(client_rows(c) == ACCOUNTS, "%u accounts", client_rows(c));
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        SIM_CHECK(client_int(c, i, 0) == i, "account %u is missing", i);
        SIM_CHECK(client_int(c, i, 1) == balances[i], "account %u holds %lld, not %lld", i,
                  (long long)client_int(c, i, 1), (long long)balances[i]);
    }
}

/* Whatever transfers are there, the balances are theirs. */
SUSPENDS static void verify_itself_wait(struct client *c)
{
    verify_witnesses_wait(c);
    verify_query_wait(c, "SELECT gid FROM pg_prepared_xacts WHERE gid IN "
                         "(SELECT 't' || id FROM transfers)");
    SIM_CHECK(client_rows(c) == 0, "transfer %s is there and prepared", client_value(c, 0, 0));
    verify_query_wait(c,
                      "SELECT a.id FROM accounts a WHERE balance <> %d "
                      "+ coalesce((SELECT sum(amount) FROM transfers WHERE b = a.id), 0) "
                      "- coalesce((SELECT sum(amount) FROM transfers t WHERE t.a = a.id), 0)",
                      FIRST_BALANCE);
    SIM_CHECK(client_rows(c) == 0, "account %lld does not hold what its transfers make it",
              (long long)client_int(c, 0, 0));
    verify_query_wait(c, "SELECT sum(balance), count(*) FROM accounts");
    SIM_CHECK(client_int(c, 0, 0) == ACCOUNTS * FIRST_BALANCE && client_int(c, 0, 1) == ACCOUNTS,
              "the sum of %lld balances is %lld", (long long)client_int(c, 0, 1),
              (long long)client_int(c, 0, 0));
}

const struct workload bank_workload = {
    .name = "bank",
    .share = 3,
    .start = start,
    .set_up_wait = set_up_wait,
    .work_wait = work_wait,
    .keep_wait = keep_wait,
    .verify_wait = verify_wait,
    .verify_itself_wait = verify_itself_wait,
    .is_for_crowds = true,
};
