/* RENAME, SET SCHEMA, OWNER TO and COMMENT ON. */
#include "sql/ddl/ddl_priv.h"

/* ---- RENAME ---- */

static SUSPENDS err_t rename_column_wait(struct ddl_context *x, const struct ddl *d,
                                         const struct table_desc *t)
{
    const struct ddl_name *n = &d->names[0];
    const struct column_desc *c = table_column(t, n->part);
    if (!c)
        return err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", n->part);
    if (table_column(t, d->new_name))
        return err_raise(ERR_DUPLICATE_COLUMN, "column \"%s\" of relation \"%s\" already exists",
                         d->new_name, t->name);
    TRY(rows_set_wait(x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, t->oid,
                      datum_of_i16(c->attno), COL_ATTNAME, datum_of_text(x->mem, d->new_name),
                      false));
    for (uint32_t i = 0; i < t->index_count; i++)
        for (uint32_t k = 0; k < t->indexes[i].column_count; k++)
            if (t->indexes[i].keys[k].attno == c->attno)
                TRY(rows_set_wait(x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2,
                                  t->indexes[i].oid, datum_of_i16((int16_t)(k + 1)), COL_ATTNAME,
                                  datum_of_text(x->mem, d->new_name), false));
    return ERR_OK;
}

/* Stored texts name columns: they are written anew with the new name. */
static SUSPENDS err_t renamed_texts_wait(struct ddl_context *x, const struct table_desc *before,
                                         const char *old_name, const char *new_name)
{
    for (uint32_t i = 0; i < before->constraint_count; i++) {
        const struct constraint_desc *c = &before->constraints[i];
        if (c->type != 'c')
            continue;
        for (uint32_t k = 0; k < c->column_count; k++) {
            const struct column_desc *col = &before->columns[c->columns[k] - 1];
            if (strcmp(col->name, old_name) != 0)
                continue;
            struct table_desc *renamed = arena_memdup(x->mem, before, sizeof(*before));
            renamed->columns =
                arena_memdup(x->mem, before->columns, sizeof(*col) * before->column_count);
            struct ddl_expression e;
            TRY(ddl_expression_wait(x, before, c->check_sql, TYPE_BOOL, -1, &e));
            renamed->columns[col->attno - 1].name = new_name;
            const char *text;
            TRY(ddl_expression_text_wait(x, renamed, e.expr, &text));
            TRY(rows_set_wait(x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, c->oid, 0, COL_CONBIN,
                              datum_of_text(x->mem, text), false));
        }
    }
    for (uint32_t i = 0; i < before->index_count; i++) {
        const struct index_desc *d = &before->indexes[i];
        bool has_expression = d->predicate != NULL;
        for (uint32_t k = 0; k < d->key_count; k++)
            has_expression = has_expression || d->keys[k].attno == 0;
        if (has_expression)
            return err_not_built("renaming a column of a table with expression or partial indexes "
                                 "is not supported");
    }
    return ERR_OK;
}

static SUSPENDS err_t free_name_wait(struct ddl_context *x, oid schema, const char *name)
{
    bool exists;
    TRY(ddl_relation_exists_wait(x, schema, name, &exists));
    if (exists)
        return err_raise(ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", name);
    return ERR_OK;
}

static SUSPENDS err_t rename_types_wait(struct ddl_context *x, const struct table_desc *t,
                                        const char *name)
{
    if (!t->row_type)
        return ERR_OK;
    struct catalog_row row;
    TRY(rows_get_wait(x, REL_TYPE, INDEX_TYPE_OID, 1, t->row_type, 0, &row));
    oid array = catalog_oid_value(&row, COL_TYPARRAY);
    TRY(rows_set_wait(x, REL_TYPE, INDEX_TYPE_OID, 1, t->row_type, 0, COL_TYPNAME,
                      datum_of_text(x->mem, name), false));
    if (!array)
        return ERR_OK;
    return rows_set_wait(x, REL_TYPE, INDEX_TYPE_OID, 1, array, 0, COL_TYPNAME,
                         datum_of_text(x->mem, ddl_object_name(x->mem, "", name, NULL)), false);
}

static SUSPENDS err_t rename_index_wait(struct ddl_context *x, const struct ddl *d,
                                        const struct table_desc *t, uint32_t position)
{
    const struct index_desc *index = &t->indexes[position];
    TRY(ddl_check_index_owner_wait(x, t, position));
    TRY(free_name_wait(x, t->schema, d->new_name));
    datum name = datum_of_text(x->mem, d->new_name);
    TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, index->oid, 0, COL_RELNAME, name, false));
    catalog_touch(x->catalog, t->oid);
    if (index->constraint == NULL)
        return ERR_OK;
    return rows_set_wait(x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, index->constraint->oid, 0,
                         COL_CONNAME, name, false);
}

static SUSPENDS err_t rename_constraint_wait(struct ddl_context *x, const struct ddl *d,
                                             const struct table_desc *t)
{
    const struct constraint_desc *c = NULL;
    bool taken = false;
    for (uint32_t i = 0; i < t->constraint_count; i++) {
        if (strcmp(t->constraints[i].name, d->names[0].part) == 0)
            c = &t->constraints[i];
        taken = taken || strcmp(t->constraints[i].name, d->new_name) == 0;
    }
    if (!c)
        return err_raise(ERR_UNDEFINED_OBJECT, "constraint \"%s\" for table \"%s\" does not exist",
                         d->names[0].part, t->name);
    if (taken)
        return err_raise(ERR_DUPLICATE_OBJECT,
                         "constraint \"%s\" for relation \"%s\" already exists", d->new_name,
                         t->name);
    TRY(rows_set_wait(x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, c->oid, 0, COL_CONNAME,
                      datum_of_text(x->mem, d->new_name), false));
    if (!c->index || c->type == 'f') /* a foreign key's index is the other table's */
        return ERR_OK;
    TRY(free_name_wait(x, t->schema, d->new_name));
    return rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, c->index, 0, COL_RELNAME,
                         datum_of_text(x->mem, d->new_name), false);
}

static SUSPENDS err_t rename_relation_wait(struct ddl_context *x, const struct ddl *d,
                                           const struct table_desc *t)
{
    TRY(ddl_check_owner_wait(x, t));
    if (d->object == OBJ_CONSTRAINT)
        return rename_constraint_wait(x, d, t);
    if (d->object == OBJ_COLUMN) {
        struct ddl_view_change *views;
        TRY(ddl_views_before_change_wait(x, t->oid, &views));
        if (t->kind == 'r')
            TRY(renamed_texts_wait(x, t, d->names[0].part, d->new_name));
        TRY(rename_column_wait(x, d, t));
        return ddl_views_after_change_wait(x, views, false);
    }
    if (d->object == OBJ_VIEW && t->kind != 'v')
        return err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a view", t->name);
    if (d->object == OBJ_SEQUENCE && t->kind != 'S')
        return err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", t->name);
    TRY(free_name_wait(x, t->schema, d->new_name));
    TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, t->oid, 0, COL_RELNAME,
                      datum_of_text(x->mem, d->new_name), false));
    return rename_types_wait(x, t, d->new_name);
}

static SUSPENDS err_t rename_schema_wait(struct ddl_context *x, const struct ddl *d)
{
    oid schema;
    oid taken;
    TRY(schema_oid_wait(x->catalog, d->names[0].name, &schema));
    if (!schema)
        return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", d->names[0].name);
    TRY(schema_oid_wait(x->catalog, d->new_name, &taken));
    if (taken)
        return err_raise(ERR_DUPLICATE_SCHEMA, "schema \"%s\" already exists", d->new_name);
    if (strncmp(d->new_name, "pg_", 3) == 0) {
        err_t e = err_raise(ERR_RESERVED_NAME, "unacceptable schema name \"%s\"", d->new_name);
        err_detail("The prefix \"pg_\" is reserved for system schemas.");
        return e;
    }
    return rows_set_wait(x, REL_NAMESPACE, INDEX_NAMESPACE_OID, 1, schema, 0, COL_NSPNAME,
                         datum_of_text(x->mem, d->new_name), false);
}

static SUSPENDS err_t rename_shared_wait(struct ddl_context *x, const struct ddl *d, oid relation,
                                         oid index, oid oid_index, int column, err_t missing,
                                         const char *word)
{
    struct catalog_rows rows;
    TRY(ddl_must_be_superuser(x, "permission denied to rename this object"));
    TRY(catalog_find_wait(x->catalog, relation, index, 1, datum_of_text(x->mem, d->names[0].name),
                          0, x->mem, &rows));
    if (rows.count == 0)
        return err_raise(missing, "%s \"%s\" does not exist", word, d->names[0].name);
    oid object = catalog_oid_value(&rows.rows[0], COL_OID);
    if (relation == REL_DATABASE) { /* nobody enters it from here on */
        struct catalog_row row;
        bool found;
        TRY(ddl_database_lock_wait(x, d->names[0].name, LOCK_ACCESS_EXCLUSIVE, &row, &found));
        if (!found)
            return err_raise(missing, "%s \"%s\" does not exist", word, d->names[0].name);
        object = catalog_oid_value(&row, COL_OID);
    }
    if (relation == REL_DATABASE && object == x->catalog->database)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "current database cannot be renamed");
    TRY(catalog_find_wait(x->catalog, relation, index, 1, datum_of_text(x->mem, d->new_name), 0,
                          x->mem, &rows));
    if (rows.count)
        return err_raise(relation == REL_DATABASE ? ERR_DUPLICATE_DATABASE : ERR_DUPLICATE_OBJECT,
                         "%s \"%s\" already exists", word, d->new_name);
    if (relation == REL_DATABASE)
        TRY(ddl_database_unused_wait(x, object, "database", d->names[0].name));
    return rows_set_wait(x, relation, oid_index, 1, object, 0, column,
                         datum_of_text(x->mem, d->new_name), false);
}

err_t ddl_rename_run_wait(struct ddl_context *x, const struct ddl *d)
{
    if (d->object == OBJ_SCHEMA)
        return rename_schema_wait(x, d);
    if (d->object == OBJ_DATABASE)
        return rename_shared_wait(x, d, REL_DATABASE, INDEX_DATABASE_DATNAME, INDEX_DATABASE_OID,
                                  COL_DATNAME, ERR_UNDEFINED_DATABASE, "database");
    if (d->object == OBJ_ROLE)
        return rename_shared_wait(x, d, REL_AUTHID, INDEX_AUTHID_ROLNAME, INDEX_AUTHID_OID,
                                  COL_ROLNAME, ERR_UNDEFINED_OBJECT, "role");
    if (d->object != OBJ_TABLE && d->object != OBJ_VIEW && d->object != OBJ_SEQUENCE &&
        d->object != OBJ_INDEX && d->object != OBJ_COLUMN && d->object != OBJ_CONSTRAINT)
        return err_not_built("%s ... RENAME is not supported", d->tag);
    oid relation;
    char kind;
    const struct table_desc *t = NULL;
    uint32_t position = 0;
    const struct ddl_name *n = &d->names[0];
    TRY(catalog_relation_oid_wait(x->catalog, n->schema, n->name, &relation, &kind));
    if (kind == 'i')
        TRY(ddl_open_index_wait(x, n, LOCK_ACCESS_EXCLUSIVE, &t, &position));
    else
        TRY(ddl_open_wait(x, n, LOCK_ACCESS_EXCLUSIVE, &t));
    if (!t) {
        if (!d->missing_ok)
            return ddl_missing(x, n, "relation");
        ddl_notice(x, "relation \"%s\" does not exist, skipping", n->name);
        return ERR_OK;
    }
    err_t e = kind == 'i' ? rename_index_wait(x, d, t, position) : rename_relation_wait(x, d, t);
    table_release(t);
    return e;
}

/* ---- SET SCHEMA ---- */

static SUSPENDS err_t move_relation_wait(struct ddl_context *x, oid relation, oid schema,
                                         oid old_schema)
{
    struct catalog_row row;
    TRY(rows_get_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, relation, 0, &row));
    TRY(free_name_wait(x, schema, catalog_text_value(x->mem, &row, COL_RELNAME, NULL)));
    TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, relation, 0, COL_RELNAMESPACE, schema,
                      false));
    struct catalog_rows deps;
    TRY(catalog_find_wait(x->catalog, REL_DEPEND, INDEX_DEPEND_DEPENDER, 2, REL_CLASS, relation,
                          x->mem, &deps));
    for (uint32_t i = 0; i < deps.count; i++) {
        if (catalog_oid_value(&deps.rows[i], COL_REFCLASSID) != REL_NAMESPACE ||
            catalog_oid_value(&deps.rows[i], COL_REFOBJID) != old_schema)
            continue;
        datum *v;
        bool *n;
        rows_copy(x->mem, &deps.rows[i], COLS_DEPEND, &v, &n);
        v[COL_REFOBJID - 1] = schema;
        TRY(catalog_replace_wait(x->catalog, REL_DEPEND, &deps.rows[i], v, n, x->mem));
    }
    return ERR_OK;
}

static SUSPENDS err_t set_schema_wait(struct ddl_context *x, const struct table_desc *t, oid schema)
{
    TRY(ddl_check_owner_wait(x, t));
    TRY(move_relation_wait(x, t->oid, schema, t->schema));
    for (uint32_t i = 0; i < t->index_count; i++)
        TRY(move_relation_wait(x, t->indexes[i].oid, schema, t->schema));
    for (uint32_t i = 0; i < t->column_count; i++)
        if (t->columns[i].owned_sequence)
            TRY(move_relation_wait(x, t->columns[i].owned_sequence, schema, t->schema));
    for (uint32_t i = 0; i < t->constraint_count; i++)
        TRY(rows_set_wait(x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, t->constraints[i].oid, 0,
                          COL_CONNAMESPACE, schema, false));
    if (!t->row_type)
        return ERR_OK;
    struct catalog_row row;
    TRY(rows_get_wait(x, REL_TYPE, INDEX_TYPE_OID, 1, t->row_type, 0, &row));
    TRY(rows_set_wait(x, REL_TYPE, INDEX_TYPE_OID, 1, t->row_type, 0, COL_TYPNAMESPACE, schema,
                      false));
    return rows_set_wait(x, REL_TYPE, INDEX_TYPE_OID, 1, catalog_oid_value(&row, COL_TYPARRAY), 0,
                         COL_TYPNAMESPACE, schema, false);
}

err_t ddl_set_schema_run_wait(struct ddl_context *x, const struct ddl *d)
{
    oid schema;
    const struct table_desc *t;
    TRY(ddl_open_wait(x, &d->names[0], LOCK_ACCESS_EXCLUSIVE, &t));
    if (!t) {
        if (!d->missing_ok)
            return ddl_missing(x, &d->names[0], "relation");
        ddl_notice(x, "relation \"%s\" does not exist, skipping", d->names[0].name);
        return ERR_OK;
    }
    err_t e = schema_oid_wait(x->catalog, d->new_schema, &schema);
    if (e == ERR_OK && schema == 0)
        e = err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", d->new_schema);
    if (e == ERR_OK && (schema == SCHEMA_PG_CATALOG || schema == SCHEMA_PG_TOAST))
        e = err_raise(ERR_FEATURE_NOT_SUPPORTED,
                      "cannot move objects into or out of system schemas");
    if (e == ERR_OK && schema != t->schema)
        e = set_schema_wait(x, t, schema);
    table_release(t);
    return e;
}

/* ---- OWNER TO ---- */

err_t ddl_owner_run_wait(struct ddl_context *x, const struct ddl *d)
{
    oid owner;
    TRY(ddl_role_oid_wait(x, d->owner, &owner));
    TRY(ddl_must_be_superuser(x, "must be superuser to change the owner"));
    const char *name = d->names[0].name;
    if (d->object == OBJ_SCHEMA) {
        oid schema;
        TRY(schema_oid_wait(x->catalog, name, &schema));
        if (!schema)
            return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", name);
        return rows_set_wait(x, REL_NAMESPACE, INDEX_NAMESPACE_OID, 1, schema, 0, COL_NSPOWNER,
                             owner, false);
    }
    if (d->object == OBJ_DATABASE) {
        oid database;
        bool allow;
        int32_t limit;
        TRY(database_by_name_wait(name, &database, &allow, &limit));
        if (!database)
            return err_raise(ERR_UNDEFINED_DATABASE, "database \"%s\" does not exist", name);
        return rows_set_wait(x, REL_DATABASE, INDEX_DATABASE_OID, 1, database, 0, COL_DATDBA, owner,
                             false);
    }
    return err_not_built("%s ... OWNER TO is not supported", d->tag);
}

/* ---- COMMENT ON ---- */

static SUSPENDS err_t comment_target_wait(struct ddl_context *x, const struct ddl *d, oid *class,
                                          oid *object, int32_t *sub)
{
    const struct ddl_name *n = &d->names[0];
    const struct table_desc *t;
    *sub = 0;
    *class = REL_CLASS;
    if (d->object == OBJ_SCHEMA) {
        *class = REL_NAMESPACE;
        TRY(schema_oid_wait(x->catalog, n->name, object));
        return *object ? ERR_OK
                       : err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", n->name);
    }
    if (d->object == OBJ_TYPE) {
        *class = REL_TYPE;
        TRY(type_by_name_wait(x->catalog, n->schema, n->name, object));
        return *object ? ERR_OK
                       : err_raise(ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist", n->name);
    }
    if (d->object == OBJ_INDEX) {
        char kind;
        TRY(catalog_relation_oid_wait(x->catalog, n->schema, n->name, object, &kind));
        if (*object == 0)
            return ddl_missing(x, n, "relation");
        return kind == 'i' ? ERR_OK
                           : err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not an index", n->name);
    }
    if (d->object != OBJ_TABLE && d->object != OBJ_VIEW && d->object != OBJ_SEQUENCE &&
        d->object != OBJ_COLUMN && d->object != OBJ_CONSTRAINT)
        return err_not_built("COMMENT ON this kind of object is not supported");
    TRY(ddl_open_wait(x, n, LOCK_SHARE_UPDATE_EXCLUSIVE, &t));
    if (!t)
        return ddl_missing(x, n, "relation");
    *object = t->oid;
    err_t e = ddl_check_owner_wait(x, t);
    char wanted = d->object == OBJ_TABLE      ? 'r'
                  : d->object == OBJ_VIEW     ? 'v'
                  : d->object == OBJ_SEQUENCE ? 'S'
                                              : t->kind;
    if (e == ERR_OK && t->kind != wanted)
        e = err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a %s", t->name, ddl_kind_name(wanted));
    if (e == ERR_OK && d->object == OBJ_COLUMN) {
        const struct column_desc *c = table_column(t, n->part);
        *sub = c ? c->attno : 0;
        if (!c)
            e = err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                          n->part, t->name);
    }
    if (e == ERR_OK && d->object == OBJ_CONSTRAINT) {
        *class = REL_CONSTRAINT;
        *object = 0;
        for (uint32_t i = 0; i < t->constraint_count; i++)
            if (strcmp(t->constraints[i].name, n->part) == 0)
                *object = t->constraints[i].oid;
        if (!*object)
            e = err_raise(ERR_UNDEFINED_OBJECT, "constraint \"%s\" for table \"%s\" does not exist",
                          n->part, t->name);
    }
    table_release(t);
    return e;
}

static SUSPENDS err_t comment_shared_wait(struct ddl_context *x, const struct ddl *d)
{
    bool is_role = d->object == OBJ_ROLE;
    struct catalog_rows rows;
    const char *name = d->names[0].name;
    TRY(catalog_find_wait(x->catalog, is_role ? REL_AUTHID : REL_DATABASE,
                          is_role ? INDEX_AUTHID_ROLNAME : INDEX_DATABASE_DATNAME, 1,
                          datum_of_text(x->mem, name), 0, x->mem, &rows));
    if (rows.count == 0 && is_role)
        return err_raise(ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", name);
    if (rows.count == 0) { /* a dump may be restored under another name */
        ddl_warning(x, ERR_UNDEFINED_DATABASE, "database \"%s\" does not exist", name);
        return ERR_OK;
    }
    oid object = catalog_oid_value(&rows.rows[0], COL_OID);
    oid class = is_role ? REL_AUTHID : REL_DATABASE;
    TRY(catalog_find_wait(x->catalog, REL_SHDESCRIPTION, INDEX_SHDESCRIPTION_O_C, 2, object, class,
                          x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        TRY(catalog_remove_wait(x->catalog, REL_SHDESCRIPTION, &rows.rows[i], x->mem));
    if (!d->text || !*d->text)
        return ERR_OK;
    datum v[COLS_SHDESCRIPTION] = {object, class, datum_of_text(x->mem, d->text)};
    bool n[COLS_SHDESCRIPTION] = {0};
    return catalog_put_wait(x->catalog, REL_SHDESCRIPTION, v, n, x->mem);
}

err_t ddl_comment_run_wait(struct ddl_context *x, const struct ddl *d)
{
    if (d->object == OBJ_ROLE || d->object == OBJ_DATABASE)
        return comment_shared_wait(x, d);
    oid class;
    oid object = 0;
    int32_t sub;
    TRY(comment_target_wait(x, d, &class, &object, &sub));
    struct catalog_probe p = {.relation = REL_DESCRIPTION,
                              .index = INDEX_DESCRIPTION_O_C_O,
                              .key_count = 3,
                              .key = {object, class, datum_of_i32(sub)}};
    TRY(catalog_probe_wait(x->catalog, &p, 1, x->mem));
    for (uint32_t i = 0; i < p.found.count; i++)
        TRY(catalog_remove_wait(x->catalog, REL_DESCRIPTION, &p.found.rows[i], x->mem));
    if (!d->text || !*d->text)
        return ERR_OK;
    datum v[COLS_DESCRIPTION] = {object, class, datum_of_i32(sub), datum_of_text(x->mem, d->text)};
    bool n[COLS_DESCRIPTION] = {0};
    return catalog_put_wait(x->catalog, REL_DESCRIPTION, v, n, x->mem);
}
