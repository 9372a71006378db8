/* Options of COPY and their checks. */
#include "sql/exec/copy.h"

static err_t copy_bool(const struct utility_option *o, bool *out)
{
    static const char *const yes[] = {"true", "on", "1", "yes"};
    static const char *const no[] = {"false", "off", "0", "no"};
    *out = true;
    if (!o->value)
        return ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(o->value, yes[i]) == 0)
            return ERR_OK;
        if (strcasecmp(o->value, no[i]) == 0) {
            *out = false;
            return ERR_OK;
        }
    }
    return err_raise(ERR_SYNTAX_ERROR, "%s requires a Boolean value", o->name);
}

static err_t copy_format_of(const struct utility_option *o, struct copy_options *out)
{
    const char *v = o->value ? o->value : "";
    if (strcmp(v, "text") == 0)
        out->format = COPY_TEXT;
    else if (strcmp(v, "csv") == 0)
        out->format = COPY_CSV;
    else if (strcmp(v, "binary") == 0)
        out->format = COPY_BINARY;
    else
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "COPY format \"%s\" not recognized", v);
    return ERR_OK;
}

static err_t copy_header_of(const struct utility_option *o, struct copy_options *out)
{
    bool on;
    if (o->value && strcasecmp(o->value, "match") == 0) {
        out->header = COPY_HEADER_MATCH;
        return ERR_OK;
    }
    if (copy_bool(o, &on) != ERR_OK)
        return err_raise(ERR_SYNTAX_ERROR, "%s requires a Boolean value or \"match\"", o->name);
    out->header = on ? COPY_HEADER_SKIP : COPY_HEADER_NONE;
    return ERR_OK;
}

static err_t copy_one_byte(const char *what, const char *value, char *out)
{
    if (!value || strlen(value) != 1)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY %s must be a single one-byte character",
                         what);
    *out = value[0];
    return ERR_OK;
}

/* "a, b" or "*" */
static err_t copy_column_list(const char *option, const char *value, const char *const *names,
                              uint32_t count, struct arena *mem, bool *all, bool **out)
{
    *out = ARENA_ARRAY(mem, bool, count + 1);
    if (all && value && strcmp(value, "*") == 0) {
        *all = true;
        return ERR_OK;
    }
    char *list = arena_strdup(mem, value ? value : "");
    char *save = NULL;
    for (char *word = strtok_r(list, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
        uint32_t i = 0;
        while (i < count && strcmp(names[i], word) != 0)
            i++;
        if (i == count)
            return err_raise(ERR_INVALID_COLUMN_REFERENCE,
                             "%s column \"%s\" not referenced by COPY", option, word);
        (*out)[i] = true;
    }
    return ERR_OK;
}

struct copy_given {
    bool delimiter;
    bool null_text;
    bool quote;
    bool escape;
};

static err_t copy_option(const struct utility_option *o, const char *const *names, uint32_t count,
                         struct arena *mem, struct copy_options *out, struct copy_given *given)
{
    bool ignored;
    if (strcmp(o->name, "format") == 0)
        return copy_format_of(o, out);
    if (strcmp(o->name, "freeze") == 0)
        return copy_bool(o, &ignored);
    if (strcmp(o->name, "header") == 0)
        return copy_header_of(o, out);
    if (strcmp(o->name, "delimiter") == 0) {
        given->delimiter = true;
        return copy_one_byte("delimiter", o->value, &out->delimiter);
    }
    if (strcmp(o->name, "null") == 0) {
        given->null_text = true;
        out->null_text = o->value ? o->value : "";
        return ERR_OK;
    }
    if (strcmp(o->name, "quote") == 0) {
        given->quote = true;
        return copy_one_byte("quote", o->value, &out->quote);
    }
    if (strcmp(o->name, "escape") == 0) {
        given->escape = true;
        return copy_one_byte("escape", o->value, &out->escape);
    }
    if (strcmp(o->name, "force_quote") == 0)
        return copy_column_list("FORCE_QUOTE", o->value, names, count, mem, &out->force_quote_all,
                                &out->force_quote);
    if (strcmp(o->name, "force_not_null") == 0)
        return copy_column_list("FORCE_NOT_NULL", o->value, names, count, mem, NULL,
                                &out->force_not_null);
    if (strcmp(o->name, "force_null") == 0)
        return copy_column_list("FORCE_NULL", o->value, names, count, mem, NULL, &out->force_null);
    if (strcmp(o->name, "encoding") == 0) {
        const char *v = o->value ? o->value : "";
        if (strcasecmp(v, "utf8") == 0 || strcasecmp(v, "utf-8") == 0)
            return ERR_OK;
        return err_not_built("COPY encoding \"%s\" is not supported: only UTF8 is", v);
    }
    return err_raise(ERR_SYNTAX_ERROR, "option \"%s\" not recognized", o->name);
}

static err_t copy_check(const struct copy_options *o, const struct copy_given *given, bool is_from)
{
    bool csv = o->format == COPY_CSV;
    if (o->format == COPY_BINARY && given->delimiter)
        return err_raise(ERR_SYNTAX_ERROR, "cannot specify DELIMITER in BINARY mode");
    if (o->format == COPY_BINARY && given->null_text)
        return err_raise(ERR_SYNTAX_ERROR, "cannot specify NULL in BINARY mode");
    if (o->format == COPY_BINARY && o->header != COPY_HEADER_NONE)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "cannot specify HEADER in BINARY mode");
    if (o->delimiter == '\r' || o->delimiter == '\n')
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "COPY delimiter cannot be newline or carriage return");
    if (strpbrk(o->null_text, "\r\n"))
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "COPY null representation cannot use newline or carriage return");
    if (!csv && strchr("\\.abcdefghijklmnopqrstuvwxyz0123456789", o->delimiter))
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "COPY delimiter cannot be \"%c\"",
                         o->delimiter);
    if (!csv && given->quote)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY quote available only in CSV mode");
    if (!csv && given->escape)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY escape available only in CSV mode");
    if (csv && o->delimiter == o->quote)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "COPY delimiter and quote must be different");
    if (!csv && (o->force_quote || o->force_quote_all))
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY force quote available only in CSV mode");
    if ((o->force_quote || o->force_quote_all) && is_from)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY force quote only available using COPY TO");
    if (!csv && o->force_not_null)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY force not null available only in CSV mode");
    if (o->force_not_null && !is_from)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY force not null only available using COPY FROM");
    if (strchr(o->null_text, o->delimiter))
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "COPY delimiter must not appear in the NULL specification");
    if (o->header == COPY_HEADER_MATCH && !is_from)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "cannot use \"match\" with HEADER in COPY TO");
    return ERR_OK;
}

err_t copy_options_parse(const struct utility *u, const char *const *names, uint32_t count,
                         struct arena *mem, struct copy_options *out)
{
    struct copy_given given = {0};
    *out = (struct copy_options){.quote = '"'};
    for (uint32_t i = 0; i < u->option_count; i++)
        TRY(copy_option(&u->options[i], names, count, mem, out, &given));
    if (!given.delimiter)
        out->delimiter = out->format == COPY_CSV ? ',' : '\t';
    if (!given.null_text)
        out->null_text = out->format == COPY_CSV ? "" : "\\N";
    if (!given.escape)
        out->escape = out->quote;
    return copy_check(out, &given, u->copy.is_from);
}
