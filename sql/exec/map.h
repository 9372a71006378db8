/*
 * Map tables of unique indexes that lack the shard key (sql/catalog/README.md): rows that a build
 * beside writers brings in, or a writer for it.
 */
#ifndef SQL_EXEC_MAP_H
#define SQL_EXEC_MAP_H

#include "sql/plan/plan.h"

/* As the owner of the map row's shard: brings it in (row_bring_wait), unless the view sees one for
 * the same row of the table. key: its key in the map's index. *is_conflict: is_checked, and another
 * row of the table has the key. */
SUSPENDS err_t map_bring_wait(const struct plan_table *map, uint32_t shard_no, struct txn_view *v,
                              const struct strbuf *row, const struct strbuf *key, bool is_checked,
                              bool *is_conflict);

#endif
