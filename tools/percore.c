/*
 * percore: the server. Options in PostgreSQL's letters; initialises an empty data directory, then
 * serves.
 *
 *   main thread: options, configuration, lock file, placement, then core_run()
 *   first core's fiber: recovery or bootstrap, listeners; then waits for signals (server.c)
 *     while they run it turns signals into bytes on a socket that the first core reads
 *
 * Signals are PostgreSQL's: SIGTERM smart, SIGINT fast, SIGQUIT immediate shutdown, SIGHUP reload.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/core.h"
#include "core/io.h"
#include "core/settings.h"
#include "net/net.h"
#include "tools/server.h"
#include "tools/server_files.h"
#include "tools/server_placement.h"

enum { PATH_BYTES_MAX = 4096 };

static struct {
    const char *data_directory;
    const char *auth; /* method for the generated hba file */
    const char *password_file;
    bool is_new;
    int signal_sockets[2];
    struct io_socket *signals;
    struct placement placement;
} server;

NORETURN static void die(const char *message)
{
    fprintf(stderr, "percore: %s\n", message);
    exit(1);
}

NORETURN static void die_of_error(void)
{
    const struct diag *d = err_diag();
    fprintf(stderr, "percore: FATAL:  %s\n", d->message ? d->message : "unknown error");
    if (d->context)
        fprintf(stderr, "CONTEXT:  %s\n", d->context);
    if (d->detail)
        fprintf(stderr, "DETAIL:  %s\n", d->detail);
    if (d->hint)
        fprintf(stderr, "HINT:  %s\n", d->hint);
    exit(1);
}

static void must(err_t e)
{
    if (e != ERR_OK)
        die_of_error();
}

/* ---- options ---- */

static void usage(void)
{
    puts("percore is a PostgreSQL-compatible database server.\n"
         "\n"
         "Usage:\n"
         "  percore -D DIR [OPTION]...\n"
         "\n"
         "Options:\n"
         "  -D DIR             data directory; initialised first when absent or empty\n"
         "  -p PORT            port number (5432)\n"
         "  -h ADDRESSES       host names or addresses to listen on (127.0.0.1)\n"
         "  -k DIR             directory of the Unix-domain socket\n"
         "  -c NAME=VALUE      set a parameter; --NAME=VALUE too\n"
         "  -B SIZE            shared_buffers\n"
         "  -N NUMBER          max_connections\n"
         "  -l                 enable TLS\n"
         "  --auth METHOD      of the generated pg_hba.conf: trust or scram-sha-256\n"
         "  --password-file F  file with the superuser's password, for a new directory\n"
         "  --version, --help");
}

/* Frees text. */
static void option_assign(char *text)
{
    char *equals = strchr(text, '=');
    if (!equals)
        die("-c and --name options need a value: name=value");
    *equals = '\0';
    for (char *p = text; *p; p++)
        *p = *p == '-' ? '_' : *p;
    must(settings_set_argv(text, equals + 1));
    free(text);
}

static const char *option_value(int argc, char **argv, int *i)
{
    if (argv[*i][2] != '\0')
        return argv[*i] + 2;
    if (*i + 1 >= argc)
        die("option requires a value (see --help)");
    return argv[++*i];
}

static void option_letter(int argc, char **argv, int *i)
{
    char letter = argv[*i][1];
    switch (letter) {
    case 'D':
        server.data_directory = option_value(argc, argv, i);
        return;
    case 'p':
        must(settings_set_argv("port", option_value(argc, argv, i)));
        return;
    case 'h':
        must(settings_set_argv("listen_addresses", option_value(argc, argv, i)));
        return;
    case 'k':
        must(settings_set_argv("unix_socket_directories", option_value(argc, argv, i)));
        return;
    case 'B':
        must(settings_set_argv("shared_buffers", option_value(argc, argv, i)));
        return;
    case 'N':
        must(settings_set_argv("max_connections", option_value(argc, argv, i)));
        return;
    case 'l':
        must(settings_set_argv("ssl", "on"));
        return;
    case 'c':
        option_assign(strdup(option_value(argc, argv, i)));
        return;
    default:
        fprintf(stderr, "percore: invalid option -- '%c'\n", letter);
        die("try --help");
    }
}

static void parse_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--help") == 0 || strcmp(a, "-?") == 0) {
            usage();
            exit(0);
        }
        if (strcmp(a, "--version") == 0 || strcmp(a, "-V") == 0) {
            puts("percore (PostgreSQL-compatible) 15.18");
            exit(0);
        }
        if (strcmp(a, "--auth") == 0 && i + 1 < argc)
            server.auth = argv[++i];
        else if (strcmp(a, "--password-file") == 0 && i + 1 < argc)
            server.password_file = argv[++i];
        else if (strncmp(a, "--", 2) == 0 && a[2] != '\0')
            option_assign(strdup(a + 2));
        else if (a[0] == '-' && a[1] != '\0')
            option_letter(argc, argv, &i);
        else
            die("unexpected argument (see --help)");
    }
    if (!server.data_directory)
        server.data_directory = getenv("PGDATA");
    if (!server.data_directory)
        die("no data directory: use -D or set PGDATA");
    server.auth = server.auth ? server.auth : "trust";
    if (strcmp(server.auth, "trust") != 0 && strcmp(server.auth, "scram-sha-256") != 0)
        die("--auth takes trust or scram-sha-256");
    if (strcmp(server.auth, "trust") != 0 && !server.password_file)
        die("--auth scram-sha-256 needs --password-file");
}

/* ---- signals ---- */

/* In the main thread: the cores' threads have these signals blocked. */
static void signal_came(int number)
{
    int saved = errno;
    if (number == SIGQUIT) {
        /* Immediate: as a crash; the log recovers everything acknowledged. */
        static const char note[] = "received immediate shutdown request\n";
        if (write(STDERR_FILENO, note, sizeof(note) - 1) < 0)
            _exit(2);
        _exit(2);
    }
    uint8_t byte = (uint8_t)number;
    /* Fails when so many wait to be read, or the cores have ended: nothing is lost by that. */
    (void)send(server.signal_sockets[0], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    errno = saved;
}

static void signals_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGQUIT);
}

/* Signals wait until the core threads run. */
static void start_signals(void)
{
    sigset_t set;
    signals_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, server.signal_sockets) != 0)
        die("could not create the signal socket");
    struct sigaction action = {.sa_handler = signal_came, .sa_mask = set, .sa_flags = SA_RESTART};
    for (int number = 1; number < NSIG; number++) {
        if (sigismember(&set, number) == 1 && sigaction(number, &action, NULL) != 0)
            die("could not set a signal's handler");
    }
}

static void accept_signals(void)
{
    sigset_t set;
    signals_set(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static err_t reload_call(void *arg)
{
    (void)arg;
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof(path), "%s/percore.conf", server.data_directory);
    struct arena *mem = arena_new();
    char *text;
    err_t e = files_read(path, mem, &text);
    if (e == ERR_OK)
        e = settings_load_text(path, text, true);
    arena_free(mem);
    return e;
}

static SUSPENDS void reload(void *arg)
{
    (void)arg;
    log_write(LOG_LOG, "received SIGHUP, reloading configuration files");
    if (reload_call(NULL) != ERR_OK || net_reload_wait() != ERR_OK)
        log_write(LOG_LOG, "configuration was not reloaded: %s%s%s", err_diag()->message,
                  err_diag()->context ? "; " : "", err_diag()->context ? err_diag()->context : "");
}

static void signal_arrived(void *owner, const uint8_t *data, uint32_t len)
{
    (void)owner;
    for (uint32_t i = 0; i < len; i++) {
        if (data[i] == SIGHUP) {
            if (fiber_spawn(reload, NULL) != ERR_OK)
                log_write(LOG_WARNING, "could not start the reload");
        } else {
            server_stop(data[i] == SIGINT ? SERVER_STOP_FAST : SERVER_STOP_SMART);
        }
    }
}

static void signal_socket_closed(void *owner, int os_error)
{
    (void)owner;
    (void)os_error;
}

static const struct io_socket_events signal_events = {
    .received = signal_arrived,
    .closed = signal_socket_closed,
};

static err_t listen_to_signals(void)
{
    return io_socket_adopt(server.signal_sockets[1], &signal_events, NULL, &server.signals);
}

/* ---- start ---- */

/* The superuser's password for a new directory; NULL = none. Kept for the process's life. */
static const char *read_password(void)
{
    if (!server.is_new || !server.password_file)
        return NULL;
    struct arena *mem = arena_new();
    char *text = NULL;
    must(files_read(server.password_file, mem, &text));
    text[strcspn(text, "\r\n")] = '\0';
    char *password = strdup(text);
    arena_free(mem);
    return password;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        fprintf(stderr, "percore: could not raise the limit of open files: %s\n", strerror(errno));
}

/* SHOW data_directory, and where temporary files go: the same wherever the server was started. */
static err_t note_data_directory(void)
{
    char *path = realpath(server.data_directory, NULL);
    err_t e = settings_set_argv("data_directory", path != NULL ? path : server.data_directory);
    free(path);
    return e;
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    must(files_prepare(server.data_directory, server.auth, &server.is_new));
    must(note_data_directory());
    must(files_load_config(server.data_directory));
    raise_file_limit();
    must(server_placement_make(&server.placement));
    start_signals();
    struct server_config config = {
        .data_directory = server.data_directory,
        .is_new = server.is_new,
        .shard_count = server.placement.shard_count,
        .password = read_password(),
        .started = listen_to_signals,
    };
    struct core_options o;
    server_core_options(&server.placement, &o);
    o.running = accept_signals;
    must(core_run(&o, server_entry, &config));
    return server_has_failed() ? 1 : 0;
}
