/* A cluster with catalogs in a temporary directory, for the tests of catalog and ddl. */
#ifndef TESTS_UNIT_SQL_CATALOG_CATALOG_TEST_H
#define TESTS_UNIT_SQL_CATALOG_CATALOG_TEST_H

#include "core/settings.h"
#include "sql/catalog/cache.h"

#include "tests/unit/core/unit.h"

#define UNUSED __attribute__((unused))

static uint32_t cluster_shards;
static void (*cluster_body)(void);
static char cluster_directory[64];

/* What a session has of the catalog. */
struct client {
    struct catalog_session cs;
    struct session_env env;
    struct sql_services services;
    struct arena *mem;
};

static struct catalog_session *client_catalog(void *owner)
{
    return &((struct client *)owner)->cs;
}

static const char *const client_path[] = {"$user", "public"};

static void client_init(struct client *c)
{
    memset(c, 0, sizeof(*c));
    c->mem = arena_new();
    c->services.owner = c;
    catalog_fill_services(&c->services, client_catalog);
    c->env.services = &c->services;
    c->env.user_name = "postgres";
    c->env.session_user_name = "postgres";
    c->env.database_name = "postgres";
    c->env.database_oid = DATABASE_POSTGRES;
    c->env.user_oid = ROLE_BOOTSTRAP;
    c->env.is_superuser = true;
    c->cs.database = DATABASE_POSTGRES;
    c->cs.user = ROLE_BOOTSTRAP;
    c->cs.is_superuser = true;
    c->cs.user_name = "postgres";
    c->cs.search_path = client_path;
    c->cs.search_path_count = 2;
    c->cs.env = &c->env;
}

UNUSED static void client_begin(struct client *c)
{
    struct txn_options o = {.isolation = READ_COMMITTED, .synchronous_commit = true};
    c->cs.txn = txn_begin(&o);
    txn_statement_begin(c->cs.txn);
}

UNUSED static SUSPENDS err_t client_commit_wait(struct client *c)
{
    err_t e = txn_commit_wait(c->cs.txn);
    c->cs.txn = NULL;
    return e;
}

UNUSED static SUSPENDS void client_rollback_wait(struct client *c)
{
    txn_rollback_wait(c->cs.txn);
    c->cs.txn = NULL;
}

static SUSPENDS void cluster_run(void)
{
    struct shard_options o = {.data_directory = cluster_directory,
                              .pool_bytes = MIB(16),
                              .version_bytes_max = MIB(64),
                              .wal_buffer_bytes = MIB(1),
                              .max_wal_bytes = MIB(64),
                              .checkpoint_timeout_us = 60000000};
    CHECK_OK(shards_create_wait(&o, cluster_shards));
    CHECK_OK(shards_open_wait(&o));
    CHECK_OK(catalog_bootstrap_wait("postgres", NULL));
    CHECK_OK(catalog_start_wait());
    if (atomic_load(&unit_failures) == 0)
        cluster_body();
    CHECK_OK(shards_close_wait());
}

static void cluster_with(uint32_t cores, uint32_t shards, void (*body)(void))
{
    strcpy(cluster_directory, "/tmp/percore_catalog_XXXXXX");
    if (!mkdtemp(cluster_directory))
        abort();
    cluster_shards = shards;
    cluster_body = body;
    unit_run(cores, cluster_run);
    char command[96];
    snprintf(command, sizeof(command), "rm -rf %s", cluster_directory);
    if (system(command) != 0)
        fprintf(stderr, "could not remove %s\n", cluster_directory);
}

#endif
