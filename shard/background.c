/*
 * The fibers that each shard keeps: purge, settling of many-shard commits and reports of them,
 * checkpoints. Each waits on its own queue and is told to end by is_stopping.
 */
#include "shard/shard_priv.h"

enum {
    PURGE_POLL_US_MIN = 5000,
    PURGE_POLL_US_MAX = 200000,
    CHECKPOINT_POLL_US = 200000,
    FAILURE_DELAY_US = 1000000,
};

SUSPENDS static void nap_wait(struct wait_queue *q, uint64_t microseconds)
{
    ERR_IGNORE(
        wait_queue_wait(q, microseconds == UINT64_MAX ? UINT64_MAX : core_now_us() + microseconds));
}

static void fiber_ended(struct shard *s)
{
    s->fibers--;
    wait_queue_wake_all(&s->fibers_ended);
}

SUSPENDS static void purge_loop_wait(void *arg)
{
    struct shard *s = arg;
    uint64_t delay = PURGE_POLL_US_MIN;
    while (!s->is_stopping) {
        bool more = false;
        uint64_t purged = s->purged;
        err_t e = purge_some_wait(s, &more);
        if (e == ERR_OK && !more && !s->is_stopping)
            e = prune_some_wait(s);
        if (spill_is_wanted(s) && !s->is_stopping) {
            s->spill_error = spill_some_wait(s);
            e = e == ERR_OK ? s->spill_error : e;
        }
        wait_queue_wake_all(&s->budget_waiters);
        spill_show(&s->versions);
        if (s->is_stopping)
            break;
        if (e != ERR_OK) {
            if (!wal_failed(s->wal))
                log_diag(LOG_WARNING, err_diag());
            nap_wait(&s->purge_wanted, FAILURE_DELAY_US);
        } else if (more) {
            fiber_yield_wait();
        } else if (s->purge_first == NULL) {
            s->purge_is_idle = true;
            nap_wait(&s->purge_wanted, UINT64_MAX);
            s->purge_is_idle = false;
            delay = PURGE_POLL_US_MIN;
            if (!s->is_stopping && !spill_is_wanted(s))
                nap_wait(&s->purge_wanted, delay);
        } else {
            if (!shard_is_settled(s, s->purge_first->commit_lsn))
                wal_flush_start(s->wal);
            delay = s->purged != purged ? PURGE_POLL_US_MIN : MIN(delay * 2, PURGE_POLL_US_MAX);
            nap_wait(&s->purge_wanted, delay);
        }
    }
    fiber_ended(s);
}

SUSPENDS static void settle_loop_wait(void *arg)
{
    struct shard *s = arg;
    while (!s->is_stopping) {
        err_t e = settle_some_wait(s);
        if (s->is_stopping)
            break;
        if (wal_failed(s->wal))
            outcomes_drop(s);
        if (s->decided.first == NULL && s->forgets.first == NULL)
            nap_wait(&s->settle_wanted, UINT64_MAX);
        else if (e != ERR_OK)
            nap_wait(&s->settle_wanted, FAILURE_DELAY_US);
    }
    fiber_ended(s);
}

SUSPENDS static void report_loop_wait(void *arg)
{
    struct shard *s = arg;
    while (!s->is_stopping) {
        if (s->undurable.first == NULL) {
            nap_wait(&s->report_wanted, UINT64_MAX);
        } else if (settle_report_wait(s) != ERR_OK) {
            wait_queue_wake_all(&s->settle_wanted); /* the log has failed: that fiber drops them */
            nap_wait(&s->report_wanted, FAILURE_DELAY_US);
        }
    }
    fiber_ended(s);
}

SUSPENDS static void checkpoint_loop_wait(void *arg)
{
    struct shard *s = arg;
    while (!s->is_stopping) {
        nap_wait(&s->checkpoint_wanted, CHECKPOINT_POLL_US);
        if (s->is_stopping)
            break;
        lsn_t since = wal_end(s->wal) - s->checkpoint_lsn;
        bool is_due =
            since > 0 && core_now_us() - s->checkpoint_at_us >= s->options.checkpoint_timeout_us;
        bool is_full = since >= s->options.max_wal_bytes;
        if (!is_due && !is_full)
            continue;
        uint64_t pace = is_full ? 0 : s->options.checkpoint_timeout_us / 4;
        if (shard_checkpoint_wait(s, pace) != ERR_OK) {
            log_diag(LOG_WARNING, err_diag());
            s->checkpoint_at_us = core_now_us(); /* tried again after a while */
            if (!s->is_stopping)
                nap_wait(&s->checkpoint_wanted, FAILURE_DELAY_US);
        }
    }
    fiber_ended(s);
}

err_t shard_background_start(struct shard *s)
{
    TRY(fiber_spawn(purge_loop_wait, s));
    s->fibers++;
    TRY(fiber_spawn(settle_loop_wait, s));
    s->fibers++;
    TRY(fiber_spawn(report_loop_wait, s));
    s->fibers++;
    TRY(fiber_spawn(checkpoint_loop_wait, s));
    s->fibers++;
    return ERR_OK;
}

void shard_background_stop_wait(struct shard *s)
{
    s->is_stopping = true;
    wait_queue_wake_all(&s->purge_wanted);
    wait_queue_wake_all(&s->settle_wanted);
    wait_queue_wake_all(&s->report_wanted);
    wait_queue_wake_all(&s->checkpoint_wanted);
    wait_queue_wake_all(&s->budget_waiters);
    while (s->fibers > 0)
        wait_queue_shielded_wait(&s->fibers_ended);
}
