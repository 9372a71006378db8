/*
 * The server between its first and its last step on the cores: storage, SQL, network up; wait for a
 * stop; all down in order. Everything here goes through the io seam, so the same code runs in the
 * simulated world.
 */
#include "tools/server.h"

#include <stdio.h>
#include <unistd.h>

#include "core/settings.h"
#include "net/net.h"
#include "net/scram.h"
#include "shard/shard.h"
#include "sql/sql.h"

enum { PATH_BYTES_MAX = 4096 };

static struct {
    const struct server_config *config;
    struct wait_queue stop;
    enum server_stop stop_kind;
    bool failed;
} server;

/* The process ends here as in a crash, before any answer can claim to know what was written;
 * recovery decides. */
NORETURN static void log_failed(uint32_t shard_no)
{
    log_write(LOG_PANIC, "the log of shard %u could not be written: the server goes down",
              shard_no);
    _exit(1);
}

static struct shard_options shard_settings(uint32_t shards)
{
    uint64_t buffers = (uint64_t)setting_int(NULL, SET_shared_buffers) * 8192;
    return (struct shard_options){
        .data_directory = server.config->data_directory,
        .pool_bytes = MAX(buffers / shards, MIB(1)),
        .version_bytes_max = MAX(
            (uint64_t)setting_int(NULL, SET_version_store_size) * 1024 / shards, (uint64_t)MIB(1)),
        .wal_buffer_bytes = MIB(4),
        .max_wal_bytes = (uint64_t)setting_int(NULL, SET_max_wal_size) * 1024 * 1024 / shards,
        .checkpoint_timeout_us = (uint64_t)setting_int(NULL, SET_checkpoint_timeout) * 1000000,
        .log_failed = log_failed,
    };
}

static SUSPENDS err_t open_storage_wait(void)
{
    uint32_t shards = server.config->shard_count;
    if (server.config->is_new) {
        struct shard_options o = shard_settings(shards);
        TRY(shards_create_wait(&o, shards));
    } else {
        bool clean;
        struct shard_options o = shard_settings(1);
        TRY(shards_inspect_wait(&o, &shards, &clean));
        if (!clean)
            log_write(LOG_LOG, "database system was not properly shut down; automatic recovery in "
                               "progress");
    }
    struct shard_options o = shard_settings(shards);
    return shards_open_wait(&o);
}

static SUSPENDS err_t open_sql_wait(void)
{
    struct arena *mem = arena_new();
    struct sql_options o = {.bootstrap = server.config->is_new, .superuser = "postgres"};
    err_t e = ERR_OK;
    if (server.config->is_new && server.config->password)
        e = scram_make_verifier(server.config->password, mem, &o.password_verifier);
    if (e == ERR_OK)
        e = sql_start_wait(&o);
    arena_free(mem);
    return e;
}

static SUSPENDS err_t open_network_wait(void)
{
    char hba[PATH_BYTES_MAX];
    snprintf(hba, sizeof(hba), "%s/pg_hba.conf", server.config->data_directory);
    const char *directories = setting_string(NULL, SET_unix_socket_directories);
    bool tls = setting_bool(NULL, SET_ssl);
    struct net_options o = {
        .listen_addresses = setting_string(NULL, SET_listen_addresses),
        .port = (uint16_t)setting_int(NULL, SET_port),
        .unix_socket_directory = directories ? directories : "",
        .connections_max = (uint32_t)setting_int(NULL, SET_max_connections),
        .reserved_connections = (uint32_t)setting_int(NULL, SET_superuser_reserved_connections),
        .hba_file = strdup(hba),
        .tls_cert_file = tls ? setting_string(NULL, SET_ssl_cert_file) : NULL,
        .tls_key_file = tls ? setting_string(NULL, SET_ssl_key_file) : NULL,
    };
    return net_start_wait(&o);
}

/* The first start is complete: from now on the directory counts as initialised. */
static SUSPENDS err_t finish_init_wait(void)
{
    char path[PATH_BYTES_MAX];
    if (snprintf(path, sizeof(path), "%s/PG_VERSION", server.config->data_directory) >=
        (int)sizeof(path))
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "path is too long");
    return io_replace_file_wait(path, "15\n", 3, 0600);
}

static SUSPENDS err_t start_wait(void)
{
    TRY(open_storage_wait());
    shards_set_deadlock_timeout((uint64_t)setting_int(NULL, SET_deadlock_timeout) * 1000);
    TRY(open_sql_wait());
    if (server.config->is_new)
        TRY(finish_init_wait());
    TRY(open_network_wait());
    return server.config->started != NULL ? server.config->started() : ERR_OK;
}

static SUSPENDS void stop_wait(void)
{
    enum server_stop told = SERVER_RUNS;
    net_stop_listening();
    do {
        if (server.stop_kind != told)
            log_write(LOG_LOG, "received %s shutdown request",
                      server.stop_kind == SERVER_STOP_SMART ? "smart" : "fast");
        told = server.stop_kind;
    } while (!net_drain_wait(told != SERVER_STOP_SMART));
    log_write(LOG_LOG, "shutting down");
    if (shards_close_wait() != ERR_OK) {
        log_diag(LOG_ERROR, err_diag());
        server.failed = true;
    }
    log_write(LOG_LOG, "database system is shut down");
}

SUSPENDS void server_entry(void *arg)
{
    if (core_id() != 0)
        return;
    server.config = arg;
    server.stop_kind = SERVER_RUNS;
    if (start_wait() != ERR_OK) {
        log_diag(LOG_FATAL, err_diag());
        server.failed = true;
        core_stop_all();
        return;
    }
    log_write(LOG_LOG, "database system is ready to accept connections");
    while (server.stop_kind == SERVER_RUNS)
        wait_queue_shielded_wait(&server.stop);
    stop_wait();
    core_stop_all();
}

void server_stop(enum server_stop kind)
{
    ASSERT(core_id() == 0);
    if (server.stop_kind != SERVER_STOP_FAST) /* a fast request overrides a smart one */
        server.stop_kind = kind;
    wait_queue_wake_all(&server.stop);
}

bool server_has_failed(void)
{
    return server.failed;
}
