/* System information, privileges, lookups and calls of services: results as PostgreSQL 15 gives
 * them, over services that know a few objects. */
#include "tests/unit/core/unit.h"
#include "tests/unit/sql_funcs/evaluate.h"

struct expectation {
    const char *signature;
    const char *arguments; /* see evaluate.h */
    const char *result;
};

static const struct object {
    char kind;
    const char *name;
    oid oid;
} objects[] = {{'c', "pg_class", 1259}, {'c', "accounts", 16400}, {'r', "postgres", 10},
               {'n', "public", 2200},   {'t', "int4", 23},        {'t', "integer", 23},
               {'d', "shop", 16390},    {'d', "postgres", 5},     {'d', "template1", 1}};

static err_t resolve_name(void *owner, char kind, const char *name, bool missing_ok, oid *out)
{
    (void)owner;
    *out = OID_NONE;
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        if (objects[i].kind == kind && strcmp(objects[i].name, name) == 0)
            *out = objects[i].oid;
    if (*out != OID_NONE || missing_ok)
        return ERR_OK;
    if (kind == 'c')
        return err_raise(ERR_UNDEFINED_TABLE, "relation \"%s\" does not exist", name);
    if (kind == 'o')
        return err_raise(ERR_UNDEFINED_FUNCTION, "operator does not exist: %s", name);
    if (kind == 'p')
        return err_raise(ERR_UNDEFINED_FUNCTION, "function \"%s\" does not exist", name);
    return err_raise(ERR_UNDEFINED_OBJECT, "type \"%s\" does not exist", name);
}

static err_t name_of(void *owner, char kind, oid object, struct arena *mem, const char **out)
{
    (void)owner;
    (void)mem;
    *out = NULL;
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        if (objects[i].kind == kind && objects[i].oid == object)
            *out = objects[i].name;
    return ERR_OK;
}

static err_t relation_size(void *owner, oid relation, const char *fork, bool with_indexes,
                           int64_t *bytes)
{
    (void)owner;
    *bytes = relation == 16390 && strcmp(fork, "database") == 0    ? 8192
             : relation == 1663 && strcmp(fork, "tablespace") == 0 ? 65536
             : relation == 16400 && strcmp(fork, "main") == 0      ? 100
             : relation == 16400 && strcmp(fork, "table") == 0     ? 200 + 7 * with_indexes
                                                                   : -1;
    return ERR_OK;
}

static err_t serial_sequence(void *owner, oid table, const char *column, struct arena *mem,
                             const char **out)
{
    (void)owner;
    (void)mem;
    if (table == 16400 && strcmp(column, "missing") == 0)
        return err_raise(ERR_UNDEFINED_COLUMN,
                         "column \"missing\" of relation \"accounts\" does not exist");
    *out = strcmp(column, "id") == 0 ? "public.accounts_id_seq" : NULL;
    return ERR_OK;
}

static err_t sequence_last_value(void *owner, oid sequence, int64_t *out, bool *is_called)
{
    (void)owner;
    *out = 42;
    *is_called = sequence == 16400;
    return ERR_OK;
}

/* Everybody may all. */
static err_t privilege_test(void *owner, char kind, oid object, oid role, const char *letters,
                            bool with_option, bool *yes, bool *exists)
{
    (void)owner, (void)kind, (void)object, (void)role, (void)with_option;
    *exists = true;
    *yes = letters[0] != 0 || with_option;
    return ERR_OK;
}

static err_t role_member(void *owner, oid member, oid role, bool only_inherited, bool *yes)
{
    (void)owner, (void)member, (void)role, (void)only_inherited;
    *yes = true;
    return ERR_OK;
}

static err_t column_privilege_test(void *owner, oid relation, const char *name, int16_t number,
                                   oid role, const char *letters, bool with_option, bool *yes,
                                   bool *exists)
{
    (void)name;
    (void)number;
    return privilege_test(owner, 'c', relation, role, letters, with_option, yes, exists);
}

static err_t any_column_privilege_test(void *owner, oid relation, oid role, const char *letters,
                                       bool with_option, bool *yes)
{
    bool exists;
    return privilege_test(owner, 'r', relation, role, letters, with_option, yes, &exists);
}

static struct sql_services services = {.privilege_test = privilege_test,
                                       .column_privilege_test = column_privilege_test,
                                       .any_column_privilege_test = any_column_privilege_test,
                                       .role_member = role_member,
                                       .resolve_name = resolve_name,
                                       .name_of = name_of,
                                       .relation_size = relation_size,
                                       .serial_sequence = serial_sequence,
                                       .sequence_last_value = sequence_last_value};

static const struct expectation own[] = {
    {"pg_database_size(name)", "shop", "8192"},
    {"pg_database_size(oid)", "16390", "8192"},
    {"pg_database_size(name)", "nope", "!3D000 database \"nope\" does not exist"},
    {"pg_tablespace_size(oid)", "1663", "65536"},
    {"pg_relation_size(regclass)", "16400", "100"},
    {"pg_total_relation_size(regclass)", "16400", "207"},
    {"pg_table_size(regclass)", "99", "\\N"},
    {"pg_get_serial_sequence(text,text)", "accounts\037id", "public.accounts_id_seq"},
    {"pg_get_serial_sequence(text,text)", "accounts\037name", "\\N"},
    {"pg_get_serial_sequence(text,text)", "accounts\037missing",
     "!42703 column \"missing\" of relation \"accounts\" does not exist"},
    {"pg_get_serial_sequence(text,text)", "nope\037id", "!42P01 relation \"nope\" does not exist"},
    {"pg_sequence_last_value(regclass)", "16400", "42"},
    {"pg_sequence_last_value(regclass)", "16401", "\\N"},
    {"pg_sleep_for(interval)", "2 milliseconds", ""},
    {"pg_sleep_for(interval)", "-1 day", ""},
    {"pg_sleep_until(timestamptz)", "2001-01-01", ""},
    {"pg_prepared_xact()", "", ""},
    {"pg_partition_ancestors(regclass)", "16400", ""},
    {"pg_stat_get_numscans(oid)", "1259", "0"},
    {"nextval(regclass)", "16400", "!0A000 nextval() is not supported yet"},
};

/* clang-format off */
static const struct expectation expectations[] = {
    {"pg_size_pretty(numeric)", "0", "0 bytes"},
    {"pg_size_pretty(numeric)", "1", "1 bytes"},
    {"pg_size_pretty(numeric)", "-1", "-1 bytes"},
    {"pg_size_pretty(numeric)", "10239", "10239 bytes"},
    {"pg_size_pretty(numeric)", "10240", "10 kB"},
    {"pg_size_pretty(numeric)", "-10240", "-10 kB"},
    {"pg_size_pretty(numeric)", "10752", "11 kB"},
    {"pg_size_pretty(numeric)", "20480", "20 kB"},
    {"pg_size_pretty(numeric)", "1048576", "1024 kB"},
    {"pg_size_pretty(numeric)", "10485759", "10 MB"},
    {"pg_size_pretty(numeric)", "20971519", "20 MB"},
    {"pg_size_pretty(numeric)", "20971520", "20 MB"},
    {"pg_size_pretty(numeric)", "1073741824", "1024 MB"},
    {"pg_size_pretty(numeric)", "-123456789012", "-115 GB"},
    {"pg_size_pretty(numeric)", "99999999999999", "91 TB"},
    {"pg_size_pretty(numeric)", "1e15", "909 TB"},
    {"pg_size_pretty(numeric)", "9223372036854775807", "8192 PB"},
    {"pg_size_pretty(numeric)", "-9223372036854775807", "-8192 PB"},
    {"pg_size_pretty(numeric)", "1e22", "8881784 PB"},
    {"pg_size_pretty(numeric)", "123.45", "123.45 bytes"},
    {"pg_size_pretty(numeric)", "-0.5", "-0.5 bytes"},
    {"pg_size_pretty(numeric)", "10240.7", "10 kB"},
    {"pg_size_pretty(numeric)", "NaN", "NaN PB"},
    {"pg_size_pretty(numeric)", "Infinity", "Infinity PB"},
    {"pg_size_pretty(numeric)", "-Infinity", "-Infinity PB"},
    {"pg_size_pretty(int8)", "0", "0 bytes"},
    {"pg_size_pretty(int8)", "1", "1 bytes"},
    {"pg_size_pretty(int8)", "-1", "-1 bytes"},
    {"pg_size_pretty(int8)", "10239", "10239 bytes"},
    {"pg_size_pretty(int8)", "10240", "10 kB"},
    {"pg_size_pretty(int8)", "-10240", "-10 kB"},
    {"pg_size_pretty(int8)", "10752", "11 kB"},
    {"pg_size_pretty(int8)", "20480", "20 kB"},
    {"pg_size_pretty(int8)", "1048576", "1024 kB"},
    {"pg_size_pretty(int8)", "20971519", "20 MB"},
    {"pg_size_pretty(int8)", "20971520", "20 MB"},
    {"pg_size_pretty(int8)", "-123456789012", "-115 GB"},
    {"pg_size_pretty(int8)", "99999999999999", "91 TB"},
    {"pg_size_pretty(int8)", "9223372036854775807", "8192 PB"},
    {"pg_size_pretty(int8)", "-9223372036854775808", "-8192 PB"},
    {"nameconcatoid(name,oid)", "abc\03716384", "abc_16384"},
    {"nameconcatoid(name,oid)", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\03716384", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_16384"},
    {"nameconcatoid(name,oid)", "äääääääääääääääääääääääääääääää\0377", "ääääääääääääääääääääääääääääää_7"},
    {"pg_options_to_table(_text)", "{fillfactor=70,flag,\"a=b=c\",\"\"}", "fillfactor|70;flag|\\N;a|b=c;|\\N"},
    {"pg_options_to_table(_text)", "{}", ""},
    {"pg_options_to_table(_text)", "{NULL}", "!22004 null array element not allowed in this context"},
    {"has_table_privilege(text,text)", "pg_class\037select", "t"},
    {"has_table_privilege(text,text)", "pg_class\037SELECT, update with grant option", "t"},
    {"has_table_privilege(text,text)", "pg_class\037rule", "f"},
    {"has_table_privilege(text,text)", "pg_class\037bad", "!22023 unrecognized privilege type: \"bad\""},
    {"has_table_privilege(text,text)", "pg_class\037", "!22023 unrecognized privilege type: \"\""},
    {"has_table_privilege(text,text)", "pg_class\037SELECT,", "!22023 unrecognized privilege type: \"\""},
    {"has_table_privilege(text,text)", "nope\037select", "!42P01 relation \"nope\" does not exist"},
    {"has_table_privilege(name,text,text)", "postgres\037pg_class\037select", "t"},
    {"has_table_privilege(name,text,text)", "nobody\037pg_class\037select", "!42704 role \"nobody\" does not exist"},
    {"has_table_privilege(name,text,text)", "public\037pg_class\037bad", "!22023 unrecognized privilege type: \"bad\""},
    {"has_table_privilege(oid,text)", "1259\037insert", "t"},
    {"has_table_privilege(oid,text)", "99999\037insert", "\\N"},
    {"has_table_privilege(oid,text)", "99999\037bad", "!22023 unrecognized privilege type: \"bad\""},
    {"has_table_privilege(oid,oid,text)", "10\0371259\037select", "t"},
    {"has_table_privilege(text,text)", "\\N\037x", "\\N"},
    {"has_schema_privilege(text,text)", "public\037usage", "t"},
    {"has_schema_privilege(text,text)", "nope\037usage", "!3F000 schema \"nope\" does not exist"},
    {"has_schema_privilege(oid,text)", "2200\037create", "t"},
    {"has_database_privilege(text,text)", "postgres\037connect", "t"},
    {"has_database_privilege(text,text)", "nope\037connect", "!3D000 database \"nope\" does not exist"},
    {"has_database_privilege(text,text)", "template1\037temp", "t"},
    {"has_database_privilege(oid,text)", "5\037create", "t"},
    {"has_database_privilege(oid,text)", "99\037create", "\\N"},
    {"has_database_privilege(text,text)", "postgres\037select", "!22023 unrecognized privilege type: \"select\""},
    {"has_function_privilege(text,text)", "now()\037execute", "t"},
    {"has_function_privilege(oid,text)", "1299\037execute", "t"},
    {"has_function_privilege(text,text)", "now()\037usage", "!22023 unrecognized privilege type: \"usage\""},
    {"has_language_privilege(text,text)", "sql\037usage", "t"},
    {"has_language_privilege(text,text)", "cobol\037usage", "!42704 language \"cobol\" does not exist"},
    {"has_language_privilege(oid,text)", "14\037usage", "t"},
    {"has_type_privilege(text,text)", "int4\037usage", "t"},
    {"has_type_privilege(oid,text)", "23\037usage", "t"},
    {"has_type_privilege(text,text)", "nope\037usage", "!42704 type \"nope\" does not exist"},
    {"has_tablespace_privilege(text,text)", "pg_default\037create", "t"},
    {"has_tablespace_privilege(text,text)", "x\037create", "!42704 tablespace \"x\" does not exist"},
    {"has_server_privilege(text,text)", "x\037usage", "!42704 server \"x\" does not exist"},
    {"has_foreign_data_wrapper_privilege(text,text)", "x\037usage", "!42704 foreign-data wrapper \"x\" does not exist"},
    {"has_server_privilege(oid,text)", "7\037usage", "\\N"},
    {"has_column_privilege(text,text,text)", "pg_class\037relname\037select", "t"},
    {"has_column_privilege(oid,int2,text)", "1259\0371\037select", "t"},
    {"has_column_privilege(text,int2,text)", "nope\0371\037select", "!42P01 relation \"nope\" does not exist"},
    {"has_column_privilege(text,text,text)", "pg_class\037relname\037delete", "!22023 unrecognized privilege type: \"delete\""},
    {"has_any_column_privilege(text,text)", "pg_class\037references", "t"},
    {"has_sequence_privilege(text,text)", "nope\037usage", "!42P01 relation \"nope\" does not exist"},
    {"pg_has_role(name,text)", "postgres\037member", "t"},
    {"pg_has_role(name,text)", "postgres\037usage with admin option", "t"},
    {"pg_has_role(name,text)", "nobody\037member", "!42704 role \"nobody\" does not exist"},
    {"pg_has_role(name,text)", "postgres\037select", "!22023 unrecognized privilege type: \"select\""},
    {"pg_has_role(name,name,text)", "postgres\037postgres\037member", "t"},
    {"has_parameter_privilege(text,text)", "work_mem\037set", "t"},
    {"has_parameter_privilege(text,text)", "work_mem\037Alter System", "t"},
    {"to_regprocedure(text)", "now()", "now()"},
    {"to_regprocedure(text)", "nope()", "\\N"},
    {"to_regprocedure(text)", "abs(integer)", "abs(integer)"},
    {"to_regprocedure(text)", "+", "!22P02 expected a left parenthesis"},
    {"to_regprocedure(text)", "!!", "!22P02 expected a left parenthesis"},
    {"to_regprocedure(text)", "@@@@", "!22P02 expected a left parenthesis"},
    {"to_regprocedure(text)", "+(integer,integer)", "\\N"},
    {"to_regprocedure(text)", "+(text,boolean)", "\\N"},
    {"to_regoper(text)", "now()", "\\N"},
    {"to_regoper(text)", "nope()", "\\N"},
    {"to_regoper(text)", "abs(integer)", "\\N"},
    {"to_regoper(text)", "+", "\\N"},
    {"to_regoper(text)", "!!", "!!"},
    {"to_regoper(text)", "@@@@", "\\N"},
    {"to_regoper(text)", "+(integer,integer)", "\\N"},
    {"to_regoper(text)", "+(text,boolean)", "\\N"},
    {"to_regoperator(text)", "+", "!22P02 expected a left parenthesis"},
    {"to_regoperator(text)", "!!", "!22P02 expected a left parenthesis"},
    {"to_regoperator(text)", "@@@@", "!22P02 expected a left parenthesis"},
    {"to_regoperator(text)", "+(integer,integer)", "+(integer,integer)"},
    {"to_regoperator(text)", "+(text,boolean)", "\\N"},
    {"pg_tablespace_location(oid)", "1663", ""},
    {"pg_stat_get_last_vacuum_time(oid)", "1259", "\\N"},
};
/* clang-format on */

static void check(const struct expectation *table, size_t count)
{
    struct arena *mem = arena_new();
    test_env.services = &services;
    for (size_t i = 0; i < count; i++) {
        const struct expectation *e = &table[i];
        const char *result = evaluate(mem, e->signature, e->arguments);
        if (strcmp(result, e->result) != 0)
            fprintf(stderr, "%s: %s\n  got      %s\n  expected %s\n", e->signature, e->arguments,
                    result, e->result);
        CHECK(strcmp(result, e->result) == 0);
        arena_reset(mem);
    }
    arena_free(mem);
}

static void check_all(void)
{
    check(expectations, ARRAY_LEN(expectations));
    check(own, ARRAY_LEN(own));
}

static void as_postgresql(void)
{
    unit_run(1, check_all);
}

int main(void)
{
    static const struct unit_test tests[] = {{"as_postgresql", as_postgresql}};
    return unit_main("system_info", tests, ARRAY_LEN(tests));
}
