/* Roles: CREATE, ALTER, DROP ROLE, membership. Passwords are kept as SCRAM-SHA-256 verifiers. */
#include "sql/ddl/ddl_priv.h"
#include "sql/types/acl.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <stdio.h>
#include <stdlib.h>

enum { SCRAM_ITERATIONS = 4096, SCRAM_SALT_BYTES = 16, SCRAM_KEY_BYTES = 32 };

struct verifier {
    const char *password;
    uint8_t salt[SCRAM_SALT_BYTES];
    char text[256];
    bool ok;
};

/* RFC 5802: StoredKey = H(HMAC(Salted, "Client Key")), ServerKey = HMAC(Salted, "Server Key"). On a
 * helper thread: thousands of rounds of hashing. */
static void verifier_make(void *arg)
{
    struct verifier *v = arg;
    uint8_t salted[SCRAM_KEY_BYTES];
    uint8_t client[SCRAM_KEY_BYTES];
    uint8_t stored[SCRAM_KEY_BYTES];
    uint8_t server[SCRAM_KEY_BYTES];
    unsigned len = 0;
    static const uint8_t client_text[] = "Client Key";
    static const uint8_t server_text[] = "Server Key";
    v->ok = PKCS5_PBKDF2_HMAC(v->password, (int)strlen(v->password), v->salt, SCRAM_SALT_BYTES,
                              SCRAM_ITERATIONS, EVP_sha256(), SCRAM_KEY_BYTES, salted) == 1 &&
            HMAC(EVP_sha256(), salted, SCRAM_KEY_BYTES, client_text, 10, client, &len) &&
            HMAC(EVP_sha256(), salted, SCRAM_KEY_BYTES, server_text, 10, server, &len) &&
            SHA256(client, SCRAM_KEY_BYTES, stored);
    if (!v->ok)
        return;
    char salt[32];
    char stored_text[64];
    char server_b64[64];
    EVP_EncodeBlock((unsigned char *)salt, v->salt, SCRAM_SALT_BYTES);
    EVP_EncodeBlock((unsigned char *)stored_text, stored, SCRAM_KEY_BYTES);
    EVP_EncodeBlock((unsigned char *)server_b64, server, SCRAM_KEY_BYTES);
    (void)snprintf(v->text, sizeof(v->text), "SCRAM-SHA-256$%d:%s$%s:%s", SCRAM_ITERATIONS, salt,
                   stored_text, server_b64);
}

static bool is_verifier(const char *s)
{
    return strncmp(s, "SCRAM-SHA-256$", 14) == 0 && strchr(s + 14, ':') && strchr(s + 14, '$');
}

static SUSPENDS err_t password_value_wait(struct ddl_context *x, const char *password, datum *out,
                                          bool *is_null)
{
    *is_null = password == NULL || *password == 0;
    if (password && *password == 0)
        ddl_notice(x, "empty string is not a valid password, clearing password");
    if (*is_null)
        return ERR_OK;
    if (is_verifier(password)) {
        *out = datum_of_text(x->mem, password);
        return ERR_OK;
    }
    struct verifier *v = ARENA_NEW(x->mem, struct verifier);
    v->password = password;
    core_random_bytes(v->salt, sizeof(v->salt));
    TRY(core_helper_wait(verifier_make, v));
    if (!v->ok)
        return err_raise(ERR_INTERNAL_ERROR, "could not compute SCRAM verifier");
    *out = datum_of_text(x->mem, v->text);
    return ERR_OK;
}

/* An option that is on or off; false = not one of these. */
static bool flag_column(const char *name, int *column)
{
    static const struct {
        const char *name;
        int column;
    } flags[] = {
        {"superuser", COL_ROLSUPER},       {"inherit", COL_ROLINHERIT},
        {"createrole", COL_ROLCREATEROLE}, {"createdb", COL_ROLCREATEDB},
        {"canlogin", COL_ROLCANLOGIN},     {"isreplication", COL_ROLREPLICATION},
        {"bypassrls", COL_ROLBYPASSRLS},
    };
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (strcmp(flags[i].name, name) == 0) {
            *column = flags[i].column;
            return true;
        }
    }
    return false;
}

static SUSPENDS err_t role_option_wait(struct ddl_context *x, const struct ddl_option *o, datum *v,
                                       bool *n)
{
    int column;
    if (flag_column(o->name, &column)) {
        bool on = ddl_option_true(o->value ? o->value : "true");
        if (column == COL_ROLSUPER && on)
            TRY(ddl_must_be_superuser(x, "must be superuser to create superusers"));
        v[column - 1] = datum_of_bool(on);
        return ERR_OK;
    }
    if (strcmp(o->name, "connectionlimit") == 0) {
        long limit = o->value ? strtol(o->value, NULL, 10) : -1;
        if (limit < -1)
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid connection limit: %ld", limit);
        v[COL_ROLCONNLIMIT - 1] = datum_of_i32((int32_t)limit);
        return ERR_OK;
    }
    if (strcmp(o->name, "password") == 0)
        return password_value_wait(x, o->value, &v[COL_ROLPASSWORD - 1], &n[COL_ROLPASSWORD - 1]);
    if (strcmp(o->name, "validUntil") == 0) {
        n[COL_ROLVALIDUNTIL - 1] = false;
        return value_input(x->env, x->mem, TYPE_TIMESTAMPTZ, -1, o->value, strlen(o->value),
                           &v[COL_ROLVALIDUNTIL - 1]);
    }
    if (strcmp(o->name, "sysid") == 0) {
        ddl_notice(x, "SYSID can no longer be specified");
        return ERR_OK;
    }
    if (strcmp(o->name, "addroleto") == 0 || strcmp(o->name, "rolemembers") == 0)
        return ERR_OK; /* done by the caller */
    return err_not_built("role option \"%s\" is not supported", o->name);
}

static SUSPENDS err_t add_member_wait(struct ddl_context *x, oid role, oid member, bool admin)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_AUTH_MEMBERS, INDEX_AUTH_MEMBERS_ROLE_MEMBER, 2, role,
                          member, x->mem, &rows));
    datum v[COLS_AUTH_MEMBERS] = {role, member, x->catalog->user, datum_of_bool(admin)};
    bool n[COLS_AUTH_MEMBERS] = {0};
    if (rows.count)
        return admin
                   ? catalog_replace_wait(x->catalog, REL_AUTH_MEMBERS, &rows.rows[0], v, n, x->mem)
                   : ERR_OK;
    return catalog_put_wait(x->catalog, REL_AUTH_MEMBERS, v, n, x->mem);
}

/* member (transitively) has role: making role a member of it would be a loop. */
static SUSPENDS err_t has_role_wait(struct ddl_context *x, oid member, oid role, int depth,
                                    bool *yes)
{
    struct catalog_rows rows;
    *yes = member == role;
    if (*yes || depth > 32)
        return ERR_OK;
    TRY(catalog_find_wait(x->catalog, REL_AUTH_MEMBERS, INDEX_AUTH_MEMBERS_MEMBER_ROLE, 1, member,
                          0, x->mem, &rows));
    for (uint32_t i = 0; i < rows.count && !*yes; i++)
        TRY(has_role_wait(x, catalog_oid_value(&rows.rows[i], COL_ROLEID), role, depth + 1, yes));
    return ERR_OK;
}

static err_t role_name_check(const char *name)
{
    if (strncmp(name, "pg_", 3) == 0) {
        err_t e = err_raise(ERR_RESERVED_NAME, "role name \"%s\" is reserved", name);
        err_detail("Role names starting with \"pg_\" are reserved.");
        return e;
    }
    return ERR_OK;
}

static SUSPENDS err_t may_create_role_wait(struct ddl_context *x, const char *action)
{
    if (x->catalog->is_superuser)
        return ERR_OK;
    struct catalog_row row;
    TRY(rows_get_wait(x, REL_AUTHID, INDEX_AUTHID_OID, 1, x->catalog->user, 0, &row));
    if (catalog_bool_value(&row, COL_ROLCREATEROLE))
        return ERR_OK;
    return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "permission denied to %s role", action);
}

static SUSPENDS err_t create_role_wait(struct ddl_context *x, const struct ddl *d)
{
    struct catalog_rows rows;
    oid role;
    TRY(may_create_role_wait(x, "create"));
    TRY(role_name_check(d->new_name));
    TRY(catalog_find_wait(x->catalog, REL_AUTHID, INDEX_AUTHID_ROLNAME, 1,
                          datum_of_text(x->mem, d->new_name), 0, x->mem, &rows));
    if (rows.count)
        return err_raise(ERR_DUPLICATE_OBJECT, "role \"%s\" already exists", d->new_name);
    TRY(catalog_new_oid_wait(x->catalog, &role));
    datum v[COLS_AUTHID] = {0};
    bool n[COLS_AUTHID] = {[COL_ROLPASSWORD - 1] = true, [COL_ROLVALIDUNTIL - 1] = true};
    v[COL_OID - 1] = role;
    v[COL_ROLNAME - 1] = datum_of_text(x->mem, d->new_name);
    v[COL_ROLINHERIT - 1] = datum_of_bool(true);
    v[COL_ROLCANLOGIN - 1] = datum_of_bool(d->role_statement == 'u');
    v[COL_ROLCONNLIMIT - 1] = datum_of_i32(-1);
    for (uint32_t i = 0; i < d->option_count; i++)
        TRY(role_option_wait(x, &d->options[i], v, n));
    TRY(catalog_put_wait(x->catalog, REL_AUTHID, v, n, x->mem));
    for (uint32_t i = 0; i < d->granted_count; i++) {
        oid parent;
        TRY(ddl_role_oid_wait(x, &d->granted[i], &parent));
        TRY(add_member_wait(x, parent, role, false));
    }
    for (uint32_t i = 0; i < d->role_count; i++) {
        oid member;
        TRY(ddl_role_oid_wait(x, &d->roles[i], &member));
        TRY(add_member_wait(x, role, member, false));
    }
    return ERR_OK;
}

static SUSPENDS err_t alter_role_wait(struct ddl_context *x, const struct ddl *d)
{
    oid role;
    struct catalog_row row;
    datum *v;
    bool *n;
    TRY(ddl_role_oid_wait(x, d->owner, &role));
    if (role != x->catalog->user)
        TRY(may_create_role_wait(x, "alter"));
    TRY(rows_get_wait(x, REL_AUTHID, INDEX_AUTHID_OID, 1, role, 0, &row));
    if (catalog_bool_value(&row, COL_ROLSUPER))
        TRY(ddl_must_be_superuser(x, "must be superuser to alter superuser roles or change "
                                     "superuser attribute"));
    rows_copy(x->mem, &row, COLS_AUTHID, &v, &n);
    for (uint32_t i = 0; i < d->option_count; i++)
        TRY(role_option_wait(x, &d->options[i], v, n));
    TRY(catalog_replace_wait(x->catalog, REL_AUTHID, &row, v, n, x->mem));
    for (uint32_t i = 0; i < d->role_count; i++) {
        oid member;
        TRY(ddl_role_oid_wait(x, &d->roles[i], &member));
        TRY(add_member_wait(x, role, member, false));
    }
    return ERR_OK;
}

/* An access list grants something to the role. */
static err_t acl_names(struct ddl_context *x, const struct catalog_row *row, int column, oid role,
                       bool *yes)
{
    const datum *items;
    uint32_t count;
    *yes = false;
    if (row->nulls[column - 1])
        return ERR_OK;
    TRY(catalog_array_read(x->mem, row->values[column - 1], &count, &items));
    for (uint32_t i = 0; i < count; i++) {
        struct acl_item item = acl_item_read(items[i]);
        *yes = *yes || item.grantee == role || item.grantor == role;
    }
    return ERR_OK;
}

/* Objects of a role in this database, and databases. */
static SUSPENDS err_t role_is_used_wait(struct ddl_context *x, oid role, const char **by)
{
    static const struct {
        oid relation;
        int owner;
        int name;
        int acl;
    } owners[] = {
        {REL_DATABASE, COL_DATDBA, COL_DATNAME, COL_DATACL},
        {REL_NAMESPACE, COL_NSPOWNER, COL_NSPNAME, COL_NSPACL},
        {REL_CLASS, COL_RELOWNER, COL_RELNAME, COL_RELACL},
    };
    enum { SHOWN_MAX = 100 };
    struct strbuf b;
    uint32_t count = 0;
    strbuf_init(&b, x->mem);
    for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
        struct catalog_rows rows;
        TRY(catalog_find_wait(x->catalog, owners[i].relation, 0, 0, 0, 0, x->mem, &rows));
        for (uint32_t k = 0; k < rows.count; k++) {
            bool owns = catalog_oid_value(&rows.rows[k], owners[i].owner) == role;
            bool named = false;
            if (!owns)
                TRY(acl_names(x, &rows.rows[k], owners[i].acl, role, &named));
            if (!owns && !named)
                continue;
            const char *name = catalog_text_value(x->mem, &rows.rows[k], owners[i].name, NULL);
            if (count++ >= SHOWN_MAX)
                continue;
            strbuf_printf(&b, "%s%s %s %s", count > 1 ? "\n" : "",
                          owns ? "owner of" : "privileges for",
                          owners[i].relation == REL_DATABASE ? "database"
                          : owners[i].relation == REL_NAMESPACE
                              ? "schema"
                              : ddl_kind_name(catalog_char_value(&rows.rows[k], COL_RELKIND)),
                          name);
        }
    }
    struct catalog_rows columns;
    TRY(catalog_find_wait(x->catalog, REL_ATTRIBUTE, 0, 0, 0, 0, x->mem, &columns));
    for (uint32_t i = 0; i < columns.count; i++) {
        bool named;
        const char *text;
        TRY(acl_names(x, &columns.rows[i], COL_ATTACL, role, &named));
        if (!named || count++ >= SHOWN_MAX)
            continue;
        TRY(ddl_object_text_wait(x, REL_CLASS, catalog_oid_value(&columns.rows[i], COL_ATTRELID),
                                 catalog_int_value(&columns.rows[i], COL_ATTNUM), &text));
        strbuf_printf(&b, "%sprivileges for %s", count > 1 ? "\n" : "", text);
    }
    if (count > SHOWN_MAX)
        strbuf_printf(&b, "\nand %u other object%s", count - SHOWN_MAX,
                      count - SHOWN_MAX > 1 ? "s" : "");
    *by = b.data;
    return ERR_OK;
}

static SUSPENDS err_t drop_role_wait(struct ddl_context *x, const struct ddl *d,
                                     const struct ddl_role *r)
{
    struct catalog_rows rows;
    if (r->kind != ROLE_SPEC_NAME)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "cannot use special role specifier in DROP ROLE");
    TRY(catalog_find_wait(x->catalog, REL_AUTHID, INDEX_AUTHID_ROLNAME, 1,
                          datum_of_text(x->mem, r->name), 0, x->mem, &rows));
    if (rows.count == 0) {
        if (!d->missing_ok)
            return err_raise(ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", r->name);
        ddl_notice(x, "role \"%s\" does not exist, skipping", r->name);
        return ERR_OK;
    }
    struct catalog_row role = rows.rows[0];
    oid object = catalog_oid_value(&role, COL_OID);
    if (object == x->catalog->user)
        return err_raise(ERR_OBJECT_IN_USE, "current user cannot be dropped");
    if (strcmp(r->name, x->env->session_user_name) == 0)
        return err_raise(ERR_OBJECT_IN_USE, "session user cannot be dropped");
    if (object < FIRST_USER_OID)
        return err_raise(ERR_DEPENDENT_OBJECTS_STILL_EXIST,
                         "cannot drop role %s because it is required by the database system",
                         r->name);
    const char *by;
    TRY(role_is_used_wait(x, object, &by));
    if (by) {
        err_t e =
            err_raise(ERR_DEPENDENT_OBJECTS_STILL_EXIST,
                      "role \"%s\" cannot be dropped because some objects depend on it", r->name);
        err_detail("%s", by);
        return e;
    }
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(catalog_remove(w, REL_AUTHID, &role));
    struct catalog_rows members;
    TRY(catalog_find_wait(x->catalog, REL_AUTH_MEMBERS, INDEX_AUTH_MEMBERS_ROLE_MEMBER, 1, object,
                          0, x->mem, &members));
    for (uint32_t i = 0; i < members.count; i++)
        TRY(catalog_remove(w, REL_AUTH_MEMBERS, &members.rows[i]));
    TRY(catalog_find_wait(x->catalog, REL_AUTH_MEMBERS, INDEX_AUTH_MEMBERS_MEMBER_ROLE, 1, object,
                          0, x->mem, &members));
    for (uint32_t i = 0; i < members.count; i++)
        TRY(catalog_remove(w, REL_AUTH_MEMBERS, &members.rows[i]));
    struct catalog_rows settings;
    TRY(catalog_find_wait(x->catalog, REL_DB_ROLE_SETTING, 0, 0, 0, 0, x->mem, &settings));
    for (uint32_t i = 0; i < settings.count; i++)
        if (catalog_oid_value(&settings.rows[i], COL_SETROLE) == object)
            TRY(catalog_remove(w, REL_DB_ROLE_SETTING, &settings.rows[i]));
    return catalog_apply_wait(w);
}

static SUSPENDS err_t grant_role_wait(struct ddl_context *x, const struct ddl *d, oid role,
                                      const struct ddl_role *grantee)
{
    oid member;
    bool loop;
    TRY(ddl_role_oid_wait(x, grantee, &member));
    if (!d->is_grant) {
        struct catalog_rows rows;
        TRY(catalog_find_wait(x->catalog, REL_AUTH_MEMBERS, INDEX_AUTH_MEMBERS_ROLE_MEMBER, 2, role,
                              member, x->mem, &rows));
        if (rows.count)
            return catalog_remove_wait(x->catalog, REL_AUTH_MEMBERS, &rows.rows[0], x->mem);
        ddl_warning(x, ERR_WARNING, "role \"%s\" is not a member of role %u",
                    grantee->name ? grantee->name : "", role);
        return ERR_OK;
    }
    TRY(has_role_wait(x, role, member, 0, &loop));
    if (loop)
        return err_raise(ERR_INVALID_GRANT_OPERATION, "role \"%s\" is a member of role \"%s\"",
                         d->granted[0].name ? d->granted[0].name : "",
                         grantee->name ? grantee->name : "");
    return add_member_wait(x, role, member, d->grant_option);
}

err_t ddl_role_run_wait(struct ddl_context *x, const struct ddl *d)
{
    switch (d->kind) {
    case DDL_CREATE_ROLE:
        return create_role_wait(x, d);
    case DDL_ALTER_ROLE:
        return alter_role_wait(x, d);
    case DDL_DROP_ROLE:
        TRY(may_create_role_wait(x, "drop"));
        for (uint32_t i = 0; i < d->role_count; i++)
            TRY(drop_role_wait(x, d, &d->roles[i]));
        return ERR_OK;
    default:
        break;
    }
    TRY(may_create_role_wait(x, "grant"));
    for (uint32_t i = 0; i < d->granted_count; i++) {
        oid role;
        TRY(ddl_role_oid_wait(x, &d->granted[i], &role));
        for (uint32_t k = 0; k < d->role_count; k++)
            TRY(grant_role_wait(x, d, role, &d->roles[k]));
    }
    return ERR_OK;
}
