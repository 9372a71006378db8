/*
 * The coordinator of a transaction, on its session's core: snapshot, ids, savepoint marks, and
 * commit over one or many shards (DESIGN.md section 6).
 *
 * Order of a commit that writes:
 *   1. what was observed on shards that were not written becomes settled
 *   2. one writer: COMMIT there, settled. Several: PREPARE on all; take the timestamp; all stamp,
 *      and the locks go; then all of it becomes durable (settle.c)
 *   3. locks on shards that were not written go; hooks run; table locks go
 */
#include "shard/txn_priv.h"

#include "core/defects.h"
#include "shard/table_lock.h"

struct txn *txn_begin(const struct txn_options *o)
{
    struct txn *t = core_zalloc(sizeof(*t));
    t->options = *o;
    t->seq = 1;
    t->lock_core = core_id();
    t->shards = t->shards_inline;
    t->shard_capacity = SHARDS_INLINE;
    t->table_locks.session = o->session;
    t->snapshot.session = o->session;
    t->snapshot.database = o->database;
    return t;
}

struct txn *txn_begin_beside(const struct txn *t)
{
    struct txn_options o = {.isolation = READ_COMMITTED,
                            .synchronous_commit = true,
                            .session = t->options.session,
                            .database = t->options.database};
    struct txn *own = txn_begin(&o);
    own->limits = t->limits;
    return own;
}

/* One pass for the majority (Boyer and Moore, 1981). */
void txn_touch(struct txn *t, uint32_t core)
{
    struct txn_touched *x = &t->touched;
    if (core == core_id()) {
        x->here++;
    } else if (x->away == 0 || x->away_core == core) {
        x->away_core = core;
        x->away++;
    } else {
        x->away--;
    }
}

struct txn_touched txn_touched(const struct txn *t)
{
    return t->touched;
}

struct exported_snapshot {
    struct snapshot snapshot;
    uint32_t number;
    struct exported_snapshot *older;
};

static void hooks_free(struct txn_hook *h)
{
    while (h != NULL) {
        struct txn_hook *next = h->next;
        core_free(h);
        h = next;
    }
}

void txn_free(struct txn *t)
{
    snapshot_drop(&t->snapshot);
    while (t->exported != NULL) {
        struct exported_snapshot *e = t->exported;
        t->exported = e->older;
        snapshot_drop(&e->snapshot);
        core_free(e);
    }
    hooks_free(t->commit_hooks);
    hooks_free(t->abort_hooks);
    if (t->shards != t->shards_inline)
        core_free(t->shards);
    core_free(t);
}

void txn_discard(struct txn *t)
{
    table_lock_release_local(&t->table_locks, 0);
    txn_free(t);
}

void txn_statement_begin(struct txn *t)
{
    t->seq++;
    if (t->options.isolation == READ_COMMITTED)
        snapshot_drop(&t->snapshot);
    if (!t->snapshot.is_active)
        snapshot_take(&t->snapshot);
}

void txn_statement_end(struct txn *t)
{
    if (t->options.isolation == READ_COMMITTED)
        snapshot_drop(&t->snapshot);
}

void txn_snapshot_end(struct txn *t)
{
    snapshot_drop(&t->snapshot);
}

struct txn_cursor {
    struct txn *txn;
    struct snapshot snapshot; /* while not entered */
    uint32_t seq;
    struct snapshot outer; /* the transaction's own, while entered */
    uint32_t outer_seq;
};

struct txn_cursor *txn_cursor_open(struct txn *t)
{
    struct txn_cursor *c = core_zalloc(sizeof(*c));
    c->txn = t;
    c->seq = t->seq;
    snapshot_copy(&c->snapshot, &t->snapshot);
    return c;
}

void txn_cursor_enter(struct txn_cursor *c)
{
    struct txn *t = c->txn;
    snapshot_move(&c->outer, &t->snapshot);
    c->outer_seq = t->seq;
    snapshot_move(&t->snapshot, &c->snapshot);
    t->seq = c->seq;
}

void txn_cursor_leave(struct txn_cursor *c)
{
    struct txn *t = c->txn;
    snapshot_move(&c->snapshot, &t->snapshot);
    t->seq = c->outer_seq;
    snapshot_move(&t->snapshot, &c->outer);
}

void txn_cursor_close(struct txn_cursor *c)
{
    if (c == NULL)
        return;
    snapshot_drop(&c->snapshot);
    core_free(c);
}

/* ---- to another core ---- */

struct txn_places {
    uint32_t count;
    struct snapshot snapshots[]; /* the transaction's, then the cursors' */
};

struct txn_places *txn_leave(struct txn *t, struct txn_cursor *const *cursors, uint32_t count)
{
    struct txn_places *p = core_zalloc(sizeof(*p) + (count + (size_t)1) * sizeof(struct snapshot));
    p->count = count + 1;
    snapshot_move(&p->snapshots[0], &t->snapshot);
    for (uint32_t i = 0; i < count; i++)
        snapshot_move(&p->snapshots[i + 1], &cursors[i]->snapshot);
    return p;
}

void txn_join(struct txn *t, struct txn_cursor *const *cursors, uint32_t count,
              const struct txn_places *p)
{
    ASSERT(p->count == count + 1);
    if (p->snapshots[0].is_active)
        snapshot_join(&t->snapshot, p->snapshots[0].ts);
    for (uint32_t i = 0; i < count; i++) {
        if (p->snapshots[i + 1].is_active)
            snapshot_join(&cursors[i]->snapshot, p->snapshots[i + 1].ts);
    }
    shared_snapshot_moved();
    if (t->table_locks.holds == NULL && !t->has_strong_locks) {
        t->lock_core = core_id();
        t->table_locks.id = t->id;
    }
}

void txn_places_free(struct txn_places *p)
{
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->count; i++)
        snapshot_drop(&p->snapshots[i]);
    core_free(p);
}

void txn_memory(struct txn *t, void (*piece)(void *p))
{
    piece(t);
    if (t->shards != t->shards_inline)
        piece(t->shards);
    for (struct txn_hook *h = t->commit_hooks; h != NULL; h = h->next)
        piece(h);
    for (struct txn_hook *h = t->abort_hooks; h != NULL; h = h->next)
        piece(h);
}

void txn_cursor_memory(struct txn_cursor *c, void (*piece)(void *p))
{
    piece(c);
}

struct txn_newest {
    struct txn *txn;
    struct snapshot outer;
};

struct txn_newest *txn_newest_begin(struct txn *t)
{
    struct txn_newest *n = core_zalloc(sizeof(*n));
    n->txn = t;
    snapshot_move(&n->outer, &t->snapshot);
    snapshot_take(&t->snapshot);
    t->seq++;
    return n;
}

ts_t txn_newest_outer(const struct txn_newest *n)
{
    return n->outer.ts;
}

void txn_newest_end(struct txn_newest *n)
{
    snapshot_drop(&n->txn->snapshot);
    snapshot_move(&n->txn->snapshot, &n->outer);
    core_free(n);
}

uint32_t txn_seq(const struct txn *t)
{
    return t->seq;
}

enum isolation txn_isolation(const struct txn *t)
{
    return t->options.isolation;
}

ts_t txn_snapshot(const struct txn *t)
{
    return t->snapshot.ts;
}

uint32_t txn_export_snapshot(struct txn *t)
{
    struct exported_snapshot *e = core_zalloc(sizeof(*e));
    snapshot_copy(&e->snapshot, &t->snapshot);
    e->number = t->exported != NULL ? t->exported->number + 1 : 1;
    e->older = t->exported;
    t->exported = e;
    return e->number;
}

bool txn_has_exported(const struct txn *t)
{
    return t->exported != NULL;
}

struct snapshot *txn_lend_snapshot(struct txn *t, uint32_t number)
{
    struct exported_snapshot *e = t->exported;
    while (e != NULL && e->number != number)
        e = e->older;
    return e != NULL ? snapshot_lend(&e->snapshot) : NULL;
}

void txn_import_snapshot(struct txn *t, struct snapshot *lent, uint32_t lender)
{
    snapshot_borrow(&t->snapshot, lent, lender);
}

void txn_advance(struct txn *t)
{
    t->seq++;
}

void txn_set_wait_limits(struct txn *t, struct wait_limits limits)
{
    t->limits = limits;
}

txn_id_t txn_id(const struct txn *t)
{
    return t->id;
}

txn_id_t txn_assign_id(struct txn *t)
{
    if (t->id == 0) {
        t->id = shared_transaction_next();
        if (t->lock_core == core_id()) /* elsewhere with its next lock there */
            t->table_locks.id = t->id;
    }
    return t->id;
}

bool txn_has_written(const struct txn *t)
{
    for (uint32_t i = 0; i < t->shard_count; i++) {
        if (t->shards[i].logged)
            return true;
    }
    return false;
}

bool txn_is_read_only(const struct txn *t)
{
    return t->options.read_only;
}

void txn_set_options(struct txn *t, const struct txn_options *o)
{
    t->options = *o;
    t->table_locks.session = o->session;
    t->snapshot.session = o->session;
    t->snapshot.database = o->database;
}

struct txn_shard *txn_shard(struct txn *t, uint32_t number)
{
    for (uint32_t i = 0; i < t->shard_count; i++) {
        if (t->shards[i].number == number)
            return &t->shards[i];
    }
    if (t->shard_count == t->shard_capacity) {
        uint32_t capacity = t->shard_capacity * 4;
        struct txn_shard *shards = core_malloc(capacity * sizeof(*shards));
        memcpy(shards, t->shards, t->shard_count * sizeof(*shards));
        if (t->shards != t->shards_inline)
            core_free(t->shards);
        t->shards = shards;
        t->shard_capacity = capacity;
    }
    struct txn_shard *ts = &t->shards[t->shard_count++];
    *ts = (struct txn_shard){.number = number};
    return ts;
}

void txn_enlist(struct txn *t, uint32_t shard_no)
{
    struct txn_shard *ts = txn_shard(t, shard_no);
    ts->wrote = true;
    ts->is_out = true;
}

struct txn_view txn_view_make(struct txn *t, uint32_t shard_no, bool may_write)
{
    ASSERT(t->snapshot.is_active);
    bool notes_reads = t->options.isolation == SERIALIZABLE && !t->options.read_only;
    t->notes_reads |= notes_reads;
    if (may_write || notes_reads)
        (void)txn_assign_id(t);
    if (may_write)
        txn_enlist(t, shard_no);
    else if (notes_reads)
        (void)txn_shard(t, shard_no);
    return (struct txn_view){
        .id = t->id,
        .snapshot = t->snapshot.ts,
        .seq = t->seq,
        .shard_no = shard_no,
        /* Read only: its snapshot is a place in the order, nothing to note. */
        .isolation =
            (uint8_t)(t->options.isolation == SERIALIZABLE && !notes_reads ? REPEATABLE_READ
                                                                           : t->options.isolation),
        .session = t->options.session,
        .limits = t->limits,
    };
}

void txn_merge(struct txn *t, uint32_t shard_no, const struct txn_view *v)
{
    if (!v->wrote && !v->logged && v->observed == 0 && v->id == 0)
        return;
    struct txn_shard *ts = txn_shard(t, shard_no);
    ts->is_out = false;
    ts->wrote |= v->wrote;
    ts->logged |= v->logged;
    ts->observed = MAX(ts->observed, v->observed);
}

/* ---- work on several shards at once ---- */

SUSPENDS static err_t call_commit(void *arg)
{
    struct shard_call *c = arg;
    return part_commit_wait(shard_local(c->shard_no), c->id, c->wait_flush, &c->ts);
}

SUSPENDS static err_t call_prepare(void *arg)
{
    struct shard_call *c = arg;
    uint32_t i = 0;
    while (c->participants[i] != c->shard_no)
        i++;
    return part_prepare_wait(shard_local(c->shard_no), c->id, c->participants, c->participant_count,
                             &c->lsns[i], c->needs + i * shard_count());
}

enum { ROLLBACK_RETRY_US = 100000 };

/* A rollback does not fail: what stands in its way (a full disk, a read error) is waited out; after
 * the log has failed the server goes down and recovery does it. */
SUSPENDS static err_t call_rollback(void *arg)
{
    struct shard_call *c = arg;
    struct shard *s = shard_local(c->shard_no);
    fiber_shield_begin();
    for (;;) {
        err_t e = part_rollback_wait(s, c->id);
        if (e == ERR_OK || wal_failed(s->wal))
            break;
        log_diag(LOG_WARNING, err_diag());
        ERR_IGNORE(fiber_sleep_wait(ROLLBACK_RETRY_US));
    }
    fiber_shield_end();
    return ERR_OK;
}

SUSPENDS static err_t call_undo_to(void *arg)
{
    struct shard_call *c = arg;
    struct shard *s = shard_local(c->shard_no);
    fiber_shield_begin();
    err_t e = part_undo_to_wait(s, c->id, c->seq);
    fiber_shield_end();
    return e;
}

static err_t call_check_reads(void *arg)
{
    struct shard_call *c = arg;
    return serial_check(shard_local(c->shard_no), c->id, NULL, true);
}

static err_t call_drop_reads(void *arg)
{
    struct shard_call *c = arg;
    serial_reads_drop(shard_local(c->shard_no), c->id);
    return ERR_OK;
}

static err_t call_release(void *arg)
{
    struct shard_call *c = arg;
    part_release(shard_local(c->shard_no), c->id);
    return ERR_OK;
}

SUSPENDS static err_t call_flush(void *arg)
{
    struct shard_call *c = arg;
    return shard_flush_wait(shard_local(c->shard_no), c->lsn);
}

typedef bool (*shard_filter)(const struct txn_shard *ts);

static bool is_any(const struct txn_shard *ts)
{
    return ts->wrote || ts->logged;
}

static bool is_logged(const struct txn_shard *ts)
{
    return ts->logged;
}

static bool is_locks_only(const struct txn_shard *ts)
{
    return ts->wrote && !ts->logged;
}

static bool is_unlogged(const struct txn_shard *ts)
{
    return !ts->logged;
}

static bool is_every(const struct txn_shard *ts)
{
    (void)ts;
    return true;
}

static bool is_observed(const struct txn_shard *ts)
{
    return ts->observed != 0;
}

/* Runs fn for every shard that the filter takes, all at once; the first on this core runs in this
 * fiber. `like` is the template of the calls. */
SUSPENDS static err_t on_shards_wait(struct txn *t, shard_filter filter, core_fn fn,
                                     const struct shard_call *like)
{
    uint32_t n = 0;
    uint32_t only = 0;
    for (uint32_t i = 0; i < t->shard_count; i++) {
        if (filter(&t->shards[i])) {
            only = i;
            n++;
        }
    }
    if (n == 0)
        return ERR_OK;
    if (n == 1) {
        struct shard_call c = *like;
        c.shard_no = t->shards[only].number;
        c.lsn = t->shards[only].observed;
        return core_call_wait(shard_core(c.shard_no), fn, &c);
    }
    struct shard_call *calls = core_malloc(n * sizeof(*calls));
    uint32_t k = 0;
    struct shard_call *own = NULL;
    for (uint32_t i = 0; i < t->shard_count; i++) {
        if (!filter(&t->shards[i]))
            continue;
        struct shard_call *c = &calls[k++];
        *c = *like;
        c->shard_no = t->shards[i].number;
        c->lsn = t->shards[i].observed;
        if (own == NULL && shard_core(c->shard_no) == core_id()) {
            own = c;
            continue;
        }
        c->is_started = true;
        core_call_start(&c->call, shard_core(c->shard_no), fn, c);
    }
    err_t e = own != NULL ? fn(own) : ERR_OK;
    struct diag *kept = NULL; /* the first error; a later one would replace its message */
    if (e != ERR_OK) {
        kept = core_malloc(sizeof(*kept));
        diag_copy(kept, err_diag());
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!calls[i].is_started)
            continue;
        err_t one = core_call_join_wait(&calls[i].call);
        if (e == ERR_OK)
            e = one;
    }
    if (kept != NULL) {
        e = err_adopt(kept);
        core_free(kept);
    }
    core_free(calls);
    return e;
}

err_t txn_on_shards_wait(struct txn *t, core_fn fn, const struct shard_call *like)
{
    return on_shards_wait(t, is_any, fn, like);
}

/* ---- savepoints, statement failure ---- */

uint32_t txn_mark(struct txn *t)
{
    t->seq++;
    return t->seq;
}

SUSPENDS static void strong_locks_release_wait(struct txn *t, uint32_t since)
{
    if (!t->has_strong_locks)
        return;
    for (uint32_t core = 0; core < core_count(); core++) {
        if (core == t->lock_core)
            continue;
        struct table_lock_call c = {.id = t->id, .seq = since};
        ERR_IGNORE(core_call_wait(core, table_unlock_remote, &c));
    }
}

struct weak_call {
    struct txn *txn;
    uint32_t since;
};

static err_t weak_locks_release(void *arg)
{
    struct weak_call *c = arg;
    table_lock_release_local(&c->txn->table_locks, c->since);
    return ERR_OK;
}

SUSPENDS static void weak_locks_release_wait(struct txn *t, uint32_t since)
{
    if (t->table_locks.holds == NULL)
        return;
    struct weak_call c = {.txn = t, .since = since};
    ERR_IGNORE(core_call_wait(t->lock_core, weak_locks_release, &c));
}

err_t txn_undo_to_wait(struct txn *t, uint32_t mark)
{
    ASSERT(mark > 0);
    fiber_shield_begin();
    struct shard_call like = {.id = t->id, .seq = mark};
    err_t e = on_shards_wait(t, is_any, call_undo_to, &like);
    strong_locks_release_wait(t, mark);
    weak_locks_release_wait(t, mark);
    if (t->has_advisory_locks)
        advisory_txn_release_wait(&t->advisory_locks, t->id, t->options.session, mark);
    fiber_shield_end();
    t->seq++;
    return e;
}

/* ---- the end ---- */

static struct txn_hook *hook_make(void (*fn)(void *arg), void *arg)
{
    struct txn_hook *h = core_malloc(sizeof(*h));
    *h = (struct txn_hook){.fn = fn, .arg = arg};
    return h;
}

static void hook_add(struct txn_hook **list, void (*fn)(void *arg), void *arg)
{
    while (*list != NULL) {
        if ((*list)->fn == fn && (*list)->arg == arg)
            return;
        list = &(*list)->next;
    }
    *list = hook_make(fn, arg);
}

void txn_on_commit(struct txn *t, void (*fn)(void *arg), void *arg)
{
    hook_add(&t->commit_hooks, fn, arg);
}

void txn_on_abort(struct txn *t, void (*fn)(void *arg), void *arg)
{
    hook_add(&t->abort_hooks, fn, arg);
}

SUSPENDS static void hooks_run_wait(struct txn_hook *h)
{
    for (; h != NULL; h = h->next)
        h->fn(h->arg);
}

void txn_hooks_end_wait(struct txn *t)
{
    hooks_run_wait(t->abort_hooks);
    hooks_free(t->commit_hooks);
    hooks_free(t->abort_hooks);
    t->commit_hooks = t->abort_hooks = NULL;
}

SUSPENDS static void locks_release_wait(struct txn *t)
{
    strong_locks_release_wait(t, 0);
    weak_locks_release_wait(t, 0);
    if (t->has_advisory_locks)
        advisory_txn_release_wait(&t->advisory_locks, t->id, t->options.session, 0);
}

err_t txn_observe_wait(struct txn *t)
{
    struct shard_call like = {.id = t->id};
    TRY(on_shards_wait(t, is_observed, call_flush, &like));
    for (uint32_t i = 0; i < t->shard_count; i++)
        t->shards[i].observed = 0;
    return ERR_OK;
}

SUSPENDS static void reads_drop_wait(struct txn *t)
{
    if (!t->notes_reads)
        return;
    struct shard_call like = {.id = t->id};
    ERR_IGNORE(on_shards_wait(t, is_every, call_drop_reads, &like));
}

void txn_rollback_work_wait(struct txn *t)
{
    struct shard_call like = {.id = t->id};
    if (t->is_decided)
        ERR_IGNORE(on_shards_wait(t, is_locks_only, call_release, &like));
    else
        ERR_IGNORE(on_shards_wait(t, is_any, call_rollback, &like));
    reads_drop_wait(t);
    hooks_run_wait(t->abort_hooks);
    locks_release_wait(t);
}

void txn_rollback_wait(struct txn *t)
{
    fiber_shield_begin();
    snapshot_drop(&t->snapshot);
    txn_rollback_work_wait(t);
    ERR_IGNORE(txn_observe_wait(t)); /* what it saw, rows or a conflict, may be told next */
    fiber_shield_end();
    txn_free(t);
}

/* Several writers: PREPARE on all, at *lsns; needs, by shard, is what that needs of their logs. */
SUSPENDS static err_t prepare_all_wait(struct txn *t, const uint32_t *participants, uint32_t count,
                                       lsn_t *lsns, lsn_t *needs)
{
    uint32_t shards = shard_count();
    lsn_t *all = core_zalloc((size_t)count * shards * sizeof(lsn_t));
    struct shard_call like = {.id = t->id,
                              .participants = participants,
                              .participant_count = count,
                              .lsns = lsns,
                              .needs = all};
    err_t e = on_shards_wait(t, is_logged, call_prepare, &like);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < shards && !DEFECT(NEEDS_FORGOTTEN); k++)
            needs[k] = MAX(needs[k], all[i * shards + k]);
        needs[participants[i]] = MAX(needs[participants[i]], lsns[i]);
    }
    core_free(all);
    return e;
}

SUSPENDS static err_t commit_many_wait(struct txn *t, uint32_t writers)
{
    uint32_t *participants = core_malloc(writers * sizeof(*participants));
    lsn_t *lsns = core_zalloc(writers * sizeof(*lsns));
    lsn_t *needs = core_zalloc(shard_count() * sizeof(*needs));
    uint8_t *points = core_malloc((size_t)writers * COMMIT_POINT_BYTES);
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->shard_count; i++) {
        if (t->shards[i].logged)
            participants[n++] = t->shards[i].number;
    }
    err_t e = prepare_all_wait(t, participants, writers, lsns, needs);
    if (e == ERR_OK) {
        for (uint32_t i = 0; i < writers; i++) {
            store_u32(points + i * COMMIT_POINT_BYTES, participants[i]);
            store_u64(points + i * COMMIT_POINT_BYTES + 4, lsns[i]);
        }
        t->is_decided = true;
        e = outcome_commit_wait(t->id, shared_commit_advance(), participants, writers, points,
                                needs);
    }
    core_free(points);
    core_free(needs);
    core_free(lsns);
    core_free(participants);
    return e;
}

void txn_settle_views(struct txn *t)
{
    for (uint32_t i = 0; i < t->shard_count; i++)
        t->shards[i].logged |= t->shards[i].is_out; /* a failed fragment's view: assume the most */
}

err_t txn_commit_work_wait(struct txn *t)
{
    uint32_t writers = 0;
    txn_settle_views(t);
    /* What was observed on a shard that was written is in the log before its records there: these
     * are settled with it, and lost with it. */
    for (uint32_t i = 0; i < t->shard_count; i++) {
        if (t->shards[i].logged) {
            writers++;
            t->shards[i].observed = 0;
        }
    }
    err_t e = DEFECT(OBSERVED_NOT_DURABLE) ? ERR_OK : txn_observe_wait(t);
    if (e == ERR_OK && writers != 0 && t->notes_reads) {
        struct shard_call like = {.id = t->id};
        e = on_shards_wait(t, is_unlogged, call_check_reads, &like);
    }
    if (e == ERR_OK && writers == 1) {
        struct shard_call like = {.id = t->id, .wait_flush = t->options.synchronous_commit};
        e = on_shards_wait(t, is_logged, call_commit, &like);
    } else if (e == ERR_OK && writers > 1) {
        e = commit_many_wait(t, writers);
    }
    if (e != ERR_OK)
        return e;
    struct shard_call like = {.id = t->id};
    return on_shards_wait(t, is_locks_only, call_release, &like);
}

void txn_finish_work_wait(struct txn *t)
{
    reads_drop_wait(t);
    hooks_run_wait(t->commit_hooks);
    locks_release_wait(t);
}

err_t txn_commit_wait(struct txn *t)
{
    fiber_shield_begin();
    if (!t->notes_reads) /* validation needs what was committed since, which purge keeps for it */
        snapshot_drop(&t->snapshot);
    err_t e = txn_commit_work_wait(t);
    if (e == ERR_OK) {
        txn_finish_work_wait(t);
    } else {
        struct diag *kept = core_malloc(sizeof(*kept));
        diag_copy(kept, err_diag());
        txn_rollback_work_wait(t);
        e = err_adopt(kept);
        core_free(kept);
    }
    fiber_shield_end();
    txn_free(t);
    return e;
}

/* ---- table locks ---- */

static err_t lock_busy(void)
{
    return err_raise(ERR_LOCK_NOT_AVAILABLE, "could not obtain lock on relation");
}

SUSPENDS static err_t lock_here_wait(struct txn *t, uint64_t name, enum table_lock_mode mode,
                                     bool nowait)
{
    bool busy;
    TRY(table_lock_local_wait(&t->table_locks, name, mode, t->seq, LOCK_NOWAIT, t->limits, &busy));
    if (!busy)
        return ERR_OK;
    if (nowait)
        return lock_busy();
    return table_lock_local_wait(&t->table_locks, name, mode, t->seq, LOCK_WAIT, t->limits, &busy);
}

struct lock_home_call {
    struct txn *txn;
    uint64_t name;
    enum table_lock_mode mode;
    bool nowait;
};

SUSPENDS static err_t lock_home_call(void *arg)
{
    struct lock_home_call *c = arg;
    c->txn->table_locks.id = c->txn->id;
    return lock_here_wait(c->txn, c->name, c->mode, c->nowait);
}

/* On the core that has its weak locks: a lock that it has there already must not wait here for one
 * who waits for it there. */
SUSPENDS static err_t lock_at_home_wait(struct txn *t, uint64_t name, enum table_lock_mode mode,
                                        bool nowait)
{
    if (LIKELY(t->lock_core == core_id()))
        return lock_here_wait(t, name, mode, nowait);
    struct lock_home_call c = {.txn = t, .name = name, .mode = mode, .nowait = nowait};
    return core_call_wait(t->lock_core, lock_home_call, &c);
}

static err_t announce_home_call(void *arg)
{
    struct lock_home_call *c = arg;
    c->txn->table_locks.id = c->txn->id;
    table_lock_announce_local(&c->txn->table_locks, c->name, c->mode);
    return ERR_OK;
}

static err_t announce_end_home_call(void *arg)
{
    struct lock_home_call *c = arg;
    table_lock_announce_end_local(&c->txn->table_locks, c->name);
    return ERR_OK;
}

/* On all cores, at once; none of it suspends there or fails. */
SUSPENDS static void announce_wait(struct txn *t, uint64_t name, enum table_lock_mode mode,
                                   bool is_end)
{
    uint32_t cores = core_count();
    if (cores == 1)
        return;
    struct lock_home_call home = {.txn = t, .name = name, .mode = mode};
    struct table_lock_call *calls = core_malloc(cores * sizeof(*calls));
    fiber_shield_begin();
    for (uint32_t core = 0; core < cores; core++) {
        struct table_lock_call *c = &calls[core];
        *c = (struct table_lock_call){
            .id = t->id, .session = t->options.session, .name = name, .mode = mode};
        if (core == t->lock_core)
            core_call_start(&c->call, core, is_end ? announce_end_home_call : announce_home_call,
                            &home);
        else
            core_call_start(&c->call, core,
                            is_end ? table_lock_announce_end_remote : table_lock_announce_remote,
                            c);
    }
    for (uint32_t core = 0; core < cores; core++)
        ERR_IGNORE(core_call_join_wait(&calls[core].call));
    fiber_shield_end();
    core_free(calls);
}

SUSPENDS static err_t lock_strong_wait(struct txn *t, uint64_t name, enum table_lock_mode mode,
                                       bool nowait);

err_t txn_lock_table_wait(struct txn *t, uint64_t database_and_relation, enum table_lock_mode mode,
                          bool nowait)
{
    if (table_lock_is_weak(mode))
        return lock_at_home_wait(t, database_and_relation, mode, nowait);
    (void)txn_assign_id(t);
    if (nowait)
        return lock_strong_wait(t, database_and_relation, mode, true);
    announce_wait(t, database_and_relation, mode, false);
    err_t e = lock_strong_wait(t, database_and_relation, mode, false);
    if (e != ERR_OK) {
        struct diag *kept = core_malloc(sizeof(*kept));
        diag_copy(kept, err_diag());
        announce_wait(t, database_and_relation, mode, true);
        e = err_adopt(kept);
        core_free(kept);
    }
    return e;
}

SUSPENDS static err_t lock_strong_wait(struct txn *t, uint64_t name, enum table_lock_mode mode,
                                       bool nowait)
{
    for (uint32_t core = 0; core < core_count(); core++) {
        if (core == t->lock_core) {
            TRY(lock_at_home_wait(t, name, mode, nowait));
            continue;
        }
        t->has_strong_locks = true;
        struct table_lock_call c = {.id = t->id,
                                    .session = t->options.session,
                                    .name = name,
                                    .mode = mode,
                                    .seq = t->seq,
                                    .policy = nowait ? LOCK_NOWAIT : LOCK_WAIT,
                                    .limits = t->limits};
        TRY(core_call_wait(core, table_lock_remote, &c));
        if (c.busy)
            return lock_busy();
    }
    return ERR_OK;
}

/* Of all cores first, or the wait for one core's would be for those who come to the next meanwhile.
 */
err_t txn_holders_wait(struct txn *t, uint64_t database_and_relation, enum table_lock_mode mode)
{
    uint32_t cores = core_count();
    struct table_lock_call *calls = core_zalloc(cores * sizeof(*calls));
    err_t e = ERR_OK;
    for (uint32_t core = 0; core < cores && e == ERR_OK; core++) {
        calls[core] = (struct table_lock_call){.id = t->id,
                                               .session = t->options.session,
                                               .name = database_and_relation,
                                               .mode = mode,
                                               .limits = t->limits};
        e = core_call_wait(core, table_lock_serial, &calls[core]);
    }
    for (uint32_t core = 0; core < cores && e == ERR_OK; core++)
        e = core_call_wait(core, table_lock_holders_wait, &calls[core]);
    core_free(calls);
    return e;
}

/* The cores are looked at one after the other: again when a snapshot has moved meanwhile. */
err_t txn_older_snapshots_wait(struct txn *t, ts_t ts)
{
    ASSERT(!t->snapshot.is_active || t->snapshot.ts >= ts);
    uint64_t moves;
    do {
        moves = shared_snapshot_moves();
        for (uint32_t core = 0; core < core_count(); core++) {
            struct snapshot_older_call c = {.ts = ts,
                                            .database = t->options.database,
                                            .session = t->options.session,
                                            .id = t->id,
                                            .limits = t->limits};
            TRY(core_call_wait(core, snapshot_older_wait, &c));
        }
        TRY(fiber_rest_wait());
    } while (shared_snapshot_moves() != moves);
    return ERR_OK;
}

err_t txn_advisory_lock_wait(struct txn *t, const struct advisory_request *r, bool *granted)
{
    t->has_advisory_locks = true;
    return advisory_txn_lock_wait(&t->advisory_locks, r, t->seq, granted);
}
