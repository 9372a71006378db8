/*
 * CREATE, ALTER and DROP DATABASE. A new database is a copy of its template: the catalogs on shard
 * 0 row by row, and the files of the template's own tables and sequences on every shard.
 */
#include "shard/held.h"
#include "sql/ddl/ddl_priv.h"

#include <stdlib.h>
#include <strings.h>

static SUSPENDS err_t find_wait(struct ddl_context *x, const char *name, struct catalog_row *row,
                                bool *found)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, REL_DATABASE, INDEX_DATABASE_DATNAME, 1,
                          datum_of_text(x->mem, name), 0, x->mem, &rows));
    *found = rows.count > 0;
    if (*found)
        *row = rows.rows[0];
    return ERR_OK;
}

static SUSPENDS err_t may_create_wait(struct ddl_context *x)
{
    struct catalog_row row;
    if (x->catalog->is_superuser)
        return ERR_OK;
    TRY(rows_get_wait(x, REL_AUTHID, INDEX_AUTHID_OID, 1, x->catalog->user, 0, &row));
    if (catalog_bool_value(&row, COL_ROLCREATEDB))
        return ERR_OK;
    return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "permission denied to create database");
}

/* Copies one catalog; user relations of the template are counted. */
static SUSPENDS err_t copy_catalog_wait(struct ddl_context *x, oid from, oid to,
                                        const struct catalog_relation *r, uint32_t *user_relations)
{
    struct arena *mem = arena_new();
    struct catalog_probe p = {.relation = r->fact->oid};
    err_t e = catalog_probe_in_wait(x->catalog, from, &p, 1, mem);
    struct catalog_writer *w = catalog_writer_new(x->catalog, mem);
    catalog_writer_database(w, to);
    for (uint32_t i = 0; e == ERR_OK && i < p.found.count; i++) {
        const struct catalog_row *row = &p.found.rows[i];
        if (r->fact->oid == REL_CLASS && catalog_oid_value(row, COL_OID) >= FIRST_USER_OID)
            (*user_relations)++;
        e = catalog_put(w, r->fact->oid, row->values, row->nulls);
        if (e == ERR_OK && i % 256 == 255)
            e = catalog_apply_wait(w);
        if (e == ERR_OK)
            e = fiber_rest_wait();
    }
    if (e == ERR_OK)
        e = catalog_apply_wait(w);
    arena_free(mem);
    return e;
}

static SUSPENDS err_t copy_wait(struct ddl_context *x, oid from, oid to)
{
    uint32_t user_relations = 0;
    const struct catalog_relation *r;
    TRY(catalog_create_files_wait(x->catalog->txn, to));
    for (uint32_t i = 0; (r = catalog_relation_at(i)) != NULL; i++)
        if (r->fact->kind == 'r' && !r->fact->is_shared)
            TRY(copy_catalog_wait(x, from, to, r, &user_relations));
    if (user_relations)
        return err_not_built("a template database with tables of its own is not supported");
    return ERR_OK;
}

/* ---- who uses a database ---- */

err_t ddl_database_lock_wait(struct ddl_context *x, const char *name, enum table_lock_mode mode,
                             struct catalog_row *row, bool *found)
{
    for (;;) {
        TRY(find_wait(x, name, row, found));
        if (!*found)
            return ERR_OK;
        oid database = catalog_oid_value(row, COL_OID);
        TRY(txn_lock_table_wait(x->catalog->txn, database_lock_name(database), mode, false));
        TRY(find_wait(x, name, row, found));
        if (!*found || catalog_oid_value(row, COL_OID) == database)
            return ERR_OK;
    }
}

static SUSPENDS err_t prepared_count_wait(struct ddl_context *x, oid database, uint32_t *out)
{
    struct held_transaction *rows;
    uint32_t count;
    *out = 0;
    TRY(held_list_wait(x->mem, &rows, &count));
    for (uint32_t i = 0; i < count; i++)
        *out += rows[i].database == database;
    return ERR_OK;
}

static SUSPENDS err_t terminate_wait(struct ddl_context *x, oid database, const char *name)
{
    uint32_t prepared;
    uint64_t others;
    TRY(prepared_count_wait(x, database, &prepared));
    if (prepared == 0)
        return x->env->services->database_users(x->env->services->owner, database, true, &others);
    err_t e = err_raise(ERR_OBJECT_IN_USE, "database \"%s\" is being used by prepared transactions",
                        name);
    err_detail(prepared == 1 ? "There is %u prepared transaction using the database."
                             : "There are %u prepared transactions using the database.",
               prepared);
    return e;
}

enum { USERS_ROUNDS = 50, USERS_ROUND_US = 100000 };

err_t ddl_database_unused_wait(struct ddl_context *x, oid database, const char *what,
                               const char *name)
{
    const struct sql_services *s = x->env->services;
    uint64_t others = 0;
    uint32_t prepared = 0;
    for (int round = 0;; round++) {
        TRY(s->database_users(s->owner, database, false, &others));
        TRY(prepared_count_wait(x, database, &prepared));
        if (others == 0 && prepared == 0)
            return ERR_OK;
        if (round == USERS_ROUNDS || others == 0) /* prepared ones do not end by themselves */
            break;
        TRY(fiber_sleep_wait(USERS_ROUND_US));
    }
    err_t e =
        err_raise(ERR_OBJECT_IN_USE, "%s \"%s\" is being accessed by other users", what, name);
    if (others != 0 && prepared != 0)
        err_detail("There are %llu other session(s) and %u prepared transaction(s) using the "
                   "database.",
                   (unsigned long long)others, prepared);
    else if (prepared == 0)
        err_detail(others == 1 ? "There is %llu other session using the database."
                               : "There are %llu other sessions using the database.",
                   (unsigned long long)others);
    else
        err_detail(prepared == 1 ? "There is %u prepared transaction using the database."
                                 : "There are %u prepared transactions using the database.",
                   prepared);
    return e;
}

struct create {
    const char *template;
    oid owner;
    int32_t limit;
    bool allow;
    bool is_template;
};

static SUSPENDS err_t create_options_wait(struct ddl_context *x, const struct ddl *d,
                                          struct create *c)
{
    for (uint32_t i = 0; i < d->option_count; i++) {
        const struct ddl_option *o = &d->options[i];
        const char *v = o->value;
        if (strcmp(o->name, "template") == 0 && v) {
            c->template = v;
        } else if (strcmp(o->name, "owner") == 0 && v) {
            TRY(ddl_role_named_wait(x, v, &c->owner));
        } else if (strcmp(o->name, "encoding") == 0 && v) {
            if (strcasecmp(v, "utf8") != 0 && strcasecmp(v, "utf-8") != 0 &&
                strcasecmp(v, "unicode") != 0 && strcmp(v, "6") != 0)
                return err_not_built("encoding \"%s\" is not supported: only UTF8 is", v);
        } else if (strcmp(o->name, "connection_limit") == 0 && v) {
            c->limit = (int32_t)strtol(v, NULL, 10);
            if (c->limit < -1)
                return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid connection limit: %d",
                                 c->limit);
        } else if (strcmp(o->name, "allow_connections") == 0) {
            c->allow = ddl_option_true(v ? v : "true");
        } else if (strcmp(o->name, "is_template") == 0) {
            c->is_template = ddl_option_true(v ? v : "true");
        } else if (strcmp(o->name, "tablespace") == 0 && v) {
            if (strcmp(v, "pg_default") != 0)
                return err_raise(ERR_UNDEFINED_OBJECT, "tablespace \"%s\" does not exist", v);
        } else if ((strcmp(o->name, "lc_collate") == 0 || strcmp(o->name, "lc_ctype") == 0 ||
                    strcmp(o->name, "locale") == 0) &&
                   v) {
            if (strcmp(v, "C") != 0 && strcmp(v, "POSIX") != 0 && strncmp(v, "C.", 2) != 0)
                return err_not_built("locale \"%s\" is not supported: only C locales are", v);
        } else if (strcmp(o->name, "strategy") != 0 && strcmp(o->name, "location") != 0 &&
                   strcmp(o->name, "oid") != 0 && v) {
            return err_not_built("CREATE DATABASE option \"%s\" is not supported", o->name);
        }
    }
    return ERR_OK;
}

static SUSPENDS err_t create_wait(struct ddl_context *x, const struct ddl *d)
{
    struct create c = {
        .template = "template1", .owner = x->catalog->user, .limit = -1, .allow = true};
    struct catalog_row row;
    bool found;
    TRY(may_create_wait(x));
    TRY(create_options_wait(x, d, &c));
    TRY(find_wait(x, d->new_name, &row, &found));
    if (found)
        return err_raise(ERR_DUPLICATE_DATABASE, "database \"%s\" already exists", d->new_name);
    TRY(ddl_database_lock_wait(x, c.template, LOCK_TABLE_SHARE, &row, &found));
    if (!found)
        return err_raise(ERR_UNDEFINED_DATABASE, "template database \"%s\" does not exist",
                         c.template);
    if (!catalog_bool_value(&row, COL_DATISTEMPLATE) && !x->catalog->is_superuser &&
        catalog_oid_value(&row, COL_DATDBA) != x->catalog->user)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "permission denied to copy database \"%s\"",
                         c.template);
    TRY(ddl_database_unused_wait(x, catalog_oid_value(&row, COL_OID), "source database",
                                 c.template));
    oid database;
    TRY(catalog_new_oid_wait(x->catalog, &database));
    datum *v;
    bool *n;
    rows_copy(x->mem, &row, COLS_DATABASE, &v, &n);
    v[COL_OID - 1] = database;
    v[COL_DATNAME - 1] = datum_of_text(x->mem, d->new_name);
    v[COL_DATDBA - 1] = c.owner;
    v[COL_DATISTEMPLATE - 1] = datum_of_bool(c.is_template);
    v[COL_DATALLOWCONN - 1] = datum_of_bool(c.allow);
    v[COL_DATCONNLIMIT - 1] = datum_of_i32(c.limit);
    n[COL_DATACL - 1] = true;
    TRY(catalog_put_wait(x->catalog, REL_DATABASE, v, n, x->mem));
    return copy_wait(x, catalog_oid_value(&row, COL_OID), database);
}

static SUSPENDS err_t alter_wait(struct ddl_context *x, const struct ddl *d)
{
    struct catalog_row row;
    bool found;
    datum *v;
    bool *n;
    TRY(find_wait(x, d->new_name, &row, &found));
    if (!found)
        return err_raise(ERR_UNDEFINED_DATABASE, "database \"%s\" does not exist", d->new_name);
    if (!x->catalog->is_superuser && catalog_oid_value(&row, COL_DATDBA) != x->catalog->user)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "must be owner of database %s", d->new_name);
    struct create c = {.limit = catalog_int_value(&row, COL_DATCONNLIMIT),
                       .allow = catalog_bool_value(&row, COL_DATALLOWCONN),
                       .is_template = catalog_bool_value(&row, COL_DATISTEMPLATE)};
    TRY(create_options_wait(x, d, &c));
    rows_copy(x->mem, &row, COLS_DATABASE, &v, &n);
    v[COL_DATISTEMPLATE - 1] = datum_of_bool(c.is_template);
    v[COL_DATALLOWCONN - 1] = datum_of_bool(c.allow);
    v[COL_DATCONNLIMIT - 1] = datum_of_i32(c.limit);
    return catalog_replace_wait(x->catalog, REL_DATABASE, &row, v, n, x->mem);
}

/* ---- DROP ---- */

struct drop_list {
    struct ddl_file *files;
    uint32_t count;
};

/* The files of the database's own relations: on all shards; sequences apart. */
static SUSPENDS err_t user_files_wait(struct ddl_context *x, oid database, struct drop_list *l,
                                      struct catalog_rows *classes)
{
    struct catalog_probe p = {.relation = REL_CLASS};
    TRY(catalog_probe_in_wait(x->catalog, database, &p, 1, x->mem));
    *classes = p.found;
    l->files = ARENA_ARRAY(x->mem, struct ddl_file, p.found.count + 1);
    for (uint32_t i = 0; i < p.found.count; i++) {
        const struct catalog_row *r = &p.found.rows[i];
        oid number = catalog_oid_value(r, COL_RELFILENODE);
        char kind = catalog_char_value(r, COL_RELKIND);
        if (catalog_oid_value(r, COL_OID) < FIRST_USER_OID || !number || kind == 'S')
            continue;
        l->files[l->count++] =
            (struct ddl_file){file_of(database, number), kind == 'i' ? FILE_BTREE : FILE_HEAP};
    }
    return ERR_OK;
}

struct shard0_drop {
    struct txn_view view;
    oid database;
};

static SUSPENDS err_t shard0_drop_call(void *arg)
{
    struct shard0_drop *d = arg;
    struct shard *s = shard_local(0);
    const struct catalog_relation *r;
    for (uint32_t i = 0; (r = catalog_relation_at(i)) != NULL; i++) {
        if (r->fact->kind != 'r' || r->fact->is_shared)
            continue;
        TRY(shard_file_drop_wait(s, &d->view, catalog_file(d->database, r)));
        for (uint32_t k = 0; k < r->fact->index_count; k++)
            if (r->index_keys[k])
                TRY(shard_file_drop_wait(s, &d->view, catalog_index_file(d->database, r, k)));
    }
    return ERR_OK;
}

struct sequence_files {
    const struct catalog_rows *classes;
    oid database;
};

static SUSPENDS err_t sequence_files_on_shard(struct shard_work *w)
{
    const struct sequence_files *f = w->arg;
    for (uint32_t i = 0; i < f->classes->count; i++) {
        const struct catalog_row *r = &f->classes->rows[i];
        oid object = catalog_oid_value(r, COL_OID);
        if (catalog_char_value(r, COL_RELKIND) == 'S' && object % shard_count() == w->shard)
            TRY(shard_file_drop_wait(shard_local(w->shard), &w->view,
                                     file_of(f->database, catalog_oid_value(r, COL_RELFILENODE))));
    }
    return ERR_OK;
}

static SUSPENDS err_t drop_wait(struct ddl_context *x, const struct ddl *d)
{
    struct catalog_row row;
    bool found;
    TRY(ddl_database_lock_wait(x, d->new_name, LOCK_ACCESS_EXCLUSIVE, &row, &found));
    if (!found) {
        if (!d->missing_ok)
            return err_raise(ERR_UNDEFINED_DATABASE, "database \"%s\" does not exist", d->new_name);
        ddl_notice(x, "database \"%s\" does not exist, skipping", d->new_name);
        return ERR_OK;
    }
    oid database = catalog_oid_value(&row, COL_OID);
    if (!x->catalog->is_superuser && catalog_oid_value(&row, COL_DATDBA) != x->catalog->user)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "must be owner of database %s", d->new_name);
    if (catalog_bool_value(&row, COL_DATISTEMPLATE))
        return err_raise(ERR_WRONG_OBJECT_TYPE, "cannot drop a template database");
    if (database == x->catalog->database)
        return err_raise(ERR_OBJECT_IN_USE, "cannot drop the currently open database");
    if (ddl_option_find(d->options, d->option_count, "force"))
        TRY(terminate_wait(x, database, d->new_name));
    TRY(ddl_database_unused_wait(x, database, "database", d->new_name));
    struct drop_list files = {0};
    struct catalog_rows classes;
    TRY(user_files_wait(x, database, &files, &classes));
    TRY(catalog_remove_wait(x->catalog, REL_DATABASE, &row, x->mem));
    TRY(ddl_files_drop_wait(x, files.files, files.count));
    struct sequence_files sequences = {&classes, database};
    TRY(ddl_on_shards_wait(x, sequence_files_on_shard, &sequences));
    struct txn *t = x->catalog->txn;
    struct shard0_drop s = {.view = txn_view_make(t, 0, true), .database = database};
    err_t e = core_call_wait(shard_core(0), shard0_drop_call, &s);
    txn_merge(t, 0, &s.view);
    TRY(e);
    struct catalog_rows settings;
    TRY(catalog_find_wait(x->catalog, REL_DB_ROLE_SETTING, INDEX_DB_ROLE_SETTING_DATABASEID_ROL, 1,
                          database, 0, x->mem, &settings));
    for (uint32_t i = 0; i < settings.count; i++)
        TRY(catalog_remove_wait(x->catalog, REL_DB_ROLE_SETTING, &settings.rows[i], x->mem));
    struct catalog_rows comments;
    TRY(catalog_find_wait(x->catalog, REL_SHDESCRIPTION, INDEX_SHDESCRIPTION_O_C, 2, database,
                          REL_DATABASE, x->mem, &comments));
    for (uint32_t i = 0; i < comments.count; i++)
        TRY(catalog_remove_wait(x->catalog, REL_SHDESCRIPTION, &comments.rows[i], x->mem));
    return ERR_OK;
}

err_t ddl_database_run_wait(struct ddl_context *x, const struct ddl *d)
{
    if (d->kind == DDL_ALTER_DATABASE)
        return alter_wait(x, d);
    if (x->in_block)
        return err_raise(ERR_ACTIVE_SQL_TRANSACTION, "%s %s", d->tag, x->in_block);
    return d->kind == DDL_CREATE_DATABASE ? create_wait(x, d) : drop_wait(x, d);
}
