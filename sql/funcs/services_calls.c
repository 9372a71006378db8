/*
 * More functions that call the session's services or wait: pg_sleep_for and pg_sleep_until, sizes
 * of databases and tablespaces, sequences of columns, lookups of functions and operators by
 * signature. (The others are in session_funcs.c and catalog_funcs.c.)
 *
 * They are marked in proc.tab (suspends) and called only from the expression wrapper, hence
 * NO_SUSPEND_ANALYSIS.
 */
#include "core/core.h"
#include "core/stats.h"
#include "shard/held.h"
#include "sql/funcs/funcs_priv.h"
#include "sql/type_functions.h"
#include "sql/types/datetime.h"
#include "sql/types/interval.h"
#include "sql/types/quote.h"

#define SERVICE(entry)                                                                             \
    struct sql_services *s = c->env->services;                                                     \
    if (s == NULL || s->entry == NULL)                                                             \
    return err_not_built("%s() is not supported yet", c->func->name)
#define SUSPENDING(name) NO_SUSPEND_ANALYSIS FUNCTION(name)

/* ---- sleeping ---- */

static NO_SUSPEND_ANALYSIS err_t sleep_until(int64_t deadline, int64_t now, datum *out)
{
    int64_t us;
    *out = 0;
    if (deadline <= now)
        return ERR_OK;
    if (ckd_sub_i64(&us, deadline, now))
        us = INT64_MAX;
    return fiber_sleep_wait((uint64_t)us);
}

FUNCTION(fn_pg_sleep_for)
{
    int64_t now = core_wall_us() - EPOCH_2000_UNIX_US;
    int64_t deadline;
    struct interval i = interval_read(c->args[0]);
    TRY(timestamptz_add_interval(c->env->zone, now, &i, &deadline));
    return sleep_until(deadline, now, out);
}

FUNCTION(fn_pg_sleep_until)
{
    return sleep_until(ARG_I64(0), core_wall_us() - EPOCH_2000_UNIX_US, out);
}

/* ---- sizes of databases and tablespaces ---- */

static NO_SUSPEND_ANALYSIS err_t object_size(struct call *c, const char *what, char kind, oid id,
                                             datum *out)
{
    SERVICE(relation_size);
    int64_t bytes = 0;
    if (c->func->args[0] == TYPE_NAME) {
        const char *name = arg_cstring(c, 0);
        if (s->resolve_name == NULL)
            return err_not_built("%s() is not supported yet", c->func->name);
        TRY(s->resolve_name(s->owner, kind, quote_identifier(c->mem, name), true, &id));
        if (id == OID_NONE)
            return err_raise(kind == 'd' ? ERR_INVALID_CATALOG_NAME : ERR_UNDEFINED_OBJECT,
                             "%s \"%s\" does not exist", what, name);
    }
    TRY(s->relation_size(s->owner, id, what, false, &bytes));
    if (bytes < 0)
        RETURN_NULL();
    RETURN_I64(bytes);
}

FUNCTION(fn_pg_database_size)
{
    return object_size(c, "database", 'd', ARG_OID(0), out);
}

FUNCTION(fn_pg_tablespace_size)
{
    return object_size(c, "tablespace", 's', ARG_OID(0), out);
}

/* ---- sequences ---- */

SUSPENDING(fn_pg_get_serial_sequence)
{
    SERVICE(serial_sequence);
    if (s->resolve_name == NULL)
        return err_not_built("%s() is not supported yet", c->func->name);
    oid table = OID_NONE;
    const char *name = NULL;
    TRY(s->resolve_name(s->owner, 'c', arg_cstring(c, 0), false, &table));
    TRY(s->serial_sequence(s->owner, table, arg_cstring(c, 1), c->mem, &name));
    if (name == NULL)
        RETURN_NULL();
    return result_cstring(c, name, out);
}

SUSPENDING(fn_pg_sequence_last_value)
{
    SERVICE(sequence_last_value);
    int64_t value = 0;
    bool is_called = false;
    TRY(s->sequence_last_value(s->owner, ARG_OID(0), &value, &is_called));
    if (!is_called)
        RETURN_NULL();
    RETURN_I64(value);
}

/* ---- pg_stat_reset_core_latency ---- */

static err_t reset_latency(void *arg)
{
    (void)arg;
    stats_latency_reset();
    return ERR_OK;
}

SUSPENDING(fn_pg_stat_reset_core_latency)
{
    if (!c->env->is_superuser)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                         "permission denied for function pg_stat_reset_core_latency");
    for (uint32_t core = 0; core < core_count(); core++)
        TRY(core_call_wait(core, reset_latency, NULL));
    *out = 0;
    return ERR_OK;
}

/* ---- sessions that move ---- */

SUSPENDING(fn_percore_move_session)
{
    SERVICE(move_session);
    bool done = false;
    int32_t core = ARG_I32(1);
    if (core < 0 || (uint32_t)core >= core_count())
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "core %d does not exist", core);
    if (ARG_I32(0) > 0)
        TRY(s->move_session(s->owner, (uint32_t)ARG_I32(0), (uint32_t)core, &done));
    RETURN_BOOL(done);
}

SUSPENDING(fn_percore_session_core)
{
    SERVICE(session_core);
    bool found = false;
    uint32_t core = 0;
    if (ARG_I32(0) > 0)
        TRY(s->session_core(s->owner, (uint32_t)ARG_I32(0), &core, &found));
    if (!found)
        RETURN_NULL();
    RETURN_I32((int32_t)core);
}

static err_t reset_moves(void *arg)
{
    (void)arg;
    stats_moves_reset();
    return ERR_OK;
}

SUSPENDING(fn_pg_stat_reset_core_migration)
{
    if (!c->env->is_superuser)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                         "permission denied for function pg_stat_reset_core_migration");
    for (uint32_t core = 0; core < core_count(); core++)
        TRY(core_call_wait(core, reset_moves, NULL));
    *out = 0;
    return ERR_OK;
}

/* Ours, for SELECT from a sequence: its last_value, whether that number was given out or not. */
SUSPENDING(fn_percore_sequence_value)
{
    SERVICE(sequence_last_value);
    int64_t value = 0;
    bool is_called = false;
    TRY(s->sequence_last_value(s->owner, ARG_OID(0), &value, &is_called));
    RETURN_I64(value);
}

/* ---- to_reg*: as the type's input, but null for what does not exist ---- */

static err_t to_reg(struct call *c,
                    err_t (*input)(struct type_io *io, const char *text, size_t len, datum *out),
                    datum *out)
{
    struct type_io io = {.mem = c->mem, .type = c->func->result, .typmod = -1, .env = c->env};
    const char *text = arg_cstring(c, 0);
    err_t e = input(&io, text, strlen(text), out);
    switch ((int)e) {
    case ERR_UNDEFINED_FUNCTION:
    case ERR_UNDEFINED_OBJECT:
    case ERR_UNDEFINED_SCHEMA:
    case ERR_AMBIGUOUS_FUNCTION:
        RETURN_NULL();
    default:
        return e;
    }
}

FUNCTION(fn_to_regprocedure)
{
    return to_reg(c, regprocedure_input, out);
}

FUNCTION(fn_to_regoper)
{
    return to_reg(c, regoper_input, out);
}

FUNCTION(fn_to_regoperator)
{
    return to_reg(c, regoperator_input, out);
}

/* ---- percore_session_memory ---- */

struct memory_rows {
    struct session_bytes *rows;
    uint32_t count;
    uint32_t next;
};

static NO_SUSPEND_ANALYSIS err_t memory_begin(struct call *c, void **state)
{
    SERVICE(session_memory);
    struct memory_rows *m = ARENA_NEW(c->mem, struct memory_rows);
    *state = m;
    return s->session_memory(s->owner, c->mem, &m->rows, &m->count);
}

static err_t memory_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    struct memory_rows *m = state;
    (void)c;
    *end = m->next == m->count;
    if (*end)
        return ERR_OK;
    const struct session_bytes *row = &m->rows[m->next++];
    nulls[0] = nulls[1] = false;
    values[0] = datum_of_i32((int32_t)row->pid);
    values[1] = datum_of_i64(row->bytes);
    return ERR_OK;
}

static const char *const memory_names[] = {"pid", "bytes"};
static const oid memory_types[] = {TYPE_INT4, TYPE_INT8};
const struct set_function srf_percore_session_memory = {
    .column_count = 2,
    .column_names = memory_names,
    .column_types = memory_types,
    .begin = memory_begin,
    .next = memory_next,
};

/* ---- percore_check ---- */

struct check_lines {
    const char *const *lines;
    uint32_t count;
    uint32_t next;
};

static NO_SUSPEND_ANALYSIS err_t check_begin(struct call *c, void **state)
{
    SERVICE(check_database);
    struct check_lines *l = ARENA_NEW(c->mem, struct check_lines);
    *state = l;
    return s->check_database(s->owner, ARG_BOOL(0), c->mem, &l->lines, &l->count);
}

static err_t check_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    struct check_lines *l = state;
    (void)nulls;
    *end = l->next == l->count;
    return *end ? ERR_OK : result_cstring(c, l->lines[l->next++], &values[0]);
}

const struct set_function srf_percore_check = {
    .column_count = 1,
    .begin = check_begin,
    .next = check_next,
};

/* ---- pg_prepared_xact ---- */

struct prepared_rows {
    struct held_transaction *rows;
    uint32_t count;
    uint32_t next;
};

static NO_SUSPEND_ANALYSIS err_t prepared_xact_begin(struct call *c, void **state)
{
    struct prepared_rows *p = ARENA_NEW(c->mem, struct prepared_rows);
    *state = p;
    return held_list_wait(c->mem, &p->rows, &p->count);
}

static err_t prepared_xact_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    struct prepared_rows *p = state;
    *end = p->next == p->count;
    if (*end)
        return ERR_OK;
    const struct held_transaction *h = &p->rows[p->next++];
    memset(nulls, 0, 5 * sizeof(*nulls));
    values[0] = datum_of_oid((oid)h->id);
    values[1] = datum_of_text(c->mem, h->name);
    values[2] = datum_of_i64(h->prepared_at - EPOCH_2000_UNIX_US);
    values[3] = datum_of_oid(h->owner);
    values[4] = datum_of_oid(h->database);
    return ERR_OK;
}

const struct set_function srf_pg_prepared_xact = {
    .column_count = 5,
    .begin = prepared_xact_begin,
    .next = prepared_xact_next,
};
