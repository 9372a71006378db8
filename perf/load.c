/*
 * Load generator: runs a profile (perf/profiles/README.md) with many clients for some seconds and
 * prints one line of JSON: transactions, rate, latencies, errors.
 *
 *   load [options] PROFILE
 *     -h HOST   IPv4 address or the directory of the unix socket (127.0.0.1)
 *     -p PORT   -U USER   -d DATABASE   -W PASSWORD
 *     -c N      clients instead of the profile's number
 *     -t S      seconds that are measured (5)      -w S   seconds before that (1)
 *     -s        TLS        -r   TLS, resuming by tickets
 *     -D NAME=VALUE   a variable of the profile
 *
 * One thread. A pass is one run through the profile's steps. Its latency is the time of its
 * statements (and of its connect), without the pauses of the profile; in a profile with `every`,
 * the time since the pass should have begun counts too, so that a stalled server cannot hide
 * behind the clients that it keeps from asking.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "perf/client.h"

enum {
    STEPS_MAX = 32,
    VARIABLES_MAX = 32,
    LINE_BYTES = 2048,
    LOGINS_MAX = 128, /* at a time, of clients that stay */
    HISTOGRAM_SUB = 64,
    HISTOGRAM_SIZE = 40 * HISTOGRAM_SUB,
    START_SPREAD_MIN_US = 1000,
};

enum step_kind { STEP_DO, STEP_RUN, STEP_PAUSE };

struct step {
    enum step_kind kind;
    uint32_t number;  /* STEP_RUN: of the prepared statement */
    uint64_t ms;      /* STEP_PAUSE */
    const char *text; /* SQL with :variables; STEP_RUN: the parameters */
};

struct variable {
    char name[32];
    char value[64]; /* of the pass that is being written; fixed ones keep theirs */
    int64_t low;
    int64_t high; /* low > high: fixed */
};

struct prepared {
    char name[32];
    const char *sql;
};

struct worker {
    struct client c;
    uint32_t number;
    uint32_t step;       /* next one */
    uint32_t login_step; /* next one of the statements after login */
    uint64_t wake_ns;    /* sleeps until then */
    uint64_t due_ns;     /* `every`: when this pass should have begun */
    uint64_t asked_ns;   /* when the statement in flight, or the connect, began */
    uint64_t active_ns;  /* of this pass so far */
    int64_t values[VARIABLES_MAX];
};

struct profile {
    const char *title;
    uint32_t clients;
    bool connects; /* a connection per pass */
    uint64_t every_ms;
    struct step steps[STEPS_MAX];
    uint32_t step_count;
    const char *login[STEPS_MAX]; /* SQL run once per connection */
    uint32_t login_count;
    struct prepared prepared[STEPS_MAX];
    uint32_t prepared_count;
    struct variable variables[VARIABLES_MAX];
    uint32_t variable_count;
};

static struct profile profile;
static struct worker *workers;
static struct worker **sleepers; /* binary heap by wake_ns */
static uint32_t sleeper_count;
static uint32_t logging_in;
static uint32_t next_start; /* workers from here on have not begun yet */
static bool is_measuring;
static bool is_over;
static uint64_t passes;
static uint64_t failures;
static uint64_t lost_count;
static char first_failure[256];
static uint64_t histogram[HISTOGRAM_SIZE];
static uint64_t latency_max_ns;
static double latency_sum_ns;
static uint64_t random_state[2] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9};

/* xorshift128+ by Vigna. */
static uint64_t random_u64(void)
{
    uint64_t a = random_state[0];
    uint64_t b = random_state[1];
    random_state[0] = b;
    a ^= a << 23;
    random_state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return random_state[1] + b;
}

/* ---- latencies: logarithmic buckets, each split into 64: an error below 1.6 % ---- */

static uint32_t histogram_bucket(uint64_t ns)
{
    if (ns < HISTOGRAM_SUB)
        return (uint32_t)ns;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(ns) - 6;
    uint32_t bucket = (shift + 1) * HISTOGRAM_SUB + (uint32_t)((ns >> shift) - HISTOGRAM_SUB);
    return bucket < HISTOGRAM_SIZE ? bucket : HISTOGRAM_SIZE - 1;
}

static double histogram_us(uint32_t bucket)
{
    if (bucket < HISTOGRAM_SUB)
        return bucket / 1e3;
    uint32_t shift = bucket / HISTOGRAM_SUB - 1;
    return (double)((uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift) / 1e3;
}

static double latency_us(double share)
{
    uint64_t want = (uint64_t)((double)passes * share);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
        seen += histogram[i];
        if (seen > want)
            return histogram_us(i);
    }
    return (double)latency_max_ns / 1e3;
}

static void pass_counts(uint64_t ns)
{
    if (!is_measuring)
        return;
    passes++;
    histogram[histogram_bucket(ns)]++;
    latency_sum_ns += (double)ns;
    if (ns > latency_max_ns)
        latency_max_ns = ns;
}

/* ---- sleepers ---- */

static void heap_put(struct worker *w)
{
    uint32_t at = sleeper_count++;
    while (at > 0 && sleepers[(at - 1) / 2]->wake_ns > w->wake_ns) {
        sleepers[at] = sleepers[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sleepers[at] = w;
}

static struct worker *heap_take(void)
{
    struct worker *first = sleepers[0];
    struct worker *w = sleepers[--sleeper_count];
    uint32_t at = 0;
    while (at * 2 + 1 < sleeper_count) {
        uint32_t child = at * 2 + 1;
        if (child + 1 < sleeper_count && sleepers[child + 1]->wake_ns < sleepers[child]->wake_ns)
            child++;
        if (sleepers[child]->wake_ns >= w->wake_ns)
            break;
        sleepers[at] = sleepers[child];
        at = child;
    }
    if (sleeper_count > 0)
        sleepers[at] = w;
    return first;
}

/* ---- statements ---- */

static const struct variable *variable_at(const char *name, size_t *len)
{
    for (uint32_t i = 0; i < profile.variable_count; i++) {
        const struct variable *v = &profile.variables[i];
        *len = strlen(v->name);
        if (strncmp(name, v->name, *len) == 0 && !isalnum((unsigned char)name[*len]) &&
            name[*len] != '_')
            return v;
    }
    return NULL;
}

/* text with its :variables replaced by the worker's values; a cast's :: stays. */
static size_t expand(const struct worker *w, const char *text, char *out, size_t room)
{
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        size_t len = 0;
        const struct variable *v = *p == ':' && p[1] != ':' && (p == text || p[-1] != ':')
                                       ? variable_at(p + 1, &len)
                                       : NULL;
        if (n + 80 > room)
            client_die("a statement is too long");
        if (!v) {
            out[n++] = *p;
            continue;
        }
        if (v->low > v->high)
            n += (size_t)snprintf(out + n, room - n, "%s", v->value);
        else
            n += (size_t)snprintf(out + n, room - n, "%lld",
                                  (long long)w->values[v - profile.variables]);
        p += len;
    }
    out[n] = '\0';
    return n;
}

static size_t put_message(uint8_t *out, uint8_t type, const void *body, size_t bytes)
{
    out[0] = type;
    client_put_u32(out + 1, (uint32_t)bytes + 4);
    memcpy(out + 5, body, bytes);
    return bytes + 5;
}

static void send_prepare(struct worker *w, const struct prepared *p)
{
    uint8_t body[LINE_BYTES + 64];
    uint8_t out[LINE_BYTES + 128];
    size_t n = (size_t)snprintf((char *)body, sizeof(body), "%s%c%s", p->name, 0, p->sql) + 1;
    body[n++] = 0;
    body[n++] = 0;
    size_t len = put_message(out, 'P', body, n);
    len += put_message(out + len, 'S', "", 0);
    client_send(&w->c, out, len);
}

/* Bind with the words of `values` as text parameters, Describe left out as drivers do, Execute. */
static void send_run(struct worker *w, const struct step *s)
{
    char values[LINE_BYTES];
    uint8_t body[LINE_BYTES * 2];
    uint8_t out[LINE_BYTES * 3];
    expand(w, s->text, values, sizeof(values));
    size_t n = 0;
    body[n++] = 0; /* unnamed portal */
    n += (size_t)snprintf((char *)body + n, 40, "%s", profile.prepared[s->number].name) + 1;
    body[n++] = 0;
    body[n++] = 0; /* all text */
    size_t count_at = n;
    n += 2;
    uint16_t count = 0;
    char *save = NULL;
    for (char *v = strtok_r(values, " ", &save); v; v = strtok_r(NULL, " ", &save)) {
        size_t bytes = strlen(v);
        client_put_u32(body + n, (uint32_t)bytes);
        memcpy(body + n + 4, v, bytes);
        n += 4 + bytes;
        count++;
    }
    count = htons(count);
    memcpy(body + count_at, &count, sizeof(count));
    body[n++] = 0;
    body[n++] = 0;
    size_t len = put_message(out, 'B', body, n);
    static const uint8_t execute[5] = {0};
    len += put_message(out + len, 'E', execute, sizeof(execute));
    len += put_message(out + len, 'S', "", 0);
    client_send(&w->c, out, len);
}

/* ---- passes ---- */

static void worker_open(struct worker *w)
{
    logging_in++;
    w->login_step = 0;
    w->asked_ns = client_now_ns();
    client_open(&w->c, w->number);
}

static void pass_begin(struct worker *w)
{
    w->step = 0;
    w->active_ns = 0;
    for (uint32_t i = 0; i < profile.variable_count; i++) {
        const struct variable *v = &profile.variables[i];
        if (v->low <= v->high)
            w->values[i] = v->low + (int64_t)(random_u64() % (uint64_t)(v->high - v->low + 1));
    }
}

static void worker_sleep(struct worker *w, uint64_t until_ns)
{
    w->wake_ns = until_ns;
    heap_put(w);
}

static void worker_next(struct worker *w);

/* The pass is over: the next one begins, at once or when it is due. */
static void pass_end(struct worker *w)
{
    uint64_t now = client_now_ns();
    uint64_t latency = w->active_ns;
    if (profile.every_ms > 0) {
        uint64_t since_due = now - w->due_ns;
        if (since_due > latency)
            latency = since_due;
    }
    pass_counts(latency);
    if (profile.connects)
        client_close(&w->c);
    if (is_over)
        return;
    pass_begin(w);
    if (profile.every_ms > 0) {
        w->due_ns += profile.every_ms * 1000000;
        if (w->due_ns > now) {
            worker_sleep(w, w->due_ns);
            return;
        }
    }
    worker_next(w);
}

static void worker_next(struct worker *w)
{
    if (w->c.state == CLIENT_CLOSED) {
        worker_open(w);
        return;
    }
    if (w->step == profile.step_count) {
        pass_end(w);
        return;
    }
    const struct step *s = &profile.steps[w->step++];
    if (s->kind == STEP_PAUSE) {
        worker_sleep(w, client_now_ns() + s->ms * 1000000);
        return;
    }
    w->asked_ns = client_now_ns();
    if (s->kind == STEP_RUN) {
        send_run(w, s);
        return;
    }
    char sql[LINE_BYTES * 2];
    expand(w, s->text, sql, sizeof(sql));
    client_query(&w->c, sql);
}

/* After login, the statements that belong to a connection. True: one of them is on its way. */
static bool login_goes_on(struct worker *w)
{
    uint32_t i = w->login_step++;
    if (i < profile.prepared_count) {
        send_prepare(w, &profile.prepared[i]);
        return true;
    }
    i -= profile.prepared_count;
    if (i < profile.login_count) {
        char sql[LINE_BYTES * 2];
        expand(w, profile.login[i], sql, sizeof(sql));
        client_query(&w->c, sql);
        return true;
    }
    return false;
}

static void worker_ready(struct client *c)
{
    struct worker *w = (struct worker *)c;
    uint32_t login_total = profile.prepared_count + profile.login_count;
    if (w->login_step <= login_total) {
        if (login_goes_on(w))
            return;
        logging_in--;
        if (!profile.connects) {
            /* Connecting is no part of a pass; the first ones begin spread over an interval. */
            uint64_t spread_us = profile.every_ms * 1000;
            for (uint32_t i = 0; i < profile.step_count; i++)
                spread_us += profile.steps[i].kind == STEP_PAUSE ? profile.steps[i].ms * 1000 : 0;
            pass_begin(w);
            if (spread_us < START_SPREAD_MIN_US) {
                worker_next(w);
                return;
            }
            w->due_ns = client_now_ns() + random_u64() % spread_us * 1000;
            worker_sleep(w, w->due_ns);
            return;
        }
    }
    w->active_ns += client_now_ns() - w->asked_ns;
    worker_next(w);
}

static void fail(const char *text)
{
    if (failures++ == 0)
        snprintf(first_failure, sizeof(first_failure), "%s", text);
}

static void worker_lost(struct client *c, const char *text)
{
    struct worker *w = (struct worker *)c;
    if (is_over)
        return;
    fail(text);
    lost_count++;
    if (w->login_step <= profile.prepared_count + profile.login_count)
        logging_in--;
    if (lost_count > 1000 + passes)
        client_die("connections are lost: %s", first_failure);
    pass_begin(w);
    w->due_ns = client_now_ns() + 1000000;
    worker_sleep(w, w->due_ns);
}

static void worker_error(struct client *c, const char *sqlstate, const char *message)
{
    char text[256];
    (void)c;
    snprintf(text, sizeof(text), "%s %s", sqlstate, message);
    fail(text);
}

static void loop_once(uint64_t end_ns)
{
    while (next_start < profile.clients && logging_in < LOGINS_MAX) {
        struct worker *w = &workers[next_start++];
        pass_begin(w);
        w->due_ns = client_now_ns();
        worker_open(w);
    }
    uint64_t now = client_now_ns();
    uint64_t next = end_ns;
    while (sleeper_count > 0 && sleepers[0]->wake_ns <= now) {
        struct worker *w = heap_take();
        if (!is_over)
            worker_next(w);
    }
    if (sleeper_count > 0 && sleepers[0]->wake_ns < next)
        next = sleepers[0]->wake_ns;
    now = client_now_ns();
    (void)client_poll(next > now ? (next - now) / 1000 : 0);
}

/* ---- reading a profile ---- */

static const char *word(char **p)
{
    while (isspace((unsigned char)**p))
        (*p)++;
    const char *w = *p;
    while (**p && !isspace((unsigned char)**p))
        (*p)++;
    if (**p)
        *(*p)++ = '\0';
    while (isspace((unsigned char)**p))
        (*p)++;
    return w;
}

static int64_t number_of(const char *text)
{
    size_t len;
    if (*text == ':') {
        const struct variable *v = variable_at(text + 1, &len);
        if (!v || v->low <= v->high)
            client_die("\"%s\" is no fixed variable", text);
        text = v->value;
    }
    char *end;
    errno = 0;
    int64_t n = strtoll(text, &end, 10);
    if (errno != 0 || *end || end == text)
        client_die("\"%s\" is no number", text);
    return n;
}

static struct variable *variable_add(const char *name)
{
    size_t len;
    const struct variable *known = variable_at(name, &len);
    if (known)
        return (struct variable *)(uintptr_t)known;
    if (profile.variable_count == VARIABLES_MAX)
        client_die("too many variables");
    struct variable *v = &profile.variables[profile.variable_count++];
    *v = (struct variable){.low = 1, .high = 0};
    if ((size_t)snprintf(v->name, sizeof(v->name), "%s", name) >= sizeof(v->name))
        client_die("the name \"%s\" is too long", name);
    return v;
}

static struct step *step_add(enum step_kind kind)
{
    if (profile.step_count == STEPS_MAX)
        client_die("too many steps");
    struct step *s = &profile.steps[profile.step_count++];
    s->kind = kind;
    return s;
}

static void profile_line(char *p)
{
    const char *what = word(&p);
    if (strcmp(what, "title") == 0) {
        profile.title = strdup(p);
    } else if (strcmp(what, "clients") == 0) {
        profile.clients = (uint32_t)number_of(word(&p));
    } else if (strcmp(what, "connect") == 0) {
        profile.connects = true;
    } else if (strcmp(what, "every") == 0) {
        profile.every_ms = (uint64_t)number_of(word(&p));
    } else if (strcmp(what, "let") == 0) {
        const char *name = word(&p);
        size_t len;
        if (variable_at(name, &len))
            return; /* given by an option */
        struct variable *v = variable_add(name);
        snprintf(v->value, sizeof(v->value), "%s", word(&p));
    } else if (strcmp(what, "random") == 0) {
        struct variable *v = variable_add(word(&p));
        v->low = number_of(word(&p));
        v->high = number_of(word(&p));
        if (v->low > v->high)
            client_die("the range of \"%s\" is empty", v->name);
    } else if (strcmp(what, "login") == 0 && profile.login_count < STEPS_MAX) {
        profile.login[profile.login_count++] = strdup(p);
    } else if (strcmp(what, "prepare") == 0 && profile.prepared_count < STEPS_MAX) {
        struct prepared *s = &profile.prepared[profile.prepared_count++];
        snprintf(s->name, sizeof(s->name), "%s", word(&p));
        s->sql = strdup(p);
    } else if (strcmp(what, "do") == 0) {
        step_add(STEP_DO)->text = strdup(p);
    } else if (strcmp(what, "run") == 0) {
        struct step *s = step_add(STEP_RUN);
        const char *name = word(&p);
        while (s->number < profile.prepared_count &&
               strcmp(profile.prepared[s->number].name, name) != 0)
            s->number++;
        if (s->number == profile.prepared_count)
            client_die("no prepared statement \"%s\"", name);
        s->text = strdup(p);
    } else if (strcmp(what, "pause") == 0) {
        step_add(STEP_PAUSE)->ms = (uint64_t)number_of(word(&p));
    } else {
        client_die("what is \"%s\"? (or too many of it)", what);
    }
}

static void profile_read(const char *path)
{
    char line[LINE_BYTES];
    FILE *f = fopen(path, "r");
    if (!f)
        client_die("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#')
            profile_line(line);
    }
    fclose(f);
    if (profile.step_count == 0)
        client_die("%s: nothing to do", path);
}

/* ---- the run ---- */

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void print_json_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            putchar('\\');
        putchar((unsigned char)*s < 32 ? ' ' : *s);
    }
    putchar('"');
}

static void report(double seconds, double cpu)
{
    printf("{\"clients\": %u, \"seconds\": %.3f, \"passes\": %llu, \"tps\": %.1f, ",
           profile.clients, seconds, (unsigned long long)passes, (double)passes / seconds);
    printf("\"mean_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"max_us\": %.1f, ",
           passes > 0 ? latency_sum_ns / (double)passes / 1e3 : 0, latency_us(0.5),
           latency_us(0.99), latency_us(0.999), (double)latency_max_ns / 1e3);
    printf("\"generator_cpu_s\": %.3f, \"errors\": %llu, \"resumed\": %llu, \"first_error\": ", cpu,
           (unsigned long long)failures, (unsigned long long)client_resumed());
    print_json_string(first_failure);
    printf("}\n");
}

/* What a client process around this one measures begins and ends with these lines. */
static void tell(const char *what)
{
    printf("%s\n", what);
    fflush(stdout);
}

static void run_load(double warm_s, double seconds)
{
    workers = calloc(profile.clients, sizeof(*workers));
    sleepers = calloc(profile.clients, sizeof(struct worker *));
    if (!workers || !sleepers || profile.clients == 0)
        client_die("no clients, or no memory for them");
    for (uint32_t i = 0; i < profile.clients; i++) {
        workers[i].number = i;
        workers[i].c.fd = -1;
    }
    random_state[0] ^= client_now_ns();
    while (next_start < profile.clients || (logging_in > 0 && !profile.connects))
        loop_once(client_now_ns() + 100000000);
    uint64_t begin_ns = client_now_ns() + (uint64_t)(warm_s * 1e9);
    while (client_now_ns() < begin_ns)
        loop_once(begin_ns);
    failures = 0;
    is_measuring = true;
    tell("begin");
    double cpu = cpu_seconds();
    begin_ns = client_now_ns();
    uint64_t end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    while (client_now_ns() < end_ns)
        loop_once(end_ns);
    is_measuring = false;
    double real_seconds = (double)(client_now_ns() - begin_ns) / 1e9;
    cpu = cpu_seconds() - cpu;
    tell("end");
    char line[16];
    if (!isatty(STDIN_FILENO) && !fgets(line, sizeof(line), stdin))
        line[0] = '\0'; /* whoever started this looks at the server first, then says so or closes */
    is_over = true;
    report(real_seconds, cpu);
    for (uint32_t i = 0; i < profile.clients; i++)
        client_close(&workers[i].c);
}

int main(int argc, char **argv)
{
    static struct client_options options = {
        .host = "127.0.0.1", .port = 5432, .user = "postgres", .database = "postgres"};
    static const struct client_events events = {worker_ready, worker_lost, worker_error};
    double seconds = 5;
    double warm_s = 1;
    uint32_t clients = 0;
    int option;
    while ((option = getopt(argc, argv, "h:p:U:d:W:c:t:w:srD:")) != -1) {
        char *equals;
        switch (option) {
        case 'h':
            options.host = optarg;
            break;
        case 'p':
            options.port = (uint16_t)number_of(optarg);
            break;
        case 'U':
            options.user = optarg;
            break;
        case 'd':
            options.database = optarg;
            break;
        case 'W':
            options.password = optarg;
            break;
        case 'c':
            clients = (uint32_t)number_of(optarg);
            break;
        case 't':
            seconds = strtod(optarg, NULL);
            break;
        case 'w':
            warm_s = strtod(optarg, NULL);
            break;
        case 'r':
            options.tls_resumes = true;
            options.tls = true;
            break;
        case 's':
            options.tls = true;
            break;
        case 'D':
            equals = strchr(optarg, '=');
            if (!equals)
                client_die("-D wants NAME=VALUE");
            *equals = '\0';
            struct variable *v = variable_add(optarg);
            snprintf(v->value, sizeof(v->value), "%s", equals + 1);
            break;
        default:
            client_die("see the head of perf/load.c for its options");
        }
    }
    if (optind + 1 != argc)
        client_die("which profile?");
    profile_read(argv[optind]);
    if (clients > 0)
        profile.clients = clients;
    client_start(&options, &events);
    run_load(warm_s, seconds);
    return 0;
}
