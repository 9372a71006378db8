/*
 * Relations of one level and the ways to read them.
 *
 * An index serves conditions on a prefix of its key: equality on each column, one of them perhaps
 * = ANY(array), then one range. Conditions whose other side reads other relations make
 * parameterised paths: inner sides of nested loops.
 */
#include "sql/plan/plan_priv.h"

#include <math.h>

/* ---- set up ---- */

static void rel_size(struct rel *r)
{
    const struct table_desc *d = r->desc;
    uint32_t width = 0;
    for (uint32_t i = 0; i < d->column_count; i++) {
        const struct column_stats *s = d->stats ? d->stats[i] : NULL;
        if (!d->columns[i].dropped)
            width += s && s->average_width > 0
                         ? (uint32_t)s->average_width
                         : type_width(d->columns[i].type, d->columns[i].typmod);
    }
    r->width = MAX(width, 1u);
    double per_page = floor(8168.0 / (r->width + 28));
    if (d->rows_estimate >= 0 && (d->rows_estimate > 0 || d->pages_estimate > 0)) {
        r->tuples = d->rows_estimate;
        r->pages = d->pages_estimate > 0 ? d->pages_estimate : ceil(r->tuples / MAX(per_page, 1.0));
    } else { /* never analysed: as PostgreSQL, ten pages */
        r->pages = 10;
        r->tuples = rint(10 * MAX(per_page, 1.0));
    }
}

static SUSPENDS err_t rel_table_wait(struct level *l, struct rel *r)
{
    const struct range_entry *e = r->entry;
    TRY(plan_hold_table_wait(l->p, e->table, &r->desc));
    bool is_target = l->q->command != CMD_SELECT && r->rte == l->q->target_rte;
    TRY(plan_table_from_desc_wait(l->p->o, r->desc, is_target, l->mem, &r->table));
    r->table->alias = e->alias ? e->alias : r->table->name;
    rel_size(r);
    dist_of_table(l, r);
    /* What does not fit where the rows are waits until they are on the session's core. */
    struct clause_list here = {0};
    for (uint32_t i = 0; i < r->clauses.count; i++)
        clause_list_add(l->mem,
                        expr_fits(l->p, r->clauses.items[i]->expr, &r->dist) ? &here : &r->late,
                        r->clauses.items[i]);
    r->clauses = here;
    return ERR_OK;
}

static SUSPENDS err_t prepare_entry_exprs_wait(struct level *l, struct rel *r)
{
    struct range_entry *e = r->entry;
    for (uint32_t i = 0; e->kind == RTE_FUNCTION && i < e->function_count; i++) {
        struct expr *x;
        TRY(prepare_expr_wait(l, e->functions[i], &x));
        expr_list_add(l->mem, &r->functions, x);
    }
    for (uint32_t i = 0; e->kind == RTE_VALUES && i < e->value_row_count; i++)
        for (uint32_t k = 0; k < e->column_count; k++)
            TRY(prepare_expr_wait(l, e->values[i][k], &e->values[i][k]));
    return ERR_OK;
}

/* Conditions on a subquery's columns go into it where they see the same rows there. */
static bool clause_can_go_down(const struct query *q, const struct clause *c)
{
    if (q->set_tree || q->limit || q->offset || q->has_distinct_on || q->has_windows ||
        q->has_set_functions || q->grouping_sets || q->row_mark_count || q->from_count == 0 ||
        expr_is_volatile(c->expr) || expr_kind_within(c->expr, EXPR_SUBPLAN))
        return false;
    struct arena *scratch = arena_new();
    struct expr_list columns = {0};
    bool good = expr_columns(scratch, c->expr, &columns) == ERR_OK;
    for (uint32_t i = 0; good && i < columns.count; i++) {
        const struct expr *t = NULL;
        uint32_t n = 0;
        for (uint32_t k = 0; k < q->target_count; k++)
            if (!q->targets[k].junk && ++n == (uint32_t)columns.items[i]->column.attno)
                t = q->targets[k].expr;
        if (!t || expr_is_volatile(t) ||
            expr_kind_within((struct expr *)(uintptr_t)t, EXPR_SUBQUERY)) {
            good = false;
        } else if (q->has_aggregates || q->group_count) {
            good = expr_list_find(q->group_exprs, q->group_count, t) != UINT32_MAX;
        }
    }
    arena_free(scratch);
    return good;
}

static err_t down_node(struct query_map *m, const struct expr *e, uint32_t depth, struct expr **out)
{
    const struct query *q = m->ctx;
    if (e->kind != EXPR_COLUMN || depth != 0)
        return ERR_OK;
    uint32_t n = 0;
    for (uint32_t k = 0; k < q->target_count; k++)
        if (!q->targets[k].junk && ++n == (uint32_t)e->column.attno)
            *out = q->targets[k].expr;
    return ERR_OK;
}

static err_t push_down(struct level *l, struct rel *r, struct query *q)
{
    struct clause_list stay = {0};
    struct expr_list down = {0};
    for (uint32_t i = 0; i < r->clauses.count; i++) {
        struct clause *c = r->clauses.items[i];
        if (!clause_can_go_down(q, c)) {
            clause_list_add(l->mem, &stay, c);
            continue;
        }
        struct query_map m = {.mem = l->mem, .fn = down_node, .ctx = q};
        struct expr *e;
        TRY(query_map_expr(&m, c->expr, &e));
        expr_list_add(l->mem, &down, e);
    }
    if (down.count && q->where)
        expr_list_add(l->mem, &down, q->where);
    if (down.count)
        q->where = expr_and(l->mem, down.items, down.count);
    r->clauses = stay;
    return ERR_OK;
}

/* References to this level inside a LATERAL subquery become exec params set by the nested loop. */
struct lateral {
    struct level *l;
};
static err_t lateral_param_node(struct query_map *m, const struct expr *e, uint32_t depth,
                                struct expr **out)
{
    struct level *l = m->ctx;
    if (e->kind != EXPR_COLUMN || e->column.levels_up != depth || depth == 0)
        return ERR_OK;
    struct expr *here = arena_memdup(l->mem, e, sizeof(*e));
    here->column.levels_up = 0;
    uint32_t param = UINT32_MAX;
    for (uint32_t i = 0; i < l->nest.count; i++)
        if (exprs_match(l->nest.items[i].column, here))
            param = l->nest.items[i].param;
    if (param == UINT32_MAX) {
        param = plan_exec_param(l->p);
        LIST_ADD(l->mem, &l->nest, ((struct nest_ref){here, param}));
    }
    *out = expr_exec_param(l->mem, param, e->type, e->typmod);
    return ERR_OK;
}

static SUSPENDS err_t rel_subquery_wait(struct level *l, struct rel *r)
{
    struct query *q = arena_memdup(l->mem, r->entry->subquery, sizeof(*q));
    TRY(push_down(l, r, q));
    if (r->lateral) {
        struct expr link = {.kind = EXPR_SUBQUERY, .type = TYPE_BOOL};
        link.subquery.query = q;
        struct query_map m = {.mem = l->mem, .fn = lateral_param_node, .ctx = l};
        struct expr *mapped;
        TRY(query_map_expr(&m, &link, &mapped));
        q = mapped->subquery.query;
    }
    r->sub = ARENA_NEW(l->mem, struct planned);
    TRY(plan_level_wait(l->p, l, q, 0, r->sub));
    if (r->sub->out_count != r->entry->column_count)
        return err_raise(ERR_INTERNAL_ERROR, "subquery \"%s\" has %u columns, expected %u",
                         r->entry->alias ? r->entry->alias : "", r->sub->out_count,
                         r->entry->column_count);
    r->tuples = clamp_rows(r->sub->node->rows);
    r->width = MAX(r->sub->node->width, 1u);
    r->dist = r->sub->dist;
    /* What it is partitioned by, in terms of its columns. */
    if (r->dist.kind == DIST_SPREAD) {
        struct expr **keys = ARENA_ARRAY(l->mem, struct expr *, r->dist.key_count + 1);
        uint32_t count = r->dist.key_count;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t at = expr_list_find(r->sub->out, r->sub->out_count, r->dist.keys[i]);
            if (at == UINT32_MAX) {
                count = 0;
                break;
            }
            keys[i] = expr_column_new(l->mem, r->entry, r->rte, (int32_t)at + 1);
        }
        r->dist.keys = keys;
        r->dist.key_count = count;
    }
    return ERR_OK;
}

SUSPENDS err_t scan_rel_init_wait(struct level *l, struct rel *r)
{
    struct range_entry *e = r->entry;
    TRY(prepare_entry_exprs_wait(l, r));
    r->width = 32;
    r->dist.kind = DIST_ANY;
    if (e->subquery && e->kind != RTE_CTE) {
        TRY(rel_subquery_wait(l, r));
    } else {
        switch (e->kind) {
        case RTE_TABLE:
            TRY(rel_table_wait(l, r));
            break;
        case RTE_FUNCTION:
            r->tuples = 1;
            for (uint32_t i = 0; i < r->functions.count; i++) {
                struct expr *f = r->functions.items[i];
                if (f->func && f->func->returns_set)
                    r->tuples = 1000;
                if (!expr_fits(l->p, f, &r->dist) || expr_is_volatile(f))
                    r->dist.kind = DIST_SESSION;
            }
            break;
        case RTE_VALUES:
            r->tuples = MAX(e->value_row_count, 1u);
            for (uint32_t i = 0; i < e->value_row_count; i++)
                for (uint32_t k = 0; k < e->column_count; k++)
                    if (!expr_fits(l->p, e->values[i][k], &r->dist) ||
                        expr_is_volatile(e->values[i][k]))
                        r->dist.kind = DIST_SESSION;
            break;
        case RTE_CTE:
            r->cte = level_cte(l, e);
            r->dist.kind = DIST_SESSION;
            TRY(cte_plan_wait(l, r->cte));
            r->tuples = clamp_rows(r->cte->rows);
            r->width = r->cte->width;
            break;
        case RTE_RESULT:
            r->tuples = 1;
            break;
        case RTE_SUBQUERY:
        case RTE_JOIN:
            return err_raise(ERR_INTERNAL_ERROR, "range table entry of kind %d in FROM",
                             (int)e->kind);
        }
    }
    if (!r->table) {
        struct clause_list here = {0};
        for (uint32_t i = 0; i < r->clauses.count; i++) {
            struct clause *c = r->clauses.items[i];
            clause_list_add(l->mem, expr_fits(l->p, c->expr, &r->dist) ? &here : &r->late, c);
        }
        r->clauses = here;
    }
    r->rows = clamp_rows(r->tuples * clause_list_selectivity(l, &r->clauses) *
                         clause_list_selectivity(l, &r->late));
    return ERR_OK;
}

/* ---- paths ---- */

struct path *path_new(struct level *l, enum path_kind kind, struct rel *r)
{
    struct path *p = ARENA_NEW(l->mem, struct path);
    p->kind = kind;
    p->rel = r;
    p->rows = r->rows;
    p->dist = r->dist;
    return p;
}

/* a is at least as good as b in every respect. */
static bool path_beats(const struct path *a, const struct path *b)
{
    return set_within(a->param, b->param) && dist_is_same(&a->dist, &b->dist) &&
           order_satisfies(&a->order, &b->order) && a->total <= b->total * 1.000001 &&
           a->startup <= b->startup * 1.01 + 1e-9 && a->rows <= b->rows * 1.000001;
}

void path_add(struct level *l, struct rel *r, struct path *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->paths.count; i++)
        if (path_beats(r->paths.items[i], p))
            return;
    for (uint32_t i = 0; i < r->paths.count; i++)
        if (!path_beats(p, r->paths.items[i]))
            r->paths.items[kept++] = r->paths.items[i];
    r->paths.count = kept;
    LIST_ADD(l->mem, &r->paths, p);
}

/* A parameterised scan whose conditions say which shard: for each outer row one shard is asked. */
static struct path *path_keyed(struct level *l, struct path *p)
{
    if (p->kind != PATH_INDEX || p->dist.kind != DIST_SPREAD || p->dist.key_count == 0)
        return p;
    struct expr **keys = ARENA_ARRAY(l->mem, struct expr *, p->dist.key_count);
    for (uint32_t i = 0; i < p->dist.key_count; i++)
        for (uint32_t pass = 0; pass < 2; pass++) {
            const struct clause_list *list = pass ? &p->rel->clauses : &p->applied;
            for (uint32_t k = 0; k < list->count && !keys[i]; k++) {
                const struct expr *e = list->items[k]->expr;
                if (e->kind != EXPR_CALL || e->arg_count != 2 ||
                    operator_strategy(e->oper_oid) != 3)
                    continue;
                for (uint32_t side = 0; side < 2; side++)
                    if (exprs_match(expr_strip_relabel(e->args[side]), p->dist.keys[i]) &&
                        types_hash_alike(p->dist.keys[i]->type, e->args[1 - side]->type) &&
                        !expr_is_volatile(e->args[1 - side]))
                        keys[i] = e->args[1 - side];
            }
        }
    for (uint32_t i = 0; i < p->dist.key_count; i++)
        if (!keys[i])
            return p;
    struct path *k = arena_memdup(l->mem, p, sizeof(*p));
    k->dist = (struct dist){DIST_SINGLE, GATHER_KEY, keys, p->dist.key_count, p->rel->table};
    return k;
}

struct path *path_gather(struct level *l, struct path *p)
{
    p = path_keyed(l, p);
    if (!dist_is_fragment(&p->dist)) {
        if (p->dist.kind == DIST_SESSION)
            return p;
        struct path *same = arena_memdup(l->mem, p, sizeof(*p));
        same->dist = (struct dist){.kind = DIST_SESSION};
        return same;
    }
    struct path *g = path_new(l, PATH_GATHER, p->rel);
    double startup;
    double cost = cost_gather(l->p, &p->dist, p->rows, &startup);
    g->outer = p;
    if (p->dist.kind != DIST_SPREAD) /* rows of several shards come as they come */
        g->order = p->order;
    g->param = p->param;
    g->applied = p->applied;
    g->rows = p->rows;
    g->dist = (struct dist){.kind = DIST_SESSION};
    g->startup = p->startup + startup;
    g->total = p->total + cost;
    return g;
}

struct path *path_sort(struct level *l, struct path *p, const struct order *o)
{
    struct path *s = path_new(l, PATH_SORT, p->rel);
    s->outer = p;
    s->order = *o;
    s->dist = p->dist;
    s->rows = p->rows;
    s->param = p->param;
    s->applied = p->applied;
    cost_sort(l->p, p->rows, p->rel->width, 0, p->total, &s->startup, &s->total);
    return s;
}

struct path *path_materialize(struct level *l, struct path *p)
{
    struct path *m = path_new(l, PATH_MATERIALIZE, p->rel);
    m->outer = p;
    m->param = p->param;
    m->applied = p->applied;
    m->order = p->order;
    m->dist = p->dist;
    m->rows = p->rows;
    m->startup = p->startup;
    m->total = p->total + 2 * l->p->costs.cpu_operator * p->rows;
    return m;
}

/* Late conditions of a relation are applied above its gather. */
static void add_with_late(struct level *l, struct rel *r, struct path *p)
{
    if (r->late.count == 0) {
        path_add(l, r, p);
        return;
    }
    struct path *g = path_gather(l, p);
    struct path *f = path_new(l, PATH_FILTER, r);
    f->outer = g;
    f->filter = r->late;
    f->order = g->order;
    f->param = g->param;
    f->applied = g->applied;
    f->dist = g->dist;
    f->rows = g->rows;
    f->startup = g->startup;
    f->total = g->total + g->rows * cost_clauses(l->p, &r->late);
    path_add(l, r, f);
}

/* ---- matching conditions to index columns ---- */

enum match_kind { MATCH_EQUAL, MATCH_ARRAY, MATCH_LOW, MATCH_HIGH };
struct match {
    enum match_kind kind;
    struct expr *value;
    bool inclusive;
    bool exact; /* the bound says all that the clause says */
    struct clause *clause;
    relset param;
    struct match *next;
};

static err_t row_to_column(struct arena *mem, const struct expr *e, void *ctx, struct expr **out)
{
    const struct rel *r = ctx;
    if (e->kind == EXPR_INPUT && e->input.index < r->entry->column_count)
        *out = expr_column_new(mem, r->entry, r->rte, (int32_t)e->input.index + 1);
    return ERR_OK;
}

static bool is_index_column(struct level *l, const struct rel *r, const struct plan_index *x,
                            uint32_t column, const struct expr *e)
{
    if (x->attnos[column] != 0) {
        e = expr_strip_relabel(e);
        return e->kind == EXPR_COLUMN && e->column.rte == r->rte && e->column.levels_up == 0 &&
               e->column.attno == x->attnos[column];
    }
    struct expr *own;
    return expr_rewrite(l->mem, x->expressions[column], row_to_column, (void *)(uintptr_t)r,
                        &own) == ERR_OK &&
           expr_equal(own, e);
}

static bool integer_type(oid t)
{
    return t == TYPE_INT2 || t == TYPE_INT4 || t == TYPE_INT8;
}

static bool constant_fits(oid type, const struct expr *e)
{
    if (e->kind != EXPR_CONST || e->constant.is_null)
        return false;
    int64_t v = datum_i64(e->constant.value);
    return type == TYPE_INT8 || (type == TYPE_INT4 && v >= INT32_MIN && v <= INT32_MAX) ||
           (type == TYPE_INT2 && v >= INT16_MIN && v <= INT16_MAX);
}

/* The value in the index column's type; NULL when a key cannot be made of it. */
static struct expr *key_value_of(struct level *l, oid type, struct expr *value, bool is_range,
                                 bool *exact)
{
    *exact = true;
    if (value->type == type || types_sort_alike(value->type, type))
        return value;
    if (!integer_type(type) || !integer_type(value->type))
        return NULL;
    if (constant_fits(type, value))
        return expr_const(l->mem, type, -1, value->constant.value, false);
    bool widens = type == TYPE_INT8 || (type == TYPE_INT4 && value->type == TYPE_INT2);
    if (is_range && !widens)
        return NULL;
    /* Integers are kept as 64-bit words: the key takes the low part, and for a wider value the
     * clause itself is checked again. */
    struct expr *e = expr_new(l->mem, EXPR_RELABEL, type, -1);
    e->args = ARENA_ARRAY(l->mem, struct expr *, 1);
    e->args[0] = value;
    e->arg_count = 1;
    *exact = widens;
    return e;
}

static bool value_is_usable(struct level *l, const struct rel *r, struct expr *value, relset *param)
{
    return !expr_is_volatile(value) && !expr_kind_within(value, EXPR_SUBPLAN) &&
           !expr_needs_session(l->p, value) && expr_rels(l, value, param) == ERR_OK &&
           !set_meets(*param, r->set);
}

/* LIKE 'abc%' in byte order: [abc, abd). */
static bool like_range(struct level *l, const struct plan_index *x, uint32_t column,
                       struct clause *c, struct match *low, struct match *high)
{
    const struct expr *e = c->expr;
    const struct operator_info *o = e->oper_oid ? operator_find(e->oper_oid) : NULL;
    if (!o || strcmp(o->name, "~~") != 0 || e->args[1]->kind != EXPR_CONST ||
        e->args[1]->constant.is_null || x->key_columns[column].type->oid == TYPE_BPCHAR ||
        !types_sort_alike(x->key_columns[column].type->oid, TYPE_TEXT))
        return false;
    const struct varlen *pattern = datum_varlen(e->args[1]->constant.value);
    uint8_t *prefix = arena_alloc(l->mem, pattern->len + 1);
    uint32_t n = 0;
    uint32_t i = 0;
    for (; i < pattern->len && pattern->data[i] != '%' && pattern->data[i] != '_'; i++) {
        if (pattern->data[i] == '\\' && ++i >= pattern->len)
            return false;
        prefix[n++] = pattern->data[i];
    }
    if (n == 0)
        return false;
    low->value =
        expr_const(l->mem, TYPE_TEXT, -1, datum_of_varlen(varlen_new(l->mem, prefix, n)), false);
    low->inclusive = true;
    low->kind = MATCH_LOW;
    /* the next prefix: last byte that can be raised and stays ASCII */
    while (n > 0 && prefix[n - 1] >= 0x7e)
        n--;
    high->value = NULL;
    if (n > 0) {
        prefix[n - 1]++;
        high->value = expr_const(l->mem, TYPE_TEXT, -1,
                                 datum_of_varlen(varlen_new(l->mem, prefix, n)), false);
    }
    high->kind = MATCH_HIGH;
    high->inclusive = false;
    return true;
}

static void match_push(struct level *l, struct match **list, struct match m)
{
    m.next = *list;
    *list = arena_memdup(l->mem, &m, sizeof(m));
}

static void match_clause(struct level *l, const struct rel *r, const struct plan_index *x,
                         uint32_t column, struct clause *c, struct match **list)
{
    const struct expr *e = c->expr;
    oid key_type = x->key_columns[column].type->oid;
    struct match m = {.clause = c};
    if (e->kind == EXPR_ANY_ALL && !e->negated && e->oper_oid &&
        operator_strategy(e->oper_oid) == 3 && is_index_column(l, r, x, column, e->args[0])) {
        const struct type_info *array = type_find(e->args[1]->type);
        if (!array || !value_is_usable(l, r, e->args[1], &m.param) ||
            !(array->element == key_type || types_sort_alike(array->element, key_type)))
            return;
        m.kind = MATCH_ARRAY;
        m.value = e->args[1];
        m.exact = true;
        match_push(l, list, m);
        return;
    }
    /* a boolean column by itself */
    bool negated = e->kind == EXPR_NOT;
    const struct expr *flag = negated ? e->args[0] : e;
    if (key_type == TYPE_BOOL && flag->kind == EXPR_COLUMN &&
        is_index_column(l, r, x, column, flag)) {
        m.kind = MATCH_EQUAL;
        m.value = expr_bool_const(l->mem, !negated, false);
        m.exact = true;
        match_push(l, list, m);
        return;
    }
    if (e->kind != EXPR_CALL || e->arg_count != 2 || !e->oper_oid)
        return;
    for (uint32_t side = 0; side < 2; side++) {
        if (!is_index_column(l, r, x, column, e->args[side]))
            continue;
        struct match high = m;
        if (side == 0 && like_range(l, x, column, c, &m, &high)) {
            match_push(l, list, m);
            if (high.value)
                match_push(l, list, high);
            return;
        }
        int strategy = operator_strategy(e->oper_oid);
        struct expr *value = e->args[1 - side];
        if (strategy == 0 || !value_is_usable(l, r, value, &m.param))
            continue;
        if (side == 1)
            strategy = 6 - strategy;
        m.value = key_value_of(l, key_type, value, strategy != 3, &m.exact);
        if (!m.value)
            continue;
        m.kind = strategy == 3 ? MATCH_EQUAL : strategy > 3 ? MATCH_LOW : MATCH_HIGH;
        m.inclusive = strategy == 2 || strategy == 4;
        match_push(l, list, m);
        return;
    }
}

/* ---- one index ---- */

static bool predicate_holds(struct level *l, const struct rel *r, const struct plan_index *x)
{
    if (!x->predicate)
        return true;
    struct expr *own;
    if (expr_rewrite(l->mem, x->predicate, row_to_column, (void *)(uintptr_t)r, &own) != ERR_OK)
        return false;
    struct expr_list parts = {0};
    expr_conjuncts(l->mem, own, &parts);
    for (uint32_t i = 0; i < parts.count; i++) {
        bool found = false;
        for (uint32_t k = 0; !found && k < r->clauses.count; k++) {
            struct expr *have = r->clauses.items[k]->expr;
            found = expr_equal(have, parts.items[i]);
            /* any strict condition on the column implies that it is not null */
            const struct expr *p = parts.items[i];
            if (!found && p->kind == EXPR_IS_NULL && p->negated &&
                p->args[0]->kind == EXPR_COLUMN && have->kind == EXPR_CALL && have->func->strict)
                for (uint32_t a = 0; a < have->arg_count; a++)
                    found = found || exprs_match(expr_strip_relabel(have->args[a]), p->args[0]);
        }
        if (!found)
            return false;
    }
    return true;
}

static void index_order(struct level *l, const struct rel *r, const struct plan_index *x,
                        bool backward, struct order *out)
{
    *out = (struct order){0};
    for (uint32_t i = 0; i < x->key_count; i++) {
        struct expr *e;
        if (x->attnos[i] > 0)
            e = expr_column_new(l->mem, r->entry, r->rte, x->attnos[i]);
        else if (expr_rewrite(l->mem, x->expressions[i], row_to_column, (void *)(uintptr_t)r, &e) !=
                 ERR_OK)
            return;
        bool descending = x->key_columns[i].descending != backward;
        bool nulls_first = x->key_columns[i].nulls_first != backward;
        order_add(l, out, e, e->type, OID_NONE, descending, nulls_first);
    }
}

/* The best use of the index with conditions whose values need `allowed` relations at most. */
static struct index_use *index_use_make(struct level *l, const struct rel *r, uint32_t index,
                                        struct match *const *matches, relset allowed, relset *param,
                                        struct clause_list *exact)
{
    const struct plan_index *x = &r->table->indexes[index];
    struct index_use *u = ARENA_NEW(l->mem, struct index_use);
    u->index = index;
    u->bounds.array_column = UINT32_MAX;
    u->bounds.equal = ARENA_ARRAY(l->mem, struct expr *, x->key_count + 1);
    *param = 0;
    for (uint32_t i = 0; i < x->key_count; i++) {
        const struct match *best = NULL;
        for (const struct match *m = matches[i]; m; m = m->next)
            if (set_within(m->param, allowed) &&
                (m->kind == MATCH_EQUAL ||
                 (m->kind == MATCH_ARRAY && u->bounds.array_column == UINT32_MAX)) &&
                (!best || m->kind < best->kind ||
                 (m->kind == best->kind && m->exact && !best->exact)))
                best = m;
        if (best) {
            if (best->kind == MATCH_ARRAY)
                u->bounds.array_column = i;
            u->bounds.equal[u->bounds.equal_count++] = best->value;
            clause_list_add(l->mem, &u->clauses, best->clause);
            if (best->exact)
                clause_list_add(l->mem, exact, best->clause);
            *param |= best->param;
            continue;
        }
        for (const struct match *m = matches[i]; m; m = m->next) {
            if (!set_within(m->param, allowed))
                continue;
            if (m->kind == MATCH_LOW && !u->bounds.low) {
                u->bounds.low = m->value;
                u->bounds.low_inclusive = m->inclusive;
            } else if (m->kind == MATCH_HIGH && !u->bounds.high) {
                u->bounds.high = m->value;
                u->bounds.high_inclusive = m->inclusive;
            } else {
                continue;
            }
            clause_list_add(l->mem, &u->clauses, m->clause);
            if (m->exact)
                clause_list_add(l->mem, exact, m->clause);
            *param |= m->param;
        }
        break;
    }
    u->is_unique = x->is_unique && !x->is_deferrable && u->bounds.equal_count == x->key_count &&
                   u->bounds.array_column == UINT32_MAX;
    return u;
}

static bool list_has(const struct clause_list *l, const struct clause *c)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->items[i] == c)
            return true;
    return false;
}

static void index_path_add(struct level *l, struct rel *r, struct index_use *u, relset param,
                           const struct clause_list *exact, const struct clause_list *joins,
                           bool backward)
{
    struct path *p = path_new(l, PATH_INDEX, r);
    p->use = arena_memdup(l->mem, u, sizeof(*u));
    p->use->backward = backward;
    p->param = param | r->lateral;
    struct clause_list all = r->clauses;
    for (uint32_t i = 0; i < r->clauses.count; i++)
        if (!list_has(exact, r->clauses.items[i]))
            clause_list_add(l->mem, &p->filter, r->clauses.items[i]);
    struct clause_list used = {0};
    for (uint32_t i = 0; i < all.count; i++)
        clause_list_add(l->mem, &used, all.items[i]);
    for (uint32_t i = 0; i < joins->count; i++)
        if (list_has(&u->clauses, joins->items[i])) {
            clause_list_add(l->mem, &used, joins->items[i]);
            clause_list_add(l->mem, &p->applied, joins->items[i]);
            if (!list_has(exact, joins->items[i]))
                clause_list_add(l->mem, &p->filter, joins->items[i]);
        }
    p->rows = clamp_rows(r->tuples * clause_list_selectivity(l, &used));
    if (u->is_unique)
        p->rows = 1;
    if (u->bounds.array_column == UINT32_MAX)
        index_order(l, r, &r->table->indexes[u->index], backward, &p->order);
    cost_index_scan(l, p, clause_list_selectivity(l, &u->clauses));
    add_with_late(l, r, p);
}

/* Join conditions that an inner scan of r could use: from classes, plain ones, and ON of an outer
 * or semi join whose right side is r alone. */
static err_t join_candidates(struct level *l, struct rel *r, struct clause_list *out)
{
    for (uint32_t i = 0; i < l->joins.count; i++) {
        struct clause *c = l->joins.items[i];
        if (c->required == c->rels && set_meets(c->rels, r->set))
            clause_list_add(l->mem, out, c);
    }
    for (uint32_t i = 0; i < l->specials.count; i++) {
        const struct special *s = l->specials.items[i];
        for (uint32_t k = 0;
             s->syntactic_right == r->set && s->type != JOIN_FULL && k < s->clauses.count; k++)
            clause_list_add(l->mem, out, s->clauses.items[k]);
        /* a semijoin's right side made unique may drive lookups on the left (PATH_UNIQUE) */
        for (uint32_t k = 0;
             s->type == JOIN_SEMI && s->syntactic_left == r->set && k < s->clauses.count; k++)
            clause_list_add(l->mem, out, s->clauses.items[k]);
    }
    for (uint32_t i = 0; i < l->eclasses.count; i++) {
        struct eclass *ec = l->eclasses.items[i];
        if (ec->merged_into || ec->constant || !set_meets(ec->rels, r->set))
            continue;
        for (uint32_t k = 0; k < l->rels.count; k++) {
            struct rel *o = l->rels.items[k];
            if (o == r || !set_meets(ec->rels, o->set))
                continue;
            struct clause_list pair = {0};
            struct clause_list none = {0};
            TRY(join_clauses(l, o->set, r->set, NULL, &pair, &none));
            for (uint32_t j = 0; j < pair.count; j++)
                if (pair.items[j]->ec == ec)
                    clause_list_add(l->mem, out, pair.items[j]);
        }
    }
    return ERR_OK;
}

static void index_paths(struct level *l, struct rel *r, uint32_t index,
                        const struct clause_list *joins)
{
    const struct plan_index *x = &r->table->indexes[index];
    const struct index_desc *d = &r->desc->indexes[index];
    if (x->file == 0 || !d->is_valid || !predicate_holds(l, r, x))
        return;
    struct match **matches = ARENA_ARRAY(l->mem, struct match *, x->key_count);
    LIST(relset) sets = {0};
    LIST_ADD(l->mem, &sets, (relset)0);
    for (uint32_t i = 0; i < x->key_count; i++) {
        for (uint32_t k = 0; k < r->clauses.count; k++)
            match_clause(l, r, x, i, r->clauses.items[k], &matches[i]);
        for (uint32_t k = 0; k < joins->count; k++)
            match_clause(l, r, x, i, joins->items[k], &matches[i]);
        for (const struct match *m = matches[i]; m; m = m->next) {
            bool known = false;
            for (uint32_t k = 0; k < sets.count; k++)
                known = known || sets.items[k] == m->param;
            if (!known && sets.count < 16)
                LIST_ADD(l->mem, &sets, m->param);
        }
    }
    uint32_t singles = sets.count; /* pairs serve keys whose columns come from two relations */
    for (uint32_t i = 1; i < singles; i++)
        for (uint32_t k = 1; k < i; k++)
            if (x->key_count > 1)
                LIST_ADD(l->mem, &sets, sets.items[i] | sets.items[k]);
    for (uint32_t i = 0; i < sets.count; i++) {
        relset param;
        struct clause_list exact = {0};
        struct index_use *u = index_use_make(l, r, index, matches, sets.items[i], &param, &exact);
        bool bound = u->bounds.equal_count || u->bounds.low || u->bounds.high;
        if (param != sets.items[i])
            continue; /* another set makes the same */
        if (!bound && x->predicate == NULL && l->q->order_count == 0 && l->q->group_count == 0 &&
            l->rels.count == 1 && !l->q->distinct && !l->q->has_distinct_on)
            continue; /* no use for its order */
        index_path_add(l, r, u, param, &exact, joins, false);
        if (param == 0 && !u->is_unique && u->bounds.array_column == UINT32_MAX)
            index_path_add(l, r, u, param, &exact, joins, true);
    }
}

err_t scan_paths(struct level *l, struct rel *r)
{
    const struct costs *c = &l->p->costs;
    if (!r->table || r->dist.kind == DIST_SESSION) {
        struct path *p = path_new(l, r->sub ? PATH_SUBQUERY : PATH_LEAF, r);
        p->filter = r->clauses;
        p->param = r->lateral;
        if (r->sub) {
            p->startup = r->sub->node->startup_cost;
            p->total = r->sub->node->total_cost;
            /* its order, by its columns */
            for (uint32_t i = 0; i < r->sub->order.count; i++) {
                const struct order_key *k = &r->sub->order.keys[i];
                uint32_t at = expr_list_find(r->sub->out, r->sub->out_count, k->expr);
                if (at == UINT32_MAX)
                    break;
                order_add(l, &p->order, expr_column_new(l->mem, r->entry, r->rte, (int32_t)at + 1),
                          k->type, k->sort_operator, k->descending, k->nulls_first);
            }
        } else if (r->entry->kind == RTE_FUNCTION) {
            p->startup = c->cpu_operator;
            p->total = p->startup;
        }
        p->total += r->tuples * (c->cpu_tuple + cost_clauses(l->p, &p->filter));
        if (r->table)
            p->total += r->tuples * c->cpu_operator;
        add_with_late(l, r, p);
        return ERR_OK;
    }
    struct path *seq = path_new(l, PATH_SEQ, r);
    seq->filter = r->clauses;
    seq->param = r->lateral;
    cost_seq_scan(l, seq);
    add_with_late(l, r, seq);
    struct clause_list joins = {0};
    TRY(join_candidates(l, r, &joins));
    for (uint32_t i = 0; i < r->table->index_count; i++)
        index_paths(l, r, i, &joins);
    return ERR_OK;
}
