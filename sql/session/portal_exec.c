/*
 * The execution of a portal. It stays on the core where it was opened: its fragments, readers and
 * memory belong there. When its session has moved on, rows come from there in batches, as many as
 * the client has asked for, so that nothing runs ahead of it. A call to that core runs the next
 * part; the session waits for it, and lends what the part may need of it: its transaction, its
 * catalog view, its services. Statement memory and notices are kept apart meanwhile, as those of
 * the session belong to its own core.
 */
#include "sql/session/session_priv.h"

enum { FAR_ROWS_MAX = 256, FAR_BYTES_MAX = 64 << 10 };

struct far_notice {
    struct far_notice *next;
    const char *severity;
    struct diag diag;
};

/* Access: made, filled and freed by the portal's core, read by the session's between calls. */
struct portal_far {
    struct arena *mem;
    struct slot rows[FAR_ROWS_MAX];
    uint32_t count;
    uint32_t read;
    bool is_end;
    struct far_notice *notices;
    struct far_notice **last_notice;
    struct diag *failed; /* comes after the rows */
};

struct far_call {
    struct session *session;
    struct portal *portal;
    uint64_t want;
};

static err_t far_notice(struct row_sink *sink, const char *severity, const struct diag *d)
{
    struct portal_far *f = sink->owner;
    struct far_notice *n = ARENA_NEW(f->mem, struct far_notice);
    n->severity = severity;
    diag_copy(&n->diag, d);
    *f->last_notice = n;
    f->last_notice = &n->next;
    return ERR_OK;
}

static void far_keep(struct portal_far *f, const struct portal *p, const struct slot *row)
{
    struct slot *k = &f->rows[f->count++];
    *k = (struct slot){.count = p->column_count};
    k->values = ARENA_ARRAY(f->mem, datum, p->column_count + 1);
    k->nulls = ARENA_ARRAY(f->mem, bool, p->column_count + 1);
    for (uint32_t i = 0; i < p->column_count; i++) {
        const struct type_info *t = type_find(p->columns[i].type);
        k->nulls[i] = row->nulls[i];
        if (!row->nulls[i])
            k->values[i] = datum_copy(f->mem, row->values[i], t && t->by_value);
    }
}

static SUSPENDS err_t far_rows_wait(struct far_call *c, struct portal_far *f)
{
    while (f->count < MIN(c->want, FAR_ROWS_MAX) && arena_bytes(f->mem) < FAR_BYTES_MAX) {
        const struct slot *row;
        TRY(exec_next_wait(c->portal->exec, &row));
        f->is_end = row == NULL;
        if (!row)
            return ERR_OK;
        far_keep(f, c->portal, row);
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

static SUSPENDS err_t far_fill_call(void *arg)
{
    struct far_call *c = arg;
    struct session *s = c->session;
    struct portal_far *f = c->portal->far;
    if (!f) {
        f = c->portal->far = core_zalloc(sizeof(*f));
        f->mem = arena_new();
    }
    arena_reset(f->mem);
    f->count = f->read = 0;
    f->notices = NULL;
    f->last_notice = &f->notices;
    struct row_sink notices = {.notice = far_notice, .owner = f};
    struct row_sink *sink = s->sink;
    struct arena *statement = s->statement;
    s->sink = &notices;
    s->statement = arena_new();
    err_t e = far_rows_wait(c, f);
    arena_free(s->statement);
    s->statement = statement;
    s->sink = sink;
    f->failed = NULL;
    if (e != ERR_OK && f->count > 0) {
        f->failed = ARENA_NEW(f->mem, struct diag);
        diag_copy(f->failed, err_diag());
        return ERR_OK;
    }
    return e;
}

static SUSPENDS err_t far_next_wait(struct session *s, struct portal *p, uint64_t want,
                                    const struct slot **row)
{
    *row = NULL;
    struct portal_far *f = p->far;
    if (!f || f->read == f->count) {
        if (f && f->failed)
            return err_adopt(f->failed);
        if (f && f->is_end)
            return ERR_OK;
        struct far_call c = {.session = s, .portal = p, .want = want};
        s->is_lent = true;
        err_t e = core_call_wait(p->core, far_fill_call, &c);
        s->is_lent = false;
        f = p->far;
        for (const struct far_notice *n = f ? f->notices : NULL; n; n = n->next)
            ERR_IGNORE(s->sink->notice(s->sink, n->severity, &n->diag));
        TRY(e);
    }
    if (f && f->read < f->count)
        *row = &f->rows[f->read++];
    return ERR_OK;
}

SUSPENDS err_t portal_next_wait(struct session *s, struct portal *p, uint64_t want,
                                const struct slot **row)
{
    if (LIKELY(p->core == core_id() && !p->far))
        return exec_next_wait(p->exec, row);
    return far_next_wait(s, p, want, row);
}

static SUSPENDS err_t exec_end_call(void *arg)
{
    struct portal *p = arg;
    exec_end_wait(p->exec);
    if (p->far) {
        arena_free(p->far->mem);
        core_free(p->far);
    }
    return ERR_OK;
}

SUSPENDS void portal_exec_end_wait(struct portal *p)
{
    if (!p->exec)
        return;
    fiber_shield_begin();
    ERR_IGNORE(core_call_wait(p->core, exec_end_call, p)); /* never fails */
    fiber_shield_end();
    p->exec = NULL;
    p->far = NULL;
}
