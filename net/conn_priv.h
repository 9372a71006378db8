/* A client connection; shared by the files of net only. */
#ifndef NET_CONN_PRIV_H
#define NET_CONN_PRIV_H

#include "core/io.h"
#include "core/stats.h"
#include "net/hba.h"
#include "net/net.h"
#include "net/scram.h"
#include "net/tls.h"
#include "sql/sql.h"

enum {
    STARTUP_BYTES_MAX = 10000,
    MESSAGE_BYTES_MAX = 0x3fffffff,
    SMALL_BYTES_MAX = 10000,     /* of messages that carry no text of queries and no values */
    INPUT_PAUSE_BYTES = 1 << 20, /* unread input above which reading stops */
    OUTPUT_FLUSH_BYTES = 32 << 10,
    CODE_CANCEL = 80877102, /* in the place of the start-up packet's version */
    REPLY_COPY_BYTES_MAX = 4 << 10,
};

enum conn_phase { CONN_STARTUP, CONN_READY, CONN_CLOSING };

struct bytes { /* growing buffer on the core's heap; none while empty */
    uint8_t *data;
    size_t begin; /* consumed */
    size_t end;
    size_t capacity;
};

/* Access: all on the connection's core. */
struct conn {
    struct conn *next;
    struct conn *prev;
    struct conn *fiber_next; /* waits for a fiber */
    struct io_socket *socket;
    struct io_peer *peer; /* until it is logged in */
    enum conn_phase phase;
    struct tls *tls;
    struct bytes in;
    struct bytes out;
    size_t message_at; /* in out: where the message being built began */
    struct session *session;
    struct row_sink *sink; /* on the stack of its fiber */
    struct arena *scratch; /* of the running request */
    bool fiber_runs;       /* or is waited for */
    uint64_t arrived_at;   /* stats_clock() when the fiber was started for a message */
    bool closed;           /* the stream has ended; freed when the fiber is done */
    bool paused;
    bool skip_to_sync; /* after an error in the extended protocol */
    bool speaks_old;   /* a protocol before 3.0: errors are told as a bare text */
    bool lost_sync;    /* something else than data came within COPY: no more is understood */
    bool send_failed;
    bool out_tells; /* out holds rows or an error: what was observed must be durable before it goes
                     */
    bool ending;    /* X received or a FATAL error sent */
    err_t end_reason; /* set from outside (shutdown, timeout); told to the client */
    const char *end_message;
    struct wait_queue input_arrived;
    uint64_t ready_us;  /* when it was logged in */
    struct timer timer; /* authentication, idle */
    uint64_t timer_us;
    bool timer_runs;
    bool moves; /* to another core, when its output is gone */
    uint32_t move_to;
    struct session_move *move; /* on its way, with its descriptor: */
    int moved_fd;
    uint32_t moved_from;
    bool counted;
};

/* server.c */
const struct hba *net_hba(void);
struct tls_context *net_tls(void);
void net_conn_gone(void);           /* this core lost a connection */
void net_conn_moved(uint32_t from); /* one came from that core to this one */
bool net_is_stopping(void);
extern const char net_end_message[];
bool net_ends_sessions(void);            /* the server stops without waiting for them */
err_t net_check_room(bool is_superuser); /* ERR_TOO_MANY_CONNECTIONS */

/* conn.c */
void conn_adopt(int os_fd);
void conn_end_all(err_t reason, const char *message); /* on this core */
uint32_t conn_count_local(void);
void conn_logged_in(struct conn *c); /* the session is open: messages from now on */
void conn_input(void *owner, const uint8_t *bytes, size_t len);
/* Next whole message with its length known to be there, or waits; *body points into c->in until the
 * next call. ERR_CONNECTION_FAILURE when the stream has ended. */
SUSPENDS err_t conn_read_message_wait(struct conn *c, uint8_t *type, const uint8_t **body,
                                      size_t *len);
/* Sends what out holds. Rows and errors wait until what the transaction observed is durable; a bare
 * command tag in a transaction block tells nothing that its commit will not wait for. */
SUSPENDS err_t conn_flush_wait(struct conn *c);
SUSPENDS void conn_startup_wait(struct conn *c);
SUSPENDS void conn_serve_wait(struct conn *c);
bool conn_has_message(const struct conn *c);
void conn_consume(struct conn *c, size_t len);

/* wire_out.c: building messages */
void out_begin(struct conn *c, uint8_t type);
void out_end(struct conn *c);
void out_u8(struct conn *c, uint8_t v);
void out_u16(struct conn *c, uint16_t v);
void out_u32(struct conn *c, uint32_t v);
void out_bytes(struct conn *c, const void *bytes, size_t len);
void out_string(struct conn *c, const char *s); /* with its NUL */
void out_error(struct conn *c, const char *severity, const struct diag *d, bool is_notice);
void bytes_append(struct bytes *b, const void *data, size_t len);
uint8_t *bytes_room(struct bytes *b, size_t len);
void bytes_free(struct bytes *b);

/* sink.c */
void sink_init(struct row_sink *sink, struct conn *c);

/* auth.c */
SUSPENDS err_t auth_check_wait(struct conn *c, const char *user, const char *database,
                               bool *is_superuser);

#endif
