/*
 * Settings (GUC): the table in core/settings.def, values of the server (config file, command line),
 * and deltas of a session. Names, units, ranges and messages as PostgreSQL's.
 *
 * A settings_view is what a session sees: server values, then database/role defaults, then its own
 * SET and SET LOCAL deltas. Server values are replaced whole on reload (core_post to each core), so
 * a reader on a core needs no lock.
 */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include "core/arena.h"
#include "core/err.h"

enum setting_type { SETTING_BOOL, SETTING_INT, SETTING_REAL, SETTING_STRING, SETTING_ENUM };
/* As PostgreSQL's contexts. */
enum setting_context {
    SETTING_INTERNAL,   /* shown, never set */
    SETTING_POSTMASTER, /* start only */
    SETTING_SIGHUP,     /* config file and reload */
    SETTING_SUSET,      /* superuser at run time */
    SETTING_USERSET,    /* anyone */
};
enum setting_source {
    SETTING_SOURCE_DEFAULT,
    SETTING_SOURCE_FILE,
    SETTING_SOURCE_ARGV,
    SETTING_SOURCE_DATABASE,
    SETTING_SOURCE_ROLE,
    SETTING_SOURCE_CLIENT, /* startup packet */
    SETTING_SOURCE_SESSION,
};

/* One constant per row of core/settings.def: SET_work_mem, ... */
enum setting_id {
#define SETTING(name, type, unit, boot, min, max, context, report, group, description) SET_##name,
#include "core/settings.def"
#undef SETTING
    SETTING_COUNT
};

struct setting_info {
    const char *name; /* as shown: "work_mem", "numa.policy", "DateStyle" */
    enum setting_type type;
    const char *unit; /* "kB", "ms", "8kB", ..., NULL */
    const char *boot; /* default, as text */
    double min;
    double max;
    const char *const *enum_values; /* SETTING_ENUM: NULL-terminated */
    enum setting_context context;
    bool report; /* sent to clients as ParameterStatus */
    const char *group;
    const char *description;
};
const struct setting_info *setting_info(enum setting_id id);
/* Case-insensitive. false = no such setting (names with a dot that are unknown are custom). */
bool setting_find(const char *name, enum setting_id *out);

/* A session's view; one per session, small while nothing was SET. */
struct settings_view;
struct settings_view *settings_view_new(void);
void settings_view_free(struct settings_view *v);
size_t settings_view_bytes(const struct settings_view *v); /* memory that it holds, texts not */
/* Its pieces of core memory, when it goes to another core. */
void settings_view_memory(struct settings_view *v, void (*piece)(void *p));

int64_t setting_int(const struct settings_view *v, enum setting_id id); /* base unit: kB, ms, ... */
/* on, off, true, yes, 1, ... and their beginnings. */
bool setting_parse_bool(const char *text, bool *out);
bool setting_bool(const struct settings_view *v, enum setting_id id);
double setting_real(const struct settings_view *v, enum setting_id id);
const char *setting_string(const struct settings_view *v, enum setting_id id);
int setting_enum(const struct settings_view *v, enum setting_id id); /* index in enum_values */
/* v = NULL asks for the server's own value in all of these. */

/* SET / SET LOCAL. value NULL = DEFAULT (RESET). is_local lasts until the transaction ends.
 * ERR_UNDEFINED_OBJECT, ERR_INVALID_PARAMETER_VALUE, ERR_CANT_CHANGE_RUNTIME_PARAM,
 * ERR_INSUFFICIENT_PRIVILEGE with PostgreSQL's texts and hints. */
err_t setting_set(struct settings_view *v, const char *name, const char *value, bool is_local,
                  bool is_superuser, enum setting_source source);
err_t setting_reset_all(struct settings_view *v);
/* As SHOW prints it ("4MB", "on"), in the arena; ERR_UNDEFINED_OBJECT. Custom names too. */
err_t setting_show(const struct settings_view *v, const char *name, struct arena *out,
                   const char **text);
/* Set what SET may not (is_superuser, session_authorization, in_hot_standby ...): the session's own
 * value, which RESET keeps. */
err_t setting_force(struct settings_view *v, enum setting_id id, const char *value);
/* A check of a string setting (a time zone's name, say), installed at start: *canonical is what is
 * kept; ERR_INVALID_PARAMETER_VALUE with PostgreSQL's text. now: the value that it would replace,
 * NULL when there is none. */
typedef err_t (*setting_check_fn)(const char *value, const char *now, struct arena *out,
                                  const char **canonical);
void setting_install_check(enum setting_id id, setting_check_fn check);
/* Names of custom settings (with a dot) of this view, by index; NULL past the end. */
const char *settings_custom_name(const struct settings_view *v, uint32_t index);
/* Transactional: values set since a mark come back on rollback; marks nest (savepoints). */
uint32_t settings_mark(struct settings_view *v);
void settings_rollback_to(struct settings_view *v, uint32_t mark);
void settings_commit(struct settings_view *v); /* ends SET LOCAL, keeps SET */
/* Changes with every value of the session's own that may change how a statement is read or planned
 * (not with names, timeouts and what the session is told). */
uint64_t settings_fingerprint(const struct settings_view *v);
/* Every report setting whose value changed since the last call: fn(owner, name, text). */
void settings_report_changes(struct settings_view *v,
                             void (*fn)(void *owner, const char *name, const char *text),
                             void *owner);
/* For pg_settings: text value in base unit, source, file and line of a setting. */
void setting_describe(const struct settings_view *v, enum setting_id id, struct arena *out,
                      const char **value, const char **reset_value, enum setting_source *source,
                      const char **source_file, int *source_line);

/* ---- server values ---- */

/* Parse postgresql.conf syntax (comments, quotes, include, dotted names). Errors name file and
 * line: 'syntax error in file "percore.conf" line 3, near token "x"', 'unrecognized configuration
 * parameter "x" in file "..." line 4'. Values take effect in the server's values. */
/* Loading a file of the same name again replaces what it said before; later files win over earlier
 * ones, the command line over all. Nothing changes when there is an error. */
err_t settings_load_text(const char *file_name, const char *text, bool is_reload);
err_t settings_set_argv(const char *name, const char *value); /* -c name=value, -p, -k */
/* node<N>.<name> values: NULL when not set. */
const char *settings_node_value(uint32_t node, const char *name);
/* A size such as "16GB" in bytes; ERR_INVALID_PARAMETER_VALUE. */
err_t setting_parse_bytes(const char *text, uint64_t *out);

#endif
