/* A table on its way into new files (relocate.c). */
#ifndef SQL_DDL_RELOCATE_H
#define SQL_DDL_RELOCATE_H

#include "sql/ddl/ddl_priv.h"

struct relocation {
    oid table;
    struct plan_table *from; /* as it was */
    struct ddl_file *old_files;
    uint32_t old_file_count;
};
/* Gives the table, its indexes and maps new empty files. Then the caller changes columns or
 * distribution in the catalog, then relocate_rows_wait. */
SUSPENDS err_t relocate_begin_wait(struct ddl_context *x, const struct table_desc *t,
                                   struct relocation *r);
/* computed: as in struct rewrite, one entry per column of the changed table; NULL = rows as they
 * are. */
SUSPENDS err_t relocate_rows_wait(struct ddl_context *x, struct relocation *r,
                                  struct expr **computed, bool on_session_core);
/* Only indexes, in new files: that one, or all of the table when it is 0. */
SUSPENDS err_t relocate_indexes_wait(struct ddl_context *x, const struct table_desc *t, oid index);

#endif
