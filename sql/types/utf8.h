/*
 * UTF-8, the only server encoding: validity, characters and code points of text bytes. Functions
 * other than utf8_check expect valid text.
 */
#ifndef SQL_TYPES_UTF8_H
#define SQL_TYPES_UTF8_H

#include "core/err.h"

#include <wctype.h>

/* ERR_CHARACTER_NOT_IN_REPERTOIRE, also for a zero byte. */
err_t utf8_check(const void *text, size_t len);
/* Bytes of the longest prefix with at most `characters` characters. */
size_t utf8_clip(const void *text, size_t len, size_t characters);
/* Bytes of the longest prefix of whole characters with at most `bytes` bytes. */
size_t utf8_clip_bytes(const void *text, size_t len, size_t bytes);
size_t utf8_length(const void *text, size_t len); /* characters */
/* Case mapping and classes of the C.UTF-8 locale, whatever the process runs in. */
uint32_t utf8_to_upper(uint32_t code);
uint32_t utf8_to_lower(uint32_t code);
bool utf8_is_alnum(uint32_t code);
bool utf8_is_alpha(uint32_t code);

static inline uint32_t utf8_char_bytes(uint8_t first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}
/* Code point at p (valid text). */
static inline uint32_t utf8_decode(const uint8_t *p)
{
    if (p[0] < 0x80)
        return p[0];
    if (p[0] < 0xe0)
        return ((uint32_t)(p[0] & 0x1f) << 6) | (p[1] & 0x3f);
    if (p[0] < 0xf0)
        return ((uint32_t)(p[0] & 0x0f) << 12) | ((uint32_t)(p[1] & 0x3f) << 6) | (p[2] & 0x3f);
    return ((uint32_t)(p[0] & 0x07) << 18) | ((uint32_t)(p[1] & 0x3f) << 12) |
           ((uint32_t)(p[2] & 0x3f) << 6) | (p[3] & 0x3f);
}
/* Writes up to 4 bytes, returns how many. */
static inline uint32_t utf8_encode(uint32_t code, uint8_t *p)
{
    if (code < 0x80) {
        p[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        p[0] = (uint8_t)(0xc0 | (code >> 6));
        p[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        p[0] = (uint8_t)(0xe0 | (code >> 12));
        p[1] = (uint8_t)(0x80 | ((code >> 6) & 0x3f));
        p[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    p[0] = (uint8_t)(0xf0 | (code >> 18));
    p[1] = (uint8_t)(0x80 | ((code >> 12) & 0x3f));
    p[2] = (uint8_t)(0x80 | ((code >> 6) & 0x3f));
    p[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

#endif
