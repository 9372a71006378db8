/*
 * Portals: a bound statement being run, of the extended protocol or as an SQL cursor. All of a
 * transaction's portals end with it, but for cursors WITH HOLD, which run to their end before it
 * commits. These, SCROLL cursors, and others while that costs little, keep the rows fetched so far.
 */
#include "sql/session/session_priv.h"

static struct portal **portal_bucket(struct session *s, const char *name)
{
    if (!s->portals)
        s->portals = core_zalloc(sizeof(struct portal *) * NAME_BUCKETS);
    uint32_t h = 5381;
    for (const char *p = name; *p; p++)
        h = h * 33 + (uint8_t)*p;
    return &s->portals[h % NAME_BUCKETS];
}

struct portal *portal_find(struct session *s, const char *name)
{
    struct portal *p = s->portal_count > 0 ? *portal_bucket(s, name) : NULL;
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    return p;
}

struct portal *portal_new(struct session *s, const char *name)
{
    struct arena *mem = arena_new();
    struct portal *p = ARENA_NEW(mem, struct portal);
    p->mem = mem;
    p->name = arena_strdup(mem, name);
    p->created_at = s->message_at;
    p->mark = s->txn ? txn_mark(s->txn) : 0;
    struct portal **head = portal_bucket(s, name);
    p->next = *head;
    *head = p;
    s->portal_count++;
    return p;
}

SUSPENDS void portal_drop_wait(struct session *s, struct portal *p)
{
    struct portal **at = portal_bucket(s, p->name);
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    s->portal_count--;
    portal_exec_end_wait(p);
    txn_cursor_close(p->snapshot);
    cached_release(p->cached);
    arena_free(p->kept_mem);
    arena_free(p->mem);
}

/* keep_held: cursors WITH HOLD of earlier transactions. */
SUSPENDS void portal_drop_all_wait(struct session *s, bool keep_held)
{
    if (s->portal_count == 0)
        return;
    for (uint32_t i = 0; i < NAME_BUCKETS; i++) {
        struct portal **at = &s->portals[i];
        while (*at) {
            if (keep_held && (*at)->is_held)
                at = &(*at)->next;
            else
                portal_drop_wait(s, *at);
        }
    }
}

/* They cannot run any more, but are there until the block ends. */
SUSPENDS void portal_fail_since_wait(struct session *s, uint32_t mark)
{
    for (uint32_t i = 0; s->portal_count > 0 && i < NAME_BUCKETS; i++) {
        for (struct portal *p = s->portals[i]; p; p = p->next) {
            if (p->mark < mark || p->is_held)
                continue;
            portal_exec_end_wait(p);
            txn_cursor_close(p->snapshot);
            p->snapshot = NULL;
            p->is_failed = true;
        }
    }
}

SUSPENDS void portal_drop_since_wait(struct session *s, uint32_t mark)
{
    for (uint32_t i = 0; s->portal_count > 0 && i < NAME_BUCKETS; i++) {
        struct portal **at = &s->portals[i];
        while (*at) {
            if ((*at)->mark >= mark && !(*at)->is_held)
                portal_drop_wait(s, *at);
            else
                at = &(*at)->next;
        }
    }
}

bool portal_any_to_hold(const struct session *s)
{
    for (uint32_t i = 0; s->portal_count > 0 && i < NAME_BUCKETS; i++) {
        for (const struct portal *p = s->portals[i]; p; p = p->next) {
            if (p->hold && !p->is_held)
                return true;
        }
    }
    return false;
}

static SUSPENDS err_t portal_hold_wait(struct session *s, struct portal *p)
{
    txn_cursor_enter(p->snapshot);
    err_t e = ERR_OK;
    while (!p->is_done && e == ERR_OK) {
        const struct slot *row = NULL;
        e = portal_next_wait(s, p, UINT64_MAX, &row);
        if (e == ERR_OK && row)
            e = portal_keep(p, p->columns, row);
        else
            p->is_done = true;
        if (e == ERR_OK)
            e = fiber_rest_wait();
    }
    txn_cursor_leave(p->snapshot);
    TRY(e);
    portal_exec_end_wait(p);
    txn_cursor_close(p->snapshot);
    p->snapshot = NULL;
    p->is_held = true;
    return ERR_OK;
}

SUSPENDS err_t portal_hold_all_wait(struct session *s)
{
    for (uint32_t i = 0; s->portal_count > 0 && i < NAME_BUCKETS; i++) {
        for (struct portal *p = s->portals[i]; p; p = p->next) {
            if (p->hold && !p->is_held)
                TRY(portal_hold_wait(s, p));
        }
    }
    return ERR_OK;
}

/* ---- SQL cursors ---- */

/* Rows fetched are kept: of cursors that may go back. Without SCROLL and NO SCROLL a cursor may
 * where that costs little: while its rows fit into work_mem. */
static bool cursor_keeps(const struct portal *p)
{
    return p->scroll || p->hold || p->may_scroll;
}

static void cursor_look_at_room(struct session *s, struct portal *p)
{
    uint64_t limit = (uint64_t)setting_int(s->settings, SET_work_mem) << 10;
    if (!p->may_scroll || p->scroll || p->hold || !p->kept_mem || arena_bytes(p->kept_mem) < limit)
        return;
    p->may_scroll = false;
    p->kept = NULL;
    p->kept_count = p->kept_room = 0;
    arena_free(p->kept_mem);
    p->kept_mem = NULL;
}

const struct result_column *columns_copy(struct arena *mem, const struct result_column *columns,
                                         uint32_t count)
{
    if (!columns)
        return NULL;
    struct result_column *copy = arena_memdup(mem, columns, sizeof(*copy) * count);
    for (uint32_t i = 0; i < count; i++)
        copy[i].name = arena_strdup(mem, copy[i].name);
    return copy;
}

err_t portal_keep(struct portal *p, const struct result_column *columns, const struct slot *row)
{
    if (!p->kept_mem)
        p->kept_mem = arena_new();
    if (!p->kept_count)
        p->kept_columns = columns_copy(p->kept_mem, columns, p->column_count);
    if (p->kept_count == p->kept_room) {
        uint64_t room = p->kept_room ? p->kept_room * 2 : 64;
        void *bigger;
        TRY(arena_alloc_try(p->kept_mem, room * sizeof(*p->kept), &bigger));
        if (p->kept_count)
            memcpy(bigger, p->kept, p->kept_count * sizeof(*p->kept));
        p->kept = bigger;
        p->kept_room = room;
    }
    struct slot *k = &p->kept[p->kept_count];
    k->count = p->column_count;
    k->values = ARENA_ARRAY(p->kept_mem, datum, p->column_count + 1);
    k->nulls = ARENA_ARRAY(p->kept_mem, bool, p->column_count + 1);
    for (uint32_t i = 0; i < p->column_count; i++) {
        k->nulls[i] = row->nulls[i];
        if (columns[i].type != p->kept_columns[i].type)
            return prepared_raise_changed();
        const struct type_info *t = type_find(columns[i].type);
        if (!row->nulls[i])
            k->values[i] = datum_copy(p->kept_mem, row->values[i], t && t->by_value);
    }
    p->kept_count++;
    return ERR_OK;
}

/* Row number n (from 1); *row = NULL behind the end. more: those that will be asked for next. */
static SUSPENDS err_t cursor_row_wait(struct session *s, struct portal *p, int64_t n, int64_t more,
                                      const struct slot **row)
{
    *row = NULL;
    if (cursor_keeps(p)) {
        for (uint64_t at = p->kept_count; !p->is_done && at < (uint64_t)n;) {
            TRY(portal_next_wait(s, p, (uint64_t)n - at + (uint64_t)more, row));
            p->is_done = !*row;
            at += *row != NULL;
            if (*row && cursor_keeps(p)) {
                TRY(portal_keep(p, p->columns, *row));
                cursor_look_at_room(s, p);
            }
        }
        if (cursor_keeps(p))
            *row = (uint64_t)n <= p->kept_count ? &p->kept[n - 1] : NULL;
        return ERR_OK;
    }
    if (p->is_done)
        return ERR_OK;
    TRY(portal_next_wait(s, p, 1 + (uint64_t)more, row));
    if (!*row)
        p->is_done = true;
    return ERR_OK;
}

err_t cursor_describe(struct session *s, struct portal *p)
{
    bool due = p->describe_due;
    p->describe_due = false;
    return due ? s->sink->describe(s->sink, p->columns, p->column_count, p->formats) : ERR_OK;
}

static SUSPENDS err_t cursor_send_wait(struct session *s, struct portal *p, const struct slot *row,
                                       bool send, uint64_t *count)
{
    ++*count;
    if (!send)
        return ERR_OK;
    TRY(cursor_describe(s, p));
    return s->sink->row(s->sink, p->columns, p->column_count, p->formats, row->values, row->nulls);
}

static SUSPENDS err_t cursor_forward_wait(struct session *s, struct portal *p, int64_t n, bool send,
                                          uint64_t *count)
{
    for (int64_t i = 0; i < n; i++) {
        const struct slot *row;
        TRY(cursor_row_wait(s, p, p->position + 1, n - i - 1, &row));
        if (!row) {
            p->position = cursor_keeps(p) ? (int64_t)p->kept_count + 1 : p->position;
            break;
        }
        p->position++;
        TRY(cursor_send_wait(s, p, row, send, count));
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

static err_t cursor_require_scroll(struct portal *p)
{
    if (cursor_keeps(p) && !p->no_scroll) {
        p->scroll = p->scroll || p->may_scroll; /* it is used so: from now on it keeps all */
        return ERR_OK;
    }
    err_t e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward");
    err_hint("Declare it with SCROLL option to enable backward scan.");
    return e;
}

static SUSPENDS err_t cursor_backward_wait(struct session *s, struct portal *p, int64_t n,
                                           bool send, uint64_t *count)
{
    TRY(cursor_require_scroll(p));
    for (int64_t i = 0; i < n && p->position > 0; i++) {
        p->position--;
        if (p->position == 0)
            break;
        TRY(cursor_send_wait(s, p, &p->kept[p->position - 1], send, count));
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

/* The row at an absolute position, counted from the end when negative. */
static SUSPENDS err_t cursor_absolute_wait(struct session *s, struct portal *p, int64_t n,
                                           bool send, uint64_t *count)
{
    const struct slot *row;
    if (n < 0) {
        TRY(cursor_require_scroll(p));
        TRY(cursor_row_wait(s, p, INT64_MAX, 0, &row));
        n = (int64_t)p->kept_count + 1 + n;
        if (n < 0)
            n = 0;
    }
    if (n <= p->position)
        TRY(cursor_require_scroll(p));
    if (n == 0) {
        p->position = 0;
        return ERR_OK;
    }
    if (!cursor_keeps(p)) {
        uint64_t skipped = 0;
        TRY(cursor_forward_wait(s, p, n - p->position - 1, false, &skipped));
        return cursor_forward_wait(s, p, 1, send, count);
    }
    TRY(cursor_row_wait(s, p, n, 0, &row));
    p->position = row || !cursor_keeps(p) ? n : (int64_t)p->kept_count + 1;
    return row ? cursor_send_wait(s, p, row, send, count) : ERR_OK;
}

static SUSPENDS err_t cursor_move_wait(struct session *s, struct portal *p, const struct utility *u,
                                       bool send, uint64_t *count)
{
    int64_t n = u->fetch_count;
    bool backward = u->fetch_direction == 1;
    if (u->fetch_direction == 2)
        return cursor_absolute_wait(s, p, n, send, count);
    if (u->fetch_direction == 3) {
        if (n > 1) {
            uint64_t skipped = 0;
            TRY(cursor_forward_wait(s, p, n - 1, false, &skipped));
            n = 1;
        } else if (n < 0) {
            return cursor_absolute_wait(s, p, p->position + n > 0 ? p->position + n : 0, send,
                                        count);
        }
    }
    if (n < 0 && !backward) {
        backward = true;
        n = -n;
    } else if (n < 0) {
        backward = false;
        n = -n;
    }
    if (n == 0) { /* the current row again */
        if (p->position == 0 || (uint64_t)p->position > p->kept_count)
            return cursor_keeps(p) ? ERR_OK : cursor_require_scroll(p);
        return cursor_send_wait(s, p, &p->kept[p->position - 1], send, count);
    }
    return backward ? cursor_backward_wait(s, p, n, send, count)
                    : cursor_forward_wait(s, p, n, send, count);
}

SUSPENDS err_t cursor_execute_wait(struct session *s, struct portal *p, uint64_t max_rows,
                                   bool *finished)
{
    int64_t wanted = max_rows == 0 ? INT64_MAX : (int64_t)max_rows;
    p->rows_sent = 0;
    if (p->snapshot)
        txn_cursor_enter(p->snapshot);
    err_t e = cursor_forward_wait(s, p, wanted, true, &p->rows_sent);
    if (p->snapshot)
        txn_cursor_leave(p->snapshot);
    *finished = max_rows == 0 || p->rows_sent < max_rows;
    return e;
}

/* FETCH from a portal of the extended protocol: it may only be bound so far. */
static SUSPENDS err_t cursor_begin_wait(struct session *s, struct portal *p)
{
    if (!p->plan || p->is_kept || run_is_whole(p->plan) || !p->plan->returns_rows)
        return err_not_built("FETCH from a portal of this statement is not supported");
    if (p->exec || p->is_done || p->is_held)
        return ERR_OK;
    TRY(run_portal_start_wait(s, p));
    p->snapshot = txn_cursor_open(s->txn);
    run_statement_end(s);
    return ERR_OK;
}

SUSPENDS err_t cursor_fetch_wait(struct session *s, const struct utility *u, bool send,
                                 uint64_t *count)
{
    *count = 0;
    struct portal *p = portal_find(s, u->name);
    if (!p)
        return err_raise(ERR_UNDEFINED_CURSOR, "cursor \"%s\" does not exist", u->name);
    TRY(cursor_begin_wait(s, p));
    if (p->snapshot)
        txn_cursor_enter(p->snapshot);
    err_t e = cursor_move_wait(s, p, u, send, count);
    if (p->snapshot)
        txn_cursor_leave(p->snapshot);
    return e;
}
