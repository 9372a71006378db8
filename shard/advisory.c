/*
 * Advisory locks: one lock table per core, a lock on the core that its key's hash names. The owner
 * there is the session, found by its number; what it holds for itself is counted, what it holds for
 * its transaction goes with the transaction or the savepoint.
 */
#include "shard/shard_priv.h"

struct advisory_owner {
    struct lock_owner owner;
    struct advisory_owner *next;
    uint32_t waits;
};

enum { OWNER_BUCKETS_FIRST = 64 };

struct core_advisory {
    struct lock_table table;
    struct advisory_owner **owners;
    uint32_t mask;
    uint32_t count;
};

/* Access: each entry by its core. */
static struct core_advisory *advisory_of_core[CORE_COUNT_MAX];

static struct core_advisory *core_advisory(void)
{
    struct core_advisory **c = &advisory_of_core[core_id()];
    if (*c == NULL) {
        *c = core_zalloc(sizeof(**c));
        lock_table_init(&(*c)->table, LOCKS_ADVISORY);
        (*c)->mask = OWNER_BUCKETS_FIRST - 1;
        (*c)->owners = core_zalloc(OWNER_BUCKETS_FIRST * sizeof(struct advisory_owner *));
    }
    return *c;
}

void advisory_locks_list(struct lock_rows *out)
{
    const struct core_advisory *c = advisory_of_core[core_id()];
    if (c != NULL)
        lock_table_list(&c->table, out);
}

/* ---- owners, on the lock's core ---- */

static struct advisory_owner **owner_place(const struct core_advisory *c, uint32_t session)
{
    struct advisory_owner **at = &c->owners[session & c->mask];
    while (*at != NULL && (*at)->owner.session != session)
        at = &(*at)->next;
    return at;
}

static void owners_grow(struct core_advisory *c)
{
    uint32_t old_mask = c->mask;
    struct advisory_owner **old = c->owners;
    c->mask = old_mask * 4 + 3;
    c->owners = core_zalloc((c->mask + 1u) * sizeof(struct advisory_owner *));
    for (uint32_t i = 0; i <= old_mask; i++) {
        struct advisory_owner *o = old[i];
        while (o != NULL) {
            struct advisory_owner *next = o->next;
            struct advisory_owner **at = owner_place(c, o->owner.session);
            o->next = NULL;
            *at = o;
            o = next;
        }
    }
    core_free(old);
}

static struct advisory_owner *owner_get(struct core_advisory *c, uint32_t session)
{
    struct advisory_owner **at = owner_place(c, session);
    if (*at != NULL)
        return *at;
    if (c->count > c->mask) {
        owners_grow(c);
        at = owner_place(c, session);
    }
    struct advisory_owner *o = core_zalloc(sizeof(*o));
    o->owner.session = session;
    *at = o;
    c->count++;
    return o;
}

static void owner_drop_if_idle(struct core_advisory *c, uint32_t session)
{
    struct advisory_owner **at = owner_place(c, session);
    struct advisory_owner *o = *at;
    if (o == NULL || o->owner.holds != NULL || o->waits != 0)
        return;
    *at = o->next;
    core_free(o);
    c->count--;
}

/* ---- calls ---- */

struct advisory_call {
    const struct advisory_request *request;
    enum advisory_mode mode;
    uint32_t seq;
    bool is_done; /* out: granted, was held */
};

static uint64_t key_space(const struct advisory_key *k)
{
    return (uint64_t)k->database << 32 | (k->is_two ? 2 : 1);
}

static uint32_t key_core(const struct advisory_key *k)
{
    uint64_t h = (key_space(k) ^ k->key) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
    return (uint32_t)(h % core_count());
}

SUSPENDS static err_t lock_here_wait(void *arg)
{
    struct advisory_call *call = arg;
    const struct advisory_request *r = call->request;
    struct core_advisory *c = core_advisory();
    struct advisory_owner *o = owner_get(c, r->session);
    o->owner.id = r->txn;
    enum lock_outcome outcome;
    bool fresh;
    o->waits++;
    err_t e = lock_acquire_wait(&c->table, &o->owner, key_space(&r->key), r->key.key,
                                (uint32_t)call->mode, call->seq,
                                r->is_try ? LOCK_NOWAIT : LOCK_WAIT, r->limits, &outcome, &fresh);
    o->waits--;
    call->is_done = e == ERR_OK && outcome == LOCK_GRANTED;
    owner_drop_if_idle(c, r->session);
    return e;
}

static err_t unlock_here(void *arg)
{
    struct advisory_call *call = arg;
    const struct advisory_request *r = call->request;
    struct core_advisory *c = core_advisory();
    struct advisory_owner *o = *owner_place(c, r->session);
    uint64_t a = key_space(&r->key);
    if (o == NULL || lock_hold_count(&c->table, &o->owner, a, r->key.key, call->mode) == 0)
        return ERR_OK;
    call->is_done = true;
    lock_release_mode(&c->table, &o->owner, a, r->key.key, (uint32_t)call->mode);
    owner_drop_if_idle(c, r->session);
    return ERR_OK;
}

struct release_call {
    uint32_t session;
    uint32_t seq;
    bool is_session;
};

static err_t release_here(void *arg)
{
    const struct release_call *call = arg;
    struct core_advisory *c = core_advisory();
    struct advisory_owner *o = *owner_place(c, call->session);
    if (o == NULL)
        return ERR_OK;
    if (call->is_session)
        lock_release_counted(&c->table, &o->owner);
    else
        lock_release_since(&c->table, &o->owner, call->seq);
    owner_drop_if_idle(c, call->session);
    return ERR_OK;
}

static void note_core(struct advisory_locks *held, uint32_t core)
{
    held->cores[core / 64] |= UINT64_C(1) << (core % 64);
}

SUSPENDS static void release_wait(const struct advisory_locks *held, struct release_call *call)
{
    for (uint32_t core = 0; core < core_count(); core++) {
        if ((held->cores[core / 64] >> (core % 64) & 1) != 0)
            ERR_IGNORE(core_call_wait(core, release_here, call));
    }
}

/* ---- of the session ---- */

err_t advisory_lock_wait(struct advisory_locks *held, const struct advisory_request *r,
                         bool *granted)
{
    uint32_t core = key_core(&r->key);
    struct advisory_call call = {
        .request = r, .mode = r->is_shared ? ADVISORY_SHARED_SESSION : ADVISORY_EXCLUSIVE_SESSION};
    note_core(held, core);
    TRY(core_call_wait(core, lock_here_wait, &call));
    *granted = call.is_done;
    return ERR_OK;
}

err_t advisory_unlock_wait(const struct advisory_request *r, bool *was_held)
{
    struct advisory_call call = {
        .request = r, .mode = r->is_shared ? ADVISORY_SHARED_SESSION : ADVISORY_EXCLUSIVE_SESSION};
    TRY(core_call_wait(key_core(&r->key), unlock_here, &call));
    *was_held = call.is_done;
    return ERR_OK;
}

void advisory_unlock_all_wait(struct advisory_locks *held, uint32_t session)
{
    struct release_call call = {.session = session, .is_session = true};
    release_wait(held, &call);
    *held = (struct advisory_locks){0};
}

/* ---- of the transaction ---- */

err_t advisory_txn_lock_wait(struct advisory_locks *held, const struct advisory_request *r,
                             uint32_t seq, bool *granted)
{
    uint32_t core = key_core(&r->key);
    struct advisory_call call = {.request = r,
                                 .mode =
                                     r->is_shared ? ADVISORY_SHARED_TXN : ADVISORY_EXCLUSIVE_TXN,
                                 .seq = seq};
    note_core(held, core);
    TRY(core_call_wait(core, lock_here_wait, &call));
    *granted = call.is_done;
    return ERR_OK;
}

void advisory_txn_release_wait(const struct advisory_locks *held, uint32_t session, uint32_t since)
{
    struct release_call call = {.session = session, .seq = since};
    release_wait(held, &call);
}
