/* Target lists: names, stars, origins; and bare expression lists (VALUES rows, ROW()). */
#include "sql/analyze/analyze_priv.h"

/* ---- names ---- */

static int figure(const Node *n, const char **name);

static int figure_cast(const TypeCast *n, const char **name)
{
    int strength = figure(n->arg, name);
    if (strength <= 1 && n->typeName) {
        *name = list_string(n->typeName->names, list_length(n->typeName->names) - 1);
        return 1;
    }
    return strength;
}

static int figure_last_string(const List *l, const char **name)
{
    const char *found = NULL;
    for (int i = 0; i < list_length(l); i++) {
        const Node *n = list_nth(l, i);
        if (IsA(n, String))
            found = node_string(n);
    }
    if (!found)
        return 0;
    *name = found;
    return 2;
}

static int figure_sublink(const SubLink *n, const char **name)
{
    switch (n->subLinkType) {
    case EXISTS_SUBLINK:
        *name = "exists";
        return 2;
    case ARRAY_SUBLINK:
        *name = "array";
        return 2;
    case EXPR_SUBLINK:
        break;
    default:
        return 0;
    }
    const SelectStmt *select = (const SelectStmt *)n->subselect;
    if (!IsA(select, SelectStmt))
        return 0;
    while (select->larg)
        select = select->larg;
    if (select->valuesLists) {
        *name = "column1";
        return 2;
    }
    if (list_length(select->targetList) == 0)
        return 0;
    const ResTarget *t = list_nth(select->targetList, 0);
    *name = t->name ? t->name : target_figure_name(t->val);
    return 2;
}

static int figure_sql_value(const SQLValueFunction *n, const char **name)
{
    static const char *const names[] = {
        [SVFOP_CURRENT_DATE] = "current_date",
        [SVFOP_CURRENT_TIME] = "current_time",
        [SVFOP_CURRENT_TIME_N] = "current_time",
        [SVFOP_CURRENT_TIMESTAMP] = "current_timestamp",
        [SVFOP_CURRENT_TIMESTAMP_N] = "current_timestamp",
        [SVFOP_LOCALTIME] = "localtime",
        [SVFOP_LOCALTIME_N] = "localtime",
        [SVFOP_LOCALTIMESTAMP] = "localtimestamp",
        [SVFOP_LOCALTIMESTAMP_N] = "localtimestamp",
        [SVFOP_CURRENT_ROLE] = "current_role",
        [SVFOP_CURRENT_USER] = "current_user",
        [SVFOP_USER] = "user",
        [SVFOP_SESSION_USER] = "session_user",
        [SVFOP_CURRENT_CATALOG] = "current_catalog",
        [SVFOP_CURRENT_SCHEMA] = "current_schema",
    };
    *name = names[n->op];
    return 2;
}

static int figure_word(const char *word, const char **name)
{
    *name = word;
    return 2;
}

static int figure(const Node *n, const char **name)
{
    if (!n || fiber_stack_left() < 8192)
        return 0;
    switch (nodeTag(n)) {
    case T_ColumnRef:
        return figure_last_string(((const ColumnRef *)n)->fields, name);
    case T_A_Indirection: {
        const A_Indirection *ind = (const A_Indirection *)n;
        int strength = figure_last_string(ind->indirection, name);
        return strength ? strength : figure(ind->arg, name);
    }
    case T_FuncCall: {
        const FuncCall *f = (const FuncCall *)n;
        return figure_word(list_string(f->funcname, list_length(f->funcname) - 1), name);
    }
    case T_A_Expr:
        return ((const A_Expr *)n)->kind == AEXPR_NULLIF ? figure_word("nullif", name) : 0;
    case T_TypeCast:
        return figure_cast((const TypeCast *)n, name);
    case T_CollateClause:
        return figure(((const CollateClause *)n)->arg, name);
    case T_GroupingFunc:
        return figure_word("grouping", name);
    case T_SubLink:
        return figure_sublink((const SubLink *)n, name);
    case T_CaseExpr: {
        int strength = figure((const Node *)((const CaseExpr *)n)->defresult, name);
        if (strength > 1)
            return strength;
        *name = "case";
        return 1;
    }
    case T_A_ArrayExpr:
        return figure_word("array", name);
    case T_RowExpr:
        return figure_word("row", name);
    case T_CoalesceExpr:
        return figure_word("coalesce", name);
    case T_MinMaxExpr:
        return figure_word(((const MinMaxExpr *)n)->op == IS_GREATEST ? "greatest" : "least", name);
    case T_SQLValueFunction:
        return figure_sql_value((const SQLValueFunction *)n, name);
    default:
        return 0;
    }
}

const char *target_figure_name(const void *node)
{
    const char *name = "?column?";
    figure(node, &name);
    return name;
}

/* ---- stars ---- */

struct star {
    struct expr **exprs;
    const char **names;
    uint32_t count;
};

static bool is_star(const Node *n)
{
    if (!IsA(n, ColumnRef))
        return false;
    const List *fields = ((const ColumnRef *)n)->fields;
    return IsA(list_nth(fields, list_length(fields) - 1), A_Star);
}

static err_t star_all(struct scope *s, int32_t location, struct star *out)
{
    uint32_t total = 0;
    bool any = false;
    for (uint32_t i = 0; i < s->item_count; i++)
        total += s->items[i]->column_count;
    out->exprs = ARENA_ARRAY(s->a->mem, struct expr *, total + 1);
    out->names = ARENA_ARRAY(s->a->mem, const char *, total + 1);
    out->count = 0;
    for (uint32_t i = 0; i < s->item_count; i++) {
        struct scope_item *item = s->items[i];
        if (!item->columns_visible)
            continue;
        any = true;
        for (uint32_t c = 0; c < item->column_count; c++) {
            if (!item->columns[c].name)
                continue;
            out->exprs[out->count] = scope_column_expr(s, &item->columns[c], 0, location);
            out->names[out->count++] = item->columns[c].name;
        }
    }
    if (!any)
        return analyze_at(
            s->a, location,
            err_raise(ERR_SYNTAX_ERROR, "SELECT * with no tables specified is not valid"));
    return ERR_OK;
}

static err_t star_expand(struct scope *s, const ColumnRef *ref, struct star *out)
{
    int n = list_length(ref->fields) - 1;
    if (n == 0)
        return star_all(s, ref->location, out);
    if (n > 3)
        return analyze_at(
            s->a, ref->location,
            err_raise(ERR_SYNTAX_ERROR, "improper qualified name (too many dotted names)"));
    const char *relation = list_string(ref->fields, n - 1);
    const char *schema = n > 1 ? list_string(ref->fields, n - 2) : NULL;
    uint32_t levels_up;
    err_t e;
    struct scope_item *item =
        scope_find_relation(s, schema, relation, &levels_up, &e, ref->location);
    TRY(e);
    if (!item)
        return scope_missing_relation(s, schema, relation, ref->location);
    return scope_item_star(s, item, levels_up, ref->location, &out->exprs, &out->names,
                           &out->count);
}

/* ---- origins ---- */

static void origin_of_column(struct query *q, uint32_t rte, int32_t attno, struct target *t)
{
    if (rte >= q->rte_count || attno <= 0)
        return;
    const struct range_entry *r = q->rtes[rte];
    if (r->kind == RTE_TABLE || r->table_kind == 'v') {
        t->origin_table = r->table;
        t->origin_column = (int16_t)attno;
    } else if (r->kind == RTE_SUBQUERY) {
        uint32_t k = 0;
        const struct query *sub = r->subquery;
        for (uint32_t i = 0; i < sub->target_count; i++) {
            if (sub->targets[i].junk)
                continue;
            if (++k == (uint32_t)attno) {
                t->origin_table = sub->targets[i].origin_table;
                t->origin_column = sub->targets[i].origin_column;
            }
        }
    }
}

void target_origin(struct scope *s, struct target *t)
{
    const struct expr *e = t->expr;
    if (e->kind != EXPR_COLUMN)
        return;
    struct scope *level = s;
    for (uint32_t i = 0; i < e->column.levels_up && level; i++)
        level = level->parent;
    if (!level)
        return;
    const struct range_entry *r = level->query->rtes[e->column.rte];
    if (r->kind == RTE_CTE) {
        for (uint32_t i = 0; i < r->cte_levels_up && level; i++)
            level = level->parent;
        const struct query *q = level ? level->query->ctes[r->cte_index].query : NULL;
        uint32_t k = 0;
        bool is_select = q && q->command == CMD_SELECT;
        const struct target *from = !q ? NULL : is_select ? q->targets : q->returning;
        uint32_t count = !q ? 0 : is_select ? q->target_count : q->returning_count;
        for (uint32_t i = 0; i < count; i++) {
            if (!from[i].junk && ++k == (uint32_t)e->column.attno) {
                t->origin_table = from[i].origin_table;
                t->origin_column = from[i].origin_column;
            }
        }
        return;
    }
    origin_of_column(level->query, e->column.rte, e->column.attno, t);
}

/* ---- lists ---- */

uint32_t target_add(struct query *q, struct arena *mem, struct target t)
{
    struct target *grown = ARENA_ARRAY(mem, struct target, q->target_count + 1);
    if (q->target_count)
        memcpy(grown, q->targets, sizeof(*grown) * q->target_count);
    grown[q->target_count] = t;
    q->targets = grown;
    return q->target_count++;
}

struct target_buffer {
    struct arena *mem;
    struct target *items;
    uint32_t count;
    uint32_t capacity;
};

static void buffer_add(struct target_buffer *b, struct target t)
{
    if (b->count == b->capacity) {
        uint32_t capacity = b->capacity ? b->capacity * 2 : 8;
        struct target *items = ARENA_ARRAY(b->mem, struct target, capacity);
        if (b->count)
            memcpy(items, b->items, sizeof(*items) * b->count);
        b->items = items;
        b->capacity = capacity;
    }
    b->items[b->count++] = t;
}

static SUSPENDS err_t target_one_wait(struct scope *s, const ResTarget *n, enum place place,
                                      struct target_buffer *b)
{
    struct arena *mem = s->a->mem;
    if (is_star(n->val)) {
        struct star star;
        TRY(star_expand(s, (const ColumnRef *)n->val, &star));
        for (uint32_t i = 0; i < star.count; i++) {
            struct target t = {.expr = star.exprs[i], .name = star.names[i]};
            target_origin(s, &t);
            buffer_add(b, t);
        }
        return ERR_OK;
    }
    if (IsA(n->val, A_Indirection)) {
        const List *l = ((const A_Indirection *)n->val)->indirection;
        if (IsA(list_nth(l, list_length(l) - 1), A_Star))
            return analyze_at(s->a, n->location,
                              err_not_built("expanding a composite value with .* is not "
                                            "supported yet"));
    }
    struct target t = {0};
    TRY(analyze_expr_wait(s, n->val, place, &t.expr));
    t.name = arena_strdup(mem, n->name ? n->name : target_figure_name(n->val));
    target_origin(s, &t);
    buffer_add(b, t);
    return ERR_OK;
}

SUSPENDS err_t target_list_wait(struct scope *s, const List *list, enum place place,
                                struct target **out, uint32_t *count)
{
    enum { TARGETS_MAX = 1664 };
    struct target_buffer b = {.mem = s->a->mem};
    for (int i = 0; i < list_length(list); i++)
        TRY(target_one_wait(s, list_nth(list, i), place, &b));
    if (b.count > TARGETS_MAX)
        return err_raise(ERR_TOO_MANY_COLUMNS, "target lists can have at most %d entries",
                         TARGETS_MAX);
    *out = b.items;
    *count = b.count;
    return ERR_OK;
}

SUSPENDS err_t target_exprs_wait(struct scope *s, const List *list, enum place place,
                                 bool allow_default, struct expr ***out, uint32_t *count)
{
    struct target_buffer b = {.mem = s->a->mem};
    for (int i = 0; i < list_length(list); i++) {
        const Node *n = list_nth(list, i);
        struct target t = {0};
        if (is_star(n)) {
            struct star star;
            TRY(star_expand(s, (const ColumnRef *)n, &star));
            for (uint32_t k = 0; k < star.count; k++) {
                t.expr = star.exprs[k];
                buffer_add(&b, t);
            }
            continue;
        }
        if (allow_default && IsA(n, SetToDefault)) {
            t.expr = expr_new(s->a->mem, EXPR_DEFAULT, TYPE_UNKNOWN, -1);
            t.expr->location = ((const SetToDefault *)n)->location;
        } else {
            TRY(analyze_expr_wait(s, n, place, &t.expr));
        }
        buffer_add(&b, t);
    }
    *out = ARENA_ARRAY(s->a->mem, struct expr *, b.count + 1);
    for (uint32_t i = 0; i < b.count; i++)
        (*out)[i] = b.items[i].expr;
    *count = b.count;
    return ERR_OK;
}

err_t target_resolve_unknowns(struct scope *s, struct target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (targets[i].expr->type == TYPE_UNKNOWN)
            TRY(coerce_type(s, targets[i].expr, TYPE_TEXT, -1, COERCE_BY_CONTEXT, false, -1,
                            &targets[i].expr));
    }
    return ERR_OK;
}
