/*
 * sim: the whole server in the simulated world, from a seed.
 *
 * sim --seed N [--verbose]: one seed; prints its trace hash.
 *
 * sim --seeds N [--first S] [--minutes M] [--failures F] [--traces]: that many seeds from S on
 * (default: from the clock), or for that long. Prints figures and how to replay what failed; with
 * --traces also a line for each seed.
 *
 * In a build with PERCORE_DEFECTS, --defect N in front: with that defect of core/defects.h.
 *
 * Exit code 1 when it finds a bug, or when many seeds never reach what they should (full links).
 */
#include "core/defects.h"
#include "tests/sim/lives.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEEDS_THAT_FILL_LINKS = 60 };

static double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_failure(uint64_t seed, const struct result *r)
{
    printf("seed %llu FAILED: %s\nreplay: sim --seed %llu --verbose\n", (unsigned long long)seed,
           r->failure, (unsigned long long)seed);
    (void)fflush(stdout);
}

static void print_seed(uint64_t seed, const struct result *r)
{
    printf("seed %llu %s trace %016llx lives %u statements %llu commits %llu steps %llu simulated "
           "%.3f s\n",
           (unsigned long long)seed, r->ok ? "ok" : "failed", (unsigned long long)r->trace,
           r->lives, (unsigned long long)r->statements, (unsigned long long)r->commits,
           (unsigned long long)r->disk_steps, (double)r->simulated_us / 1e6);
}

static int run_one(uint64_t seed)
{
    struct result r;
    lives_run_seed(seed, &r);
    if (!r.ok)
        print_failure(seed, &r);
    print_seed(seed, &r);
    return r.ok ? 0 : 1;
}

static int run_many(uint64_t first, uint64_t count, double minutes, uint32_t failures_max,
                    bool with_traces)
{
    double begin = wall_seconds();
    uint64_t done = 0;
    uint64_t statements = 0;
    uint64_t commits = 0;
    uint64_t lives = 0;
    uint64_t full_links = 0;
    uint64_t with_full_links = 0;
    uint32_t failed = 0;
    double simulated = 0;
    uint64_t seed = first;
    for (; done < count && failed < failures_max; seed++) {
        if (minutes > 0 && wall_seconds() - begin > minutes * 60)
            break;
        struct result r;
        lives_run_seed(seed, &r);
        done++;
        statements += r.statements;
        commits += r.commits;
        lives += r.lives;
        full_links += r.full_links;
        with_full_links += r.full_links != 0 ? 1 : 0;
        simulated += (double)r.simulated_us / 1e6;
        if (with_traces)
            print_seed(seed, &r);
        if (!r.ok) {
            failed++;
            print_failure(seed, &r);
        }
    }
    double wall = wall_seconds() - begin;
    printf("%llu seeds (%llu to %llu), %u failed; %llu lives, %llu statements, %llu commits; "
           "%.0f s simulated in %.0f s, %.1f seeds per minute; links full %llu times in %llu "
           "seeds\n",
           (unsigned long long)done, (unsigned long long)first,
           (unsigned long long)(done > 0 ? seed - 1 : first), failed, (unsigned long long)lives,
           (unsigned long long)statements, (unsigned long long)commits, simulated, wall,
           (double)done / MAX(wall / 60, 0.001), (unsigned long long)full_links,
           (unsigned long long)with_full_links);
    if (done >= SEEDS_THAT_FILL_LINKS && full_links == 0) {
        printf("no link was ever full\n");
        return 1;
    }
    return failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t seed = 0;
    uint64_t count = 0;
    uint64_t first = (uint64_t)time(NULL) * 100000;
    double minutes = 0;
    uint32_t failures_max = 5;
    bool with_traces = false;
#ifdef PERCORE_DEFECTS
    enum defect defect = DEFECT_NONE;
#endif
#ifdef PERCORE_DEFECTS
    if (argc > 2 && strcmp(argv[1], "--defect") == 0) {
        defect = (enum defect)strtoul(argv[2], NULL, 10);
        argc -= 2;
        argv += 2;
        if (defect <= DEFECT_NONE || defect >= DEFECT_COUNT)
            return 2;
    }
#endif
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--verbose") == 0) {
            sim_verbose = true;
            continue;
        }
        if (strcmp(argv[i], "--traces") == 0) {
            with_traces = true;
            continue;
        }
        if (strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--seeds") == 0) {
            count = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--first") == 0) {
            first = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--minutes") == 0) {
            minutes = strtod(value, NULL);
        } else if (strcmp(argv[i], "--failures") == 0) {
            failures_max = (uint32_t)strtoul(value, NULL, 10);
        } else {
            fprintf(stderr, "usage: sim --seed N [--verbose] | --seeds N [--first S] [--minutes M] "
                            "[--failures N] [--traces]\n");
            return 2;
        }
        i++;
    }
    if (minutes > 0 && count == 0)
        count = UINT64_MAX;
    lives_make_bases();
#ifdef PERCORE_DEFECTS
    defect_chosen = defect; /* the first disks are made without it */
#endif
    return count > 0 ? run_many(first, count, minutes, failures_max, with_traces) : run_one(seed);
}
