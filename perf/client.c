/* See client.h. SCRAM after RFC 5802 and 7677. */
#include "perf/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    PORTS_PER_SOURCE = 20000,
    READ_BYTES = 65536,
    EVENTS_MAX = 256,
    KEY_BYTES = 32,
    SALTS_MAX = 64,
    KEPT_BYTES_MAX = 8192,
    PROTOCOL_3 = 196608,
    TLS_REQUEST = 80877103,
};

struct scram { /* of one login */
    char nonce[25];
    char auth[1024]; /* what is signed */
    uint8_t server_signature[KEY_BYTES];
};

struct scram_keys { /* of one salt */
    char salt[64];
    unsigned iterations;
    uint8_t client[KEY_BYTES];
    uint8_t stored[KEY_BYTES];
    uint8_t server[KEY_BYTES];
};

static struct {
    const struct client_options *options;
    const struct client_events *events;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    int epoll;
    uint8_t startup[512];
    size_t startup_bytes;
    struct scram_keys keys[SALTS_MAX];
    uint32_t key_count;
    SSL_CTX *tls;
    SSL_SESSION *ticket;
    uint64_t resumed;
} run;

void client_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

uint64_t client_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t client_resumed(void)
{
    return run.resumed;
}

void client_put_u32(uint8_t *p, uint32_t v)
{
    v = htonl(v);
    memcpy(p, &v, sizeof(v));
}

static uint32_t get_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return ntohl(v);
}

/* ---- sending ---- */

static void lose(struct client *c, const char *text)
{
    client_close(c);
    run.events->lost(c, text);
}

/* What is sent is small and the server reads: a socket without room is an error of the measurement.
 */
static bool put_bytes(struct client *c, const void *data, size_t len)
{
    if (c->ssl)
        return SSL_write(c->ssl, data, (int)len) == (int)len;
    return send(c->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

void client_send(struct client *c, const uint8_t *messages, size_t bytes)
{
    if (c->state != CLIENT_LOGS_IN)
        c->state = CLIENT_BUSY;
    if (!put_bytes(c, messages, bytes))
        lose(c, "could not send");
}

void client_query(struct client *c, const char *sql)
{
    size_t len = strlen(sql) + 1;
    uint8_t small[1024];
    uint8_t *message = len + 5 <= sizeof(small) ? small : malloc(len + 5);
    if (!message)
        client_die("out of memory");
    message[0] = 'Q';
    client_put_u32(message + 1, (uint32_t)len + 4);
    memcpy(message + 5, sql, len);
    client_send(c, message, len + 5);
    if (message != small)
        free(message);
}

void client_close(struct client *c)
{
    static const uint8_t terminate[5] = {'X', 0, 0, 0, 4};
    if (c->fd < 0 || c->state == CLIENT_CLOSED)
        return;
    if (c->state == CLIENT_READY)
        (void)put_bytes(c, terminate, sizeof(terminate));
    if (c->ssl) {
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    free(c->scram);
    c->scram = NULL;
    free(c->kept);
    c->kept = NULL;
    close(c->fd);
    c->fd = -1;
    c->state = CLIENT_CLOSED;
}

/* ---- SCRAM ---- */

static void hmac(const uint8_t *key, size_t key_len, const void *data, size_t len, uint8_t *out)
{
    unsigned n = KEY_BYTES;
    if (!HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &n))
        client_die("HMAC failed");
}

static const struct scram_keys *scram_keys(const char *salt, size_t salt_len, unsigned iterations)
{
    for (uint32_t i = 0; i < run.key_count; i++) {
        struct scram_keys *k = &run.keys[i];
        if (k->iterations == iterations && strlen(k->salt) == salt_len &&
            memcmp(k->salt, salt, salt_len) == 0)
            return k;
    }
    struct scram_keys *k = &run.keys[run.key_count % SALTS_MAX];
    if (run.key_count < SALTS_MAX)
        run.key_count++;
    uint8_t raw[64];
    uint8_t salted[KEY_BYTES];
    if (salt_len >= sizeof(k->salt))
        client_die("the salt is too long");
    *k = (struct scram_keys){.iterations = iterations};
    memcpy(k->salt, salt, salt_len);
    int n = EVP_DecodeBlock(raw, (const uint8_t *)salt, (int)salt_len);
    for (size_t i = salt_len; i > 0 && salt[i - 1] == '='; i--)
        n--;
    const char *password = run.options->password;
    if (n <= 0 || PKCS5_PBKDF2_HMAC(password, (int)strlen(password), raw, n, (int)iterations,
                                    EVP_sha256(), KEY_BYTES, salted) != 1)
        client_die("could not derive keys from the password");
    hmac(salted, KEY_BYTES, "Client Key", 10, k->client);
    EVP_Digest(k->client, KEY_BYTES, k->stored, NULL, EVP_sha256(), NULL);
    hmac(salted, KEY_BYTES, "Server Key", 10, k->server);
    return k;
}

/* An answer to the server's authentication request, at out; its length. */
static size_t scram_first(struct client *c, uint8_t *out)
{
    uint8_t raw[18];
    struct scram *s = calloc(1, sizeof(*s));
    if (!s || RAND_bytes(raw, sizeof(raw)) != 1)
        client_die("no memory or no random bytes");
    free(c->scram);
    c->scram = s;
    EVP_EncodeBlock((uint8_t *)s->nonce, raw, sizeof(raw));
    char text[64];
    int len = snprintf(text, sizeof(text), "n,,n=,r=%s", s->nonce);
    snprintf(s->auth, sizeof(s->auth), "%s", text + 3);
    static const char mechanism[] = "SCRAM-SHA-256";
    uint8_t *p = out + 5;
    memcpy(p, mechanism, sizeof(mechanism));
    p += sizeof(mechanism);
    client_put_u32(p, (uint32_t)len);
    memcpy(p + 4, text, (size_t)len);
    return (size_t)(p + 4 + len - out);
}

static size_t scram_final(struct client *c, const char *server_first, uint8_t *out)
{
    struct scram *s = c->scram;
    const char *salt = strstr(server_first, ",s=");
    const char *count = salt ? strstr(salt, ",i=") : NULL;
    if (!s || strncmp(server_first, "r=", 2) != 0 || !count)
        client_die("what the server says about SCRAM is not understood: %s", server_first);
    const struct scram_keys *k =
        scram_keys(salt + 3, (size_t)(count - salt - 3), (unsigned)strtoul(count + 3, NULL, 10));
    char bare[256];
    int bare_len =
        snprintf(bare, sizeof(bare), "c=biws,%.*s", (int)(salt - server_first), server_first);
    size_t auth_len = strlen(s->auth);
    int more =
        snprintf(s->auth + auth_len, sizeof(s->auth) - auth_len, ",%s,%s", server_first, bare);
    if (bare_len < 0 || (size_t)bare_len >= sizeof(bare) || more < 0 ||
        auth_len + (size_t)more >= sizeof(s->auth))
        client_die("a SCRAM message is too long");
    uint8_t signature[KEY_BYTES];
    hmac(k->stored, KEY_BYTES, s->auth, strlen(s->auth), signature);
    hmac(k->server, KEY_BYTES, s->auth, strlen(s->auth), s->server_signature);
    for (int i = 0; i < KEY_BYTES; i++)
        signature[i] ^= k->client[i];
    char proof[64];
    EVP_EncodeBlock((uint8_t *)proof, signature, KEY_BYTES);
    int len = snprintf((char *)out + 5, 512, "%s,p=%s", bare, proof);
    return 5 + (size_t)len;
}

static void scram_check(struct client *c, const char *server_final)
{
    struct scram *s = c->scram;
    char want[64];
    EVP_EncodeBlock((uint8_t *)want, s->server_signature, KEY_BYTES);
    if (strncmp(server_final, "v=", 2) != 0 || strcmp(server_final + 2, want) != 0)
        client_die("the server does not know the password's verifier");
    free(s);
    c->scram = NULL;
}

static void authenticate(struct client *c, const char *text)
{
    uint8_t message[600];
    size_t len;
    uint32_t code = get_u32(c->kept);
    if (code == 0)
        return;
    if (code != 10 && code != 11 && code != 12)
        client_die("the server wants authentication method %u", code);
    if (!run.options->password)
        client_die("the server wants a password");
    if (code == 12) {
        scram_check(c, text);
        return;
    }
    len = code == 10 ? scram_first(c, message) : scram_final(c, text, message);
    message[0] = 'p';
    client_put_u32(message + 1, (uint32_t)len - 1);
    client_send(c, message, len);
}

/* ---- receiving ---- */

static void error_response(struct client *c)
{
    const char *sqlstate = "";
    const char *message = "";
    for (const char *p = (const char *)c->kept; *p; p += strlen(p) + 1) {
        if (*p == 'C')
            sqlstate = p + 1;
        else if (*p == 'M')
            message = p + 1;
    }
    if (c->state < CLIENT_BUSY)
        lose(c, message);
    else if (run.events->error)
        run.events->error(c, sqlstate, message);
}

/* The message in head and kept is complete. False: the client is closed. */
static bool message_done(struct client *c)
{
    uint32_t opened = c->opened;
    uint8_t type = c->head[0];
    if (type == 'R')
        authenticate(c, (const char *)c->kept + 4);
    else if (type == 'E')
        error_response(c);
    free(c->kept);
    c->kept = NULL;
    if (type == 'Z') {
        c->state = CLIENT_READY;
        run.events->ready(c);
    }
    return c->opened == opened && c->state != CLIENT_CLOSED;
}

static bool keeps_body(const struct client *c)
{
    return c->head[0] == 'R' || c->head[0] == 'E';
}

static bool take_bytes(struct client *c, const uint8_t *p, size_t len)
{
    while (len > 0) {
        if (c->body_bytes > 0) {
            size_t n = len < c->body_bytes ? len : c->body_bytes;
            if (c->kept) {
                memcpy(c->kept + c->kept_bytes, p, n);
                c->kept_bytes += (uint32_t)n;
            }
            p += n;
            len -= n;
            c->body_bytes -= (uint32_t)n;
        } else {
            c->head[c->head_bytes++] = *p++;
            len--;
            if (c->head_bytes < sizeof(c->head))
                continue;
            c->head_bytes = 0;
            uint32_t bytes = get_u32(c->head + 1);
            if (bytes < (c->head[0] == 'R' ? 8 : 4))
                client_die("a message is too short");
            c->body_bytes = bytes - 4;
            if (keeps_body(c)) {
                c->kept_bytes = 0;
                c->kept = c->body_bytes <= KEPT_BYTES_MAX ? calloc(1, c->body_bytes + 2) : NULL;
                if (!c->kept)
                    client_die("a message is too long");
            }
        }
        if (c->body_bytes == 0 && c->head_bytes == 0 && !message_done(c))
            return false;
    }
    return true;
}

static void watch(struct client *c, int how, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(run.epoll, how, c->fd, &e) != 0)
        client_die("epoll: %s", strerror(errno));
}

static void send_startup(struct client *c)
{
    c->state = CLIENT_LOGS_IN;
    client_send(c, run.startup, run.startup_bytes);
}

static void shake_hands(struct client *c)
{
    int r = SSL_connect(c->ssl);
    if (r == 1) {
        run.resumed += SSL_session_reused(c->ssl) ? 1 : 0;
        send_startup(c);
        return;
    }
    int why = SSL_get_error(c->ssl, r);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        lose(c, "the TLS handshake failed");
}

static void tls_answered(struct client *c)
{
    uint8_t answer;
    if (recv(c->fd, &answer, 1, 0) != 1 || answer != 'S') {
        lose(c, "the server does not speak TLS");
        return;
    }
    (void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->ssl = SSL_new(run.tls);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
        client_die("no memory for TLS");
    if (run.options->tls_resumes && run.ticket)
        SSL_set_session(c->ssl, run.ticket);
    c->state = CLIENT_SHAKES_HANDS;
    shake_hands(c);
}

static int ticket_came(SSL *ssl, SSL_SESSION *ticket)
{
    (void)ssl;
    SSL_SESSION_free(run.ticket);
    run.ticket = ticket;
    return 1;
}

static void receive_tls(struct client *c, uint8_t *buffer)
{
    for (;;) {
        int n = SSL_read(c->ssl, buffer, READ_BYTES);
        if (n > 0) {
            if (!take_bytes(c, buffer, (size_t)n))
                return;
            continue;
        }
        if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
            lose(c, "the server closed the connection");
        return;
    }
}

static void receive(struct client *c)
{
    static uint8_t buffer[READ_BYTES];
    if (c->state == CLIENT_ASKS_TLS) {
        tls_answered(c);
    } else if (c->state == CLIENT_SHAKES_HANDS) {
        shake_hands(c);
    } else if (c->ssl) {
        receive_tls(c, buffer);
    } else {
        ssize_t n = recv(c->fd, buffer, sizeof(buffer), 0);
        if (n > 0)
            (void)take_bytes(c, buffer, (size_t)n);
        else
            lose(c, n == 0 ? "the server closed the connection" : strerror(errno));
    }
}

int client_poll(uint64_t timeout_us)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec t = {.tv_sec = (time_t)(timeout_us / 1000000),
                         .tv_nsec = (long)(timeout_us % 1000000 * 1000)};
    int n = epoll_pwait2(run.epoll, events, EVENTS_MAX, &t, NULL);
    for (int i = 0; i < n; i++) {
        struct client *c = events[i].data.ptr;
        if (c->state != CLIENT_CLOSED)
            receive(c);
    }
    return n < 0 ? 0 : n;
}

/* ---- opening ---- */

void client_open(struct client *c, uint32_t number)
{
    const struct client_options *o = run.options;
    *c = (struct client){.opened = c->opened + 1};
    c->fd = socket(run.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        client_die("client %u: socket: %s", number, strerror(errno));
    if (run.address.ss_family == AF_INET) {
        int on = 1;
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (o->source_first > 0) {
            struct sockaddr_in from = {
                .sin_family = AF_INET,
                .sin_addr.s_addr =
                    htonl(INADDR_LOOPBACK - 1 + o->source_first + number / PORTS_PER_SOURCE),
            };
            (void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
            if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) != 0)
                client_die("client %u: bind: %s", number, strerror(errno));
        }
    }
    if (connect(c->fd, (struct sockaddr *)&run.address, run.address_bytes) != 0)
        client_die("client %u: connect: %s", number, strerror(errno));
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
    if (!o->tls) {
        send_startup(c);
        return;
    }
    uint8_t request[8];
    client_put_u32(request, 8);
    client_put_u32(request + 4, TLS_REQUEST);
    c->state = CLIENT_ASKS_TLS;
    if (!put_bytes(c, request, sizeof(request)))
        lose(c, "could not send");
}

static void start_address(const struct client_options *o)
{
    if (o->host[0] == '/') {
        struct sockaddr_un *un = (struct sockaddr_un *)&run.address;
        un->sun_family = AF_UNIX;
        int n = snprintf(un->sun_path, sizeof(un->sun_path), "%s/.s.PGSQL.%u", o->host, o->port);
        if (n < 0 || (size_t)n >= sizeof(un->sun_path))
            client_die("the socket's path is too long");
        run.address_bytes = sizeof(*un);
        return;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)&run.address;
    in->sin_family = AF_INET;
    in->sin_port = htons(o->port);
    if (inet_pton(AF_INET, o->host, &in->sin_addr) != 1)
        client_die("\"%s\" is neither an IPv4 address nor a directory", o->host);
    run.address_bytes = sizeof(*in);
}

void client_start(const struct client_options *options, const struct client_events *events)
{
    run.options = options;
    run.events = events;
    start_address(options);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (run.epoll < 0)
        client_die("epoll: %s", strerror(errno));
    int len = snprintf((char *)run.startup + 8, sizeof(run.startup) - 9, "user%c%s%cdatabase%c%s%c",
                       0, options->user, 0, 0, options->database, 0);
    if (len < 0 || (size_t)len > sizeof(run.startup) - 10)
        client_die("user and database are too long");
    run.startup_bytes = 9 + (size_t)len;
    client_put_u32(run.startup, (uint32_t)run.startup_bytes);
    client_put_u32(run.startup + 4, PROTOCOL_3);
    if (!options->tls)
        return;
    run.tls = SSL_CTX_new(TLS_client_method());
    if (!run.tls)
        client_die("no TLS");
    SSL_CTX_set_mode(run.tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(run.tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(run.tls, ticket_came);
}
