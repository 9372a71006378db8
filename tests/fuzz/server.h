/*
 * A whole server inside the fuzzer's process, on a scratch directory, and a client over its Unix
 * socket. The server runs on threads of its own; a crash, assertion or sanitizer report in any of
 * them ends the process, and libFuzzer keeps the input.
 */
#ifndef TESTS_FUZZ_SERVER_H
#define TESTS_FUZZ_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Starts the server (2 shards on one core) and runs the statements. Once. */
void fuzz_server_start(const char *const *statements, size_t count);

struct fuzz_client;
/* raw: nothing is sent; else the startup packet is, and the answer read. */
struct fuzz_client *fuzz_connect(bool raw);
void fuzz_send(struct fuzz_client *c, const void *bytes, size_t len);
void fuzz_message(struct fuzz_client *c, char type, const void *body, size_t len);
void fuzz_query(struct fuzz_client *c, const char *text); /* and reads to ReadyForQuery */
/* Reads messages up to one of these types; 0 when the server has closed. Aborts when nothing comes
 * for too long: a hang. */
char fuzz_read_to(struct fuzz_client *c, const char *types);
/* No more will be sent; reads to the end. */
void fuzz_close(struct fuzz_client *c);

#endif
