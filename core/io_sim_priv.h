/* What the files of the simulated backend share: the world, its random numbers, events of cores. */
#ifndef CORE_IO_SIM_PRIV_H
#define CORE_IO_SIM_PRIV_H

#include "core/core_priv.h"
#include "core/io_sim.h"

/* Something that happens to a core at a time: run in its reactor. */
struct sim_event {
    uint64_t time_us;
    uint64_t serial; /* order among equals */
    void (*fire)(void *arg);
    void *arg;
};

struct backend {
    struct sim_event *events; /* binary heap */
    uint32_t event_count;
    uint32_t event_room;
    uint64_t wake_us;    /* a doorbell comes */
    uint64_t stalled_us; /* stands still until then */
};

/* How a world ended, or not. */
enum sim_end { SIM_RUNS, SIM_POWER_LOST, SIM_KILLED };

struct sim_world {
    uint64_t random_state;
    uint64_t trace;
    uint64_t now_ns;
    uint64_t event_serial;
    uint64_t full_links;
    struct io_sim_faults faults;
    enum sim_end end;
    bool is_hung;
};
extern struct sim_world *sim_world;

uint64_t sim_random(void);
uint64_t sim_random_between(uint64_t low, uint64_t high);
/* True once in a while: chance in a million. Draws nothing when it is 0. */
bool sim_happens(uint32_t chance);
void sim_trace(uint64_t what, uint64_t value);
static inline uint64_t sim_now_us(void)
{
    return sim_world->now_ns / 1000;
}
void sim_event_add(struct core *c, uint64_t delay_us, void (*fire)(void *arg), void *arg);
/* Suspends the fiber for a while of virtual time, not interruptible. */
SUSPENDS void sim_delay_wait(uint64_t us);

void sim_world_move(void);
void sim_disk_move(void);
void sim_disk_reset(void);
void sim_disk_crash(void);
void sim_disk_kill(void);
void sim_net_reset(void);

#endif
