/* Rows of a virtual relation, made in advance when its scan begins. */
#ifndef SQL_SESSION_VIEW_ROWS_H
#define SQL_SESSION_VIEW_ROWS_H

#include "sql/catalog/virtual.h"

struct view_rows {
    struct arena *mem;
    uint32_t columns;
    uint64_t count;
    uint64_t room;
    uint64_t next;
    datum *values; /* row after row */
    bool *nulls;
};

struct view_rows *view_new(struct arena *mem, uint32_t columns);
/* Room for one more row, all null; *nulls and the result are to be filled. */
datum *view_add(struct view_rows *v, bool **nulls);
void view_text(struct view_rows *v, datum *row, bool *nulls, uint32_t column, const char *text);
void view_set(datum *row, bool *nulls, uint32_t column, datum value);
void view_time(datum *row, bool *nulls, uint32_t column, int64_t unix_us); /* 0 = null */
err_t view_next(void *state, datum *values, bool *nulls, bool *end);

extern const struct virtual_rows lock_view_rows; /* pg_locks */

#endif
