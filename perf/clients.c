/*
 * Very many clients of one PostgreSQL-compatible server, from one thread: for what sessions at rest
 * cost, and how fast they wake. Trust authentication, simple protocol, TCP.
 *
 *   clients HOST PORT USER DATABASE COUNT SOURCE_FIRST [SQL]...
 *
 * Opens COUNT connections, at most IN_FLIGHT_MAX of them in login at a time, from the addresses
 * 127.0.0.SOURCE_FIRST and up (each has its own range of ports). Every connection runs the SQL
 * texts one after the other, then rests. Then it prints "ready SECONDS" and obeys lines of stdin:
 *
 *   wake N    N random clients run SELECT 1, one after the other: "wake P50_US P99_US MAX_US"
 *   all       every client runs SELECT 1, at most IN_FLIGHT_MAX at a time: "all SECONDS"
 *   quit
 *
 * An error of the server or a lost connection ends the program with a message.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT_MAX = 128, PORTS_PER_SOURCE = 20000, READ_BYTES = 65536, EVENTS_MAX = 256 };

struct client {
    int fd;
    uint16_t step;       /* next text to run; step_count = rests */
    uint8_t head[5];     /* of the message that is coming in */
    uint8_t head_bytes;  /* of it seen */
    uint32_t body_bytes; /* still to come */
    bool is_error;       /* the message is an error response: its text is told */
};

static struct {
    struct sockaddr_in server;
    const char *user;
    const char *database;
    uint32_t source_first;
    uint32_t count;
    int step_count;
    char **steps;
    int epoll;
    struct client *clients;
    uint32_t in_flight;
} run;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void send_all(const struct client *c, const void *data, size_t len)
{
    if (send(c->fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("client %ld: send: %s", (long)(c - run.clients), strerror(errno));
}

static void put_u32(uint8_t *p, uint32_t v)
{
    v = htonl(v);
    memcpy(p, &v, sizeof(v));
}

static void send_query(const struct client *c, const char *sql)
{
    size_t len = strlen(sql) + 1;
    uint8_t *message = malloc(len + 5);
    if (!message)
        die("out of memory");
    message[0] = 'Q';
    put_u32(message + 1, (uint32_t)len + 4);
    memcpy(message + 5, sql, len);
    send_all(c, message, len + 5);
    free(message);
}

static void client_start(struct client *c)
{
    uint32_t number = (uint32_t)(c - run.clients);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("client %u: socket: %s", number, strerror(errno));
    int on = 1;
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr =
            htonl(INADDR_LOOPBACK - 1 + run.source_first + number / PORTS_PER_SOURCE),
    };
    (void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) != 0)
        die("client %u: bind: %s", number, strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&run.server, sizeof(run.server)) != 0)
        die("client %u: connect: %s", number, strerror(errno));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
        die("client %u: epoll: %s", number, strerror(errno));
    uint8_t packet[512];
    int len = snprintf((char *)packet + 8, sizeof(packet) - 8, "user%c%s%cdatabase%c%s%c", 0,
                       run.user, 0, 0, run.database, 0);
    if (len < 0 || (size_t)len + 9 > sizeof(packet))
        die("user and database are too long");
    packet[8 + len] = 0;
    put_u32(packet, (uint32_t)len + 9);
    put_u32(packet + 4, 196608);
    send_all(c, packet, (size_t)len + 9);
    run.in_flight++;
}

static void client_ready(struct client *c)
{
    if (c->step < run.step_count) {
        send_query(c, run.steps[c->step++]);
        return;
    }
    run.in_flight--;
}

/* Bytes of the message stream: only ReadyForQuery and errors matter. */
static void client_bytes(struct client *c, const uint8_t *p, size_t len)
{
    while (len > 0) {
        if (c->body_bytes > 0) {
            size_t n = len < c->body_bytes ? len : c->body_bytes;
            if (c->is_error)
                fwrite(p, 1, n, stderr);
            p += n;
            len -= n;
            c->body_bytes -= (uint32_t)n;
        } else {
            c->head[c->head_bytes++] = *p++;
            len--;
            if (c->head_bytes < sizeof(c->head))
                continue;
            uint32_t bytes;
            memcpy(&bytes, c->head + 1, sizeof(bytes));
            c->body_bytes = ntohl(bytes) - 4;
            c->head_bytes = 0;
            c->is_error = c->head[0] == 'E';
        }
        if (c->body_bytes > 0 || c->head_bytes > 0)
            continue;
        if (c->is_error)
            die("\nclient %ld: the server raised an error", (long)(c - run.clients));
        if (c->head[0] == 'Z')
            client_ready(c);
    }
}

static void poll_once(void)
{
    static uint8_t buffer[READ_BYTES];
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(run.epoll, events, EVENTS_MAX, 60000);
    if (n == 0)
        die("no answer for 60 s");
    for (int i = 0; i < n; i++) {
        struct client *c = events[i].data.ptr;
        ssize_t got = recv(c->fd, buffer, sizeof(buffer), 0);
        if (got <= 0)
            die("client %ld: %s", (long)(c - run.clients),
                got == 0 ? "the server closed the connection" : strerror(errno));
        client_bytes(c, buffer, (size_t)got);
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void wake_random(uint32_t n)
{
    uint64_t *us = calloc(n + 1, sizeof(*us));
    if (!us || n == 0)
        die("wake: how many?");
    for (uint32_t i = 0; i < n; i++) {
        struct client *c = &run.clients[(uint64_t)random() % run.count];
        uint64_t begin = now_us();
        run.in_flight++;
        send_query(c, "SELECT 1");
        while (run.in_flight > 0)
            poll_once();
        us[i] = now_us() - begin;
    }
    qsort(us, n, sizeof(*us), compare_u64);
    printf("wake %llu %llu %llu\n", (unsigned long long)us[n / 2],
           (unsigned long long)us[(uint64_t)n * 99 / 100], (unsigned long long)us[n - 1]);
    free(us);
}

static void wake_all(void)
{
    uint64_t begin = now_us();
    for (uint32_t i = 0; i < run.count; i++) {
        run.in_flight++;
        send_query(&run.clients[i], "SELECT 1");
        while (run.in_flight >= IN_FLIGHT_MAX)
            poll_once();
    }
    while (run.in_flight > 0)
        poll_once();
    printf("all %.3f\n", (double)(now_us() - begin) / 1e6);
}

static void open_all(void)
{
    uint64_t begin = now_us();
    for (uint32_t i = 0; i < run.count; i++) {
        client_start(&run.clients[i]);
        while (run.in_flight >= IN_FLIGHT_MAX)
            poll_once();
    }
    while (run.in_flight > 0)
        poll_once();
    printf("ready %.3f\n", (double)(now_us() - begin) / 1e6);
}

int main(int argc, char **argv)
{
    if (argc < 7)
        die("usage: clients HOST PORT USER DATABASE COUNT SOURCE_FIRST [SQL]...");
    setvbuf(stdout, NULL, _IOLBF, 0);
    run.server.sin_family = AF_INET;
    run.server.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    if (inet_pton(AF_INET, argv[1], &run.server.sin_addr) != 1)
        die("\"%s\" is not an IPv4 address", argv[1]);
    run.user = argv[3];
    run.database = argv[4];
    run.count = (uint32_t)strtoul(argv[5], NULL, 10);
    run.source_first = (uint32_t)strtoul(argv[6], NULL, 10);
    run.steps = argv + 7;
    run.step_count = argc - 7;
    run.clients = calloc(run.count + 1, sizeof(*run.clients));
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!run.clients || run.epoll < 0 || run.count == 0)
        die("nothing to do, or no memory for it");
    open_all();
    char line[64];
    while (fgets(line, sizeof(line), stdin)) {
        if (strncmp(line, "wake ", 5) == 0)
            wake_random((uint32_t)strtoul(line + 5, NULL, 10));
        else if (strcmp(line, "all\n") == 0)
            wake_all();
        else if (strcmp(line, "quit\n") == 0)
            break;
        else
            die("what is \"%s\"?", line);
    }
    return 0;
}
