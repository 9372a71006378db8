/* Shared by the DDL analysis files (sql/analyze/ddl_*.c). */
#ifndef SQL_ANALYZE_DDL_PRIV_H
#define SQL_ANALYZE_DDL_PRIV_H

#include "core/core.h"
#include "sql/analyze/ddl.h"
#include "sql/parse/nodes.h"
#include "sql/parse/parse.h"

struct ddl_analysis {
    const struct analyze_options *o;
    struct arena *mem;
    int32_t begin; /* of the statement in o->text */
    int32_t end;
    const char *relation; /* CREATE/ALTER TABLE: for messages */
};

/* ddl_text.c: SQL text of a raw expression. ERR_FEATURE_NOT_SUPPORTED for forms that columns' own
 * expressions cannot hold (subqueries); place names the expression then. */
err_t ddl_expression_text(const struct ddl_analysis *a, const void *node, const char *place,
                          const char **out);
const char *ddl_quote_name(struct arena *mem, const char *name);
err_t ddl_at(const struct ddl_analysis *a, int32_t location, err_t e);

/* analyze_priv.h has it; that header is not needed otherwise. */
SUSPENDS err_t analyze_type_node_wait(const struct analyze_options *o, const TypeName *n,
                                      struct arena *mem, oid *type, int32_t *typmod);

/* ddl_parts.c */
char *ddl_strdup(const struct ddl_analysis *a, const char *s); /* NULL stays NULL */
struct ddl_name ddl_range_name(const struct ddl_analysis *a, const RangeVar *rv);
err_t ddl_list_name(const struct ddl_analysis *a, const List *names, struct ddl_name *out);
const char **ddl_strings(const struct ddl_analysis *a, const List *l, uint32_t *count);
err_t ddl_options(const struct ddl_analysis *a, const List *l, struct ddl_option **out,
                  uint32_t *count);
struct ddl_role *ddl_roles(const struct ddl_analysis *a, const List *l, uint32_t *count);
struct ddl_role *ddl_role(const struct ddl_analysis *a, const RoleSpec *r);
SUSPENDS err_t ddl_sequence_options_wait(const struct ddl_analysis *a, const List *l,
                                         struct ddl_sequence_options *out);
err_t ddl_constraint(const struct ddl_analysis *a, const Constraint *n, struct ddl_constraint *out);
err_t ddl_index_items(const struct ddl_analysis *a, const List *l, struct ddl_index_item **out,
                      uint32_t *count);

/* ddl_table.c */
SUSPENDS err_t ddl_create_table_wait(const struct ddl_analysis *outer, const CreateStmt *n,
                                     struct ddl *d);
SUSPENDS err_t ddl_create_table_as_wait(const struct ddl_analysis *a, const CreateTableAsStmt *n,
                                        struct ddl *d);
err_t ddl_create_index(const struct ddl_analysis *a, const IndexStmt *n, struct ddl *d);
SUSPENDS err_t ddl_alter_table_wait(const struct ddl_analysis *outer, const AlterTableStmt *n,
                                    struct ddl *d);
/* ddl_statement.c */
SUSPENDS err_t ddl_node_wait(const struct ddl_analysis *a, void *node, struct ddl **out);

#endif
