/*
 * Advisory locks: one lock table per core, a lock on the core that its key's hash names. The owner
 * there is the session, found by its number; what it holds for itself is counted, what it holds for
 * its transaction goes with the transaction or the savepoint. A prepared transaction is an owner of
 * its own, found by its id.
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

/* id counts for prepared transactions only: session 0. */
static struct advisory_owner **owner_place(const struct core_advisory *c, txn_id_t id,
                                           uint32_t session)
{
    uint64_t name = wait_node(id, session);
    struct advisory_owner **at = &c->owners[(uint32_t)name & c->mask];
    while (*at != NULL && wait_node((*at)->owner.id, (*at)->owner.session) != name)
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
            struct advisory_owner **at = owner_place(c, o->owner.id, o->owner.session);
            o->next = NULL;
            *at = o;
            o = next;
        }
    }
    core_free(old);
}

static struct advisory_owner *owner_get(struct core_advisory *c, txn_id_t id, uint32_t session)
{
    struct advisory_owner **at = owner_place(c, id, session);
    if (*at != NULL)
        return *at;
    if (c->count > c->mask) {
        owners_grow(c);
        at = owner_place(c, id, session);
    }
    struct advisory_owner *o = core_zalloc(sizeof(*o));
    o->owner.id = id;
    o->owner.session = session;
    *at = o;
    c->count++;
    return o;
}

static void owner_drop_if_idle(struct core_advisory *c, txn_id_t id, uint32_t session)
{
    struct advisory_owner **at = owner_place(c, id, session);
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

static uint32_t name_core(uint64_t space, uint64_t key)
{
    uint64_t h = (space ^ key) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
    return (uint32_t)(h % core_count());
}

static uint32_t key_core(const struct advisory_key *k)
{
    return name_core(key_space(k), k->key);
}

SUSPENDS static err_t lock_here_wait(void *arg)
{
    struct advisory_call *call = arg;
    const struct advisory_request *r = call->request;
    struct core_advisory *c = core_advisory();
    struct advisory_owner *o = owner_get(c, r->txn, r->session);
    o->owner.id = r->txn;
    enum lock_outcome outcome;
    bool fresh;
    o->waits++;
    err_t e = lock_acquire_wait(&c->table, &o->owner, key_space(&r->key), r->key.key,
                                (uint32_t)call->mode, call->seq,
                                r->is_try ? LOCK_NOWAIT : LOCK_WAIT, r->limits, &outcome, &fresh);
    o->waits--;
    call->is_done = e == ERR_OK && outcome == LOCK_GRANTED;
    owner_drop_if_idle(c, r->txn, r->session);
    return e;
}

static err_t unlock_here(void *arg)
{
    struct advisory_call *call = arg;
    const struct advisory_request *r = call->request;
    struct core_advisory *c = core_advisory();
    struct advisory_owner *o = *owner_place(c, r->txn, r->session);
    uint64_t a = key_space(&r->key);
    if (o == NULL || lock_hold_count(&c->table, &o->owner, a, r->key.key, call->mode) == 0)
        return ERR_OK;
    call->is_done = true;
    lock_release_mode(&c->table, &o->owner, a, r->key.key, (uint32_t)call->mode);
    owner_drop_if_idle(c, r->txn, r->session);
    return ERR_OK;
}

struct release_call {
    txn_id_t id;
    uint32_t session;
    uint32_t seq;
    bool is_session;
};

static err_t release_here(void *arg)
{
    const struct release_call *call = arg;
    struct core_advisory *c = core_advisory();
    struct advisory_owner *o = *owner_place(c, call->id, call->session);
    if (o == NULL)
        return ERR_OK;
    if (call->is_session)
        lock_release_counted(&c->table, &o->owner);
    else
        lock_release_since(&c->table, &o->owner, call->seq);
    owner_drop_if_idle(c, call->id, call->session);
    return ERR_OK;
}

static void note_core(struct advisory_locks *held, uint32_t core)
{
    held->cores[core / 64] |= UINT64_C(1) << (core % 64);
}

static bool is_held_on(const struct advisory_locks *held, uint32_t core)
{
    return (held->cores[core / 64] >> (core % 64) & 1) != 0;
}

SUSPENDS static void release_wait(const struct advisory_locks *held, struct release_call *call)
{
    for (uint32_t core = 0; core < core_count(); core++) {
        if (is_held_on(held, core))
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

void advisory_txn_release_wait(const struct advisory_locks *held, txn_id_t id, uint32_t session,
                               uint32_t since)
{
    struct release_call call = {.id = id, .session = session, .seq = since};
    release_wait(held, &call);
}

/* ---- of a prepared transaction ---- */

struct list_call {
    uint32_t session;
    bool is_mixed;             /* out: the session holds one of them for itself too */
    struct byte_writer *locks; /* out: of this core */
    uint32_t count;
};

static err_t list_here(void *arg)
{
    struct list_call *call = arg;
    const struct advisory_owner *o = *owner_place(core_advisory(), 0, call->session);
    const struct lock_hold *at = NULL;
    struct lock_name name;
    call->locks = core_zalloc(sizeof(*call->locks));
    while (o != NULL && lock_hold_next(&o->owner, &at, &name)) {
        const uint16_t of_txn = 1u << ADVISORY_SHARED_TXN | 1u << ADVISORY_EXCLUSIVE_TXN;
        if ((name.modes & of_txn) == 0)
            continue;
        call->is_mixed |= lock_is_counted(name.modes);
        write_lock(call->locks, &name);
        call->count++;
    }
    return ERR_OK;
}

static err_t list_free_here(void *arg)
{
    struct list_call *call = arg;
    core_free(call->locks->bytes);
    core_free(call->locks);
    return ERR_OK;
}

bool advisory_txn_list_wait(const struct advisory_locks *held, uint32_t session,
                            struct byte_writer *out, uint32_t *count)
{
    bool is_mixed = false;
    *count = 0;
    for (uint32_t core = 0; core < core_count(); core++) {
        struct list_call call = {.session = session};
        if (!is_held_on(held, core) || core_call_wait(core, list_here, &call) != ERR_OK)
            continue;
        write_bytes(out, call.locks->bytes, call.locks->len);
        *count += call.count;
        is_mixed |= call.is_mixed;
        ERR_IGNORE(core_call_wait(core, list_free_here, &call));
    }
    return !is_mixed;
}

static err_t detach_here(void *arg)
{
    const struct release_call *call = arg;
    struct core_advisory *c = core_advisory();
    struct advisory_owner *o = *owner_place(c, 0, call->session);
    if (o == NULL)
        return ERR_OK;
    struct advisory_owner *to = owner_get(c, call->id, 0);
    lock_holds_move(&o->owner, &to->owner);
    owner_drop_if_idle(c, call->id, 0);
    owner_drop_if_idle(c, 0, call->session);
    return ERR_OK;
}

void advisory_txn_detach_wait(const struct advisory_locks *held, uint32_t session, txn_id_t id)
{
    struct release_call call = {.id = id, .session = session};
    for (uint32_t core = 0; core < core_count(); core++) {
        if (is_held_on(held, core))
            ERR_IGNORE(core_call_wait(core, detach_here, &call));
    }
}

struct restore_call {
    txn_id_t id;
    const struct lock_name *name;
};

static err_t restore_here(void *arg)
{
    const struct restore_call *call = arg;
    struct core_advisory *c = core_advisory();
    lock_restore(&c->table, &owner_get(c, call->id, 0)->owner, call->name);
    return ERR_OK;
}

void advisory_txn_restore_wait(struct advisory_locks *held, txn_id_t id,
                               const struct lock_name *name)
{
    uint32_t core = name_core(name->a, name->b);
    struct restore_call call = {.id = id, .name = name};
    note_core(held, core);
    ERR_IGNORE(core_call_wait(core, restore_here, &call));
}

void advisory_held_drop(void)
{
    struct core_advisory *c = advisory_of_core[core_id()];
    for (uint32_t b = 0; c != NULL && b <= c->mask; b++) {
        struct advisory_owner **at = &c->owners[b];
        while (*at != NULL) {
            struct advisory_owner *o = *at;
            if (o->owner.session != 0) {
                at = &o->next;
                continue;
            }
            lock_release_all(&c->table, &o->owner);
            *at = o->next;
            core_free(o);
            c->count--;
        }
    }
}
