/*
 * GRANT and REVOKE on relations and their columns, schemas and databases.
 *
 * Who may grant: the owner and superusers (in the owner's name), else the role of the session, or
 * one whose rights it has, that holds the grant option. An item of a list is what one role has from
 * one grantor; taking a grant option away takes what was granted with it, or is refused (RESTRICT).
 * Source of the rules: PostgreSQL 15's documentation of GRANT and REVOKE.
 */
#include "sql/catalog/privileges.h"
#include "sql/ddl/ddl_priv.h"
#include "sql/types/acl.h"

struct acl_kind {
    char kind; /* of acl_default() */
    const char *what;
    const char *denied; /* as "permission denied for" calls it */
    oid relation;
    oid index;
    int acl_column;
    int owner_column; /* 0: the relation's */
    int name_column;
    int columns;
};

static const struct acl_kind kind_table = {'r',          "relation",      "table",
                                           REL_CLASS,    INDEX_CLASS_OID, COL_RELACL,
                                           COL_RELOWNER, COL_RELNAME,     COLS_CLASS};
static const struct acl_kind kind_sequence = {'s',          "sequence",      "sequence",
                                              REL_CLASS,    INDEX_CLASS_OID, COL_RELACL,
                                              COL_RELOWNER, COL_RELNAME,     COLS_CLASS};
static const struct acl_kind kind_column = {
    'c',        "column", "column",    REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM,
    COL_ATTACL, 0,        COL_ATTNAME, COLS_ATTRIBUTE};
static const struct acl_kind kind_schema = {
    'n',        "schema",     "schema",    REL_NAMESPACE, INDEX_NAMESPACE_OID,
    COL_NSPACL, COL_NSPOWNER, COL_NSPNAME, COLS_NAMESPACE};
static const struct acl_kind kind_database = {'d',          "database",         "database",
                                              REL_DATABASE, INDEX_DATABASE_OID, COL_DATACL,
                                              COL_DATDBA,   COL_DATNAME,        COLS_DATABASE};

enum { COLUMN_RIGHTS = ACL_INSERT | ACL_SELECT | ACL_UPDATE | ACL_REFERENCES };

struct acl {
    struct acl_item *items;
    uint32_t count;
    uint32_t room;
};

/* One change of one list. */
struct change {
    const struct ddl *d;
    const struct acl_kind *k;
    oid owner;
    oid grantor;
    uint32_t bits;
    struct acl acl;
    const struct acl *of_table; /* of columns: who may hand on the table's rights may theirs */
    uint32_t changed;           /* items that were found or made */
};

static struct acl_item *acl_add(struct ddl_context *x, struct acl *a, oid grantee, oid grantor)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->items[i].grantee == grantee && a->items[i].grantor == grantor)
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

static void kind_rights(const struct acl_kind *k, uint32_t *everybody, uint32_t *own)
{
    bool is_known = acl_default(k->kind, everybody, own);
    ASSERT(is_known);
}

static err_t acl_read(struct ddl_context *x, const struct acl_kind *k,
                      const struct catalog_row *row, oid owner, struct acl *a)
{
    if (row->nulls[k->acl_column - 1]) {
        uint32_t everybody;
        uint32_t own;
        kind_rights(k, &everybody, &own);
        if (everybody)
            acl_add(x, a, OID_NONE, owner)->rights = everybody;
        if (own)
            acl_add(x, a, owner, owner)->rights = own;
        return ERR_OK;
    }
    const datum *items;
    uint32_t count;
    TRY(catalog_array_read(x->mem, row->values[k->acl_column - 1], &count, &items));
    for (uint32_t i = 0; i < count; i++) {
        struct acl_item item = acl_item_read(items[i]);
        *acl_add(x, a, item.grantee, item.grantor) = item;
    }
    return ERR_OK;
}

static err_t acl_value(struct ddl_context *x, const struct acl *a, datum *out)
{
    datum *items = ARENA_ARRAY(x->mem, datum, a->count + 1);
    bool *nulls = ARENA_ARRAY(x->mem, bool, a->count + 1);
    struct array_view view = {
        .element = TYPE_ACLITEM, .ndim = 1, .lower = {1}, .values = items, .nulls = nulls};
    for (uint32_t i = 0; i < a->count; i++)
        if (a->items[i].rights)
            items[view.count++] = acl_item_make(x->mem, &a->items[i]);
    view.dims[0] = (int32_t)view.count;
    if (view.count == 0)
        view.ndim = 0;
    return array_make(x->mem, &view, out);
}

/* ---- who grants ---- */

static uint32_t options_of(const struct acl *a, oid role)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->items[i].grantee == role)
            bits |= a->items[i].options;
    return bits;
}

static uint32_t rights_of(const struct acl *a, const oid *roles, uint32_t count)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        bool mine = a->items[i].grantee == OID_NONE;
        for (uint32_t r = 0; r < count && !mine; r++)
            mine = a->items[i].grantee == roles[r];
        if (mine)
            bits |= a->items[i].rights;
    }
    return bits;
}

/* The role in whose name this is done, and how much of it that role may do. */
static SUSPENDS err_t grantor_wait(struct ddl_context *x, struct change *c, const char *name,
                                   bool all)
{
    bool owns = x->catalog->is_superuser || c->owner == x->catalog->user;
    c->grantor = c->owner;
    if (!owns)
        TRY(privilege_has_role_wait(x->catalog, x->catalog->user, c->owner, true, &owns));
    if (owns)
        return ERR_OK;
    const oid *roles;
    uint32_t count;
    uint32_t best = 0;
    TRY(privilege_roles_wait(x->catalog, x->catalog->user, x->mem, &roles, &count));
    c->grantor = x->catalog->user;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t may = options_of(&c->acl, roles[i]);
        if (c->of_table)
            may |= options_of(c->of_table, roles[i]);
        may &= c->bits;
        if (__builtin_popcount(may) > __builtin_popcount(best)) {
            best = may;
            c->grantor = roles[i];
        }
    }
    if (!best && !rights_of(&c->acl, roles, count) &&
        !(c->of_table && rights_of(c->of_table, roles, count)))
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "permission denied for %s %s", c->k->denied,
                         name);
    if (best != c->bits && (!all || !best))
        ddl_warning(x,
                    c->d->is_grant ? ERR_WARNING_PRIVILEGE_NOT_GRANTED
                                   : ERR_WARNING_PRIVILEGE_NOT_REVOKED,
                    "%s privileges %s for \"%s\"", best ? "not all" : "no",
                    c->d->is_grant ? "were granted" : "could be revoked", name);
    c->bits = best;
    return ERR_OK;
}

/* ---- changing a list ---- */

/* What role no longer may hand on goes from those who have it from role. */
static err_t revoke_dependent(struct change *c, oid role, uint32_t lost)
{
    TRY(fiber_check_stack());
    if (role == c->owner)
        return ERR_OK;
    lost &= ~options_of(&c->acl, role);
    for (uint32_t i = 0; lost && i < c->acl.count; i++) {
        struct acl_item *item = &c->acl.items[i];
        uint32_t bits = item->rights & lost;
        if (item->grantor != role || !bits)
            continue;
        if (!c->d->cascade) {
            err_t e = err_raise(ERR_DEPENDENT_OBJECTS_STILL_EXIST, "dependent privileges exist");
            err_hint("Use CASCADE to revoke them too.");
            return e;
        }
        uint32_t options = item->options & bits;
        item->rights &= ~bits;
        item->options &= ~bits;
        TRY(revoke_dependent(c, item->grantee, options));
    }
    return ERR_OK;
}

/* Whether role has its grant option, over any number of steps, from grantee. */
static bool comes_from(const struct change *c, oid role, oid grantee, uint32_t depth)
{
    if (role == grantee)
        return true;
    if (role == c->owner || depth > c->acl.count)
        return false;
    for (uint32_t i = 0; i < c->acl.count; i++)
        if (c->acl.items[i].grantee == role && (c->acl.items[i].options & c->bits) &&
            comes_from(c, c->acl.items[i].grantor, grantee, depth + 1))
            return true;
    return false;
}

static err_t change_item(struct ddl_context *x, struct change *c, oid grantee)
{
    if (c->d->is_grant && c->d->grant_option && grantee == OID_NONE)
        return err_raise(ERR_INVALID_GRANT_OPERATION, "grant options can only be granted to roles");
    if (c->d->is_grant && c->d->grant_option && c->grantor != c->owner &&
        comes_from(c, c->grantor, grantee, 0))
        return err_raise(ERR_INVALID_GRANT_OPERATION,
                         "grant options cannot be granted back to your own grantor");
    struct acl_item *item = acl_add(x, &c->acl, grantee, c->grantor);
    if (c->d->is_grant) {
        item->rights |= c->bits;
        if (c->d->grant_option)
            item->options |= c->bits;
        return ERR_OK;
    }
    uint32_t lost = item->options & c->bits;
    if (!c->d->grant_option)
        item->rights &= ~c->bits;
    item->options &= ~c->bits;
    return revoke_dependent(c, grantee, lost);
}

static SUSPENDS err_t change_list_wait(struct ddl_context *x, struct change *c,
                                       const struct catalog_row *row, bool all)
{
    const struct acl_kind *k = c->k;
    TRY(acl_read(x, k, row, c->owner, &c->acl));
    TRY(grantor_wait(x, c, catalog_text_value(x->mem, row, k->name_column, NULL), all));
    for (uint32_t g = 0; c->bits && g < c->d->role_count; g++) {
        oid grantee = OID_NONE;
        if (c->d->roles[g].kind != ROLE_SPEC_PUBLIC)
            TRY(ddl_role_oid_wait(x, &c->d->roles[g], &grantee));
        TRY(change_item(x, c, grantee));
    }
    datum *v;
    bool *n;
    rows_copy(x->mem, row, (uint32_t)k->columns, &v, &n);
    TRY(acl_value(x, &c->acl, &v[k->acl_column - 1]));
    n[k->acl_column - 1] = k->kind == 'c'; /* a column without rights of its own has no list */
    for (uint32_t i = 0; i < c->acl.count; i++)
        n[k->acl_column - 1] = n[k->acl_column - 1] && !c->acl.items[i].rights;
    return catalog_replace_wait(x->catalog, k->relation, row, v, n, x->mem);
}

/* ---- privileges as written ---- */

static err_t word_bits(const struct acl_kind *k, const struct ddl_privilege *p, uint32_t *out)
{
    uint32_t everybody;
    uint32_t own;
    kind_rights(k, &everybody, &own);
    uint32_t all = k->kind == 'c' ? COLUMN_RIGHTS : own;
    *out = p->name ? acl_bit_of_word(p->name, strlen(p->name)) : all; /* ALL (columns) */
    if (!*out)
        return err_raise(ERR_SYNTAX_ERROR, "unrecognized privilege type \"%s\"", p->name);
    if (*out & ~all) {
        uint32_t bit = (uint32_t)__builtin_ctz(*out & ~all);
        /* GRANT ... ON t stands for sequences too: what these have is only wrong for the table. */
        const char *what = k->kind == 'r' && (1u << bit) == ACL_USAGE ? "table" : k->what;
        return err_raise(ERR_INVALID_GRANT_OPERATION, "invalid privilege type %s for %s",
                         acl_word(bit), what);
    }
    return ERR_OK;
}

static SUSPENDS err_t column_wait(struct ddl_context *x, const struct ddl *d, oid table, oid owner,
                                  const struct acl *of_table, int16_t number, uint32_t bits,
                                  bool all)
{
    struct catalog_row row;
    struct change c = {
        .d = d, .k = &kind_column, .owner = owner, .of_table = of_table, .bits = bits};
    TRY(rows_get_wait(x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, table,
                      datum_of_i16(number), &row));
    return change_list_wait(x, &c, &row, all);
}

static SUSPENDS err_t columns_wait(struct ddl_context *x, const struct ddl *d, oid table, oid owner,
                                   const struct acl *of_table)
{
    const struct table_desc *t;
    err_t e = ERR_OK;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    for (uint32_t p = 0; t && e == ERR_OK && p < d->privilege_count; p++) {
        uint32_t bits = 0;
        if (d->privileges[p].column_count)
            e = word_bits(&kind_column, &d->privileges[p], &bits);
        for (uint32_t i = 0; e == ERR_OK && i < d->privileges[p].column_count; i++) {
            const struct column_desc *col = table_column(t, d->privileges[p].columns[i]);
            e = col ? column_wait(x, d, table, owner, of_table, col->attno, bits,
                                  !d->privileges[p].name)
                    : err_raise(ERR_UNDEFINED_COLUMN,
                                "column \"%s\" of relation \"%s\" does not exist",
                                d->privileges[p].columns[i], t->name);
        }
    }
    table_release(t);
    return e;
}

/* What is revoked of a table is revoked of its columns too. */
static SUSPENDS err_t revoke_columns_wait(struct ddl_context *x, const struct ddl *d, oid table,
                                          oid owner, const struct acl *of_table, uint32_t bits)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 1, table, 0,
                          x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++) {
        if (rows.rows[i].nulls[COL_ATTACL - 1])
            continue;
        struct change c = {
            .d = d, .k = &kind_column, .owner = owner, .of_table = of_table, .bits = bits};
        TRY(change_list_wait(x, &c, &rows.rows[i], true));
    }
    return ERR_OK;
}

static SUSPENDS err_t apply_to_wait(struct ddl_context *x, const struct ddl *d,
                                    const struct acl_kind *k, oid object)
{
    struct catalog_row row;
    uint32_t everybody;
    struct change c = {.d = d, .k = k};
    bool all = d->privilege_count == 0;
    TRY(rows_get_wait(x, k->relation, k->index, 1, object, 0, &row));
    c.owner = catalog_oid_value(&row, k->owner_column);
    if (all)
        kind_rights(k, &everybody, &c.bits);
    for (uint32_t p = 0; p < d->privilege_count; p++) {
        uint32_t bits = 0;
        if (d->privileges[p].column_count && k != &kind_table)
            return err_raise(ERR_INVALID_GRANT_OPERATION,
                             "column privileges are only valid for relations");
        if (!d->privileges[p].column_count)
            TRY(word_bits(k, &d->privileges[p], &bits));
        c.bits |= bits;
    }
    struct acl of_table = {0};
    if (k == &kind_table) {
        TRY(acl_read(x, k, &row, c.owner, &of_table));
        TRY(columns_wait(x, d, object, c.owner, &of_table));
    }
    if (!c.bits)
        return ERR_OK;
    uint32_t bits = c.bits;
    TRY(change_list_wait(x, &c, &row, all));
    if (k == &kind_table && !d->is_grant && (bits & COLUMN_RIGHTS))
        TRY(revoke_columns_wait(x, d, object, c.owner, &of_table, bits & COLUMN_RIGHTS));
    return ERR_OK;
}

/* ---- objects ---- */

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
