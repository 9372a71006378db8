/* Names, locks, rights and notices of DDL statements. */
#include "sql/catalog/privileges.h"
#include "sql/ddl/ddl_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

enum { NAME_BYTES_MAX = 63 };

static void notice_raise(struct ddl_context *x, err_t code, const char *severity,
                         const char *format, va_list args) __attribute__((format(printf, 4, 0)));
static void notice_raise(struct ddl_context *x, err_t code, const char *severity,
                         const char *format, va_list args)
{
    const struct sql_services *s = x->env->services;
    if (!s || !s->notice)
        return;
    char *text = arena_alloc(x->mem, 1024);
    (void)vsnprintf(text, 1024, format, args);
    s->notice(s->owner, code, severity, text);
}

void ddl_notice(struct ddl_context *x, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    notice_raise(x, ERR_OK, "NOTICE", format, args);
    va_end(args);
}

void ddl_notice_code(struct ddl_context *x, err_t code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    notice_raise(x, code, "NOTICE", format, args);
    va_end(args);
}

void ddl_notice_detail(struct ddl_context *x, const char *message, const char *detail)
{
    const struct sql_services *s = x->env->services;
    if (s && s->notice_detail)
        s->notice_detail(s->owner, ERR_OK, "NOTICE", message, detail);
    else
        ddl_notice(x, "%s", message);
}

err_t ddl_error_at(struct ddl_context *x, int32_t location, err_t e)
{
    if (location < 0 || !x->text)
        return e;
    int32_t characters = 1;
    for (int32_t i = 0; i < location && x->text[i]; i++)
        characters += ((uint8_t)x->text[i] & 0xC0) != 0x80;
    err_position(characters);
    return e;
}

void ddl_warning(struct ddl_context *x, err_t code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    notice_raise(x, code, "WARNING", format, args);
    va_end(args);
}

err_t ddl_lock_wait(struct ddl_context *x, oid relation, enum table_lock_mode mode)
{
    uint64_t name = (uint64_t)x->catalog->database << 32 | relation;
    return txn_lock_table_wait(x->catalog->txn, name, mode, false);
}

const char *ddl_name_text(struct arena *mem, const struct ddl_name *n)
{
    return n->schema ? arena_printf(mem, "%s.%s", n->schema, n->name) : n->name;
}

const char *ddl_kind_name(char kind)
{
    switch (kind) {
    case 'i':
        return "index";
    case 'S':
        return "sequence";
    case 'v':
        return "view";
    case 'm':
        return "materialized view";
    default:
        return "table";
    }
}

err_t ddl_missing(struct ddl_context *x, const struct ddl_name *n, const char *kind)
{
    (void)x;
    if (n->schema) {
        return err_raise(ERR_UNDEFINED_TABLE, "%s \"%s.%s\" does not exist", kind, n->schema,
                         n->name);
    }
    return err_raise(ERR_UNDEFINED_TABLE, "%s \"%s\" does not exist", kind, n->name);
}

static SUSPENDS err_t creation_allowed_wait(struct ddl_context *x, const struct ddl_name *n,
                                            oid schema)
{
    err_t e = privilege_require_wait(x->catalog, 'n', schema, x->catalog->user, "C");
    return e == ERR_OK ? e : ddl_error_at(x, n->location, e);
}

err_t ddl_creation_schema_wait(struct ddl_context *x, const struct ddl_name *n, oid *schema,
                               const char **schema_name, char *persistence)
{
    *persistence = n->persistence == 't' || n->persistence == 'u' ? n->persistence : 'p';
    if (n->catalog && strcmp(n->catalog, x->env->database_name) != 0)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "cross-database references are not implemented: \"%s.%s.%s\"", n->catalog,
                         n->schema, n->name);
    bool temp = n->persistence == 't' || (n->schema && strcmp(n->schema, "pg_temp") == 0);
    if (temp) {
        if (n->schema && strcmp(n->schema, "pg_temp") != 0)
            return err_raise(ERR_INVALID_TABLE_DEFINITION,
                             "cannot create temporary relation in non-temporary schema");
        *persistence = 't';
        x->catalog->txn_met_temporary = true;
        return ddl_temp_schema_wait(x, schema, schema_name);
    }
    if (!n->schema) {
        TRY(catalog_creation_schema_wait(x->catalog, x->mem, schema, schema_name));
        return creation_allowed_wait(x, n, *schema);
    }
    TRY(schema_oid_wait(x->catalog, n->schema, schema));
    if (*schema == 0)
        return ddl_error_at(
            x, n->location,
            err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", n->schema));
    *schema_name = n->schema;
    if (*schema == SCHEMA_PG_CATALOG || *schema == SCHEMA_PG_TOAST) {
        err_t e = err_raise(ERR_INSUFFICIENT_PRIVILEGE, "permission denied to create \"%s.%s\"",
                            n->schema, n->name);
        err_detail("System catalog modifications are currently disallowed.");
        return e;
    }
    return creation_allowed_wait(x, n, *schema);
}

/* Name lookup, lock, and lookup again: what the name meant may have changed while we waited. */
static SUSPENDS err_t resolve_locked_wait(struct ddl_context *x, const struct ddl_name *n,
                                          enum table_lock_mode mode, oid *out, char *kind)
{
    if (n->catalog && strcmp(n->catalog, x->env->database_name) != 0)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "cross-database references are not implemented: \"%s.%s.%s\"", n->catalog,
                         n->schema ? n->schema : "", n->name);
    oid before = 0;
    for (;;) {
        TRY(catalog_relation_oid_wait(x->catalog, n->schema, n->name, out, kind));
        if (*out == 0 || *out == before)
            return ERR_OK;
        before = *out;
        if (*kind == 'i')
            return ERR_OK; /* its table is locked by the caller */
        TRY(ddl_lock_wait(x, *out, mode));
    }
}

err_t ddl_open_wait(struct ddl_context *x, const struct ddl_name *n, enum table_lock_mode mode,
                    const struct table_desc **out)
{
    oid relation;
    char kind;
    *out = NULL;
    TRY(resolve_locked_wait(x, n, mode, &relation, &kind));
    return relation ? table_by_oid_wait(x->catalog, relation, out) : ERR_OK;
}

err_t ddl_open_index_wait(struct ddl_context *x, const struct ddl_name *n,
                          enum table_lock_mode mode, const struct table_desc **out,
                          uint32_t *position)
{
    *out = NULL;
    for (int round = 0; round < 8; round++) {
        oid relation;
        char kind;
        struct catalog_rows rows;
        TRY(catalog_relation_oid_wait(x->catalog, n->schema, n->name, &relation, &kind));
        if (relation == 0)
            return ERR_OK;
        if (kind != 'i')
            return err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not an index", n->name);
        TRY(catalog_find_wait(x->catalog, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, relation, 0, x->mem,
                              &rows));
        if (rows.count == 0)
            continue;
        oid table = catalog_oid_value(&rows.rows[0], COL_INDRELID);
        TRY(ddl_lock_wait(x, table, mode));
        const struct table_desc *t;
        TRY(table_by_oid_wait(x->catalog, table, &t));
        for (uint32_t i = 0; t && i < t->index_count; i++) {
            if (t->indexes[i].oid == relation && strcmp(t->indexes[i].name, n->name) == 0) {
                *out = t;
                *position = i;
                return ERR_OK;
            }
        }
        table_release(t);
    }
    return ERR_OK;
}

static SUSPENDS err_t member_of_wait(struct ddl_context *x, oid role, bool *yes)
{
    oid queue[64];
    uint32_t count = 1;
    queue[0] = x->catalog->user;
    *yes = false;
    for (uint32_t i = 0; i < count; i++) {
        if (queue[i] == role) {
            *yes = true;
            return ERR_OK;
        }
        struct catalog_rows rows;
        TRY(catalog_find_wait(x->catalog, REL_AUTH_MEMBERS, INDEX_AUTH_MEMBERS_MEMBER_ROLE, 1,
                              queue[i], 0, x->mem, &rows));
        for (uint32_t k = 0; k < rows.count; k++) {
            oid granted = catalog_oid_value(&rows.rows[k], COL_ROLEID);
            bool known = false;
            for (uint32_t j = 0; j < count; j++)
                known = known || queue[j] == granted;
            if (!known && count < ARRAY_LEN(queue))
                queue[count++] = granted;
        }
    }
    return ERR_OK;
}

err_t ddl_check_owner_wait(struct ddl_context *x, const struct table_desc *t)
{
    if (t->is_system) {
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                         "permission denied: \"%s\" is a system catalog", t->name);
    }
    if (x->catalog->is_superuser)
        return ERR_OK;
    bool yes;
    TRY(member_of_wait(x, t->owner, &yes));
    if (!yes)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "must be owner of %s %s",
                         ddl_kind_name(t->kind), t->name);
    return ERR_OK;
}

err_t ddl_check_index_owner_wait(struct ddl_context *x, const struct table_desc *t,
                                 uint32_t position)
{
    err_t e = ddl_check_owner_wait(x, t);
    if (e == ERR_INSUFFICIENT_PRIVILEGE && !t->is_system)
        e = err_raise(ERR_INSUFFICIENT_PRIVILEGE, "must be owner of index %s",
                      t->indexes[position].name);
    return e;
}

err_t ddl_must_be_superuser(struct ddl_context *x, const char *action)
{
    if (x->catalog->is_superuser)
        return ERR_OK;
    return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "%s", action);
}

err_t ddl_role_named_wait(struct ddl_context *x, const char *name, oid *out)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_AUTHID, INDEX_AUTHID_ROLNAME, 1,
                          datum_of_text(x->mem, name), 0, x->mem, &rows));
    if (rows.count == 0)
        return err_raise(ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", name);
    *out = catalog_oid_value(&rows.rows[0], COL_OID);
    return ERR_OK;
}

err_t ddl_role_oid_wait(struct ddl_context *x, const struct ddl_role *r, oid *out)
{
    switch (r->kind) {
    case ROLE_SPEC_PUBLIC:
        return err_raise(ERR_UNDEFINED_OBJECT, "role \"public\" does not exist");
    case ROLE_SPEC_CURRENT:
        *out = x->catalog->user;
        return ERR_OK;
    case ROLE_SPEC_SESSION:
        return ddl_role_named_wait(x, x->env->session_user_name, out);
    default:
        return ddl_role_named_wait(x, r->name, out);
    }
}

/* The longest prefix of s that has at most max bytes and cuts no character. */
static size_t clip(const char *s, size_t max)
{
    size_t n = strlen(s);
    if (n <= max)
        return n;
    n = max;
    while (n > 0 && ((uint8_t)s[n] & 0xC0) == 0x80)
        n--;
    return n;
}

const char *ddl_object_name(struct arena *mem, const char *name1, const char *name2,
                            const char *label)
{
    size_t overhead = (label ? strlen(label) + 1 : 0) + (name2 ? 1 : 0);
    size_t room = NAME_BYTES_MAX - overhead;
    size_t n1 = strlen(name1);
    size_t n2 = name2 ? strlen(name2) : 0;
    while (n1 + n2 > room) {
        if (n1 > n2)
            n1--;
        else
            n2--;
    }
    n1 = clip(name1, n1);
    n2 = name2 ? clip(name2, n2) : 0;
    return arena_printf(mem, "%.*s%s%.*s%s%s", (int)n1, name1, name2 ? "_" : "", (int)n2,
                        name2 ? name2 : "", label ? "_" : "", label ? label : "");
}

err_t ddl_relation_exists_wait(struct ddl_context *x, oid schema, const char *name, bool *exists)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_CLASS, INDEX_CLASS_RELNAME_NSP, 2,
                          datum_of_text(x->mem, name), schema, x->mem, &rows));
    *exists = rows.count > 0;
    return ERR_OK;
}

err_t ddl_free_name_wait(struct ddl_context *x, oid schema, const char *name1, const char *name2,
                         const char *label, const char **out)
{
    for (uint32_t i = 0;; i++) {
        const char *tail = i ? arena_printf(x->mem, "%s%u", label, i) : label;
        const char *name = ddl_object_name(x->mem, name1, name2, tail);
        bool exists;
        TRY(ddl_relation_exists_wait(x, schema, name, &exists));
        if (!exists) {
            *out = name;
            return ERR_OK;
        }
    }
}

struct analyze_options ddl_analyze_options(struct ddl_context *x)
{
    return (struct analyze_options){.catalog = x->catalog, .env = x->env};
}

struct plan_options ddl_plan_options(struct ddl_context *x)
{
    return (struct plan_options){.catalog = x->catalog, .env = x->env};
}

const char *ddl_option_find(const struct ddl_option *options, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (!options[i].qualifier && strcmp(options[i].name, name) == 0)
            return options[i].value ? options[i].value : "true";
    return NULL;
}

bool ddl_option_true(const char *value)
{
    return value && strcasecmp(value, "false") != 0 && strcasecmp(value, "off") != 0 &&
           strcmp(value, "0") != 0;
}
