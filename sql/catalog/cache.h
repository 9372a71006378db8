/*
 * The per-core descriptor cache and its invalidation; used inside the SQL rooms that change the
 * catalog.
 */
#ifndef SQL_CATALOG_CACHE_H
#define SQL_CATALOG_CACHE_H

#include "sql/catalog/store.h"

/* The session's transaction changes the catalog: private descriptors from here to its end, and
 * invalidation everywhere when it commits. */
void catalog_begin_change(struct catalog_session *cs);
/* Descriptors of this table are out of date. */
void catalog_touch(struct catalog_session *cs, oid table);
/* So is everything of the database (schemas, roles). */
void catalog_touch_all(struct catalog_session *cs);
/* A hook of txn_on_commit for a prepared transaction that has changed the catalog of *(oid *)arg.
 */
SUSPENDS void catalog_changed_wait(void *database);
/* A change of a catalog row: touches what it is about. */
void catalog_note_row(struct catalog_session *cs, oid relation, const datum *values,
                      const bool *nulls);

/* The session goes to another core: what it has of this one's descriptors goes back. */
void catalog_session_leave(struct catalog_session *cs);
void catalog_session_memory(struct catalog_session *cs, void (*piece)(void *p));

/* Any relation, indexes too, by name in a schema (by search_path when NULL). *out 0 = none. */
SUSPENDS err_t catalog_relation_oid_wait(struct catalog_session *cs, const char *schema,
                                         const char *name, oid *out, char *kind);
/* The schemas that an unqualified name is looked for in, in order, without those that do not exist.
 */
SUSPENDS err_t catalog_path_wait(struct catalog_session *cs, struct arena *mem, const oid **schemas,
                                 uint32_t *count);
/* The schema where an unqualified new object goes: ERR_UNDEFINED_SCHEMA "no schema has been
 * selected to create in". */
SUSPENDS err_t catalog_creation_schema_wait(struct catalog_session *cs, struct arena *mem, oid *out,
                                            const char **name);
/* Whether an unqualified name would find this relation. */
SUSPENDS err_t catalog_relation_visible_wait(struct catalog_session *cs, oid relation,
                                             const char *name, oid schema, bool *visible);

/* Empty catalog files of a database (0: the shared ones) on shard 0. */
SUSPENDS err_t catalog_create_files_wait(struct txn *t, oid database);

/* ---- loading (load.c) ---- */
struct cached_table {
    struct table_desc desc; /* first */
    struct arena *mem;
    struct cached_table *oid_next;
    struct cached_table *name_next;
    oid database;
    bool is_linked;
};
/* A new descriptor with no references; *out = NULL when there is no such table. */
SUSPENDS err_t catalog_load_wait(struct catalog_session *cs, oid table, struct cached_table **out);
/* Per-core state is made on the running core. */
void catalog_cache_start(void);

#endif
