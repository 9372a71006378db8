/*
 * The system catalogs' own structure, compiled once from the generated facts: row layouts, index
 * keys, file ids. Immutable after catalog_relations_init(), so every core may read it.
 */
#ifndef SQL_CATALOG_RELATION_H
#define SQL_CATALOG_RELATION_H

#include "shard/shard.h"
#include "sql/catalog/columns.h"
#include "sql/catalog_rows.h"

enum {
    SCHEMA_PG_CATALOG = 11,
    SCHEMA_PG_TOAST = 99,
    SCHEMA_PUBLIC = 2200,
    SCHEMA_INFORMATION = 12997,
    ROLE_BOOTSTRAP = 10,
    AM_HEAP = 2,
    AM_BTREE = 403,
    DATABASE_TEMPLATE1 = 1,
    DATABASE_TEMPLATE0 = 4,
    DATABASE_POSTGRES = 5,
    FIRST_USER_OID = 16384,
    /* Our own catalog: how each table's rows are distributed. */
    REL_DISTRIBUTION = 8900,
    INDEX_DISTRIBUTION_RELID = 8901,
    FILE_OID_COUNTER = 8910, /* a sequence file of shard 0, database 0 */
    FILE_TEMP_COUNTER = 8911,
};

enum pg_distribution_column {
    COL_DISRELID = 1,
    COL_DISKIND, /* h hash, k keyless, r replicated; m: the map table of an index */
    COL_DISKEYS, /* shard key attnos */
    COL_DISMAP,  /* m: oid of the map table */
};
enum { COLS_DISTRIBUTION = 4 };

struct catalog_relation {
    const struct catalog_table *fact;
    struct row_layout *layout;
    struct key_column **index_keys;    /* per index; NULL = that index is not kept */
    const struct catalog_static *rows; /* rows at birth; NULL */
    oid schema;
    const char *view_sql; /* of information_schema's; NULL */
};

void catalog_relations_init(void); /* once, before sessions run */
/* Tables and views of pg_catalog and information_schema; NULL when there is none. */
const struct catalog_relation *catalog_relation_find(oid relation);
const struct catalog_relation *catalog_relation_named(oid schema, const char *name);
const struct catalog_relation *catalog_relation_at(uint32_t index); /* NULL past the end */
/* Position of an index in its table's list; the table is found too. false = no such index. */
bool catalog_index_find(oid index, const struct catalog_relation **relation, uint32_t *position);

static inline file_id file_of(oid database, oid number)
{
    return (uint64_t)database << 32 | number;
}
static inline file_id catalog_file(oid database, const struct catalog_relation *r)
{
    return file_of(r->fact->is_shared ? 0 : database, r->fact->oid);
}
static inline file_id catalog_index_file(oid database, const struct catalog_relation *r,
                                         uint32_t index)
{
    return file_of(r->fact->is_shared ? 0 : database, r->fact->indexes[index].oid);
}

#endif
