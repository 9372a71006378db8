/*
 * Utility statements into struct utility. Strings are copied out of the raw tree. What is not known
 * here is DDL and goes to analyze_ddl_wait.
 */
#include "sql/analyze/utility.h"

#include "sql/analyze/analyze_priv.h"
#include "sql/analyze/ddl.h"
#include "sql/types/utf8.h"

#include <ctype.h>

static const char *copy_text(struct analysis *a, const char *s)
{
    return s ? arena_strdup(a->mem, s) : NULL;
}

/* ---- values of options and settings ---- */

static const char *node_text(struct analysis *a, const Node *n)
{
    if (!n)
        return NULL;
    switch (nodeTag(n)) {
    case T_Integer:
        return arena_printf(a->mem, "%d", ((const Integer *)n)->ival);
    case T_Float:
        return copy_text(a, ((const Float *)n)->fval);
    case T_Boolean:
        return ((const Boolean *)n)->boolval ? "true" : "false";
    case T_String:
        return copy_text(a, node_string(n));
    case T_A_Star:
        return "*";
    case T_A_Const: {
        const A_Const *c = (const A_Const *)n;
        return c->isnull ? NULL : node_text(a, &c->val.node);
    }
    case T_TypeCast: /* booleans and INTERVAL '...' */
        return node_text(a, ((const TypeCast *)n)->arg);
    case T_TypeName:
        return analyze_type_name_text(a->mem, (const TypeName *)n);
    case T_List: {
        struct strbuf b;
        strbuf_init(&b, a->mem);
        for (int i = 0; i < list_length((const List *)n); i++) {
            const char *item = node_text(a, list_nth((const List *)n, i));
            if (i > 0)
                strbuf_puts(&b, ", ");
            strbuf_puts(&b, item ? item : "");
        }
        return b.data ? b.data : "";
    }
    default:
        return NULL;
    }
}

static bool node_is_number(const Node *n)
{
    return n && (IsA(n, Integer) || IsA(n, Float));
}

static int32_t option_position(const struct analysis *a, int32_t location)
{
    if (!a->text || location < 0)
        return 0;
    return (int32_t)utf8_length(a->text, (size_t)location) + 1 + a->o->text_place;
}

static err_t option_list(struct analysis *a, const List *list, bool once, struct utility *u)
{
    u->option_count = (uint32_t)list_length(list);
    u->options = ARENA_ARRAY(a->mem, struct utility_option, u->option_count + 1);
    for (uint32_t i = 0; i < u->option_count; i++) {
        const DefElem *d = list_nth(list, (int)i);
        for (uint32_t k = 0; k < i && once; k++) {
            if (strcmp(u->options[k].name, d->defname) == 0)
                return analyze_at(a, d->location,
                                  err_raise(ERR_SYNTAX_ERROR, "conflicting or redundant options"));
        }
        u->options[i].name = copy_text(a, d->defname);
        u->options[i].value = node_text(a, d->arg);
        u->options[i].is_number = node_is_number(d->arg);
        u->options[i].position = option_position(a, d->location);
    }
    return ERR_OK;
}

/* ---- transactions ---- */

static void transaction_modes(struct analysis *a, const List *options, struct utility *u)
{
    u->isolation = -1;
    u->read_only = -1;
    u->deferrable = -1;
    for (int i = 0; i < list_length(options); i++) {
        const DefElem *d = list_nth(options, i);
        const char *value = node_text(a, d->arg);
        if (strcmp(d->defname, "transaction_isolation") == 0)
            u->isolation = strcmp(value, "serializable") == 0      ? 2
                           : strcmp(value, "repeatable read") == 0 ? 1
                                                                   : 0;
        else if (strcmp(d->defname, "transaction_read_only") == 0)
            u->read_only = strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
        else if (strcmp(d->defname, "transaction_deferrable") == 0)
            u->deferrable = strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
    }
}

static err_t transaction(struct analysis *a, const TransactionStmt *n, struct utility *u)
{
    static const enum utility_kind kinds[] = {
        [TRANS_STMT_BEGIN] = UTIL_BEGIN,
        [TRANS_STMT_START] = UTIL_BEGIN,
        [TRANS_STMT_COMMIT] = UTIL_COMMIT,
        [TRANS_STMT_ROLLBACK] = UTIL_ROLLBACK,
        [TRANS_STMT_SAVEPOINT] = UTIL_SAVEPOINT,
        [TRANS_STMT_RELEASE] = UTIL_RELEASE,
        [TRANS_STMT_ROLLBACK_TO] = UTIL_ROLLBACK_TO,
        [TRANS_STMT_PREPARE] = UTIL_PREPARE_TRANSACTION,
        [TRANS_STMT_COMMIT_PREPARED] = UTIL_COMMIT_PREPARED,
        [TRANS_STMT_ROLLBACK_PREPARED] = UTIL_ROLLBACK_PREPARED,
    };
    u->kind = kinds[n->kind];
    u->chain = n->chain;
    u->name = copy_text(a, n->savepoint_name ? n->savepoint_name : n->gid);
    transaction_modes(a, n->options, u);
    return ERR_OK;
}

/* ---- settings ---- */

/* Settings that are lists of names: each item is quoted as an identifier where it needs to be. */
static bool setting_quotes_list(const char *name)
{
    static const char *const names[] = {
        "search_path",
        "temp_tablespaces",
        "session_preload_libraries",
        "shared_preload_libraries",
        "local_preload_libraries",
        "unix_socket_directories",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool setting_takes_list(const char *name)
{
    static const char *const names[] = {
        "datestyle",
        "listen_addresses",
        "log_destination",
        "synchronous_standby_names",
        "wal_consistency_checking",
        "debug_io_direct",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return setting_quotes_list(name);
}

static bool is_plain_identifier(const char *s)
{
    if (!(islower((unsigned char)s[0]) || s[0] == '_'))
        return false;
    for (const char *p = s; *p; p++) {
        if (!(islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_'))
            return false;
    }
    return true;
}

static void put_identifier(struct strbuf *b, const char *s)
{
    if (is_plain_identifier(s)) {
        strbuf_puts(b, s);
        return;
    }
    strbuf_putc(b, '"');
    for (const char *p = s; *p; p++) {
        if (*p == '"')
            strbuf_putc(b, '"');
        strbuf_putc(b, *p);
    }
    strbuf_putc(b, '"');
}

static err_t setting_value(struct analysis *a, const VariableSetStmt *n, const char **out)
{
    struct strbuf b;
    strbuf_init(&b, a->mem);
    strbuf_puts(&b, "");
    int count = list_length(n->args);
    if (count > 1 && !setting_takes_list(n->name))
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "SET %s takes only one argument", n->name);
    for (int i = 0; i < count; i++) {
        const Node *arg = list_nth(n->args, i);
        const char *text = node_text(a, arg);
        if (i > 0)
            strbuf_puts(&b, ", ");
        bool is_string = IsA(arg, A_Const) && nodeTag(&((const A_Const *)arg)->val) == T_String;
        if (is_string && setting_quotes_list(n->name))
            put_identifier(&b, text);
        else
            strbuf_puts(&b, text ? text : "");
    }
    *out = b.data ? b.data : "";
    return ERR_OK;
}

static err_t set_multi(struct analysis *a, const VariableSetStmt *n, struct utility *u)
{
    if (strcmp(n->name, "TRANSACTION") == 0) {
        u->kind = UTIL_SET_TRANSACTION;
        transaction_modes(a, n->args, u);
    } else if (strcmp(n->name, "SESSION CHARACTERISTICS") == 0) {
        u->kind = UTIL_SET_SESSION_TRANSACTION;
        transaction_modes(a, n->args, u);
    } else if (strcmp(n->name, "TRANSACTION SNAPSHOT") == 0) {
        if (n->is_local)
            return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                             "SET LOCAL TRANSACTION SNAPSHOT is not implemented");
        u->kind = UTIL_SET_TRANSACTION;
        transaction_modes(a, NIL, u);
        u->snapshot = node_text(a, list_nth(n->args, 0));
    } else {
        return err_raise(ERR_INTERNAL_ERROR, "unexpected SET %s", n->name);
    }
    return ERR_OK;
}

static err_t variable_set(struct analysis *a, const VariableSetStmt *n, struct utility *u)
{
    u->name = copy_text(a, n->name);
    u->is_local = n->is_local;
    u->kind = UTIL_SET;
    switch (n->kind) {
    case VAR_SET_VALUE:
        return setting_value(a, n, &u->value);
    case VAR_SET_DEFAULT:
        return ERR_OK;
    case VAR_SET_CURRENT:
        return err_not_built("SET FROM CURRENT is not supported here");
    case VAR_SET_MULTI:
        return set_multi(a, n, u);
    case VAR_RESET:
        u->kind = UTIL_RESET;
        return ERR_OK;
    case VAR_RESET_ALL:
        u->kind = UTIL_RESET_ALL;
        return ERR_OK;
    }
    return ERR_OK;
}

static void variable_show(struct analysis *a, const VariableShowStmt *n, struct utility *u)
{
    u->kind = strcasecmp(n->name, "all") == 0 ? UTIL_SHOW_ALL : UTIL_SHOW;
    u->name = copy_text(a, n->name);
}

/* ---- prepared statements ---- */

/* Skips blanks and comments. */
static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end) {
        if (isspace((unsigned char)*p)) {
            p++;
        } else if (end - p > 1 && p[0] == '-' && p[1] == '-') {
            while (p < end && *p != '\n')
                p++;
        } else if (end - p > 1 && p[0] == '/' && p[1] == '*') {
            int depth = 0;
            do {
                if (end - p > 1 && p[0] == '/' && p[1] == '*') {
                    depth++;
                    p += 2;
                } else if (end - p > 1 && p[0] == '*' && p[1] == '/') {
                    depth--;
                    p += 2;
                } else {
                    p++;
                }
            } while (p < end && depth > 0);
        } else {
            break;
        }
    }
    return p;
}

static const char *skip_word(const char *p, const char *end)
{
    if (p < end && *p == '"') {
        p++;
        while (p < end && (*p != '"' || (p + 1 < end && p[1] == '"')))
            p += *p == '"' ? 2 : 1;
        return p < end ? p + 1 : end;
    }
    while (p < end && (isalnum((unsigned char)*p) || *p == '_' || *p == '$' || (*p & 0x80)))
        p++;
    return p;
}

/* The text after PREPARE name [(types)] AS; the grammar has accepted it already. */
static const char *prepare_inner_text(struct analysis *a, const struct raw_statement *raw,
                                      int32_t *place)
{
    *place = 0;
    if (!a->text)
        return NULL;
    const char *p = a->text + raw->location;
    const char *end = raw->length ? p + raw->length : p + strlen(p);
    p = skip_word(skip_blanks(p, end), end); /* PREPARE */
    p = skip_word(skip_blanks(p, end), end); /* name */
    p = skip_blanks(p, end);
    if (p < end && *p == '(') {
        int depth = 0;
        do {
            if (*p == '"') {
                p = skip_word(p, end);
                continue;
            }
            depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
            p++;
        } while (p < end && depth > 0);
    }
    p = skip_word(skip_blanks(p, end), end); /* AS */
    p = skip_blanks(p, end);
    *place = (int32_t)utf8_length(a->text, (size_t)(p - a->text)) + a->o->text_place;
    return arena_strndup(a->mem, p, (size_t)(end - p));
}

static SUSPENDS err_t prepare_wait(struct analysis *a, const struct raw_statement *raw,
                                   const PrepareStmt *n, struct utility *u)
{
    u->kind = UTIL_PREPARE;
    u->name = copy_text(a, n->name);
    u->type_count = (uint32_t)list_length(n->argtypes);
    u->types = ARENA_ARRAY(a->mem, oid, u->type_count + 1);
    for (uint32_t i = 0; i < u->type_count; i++) {
        int32_t typmod;
        const TypeName *t = list_nth(n->argtypes, (int)i);
        TRY(analyze_type_name_wait(a, t, &u->types[i], &typmod));
        if (u->types[i] == TYPE_UNKNOWN)
            u->types[i] = OID_NONE;
    }
    u->raw = ARENA_NEW(a->mem, struct raw_statement);
    u->raw->node = n->query;
    u->raw_text = prepare_inner_text(a, raw, &u->raw_place);
    return ERR_OK;
}

SUSPENDS err_t analyze_execute_args_wait(const struct analyze_options *o, const struct utility *u,
                                         const oid *types, struct arena *mem, struct expr **out)
{
    struct analysis a;
    analysis_begin(&a, o, mem);
    struct scope *s = scope_new(&a, NULL, CMD_SELECT);
    err_t e = ERR_OK;
    for (uint32_t i = 0; i < u->arg_count && e == ERR_OK; i++) {
        struct expr *given = u->args[i];
        e = coerce_to_target(s, given, types[i], -1, COERCE_BY_ASSIGNMENT, false, -1, &out[i]);
        if (e != ERR_OK || out[i])
            continue;
        e = err_raise(ERR_DATATYPE_MISMATCH,
                      "parameter $%u of type %s cannot be coerced to the expected type %s", i + 1,
                      analyze_type_text(&a, given->type), analyze_type_text(&a, types[i]));
        err_hint("You will need to rewrite or cast the expression.");
        analyze_set_position(&a, expr_location(given));
    }
    analysis_end(&a);
    return e;
}

static SUSPENDS err_t execute_wait(struct analysis *a, const ExecuteStmt *n, struct utility *u)
{
    u->kind = UTIL_EXECUTE;
    u->name = copy_text(a, n->name);
    u->arg_count = (uint32_t)list_length(n->params);
    u->args = ARENA_ARRAY(a->mem, struct expr *, u->arg_count + 1);
    struct scope *s = scope_new(a, NULL, CMD_SELECT);
    for (uint32_t i = 0; i < u->arg_count; i++) {
        TRY(analyze_expr_wait(s, list_nth(n->params, (int)i), PLACE_EXECUTE, &u->args[i]));
        if (u->args[i]->type == TYPE_UNKNOWN && u->args[i]->kind != EXPR_CONST)
            TRY(coerce_type(s, u->args[i], TYPE_TEXT, -1, COERCE_BY_CONTEXT, false, -1,
                            &u->args[i]));
    }
    return ERR_OK;
}

/* ---- cursors ---- */

/* Rows are locked as they are fetched, so a cursor that keeps rows or fetches them later cannot. */
static err_t declare_locking_allowed(int options, const struct query *q)
{
    static const char *const modes[] = {
        [LOCK_KEY_SHARE] = "FOR KEY SHARE",
        [LOCK_SHARE] = "FOR SHARE",
        [LOCK_NO_KEY_UPDATE] = "FOR NO KEY UPDATE",
        [LOCK_UPDATE] = "FOR UPDATE",
    };
    if (q->row_mark_count == 0)
        return ERR_OK;
    const char *mode = modes[q->row_marks[0].mode];
    err_t e = ERR_OK;
    if (options & CURSOR_OPT_HOLD) {
        e = err_raise(ERR_FEATURE_NOT_SUPPORTED, "DECLARE CURSOR WITH HOLD ... %s is not supported",
                      mode);
        err_detail("Holdable cursors must be READ ONLY.");
    } else if (options & CURSOR_OPT_SCROLL) {
        e = err_raise(ERR_FEATURE_NOT_SUPPORTED, "DECLARE SCROLL CURSOR ... %s is not supported",
                      mode);
        err_detail("Scrollable cursors must be READ ONLY.");
    } else if (options & CURSOR_OPT_INSENSITIVE) {
        e = err_raise(ERR_INVALID_CURSOR_DEFINITION,
                      "DECLARE INSENSITIVE CURSOR ... %s is not valid", mode);
        err_detail("Insensitive cursors must be READ ONLY.");
    }
    return e;
}

static SUSPENDS err_t declare_wait(struct analysis *a, const DeclareCursorStmt *n,
                                   struct utility *u, struct statement *st)
{
    u->kind = UTIL_DECLARE_CURSOR;
    u->name = copy_text(a, n->portalname);
    u->cursor_options = n->options;
    if ((n->options & CURSOR_OPT_SCROLL) && (n->options & CURSOR_OPT_NO_SCROLL))
        return err_raise(ERR_INVALID_CURSOR_DEFINITION, "cannot specify both SCROLL and NO SCROLL");
    if ((n->options & CURSOR_OPT_ASENSITIVE) && (n->options & CURSOR_OPT_INSENSITIVE))
        return err_raise(ERR_INVALID_CURSOR_DEFINITION,
                         "cannot specify both ASENSITIVE and INSENSITIVE");
    TRY(analyze_inner_wait(a, n->query, &u->cursor_query));
    if (u->cursor_query->command == CMD_SELECT && u->cursor_query->query->has_modifying_cte)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "DECLARE CURSOR must not contain data-modifying statements in WITH");
    if (u->cursor_query->command != CMD_SELECT)
        return err_raise(ERR_INVALID_CURSOR_DEFINITION,
                         "DECLARE CURSOR must not contain data-modifying statements");
    st->query = u->cursor_query->query;
    return declare_locking_allowed(n->options, st->query);
}

static void fetch(struct analysis *a, const FetchStmt *n, struct utility *u)
{
    u->kind = UTIL_FETCH;
    u->name = copy_text(a, n->portalname);
    u->fetch_direction = (int)n->direction;
    u->fetch_count = n->howMany; /* FETCH_ALL is the greatest long */
    u->is_move = n->ismove;
}

/* ---- COPY ---- */

static err_t copy_columns(struct analysis *a, const CopyStmt *n, const struct table_desc *t,
                          struct utility *u)
{
    uint32_t named = (uint32_t)list_length(n->attlist);
    u->copy.columns = ARENA_ARRAY(a->mem, int16_t, MAX(named, t->column_count) + 1);
    if (!named) {
        for (uint32_t i = 0; i < t->column_count; i++) {
            if (!t->columns[i].dropped && !t->columns[i].generated)
                u->copy.columns[u->copy.column_count++] = t->columns[i].attno;
        }
        return ERR_OK;
    }
    for (uint32_t i = 0; i < named; i++) {
        const char *name = list_string(n->attlist, (int)i);
        const struct column_desc *c = table_column(t, name);
        if (!c)
            return err_raise(ERR_UNDEFINED_COLUMN,
                             "column \"%s\" of relation \"%s\" does not exist", name, t->name);
        if (c->generated)
            return err_raise(ERR_INVALID_COLUMN_REFERENCE, "column \"%s\" is a generated column",
                             name);
        for (uint32_t k = 0; k < u->copy.column_count; k++) {
            if (u->copy.columns[k] == c->attno)
                return err_raise(ERR_DUPLICATE_COLUMN, "column \"%s\" specified more than once",
                                 name);
        }
        u->copy.columns[u->copy.column_count++] = c->attno;
    }
    return ERR_OK;
}

static SUSPENDS err_t copy_where_wait(struct analysis *a, const CopyStmt *n,
                                      const struct table_desc *t, struct utility *u)
{
    if (!n->whereClause)
        return ERR_OK;
    struct scope *s = scope_new(a, NULL, CMD_SELECT);
    struct range_entry *r = range_entry_of_table(s, t, NULL);
    struct scope_item *item = scope_item_for_rte(s, r, 0, t);
    scope_add_rte(s, r, item);
    scope_add_item(s, item);
    return analyze_condition_wait(s, n->whereClause, PLACE_COPY_WHERE, "WHERE", &u->copy.where);
}

static err_t copy_relation_kind(const struct table_desc *t, bool is_from)
{
    const char *to = is_from ? "to" : "from";
    switch (t->kind) {
    case 'r':
    case 'p':
        break;
    case 'v': {
        if (t->virtual_name && !is_from)
            return ERR_OK;
        err_t e = err_raise(ERR_WRONG_OBJECT_TYPE, "cannot copy %s view \"%s\"", to, t->name);
        if (is_from)
            err_hint("To enable copying to a view, provide an INSTEAD OF INSERT trigger.");
        else
            err_hint("Try the COPY (SELECT ...) TO variant.");
        return e;
    }
    case 'm': {
        err_t e = err_raise(ERR_WRONG_OBJECT_TYPE, "cannot copy %s materialized view \"%s\"", to,
                            t->name);
        if (!is_from)
            err_hint("Try the COPY (SELECT ...) TO variant.");
        return e;
    }
    case 'S':
        return err_raise(ERR_WRONG_OBJECT_TYPE, "cannot copy %s sequence \"%s\"", to, t->name);
    default:
        return err_raise(ERR_WRONG_OBJECT_TYPE, "cannot copy %s non-table relation \"%s\"", to,
                         t->name);
    }
    return ERR_OK;
}

static SUSPENDS err_t copy_wait(struct analysis *a, const CopyStmt *n, struct utility *u,
                                struct statement *st)
{
    u->kind = UTIL_COPY;
    u->copy.is_from = n->is_from;
    u->copy.is_program = n->is_program;
    u->copy.file = copy_text(a, n->filename);
    TRY(option_list(a, n->options, true, u));
    if (n->relation) {
        const struct table_desc *t;
        RangeVar name = *n->relation;
        name.location = -1; /* COPY's errors show no position, as PostgreSQL's */
        TRY(analysis_table_wait(a, &name, &t));
        TRY(copy_relation_kind(t, n->is_from));
        u->copy.table = t->oid;
        TRY(copy_columns(a, n, t, u));
        return copy_where_wait(a, n, t, u);
    }
    TRY(analyze_inner_wait(a, n->query, &u->copy.query));
    const struct query *q = u->copy.query->query;
    if (!q)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY query is not a query");
    if (q->command != CMD_SELECT && q->returning_count == 0)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY query must have a RETURNING clause");
    st->query = u->copy.query->query;
    return ERR_OK;
}

/* ---- others ---- */

static SUSPENDS err_t explain_wait(struct analysis *a, const ExplainStmt *n, struct utility *u,
                                   struct statement *st)
{
    u->kind = UTIL_EXPLAIN;
    TRY(option_list(a, n->options, false, u));
    switch (nodeTag(n->query)) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
        break;
    default: {
        struct raw_statement raw = {.node = n->query};
        return err_not_built("EXPLAIN of %s is not supported yet", parse_command_tag(&raw));
    }
    }
    TRY(analyze_inner_wait(a, n->query, &u->explained));
    if (!u->explained->query)
        return err_not_built("EXPLAIN of %s is not supported yet", u->explained->tag);
    st->query = u->explained->query;
    return ERR_OK;
}

static SUSPENDS err_t lock_wait(struct analysis *a, const LockStmt *n, struct utility *u)
{
    u->kind = UTIL_LOCK;
    u->lock_mode = n->mode;
    u->nowait = n->nowait;
    u->table_count = (uint32_t)list_length(n->relations);
    u->tables = ARENA_ARRAY(a->mem, oid, u->table_count + 1);
    for (uint32_t i = 0; i < u->table_count; i++) {
        const struct table_desc *t;
        const RangeVar *rv = list_nth(n->relations, (int)i);
        TRY(analysis_table_find_wait(a, rv->schemaname, rv->relname, &t));
        if (!t) /* no position, as PostgreSQL */
            return rv->schemaname
                       ? err_raise(ERR_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist",
                                   rv->schemaname, rv->relname)
                       : err_raise(ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist",
                                   rv->relname);
        if (t->kind != 'r' && t->kind != 'p' && t->kind != 'v')
            return err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a table or view", t->name);
        u->tables[i] = t->oid;
    }
    return ERR_OK;
}

static SUSPENDS err_t ddl_wait(struct analysis *a, struct raw_statement *raw, struct utility *u,
                               struct statement *st)
{
    u->kind = UTIL_DDL;
    TRY(analyze_ddl_wait(a->o, raw, a->mem, &u->ddl, &st->tag));
    if (u->ddl->table && u->ddl->table->query && u->ddl->table->query->query)
        st->query = u->ddl->table->query->query;
    return ERR_OK;
}

static void set_constraints(struct analysis *a, const ConstraintsSetStmt *n, struct utility *u)
{
    u->kind = UTIL_SET_CONSTRAINTS;
    u->all = n->constraints == NIL;
    u->deferred = n->deferred;
    u->name_count = (uint32_t)list_length(n->constraints);
    u->names = ARENA_ARRAY(a->mem, struct utility_name, u->name_count + 1);
    for (uint32_t i = 0; i < u->name_count; i++) {
        const RangeVar *rv = list_nth(n->constraints, (int)i);
        u->names[i].schema = rv->schemaname ? arena_strdup(a->mem, rv->schemaname) : NULL;
        u->names[i].name = arena_strdup(a->mem, rv->relname);
    }
}

static int discard_number(DiscardMode m)
{
    return m == DISCARD_ALL ? 0 : m == DISCARD_PLANS ? 1 : m == DISCARD_SEQUENCES ? 2 : 3;
}

static SUSPENDS err_t utility_wait(struct analysis *a, struct raw_statement *raw, struct utility *u,
                                   struct statement *st)
{
    const Node *n = raw->node;
    switch (nodeTag(n)) {
    case T_TransactionStmt:
        return transaction(a, (const TransactionStmt *)n, u);
    case T_VariableSetStmt:
        return variable_set(a, (const VariableSetStmt *)n, u);
    case T_VariableShowStmt:
        variable_show(a, (const VariableShowStmt *)n, u);
        return ERR_OK;
    case T_ConstraintsSetStmt:
        set_constraints(a, (const ConstraintsSetStmt *)n, u);
        return ERR_OK;
    case T_DiscardStmt:
        u->kind = UTIL_DISCARD;
        u->discard = discard_number(((const DiscardStmt *)n)->target);
        return ERR_OK;
    case T_PrepareStmt:
        return prepare_wait(a, raw, (const PrepareStmt *)n, u);
    case T_ExecuteStmt:
        return execute_wait(a, (const ExecuteStmt *)n, u);
    case T_DeallocateStmt:
        u->kind = UTIL_DEALLOCATE;
        u->name = copy_text(a, ((const DeallocateStmt *)n)->name);
        u->all = !u->name;
        return ERR_OK;
    case T_DeclareCursorStmt:
        return declare_wait(a, (const DeclareCursorStmt *)n, u, st);
    case T_FetchStmt:
        fetch(a, (const FetchStmt *)n, u);
        return ERR_OK;
    case T_ClosePortalStmt:
        u->kind = UTIL_CLOSE_CURSOR;
        u->name = copy_text(a, ((const ClosePortalStmt *)n)->portalname);
        u->all = !u->name;
        return ERR_OK;
    case T_ListenStmt:
        u->kind = UTIL_LISTEN;
        u->name = copy_text(a, ((const ListenStmt *)n)->conditionname);
        return ERR_OK;
    case T_UnlistenStmt:
        u->kind = UTIL_UNLISTEN;
        u->name = copy_text(a, ((const UnlistenStmt *)n)->conditionname);
        u->all = !u->name;
        return ERR_OK;
    case T_NotifyStmt:
        u->kind = UTIL_NOTIFY;
        u->name = copy_text(a, ((const NotifyStmt *)n)->conditionname);
        u->value = copy_text(a, ((const NotifyStmt *)n)->payload);
        return ERR_OK;
    case T_LockStmt:
        return lock_wait(a, (const LockStmt *)n, u);
    case T_CheckPointStmt:
        u->kind = UTIL_CHECKPOINT;
        return ERR_OK;
    case T_ExplainStmt:
        return explain_wait(a, (const ExplainStmt *)n, u, st);
    case T_CopyStmt:
        return copy_wait(a, (const CopyStmt *)n, u, st);
    case T_CallStmt:
    case T_DoStmt:
    case T_LoadStmt:
        return err_not_built("%s is not supported yet", parse_command_tag(raw));
    default:
        return ddl_wait(a, raw, u, st);
    }
}

SUSPENDS err_t analyze_utility_wait(struct analysis *a, struct raw_statement *raw,
                                    struct statement *st)
{
    struct utility *u = ARENA_NEW(a->mem, struct utility);
    u->isolation = -1;
    u->read_only = -1;
    u->deferrable = -1;
    st->utility = u;
    return utility_wait(a, raw, u, st);
}
