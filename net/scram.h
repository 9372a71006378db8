/* SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677), and making verifiers. */
#ifndef NET_SCRAM_H
#define NET_SCRAM_H

#include "core/arena.h"

struct scram; /* one exchange; lives in the given arena */

void scram_start(void); /* once per process, before the first exchange */
/* verifier: "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey"; NULL or malformed: a mock exchange
 * that takes as long and always fails. */
struct scram *scram_new(struct arena *mem, const char *user, const char *verifier);
/* client-first → server-first. ERR_PROTOCOL_VIOLATION when malformed. */
err_t scram_first(struct scram *s, const char *message, size_t len, const char **reply);
/* client-final → server-final; *ok says whether the password was right. */
err_t scram_final(struct scram *s, const char *message, size_t len, const char **reply, bool *ok);
/* Heavy (4096 rounds): for init and passwords given in plain text. */
err_t scram_make_verifier(const char *password, struct arena *mem, const char **out);

#endif
