/*
 * Stored expressions: the text that the user wrote is analysed against the table and printed again
 * in canonical form, which is what the catalog keeps and pg_get_expr shows.
 */
#include "sql/ddl/ddl_priv.h"

#include "sql/catalog/define.h"

enum { FUNCTION_NEXTVAL = 1574 };

struct walk {
    struct arena *mem;
    const struct table_desc *t;
    struct ddl_expression *out;
};

static err_t collect(struct expr *e, void *ctx, bool *descend)
{
    struct walk *w = ctx;
    struct ddl_expression *out = w->out;
    *descend = true;
    if (e->kind == EXPR_COLUMN && e->column.attno > 0) {
        for (uint32_t i = 0; i < out->column_count; i++)
            if (out->columns[i] == e->column.attno)
                return ERR_OK;
        if (out->column_count < w->t->column_count)
            out->columns[out->column_count++] = (int16_t)e->column.attno;
    }
    if (e->kind == EXPR_CALL && e->func && e->func->oid == FUNCTION_NEXTVAL && e->arg_count == 1 &&
        e->args[0]->kind == EXPR_CONST && !e->args[0]->constant.is_null && out->sequence_count < 16)
        out->sequences[out->sequence_count++] = datum_oid(e->args[0]->constant.value);
    return ERR_OK;
}

static const char *column_name(void *ctx, const struct expr *e)
{
    const struct walk *w = ctx;
    int32_t n = e->column.attno;
    if (n > 0 && (uint32_t)n <= w->t->column_count)
        return quote_identifier(w->mem, w->t->columns[n - 1].name);
    return e->column.name;
}

/* Regclass constants, in the order in which they are printed. */
struct regclass_list {
    oid objects[64];
    uint32_t count;
};

static err_t collect_regclass(struct expr *e, void *ctx, bool *descend)
{
    struct regclass_list *l = ctx;
    *descend = true;
    if (e->kind == EXPR_CONST && e->type == TYPE_REGCLASS && !e->constant.is_null) {
        if (l->count == ARRAY_LEN(l->objects))
            return err_not_built("an expression with this many relation names is not supported");
        l->objects[l->count++] = datum_oid(e->constant.value);
    }
    return ERR_OK;
}

/* 'name'::regclass becomes '16390'::regclass: a stored text must mean the same under any
 * search_path and after a rename. pg_get_expr shows the name again. */
static const char *names_to_oids(struct arena *mem, const char *text, const struct regclass_list *l)
{
    static const char cast[] = "::regclass";
    struct strbuf b;
    uint32_t next = 0;
    strbuf_init(&b, mem);
    strbuf_puts(&b, "");
    for (const char *p = text; *p;) {
        if (*p == '"') { /* a quoted name is copied whole */
            do
                strbuf_putc(&b, *p++);
            while (*p && *p != '"');
            if (*p)
                strbuf_putc(&b, *p++);
            continue;
        }
        if (*p != '\'') {
            strbuf_putc(&b, *p++);
            continue;
        }
        const char *end = p + 1;
        while (*end && (*end != '\'' || end[1] == '\''))
            end += *end == '\'' ? 2 : 1;
        end += *end == '\'';
        if (next < l->count && strncmp(end, cast, sizeof(cast) - 1) == 0)
            strbuf_printf(&b, "'%u'", l->objects[next++]);
        else
            ERR_IGNORE(strbuf_put(&b, p, (size_t)(end - p)));
        p = end;
    }
    return b.data;
}

err_t ddl_expression_text_wait(struct ddl_context *x, const struct table_desc *t,
                               const struct expr *e, const char **out)
{
    struct walk w = {.mem = x->mem, .t = t};
    struct regclass_list *l = ARENA_NEW(x->mem, struct regclass_list);
    TRY(expr_walk((struct expr *)(uintptr_t)e, collect_regclass, l));
    struct strbuf b;
    strbuf_init(&b, x->mem);
    const struct deparse_options o = {.column_name = column_name, .ctx = &w};
    TRY(expr_deparse(x->mem, e, &o, &b));
    *out = l->count ? names_to_oids(x->mem, b.data, l) : b.data;
    return ERR_OK;
}

err_t ddl_expression_wait(struct ddl_context *x, const struct table_desc *t, const char *text,
                          oid type, int32_t typmod, struct ddl_expression *out)
{
    struct analyze_options o = ddl_analyze_options(x);
    struct walk w = {.mem = x->mem, .t = t, .out = out};
    *out = (struct ddl_expression){0};
    out->columns = ARENA_ARRAY(x->mem, int16_t, t->column_count + 1);
    out->sequences = ARENA_ARRAY(x->mem, oid, 16);
    TRY(analyze_table_expr_wait(&o, t, text, type, typmod, x->mem, &out->expr));
    TRY(expr_walk(out->expr, collect, &w));
    out->is_volatile = expr_is_volatile(out->expr);
    return ddl_expression_text_wait(x, t, out->expr, &out->text);
}

static err_t column_to_input(struct arena *mem, const struct expr *e, void *ctx, struct expr **out)
{
    (void)ctx;
    *out = NULL;
    if (e->kind != EXPR_COLUMN)
        return ERR_OK;
    if (e->column.attno <= 0)
        return err_not_built("system columns in stored expressions are not supported");
    struct expr *input = expr_new(mem, EXPR_INPUT, e->type, e->typmod);
    input->collation = e->collation;
    input->input.slot = 0;
    input->input.index = (uint32_t)e->column.attno - 1;
    *out = input;
    return ERR_OK;
}

err_t ddl_expression_over_row_wait(struct ddl_context *x, const struct expr *e, struct expr **out)
{
    return expr_rewrite(x->mem, e, column_to_input, NULL, out);
}

/* Shows a stored expression: analysed again and printed, so that relations have the names they have
 * now. */
static SUSPENDS err_t show_expression(struct catalog_session *cs, const struct table_desc *t,
                                      const char *text, bool pretty, struct arena *mem,
                                      const char **out)
{
    struct analyze_options o = {.catalog = cs, .env = cs->env};
    struct walk w = {.mem = mem, .t = t};
    struct expr *e;
    struct strbuf b;
    TRY(analyze_table_expr_wait(&o, t, text, 0, -1, mem, &e));
    strbuf_init(&b, mem);
    const struct deparse_options d = {.pretty = pretty, .column_name = column_name, .ctx = &w};
    TRY(expr_deparse(mem, e, &d, &b));
    *out = b.data;
    return ERR_OK;
}

void ddl_start(void)
{
    const struct define_printers p = {.expression = show_expression, .view = ddl_view_show};
    define_set_printers(&p);
}
