/*
 * The io seam: every file, socket and wake-up of the server goes through here, to io_uring in
 * production and to the simulated world in tests (chosen at link time: core/io_uring.c or
 * core/io_sim.c).
 */
#ifndef CORE_IO_H
#define CORE_IO_H

#include "core/core.h"

/* ---- files ---- */

struct io_file; /* belongs to the core that opened it */

enum {
    IO_READ = 1,
    IO_WRITE = 2,
    IO_CREATE = 4,    /* create when absent */
    IO_EXCLUSIVE = 8, /* with IO_CREATE: ERR_DUPLICATE_FILE when present */
    IO_DIRECT = 16,   /* O_DIRECT: buffers, lengths and offsets multiples of IO_BLOCK_BYTES */
    IO_DSYNC = 32,
    IO_TRUNCATE = 64,
};
enum { IO_BLOCK_BYTES = 4096 };

/* ERR_UNDEFINED_FILE when absent, ERR_DISK_FULL, ERR_IO_ERROR, ERR_INSUFFICIENT_PRIVILEGE. */
SUSPENDS err_t io_open_wait(const char *path, uint32_t flags, uint32_t mode, struct io_file **out);
SUSPENDS void io_close_wait(struct io_file *f);
/* Exactly len bytes; ERR_IO_ERROR on failure, ERR_DATA_CORRUPTED on a premature end of file. */
SUSPENDS err_t io_read_wait(struct io_file *f, void *buf, uint32_t len, uint64_t offset);
/* Up to len bytes; *out_len is less only at the end of the file. */
SUSPENDS err_t io_read_some_wait(struct io_file *f, void *buf, uint32_t len, uint64_t offset,
                                 uint32_t *out_len);
/* All len bytes or an error (ERR_DISK_FULL, ERR_IO_ERROR). */
SUSPENDS err_t io_write_wait(struct io_file *f, const void *buf, uint32_t len, uint64_t offset);
SUSPENDS err_t io_sync_wait(struct io_file *f);                                    /* fdatasync */
SUSPENDS err_t io_allocate_wait(struct io_file *f, uint64_t offset, uint64_t len); /* fallocate */
SUSPENDS err_t io_truncate_wait(struct io_file *f, uint64_t size);
SUSPENDS err_t io_size_wait(struct io_file *f, uint64_t *out);
SUSPENDS err_t io_rename_wait(const char *from, const char *to); /* and syncs the directory */
SUSPENDS err_t io_unlink_wait(const char *path);                 /* absent is fine */
SUSPENDS err_t io_mkdir_wait(const char *path);                  /* present is fine */
SUSPENDS err_t io_sync_dir_wait(const char *path);
/* Names in a directory without "." and "..", sorted, in the arena. */
SUSPENDS err_t io_list_dir_wait(const char *path, struct arena *out, char ***names, size_t *count);
/* Whole small file (config). ERR_PROGRAM_LIMIT_EXCEEDED above max_bytes. NUL-terminated. */
SUSPENDS err_t io_read_file_wait(const char *path, size_t max_bytes, struct arena *out, char **data,
                                 size_t *len);
/* Write a new file under a temporary name, sync, rename over path, sync the directory. */
SUSPENDS err_t io_replace_file_wait(const char *path, const void *data, size_t len, uint32_t mode);

/* Asynchronous: done(req) runs in the reactor when it has completed; may not suspend. The request
 * and buffer must live until then. result: 0 or an error without diagnostics; os_error: errno. */
struct io_request {
    uint64_t private_words[8];
    err_t result;
    int os_error;
    void (*done)(struct io_request *req);
    void *owner;
};
void io_read_start(struct io_request *req, struct io_file *f, void *buf, uint32_t len,
                   uint64_t offset);
void io_write_start(struct io_request *req, struct io_file *f, const void *buf, uint32_t len,
                    uint64_t offset);
void io_sync_start(struct io_request *req, struct io_file *f);

/* IO_BLOCK_BYTES-aligned memory on the core's node; huge pages where they fit. */
void *io_buffer_alloc(size_t bytes);
void io_buffer_free(void *p, size_t bytes);

/* ---- sockets ---- */

struct io_listener;
struct io_socket; /* one connected stream; belongs to one core */

/* accepted(owner, os_fd): in the reactor of the listening core. The descriptor is the callee's: it
 * is adopted here or on another core with io_socket_adopt(). */
err_t io_listen_tcp(const char *host, uint16_t port, uint32_t backlog,
                    void (*accepted)(void *owner, int os_fd), void *owner,
                    struct io_listener **out);
err_t io_listen_unix(const char *path, uint32_t mode, uint32_t backlog,
                     void (*accepted)(void *owner, int os_fd), void *owner,
                     struct io_listener **out);
void io_listener_pause(struct io_listener *l, bool paused);
void io_listener_close(struct io_listener *l);
uint16_t io_listener_port(const struct io_listener *l); /* TCP: the real one when 0 was asked for */

struct io_socket_events {
    /* In the reactor; data is valid during the call only. */
    void (*received)(void *owner, const uint8_t *data, uint32_t len);
    /* Once, when the peer closed or the stream failed (os_error 0 = orderly). No event follows. */
    void (*closed)(void *owner, int os_error);
};
/* Its options are those of the listener that accepted it. */
err_t io_socket_adopt(int os_fd, const struct io_socket_events *events, void *owner,
                      struct io_socket **out);
/* As adopt, for a descriptor that io_socket_release_wait gave: it is settled before its receive is
 * armed. */
err_t io_socket_attach(int os_fd, const struct io_socket_events *events, void *owner,
                       struct io_socket **out);
/* For a socket that is there to stay: its descriptor may move into its ring's table of direct
 * descriptors, which does not count among the process's open files. io_socket_peer() knows nothing
 * of it any more. */
void io_socket_settle(struct io_socket *s);
/* How many sockets all cores can hold. */
uint64_t io_socket_capacity(void);
/* Stop and start reading (back-pressure; data already received by the ring may still come once). */
void io_socket_pause(struct io_socket *s, bool paused);
/* Sends all, in order. The buffer must stay until it returns. A peer that is gone: ERR_CONNECTION_
 * FAILURE. Interruptible only by io_socket_abort. */
SUSPENDS err_t io_socket_send_wait(struct io_socket *s, const void *data, size_t len);
/* Copies (bounded, small replies outside fibers); false when it has no room. */
bool io_socket_send_small(struct io_socket *s, const void *data, uint32_t len);
/* Shut down both ways: a waiting send fails, closed() follows. */
void io_socket_abort(struct io_socket *s);
/* Close after all queued sends; owner gets no more events. */
void io_socket_close(struct io_socket *s);
/* Take the descriptor out, to be attached on another core: waits until all that was to be sent has
 * been taken and no receive is armed any more (bytes that it still has are told before). Then the
 * socket is gone. -1: the stream has ended, or the kernel cannot give the descriptor; the socket
 * goes on as before. Interruptible only by io_socket_abort. */
SUSPENDS int io_socket_release_wait(struct io_socket *s);
struct io_peer {
    bool is_unix;
    uint32_t uid;     /* unix sockets: SO_PEERCRED */
    char address[64]; /* text, empty for unix */
    uint16_t port;
    uint8_t ip[16];
    uint8_t ip_bytes; /* 4, 16 or 0 */
};
void io_socket_peer(const struct io_socket *s, struct io_peer *out);

#endif
