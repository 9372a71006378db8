/*
 * Descriptor cache of a core, name lookups, and invalidation.
 *
 * A core's cache maps (database, oid) to descriptors, (database, schema, name) to oids (0 = known
 * to be absent) and (database, schema name) to schema oids. Only that core touches it. Whoever
 * loads something remembers the cache's generation before it reads; if an invalidation came
 * meanwhile the result is used once but not kept, so an old state can never be cached after the
 * acknowledgement.
 *
 * A transaction that changed the catalog never looks here: it keeps its own descriptors, for one
 * statement step each (the step number is part of what its view sees), in struct catalog_local.
 */
#include "sql/catalog/cache.h"

#include "core/core.h"

enum { BUCKETS = 1024, TABLES_MAX = 8192, NAMES_MAX = 65536, ROUNDS_MAX = 4 };

struct name_entry {
    struct name_entry *next;
    oid database;
    oid schema; /* 0: the name is a schema's */
    oid object; /* 0 = absent */
    char kind;
    char name[];
};

struct core_cache {
    struct cached_table *tables[BUCKETS];
    struct name_entry *names[BUCKETS];
    uint32_t table_count;
    uint32_t name_count;
    uint64_t generation;
    uint64_t version;
};

/* Each entry belongs to its core. */
static struct core_cache *core_caches[CORE_COUNT_MAX];

struct catalog_local {
    struct catalog_session *cs;
    oid database;
    uint32_t seq; /* descriptors below are of this step */
    struct cached_table *tables;
    oid *touched;
    uint32_t touched_count;
    uint32_t touched_room;
    bool touched_all;
};

void catalog_cache_start(void)
{
    uint32_t id = core_id();
    if (core_caches[id])
        return;
    core_caches[id] = core_zalloc(sizeof(struct core_cache));
    core_caches[id]->version = 1;
}

static struct core_cache *cache_self(void)
{
    catalog_cache_start();
    return core_caches[core_id()];
}

uint64_t catalog_version(void)
{
    return cache_self()->version;
}

/* ---- references ---- */

static void cached_hold(struct cached_table *c)
{
    c->desc.references++;
}

static void cached_drop(struct cached_table *c)
{
    ASSERT(c->desc.references > 0);
    if (--c->desc.references == 0)
        arena_free(c->mem);
}

void table_release(const struct table_desc *t)
{
    if (t)
        cached_drop((struct cached_table *)(uintptr_t)t);
}

/* ---- the core's tables ---- */

static uint32_t table_bucket(oid database, oid table)
{
    uint64_t h = ((uint64_t)database << 32 | table) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 40) % BUCKETS;
}

static uint32_t name_bucket(oid database, oid schema, const char *name)
{
    uint64_t h = ((uint64_t)database << 32 | schema) * 0x9E3779B97F4A7C15u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 1099511628211u;
    return (uint32_t)(h >> 32) % BUCKETS;
}

static void cache_unlink(struct core_cache *cache, struct cached_table **link)
{
    struct cached_table *c = *link;
    *link = c->oid_next;
    c->is_linked = false;
    cache->table_count--;
    cached_drop(c);
}

static void cache_clear_tables(struct core_cache *cache)
{
    for (uint32_t b = 0; b < BUCKETS; b++)
        while (cache->tables[b])
            cache_unlink(cache, &cache->tables[b]);
}

static void cache_clear_names(struct core_cache *cache)
{
    for (uint32_t b = 0; b < BUCKETS; b++) {
        while (cache->names[b]) {
            struct name_entry *n = cache->names[b];
            cache->names[b] = n->next;
            core_free(n);
        }
    }
    cache->name_count = 0;
}

static struct cached_table *cache_find(struct core_cache *cache, oid database, oid table)
{
    struct cached_table *c = cache->tables[table_bucket(database, table)];
    while (c && (c->desc.oid != table || c->database != database))
        c = c->oid_next;
    return c;
}

static void cache_add(struct core_cache *cache, struct cached_table *c)
{
    if (cache_find(cache, c->database, c->desc.oid))
        return; /* another fiber was faster */
    if (cache->table_count >= TABLES_MAX)
        cache_clear_tables(cache);
    uint32_t b = table_bucket(c->database, c->desc.oid);
    c->oid_next = cache->tables[b];
    c->is_linked = true;
    cache->tables[b] = c;
    cache->table_count++;
    cached_hold(c);
}

static const struct name_entry *name_find(struct core_cache *cache, oid database, oid schema,
                                          const char *name)
{
    const struct name_entry *n = cache->names[name_bucket(database, schema, name)];
    while (n && (n->database != database || n->schema != schema || strcmp(n->name, name) != 0))
        n = n->next;
    return n;
}

static void name_add(struct core_cache *cache, oid database, oid schema, const char *name,
                     oid object, char kind)
{
    if (name_find(cache, database, schema, name))
        return;
    if (cache->name_count >= NAMES_MAX)
        cache_clear_names(cache);
    size_t len = strlen(name) + 1;
    struct name_entry *n = core_malloc(sizeof(*n) + len);
    n->database = database;
    n->schema = schema;
    n->object = object;
    n->kind = kind;
    memcpy(n->name, name, len);
    uint32_t b = name_bucket(database, schema, name);
    n->next = cache->names[b];
    cache->names[b] = n;
    cache->name_count++;
}

/* ---- invalidation ---- */

struct invalidation {
    oid database;
    const oid *touched;
    uint32_t count;
    bool all;
};

static bool invalidation_names(const struct invalidation *v, oid database, oid object)
{
    if (database != v->database)
        return false;
    if (v->all || object == 0)
        return true;
    for (uint32_t i = 0; i < v->count; i++)
        if (v->touched[i] == object)
            return true;
    return false;
}

static err_t invalidate_here(void *arg)
{
    const struct invalidation *v = arg;
    struct core_cache *cache = cache_self();
    cache->generation++;
    cache->version++;
    for (uint32_t b = 0; b < BUCKETS; b++) {
        for (struct cached_table **link = &cache->tables[b]; *link;) {
            if (invalidation_names(v, (*link)->database, (*link)->desc.oid))
                cache_unlink(cache, link);
            else
                link = &(*link)->oid_next;
        }
        for (struct name_entry **link = &cache->names[b]; *link;) {
            struct name_entry *n = *link;
            if (!invalidation_names(v, n->database, n->object)) {
                link = &n->next;
                continue;
            }
            *link = n->next;
            core_free(n);
            cache->name_count--;
        }
    }
    return ERR_OK;
}

static SUSPENDS void invalidate_everywhere_wait(const struct invalidation *v)
{
    uint32_t cores = core_count();
    struct core_call *calls = core_malloc(sizeof(*calls) * cores);
    void *arg = (void *)(uintptr_t)v;
    uint32_t self = core_id();
    for (uint32_t i = 0; i < cores; i++)
        if (i != self)
            core_call_start(&calls[i], i, invalidate_here, arg);
    ERR_IGNORE(invalidate_here(arg));
    for (uint32_t i = 0; i < cores; i++)
        if (i != self)
            ERR_IGNORE(core_call_join_wait(&calls[i]));
    core_free(calls);
}

void catalog_changed_wait(void *database)
{
    struct invalidation v = {.database = *(const oid *)database, .all = true};
    invalidate_everywhere_wait(&v);
}

/* ---- a changing transaction's own state ---- */

static void local_drop_tables(struct catalog_local *l)
{
    while (l->tables) {
        struct cached_table *c = l->tables;
        l->tables = c->oid_next;
        cached_drop(c);
    }
}

static void local_end(struct catalog_local *l)
{
    local_drop_tables(l);
    l->cs->local_cache = NULL;
    l->cs->txn_changed_catalog = false;
    core_free(l->touched);
    core_free(l);
}

static SUSPENDS void local_committed(void *arg)
{
    struct catalog_local *l = arg;
    struct invalidation v = {.database = l->database,
                             .touched = l->touched,
                             .count = l->touched_count,
                             .all = l->touched_all};
    invalidate_everywhere_wait(&v);
    local_end(l);
}

void catalog_session_leave(struct catalog_session *cs)
{
    if (cs->local_cache)
        local_drop_tables(cs->local_cache);
}

void catalog_session_memory(struct catalog_session *cs, void (*piece)(void *p))
{
    struct catalog_local *l = cs->local_cache;
    if (!l)
        return;
    piece(l);
    piece(l->touched);
}

static void local_aborted(void *arg)
{
    local_end(arg);
}

void catalog_begin_change(struct catalog_session *cs)
{
    ASSERT(cs->txn);
    if (cs->txn_changed_catalog && cs->local_cache)
        return;
    struct catalog_local *l = core_zalloc(sizeof(*l));
    l->cs = cs;
    l->database = cs->database;
    cs->local_cache = l;
    cs->txn_changed_catalog = true;
    txn_on_commit(cs->txn, local_committed, l);
    txn_on_abort(cs->txn, local_aborted, l);
}

void catalog_touch(struct catalog_session *cs, oid table)
{
    catalog_begin_change(cs);
    struct catalog_local *l = cs->local_cache;
    if (l->touched_all)
        return;
    for (uint32_t i = l->touched_count; i > 0; i--)
        if (l->touched[i - 1] == table)
            return;
    if (l->touched_count >= 1024) {
        l->touched_all = true;
        return;
    }
    if (l->touched_count == l->touched_room) {
        l->touched_room = l->touched_room ? l->touched_room * 2 : 8;
        l->touched = core_realloc(l->touched, sizeof(oid) * l->touched_room);
    }
    l->touched[l->touched_count++] = table;
}

void catalog_touch_all(struct catalog_session *cs)
{
    catalog_begin_change(cs);
    ((struct catalog_local *)cs->local_cache)->touched_all = true;
}

void catalog_note_row(struct catalog_session *cs, oid relation, const datum *values,
                      const bool *nulls)
{
    int column = 0;
    switch (relation) {
    case REL_CLASS:
        column = COL_OID;
        break;
    case REL_ATTRIBUTE:
        column = COL_ATTRELID;
        break;
    case REL_ATTRDEF:
        column = COL_ADRELID;
        break;
    case REL_INDEX:
        column = COL_INDRELID;
        break;
    case REL_CONSTRAINT:
        column = COL_CONRELID;
        if (!nulls[COL_CONFRELID - 1] && datum_oid(values[COL_CONFRELID - 1]) != 0)
            catalog_touch(cs, datum_oid(values[COL_CONFRELID - 1]));
        break;
    case REL_TRIGGER:
        column = COL_TGRELID;
        break;
    case REL_SEQUENCE:
        column = COL_SEQRELID;
        break;
    case REL_REWRITE:
        column = COL_EV_CLASS;
        break;
    case REL_STATISTIC:
        column = COL_STARELID;
        break;
    case REL_DISTRIBUTION:
        column = COL_DISRELID;
        break;
    case REL_DEPEND:
        column = COL_REFOBJID;
        break;
    case REL_NAMESPACE:
        catalog_touch_all(cs);
        return;
    default:
        catalog_begin_change(cs);
        return;
    }
    if (!nulls[column - 1])
        catalog_touch(cs, datum_oid(values[column - 1]));
}

/* ---- lookups ---- */

static SUSPENDS err_t local_table_wait(struct catalog_session *cs, oid table,
                                       const struct table_desc **out)
{
    struct catalog_local *l = cs->local_cache;
    if (l->seq != txn_seq(cs->txn)) {
        local_drop_tables(l);
        l->seq = txn_seq(cs->txn);
    }
    for (struct cached_table *c = l->tables; c; c = c->oid_next) {
        if (c->desc.oid == table) {
            cached_hold(c);
            *out = &c->desc;
            return ERR_OK;
        }
    }
    struct cached_table *c;
    TRY(catalog_load_wait(cs, table, &c));
    if (!c)
        return ERR_OK;
    c->desc.references = 2;
    c->oid_next = l->tables;
    l->tables = c;
    *out = &c->desc;
    return ERR_OK;
}

static SUSPENDS err_t table_open_wait(struct catalog_session *cs, oid table,
                                      const struct table_desc **out)
{
    *out = NULL;
    if (table == 0)
        return ERR_OK;
    if (cs->txn_changed_catalog && cs->local_cache && !catalog_relation_find(table))
        return local_table_wait(cs, table, out);
    struct core_cache *cache = cache_self();
    struct cached_table *c = cache_find(cache, cs->database, table);
    if (c) {
        cached_hold(c);
        *out = &c->desc;
        return ERR_OK;
    }
    for (int round = 0;; round++) {
        uint64_t generation = cache->generation;
        TRY(catalog_load_wait(cs, table, &c));
        if (!c)
            return ERR_OK;
        cached_hold(c);
        if (cache->generation == generation) {
            cache_add(cache, c);
            break;
        }
        if (round == ROUNDS_MAX)
            break; /* a storm of DDL: this one is used once */
        cached_drop(c);
    }
    *out = &c->desc;
    return ERR_OK;
}

err_t table_by_oid_wait(struct catalog_session *cs, oid table, const struct table_desc **out)
{
    TRY(table_open_wait(cs, table, out));
    if (*out && (*out)->persistence == 't')
        cs->txn_met_temporary = true;
    return ERR_OK;
}

static SUSPENDS err_t relation_in_schema_wait(struct catalog_session *cs, oid schema,
                                              const char *name, oid *out, char *kind)
{
    *out = 0;
    if (schema == SCHEMA_PG_CATALOG || schema == SCHEMA_INFORMATION) {
        const struct catalog_relation *r = catalog_relation_named(schema, name);
        if (r) {
            *out = r->fact->oid;
            *kind = r->fact->kind;
            return ERR_OK;
        }
    }
    struct core_cache *cache = cache_self();
    bool local = cs->txn_changed_catalog;
    const struct name_entry *n = local ? NULL : name_find(cache, cs->database, schema, name);
    if (n) {
        *out = n->object;
        *kind = n->kind;
        return ERR_OK;
    }
    struct arena *mem = arena_new();
    uint64_t generation = cache->generation;
    struct catalog_rows rows;
    err_t e = catalog_find_wait(cs, REL_CLASS, INDEX_CLASS_RELNAME_NSP, 2, datum_of_text(mem, name),
                                schema, mem, &rows);
    if (e == ERR_OK) {
        if (rows.count) {
            *out = catalog_oid_value(&rows.rows[0], COL_OID);
            *kind = catalog_char_value(&rows.rows[0], COL_RELKIND);
        }
        if (!local && cache->generation == generation)
            name_add(cache, cs->database, schema, name, *out, *kind);
    }
    arena_free(mem);
    return e;
}

err_t schema_oid_wait(struct catalog_session *cs, const char *name, oid *out)
{
    *out = 0;
    if (strcmp(name, "pg_catalog") == 0) {
        *out = SCHEMA_PG_CATALOG;
        return ERR_OK;
    }
    if (strcmp(name, "pg_temp") == 0) {
        *out = cs->temp_schema;
        return ERR_OK;
    }
    struct core_cache *cache = cache_self();
    bool local = cs->txn_changed_catalog;
    const struct name_entry *n = local ? NULL : name_find(cache, cs->database, 0, name);
    if (n) {
        *out = n->object;
        return ERR_OK;
    }
    struct arena *mem = arena_new();
    uint64_t generation = cache->generation;
    struct catalog_rows rows;
    err_t e = catalog_find_wait(cs, REL_NAMESPACE, INDEX_NAMESPACE_NSPNAME, 1,
                                datum_of_text(mem, name), 0, mem, &rows);
    if (e == ERR_OK) {
        if (rows.count)
            *out = catalog_oid_value(&rows.rows[0], COL_OID);
        if (!local && cache->generation == generation)
            name_add(cache, cs->database, 0, name, *out, 'n');
    }
    arena_free(mem);
    return e;
}

err_t schema_name_wait(struct catalog_session *cs, oid schema, struct arena *mem, const char **out)
{
    *out = NULL;
    if (schema == SCHEMA_PG_CATALOG || schema == SCHEMA_PG_TOAST) {
        *out = schema == SCHEMA_PG_CATALOG ? "pg_catalog" : "pg_toast";
        return ERR_OK;
    }
    struct catalog_rows rows;
    TRY(catalog_find_wait(cs, REL_NAMESPACE, INDEX_NAMESPACE_OID, 1, schema, 0, mem, &rows));
    if (rows.count)
        *out = catalog_text_value(mem, &rows.rows[0], COL_NSPNAME, NULL);
    return ERR_OK;
}

err_t catalog_path_wait(struct catalog_session *cs, struct arena *mem, const oid **schemas,
                        uint32_t *count)
{
    oid *list = ARENA_ARRAY(mem, oid, cs->search_path_count + 3);
    uint32_t n = 0;
    bool has_catalog = false;
    bool has_temp = false;
    for (uint32_t i = 0; i < cs->search_path_count; i++) {
        has_catalog = has_catalog || strcmp(cs->search_path[i], "pg_catalog") == 0;
        has_temp = has_temp || strcmp(cs->search_path[i], "pg_temp") == 0;
    }
    if (cs->temp_schema && !has_temp)
        list[n++] = cs->temp_schema;
    if (!has_catalog)
        list[n++] = SCHEMA_PG_CATALOG;
    for (uint32_t i = 0; i < cs->search_path_count; i++) {
        const char *name = cs->search_path[i];
        if (strcmp(name, "$user") == 0)
            name = cs->user_name ? cs->user_name : "";
        oid schema;
        TRY(schema_oid_wait(cs, name, &schema));
        bool known = schema == 0;
        for (uint32_t k = 0; k < n; k++)
            known = known || list[k] == schema;
        if (!known)
            list[n++] = schema;
    }
    *schemas = list;
    *count = n;
    return ERR_OK;
}

err_t catalog_relation_oid_wait(struct catalog_session *cs, const char *schema, const char *name,
                                oid *out, char *kind)
{
    *out = 0;
    *kind = 0;
    if (schema) {
        oid s;
        TRY(schema_oid_wait(cs, schema, &s));
        return s ? relation_in_schema_wait(cs, s, name, out, kind) : ERR_OK;
    }
    struct arena *mem = arena_new();
    const oid *path;
    uint32_t count = 0;
    err_t e = catalog_path_wait(cs, mem, &path, &count);
    for (uint32_t i = 0; e == ERR_OK && i < count && *out == 0; i++)
        e = relation_in_schema_wait(cs, path[i], name, out, kind);
    arena_free(mem);
    return e;
}

err_t catalog_creation_schema_wait(struct catalog_session *cs, struct arena *mem, oid *out,
                                   const char **name)
{
    for (uint32_t i = 0; i < cs->search_path_count; i++) {
        const char *s = cs->search_path[i];
        if (strcmp(s, "$user") == 0)
            s = cs->user_name ? cs->user_name : "";
        TRY(schema_oid_wait(cs, s, out));
        if (*out) {
            *name = arena_strdup(mem, s);
            return ERR_OK;
        }
    }
    return err_raise(ERR_UNDEFINED_SCHEMA, "no schema has been selected to create in");
}

err_t catalog_relation_visible_wait(struct catalog_session *cs, oid relation, const char *name,
                                    oid schema, bool *visible)
{
    struct arena *mem = arena_new();
    const oid *path;
    uint32_t count = 0;
    *visible = false;
    err_t e = catalog_path_wait(cs, mem, &path, &count);
    bool on_path = false;
    for (uint32_t i = 0; i < count; i++)
        on_path = on_path || path[i] == schema;
    if (e == ERR_OK && on_path) {
        oid found;
        char kind;
        e = catalog_relation_oid_wait(cs, NULL, name, &found, &kind);
        *visible = found == relation;
    }
    arena_free(mem);
    return e;
}

err_t table_by_name_wait(struct catalog_session *cs, const char *schema, const char *name,
                         const struct table_desc **out)
{
    *out = NULL;
    oid table;
    char kind;
    TRY(catalog_relation_oid_wait(cs, schema, name, &table, &kind));
    if (table == 0 || kind == 'i')
        return ERR_OK;
    return table_by_oid_wait(cs, table, out);
}

err_t table_require_wait(struct catalog_session *cs, const char *schema, const char *name,
                         const struct table_desc **out)
{
    TRY(table_by_name_wait(cs, schema, name, out));
    if (*out)
        return ERR_OK;
    if (schema)
        return err_raise(ERR_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist", schema, name);
    return err_raise(ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", name);
}

const struct column_desc *table_column(const struct table_desc *t, const char *name)
{
    for (uint32_t i = 0; i < t->column_count; i++)
        if (!t->columns[i].dropped && t->columns[i].name && strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

const struct index_desc *table_primary_key(const struct table_desc *t)
{
    for (uint32_t i = 0; i < t->index_count; i++)
        if (t->indexes[i].is_primary)
            return &t->indexes[i];
    return NULL;
}

uint32_t table_shard_of(const struct table_desc *t, const datum *key_values)
{
    ASSERT(t->distribution == DISTRIBUTED_HASH);
    return shard_of_hash(key_hash(t->shard_key_columns, t->shard_key_count, key_values));
}

static SUSPENDS err_t type_in_schema_wait(struct catalog_session *cs, oid schema, const char *name,
                                          oid *out)
{
    *out = 0;
    if (schema == SCHEMA_PG_CATALOG) {
        const struct type_info *t = type_find_name(name);
        if (t) {
            *out = t->oid;
            return ERR_OK;
        }
    }
    struct arena *mem = arena_new();
    struct catalog_rows rows;
    err_t e = catalog_find_wait(cs, REL_TYPE, INDEX_TYPE_TYPNAME_NSP, 2, datum_of_text(mem, name),
                                schema, mem, &rows);
    if (e == ERR_OK && rows.count)
        *out = catalog_oid_value(&rows.rows[0], COL_OID);
    arena_free(mem);
    return e;
}

err_t type_by_name_wait(struct catalog_session *cs, const char *schema, const char *name, oid *out)
{
    *out = 0;
    if (schema) {
        oid s;
        TRY(schema_oid_wait(cs, schema, &s));
        return s ? type_in_schema_wait(cs, s, name, out) : ERR_OK;
    }
    struct arena *mem = arena_new();
    const oid *path;
    uint32_t count = 0;
    err_t e = catalog_path_wait(cs, mem, &path, &count);
    for (uint32_t i = 0; e == ERR_OK && i < count && *out == 0; i++)
        e = type_in_schema_wait(cs, path[i], name, out);
    arena_free(mem);
    return e;
}
