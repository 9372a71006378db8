/*
 * The catalog on a real cluster: the facts agree with each other, bootstrap stores them, rows
 * written by a transaction are its own until it commits, descriptors are cached and every core
 * forgets them when they change.
 */
#include "catalog_test.h"

#include "sql/catalog/views.h"

static void facts(void)
{
    const struct catalog_relation *r;
    uint32_t indexes = 0;
    for (uint32_t i = 0; (r = catalog_relation_at(i)) != NULL; i++) {
        CHECK(catalog_relation_find(r->fact->oid) == r);
        CHECK(catalog_relation_named(r->schema, r->fact->name) == r);
        for (uint32_t k = 0; k < r->fact->index_count; k++, indexes++) {
            const struct catalog_relation *owner = NULL;
            uint32_t position = 99;
            CHECK(catalog_index_find(r->fact->indexes[k].oid, &owner, &position));
            CHECK(owner == r && position == k);
            CHECK(r->index_keys[k] != NULL);
        }
    }
    CHECK(indexes > 100);
    CHECK(catalog_relation_find(1) == NULL);
    CHECK(catalog_relation_named(SCHEMA_PUBLIC, "pg_class") == NULL);
    /* the list is searched by halves: every name must be found */
    static const char *const views[] = {
        "pg_group",  "pg_indexes", "pg_roles", "pg_shadow", "pg_stat_user_tables",
        "pg_tables", "pg_user",    "pg_views"};
    for (size_t i = 0; i < ARRAY_LEN(views); i++)
        CHECK(views_system_sql(views[i]) != NULL);
    CHECK(views_system_sql("pg_class") == NULL);
    CHECK(views_system_sql("pg_locks") == NULL);
}

static SUSPENDS uint32_t count_rows(struct client *c, oid relation)
{
    struct catalog_rows rows = {0};
    CHECK_OK(catalog_find_wait(&c->cs, relation, 0, 0, 0, 0, c->mem, &rows));
    return rows.count;
}

static SUSPENDS void bootstrapped(struct client *c)
{
    static const oid relations[] = {REL_PROC, REL_TYPE, REL_OPERATOR, REL_CAST, REL_DATABASE};
    for (size_t i = 0; i < ARRAY_LEN(relations); i++)
        CHECK(count_rows(c, relations[i]) == catalog_relation_find(relations[i])->rows->row_count);
    struct catalog_rows rows;
    CHECK_OK(catalog_find_wait(&c->cs, REL_CLASS, INDEX_CLASS_RELNAME_NSP, 2,
                               datum_of_text(c->mem, "pg_type"), SCHEMA_PG_CATALOG, c->mem, &rows));
    CHECK(rows.count == 1 && catalog_oid_value(&rows.rows[0], COL_OID) == REL_TYPE);
    oid database = 0;
    bool allow = true;
    int32_t limit = 0;
    CHECK_OK(database_by_name_wait("template0", &database, &allow, &limit));
    CHECK(database == 4 && !allow && limit == -1);
    CHECK_OK(database_by_name_wait("nosuch", &database, &allow, &limit));
    CHECK(database == 0);
    struct role_info role;
    bool found;
    CHECK_OK(role_by_name_wait("postgres", c->mem, &role, &found));
    CHECK(found && role.oid == ROLE_BOOTSTRAP && role.superuser && role.password == NULL);
}

static SUSPENDS err_t put_schema(struct client *c, oid schema, const char *name)
{
    datum values[COLS_NAMESPACE] = {schema, datum_of_text(c->mem, name), ROLE_BOOTSTRAP, 0};
    bool nulls[COLS_NAMESPACE] = {[COL_NSPACL - 1] = true};
    return catalog_put_wait(&c->cs, REL_NAMESPACE, values, nulls, c->mem);
}

static SUSPENDS oid schema_of(struct client *c, const char *name)
{
    oid schema = 12345;
    CHECK_OK(schema_oid_wait(&c->cs, name, &schema));
    return schema;
}

static SUSPENDS void transactional(struct client *a, struct client *b)
{
    CHECK(schema_of(b, "s1") == 0); /* and now known to be absent */
    client_begin(a);
    client_begin(b);
    CHECK_OK(put_schema(a, 20001, "s1"));
    CHECK(a->cs.txn_changed_catalog);
    CHECK(schema_of(a, "s1") == 20001);
    CHECK(schema_of(b, "s1") == 0);
    CHECK_OK(client_commit_wait(a));
    CHECK(!a->cs.txn_changed_catalog && a->cs.local_cache == NULL);
    CHECK(schema_of(b, "s1") == 20001);
    CHECK_OK(client_commit_wait(b));
    client_begin(a);
    CHECK(put_schema(a, 20002, "s1") == ERR_UNIQUE_VIOLATION);
    CHECK(strstr(err_diag()->message, "pg_namespace_nspname_index") != NULL);
    CHECK(err_diag()->detail && strstr(err_diag()->detail, "(nspname)=(s1)") != NULL);
    client_rollback_wait(a);
    client_begin(a);
    CHECK_OK(put_schema(a, 20003, "s3"));
    CHECK(schema_of(a, "s3") == 20003);
    client_rollback_wait(a);
    CHECK(schema_of(a, "s3") == 0);
}

struct remote {
    oid schema;
    uint64_t version;
};
static SUSPENDS err_t remote_lookup(void *arg)
{
    struct remote *r = arg;
    struct client c;
    client_init(&c);
    TRY(schema_oid_wait(&c.cs, "far", &r->schema));
    r->version = catalog_version();
    arena_free(c.mem);
    return ERR_OK;
}

static SUSPENDS void everywhere(struct client *c)
{
    uint32_t last = core_count() - 1;
    struct remote before;
    struct remote after;
    CHECK_OK(core_call_wait(last, remote_lookup, &before));
    CHECK(before.schema == 0);
    client_begin(c);
    CHECK_OK(put_schema(c, 20010, "far"));
    CHECK_OK(client_commit_wait(c));
    CHECK_OK(core_call_wait(last, remote_lookup, &after));
    CHECK(after.schema == 20010);
    CHECK(after.version > before.version);
}

static SUSPENDS void descriptors(struct client *c)
{
    const struct table_desc *a = NULL;
    const struct table_desc *b = NULL;
    CHECK_OK(table_by_name_wait(&c->cs, NULL, "pg_class", &a));
    CHECK_OK(table_by_oid_wait(&c->cs, REL_CLASS, &b));
    CHECK(a && a == b);
    CHECK(a->is_system && a->distribution == DISTRIBUTED_SHARD_0 && a->index_count == 3);
    CHECK(table_column(a, "relname") && table_column(a, "relname")->attno == COL_RELNAME);
    CHECK(table_column(a, "nosuch") == NULL);
    CHECK(table_primary_key(a) && table_primary_key(a)->oid == INDEX_CLASS_OID);
    table_release(a);
    table_release(b);
    CHECK_OK(table_by_oid_wait(&c->cs, 4000000000u, &a));
    CHECK(a == NULL);
    CHECK_OK(table_by_name_wait(&c->cs, "information_schema", "tables", &a));
    CHECK(a && a->kind == 'v' && a->view_sql && a->column_count == 12);
    table_release(a);
    CHECK(table_require_wait(&c->cs, NULL, "nosuch", &a) == ERR_UNDEFINED_TABLE);
    CHECK(strcmp(err_diag()->message, "relation \"nosuch\" does not exist") == 0);
}

static SUSPENDS void names(struct client *c)
{
    const struct sql_services *s = &c->services;
    oid found = 0;
    const char *text = NULL;
    CHECK_OK(s->resolve_name(c, 'c', "pg_catalog.PG_Class", false, &found));
    CHECK(found == REL_CLASS);
    CHECK(s->resolve_name(c, 'c', "nosuch.t", false, &found) == ERR_UNDEFINED_SCHEMA);
    CHECK(s->resolve_name(c, 'c', "\"open", false, &found) == ERR_INVALID_NAME);
    CHECK_OK(s->resolve_name(c, 'c', "nosuch", true, &found));
    CHECK(found == 0);
    CHECK_OK(s->resolve_name(c, 't', "character varying(10)[]", false, &found));
    CHECK(found == 1015);
    CHECK_OK(s->name_of(c, 'c', REL_CLASS, c->mem, &text));
    CHECK(text && strcmp(text, "pg_class") == 0);
    CHECK_OK(s->index_definition(c, INDEX_CLASS_RELNAME_NSP, 0, false, c->mem, &text));
    CHECK(text && strcmp(text, "CREATE UNIQUE INDEX pg_class_relname_nsp_index ON "
                               "pg_catalog.pg_class USING btree (relname, relnamespace)") == 0);
    CHECK_OK(s->description(c, SCHEMA_PUBLIC, REL_NAMESPACE, 0, c->mem, &text));
    CHECK(text && strcmp(text, "standard public schema") == 0);
}

static SUSPENDS void body(void)
{
    struct client a;
    struct client b;
    client_init(&a);
    client_init(&b);
    facts();
    bootstrapped(&a);
    descriptors(&a);
    names(&a);
    transactional(&a, &b);
    everywhere(&a);
    oid first = 0;
    oid second = 0;
    client_begin(&a);
    CHECK_OK(catalog_new_oids_wait(&a.cs, 3, &first));
    CHECK_OK(catalog_new_oid_wait(&a.cs, &second));
    CHECK(first >= FIRST_USER_OID && second >= first + 3);
    client_rollback_wait(&a);
    arena_free(a.mem);
    arena_free(b.mem);
}

static void one_core(void)
{
    cluster_with(1, 1, body);
}
static void three_cores(void)
{
    cluster_with(3, 3, body);
}

int main(void)
{
    const struct unit_test tests[] = {{"one core", one_core}, {"three cores", three_cores}};
    return unit_main("sql_catalog", tests, ARRAY_LEN(tests));
}
