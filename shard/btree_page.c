/*
 * B+tree pages.
 *
 *   offset  bytes  what
 *       32      2  entries
 *       34      2  level (0 = leaf)
 *       36      2  lowest byte used by cells
 *       38      2  bytes in holes between cells
 *       40      2  length of the prefix that all keys share; its bytes end the page
 *       42      6  0
 *       48     6n  slots in key order: u32 head (first four bytes of the suffix, big endian, zero
 *                  padded, as a number), u16 offset of the cell
 *      ...         cells, downwards from the prefix: u16 suffix length, u32 child (inner pages
 * only), 6 bytes row id, suffix
 *
 * Entries are ordered by (key bytes, row id). An inner entry's key is a separator: not above any
 * key of its child, above all keys of the child before; the first entry's key stands for "less than
 * all" and is not looked at, nor counted in the prefix. Most comparisons end at the head, in the
 * slot array.
 */
#include "shard/shard_priv.h"

enum {
    AT_COUNT = 32,
    AT_LEVEL = 34,
    AT_LOW = 36,
    AT_HOLES = 38,
    AT_PREFIX_LEN = 40,
    AT_SLOTS = 48,
    SLOT_BYTES = 6,
    RID_BYTES = 6,
};

uint32_t bp_count(const uint8_t *d)
{
    return load_u16(d + AT_COUNT);
}

uint32_t bp_level(const uint8_t *d)
{
    return load_u16(d + AT_LEVEL);
}

static inline uint32_t prefix_len_of(const uint8_t *d)
{
    return load_u16(d + AT_PREFIX_LEN);
}

static inline const uint8_t *prefix_of(const uint8_t *d)
{
    return d + PAGE_BYTES - prefix_len_of(d);
}

static inline uint8_t *slot_at(const uint8_t *d, uint32_t i)
{
    return (uint8_t *)(uintptr_t)d + AT_SLOTS + i * SLOT_BYTES;
}

static inline uint8_t *cell_at(const uint8_t *d, uint32_t i)
{
    return (uint8_t *)(uintptr_t)d + load_u16(slot_at(d, i) + 4);
}

static inline uint32_t cell_overhead(uint32_t level)
{
    return 2 + (level > 0 ? 4u : 0u) + RID_BYTES;
}

static inline const uint8_t *suffix_of(const uint8_t *d, uint32_t i, uint32_t *len)
{
    const uint8_t *c = cell_at(d, i);
    *len = load_u16(c);
    return c + cell_overhead(bp_level(d));
}

static inline row_id rid_load(const uint8_t *p)
{
    return (row_id)load_u32(p) | (row_id)load_u16(p + 4) << 32;
}

static inline void rid_store(uint8_t *p, row_id r)
{
    ASSERT(r >> 48 == 0);
    store_u32(p, (uint32_t)r);
    store_u16(p + 4, (uint16_t)(r >> 32));
}

row_id bp_rid(const uint8_t *d, uint32_t i)
{
    return rid_load(cell_at(d, i) + cell_overhead(bp_level(d)) - RID_BYTES);
}

uint32_t bp_child(const uint8_t *d, uint32_t i)
{
    ASSERT(bp_level(d) > 0);
    return load_u32(cell_at(d, i) + 2);
}

void bp_key(const uint8_t *d, uint32_t i, const uint8_t **prefix, uint32_t *prefix_len,
            const uint8_t **suffix, uint32_t *suffix_len)
{
    *prefix = prefix_of(d);
    *prefix_len = prefix_len_of(d);
    *suffix = suffix_of(d, i, suffix_len);
}

uint32_t bp_key_copy(const uint8_t *d, uint32_t i, uint8_t *out)
{
    uint32_t plen = prefix_len_of(d);
    uint32_t slen;
    const uint8_t *suffix = suffix_of(d, i, &slen);
    memcpy(out, prefix_of(d), plen);
    memcpy(out + plen, suffix, slen);
    return plen + slen;
}

void bp_init(uint8_t *d, uint32_t level)
{
    memset(d + PAGE_HEADER_BYTES, 0, PAGE_BYTES - PAGE_HEADER_BYTES);
    store_u16(d + AT_LEVEL, u16_from(level));
    store_u16(d + AT_LOW, PAGE_BYTES);
}

static inline uint32_t head_of(const uint8_t *suffix, uint32_t len)
{
    if (LIKELY(len >= 4))
        return load_be32(suffix);
    uint32_t h = 0;
    for (uint32_t i = 0; i < len; i++)
        h |= (uint32_t)suffix[i] << (24 - 8 * i);
    return h;
}

/* ---- comparing ---- */

/* k without the page's prefix. where: -1 = k is before all keys that have the prefix, 1 = behind
 * them, 0 = look at the suffix. */
struct suffix_search {
    const uint8_t *key;
    uint32_t len;
    uint32_t head;
    int where;
};

static struct suffix_search strip(const uint8_t *d, const struct bt_search *k)
{
    uint32_t plen = prefix_len_of(d);
    struct suffix_search s = {0};
    uint32_t common = MIN(plen, k->len);
    int c = common == 0 ? 0 : memcmp(k->key, prefix_of(d), common);
    if (c != 0) {
        s.where = c < 0 ? -1 : 1;
        return s;
    }
    if (k->len < plen || (k->len == plen && k->after_prefix)) {
        s.where = k->after_prefix ? 1 : -1;
        return s;
    }
    s.key = k->key + plen;
    s.len = k->len - plen;
    s.head = head_of(s.key, s.len);
    return s;
}

/* Entry i against k: <0, 0, >0. */
static int compare_suffix(const uint8_t *d, uint32_t i, const struct bt_search *k,
                          const struct suffix_search *s)
{
    uint32_t len;
    const uint8_t *suffix = suffix_of(d, i, &len);
    uint32_t common = MIN(len, s->len);
    int c = common == 0 ? 0 : memcmp(suffix, s->key, common);
    if (c != 0)
        return c;
    if (k->after_prefix)
        return -1;
    if (len != s->len)
        return len < s->len ? -1 : 1;
    row_id rid = bp_rid(d, i);
    return rid < k->rid ? -1 : rid > k->rid;
}

int bp_compare(const uint8_t *d, uint32_t i, const struct bt_search *k)
{
    struct suffix_search s = strip(d, k);
    if (s.where != 0)
        return -s.where;
    return compare_suffix(d, i, k, &s);
}

/* First i in [from, count) whose entry is >= k (or > k). */
static uint32_t search(const uint8_t *d, uint32_t from, const struct bt_search *k, bool above)
{
    uint32_t count = bp_count(d);
    struct suffix_search s = strip(d, k);
    if (s.where != 0)
        return s.where < 0 ? from : MAX(from, count);
    uint32_t lo = from;
    uint32_t hi = MAX(from, count);
    bool heads_decide = !k->after_prefix || s.len >= 4;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        uint32_t head = load_u32(slot_at(d, mid));
        int c;
        if (LIKELY(head != s.head && heads_decide))
            c = head < s.head ? -1 : 1;
        else
            c = compare_suffix(d, mid, k, &s);
        if (above ? c <= 0 : c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t bp_lower_bound(const uint8_t *d, const struct bt_search *k)
{
    return search(d, 0, k, false);
}

uint32_t bp_child_index(const uint8_t *d, const struct bt_search *k, bool strict)
{
    ASSERT(bp_count(d) > 0);
    return search(d, 1, k, !strict) - 1;
}

/* ---- changing ---- */

static uint32_t low_of(const uint8_t *d)
{
    return load_u16(d + AT_LOW);
}

static uint32_t free_bytes(const uint8_t *d)
{
    return low_of(d) - (AT_SLOTS + bp_count(d) * SLOT_BYTES) + load_u16(d + AT_HOLES);
}

static uint32_t common_prefix(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
    uint32_t n = MIN(a_len, b_len);
    uint32_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* How much of the page's prefix a new key shares. */
static uint32_t shared_with(const uint8_t *d, const uint8_t *key, uint32_t len)
{
    return common_prefix(prefix_of(d), prefix_len_of(d), key, len);
}

/* Page bytes that an entry more with this key would leave over; negative: does not fit. */
static int32_t room_after(const uint8_t *d, const uint8_t *key, uint32_t len)
{
    uint32_t plen = prefix_len_of(d);
    uint32_t shared = bp_count(d) == 0 ? len : shared_with(d, key, len);
    int32_t room = (int32_t)free_bytes(d);
    if (bp_count(d) != 0 && shared < plen) /* every key gets longer, the prefix shorter */
        room += (int32_t)(plen - shared) - (int32_t)((plen - shared) * bp_count(d));
    else if (bp_count(d) != 0)
        shared = plen;
    else
        shared = 0;
    return room - (int32_t)(SLOT_BYTES + cell_overhead(bp_level(d)) + len - shared);
}

bool bp_fits(const uint8_t *d, const uint8_t *key, uint32_t len)
{
    return room_after(d, key, len) >= 0;
}

static void append_cell(uint8_t *d, uint32_t i, const uint8_t *a, uint32_t a_len, const uint8_t *b,
                        uint32_t b_len, row_id rid, uint32_t child)
{
    uint32_t level = bp_level(d);
    uint32_t overhead = cell_overhead(level);
    uint32_t at = low_of(d) - (overhead + a_len + b_len);
    ASSERT(low_of(d) >= overhead + a_len + b_len);
    ASSERT(at >= AT_SLOTS + (i + 1) * SLOT_BYTES);
    uint8_t *c = d + at;
    store_u16(c, u16_from(a_len + b_len));
    if (level > 0)
        store_u32(c + 2, child);
    rid_store(c + overhead - RID_BYTES, rid);
    if (a_len != 0)
        memcpy(c + overhead, a, a_len);
    if (b_len != 0)
        memcpy(c + overhead + a_len, b, b_len);
    store_u32(slot_at(d, i), head_of(c + overhead, a_len + b_len));
    store_u16(slot_at(d, i) + 4, u16_from(at));
    store_u16(d + AT_LOW, u16_from(at));
}

/* Entries of a page, with one more at pos. */
struct merged {
    const uint8_t *from;
    uint32_t pos;
    const uint8_t *key;
    uint32_t len;
    row_id rid;
    uint32_t child;
    bool has_new; /* else just the page's entries */
};

struct merged_entry {
    const uint8_t *a; /* prefix */
    uint32_t a_len;
    const uint8_t *b;
    uint32_t b_len;
    row_id rid;
    uint32_t child;
};

static struct merged_entry merged_get(const struct merged *m, uint32_t i)
{
    struct merged_entry e = {0};
    if (m->has_new && i == m->pos) {
        e.b = m->key;
        e.b_len = m->len;
        e.rid = m->rid;
        e.child = m->child;
        return e;
    }
    if (m->has_new && i > m->pos)
        i--;
    bp_key(m->from, i, &e.a, &e.a_len, &e.b, &e.b_len);
    e.rid = bp_rid(m->from, i);
    e.child = bp_level(m->from) > 0 ? bp_child(m->from, i) : 0;
    return e;
}

static uint32_t entry_byte(const struct merged_entry *e, uint32_t i)
{
    return i < e->a_len ? e->a[i] : e->b[i - e->a_len];
}

static uint32_t entries_common(const struct merged_entry *x, const struct merged_entry *y)
{
    uint32_t n = MIN(x->a_len + x->b_len, y->a_len + y->b_len);
    uint32_t i = 0;
    if (x->a == y->a && x->a != NULL)
        i = MIN(x->a_len, y->a_len);
    while (i < n && entry_byte(x, i) == entry_byte(y, i))
        i++;
    return i;
}

/* Write entries [from, to) of m as the whole content of d (which m does not refer to). */
static void build(uint8_t *d, uint32_t level, const struct merged *m, uint32_t from, uint32_t to)
{
    bp_init(d, level);
    uint32_t first_real = level > 0 ? from + 1 : from;
    uint32_t plen = 0;
    if (first_real < to) {
        struct merged_entry a = merged_get(m, first_real);
        struct merged_entry b = merged_get(m, to - 1);
        plen = first_real + 1 == to ? 0 : entries_common(&a, &b);
        uint8_t *p = d + PAGE_BYTES - plen;
        for (uint32_t i = 0; i < plen; i++)
            p[i] = (uint8_t)entry_byte(&a, i);
        store_u16(d + AT_PREFIX_LEN, u16_from(plen));
        store_u16(d + AT_LOW, u16_from(PAGE_BYTES - plen));
    }
    for (uint32_t i = from; i < to; i++) {
        struct merged_entry e = merged_get(m, i);
        if (i < first_real) {
            append_cell(d, i - from, NULL, 0, NULL, 0, 0, e.child);
            continue;
        }
        uint32_t skip_a = MIN(plen, e.a_len);
        uint32_t skip_b = plen - skip_a;
        append_cell(d, i - from, e.a + skip_a, e.a_len - skip_a, e.b + skip_b, e.b_len - skip_b,
                    e.rid, e.child);
    }
    store_u16(d + AT_COUNT, u16_from(to - from));
}

static void copy_body(uint8_t *to, const uint8_t *from)
{
    memcpy(to + PAGE_HEADER_BYTES, from + PAGE_HEADER_BYTES, PAGE_BYTES - PAGE_HEADER_BYTES);
}

/* Does a page of entries [from, to) fit? */
static uint32_t built_bytes(uint32_t level, const struct merged *m, uint32_t from, uint32_t to)
{
    uint32_t first_real = level > 0 ? from + 1 : from;
    uint32_t plen = 0;
    if (first_real + 1 < to) {
        struct merged_entry a = merged_get(m, first_real);
        struct merged_entry b = merged_get(m, to - 1);
        plen = entries_common(&a, &b);
    }
    uint32_t bytes = AT_SLOTS + plen;
    for (uint32_t i = from; i < to; i++) {
        struct merged_entry e = merged_get(m, i);
        bytes += SLOT_BYTES + cell_overhead(level);
        if (i >= first_real)
            bytes += e.a_len + e.b_len - plen;
    }
    return bytes;
}

bool bp_insert(uint8_t *d, uint32_t pos, const uint8_t *key, uint32_t len, row_id rid,
               uint32_t child, uint8_t *scratch)
{
    uint32_t count = bp_count(d);
    uint32_t level = bp_level(d);
    uint32_t plen = prefix_len_of(d);
    ASSERT(pos <= count);
    bool has_prefix = count != 0 && shared_with(d, key, len) == plen;
    uint32_t need = SLOT_BYTES + cell_overhead(level) + len - plen;
    if (LIKELY(has_prefix && low_of(d) >= AT_SLOTS + count * SLOT_BYTES + need)) {
        memmove(slot_at(d, pos + 1), slot_at(d, pos), (count - pos) * SLOT_BYTES);
        /* append_cell checks against the slots in use, and writes slot pos. */
        uint32_t overhead = cell_overhead(level);
        uint32_t at = low_of(d) - (overhead + len - plen);
        uint8_t *c = d + at;
        store_u16(c, u16_from(len - plen));
        if (level > 0)
            store_u32(c + 2, child);
        rid_store(c + overhead - RID_BYTES, rid);
        memcpy(c + overhead, key + plen, len - plen);
        store_u32(slot_at(d, pos), head_of(c + overhead, len - plen));
        store_u16(slot_at(d, pos) + 4, u16_from(at));
        store_u16(d + AT_LOW, u16_from(at));
        store_u16(d + AT_COUNT, u16_from(count + 1));
        return true;
    }
    copy_body(scratch, d);
    struct merged m = {scratch, pos, key, len, rid, child, true};
    if (built_bytes(level, &m, 0, count + 1) > PAGE_BYTES)
        return false;
    build(d, level, &m, 0, count + 1);
    return true;
}

uint32_t bp_used_packed(uint8_t *d, uint8_t *scratch)
{
    uint32_t used = PAGE_BYTES - free_bytes(d);
    if (used > PAGE_BYTES - PAGE_BYTES / 10) {
        copy_body(scratch, d);
        struct merged m = {.from = scratch};
        build(d, bp_level(d), &m, 0, bp_count(scratch));
        used = PAGE_BYTES - free_bytes(d);
    }
    return used;
}

void bp_remove(uint8_t *d, uint32_t pos)
{
    uint32_t count = bp_count(d);
    ASSERT(pos < count);
    uint32_t len;
    (void)suffix_of(d, pos, &len);
    uint32_t bytes = cell_overhead(bp_level(d)) + len;
    uint32_t offset = load_u16(slot_at(d, pos) + 4);
    if (offset == low_of(d))
        store_u16(d + AT_LOW, u16_from(offset + bytes));
    else
        store_u16(d + AT_HOLES, u16_from(load_u16(d + AT_HOLES) + bytes));
    memmove(slot_at(d, pos), slot_at(d, pos + 1), (count - pos - 1) * SLOT_BYTES);
    store_u16(d + AT_COUNT, u16_from(count - 1));
    if (count == 1) {
        uint32_t level = bp_level(d);
        bp_init(d, level);
    }
}

void bp_split(uint8_t *d, uint8_t *right, uint32_t pos, const uint8_t *key, uint32_t len,
              row_id rid, uint32_t child, bool pack_left, struct bp_separator *sep,
              uint8_t *scratch)
{
    uint32_t level = bp_level(d);
    uint32_t count = bp_count(d) + 1;
    copy_body(scratch, d);
    struct merged m = {scratch, pos, key, len, rid, child, true};
    ASSERT(count >= 2);
    uint32_t at;
    bool is_foreign = count > 2 && shared_with(scratch, key, len) < prefix_len_of(scratch);
    if (pos == count - 1 && (pack_left || is_foreign)) {
        at = count - 1;
    } else if (pos == 0 && is_foreign && level == 0) {
        at = 1;
    } else {
        /* The most even split by bytes. */
        uint32_t total = 0;
        for (uint32_t i = 0; i < count; i++) {
            struct merged_entry e = merged_get(&m, i);
            total += SLOT_BYTES + cell_overhead(level) + e.a_len + e.b_len;
        }
        uint32_t left = 0;
        at = 1;
        uint32_t best = UINT32_MAX;
        for (uint32_t i = 0; i + 1 < count; i++) {
            struct merged_entry e = merged_get(&m, i);
            left += SLOT_BYTES + cell_overhead(level) + e.a_len + e.b_len;
            uint32_t worse = MAX(left, total - left);
            if (worse < best) {
                best = worse;
                at = i + 1;
            }
        }
    }
    /* Prefixes make the sizes only roughly additive: move the cut until both halves fit. */
    while (at > 1 && built_bytes(level, &m, 0, at) > PAGE_BYTES)
        at--;
    while (at + 1 < count && built_bytes(level, &m, at, count) > PAGE_BYTES)
        at++;
    ASSERT(built_bytes(level, &m, 0, at) <= PAGE_BYTES);
    struct merged_entry first = merged_get(&m, at);
    uint32_t first_len = first.a_len + first.b_len;
    if (level == 0) {
        struct merged_entry last = merged_get(&m, at - 1);
        uint32_t common = entries_common(&last, &first);
        bool is_same = common == first_len && common == last.a_len + last.b_len;
        sep->len = is_same ? first_len : common + 1;
        sep->rid = is_same ? first.rid : 0;
    } else {
        sep->len = first_len;
        sep->rid = first.rid;
    }
    ASSERT(sep->len <= INDEX_KEY_BYTES_MAX);
    for (uint32_t i = 0; i < sep->len; i++)
        sep->key[i] = (uint8_t)entry_byte(&first, i);
    build(right, level, &m, at, count);
    build(d, level, &m, 0, at);
}

err_t bp_check(const uint8_t *d, uint32_t level)
{
    const struct page_header *h = (const void *)d;
    uint32_t count = bp_count(d);
    uint32_t plen = prefix_len_of(d);
    uint32_t used = plen;
    if (bp_level(d) != level || plen > INDEX_KEY_BYTES_MAX || low_of(d) > PAGE_BYTES - plen ||
        low_of(d) < AT_SLOTS + count * SLOT_BYTES)
        goto bad;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset = load_u16(slot_at(d, i) + 4);
        if (offset < low_of(d) || offset + cell_overhead(level) > PAGE_BYTES - plen)
            goto bad;
        uint32_t len;
        const uint8_t *suffix = suffix_of(d, i, &len);
        if (offset + cell_overhead(level) + len > PAGE_BYTES - plen ||
            head_of(suffix, len) != load_u32(slot_at(d, i)))
            goto bad;
        used += cell_overhead(level) + len;
        if (i > (level > 0 ? 1u : 0u)) {
            uint32_t before_len;
            const uint8_t *before = suffix_of(d, i - 1, &before_len);
            int c = memcmp(before, suffix, MIN(before_len, len));
            if (c > 0 || (c == 0 && before_len > len) ||
                (c == 0 && before_len == len && bp_rid(d, i - 1) >= bp_rid(d, i)))
                goto bad;
        }
    }
    if (used + load_u16(d + AT_HOLES) != PAGE_BYTES - low_of(d))
        goto bad;
    return ERR_OK;
bad:
    return err_raise(ERR_INDEX_CORRUPTED, "bad structure of index page %u in file %llu/%llu",
                     h->page_no, (unsigned long long)(h->file >> 32),
                     (unsigned long long)(h->file & 0xffffffff));
}
