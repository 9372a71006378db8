/*
 * Micro-benchmarks in C behind a shim for Google Benchmark (shim.cc). Each runs in a fiber of core
 * 0, states what it is expected to cost, and does its operation n times when asked.
 */
#ifndef PERF_MICRO_H
#define PERF_MICRO_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct micro {
    const char *name;
    const char *expected; /* per operation on the reference machine */
    void (*run)(uint64_t n);
    uint64_t bytes; /* that one operation handles; 0 = not said */
    int waits;      /* for others: the time on the wall counts, not this thread's CPU time */
};

/* Takes Google Benchmark's options out of the arguments; false: there was one it does not know. */
int micro_init(int *argc, char **argv);
/* Measures them one after the other and prints a line each. */
void micro_run_all(const struct micro *list, uint32_t count);

/* micro_core.c: one core, then two cores that poll, then two that sleep; micro_sql.c: a server
 * without a network in a directory of its own. 0 = fine. */
int micro_core_main(void);
int micro_sql_main(void);

#ifdef __cplusplus
}
#endif

#endif
