/*
 * The FROM clause: tables, views, CTE references, subqueries, functions and joins become range
 * table entries, namespace entries and the FROM tree.
 *
 * Each item yields the namespace entries it makes visible and one entry that covers all its columns
 * (what a join above it sees).
 */
#include "sql/analyze/analyze_priv.h"

struct from_result {
    struct from_item *tree;
    struct scope_item **items; /* namespace it adds */
    uint32_t item_count;
    struct scope_item *all; /* every column of it */
};

static SUSPENDS err_t from_item_wait(struct scope *s, const Node *n, struct from_result *out);

static void from_single(struct scope *s, struct range_entry *rte, const struct table_desc *t,
                        struct from_result *out)
{
    struct arena *mem = s->a->mem;
    uint32_t index = s->query->rte_count;
    struct scope_item *item = scope_item_for_rte(s, rte, index, t);
    scope_add_rte(s, rte, item);
    out->tree = ARENA_NEW(mem, struct from_item);
    out->tree->kind = FROM_RTE;
    out->tree->rte = index;
    out->items = ARENA_ARRAY(mem, struct scope_item *, 1);
    out->items[0] = item;
    out->item_count = 1;
    out->all = item;
}

/* Column aliases replace names of live columns from the left. */
static err_t from_alias_columns(struct scope *s, const Alias *alias, struct range_entry *rte,
                                bool is_join)
{
    if (!alias)
        return ERR_OK;
    int given = list_length(alias->colnames);
    int next = 0;
    rte->alias_column_count = (uint32_t)given;
    for (uint32_t i = 0; i < rte->column_count && next < given; i++) {
        if (rte->column_names[i])
            rte->column_names[i] = arena_strdup(s->a->mem, list_string(alias->colnames, next++));
    }
    if (next < given)
        return err_raise(ERR_INVALID_COLUMN_REFERENCE,
                         is_join ? "join expression \"%s\" has %d columns available but %d columns "
                                   "specified"
                                 : "table \"%s\" has %d columns available but %d columns "
                                   "specified",
                         alias->aliasname, next, given);
    return ERR_OK;
}

/* ---- tables and views ---- */

/* A sequence is read as a row of one: what it has in its state. */
static const char *sequence_sql(struct arena *mem, const struct table_desc *t)
{
    return arena_printf(mem,
                        "SELECT pg_catalog.percore_sequence_value(%u::regclass) AS last_value,"
                        " 0::bigint AS log_cnt,"
                        " pg_catalog.pg_sequence_last_value(%u::regclass) IS NOT NULL AS is_called",
                        t->oid, t->oid);
}

static SUSPENDS err_t view_query_wait(struct analysis *a, const struct table_desc *t,
                                      const char *sql, struct query **out)
{
    enum { VIEW_DEPTH_MAX = 64 };
    if (a->view_depth >= VIEW_DEPTH_MAX)
        return err_raise(ERR_INVALID_OBJECT_DEFINITION,
                         "infinite recursion detected in rules for relation \"%s\"", t->name);
    struct parsed *p;
    TRY(parse_text(sql, a->mem, &p));
    const char *saved = a->text;
    a->text = NULL;
    a->view_depth++;
    struct catalog_session *cs = a->catalog; /* names in views are qualified */
    uint32_t saved_count = cs->search_path_count;
    oid saved_temp = cs->temp_schema;
    cs->search_path_count = 0;
    cs->temp_schema = 0;
    err_t e = p->count == 1
                  ? analyze_query_wait(a, p->statements[0].node, out)
                  : err_raise(ERR_DATA_CORRUPTED, "bad definition of view \"%s\"", t->name);
    cs->search_path_count = saved_count;
    cs->temp_schema = saved_temp;
    a->view_depth--;
    a->text = saved;
    parse_free(p);
    return e;
}

err_t analyze_view_wait(const struct analyze_options *o, const struct table_desc *t,
                        struct arena *mem, struct query **out)
{
    struct analysis a;
    analysis_begin(&a, o, mem);
    err_t e = view_query_wait(&a, t, t->view_sql, out);
    analysis_end(&a);
    return e;
}

static void range_entry_from_query(struct range_entry *r, const struct query *q)
{
    uint32_t k = 0;
    const struct target *targets = q->command == CMD_SELECT ? q->targets : q->returning;
    uint32_t count = q->command == CMD_SELECT ? q->target_count : q->returning_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct target *t = &targets[i];
        if (t->junk)
            continue;
        r->column_names[k] = t->name;
        r->column_types[k] = t->expr->type;
        r->column_typmods[k] = t->expr->typmod;
        r->column_collations[k] = type_collation(t->expr->type) ? t->expr->collation : OID_NONE;
        k++;
    }
    r->column_count = k;
}

static uint32_t query_column_count(const struct query *q)
{
    return q->command == CMD_SELECT ? q->target_count : q->returning_count;
}

/* In stored texts every relation has an alias. */
static bool from_alias_written(const RangeVar *rv)
{
    if (!rv->alias)
        return false;
    size_t len = strlen(rv->relname);
    return !(rv->schemaname && strcmp(rv->schemaname, STORED_SCHEMA) == 0 && len > 0 &&
             rv->relname[len - 1] == '*');
}

static SUSPENDS err_t from_view_wait(struct scope *s, const RangeVar *rv,
                                     const struct table_desc *t, struct from_result *out)
{
    struct query *q;
    TRY(view_query_wait(s->a, t, t->kind == 'S' ? sequence_sql(s->a->mem, t) : t->view_sql, &q));
    struct range_entry *r = range_entry_new(s, RTE_SUBQUERY, query_column_count(q));
    range_entry_from_query(r, q);
    r->alias = arena_strdup(s->a->mem, rv->alias ? rv->alias->aliasname : t->name);
    r->alias_given = from_alias_written(rv);
    r->subquery = q;
    r->table = t->oid;
    r->table_kind = 'v';
    for (uint32_t i = 0; i < r->column_count && i < t->column_count; i++)
        r->column_names[i] = arena_strdup(s->a->mem, t->columns[i].name);
    TRY(from_alias_columns(s, rv->alias, r, false));
    from_single(s, r, t, out);
    return ERR_OK;
}

static err_t from_cte(struct scope *s, const RangeVar *rv, struct scope_cte *cte,
                      uint32_t levels_up, struct from_result *out)
{
    if (cte->in_progress && !cte->is_union)
        return analyze_at(s->a, cte->location,
                          err_raise(ERR_INVALID_RECURSION,
                                    "recursive query \"%s\" does not have the form "
                                    "non-recursive-term UNION [ALL] recursive-term",
                                    cte->name));
    if (cte->in_progress && !cte->has_columns)
        return analyze_at(s->a, rv->location,
                          err_raise(ERR_INVALID_RECURSION,
                                    "recursive reference to query \"%s\" must not appear within "
                                    "its non-recursive term",
                                    cte->name));
    if (cte->in_progress && s->no_recursion)
        return analyze_at(s->a, rv->location,
                          err_raise(ERR_INVALID_RECURSION,
                                    "recursive reference to query \"%s\" must not appear within %s",
                                    cte->name, s->no_recursion));
    if (cte->in_progress && cte->self_count++ > 0)
        return analyze_at(s->a, rv->location,
                          err_raise(ERR_INVALID_RECURSION,
                                    "recursive reference to query \"%s\" must not appear more "
                                    "than once",
                                    cte->name));
    s->has_self_reference |= cte->in_progress;
    struct scope *level = s;
    for (uint32_t i = 0; i < levels_up; i++)
        level = level->parent;
    const struct query *modifies = level->query->ctes[cte->index].query;
    if (modifies && modifies->command != CMD_SELECT && modifies->returning_count == 0)
        return analyze_at(s->a, rv->location,
                          err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                    "WITH query \"%s\" does not have a RETURNING clause",
                                    cte->name));
    struct range_entry *r = range_entry_new(s, RTE_CTE, cte->column_count);
    for (uint32_t i = 0; i < cte->column_count; i++) {
        r->column_names[i] = cte->column_names[i];
        r->column_types[i] = cte->column_types[i];
        r->column_typmods[i] = cte->column_typmods[i];
        r->column_collations[i] = cte->column_collations[i];
    }
    r->alias = arena_strdup(s->a->mem, rv->alias ? rv->alias->aliasname : cte->name);
    r->alias_given = rv->alias != NULL;
    r->cte_index = cte->index;
    r->cte_levels_up = levels_up;
    r->cte_self = cte->in_progress;
    if (!cte->in_progress)
        level->query->ctes[cte->index].reference_count++;
    else
        level->query->ctes[cte->index].recursive = true;
    TRY(from_alias_columns(s, rv->alias, r, false));
    from_single(s, r, NULL, out);
    return ERR_OK;
}

/* The WITH clause in which an item of this name comes only later, or NULL. */
static const WithClause *with_of_later_item(const struct scope *s, const char *name)
{
    for (; s; s = s->parent) {
        if (!s->with)
            continue;
        for (int i = (int)s->cte_count; i < list_length(s->with->ctes); i++) {
            const CommonTableExpr *n = list_nth(s->with->ctes, i);
            if (strcmp(n->ctename, name) == 0)
                return s->with;
        }
    }
    return NULL;
}

/* The relation of a stored text. */
static SUSPENDS err_t from_stored_wait(struct scope *s, const RangeVar *rv,
                                       const struct table_desc **out)
{
    char *end;
    unsigned long number = strtoul(rv->relname, &end, 10);
    TRY(analysis_table_by_oid_wait(s->a, (oid)number, out));
    if (!*out)
        return err_raise(ERR_DATA_CORRUPTED, "a view reads relation %lu, which does not exist",
                         number);
    return ERR_OK;
}

static SUSPENDS err_t from_range_var_wait(struct scope *s, const RangeVar *rv,
                                          struct from_result *out)
{
    if (!rv->schemaname) {
        uint32_t levels_up;
        struct scope_cte *cte = scope_find_cte(s, rv->relname, &levels_up);
        if (cte)
            return from_cte(s, rv, cte, levels_up, out);
    }
    const WithClause *later = rv->schemaname ? NULL : with_of_later_item(s, rv->relname);
    if (later && later->recursive)
        return analyze_at(s->a, rv->location,
                          err_not_built("references to later items of WITH RECURSIVE are not "
                                        "supported yet"));
    const struct table_desc *t;
    bool by_oid =
        s->a->view_depth > 0 && rv->schemaname && strcmp(rv->schemaname, STORED_SCHEMA) == 0;
    err_t e = by_oid ? from_stored_wait(s, rv, &t) : analysis_table_wait(s->a, rv, &t);
    if (e == ERR_UNDEFINED_TABLE && later) {
        err_detail("There is a WITH item named \"%s\", but it cannot be referenced from this "
                   "part of the query.",
                   rv->relname);
        err_hint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references.");
    }
    TRY(e);
    if (t->kind == 'i' || t->kind == 'c') {
        e = err_raise(ERR_WRONG_OBJECT_TYPE, "cannot open relation \"%s\"", t->name);
        err_detail("This operation is not supported for %s.",
                   t->kind == 'i' ? "indexes" : "composite types");
        return analyze_at(s->a, rv->location, e);
    }
    if ((t->kind == 'v' && t->view_sql && !t->virtual_name) || t->kind == 'S')
        return from_view_wait(s, rv, t, out);
    struct range_entry *r = range_entry_of_table(s, t, rv->alias ? rv->alias->aliasname : NULL);
    r->alias_given = from_alias_written(rv);
    TRY(from_alias_columns(s, rv->alias, r, false));
    from_single(s, r, t, out);
    return ERR_OK;
}

/* ---- subqueries ---- */

static SUSPENDS err_t from_subselect_wait(struct scope *s, const RangeSubselect *n,
                                          struct from_result *out)
{
    struct query *q;
    enum place saved = s->place;
    s->place = PLACE_FROM_SUBSELECT;
    err_t e = analyze_subquery_wait(s, n->subquery, false, NULL, n->lateral, &q);
    s->place = saved;
    TRY(e);
    struct range_entry *r = range_entry_new(s, RTE_SUBQUERY, query_column_count(q));
    range_entry_from_query(r, q);
    r->alias = arena_strdup(s->a->mem, n->alias ? n->alias->aliasname : "unnamed_subquery");
    r->alias_given = true;
    r->subquery = q;
    r->lateral = n->lateral;
    TRY(from_alias_columns(s, n->alias, r, false));
    from_single(s, r, NULL, out);
    return ERR_OK;
}

/* ---- functions ---- */

struct function_columns {
    uint32_t count;
    const char **names;
    oid *types;
    int32_t *typmods;
};

static SUSPENDS err_t columns_from_definitions_wait(struct scope *s, const List *definitions,
                                                    struct function_columns *out)
{
    struct arena *mem = s->a->mem;
    out->count = (uint32_t)list_length(definitions);
    out->names = ARENA_ARRAY(mem, const char *, out->count + 1);
    out->types = ARENA_ARRAY(mem, oid, out->count + 1);
    out->typmods = ARENA_ARRAY(mem, int32_t, out->count + 1);
    for (uint32_t i = 0; i < out->count; i++) {
        const ColumnDef *c = list_nth(definitions, (int)i);
        out->names[i] = arena_strdup(mem, c->colname);
        TRY(analyze_type_name_wait(s->a, c->typeName, &out->types[i], &out->typmods[i]));
    }
    return ERR_OK;
}

static bool columns_from_modes(struct scope *s, const struct func *f, struct function_columns *out)
{
    if (!f->arg_modes || f->result != TYPE_RECORD)
        return false;
    struct arena *mem = s->a->mem;
    out->names = ARENA_ARRAY(mem, const char *, f->all_arg_count + 1U);
    out->types = ARENA_ARRAY(mem, oid, f->all_arg_count + 1U);
    out->typmods = ARENA_ARRAY(mem, int32_t, f->all_arg_count + 1U);
    for (uint32_t i = 0; i < f->all_arg_count; i++) {
        char mode = f->arg_modes[i];
        if (mode != 'o' && mode != 'b' && mode != 't')
            continue;
        const char *name = f->arg_names && f->arg_names[i] ? f->arg_names[i] : "";
        out->names[out->count] = name[0] ? name : arena_printf(mem, "column%u", out->count + 1);
        out->types[out->count] = f->all_args[i];
        out->typmods[out->count] = -1;
        out->count++;
    }
    return out->count > 0;
}

static SUSPENDS err_t function_columns_wait(struct scope *s, const struct expr *e,
                                            const List *definitions, const char *scalar_name,
                                            int32_t location, struct function_columns *out)
{
    struct arena *mem = s->a->mem;
    *out = (struct function_columns){0};
    if (definitions) {
        if (e->type != TYPE_RECORD)
            return analyze_at(s->a, location,
                              err_raise(ERR_SYNTAX_ERROR,
                                        "a column definition list is only allowed for functions "
                                        "returning \"record\""));
        return columns_from_definitions_wait(s, definitions, out);
    }
    if (e->kind == EXPR_CALL) {
        if (columns_from_modes(s, e->func, out))
            return ERR_OK;
        const struct set_function *set = e->func->set_function;
        if (set && set->column_names && set->column_types && e->type == TYPE_RECORD) {
            out->count = set->column_count;
            out->names = ARENA_ARRAY(mem, const char *, out->count + 1);
            out->types = ARENA_ARRAY(mem, oid, out->count + 1);
            out->typmods = ARENA_ARRAY(mem, int32_t, out->count + 1);
            for (uint32_t i = 0; i < out->count; i++) {
                out->names[i] = set->column_names[i];
                out->types[i] = set->column_types[i];
                out->typmods[i] = -1;
            }
            return ERR_OK;
        }
    }
    if (e->type == TYPE_RECORD)
        return analyze_at(s->a, location,
                          err_raise(ERR_SYNTAX_ERROR,
                                    "a column definition list is required for functions "
                                    "returning \"record\""));
    out->count = 1;
    out->names = ARENA_ARRAY(mem, const char *, 1);
    out->types = ARENA_ARRAY(mem, oid, 1);
    out->typmods = ARENA_ARRAY(mem, int32_t, 1);
    const char *name = scalar_name;
    if (e->kind == EXPR_CALL && e->func->arg_modes && e->func->arg_names) {
        for (uint32_t i = 0; i < e->func->all_arg_count; i++) {
            if (e->func->arg_modes[i] == 'o' && e->func->arg_names[i] && e->func->arg_names[i][0])
                name = e->func->arg_names[i];
        }
    }
    out->names[0] = name;
    out->types[0] = e->type;
    out->typmods[0] = e->typmod;
    return ERR_OK;
}

struct function_list {
    struct expr **exprs;
    struct function_columns *columns;
    uint32_t count;
    uint32_t capacity;
    uint32_t column_total;
};

static SUSPENDS err_t from_function_add_wait(struct scope *s, const Node *call,
                                             const List *definitions, const char *name,
                                             struct function_list *list)
{
    struct arena *mem = s->a->mem;
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct expr **exprs = ARENA_ARRAY(mem, struct expr *, capacity);
        struct function_columns *columns = ARENA_ARRAY(mem, struct function_columns, capacity);
        if (list->count) {
            memcpy(exprs, list->exprs, sizeof(*exprs) * list->count);
            memcpy(columns, list->columns, sizeof(*columns) * list->count);
        }
        list->exprs = exprs;
        list->columns = columns;
        list->capacity = capacity;
    }
    struct expr *e;
    TRY(analyze_expr_wait(s, call, PLACE_FROM_FUNCTION, &e));
    if (e->type == TYPE_UNKNOWN)
        TRY(coerce_type(s, e, TYPE_TEXT, -1, COERCE_BY_CONTEXT, false, -1, &e));
    list->exprs[list->count] = e;
    const char *own = target_figure_name(call);
    struct function_columns *c = &list->columns[list->count];
    TRY(function_columns_wait(s, e, definitions, name ? name : arena_strdup(mem, own), e->location,
                              c));
    list->count++;
    list->column_total += c->count;
    return ERR_OK;
}

/* unnest(a, b) in FROM means ROWS FROM (unnest(a), unnest(b)). */
static SUSPENDS err_t from_unnest_wait(struct scope *s, const FuncCall *call, const char *name,
                                       struct function_list *list)
{
    for (int i = 0; i < list_length(call->args); i++) {
        FuncCall one = *call;
        ListCell cell = {.ptr_value = list_nth(call->args, i)};
        List args = *call->args;
        args.length = 1;
        args.max_length = 1;
        args.elements = &cell;
        one.args = &args;
        TRY(from_function_add_wait(s, (const Node *)&one, NULL, name, list));
    }
    return ERR_OK;
}

static SUSPENDS err_t from_functions_wait(struct scope *s, const RangeFunction *n,
                                          struct function_list *list)
{
    for (int i = 0; i < list_length(n->functions); i++) {
        const List *pair = list_nth(n->functions, i);
        const Node *call = list_nth(pair, 0);
        const List *definitions = list_length(pair) > 1 ? list_nth(pair, 1) : NULL;
        if (n->coldeflist) {
            if (n->is_rowsfrom || n->ordinality)
                return err_raise(ERR_SYNTAX_ERROR,
                                 "ROWS FROM() with multiple functions cannot have a column "
                                 "definition list");
            definitions = n->coldeflist;
        }
        const char *name =
            n->alias && !n->is_rowsfrom ? arena_strdup(s->a->mem, n->alias->aliasname) : NULL;
        if (IsA(call, FuncCall)) {
            const FuncCall *f = (const FuncCall *)call;
            if (list_length(f->args) > 1 && list_length(f->funcname) == 1 && !definitions &&
                strcmp(list_string(f->funcname, 0), "unnest") == 0) {
                TRY(from_unnest_wait(s, f, name ? NULL : "unnest", list));
                continue;
            }
        }
        TRY(from_function_add_wait(s, call, definitions, name, list));
    }
    return ERR_OK;
}

static SUSPENDS err_t from_function_wait(struct scope *s, const RangeFunction *n,
                                         struct from_result *out)
{
    struct arena *mem = s->a->mem;
    struct function_list list = {0};
    bool saved = s->lateral_active;
    s->lateral_active = true;
    err_t e = from_functions_wait(s, n, &list);
    s->lateral_active = saved;
    TRY(e);
    struct range_entry *r =
        range_entry_new(s, RTE_FUNCTION, list.column_total + (n->ordinality ? 1 : 0));
    uint32_t k = 0;
    bool lateral = n->lateral;
    for (uint32_t i = 0; i < list.count; i++) {
        for (uint32_t c = 0; c < list.columns[i].count; c++, k++) {
            r->column_names[k] = list.columns[i].names[c];
            r->column_types[k] = list.columns[i].types[c];
            r->column_typmods[k] = list.columns[i].typmods[c];
            r->column_collations[k] = type_collation(r->column_types[k]);
        }
        lateral |= expr_has_columns(list.exprs[i]);
    }
    if (n->ordinality) {
        r->column_names[k] = "ordinality";
        r->column_types[k] = TYPE_INT8;
    }
    const List *first = list_nth(n->functions, 0);
    r->alias =
        arena_strdup(mem, n->alias ? n->alias->aliasname : target_figure_name(list_nth(first, 0)));
    r->alias_given = n->alias != NULL;
    r->functions = list.exprs;
    r->function_count = list.count;
    r->with_ordinality = n->ordinality;
    r->lateral = lateral;
    TRY(from_alias_columns(s, n->alias, r, false));
    from_single(s, r, NULL, out);
    return ERR_OK;
}

/* ---- joins ---- */

static enum join_type join_type_of(JoinType t)
{
    switch (t) {
    case PG_JOIN_LEFT:
        return JOIN_LEFT;
    case PG_JOIN_RIGHT:
        return JOIN_RIGHT;
    case PG_JOIN_FULL:
        return JOIN_FULL;
    default:
        return JOIN_INNER;
    }
}

static void items_set_lateral(struct scope_item **items, uint32_t count, bool only, bool ok)
{
    for (uint32_t i = 0; i < count; i++) {
        items[i]->lateral_only = only;
        items[i]->lateral_ok = ok;
    }
}

static int column_index(const struct scope_item *item, const char *name, uint32_t *found)
{
    int at = -1;
    *found = 0;
    for (uint32_t i = 0; i < item->column_count; i++) {
        if (item->columns[i].name && strcmp(item->columns[i].name, name) == 0) {
            at = (int)i;
            ++*found;
        }
    }
    return at;
}

static err_t using_column(struct scope *s, const struct scope_item *item, const char *name,
                          const char *side, uint32_t *out)
{
    uint32_t found;
    int at = column_index(item, name, &found);
    if (found == 0)
        return err_raise(ERR_UNDEFINED_COLUMN,
                         "column \"%s\" specified in USING clause does not exist in %s table", name,
                         side);
    if (found > 1)
        return err_raise(ERR_AMBIGUOUS_COLUMN,
                         "common column name \"%s\" appears more than once in %s table", name,
                         side);
    (void)s;
    *out = (uint32_t)at;
    return ERR_OK;
}

struct join_build {
    enum join_type type;
    struct from_result left;
    struct from_result right;
    uint32_t using_count;
    const char **using_names;
    bool *left_used;
    bool *right_used;
    struct range_entry *rte;
    uint32_t rte_index;
    struct scope_item *item;
    struct expr *condition;
};

static void using_of_natural(struct scope *s, struct join_build *j)
{
    const struct scope_item *l = j->left.all;
    j->using_names = ARENA_ARRAY(s->a->mem, const char *, l->column_count + 1);
    for (uint32_t i = 0; i < l->column_count; i++) {
        uint32_t found;
        if (l->columns[i].name && column_index(j->right.all, l->columns[i].name, &found) >= 0)
            j->using_names[j->using_count++] = l->columns[i].name;
    }
}

static err_t using_of_list(struct scope *s, const List *names, struct join_build *j)
{
    j->using_count = (uint32_t)list_length(names);
    j->using_names = ARENA_ARRAY(s->a->mem, const char *, j->using_count + 1);
    for (uint32_t i = 0; i < j->using_count; i++) {
        j->using_names[i] = arena_strdup(s->a->mem, list_string(names, (int)i));
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(j->using_names[k], j->using_names[i]) == 0)
                return err_raise(ERR_DUPLICATE_COLUMN,
                                 "column name \"%s\" appears more than once in USING clause",
                                 j->using_names[i]);
        }
    }
    return ERR_OK;
}

static err_t merged_column(struct scope *s, enum join_type type, struct expr *l, struct expr *r,
                           struct expr **out)
{
    struct expr *both[2] = {l, r};
    oid common;
    TRY(coerce_common_type(s, both, 2, "JOIN/USING", &common));
    int32_t typmod = coerce_common_typmod(both, 2, common);
    struct expr *lc;
    struct expr *rc;
    TRY(coerce_type(s, l, common, typmod, COERCE_BY_CONTEXT, false, -1, &lc));
    TRY(coerce_type(s, r, common, typmod, COERCE_BY_CONTEXT, false, -1, &rc));
    switch (type) {
    case JOIN_INNER:
        *out = lc->kind == EXPR_COLUMN || rc->kind != EXPR_COLUMN ? lc : rc;
        return ERR_OK;
    case JOIN_LEFT:
        *out = lc;
        return ERR_OK;
    case JOIN_RIGHT:
        *out = rc;
        return ERR_OK;
    default:
        break;
    }
    struct expr *c = expr_new(s->a->mem, EXPR_COALESCE, common, -1);
    c->args = ARENA_ARRAY(s->a->mem, struct expr *, 2);
    c->args[0] = lc;
    c->args[1] = rc;
    c->arg_count = 2;
    collation_of_args(c);
    *out = c;
    return ERR_OK;
}

static void join_add_column(struct join_build *j, const char *name, struct expr *e,
                            const struct scope_column *plain)
{
    uint32_t k = j->rte->column_count++;
    j->rte->column_names[k] = name;
    j->rte->column_types[k] = e->type;
    j->rte->column_typmods[k] = e->typmod;
    j->rte->column_collations[k] = type_collation(e->type) ? e->collation : OID_NONE;
    j->rte->join_columns[k] = e;
    j->item->columns[k] = (struct scope_column){
        .name = name,
        .rte = plain ? plain->rte : j->rte_index,
        .attno = plain ? plain->attno : (int32_t)k + 1,
        .type = e->type,
        .typmod = e->typmod,
        .collation = j->rte->column_collations[k],
    };
    j->item->column_count = k + 1;
}

static err_t join_using(struct scope *s, struct join_build *j)
{
    struct arena *mem = s->a->mem;
    struct expr **quals = ARENA_ARRAY(mem, struct expr *, j->using_count + 1);
    j->rte->using_count = j->using_count;
    j->rte->using_left = ARENA_ARRAY(mem, struct expr *, j->using_count + 1);
    j->rte->using_right = ARENA_ARRAY(mem, struct expr *, j->using_count + 1);
    for (uint32_t i = 0; i < j->using_count; i++) {
        uint32_t li;
        uint32_t ri;
        TRY(using_column(s, j->left.all, j->using_names[i], "left", &li));
        TRY(using_column(s, j->right.all, j->using_names[i], "right", &ri));
        j->left_used[li] = true;
        j->right_used[ri] = true;
        const struct scope_column *lc = &j->left.all->columns[li];
        const struct scope_column *rc = &j->right.all->columns[ri];
        struct expr *l = scope_column_expr(s, lc, 0, -1);
        struct expr *r = scope_column_expr(s, rc, 0, -1);
        j->rte->using_left[i] = l;
        j->rte->using_right[i] = r;
        struct expr *merged;
        TRY(merged_column(s, j->type, l, r, &merged));
        join_add_column(j, j->using_names[i], merged, merged == l ? lc : (merged == r ? rc : NULL));
    }
    for (uint32_t i = 0; i < j->using_count; i++) {
        struct expr *equal;
        TRY(operator_make_named(s, "=", j->rte->using_left[i], j->rte->using_right[i], -1, &equal));
        TRY(coerce_to_boolean(s, equal, "JOIN/USING", &quals[i]));
    }
    if (j->using_count == 1)
        j->condition = quals[0];
    else if (j->using_count > 1)
        j->condition = expr_bool(s, EXPR_AND, quals, j->using_count, -1);
    return ERR_OK;
}

static void join_rest(struct scope *s, struct join_build *j, const struct scope_item *side,
                      const bool *used)
{
    for (uint32_t i = 0; i < side->column_count; i++) {
        const struct scope_column *c = &side->columns[i];
        if (!used[i] && c->name)
            join_add_column(j, c->name, scope_column_expr(s, c, 0, -1), c);
    }
}

/* ON sees the columns of the join and of outer queries, nothing beside it. */
static SUSPENDS err_t join_on_wait(struct scope *s, const Node *quals, struct scope_item **items,
                                   uint32_t count, struct expr **out)
{
    struct scope_item **saved = s->items;
    uint32_t saved_count = s->item_count;
    uint32_t saved_capacity = s->item_capacity;
    s->items = items;
    s->item_count = count;
    s->item_capacity = count;
    items_set_lateral(items, count, false, true);
    err_t e = analyze_condition_wait(s, quals, PLACE_JOIN_ON, "JOIN/ON", out);
    s->items = saved;
    s->item_count = saved_count;
    s->item_capacity = saved_capacity;
    return e;
}

static void join_result(struct scope *s, const JoinExpr *n, struct join_build *j,
                        struct scope_item **items, uint32_t count, struct from_result *out)
{
    struct arena *mem = s->a->mem;
    out->tree = ARENA_NEW(mem, struct from_item);
    out->tree->kind = FROM_JOIN;
    out->tree->rte = j->rte_index;
    out->tree->join = j->type;
    out->tree->left = j->left.tree;
    out->tree->right = j->right.tree;
    out->tree->condition = j->condition;
    out->all = j->item;
    out->items = ARENA_ARRAY(mem, struct scope_item *, count + 2);
    out->item_count = 0;
    if (!n->alias) {
        for (uint32_t i = 0; i < count; i++) {
            items[i]->columns_visible = false;
            if (items[i]->relation_visible)
                out->items[out->item_count++] = items[i];
        }
        if (n->join_using_alias) {
            struct scope_item *u = arena_memdup(mem, j->item, sizeof(*u));
            u->name = arena_strdup(mem, n->join_using_alias->aliasname);
            j->rte->using_alias = u->name;
            u->column_count = j->using_count;
            u->relation_visible = true;
            u->columns_visible = false;
            out->items[out->item_count++] = u;
        }
    }
    j->item->relation_visible = n->alias != NULL;
    j->item->columns_visible = true;
    j->item->lateral_ok = true;
    out->items[out->item_count++] = j->item;
}

static SUSPENDS err_t join_sides_wait(struct scope *s, const JoinExpr *n, struct join_build *j)
{
    uint32_t before = s->item_count;
    const char *outside = s->no_recursion;
    if (j->type == JOIN_RIGHT || j->type == JOIN_FULL)
        s->no_recursion = "an outer join";
    err_t e = from_item_wait(s, n->larg, &j->left);
    s->no_recursion = outside;
    TRY(e);
    bool ok = j->type == JOIN_INNER || j->type == JOIN_LEFT;
    items_set_lateral(j->left.items, j->left.item_count, true, ok);
    for (uint32_t i = 0; i < j->left.item_count; i++)
        scope_add_item(s, j->left.items[i]);
    if (j->type == JOIN_LEFT || j->type == JOIN_FULL)
        s->no_recursion = "an outer join";
    e = from_item_wait(s, n->rarg, &j->right);
    s->no_recursion = outside;
    s->item_count = before;
    TRY(e);
    return scope_check_conflicts(s, j->left.items, j->left.item_count, j->right.items,
                                 j->right.item_count);
}

static SUSPENDS err_t from_join_wait(struct scope *s, const JoinExpr *n, struct from_result *out)
{
    struct arena *mem = s->a->mem;
    struct join_build *j = ARENA_NEW(mem, struct join_build);
    j->type = join_type_of(n->jointype);
    TRY(join_sides_wait(s, n, j));
    uint32_t count = j->left.item_count + j->right.item_count;
    struct scope_item **items = ARENA_ARRAY(mem, struct scope_item *, count + 1);
    memcpy(items, j->left.items, sizeof(*items) * j->left.item_count);
    memcpy(items + j->left.item_count, j->right.items, sizeof(*items) * j->right.item_count);

    uint32_t columns = j->left.all->column_count + j->right.all->column_count;
    j->rte = range_entry_new(s, RTE_JOIN, columns);
    j->rte->column_count = 0;
    j->rte->join_type = (int)j->type;
    j->rte->join_columns = ARENA_ARRAY(mem, struct expr *, columns + 1);
    j->item = ARENA_NEW(mem, struct scope_item);
    j->item->columns = ARENA_ARRAY(mem, struct scope_column, columns + 1);
    j->left_used = ARENA_ARRAY(mem, bool, j->left.all->column_count + 1);
    j->right_used = ARENA_ARRAY(mem, bool, j->right.all->column_count + 1);
    j->rte_index = scope_add_rte(s, j->rte, j->item);
    j->item->rte = j->rte_index;

    if (n->isNatural)
        using_of_natural(s, j);
    else if (n->usingClause)
        TRY(using_of_list(s, n->usingClause, j));
    if (j->using_count) {
        items_set_lateral(items, count, false, true);
        TRY(join_using(s, j));
    } else if (n->quals) {
        TRY(join_on_wait(s, n->quals, items, count, &j->condition));
    }
    join_rest(s, j, j->left.all, j->left_used);
    join_rest(s, j, j->right.all, j->right_used);
    if (n->alias) {
        j->rte->alias = arena_strdup(mem, n->alias->aliasname);
        j->rte->alias_given = true;
        j->item->name = j->rte->alias;
        TRY(from_alias_columns(s, n->alias, j->rte, true));
        for (uint32_t i = 0; i < j->rte->column_count; i++) {
            j->item->columns[i].name = j->rte->column_names[i];
            j->item->columns[i].rte = j->rte_index; /* only the join has a name now */
            j->item->columns[i].attno = (int32_t)i + 1;
        }
    }
    join_result(s, n, j, items, count, out);
    return ERR_OK;
}

/* ---- the clause ---- */

static SUSPENDS err_t from_item_wait(struct scope *s, const Node *n, struct from_result *out)
{
    TRY(fiber_check_stack());
    *out = (struct from_result){0};
    switch (nodeTag(n)) {
    case T_RangeVar:
        return from_range_var_wait(s, (const RangeVar *)n, out);
    case T_RangeSubselect:
        return from_subselect_wait(s, (const RangeSubselect *)n, out);
    case T_RangeFunction:
        return from_function_wait(s, (const RangeFunction *)n, out);
    case T_JoinExpr:
        return from_join_wait(s, (const JoinExpr *)n, out);
    case T_RangeTableSample:
        return analyze_at(s->a, ((const RangeTableSample *)n)->location,
                          err_not_built("TABLESAMPLE is not supported yet"));
    case T_RangeTableFunc:
        return analyze_at(s->a, ((const RangeTableFunc *)n)->location,
                          err_not_built("XMLTABLE is not supported yet"));
    default:
        return err_raise(ERR_INTERNAL_ERROR, "unrecognized FROM item %d", (int)nodeTag(n));
    }
}

SUSPENDS err_t clause_from_wait(struct scope *s, const List *from)
{
    struct query *q = s->query;
    uint32_t first = s->item_count;
    uint32_t count = (uint32_t)list_length(from);
    struct from_item **trees =
        ARENA_ARRAY(s->a->mem, struct from_item *, q->from_count + count + 1);
    if (q->from_count)
        memcpy(trees, q->from, sizeof(*trees) * q->from_count);
    q->from = trees;
    for (uint32_t i = 0; i < count; i++) {
        struct from_result r;
        TRY(from_item_wait(s, list_nth(from, (int)i), &r));
        TRY(scope_check_conflicts(s, s->items, s->item_count, r.items, r.item_count));
        items_set_lateral(r.items, r.item_count, true, true);
        for (uint32_t k = 0; k < r.item_count; k++)
            scope_add_item(s, r.items[k]);
        q->from[q->from_count++] = r.tree;
    }
    if (s->item_count > first)
        items_set_lateral(s->items + first, s->item_count - first, false, true);
    return ERR_OK;
}
