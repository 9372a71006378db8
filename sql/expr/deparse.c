/*
 * Expressions as SQL text, character by character as PostgreSQL prints them: with all parentheses,
 * or "pretty" with only the needed ones. CASE is always laid out over lines.
 *
 * Implicit casts are shown only where PostgreSQL shows them: as operands of operators and arguments
 * of functions, not at the top and not below AND, OR, NOT.
 */
#include "core/core.h"
#include "sql/expr/expr.h"
#include "sql/types/quote.h"

struct deparse {
    struct arena *mem;
    const struct deparse_options *o;
    struct strbuf *out;
    uint32_t indent;
};

static err_t put(struct deparse *d, const struct expr *e, bool implicit);

static void text(struct deparse *d, const char *s)
{
    strbuf_puts(d->out, s);
}

/* ---- which node is what to the printer ---- */

static bool is_cast_call(const struct expr *e)
{
    return e->kind == EXPR_CALL && (e->op == 'i' || e->op == 'e');
}

static bool is_operator(const struct expr *e)
{
    return e->kind == EXPR_CALL && e->from_operator;
}

static bool is_collate(const struct expr *e)
{
    return e->kind == EXPR_RELABEL && e->op == 'c';
}

static bool is_cast(const struct expr *e)
{
    return is_cast_call(e) || (e->kind == EXPR_RELABEL && e->op != 'c') ||
           e->kind == EXPR_IO_CAST || e->kind == EXPR_ARRAY_CAST || e->kind == EXPR_TYPMOD;
}

static bool is_explicit(const struct expr *e)
{
    return is_cast_call(e) ? e->op == 'e' : e->is_explicit_cast;
}

static bool has_own_brackets(const struct expr *e)
{
    switch (e->kind) {
    case EXPR_SUBSCRIPT:
    case EXPR_ARRAY:
    case EXPR_ROW:
    case EXPR_COALESCE:
    case EXPR_MIN_MAX:
    case EXPR_NULLIF:
    case EXPR_AGGREGATE:
    case EXPR_GROUPING:
    case EXPR_WINDOW:
    case EXPR_CASE:
        return true;
    default:
        return false;
    }
}

static char simple_operator(const struct expr *e)
{
    if (!is_operator(e) || e->arg_count != 2)
        return 0;
    const struct operator_info *op = operator_find(e->oper_oid);
    return op && op->name[0] && !op->name[1] ? op->name[0] : 0;
}

static bool is_call_parent(const struct expr *parent)
{
    return parent->kind == EXPR_CALL && !parent->from_operator && parent->op == 0;
}

static bool operator_is_simple(const struct expr *e, const struct expr *parent)
{
    if (parent && is_operator(parent)) {
        char own = simple_operator(e);
        char above = simple_operator(parent);
        bool own_low = own && strchr("+-", own);
        bool own_high = own && strchr("*/%", own);
        bool above_low = above && strchr("+-", above);
        bool above_high = above && strchr("*/%", above);
        if (!(own_low || own_high) || !(above_low || above_high))
            return false;
        if (own_high && above_low)
            return true;
        if (own_low && above_high)
            return false;
        return parent->args[0] == e;
    }
    if (!parent)
        return false;
    return is_call_parent(parent) || parent->kind == EXPR_AND || parent->kind == EXPR_OR ||
           parent->kind == EXPR_NOT || has_own_brackets(parent);
}

static bool bool_is_simple(const struct expr *e, const struct expr *parent)
{
    if (!parent)
        return false;
    if (parent->kind == EXPR_AND || parent->kind == EXPR_OR || parent->kind == EXPR_NOT) {
        if (e->kind == EXPR_OR)
            return parent->kind == EXPR_OR;
        return parent->kind == EXPR_AND || parent->kind == EXPR_OR;
    }
    return is_call_parent(parent) || has_own_brackets(parent);
}

/* Needs no parentheses below parent in pretty mode. */
static bool is_simple(const struct expr *e, const struct expr *parent)
{
    if (fiber_stack_left() < 8192)
        return false;
    if (is_cast(e) && e->kind != EXPR_CALL && e->kind != EXPR_TYPMOD)
        return is_simple(e->args[0], e);
    switch (e->kind) {
    case EXPR_CONST:
    case EXPR_PARAM:
    case EXPR_EXEC_PARAM:
    case EXPR_COLUMN:
    case EXPR_INPUT:
    case EXPR_CASE_VALUE:
    case EXPR_SQL_VALUE:
    case EXPR_NEXTVAL:
    case EXPR_DEFAULT:
    case EXPR_TYPMOD:
        return true;
    case EXPR_CALL:
        return e->from_operator ? operator_is_simple(e, parent) : true;
    case EXPR_SUBQUERY:
    case EXPR_SUBPLAN:
    case EXPR_IS_NULL:
    case EXPR_IS_BOOL:
    case EXPR_DISTINCT:
        return operator_is_simple(e, parent) && !(parent && is_operator(parent));
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
        return bool_is_simple(e, parent);
    default:
        return has_own_brackets(e);
    }
}

static err_t put_paren(struct deparse *d, const struct expr *e, bool implicit,
                       const struct expr *parent)
{
    bool paren = d->o->pretty && !is_simple(e, parent);
    if (paren)
        text(d, "(");
    TRY(put(d, e, implicit));
    if (paren)
        text(d, ")");
    return ERR_OK;
}

static void open_paren(struct deparse *d)
{
    if (!d->o->pretty)
        text(d, "(");
}

static void close_paren(struct deparse *d)
{
    if (!d->o->pretty)
        text(d, ")");
}

static err_t put_list(struct deparse *d, struct expr *const *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            text(d, ", ");
        TRY(put(d, args[i], true));
    }
    return ERR_OK;
}

void deparse_new_line(struct strbuf *out, uint32_t indent, uint32_t more, const char *keyword)
{
    enum { INDENT_MAX = 40 };
    if (indent >= INDENT_MAX)
        indent = (INDENT_MAX + (indent - INDENT_MAX) / 4) % INDENT_MAX;
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
    strbuf_puts(out, "\n");
    for (uint32_t i = 0; i < indent + more; i++)
        strbuf_putc(out, ' ');
    strbuf_puts(out, keyword);
}

static void new_line(struct deparse *d, const char *keyword)
{
    deparse_new_line(d->out, d->indent, 0, keyword);
}

/* ---- constants ---- */

/* As standard_conforming_strings wants it: backslashes mean nothing. */
static err_t put_quoted(struct deparse *d, const char *s, size_t len)
{
    text(d, "'");
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\'')
            strbuf_putc(d->out, s[i]);
        strbuf_putc(d->out, s[i]);
    }
    text(d, "'");
    return ERR_OK;
}

static bool is_plain_numeric(const char *s)
{
    return s[0] >= '0' && s[0] <= '9' && strpbrk(s, "eE.") != NULL;
}

/* label: -1 never, 0 where the literal alone would have another type, 1 always. */
static err_t put_const(struct deparse *d, const struct expr *e, int label)
{
    const char *type = type_format(d->mem, e->type, e->typmod);
    if (e->constant.is_null) {
        text(d, "NULL");
        if (label >= 0)
            strbuf_printf(d->out, "::%s", type);
        return ERR_OK;
    }
    struct strbuf value;
    strbuf_init(&value, d->mem);
    strbuf_puts(&value, "");
    TRY(value_output(d->o->env, d->mem, e->type, e->constant.value, &value));
    bool needs_label = false;
    switch (e->type) {
    case TYPE_BOOL:
        text(d, datum_bool(e->constant.value) ? "true" : "false");
        break;
    case TYPE_INT4:
        needs_label = value.data[0] == '-';
        if (needs_label)
            TRY(put_quoted(d, value.data, value.len));
        else
            text(d, value.data);
        break;
    case TYPE_NUMERIC:
        needs_label = !is_plain_numeric(value.data);
        if (needs_label)
            TRY(put_quoted(d, value.data, value.len));
        else
            text(d, value.data);
        needs_label |= e->typmod >= 0;
        break;
    case TYPE_UNKNOWN:
        TRY(put_quoted(d, value.data, value.len));
        break;
    default:
        TRY(put_quoted(d, value.data, value.len));
        needs_label = true;
        break;
    }
    if (label > 0 || (label == 0 && needs_label))
        strbuf_printf(d->out, "::%s", type);
    return ERR_OK;
}

/* ---- casts ---- */

static const struct expr *time_value_below(const struct expr *e)
{
    if (e->kind != EXPR_TYPMOD || e->args[0]->kind != EXPR_SQL_VALUE)
        return NULL;
    return e->args[0];
}

static const char *sql_value_name(uint8_t op)
{
    static const char *const names[] = {
        [VALUE_CURRENT_DATE] = "CURRENT_DATE",
        [VALUE_CURRENT_TIME] = "CURRENT_TIME",
        [VALUE_CURRENT_TIMESTAMP] = "CURRENT_TIMESTAMP",
        [VALUE_LOCALTIME] = "LOCALTIME",
        [VALUE_LOCALTIMESTAMP] = "LOCALTIMESTAMP",
        [VALUE_CURRENT_USER] = "CURRENT_USER",
        [VALUE_SESSION_USER] = "SESSION_USER",
        [VALUE_CURRENT_CATALOG] = "CURRENT_CATALOG",
        [VALUE_CURRENT_SCHEMA] = "CURRENT_SCHEMA",
    };
    return op < ARRAY_LEN(names) ? names[op] : "?";
}

static err_t put_cast(struct deparse *d, const struct expr *e, bool implicit)
{
    const struct expr *arg = e->args[0];
    const struct expr *value = time_value_below(e);
    if (value) {
        strbuf_printf(d->out, "%s(%d)", sql_value_name(value->op), e->typmod);
        return ERR_OK;
    }
    if (!is_explicit(e) && !implicit)
        return put_paren(d, arg, false, e);
    if (arg->kind == EXPR_CONST && arg->type == e->type && arg->typmod < 0) {
        TRY(put_const(d, arg, -1));
    } else {
        open_paren(d);
        TRY(put_paren(d, arg, false, e));
        close_paren(d);
    }
    strbuf_printf(d->out, "::%s", type_format(d->mem, e->type, e->typmod));
    return ERR_OK;
}

/* ---- calls ---- */

static bool name_is(const struct expr *e, const char *name)
{
    return strcmp(e->func->name, name) == 0;
}

static err_t put_word(struct deparse *d, const struct expr *e)
{
    if (e->kind != EXPR_CONST || e->constant.is_null)
        return put(d, e, false);
    const struct varlen *v = datum_varlen(e->constant.value);
    return strbuf_put(d->out, v->data, v->len);
}

static err_t put_parts(struct deparse *d, const char *const *between, struct expr *const *args,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        text(d, between[i]); /* NOLINT: substring has three arguments at most */
        TRY(put(d, args[i], false));
    }
    text(d, ")");
    return ERR_OK;
}

static err_t put_trim(struct deparse *d, const struct expr *e, const char *side)
{
    strbuf_printf(d->out, "TRIM(%s", side);
    if (e->arg_count == 2) {
        text(d, " ");
        TRY(put(d, e->args[1], false));
    }
    text(d, " FROM ");
    TRY(put(d, e->args[0], false));
    text(d, ")");
    return ERR_OK;
}

/* Calls that SQL writes with words; *done false: an ordinary call after all. */
static err_t put_syntax(struct deparse *d, const struct expr *e, bool *done)
{
    static const char *const substring[] = {"SUBSTRING(", " FROM ", " FOR "};
    static const char *const similar[] = {"SUBSTRING(", " SIMILAR ", " ESCAPE "};
    static const char *const overlay[] = {"OVERLAY(", " PLACING ", " FROM ", " FOR "};
    *done = true;
    if (name_is(e, "timezone") && e->arg_count == 2) {
        text(d, "(");
        TRY(put_paren(d, e->args[1], false, e));
        text(d, " AT TIME ZONE ");
        TRY(put_paren(d, e->args[0], false, e));
        text(d, ")");
        return ERR_OK;
    }
    if (name_is(e, "extract") && e->arg_count == 2) {
        text(d, "EXTRACT(");
        TRY(put_word(d, e->args[0]));
        text(d, " FROM ");
        TRY(put(d, e->args[1], false));
        text(d, ")");
        return ERR_OK;
    }
    if (name_is(e, "position") && e->arg_count == 2) {
        text(d, "POSITION((");
        TRY(put(d, e->args[1], false));
        text(d, ") IN (");
        TRY(put(d, e->args[0], false));
        text(d, "))");
        return ERR_OK;
    }
    if (name_is(e, "overlaps") && e->arg_count == 4) {
        static const char *const parts[] = {"((", ", ", ") OVERLAPS (", ", "};
        TRY(put_parts(d, parts, e->args, 4));
        text(d, ")");
        return ERR_OK;
    }
    if (name_is(e, "substring") && e->arg_count == 3 && e->args[2]->type == TYPE_TEXT)
        return put_parts(d, similar, e->args, 3);
    if (name_is(e, "substring") && e->arg_count >= 2)
        return put_parts(d, substring, e->args, e->arg_count);
    if (name_is(e, "overlay"))
        return put_parts(d, overlay, e->args, e->arg_count);
    if (name_is(e, "btrim"))
        return put_trim(d, e, "BOTH");
    if (name_is(e, "ltrim"))
        return put_trim(d, e, "LEADING");
    if (name_is(e, "rtrim"))
        return put_trim(d, e, "TRAILING");
    if (name_is(e, "pg_collation_for")) {
        static const char *const parts[] = {"COLLATION FOR ("};
        return put_parts(d, parts, e->args, 1);
    }
    *done = false;
    return ERR_OK;
}

static err_t put_operator(struct deparse *d, const struct expr *e)
{
    const struct operator_info *op = operator_find(e->oper_oid);
    const char *name = op ? op->name : "?";
    open_paren(d);
    if (e->arg_count == 1) {
        strbuf_printf(d->out, "%s ", name);
        TRY(put_paren(d, e->args[0], true, e));
    } else {
        TRY(put_paren(d, e->args[0], true, e));
        strbuf_printf(d->out, " %s ", name);
        TRY(put_paren(d, e->args[1], true, e));
    }
    close_paren(d);
    return ERR_OK;
}

static err_t put_call(struct deparse *d, const struct expr *e, bool implicit)
{
    if (is_cast_call(e))
        return put_cast(d, e, implicit);
    if (e->from_operator)
        return put_operator(d, e);
    if (e->op == 's') {
        bool done;
        TRY(put_syntax(d, e, &done));
        if (done)
            return ERR_OK;
    }
    strbuf_printf(d->out, "%s(", quote_identifier(d->mem, e->func->name));
    for (uint32_t i = 0; i < e->arg_count; i++) {
        const struct expr *arg = e->args[i];
        bool gathered = e->func->variadic != OID_NONE && e->func->variadic != TYPE_ANY &&
                        i + 1 == e->arg_count && e->arg_count == (uint32_t)e->func->arg_count;
        if (i > 0)
            text(d, ", ");
        if (gathered && arg->kind == EXPR_ARRAY) {
            TRY(put_list(d, arg->args, arg->arg_count));
        } else {
            if (gathered)
                text(d, "VARIADIC ");
            TRY(put(d, arg, true));
        }
    }
    text(d, ")");
    return ERR_OK;
}

static err_t put_sort(struct deparse *d, const struct sort_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            text(d, ", ");
        const struct expr *e = items[i].expr;
        bool paren = (d->o->pretty && e->kind != EXPR_COLUMN && e->kind != EXPR_CONST) ||
                     (e->kind == EXPR_CALL && !e->from_operator) || e->kind == EXPR_TYPMOD;
        text(d, paren ? "(" : "");
        TRY(put(d, e, true));
        text(d, paren ? ")" : "");
        if (items[i].descending)
            text(d, " DESC");
        if (items[i].nulls_first != items[i].descending)
            text(d, items[i].nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
    return ERR_OK;
}

static err_t put_aggregate(struct deparse *d, const struct expr *e)
{
    strbuf_printf(d->out, "%s(", quote_identifier(d->mem, e->func->name));
    if (e->aggregate.distinct)
        text(d, "DISTINCT ");
    if (e->aggregate.star)
        text(d, "*");
    TRY(put_list(d, e->args, e->arg_count));
    if (e->aggregate.order_count) {
        text(d, " ORDER BY ");
        TRY(put_sort(d, e->aggregate.order, e->aggregate.order_count));
    }
    text(d, ")");
    if (e->aggregate.filter) {
        text(d, " FILTER (WHERE ");
        TRY(put(d, e->aggregate.filter, false));
        text(d, ")");
    }
    if (e->kind != EXPR_WINDOW)
        return ERR_OK;
    text(d, " OVER ");
    if (d->o->window)
        return d->o->window(d->o->ctx, e->aggregate.window, d->indent, d->out);
    text(d, "(?)");
    return ERR_OK;
}

/* ---- other nodes ---- */

static err_t put_bool(struct deparse *d, const struct expr *e)
{
    open_paren(d);
    if (e->kind == EXPR_NOT)
        text(d, "NOT ");
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (i > 0)
            text(d, e->kind == EXPR_AND ? " AND " : " OR ");
        TRY(put_paren(d, e->args[i], false, e));
    }
    close_paren(d);
    return ERR_OK;
}

static err_t put_test(struct deparse *d, const struct expr *e)
{
    open_paren(d);
    TRY(put_paren(d, e->args[0], e->kind == EXPR_IS_NULL, e));
    text(d, e->negated ? " IS NOT " : " IS ");
    text(d, e->kind == EXPR_IS_NULL ? "NULL"
            : e->op == 't'          ? "TRUE"
            : e->op == 'f'          ? "FALSE"
                                    : "UNKNOWN");
    close_paren(d);
    return ERR_OK;
}

static err_t put_distinct(struct deparse *d, const struct expr *e)
{
    open_paren(d);
    if (e->negated) /* there is no node for it in PostgreSQL: NOT over IS DISTINCT FROM */
        text(d, d->o->pretty ? "NOT " : "NOT (");
    TRY(put_paren(d, e->args[0], true, e));
    text(d, " IS DISTINCT FROM ");
    TRY(put_paren(d, e->args[1], true, e));
    if (e->negated)
        close_paren(d);
    close_paren(d);
    return ERR_OK;
}

static err_t put_any_all(struct deparse *d, const struct expr *e)
{
    const struct operator_info *op = operator_find(e->oper_oid);
    open_paren(d);
    TRY(put_paren(d, e->args[0], true, e));
    strbuf_printf(d->out, " %s %s (", op ? op->name : "=", e->negated ? "ALL" : "ANY");
    TRY(put_paren(d, e->args[1], true, e));
    text(d, ")");
    close_paren(d);
    return ERR_OK;
}

static err_t put_row_compare(struct deparse *d, const struct expr *e)
{
    const struct operator_info *op = operator_find(e->oper_oid);
    uint32_t n = e->arg_count / 2;
    text(d, "(ROW(");
    TRY(put_list(d, e->args, n));
    strbuf_printf(d->out, ") %s ROW(", op ? op->name : "?");
    TRY(put_list(d, e->args + n, n));
    text(d, "))");
    return ERR_OK;
}

/* The condition of a simple CASE shows its right side only. */
static const struct expr *case_condition(const struct expr *e, const struct expr *when)
{
    if (!e->cases.operand || !is_operator(when) || when->arg_count != 2)
        return when;
    const struct expr *left = when->args[0];
    while (is_cast(left) && left->arg_count > 0)
        left = left->args[0];
    return left->kind == EXPR_CASE_VALUE ? when->args[1] : when;
}

static err_t put_case(struct deparse *d, const struct expr *e)
{
    new_line(d, "CASE");
    d->indent += 4;
    if (e->cases.operand) {
        text(d, " ");
        TRY(put(d, e->cases.operand, true));
    }
    for (uint32_t i = 0; i < e->cases.when_count; i++) {
        new_line(d, "WHEN ");
        TRY(put(d, case_condition(e, e->cases.whens[i].condition), false));
        text(d, " THEN ");
        TRY(put(d, e->cases.whens[i].result, true));
    }
    new_line(d, "ELSE ");
    if (e->cases.otherwise)
        TRY(put(d, e->cases.otherwise, true));
    else
        strbuf_printf(d->out, "NULL::%s", type_format(d->mem, e->type, -1));
    d->indent -= 4;
    new_line(d, "END");
    return ERR_OK;
}

static err_t put_bracketed(struct deparse *d, const char *open, const struct expr *e,
                           const char *close)
{
    text(d, open);
    TRY(put_list(d, e->args, e->arg_count));
    text(d, close);
    return ERR_OK;
}

static err_t put_array(struct deparse *d, const struct expr *e)
{
    TRY(put_bracketed(d, "ARRAY[", e, "]"));
    if (e->arg_count == 0)
        strbuf_printf(d->out, "::%s", type_format(d->mem, e->type, -1));
    return ERR_OK;
}

static err_t put_subscript(struct deparse *d, const struct expr *e)
{
    bool paren = e->args[0]->kind != EXPR_COLUMN && e->args[0]->kind != EXPR_INPUT;
    if (paren)
        text(d, "(");
    TRY(put(d, e->args[0], true));
    if (paren)
        text(d, ")");
    for (uint32_t i = 1; i < e->arg_count; i++) {
        bool is_high = e->op == 's' && i % 2 == 0;
        text(d, is_high ? ":" : "[");
        if (e->op != 's' || !((e->slice.omitted >> (i - 1)) & 1))
            TRY(put(d, e->args[i], false));
        if (e->op != 's' || is_high)
            text(d, "]");
    }
    return ERR_OK;
}

static void put_column(struct deparse *d, const struct expr *e)
{
    const char *name = d->o->column_name ? d->o->column_name(d->o->ctx, e) : NULL;
    if (!name && e->kind == EXPR_COLUMN && e->column.name)
        name = quote_identifier(d->mem, e->column.name);
    text(d, name ? name : "?column?");
}

static err_t put(struct deparse *d, const struct expr *e, bool implicit)
{
    TRY(fiber_check_stack());
    switch (e->kind) {
    case EXPR_CONST:
        return put_const(d, e, 0);
    case EXPR_PARAM:
        strbuf_printf(d->out, "$%u", e->param);
        return ERR_OK;
    case EXPR_EXEC_PARAM:
        strbuf_printf(d->out, "$%u", e->param);
        return ERR_OK;
    case EXPR_COLUMN:
    case EXPR_INPUT:
        put_column(d, e);
        return ERR_OK;
    case EXPR_CALL:
        return put_call(d, e, implicit);
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
        return put_bool(d, e);
    case EXPR_IS_NULL:
    case EXPR_IS_BOOL:
        return put_test(d, e);
    case EXPR_CASE:
        return put_case(d, e);
    case EXPR_CASE_VALUE:
        text(d, "CASE_TEST_EXPR");
        return ERR_OK;
    case EXPR_COALESCE:
        return put_bracketed(d, "COALESCE(", e, ")");
    case EXPR_MIN_MAX:
        return put_bracketed(d, e->negated ? "LEAST(" : "GREATEST(", e, ")");
    case EXPR_NULLIF:
        return put_bracketed(d, "NULLIF(", e, ")");
    case EXPR_DISTINCT:
        return put_distinct(d, e);
    case EXPR_ANY_ALL:
        return put_any_all(d, e);
    case EXPR_ARRAY:
        return put_array(d, e);
    case EXPR_SUBSCRIPT:
        return put_subscript(d, e);
    case EXPR_ROW:
        return put_bracketed(d, "ROW(", e, ")");
    case EXPR_ROW_COMPARE:
        return put_row_compare(d, e);
    case EXPR_RELABEL:
        if (is_collate(e)) {
            static const struct {
                oid id;
                const char *name;
            } names[] = {{100, "\"default\""},
                         {950, "\"C\""},
                         {951, "\"POSIX\""},
                         {12340, "ucs_basic"},
                         {12341, "\"C.utf8\""}};
            open_paren(d);
            TRY(put_paren(d, e->args[0], implicit, e));
            text(d, " COLLATE ");
            for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (names[i].id == e->collation)
                    text(d, names[i].name);
            }
            close_paren(d);
            return ERR_OK;
        }
        return put_cast(d, e, implicit);
    case EXPR_IO_CAST:
    case EXPR_ARRAY_CAST:
    case EXPR_TYPMOD:
        return put_cast(d, e, implicit);
    case EXPR_AGGREGATE:
    case EXPR_WINDOW:
        return put_aggregate(d, e);
    case EXPR_GROUPING:
        return put_bracketed(d, "GROUPING(", e, ")");
    case EXPR_SUBQUERY:
        if (d->o->subquery)
            return d->o->subquery(d->o->ctx, e, d->indent, d->out);
        text(d, "(SubPlan)");
        return ERR_OK;
    case EXPR_SUBPLAN:
        text(d, "(SubPlan)");
        return ERR_OK;
    case EXPR_SQL_VALUE:
        text(d, sql_value_name(e->op));
        return ERR_OK;
    case EXPR_DEFAULT:
        text(d, "DEFAULT");
        return ERR_OK;
    case EXPR_NEXTVAL:
        strbuf_printf(d->out, "nextval('%u'::regclass)", e->nextval.sequence);
        return ERR_OK;
    }
    return err_raise(ERR_INTERNAL_ERROR, "cannot print expression of kind %d", (int)e->kind);
}

err_t expr_deparse(struct arena *mem, const struct expr *e, const struct deparse_options *o,
                   struct strbuf *out)
{
    struct deparse d = {.mem = mem, .o = o, .out = out, .indent = o->indent};
    if (!out->data)
        strbuf_puts(out, "");
    return put(&d, e, o->implicit);
}
