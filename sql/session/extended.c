/* The extended query protocol: Parse, Bind, Describe, Execute, Close, Sync. */
#include "sql/session/session_priv.h"

#include "sql/types/utf8.h"

static SUSPENDS err_t extended_parse_wait(struct session *s, const char *name, const char *text,
                                          const oid *types, uint32_t type_count)
{
    if (s->block == BLOCK_FAILED) {
        /* Only statements that end the block can still be prepared. */
        struct parsed *parsed;
        TRY(parse_text(text, s->statement, &parsed));
        bool is_exit = parsed->count == 0 || parse_is_transaction_exit(&parsed->statements[0]);
        parse_free(parsed);
        TRY(block_begin_statement_wait(s, "", is_exit));
    } else {
        TRY(block_ensure_txn_wait(s));
    }
    return prepared_add_wait(s, name, text, types, type_count, false);
}

SUSPENDS err_t session_parse_wait(struct session *s, const char *name, const char *text,
                                  const oid *types, uint32_t type_count)
{
    session_begin_message(s);
    run_arm(s);
    err_t e = session_fail_wait(s, extended_parse_wait(s, name, text, types, type_count));
    run_disarm(s);
    return e;
}

static err_t bind_find(struct session *s, const char *name, struct prepared **out)
{
    *out = prepared_find(s, name);
    if (*out)
        return ERR_OK;
    if (name[0] == '\0')
        return err_raise(ERR_UNDEFINED_PSTATEMENT, "unnamed prepared statement does not exist");
    return err_raise(ERR_UNDEFINED_PSTATEMENT, "prepared statement \"%s\" does not exist", name);
}

/* Which parameter it was, and the text of it as far as log_parameter_max_length_on_error lets. */
static COLD void bind_context(struct session *s, const struct portal *p, uint32_t i, bool is_text,
                              const struct bind_value *v)
{
    const char *portal = "unnamed portal";
    if (p->name[0] != '\0')
        portal = arena_printf(s->statement, "portal \"%s\"", p->name);
    if (!is_text) {
        err_context("%s parameter $%u", portal, i + 1);
        return;
    }
    int64_t max = setting_int(s->settings, SET_log_parameter_max_length_on_error);
    const char *text = (const char *)v->bytes;
    size_t len = (size_t)v->len;
    if (max >= 0 && (uint64_t)max < len)
        len = utf8_clip_bytes(text, len, (size_t)max);
    struct strbuf quoted;
    strbuf_init(&quoted, s->statement);
    for (size_t k = 0; k < len; k++) {
        if (text[k] == '\'')
            strbuf_putc(&quoted, '\'');
        strbuf_putc(&quoted, text[k]);
    }
    err_context("%s parameter $%u = '%.*s%s'", portal, i + 1, (int)quoted.len,
                quoted.data ? quoted.data : "", len < (size_t)v->len ? "..." : "");
}

static err_t bind_value(struct session *s, struct portal *p, oid type, uint32_t i, int16_t format,
                        const struct bind_value *v)
{
    err_t e = ERR_OK;
    bool is_text = false; /* known to be one */
    if (format != 0 && format != 1)
        e = err_raise(ERR_INVALID_PARAMETER_VALUE, "unsupported format code: %d", format);
    else if (v->len < 0)
        p->param_nulls[i] = true;
    else if (format == 1)
        e = value_receive(&s->env, p->mem, type, -1, v->bytes, (size_t)v->len, &p->params[i]);
    else
        e = utf8_check(v->bytes, (size_t)v->len);
    if (e == ERR_OK && format == 0 && v->len >= 0) {
        is_text = true;
        e = value_input(&s->env, p->mem, type, -1, (const char *)v->bytes, (size_t)v->len,
                        &p->params[i]);
    }
    if (value_was_overlong(e))
        e = err_raise(ERR_INVALID_BINARY_REPRESENTATION,
                      "incorrect binary data format in bind parameter %u", i + 1);
    if (e != ERR_OK)
        bind_context(s, p, i, is_text, v);
    return e;
}

static SUSPENDS err_t extended_bind_wait(struct session *s, const char *portal,
                                         const char *statement, const struct bind_value *values,
                                         uint32_t value_count, const int16_t *formats,
                                         uint32_t format_count, const int16_t *result_formats,
                                         uint32_t result_format_count)
{
    struct prepared *prep;
    TRY(bind_find(s, statement, &prep));
    if (format_count > 1 && format_count != value_count)
        return err_raise(ERR_PROTOCOL_VIOLATION,
                         "bind message has %u parameter formats but %u parameters", format_count,
                         value_count);
    if (value_count != prep->param_count)
        return err_raise(ERR_PROTOCOL_VIOLATION,
                         "bind message supplies %u parameters, but prepared statement \"%s\" "
                         "requires %u",
                         value_count, statement, prep->param_count);
    if (s->block == BLOCK_FAILED) {
        const struct utility *u = prep->cached->statement ? prep->cached->statement->utility : NULL;
        bool is_exit =
            prep->cached->is_empty || (u && (u->kind == UTIL_COMMIT || u->kind == UTIL_ROLLBACK ||
                                             u->kind == UTIL_ROLLBACK_TO));
        TRY(block_begin_statement_wait(s, "", is_exit));
        TRY(cached_come_here_wait(s, &prep->cached, prep->param_types, prep->param_count));
    } else {
        TRY(block_ensure_txn_wait(s));
        TRY(prepared_current_wait(s, prep));
    }
    struct portal *old = portal_find(s, portal);
    if (old && portal[0] != '\0')
        return err_raise(ERR_DUPLICATE_CURSOR, "cursor \"%s\" already exists", portal);
    if (old)
        portal_drop_wait(s, old);
    struct portal *p = portal_new(s, portal);
    p->cached = prep->cached;
    cached_hold(p->cached);
    p->plan = p->cached->plan;
    p->param_count = value_count;
    p->params = ARENA_ARRAY(p->mem, datum, value_count + 1);
    p->param_nulls = ARENA_ARRAY(p->mem, bool, value_count + 1);
    for (uint32_t i = 0; i < value_count; i++) {
        int16_t format = format_count == 0 ? 0 : format_count == 1 ? formats[0] : formats[i];
        TRY(bind_value(s, p, prep->param_types[i], i, format, &values[i]));
    }
    if (p->plan)
        p->columns = cached_columns(p->mem, p->cached, &p->column_count);
    else if (p->cached->statement)
        TRY(utility_columns_wait(s, p->cached->statement, p->mem, &p->columns, &p->column_count));
    if (p->columns && result_format_count > 1 && result_format_count != p->column_count)
        return err_raise(ERR_PROTOCOL_VIOLATION,
                         "bind message has %u result formats but query has %u columns",
                         result_format_count, p->column_count);
    p->formats = ARENA_ARRAY(p->mem, int16_t, p->column_count + 1);
    for (uint32_t i = 0; i < p->column_count; i++) {
        p->formats[i] = result_format_count == 0   ? 0
                        : result_format_count == 1 ? result_formats[0]
                                                   : result_formats[i]; /* checked with rows */
    }
    return ERR_OK;
}

SUSPENDS err_t session_bind_wait(struct session *s, const char *portal, const char *statement,
                                 const struct bind_value *values, uint32_t value_count,
                                 const int16_t *formats, uint32_t format_count,
                                 const int16_t *result_formats, uint32_t result_format_count)
{
    session_begin_message(s);
    run_arm(s);
    err_t e =
        session_fail_wait(s, extended_bind_wait(s, portal, statement, values, value_count, formats,
                                                format_count, result_formats, result_format_count));
    run_disarm(s);
    return e;
}

static SUSPENDS err_t extended_describe_wait(struct session *s, const char *name,
                                             const oid **param_types, uint32_t *param_count,
                                             const struct result_column **columns, uint32_t *count)
{
    struct prepared *p;
    TRY(bind_find(s, name, &p));
    *columns = NULL;
    *count = 0;
    if (s->block == BLOCK_FAILED && p->cached->plan && p->cached->plan->returns_rows)
        return block_begin_statement_wait(s, "", false);
    *param_types = p->param_types;
    *param_count = p->param_count;
    if (s->block != BLOCK_FAILED) {
        TRY(block_ensure_txn_wait(s));
        TRY(prepared_current_wait(s, p));
    }
    if (p->cached->plan)
        *columns = cached_columns(s->statement, p->cached, count);
    else if (p->cached->statement)
        TRY(utility_columns_wait(s, p->cached->statement, s->statement, columns, count));
    if (s->block == BLOCK_FAILED && *columns)
        return block_begin_statement_wait(s, "", false);
    return ERR_OK;
}

SUSPENDS err_t session_describe_statement_wait(struct session *s, const char *name,
                                               const oid **param_types, uint32_t *param_count,
                                               const struct result_column **columns,
                                               uint32_t *count)
{
    session_begin_message(s);
    run_arm(s);
    err_t e = session_fail_wait(
        s, extended_describe_wait(s, name, param_types, param_count, columns, count));
    run_disarm(s);
    return e;
}

static err_t execute_find(struct session *s, const char *name, struct portal **out)
{
    *out = portal_find(s, name);
    return *out ? ERR_OK : err_raise(ERR_UNDEFINED_CURSOR, "portal \"%s\" does not exist", name);
}

SUSPENDS err_t session_describe_portal_wait(struct session *s, const char *name,
                                            const struct result_column **columns, uint32_t *count,
                                            const int16_t **formats)
{
    struct portal *p;
    err_t e = execute_find(s, name, &p);
    if (e == ERR_OK && s->block == BLOCK_FAILED && p->columns)
        e = block_begin_statement_wait(s, "", false);
    if (e != ERR_OK)
        return session_fail_wait(s, e);
    *columns = p->columns;
    *count = p->column_count;
    *formats = p->formats;
    return ERR_OK;
}

/* Rows of a utility statement: in the formats of its portal, at once or kept for later. */
struct portal_sink {
    struct row_sink sink; /* first: the sink's functions get it and find their owner in it */
    struct row_sink *to;
    struct portal *portal;
    bool keeps;
};

static err_t portal_sink_row(struct row_sink *sink, const struct result_column *columns,
                             uint32_t count, const int16_t *formats, const datum *values,
                             const bool *nulls)
{
    struct portal_sink *ps = (struct portal_sink *)sink;
    struct portal *p = ps->portal;
    struct slot row = {
        .count = count, .values = (datum *)(uintptr_t)values, .nulls = (bool *)(uintptr_t)nulls};
    if (count != p->column_count)
        return prepared_raise_changed();
    if (ps->keeps)
        return portal_keep(p, columns, &row);
    (void)formats;
    return ps->to->row(ps->to, columns, count, p->formats, values, nulls);
}

static SUSPENDS err_t execute_utility_wait(struct session *s, struct portal *p, uint32_t max_rows)
{
    const char *tag = p->cached->tag;
    const char *name = arena_strdup(s->statement, p->name);
    /* The utility may end the transaction and this portal with it. */
    struct cached *c = p->cached;
    bool returns_rows = p->columns != NULL;
    cached_hold(c);
    datum *params = arena_memdup(s->statement, p->params, sizeof(datum) * (p->param_count + 1));
    bool *nulls = arena_memdup(s->statement, p->param_nulls, p->param_count + 1);
    struct portal_sink ps = {
        .sink = *s->sink, .to = s->sink, .portal = p, .keeps = returns_rows && max_rows > 0};
    ps.sink.row = portal_sink_row;
    if (returns_rows)
        s->sink = &ps.sink;
    else
        p->is_done = true;
    err_t e = utility_run_wait(s, &c, params, nulls, p->param_count, false, &tag);
    s->sink = ps.to;
    cached_release(c);
    TRY(e);
    if (returns_rows && portal_find(s, name) == p) {
        p->tag = arena_strdup(p->mem, tag);
        p->is_kept = ps.keeps;
        p->is_done = !ps.keeps;
        if (ps.keeps)
            return run_utility_rows_wait(s, p, max_rows);
    }
    return s->sink->complete(s->sink, tag);
}

static SUSPENDS err_t execute_plan_wait(struct session *s, struct portal *p, uint32_t max_rows)
{
    bool finished;
    if (p->is_cursor)
        TRY(cursor_execute_wait(s, p, max_rows, &finished));
    else
        TRY(run_portal_wait(s, p, max_rows, s->sink, &finished));
    if (!finished)
        return s->sink->suspended(s->sink);
    return s->sink->complete(s->sink, run_tag(s->statement, p->plan->command, p->rows_sent));
}

static SUSPENDS err_t extended_execute_wait(struct session *s, const char *name, uint32_t max_rows)
{
    struct portal *p;
    TRY(execute_find(s, name, &p));
    s->query = p->cached->text;
    if (p->cached->is_empty)
        return s->sink->empty(s->sink);
    if (!p->plan && !p->is_failed) {
        const struct statement *st = p->cached->statement;
        TRY(cached_come_here_wait(s, &p->cached, st->param_types, st->param_count));
        s->query = p->cached->text;
    }
    const struct utility *u = p->cached->statement->utility;
    bool is_exit =
        u && (u->kind == UTIL_COMMIT || u->kind == UTIL_ROLLBACK || u->kind == UTIL_ROLLBACK_TO);
    bool is_block =
        is_exit ||
        (u && (u->kind == UTIL_BEGIN || u->kind == UTIL_SAVEPOINT || u->kind == UTIL_RELEASE));
    TRY(block_begin_statement_wait(s, p->cached->tag, is_exit));
    if (p->is_failed || (p->is_done && !p->columns))
        return err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE, "portal \"%s\" cannot be run", name);
    if (p->plan)
        TRY(execute_plan_wait(s, p, max_rows));
    else if (p->is_kept || p->is_done)
        TRY(run_utility_rows_wait(s, p, max_rows));
    else
        TRY(execute_utility_wait(s, p, max_rows));
    s->pipelined = s->pipelined || !is_block;
    return ERR_OK;
}

SUSPENDS err_t session_execute_wait(struct session *s, const char *portal, uint32_t max_rows)
{
    session_begin_message(s);
    s->query_started_at = s->message_at;
    session_set_state(s, "active", s->message_at);
    run_arm(s);
    err_t e = session_fail_wait(s, extended_execute_wait(s, portal, max_rows));
    run_disarm(s);
    s->query = NULL;
    return e;
}

SUSPENDS err_t session_close_statement_wait(struct session *s, const char *name)
{
    struct prepared *p = prepared_find(s, name);
    if (p)
        prepared_drop(s, p);
    return ERR_OK;
}

SUSPENDS err_t session_close_portal_wait(struct session *s, const char *name)
{
    struct portal *p = portal_find(s, name);
    if (p)
        portal_drop_wait(s, p);
    return ERR_OK;
}

SUSPENDS err_t session_sync_wait(struct session *s)
{
    err_t e = ERR_OK;
    run_arm(s);
    if (s->block == BLOCK_IMPLICIT)
        e = session_fail_wait(s, block_commit_wait(s));
    run_disarm(s);
    session_report_settings_wait(s);
    session_set_state(s,
                      s->block == BLOCK_OPEN     ? "idle in transaction"
                      : s->block == BLOCK_FAILED ? "idle in transaction (aborted)"
                                                 : "idle",
                      core_wall_us());
    if (e == ERR_OK)
        arena_reset(s->statement);
    return e;
}

SUSPENDS void session_failed_wait(struct session *s)
{
    fiber_shield_begin();
    block_error_wait(s);
    fiber_shield_end();
}
