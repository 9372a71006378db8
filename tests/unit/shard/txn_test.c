/* Scenarios: visibility, write conflicts, unique conflicts and waits, savepoints, row locks and
 * their queue, deadlocks over shards, table locks, files, sequences, the version budget, prepared
 * transactions at a crash. Fibers of core 0 play the sessions; shards lie on all cores. */
#include "shard_test.h"

#include "shard/held.h"
#include "shard/txn_priv.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- sessions that run beside the test ---- */

struct session {
    struct txn *txn;
    struct test_row row;
    uint32_t shard;
    err_t (*fn)(struct shard *s, struct txn_view *v, void *arg);
    err_t result;
    char detail[512];
    bool done;
    struct wait_queue queue;
    struct fiber *fiber;
};

SUSPENDS static void session_main(void *arg)
{
    struct session *s = arg;
    s->fiber = fiber_self();
    s->result = on_shard_wait(s->txn, s->shard, true, s->fn, &s->row);
    if (s->result != ERR_OK && err_diag()->detail != NULL)
        (void)snprintf(s->detail, sizeof(s->detail), "%s", err_diag()->detail);
    s->fiber = NULL;
    s->done = true;
    wait_queue_wake_all(&s->queue);
}

SUSPENDS static void session_start(struct session *s)
{
    s->done = false;
    CHECK_OK(fiber_spawn(session_main, s));
}

SUSPENDS static void session_join(struct session *s)
{
    while (!s->done)
        wait_queue_shielded_wait(&s->queue);
}

SUSPENDS static void start(uint32_t shards)
{
    CHECK_OK(shards_create_wait(&test_options, shards));
    CHECK_OK(shards_open_wait(&test_options));
    test_create_tables_wait();
}

SUSPENDS static void put(uint64_t key, uint32_t tag)
{
    struct txn *t = test_begin(READ_COMMITTED, 1);
    struct test_row r = {.key = key, .tag = tag, .len = 50, .seed = tag};
    CHECK_OK(on_shard_wait(t, (uint32_t)(key % shard_count()), true, table_insert, &r));
    CHECK(r.conflict == ROW_ID_NONE);
    CHECK_OK(txn_commit_wait(t));
}

/* The tag of a row as t sees it; -1 = no row. */
SUSPENDS static int64_t get(struct txn *t, uint64_t key)
{
    struct test_row r = {.key = key};
    CHECK_OK(on_shard_wait(t, (uint32_t)(key % shard_count()), false, table_get, &r));
    return r.found ? (int64_t)r.tag : -1;
}

SUSPENDS static int64_t get_new(uint64_t key)
{
    struct txn *t = test_begin(READ_COMMITTED, 1);
    int64_t tag = get(t, key);
    CHECK_OK(txn_commit_wait(t));
    return tag;
}

SUSPENDS static err_t set(struct txn *t, uint64_t key, uint32_t tag)
{
    struct test_row r = {.key = key, .tag = tag, .len = 50, .seed = tag};
    err_t e = on_shard_wait(t, (uint32_t)(key % shard_count()), true, table_update, &r);
    if (e == ERR_OK)
        CHECK(r.found);
    return e;
}

SUSPENDS static void nap(uint64_t us)
{
    CHECK_OK(fiber_sleep_wait(us));
}

/* ---- visibility ---- */

SUSPENDS static void visibility_steps(void)
{
    start(2);
    put(10, 1);
    struct txn *old = test_begin(REPEATABLE_READ, 2);
    CHECK(get(old, 10) == 1);
    struct txn *w = test_begin(READ_COMMITTED, 3);
    CHECK_OK(set(w, 10, 2));
    CHECK(get(w, 10) == 1); /* the statement's own change */
    txn_advance(w);
    CHECK(get(w, 10) == 2);
    CHECK(get_new(10) == 1);
    CHECK_OK(txn_commit_wait(w));
    CHECK(get_new(10) == 2);
    CHECK(get(old, 10) == 1);
    /* Repeatable read may not change what others changed since. */
    struct test_row r = {.key = 10, .tag = 9};
    CHECK(on_shard_wait(old, 0, true, table_update, &r) == ERR_T_R_SERIALIZATION_FAILURE);
    CHECK(strcmp(err_diag()->message, "could not serialize access due to concurrent update") == 0);
    txn_rollback_wait(old);
    /* Deleted and inserted again under an old snapshot. */
    old = test_begin(REPEATABLE_READ, 2);
    w = test_begin(READ_COMMITTED, 3);
    r = (struct test_row){.key = 10};
    CHECK_OK(on_shard_wait(w, 0, true, table_delete, &r));
    txn_statement_begin(w);
    CHECK(get(w, 10) == -1);
    r = (struct test_row){.key = 10, .tag = 5, .len = 3};
    CHECK_OK(on_shard_wait(w, 0, true, table_insert, &r));
    CHECK(r.conflict == ROW_ID_NONE);
    txn_statement_begin(w);
    CHECK(get(w, 10) == 5);
    CHECK_OK(txn_commit_wait(w));
    CHECK(get(old, 10) == 2);
    CHECK(get_new(10) == 5);
    r = (struct test_row){.key = 10};
    CHECK(on_shard_wait(old, 0, true, table_delete, &r) == ERR_T_R_SERIALIZATION_FAILURE);
    CHECK(strcmp(err_diag()->message, "could not serialize access due to concurrent delete") == 0);
    txn_rollback_wait(old);
    /* Rolled back leaves nothing. */
    w = test_begin(READ_COMMITTED, 3);
    CHECK_OK(set(w, 10, 77));
    r = (struct test_row){.key = 12, .tag = 6};
    CHECK_OK(on_shard_wait(w, 0, true, table_insert, &r));
    txn_rollback_wait(w);
    CHECK(get_new(10) == 5);
    CHECK(get_new(12) == -1);
    CHECK_OK(shards_close_wait());
}

/* ---- waiting for writers ---- */

SUSPENDS static void write_waits_steps(void)
{
    start(1);
    put(1, 1);
    struct txn *a = test_begin(READ_COMMITTED, 11);
    struct session b = {
        .txn = test_begin(READ_COMMITTED, 12), .row = {.key = 1, .tag = 3}, .fn = table_update};
    CHECK_OK(set(a, 1, 2));
    session_start(&b);
    nap(5000);
    CHECK(!b.done);
    CHECK_OK(txn_commit_wait(a));
    session_join(&b); /* read committed goes on with the new version */
    CHECK_OK(b.result);
    CHECK(b.row.found);
    CHECK_OK(txn_commit_wait(b.txn));
    CHECK(get_new(1) == 3);
    /* Deleted while it waited: nothing to update. */
    a = test_begin(READ_COMMITTED, 11);
    struct test_row r = {.key = 1};
    CHECK_OK(on_shard_wait(a, 0, true, table_delete, &r));
    b = (struct session){
        .txn = test_begin(READ_COMMITTED, 12), .row = {.key = 1, .tag = 4}, .fn = table_update};
    session_start(&b);
    nap(5000);
    CHECK_OK(txn_commit_wait(a));
    session_join(&b);
    CHECK_OK(b.result);
    CHECK(!b.row.found);
    CHECK_OK(txn_commit_wait(b.txn));
    /* Lock timeout. */
    put(2, 1);
    a = test_begin(READ_COMMITTED, 11);
    CHECK_OK(set(a, 2, 2));
    struct txn *c = test_begin(READ_COMMITTED, 13);
    txn_set_wait_limits(c, (struct wait_limits){.lock_timeout_ms = 20});
    CHECK(set(c, 2, 3) == ERR_LOCK_NOT_AVAILABLE);
    CHECK(strcmp(err_diag()->message, "canceling statement due to lock timeout") == 0);
    txn_rollback_wait(c);
    /* Cancel. */
    b = (struct session){
        .txn = test_begin(READ_COMMITTED, 12), .row = {.key = 2, .tag = 4}, .fn = table_update};
    session_start(&b);
    nap(5000);
    CHECK(b.fiber != NULL);
    if (b.fiber != NULL)
        fiber_cancel(b.fiber, ERR_QUERY_CANCELED, "canceling statement due to user request");
    session_join(&b);
    CHECK(b.result == ERR_QUERY_CANCELED);
    txn_rollback_wait(b.txn);
    txn_rollback_wait(a);
    CHECK(get_new(2) == 1);
    CHECK_OK(shards_close_wait());
}

/* ---- uniqueness ---- */

SUSPENDS static void unique_steps(void)
{
    start(1);
    put(1, 1);
    struct txn *a = test_begin(READ_COMMITTED, 11);
    struct test_row r = {.key = 1, .tag = 2};
    uint32_t mark = txn_mark(a);
    CHECK_OK(on_shard_wait(a, 0, true, table_insert, &r));
    CHECK(r.conflict != ROW_ID_NONE);
    CHECK_OK(txn_undo_to_wait(a, mark));
    /* An insert in progress is waited for: committed = conflict. */
    txn_statement_begin(a);
    r = (struct test_row){.key = 2, .tag = 2};
    CHECK_OK(on_shard_wait(a, 0, true, table_insert, &r));
    struct session b = {
        .txn = test_begin(READ_COMMITTED, 12), .row = {.key = 2, .tag = 3}, .fn = table_insert};
    session_start(&b);
    nap(5000);
    CHECK(!b.done);
    CHECK_OK(txn_commit_wait(a));
    session_join(&b);
    CHECK_OK(b.result);
    CHECK(b.row.conflict != ROW_ID_NONE);
    txn_rollback_wait(b.txn);
    /* Rolled back = no conflict. */
    a = test_begin(READ_COMMITTED, 11);
    r = (struct test_row){.key = 3, .tag = 2};
    CHECK_OK(on_shard_wait(a, 0, true, table_insert, &r));
    b = (struct session){
        .txn = test_begin(READ_COMMITTED, 12), .row = {.key = 3, .tag = 3}, .fn = table_insert};
    session_start(&b);
    nap(5000);
    txn_rollback_wait(a);
    session_join(&b);
    CHECK_OK(b.result);
    CHECK(b.row.conflict == ROW_ID_NONE);
    CHECK_OK(txn_commit_wait(b.txn));
    CHECK(get_new(3) == 3);
    /* A delete in progress is waited for; committed = free. */
    a = test_begin(READ_COMMITTED, 11);
    r = (struct test_row){.key = 3};
    CHECK_OK(on_shard_wait(a, 0, true, table_delete, &r));
    b = (struct session){
        .txn = test_begin(READ_COMMITTED, 12), .row = {.key = 3, .tag = 4}, .fn = table_insert};
    session_start(&b);
    nap(5000);
    CHECK(!b.done);
    CHECK_OK(txn_commit_wait(a));
    session_join(&b);
    CHECK_OK(b.result);
    CHECK(b.row.conflict == ROW_ID_NONE);
    CHECK_OK(txn_commit_wait(b.txn));
    CHECK(get_new(3) == 4);
    CHECK_OK(shards_close_wait());
}

/* ---- uniqueness that is looked at later ---- */

/* r->key is the key of the entry, r->tag the row's; *conflict: the entry is in doubt. */
SUSPENDS static err_t insert_later(struct shard *s, struct txn_view *v, void *arg)
{
    struct test_row *r = arg;
    uint8_t bytes[128];
    uint8_t k[KEY_BYTES_MAX];
    row_fill(r, bytes);
    TRY(row_insert_wait(s, v, TABLE_HEAP, bytes, row_bytes(r), &r->id));
    return index_insert_wait(s, v, TABLE_KEY, TABLE_HEAP, k, key_bytes(r->key, k), r->id,
                             INDEX_UNIQUE_LATER, &r->conflict);
}

SUSPENDS static err_t look_later(struct shard *s, struct txn_view *v, void *arg)
{
    struct test_row *r = arg;
    uint8_t k[KEY_BYTES_MAX];
    return index_key_shared_wait(s, v, TABLE_KEY, TABLE_HEAP, k, key_bytes(r->key, k), r->id,
                                 &r->found);
}

SUSPENDS static err_t lose_key(struct shard *s, struct txn_view *v, void *arg)
{
    struct test_row *r = arg;
    uint8_t k[KEY_BYTES_MAX];
    TRY(row_delete_wait(s, v, TABLE_HEAP, r->id));
    return index_remove_wait(s, v, TABLE_KEY, TABLE_HEAP, k, key_bytes(r->key, k), r->id);
}

SUSPENDS static bool is_shared(struct txn *t, struct test_row *r)
{
    CHECK_OK(on_shard_wait(t, 0, true, look_later, r));
    return r->found;
}

SUSPENDS static void unique_later_steps(void)
{
    start(1);
    struct test_row first = {.key = 1};
    struct test_row second = {.key = 1, .tag = 1};
    /* Who comes second is in doubt, and shares the key until one of them loses it. */
    struct txn *a = test_begin(READ_COMMITTED, 11);
    CHECK_OK(on_shard_wait(a, 0, true, insert_later, &first));
    CHECK(first.conflict == ROW_ID_NONE && !is_shared(a, &first));
    CHECK_OK(on_shard_wait(a, 0, true, insert_later, &second));
    CHECK(second.conflict == first.id);
    CHECK(is_shared(a, &first) && is_shared(a, &second));
    uint32_t mark = txn_mark(a);
    txn_statement_begin(a);
    CHECK_OK(on_shard_wait(a, 0, true, lose_key, &second));
    CHECK(!is_shared(a, &first) && !is_shared(a, &second));
    CHECK_OK(txn_undo_to_wait(a, mark));
    CHECK(is_shared(a, &first) && is_shared(a, &second));
    CHECK_OK(on_shard_wait(a, 0, true, lose_key, &first));
    CHECK(!is_shared(a, &first) && !is_shared(a, &second));
    CHECK_OK(txn_commit_wait(a));
    /* What another transaction has not decided is waited for, but only when one looks. */
    for (int commits = 0; commits < 2; commits++) {
        struct test_row gone = {.key = 1, .id = second.id};
        struct test_row third = {.key = 1, .tag = 2};
        a = test_begin(READ_COMMITTED, 11);
        CHECK_OK(on_shard_wait(a, 0, true, lose_key, &gone));
        struct session b = {.txn = test_begin(READ_COMMITTED, 12), .fn = look_later};
        CHECK_OK(on_shard_wait(b.txn, 0, true, insert_later, &third));
        CHECK(third.conflict == second.id);
        b.row = third;
        session_start(&b);
        nap(5000);
        CHECK(!b.done);
        if (commits)
            CHECK_OK(txn_commit_wait(a));
        else
            txn_rollback_wait(a);
        session_join(&b);
        CHECK_OK(b.result);
        CHECK(b.row.found == !commits);
        txn_rollback_wait(b.txn);
    }
    CHECK_OK(shards_close_wait());
}

/* ---- deadlocks ---- */

SUSPENDS static void deadlock_steps(void)
{
    start(2);
    shards_set_deadlock_timeout(20000);
    put(0, 1);
    put(1, 1);
    struct session a = {.txn = test_begin(READ_COMMITTED, 101), .fn = table_update};
    struct session b = {.txn = test_begin(READ_COMMITTED, 102), .fn = table_update};
    CHECK_OK(set(a.txn, 0, 2));
    CHECK_OK(set(b.txn, 1, 3));
    a.row = (struct test_row){.key = 1, .tag = 2};
    a.shard = 1;
    b.row = (struct test_row){.key = 0, .tag = 3};
    b.shard = 0;
    session_start(&a);
    nap(2000);
    session_start(&b);
    while (!a.done && !b.done)
        nap(1000);
    struct session *victim = a.done ? &a : &b;
    struct session *other = a.done ? &b : &a;
    CHECK(victim->result == ERR_T_R_DEADLOCK_DETECTED);
    CHECK(strstr(victim->detail, "Process 101 waits for ShareLock on transaction ") != NULL);
    CHECK(strstr(victim->detail, "; blocked by process 101.") != NULL);
    CHECK(strstr(victim->detail, "Process 102 waits for ShareLock on transaction ") != NULL);
    txn_rollback_wait(victim->txn);
    session_join(other);
    CHECK_OK(other->result);
    CHECK_OK(txn_commit_wait(other->txn));
    CHECK(get_new(0) == get_new(1));
    shards_set_deadlock_timeout(1000000);
    CHECK_OK(shards_close_wait());
}

/* A victim's waits on other shards, which have asked long before and are in no cycle, fail too. */
SUSPENDS static void deadlock_apart_steps(void)
{
    start(2);
    shards_set_deadlock_timeout(20000);
    for (uint64_t key = 0; key < 3; key++)
        put(key, 1);
    struct txn *victim = test_begin(READ_COMMITTED, 101);
    struct txn *other = test_begin(READ_COMMITTED, 102);
    struct txn *third = test_begin(READ_COMMITTED, 103);
    CHECK_OK(set(victim, 2, 2));
    CHECK_OK(set(other, 1, 2));
    CHECK_OK(set(third, 0, 2));
    struct session early = {.txn = victim, .shard = 0, .row = {.key = 0}, .fn = table_update};
    struct session back = {.txn = other, .shard = 0, .row = {.key = 2}, .fn = table_update};
    struct session late = {.txn = victim, .shard = 1, .row = {.key = 1}, .fn = table_update};
    session_start(&early);
    session_start(&back);
    nap(60000);
    CHECK(!early.done && !back.done);
    session_start(&late);
    session_join(&late);
    session_join(&early);
    CHECK(late.result == ERR_T_R_DEADLOCK_DETECTED);
    CHECK(early.result == ERR_T_R_DEADLOCK_DETECTED);
    CHECK(!back.done);
    txn_rollback_wait(victim);
    session_join(&back);
    CHECK_OK(back.result);
    txn_rollback_wait(other);
    txn_rollback_wait(third);
    CHECK_OK(shards_close_wait());
}

/* ---- row lock modes ---- */

struct lock_arg {
    uint64_t key;
    enum row_lock_mode mode;
    enum lock_policy policy;
    enum row_lock_result result;
};

SUSPENDS static err_t lock_mode(struct shard *s, struct txn_view *v, void *arg)
{
    struct lock_arg *a = arg;
    struct arena *mem = arena_new();
    struct row_buf row = {.arena = mem};
    row_id id;
    err_t e = table_find(s, v, a->key, mem, &id, &row);
    if (e == ERR_OK)
        e = row_lock_wait(s, v, TABLE_HEAP, id, a->mode, a->policy, &a->result, NULL);
    arena_free(mem);
    return e;
}

SUSPENDS static void lock_modes_steps(void)
{
    start(1);
    put(1, 1);
    static const bool conflict[4][4] = {
        {false, false, false, true},
        {false, false, true, true},
        {false, true, true, true},
        {true, true, true, true},
    };
    for (uint32_t i = 0; i < 16; i++) {
        struct txn *a = test_begin(READ_COMMITTED, 11);
        struct txn *b = test_begin(READ_COMMITTED, 12);
        struct lock_arg arg = {.key = 1, .mode = i / 4, .policy = LOCK_WAIT};
        CHECK_OK(on_shard_wait(a, 0, true, lock_mode, &arg));
        CHECK(arg.result == ROW_LOCKED);
        arg = (struct lock_arg){.key = 1, .mode = i % 4, .policy = LOCK_SKIP};
        CHECK_OK(on_shard_wait(b, 0, true, lock_mode, &arg));
        CHECK((arg.result == ROW_SKIPPED) == conflict[i / 4][i % 4]);
        arg.policy = LOCK_NOWAIT;
        err_t e = on_shard_wait(b, 0, true, lock_mode, &arg);
        CHECK((e == ERR_LOCK_NOT_AVAILABLE) == conflict[i / 4][i % 4]);
        CHECK_OK(txn_commit_wait(a));
        txn_rollback_wait(b);
    }
    /* Locks taken after a savepoint go with it. */
    struct txn *a = test_begin(READ_COMMITTED, 11);
    struct txn *b = test_begin(READ_COMMITTED, 12);
    uint32_t mark = txn_mark(a);
    struct lock_arg arg = {.key = 1, .mode = LOCK_UPDATE, .policy = LOCK_WAIT};
    CHECK_OK(on_shard_wait(a, 0, true, lock_mode, &arg));
    CHECK_OK(txn_undo_to_wait(a, mark));
    arg.policy = LOCK_NOWAIT;
    CHECK_OK(on_shard_wait(b, 0, true, lock_mode, &arg));
    CHECK_OK(txn_commit_wait(b));
    CHECK_OK(txn_commit_wait(a));
    /* A key-share holder lets an update of other columns through and sees the row as it was. */
    a = test_begin(READ_COMMITTED, 11);
    arg = (struct lock_arg){.key = 1, .mode = LOCK_KEY_SHARE, .policy = LOCK_WAIT};
    CHECK_OK(on_shard_wait(a, 0, true, lock_mode, &arg));
    b = test_begin(READ_COMMITTED, 12);
    arg = (struct lock_arg){.key = 1, .mode = LOCK_NO_KEY_UPDATE, .policy = LOCK_NOWAIT};
    CHECK_OK(on_shard_wait(b, 0, true, lock_mode, &arg));
    CHECK_OK(txn_commit_wait(a));
    CHECK_OK(txn_commit_wait(b));
    struct shard *s = shard_local(0);
    CHECK(s->row_locks.count == 0);
    CHECK_OK(shards_close_wait());
}

/* The queue is fair: a later request does not overtake one that waits. */
SUSPENDS static void lock_queue_steps(void)
{
    start(1);
    put(1, 1);
    struct txn *a = test_begin(READ_COMMITTED, 11);
    struct lock_arg arg = {.key = 1, .mode = LOCK_SHARE, .policy = LOCK_WAIT};
    CHECK_OK(on_shard_wait(a, 0, true, lock_mode, &arg));
    struct session b = {
        .txn = test_begin(READ_COMMITTED, 12), .row = {.key = 1, .tag = 2}, .fn = table_update};
    session_start(&b);
    nap(3000);
    CHECK(!b.done);
    struct txn *c = test_begin(READ_COMMITTED, 13);
    arg = (struct lock_arg){.key = 1, .mode = LOCK_SHARE, .policy = LOCK_SKIP};
    CHECK_OK(on_shard_wait(c, 0, true, lock_mode, &arg));
    CHECK(arg.result == ROW_SKIPPED); /* compatible with a, but b waits */
    CHECK_OK(txn_commit_wait(a));
    session_join(&b);
    CHECK_OK(b.result);
    CHECK_OK(txn_commit_wait(b.txn));
    CHECK_OK(txn_commit_wait(c));
    CHECK_OK(shards_close_wait());
}

/* ---- table locks ---- */

struct table_session {
    struct txn *txn;
    enum table_lock_mode mode;
    uint32_t core;
    err_t result;
    bool done;
};

SUSPENDS static void table_locker(void *arg)
{
    struct table_session *s = arg;
    s->result = txn_lock_table_wait(s->txn, 77, s->mode, false);
    s->done = true;
}

SUSPENDS static err_t remote_weak(void *arg)
{
    bool *got = arg;
    struct txn *t = test_begin(READ_COMMITTED, 500);
    err_t e = txn_lock_table_wait(t, 77, LOCK_ROW_EXCLUSIVE, true);
    *got = e == ERR_OK;
    txn_rollback_wait(t);
    return ERR_OK;
}

SUSPENDS static void table_locks_steps(void)
{
    start(1);
    struct txn *a = test_begin(READ_COMMITTED, 11);
    struct txn *b = test_begin(READ_COMMITTED, 12);
    CHECK_OK(txn_lock_table_wait(a, 77, LOCK_ROW_EXCLUSIVE, false));
    CHECK_OK(txn_lock_table_wait(b, 77, LOCK_ACCESS_SHARE, false));
    CHECK(txn_lock_table_wait(b, 77, LOCK_TABLE_SHARE, true) == ERR_LOCK_NOT_AVAILABLE);
    bool got = false;
    CHECK_OK(core_call_wait(core_count() - 1, remote_weak, &got));
    CHECK(got);
    struct table_session c = {.txn = test_begin(READ_COMMITTED, 13), .mode = LOCK_ACCESS_EXCLUSIVE};
    CHECK_OK(fiber_spawn(table_locker, &c));
    nap(3000);
    CHECK(!c.done);
    /* It waits on core 0; it is announced everywhere. */
    CHECK_OK(core_call_wait(core_count() - 1, remote_weak, &got));
    CHECK(!got);
    CHECK_OK(txn_commit_wait(a));
    nap(1000);
    CHECK(!c.done);
    txn_rollback_wait(b);
    for (uint32_t i = 0; i < 1000 && !c.done; i++)
        nap(1000);
    CHECK(c.done);
    CHECK_OK(c.result);
    CHECK_OK(core_call_wait(core_count() - 1, remote_weak, &got));
    CHECK(!got);
    CHECK_OK(txn_commit_wait(c.txn));
    CHECK_OK(core_call_wait(core_count() - 1, remote_weak, &got));
    CHECK(got);
    CHECK_OK(shards_close_wait());
}

/* ---- a transaction that moves to another core ---- */

struct moving {
    struct txn *txn;
    struct txn_cursor *cursor;
    struct txn_places *places;
    int64_t tag;
    err_t lock;
};

SUSPENDS static err_t arrive(void *arg)
{
    struct moving *m = arg;
    txn_join(m->txn, &m->cursor, 1, m->places);
    return ERR_OK;
}

SUSPENDS static err_t go_on(void *arg)
{
    struct moving *m = arg;
    /* What it holds on its old core it has at once, though somebody waits for it there. */
    m->lock = txn_lock_table_wait(m->txn, 77, LOCK_ACCESS_SHARE, false);
    txn_statement_begin(m->txn);
    m->tag = get(m->txn, 0);
    struct test_row r = {.key = 8, .tag = 1, .len = 50, .seed = 1};
    TRY(on_shard_wait(m->txn, 0, true, table_insert, &r));
    txn_cursor_close(m->cursor);
    return txn_commit_wait(m->txn);
}

SUSPENDS static void moves_steps(void)
{
    start(2);
    put(0, 1);
    struct moving m = {.txn = test_begin(REPEATABLE_READ, 21)};
    ts_t ts = txn_snapshot(m.txn);
    CHECK_OK(txn_lock_table_wait(m.txn, 77, LOCK_ACCESS_SHARE, false));
    m.cursor = txn_cursor_open(m.txn);
    struct table_session c = {.txn = test_begin(READ_COMMITTED, 22), .mode = LOCK_ACCESS_EXCLUSIVE};
    CHECK_OK(fiber_spawn(table_locker, &c));
    nap(3000);
    CHECK(!c.done);
    uint64_t moves = shared_snapshot_moves();
    m.places = txn_leave(m.txn, &m.cursor, 1);
    CHECK(shared_oldest_read(0) <= ts); /* nobody may purge what it sees */
    CHECK_OK(core_call_wait(1, arrive, &m));
    CHECK(shared_oldest_read(1) == ts && shared_snapshot_moves() == moves + 1);
    txn_places_free(m.places);
    struct live_snapshots live;
    CHECK_OK(snapshots_gather_wait(&live));
    CHECK(live.count >= 1 && live.ranges[0].first == ts);
    snapshots_gather_end(&live);
    struct txn *t = test_begin(READ_COMMITTED, 23);
    struct test_row r = {.key = 0, .tag = 2, .len = 50, .seed = 2};
    CHECK_OK(on_shard_wait(t, 0, true, table_update, &r));
    CHECK_OK(txn_commit_wait(t));
    CHECK(get_new(0) == 2);
    CHECK_OK(core_call_wait(1, go_on, &m));
    CHECK_OK(m.lock);
    CHECK(m.tag == 1);
    CHECK(shared_oldest_read(1) == UINT64_MAX);
    for (uint32_t i = 0; i < 1000 && !c.done; i++)
        nap(1000);
    CHECK(c.done);
    CHECK_OK(c.result);
    CHECK_OK(txn_commit_wait(c.txn));
    CHECK(get_new(8) == 1);
    CHECK_OK(shards_close_wait());
}

/* ---- files, bulk build, sequences ---- */

struct build {
    uint64_t next;
    uint64_t count;
    uint8_t key[16];
};

static err_t build_next(void *ctx, const uint8_t **key, uint32_t *key_len, row_id *id)
{
    struct build *b = ctx;
    if (b->next == b->count) {
        *key = NULL;
        return ERR_OK;
    }
    store_be64(b->key, b->next / 3); /* threes of equal keys */
    *key = b->key;
    *key_len = 8;
    *id = row_make((uint32_t)b->next, 1);
    b->next++;
    return ERR_OK;
}

enum { BUILT = 50000 };

SUSPENDS static err_t build_index(struct shard *s, struct txn_view *v, void *arg)
{
    (void)arg;
    struct build b = {.count = BUILT};
    TRY(shard_file_create_wait(s, v, 2001, FILE_BTREE));
    return index_build_wait(s, v, 2001, build_next, &b);
}

SUSPENDS static err_t count_index(struct shard *s, struct txn_view *v, void *arg)
{
    uint64_t *count = arg;
    struct arena *mem = arena_new();
    struct index_range range = {0};
    struct index_scan *scan;
    err_t e = index_scan_begin_wait(s, v, 2001, TABLE_HEAP, &range, mem, &scan);
    *count = 0;
    while (e == ERR_OK) {
        row_id id;
        const uint8_t *key;
        uint32_t len;
        e = index_scan_next_wait(scan, &id, &key, &len);
        if (e != ERR_OK || id == ROW_ID_NONE)
            break;
        bool ok = len == 8 && load_be64(key) == *count / 3 && row_page(id) == *count;
        CHECK(ok);
        if (!ok)
            break;
        (*count)++;
    }
    if (e == ERR_OK)
        e = shard_verify_wait(s, mem);
    arena_free(mem);
    return e;
}

SUSPENDS static err_t drop_index(struct shard *s, struct txn_view *v, void *arg)
{
    (void)arg;
    return shard_file_drop_wait(s, v, 2001);
}

SUSPENDS static err_t index_bytes(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    *(uint64_t *)arg = shard_file_bytes(s, 2001);
    return ERR_OK;
}

SUSPENDS static void file_steps(void)
{
    start(1);
    struct txn *t = test_begin(READ_COMMITTED, 1);
    uint64_t n = 0;
    CHECK_OK(on_shard_wait(t, 0, true, build_index, NULL));
    txn_rollback_wait(t);
    t = test_begin(READ_COMMITTED, 1);
    CHECK_OK(on_shard_wait(t, 0, false, index_bytes, &n));
    CHECK(n == 0);
    CHECK_OK(on_shard_wait(t, 0, true, build_index, NULL));
    CHECK_OK(txn_commit_wait(t));
    for (uint32_t i = 0; i < 2; i++) { /* built, then replayed */
        t = test_begin(READ_COMMITTED, 1);
        CHECK_OK(on_shard_wait(t, 0, true, count_index, &n));
        CHECK(n == BUILT);
        CHECK_OK(on_shard_wait(t, 0, false, index_bytes, &n));
        CHECK(n / PAGE_BYTES < BUILT * 20 / PAGE_BYTES); /* packed */
        CHECK_OK(txn_commit_wait(t));
        shards_abandon_wait();
        CHECK_OK(shards_open_wait(&test_options));
    }
    t = test_begin(READ_COMMITTED, 1);
    CHECK_OK(on_shard_wait(t, 0, true, drop_index, NULL));
    txn_rollback_wait(t);
    t = test_begin(READ_COMMITTED, 1);
    CHECK_OK(on_shard_wait(t, 0, false, index_bytes, &n));
    CHECK(n != 0);
    CHECK_OK(on_shard_wait(t, 0, true, drop_index, NULL));
    CHECK_OK(txn_commit_wait(t));
    t = test_begin(READ_COMMITTED, 1);
    txn_statement_end(t);
    for (uint32_t i = 0; i < 2000 && n != 0; i++) {
        nap(1000);
        txn_statement_begin(t);
        CHECK_OK(on_shard_wait(t, 0, false, index_bytes, &n));
        txn_statement_end(t);
    }
    CHECK(n == 0);
    CHECK_OK(txn_commit_wait(t));
    CHECK_OK(shards_close_wait());
}

struct sequence_arg {
    int64_t max;
    bool cycle;
    uint32_t want;
    int64_t first;
    uint32_t count;
};

SUSPENDS static err_t sequence_create(struct shard *s, struct txn_view *v, void *arg)
{
    (void)arg;
    TRY(shard_file_create_wait(s, v, 3001, FILE_SEQUENCE));
    struct sequence_state state = {.last_value = 1};
    return sequence_write_wait(s, v, 3001, &state);
}

SUSPENDS static err_t sequence_next(struct shard *s, struct txn_view *v, void *arg)
{
    struct sequence_arg *a = arg;
    return sequence_next_wait(s, v, 3001, 1, 1, a->max, a->cycle, a->want, &a->first, &a->count);
}

SUSPENDS static void sequence_steps(void)
{
    start(1);
    struct txn *t = test_begin(READ_COMMITTED, 1);
    CHECK_OK(on_shard_wait(t, 0, true, sequence_create, NULL));
    CHECK_OK(txn_commit_wait(t));
    int64_t last = 0;
    uint64_t seed = 5;
    for (uint32_t i = 0; i < 200; i++) {
        t = test_begin(READ_COMMITTED, 1);
        struct sequence_arg a = {.max = INT64_MAX, .want = 1 + test_below(&seed, 3)};
        CHECK_OK(on_shard_wait(t, 0, true, sequence_next, &a));
        CHECK(a.count == a.want);
        CHECK(a.first > last);
        CHECK(i == 0 || i % 20 == 0 || a.first == last + 1);
        last = a.first + a.count - 1;
        if (i % 3 == 0)
            txn_rollback_wait(t); /* values are not given back */
        else
            CHECK_OK(txn_commit_wait(t));
        if (i % 7 == 0)
            CHECK_OK(shards_checkpoint_wait());
        if (i % 20 == 19) {
            t = test_begin(READ_COMMITTED, 1); /* what was given out was durable at a reply */
            CHECK_OK(on_shard_wait(t, 0, true, sequence_next, &a));
            last = a.first + a.count - 1;
            CHECK_OK(txn_commit_wait(t));
            shards_abandon_wait();
            CHECK_OK(shards_open_wait(&test_options));
        }
    }
    t = test_begin(READ_COMMITTED, 1);
    struct sequence_arg a = {.max = last, .want = 1};
    CHECK_OK(on_shard_wait(t, 0, true, sequence_next, &a));
    CHECK(a.count == 0);
    a = (struct sequence_arg){.max = last, .want = 4, .cycle = true};
    CHECK_OK(on_shard_wait(t, 0, true, sequence_next, &a));
    CHECK(a.first == 1 && a.count == 4);
    CHECK_OK(txn_commit_wait(t));
    CHECK_OK(shards_close_wait());
}

/* ---- version budget ---- */

SUSPENDS static void budget_steps(void)
{
    test_options.version_bytes_max = 200000;
    start(1);
    put(1, 1);
    /* Many small transactions go on for ever ... */
    for (uint32_t i = 0; i < 1500; i++) {
        struct txn *t = test_begin(READ_COMMITTED, 1);
        struct test_row r = {.key = 1, .tag = i % 50, .len = 1000, .seed = i};
        CHECK_OK(on_shard_wait(t, 0, true, table_update, &r));
        CHECK_OK(txn_commit_wait(t));
    }
    CHECK(shard_local(0)->versions.spill_writes == 0);
    /* ... one that is larger than the budget spills, and can be rolled back. */
    struct txn *t = test_begin(READ_COMMITTED, 1);
    for (uint32_t i = 0; i < 400; i++) {
        struct test_row r = {.key = 1, .tag = i % 50, .len = 1000, .seed = i};
        txn_statement_begin(t);
        CHECK_OK(on_shard_wait(t, 0, true, table_update, &r));
        CHECK(shard_local(0)->versions.bytes < 210000);
    }
    CHECK(shard_local(0)->versions.spilled > 300);
    CHECK(get_new(1) == 1499 % 50);
    txn_rollback_wait(t);
    CHECK(shard_local(0)->versions.spilled == 0);
    CHECK(get_new(1) == 1499 % 50);
    /* Not those of files. */
    t = test_begin(READ_COMMITTED, 1);
    err_t e = ERR_OK;
    for (uint32_t i = 0; i < 3000 && e == ERR_OK; i++) {
        struct txn_view v = txn_view_make(t, 0, true);
        e = version_budget_wait(shard_local(0));
        if (e == ERR_OK)
            e = shard_file_create_wait(shard_local(0), &v, 10000 + i, FILE_HEAP);
        txn_merge(t, 0, &v);
    }
    CHECK(e == ERR_OUT_OF_MEMORY);
    CHECK(err_diag()->hint != NULL);
    txn_rollback_wait(t);
    CHECK(get_new(1) == 1499 % 50);
    /* A bulk load needs one version per page. */
    t = test_begin(READ_COMMITTED, 1);
    for (uint32_t i = 0; i < 20000; i++) {
        row_id id;
        uint8_t row[100] = {0};
        struct txn_view v = txn_view_make(t, 0, true);
        CHECK_OK(row_insert_wait(shard_local(0), &v, TABLE_HEAP, row, sizeof(row), &id));
        txn_merge(t, 0, &v);
    }
    CHECK(shard_local(0)->versions.count < 500);
    txn_rollback_wait(t);
    CHECK(shard_local(0)->versions.bytes < 200000);
    CHECK_OK(shards_close_wait());
}

/* ---- prepared transactions at a crash ---- */

struct prepare_arg {
    txn_id_t id;
    uint32_t participants[3];
    uint32_t count;
};

SUSPENDS static err_t prepare(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    struct prepare_arg *a = arg;
    lsn_t lsn;
    lsn_t needs[3] = {0};
    TRY(part_prepare_wait(s, a->id, a->participants, a->count, &lsn, needs));
    return wal_flush_wait(s->wal, lsn);
}

SUSPENDS static err_t decide(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    struct prepare_arg *a = arg;
    lsn_t lsn;
    TRY(part_decide_wait(s, a->id, shared_commit_advance(), NULL, 0, NULL, &lsn));
    return wal_flush_wait(s->wal, lsn);
}

SUSPENDS static void prepared_steps(void)
{
    start(3);
    for (uint32_t k = 0; k < 9; k++)
        put(k, 1);
    struct txn *t[3];
    struct prepare_arg a[3];
    for (uint32_t i = 0; i < 3; i++) {
        t[i] = test_begin(READ_COMMITTED, 20 + i);
        for (uint32_t k = 0; k < 3; k++)
            CHECK_OK(set(t[i], i * 3 + k, 2));
        a[i] = (struct prepare_arg){.id = txn_id(t[i]), .participants = {0, 1, 2}, .count = 3};
    }
    /* 0: prepared everywhere; 1: only on two; 2: everywhere, and one has its COMMIT already. */
    for (uint32_t shard = 0; shard < 3; shard++) {
        CHECK_OK(on_shard_wait(t[0], shard, true, prepare, &a[0]));
        if (shard != 1)
            CHECK_OK(on_shard_wait(t[1], shard, true, prepare, &a[1]));
        if (shard == 1)
            CHECK_OK(shards_checkpoint_wait()); /* some of it in checkpoints */
        CHECK_OK(on_shard_wait(t[2], shard, true, prepare, &a[2]));
    }
    CHECK_OK(on_shard_wait(t[2], 1, true, decide, &a[2]));
    shards_abandon_wait();
    for (uint32_t i = 0; i < 3; i++)
        txn_discard(t[i]);
    CHECK_OK(shards_open_wait(&test_options));
    for (uint32_t k = 0; k < 9; k++)
        CHECK(get_new(k) == (k / 3 == 1 ? 1 : 2));
    /* The same again after another crash: what was settled stays. */
    shards_abandon_wait();
    CHECK_OK(shards_open_wait(&test_options));
    for (uint32_t k = 0; k < 9; k++)
        CHECK(get_new(k) == (k / 3 == 1 ? 1 : 2));
    CHECK_OK(shards_close_wait());
}

/* ---- stamped before its prepare records are durable ---- */

/* A commit on shards `first` and first + 1. */
struct stamp_arg {
    txn_id_t id;
    uint32_t first;
    lsn_t prepared[2];
    lsn_t needs[3];
    lsn_t lsn;
};

SUSPENDS static err_t prepare_undurable(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    struct stamp_arg *a = arg;
    uint32_t participants[2] = {a->first, a->first + 1};
    lsn_t *at = &a->prepared[s->number - a->first];
    TRY(part_prepare_wait(s, a->id, participants, 2, at, a->needs));
    a->needs[s->number] = MAX(a->needs[s->number], *at);
    return ERR_OK;
}

SUSPENDS static err_t stamp(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    struct stamp_arg *a = arg;
    uint8_t points[2 * COMMIT_POINT_BYTES];
    for (uint32_t i = 0; i < 2; i++) {
        store_u32(points + i * COMMIT_POINT_BYTES, a->first + i);
        store_u64(points + i * COMMIT_POINT_BYTES + 4, a->prepared[i]);
    }
    TRY(part_decide_wait(s, a->id, shared_commit_advance(), points, sizeof(points), a->needs,
                         &a->lsn));
    TRY(wal_flush_wait(s->wal, a->lsn));
    CHECK(!shard_is_settled(s, a->lsn));
    return ERR_OK;
}

SUSPENDS static err_t commit_undurable(struct shard *s, struct txn_view *v, void *arg)
{
    const struct stamp_arg *a = arg;
    ts_t ts;
    TRY(part_commit_wait(s, v->id, false, &ts));
    CHECK(!shard_is_settled(s, a->lsn));
    return wal_flush_wait(s->wal, wal_end(s->wal));
}

SUSPENDS static err_t is_undurable(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    const struct stamp_arg *a = arg;
    CHECK(wal_durable(s->wal) < a->prepared[s->number - a->first]);
    return ERR_OK;
}

SUSPENDS static err_t settle(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    const struct stamp_arg *a = arg;
    TRY(shard_flush_wait(s, a->lsn));
    CHECK(shard_is_settled(s, a->lsn));
    return ERR_OK;
}

/* t changes keys `first` and first + 1, has PREPARE on both shards, and is committed on the first,
 * where all is durable. */
SUSPENDS static struct txn *stamp_first(struct stamp_arg *a, uint32_t first)
{
    struct txn *t = test_begin(READ_COMMITTED, 20);
    CHECK_OK(set(t, first, 2));
    CHECK_OK(set(t, first + 1, 2));
    *a = (struct stamp_arg){.id = txn_id(t), .first = first};
    CHECK_OK(on_shard_wait(t, first, true, prepare_undurable, a));
    CHECK_OK(on_shard_wait(t, first + 1, true, prepare_undurable, a));
    CHECK_OK(on_shard_wait(t, first, true, stamp, a));
    return t;
}

/* The log that names what another has lost is cut, with all that came after on top of it. */
SUSPENDS static void stamped_lost_steps(void)
{
    start(2);
    for (uint32_t k = 0; k < 3; k++)
        put(k, 1);
    struct stamp_arg a;
    struct txn *t = stamp_first(&a, 0);
    CHECK(get_new(2) == 1);
    struct txn *later = test_begin(READ_COMMITTED, 21);
    CHECK(get(later, 0) == 2);
    CHECK_OK(set(later, 2, 2));
    CHECK_OK(on_shard_wait(later, 0, true, commit_undurable, &a));
    CHECK_OK(on_shard_wait(later, 1, false, is_undurable, &a));
    shards_abandon_wait();
    txn_discard(t);
    txn_discard(later);
    CHECK_OK(shards_open_wait(&test_options));
    for (uint32_t k = 0; k < 3; k++)
        CHECK(get_new(k) == 1);
    /* What was cut off does not come back when the log grows over it. */
    struct txn *w = test_begin(READ_COMMITTED, 22);
    CHECK_OK(set(w, 0, 7));
    CHECK_OK(txn_commit_wait(w));
    shards_abandon_wait();
    CHECK_OK(shards_open_wait(&test_options));
    CHECK(get_new(0) == 7);
    CHECK(get_new(1) == 1);
    CHECK(get_new(2) == 1);
    CHECK_OK(shards_close_wait());
}

/* Who wants it settled makes the other log durable; then a crash takes nothing. */
SUSPENDS static void stamped_kept_steps(void)
{
    start(2);
    for (uint32_t k = 0; k < 3; k++)
        put(k, 1);
    struct stamp_arg a;
    struct txn *t = stamp_first(&a, 0);
    CHECK_OK(on_shard_wait(t, 0, false, settle, &a));
    shards_abandon_wait();
    txn_discard(t);
    CHECK_OK(shards_open_wait(&test_options));
    CHECK(get_new(0) == 2);
    CHECK(get_new(1) == 2);
    CHECK_OK(shards_close_wait());
}

SUSPENDS static err_t flush_raw(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    (void)arg;
    return wal_flush_wait(s->wal, wal_end(s->wal));
}

SUSPENDS static err_t is_unsettled(struct shard *s, struct txn_view *v, void *arg)
{
    (void)v;
    const struct stamp_arg *a = arg;
    CHECK(!shard_is_settled(s, a->lsn));
    return ERR_OK;
}

/* What a commit stands on may stand on a third log: its own points are durable, and it is not
 * settled. */
SUSPENDS static void stamped_chain_steps(void)
{
    start(3);
    for (uint32_t k = 0; k < 6; k++)
        put(k, 1);
    struct stamp_arg below;
    struct txn *t = stamp_first(&below, 1);
    struct stamp_arg a;
    struct txn *later = test_begin(READ_COMMITTED, 21);
    CHECK_OK(set(later, 3, 2)); /* shard 0 */
    CHECK_OK(set(later, 4, 2)); /* shard 1 */
    a = (struct stamp_arg){.id = txn_id(later), .first = 0};
    CHECK_OK(on_shard_wait(later, 0, true, prepare_undurable, &a));
    CHECK_OK(on_shard_wait(later, 1, true, prepare_undurable, &a));
    CHECK_OK(on_shard_wait(later, 1, true, flush_raw, NULL));
    CHECK_OK(on_shard_wait(later, 0, true, stamp, &a));
    CHECK_OK(on_shard_wait(later, 2, false, is_undurable, &below));
    CHECK_OK(on_shard_wait(later, 0, false, is_unsettled, &a));
    shards_abandon_wait();
    txn_discard(t);
    txn_discard(later);
    CHECK_OK(shards_open_wait(&test_options));
    for (uint32_t k = 0; k < 6; k++)
        CHECK(get_new(k) == 1);
    CHECK_OK(shards_close_wait());
}

/* A reader whose snapshot may include a prepared transaction waits for its outcome. */
SUSPENDS static void prepared_reader_steps(void)
{
    start(2);
    put(0, 1);
    put(1, 1);
    struct txn *before = test_begin(REPEATABLE_READ, 9);
    struct txn *w = test_begin(READ_COMMITTED, 10);
    CHECK_OK(set(w, 0, 2));
    CHECK_OK(set(w, 1, 2));
    struct prepare_arg a = {.id = txn_id(w), .participants = {0, 1}, .count = 2};
    CHECK_OK(on_shard_wait(w, 0, true, prepare, &a));
    CHECK_OK(on_shard_wait(w, 1, true, prepare, &a));
    CHECK(get(before, 0) == 1); /* cannot include it: no wait */
    put(3, 1);                  /* the counter moves on */
    struct session r = {.txn = test_begin(READ_COMMITTED, 11), .row = {.key = 0}, .fn = table_get};
    session_start(&r);
    nap(5000);
    CHECK(!r.done);
    CHECK_OK(on_shard_wait(w, 0, true, decide, &a));
    session_join(&r);
    CHECK_OK(r.result);
    CHECK(r.row.found && r.row.tag == 1); /* decided after its snapshot */
    CHECK_OK(txn_commit_wait(r.txn));
    CHECK(get_new(0) == 2);
    CHECK_OK(on_shard_wait(w, 1, true, decide, &a));
    txn_rollback_wait(w); /* its parts are gone: nothing to undo */
    CHECK(get_new(1) == 2);
    CHECK_OK(txn_commit_wait(before));
    CHECK_OK(shards_close_wait());
}

/* A serializable transaction is validated on the shards that it has read, and asks no other. */
SUSPENDS static void serializable_steps(void)
{
    start(4);
    for (uint64_t k = 0; k < 4; k++)
        put(k, 1);
    struct txn *a = test_begin(SERIALIZABLE, 9);
    struct txn *b = test_begin(SERIALIZABLE, 10);
    CHECK(get(a, 1) == 1 && get(b, 2) == 1);
    CHECK(a->shard_count == 1 && a->shards[0].number == 1);
    CHECK(b->shard_count == 1 && b->shards[0].number == 2);
    CHECK_OK(set(a, 2, 2));
    CHECK_OK(set(b, 1, 2));
    CHECK(a->shard_count == 2 && b->shard_count == 2);
    CHECK_OK(txn_commit_wait(a));
    CHECK(txn_commit_wait(b) == ERR_T_R_SERIALIZATION_FAILURE);
    CHECK(get_new(1) == 1 && get_new(2) == 2);
    CHECK_OK(shards_close_wait());
}

/* ---- prepared by the user ---- */

struct held_arg {
    uint32_t shard_no;
    txn_id_t id;
    const uint32_t *participants;
    uint32_t count;
};

SUSPENDS static err_t prepare_on(void *arg)
{
    const struct held_arg *a = arg;
    struct shard *s = shard_local(a->shard_no);
    lsn_t lsn;
    lsn_t needs[3] = {0};
    TRY(part_prepare_wait(s, a->id, a->participants, a->count, &lsn, needs));
    return wal_flush_wait(s->wal, lsn);
}

SUSPENDS static void crash_wait(void)
{
    shards_abandon_wait();
    CHECK_OK(shards_open_wait(&test_options));
}

SUSPENDS static uint32_t held_count(void)
{
    struct arena *mem = arena_new();
    struct held_transaction *rows;
    uint32_t count = 0;
    CHECK_OK(held_list_wait(mem, &rows, &count));
    arena_free(mem);
    return count;
}

/* Changes keys 10 and 11, on both shards, and prepares. */
SUSPENDS static txn_id_t hold(uint32_t tag)
{
    struct txn *t = test_begin(READ_COMMITTED, 7);
    CHECK_OK(set(t, 10, tag));
    CHECK_OK(set(t, 11, tag));
    txn_id_t id = txn_id(t);
    struct held_transaction h = {.name = "held"};
    CHECK_OK(txn_hold_wait(t, &h, 1));
    CHECK(held_count() == 1);
    return id;
}

SUSPENDS static void finish(bool commit)
{
    struct held_transaction h;
    CHECK_OK(held_claim_wait("held", &h));
    CHECK_OK(held_finish_wait("held", commit, NULL, NULL));
    CHECK(held_count() == 0);
}

SUSPENDS static err_t hold_on(void *arg)
{
    const struct held_arg *a = arg;
    return part_hold_wait(shard_local(a->shard_no), a->id, a->participants, a->count, NULL, 0);
}

/* The undo of a rollback without its end. */
SUSPENDS static err_t undo_on(void *arg)
{
    const struct held_arg *a = arg;
    struct shard *s = shard_local(a->shard_no);
    struct part *p = part_find(s, a->id);
    CHECK_OK(part_unhold_wait(s, p));
    CHECK_OK(undo_to_wait(s, p, 0));
    return wal_flush_wait(s->wal, wal_end(s->wal));
}

SUSPENDS static void held_steps(void)
{
    start(2);
    put(10, 1);
    put(11, 1);
    uint32_t both[] = {0, 1};
    /* Held on all: there after crashes, with its locks, until it is finished. */
    (void)hold(2);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(get_new(10) == 1 && get_new(11) == 1);
        struct txn *t = test_begin(READ_COMMITTED, 8);
        txn_set_wait_limits(t, (struct wait_limits){.lock_timeout_ms = 1});
        CHECK(set(t, 11, 9) == ERR_LOCK_NOT_AVAILABLE);
        txn_rollback_wait(t);
        if (i == 1)
            CHECK_OK(shards_checkpoint_wait());
        crash_wait();
        CHECK(held_count() == 1);
    }
    finish(true);
    CHECK(get_new(10) == 2 && get_new(11) == 2);
    crash_wait();
    CHECK(held_count() == 0);
    CHECK(get_new(10) == 2 && get_new(11) == 2);
    /* Held on one of two only. */
    struct txn *t = test_begin(READ_COMMITTED, 7);
    CHECK_OK(set(t, 10, 3));
    CHECK_OK(set(t, 11, 3));
    struct held_arg a = {.shard_no = 1, .id = txn_id(t), .participants = both, .count = 2};
    CHECK_OK(core_call_wait(shard_core(1), hold_on, &a));
    shards_abandon_wait();
    txn_discard(t);
    CHECK_OK(shards_open_wait(&test_options));
    CHECK(held_count() == 0);
    CHECK(get_new(10) == 2 && get_new(11) == 2);
    /* COMMIT PREPARED came as far as one of two: prepared as before. */
    a.id = hold(4);
    CHECK_OK(core_call_wait(shard_core(1), prepare_on, &a));
    crash_wait();
    CHECK(held_count() == 1);
    CHECK(get_new(10) == 2 && get_new(11) == 2);
    CHECK_OK(core_call_wait(shard_core(1), prepare_on, &a));
    CHECK_OK(shards_checkpoint_wait());
    crash_wait();
    CHECK(held_count() == 1);
    finish(true);
    CHECK(get_new(10) == 4 && get_new(11) == 4);
    /* ... and as far as all of them: committed. */
    a.id = hold(5);
    CHECK_OK(core_call_wait(shard_core(1), prepare_on, &a));
    a.shard_no = 0;
    CHECK_OK(core_call_wait(shard_core(0), prepare_on, &a));
    crash_wait();
    CHECK(held_count() == 0);
    CHECK(get_new(10) == 5 && get_new(11) == 5);
    /* ROLLBACK PREPARED had begun on one. */
    a.id = hold(6);
    CHECK_OK(core_call_wait(shard_core(0), undo_on, &a));
    crash_wait();
    CHECK(held_count() == 0);
    CHECK(get_new(10) == 5 && get_new(11) == 5);
    (void)hold(7);
    finish(false);
    crash_wait();
    CHECK(held_count() == 0);
    CHECK(get_new(10) == 5 && get_new(11) == 5);
    CHECK_OK(shards_close_wait());
}

/* ---- hooks, read-only, async ---- */

static void count_up(void *arg)
{
    (*(uint32_t *)arg)++;
}

SUSPENDS static void hooks_steps(void)
{
    start(2);
    uint32_t commits = 0;
    uint32_t aborts = 0;
    struct txn *t = test_begin(READ_COMMITTED, 1);
    txn_on_commit(t, count_up, &commits);
    txn_on_commit(t, count_up, &commits); /* once */
    txn_on_abort(t, count_up, &aborts);
    CHECK_OK(txn_commit_wait(t));
    CHECK(commits == 1 && aborts == 0);
    t = test_begin(READ_COMMITTED, 1);
    txn_on_commit(t, count_up, &commits);
    txn_on_abort(t, count_up, &aborts);
    txn_rollback_wait(t);
    CHECK(commits == 1 && aborts == 1);
    struct txn_options o = {.synchronous_commit = false, .session = 4};
    t = txn_begin(&o);
    txn_statement_begin(t);
    struct test_row r = {.key = 2, .tag = 1};
    CHECK_OK(on_shard_wait(t, 0, true, table_insert, &r));
    CHECK(txn_has_written(t));
    CHECK_OK(txn_commit_wait(t));
    CHECK(get_new(2) == 1);
    /* A reader's reply waits for what it saw. */
    CHECK(wal_durable(shard_local(0)->wal) != 0);
    CHECK_OK(shards_close_wait());
}

/* ---- a damaged end of a log ---- */

/* Turns a bit of shard 1's log, which is still in its first segment. */
static void turn_bit(lsn_t at)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/shard-0001/wal/0000000000000000.wal", test_directory);
    int fd = open(path, O_RDWR);
    uint8_t byte = 0;
    CHECK(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= 4;
    CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
    (void)close(fd);
}

SUSPENDS static void open_is_refused(void)
{
    CHECK(shards_open_wait(&test_options) == ERR_DATA_CORRUPTED);
    CHECK(strstr(err_diag()->message, "log of shard 1 is damaged") != NULL);
    shards_abandon_wait();
}

SUSPENDS static void damaged_end_steps(void)
{
    enum { INTO_A_RECORD = 20 };
    start(2);
    put(10, 1);
    put(11, 1);
    CHECK_OK(shards_close_wait());
    CHECK_OK(shards_open_wait(&test_options));
    /* The last write of shard 1, and nothing that came after it. */
    lsn_t at = wal_end(shard_local(1)->wal);
    put(13, 3);
    shards_abandon_wait();
    turn_bit(at + INTO_A_RECORD);
    CHECK_OK(shards_open_wait(&test_options));
    CHECK(get_new(11) == 1 && get_new(13) == -1);
    /* A commit of shard 0 after it. */
    at = wal_end(shard_local(1)->wal);
    put(13, 4);
    put(12, 4);
    shards_abandon_wait();
    turn_bit(at + INTO_A_RECORD);
    open_is_refused();
    open_is_refused(); /* nothing was wiped */
    turn_bit(at + INTO_A_RECORD);
    CHECK_OK(shards_open_wait(&test_options));
    CHECK(get_new(12) == 4 && get_new(13) == 4);
    /* The same when a checkpoint has taken the place of shard 0's log. */
    at = wal_end(shard_local(1)->wal);
    put(15, 5);
    put(14, 5);
    CHECK_OK(shard_checkpoint_wait(shard_local(0), 0));
    shards_abandon_wait();
    turn_bit(at + INTO_A_RECORD);
    open_is_refused();
    turn_bit(at + INTO_A_RECORD);
    CHECK_OK(shards_open_wait(&test_options));
    CHECK(get_new(14) == 5 && get_new(15) == 5);
    /* A COMMIT that shard 0 has forgotten, since it counts on it, before shard 1 has looked how far
     * its own log is settled. */
    struct txn *t = test_begin(READ_COMMITTED, 7);
    CHECK_OK(set(t, 10, 6));
    CHECK_OK(set(t, 11, 6));
    txn_id_t id = txn_id(t);
    CHECK_OK(txn_commit_wait(t));
    at = finished_find(shard_local(1), id)->lsn;
    while (outcomes_in_flight() != 0)
        CHECK_OK(fiber_sleep_wait(100));
    CHECK(finished_find(shard_local(0), id) == NULL);
    CHECK_OK(wal_flush_wait(shard_local(0)->wal, wal_end(shard_local(0)->wal)));
    shards_abandon_wait();
    turn_bit(at - INTO_A_RECORD);
    open_is_refused();
    turn_bit(at - INTO_A_RECORD);
    CHECK_OK(shards_open_wait(&test_options));
    CHECK(get_new(10) == 6 && get_new(11) == 6);
    CHECK_OK(shards_close_wait());
}

#define SCENARIO(name, cores)                                                                      \
    static void name(void)                                                                         \
    {                                                                                              \
        test_directory_make();                                                                     \
        test_run(cores, name##_steps);                                                             \
        test_directory_remove();                                                                   \
    }
SCENARIO(visibility, 1)
SCENARIO(write_waits, 1)
SCENARIO(unique, 2)
SCENARIO(unique_later, 2)
SCENARIO(deadlock, 2)
SCENARIO(deadlock_apart, 2)
SCENARIO(lock_modes, 1)
SCENARIO(lock_queue, 1)
SCENARIO(table_locks, 3)
SCENARIO(moves, 2)
SCENARIO(file, 1)
SCENARIO(sequence, 1)
SCENARIO(budget, 1)
SCENARIO(prepared, 2)
SCENARIO(stamped_lost, 2)
SCENARIO(stamped_kept, 2)
SCENARIO(stamped_chain, 3)
SCENARIO(prepared_reader, 2)
SCENARIO(serializable, 4)
SCENARIO(held, 2)
SCENARIO(hooks, 1)
SCENARIO(damaged_end, 1)

SUITE_MAIN("shard transactions", TEST(visibility), TEST(write_waits), TEST(unique),
           TEST(unique_later), TEST(deadlock), TEST(deadlock_apart), TEST(lock_modes),
           TEST(lock_queue), TEST(table_locks), TEST(moves), TEST(file), TEST(sequence),
           TEST(budget), TEST(prepared), TEST(stamped_lost), TEST(stamped_kept),
           TEST(stamped_chain), TEST(prepared_reader), TEST(serializable), TEST(held), TEST(hooks),
           TEST(damaged_end))
