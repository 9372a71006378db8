/*
 * Clients of a PostgreSQL-compatible server for load generators: one thread, one epoll, any number
 * of connections over TCP, a unix socket or TLS, with trust or SCRAM-SHA-256.
 *
 * A client is asked for one thing at a time; when it is done, the process's events are called.
 * Keys that SCRAM derives from the password are kept per salt, so that the generator pays for the
 * derivation once, as drivers with a cache do.
 */
#ifndef PERF_CLIENT_H
#define PERF_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum client_state {
    CLIENT_CLOSED,
    CLIENT_ASKS_TLS,
    CLIENT_SHAKES_HANDS,
    CLIENT_LOGS_IN,
    CLIENT_BUSY, /* until ReadyForQuery */
    CLIENT_READY,
};

struct client {
    int fd;
    uint8_t state;
    uint8_t head[5]; /* of the message that comes in */
    uint8_t head_bytes;
    bool wants_output;   /* TLS only: epoll looks for room too */
    uint32_t opened;     /* how often */
    uint32_t body_bytes; /* still to come */
    uint32_t kept_bytes; /* of the body in kept; only bodies that matter */
    uint8_t *kept;
    void *ssl;
    void *scram;
};

struct client_options {
    const char *host; /* IPv4 address, or a directory with the server's unix socket */
    uint16_t port;
    const char *user;
    const char *database;
    const char *password; /* NULL: none */
    bool tls;
    bool tls_resumes;      /* by the last ticket that was given */
    uint32_t source_first; /* 0: any source address; else 127.0.0.N and up, 20,000 ports each */
};

struct client_events {
    /* Logged in, or the last request is answered. */
    void (*ready)(struct client *c);
    /* The server closed the connection (or refused it); text: why. */
    void (*lost)(struct client *c, const char *text);
    /* An error response that does not end the connection by itself; may be NULL. */
    void (*error)(struct client *c, const char *sqlstate, const char *message);
};

/* Both stay with the caller. Bad options end the program with a message. */
void client_start(const struct client_options *options, const struct client_events *events);
/* Opens a closed client; number chooses its source address. */
void client_open(struct client *c, uint32_t number);
/* Tells the server (X), if that is still possible, and closes. */
void client_close(struct client *c);
/* Sends whole messages; the client is busy until ReadyForQuery. */
void client_send(struct client *c, const uint8_t *messages, size_t bytes);
void client_query(struct client *c, const char *sql);
/* One round of events, after at most timeout_us; returns how many clients had some. */
int client_poll(uint64_t timeout_us);
uint64_t client_now_ns(void);
/* TLS handshakes that were resumptions. */
uint64_t client_resumed(void);

__attribute__((noreturn, format(printf, 1, 2))) void client_die(const char *format, ...);
void client_put_u32(uint8_t *p, uint32_t v);

#endif
