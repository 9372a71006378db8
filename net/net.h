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
/* Ends all connections (57P01) and waits until they are gone; smart: waits without ending them. */
SUSPENDS void net_drain_wait(bool smart);
uint32_t net_connection_count(void);

#endif
