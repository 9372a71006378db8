/*
 * Literals of a statement's text, taken out so that statements that differ only in them share one
 * plan (literals.c says which are taken and why only those).
 */
#ifndef SQL_SESSION_LITERALS_H
#define SQL_SESSION_LITERALS_H

#include "core/arena.h"
#include "sql/types/types.h"

struct literal {
    oid type;         /* int4, int8 or numeric; OID_NONE: a string, as unknown as it was */
    const char *text; /* digits with their sign; a string without its quotes */
    size_t len;
};

struct literals {
    const char *text; /* one statement without its semicolon, $1, $2, ... for what was taken */
    struct literal *items;
    oid *types; /* of the items, for analysis */
    uint32_t count;
};

/* False: not one plain SELECT, INSERT, UPDATE or DELETE, or something in it is not understood. With
 * take false nothing is taken: out->text is the statement as it is. All in mem. */
bool literals_take(const char *text, bool take, struct arena *mem, struct literals *out);

#endif
