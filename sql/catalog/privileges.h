/*
 * Whether a role may do something with an object: its owner and superusers may all, others what the
 * access list gives to them, to roles whose rights they inherit, or to everybody.
 */
#ifndef SQL_CATALOG_PRIVILEGES_H
#define SQL_CATALOG_PRIVILEGES_H

#include "sql/catalog/catalog.h"

/* kind: 'c' relation, 'n' schema, 'd' database. letters as in access lists ("r", "wU"): any of them
 * is enough; with_option: held with grant option. *exists false: there is no such object. */
SUSPENDS err_t privilege_test_wait(struct catalog_session *cs, char kind, oid object, oid role,
                                   const char *letters, bool with_option, bool *yes, bool *exists);
/* The same for the session's role; ERR_INSUFFICIENT_PRIVILEGE "permission denied for table x". */
SUSPENDS err_t privilege_require_wait(struct catalog_session *cs, char kind, oid object, oid role,
                                      const char *letters);
/* Rights that the access lists of columns give: to each of the columns, or with count 0 to any
 * column. What the role may do with the relation as a whole is not asked. */
SUSPENDS err_t privilege_columns_test_wait(struct catalog_session *cs, oid relation, oid role,
                                           const char *letters, bool with_option,
                                           const int16_t *columns, uint32_t count, bool *yes);
/* role and those whose rights it has, in mem. */
SUSPENDS err_t privilege_roles_wait(struct catalog_session *cs, oid role, struct arena *mem,
                                    const oid **out, uint32_t *count);
/* Whether role is member, or has its rights as a member of it. */
SUSPENDS err_t privilege_has_role_wait(struct catalog_session *cs, oid member, oid role,
                                       bool only_inherited, bool *yes);

#endif
