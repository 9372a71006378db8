/* The structured forms of EXPLAIN: JSON, YAML and XML from the same calls, as PostgreSQL writes
 * them. */
#ifndef SQL_PLAN_EXPLAIN_WRITE_H
#define SQL_PLAN_EXPLAIN_WRITE_H

#include "core/arena.h"

enum explain_format { EXPLAIN_TEXT, EXPLAIN_JSON, EXPLAIN_YAML, EXPLAIN_XML };

enum { EXPLAIN_GROUPS_MAX = 3000 }; /* plans are less deep: the stack bounds them */

struct explain_writer {
    enum explain_format format;
    struct strbuf *out;
    uint32_t depth;
    uint32_t indent;
    bool has_members[EXPLAIN_GROUPS_MAX];
};

void explain_write_begin(struct explain_writer *w);
void explain_write_end(struct explain_writer *w);
/* type: the tag of XML; label NULL: it has none (a member of a list). A group of named members, or
 * a list of such groups. */
void explain_write_open(struct explain_writer *w, const char *type, const char *label, bool named);
void explain_write_close(struct explain_writer *w, const char *type, bool named);
void explain_write_text(struct explain_writer *w, const char *name, const char *value);
void explain_write_bool(struct explain_writer *w, const char *name, bool value);
void explain_write_number(struct explain_writer *w, const char *name, double value, int digits);
void explain_write_list(struct explain_writer *w, const char *name, const char *const *items,
                        uint32_t count);

#endif
