/*
 * percore-top: what a running server does, as a screen that is drawn again and again.
 *
 *   percore-top [-h HOST] [-p PORT] [-U USER] [-d DATABASE] [-i SECONDS] [-n COUNT] [--once]
 *
 * Everything comes by SQL from pg_stat_core, pg_stat_core_link, pg_stat_core_latency
 * and pg_stat_activity, so any role that may log in can look. Rates are those since the screen
 * before; quantiles are since the histograms were emptied (pg_stat_reset_core_latency()). --once
 * (or -n) takes two samples an interval apart, prints them as plain text, and ends.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

enum { HISTORY = 40, NAME_BYTES = 64, ACTIVITY_MAX = 10, LINKS_MAX = 16, LATENCY_MAX = 24 };

/* A view's rows with the numbers of the sample before, matched by their leading key columns. */
struct sample {
    PGresult *now;
    PGresult *before;
    int key_columns;
};

struct history { /* busy share of a core, 0..8 eighths, newest last */
    uint8_t bars[HISTORY];
};

static struct {
    PGconn *db;
    double interval_s;
    bool is_plain;
    int columns;
    double seconds; /* between the two samples */
    struct sample cores;
    struct sample links;
    struct sample latency;
    struct sample log;
    PGresult *activity;
    struct history *histories;
    int history_count;
} top;

static volatile sig_atomic_t is_over;

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "percore-top: %s\n", what);
    if (top.db)
        PQfinish(top.db);
    exit(1);
}

static void stop(int signal)
{
    (void)signal;
    is_over = 1;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- sampling ---- */

static PGresult *query(const char *sql)
{
    PGresult *r = PQexec(top.db, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK) {
        char text[512];
        snprintf(text, sizeof(text), "%s", PQerrorMessage(top.db));
        PQclear(r);
        fail(text);
    }
    return r;
}

static void sample_take(struct sample *s, const char *sql, int key_columns)
{
    PQclear(s->before);
    s->before = s->now;
    s->now = query(sql);
    s->key_columns = key_columns;
}

static double number(const PGresult *r, int row, const char *column)
{
    int c = PQfnumber(r, column);
    return c < 0 ? 0 : strtod(PQgetvalue(r, row, c), NULL);
}

static const char *word(const PGresult *r, int row, const char *column)
{
    int c = PQfnumber(r, column);
    return c < 0 ? "" : PQgetvalue(r, row, c);
}

/* The row of the sample before with the same key; -1: there was none. */
static int row_before(const struct sample *s, int row)
{
    if (!s->before)
        return -1;
    for (int i = 0; i < PQntuples(s->before); i++) {
        int same = 0;
        while (same < s->key_columns &&
               strcmp(PQgetvalue(s->now, row, same), PQgetvalue(s->before, i, same)) == 0)
            same++;
        if (same == s->key_columns)
            return i;
    }
    return -1;
}

/* How much a counter grew, per second. */
static double rate(const struct sample *s, int row, const char *column)
{
    int old = row_before(s, row);
    double grown = number(s->now, row, column) - (old < 0 ? 0 : number(s->before, old, column));
    return s->before && grown > 0 && top.seconds > 0 ? grown / top.seconds : 0;
}

static void sample_all(void)
{
    static double last_s;
    double at = now_s();
    top.seconds = last_s > 0 ? at - last_s : 0;
    last_s = at;
    sample_take(&top.cores, "SELECT * FROM pg_stat_core ORDER BY core", 1);
    sample_take(&top.links,
                "SELECT core, peer, messages_out, doorbells_out, * FROM pg_stat_core_link "
                "ORDER BY core, peer",
                2);
    sample_take(&top.latency,
                "SELECT class, stage, sum(count) AS count, sum(total_ms) AS total_ms, "
                "max(p50_us) AS p50_us, max(p99_us) AS p99_us, max(p999_us) AS p999_us "
                "FROM pg_stat_core_latency GROUP BY class, stage ORDER BY class, stage",
                2);
    sample_take(&top.log,
                "SELECT core, sum(count) AS count, sum(total_ms) AS total_ms, "
                "max(p50_us) AS p50_us, max(p99_us) AS p99_us, max(p999_us) AS p999_us "
                "FROM pg_stat_core_latency WHERE stage = 'flush' GROUP BY core ORDER BY core",
                1);
    PQclear(top.activity);
    top.activity = query("SELECT pid, coalesce(usename, '') AS who, coalesce(datname, '') AS base, "
                         "coalesce(state, '') AS state, coalesce(wait_event, '') AS wait, "
                         "coalesce(round(extract(epoch FROM now() - query_start)::numeric, 1), 0) "
                         "AS seconds, translate(coalesce(query, ''), E'\\n\\t', '  ') AS query "
                         "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state <> 'idle' "
                         "ORDER BY query_start LIMIT 10");
}

/* ---- drawing ---- */

static void heading(const char *text)
{
    printf(top.is_plain ? "\n%s\n" : "\n\033[1m%s\033[0m\033[K\n", text);
}

static void line_end(void)
{
    fputs(top.is_plain ? "\n" : "\033[K\n", stdout);
}

static void print_bytes(double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int u = 0;
    while (bytes >= 1024 && u < 4) {
        bytes /= 1024;
        u++;
    }
    printf("%7.1f %-3s", bytes, units[u]);
}

static void print_history(const struct history *h, int width)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    for (int i = HISTORY - width; i < HISTORY; i++)
        fputs(blocks[h->bars[i]], stdout);
}

static void draw_cores(void)
{
    int count = PQntuples(top.cores.now);
    if (count > top.history_count) {
        struct history *bigger = realloc(top.histories, sizeof(*bigger) * (size_t)count);
        if (!bigger)
            fail("out of memory");
        memset(bigger + top.history_count, 0,
               sizeof(*bigger) * (size_t)(count - top.history_count));
        top.histories = bigger;
        top.history_count = count;
    }
    heading(
        "core  cpu   busy  turns/s  sleeps/s   spins/s  fibers/s  bells/s  sessions  fibers     "
        "memory  history");
    for (int i = 0; i < count; i++) {
        double busy = rate(&top.cores, i, "busy_ns") / 1e9;
        struct history *h = &top.histories[i];
        memmove(h->bars, h->bars + 1, HISTORY - 1);
        double eighths = busy * 8 + (busy > 0.005 ? 0.999 : 0);
        h->bars[HISTORY - 1] = (uint8_t)(eighths > 8 ? 8 : eighths);
        printf("%4s %4s %5.1f%% %8.0f %9.0f %9.0f %9.0f %8.0f %9.0f %7.0f ",
               word(top.cores.now, i, "core"), word(top.cores.now, i, "cpu"),
               busy > 1 ? 100.0 : busy * 100, rate(&top.cores, i, "loops"),
               rate(&top.cores, i, "sleeps"), rate(&top.cores, i, "spins"),
               rate(&top.cores, i, "switches"), rate(&top.cores, i, "doorbells_in"),
               number(top.cores.now, i, "sessions"), number(top.cores.now, i, "fibers"));
        print_bytes(number(top.cores.now, i, "memory_bytes"));
        putchar(' ');
        int room = top.columns - 100;
        print_history(h, room > HISTORY ? HISTORY : room < 8 ? 8 : room);
        line_end();
    }
}

static void draw_links(void)
{
    int shown = 0;
    for (int i = 0; i < PQntuples(top.links.now) && shown < LINKS_MAX; i++) {
        double messages = rate(&top.links, i, "messages_out");
        if (messages < 1)
            continue;
        if (shown++ == 0)
            heading("link        messages/s   bells/s");
        printf("%4s → %-4s %11.0f %9.0f", PQgetvalue(top.links.now, i, 0),
               PQgetvalue(top.links.now, i, 1), messages, rate(&top.links, i, "doorbells_out"));
        line_end();
    }
}

static void draw_latency(void)
{
    heading("requests   stage        per s   mean µs   share  |  since reset:  p50 µs     p99 µs   "
            "p99.9 µs");
    double all_ms = 0;
    int count = PQntuples(top.latency.now);
    for (int i = 0; i < count; i++) {
        if (strcmp(word(top.latency.now, i, "stage"), "total") == 0)
            all_ms += rate(&top.latency, i, "total_ms");
    }
    int shown = 0;
    for (int i = 0; i < count && shown < LATENCY_MAX; i++) {
        double times = rate(&top.latency, i, "count");
        double ms = rate(&top.latency, i, "total_ms");
        if (times <= 0)
            continue;
        shown++;
        printf("%-10s %-8s %9.0f %9.1f %6.1f%%  | %20.1f %10.1f %10.1f",
               word(top.latency.now, i, "class"), word(top.latency.now, i, "stage"), times,
               ms * 1e3 / times, all_ms > 0 ? ms / all_ms * 100 : 0,
               number(top.latency.now, i, "p50_us"), number(top.latency.now, i, "p99_us"),
               number(top.latency.now, i, "p999_us"));
        line_end();
    }
}

/* What waiting for the logs to be durable costs, per core of the sessions that waited. */
static void draw_log(void)
{
    heading("log   waits/s   mean µs  |  since reset:  p50 µs     p99 µs   p99.9 µs");
    for (int i = 0; i < PQntuples(top.log.now); i++) {
        double times = rate(&top.log, i, "count");
        double ms = rate(&top.log, i, "total_ms");
        printf("%4s %8.0f %9.1f  | %20.1f %10.1f %10.1f", word(top.log.now, i, "core"), times,
               times > 0 ? ms * 1e3 / times : 0, number(top.log.now, i, "p50_us"),
               number(top.log.now, i, "p99_us"), number(top.log.now, i, "p999_us"));
        line_end();
    }
}

static void draw_activity(void)
{
    heading("pid      role         database     state     wait        seconds  query");
    for (int i = 0; i < PQntuples(top.activity) && i < ACTIVITY_MAX; i++) {
        int room = top.columns - 66;
        printf("%-8s %-12.12s %-12.12s %-9.9s %-10.10s %8s  %.*s", word(top.activity, i, "pid"),
               word(top.activity, i, "who"), word(top.activity, i, "base"),
               word(top.activity, i, "state"), word(top.activity, i, "wait"),
               word(top.activity, i, "seconds"), room > 20 ? room : 20,
               word(top.activity, i, "query"));
        line_end();
    }
}

static void draw(void)
{
    struct winsize size;
    top.columns =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 140;
    double sessions = 0;
    double ended = 0;
    for (int i = 0; i < PQntuples(top.cores.now); i++) {
        sessions += number(top.cores.now, i, "sessions");
        ended += rate(&top.cores, i, "connections_ended");
    }
    time_t t = time(NULL);
    struct tm local;
    char clock[32] = "";
    if (localtime_r(&t, &local) && strftime(clock, sizeof(clock), "%H:%M:%S", &local) == 0)
        clock[0] = '\0';
    if (!top.is_plain)
        fputs("\033[H", stdout);
    printf("percore %s  %s:%s/%s  %s  every %.1f s  %.0f sessions  %.0f connections ended/s",
           PQparameterStatus(top.db, "server_version"), PQhost(top.db), PQport(top.db),
           PQdb(top.db), clock, top.interval_s, sessions, ended);
    line_end();
    draw_cores();
    draw_links();
    draw_latency();
    draw_log();
    draw_activity();
    if (!top.is_plain)
        fputs("\033[J", stdout);
    fflush(stdout);
}

static void wait_interval(void)
{
    struct timespec t = {.tv_sec = (time_t)top.interval_s,
                         .tv_nsec =
                             (long)((top.interval_s - (double)(time_t)top.interval_s) * 1e9)};
    while (!is_over && nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

/* count 0: until it is stopped. */
static void run(int count)
{
    sample_all();
    if (!top.is_plain)
        fputs("\033[?25l\033[2J", stdout);
    for (int i = 0; (count == 0 || i < count) && !is_over; i++) {
        wait_interval();
        if (is_over)
            break;
        sample_all();
        draw();
    }
    if (!top.is_plain)
        fputs("\033[?25h\n", stdout);
}

static double seconds_of(const char *text)
{
    char *end;
    double v = strtod(text, &end);
    if (*end || end == text || !(v >= 0.1) || v > 3600)
        fail("an interval is 0.1 to 3600 seconds");
    return v;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"host", required_argument, NULL, 'h'},
        {"port", required_argument, NULL, 'p'},
        {"username", required_argument, NULL, 'U'},
        {"dbname", required_argument, NULL, 'd'},
        {"interval", required_argument, NULL, 'i'},
        {"count", required_argument, NULL, 'n'},
        {"once", no_argument, NULL, 'o'},
        {"help", no_argument, NULL, '?'},
        {NULL, 0, NULL, 0},
    };
    const char *names[] = {"host", "port", "user", "dbname", "application_name", NULL};
    const char *values[] = {NULL, NULL, NULL, NULL, "percore-top", NULL};
    int count = 0;
    top.interval_s = 2;
    int option;
    while ((option = getopt_long(argc, argv, "h:p:U:d:i:n:", longs, NULL)) != -1) {
        switch (option) {
        case 'h':
            values[0] = optarg;
            break;
        case 'p':
            values[1] = optarg;
            break;
        case 'U':
            values[2] = optarg;
            break;
        case 'd':
            values[3] = optarg;
            break;
        case 'i':
            top.interval_s = seconds_of(optarg);
            break;
        case 'n':
            count = atoi(optarg); /* NOLINT(cert-err34-c): 0 is refused below */
            if (count <= 0)
                fail("a count is 1 or more");
            break;
        case 'o':
            count = 1;
            break;
        default:
            fail("usage: percore-top [-h HOST] [-p PORT] [-U USER] [-d DATABASE] [-i SECONDS] "
                 "[-n COUNT] [--once]");
        }
    }
    if (optind < argc)
        fail("what should be done with the arguments? (see --help)");
    top.is_plain = count > 0;
    struct sigaction action = {.sa_handler = stop};
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0)
        fail("no signals");
    top.db = PQconnectdbParams(names, values, 0);
    if (PQstatus(top.db) != CONNECTION_OK) {
        char text[512];
        snprintf(text, sizeof(text), "%s", PQerrorMessage(top.db));
        fail(text);
    }
    run(count);
    PQfinish(top.db);
    return 0;
}
