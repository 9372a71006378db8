/* EXPLAIN: plans, runs when asked to, and sends the plan's text line by line. */
#include "sql/plan/explain_write.h"
#include "sql/session/session_priv.h"

static COLD err_t explain_at(const struct utility_option *o, err_t e)
{
    if (o->position > 0)
        err_position(o->position);
    return e;
}

static err_t explain_bool(const struct utility_option *o, bool *out)
{
    *out = !o->value || strcasecmp(o->value, "on") == 0 || strcasecmp(o->value, "true") == 0 ||
           strcmp(o->value, "1") == 0;
    if (*out || strcasecmp(o->value, "off") == 0 || strcasecmp(o->value, "false") == 0 ||
        strcmp(o->value, "0") == 0)
        return ERR_OK;
    return err_raise(ERR_SYNTAX_ERROR, "%s requires a Boolean value", o->name);
}

static err_t explain_format_option(const struct utility_option *o, int *out)
{
    static const char *const names[] = {[EXPLAIN_TEXT] = "text",
                                        [EXPLAIN_JSON] = "json",
                                        [EXPLAIN_YAML] = "yaml",
                                        [EXPLAIN_XML] = "xml"};
    if (!o->value)
        return err_raise(ERR_SYNTAX_ERROR, "%s requires a parameter", o->name);
    for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
        if (strcmp(o->value, names[i]) == 0) {
            *out = i;
            return ERR_OK;
        }
    }
    return explain_at(o, err_raise(ERR_INVALID_PARAMETER_VALUE,
                                   "unrecognized value for EXPLAIN option \"%s\": \"%s\"", o->name,
                                   o->value));
}

static err_t explain_parse(const struct utility *u, struct explain_options *out)
{
    *out = (struct explain_options){.costs = true, .timing = true, .summary = false};
    bool timing_given = false;
    bool summary_given = false;
    for (uint32_t i = 0; i < u->option_count; i++) {
        const struct utility_option *o = &u->options[i];
        bool *flag = strcmp(o->name, "analyze") == 0    ? &out->analyze
                     : strcmp(o->name, "verbose") == 0  ? &out->verbose
                     : strcmp(o->name, "costs") == 0    ? &out->costs
                     : strcmp(o->name, "buffers") == 0  ? &out->buffers
                     : strcmp(o->name, "timing") == 0   ? &out->timing
                     : strcmp(o->name, "summary") == 0  ? &out->summary
                     : strcmp(o->name, "settings") == 0 ? &out->settings
                     : strcmp(o->name, "wal") == 0      ? &out->wal
                                                        : NULL;
        timing_given = timing_given || flag == &out->timing;
        summary_given = summary_given || flag == &out->summary;
        if (flag)
            TRY(explain_bool(o, flag));
        else if (strcmp(o->name, "format") == 0)
            TRY(explain_format_option(o, &out->format));
        else
            return explain_at(
                o, err_raise(ERR_SYNTAX_ERROR, "unrecognized EXPLAIN option \"%s\"", o->name));
    }
    if (out->wal && !out->analyze)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "EXPLAIN option WAL requires ANALYZE");
    if (timing_given && out->timing && !out->analyze)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "EXPLAIN option TIMING requires ANALYZE");
    if (!summary_given)
        out->summary = out->analyze;
    return ERR_OK;
}

oid explain_type(const struct utility *u)
{
    oid type = TYPE_TEXT;
    for (uint32_t i = 0; i < u->option_count; i++) {
        const struct utility_option *o = &u->options[i];
        if (strcmp(o->name, "format") != 0 || !o->value)
            continue;
        type = strcmp(o->value, "json") == 0  ? TYPE_JSON
               : strcmp(o->value, "xml") == 0 ? TYPE_XML
                                              : TYPE_TEXT;
    }
    return type;
}

static SUSPENDS err_t explain_execute_wait(struct session *s, const struct plan *plan,
                                           const datum *params, const bool *param_nulls,
                                           uint32_t param_count, struct exec **x)
{
    TRY(run_lock_tables_wait(s, plan));
    txn_statement_begin(s->txn);
    struct exec_options o = {
        .plan = plan,
        .txn = s->txn,
        .env = &s->env,
        .params = params,
        .param_nulls = param_nulls,
        .param_count = param_count,
        .instrument = true,
        .constraints = s->constraints,
    };
    TRY(exec_start_wait(&o, x));
    const struct slot *row;
    do {
        err_t e = exec_next_wait(*x, &row);
        if (e != ERR_OK) {
            exec_end_wait(*x);
            *x = NULL;
            return e;
        }
    } while (row);
    return ERR_OK;
}

/* type: what the column is said to be; what is sent is text in any case. */
static err_t explain_send(struct session *s, const struct strbuf *text, bool by_line, oid type,
                          bool is_simple)
{
    struct result_column column = {
        .name = "QUERY PLAN", .type = type, .type_length = -1, .typmod = -1};
    int16_t format = 0;
    if (is_simple)
        TRY(s->sink->describe(s->sink, &column, 1, &format));
    column.type = TYPE_TEXT;
    const char *p = text->data ? text->data : "";
    while (*p) {
        const char *end = by_line ? strchr(p, '\n') : NULL;
        size_t len = end ? (size_t)(end - p) : strlen(p);
        datum value = datum_of_varlen(varlen_new(s->statement, p, u32_from(len)));
        bool is_null = false;
        TRY(s->sink->row(s->sink, &column, 1, &format, &value, &is_null));
        p += len + (end ? 1 : 0);
    }
    return ERR_OK;
}

SUSPENDS err_t explain_run_wait(struct session *s, const struct utility *u, const datum *params,
                                const bool *param_nulls, uint32_t param_count, bool is_simple)
{
    struct explain_options o;
    TRY(explain_parse(u, &o));
    if (!u->explained->query)
        return err_not_built("EXPLAIN of %s is not supported yet", u->explained->tag);
    uint64_t begin = core_now_precise_ns();
    struct plan *plan;
    struct plan_options po = session_plan_options(s);
    TRY(plan_query_wait(&po, u->explained->query, s->statement, &plan));
    uint64_t planned = core_now_precise_ns();
    struct exec *x = NULL;
    if (o.analyze)
        TRY(explain_execute_wait(s, plan, params, param_nulls, param_count, &x));
    uint64_t done = core_now_precise_ns();
    struct strbuf text;
    strbuf_init(&text, s->statement);
    struct explain_times times = {.planning_ms = (double)(planned - begin) / 1e6,
                                  .execution_ms = (double)(done - planned) / 1e6};
    err_t e =
        plan_explain(plan, &s->env, &o, x ? exec_counters(x) : NULL, &times, s->statement, &text);
    if (x)
        exec_end_wait(x);
    run_statement_end(s);
    TRY(e);
    return explain_send(s, &text, o.format == EXPLAIN_TEXT, explain_type(u), is_simple);
}
