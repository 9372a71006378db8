/* Prepared statements of a session: a name and a reference to the core's shared plan. */
#include "sql/session/session_priv.h"

static struct prepared **prepared_bucket(struct session *s, const char *name)
{
    uint32_t h = 5381;
    for (const char *p = name; *p; p++)
        h = h * 33 + (uint8_t)*p;
    return &s->prepared[h % NAME_BUCKETS];
}

struct prepared *prepared_find(struct session *s, const char *name)
{
    struct prepared *p = *prepared_bucket(s, name);
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    return p;
}

SUSPENDS err_t prepared_add_wait(struct session *s, const char *name, const char *text,
                                 const oid *types, uint32_t type_count, bool from_sql)
{
    struct prepared *old = prepared_find(s, name);
    if (old && name[0] != '\0')
        return err_raise(ERR_DUPLICATE_PSTATEMENT, "prepared statement \"%s\" already exists",
                         name);
    struct cached *cached;
    TRY(cached_get_wait(s, text, types, type_count, true, &cached));
    if (old)
        prepared_drop(s, old);
    struct arena *mem = arena_new();
    struct prepared *p = ARENA_NEW(mem, struct prepared);
    p->mem = mem;
    p->name = arena_strdup(mem, name);
    p->given_count = type_count;
    p->given_types = type_count ? arena_memdup(mem, types, sizeof(oid) * type_count) : NULL;
    if (cached->statement) {
        p->param_count = cached->statement->param_count;
        p->param_types = cached->statement->param_types;
        if (p->param_count)
            p->param_types = arena_memdup(mem, p->param_types, sizeof(oid) * p->param_count);
    }
    p->text = arena_strdup(mem, text);
    p->cached = cached;
    p->from_sql = from_sql;
    p->prepared_at = core_wall_us();
    struct prepared **head = prepared_bucket(s, name);
    p->next = *head;
    *head = p;
    s->prepared_count++;
    return ERR_OK;
}

void prepared_drop(struct session *s, struct prepared *p)
{
    struct prepared **at = prepared_bucket(s, p->name);
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    s->prepared_count--;
    cached_release(p->cached);
    arena_free(p->mem);
}

void prepared_drop_all(struct session *s)
{
    for (uint32_t i = 0; i < NAME_BUCKETS; i++) {
        while (s->prepared[i])
            prepared_drop(s, s->prepared[i]);
    }
}

static bool prepared_same_result(const struct plan *a, const struct plan *b)
{
    if (!a || !b)
        return a == b;
    if (a->returns_rows != b->returns_rows || a->column_count != b->column_count)
        return false;
    for (uint32_t i = 0; a->returns_rows && i < a->column_count; i++) {
        if (a->column_types[i] != b->column_types[i] ||
            a->column_typmods[i] != b->column_typmods[i] ||
            strcmp(a->column_names[i], b->column_names[i]) != 0)
            return false;
    }
    return true;
}

/* The plan is made again when the catalog has changed since. */
SUSPENDS err_t prepared_current_wait(struct session *s, struct prepared *p)
{
    if (p->cached->is_empty || cached_is_current(s, p->cached))
        return ERR_OK;
    struct cached *fresh;
    TRY(cached_get_wait(s, p->text, p->param_types, p->param_count, true, &fresh));
    if (!prepared_same_result(p->cached->plan, fresh->plan)) {
        cached_release(fresh);
        /* Drivers that keep statements know by the routine that they have to prepare again. */
        return err_raise_at(__FILE__, __LINE__, "RevalidateCachedQuery", ERR_FEATURE_NOT_SUPPORTED,
                            "cached plan must not change result type");
    }
    cached_release(p->cached);
    p->cached = fresh;
    return ERR_OK;
}
