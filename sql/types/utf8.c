/*
 * UTF-8 checks and case mapping. The check accepts exactly the well-formed sequences of the Unicode
 * standard (no surrogates, no overlong forms, at most U+10FFFF) without the zero byte. Case mapping
 * goes through a C.UTF-8 locale object made once per process.
 */
#include "sql/types/utf8.h"

#include <locale.h>
#include <stdatomic.h>
#include <stdio.h>

/* Length of the valid sequence at p, 0 when invalid. */
static uint32_t valid_sequence(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];
    if (c < 0x80)
        return c == 0 ? 0 : 1;
    uint32_t n = c >= 0xc2 && c <= 0xdf   ? 2
                 : (c & 0xf0) == 0xe0     ? 3
                 : c >= 0xf0 && c <= 0xf4 ? 4
                                          : 0;
    if (n == 0 || n > left)
        return 0;
    for (uint32_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
        (c == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static COLD err_t raise_invalid(const uint8_t *p, size_t left)
{
    uint32_t n = (p[0] & 0x80) == 0      ? 1
                 : (p[0] & 0xe0) == 0xc0 ? 2
                 : (p[0] & 0xf0) == 0xe0 ? 3
                 : (p[0] & 0xf8) == 0xf0 ? 4
                                         : 1;
    char text[32];
    int at = 0;
    for (uint32_t i = 0; i < n && i < left && i < 4; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "%s0x%02x", i ? " " : "", p[i]);
    return err_raise(ERR_CHARACTER_NOT_IN_REPERTOIRE,
                     "invalid byte sequence for encoding \"UTF8\": %s", text);
}

err_t utf8_check(const void *text, size_t len)
{
    const uint8_t *p = text;
    const uint8_t *end = p + len;
    while (p < end) {
        /* Eight plain ASCII bytes at once: none with the high bit, none zero. */
        while (end - p >= 8) {
            uint64_t w = load_u64(p);
            if (((w | (w - 0x0101010101010101ULL)) & 0x8080808080808080ULL) != 0)
                break;
            p += 8;
        }
        if (p == end)
            break;
        uint32_t n = valid_sequence(p, (size_t)(end - p));
        if (UNLIKELY(n == 0))
            return raise_invalid(p, (size_t)(end - p));
        p += n;
    }
    return ERR_OK;
}

size_t utf8_clip(const void *text, size_t len, size_t characters)
{
    const uint8_t *p = text;
    if (len <= characters)
        return len;
    size_t at = 0;
    while (at < len && characters > 0) {
        at += utf8_char_bytes(p[at]);
        characters--;
    }
    return MIN(at, len);
}

size_t utf8_clip_bytes(const void *text, size_t len, size_t bytes)
{
    const uint8_t *p = text;
    if (len <= bytes)
        return len;
    size_t at = bytes;
    while (at > 0 && (p[at] & 0xc0) == 0x80)
        at--;
    return at;
}

size_t utf8_length(const void *text, size_t len)
{
    const uint8_t *p = text;
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += (p[i] & 0xc0) != 0x80;
    return n;
}

/* Set once, read by all cores; of two that make it at the same moment one wins. */
static _Atomic(locale_t) utf8_locale;
static locale_t ctype_locale(void)
{
    locale_t have = atomic_load_explicit(&utf8_locale, memory_order_acquire);
    if (have != (locale_t)0)
        return have;
    locale_t made = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (made == (locale_t)0)
        made = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
    ASSERT(made != (locale_t)0);
    if (atomic_compare_exchange_strong(&utf8_locale, &have, made))
        return made;
    freelocale(made);
    return have;
}

uint32_t utf8_to_upper(uint32_t code)
{
    if (code < 0x80)
        return code >= 'a' && code <= 'z' ? code - 32 : code;
    return (uint32_t)towupper_l((wint_t)code, ctype_locale());
}

uint32_t utf8_to_lower(uint32_t code)
{
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    return (uint32_t)towlower_l((wint_t)code, ctype_locale());
}

bool utf8_is_alnum(uint32_t code)
{
    if (code < 0x80)
        return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') ||
               (code >= 'A' && code <= 'Z');
    return iswalnum_l((wint_t)code, ctype_locale()) != 0;
}

bool utf8_is_alpha(uint32_t code)
{
    if (code < 0x80)
        return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
    return iswalpha_l((wint_t)code, ctype_locale()) != 0;
}
