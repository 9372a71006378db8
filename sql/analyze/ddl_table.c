/* CREATE TABLE [AS], CREATE INDEX and ALTER TABLE. */
#include "sql/analyze/ddl_priv.h"

struct constraint_list {
    struct ddl_constraint *items;
    uint32_t count;
    uint32_t room;
    /* a column's clauses about the constraint before them */
    uint32_t last; /* its number, from 1; 0 = none */
    bool saw_deferrability;
    bool saw_initially;
};

static struct ddl_constraint *constraint_add(const struct ddl_analysis *a,
                                             struct constraint_list *l)
{
    if (l->count == l->room) {
        uint32_t room = l->room ? l->room * 2 : 4;
        struct ddl_constraint *items = ARENA_ARRAY(a->mem, struct ddl_constraint, room);
        if (l->count)
            memcpy(items, l->items, sizeof(*items) * l->count);
        l->items = items;
        l->room = room;
    }
    return &l->items[l->count++];
}

static enum ddl_serial serial_of(const TypeName *t)
{
    if (list_length(t->names) != 1 || t->arrayBounds || t->pct_type)
        return SERIAL_NONE;
    const char *name = list_string(t->names, 0);
    if (strcmp(name, "serial") == 0 || strcmp(name, "serial4") == 0)
        return SERIAL_INT4;
    if (strcmp(name, "bigserial") == 0 || strcmp(name, "serial8") == 0)
        return SERIAL_INT8;
    if (strcmp(name, "smallserial") == 0 || strcmp(name, "serial2") == 0)
        return SERIAL_INT2;
    return SERIAL_NONE;
}

static SUSPENDS err_t column_type_wait(const struct ddl_analysis *a, const TypeName *t,
                                       struct ddl_column *out)
{
    static const oid types[] = {
        [SERIAL_INT2] = TYPE_INT2, [SERIAL_INT4] = TYPE_INT4, [SERIAL_INT8] = TYPE_INT8};
    out->serial = serial_of(t);
    out->typmod = -1;
    if (out->serial != SERIAL_NONE) {
        out->type = types[out->serial];
        return ERR_OK;
    }
    TRY(analyze_type_node_wait(a->o, t, a->mem, &out->type, &out->typmod));
    if (t->setof)
        return ddl_at(a, t->location,
                      err_raise(ERR_INVALID_TABLE_DEFINITION,
                                "column \"%s\" cannot be declared SETOF", out->name));
    const struct type_info *info = type_find(out->type);
    if (!info || info->typtype == 'c')
        return ddl_at(a, t->location,
                      err_not_built("columns of composite types are not supported"));
    if (info->typtype == 'p')
        return ddl_at(a, t->location,
                      err_raise(ERR_INVALID_TABLE_DEFINITION, "column \"%s\" has pseudo-type %s",
                                out->name, type_display(a->mem, out->type)));
    if (!info->input)
        return ddl_at(a, t->location,
                      err_not_built("type %s is not supported", type_display(a->mem, out->type)));
    out->array_dimensions = list_length(t->arrayBounds);
    out->collation = info->collation;
    return ERR_OK;
}

static err_t column_null(const struct ddl_analysis *a, const struct ddl_column *c, int32_t location,
                         bool not_null)
{
    if ((not_null && c->null_given) || (!not_null && c->not_null))
        return ddl_at(a, location,
                      err_raise(ERR_SYNTAX_ERROR,
                                "conflicting NULL/NOT NULL declarations for column \"%s\" of table "
                                "\"%s\"",
                                c->name, a->relation));
    return ERR_OK;
}

/* DEFERRABLE and the like stand behind the constraint that they are about. */
static err_t constraint_attribute(const struct ddl_analysis *a, const Constraint *n,
                                  struct constraint_list *list)
{
    struct ddl_constraint *c = list->last > 0 ? &list->items[list->last - 1] : NULL;
    bool fits = c != NULL && (c->kind == CON_PRIMARY || c->kind == CON_UNIQUE ||
                              c->kind == CON_FOREIGN || c->kind == CON_EXCLUSION);
    bool is_about_when = n->contype == CONSTR_ATTR_DEFERRED || n->contype == CONSTR_ATTR_IMMEDIATE;
    static const char *const names[] = {"DEFERRABLE", "NOT DEFERRABLE", "INITIALLY DEFERRED",
                                        "INITIALLY IMMEDIATE"};
    if (!fits)
        return ddl_at(a, n->location,
                      err_raise(ERR_SYNTAX_ERROR, "misplaced %s clause",
                                names[n->contype - CONSTR_ATTR_DEFERRABLE]));
    bool *saw = is_about_when ? &list->saw_initially : &list->saw_deferrability;
    if (*saw)
        return ddl_at(a, n->location,
                      err_raise(ERR_SYNTAX_ERROR, "multiple %s clauses not allowed",
                                is_about_when ? "INITIALLY IMMEDIATE/DEFERRED"
                                              : "DEFERRABLE/NOT DEFERRABLE"));
    *saw = true;
    switch (n->contype) {
    case CONSTR_ATTR_DEFERRABLE:
        c->deferrable = true;
        return ERR_OK;
    case CONSTR_ATTR_NOT_DEFERRABLE:
        c->deferrable = false;
        break;
    case CONSTR_ATTR_DEFERRED:
        c->deferred = true;
        if (!list->saw_deferrability)
            c->deferrable = true;
        break;
    default:
        c->deferred = false;
        return ERR_OK;
    }
    if (c->deferred && !c->deferrable)
        return ddl_at(a, n->location,
                      err_raise(ERR_SYNTAX_ERROR,
                                "constraint declared INITIALLY DEFERRED must be DEFERRABLE"));
    return ERR_OK;
}

static SUSPENDS err_t column_constraint_wait(const struct ddl_analysis *a, const Constraint *n,
                                             struct ddl_column *c, struct constraint_list *list)
{
    if (n->contype < CONSTR_ATTR_DEFERRABLE)
        list->last = 0;
    switch (n->contype) {
    case CONSTR_NULL:
        TRY(column_null(a, c, n->location, false));
        c->null_given = true;
        return ERR_OK;
    case CONSTR_NOTNULL:
        TRY(column_null(a, c, n->location, true));
        c->not_null = true;
        return ERR_OK;
    case CONSTR_DEFAULT:
        if (c->default_sql)
            return ddl_at(a, n->location,
                          err_raise(ERR_SYNTAX_ERROR,
                                    "multiple default values specified for column \"%s\" of table "
                                    "\"%s\"",
                                    c->name, a->relation));
        return ddl_expression_text(a, n->raw_expr, "DEFAULT expression", &c->default_sql);
    case CONSTR_IDENTITY:
        if (c->identity)
            return ddl_at(a, n->location,
                          err_raise(ERR_SYNTAX_ERROR,
                                    "multiple identity specifications for column \"%s\"", c->name));
        if (c->type != TYPE_INT2 && c->type != TYPE_INT4 && c->type != TYPE_INT8)
            return err_raise(ERR_INVALID_PARAMETER_VALUE,
                             "identity column type must be smallint, integer, or bigint");
        c->identity = n->generated_when;
        TRY(column_null(a, c, n->location, true));
        c->not_null = true;
        return ddl_sequence_options_wait(a, n->options, &c->identity_options);
    case CONSTR_GENERATED:
        return ddl_at(a, n->location, err_not_built("generated columns are not supported"));
    case CONSTR_ATTR_DEFERRABLE:
    case CONSTR_ATTR_NOT_DEFERRABLE:
    case CONSTR_ATTR_DEFERRED:
    case CONSTR_ATTR_IMMEDIATE:
        return constraint_attribute(a, n, list);
    default:
        break;
    }
    struct ddl_constraint *con = constraint_add(a, list);
    TRY(ddl_constraint(a, n, con));
    list->last = list->count;
    list->saw_deferrability = false;
    list->saw_initially = false;
    if (con->column_count == 0 &&
        (con->kind == CON_PRIMARY || con->kind == CON_UNIQUE || con->kind == CON_FOREIGN)) {
        con->columns = ARENA_ARRAY(a->mem, const char *, 1);
        con->columns[0] = c->name;
        con->column_count = 1;
    }
    return ERR_OK;
}

static SUSPENDS err_t column_wait(const struct ddl_analysis *a, const ColumnDef *n,
                                  struct ddl_column *out, struct constraint_list *list)
{
    out->name = ddl_strdup(a, n->colname);
    out->location = n->location;
    if (n->typeName)
        TRY(column_type_wait(a, n->typeName, out));
    if (n->collClause) {
        const char *name =
            list_string(n->collClause->collname, list_length(n->collClause->collname) - 1);
        if (strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0)
            out->collation = strcmp(name, "C") == 0 ? 950 : 951;
        else if (strcmp(name, "default") != 0)
            return ddl_at(a, n->collClause->location,
                          err_not_built("collation \"%s\" is not supported", name));
        if (type_find(out->type)->collation == 0)
            return ddl_at(a, n->collClause->location,
                          err_raise(ERR_DATATYPE_MISMATCH,
                                    "collations are not supported by type %s",
                                    type_display(a->mem, out->type)));
    }
    if (n->raw_default)
        TRY(ddl_expression_text(a, n->raw_default, "DEFAULT expression", &out->default_sql));
    list->last = 0;
    for (int i = 0; i < list_length(n->constraints); i++)
        TRY(column_constraint_wait(a, list_nth(n->constraints, i), out, list));
    if (out->identity && out->default_sql)
        return ddl_at(a, n->location,
                      err_raise(ERR_SYNTAX_ERROR,
                                "both default and identity specified for column \"%s\" of table "
                                "\"%s\"",
                                out->name, a->relation));
    if (out->serial != SERIAL_NONE) {
        if (out->identity)
            return err_raise(ERR_SYNTAX_ERROR,
                             "both default and identity specified for column \"%s\" of table "
                             "\"%s\"",
                             out->name, a->relation);
        TRY(column_null(a, out, n->location, true));
        if (out->default_sql)
            return err_raise(ERR_SYNTAX_ERROR,
                             "multiple default values specified for column \"%s\" of table \"%s\"",
                             out->name, a->relation);
        out->not_null = true;
    }
    return ERR_OK;
}

static err_t table_table_clauses(const struct ddl_analysis *a, List *options,
                                 OnCommitAction on_commit, const char *tablespace,
                                 const char *method, struct ddl_table *t)
{
    TRY(ddl_options(a, options, &t->options, &t->option_count));
    t->tablespace = ddl_strdup(a, tablespace);
    t->access_method = ddl_strdup(a, method);
    t->on_commit = on_commit == ONCOMMIT_DELETE_ROWS ? ON_COMMIT_DELETE_ROWS
                   : on_commit == ONCOMMIT_DROP      ? ON_COMMIT_DROP_TABLE
                                                     : ON_COMMIT_KEEP;
    if (on_commit != ONCOMMIT_NOOP && t->name.persistence != 't')
        return err_raise(ERR_INVALID_TABLE_DEFINITION,
                         "ON COMMIT can only be used on temporary tables");
    return ERR_OK;
}

static SUSPENDS err_t table_element_wait(const struct ddl_analysis *a, const Node *n,
                                         struct ddl_table *t, struct constraint_list *list)
{
    switch (nodeTag(n)) {
    case T_ColumnDef:
        return column_wait(a, (const ColumnDef *)n, &t->columns[t->column_count++], list);
    case T_Constraint:
        return ddl_constraint(a, (const Constraint *)n, constraint_add(a, list));
    case T_TableLikeClause: {
        const TableLikeClause *l = (const TableLikeClause *)n;
        struct ddl_like *like = &t->likes[t->like_count++];
        like->table = ddl_range_name(a, l->relation);
        like->options = l->options;
        like->position = t->column_count;
        return ERR_OK;
    }
    default:
        return err_not_built("this kind of table element is not supported");
    }
}

err_t ddl_create_table_wait(const struct ddl_analysis *outer, const CreateStmt *n, struct ddl *d)
{
    struct ddl_analysis with_name = *outer;
    const struct ddl_analysis *a = &with_name;
    with_name.relation = n->relation->relname;
    if (n->inhRelations || n->partbound)
        return err_not_built(n->partbound ? "partitioned tables are not supported"
                                          : "table inheritance is not supported");
    if (n->partspec)
        return err_not_built("partitioned tables are not supported");
    if (n->ofTypename)
        return err_not_built("typed tables are not supported");
    struct ddl_table *t = ARENA_NEW(a->mem, struct ddl_table);
    struct constraint_list list = {0};
    uint32_t elements = (uint32_t)list_length(n->tableElts);
    d->table = t;
    t->name = ddl_range_name(a, n->relation);
    t->if_not_exists = n->if_not_exists;
    t->columns = ARENA_ARRAY(a->mem, struct ddl_column, elements + 1);
    t->likes = ARENA_ARRAY(a->mem, struct ddl_like, elements + 1);
    for (uint32_t i = 0; i < elements; i++)
        TRY(table_element_wait(a, list_nth(n->tableElts, (int)i), t, &list));
    for (int i = 0; i < list_length(n->constraints); i++)
        TRY(ddl_constraint(a, list_nth(n->constraints, i), constraint_add(a, &list)));
    t->constraints = list.items;
    t->constraint_count = list.count;
    return table_table_clauses(a, n->options, n->oncommit, n->tablespacename, n->accessMethod, t);
}

err_t ddl_create_table_as_wait(const struct ddl_analysis *a, const CreateTableAsStmt *n,
                               struct ddl *d)
{
    if (n->objtype == OBJECT_MATVIEW)
        return err_not_built("materialized views are not supported");
    if (nodeTag(n->query) == T_ExecuteStmt)
        return err_not_built("CREATE TABLE AS EXECUTE is not supported");
    struct ddl_table *t = ARENA_NEW(a->mem, struct ddl_table);
    d->table = t;
    t->name = ddl_range_name(a, n->into->rel);
    t->if_not_exists = n->if_not_exists;
    t->is_select_into = n->is_select_into;
    t->with_no_data = n->into->skipData;
    t->column_names = ddl_strings(a, n->into->colNames, &t->column_name_count);
    TRY(table_table_clauses(a, n->into->options, n->into->onCommit, n->into->tableSpaceName,
                            n->into->accessMethod, t));
    struct raw_statement raw = {
        .node = n->query, .location = a->begin, .length = a->end - a->begin};
    return analyze_statement_wait(a->o, &raw, a->mem, &t->query);
}

err_t ddl_create_index(const struct ddl_analysis *a, const IndexStmt *n, struct ddl *d)
{
    struct ddl_index *x = ARENA_NEW(a->mem, struct ddl_index);
    d->index = x;
    x->name = ddl_strdup(a, n->idxname);
    x->table = ddl_range_name(a, n->relation);
    x->is_unique = n->unique;
    x->nulls_not_distinct = n->nulls_not_distinct;
    x->if_not_exists = n->if_not_exists;
    x->concurrently = n->concurrent;
    x->method = ddl_strdup(a, n->accessMethod);
    x->tablespace = ddl_strdup(a, n->tableSpace);
    TRY(ddl_index_items(a, n->indexParams, &x->items, &x->item_count));
    TRY(ddl_index_items(a, n->indexIncludingParams, &x->include, &x->include_count));
    for (uint32_t i = 0; i < x->include_count; i++)
        if (!x->include[i].column)
            return err_not_built("expressions are not supported in included columns");
    if (n->whereClause)
        TRY(ddl_expression_text(a, n->whereClause, "index predicate", &x->predicate));
    return ddl_options(a, n->options, &x->options, &x->option_count);
}

/* ---- ALTER TABLE ---- */

/* SET GENERATED and options of the sequence, in any order. */
static SUSPENDS err_t alter_identity_wait(const struct ddl_analysis *a, const List *l,
                                          struct ddl_alter *x)
{
    x->kind = ALTER_SET_IDENTITY;
    x->column = ARENA_NEW(a->mem, struct ddl_column);
    struct ddl_sequence_options *options = &x->column->identity_options;
    TRY(ddl_sequence_options_wait(a, l, options));
    x->letter = options->generated;
    x->number = list_length(l) - (options->generated != 0);
    return ERR_OK;
}

static err_t alter_not_built(struct ddl_alter *x, const char *what)
{
    x->kind = ALTER_NOT_BUILT;
    x->text = what;
    return ERR_OK;
}

static SUSPENDS err_t alter_column_wait(const struct ddl_analysis *a, const AlterTableCmd *c,
                                        struct ddl_alter *x)
{
    struct constraint_list list = {0};
    x->column = ARENA_NEW(a->mem, struct ddl_column);
    const ColumnDef *def = (const ColumnDef *)(const void *)c->def;
    if (c->subtype == AT_AlterColumnType) {
        x->kind = ALTER_COLUMN_TYPE;
        x->column->name = x->name;
        x->column->typmod = -1;
        if (serial_of(def->typeName) != SERIAL_NONE)
            return err_raise(ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist",
                             list_string(def->typeName->names, 0));
        TRY(column_type_wait(a, def->typeName, x->column));
        if (def->raw_default)
            TRY(ddl_expression_text(a, def->raw_default, "transform expression", &x->text));
        return ERR_OK;
    }
    x->kind = ALTER_ADD_COLUMN;
    TRY(column_wait(a, def, x->column, &list));
    x->column_constraints = list.items;
    x->column_constraint_count = list.count;
    return ERR_OK;
}

static err_t alter_not_valid(const struct ddl_constraint *c)
{
    if (c->kind != CON_CHECK && c->kind != CON_FOREIGN && c->not_valid)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "%s constraints cannot be marked NOT VALID",
                         c->kind == CON_PRIMARY ? "PRIMARY KEY" : "UNIQUE");
    return ERR_OK;
}

static SUSPENDS err_t alter_command_wait(const struct ddl_analysis *a, const AlterTableCmd *c,
                                         struct ddl_alter *x)
{
    x->name = ddl_strdup(a, c->name);
    x->cascade = c->behavior == DROP_CASCADE;
    x->missing_ok = c->missing_ok;
    x->number = c->num;
    x->kind = ALTER_ACCEPTED;
    switch (c->subtype) {
    case AT_AddColumn:
    case AT_AlterColumnType:
        return alter_column_wait(a, c, x);
    case AT_DropColumn:
        x->kind = ALTER_DROP_COLUMN;
        return ERR_OK;
    case AT_ColumnDefault:
        x->kind = ALTER_SET_DEFAULT;
        return c->def ? ddl_expression_text(a, c->def, "DEFAULT expression", &x->text) : ERR_OK;
    case AT_SetNotNull:
        x->kind = ALTER_SET_NOT_NULL;
        return ERR_OK;
    case AT_DropNotNull:
        x->kind = ALTER_DROP_NOT_NULL;
        return ERR_OK;
    case AT_AddConstraint:
        x->kind = ALTER_ADD_CONSTRAINT;
        x->constraint = ARENA_NEW(a->mem, struct ddl_constraint);
        TRY(ddl_constraint(a, (const Constraint *)(const void *)c->def, x->constraint));
        return alter_not_valid(x->constraint);
    case AT_DropConstraint:
        x->kind = ALTER_DROP_CONSTRAINT;
        return ERR_OK;
    case AT_ValidateConstraint:
        x->kind = ALTER_VALIDATE_CONSTRAINT;
        return ERR_OK;
    case AT_AddIdentity: {
        const Constraint *con = (const Constraint *)(const void *)c->def;
        x->kind = ALTER_ADD_IDENTITY;
        x->letter = con->generated_when;
        x->column = ARENA_NEW(a->mem, struct ddl_column);
        return ddl_sequence_options_wait(a, con->options, &x->column->identity_options);
    }
    case AT_SetIdentity:
        return alter_identity_wait(a, (const List *)(const void *)c->def, x);
    case AT_DropIdentity:
        x->kind = ALTER_DROP_IDENTITY;
        return ERR_OK;
    case AT_ChangeOwner:
        x->kind = ALTER_OWNER;
        x->name = NULL;
        x->column = NULL;
        x->text = c->newowner->rolename ? ddl_strdup(a, c->newowner->rolename) : NULL;
        x->letter = c->newowner->roletype == ROLESPEC_CSTRING ? 'n' : 'c';
        return ERR_OK;
    case AT_SetRelOptions:
    case AT_ResetRelOptions:
        x->kind = c->subtype == AT_SetRelOptions ? ALTER_SET_OPTIONS : ALTER_RESET_OPTIONS;
        return ddl_options(a, (const List *)(const void *)c->def, &x->options, &x->option_count);
    case AT_SetStatistics:
        x->kind = ALTER_SET_STATISTICS;
        x->number = intVal(c->def);
        return ERR_OK;
    case AT_SetStorage:
        x->kind = ALTER_SET_STORAGE;
        x->text = ddl_strdup(a, strVal(c->def));
        return ERR_OK;
    case AT_SetLogged:
    case AT_SetUnLogged:
        x->kind = ALTER_SET_LOGGED;
        x->letter = c->subtype == AT_SetLogged ? 'p' : 'u';
        return ERR_OK;
    case AT_SetOptions:
    case AT_ResetOptions:
    case AT_SetCompression:
    case AT_DropOids:
        return ERR_OK;
    case AT_DropCluster:
        x->kind = ALTER_CLUSTER_ON;
        x->name = NULL;
        return ERR_OK;
    case AT_ClusterOn:
        x->kind = ALTER_CLUSTER_ON;
        return ERR_OK;
    case AT_SetTableSpace:
        x->kind = ALTER_SET_TABLESPACE;
        return ERR_OK;
    case AT_ReplicaIdentity:
        x->kind = ALTER_REPLICA_IDENTITY;
        x->letter = ((const ReplicaIdentityStmt *)(const void *)c->def)->identity_type;
        return ERR_OK;
    case AT_AddInherit:
    case AT_DropInherit:
        return alter_not_built(x, "table inheritance is not supported");
    case AT_AttachPartition:
    case AT_DetachPartition:
        return alter_not_built(x, "partitioned tables are not supported");
    case AT_EnableTrig:
    case AT_EnableAlwaysTrig:
    case AT_EnableReplicaTrig:
    case AT_DisableTrig:
    case AT_EnableTrigAll:
    case AT_DisableTrigAll:
    case AT_EnableTrigUser:
    case AT_DisableTrigUser:
        return alter_not_built(x, "triggers are not supported");
    case AT_EnableRowSecurity:
    case AT_DisableRowSecurity:
    case AT_ForceRowSecurity:
    case AT_NoForceRowSecurity:
        return alter_not_built(x, "row-level security is not supported");
    case AT_AlterConstraint: {
        const Constraint *con = (const Constraint *)(const void *)c->def;
        x->kind = ALTER_CONSTRAINT;
        x->constraint = ARENA_NEW(a->mem, struct ddl_constraint);
        x->constraint->name = ddl_strdup(a, con->conname);
        x->constraint->deferrable = con->deferrable;
        x->constraint->deferred = con->initdeferred;
        return ERR_OK;
    }
    default:
        return alter_not_built(x, "this form of ALTER TABLE is not supported");
    }
}

static enum ddl_object alter_object(ObjectType t)
{
    switch (t) {
    case OBJECT_INDEX:
        return OBJ_INDEX;
    case OBJECT_VIEW:
        return OBJ_VIEW;
    case OBJECT_SEQUENCE:
        return OBJ_SEQUENCE;
    default:
        return OBJ_TABLE;
    }
}

err_t ddl_alter_table_wait(const struct ddl_analysis *outer, const AlterTableStmt *n, struct ddl *d)
{
    struct ddl_analysis with_name = *outer;
    const struct ddl_analysis *a = &with_name;
    with_name.relation = n->relation->relname;
    if (n->objtype != OBJECT_TABLE && n->objtype != OBJECT_INDEX && n->objtype != OBJECT_VIEW &&
        n->objtype != OBJECT_SEQUENCE)
        return err_not_built("%s is not supported", d->tag);
    d->object = alter_object(n->objtype);
    d->missing_ok = n->missing_ok;
    d->names = ARENA_NEW(a->mem, struct ddl_name);
    d->names[0] = ddl_range_name(a, n->relation);
    d->name_count = 1;
    d->alter_count = (uint32_t)list_length(n->cmds);
    d->alters = ARENA_ARRAY(a->mem, struct ddl_alter, d->alter_count + 1);
    for (uint32_t i = 0; i < d->alter_count; i++)
        TRY(alter_command_wait(a, list_nth(n->cmds, (int)i), &d->alters[i]));
    return ERR_OK;
}
