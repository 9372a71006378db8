/*
 * COPY: rows from bytes and bytes from rows, in the formats text, csv and binary. The bytes come
 * and go through callbacks that sql/session connects to the client or to a file.
 */
#ifndef SQL_EXEC_COPY_H
#define SQL_EXEC_COPY_H

#include "sql/analyze/utility.h"
#include "sql/exec/writer.h"

enum copy_format { COPY_TEXT, COPY_CSV, COPY_BINARY };
enum copy_header { COPY_HEADER_NONE, COPY_HEADER_SKIP, COPY_HEADER_MATCH };

struct copy_options {
    enum copy_format format;
    enum copy_header header;
    char delimiter;
    char quote;
    char escape;
    const char *null_text;
    bool *force_quote; /* per copied column; never NULL */
    bool *force_not_null;
    bool *force_null;
};
/* Checks the statement's options as PostgreSQL does. names: of the copied columns. */
err_t copy_options_parse(const struct utility *u, const char *const *names, uint32_t name_count,
                         struct arena *mem, struct copy_options *out);

struct copy_from {
    const struct copy_options *options;
    struct plan_table *table;
    uint32_t column_count;
    const int16_t *columns; /* attnos in the order of the fields */
    struct expr **defaults; /* per table column that is not copied; NULL entry = NULL */
    struct expr *where;     /* over slot 0 = table row; NULL */
    struct txn *txn;
    const struct session_env *env;
    struct constraint_queue *constraints; /* the session's */
    /* Next chunk of bytes, *len 0 at the end; valid until the next call. May suspend. */
    err_t (*read)(void *owner, const uint8_t **data, size_t *len);
    void *owner;
};
/* Errors carry "COPY t, line 3, column a: ..." as context. */
SUSPENDS err_t copy_from_wait(const struct copy_from *c, uint64_t *rows);

struct copy_to {
    const struct copy_options *options;
    uint32_t column_count;
    const char **names;
    const oid *types;
    const struct session_env *env;
    struct exec *exec; /* started; the first column_count columns are copied */
    /* One row's bytes per call (and the header, the trailer). May suspend. */
    err_t (*write)(void *owner, const uint8_t *data, size_t len);
    void *owner;
};
SUSPENDS err_t copy_to_wait(const struct copy_to *c, uint64_t *rows);

#endif
