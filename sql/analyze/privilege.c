/*
 * What a query must be allowed to do: rights on the relations that it reads and changes, collected
 * when it is analysed. Analysed statements are kept per role and catalog version, so a right that
 * is taken away, or another role, means a new analysis. Relations inside of a view are used with
 * the rights of the view's owner.
 */
#include "sql/analyze/analyze_priv.h"
#include "sql/catalog/privileges.h"
#include "sql/catalog/relation.h"

struct rights {
    struct analysis *a;
    oid role;
};

static SUSPENDS err_t query_rights_wait(struct analysis *a, struct query *q, oid role);

static err_t subquery_visit(struct expr *e, void *ctx, bool *descend) NO_SUSPEND_ANALYSIS;
static err_t subquery_visit(struct expr *e, void *ctx, bool *descend)
{
    struct rights *r = ctx;
    *descend = true;
    return e->kind == EXPR_SUBQUERY ? query_rights_wait(r->a, e->subquery.query, r->role) : ERR_OK;
}

static err_t slot_visit(struct expr **slot, void *ctx)
{
    return expr_walk(*slot, subquery_visit, ctx);
}

/* ---- columns ---- */

/* The columns of an entry that a query names, in itself and in its subqueries. */
struct column_use {
    const struct query *q;
    uint32_t rte;
    int16_t *columns; /* room for the entry's columns */
    uint32_t count;
    bool whole; /* a whole row, or a system column */
    bool found;
};

static void use_add(struct column_use *u, int32_t attno)
{
    u->found = true;
    u->whole = u->whole || attno <= 0;
    for (uint32_t i = 0; i < u->count; i++)
        if (u->columns[i] == attno)
            return;
    if (attno > 0 && (uint32_t)attno <= u->q->rtes[u->rte]->column_count)
        u->columns[u->count++] = (int16_t)attno;
}

static err_t use_visit(struct expr *e, uint32_t depth, struct deep_walk *w, bool *descend)
{
    struct column_use *u = w->ctx;
    *descend = true;
    if (e->kind != EXPR_COLUMN || e->column.levels_up != depth || e->column.rte >= u->q->rte_count)
        return ERR_OK;
    const struct range_entry *entry = u->q->rtes[e->column.rte];
    if (e->column.rte == u->rte) {
        use_add(u, e->column.attno);
    } else if (entry->kind == RTE_JOIN && e->column.attno > 0) {
        struct deep_walk inside = {.visit = use_visit, .ctx = u, .without_join_columns = true};
        return deep_walk_expr(&inside, entry->join_columns[e->column.attno - 1]);
    }
    return ERR_OK;
}

static void use_begin(struct analysis *a, struct query *q, uint32_t rte, struct column_use *u)
{
    *u = (struct column_use){.q = q, .rte = rte};
    u->columns = ARENA_ARRAY(a->mem, int16_t, q->rtes[rte]->column_count + 1);
}

static bool may_all(const struct analysis *a, oid role)
{
    return role == ROLE_BOOTSTRAP || (role == a->catalog->user && a->catalog->is_superuser);
}

/* letter on the table, or on each of the columns, or, where none is named, on any column. */
static SUSPENDS err_t require_wait(struct analysis *a, oid role, const char *letter,
                                   const struct column_use *u)
{
    const struct range_entry *e = u->q->rtes[u->rte];
    struct catalog_session *cs = a->catalog;
    bool yes;
    bool exists;
    TRY(privilege_test_wait(cs, 'c', e->table, role, letter, false, &yes, &exists));
    if (yes || !exists)
        return ERR_OK;
    const int16_t *columns = u->columns;
    uint32_t count = u->count;
    if (u->whole) {
        int16_t *all = ARENA_ARRAY(a->mem, int16_t, e->column_count + 1);
        count = 0;
        for (uint32_t i = 0; i < e->column_count; i++)
            if (e->column_names[i])
                all[count++] = (int16_t)(i + 1);
        columns = all;
    }
    TRY(privilege_columns_test_wait(cs, e->table, role, letter, false, columns, count, &yes));
    return yes ? ERR_OK : privilege_require_wait(cs, 'c', e->table, role, letter);
}

/* Names the columns of its target that a query reads (a column that is only assigned is not read).
 */
static void target_reads(struct query *q, struct column_use *u)
{
    struct deep_walk w = {.visit = use_visit, .ctx = u, .without_join_columns = true};
    for (uint32_t i = 0; i < q->target_count; i++)
        if (q->targets[i].expr)
            ERR_IGNORE(deep_walk_expr(&w, q->targets[i].expr));
    for (uint32_t i = 0; i < q->returning_count; i++)
        ERR_IGNORE(deep_walk_expr(&w, q->returning[i].expr));
    if (q->where)
        ERR_IGNORE(deep_walk_expr(&w, q->where));
    if (!q->on_conflict)
        return;
    for (uint32_t i = 0; i < q->on_conflict->set_count; i++)
        ERR_IGNORE(deep_walk_expr(&w, q->on_conflict->set[i].expr));
    if (q->on_conflict->where)
        ERR_IGNORE(deep_walk_expr(&w, q->on_conflict->where));
}

/* What decides about a conflict is read: of an expression, as if it were every column. */
static SUSPENDS err_t arbiter_reads_wait(struct analysis *a, const struct query *q,
                                         struct column_use *u)
{
    const struct table_desc *t;
    if (q->on_conflict->arbiter_count == 0)
        return ERR_OK;
    TRY(analysis_table_by_oid_wait(a, q->target_table, &t));
    for (uint32_t i = 0; t && i < q->on_conflict->arbiter_count; i++)
        for (uint32_t k = 0; k < t->index_count; k++)
            for (uint32_t c = 0; t->indexes[k].oid == q->on_conflict->arbiter_indexes[i] &&
                                 c < t->indexes[k].key_count;
                 c++)
                use_add(u, t->indexes[k].keys[c].attno);
    return ERR_OK;
}

static SUSPENDS err_t target_rights_wait(struct analysis *a, struct query *q, oid role)
{
    const char *letter = q->command == CMD_INSERT ? "a" : q->command == CMD_UPDATE ? "w" : "d";
    struct column_use reads;
    struct column_use writes;
    if (may_all(a, role))
        return ERR_OK;
    use_begin(a, q, q->target_rte, &reads);
    target_reads(q, &reads);
    if (q->on_conflict)
        TRY(arbiter_reads_wait(a, q, &reads));
    if (reads.found)
        TRY(require_wait(a, role, "r", &reads));
    if (q->command == CMD_DELETE)
        return privilege_require_wait(a->catalog, 'c', q->target_table, role, letter);
    use_begin(a, q, q->target_rte, &writes);
    for (uint32_t i = 0; i < q->target_count; i++)
        if (!q->targets[i].junk && !q->targets[i].defaulted && q->targets[i].attno > 0)
            use_add(&writes, q->targets[i].attno);
    TRY(require_wait(a, role, letter, &writes));
    if (!q->on_conflict || !q->on_conflict->do_update)
        return ERR_OK;
    use_begin(a, q, q->target_rte, &writes);
    for (uint32_t i = 0; i < q->on_conflict->set_count; i++)
        use_add(&writes, q->on_conflict->set[i].attno);
    return require_wait(a, role, "w", &writes);
}

static SUSPENDS err_t read_rights_wait(struct analysis *a, struct query *q, uint32_t rte, oid role)
{
    struct column_use u;
    struct deep_walk w = {.visit = use_visit, .ctx = &u, .without_join_columns = true};
    if (may_all(a, role))
        return ERR_OK;
    use_begin(a, q, rte, &u);
    TRY(deep_walk_query(&w, q));
    return require_wait(a, role, "r", &u);
}

static bool is_marked(const struct query *q, uint32_t rte)
{
    for (uint32_t i = 0; i < q->row_mark_count; i++)
        if (q->row_marks[i].rte == rte)
            return true;
    return false;
}

/* FOR UPDATE and its kin: the right to change some column. */
static SUSPENDS err_t lock_rights_wait(struct analysis *a, struct query *q, uint32_t rte, oid role)
{
    struct column_use u;
    if (may_all(a, role))
        return ERR_OK;
    use_begin(a, q, rte, &u);
    return require_wait(a, role, "w", &u);
}

static SUSPENDS err_t view_owner_wait(struct analysis *a, oid view, oid *owner)
{
    const struct table_desc *t;
    TRY(analysis_table_by_oid_wait(a, view, &t));
    *owner = t ? t->owner : OID_NONE;
    return ERR_OK;
}

static SUSPENDS err_t query_rights_wait(struct analysis *a, struct query *q, oid role)
{
    TRY(fiber_check_stack());
    struct rights r = {.a = a, .role = role};
    for (uint32_t i = 0; i < q->rte_count; i++) {
        const struct range_entry *e = q->rtes[i];
        if (e->table == OID_NONE)
            continue;
        if (q->command != CMD_SELECT && i == q->target_rte) {
            TRY(target_rights_wait(a, q, role));
            continue;
        }
        if (q->command != CMD_SELECT && !e->in_from) /* EXCLUDED */
            continue;
        TRY(read_rights_wait(a, q, i, role));
        if (is_marked(q, i))
            TRY(lock_rights_wait(a, q, i, role));
    }
    for (uint32_t i = 0; i < q->rte_count; i++) {
        const struct range_entry *e = q->rtes[i];
        oid as = role;
        if (e->kind != RTE_SUBQUERY || !e->subquery)
            continue;
        if (e->table != OID_NONE)
            TRY(view_owner_wait(a, e->table, &as));
        TRY(query_rights_wait(a, e->subquery, as));
    }
    for (uint32_t i = 0; i < q->cte_count; i++)
        TRY(query_rights_wait(a, q->ctes[i].query, role));
    return query_walk(q, slot_visit, &r);
}

SUSPENDS err_t analyze_rights_wait(struct analysis *a, struct query *q)
{
    if (!a->o->check_privileges)
        return ERR_OK;
    return query_rights_wait(a, q, a->catalog->user);
}

SUSPENDS err_t analyze_schema_wait(struct analysis *a, int32_t location, bool named,
                                   const struct table_desc *t, bool *visible)
{
    struct catalog_session *cs = a->catalog;
    *visible = true;
    if (!a->o->check_privileges || cs->is_superuser || a->view_depth > 0 || t->is_system ||
        t->schema == cs->temp_schema)
        return ERR_OK;
    if (named) {
        err_t e = privilege_require_wait(cs, 'n', t->schema, cs->user, "U");
        return e == ERR_OK ? e : analyze_at(a, location, e);
    }
    bool exists;
    return privilege_test_wait(cs, 'n', t->schema, cs->user, "U", false, visible, &exists);
}
