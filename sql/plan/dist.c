/*
 * Where rows are, and what may be evaluated there.
 *
 * An expression fits a fragment unless it suspends (services of the session), shows or reads names
 * of objects (regclass and its like), takes sequence numbers, or holds a subplan that reads rows
 * which the fragment's shard does not have. A subplan that does not depend on the row is no
 * obstacle: it is run before the fragment opens.
 */
#include "sql/plan/plan_priv.h"

bool dist_is_fragment(const struct dist *d)
{
    return d->kind == DIST_HOME || d->kind == DIST_SINGLE || d->kind == DIST_SPREAD;
}

bool dist_is_same(const struct dist *a, const struct dist *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == DIST_SINGLE) {
        if (a->target != b->target)
            return false;
        if (!gather_has_key(a->target))
            return true;
        if (a->key_count != b->key_count ||
            (a->target == GATHER_MAP && a->key_table->oid != b->key_table->oid))
            return false;
        for (uint32_t i = 0; i < a->key_count; i++)
            if (!exprs_match(a->keys[i], b->keys[i]) ||
                !types_hash_alike(a->key_table->shard_key_columns[i].type->oid,
                                  b->key_table->shard_key_columns[i].type->oid))
                return false;
        return true;
    }
    if (a->kind == DIST_SPREAD) {
        if (a->key_count != b->key_count)
            return false;
        for (uint32_t i = 0; i < a->key_count; i++)
            if (!exprs_match(a->keys[i], b->keys[i]))
                return false;
    }
    return true;
}

static bool keys_joined(struct level *l, const struct expr *a, const struct expr *b,
                        const struct clause_list *clauses)
{
    struct eclass *ec = eclass_find(l, a);
    if (ec && ec == eclass_find(l, b))
        return true;
    for (uint32_t i = 0; clauses && i < clauses->count; i++) {
        const struct clause *c = clauses->items[i];
        if (c->is_equality && ((exprs_match(c->left, a) && exprs_match(c->right, b)) ||
                               (exprs_match(c->left, b) && exprs_match(c->right, a))))
            return true;
    }
    return false;
}

static bool spread_colocated(struct level *l, const struct dist *a, const struct dist *b,
                             const struct clause_list *clauses)
{
    if (a->key_count == 0 || a->key_count != b->key_count)
        return false;
    for (uint32_t i = 0; i < a->key_count; i++)
        if (!types_hash_alike(a->keys[i]->type, b->keys[i]->type) ||
            !keys_joined(l, a->keys[i], b->keys[i], clauses))
            return false;
    return true;
}

bool dist_join(struct level *l, const struct dist *a, const struct dist *b, enum join_type type,
               const struct clause_list *clauses, struct dist *out)
{
    const struct dist any = {.kind = DIST_ANY};
    if (a->kind == DIST_SESSION || b->kind == DIST_SESSION) {
        *out = (struct dist){.kind = DIST_SESSION};
        return !dist_is_fragment(a) && !dist_is_fragment(b);
    }
    if (a->kind == DIST_ANY && b->kind == DIST_ANY) {
        *out = any;
        return true;
    }
    if (a->kind == DIST_SPREAD && b->kind == DIST_SPREAD) {
        *out = *a;
        if (!spread_colocated(l, a, b, clauses))
            return false;
        if (type == JOIN_RIGHT)
            *out = *b;
        if (type == JOIN_FULL)
            out->key_count = 0;
        return true;
    }
    if (a->kind == DIST_SPREAD || b->kind == DIST_SPREAD) {
        bool left = a->kind == DIST_SPREAD;
        *out = left ? *a : *b;
        if ((left ? b : a)->kind == DIST_SINGLE)
            return false;
        /* the other side's rows are on every shard: it must not be the preserved one */
        return type == JOIN_INNER ||
               (left && (type == JOIN_LEFT || type == JOIN_SEMI || type == JOIN_ANTI)) ||
               (!left && type == JOIN_RIGHT);
    }
    if (a->kind == DIST_SINGLE && b->kind == DIST_SINGLE) {
        *out = *a;
        return dist_is_same(a, b);
    }
    *out = a->kind == DIST_SINGLE   ? *a
           : b->kind == DIST_SINGLE ? *b
           : a->kind == DIST_HOME   ? *a
                                    : *b;
    return true;
}

struct fit_walk {
    struct planner *p;
    const struct dist *d; /* NULL: only what is true of every fragment */
    bool bad;
};

static bool subplan_fits(const struct subplan_draft *s, const struct dist *d)
{
    if (s->sub.dist.kind == DIST_ANY)
        return true;
    if (s->sub.dist.kind == DIST_SESSION || s->sub.dist.kind == DIST_SPREAD)
        return false; /* needs more than one shard's rows */
    if (!d)
        return true;
    return s->sub.dist.kind == DIST_HOME ? dist_is_fragment(d) : dist_is_same(&s->sub.dist, d);
}

/* Values of the type are read and written by names that only the session can look up. */
static bool type_has_names(oid type)
{
    static const oid named[] = {TYPE_REGPROC,      TYPE_REGPROCEDURE, TYPE_REGOPER,
                                TYPE_REGOPERATOR,  TYPE_REGCLASS,     TYPE_REGTYPE,
                                TYPE_REGNAMESPACE, TYPE_REGROLE,      TYPE_REGCOLLATION,
                                TYPE_ACLITEM,      TYPE_RECORD};
    const struct type_info *t = type_find(type);
    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        if (type == named[i] || (t && t->element == named[i]))
            return true;
    return false;
}

/* A function of anything may write it as text. */
static bool call_has_names(const struct expr *e)
{
    static const oid any[] = {TYPE_ANY, TYPE_ANYELEMENT, TYPE_ANYARRAY, TYPE_ANYNONARRAY};
    for (uint32_t i = 0; e->func && i < e->arg_count; i++) {
        uint32_t last = e->func->arg_count ? (uint32_t)e->func->arg_count - 1 : 0;
        uint32_t declared = MIN(i, last);
        for (size_t k = 0; e->func->arg_count && k < ARRAY_LEN(any); k++)
            if (e->func->args[declared] == any[k] && type_has_names(e->args[i]->type))
                return true;
    }
    return false;
}

static err_t fit_visit(struct expr *e, void *ctx, bool *descend)
{
    struct fit_walk *w = ctx;
    switch (e->kind) {
    case EXPR_NEXTVAL:
        w->bad = true;
        break;
    case EXPR_CALL:
    case EXPR_AGGREGATE:
        if (e->func && (e->func->suspends || call_has_names(e)))
            w->bad = true;
        break;
    case EXPR_IO_CAST:
        if (type_has_names(e->type) || type_has_names(e->args[0]->type))
            w->bad = true;
        break;
    case EXPR_SUBPLAN: {
        const struct subplan_draft *s = w->p->drafts.items[e->subplan.index];
        bool once =
            !s->is_correlated && (s->subkind == SUBQUERY_SCALAR || s->subkind == SUBQUERY_EXISTS ||
                                  s->subkind == SUBQUERY_ARRAY);
        if (w->d && w->d->kind == DIST_ANY) {
            if (s->sub.dist.kind != DIST_ANY)
                w->bad = true;
        } else if (!once && !subplan_fits(s, w->d)) {
            w->bad = true;
        }
        break;
    }
    default:
        break;
    }
    *descend = !w->bad;
    return ERR_OK;
}

bool expr_fits(struct planner *p, struct expr *e, const struct dist *d)
{
    if (!e || d->kind == DIST_SESSION)
        return true;
    struct fit_walk w = {.p = p, .d = d};
    return expr_walk(e, fit_visit, &w) == ERR_OK && !w.bad;
}

bool exprs_fit(struct planner *p, struct expr *const *items, uint32_t count, const struct dist *d)
{
    for (uint32_t i = 0; i < count; i++)
        if (!expr_fits(p, items[i], d))
            return false;
    return true;
}

bool expr_needs_session(struct planner *p, struct expr *e)
{
    struct fit_walk w = {.p = p};
    return expr_walk(e, fit_visit, &w) != ERR_OK || w.bad;
}

/* A value for the key column from the restrictions; NULL when there is none. */
static struct expr *key_value(struct level *l, const struct rel *r, int16_t attno,
                              const struct type_info *type)
{
    for (uint32_t i = 0; i < r->clauses.count; i++) {
        const struct clause *c = r->clauses.items[i];
        const struct expr *e = c->expr;
        if (e->kind != EXPR_CALL || e->arg_count != 2 || operator_strategy(e->oper_oid) != 3)
            continue;
        for (uint32_t side = 0; side < 2; side++) {
            const struct expr *column = expr_strip_relabel(e->args[side]);
            struct expr *value = e->args[1 - side];
            if (column->kind != EXPR_COLUMN || column->column.rte != r->rte ||
                column->column.attno != attno || column->column.levels_up != 0 ||
                !types_hash_alike(type->oid, value->type))
                continue;
            struct expr_list columns = {0};
            if (expr_columns(l->mem, value, &columns) == ERR_OK && columns.count == 0 &&
                !expr_is_volatile(value) && !expr_kind_within(value, EXPR_SUBPLAN))
                return value;
        }
    }
    return NULL;
}

/* A value of this type has the bytes of the equal one in an index on the column, if there is one.
 */
static bool index_finds(oid column, oid value)
{
    return (type_is_integer(column) && type_is_integer(value)) || types_sort_alike(column, value);
}

/* The values for all columns of a unique index that has a map table: it says where the row is. */
static bool dist_by_map(struct level *l, struct rel *r, const struct plan_index *x)
{
    const struct plan_table *map = x->map_table;
    if (map == NULL || !x->is_valid || x->is_deferrable || x->predicate != NULL ||
        map->index_count == 0)
        return false;
    struct expr **keys = ARENA_ARRAY(l->mem, struct expr *, x->key_count);
    for (uint32_t i = 0; i < x->key_count; i++) {
        if (x->attnos[i] > 0)
            keys[i] = key_value(l, r, x->attnos[i], x->key_columns[i].type);
        if (keys[i] == NULL || !index_finds(x->key_columns[i].type->oid, keys[i]->type))
            return false;
    }
    r->dist = (struct dist){DIST_SINGLE, GATHER_MAP, keys, x->key_count, x->map_table};
    return true;
}

static bool dist_by_a_map(struct level *l, struct rel *r)
{
    for (uint32_t i = 0; i < r->table->index_count; i++)
        if (dist_by_map(l, r, &r->table->indexes[i]))
            return true;
    return false;
}

void dist_of_table(struct level *l, struct rel *r)
{
    const struct plan_table *t = r->table;
    r->dist = (struct dist){.kind = DIST_SESSION};
    if (t->distribution == DISTRIBUTED_NONE || t->virtual_name)
        return;
    r->dist.kind = DIST_SINGLE;
    r->dist.target = GATHER_ALL;
    if (l->p->shards == 1)
        return;
    switch (t->distribution) {
    case DISTRIBUTED_SHARD_0:
        r->dist.target = GATHER_SHARD_0;
        return;
    case DISTRIBUTED_REPLICATED:
        r->dist.kind = DIST_HOME;
        r->dist.target = GATHER_HOME;
        return;
    case DISTRIBUTED_KEYLESS:
    case DISTRIBUTED_NONE:
        if (!dist_by_a_map(l, r))
            r->dist.kind = DIST_SPREAD;
        return;
    case DISTRIBUTED_HASH:
        break;
    }
    uint32_t count = t->shard_key_count;
    struct expr **keys = ARENA_ARRAY(l->mem, struct expr *, count);
    bool all = count > 0;
    for (uint32_t i = 0; all && i < count; i++) {
        keys[i] = key_value(l, r, t->shard_key[i], t->shard_key_columns[i].type);
        all = keys[i] != NULL;
    }
    if (all) {
        r->dist = (struct dist){DIST_SINGLE, GATHER_KEY, keys, count, r->table};
        return;
    }
    if (dist_by_a_map(l, r))
        return;
    for (uint32_t i = 0; i < count; i++)
        keys[i] = expr_column_new(l->mem, r->entry, r->rte, t->shard_key[i]);
    r->dist = (struct dist){DIST_SPREAD, GATHER_ALL, keys, count, r->table};
}
