/* ORDER BY, DISTINCT, LIMIT, GROUP BY and the locking clauses. */
#include "sql/analyze/analyze_priv.h"

/* ---- finding what an ORDER BY / GROUP BY / DISTINCT ON item means ---- */

static COLD err_t ambiguous_target(struct scope *s, enum place place, const char *name,
                                   int32_t location)
{
    return analyze_at(
        s->a, location,
        err_raise(ERR_AMBIGUOUS_COLUMN, "%s \"%s\" is ambiguous", place_name(place), name));
}

/* A name or position of the target list (SQL-92); UINT32_MAX when it is neither. */
static SUSPENDS err_t find_by_name_wait(struct scope *s, const Node *n, enum place place,
                                        uint32_t *out)
{
    struct query *q = s->query;
    *out = UINT32_MAX;
    if (IsA(n, ColumnRef)) {
        const ColumnRef *ref = (const ColumnRef *)n;
        if (list_length(ref->fields) != 1 || !IsA(list_nth(ref->fields, 0), String))
            return ERR_OK;
        const char *name = list_string(ref->fields, 0);
        if (place == PLACE_GROUP_BY) { /* input columns go before output names */
            struct scope level = *s;
            level.parent = NULL;
            struct expr *column;
            TRY(scope_find_column_wait(&level, name, ref->location, &column));
            if (column)
                return ERR_OK;
        }
        for (uint32_t i = 0; i < q->target_count; i++) {
            const struct target *t = &q->targets[i];
            if (t->junk || !t->name || strcmp(t->name, name) != 0)
                continue;
            if (*out != UINT32_MAX && !expr_equal(q->targets[*out].expr, t->expr))
                return ambiguous_target(s, place, name, ref->location);
            if (*out == UINT32_MAX)
                *out = i;
        }
        return ERR_OK;
    }
    if (!IsA(n, A_Const))
        return ERR_OK;
    const A_Const *c = (const A_Const *)n;
    if (c->isnull || nodeTag(&c->val) != T_Integer)
        return analyze_at(
            s->a, c->location,
            err_raise(ERR_SYNTAX_ERROR, "non-integer constant in %s", place_name(place)));
    int position = c->val.ival.ival;
    int seen = 0;
    for (uint32_t i = 0; i < q->target_count; i++) {
        if (!q->targets[i].junk && ++seen == position) {
            *out = i;
            return ERR_OK;
        }
    }
    return analyze_at(s->a, c->location,
                      err_raise(ERR_INVALID_COLUMN_REFERENCE,
                                "%s position %d is not in select list", place_name(place),
                                position));
}

/* An expression that equals some target; else it becomes a junk target. */
static SUSPENDS err_t find_target_wait(struct scope *s, const Node *n, enum place place,
                                       bool add_junk, struct expr **out)
{
    struct query *q = s->query;
    uint32_t index;
    TRY(find_by_name_wait(s, n, place, &index));
    if (index != UINT32_MAX) {
        *out = q->targets[index].expr;
        return ERR_OK;
    }
    TRY(analyze_expr_wait(s, n, place, out));
    for (uint32_t i = 0; i < q->target_count; i++) {
        if (expr_equal(q->targets[i].expr, *out)) {
            *out = q->targets[i].expr;
            return ERR_OK;
        }
    }
    if (add_junk) {
        struct target t = {.expr = *out, .name = NULL, .junk = true};
        target_add(q, s->a->mem, t);
    }
    return ERR_OK;
}

static int32_t raw_location(const Node *n, const struct expr *e)
{
    if (IsA(n, ColumnRef))
        return ((const ColumnRef *)n)->location;
    if (IsA(n, A_Const))
        return ((const A_Const *)n)->location;
    return expr_location(e);
}

static void replace_target(struct scope *s, const struct expr *from, struct expr *to)
{
    for (uint32_t i = 0; i < s->query->target_count; i++) {
        if (s->query->targets[i].expr == from)
            s->query->targets[i].expr = to;
    }
}

/* ---- sort items ---- */

static err_t sort_using(struct scope *s, const List *use_op, struct expr *e, int32_t location,
                        struct sort_item *out)
{
    const struct operator_info *op;
    TRY(operator_resolve(s, use_op, e->type, e->type, false, location, &op));
    int strategy = operator_strategy(op->oid);
    if (strategy != 1 && strategy != 5) {
        err_t err = err_raise(ERR_WRONG_OBJECT_TYPE, "operator %s is not a valid ordering operator",
                              op->name);
        err_hint("Ordering operators must be \"<\" or \">\" members of btree operator families.");
        return analyze_at(s->a, location, err);
    }
    out->sort_operator = op->oid;
    out->descending = strategy == 5;
    return ERR_OK;
}

err_t sort_item_make(struct scope *s, struct expr *e, int direction, int nulls, const List *use_op,
                     int32_t location, struct sort_item *out)
{
    oid less;
    oid equal;
    oid greater;
    operator_ordering(e->type, &less, &equal, &greater);
    *out = (struct sort_item){.expr = e, .equal_operator = equal};
    if (use_op) {
        TRY(sort_using(s, use_op, e, location, out));
    } else {
        out->descending = direction == SORTBY_DESC;
        out->sort_operator = out->descending ? greater : less;
        if (out->sort_operator == OID_NONE) {
            err_t err = err_raise(ERR_UNDEFINED_FUNCTION,
                                  "could not identify an ordering operator for type %s",
                                  analyze_type_text(s->a, e->type));
            err_hint("Use an explicit ordering operator or modify the query.");
            return analyze_at(s->a, location >= 0 ? location : expr_location(e), err);
        }
    }
    out->nulls_first =
        nulls == SORTBY_NULLS_DEFAULT ? out->descending : nulls == SORTBY_NULLS_FIRST;
    return ERR_OK;
}

static err_t group_item_check(struct scope *s, const struct expr *e, struct sort_item *out)
{
    oid less;
    oid equal;
    oid greater;
    operator_ordering(e->type, &less, &equal, &greater);
    if (equal == OID_NONE)
        return analyze_at(s->a, expr_location(e),
                          err_raise(ERR_UNDEFINED_FUNCTION,
                                    "could not identify an equality operator for type %s",
                                    analyze_type_text(s->a, e->type)));
    *out = (struct sort_item){.sort_operator = less, .equal_operator = equal};
    return ERR_OK;
}

SUSPENDS err_t clause_order_wait(struct scope *s, const List *order, enum place place, bool sql99,
                                 struct sort_item **out, uint32_t *count)
{
    uint32_t n = (uint32_t)list_length(order);
    *out = ARENA_ARRAY(s->a->mem, struct sort_item, n + 1);
    *count = 0;
    for (uint32_t i = 0; i < n; i++) {
        const SortBy *by = list_nth(order, (int)i);
        struct expr *e;
        if (sql99)
            TRY(analyze_expr_wait(s, by->node, s->place, &e));
        else
            TRY(find_target_wait(s, by->node, place, true, &e));
        if (e->type == TYPE_UNKNOWN) {
            struct expr *text;
            TRY(coerce_type(s, e, TYPE_TEXT, -1, COERCE_BY_CONTEXT, false, -1, &text));
            if (!sql99)
                replace_target(s, e, text);
            e = text;
        }
        struct sort_item item;
        TRY(sort_item_make(s, e, (int)by->sortby_dir, (int)by->sortby_nulls, by->useOp,
                           by->location >= 0 ? by->location : raw_location(by->node, e), &item));
        bool repeated = false;
        for (uint32_t k = 0; k < *count && !repeated; k++)
            repeated = (*out)[k].expr == e;
        if (!repeated)
            (*out)[(*count)++] = item;
    }
    return ERR_OK;
}

/* ---- DISTINCT ---- */

static err_t distinct_all(struct scope *s)
{
    struct query *q = s->query;
    q->distinct = true;
    q->distinct_on = ARENA_ARRAY(s->a->mem, struct sort_item, q->target_count + 1);
    for (uint32_t i = 0; i < q->order_count; i++) {
        for (uint32_t k = 0; k < q->target_count; k++) {
            if (q->targets[k].junk && q->targets[k].expr == q->order[i].expr)
                return analyze_at(s->a, expr_location(q->order[i].expr),
                                  err_raise(ERR_INVALID_COLUMN_REFERENCE,
                                            "for SELECT DISTINCT, ORDER BY expressions must "
                                            "appear in select list"));
        }
        q->distinct_on[q->distinct_on_count++] = q->order[i];
    }
    for (uint32_t k = 0; k < q->target_count; k++) {
        struct expr *e = q->targets[k].expr;
        bool known = q->targets[k].junk;
        for (uint32_t i = 0; i < q->distinct_on_count && !known; i++)
            known = q->distinct_on[i].expr == e;
        if (known)
            continue;
        if (e->type == TYPE_UNKNOWN) {
            TRY(coerce_type(s, e, TYPE_TEXT, -1, COERCE_BY_CONTEXT, false, -1, &e));
            q->targets[k].expr = e;
        }
        struct sort_item item;
        TRY(group_item_check(s, e, &item));
        item.expr = e;
        q->distinct_on[q->distinct_on_count++] = item;
    }
    if (q->distinct_on_count == 0)
        return err_raise(ERR_SYNTAX_ERROR, "SELECT DISTINCT must have at least one column");
    return ERR_OK;
}

SUSPENDS err_t clause_distinct_wait(struct scope *s, const List *distinct)
{
    struct query *q = s->query;
    if (!distinct)
        return ERR_OK;
    if (list_nth(distinct, 0) == NULL)
        return distinct_all(s);
    uint32_t n = (uint32_t)list_length(distinct);
    struct expr **exprs = ARENA_ARRAY(s->a->mem, struct expr *, n + 1);
    int32_t *locations = ARENA_ARRAY(s->a->mem, int32_t, n + 1);
    uint32_t expr_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct expr *e;
        TRY(find_target_wait(s, list_nth(distinct, (int)i), PLACE_DISTINCT_ON, true, &e));
        bool repeated = false;
        for (uint32_t k = 0; k < expr_count && !repeated; k++)
            repeated = exprs[k] == e;
        if (repeated)
            continue;
        locations[expr_count] = raw_location(list_nth(distinct, (int)i), e);
        exprs[expr_count++] = e;
    }
    q->has_distinct_on = true;
    q->distinct = true;
    q->distinct_on = ARENA_ARRAY(s->a->mem, struct sort_item, expr_count + 1);
    bool skipped = false;
    for (uint32_t i = 0; i < q->order_count; i++) {
        bool member = false;
        for (uint32_t k = 0; k < expr_count && !member; k++)
            member = exprs[k] == q->order[i].expr;
        if (!member) {
            skipped = true;
        } else if (skipped) {
            return analyze_at(s->a, expr_location(q->order[i].expr),
                              err_raise(ERR_INVALID_COLUMN_REFERENCE,
                                        "SELECT DISTINCT ON expressions must match initial ORDER "
                                        "BY expressions"));
        } else {
            q->distinct_on[q->distinct_on_count++] = q->order[i];
        }
    }
    for (uint32_t k = 0; k < expr_count; k++) {
        bool known = false;
        for (uint32_t i = 0; i < q->distinct_on_count && !known; i++)
            known = q->distinct_on[i].expr == exprs[k];
        if (known)
            continue;
        if (skipped)
            return analyze_at(s->a, locations[k],
                              err_raise(ERR_INVALID_COLUMN_REFERENCE,
                                        "SELECT DISTINCT ON expressions must match initial ORDER "
                                        "BY expressions"));
        struct sort_item item;
        TRY(group_item_check(s, exprs[k], &item));
        item.expr = exprs[k];
        q->distinct_on[q->distinct_on_count++] = item;
    }
    return ERR_OK;
}

/* ---- LIMIT ---- */

static SUSPENDS err_t limit_one_wait(struct scope *s, const Node *n, enum place place,
                                     struct expr **out)
{
    *out = NULL;
    if (!n)
        return ERR_OK;
    struct expr *e;
    TRY(analyze_expr_wait(s, n, place, &e));
    TRY(coerce_to_specific(s, e, TYPE_INT8, place_name(place), &e));
    if (expr_has_columns(e))
        return analyze_at(s->a, expr_location(e),
                          err_raise(ERR_INVALID_COLUMN_REFERENCE,
                                    "argument of %s must not contain variables",
                                    place_name(place)));
    *out = e;
    return ERR_OK;
}

SUSPENDS err_t clause_limit_wait(struct scope *s, const SelectStmt *n)
{
    struct query *q = s->query;
    TRY(limit_one_wait(s, n->limitOffset, PLACE_OFFSET, &q->offset));
    TRY(limit_one_wait(s, n->limitCount, PLACE_LIMIT, &q->limit));
    /* libpg_query numbers them otherwise than the server's headers: default, count, with ties. */
    q->limit_with_ties = (int)n->limitOption == 2;
    bool is_null = q->limit && q->limit->kind == EXPR_CONST && q->limit->constant.is_null;
    if (q->limit_with_ties && is_null)
        return err_raise(ERR_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
                         "row count cannot be null in FETCH FIRST ... WITH TIES clause");
    if (is_null)
        q->limit = NULL;
    return ERR_OK;
}

/* ---- GROUP BY ---- */

enum { GROUPING_SETS_MAX = 4096 };

struct set_list {
    struct grouping *sets;
    uint32_t count;
    uint32_t capacity;
};

static void set_list_add(struct scope *s, struct set_list *l, struct grouping g)
{
    if (l->count == l->capacity) {
        uint32_t capacity = l->capacity ? l->capacity * 2 : 8;
        struct grouping *sets = ARENA_ARRAY(s->a->mem, struct grouping, capacity);
        if (l->count)
            memcpy(sets, l->sets, sizeof(*sets) * l->count);
        l->sets = sets;
        l->capacity = capacity;
    }
    l->sets[l->count++] = g;
}

static struct grouping grouping_union(struct scope *s, const struct grouping *a,
                                      const struct grouping *b)
{
    struct grouping g = {.members = ARENA_ARRAY(s->a->mem, uint32_t, a->count + b->count + 1)};
    for (uint32_t i = 0; i < a->count; i++)
        g.members[g.count++] = a->members[i];
    for (uint32_t i = 0; i < b->count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < g.count && !known; k++)
            known = g.members[k] == b->members[i];
        if (!known)
            g.members[g.count++] = b->members[i];
    }
    return g;
}

static err_t set_list_check(struct scope *s, uint64_t count, int32_t location)
{
    if (count <= GROUPING_SETS_MAX)
        return ERR_OK;
    return analyze_at(s->a, location,
                      err_raise(ERR_STATEMENT_TOO_COMPLEX,
                                "too many grouping sets present (maximum %d)", GROUPING_SETS_MAX));
}

static SUSPENDS err_t group_expr_wait(struct scope *s, const Node *n, uint32_t *index)
{
    struct query *q = s->query;
    struct expr *e;
    TRY(find_target_wait(s, n, PLACE_GROUP_BY, false, &e));
    if (e->type == TYPE_UNKNOWN) {
        struct expr *text;
        TRY(coerce_type(s, e, TYPE_TEXT, -1, COERCE_BY_CONTEXT, false, -1, &text));
        replace_target(s, e, text);
        e = text;
    }
    for (uint32_t i = 0; i < q->group_count; i++) {
        if (expr_equal(q->group_exprs[i], e)) {
            *index = i;
            return ERR_OK;
        }
    }
    struct sort_item unused;
    TRY(group_item_check(s, e, &unused));
    struct expr **grown = ARENA_ARRAY(s->a->mem, struct expr *, q->group_count + 1);
    if (q->group_count)
        memcpy(grown, q->group_exprs, sizeof(*grown) * q->group_count);
    grown[q->group_count] = e;
    q->group_exprs = grown;
    *index = q->group_count++;
    return ERR_OK;
}

/* One element of ROLLUP, CUBE or a set: an expression or a parenthesised list. */
static SUSPENDS err_t group_members_wait(struct scope *s, const Node *n, struct grouping *out)
{
    if (IsA(n, RowExpr) && ((const RowExpr *)n)->row_format == COERCE_IMPLICIT_CAST) {
        const List *args = ((const RowExpr *)n)->args;
        out->members = ARENA_ARRAY(s->a->mem, uint32_t, (uint32_t)list_length(args) + 1);
        out->count = 0;
        for (int i = 0; i < list_length(args); i++)
            TRY(group_expr_wait(s, list_nth(args, i), &out->members[out->count++]));
        return ERR_OK;
    }
    out->members = ARENA_ARRAY(s->a->mem, uint32_t, 1);
    out->count = 1;
    return group_expr_wait(s, n, &out->members[0]);
}

static SUSPENDS err_t group_sets_wait(struct scope *s, const Node *n, struct set_list *out,
                                      struct group_item *item);

static SUSPENDS err_t group_rollup_wait(struct scope *s, const GroupingSet *g, bool cube,
                                        struct set_list *out, struct group_item *item)
{
    uint32_t n = (uint32_t)list_length(g->content);
    struct grouping *parts = ARENA_ARRAY(s->a->mem, struct grouping, n + 1);
    for (uint32_t i = 0; i < n; i++)
        TRY(group_members_wait(s, list_nth(g->content, (int)i), &parts[i]));
    item->kind = cube ? GROUP_CUBE : GROUP_ROLLUP;
    item->count = n;
    item->items = ARENA_ARRAY(s->a->mem, struct group_item, n + 1);
    for (uint32_t i = 0; i < n; i++)
        item->items[i] = (struct group_item){
            .kind = GROUP_SIMPLE, .count = parts[i].count, .members = parts[i].members};
    if (cube) {
        if (n > 12)
            return analyze_at(s->a, g->location,
                              err_raise(ERR_TOO_MANY_COLUMNS, "CUBE is limited to 12 elements"));
        for (uint32_t mask = (1U << n); mask-- > 0;) {
            struct grouping set = {0};
            for (uint32_t i = 0; i < n; i++) {
                if (mask & (1U << (n - 1 - i)))
                    set = grouping_union(s, &set, &parts[i]);
            }
            set_list_add(s, out, set);
        }
        return ERR_OK;
    }
    for (uint32_t length = n + 1; length-- > 0;) {
        struct grouping set = {0};
        for (uint32_t i = 0; i < length; i++)
            set = grouping_union(s, &set, &parts[i]);
        set_list_add(s, out, set);
    }
    return set_list_check(s, out->count, g->location);
}

static SUSPENDS err_t group_sets_wait(struct scope *s, const Node *n, struct set_list *out,
                                      struct group_item *item)
{
    TRY(fiber_check_stack());
    if (!IsA(n, GroupingSet)) {
        struct grouping set;
        TRY(group_members_wait(s, n, &set));
        set_list_add(s, out, set);
        *item =
            (struct group_item){.kind = GROUP_SIMPLE, .count = set.count, .members = set.members};
        return ERR_OK;
    }
    const GroupingSet *g = (const GroupingSet *)n;
    struct grouping empty = {0};
    *item = (struct group_item){.kind = GROUP_EMPTY};
    switch (g->kind) {
    case GROUPING_SET_EMPTY:
        set_list_add(s, out, empty);
        return ERR_OK;
    case GROUPING_SET_ROLLUP:
        return group_rollup_wait(s, g, false, out, item);
    case GROUPING_SET_CUBE:
        return group_rollup_wait(s, g, true, out, item);
    case GROUPING_SET_SETS:
        item->kind = GROUP_SETS;
        item->count = (uint32_t)list_length(g->content);
        item->items = ARENA_ARRAY(s->a->mem, struct group_item, item->count + 1);
        for (uint32_t i = 0; i < item->count; i++)
            TRY(group_sets_wait(s, list_nth(g->content, (int)i), out, &item->items[i]));
        return set_list_check(s, out->count, g->location);
    case GROUPING_SET_SIMPLE:
        break;
    }
    return err_raise(ERR_INTERNAL_ERROR, "unexpected grouping set");
}

static err_t set_list_cross(struct scope *s, struct set_list *left, const struct set_list *right)
{
    struct set_list product = {0};
    TRY(set_list_check(s, (uint64_t)left->count * right->count, -1));
    for (uint32_t i = 0; i < left->count; i++) {
        for (uint32_t k = 0; k < right->count; k++)
            set_list_add(s, &product, grouping_union(s, &left->sets[i], &right->sets[k]));
    }
    *left = product;
    return ERR_OK;
}

static bool same_members(const struct grouping *a, const struct grouping *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < b->count && !found; k++)
            found = a->members[i] == b->members[k];
        if (!found)
            return false;
    }
    return true;
}

static void set_list_distinct(struct set_list *l)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        bool repeated = false;
        for (uint32_t k = 0; k < kept && !repeated; k++)
            repeated = same_members(&l->sets[k], &l->sets[i]);
        if (!repeated)
            l->sets[kept++] = l->sets[i];
    }
    l->count = kept;
}

SUSPENDS err_t clause_group_wait(struct scope *s, const List *group, bool distinct)
{
    struct query *q = s->query;
    bool has_sets = false;
    q->group_distinct = distinct;
    for (int i = 0; i < list_length(group); i++)
        has_sets |= IsA(list_nth(group, i), GroupingSet);
    if (!has_sets) {
        for (int i = 0; i < list_length(group); i++) {
            struct grouping unused;
            TRY(group_members_wait(s, list_nth(group, i), &unused));
        }
        return ERR_OK;
    }
    struct set_list all = {0};
    struct grouping empty = {0};
    set_list_add(s, &all, empty);
    q->group_item_count = (uint32_t)list_length(group);
    q->group_items = ARENA_ARRAY(s->a->mem, struct group_item, q->group_item_count + 1);
    for (uint32_t i = 0; i < q->group_item_count; i++) {
        struct set_list one = {0};
        TRY(group_sets_wait(s, list_nth(group, (int)i), &one, &q->group_items[i]));
        TRY(set_list_cross(s, &all, &one));
    }
    if (distinct)
        set_list_distinct(&all);
    q->grouping_sets = all.sets;
    q->grouping_set_count = all.count;
    return ERR_OK;
}

/* ---- FOR UPDATE and its kin ---- */

static const char *locking_name(LockClauseStrength strength)
{
    switch (strength) {
    case LCS_FORKEYSHARE:
        return "FOR KEY SHARE";
    case LCS_FORSHARE:
        return "FOR SHARE";
    case LCS_FORNOKEYUPDATE:
        return "FOR NO KEY UPDATE";
    default:
        return "FOR UPDATE";
    }
}

static err_t locking_allowed(const struct query *q, LockClauseStrength strength)
{
    const char *with = q->set_tree                          ? "UNION/INTERSECT/EXCEPT"
                       : q->distinct                        ? "DISTINCT clause"
                       : q->group_count || q->grouping_sets ? "GROUP BY clause"
                       : q->having                          ? "HAVING clause"
                       : q->has_aggregates                  ? "aggregate functions"
                       : q->has_windows                     ? "window functions"
                       : q->has_set_functions ? "set-returning functions in the target list"
                                              : NULL;
    if (!with)
        return ERR_OK;
    return err_raise(ERR_FEATURE_NOT_SUPPORTED, "%s is not allowed with %s", locking_name(strength),
                     with);
}

static void locking_add(struct arena *mem, struct query *q, uint32_t rte, const LockingClause *lc)
{
    enum row_lock_mode mode = (enum row_lock_mode)(lc->strength - LCS_FORKEYSHARE);
    enum lock_policy policy = lc->waitPolicy == LockWaitBlock  ? LOCK_WAIT
                              : lc->waitPolicy == LockWaitSkip ? LOCK_SKIP
                                                               : LOCK_NOWAIT;
    for (uint32_t i = 0; i < q->row_mark_count; i++) {
        struct row_mark *m = &q->row_marks[i];
        if (m->rte == rte) {
            m->mode = MAX(m->mode, mode);
            if (policy == LOCK_NOWAIT || (policy == LOCK_SKIP && m->policy == LOCK_WAIT))
                m->policy = policy;
            return;
        }
    }
    struct row_mark *marks = ARENA_ARRAY(mem, struct row_mark, q->row_mark_count + 1);
    if (q->row_mark_count)
        memcpy(marks, q->row_marks, sizeof(*marks) * q->row_mark_count);
    marks[q->row_mark_count++] = (struct row_mark){.rte = rte, .mode = mode, .policy = policy};
    q->row_marks = marks;
}

static err_t locking_all(struct arena *mem, struct query *q, const LockingClause *lc);

static err_t locking_rte(struct arena *mem, struct query *q, uint32_t rte, const LockingClause *lc)
{
    struct range_entry *r = q->rtes[rte];
    if (r->kind == RTE_TABLE) {
        if (r->table_kind == 'r' || r->table_kind == 'm' || r->table_kind == 'p')
            locking_add(mem, q, rte, lc);
        return ERR_OK;
    }
    if (r->kind == RTE_SUBQUERY) {
        TRY(locking_allowed(r->subquery, lc->strength));
        return locking_all(mem, r->subquery, lc);
    }
    return ERR_OK;
}

static err_t locking_all(struct arena *mem, struct query *q, const LockingClause *lc)
{
    TRY(fiber_check_stack());
    for (uint32_t i = 0; i < q->rte_count; i++) {
        if (q->rtes[i]->in_from)
            TRY(locking_rte(mem, q, i, lc));
    }
    return ERR_OK;
}

static err_t locking_named(struct scope *s, const RangeVar *rv, const LockingClause *lc)
{
    struct query *q = s->query;
    if (rv->catalogname || rv->schemaname)
        return analyze_at(s->a, rv->location,
                          err_raise(ERR_SYNTAX_ERROR, "%s must specify unqualified relation names",
                                    locking_name(lc->strength)));
    for (uint32_t i = 0; i < q->rte_count; i++) {
        const struct range_entry *r = q->rtes[i];
        if (!r->in_from || !r->alias || strcmp(r->alias, rv->relname) != 0)
            continue;
        const char *what = r->kind == RTE_JOIN       ? "a join"
                           : r->kind == RTE_FUNCTION ? "a function"
                           : r->kind == RTE_VALUES   ? "VALUES"
                           : r->kind == RTE_CTE      ? "a WITH query"
                                                     : NULL;
        if (what)
            return analyze_at(s->a, rv->location,
                              err_raise(ERR_FEATURE_NOT_SUPPORTED, "%s cannot be applied to %s",
                                        locking_name(lc->strength), what));
        return locking_rte(s->a->mem, q, i, lc);
    }
    return analyze_at(s->a, rv->location,
                      err_raise(ERR_UNDEFINED_TABLE,
                                "relation \"%s\" in %s clause not found in FROM clause",
                                rv->relname, locking_name(lc->strength)));
}

SUSPENDS err_t clause_locking_wait(struct scope *s, const LockingClause *lc, bool pushed_down)
{
    (void)pushed_down;
    TRY(locking_allowed(s->query, lc->strength));
    if (!lc->lockedRels)
        return locking_all(s->a->mem, s->query, lc);
    for (int i = 0; i < list_length(lc->lockedRels); i++)
        TRY(locking_named(s, list_nth(lc->lockedRels, i), lc));
    return ERR_OK;
}
