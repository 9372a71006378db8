/*
 * What net (and nobody above) sees of SQL: sessions, prepared statements, portals, rows out.
 *
 * All calls run on the session's core in a fiber. Strings given in are copied where they are kept.
 */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include "sql/types/types.h"

struct session;
struct prepared;
struct portal;

struct result_column {
    const char *name;
    oid table;
    int16_t column;
    oid type;
    int16_t type_length;
    int32_t typmod;
};

/* Where results go. Filled in by net; calls may suspend (a slow reader holds the fiber, not the
 * thread). */
struct row_sink {
    /* RowDescription for statements that return rows (simple protocol; Describe asks otherwise). */
    err_t (*describe)(struct row_sink *s, const struct result_column *columns, uint32_t count,
                      const int16_t *formats);
    /* One row; formats per column 0 text 1 binary. */
    err_t (*row)(struct row_sink *s, const struct result_column *columns, uint32_t count,
                 const int16_t *formats, const datum *values, const bool *nulls);
    err_t (*complete)(struct row_sink *s, const char *tag); /* CommandComplete */
    err_t (*empty)(struct row_sink *s);                     /* EmptyQueryResponse */
    err_t (*suspended)(struct row_sink *s);                 /* PortalSuspended */
    err_t (*notice)(struct row_sink *s, const char *severity, const struct diag *d);
    err_t (*parameter)(struct row_sink *s, const char *name,
                       const char *value); /* ParameterStatus */
    err_t (*notification)(struct row_sink *s, uint32_t pid, const char *channel,
                          const char *payload);
    /* COPY. in: sends CopyInResponse; then copy_read gives chunks (*len = 0 at CopyDone; CopyFail
     * is an error). */
    err_t (*copy_in_begin)(struct row_sink *s, bool binary, uint32_t columns);
    err_t (*copy_read)(struct row_sink *s, const uint8_t **data, size_t *len);
    err_t (*copy_out_begin)(struct row_sink *s, bool binary, uint32_t columns);
    err_t (*copy_write)(struct row_sink *s, const uint8_t *data, size_t len);
    err_t (*copy_out_end)(struct row_sink *s);
    void *owner;
};

struct session_options {
    const char *database;
    const char *user;
    const char *client_address; /* "" for unix sockets */
    int32_t client_port;
    /* name, value pairs of the startup packet beyond user/database, NULL-terminated */
    const char *const *settings;
};
/* ERR_INVALID_CATALOG_NAME, ERR_INVALID_AUTHORIZATION_SPECIFICATION, bad settings. The caller has
 * authenticated. */
SUSPENDS err_t session_open_wait(const struct session_options *o, struct row_sink *sink,
                                 struct session **out);
/* Rolls back, releases everything. */
SUSPENDS void session_close_wait(struct session *s);
/* Before anything but closing is asked of a session that was at rest (a new one is awake), and when
 * nothing more is to come for now: then it gives back what it needs only for working. */
void session_wake(struct session *s, struct row_sink *sink);
void session_rest(struct session *s);
/* Every setting that is reported (after login). */
SUSPENDS err_t session_report_all_wait(struct session *s);
uint32_t session_pid(const struct session *s);        /* stable session number */
uint32_t session_cancel_key(const struct session *s); /* random, for BackendKeyData */
/* Cancel by key, whatever core the session is on. Nothing happens when they don't match. */
SUSPENDS void sql_cancel_wait(uint32_t pid, uint32_t key);
/* Before bytes of an unfinished transaction go out: waits until what was observed is durable. */
SUSPENDS err_t session_before_send_wait(struct session *s);
/* pg_terminate_backend was called on it: the connection ends. */
bool session_is_terminated(const struct session *s);
/* Set by net: called on the session's core when an idle session is to end. */
void session_on_terminate(struct session *s, void (*fn)(void *owner), void *owner);
/* Set by net: called on the session's core (may not suspend) when notifications came while it is
 * outside a transaction. */
void session_on_notify(struct session *s, void (*fn)(void *owner), void *owner);
/* There are some that may be sent now: outside a transaction. */
bool session_has_notifications(const struct session *s);
/* Sends them (row_sink.notification). */
SUSPENDS err_t session_notifications_wait(struct session *s);
/* Whose share of the core its work uses, for fiber_share(): its role in its database, and the
 * setting run_share. */
void session_share(const struct session *s, uint64_t *key, uint32_t *share);
/* ---- sessions that move: between messages, at rest ---- */
/* Whether it should go to another core now: asked after each message. */
bool session_wants_to_move(struct session *s, uint32_t *to);
/* Set by net: called on the session's core (may not suspend) when a session that rests should look
 * whether it wants to move. */
void session_on_move(struct session *s, void (*fn)(void *owner), void *owner);
/* What must be ready on the other core first; then leave here, and join there (a post), after which
 * everything of the session is there; neither suspends. Or cancel, and it stays. */
struct session_move;
SUSPENDS struct session_move *session_move_begin_wait(struct session *s, uint32_t to);
SUSPENDS void session_move_cancel_wait(struct session_move *m);
void session_move_leave(struct session_move *m);
void session_move_join(struct session_move *m); /* m is gone */
/* Milliseconds that it may now stay idle, 0 = no limit; *code: which error ends it. */
int64_t session_idle_limit_ms(const struct session *s, err_t *code);

/* Simple query: all statements of the text; errors are returned after the results of those before
 * (the sink has them). The implicit transaction is settled when it returns. */
SUSPENDS err_t session_query_wait(struct session *s, const char *text);

/* Extended protocol. After an error the caller skips to Sync. */
SUSPENDS err_t session_parse_wait(struct session *s, const char *name, const char *text,
                                  const oid *types, uint32_t type_count);
struct bind_value {
    const uint8_t *bytes;
    int32_t len; /* -1 = NULL */
};
SUSPENDS err_t session_bind_wait(struct session *s, const char *portal, const char *statement,
                                 const struct bind_value *values, uint32_t value_count,
                                 const int16_t *formats, uint32_t format_count,
                                 const int16_t *result_formats, uint32_t result_format_count);
/* columns NULL and 0: returns no rows (NoData). Valid until the next call. */
SUSPENDS err_t session_describe_statement_wait(struct session *s, const char *name,
                                               const oid **param_types, uint32_t *param_count,
                                               const struct result_column **columns,
                                               uint32_t *count);
SUSPENDS err_t session_describe_portal_wait(struct session *s, const char *name,
                                            const struct result_column **columns, uint32_t *count,
                                            const int16_t **formats);
/* max_rows 0 = all. */
SUSPENDS err_t session_execute_wait(struct session *s, const char *portal, uint32_t max_rows);
SUSPENDS err_t session_close_statement_wait(struct session *s, const char *name);
SUSPENDS err_t session_close_portal_wait(struct session *s, const char *name);
/* Sync: ends the implicit transaction (commit, or rollback after an error). */
SUSPENDS err_t session_sync_wait(struct session *s);
/* An error was sent to the client in an extended exchange: the transaction is marked failed. */
SUSPENDS void session_failed_wait(struct session *s);
/* Text of a client: ERR_CHARACTER_NOT_IN_REPERTOIRE unless it is UTF-8. */
err_t sql_check_text(const char *text, size_t len);
/* Formatting state for the types' output functions. */
const struct session_env *session_environment(const struct session *s);
char session_status(const struct session *s); /* I T E for ReadyForQuery */

/* Cancel what this session runs now (CancelRequest on the session's core). */
void session_cancel(struct session *s, bool terminate);

/* Server-wide start and stop of the sql layer, called by tools/server on one core. */
struct sql_options {
    bool bootstrap;
    const char *superuser;
    const char *password_verifier;
};
SUSPENDS err_t sql_start_wait(const struct sql_options *o);

/* For tools, in place of sessions: checks every database of a data directory that nobody else uses
 * (files, rows, index entries, sequences, catalogs); problem() per finding. */
SUSPENDS err_t sql_check_wait(void (*problem)(void *owner, const char *database, const char *text),
                              void *owner);

/* For authentication: a role as far as it concerns a login to a database. */
struct auth_role {
    bool found;
    bool superuser;
    const char *verifier; /* in mem */
    int64_t valid_until_us;
};
SUSPENDS err_t sql_find_role_wait(const char *name, const char *database, struct arena *mem,
                                  struct auth_role *out);

#endif
