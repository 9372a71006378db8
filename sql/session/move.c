/*
 * Sessions that move to another core, between messages.
 *
 *   old core                                new core
 *   begin:  its channels are listened to     (notify.c)
 *           there; all that was sent here
 *           has come
 *   leave:  out of the registry; snapshots
 *           kept by txn_places; memory is
 *           counted off           ─ post ─►  join: memory is counted, snapshots join the list
 *                                            by age, registry, a word to the session's home
 *   done:   snapshots are let go  ◄─ post ─
 *
 * Everything of the session goes as it is, by pointer. What belongs to the old core stays there and
 * is found from the new one: plans (prepared statements take the new core's at their next use),
 * executions of open portals (portal_exec.c), table locks of the open transaction (shard/txn.c).
 *
 * When to move by itself (session_moves = auto), only outside of a transaction:
 *   - toward data: statements that touch one other core only count for it; those that touch the own
 *     one count twice against it. A session goes when AWAY_SCORE more spoke for the other core.
 *   - away from load: a core that was busy for BUSY_PERCENT of the last period lets one session go
 *     per period to the core that was least busy, if that was idle enough, and never one whose data
 *     is here.
 * After a move a session stays for STAY_US; each further move of itself within sixteen times that
 * doubles it, up to 64 times.
 */
#include "core/shared.h"
#include "sql/catalog/cache.h"
#include "sql/session/session_priv.h"

enum {
    SCORE_MAX = 64,
    AWAY_SCORE = 32,
    STAY_US = 1000000,
    STAY_SHIFT_MAX = 6,
    LOAD_PERIOD_US = 500000,
    BUSY_PERCENT = 90,
    BUSY_DIFFERENCE = 40,
};

enum move_cause { MOVE_REQUESTED, MOVE_FORCED, MOVE_DATA, MOVE_LOAD };

struct session_move {
    struct session *session;
    uint32_t from;
    uint32_t to;
    uint64_t began_ns;
    struct notify_session *notify; /* made ready there */
    uint64_t notify_until;
    struct txn_cursor **cursors;
    uint32_t cursor_count;
    struct txn_places *places;
};

/* What a core knows of the cores' load. Access: each entry by its core. */
static struct load {
    SHARED_LINE uint64_t looked_us;
    uint64_t busy_ns[CORE_COUNT_MAX]; /* then */
    uint32_t to;                      /* core that may take one session, + 1 */
} loads[CORE_COUNT_MAX];

/* ---- whether ---- */

void session_move_request(struct session *s, uint32_t core)
{
    s->move_to = (uint16_t)(core + 1);
    if (!s->fiber && s->on_move)
        s->on_move(s->on_move_owner);
}

void session_on_move(struct session *s, void (*fn)(void *owner), void *owner)
{
    s->on_move = fn;
    s->on_move_owner = owner;
}

static uint8_t score_add(uint32_t score, uint32_t more, uint32_t less)
{
    score = score + MIN(more, (uint32_t)SCORE_MAX);
    score = score > less ? score - less : 0;
    return (uint8_t)MIN(score, (uint32_t)SCORE_MAX);
}

void session_note_places(struct session *s)
{
    if (!s->txn)
        return;
    struct txn_touched t = txn_touched(s->txn);
    s->here_score = score_add(s->here_score, t.here, 2 * t.away);
    if (s->away_score == 0)
        s->away_core = (uint16_t)t.away_core;
    if (t.away > 0 && t.away_core != s->away_core)
        s->away_score = score_add(s->away_score, 0, t.away + 2 * t.here);
    else
        s->away_score = score_add(s->away_score, t.away, 2 * t.here);
}

static uint64_t stay_us(const struct session *s)
{
    return (uint64_t)STAY_US << s->stay_shift;
}

/* Once per period: is this core so busy, and another one so idle, that a session should go? */
static void load_look(struct load *l, uint64_t now_us)
{
    uint64_t period_ns = (now_us - l->looked_us) * 1000;
    bool is_first = l->looked_us == 0 || period_ns > (uint64_t)LOAD_PERIOD_US * 4000;
    l->looked_us = now_us;
    l->to = 0;
    uint64_t here = 0;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < core_count(); i++) {
        uint64_t total = stats_read(&stats_of(i)->busy_ns);
        uint64_t percent = (total - l->busy_ns[i]) * 100 / MAX(period_ns, 1);
        l->busy_ns[i] = total;
        if (i == core_id()) {
            here = percent;
        } else if (percent < least) {
            least = percent;
            l->to = i + 1;
        }
    }
    if (is_first || here < BUSY_PERCENT || least + BUSY_DIFFERENCE > here)
        l->to = 0;
}

static bool wants_for_load(struct session *s, uint64_t now, uint32_t *to)
{
    struct load *l = &loads[core_id()];
    if (now - l->looked_us >= LOAD_PERIOD_US)
        load_look(l, now);
    if (l->to == 0 || s->here_score > 0 || now - s->moved_us < stay_us(s) ||
        stats_read(&stats_self()->sessions) < 2)
        return false;
    *to = l->to - 1;
    return true;
}

static bool wants_of_itself(struct session *s, uint32_t *to)
{
    if (s->block != BLOCK_NONE)
        return false;
    uint64_t now = core_now_us();
    if (s->away_score >= AWAY_SCORE && s->away_core != core_id() &&
        now - s->moved_us >= stay_us(s)) {
        *to = s->away_core;
        return true;
    }
    return wants_for_load(s, now, to);
}

bool session_wants_to_move(struct session *s, uint32_t *to)
{
    enum { MODE_OFF, MODE_AUTO, MODE_FORCE };
    uint32_t cores = core_count();
    /* What others may take over a snapshot from stays where they look for it. */
    if (cores == 1 || (s->txn && txn_has_exported(s->txn)))
        return false;
    if (s->move_to != 0) {
        *to = s->move_to - 1u;
        if (*to != core_id())
            return true;
        s->move_to = 0;
    }
    switch (setting_enum(s->settings, SET_session_moves)) {
    case MODE_OFF:
        return false;
    case MODE_FORCE:
        *to = (core_id() + 1) % cores;
        return true;
    default:
        return wants_of_itself(s, to);
    }
}

/* ---- going ---- */

static enum move_cause move_cause(const struct session *s, uint32_t to)
{
    if (s->move_to != 0)
        return MOVE_REQUESTED;
    if (setting_enum(s->settings, SET_session_moves) == 2)
        return MOVE_FORCED;
    return s->away_score >= AWAY_SCORE && s->away_core == to ? MOVE_DATA : MOVE_LOAD;
}

static void move_count(struct session *s, uint32_t to)
{
    struct stats_page *page = stats_self();
    stats_add(&page->moves_out, 1);
    switch (move_cause(s, to)) {
    case MOVE_REQUESTED:
        stats_add(&page->out_requested, 1);
        break;
    case MOVE_FORCED:
        stats_add(&page->out_forced, 1);
        return;
    case MOVE_DATA:
        stats_add(&page->out_data, 1);
        break;
    case MOVE_LOAD:
        loads[core_id()].to = 0;
        stats_add(&page->out_load, 1);
        break;
    }
    uint64_t now = core_now_us();
    if (s->move_to != 0)
        s->stay_shift = 0;
    else if (s->moved_us != 0 && now - s->moved_us < stay_us(s) * 16)
        s->stay_shift = (uint8_t)MIN(s->stay_shift + 1, STAY_SHIFT_MAX);
    else
        s->stay_shift = 0;
    s->moved_us = now;
}

SUSPENDS struct session_move *session_move_begin_wait(struct session *s, uint32_t to)
{
    struct session_move *m = core_zalloc(sizeof(*m));
    m->session = s;
    m->from = core_id();
    m->to = to;
    m->began_ns = core_now_precise_ns();
    m->notify = notify_prepare_wait(s, to);
    if (m->notify)
        m->notify_until = notify_caught_up_session_wait(s);
    return m;
}

SUSPENDS void session_move_cancel_wait(struct session_move *m)
{
    m->session->move_to = 0;
    notify_forget_wait(m->notify, m->to);
    core_free(m);
}

static void move_take_cursors(struct session_move *m)
{
    const struct session *s = m->session;
    if (s->portal_count == 0)
        return;
    m->cursors = core_malloc(sizeof(struct txn_cursor *) * s->portal_count);
    for (uint32_t i = 0; i < NAME_BUCKETS; i++) {
        for (struct portal *p = s->portals[i]; p; p = p->next) {
            if (p->snapshot)
                m->cursors[m->cursor_count++] = p->snapshot;
        }
    }
}

void session_move_leave(struct session_move *m)
{
    struct session *s = m->session;
    ASSERT(!s->fiber && !s->services && !s->cancel_is_armed);
    move_count(s, m->to);
    s->move_to = 0;
    s->move_count++;
    s->away_score = 0;
    s->here_score = 0;
    move_take_cursors(m);
    if (s->txn)
        m->places = txn_leave(s->txn, m->cursors, m->cursor_count);
    catalog_session_leave(&s->catalog);
    notify_leave(s, m->notify, m->notify_until);
    registry_leave(s, m->to);
    session_memory(s, core_memory_leave, arena_leave);
}

static void move_done_post(void *arg)
{
    struct session_move *m = arg;
    txn_places_free(m->places);
    core_free(m->cursors);
    core_free(m);
}

void session_move_join(struct session_move *m)
{
    struct session *s = m->session;
    ASSERT(core_id() == m->to);
    session_memory(s, core_memory_join, arena_join);
    if (s->txn)
        txn_join(s->txn, m->cursors, m->cursor_count, m->places);
    notify_join(s);
    sequence_values_forget_rights(s);
    s->path_version = UINT64_MAX;
    registry_join(s);
    stats_add(&stats_self()->moves_in, 1);
    stats_add(&stats_self()->in_ns, core_now_precise_ns() - m->began_ns);
    core_post(m->from, move_done_post, m);
}
