/*
 * Where a heap has room. One byte per page, in memory only: free bytes / 32, 0 = none or not known,
 * with an upper bound per 256 pages above it. After a start nothing is known; inserts that find no
 * room look at a few unknown pages first ("sweep") before they make the file longer, so old room is
 * found again at a bounded cost per insert and no insert waits for a whole scan.
 */
#include "shard/shard_priv.h"

enum { CLASS_BYTES = 32, BLOCK_PAGES = 256, SWEEP_PAGES = 4, CLASS_UNTRIED = 255 };

static void space_ensure(struct heap_space *hs, uint32_t pages)
{
    if (pages <= hs->capacity)
        return;
    uint32_t capacity =
        MAX(hs->capacity * 2, (pages + BLOCK_PAGES - 1) / BLOCK_PAGES * BLOCK_PAGES);
    capacity = MAX(capacity, (uint32_t)BLOCK_PAGES);
    hs->classes = core_realloc(hs->classes, capacity);
    memset(hs->classes + hs->capacity, 0, capacity - hs->capacity);
    hs->block_max = core_realloc(hs->block_max, capacity / BLOCK_PAGES);
    memset(hs->block_max + hs->capacity / BLOCK_PAGES, 0, (capacity - hs->capacity) / BLOCK_PAGES);
    hs->capacity = capacity;
}

struct heap_space *space_of(struct shard *s, file_id heap)
{
    struct heap_space **at = &s->spaces[file_bucket(heap)];
    for (struct heap_space *hs = *at; hs != NULL; hs = hs->next) {
        if (hs->file == heap)
            return hs;
    }
    struct heap_space *hs = core_zalloc(sizeof(*hs));
    uint32_t pages = file_page_count(s->pages, heap);
    hs->file = heap;
    hs->next = *at;
    *at = hs;
    hs->insert_page = PAGE_NONE;
    hs->rows_per_page = 50;
    hs->sweep_end = pages;
    space_ensure(hs, pages + 1);
    if (pages > 0) { /* the last page is the best guess */
        hs->insert_page = pages - 1;
        hs->classes[pages - 1] = CLASS_UNTRIED;
        hs->block_max[(pages - 1) / BLOCK_PAGES] = CLASS_UNTRIED;
    }
    return hs;
}

static void space_free(struct heap_space *hs)
{
    core_free(hs->classes);
    core_free(hs->block_max);
    core_free(hs);
}

void space_forget(struct shard *s, file_id heap)
{
    struct heap_space **at = &s->spaces[file_bucket(heap)];
    while (*at != NULL && (*at)->file != heap)
        at = &(*at)->next;
    if (*at != NULL) {
        struct heap_space *hs = *at;
        *at = hs->next;
        space_free(hs);
    }
}

void space_destroy(struct shard *s)
{
    for (uint32_t i = 0; i < FILE_TABLE_BUCKETS; i++) {
        while (s->spaces[i] != NULL) {
            struct heap_space *hs = s->spaces[i];
            s->spaces[i] = hs->next;
            space_free(hs);
        }
    }
}

void space_note(struct heap_space *hs, uint32_t page_no, uint32_t free_bytes)
{
    space_ensure(hs, page_no + 1);
    uint8_t class = (uint8_t)MIN(free_bytes / CLASS_BYTES, CLASS_UNTRIED - 1u);
    hs->classes[page_no] = class;
    uint8_t *max = &hs->block_max[page_no / BLOCK_PAGES];
    *max = MAX(*max, class);
}

static uint32_t space_find(struct heap_space *hs, uint32_t class, uint32_t avoid_a,
                           uint32_t avoid_b)
{
    uint32_t blocks = hs->capacity / BLOCK_PAGES;
    if (blocks == 0)
        return PAGE_NONE;
    for (uint32_t i = 0; i < blocks; i++) {
        uint32_t b = (hs->find_block + i) % blocks;
        if (hs->block_max[b] < class)
            continue;
        uint8_t max = 0;
        for (uint32_t p = b * BLOCK_PAGES; p < (b + 1) * BLOCK_PAGES; p++) {
            if (hs->classes[p] >= class && p != avoid_a && p != avoid_b) {
                hs->find_block = b;
                return p;
            }
            max = MAX(max, hs->classes[p]);
        }
        hs->block_max[b] = max;
    }
    return PAGE_NONE;
}

static uint32_t class_needed(uint32_t payload_len)
{
    uint32_t need =
        MAX(payload_len, (uint32_t)CELL_PAYLOAD_MIN) + CELL_HEADER_BYTES + HEAP_SLOT_BYTES;
    /* The largest cells take a whole page, whatever its class says. */
    return MIN((need + CLASS_BYTES - 1) / CLASS_BYTES,
               (uint32_t)(PAGE_BYTES - HEAP_SLOTS_AT) / CLASS_BYTES);
}

void space_note_misfit(struct heap_space *hs, uint32_t page_no, uint32_t free_bytes,
                       uint32_t payload_len)
{
    space_note(hs, page_no, free_bytes);
    uint32_t class = class_needed(payload_len);
    if (hs->classes[page_no] >= class)
        hs->classes[page_no] = (uint8_t)(class - 1);
    if (hs->insert_page == page_no)
        hs->insert_page = PAGE_NONE;
}

err_t space_pick_wait(struct shard *s, struct heap_space *hs, uint32_t payload_len,
                      uint32_t avoid_a, uint32_t avoid_b, struct page **out)
{
    uint32_t class = class_needed(payload_len);
    uint32_t page_no = hs->insert_page;
    if (page_no == PAGE_NONE || hs->classes[page_no] < class || page_no == avoid_a ||
        page_no == avoid_b)
        page_no = space_find(hs, class, avoid_a, avoid_b);
    for (uint32_t i = 0; i < SWEEP_PAGES && page_no == PAGE_NONE; i++) {
        if (hs->sweep_next >= hs->sweep_end)
            break;
        uint32_t p = hs->sweep_next++;
        if (hs->classes[p] != 0)
            continue;
        struct page *page;
        TRY(page_pin_use_wait(s->pages, hs->file, p, PAGE_USE_SCAN, &page));
        space_note(hs, p, hp_free_bytes(page->data));
        page_unpin(page);
        if (hs->classes[p] >= class && p != avoid_a && p != avoid_b)
            page_no = p;
    }
    if (page_no != PAGE_NONE) {
        hs->insert_page = page_no;
        return page_pin_wait(s->pages, hs->file, page_no, out);
    }
    TRY(page_reserve_wait(s->pages, 1));
    struct page *page = page_new_reserved(s->pages, hs->file);
    page_reserve_end(s->pages);
    page_no = ((const struct page_header *)(const void *)page->data)->page_no;
    space_note(hs, page_no, PAGE_BYTES - HEAP_SLOTS_AT);
    hs->insert_page = page_no;
    *out = page;
    return ERR_OK;
}
