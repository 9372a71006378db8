/*
 * The server's values: defaults, then configuration files in the order in which they were first
 * loaded, then the command line. They are rebuilt whole on every load and published by one pointer,
 * so a reader on any core sees one consistent set without a lock. A replaced set is kept: sessions
 * may hold its strings, and reloads that change something are rare.
 *
 * File syntax: name [=] value, '#' comments, values plain or in single quotes ('' and backslash
 * escapes), include, include_if_exists, include_dir.
 */
#include "core/core_priv.h"
#include "core/io.h"
#include "core/settings_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { INCLUDE_DEPTH_MAX = 10, CONFIG_BYTES_MAX = 16 << 20 };

/* One assignment, as read. */
struct item {
    struct item *next;
    char *name;
    char *value;
    const char *file; /* NULL: the command line */
    int line;
};

/* What one file (with all that it includes) or the command line says. */
struct layer {
    struct layer *next;
    char *file; /* NULL: the command line */
    struct item *first;
    struct item *last;
};

static _Atomic(struct server_values *) current;
static struct layer *layers; /* files, in order */
static struct layer argv_layer;

static char *copy_n(const char *s, size_t len)
{
    char *copy = malloc(len + 1);
    ASSERT(copy != NULL);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

static char *copy(const char *s)
{
    return copy_n(s, strlen(s));
}

/* Names of files are few and stay: published values refer to them. */
struct file_name {
    struct file_name *next;
    char name[];
};
static struct file_name *file_names;

static const char *file_name_keep(const char *name)
{
    for (const struct file_name *f = file_names; f != NULL; f = f->next)
        if (strcmp(f->name, name) == 0)
            return f->name;
    size_t bytes = strlen(name) + 1;
    struct file_name *f = malloc(sizeof(*f) + bytes);
    ASSERT(f != NULL);
    memcpy(f->name, name, bytes);
    f->next = file_names;
    file_names = f;
    return f->name;
}

/* ---- building ---- */

static struct server_values *values_new(void)
{
    struct server_values *values = calloc(1, sizeof(*values));
    ASSERT(values != NULL);
    for (int i = 0; i < SETTING_COUNT; i++) {
        struct server_value *v = &values->values[i];
        err_t e = setting_value_parse((enum setting_id)i, setting_info((enum setting_id)i)->boot,
                                      NULL, &v->value);
        ASSERT(e == ERR_OK); /* the table's own defaults */
        v->source = SETTING_SOURCE_DEFAULT;
    }
    return values;
}

static void values_free(struct server_values *values)
{
    for (int i = 0; i < SETTING_COUNT; i++)
        free(values->values[i].value.text);
    while (values->nodes != NULL) {
        struct node_value *next = values->nodes->next;
        free(values->nodes->name);
        free(values->nodes->value);
        free(values->nodes);
        values->nodes = next;
    }
    free(values);
}

const struct server_values *server_values(void)
{
    struct server_values *values = atomic_load_explicit(&current, memory_order_acquire);
    if (values != NULL)
        return values;
    struct server_values *made = values_new();
    if (atomic_compare_exchange_strong(&current, &values, made))
        return made;
    values_free(made);
    return values;
}

/* node<N>.<name>: true when the name has that form. */
static bool node_name_parse(const char *name, uint32_t *node, const char **rest)
{
    if (strncasecmp(name, "node", 4) != 0 || !isdigit((unsigned char)name[4]))
        return false;
    char *end;
    unsigned long n = strtoul(name + 4, &end, 10);
    if (*end != '.' || n >= 1024)
        return false;
    *node = (uint32_t)n;
    *rest = end + 1;
    return true;
}

static COLD err_t unrecognized(const struct item *item)
{
    if (item->file == NULL)
        return err_raise(ERR_UNDEFINED_OBJECT, "unrecognized configuration parameter \"%s\"",
                         item->name);
    return err_raise(ERR_UNDEFINED_OBJECT,
                     "unrecognized configuration parameter \"%s\" in file \"%s\" line %d",
                     item->name, item->file, item->line);
}

static err_t item_apply(struct server_values *values, const struct item *item,
                        enum setting_source source)
{
    uint32_t node;
    const char *rest;
    enum setting_id id;
    if (node_name_parse(item->name, &node, &rest)) {
        if (!setting_find(rest, &id))
            return unrecognized(item);
        struct setting_value parsed;
        TRY(setting_value_parse(id, item->value, NULL, &parsed));
        free(parsed.text);
        struct node_value *nv = calloc(1, sizeof(*nv));
        ASSERT(nv != NULL);
        *nv = (struct node_value){
            .next = values->nodes, .node = node, .name = copy(rest), .value = copy(item->value)};
        values->nodes = nv; /* the newest is found first */
        return ERR_OK;
    }
    if (!setting_find(item->name, &id))
        return unrecognized(item);
    if (setting_info(id)->context == SETTING_INTERNAL)
        return err_raise(ERR_CANT_CHANGE_RUNTIME_PARAM, "parameter \"%s\" cannot be changed",
                         item->name);
    struct setting_value parsed;
    TRY(setting_value_parse(id, item->value, NULL, &parsed));
    struct server_value *v = &values->values[id];
    free(v->value.text);
    v->value = parsed;
    v->source = source;
    v->file = item->file;
    v->line = item->line;
    return ERR_OK;
}

static err_t layer_apply(struct server_values *values, const struct layer *layer,
                         enum setting_source source)
{
    for (const struct item *item = layer->first; item != NULL; item = item->next) {
        err_t e = item_apply(values, item, source);
        if (e != ERR_OK) {
            if (item->file != NULL && e != ERR_UNDEFINED_OBJECT)
                err_context("configuration file \"%s\" line %d", item->file, item->line);
            return e;
        }
    }
    return ERR_OK;
}

/* On a reload, what needs a restart stays as it is. */
static void keep_until_restart(struct server_values *values, const struct server_values *old)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct setting_info *info = setting_info((enum setting_id)i);
        struct server_value *v = &values->values[i];
        const struct server_value *was = &old->values[i];
        if (info->context != SETTING_POSTMASTER || strcmp(v->value.text, was->value.text) == 0)
            continue;
        log_write(LOG_LOG, "parameter \"%s\" cannot be changed without restarting the server",
                  info->name);
        free(v->value.text);
        *v = *was;
        v->value.text = copy(was->value.text);
    }
}

static err_t rebuild(bool is_reload)
{
    struct server_values *values = values_new();
    err_t e = ERR_OK;
    for (const struct layer *layer = layers; layer != NULL && e == ERR_OK; layer = layer->next)
        e = layer_apply(values, layer, SETTING_SOURCE_FILE);
    if (e == ERR_OK)
        e = layer_apply(values, &argv_layer, SETTING_SOURCE_ARGV);
    if (e != ERR_OK) {
        values_free(values);
        return e;
    }
    if (is_reload)
        keep_until_restart(values, server_values());
    values->replaced = atomic_load(&current);
    atomic_store_explicit(&current, values, memory_order_release);
    return ERR_OK;
}

/* ---- reading a file ---- */

struct reader {
    struct layer *layer;
    const char *file;
    const char *at;
    int line;
    int depth;
};

static COLD err_t syntax_error(const struct reader *r, const char *token, size_t len)
{
    if (len == 0)
        return err_raise(ERR_CONFIG_FILE_ERROR,
                         "syntax error in file \"%s\" line %d, near end of line", r->file, r->line);
    return err_raise(ERR_CONFIG_FILE_ERROR,
                     "syntax error in file \"%s\" line %d, near token \"%.*s\"", r->file, r->line,
                     (int)MIN(len, 200), token);
}

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '.' ||
           (unsigned char)c >= 0x80;
}

static bool is_plain_char(char c)
{
    return isalnum((unsigned char)c) || strchr("_-:/.+*,@%", c) != NULL || (unsigned char)c >= 0x80;
}

static void skip_blanks(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\r')
        r->at++;
}

/* A token's end for messages: up to the next blank. */
static size_t token_len(const char *at)
{
    return *at == '\0' || *at == '\n' ? 0 : MAX(strcspn(at, " \t\r\n#"), 1);
}

/* In single quotes; *out is malloc'ed. */
static err_t read_quoted(struct reader *r, char **out)
{
    const char *start = r->at;
    const char *at = start + 1;
    char *text = malloc(strcspn(at, "\n") + 1);
    ASSERT(text != NULL);
    size_t len = 0;
    for (;; at++) {
        char c = *at;
        if (c == '\0' || c == '\n') {
            free(text);
            return syntax_error(r, start, strcspn(start, "\n"));
        }
        if (c == '\'' && at[1] != '\'')
            break;
        if (c == '\'') {
            at++;
        } else if (c == '\\' && at[1] != '\0' && at[1] != '\n') {
            c = *++at;
            static const char from[] = "bfnrt";
            static const char to[] = "\b\f\n\r\t";
            const char *escape = strchr(from, c);
            if (escape != NULL) {
                c = to[escape - from];
            } else if (c >= '0' && c <= '7') {
                int value = 0;
                int digits = 0;
                for (; digits < 3 && at[digits] >= '0' && at[digits] <= '7'; digits++)
                    value = value * 8 + (at[digits] - '0');
                at += digits - 1;
                c = (char)value;
            }
        }
        text[len++] = c;
    }
    text[len] = '\0';
    r->at = at + 1;
    *out = text;
    return ERR_OK;
}

static void layer_add(struct layer *layer, const char *name, size_t name_len, char *value,
                      const char *file, int line)
{
    struct item *item = calloc(1, sizeof(*item));
    ASSERT(item != NULL);
    *item = (struct item){.name = copy_n(name, name_len),
                          .value = value,
                          .file = file != NULL ? file_name_keep(file) : NULL,
                          .line = line};
    if (layer->last != NULL)
        layer->last->next = item;
    else
        layer->first = item;
    layer->last = item;
}

static void layer_clear(struct layer *layer)
{
    while (layer->first != NULL) {
        struct item *next = layer->first->next;
        free(layer->first->name);
        free(layer->first->value);
        free(layer->first);
        layer->first = next;
    }
    layer->last = NULL;
}

static err_t read_text(struct layer *layer, const char *file, const char *text, int depth);

/* Reads without waiting where no core runs; on a core, in a fiber. */
static NO_SUSPEND_ANALYSIS err_t read_include(const struct reader *r, const char *path,
                                              bool must_exist)
{
    if (r->depth >= INCLUDE_DEPTH_MAX)
        return err_raise(ERR_CONFIG_FILE_ERROR,
                         "could not open configuration file \"%s\": maximum nesting depth exceeded",
                         path);
    struct arena *arena = arena_new();
    const char *slash = strrchr(r->file, '/');
    const char *full = path;
    if (path[0] != '/' && slash != NULL)
        full = arena_printf(arena, "%.*s/%s", (int)(slash - r->file), r->file, path);
    char *data;
    size_t len;
    err_t e = io_read_file_wait(full, CONFIG_BYTES_MAX, arena, &data, &len);
    if (e == ERR_OK)
        e = read_text(r->layer, full, data, r->depth + 1);
    else if (e == ERR_UNDEFINED_FILE && !must_exist)
        e = ERR_OK;
    else
        err_context("configuration file \"%s\" line %d", r->file, r->line);
    arena_free(arena);
    return e;
}

static NO_SUSPEND_ANALYSIS err_t read_include_dir(const struct reader *r, const char *path)
{
    struct arena *arena = arena_new();
    const char *slash = strrchr(r->file, '/');
    const char *full = path;
    if (path[0] != '/' && slash != NULL)
        full = arena_printf(arena, "%.*s/%s", (int)(slash - r->file), r->file, path);
    char **names;
    size_t count;
    err_t e = io_list_dir_wait(full, arena, &names, &count);
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        size_t len = strlen(names[i]);
        if (names[i][0] == '.' || len < 6 || strcmp(names[i] + len - 5, ".conf") != 0)
            continue;
        char *absolute = arena_printf(arena, "%s/%s", full, names[i]);
        struct reader from_here = *r;
        from_here.file = ""; /* the path is whole already */
        e = read_include(&from_here, absolute, true);
    }
    arena_free(arena);
    return e;
}

static err_t read_line(struct reader *r)
{
    skip_blanks(r);
    if (*r->at == '\n' || *r->at == '\0' || *r->at == '#')
        return ERR_OK;
    const char *name = r->at;
    while (is_name_char(*r->at))
        r->at++;
    size_t name_len = (size_t)(r->at - name);
    if (name_len == 0 || isdigit((unsigned char)*name))
        return syntax_error(r, name, token_len(name));
    skip_blanks(r);
    if (*r->at == '=') {
        r->at++;
        skip_blanks(r);
    }
    char *value = NULL;
    if (*r->at == '\'') {
        TRY(read_quoted(r, &value));
    } else {
        const char *start = r->at;
        while (*r->at != '\0' && is_plain_char(*r->at))
            r->at++;
        if (r->at == start)
            return syntax_error(r, start, *start == '#' ? 0 : token_len(start));
        value = copy_n(start, (size_t)(r->at - start));
    }
    skip_blanks(r);
    if (*r->at != '\n' && *r->at != '\0' && *r->at != '#') {
        free(value);
        return syntax_error(r, r->at, token_len(r->at));
    }
    err_t e = ERR_OK;
    if (name_len == 7 && strncasecmp(name, "include", 7) == 0)
        e = read_include(r, value, true);
    else if (name_len == 17 && strncasecmp(name, "include_if_exists", 17) == 0)
        e = read_include(r, value, false);
    else if (name_len == 11 && strncasecmp(name, "include_dir", 11) == 0)
        e = read_include_dir(r, value);
    else {
        layer_add(r->layer, name, name_len, value, r->file, r->line);
        return ERR_OK;
    }
    free(value);
    return e;
}

static err_t read_text(struct layer *layer, const char *file, const char *text, int depth)
{
    TRY(runner.core != NULL ? fiber_check_stack() : ERR_OK);
    struct reader r = {.layer = layer, .file = file, .at = text, .line = 1, .depth = depth};
    for (;;) {
        TRY(read_line(&r));
        r.at += strcspn(r.at, "\n");
        if (*r.at == '\0')
            return ERR_OK;
        r.at++;
        r.line++;
    }
}

err_t settings_load_text(const char *file_name, const char *text, bool is_reload)
{
    struct layer read = {0};
    err_t e = read_text(&read, file_name, text, 0);
    if (e != ERR_OK) {
        layer_clear(&read);
        return e;
    }
    struct layer **link = &layers;
    while (*link != NULL && strcmp((*link)->file, file_name) != 0)
        link = &(*link)->next;
    bool is_new = *link == NULL;
    if (is_new) {
        *link = calloc(1, sizeof(**link));
        ASSERT(*link != NULL);
        (*link)->file = copy(file_name);
    }
    struct layer *layer = *link;
    struct layer before = *layer;
    layer->first = read.first;
    layer->last = read.last;
    e = rebuild(is_reload);
    if (e != ERR_OK) {
        layer_clear(layer);
        layer->first = before.first;
        layer->last = before.last;
        if (is_new) {
            *link = NULL;
            free(layer->file);
            free(layer);
        }
        return e;
    }
    layer_clear(&before);
    return ERR_OK;
}

err_t settings_set_argv(const char *name, const char *value)
{
    struct item *last = argv_layer.last;
    layer_add(&argv_layer, name, strlen(name), copy(value), NULL, 0);
    err_t e = rebuild(false);
    if (e == ERR_OK)
        return ERR_OK;
    struct layer dropped = {.first = argv_layer.last, .last = argv_layer.last};
    argv_layer.last = last;
    if (last != NULL)
        last->next = NULL;
    else
        argv_layer.first = NULL;
    layer_clear(&dropped);
    return e;
}

const char *settings_node_value(uint32_t node, const char *name)
{
    for (const struct node_value *nv = server_values()->nodes; nv != NULL; nv = nv->next)
        if (nv->node == node && strcasecmp(nv->name, name) == 0)
            return nv->value;
    return NULL;
}
