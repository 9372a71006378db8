/* SELECT and VALUES: the clauses of one query level in PostgreSQL's order. */
#include "sql/analyze/analyze_priv.h"

static SUSPENDS err_t select_locking_wait(struct scope *s, const List *locking)
{
    for (int i = 0; i < list_length(locking); i++)
        TRY(clause_locking_wait(s, list_nth(locking, i), false));
    return ERR_OK;
}

static SUSPENDS err_t select_clauses_wait(struct scope *s, const SelectStmt *n)
{
    struct query *q = s->query;
    TRY(clause_from_wait(s, n->fromClause));
    TRY(target_list_wait(s, n->targetList, PLACE_SELECT_TARGET, &q->targets, &q->target_count));
    TRY(analyze_condition_wait(s, n->whereClause, PLACE_WHERE, "WHERE", &q->where));
    TRY(analyze_condition_wait(s, n->havingClause, PLACE_HAVING, "HAVING", &q->having));
    TRY(clause_order_wait(s, n->sortClause, PLACE_ORDER_BY, false, &q->order, &q->order_count));
    TRY(clause_group_wait(s, n->groupClause, n->groupDistinct));
    TRY(clause_distinct_wait(s, n->distinctClause));
    TRY(clause_limit_wait(s, n));
    TRY(clause_windows_wait(s));
    if (!s->keep_unknowns)
        TRY(target_resolve_unknowns(s, q->targets, q->target_count));
    TRY(aggregate_check_query(s));
    return select_locking_wait(s, n->lockingClause);
}

SUSPENDS err_t analyze_select_wait(struct scope *s, const SelectStmt *n)
{
    if (n->intoClause)
        return analyze_at(s->a, n->intoClause->rel ? n->intoClause->rel->location : -1,
                          err_raise(ERR_SYNTAX_ERROR, "SELECT ... INTO is not allowed here"));
    TRY(clause_with_wait(s, n->withClause));
    s->window_defs = n->windowClause;
    return select_clauses_wait(s, n);
}

/* ---- VALUES ---- */

static SUSPENDS err_t values_rows_wait(struct scope *s, const SelectStmt *n, struct range_entry *r)
{
    struct arena *mem = s->a->mem;
    r->value_row_count = (uint32_t)list_length(n->valuesLists);
    r->values = ARENA_ARRAY(mem, struct expr **, r->value_row_count + 1);
    for (uint32_t i = 0; i < r->value_row_count; i++) {
        uint32_t count;
        const List *row = list_nth(n->valuesLists, (int)i);
        TRY(target_exprs_wait(s, row, r->value_row_count > 1 ? PLACE_VALUES : PLACE_VALUES_SINGLE,
                              false, &r->values[i], &count));
        if (i == 0)
            r->column_count = count;
        if (count != r->column_count)
            return analyze_at(
                s->a, count ? expr_location(r->values[i][0]) : -1,
                err_raise(ERR_SYNTAX_ERROR, "VALUES lists must all be the same length"));
    }
    return ERR_OK;
}

static err_t values_column(struct scope *s, struct range_entry *r, uint32_t column)
{
    struct arena *mem = s->a->mem;
    struct expr **list = ARENA_ARRAY(mem, struct expr *, r->value_row_count + 1);
    for (uint32_t i = 0; i < r->value_row_count; i++)
        list[i] = r->values[i][column];
    oid type;
    TRY(coerce_common_type(s, list, r->value_row_count, "VALUES", &type));
    if (type == TYPE_UNKNOWN)
        type = TYPE_TEXT;
    for (uint32_t i = 0; i < r->value_row_count; i++) {
        TRY(coerce_to_common(s, list[i], type, "VALUES", &list[i]));
        r->values[i][column] = list[i];
    }
    r->column_names[column] = arena_printf(mem, "column%u", column + 1);
    r->column_types[column] = type;
    r->column_typmods[column] = coerce_common_typmod(list, r->value_row_count, type);
    r->column_collations[column] = type_collation(type);
    return ERR_OK;
}

static SUSPENDS err_t analyze_values_wait(struct scope *s, const SelectStmt *n)
{
    struct query *q = s->query;
    struct arena *mem = s->a->mem;
    TRY(clause_with_wait(s, n->withClause));
    struct range_entry probe = {0};
    TRY(values_rows_wait(s, n, &probe));
    struct range_entry *r = range_entry_new(s, RTE_VALUES, probe.column_count);
    r->values = probe.values;
    r->value_row_count = probe.value_row_count;
    r->alias = "*VALUES*";
    for (uint32_t c = 0; c < r->column_count; c++)
        TRY(values_column(s, r, c));
    struct scope_item *item = scope_item_for_rte(s, r, q->rte_count, NULL);
    uint32_t index = scope_add_rte(s, r, item);
    scope_add_item(s, item);
    struct from_item *f = ARENA_NEW(mem, struct from_item);
    f->kind = FROM_RTE;
    f->rte = index;
    q->from = ARENA_ARRAY(mem, struct from_item *, 1);
    q->from[0] = f;
    q->from_count = 1;
    q->targets = ARENA_ARRAY(mem, struct target, r->column_count + 1);
    q->target_count = r->column_count;
    for (uint32_t c = 0; c < r->column_count; c++) {
        q->targets[c].expr = scope_column_expr(s, &item->columns[c], 0, -1);
        q->targets[c].name = r->column_names[c];
    }
    TRY(clause_order_wait(s, n->sortClause, PLACE_ORDER_BY, false, &q->order, &q->order_count));
    TRY(clause_limit_wait(s, n));
    if (n->lockingClause)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "%s cannot be applied to VALUES",
                         "SELECT FOR UPDATE/SHARE");
    return ERR_OK;
}

/* ---- entries ---- */

static SUSPENDS err_t analyze_any_select_wait(struct scope *s, const SelectStmt *n)
{
    TRY(fiber_check_stack());
    if (n->valuesLists)
        return analyze_values_wait(s, n);
    if (n->op == SETOP_NONE)
        return analyze_select_wait(s, n);
    return analyze_set_operation_wait(s, n);
}

SUSPENDS err_t analyze_subquery_wait(struct scope *parent, const void *node, bool keep_unknowns,
                                     const List *locking, bool lateral, struct query **out)
{
    TRY(fiber_check_stack());
    if (!IsA(node, SelectStmt))
        return err_not_built("this kind of statement is not supported as a subquery");
    struct scope *s = scope_new(parent->a, parent, CMD_SELECT);
    s->keep_unknowns = keep_unknowns;
    s->recursive = parent->recursive;
    parent->recursive = NULL;
    s->locking = locking;
    bool saved = parent->lateral_active;
    parent->lateral_active = lateral;
    err_t e = analyze_any_select_wait(s, node);
    parent->lateral_active = saved;
    TRY(e);
    *out = s->query;
    return ERR_OK;
}

SUSPENDS err_t analyze_query_wait(struct analysis *a, const void *node, struct query **out)
{
    struct scope *s = scope_new(a, NULL, CMD_SELECT);
    *out = s->query;
    switch (nodeTag(node)) {
    case T_SelectStmt:
        return analyze_any_select_wait(s, node);
    case T_InsertStmt:
        return analyze_insert_wait(s, node);
    case T_UpdateStmt:
        return analyze_update_wait(s, node);
    case T_DeleteStmt:
        return analyze_delete_wait(s, node);
    case T_MergeStmt:
        return err_not_built("MERGE is not supported yet");
    default:
        return err_raise(ERR_INTERNAL_ERROR, "not a query: node %d", (int)nodeTag(node));
    }
}
