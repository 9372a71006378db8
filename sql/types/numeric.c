/*
 * numeric: storage, text and binary forms, order, and exact arithmetic.
 *
 * Packed form (varlen data):
 *   offset 0  u8 sign (enum numeric_sign)   1  u8 zero   2  u16 dscale   4  i16 weight   6  digits,
 * i16 each No zero digits at either end, zero has none; so equal values differ in dscale at most.
 */
#include "sql/types/numeric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/types/number.h"
#include "sql/types/types_priv.h"

enum { HEADER_BYTES = 6 };

/* ---- packed form ---- */

void number_read(datum d, struct number *out)
{
    const struct varlen *v = datum_varlen(d);
    ASSERT(v->len >= HEADER_BYTES);
    out->sign = (enum numeric_sign)v->data[0];
    out->dscale = load_u16(v->data + 2);
    out->weight = (int16_t)load_u16(v->data + 4);
    out->count = (int32_t)((v->len - HEADER_BYTES) / 2);
    out->digits = (int16_t *)(uintptr_t)(v->data + HEADER_BYTES);
}

void number_normalize(struct number *n)
{
    while (n->count > 0 && n->digits[0] == 0) {
        n->digits++;
        n->count--;
        n->weight--;
    }
    while (n->count > 0 && n->digits[n->count - 1] == 0)
        n->count--;
    if (n->count == 0) {
        n->weight = 0;
        if (n->sign == NUMERIC_NEGATIVE)
            n->sign = NUMERIC_POSITIVE;
    }
}

static err_t raise_overflow(void)
{
    return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
}

err_t number_pack(struct arena *mem, const struct number *n, datum *out)
{
    struct number m = *n;
    if (number_is_special(&m))
        m = (struct number){.sign = n->sign};
    else
        number_normalize(&m);
    if (m.weight > NUMERIC_WEIGHT_MAX || m.weight < -NUMERIC_WEIGHT_MAX ||
        m.dscale > NUMERIC_SCALE_MAX)
        return raise_overflow();
    struct varlen *v = varlen_new(mem, NULL, HEADER_BYTES + 2 * (uint32_t)m.count);
    v->data[0] = (uint8_t)m.sign;
    v->data[1] = 0;
    store_u16(v->data + 2, (uint16_t)m.dscale);
    store_u16(v->data + 4, (uint16_t)(int16_t)m.weight);
    if (m.count)
        memcpy(v->data + HEADER_BYTES, m.digits, 2 * (size_t)m.count);
    *out = datum_of_varlen(v);
    return ERR_OK;
}

static struct number number_new(struct arena *mem, int32_t count)
{
    return (struct number){.count = count, .digits = ARENA_ARRAY(mem, int16_t, count + 1)};
}

static struct number number_of_u128(struct arena *mem, unsigned __int128 v, bool negative)
{
    struct number n = number_new(mem, 10);
    int32_t at = 10;
    while (v > 0) {
        n.digits[--at] = (int16_t)(v % NUMERIC_BASE);
        v /= NUMERIC_BASE;
    }
    n.digits += at;
    n.count = 10 - at;
    n.weight = n.count - 1;
    n.sign = negative ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE;
    number_normalize(&n);
    return n;
}

struct number number_of_i64(struct arena *mem, int64_t v)
{
    return number_of_u128(mem, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

datum numeric_of_i128(struct arena *mem, __int128 v)
{
    unsigned __int128 u = v < 0 ? 0 - (unsigned __int128)v : (unsigned __int128)v;
    struct number n = number_of_u128(mem, u, v < 0);
    datum d = 0;
    ERR_IGNORE(number_pack(mem, &n, &d)); /* 39 digits always fit */
    return d;
}

datum numeric_of_i64(struct arena *mem, int64_t v)
{
    return numeric_of_i128(mem, v);
}

/* ---- text ---- */

static bool word_is(const char *p, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(p, word, len) == 0;
}

static bool number_parse_special(const char *text, size_t len, struct number *out)
{
    const char *p = text;
    bool negative = len > 0 && *p == '-';
    bool is_signed = len > 0 && (*p == '-' || *p == '+');
    p += is_signed;
    len -= is_signed;
    *out = (struct number){0};
    if (!is_signed && word_is(p, len, "nan"))
        out->sign = NUMERIC_NAN;
    else if (word_is(p, len, "infinity") || word_is(p, len, "inf"))
        out->sign = negative ? NUMERIC_MINUS_INFINITY : NUMERIC_INFINITY;
    else
        return false;
    return true;
}

/* Decimal digits (point left out) into base-10000 digits; integral = digits before the point. */
static struct number number_group(struct arena *mem, const char *digits, int32_t count,
                                  int64_t integral)
{
    int64_t weight = integral > 0 ? (integral + 3) / 4 - 1 : -((-integral) / 4 + 1);
    int64_t lead = (weight + 1) * 4 - integral; /* zeros before the first digit */
    int32_t groups = (int32_t)((lead + count + 3) / 4);
    struct number n = number_new(mem, groups);
    n.weight = (int32_t)weight;
    for (int32_t i = 0; i < count; i++) {
        int64_t at = lead + i;
        static const int16_t places[4] = {1000, 100, 10, 1};
        n.digits[at / 4] = (int16_t)(n.digits[at / 4] + (digits[i] - '0') * places[at % 4]);
    }
    return n;
}

static err_t number_parse_exponent(const char **p, const char *end, int64_t *exponent, bool *ok)
{
    const char *q = *p + 1;
    bool negative = q < end && *q == '-';
    if (q < end && (*q == '-' || *q == '+'))
        q++;
    *ok = q < end && *q >= '0' && *q <= '9';
    *exponent = 0;
    for (; q < end && *q >= '0' && *q <= '9'; q++) {
        *exponent = *exponent * 10 + (*q - '0');
        if (*exponent > INT32_MAX / 2)
            return raise_overflow();
    }
    if (negative)
        *exponent = -*exponent;
    *p = q;
    return ERR_OK;
}

/* *end stands behind the number; NULL when there is none at text. */
err_t number_parse(struct arena *mem, const char *text, size_t len, struct number *out,
                   const char **end)
{
    const char *p = text;
    const char *stop = text + len;
    *end = NULL;
    bool negative = p < stop && *p == '-';
    if (p < stop && (*p == '-' || *p == '+'))
        p++;
    char *digits = arena_alloc(mem, len + 1);
    int32_t count = 0;
    int64_t integral = 0;
    int64_t scale = 0;
    bool point = false;
    for (; p < stop; p++) {
        if (*p == '.' && !point) {
            point = true;
        } else if (*p >= '0' && *p <= '9') {
            digits[count++] = *p;
            integral += !point;
            scale += point;
        } else {
            break;
        }
    }
    if (count == 0)
        return ERR_OK;
    if (p < stop && (*p == 'e' || *p == 'E')) {
        int64_t exponent;
        bool ok;
        TRY(number_parse_exponent(&p, stop, &exponent, &ok));
        if (!ok)
            return ERR_OK;
        integral += exponent;
        scale -= exponent;
    }
    if (scale < 0)
        scale = 0;
    if (integral > 131072 + 4 || scale > NUMERIC_SCALE_MAX) {
        bool is_zero = strspn(digits, "0") >= (size_t)count;
        if (!is_zero || scale > NUMERIC_SCALE_MAX)
            return raise_overflow();
        integral = 1;
        count = 1;
    }
    *out = number_group(mem, digits, count, integral);
    out->sign = negative ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE;
    out->dscale = (int32_t)scale;
    number_normalize(out);
    *end = p;
    return ERR_OK;
}

err_t numeric_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    const char *p = text;
    size_t n = len;
    struct number v;
    trim_spaces(&p, &n);
    if (!number_parse_special(p, n, &v)) {
        const char *end;
        TRY(number_parse(io->mem, p, n, &v, &end));
        if (end != p + n || n == 0)
            return raise_input_syntax("numeric", text, len);
    }
    return number_pack(io->mem, &v, out);
}

static void put_group(struct strbuf *out, int16_t group, int32_t digits)
{
    char text[5];
    int v = group;
    for (int i = 3; i >= 0; i--) {
        text[i] = (char)('0' + v % 10);
        v /= 10;
    }
    ERR_IGNORE(strbuf_put(out, text, (size_t)digits));
}

void number_format(const struct number *n, struct strbuf *out)
{
    static const char *const special[] = {"", "", "NaN", "Infinity", "-Infinity"};
    if (number_is_special(n)) {
        strbuf_puts(out, special[n->sign]);
        return;
    }
    if (n->sign == NUMERIC_NEGATIVE)
        strbuf_putc(out, '-');
    if (n->weight < 0 || n->count == 0) {
        strbuf_putc(out, '0');
    } else {
        char first[8];
        int16_t lead = n->digits[0];
        snprintf(first, sizeof(first), "%d", lead);
        strbuf_puts(out, first);
        for (int32_t i = 1; i <= n->weight; i++)
            put_group(out, i < n->count ? n->digits[i] : 0, 4);
    }
    if (n->dscale == 0)
        return;
    strbuf_putc(out, '.');
    int32_t left = n->dscale;
    for (int32_t i = n->weight + 1; left > 0; i++, left -= 4) {
        /* weight < -1: groups of zeros come first */
        int16_t group = 0;
        if (n->count > 0 && n->weight < 0) {
            int32_t at = i - (n->weight + 1); /* group number behind the point */
            int32_t skipped = -n->weight - 1;
            group = at >= skipped && at - skipped < n->count ? n->digits[at - skipped] : 0;
        } else if (i < n->count) {
            group = n->digits[i];
        }
        put_group(out, group, left < 4 ? left : 4);
    }
}

err_t numeric_output(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    struct number n;
    number_read(value, &n);
    number_format(&n, out);
    return ERR_OK;
}

/* ---- binary: i16 count, i16 weight, u16 sign, u16 dscale, digits ---- */

enum {
    WIRE_POSITIVE = 0,
    WIRE_NEGATIVE = 0x4000,
    WIRE_NAN = 0xC000,
    WIRE_INF = 0xD000,
    WIRE_NINF = 0xF000,
    WIRE_INF_DSCALE = 32 /* what PostgreSQL puts there */
};

err_t numeric_receive(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)
{
    if (len < 8)
        return raise_binary_short();
    uint32_t count = load_be16(bytes);
    uint32_t sign = load_be16(bytes + 4);
    uint32_t dscale = load_be16(bytes + 6);
    struct number n = number_new(io->mem, (int32_t)count);
    n.weight = (int16_t)load_be16(bytes + 2);
    n.dscale = (int32_t)dscale;
    switch (sign) {
    case WIRE_POSITIVE:
        n.sign = NUMERIC_POSITIVE;
        break;
    case WIRE_NEGATIVE:
        n.sign = NUMERIC_NEGATIVE;
        break;
    case WIRE_NAN:
        n.sign = NUMERIC_NAN;
        break;
    case WIRE_INF:
        n.sign = NUMERIC_INFINITY;
        break;
    case WIRE_NINF:
        n.sign = NUMERIC_MINUS_INFINITY;
        break;
    default:
        return err_raise(ERR_INVALID_BINARY_REPRESENTATION,
                         "invalid sign in external \"numeric\" value");
    }
    if (dscale > NUMERIC_SCALE_MAX)
        return err_raise(ERR_INVALID_BINARY_REPRESENTATION,
                         "invalid scale in external \"numeric\" value");
    for (uint32_t i = 0; i < count; i++) {
        if (len < 8 + 2 * ((size_t)i + 1))
            return raise_binary_short();
        uint32_t digit = load_be16(bytes + 8 + 2 * i);
        if (digit >= NUMERIC_BASE)
            return err_raise(ERR_INVALID_BINARY_REPRESENTATION,
                             "invalid digit in external \"numeric\" value");
        n.digits[i] = (int16_t)digit;
    }
    if (len != 8 + 2 * (size_t)count)
        return raise_binary_length(len, 8 + 2 * (size_t)count);
    if (!number_is_special(&n))
        n = number_truncate(io->mem, &n, n.dscale);
    return number_pack(io->mem, &n, out);
}

err_t numeric_send(struct type_io *io, datum value, struct strbuf *out)
{
    (void)io;
    static const uint16_t signs[] = {WIRE_POSITIVE, WIRE_NEGATIVE, WIRE_NAN, WIRE_INF, WIRE_NINF};
    struct number n;
    number_read(value, &n);
    uint8_t head[8];
    store_be16(head, (uint16_t)n.count);
    store_be16(head + 2, (uint16_t)(int16_t)n.weight);
    store_be16(head + 4, signs[n.sign]);
    bool is_infinite = n.sign == NUMERIC_INFINITY || n.sign == NUMERIC_MINUS_INFINITY;
    store_be16(head + 6, is_infinite ? WIRE_INF_DSCALE : (uint16_t)n.dscale);
    TRY(strbuf_put(out, head, sizeof(head)));
    for (int32_t i = 0; i < n.count; i++) {
        uint8_t digit[2];
        store_be16(digit, (uint16_t)n.digits[i]);
        TRY(strbuf_put(out, digit, 2));
    }
    return ERR_OK;
}

/* ---- order ---- */

int number_compare_abs(const struct number *a, const struct number *b)
{
    if (a->count == 0 || b->count == 0)
        return (a->count > 0) - (b->count > 0);
    if (a->weight != b->weight)
        return a->weight > b->weight ? 1 : -1;
    for (int32_t i = 0; i < a->count || i < b->count; i++) {
        int da = i < a->count ? a->digits[i] : 0;
        int db = i < b->count ? b->digits[i] : 0;
        if (da != db)
            return da > db ? 1 : -1;
    }
    return 0;
}

/* NaN is equal to itself and above all else. */
static int number_rank(const struct number *n)
{
    switch (n->sign) {
    case NUMERIC_MINUS_INFINITY:
        return 0;
    case NUMERIC_INFINITY:
        return 2;
    case NUMERIC_NAN:
        return 3;
    default:
        return 1;
    }
}

int number_compare(const struct number *a, const struct number *b)
{
    int ra = number_rank(a);
    int rb = number_rank(b);
    if (ra != rb || ra != 1)
        return (ra > rb) - (ra < rb);
    if (a->sign != b->sign)
        return a->sign == NUMERIC_NEGATIVE ? -1 : 1;
    int c = number_compare_abs(a, b);
    return a->sign == NUMERIC_NEGATIVE ? -c : c;
}

int numeric_compare(datum a, datum b)
{
    struct number x;
    struct number y;
    number_read(a, &x);
    number_read(b, &y);
    return number_compare(&x, &y);
}

uint64_t numeric_hash(datum d)
{
    struct number n;
    number_read(d, &n);
    uint64_t h = hash_u64((uint64_t)n.sign << 32 | (uint32_t)n.weight);
    return hash_combine(h, hash_bytes(n.digits, 2 * (size_t)n.count));
}

/* rank; for finite values: weight and digits + 1, ended by 0000, all inverted when negative */
void numeric_sort_key(datum d, struct strbuf *out)
{
    struct number n;
    number_read(d, &n);
    int rank = number_rank(&n);
    bool negative = n.sign == NUMERIC_NEGATIVE;
    uint8_t head = rank == 0   ? 0
                   : negative  ? 1
                   : rank == 1 ? (n.count ? 3 : 2)
                               : (uint8_t)(rank + 2);
    strbuf_putc(out, (char)head);
    if (rank != 1 || n.count == 0)
        return;
    uint16_t flip = negative ? 0xffff : 0;
    uint8_t word[2];
    store_be16(word, (uint16_t)((n.weight + 0x8000) ^ flip));
    ERR_IGNORE(strbuf_put(out, word, 2));
    for (int32_t i = 0; i <= n.count; i++) {
        store_be16(word, (uint16_t)((i < n.count ? n.digits[i] + 1 : 0) ^ flip));
        ERR_IGNORE(strbuf_put(out, word, 2));
    }
}

/* ---- exact arithmetic ---- */

static int number_digit(const struct number *n, int32_t weight)
{
    int32_t i = n->weight - weight;
    return i >= 0 && i < n->count ? n->digits[i] : 0;
}

static int32_t number_low(const struct number *n)
{
    return n->weight - n->count + 1;
}

static struct number number_add_abs(struct arena *mem, const struct number *a,
                                    const struct number *b)
{
    int32_t high = MAX(a->count ? a->weight : -NUMERIC_WEIGHT_MAX,
                       b->count ? b->weight : -NUMERIC_WEIGHT_MAX) +
                   1;
    int32_t low = MIN(a->count ? number_low(a) : high, b->count ? number_low(b) : high);
    struct number r = number_new(mem, high - low + 1);
    r.weight = high;
    int carry = 0;
    for (int32_t w = low; w <= high; w++) {
        int sum = number_digit(a, w) + number_digit(b, w) + carry;
        carry = sum >= NUMERIC_BASE;
        r.digits[high - w] = (int16_t)(carry ? sum - NUMERIC_BASE : sum);
    }
    return r;
}

/* |a| >= |b| */
static struct number number_sub_abs(struct arena *mem, const struct number *a,
                                    const struct number *b)
{
    int32_t high = a->weight;
    int32_t low = MIN(number_low(a), b->count ? number_low(b) : high);
    struct number r = number_new(mem, high - low + 1);
    r.weight = high;
    int borrow = 0;
    for (int32_t w = low; w <= high; w++) {
        int diff = number_digit(a, w) - number_digit(b, w) - borrow;
        borrow = diff < 0;
        r.digits[high - w] = (int16_t)(borrow ? diff + NUMERIC_BASE : diff);
    }
    return r;
}

struct number number_add(struct arena *mem, const struct number *a, const struct number *b)
{
    struct number r;
    if (a->count == 0 && b->count == 0) {
        r = number_new(mem, 0);
    } else if (a->sign == b->sign) {
        r = number_add_abs(mem, a, b);
        r.sign = a->sign;
    } else {
        int c = number_compare_abs(a, b);
        const struct number *big = c >= 0 ? a : b;
        r = c == 0 ? number_new(mem, 0) : number_sub_abs(mem, big, c >= 0 ? b : a);
        r.sign = c == 0 ? NUMERIC_POSITIVE : big->sign;
    }
    r.dscale = MAX(a->dscale, b->dscale);
    number_normalize(&r);
    return r;
}

struct number number_sub(struct arena *mem, const struct number *a, const struct number *b)
{
    struct number minus = *b;
    minus.sign = b->sign == NUMERIC_NEGATIVE ? NUMERIC_POSITIVE : NUMERIC_NEGATIVE;
    return number_add(mem, a, &minus);
}

struct number number_mul(struct arena *mem, const struct number *a, const struct number *b,
                         int32_t rscale)
{
    if (a->count == 0 || b->count == 0) {
        struct number zero = number_new(mem, 0);
        zero.dscale = rscale;
        return zero;
    }
    int32_t count = a->count + b->count;
    struct number r = number_new(mem, count);
    uint64_t *sums = ARENA_ARRAY(mem, uint64_t, count);
    for (int32_t i = 0; i < a->count; i++) {
        uint64_t d = (uint64_t)a->digits[i];
        for (int32_t j = 0; d && j < b->count; j++)
            sums[i + j + 1] += d * (uint64_t)b->digits[j];
    }
    uint64_t carry = 0;
    for (int32_t i = count - 1; i >= 0; i--) {
        uint64_t v = sums[i] + carry;
        r.digits[i] = (int16_t)(v % NUMERIC_BASE);
        carry = v / NUMERIC_BASE;
    }
    r.weight = a->weight + b->weight + 1;
    r.sign = a->sign == b->sign ? NUMERIC_POSITIVE : NUMERIC_NEGATIVE;
    r.dscale = a->dscale + b->dscale;
    number_normalize(&r);
    if (rscale < r.dscale)
        r = number_round(mem, &r, rscale);
    r.dscale = rscale;
    return r;
}

/* Quotient digits of a dividend by a divisor of one digit, most significant first. */
static void divide_short(const int16_t *dividend, int32_t count, int divisor, int16_t *quotient)
{
    int rest = 0;
    for (int32_t i = 0; i < count; i++) {
        int v = rest * NUMERIC_BASE + dividend[i];
        quotient[i] = (int16_t)(v / divisor);
        rest = v % divisor;
    }
}

/* Knuth's algorithm D (The Art of Computer Programming 2, 4.3.1). u has n + m + 1 digits (u[0] = 0
 * at first and scaled), v has n >= 2; q gets m + 1 digits. */
static void divide_long(int32_t *u, const int32_t *v, int32_t n, int32_t m, int16_t *q)
{
    for (int32_t j = 0; j <= m; j++) {
        int64_t top = (int64_t)u[j] * NUMERIC_BASE + u[j + 1];
        int64_t guess = top / v[0];
        int64_t rest = top % v[0];
        while (guess >= NUMERIC_BASE || guess * v[1] > rest * NUMERIC_BASE + u[j + 2]) {
            guess--;
            rest += v[0];
            if (rest >= NUMERIC_BASE)
                break;
        }
        int64_t borrow = 0;
        for (int32_t i = n - 1; i >= 0; i--) {
            int64_t t = u[j + i + 1] - guess * v[i] - borrow;
            borrow = 0;
            if (t < 0) {
                borrow = (-t + NUMERIC_BASE - 1) / NUMERIC_BASE;
                t += borrow * NUMERIC_BASE;
            }
            u[j + i + 1] = (int32_t)t;
        }
        int64_t t = u[j] - borrow;
        if (t < 0) { /* the guess was one too high */
            guess--;
            int32_t carry = 0;
            for (int32_t i = n - 1; i >= 0; i--) {
                int32_t s = u[j + i + 1] + v[i] + carry;
                carry = s >= NUMERIC_BASE;
                u[j + i + 1] = carry ? s - NUMERIC_BASE : s;
            }
            t += carry;
        }
        u[j] = (int32_t)t;
        q[j] = (int16_t)guess;
    }
}

struct number number_div(struct arena *mem, const struct number *a, const struct number *b,
                         int32_t rscale, bool round)
{
    ASSERT(b->count > 0);
    struct number r;
    if (a->count == 0) {
        r = number_new(mem, 0);
        r.dscale = rscale;
        return r;
    }
    int32_t weight = a->weight - b->weight;
    /* Quotient digits wanted: those before the point, those of rscale, one for rounding. */
    int32_t wanted = weight + 1 + (rscale + 3) / 4 + 1;
    if (wanted < 1)
        wanted = 1;
    int32_t n = b->count;
    int32_t dividend = wanted + n; /* digits of a taken, zeros behind */
    r = number_new(mem, wanted + 1);
    if (n == 1) {
        int16_t *digits = ARENA_ARRAY(mem, int16_t, wanted + 1);
        memcpy(digits, a->digits, 2 * (size_t)MIN(a->count, wanted));
        divide_short(digits, wanted, b->digits[0], r.digits);
        r.count = wanted;
    } else {
        int32_t *u = ARENA_ARRAY(mem, int32_t, dividend + 2);
        int32_t *v = ARENA_ARRAY(mem, int32_t, n);
        int32_t scale = NUMERIC_BASE / (b->digits[0] + 1);
        int32_t carry = 0;
        for (int32_t i = n - 1; i >= 0; i--) {
            int32_t t = b->digits[i] * scale + carry;
            v[i] = t % NUMERIC_BASE;
            carry = t / NUMERIC_BASE;
        }
        carry = 0;
        int32_t taken = dividend - 1;
        for (int32_t i = taken - 1; i >= 0; i--) {
            int32_t t = (i < a->count ? a->digits[i] : 0) * scale + carry;
            u[i + 1] = t % NUMERIC_BASE;
            carry = t / NUMERIC_BASE;
        }
        u[0] = carry;
        divide_long(u, v, n, wanted - 1, r.digits);
        r.count = wanted;
    }
    r.weight = n == 1 ? weight : weight;
    r.sign = a->sign == b->sign ? NUMERIC_POSITIVE : NUMERIC_NEGATIVE;
    r.dscale = rscale + NUMERIC_BASE_DIGITS;
    number_normalize(&r);
    r = round ? number_round(mem, &r, rscale) : number_truncate(mem, &r, rscale);
    return r;
}

/* Enough places for 16 significant digits, at least those of the operands. */
int32_t number_div_scale(const struct number *a, const struct number *b)
{
    int32_t weight_a = a->count ? a->weight : 0;
    int32_t weight_b = b->count ? b->weight : 0;
    int first_a = a->count ? a->digits[0] : 0;
    int first_b = b->count ? b->digits[0] : 0;
    int32_t weight = weight_a - weight_b - (first_a <= first_b);
    int32_t scale = NUMERIC_SIGNIFICANT_MIN - weight * NUMERIC_BASE_DIGITS;
    scale = MAX(scale, MAX(a->dscale, b->dscale));
    scale = MAX(scale, 0);
    return MIN(scale, NUMERIC_DISPLAY_SCALE_MAX);
}

/* ---- rounding ---- */

static struct number number_cut(struct arena *mem, const struct number *n, int32_t scale,
                                bool round)
{
    struct number r = number_new(mem, n->count + 1);
    r.sign = n->sign;
    r.dscale = MAX(scale, 0);
    /* Decimal digits kept, counted from the top of the first group. */
    int64_t kept = ((int64_t)n->weight + 1) * NUMERIC_BASE_DIGITS + scale;
    if (n->count == 0 || kept < 0 || (kept == 0 && !round)) {
        r.count = 0;
        number_normalize(&r);
        return r;
    }
    /* One group of room on top for a carry. */
    memcpy(r.digits + 1, n->digits, 2 * (size_t)n->count);
    r.weight = n->weight + 1;
    r.count = n->count + 1;
    int64_t groups = kept / NUMERIC_BASE_DIGITS;
    int32_t within = (int32_t)(kept % NUMERIC_BASE_DIGITS);
    if (groups < n->count) {
        static const int powers[4] = {10000, 1000, 100, 10};
        int power = powers[within];
        int group = r.digits[groups + 1];
        int rest = group % power;
        int up = round && rest * 2 >= power ? power : 0;
        int value = group - rest + up;
        r.count = (int32_t)groups + 2;
        for (int64_t i = groups + 1; value >= NUMERIC_BASE; i--) {
            r.digits[i] = (int16_t)(value - NUMERIC_BASE);
            value = r.digits[i - 1] + 1;
            groups = i - 2;
        }
        r.digits[groups + 1] = (int16_t)value;
    }
    number_normalize(&r);
    return r;
}

struct number number_round(struct arena *mem, const struct number *n, int32_t scale)
{
    return number_cut(mem, n, scale, true);
}

struct number number_truncate(struct arena *mem, const struct number *n, int32_t scale)
{
    return number_cut(mem, n, scale, false);
}

/* ---- for other families ---- */

double number_to_f64(const struct number *n)
{
    double v = 0;
    int32_t used = MIN(n->count, 6);
    for (int32_t i = 0; i < used; i++)
        v = v * NUMERIC_BASE + n->digits[i];
    v *= pow(NUMERIC_BASE, n->weight - used + 1);
    return n->sign == NUMERIC_NEGATIVE ? -v : v;
}

err_t numeric_to_f64(struct arena *mem, datum v, double *out)
{
    struct number n;
    number_read(v, &n);
    if (number_is_special(&n)) {
        *out = n.sign == NUMERIC_NAN ? NAN : n.sign == NUMERIC_INFINITY ? HUGE_VAL : -HUGE_VAL;
        return ERR_OK;
    }
    struct strbuf text;
    strbuf_init(&text, mem);
    number_format(&n, &text);
    *out = strtod(text.data, NULL);
    if (isinf(*out))
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE,
                         "\"%s\" is out of range for type double precision", text.data);
    return ERR_OK;
}

static err_t numeric_of_double(struct arena *mem, double v, int digits, datum *out)
{
    struct number n = {0};
    if (isnan(v) || isinf(v)) {
        n.sign = isnan(v) ? NUMERIC_NAN : v > 0 ? NUMERIC_INFINITY : NUMERIC_MINUS_INFINITY;
        return number_pack(mem, &n, out);
    }
    char text[64];
    const char *end;
    int len = snprintf(text, sizeof(text), "%.*g", digits, v);
    TRY(number_parse(mem, text, (size_t)len, &n, &end));
    return number_pack(mem, &n, out);
}

err_t numeric_of_f64(struct arena *mem, double v, datum *out)
{
    return numeric_of_double(mem, v, 15, out);
}

err_t numeric_of_f32(struct arena *mem, float v, datum *out)
{
    return numeric_of_double(mem, (double)v, 6, out);
}

err_t numeric_to_i64(datum v, int64_t min, int64_t max, const char *type_name, int64_t *out)
{
    struct number n;
    number_read(v, &n);
    if (number_is_special(&n))
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot convert %s to %s",
                         n.sign == NUMERIC_NAN ? "NaN" : "infinity", type_name);
    /* The integral part, then half away from zero by the first group behind the point. */
    __int128 sum = 0;
    for (int32_t w = n.weight; w >= 0; w--) {
        sum = sum * NUMERIC_BASE + number_digit(&n, w);
        if (sum > (__int128)INT64_MAX + 1)
            return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", type_name);
    }
    if (number_digit(&n, -1) >= NUMERIC_BASE / 2)
        sum++;
    if (n.sign == NUMERIC_NEGATIVE)
        sum = -sum;
    if (sum < min || sum > max)
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", type_name);
    *out = (int64_t)sum;
    return ERR_OK;
}

static err_t numeric_pack_special(struct arena *mem, enum numeric_sign sign, datum *out)
{
    struct number n = {.sign = sign};
    return number_pack(mem, &n, out);
}

static bool number_is_negative(const struct number *n)
{
    return n->sign == NUMERIC_NEGATIVE || n->sign == NUMERIC_MINUS_INFINITY;
}

static bool number_is_infinite(const struct number *n)
{
    return n->sign == NUMERIC_INFINITY || n->sign == NUMERIC_MINUS_INFINITY;
}

/* Sum and difference with infinities; minus = the second operand's sign is turned. */
static err_t numeric_sum(struct arena *mem, datum a, datum b, bool minus, datum *out)
{
    struct number x;
    struct number y;
    number_read(a, &x);
    number_read(b, &y);
    if (!number_is_special(&x) && !number_is_special(&y)) {
        struct number r = minus ? number_sub(mem, &x, &y) : number_add(mem, &x, &y);
        return number_pack(mem, &r, out);
    }
    if (x.sign == NUMERIC_NAN || y.sign == NUMERIC_NAN)
        return numeric_pack_special(mem, NUMERIC_NAN, out);
    bool y_negative = number_is_negative(&y) != minus;
    if (number_is_infinite(&x) && number_is_infinite(&y) && number_is_negative(&x) != y_negative)
        return numeric_pack_special(mem, NUMERIC_NAN, out);
    bool negative = number_is_infinite(&x) ? number_is_negative(&x) : y_negative;
    return numeric_pack_special(mem, negative ? NUMERIC_MINUS_INFINITY : NUMERIC_INFINITY, out);
}

err_t numeric_add(struct arena *mem, datum a, datum b, datum *out)
{
    return numeric_sum(mem, a, b, false, out);
}

err_t numeric_sub(struct arena *mem, datum a, datum b, datum *out)
{
    return numeric_sum(mem, a, b, true, out);
}

err_t numeric_mul(struct arena *mem, datum a, datum b, datum *out)
{
    struct number x;
    struct number y;
    number_read(a, &x);
    number_read(b, &y);
    if (!number_is_special(&x) && !number_is_special(&y)) {
        int32_t scale = MIN(x.dscale + y.dscale, NUMERIC_SCALE_MAX);
        struct number r = number_mul(mem, &x, &y, scale);
        return number_pack(mem, &r, out);
    }
    bool zero =
        (!number_is_special(&x) && x.count == 0) || (!number_is_special(&y) && y.count == 0);
    if (x.sign == NUMERIC_NAN || y.sign == NUMERIC_NAN || zero)
        return numeric_pack_special(mem, NUMERIC_NAN, out);
    bool negative = number_is_negative(&x) != number_is_negative(&y);
    return numeric_pack_special(mem, negative ? NUMERIC_MINUS_INFINITY : NUMERIC_INFINITY, out);
}

err_t numeric_div(struct arena *mem, datum a, datum b, datum *out)
{
    struct number x;
    struct number y;
    number_read(a, &x);
    number_read(b, &y);
    if (x.sign == NUMERIC_NAN || y.sign == NUMERIC_NAN)
        return numeric_pack_special(mem, NUMERIC_NAN, out);
    if (!number_is_special(&y) && y.count == 0)
        return err_raise(ERR_DIVISION_BY_ZERO, "division by zero");
    if (number_is_infinite(&x)) {
        if (number_is_infinite(&y))
            return numeric_pack_special(mem, NUMERIC_NAN, out);
        bool negative = number_is_negative(&x) != number_is_negative(&y);
        return numeric_pack_special(mem, negative ? NUMERIC_MINUS_INFINITY : NUMERIC_INFINITY, out);
    }
    if (number_is_infinite(&y)) {
        *out = numeric_of_i64(mem, 0);
        return ERR_OK;
    }
    struct number r = number_div(mem, &x, &y, number_div_scale(&x, &y), true);
    return number_pack(mem, &r, out);
}

/* ---- type modifier: ((precision << 16) | (scale & 0x7ff)) + 4 ---- */

err_t numeric_typmod_in(const int32_t *args, uint32_t count, int32_t *out)
{
    if (count == 0 || count > 2)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "invalid NUMERIC type modifier");
    if (args[0] < 1 || args[0] > NUMERIC_PRECISION_MAX)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "NUMERIC precision %d must be between 1 and 1000", args[0]);
    int32_t scale = count == 2 ? args[1] : 0;
    if (scale < -NUMERIC_PRECISION_MAX || scale > NUMERIC_PRECISION_MAX)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "NUMERIC scale %d must be between -1000 and 1000", scale);
    *out = ((args[0] << 16) | (scale & 0x7ff)) + 4;
    return ERR_OK;
}

static int32_t typmod_precision(int32_t typmod)
{
    return ((typmod - 4) >> 16) & 0xffff;
}

static int32_t typmod_scale(int32_t typmod)
{
    return (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
}

void numeric_typmod_out(int32_t typmod, struct strbuf *out)
{
    if (typmod >= 4)
        strbuf_printf(out, "(%d,%d)", typmod_precision(typmod), typmod_scale(typmod));
}

err_t numeric_apply_typmod(struct type_io *io, datum in, bool is_explicit, datum *out)
{
    (void)is_explicit;
    *out = in;
    if (io->typmod < 4)
        return ERR_OK;
    struct number n;
    number_read(in, &n);
    int32_t precision = typmod_precision(io->typmod);
    int32_t scale = typmod_scale(io->typmod);
    if (n.sign == NUMERIC_NAN)
        return ERR_OK;
    if (number_is_infinite(&n)) {
        err_t e = err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
        err_detail("A field with precision %d, scale %d cannot hold an infinite value.", precision,
                   scale);
        return e;
    }
    struct number r = number_round(io->mem, &n, scale);
    int32_t digits_max = precision - scale;
    int32_t digits = 0;
    if (r.count > 0) {
        digits = (r.weight + 1) * NUMERIC_BASE_DIGITS;
        digits -= r.digits[0] < 10 ? 3 : r.digits[0] < 100 ? 2 : r.digits[0] < 1000 ? 1 : 0;
    }
    if (r.count > 0 && digits > digits_max) {
        err_t e = err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
        err_detail("A field with precision %d, scale %d must round to an absolute value less than "
                   "%s%d.",
                   precision, scale, digits_max ? "10^" : "", digits_max ? digits_max : 1);
        return e;
    }
    return number_pack(io->mem, &r, out);
}
