/* Databases and roles by name: shared catalogs, read without a session. */
#include "sql/catalog/cache.h"

err_t database_by_name_wait(const char *name, oid *out, bool *allow_connect,
                            int32_t *connection_limit)
{
    *out = 0;
    struct arena *mem = arena_new();
    struct catalog_rows rows;
    err_t e = catalog_find_wait(NULL, REL_DATABASE, INDEX_DATABASE_DATNAME, 1,
                                datum_of_text(mem, name), 0, mem, &rows);
    if (e == ERR_OK && rows.count) {
        *out = catalog_oid_value(&rows.rows[0], COL_OID);
        *allow_connect = catalog_bool_value(&rows.rows[0], COL_DATALLOWCONN);
        *connection_limit = catalog_int_value(&rows.rows[0], COL_DATCONNLIMIT);
    }
    arena_free(mem);
    return e;
}

err_t role_by_name_wait(const char *name, struct arena *mem, struct role_info *out, bool *found)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(NULL, REL_AUTHID, INDEX_AUTHID_ROLNAME, 1, datum_of_text(mem, name), 0,
                          mem, &rows));
    *found = rows.count > 0;
    if (!*found)
        return ERR_OK;
    const struct catalog_row *r = &rows.rows[0];
    *out = (struct role_info){
        .oid = catalog_oid_value(r, COL_OID),
        .name = catalog_text_value(mem, r, COL_ROLNAME, NULL),
        .superuser = catalog_bool_value(r, COL_ROLSUPER),
        .inherit = catalog_bool_value(r, COL_ROLINHERIT),
        .create_role = catalog_bool_value(r, COL_ROLCREATEROLE),
        .create_db = catalog_bool_value(r, COL_ROLCREATEDB),
        .can_login = catalog_bool_value(r, COL_ROLCANLOGIN),
        .replication = catalog_bool_value(r, COL_ROLREPLICATION),
        .bypass_rls = catalog_bool_value(r, COL_ROLBYPASSRLS),
        .connection_limit = catalog_int_value(r, COL_ROLCONNLIMIT),
        .password = catalog_text_value(mem, r, COL_ROLPASSWORD, NULL),
        .valid_until = r->nulls[COL_ROLVALIDUNTIL - 1]
                           ? INT64_MAX
                           : datum_i64(r->values[COL_ROLVALIDUNTIL - 1]),
    };
    return ERR_OK;
}
