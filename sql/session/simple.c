/*
 * The simple query protocol: a text of any number of statements, one implicit transaction.
 *
 * A text of one statement that comes again is run by a plan of the core's cache, with its literals
 * as parameters where that makes no difference (literals.c, cache.c). Whatever goes wrong before
 * such a plan runs is found again by taking the text as it is, so that errors and their positions
 * are those of the text.
 */
#include "sql/session/literals.h"
#include "sql/session/session_priv.h"

static SUSPENDS err_t session_one_wait(struct session *s, struct cached **c,
                                       const struct bound *params, bool is_last)
{
    const struct utility *u = (*c)->statement->utility;
    bool is_exit = u && (u->kind == UTIL_COMMIT || u->kind == UTIL_ROLLBACK ||
                         u->kind == UTIL_ROLLBACK_TO || u->kind == UTIL_PREPARE_TRANSACTION);
    TRY(block_begin_statement_wait(s, (*c)->tag, is_exit));
    return run_cached_wait(s, c, params->values, params->nulls, params->count, is_last, true);
}

/* By a plan of the cache, if there is one. */
static SUSPENDS err_t session_shared_wait(struct session *s, const char *text, bool *is_done)
{
    *is_done = false;
    if (s->block == BLOCK_FAILED)
        return ERR_OK;
    enum { MODE_OFF, MODE_ON, MODE_ALWAYS };
    int mode = setting_enum(s->settings, SET_auto_parameters);
    struct literals literals;
    uint64_t began_at = stats_clock();
    bool is_taken = literals_take(text, mode != MODE_OFF, s->statement, &literals);
    stats_trace_add(STATS_STAGE_parse, began_at);
    if (!is_taken)
        return ERR_OK;
    TRY(block_begin_statement_wait(s, "", false));
    struct cached *c = NULL;
    struct bound params;
    TRY(cached_simple_wait(s, &literals, mode == MODE_ALWAYS, &c, &params));
    if (!c)
        return ERR_OK;
    *is_done = true;
    err_t e = session_one_wait(s, &c, &params, true);
    cached_release(c);
    return e;
}

static SUSPENDS err_t session_statements_wait(struct session *s, const char *text)
{
    bool is_done = false;
    TRY(session_shared_wait(s, text, &is_done));
    if (is_done)
        return ERR_OK;
    struct parsed *parsed;
    uint64_t began_at = stats_clock();
    err_t e = parse_text(text, s->statement, &parsed);
    stats_trace_add(STATS_STAGE_parse, began_at);
    TRY(e);
    if (parsed->count == 0)
        e = s->sink->empty(s->sink);
    s->in_list = parsed->count > 1;
    for (uint32_t i = 0; e == ERR_OK && i < parsed->count; i++) {
        bool is_exit = parse_is_transaction_exit(&parsed->statements[i]);
        e = block_begin_statement_wait(s, parse_command_tag(&parsed->statements[i]), is_exit);
        struct cached *c = NULL;
        if (e == ERR_OK)
            e = cached_make_wait(s, text, parsed, i, NULL, 0, &c);
        if (e == ERR_OK)
            e = session_one_wait(s, &c, &(struct bound){0}, i + 1 == parsed->count);
        cached_release(c);
    }
    s->in_list = false;
    parse_free(parsed);
    return e;
}

SUSPENDS err_t session_query_wait(struct session *s, const char *text)
{
    s->query = text;
    session_begin_message(s);
    s->query_started_at = s->message_at;
    session_set_state(s, "active", s->message_at);
    run_arm(s);
    /* The unnamed statement and portal end with a simple query. */
    struct prepared *unnamed = prepared_find(s, "");
    if (unnamed)
        prepared_drop(s, unnamed);
    struct portal *portal = portal_find(s, "");
    if (portal)
        portal_drop_wait(s, portal);
    err_t e = session_statements_wait(s, text);
    if (e == ERR_OK && s->block == BLOCK_IMPLICIT)
        e = block_commit_wait(s);
    if (e != ERR_OK)
        e = session_fail_wait(s, e);
    run_disarm(s);
    session_report_settings_wait(s);
    session_set_state(s,
                      s->block == BLOCK_OPEN     ? "idle in transaction"
                      : s->block == BLOCK_FAILED ? "idle in transaction (aborted)"
                                                 : "idle",
                      core_wall_us());
    s->query = NULL;
    if (e == ERR_OK)
        arena_reset(s->statement);
    return e;
}
