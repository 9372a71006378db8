/*
 * GRANT and REVOKE on relations, schemas and databases: access lists are kept as PostgreSQL prints
 * them ("grantee=letters/grantor", an empty grantee is PUBLIC).
 */
#include "sql/ddl/ddl_priv.h"

struct acl_kind {
    const char *all;            /* letters in PostgreSQL's order */
    const char *public_default; /* of PUBLIC when the list is null */
    oid relation;
    oid index;
    int acl_column;
    int owner_column;
    int columns;
};

static const struct acl_kind kind_table = {"arwdDxt",  "",           REL_CLASS, INDEX_CLASS_OID,
                                           COL_RELACL, COL_RELOWNER, COLS_CLASS};
static const struct acl_kind kind_sequence = {"rwU",      "",           REL_CLASS, INDEX_CLASS_OID,
                                              COL_RELACL, COL_RELOWNER, COLS_CLASS};
static const struct acl_kind kind_schema = {
    "UC", "", REL_NAMESPACE, INDEX_NAMESPACE_OID, COL_NSPACL, COL_NSPOWNER, COLS_NAMESPACE};
static const struct acl_kind kind_database = {
    "CTc", "Tc", REL_DATABASE, INDEX_DATABASE_OID, COL_DATACL, COL_DATDBA, COLS_DATABASE};

static const struct {
    const char *name;
    char letter;
} privilege_letters[] = {
    {"insert", 'a'},     {"select", 'r'},  {"update", 'w'},  {"delete", 'd'}, {"truncate", 'D'},
    {"references", 'x'}, {"trigger", 't'}, {"usage", 'U'},   {"create", 'C'}, {"temporary", 'T'},
    {"temp", 'T'},       {"connect", 'c'}, {"execute", 'X'},
};

struct acl_item {
    const char *grantee; /* "" = PUBLIC */
    char letters[16];
    char options[16]; /* letters held with grant option */
    const char *grantor;
};

struct acl {
    struct acl_item *items;
    uint32_t count;
    uint32_t room;
};

static struct acl_item *acl_find(struct ddl_context *x, struct acl *a, const char *grantee,
                                 const char *grantor)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i].grantee, grantee) == 0)
            return &a->items[i];
    if (a->count == a->room) {
        uint32_t room = a->room ? a->room * 2 : 8;
        struct acl_item *items = ARENA_ARRAY(x->mem, struct acl_item, room);
        if (a->count)
            memcpy(items, a->items, sizeof(*items) * a->count);
        a->items = items;
        a->room = room;
    }
    struct acl_item *item = &a->items[a->count++];
    *item = (struct acl_item){.grantee = grantee, .grantor = grantor};
    return item;
}

static void letter_set(char *letters, char letter, bool on)
{
    char *at = strchr(letters, letter);
    size_t len = strlen(letters);
    if (on && !at && len < 15) {
        letters[len] = letter;
        letters[len + 1] = 0;
    } else if (!on && at) {
        memmove(at, at + 1, strlen(at));
    }
}

static void acl_parse(struct ddl_context *x, struct acl *a, const char *text)
{
    const char *equals = strrchr(text, '=');
    const char *slash = strrchr(text, '/');
    if (!equals || !slash || slash < equals)
        return;
    const char *grantee = arena_strndup(x->mem, text, (size_t)(equals - text));
    struct acl_item *item = acl_find(x, a, grantee, arena_strdup(x->mem, slash + 1));
    for (const char *p = equals + 1; p < slash; p++) {
        if (*p == '*')
            letter_set(item->options, p[-1], true);
        else
            letter_set(item->letters, *p, true);
    }
}

static SUSPENDS err_t role_text_wait(struct ddl_context *x, oid role, const char **out)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_AUTHID, INDEX_AUTHID_OID, 1, role, 0, x->mem, &rows));
    *out = rows.count ? catalog_text_value(x->mem, &rows.rows[0], COL_ROLNAME, NULL)
                      : arena_printf(x->mem, "%u", role);
    return ERR_OK;
}

static SUSPENDS err_t grantee_text_wait(struct ddl_context *x, const struct ddl_role *r,
                                        const char **out)
{
    oid role;
    *out = "";
    if (r->kind == ROLE_SPEC_PUBLIC)
        return ERR_OK;
    TRY(ddl_role_oid_wait(x, r, &role));
    return role_text_wait(x, role, out);
}

static err_t acl_value(struct ddl_context *x, const struct acl_kind *k, const struct acl *a,
                       datum *out)
{
    datum *items = ARENA_ARRAY(x->mem, datum, a->count + 1);
    bool *nulls = ARENA_ARRAY(x->mem, bool, a->count + 1);
    struct array_view view = {
        .element = TYPE_ACLITEM, .ndim = 1, .lower = {1}, .values = items, .nulls = nulls};
    for (uint32_t i = 0; i < a->count; i++) {
        const struct acl_item *item = &a->items[i];
        if (!item->letters[0])
            continue;
        struct strbuf b;
        strbuf_init(&b, x->mem);
        strbuf_printf(&b, "%s=", item->grantee);
        for (const char *p = k->all; *p; p++) {
            if (!strchr(item->letters, *p))
                continue;
            strbuf_putc(&b, *p);
            if (strchr(item->options, *p))
                strbuf_putc(&b, '*');
        }
        strbuf_printf(&b, "/%s", item->grantor);
        items[view.count++] = datum_of_text(x->mem, b.data);
    }
    view.dims[0] = (int32_t)view.count;
    if (view.count == 0)
        view.ndim = 0;
    return array_make(x->mem, &view, out);
}

static err_t privilege_letter(const struct acl_kind *k, const struct ddl_privilege *p,
                              char letters[2])
{
    letters[0] = 0;
    for (size_t i = 0; i < ARRAY_LEN(privilege_letters); i++)
        if (p->name && strcmp(privilege_letters[i].name, p->name) == 0)
            letters[0] = privilege_letters[i].letter;
    letters[1] = 0;
    if (!letters[0])
        return err_raise(ERR_SYNTAX_ERROR, "unrecognized privilege type \"%s\"",
                         p->name ? p->name : "");
    if (!strchr(k->all, letters[0]))
        return err_raise(ERR_INVALID_GRANT_OPERATION, "invalid privilege type %s for %s", p->name,
                         k == &kind_table      ? "relation"
                         : k == &kind_sequence ? "sequence"
                         : k == &kind_schema   ? "schema"
                                               : "database");
    return ERR_OK;
}

static SUSPENDS err_t apply_to_wait(struct ddl_context *x, const struct ddl *d,
                                    const struct acl_kind *k, oid object)
{
    struct catalog_row row;
    struct acl a = {0};
    const char *owner;
    TRY(rows_get_wait(x, k->relation, k->index, 1, object, 0, &row));
    TRY(role_text_wait(x, catalog_oid_value(&row, k->owner_column), &owner));
    if (!x->catalog->is_superuser && catalog_oid_value(&row, k->owner_column) != x->catalog->user)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "permission denied to change privileges");
    if (row.nulls[k->acl_column - 1]) {
        if (*k->public_default)
            acl_parse(x, &a, arena_printf(x->mem, "=%s/%s", k->public_default, owner));
        acl_parse(x, &a, arena_printf(x->mem, "%s=%s/%s", owner, k->all, owner));
    } else {
        const datum *items;
        uint32_t count;
        TRY(catalog_array_read(x->mem, row.values[k->acl_column - 1], &count, &items));
        for (uint32_t i = 0; i < count; i++)
            acl_parse(x, &a, varlen_cstring(x->mem, datum_varlen(items[i])));
    }
    for (uint32_t g = 0; g < d->role_count; g++) {
        const char *grantee;
        TRY(grantee_text_wait(x, &d->roles[g], &grantee));
        struct acl_item *item = acl_find(x, &a, grantee, owner);
        for (uint32_t p = 0; p < MAX(d->privilege_count, 1u); p++) {
            char one[2];
            const char *letters = k->all;
            if (d->privilege_count) {
                if (d->privileges[p].column_count)
                    return err_not_built("column privileges are not supported");
                TRY(privilege_letter(k, &d->privileges[p], one));
                letters = one;
            }
            for (; *letters; letters++) {
                if (d->is_grant || !d->grant_option)
                    letter_set(item->letters, *letters, d->is_grant);
                if (d->grant_option || !d->is_grant)
                    letter_set(item->options, *letters, d->is_grant);
            }
        }
    }
    datum *v;
    bool *n;
    rows_copy(x->mem, &row, (uint32_t)k->columns, &v, &n);
    n[k->acl_column - 1] = false;
    TRY(acl_value(x, k, &a, &v[k->acl_column - 1]));
    return catalog_replace_wait(x->catalog, k->relation, &row, v, n, x->mem);
}

static SUSPENDS err_t relation_wait(struct ddl_context *x, const struct ddl *d,
                                    const struct ddl_name *n)
{
    oid relation;
    char kind;
    TRY(catalog_relation_oid_wait(x->catalog, n->schema, n->name, &relation, &kind));
    if (!relation)
        return ddl_missing(x, n, "relation");
    if (kind == 'i')
        return err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is an index", n->name);
    if (d->object == OBJ_SEQUENCE && kind != 'S')
        return err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", n->name);
    return apply_to_wait(x, d, kind == 'S' ? &kind_sequence : &kind_table, relation);
}

static SUSPENDS err_t all_in_schema_wait(struct ddl_context *x, const struct ddl *d,
                                         const struct ddl_name *n)
{
    oid schema;
    struct catalog_rows rows;
    TRY(schema_oid_wait(x->catalog, n->name, &schema));
    if (!schema)
        return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", n->name);
    TRY(catalog_find_wait(x->catalog, REL_CLASS, 0, 0, 0, 0, x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++) {
        const struct catalog_row *r = &rows.rows[i];
        char kind = catalog_char_value(r, COL_RELKIND);
        bool wanted = d->object == OBJ_SEQUENCE ? kind == 'S' : kind == 'r' || kind == 'v';
        if (catalog_oid_value(r, COL_RELNAMESPACE) == schema && wanted)
            TRY(apply_to_wait(x, d, kind == 'S' ? &kind_sequence : &kind_table,
                              catalog_oid_value(r, COL_OID)));
    }
    return ERR_OK;
}

err_t ddl_grant_run_wait(struct ddl_context *x, const struct ddl *d)
{
    for (uint32_t i = 0; i < d->name_count; i++) {
        const struct ddl_name *n = &d->names[i];
        oid object;
        bool allow;
        int32_t limit;
        if (d->all_in_schema && (d->object == OBJ_TABLE || d->object == OBJ_SEQUENCE)) {
            TRY(all_in_schema_wait(x, d, n));
            continue;
        }
        switch (d->object) {
        case OBJ_TABLE:
        case OBJ_SEQUENCE:
            TRY(relation_wait(x, d, n));
            break;
        case OBJ_SCHEMA:
            TRY(schema_oid_wait(x->catalog, n->name, &object));
            if (!object)
                return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", n->name);
            TRY(apply_to_wait(x, d, &kind_schema, object));
            break;
        case OBJ_DATABASE:
            TRY(database_by_name_wait(n->name, &object, &allow, &limit));
            if (!object)
                return err_raise(ERR_UNDEFINED_DATABASE, "database \"%s\" does not exist", n->name);
            TRY(apply_to_wait(x, d, &kind_database, object));
            break;
        default:
            return err_not_built("%s on this kind of object is not supported", d->tag);
        }
    }
    return ERR_OK;
}
