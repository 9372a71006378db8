/* CREATE SCHEMA, and the temporary schema of a session. */
#include "sql/catalog/privileges.h"
#include "sql/ddl/ddl_priv.h"

err_t ddl_make_schema_wait(struct ddl_context *x, const char *name, oid owner, oid *out)
{
    TRY(catalog_new_oid_wait(x->catalog, out));
    datum values[COLS_NAMESPACE] = {*out, datum_of_text(x->mem, name), owner, 0};
    bool nulls[COLS_NAMESPACE] = {[COL_NSPACL - 1] = true};
    return catalog_put_wait(x->catalog, REL_NAMESPACE, values, nulls, x->mem);
}

err_t ddl_temp_schema_wait(struct ddl_context *x, oid *schema, const char **name)
{
    struct catalog_session *cs = x->catalog;
    if (cs->temp_schema) {
        TRY(schema_name_wait(cs, cs->temp_schema, x->mem, name));
        if (*name) {
            *schema = cs->temp_schema;
            return ERR_OK;
        }
        cs->temp_schema = 0; /* its creation was rolled back */
    }
    uint32_t number;
    TRY(catalog_temp_number_wait(cs, &number));
    *name = arena_printf(x->mem, "pg_temp_%u", number);
    TRY(ddl_make_schema_wait(x, *name, ROLE_BOOTSTRAP, schema));
    cs->temp_schema = *schema;
    return ERR_OK;
}

static SUSPENDS err_t schema_elements_wait(struct ddl_context *x, const struct ddl *d,
                                           const char *schema)
{
    for (uint32_t i = 0; i < d->element_count; i++) {
        struct ddl *e = d->elements[i];
        struct ddl_name *n = e->table ? &e->table->name : e->index ? &e->index->table : e->names;
        if (n && !n->schema)
            n->schema = schema;
        else if (n && strcmp(n->schema, schema) != 0)
            return err_raise(ERR_INVALID_SCHEMA_DEFINITION,
                             "CREATE specifies a schema (%s) different from the one being created "
                             "(%s)",
                             n->schema, schema);
        const char *tag;
        TRY(ddl_execute_wait(x, e, &tag));
    }
    return ERR_OK;
}

err_t ddl_create_schema_run_wait(struct ddl_context *x, const struct ddl *d)
{
    oid owner = x->catalog->user;
    const char *name = d->new_name;
    if (d->owner) {
        TRY(ddl_role_oid_wait(x, d->owner, &owner));
        if (!name) {
            struct catalog_row row;
            TRY(rows_get_wait(x, REL_AUTHID, INDEX_AUTHID_OID, 1, owner, 0, &row));
            name = catalog_text_value(x->mem, &row, COL_ROLNAME, NULL);
        }
    }
    if (strncmp(name, "pg_", 3) == 0) {
        err_t e = err_raise(ERR_RESERVED_NAME, "unacceptable schema name \"%s\"", name);
        err_detail("The prefix \"pg_\" is reserved for system schemas.");
        return e;
    }
    oid schema;
    TRY(privilege_require_wait(x->catalog, 'd', x->catalog->database, x->catalog->user, "C"));
    TRY(schema_oid_wait(x->catalog, name, &schema));
    if (schema) {
        if (!d->missing_ok)
            return err_raise(ERR_DUPLICATE_SCHEMA, "schema \"%s\" already exists", name);
        ddl_notice_code(x, ERR_DUPLICATE_SCHEMA, "schema \"%s\" already exists, skipping", name);
        return ERR_OK;
    }
    TRY(ddl_make_schema_wait(x, name, owner, &schema));
    if (d->element_count == 0)
        return ERR_OK;
    /* what is made inside looks for names in the new schema first */
    struct catalog_session *cs = x->catalog;
    const char *const *saved = cs->search_path;
    uint32_t saved_count = cs->search_path_count;
    const char **path = ARENA_ARRAY(x->mem, const char *, saved_count + 1);
    path[0] = name;
    for (uint32_t i = 0; i < saved_count; i++)
        path[i + 1] = saved[i];
    cs->search_path = path;
    cs->search_path_count = saved_count + 1;
    err_t e = schema_elements_wait(x, d, name);
    cs->search_path = saved;
    cs->search_path_count = saved_count;
    return e;
}
