/* WITH: common table expressions of a query level. */
#include "sql/analyze/analyze_priv.h"

struct scope_cte *scope_find_cte(struct scope *s, const char *name, uint32_t *levels_up)
{
    *levels_up = 0;
    for (struct scope *level = s; level; level = level->parent, ++*levels_up) {
        for (uint32_t i = 0; i < level->cte_count; i++) {
            if (level->ctes[i].is_visible && strcmp(level->ctes[i].name, name) == 0)
                return &level->ctes[i];
        }
    }
    return NULL;
}

static uint32_t cte_visible_columns(const struct query *q)
{
    if (q->command != CMD_SELECT)
        return q->returning_count;
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->target_count; i++)
        n += !q->targets[i].junk;
    return n;
}

/* Columns from the query's targets, renamed by the alias list. */
err_t cte_set_columns(struct scope *s, struct scope_cte *cte, const struct query *q,
                      const CommonTableExpr *n)
{
    struct arena *mem = s->a->mem;
    uint32_t count = cte_visible_columns(q);
    uint32_t given = (uint32_t)list_length(n->aliascolnames);
    if (given > count)
        return analyze_at(s->a, n->location,
                          err_raise(ERR_INVALID_COLUMN_REFERENCE,
                                    "WITH query \"%s\" has %u columns available but %u columns "
                                    "specified",
                                    cte->name, count, given));
    cte->column_count = count;
    cte->column_names = ARENA_ARRAY(mem, const char *, count + 1);
    cte->column_types = ARENA_ARRAY(mem, oid, count + 1);
    cte->column_typmods = ARENA_ARRAY(mem, int32_t, count + 1);
    cte->column_collations = ARENA_ARRAY(mem, oid, count + 1);
    const struct target *targets = q->command == CMD_SELECT ? q->targets : q->returning;
    uint32_t total = q->command == CMD_SELECT ? q->target_count : q->returning_count;
    uint32_t k = 0;
    for (uint32_t i = 0; i < total; i++) {
        if (targets[i].junk)
            continue;
        const struct expr *e = targets[i].expr;
        cte->column_names[k] =
            k < given ? arena_strdup(mem, list_string(n->aliascolnames, (int)k)) : targets[i].name;
        cte->column_types[k] = e->type == TYPE_UNKNOWN ? TYPE_TEXT : e->type;
        cte->column_typmods[k] = e->typmod;
        cte->column_collations[k] = type_collation(e->type) ? e->collation : OID_NONE;
        k++;
    }
    cte->has_columns = true;
    return ERR_OK;
}

/* INSERT, UPDATE or DELETE: runs whole and once, whether it is read or not. */
static SUSPENDS err_t cte_modify_wait(struct scope *s, struct scope_cte *cte,
                                      const CommonTableExpr *n)
{
    if (s->parent)
        return analyze_at(s->a, n->location,
                          err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                    "WITH clause containing a data-modifying statement must be at "
                                    "the top level"));
    struct scope *inner = scope_new(s->a, s, CMD_SELECT);
    switch (nodeTag(n->ctequery)) {
    case T_InsertStmt:
        TRY(analyze_insert_wait(inner, (const InsertStmt *)(const void *)n->ctequery));
        break;
    case T_UpdateStmt:
        TRY(analyze_update_wait(inner, (const UpdateStmt *)(const void *)n->ctequery));
        break;
    case T_DeleteStmt:
        TRY(analyze_delete_wait(inner, (const DeleteStmt *)(const void *)n->ctequery));
        break;
    default:
        return analyze_at(s->a, n->location, err_not_built("MERGE is not supported yet"));
    }
    s->query->ctes[cte->index].query = inner->query;
    s->query->has_modifying_cte = true;
    TRY(cte_set_columns(s, cte, inner->query, n));
    cte->is_visible = true;
    return ERR_OK;
}

static SUSPENDS err_t cte_analyze_wait(struct scope *s, struct scope_cte *cte,
                                       const CommonTableExpr *n, bool recursive)
{
    if (!IsA(n->ctequery, SelectStmt))
        return cte_modify_wait(s, cte, n);
    if (n->search_clause || n->cycle_clause)
        return analyze_at(s->a, n->location,
                          err_not_built("SEARCH and CYCLE clauses are not supported yet"));
    struct query *q;
    const SelectStmt *select = (const SelectStmt *)n->ctequery;
    cte->location = n->location;
    cte->is_union = select->op == SETOP_UNION;
    cte->in_progress = recursive;
    cte->is_visible = recursive;
    struct recursive_cte context = {.cte = cte, .node = n};
    s->recursive = recursive ? &context : NULL;
    const char *outside = s->no_recursion;
    s->no_recursion = NULL;
    err_t e = analyze_subquery_wait(s, n->ctequery, false, NULL, false, &q);
    s->no_recursion = outside;
    s->recursive = NULL;
    TRY(e);
    s->query->ctes[cte->index].query = q;
    TRY(cte_set_columns(s, cte, q, n));
    cte->in_progress = false;
    cte->is_visible = true;
    return ERR_OK;
}

SUSPENDS err_t clause_with_wait(struct scope *s, const WithClause *with)
{
    if (!with)
        return ERR_OK;
    struct arena *mem = s->a->mem;
    struct query *q = s->query;
    uint32_t count = (uint32_t)list_length(with->ctes);
    s->ctes = ARENA_ARRAY(mem, struct scope_cte, count + 1);
    q->ctes = ARENA_ARRAY(mem, struct cte, count + 1);
    q->with_recursive = with->recursive;
    s->with = with;
    for (uint32_t i = 0; i < count; i++) {
        const CommonTableExpr *n = list_nth(with->ctes, (int)i);
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(s->ctes[k].name, n->ctename) == 0)
                return analyze_at(s->a, n->location,
                                  err_raise(ERR_DUPLICATE_ALIAS,
                                            "WITH query name \"%s\" specified more than once",
                                            n->ctename));
        }
        struct scope_cte *cte = &s->ctes[i];
        cte->name = arena_strdup(mem, n->ctename);
        cte->index = i;
        q->ctes[i].name = cte->name;
        q->ctes[i].column_name_count = (uint32_t)list_length(n->aliascolnames);
        q->ctes[i].column_names = ARENA_ARRAY(mem, const char *, q->ctes[i].column_name_count + 1);
        for (uint32_t k = 0; k < q->ctes[i].column_name_count; k++)
            q->ctes[i].column_names[k] = arena_strdup(mem, list_string(n->aliascolnames, (int)k));
        q->ctes[i].materialized = n->ctematerialized == CTEMaterializeAlways  ? 1
                                  : n->ctematerialized == CTEMaterializeNever ? 2
                                                                              : 0;
        s->cte_count = i + 1;
        q->cte_count = i + 1;
        TRY(cte_analyze_wait(s, cte, n, with->recursive));
    }
    s->with = NULL;
    return ERR_OK;
}
