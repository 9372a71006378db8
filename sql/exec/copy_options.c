/* Options of COPY, with PostgreSQL's rules and messages. */
#include "sql/exec/copy.h"

#include <strings.h>

struct given {
    bool format, freeze, delimiter, null_text, header, quote, escape, force_quote, force_not_null,
        force_null, encoding;
    const char *delimiter_text;
    const char *quote_text;
    const char *escape_text;
};

static COLD err_t redundant(void)
{
    return err_raise(ERR_SYNTAX_ERROR, "conflicting or redundant options");
}

static err_t once(bool *given)
{
    if (*given)
        return redundant();
    *given = true;
    return ERR_OK;
}

static err_t option_bool(const struct utility_option *o, bool *out)
{
    *out = true;
    const char *v = o->value;
    if (v == NULL || strcasecmp(v, "true") == 0 || strcasecmp(v, "on") == 0 || strcmp(v, "1") == 0)
        return ERR_OK;
    *out = false;
    if (strcasecmp(v, "false") == 0 || strcasecmp(v, "off") == 0 || strcmp(v, "0") == 0)
        return ERR_OK;
    return err_raise(ERR_SYNTAX_ERROR, "%s requires a Boolean value", o->name);
}

static err_t option_header(const struct utility_option *o, bool is_from, enum copy_header *out)
{
    if (o->value != NULL && strcasecmp(o->value, "match") == 0) {
        if (!is_from)
            return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                             "cannot use \"match\" with HEADER in COPY TO");
        *out = COPY_HEADER_MATCH;
        return ERR_OK;
    }
    bool on = false;
    if (option_bool(o, &on) != ERR_OK)
        return err_raise(ERR_SYNTAX_ERROR, "%s requires a Boolean value or \"match\"", o->name);
    *out = on ? COPY_HEADER_SKIP : COPY_HEADER_NONE;
    return ERR_OK;
}

/* "*" or names separated by commas, perhaps in double quotes. */
static err_t column_list(const struct utility_option *o, const char *label,
                         const char *const *names, uint32_t name_count, struct arena *mem,
                         bool *out)
{
    const char *p = o->value != NULL ? o->value : "";
    if (strcmp(p, "*") == 0) {
        memset(out, true, name_count);
        return ERR_OK;
    }
    while (*p != '\0') {
        while (*p == ' ' || *p == ',')
            p++;
        if (*p == '\0')
            break;
        struct strbuf name;
        strbuf_init(&name, mem);
        if (*p == '"') {
            for (p++; *p != '\0'; p++) {
                if (*p == '"' && *++p != '"')
                    break;
                strbuf_putc(&name, *p);
            }
        } else {
            for (; *p != '\0' && *p != ','; p++)
                strbuf_putc(&name, *p);
            while (name.len > 0 && name.data[name.len - 1] == ' ')
                name.data[--name.len] = '\0';
        }
        const char *wanted = name.len > 0 ? name.data : "";
        bool found = false;
        for (uint32_t i = 0; i < name_count; i++)
            if (names[i] != NULL && strcmp(names[i], wanted) == 0) {
                out[i] = true;
                found = true;
            }
        if (!found)
            return err_raise(ERR_INVALID_COLUMN_REFERENCE,
                             "%s column \"%s\" not referenced by COPY", label, wanted);
    }
    return ERR_OK;
}

static err_t option_format(const struct utility_option *o, enum copy_format *out)
{
    const char *v = o->value != NULL ? o->value : "";
    if (strcmp(v, "text") == 0)
        *out = COPY_TEXT;
    else if (strcmp(v, "csv") == 0)
        *out = COPY_CSV;
    else if (strcmp(v, "binary") == 0)
        *out = COPY_BINARY;
    else {
        err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE, "COPY format \"%s\" not recognized", v);
        if (o->position > 0)
            err_position(o->position);
        return e;
    }
    return ERR_OK;
}

static err_t option_encoding(const struct utility_option *o)
{
    const char *v = o->value != NULL ? o->value : "";
    if (strcasecmp(v, "utf8") == 0 || strcasecmp(v, "utf-8") == 0 ||
        strcasecmp(v, "unicode") == 0 || strcasecmp(v, "sql_ascii") == 0)
        return ERR_OK;
    return err_not_built("COPY with encoding \"%s\" is not supported yet", v);
}

static err_t check_delimiter(const struct copy_options *out, const struct given *g)
{
    const char *d = g->delimiter_text;
    if (d != NULL && strlen(d) != 1)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY delimiter must be a single one-byte character");
    if (out->delimiter == '\r' || out->delimiter == '\n')
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "COPY delimiter cannot be newline or carriage return");
    if (strchr(out->null_text, '\r') != NULL || strchr(out->null_text, '\n') != NULL)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "COPY null representation cannot use newline or carriage return");
    if (out->format != COPY_CSV &&
        strchr("\\.abcdefghijklmnopqrstuvwxyz0123456789", out->delimiter) != NULL)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "COPY delimiter cannot be \"%c\"",
                         out->delimiter);
    return ERR_OK;
}

static err_t check_csv(const struct copy_options *out, const struct given *g, bool is_from)
{
    bool csv = out->format == COPY_CSV;
    if (!csv && g->quote)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY quote available only in CSV mode");
    if (csv && strlen(g->quote_text) != 1)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY quote must be a single one-byte character");
    if (csv && out->delimiter == out->quote)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "COPY delimiter and quote must be different");
    if (!csv && g->escape)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY escape available only in CSV mode");
    if (csv && g->escape && strlen(g->escape_text) != 1)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY escape must be a single one-byte character");
    if (!csv && g->force_quote)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY force quote available only in CSV mode");
    if (g->force_quote && is_from)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY force quote only available using COPY TO");
    if (!csv && g->force_not_null)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY force not null available only in CSV mode");
    if (g->force_not_null && !is_from)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY force not null only available using COPY FROM");
    if (!csv && g->force_null)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY force null available only in CSV mode");
    if (g->force_null && !is_from)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY force null only available using COPY FROM");
    if (out->format != COPY_BINARY && strchr(out->null_text, out->delimiter) != NULL)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "COPY delimiter must not appear in the NULL specification");
    if (csv && strchr(out->null_text, out->quote) != NULL)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "CSV quote character must not appear in the NULL specification");
    return ERR_OK;
}

static err_t parse_one(const struct utility_option *o, bool is_from, const char *const *names,
                       uint32_t name_count, struct arena *mem, struct given *g,
                       struct copy_options *out)
{
    bool ignored = false;
    if (strcmp(o->name, "format") == 0) {
        TRY(once(&g->format));
        return option_format(o, &out->format);
    }
    if (strcmp(o->name, "freeze") == 0) {
        TRY(once(&g->freeze));
        return option_bool(o, &ignored);
    }
    if (strcmp(o->name, "delimiter") == 0) {
        g->delimiter_text = o->value != NULL ? o->value : "";
        return once(&g->delimiter);
    }
    if (strcmp(o->name, "null") == 0) {
        out->null_text = o->value != NULL ? o->value : "";
        return once(&g->null_text);
    }
    if (strcmp(o->name, "header") == 0) {
        TRY(once(&g->header));
        return option_header(o, is_from, &out->header);
    }
    if (strcmp(o->name, "quote") == 0) {
        g->quote_text = o->value != NULL ? o->value : "";
        return once(&g->quote);
    }
    if (strcmp(o->name, "escape") == 0) {
        g->escape_text = o->value != NULL ? o->value : "";
        return once(&g->escape);
    }
    if (strcmp(o->name, "force_quote") == 0) {
        TRY(once(&g->force_quote));
        return column_list(o, "FORCE_QUOTE", names, name_count, mem, out->force_quote);
    }
    if (strcmp(o->name, "force_not_null") == 0) {
        TRY(once(&g->force_not_null));
        return column_list(o, "FORCE_NOT_NULL", names, name_count, mem, out->force_not_null);
    }
    if (strcmp(o->name, "force_null") == 0) {
        TRY(once(&g->force_null));
        return column_list(o, "FORCE_NULL", names, name_count, mem, out->force_null);
    }
    if (strcmp(o->name, "encoding") == 0) {
        TRY(once(&g->encoding));
        return option_encoding(o);
    }
    return err_raise(ERR_SYNTAX_ERROR, "option \"%s\" not recognized", o->name);
}

err_t copy_options_parse(const struct utility *u, const char *const *names, uint32_t name_count,
                         struct arena *mem, struct copy_options *out)
{
    struct given g = {0};
    bool is_from = u->copy.is_from;
    *out = (struct copy_options){0};
    out->force_quote = ARENA_ARRAY(mem, bool, name_count + 1);
    out->force_not_null = ARENA_ARRAY(mem, bool, name_count + 1);
    out->force_null = ARENA_ARRAY(mem, bool, name_count + 1);
    for (uint32_t i = 0; i < u->option_count; i++)
        TRY(parse_one(&u->options[i], is_from, names, name_count, mem, &g, out));
    if (out->format == COPY_BINARY) {
        if (g.delimiter)
            return err_raise(ERR_SYNTAX_ERROR, "cannot specify DELIMITER in BINARY mode");
        if (g.null_text)
            return err_raise(ERR_SYNTAX_ERROR, "cannot specify NULL in BINARY mode");
        if (out->header != COPY_HEADER_NONE)
            return err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot specify HEADER in BINARY mode");
    }
    bool csv = out->format == COPY_CSV;
    out->delimiter = g.delimiter_text != NULL ? g.delimiter_text[0] : csv ? ',' : '\t';
    if (out->null_text == NULL)
        out->null_text = csv ? "" : "\\N";
    if (g.quote_text == NULL)
        g.quote_text = "\"";
    out->quote = g.quote_text[0];
    out->escape = g.escape_text != NULL ? g.escape_text[0] : out->quote;
    if (out->format != COPY_BINARY)
        TRY(check_delimiter(out, &g));
    return check_csv(out, &g, is_from);
}
