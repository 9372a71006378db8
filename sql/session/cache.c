/*
 * The plan cache of a core: analysed and planned statements shared by all its sessions.
 *
 * The key holds everything analysis depends on: text, given parameter types, database, role,
 * search_path, and the settings that literals are read by. An entry also remembers the catalog
 * version; a stale one is unlinked when met and lives on until its last reference goes. Bounded by
 * count, least recently used goes first. A transaction that has changed the catalog neither reads
 * nor fills the cache.
 */
#include "sql/session/session_priv.h"

enum { CACHE_BUCKETS = 4096, CACHE_ENTRIES_MAX = 4096 };

struct cache {
    struct cached *buckets[CACHE_BUCKETS];
    struct cached lru; /* ring: lru.lru_next is the most recently used */
    uint32_t count;
};

static struct cache *caches[CORE_COUNT_MAX]; /* each used on its core only */

static struct cache *cache_here(void)
{
    struct cache **c = &caches[core_id()];
    if (!*c) {
        *c = core_zalloc(sizeof(**c));
        (*c)->lru.lru_next = &(*c)->lru;
        (*c)->lru.lru_prev = &(*c)->lru;
    }
    return *c;
}

/* FNV-1a with 64 bits; a table hash, not a checksum. */
static uint64_t cache_hash(const uint8_t *bytes, size_t len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    return h ^ (h >> 29);
}

static err_t cache_key(struct session *s, const char *text, const oid *types, uint32_t type_count,
                       struct strbuf *key)
{
    uint32_t head[8] = {
        s->catalog.database,          s->catalog.user,
        s->catalog.temp_schema,       (uint32_t)s->env.date_order,
        (uint32_t)s->env.date_style,  (uint32_t)s->env.interval_style,
        s->catalog.search_path_count, type_count,
    };
    TRY(strbuf_put(key, head, sizeof(head)));
    for (uint32_t i = 0; i < s->catalog.search_path_count; i++) {
        const char *name = s->catalog.search_path[i];
        TRY(strbuf_put(key, name, strlen(name) + 1));
    }
    const char *zone = setting_string(s->settings, SET_TimeZone);
    TRY(strbuf_put(key, zone, strlen(zone) + 1));
    if (type_count)
        TRY(strbuf_put(key, types, sizeof(*types) * type_count));
    return strbuf_put(key, text, strlen(text) + 1);
}

bool cached_is_current(const struct session *s, const struct cached *c)
{
    return !s->catalog.txn_changed_catalog && c->catalog_version == catalog_version();
}

static void cached_free(struct cached *c)
{
    if (c->parsed)
        parse_free(c->parsed);
    arena_free(c->mem);
}

static void cache_unlink(struct cache *cache, struct cached *c)
{
    struct cached **p = &cache->buckets[c->hash % CACHE_BUCKETS];
    while (*p != c)
        p = &(*p)->hash_next;
    *p = c->hash_next;
    c->lru_prev->lru_next = c->lru_next;
    c->lru_next->lru_prev = c->lru_prev;
    c->is_linked = false;
    cache->count--;
    if (c->references == 0)
        cached_free(c);
}

static void cache_touch(struct cache *cache, struct cached *c)
{
    if (c->lru_prev) {
        c->lru_prev->lru_next = c->lru_next;
        c->lru_next->lru_prev = c->lru_prev;
    }
    c->lru_next = cache->lru.lru_next;
    c->lru_prev = &cache->lru;
    c->lru_next->lru_prev = c;
    cache->lru.lru_next = c;
}

static struct cached *cache_lookup(struct cache *cache, uint64_t hash, const struct strbuf *key)
{
    struct cached *c = cache->buckets[hash % CACHE_BUCKETS];
    while (c && (c->hash != hash || c->key_bytes != key->len ||
                 memcmp(c->key, key->data, key->len) != 0))
        c = c->hash_next;
    return c;
}

static void cache_insert(struct cache *cache, struct cached *c)
{
    while (cache->count >= CACHE_ENTRIES_MAX)
        cache_unlink(cache, cache->lru.lru_prev);
    struct cached **head = &cache->buckets[c->hash % CACHE_BUCKETS];
    c->hash_next = *head;
    *head = c;
    c->lru_prev = NULL;
    cache_touch(cache, c);
    c->is_linked = true;
    cache->count++;
}

void cached_hold(struct cached *c)
{
    c->references++;
}

void cached_release(struct cached *c)
{
    if (!c)
        return;
    ASSERT(c->references > 0);
    if (--c->references == 0 && !c->is_linked)
        cached_free(c);
}

static SUSPENDS err_t cached_analyze_wait(struct session *s, struct cached *c,
                                          struct raw_statement *raw, const oid *types,
                                          uint32_t type_count, bool params_fixed)
{
    c->catalog_version = catalog_version();
    c->tag = parse_command_tag(raw);
    struct analyze_options o = {
        .catalog = &s->catalog,
        .env = &s->env,
        .text = c->text,
        .param_types = types,
        .param_count = type_count,
        .params_fixed = params_fixed,
    };
    TRY(analyze_statement_wait(&o, raw, c->mem, &c->statement));
    if (c->statement->command == CMD_UTILITY)
        return ERR_OK;
    struct plan_options po = session_plan_options(s);
    return plan_query_wait(&po, c->statement->query, c->mem, &c->plan);
}

static struct cached *cached_new(const char *text)
{
    struct arena *mem = arena_new();
    struct cached *c = ARENA_NEW(mem, struct cached);
    c->mem = mem;
    c->text = arena_strdup(mem, text);
    c->references = 1;
    return c;
}

SUSPENDS err_t cached_make_wait(struct session *s, const char *text, struct parsed *parsed,
                                uint32_t index, const oid *types, uint32_t type_count,
                                struct cached **out)
{
    struct cached *c = cached_new(text);
    err_t e = cached_analyze_wait(s, c, &parsed->statements[index], types, type_count, true);
    if (e != ERR_OK) {
        cached_free(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

/* One statement in text, for Parse and single-statement strings. The caller gets a reference. */
SUSPENDS err_t cached_get_wait(struct session *s, const char *text, const oid *types,
                               uint32_t type_count, bool keep, struct cached **out)
{
    struct cache *cache = cache_here();
    struct strbuf key;
    strbuf_init(&key, s->statement);
    TRY(cache_key(s, text, types, type_count, &key));
    uint64_t hash = cache_hash((const uint8_t *)key.data, key.len);
    struct cached *c = cache_lookup(cache, hash, &key);
    if (c) {
        if (cached_is_current(s, c)) {
            cache_touch(cache, c);
            c->references++;
            c->uses++;
            *out = c;
            return ERR_OK;
        }
        if (!s->catalog.txn_changed_catalog)
            cache_unlink(cache, c);
    }
    c = cached_new(text);
    err_t e = parse_text(c->text, c->mem, &c->parsed);
    if (e == ERR_OK && c->parsed->count > 1)
        e = err_raise(ERR_SYNTAX_ERROR,
                      "cannot insert multiple commands into a prepared statement");
    if (e == ERR_OK && c->parsed->count == 0)
        c->is_empty = true;
    else if (e == ERR_OK)
        e = cached_analyze_wait(s, c, &c->parsed->statements[0], types, type_count, false);
    if (e != ERR_OK) {
        cached_free(c);
        return e;
    }
    /* Another fiber may have put the same statement in while this one waited for the catalog. */
    bool is_shared = keep && c->plan && !c->statement->has_volatile_settings &&
                     !s->catalog.txn_changed_catalog && !cache_lookup(cache, hash, &key);
    if (c->plan) { /* plans are self-contained: the tree is not needed any more */
        parse_free(c->parsed);
        c->parsed = NULL;
    }
    if (is_shared) {
        c->hash = hash;
        c->key = arena_memdup(c->mem, key.data, key.len);
        c->key_bytes = key.len;
        cache_insert(cache, c);
    }
    *out = c;
    return ERR_OK;
}

/* Replace a stale entry by a fresh one for the same text. On error *c stays as it was. */
SUSPENDS err_t cached_renew_wait(struct session *s, struct cached **c, const oid *types,
                                 uint32_t type_count)
{
    struct cached *fresh;
    TRY(cached_get_wait(s, (*c)->text, types, type_count, true, &fresh));
    cached_release(*c);
    *c = fresh;
    return ERR_OK;
}

const struct result_column *cached_columns(struct arena *mem, const struct cached *c,
                                           uint32_t *count)
{
    const struct plan *p = c->plan;
    *count = 0;
    if (!p || !p->returns_rows)
        return NULL;
    struct result_column *columns = ARENA_ARRAY(mem, struct result_column, p->column_count + 1);
    for (uint32_t i = 0; i < p->column_count; i++) {
        const struct type_info *t = type_find(p->column_types[i]);
        columns[i] = (struct result_column){
            .name = p->column_names[i],
            .table = p->column_tables ? p->column_tables[i] : OID_NONE,
            .column = p->column_numbers ? p->column_numbers[i] : 0,
            .type = p->column_types[i],
            .type_length = t ? t->typlen : -1,
            .typmod = p->column_typmods[i],
        };
    }
    *count = p->column_count;
    return columns;
}
