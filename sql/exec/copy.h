/*
 * COPY: rows from and to bytes in the text, csv and binary formats. Streaming: bytes come and go in
 * chunks through callbacks that the session connects to the client or to a file.
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
    bool force_quote_all;
    bool *force_quote;    /* per copied column; NULL = none */
    bool *force_not_null; /* likewise */
    bool *force_null;
};
/* From the statement's options, with PostgreSQL's checks and messages. names: the copied columns'.
 */
err_t copy_options_parse(const struct utility *u, const char *const *names, uint32_t count,
                         struct arena *mem, struct copy_options *out);

struct copy_from {
    const struct copy_options *options;
    const struct plan_table *table;
    uint32_t column_count; /* copied ones */
    const int16_t *columns;
    struct expr **defaults; /* per table column: for those not copied; NULL = null */
    struct expr *where;     /* over slot 0 = table row; NULL */
    struct txn *txn;
    const struct session_env *env;
    /* Next chunk, valid until the next call; *len = 0 at the end. May suspend. */
    err_t (*read)(void *owner, const uint8_t **data, size_t *len);
    void *owner;
};
/* Errors carry the context 'COPY t, line 3, column a: "x"'. */
SUSPENDS err_t copy_from_wait(const struct copy_from *c, uint64_t *rows);

struct copy_to {
    const struct copy_options *options;
    uint32_t column_count;
    const char *const *names;
    const oid *types;
    struct exec *exec;
    const struct session_env *env;
    err_t (*write)(void *owner, const uint8_t *data, size_t len); /* a row or more; may suspend */
    void *owner;
};
SUSPENDS err_t copy_to_wait(const struct copy_to *c, uint64_t *rows);

#endif
