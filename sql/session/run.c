/* Running cached statements: locks, execution, rows to the sink, command tags, timeouts. */
#include "sql/session/session_priv.h"

#include <ctype.h>

/* The command and a number; made for every statement, so without printf. */
const char *run_tag(struct arena *mem, enum command command, uint64_t rows)
{
    static const char *const words[] = {
        [CMD_SELECT] = "SELECT ",
        [CMD_INSERT] = "INSERT 0 ",
        [CMD_UPDATE] = "UPDATE ",
        [CMD_DELETE] = "DELETE ",
    };
    if (command == CMD_UTILITY)
        return "";
    char digits[24];
    char *p = digits + sizeof(digits);
    *--p = '\0';
    do
        *--p = (char)('0' + rows % 10);
    while (rows /= 10);
    size_t word = strlen(words[command]);
    size_t count = (size_t)(digits + sizeof(digits) - p);
    char *tag = arena_alloc(mem, word + count);
    memcpy(tag, words[command], word);
    memcpy(tag + word, p, count);
    return tag;
}

/* ---- cancel and timeouts ---- */

static void run_timed_out(void *arg)
{
    struct session *s = arg;
    if (s->fiber)
        fiber_cancel(s->fiber, ERR_QUERY_CANCELED, "canceling statement due to statement timeout");
}

void run_arm(struct session *s)
{
    s->fiber = fiber_self();
    int64_t timeout_ms = setting_int(s->settings, SET_statement_timeout);
    if (timeout_ms > 0) {
        timer_start(&s->statement_timer, core_now_us() + (uint64_t)timeout_ms * 1000, run_timed_out,
                    s);
        s->cancel_is_armed = true;
    }
}

void run_disarm(struct session *s)
{
    if (s->cancel_is_armed)
        timer_stop(&s->statement_timer);
    s->cancel_is_armed = false;
    s->fiber = NULL;
    fiber_cancel_clear();
}

/* ---- statements ---- */

static const char *run_command_name(enum command command)
{
    return command == CMD_INSERT   ? "INSERT"
           : command == CMD_UPDATE ? "UPDATE"
           : command == CMD_DELETE ? "DELETE"
                                   : "SELECT FOR UPDATE";
}

struct wait_limits run_wait_limits(const struct session *s)
{
    return (struct wait_limits){
        .lock_timeout_ms = (uint32_t)setting_int(s->settings, SET_lock_timeout),
        .deadlock_timeout_ms = (uint32_t)setting_int(s->settings, SET_deadlock_timeout)};
}

SUSPENDS err_t run_locks_wait(struct session *s, const struct plan *plan)
{
    s->catalog.txn_met_temporary |= plan->meets_temporary;
    for (uint32_t i = 0; i < plan->lock_count; i++) {
        uint64_t name = (uint64_t)s->catalog.database << 32 | plan->locks[i].table;
        TRY(txn_lock_table_wait(s->txn, name, plan->locks[i].mode, false));
    }
    return ERR_OK;
}

SUSPENDS err_t run_lock_tables_wait(struct session *s, const struct plan *plan)
{
    TRY(run_locks_wait(s, plan));
    if (plan->writes && s->read_only)
        return err_raise(ERR_READ_ONLY_SQL_TRANSACTION,
                         "cannot execute %s in a read-only transaction",
                         plan->modifies_in_with && plan->command == CMD_SELECT
                             ? "SELECT"
                             : run_command_name(plan->command));
    return ERR_OK;
}

static void run_tell_class(const struct plan *plan)
{
    static const enum stats_class classes[] = {
        [CMD_SELECT] = STATS_CLASS_select, [CMD_INSERT] = STATS_CLASS_insert,
        [CMD_UPDATE] = STATS_CLASS_update, [CMD_DELETE] = STATS_CLASS_delete,
        [CMD_UTILITY] = STATS_CLASS_other,
    };
    stats_trace_class(classes[plan->command]);
}

static bool run_same_locks(const struct plan *a, const struct plan *b)
{
    if (a->lock_count != b->lock_count)
        return false;
    for (uint32_t i = 0; i < a->lock_count; i++) {
        if (a->locks[i].table != b->locks[i].table || a->locks[i].mode != b->locks[i].mode)
            return false;
    }
    return true;
}

SUSPENDS err_t run_lock_current_wait(struct session *s, struct cached **c, bool fixed_result)
{
    enum { ROUNDS_MAX = 100 };
    for (int round = 0; round < ROUNDS_MAX; round++) {
        TRY(run_lock_tables_wait(s, (*c)->plan));
        if (cached_is_here(*c) && (*c)->catalog_version == catalog_version())
            return ERR_OK;
        struct cached *fresh;
        TRY(cached_renew_wait(s, *c, &fresh));
        bool is_locked = fresh->plan && run_same_locks(fresh->plan, (*c)->plan);
        bool is_same = prepared_same_result((*c)->plan, fresh->plan);
        cached_release(*c);
        *c = fresh;
        if (!fresh->plan || (fixed_result && !is_same))
            return prepared_raise_changed();
        if (is_locked) /* made under the locks: what changes the catalog now is not about it */
            return ERR_OK;
    }
    return err_raise(ERR_T_R_SERIALIZATION_FAILURE,
                     "could not plan the statement: its tables are changed all the time");
}

static SUSPENDS err_t run_start_wait(struct session *s, const struct plan *plan,
                                     const datum *params, const bool *param_nulls,
                                     uint32_t param_count, struct exec **out)
{
    run_tell_class(plan);
    txn_statement_begin(s->txn);
    s->statement_ran = true;
    struct exec_options o = {
        .plan = plan,
        .txn = s->txn,
        .env = &s->env,
        .params = params,
        .param_nulls = param_nulls,
        .param_count = param_count,
        .constraints = s->constraints,
    };
    return exec_start_wait(&o, out);
}

static SUSPENDS err_t run_rows_wait(struct session *s, struct exec *x, const struct plan *plan,
                                    const struct result_column *columns, const int16_t *formats,
                                    uint64_t *rows)
{
    for (;;) {
        const struct slot *row;
        TRY(exec_next_wait(x, &row));
        if (!row)
            return ERR_OK;
        ++*rows;
        if (plan->returns_rows)
            TRY(s->sink->row(s->sink, columns, plan->column_count, formats, row->values,
                             row->nulls));
        TRY(fiber_rest_wait());
    }
}

void run_statement_end(struct session *s)
{
    /* Catalog lookups of a transaction that changed the catalog go through its own snapshot. */
    if (s->txn && !s->catalog.txn_changed_catalog)
        txn_statement_end(s->txn);
}

static uint64_t run_count(const struct plan *plan, const struct exec *x, uint64_t rows)
{
    return plan->command == CMD_SELECT ? rows : exec_row_count(x);
}

/* A whole query: describe (when asked), rows, and the tag. */
SUSPENDS err_t run_query_wait(struct session *s, struct cached **c, const datum *params,
                              const bool *param_nulls, uint32_t param_count, bool fixed_result,
                              bool describe, const char **tag)
{
    uint64_t began_at = stats_clock();
    uint64_t waited = stats_trace_waited();
    TRY(run_lock_current_wait(s, c, fixed_result));
    const struct plan *plan = (*c)->plan;
    uint32_t count;
    const struct result_column *columns = cached_columns(s->statement, *c, &count);
    const int16_t *formats = ARENA_ARRAY(s->statement, int16_t, count + 1);
    struct exec *x;
    TRY(run_start_wait(s, plan, params, param_nulls, param_count, &x));
    err_t e = ERR_OK;
    uint64_t rows = 0;
    if (describe && plan->returns_rows)
        e = s->sink->describe(s->sink, columns, count, formats);
    if (e == ERR_OK)
        e = run_rows_wait(s, x, plan, columns, formats, &rows);
    rows = run_count(plan, x, rows);
    exec_end_wait(x);
    run_statement_end(s);
    stats_trace_add_work(STATS_STAGE_run, began_at, waited);
    if (e == ERR_OK)
        *tag = run_tag(s->statement, plan->command, rows);
    return e;
}

/* Run and complete one statement of a simple query; the last one's implicit transaction commits
 * before its completion is told. */
SUSPENDS err_t run_cached_wait(struct session *s, struct cached **c, const datum *params,
                               const bool *param_nulls, uint32_t param_count, bool is_last,
                               bool is_simple)
{
    const char *tag = (*c)->tag;
    if ((*c)->plan)
        TRY(run_query_wait(s, c, params, param_nulls, param_count, false, is_simple, &tag));
    else
        TRY(utility_run_wait(s, c, params, param_nulls, param_count, is_simple, &tag));
    if (is_last && s->block == BLOCK_IMPLICIT)
        TRY(block_commit_wait(s));
    return s->sink->complete(s->sink, tag);
}

bool run_is_whole(const struct plan *p)
{
    return p->returns_rows && (p->command != CMD_SELECT || p->modifies_in_with);
}

static SUSPENDS err_t run_keep_rows_wait(struct portal *p)
{
    for (;;) {
        const struct slot *row;
        TRY(exec_next_wait(p->exec, &row));
        if (!row)
            break;
        TRY(portal_keep(p, p->columns, row));
        TRY(fiber_rest_wait());
    }
    portal_exec_end_wait(p);
    p->is_kept = true;
    return ERR_OK;
}

static SUSPENDS err_t run_kept_rows_wait(struct portal *p, uint64_t max_rows, struct row_sink *sink,
                                         uint64_t *sent)
{
    for (; p->kept_sent < p->kept_count && (max_rows == 0 || *sent < max_rows); ++*sent) {
        const struct slot *row = &p->kept[p->kept_sent++];
        TRY(sink->row(sink, p->kept_columns, p->column_count, p->formats, row->values, row->nulls));
        TRY(fiber_rest_wait());
    }
    /* as with every portal, the end shows only when rows are asked for behind the last one */
    p->is_done = max_rows == 0 || *sent < max_rows;
    return ERR_OK;
}

SUSPENDS err_t run_utility_rows_wait(struct session *s, struct portal *p, uint64_t max_rows)
{
    uint64_t sent = 0;
    if (!p->is_done)
        TRY(run_kept_rows_wait(p, max_rows, s->sink, &sent));
    if (!p->is_done)
        return s->sink->suspended(s->sink);
    /* Where the tag has a count, it is of the rows sent this time. */
    const char *last = strrchr(p->tag, ' ');
    const char *tag = p->tag;
    if (last && isdigit((unsigned char)last[1]))
        tag = arena_printf(s->statement, "%.*s %llu", (int)(last - tag), tag,
                           (unsigned long long)sent);
    return s->sink->complete(s->sink, tag);
}

static SUSPENDS err_t run_portal_rows_wait(struct session *s, struct portal *p, uint64_t max_rows,
                                           struct row_sink *sink, uint64_t *sent)
{
    while (max_rows == 0 || *sent < max_rows) {
        const struct slot *row;
        TRY(portal_next_wait(s, p, max_rows == 0 ? UINT64_MAX : max_rows - *sent, &row));
        if (!row) {
            p->is_done = true;
            break;
        }
        ++*sent;
        if (p->plan->returns_rows)
            TRY(sink->row(sink, p->columns, p->column_count, p->formats, row->values, row->nulls));
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

SUSPENDS err_t run_portal_start_wait(struct session *s, struct portal *p)
{
    err_t e = run_lock_current_wait(s, &p->cached, true);
    p->plan = p->cached->plan;
    TRY(e);
    p->core = core_id();
    return run_start_wait(s, p->plan, p->params, p->param_nulls, p->param_count, &p->exec);
}

/* Execute of a portal: up to max_rows (0 = all) more rows. */
SUSPENDS err_t run_portal_wait(struct session *s, struct portal *p, uint64_t max_rows,
                               struct row_sink *sink, bool *finished)
{
    *finished = true;
    p->rows_sent = 0;
    if (p->is_done)
        return ERR_OK;
    uint64_t began_at = stats_clock();
    uint64_t waited = stats_trace_waited();
    if (p->exec)
        txn_cursor_enter(p->snapshot);
    else if (!p->is_kept)
        TRY(run_portal_start_wait(s, p));
    uint64_t sent = 0;
    err_t e = ERR_OK;
    if (!p->is_kept && max_rows > 0 && run_is_whole(p->plan))
        e = run_keep_rows_wait(p);
    if (e == ERR_OK)
        e = p->is_kept ? run_kept_rows_wait(p, max_rows, sink, &sent)
                       : run_portal_rows_wait(s, p, max_rows, sink, &sent);
    p->rows_sent = sent;
    if (e == ERR_OK && p->is_done && !p->is_kept) { /* kept: the tag counts this Execute's rows */
        if (p->plan->command != CMD_SELECT)
            p->rows_sent = exec_row_count(p->exec);
        portal_exec_end_wait(p);
    }
    *finished = p->is_done;
    if (p->snapshot) {
        txn_cursor_leave(p->snapshot);
    } else if (p->exec) {
        p->snapshot = txn_cursor_open(s->txn);
    }
    run_statement_end(s);
    stats_trace_add_work(STATS_STAGE_run, began_at, waited);
    return e;
}
