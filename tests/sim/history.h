/*
 * The history of a list-append workload and what each isolation level promises about it.
 *
 * Every key holds a list; a transaction appends elements, each used once, and reads lists. So the
 * order of a key's versions is known from any long enough read, and from it who came before whom.
 */
#ifndef TESTS_SIM_HISTORY_H
#define TESTS_SIM_HISTORY_H

#include "tests/sim/sim.h"

enum {
    HISTORY_TXNS_MAX = 40000,
    HISTORY_OPS_MAX = 160000,
    HISTORY_KEYS_MAX = 4000,
    HISTORY_LIST_MAX = 600,
    HISTORY_PRESENT_MAX = 20000,
};

struct history;
struct history *history_new(void);
bool history_is_full(const struct history *h);

uint32_t history_begin(struct history *h, enum sim_isolation level);
/* An element for this key of this transaction. Before the statement is sent. */
uint32_t history_element(struct history *h, uint32_t txn, uint32_t key);
/* The element was appended: the statement succeeded. */
void history_appended(struct history *h, uint32_t txn, uint32_t element);
/* Took back what was appended since mark (number of own elements then). */
uint32_t history_mark(const struct history *h, uint32_t txn);
void history_back_to(struct history *h, uint32_t txn, uint32_t mark);
/* A statement that was done: the first one takes the snapshot of a repeatable read. */
void history_statement(struct history *h, uint32_t txn, uint64_t sent_us);
/* The transaction read this list; sent_us: when the statement was sent. */
void history_read(struct history *h, uint32_t txn, uint32_t key, const uint32_t *list,
                  uint32_t count, uint64_t sent_us);
/* The transaction learned that others have begun the list, and no more of it. */
void history_present(struct history *h, uint32_t txn, uint32_t key, uint64_t sent_us);
void history_commit_sent(struct history *h, uint32_t txn);
void history_ended(struct history *h, uint32_t txn, enum fate fate);

/* A list as it is when nobody works. is_final: what is not in it will never be. */
void history_final(struct history *h, uint32_t key, const uint32_t *list, uint32_t count,
                   bool is_final);
uint32_t history_key_count(const struct history *h);
/* Fails the run when a promise was broken. */
void history_check(struct history *h);

#endif
