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
 * io_socket_adopt(), so that clients are fibers in the same world: on a core of their own beside
 * the server's (io_sim_clients()), which the server does not see.
 */
#ifndef CORE_IO_SIM_H
#define CORE_IO_SIM_H

#include "core/io.h"

/* A new world: empty disk, no faults. Not while core_run() runs. */
void io_sim_reset(uint64_t seed);
/* The same disk under a new seed; the trace begins again. */
void io_sim_reseed(uint64_t seed);
/* Hash of everything that happened since the reset. */
uint64_t io_sim_trace(void);
/* The test's own part of the trace. */
void io_sim_trace_add(uint64_t value);
/* The world's own randomness, for tests that want to follow the seed. */
uint64_t io_sim_random(uint64_t below);
uint64_t io_sim_now_us(void);

/* ---- memory that outlives a process ---- */

/* From now on the world lives in memory that forked processes share, up to so many bytes; what
 * exists is taken along: later changes are of this region only, so that many worlds can begin from
 * one disk. Not while core_run() runs. */
void io_sim_share_memory(uint64_t bytes_max);
uint64_t io_sim_shared_bytes(void);
void *io_sim_alloc(size_t bytes); /* zeroed; never NULL */
void io_sim_free(void *p);
/* The disk is put away, an empty one takes its place; and back. */
struct sim_disk;
struct sim_disk *io_sim_disk_take(void);
void io_sim_disk_put(struct sim_disk *taken);
/* A small durable text file, with the directories above it. */
void io_sim_put_file(const char *path, const char *text);
/* After a process of this world died by itself: what it left on the disk. */
void io_sim_process_died(void);

/* ---- clients ---- */

/* In the next core_run(), entry(arg) runs in a fiber of the clients' core. */
void io_sim_clients(void (*entry)(void *arg), void *arg);
/* From a client: fn(arg) runs soon in the reactor of that core of the server. */
void io_sim_post(uint32_t core, void (*fn)(void *arg), void *arg);
/* To a listener: "tcp:5432" or "unix:/path". -1 when nobody listens. On a core. */
int io_sim_connect(const char *where);

/* ---- faults ---- */

/* Chances are per million. All 0 after a reset but the delays, which have usual values. */
struct io_sim_faults {
    uint32_t read_error;  /* EIO */
    uint32_t write_error; /* EIO; a part of the sectors may be written */
    uint32_t sync_error;  /* EIO; what was to be synced may be lost, though reads still show it */
    uint32_t open_error;
    uint32_t allocate_error;
    uint32_t rename_error;
    uint32_t disk_slow; /* a request that takes up to slow_us_max */
    uint64_t disk_slow_us_max;
    uint64_t durable_us_max; /* durable writes take up to so much; 0 = as long as others */
    uint32_t slow_core;      /* 0 = none, or 1 + the core whose durable writes take slow_core_us */
    uint64_t slow_core_us;
    uint32_t stall; /* per turn: the core stands still for up to stall_us_max */
    uint64_t stall_us_max;
    uint64_t doorbell_us_max; /* doorbells are late by up to so much */
    uint32_t doorbell_lost;   /* that never comes; the sleeper's own time limit finds the message */
    uint32_t net_reset;       /* per piece sent: the connection breaks */
    uint32_t net_stall;       /* per piece sent: it arrives up to net_stall_us_max later */
    uint64_t net_stall_us_max;
    uint32_t net_split_percent; /* of the sends that are cut anywhere */
    uint32_t net_window_bytes;
    uint32_t rest_percent; /* of the legal points in loops where a fiber gives up its core early */
    uint32_t vary_percent; /* of the choices that core_varies() asks for */
};
struct io_sim_faults *io_sim_faults(void);
extern const struct io_sim_faults io_sim_usual_faults; /* as after a reset */

/* nth counts writes (or reads, syncs) that start from now on, 1 = the next; 0 = none. */
enum io_sim_fault { IO_SIM_EIO, IO_SIM_ENOSPC, IO_SIM_POWER_LOSS };
void io_sim_fail_write(uint64_t nth, enum io_sim_fault fault);
void io_sim_fail_read(uint64_t nth);
void io_sim_fail_sync(uint64_t nth, enum io_sim_fault fault);
/* From now on the disk has room for so many bytes more (UINT64_MAX = no limit). */
void io_sim_disk_room(uint64_t bytes);
uint64_t io_sim_disk_room_left(void);
/* Where the world ends, counted from now. With is_kill only the process ends: what it wrote stays
 * in the system's cache, requests under way may still happen, and the disk lives on. */
enum io_sim_end {
    IO_SIM_END_STEP,   /* the nth step: a request's beginning or end, a change of a name */
    IO_SIM_END_SYNC,   /* the nth sync begins, and makes nothing durable any more */
    IO_SIM_END_SYNCED, /* `more` steps after the nth sync has ended */
    IO_SIM_END_STUCK,  /* the nth durable write (O_DSYNC) does not end, the world `more` us later */
};
/* nth = 0: not. */
void io_sim_end_at(enum io_sim_end where, uint64_t nth, uint64_t more, bool is_kill);
uint64_t io_sim_disk_steps(void); /* so far */
/* Now, from any fiber: does not return before the world ends. */
void io_sim_power_loss(void);
void io_sim_end_now(bool is_kill);
bool io_sim_power_was_lost(void); /* the world ended that way, or by io_sim_end_at() */
uint64_t io_sim_write_count(void);
struct io_sim_write {
    uint64_t offset;
    uint64_t fresh;  /* offset of the first byte that it changed */
    uint64_t serial; /* order among the completions of all files */
    uint32_t len;
};
/* The durable write to this file that completed `back` before the last one (0 = the last). false:
 * that is not known, or there was none. */
bool io_sim_durable_write(const char *path, uint32_t back, struct io_sim_write *out);
/* A byte of what is stored now; false: no such file or offset. */
bool io_sim_peek(const char *path, uint64_t offset, uint8_t *byte);
/* Turns one bit of what is stored. false: no such file or offset. */
bool io_sim_flip_bit(const char *path, uint64_t offset, uint32_t bit);
/* Size of a file as it is now; false when there is none. */
bool io_sim_file_size(const char *path, uint64_t *bytes);
/* Doorbells arrive late by up to so much (default 50). */
void io_sim_doorbell_delay_us(uint64_t us_max);
/* How many messages have found their link full, up to the last world's end. */
uint64_t io_sim_full_links(void);
/* Links of so many slots in the next core_run() (a power of two; 0 = as usual). */
void io_sim_link_slots(uint32_t slots);
/* A core stands still for so long. */
void io_sim_stall(uint32_t core, uint64_t us);

#endif
