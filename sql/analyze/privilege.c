/*
 * What a query must be allowed to do: rights on the relations that it reads and changes, collected
 * when it is analysed. Analysed statements are kept per role and catalog version, so a right that
 * is taken away, or another role, means a new analysis. Relations inside of a view are used with
 * the rights of the view's owner.
 */
#include "sql/analyze/analyze_priv.h"
#include "sql/catalog/privileges.h"

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

struct target_read {
    uint32_t rte;
    bool found;
};
/* Whether a query reads a column of its target (a column that is only assigned is not read). */
static err_t target_visit(struct expr *e, uint32_t depth, struct deep_walk *w, bool *descend)
{
    struct target_read *t = w->ctx;
    if (e->kind == EXPR_COLUMN && e->column.levels_up == depth && e->column.rte == t->rte)
        t->found = true;
    *descend = !t->found;
    return ERR_OK;
}

static bool reads_target(struct query *q)
{
    struct target_read t = {.rte = q->target_rte};
    struct deep_walk w = {.visit = target_visit, .ctx = &t};
    for (uint32_t i = 0; !t.found && i < q->target_count; i++)
        ERR_IGNORE(deep_walk_expr(&w, q->targets[i].expr));
    for (uint32_t i = 0; !t.found && i < q->returning_count; i++)
        ERR_IGNORE(deep_walk_expr(&w, q->returning[i].expr));
    if (!t.found && q->where)
        ERR_IGNORE(deep_walk_expr(&w, q->where));
    return t.found;
}

static SUSPENDS err_t target_rights_wait(struct analysis *a, struct query *q, oid table, oid role)
{
    const char *letter = q->command == CMD_INSERT ? "a" : q->command == CMD_UPDATE ? "w" : "d";
    bool reads = reads_target(q) || (q->on_conflict && q->on_conflict->arbiter_count);
    if (reads)
        TRY(privilege_require_wait(a->catalog, 'c', table, role, "r"));
    TRY(privilege_require_wait(a->catalog, 'c', table, role, letter));
    return q->on_conflict && q->on_conflict->do_update
               ? privilege_require_wait(a->catalog, 'c', table, role, "w")
               : ERR_OK;
}

static bool is_marked(const struct query *q, uint32_t rte)
{
    for (uint32_t i = 0; i < q->row_mark_count; i++)
        if (q->row_marks[i].rte == rte)
            return true;
    return false;
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
            TRY(target_rights_wait(a, q, e->table, role));
            continue;
        }
        if (q->command != CMD_SELECT && !e->in_from) /* EXCLUDED */
            continue;
        TRY(privilege_require_wait(a->catalog, 'c', e->table, role, "r"));
        if (is_marked(q, i))
            TRY(privilege_require_wait(a->catalog, 'c', e->table, role, "w"));
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
