/*
 * A transaction's part in one shard: its undo list, its locks, and the participant's side of
 * commit, prepare and rollback.
 *
 *   ACTIVE ──commit──► COMMITTED ──(purge queue)──► freed
 *     │ prepare            ▲
 *     ▼                    │ outcome from the coordinator, or recovery
 *   PREPARED ──────────────┘
 *   ACTIVE/PREPARED ──rollback: undo all──► freed
 *
 * A transaction that its user has prepared is held in between: ACTIVE, without a session (hold.c).
 *
 * Versions point to their part, so committing stamps one word. Parts with a number below
 * parts_id_min do not exist; a cell last written by such a transaction needs no look at the version
 * store.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

static struct part **part_bucket(const struct shard *s, txn_id_t id)
{
    return &s->part_buckets[(id * 0x9e3779b97f4a7c15u >> 32) & s->part_mask];
}

struct part *part_find(struct shard *s, txn_id_t id)
{
    struct part *p = *part_bucket(s, id);
    while (p != NULL && p->id != id)
        p = p->hash_next;
    return p;
}

static void part_table_grow(struct shard *s)
{
    uint32_t old_mask = s->part_mask;
    struct part **old = s->part_buckets;
    s->part_mask = old_mask * 4 + 3;
    s->part_buckets = core_zalloc((s->part_mask + 1u) * sizeof(struct part *));
    for (uint32_t i = 0; i <= old_mask; i++) {
        struct part *p = old[i];
        while (p != NULL) {
            struct part *next = p->hash_next;
            struct part **at = part_bucket(s, p->id);
            p->hash_next = *at;
            *at = p;
            p = next;
        }
    }
    core_free(old);
}

struct part *part_make(struct shard *s, txn_id_t id, uint32_t session)
{
    ASSERT(id != 0);
    if (s->part_count > s->part_mask)
        part_table_grow(s);
    struct part *p = core_zalloc(sizeof(*p));
    p->id = id;
    p->id_floor = id;
    p->id_last = id;
    p->owner.id = id;
    p->owner.session = session;
    struct part **at = part_bucket(s, id);
    p->hash_next = *at;
    *at = p;
    s->part_count++;
    p->prev = s->parts_last;
    if (s->parts_last != NULL)
        s->parts_last->next = p;
    else
        s->parts_first = p;
    s->parts_last = p;
    s->parts_count++;
    s->parts_id_min = MIN(s->parts_id_min, id);
    s->txn_id_max = MAX(s->txn_id_max, id);
    return p;
}

struct part *part_for_write(struct shard *s, struct txn_view *v)
{
    struct part *p = part_find(s, v->id);
    if (p == NULL)
        p = part_make(s, v->id, v->session);
    p->is_serializable = v->isolation == SERIALIZABLE;
    v->wrote = true;
    return p;
}

static void part_unhash(struct shard *s, struct part *p)
{
    struct part **at = part_bucket(s, p->id);
    while (*at != p)
        at = &(*at)->hash_next;
    *at = p->hash_next;
    p->hash_next = NULL;
    s->part_count--;
}

void part_free(struct shard *s, struct part *p)
{
    ASSERT(part_is_empty(p));
    ASSERT(p->owner.holds == NULL);
    ASSERT(p->waiters == NULL);
    serial_forget_part(p);
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        s->parts_first = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    else
        s->parts_last = p->prev;
    s->parts_count--;
    s->parts_freed++;
    core_free(p->participants);
    core_free(p->held_info.bytes);
    core_free(p->held_reads.bytes);
    core_free(p->sweeps);
    core_free(p);
    if (s->parts_first == NULL) {
        s->parts_id_min = UINT64_MAX;
        s->parts_freed = 0;
    } else if (s->parts_freed > s->parts_count) {
        txn_id_t id_min = UINT64_MAX;
        for (const struct part *q = s->parts_first; q != NULL; q = q->next)
            id_min = MIN(id_min, q->id_floor);
        s->parts_id_min = id_min;
        s->parts_freed = 0;
    }
}

static void part_queue(struct shard *s, struct part *p)
{
    p->queue_prev = s->purge_last;
    if (s->purge_last != NULL)
        s->purge_last->queue_next = p;
    else
        s->purge_first = p;
    s->purge_last = p;
    p->purge_at = NULL;
    if (s->prune_next == NULL)
        s->prune_next = p;
}

/* Its place in the order is known, or it has none. */
static void held_reads_drop(struct shard *s, const struct part *p)
{
    if (p->held_reads.len != 0)
        serial_reads_drop(s, p->id);
}

void part_commit(struct shard *s, struct part *p, ts_t ts, lsn_t lsn)
{
    ASSERT(p->state != PART_COMMITTED);
    part_unhash(s, p);
    p->state = PART_COMMITTED;
    p->ts = ts;
    p->commit_lsn = lsn;
    s->ts_max = MAX(s->ts_max, ts);
    s->commits++;
    lock_release_all(&s->row_locks, &p->owner);
    txn_watch_end(&p->waiters);
    held_reads_drop(s, p);
    serial_note_committed(s, p);
    if (part_is_empty(p)) {
        part_free(s, p);
        return;
    }
    part_queue(s, p);
    if (s->purge_is_idle)
        wait_queue_wake_all(&s->purge_wanted);
}

void part_restore_committed(struct shard *s, struct part *p, ts_t ts, lsn_t lsn)
{
    part_unhash(s, p);
    p->state = PART_COMMITTED;
    p->ts = ts;
    p->commit_lsn = lsn;
    s->ts_max = MAX(s->ts_max, ts);
    part_queue(s, p);
}

void part_end(struct shard *s, struct part *p)
{
    ASSERT(part_is_empty(p));
    part_unhash(s, p);
    lock_release_all(&s->row_locks, &p->owner);
    txn_watch_end(&p->waiters);
    held_reads_drop(s, p);
    part_free(s, p);
}

static void part_blockers(const struct txn_wait *wait, struct blocker_list *out)
{
    const struct part *p = ((const struct txn_watcher *)wait->owner)->thing;
    if (p != NULL && !p->owner.is_ending)
        blocker_add(out, p->owner.session);
}

static void part_edges(const struct txn_wait *wait, struct wait_graph *g)
{
    const struct part *p = ((const struct txn_watcher *)wait->owner)->thing;
    if (p == NULL)
        return;
    struct wait_edge e = {.from = wait_node(wait->id, wait->session),
                          .to = wait_node(p->id, p->owner.session),
                          .wait = wait->serial,
                          .to_id = p->id,
                          .kind = LOCKS_OF_ROWS};
    wait_graph_add(g, &e);
}

static void part_show(const struct txn_wait *wait, struct lock_row *out)
{
    const struct part *p = ((const struct txn_watcher *)wait->owner)->thing;
    *out = (struct lock_row){.kind = LOCKS_OF_ROWS, .blocker = p != NULL ? p->id : 0};
}

static const struct txn_wait_ops part_wait_ops = {
    .edges = part_edges, .blockers = part_blockers, .show = part_show};

err_t part_wait(struct shard *s, struct part *p, struct txn_view *v)
{
    (void)s;
    if (core_is_borrowed())
        return err_raise(ERR_INTERNAL_WOULD_SUSPEND, "a transaction wait on a borrowed core");
    struct wait_limits limits = v->limits;
    if (p->state != PART_ACTIVE)
        limits.lock_timeout_ms = 0; /* not a wait for a lock */
    return txn_watch_wait(&p->waiters, p, v->id, v->session, &part_wait_ops, limits);
}

/* ---- commits that are not settled everywhere yet ---- */

static struct finished_txn **finished_place(struct shard *s, txn_id_t id)
{
    struct finished_txn **at = &s->finished[id % FINISHED_BUCKETS];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

void finished_add(struct shard *s, txn_id_t id, ts_t ts, lsn_t lsn)
{
    struct finished_txn **at = finished_place(s, id);
    if (*at != NULL)
        return;
    *at = core_zalloc(sizeof(**at));
    (*at)->id = id;
    (*at)->ts = ts;
    (*at)->lsn = lsn;
    s->finished_count++;
}

struct finished_txn *finished_find(struct shard *s, txn_id_t id)
{
    return *finished_place(s, id);
}

void finished_remove(struct shard *s, txn_id_t id)
{
    struct finished_txn **at = finished_place(s, id);
    struct finished_txn *f = *at;
    if (f == NULL)
        return;
    *at = f->next;
    core_free(f);
    s->finished_count--;
}

/* ---- the participant ---- */

void part_set_participants(struct part *p, const void *numbers, uint32_t count)
{
    core_free(p->participants);
    p->participants = core_malloc(count * sizeof(uint32_t));
    memcpy(p->participants, numbers, count * sizeof(uint32_t));
    p->participant_count = count;
}

/* Room in the log, at a moment at which the part may commit. */
SUSPENDS static err_t commit_reserve_wait(struct shard *s, const struct part *p, uint32_t bytes)
{
    for (;;) {
        TRY(shard_reserve_wait(s, RESERVE_CRITICAL | 2, bytes));
        if (LIKELY(p == NULL || serial_may_commit(s, p)))
            return ERR_OK;
        TRY(serial_checked_wait(s));
    }
}

err_t part_commit_wait(struct shard *s, txn_id_t id, bool wait_flush, ts_t *ts)
{
    *ts = 0;
    struct part *p = part_find(s, id);
    if (p == NULL)
        return ERR_OK;
    if (!p->is_logged) {
        ASSERT(part_is_empty(p));
        part_end(s, p);
        return ERR_OK;
    }
    TRY(commit_reserve_wait(s, p, LOG_FIXED_BYTES_MAX + anchor_bytes_max()));
    nosuspend_begin();
    if (p->is_serializable && serial_check(s, id, p, false) != ERR_OK) {
        nosuspend_end();
        return err_diag()->code;
    }
    anchor_log(s);
    *ts = shared_commit_advance();
    struct log_writer w = {.len = 0};
    log_put_u64(&w, id);
    log_put_u64(&w, *ts);
    log_put_u8(&w, 0);
    lsn_t lsn = shard_log(s, LOG_COMMIT, &w, NULL, 0);
    part_commit(s, p, *ts, lsn);
    nosuspend_end();
    if (wait_flush && !DEFECT(ACK_BEFORE_FLUSH))
        return shard_flush_wait(s, lsn);
    return ERR_OK;
}

err_t part_prepare_wait(struct shard *s, txn_id_t id, const uint32_t *participants, uint32_t count,
                        lsn_t *lsn, lsn_t *needs)
{
    *lsn = 0;
    ASSERT(count <= SHARD_COUNT_MAX);
    uint32_t bytes = count * (uint32_t)sizeof(uint32_t);
    TRY(commit_reserve_wait(s, part_find(s, id), LOG_FIXED_BYTES_MAX + bytes + anchor_bytes_max()));
    struct part *p = part_find(s, id);
    if (p == NULL) /* named as a participant, and did nothing: it counts all the same */
        p = part_make(s, id, 0);
    nosuspend_begin();
    ASSERT(p->state == PART_ACTIVE);
    if (serial_check(s, id, p->is_serializable ? p : NULL, true) != ERR_OK) {
        nosuspend_end();
        return err_diag()->code;
    }
    serial_note_prepared(s, p);
    p->floor = shared_commit_read();
    part_set_participants(p, participants, count);
    p->state = PART_PREPARED;
    p->owner.is_ending = true;
    p->is_logged = true;
    anchor_log(s);
    struct log_writer w = {.len = 0};
    log_put_u64(&w, id);
    log_put_u64(&w, p->floor);
    log_put_u32(&w, count);
    *lsn = shard_log(s, LOG_PREPARE, &w, participants, bytes);
    settled_unmet(s, needs);
    nosuspend_end();
    return ERR_OK;
}

err_t part_decide_wait(struct shard *s, txn_id_t id, ts_t ts, const uint8_t *points,
                       uint32_t points_bytes, const lsn_t *needs, lsn_t *lsn)
{
    TRY(shard_reserve_wait(s, RESERVE_CRITICAL | 2,
                           LOG_FIXED_BYTES_MAX + points_bytes + anchor_bytes_max()));
    struct part *p = part_find(s, id);
    *lsn = wal_end(s->wal);
    if (p == NULL)
        return ERR_OK;
    nosuspend_begin();
    ASSERT(p->state == PART_PREPARED);
    lsn_t settled = settled_lsn(s);
    anchor_log(s);
    lsn_t start = wal_end(s->wal);
    struct log_writer w = {.len = 0};
    log_put_u64(&w, id);
    log_put_u64(&w, ts);
    log_put_u8(&w, 1);
    log_put_u64(&w, settled);
    *lsn = shard_log(s, LOG_COMMIT, &w, points, points_bytes);
    if (needs != NULL)
        settled_add(s, start, needs);
    finished_add(s, id, ts, *lsn);
    part_commit(s, p, ts, *lsn);
    nosuspend_end();
    return ERR_OK;
}

err_t part_rollback_wait(struct shard *s, txn_id_t id)
{
    struct part *p = part_find(s, id);
    if (p == NULL)
        return ERR_OK;
    if (p->is_held)
        TRY(part_unhold_wait(s, p));
    TRY(undo_to_wait(s, p, 0));
    if (p->is_logged)
        TRY(shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX));
    nosuspend_begin();
    if (p->is_logged) {
        struct log_writer w = {.len = 0};
        log_put_u64(&w, id);
        (void)shard_log(s, LOG_ABORT, &w, NULL, 0);
    }
    s->aborts++;
    part_end(s, p);
    nosuspend_end();
    return ERR_OK;
}

err_t part_undo_to_wait(struct shard *s, txn_id_t id, uint32_t seq)
{
    struct part *p = part_find(s, id);
    if (p == NULL)
        return ERR_OK;
    TRY(undo_to_wait(s, p, seq));
    lock_release_since(&s->row_locks, &p->owner, seq);
    return ERR_OK;
}

void part_release(struct shard *s, txn_id_t id)
{
    struct part *p = part_find(s, id);
    if (p != NULL && !p->is_logged)
        part_end(s, p);
}
