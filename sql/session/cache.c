/*
 * The plan cache of a core: analysed and planned statements shared by all its sessions.
 *
 * The key holds everything analysis depends on: text, given parameter types, database, role,
 * search_path, and the settings that literals are read by. An entry also remembers the catalog
 * version; a stale one is unlinked when met and lives on until its last reference goes. Bounded by
 * count, least recently used goes first. A transaction that has changed the catalog neither reads
 * nor fills the cache. A plan is made again after some time, because tables grow.
 *
 * Texts of the simple protocol get a place when they come the second time (SEEN_COUNT hashes are
 * remembered per core), so texts that never come again push nothing out. With literals taken out
 * they do so only if the plan that does not know the literals is estimated to cost what the one
 * that knows them costs: for a search by a key it does, where a statistic would tell a common value
 * from a rare one it does not.
 */
#include "sql/session/literals.h"
#include "sql/session/session_priv.h"
#include "sql/types/hash.h"

enum {
    CACHE_BUCKETS = 4096,
    CACHE_ENTRIES_MAX = 4096,
    SEEN_COUNT = 4096,
    PLAN_AGE_US_MAX = 10 * 1000000,
};

struct seen {
    uint64_t hash;
    uint64_t refused_version; /* of the catalog; 0 = not refused */
    uint64_t refused_at_us;
};

struct cache {
    struct cached *buckets[CACHE_BUCKETS];
    struct cached lru; /* ring: lru.lru_next is the most recently used */
    uint32_t count;
    struct seen seen[SEEN_COUNT];
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

/* Parameters of a client and literals taken out are kept apart: what may be shared differs. */
enum key_kind { KEY_PREPARED, KEY_SIMPLE };

static err_t cache_key(struct session *s, enum key_kind kind, const char *text, const oid *types,
                       uint32_t type_count, struct strbuf *key)
{
    uint32_t head[] = {
        s->catalog.database,
        s->catalog.user,
        s->catalog.temp_schema,
        (uint32_t)s->env.date_order,
        (uint32_t)s->env.date_style,
        (uint32_t)s->env.interval_style,
        s->catalog.search_path_count,
        type_count,
        (uint32_t)kind,
        (uint32_t)s->settings_fingerprint,
        (uint32_t)(s->settings_fingerprint >> 32),
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

bool cached_is_here(const struct cached *c)
{
    return c->core == core_id();
}

uint64_t cached_uses(const struct cached *c)
{
    return cached_is_here(c) ? c->uses : 0;
}

bool cached_is_current(const struct session *s, const struct cached *c)
{
    return cached_is_here(c) && !s->catalog.txn_changed_catalog &&
           c->catalog_version == catalog_version() &&
           core_now_us() - c->planned_at_us < PLAN_AGE_US_MAX;
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
    ASSERT(cached_is_here(c));
    c->references++;
}

static void cached_release_post(void *arg)
{
    cached_release(arg);
}

void cached_release(struct cached *c)
{
    if (!c)
        return;
    if (!cached_is_here(c)) {
        core_post(c->core, cached_release_post, c);
        return;
    }
    ASSERT(c->references > 0);
    if (--c->references == 0 && !c->is_linked)
        cached_free(c);
}

static SUSPENDS err_t cached_analyze_wait(struct session *s, struct cached *c,
                                          struct raw_statement *raw, const oid *types,
                                          uint32_t type_count, bool params_fixed,
                                          const struct bound *values)
{
    c->catalog_version = catalog_version();
    c->planned_at_us = core_now_us();
    c->tag = parse_command_tag(raw);
    struct analyze_options o = {
        .catalog = &s->catalog,
        .env = &s->env,
        .text = c->text,
        .param_types = types,
        .param_count = type_count,
        .params_fixed = params_fixed,
        .check_privileges = true,
    };
    uint64_t began_at = stats_clock();
    uint64_t waited = stats_trace_waited();
    err_t e = analyze_statement_wait(&o, raw, c->mem, &c->statement);
    if (e != ERR_OK || c->statement->command == CMD_UTILITY) {
        stats_trace_add_work(STATS_STAGE_plan, began_at, waited);
        return e;
    }
    struct plan_options po = session_plan_options(s);
    if (values) {
        po.params = values->values;
        po.param_nulls = values->nulls;
        po.param_count = values->count;
    }
    e = plan_query_wait(&po, c->statement->query, c->mem, &c->plan);
    stats_trace_add_work(STATS_STAGE_plan, began_at, waited);
    return e;
}

static struct cached *cached_new(const char *text)
{
    struct arena *mem = arena_new();
    struct cached *c = ARENA_NEW(mem, struct cached);
    c->mem = mem;
    c->text = arena_strdup(mem, text);
    c->references = 1;
    c->core = core_id();
    return c;
}

SUSPENDS err_t cached_make_wait(struct session *s, const char *text, struct parsed *parsed,
                                uint32_t index, const oid *types, uint32_t type_count,
                                struct cached **out)
{
    struct cached *c = cached_new(text);
    c->raw = &parsed->statements[index];
    err_t e = cached_analyze_wait(s, c, c->raw, types, type_count, true, NULL);
    if (e != ERR_OK) {
        cached_free(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

/* The entry for a key, if it may be used, with a reference; a stale one goes. */
static struct cached *cache_take(struct session *s, struct cache *cache, uint64_t hash,
                                 const struct strbuf *key)
{
    struct cached *c = cache_lookup(cache, hash, key);
    if (!c)
        return NULL;
    if (!cached_is_current(s, c)) {
        if (!s->catalog.txn_changed_catalog)
            cache_unlink(cache, c);
        return NULL;
    }
    cache_touch(cache, c);
    c->references++;
    c->uses++;
    return c;
}

static SUSPENDS err_t cached_fill_wait(struct session *s, struct cached *c, const oid *types,
                                       uint32_t type_count, const struct bound *values)
{
    uint64_t began_at = stats_clock();
    err_t e = parse_text(c->text, c->mem, &c->parsed);
    stats_trace_add(STATS_STAGE_parse, began_at);
    TRY(e);
    if (c->parsed->count > 1)
        return err_raise(ERR_SYNTAX_ERROR,
                         "cannot insert multiple commands into a prepared statement");
    c->is_empty = c->parsed->count == 0;
    if (c->is_empty)
        return ERR_OK;
    return cached_analyze_wait(s, c, &c->parsed->statements[0], types, type_count, false, values);
}

static void cached_share(struct cache *cache, struct cached *c, uint64_t hash,
                         const struct strbuf *key)
{
    c->hash = hash;
    c->key = arena_memdup(c->mem, key->data, key->len);
    c->key_bytes = key->len;
    cache_insert(cache, c);
}

/* Plans are self-contained: the tree is not needed any more. */
static void cached_drop_tree(struct cached *c)
{
    if (!c->plan)
        return;
    parse_free(c->parsed);
    c->parsed = NULL;
}

/* One statement in text, for Parse. The caller gets a reference. */
SUSPENDS err_t cached_get_wait(struct session *s, const char *text, const oid *types,
                               uint32_t type_count, bool keep, struct cached **out)
{
    struct cache *cache = cache_here();
    struct strbuf key;
    strbuf_init(&key, s->statement);
    TRY(cache_key(s, KEY_PREPARED, text, types, type_count, &key));
    uint64_t hash = hash_bytes(key.data, key.len);
    struct cached *c = cache_take(s, cache, hash, &key);
    if (c) {
        *out = c;
        return ERR_OK;
    }
    c = cached_new(text);
    err_t e = cached_fill_wait(s, c, types, type_count, NULL);
    if (e != ERR_OK) {
        cached_free(c);
        return e;
    }
    /* Another fiber may have put the same statement in while this one waited for the catalog. */
    bool is_shared = keep && c->plan && !c->statement->has_volatile_settings &&
                     !s->catalog.txn_changed_catalog && !cache_lookup(cache, hash, &key);
    cached_drop_tree(c);
    if (is_shared)
        cached_share(cache, c, hash, &key);
    *out = c;
    return ERR_OK;
}

/* A statement that came with its session from another core. */
SUSPENDS err_t cached_come_here_wait(struct session *s, struct cached **c, const oid *types,
                                     uint32_t type_count)
{
    if (cached_is_here(*c))
        return ERR_OK;
    struct cached *here;
    TRY(cached_get_wait(s, (*c)->text, types, type_count, true, &here));
    cached_release(*c);
    *c = here;
    return ERR_OK;
}

/* ---- the simple protocol ---- */

static err_t literal_value(struct session *s, const struct literal *l, oid type, datum *out)
{
    if (l->type != TYPE_INT4 && l->type != TYPE_INT8)
        return value_input(&s->env, s->statement, type, -1, l->text, l->len, out);
    bool is_negative = l->text[0] == '-';
    int64_t v = 0; /* literals.c has seen to the range */
    for (size_t i = is_negative; i < l->len; i++)
        v = v * 10 - (l->text[i] - '0');
    *out = datum_of_i64(is_negative ? v : -v);
    return ERR_OK;
}

/* The literals as parameters of the types that analysis found. */
static err_t literals_bind(struct session *s, const struct literals *literals,
                           const struct cached *c, struct bound *out)
{
    *out = (struct bound){.count = literals->count};
    if (literals->count == 0)
        return ERR_OK;
    out->values = ARENA_ARRAY(s->statement, datum, literals->count);
    out->nulls = ARENA_ARRAY(s->statement, bool, literals->count);
    for (uint32_t i = 0; i < literals->count; i++)
        TRY(literal_value(s, &literals->items[i], c->statement->param_types[i], &out->values[i]));
    return ERR_OK;
}

/* Would knowing the values give another plan? */
static SUSPENDS bool plan_depends_on_values_wait(struct session *s, const struct cached *c,
                                                 const struct literals *literals,
                                                 const struct bound *params)
{
    struct cached *custom = cached_new(c->text);
    bool depends = true;
    if (cached_fill_wait(s, custom, literals->types, literals->count, params) == ERR_OK &&
        custom->plan) {
        double with = custom->plan->root->total_cost;
        double without = c->plan->root->total_cost;
        depends = without > with * 1.01 || with > without * 1.01;
    }
    cached_free(custom);
    return depends;
}

static SUSPENDS bool simple_is_shareable_wait(struct session *s, const struct literals *literals,
                                              bool at_once, struct cached *c, struct bound *params)
{
    if (cached_fill_wait(s, c, literals->types, literals->count, NULL) != ERR_OK || !c->plan ||
        c->statement->has_volatile_settings || c->statement->param_count != literals->count)
        return false;
    for (uint32_t i = 0; i < literals->count; i++) {
        oid type = c->statement->param_types[i];
        if (literals->types[i] != OID_NONE && type != literals->types[i])
            return false;
    }
    if (literals_bind(s, literals, c, params) != ERR_OK)
        return false;
    return at_once || literals->count == 0 || !plan_depends_on_values_wait(s, c, literals, params);
}

static bool seen_before(struct seen *seen, uint64_t hash)
{
    if (seen->hash != hash) {
        *seen = (struct seen){.hash = hash};
        return false;
    }
    return seen->refused_version != catalog_version() ||
           core_now_us() - seen->refused_at_us >= PLAN_AGE_US_MAX;
}

SUSPENDS err_t cached_simple_wait(struct session *s, const struct literals *literals, bool at_once,
                                  struct cached **out, struct bound *params)
{
    *out = NULL;
    if (s->catalog.txn_changed_catalog)
        return ERR_OK;
    struct cache *cache = cache_here();
    struct strbuf key;
    strbuf_init(&key, s->statement);
    TRY(cache_key(s, KEY_SIMPLE, literals->text, literals->types, literals->count, &key));
    uint64_t hash = hash_bytes(key.data, key.len);
    struct cached *c = cache_take(s, cache, hash, &key);
    if (c) {
        if (literals_bind(s, literals, c, params) == ERR_OK)
            *out = c;
        else
            cached_release(c); /* the text as it is gives the error with its position */
        return ERR_OK;
    }
    struct seen *seen = &cache->seen[hash % SEEN_COUNT];
    if (!seen_before(seen, hash) && !at_once)
        return ERR_OK;
    c = cached_new(literals->text);
    if (!simple_is_shareable_wait(s, literals, at_once, c, params)) {
        cached_free(c);
        *seen = (struct seen){
            .hash = hash, .refused_version = catalog_version(), .refused_at_us = core_now_us()};
        return ERR_OK;
    }
    cached_drop_tree(c);
    if (!s->catalog.txn_changed_catalog && !cache_lookup(cache, hash, &key))
        cached_share(cache, c, hash, &key);
    *out = c;
    return ERR_OK;
}

/* The same statement with the same parameters, analysed and planned by the catalog of now. */
SUSPENDS err_t cached_renew_wait(struct session *s, const struct cached *c, struct cached **out)
{
    const struct statement *st = c->statement;
    ASSERT(!c->raw || cached_is_here(c)); /* lives within one message */
    if (!c->raw)
        return cached_get_wait(s, c->text, st->param_types, st->param_count, true, out);
    struct cached *fresh = cached_new(c->text);
    fresh->raw = c->raw;
    err_t e = cached_analyze_wait(s, fresh, c->raw, st->param_types, st->param_count, true, NULL);
    if (e != ERR_OK) {
        cached_free(fresh);
        return e;
    }
    *out = fresh;
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
