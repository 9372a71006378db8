/*
 * Raw expression trees back to SQL text: defaults, checks, index expressions and predicates are
 * kept as text, analysed when the statement runs and stored in canonical form. Parentheses are
 * written wherever precedence could matter; names are quoted; what cannot stand in such an
 * expression is refused.
 */
#include "sql/analyze/ddl_priv.h"

#include <ctype.h>

struct writer {
    const struct ddl_analysis *a;
    struct strbuf out;
    const char *place; /* what the expression is, for messages */
};

err_t ddl_at(const struct ddl_analysis *a, int32_t location, err_t e)
{
    if (location < 0 || !a->o->text)
        return e;
    int32_t characters = 1;
    for (int32_t i = 0; i < location && a->o->text[i]; i++)
        characters += ((uint8_t)a->o->text[i] & 0xC0) != 0x80;
    err_position(characters);
    return e;
}

const char *ddl_quote_name(struct arena *mem, const char *name)
{
    struct strbuf b;
    strbuf_init(&b, mem);
    strbuf_putc(&b, '"');
    for (; *name; name++) {
        if (*name == '"')
            strbuf_putc(&b, '"');
        strbuf_putc(&b, *name);
    }
    strbuf_putc(&b, '"');
    return b.data;
}

static void put_name(struct writer *w, const char *name)
{
    strbuf_puts(&w->out, ddl_quote_name(w->a->mem, name));
}

static void put_names(struct writer *w, const List *names)
{
    ListCell *cell;
    bool first = true;
    foreach (cell, names) {
        if (!first)
            strbuf_putc(&w->out, '.');
        first = false;
        put_name(w, node_string(lfirst(cell)));
    }
}

static void put_literal(struct writer *w, const char *text)
{
    bool escapes = strchr(text, '\\') != NULL;
    strbuf_puts(&w->out, escapes ? "E'" : "'");
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            strbuf_putc(&w->out, *text);
        strbuf_putc(&w->out, *text);
    }
    strbuf_putc(&w->out, '\'');
}

static err_t put(struct writer *w, const void *node);

static err_t put_list(struct writer *w, const List *list)
{
    ListCell *cell;
    bool first = true;
    foreach (cell, list) {
        if (!first)
            strbuf_puts(&w->out, ", ");
        first = false;
        TRY(put(w, lfirst(cell)));
    }
    return ERR_OK;
}

static err_t put_nested(struct writer *w, const void *node)
{
    strbuf_putc(&w->out, '(');
    TRY(put(w, node));
    strbuf_putc(&w->out, ')');
    return ERR_OK;
}

static void put_constant(struct writer *w, const A_Const *c)
{
    if (c->isnull) {
        strbuf_puts(&w->out, "NULL");
        return;
    }
    switch (nodeTag(&c->val)) {
    case T_Integer:
        strbuf_printf(&w->out, "%d", c->val.ival.ival);
        break;
    case T_Float:
        strbuf_puts(&w->out, c->val.fval.fval);
        break;
    case T_Boolean:
        strbuf_puts(&w->out, c->val.boolval.boolval ? "TRUE" : "FALSE");
        break;
    case T_BitString:
        strbuf_putc(&w->out, c->val.bsval.bsval[0]);
        put_literal(w, c->val.bsval.bsval + 1);
        break;
    default:
        put_literal(w, c->val.sval.sval);
        break;
    }
}

static err_t put_type(struct writer *w, const TypeName *t)
{
    if (t->setof || t->pct_type)
        return err_not_built("this kind of type name in a stored expression");
    put_names(w, t->names);
    if (t->typmods) {
        strbuf_putc(&w->out, '(');
        TRY(put_list(w, t->typmods));
        strbuf_putc(&w->out, ')');
    }
    for (int i = 0; i < list_length(t->arrayBounds); i++)
        strbuf_puts(&w->out, "[]");
    return ERR_OK;
}

/* interval's modifiers have their own syntax: only the plain literal form is left to the cast. */
static err_t put_cast(struct writer *w, const TypeCast *c)
{
    strbuf_puts(&w->out, "CAST(");
    TRY(put(w, c->arg));
    strbuf_puts(&w->out, " AS ");
    TRY(put_type(w, c->typeName));
    strbuf_putc(&w->out, ')');
    return ERR_OK;
}

static void put_operator(struct writer *w, const List *name)
{
    ASSUME(name != NULL);
    if (list_length(name) == 1) {
        strbuf_puts(&w->out, list_string(name, 0));
        return;
    }
    strbuf_puts(&w->out, "OPERATOR(");
    for (int i = 0; i + 1 < list_length(name); i++) {
        put_name(w, list_string(name, i));
        strbuf_putc(&w->out, '.');
    }
    strbuf_puts(&w->out, list_string(name, list_length(name) - 1));
    strbuf_putc(&w->out, ')');
}

static err_t put_between(struct writer *w, const A_Expr *e, const char *keyword)
{
    const List *bounds = (const List *)(const void *)e->rexpr;
    TRY(put_nested(w, e->lexpr));
    strbuf_puts(&w->out, keyword);
    TRY(put_nested(w, linitial(bounds)));
    strbuf_puts(&w->out, " AND ");
    return put_nested(w, lsecond(bounds));
}

static err_t put_like(struct writer *w, const A_Expr *e, const char *plain, const char *negated,
                      bool is_negated)
{
    TRY(put_nested(w, e->lexpr));
    strbuf_puts(&w->out, is_negated ? negated : plain);
    /* ESCAPE and SIMILAR TO are written as a call of like_escape / similar_to_escape: valid as is
     */
    return put_nested(w, e->rexpr);
}

static err_t put_a_expr(struct writer *w, const A_Expr *e)
{
    const char *name = e->name ? list_string(e->name, list_length(e->name) - 1) : "";
    switch (e->kind) {
    case AEXPR_OP:
        if (e->lexpr)
            TRY(put_nested(w, e->lexpr));
        strbuf_putc(&w->out, ' ');
        put_operator(w, e->name);
        strbuf_putc(&w->out, ' ');
        return put_nested(w, e->rexpr);
    case AEXPR_OP_ANY:
    case AEXPR_OP_ALL:
        TRY(put_nested(w, e->lexpr));
        strbuf_putc(&w->out, ' ');
        put_operator(w, e->name);
        strbuf_puts(&w->out, e->kind == AEXPR_OP_ANY ? " ANY " : " ALL ");
        return put_nested(w, e->rexpr);
    case AEXPR_DISTINCT:
    case AEXPR_NOT_DISTINCT:
        TRY(put_nested(w, e->lexpr));
        strbuf_puts(&w->out,
                    e->kind == AEXPR_DISTINCT ? " IS DISTINCT FROM " : " IS NOT DISTINCT FROM ");
        return put_nested(w, e->rexpr);
    case AEXPR_NULLIF:
        strbuf_puts(&w->out, "NULLIF(");
        TRY(put(w, e->lexpr));
        strbuf_puts(&w->out, ", ");
        TRY(put(w, e->rexpr));
        strbuf_putc(&w->out, ')');
        return ERR_OK;
    case AEXPR_IN:
        TRY(put_nested(w, e->lexpr));
        strbuf_puts(&w->out, strcmp(name, "<>") == 0 ? " NOT IN (" : " IN (");
        TRY(put_list(w, (const List *)(const void *)e->rexpr));
        strbuf_putc(&w->out, ')');
        return ERR_OK;
    case AEXPR_LIKE:
        return put_like(w, e, " LIKE ", " NOT LIKE ", strcmp(name, "!~~") == 0);
    case AEXPR_ILIKE:
        return put_like(w, e, " ILIKE ", " NOT ILIKE ", strcmp(name, "!~~*") == 0);
    case AEXPR_SIMILAR: /* the pattern is already a regular expression call */
        TRY(put_nested(w, e->lexpr));
        strbuf_puts(&w->out, strcmp(name, "!~") == 0 ? " !~ " : " ~ ");
        return put_nested(w, e->rexpr);
    case AEXPR_BETWEEN:
        return put_between(w, e, " BETWEEN ");
    case AEXPR_NOT_BETWEEN:
        return put_between(w, e, " NOT BETWEEN ");
    case AEXPR_BETWEEN_SYM:
        return put_between(w, e, " BETWEEN SYMMETRIC ");
    case AEXPR_NOT_BETWEEN_SYM:
        return put_between(w, e, " NOT BETWEEN SYMMETRIC ");
    default:
        return err_not_built("this kind of operator in a stored expression");
    }
}

static err_t put_bool(struct writer *w, const BoolExpr *b)
{
    if (b->boolop == NOT_EXPR) {
        strbuf_puts(&w->out, "NOT ");
        return put_nested(w, linitial(b->args));
    }
    ListCell *cell;
    bool first = true;
    foreach (cell, b->args) {
        if (!first)
            strbuf_puts(&w->out, b->boolop == AND_EXPR ? " AND " : " OR ");
        first = false;
        TRY(put_nested(w, lfirst(cell)));
    }
    return ERR_OK;
}

static err_t put_call(struct writer *w, const FuncCall *f)
{
    if (f->over || f->agg_filter || f->agg_order || f->agg_distinct || f->agg_within_group)
        return err_raise(ERR_GROUPING_ERROR, "aggregate functions are not allowed here");
    put_names(w, f->funcname);
    strbuf_putc(&w->out, '(');
    if (f->agg_star)
        strbuf_putc(&w->out, '*');
    ListCell *cell;
    int i = 0;
    foreach (cell, f->args) {
        strbuf_puts(&w->out, i ? ", " : "");
        if (f->func_variadic && i + 1 == list_length(f->args))
            strbuf_puts(&w->out, "VARIADIC ");
        i++;
        TRY(put(w, lfirst(cell)));
    }
    strbuf_putc(&w->out, ')');
    return ERR_OK;
}

static err_t put_column(struct writer *w, const ColumnRef *c)
{
    ListCell *cell;
    bool first = true;
    foreach (cell, c->fields) {
        if (!first)
            strbuf_putc(&w->out, '.');
        first = false;
        if (IsA(lfirst(cell), A_Star))
            strbuf_putc(&w->out, '*');
        else
            put_name(w, node_string(lfirst(cell)));
    }
    return ERR_OK;
}

static err_t put_case(struct writer *w, const CaseExpr *c)
{
    ListCell *cell;
    strbuf_puts(&w->out, "CASE ");
    if (c->arg) {
        TRY(put_nested(w, c->arg));
        strbuf_putc(&w->out, ' ');
    }
    foreach (cell, c->args) {
        const CaseWhen *when = lfirst(cell);
        strbuf_puts(&w->out, "WHEN ");
        TRY(put_nested(w, when->expr));
        strbuf_puts(&w->out, " THEN ");
        TRY(put_nested(w, when->result));
        strbuf_putc(&w->out, ' ');
    }
    if (c->defresult) {
        strbuf_puts(&w->out, "ELSE ");
        TRY(put_nested(w, c->defresult));
        strbuf_putc(&w->out, ' ');
    }
    strbuf_puts(&w->out, "END");
    return ERR_OK;
}

static err_t put_sql_value(struct writer *w, const SQLValueFunction *f)
{
    static const char *const names[] = {
        [SVFOP_CURRENT_DATE] = "CURRENT_DATE",
        [SVFOP_CURRENT_TIME] = "CURRENT_TIME",
        [SVFOP_CURRENT_TIME_N] = "CURRENT_TIME",
        [SVFOP_CURRENT_TIMESTAMP] = "CURRENT_TIMESTAMP",
        [SVFOP_CURRENT_TIMESTAMP_N] = "CURRENT_TIMESTAMP",
        [SVFOP_LOCALTIME] = "LOCALTIME",
        [SVFOP_LOCALTIME_N] = "LOCALTIME",
        [SVFOP_LOCALTIMESTAMP] = "LOCALTIMESTAMP",
        [SVFOP_LOCALTIMESTAMP_N] = "LOCALTIMESTAMP",
        [SVFOP_CURRENT_ROLE] = "CURRENT_ROLE",
        [SVFOP_CURRENT_USER] = "CURRENT_USER",
        [SVFOP_USER] = "USER",
        [SVFOP_SESSION_USER] = "SESSION_USER",
        [SVFOP_CURRENT_CATALOG] = "CURRENT_CATALOG",
        [SVFOP_CURRENT_SCHEMA] = "CURRENT_SCHEMA",
    };
    strbuf_puts(&w->out, names[f->op]);
    if (f->typmod >= 0)
        strbuf_printf(&w->out, "(%d)", f->typmod);
    return ERR_OK;
}

static err_t put_boolean_test(struct writer *w, const BooleanTest *t)
{
    static const char *const names[] = {
        [IS_TRUE] = " IS TRUE",       [IS_NOT_TRUE] = " IS NOT TRUE",
        [IS_FALSE] = " IS FALSE",     [IS_NOT_FALSE] = " IS NOT FALSE",
        [IS_UNKNOWN] = " IS UNKNOWN", [IS_NOT_UNKNOWN] = " IS NOT UNKNOWN",
    };
    TRY(put_nested(w, t->arg));
    strbuf_puts(&w->out, names[t->booltesttype]);
    return ERR_OK;
}

static err_t put_indirection(struct writer *w, const A_Indirection *n)
{
    ListCell *cell;
    TRY(put_nested(w, n->arg));
    foreach (cell, n->indirection) {
        const Node *part = lfirst(cell);
        if (IsA(part, A_Indices)) {
            const A_Indices *x = (const A_Indices *)part;
            strbuf_putc(&w->out, '[');
            if (x->lidx)
                TRY(put(w, x->lidx));
            if (x->is_slice)
                strbuf_putc(&w->out, ':');
            if (x->uidx)
                TRY(put(w, x->uidx));
            strbuf_putc(&w->out, ']');
        } else if (IsA(part, String)) {
            strbuf_putc(&w->out, '.');
            put_name(w, node_string(part));
        } else {
            return err_not_built("row expansion in a stored expression");
        }
    }
    return ERR_OK;
}

static err_t put_args(struct writer *w, const char *head, const List *args, const char *tail)
{
    strbuf_puts(&w->out, head);
    TRY(put_list(w, args));
    strbuf_puts(&w->out, tail);
    return ERR_OK;
}

static err_t put(struct writer *w, const void *node)
{
    TRY(fiber_check_stack());
    switch (nodeTag(node)) {
    case T_A_Const:
        put_constant(w, node);
        return ERR_OK;
    case T_Integer:
        strbuf_printf(&w->out, "%d", intVal((const Node *)node));
        return ERR_OK;
    case T_ColumnRef:
        return put_column(w, node);
    case T_A_Expr:
        return put_a_expr(w, node);
    case T_BoolExpr:
        return put_bool(w, node);
    case T_FuncCall:
        return put_call(w, node);
    case T_NamedArgExpr: {
        const NamedArgExpr *n = node;
        put_name(w, n->name);
        strbuf_puts(&w->out, " => ");
        return put(w, n->arg);
    }
    case T_TypeCast:
        return put_cast(w, node);
    case T_CollateClause: {
        const CollateClause *c = node;
        TRY(put_nested(w, c->arg));
        strbuf_puts(&w->out, " COLLATE ");
        put_names(w, c->collname);
        return ERR_OK;
    }
    case T_NullTest: {
        const NullTest *t = node;
        TRY(put_nested(w, t->arg));
        strbuf_puts(&w->out, t->nulltesttype == IS_NULL ? " IS NULL" : " IS NOT NULL");
        return ERR_OK;
    }
    case T_BooleanTest:
        return put_boolean_test(w, node);
    case T_CaseExpr:
        return put_case(w, node);
    case T_CoalesceExpr:
        return put_args(w, "COALESCE(", ((const CoalesceExpr *)node)->args, ")");
    case T_MinMaxExpr: {
        const MinMaxExpr *m = node;
        return put_args(w, m->op == IS_GREATEST ? "GREATEST(" : "LEAST(", m->args, ")");
    }
    case T_A_ArrayExpr:
        return put_args(w, "ARRAY[", ((const A_ArrayExpr *)node)->elements, "]");
    case T_RowExpr:
        return put_args(w, "ROW(", ((const RowExpr *)node)->args, ")");
    case T_SQLValueFunction:
        return put_sql_value(w, node);
    case T_A_Indirection:
        return put_indirection(w, node);
    case T_SubLink:
        return ddl_at(w->a, ((const SubLink *)node)->location,
                      err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery in %s", w->place));
    case T_ParamRef:
        return ddl_at(w->a, ((const ParamRef *)node)->location,
                      err_raise(ERR_UNDEFINED_PARAMETER, "there is no parameter $%d",
                                ((const ParamRef *)node)->number));
    default:
        return err_not_built("this kind of expression in a table definition");
    }
}

err_t ddl_expression_text(const struct ddl_analysis *a, const void *node, const char *place,
                          const char **out)
{
    struct writer w = {.a = a, .place = place};
    strbuf_init(&w.out, a->mem);
    TRY(put(&w, node));
    *out = w.out.data;
    return ERR_OK;
}
