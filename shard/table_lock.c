/*
 * Table locks, by name, one table per core. The three weak modes do not conflict with each other,
 * so a transaction takes them on its session's core only; a strong mode is taken on every core in
 * order of core numbers, and so meets every weak holder; it is announced on all of them first, so
 * that no weak request that comes later goes ahead anywhere. On other cores the owner is found by
 * transaction id.
 */
#include "shard/table_lock.h"

struct remote_owner {
    struct lock_owner owner;
    struct remote_owner *next;
};

enum { OWNER_BUCKETS = 256 };

struct core_locks {
    struct lock_table table;
    struct remote_owner *owners[OWNER_BUCKETS];
};

/* Access: each entry by its core. */
static struct core_locks *locks_of_core[CORE_COUNT_MAX];

static struct core_locks *core_locks(void)
{
    struct core_locks **l = &locks_of_core[core_id()];
    if (*l == NULL) {
        *l = core_zalloc(sizeof(**l));
        lock_table_init(&(*l)->table, LOCKS_OF_TABLES);
    }
    return *l;
}

void table_locks_list(struct lock_rows *out)
{
    const struct core_locks *l = locks_of_core[core_id()];
    if (l != NULL)
        lock_table_list(&l->table, out);
}

bool table_lock_is_weak(enum table_lock_mode mode)
{
    return mode <= LOCK_ROW_EXCLUSIVE;
}

static struct remote_owner **owner_place(struct core_locks *l, txn_id_t id)
{
    struct remote_owner **at = &l->owners[id % OWNER_BUCKETS];
    while (*at != NULL && (*at)->owner.id != id)
        at = &(*at)->next;
    return at;
}

static void owner_drop_if_idle(struct remote_owner **at)
{
    struct remote_owner *o = *at;
    ASSUME(o != NULL);
    if (o->owner.holds == NULL && o->owner.announced == 0) {
        *at = o->next;
        core_free(o);
    }
}

err_t table_lock_local_wait(struct lock_owner *o, uint64_t name, enum table_lock_mode mode,
                            uint32_t seq, enum lock_policy policy, struct wait_limits limits,
                            bool *busy)
{
    enum lock_outcome outcome;
    bool fresh;
    TRY(lock_acquire_wait(&core_locks()->table, o, name, 0, (uint32_t)mode, seq, policy, limits,
                          &outcome, &fresh));
    *busy = outcome == LOCK_BUSY;
    return ERR_OK;
}

void table_lock_release_local(struct lock_owner *o, uint32_t since_seq)
{
    if (o->holds == NULL)
        return;
    if (since_seq == 0)
        lock_release_all(&core_locks()->table, o);
    else
        lock_release_since(&core_locks()->table, o, since_seq);
}

static struct remote_owner *owner_get(struct core_locks *l, txn_id_t id, uint32_t session)
{
    struct remote_owner *o = *owner_place(l, id);
    if (o == NULL) {
        o = core_zalloc(sizeof(*o));
        o->owner.id = id;
        o->owner.session = session;
        o->next = l->owners[id % OWNER_BUCKETS];
        l->owners[id % OWNER_BUCKETS] = o;
    }
    return o;
}

void table_lock_announce_local(struct lock_owner *o, uint64_t name, enum table_lock_mode mode)
{
    lock_announce(&core_locks()->table, o, name, 0, (uint32_t)mode);
}

void table_lock_announce_end_local(struct lock_owner *o, uint64_t name)
{
    lock_announce_end(&core_locks()->table, o, name, 0);
}

err_t table_lock_announce_remote(void *arg)
{
    struct table_lock_call *c = arg;
    struct remote_owner *o = owner_get(core_locks(), c->id, c->session);
    table_lock_announce_local(&o->owner, c->name, c->mode);
    return ERR_OK;
}

err_t table_lock_announce_end_remote(void *arg)
{
    struct table_lock_call *c = arg;
    struct remote_owner **at = owner_place(core_locks(), c->id);
    if (*at == NULL)
        return ERR_OK;
    table_lock_announce_end_local(&(*at)->owner, c->name);
    owner_drop_if_idle(owner_place(core_locks(), c->id));
    return ERR_OK;
}

err_t table_lock_remote(void *arg)
{
    struct table_lock_call *c = arg;
    struct core_locks *l = core_locks();
    struct remote_owner *o = owner_get(l, c->id, c->session);
    err_t e =
        table_lock_local_wait(&o->owner, c->name, c->mode, c->seq, c->policy, c->limits, &c->busy);
    if (e != ERR_OK || c->busy)
        owner_drop_if_idle(owner_place(l, c->id));
    return e;
}

err_t table_unlock_remote(void *arg)
{
    const struct table_lock_call *c = arg;
    struct core_locks *l = core_locks();
    struct remote_owner **at = owner_place(l, c->id);
    if (*at == NULL)
        return ERR_OK;
    table_lock_release_local(&(*at)->owner, c->seq);
    owner_drop_if_idle(owner_place(l, c->id));
    return ERR_OK;
}

err_t table_lock_serial(void *arg)
{
    struct table_lock_call *c = arg;
    c->until = core_locks()->table.hold_serial;
    return ERR_OK;
}

err_t table_lock_holders_wait(void *arg)
{
    const struct table_lock_call *c = arg;
    const struct lock_holders who = {.until = c->until,
                                     .mode = (uint32_t)c->mode,
                                     .session = c->session,
                                     .id = c->id,
                                     .limits = c->limits};
    return lock_holders_wait(&core_locks()->table, c->name, 0, &who);
}

err_t table_lock_detach_remote(void *arg)
{
    const struct table_lock_call *c = arg;
    struct remote_owner *o = *owner_place(core_locks(), c->id);
    if (o != NULL)
        o->owner.session = 0;
    return ERR_OK;
}

void table_locks_held_drop(void)
{
    struct core_locks *l = locks_of_core[core_id()];
    for (uint32_t b = 0; l != NULL && b < OWNER_BUCKETS; b++) {
        struct remote_owner **at = &l->owners[b];
        while (*at != NULL) {
            struct remote_owner *o = *at;
            if (o->owner.session != 0) {
                at = &o->next;
                continue;
            }
            lock_release_all(&l->table, &o->owner);
            *at = o->next;
            core_free(o);
        }
    }
}
