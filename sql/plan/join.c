/*
 * Joining: which orders are legal, which algorithm and place is cheapest.
 *
 * Dynamic programming over sets of relations (Selinger et al., 1979) up to JOIN_SEARCH_MAX
 * relations; beyond that greedily the pair with the smallest result. A join is made where its
 * inputs are when they are in one place (dist_join), else on the session's core over gathers.
 */
#include "sql/plan/plan_priv.h"

#include <math.h>

/* ---- legality ---- */

static bool join_is_legal(struct level *l, relset left, relset right, struct special **special,
                          bool *reversed)
{
    relset both = left | right;
    *special = NULL;
    *reversed = false;
    for (uint32_t i = 0; i < l->specials.count; i++) {
        struct special *s = l->specials.items[i];
        relset whole = s->min_left | s->min_right;
        if (set_within(whole, left) || set_within(whole, right))
            continue; /* done already */
        if (s->type == JOIN_FULL && set_meets(both, s->min_left) &&
            !set_within(both, s->min_left) && !(left == s->min_left && right == s->min_right) &&
            !(right == s->min_left && left == s->min_right))
            return false;
        if (!set_meets(both, s->min_right) || set_within(both, s->min_right))
            continue;
        bool forward = set_within(s->min_left, left) && right == s->min_right;
        bool backward = set_within(s->min_left, right) && left == s->min_right;
        if ((!forward && !backward) || *special)
            return false;
        *special = s;
        *reversed = backward;
    }
    return true;
}

static bool rels_connected(struct level *l, relset a, relset b)
{
    for (uint32_t i = 0; i < l->eclasses.count; i++) {
        const struct eclass *ec = l->eclasses.items[i];
        if (!ec->merged_into && !ec->constant && set_meets(ec->rels, a) && set_meets(ec->rels, b))
            return true;
    }
    for (uint32_t i = 0; i < l->joins.count; i++)
        if (set_meets(l->joins.items[i]->rels, a) && set_meets(l->joins.items[i]->rels, b))
            return true;
    for (uint32_t i = 0; i < l->specials.count; i++) {
        const struct special *s = l->specials.items[i];
        if ((set_within(s->min_left, a) && set_within(s->min_right, b)) ||
            (set_within(s->min_left, b) && set_within(s->min_right, a)))
            return true;
        for (uint32_t k = 0; k < s->clauses.count; k++)
            if (set_meets(s->clauses.items[k]->rels, a) && set_meets(s->clauses.items[k]->rels, b))
                return true;
    }
    for (uint32_t i = 0; i < l->rels.count; i++) {
        const struct rel *r = l->rels.items[i];
        if ((set_within(r->set, a) && set_meets(r->lateral, b)) ||
            (set_within(r->set, b) && set_meets(r->lateral, a)))
            return true;
    }
    return false;
}

static relset lateral_of(struct level *l, relset set)
{
    relset s = 0;
    for (uint32_t i = 0; i < l->rels.count; i++)
        if (set_within(l->rels.items[i]->set, set))
            s |= l->rels.items[i]->lateral;
    return s & ~set;
}

/* ---- sizes ---- */

static double join_rows(struct level *l, const struct rel *outer, const struct rel *inner,
                        enum join_type type, const struct clause_list *conditions,
                        const struct clause_list *filters)
{
    double match = clause_list_selectivity(l, conditions);
    double kept = clause_list_selectivity(l, filters);
    double pairs = outer->rows * inner->rows * match;
    double some = MIN(1.0, inner->rows * match);
    switch (type) {
    case JOIN_INNER:
        return clamp_rows(pairs * kept);
    case JOIN_LEFT:
        return clamp_rows(MAX(pairs, outer->rows) * kept);
    case JOIN_RIGHT:
        return clamp_rows(MAX(pairs, inner->rows) * kept);
    case JOIN_FULL:
        return clamp_rows(MAX(pairs, MAX(outer->rows, inner->rows)) * kept);
    case JOIN_SEMI:
        return clamp_rows(outer->rows * some * kept);
    case JOIN_ANTI:
        return clamp_rows(outer->rows * MAX(1 - some, 0.01) * kept);
    }
    return 1;
}

/* ---- paths ---- */

struct join_step {
    struct level *l;
    struct rel *rel; /* result */
    struct rel *outer;
    struct rel *inner;
    enum join_type type;
    struct clause_list conditions;
    struct clause_list filters;
    struct clause_list hash; /* the conditions that are hash keys */
    struct clause_list merge;
};

static bool clauses_fit(struct level *l, const struct clause_list *list, const struct dist *d)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (!expr_fits(l->p, list->items[i]->expr, d))
            return false;
    return true;
}

/* Where it is made; inputs are gathered when they are not in one place. */
static void join_place(struct join_step *s, struct path **outer, struct path **inner,
                       struct dist *out)
{
    if (dist_join(s->l, &(*outer)->dist, &(*inner)->dist, s->type, &s->conditions, out) &&
        clauses_fit(s->l, &s->conditions, out) && clauses_fit(s->l, &s->filters, out))
        return;
    *outer = path_gather(s->l, *outer);
    *inner = path_gather(s->l, *inner);
    *out = (struct dist){.kind = DIST_SESSION};
}

static struct path *join_path(struct join_step *s, enum path_kind kind, struct path *outer,
                              struct path *inner, const struct dist *d)
{
    struct path *p = path_new(s->l, kind, s->rel);
    p->outer = outer;
    p->inner = inner;
    p->join = s->type;
    p->dist = *d;
    p->filters = s->filters;
    p->rows = s->rel->rows;
    p->param = (outer->param | inner->param) & ~s->rel->set;
    return p;
}

static bool has_clause(const struct clause_list *list, const struct clause *c)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i] == c || (c->ec && list->items[i]->ec == c->ec && !c->ec->constant))
            return true;
    return false;
}

static double rescan_cost(const struct path *p)
{
    return p->kind == PATH_MATERIALIZE ? p->total - p->outer->total : p->total;
}

static void nest_path(struct join_step *s, struct path *outer, struct path *inner)
{
    struct level *l = s->l;
    const struct costs *c = &l->p->costs;
    struct dist d;
    bool bound = set_meets(inner->param, s->outer->set);
    join_place(s, &outer, &inner, &d);
    if (!bound && c->material && inner->kind != PATH_MATERIALIZE && outer->rows > 1 &&
        (inner->kind != PATH_LEAF || inner->rel->entry->kind != RTE_VALUES))
        inner = path_materialize(l, inner);
    struct path *p = join_path(s, PATH_NEST, outer, inner, &d);
    for (uint32_t i = 0; i < s->conditions.count; i++)
        if (!has_clause(&inner->applied, s->conditions.items[i]))
            clause_list_add(l->mem, &p->conditions, s->conditions.items[i]);
    p->order = outer->order;
    double pairs = outer->rows * inner->rows;
    if (s->type == JOIN_SEMI || s->type == JOIN_ANTI)
        pairs *= 0.5;
    double check = c->cpu_tuple + cost_clauses(l->p, &p->conditions);
    p->startup = outer->startup + inner->startup + (c->nestloop ? 0 : 1e10);
    p->total = outer->total + (c->nestloop ? 0 : 1e10) + inner->total +
               MAX(outer->rows - 1, 0.0) * rescan_cost(inner) + pairs * check +
               p->rows * cost_clauses(l->p, &p->filters);
    path_add(l, s->rel, p);
}

static void key_conditions(struct join_step *s, struct path *p, const struct clause_list *keys)
{
    for (uint32_t i = 0; i < keys->count; i++)
        clause_list_add(s->l->mem, &p->conditions, keys->items[i]);
    p->key_count = p->conditions.count;
    for (uint32_t i = 0; i < s->conditions.count; i++)
        clause_list_add(s->l->mem, &p->conditions, s->conditions.items[i]);
}

static void hash_path(struct join_step *s, struct path *outer, struct path *inner)
{
    struct level *l = s->l;
    const struct costs *c = &l->p->costs;
    struct dist d;
    join_place(s, &outer, &inner, &d);
    struct path *p = join_path(s, PATH_HASH, outer, inner, &d);
    key_conditions(s, p, &s->hash);
    double keys = p->key_count * c->cpu_operator;
    double bytes = inner->rows * ((double)s->inner->width + 32);
    double spill = 0;
    if (bytes > c->work_bytes)
        spill =
            c->seq_page * 2 * ceil((bytes + outer->rows * ((double)s->outer->width + 32)) / 8192);
    double tests = cost_clauses(l->p, &p->conditions) + cost_clauses(l->p, &p->filters);
    p->startup = outer->startup + inner->total + inner->rows * (keys + c->cpu_tuple) +
                 (c->hashjoin ? 0 : 1e10);
    p->total = p->startup + (outer->total - outer->startup) + outer->rows * keys + spill +
               p->rows * (c->cpu_tuple + tests);
    path_add(l, s->rel, p);
}

static void side_order(struct join_step *s, const struct clause_list *keys, bool outer,
                       struct order *out)
{
    relset set = outer ? s->outer->set : s->inner->set;
    *out = (struct order){0};
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct clause *c = keys->items[i];
        struct expr *e = set_within(c->left_rels, set) ? c->left : c->right;
        order_add(s->l, out, e, e->type, OID_NONE, false, false);
    }
}

static void merge_path(struct join_step *s, struct path *outer, struct path *inner)
{
    struct level *l = s->l;
    const struct costs *c = &l->p->costs;
    struct order left;
    struct order right;
    side_order(s, &s->merge, true, &left);
    side_order(s, &s->merge, false, &right);
    if (left.count != s->merge.count || right.count != s->merge.count)
        return; /* a key twice: not worth it */
    struct dist d;
    join_place(s, &outer, &inner, &d);
    if (!order_satisfies(&outer->order, &left))
        outer = path_sort(l, outer, &left);
    if (!order_satisfies(&inner->order, &right))
        inner = path_sort(l, inner, &right);
    struct path *p = join_path(s, PATH_MERGE, outer, inner, &d);
    key_conditions(s, p, &s->merge);
    p->order = s->type == JOIN_FULL ? (struct order){0} : left;
    double tests = cost_clauses(l->p, &p->conditions) + cost_clauses(l->p, &p->filters);
    p->startup = outer->startup + inner->startup + (c->mergejoin ? 0 : 1e10);
    p->total = outer->total + inner->total + (c->mergejoin ? 0 : 1e10) +
               (outer->rows + inner->rows) * p->key_count * c->cpu_operator +
               p->rows * (c->cpu_tuple + tests);
    path_add(l, s->rel, p);
}

static bool param_allowed(const struct join_step *s, const struct path *outer,
                          const struct path *inner)
{
    relset left_over = (outer->param | inner->param) & ~s->rel->set;
    return !set_meets(outer->param, s->inner->set) &&
           set_within(left_over, lateral_of(s->l, s->rel->set));
}

static void join_paths(struct join_step *s)
{
    bool nest = s->type != JOIN_FULL && s->type != JOIN_RIGHT;
    for (uint32_t i = 0; i < s->outer->paths.count; i++) {
        struct path *outer = s->outer->paths.items[i];
        for (uint32_t k = 0; k < s->inner->paths.count; k++) {
            struct path *inner = s->inner->paths.items[k];
            if (!param_allowed(s, outer, inner))
                continue;
            bool bound = set_meets(inner->param, s->outer->set);
            if (nest)
                nest_path(s, outer, inner);
            /* A full join on a constant has one bucket for all. */
            if (!bound && (s->hash.count || (s->type == JOIN_FULL && !s->merge.count)))
                hash_path(s, outer, inner);
            if (!bound && s->merge.count && s->type != JOIN_SEMI && s->type != JOIN_ANTI &&
                s->type != JOIN_RIGHT)
                merge_path(s, outer, inner);
        }
    }
}

/* Inner rows of a semijoin made distinct first: then it is a plain join, in either direction. */
static struct path *unique_path(struct join_step *s, struct path *inner)
{
    struct level *l = s->l;
    struct path *u = path_new(l, PATH_UNIQUE, s->inner);
    for (uint32_t i = 0; i < s->conditions.count; i++) {
        const struct clause *c = s->conditions.items[i];
        if (!c->is_equality)
            return NULL;
        struct expr *e = set_within(c->left_rels, s->inner->set)    ? c->left
                         : set_within(c->right_rels, s->inner->set) ? c->right
                                                                    : NULL;
        const struct type_info *t = e ? type_find(e->type) : NULL;
        const struct operator_info *o = operator_find(c->op);
        if (e)
            e = (struct expr *)(uintptr_t)expr_strip_relabel(e);
        if (!t || !t->hash || o->left != o->right || e->kind != EXPR_COLUMN)
            return NULL;
        expr_list_add_new(l->mem, &u->unique, e);
    }
    if (u->unique.count == 0 || inner->param)
        return NULL;
    if (inner->dist.kind == DIST_SPREAD)
        inner = path_gather(l, inner);
    for (uint32_t i = 0; i < u->unique.count; i++)
        if (!expr_fits(l->p, u->unique.items[i], &inner->dist))
            return NULL;
    u->outer = inner;
    u->dist = inner->dist;
    u->rows = estimate_groups(l, u->unique.items, u->unique.count, inner->rows);
    u->startup = inner->total + inner->rows * l->p->costs.cpu_operator * (double)u->unique.count;
    u->total = u->startup + u->rows * l->p->costs.cpu_tuple;
    return u;
}

static void semi_by_unique(struct join_step *s)
{
    struct path *cheapest = NULL;
    for (uint32_t i = 0; i < s->inner->paths.count; i++)
        if (!s->inner->paths.items[i]->param &&
            (!cheapest || s->inner->paths.items[i]->total < cheapest->total))
            cheapest = s->inner->paths.items[i];
    struct path *u = cheapest ? unique_path(s, cheapest) : NULL;
    if (!u)
        return;
    struct join_step swapped = *s;
    swapped.outer = s->inner;
    swapped.inner = s->outer;
    swapped.type = JOIN_INNER;
    for (uint32_t k = 0; k < s->outer->paths.count; k++) {
        struct path *inner = s->outer->paths.items[k];
        if (set_meets(inner->param, s->inner->set) && param_allowed(&swapped, u, inner))
            nest_path(&swapped, u, inner);
    }
}

static void find_keys(struct join_step *s)
{
    for (uint32_t i = 0; i < s->conditions.count; i++) {
        struct clause *c = s->conditions.items[i];
        bool across =
            c->is_equality &&
            ((set_within(c->left_rels, s->outer->set) &&
              set_within(c->right_rels, s->inner->set)) ||
             (set_within(c->left_rels, s->inner->set) && set_within(c->right_rels, s->outer->set)));
        if (!across || expr_is_volatile(c->expr))
            continue;
        const struct operator_info *o = operator_find(c->op);
        if (o->can_hash && types_hash_alike(c->left->type, c->right->type))
            clause_list_add(s->l->mem, &s->hash, c);
        const struct type_info *t = type_find(c->left->type);
        if (o->can_merge && t && t->compare &&
            (types_sort_alike(c->left->type, c->right->type) ||
             types_hash_alike(c->left->type, c->right->type)))
            clause_list_add(s->l->mem, &s->merge, c);
    }
}

static err_t join_step(struct level *l, struct rel *j, struct rel *outer, struct rel *inner,
                       enum join_type type, struct special *special)
{
    struct join_step s = {.l = l, .rel = j, .outer = outer, .inner = inner, .type = type};
    TRY(join_clauses(l, outer->set, inner->set, special, &s.conditions, &s.filters));
    find_keys(&s);
    if (j->rows == 0)
        j->rows = join_rows(l, outer, inner, type, &s.conditions, &s.filters);
    bool has_keys = s.hash.count > 0 || s.merge.count > 0;
    for (uint32_t i = 0; type == JOIN_FULL && !has_keys && i < s.conditions.count; i++)
        if (!expr_is_constant(s.conditions.items[i]->expr))
            return err_raise(ERR_FEATURE_NOT_SUPPORTED, "FULL JOIN is only supported with "
                                                        "merge-joinable or hash-joinable join "
                                                        "conditions");
    join_paths(&s);
    if (type == JOIN_SEMI)
        semi_by_unique(&s);
    return ERR_OK;
}

static struct rel *join_rel(struct level *l, const struct rel *a, const struct rel *b)
{
    relset set = a->set | b->set;
    for (uint32_t i = 0; i < l->join_rels.count; i++)
        if (l->join_rels.items[i]->set == set)
            return l->join_rels.items[i];
    struct rel *r = ARENA_NEW(l->mem, struct rel);
    r->set = set;
    r->rte = RTE_NONE;
    r->width = a->width + b->width;
    LIST_ADD(l->mem, &l->join_rels, r);
    return r;
}

/* *out NULL: not allowed. */
static err_t make_join(struct level *l, struct rel *a, struct rel *b, struct rel **out)
{
    struct special *s;
    bool reversed;
    *out = NULL;
    if (set_meets(a->set, b->set) || !join_is_legal(l, a->set, b->set, &s, &reversed))
        return ERR_OK;
    struct rel *j = join_rel(l, a, b);
    if (!s) {
        TRY(join_step(l, j, a, b, JOIN_INNER, NULL));
        TRY(join_step(l, j, b, a, JOIN_INNER, NULL));
    } else {
        struct rel *outer = reversed ? b : a;
        struct rel *inner = reversed ? a : b;
        if (s->type == JOIN_SEMI || s->type == JOIN_ANTI)
            j->width = outer->width;
        TRY(join_step(l, j, outer, inner, s->type, s));
        if (s->type == JOIN_LEFT)
            TRY(join_step(l, j, inner, outer, JOIN_RIGHT, s));
        if (s->type == JOIN_FULL)
            TRY(join_step(l, j, inner, outer, JOIN_FULL, s));
    }
    *out = j->paths.count ? j : NULL;
    return ERR_OK;
}

/* ---- search ---- */

LIST_TYPE(rel_list, struct rel *);

static void remember(struct level *l, struct rel_list *list, struct rel *r)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i] == r)
            return;
    LIST_ADD(l->mem, list, r);
}

static bool has_any_connection(struct level *l, const struct rel *r)
{
    relset rest = 0;
    for (uint32_t i = 0; i < l->rels.count; i++)
        rest |= l->rels.items[i]->set;
    return rels_connected(l, r->set, rest & ~r->set);
}

static err_t try_pair(struct level *l, struct rel *a, struct rel *b, struct rel_list *level)
{
    struct rel *j;
    TRY(make_join(l, a, b, &j));
    if (j)
        remember(l, level, j);
    return ERR_OK;
}

static err_t search_level(struct level *l, struct rel_list *levels, uint32_t n)
{
    struct rel_list *done = &levels[n - 1];
    for (uint32_t i = 0; i < done->count; i++) {
        struct rel *a = done->items[i];
        bool free = !has_any_connection(l, a);
        for (uint32_t k = n == 2 ? i + 1 : 0; k < levels[1].count; k++) {
            struct rel *b = levels[1].items[k];
            if (!set_meets(a->set, b->set) &&
                (free || !has_any_connection(l, b) || rels_connected(l, a->set, b->set)))
                TRY(try_pair(l, a, b, &levels[n]));
        }
    }
    for (uint32_t k = 2; k <= n - k; k++)
        for (uint32_t i = 0; i < levels[k].count; i++)
            for (uint32_t m = 0; m < levels[n - k].count; m++) {
                struct rel *a = levels[k].items[i];
                struct rel *b = levels[n - k].items[m];
                if ((k != n - k || i < m) && !set_meets(a->set, b->set) &&
                    rels_connected(l, a->set, b->set))
                    TRY(try_pair(l, a, b, &levels[n]));
            }
    if (levels[n].count)
        return ERR_OK;
    for (uint32_t i = 0; i < done->count; i++)
        for (uint32_t k = 0; k < levels[1].count; k++)
            TRY(try_pair(l, done->items[i], levels[1].items[k], &levels[n]));
    return ERR_OK;
}

static err_t search_dynamic(struct level *l, struct rel **out)
{
    uint32_t n = l->rels.count;
    struct rel_list *levels = ARENA_ARRAY(l->mem, struct rel_list, n + 1);
    for (uint32_t i = 0; i < n; i++)
        LIST_ADD(l->mem, &levels[1], l->rels.items[i]);
    for (uint32_t i = 2; i <= n; i++)
        TRY(search_level(l, levels, i));
    *out = levels[n].count ? levels[n].items[0] : NULL;
    return ERR_OK;
}

static err_t search_greedy(struct level *l, struct rel **out)
{
    struct rel_list now = {0};
    for (uint32_t i = 0; i < l->rels.count; i++)
        LIST_ADD(l->mem, &now, l->rels.items[i]);
    while (now.count > 1) {
        struct rel *best = NULL;
        uint32_t at = 0;
        uint32_t with = 0;
        for (uint32_t pass = 0; pass < 2 && !best; pass++)
            for (uint32_t i = 0; i < now.count; i++)
                for (uint32_t k = i + 1; k < now.count; k++) {
                    struct rel *j;
                    if (pass == 0 && !rels_connected(l, now.items[i]->set, now.items[k]->set))
                        continue;
                    TRY(make_join(l, now.items[i], now.items[k], &j));
                    if (j && (!best || j->rows < best->rows)) {
                        best = j;
                        at = i;
                        with = k;
                    }
                }
        if (!best)
            break;
        now.items[at] = best;
        now.items[with] = now.items[--now.count];
    }
    *out = now.count == 1 ? now.items[0] : NULL;
    return ERR_OK;
}

err_t join_search(struct level *l, struct rel **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < l->rels.count; i++)
        TRY(scan_paths(l, l->rels.items[i]));
    if (l->rels.count == 0)
        return ERR_OK;
    if (l->rels.count == 1)
        *out = l->rels.items[0];
    else if (l->rels.count <= JOIN_SEARCH_MAX)
        TRY(search_dynamic(l, out));
    else
        TRY(search_greedy(l, out));
    if (!*out || (*out)->paths.count == 0)
        return err_not_built("no order of joining was found for this query");
    return ERR_OK;
}

struct path *path_choose(struct level *l, struct rel *r, const struct order *want)
{
    struct path *best = NULL;
    double best_cost = 0;
    for (uint32_t i = 0; i < r->paths.count; i++) {
        struct path *p = r->paths.items[i];
        if (p->param)
            continue;
        double startup = p->startup;
        double total = p->total;
        double gather_startup = 0;
        if (dist_is_fragment(&p->dist)) {
            total += cost_gather(l->p, &p->dist, p->rows, &gather_startup);
            startup += gather_startup;
        }
        if (want->count && !order_satisfies(&p->order, want))
            cost_sort(l->p, p->rows, r->width, l->limit_rows, total, &startup, &total);
        double share = l->limit_rows > 0 ? MIN(1.0, l->limit_rows / MAX(p->rows, 1.0)) : 1;
        double cost = startup + share * (total - startup);
        if (!best || cost < best_cost) {
            best = p;
            best_cost = cost;
        }
    }
    return best;
}
