/* Files and sockets of the io_uring backend. */
#include "tests/unit/core/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

static char dir[64];

static char *in_dir(struct arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", dir, name);
}

static struct io_request requests[32];
static int requests_done;
static struct wait_queue requests_queue;

static void request_done(struct io_request *req)
{
    CHECK(req->result == ERR_OK);
    CHECK(fiber_self() == NULL);
    requests_done++;
    wait_queue_wake_all(&requests_queue);
}

static SUSPENDS void body_files(void)
{
    struct arena *a = arena_new();
    char *path = in_dir(a, "data");
    struct io_file *f;
    CHECK(io_open_wait(path, IO_READ, 0, &f) == ERR_UNDEFINED_FILE);
    CHECK(strstr(err_diag()->message, "could not open file") != NULL);
    CHECK_OK(io_open_wait(
        path, IO_READ | IO_WRITE | IO_CREATE | IO_EXCLUSIVE | IO_DIRECT | IO_DSYNC, 0600, &f));
    struct io_file *g;
    CHECK(io_open_wait(path, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, 0600, &g) == ERR_DUPLICATE_FILE);
    uint8_t *buf = io_buffer_alloc(32 * IO_BLOCK_BYTES);
    CHECK_OK(io_allocate_wait(f, 0, 64 * IO_BLOCK_BYTES));
    for (uint32_t i = 0; i < 32; i++)
        memset(buf + i * IO_BLOCK_BYTES, (int)i + 1, IO_BLOCK_BYTES);
    CHECK_OK(io_write_wait(f, buf, 4 * IO_BLOCK_BYTES, 0));
    for (uint32_t i = 4; i < 32; i++) {
        requests[i].done = request_done;
        io_write_start(&requests[i], f, buf + i * IO_BLOCK_BYTES, IO_BLOCK_BYTES,
                       i * IO_BLOCK_BYTES);
    }
    while (requests_done < 28)
        CHECK_OK(wait_queue_wait(&requests_queue, UINT64_MAX));
    CHECK_OK(io_sync_wait(f));
    memset(buf, 0, 32 * IO_BLOCK_BYTES);
    CHECK_OK(io_read_wait(f, buf, 32 * IO_BLOCK_BYTES, 0));
    for (uint32_t i = 0; i < 32; i++) {
        CHECK(buf[i * IO_BLOCK_BYTES] == i + 1);
        CHECK(buf[(i + 1) * IO_BLOCK_BYTES - 1] == i + 1);
    }
    uint64_t size;
    CHECK_OK(io_size_wait(f, &size));
    CHECK(size == 64 * IO_BLOCK_BYTES);
    CHECK_OK(io_truncate_wait(f, 8 * IO_BLOCK_BYTES));
    CHECK(io_read_wait(f, buf, 16 * IO_BLOCK_BYTES, 0) == ERR_DATA_CORRUPTED);
    uint32_t got;
    CHECK_OK(io_read_some_wait(f, buf, 16 * IO_BLOCK_BYTES, 0, &got));
    CHECK(got == 8 * IO_BLOCK_BYTES);
    io_close_wait(f);
    io_buffer_free(buf, 32 * IO_BLOCK_BYTES);
    arena_free(a);
}

static SUSPENDS void body_directories(void)
{
    struct arena *a = arena_new();
    char *sub = in_dir(a, "sub");
    CHECK_OK(io_mkdir_wait(sub));
    CHECK_OK(io_mkdir_wait(sub));
    char *b = in_dir(a, "sub/b");
    char *c = in_dir(a, "sub/c");
    CHECK_OK(io_replace_file_wait(b, "hello", 5, 0600));
    CHECK_OK(io_replace_file_wait(c, "x", 1, 0600));
    CHECK_OK(io_replace_file_wait(c, "world", 5, 0600));
    char **names;
    size_t count;
    CHECK_OK(io_list_dir_wait(sub, a, &names, &count));
    CHECK(count == 2 && strcmp(names[0], "b") == 0 && strcmp(names[1], "c") == 0);
    char *data;
    size_t len;
    CHECK_OK(io_read_file_wait(c, 100, a, &data, &len));
    CHECK(len == 5 && strcmp(data, "world") == 0);
    CHECK(io_read_file_wait(c, 4, a, &data, &len) == ERR_PROGRAM_LIMIT_EXCEEDED);
    CHECK_OK(io_rename_wait(b, c));
    CHECK_OK(io_read_file_wait(c, 100, a, &data, &len));
    CHECK(strcmp(data, "hello") == 0);
    CHECK_OK(io_unlink_wait(c));
    CHECK_OK(io_unlink_wait(c));
    CHECK(io_rename_wait(b, c) == ERR_UNDEFINED_FILE);
    CHECK(io_list_dir_wait(in_dir(a, "absent"), a, &names, &count) == ERR_UNDEFINED_FILE);
    rmdir(sub);
    arena_free(a);
}

static SUSPENDS void body_files_all(void)
{
    requests_done = 0;
    body_files();
    body_directories();
}

static void files_work(void)
{
    snprintf(dir, sizeof(dir), "./percore_io_XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    unit_run(1, body_files_all);
    char path[100];
    snprintf(path, sizeof(path), "%s/data", dir);
    unlink(path);
    rmdir(dir);
}

/* ---- sockets: an echo server in the reactor, clients with blocking sockets in a thread ---- */

enum { CLIENTS = 200, BIG_BYTES = 3000000 };

struct echo {
    struct io_socket *socket;
    uint64_t received;
    uint8_t *big;
};

static struct io_listener *listener;
static atomic_int closed_count;
static atomic_int accepted_count;
static uint16_t port;
static char unix_path[100];
static atomic_bool clients_done;
static atomic_int client_failures;
static struct io_peer last_peer;

static SUSPENDS void big_fiber(void *arg)
{
    struct echo *e = arg;
    /* The client reads late: this waits for room without holding the core. */
    CHECK_OK(io_socket_send_wait(e->socket, e->big, BIG_BYTES));
    free(e->big);
    e->big = NULL;
}

static void echo_received(void *owner, const uint8_t *data, uint32_t len)
{
    struct echo *e = owner;
    CHECK(fiber_self() == NULL);
    e->received += len;
    if (data[0] == 'B') {
        e->big = malloc(BIG_BYTES);
        for (uint32_t i = 0; i < BIG_BYTES; i++)
            e->big[i] = (uint8_t)(i * 7);
        CHECK_OK(fiber_spawn(big_fiber, e));
    } else if (data[0] == 'A') {
        io_socket_abort(e->socket);
    } else {
        CHECK(io_socket_send_small(e->socket, data, len));
    }
}

static void echo_closed(void *owner, int os_error)
{
    (void)os_error;
    struct echo *e = owner;
    io_socket_close(e->socket);
    free(e);
    atomic_fetch_add(&closed_count, 1);
}

static const struct io_socket_events echo_events = {echo_received, echo_closed};

static void adopt(void *arg)
{
    struct echo *e = calloc(1, sizeof(*e));
    CHECK_OK(io_socket_adopt((int)(intptr_t)arg, &echo_events, e, &e->socket));
    struct io_peer peer;
    io_socket_peer(e->socket, &peer);
    if (core_id() == 0)
        last_peer = peer;
}

static void accepted(void *owner, int os_fd)
{
    (void)owner;
    int n = atomic_fetch_add(&accepted_count, 1);
    core_post((uint32_t)n % core_count(), adopt, (void *)(intptr_t)os_fd);
}

static int client_connect(void)
{
    int fd;
    int r;
    if (unix_path[0] != '\0') {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, unix_path);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        r = connect(fd, (struct sockaddr *)&address, sizeof(address));
    } else {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        r = connect(fd, (struct sockaddr *)&address, sizeof(address));
    }
    if (r != 0)
        atomic_fetch_add(&client_failures, 1);
    return fd;
}

static void expect(bool fine)
{
    if (!fine)
        atomic_fetch_add(&client_failures, 1);
}

static void *clients(void *arg)
{
    (void)arg;
    int fds[CLIENTS];
    char text[64];
    char back[64];
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = client_connect();
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            int len = snprintf(text, sizeof(text), "hello %d %d", i, round);
            expect(send(fds[i], text, (size_t)len, MSG_NOSIGNAL) == len);
        }
        for (int i = 0; i < CLIENTS; i++) {
            int len = snprintf(text, sizeof(text), "hello %d %d", i, round);
            expect(recv(fds[i], back, (size_t)len, MSG_WAITALL) == len);
            expect(memcmp(text, back, (size_t)len) == 0);
        }
    }
    for (int i = 0; i < CLIENTS - 2; i++)
        close(fds[i]);
    expect(send(fds[CLIENTS - 1], "B", 1, MSG_NOSIGNAL) == 1);
    usleep(20000);
    uint8_t *big = malloc(BIG_BYTES);
    expect(recv(fds[CLIENTS - 1], big, BIG_BYTES, MSG_WAITALL) == BIG_BYTES);
    bool same = true;
    for (uint32_t i = 0; i < BIG_BYTES; i++)
        same &= big[i] == (uint8_t)(i * 7);
    expect(same);
    free(big);
    expect(send(fds[CLIENTS - 2], "A", 1, MSG_NOSIGNAL) == 1);
    expect(recv(fds[CLIENTS - 2], back, 1, 0) <= 0);
    close(fds[CLIENTS - 2]);
    close(fds[CLIENTS - 1]);
    atomic_store(&clients_done, true);
    return NULL;
}

static SUSPENDS void body_sockets(void)
{
    atomic_store(&closed_count, 0);
    atomic_store(&accepted_count, 0);
    atomic_store(&client_failures, 0);
    atomic_store(&clients_done, false);
    if (unix_path[0] != '\0')
        CHECK_OK(io_listen_unix(unix_path, 0777, 300, accepted, NULL, &listener));
    else
        CHECK_OK(io_listen_tcp("127.0.0.1", 0, 300, accepted, NULL, &listener));
    port = io_listener_port(listener);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, clients, NULL) == 0);
    for (int i = 0;
         i < 20000 && (!atomic_load(&clients_done) || atomic_load(&closed_count) < CLIENTS); i++)
        CHECK_OK(fiber_sleep_wait(1000));
    CHECK(atomic_load(&clients_done));
    CHECK(atomic_load(&closed_count) == CLIENTS);
    CHECK(atomic_load(&client_failures) == 0);
    CHECK(last_peer.is_unix == (unix_path[0] != '\0'));
    if (last_peer.is_unix)
        CHECK(last_peer.uid == getuid());
    else
        CHECK(strcmp(last_peer.address, "127.0.0.1") == 0 && last_peer.ip_bytes == 4);
    /* The address is taken while we listen, and free afterwards. */
    if (unix_path[0] == '\0') {
        struct io_listener *second;
        CHECK(io_listen_tcp("127.0.0.1", port, 10, accepted, NULL, &second) != ERR_OK);
        io_listener_close(listener);
        CHECK_OK(io_listen_tcp("127.0.0.1", port, 10, accepted, NULL, &second));
        io_listener_close(second);
    } else {
        io_listener_close(listener);
        CHECK(access(unix_path, F_OK) != 0);
    }
    CHECK_OK(fiber_sleep_wait(5000));
    pthread_join(thread, NULL);
}

static void sockets_echo(void)
{
    unix_path[0] = '\0';
    unit_run(1, body_sockets);
    unit_run(2, body_sockets);
    snprintf(unix_path, sizeof(unix_path), "/tmp/percore_io_%d.sock", getpid());
    unit_run(2, body_sockets);
}

/* ---- pause, release ---- */

struct calm {
    struct io_socket *socket;
    uint32_t bytes;
    uint32_t calls;
    bool closed;
};

static void calm_received(void *owner, const uint8_t *data, uint32_t len)
{
    (void)data;
    struct calm *c = owner;
    c->bytes += len;
    c->calls++;
}

static void calm_closed(void *owner, int os_error)
{
    (void)os_error;
    ((struct calm *)owner)->closed = true;
}

static const struct io_socket_events calm_events = {calm_received, calm_closed};

static SUSPENDS void body_pause(void)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct calm c = {0};
    CHECK_OK(io_socket_adopt(pair[0], &calm_events, &c, &c.socket));
    CHECK(write(pair[1], "one", 3) == 3);
    CHECK_OK(fiber_sleep_wait(5000));
    CHECK(c.bytes == 3);
    io_socket_pause(c.socket, true);
    CHECK_OK(fiber_sleep_wait(5000));
    CHECK(write(pair[1], "two", 3) == 3);
    CHECK_OK(fiber_sleep_wait(5000));
    CHECK(c.bytes == 3);
    io_socket_pause(c.socket, false);
    CHECK_OK(fiber_sleep_wait(5000));
    CHECK(c.bytes == 6);
    for (int i = 0; i < 50; i++) { /* faster than the cancels can follow */
        io_socket_pause(c.socket, true);
        io_socket_pause(c.socket, false);
    }
    CHECK(write(pair[1], "three", 5) == 5);
    CHECK_OK(fiber_sleep_wait(5000));
    CHECK(c.bytes == 11);
    CHECK(io_socket_send_small(c.socket, "last", 4));
    CHECK(write(pair[1], "more", 4) == 4);
    int fd = io_socket_release_wait(c.socket);
    CHECK(fd == pair[0]);
    CHECK(recv(pair[1], (char[4]){0}, 4, MSG_DONTWAIT) == 4);
    char text[8];
    uint32_t before = c.bytes;
    if (before == 11) /* the ring may have had it before the pause */
        CHECK(read(fd, text, sizeof(text)) == 4);
    CHECK_OK(io_socket_attach(fd, &calm_events, &c, &c.socket));
    close(pair[1]);
    CHECK_OK(fiber_sleep_wait(5000));
    CHECK(c.closed);
    CHECK(io_socket_release_wait(c.socket) == -1); /* the stream has ended */
    io_socket_close(c.socket);
    CHECK_OK(fiber_sleep_wait(1000));
}

static void sockets_pause_and_move(void)
{
    unit_run(1, body_pause);
}

/* More data at once than the ring has buffers for. */
enum { FLOOD_SOCKETS = 700 };
static struct calm *flood;

static SUSPENDS void body_flood(void)
{
    flood = calloc(FLOOD_SOCKETS, sizeof(*flood));
    int *ends = calloc(FLOOD_SOCKETS, sizeof(*ends));
    char *text = calloc(1, 20000);
    for (int i = 0; i < FLOOD_SOCKETS; i++) {
        int pair[2];
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        CHECK(write(pair[1], text, 20000) == 20000);
        ends[i] = pair[1];
        CHECK_OK(io_socket_adopt(pair[0], &calm_events, &flood[i], &flood[i].socket));
    }
    uint64_t sum = 0;
    for (int tries = 0; tries < 1000 && sum < FLOOD_SOCKETS * 20000ull; tries++) {
        CHECK_OK(fiber_sleep_wait(1000));
        sum = 0;
        for (int i = 0; i < FLOOD_SOCKETS; i++)
            sum += flood[i].bytes;
    }
    CHECK(sum == FLOOD_SOCKETS * 20000ull);
    for (int i = 0; i < FLOOD_SOCKETS; i++) {
        close(ends[i]);
        io_socket_close(flood[i].socket);
    }
    CHECK_OK(fiber_sleep_wait(10000));
    free(text);
    free(ends);
    free(flood);
}

static void buffers_may_run_out(void)
{
    unit_run(1, body_flood);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"files_work", files_work},
        {"sockets_echo", sockets_echo},
        {"sockets_pause_and_move", sockets_pause_and_move},
        {"buffers_may_run_out", buffers_may_run_out},
    };
    return unit_main("io", tests, ARRAY_LEN(tests));
}
