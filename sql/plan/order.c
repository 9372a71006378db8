/* Orders of rows: what is sorted how, and whether one order serves for another. */
#include "sql/plan/plan_priv.h"

static bool keys_match(const struct order_key *a, const struct order_key *b)
{
    if (a->descending != b->descending || a->nulls_first != b->nulls_first)
        return false;
    return (a->ec && a->ec == b->ec) || exprs_match(a->expr, b->expr);
}

bool order_satisfies(const struct order *have, const struct order *want)
{
    if (want->count > have->count)
        return false;
    for (uint32_t i = 0; i < want->count; i++)
        if (!keys_match(&have->keys[i], &want->keys[i]))
            return false;
    return true;
}

/* Keys that are constant or that came before add nothing. */
void order_add(struct level *l, struct order *o, struct expr *e, oid type, oid sort_operator,
               bool descending, bool nulls_first)
{
    struct order_key k = {.expr = e,
                          .ec = eclass_find(l, e),
                          .type = type,
                          .sort_operator = sort_operator,
                          .descending = descending,
                          .nulls_first = nulls_first};
    if (e->kind == EXPR_CONST || (k.ec && k.ec->constant && !k.ec->below_outer))
        return;
    for (uint32_t i = 0; i < o->count; i++)
        if ((k.ec && k.ec == o->keys[i].ec) || exprs_match(o->keys[i].expr, e))
            return;
    struct order_key *keys = ARENA_ARRAY(l->mem, struct order_key, o->count + 1);
    if (o->count)
        memcpy(keys, o->keys, sizeof(*keys) * o->count);
    keys[o->count++] = k;
    o->keys = keys;
}

void order_of_items(struct level *l, const struct sort_item *items, uint32_t count,
                    struct order *out)
{
    *out = (struct order){0};
    for (uint32_t i = 0; i < count; i++)
        order_add(l, out, items[i].expr, items[i].expr->type, items[i].sort_operator,
                  items[i].descending, items[i].nulls_first);
}
