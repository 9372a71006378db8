/*
 * Sequences: one page, i64 last_value at 32, u8 is_called at 40. Not undone. The log runs ahead by
 * LOG_AHEAD values, so most calls log nothing; after a crash the values logged ahead are skipped.
 * The page has the true value: a checkpoint in between makes the next call log again, since the
 * record that covers it may be behind the checkpoint.
 */
#include "core/defects.h"
#include "shard/shard_priv.h"

enum { LOG_AHEAD = 32, AT_VALUE = PAGE_HEADER_BYTES, AT_CALLED = PAGE_HEADER_BYTES + 8 };

struct sequence {
    file_id file;
    struct sequence *next;
    uint64_t checkpoint_count; /* when it was logged */
    uint32_t ahead;            /* values covered by that record and not yet given out */
    int64_t increment;         /* for which it was logged */
    lsn_t lsn;
};

static struct sequence *sequence_of(struct shard *s, file_id seq)
{
    struct sequence **at = &s->sequences[file_bucket(seq)];
    for (struct sequence *q = *at; q != NULL; q = q->next) {
        if (q->file == seq)
            return q;
    }
    struct sequence *q = core_zalloc(sizeof(*q));
    q->file = seq;
    q->next = *at;
    *at = q;
    return q;
}

void sequence_forget(struct shard *s, file_id seq)
{
    struct sequence **at = &s->sequences[file_bucket(seq)];
    while (*at != NULL && (*at)->file != seq)
        at = &(*at)->next;
    if (*at != NULL) {
        struct sequence *q = *at;
        *at = q->next;
        core_free(q);
    }
}

void sequences_destroy(struct shard *s)
{
    for (uint32_t i = 0; i < FILE_TABLE_BUCKETS; i++) {
        while (s->sequences[i] != NULL) {
            struct sequence *q = s->sequences[i];
            s->sequences[i] = q->next;
            core_free(q);
        }
    }
}

SUSPENDS static err_t pin_wait(struct shard *s, file_id seq, struct page **out)
{
    if (file_page_count(s->pages, seq) == 0) {
        TRY(page_reserve_wait(s->pages, 1));
        if (file_page_count(s->pages, seq) == 0) {
            *out = page_new_reserved(s->pages, seq);
            page_reserve_end(s->pages);
            return ERR_OK;
        }
        page_reserve_end(s->pages);
    }
    return page_pin_wait(s->pages, seq, 0, out);
}

static lsn_t log_state(struct shard *s, file_id seq, int64_t value, bool is_called)
{
    struct log_writer w = {.len = 0};
    log_put_u64(&w, seq);
    log_put_u64(&w, (uint64_t)value);
    log_put_u8(&w, is_called ? 1 : 0);
    return shard_log(s, LOG_SEQUENCE, &w, NULL, 0);
}

static void page_store_state(struct page *page, int64_t value, bool is_called, lsn_t lsn)
{
    uint8_t *d = page_modify(page);
    store_u64(d + AT_VALUE, (uint64_t)value);
    d[AT_CALLED] = is_called ? 1 : 0;
    page_set_lsn(page, lsn);
}

SUSPENDS static err_t write_wait(struct shard *s, file_id seq, int64_t value, bool is_called,
                                 lsn_t *lsn)
{
    struct page *page;
    TRY(pin_wait(s, seq, &page));
    err_t e = shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX);
    if (e != ERR_OK) {
        page_unpin(page);
        return e;
    }
    nosuspend_begin();
    struct sequence *q = sequence_of(s, seq);
    *lsn = q->lsn = log_state(s, seq, value, is_called);
    q->ahead = 0;
    page_store_state(page, value, is_called, *lsn);
    nosuspend_end();
    page_unpin(page);
    return ERR_OK;
}

err_t sequence_redo_wait(struct shard *s, file_id seq, int64_t value, bool is_called)
{
    lsn_t lsn;
    return write_wait(s, seq, value, is_called, &lsn);
}

err_t sequence_write_wait(struct shard *s, struct txn_view *v, file_id seq,
                          const struct sequence_state *state)
{
    ASSERT(shard_is_owner(s));
    lsn_t lsn;
    TRY(write_wait(s, seq, state->last_value, state->is_called, &lsn));
    v->observed = MAX(v->observed, lsn);
    return ERR_OK;
}

err_t sequence_read_wait(struct shard *s, file_id seq, struct sequence_state *out)
{
    ASSERT(shard_is_owner(s));
    struct page *page;
    TRY(pin_wait(s, seq, &page));
    out->last_value = (int64_t)load_u64(page->data + AT_VALUE);
    out->is_called = page->data[AT_CALLED] != 0;
    page_unpin(page);
    return ERR_OK;
}

/* The value after `value`; false: there is none. */
static bool step(int64_t value, int64_t increment, int64_t min, int64_t max, bool cycle,
                 int64_t *out)
{
    int64_t next;
    bool is_over =
        ckd_add_i64(&next, value, increment) || (increment > 0 ? next > max : next < min);
    if (is_over) {
        if (!cycle)
            return false;
        next = increment > 0 ? min : max;
    }
    *out = next;
    return true;
}

err_t sequence_next_wait(struct shard *s, struct txn_view *v, file_id seq, int64_t increment,
                         int64_t min, int64_t max, bool cycle, uint32_t want, int64_t *first,
                         uint32_t *count)
{
    ASSERT(shard_is_owner(s));
    ASSERT(want > 0);
    *count = 0;
    struct page *page;
    TRY(pin_wait(s, seq, &page));
    err_t e = shard_reserve_wait(s, 1, LOG_FIXED_BYTES_MAX);
    if (e != ERR_OK) {
        page_unpin(page);
        return e;
    }
    nosuspend_begin();
    struct sequence *q = sequence_of(s, seq);
    int64_t value = (int64_t)load_u64(page->data + AT_VALUE);
    bool is_called = page->data[AT_CALLED] != 0;
    bool ok = true;
    if (is_called)
        ok = step(value, increment, min, max, cycle, &value);
    if (ok) {
        /* As many as follow each other without a wrap. */
        *first = value;
        uint32_t n = 1;
        int64_t last = value;
        int64_t next;
        while (n < want && step(last, increment, min, max, false, &next)) {
            last = next;
            n++;
        }
        *count = n;
        if (q->ahead < n ||
            (q->checkpoint_count != s->checkpoint_count && !DEFECT(SEQUENCE_NOT_LOGGED)) ||
            q->increment != increment) {
            int64_t ahead = last;
            uint32_t extra = 0;
            while (extra < LOG_AHEAD && step(ahead, increment, min, max, false, &next)) {
                ahead = next;
                extra++;
            }
            q->lsn = log_state(s, seq, ahead, true);
            q->ahead = extra;
            q->checkpoint_count = s->checkpoint_count;
            q->increment = increment;
        } else {
            q->ahead -= n;
        }
        page_store_state(page, last, true, q->lsn);
        if (q->lsn > v->observed && !shard_is_settled(s, q->lsn))
            v->observed = q->lsn;
    }
    nosuspend_end();
    page_unpin(page);
    return ERR_OK;
}
