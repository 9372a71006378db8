/*
 * What a login asks the catalog, kept per core: the role, the database, the right to connect, and
 * the settings of ALTER ROLE and ALTER DATABASE. Any change of the catalog makes what is kept out
 * of date; what was read while one happened is used once and not kept. Unknown roles and databases
 * are not kept, so guessing names fills nothing.
 *
 * One piece of memory per pair of role and database; bounded by count, emptied when full.
 */
#include "sql/catalog/privileges.h"
#include "sql/catalog/store.h"
#include "sql/session/session_priv.h"
#include "sql/types/hash.h"

enum { FACTS_BUCKETS = 1024, FACTS_MAX = 4096 };

struct facts_entry {
    struct facts_entry *next;
    uint64_t hash;
    struct login_facts facts;
};

struct facts_cache {
    struct facts_entry *buckets[FACTS_BUCKETS];
    uint32_t count;
    uint64_t version; /* of the catalog, of all entries */
};

static struct facts_cache *caches[CORE_COUNT_MAX]; /* each used on its core only */

static void facts_empty(struct facts_cache *c)
{
    for (uint32_t i = 0; i < FACTS_BUCKETS && c->count > 0; i++) {
        while (c->buckets[i]) {
            struct facts_entry *e = c->buckets[i];
            c->buckets[i] = e->next;
            c->count--;
            core_free(e);
        }
    }
}

static struct facts_cache *facts_here(void)
{
    struct facts_cache **at = &caches[core_id()];
    if (!*at)
        *at = core_zalloc(sizeof(**at));
    if ((*at)->version != catalog_version()) {
        facts_empty(*at);
        (*at)->version = catalog_version();
    }
    return *at;
}

static uint64_t facts_hash(const char *user, const char *database)
{
    return hash_bytes(user, strlen(user)) * 31 + hash_bytes(database, strlen(database));
}

/* ---- reading ---- */

static err_t facts_add_settings(struct login_facts *f, struct arena *mem,
                                const struct catalog_rows *rows, enum setting_source source)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t count = 0;
        const datum *entries = NULL;
        TRY(catalog_array_read(mem, rows->rows[i].values[COL_SETCONFIG - 1], &count, &entries));
        struct login_setting *list =
            ARENA_ARRAY(mem, struct login_setting, f->setting_count + count + 1);
        if (f->setting_count > 0)
            memcpy(list, f->settings, sizeof(*list) * f->setting_count);
        f->settings = list;
        for (uint32_t k = 0; k < count; k++) {
            char *name = varlen_cstring(mem, datum_varlen(entries[k]));
            char *equals = strchr(name, '=');
            if (!equals)
                continue;
            *equals = '\0';
            list[f->setting_count++] =
                (struct login_setting){.name = name, .value = equals + 1, .source = source};
        }
    }
    return ERR_OK;
}

/* The more special one wins: all roles everywhere, the database, the role, the role in the
 * database. */
static SUSPENDS err_t facts_read_settings_wait(struct login_facts *f, struct arena *mem)
{
    const oid keys[4][2] = {{0, 0}, {f->database, 0}, {0, f->role.oid}, {f->database, f->role.oid}};
    struct catalog_probe probes[4];
    for (uint32_t i = 0; i < 4; i++)
        probes[i] = (struct catalog_probe){.relation = REL_DB_ROLE_SETTING,
                                           .index = INDEX_DB_ROLE_SETTING_DATABASEID_ROL,
                                           .key_count = 2,
                                           .key = {keys[i][0], keys[i][1]}};
    TRY(catalog_probe_in_wait(NULL, 0, probes, 4, mem));
    for (uint32_t i = 0; i < 4; i++)
        TRY(facts_add_settings(f, mem, &probes[i].found,
                               i < 2 ? SETTING_SOURCE_DATABASE : SETTING_SOURCE_ROLE));
    return ERR_OK;
}

static SUSPENDS err_t facts_read_wait(const char *user, const char *database, struct arena *mem,
                                      struct login_facts *f)
{
    *f = (struct login_facts){.database_limit = -1};
    TRY(role_by_name_wait(user, mem, &f->role, &f->has_role));
    if (!f->has_role)
        return ERR_OK;
    TRY(database_by_name_wait(database, &f->database, &f->allows_connections, &f->database_limit));
    if (f->database == OID_NONE)
        return ERR_OK;
    f->may_connect = f->role.superuser;
    if (!f->may_connect) {
        struct catalog_session cs = {.database = f->database, .user = f->role.oid};
        bool exists;
        TRY(privilege_test_wait(&cs, 'd', f->database, f->role.oid, "c", false, &f->may_connect,
                                &exists));
        f->may_connect |= !exists; /* dropped meanwhile: told when it is missed */
    }
    return facts_read_settings_wait(f, mem);
}

/* ---- keeping ---- */

static const char *facts_put_string(char **p, const char *s)
{
    if (!s)
        return NULL;
    char *copy = *p;
    *p = stpcpy(copy, s) + 1;
    return copy;
}

static size_t facts_string_bytes(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

static void facts_keep(struct facts_cache *c, const char *user, const char *database,
                       const struct login_facts *f)
{
    if (c->count >= FACTS_MAX)
        facts_empty(c);
    size_t bytes = strlen(user) + strlen(database) + 2 + facts_string_bytes(f->role.name) +
                   facts_string_bytes(f->role.password);
    for (uint32_t i = 0; i < f->setting_count; i++)
        bytes += sizeof(*f->settings) + facts_string_bytes(f->settings[i].name) +
                 facts_string_bytes(f->settings[i].value);
    struct facts_entry *e = core_malloc(sizeof(*e) + bytes);
    struct login_setting *settings = (struct login_setting *)(e + 1);
    char *p = (char *)(settings + f->setting_count);
    *e = (struct facts_entry){.hash = facts_hash(user, database), .facts = *f};
    e->facts.user_key = facts_put_string(&p, user);
    e->facts.database_key = facts_put_string(&p, database);
    e->facts.role.name = facts_put_string(&p, f->role.name);
    e->facts.role.password = facts_put_string(&p, f->role.password);
    e->facts.settings = settings;
    for (uint32_t i = 0; i < f->setting_count; i++)
        settings[i] = (struct login_setting){.name = facts_put_string(&p, f->settings[i].name),
                                             .value = facts_put_string(&p, f->settings[i].value),
                                             .source = f->settings[i].source};
    struct facts_entry **bucket = &c->buckets[e->hash % FACTS_BUCKETS];
    e->next = *bucket;
    *bucket = e;
    c->count++;
}

static const struct login_facts *facts_find(const struct facts_cache *c, const char *user,
                                            const char *database)
{
    uint64_t hash = facts_hash(user, database);
    const struct facts_entry *e = c->buckets[hash % FACTS_BUCKETS];
    while (e && (e->hash != hash || strcmp(e->facts.user_key, user) != 0 ||
                 strcmp(e->facts.database_key, database) != 0))
        e = e->next;
    return e ? &e->facts : NULL;
}

SUSPENDS err_t login_facts_wait(const char *user, const char *database, struct arena *mem,
                                const struct login_facts **out)
{
    *out = facts_find(facts_here(), user, database);
    if (*out)
        return ERR_OK;
    uint64_t version = catalog_version();
    struct login_facts *f = ARENA_NEW(mem, struct login_facts);
    *out = f;
    TRY(facts_read_wait(user, database, mem, f));
    struct facts_cache *c = facts_here();
    if (f->has_role && f->database != OID_NONE && catalog_version() == version &&
        !facts_find(c, user, database))
        facts_keep(c, user, database, f);
    return ERR_OK;
}
