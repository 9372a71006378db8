/*
 * A SELECT as text, laid out and named as PostgreSQL prints the queries of views.
 *
 * Everything is written from the analysed tree, so that the text means the same under any search
 * path: columns are qualified, relations have the names that they have now. Aliases that occur
 * twice among the levels that see each other get numbers.
 *
 * Stored texts (pg_rewrite) name relations by oid and give each an alias; when such a text is
 * analysed, the tree is that of the original, and printing it again gives what PostgreSQL shows.
 */
#include "sql/analyze/analyze_priv.h"
#include "sql/catalog/define.h"
#include "sql/types/quote.h"

#include <inttypes.h>

enum { STEP = 8, STEP_JOIN = 4, STEP_ITEM = 4 };

/* A relation of FROM as the catalog has it now. */
struct relation_names {
    const struct range_entry *entry;
    const char *written; /* as it stands in FROM */
    const char *own;
    const char **columns; /* NULL: dropped */
    uint32_t column_count;
    struct relation_names *next;
};

struct level {
    const struct level *above;
    const struct query *q;
    const char **names;        /* of each entry; NULL: a join without alias */
    const char ***columns;     /* of each entry */
    uint32_t *columns_written; /* how many of its column names the alias needs */
};

struct text {
    struct arena *mem;
    const struct query_text_options *o;
    struct relation_names *relations;
    struct strbuf *out;
    int32_t indent;
    const struct level *level;
};

/* What a query's text depends on beside the query. */
struct surroundings {
    const char *const *names; /* of the result's columns; NULL */
    uint32_t name_count;
    bool names_hidden; /* nobody sees them: EXISTS, IN */
    bool set_member;
};

static err_t put_query(struct text *t, const struct query *q, const struct surroundings *s);

/* ---- names of relations, gathered before anything is written ---- */

struct gather {
    struct arena *mem;
    struct relation_names *relations;
};

static err_t gather_query(struct gather *g, struct query *q);

static err_t gather_node(struct expr *e, void *ctx, bool *descend)
{
    *descend = true;
    return e->kind == EXPR_SUBQUERY ? gather_query(ctx, e->subquery.query) : ERR_OK;
}

static err_t gather_slot(struct expr **slot, void *ctx)
{
    return expr_walk(*slot, gather_node, ctx);
}

static err_t gather_query(struct gather *g, struct query *q)
{
    TRY(fiber_check_stack());
    if (!q)
        return ERR_OK;
    for (uint32_t i = 0; i < q->rte_count; i++) {
        const struct range_entry *e = q->rtes[i];
        if (e->table) {
            struct relation_names *r = ARENA_NEW(g->mem, struct relation_names);
            r->entry = e;
            r->next = g->relations;
            g->relations = r;
        } else {
            TRY(gather_query(g, e->subquery));
        }
    }
    for (uint32_t i = 0; i < q->cte_count; i++)
        TRY(gather_query(g, q->ctes[i].query));
    return query_walk(q, gather_slot, g);
}

static SUSPENDS err_t relation_names_wait(struct text *t, struct relation_names *r)
{
    const struct table_desc *d;
    TRY(table_by_oid_wait(t->o->catalog, r->entry->table, &d));
    if (!d)
        return err_raise(ERR_DATA_CORRUPTED, "relation %u of a view does not exist",
                         r->entry->table);
    r->own = arena_strdup(t->mem, d->name);
    r->column_count = d->column_count;
    r->columns = ARENA_ARRAY(t->mem, const char *, d->column_count + 1);
    for (uint32_t i = 0; i < d->column_count; i++)
        r->columns[i] = d->columns[i].dropped ? NULL : arena_strdup(t->mem, d->columns[i].name);
    table_release(d);
    if (t->o->stored) {
        r->written = arena_printf(t->mem, STORED_SCHEMA ".\"%u%s\"", r->entry->table,
                                  r->entry->alias_given ? "" : "*");
        return ERR_OK;
    }
    TRY(define_relation_name_wait(t->o->catalog, r->entry->table, false, t->mem, &r->written));
    return r->written ? ERR_OK : err_raise(ERR_DATA_CORRUPTED, "a relation of a view has no name");
}

static const struct relation_names *relation_of(const struct text *t, const struct range_entry *e)
{
    for (const struct relation_names *r = t->relations; r; r = r->next)
        if (r->entry == e)
            return r;
    return NULL;
}

/* ---- aliases and column names of a level ---- */

static bool name_is_taken(const struct level *l, uint32_t count, const char *name)
{
    for (; l; l = l->above) {
        for (uint32_t i = 0; i < count; i++)
            if (l->names[i] && strcmp(l->names[i], name) == 0)
                return true;
        count = l->above ? l->above->q->rte_count : 0;
    }
    return false;
}

static void name_entries(struct text *t, struct level *l)
{
    for (uint32_t i = 0; i < l->q->rte_count; i++) {
        const struct range_entry *e = l->q->rtes[i];
        const struct relation_names *r = relation_of(t, e);
        const char *name = e->alias;
        if (r && !e->alias_given && !t->o->stored)
            name = r->own;
        if ((e->kind == RTE_JOIN && !e->alias_given) || !e->in_from)
            name = NULL;
        const char *chosen = name;
        for (uint32_t k = 1; chosen && name_is_taken(l, i, chosen); k++)
            chosen = arena_printf(t->mem, "%s_%u", name, k);
        l->names[i] = chosen;
    }
}

/* A USING column is called alike on both sides, whatever it is called in its table. */
static void name_using(struct level *l, const struct expr *side, const char *name)
{
    if (side->kind != EXPR_COLUMN || side->column.attno <= 0)
        return;
    const struct range_entry *e = l->q->rtes[side->column.rte];
    if (e->kind != RTE_JOIN)
        l->columns[side->column.rte][side->column.attno - 1] = name;
    else if (e->join_columns[side->column.attno - 1]->kind == EXPR_COLUMN)
        name_using(l, e->join_columns[side->column.attno - 1], name);
}

static const char *column_now(const struct level *l, const struct relation_names *r,
                              const struct range_entry *e, uint32_t c)
{
    if (r)
        return c < r->column_count ? r->columns[c] : NULL;
    const struct expr *from = e->kind == RTE_JOIN ? e->join_columns[c] : NULL;
    if (from && c >= e->using_count && from->kind == EXPR_COLUMN && from->column.attno > 0)
        return l->columns[from->column.rte][from->column.attno - 1];
    return e->column_names[c];
}

/* Those that its relation has got since the query was analysed are among them. */
static uint32_t column_count_now(const struct relation_names *r, const struct range_entry *e)
{
    return r ? MAX(e->column_count, r->column_count) : e->column_count;
}

static void name_columns(struct text *t, struct level *l, uint32_t index)
{
    const struct range_entry *e = l->q->rtes[index];
    const struct relation_names *r = relation_of(t, e);
    const char **columns = l->columns[index];
    uint32_t live = 0;
    bool changed = false;
    for (uint32_t c = 0; c < column_count_now(r, e); c++) {
        const char *now = column_now(l, r, e, c);
        bool is_new = c >= e->column_count;
        if (!now || (!is_new && !e->column_names[c])) {
            columns[c] = NULL;
            continue;
        }
        const char *name = columns[c];
        if (!name)
            name = live < e->alias_column_count && !is_new ? e->column_names[c] : now;
        live++;
        const char *chosen = name;
        for (uint32_t k = 1;; k++) {
            bool taken = false;
            for (uint32_t o = 0; o < c && !taken; o++)
                taken = columns[o] && strcmp(columns[o], chosen) == 0;
            if (!taken)
                break;
            chosen = arena_printf(t->mem, "%s_%u", name, k);
        }
        columns[c] = chosen;
        changed = changed || strcmp(chosen, now) != 0;
    }
    if (e->kind == RTE_FUNCTION || changed || (!r && e->alias_column_count > 0))
        l->columns_written[index] = live;
    else if (t->o->stored)
        l->columns_written[index] = MIN(live, e->alias_column_count);
}

static struct level *level_new(struct text *t, const struct query *q)
{
    struct level *l = ARENA_NEW(t->mem, struct level);
    l->above = t->level;
    l->q = q;
    l->names = ARENA_ARRAY(t->mem, const char *, q->rte_count + 1);
    l->columns = ARENA_ARRAY(t->mem, const char **, q->rte_count + 1);
    l->columns_written = ARENA_ARRAY(t->mem, uint32_t, q->rte_count + 1);
    name_entries(t, l);
    for (uint32_t i = 0; i < q->rte_count; i++)
        l->columns[i] = ARENA_ARRAY(t->mem, const char *,
                                    column_count_now(relation_of(t, q->rtes[i]), q->rtes[i]) + 1);
    for (uint32_t i = q->rte_count; i-- > 0;) {
        const struct range_entry *e = q->rtes[i];
        for (uint32_t k = 0; k < e->using_count; k++) {
            name_using(l, e->using_left[k], e->column_names[k]);
            name_using(l, e->using_right[k], e->column_names[k]);
        }
    }
    for (uint32_t i = 0; i < q->rte_count; i++)
        name_columns(t, l, i);
    return l;
}

/* ---- expressions ---- */

static const char *identifier(struct text *t, const char *name)
{
    return quote_identifier(t->mem, name);
}

/* *qualifier NULL: stands alone. */
static const char *column_parts(const struct text *t, const struct expr *e, const char **qualifier)
{
    const struct level *l = t->level;
    for (uint32_t i = 0; l && i < e->column.levels_up; i++)
        l = l->above;
    *qualifier = NULL;
    if (!l || e->column.rte >= l->q->rte_count)
        return e->column.name;
    const struct range_entry *entry = l->q->rtes[e->column.rte];
    *qualifier = l->names[e->column.rte];
    if (e->column.attno <= 0)
        return e->column.attno == 0 ? NULL : e->column.name;
    uint32_t c = (uint32_t)e->column.attno - 1;
    if (entry->kind == RTE_JOIN && !*qualifier && entry->join_columns[c]->kind == EXPR_COLUMN &&
        entry->join_columns[c]->column.levels_up == 0) {
        struct expr below = *entry->join_columns[c];
        below.column.levels_up = e->column.levels_up;
        return column_parts(t, &below, qualifier);
    }
    return l->columns[e->column.rte][c];
}

static const char *column_text(void *ctx, const struct expr *e)
{
    struct text *t = ctx;
    const char *qualifier;
    const char *name = column_parts(t, e, &qualifier);
    const char *shown = name ? identifier(t, name) : "*";
    return qualifier ? arena_printf(t->mem, "%s.%s", identifier(t, qualifier), shown) : shown;
}

static err_t subquery_text(void *ctx, const struct expr *e, uint32_t indent, struct strbuf *out);
static err_t window_text(void *ctx, const struct window_spec *w, uint32_t indent,
                         struct strbuf *out);

static err_t put_expr(struct text *t, const struct expr *e, bool implicit)
{
    const struct deparse_options o = {
        .env = t->o->env,
        .pretty = t->o->pretty,
        .implicit = implicit,
        .indent = (uint32_t)MAX(t->indent, 0),
        .column_name = column_text,
        .subquery = subquery_text,
        .window = window_text,
        .ctx = t,
    };
    return expr_deparse(t->mem, e, &o, t->out);
}

static void put(struct text *t, const char *s)
{
    strbuf_puts(t->out, s);
}

static void line(struct text *t, const char *keyword, int32_t before, int32_t after, uint32_t more)
{
    t->indent += before;
    deparse_new_line(t->out, (uint32_t)MAX(t->indent, 0), more, keyword);
    t->indent = MAX(t->indent + after, 0);
}

static err_t put_exprs(struct text *t, struct expr *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put(t, i ? ", " : "");
        TRY(put_expr(t, list[i], true));
    }
    return ERR_OK;
}

/* The constant of LIMIT and of frames, which analysis made a bigint. */
static err_t put_count(struct text *t, const struct expr *e)
{
    if (e->kind != EXPR_CONST || e->type != TYPE_INT8 || e->constant.is_null ||
        datum_i64(e->constant.value) < 0)
        return put_expr(t, e, false);
    strbuf_printf(t->out, "%" PRId64, datum_i64(e->constant.value));
    return ERR_OK;
}

/* An expression of GROUP BY, ORDER BY or DISTINCT ON (q: the query), or of a window (q NULL). What
 * the result has too is named by its number in set operations, and in stored texts, where it must
 * be the same when it is analysed again. */
static err_t put_key(struct text *t, const struct query *q, const struct expr *e)
{
    uint32_t number = 0;
    for (uint32_t i = 0; q && (q->set_tree || t->o->stored) && i < q->target_count; i++) {
        if (q->targets[i].junk)
            continue;
        number++;
        if (q->targets[i].expr == e || expr_equal(q->targets[i].expr, e)) {
            strbuf_printf(t->out, "%u", number);
            return ERR_OK;
        }
    }
    if (e->kind == EXPR_COLUMN)
        return put_expr(t, e, true);
    if (e->kind == EXPR_CONST) {
        size_t before = t->out->len;
        TRY(put_expr(t, e, true));
        if (!strstr(t->out->data + before, "::"))
            strbuf_printf(t->out, "::%s", type_format(t->mem, e->type, e->typmod));
        return ERR_OK;
    }
    bool paren = t->o->pretty || (e->kind == EXPR_CALL && !e->from_operator) ||
                 e->kind == EXPR_TYPMOD || e->kind == EXPR_AGGREGATE || e->kind == EXPR_WINDOW;
    put(t, paren ? "(" : "");
    TRY(put_expr(t, e, true));
    put(t, paren ? ")" : "");
    return ERR_OK;
}

static err_t put_order(struct text *t, const struct query *q, const struct sort_item *items,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put(t, i ? ", " : "");
        TRY(put_key(t, q, items[i].expr));
        put(t, items[i].descending ? " DESC" : "");
        if (items[i].nulls_first != items[i].descending)
            put(t, items[i].nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
    return ERR_OK;
}

/* ---- windows ---- */

static err_t put_bound(struct text *t, const struct window_spec *w, bool end)
{
    int f = w->frame_options;
    if (f & (end ? WINDOW_END_CURRENT : WINDOW_START_CURRENT)) {
        put(t, "CURRENT ROW");
        return ERR_OK;
    }
    if (f & (end ? WINDOW_END_UNBOUNDED : WINDOW_START_UNBOUNDED)) {
        put(t, end ? "UNBOUNDED FOLLOWING" : "UNBOUNDED PRECEDING");
        return ERR_OK;
    }
    TRY(put_count(t, end ? w->end_offset : w->start_offset));
    bool preceding = f & (end ? WINDOW_END_PRECEDING : WINDOW_START_PRECEDING);
    put(t, preceding ? " PRECEDING" : " FOLLOWING");
    return ERR_OK;
}

static err_t put_frame(struct text *t, const struct window_spec *w)
{
    int f = w->frame_options;
    put(t, f & WINDOW_RANGE ? "RANGE " : f & WINDOW_ROWS ? "ROWS " : "GROUPS ");
    put(t, f & WINDOW_BETWEEN ? "BETWEEN " : "");
    TRY(put_bound(t, w, false));
    if (f & WINDOW_BETWEEN) {
        put(t, " AND ");
        TRY(put_bound(t, w, true));
    }
    put(t, f & WINDOW_EXCLUDE_CURRENT ? " EXCLUDE CURRENT ROW"
           : f & WINDOW_EXCLUDE_GROUP ? " EXCLUDE GROUP"
           : f & WINDOW_EXCLUDE_TIES  ? " EXCLUDE TIES"
                                      : "");
    return ERR_OK;
}

static err_t put_window(struct text *t, const struct window_spec *w)
{
    const char *space = "";
    put(t, "(");
    if (w->base) {
        put(t, identifier(t, w->base));
        space = " ";
    }
    if (w->partition_count && !w->base) {
        put(t, "PARTITION BY ");
        for (uint32_t i = 0; i < w->partition_count; i++) {
            put(t, i ? ", " : "");
            TRY(put_key(t, NULL, w->partition[i]));
        }
        space = " ";
    }
    if (w->order_count && !w->order_copied) {
        strbuf_printf(t->out, "%sORDER BY ", space);
        TRY(put_order(t, NULL, w->order, w->order_count));
        space = " ";
    }
    if (w->frame_options & WINDOW_NONDEFAULT) {
        put(t, space);
        TRY(put_frame(t, w));
    }
    put(t, ")");
    return ERR_OK;
}

static err_t window_text(void *ctx, const struct window_spec *w, uint32_t indent,
                         struct strbuf *out)
{
    struct text *t = ctx;
    (void)indent;
    (void)out;
    if (!w->name)
        return put_window(t, w);
    put(t, identifier(t, w->name));
    return ERR_OK;
}

/* ---- subqueries in expressions ---- */

/* The comparison of one column, and its left side. */
static const struct expr *test_left(const struct expr *test, const struct operator_info **op)
{
    *op = test->kind == EXPR_CALL && test->from_operator ? operator_find(test->oper_oid) : NULL;
    return test->arg_count > 0 ? test->args[0] : NULL;
}

static err_t put_row_left(struct text *t, const struct expr *test, const struct operator_info **op)
{
    put(t, "(");
    if (test->kind == EXPR_ROW_COMPARE) {
        *op = operator_find(test->oper_oid);
        TRY(put_exprs(t, test->args, test->arg_count / 2));
    }
    for (uint32_t i = 0; test->kind != EXPR_ROW_COMPARE && i < test->arg_count; i++) {
        const struct expr *left = test_left(test->args[i], op);
        put(t, i ? ", " : "");
        if (left)
            TRY(put_expr(t, left, true));
    }
    put(t, ")");
    return ERR_OK;
}

static err_t put_test(struct text *t, const struct expr *e)
{
    const struct expr *test = e->subquery.test;
    const struct operator_info *op = NULL;
    while (test->kind == EXPR_NOT && test->arg_count == 1)
        test = test->args[0];
    if (test->kind == EXPR_AND || test->kind == EXPR_OR || test->kind == EXPR_ROW_COMPARE) {
        TRY(put_row_left(t, test, &op));
    } else {
        const struct expr *left = test_left(test, &op);
        bool paren = t->o->pretty && left &&
                     (left->kind == EXPR_IS_NULL || left->kind == EXPR_IS_BOOL ||
                      left->kind == EXPR_DISTINCT || left->kind == EXPR_AND ||
                      left->kind == EXPR_OR || left->kind == EXPR_NOT);
        put(t, paren ? "(" : "");
        if (left)
            TRY(put_expr(t, left, true));
        put(t, paren ? ")" : "");
    }
    const char *name = op ? op->name : "=";
    if (e->subquery.subkind == SUBQUERY_ANY && strcmp(name, "=") == 0)
        put(t, " IN ");
    else
        strbuf_printf(t->out, " %s %s", name,
                      e->subquery.subkind == SUBQUERY_ANY   ? "ANY "
                      : e->subquery.subkind == SUBQUERY_ALL ? "ALL "
                                                            : "");
    return ERR_OK;
}

static err_t subquery_text(void *ctx, const struct expr *e, uint32_t indent, struct strbuf *out)
{
    struct text *t = ctx;
    const struct surroundings s = {.names_hidden = true};
    enum subquery_kind kind = e->subquery.subkind;
    bool inner = kind != SUBQUERY_SCALAR && kind != SUBQUERY_ARRAY;
    int32_t saved = t->indent;
    (void)out;
    t->indent = (int32_t)indent;
    put(t, kind == SUBQUERY_ARRAY ? "ARRAY(" : "(");
    if (kind == SUBQUERY_EXISTS)
        put(t, "EXISTS ");
    else if (inner)
        TRY(put_test(t, e));
    put(t, inner ? "(" : "");
    TRY(put_query(t, e->subquery.query, &s));
    put(t, inner ? "))" : ")");
    t->indent = saved;
    return ERR_OK;
}

/* ---- FROM ---- */

static void put_alias_columns(struct text *t, uint32_t index)
{
    const struct level *l = t->level;
    uint32_t count = 0;
    put(t, "(");
    for (uint32_t c = 0; count < l->columns_written[index]; c++) {
        if (!l->columns[index][c])
            continue;
        put(t, count++ ? ", " : "");
        put(t, identifier(t, l->columns[index][c]));
    }
    put(t, ")");
}

static bool is_unnest(const struct expr *e)
{
    return e->kind == EXPR_CALL && e->func && strcmp(e->func->name, "unnest") == 0 &&
           e->arg_count == 1;
}

static err_t put_functions(struct text *t, const struct range_entry *e)
{
    bool unnests = e->function_count > 1;
    for (uint32_t i = 0; i < e->function_count; i++) {
        if (e->functions[i]->type == TYPE_RECORD && e->functions[i]->kind == EXPR_CALL &&
            !e->functions[i]->func->arg_modes && !e->functions[i]->func->set_function)
            return err_not_built("views over functions with column definition lists are not "
                                 "supported");
        unnests = unnests && is_unnest(e->functions[i]);
    }
    if (unnests) {
        put(t, "unnest(");
        for (uint32_t i = 0; i < e->function_count; i++) {
            put(t, i ? ", " : "");
            TRY(put_expr(t, e->functions[i]->args[0], true));
        }
    } else {
        put(t, e->function_count > 1 ? "ROWS FROM(" : "");
        TRY(put_exprs(t, e->functions, e->function_count));
    }
    put(t, e->function_count > 1 ? ")" : "");
    put(t, e->with_ordinality ? " WITH ORDINALITY" : "");
    return ERR_OK;
}

static err_t put_values(struct text *t, const struct range_entry *e)
{
    put(t, "VALUES ");
    for (uint32_t i = 0; i < e->value_row_count; i++) {
        put(t, i ? ", (" : "(");
        for (uint32_t c = 0; c < e->column_count; c++) {
            put(t, c ? "," : "");
            TRY(put_expr(t, e->values[i][c], false));
        }
        put(t, ")");
    }
    return ERR_OK;
}

static const char *result_name(const struct surroundings *s, uint32_t number,
                               const struct target *target)
{
    return s->names && number < s->name_count ? s->names[number] : target->name;
}

/* VALUES alone: FROM is the rows and the targets are their columns under their own names. */
static const struct range_entry *only_values(const struct query *q, const struct surroundings *s)
{
    if (q->from_count != 1 || q->from[0]->kind != FROM_RTE || q->where || q->group_count)
        return NULL;
    const struct range_entry *e = q->rtes[q->from[0]->rte];
    if (e->kind != RTE_VALUES)
        return NULL;
    uint32_t number = 0;
    for (uint32_t i = 0; i < q->target_count; i++) {
        const struct target *target = &q->targets[i];
        const struct expr *c = target->expr;
        if (target->junk || c->kind != EXPR_COLUMN || c->column.attno != (int32_t)i + 1)
            return NULL;
        if (strcmp(result_name(s, number++, target), e->column_names[i]) != 0)
            return NULL;
    }
    return number == e->column_count ? e : NULL;
}

static err_t put_entry(struct text *t, uint32_t index)
{
    const struct level *l = t->level;
    const struct range_entry *e = l->q->rtes[index];
    const struct relation_names *r = relation_of(t, e);
    const char *name = l->names[index];
    bool alias = e->alias_given || l->columns_written[index] > 0;
    put(t, e->lateral && !r ? "LATERAL " : "");
    if (r) {
        put(t, r->written);
        alias = alias || t->o->stored || strcmp(name, r->own) != 0;
    } else if (e->kind == RTE_SUBQUERY) {
        const struct surroundings s = {0};
        put(t, "(");
        /* where a stored text has the rows that VALUES as a whole query was */
        const struct range_entry *values =
            strcmp(e->alias, "*VALUES*") == 0 ? only_values(e->subquery, &s) : NULL;
        TRY(values ? put_values(t, values) : put_query(t, e->subquery, &s));
        put(t, ")");
        alias = true;
    } else if (e->kind == RTE_FUNCTION) {
        TRY(put_functions(t, e));
        alias = true;
    } else if (e->kind == RTE_VALUES) {
        put(t, "(");
        TRY(put_values(t, e));
        put(t, ")");
        alias = true;
    } else if (e->kind == RTE_CTE) {
        const struct level *at = l;
        for (uint32_t i = 0; at && i < e->cte_levels_up; i++)
            at = at->above;
        if (!at || e->cte_index >= at->q->cte_count)
            return err_raise(ERR_INTERNAL_ERROR, "a WITH item is not there");
        const char *own = at->q->ctes[e->cte_index].name;
        put(t, identifier(t, own));
        alias = alias || strcmp(name, own) != 0;
    } else {
        return err_raise(ERR_INTERNAL_ERROR, "cannot print range table entry of kind %d",
                         (int)e->kind);
    }
    if (alias)
        strbuf_printf(t->out, " %s", identifier(t, name));
    if (l->columns_written[index])
        put_alias_columns(t, index);
    return ERR_OK;
}

static err_t put_from_item(struct text *t, const struct from_item *f);

static err_t put_join(struct text *t, const struct from_item *f)
{
    const struct level *l = t->level;
    const struct range_entry *e = l->q->rtes[f->rte];
    bool named = e->alias_given;
    bool right_paren =
        t->o->pretty && f->right->kind == FROM_JOIN && !l->q->rtes[f->right->rte]->alias_given;
    bool has_condition = f->condition || e->using_count;
    put(t, !t->o->pretty || named ? "(" : "");
    TRY(put_from_item(t, f->left));
    const char *word = f->join == JOIN_LEFT    ? " LEFT JOIN "
                       : f->join == JOIN_RIGHT ? " RIGHT JOIN "
                       : f->join == JOIN_FULL  ? " FULL JOIN "
                       : has_condition         ? " JOIN "
                                               : " CROSS JOIN ";
    line(t, word, -STEP, STEP, STEP_JOIN);
    put(t, right_paren ? "(" : "");
    TRY(put_from_item(t, f->right));
    put(t, right_paren ? ")" : "");
    if (e->using_count) {
        put(t, " USING (");
        for (uint32_t i = 0; i < e->using_count; i++)
            strbuf_printf(t->out, "%s%s", i ? ", " : "", identifier(t, e->column_names[i]));
        put(t, ")");
        if (e->using_alias)
            strbuf_printf(t->out, " AS %s", identifier(t, e->using_alias));
    } else if (f->condition) {
        put(t, t->o->pretty ? " ON " : " ON (");
        TRY(put_expr(t, f->condition, false));
        put(t, t->o->pretty ? "" : ")");
    } else if (f->join != JOIN_INNER) {
        put(t, " ON TRUE");
    }
    put(t, !t->o->pretty || named ? ")" : "");
    if (!named)
        return ERR_OK;
    strbuf_printf(t->out, " %s", identifier(t, l->names[f->rte]));
    if (l->columns_written[f->rte])
        put_alias_columns(t, f->rte);
    return ERR_OK;
}

static err_t put_from_item(struct text *t, const struct from_item *f)
{
    TRY(fiber_check_stack());
    return f->kind == FROM_JOIN ? put_join(t, f) : put_entry(t, f->rte);
}

static err_t put_from(struct text *t, const struct query *q)
{
    for (uint32_t i = 0; i < q->from_count; i++) {
        if (i == 0) {
            line(t, " FROM ", -STEP, STEP, 2);
        } else {
            put(t, ",");
            line(t, "", -STEP, STEP, STEP_ITEM);
        }
        TRY(put_from_item(t, q->from[i]));
    }
    return ERR_OK;
}

/* ---- the SELECT ---- */

/* The row type has its relation's name; nobody needs it where the text is analysed again. */
static const char *row_type_name(const struct text *t, const struct expr *e)
{
    const struct level *l = t->level;
    for (uint32_t i = 0; l && i < e->column.levels_up; i++)
        l = l->above;
    const struct relation_names *r = l ? relation_of(t, l->q->rtes[e->column.rte]) : NULL;
    return r && !t->o->stored ? r->written : type_format(t->mem, e->type, -1);
}

static err_t put_target(struct text *t, const struct target *target, const char *name,
                        const struct surroundings *s)
{
    const struct expr *e = target->expr;
    const char *own = s->names_hidden ? "?column?" : NULL;
    TRY(put_expr(t, e, !s->set_member));
    if (e->kind == EXPR_COLUMN) {
        const char *qualifier;
        own = column_parts(t, e, &qualifier);
        if (e->column.attno == 0)
            strbuf_printf(t->out, "::%s", row_type_name(t, e));
    }
    if (name && !(own && strcmp(own, name) == 0))
        strbuf_printf(t->out, " AS %s", identifier(t, name));
    return ERR_OK;
}

static err_t put_targets(struct text *t, const struct query *q, const struct surroundings *s)
{
    uint32_t number = 0;
    for (uint32_t i = 0; i < q->target_count; i++) {
        if (q->targets[i].junk)
            continue;
        struct strbuf item;
        struct strbuf *out = t->out;
        strbuf_init(&item, t->mem);
        strbuf_puts(&item, "");
        t->out = &item;
        err_t e = put_target(t, &q->targets[i], result_name(s, number, &q->targets[i]), s);
        t->out = out;
        TRY(e);
        put(t, number ? "," : " ");
        if (item.len && item.data[0] == '\n') {
            while (t->out->len && t->out->data[t->out->len - 1] == ' ')
                t->out->data[--t->out->len] = '\0';
        } else if (number) {
            line(t, "", -STEP, STEP, STEP_ITEM);
        }
        put(t, item.data);
        number++;
    }
    return ERR_OK;
}

static err_t put_group_item(struct text *t, const struct query *q, const struct group_item *g,
                            bool bare)
{
    bool paren = g->kind != GROUP_SIMPLE || !bare || g->count != 1;
    put(t, g->kind == GROUP_ROLLUP ? "ROLLUP"
           : g->kind == GROUP_CUBE ? "CUBE"
           : g->kind == GROUP_SETS ? "GROUPING SETS "
                                   : "");
    put(t, paren ? "(" : "");
    for (uint32_t i = 0; i < g->count; i++) {
        put(t, i ? ", " : "");
        if (g->kind == GROUP_SIMPLE)
            TRY(put_key(t, q, q->group_exprs[g->members[i]]));
        else
            TRY(put_group_item(t, q, &g->items[i], g->kind != GROUP_SETS));
    }
    put(t, paren ? ")" : "");
    return ERR_OK;
}

static err_t put_group(struct text *t, const struct query *q)
{
    if (!q->group_count && !q->group_item_count)
        return ERR_OK;
    line(t, q->group_distinct ? " GROUP BY DISTINCT " : " GROUP BY ", -STEP, STEP, 1);
    for (uint32_t i = 0; i < q->group_item_count; i++) {
        put(t, i ? ", " : "");
        TRY(put_group_item(t, q, &q->group_items[i], true));
    }
    for (uint32_t i = 0; !q->group_item_count && i < q->group_count; i++) {
        put(t, i ? ", " : "");
        TRY(put_key(t, q, q->group_exprs[i]));
    }
    return ERR_OK;
}

static err_t put_select(struct text *t, const struct query *q, const struct surroundings *s)
{
    t->indent += STEP;
    put(t, " ");
    const struct range_entry *values = only_values(q, s);
    if (values)
        return put_values(t, values);
    put(t, "SELECT");
    if (q->distinct || q->distinct_on_count)
        put(t, " DISTINCT");
    if (q->has_distinct_on) {
        put(t, " ON (");
        for (uint32_t i = 0; i < q->distinct_on_count; i++) {
            put(t, i ? ", " : "");
            TRY(put_key(t, q, q->distinct_on[i].expr));
        }
        put(t, ")");
    }
    TRY(put_targets(t, q, s));
    TRY(put_from(t, q));
    if (q->where) {
        line(t, " WHERE ", -STEP, STEP, 1);
        TRY(put_expr(t, q->where, false));
    }
    TRY(put_group(t, q));
    if (q->having) {
        line(t, " HAVING ", -STEP, STEP, 0);
        TRY(put_expr(t, q->having, false));
    }
    for (uint32_t i = 0; i < q->window_count; i++) {
        if (i == 0)
            line(t, " WINDOW ", -STEP, STEP, 1);
        strbuf_printf(t->out, "%s%s AS ", i ? ", " : "", identifier(t, q->windows[i]->name));
        TRY(put_window(t, q->windows[i]));
    }
    return ERR_OK;
}

/* ---- set operations ---- */

static err_t put_set(struct text *t, const struct query *q, const struct set_tree *n,
                     const struct surroundings *s)
{
    TRY(fiber_check_stack());
    if (n->operation == SET_NONE) {
        const struct query *member = q->rtes[n->rte]->subquery;
        struct surroundings inside = *s;
        bool paren = member->cte_count || member->order_count || member->row_mark_count ||
                     member->limit || member->offset;
        inside.set_member = true;
        put(t, paren ? "(" : "");
        TRY(put_query(t, member, &inside));
        put(t, paren ? ")" : "");
        return ERR_OK;
    }
    const struct set_tree *l = n->left;
    bool left_paren =
        l->operation != SET_NONE && (l->operation != n->operation || l->all != n->all);
    int32_t step = left_paren ? STEP : 0;
    if (left_paren) {
        put(t, "(");
        line(t, "", step, 0, 0);
    }
    TRY(put_set(t, q, l, s));
    line(t, left_paren ? ") " : "", -step, 0, 0);
    put(t, n->operation == SET_UNION       ? "UNION "
           : n->operation == SET_INTERSECT ? "INTERSECT "
                                           : "EXCEPT ");
    put(t, n->all ? "ALL " : "");
    bool right_paren = n->right->operation != SET_NONE;
    step = right_paren ? STEP : 0;
    put(t, right_paren ? "(" : "");
    line(t, "", step, 0, 0);
    struct surroundings right = *s;
    right.names_hidden = true;
    TRY(put_set(t, q, n->right, &right));
    t->indent -= step;
    if (right_paren)
        line(t, ")", 0, 0, 0);
    return ERR_OK;
}

/* ---- a whole query ---- */

static err_t put_with(struct text *t, const struct query *q)
{
    const struct surroundings s = {0};
    if (!q->cte_count)
        return ERR_OK;
    t->indent += STEP;
    put(t, q->with_recursive ? " WITH RECURSIVE " : " WITH ");
    for (uint32_t i = 0; i < q->cte_count; i++) {
        const struct cte *c = &q->ctes[i];
        strbuf_printf(t->out, "%s%s", i ? ", " : "", identifier(t, c->name));
        for (uint32_t k = 0; k < c->column_name_count; k++)
            strbuf_printf(t->out, "%s%s", k ? ", " : "(", identifier(t, c->column_names[k]));
        put(t, c->column_name_count ? ") AS " : " AS ");
        put(t, c->materialized == 1   ? "MATERIALIZED "
               : c->materialized == 2 ? "NOT MATERIALIZED "
                                      : "");
        put(t, "(");
        line(t, "", 0, 0, 0);
        TRY(put_query(t, c->query, &s));
        line(t, "", 0, 0, 0);
        put(t, ")");
    }
    t->indent -= STEP;
    line(t, "", 0, 0, 0);
    return ERR_OK;
}

static void put_row_marks(struct text *t, const struct query *q)
{
    static const char *const words[] = {
        [LOCK_KEY_SHARE] = " FOR KEY SHARE",
        [LOCK_SHARE] = " FOR SHARE",
        [LOCK_NO_KEY_UPDATE] = " FOR NO KEY UPDATE",
        [LOCK_UPDATE] = " FOR UPDATE",
    };
    for (uint32_t i = 0; i < q->row_mark_count; i++) {
        const struct row_mark *m = &q->row_marks[i];
        line(t, words[m->mode], -STEP, STEP, 0);
        strbuf_printf(t->out, " OF %s", identifier(t, t->level->names[m->rte]));
        put(t, m->policy == LOCK_NOWAIT ? " NOWAIT" : m->policy == LOCK_SKIP ? " SKIP LOCKED" : "");
    }
}

static err_t put_clauses(struct text *t, const struct query *q, const struct surroundings *s)
{
    TRY(put_with(t, q));
    if (q->set_tree)
        TRY(put_set(t, q, q->set_tree, s));
    else
        TRY(put_select(t, q, s));
    if (q->order_count) {
        line(t, " ORDER BY ", -STEP, STEP, 1);
        TRY(put_order(t, q, q->order, q->order_count));
    }
    if (q->offset) {
        line(t, " OFFSET ", -STEP, STEP, 0);
        TRY(put_count(t, q->offset));
    }
    if (q->limit) {
        line(t, q->limit_with_ties ? " FETCH FIRST (" : " LIMIT ", -STEP, STEP, 0);
        TRY(put_count(t, q->limit));
        put(t, q->limit_with_ties ? ") ROWS WITH TIES" : "");
    }
    put_row_marks(t, q);
    return ERR_OK;
}

static err_t put_query(struct text *t, const struct query *q, const struct surroundings *s)
{
    TRY(fiber_check_stack());
    const struct level *above = t->level;
    int32_t indent = t->indent;
    t->level = level_new(t, q);
    err_t e = q->command == CMD_SELECT
                  ? put_clauses(t, q, s)
                  : err_raise(ERR_INTERNAL_ERROR, "only a SELECT can be printed");
    t->level = above;
    t->indent = indent;
    return e;
}

err_t query_text_wait(const struct query_text_options *o, struct query *q, struct arena *mem,
                      struct strbuf *out)
{
    struct gather g = {.mem = mem};
    struct text t = {.mem = mem, .o = o, .out = out};
    const struct surroundings s = {.names = o->names, .name_count = o->name_count};
    TRY(gather_query(&g, q));
    t.relations = g.relations;
    for (struct relation_names *r = t.relations; r; r = r->next)
        TRY(relation_names_wait(&t, r));
    return put_query(&t, q, &s);
}
