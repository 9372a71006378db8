/*
 * INSERT, UPDATE, DELETE. The target relation is always range table entry 0. Columns that get no
 * value take their default here, so that plans write complete rows.
 */
#include "sql/analyze/analyze_priv.h"

struct assign { /* one column to be given a value */
    const struct column_desc *column;
    int32_t location;
};

/* ---- the target relation ---- */

static SUSPENDS err_t target_relation_wait(struct scope *s, const RangeVar *rv, bool in_from,
                                           const struct table_desc **out)
{
    const struct table_desc *t;
    TRY(analysis_table_wait(s->a, rv, &t));
    *out = t;
    switch (t->kind) {
    case 'r':
    case 'p':
        break;
    case 'v':
        return analyze_at(s->a, rv->location,
                          err_not_built("writing to views is not supported yet"));
    case 'S':
        return err_raise(ERR_WRONG_OBJECT_TYPE, "cannot change sequence \"%s\"", t->name);
    case 'm':
        return err_raise(ERR_WRONG_OBJECT_TYPE, "cannot change materialized view \"%s\"", t->name);
    default:
        return err_raise(ERR_WRONG_OBJECT_TYPE, "cannot change relation \"%s\"", t->name);
    }
    if (t->virtual_name)
        return err_raise(ERR_WRONG_OBJECT_TYPE, "cannot change relation \"%s\"", t->name);
    struct range_entry *r = range_entry_of_table(s, t, rv->alias ? rv->alias->aliasname : NULL);
    r->in_from = in_from;
    struct scope_item *item = scope_item_for_rte(s, r, s->query->rte_count, t);
    s->query->target_rte = scope_add_rte(s, r, item);
    s->query->target_table = t->oid;
    return ERR_OK;
}

static err_t check_generated(const struct table_desc *t)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (!t->columns[i].dropped && t->columns[i].generated)
            return err_not_built("writing to tables with generated columns is not supported yet");
    }
    return ERR_OK;
}

static COLD err_t no_such_column(struct scope *s, const struct table_desc *t, const char *name,
                                 int32_t location)
{
    err_t e = err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                        name, t->name);
    return analyze_at(s->a, location, e);
}

/* ---- values for columns ---- */

SUSPENDS err_t analyze_default_wait(struct scope *s, const struct table_desc *t,
                                    const struct column_desc *c, struct expr **out)
{
    struct arena *mem = s->a->mem;
    if (c->identity && c->owned_sequence != OID_NONE) {
        struct expr *e = expr_new(mem, EXPR_NEXTVAL, TYPE_INT8, -1);
        e->nextval.sequence = c->owned_sequence;
        TRY(coerce_to_target(s, e, c->type, c->typmod, COERCE_BY_ASSIGNMENT, false, -1, out));
        return *out ? ERR_OK : err_raise(ERR_DATATYPE_MISMATCH, "identity column type mismatch");
    }
    if (c->default_sql)
        return analyze_table_text_wait(s->a, t, c->default_sql, c->type, c->typmod, out);
    *out = expr_const(mem, c->type, c->typmod, 0, true);
    return ERR_OK;
}

static SUSPENDS err_t assign_value_wait(struct scope *s, const struct table_desc *t,
                                        const struct assign *to, struct expr *e, struct expr **out)
{
    if (e->kind == EXPR_DEFAULT)
        return analyze_default_wait(s, t, to->column, out);
    TRY(coerce_to_target(s, e, to->column->type, to->column->typmod, COERCE_BY_ASSIGNMENT, false,
                         -1, out));
    if (*out)
        return ERR_OK;
    err_t err =
        err_raise(ERR_DATATYPE_MISMATCH, "column \"%s\" is of type %s but expression is of type %s",
                  to->column->name, analyze_type_text(s->a, to->column->type),
                  analyze_type_text(s->a, e->type));
    err_hint("You will need to rewrite or cast the expression.");
    return analyze_at(s->a, expr_location(e), err);
}

static COLD err_t identity_error(const struct column_desc *c)
{
    err_t e = err_raise(ERR_GENERATED_ALWAYS,
                        "cannot insert a non-DEFAULT value into column \"%s\"", c->name);
    err_detail("Column \"%s\" is an identity column defined as GENERATED ALWAYS.", c->name);
    err_hint("Use OVERRIDING SYSTEM VALUE to override.");
    return e;
}

/* A given value for an identity column: an error, ignored for the default, or taken. */
static SUSPENDS err_t insert_value_wait(struct scope *s, const struct table_desc *t,
                                        const struct assign *to, struct expr *e, struct expr **out)
{
    const struct query *q = s->query;
    if (e->kind != EXPR_DEFAULT && to->column->identity) {
        if (q->overriding_user)
            return analyze_default_wait(s, t, to->column, out);
        if (to->column->identity == 'a' && !q->overriding_system)
            return identity_error(to->column);
    }
    return assign_value_wait(s, t, to, e, out);
}

/* ---- INSERT: columns and rows ---- */

static err_t insert_columns(struct scope *s, const struct table_desc *t, const List *cols,
                            struct assign **out, uint32_t *count)
{
    uint32_t n = (uint32_t)list_length(cols);
    *out = ARENA_ARRAY(s->a->mem, struct assign, MAX(n, t->column_count) + 1);
    *count = 0;
    if (n == 0) {
        for (uint32_t i = 0; i < t->column_count; i++) {
            if (!t->columns[i].dropped)
                (*out)[(*count)++] = (struct assign){.column = &t->columns[i], .location = -1};
        }
        return ERR_OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        const ResTarget *r = list_nth(cols, (int)i);
        const struct column_desc *c = table_column(t, r->name);
        if (!c)
            return analyze_at(s->a, r->location,
                              err_raise(ERR_UNDEFINED_COLUMN,
                                        "column \"%s\" of relation \"%s\" does not exist", r->name,
                                        t->name));
        if (r->indirection)
            return analyze_at(s->a, r->location,
                              err_not_built("assigning to parts of a column is not supported yet"));
        for (uint32_t k = 0; k < *count; k++) {
            if ((*out)[k].column == c)
                return analyze_at(s->a, r->location,
                                  err_raise(ERR_DUPLICATE_COLUMN,
                                            "column \"%s\" specified more than once", r->name));
        }
        (*out)[(*count)++] = (struct assign){.column = c, .location = r->location};
    }
    return ERR_OK;
}

static err_t insert_check_count(struct scope *s, const List *cols, const struct assign *columns,
                                uint32_t column_count, struct expr **exprs, uint32_t count)
{
    if (count > column_count)
        return analyze_at(
            s->a, expr_location(exprs[column_count]),
            err_raise(ERR_SYNTAX_ERROR, "INSERT has more expressions than target columns"));
    if (cols && count < column_count)
        return analyze_at(
            s->a, columns[count].location,
            err_raise(ERR_SYNTAX_ERROR, "INSERT has more target columns than expressions"));
    return ERR_OK;
}

struct insert {
    const InsertStmt *n;
    const struct table_desc *table;
    struct assign *columns;
    uint32_t column_count;
    struct expr **exprs; /* one per leading column of columns, NULL-terminated count below */
    uint32_t expr_count;
};

static SUSPENDS err_t insert_one_row_wait(struct scope *s, struct insert *in,
                                          const SelectStmt *select)
{
    TRY(target_exprs_wait(s, list_nth(select->valuesLists, 0), PLACE_VALUES_SINGLE, true,
                          &in->exprs, &in->expr_count));
    TRY(insert_check_count(s, in->n->cols, in->columns, in->column_count, in->exprs,
                           in->expr_count));
    for (uint32_t i = 0; i < in->expr_count; i++)
        TRY(insert_value_wait(s, in->table, &in->columns[i], in->exprs[i], &in->exprs[i]));
    return ERR_OK;
}

static void insert_source(struct scope *s, struct range_entry *r, struct scope_item **item)
{
    struct query *q = s->query;
    *item = scope_item_for_rte(s, r, q->rte_count, NULL);
    uint32_t index = scope_add_rte(s, r, *item);
    q->from = ARENA_ARRAY(s->a->mem, struct from_item *, 1);
    q->from[0] = ARENA_NEW(s->a->mem, struct from_item);
    q->from[0]->rte = index;
    q->from_count = 1;
}

static SUSPENDS err_t insert_rows_wait(struct scope *s, struct insert *in, const SelectStmt *select)
{
    struct arena *mem = s->a->mem;
    uint32_t rows = (uint32_t)list_length(select->valuesLists);
    struct expr ***values = ARENA_ARRAY(mem, struct expr **, rows + 1);
    uint32_t columns = 0;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t count;
        TRY(target_exprs_wait(s, list_nth(select->valuesLists, (int)i), PLACE_VALUES, true,
                              &values[i], &count));
        if (i == 0)
            columns = count;
        if (count != columns)
            return analyze_at(
                s->a, count ? expr_location(values[i][0]) : -1,
                err_raise(ERR_SYNTAX_ERROR, "VALUES lists must all be the same length"));
        TRY(insert_check_count(s, in->n->cols, in->columns, in->column_count, values[i], count));
        for (uint32_t c = 0; c < count; c++)
            TRY(insert_value_wait(s, in->table, &in->columns[c], values[i][c], &values[i][c]));
    }
    struct range_entry *r = range_entry_new(s, RTE_VALUES, columns);
    r->alias = "*VALUES*";
    r->values = values;
    r->value_row_count = rows;
    for (uint32_t c = 0; c < columns; c++) {
        r->column_names[c] = arena_printf(mem, "column%u", c + 1);
        r->column_types[c] = in->columns[c].column->type;
        r->column_typmods[c] = in->columns[c].column->typmod;
        r->column_collations[c] = in->columns[c].column->collation;
    }
    struct scope_item *item;
    insert_source(s, r, &item);
    in->exprs = ARENA_ARRAY(mem, struct expr *, columns + 1);
    in->expr_count = columns;
    for (uint32_t c = 0; c < columns; c++)
        in->exprs[c] = scope_column_expr(s, &item->columns[c], 0, -1);
    return ERR_OK;
}

static SUSPENDS err_t insert_select_wait(struct scope *s, struct insert *in,
                                         const SelectStmt *select)
{
    struct arena *mem = s->a->mem;
    struct query *sub;
    TRY(analyze_subquery_wait(s, select, true, NULL, false, &sub));
    struct range_entry *r = range_entry_new(s, RTE_SUBQUERY, sub->target_count);
    r->subquery = sub;
    r->alias = "*SELECT*";
    struct expr **direct = ARENA_ARRAY(mem, struct expr *, sub->target_count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < sub->target_count; i++) {
        struct expr *e = sub->targets[i].expr;
        if (sub->targets[i].junk)
            continue;
        bool is_open = e->kind == EXPR_CONST || e->kind == EXPR_PARAM;
        direct[count++] = is_open && e->type == TYPE_UNKNOWN ? e : NULL;
    }
    struct expr **given = ARENA_ARRAY(mem, struct expr *, count + 1);
    uint32_t k = 0;
    for (uint32_t i = 0; i < sub->target_count; i++) {
        if (!sub->targets[i].junk)
            given[k++] = sub->targets[i].expr;
    }
    TRY(insert_check_count(s, in->n->cols, in->columns, in->column_count, given, count));
    in->exprs = ARENA_ARRAY(mem, struct expr *, count + 1);
    in->expr_count = count;
    /* Literals and parameters take the column's type before the rest of the subquery settles. */
    for (uint32_t i = 0; i < count; i++) {
        if (direct[i])
            TRY(insert_value_wait(s, in->table, &in->columns[i], direct[i], &in->exprs[i]));
    }
    TRY(target_resolve_unknowns(s, sub->targets, sub->target_count));
    k = 0;
    for (uint32_t i = 0; i < sub->target_count; i++) {
        const struct target *t = &sub->targets[i];
        if (t->junk)
            continue;
        r->column_names[k] = t->name;
        r->column_types[k] = t->expr->type;
        r->column_typmods[k] = t->expr->typmod;
        r->column_collations[k] = type_collation(t->expr->type) ? t->expr->collation : OID_NONE;
        k++;
    }
    r->column_count = k;
    struct scope_item *item;
    insert_source(s, r, &item);
    for (uint32_t i = 0; i < count; i++) {
        if (direct[i])
            continue;
        struct expr *e = scope_column_expr(s, &item->columns[i], 0, expr_location(given[i]));
        TRY(insert_value_wait(s, in->table, &in->columns[i], e, &in->exprs[i]));
    }
    return ERR_OK;
}

/* All live columns in order of their numbers, defaults for those without a value. */
static SUSPENDS err_t insert_targets_wait(struct scope *s, struct insert *in)
{
    struct query *q = s->query;
    const struct table_desc *t = in->table;
    q->targets = ARENA_ARRAY(s->a->mem, struct target, t->column_count + 1);
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column_desc *c = &t->columns[i];
        if (c->dropped)
            continue;
        struct target *to = &q->targets[q->target_count++];
        to->attno = c->attno;
        to->name = q->rtes[0]->column_names[i];
        for (uint32_t k = 0; k < in->expr_count; k++) {
            if (in->columns[k].column == c)
                to->expr = in->exprs[k];
        }
        to->defaulted = !to->expr;
        if (!to->expr)
            TRY(analyze_default_wait(s, t, c, &to->expr));
    }
    return ERR_OK;
}

/* ---- UPDATE targets ---- */

static uint32_t subselect_width(const struct query *q)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->target_count; i++)
        n += !q->targets[i].junk;
    return n;
}

/* (a, b) = (SELECT x, y): each column takes a scalar subquery with only its own target shown. */
static SUSPENDS err_t multi_subselect_wait(struct scope *s, const MultiAssignRef *m,
                                           struct expr **out)
{
    const SubLink *link = (const SubLink *)m->source;
    struct query *q;
    enum place saved = s->place;
    s->place = PLACE_UPDATE_SOURCE;
    err_t e = analyze_subquery_wait(s, link->subselect, false, NULL, false, &q);
    s->place = saved;
    TRY(e);
    if (subselect_width(q) != (uint32_t)m->ncolumns)
        return analyze_at(
            s->a, link->location,
            err_raise(ERR_SYNTAX_ERROR, "number of columns does not match number of values"));
    if (q->set_tree || (q->distinct && !q->has_distinct_on))
        return analyze_at(s->a, link->location,
                          err_not_built("multiple-column UPDATE from a DISTINCT or "
                                        "UNION/INTERSECT/EXCEPT query is not supported yet"));
    int column = 0;
    const struct expr *shown = NULL;
    for (uint32_t i = 0; i < q->target_count; i++) {
        if (q->targets[i].junk)
            continue;
        if (++column == m->colno)
            shown = q->targets[i].expr;
        else
            q->targets[i].junk = true;
    }
    s->query->has_subqueries = true;
    struct expr *sub = expr_new(s->a->mem, EXPR_SUBQUERY, shown->type, shown->typmod);
    sub->subquery.query = q;
    sub->subquery.subkind = SUBQUERY_SCALAR;
    sub->collation = shown->collation;
    sub->location = link->location;
    *out = sub;
    return ERR_OK;
}

static SUSPENDS err_t update_source_wait(struct scope *s, const Node *n, struct expr **out)
{
    if (IsA(n, SetToDefault)) {
        *out = expr_new(s->a->mem, EXPR_DEFAULT, TYPE_UNKNOWN, -1);
        return ERR_OK;
    }
    if (!IsA(n, MultiAssignRef))
        return analyze_expr_wait(s, n, PLACE_UPDATE_SOURCE, out);
    const MultiAssignRef *m = (const MultiAssignRef *)n;
    if (IsA(m->source, SubLink) && ((const SubLink *)m->source)->subLinkType == EXPR_SUBLINK)
        return multi_subselect_wait(s, m, out);
    if (!IsA(m->source, RowExpr))
        return analyze_at(
            s->a, IsA(m->source, A_Const) ? ((const A_Const *)m->source)->location : -1,
            err_raise(ERR_FEATURE_NOT_SUPPORTED,
                      "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() "
                      "expression"));
    const RowExpr *row = (const RowExpr *)m->source;
    if (list_length(row->args) != m->ncolumns)
        return analyze_at(
            s->a, row->location,
            err_raise(ERR_SYNTAX_ERROR, "number of columns does not match number of values"));
    return update_source_wait(s, list_nth(row->args, m->colno - 1), out);
}

static SUSPENDS err_t update_targets_wait(struct scope *s, const struct table_desc *t,
                                          const List *list, struct target **out, uint32_t *count)
{
    struct arena *mem = s->a->mem;
    *count = (uint32_t)list_length(list);
    *out = ARENA_ARRAY(mem, struct target, *count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        const ResTarget *r = list_nth(list, (int)i);
        const struct column_desc *c = table_column(t, r->name);
        struct expr *e;
        TRY(update_source_wait(s, r->val, &e));
        if (!c)
            return no_such_column(s, t, r->name, r->location);
        if (r->indirection)
            return analyze_at(s->a, r->location,
                              err_not_built("assigning to parts of a column is not supported yet"));
        for (uint32_t k = 0; k < i; k++) {
            if ((*out)[k].attno == c->attno)
                return err_raise(ERR_SYNTAX_ERROR, "multiple assignments to same column \"%s\"",
                                 r->name);
        }
        if (c->identity == 'a' && e->kind != EXPR_DEFAULT) {
            err_t err = err_raise(ERR_GENERATED_ALWAYS,
                                  "column \"%s\" can only be updated to DEFAULT", c->name);
            err_detail("Column \"%s\" is an identity column defined as GENERATED ALWAYS.", c->name);
            return err;
        }
        struct assign to = {.column = c, .location = r->location};
        (*out)[i].attno = c->attno;
        (*out)[i].name = arena_strdup(mem, c->name);
        TRY(assign_value_wait(s, t, &to, e, &(*out)[i].expr));
    }
    return ERR_OK;
}

/* ---- ON CONFLICT ---- */

static SUSPENDS err_t infer_matches_wait(struct scope *s, const struct table_desc *t,
                                         const struct index_desc *x, struct expr *const *elements,
                                         uint32_t count, struct expr *where, bool *out)
{
    *out = false;
    if (!x->is_unique || !x->is_valid)
        return ERR_OK;
    for (uint32_t i = 0; i < count; i++) { /* every element is a key of it */
        bool found = false;
        for (uint16_t k = 0; k < x->key_count && !found; k++) {
            if (x->keys[k].attno != 0) {
                found = elements[i]->kind == EXPR_COLUMN &&
                        elements[i]->column.attno == x->keys[k].attno;
            } else {
                struct expr *e;
                TRY(analyze_table_text_wait(s->a, t, x->keys[k].expression, OID_NONE, -1, &e));
                found = expr_equal(e, elements[i]);
            }
        }
        if (!found)
            return ERR_OK;
    }
    for (uint16_t k = 0; k < x->key_count; k++) { /* every key is among the elements */
        bool found = false;
        for (uint32_t i = 0; i < count && !found; i++) {
            if (x->keys[k].attno != 0) {
                found = elements[i]->kind == EXPR_COLUMN &&
                        elements[i]->column.attno == x->keys[k].attno;
            } else {
                struct expr *e;
                TRY(analyze_table_text_wait(s->a, t, x->keys[k].expression, OID_NONE, -1, &e));
                found = expr_equal(e, elements[i]);
            }
        }
        if (!found)
            return ERR_OK;
    }
    if (x->predicate) {
        if (!where)
            return ERR_OK;
        struct expr *predicate;
        TRY(analyze_table_text_wait(s->a, t, x->predicate, TYPE_BOOL, -1, &predicate));
        bool implied = expr_equal(predicate, where);
        for (uint32_t i = 0; where->kind == EXPR_AND && i < where->arg_count && !implied; i++)
            implied = expr_equal(predicate, where->args[i]);
        if (!implied)
            return ERR_OK;
    }
    *out = true;
    return ERR_OK;
}

static err_t infer_constraint(const struct table_desc *t, const char *name, struct on_conflict *oc)
{
    for (uint32_t i = 0; i < t->constraint_count; i++) {
        const struct constraint_desc *c = &t->constraints[i];
        if (strcmp(c->name, name) != 0)
            continue;
        if (c->index == OID_NONE || (c->type != 'p' && c->type != 'u'))
            return err_raise(ERR_WRONG_OBJECT_TYPE,
                             "constraint in ON CONFLICT clause has no associated index");
        oc->arbiter_indexes[0] = c->index;
        oc->arbiter_count = 1;
        return ERR_OK;
    }
    return err_raise(ERR_UNDEFINED_OBJECT, "constraint \"%s\" for table \"%s\" does not exist",
                     name, t->name);
}

static SUSPENDS err_t infer_wait(struct scope *s, const struct table_desc *t, const InferClause *n,
                                 struct on_conflict *oc)
{
    struct arena *mem = s->a->mem;
    oc->arbiter_indexes = ARENA_ARRAY(mem, oid, t->index_count + 1);
    if (n->conname)
        return infer_constraint(t, n->conname, oc);
    uint32_t count = (uint32_t)list_length(n->indexElems);
    struct expr **elements = ARENA_ARRAY(mem, struct expr *, count + 1);
    struct expr *where;
    for (uint32_t i = 0; i < count; i++) {
        const IndexElem *e = list_nth(n->indexElems, (int)i);
        if (e->ordering != SORTBY_DEFAULT)
            return err_raise(ERR_INVALID_COLUMN_REFERENCE,
                             "ASC/DESC is not allowed in ON CONFLICT clause");
        if (e->nulls_ordering != SORTBY_NULLS_DEFAULT)
            return err_raise(ERR_INVALID_COLUMN_REFERENCE,
                             "NULLS FIRST/LAST is not allowed in ON CONFLICT clause");
        if (e->name) {
            TRY(scope_find_column_wait(s, e->name, n->location, &elements[i]));
            if (!elements[i])
                return analyze_at(
                    s->a, n->location,
                    err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", e->name));
        } else {
            TRY(analyze_expr_wait(s, e->expr, PLACE_INDEX_EXPRESSION, &elements[i]));
        }
    }
    TRY(analyze_condition_wait(s, n->whereClause, PLACE_INDEX_PREDICATE, "WHERE", &where));
    for (uint32_t i = 0; i < t->index_count; i++) {
        bool matches;
        TRY(infer_matches_wait(s, t, &t->indexes[i], elements, count, where, &matches));
        if (matches)
            oc->arbiter_indexes[oc->arbiter_count++] = t->indexes[i].oid;
    }
    if (oc->arbiter_count == 0)
        return err_raise(ERR_INVALID_COLUMN_REFERENCE,
                         "there is no unique or exclusion constraint matching the ON CONFLICT "
                         "specification");
    return ERR_OK;
}

static SUSPENDS err_t on_conflict_wait(struct scope *s, const struct table_desc *t,
                                       const OnConflictClause *n)
{
    struct query *q = s->query;
    struct on_conflict *oc = ARENA_NEW(s->a->mem, struct on_conflict);
    oc->do_update = n->action == ONCONFLICT_UPDATE;
    if (oc->do_update && !n->infer) {
        err_t e = err_raise(ERR_SYNTAX_ERROR, "ON CONFLICT DO UPDATE requires inference "
                                              "specification or constraint name");
        err_hint("For example, ON CONFLICT (column_name).");
        return analyze_at(s->a, n->location, e);
    }
    uint32_t items = s->item_count;
    scope_add_item(s, s->rte_items[q->target_rte]);
    if (n->infer)
        TRY(infer_wait(s, t, n->infer, oc));
    if (oc->do_update) {
        struct range_entry *r = range_entry_of_table(s, t, "excluded");
        r->in_from = false;
        struct scope_item *item = scope_item_for_rte(s, r, q->rte_count, t);
        oc->excluded_rte = scope_add_rte(s, r, item);
        scope_add_item(s, item);
        TRY(update_targets_wait(s, t, n->targetList, &oc->set, &oc->set_count));
        TRY(analyze_condition_wait(s, n->whereClause, PLACE_WHERE, "WHERE", &oc->where));
    }
    s->item_count = items;
    q->on_conflict = oc;
    return ERR_OK;
}

/* ---- RETURNING ---- */

static SUSPENDS err_t returning_wait(struct scope *s, const List *list)
{
    struct query *q = s->query;
    if (!list)
        return ERR_OK;
    TRY(target_list_wait(s, list, PLACE_RETURNING, &q->returning, &q->returning_count));
    if (q->returning_count == 0)
        return err_raise(ERR_SYNTAX_ERROR, "RETURNING must have at least one column");
    return target_resolve_unknowns(s, q->returning, q->returning_count);
}

/* ---- statements ---- */

static bool is_general_select(const SelectStmt *n)
{
    return !n->valuesLists || n->sortClause || n->limitOffset || n->limitCount ||
           n->lockingClause || n->withClause;
}

SUSPENDS err_t analyze_insert_wait(struct scope *s, const InsertStmt *n)
{
    struct query *q = s->query;
    struct insert in = {.n = n};
    q->command = CMD_INSERT;
    q->overriding_system = n->override == OVERRIDING_SYSTEM_VALUE;
    q->overriding_user = n->override == OVERRIDING_USER_VALUE;
    TRY(clause_with_wait(s, n->withClause));
    TRY(target_relation_wait(s, n->relation, false, &in.table));
    TRY(check_generated(in.table));
    TRY(insert_columns(s, in.table, n->cols, &in.columns, &in.column_count));
    const SelectStmt *select = (const SelectStmt *)n->selectStmt;
    if (!select)
        in.expr_count = 0;
    else if (is_general_select(select))
        TRY(insert_select_wait(s, &in, select));
    else if (list_length(select->valuesLists) == 1)
        TRY(insert_one_row_wait(s, &in, select));
    else
        TRY(insert_rows_wait(s, &in, select));
    TRY(insert_targets_wait(s, &in));
    if (n->onConflictClause)
        TRY(on_conflict_wait(s, in.table, n->onConflictClause));
    s->item_count = 0;
    scope_add_item(s, s->rte_items[q->target_rte]);
    return returning_wait(s, n->returningList);
}

/* The target is in sight of everything but LATERAL items of FROM / USING. */
static SUSPENDS err_t modify_from_wait(struct scope *s, const List *from)
{
    struct query *q = s->query;
    struct scope_item *target = s->rte_items[q->target_rte];
    struct from_item *f = ARENA_NEW(s->a->mem, struct from_item);
    f->kind = FROM_RTE;
    f->rte = q->target_rte;
    q->from = ARENA_ARRAY(s->a->mem, struct from_item *, 1);
    q->from[0] = f;
    q->from_count = 1;
    scope_add_item(s, target);
    target->lateral_only = true;
    target->lateral_ok = false;
    TRY(clause_from_wait(s, from));
    target->lateral_only = false;
    target->lateral_ok = true;
    return ERR_OK;
}

SUSPENDS err_t analyze_update_wait(struct scope *s, const UpdateStmt *n)
{
    struct query *q = s->query;
    const struct table_desc *t;
    q->command = CMD_UPDATE;
    TRY(clause_with_wait(s, n->withClause));
    TRY(target_relation_wait(s, n->relation, true, &t));
    TRY(check_generated(t));
    TRY(modify_from_wait(s, n->fromClause));
    TRY(analyze_condition_wait(s, n->whereClause, PLACE_WHERE, "WHERE", &q->where));
    TRY(returning_wait(s, n->returningList));
    return update_targets_wait(s, t, n->targetList, &q->targets, &q->target_count);
}

SUSPENDS err_t analyze_delete_wait(struct scope *s, const DeleteStmt *n)
{
    struct query *q = s->query;
    const struct table_desc *t;
    q->command = CMD_DELETE;
    TRY(clause_with_wait(s, n->withClause));
    TRY(target_relation_wait(s, n->relation, true, &t));
    TRY(modify_from_wait(s, n->usingClause));
    TRY(analyze_condition_wait(s, n->whereClause, PLACE_WHERE, "WHERE", &q->where));
    return returning_wait(s, n->returningList);
}
