/* Characters of input text: ASCII whatever the locale. */
#ifndef SQL_TYPES_CHARS_H
#define SQL_TYPES_CHARS_H

#include "core/err.h"

static inline bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline void trim_spaces(const char **text, size_t *len)
{
    while (*len > 0 && is_space((*text)[0])) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && is_space((*text)[*len - 1]))
        (*len)--;
}
static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
/* Hex digits, white space between pairs allowed; to has room for len / 2 bytes. */
err_t hex_decode(const char *text, size_t len, uint8_t *to, size_t *bytes);

#endif
