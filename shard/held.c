/*
 * The coordinator of prepared transactions. The struct txn of a session goes on without the
 * session, on the core that has its weak table locks: its table locks and advisory locks stay what
 * they are, and COMMIT PREPARED is the same commit as any other, run there. Its participants keep
 * the parts (hold.c).
 *
 *   session's core                        core 0: names
 *     reserve the name            ──────►   entry, not valid yet
 *     HOLD on all participants, settled
 *     locks lose their session
 *     announce                    ──────►   entry valid
 *
 *   any session                           core 0                     the transaction's core
 *     claim                       ──────►   entry claimed
 *     finish                      ─────────────────────────────────►   commit or rollback
 *     forget                      ──────►   entry gone
 *
 * At start, when prepared transactions have been settled, each first participant's info gives the
 * struct txn back, on that shard's core, with its locks, before any session is there.
 *
 * Info: u32 owner, u32 database, u64 prepared_at, u8 changed_catalog, u16 length, name, u32 table
 * locks, u32 advisory locks, each u64, u64, u16 modes.
 */
#include "shard/held.h"

#include "shard/table_lock.h"
#include "shard/txn_priv.h"

struct held_entry {
    struct held_entry *next;
    struct held_transaction info;
    uint32_t core; /* where the struct txn is */
    bool is_valid;
    bool is_claimed;
};

/* Access: core 0. */
static struct held_registry {
    struct held_entry *first;
    uint32_t count;
} registry;

/* Access: each entry by its core. */
static struct txn *held_of_core[CORE_COUNT_MAX];

enum { REGISTRY_CORE = 0 };

/* ---- names, on their core ---- */

struct name_call {
    const char *name;
    struct held_transaction info; /* in: reserve, announce; out: claim */
    uint32_t core;                /* likewise */
    uint32_t count_max;
    bool is_valid;
};

static struct held_entry **entry_place(const char *name)
{
    struct held_entry **at = &registry.first;
    while (*at != NULL && strcmp((*at)->info.name, name) != 0)
        at = &(*at)->next;
    return at;
}

static err_t name_reserve(void *arg)
{
    const struct name_call *c = arg;
    if (*entry_place(c->info.name) != NULL)
        return err_raise(ERR_DUPLICATE_OBJECT, "transaction identifier \"%s\" is already in use",
                         c->info.name);
    if (registry.count >= c->count_max) {
        err_t e = err_raise(ERR_OUT_OF_MEMORY, "maximum number of prepared transactions reached");
        err_hint("Increase max_prepared_transactions (currently %u).", c->count_max);
        return e;
    }
    struct held_entry *entry = core_zalloc(sizeof(*entry));
    entry->info = c->info;
    entry->core = c->core;
    entry->is_valid = c->is_valid;
    entry->next = registry.first;
    registry.first = entry;
    registry.count++;
    return ERR_OK;
}

static err_t name_announce(void *arg)
{
    const struct name_call *c = arg;
    struct held_entry *entry = *entry_place(c->name);
    ASSERT(entry != NULL);
    entry->info.id = c->info.id;
    entry->is_valid = true;
    return ERR_OK;
}

static err_t name_forget(void *arg)
{
    const struct name_call *c = arg;
    struct held_entry **at = entry_place(c->name);
    struct held_entry *entry = *at;
    ASSERT(entry != NULL);
    *at = entry->next;
    core_free(entry);
    registry.count--;
    return ERR_OK;
}

static err_t name_claim(void *arg)
{
    struct name_call *c = arg;
    struct held_entry *entry = *entry_place(c->name);
    if (entry == NULL || !entry->is_valid)
        return err_raise(ERR_UNDEFINED_OBJECT,
                         "prepared transaction with identifier \"%s\" does not exist", c->name);
    if (entry->is_claimed)
        return err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "prepared transaction with identifier \"%s\" is busy", c->name);
    entry->is_claimed = true;
    c->info = entry->info;
    return ERR_OK;
}

static err_t name_unclaim(void *arg)
{
    const struct name_call *c = arg;
    struct held_entry *entry = *entry_place(c->name);
    ASSERT(entry != NULL);
    entry->is_claimed = false;
    return ERR_OK;
}

static err_t name_find(void *arg)
{
    struct name_call *c = arg;
    const struct held_entry *entry = *entry_place(c->name);
    ASSERT(entry != NULL);
    ASSERT(entry->is_claimed);
    c->info = entry->info;
    c->core = entry->core;
    return ERR_OK;
}

/* ---- what is written down ---- */

static uint32_t put_table_locks(const struct txn *t, struct byte_writer *w)
{
    uint32_t count = 0;
    const struct lock_hold *at = NULL;
    struct lock_name name;
    while (lock_hold_next(&t->table_locks, &at, &name)) {
        write_lock(w, &name);
        count++;
    }
    return count;
}

SUSPENDS static err_t info_make_wait(struct txn *t, const struct held_transaction *h,
                                     struct byte_writer *w)
{
    write_u32(w, h->owner);
    write_u32(w, h->database);
    write_u64(w, (uint64_t)h->prepared_at);
    write_u8(w, h->changed_catalog ? 1 : 0);
    write_u16(w, u16_from(strlen(h->name)));
    write_bytes(w, h->name, strlen(h->name));
    size_t counts_at = w->len;
    write_u32(w, 0);
    write_u32(w, 0);
    uint32_t tables = put_table_locks(t, w);
    uint32_t advisory = 0;
    if (t->has_advisory_locks &&
        !advisory_txn_list_wait(&t->advisory_locks, t->options.session, w, &advisory))
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "cannot PREPARE while holding both session-level and transaction-level "
                         "locks on the same object");
    store_u32(w->bytes + counts_at, tables);
    store_u32(w->bytes + counts_at + 4, advisory);
    return ERR_OK;
}

/* ---- PREPARE TRANSACTION ---- */

SUSPENDS static err_t call_hold(void *arg)
{
    struct shard_call *c = arg;
    bool is_first = c->shard_no == c->participants[0];
    return part_hold_wait(shard_local(c->shard_no), c->id, c->participants, c->participant_count,
                          is_first ? c->info : NULL, is_first ? c->info_bytes : 0);
}

SUSPENDS static err_t hold_parts_wait(struct txn *t, const struct byte_writer *info)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->shard_count; i++) {
        t->shards[i].wrote |= t->notes_reads;
        count += t->shards[i].wrote || t->shards[i].logged;
    }
    if (count == 0) { /* it did nothing, and must be there all the same */
        txn_shard(t, shard_home_of_core(core_id()))->wrote = true;
        count = 1;
    }
    uint32_t *participants = core_malloc(count * sizeof(*participants));
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->shard_count; i++) {
        if (!t->shards[i].wrote && !t->shards[i].logged)
            continue;
        t->shards[i].logged = true;
        participants[n++] = t->shards[i].number;
    }
    struct shard_call like = {.id = t->id,
                              .participants = participants,
                              .participant_count = count,
                              .info = info->bytes,
                              .info_bytes = u32_from(info->len)};
    err_t e = txn_on_shards_wait(t, call_hold, &like);
    core_free(participants);
    return e;
}

SUSPENDS static err_t hold_wait(struct txn *t, const struct held_transaction *h)
{
    struct byte_writer info = {0};
    err_t e = info_make_wait(t, h, &info);
    if (e == ERR_OK)
        e = txn_observe_wait(t);
    if (e == ERR_OK)
        e = hold_parts_wait(t, &info);
    core_free(info.bytes);
    return e;
}

/* On the core that has its weak table locks: the session may have moved since it took them. */
static err_t hold_here(void *arg)
{
    struct txn *t = arg;
    t->table_locks.session = 0;
    t->held_next = held_of_core[core_id()];
    held_of_core[core_id()] = t;
    txn_memory(t, core_memory_join);
    return ERR_OK;
}

SUSPENDS static void detach_wait(struct txn *t)
{
    uint32_t session = t->options.session;
    t->options.session = 0;
    t->options.synchronous_commit = true;
    for (uint32_t core = 0; t->has_strong_locks && core < core_count(); core++) {
        struct table_lock_call c = {.id = t->id};
        if (core != t->lock_core)
            ERR_IGNORE(core_call_wait(core, table_lock_detach_remote, &c));
    }
    if (t->has_advisory_locks)
        advisory_txn_detach_wait(&t->advisory_locks, session, t->id);
    txn_memory(t, core_memory_leave);
    ERR_IGNORE(core_call_wait(t->lock_core, hold_here, t));
}

err_t txn_hold_wait(struct txn *t, const struct held_transaction *h, uint32_t count_max)
{
    fiber_shield_begin();
    if (!t->notes_reads) /* as in txn_commit_wait */
        snapshot_drop(&t->snapshot);
    (void)txn_assign_id(t);
    txn_settle_views(t);
    struct name_call name = {
        .name = h->name, .info = *h, .core = t->lock_core, .count_max = count_max};
    name.info.id = t->id;
    err_t e = core_call_wait(REGISTRY_CORE, name_reserve, &name);
    bool is_reserved = e == ERR_OK;
    if (e == ERR_OK)
        e = hold_wait(t, h);
    if (e == ERR_OK) {
        snapshot_drop(&t->snapshot);
        txn_hooks_end_wait(t);
        detach_wait(t);
        ERR_IGNORE(core_call_wait(REGISTRY_CORE, name_announce, &name));
    } else {
        struct diag *kept = core_malloc(sizeof(*kept));
        diag_copy(kept, err_diag());
        txn_rollback_work_wait(t);
        if (is_reserved)
            ERR_IGNORE(core_call_wait(REGISTRY_CORE, name_forget, &name));
        txn_free(t);
        e = err_adopt(kept);
        core_free(kept);
    }
    fiber_shield_end();
    return e;
}

/* ---- COMMIT PREPARED, ROLLBACK PREPARED ---- */

err_t held_claim_wait(const char *name, struct held_transaction *out)
{
    struct name_call c = {.name = name};
    TRY(core_call_wait(REGISTRY_CORE, name_claim, &c));
    *out = c.info;
    return ERR_OK;
}

void held_unclaim_wait(const char *name)
{
    struct name_call c = {.name = name};
    ERR_IGNORE(core_call_wait(REGISTRY_CORE, name_unclaim, &c));
}

struct finish_call {
    txn_id_t id;
    bool commit;
    void (*on_commit)(void *arg);
    void *arg;
};

SUSPENDS static err_t call_hold_again(void *arg)
{
    const struct shard_call *c = arg;
    return part_hold_again_wait(shard_local(c->shard_no), c->id);
}

SUSPENDS static err_t call_flush_end(void *arg)
{
    const struct shard_call *c = arg;
    struct shard *s = shard_local(c->shard_no);
    return shard_flush_wait(s, shard_log_end(s));
}

SUSPENDS static err_t commit_here_wait(struct txn *t, const struct finish_call *c)
{
    if (c->on_commit != NULL)
        txn_on_commit(t, c->on_commit, c->arg);
    struct shard_call like = {.id = t->id};
    err_t e = txn_commit_work_wait(t);
    if (e == ERR_OK) {
        txn_finish_work_wait(t);
        return ERR_OK;
    }
    struct diag *kept = core_malloc(sizeof(*kept));
    diag_copy(kept, err_diag());
    if (!t->is_decided)
        ERR_IGNORE(txn_on_shards_wait(t, call_hold_again, &like));
    e = err_adopt(kept);
    core_free(kept);
    return e;
}

SUSPENDS static err_t finish_here(void *arg)
{
    const struct finish_call *c = arg;
    struct txn **at = &held_of_core[core_id()];
    while (*at != NULL && (*at)->id != c->id)
        at = &(*at)->held_next;
    struct txn *t = *at;
    ASSUME(t != NULL);
    *at = t->held_next;
    err_t e = ERR_OK;
    fiber_shield_begin();
    if (c->commit) {
        e = commit_here_wait(t, c);
    } else {
        struct shard_call like = {.id = t->id};
        txn_rollback_work_wait(t);
        e = txn_on_shards_wait(t, call_flush_end, &like);
    }
    fiber_shield_end();
    if (c->commit && e != ERR_OK) {
        t->held_next = held_of_core[core_id()];
        held_of_core[core_id()] = t;
    } else {
        txn_free(t);
    }
    return e;
}

err_t held_finish_wait(const char *name, bool commit, void (*on_commit)(void *arg), void *arg)
{
    fiber_shield_begin();
    struct name_call c = {.name = name};
    err_t e = core_call_wait(REGISTRY_CORE, name_find, &c);
    struct finish_call finish = {
        .id = c.info.id, .commit = commit, .on_commit = on_commit, .arg = arg};
    if (e == ERR_OK)
        e = core_call_wait(c.core, finish_here, &finish);
    struct diag *kept = core_malloc(sizeof(*kept));
    diag_copy(kept, err_diag());
    if (e == ERR_OK || !commit)
        ERR_IGNORE(core_call_wait(REGISTRY_CORE, name_forget, &c));
    else
        held_unclaim_wait(name);
    if (e != ERR_OK)
        e = err_adopt(kept);
    core_free(kept);
    fiber_shield_end();
    return e;
}

/* ---- what there is ---- */

struct list_call {
    struct held_transaction *rows;
    uint32_t count;
};

static err_t list_rows(void *arg)
{
    struct list_call *c = arg;
    c->rows = core_malloc((registry.count + 1u) * sizeof(*c->rows));
    for (const struct held_entry *e = registry.first; e != NULL; e = e->next) {
        if (e->is_valid)
            c->rows[c->count++] = e->info;
    }
    return ERR_OK;
}

static err_t list_free(void *arg)
{
    struct list_call *c = arg;
    core_free(c->rows);
    return ERR_OK;
}

err_t held_list_wait(struct arena *mem, struct held_transaction **rows, uint32_t *count)
{
    struct list_call c = {0};
    TRY(core_call_wait(REGISTRY_CORE, list_rows, &c));
    *rows = ARENA_ARRAY(mem, struct held_transaction, c.count + 1);
    if (c.count != 0)
        memcpy(*rows, c.rows, c.count * sizeof(**rows));
    *count = c.count;
    return core_call_wait(REGISTRY_CORE, list_free, &c);
}

err_t held_rollback_all_wait(void)
{
    struct arena *mem = arena_new();
    struct held_transaction *rows;
    uint32_t count = 0;
    err_t e = held_list_wait(mem, &rows, &count);
    for (uint32_t i = 0; e == ERR_OK && i < count; i++) {
        struct held_transaction h;
        e = held_claim_wait(rows[i].name, &h);
        if (e == ERR_OK)
            e = held_finish_wait(rows[i].name, false, NULL, NULL);
    }
    arena_free(mem);
    return e;
}

/* ---- start and stop ---- */

static bool read_info(struct byte_reader *r, struct held_transaction *h)
{
    h->owner = read_u32(r);
    h->database = read_u32(r);
    h->prepared_at = (int64_t)read_u64(r);
    h->changed_catalog = read_u8(r) != 0;
    uint16_t len = read_u16(r);
    const uint8_t *name = read_bytes(r, len);
    if (r->is_bad || len > HELD_NAME_BYTES_MAX)
        return false;
    memcpy(h->name, name, len);
    return true;
}

SUSPENDS static err_t restore_locks_wait(struct txn *t, struct byte_reader *r)
{
    uint32_t tables = read_u32(r);
    uint32_t advisory = read_u32(r);
    for (uint32_t i = 0; i < tables && !r->is_bad; i++) {
        struct lock_name name = read_lock(r);
        for (uint32_t mode = LOCK_ACCESS_SHARE; mode <= LOCK_ACCESS_EXCLUSIVE; mode++) {
            if (!r->is_bad && (name.modes >> mode & 1) != 0)
                TRY(txn_lock_table_wait(t, name.a, (enum table_lock_mode)mode, true));
        }
    }
    t->has_advisory_locks = advisory != 0;
    for (uint32_t i = 0; i < advisory && !r->is_bad; i++) {
        struct lock_name name = read_lock(r);
        if (!r->is_bad)
            advisory_txn_restore_wait(&t->advisory_locks, t->id, &name);
    }
    return ERR_OK;
}

SUSPENDS static err_t restore_one_wait(const struct shard *s, const struct part *p)
{
    struct name_call name = {.core = core_id(), .count_max = UINT32_MAX, .is_valid = true};
    const struct held_bytes *info = &p->held_info;
    struct byte_reader r = {.at = info->bytes, .end = info->bytes + info->len};
    bool ok = read_info(&r, &name.info);
    name.info.id = p->id;
    struct txn_options o = {.synchronous_commit = true};
    struct txn *t = txn_begin(&o);
    t->id = t->table_locks.id = p->id;
    for (uint32_t i = 0; i < p->participant_count; i++) {
        struct txn_shard *ts = txn_shard(t, p->participants[i]);
        ts->wrote = ts->logged = true;
    }
    t->held_next = held_of_core[core_id()];
    held_of_core[core_id()] = t;
    if (ok)
        TRY(restore_locks_wait(t, &r));
    if (!ok || r.is_bad || r.at != r.end)
        return err_raise(ERR_DATA_CORRUPTED, "bad prepared transaction %llu in shard %u",
                         (unsigned long long)p->id, s->number);
    return core_call_wait(REGISTRY_CORE, name_reserve, &name);
}

err_t held_restore_on_core(void *arg)
{
    (void)arg;
    for (uint32_t i = core_id(); i < shard_count(); i += core_count()) {
        const struct shard *s = placement_shard(i);
        for (const struct part *p = s->parts_first; p != NULL; p = p->next) {
            if (p->is_held && p->state == PART_ACTIVE && p->held_info.len != 0)
                TRY(restore_one_wait(s, p));
        }
    }
    return ERR_OK;
}

void held_drop_on_core(void)
{
    struct txn **first = &held_of_core[core_id()];
    while (*first != NULL) {
        struct txn *t = *first;
        *first = t->held_next;
        txn_discard(t);
    }
    table_locks_held_drop();
    advisory_held_drop();
    while (core_id() == REGISTRY_CORE && registry.first != NULL) {
        struct held_entry *e = registry.first;
        registry.first = e->next;
        core_free(e);
        registry.count--;
    }
}
