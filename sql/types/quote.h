/* Quoting of identifiers and literals as SQL text wants them. */
#ifndef SQL_TYPES_QUOTE_H
#define SQL_TYPES_QUOTE_H

#include "core/arena.h"

/* name or "name": quoted unless it is a lower-case identifier that is not a reserved word. */
const char *quote_identifier(struct arena *mem, const char *name);
bool quote_identifier_needed(const char *name, size_t len);
/* Appends 'text', or E'text' when it holds a backslash. */
err_t quote_literal(struct strbuf *out, const char *text, size_t len);

#endif
