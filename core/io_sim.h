/*
 * The simulated world behind the io seam (link core_io_sim instead of core_io_uring): one thread
 * steps all cores in an order drawn from a seed, under a virtual clock, with a disk and sockets in
 * memory. The same seed and program give the same trace.
 *
 * The disk keeps what was made durable apart from what was only written. A power loss ends
 * core_run() with ERR_IO_ERROR "simulated power loss" and decides for every sector that was written
 * and not synced whether it reached the disk; so do file names that no sync covered, in their
 * order. The next core_run() finds that disk. Fibers of the lost run are dropped with their stacks.
 *
 * Sockets: io_sim_connect() gives the client's end of a new connection as a descriptor for
 * io_socket_adopt(), so that clients are fibers in the same world.
 */
#ifndef CORE_IO_SIM_H
#define CORE_IO_SIM_H

#include "core/io.h"

/* A new world: empty disk, no faults. Not while core_run() runs. */
void io_sim_reset(uint64_t seed);
/* Hash of everything that happened since the reset. */
uint64_t io_sim_trace(void);
/* The world's own randomness, for tests that want to follow the seed. */
uint64_t io_sim_random(uint64_t below);

/* Faults. nth counts writes (or reads, syncs) that start from now on, 1 = the next; 0 = none. */
enum io_sim_fault { IO_SIM_EIO, IO_SIM_ENOSPC, IO_SIM_POWER_LOSS };
void io_sim_fail_write(uint64_t nth, enum io_sim_fault fault);
void io_sim_fail_read(uint64_t nth);
void io_sim_fail_sync(uint64_t nth, enum io_sim_fault fault);
/* From now on the disk has room for so many bytes more. */
void io_sim_disk_room(uint64_t bytes);
/* Now, from any fiber: does not return before the world ends. */
void io_sim_power_loss(void);
bool io_sim_power_was_lost(void);
uint64_t io_sim_write_count(void);
/* Turns one bit of what is stored. false: no such file or offset. */
bool io_sim_flip_bit(const char *path, uint64_t offset, uint32_t bit);
/* Doorbells arrive late by up to so much (default 50). */
void io_sim_doorbell_delay_us(uint64_t us_max);
/* A core stands still for so long. */
void io_sim_stall(uint32_t core, uint64_t us);

/* To a listener: "tcp:5432" or "unix:/path". -1 when nobody listens. On a core. */
int io_sim_connect(const char *where);

#endif
