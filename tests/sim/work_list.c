/*
 * Transactions that append to lists and read lists, at each isolation level; history.c knows what
 * they may see.
 */
#include "tests/sim/history.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEYS_AT_A_TIME = 8,
    ELEMENTS_PER_WINDOW = KEYS_AT_A_TIME * 150,
    /* Lists that most probably nobody has begun. */
    YOUNG_KEY_FIRST = HISTORY_KEYS_MAX / 2,
    YOUNG_KEYS_AT_A_TIME = 3,
    YOUNG_ELEMENTS = 6,
};

static struct list_model {
    struct history *history;
    uint32_t appended;
} * lists;

static void start(void)
{
    lists = io_sim_alloc(sizeof(*lists));
    lists->history = history_new();
}

SUSPENDS static enum answer set_up_wait(struct client *c)
{
    return client_query_wait(c, "CREATE TABLE lists (k int PRIMARY KEY, v text NOT NULL)");
}

/* Numbers with commas between them. */
static uint32_t list_parse(const char *text, uint32_t *out)
{
    uint32_t count = 0;
    while (text != NULL && *text != '\0') {
        SIM_CHECK(count < HISTORY_LIST_MAX, "a list is too long");
        char *end;
        out[count++] = (uint32_t)strtoul(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
        SIM_CHECK(*end == ',' || *end == '\0', "a list holds '%c'", *end);
    }
    return count;
}

static uint32_t window_first(void)
{
    return lists->appended / ELEMENTS_PER_WINDOW * KEYS_AT_A_TIME;
}

static uint32_t young_first(void)
{
    return YOUNG_KEY_FIRST + lists->appended / YOUNG_ELEMENTS;
}

static uint32_t draw_key(bool is_young)
{
    if (is_young && young_first() + YOUNG_KEYS_AT_A_TIME + 4 < HISTORY_KEYS_MAX)
        return young_first() + sim_below(YOUNG_KEYS_AT_A_TIME);
    return window_first() + sim_below(KEYS_AT_A_TIME);
}

static bool is_there_already(const struct client *c)
{
    return strcmp(client_sqlstate(c), "23505") == 0;
}

enum append_how { APPEND_ANYHOW, APPEND_INSERT };

SUSPENDS static enum answer append_wait(struct client *c, uint32_t txn, uint32_t *list,
                                        enum append_how only)
{
    uint32_t key = draw_key(only == APPEND_INSERT || sim_below(8) == 0);
    uint32_t element = history_element(lists->history, txn, key);
    uint64_t sent_us = io_sim_now_us();
    enum answer a;
    uint32_t how = sim_below(8);
    if (only == APPEND_INSERT || how == 0) {
        a = client_query_wait(c, "INSERT INTO lists VALUES (%u, '%u') RETURNING v", key, element);
        if (a == FAILED && is_there_already(c))
            history_present(lists->history, txn, key, sent_us);
    } else if (how < 3) {
        a = client_query_wait(c, "UPDATE lists SET v = v || ',%u' WHERE k = %u RETURNING v",
                              element, key);
        if (a == DONE && client_rows(c) == 0) { /* there is no such list yet */
            history_read(lists->history, txn, key, list, 0, sent_us);
            return DONE;
        }
    } else {
        a = client_query_wait(c,
                              "INSERT INTO lists VALUES (%u, '%u') ON CONFLICT (k) DO UPDATE SET v "
                              "= lists.v || ',' || excluded.v RETURNING v",
                              key, element);
    }
    if (a != DONE)
        return a;
    lists->appended++;
    history_statement(lists->history, txn, sent_us);
    history_appended(lists->history, txn, element);
    uint32_t count = list_parse(client_value(c, 0, 0), list);
    history_read(lists->history, txn, key, list, count, sent_us);
    return DONE;
}

SUSPENDS static enum answer read_wait(struct client *c, uint32_t txn, uint32_t *list)
{
    uint32_t key = draw_key(sim_below(8) == 0);
    uint64_t sent_us = io_sim_now_us();
    uint32_t last = key + (sim_below(2) == 0 ? 2 : 0);
    enum answer a =
        last == key
            ? client_query_wait(c, "SELECT k, v FROM lists WHERE k = %u", key)
            : client_query_wait(c, "SELECT k, v FROM lists WHERE k BETWEEN %u AND %u ORDER BY k",
                                key, last);
    if (a != DONE)
        return a;
    uint32_t at = 0;
    for (uint32_t k = key; k <= last; k++) { /* a list that is missing was read too */
        bool is_there = at < client_rows(c) && client_int(c, at, 0) == k;
        uint32_t count = is_there ? list_parse(client_value(c, at, 1), list) : 0;
        history_read(lists->history, txn, k, list, count, sent_us);
        at += is_there ? 1 : 0;
    }
    SIM_CHECK(at == client_rows(c), "lists %u to %u: %u rows", key, last, client_rows(c));
    return DONE;
}

SUSPENDS static enum answer back_to_wait(struct client *c, uint32_t txn, uint32_t mark)
{
    enum answer a = client_query_wait(c, "ROLLBACK TO s");
    if (a == DONE)
        history_back_to(lists->history, txn, mark);
    return a;
}

/* Tries to begin a list, and takes it back: whether it was there is all that stays. */
SUSPENDS static enum answer try_wait(struct client *c, uint32_t txn, uint32_t *list)
{
    uint32_t mark = history_mark(lists->history, txn);
    enum answer a = client_query_wait(c, "SAVEPOINT s");
    if (a == DONE)
        a = append_wait(c, txn, list, APPEND_INSERT);
    if (a == DONE || (a == FAILED && is_there_already(c)))
        a = back_to_wait(c, txn, mark);
    return a == DONE ? client_query_wait(c, "RELEASE s") : a;
}

SUSPENDS static enum answer steps_wait(struct client *c, uint32_t txn, uint32_t *list)
{
    uint32_t steps = 1 + sim_below(5);
    enum answer a = DONE;
    bool has_savepoint = false;
    uint32_t mark = 0;
    for (uint32_t i = 0; i < steps && a == DONE; i++) {
        if (!has_savepoint && sim_below(8) == 0) {
            a = client_query_wait(c, "SAVEPOINT s");
            has_savepoint = a == DONE;
            mark = history_mark(lists->history, txn);
        } else if (has_savepoint && sim_below(4) == 0) {
            a = back_to_wait(c, txn, mark);
        }
        if (a == DONE && sim_below(6) == 0)
            a = try_wait(c, txn, list);
        if (a == DONE)
            a = sim_below(2) == 0 ? append_wait(c, txn, list, APPEND_ANYHOW)
                                  : read_wait(c, txn, list);
        if (a == FAILED && has_savepoint && is_there_already(c))
            a = back_to_wait(c, txn, mark);
    }
    return a;
}

SUSPENDS static enum answer transaction_wait(struct client *c, uint32_t *list)
{
    struct history *h = lists->history;
    if (history_is_full(h) || window_first() + KEYS_AT_A_TIME + 4 >= YOUNG_KEY_FIRST) {
        ERR_IGNORE(fiber_sleep_wait(1000));
        return DONE;
    }
    enum sim_isolation level = (enum sim_isolation)sim_below(3);
    uint32_t txn = history_begin(h, level);
    enum answer a = work_begin_wait(c, level);
    if (a == DONE)
        a = steps_wait(c, txn, list);
    if (a == FAILED && !is_there_already(c))
        sim_expect_error(c, "a list");
    if (a != DONE || sim_below(12) == 0) {
        history_ended(h, txn, FATE_ABORTED);
        return a == LOST ? a : work_rollback_wait(c);
    }
    enum fate fate;
    history_commit_sent(h, txn);
    a = work_commit_wait(c, &fate);
    history_ended(h, txn, fate);
    return a;
}

SUSPENDS static void work_wait(uint32_t number)
{
    (void)number;
    uint32_t *list = calloc(HISTORY_LIST_MAX, sizeof(*list));
    ASSERT(list != NULL);
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL)
        a = transaction_wait(c, list);
    free(list);
}

SUSPENDS static void verify_wait(struct client *c)
{
    uint32_t *list = calloc(HISTORY_LIST_MAX, sizeof(*list));
    ASSERT(list != NULL);
    verify_query_wait(c, "SELECT k, v FROM lists ORDER BY k");
    uint32_t at = 0;
    uint32_t keys = history_key_count(lists->history);
    for (uint32_t k = 0; k < keys; k++) {
        bool is_there = at < client_rows(c) && client_int(c, at, 0) == k;
        uint32_t count = is_there ? list_parse(client_value(c, at, 1), list) : 0;
        history_final(lists->history, k, list, count, run->is_life_start);
        at += is_there ? 1 : 0;
    }
    SIM_CHECK(at == client_rows(c), "there are lists that nobody began");
    history_check(lists->history);
    free(list);
}

const struct workload list_workload = {
    .name = "list",
    .share = 3,
    .start = start,
    .set_up_wait = set_up_wait,
    .work_wait = work_wait,
    .verify_wait = verify_wait,
};
