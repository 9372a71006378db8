/* Shared by the files of sql/session only. */
#ifndef SQL_SESSION_SESSION_PRIV_H
#define SQL_SESSION_SESSION_PRIV_H

#include "core/core.h"
#include "core/settings.h"
#include "core/stats.h"
#include "sql/analyze/utility.h"
#include "sql/exec/constraint_queue.h"
#include "sql/exec/exec.h"
#include "sql/parse/parse.h"
#include "sql/session/notify.h"
#include "sql/sql.h"

enum block_state {
    BLOCK_NONE,     /* no transaction */
    BLOCK_IMPLICIT, /* begun by a statement; ends with the query string or Sync */
    BLOCK_OPEN,     /* BEGIN */
    BLOCK_FAILED,   /* an error happened inside a block: only its end is accepted */
};

struct savepoint {
    const char *name;
    uint32_t txn_mark;
    uint32_t settings_mark;
    struct notify_mark notify_mark;
    struct savepoint *outer;
};

/* One analysed and planned statement, shared by all sessions of the core. Plans run on the core
 * that made them only: their programs are compiled when they first run. */
struct cached {
    struct cached *hash_next;
    struct cached *lru_prev;
    struct cached *lru_next;
    uint64_t hash;
    uint64_t key_bytes;
    const uint8_t *key;
    const char *text;
    struct parsed *parsed; /* utility statements keep their tree (PREPARE's inside) */
    /* One of several statements of a simple query: its tree, which lives while that runs. */
    struct raw_statement *raw;
    const char *tag;
    struct statement *statement;
    struct plan *plan; /* NULL for utility statements */
    uint64_t catalog_version;
    uint64_t planned_at_us;
    uint32_t references;
    uint32_t core; /* that it belongs to; others read it, while a session that came from there holds
                      it, and give it back by a post */
    uint64_t uses;
    bool is_empty;
    bool is_linked; /* in the cache; else freed with its last reference */
    struct arena *mem;
};

struct prepared {
    struct prepared *next; /* hash chain */
    const char *name;      /* "" = unnamed */
    uint32_t param_count;
    const oid *param_types; /* as inferred */
    struct cached *cached;
    bool from_sql; /* PREPARE */
    int64_t prepared_at;
    char bytes[]; /* the types and the name */
};

struct portal {
    struct portal *next;
    const char *name;
    struct arena *mem;
    struct cached *cached;
    const struct plan *plan;
    datum *params;
    bool *param_nulls;
    uint32_t param_count;
    int16_t *formats; /* one per result column */
    const struct result_column *columns;
    uint32_t column_count;
    struct exec *exec;
    uint32_t core;               /* where exec is; it stays there when the session moves */
    struct portal_far *far;      /* rows that came from there: portal_exec.c; NULL = none did */
    struct txn_cursor *snapshot; /* what it sees, while it is open over other statements */
    bool is_done;
    bool is_failed;  /* an error ended it; it is there until the block ends */
    const char *tag; /* of a utility statement that has run */
    bool is_kept; /* it changed rows, or is a utility: its first Execute ran it whole, into kept */
    uint64_t kept_sent;
    uint64_t rows_sent;
    /* SQL cursors */
    bool is_cursor;
    bool is_binary;
    bool describe_due; /* FETCH of the simple protocol has sent no columns yet */
    bool scroll;
    bool no_scroll;
    bool may_scroll;  /* neither was said: it keeps rows while they are few */
    bool hold;        /* WITH HOLD */
    bool is_held;     /* its transaction has committed: all rows are kept, nothing runs any more */
    int64_t position; /* rows before the cursor */
    struct arena *kept_mem;
    struct slot *kept;                        /* rows fetched so far, in kept_mem */
    const struct result_column *kept_columns; /* as they came: a utility's may differ from Bind's */
    uint64_t kept_count;
    uint64_t kept_room;
    const char *text;
    int64_t created_at;
    uint32_t mark; /* made at this transaction mark: undone with it */
};

enum { NAME_BUCKETS = 16 }; /* of portals; of prepared statements at first */

/*
 * At rest (between requests, outside a transaction) a session is this struct, its settings' deltas
 * and its prepared statements, each in one piece of memory; what is marked w is there only while it
 * is awake, session_wake() to session_rest(), and t while there is a transaction.
 */
struct session {
    struct session *registry_next;
    struct session *registry_prev;
    struct catalog_session catalog;
    struct session_env env;
    struct sql_services *services; /* w */
    struct settings_view *settings;
    struct row_sink *sink;   /* w */
    struct arena *statement; /* w, t: of the running statement */
    struct arena *block_mem; /* w, t: savepoint names, notifications */
    void *path_mem;          /* derived search_path, one piece */
    char *role_names;        /* after SET ROLE: the session's and the current user's; NULL */
    uint32_t pid;
    uint32_t cancel_key;
    void (*on_terminate)(void *owner);
    void *on_terminate_owner;
    struct notify_session *notify; /* NULL: listens to nothing, sends nothing */
    void (*on_notify)(void *owner);
    void *on_notify_owner;
    oid login_role;
    const char *database;
    const char *user;
    const char *client_address;
    int32_t client_port;
    int64_t started_at;

    enum block_state block;
    struct txn *txn;
    struct constraint_queue *constraints; /* deferred constraints */
    uint32_t txn_serial;                  /* of this session's transactions, never 0 in one */
    struct savepoint *savepoints;
    int isolation;
    bool read_only;
    bool deferrable;
    bool in_list;       /* one of several statements of a simple query: as in a block */
    bool pipelined;     /* statements of the extended protocol ran in this implicit transaction */
    bool statement_ran; /* a query ran in this transaction: isolation is fixed */

    struct prepared **prepared; /* hash table; NULL while there are none */
    struct portal **portals;    /* NAME_BUCKETS; NULL while there are none */
    uint32_t prepared_mask;
    uint32_t prepared_count;
    uint32_t portal_count;

    /* to other cores: move.c */
    uint32_t move_count;
    uint16_t move_to;   /* asked for by percore_move_session: core + 1 */
    uint16_t away_core; /* where its transactions touched rows most */
    uint8_t away_score;
    uint8_t here_score; /* how much of it was here */
    uint8_t stay_shift; /* it moved back and forth: stays longer */
    bool is_lent;       /* its services work for a portal on another core, and its fiber waits */
    uint64_t moved_us;
    void (*on_move)(void *owner);
    void *on_move_owner;

    struct fiber *fiber; /* running a request */
    struct timer statement_timer;
    bool cancel_is_armed;
    bool terminate;
    const char *query; /* for pg_stat_activity */
    const char *state;
    int64_t message_at; /* when the message being served was taken up */
    int64_t query_started_at;
    int64_t state_changed_at;
    int64_t txn_started_at;

    struct advisory_locks advisory_locks; /* not bound to a transaction */

    /* currval / lastval */
    struct sequence_value *sequence_values;
    oid last_sequence;
    const char **path_schemas;     /* in path_mem; what env.search_schemas shows */
    uint64_t path_version;         /* catalog version that env.search_schemas was made at */
    uint64_t settings_fingerprint; /* of the settings that plans may depend on */
    bool settings_touched;         /* SET in this transaction: env is derived anew at its end */
};

/* session.c */
void session_install_checks(void); /* of settings, at start */
void session_refresh_env(struct session *s);
SUSPENDS err_t session_resolve_path_wait(struct session *s);
/* First error of a request: settles the transaction and keeps the diagnostics. Returns e. */
SUSPENDS err_t session_fail_wait(struct session *s, err_t e);
err_t session_set(struct session *s, const char *name, const char *value, bool is_local);
bool session_wants_notice(const struct session *s, const char *severity);
err_t session_notice(struct session *s, const char *severity, err_t code, const char *format, ...)
    PRINTF_LIKE(4, 5);
struct plan_options session_plan_options(struct session *s);
SUSPENDS void session_report_settings_wait(struct session *s);
/* A message is taken up: the clock is read once for all that happens in it. */
void session_begin_message(struct session *s);
void session_set_state(struct session *s, const char *state, int64_t since);

/* block.c: transaction blocks */
SUSPENDS err_t block_begin_statement_wait(struct session *s, const char *tag, bool is_exit);
SUSPENDS err_t block_ensure_txn_wait(struct session *s);
SUSPENDS err_t block_commit_wait(struct session *s);
SUSPENDS void block_abort_wait(struct session *s);
SUSPENDS void block_error_wait(struct session *s);
SUSPENDS err_t block_utility_wait(struct session *s, const struct utility *u, const char **tag);
/* Deferred constraints, before the end of a transaction that will stay. A violation rolls it back.
 */
SUSPENDS err_t block_check_deferred_wait(struct session *s);
/* Right after the transaction was freed or handed on: nobody finds it any more, whatever is waited
 * for next. */
void block_no_txn(struct session *s);
/* The transaction is over for the session: settings and what else goes with it. */
void block_transaction_over(struct session *s, bool is_kept);
/* In a block, or in a list of statements, which is like one. */
bool block_is_inside(const struct session *s);
err_t block_require(struct session *s, const char *statement); /* 25P01 outside of both */
err_t block_forbid(struct session *s, const char *statement);  /* 25001 inside, or in a pipeline */
/* The words for that error; NULL = nothing is forbidden. */
const char *block_forbids(const struct session *s);

/* exported.c */
/* pg_export_snapshot(): *out is its name. */
err_t exported_make(struct session *s, struct arena *mem, const char **out);
/* SET TRANSACTION SNAPSHOT. */
SUSPENDS err_t exported_take_wait(struct session *s, const char *name);

/* two_phase.c */
/* PREPARE TRANSACTION: *tag as in utility_run_wait. */
SUSPENDS err_t two_phase_prepare_wait(struct session *s, const char *name, const char **tag);
SUSPENDS err_t two_phase_finish_wait(struct session *s, const char *name, bool commit);
extern const struct virtual_rows two_phase_view_rows; /* pg_prepared_xacts */

/* cache.c */
SUSPENDS err_t cached_get_wait(struct session *s, const char *text, const oid *types,
                               uint32_t type_count, bool keep, struct cached **out);
/* A statement of a longer text: analysed afresh, never shared. */
SUSPENDS err_t cached_make_wait(struct session *s, const char *text, struct parsed *parsed,
                                uint32_t index, const oid *types, uint32_t type_count,
                                struct cached **out);
/* The plan for a text whose literals were taken out, and the literals as its parameters, in the
 * statement's arena; *out NULL: take the text as it is. at_once: neither wait for the text to come
 * twice nor compare costs. */
struct literals;
struct bound {
    datum *values;
    bool *nulls;
    uint32_t count;
};
SUSPENDS err_t cached_simple_wait(struct session *s, const struct literals *literals, bool at_once,
                                  struct cached **out, struct bound *params);
SUSPENDS err_t cached_renew_wait(struct session *s, const struct cached *c, struct cached **out);
/* On this core, and made by the catalog of now. */
bool cached_is_current(const struct session *s, const struct cached *c);
bool cached_is_here(const struct cached *c);
uint64_t cached_uses(const struct cached *c); /* 0 for one of another core */
/* *c becomes this core's statement of the same text and parameter types. */
SUSPENDS err_t cached_come_here_wait(struct session *s, struct cached **c, const oid *types,
                                     uint32_t type_count);
void cached_hold(struct cached *c);
void cached_release(struct cached *c);
const struct result_column *cached_columns(struct arena *mem, const struct cached *c,
                                           uint32_t *count);

/* run.c */
/* *c may become a newer plan of the same statement: see run_lock_current_wait. */
SUSPENDS err_t run_cached_wait(struct session *s, struct cached **c, const datum *params,
                               const bool *param_nulls, uint32_t param_count, bool is_last,
                               bool is_simple);
SUSPENDS err_t run_portal_wait(struct session *s, struct portal *p, uint64_t max_rows,
                               struct row_sink *sink, bool *finished);
/* Begins the execution of a portal that was bound only. */
SUSPENDS err_t run_portal_start_wait(struct session *s, struct portal *p);
/* What changes rows does so once and whole, however few of its rows are fetched. */
bool run_is_whole(const struct plan *p);
/* Execute of a portal whose utility statement has run: more of the rows kept. */
SUSPENDS err_t run_utility_rows_wait(struct session *s, struct portal *p, uint64_t max_rows);
SUSPENDS err_t run_query_wait(struct session *s, struct cached **c, const datum *params,
                              const bool *param_nulls, uint32_t param_count, bool fixed_result,
                              bool describe, const char **tag);
const char *run_tag(struct arena *mem, enum command command, uint64_t rows);
SUSPENDS err_t run_locks_wait(struct session *s, const struct plan *plan);
/* And no writing plan in a read-only transaction. */
SUSPENDS err_t run_lock_tables_wait(struct session *s, const struct plan *plan);
struct wait_limits run_wait_limits(const struct session *s);
/* Locks the tables of the statement's plan. Who had them may have changed them meanwhile (an index
 * made, a column added, new files): then *c is analysed and planned again, under the locks.
 * fixed_result: 0A000 when its columns are others now. */
SUSPENDS err_t run_lock_current_wait(struct session *s, struct cached **c, bool fixed_result);
/* The statement is over; read committed gives its snapshot back. */
void run_statement_end(struct session *s);
void run_arm(struct session *s);
void run_disarm(struct session *s);

/* utility.c */
/* *c as in run_cached_wait. */
SUSPENDS err_t utility_run_wait(struct session *s, struct cached **c, const datum *params,
                                const bool *param_nulls, uint32_t param_count, bool is_simple,
                                const char **tag);
/* Columns a utility statement returns (SHOW, EXPLAIN, EXECUTE, FETCH); NULL = none. */
SUSPENDS err_t utility_columns_wait(struct session *s, const struct statement *st,
                                    struct arena *mem, const struct result_column **columns,
                                    uint32_t *count);
oid explain_type(const struct utility *u); /* of the column of EXPLAIN */
SUSPENDS err_t explain_run_wait(struct session *s, const struct utility *u, const datum *params,
                                const bool *param_nulls, uint32_t param_count, bool is_simple);
SUSPENDS err_t copy_run_wait(struct session *s, const struct utility *u, const char **tag);

/* portal.c */
struct portal *portal_find(struct session *s, const char *name);
struct portal *portal_new(struct session *s, const char *name);
/* With their names; NULL of NULL. */
const struct result_column *columns_copy(struct arena *mem, const struct result_column *columns,
                                         uint32_t count);
/* Columns: as many as the portal's, and of the same types in every row. */
err_t portal_keep(struct portal *p, const struct result_column *columns, const struct slot *row);
SUSPENDS void portal_drop_wait(struct session *s, struct portal *p);
SUSPENDS void portal_drop_all_wait(struct session *s, bool keep_held);
/* Before a commit: cursors WITH HOLD take all their rows, to stay when the transaction is over. */
SUSPENDS err_t portal_hold_all_wait(struct session *s);
bool portal_any_to_hold(const struct session *s); /* made by this transaction */
SUSPENDS void portal_drop_since_wait(struct session *s, uint32_t mark);
SUSPENDS void portal_fail_since_wait(struct session *s, uint32_t mark);
err_t cursor_describe(struct session *s, struct portal *p); /* if it is due */
/* Execute of an SQL cursor: as FETCH FORWARD. */
SUSPENDS err_t cursor_execute_wait(struct session *s, struct portal *p, uint64_t max_rows,
                                   bool *finished);
SUSPENDS err_t cursor_fetch_wait(struct session *s, const struct utility *u, bool send,
                                 uint64_t *count);

/* portal_exec.c: a portal's execution, on whatever core it is */
/* The next row, NULL at the end; valid until the next call. want: how many the caller will ask for
 * at least, this one included. */
SUSPENDS err_t portal_next_wait(struct session *s, struct portal *p, uint64_t want,
                                const struct slot **row);
SUSPENDS void portal_exec_end_wait(struct portal *p); /* NULL is fine */

/* prepared.c */
struct prepared *prepared_find(struct session *s, const char *name);
SUSPENDS err_t prepared_add_wait(struct session *s, const char *name, const char *text,
                                 const oid *types, uint32_t type_count, bool from_sql);
void prepared_drop(struct session *s, struct prepared *p);
void prepared_drop_all(struct session *s);
size_t prepared_bytes(const struct session *s);
void prepared_memory(struct session *s, void (*piece)(void *p));
SUSPENDS err_t prepared_current_wait(struct session *s, struct prepared *p);
bool prepared_same_result(const struct plan *a, const struct plan *b);
err_t prepared_raise_changed(void); /* "cached plan must not change result type" */

/* views.c: pg_settings, pg_stat_activity, pg_prepared_statements, pg_cursors */
void session_views_register(void);
/* core_views.c: pg_stat_core, pg_stat_core_link, pg_stat_core_latency */
void core_views_register(void);

/* move.c */
void session_move_request(struct session *s, uint32_t core);
/* Before its transaction ends: where that has touched rows. */
void session_note_places(struct session *s);

/* memory.c */
/* Everything that belongs to the session itself, piece by piece and arena by arena. */
void session_memory(struct session *s, void (*piece)(void *p), void (*arena)(struct arena *a));
SUSPENDS err_t session_memory_wait(struct arena *mem, struct session_bytes **rows, uint32_t *count);

/* registry.c */
void registry_add(struct session *s); /* assigns the pid */
void registry_remove(struct session *s);
/* On all cores, of a role or in a database; those that are being opened count. */
SUSPENDS err_t registry_sessions_of_wait(oid object, uint64_t *count);
uint32_t registry_core_of(uint32_t pid); /* its home */
/* signal.c: pg_cancel_backend, pg_terminate_backend; *done false, with a warning: no such session.
 * ERR_INSUFFICIENT_PRIVILEGE. */
SUSPENDS err_t session_signal_wait(struct session *s, uint32_t pid, bool terminate, bool *done);
/* How many other sessions a database has; terminate: all are told to end first. */
SUSPENDS err_t session_database_users_wait(struct session *s, oid database, bool terminate,
                                           uint64_t *count);
/* A session goes to another core, has come from one. Its move_count says how often before. */
void registry_leave(struct session *s, uint32_t to);
void registry_join(struct session *s);
/* Calls fn (may not suspend) on the core that has the session, wherever it has moved to. */
SUSPENDS err_t registry_visit_wait(uint32_t pid, void (*fn)(void *ctx, struct session *s),
                                   void *ctx, bool *found);

/* services.c */
struct sql_services *services_new(struct session *s); /* core_free */
void sequence_values_free(struct session *s);
void sequence_values_memory(struct session *s, void (*piece)(void *p));
void sequence_values_forget_rights(struct session *s);

/* ---- login_facts.c ---- */
struct login_setting { /* of ALTER ROLE or ALTER DATABASE */
    const char *name;
    const char *value;
    enum setting_source source;
};
struct login_facts {
    const char *user_key;
    const char *database_key;
    bool has_role;
    struct role_info role;
    oid database; /* OID_NONE: there is none */
    bool allows_connections;
    bool may_connect; /* the role has CONNECT */
    int32_t database_limit;
    uint32_t setting_count;
    const struct login_setting *settings; /* in the order of application */
};
/* What the catalog says about a login; read when it is not known on this core. *out is valid until
 * the caller waits next (or in mem). Unknown names are no errors. */
SUSPENDS err_t login_facts_wait(const char *user, const char *database, struct arena *mem,
                                const struct login_facts **out);

/* ---- login.c ---- */
/* Settings of ALTER DATABASE and ALTER ROLE. One that is not valid any more is left out. */
void login_apply_settings(struct session *s, const struct login_facts *f);
/* Makes the session who its settings session_authorization and role say. */
SUSPENDS err_t login_identity_wait(struct session *s, bool *changed);
/* Whether SET ROLE or SET SESSION AUTHORIZATION may name that role; name NULL: back to the first.
 */
SUSPENDS err_t login_role_allowed_wait(struct session *s, const char *setting, const char *name);

#endif
