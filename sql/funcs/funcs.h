/* What later rooms set or ask of the built-in functions beyond the tables. */
#ifndef SQL_FUNCS_FUNCS_H
#define SQL_FUNCS_FUNCS_H

#include "sql/expr/call.h"

/* Microseconds since 2000-01-01 UTC, for pg_postmaster_start_time() and pg_conf_load_time(). Set
 * once before sessions open; the second again after a reload. */
void funcs_set_start_time(int64_t us);
void funcs_set_reload_time(int64_t us);
const char *encoding_name(int32_t encoding); /* "" when unknown */
int32_t encoding_number(const char *name);   /* -1 when unknown */

#endif
