/*
 * PostgreSQL's node structs, as libpg_query's raw parser makes them. The only file that includes
 * the server headers; for sources in sql/parse and sql/analyze, included after our own headers'
 * guard-free needs (any order works: clashing names are moved out of the way below).
 *
 * Enumerators that our headers use too get a PG_ prefix here. The library's globals are
 * thread-local while the headers declare plain ones, so the headers' declarations are renamed and
 * the real ones declared at the end.
 */
#ifndef SQL_PARSE_NODES_H
#define SQL_PARSE_NODES_H

#define CMD_UNKNOWN PG_CMD_UNKNOWN
#define CMD_SELECT PG_CMD_SELECT
#define CMD_UPDATE PG_CMD_UPDATE
#define CMD_INSERT PG_CMD_INSERT
#define CMD_DELETE PG_CMD_DELETE
#define CMD_MERGE PG_CMD_MERGE
#define CMD_UTILITY PG_CMD_UTILITY
#define CMD_NOTHING PG_CMD_NOTHING
#define JOIN_INNER PG_JOIN_INNER
#define JOIN_LEFT PG_JOIN_LEFT
#define JOIN_FULL PG_JOIN_FULL
#define JOIN_RIGHT PG_JOIN_RIGHT
#define JOIN_SEMI PG_JOIN_SEMI
#define JOIN_ANTI PG_JOIN_ANTI
#define RTE_RELATION PG_RTE_RELATION
#define RTE_SUBQUERY PG_RTE_SUBQUERY
#define RTE_JOIN PG_RTE_JOIN
#define RTE_FUNCTION PG_RTE_FUNCTION
#define RTE_VALUES PG_RTE_VALUES
#define RTE_CTE PG_RTE_CTE
#define RTE_RESULT PG_RTE_RESULT
#define CurrentMemoryContext pg_header_current_context
#define PG_exception_stack pg_header_exception_stack
#define error_context_stack pg_header_context_stack
#define TopMemoryContext pg_header_top_context

#include <postgres.h>

#include <nodes/nodes.h>
#include <nodes/parsenodes.h>
#include <nodes/pg_list.h>
#include <nodes/primnodes.h>
#include <nodes/value.h>
#include <parser/parser.h>
#include <setjmp.h>
#include <utils/memutils.h>

#undef CMD_UNKNOWN
#undef CMD_SELECT
#undef CMD_UPDATE
#undef CMD_INSERT
#undef CMD_DELETE
#undef CMD_MERGE
#undef CMD_UTILITY
#undef CMD_NOTHING
#undef JOIN_INNER
#undef JOIN_LEFT
#undef JOIN_FULL
#undef JOIN_RIGHT
#undef JOIN_SEMI
#undef JOIN_ANTI
#undef RTE_RELATION
#undef RTE_SUBQUERY
#undef RTE_JOIN
#undef RTE_FUNCTION
#undef RTE_VALUES
#undef RTE_CTE
#undef RTE_RESULT
#undef CurrentMemoryContext
#undef PG_exception_stack
#undef error_context_stack
#undef TopMemoryContext
/* The headers redirect stdio to PostgreSQL's own. */
#undef snprintf
#undef vsnprintf
#undef sprintf
#undef vsprintf
#undef fprintf
#undef vfprintf
#undef printf
#undef vprintf
#undef strerror
#undef strerror_r
#undef LOG
#undef INFO
#undef NOTICE
#undef WARNING
#undef ERROR
#undef FATAL
#undef PANIC

/* Contents of String and Integer nodes, and lists of Strings. */
static inline const char *node_string(const void *node)
{
    return ((const String *)node)->sval;
}
static inline const char *list_string(const List *l, int i)
{
    return node_string(list_nth(l, i));
}

#endif
