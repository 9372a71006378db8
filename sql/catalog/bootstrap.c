/*
 * Making the catalogs of a new cluster, and starting the catalog of an existing one.
 *
 * The rows are the generated facts plus a few of our own (pg_distribution, information_schema,
 * comments). Each of the three databases gets its own copy of the catalogs that are not shared.
 * Everything happens in one transaction on shard 0.
 */
#include "core/core.h"
#include "sql/catalog/cache.h"

#include <stdlib.h>

struct seeder {
    struct catalog_session cs;
    struct arena *mem; /* per catalog */
    struct session_env env;
    const char *superuser;
    const char *verifier;
};

struct files_call {
    struct txn_view view;
    oid database; /* 0: the shared ones */
};

static SUSPENDS err_t files_create_call(void *arg)
{
    struct files_call *c = arg;
    struct shard *s = shard_local(0);
    const struct catalog_relation *r;
    for (uint32_t i = 0; (r = catalog_relation_at(i)) != NULL; i++) {
        if (r->fact->kind != 'r' || r->fact->is_shared != (c->database == 0))
            continue;
        TRY(shard_file_create_wait(s, &c->view, catalog_file(c->database, r), FILE_HEAP));
        for (uint32_t x = 0; x < r->fact->index_count; x++)
            if (r->index_keys[x])
                TRY(shard_file_create_wait(s, &c->view, catalog_index_file(c->database, r, x),
                                           FILE_BTREE));
    }
    if (c->database != 0)
        return ERR_OK;
    struct sequence_state oids = {.last_value = FIRST_USER_OID, .is_called = false};
    struct sequence_state temps = {.last_value = 1, .is_called = false};
    file_id counter = file_of(0, FILE_OID_COUNTER);
    TRY(shard_file_create_wait(s, &c->view, counter, FILE_SEQUENCE));
    TRY(sequence_write_wait(s, &c->view, counter, &oids));
    counter = file_of(0, FILE_TEMP_COUNTER);
    TRY(shard_file_create_wait(s, &c->view, counter, FILE_SEQUENCE));
    return sequence_write_wait(s, &c->view, counter, &temps);
}

err_t catalog_create_files_wait(struct txn *t, oid database)
{
    struct files_call c = {.view = txn_view_make(t, 0, true), .database = database};
    err_t e = core_call_wait(shard_core(0), files_create_call, &c);
    txn_merge(t, 0, &c.view);
    txn_advance(t);
    return e;
}

/* Roles in access lists of the facts, where "postgres" is whatever the superuser is called. */
static err_t seed_role(void *owner, char kind, const char *name, bool missing_ok, oid *out)
{
    (void)owner;
    (void)kind;
    (void)missing_ok;
    const struct catalog_static *roles = catalog_relation_find(REL_AUTHID)->rows;
    *out = strcmp(name, "postgres") == 0 ? ROLE_BOOTSTRAP : OID_NONE;
    for (uint32_t i = 0; !*out && i < roles->row_count; i++)
        if (strcmp(catalog_static_text(roles, i, COL_ROLNAME - 1), name) == 0)
            *out = (oid)strtoul(catalog_static_text(roles, i, COL_OID - 1), NULL, 10);
    return ERR_OK;
}

static err_t seed_value(struct seeder *s, const struct catalog_column *c, const char *text,
                        datum *out, bool *is_null)
{
    *is_null = text == NULL;
    *out = 0;
    if (!text)
        return ERR_OK;
    const struct type_info *type = type_find(c->type);
    ASSERT(type);
    if (type->input)
        return value_input(&s->env, s->mem, c->type, -1, text, strlen(text), out);
    if (type->by_value) {
        *out = (datum)strtoul(text, NULL, 10);
        return ERR_OK;
    }
    const struct type_info *element = type->element ? type_find(type->element) : NULL;
    if (element)
        *is_null = !c->not_null; /* an array of a type that is not built */
    *out = datum_of_text(s->mem, text);
    return ERR_OK;
}

static void seed_special(struct seeder *s, oid relation, datum *values, bool *nulls)
{
    if (relation != REL_AUTHID || datum_oid(values[COL_OID - 1]) != ROLE_BOOTSTRAP)
        return;
    values[COL_ROLNAME - 1] = datum_of_text(s->mem, s->superuser);
    nulls[COL_ROLPASSWORD - 1] = s->verifier == NULL;
    if (s->verifier)
        values[COL_ROLPASSWORD - 1] = datum_of_text(s->mem, s->verifier);
}

/* Rights that objects are born with: pg_dump shows only what differs from them. */
static err_t seed_init_privileges(struct seeder *s, struct catalog_writer *w, oid relation,
                                  const datum *values, const bool *nulls)
{
    int column = relation == REL_CLASS       ? COL_RELACL
                 : relation == REL_NAMESPACE ? COL_NSPACL
                 : relation == REL_ATTRIBUTE ? COL_ATTACL
                                             : 0;
    if (!column || nulls[column - 1])
        return ERR_OK;
    bool is_column = relation == REL_ATTRIBUTE;
    datum *v = ARENA_ARRAY(s->mem, datum, COLS_INIT_PRIVS);
    bool *n = ARENA_ARRAY(s->mem, bool, COLS_INIT_PRIVS);
    v[COL_INIT_OBJOID - 1] = is_column ? values[COL_ATTRELID - 1] : values[COL_OID - 1];
    v[COL_INIT_CLASSOID - 1] = is_column ? REL_CLASS : relation;
    v[COL_INIT_OBJSUBID - 1] = datum_of_i32(is_column ? datum_i16(values[COL_ATTNUM - 1]) : 0);
    v[COL_PRIVTYPE - 1] = (datum)'i';
    v[COL_INITPRIVS - 1] = values[column - 1];
    return catalog_put(w, REL_INIT_PRIVS, v, n);
}

static SUSPENDS err_t seed_static_wait(struct seeder *s, const struct catalog_relation *r)
{
    const struct catalog_static *rows = r->rows;
    uint32_t columns = r->fact->column_count;
    if (rows->column_count != columns)
        return err_raise(ERR_INTERNAL_ERROR, "facts of %s do not fit", r->fact->name);
    struct catalog_writer *w = catalog_writer_new(&s->cs, s->mem);
    for (uint32_t i = 0; i < rows->row_count; i++) {
        datum *values = ARENA_ARRAY(s->mem, datum, columns);
        bool *nulls = ARENA_ARRAY(s->mem, bool, columns);
        for (uint32_t c = 0; c < columns; c++)
            TRY(seed_value(s, &r->fact->columns[c], catalog_static_text(rows, i, c), &values[c],
                           &nulls[c]));
        seed_special(s, r->fact->oid, values, nulls);
        TRY(catalog_put(w, r->fact->oid, values, nulls));
        TRY(seed_init_privileges(s, w, r->fact->oid, values, nulls));
        if (i % 256 == 255)
            TRY(catalog_apply_wait(w));
        TRY(fiber_rest_wait());
    }
    return catalog_apply_wait(w);
}

static SUSPENDS err_t seed_namespace_wait(struct seeder *s, oid schema, const char *name)
{
    static const char acl[] = "{postgres=UC/postgres,=U/postgres}";
    datum values[COLS_NAMESPACE] = {schema, datum_of_text(s->mem, name), ROLE_BOOTSTRAP, 0};
    bool nulls[COLS_NAMESPACE] = {0};
    struct catalog_writer *w = catalog_writer_new(&s->cs, s->mem);
    TRY(value_input(&s->env, s->mem, TYPE_ACLITEM_ARRAY, -1, acl, strlen(acl),
                    &values[COL_NSPACL - 1]));
    TRY(catalog_put(w, REL_NAMESPACE, values, nulls));
    TRY(seed_init_privileges(s, w, REL_NAMESPACE, values, nulls));
    return catalog_apply_wait(w);
}

/* pg_class, pg_attribute and pg_index rows of a catalog that is ours. Columns not named here are
 * as in the row of pg_depend, a plain catalog. */
static SUSPENDS err_t seed_own_wait(struct seeder *s, const struct catalog_relation *r)
{
    const struct catalog_table *f = r->fact;
    struct catalog_rows like;
    struct catalog_writer *w = catalog_writer_new(&s->cs, s->mem);
    TRY(catalog_find_wait(&s->cs, REL_CLASS, INDEX_CLASS_OID, 1, REL_DEPEND, 0, s->mem, &like));
    ASSERT(like.count == 1);
    struct catalog_row c = like.rows[0];
    c.values[COL_OID - 1] = f->oid;
    c.values[COL_RELNAME - 1] = datum_of_text(s->mem, f->name);
    c.values[COL_RELTYPE - 1] = 0;
    c.values[COL_RELFILENODE - 1] = f->oid;
    c.values[COL_RELNATTS - 1] = datum_of_i16((int16_t)f->column_count);
    TRY(catalog_put(w, REL_CLASS, c.values, c.nulls));
    TRY(seed_init_privileges(s, w, REL_CLASS, c.values, c.nulls));
    TRY(catalog_find_wait(&s->cs, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, REL_DEPEND,
                          datum_of_i16(1), s->mem, &like));
    ASSERT(like.count == 1);
    for (uint32_t i = 0; i < f->column_count; i++) {
        const struct type_info *type = type_find(f->columns[i].type);
        datum *v = arena_memdup(s->mem, like.rows[0].values, sizeof(datum) * COLS_ATTRIBUTE);
        v[COL_ATTRELID - 1] = f->oid;
        v[COL_ATTNAME - 1] = datum_of_text(s->mem, f->columns[i].name);
        v[COL_ATTTYPID - 1] = f->columns[i].type;
        v[COL_ATTLEN - 1] = datum_of_i16(type->typlen);
        v[COL_ATTNUM - 1] = datum_of_i16(f->columns[i].attnum);
        v[COL_ATTBYVAL - 1] = datum_of_bool(type->by_value);
        v[COL_ATTALIGN - 1] = (datum)type->align;
        v[COL_ATTSTORAGE - 1] = (datum)type->storage;
        TRY(catalog_put(w, REL_ATTRIBUTE, v, like.rows[0].nulls));
    }
    TRY(catalog_find_wait(&s->cs, REL_CLASS, INDEX_CLASS_OID, 1, INDEX_NAMESPACE_OID, 0, s->mem,
                          &like));
    ASSERT(like.count == 1);
    struct catalog_rows index_like;
    TRY(catalog_find_wait(&s->cs, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, INDEX_NAMESPACE_OID, 0,
                          s->mem, &index_like));
    ASSERT(index_like.count == 1);
    const struct catalog_index *x = &f->indexes[0];
    c = like.rows[0];
    c.values[COL_OID - 1] = x->oid;
    c.values[COL_RELNAME - 1] = datum_of_text(s->mem, x->name);
    c.values[COL_RELFILENODE - 1] = x->oid;
    TRY(catalog_put(w, REL_CLASS, c.values, c.nulls));
    c = index_like.rows[0];
    c.values[COL_INDEXRELID - 1] = x->oid;
    c.values[COL_INDRELID - 1] = f->oid;
    TRY(catalog_put(w, REL_INDEX, c.values, c.nulls));
    return catalog_apply_wait(w);
}

/* pg_class and pg_attribute rows of information_schema's views, made like those of pg_tables. */
static SUSPENDS err_t seed_information_wait(struct seeder *s)
{
    struct catalog_writer *w = catalog_writer_new(&s->cs, s->mem);
    const struct catalog_relation *model = catalog_relation_named(SCHEMA_PG_CATALOG, "pg_tables");
    struct catalog_rows cls;
    struct catalog_rows att;
    ASSERT(model);
    TRY(catalog_find_wait(&s->cs, REL_CLASS, INDEX_CLASS_OID, 1, model->fact->oid, 0, s->mem,
                          &cls));
    TRY(catalog_find_wait(&s->cs, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, model->fact->oid,
                          datum_of_i16(1), s->mem, &att));
    ASSERT(cls.count == 1);
    ASSERT(att.count == 1);
    const struct catalog_relation *r;
    for (uint32_t i = 0; (r = catalog_relation_at(i)) != NULL; i++) {
        if (r->schema != SCHEMA_INFORMATION)
            continue;
        const struct catalog_table *f = r->fact;
        datum *c = arena_memdup(s->mem, cls.rows[0].values, sizeof(datum) * COLS_CLASS);
        c[COL_OID - 1] = f->oid;
        c[COL_RELNAME - 1] = datum_of_text(s->mem, f->name);
        c[COL_RELNAMESPACE - 1] = SCHEMA_INFORMATION;
        c[COL_RELTYPE - 1] = 0;
        c[COL_RELNATTS - 1] = datum_of_i16((int16_t)f->column_count);
        TRY(catalog_put(w, REL_CLASS, c, cls.rows[0].nulls));
        TRY(seed_init_privileges(s, w, REL_CLASS, c, cls.rows[0].nulls));
        for (uint32_t k = 0; k < f->column_count; k++) {
            const struct type_info *type = type_find(f->columns[k].type);
            datum *v = arena_memdup(s->mem, att.rows[0].values, sizeof(datum) * COLS_ATTRIBUTE);
            v[COL_ATTRELID - 1] = f->oid;
            v[COL_ATTNAME - 1] = datum_of_text(s->mem, f->columns[k].name);
            v[COL_ATTTYPID - 1] = f->columns[k].type;
            v[COL_ATTLEN - 1] = datum_of_i16(type->typlen);
            v[COL_ATTNUM - 1] = datum_of_i16(f->columns[k].attnum);
            v[COL_ATTBYVAL - 1] = datum_of_bool(type->by_value);
            v[COL_ATTALIGN - 1] = (datum)type->align;
            v[COL_ATTSTORAGE - 1] = (datum)type->storage;
            v[COL_ATTCOLLATION - 1] = type->collation;
            TRY(catalog_put(w, REL_ATTRIBUTE, v, att.rows[0].nulls));
        }
    }
    return catalog_apply_wait(w);
}

static SUSPENDS err_t seed_extension_wait(struct seeder *s)
{
    datum values[COLS_EXTENSION] = {13562 + 2,
                                    datum_of_text(s->mem, "plpgsql"),
                                    ROLE_BOOTSTRAP,
                                    SCHEMA_PG_CATALOG,
                                    datum_of_bool(false),
                                    datum_of_text(s->mem, "1.0")};
    bool nulls[COLS_EXTENSION] = {[COL_EXTCONFIG - 1] = true, [COL_EXTCONDITION - 1] = true};
    return catalog_put_wait(&s->cs, REL_EXTENSION, values, nulls, s->mem);
}

static SUSPENDS err_t seed_comment_wait(struct seeder *s, oid object, oid class, const char *text)
{
    datum values[COLS_DESCRIPTION] = {object, class, 0, datum_of_text(s->mem, text)};
    bool nulls[COLS_DESCRIPTION] = {0};
    return catalog_put_wait(&s->cs, REL_DESCRIPTION, values, nulls, s->mem);
}

static SUSPENDS err_t seed_shared_comment_wait(struct seeder *s, oid database, const char *text)
{
    datum values[COLS_SHDESCRIPTION] = {database, REL_DATABASE, datum_of_text(s->mem, text)};
    bool nulls[COLS_SHDESCRIPTION] = {0};
    return catalog_put_wait(&s->cs, REL_SHDESCRIPTION, values, nulls, s->mem);
}

/* pg_monitor is a member of the three reading roles. */
static SUSPENDS err_t seed_members_wait(struct seeder *s)
{
    static const oid granted[] = {3374, 3375, 3377};
    struct catalog_writer *w = catalog_writer_new(&s->cs, s->mem);
    for (size_t i = 0; i < ARRAY_LEN(granted); i++) {
        datum *values = ARENA_ARRAY(s->mem, datum, COLS_AUTH_MEMBERS);
        bool *nulls = ARENA_ARRAY(s->mem, bool, COLS_AUTH_MEMBERS);
        values[COL_ROLEID - 1] = granted[i];
        values[COL_MEMBER - 1] = 3373;
        values[COL_GRANTOR - 1] = ROLE_BOOTSTRAP;
        TRY(catalog_put(w, REL_AUTH_MEMBERS, values, nulls));
    }
    return catalog_apply_wait(w);
}

static SUSPENDS err_t seed_database_wait(struct seeder *s, oid database)
{
    bool shared = database == 0;
    s->cs.database = database;
    TRY(catalog_create_files_wait(s->cs.txn, database));
    const struct catalog_relation *r;
    for (uint32_t i = 0; (r = catalog_relation_at(i)) != NULL; i++) {
        if (r->fact->kind != 'r' || r->fact->is_shared != shared || !r->rows)
            continue;
        arena_reset(s->mem);
        TRY(seed_static_wait(s, r));
    }
    arena_reset(s->mem);
    if (shared) {
        TRY(seed_members_wait(s));
        TRY(seed_shared_comment_wait(s, DATABASE_TEMPLATE1, "default template for new databases"));
        TRY(seed_shared_comment_wait(s, DATABASE_TEMPLATE0, "unmodifiable empty database"));
        return seed_shared_comment_wait(s, DATABASE_POSTGRES,
                                        "default administrative connection database");
    }
    TRY(seed_namespace_wait(s, SCHEMA_INFORMATION, "information_schema"));
    TRY(seed_own_wait(s, catalog_relation_find(REL_DISTRIBUTION)));
    TRY(seed_information_wait(s));
    TRY(seed_extension_wait(s));
    TRY(seed_comment_wait(s, SCHEMA_PUBLIC, REL_NAMESPACE, "standard public schema"));
    TRY(seed_comment_wait(s, SCHEMA_PG_CATALOG, REL_NAMESPACE, "system catalog schema"));
    TRY(seed_comment_wait(s, SCHEMA_PG_TOAST, REL_NAMESPACE, "reserved schema for TOAST tables"));
    return seed_comment_wait(s, 13564, REL_EXTENSION, "PL/pgSQL procedural language");
}

err_t catalog_bootstrap_wait(const char *superuser, const char *password_verifier)
{
    catalog_relations_init();
    struct seeder s = {.superuser = superuser, .verifier = password_verifier};
    struct txn_options o = {.isolation = READ_COMMITTED, .synchronous_commit = true};
    s.mem = arena_new();
    struct sql_services services = {.resolve_name = seed_role};
    s.env.services = &services;
    s.env.user_oid = ROLE_BOOTSTRAP;
    s.env.user_name = superuser;
    s.env.session_user_name = superuser;
    s.env.is_superuser = true;
    s.cs.user = ROLE_BOOTSTRAP;
    s.cs.is_superuser = true;
    s.cs.user_name = superuser;
    s.cs.txn = txn_begin(&o);
    txn_statement_begin(s.cs.txn);
    catalog_begin_change(&s.cs);
    static const oid databases[] = {0, DATABASE_TEMPLATE1, DATABASE_TEMPLATE0, DATABASE_POSTGRES};
    err_t e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < ARRAY_LEN(databases); i++)
        e = seed_database_wait(&s, databases[i]);
    arena_free(s.mem);
    if (e == ERR_OK)
        return txn_commit_wait(s.cs.txn);
    txn_rollback_wait(s.cs.txn);
    return e;
}

static err_t start_here(void *arg)
{
    (void)arg;
    catalog_cache_start();
    return ERR_OK;
}

err_t catalog_start_wait(void)
{
    catalog_relations_init();
    for (uint32_t i = 0; i < core_count(); i++)
        TRY(core_call_wait(i, start_here, NULL));
    return ERR_OK;
}
