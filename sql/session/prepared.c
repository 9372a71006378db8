/* Prepared statements of a session: a name and a reference to the core's shared plan. */
#include "sql/session/session_priv.h"

#include <malloc.h>

static struct prepared **prepared_bucket(const struct session *s, const char *name)
{
    uint32_t h = 5381;
    for (const char *p = name; *p; p++)
        h = h * 33 + (uint8_t)*p;
    return &s->prepared[h & s->prepared_mask];
}

struct prepared *prepared_find(struct session *s, const char *name)
{
    struct prepared *p = s->prepared ? *prepared_bucket(s, name) : NULL;
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    return p;
}

static void prepared_link(struct session *s, struct prepared *p)
{
    struct prepared **head = prepared_bucket(s, p->name);
    p->next = *head;
    *head = p;
}

static void prepared_make_room(struct session *s)
{
    if (s->prepared && s->prepared_count <= s->prepared_mask)
        return;
    struct prepared **old = s->prepared;
    uint32_t old_count = old ? s->prepared_mask + 1 : 0;
    uint32_t count = old ? old_count * 4 : NAME_BUCKETS;
    s->prepared = core_zalloc(sizeof(struct prepared *) * count);
    s->prepared_mask = count - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        struct prepared *next;
        for (struct prepared *p = old[i]; p; p = next) {
            next = p->next;
            prepared_link(s, p);
        }
    }
    core_free(old);
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
    uint32_t count = cached->statement ? cached->statement->param_count : 0;
    size_t name_bytes = strlen(name) + 1;
    struct prepared *p = core_zalloc(sizeof(*p) + sizeof(oid) * count + name_bytes);
    p->param_count = count;
    p->param_types = (const oid *)(const void *)p->bytes;
    if (count)
        memcpy(p->bytes, cached->statement->param_types, sizeof(oid) * count);
    p->name = memcpy(p->bytes + sizeof(oid) * count, name, name_bytes);
    p->cached = cached;
    p->from_sql = from_sql;
    p->prepared_at = core_wall_us();
    prepared_make_room(s);
    prepared_link(s, p);
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
    core_free(p);
}

void prepared_drop_all(struct session *s)
{
    for (uint32_t i = 0; s->prepared && i <= s->prepared_mask; i++) {
        while (s->prepared[i])
            prepared_drop(s, s->prepared[i]);
    }
    core_free(s->prepared);
    s->prepared = NULL;
}

void prepared_memory(struct session *s, void (*piece)(void *p))
{
    piece(s->prepared);
    for (uint32_t i = 0; s->prepared && i <= s->prepared_mask; i++) {
        for (struct prepared *p = s->prepared[i]; p; p = p->next)
            piece(p);
    }
}

size_t prepared_bytes(const struct session *s)
{
    size_t bytes = s->prepared ? sizeof(struct prepared *) * (s->prepared_mask + 1) : 0;
    for (uint32_t i = 0; s->prepared && i <= s->prepared_mask; i++) {
        for (const struct prepared *p = s->prepared[i]; p; p = p->next)
            bytes += malloc_usable_size((void *)(uintptr_t)p);
    }
    return bytes;
}

bool prepared_same_result(const struct plan *a, const struct plan *b)
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

err_t prepared_raise_changed(void)
{
    /* Drivers that keep statements know by the routine that they have to prepare again. */
    return err_raise_at(__FILE__, __LINE__, "RevalidateCachedQuery", ERR_FEATURE_NOT_SUPPORTED,
                        "cached plan must not change result type");
}

/* The plan is made again when the catalog has changed since. */
SUSPENDS err_t prepared_current_wait(struct session *s, struct prepared *p)
{
    if (cached_is_current(s, p->cached) || (p->cached->is_empty && cached_is_here(p->cached)))
        return ERR_OK;
    struct cached *fresh;
    TRY(cached_get_wait(s, p->cached->text, p->param_types, p->param_count, true, &fresh));
    if (!prepared_same_result(p->cached->plan, fresh->plan)) {
        cached_release(fresh);
        return prepared_raise_changed();
    }
    cached_release(p->cached);
    p->cached = fresh;
    return ERR_OK;
}
