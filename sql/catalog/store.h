/*
 * Reading and writing rows of the system catalogs on shard 0, from any core.
 *
 * Reads see what is committed now plus the session's own uncommitted changes, whatever the
 * isolation level: names and structure are not versioned with the data of a transaction. Writes go
 * through the session's transaction and note what they change, for the invalidation at its commit.
 */
#ifndef SQL_CATALOG_STORE_H
#define SQL_CATALOG_STORE_H

#include "sql/catalog/catalog.h"
#include "sql/catalog/relation.h"

struct catalog_row {
    row_id id;
    datum *values; /* column_count of the catalog; by-reference ones in the reader's arena */
    bool *nulls;
};
struct catalog_rows {
    uint32_t count;
    struct catalog_row *rows;
};

/* One lookup: by a prefix of an index's key, or (index 0) the whole catalog. */
struct catalog_probe {
    oid relation;
    oid index;
    uint32_t key_count;
    datum key[4];
    struct catalog_rows found;
};
/* All probes in one trip to shard 0. cs NULL (or without a transaction): database must be given. */
SUSPENDS err_t catalog_probe_wait(struct catalog_session *cs, struct catalog_probe *probes,
                                  uint32_t count, struct arena *mem);
/* As above in another database, or without a session (cs NULL). */
SUSPENDS err_t catalog_probe_in_wait(struct catalog_session *cs, oid database,
                                     struct catalog_probe *probes, uint32_t count,
                                     struct arena *mem);
/* One probe with up to two keys; for the many simple lookups. */
SUSPENDS err_t catalog_find_wait(struct catalog_session *cs, oid relation, oid index,
                                 uint32_t key_count, datum key0, datum key1, struct arena *mem,
                                 struct catalog_rows *out);

/* Changes collected and applied in one trip. */
struct catalog_writer;
struct catalog_writer *catalog_writer_new(struct catalog_session *cs, struct arena *mem);
/* Into another database's catalogs (CREATE DATABASE). */
void catalog_writer_database(struct catalog_writer *w, oid database);
err_t catalog_put(struct catalog_writer *w, oid relation, const datum *values, const bool *nulls);
err_t catalog_replace(struct catalog_writer *w, oid relation, const struct catalog_row *old,
                      const datum *values, const bool *nulls);
err_t catalog_remove(struct catalog_writer *w, oid relation, const struct catalog_row *old);
/* Runs them in order; afterwards they are visible to what follows, and the writer is empty. Two
 * changes of one row do not go into one trip. ERR_UNIQUE_VIOLATION; ERR_INTERNAL_ERROR "tuple
 * concurrently updated". */
SUSPENDS err_t catalog_apply_wait(struct catalog_writer *w);
/* It failed since another transaction had changed a row of it: read that again. */
bool catalog_was_overtaken(const struct catalog_writer *w);
/* One change at once. */
SUSPENDS err_t catalog_put_wait(struct catalog_session *cs, oid relation, const datum *values,
                                const bool *nulls, struct arena *mem);
SUSPENDS err_t catalog_replace_wait(struct catalog_session *cs, oid relation,
                                    const struct catalog_row *old, const datum *values,
                                    const bool *nulls, struct arena *mem);
SUSPENDS err_t catalog_remove_wait(struct catalog_session *cs, oid relation,
                                   const struct catalog_row *old, struct arena *mem);

/* A fresh OID for a user object. */
SUSPENDS err_t catalog_new_oid_wait(struct catalog_session *cs, oid *out);
/* count OIDs in a row (first .. first + count - 1). */
SUSPENDS err_t catalog_new_oids_wait(struct catalog_session *cs, uint32_t count, oid *first);
/* A number for a session's temporary schema. */
SUSPENDS err_t catalog_temp_number_wait(struct catalog_session *cs, uint32_t *out);

/* ---- small helpers for values ---- */
const char *catalog_text_value(struct arena *mem, const struct catalog_row *row, int column,
                               bool *is_null); /* NUL-terminated copy; NULL when null */
static inline oid catalog_oid_value(const struct catalog_row *row, int column)
{
    return row->nulls[column - 1] ? 0 : datum_oid(row->values[column - 1]);
}
static inline bool catalog_bool_value(const struct catalog_row *row, int column)
{
    return !row->nulls[column - 1] && datum_bool(row->values[column - 1]);
}
static inline int32_t catalog_int_value(const struct catalog_row *row, int column)
{
    return row->nulls[column - 1] ? 0 : datum_i32(row->values[column - 1]);
}
static inline char catalog_char_value(const struct catalog_row *row, int column)
{
    return row->nulls[column - 1] ? 0 : (char)row->values[column - 1];
}
/* int2vector and oidvector. */
datum catalog_int2vector(struct arena *mem, const int16_t *values, uint32_t count);
datum catalog_oidvector(struct arena *mem, const oid *values, uint32_t count);
datum catalog_int2_array(struct arena *mem, const int16_t *values, uint32_t count);
datum catalog_oid_array(struct arena *mem, const oid *values, uint32_t count);
datum catalog_text_array(struct arena *mem, const char *const *values, uint32_t count);
/* Any of the array types above; values into mem. */
err_t catalog_array_read(struct arena *mem, datum array, uint32_t *count, const datum **values);

#endif
