/* The placement plan of a server: settings in, threads out. */
#include "tools/server_placement.h"

#include "core/settings.h"

static uint64_t placement_node_bytes(void *owner, int node)
{
    (void)owner;
    const char *text = settings_node_value((uint32_t)node, "shared_buffers");
    uint64_t bytes = 0;
    if (text && setting_parse_bytes(text, &bytes) != ERR_OK)
        return 0; /* the value was checked when the file was read */
    return bytes;
}

static enum topology_memory_policy placement_policy(void)
{
    const char *policy = setting_string(NULL, SET_numa_policy);
    if (strcmp(policy, "interleave") == 0)
        return TOPOLOGY_MEMORY_INTERLEAVE;
    return strcmp(policy, "none") == 0 ? TOPOLOGY_MEMORY_NONE : TOPOLOGY_MEMORY_LOCAL;
}

err_t server_placement_make(struct placement *out)
{
    char error[TOPOLOGY_ERROR_BYTES];
    struct topology facts;
    if (!topology_discover(NULL, &facts, error))
        return err_raise(ERR_CONFIG_FILE_ERROR, "could not discover the machine: %s", error);
    struct placement_config config = {
        .cores = setting_string(NULL, SET_cores),
        .core_threads = (uint32_t)setting_int(NULL, SET_core_threads),
        .memory = placement_policy(),
        .shard_count = (uint32_t)setting_int(NULL, SET_shard_count),
        .buffer_bytes = (uint64_t)setting_int(NULL, SET_shared_buffers) * 8192,
        .node_buffer_bytes = placement_node_bytes,
    };
    bool ok = placement_make(&facts, &config, out, error);
    topology_free(&facts);
    return ok ? ERR_OK : err_raise(ERR_CONFIG_FILE_ERROR, "invalid placement of cores: %s", error);
}

void server_core_options(const struct placement *p, struct core_options *out)
{
    static int cpus[CORE_COUNT_MAX];
    static int nodes[CORE_COUNT_MAX];
    for (uint32_t i = 0; i < p->core_count; i++) {
        cpus[i] = p->cores[i].cpu;
        nodes[i] = p->cores[i].memory_node;
    }
    *out = (struct core_options){
        .core_count = p->core_count,
        .cpus = cpus,
        .numa_nodes = nodes,
        .busy_poll_us = p->is_oversubscribed ? 0 : (uint32_t)setting_int(NULL, SET_busy_poll_us),
        .stall_log_us = (uint32_t)setting_int(NULL, SET_stall_log_us),
    };
}
