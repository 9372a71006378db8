/*
 * PREPARE TRANSACTION on a participant: the part stays as it is, active and with its locks, but
 * belongs to no session any more and outlives crashes.
 *
 *   ACTIVE ──HOLD──► held ──commit──► as every other commit (part.c)
 *                     │  ▲ HOLD: some other participant could not
 *                     │  └─ PREPARED
 *                     └──UNHOLD──► ACTIVE ──rollback──►
 *
 * Log: HELD_INFO (first participant only: what the coordinator, held.c, needs to be there again),
 * HELD_LOCKS (row locks; replay takes no others), HELD_READS (serializable: what it has read), then
 * HOLD with all participants. HOLD settled on all of them = prepared. A rollback says UNHOLD before
 * its first undo, so that after a crash in the middle of it nobody finds the part held.
 */
#include "shard/shard_priv.h"

enum {
    PIECE_BYTES = 15000,
    PIECE_LOCKS = PIECE_BYTES / LOCK_NAME_BYTES,
};
_Static_assert(PIECE_BYTES + 64 <= WAL_RECORD_BYTES_MAX, "a piece is one record");
_Static_assert(SHARD_COUNT_MAX * 4 + 64 <= WAL_RECORD_BYTES_MAX, "the participants fit a record");

bool held_bytes_put(struct held_bytes *h, const uint8_t *bytes, uint32_t at, uint32_t len,
                    uint32_t total)
{
    if (total == 0 || at > total || len > total - at)
        return total == 0 && len == 0;
    if (h->bytes == NULL) {
        h->bytes = core_zalloc(total);
        h->len = total;
    }
    if (total != h->len)
        return false;
    memcpy(h->bytes + at, bytes, len);
    return true;
}

SUSPENDS static err_t log_bytes_wait(struct shard *s, const struct part *p, enum record_kind kind,
                                     const struct held_bytes *h)
{
    for (uint32_t at = 0; at < h->len; at += PIECE_BYTES) {
        uint32_t len = MIN(h->len - at, (uint32_t)PIECE_BYTES);
        TRY(shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX + len));
        struct log_writer w = {.len = 0};
        log_put_u64(&w, p->id);
        log_put_u32(&w, at);
        log_put_u32(&w, h->len);
        (void)shard_log(s, kind, &w, h->bytes + at, len);
    }
    return ERR_OK;
}

SUSPENDS static err_t log_locks_wait(struct shard *s, const struct part *p)
{
    const struct lock_hold *at = NULL;
    struct byte_writer locks = {0};
    err_t e = ERR_OK;
    struct lock_name name;
    bool more = lock_hold_next(&p->owner, &at, &name);
    while (more && e == ERR_OK) {
        locks.len = 0;
        for (uint32_t i = 0; more && i < PIECE_LOCKS; i++) {
            write_lock(&locks, &name);
            more = lock_hold_next(&p->owner, &at, &name);
        }
        e = shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX + PIECE_BYTES);
        if (e != ERR_OK)
            break;
        struct log_writer w = {.len = 0};
        log_put_u64(&w, p->id);
        (void)shard_log(s, LOG_HELD_LOCKS, &w, locks.bytes, u32_from(locks.len));
    }
    core_free(locks.bytes);
    return e;
}

static lsn_t log_hold(struct shard *s, const struct part *p)
{
    anchor_log(s);
    struct log_writer w = {.len = 0};
    log_put_u64(&w, p->id);
    log_put_u32(&w, p->participant_count);
    return shard_log(s, LOG_HOLD, &w, p->participants,
                     p->participant_count * (uint32_t)sizeof(uint32_t));
}

err_t part_hold_wait(struct shard *s, txn_id_t id, const uint32_t *participants, uint32_t count,
                     const uint8_t *info, uint32_t info_bytes)
{
    ASSERT(count <= SHARD_COUNT_MAX);
    struct part *p = part_find(s, id);
    if (p == NULL) /* it read here, or its record needs a place */
        p = part_make(s, id, 0);
    ASSERT(p->state == PART_ACTIVE);
    p->is_logged = true;
    p->is_holding = true;
    bool fits = held_bytes_put(&p->held_info, info, 0, info_bytes, info_bytes);
    ASSERT(fits);
    struct byte_writer reads = {0};
    serial_held_write(s, p, &reads);
    fits = held_bytes_put(&p->held_reads, reads.bytes, 0, u32_from(reads.len), u32_from(reads.len));
    ASSERT(fits);
    core_free(reads.bytes);
    TRY(log_bytes_wait(s, p, LOG_HELD_INFO, &p->held_info));
    TRY(log_locks_wait(s, p));
    TRY(log_bytes_wait(s, p, LOG_HELD_READS, &p->held_reads));
    uint32_t bytes = count * (uint32_t)sizeof(uint32_t);
    TRY(shard_reserve_wait(s, 2, LOG_FIXED_BYTES_MAX + bytes + anchor_bytes_max()));
    nosuspend_begin();
    if (serial_hold(s, p) != ERR_OK) {
        nosuspend_end();
        return err_diag()->code;
    }
    part_set_participants(p, participants, count);
    p->is_holding = false;
    p->is_held = true;
    p->owner.session = 0;
    lsn_t lsn = log_hold(s, p);
    nosuspend_end();
    return shard_flush_wait(s, lsn);
}

err_t part_hold_again_wait(struct shard *s, txn_id_t id)
{
    struct part *p = part_find(s, id);
    if (p == NULL || p->state != PART_PREPARED)
        return ERR_OK;
    ASSERT(p->is_held);
    TRY(shard_reserve_wait(s, RESERVE_CRITICAL | 2,
                           LOG_FIXED_BYTES_MAX + p->participant_count * 4u + anchor_bytes_max()));
    nosuspend_begin();
    p->state = PART_ACTIVE;
    p->owner.is_ending = false;
    serial_hold_again(s, p);
    lsn_t lsn = log_hold(s, p);
    txn_watch_end(&p->waiters); /* who waited for the outcome of the commit looks again */
    nosuspend_end();
    return shard_flush_wait(s, lsn);
}

err_t part_unhold_wait(struct shard *s, struct part *p)
{
    TRY(shard_reserve_wait(s, RESERVE_CRITICAL | 1, LOG_FIXED_BYTES_MAX));
    nosuspend_begin();
    struct log_writer w = {.len = 0};
    log_put_u64(&w, p->id);
    (void)shard_log(s, LOG_UNHOLD, &w, NULL, 0);
    p->is_held = false;
    nosuspend_end();
    return ERR_OK;
}

/* ---- replay ---- */

bool redo_held_bytes(struct part *p, struct held_bytes *h, struct byte_reader *r)
{
    uint32_t at = read_u32(r);
    uint32_t total = read_u32(r);
    if (r->is_bad || p->state != PART_ACTIVE)
        return false;
    p->is_logged = true;
    p->is_holding = true;
    return held_bytes_put(h, r->at, at, (uint32_t)(r->end - r->at), total);
}

bool redo_held_locks(struct shard *s, struct part *p, struct byte_reader *r)
{
    if (p->state != PART_ACTIVE || (r->end - r->at) % LOCK_NAME_BYTES != 0)
        return false;
    p->is_logged = true;
    p->is_holding = true;
    while (r->at != r->end) {
        struct lock_name name = read_lock(r);
        lock_restore(&s->row_locks, &p->owner, &name);
    }
    return true;
}

bool redo_hold(struct shard *s, struct part *p, struct byte_reader *r)
{
    uint32_t count = read_u32(r);
    if (r->is_bad || count == 0 || count > SHARD_COUNT_MAX)
        return false;
    const uint8_t *list = read_bytes(r, count * 4);
    if (r->is_bad || (p->state == PART_PREPARED && !p->is_held))
        return false;
    part_set_participants(p, list, count);
    p->state = PART_ACTIVE;
    p->is_logged = true;
    p->is_holding = false;
    p->is_held = true;
    return serial_held_read(s, p);
}
