/* Runs: a seed's lives, one process each. */
#ifndef TESTS_SIM_LIVES_H
#define TESTS_SIM_LIVES_H

#include "tests/sim/sim.h"

struct result {
    bool ok;
    uint64_t trace;
    uint64_t statements;
    uint64_t commits;
    uint64_t simulated_us;
    uint64_t disk_steps;
    uint64_t full_links; /* messages that found their link full */
    uint32_t lives;
    char failure[4096];
};

/* Makes the disks that most seeds begin from, in this process's shared memory. */
void lives_make_bases(void);
/* One seed, in a process of its own. */
void lives_run_seed(uint64_t seed, struct result *out);

#endif
