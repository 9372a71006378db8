/*
 * Virtual relations: system views whose rows are made from the running server, not read from
 * storage (pg_settings, pg_stat_activity, pg_locks ...). The room that owns the state registers a
 * producer under the view's name at start; the columns are those of the catalog's own facts.
 */
#ifndef SQL_CATALOG_VIRTUAL_H
#define SQL_CATALOG_VIRTUAL_H

#include "sql/types/types.h"

struct virtual_rows {
    /* state lives in mem, which outlasts the scan. May suspend (asking other cores). */
    err_t (*begin)(const struct session_env *env, struct arena *mem, void **state);
    /* One row: as many values as the relation has columns, in mem of begin. *end = true: no row. */
    err_t (*next)(void *state, datum *values, bool *nulls, bool *end);
    void (*end)(void *state); /* may be NULL */
};

/* At start, on one core, before sessions run. name is kept by pointer. */
void virtual_register(const char *name, const struct virtual_rows *rows);
/* NULL: nobody makes these rows (the reader raises 0A000). */
const struct virtual_rows *virtual_find(const char *name);

#endif
