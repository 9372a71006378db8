/*
 * What the machine is (CPUs, SMT siblings, NUMA nodes) and where the core threads go. Facts come
 * from hwloc, or from a synthetic description for tests. The plan is a pure function of facts and
 * configuration.
 */
#ifndef TOPOLOGY_TOPOLOGY_H
#define TOPOLOGY_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOPOLOGY_CPU_MAX = 4096, TOPOLOGY_CORE_MAX = 256, TOPOLOGY_ERROR_BYTES = 256 };

struct topology_cpu {
    int cpu;        /* the system's number */
    int node;       /* NUMA node's number */
    int core;       /* physical core, unique over the machine; siblings share it */
    int smt_index;  /* 0 = first sibling of its core */
    bool is_usable; /* in this process's affinity mask */
};

struct topology_node {
    int node;
    uint64_t memory_bytes;
};

struct topology {
    struct topology_cpu *cpus; /* by number */
    uint32_t cpu_count;
    struct topology_node *nodes; /* by number */
    uint32_t node_count;
};

/* false: error is filled. synthetic = NULL: this machine; else hwloc's description, for example
 * "NUMANode:2 Core:8 PU:2". */
bool topology_discover(const char *synthetic, struct topology *out,
                       char error[TOPOLOGY_ERROR_BYTES]);
void topology_free(struct topology *t);

enum topology_memory_policy {
    TOPOLOGY_MEMORY_LOCAL,      /* the CPU's own node */
    TOPOLOGY_MEMORY_INTERLEAVE, /* nodes in turn, whatever the CPU */
    TOPOLOGY_MEMORY_NONE,       /* as the kernel likes */
};

struct placement_config {
    const char *cores;     /* "auto" (first sibling of each usable physical core) or a list of CPU
                            * numbers and ranges, "0-7,16"; a CPU may be named more than once */
    uint32_t core_threads; /* 0 = one per CPU chosen; else this many, CPUs round robin */
    enum topology_memory_policy memory;
    uint32_t shard_count;  /* 0 = one per core thread; at least the core threads */
    uint64_t buffer_bytes; /* shared_buffers, all together */
    /* node<N>.shared_buffers: bytes for the cores of that node; 0 = its share of buffer_bytes. */
    uint64_t (*node_buffer_bytes)(void *owner, int node);
    void *owner;
};

struct placement_core {
    int cpu;
    int node;        /* of the CPU */
    int memory_node; /* -1 = any */
    uint32_t shard_first;
    uint32_t shard_count;  /* shards shard_first, shard_first + 1, ... */
    uint64_t buffer_bytes; /* of all its shards */
};

struct placement {
    struct placement_core *cores;
    uint32_t core_count;
    uint32_t shard_count;
    bool is_oversubscribed; /* a CPU has more than one thread: do not poll */
};

bool placement_make(const struct topology *t, const struct placement_config *config,
                    struct placement *out, char error[TOPOLOGY_ERROR_BYTES]);
void placement_free(struct placement *p);
/* The core that owns a shard. */
uint32_t placement_shard_core(const struct placement *p, uint32_t shard);

#endif
