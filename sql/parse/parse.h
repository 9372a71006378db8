/*
 * Text to raw parse trees by libpg_query (PostgreSQL 15's grammar). The trees are PostgreSQL's own
 * nodes and are read in sql/parse and sql/analyze only (sql/parse/nodes.h includes the server
 * headers).
 */
#ifndef SQL_PARSE_PARSE_H
#define SQL_PARSE_PARSE_H

#include "core/arena.h"

struct raw_statement {
    void *node;       /* PostgreSQL Node * of the statement itself */
    int32_t location; /* byte offset in the text */
    int32_t length;   /* bytes; 0 = to the end */
};
struct parsed {
    struct raw_statement *statements;
    uint32_t count;
    void *memory; /* of the trees */
};
/* Runs on the core's big stack, does not suspend. ERR_SYNTAX_ERROR with position (in characters)
 * and PostgreSQL's message. The trees live until parse_free. */
err_t parse_text(const char *text, struct arena *mem, struct parsed **out);
void parse_free(struct parsed *p);
/* Command tag for a statement that cannot be analysed any further ("CREATE FUNCTION"), for 0A000
 * texts and for the aborted-transaction check. */
const char *parse_command_tag(const struct raw_statement *s);
/* COMMIT, ROLLBACK, ROLLBACK TO, PREPARE TRANSACTION...: allowed in an aborted transaction. */
bool parse_is_transaction_exit(const struct raw_statement *s);

#endif
