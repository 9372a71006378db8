/*
 * has_*_privilege() and pg_has_role(). Arguments are checked as PostgreSQL does (names must exist,
 * privilege words must be known, an object that is given by an unknown oid gives null). Rights on
 * relations, schemas, databases and membership are asked of the catalog; on other objects everybody
 * has all, since nothing else is enforced.
 *
 * Arguments: [user name or oid,] object name or oid, [column,] privilege words. All of them may
 * suspend (names are looked up by the session's services).
 */
#include "sql/catalog_rows.h"
#include "sql/funcs/funcs_priv.h"
#include "sql/type_functions.h"
#include "sql/types/quote.h"

#include <ctype.h>
#include <strings.h>

static const struct privilege_kind {
    const char *function;
    const char *object; /* as messages call it */
    char kind;          /* as the services', or one of those of static_name() below */
    bool has_column;
    const char *words;
} kinds[] = {
    {"has_any_column_privilege", "relation", 'c', false, "SELECT,INSERT,UPDATE,REFERENCES"},
    {"has_column_privilege", "relation", 'c', true, "SELECT,INSERT,UPDATE,REFERENCES"},
    {"has_database_privilege", "database", 'd', false, "CREATE,TEMPORARY,TEMP,CONNECT"},
    {"has_foreign_data_wrapper_privilege", "foreign-data wrapper", 'w', false, "USAGE"},
    {"has_function_privilege", "function", 'p', false, "EXECUTE"},
    {"has_language_privilege", "language", 'l', false, "USAGE"},
    {"has_parameter_privilege", "parameter", 'g', false, "SET,ALTER SYSTEM"},
    {"has_schema_privilege", "schema", 'n', false, "CREATE,USAGE"},
    {"has_sequence_privilege", "relation", 'c', false, "USAGE,SELECT,UPDATE"},
    {"has_server_privilege", "server", 'S', false, "USAGE"},
    {"has_table_privilege", "relation", 'c', false,
     "SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,RULE"},
    {"has_tablespace_privilege", "tablespace", 's', false, "CREATE"},
    {"has_type_privilege", "type", 't', false, "USAGE"},
    {"pg_has_role", "role", 'r', false, "USAGE,MEMBER"},
};

/* ---- privilege words ---- */

/* One word of the list, perhaps WITH GRANT OPTION (of a role also WITH ADMIN OPTION). */
static bool word_is_known(const struct privilege_kind *k, const char *word, size_t len)
{
    static const char *const options[] = {"", " WITH GRANT OPTION", " WITH ADMIN OPTION"};
    size_t option_count = k->kind == 'r' ? 3 : 2;
    for (const char *p = k->words; *p != 0; p += strcspn(p, ","), p += *p == ',') {
        size_t n = strcspn(p, ",");
        if (n > len || strncasecmp(p, word, n) != 0)
            continue;
        for (size_t i = 0; i < option_count; i++)
            if (strlen(options[i]) == len - n && strncasecmp(options[i], word + n, len - n) == 0)
                return true;
    }
    return false;
}

/* What a list of words asks for: letters of access lists, plain and with grant option. */
struct wanted {
    char letters[16];
    char with_option[16];
    bool usage; /* pg_has_role: USAGE, else MEMBER is enough */
    bool member;
};

static void word_add(struct wanted *w, const char *word, size_t len)
{
    static const struct {
        const char *word;
        char letter;
    } letters[] = {
        {"SELECT", 'r'},   {"INSERT", 'a'},     {"UPDATE", 'w'},  {"DELETE", 'd'},
        {"TRUNCATE", 'D'}, {"REFERENCES", 'x'}, {"TRIGGER", 't'}, {"USAGE", 'U'},
        {"CREATE", 'C'},   {"TEMPORARY", 'T'},  {"TEMP", 'T'},    {"CONNECT", 'c'},
        {"EXECUTE", 'X'},
    };
    w->usage = w->usage || strncasecmp(word, "USAGE", 5) == 0;
    w->member = w->member || strncasecmp(word, "MEMBER", 6) == 0;
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        size_t n = strlen(letters[i].word);
        if (n > len || strncasecmp(letters[i].word, word, n) != 0 || (n < len && word[n] != ' '))
            continue;
        char *to = n < len ? w->with_option : w->letters;
        size_t at = strlen(to);
        if (!strchr(to, letters[i].letter) && at + 1 < sizeof(w->letters))
            to[at] = letters[i].letter;
    }
}

/* *is_empty: only words that stand for no privilege any more (RULE). */
static err_t check_words(struct call *c, const struct privilege_kind *k, const struct varlen *text,
                         struct wanted *wanted, bool *is_empty)
{
    const char *p = (const char *)text->data;
    const char *end = p + text->len;
    *is_empty = true;
    while (true) {
        const char *comma = p == end ? NULL : memchr(p, ',', (size_t)(end - p));
        const char *word = p;
        size_t len = (size_t)((comma == NULL ? end : comma) - p);
        for (; len > 0 && isspace((unsigned char)*word); len--)
            word++;
        while (len > 0 && isspace((unsigned char)word[len - 1]))
            len--;
        if (!word_is_known(k, word, len))
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "unrecognized privilege type: \"%s\"",
                             arena_strndup(c->mem, word, len));
        *is_empty &= len == 4 && strncasecmp(word, "RULE", 4) == 0;
        word_add(wanted, word, len);
        if (comma == NULL)
            return ERR_OK;
        p = comma + 1;
    }
}

/* ---- objects ---- */

/* Rows that exist from the start; the oid is the first column, the name the second. */
static const struct catalog_static *static_rows(char kind)
{
    const char *name = kind == 'd'   ? "pg_database"
                       : kind == 'l' ? "pg_language"
                       : kind == 's' ? "pg_tablespace"
                                     : NULL;
    for (uint32_t i = 0; name != NULL && i < catalog_static_count; i++)
        if (strcmp(catalog_static[i].name, name) == 0)
            return &catalog_static[i];
    return NULL;
}

static bool static_has(char kind, uint32_t column, const char *text)
{
    const struct catalog_static *rows = static_rows(kind);
    for (uint32_t i = 0; rows != NULL && i < rows->row_count; i++) {
        const char *cell = catalog_static_text(rows, i, column);
        if (cell != NULL && strcmp(cell, text) == 0)
            return true;
    }
    return false;
}

static err_t raise_missing(const struct privilege_kind *k, const char *name)
{
    err_t code = k->kind == 'd'   ? ERR_INVALID_CATALOG_NAME
                 : k->kind == 'n' ? ERR_UNDEFINED_SCHEMA
                                  : ERR_UNDEFINED_OBJECT;
    return err_raise(code, "%s \"%s\" does not exist", k->object, name);
}

/* A plain name (of a role, schema, database): not to be read as an identifier. */
static NO_SUSPEND_ANALYSIS err_t plain_name_find(struct call *c, char kind, const char *name,
                                                 oid *found)
{
    struct sql_services *s = c->env->services;
    *found = OID_NONE;
    if (s == NULL || s->resolve_name == NULL)
        return err_not_built("%s() is not supported yet", c->func->name);
    return s->resolve_name(s->owner, kind, quote_identifier(c->mem, name), true, found);
}

/* *found: of the kinds that rights are asked for. */
static NO_SUSPEND_ANALYSIS err_t check_object_name(struct call *c, const struct privilege_kind *k,
                                                   uint32_t n, oid *found)
{
    struct sql_services *s = c->env->services;
    const char *name = arg_cstring(c, n);
    bool exists = false;
    datum ignored;
    *found = OID_NONE;
    struct type_io io = {.mem = c->mem, .typmod = -1, .env = c->env};
    switch (k->kind) {
    case 'c':
        if (s == NULL || s->resolve_name == NULL)
            return err_not_built("%s() is not supported yet", c->func->name);
        return s->resolve_name(s->owner, 'c', name, false, found);
    case 'p':
        return regprocedure_input(&io, name, strlen(name), &ignored);
    case 't':
        return regtype_input(&io, name, strlen(name), &ignored);
    case 'n':
    case 'r':
    case 'd':
        if (k->kind == 'd' && c->env->database_name && strcmp(name, c->env->database_name) == 0)
            *found = c->env->database_oid;
        else
            TRY(plain_name_find(c, k->kind, name, found));
        exists = *found != OID_NONE;
        break;
    case 'g': /* a setting that is not known simply has no grants */
        return ERR_OK;
    default:
        exists = static_has(k->kind, 1, name);
        break;
    }
    return exists ? ERR_OK : raise_missing(k, name);
}

static NO_SUSPEND_ANALYSIS err_t oid_exists(struct call *c, const struct privilege_kind *k, oid id,
                                            bool *exists)
{
    struct sql_services *s = c->env->services;
    const char *name = NULL;
    switch (k->kind) {
    case 'r':
        *exists = true;
        return ERR_OK;
    case 'p':
        *exists = func_find(id) != NULL;
        break;
    case 't':
        *exists = type_find(id) != NULL;
        break;
    case 'd':
        *exists = id == c->env->database_oid || static_has('d', 0, arena_printf(c->mem, "%u", id));
        break;
    case 'c':
    case 'n':
        *exists = false;
        break;
    default:
        *exists = static_has(k->kind, 0, arena_printf(c->mem, "%u", id));
        return ERR_OK;
    }
    if (*exists)
        return ERR_OK;
    if (s == NULL || s->name_of == NULL)
        return err_not_built("%s() is not supported yet", c->func->name);
    TRY(s->name_of(s->owner, k->kind, id, c->mem, &name));
    *exists = name != NULL;
    return ERR_OK;
}

/* The role that is asked about: the first argument, or the current one. */
static NO_SUSPEND_ANALYSIS err_t asked_role(struct call *c, bool given, oid *role)
{
    *role = c->env->user_oid;
    if (!given)
        return ERR_OK;
    if (c->func->args[0] != TYPE_NAME) {
        *role = ARG_OID(0);
        return ERR_OK;
    }
    *role = OID_NONE;
    if (strcmp(arg_cstring(c, 0), "public") == 0)
        return ERR_OK;
    TRY(plain_name_find(c, 'r', arg_cstring(c, 0), role));
    return *role != OID_NONE
               ? ERR_OK
               : err_raise(ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", arg_cstring(c, 0));
}

static NO_SUSPEND_ANALYSIS err_t ask_catalog(struct call *c, const struct privilege_kind *k,
                                             oid role, oid object, const struct wanted *w,
                                             bool *yes, bool *exists)
{
    struct sql_services *s = c->env->services;
    *exists = true;
    *yes = true;
    if (s == NULL || s->privilege_test == NULL || s->role_member == NULL)
        return err_not_built("%s() is not supported yet", c->func->name);
    if (k->kind == 'r')
        return s->role_member(s->owner, role, object, w->usage && !w->member, yes);
    if (k->kind != 'c' && k->kind != 'n' && k->kind != 'd')
        return ERR_OK;
    TRY(s->privilege_test(s->owner, k->kind, object, role, w->letters, false, yes, exists));
    if (*exists && !*yes && w->with_option[0])
        TRY(s->privilege_test(s->owner, k->kind, object, role, w->with_option, true, yes, exists));
    return ERR_OK;
}

/* Rights that a column's list gives where its relation's does not. */
static NO_SUSPEND_ANALYSIS err_t ask_any_column(struct call *c, oid role, oid relation,
                                                const struct wanted *w, bool *yes)
{
    struct sql_services *s = c->env->services;
    if (!s->any_column_privilege_test)
        return err_not_built("%s() is not supported yet", c->func->name);
    if (!*yes)
        TRY(s->any_column_privilege_test(s->owner, relation, role, w->letters, false, yes));
    if (!*yes && w->with_option[0])
        TRY(s->any_column_privilege_test(s->owner, relation, role, w->with_option, true, yes));
    return ERR_OK;
}

/* The same of the column that is the argument at; it has to be there in any case. */
static NO_SUSPEND_ANALYSIS err_t ask_column(struct call *c, uint32_t at, oid role, oid relation,
                                            const struct wanted *w, bool *yes, bool *exists)
{
    struct sql_services *s = c->env->services;
    const char *name = c->func->args[at] == TYPE_TEXT ? arg_cstring(c, at) : NULL;
    int16_t number = name ? 0 : ARG_I16(at);
    bool given = *yes;
    if (!s->column_privilege_test)
        return err_not_built("%s() is not supported yet", c->func->name);
    TRY(s->column_privilege_test(s->owner, relation, name, number, role, w->letters, false, yes,
                                 exists));
    if (*exists && !*yes && w->with_option[0])
        TRY(s->column_privilege_test(s->owner, relation, name, number, role, w->with_option, true,
                                     yes, exists));
    *yes = *yes || given;
    return ERR_OK;
}

FUNCTION(fn_has_privilege)
{
    const struct privilege_kind *k = NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds) && k == NULL; i++)
        if (strcmp(kinds[i].function, c->func->name) == 0)
            k = &kinds[i];
    ASSERT(k != NULL);
    uint32_t object = c->arg_count == (k->has_column ? 4u : 3u) ? 1 : 0;
    oid role;
    oid found;
    TRY(asked_role(c, object == 1, &role));
    bool by_oid = c->func->args[object] == TYPE_OID;
    bool is_empty;
    struct wanted wanted = {0};
    if (!by_oid)
        TRY(check_object_name(c, k, object, &found));
    TRY(check_words(c, k, ARG_VARLEN(c->arg_count - 1), &wanted, &is_empty));
    bool exists = true;
    if (by_oid) {
        found = ARG_OID(object);
        TRY(oid_exists(c, k, found, &exists));
        if (!exists)
            RETURN_NULL();
    }
    if (is_empty)
        RETURN_BOOL(false);
    bool yes;
    TRY(ask_catalog(c, k, role, found, &wanted, &yes, &exists));
    if (exists && k->has_column)
        TRY(ask_column(c, object + 1, role, found, &wanted, &yes, &exists));
    else if (exists && strcmp(k->function, "has_any_column_privilege") == 0)
        TRY(ask_any_column(c, role, found, &wanted, &yes));
    if (!exists)
        RETURN_NULL();
    RETURN_BOOL(yes);
}
