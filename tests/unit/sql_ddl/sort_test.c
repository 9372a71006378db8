/* The external merge sort of index builds: order, ties by address, null flags; in memory and
 * through the temporary file. */
#include "sql/ddl/sort.c"

#include "tests/unit/core/unit.h"

static uint64_t state = 7;
static uint64_t next_random(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 20;
}

/* Keys of varied length from a small alphabet, so that prefixes and ties are frequent. */
static SUSPENDS void sorted(uint64_t budget, uint32_t count, bool spills)
{
    struct key_sort *s = key_sort_new(budget);
    s->budget = budget;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t key[40];
        uint32_t len = (uint32_t)(next_random() % sizeof(key));
        for (uint32_t k = 0; k < len; k++)
            key[k] = (uint8_t)(next_random() % 3);
        CHECK_OK(key_sort_add_wait(s, key, len, i, len == 0));
        sum += i;
    }
    CHECK_OK(key_sort_finish_wait(s));
    CHECK((s->file != NULL) == spills);
    uint8_t last[40];
    uint32_t last_len = 0;
    row_id last_id = 0;
    uint32_t seen = 0;
    for (;;) {
        const uint8_t *key;
        uint32_t len = 0;
        row_id id = 0;
        bool has_null = false;
        CHECK_OK(key_sort_next_wait(s, &key, &len, &id, &has_null));
        if (!key)
            break;
        CHECK(has_null == (len == 0));
        if (seen)
            CHECK(key_order(last, last_len, last_id, key, len, id) < 0);
        memcpy(last, key, len);
        last_len = len;
        last_id = id;
        sum -= id;
        seen++;
    }
    CHECK(seen == count);
    CHECK(sum == 0);
    key_sort_free_wait(s);
}

static SUSPENDS void body(void)
{
    char directory[] = "/tmp/percore_sort_XXXXXX";
    CHECK(mkdtemp(directory) != NULL);
    CHECK_OK(settings_set_argv("data_directory", directory));
    sorted(MIB(64), 0, false);
    sorted(MIB(64), 1, false);
    sorted(MIB(64), 1000, false);
    sorted(MIB(64), RUN_ENTRIES + 5, false);
    sorted(0, 300000, true);
    char command[80];
    snprintf(command, sizeof(command), "rmdir %s/pg_temp %s", directory, directory);
    CHECK(system(command) == 0); /* the file is gone */
}

static void sorts(void)
{
    unit_run(1, body);
}

int main(void)
{
    const struct unit_test tests[] = {{"sorts", sorts}};
    return unit_main("sql_ddl sort", tests, ARRAY_LEN(tests));
}
