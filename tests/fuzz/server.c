/* See server.h. */
#include "tests/fuzz/server.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/core.h"
#include "core/settings.h"
#include "net/net.h"
#include "shard/shard.h"
#include "sql/sql.h"

enum { SHARDS = 2, HANG_MS = 30000, PORT = 5432 };

static char directory[64];
static char hba_path[96];
static char socket_path[96];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t started = PTHREAD_COND_INITIALIZER;
static bool is_started;

static SUSPENDS err_t start_wait(void)
{
    struct shard_options o = {
        .data_directory = directory,
        .pool_bytes = MIB(8),
        .version_bytes_max = MIB(64),
        .wal_buffer_bytes = MIB(4),
        .max_wal_bytes = MIB(256),
        .checkpoint_timeout_us = UINT64_C(300000000),
    };
    TRY(shards_create_wait(&o, SHARDS));
    TRY(shards_open_wait(&o));
    struct sql_options sql = {.bootstrap = true, .superuser = "postgres"};
    TRY(sql_start_wait(&sql));
    struct net_options net = {.listen_addresses = "",
                              .port = PORT,
                              .unix_socket_directory = directory,
                              .connections_max = 100,
                              .hba_file = hba_path};
    return net_start_wait(&net);
}

static SUSPENDS void serve(void *arg)
{
    (void)arg;
    if (start_wait() != ERR_OK) {
        fprintf(stderr, "fuzz server: %s\n", err_diag()->message);
        abort();
    }
    pthread_mutex_lock(&mutex);
    is_started = true;
    pthread_cond_signal(&started);
    pthread_mutex_unlock(&mutex);
}

static void *server_thread(void *arg)
{
    (void)arg;
    static const int any = -1;
    struct core_options o = {.core_count = 1, .cpus = &any, .numa_nodes = &any};
    if (core_run(&o, serve, NULL) != ERR_OK)
        abort();
    return NULL;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_directory(void)
{
    (void)nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void set(const char *name, const char *value)
{
    if (settings_set_argv(name, value) != ERR_OK) {
        fprintf(stderr, "fuzz server: %s\n", err_diag()->message);
        abort();
    }
}

void fuzz_server_start(const char *const *statements, size_t count)
{
    struct stat st;
    (void)snprintf(directory, sizeof(directory), "%s/percore-fuzz-XXXXXX",
                   stat("/dev/shm", &st) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(directory) == NULL)
        abort();
    if (atexit(remove_directory) != 0)
        abort();
    (void)snprintf(hba_path, sizeof(hba_path), "%s/pg_hba.conf", directory);
    (void)snprintf(socket_path, sizeof(socket_path), "%s/.s.PGSQL.%d", directory, PORT);
    FILE *hba = fopen(hba_path, "w");
    if (hba == NULL || fputs("local all all trust\n", hba) < 0 || fclose(hba) != 0)
        abort();
    set("data_directory", directory);
    set("statement_timeout", "2s");
    pthread_t thread;
    if (pthread_create(&thread, NULL, server_thread, NULL) != 0)
        abort();
    pthread_detach(thread);
    pthread_mutex_lock(&mutex);
    while (!is_started)
        pthread_cond_wait(&started, &mutex);
    pthread_mutex_unlock(&mutex);
    struct fuzz_client *c = fuzz_connect(false);
    for (size_t i = 0; i < count; i++)
        fuzz_query(c, statements[i]);
    fuzz_close(c);
}

/* ---- client ---- */

struct fuzz_client {
    int fd;
    size_t len;
    uint8_t buffer[1 << 16];
};

struct fuzz_client *fuzz_connect(bool raw)
{
    struct fuzz_client *c = malloc(sizeof(*c));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    c->len = 0;
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        perror("fuzz client");
        abort();
    }
    if (!raw) {
        /* u32 length, version, pairs, a last zero */
        uint8_t packet[64] = {0};
        static const char pairs[] = "user\0postgres\0database\0postgres\0";
        packet[3] = (uint8_t)(8 + sizeof(pairs));
        packet[5] = 3;
        memcpy(packet + 8, pairs, sizeof(pairs));
        fuzz_send(c, packet, 8 + sizeof(pairs));
        fuzz_read_to(c, "Z");
    }
    return c;
}

/* Takes what has come; false at the end of the stream. */
static bool receive(struct fuzz_client *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    int n = poll(&p, 1, HANG_MS);
    if (n == 0) {
        fputs("fuzz client: the server does not answer\n", stderr);
        abort();
    }
    ssize_t got = recv(c->fd, c->buffer + c->len, sizeof(c->buffer) - c->len, 0);
    if (got <= 0)
        return false;
    c->len += (size_t)got;
    return true;
}

void fuzz_send(struct fuzz_client *c, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            /* The server may be waiting for its answers to be read. */
            c->len = 0;
            struct pollfd both = {.fd = c->fd, .events = POLLIN | POLLOUT};
            (void)poll(&both, 1, HANG_MS);
            if ((both.revents & POLLIN) != 0 && !receive(c))
                return;
        } else {
            return; /* it has closed */
        }
    }
}

void fuzz_message(struct fuzz_client *c, char type, const void *body, size_t len)
{
    uint32_t n = (uint32_t)len + 4;
    uint8_t head[5] = {(uint8_t)type, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                       (uint8_t)n};
    fuzz_send(c, head, sizeof(head));
    fuzz_send(c, body, len);
}

char fuzz_read_to(struct fuzz_client *c, const char *types)
{
    for (;;) {
        while (c->len < 5) {
            if (!receive(c))
                return 0;
        }
        char type = (char)c->buffer[0];
        size_t left = 1 + ((size_t)c->buffer[1] << 24 | (size_t)c->buffer[2] << 16 |
                           (size_t)c->buffer[3] << 8 | c->buffer[4]);
        while (left > 0) {
            size_t n = left < c->len ? left : c->len;
            memmove(c->buffer, c->buffer + n, c->len - n);
            c->len -= n;
            left -= n;
            if (left > 0 && !receive(c))
                return 0;
        }
        if (strchr(types, type) != NULL)
            return type;
    }
}

void fuzz_query(struct fuzz_client *c, const char *text)
{
    fuzz_message(c, 'Q', text, strlen(text) + 1);
    (void)fuzz_read_to(c, "Z");
}

void fuzz_close(struct fuzz_client *c)
{
    (void)shutdown(c->fd, SHUT_WR);
    do
        c->len = 0;
    while (receive(c));
    (void)close(c->fd);
    free(c);
}
