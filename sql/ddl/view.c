/*
 * CREATE VIEW. The rule keeps the SELECT as the analysed query is printed, with relations by oid,
 * so that later changes of names and search paths do not matter. Columns have their names in it, in
 * lists of aliases by place; so where a table that it reads gets or loses a column, or one gets
 * another name, the text is written anew.
 */
#include "sql/ddl/ddl_priv.h"

#include "sql/catalog/define.h"
#include "sql/parse/parse.h"

static SUSPENDS err_t analyze_wait(struct ddl_context *x, const struct ddl *d, struct query **out)
{
    const char *text = d->text;
    struct analyze_options o = ddl_analyze_options(x);
    struct parsed *p;
    struct statement *s = NULL;
    o.text = text;
    o.text_place = d->text_place;
    o.params_fixed = true;
    TRY(parse_text(text, x->mem, &p));
    err_t e = ERR_OK;
    if (p->count != 1)
        e = err_not_built("this form of CREATE VIEW is not supported");
    else
        e = analyze_statement_wait(&o, &p->statements[0], x->mem, &s);
    parse_free(p);
    TRY(e);
    if (s->query && s->query->has_modifying_cte)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "views must not contain data-modifying statements in WITH");
    if (!s->query || s->command != CMD_SELECT)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "views must not contain data-modifying statements");
    *out = s->query;
    return ERR_OK;
}

static err_t view_columns(struct ddl_context *x, const struct ddl *d, const struct query *q,
                          struct table_request *r)
{
    r->columns = ARENA_ARRAY(x->mem, struct ddl_column, q->target_count + 1);
    for (uint32_t i = 0; i < q->target_count; i++) {
        const struct target *t = &q->targets[i];
        if (t->junk)
            continue;
        struct ddl_column *c = &r->columns[r->column_count];
        c->name =
            r->column_count < d->column_name_count ? d->column_names[r->column_count] : t->name;
        c->type = t->expr->type == TYPE_UNKNOWN ? TYPE_TEXT : t->expr->type;
        c->typmod = t->expr->typmod;
        c->collation = t->expr->collation;
        if (!type_find(c->type))
            return err_not_built("views with columns of composite types are not supported");
        r->column_count++;
    }
    if (d->column_name_count > r->column_count)
        return err_raise(ERR_SYNTAX_ERROR, "CREATE VIEW specifies more column names than columns");
    for (uint32_t i = 0; i < r->column_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(r->columns[i].name, r->columns[k].name) == 0)
                return err_raise(ERR_DUPLICATE_COLUMN, "column \"%s\" specified more than once",
                                 r->columns[i].name);
    return ERR_OK;
}

/* What the query reads: tables, views and the columns used, in subqueries too. */
struct reads {
    struct catalog_writer *w;
    struct arena *mem;
    oid rule;
    const struct query *stack[64]; /* the queries around the present place */
    uint32_t depth;
    struct drop_object *seen;
    uint32_t count;
    uint32_t room;
    bool join_alias;   /* a join with an alias is there: its columns are counted through */
    const char *added; /* a column that its tables are to get, or NULL */
    bool using_taken;  /* a join finds its USING column in another join by the name `added` */
};

static err_t reads_query(struct reads *r, const struct query *q);

static err_t reads_object(struct reads *r, oid table, int32_t column)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->seen[i].object == table && r->seen[i].sub == column)
            return ERR_OK;
    if (r->count == r->room) {
        uint32_t room = r->room ? r->room * 2 : 16;
        struct drop_object *seen = ARENA_ARRAY(r->mem, struct drop_object, room);
        if (r->count)
            memcpy(seen, r->seen, sizeof(*seen) * r->count);
        r->seen = seen;
        r->room = room;
    }
    r->seen[r->count++] = (struct drop_object){REL_CLASS, table, column};
    return ERR_OK;
}

/* A table of which columns are named is not named as a whole too. */
static err_t reads_write(struct reads *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        bool by_column = false;
        for (uint32_t k = 0; k < r->count && r->seen[i].sub == 0; k++)
            by_column = by_column || (r->seen[k].object == r->seen[i].object && r->seen[k].sub);
        if (!by_column)
            TRY(rows_depend(r->w, r->mem, REL_REWRITE, r->rule, 0, REL_CLASS, r->seen[i].object,
                            r->seen[i].sub, 'n'));
    }
    return ERR_OK;
}

static err_t reads_expr(struct expr *e, void *ctx, bool *descend)
{
    struct reads *r = ctx;
    *descend = true;
    if (e->kind == EXPR_SUBQUERY)
        return reads_query(r, e->subquery.query);
    if (e->kind != EXPR_COLUMN || e->column.levels_up >= r->depth)
        return ERR_OK;
    const struct query *q = r->stack[r->depth - 1 - e->column.levels_up];
    if (e->column.rte >= q->rte_count)
        return ERR_OK;
    const struct range_entry *entry = q->rtes[e->column.rte];
    if (entry->kind == RTE_JOIN && e->column.attno > 0) { /* what the join's column is made of */
        uint32_t depth = r->depth;
        r->depth -= e->column.levels_up;
        err_t error = expr_walk(entry->join_columns[e->column.attno - 1], reads_expr, r);
        r->depth = depth;
        return error;
    }
    return entry->table ? reads_object(r, entry->table, MAX(e->column.attno, 0)) : ERR_OK;
}

static err_t reads_exprs(struct reads *r, struct expr *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (list && list[i])
            TRY(expr_walk(list[i], reads_expr, r));
    return ERR_OK;
}

static void reads_using(struct reads *r, const struct from_item *f)
{
    if (!r->added || f->rte == UINT32_MAX ||
        (f->left->kind != FROM_JOIN && f->right->kind != FROM_JOIN))
        return;
    const struct range_entry *e = r->stack[r->depth - 1]->rtes[f->rte];
    for (uint32_t i = 0; i < e->using_count; i++)
        r->using_taken = r->using_taken || strcmp(e->column_names[i], r->added) == 0;
}

static err_t reads_from(struct reads *r, const struct from_item *f)
{
    TRY(fiber_check_stack());
    if (!f || f->kind != FROM_JOIN)
        return ERR_OK;
    reads_using(r, f);
    TRY(reads_from(r, f->left));
    TRY(reads_from(r, f->right));
    return reads_exprs(r, &f->condition, 1);
}

static err_t reads_entry(struct reads *r, const struct range_entry *e)
{
    r->join_alias = r->join_alias || (e->kind == RTE_JOIN && e->alias_given);
    if (e->table) {
        TRY(reads_object(r, e->table, 0));
        return ERR_OK; /* a view's own query is that view's business */
    }
    if (e->subquery)
        TRY(reads_query(r, e->subquery));
    TRY(reads_exprs(r, e->functions, e->function_count));
    for (uint32_t i = 0; i < e->value_row_count; i++)
        TRY(reads_exprs(r, e->values[i], e->column_count));
    return ERR_OK;
}

static err_t reads_clauses(struct reads *r, const struct query *q)
{
    for (uint32_t i = 0; i < q->rte_count; i++)
        TRY(reads_entry(r, q->rtes[i]));
    for (uint32_t i = 0; i < q->from_count; i++)
        TRY(reads_from(r, q->from[i]));
    for (uint32_t i = 0; i < q->cte_count; i++)
        TRY(reads_query(r, q->ctes[i].query));
    for (uint32_t i = 0; i < q->target_count; i++)
        TRY(reads_exprs(r, &q->targets[i].expr, 1));
    TRY(reads_exprs(r, q->group_exprs, q->group_count));
    struct expr *others[] = {q->where, q->having, q->limit, q->offset};
    return reads_exprs(r, others, ARRAY_LEN(others));
}

static err_t reads_query(struct reads *r, const struct query *q)
{
    TRY(fiber_check_stack());
    if (!q)
        return ERR_OK;
    if (r->depth == ARRAY_LEN(r->stack))
        return err_raise(ERR_STATEMENT_TOO_COMPLEX, "view is nested too deeply");
    r->stack[r->depth++] = q;
    err_t e = reads_clauses(r, q);
    r->depth--;
    return e;
}

static SUSPENDS err_t stored_text_wait(struct ddl_context *x, struct query *q,
                                       const char *const *names, uint32_t count, const char **out)
{
    const struct query_text_options o = {
        .catalog = x->catalog, .stored = true, .names = names, .name_count = count};
    struct strbuf b;
    strbuf_init(&b, x->mem);
    TRY(query_text_wait(&o, q, x->mem, &b));
    *out = b.data;
    return ERR_OK;
}

static const char **column_names(struct arena *mem, const struct table_desc *t)
{
    const char **names = ARENA_ARRAY(mem, const char *, t->column_count + 1);
    for (uint32_t i = 0; i < t->column_count; i++)
        names[i] = t->columns[i].name;
    return names;
}

err_t ddl_view_show(struct catalog_session *cs, const struct table_desc *t, bool pretty,
                    struct arena *mem, const char **out)
{
    const struct analyze_options a = {.catalog = cs, .env = cs->env};
    const struct query_text_options o = {.catalog = cs,
                                         .env = cs->env,
                                         .pretty = pretty,
                                         .names = column_names(mem, t),
                                         .name_count = t->column_count};
    struct query *q;
    struct strbuf b;
    strbuf_init(&b, mem);
    TRY(analyze_view_wait(&a, t, mem, &q));
    TRY(query_text_wait(&o, q, mem, &b));
    strbuf_putc(&b, ';');
    *out = b.data;
    return ERR_OK;
}

/* ---- columns of what views read get new names, come and go ---- */

struct ddl_view_change {
    struct query *query;
    const char **names;
    uint32_t name_count;
    oid view;
    struct ddl_view_change *next;
};

static SUSPENDS err_t change_note_wait(struct ddl_context *x, oid rule,
                                       struct ddl_view_change **list)
{
    struct catalog_row row;
    const struct table_desc *t;
    const struct analyze_options a = ddl_analyze_options(x);
    TRY(rows_get_wait(x, REL_REWRITE, INDEX_REWRITE_OID, 1, rule, 0, &row));
    oid view = catalog_oid_value(&row, COL_EV_CLASS);
    for (const struct ddl_view_change *r = *list; r; r = r->next)
        if (r->view == view)
            return ERR_OK;
    TRY(table_by_oid_wait(x->catalog, view, &t));
    struct ddl_view_change *r = ARENA_NEW(x->mem, struct ddl_view_change);
    r->view = view;
    r->name_count = t ? t->column_count : 0;
    r->names = ARENA_ARRAY(x->mem, const char *, r->name_count + 1);
    for (uint32_t i = 0; i < r->name_count; i++)
        r->names[i] = arena_strdup(x->mem, t->columns[i].name);
    r->next = *list;
    *list = r;
    err_t e = t ? analyze_view_wait(&a, t, x->mem, &r->query)
                : err_raise(ERR_DATA_CORRUPTED, "view %u does not exist", view);
    table_release(t);
    return e;
}

err_t ddl_views_before_change_wait(struct ddl_context *x, oid table, struct ddl_view_change **out)
{
    struct catalog_rows rows;
    *out = NULL;
    TRY(catalog_find_wait(x->catalog, REL_DEPEND, INDEX_DEPEND_REFERENCE, 2, REL_CLASS, table,
                          x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        if (catalog_oid_value(&rows.rows[i], COL_CLASSID) == REL_REWRITE &&
            catalog_char_value(&rows.rows[i], COL_DEPTYPE) == 'n')
            TRY(change_note_wait(x, catalog_oid_value(&rows.rows[i], COL_OBJID), out));
    return ERR_OK;
}

static err_t join_alias_refuse(const char *what)
{
    return err_not_built("%s a column of a table that a view reads in a join with an alias is not "
                         "supported",
                         what);
}

err_t ddl_views_after_change_wait(struct ddl_context *x, struct ddl_view_change *list,
                                  bool is_dropped)
{
    for (struct ddl_view_change *r = list; r; r = r->next) {
        const char *text;
        const struct table_desc *view;
        TRY(table_by_oid_wait(x->catalog, r->view, &view));
        if (!view) /* by CASCADE */
            continue;
        table_release(view);
        if (is_dropped) {
            struct reads *found = ARENA_NEW(x->mem, struct reads);
            found->mem = x->mem;
            TRY(reads_query(found, r->query));
            if (found->join_alias)
                return join_alias_refuse("dropping");
        }
        TRY(stored_text_wait(x, r->query, r->names, r->name_count, &text));
        TRY(rows_set_wait(x, REL_REWRITE, INDEX_REWRITE_REL_RULENAME, 1, r->view, 0, COL_EV_ACTION,
                          datum_of_text(x->mem, text), false));
    }
    return ERR_OK;
}

err_t ddl_views_before_add_wait(struct ddl_context *x, oid table, const char *name,
                                struct ddl_view_change **out)
{
    TRY(ddl_views_before_change_wait(x, table, out));
    for (const struct ddl_view_change *list = *out; list; list = list->next) {
        struct reads *r = ARENA_NEW(x->mem, struct reads);
        r->mem = x->mem;
        r->added = name;
        TRY(reads_query(r, list->query));
        if (r->join_alias)
            return join_alias_refuse("adding");
        if (r->using_taken)
            return err_not_built("adding column \"%s\" to a table that a view reads in a join by a "
                                 "column of that name is not supported",
                                 name);
    }
    return ERR_OK;
}

/* ---- the rule ---- */

/* rule 0: a new one. */
static SUSPENDS err_t write_rule_wait(struct ddl_context *x, oid view, oid rule,
                                      const struct table_request *request, struct query *q)
{
    const char *text;
    const char **names = ARENA_ARRAY(x->mem, const char *, request->column_count + 1);
    for (uint32_t i = 0; i < request->column_count; i++)
        names[i] = request->columns[i].name;
    TRY(stored_text_wait(x, q, names, request->column_count, &text));
    if (!rule)
        TRY(catalog_new_oid_wait(x->catalog, &rule));
    datum *v = ARENA_ARRAY(x->mem, datum, COLS_REWRITE);
    bool *n = ARENA_ARRAY(x->mem, bool, COLS_REWRITE);
    v[COL_OID - 1] = rule;
    v[COL_RULENAME - 1] = datum_of_text(x->mem, "_RETURN");
    v[COL_EV_CLASS - 1] = view;
    v[COL_EV_TYPE - 1] = (datum)'1';
    v[COL_EV_ENABLED - 1] = (datum)'O';
    v[COL_IS_INSTEAD - 1] = datum_of_bool(true);
    v[COL_EV_QUAL - 1] = datum_of_text(x->mem, "<>");
    v[COL_EV_ACTION - 1] = datum_of_text(x->mem, text);
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    struct reads *r = ARENA_NEW(x->mem, struct reads);
    r->w = w;
    r->mem = x->mem;
    r->rule = rule;
    TRY(catalog_put(w, REL_REWRITE, v, n));
    TRY(rows_depend(w, x->mem, REL_REWRITE, rule, 0, REL_CLASS, view, 0, 'i'));
    TRY(reads_query(r, q));
    TRY(reads_write(r));
    return catalog_apply_wait(w);
}

static err_t replace_check(const struct table_desc *t, const struct table_request *r,
                           struct arena *mem)
{
    if (r->column_count < t->column_count)
        return err_raise(ERR_INVALID_TABLE_DEFINITION, "cannot drop columns from view");
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column_desc *c = &t->columns[i];
        if (strcmp(c->name, r->columns[i].name) != 0) {
            err_t e = err_raise(ERR_INVALID_TABLE_DEFINITION,
                                "cannot change name of view column \"%s\" to \"%s\"", c->name,
                                r->columns[i].name);
            err_hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.");
            return e;
        }
        if (c->type != r->columns[i].type || c->typmod != r->columns[i].typmod)
            return err_raise(ERR_INVALID_TABLE_DEFINITION,
                             "cannot change data type of view column \"%s\" from %s to %s", c->name,
                             type_format(mem, c->type, c->typmod),
                             type_format(mem, r->columns[i].type, r->columns[i].typmod));
    }
    return ERR_OK;
}

static SUSPENDS err_t replace_wait(struct ddl_context *x, const struct table_desc *t,
                                   const struct table_request *r, struct query *q)
{
    struct catalog_rows rules;
    struct catalog_rows deps;
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(ddl_check_owner_wait(x, t));
    TRY(replace_check(t, r, x->mem));
    TRY(catalog_find_wait(x->catalog, REL_REWRITE, INDEX_REWRITE_REL_RULENAME, 1, t->oid, 0, x->mem,
                          &rules));
    oid rule = 0;
    for (uint32_t i = 0; i < rules.count; i++) {
        rule = catalog_oid_value(&rules.rows[i], COL_OID);
        TRY(catalog_remove(w, REL_REWRITE, &rules.rows[i]));
        TRY(catalog_find_wait(x->catalog, REL_DEPEND, INDEX_DEPEND_DEPENDER, 2, REL_REWRITE,
                              catalog_oid_value(&rules.rows[i], COL_OID), x->mem, &deps));
        for (uint32_t k = 0; k < deps.count; k++)
            TRY(catalog_remove(w, REL_DEPEND, &deps.rows[k]));
    }
    for (uint32_t i = t->column_count; i < r->column_count; i++) {
        struct attribute_row a = {.relation = t->oid,
                                  .name = r->columns[i].name,
                                  .type = r->columns[i].type,
                                  .typmod = r->columns[i].typmod,
                                  .collation = r->columns[i].collation,
                                  .number = (int16_t)(i + 1)};
        TRY(rows_attribute(w, x->mem, &a));
    }
    TRY(catalog_apply_wait(w));
    TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, t->oid, 0, COL_RELNATTS,
                      datum_of_i16((int16_t)r->column_count), false));
    return write_rule_wait(x, t->oid, rule, r, q);
}

/* With locks on what it reads: a column that is renamed from now on finds the view. What a name
 * means may have changed while a lock was waited for. */
static SUSPENDS err_t analyze_locked_wait(struct ddl_context *x, const struct ddl *d,
                                          struct query **out)
{
    struct reads locked = {.mem = x->mem};
    for (;;) {
        uint32_t before = locked.count;
        struct reads *r = ARENA_NEW(x->mem, struct reads);
        r->mem = x->mem;
        TRY(analyze_wait(x, d, out));
        TRY(reads_query(r, *out));
        for (uint32_t i = 0; i < r->count; i++)
            TRY(reads_object(&locked, r->seen[i].object, 0));
        if (locked.count == before)
            return ERR_OK;
        for (uint32_t i = before; i < locked.count; i++)
            if (locked.seen[i].object >= FIRST_USER_OID)
                TRY(ddl_lock_wait(x, locked.seen[i].object, LOCK_ACCESS_SHARE));
    }
}

static SUSPENDS err_t reads_temporary_wait(struct ddl_context *x, struct query *q, bool *out)
{
    struct reads *r = ARENA_NEW(x->mem, struct reads);
    r->mem = x->mem;
    TRY(reads_query(r, q));
    *out = false;
    for (uint32_t i = 0; i < r->count && !*out; i++) {
        const struct table_desc *t = NULL;
        if (r->seen[i].object < FIRST_USER_OID)
            continue;
        TRY(table_by_oid_wait(x->catalog, r->seen[i].object, &t));
        *out = t && t->persistence == 't';
        table_release(t);
    }
    return ERR_OK;
}

err_t ddl_create_view_run_wait(struct ddl_context *x, const struct ddl *d)
{
    struct query *q = NULL;
    struct ddl_name target = d->names[0];
    bool temporary;
    struct table_request *r = ARENA_NEW(x->mem, struct table_request);
    *r = (struct table_request){.name = d->names[0].name, .kind = 'v', .owner = x->catalog->user};
    TRY(analyze_locked_wait(x, d, &q));
    TRY(reads_temporary_wait(x, q, &temporary));
    if (temporary && !d->is_temporary) {
        ddl_notice(x, "view \"%s\" will be a temporary view", target.name);
        target.persistence = 't';
    }
    TRY(ddl_creation_schema_wait(x, &target, &r->schema, &r->schema_name, &r->persistence));
    TRY(view_columns(x, d, q, r));
    const char **options = ARENA_ARRAY(x->mem, const char *, d->option_count + 1);
    for (uint32_t i = 0; i < d->option_count; i++) {
        const char *name = d->options[i].name;
        if (strcmp(name, "security_barrier") != 0 && strcmp(name, "security_invoker") != 0)
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "unrecognized parameter \"%s\"", name);
        options[i] =
            arena_printf(x->mem, "%s=%s", name, d->options[i].value ? d->options[i].value : "true");
    }
    r->options = options;
    r->option_count = d->option_count;
    bool exists;
    TRY(ddl_relation_exists_wait(x, r->schema, r->name, &exists));
    if (exists && !d->replace)
        return err_raise(ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", r->name);
    if (exists) {
        struct ddl_name n = d->names[0];
        const struct table_desc *t;
        n.schema = r->schema_name;
        TRY(ddl_open_wait(x, &n, LOCK_ACCESS_EXCLUSIVE, &t));
        if (!t)
            return ddl_missing(x, &n, "relation");
        err_t e = t->kind == 'v'
                      ? replace_wait(x, t, r, q)
                      : err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a view", t->name);
        table_release(t);
        return e;
    }
    oid view;
    TRY(ddl_make_table_wait(x, r, &view));
    return write_rule_wait(x, view, 0, r, q);
}
