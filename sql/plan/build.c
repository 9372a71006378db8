/*
 * From paths to nodes.
 *
 * A node is asked for expressions (wanted); its children are asked for the columns that those and
 * its conditions need. build_fix() then replaces what a child yields by EXPR_INPUT, columns of an
 * outer side by exec params, and subplan drafts by finished subplans; anything left over is an
 * internal error. Everything made for a fragment whose expressions read a run-once subplan goes to
 * planner.pending, which the gather above takes.
 */
#include "sql/plan/plan_priv.h"

/* ---- subplans ---- */

static void copy_node_estimates(struct plan_node *to, const struct plan_node *from)
{
    to->startup_cost = from->startup_cost;
    to->total_cost = from->total_cost;
    to->rows = from->rows;
    to->width = from->width;
    to->types = from->types;
    to->target_count = from->target_count;
}

err_t build_subplan_root(struct level *l, struct subplan_draft *d, struct plan_node **out)
{
    if (!d->gathered) {
        struct planned x = d->sub;
        struct u32_list saved = l->p->pending;
        l->p->pending = d->sub.initial;
        TRY(build_gather(l, &x, false));
        l->p->pending = saved;
        d->gathered = x.node;
    }
    *out = d->gathered;
    return ERR_OK;
}

static struct plan_subplan *subplan_add(struct planner *p, const struct subplan_draft *d,
                                        struct plan_node *root, uint32_t *index)
{
    struct plan_subplan s = {
        .root = root,
        .subkind = d->subkind,
        .is_correlated = d->is_correlated,
        .params = d->params.items,
        .arg_count = d->params.count,
        .first_param = d->first_param,
        .column_count = d->column_count,
        .type = d->type,
        .result_param = UINT32_MAX,
        .hashed = d->hashed,
        .hash_equal = d->hash_equal,
    };
    LIST_ADD(p->mem, &p->subplans, s);
    *index = p->subplans.count - 1;
    return &p->subplans.items[*index];
}

static err_t subplan_shared(struct level *l, struct subplan_draft *d, uint32_t *index)
{
    if (d->shared == UINT32_MAX) {
        struct plan_node *root;
        TRY(build_subplan_root(l, d, &root));
        subplan_add(l->p, d, root, &d->shared);
    }
    *index = d->shared;
    return ERR_OK;
}

static err_t fix_subplan(struct fix *f, const struct expr *e, struct expr **out)
{
    struct planner *p = f->l->p;
    struct subplan_draft *d = p->drafts.items[e->subplan.index];
    bool fragment = f->dist && dist_is_fragment(f->dist);
    bool value = !d->is_correlated && !d->has_test;
    struct expr *made = arena_memdup(p->mem, e, sizeof(*e));
    made->args = NULL;
    made->arg_count = 0;
    *out = made;
    if (fragment && value && d->sub.dist.kind != DIST_ANY) {
        if (d->result_param == UINT32_MAX)
            d->result_param = plan_exec_param(p);
        LIST_ADD(p->mem, &p->pending, e->subplan.index);
        *out = expr_exec_param(p->mem, d->result_param, e->type, e->typmod);
        (*out)->collation = e->collation;
        return ERR_OK;
    }
    if (value && !fragment && f->dist && f->dist->kind == DIST_SESSION)
        return subplan_shared(f->l, d, &made->subplan.index);
    struct plan_node *root = d->sub.node;
    if (fragment || (f->dist && f->dist->kind == DIST_ANY)) {
        for (uint32_t i = 0; i < d->sub.initial.count; i++)
            LIST_ADD(p->mem, &p->pending, d->sub.initial.items[i]);
    } else {
        TRY(build_subplan_root(f->l, d, &root));
    }
    struct expr **args;
    TRY(build_fix_list(f, e->args, e->arg_count, &args));
    uint32_t index;
    struct plan_subplan *s = subplan_add(p, d, root, &index);
    s->args = args;
    ASSERT(e->arg_count >= d->params.count + d->has_test);
    if (d->has_test)
        s->test = args[d->params.count];
    if (d->hashed)
        s->hash_left = args[d->params.count + 1];
    made->subplan.index = index;
    return ERR_OK;
}

/* ---- expressions ---- */

static err_t fix_grouping(struct fix *f, const struct expr *e, struct expr **out)
{
    struct arena *mem = f->l->mem;
    if (f->set_count == 0) {
        *out = expr_const(mem, TYPE_INT4, -1, datum_of_i32(0), false);
        return ERR_OK;
    }
    struct expr *c = expr_new(mem, EXPR_CASE, TYPE_INT4, -1);
    c->cases.whens = ARENA_ARRAY(mem, struct case_when, f->set_count);
    c->cases.when_count = f->set_count;
    for (uint32_t s = 0; s < f->set_count; s++) {
        int32_t bits = 0;
        for (uint32_t i = 0; i < e->arg_count; i++) {
            bool in = false;
            for (uint32_t k = 0; k < f->sets[s].count; k++)
                in = in || exprs_match(f->group_exprs->items[f->sets[s].members[k]], e->args[i]);
            bits = bits << 1 | !in;
        }
        struct expr *number = expr_new(mem, EXPR_INPUT, TYPE_INT4, -1);
        number->input.slot = 3;
        number->input.index = f->set_column;
        c->cases.whens[s].condition =
            expr_operator(mem, operator_equality(TYPE_INT4, TYPE_INT4), number,
                          expr_const(mem, TYPE_INT4, -1, datum_of_i32((int32_t)s), false));
        c->cases.whens[s].result = expr_const(mem, TYPE_INT4, -1, datum_of_i32(bits), false);
    }
    *out = c;
    return ERR_OK;
}

static err_t fix_column(struct fix *f, const struct expr *e, struct expr **out)
{
    struct level *l = f->l;
    uint32_t rte = e->column.rte;
    if (e->column.levels_up == 0 && rte == f->row_rte && f->row_rte != RTE_NONE) {
        if (e->column.attno > 0) {
            ASSERT((uint32_t)e->column.attno <= f->row_columns);
            *out = expr_input(l->mem, 0, (uint32_t)e->column.attno - 1, e);
            return ERR_OK;
        }
        if (f->row_is_table && e->column.attno == COLUMN_TABLEOID) {
            *out = expr_input(l->mem, 0, f->row_columns + 1, e);
            return ERR_OK;
        }
        if (f->row_is_table &&
            (e->column.attno == COLUMN_ROW_ID || e->column.attno == COLUMN_SHARD)) {
            *out = expr_input(l->mem, 0, f->row_columns + (e->column.attno == COLUMN_SHARD ? 2 : 0),
                              e);
            return ERR_OK;
        }
        return err_not_built("the system column \"%s\" is not supported yet",
                             e->column.name          ? e->column.name
                             : e->column.attno == -1 ? "ctid"
                                                     : "xmin");
    }
    if (e->column.levels_up == 0 && f->conflict_rte != RTE_NONE && rte == f->conflict_rte &&
        e->column.attno > 0) {
        *out = expr_input(l->mem, 2, (uint32_t)e->column.attno - 1, e);
        return ERR_OK;
    }
    const struct rel *r =
        e->column.levels_up == 0 && l->rte_rels && rte < l->rtes.count ? l->rte_rels[rte] : NULL;
    if (!r || !set_within(r->set, l->outer_rels))
        return err_raise(ERR_INTERNAL_ERROR, "column %d of range table entry %u is not there",
                         e->column.attno, rte);
    uint32_t param = UINT32_MAX;
    for (uint32_t i = 0; i < l->nest.count; i++)
        if (exprs_match(l->nest.items[i].column, e))
            param = l->nest.items[i].param;
    if (param == UINT32_MAX) {
        param = plan_exec_param(l->p);
        struct nest_ref n = {arena_memdup(l->mem, e, sizeof(*e)), param};
        LIST_ADD(l->mem, &l->nest, n);
    }
    *out = expr_exec_param(l->mem, param, e->type, e->typmod);
    (*out)->collation = e->collation;
    return ERR_OK;
}

static err_t fix_node(struct arena *mem, const struct expr *e, void *ctx, struct expr **out)
{
    struct fix *f = ctx;
    if (e->kind == EXPR_CONST || e->kind == EXPR_PARAM || e->kind == EXPR_EXEC_PARAM)
        return ERR_OK;
    uint32_t at = expr_list_find(f->group, f->group_count, e);
    if (at != UINT32_MAX) {
        *out = expr_input(mem, 3, at, e);
        return ERR_OK;
    }
    at = expr_list_find(f->outer, f->outer_count, e);
    if (at != UINT32_MAX) {
        *out = expr_input(mem, 0, at, e);
        return ERR_OK;
    }
    at = expr_list_find(f->inner, f->inner_count, e);
    if (at != UINT32_MAX) {
        *out = expr_input(mem, 1, at, e);
        return ERR_OK;
    }
    switch (e->kind) {
    case EXPR_COLUMN:
        return fix_column(f, e, out);
    case EXPR_SUBPLAN:
        return fix_subplan(f, e, out);
    case EXPR_GROUPING:
        return fix_grouping(f, e, out);
    case EXPR_AGGREGATE:
        return err_raise(ERR_INTERNAL_ERROR, "aggregate in a place without aggregation");
    case EXPR_WINDOW:
        return err_raise(ERR_INTERNAL_ERROR, "window function in a place without windows");
    case EXPR_SUBQUERY:
        return err_raise(ERR_INTERNAL_ERROR, "subquery was left unplanned");
    case EXPR_DEFAULT:
        return err_not_built("DEFAULT is not supported here");
    default:
        return ERR_OK;
    }
}

err_t build_fix(struct fix *f, const struct expr *e, struct expr **out)
{
    *out = NULL;
    return e ? expr_rewrite(f->l->mem, e, fix_node, f, out) : ERR_OK;
}

err_t build_fix_list(struct fix *f, struct expr *const *items, uint32_t count, struct expr ***out)
{
    *out = ARENA_ARRAY(f->l->mem, struct expr *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        TRY(build_fix(f, items[i], &(*out)[i]));
    return ERR_OK;
}

struct fix fix_of(struct level *l, const struct planned *child, const struct dist *d)
{
    struct fix f = {.l = l, .row_rte = RTE_NONE, .conflict_rte = RTE_NONE, .dist = d};
    if (child) {
        f.outer = child->out;
        f.outer_count = child->out_count;
    }
    return f;
}

static err_t fix_clauses(struct fix *f, struct clause *const *items, uint32_t count,
                         struct expr **out)
{
    struct expr_list list = {0};
    for (uint32_t i = 0; i < count; i++)
        expr_list_add(f->l->mem, &list, items[i]->expr);
    return build_fix(f, expr_and(f->l->mem, list.items, list.count), out);
}

/* ---- planned trees ---- */

void planned_set_out(struct planner *p, struct planned *x, struct expr *const *out, uint32_t count)
{
    x->out = ARENA_ARRAY(p->mem, struct expr *, count + 1);
    if (count)
        memcpy(x->out, out, sizeof(*out) * count);
    x->out_count = count;
    x->node->target_count = count;
    x->node->types = ARENA_ARRAY(p->mem, oid, count + 1);
    x->node->width = 0;
    for (uint32_t i = 0; i < count; i++) {
        x->node->types[i] = out[i]->type;
        x->node->width += type_width(out[i]->type, out[i]->typmod);
    }
}

static void node_costs(struct plan_node *n, const struct path *p)
{
    n->startup_cost = p->startup;
    n->total_cost = p->total;
    n->rows = p->rows;
}

/* A node that passes its child's rows on. */
static void planned_push(struct planner *p, struct planned *x, enum plan_kind kind)
{
    struct plan_node *n = plan_node_new(p, kind);
    copy_node_estimates(n, x->node);
    n->outer = x->node;
    x->node = n;
}

static bool key_column(const struct planned *x, const struct order_key *k, uint32_t *column)
{
    *column = expr_list_find(x->out, x->out_count, k->expr);
    for (uint32_t i = 0; *column == UINT32_MAX && k->ec && i < k->ec->members.count; i++)
        *column = expr_list_find(x->out, x->out_count, k->ec->members.items[i].expr);
    return *column != UINT32_MAX;
}

struct plan_sort_key *build_sort_keys(struct level *l, const struct planned *x,
                                      const struct order *o, uint32_t *count)
{
    struct plan_sort_key *keys = ARENA_ARRAY(l->mem, struct plan_sort_key, o->count + 1);
    *count = 0;
    for (uint32_t i = 0; i < o->count; i++) {
        const struct order_key *k = &o->keys[i];
        uint32_t column;
        if (!key_column(x, k, &column))
            break;
        keys[(*count)++] = (struct plan_sort_key){.column = column,
                                                  .type = x->out[column]->type,
                                                  .sort_operator = k->sort_operator,
                                                  .descending = k->descending,
                                                  .nulls_first = k->nulls_first};
    }
    return keys;
}

/* Reads one row by a unique index and does nothing large around it. */
static bool is_short(const struct plan_node *n)
{
    for (; n; n = n->outer) {
        if (n->inner || n->kind == PLAN_APPEND)
            return false;
        if (n->kind == PLAN_INDEX_SCAN)
            return n->scan.index->is_unique &&
                   n->scan.bounds.equal_count == n->scan.index->key_count &&
                   n->scan.bounds.array_column == UINT32_MAX;
        if (n->kind == PLAN_MODIFY && n->modify.command == CMD_INSERT)
            return true;
        if (n->kind != PLAN_RESULT && n->kind != PLAN_SORT && n->kind != PLAN_LIMIT &&
            n->kind != PLAN_AGGREGATE && n->kind != PLAN_LOCK_ROWS && n->kind != PLAN_MODIFY)
            return false;
    }
    return false;
}

static bool has_writes(const struct plan_node *n)
{
    if (!n || fiber_check_stack() != ERR_OK)
        return false;
    return n->kind == PLAN_MODIFY || n->kind == PLAN_LOCK_ROWS || has_writes(n->outer) ||
           has_writes(n->inner);
}

err_t build_gather(struct level *l, struct planned *x, bool writes)
{
    struct planner *p = l->p;
    if (!dist_is_fragment(&x->dist)) {
        x->dist = (struct dist){.kind = DIST_SESSION};
        return ERR_OK;
    }
    struct dist d = x->dist;
    struct plan_node *child = x->node;
    planned_push(p, x, PLAN_GATHER);
    struct plan_node *g = x->node;
    g->gather.target = d.kind == DIST_HOME     ? GATHER_HOME
                       : d.kind == DIST_SPREAD ? GATHER_ALL
                                               : d.target;
    struct dist session = {.kind = DIST_SESSION};
    if (gather_has_key(g->gather.target)) {
        struct fix f = fix_of(l, NULL, &session);
        TRY(build_fix_list(&f, d.keys, d.key_count, &g->gather.key));
        g->gather.key_table = d.key_table;
    }
    if (d.kind == DIST_SPREAD && x->order.count) {
        g->gather.merge = build_sort_keys(l, x, &x->order, &g->gather.merge_count);
        x->order.count = g->gather.merge_count;
    }
    g->gather.writes = writes || has_writes(child);
    g->gather.is_short = d.kind != DIST_SPREAD && is_short(child);
    struct u32_list wanted = p->pending;
    p->pending = (struct u32_list){0};
    struct u32_list initial = {0};
    for (uint32_t i = 0; i < wanted.count; i++) {
        struct subplan_draft *s = p->drafts.items[wanted.items[i]];
        uint32_t index;
        TRY(subplan_shared(l, s, &index));
        p->subplans.items[index].result_param = s->result_param;
        bool known = false;
        for (uint32_t k = 0; k < initial.count; k++)
            known = known || initial.items[k] == index;
        if (!known)
            LIST_ADD(p->mem, &initial, index);
    }
    g->gather.initial = initial.items;
    g->gather.initial_count = initial.count;
    double startup;
    double cost = cost_gather(p, &d, child->rows, &startup);
    g->startup_cost += startup;
    g->total_cost += cost;
    x->dist = session;
    return ERR_OK;
}

/* ---- projection ---- */

static bool out_is(const struct planned *x, struct expr *const *targets, uint32_t count)
{
    if (x->out_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!exprs_match(x->out[i], targets[i]))
            return false;
    return true;
}

struct find_sets {
    struct arena *mem;
    const struct planned *x;
    struct expr_list ready;
    bool any;
};
static err_t visit_sets(struct expr *e, void *ctx, bool *descend)
{
    struct find_sets *f = ctx;
    *descend = true;
    if (expr_list_find(f->x->out, f->x->out_count, e) != UINT32_MAX) {
        *descend = false;
        return ERR_OK;
    }
    if (e->kind != EXPR_CALL || !e->func || !e->func->returns_set)
        return ERR_OK;
    f->any = true;
    struct find_sets below = {.mem = f->mem, .x = f->x};
    for (uint32_t i = 0; i < e->arg_count; i++)
        TRY(expr_walk(e->args[i], visit_sets, &below));
    if (!below.any) {
        *descend = false;
        expr_list_add_new(f->mem, &f->ready, e);
    }
    return ERR_OK;
}

/* Set-returning calls of the targets become columns, innermost first. */
static err_t project_sets(struct level *l, struct planned *x, struct expr *const *targets,
                          uint32_t count)
{
    for (;;) {
        struct find_sets f = {.mem = l->mem, .x = x};
        for (uint32_t i = 0; i < count; i++)
            TRY(expr_walk(targets[i], visit_sets, &f));
        if (!f.any)
            return ERR_OK;
        struct expr_list out = {0};
        bool all = true; /* this step can yield the targets themselves */
        for (uint32_t i = 0; i < count; i++)
            all = all && (!expr_makes_set(targets[i]) ||
                          expr_list_find(f.ready.items, f.ready.count, targets[i]) != UINT32_MAX);
        if (all) {
            for (uint32_t i = 0; i < count; i++)
                expr_list_add(l->mem, &out, targets[i]);
        } else {
            for (uint32_t i = 0; i < x->out_count; i++)
                expr_list_add(l->mem, &out, x->out[i]);
            for (uint32_t i = 0; i < f.ready.count; i++)
                expr_list_add(l->mem, &out, f.ready.items[i]);
        }
        struct fix fx = fix_of(l, x, &x->dist);
        struct expr **fixed;
        TRY(build_fix_list(&fx, out.items, out.count, &fixed));
        planned_push(l->p, x, PLAN_PROJECT_SET);
        x->node->targets = fixed;
        x->node->rows *= 1000;
        x->node->total_cost += x->node->rows * l->p->costs.cpu_tuple;
        planned_set_out(l->p, x, out.items, out.count);
    }
}

err_t build_result(struct level *l, struct planned *x, struct expr *const *targets, uint32_t count,
                   struct expr *filter)
{
    bool sets = false;
    for (uint32_t i = 0; i < count; i++)
        sets = sets || expr_makes_set(targets[i]);
    if (filter && sets) {
        TRY(build_result(l, x, x->out, x->out_count, filter));
        filter = NULL;
    }
    if (sets)
        TRY(project_sets(l, x, targets, count));
    if (!filter && out_is(x, targets, count))
        return ERR_OK;
    struct fix f = fix_of(l, x, &x->dist);
    struct expr **fixed;
    struct expr *test;
    TRY(build_fix_list(&f, targets, count, &fixed));
    TRY(build_fix(&f, filter, &test));
    bool same = out_is(x, targets, count);
    planned_push(l->p, x, PLAN_RESULT);
    x->node->targets = same ? NULL : fixed;
    x->node->filter = test;
    x->node->total_cost += x->node->rows * l->p->costs.cpu_operator;
    planned_set_out(l->p, x, targets, count);
    return ERR_OK;
}

err_t build_sort(struct level *l, struct planned *x, const struct order *o, struct expr *limit,
                 int64_t limit_hint)
{
    if (o->count == 0 || order_satisfies(&x->order, o))
        return ERR_OK;
    uint32_t count;
    struct plan_sort_key *keys = build_sort_keys(l, x, o, &count);
    if (count != o->count)
        return err_raise(ERR_INTERNAL_ERROR, "sort key is not among the columns");
    planned_push(l->p, x, PLAN_SORT);
    x->node->sort.keys = keys;
    x->node->sort.key_count = count;
    x->node->sort.limit_hint = limit_hint;
    x->node->sort.bound = limit;
    cost_sort(l->p, x->node->rows, x->node->width, limit_hint > 0 ? (double)limit_hint : 0,
              x->node->total_cost, &x->node->startup_cost, &x->node->total_cost);
    x->order = *o;
    return ERR_OK;
}

/* ---- scans ---- */

struct used_walk {
    uint32_t columns;
    uint32_t highest;
};
static err_t used_visit(struct expr *e, void *ctx, bool *descend)
{
    struct used_walk *w = ctx;
    *descend = true;
    if (e->kind == EXPR_INPUT && e->input.slot == 0 && e->input.index < w->columns)
        w->highest = MAX(w->highest, e->input.index + 1);
    return ERR_OK;
}

static err_t scan_columns_used(struct level *l, struct plan_node *n)
{
    struct used_walk w = {.columns = n->scan.table->column_count};
    for (uint32_t i = 0; i < n->target_count; i++)
        TRY(expr_walk(n->targets[i], used_visit, &w));
    TRY(expr_walk(n->filter, used_visit, &w));
    /* subplans take their values from the row too */
    for (uint32_t i = 0; i < l->p->subplans.count; i++)
        for (uint32_t k = 0; k < l->p->subplans.items[i].arg_count; k++)
            TRY(expr_walk(l->p->subplans.items[i].args[k], used_visit, &w));
    for (uint32_t i = 0; i < l->p->subplans.count; i++) {
        TRY(expr_walk(l->p->subplans.items[i].test, used_visit, &w));
        TRY(expr_walk(l->p->subplans.items[i].hash_left, used_visit, &w));
    }
    n->scan.table->columns_used = w.highest;
    return ERR_OK;
}

static const struct plan_label *rel_label(struct level *l, const struct rel *r)
{
    const struct range_entry *e = r->entry;
    struct plan_label *b = ARENA_NEW(l->mem, struct plan_label);
    b->alias = e->alias ? e->alias : "";
    b->column_count = e->column_count;
    b->columns = ARENA_ARRAY(l->mem, const char *, e->column_count + 1);
    for (uint32_t i = 0; i < e->column_count; i++)
        b->columns[i] = e->column_names ? e->column_names[i] : NULL;
    if (r->table) {
        b->name = r->table->name;
        b->schema = r->table->schema_name;
    } else if (e->kind == RTE_FUNCTION && r->functions.count == 1 && r->functions.items[0]->func) {
        b->name = r->functions.items[0]->func->name;
    } else if (r->cte) {
        b->name = r->cte->cte->name;
    } else if (e->kind == RTE_VALUES) {
        b->alias = e->alias_given && e->alias ? e->alias : "*VALUES*";
    }
    return b;
}

static err_t build_bounds(struct fix *f, const struct path *path, struct plan_node *n)
{
    const struct plan_index_bounds *b = &path->use->bounds;
    n->scan.bounds = *b;
    TRY(build_fix_list(f, b->equal, b->equal_count, &n->scan.bounds.equal));
    TRY(build_fix(f, b->low, &n->scan.bounds.low));
    TRY(build_fix(f, b->high, &n->scan.bounds.high));
    n->scan.index = &n->scan.table->indexes[path->use->index];
    n->scan.backward = path->use->backward;
    return ERR_OK;
}

static err_t build_leaf_rows(struct level *l, const struct path *path, struct plan_node *n)
{
    const struct rel *r = path->rel;
    struct fix f = fix_of(l, NULL, &path->dist);
    switch (n->kind) {
    case PLAN_VALUES:
        n->values.row_count = r->entry->value_row_count;
        n->values.column_count = r->entry->column_count;
        n->values.rows = ARENA_ARRAY(l->mem, struct expr **, n->values.row_count + 1);
        for (uint32_t i = 0; i < n->values.row_count; i++)
            TRY(build_fix_list(&f, r->entry->values[i], r->entry->column_count,
                               &n->values.rows[i]));
        return ERR_OK;
    case PLAN_FUNCTION_SCAN:
        n->function.call_count = r->functions.count;
        n->function.ordinality = r->entry->with_ordinality;
        for (uint32_t i = 0; i < r->functions.count; i++)
            for (uint32_t k = 0; k < r->functions.items[i]->arg_count; k++)
                if (expr_makes_set(r->functions.items[i]->args[k]))
                    return err_not_built("set-returning functions as arguments of functions in "
                                         "FROM are not supported yet");
        return build_fix_list(&f, r->functions.items, r->functions.count, &n->function.calls);
    case PLAN_CTE_SCAN:
        n->cte.cte = r->cte->index;
        return ERR_OK;
    case PLAN_WORK_TABLE:
        n->cte.cte = r->cte->work_table;
        return ERR_OK;
    case PLAN_VIRTUAL_SCAN:
        n->scan.table = r->table;
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

static enum plan_kind leaf_kind(const struct rel *r)
{
    if (r->table)
        return PLAN_VIRTUAL_SCAN;
    switch (r->entry->kind) {
    case RTE_VALUES:
        return PLAN_VALUES;
    case RTE_FUNCTION:
        return PLAN_FUNCTION_SCAN;
    case RTE_CTE:
        return r->cte->in_progress ? PLAN_WORK_TABLE : PLAN_CTE_SCAN;
    default:
        return PLAN_RESULT;
    }
}

static err_t build_scan(struct level *l, struct path *path, struct expr *const *wanted,
                        uint32_t count, struct planned *out)
{
    struct rel *r = path->rel;
    enum plan_kind kind = path->kind == PATH_SEQ     ? PLAN_SEQ_SCAN
                          : path->kind == PATH_INDEX ? PLAN_INDEX_SCAN
                                                     : leaf_kind(r);
    struct plan_node *n = plan_node_new(l->p, kind);
    n->label = rel_label(l, r);
    struct fix f = fix_of(l, NULL, &path->dist);
    f.row_rte = r->rte;
    f.row_columns = r->entry->column_count;
    f.row_is_table = r->table != NULL && kind != PLAN_VIRTUAL_SCAN;
    if (r->table) {
        n->scan.table = r->table;
        f.row_columns = r->table->column_count;
    }
    if (path->kind == PATH_LEAF)
        TRY(build_leaf_rows(l, path, n));
    TRY(build_fix_list(&f, wanted, count, &n->targets));
    TRY(fix_clauses(&f, path->filter.items, path->filter.count, &n->filter));
    if (path->kind == PATH_INDEX)
        TRY(build_bounds(&f, path, n));
    node_costs(n, path);
    out->node = n;
    planned_set_out(l->p, out, wanted, count);
    return f.row_is_table ? scan_columns_used(l, n) : ERR_OK;
}

static err_t build_subquery(struct level *l, struct path *path, struct expr *const *wanted,
                            uint32_t count, struct planned *out)
{
    struct rel *r = path->rel;
    *out = *r->sub;
    for (uint32_t i = 0; i < r->sub->initial.count; i++)
        LIST_ADD(l->mem, &l->p->pending, r->sub->initial.items[i]);
    out->initial = (struct u32_list){0};
    out->out = ARENA_ARRAY(l->mem, struct expr *, r->sub->out_count + 1);
    for (uint32_t i = 0; i < r->sub->out_count; i++)
        out->out[i] = expr_column_new(l->mem, r->entry, r->rte, (int32_t)i + 1);
    out->dist = path->dist;
    struct expr_list filter = {0};
    for (uint32_t i = 0; i < path->filter.count; i++)
        expr_list_add(l->mem, &filter, path->filter.items[i]->expr);
    bool plain = true;
    for (uint32_t i = 0; i < count; i++)
        plain = plain && wanted[i]->kind == EXPR_COLUMN;
    if (plain && filter.count == 0)
        return ERR_OK;
    TRY(build_result(l, out, wanted, count, expr_and(l->mem, filter.items, filter.count)));
    out->node->rows = path->rows;
    return ERR_OK;
}

/* ---- joins ---- */

static err_t columns_of_rels(struct level *l, struct expr *e, relset set, struct expr_list *out)
{
    struct expr_list all = {0};
    TRY(expr_columns(l->mem, e, &all));
    for (uint32_t i = 0; i < all.count; i++) {
        const struct rel *r = l->rte_rels[all.items[i]->column.rte];
        if (r && set_within(r->set, set))
            expr_list_add_new(l->mem, out, all.items[i]);
    }
    return ERR_OK;
}

static err_t child_wants(struct level *l, const struct path *path, struct expr *const *wanted,
                         uint32_t count, relset set, struct expr_list *out)
{
    for (uint32_t i = 0; i < count; i++)
        TRY(columns_of_rels(l, wanted[i], set, out));
    for (uint32_t i = 0; i < path->conditions.count; i++)
        TRY(columns_of_rels(l, path->conditions.items[i]->expr, set, out));
    for (uint32_t i = 0; i < path->filters.count; i++)
        TRY(columns_of_rels(l, path->filters.items[i]->expr, set, out));
    return ERR_OK;
}

static err_t build_join_sides(struct level *l, struct path *path, struct expr *const *wanted,
                              uint32_t count, struct planned *outer, struct planned *inner,
                              struct plan_node *n)
{
    struct expr_list left = {0};
    struct expr_list right = {0};
    relset outer_set = path->outer->rel->set;
    TRY(child_wants(l, path, wanted, count, outer_set, &left));
    TRY(child_wants(l, path, wanted, count, path->inner->rel->set, &right));
    relset saved = l->outer_rels;
    relset from_outer = path->inner->param & outer_set;
    if (path->kind == PATH_NEST)
        l->outer_rels |= from_outer;
    TRY(build_path(l, path->inner, right.items, right.count, inner));
    l->outer_rels = saved;
    LIST(struct nest_ref) used = {0};
    for (uint32_t i = 0; i < l->nest.count; i++) {
        const struct nest_ref *ref = &l->nest.items[i];
        if (!set_within(l->rte_rels[ref->column->column.rte]->set, from_outer))
            continue;
        expr_list_add_new(l->mem, &left, ref->column);
        LIST_ADD(l->mem, &used, *ref);
    }
    TRY(build_path(l, path->outer, left.items, left.count, outer));
    if (path->kind != PATH_NEST)
        return ERR_OK;
    n->join.nest_params = ARENA_ARRAY(l->mem, struct plan_nest_param, used.count + 1);
    n->join.nest_param_count = used.count;
    for (uint32_t i = 0; i < used.count; i++) {
        uint32_t at = expr_list_find(outer->out, outer->out_count, used.items[i].column);
        if (at == UINT32_MAX)
            return err_raise(ERR_INTERNAL_ERROR, "parameter of a nested loop is not yielded");
        n->join.nest_params[i] = (struct plan_nest_param){used.items[i].param, at};
    }
    return ERR_OK;
}

static err_t build_join_keys(struct fix *f, const struct path *path, struct plan_node *n)
{
    struct arena *mem = f->l->mem;
    uint32_t count = path->key_count;
    relset left = path->outer->rel->set;
    n->join.key_count = count;
    n->join.outer_keys = ARENA_ARRAY(mem, struct expr *, count + 1);
    n->join.inner_keys = ARENA_ARRAY(mem, struct expr *, count + 1);
    n->join.equal = ARENA_ARRAY(mem, const struct func *, count + 1);
    n->join.merge_order = ARENA_ARRAY(mem, struct plan_sort_key, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct clause *c = path->conditions.items[i];
        bool forward = set_within(c->left_rels, left);
        const struct operator_info *o = operator_find(c->op);
        if (!forward && o->left != o->right)
            o = operator_find(o->commutator);
        if (!o)
            return err_raise(ERR_INTERNAL_ERROR, "equality operator has no commutator");
        TRY(build_fix(f, forward ? c->left : c->right, &n->join.outer_keys[i]));
        TRY(build_fix(f, forward ? c->right : c->left, &n->join.inner_keys[i]));
        n->join.equal[i] = func_find(o->function);
        ASSUME(n->join.outer_keys[i] != NULL);
        ASSUME(n->join.inner_keys[i] != NULL);
        oid type = n->join.outer_keys[i]->type;
        if (type != n->join.inner_keys[i]->type &&
            (type == TYPE_INT2 || type == TYPE_INT4)) /* words compare alike as int8 */
            type = TYPE_INT8;
        n->join.merge_order[i] = (struct plan_sort_key){.column = i, .type = type};
    }
    return ERR_OK;
}

static err_t build_join(struct level *l, struct path *path, struct expr *const *wanted,
                        uint32_t count, struct planned *out)
{
    enum plan_kind kind = path->kind == PATH_NEST   ? PLAN_NESTED_LOOP
                          : path->kind == PATH_HASH ? PLAN_HASH_JOIN
                                                    : PLAN_MERGE_JOIN;
    struct plan_node *n = plan_node_new(l->p, kind);
    struct planned outer = {0};
    struct planned inner = {0};
    TRY(build_join_sides(l, path, wanted, count, &outer, &inner, n));
    struct fix f = fix_of(l, &outer, &path->dist);
    f.inner = inner.out;
    f.inner_count = inner.out_count;
    n->join.type = path->join;
    uint32_t keys = path->key_count;
    TRY(build_join_keys(&f, path, n));
    TRY(fix_clauses(&f, path->conditions.items + keys, path->conditions.count - keys,
                    &n->join.condition));
    TRY(fix_clauses(&f, path->filters.items, path->filters.count, &n->filter));
    TRY(build_fix_list(&f, wanted, count, &n->targets));
    n->outer = outer.node;
    n->inner = inner.node;
    node_costs(n, path);
    out->node = n;
    planned_set_out(l->p, out, wanted, count);
    return ERR_OK;
}

/* ---- all ---- */

static err_t build_sort_path(struct level *l, struct path *path, struct expr *const *wanted,
                             uint32_t count, struct planned *out)
{
    struct expr_list want = {0};
    for (uint32_t i = 0; i < count; i++)
        expr_list_add_new(l->mem, &want, wanted[i]);
    for (uint32_t i = 0; i < path->order.count; i++)
        expr_list_add_new(l->mem, &want, path->order.keys[i].expr);
    TRY(build_path(l, path->outer, want.items, want.count, out));
    out->order = (struct order){0};
    return build_sort(l, out, &path->order, NULL, -1);
}

static err_t build_unique(struct level *l, struct path *path, struct planned *out)
{
    TRY(build_path(l, path->outer, path->unique.items, path->unique.count, out));
    if (!out_is(out, path->unique.items, path->unique.count))
        TRY(build_result(l, out, path->unique.items, path->unique.count, NULL));
    planned_push(l->p, out, PLAN_DISTINCT);
    out->node->distinct.key_count = path->unique.count;
    return ERR_OK;
}

static err_t build_filter(struct level *l, struct path *path, struct expr *const *wanted,
                          uint32_t count, struct planned *out)
{
    struct expr_list want = {0};
    struct expr_list tests = {0};
    for (uint32_t i = 0; i < count; i++)
        TRY(columns_of_rels(l, wanted[i], path->rel->set, &want));
    for (uint32_t i = 0; i < path->filter.count; i++) {
        TRY(columns_of_rels(l, path->filter.items[i]->expr, path->rel->set, &want));
        expr_list_add(l->mem, &tests, path->filter.items[i]->expr);
    }
    TRY(build_path(l, path->outer, want.items, want.count, out));
    return build_result(l, out, wanted, count, expr_and(l->mem, tests.items, tests.count));
}

err_t build_path(struct level *l, struct path *path, struct expr *const *wanted, uint32_t count,
                 struct planned *out)
{
    TRY(fiber_check_stack());
    *out = (struct planned){.dist = path->dist, .order = path->order};
    switch (path->kind) {
    case PATH_SEQ:
    case PATH_INDEX:
    case PATH_LEAF:
        TRY(build_scan(l, path, wanted, count, out));
        break;
    case PATH_SUBQUERY:
        TRY(build_subquery(l, path, wanted, count, out));
        break;
    case PATH_NEST:
    case PATH_HASH:
    case PATH_MERGE:
        TRY(build_join(l, path, wanted, count, out));
        break;
    case PATH_SORT:
        TRY(build_sort_path(l, path, wanted, count, out));
        node_costs(out->node, path);
        break;
    case PATH_MATERIALIZE:
        TRY(build_path(l, path->outer, wanted, count, out));
        planned_push(l->p, out, PLAN_MATERIALIZE);
        node_costs(out->node, path);
        break;
    case PATH_GATHER:
        TRY(build_path(l, path->outer, wanted, count, out));
        out->order = path->order;
        TRY(build_gather(l, out, false));
        node_costs(out->node, path);
        break;
    case PATH_FILTER:
        TRY(build_filter(l, path, wanted, count, out));
        node_costs(out->node, path);
        break;
    case PATH_UNIQUE:
        TRY(build_unique(l, path, out));
        node_costs(out->node, path);
        break;
    }
    out->order = path->order;
    out->dist = path->dist;
    return ERR_OK;
}
