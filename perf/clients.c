/*
 * Very many clients of one PostgreSQL-compatible server, from one thread: for what sessions at rest
 * cost, and how fast they wake. Trust authentication, simple protocol, TCP.
 *
 *   clients [-s] HOST PORT USER DATABASE COUNT SOURCE_FIRST [SQL]...
 *
 * Opens COUNT connections (-s: by TLS), at most IN_FLIGHT_MAX of them in login at a time, from the
 * addresses 127.0.0.SOURCE_FIRST and up (each has its own range of ports). Every connection runs
 * the SQL texts one after the other, then rests. Then it prints "ready SECONDS" and obeys lines of
 * stdin:
 *
 *   wake N    N random clients run SELECT 1, one after the other: "wake P50_US P99_US MAX_US"
 *   all       every client runs SELECT 1, at most IN_FLIGHT_MAX at a time: "all SECONDS"
 *   quit
 *
 * An error of the server or a lost connection ends the program with a message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/client.h"

enum { IN_FLIGHT_MAX = 128, SILENCE_US_MAX = 60000000 };

struct sleeper {
    struct client c;
    int step; /* next text to run; step_count = rests */
};

static struct {
    uint32_t count;
    int step_count;
    char **steps;
    struct sleeper *sleepers;
    uint32_t in_flight;
} run;

static void sleeper_ready(struct client *c)
{
    struct sleeper *s = (struct sleeper *)c;
    if (s->step < run.step_count)
        client_query(c, run.steps[s->step++]);
    else
        run.in_flight--;
}

static void sleeper_lost(struct client *c, const char *text)
{
    client_die("client %ld: %s", (long)((struct sleeper *)c - run.sleepers), text);
}

static void sleeper_error(struct client *c, const char *sqlstate, const char *message)
{
    client_die("client %ld: %s %s", (long)((struct sleeper *)c - run.sleepers), sqlstate, message);
}

static void poll_until(uint32_t in_flight_max)
{
    while (run.in_flight > in_flight_max) {
        if (client_poll(SILENCE_US_MAX) == 0)
            client_die("no answer for a minute");
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
        client_die("wake: how many?");
    for (uint32_t i = 0; i < n; i++) {
        struct sleeper *s = &run.sleepers[(uint64_t)random() % run.count];
        uint64_t begin = client_now_ns();
        run.in_flight++;
        client_query(&s->c, "SELECT 1");
        poll_until(0);
        us[i] = (client_now_ns() - begin) / 1000;
    }
    qsort(us, n, sizeof(*us), compare_u64);
    printf("wake %llu %llu %llu\n", (unsigned long long)us[n / 2],
           (unsigned long long)us[(uint64_t)n * 99 / 100], (unsigned long long)us[n - 1]);
    free(us);
}

static void wake_all(void)
{
    uint64_t begin = client_now_ns();
    for (uint32_t i = 0; i < run.count; i++) {
        run.in_flight++;
        client_query(&run.sleepers[i].c, "SELECT 1");
        poll_until(IN_FLIGHT_MAX - 1);
    }
    poll_until(0);
    printf("all %.3f\n", (double)(client_now_ns() - begin) / 1e9);
}

static void open_all(void)
{
    uint64_t begin = client_now_ns();
    for (uint32_t i = 0; i < run.count; i++) {
        run.in_flight++;
        client_open(&run.sleepers[i].c, i);
        poll_until(IN_FLIGHT_MAX - 1);
    }
    poll_until(0);
    printf("ready %.3f\n", (double)(client_now_ns() - begin) / 1e9);
}

int main(int argc, char **argv)
{
    static const struct client_events events = {sleeper_ready, sleeper_lost, sleeper_error};
    bool tls = argc > 1 && strcmp(argv[1], "-s") == 0;
    argv += tls;
    argc -= tls;
    if (argc < 7)
        client_die("usage: clients [-s] HOST PORT USER DATABASE COUNT SOURCE_FIRST [SQL]...");
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct client_options options = {
        .host = argv[1],
        .port = (uint16_t)strtoul(argv[2], NULL, 10),
        .user = argv[3],
        .database = argv[4],
        .tls = tls,
        .source_first = (uint32_t)strtoul(argv[6], NULL, 10),
    };
    run.count = (uint32_t)strtoul(argv[5], NULL, 10);
    run.steps = argv + 7;
    run.step_count = argc - 7;
    run.sleepers = calloc(run.count + 1, sizeof(*run.sleepers));
    if (!run.sleepers || run.count == 0)
        client_die("nothing to do, or no memory for it");
    client_start(&options, &events);
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
            client_die("what is \"%s\"?", line);
    }
    return 0;
}
