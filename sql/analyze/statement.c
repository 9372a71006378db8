/*
 * Entry points: one statement, or one stored expression of a table. Descriptors looked up are held
 * until the end; parameters of unknown type must have found one by then.
 */
#include "sql/analyze/analyze_priv.h"

/* ---- the running analysis ---- */

void analysis_begin(struct analysis *a, const struct analyze_options *o, struct arena *mem)
{
    *a = (struct analysis){
        .o = o,
        .catalog = o->catalog,
        .env = o->env,
        .mem = mem,
        .text = o->text,
        .params_fixed = o->params_fixed,
        .param_count = o->param_count,
        .param_capacity = o->param_count,
    };
    a->param_types = ARENA_ARRAY(mem, oid, o->param_count + 1);
    if (o->param_count)
        memcpy(a->param_types, o->param_types, sizeof(oid) * o->param_count);
}

void analysis_end(struct analysis *a)
{
    for (struct held_table *h = a->tables; h; h = h->next)
        table_release(h->table);
    a->tables = NULL;
}

COLD void analyze_set_position(const struct analysis *a, int32_t location)
{
    if (!a->text || location < a->text_skip)
        return;
    size_t bytes = (size_t)(location - a->text_skip);
    int32_t character = 1 + a->o->text_place;
    for (size_t i = 0; i < bytes && a->text[i]; i++)
        character += ((uint8_t)a->text[i] & 0xC0) != 0x80;
    if (character > 0)
        err_position(character);
}

static void analysis_hold(struct analysis *a, const struct table_desc *t)
{
    struct held_table *h = ARENA_NEW(a->mem, struct held_table);
    h->table = t;
    h->next = a->tables;
    a->tables = h;
}

SUSPENDS err_t analysis_table_by_oid_wait(struct analysis *a, oid table,
                                          const struct table_desc **out)
{
    TRY(table_by_oid_wait(a->catalog, table, out));
    if (*out)
        analysis_hold(a, *out);
    return ERR_OK;
}

SUSPENDS err_t analysis_table_find_wait(struct analysis *a, const char *schema, const char *name,
                                        const struct table_desc **out)
{
    TRY(table_by_name_wait(a->catalog, schema, name, out));
    if (*out)
        analysis_hold(a, *out);
    return ERR_OK;
}

SUSPENDS err_t analysis_table_wait(struct analysis *a, const RangeVar *rv,
                                   const struct table_desc **out)
{
    if (rv->catalogname && a->env->database_name &&
        strcmp(rv->catalogname, a->env->database_name) != 0)
        return analyze_at(a, rv->location,
                          err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                    "cross-database references are not implemented: "
                                    "\"%s.%s.%s\"",
                                    rv->catalogname, rv->schemaname, rv->relname));
    TRY(analysis_table_find_wait(a, rv->schemaname, rv->relname, out));
    bool visible = *out != NULL;
    if (visible)
        TRY(analyze_schema_wait(a, rv->location, rv->schemaname != NULL, *out, &visible));
    if (visible)
        return ERR_OK;
    return analyze_at(
        a, rv->location,
        rv->schemaname
            ? err_raise(ERR_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist", rv->schemaname,
                        rv->relname)
            : err_raise(ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", rv->relname));
}

/* ---- parameters ---- */

static err_t params_settle(struct analysis *a)
{
    for (struct param_ref *p = a->param_refs; p; p = p->next) {
        oid type = a->param_types[p->expr->param - 1];
        if (p->expr->type != type)
            return analyze_at(a, p->expr->location,
                              err_raise(ERR_AMBIGUOUS_PARAMETER,
                                        "could not determine data type of parameter $%u",
                                        p->expr->param));
    }
    for (uint32_t i = 0; i < a->param_count; i++) {
        if (a->param_types[i] == OID_NONE || a->param_types[i] == TYPE_UNKNOWN)
            return err_raise(ERR_INDETERMINATE_DATATYPE,
                             "could not determine data type of parameter $%u", i + 1);
    }
    return ERR_OK;
}

/* ---- statements ---- */

static bool is_select_into(const SelectStmt *n)
{
    while (n->larg)
        n = n->larg;
    return n->intoClause != NULL;
}

static bool is_query(const Node *n)
{
    switch (nodeTag(n)) {
    case T_SelectStmt:
        return !is_select_into((const SelectStmt *)n);
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
        return true;
    default:
        return false;
    }
}

/* A query inside another statement (EXPLAIN, DECLARE CURSOR, COPY): parameters are shared. */
SUSPENDS err_t analyze_inner_wait(struct analysis *a, void *node, struct statement **out)
{
    struct raw_statement raw = {.node = node};
    struct statement *st = ARENA_NEW(a->mem, struct statement);
    st->mem = a->mem;
    st->tag = parse_command_tag(&raw);
    *out = st;
    if (!is_query(node)) {
        st->command = CMD_UTILITY;
        return analyze_utility_wait(a, &raw, st);
    }
    uint32_t first = a->exec_param_count;
    a->exec_param_count = 0;
    TRY(analyze_query_wait(a, node, &st->query));
    st->query->exec_param_count = a->exec_param_count;
    a->exec_param_count = first;
    st->command = st->query->command;
    return analyze_rights_wait(a, st->query);
}

static SUSPENDS err_t statement_wait(struct analysis *a, struct raw_statement *raw,
                                     struct statement *st)
{
    st->tag = parse_command_tag(raw);
    if (is_query(raw->node)) {
        TRY(analyze_query_wait(a, raw->node, &st->query));
        st->command = st->query->command;
        st->query->exec_param_count = a->exec_param_count;
    } else {
        st->command = CMD_UTILITY;
        TRY(analyze_utility_wait(a, raw, st));
    }
    TRY(params_settle(a));
    if (st->query && st->command != CMD_UTILITY)
        TRY(analyze_rights_wait(a, st->query));
    st->param_count = a->param_count;
    st->param_types = a->param_types;
    st->has_volatile_settings = a->has_volatile_settings;
    return ERR_OK;
}

SUSPENDS err_t analyze_statement_wait(const struct analyze_options *o, struct raw_statement *raw,
                                      struct arena *mem, struct statement **out)
{
    struct analysis a;
    analysis_begin(&a, o, mem);
    struct statement *st = ARENA_NEW(mem, struct statement);
    st->mem = mem;
    err_t e = statement_wait(&a, raw, st);
    analysis_end(&a);
    if (e == ERR_OK)
        *out = st;
    return e;
}

/* ---- stored expressions ---- */

static SUSPENDS err_t table_text_wait(struct scope *s, const struct table_desc *t, const char *text,
                                      oid type, int32_t typmod, struct expr **out)
{
    struct analysis *a = s->a;
    struct parsed *p;
    TRY(parse_text(arena_printf(a->mem, "SELECT %s", text), a->mem, &p));
    err_t e;
    const SelectStmt *n = p->count == 1 ? p->statements[0].node : NULL;
    if (!n || !IsA(n, SelectStmt) || list_length(n->targetList) != 1 || n->fromClause) {
        e = err_raise(ERR_SYNTAX_ERROR, "syntax error in expression \"%s\"", text);
    } else {
        const ResTarget *r = list_nth(n->targetList, 0);
        enum place place = type == TYPE_BOOL  ? PLACE_CHECK
                           : type == OID_NONE ? PLACE_INDEX_EXPRESSION
                           : t == NULL        ? PLACE_COLUMN_DEFAULT
                                              : PLACE_OTHER;
        e = analyze_expr_wait(s, r->val, place, out);
    }
    parse_free(p);
    TRY(e);
    if (s->query->has_aggregates)
        return err_raise(ERR_GROUPING_ERROR,
                         "aggregate functions are not allowed in DEFAULT expressions");
    if (s->query->has_windows)
        return err_raise(ERR_WINDOWING_ERROR,
                         "window functions are not allowed in DEFAULT expressions");
    if (type == OID_NONE) {
        if ((*out)->type == TYPE_UNKNOWN)
            return coerce_type(s, *out, TYPE_TEXT, -1, COERCE_BY_CONTEXT, false, -1, out);
        return ERR_OK;
    }
    struct expr *given = *out;
    TRY(coerce_to_target(s, given, type, typmod, COERCE_BY_ASSIGNMENT, false, -1, out));
    if (*out)
        return ERR_OK;
    e = err_raise(ERR_DATATYPE_MISMATCH, "expression is of type %s but type %s is required",
                  analyze_type_text(a, given->type), analyze_type_text(a, type));
    err_hint("You will need to rewrite or cast the expression.");
    return e;
}

SUSPENDS err_t analyze_table_text_wait(struct analysis *a, const struct table_desc *t,
                                       const char *text, oid type, int32_t typmod,
                                       struct expr **out)
{
    struct scope *s = scope_new(a, NULL, CMD_SELECT);
    if (t) {
        struct range_entry *r = range_entry_of_table(s, t, NULL);
        struct scope_item *item = scope_item_for_rte(s, r, 0, t);
        scope_add_rte(s, r, item);
        scope_add_item(s, item);
    }
    const char *saved = a->text;
    a->text = NULL;
    err_t e = table_text_wait(s, t, text, type, typmod, out);
    a->text = saved;
    return e;
}

SUSPENDS err_t analyze_table_expr_wait(const struct analyze_options *o, const struct table_desc *t,
                                       const char *text, oid type, int32_t typmod,
                                       struct arena *mem, struct expr **out)
{
    struct analysis a;
    analysis_begin(&a, o, mem);
    err_t e = analyze_table_text_wait(&a, t, text, type, typmod, out);
    if (e == ERR_OK)
        e = params_settle(&a);
    analysis_end(&a);
    return e;
}
