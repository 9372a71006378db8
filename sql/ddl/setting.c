/* ALTER DATABASE / ROLE ... SET: defaults of settings, in pg_db_role_setting. */
#include "core/settings.h"
#include "sql/ddl/ddl_priv.h"

#include <strings.h>

static SUSPENDS err_t setting_place_wait(struct ddl_context *x, const struct ddl *d, oid *database,
                                         oid *role)
{
    *database = 0;
    *role = 0;
    if (d->database) {
        bool allow;
        int32_t limit;
        TRY(database_by_name_wait(d->database, database, &allow, &limit));
        if (!*database)
            return err_raise(ERR_UNDEFINED_DATABASE, "database \"%s\" does not exist", d->database);
    }
    if (d->owner)
        TRY(ddl_role_oid_wait(x, d->owner, role));
    if (!x->catalog->is_superuser && *role != x->catalog->user)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "permission denied to change settings");
    return ERR_OK;
}

static bool same_setting(const char *entry, const char *name)
{
    size_t n = strlen(name);
    return strncasecmp(entry, name, n) == 0 && entry[n] == '=';
}

err_t ddl_setting_run_wait(struct ddl_context *x, const struct ddl *d)
{
    oid database;
    oid role;
    struct catalog_rows rows;
    TRY(setting_place_wait(x, d, &database, &role));
    const struct sql_services *s = x->env->services;
    if (d->setting && !d->setting_default && s && s->setting_show) {
        const char *shown; /* the name must be known */
        TRY(s->setting_show(s->owner, d->setting, strchr(d->setting, '.') != NULL, x->mem, &shown));
    }
    if (d->setting && !d->setting_default && d->text) {
        struct settings_view *view = settings_view_new(); /* the value must be valid */
        err_t e = setting_set(view, d->setting, d->text, false, x->catalog->is_superuser,
                              SETTING_SOURCE_ROLE);
        settings_view_free(view);
        TRY(e);
    }
    TRY(catalog_find_wait(x->catalog, REL_DB_ROLE_SETTING, INDEX_DB_ROLE_SETTING_DATABASEID_ROL, 2,
                          database, role, x->mem, &rows));
    uint32_t old_count = 0;
    const datum *old = NULL;
    if (rows.count)
        TRY(catalog_array_read(x->mem, rows.rows[0].values[COL_SETCONFIG - 1], &old_count, &old));
    const char **entries = ARENA_ARRAY(x->mem, const char *, old_count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; d->setting && i < old_count; i++) {
        const char *entry = varlen_cstring(x->mem, datum_varlen(old[i]));
        if (!same_setting(entry, d->setting))
            entries[count++] = entry;
    }
    if (d->setting && !d->setting_default)
        entries[count++] = arena_printf(x->mem, "%s=%s", d->setting, d->text ? d->text : "");
    if (count == 0)
        return rows.count
                   ? catalog_remove_wait(x->catalog, REL_DB_ROLE_SETTING, &rows.rows[0], x->mem)
                   : ERR_OK;
    datum v[COLS_DB_ROLE_SETTING] = {database, role, catalog_text_array(x->mem, entries, count)};
    bool n[COLS_DB_ROLE_SETTING] = {0};
    if (rows.count)
        return catalog_replace_wait(x->catalog, REL_DB_ROLE_SETTING, &rows.rows[0], v, n, x->mem);
    return catalog_put_wait(x->catalog, REL_DB_ROLE_SETTING, v, n, x->mem);
}
