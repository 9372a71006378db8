/* Definitions as SQL text, as PostgreSQL's pg_get_*def functions print them. *out NULL: no such. */
#ifndef SQL_CATALOG_DEFINE_H
#define SQL_CATALOG_DEFINE_H

#include "sql/catalog/catalog.h"

SUSPENDS err_t define_relation_name_wait(struct catalog_session *cs, oid relation,
                                         bool always_qualified, struct arena *mem,
                                         const char **out);
/* column 0: the whole statement; n: its n-th column. */
SUSPENDS err_t define_index_wait(struct catalog_session *cs, oid index, int32_t column, bool pretty,
                                 struct arena *mem, const char **out);
SUSPENDS err_t define_constraint_wait(struct catalog_session *cs, oid constraint, bool pretty,
                                      struct arena *mem, const char **out);
SUSPENDS err_t define_view_wait(struct catalog_session *cs, oid view, bool pretty,
                                struct arena *mem, const char **out);
/* A stored expression of t (NULL: of no table) for showing. */
SUSPENDS err_t define_expression_wait(struct catalog_session *cs, const struct table_desc *t,
                                      const char *text, bool pretty, struct arena *mem,
                                      const char **out);
/* Analysing and printing is the work of later rooms: sql/ddl gives these at start. */
struct define_printers {
    err_t (*expression)(struct catalog_session *cs, const struct table_desc *t, const char *text,
                        bool pretty, struct arena *mem, const char **out);
    err_t (*view)(struct catalog_session *cs, const struct table_desc *t, bool pretty,
                  struct arena *mem, const char **out);
};
void define_set_printers(const struct define_printers *p);

#endif
