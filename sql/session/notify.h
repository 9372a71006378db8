/*
 * LISTEN and NOTIFY. See the header comments of notify.c (the session's side) and notify_queue.c
 * (between cores). For the files of sql/session only.
 */
#ifndef SQL_SESSION_NOTIFY_H
#define SQL_SESSION_NOTIFY_H

#include "core/core.h"
#include "sql/types/types.h"

struct session;
struct notify_session;

enum {
    NOTIFY_CHANNEL_BYTES_MAX = 63,
    NOTIFY_PAYLOAD_BYTES_MAX = 7999,
    NOTIFY_QUEUE_BYTES_MAX = 64 << 20, /* of one desk: committed, not yet taken by all listeners */
};

/* ---- chained hash table of embedded nodes; grows ---- */

struct notify_node {
    struct notify_node *next;
    uint64_t hash;
};
struct notify_table {
    struct notify_node **buckets;
    uint32_t mask;
    uint32_t count;
};

/* ---- what travels ---- */

enum batch_state { BATCH_RESERVED, BATCH_COMMITTED, BATCH_DROPPED };

/* The notifications of one transaction. Made by the session's core and freed there; immutable from
 * its release on but for what is marked d = used by the desk only. */
struct notify_batch {
    struct notify_batch *next; /* d: in the desk's order */
    enum batch_state state;    /* d */
    uint32_t holders;          /* d: cores that have not given it back, and the desk itself */
    uint64_t slot;             /* d, then read by all: place in the desk's order, from 1 */
    uint32_t home;             /* core that made it */
    uint32_t desk;             /* core that orders it */
    oid database;
    uint32_t pid; /* of the sender */
    uint32_t count;
    uint32_t bytes; /* of text and head, for the queue's limit */
    char text[];    /* count times: channel, NUL, payload, NUL */
};

/* A batch that came to this core and that listeners here have not all seen yet. */
struct notify_arrival {
    struct notify_arrival *next;
    struct notify_batch *batch;
    uint32_t waiters; /* sessions whose next unseen batch it is */
};

/* A channel with listeners on this core. */
struct notify_channel {
    struct notify_node node;
    oid database;
    uint32_t holds; /* listeners, and transactions that are about to become some */
    bool is_known;  /* the desk sends us its batches */
    struct wait_queue becomes_known;
    struct listening *first; /* sessions, newest first */
    char name[];
};

/* One session on one channel. */
struct listening {
    struct notify_node node; /* by session and channel */
    struct notify_session *owner;
    struct notify_channel *channel;
    struct listening *session_next; /* in order of LISTEN */
    struct listening *session_prev;
    struct listening *channel_next;
    struct listening *channel_prev;
};

/* ---- notify_queue.c ---- */

uint32_t notify_desk_of(oid database);
/* A hold on a channel of this core; the desk knows of it on return. Not interruptible. */
SUSPENDS struct notify_channel *notify_channel_hold_wait(oid database, const char *name);
void notify_channel_release(struct notify_channel *c);
struct notify_channel *notify_channel_find(oid database, const char *name);
/* Takes over a hold. */
struct listening *listening_add(struct notify_session *n, struct notify_channel *c);
struct listening *listening_find(const struct notify_session *n, const struct notify_channel *c);
void listening_remove(struct listening *l); /* and gives its hold back */

/* A place in the order of commits, taken before the commit. ERR_PROGRAM_LIMIT_EXCEEDED when the
 * queue is full. */
SUSPENDS err_t notify_reserve_wait(struct notify_batch *b);
/* Committed or not: goes to the listeners when all before it have. The batch is given away. */
void notify_release(struct notify_batch *b, bool is_committed);
/* Until the desk's batches up to slot have come to this core. Not interruptible. */
SUSPENDS void notify_arrived_wait(uint32_t desk, uint64_t slot);
void notify_arrival_leave(struct notify_arrival *a);
/* Everything that the desk has sent so far to this core has come; returns the last such slot. Not
 * interruptible. */
SUSPENDS uint64_t notify_caught_up_wait(uint32_t desk);
SUSPENDS double notify_usage_wait(oid database);

/* ---- notify.c ---- */

/* A batch for it has come to this core. */
void notify_session_arrived(struct notify_session *n, struct notify_arrival *a);

struct notify_mark { /* for savepoints */
    uint32_t notifications;
    uint32_t actions;
};

void notify_listen(struct session *s, const char *channel);
void notify_unlisten(struct session *s, const char *channel); /* NULL = all */
void notify_unlisten_now(struct session *s);                  /* all, at once: the session ends */
err_t notify_send(struct session *s, const char *channel, const char *payload);
/* The transaction has executed LISTEN, UNLISTEN or NOTIFY. */
bool notify_is_pending(const struct session *s);
struct notify_mark notify_mark(const struct session *s);
void notify_rollback_to(struct session *s, struct notify_mark mark);
/* Around the commit: what may fail comes before it. */
SUSPENDS err_t notify_before_commit_wait(struct session *s);
SUSPENDS void notify_after_commit_wait(struct session *s, bool is_committed);
void notify_abort(struct session *s);

/*
 * To another core: prepare makes ready there (listens to the same channels), before anything else
 * of the session goes; then leave, on the old core, and join, on the new one; or forget, on the old
 * core, when it stays after all. NULL: it listens to nothing.
 */
SUSPENDS struct notify_session *notify_prepare_wait(struct session *s, uint32_t to);
SUSPENDS void notify_forget_wait(struct notify_session *prepared, uint32_t to);
SUSPENDS uint64_t notify_caught_up_session_wait(struct session *s);
void notify_leave(struct session *s, struct notify_session *prepared, uint64_t until);
void notify_join(struct session *s);
void notify_memory(struct session *s, void (*piece)(void *p));

err_t notify_channels(const struct session *s, struct arena *mem, const char *const **names,
                      uint32_t *count);

#endif
