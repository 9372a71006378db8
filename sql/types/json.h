/* Reading JSON text: tokens with PostgreSQL's errors, for the type's input and for its functions.
 */
#ifndef SQL_TYPES_JSON_H
#define SQL_TYPES_JSON_H

#include "sql/types/types.h"

enum json_token {
    JSON_END,
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_COMMA,
    JSON_COLON,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json_reader {
    struct arena *mem;
    const char *text;
    const char *end;
    const char *p; /* behind the current token */
    enum json_token token;
    const char *start; /* of the current token, with its quotes */
};

/* At the first token. */
err_t json_begin(struct json_reader *r, struct arena *mem, const char *text, size_t len);
err_t json_next(struct json_reader *r);
/* Over the value that begins at the current token; then the token behind it is current. *text,
 * *len: the value as written (NULL: not wanted). */
err_t json_skip(struct json_reader *r, const char **text, size_t *len);
/* The current string token without quotes and escapes. */
err_t json_string(struct json_reader *r, struct strbuf *out);
/* Nothing may follow. */
err_t json_finish(struct json_reader *r);
/* In an object: the key (decoded) and over the colon, so that the value is current; *more false at
 * its end, which is passed. first: right behind the brace. */
err_t json_member(struct json_reader *r, bool first, struct strbuf *key, bool *more);
/* In an array: so that the next element is current; as above. */
err_t json_element(struct json_reader *r, bool first, bool *more);
/* Appends text as a JSON string. */
void json_put_string(struct strbuf *out, const char *text, size_t len);

#endif
