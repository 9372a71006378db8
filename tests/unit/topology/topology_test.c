/* Synthetic machines and the plans made for them. */
#include "topology/topology.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

static char error[TOPOLOGY_ERROR_BYTES];

static struct topology machine(const char *synthetic)
{
    struct topology t = {0};
    bool ok = topology_discover(synthetic, &t, error);
    CU_ASSERT_TRUE(ok);
    return t;
}

static struct placement plan(const struct topology *t, struct placement_config config)
{
    struct placement p = {0};
    bool ok = placement_make(t, &config, &p, error);
    CU_ASSERT_TRUE(ok);
    if (!ok)
        fprintf(stderr, "%s\n", error);
    return p;
}

static void one_node_two_cores(void)
{
    struct topology t = machine("NUMANode:1 Core:2 PU:1");
    CU_ASSERT_EQUAL(t.cpu_count, 2);
    CU_ASSERT_EQUAL(t.node_count, 1);
    struct placement p = plan(&t, (struct placement_config){.cores = "auto", .buffer_bytes = 1000});
    CU_ASSERT_EQUAL(p.core_count, 2);
    CU_ASSERT_EQUAL(p.shard_count, 2);
    CU_ASSERT_FALSE(p.is_oversubscribed);
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(p.cores[i].cpu, (int)i);
        CU_ASSERT_EQUAL(p.cores[i].memory_node, 0);
        CU_ASSERT_EQUAL(p.cores[i].shard_first, i);
        CU_ASSERT_EQUAL(p.cores[i].shard_count, 1);
        CU_ASSERT_EQUAL(p.cores[i].buffer_bytes, 500);
    }
    placement_free(&p);

    p = plan(&t, (struct placement_config){.cores = "auto", .core_threads = 5, .shard_count = 7});
    CU_ASSERT_EQUAL(p.core_count, 5);
    CU_ASSERT_TRUE(p.is_oversubscribed);
    CU_ASSERT_EQUAL(p.cores[2].cpu, 0);
    CU_ASSERT_EQUAL(p.cores[3].cpu, 1);
    uint32_t owned = 0;
    for (uint32_t s = 0; s < 7; s++) {
        uint32_t core = placement_shard_core(&p, s);
        CU_ASSERT_TRUE(s >= p.cores[core].shard_first &&
                       s < p.cores[core].shard_first + p.cores[core].shard_count);
    }
    for (uint32_t i = 0; i < 5; i++)
        owned += p.cores[i].shard_count;
    CU_ASSERT_EQUAL(owned, 7);
    CU_ASSERT_EQUAL(p.cores[0].shard_count, 2);
    CU_ASSERT_EQUAL(p.cores[4].shard_count, 1);
    placement_free(&p);

    p = plan(&t, (struct placement_config){.cores = "0,1,0, 1"});
    CU_ASSERT_EQUAL(p.core_count, 4);
    CU_ASSERT_TRUE(p.is_oversubscribed);
    placement_free(&p);

    p = plan(&t, (struct placement_config){.cores = "auto", .shard_count = 1});
    CU_ASSERT_EQUAL(p.core_count, 1); /* a shard has one core */
    placement_free(&p);
    topology_free(&t);
}

static uint64_t budget_of_node_1(void *owner, int node)
{
    (void)owner;
    return node == 1 ? 8000 : 0;
}

static void two_nodes_eight_cores(void)
{
    struct topology t = machine("NUMANode:2 Core:8 PU:1");
    CU_ASSERT_EQUAL(t.cpu_count, 16);
    CU_ASSERT_EQUAL(t.node_count, 2);
    struct placement p = plan(&t, (struct placement_config){.cores = "auto",
                                                            .shard_count = 32,
                                                            .buffer_bytes = 40000,
                                                            .node_buffer_bytes = budget_of_node_1});
    CU_ASSERT_EQUAL(p.core_count, 16);
    CU_ASSERT_EQUAL(p.cores[7].memory_node, 0);
    CU_ASSERT_EQUAL(p.cores[8].memory_node, 1);
    CU_ASSERT_EQUAL(p.cores[8].shard_count, 2);
    CU_ASSERT_EQUAL(p.cores[8].buffer_bytes, 1000);
    CU_ASSERT_EQUAL(p.cores[0].buffer_bytes, 4000);
    placement_free(&p);

    p = plan(&t, (struct placement_config){.cores = "4-11", .memory = TOPOLOGY_MEMORY_INTERLEAVE});
    CU_ASSERT_EQUAL(p.core_count, 8);
    CU_ASSERT_EQUAL(p.cores[0].cpu, 4);
    CU_ASSERT_EQUAL(p.cores[0].node, 0);
    CU_ASSERT_EQUAL(p.cores[7].node, 1);
    CU_ASSERT_EQUAL(p.cores[0].memory_node, 0);
    CU_ASSERT_EQUAL(p.cores[1].memory_node, 1);
    placement_free(&p);

    p = plan(&t, (struct placement_config){.cores = "3", .memory = TOPOLOGY_MEMORY_NONE});
    CU_ASSERT_EQUAL(p.core_count, 1);
    CU_ASSERT_EQUAL(p.cores[0].memory_node, -1);
    placement_free(&p);
    topology_free(&t);
}

static void four_nodes_with_siblings(void)
{
    struct topology t = machine("NUMANode:4 Core:16 PU:2");
    CU_ASSERT_EQUAL(t.cpu_count, 128);
    CU_ASSERT_EQUAL(t.node_count, 4);
    struct placement p = plan(&t, (struct placement_config){.cores = "auto"});
    CU_ASSERT_EQUAL(p.core_count, 64);
    CU_ASSERT_FALSE(p.is_oversubscribed);
    int cores_seen[64] = {0};
    for (uint32_t i = 0; i < 64; i++) {
        const struct topology_cpu *cpu = &t.cpus[p.cores[i].cpu];
        CU_ASSERT_EQUAL(cpu->smt_index, 0);
        CU_ASSERT_EQUAL(cores_seen[cpu->core]++, 0); /* no two threads on one physical core */
        CU_ASSERT_EQUAL(p.cores[i].memory_node, cpu->node);
        CU_ASSERT_EQUAL(cpu->node, (int)i / 16);
    }
    placement_free(&p);
    topology_free(&t);
}

static void refuse(const struct topology *t, struct placement_config config, const char *text)
{
    struct placement p;
    CU_ASSERT_FALSE(placement_make(t, &config, &p, error));
    CU_ASSERT_STRING_EQUAL(error, text);
}

static void bad_lists_are_refused(void)
{
    struct topology t = machine("NUMANode:1 Core:2 PU:1");
    refuse(&t, (struct placement_config){.cores = "0-"},
           "invalid range of CPUs in \"cores\": \"0-\"");
    refuse(&t, (struct placement_config){.cores = "1-0"},
           "invalid range of CPUs in \"cores\": \"1-0\"");
    refuse(&t, (struct placement_config){.cores = "x"}, "invalid list of CPUs in \"cores\": \"x\"");
    refuse(&t, (struct placement_config){.cores = "0,"},
           "invalid list of CPUs in \"cores\": \"0,\"");
    refuse(&t, (struct placement_config){.cores = "7"}, "CPU 7 in \"cores\" does not exist");
    refuse(&t, (struct placement_config){.cores = "0", .core_threads = 300},
           "more than 256 core threads");
    refuse(&t, (struct placement_config){.cores = "auto", .core_threads = 2, .shard_count = 1},
           "2 core threads cannot share 1 shards");
    t.cpus[1].is_usable = false;
    refuse(&t, (struct placement_config){.cores = "0-1"},
           "CPU 1 in \"cores\" is not available to this process");
    topology_free(&t);
    struct topology bad;
    CU_ASSERT_FALSE(topology_discover("NUMANode:x", &bad, error));
}

static void this_machine_is_read(void)
{
    struct topology t = machine(NULL);
    CU_ASSERT_TRUE(t.cpu_count >= 1);
    CU_ASSERT_TRUE(t.node_count >= 1);
    struct placement p = plan(&t, (struct placement_config){.cores = "auto"});
    CU_ASSERT_TRUE(p.core_count >= 1);
    placement_free(&p);
    topology_free(&t);
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("topology", NULL, NULL);
    CU_add_test(suite, "one_node_two_cores", one_node_two_cores);
    CU_add_test(suite, "two_nodes_eight_cores", two_nodes_eight_cores);
    CU_add_test(suite, "four_nodes_with_siblings", four_nodes_with_siblings);
    CU_add_test(suite, "bad_lists_are_refused", bad_lists_are_refused);
    CU_add_test(suite, "this_machine_is_read", this_machine_is_read);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed == 0 ? 0 : 1;
}
