/* The entry: which file runs which statement. */
#include "sql/ddl/ddl_priv.h"

static SUSPENDS err_t extension_wait(struct ddl_context *x, const struct ddl *d)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_EXTENSION, INDEX_EXTENSION_NAME, 1,
                          datum_of_text(x->mem, d->new_name), 0, x->mem, &rows));
    if (rows.count == 0) {
        err_t e =
            err_raise(ERR_FEATURE_NOT_SUPPORTED, "extension \"%s\" is not available", d->new_name);
        err_hint("The extension must first be installed on the system where PostgreSQL is "
                 "running.");
        return e;
    }
    if (!d->missing_ok)
        return err_raise(ERR_DUPLICATE_OBJECT, "extension \"%s\" already exists", d->new_name);
    ddl_notice_code(x, ERR_DUPLICATE_OBJECT, "extension \"%s\" already exists, skipping",
                    d->new_name);
    return ERR_OK;
}

err_t ddl_execute_wait(struct ddl_context *x, const struct ddl *d, const char **tag)
{
    TRY(fiber_check_stack());
    *tag = d->tag;
    switch (d->kind) {
    case DDL_CREATE_TABLE:
        return ddl_create_table_run_wait(x, d);
    case DDL_CREATE_TABLE_AS:
        return ddl_create_table_as_run_wait(x, d, tag);
    case DDL_CREATE_INDEX:
        return ddl_create_index_run_wait(x, d);
    case DDL_CREATE_SCHEMA:
        return ddl_create_schema_run_wait(x, d);
    case DDL_CREATE_SEQUENCE:
    case DDL_ALTER_SEQUENCE:
        return ddl_sequence_run_wait(x, d);
    case DDL_CREATE_VIEW:
        return ddl_create_view_run_wait(x, d);
    case DDL_CREATE_EXTENSION:
        return extension_wait(x, d);
    case DDL_DROP:
        return ddl_drop_run_wait(x, d);
    case DDL_ALTER_TABLE:
        return ddl_alter_table_run_wait(x, d);
    case DDL_RENAME:
        return ddl_rename_run_wait(x, d);
    case DDL_SET_SCHEMA:
        return ddl_set_schema_run_wait(x, d);
    case DDL_OWNER:
        return ddl_owner_run_wait(x, d);
    case DDL_TRUNCATE:
        return ddl_truncate_run_wait(x, d);
    case DDL_COMMENT:
        return ddl_comment_run_wait(x, d);
    case DDL_CREATE_ROLE:
    case DDL_ALTER_ROLE:
    case DDL_DROP_ROLE:
    case DDL_GRANT_ROLE:
        return ddl_role_run_wait(x, d);
    case DDL_GRANT:
        return ddl_grant_run_wait(x, d);
    case DDL_ALTER_SETTING:
        return ddl_setting_run_wait(x, d);
    case DDL_CREATE_DATABASE:
    case DDL_ALTER_DATABASE:
    case DDL_DROP_DATABASE:
        return ddl_database_run_wait(x, d);
    case DDL_VACUUM:
        return ddl_vacuum_run_wait(x, d);
    case DDL_REINDEX:
    case DDL_CLUSTER:
        return ddl_reindex_run_wait(x, d);
    default:
        return err_not_built("%s is not supported", d->tag);
    }
}

err_t ddl_before_commit_wait(struct ddl_context *ctx)
{
    (void)ctx; /* ON COMMIT is not accepted yet, so there is nothing to do */
    return ERR_OK;
}
