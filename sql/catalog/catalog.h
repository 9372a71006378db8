/*
 * The catalog: descriptors of tables, lookups by name, and changes.
 *
 * System catalogs are ordinary tables on shard 0 (bootstrapped from the generated rows). Each core
 * keeps a cache of compiled descriptors; a descriptor is immutable and reference-counted on its
 * core. A transaction that has changed the catalog reads its own changes: it bypasses the cache.
 * Commit of a DDL transaction invalidates the caches of all cores, waits for their acknowledgement,
 * and raises the catalog version that plan caches compare.
 */
#ifndef SQL_CATALOG_CATALOG_H
#define SQL_CATALOG_CATALOG_H

#include "shard/txn.h"
#include "sql/expr/expr.h"

/* What a lookup is done for: one per session; lives in the session, passed down everywhere. */
struct catalog_session {
    oid database;
    oid user;
    bool is_superuser;
    const char *user_name;
    const char *const *search_path; /* schema names as set, "$user" resolved by lookup; pg_catalog
                                       first unless named */
    uint32_t search_path_count;
    oid temp_schema;               /* 0 */
    struct txn *txn;               /* running transaction; never NULL during a statement */
    bool txn_changed_catalog;      /* set by catalog_* changes; cleared at the transaction's end */
    void *local_cache;             /* of such a transaction */
    bool txn_met_temporary;        /* it has opened or made a temporary relation */
    const struct session_env *env; /* the session's; NULL: definitions are shown as stored */
};

enum distribution_kind {
    DISTRIBUTED_HASH,    /* by hash of the shard key columns */
    DISTRIBUTED_KEYLESS, /* rows on the inserting session's shard; reads ask all shards */
    DISTRIBUTED_REPLICATED,
    DISTRIBUTED_SHARD_0, /* system catalogs */
    DISTRIBUTED_NONE,    /* virtual: no rows stored */
};

struct column_desc {
    const char *name;
    oid type;
    int32_t typmod;
    oid collation;
    int16_t attno; /* from 1; dropped columns keep their place */
    bool not_null;
    bool dropped;
    char identity;           /* 0 a d */
    char generated;          /* 0 s */
    const char *default_sql; /* deparsed text, NULL when none; analysed when used */
    bool has_missing;        /* rows with fewer columns take this value */
    datum missing;
    bool missing_is_null;
    oid owned_sequence; /* serial / identity, 0 */
};

struct index_key {
    int16_t attno;          /* 0 = expression */
    const char *expression; /* SQL text when attno is 0 */
    oid type;
    oid collation;
    oid opclass;
    bool descending;
    bool nulls_first;
};
struct index_desc {
    oid oid;
    const char *name;
    oid am;
    file_id file; /* 0: only the map table (of older servers, till REINDEX): no plan uses it */
    bool is_unique;
    bool nulls_not_distinct;
    bool is_deferrable; /* unique: several rows may have a key until it is checked */
    const struct constraint_desc *constraint; /* p or u; NULL = none, or of a system table */
    bool is_primary;
    bool is_valid; /* every row that a snapshot from now on may see has its entry: plans use it */
    bool is_ready; /* writers keep it */
    bool is_live;  /* writers keep what it knows. In a table's list the ready ones come first, next
                      the live ones that are not ready; of each kind by OID, as PostgreSQL's */
    bool is_constraint;
    /* A unique index that does not contain the shard key is kept unique by a hidden table
     * distributed by the indexed columns: (index columns..., shard int4, row_id int8). */
    oid map_table;         /* 0 = local index */
    uint16_t key_count;    /* key columns */
    uint16_t column_count; /* with INCLUDE */
    struct index_key *keys;
    struct key_column *key_columns; /* for key_append, key_count entries */
    const char *predicate;          /* SQL text or NULL */
};
struct constraint_desc {
    oid oid;
    const char *name;
    char type; /* p u c f n */
    bool deferrable;
    bool deferred;
    bool validated;
    uint16_t column_count;
    int16_t *columns;
    oid index;
    const char *check_sql; /* c */
    /* f: columns[i] refers to foreign_columns[i] of foreign_table */
    oid foreign_table;
    int16_t *foreign_columns;
    char update_action; /* a r c n d, as pg_constraint */
    char delete_action;
    char match; /* s f */
    uint16_t delete_column_count;
    int16_t *delete_columns; /* ON DELETE SET NULL (...); none = all */
};
/* A foreign key of any table that refers to this one. */
struct referrer_desc {
    oid constraint;
    oid table;
    uint16_t column_count;
    int16_t *columns; /* of this table, in the constraint's order */
};
struct column_stats {
    double null_fraction;
    double distinct; /* as stadistinct: > 0 count, < 0 fraction of rows */
    double average_width;
    uint32_t common_count; /* most common values */
    datum *common_values;
    double *common_fractions;
    uint32_t bound_count; /* histogram bounds */
    datum *bounds;
    double correlation;
};

/* A virtual relation (system views over server state): produced row by row. */
struct virtual_rows; /* implementation in later rooms, registered by name */

struct table_desc {
    oid oid;
    const char *name;
    oid schema;
    const char *schema_name;
    char kind; /* r v S i p m f, as pg_class.relkind */
    char persistence;
    oid owner;
    oid row_type;
    file_id file;          /* 0 for virtual ones and views */
    uint32_t column_count; /* with dropped ones */
    struct column_desc *columns;
    struct row_layout *layout; /* all columns with dropped ones (dropped keep their type) */
    uint32_t index_count;
    struct index_desc *indexes;
    uint32_t constraint_count;
    struct constraint_desc *constraints;
    uint32_t referrer_count;
    struct referrer_desc *referrers; /* in the order of their triggers' names */
    enum distribution_kind distribution;
    uint16_t shard_key_count;
    int16_t shard_key[32];                /* attnos */
    struct key_column *shard_key_columns; /* for key_hash */
    const char *view_sql;                 /* kind v: the SELECT's text, all names qualified */
    const char *virtual_name;             /* virtual relations: registered producer, else NULL */
    double rows_estimate;                 /* reltuples, -1 unknown */
    double pages_estimate;
    struct column_stats **stats; /* column_count entries, NULL = none; whole array may be NULL */
    struct {
        int64_t start, increment, min, max, cache;
        bool cycle;
        oid type;
        uint32_t shard;
    } sequence; /* kind S */
    uint64_t catalog_version;
    bool is_system;
    bool is_shared;             /* one for all databases: locks and statistics under database 0 */
    const char *const *options; /* reloptions, "name=value" */
    uint32_t option_count;
    uint32_t references; /* of this core; private */
};

/* Monotonic; raised by every DDL commit. Plans remember it. */
uint64_t catalog_version(void);

/* ---- lookups. *out = NULL when there is none. A descriptor is held until table_release. ---- */
SUSPENDS err_t table_by_oid_wait(struct catalog_session *cs, oid table,
                                 const struct table_desc **out);
/* schema NULL: by search_path (temp and pg_catalog as PostgreSQL). Any relkind but index unless
 * asked. */
SUSPENDS err_t table_by_name_wait(struct catalog_session *cs, const char *schema, const char *name,
                                  const struct table_desc **out);
/* ERR_UNDEFINED_TABLE 'relation "x" does not exist' */
SUSPENDS err_t table_require_wait(struct catalog_session *cs, const char *schema, const char *name,
                                  const struct table_desc **out);
void table_release(const struct table_desc *t);
const struct column_desc *table_column(const struct table_desc *t,
                                       const char *name); /* live ones */
const struct index_desc *table_primary_key(const struct table_desc *t);

SUSPENDS err_t schema_oid_wait(struct catalog_session *cs, const char *name,
                               oid *out); /* 0 = none */
SUSPENDS err_t schema_name_wait(struct catalog_session *cs, oid schema, struct arena *mem,
                                const char **out);
SUSPENDS err_t type_by_name_wait(struct catalog_session *cs, const char *schema, const char *name,
                                 oid *out); /* 0 = none; SQL spellings are the parser's work */
/* The name of the lock (txn_lock_table_wait) that every session takes for a moment, in a weak mode,
 * when it enters a database. */
static inline uint64_t database_lock_name(oid database)
{
    return (uint64_t)database << 32;
}
SUSPENDS err_t database_by_name_wait(const char *name, oid *out, bool *allow_connect,
                                     int32_t *connection_limit);
struct role_info {
    oid oid;
    const char *name; /* in mem */
    bool superuser, inherit, create_role, create_db, can_login, replication, bypass_rls;
    int32_t connection_limit;
    const char *password; /* SCRAM verifier or NULL */
    int64_t valid_until;  /* INT64_MAX = infinity */
};
SUSPENDS err_t role_by_name_wait(const char *name, struct arena *mem, struct role_info *out,
                                 bool *found);

/* ---- where a row lives ---- */
/* Shard of a row by its shard key values (in shard_key order). */
uint32_t table_shard_of(const struct table_desc *t, const datum *key_values);

/* ---- set up ---- */
/* Make the catalogs of a new cluster (on an empty set of shards). password_verifier may be NULL. */
SUSPENDS err_t catalog_bootstrap_wait(const char *superuser, const char *password_verifier);
/* After the shards are open: loads counters (next oid), starts the per-core caches. Once. */
SUSPENDS err_t catalog_start_wait(void);

/* SQL service implementations over the catalog (names, visibility, definitions): fills s. owner of
 * the services is the session; cs_of gives its catalog_session. */
void catalog_fill_services(struct sql_services *s, struct catalog_session *(*cs_of)(void *owner));

#endif
