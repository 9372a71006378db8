/* Sessions of the running core by pid. */
#ifndef SQL_SESSION_REGISTRY_H
#define SQL_SESSION_REGISTRY_H

#include <stdint.h>

struct session;
/* NULL when this core has no session of that number. */
struct session *session_find_local(uint32_t pid);
void session_each_local(void (*fn)(void *ctx, struct session *s), void *ctx);

#endif
