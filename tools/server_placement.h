/* From the machine's facts and the settings to core threads and shards. */
#ifndef TOOLS_SERVER_PLACEMENT_H
#define TOOLS_SERVER_PLACEMENT_H

#include "core/core.h"
#include "topology/topology.h"

/* Plans by cores, core_threads, numa.policy, shard_count, shared_buffers and
 * node<N>.shared_buffers. ERR_CONFIG_FILE_ERROR with the reason. */
err_t server_placement_make(struct placement *out);
/* The plan as core_run takes it; the arrays live for the process. */
void server_core_options(const struct placement *p, struct core_options *out);

#endif
