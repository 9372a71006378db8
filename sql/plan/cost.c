/* Costs of paths, in PostgreSQL's units and by its parameters. */
#include "sql/plan/plan_priv.h"

#include <math.h>

enum { PAGE_BYTES_USED = 8100, ROW_OVERHEAD_BYTES = 28 };

struct cost_walk {
    struct planner *p;
    double cost;
};
static err_t cost_visit(struct expr *e, void *ctx, bool *descend)
{
    struct cost_walk *w = ctx;
    *descend = true;
    switch (e->kind) {
    case EXPR_CALL:
    case EXPR_IO_CAST:
    case EXPR_ARRAY_CAST:
    case EXPR_DISTINCT:
    case EXPR_NULLIF:
        w->cost += w->p->costs.cpu_operator;
        break;
    case EXPR_ANY_ALL:
        w->cost += w->p->costs.cpu_operator *
                   (e->args[1]->kind == EXPR_ARRAY ? 0.5 * e->args[1]->arg_count : 5);
        break;
    case EXPR_SUBPLAN: {
        const struct subplan_draft *d = w->p->drafts.items[e->subplan.index];
        if (d->is_correlated)
            w->cost += d->subkind == SUBQUERY_EXISTS || d->subkind == SUBQUERY_ANY
                           ? d->cost_startup + 0.5 * (d->cost_total - d->cost_startup)
                           : d->cost_total;
        else
            w->cost += w->p->costs.cpu_operator;
        break;
    }
    default:
        break;
    }
    return ERR_OK;
}

double cost_clauses(struct planner *p, const struct clause_list *list)
{
    struct cost_walk w = {.p = p};
    for (uint32_t i = 0; i < list->count; i++)
        ERR_IGNORE(expr_walk(list->items[i]->expr, cost_visit, &w));
    return w.cost;
}

void cost_seq_scan(struct level *l, struct path *p)
{
    const struct costs *c = &l->p->costs;
    const struct rel *r = p->rel;
    p->startup = c->seqscan ? 0 : 1e10;
    p->total = p->startup + r->pages * c->seq_page +
               r->tuples * (c->cpu_tuple + cost_clauses(l->p, &p->filter));
}

/* Mackert and Lohman's estimate of distinct pages fetched, as PostgreSQL uses it. */
static double pages_fetched(double rows, double pages, double cache)
{
    double t = MAX(pages, 1.0);
    double n = rows;
    if (t <= MAX(cache, 1.0)) {
        double f = 2 * t * n / (2 * t + n);
        return MIN(ceil(f), t);
    }
    double limit = 2 * t * cache / (2 * t - cache);
    return n <= limit ? ceil(2 * t * n / (2 * t + n)) : ceil(cache + (n - limit) * (t - cache) / t);
}

void cost_index_scan(struct level *l, struct path *p, double selectivity)
{
    const struct costs *c = &l->p->costs;
    const struct rel *r = p->rel;
    const struct plan_index *x = &r->table->indexes[p->use->index];
    double rows = clamp_rows(r->tuples * selectivity);
    if (p->use->is_unique)
        rows = 1;
    double key_bytes = 16;
    for (uint32_t i = 0; i < x->key_count; i++)
        key_bytes += type_width(x->key_columns[i].type->oid, -1);
    double index_pages = MAX(1.0, ceil(r->tuples * key_bytes * 1.3 / PAGE_BYTES_USED));
    double leaf = MAX(1.0, ceil(index_pages * (r->tuples > 0 ? rows / r->tuples : 1)));
    double height = MAX(0.0, ceil(log(MAX(index_pages, 1.0)) / log(200)));
    double descent =
        ceil(log2(MAX(r->tuples, 2.0))) * c->cpu_operator + (height + 1) * 50 * c->cpu_operator;
    const struct column_stats *s =
        r->desc->stats && x->attnos[0] > 0 ? r->desc->stats[x->attnos[0] - 1] : NULL;
    double correlation = s ? s->correlation : 0;
    double worst = pages_fetched(rows, r->pages, c->cache_pages) * c->random_page;
    double best_pages = ceil(rows / MAX(r->tuples, 1.0) * r->pages);
    double best = MAX(0.0, c->random_page + (best_pages - 1) * c->seq_page);
    double heap = worst + correlation * correlation * (MIN(best, worst) - worst);
    double cpu = rows * (c->cpu_index_tuple + (double)p->use->clauses.count * c->cpu_operator +
                         c->cpu_tuple + cost_clauses(l->p, &p->filter));
    double pages = leaf * c->random_page + heap;
    if (p->use->is_unique && p->param == 0) {
        /* One row by constants. What it reads is in the pool as likely as what a scan of the table
         * would read, and it looks at one row's versions only. Under SERIALIZABLE it is a read of
         * that key, and no other writer is in conflict with it. So it is taken but for a table of
         * hardly any rows. */
        descent = ceil(log2(MAX(r->tuples, 2.0))) * c->cpu_operator;
        pages = MIN(pages, c->seq_page);
    }
    p->startup = descent + (c->indexscan ? 0 : 1e10);
    p->total = p->startup + pages + cpu;
}

void cost_sort(struct planner *p, double rows, uint32_t width, double limit, double in_total,
               double *startup, double *total)
{
    const struct costs *c = &p->costs;
    double n = MAX(rows, 2.0);
    double compare = 2 * c->cpu_operator;
    double bytes = n * ((double)width + 24);
    double work = n * log2(n) * compare;
    if (limit > 0 && limit * 2 < n)
        work = n * log2(2 * limit) * compare;
    else if (bytes > c->work_bytes) /* written and read once more */
        work += 2 * ceil(bytes / 8192) * (c->seq_page * 0.75 + c->random_page * 0.25);
    *startup = in_total + work + (c->sort ? 0 : 1e10);
    *total = *startup + c->cpu_operator * n;
}

/* Opening a fragment is a message there and back; rows come in batches. */
double cost_gather(struct planner *p, const struct dist *d, double rows, double *startup)
{
    double messages = d->kind == DIST_SPREAD    ? (double)p->shards
                      : d->target == GATHER_MAP ? 2 /* the map is asked first */
                                                : 1;
    *startup = 0.5 * messages;
    return *startup + rows * p->costs.cpu_tuple * 0.5;
}
