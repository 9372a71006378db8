/* Shared by the files of the check: check.c, check_table.c, check_catalog.c. */
#ifndef SQL_DDL_CHECK_PRIV_H
#define SQL_DDL_CHECK_PRIV_H

#include "sql/ddl/ddl_priv.h"

enum { FINDINGS_BYTES_MAX = 16 << 10 }; /* text of one table's problems on one shard */

/* Filled in on the shard's core; the memory is the session's. Lines, each ended by a newline. */
struct findings {
    char *text;
    size_t len;
    uint64_t count;
};

struct check {
    struct ddl_context *x;
    bool alone;
    const char **lines;
    uint32_t count;
    uint32_t capacity;
    struct findings own;
};

void finding(struct findings *f, const char *format, ...) PRINTF_LIKE(2, 3);
/* Corruption becomes a line; anything else ends the check. */
err_t finding_of_error(struct findings *f, const char *where, err_t e);
void take_findings(struct check *c, struct findings *f); /* into the check's lines; empties f */

SUSPENDS err_t check_table_wait(struct check *c, oid relation);
SUSPENDS err_t check_files_wait(struct check *c, const struct catalog_rows *classes);
SUSPENDS err_t check_catalogs_wait(struct check *c);

#endif
