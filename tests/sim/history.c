/*
 * The checker of list-append histories, after the ideas of Elle (Kingsbury, Alvaro), much smaller,
 * since it may stop the run at the first doubt and knows real time.
 *
 * At once, with each read: only elements whose commit has been sent (no dirty reads), in the order
 * known before, own elements last and all of them; under repeatable read the same list every time.
 * history_check(): with the edges
 *   ww  appended next to each other      wr  read what the other appended last
 *   rw  read what the other then appended to
 * no cycle of ww and wr at any level; no cycle with one rw of a repeatable read or serializable
 * transaction; no cycle at all among serializable ones; and who began after an acknowledgement has
 * seen it. That a list has been begun, which an INSERT says that fails, is known of the moment and
 * not by the snapshot: it counts among serializable ones.
 */
#include "tests/sim/history.h"

#include <stdlib.h>

struct txn {
    uint8_t level;
    uint8_t fate;
    bool commit_sent;
    uint32_t first_element; /* own elements, chained */
    uint32_t element_count;
    uint64_t begin_us; /* when the first statement was sent; 0 = none yet */
    uint64_t ack_us;   /* UINT64_MAX until acknowledged */
};

struct element {
    uint32_t txn;
    uint32_t key;
    uint32_t next_own;
    bool appended;
};

struct read {
    uint32_t txn;
    uint32_t key;
    uint32_t count; /* without own elements */
    uint64_t sent_us;
};

struct present {
    uint32_t txn;
    uint32_t key;
};

struct key {
    uint32_t count;
    uint32_t order[HISTORY_LIST_MAX];
};

struct history {
    uint32_t txn_count;
    uint32_t element_count;
    uint32_t read_count;
    uint32_t key_count;
    uint32_t present_count;
    struct txn txns[HISTORY_TXNS_MAX];
    struct element elements[HISTORY_OPS_MAX];
    struct read reads[HISTORY_OPS_MAX];
    struct key keys[HISTORY_KEYS_MAX];
    struct present present[HISTORY_PRESENT_MAX];
};

#define NO_ELEMENT UINT32_MAX

struct history *history_new(void)
{
    return io_sim_alloc(sizeof(struct history));
}

bool history_is_full(const struct history *h)
{
    return h->txn_count + 64 > HISTORY_TXNS_MAX || h->element_count + 1000 > HISTORY_OPS_MAX ||
           h->read_count + 1000 > HISTORY_OPS_MAX;
}

uint32_t history_begin(struct history *h, enum sim_isolation level)
{
    h->txns[h->txn_count] = (struct txn){.level = (uint8_t)level,
                                         .fate = FATE_UNKNOWN,
                                         .first_element = NO_ELEMENT,
                                         .ack_us = UINT64_MAX};
    return h->txn_count++;
}

uint32_t history_element(struct history *h, uint32_t txn, uint32_t key)
{
    h->key_count = MAX(h->key_count, key + 1);
    h->elements[h->element_count] = (struct element){.txn = txn, .key = key};
    return h->element_count++;
}

void history_appended(struct history *h, uint32_t txn, uint32_t element)
{
    struct txn *t = &h->txns[txn];
    h->elements[element].appended = true;
    h->elements[element].next_own = t->first_element;
    t->first_element = element;
    t->element_count++;
}

uint32_t history_mark(const struct history *h, uint32_t txn)
{
    return h->txns[txn].element_count;
}

void history_back_to(struct history *h, uint32_t txn, uint32_t mark)
{
    struct txn *t = &h->txns[txn];
    while (t->element_count > mark) {
        h->elements[t->first_element].appended = false;
        t->first_element = h->elements[t->first_element].next_own;
        t->element_count--;
    }
}

/* Own elements come last, in order, all of them. Returns the count of the others. */
static uint32_t strip_own(const struct history *h, uint32_t txn, uint32_t key, const uint32_t *list,
                          uint32_t count)
{
    for (uint32_t e = h->txns[txn].first_element; e != NO_ELEMENT; e = h->elements[e].next_own) {
        if (h->elements[e].key != key)
            continue;
        SIM_CHECK(count > 0 && list[count - 1] == e,
                  "list %u: transaction %u does not see its own element %u in its place", key, txn,
                  e);
        count--;
    }
    return count;
}

static void know(struct history *h, uint32_t reader, uint32_t key, const uint32_t *list,
                 uint32_t count)
{
    struct key *k = &h->keys[key];
    SIM_CHECK(count <= HISTORY_LIST_MAX, "list %u is too long", key);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t e = list[i];
        SIM_CHECK(e < h->element_count && h->elements[e].key == key,
                  "list %u holds %u, which was never appended to it", key, e);
        if (i < k->count) {
            SIM_CHECK(k->order[i] == e, "list %u: place %u holds %u for transaction %u, was %u",
                      key, i, e, reader, k->order[i]);
            continue;
        }
        const struct txn *t = &h->txns[h->elements[e].txn];
        SIM_CHECK(h->elements[e].appended && t->fate != FATE_ABORTED,
                  "list %u: transaction %u sees element %u, which was taken back", key, reader, e);
        SIM_CHECK(t->commit_sent, "list %u: transaction %u sees the uncommitted element %u", key,
                  reader, e);
        k->order[k->count++] = e;
    }
}

void history_statement(struct history *h, uint32_t txn, uint64_t sent_us)
{
    struct txn *t = &h->txns[txn];
    if (t->begin_us == 0)
        t->begin_us = sent_us;
}

void history_read(struct history *h, uint32_t txn, uint32_t key, const uint32_t *list,
                  uint32_t count, uint64_t sent_us)
{
    struct txn *t = &h->txns[txn];
    h->key_count = MAX(h->key_count, key + 1);
    history_statement(h, txn, sent_us);
    count = strip_own(h, txn, key, list, count);
    know(h, txn, key, list, count);
    if (t->level != SIM_READ_COMMITTED) {
        sent_us = t->begin_us;
        for (uint32_t i = h->read_count; i-- > 0 && h->read_count - i < 400;) {
            const struct read *r = &h->reads[i];
            if (r->txn == txn && r->key == key)
                SIM_CHECK(r->count == count,
                          "list %u: transaction %u (repeatable read) sees %u elements, saw %u", key,
                          txn, count, r->count);
        }
    }
    h->reads[h->read_count++] =
        (struct read){.txn = txn, .key = key, .count = count, .sent_us = sent_us};
}

void history_present(struct history *h, uint32_t txn, uint32_t key, uint64_t sent_us)
{
    history_statement(h, txn, sent_us);
    for (uint32_t e = h->txns[txn].first_element; e != NO_ELEMENT; e = h->elements[e].next_own)
        if (h->elements[e].key == key)
            return; /* perhaps by itself */
    if (h->present_count < HISTORY_PRESENT_MAX)
        h->present[h->present_count++] = (struct present){.txn = txn, .key = key};
}

void history_commit_sent(struct history *h, uint32_t txn)
{
    h->txns[txn].commit_sent = true;
}

void history_ended(struct history *h, uint32_t txn, enum fate fate)
{
    struct txn *t = &h->txns[txn];
    t->fate = (uint8_t)fate;
    if (fate == FATE_COMMITTED)
        t->ack_us = io_sim_now_us();
}

void history_final(struct history *h, uint32_t key, const uint32_t *list, uint32_t count,
                   bool is_final)
{
    struct key *k = &h->keys[key];
    SIM_CHECK(count >= k->count, "list %u holds %u elements, %u were seen before", key, count,
              k->count);
    know(h, UINT32_MAX, key, list, count);
    (void)is_final;
}

uint32_t history_key_count(const struct history *h)
{
    return h->key_count;
}

/* ---- edges ---- */

struct graph {
    uint32_t count;
    uint32_t *first; /* count + 1 */
    uint32_t *to;
    uint32_t *order; /* place in a topological order */
};

struct edge {
    uint32_t from;
    uint32_t to;
};

struct edges {
    struct edge *all;
    uint32_t count;
    uint32_t room;
};

static void edge_add(struct edges *e, uint32_t from, uint32_t to)
{
    if (from == to)
        return;
    if (e->count == e->room) {
        e->room = MAX(e->room * 2, 1024);
        e->all = realloc(e->all, e->room * sizeof(*e->all));
        ASSERT(e->all != NULL);
    }
    e->all[e->count++] = (struct edge){from, to};
}

static void collect_edges(const struct history *h, struct edges *hard, struct edges *anti)
{
    for (uint32_t n = 0; n < h->key_count; n++) {
        const struct key *k = &h->keys[n];
        for (uint32_t i = 1; i < k->count; i++)
            edge_add(hard, h->elements[k->order[i - 1]].txn, h->elements[k->order[i]].txn);
    }
    for (uint32_t i = 0; i < h->read_count; i++) {
        const struct read *r = &h->reads[i];
        const struct key *k = &h->keys[r->key];
        if (r->count > 0)
            edge_add(hard, h->elements[k->order[r->count - 1]].txn, r->txn);
        if (r->count < k->count && h->txns[r->txn].level != SIM_READ_COMMITTED)
            edge_add(anti, r->txn, h->elements[k->order[r->count]].txn);
    }
}

/* Whoever began a list came before those who were told of it. */
static void collect_present(const struct history *h, const bool *counts, struct edges *serial)
{
    for (uint32_t i = 0; i < h->present_count; i++) {
        const struct present *p = &h->present[i];
        const struct key *k = &h->keys[p->key];
        SIM_CHECK(k->count > 0, "list %u: transaction %u was told of it, and it is not there",
                  p->key, p->txn);
        uint32_t begun_by = h->elements[k->order[0]].txn;
        if (counts[begun_by] && counts[p->txn])
            edge_add(serial, begun_by, p->txn);
    }
}

static void graph_make(struct graph *g, uint32_t count, const struct edges *e)
{
    g->count = count;
    g->first = calloc((size_t)count + 2, sizeof(*g->first));
    g->to = calloc((size_t)e->count + 1, sizeof(*g->to));
    g->order = calloc((size_t)count + 1, sizeof(*g->order));
    ASSERT(g->first != NULL && g->to != NULL && g->order != NULL);
    for (uint32_t i = 0; i < e->count; i++)
        g->first[e->all[i].from + 1]++;
    for (uint32_t i = 0; i < count; i++)
        g->first[i + 1] += g->first[i];
    uint32_t *at = calloc((size_t)count + 1, sizeof(*at));
    ASSERT(at != NULL);
    memcpy(at, g->first, count * sizeof(*at));
    for (uint32_t i = 0; i < e->count; i++)
        g->to[at[e->all[i].from]++] = e->all[i].to;
    free(at);
}

static void graph_free(struct graph *g)
{
    free(g->first);
    free(g->to);
    free(g->order);
}

/* Kahn's order; UINT32_MAX when there is none, else a node on or behind a cycle. */
static uint32_t graph_sort(struct graph *g)
{
    uint32_t *degree = calloc((size_t)g->count + 1, sizeof(*degree));
    uint32_t *queue = calloc((size_t)g->count + 1, sizeof(*queue));
    ASSERT(degree != NULL && queue != NULL);
    for (uint32_t i = 0; i < g->first[g->count]; i++)
        degree[g->to[i]]++;
    uint32_t head = 0;
    uint32_t tail = 0;
    for (uint32_t i = 0; i < g->count; i++)
        if (degree[i] == 0)
            queue[tail++] = i;
    while (head < tail) {
        uint32_t n = queue[head];
        g->order[n] = head++;
        for (uint32_t i = g->first[n]; i < g->first[n + 1]; i++)
            if (--degree[g->to[i]] == 0)
                queue[tail++] = g->to[i];
    }
    uint32_t bad = UINT32_MAX;
    for (uint32_t i = 0; i < g->count && bad == UINT32_MAX; i++)
        if (degree[i] != 0)
            bad = i;
    free(degree);
    free(queue);
    return bad;
}

/* A path along the sorted graph? */
static bool graph_reaches(const struct graph *g, uint32_t from, uint32_t to)
{
    if (g->order[from] >= g->order[to])
        return from == to;
    bool *seen = calloc(g->count, sizeof(*seen));
    uint32_t *stack = calloc(g->count, sizeof(*stack));
    ASSERT(seen != NULL && stack != NULL);
    uint32_t depth = 0;
    stack[depth++] = from;
    seen[from] = true;
    while (depth > 0 && !seen[to]) {
        uint32_t n = stack[--depth];
        for (uint32_t i = g->first[n]; i < g->first[n + 1]; i++) {
            uint32_t next = g->to[i];
            if (!seen[next] && g->order[next] <= g->order[to]) {
                seen[next] = true;
                stack[depth++] = next;
            }
        }
    }
    bool found = seen[to];
    free(seen);
    free(stack);
    return found;
}

/* ---- promises ---- */

static void check_real_time(const struct history *h)
{
    for (uint32_t i = 0; i < h->read_count; i++) {
        const struct read *r = &h->reads[i];
        const struct key *k = &h->keys[r->key];
        for (uint32_t n = r->count; n < k->count; n++) {
            const struct txn *t = &h->txns[h->elements[k->order[n]].txn];
            SIM_CHECK(t->ack_us >= r->sent_us,
                      "list %u: transaction %u does not see element %u, acknowledged %.6f s before "
                      "it began",
                      r->key, r->txn, k->order[n], (double)(r->sent_us - t->ack_us) / 1e6);
        }
    }
}

static void check_acknowledged(const struct history *h)
{
    bool *found = calloc((size_t)h->element_count + 1, sizeof(*found));
    ASSERT(found != NULL);
    for (uint32_t n = 0; n < h->key_count; n++)
        for (uint32_t i = 0; i < h->keys[n].count; i++)
            found[h->keys[n].order[i]] = true;
    for (uint32_t e = 0; e < h->element_count; e++) {
        const struct element *x = &h->elements[e];
        const struct txn *t = &h->txns[x->txn];
        SIM_CHECK(found[e] || !x->appended || t->fate != FATE_COMMITTED,
                  "list %u: element %u of transaction %u was acknowledged and is lost", x->key, e,
                  x->txn);
        SIM_CHECK(!found[e] || t->fate != FATE_ABORTED,
                  "list %u: element %u of transaction %u was not committed but is there", x->key, e,
                  x->txn);
    }
    free(found);
}

/* All elements of a transaction, or none. */
static void check_whole(const struct history *h)
{
    uint32_t *seen = calloc((size_t)h->txn_count + 1, sizeof(*seen));
    ASSERT(seen != NULL);
    for (uint32_t n = 0; n < h->key_count; n++)
        for (uint32_t i = 0; i < h->keys[n].count; i++)
            seen[h->elements[h->keys[n].order[i]].txn]++;
    for (uint32_t t = 0; t < h->txn_count; t++)
        SIM_CHECK(seen[t] == 0 || seen[t] == h->txns[t].element_count,
                  "transaction %u: %u of %u elements are there", t, seen[t],
                  h->txns[t].element_count);
    free(seen);
}

/* Those that committed. One whose fate is unknown did when an element of it is there; one that only
 * read may have failed its validation, so what it saw proves nothing. */
static bool *serializable_ones(const struct history *h)
{
    bool *counts = calloc((size_t)h->txn_count + 1, sizeof(*counts));
    ASSERT(counts != NULL);
    for (uint32_t n = 0; n < h->key_count; n++)
        for (uint32_t i = 0; i < h->keys[n].count; i++)
            counts[h->elements[h->keys[n].order[i]].txn] = true;
    for (uint32_t t = 0; t < h->txn_count; t++)
        counts[t] = (counts[t] || h->txns[t].fate == FATE_COMMITTED) &&
                    h->txns[t].level == SIM_SERIALIZABLE;
    return counts;
}

void history_check(struct history *h)
{
    check_acknowledged(h);
    check_whole(h);
    check_real_time(h);
    struct edges hard = {0};
    struct edges anti = {0};
    struct graph g = {0};
    collect_edges(h, &hard, &anti);
    graph_make(&g, h->txn_count, &hard);
    uint32_t bad = graph_sort(&g);
    SIM_CHECK(bad == UINT32_MAX, "transaction %u is on a cycle of writes and reads of them", bad);
    for (uint32_t i = 0; i < anti.count; i++)
        SIM_CHECK(!graph_reaches(&g, anti.all[i].to, anti.all[i].from),
                  "transaction %u (repeatable read) does not see transaction %u, but what came "
                  "after it",
                  anti.all[i].from, anti.all[i].to);
    graph_free(&g);
    struct edges serial = {0};
    bool *counts = serializable_ones(h);
    for (uint32_t i = 0; i < hard.count + anti.count; i++) {
        struct edge e = i < hard.count ? hard.all[i] : anti.all[i - hard.count];
        if (counts[e.from] && counts[e.to])
            edge_add(&serial, e.from, e.to);
    }
    collect_present(h, counts, &serial);
    free(counts);
    graph_make(&g, h->txn_count, &serial);
    bad = graph_sort(&g);
    SIM_CHECK(bad == UINT32_MAX, "serializable transaction %u is on a cycle", bad);
    graph_free(&g);
    free(hard.all);
    free(anti.all);
    free(serial.all);
}
