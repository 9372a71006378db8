/* The registry of virtual relations: a small table filled at start, read by all cores after. */
#include "sql/catalog/virtual.h"

enum { VIRTUAL_MAX = 128 };

static struct {
    const char *name;
    const struct virtual_rows *rows;
} registered[VIRTUAL_MAX];
static uint32_t registered_count;

void virtual_register(const char *name, const struct virtual_rows *rows)
{
    for (uint32_t i = 0; i < registered_count; i++) {
        if (strcmp(registered[i].name, name) == 0) {
            registered[i].rows = rows;
            return;
        }
    }
    ASSERT(registered_count < VIRTUAL_MAX);
    registered[registered_count].name = name;
    registered[registered_count].rows = rows;
    registered_count++;
}

const struct virtual_rows *virtual_find(const char *name)
{
    for (uint32_t i = 0; i < registered_count; i++)
        if (strcmp(registered[i].name, name) == 0)
            return registered[i].rows;
    return NULL;
}
