/* TLS over byte buffers: no socket of its own. One context per process, one tls per connection. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "core/arena.h"

struct tls_context;
struct tls;
err_t tls_context_new(const char *cert_file, const char *key_file, struct tls_context **out);
void tls_context_free(struct tls_context *c);

struct tls *tls_new(struct tls_context *c);
void tls_free(struct tls *t);
/* Its pieces of core memory, when it goes to another core. */
void tls_memory(struct tls *t, void (*piece)(void *p));
/* Bytes from the peer. Decrypted ones go to plain(owner, bytes, len). false: the stream is broken.
 */
bool tls_receive(struct tls *t, const uint8_t *bytes, size_t len,
                 void (*plain)(void *owner, const uint8_t *bytes, size_t len), void *owner);
/* Encrypt for the peer; take the result with tls_output. false: the stream is broken. */
bool tls_send(struct tls *t, const void *bytes, size_t len);
/* Bytes to be written to the socket, up to room; 0 = none. */
size_t tls_output(struct tls *t, uint8_t *out, size_t room);
bool tls_is_ready(const struct tls *t); /* handshake done */

#endif
