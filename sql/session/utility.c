/* Utility statements that concern the session: settings, prepared statements, cursors, and dispatch
 * of DDL, EXPLAIN and COPY. */
#include "sql/catalog/privileges.h"
#include "sql/session/session_priv.h"

#include <stdlib.h>

#include "sql/ddl/ddl.h"

static const struct result_column *utility_column(struct arena *mem, const char *name, oid type)
{
    struct result_column *c = ARENA_NEW(mem, struct result_column);
    *c = (struct result_column){.name = name, .type = type, .type_length = -1, .typmod = -1};
    return c;
}

static const struct result_column *utility_text_column(struct arena *mem, const char *name)
{
    return utility_column(mem, name, TYPE_TEXT);
}

static const struct result_column *utility_show_all_columns(struct arena *mem, uint32_t *count)
{
    static const char *const names[] = {"name", "setting", "description"};
    struct result_column *c = ARENA_ARRAY(mem, struct result_column, 3);
    for (uint32_t i = 0; i < 3; i++)
        c[i] = (struct result_column){
            .name = names[i], .type = TYPE_TEXT, .type_length = -1, .typmod = -1};
    *count = 3;
    return c;
}

/* As PostgreSQL spells the column of SHOW: the setting's own name. */
static const char *utility_show_name(const char *name)
{
    enum setting_id id;
    return setting_find(name, &id) ? setting_info(id)->name : name;
}

SUSPENDS err_t utility_columns_wait(struct session *s, const struct statement *st,
                                    struct arena *mem, const struct result_column **columns,
                                    uint32_t *count)
{
    const struct utility *u = st->utility;
    *columns = NULL;
    *count = 0;
    switch (u->kind) {
    case UTIL_SHOW:
        *columns = utility_text_column(mem, utility_show_name(u->name));
        *count = 1;
        return ERR_OK;
    case UTIL_SHOW_ALL:
        *columns = utility_show_all_columns(mem, count);
        return ERR_OK;
    case UTIL_EXPLAIN:
        *columns = utility_column(mem, "QUERY PLAN", explain_type(u));
        *count = 1;
        return ERR_OK;
    case UTIL_EXECUTE: {
        struct prepared *p = prepared_find(s, u->name);
        if (!p)
            return err_raise(ERR_UNDEFINED_PSTATEMENT, "prepared statement \"%s\" does not exist",
                             u->name);
        TRY(prepared_current_wait(s, p));
        *columns = cached_columns(mem, p->cached, count);
        return ERR_OK;
    }
    case UTIL_FETCH: {
        struct portal *p = portal_find(s, u->name);
        if (p && !u->is_move) {
            *columns = columns_copy(mem, p->columns, p->column_count);
            *count = p->column_count;
        }
        return ERR_OK;
    }
    default:
        return ERR_OK;
    }
}

static err_t utility_send_text(struct session *s, const struct result_column *columns,
                               uint32_t count, const char *const *texts)
{
    datum values[3];
    bool nulls[3] = {false, false, false};
    int16_t formats[3] = {0, 0, 0};
    ASSERT(count <= 3);
    for (uint32_t i = 0; i < count; i++)
        values[i] = datum_of_text(s->statement, texts[i]);
    return s->sink->row(s->sink, columns, count, formats, values, nulls);
}

static err_t utility_describe(struct session *s, const struct result_column *columns,
                              uint32_t count, bool is_simple)
{
    int16_t formats[3] = {0, 0, 0};
    ASSERT(count <= 3);
    return is_simple ? s->sink->describe(s->sink, columns, count, formats) : ERR_OK;
}

static err_t utility_show(struct session *s, const struct utility *u, bool is_simple)
{
    const char *text;
    if (strcasecmp(u->name, "transaction_isolation") == 0) {
        text = s->isolation == SERIALIZABLE      ? "serializable"
               : s->isolation == REPEATABLE_READ ? "repeatable read"
                                                 : "read committed";
    } else if (strcasecmp(u->name, "transaction_read_only") == 0) {
        text = s->read_only ? "on" : "off";
    } else {
        TRY(setting_show(s->settings, u->name, s->statement, &text));
    }
    const struct result_column *c = utility_text_column(s->statement, utility_show_name(u->name));
    TRY(utility_describe(s, c, 1, is_simple));
    return utility_send_text(s, c, 1, &text);
}

static int utility_compare_settings(const void *a, const void *b)
{
    return strcasecmp(setting_info(*(const enum setting_id *)a)->name,
                      setting_info(*(const enum setting_id *)b)->name);
}

static err_t utility_show_all(struct session *s, bool is_simple)
{
    uint32_t count;
    const struct result_column *c = utility_show_all_columns(s->statement, &count);
    TRY(utility_describe(s, c, count, is_simple));
    enum setting_id *ids = ARENA_ARRAY(s->statement, enum setting_id, SETTING_COUNT);
    for (int i = 0; i < (int)SETTING_COUNT; i++)
        ids[i] = (enum setting_id)i;
    qsort(ids, SETTING_COUNT, sizeof(*ids), utility_compare_settings);
    for (int i = 0; i < (int)SETTING_COUNT; i++) {
        const struct setting_info *info = setting_info(ids[i]);
        const char *text;
        TRY(setting_show(s->settings, info->name, s->statement, &text));
        const char *texts[3] = {info->name, text, info->description};
        TRY(utility_send_text(s, c, count, texts));
    }
    return ERR_OK;
}

static SUSPENDS err_t utility_set_wait(struct session *s, const struct utility *u,
                                       const char *value)
{
    bool is_session = strcmp(u->name, "session_authorization") == 0;
    if (is_session || strcmp(u->name, "role") == 0)
        TRY(login_role_allowed_wait(s, u->name, value));

    if (u->is_local && !block_is_inside(s))
        return session_notice(s, "WARNING", ERR_NO_ACTIVE_SQL_TRANSACTION,
                              "SET LOCAL can only be used in transaction blocks");
    TRY(session_set(s, u->name, value, u->is_local));
    if (is_session) /* another session user has its own current role */
        return session_set(s, "role", NULL, u->is_local);
    return ERR_OK;
}

static SUSPENDS err_t utility_discard_wait(struct session *s, const struct utility *u)
{
    switch (u->discard) {
    case 0:
        TRY(block_forbid(s, "DISCARD ALL"));
        portal_drop_all_wait(s, false);
        prepared_drop_all(s);
        advisory_unlock_all_wait(&s->advisory_locks, s->pid);
        TRY(setting_reset_all(s->settings));
        TRY(session_set(s, "session_authorization", NULL, false));
        TRY(session_set(s, "role", NULL, false));
        s->settings_touched = true;
        session_refresh_env(s);
        sequence_values_free(s);
        s->last_sequence = OID_NONE;
        notify_unlisten(s, NULL);
        return ERR_OK;
    case 1:
        return ERR_OK; /* plans are checked against the catalog at each use */
    case 2:
        sequence_values_free(s);
        s->last_sequence = OID_NONE;
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

static SUSPENDS err_t utility_execute_args_wait(struct session *s, const char *text,
                                                const struct utility *u, const struct prepared *p,
                                                const struct bound *params, struct bound *out)
{
    *out = (struct bound){.count = p->param_count};
    if (p->param_count == 0) /* as PostgreSQL: then it does not look at what was given */
        return ERR_OK;
    if (u->arg_count != p->param_count) {
        err_t e = err_raise(ERR_SYNTAX_ERROR,
                            "wrong number of parameters for prepared statement \"%s\"", p->name);
        err_detail("Expected %u parameters but got %u.", p->param_count, u->arg_count);
        return e;
    }
    struct analyze_options o = {.catalog = &s->catalog, .env = &s->env, .text = text};
    struct expr **args = ARENA_ARRAY(s->statement, struct expr *, u->arg_count + 1);
    TRY(analyze_execute_args_wait(&o, u, p->param_types, s->statement, args));
    struct eval eval = {
        .env = &s->env,
        .mem = s->statement,
        .state_mem = s->statement,
        .params = params->values,
        .param_nulls = params->nulls,
        .param_count = params->count,
    };
    out->values = ARENA_ARRAY(s->statement, datum, u->arg_count + 1);
    out->nulls = ARENA_ARRAY(s->statement, bool, u->arg_count + 1);
    for (uint32_t i = 0; i < u->arg_count; i++) {
        struct program *program;
        TRY(expr_compile(s->statement, args[i], &program));
        TRY(expr_eval_wait(program, &eval, &out->values[i], &out->nulls[i]));
    }
    return ERR_OK;
}

static SUSPENDS err_t utility_execute_wait(struct session *s, const char *text,
                                           const struct utility *u, const struct bound *params,
                                           bool is_simple, const char **tag)
{
    struct prepared *p = prepared_find(s, u->name);
    if (!p)
        return err_raise(ERR_UNDEFINED_PSTATEMENT, "prepared statement \"%s\" does not exist",
                         u->name);
    TRY(prepared_current_wait(s, p));
    struct cached *c = p->cached;
    struct bound b;
    TRY(utility_execute_args_wait(s, text, u, p, params, &b));
    if (c->is_empty)
        return ERR_OK;
    cached_hold(c);
    err_t e;
    if (c->plan) {
        e = run_query_wait(s, &c, b.values, b.nulls, b.count, true, is_simple, tag);
    } else {
        *tag = c->tag;
        e = utility_run_wait(s, &c, b.values, b.nulls, b.count, is_simple, tag);
    }
    cached_release(c);
    return e;
}

/* Whether PostgreSQL would let a cursor on such a plan go back without SCROLL. */
static bool plan_goes_back(const struct plan *plan)
{
    const struct plan_node *n = plan->root;
    while (n && (n->kind == PLAN_RESULT || n->kind == PLAN_LIMIT || n->kind == PLAN_GATHER))
        n = n->outer;
    switch (n ? n->kind : PLAN_RESULT) {
    case PLAN_SEQ_SCAN:
    case PLAN_INDEX_SCAN:
    case PLAN_VALUES:
    case PLAN_FUNCTION_SCAN:
    case PLAN_VIRTUAL_SCAN:
    case PLAN_CTE_SCAN:
    case PLAN_SORT:
    case PLAN_APPEND:
    case PLAN_MATERIALIZE:
        return true;
    default:
        return false;
    }
}

static SUSPENDS err_t utility_declare_wait(struct session *s, struct cached *c,
                                           const struct utility *u, const datum *params,
                                           const bool *param_nulls, uint32_t param_count)
{
    enum { CURSOR_BINARY = 1, CURSOR_SCROLL = 2, CURSOR_NO_SCROLL = 4, CURSOR_HOLD = 32 };
    if (!(u->cursor_options & CURSOR_HOLD))
        TRY(block_require(s, "DECLARE CURSOR"));
    if (portal_find(s, u->name))
        return err_raise(ERR_DUPLICATE_CURSOR, "cursor \"%s\" already exists", u->name);
    struct portal *p = portal_new(s, u->name);
    p->cached = c;
    cached_hold(c);
    p->is_cursor = true;
    p->is_binary = (u->cursor_options & CURSOR_BINARY) != 0;
    p->scroll = (u->cursor_options & CURSOR_SCROLL) != 0;
    p->no_scroll = (u->cursor_options & CURSOR_NO_SCROLL) != 0;
    p->hold = (u->cursor_options & CURSOR_HOLD) != 0;
    p->text = arena_strdup(p->mem, c->text);
    struct plan *plan;
    struct plan_options po = session_plan_options(s);
    TRY(plan_query_wait(&po, u->cursor_query->query, p->mem, &plan));
    p->plan = plan;
    p->may_scroll = !p->scroll && !p->no_scroll && plan_goes_back(plan);
    p->param_count = param_count;
    p->params = ARENA_ARRAY(p->mem, datum, param_count + 1);
    p->param_nulls = ARENA_ARRAY(p->mem, bool, param_count + 1);
    for (uint32_t i = 0; i < param_count; i++) {
        const struct type_info *t = type_find(c->statement->param_types[i]);
        p->param_nulls[i] = param_nulls[i];
        if (!param_nulls[i])
            p->params[i] = datum_copy(p->mem, params[i], t && t->by_value);
    }
    struct cached shown = {.plan = plan};
    p->columns = cached_columns(p->mem, &shown, &p->column_count);
    p->formats = ARENA_ARRAY(p->mem, int16_t, p->column_count + 1);
    for (uint32_t i = 0; (u->cursor_options & CURSOR_BINARY) && i < p->column_count; i++)
        p->formats[i] = 1;
    TRY(run_lock_tables_wait(s, plan));
    txn_statement_begin(s->txn);
    struct exec_options o = {
        .plan = plan,
        .txn = s->txn,
        .env = &s->env,
        .params = p->params,
        .param_nulls = p->param_nulls,
        .param_count = p->param_count,
    };
    p->core = core_id();
    err_t e = exec_start_wait(&o, &p->exec);
    if (e == ERR_OK)
        p->snapshot = txn_cursor_open(s->txn);
    run_statement_end(s);
    return e;
}

static SUSPENDS err_t utility_fetch_wait(struct session *s, const struct utility *u, bool is_simple,
                                         const char **tag)
{
    struct portal *p = portal_find(s, u->name);
    if (!p)
        return err_raise(ERR_UNDEFINED_CURSOR, "cursor \"%s\" does not exist", u->name);
    uint64_t count;
    p->describe_due = is_simple && !u->is_move; /* with the first row: not when it fails before */
    TRY(cursor_fetch_wait(s, u, !u->is_move, &count));
    TRY(cursor_describe(s, p));
    *tag = arena_printf(s->statement, "%s %llu", u->is_move ? "MOVE" : "FETCH",
                        (unsigned long long)count);
    return ERR_OK;
}

static COLD SUSPENDS err_t utility_lock_busy_wait(struct session *s, oid table)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(&s->catalog, table, &t));
    const char *name = t ? arena_strdup(s->statement, t->name) : "";
    if (t)
        table_release(t);
    return err_raise(ERR_LOCK_NOT_AVAILABLE, "could not obtain lock on relation \"%s\"", name);
}

static SUSPENDS err_t utility_lock_wait(struct session *s, const struct utility *u)
{
    TRY(block_require(s, "LOCK TABLE"));
    for (uint32_t i = 0; i < u->table_count; i++) {
        uint64_t name = (uint64_t)s->catalog.database << 32 | u->tables[i];
        const char *letters = u->lock_mode == LOCK_ACCESS_SHARE    ? "rwdD"
                              : u->lock_mode == LOCK_ROW_EXCLUSIVE ? "awdD"
                                                                   : "wdD";
        TRY(privilege_require_wait(&s->catalog, 'c', u->tables[i], s->catalog.user, letters));
        err_t e = txn_lock_table_wait(s->txn, name, (enum table_lock_mode)u->lock_mode, u->nowait);
        if (e == ERR_LOCK_NOT_AVAILABLE && u->nowait)
            return utility_lock_busy_wait(s, u->tables[i]);
        TRY(e);
    }
    return ERR_OK;
}

static SUSPENDS err_t utility_set_constraints_wait(struct session *s, const struct utility *u)
{
    if (!block_is_inside(s))
        TRY(session_notice(s, "WARNING", ERR_NO_ACTIVE_SQL_TRANSACTION,
                           "SET CONSTRAINTS can only be used in transaction blocks"));
    txn_statement_begin(s->txn);
    err_t e =
        constraint_set_wait(s->constraints, u->all ? NULL : u->names, u->name_count, u->deferred);
    run_statement_end(s);
    return e;
}

static SUSPENDS err_t utility_ddl_wait(struct session *s, struct cached *c, const struct utility *u,
                                       const char **tag)
{
    if (s->read_only)
        return err_raise(ERR_READ_ONLY_SQL_TRANSACTION,
                         "cannot execute %s in a read-only transaction", c->tag);
    txn_statement_begin(s->txn);
    s->statement_ran = true;
    struct ddl_context ctx = {
        .catalog = &s->catalog,
        .env = &s->env,
        .mem = s->statement,
        .text = c->text,
        .in_block = block_forbids(s),
        .session = s,
        .constraints = s->constraints,
    };
    err_t e = ddl_execute_wait(&ctx, u->ddl, tag);
    run_statement_end(s);
    return e;
}

static SUSPENDS err_t utility_close_wait(struct session *s, const struct utility *u)
{
    if (u->all) {
        portal_drop_all_wait(s, false);
        return ERR_OK;
    }
    struct portal *p = portal_find(s, u->name);
    if (!p)
        return err_raise(ERR_UNDEFINED_CURSOR, "cursor \"%s\" does not exist", u->name);
    portal_drop_wait(s, p);
    return ERR_OK;
}

static err_t utility_deallocate(struct session *s, const struct utility *u)
{
    if (u->all) {
        prepared_drop_all(s);
        return ERR_OK;
    }
    struct prepared *p = prepared_find(s, u->name);
    if (!p)
        return err_raise(ERR_UNDEFINED_PSTATEMENT, "prepared statement \"%s\" does not exist",
                         u->name);
    prepared_drop(s, p);
    return ERR_OK;
}

static SUSPENDS err_t utility_prepare_wait(struct session *s, const struct utility *u)
{
    err_t e = prepared_add_wait(s, u->name, u->raw_text, u->types, u->type_count, true);
    if (e == ERR_OK || err_diag()->position == 0)
        return e;
    struct diag *d = arena_alloc(s->statement, sizeof(*d));
    diag_copy(d, err_diag());
    d->position += u->raw_place; /* the client sent more than that statement */
    return err_adopt(d);
}

static err_t utility_session_transaction(struct session *s, const struct utility *u)
{
    static const char *const levels[] = {"read committed", "repeatable read", "serializable"};
    if (u->isolation >= 0)
        TRY(session_set(s, "default_transaction_isolation", levels[u->isolation], false));
    if (u->read_only >= 0)
        TRY(session_set(s, "default_transaction_read_only", u->read_only ? "on" : "off", false));
    if (u->deferrable >= 0)
        TRY(session_set(s, "default_transaction_deferrable", u->deferrable ? "on" : "off", false));
    return ERR_OK;
}

/* The query inside: of EXPLAIN, DECLARE CURSOR, COPY (query), CREATE TABLE AS. */
static const struct query *utility_query(const struct utility *u)
{
    const struct statement *inner = NULL;
    if (u->kind == UTIL_EXPLAIN)
        inner = u->explained;
    else if (u->kind == UTIL_DECLARE_CURSOR)
        inner = u->cursor_query;
    else if (u->kind == UTIL_COPY)
        inner = u->copy.query;
    else if (u->kind == UTIL_DDL && u->ddl->kind == DDL_CREATE_TABLE_AS && u->ddl->table)
        inner = u->ddl->table->query;
    return inner ? inner->query : NULL;
}

/* As run_lock_current_wait for the query inside: it is planned anew when it runs, with its tables
 * locked and by what analysis knew of them; here analysis is made to know what holds then. */
static SUSPENDS err_t utility_lock_current_wait(struct session *s, struct cached **c)
{
    enum { ROUNDS_MAX = 100 };
    for (int round = 0; round < ROUNDS_MAX; round++) {
        const struct query *q = utility_query((*c)->statement->utility);
        if (!q)
            return ERR_OK;
        struct arena_mark mark = arena_mark(s->statement);
        struct plan_options po = session_plan_options(s);
        struct plan *plan;
        err_t e = plan_query_wait(&po, q, s->statement, &plan);
        if (e == ERR_OK)
            e = run_locks_wait(s, plan);
        arena_rewind(s->statement, mark);
        TRY(e);
        if ((*c)->catalog_version == catalog_version())
            return ERR_OK;
        struct cached *fresh;
        TRY(cached_renew_wait(s, *c, &fresh));
        cached_release(*c);
        *c = fresh;
    }
    return err_raise(ERR_T_R_SERIALIZATION_FAILURE,
                     "could not plan the statement: its tables are changed all the time");
}

SUSPENDS err_t utility_run_wait(struct session *s, struct cached **cached, const datum *params,
                                const bool *param_nulls, uint32_t param_count, bool is_simple,
                                const char **tag)
{
    TRY(utility_lock_current_wait(s, cached));
    struct cached *c = *cached;
    const struct utility *u = c->statement->utility;
    switch (u->kind) {
    case UTIL_BEGIN:
    case UTIL_COMMIT:
    case UTIL_ROLLBACK:
    case UTIL_SAVEPOINT:
    case UTIL_RELEASE:
    case UTIL_ROLLBACK_TO:
    case UTIL_PREPARE_TRANSACTION:
    case UTIL_COMMIT_PREPARED:
    case UTIL_ROLLBACK_PREPARED:
    case UTIL_SET_TRANSACTION:
        return block_utility_wait(s, u, tag);
    case UTIL_SET:
        return utility_set_wait(s, u, u->value);
    case UTIL_RESET:
        return utility_set_wait(s, u, NULL);
    case UTIL_RESET_ALL:
        s->settings_touched = true;
        TRY(setting_reset_all(s->settings));
        session_refresh_env(s);
        return ERR_OK;
    case UTIL_SHOW:
        return utility_show(s, u, is_simple);
    case UTIL_SHOW_ALL:
        return utility_show_all(s, is_simple);
    case UTIL_SET_SESSION_TRANSACTION:
        return utility_session_transaction(s, u);
    case UTIL_SET_CONSTRAINTS:
        return utility_set_constraints_wait(s, u);
    case UTIL_DISCARD:
        return utility_discard_wait(s, u);
    case UTIL_PREPARE:
        return utility_prepare_wait(s, u);
    case UTIL_EXECUTE:
        return utility_execute_wait(s, c->text, u,
                                    &(struct bound){(datum *)(uintptr_t)params,
                                                    (bool *)(uintptr_t)param_nulls, param_count},
                                    is_simple, tag);
    case UTIL_DEALLOCATE:
        return utility_deallocate(s, u);
    case UTIL_DECLARE_CURSOR:
        return utility_declare_wait(s, c, u, params, param_nulls, param_count);
    case UTIL_FETCH:
        return utility_fetch_wait(s, u, is_simple, tag);
    case UTIL_CLOSE_CURSOR:
        return utility_close_wait(s, u);
    case UTIL_LOCK:
        return utility_lock_wait(s, u);
    case UTIL_CHECKPOINT:
        if (!s->catalog.is_superuser)
            return err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                             "must be superuser or have privileges of pg_checkpoint to do "
                             "CHECKPOINT");
        return shards_checkpoint_wait();
    case UTIL_EXPLAIN:
        return explain_run_wait(s, u, params, param_nulls, param_count, is_simple);
    case UTIL_COPY:
        return copy_run_wait(s, u, tag);
    case UTIL_DDL:
        return utility_ddl_wait(s, c, u, tag);
    case UTIL_LISTEN:
        notify_listen(s, u->name);
        return ERR_OK;
    case UTIL_UNLISTEN:
        notify_unlisten(s, u->all ? NULL : u->name);
        return ERR_OK;
    case UTIL_NOTIFY:
        return notify_send(s, u->name, u->value ? u->value : "");
    }
    return err_not_built("%s is not supported yet", c->tag);
}
