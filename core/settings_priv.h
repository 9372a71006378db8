/* What the files of the settings share: values, their parsing and printing, the server's values. */
#ifndef CORE_SETTINGS_PRIV_H
#define CORE_SETTINGS_PRIV_H

#include "core/settings.h"

/* text is canonical and in the base unit; number is a bool, an int, or an index of enum_values. */
struct setting_value {
    char *text; /* malloc'ed */
    int64_t number;
    double real;
};

struct server_value {
    struct setting_value value;
    enum setting_source source;
    const char *file; /* NULL unless from a file */
    int line;
};

struct node_value {
    struct node_value *next;
    uint32_t node;
    char *name;
    char *value;
};

struct server_values {
    struct server_value values[SETTING_COUNT];
    struct node_value *nodes;
    struct server_values *replaced; /* the set before this one */
};

/* The current ones; made from the defaults on first use. */
const struct server_values *server_values(void);

/* PostgreSQL's checks and messages. now: of a string setting, the value that it would replace; NULL
 * when there is none. out->text is the caller's to free. */
err_t setting_value_parse(enum setting_id id, const char *text, const char *now,
                          struct setting_value *out);
/* As SHOW prints it. */
char *setting_value_show(enum setting_id id, const struct setting_value *v, struct arena *out);

#endif
