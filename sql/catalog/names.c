/*
 * Names for SQL functions: text to oid (regclass and its like), oid to text with qualification by
 * visibility, comments, roles and sizes. The services of a session, filled by
 * catalog_fill_services().
 */
#include "core/core.h"
#include "sql/catalog/cache.h"
#include "sql/catalog/define.h"
#include "sql/catalog/privileges.h"
#include "sql/types/quote.h"

#include <strings.h>

/* The same for all sessions; set before the first one runs. */
static struct catalog_session *(*session_of)(void *owner);

/* ---- reading names ---- */

struct name_parts {
    uint32_t count;
    const char *part[4];
};

/* a.b."C d": folded to lower case unless quoted. ERR_INVALID_NAME. */
static err_t parse_name(struct arena *mem, const char *text, struct name_parts *out)
{
    const char *p = text;
    out->count = 0;
    for (;;) {
        struct strbuf b;
        strbuf_init(&b, mem);
        strbuf_puts(&b, "");
        while (*p == ' ' || *p == '\t' || *p == '\n')
            p++;
        if (*p == '"') {
            for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
                if (*p == '"')
                    p++;
                strbuf_putc(&b, *p);
            }
            if (*p++ != '"')
                return err_raise(ERR_INVALID_NAME, "invalid name syntax");
        } else {
            while (*p && *p != '.' && *p != ' ' && *p != '\t' && *p != '\n' && *p != '"') {
                strbuf_putc(&b, *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p);
                p++;
            }
        }
        if (b.len == 0 || out->count == ARRAY_LEN(out->part))
            return err_raise(ERR_INVALID_NAME, "invalid name syntax");
        if (b.len > 63)
            b.data[63] = 0;
        out->part[out->count++] = b.data;
        while (*p == ' ' || *p == '\t' || *p == '\n')
            p++;
        if (*p == 0)
            return ERR_OK;
        if (*p++ != '.')
            return err_raise(ERR_INVALID_NAME, "invalid name syntax");
    }
}

static err_t split(const struct name_parts *n, const char **schema, const char **name)
{
    if (n->count > 3)
        return err_raise(ERR_SYNTAX_ERROR, "improper relation name (too many dotted names): %s",
                         n->part[0]);
    *name = n->part[n->count - 1];
    *schema = n->count > 1 ? n->part[n->count - 2] : NULL;
    return ERR_OK;
}

static SUSPENDS err_t resolve_class_wait(struct catalog_session *cs, struct arena *mem,
                                         const char *text, bool missing_ok, oid *out)
{
    struct name_parts n;
    const char *schema = NULL;
    const char *name = NULL;
    char kind;
    TRY(parse_name(mem, text, &n));
    TRY(split(&n, &schema, &name));
    TRY(catalog_relation_oid_wait(cs, schema, name, out, &kind));
    if (*out || missing_ok)
        return ERR_OK;
    if (!schema)
        return err_raise(ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", name);
    oid s;
    TRY(schema_oid_wait(cs, schema, &s));
    if (!s)
        return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", schema);
    return err_raise(ERR_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist", schema, name);
}

/* SQL's own spellings of types. */
static const struct {
    const char *spelling;
    const char *name;
} type_spellings[] = {
    {"bigint", "int8"},
    {"bit varying", "varbit"},
    {"boolean", "bool"},
    {"char", "bpchar"},
    {"character", "bpchar"},
    {"character varying", "varchar"},
    {"dec", "numeric"},
    {"decimal", "numeric"},
    {"double precision", "float8"},
    {"float", "float8"},
    {"int", "int4"},
    {"integer", "int4"},
    {"national character", "bpchar"},
    {"national character varying", "varchar"},
    {"nchar", "bpchar"},
    {"real", "float4"},
    {"smallint", "int2"},
    {"time with time zone", "timetz"},
    {"time without time zone", "time"},
    {"timestamp with time zone", "timestamptz"},
    {"timestamp without time zone", "timestamp"},
};

static SUSPENDS err_t resolve_type_wait(struct catalog_session *cs, struct arena *mem,
                                        const char *text, bool missing_ok, oid *out)
{
    /* a modifier in parentheses does not matter here; [] makes the array */
    struct strbuf plain;
    bool is_array = false;
    strbuf_init(&plain, mem);
    strbuf_puts(&plain, "");
    int depth = 0;
    for (const char *p = text; *p; p++) {
        if (*p == '(')
            depth++;
        else if (*p == ')')
            depth--;
        else if (*p == '[')
            is_array = true;
        else if (depth == 0 && *p != ']' && (*p < '0' || *p > '9' || !is_array))
            strbuf_putc(&plain, *p);
    }
    while (plain.len > 0 && plain.data[plain.len - 1] == ' ')
        plain.data[--plain.len] = 0;
    *out = 0;
    for (size_t i = 0; i < ARRAY_LEN(type_spellings); i++)
        if (strcasecmp(type_spellings[i].spelling, plain.data) == 0)
            *out = type_find_name(type_spellings[i].name)->oid;
    if (!*out) {
        struct name_parts n;
        const char *schema = NULL;
        const char *name = NULL;
        TRY(parse_name(mem, plain.data, &n));
        TRY(split(&n, &schema, &name));
        TRY(type_by_name_wait(cs, schema, name, out));
    }
    if (*out && is_array) {
        const struct type_info *t = type_find(*out);
        *out = t ? t->array : 0;
    }
    if (*out || missing_ok)
        return ERR_OK;
    return err_raise(ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist", text);
}

static err_t resolve_function(struct arena *mem, const char *text, bool missing_ok, oid *out)
{
    struct name_parts n;
    const char *schema = NULL;
    const char *name = NULL;
    uint32_t count = 0;
    TRY(parse_name(mem, text, &n));
    TRY(split(&n, &schema, &name));
    const struct func *const *list = NULL;
    if (!schema || strcmp(schema, "pg_catalog") == 0)
        list = func_find_name(name, &count);
    if (count == 1)
        *out = list[0]->oid;
    if (count <= 1 && (count == 1 || missing_ok))
        return ERR_OK;
    if (count == 0)
        return err_raise(ERR_UNDEFINED_FUNCTION, "function \"%s\" does not exist", text);
    return missing_ok
               ? ERR_OK
               : err_raise(ERR_AMBIGUOUS_FUNCTION, "more than one function named \"%s\"", text);
}

static err_t resolve_operator(const char *text, bool missing_ok, oid *out)
{
    uint32_t count = 0;
    const char *name = strrchr(text, '.');
    const struct operator_info *const *list =
        operator_find_name(name && name[1] ? name + 1 : text, &count);
    if (count == 1)
        *out = list[0]->oid;
    if (count == 1 || missing_ok)
        return ERR_OK;
    if (count == 0)
        return err_raise(ERR_UNDEFINED_FUNCTION, "operator does not exist: %s", text);
    return err_raise(ERR_AMBIGUOUS_FUNCTION, "more than one operator named %s", text);
}

/* A catalog whose name column has an index of its own. */
static SUSPENDS err_t resolve_simple_wait(struct catalog_session *cs, struct arena *mem,
                                          oid relation, oid index, const char *text, oid *out)
{
    struct name_parts n;
    struct catalog_rows rows;
    TRY(parse_name(mem, text, &n));
    const char *name = n.part[n.count - 1];
    TRY(catalog_find_wait(cs, relation, index, 1, datum_of_text(mem, name), 0, mem, &rows));
    if (rows.count)
        *out = catalog_oid_value(&rows.rows[0], COL_OID);
    return ERR_OK;
}

static SUSPENDS err_t resolve_wait(struct catalog_session *cs, struct arena *mem, char kind,
                                   const char *text, bool missing_ok, oid *out)
{
    *out = 0;
    switch (kind) {
    case 'c':
        return resolve_class_wait(cs, mem, text, missing_ok, out);
    case 't':
        return resolve_type_wait(cs, mem, text, missing_ok, out);
    case 'p':
        return resolve_function(mem, text, missing_ok, out);
    case 'o':
        return resolve_operator(text, missing_ok, out);
    case 'n': {
        struct name_parts n;
        TRY(parse_name(mem, text, &n));
        TRY(schema_oid_wait(cs, n.part[n.count - 1], out));
        if (*out || missing_ok)
            return ERR_OK;
        return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", n.part[0]);
    }
    case 'r':
        TRY(resolve_simple_wait(cs, mem, REL_AUTHID, INDEX_AUTHID_ROLNAME, text, out));
        if (*out || missing_ok)
            return ERR_OK;
        return err_raise(ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", text);
    case 'C':
        TRY(resolve_simple_wait(cs, mem, REL_COLLATION, INDEX_COLLATION_NAME_ENC_NSP, text, out));
        if (*out || missing_ok)
            return ERR_OK;
        return err_raise(ERR_UNDEFINED_OBJECT,
                         "collation \"%s\" for encoding \"UTF8\" does not exist", text);
    case 'd':
        TRY(resolve_simple_wait(cs, mem, REL_DATABASE, INDEX_DATABASE_DATNAME, text, out));
        if (*out || missing_ok)
            return ERR_OK;
        return err_raise(ERR_UNDEFINED_DATABASE, "database \"%s\" does not exist", text);
    case 's':
        TRY(resolve_simple_wait(cs, mem, REL_TABLESPACE, INDEX_TABLESPACE_SPCNAME, text, out));
        if (*out || missing_ok)
            return ERR_OK;
        return err_raise(ERR_UNDEFINED_OBJECT, "tablespace \"%s\" does not exist", text);
    default:
        return err_not_built("names of this kind of object are not supported");
    }
}

static SUSPENDS err_t service_resolve(void *owner, char kind, const char *name, bool missing_ok,
                                      oid *out)
{
    struct arena *mem = arena_new();
    err_t e = resolve_wait(session_of(owner), mem, kind, name, missing_ok, out);
    arena_free(mem);
    return e;
}

/* ---- writing names ---- */

err_t define_relation_name_wait(struct catalog_session *cs, oid relation, bool always_qualified,
                                struct arena *mem, const char **out)
{
    *out = NULL;
    const struct catalog_relation *r = catalog_relation_find(relation);
    const char *name = NULL;
    oid schema = SCHEMA_PG_CATALOG;
    if (r) {
        name = r->fact->name;
        schema = r->schema;
    } else {
        struct catalog_rows rows;
        TRY(catalog_find_wait(cs, REL_CLASS, INDEX_CLASS_OID, 1, relation, 0, mem, &rows));
        if (rows.count == 0)
            return ERR_OK;
        name = catalog_text_value(mem, &rows.rows[0], COL_RELNAME, NULL);
        schema = catalog_oid_value(&rows.rows[0], COL_RELNAMESPACE);
    }
    bool visible = false;
    if (!always_qualified)
        TRY(catalog_relation_visible_wait(cs, relation, name, schema, &visible));
    const char *quoted = quote_identifier(mem, name);
    if (!visible) {
        const char *schema_name;
        TRY(schema_name_wait(cs, schema, mem, &schema_name));
        quoted = arena_printf(mem, "%s.%s", quote_identifier(mem, schema_name ? schema_name : "?"),
                              quoted);
    }
    *out = quoted;
    return ERR_OK;
}

static SUSPENDS err_t name_in_wait(struct catalog_session *cs, oid relation, oid index, int column,
                                   oid object, bool quote, struct arena *mem, const char **out)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(cs, relation, index, 1, object, 0, mem, &rows));
    if (rows.count == 0)
        return ERR_OK;
    const char *name = catalog_text_value(mem, &rows.rows[0], column, NULL);
    *out = quote ? quote_identifier(mem, name) : name;
    return ERR_OK;
}

static SUSPENDS err_t service_name_of(void *owner, char kind, oid object, struct arena *mem,
                                      const char **out)
{
    struct catalog_session *cs = session_of(owner);
    *out = NULL;
    switch (kind) {
    case 'c':
        return define_relation_name_wait(cs, object, false, mem, out);
    case 't':
        if (type_find(object)) {
            *out = type_format(mem, object, -1);
            return ERR_OK;
        }
        return name_in_wait(cs, REL_TYPE, INDEX_TYPE_OID, COL_TYPNAME, object, true, mem, out);
    case 'p': {
        const struct func *f = func_find(object);
        *out = f ? quote_identifier(mem, f->name) : NULL;
        return ERR_OK;
    }
    case 'o': {
        const struct operator_info *o = operator_find(object);
        *out = o ? o->name : NULL;
        return ERR_OK;
    }
    case 'n': {
        const char *name;
        TRY(schema_name_wait(cs, object, mem, &name));
        *out = name ? quote_identifier(mem, name) : NULL;
        return ERR_OK;
    }
    case 'r':
        return name_in_wait(cs, REL_AUTHID, INDEX_AUTHID_OID, COL_ROLNAME, object, true, mem, out);
    case 'C':
        return name_in_wait(cs, REL_COLLATION, INDEX_COLLATION_OID, COL_COLLNAME, object, true, mem,
                            out);
    case 'd':
        return name_in_wait(cs, REL_DATABASE, INDEX_DATABASE_OID, COL_DATNAME, object, true, mem,
                            out);
    case 's':
        return name_in_wait(cs, REL_TABLESPACE, INDEX_TABLESPACE_OID, COL_SPCNAME, object, true,
                            mem, out);
    default:
        return ERR_OK;
    }
}

static SUSPENDS err_t relation_visible_wait(struct catalog_session *cs, oid relation, bool *visible,
                                            bool *exists)
{
    struct arena *mem = arena_new();
    const struct catalog_relation *r = catalog_relation_find(relation);
    struct catalog_rows rows = {0};
    err_t e = ERR_OK;
    if (r) {
        *exists = true;
        e = catalog_relation_visible_wait(cs, relation, r->fact->name, r->schema, visible);
    } else {
        e = catalog_find_wait(cs, REL_CLASS, INDEX_CLASS_OID, 1, relation, 0, mem, &rows);
        *exists = e == ERR_OK && rows.count > 0;
        if (*exists)
            e = catalog_relation_visible_wait(
                cs, relation, catalog_text_value(mem, &rows.rows[0], COL_RELNAME, NULL),
                catalog_oid_value(&rows.rows[0], COL_RELNAMESPACE), visible);
    }
    arena_free(mem);
    return e;
}

static SUSPENDS err_t type_visible_wait(struct catalog_session *cs, oid type, bool *visible,
                                        bool *exists)
{
    const struct type_info *t = type_find(type);
    if (t) {
        *exists = true;
        *visible = true;
        return ERR_OK;
    }
    struct arena *mem = arena_new();
    struct catalog_rows rows;
    oid found = 0;
    err_t e = catalog_find_wait(cs, REL_TYPE, INDEX_TYPE_OID, 1, type, 0, mem, &rows);
    *exists = e == ERR_OK && rows.count > 0;
    if (*exists)
        e = type_by_name_wait(cs, NULL, catalog_text_value(mem, &rows.rows[0], COL_TYPNAME, NULL),
                              &found);
    *visible = found == type;
    arena_free(mem);
    return e;
}

static SUSPENDS err_t service_is_visible(void *owner, char kind, oid object, bool *visible,
                                         bool *exists)
{
    struct catalog_session *cs = session_of(owner);
    *visible = false;
    *exists = false;
    switch (kind) {
    case 'c':
        return relation_visible_wait(cs, object, visible, exists);
    case 't':
        return type_visible_wait(cs, object, visible, exists);
    case 'p':
        *exists = func_find(object) != NULL;
        break;
    case 'o':
        *exists = operator_find(object) != NULL;
        break;
    default: { /* collations, operator classes ...: all built in, in pg_catalog */
        *exists = object != 0 && object < FIRST_USER_OID;
        break;
    }
    }
    *visible = *exists;
    return ERR_OK;
}

/* ---- comments, roles, sizes ---- */

static SUSPENDS err_t service_description(void *owner, oid object, oid class_oid, int32_t sub,
                                          struct arena *mem, const char **out)
{
    struct catalog_session *cs = session_of(owner);
    *out = NULL;
    if (class_oid == REL_DATABASE || class_oid == REL_AUTHID || class_oid == REL_TABLESPACE) {
        struct catalog_rows rows;
        TRY(catalog_find_wait(cs, REL_SHDESCRIPTION, INDEX_SHDESCRIPTION_O_C, 2, object, class_oid,
                              mem, &rows));
        if (rows.count)
            *out = catalog_text_value(mem, &rows.rows[0], COL_SHDESCRIPTION, NULL);
        return ERR_OK;
    }
    struct catalog_probe p = {.relation = REL_DESCRIPTION,
                              .index = INDEX_DESCRIPTION_O_C_O,
                              .key_count = class_oid ? 3 : 1,
                              .key = {object, class_oid, datum_of_i32(sub)}};
    TRY(catalog_probe_wait(cs, &p, 1, mem));
    for (uint32_t i = 0; i < p.found.count && !*out; i++)
        if (catalog_int_value(&p.found.rows[i], COL_OBJSUBID) == sub)
            *out = catalog_text_value(mem, &p.found.rows[i], COL_DESCRIPTION, NULL);
    return ERR_OK;
}

static SUSPENDS err_t service_role_name(void *owner, oid role, struct arena *mem, const char **out)
{
    *out = NULL;
    return name_in_wait(session_of(owner), REL_AUTHID, INDEX_AUTHID_OID, COL_ROLNAME, role, false,
                        mem, out);
}

static SUSPENDS err_t service_privilege_test(void *owner, char kind, oid object, oid role,
                                             const char *letters, bool with_option, bool *yes,
                                             bool *exists)
{
    return privilege_test_wait(session_of(owner), kind, object, role, letters, with_option, yes,
                               exists);
}

static SUSPENDS err_t service_column_privilege_test(void *owner, oid relation, const char *name,
                                                    int16_t number, oid role, const char *letters,
                                                    bool with_option, bool *yes, bool *exists)
{
    enum { SYSTEM_COLUMN_MIN = -6 }; /* tableoid */
    const struct table_desc *t;
    *yes = false;
    TRY(table_by_oid_wait(session_of(owner), relation, &t));
    const struct column_desc *c = t && name ? table_column(t, name) : NULL;
    err_t e = name && !c ? err_raise(ERR_UNDEFINED_COLUMN,
                                     "column \"%s\" of relation \"%s\" does not exist", name,
                                     t ? t->name : "?")
                         : ERR_OK;
    if (c)
        number = c->attno;
    *exists = t && (number < 0 ? number >= SYSTEM_COLUMN_MIN
                               : number > 0 && (uint32_t)number <= t->column_count &&
                                     !t->columns[number - 1].dropped);
    table_release(t);
    TRY(e);
    if (!*exists)
        return ERR_OK;
    return privilege_columns_test_wait(session_of(owner), relation, role, letters, with_option,
                                       &number, 1, yes);
}

static SUSPENDS err_t service_any_column_privilege_test(void *owner, oid relation, oid role,
                                                        const char *letters, bool with_option,
                                                        bool *yes)
{
    return privilege_columns_test_wait(session_of(owner), relation, role, letters, with_option,
                                       NULL, 0, yes);
}

static SUSPENDS err_t service_role_member(void *owner, oid member, oid role, bool only_inherited,
                                          bool *yes)
{
    return privilege_has_role_wait(session_of(owner), member, role, only_inherited, yes);
}

struct size_call {
    uint32_t shard;
    const file_id *files;
    uint32_t count;
    uint64_t bytes;
};

static err_t size_on_shard(void *arg)
{
    struct size_call *c = arg;
    for (uint32_t i = 0; i < c->count; i++)
        c->bytes += shard_file_bytes(shard_local(c->shard), c->files[i]);
    return ERR_OK;
}

static SUSPENDS err_t files_size_wait(const file_id *files, uint32_t count, int64_t *bytes)
{
    struct size_call c = {.files = files, .count = count};
    for (c.shard = 0; c.shard < shard_count(); c.shard++)
        TRY(core_call_wait(shard_core(c.shard), size_on_shard, &c));
    *bytes = (int64_t)c.bytes;
    return ERR_OK;
}

/* All files of a database: its catalogs and what pg_class lists. */
static SUSPENDS err_t database_size_wait(struct catalog_session *cs, oid database, int64_t *bytes)
{
    struct arena *mem = arena_new();
    struct catalog_rows databases;
    struct catalog_probe p = {.relation = REL_CLASS};
    err_t e =
        catalog_find_wait(cs, REL_DATABASE, INDEX_DATABASE_OID, 1, database, 0, mem, &databases);
    *bytes = -1;
    if (e == ERR_OK && databases.count) {
        e = catalog_probe_in_wait(cs, database, &p, 1, mem);
        file_id *files = ARENA_ARRAY(mem, file_id, p.found.count + 1);
        for (uint32_t i = 0; i < p.found.count; i++) {
            const struct catalog_row *r = &p.found.rows[i];
            oid number = catalog_oid_value(r, COL_RELFILENODE);
            if (catalog_oid_value(r, COL_OID) < FIRST_USER_OID)
                number = catalog_oid_value(r, COL_OID);
            files[i] = file_of(database, number);
        }
        if (e == ERR_OK)
            e = files_size_wait(files, p.found.count, bytes);
    }
    arena_free(mem);
    return e;
}

static SUSPENDS err_t index_size_wait(struct catalog_session *cs, oid index, int64_t *bytes)
{
    struct arena *mem = arena_new();
    struct catalog_rows rows;
    err_t e = catalog_find_wait(cs, REL_CLASS, INDEX_CLASS_OID, 1, index, 0, mem, &rows);
    *bytes = -1;
    if (e == ERR_OK && rows.count) {
        oid number = catalog_oid_value(&rows.rows[0], COL_RELFILENODE);
        bool system = index < FIRST_USER_OID;
        file_id file =
            file_of(catalog_bool_value(&rows.rows[0], COL_RELISSHARED) ? 0 : cs->database,
                    system ? index : number);
        e = files_size_wait(&file, 1, bytes);
    }
    arena_free(mem);
    return e;
}

static SUSPENDS err_t service_relation_size(void *owner, oid relation, const char *fork,
                                            bool with_indexes, int64_t *bytes)
{
    struct catalog_session *cs = session_of(owner);
    if (strcmp(fork, "database") == 0)
        return database_size_wait(cs, relation, bytes);
    if (strcmp(fork, "tablespace") == 0) {
        *bytes = relation == 1663 || relation == 1664 ? 0 : -1;
        return ERR_OK;
    }
    const struct table_desc *t;
    *bytes = -1;
    TRY(table_by_oid_wait(cs, relation, &t));
    if (!t || t->kind == 'i') {
        table_release(t);
        return index_size_wait(cs, relation, bytes);
    }
    *bytes = 0;
    bool heap = strcmp(fork, "main") == 0 || strcmp(fork, "table") == 0;
    bool indexes = with_indexes || strcmp(fork, "indexes") == 0;
    file_id *files = core_malloc(sizeof(file_id) * (t->index_count + 1));
    uint32_t count = 0;
    if (heap && t->file)
        files[count++] = t->file;
    for (uint32_t i = 0; indexes && i < t->index_count; i++)
        if (t->indexes[i].file)
            files[count++] = t->indexes[i].file;
    table_release(t);
    err_t e = count ? files_size_wait(files, count, bytes) : ERR_OK;
    core_free(files);
    return e;
}

static SUSPENDS err_t service_serial_sequence(void *owner, oid table, const char *column,
                                              struct arena *mem, const char **out)
{
    struct catalog_session *cs = session_of(owner);
    const struct table_desc *t;
    *out = NULL;
    TRY(table_by_oid_wait(cs, table, &t));
    if (!t)
        return ERR_OK;
    const struct column_desc *c = table_column(t, column);
    err_t e = ERR_OK;
    oid sequence = c ? c->owned_sequence : 0;
    if (!c)
        e = err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                      column, t->name);
    table_release(t);
    if (e != ERR_OK || !sequence)
        return e;
    return define_relation_name_wait(cs, sequence, true, mem, out);
}

struct last_value_call {
    uint32_t shard;
    file_id file;
    struct sequence_state state;
};

static SUSPENDS err_t last_value_on_shard(void *arg)
{
    struct last_value_call *c = arg;
    return sequence_read_wait(shard_local(c->shard), c->file, &c->state);
}

static SUSPENDS err_t service_sequence_last_value(void *owner, oid sequence, int64_t *out,
                                                  bool *is_called)
{
    struct catalog_session *cs = session_of(owner);
    const struct table_desc *t;
    TRY(table_by_oid_wait(cs, sequence, &t));
    err_t e = ERR_OK;
    struct last_value_call c = {0};
    if (!t) {
        e = err_raise(ERR_UNDEFINED_TABLE, "could not open relation with OID %u", sequence);
    } else if (t->kind != 'S') {
        e = err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", t->name);
    } else {
        c.shard = t->sequence.shard;
        c.file = t->file;
        e = core_call_wait(shard_core(c.shard), last_value_on_shard, &c);
    }
    table_release(t);
    *out = c.state.last_value;
    *is_called = c.state.is_called;
    return e;
}

static SUSPENDS err_t service_index_definition(void *owner, oid index, int32_t column, bool pretty,
                                               struct arena *mem, const char **out)
{
    return define_index_wait(session_of(owner), index, column, pretty, mem, out);
}

static SUSPENDS err_t service_constraint_definition(void *owner, oid constraint, bool pretty,
                                                    struct arena *mem, const char **out)
{
    return define_constraint_wait(session_of(owner), constraint, pretty, mem, out);
}

static SUSPENDS err_t service_view_definition(void *owner, oid view, bool pretty, struct arena *mem,
                                              const char **out)
{
    return define_view_wait(session_of(owner), view, pretty, mem, out);
}

static SUSPENDS err_t service_stored_expression(void *owner, const char *text, oid relation,
                                                bool pretty, struct arena *mem, const char **out)
{
    struct catalog_session *cs = session_of(owner);
    const struct table_desc *t;
    TRY(table_by_oid_wait(cs, relation, &t));
    err_t e = define_expression_wait(cs, t, text, pretty, mem, out);
    table_release(t);
    return e;
}

void catalog_fill_services(struct sql_services *s, struct catalog_session *(*cs_of)(void *owner))
{
    ASSERT(!session_of || session_of == cs_of);
    if (!session_of)
        session_of = cs_of;
    s->resolve_name = service_resolve;
    s->name_of = service_name_of;
    s->is_visible = service_is_visible;
    s->index_definition = service_index_definition;
    s->constraint_definition = service_constraint_definition;
    s->view_definition = service_view_definition;
    s->relation_size = service_relation_size;
    s->description = service_description;
    s->role_name = service_role_name;
    s->stored_expression = service_stored_expression;
    s->serial_sequence = service_serial_sequence;
    s->sequence_last_value = service_sequence_last_value;
    s->privilege_test = service_privilege_test;
    s->column_privilege_test = service_column_privilege_test;
    s->any_column_privilege_test = service_any_column_privilege_test;
    s->role_member = service_role_member;
}
