/* Subqueries in expressions. */
#include "sql/analyze/analyze_priv.h"

static err_t sublink_place(struct scope *s, int32_t location)
{
    switch (s->place) {
    case PLACE_CHECK:
        return analyze_at(
            s->a, location,
            err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery in check constraint"));
    case PLACE_COLUMN_DEFAULT:
        return analyze_at(
            s->a, location,
            err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery in DEFAULT expression"));
    case PLACE_INDEX_EXPRESSION:
        return analyze_at(
            s->a, location,
            err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery in index expression"));
    case PLACE_INDEX_PREDICATE:
        return analyze_at(
            s->a, location,
            err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery in index predicate"));
    case PLACE_EXECUTE:
        return analyze_at(
            s->a, location,
            err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery in EXECUTE parameter"));
    case PLACE_COPY_WHERE:
        return analyze_at(s->a, location,
                          err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                    "cannot use subquery in COPY FROM WHERE condition"));
    default:
        return ERR_OK;
    }
}

static uint32_t visible_targets(const struct query *q)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->target_count; i++)
        n += !q->targets[i].junk;
    return n;
}

static const struct target *visible_target(const struct query *q, uint32_t index)
{
    for (uint32_t i = 0; i < q->target_count; i++) {
        if (!q->targets[i].junk && index-- == 0)
            return &q->targets[i];
    }
    return NULL;
}

/* The comparison of x op ANY (SELECT ...): right sides are params that each row sets. */
static SUSPENDS err_t sublink_test_wait(struct scope *s, const SubLink *n, struct expr *e)
{
    struct arena *mem = s->a->mem;
    struct query *q = e->subquery.query;
    struct expr *left;
    TRY(transform_wait(s, n->testexpr, &left));
    struct expr **lefts = &left;
    uint32_t count = 1;
    if (left->kind == EXPR_ROW) {
        lefts = left->args;
        count = left->arg_count;
    }
    uint32_t columns = visible_targets(q);
    if (count < columns)
        return analyze_at(s->a, n->location,
                          err_raise(ERR_SYNTAX_ERROR, "subquery has too many columns"));
    if (count > columns)
        return analyze_at(s->a, n->location,
                          err_raise(ERR_SYNTAX_ERROR, "subquery has too few columns"));
    struct expr **rights = ARENA_ARRAY(mem, struct expr *, count + 1);
    e->subquery.first_param = s->a->exec_param_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct target *t = visible_target(q, i);
        rights[i] = expr_new(mem, EXPR_EXEC_PARAM, t->expr->type, t->expr->typmod);
        rights[i]->param = s->a->exec_param_count++;
        rights[i]->collation = t->expr->collation;
        rights[i]->location = n->location;
    }
    String equal = {.type = T_String, .sval = (char *)(uintptr_t) "="};
    ListCell cell = {.ptr_value = &equal};
    List name = {.type = T_List, .length = 1, .max_length = 1, .elements = &cell};
    const List *opname = n->operName ? n->operName : &name;
    return row_compare_make(s, opname, lefts, rights, count, n->location, &e->subquery.test);
}

SUSPENDS err_t transform_sublink_wait(struct scope *s, const SubLink *n, struct expr **out)
{
    TRY(sublink_place(s, n->location));
    s->query->has_subqueries = true;
    struct query *q;
    const char *outside = s->no_recursion;
    s->no_recursion = "a subquery";
    err_t error = analyze_subquery_wait(s, n->subselect, false, NULL, false, &q);
    s->no_recursion = outside;
    TRY(error);
    struct expr *e = expr_new(s->a->mem, EXPR_SUBQUERY, TYPE_BOOL, -1);
    e->subquery.query = q;
    e->location = n->location;
    *out = e;
    switch (n->subLinkType) {
    case EXISTS_SUBLINK:
        e->subquery.subkind = SUBQUERY_EXISTS;
        return ERR_OK;
    case EXPR_SUBLINK:
    case ARRAY_SUBLINK: {
        if (visible_targets(q) != 1)
            return analyze_at(s->a, n->location,
                              err_raise(ERR_SYNTAX_ERROR, "subquery must return only one column"));
        const struct target *t = visible_target(q, 0);
        e->type = t->expr->type;
        e->typmod = t->expr->typmod;
        e->collation = t->expr->collation;
        e->subquery.subkind = SUBQUERY_SCALAR;
        if (n->subLinkType == EXPR_SUBLINK)
            return ERR_OK;
        e->subquery.subkind = SUBQUERY_ARRAY;
        oid array = type_element(e->type) != OID_NONE ? e->type : type_array(e->type);
        if (array == OID_NONE)
            return analyze_at(s->a, n->location,
                              err_raise(ERR_UNDEFINED_OBJECT,
                                        "could not find array type for data type %s",
                                        analyze_type_text(s->a, e->type)));
        e->type = array;
        return ERR_OK;
    }
    case ANY_SUBLINK:
        e->subquery.subkind = SUBQUERY_ANY;
        return sublink_test_wait(s, n, e);
    case ALL_SUBLINK:
        e->subquery.subkind = SUBQUERY_ALL;
        return sublink_test_wait(s, n, e);
    case ROWCOMPARE_SUBLINK:
        e->subquery.subkind = SUBQUERY_ROW;
        return sublink_test_wait(s, n, e);
    default:
        return err_not_built("this kind of subquery is not supported yet");
    }
}
