/*
 * Analysed DDL: what sql/analyze makes of PostgreSQL's raw utility trees for sql/ddl. Names are
 * kept as written (resolved when the statement runs, under its locks); types are resolved;
 * expressions are SQL text made from the raw tree.
 */
#ifndef SQL_ANALYZE_DDL_H
#define SQL_ANALYZE_DDL_H

#include "sql/analyze/query.h"

enum ddl_kind {
    DDL_CREATE_TABLE,
    DDL_CREATE_TABLE_AS,
    DDL_CREATE_INDEX,
    DDL_CREATE_SCHEMA,
    DDL_CREATE_SEQUENCE,
    DDL_ALTER_SEQUENCE,
    DDL_CREATE_VIEW,
    DDL_CREATE_EXTENSION,
    DDL_DROP,
    DDL_ALTER_TABLE,
    DDL_RENAME,
    DDL_SET_SCHEMA,
    DDL_OWNER,
    DDL_TRUNCATE,
    DDL_COMMENT,
    DDL_CREATE_ROLE,
    DDL_ALTER_ROLE,
    DDL_DROP_ROLE,
    DDL_GRANT,
    DDL_GRANT_ROLE,
    DDL_ALTER_SETTING, /* ALTER DATABASE / ROLE ... SET */
    DDL_CREATE_DATABASE,
    DDL_ALTER_DATABASE,
    DDL_DROP_DATABASE,
    DDL_VACUUM, /* and ANALYZE */
    DDL_REINDEX,
    DDL_CLUSTER,
    DDL_DROP_OWNED,
    DDL_REASSIGN_OWNED,
    DDL_ALTER_DEFAULT_PRIVILEGES,
};

/* What a name names, for DROP, COMMENT, RENAME ... */
enum ddl_object {
    OBJ_TABLE,
    OBJ_INDEX,
    OBJ_SEQUENCE,
    OBJ_VIEW,
    OBJ_SCHEMA,
    OBJ_COLUMN,
    OBJ_CONSTRAINT,
    OBJ_DATABASE,
    OBJ_ROLE,
    OBJ_TYPE,
    OBJ_FUNCTION,
    OBJ_EXTENSION,
    OBJ_TABLESPACE,
    OBJ_MATVIEW,
    OBJ_FOREIGN_TABLE,
    OBJ_TRIGGER,
    OBJ_OTHER,
};

struct ddl_name {
    const char *catalog; /* database part; NULL */
    const char *schema;  /* NULL = by search_path */
    const char *name;
    const char *part; /* column or constraint of it; NULL */
    char persistence; /* p u t */
    int32_t location;
};

struct ddl_option {        /* WITH (...), SEQUENCE and role options */
    const char *qualifier; /* "toast" in toast.x; NULL */
    const char *name;
    const char *value; /* NULL: name only */
    int32_t location;
};

struct ddl_sequence_options {
    bool has_type, has_start, has_restart, has_increment, has_min, has_max, has_cache, has_cycle;
    bool no_min, no_max, restart_default;
    oid type;
    int64_t start, restart, increment, min, max, cache;
    bool cycle;
    char generated; /* SET GENERATED of an identity column: a, d; 0 */
    bool has_owned_by;
    bool owned_by_none;
    struct ddl_name owned_by;  /* schema.name.part */
    const char *sequence_name; /* SEQUENCE NAME of a dumped identity; NULL */
    const char *sequence_schema;
};

enum ddl_serial { SERIAL_NONE, SERIAL_INT2, SERIAL_INT4, SERIAL_INT8 };

struct ddl_column {
    const char *name;
    oid type;
    int32_t typmod;
    oid collation;
    int32_t array_dimensions; /* as declared */
    bool not_null;
    bool null_given;
    const char *default_sql; /* as written; NULL */
    enum ddl_serial serial;
    char identity; /* 0 a d */
    struct ddl_sequence_options identity_options;
    const char *generated_sql; /* GENERATED ALWAYS AS (...) STORED */
    char storage;              /* 0 = the type's */
    int32_t location;
};

struct ddl_index_item {
    const char *column;     /* NULL: expression */
    const char *expression; /* as written, without outer parentheses */
    const char *collation;
    const char *opclass;
    bool descending;
    int nulls;        /* 0 default 1 first 2 last */
    const char *name; /* to be used in the index's own column names; NULL */
};

enum ddl_constraint_kind {
    CON_NOT_NULL,
    CON_CHECK,
    CON_PRIMARY,
    CON_UNIQUE,
    CON_FOREIGN,
    CON_EXCLUSION
};

struct ddl_constraint {
    enum ddl_constraint_kind kind;
    const char *name; /* NULL: chosen */
    bool deferrable;
    bool deferred;
    bool not_valid;
    bool no_inherit;
    bool nulls_not_distinct;
    const char *check_sql;
    uint32_t column_count; /* keys */
    const char **columns;
    uint32_t include_count;
    const char **include;
    const char *using_index; /* USING INDEX name */
    uint32_t option_count;
    struct ddl_option *options;
    const char *tablespace;
    /* foreign keys; columns are the referencing ones */
    struct ddl_name references;
    uint32_t target_count; /* 0 = the primary key */
    const char **target_columns;
    char match;         /* s f */
    char update_action; /* a r c n d */
    char delete_action;
    uint32_t delete_column_count; /* ON DELETE SET NULL (...) */
    const char **delete_columns;
    int32_t location;
};

struct ddl_like {
    struct ddl_name table;
    uint32_t options;  /* LIKE_* */
    uint32_t position; /* columns before it */
};
enum {
    LIKE_COMMENTS = 1,
    LIKE_COMPRESSION = 2,
    LIKE_CONSTRAINTS = 4,
    LIKE_DEFAULTS = 8,
    LIKE_GENERATED = 16,
    LIKE_IDENTITY = 32,
    LIKE_INDEXES = 64,
    LIKE_STATISTICS = 128,
    LIKE_STORAGE = 256,
};

enum ddl_on_commit { ON_COMMIT_KEEP, ON_COMMIT_DELETE_ROWS, ON_COMMIT_DROP_TABLE };

struct ddl_table {
    struct ddl_name name;
    bool if_not_exists;
    uint32_t column_count;
    struct ddl_column *columns;
    uint32_t constraint_count;
    struct ddl_constraint *constraints;
    uint32_t like_count;
    struct ddl_like *likes;
    uint32_t option_count;
    struct ddl_option *options;
    const char *tablespace;
    const char *access_method;
    enum ddl_on_commit on_commit;
    /* CREATE TABLE AS */
    struct statement *query;
    bool with_no_data;
    uint32_t column_name_count;
    const char **column_names;
    bool is_select_into;
};

struct ddl_index {
    const char *name; /* NULL: chosen */
    struct ddl_name table;
    bool is_unique;
    bool nulls_not_distinct;
    bool if_not_exists;
    bool concurrently;
    const char *method;
    uint32_t item_count;
    struct ddl_index_item *items;
    uint32_t include_count;
    struct ddl_index_item *include;
    const char *predicate; /* as written; NULL */
    uint32_t option_count;
    struct ddl_option *options;
    const char *tablespace;
};

enum ddl_alter_kind {
    ALTER_ADD_COLUMN,
    ALTER_DROP_COLUMN,
    ALTER_SET_DEFAULT, /* text NULL: drop */
    ALTER_SET_NOT_NULL,
    ALTER_DROP_NOT_NULL,
    ALTER_COLUMN_TYPE,
    ALTER_ADD_CONSTRAINT,
    ALTER_DROP_CONSTRAINT,
    ALTER_VALIDATE_CONSTRAINT,
    ALTER_CONSTRAINT, /* constraint: its name and deferrability */
    ALTER_ADD_IDENTITY,
    ALTER_SET_IDENTITY,
    ALTER_DROP_IDENTITY,
    ALTER_OWNER,
    ALTER_SET_OPTIONS,
    ALTER_RESET_OPTIONS,
    ALTER_SET_STATISTICS,
    ALTER_SET_STORAGE,
    ALTER_SET_LOGGED,
    ALTER_SET_TABLESPACE,
    ALTER_CLUSTER_ON,
    ALTER_REPLICA_IDENTITY,
    ALTER_ACCEPTED,  /* no effect here (SET WITHOUT OIDS, column options ...) */
    ALTER_NOT_BUILT, /* text names it */
};

struct ddl_alter {
    enum ddl_alter_kind kind;
    const char *name; /* column, constraint, owner */
    struct ddl_column *column;
    struct ddl_constraint *constraint;
    struct ddl_constraint *column_constraints; /* of ADD COLUMN */
    uint32_t column_constraint_count;
    const char *text; /* default, USING expression */
    int64_t number;
    char letter;
    bool cascade;
    bool missing_ok;
    uint32_t option_count;
    struct ddl_option *options;
};

enum ddl_role_kind { ROLE_SPEC_NAME, ROLE_SPEC_CURRENT, ROLE_SPEC_SESSION, ROLE_SPEC_PUBLIC };
struct ddl_role {
    enum ddl_role_kind kind;
    const char *name;
    int32_t location;
};

struct ddl_privilege {
    const char *name; /* lower case; NULL: ALL */
    uint32_t column_count;
    const char **columns;
};

struct ddl {
    enum ddl_kind kind;
    const char *tag;
    struct ddl_table *table;
    struct ddl_index *index;
    /* sequences */
    struct ddl_sequence_options sequence;
    /* DROP, RENAME, COMMENT, SET SCHEMA, OWNER, TRUNCATE, VACUUM, ALTER ... */
    enum ddl_object object;
    uint32_t name_count;
    struct ddl_name *names;
    bool missing_ok; /* IF EXISTS; IF NOT EXISTS for CREATE */
    bool cascade;
    bool replace;      /* OR REPLACE */
    bool restart;      /* TRUNCATE RESTART IDENTITY */
    bool concurrently; /* DROP INDEX, REINDEX */
    const char *new_name;
    const char *new_schema;
    const char *text;       /* comment (NULL = remove), view's SELECT, setting's value */
    int32_t text_place;     /* view: characters before text in the statement */
    struct ddl_role *owner; /* new owner, AUTHORIZATION; NULL */
    /* CREATE VIEW */
    uint32_t column_name_count;
    const char **column_names;
    int check_option; /* 0 none 1 local 2 cascaded */
    bool is_temporary;
    /* ALTER TABLE */
    uint32_t alter_count;
    struct ddl_alter *alters;
    /* CREATE SCHEMA's own statements */
    uint32_t element_count;
    struct ddl **elements;
    /* roles, databases, VACUUM, REINDEX: options */
    uint32_t option_count;
    struct ddl_option *options;
    uint32_t role_count;
    struct ddl_role *roles; /* grantees, DROP ROLE's, members */
    char role_statement;    /* r role, u user, g group */
    /* GRANT */
    bool is_grant;
    bool grant_option;
    uint32_t privilege_count; /* 0 = ALL */
    struct ddl_privilege *privileges;
    bool all_in_schema;
    struct ddl_role *granted; /* GRANT role: roles granted */
    uint32_t granted_count;
    /* ALTER DATABASE / ROLE SET */
    const char *setting; /* NULL: RESET ALL */
    bool setting_default;
    const char *database; /* ALTER ROLE ... IN DATABASE */
    bool all_roles;
    /* VACUUM */
    bool vacuum;
    bool analyze;
    uint32_t *name_column_counts; /* per name */
    const char ***name_columns;
    char reindex; /* t table i index s schema d database y system */
};

struct arena;
/* For every utility node that sql/analyze does not know itself. ERR_FEATURE_NOT_SUPPORTED naming
 * the statement for what is not built. *tag: the command tag. */
SUSPENDS err_t analyze_ddl_wait(const struct analyze_options *o, struct raw_statement *raw,
                                struct arena *mem, struct ddl **out, const char **tag);

#endif
