/* Rights of roles on objects, from the owner and the access list in the object's row. */
#include "sql/catalog/privileges.h"

#include "sql/catalog/relation.h"
#include "sql/catalog/store.h"
#include "sql/types/acl.h"

enum { ROLE_DATABASE_OWNER = 6171, ROLE_READ_ALL = 6181, ROLE_WRITE_ALL = 6182 };

struct roles {
    struct arena *mem;
    oid *items;
    uint32_t count;
    uint32_t capacity;
    bool is_superuser;
};

static bool roles_has(const struct roles *r, oid role)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->items[i] == role)
            return true;
    return false;
}

static void roles_add(struct roles *r, oid role)
{
    if (roles_has(r, role))
        return;
    if (r->count == r->capacity) {
        uint32_t capacity = r->capacity ? r->capacity * 2 : 8;
        oid *items = ARENA_ARRAY(r->mem, oid, capacity);
        if (r->count)
            memcpy(items, r->items, sizeof(*items) * r->count);
        r->items = items;
        r->capacity = capacity;
    }
    r->items[r->count++] = role;
}

static SUSPENDS err_t database_owner_wait(struct catalog_session *cs, struct arena *mem, oid *out)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(cs, REL_DATABASE, INDEX_DATABASE_OID, 1, cs->database, 0, mem, &rows));
    *out = rows.count ? catalog_oid_value(&rows.rows[0], COL_DATDBA) : OID_NONE;
    return ERR_OK;
}

/* role and every role that it is a member of; with only_inherited those whose rights it has. */
static SUSPENDS err_t roles_read_wait(struct catalog_session *cs, oid role, bool only_inherited,
                                      struct roles *r)
{
    roles_add(r, role);
    oid owner;
    TRY(database_owner_wait(cs, r->mem, &owner));
    for (uint32_t i = 0; i < r->count; i++) {
        struct catalog_probe probes[2] = {{.relation = REL_AUTHID,
                                           .index = INDEX_AUTHID_OID,
                                           .key_count = 1,
                                           .key = {r->items[i]}},
                                          {.relation = REL_AUTH_MEMBERS,
                                           .index = INDEX_AUTH_MEMBERS_MEMBER_ROLE,
                                           .key_count = 1,
                                           .key = {r->items[i]}}};
        TRY(catalog_probe_wait(cs, probes, 2, r->mem));
        if (probes[0].found.count == 0)
            continue;
        const struct catalog_row *row = &probes[0].found.rows[0];
        r->is_superuser = r->is_superuser || (i == 0 && catalog_bool_value(row, COL_ROLSUPER));
        if (r->items[i] == owner)
            roles_add(r, ROLE_DATABASE_OWNER);
        if (only_inherited && !catalog_bool_value(row, COL_ROLINHERIT))
            continue;
        for (uint32_t k = 0; k < probes[1].found.count; k++)
            roles_add(r, catalog_oid_value(&probes[1].found.rows[k], COL_ROLEID));
    }
    return ERR_OK;
}

/* ---- access lists ---- */

/* What a list (NULL: none) gives to the roles, with option only what they may hand on. */
static err_t list_gives(struct roles *r, const struct catalog_row *row, int column,
                        bool with_option, uint32_t *out)
{
    uint32_t count = 0;
    const datum *items = NULL;
    *out = 0;
    if (row->nulls[column - 1])
        return ERR_OK;
    TRY(catalog_array_read(r->mem, row->values[column - 1], &count, &items));
    for (uint32_t i = 0; i < count; i++) {
        struct acl_item item = acl_item_read(items[i]);
        if (item.grantee == OID_NONE || roles_has(r, item.grantee))
            *out |= with_option ? item.options : item.rights;
    }
    return ERR_OK;
}

struct object_row {
    oid relation;
    oid index;
    int owner;
    int acl;
    const char *everybody; /* of PUBLIC when there is no list */
};

static struct object_row object_of(char kind)
{
    if (kind == 'n')
        return (struct object_row){REL_NAMESPACE, INDEX_NAMESPACE_OID, COL_NSPOWNER, COL_NSPACL,
                                   ""};
    if (kind == 'd')
        return (struct object_row){REL_DATABASE, INDEX_DATABASE_OID, COL_DATDBA, COL_DATACL, "Tc"};
    return (struct object_row){REL_CLASS, INDEX_CLASS_OID, COL_RELOWNER, COL_RELACL, ""};
}

/* System catalogs are for everybody to read, but for those with secrets in them. */
static bool system_gives(char kind, oid object, const char *letters)
{
    static const char *const closed[] = {"pg_authid",
                                         "pg_statistic",
                                         "pg_shadow",
                                         "pg_subscription",
                                         "pg_user_mapping",
                                         "pg_largeobject",
                                         "pg_hba_file_rules",
                                         "pg_ident_file_mappings",
                                         "pg_file_settings",
                                         "pg_backend_memory_contexts",
                                         "pg_shmem_allocations",
                                         "pg_config",
                                         "pg_statistic_ext_data"};
    if (object >= FIRST_USER_OID)
        return false;
    if (kind == 'n')
        return (object == SCHEMA_PG_CATALOG || object == SCHEMA_INFORMATION) &&
               strchr(letters, 'U');
    const struct catalog_relation *t = kind == 'c' ? catalog_relation_find(object) : NULL;
    if (!t || !strchr(letters, 'r'))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(closed); i++)
        if (strcmp(closed[i], t->fact->name) == 0)
            return false;
    return true;
}

static SUSPENDS err_t test_wait(struct catalog_session *cs, struct roles *r, char kind, oid object,
                                oid role, const char *letters, bool with_option, bool *yes,
                                bool *exists)
{
    struct object_row k = object_of(kind);
    struct catalog_rows rows;
    *yes = false;
    TRY(catalog_find_wait(cs, k.relation, k.index, 1, object, 0, r->mem, &rows));
    *exists = rows.count > 0;
    if (!*exists)
        return ERR_OK;
    TRY(roles_read_wait(cs, role, true, r));
    oid owner = catalog_oid_value(&rows.rows[0], k.owner);
    *yes = r->is_superuser || roles_has(r, owner);
    if (!*yes && !with_option)
        *yes = system_gives(kind, object, letters) ||
               (roles_has(r, ROLE_READ_ALL) && strchr(letters, kind == 'n' ? 'U' : 'r')) ||
               (roles_has(r, ROLE_WRITE_ALL) && kind == 'c' && strpbrk(letters, "awd")) ||
               (roles_has(r, ROLE_WRITE_ALL) && kind == 'n' && strchr(letters, 'U'));
    if (*yes)
        return ERR_OK;
    if (rows.rows[0].nulls[k.acl - 1]) {
        *yes = !with_option && strpbrk(k.everybody, letters) != NULL;
        return ERR_OK;
    }
    uint32_t bits;
    TRY(list_gives(r, &rows.rows[0], k.acl, with_option, &bits));
    *yes = (bits & acl_bits_of_letters(letters)) != 0;
    return ERR_OK;
}

err_t privilege_test_wait(struct catalog_session *cs, char kind, oid object, oid role,
                          const char *letters, bool with_option, bool *yes, bool *exists)
{
    struct roles r = {.mem = arena_new()};
    err_t e = test_wait(cs, &r, kind, object, role, letters, with_option, yes, exists);
    arena_free(r.mem);
    return e;
}

static SUSPENDS err_t columns_wait(struct catalog_session *cs, struct roles *r, oid relation,
                                   oid role, const char *letters, bool with_option,
                                   const int16_t *columns, uint32_t count, bool *yes)
{
    struct catalog_rows rows;
    uint32_t wanted = acl_bits_of_letters(letters);
    TRY(roles_read_wait(cs, role, true, r));
    TRY(catalog_find_wait(cs, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, count == 1 ? 2 : 1,
                          relation, count == 1 ? datum_of_i16(columns[0]) : 0, r->mem, &rows));
    uint32_t given = 0; /* of the columns asked for, or of any */
    for (uint32_t i = 0; i < rows.count; i++) {
        int16_t number = datum_i16(rows.rows[i].values[COL_ATTNUM - 1]);
        bool asked = count == 0;
        uint32_t bits;
        for (uint32_t k = 0; k < count && !asked; k++)
            asked = columns[k] == number;
        if (!asked || catalog_bool_value(&rows.rows[i], COL_ATTISDROPPED))
            continue;
        TRY(list_gives(r, &rows.rows[i], COL_ATTACL, with_option, &bits));
        given += (bits & wanted) != 0;
    }
    *yes = count == 0 ? given > 0 : given == count;
    return ERR_OK;
}

err_t privilege_columns_test_wait(struct catalog_session *cs, oid relation, oid role,
                                  const char *letters, bool with_option, const int16_t *columns,
                                  uint32_t count, bool *yes)
{
    struct roles r = {.mem = arena_new()};
    err_t e = columns_wait(cs, &r, relation, role, letters, with_option, columns, count, yes);
    arena_free(r.mem);
    return e;
}

err_t privilege_roles_wait(struct catalog_session *cs, oid role, struct arena *mem, const oid **out,
                           uint32_t *count)
{
    struct roles r = {.mem = mem};
    TRY(roles_read_wait(cs, role, true, &r));
    *out = r.items;
    *count = r.count;
    return ERR_OK;
}

static SUSPENDS err_t denied_wait(struct catalog_session *cs, char kind, oid object,
                                  struct arena *mem)
{
    struct catalog_rows rows;
    struct object_row k = object_of(kind);
    TRY(catalog_find_wait(cs, k.relation, k.index, 1, object, 0, mem, &rows));
    if (rows.count == 0)
        return ERR_OK; /* it is gone: whoever needs it says so */
    int column = kind == 'n' ? COL_NSPNAME : kind == 'd' ? COL_DATNAME : COL_RELNAME;
    const char *what = kind == 'n' ? "schema" : "database";
    if (kind == 'c') {
        char relkind = (char)rows.rows[0].values[COL_RELKIND - 1];
        what = relkind == 'v'   ? "view"
               : relkind == 'S' ? "sequence"
               : relkind == 'm' ? "materialized view"
                                : "table";
    }
    return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "permission denied for %s %s", what,
                     catalog_text_value(mem, &rows.rows[0], column, NULL));
}

err_t privilege_require_wait(struct catalog_session *cs, char kind, oid object, oid role,
                             const char *letters)
{
    if (role == ROLE_BOOTSTRAP || (role == cs->user && cs->is_superuser))
        return ERR_OK;
    bool yes;
    bool exists;
    TRY(privilege_test_wait(cs, kind, object, role, letters, false, &yes, &exists));
    if (yes || !exists)
        return ERR_OK;
    struct arena *mem = arena_new();
    err_t e = denied_wait(cs, kind, object, mem);
    arena_free(mem);
    return e;
}

err_t privilege_has_role_wait(struct catalog_session *cs, oid member, oid role, bool only_inherited,
                              bool *yes)
{
    struct roles r = {.mem = arena_new()};
    err_t e = roles_read_wait(cs, member, only_inherited, &r);
    *yes = e == ERR_OK && (r.is_superuser || roles_has(&r, role));
    arena_free(r.mem);
    return e;
}
