/* Parts that many DDL statements share: names, options, roles, sequence options, constraints. */
#include "sql/analyze/ddl_priv.h"

#include <errno.h>
#include <stdlib.h>

char *ddl_strdup(const struct ddl_analysis *a, const char *s)
{
    return s ? arena_strdup(a->mem, s) : NULL;
}

struct ddl_name ddl_range_name(const struct ddl_analysis *a, const RangeVar *rv)
{
    return (struct ddl_name){
        .catalog = ddl_strdup(a, rv->catalogname),
        .schema = ddl_strdup(a, rv->schemaname),
        .name = ddl_strdup(a, rv->relname),
        .persistence = rv->relpersistence,
        .location = rv->location,
    };
}

err_t ddl_list_name(const struct ddl_analysis *a, const List *names, struct ddl_name *out)
{
    *out = (struct ddl_name){.persistence = 'p', .location = -1};
    switch (list_length(names)) {
    case 1:
        out->name = ddl_strdup(a, list_string(names, 0));
        return ERR_OK;
    case 2:
        out->schema = ddl_strdup(a, list_string(names, 0));
        out->name = ddl_strdup(a, list_string(names, 1));
        return ERR_OK;
    case 3:
        out->catalog = ddl_strdup(a, list_string(names, 0));
        out->schema = ddl_strdup(a, list_string(names, 1));
        out->name = ddl_strdup(a, list_string(names, 2));
        return ERR_OK;
    default:
        return err_raise(ERR_SYNTAX_ERROR, "improper qualified name (too many dotted names)");
    }
}

const char **ddl_strings(const struct ddl_analysis *a, const List *l, uint32_t *count)
{
    *count = (uint32_t)list_length(l);
    const char **out = ARENA_ARRAY(a->mem, const char *, *count + 1);
    for (uint32_t i = 0; i < *count; i++)
        out[i] = ddl_strdup(a, list_string(l, (int)i));
    return out;
}

/* The text of an option's value; NULL when it has none. */
static err_t option_value(const struct ddl_analysis *a, const Node *arg, const char **out)
{
    *out = NULL;
    if (!arg)
        return ERR_OK;
    switch (nodeTag(arg)) {
    case T_Integer:
        *out = arena_printf(a->mem, "%d", intVal(arg));
        return ERR_OK;
    case T_Float:
        *out = ddl_strdup(a, ((const Float *)arg)->fval);
        return ERR_OK;
    case T_Boolean:
        *out = ((const Boolean *)arg)->boolval ? "true" : "false";
        return ERR_OK;
    case T_String:
        *out = ddl_strdup(a, node_string(arg));
        return ERR_OK;
    case T_TypeName: {
        const TypeName *t = (const TypeName *)arg;
        *out = ddl_strdup(a, list_string(t->names, list_length(t->names) - 1));
        return ERR_OK;
    }
    case T_A_Star:
        *out = "*";
        return ERR_OK;
    case T_List: {
        struct strbuf b;
        strbuf_init(&b, a->mem);
        const List *l = (const List *)arg;
        for (int i = 0; i < list_length(l); i++) {
            const Node *part = list_nth(l, i);
            if (!IsA(part, String))
                return ERR_OK;
            strbuf_printf(&b, "%s%s", i ? "." : "", node_string(part));
        }
        *out = b.data;
        return ERR_OK;
    }
    default:
        return ERR_OK;
    }
}

err_t ddl_options(const struct ddl_analysis *a, const List *l, struct ddl_option **out,
                  uint32_t *count)
{
    *count = (uint32_t)list_length(l);
    *out = ARENA_ARRAY(a->mem, struct ddl_option, *count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        const DefElem *d = list_nth(l, (int)i);
        struct ddl_option *o = &(*out)[i];
        o->qualifier = ddl_strdup(a, d->defnamespace);
        o->name = ddl_strdup(a, d->defname);
        o->location = d->location;
        TRY(option_value(a, d->arg, &o->value));
    }
    return ERR_OK;
}

static void role_fill(const struct ddl_analysis *a, const RoleSpec *r, struct ddl_role *out)
{
    out->name = ddl_strdup(a, r->rolename);
    out->location = r->location;
    switch (r->roletype) {
    case ROLESPEC_CSTRING:
        out->kind = ROLE_SPEC_NAME;
        break;
    case ROLESPEC_SESSION_USER:
        out->kind = ROLE_SPEC_SESSION;
        break;
    case ROLESPEC_PUBLIC:
        out->kind = ROLE_SPEC_PUBLIC;
        break;
    default:
        out->kind = ROLE_SPEC_CURRENT;
        break;
    }
}

struct ddl_role *ddl_role(const struct ddl_analysis *a, const RoleSpec *r)
{
    if (!r)
        return NULL;
    struct ddl_role *out = ARENA_NEW(a->mem, struct ddl_role);
    role_fill(a, r, out);
    return out;
}

struct ddl_role *ddl_roles(const struct ddl_analysis *a, const List *l, uint32_t *count)
{
    *count = (uint32_t)list_length(l);
    struct ddl_role *out = ARENA_ARRAY(a->mem, struct ddl_role, *count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        const Node *n = list_nth(l, (int)i);
        if (IsA(n, RoleSpec)) {
            role_fill(a, (const RoleSpec *)n, &out[i]);
        } else if (IsA(n, AccessPriv)) { /* GRANT a TO b: roles come as privileges */
            out[i].name = ddl_strdup(a, ((const AccessPriv *)n)->priv_name);
            out[i].location = -1;
        }
    }
    return out;
}

static err_t sequence_number(const DefElem *d, int64_t *out)
{
    if (d->arg && IsA(d->arg, Integer)) {
        *out = intVal(d->arg);
        return ERR_OK;
    }
    if (d->arg && IsA(d->arg, Float)) {
        const char *text = ((const Float *)d->arg)->fval;
        char *end;
        errno = 0;
        long long v = strtoll(text, &end, 10);
        if (*end == 0 && errno == 0) {
            *out = v;
            return ERR_OK;
        }
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE,
                         "value \"%s\" is out of range for type bigint", text);
    }
    return err_raise(ERR_SYNTAX_ERROR, "%s requires a numeric value", d->defname);
}

static SUSPENDS err_t sequence_option_wait(const struct ddl_analysis *a, const DefElem *d,
                                           struct ddl_sequence_options *out)
{
    if (strcmp(d->defname, "as") == 0) {
        int32_t typmod;
        out->has_type = true;
        return analyze_type_node_wait(a->o, (const TypeName *)(const void *)d->arg, a->mem,
                                      &out->type, &typmod);
    }
    if (strcmp(d->defname, "increment") == 0) {
        out->has_increment = true;
        return sequence_number(d, &out->increment);
    }
    if (strcmp(d->defname, "start") == 0) {
        out->has_start = true;
        return sequence_number(d, &out->start);
    }
    if (strcmp(d->defname, "restart") == 0) {
        out->has_restart = true;
        out->restart_default = d->arg == NULL;
        return d->arg ? sequence_number(d, &out->restart) : ERR_OK;
    }
    if (strcmp(d->defname, "maxvalue") == 0) {
        out->has_max = d->arg != NULL;
        out->no_max = d->arg == NULL;
        return d->arg ? sequence_number(d, &out->max) : ERR_OK;
    }
    if (strcmp(d->defname, "minvalue") == 0) {
        out->has_min = d->arg != NULL;
        out->no_min = d->arg == NULL;
        return d->arg ? sequence_number(d, &out->min) : ERR_OK;
    }
    if (strcmp(d->defname, "cache") == 0) {
        out->has_cache = true;
        return sequence_number(d, &out->cache);
    }
    if (strcmp(d->defname, "cycle") == 0) {
        out->has_cycle = true;
        out->cycle = ((const Boolean *)(const void *)d->arg)->boolval;
        return ERR_OK;
    }
    if (strcmp(d->defname, "generated") == 0) {
        out->generated = (char)intVal(d->arg);
        return ERR_OK;
    }
    if (strcmp(d->defname, "sequence_name") == 0) {
        struct ddl_name n;
        TRY(ddl_list_name(a, (const List *)(const void *)d->arg, &n));
        out->sequence_name = n.name;
        out->sequence_schema = n.schema;
        return ERR_OK;
    }
    if (strcmp(d->defname, "owned_by") == 0) {
        const List *names = (const List *)(const void *)d->arg;
        int n = list_length(names);
        out->has_owned_by = true;
        out->owned_by.location = -1;
        if (n == 1 && strcmp(list_string(names, 0), "none") == 0) {
            out->owned_by_none = true;
            return ERR_OK;
        }
        if (n < 2 || n > 3) {
            err_t e = err_raise(ERR_SYNTAX_ERROR, "invalid OWNED BY option");
            err_hint("Specify OWNED BY table.column or OWNED BY NONE.");
            return e;
        }
        out->owned_by.schema = n == 3 ? ddl_strdup(a, list_string(names, 0)) : NULL;
        out->owned_by.name = ddl_strdup(a, list_string(names, n - 2));
        out->owned_by.part = ddl_strdup(a, list_string(names, n - 1));
        return ERR_OK;
    }
    return err_not_built("sequence option \"%s\"", d->defname);
}

err_t ddl_sequence_options_wait(const struct ddl_analysis *a, const List *l,
                                struct ddl_sequence_options *out)
{
    for (int i = 0; i < list_length(l); i++) {
        const DefElem *d = list_nth(l, i);
        for (int k = 0; k < i; k++) {
            const DefElem *other = list_nth(l, k);
            if (strcmp(other->defname, d->defname) == 0)
                return ddl_at(a, d->location,
                              err_raise(ERR_SYNTAX_ERROR, "conflicting or redundant options"));
        }
        TRY(sequence_option_wait(a, d, out));
    }
    return ERR_OK;
}

err_t ddl_constraint(const struct ddl_analysis *a, const Constraint *n, struct ddl_constraint *out)
{
    *out = (struct ddl_constraint){
        .name = ddl_strdup(a, n->conname),
        .deferrable = n->deferrable,
        .deferred = n->initdeferred,
        .not_valid = n->skip_validation,
        .no_inherit = n->is_no_inherit,
        .nulls_not_distinct = n->nulls_not_distinct,
        .using_index = ddl_strdup(a, n->indexname),
        .tablespace = ddl_strdup(a, n->indexspace),
        .location = n->location,
    };
    out->columns = ddl_strings(a, n->keys, &out->column_count);
    out->include = ddl_strings(a, n->including, &out->include_count);
    TRY(ddl_options(a, n->options, &out->options, &out->option_count));
    switch (n->contype) {
    case CONSTR_NOTNULL:
        out->kind = CON_NOT_NULL;
        return ERR_OK;
    case CONSTR_CHECK:
        out->kind = CON_CHECK;
        return ddl_expression_text(a, n->raw_expr, "check constraint", &out->check_sql);
    case CONSTR_PRIMARY:
        out->kind = CON_PRIMARY;
        return ERR_OK;
    case CONSTR_UNIQUE:
        out->kind = CON_UNIQUE;
        return ERR_OK;
    case CONSTR_FOREIGN:
        out->kind = CON_FOREIGN;
        out->references = ddl_range_name(a, n->pktable);
        out->columns = ddl_strings(a, n->fk_attrs, &out->column_count);
        out->target_columns = ddl_strings(a, n->pk_attrs, &out->target_count);
        out->delete_columns = ddl_strings(a, n->fk_del_set_cols, &out->delete_column_count);
        out->match = n->fk_matchtype;
        out->update_action = n->fk_upd_action;
        out->delete_action = n->fk_del_action;
        return ERR_OK;
    case CONSTR_EXCLUSION:
        return ddl_at(a, n->location, err_not_built("exclusion constraints are not supported"));
    default:
        return ddl_at(a, n->location, err_not_built("this kind of constraint is not supported"));
    }
}

err_t ddl_index_items(const struct ddl_analysis *a, const List *l, struct ddl_index_item **out,
                      uint32_t *count)
{
    *count = (uint32_t)list_length(l);
    *out = ARENA_ARRAY(a->mem, struct ddl_index_item, *count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        const IndexElem *e = list_nth(l, (int)i);
        struct ddl_index_item *x = &(*out)[i];
        x->column = ddl_strdup(a, e->name);
        if (e->expr) {
            TRY(ddl_expression_text(a, e->expr, "index expression", &x->expression));
            if (IsA(e->expr, FuncCall)) {
                const List *names = ((const FuncCall *)(const void *)e->expr)->funcname;
                x->name = ddl_strdup(a, list_string(names, list_length(names) - 1));
            }
        }
        if (e->collation)
            x->collation = ddl_strdup(a, list_string(e->collation, list_length(e->collation) - 1));
        if (e->opclass)
            x->opclass = ddl_strdup(a, list_string(e->opclass, list_length(e->opclass) - 1));
        if (e->opclassopts)
            return err_not_built("operator class options are not supported");
        x->descending = e->ordering == SORTBY_DESC;
        x->nulls = e->nulls_ordering == SORTBY_NULLS_FIRST  ? 1
                   : e->nulls_ordering == SORTBY_NULLS_LAST ? 2
                                                            : 0;
    }
    return ERR_OK;
}
