/*
 * Functions that describe catalog objects: pg_get_*, format_type, visibility, descriptions,
 * to_reg*. Built-in objects are answered from the generated tables; the rest by the session's
 * services (may suspend; see session_funcs.c).
 */
#include "sql/funcs/funcs.h"

#include "sql/catalog_rows.h"
#include "sql/funcs/funcs_priv.h"
#include "sql/types/quote.h"

#include "sql/type_functions.h"

#define SERVICE(entry)                                                                             \
    struct sql_services *s = c->env->services;                                                     \
    if (s == NULL || s->entry == NULL)                                                             \
        return err_not_built("%s() is not supported yet", c->func->name);
#define SUSPENDING(name) NO_SUSPEND_ANALYSIS FUNCTION(name)

static err_t text_or_null(struct call *c, const char *text, datum *out)
{
    if (text == NULL)
        RETURN_NULL();
    return result_cstring(c, text, out);
}

/* ---- types ---- */

SUSPENDING(fn_format_type)
{
    if (c->nulls[0])
        RETURN_NULL();
    oid type = ARG_OID(0);
    if (type == OID_NONE || type_find(type) != NULL)
        return result_cstring(
            c, c->nulls[1] ? type_display(c->mem, type) : type_format(c->mem, type, ARG_I32(1)),
            out);
    struct sql_services *s = c->env->services;
    const char *name = NULL;
    if (s != NULL && s->name_of != NULL)
        TRY(s->name_of(s->owner, 't', type, c->mem, &name));
    return result_cstring(c, name == NULL ? "???" : name, out);
}
FUNCTION(fn_oidvectortypes)
{
    struct array_view a;
    struct strbuf b;
    TRY(array_read(c->mem, c->args[0], &a));
    strbuf_init(&b, c->mem);
    for (uint32_t i = 0; i < a.count; i++)
        strbuf_printf(&b, "%s%s", i ? ", " : "", type_display(c->mem, datum_oid(a.values[i])));
    return result_strbuf(c, &b, out);
}

/* ---- functions (the built-in ones) ---- */

static const struct func *function_arg(struct call *c)
{
    return func_find(ARG_OID(0));
}
/* The n-th comma-separated default expression. */
static const char *default_text(struct call *c, const struct func *f, int32_t n)
{
    const char *p = f->defaults;
    int depth = 0;
    bool quoted = false;
    const char *from = p;
    for (;; p++) {
        if (*p == '\'')
            quoted = !quoted;
        else if (!quoted && (*p == '(' || *p == '['))
            depth++;
        else if (!quoted && (*p == ')' || *p == ']'))
            depth--;
        if (*p != 0 && (*p != ',' || quoted || depth > 0))
            continue;
        if (n-- == 0)
            return arena_strndup(c->mem, from, (size_t)(p - from));
        if (*p == 0)
            return "";
        from = p + 1 + (p[1] == ' ');
    }
}
static err_t put_arguments(struct call *c, const struct func *f, bool tables, bool defaults,
                           struct strbuf *b)
{
    uint32_t count = f->all_args != NULL ? f->all_arg_count : (uint32_t)f->arg_count;
    const oid *types = f->all_args != NULL ? f->all_args : f->args;
    bool any = false;
    int32_t input = 0;
    for (uint32_t i = 0; i < count; i++) {
        char mode = f->arg_modes == NULL ? 'i' : f->arg_modes[i];
        bool is_input = mode == 'i' || mode == 'b' || mode == 'v';
        if ((mode == 't') != tables)
            continue;
        if (any)
            strbuf_puts(b, ", ");
        any = true;
        strbuf_puts(b, mode == 'o'   ? "OUT "
                       : mode == 'b' ? "INOUT "
                       : mode == 'v' ? "VARIADIC "
                                     : "");
        if (f->arg_names != NULL && f->arg_names[i][0] != 0)
            strbuf_printf(b, "%s ", quote_identifier(c->mem, f->arg_names[i]));
        strbuf_puts(b, type_display(c->mem, types[i]));
        if (is_input) {
            int32_t n = input++ - (f->arg_count - f->default_count);
            if (defaults && n >= 0 && f->defaults != NULL)
                strbuf_printf(b, " DEFAULT %s", default_text(c, f, n));
        }
    }
    return ERR_OK;
}
FUNCTION(fn_pg_get_function_arguments)
{
    const struct func *f = function_arg(c);
    struct strbuf b;
    if (f == NULL)
        RETURN_NULL();
    strbuf_init(&b, c->mem);
    TRY(put_arguments(c, f, false, true, &b));
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_pg_get_function_identity_arguments)
{
    const struct func *f = function_arg(c);
    struct strbuf b;
    if (f == NULL)
        RETURN_NULL();
    strbuf_init(&b, c->mem);
    TRY(put_arguments(c, f, false, false, &b));
    return result_strbuf(c, &b, out);
}
FUNCTION(fn_pg_get_function_result)
{
    const struct func *f = function_arg(c);
    struct strbuf b;
    if (f == NULL || f->kind == 'p')
        RETURN_NULL();
    strbuf_init(&b, c->mem);
    if (f->arg_modes != NULL && strchr(f->arg_modes, 't') != NULL) {
        strbuf_puts(&b, "TABLE(");
        TRY(put_arguments(c, f, true, false, &b));
        strbuf_putc(&b, ')');
    } else {
        strbuf_printf(&b, "%s%s", f->returns_set ? "SETOF " : "", type_display(c->mem, f->result));
    }
    return result_strbuf(c, &b, out);
}

/* ---- definitions ---- */

/* Expressions are stored as SQL text; relations in them are named by oid and shown by name. */
SUSPENDING(fn_pg_get_expr)
{
    struct sql_services *s = c->env->services;
    if (s == NULL || s->stored_expression == NULL)
        RETURN_DATUM(c->args[0]);
    const char *text = NULL;
    bool pretty = c->arg_count > 2 && ARG_BOOL(2);
    TRY(s->stored_expression(s->owner, arg_cstring(c, 0), ARG_OID(1), pretty, c->mem, &text));
    return text_or_null(c, text, out);
}
static NO_SUSPEND_ANALYSIS err_t constraint_text(struct call *c, bool pretty, datum *out)
{
    SERVICE(constraint_definition)
    const char *text = NULL;
    TRY(s->constraint_definition(s->owner, ARG_OID(0), pretty, c->mem, &text));
    return text_or_null(c, text, out);
}
FUNCTION(fn_pg_get_constraintdef)
{
    return constraint_text(c, false, out);
}
FUNCTION(fn_pg_get_constraintdef_ext)
{
    return constraint_text(c, ARG_BOOL(1), out);
}
static NO_SUSPEND_ANALYSIS err_t index_text(struct call *c, int32_t column, bool pretty, datum *out)
{
    SERVICE(index_definition)
    const char *text = NULL;
    TRY(s->index_definition(s->owner, ARG_OID(0), column, pretty, c->mem, &text));
    return text_or_null(c, text, out);
}
FUNCTION(fn_pg_get_indexdef)
{
    return index_text(c, 0, false, out);
}
FUNCTION(fn_pg_get_indexdef_ext)
{
    return index_text(c, ARG_I32(1), ARG_BOOL(2), out);
}
static NO_SUSPEND_ANALYSIS err_t view_text(struct call *c, oid view, bool pretty, datum *out)
{
    SERVICE(view_definition)
    const char *text = NULL;
    TRY(s->view_definition(s->owner, view, pretty, c->mem, &text));
    return text_or_null(c, text, out);
}
FUNCTION(fn_pg_get_viewdef)
{
    return view_text(c, ARG_OID(0), false, out);
}
FUNCTION(fn_pg_get_viewdef_ext)
{
    return view_text(c, ARG_OID(0), ARG_BOOL(1), out);
}
SUSPENDING(fn_pg_get_viewdef_name)
{
    SERVICE(resolve_name)
    oid view = OID_NONE;
    TRY(s->resolve_name(s->owner, 'c', arg_cstring(c, 0), false, &view));
    return view_text(c, view, c->arg_count > 1 && ARG_BOOL(1), out);
}
SUSPENDING(fn_pg_get_userbyid)
{
    SERVICE(role_name)
    const char *text = NULL;
    TRY(s->role_name(s->owner, ARG_OID(0), c->mem, &text));
    if (text == NULL)
        text = arena_printf(c->mem, "unknown (OID=%u)", ARG_OID(0));
    return result_cstring(c, text, out);
}

/* ---- visibility ---- */

static NO_SUSPEND_ANALYSIS err_t visible(struct call *c, char kind, bool is_builtin, datum *out)
{
    if (is_builtin)
        RETURN_BOOL(true);
    struct sql_services *s = c->env->services;
    if (s == NULL || s->is_visible == NULL)
        RETURN_NULL();
    bool result = false;
    bool exists = false;
    TRY(s->is_visible(s->owner, kind, ARG_OID(0), &result, &exists));
    if (!exists)
        RETURN_NULL();
    RETURN_BOOL(result);
}
FUNCTION(fn_pg_table_is_visible)
{
    return visible(c, 'c', false, out);
}
FUNCTION(fn_pg_type_is_visible)
{
    return visible(c, 't', type_find(ARG_OID(0)) != NULL, out);
}
FUNCTION(fn_pg_function_is_visible)
{
    return visible(c, 'p', func_find(ARG_OID(0)) != NULL, out);
}
FUNCTION(fn_pg_operator_is_visible)
{
    return visible(c, 'o', operator_find(ARG_OID(0)) != NULL, out);
}
FUNCTION(fn_pg_collation_is_visible)
{
    return visible(c, 'C', ARG_OID(0) < 16384, out);
}
FUNCTION(fn_pg_opclass_is_visible)
{
    if (opclass_find(ARG_OID(0)) == NULL)
        RETURN_NULL();
    RETURN_BOOL(true);
}

/* ---- comments ---- */

static oid class_of_name(const char *name)
{
    for (uint32_t i = 0; i < catalog_table_count; i++)
        if (strcmp(catalog_tables[i].name, name) == 0)
            return catalog_tables[i].oid;
    return OID_NONE;
}
static NO_SUSPEND_ANALYSIS err_t description(struct call *c, oid class_oid, int32_t sub, datum *out)
{
    struct sql_services *s = c->env->services;
    const char *text = NULL;
    if (s != NULL && s->description != NULL)
        TRY(s->description(s->owner, ARG_OID(0), class_oid, sub, c->mem, &text));
    return text_or_null(c, text, out);
}
FUNCTION(fn_obj_description)
{
    return description(c, c->arg_count > 1 ? class_of_name(arg_cstring(c, 1)) : OID_NONE, 0, out);
}
FUNCTION(fn_col_description)
{
    return description(c, 1259, ARG_I32(1), out);
}

/* ---- names ---- */

static NO_SUSPEND_ANALYSIS err_t to_reg(struct call *c, char kind, datum *out)
{
    SERVICE(resolve_name)
    oid found = OID_NONE;
    const char *name = arg_cstring(c, 0);
    TRY(s->resolve_name(s->owner, kind, name, true, &found));
    if (found == OID_NONE)
        RETURN_NULL();
    RETURN_OID(found);
}
FUNCTION(fn_to_regclass)
{
    return to_reg(c, 'c', out);
}
FUNCTION(fn_to_regtype)
{
    return to_reg(c, 't', out);
}
FUNCTION(fn_to_regproc)
{
    uint32_t count = 0;
    const struct func *const *f = func_find_name(arg_cstring(c, 0), &count);
    if (count == 1)
        RETURN_OID(f[0]->oid);
    if (count > 1)
        RETURN_NULL();
    return to_reg(c, 'p', out);
}
FUNCTION(fn_to_regnamespace)
{
    return to_reg(c, 'n', out);
}
FUNCTION(fn_to_regrole)
{
    return to_reg(c, 'r', out);
}
FUNCTION(fn_to_regcollation)
{
    return to_reg(c, 'C', out);
}
FUNCTION(fn_text_regclass)
{
    struct type_io io = {.mem = c->mem, .type = TYPE_REGCLASS, .typmod = -1, .env = c->env};
    return regclass_input(&io, (const char *)ARG_VARLEN(0)->data, ARG_VARLEN(0)->len, out);
}

/* ---- collations, temporary schemas ---- */

FUNCTION(fn_pg_collation_for)
{
    const struct type_info *t = type_find(c->arg_types[0]);
    if (t == NULL || (t->collation == OID_NONE && t->oid != TYPE_UNKNOWN))
        return err_raise(ERR_DATATYPE_MISMATCH, "collations are not supported by type %s",
                         type_display(c->mem, c->arg_types[0]));
    return result_cstring(c, t->collation == 950 ? "\"C\"" : "\"default\"", out);
}
/* There are no temporary schemas. */
FUNCTION(fn_pg_my_temp_schema)
{
    (void)c;
    RETURN_OID(OID_NONE);
}
/* Functions run outside of triggers. */
FUNCTION(fn_pg_trigger_depth)
{
    (void)c;
    RETURN_I32(0);
}
