/*
 * How many rows: selectivities of conditions and numbers of distinct values, from column statistics
 * where ANALYZE left them and by PostgreSQL's default constants otherwise. Parameters count as
 * constants when their values are known (custom plans).
 */
#include "sql/plan/plan_priv.h"

#include <math.h>

static const double default_distinct = 200;
static const double default_equal = 0.005;
static const double default_range = 1.0 / 3;
static const double default_two_sided = 0.005;
static const double default_match = 0.005;
static const double default_call = 1.0 / 3;

double clamp_rows(double rows)
{
    return rows < 1 || isnan(rows) ? 1 : rows > 1e100 ? 1e100 : rint(rows);
}

static double clamp_selectivity(double s)
{
    return s < 0 || isnan(s) ? 0 : s > 1 ? 1 : s;
}

struct rel *expr_single_rel(struct level *l, const struct expr *e, uint32_t *attno)
{
    e = expr_strip_relabel(e);
    if (e->kind != EXPR_COLUMN || e->column.levels_up != 0 || e->column.attno <= 0 ||
        e->column.rte >= l->rtes.count)
        return NULL;
    *attno = (uint32_t)e->column.attno;
    return l->rte_rels[e->column.rte];
}

static const struct column_stats *column_stats_of(struct level *l, const struct expr *e)
{
    uint32_t attno;
    const struct rel *r = expr_single_rel(l, e, &attno);
    return r && r->desc && r->desc->stats && attno <= r->desc->column_count
               ? r->desc->stats[attno - 1]
               : NULL;
}

/* The column alone is a key: every value is different. */
static bool column_is_unique(struct level *l, const struct expr *e)
{
    uint32_t attno;
    const struct rel *r = expr_single_rel(l, e, &attno);
    for (uint32_t i = 0; r && r->table && i < r->table->index_count; i++) {
        const struct plan_index *x = &r->table->indexes[i];
        if (x->is_unique && x->is_valid && !x->predicate && x->key_count == 1 &&
            x->attnos[0] == (int16_t)attno)
            return true;
    }
    return false;
}

double expr_distinct(struct level *l, struct expr *e, double rows)
{
    uint32_t attno;
    const struct rel *r = expr_single_rel(l, e, &attno);
    const struct column_stats *s = column_stats_of(l, e);
    double n;
    if (e->type == TYPE_BOOL)
        n = 2;
    else if (column_is_unique(l, e))
        n = r->tuples;
    else if (s && s->distinct > 0)
        n = s->distinct;
    else if (s && s->distinct < 0)
        n = -s->distinct * (r ? r->tuples : rows);
    else
        n = MIN(default_distinct, r && r->tuples > 0 ? r->tuples : rows);
    return clamp_rows(n);
}

/* A value known now. */
static bool known_value(struct level *l, const struct expr *e, datum *value, bool *is_null)
{
    const struct plan_options *o = l->p->o;
    e = expr_strip_relabel(e);
    if (e->kind == EXPR_CONST) {
        *value = e->constant.value;
        *is_null = e->constant.is_null;
        return true;
    }
    if (e->kind == EXPR_PARAM && o->params && e->param >= 1 && e->param <= o->param_count) {
        *value = o->params[e->param - 1];
        *is_null = o->param_nulls && o->param_nulls[e->param - 1];
        return true;
    }
    return false;
}

static double common_total(const struct column_stats *s)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->common_count; i++)
        sum += s->common_fractions[i];
    return sum;
}

static double equal_selectivity(struct level *l, struct expr *column, struct expr *value)
{
    const struct column_stats *s = column_stats_of(l, column);
    uint32_t attno;
    const struct rel *r = expr_single_rel(l, column, &attno);
    double distinct = expr_distinct(l, column, r ? r->tuples : 1000);
    if (column_is_unique(l, column))
        return r && r->tuples > 0 ? 1 / r->tuples : default_equal;
    datum v;
    bool is_null;
    bool known = known_value(l, value, &v, &is_null);
    if (known && is_null)
        return 0;
    if (!s)
        return 1 / distinct;
    const struct type_info *t = type_find(expr_strip_relabel(column)->type);
    if (known && t && t->compare && types_sort_alike(t->oid, value->type)) {
        for (uint32_t i = 0; i < s->common_count; i++)
            if (t->compare(s->common_values[i], v) == 0)
                return s->common_fractions[i];
        double left = 1 - common_total(s) - s->null_fraction;
        double others = distinct - s->common_count;
        return clamp_selectivity(others > 1 ? left / others : left);
    }
    return clamp_selectivity((1 - s->null_fraction) / distinct);
}

/* Share of rows below the value. */
static double below_selectivity(struct level *l, struct expr *column, struct expr *value)
{
    const struct column_stats *s = column_stats_of(l, column);
    const struct type_info *t = type_find(expr_strip_relabel(column)->type);
    datum v;
    bool is_null;
    if (!s || !t || !t->compare || !known_value(l, value, &v, &is_null) ||
        !types_sort_alike(t->oid, value->type))
        return -1;
    if (is_null)
        return 0;
    double common = 0;
    for (uint32_t i = 0; i < s->common_count; i++)
        if (t->compare(s->common_values[i], v) < 0)
            common += s->common_fractions[i];
    if (s->bound_count < 2)
        return s->common_count ? common : -1;
    uint32_t low = 0;
    uint32_t high = s->bound_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (t->compare(s->bounds[mid], v) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    double share = low == 0                ? 0
                   : low >= s->bound_count ? 1
                                           : ((double)low - 0.5) / (double)(s->bound_count - 1);
    double rest = 1 - common_total(s) - s->null_fraction;
    return clamp_selectivity(common + share * MAX(rest, 0.0));
}

static double range_selectivity(struct level *l, struct expr *column, struct expr *value,
                                int strategy)
{
    double below = below_selectivity(l, column, value);
    if (below < 0)
        return default_range;
    const struct column_stats *s = column_stats_of(l, column);
    double nulls = s ? s->null_fraction : 0;
    return clamp_selectivity(strategy <= 2 ? below : 1 - nulls - below);
}

static double join_selectivity(struct level *l, struct expr *a, struct expr *b)
{
    const struct column_stats *x = column_stats_of(l, a);
    const struct column_stats *y = column_stats_of(l, b);
    double most = MAX(expr_distinct(l, a, 1000), expr_distinct(l, b, 1000));
    return clamp_selectivity((1 - (x ? x->null_fraction : 0)) * (1 - (y ? y->null_fraction : 0)) /
                             most);
}

static bool has_columns(struct level *l, struct expr *e)
{
    struct expr_list c = {0};
    return expr_columns(l->mem, e, &c) != ERR_OK || c.count > 0;
}

static double call_selectivity(struct level *l, struct expr *e)
{
    const struct operator_info *o = e->oper_oid ? operator_find(e->oper_oid) : NULL;
    if (!o || e->arg_count != 2)
        return default_call;
    int strategy = operator_strategy(o->oid);
    struct expr *a = e->args[0];
    struct expr *b = e->args[1];
    bool left = has_columns(l, a);
    bool right = has_columns(l, b);
    if (!left && right) {
        struct expr *swap = a;
        a = b;
        b = swap;
        strategy = strategy ? 6 - strategy : 0;
    }
    if (strategy == 3)
        return left && right ? join_selectivity(l, a, b) : equal_selectivity(l, a, b);
    if (strategy)
        return left && right ? default_range : range_selectivity(l, a, b, strategy);
    if (strcmp(o->name, "<>") == 0)
        return clamp_selectivity(
            1 - (left && right ? join_selectivity(l, a, b) : equal_selectivity(l, a, b)));
    if (strchr(o->name, '~')) {
        bool is_not = o->name[0] == '!';
        return is_not ? 1 - default_match : default_match;
    }
    return default_call;
}

static double array_elements(struct level *l, struct expr *array)
{
    datum v;
    bool is_null;
    struct array_view view;
    if (array->kind == EXPR_ARRAY)
        return array->arg_count;
    if (known_value(l, array, &v, &is_null)) {
        if (is_null)
            return 0;
        if (array_read(l->mem, v, &view) == ERR_OK)
            return view.count;
    }
    return 10;
}

static double expr_selectivity(struct level *l, struct expr *e)
{
    if (fiber_check_stack() != ERR_OK)
        return 0.5;
    double s;
    switch (e->kind) {
    case EXPR_CONST:
        return expr_is_true(e) ? 1 : 0;
    case EXPR_AND:
        s = 1;
        for (uint32_t i = 0; i < e->arg_count; i++)
            s *= expr_selectivity(l, e->args[i]);
        return s;
    case EXPR_OR:
        s = 0;
        for (uint32_t i = 0; i < e->arg_count; i++) {
            double x = expr_selectivity(l, e->args[i]);
            s = s + x - s * x;
        }
        return s;
    case EXPR_NOT:
        return 1 - expr_selectivity(l, e->args[0]);
    case EXPR_IS_NULL: {
        const struct column_stats *st = column_stats_of(l, e->args[0]);
        s = st ? st->null_fraction : default_equal;
        return e->negated ? 1 - s : s;
    }
    case EXPR_IS_BOOL:
        s = e->op == 'u'   ? default_equal
            : e->op == 't' ? expr_selectivity(l, e->args[0])
                           : 1 - expr_selectivity(l, e->args[0]);
        return e->negated ? 1 - s : s;
    case EXPR_ANY_ALL: {
        double n = array_elements(l, e->args[1]);
        int strategy = e->oper_oid ? operator_strategy(e->oper_oid) : 0;
        struct expr unknown = {.kind = EXPR_EXEC_PARAM, .type = e->args[0]->type};
        s = strategy == 3 ? equal_selectivity(l, e->args[0], &unknown) : default_range;
        return e->negated ? clamp_selectivity(pow(1 - s, n)) : clamp_selectivity(s * n);
    }
    case EXPR_CALL:
        return call_selectivity(l, e);
    case EXPR_DISTINCT:
        s = equal_selectivity(l, e->args[0], e->args[1]);
        return e->negated ? s : 1 - s;
    case EXPR_COLUMN:
    case EXPR_RELABEL: {
        const struct column_stats *st = column_stats_of(l, e);
        for (uint32_t i = 0; st && i < st->common_count; i++)
            if (datum_bool(st->common_values[i]))
                return st->common_fractions[i];
        return 0.5;
    }
    case EXPR_ROW_COMPARE:
        return default_range;
    default:
        return 0.5;
    }
}

double clause_selectivity(struct level *l, struct clause *c)
{
    if (c->selectivity < 0)
        c->selectivity = clamp_selectivity(expr_selectivity(l, c->expr));
    return c->selectivity;
}

/* col > a AND col < b: not independent. */
static bool is_range(const struct clause *c, const struct expr **column, bool *lower)
{
    const struct expr *e = c->expr;
    if (e->kind != EXPR_CALL || e->arg_count != 2 || !e->oper_oid)
        return false;
    int strategy = operator_strategy(e->oper_oid);
    if (strategy == 0 || strategy == 3)
        return false;
    const struct expr *a = expr_strip_relabel(e->args[0]);
    const struct expr *b = expr_strip_relabel(e->args[1]);
    bool left = a->kind == EXPR_COLUMN;
    if (left == (b->kind == EXPR_COLUMN))
        return false;
    *column = left ? a : b;
    *lower = left ? strategy > 3 : strategy < 3;
    return true;
}

double clause_list_selectivity(struct level *l, const struct clause_list *list)
{
    double s = 1;
    bool *used = ARENA_ARRAY(l->mem, bool, list->count + 1);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct expr *column;
        const struct expr *other;
        bool lower;
        bool other_lower;
        double own = clause_selectivity(l, list->items[i]);
        if (used[i])
            continue;
        if (is_range(list->items[i], &column, &lower))
            for (uint32_t k = i + 1; k < list->count; k++) {
                if (used[k] || !is_range(list->items[k], &other, &other_lower) ||
                    other_lower == lower || !exprs_match(column, other))
                    continue;
                double second = clause_selectivity(l, list->items[k]);
                double both = own + second - 1;
                if ((own == default_range && second == default_range) || both <= 0)
                    both = default_two_sided;
                own = both;
                used[k] = true;
                break;
            }
        s *= own;
    }
    return clamp_selectivity(s);
}

double estimate_groups(struct level *l, struct expr *const *exprs, uint32_t count, double rows)
{
    double n = 1;
    for (uint32_t i = 0; i < count; i++) {
        struct expr_list columns = {0};
        if (expr_columns(l->mem, exprs[i], &columns) != ERR_OK || columns.count == 0)
            continue;
        if (exprs[i]->type == TYPE_BOOL) {
            n *= 2;
            continue;
        }
        for (uint32_t k = 0; k < columns.count; k++)
            n *= expr_distinct(l, columns.items[k], rows);
    }
    return clamp_rows(MIN(n, rows));
}
