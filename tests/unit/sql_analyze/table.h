/* A table descriptor and options for analysis tests that have no catalog. */
#ifndef TESTS_UNIT_SQL_ANALYZE_TABLE_H
#define TESTS_UNIT_SQL_ANALYZE_TABLE_H

#include "sql/analyze/query.h"

enum { TYPMOD_NUMERIC_10_2 = ((10 << 16) | 2) + 4 };

static struct column_desc test_columns[] = {
    {.name = "a", .type = TYPE_INT4, .typmod = -1, .attno = 1},
    {.name = "b", .type = TYPE_TEXT, .typmod = -1, .collation = 100, .attno = 2},
    {.name = "c", .type = TYPE_TIMESTAMPTZ, .typmod = -1, .attno = 3},
    {.name = "d", .type = TYPE_NUMERIC, .typmod = TYPMOD_NUMERIC_10_2, .attno = 4},
    {.name = "e", .type = TYPE_INT4_ARRAY, .typmod = -1, .attno = 5},
    {.name = "f", .type = TYPE_BOOL, .typmod = -1, .attno = 6},
    {.name = "v", .type = TYPE_VARCHAR, .typmod = 14, .collation = 100, .attno = 7},
    {.name = "ts", .type = TYPE_TIMESTAMP, .typmod = -1, .attno = 8},
    {.name = "p", .type = TYPE_CHAR, .typmod = -1, .attno = 9},
    {.name = "bp", .type = TYPE_BPCHAR, .typmod = 8, .collation = 100, .attno = 10},
};
static const struct table_desc test_table = {
    .oid = 16384,
    .name = "dt",
    .schema_name = "public",
    .kind = 'r',
    .column_count = 10,
    .columns = test_columns,
};

static inline struct analyze_options test_options(const char *text)
{
    static const char *path[] = {"public"};
    static struct catalog_session session = {.search_path = path, .search_path_count = 1};
    static struct session_env env = {.database_name = "postgres"};
    return (struct analyze_options){.catalog = &session, .env = &env, .text = text};
}

#endif
