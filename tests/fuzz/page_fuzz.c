/*
 * Pages and log records with bytes of any kind. First byte: 0 heap page, 1 index page, 2 and above
 * a log record of that kind. A page that passes the structure check must be safe to read in every
 * way.
 */
#include "shard/check.h"
#include "shard/shard_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* every byte that is handed out is looked at */

static void look(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sink += p[i];
}

static void read_heap(uint8_t *d)
{
    for (uint32_t i = 0; i < hp_slot_count(d) + 1; i++) {
        struct cell c;
        bool is_used = i < hp_slot_count(d) && hp_get(d, i, &c);
        if (is_used)
            look(c.payload, c.len);
        sink += is_used ? hp_fits(d, i, 100) : hp_fits_new(d, i, 100);
    }
    sink += hp_room(d) + hp_free_bytes(d) + hp_pick_slot(d);
}

static void read_index(uint8_t *d)
{
    static uint8_t key[INDEX_KEY_BYTES_MAX + 64];
    uint32_t level = bp_level(d);
    for (uint32_t i = 0; i < bp_count(d); i++) {
        uint32_t len = bp_key_copy(d, i, key);
        look(key, len);
        sink += bp_rid(d, i) + (level > 0 ? bp_child(d, i) : 0);
        struct bt_search k = {.key = key, .len = len, .rid = bp_rid(d, i)};
        sink += bp_lower_bound(d, &k) + (uint64_t)bp_compare(d, i, &k);
        if (level > 0)
            sink += bp_child_index(d, &k, i % 2 == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] >= 2) {
        char text[128];
        uint8_t *exact = malloc(size);
        memcpy(exact, data + 1, size - 1);
        (void)log_record_text((uint8_t)(data[0] - 2), exact, (uint32_t)size - 1, text,
                              sizeof(text));
        free(exact);
        return 0;
    }
    uint8_t *page = calloc(1, PAGE_BYTES);
    memcpy(page + PAGE_HEADER_BYTES, data + 1,
           size - 1 < PAGE_BYTES - PAGE_HEADER_BYTES ? size - 1 : PAGE_BYTES - PAGE_HEADER_BYTES);
    struct page_header h = {.kind = data[0] == 0 ? FILE_HEAP : FILE_BTREE, .page_no = 1};
    memcpy(page, &h, sizeof(h));
    if (page_structure_check(page) == ERR_OK)
        (data[0] == 0 ? read_heap : read_index)(page);
    free(page);
    return 0;
}
