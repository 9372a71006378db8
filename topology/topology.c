/* Facts of the machine, read through hwloc. */
#include "topology/topology.h"

#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail(char *error, const char *text)
{
    snprintf(error, TOPOLOGY_ERROR_BYTES, "%s", text);
    return false;
}

static int cpu_compare(const void *a, const void *b)
{
    const struct topology_cpu *x = a;
    const struct topology_cpu *y = b;
    return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

static int node_compare(const void *a, const void *b)
{
    const struct topology_node *x = a;
    const struct topology_node *y = b;
    return (x->node > y->node) - (x->node < y->node);
}

/* The node whose CPU set holds this one; the first node where hwloc does not know. */
static int node_of(hwloc_topology_t hw, hwloc_obj_t pu)
{
    hwloc_obj_t node = NULL;
    while ((node = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_NUMANODE, node)) != NULL)
        if (node->cpuset != NULL && hwloc_bitmap_isset(node->cpuset, pu->os_index) == 1)
            return (int)node->os_index;
    return 0;
}

static void read_nodes(hwloc_topology_t hw, struct topology *out)
{
    hwloc_obj_t node = NULL;
    while ((node = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_NUMANODE, node)) != NULL)
        out->nodes[out->node_count++] = (struct topology_node){
            .node = (int)node->os_index, .memory_bytes = node->attr->numanode.local_memory};
    if (out->node_count == 0)
        out->nodes[out->node_count++] = (struct topology_node){.node = 0};
    qsort(out->nodes, out->node_count, sizeof(*out->nodes), node_compare);
}

static void read_cpus(hwloc_topology_t hw, struct topology *out)
{
    hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(hw);
    hwloc_obj_t pu = NULL;
    while ((pu = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_PU, pu)) != NULL &&
           out->cpu_count < TOPOLOGY_CPU_MAX) {
        hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(hw, HWLOC_OBJ_CORE, pu);
        struct topology_cpu *c = &out->cpus[out->cpu_count++];
        *c = (struct topology_cpu){
            .cpu = (int)pu->os_index,
            .node = node_of(hw, pu),
            .core = core != NULL ? (int)core->logical_index : (int)pu->logical_index,
            .is_usable = hwloc_bitmap_isset(allowed, pu->os_index) == 1,
        };
    }
    qsort(out->cpus, out->cpu_count, sizeof(*out->cpus), cpu_compare);
    int *siblings = calloc(TOPOLOGY_CPU_MAX, sizeof(*siblings));
    if (siblings == NULL)
        return;
    for (uint32_t i = 0; i < out->cpu_count; i++) {
        struct topology_cpu *c = &out->cpus[i];
        if (c->core >= 0 && c->core < TOPOLOGY_CPU_MAX)
            c->smt_index = siblings[c->core]++;
    }
    free(siblings);
}

/* The affinity mask we were started with narrows what is usable (taskset, containers). */
static void apply_affinity(hwloc_topology_t hw, struct topology *out)
{
    hwloc_cpuset_t mask = hwloc_bitmap_alloc();
    if (mask == NULL)
        return;
    if (hwloc_get_cpubind(hw, mask, HWLOC_CPUBIND_PROCESS) == 0 && !hwloc_bitmap_iszero(mask))
        for (uint32_t i = 0; i < out->cpu_count; i++)
            if (hwloc_bitmap_isset(mask, (unsigned)out->cpus[i].cpu) != 1)
                out->cpus[i].is_usable = false;
    hwloc_bitmap_free(mask);
}

bool topology_discover(const char *synthetic, struct topology *out,
                       char error[TOPOLOGY_ERROR_BYTES])
{
    *out = (struct topology){0};
    hwloc_topology_t hw;
    if (hwloc_topology_init(&hw) != 0)
        return fail(error, "could not set up hwloc");
    if (synthetic != NULL && hwloc_topology_set_synthetic(hw, synthetic) != 0) {
        hwloc_topology_destroy(hw);
        snprintf(error, TOPOLOGY_ERROR_BYTES, "invalid description of a topology: \"%s\"",
                 synthetic);
        return false;
    }
    if (hwloc_topology_load(hw) != 0) {
        hwloc_topology_destroy(hw);
        return fail(error, "could not read the machine's topology");
    }
    out->cpus = calloc(TOPOLOGY_CPU_MAX, sizeof(*out->cpus));
    int node_count = hwloc_get_nbobjs_by_type(hw, HWLOC_OBJ_NUMANODE);
    out->nodes = calloc(node_count > 0 ? (size_t)node_count : 1, sizeof(*out->nodes));
    if (out->cpus == NULL || out->nodes == NULL) {
        hwloc_topology_destroy(hw);
        topology_free(out);
        return fail(error, "out of memory");
    }
    read_nodes(hw, out);
    read_cpus(hw, out);
    if (synthetic == NULL)
        apply_affinity(hw, out);
    hwloc_topology_destroy(hw);
    if (out->cpu_count == 0) {
        topology_free(out);
        return fail(error, "the machine shows no CPUs");
    }
    return true;
}

void topology_free(struct topology *t)
{
    free(t->cpus);
    free(t->nodes);
    *t = (struct topology){0};
}
