/*
 * The byte hash behind hashtext() and its kin: Bob Jenkins' lookup3 (public domain, 2006) with
 * PostgreSQL's initial value, so that SQL sees the values that it knows. Not used for placement.
 */
#include "sql/types/hash.h"

static uint32_t rotate(uint32_t v, int bits)
{
    return (v << bits) | (v >> (32 - bits));
}
static void stir(uint32_t s[3])
{
    uint32_t a = s[0];
    uint32_t b = s[1];
    uint32_t c = s[2];
    a = (a - c) ^ rotate(c, 4);
    c += b;
    b = (b - a) ^ rotate(a, 6);
    a += c;
    c = (c - b) ^ rotate(b, 8);
    b += a;
    a = (a - c) ^ rotate(c, 16);
    c += b;
    b = (b - a) ^ rotate(a, 19);
    a += c;
    c = (c - b) ^ rotate(b, 4);
    b += a;
    s[0] = a;
    s[1] = b;
    s[2] = c;
}
static void finish(uint32_t s[3])
{
    uint32_t a = s[0];
    uint32_t b = s[1];
    uint32_t c = s[2];
    c = (c ^ b) - rotate(b, 14);
    a = (a ^ c) - rotate(c, 11);
    b = (b ^ a) - rotate(a, 25);
    c = (c ^ b) - rotate(b, 16);
    a = (a ^ c) - rotate(c, 4);
    b = (b ^ a) - rotate(a, 14);
    c = (c ^ b) - rotate(b, 24);
    s[0] = a;
    s[1] = b;
    s[2] = c;
}

enum { INITIAL = 3923095 };

static void seed_state(uint32_t s[3], size_t len, uint64_t seed)
{
    s[0] = s[1] = s[2] = 0x9e3779b9u + (uint32_t)len + INITIAL;
    if (seed != 0) {
        s[0] += (uint32_t)(seed >> 32);
        s[1] += (uint32_t)seed;
        stir(s);
    }
}

static void hash_all(uint32_t s[3], const uint8_t *p, size_t len)
{
    while (len >= 12) {
        for (int i = 0; i < 3; i++)
            s[i] += load_u32(p + 4 * i);
        stir(s);
        p += 12;
        len -= 12;
    }
    /* The low byte of the third word is kept for the length. */
    for (size_t i = 0; i < len; i++) {
        size_t at = i < 8 ? i : i + 1;
        s[at / 4] += (uint32_t)p[i] << (8 * (at % 4));
    }
    finish(s);
}

uint32_t pg_hash_bytes(const void *bytes, size_t len)
{
    uint32_t s[3];
    seed_state(s, len, 0);
    hash_all(s, bytes, len);
    return s[2];
}

uint64_t pg_hash_bytes_extended(const void *bytes, size_t len, uint64_t seed)
{
    uint32_t s[3];
    seed_state(s, len, seed);
    hash_all(s, bytes, len);
    return ((uint64_t)s[1] << 32) | s[2];
}

uint32_t pg_hash_u32(uint32_t k)
{
    uint32_t s[3];
    seed_state(s, 4, 0);
    s[0] += k;
    finish(s);
    return s[2];
}

uint64_t pg_hash_u32_extended(uint32_t k, uint64_t seed)
{
    uint32_t s[3];
    seed_state(s, 4, seed);
    s[0] += k;
    finish(s);
    return ((uint64_t)s[1] << 32) | s[2];
}
