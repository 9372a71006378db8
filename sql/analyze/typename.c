/*
 * Types: what a TypeName node means, and facts about types that resolution asks for. Built-in types
 * come from the registry; row types of tables are known to the catalog only and count as composite.
 */
#include "sql/analyze/analyze_priv.h"

char type_category(oid type)
{
    const struct type_info *t = type_find(type);
    return t ? t->category : 'C';
}

bool type_is_preferred(oid type)
{
    const struct type_info *t = type_find(type);
    return t && t->preferred;
}

oid type_element(oid type)
{
    if (type == TYPE_INT2VECTOR) /* arrays by another name */
        return TYPE_INT2;
    if (type == TYPE_OIDVECTOR)
        return TYPE_OID;
    const struct type_info *t = type_find(type);
    if (!t || t->element == OID_NONE || t->typlen != -1 || t->array != OID_NONE)
        return OID_NONE;
    const struct type_info *element = type_find(t->element);
    return element && element->array == type ? t->element : OID_NONE;
}

oid type_array(oid type)
{
    const struct type_info *t = type_find(type);
    return t ? t->array : OID_NONE;
}

oid type_collation(oid type)
{
    const struct type_info *t = type_find(type);
    return t ? t->collation : OID_NONE;
}

bool type_is_row(oid type)
{
    const struct type_info *t = type_find(type);
    return !t || t->typtype == 'c';
}

bool type_is_polymorphic(oid type)
{
    switch (type) {
    case TYPE_ANYELEMENT:
    case TYPE_ANYARRAY:
    case TYPE_ANYNONARRAY:
    case TYPE_ANYENUM:
    case TYPE_ANYRANGE:
    case TYPE_ANYMULTIRANGE:
    case TYPE_ANYCOMPATIBLE:
    case TYPE_ANYCOMPATIBLEARRAY:
    case TYPE_ANYCOMPATIBLENONARRAY:
    case TYPE_ANYCOMPATIBLERANGE:
    case TYPE_ANYCOMPATIBLEMULTIRANGE:
        return true;
    default:
        return false;
    }
}

const char *analyze_type_text(const struct analysis *a, oid type)
{
    return type_display(a->mem, type);
}

const char *analyze_type_name_text(struct arena *mem, const TypeName *n)
{
    struct strbuf b;
    strbuf_init(&b, mem);
    for (int i = 0; i < list_length(n->names); i++) {
        if (i > 0)
            strbuf_putc(&b, '.');
        strbuf_puts(&b, list_string(n->names, i));
    }
    if (n->pct_type)
        strbuf_puts(&b, "%TYPE");
    if (n->arrayBounds)
        strbuf_puts(&b, "[]");
    return b.data ? b.data : "";
}

/* Built-in names need no catalog unless something may stand before pg_catalog in the path. */
static bool type_path_is_plain(const struct catalog_session *cs)
{
    if (cs->temp_schema != OID_NONE)
        return false;
    for (uint32_t i = 1; i < cs->search_path_count; i++) {
        if (strcmp(cs->search_path[i], "pg_catalog") == 0)
            return false;
    }
    return true;
}

static SUSPENDS err_t type_lookup_wait(struct analysis *a, const TypeName *n, oid *out)
{
    int count = list_length(n->names);
    if (count > 3)
        return analyze_at(a, n->location,
                          err_raise(ERR_SYNTAX_ERROR,
                                    "improper qualified name (too many dotted names): %s",
                                    analyze_type_name_text(a->mem, n)));
    const char *name = list_string(n->names, count - 1);
    const char *schema = count > 1 ? list_string(n->names, count - 2) : NULL;
    const struct type_info *t = NULL;
    if (schema ? strcmp(schema, "pg_catalog") == 0 : type_path_is_plain(a->catalog))
        t = type_find_name(name);
    if (t) {
        *out = t->oid;
        return ERR_OK;
    }
    if (schema) {
        oid schema_oid;
        TRY(schema_oid_wait(a->catalog, schema, &schema_oid));
        if (schema_oid == OID_NONE)
            return analyze_at(
                a, n->location,
                err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", schema));
    }
    return type_by_name_wait(a->catalog, schema, name, out);
}

/* table.column%TYPE */
static SUSPENDS err_t type_of_column_wait(struct analysis *a, const TypeName *n, oid *out)
{
    int count = list_length(n->names);
    if (count < 2)
        return analyze_at(a, n->location,
                          err_raise(ERR_SYNTAX_ERROR,
                                    "improper %%TYPE reference (too few dotted names): %s",
                                    list_string(n->names, 0)));
    const char *column = list_string(n->names, count - 1);
    const char *table = list_string(n->names, count - 2);
    const struct table_desc *t;
    TRY(analysis_table_find_wait(a, count > 2 ? list_string(n->names, count - 3) : NULL, table,
                                 &t));
    if (!t)
        return analyze_at(a, n->location,
                          err_raise(ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", table));
    const struct column_desc *c = table_column(t, column);
    if (!c)
        return analyze_at(a, n->location,
                          err_raise(ERR_UNDEFINED_COLUMN,
                                    "column \"%s\" of relation \"%s\" does not exist", column,
                                    table));
    *out = c->type;
    return ERR_OK;
}

SUSPENDS err_t analyze_type_find_wait(struct analysis *a, const TypeName *n, oid *type)
{
    *type = OID_NONE;
    if (n->names == NIL) {
        *type = n->typeOid;
    } else if (n->pct_type) {
        TRY(type_of_column_wait(a, n, type));
    } else {
        TRY(type_lookup_wait(a, n, type));
    }
    if (*type != OID_NONE && n->arrayBounds) {
        oid array = type_array(*type);
        if (array == OID_NONE)
            return analyze_at(a, n->location,
                              err_not_built("arrays of type %s are not supported yet",
                                            analyze_type_text(a, *type)));
        *type = array;
    }
    return ERR_OK;
}

/* One modifier: an integer, or a name or string where the type wants text (none of ours does). */
static err_t type_modifier(struct analysis *a, const TypeName *n, const Node *node, int32_t *out)
{
    if (IsA(node, A_Const)) {
        const A_Const *c = (const A_Const *)node;
        if (!c->isnull && nodeTag(&c->val) == T_Integer) {
            *out = c->val.ival.ival;
            return ERR_OK;
        }
    } else if (IsA(node, A_Expr)) {
        /* -n: the grammar leaves a sign as an operator only for expressions */
        return analyze_at(
            a, n->location,
            err_raise(ERR_SYNTAX_ERROR, "type modifiers must be simple constants or identifiers"));
    }
    return analyze_at(a, n->location,
                      err_raise(ERR_INVALID_PARAMETER_VALUE,
                                "invalid type modifier for type \"%s\"",
                                analyze_type_name_text(a->mem, n)));
}

static err_t type_modifiers(struct analysis *a, const TypeName *n, oid type, int32_t *typmod)
{
    *typmod = n->typemod;
    if (n->typmods == NIL)
        return ERR_OK;
    oid element = type_element(type);
    const struct type_info *t = type_find(element != OID_NONE ? element : type);
    uint32_t count = (uint32_t)list_length(n->typmods);
    if (!t || !t->typmod_in)
        return analyze_at(a, n->location,
                          t && t->input == NULL
                              ? err_not_built("type %s is not supported yet", t->name)
                              : err_raise(ERR_SYNTAX_ERROR,
                                          "type modifier is not allowed for type \"%s\"",
                                          analyze_type_name_text(a->mem, n)));
    if (count > 16)
        return analyze_at(a, n->location,
                          err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid type modifier"));
    int32_t args[16];
    for (uint32_t i = 0; i < count; i++)
        TRY(type_modifier(a, n, list_nth(n->typmods, (int)i), &args[i]));
    err_t e = t->typmod_in(args, count, typmod);
    return e == ERR_OK ? e : analyze_at(a, n->location, e);
}

SUSPENDS err_t analyze_type_name_wait(struct analysis *a, const TypeName *n, oid *type,
                                      int32_t *typmod)
{
    TRY(analyze_type_find_wait(a, n, type));
    if (*type == OID_NONE)
        return analyze_at(a, n->location,
                          err_raise(ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist",
                                    analyze_type_name_text(a->mem, n)));
    return type_modifiers(a, n, *type, typmod);
}

SUSPENDS err_t analyze_type_node_wait(const struct analyze_options *o, const TypeName *n,
                                      struct arena *mem, oid *type, int32_t *typmod)
{
    struct analysis a;
    analysis_begin(&a, o, mem);
    err_t e = analyze_type_name_wait(&a, n, type, typmod);
    analysis_end(&a);
    return e;
}

/* The collations there are: one order of bytes under several names. */
SUSPENDS err_t analyze_collation_wait(struct analysis *a, const List *name, int32_t location,
                                      oid *out)
{
    enum {
        COLLATION_DEFAULT = 100,
        COLLATION_C = 950,
        COLLATION_POSIX = 951,
        COLLATION_UCS_BASIC = 12340,
        COLLATION_C_UTF8 = 12341
    };
    static const struct {
        const char *name;
        oid id;
    } known[] = {
        {"default", COLLATION_DEFAULT}, {"C", COLLATION_C},
        {"POSIX", COLLATION_POSIX},     {"ucs_basic", COLLATION_UCS_BASIC},
        {"C.utf8", COLLATION_C_UTF8},   {"C.UTF-8", COLLATION_C_UTF8},
    };
    int count = list_length(name);
    const char *last = list_string(name, count - 1);
    bool is_catalog = count < 2 || strcmp(list_string(name, count - 2), "pg_catalog") == 0;
    for (size_t i = 0; is_catalog && i < ARRAY_LEN(known); i++) {
        if (strcmp(last, known[i].name) == 0) {
            *out = known[i].id;
            return ERR_OK;
        }
    }
    struct strbuf full;
    strbuf_init(&full, a->mem);
    for (int i = 0; i < count; i++) {
        if (i > 0)
            strbuf_putc(&full, '.');
        strbuf_puts(&full, list_string(name, i));
    }
    return analyze_at(a, location,
                      err_raise(ERR_UNDEFINED_OBJECT,
                                "collation \"%s\" for encoding \"UTF8\" does not exist",
                                full.data));
}
