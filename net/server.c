/*
 * Listening, dealing connections out to the cores, and what all connections share: hba rules, the
 * TLS context, limits.
 *
 * The listening core accepts and hands each descriptor to the core with the fewest connections: it
 * counts what it dealt out, every core what ended. Shared state is replaced whole on reload: the
 * new rules are posted to each core.
 */
#include "net/conn_priv.h"

#include <unistd.h>

enum { CONNECTIONS_BEYOND_MAX = 64, LISTEN_BACKLOG = 4096, DRAIN_POLL_US = 20000 };

/* Access: all on the listening core but where said. */
struct server {
    uint32_t home;                  /* i: listening core */
    uint32_t connections_max;       /* i */
    uint32_t reserved;              /* i */
    const char *hba_file;           /* i */
    const char *cert_file;          /* i */
    const char *key_file;           /* i */
    uint32_t dealt[CORE_COUNT_MAX]; /* connections given to each core so far */
    struct io_listener **listeners;
    uint32_t listener_count;
    bool stopping;
};

struct core_net { /* per core */
    const struct hba *hba;
    struct tls_context *tls;
    uint32_t total; /* connections of the server, as last told */
    bool stopping;
    bool ends_sessions;
};

static struct server server;
static struct core_net nets[CORE_COUNT_MAX];

const struct hba *net_hba(void)
{
    return nets[core_id()].hba;
}

struct tls_context *net_tls(void)
{
    return nets[core_id()].tls;
}

bool net_is_stopping(void)
{
    return nets[core_id()].stopping;
}

bool net_ends_sessions(void)
{
    return nets[core_id()].ends_sessions;
}

/* ---- counts: dealt out here, ended on their cores ---- */

static uint64_t net_gone_of(uint32_t core)
{
    const struct stats_page *page = stats_of(core);
    return stats_read(&page->connections_ended) + stats_read(&page->connections_left);
}

static uint64_t net_come_to(uint32_t core)
{
    return server.dealt[core] + stats_read(&stats_of(core)->connections_came);
}

static uint32_t net_count_of(uint32_t core)
{
    uint64_t gone = net_gone_of(core);
    return (uint32_t)(net_come_to(core) - gone);
}

/* First all that went: whoever is seen to have left a core is seen to have come to the next one. */
uint32_t net_connection_count(void)
{
    uint64_t gone = 0;
    for (uint32_t i = 0; i < core_count(); i++)
        gone += net_gone_of(i);
    uint64_t come = 0;
    for (uint32_t i = 0; i < core_count(); i++)
        come += net_come_to(i);
    return (uint32_t)(come - gone);
}

void net_conn_gone(void)
{
    stats_add(&stats_self()->connections_ended, 1);
}

/* Counted on both cores rather than on none: who waits for the last one must not overlook it. */
static void net_left_post(void *arg)
{
    (void)arg;
    stats_add(&stats_self()->connections_left, 1);
}

void net_conn_moved(uint32_t from)
{
    stats_add(&stats_self()->connections_came, 1);
    core_post(from, net_left_post, NULL);
}

/* The last ones are for superusers. Told with each connection, so a burst is judged by the number
 * at its acceptance. */
err_t net_check_room(bool is_superuser)
{
    uint32_t total = nets[core_id()].total;
    if (total > server.connections_max)
        return err_raise(ERR_TOO_MANY_CONNECTIONS, "sorry, too many clients already");
    if (!is_superuser && total > server.connections_max - server.reserved)
        return err_raise(ERR_TOO_MANY_CONNECTIONS, "remaining connection slots are reserved for "
                                                   "non-replication superuser connections");
    return ERR_OK;
}

/* A descriptor and the number of connections at its acceptance, in one word. */
static void net_adopt_post(void *arg)
{
    uint64_t word = (uint64_t)(uintptr_t)arg;
    nets[core_id()].total = (uint32_t)(word >> 32);
    conn_adopt((int)(uint32_t)word);
}

static void net_accepted(void *owner, int os_fd)
{
    (void)owner;
    uint32_t best = server.home; /* first among equals: no message */
    uint32_t best_count = net_count_of(best);
    uint32_t total = 0;
    for (uint32_t i = 0; i < core_count(); i++) {
        uint32_t count = net_count_of(i);
        total += count;
        if (count < best_count) {
            best = i;
            best_count = count;
        }
    }
    if (server.stopping || total >= server.connections_max + CONNECTIONS_BEYOND_MAX) {
        close(os_fd); /* far beyond the limit: not even an answer */
        return;
    }
    server.dealt[best]++;
    if (best == server.home) {
        nets[best].total = total + 1;
        conn_adopt(os_fd);
        return;
    }
    uint64_t word = (uint64_t)(total + 1) << 32 | (uint32_t)os_fd;
    core_post(best, net_adopt_post, (void *)(uintptr_t)word);
}

/* ---- rules and certificates, on every core ---- */

struct net_config {
    struct hba *hba;
    struct tls_context *tls;
};

static err_t net_config_call(void *arg)
{
    struct net_config *config = arg;
    nets[core_id()].hba = config->hba;
    nets[core_id()].tls = config->tls;
    return ERR_OK;
}

static SUSPENDS err_t net_load_wait(struct net_config *out)
{
    struct arena *mem = arena_new();
    char *text;
    size_t len;
    *out = (struct net_config){0};
    err_t e = io_read_file_wait(server.hba_file, MIB(4), mem, &text, &len);
    if (e == ERR_OK)
        e = hba_parse(server.hba_file, text, &out->hba);
    if (e == ERR_OK && server.cert_file)
        e = tls_context_new(server.cert_file, server.key_file, &out->tls);
    if (e != ERR_OK)
        hba_free(out->hba);
    arena_free(mem);
    return e;
}

static SUSPENDS err_t net_spread_wait(struct net_config *config)
{
    for (uint32_t i = 0; i < core_count(); i++)
        TRY(core_call_wait(i, net_config_call, config));
    return ERR_OK;
}

SUSPENDS err_t net_reload_wait(void)
{
    struct net_config fresh;
    TRY(net_load_wait(&fresh));
    struct net_config old = {
        .hba = (struct hba *)(uintptr_t)nets[core_id()].hba,
        .tls = nets[core_id()].tls,
    };
    TRY(net_spread_wait(&fresh));
    /* No core holds the old ones now: rules are looked at without waiting in between. */
    hba_free(old.hba);
    tls_context_free(old.tls);
    return ERR_OK;
}

/* ---- listening ---- */

static err_t net_listen(struct io_listener *l)
{
    struct io_listener **bigger =
        core_realloc(server.listeners, sizeof(*bigger) * (server.listener_count + 1));
    server.listeners = bigger;
    bigger[server.listener_count++] = l;
    return ERR_OK;
}

static err_t net_listen_tcp(const char *host, uint16_t port)
{
    struct io_listener *l;
    err_t e = io_listen_tcp(host, port, LISTEN_BACKLOG, net_accepted, NULL, &l);
    if (e != ERR_OK) {
        err_hint("Is another server already running on port %u?", (unsigned)port);
        return e;
    }
    return net_listen(l);
}

static err_t net_listen_all(const struct net_options *o, struct arena *mem)
{
    char *list = arena_strdup(mem, o->listen_addresses);
    char *save = NULL;
    for (char *host = strtok_r(list, ", ", &save); host; host = strtok_r(NULL, ", ", &save)) {
        if (strcmp(host, "localhost") == 0) {
            TRY(net_listen_tcp("127.0.0.1", o->port));
            if (net_listen_tcp("::1", o->port) != ERR_OK)
                log_write(LOG_LOG, "not listening on ::1: %s", err_diag()->message);
        } else {
            TRY(net_listen_tcp(strcmp(host, "*") == 0 ? "0.0.0.0" : host, o->port));
        }
        log_write(LOG_LOG, "listening on address \"%s\", port %u", host, o->port);
    }
    if (o->unix_socket_directory[0] == '\0')
        return ERR_OK;
    const char *path =
        arena_printf(mem, "%s/.s.PGSQL.%u", o->unix_socket_directory, (unsigned)o->port);
    struct io_listener *l;
    TRY(io_listen_unix(path, 0777, LISTEN_BACKLOG, net_accepted, NULL, &l));
    log_write(LOG_LOG, "listening on Unix socket \"%s\"", path);
    return net_listen(l);
}

SUSPENDS err_t net_start_wait(const struct net_options *o)
{
    server.home = core_id();
    for (uint32_t i = 0; i < core_count(); i++)
        server.dealt[i] = 0;
    server.connections_max = o->connections_max;
    server.reserved = MIN(o->reserved_connections, o->connections_max);
    server.hba_file = o->hba_file;
    server.cert_file = o->tls_cert_file;
    server.key_file = o->tls_key_file;
    uint64_t capacity = io_socket_capacity();
    if (capacity < server.connections_max) {
        log_write(LOG_WARNING,
                  "max_connections is %u, but only %llu connections can be held: the limit of open "
                  "files holds for the process and for the ring of each of %u core threads",
                  server.connections_max, (unsigned long long)capacity, core_count());
        server.connections_max = (uint32_t)capacity;
        server.reserved = MIN(server.reserved, server.connections_max);
    }
    scram_start();
    struct net_config config;
    TRY(net_load_wait(&config));
    TRY(net_spread_wait(&config));
    struct arena *mem = arena_new();
    err_t e = net_listen_all(o, mem);
    arena_free(mem);
    return e;
}

void net_stop_listening(void)
{
    server.stopping = true;
    for (uint32_t i = 0; i < server.listener_count; i++)
        io_listener_close(server.listeners[i]);
    server.listener_count = 0;
}

/* ---- the end ---- */

const char net_end_message[] = "terminating connection due to administrator command";

static err_t net_end_call(void *arg)
{
    const bool *end_sessions = arg;
    nets[core_id()].stopping = true;
    if (*end_sessions) {
        nets[core_id()].ends_sessions = true; /* also those that are on their way here */
        conn_end_all(ERR_ADMIN_SHUTDOWN, net_end_message);
    }
    return ERR_OK;
}

SUSPENDS bool net_drain_wait(bool end_sessions)
{
    for (uint32_t i = 0; i < core_count(); i++)
        ERR_IGNORE(core_call_wait(i, net_end_call, &end_sessions));
    if (net_connection_count() > 0)
        ERR_IGNORE(fiber_sleep_wait(DRAIN_POLL_US));
    return net_connection_count() == 0;
}
