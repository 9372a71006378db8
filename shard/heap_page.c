/*
 * Heap pages: slots and cells.
 *
 *   offset  bytes  what
 *       32      2  slot count
 *       34      2  lowest byte used by cells (0 = page never used)
 *       36      2  bytes in holes between cells
 *       38      2  free slots among the slots
 *       40     4n  slots: u16 offset of the cell (0 = free), u16 its length
 *      ...         cells, from the end of the page downwards
 *
 * A cell is u64 last writer, u16 flags, payload. A payload shorter than CELL_PAYLOAD_MIN takes up
 * that much room all the same, so that a forward can always replace it; the slot has the true
 * length.
 */
#include "shard/shard_priv.h"

enum { AT_COUNT = 32, AT_LOW = 34, AT_HOLES = 36, AT_FREE_SLOTS = 38 };

static inline uint32_t room_of(uint32_t cell_len)
{
    return MAX(cell_len, (uint32_t)CELL_HEADER_BYTES + CELL_PAYLOAD_MIN);
}

static inline uint32_t low_of(const uint8_t *d)
{
    uint32_t low = load_u16(d + AT_LOW);
    return low == 0 ? PAGE_BYTES : low;
}

static inline uint32_t slots_end(uint32_t count)
{
    return HEAP_SLOTS_AT + count * HEAP_SLOT_BYTES;
}

static inline uint8_t *slot_at(const uint8_t *d, uint32_t slot)
{
    return (uint8_t *)(uintptr_t)d + HEAP_SLOTS_AT + slot * HEAP_SLOT_BYTES;
}

uint32_t hp_slot_count(const uint8_t *d)
{
    return load_u16(d + AT_COUNT);
}

uint32_t hp_free_bytes(const uint8_t *d)
{
    return low_of(d) - slots_end(hp_slot_count(d)) + load_u16(d + AT_HOLES);
}

bool hp_get(const uint8_t *d, uint32_t slot, struct cell *out)
{
    if (slot >= hp_slot_count(d))
        return false;
    const uint8_t *s = slot_at(d, slot);
    uint32_t offset = load_u16(s);
    if (offset == 0)
        return false;
    uint32_t len = load_u16(s + 2);
    uint8_t *c = (uint8_t *)(uintptr_t)d + offset;
    out->writer = load_u64(c);
    out->flags = load_u16(c + 8);
    out->len = len - CELL_HEADER_BYTES;
    out->payload = c + CELL_HEADER_BYTES;
    return true;
}

uint32_t hp_room(const uint8_t *d)
{
    uint32_t free_bytes = hp_free_bytes(d);
    uint32_t overhead =
        CELL_HEADER_BYTES + (load_u16(d + AT_FREE_SLOTS) > 0 ? 0u : (uint32_t)HEAP_SLOT_BYTES);
    if (free_bytes < overhead + CELL_PAYLOAD_MIN)
        return 0;
    return free_bytes - overhead;
}

uint32_t hp_pick_slot(const uint8_t *d)
{
    uint32_t count = hp_slot_count(d);
    if (load_u16(d + AT_FREE_SLOTS) > 0) {
        for (uint32_t i = 0; i < count; i++) {
            if (load_u16(slot_at(d, i)) == 0)
                return i;
        }
    }
    return count;
}

bool hp_fits_new(const uint8_t *d, uint32_t slot, uint32_t payload_len)
{
    uint32_t count = hp_slot_count(d);
    uint32_t need = room_of(payload_len + CELL_HEADER_BYTES);
    if (slot >= count)
        need += (slot + 1 - count) * HEAP_SLOT_BYTES;
    else if (load_u16(slot_at(d, slot)) != 0)
        return false;
    return hp_free_bytes(d) >= need;
}

bool hp_fits(const uint8_t *d, uint32_t slot, uint32_t payload_len)
{
    ASSERT(slot < hp_slot_count(d));
    uint32_t now = room_of(load_u16(slot_at(d, slot) + 2));
    return hp_free_bytes(d) + now >= room_of(payload_len + CELL_HEADER_BYTES);
}

/* Move all cells to the end of the page. */
static void compact(uint8_t *d, uint8_t *scratch)
{
    uint32_t low = low_of(d);
    memcpy(scratch + low, d + low, PAGE_BYTES - low);
    uint32_t to = PAGE_BYTES;
    uint32_t count = hp_slot_count(d);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *s = slot_at(d, i);
        uint32_t offset = load_u16(s);
        if (offset == 0)
            continue;
        uint32_t room = room_of(load_u16(s + 2));
        to -= room;
        memcpy(d + to, scratch + offset, room);
        store_u16(s, u16_from(to));
    }
    store_u16(d + AT_LOW, u16_from(to));
    store_u16(d + AT_HOLES, 0);
}

void hp_free(uint8_t *d, uint32_t slot)
{
    ASSERT(slot < hp_slot_count(d));
    uint8_t *s = slot_at(d, slot);
    uint32_t offset = load_u16(s);
    ASSERT(offset != 0);
    uint32_t room = room_of(load_u16(s + 2));
    if (offset == low_of(d)) {
        store_u16(d + AT_LOW, u16_from(offset + room));
    } else {
        store_u16(d + AT_HOLES, u16_from(load_u16(d + AT_HOLES) + room));
    }
    store_u32(s, 0);
    store_u16(d + AT_FREE_SLOTS, u16_from(load_u16(d + AT_FREE_SLOTS) + 1u));
    /* Slots at the end go away. */
    uint32_t count = hp_slot_count(d);
    while (count > 0 && load_u16(slot_at(d, count - 1)) == 0) {
        count--;
        store_u16(d + AT_FREE_SLOTS, u16_from(load_u16(d + AT_FREE_SLOTS) - 1u));
    }
    store_u16(d + AT_COUNT, u16_from(count));
    if (count == 0) {
        store_u16(d + AT_LOW, PAGE_BYTES);
        store_u16(d + AT_HOLES, 0);
    }
}

void hp_put(uint8_t *d, uint32_t slot, uint64_t writer, uint16_t flags, const void *a,
            uint32_t a_len, const void *b, uint32_t b_len, uint8_t *scratch)
{
    uint32_t len = CELL_HEADER_BYTES + a_len + b_len;
    uint32_t room = room_of(len);
    uint32_t count = hp_slot_count(d);
    ASSERT(slot < RANGE_SLOT);
    if (load_u16(d + AT_LOW) == 0)
        store_u16(d + AT_LOW, PAGE_BYTES);
    uint32_t offset = slot < count ? load_u16(slot_at(d, slot)) : 0;
    if (offset != 0) {
        uint32_t room_now = room_of(load_u16(slot_at(d, slot) + 2));
        if (room_now < room) {
            ASSERT(hp_free_bytes(d) + room_now >= room);
            /* Out of the way first: its bytes become a hole. */
            store_u16(d + AT_HOLES, u16_from(load_u16(d + AT_HOLES) + room_now));
            store_u16(slot_at(d, slot), 0);
            offset = 0;
        } else if (room_now > room) {
            store_u16(d + AT_HOLES, u16_from(load_u16(d + AT_HOLES) + room_now - room));
            /* The freed tail stays a hole behind the cell. */
        }
    } else if (slot >= count) {
        ASSERT(hp_free_bytes(d) >= room + (slot + 1 - count) * HEAP_SLOT_BYTES);
        if (slots_end(slot + 1) > low_of(d))
            compact(d, scratch);
        memset(slot_at(d, count), 0, (slot + 1 - count) * HEAP_SLOT_BYTES);
        store_u16(d + AT_COUNT, u16_from(slot + 1));
        store_u16(d + AT_FREE_SLOTS, u16_from(load_u16(d + AT_FREE_SLOTS) + (slot - count)));
    } else {
        ASSERT(hp_free_bytes(d) >= room);
        store_u16(d + AT_FREE_SLOTS, u16_from(load_u16(d + AT_FREE_SLOTS) - 1u));
    }
    if (offset == 0) {
        if (low_of(d) < slots_end(hp_slot_count(d)) + room)
            compact(d, scratch);
        offset = low_of(d) - room;
        ASSERT(offset >= slots_end(hp_slot_count(d)));
        store_u16(d + AT_LOW, u16_from(offset));
        store_u16(slot_at(d, slot), u16_from(offset));
    }
    store_u16(slot_at(d, slot) + 2, u16_from(len));
    uint8_t *c = d + offset;
    store_u64(c, writer);
    store_u16(c + 8, flags);
    if (a_len != 0)
        memcpy(c + CELL_HEADER_BYTES, a, a_len);
    if (b_len != 0)
        memcpy(c + CELL_HEADER_BYTES + a_len, b, b_len);
}

void hp_set_flags(uint8_t *d, uint32_t slot, uint64_t writer, uint16_t flags)
{
    ASSERT(slot < hp_slot_count(d));
    uint32_t offset = load_u16(slot_at(d, slot));
    ASSERT(offset != 0);
    store_u64(d + offset, writer);
    store_u16(d + offset + 8, flags);
}

err_t hp_check(const uint8_t *d)
{
    const struct page_header *h = (const void *)d;
    uint32_t count = hp_slot_count(d);
    uint32_t low = low_of(d);
    uint32_t used = 0;
    uint32_t free_slots = 0;
    if (low > PAGE_BYTES || slots_end(count) > low)
        goto bad;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset = load_u16(slot_at(d, i));
        uint32_t len = load_u16(slot_at(d, i) + 2);
        if (offset == 0) {
            free_slots++;
            continue;
        }
        if (offset < low || len < CELL_HEADER_BYTES || offset + room_of(len) > PAGE_BYTES)
            goto bad;
        used += room_of(len);
    }
    if (used + load_u16(d + AT_HOLES) != PAGE_BYTES - low ||
        free_slots != load_u16(d + AT_FREE_SLOTS))
        goto bad;
    return ERR_OK;
bad:
    return err_raise(ERR_DATA_CORRUPTED, "bad structure of heap page %u in file %llu/%llu",
                     h->page_no, (unsigned long long)(h->file >> 32),
                     (unsigned long long)(h->file & 0xffffffff));
}
