/*
 * INSERT, UPDATE, DELETE.
 *
 * The modify node stands inside the fragment that finds the rows when each row is written where it
 * was found; on the session's core, which sends rows to their shards, when a row may belong
 * elsewhere: new rows, changed shard keys, unique indexes with a map table of their own, and
 * RETURNING or SET expressions that only the session can evaluate.
 */
#include "sql/plan/plan_priv.h"

static bool has_map_table(const struct plan_table *t)
{
    for (uint32_t i = 0; i < t->index_count; i++)
        if (t->indexes[i].map_table)
            return true;
    return false;
}

/* The tables that written rows refer to: their rows will be locked. columns NULL: all count. */
static void lock_referenced(struct level *l, const struct plan_table *t, const int32_t *columns,
                            uint32_t count)
{
    for (uint32_t i = 0; i < t->foreign_count; i++) {
        const struct plan_foreign *f = &t->foreign[i];
        bool wanted = !f->is_referenced && !columns;
        for (uint32_t k = 0; !f->is_referenced && k < f->column_count; k++)
            for (uint32_t c = 0; columns && c < count; c++)
                wanted = wanted || columns[c] == f->columns[k];
        if (wanted)
            plan_lock_add(l->p, f->other, LOCK_ROW_SHARE);
    }
}

static struct plan_table *whole_table(struct level *l, const struct plan_table *t)
{
    struct plan_table *copy = arena_memdup(l->mem, t, sizeof(*t));
    copy->columns_used = copy->column_count;
    return copy;
}

static struct fix row_fix(struct level *l, const struct planned *child, uint32_t rte,
                          const struct plan_table *t, const struct dist *d)
{
    struct fix f = fix_of(l, NULL, d);
    f.row_rte = rte;
    f.row_columns = t->column_count;
    f.row_is_table = true;
    if (child) { /* the child's row is slot 1 */
        f.inner = child->out;
        f.inner_count = child->out_count;
    }
    return f;
}

static err_t returning(struct level *l, struct planned *x, struct plan_node *n, uint32_t rte,
                       const struct dist *d)
{
    struct query *q = l->q;
    if (q->returning_count == 0) {
        planned_set_out(l->p, x, NULL, 0);
        return ERR_OK;
    }
    /* columns of the target come from the written row, not from the child */
    struct planned child = *x;
    child.out = ARENA_ARRAY(l->mem, struct expr *, x->out_count + 1);
    for (uint32_t i = 0; i < x->out_count; i++) {
        const struct expr *e = x->out[i];
        bool other = e->kind == EXPR_COLUMN && e->column.rte != rte;
        child.out[i] = other ? x->out[i] : expr_new(l->mem, EXPR_DEFAULT, OID_NONE, -1);
    }
    struct fix f = row_fix(l, &child, rte, n->modify.table, d);
    struct expr **out = ARENA_ARRAY(l->mem, struct expr *, q->returning_count);
    for (uint32_t i = 0; i < q->returning_count; i++)
        out[i] = q->returning[i].expr;
    TRY(build_fix_list(&f, out, q->returning_count, &n->modify.returning));
    n->modify.returning_count = q->returning_count;
    planned_set_out(l->p, x, out, q->returning_count);
    return ERR_OK;
}

static err_t modify_push(struct level *l, struct planned *x, struct plan_node *n)
{
    n->outer = x->node;
    n->rows = l->q->returning_count ? x->node->rows : 0;
    n->startup_cost = x->node->startup_cost;
    n->total_cost = x->node->total_cost + x->node->rows * l->p->costs.cpu_tuple;
    x->node = n;
    x->order = (struct order){0};
    return ERR_OK;
}

static bool returning_fits(struct level *l, const struct dist *d)
{
    for (uint32_t i = 0; i < l->q->returning_count; i++)
        if (!expr_fits(l->p, l->q->returning[i].expr, d))
            return false;
    return true;
}

/* ---- INSERT ---- */

static err_t on_conflict(struct level *l, struct plan_node *n, uint32_t rte, const struct dist *d)
{
    const struct on_conflict *oc = l->q->on_conflict;
    if (!oc)
        return ERR_OK;
    const struct plan_table *t = n->modify.table;
    struct plan_on_conflict *c = ARENA_NEW(l->mem, struct plan_on_conflict);
    c->do_update = oc->do_update;
    c->arbiters = ARENA_ARRAY(l->mem, uint32_t, oc->arbiter_count + 1);
    for (uint32_t i = 0; i < oc->arbiter_count; i++) {
        uint32_t at = UINT32_MAX;
        for (uint32_t k = 0; k < t->index_count; k++)
            if (t->indexes[k].oid == oc->arbiter_indexes[i])
                at = k;
        if (at == UINT32_MAX)
            return err_raise(ERR_INTERNAL_ERROR, "arbiter index %u is not the table's",
                             oc->arbiter_indexes[i]);
        c->arbiters[c->arbiter_count++] = at;
    }
    struct fix f = row_fix(l, NULL, rte, t, d);
    f.conflict_rte = oc->excluded_rte;
    c->set_count = oc->set_count;
    c->set_attnos = ARENA_ARRAY(l->mem, int32_t, oc->set_count + 1);
    c->set = ARENA_ARRAY(l->mem, struct expr *, oc->set_count + 1);
    for (uint32_t i = 0; i < oc->set_count; i++) {
        c->set_attnos[i] = oc->set[i].attno;
        for (uint32_t k = 0; k < t->shard_key_count && l->p->shards > 1; k++)
            if (t->shard_key[k] == oc->set[i].attno)
                return err_not_built("ON CONFLICT DO UPDATE of a shard key column is not "
                                     "supported yet");
        TRY(build_fix(&f, oc->set[i].expr, &c->set[i]));
    }
    TRY(build_fix(&f, oc->where, &c->where));
    n->modify.on_conflict = c;
    return ERR_OK;
}

/* One row whose shard key is known before it is made: the whole insert runs on that shard. */
static bool insert_at_key(struct level *l, struct planned *x, const struct plan_table *t,
                          struct expr *const *values, struct dist *d)
{
    *d = (struct dist){.kind = DIST_SINGLE, .target = GATHER_ALL};
    bool one_row = x->dist.kind == DIST_ANY && x->node->kind == PLAN_RESULT && !x->node->outer;
    if (!one_row || has_map_table(t) || t->distribution == DISTRIBUTED_REPLICATED)
        return false;
    if (l->p->shards > 1) {
        if (t->distribution == DISTRIBUTED_SHARD_0) {
            d->target = GATHER_SHARD_0;
        } else if (t->distribution == DISTRIBUTED_HASH && t->shard_key_count) {
            d->target = GATHER_KEY;
            d->key_table = (struct plan_table *)(uintptr_t)t;
            d->key_count = t->shard_key_count;
            d->keys = ARENA_ARRAY(l->mem, struct expr *, d->key_count);
            for (uint32_t i = 0; i < d->key_count; i++) {
                d->keys[i] = values[t->shard_key[i] - 1];
                const struct expr *v = expr_strip_relabel(d->keys[i]);
                if (!t->not_null[t->shard_key[i] - 1] ||
                    (v->kind != EXPR_CONST && v->kind != EXPR_PARAM))
                    return false;
            }
        } else {
            return false;
        }
    }
    for (uint32_t i = 0; i < t->column_count; i++)
        if (!expr_fits(l->p, values[i], d))
            return false;
    if (l->q->on_conflict) {
        for (uint32_t i = 0; i < l->q->on_conflict->set_count; i++)
            if (!expr_fits(l->p, l->q->on_conflict->set[i].expr, d))
                return false;
        if (l->q->on_conflict->where && !expr_fits(l->p, l->q->on_conflict->where, d))
            return false;
    }
    return returning_fits(l, d);
}

/* VALUES of one row, read once by the targets: the row's expressions themselves. */
static err_t single_values_row(struct level *l, struct expr **values, uint32_t count)
{
    if (l->rels.count != 1 || l->is_empty || l->rels.items[0]->clauses.count)
        return ERR_OK;
    struct rel *r = l->rels.items[0];
    if (r->entry->kind != RTE_VALUES || r->entry->value_row_count != 1)
        return ERR_OK;
    for (uint32_t i = 0; i < count; i++) {
        struct expr_list columns = {0};
        TRY(expr_columns(l->mem, values[i], &columns));
        if (columns.count && values[i]->kind != EXPR_COLUMN)
            return ERR_OK;
    }
    for (uint32_t i = 0; i < count; i++)
        if (values[i]->kind == EXPR_COLUMN)
            values[i] = r->entry->values[0][values[i]->column.attno - 1];
    l->rels.count = 0;
    return ERR_OK;
}

static err_t insert_plan(struct level *l, const struct table_desc *desc, struct plan_table *table,
                         struct planned *out)
{
    struct query *q = l->q;
    uint32_t rte = q->target_rte;
    struct expr **values = ARENA_ARRAY(l->mem, struct expr *, desc->column_count + 1);
    for (uint32_t i = 0; i < q->target_count; i++) {
        int32_t attno = q->targets[i].attno;
        if (attno < 1 || (uint32_t)attno > desc->column_count)
            return err_raise(ERR_INTERNAL_ERROR, "INSERT into column %d", attno);
        values[attno - 1] = q->targets[i].expr;
    }
    for (uint32_t i = 0; i < desc->column_count; i++)
        if (!values[i])
            values[i] = expr_const(l->mem, desc->columns[i].type, desc->columns[i].typmod, 0, true);
    TRY(single_values_row(l, values, desc->column_count));
    struct order none = {0};
    TRY(upper_rows(l, values, desc->column_count, &none, out));
    struct dist d;
    struct plan_node *n = plan_node_new(l->p, PLAN_MODIFY);
    n->label = NULL;
    n->modify.command = CMD_INSERT;
    n->modify.table = whole_table(l, table);
    n->modify.table->alias = l->rtes.items[rte]->alias ? l->rtes.items[rte]->alias : table->name;
    lock_referenced(l, n->modify.table, NULL, 0);
    bool local = insert_at_key(l, out, n->modify.table, values, &d);
    if (local) {
        out->dist = d;
    } else if (out->dist.kind == DIST_ANY) {
        out->dist = (struct dist){.kind = DIST_SESSION};
    } else if (!exprs_fit(l->p, values, desc->column_count, &out->dist) ||
               dist_is_fragment(&out->dist)) {
        /* rows are projected in the fragment when they can be */
        bool fit = exprs_fit(l->p, values, desc->column_count, &out->dist);
        if (fit)
            TRY(build_result(l, out, values, desc->column_count, NULL));
        TRY(build_gather(l, out, false));
    }
    if (out->node->kind == PLAN_RESULT && !out->node->outer && out->out_count == 0) {
        struct fix f = fix_of(l, NULL, &out->dist);
        bool sets = false;
        for (uint32_t i = 0; i < desc->column_count; i++)
            sets = sets || expr_makes_set(values[i]);
        if (sets) {
            TRY(build_result(l, out, values, desc->column_count, NULL));
        } else {
            TRY(build_fix_list(&f, values, desc->column_count, &out->node->targets));
            planned_set_out(l->p, out, values, desc->column_count);
        }
    } else {
        TRY(build_result(l, out, values, desc->column_count, NULL));
    }
    n->modify.local = local;
    TRY(on_conflict(l, n, rte, &out->dist));
    TRY(modify_push(l, out, n));
    struct dist at = out->dist;
    out->out_count = 0; /* RETURNING sees the new row only */
    TRY(returning(l, out, n, rte, &at));
    if (!local)
        out->dist = (struct dist){.kind = DIST_SESSION};
    return ERR_OK;
}

/* ---- UPDATE and DELETE ---- */

struct change {
    struct level *l;
    struct rel *r;
    struct expr_list wanted; /* row id, shard, new values, then what is read later */
    struct expr_list tests;  /* to be checked again on the newest row */
};

static err_t change_add_columns(struct change *c, struct expr *e)
{
    struct expr_list columns = {0};
    TRY(expr_columns(c->l->mem, e, &columns));
    for (uint32_t i = 0; i < columns.count; i++)
        if (columns.items[i]->column.rte != c->r->rte)
            expr_list_add_new(c->l->mem, &c->wanted, columns.items[i]);
    return ERR_OK;
}

static void change_test(struct change *c, const struct clause *k)
{
    /* the right side of a semijoin is not visible here */
    relset seen = ~(relset)0;
    for (uint32_t i = 0; i < c->l->specials.count; i++) {
        const struct special *s = c->l->specials.items[i];
        if (s->type == JOIN_SEMI || s->type == JOIN_ANTI)
            seen &= ~s->syntactic_right;
    }
    if (set_meets(k->rels, c->r->set) && set_within(k->rels, seen) && !k->below_outer)
        expr_list_add_new(c->l->mem, &c->tests, k->expr);
}

static void change_collect_tests(struct change *c)
{
    struct level *l = c->l;
    for (uint32_t i = 0; i < c->r->clauses.count; i++)
        change_test(c, c->r->clauses.items[i]);
    for (uint32_t i = 0; i < c->r->late.count; i++)
        change_test(c, c->r->late.items[i]);
    for (uint32_t i = 0; i < l->joins.count; i++)
        change_test(c, l->joins.items[i]);
    for (uint32_t i = 0; i < l->session.count; i++)
        change_test(c, l->session.items[i]);
    for (uint32_t i = 0; i < l->eclasses.count; i++) {
        const struct eclass *ec = l->eclasses.items[i];
        for (uint32_t k = 0; !ec->merged_into && !ec->constant && k < ec->sources.count; k++)
            change_test(c, ec->sources.items[k]);
    }
}

static bool change_is_local(struct change *c, const struct planned *x, bool changes_key)
{
    struct level *l = c->l;
    if (!dist_is_fragment(&x->dist) || changes_key || has_map_table(c->r->table) ||
        x->dist.kind == DIST_HOME)
        return false;
    return exprs_fit(l->p, c->wanted.items, c->wanted.count, &x->dist) &&
           exprs_fit(l->p, c->tests.items, c->tests.count, &x->dist) && returning_fits(l, &x->dist);
}

/* Every shard changes its own copy, so each must come to the same result from what it has. */
static err_t replicate(struct change *c, struct planned *out, bool *local)
{
    const struct query *q = c->l->q;
    bool good = out->dist.kind == DIST_HOME && q->returning_count == 0 &&
                !has_map_table(c->r->table) &&
                exprs_fit(c->l->p, c->wanted.items, c->wanted.count, &out->dist) &&
                exprs_fit(c->l->p, c->tests.items, c->tests.count, &out->dist);
    for (uint32_t i = 0; i < c->wanted.count; i++)
        good = good && !expr_is_volatile(c->wanted.items[i]);
    for (uint32_t i = 0; i < c->tests.count; i++)
        good = good && !expr_is_volatile(c->tests.items[i]);
    if (!good)
        return err_not_built("this change of a replicated table is not supported yet");
    out->dist = (struct dist){.kind = DIST_SPREAD, .target = GATHER_ALL};
    *local = true;
    return ERR_OK;
}

static err_t change_plan(struct level *l, struct planned *out)
{
    struct query *q = l->q;
    struct change c = {.l = l, .r = l->rte_rels[q->target_rte]};
    if (!c.r || !c.r->table)
        return err_not_built("changing what is not a plain table is not supported yet");
    uint32_t rte = q->target_rte;
    uint32_t sets = q->command == CMD_UPDATE ? q->target_count : 0;
    struct plan_node *n = plan_node_new(l->p, PLAN_MODIFY);
    n->modify.command = q->command;
    n->modify.table = whole_table(l, c.r->table);
    n->modify.row_id_column = 0;
    n->modify.shard_column = 1;
    n->modify.first_set = 2;
    n->modify.set_count = sets;
    n->modify.set_attnos = ARENA_ARRAY(l->mem, int32_t, sets + 1);
    expr_list_add(l->mem, &c.wanted, expr_row_place(l->mem, rte, COLUMN_ROW_ID));
    expr_list_add(l->mem, &c.wanted, expr_row_place(l->mem, rte, COLUMN_SHARD));
    for (uint32_t i = 0; i < sets; i++) {
        const struct target *t = &q->targets[i];
        n->modify.set_attnos[i] = t->attno;
        expr_list_add(l->mem, &c.wanted, t->expr);
        for (uint32_t k = 0; k < n->modify.table->shard_key_count; k++)
            n->modify.changes_shard_key |= n->modify.table->shard_key[k] == t->attno;
    }
    if (l->p->shards == 1)
        n->modify.changes_shard_key = false;
    if (q->command == CMD_UPDATE)
        lock_referenced(l, n->modify.table,
                        n->modify.changes_shard_key ? NULL : n->modify.set_attnos, sets);
    change_collect_tests(&c);
    for (uint32_t i = 0; i < sets; i++)
        TRY(change_add_columns(&c, q->targets[i].expr));
    for (uint32_t i = 0; i < c.tests.count; i++)
        TRY(change_add_columns(&c, c.tests.items[i]));
    for (uint32_t i = 0; i < q->returning_count; i++)
        TRY(change_add_columns(&c, q->returning[i].expr));
    struct order none = {0};
    TRY(upper_rows(l, c.wanted.items, c.wanted.count, &none, out));
    if (out->dist.kind == DIST_ANY) /* constantly no rows */
        out->dist.kind = DIST_SESSION;
    bool local = change_is_local(&c, out, n->modify.changes_shard_key);
    if (c.r->dist.kind == DIST_HOME && out->dist.kind != DIST_SESSION)
        TRY(replicate(&c, out, &local));
    else if (c.r->dist.kind == DIST_HOME && !l->is_empty)
        return err_not_built("this change of a replicated table is not supported yet");
    if (!exprs_fit(l->p, c.wanted.items, c.wanted.count, &out->dist))
        TRY(build_gather(l, out, false));
    TRY(build_result(l, out, c.wanted.items, c.wanted.count, NULL));
    if (!local)
        TRY(build_gather(l, out, false));
    n->modify.local = local;
    struct dist at = out->dist;
    /* Re-check: the target's columns from the newest row, others from the child's. */
    struct planned child = *out;
    child.out = arena_memdup(l->mem, out->out, sizeof(struct expr *) * out->out_count);
    for (uint32_t i = 0; i < out->out_count; i++)
        if (child.out[i]->kind != EXPR_COLUMN || child.out[i]->column.rte == rte)
            child.out[i] = expr_new(l->mem, EXPR_DEFAULT, OID_NONE, -1);
    struct fix f = row_fix(l, &child, rte, n->modify.table, &at);
    TRY(build_fix(&f, expr_and(l->mem, c.tests.items, c.tests.count), &n->modify.recheck));
    n->modify.recheck_set = ARENA_ARRAY(l->mem, struct expr *, sets + 1);
    for (uint32_t i = 0; i < sets; i++)
        TRY(build_fix(&f, q->targets[i].expr, &n->modify.recheck_set[i]));
    struct planned below = *out;
    TRY(modify_push(l, out, n));
    out->out = below.out;
    out->out_count = below.out_count;
    return returning(l, out, n, rte, &at);
}

/* The target of an INSERT is no relation of FROM: its descriptor is looked up by the caller. */
err_t modify_plan(struct level *l, struct planned *out)
{
    plan_lock_add(l->p, l->q->target_table, LOCK_ROW_EXCLUSIVE);
    if (l->q->command != CMD_INSERT)
        return change_plan(l, out);
    ASSERT(l->target_desc && l->target);
    return insert_plan(l, l->target_desc, l->target, out);
}
