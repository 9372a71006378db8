/*
 * pg_locks: table and advisory locks, waits, and what every transaction holds of itself (its
 * virtual and its real id). A wait for a row shows as a wait for the transaction that has the row.
 */
#include "shard/held.h"
#include "sql/session/registry.h"
#include "sql/session/session_priv.h"
#include "sql/session/view_rows.h"

#include <stdlib.h>

enum {
    COL_LOCKTYPE,
    COL_DATABASE,
    COL_RELATION,
    COL_PAGE,
    COL_TUPLE,
    COL_VIRTUALXID,
    COL_TRANSACTIONID,
    COL_CLASSID,
    COL_OBJID,
    COL_OBJSUBID,
    COL_VIRTUALTRANSACTION,
    COL_PID,
    COL_MODE,
    COL_GRANTED,
    COL_FASTPATH,
    COL_WAITSTART,
    COL_COUNT,
};

struct running { /* a transaction of a session */
    uint32_t pid;
    uint32_t serial;
    uint64_t txn;
};

struct running_list { /* of one core, in an arena of that core */
    struct arena *mem;
    struct running *rows;
    uint64_t count;
    uint64_t room;
};

static void running_add(void *ctx, struct session *s)
{
    struct running_list *l = ctx;
    if (l->count == l->room) {
        uint64_t room = l->room ? l->room * 2 : 64;
        struct running *rows = ARENA_ARRAY(l->mem, struct running, room);
        if (l->count)
            memcpy(rows, l->rows, sizeof(*rows) * l->count);
        l->rows = rows;
        l->room = room;
    }
    l->rows[l->count++] = (struct running){
        .pid = s->pid, .serial = s->txn_serial, .txn = s->txn ? txn_id(s->txn) : 0};
    if (!s->txn)
        l->rows[l->count - 1].serial = 0;
}

static err_t running_collect(void *arg)
{
    struct running_list *l = arg;
    l->mem = arena_new();
    session_each_local(running_add, l);
    return ERR_OK;
}

static err_t running_release(void *arg)
{
    struct running_list *l = arg;
    arena_free(l->mem);
    return ERR_OK;
}

static int running_compare(const void *a, const void *b)
{
    uint32_t x = ((const struct running *)a)->pid;
    uint32_t y = ((const struct running *)b)->pid;
    return (x > y) - (x < y);
}

/* Sessions of all cores by pid; serial 0 = no transaction. */
static SUSPENDS err_t running_all_wait(struct arena *mem, struct running **rows, uint64_t *count)
{
    *rows = NULL;
    *count = 0;
    for (uint32_t core = 0; core < core_count(); core++) {
        struct running_list l = {0};
        TRY(core_call_wait(core, running_collect, &l));
        struct running *all = ARENA_ARRAY(mem, struct running, *count + l.count + 1);
        if (*count)
            memcpy(all, *rows, sizeof(*all) * *count);
        if (l.count)
            memcpy(all + *count, l.rows, sizeof(*all) * l.count);
        *rows = all;
        *count += l.count;
        TRY(core_call_wait(core, running_release, &l));
    }
    if (*rows)
        qsort(*rows, *count, sizeof(**rows), running_compare);
    return ERR_OK;
}

static datum *lock_view_row(struct view_rows *v, struct arena *mem, const char *type,
                            const struct running *r, uint32_t pid, uint64_t txn, const char *mode,
                            bool granted, bool **nulls)
{
    datum *row = view_add(v, nulls);
    view_text(v, row, *nulls, COL_LOCKTYPE, type);
    view_text(v, row, *nulls, COL_VIRTUALTRANSACTION,
              pid ? arena_printf(mem, "%u/%u", pid, r ? r->serial : 0)
                  : arena_printf(mem, "-1/%u", (oid)txn));
    if (pid)
        view_set(row, *nulls, COL_PID, datum_of_i32((int32_t)pid));
    view_text(v, row, *nulls, COL_MODE, mode);
    view_set(row, *nulls, COL_GRANTED, datum_of_bool(granted));
    view_set(row, *nulls, COL_FASTPATH, datum_of_bool(false));
    return row;
}

static void lock_view_running(struct view_rows *v, struct arena *mem, const struct running *r)
{
    bool *nulls;
    datum *row =
        lock_view_row(v, mem, "virtualxid", r, r->pid, r->txn, "ExclusiveLock", true, &nulls);
    view_text(v, row, nulls, COL_VIRTUALXID, arena_printf(mem, "%u/%u", r->pid, r->serial));
    if (!r->txn)
        return;
    row = lock_view_row(v, mem, "transactionid", r, r->pid, r->txn, "ExclusiveLock", true, &nulls);
    view_set(row, nulls, COL_TRANSACTIONID, datum_of_oid((oid)r->txn));
}

static void lock_view_lock(struct view_rows *v, struct arena *mem, const struct lock_row *l,
                           const struct running *r)
{
    bool *nulls;
    datum *row = lock_view_row(v, mem, lock_kind_name(l->kind), r, l->session, l->id,
                               lock_mode_name(l->kind, l->mode), l->is_granted, &nulls);
    view_time(row, nulls, COL_WAITSTART, l->waits_since);
    if (l->kind == LOCKS_OF_ROWS) {
        view_set(row, nulls, COL_TRANSACTIONID, datum_of_oid((oid)l->blocker));
        return;
    }
    view_set(row, nulls, COL_DATABASE, datum_of_oid((oid)(l->a >> 32)));
    if (l->kind == LOCKS_OF_TABLES) {
        view_set(row, nulls, COL_RELATION, datum_of_oid((oid)l->a));
        return;
    }
    view_set(row, nulls, COL_CLASSID, datum_of_oid((oid)(l->b >> 32)));
    view_set(row, nulls, COL_OBJID, datum_of_oid((oid)l->b));
    view_set(row, nulls, COL_OBJSUBID, datum_of_i16((int16_t)l->a));
}

static SUSPENDS err_t lock_view_begin(const struct session_env *env, struct arena *mem,
                                      void **state)
{
    (void)env;
    struct view_rows *v = view_new(mem, COL_COUNT);
    struct running *sessions;
    uint64_t session_count;
    TRY(running_all_wait(mem, &sessions, &session_count));
    struct lock_row *locks;
    size_t lock_count;
    TRY(locks_list_wait(mem, LOCKS_ALL, &locks, &lock_count));
    for (size_t i = 0; i < lock_count; i++) {
        struct running key = {.pid = locks[i].session};
        const struct running *r =
            sessions ? bsearch(&key, sessions, session_count, sizeof(key), running_compare) : NULL;
        lock_view_lock(v, mem, &locks[i], r);
    }
    for (uint64_t i = 0; i < session_count; i++) {
        if (sessions[i].serial)
            lock_view_running(v, mem, &sessions[i]);
    }
    struct held_transaction *prepared;
    uint32_t prepared_count;
    TRY(held_list_wait(mem, &prepared, &prepared_count));
    for (uint32_t i = 0; i < prepared_count; i++) {
        bool *nulls;
        datum *row = lock_view_row(v, mem, "transactionid", NULL, 0, prepared[i].id,
                                   "ExclusiveLock", true, &nulls);
        view_set(row, nulls, COL_TRANSACTIONID, datum_of_oid((oid)prepared[i].id));
    }
    *state = v;
    return ERR_OK;
}

const struct virtual_rows lock_view_rows = {.begin = lock_view_begin, .next = view_next};
