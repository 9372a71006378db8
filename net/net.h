/*
 * The server's network side: listening, connections, authentication, TLS. Started by tools/server.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "core/io.h"

struct net_options {
    const char *listen_addresses; /* comma-separated; "" = none */
    uint16_t port;
    const char *unix_socket_directory; /* "" = none */
    uint32_t connections_max;
    uint32_t reserved_connections; /* of them for superusers */
    const char *hba_file;
    const char *tls_cert_file; /* NULL = no TLS */
    const char *tls_key_file;
};
/* Opens the listeners on this core (connections are dealt out to all cores). Errors: bad hba file
 * with file and line, address in use, bad certificate. */
SUSPENDS err_t net_start_wait(const struct net_options *o);
/* SIGHUP: reads the hba file and certificate again; on error the old ones stay and the error is
 * returned. */
SUSPENDS err_t net_reload_wait(void);
/* Stops listening. */
void net_stop_listening(void);
/* No new sessions from now on; with end_sessions those that run are ended (57P01). Waits a moment;
 * true when no connection is left. Called again until then, so that a fast shutdown can overtake a
 * smart one. */
SUSPENDS bool net_drain_wait(bool end_sessions);
uint32_t net_connection_count(void);

#endif
