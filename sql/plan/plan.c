/* The planner's entry: one statement from its analysed query to a finished plan. */
#include "sql/plan/plan_priv.h"

SUSPENDS err_t plan_hold_table_wait(struct planner *p, oid table, const struct table_desc **out)
{
    for (uint32_t i = 0; i < p->held.count; i++)
        if (p->held.items[i]->oid == table) {
            *out = p->held.items[i];
            return ERR_OK;
        }
    TRY(table_by_oid_wait(p->o->catalog, table, out));
    if (!*out)
        return err_raise(ERR_UNDEFINED_TABLE, "relation with OID %u does not exist", table);
    LIST_ADD(p->mem, &p->held, *out);
    return ERR_OK;
}

void plan_lock_add(struct planner *p, oid table, enum table_lock_mode mode)
{
    for (uint32_t i = 0; i < p->locks.count; i++)
        if (p->locks.items[i].table == table) {
            p->locks.items[i].mode = MAX(p->locks.items[i].mode, mode);
            return;
        }
    LIST_ADD(p->mem, &p->locks, ((struct plan_lock){table, mode}));
}

uint32_t plan_exec_param(struct planner *p)
{
    return p->plan->exec_param_count++;
}

struct plan_node *plan_node_new(struct planner *p, enum plan_kind kind)
{
    struct plan_node *n = ARENA_NEW(p->mem, struct plan_node);
    n->kind = kind;
    return n;
}

static void planner_costs(struct planner *p)
{
    const struct settings_view *v = p->o->env ? p->o->env->settings : NULL;
    p->costs = (struct costs){
        .seq_page = setting_real(v, SET_seq_page_cost),
        .random_page = setting_real(v, SET_random_page_cost),
        .cpu_tuple = setting_real(v, SET_cpu_tuple_cost),
        .cpu_index_tuple = setting_real(v, SET_cpu_index_tuple_cost),
        .cpu_operator = setting_real(v, SET_cpu_operator_cost),
        .cache_pages = (double)setting_int(v, SET_effective_cache_size),
        .work_bytes = (double)setting_int(v, SET_work_mem) * 1024,
        .seqscan = setting_bool(v, SET_enable_seqscan),
        .indexscan = setting_bool(v, SET_enable_indexscan),
        .nestloop = setting_bool(v, SET_enable_nestloop),
        .hashjoin = setting_bool(v, SET_enable_hashjoin),
        .mergejoin = setting_bool(v, SET_enable_mergejoin),
        .sort = setting_bool(v, SET_enable_sort),
        .hashagg = setting_bool(v, SET_enable_hashagg),
        .material = setting_bool(v, SET_enable_material),
    };
}

SUSPENDS err_t plan_level_wait(struct planner *p, struct level *parent, const struct query *q,
                               double fraction, struct planned *out)
{
    TRY(fiber_check_stack());
    struct level *l = ARENA_NEW(p->mem, struct level);
    l->p = p;
    l->parent = parent;
    l->mem = p->mem;
    l->q = arena_memdup(p->mem, q, sizeof(*q));
    *out = (struct planned){0};
    TRY(prepare_level_wait(l));
    uint32_t first = p->pending.count;
    /* What changes rows runs whether it is read or not. */
    for (uint32_t i = 0; i < l->q->cte_count; i++)
        if (l->q->ctes[i].query->command != CMD_SELECT)
            TRY(cte_plan_wait(l, l->ctes[i]));
    if (q->set_tree) {
        TRY(setop_plan_wait(l, out));
    } else {
        TRY(deconstruct_wait(l));
        if (q->command == CMD_INSERT) {
            TRY(plan_hold_table_wait(p, q->rtes[q->target_rte]->table, &l->target_desc));
            TRY(plan_table_from_desc_wait(p->o, l->target_desc, true, p->mem, &l->target));
        }
        if (q->command == CMD_SELECT)
            TRY(upper_plan(l, fraction, out));
        else
            TRY(modify_plan(l, out));
    }
    /* What this tree wants of a fragment around it goes along with it. */
    for (uint32_t i = first; i < p->pending.count; i++)
        LIST_ADD(p->mem, &out->initial, p->pending.items[i]);
    p->pending.count = first;
    return ERR_OK;
}

static err_t plan_locks_entry(struct query_map *m, struct range_entry *e, uint32_t depth)
{
    (void)depth;
    if (e->table != OID_NONE)
        plan_lock_add(m->ctx, e->table, LOCK_ACCESS_SHARE);
    return ERR_OK;
}

static err_t plan_copy_expr(struct query_map *m, const struct expr *e, uint32_t depth,
                            struct expr **out)
{
    (void)m, (void)e, (void)depth, (void)out;
    return ERR_OK;
}

static err_t plan_number(struct plan *plan, struct plan_node *n)
{
    TRY(fiber_check_stack());
    if (!n || n->id != 0)
        return ERR_OK;
    n->id = ++plan->node_count; /* 1-based here, see plan_number_all */
    TRY(plan_number(plan, n->outer));
    TRY(plan_number(plan, n->inner));
    if (n->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < n->append.count; i++)
            TRY(plan_number(plan, n->append.children[i]));
    return ERR_OK;
}

static err_t plan_rebase(struct plan_node *n)
{
    TRY(fiber_check_stack());
    if (!n || n->code) /* code is exec's; used here as "visited" and cleared below */
        return ERR_OK;
    n->code = (struct node_code *)(void *)n;
    ASSERT(n->id > 0);
    n->id--;
    TRY(plan_rebase(n->outer));
    TRY(plan_rebase(n->inner));
    if (n->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < n->append.count; i++)
            TRY(plan_rebase(n->append.children[i]));
    return ERR_OK;
}

static void plan_clear(struct plan_node *n)
{
    if (!n || !n->code)
        return;
    n->code = NULL;
    plan_clear(n->outer);
    plan_clear(n->inner);
    if (n->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < n->append.count; i++)
            plan_clear(n->append.children[i]);
}

static err_t plan_each_root(struct plan *plan, err_t (*fn)(struct plan *plan, struct plan_node *n))
{
    TRY(fn(plan, plan->root));
    for (uint32_t i = 0; i < plan->cte_count; i++)
        TRY(fn(plan, plan->ctes[i]));
    for (uint32_t i = 0; i < plan->subplan_count; i++)
        TRY(fn(plan, plan->subplans[i].root));
    return ERR_OK;
}

static err_t plan_root_rebase(struct plan *plan, struct plan_node *n)
{
    (void)plan;
    return plan_rebase(n);
}
static err_t plan_root_clear(struct plan *plan, struct plan_node *n)
{
    (void)plan;
    plan_clear(n);
    return ERR_OK;
}

static err_t plan_number_all(struct plan *plan)
{
    TRY(plan_each_root(plan, plan_number));
    TRY(plan_each_root(plan, plan_root_rebase));
    return plan_each_root(plan, plan_root_clear);
}

static void plan_columns(struct plan *plan, const struct target *targets, uint32_t count)
{
    plan->column_names = ARENA_ARRAY(plan->mem, const char *, count + 1);
    plan->column_types = ARENA_ARRAY(plan->mem, oid, count + 1);
    plan->column_typmods = ARENA_ARRAY(plan->mem, int32_t, count + 1);
    plan->column_tables = ARENA_ARRAY(plan->mem, oid, count + 1);
    plan->column_numbers = ARENA_ARRAY(plan->mem, int16_t, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct target *t = &targets[i];
        if (t->junk)
            continue;
        uint32_t n = plan->column_count++;
        plan->column_names[n] = t->name ? arena_strdup(plan->mem, t->name) : "?column?";
        plan->column_types[n] = t->expr->type;
        plan->column_typmods[n] = t->expr->typmod;
        plan->column_tables[n] = t->origin_table;
        plan->column_numbers[n] = t->origin_column;
    }
}

static SUSPENDS err_t plan_make_wait(struct planner *p, const struct query *q)
{
    struct plan *plan = p->plan;
    struct query_map m = {.mem = p->mem, .fn = plan_copy_expr, .entry = plan_locks_entry, .ctx = p};
    struct query *copy;
    TRY(query_map_run(&m, q, &copy));
    for (uint32_t i = 0; i < q->row_mark_count; i++)
        if (q->rtes[q->row_marks[i].rte]->table)
            plan_lock_add(p, q->rtes[q->row_marks[i].rte]->table, LOCK_ROW_SHARE);
    struct planned top;
    TRY(plan_level_wait(p, NULL, copy, p->o->fetch_fraction, &top));
    struct level none = {.p = p, .mem = p->mem};
    for (uint32_t i = 0; i < top.initial.count; i++)
        LIST_ADD(p->mem, &p->pending, top.initial.items[i]);
    TRY(build_gather(&none, &top, false));
    plan->root = top.node;
    plan->subplans = p->subplans.items;
    plan->subplan_count = p->subplans.count;
    plan->ctes = p->ctes.items;
    plan->cte_count = p->ctes.count;
    plan->cte_names = p->cte_names.items;
    plan->locks = p->locks.items;
    plan->lock_count = p->locks.count;
    plan->modifies_in_with = q->has_modifying_cte;
    plan->writes = q->command != CMD_SELECT || q->row_mark_count > 0 || q->has_modifying_cte;
    plan->returns_rows = q->command == CMD_SELECT || q->returning_count > 0;
    if (q->command == CMD_SELECT)
        plan_columns(plan, q->targets, q->target_count);
    else
        plan_columns(plan, q->returning, q->returning_count);
    return plan_number_all(plan);
}

SUSPENDS err_t plan_query_wait(const struct plan_options *o, const struct query *q,
                               struct arena *mem, struct plan **out)
{
    ASSERT(q->command != CMD_UTILITY);
    struct planner p = {.o = o, .mem = mem, .shards = shard_count()};
    p.plan = ARENA_NEW(mem, struct plan);
    p.plan->command = q->command;
    p.plan->mem = mem;
    p.plan->catalog_version = catalog_version();
    p.plan->exec_param_count = q->exec_param_count;
    p.own_params = q->exec_param_count;
    planner_costs(&p);
    bool met_before = o->catalog->txn_met_temporary;
    o->catalog->txn_met_temporary = false;
    err_t e = plan_make_wait(&p, q);
    p.plan->meets_temporary = o->catalog->txn_met_temporary;
    o->catalog->txn_met_temporary |= met_before;
    for (uint32_t i = 0; i < p.held.count; i++)
        table_release(p.held.items[i]);
    *out = e == ERR_OK ? p.plan : NULL;
    return e;
}
