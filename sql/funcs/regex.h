/*
 * Regular expressions in PostgreSQL's advanced syntax (ARE), compiled for PCRE2. One difference in
 * meaning is known: where alternatives match different lengths, the first that matches wins, not
 * the longest.
 */
#ifndef SQL_FUNCS_REGEX_H
#define SQL_FUNCS_REGEX_H

#include "sql/expr/call.h"

struct regex;
struct regex_match {
    uint32_t groups; /* subexpressions, without the whole */
    size_t start;    /* bytes of the whole match */
    size_t end;
    const size_t *spans; /* pairs per group from 1 (at index 2); unset = REGEX_UNSET */
};
#define REGEX_UNSET ((size_t)-1)

enum {
    REGEX_ICASE = 1,
    REGEX_EXPANDED = 2,
    REGEX_LITERAL = 4,
    REGEX_NEWLINE_DOT = 8,     /* . and [^...] stop at newlines */
    REGEX_NEWLINE_ANCHOR = 16, /* ^ and $ match at lines */
};
/* Flag letters into flags; g into *global. Letters that the function does not take are errors. */
err_t regex_flags(const char *letters, size_t len, uint32_t *flags, bool *global);
/* The first pattern of a call site stays compiled for the statement, others for the row. */
err_t regex_get(struct call *c, const struct varlen *pattern, uint32_t flags, struct regex **out);
/* Search from a byte offset; *found. spans are valid until the next search. */
err_t regex_search(struct regex *re, const uint8_t *text, size_t len, size_t from, bool *found,
                   struct regex_match *match);
uint32_t regex_groups(const struct regex *re);

#endif
