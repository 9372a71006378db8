/* Rows of virtual relations; see view_rows.h. */
#include "sql/session/view_rows.h"

#define EPOCH_SHIFT_US INT64_C(946684800000000) /* 1970 to 2000 */

struct view_rows *view_new(struct arena *mem, uint32_t columns)
{
    struct view_rows *v = ARENA_NEW(mem, struct view_rows);
    v->mem = mem;
    v->columns = columns;
    return v;
}

datum *view_add(struct view_rows *v, bool **nulls)
{
    if (v->count == v->room) {
        uint64_t room = v->room ? v->room * 2 : 32;
        datum *values = ARENA_ARRAY(v->mem, datum, room * v->columns);
        bool *flags = ARENA_ARRAY(v->mem, bool, room * v->columns);
        if (v->count) {
            memcpy(values, v->values, sizeof(*values) * v->count * v->columns);
            memcpy(flags, v->nulls, v->count * v->columns);
        }
        v->values = values;
        v->nulls = flags;
        v->room = room;
    }
    datum *row = v->values + v->count * v->columns;
    *nulls = v->nulls + v->count * v->columns;
    memset(*nulls, 1, v->columns);
    v->count++;
    return row;
}

void view_text(struct view_rows *v, datum *row, bool *nulls, uint32_t column, const char *text)
{
    if (!text)
        return;
    row[column] = datum_of_text(v->mem, text);
    nulls[column] = false;
}

void view_set(datum *row, bool *nulls, uint32_t column, datum value)
{
    row[column] = value;
    nulls[column] = false;
}

void view_time(datum *row, bool *nulls, uint32_t column, int64_t unix_us)
{
    if (unix_us)
        view_set(row, nulls, column, datum_of_i64(unix_us - EPOCH_SHIFT_US));
}

err_t view_next(void *state, datum *values, bool *nulls, bool *end)
{
    struct view_rows *v = state;
    *end = v->next == v->count;
    if (*end)
        return ERR_OK;
    memcpy(values, v->values + v->next * v->columns, sizeof(*values) * v->columns);
    memcpy(nulls, v->nulls + v->next * v->columns, v->columns);
    v->next++;
    return ERR_OK;
}
