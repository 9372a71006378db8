/*
 * The server on its cores, from storage to network, started and stopped as one thing; by the
 * program percore and by the simulated world.
 */
#ifndef TOOLS_SERVER_H
#define TOOLS_SERVER_H

#include "core/io.h"

struct server_config {
    const char *data_directory;
    bool is_new;            /* no database in it yet, or one whose first start did not finish */
    uint32_t shard_count;   /* of a new one */
    const char *password;   /* of a new one's superuser; NULL = none */
    err_t (*started)(void); /* on the first core when all is up; NULL = nothing to do */
};

enum server_stop { SERVER_RUNS, SERVER_STOP_SMART, SERVER_STOP_FAST };

/* The entry of core_run(); arg is a struct server_config, which lives as long as the cores run. The
 * first core serves; the others only run what is sent to them. */
SUSPENDS void server_entry(void *arg);
/* On the first core, from its reactor or a fiber. */
void server_stop(enum server_stop kind);
/* Did not start, or did not end in order: the exit code is not 0. */
bool server_has_failed(void);

#endif
