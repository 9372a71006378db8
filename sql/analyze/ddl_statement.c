/* The remaining DDL statements, and the entry of DDL analysis. */
#include "sql/analyze/ddl_priv.h"
#include "sql/types/quote.h"

static enum ddl_object object_of(ObjectType t)
{
    switch (t) {
    case OBJECT_TABLE:
        return OBJ_TABLE;
    case OBJECT_INDEX:
        return OBJ_INDEX;
    case OBJECT_SEQUENCE:
        return OBJ_SEQUENCE;
    case OBJECT_VIEW:
        return OBJ_VIEW;
    case OBJECT_SCHEMA:
        return OBJ_SCHEMA;
    case OBJECT_COLUMN:
    case OBJECT_ATTRIBUTE:
        return OBJ_COLUMN;
    case OBJECT_TABCONSTRAINT:
        return OBJ_CONSTRAINT;
    case OBJECT_DATABASE:
        return OBJ_DATABASE;
    case OBJECT_ROLE:
        return OBJ_ROLE;
    case OBJECT_TYPE:
    case OBJECT_DOMAIN:
        return OBJ_TYPE;
    case OBJECT_FUNCTION:
    case OBJECT_PROCEDURE:
    case OBJECT_ROUTINE:
    case OBJECT_AGGREGATE:
        return OBJ_FUNCTION;
    case OBJECT_EXTENSION:
        return OBJ_EXTENSION;
    case OBJECT_TABLESPACE:
        return OBJ_TABLESPACE;
    case OBJECT_MATVIEW:
        return OBJ_MATVIEW;
    case OBJECT_FOREIGN_TABLE:
        return OBJ_FOREIGN_TABLE;
    case OBJECT_TRIGGER:
        return OBJ_TRIGGER;
    default:
        return OBJ_OTHER;
    }
}

/* A name of DROP or COMMENT: a list, a String, a TypeName or an ObjectWithArgs. */
static err_t object_name(const struct ddl_analysis *a, enum ddl_object object, const Node *n,
                         struct ddl_name *out)
{
    *out = (struct ddl_name){.location = -1};
    if (IsA(n, String)) {
        out->name = ddl_strdup(a, node_string(n));
        return ERR_OK;
    }
    const List *names = NULL;
    if (IsA(n, List))
        names = (const List *)n;
    else if (IsA(n, TypeName))
        names = ((const TypeName *)n)->names;
    else if (IsA(n, ObjectWithArgs))
        names = ((const ObjectWithArgs *)n)->objname;
    if (!names || list_length(names) == 0)
        return err_not_built("this kind of object name is not supported");
    if (object != OBJ_COLUMN && object != OBJ_CONSTRAINT && object != OBJ_TRIGGER)
        return ddl_list_name(a, names, out);
    /* the last part is the column or constraint */
    int count = list_length(names);
    if (count < 2)
        return err_raise(ERR_SYNTAX_ERROR, "column name must be qualified");
    out->part = ddl_strdup(a, list_string(names, count - 1));
    out->name = ddl_strdup(a, list_string(names, count - 2));
    out->schema = count > 2 ? ddl_strdup(a, list_string(names, count - 3)) : NULL;
    out->catalog = count > 3 ? ddl_strdup(a, list_string(names, count - 4)) : NULL;
    return ERR_OK;
}

static err_t node_drop(const struct ddl_analysis *a, const DropStmt *n, struct ddl *d)
{
    d->kind = DDL_DROP;
    d->object = object_of(n->removeType);
    d->missing_ok = n->missing_ok;
    d->cascade = n->behavior == DROP_CASCADE;
    d->concurrently = n->concurrent;
    d->name_count = (uint32_t)list_length(n->objects);
    d->names = ARENA_ARRAY(a->mem, struct ddl_name, d->name_count + 1);
    if (d->object == OBJ_OTHER || d->object == OBJ_TRIGGER)
        return err_not_built("%s is not supported", d->tag);
    for (uint32_t i = 0; i < d->name_count; i++)
        TRY(object_name(a, d->object, list_nth(n->objects, (int)i), &d->names[i]));
    return ERR_OK;
}

static void one_name(const struct ddl_analysis *a, struct ddl *d, struct ddl_name name)
{
    d->names = arena_memdup(a->mem, &name, sizeof(name));
    d->name_count = 1;
}

static err_t node_rename(const struct ddl_analysis *a, const RenameStmt *n, struct ddl *d)
{
    d->kind = DDL_RENAME;
    d->object = object_of(n->renameType);
    d->missing_ok = n->missing_ok;
    d->new_name = ddl_strdup(a, n->newname);
    struct ddl_name name = {.location = -1};
    if (n->relation) {
        name = ddl_range_name(a, n->relation);
        name.part = ddl_strdup(a, n->subname);
    } else if (n->object && n->renameType != OBJECT_SCHEMA) {
        TRY(object_name(a, d->object, n->object, &name));
    } else {
        name.name = ddl_strdup(a, n->subname);
    }
    one_name(a, d, name);
    return ERR_OK;
}

static err_t node_set_schema(const struct ddl_analysis *a, const AlterObjectSchemaStmt *n,
                             struct ddl *d)
{
    d->kind = DDL_SET_SCHEMA;
    d->object = object_of(n->objectType);
    d->missing_ok = n->missing_ok;
    d->new_schema = ddl_strdup(a, n->newschema);
    if (!n->relation)
        return err_not_built("%s SET SCHEMA is not supported", d->tag);
    one_name(a, d, ddl_range_name(a, n->relation));
    return ERR_OK;
}

static err_t node_owner(const struct ddl_analysis *a, const AlterOwnerStmt *n, struct ddl *d)
{
    d->kind = DDL_OWNER;
    d->object = object_of(n->objectType);
    d->owner = ddl_role(a, n->newowner);
    struct ddl_name name = {.location = -1};
    if (n->relation)
        name = ddl_range_name(a, n->relation);
    else
        TRY(object_name(a, d->object, n->object, &name));
    one_name(a, d, name);
    return ERR_OK;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (uint8_t)c >= 128;
}

/* Skips a quoted string, dollar string, quoted name or comment at p; p itself when there is none.
 */
static const char *skip_quoted(const char *p, const char *end)
{
    if (*p == '\'' || *p == '"') {
        bool escapes = *p == '\'' && p[-1] != 0 && (p[-1] == 'E' || p[-1] == 'e');
        char quote = *p++;
        while (p < end && *p != quote)
            p += escapes && *p == '\\' && p + 1 < end ? 2 : 1;
        return p < end ? p + 1 : end;
    }
    if (p + 1 < end && p[0] == '-' && p[1] == '-') {
        while (p < end && *p != '\n')
            p++;
        return p;
    }
    if (p + 1 < end && p[0] == '/' && p[1] == '*') {
        int depth = 1;
        for (p += 2; p + 1 < end && depth > 0; p++) {
            if (p[0] == '/' && p[1] == '*') {
                depth++;
                p++;
            } else if (p[0] == '*' && p[1] == '/') {
                depth--;
                p++;
            }
        }
        return p;
    }
    if (*p == '$') {
        const char *tag = p + 1;
        while (tag < end && is_word(*tag) && *tag != '$')
            tag++;
        if (tag >= end || *tag != '$')
            return p;
        size_t len = (size_t)(tag - p) + 1;
        const char *close = memmem(tag + 1, (size_t)(end - tag - 1), p, len);
        return close ? close + len : end;
    }
    return p;
}

/* Where the elements of a CREATE SCHEMA begin, and the end of the last: each begins with CREATE or
 * GRANT, reserved words that stand elsewhere only as labels, after a point, and in WITH GRANT
 * OPTION.
 */
static bool element_begins(const struct ddl_analysis *a, uint32_t count, int32_t *begins)
{
    const char *text = a->o->text;
    const char *p = text + a->begin;
    const char *end = text + a->end;
    const char *last = "";
    size_t last_len = 0;
    uint32_t found = 0;
    while (p < end) {
        const char *after = skip_quoted(p, end);
        if (after != p || !is_word(*p)) {
            last = after == p && *p == '.' ? "." : last;
            last_len = *last == '.' ? 1 : last_len;
            p = after == p ? p + 1 : after;
            continue;
        }
        const char *word = p;
        while (p < end && is_word(*p))
            p++;
        size_t len = (size_t)(p - word);
        bool label = (last_len == 1 && *last == '.') ||
                     (last_len == 2 && strncasecmp(last, "as", 2) == 0) ||
                     (last_len == 4 && strncasecmp(last, "with", 4) == 0);
        if (!label && ((len == 6 && strncasecmp(word, "create", 6) == 0) ||
                       (len == 5 && strncasecmp(word, "grant", 5) == 0))) {
            if (found > count)
                return false;
            if (found > 0) /* the first is that of CREATE SCHEMA itself */
                begins[found - 1] = (int32_t)(word - text);
            found++;
        }
        last = word;
        last_len = len;
    }
    begins[count] = a->end;
    return found == count + 1;
}

/* Whatever order they are written in: sequences, tables, views, indexes, the rest. */
static int element_turn(const struct ddl *d)
{
    switch (d->kind) {
    case DDL_CREATE_SEQUENCE:
        return 0;
    case DDL_CREATE_TABLE:
        return 1;
    case DDL_CREATE_VIEW:
        return 2;
    case DDL_CREATE_INDEX:
        return 3;
    default:
        return 4;
    }
}

static SUSPENDS err_t node_schema_wait(const struct ddl_analysis *a, const CreateSchemaStmt *n,
                                       struct ddl *d)
{
    d->kind = DDL_CREATE_SCHEMA;
    d->new_name = ddl_strdup(a, n->schemaname);
    d->owner = ddl_role(a, n->authrole);
    d->missing_ok = n->if_not_exists;
    d->element_count = (uint32_t)list_length(n->schemaElts);
    d->elements = ARENA_ARRAY(a->mem, struct ddl *, d->element_count + 1);
    int32_t *begins = ARENA_ARRAY(a->mem, int32_t, d->element_count + 2);
    if (d->element_count > 0 && !element_begins(a, d->element_count, begins))
        return err_not_built("this form of CREATE SCHEMA is not supported");
    for (uint32_t i = 0; i < d->element_count; i++) {
        struct ddl_analysis one = *a;
        one.begin = begins[i];
        one.end = begins[i + 1];
        struct ddl *element;
        TRY(ddl_node_wait(&one, list_nth(n->schemaElts, (int)i), &element));
        uint32_t at = i;
        for (; at > 0 && element_turn(d->elements[at - 1]) > element_turn(element); at--)
            d->elements[at] = d->elements[at - 1];
        d->elements[at] = element;
    }
    return ERR_OK;
}

/* ---- views ---- */

/* The text after the first AS outside parentheses: the SELECT of a CREATE VIEW. */
static const char *select_text(const struct ddl_analysis *a, int32_t *place)
{
    const char *p = a->o->text + a->begin;
    const char *end = a->o->text + a->end;
    int depth = 0;
    while (p < end) {
        const char *after = skip_quoted(p, end);
        if (after != p) {
            p = after;
            continue;
        }
        if (*p == '(')
            depth++;
        else if (*p == ')')
            depth--;
        if (!is_word(*p)) {
            p++;
            continue;
        }
        const char *word = p;
        while (p < end && is_word(*p))
            p++;
        if (depth == 0 && p - word == 2 && strncasecmp(word, "as", 2) == 0) {
            while (end > p && (end[-1] == ';' || end[-1] == ' ' || end[-1] == '\n' ||
                               end[-1] == '\t' || end[-1] == '\r'))
                end--;
            while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
                p++;
            *place = 0;
            for (const char *c = a->o->text; c < p; c++)
                *place += ((uint8_t)*c & 0xC0) != 0x80;
            return arena_strndup(a->mem, p, (size_t)(end - p));
        }
    }
    return NULL;
}

static bool next_is(const char **p, const char *end, const char *word)
{
    size_t len = strlen(word);
    const char *at = *p;
    if (!at)
        return false;
    for (const char *before = NULL; at != before && at < end;) {
        before = at;
        if (strchr(" \t\r\n\f", *at))
            at++;
        else if (*at == '-' || *at == '/')
            at = skip_quoted(at, end);
    }
    if (at + len > end || strncasecmp(at, word, len) != 0 || (at + len < end && is_word(at[len])))
        return false;
    *p = at + len;
    return true;
}

/* The grammar has turned it into WITH RECURSIVE already; only the text can tell. */
static bool is_recursive_view(const struct ddl_analysis *a)
{
    const char *p = a->o->text + a->begin;
    const char *end = a->o->text + a->end;
    if (!next_is(&p, end, "create"))
        return false;
    if (next_is(&p, end, "or") && !next_is(&p, end, "replace"))
        return false;
    static const char *const words[] = {"local", "global", "temp", "temporary"};
    for (size_t i = 0; i < ARRAY_LEN(words);)
        i = next_is(&p, end, words[i]) ? 0 : i + 1;
    return next_is(&p, end, "recursive");
}

/* CREATE RECURSIVE VIEW v (a, b) AS q: WITH RECURSIVE v (a, b) AS (q) SELECT a, b FROM v. */
static void recursive_view(const struct ddl_analysis *a, const ViewStmt *n, struct ddl *d)
{
    struct strbuf columns;
    strbuf_init(&columns, a->mem);
    strbuf_puts(&columns, "");
    for (uint32_t i = 0; i < d->column_name_count; i++)
        strbuf_printf(&columns, "%s%s", i ? ", " : "",
                      quote_identifier(a->mem, d->column_names[i]));
    const char *name = quote_identifier(a->mem, n->view->relname);
    const char *begin = arena_printf(a->mem, "WITH RECURSIVE %s (%s) AS (", name, columns.data);
    for (const char *c = begin; *c; c++)
        d->text_place -= ((uint8_t)*c & 0xC0) != 0x80;
    d->text = arena_printf(a->mem, "%s%s\n) SELECT %s FROM %s", begin, d->text, columns.data, name);
}

static err_t node_view(const struct ddl_analysis *a, const ViewStmt *n, struct ddl *d)
{
    d->kind = DDL_CREATE_VIEW;
    one_name(a, d, ddl_range_name(a, n->view));
    d->column_names = ddl_strings(a, n->aliases, &d->column_name_count);
    d->replace = n->replace;
    d->is_temporary = n->view->relpersistence == 't';
    TRY(ddl_options(a, n->options, &d->options, &d->option_count));
    if (n->withCheckOption != NO_CHECK_OPTION)
        return err_not_built("WITH CHECK OPTION is not supported");
    const SelectStmt *select = (const SelectStmt *)(const void *)n->query;
    if (IsA(select, SelectStmt) && select->intoClause)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "views must not contain SELECT INTO");
    d->text = select_text(a, &d->text_place);
    if (!d->text)
        return err_not_built("this form of CREATE VIEW is not supported");
    if (IsA(select, SelectStmt) && is_recursive_view(a))
        recursive_view(a, n, d);
    return ERR_OK;
}

/* ---- roles and privileges ---- */

static err_t node_grant(const struct ddl_analysis *a, const GrantStmt *n, struct ddl *d)
{
    d->kind = DDL_GRANT;
    d->is_grant = n->is_grant;
    d->grant_option = n->grant_option;
    d->object = object_of(n->objtype);
    d->cascade = n->behavior == DROP_CASCADE;
    d->all_in_schema = n->targtype == ACL_TARGET_ALL_IN_SCHEMA;
    if (n->targtype == ACL_TARGET_DEFAULTS) {
        d->kind = DDL_ALTER_DEFAULT_PRIVILEGES;
        return ERR_OK;
    }
    d->roles = ddl_roles(a, n->grantees, &d->role_count);
    d->privilege_count = (uint32_t)list_length(n->privileges);
    d->privileges = ARENA_ARRAY(a->mem, struct ddl_privilege, d->privilege_count + 1);
    for (uint32_t i = 0; i < d->privilege_count; i++) {
        const AccessPriv *p = list_nth(n->privileges, (int)i);
        d->privileges[i].name = ddl_strdup(a, p->priv_name);
        d->privileges[i].columns = ddl_strings(a, p->cols, &d->privileges[i].column_count);
    }
    d->name_count = (uint32_t)list_length(n->objects);
    d->names = ARENA_ARRAY(a->mem, struct ddl_name, d->name_count + 1);
    for (uint32_t i = 0; i < d->name_count; i++) {
        const Node *o = list_nth(n->objects, (int)i);
        if (IsA(o, RangeVar))
            d->names[i] = ddl_range_name(a, (const RangeVar *)o);
        else
            TRY(object_name(a, d->object, o, &d->names[i]));
    }
    return ERR_OK;
}

static err_t node_role(const struct ddl_analysis *a, const CreateRoleStmt *n, struct ddl *d)
{
    d->kind = DDL_CREATE_ROLE;
    d->new_name = ddl_strdup(a, n->role);
    d->role_statement = n->stmt_type == ROLESTMT_USER    ? 'u'
                        : n->stmt_type == ROLESTMT_GROUP ? 'g'
                                                         : 'r';
    /* options whose values are lists of roles */
    for (int i = 0; i < list_length(n->options); i++) {
        const DefElem *o = list_nth(n->options, i);
        if (o->arg && IsA(o->arg, List) && strcmp(o->defname, "addroleto") != 0 &&
            strcmp(o->defname, "rolemembers") != 0 && strcmp(o->defname, "adminmembers") != 0)
            return err_not_built("role option \"%s\" is not supported", o->defname);
        if (strcmp(o->defname, "addroleto") == 0)
            d->granted = ddl_roles(a, (const List *)(const void *)o->arg, &d->granted_count);
        else if (strcmp(o->defname, "rolemembers") == 0)
            d->roles = ddl_roles(a, (const List *)(const void *)o->arg, &d->role_count);
        else if (strcmp(o->defname, "adminmembers") == 0)
            return err_not_built("CREATE ROLE ... ADMIN is not supported");
    }
    return ddl_options(a, n->options, &d->options, &d->option_count);
}

static err_t node_alter_role(const struct ddl_analysis *a, const AlterRoleStmt *n, struct ddl *d)
{
    d->kind = DDL_ALTER_ROLE;
    d->owner = ddl_role(a, n->role);
    d->is_grant = n->action > 0;
    for (int i = 0; i < list_length(n->options); i++) {
        const DefElem *o = list_nth(n->options, i);
        if (strcmp(o->defname, "rolemembers") == 0)
            d->roles = ddl_roles(a, (const List *)(const void *)o->arg, &d->role_count);
    }
    return ddl_options(a, n->options, &d->options, &d->option_count);
}

/* The value of SET as one text, as the session's own SET makes it. */
static err_t set_value(const struct ddl_analysis *a, const VariableSetStmt *n, struct ddl *d)
{
    d->kind = DDL_ALTER_SETTING;
    d->setting = ddl_strdup(a, n->name);
    switch (n->kind) {
    case VAR_RESET_ALL:
        d->setting = NULL;
        return ERR_OK;
    case VAR_RESET:
    case VAR_SET_DEFAULT:
        d->setting_default = true;
        return ERR_OK;
    case VAR_SET_VALUE:
        break;
    default:
        return err_not_built("this form of SET is not supported here");
    }
    struct strbuf b;
    strbuf_init(&b, a->mem);
    strbuf_puts(&b, "");
    for (int i = 0; i < list_length(n->args); i++) {
        const Node *arg = list_nth(n->args, i);
        if (IsA(arg, TypeCast))
            arg = ((const TypeCast *)arg)->arg;
        if (!IsA(arg, A_Const))
            return err_not_built("this form of SET is not supported here");
        const A_Const *c = (const A_Const *)arg;
        strbuf_puts(&b, i ? ", " : "");
        switch (nodeTag(&c->val)) {
        case T_Integer:
            strbuf_printf(&b, "%d", c->val.ival.ival);
            break;
        case T_Float:
            strbuf_puts(&b, c->val.fval.fval);
            break;
        default:
            strbuf_puts(&b, c->val.sval.sval);
            break;
        }
    }
    d->text = b.data;
    return ERR_OK;
}

/* ---- maintenance ---- */

static err_t known_options(const struct ddl_analysis *a, const List *l, const char *command,
                           const char *const *names, size_t count)
{
    for (int i = 0; i < list_length(l); i++) {
        const DefElem *o = list_nth(l, i);
        size_t k = 0;
        while (k < count && strcmp(names[k], o->defname) != 0)
            k++;
        if (k == count)
            return ddl_at(
                a, o->location,
                err_raise(ERR_SYNTAX_ERROR, "unrecognized %s option \"%s\"", command, o->defname));
    }
    return ERR_OK;
}

static err_t node_vacuum(const struct ddl_analysis *a, const VacuumStmt *n, struct ddl *d)
{
    /* ANALYZE knows the first two. */
    static const char *const names[] = {
        "verbose",  "skip_locked",   "analyze",       "freeze",  "full", "disable_page_skipping",
        "parallel", "index_cleanup", "process_toast", "truncate"};
    d->kind = DDL_VACUUM;
    TRY(known_options(a, n->options, n->is_vacuumcmd ? "VACUUM" : "ANALYZE", names,
                      n->is_vacuumcmd ? ARRAY_LEN(names) : 2));
    d->vacuum = n->is_vacuumcmd;
    d->analyze = !n->is_vacuumcmd;
    TRY(ddl_options(a, n->options, &d->options, &d->option_count));
    for (uint32_t i = 0; i < d->option_count; i++) {
        const char *v = d->options[i].value;
        bool on = !v || strcmp(v, "0") == 0 ? !v : strcmp(v, "false") != 0 && strcmp(v, "off") != 0;
        if (strcmp(d->options[i].name, "analyze") == 0)
            d->analyze = on;
    }
    d->name_count = (uint32_t)list_length(n->rels);
    d->names = ARENA_ARRAY(a->mem, struct ddl_name, d->name_count + 1);
    d->name_column_counts = ARENA_ARRAY(a->mem, uint32_t, d->name_count + 1);
    d->name_columns = ARENA_ARRAY(a->mem, const char **, d->name_count + 1);
    for (uint32_t i = 0; i < d->name_count; i++) {
        const VacuumRelation *r = list_nth(n->rels, (int)i);
        d->names[i] = ddl_range_name(a, r->relation);
        d->name_columns[i] = ddl_strings(a, r->va_cols, &d->name_column_counts[i]);
        if (d->name_column_counts[i] && !d->analyze)
            return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                             "ANALYZE option must be specified when a column list is provided");
    }
    return ERR_OK;
}

static err_t node_reindex(const struct ddl_analysis *a, const ReindexStmt *n, struct ddl *d)
{
    d->kind = DDL_REINDEX;
    TRY(ddl_options(a, n->params, &d->options, &d->option_count));
    switch (n->kind) {
    case REINDEX_OBJECT_INDEX:
        d->reindex = 'i';
        break;
    case REINDEX_OBJECT_TABLE:
        d->reindex = 't';
        break;
    case REINDEX_OBJECT_SCHEMA:
        d->reindex = 's';
        break;
    case REINDEX_OBJECT_SYSTEM:
        d->reindex = 'y';
        break;
    default:
        d->reindex = 'd';
        break;
    }
    if (n->relation)
        one_name(a, d, ddl_range_name(a, n->relation));
    d->new_name = ddl_strdup(a, n->name);
    return ERR_OK;
}

static err_t node_truncate(const struct ddl_analysis *a, const TruncateStmt *n, struct ddl *d)
{
    d->kind = DDL_TRUNCATE;
    d->restart = n->restart_seqs;
    d->cascade = n->behavior == DROP_CASCADE;
    d->name_count = (uint32_t)list_length(n->relations);
    d->names = ARENA_ARRAY(a->mem, struct ddl_name, d->name_count + 1);
    for (uint32_t i = 0; i < d->name_count; i++)
        d->names[i] = ddl_range_name(a, list_nth(n->relations, (int)i));
    return ERR_OK;
}

static err_t node_comment(const struct ddl_analysis *a, const CommentStmt *n, struct ddl *d)
{
    d->kind = DDL_COMMENT;
    d->object = object_of(n->objtype);
    d->text = ddl_strdup(a, n->comment);
    struct ddl_name name;
    if (d->object == OBJ_OTHER || d->object == OBJ_TRIGGER)
        return err_not_built("COMMENT ON this kind of object is not supported");
    TRY(object_name(a, d->object, n->object, &name));
    one_name(a, d, name);
    return ERR_OK;
}

/* ---- all of them ---- */

static SUSPENDS err_t node_sequence_wait(const struct ddl_analysis *a, void *node, struct ddl *d)
{
    if (nodeTag(node) == T_CreateSeqStmt) {
        const CreateSeqStmt *n = node;
        d->kind = DDL_CREATE_SEQUENCE;
        d->missing_ok = n->if_not_exists;
        one_name(a, d, ddl_range_name(a, n->sequence));
        return ddl_sequence_options_wait(a, n->options, &d->sequence);
    }
    const AlterSeqStmt *n = node;
    d->kind = DDL_ALTER_SEQUENCE;
    d->missing_ok = n->missing_ok;
    one_name(a, d, ddl_range_name(a, n->sequence));
    return ddl_sequence_options_wait(a, n->options, &d->sequence);
}

static err_t node_database(const struct ddl_analysis *a, const void *node, struct ddl *d)
{
    switch (nodeTag(node)) {
    case T_CreatedbStmt: {
        const CreatedbStmt *n = node;
        d->kind = DDL_CREATE_DATABASE;
        d->new_name = ddl_strdup(a, n->dbname);
        return ddl_options(a, n->options, &d->options, &d->option_count);
    }
    case T_DropdbStmt: {
        const DropdbStmt *n = node;
        d->kind = DDL_DROP_DATABASE;
        d->new_name = ddl_strdup(a, n->dbname);
        d->missing_ok = n->missing_ok;
        return ddl_options(a, n->options, &d->options, &d->option_count);
    }
    case T_AlterDatabaseStmt: {
        const AlterDatabaseStmt *n = node;
        d->kind = DDL_ALTER_DATABASE;
        d->new_name = ddl_strdup(a, n->dbname);
        return ddl_options(a, n->options, &d->options, &d->option_count);
    }
    default: {
        const AlterDatabaseSetStmt *n = node;
        d->database = ddl_strdup(a, n->dbname);
        return set_value(a, n->setstmt, d);
    }
    }
}

static SUSPENDS err_t node_fill_wait(const struct ddl_analysis *a, void *node, struct ddl *d)
{
    switch (nodeTag(node)) {
    case T_CreateStmt:
        d->kind = DDL_CREATE_TABLE;
        return ddl_create_table_wait(a, node, d);
    case T_CreateTableAsStmt:
        d->kind = DDL_CREATE_TABLE_AS;
        return ddl_create_table_as_wait(a, node, d);
    case T_IndexStmt:
        d->kind = DDL_CREATE_INDEX;
        return ddl_create_index(a, node, d);
    case T_AlterTableStmt:
        d->kind = DDL_ALTER_TABLE;
        return ddl_alter_table_wait(a, node, d);
    case T_CreateSchemaStmt:
        return node_schema_wait(a, node, d);
    case T_CreateSeqStmt:
    case T_AlterSeqStmt:
        return node_sequence_wait(a, node, d);
    case T_ViewStmt:
        return node_view(a, node, d);
    case T_DropStmt:
        return node_drop(a, node, d);
    case T_RenameStmt:
        return node_rename(a, node, d);
    case T_AlterObjectSchemaStmt:
        return node_set_schema(a, node, d);
    case T_AlterOwnerStmt:
        return node_owner(a, node, d);
    case T_TruncateStmt:
        return node_truncate(a, node, d);
    case T_CommentStmt:
        return node_comment(a, node, d);
    case T_CreateRoleStmt:
        return node_role(a, node, d);
    case T_AlterRoleStmt:
        return node_alter_role(a, node, d);
    case T_AlterRoleSetStmt: {
        const AlterRoleSetStmt *n = node;
        d->owner = ddl_role(a, n->role);
        d->all_roles = n->role == NULL;
        d->database = ddl_strdup(a, n->database);
        return set_value(a, n->setstmt, d);
    }
    case T_DropRoleStmt: {
        const DropRoleStmt *n = node;
        d->kind = DDL_DROP_ROLE;
        d->missing_ok = n->missing_ok;
        d->roles = ddl_roles(a, n->roles, &d->role_count);
        return ERR_OK;
    }
    case T_GrantStmt:
        return node_grant(a, node, d);
    case T_GrantRoleStmt: {
        const GrantRoleStmt *n = node;
        d->kind = DDL_GRANT_ROLE;
        d->is_grant = n->is_grant;
        d->grant_option = n->admin_opt;
        d->granted = ddl_roles(a, n->granted_roles, &d->granted_count);
        d->roles = ddl_roles(a, n->grantee_roles, &d->role_count);
        return ERR_OK;
    }
    case T_AlterDefaultPrivilegesStmt:
        d->kind = DDL_ALTER_DEFAULT_PRIVILEGES;
        return err_not_built("ALTER DEFAULT PRIVILEGES is not supported");
    case T_CreatedbStmt:
    case T_DropdbStmt:
    case T_AlterDatabaseStmt:
    case T_AlterDatabaseSetStmt:
        return node_database(a, node, d);
    case T_VacuumStmt:
        return node_vacuum(a, node, d);
    case T_ReindexStmt:
        return node_reindex(a, node, d);
    case T_ClusterStmt: {
        const ClusterStmt *n = node;
        d->kind = DDL_CLUSTER;
        if (n->relation)
            one_name(a, d, ddl_range_name(a, n->relation));
        d->new_name = ddl_strdup(a, n->indexname);
        return ERR_OK;
    }
    case T_CreateExtensionStmt: {
        const CreateExtensionStmt *n = node;
        d->kind = DDL_CREATE_EXTENSION;
        d->new_name = ddl_strdup(a, n->extname);
        d->missing_ok = n->if_not_exists;
        return ERR_OK;
    }
    case T_DropOwnedStmt: {
        const DropOwnedStmt *n = node;
        d->kind = DDL_DROP_OWNED;
        d->roles = ddl_roles(a, n->roles, &d->role_count);
        d->cascade = n->behavior == DROP_CASCADE;
        return ERR_OK;
    }
    case T_ReassignOwnedStmt: {
        const ReassignOwnedStmt *n = node;
        d->kind = DDL_REASSIGN_OWNED;
        d->roles = ddl_roles(a, n->roles, &d->role_count);
        d->owner = ddl_role(a, n->newrole);
        return ERR_OK;
    }
    default:
        return err_not_built("%s is not supported", d->tag);
    }
}

err_t ddl_node_wait(const struct ddl_analysis *a, void *node, struct ddl **out)
{
    TRY(fiber_check_stack());
    struct raw_statement raw = {.node = node};
    struct ddl *d = ARENA_NEW(a->mem, struct ddl);
    d->tag = parse_command_tag(&raw);
    TRY(node_fill_wait(a, node, d));
    *out = d;
    return ERR_OK;
}

/* SELECT ... INTO t: the clause stands in the leftmost SELECT. */
static SUSPENDS err_t select_into_wait(const struct ddl_analysis *a, SelectStmt *n,
                                       struct ddl **out)
{
    SelectStmt *leftmost = n;
    while (leftmost->op != SETOP_NONE && leftmost->larg)
        leftmost = leftmost->larg;
    if (!leftmost->intoClause)
        return err_raise(ERR_INTERNAL_ERROR, "not a utility statement");
    CreateTableAsStmt as = {.type = T_CreateTableAsStmt,
                            .query = (Node *)(void *)n,
                            .into = leftmost->intoClause,
                            .objtype = OBJECT_TABLE,
                            .is_select_into = true};
    struct ddl *d = ARENA_NEW(a->mem, struct ddl);
    d->kind = DDL_CREATE_TABLE_AS;
    d->tag = "SELECT INTO";
    leftmost->intoClause = NULL;
    err_t e = ddl_create_table_as_wait(a, &as, d);
    leftmost->intoClause = as.into;
    *out = d;
    return e;
}

err_t analyze_ddl_wait(const struct analyze_options *o, struct raw_statement *raw,
                       struct arena *mem, struct ddl **out, const char **tag)
{
    struct ddl_analysis a = {.o = o, .mem = mem, .begin = raw->location};
    int32_t length = o->text ? (int32_t)strlen(o->text) : 0;
    a.end = raw->length > 0 ? raw->location + raw->length : length;
    a.end = MIN(a.end, length);
    a.begin = MIN(MAX(a.begin, 0), a.end);
    if (nodeTag(raw->node) == T_SelectStmt)
        TRY(select_into_wait(&a, raw->node, out));
    else
        TRY(ddl_node_wait(&a, raw->node, out));
    *tag = (*out)->tag;
    return ERR_OK;
}
