/*
 * Quoting of identifiers and literals. The words are those that PostgreSQL 15's grammar does not
 * accept everywhere as a name (all but its unreserved key words), sorted.
 */
#include "sql/types/quote.h"

static const char *const reserved_words[] = {"all",
                                             "analyse",
                                             "analyze",
                                             "and",
                                             "any",
                                             "array",
                                             "as",
                                             "asc",
                                             "asymmetric",
                                             "authorization",
                                             "between",
                                             "bigint",
                                             "binary",
                                             "bit",
                                             "boolean",
                                             "both",
                                             "case",
                                             "cast",
                                             "char",
                                             "character",
                                             "check",
                                             "coalesce",
                                             "collate",
                                             "collation",
                                             "column",
                                             "concurrently",
                                             "constraint",
                                             "create",
                                             "cross",
                                             "current_catalog",
                                             "current_date",
                                             "current_role",
                                             "current_schema",
                                             "current_time",
                                             "current_timestamp",
                                             "current_user",
                                             "dec",
                                             "decimal",
                                             "default",
                                             "deferrable",
                                             "desc",
                                             "distinct",
                                             "do",
                                             "else",
                                             "end",
                                             "except",
                                             "exists",
                                             "extract",
                                             "false",
                                             "fetch",
                                             "float",
                                             "for",
                                             "foreign",
                                             "freeze",
                                             "from",
                                             "full",
                                             "grant",
                                             "greatest",
                                             "group",
                                             "grouping",
                                             "having",
                                             "ilike",
                                             "in",
                                             "initially",
                                             "inner",
                                             "inout",
                                             "int",
                                             "integer",
                                             "intersect",
                                             "interval",
                                             "into",
                                             "is",
                                             "isnull",
                                             "join",
                                             "lateral",
                                             "leading",
                                             "least",
                                             "left",
                                             "like",
                                             "limit",
                                             "localtime",
                                             "localtimestamp",
                                             "national",
                                             "natural",
                                             "nchar",
                                             "none",
                                             "normalize",
                                             "not",
                                             "notnull",
                                             "null",
                                             "nullif",
                                             "numeric",
                                             "offset",
                                             "on",
                                             "only",
                                             "or",
                                             "order",
                                             "out",
                                             "outer",
                                             "overlaps",
                                             "overlay",
                                             "placing",
                                             "position",
                                             "precision",
                                             "primary",
                                             "real",
                                             "references",
                                             "returning",
                                             "right",
                                             "row",
                                             "select",
                                             "session_user",
                                             "setof",
                                             "similar",
                                             "smallint",
                                             "some",
                                             "substring",
                                             "symmetric",
                                             "table",
                                             "tablesample",
                                             "then",
                                             "time",
                                             "timestamp",
                                             "to",
                                             "trailing",
                                             "treat",
                                             "trim",
                                             "true",
                                             "union",
                                             "unique",
                                             "user",
                                             "using",
                                             "values",
                                             "varchar",
                                             "variadic",
                                             "verbose",
                                             "when",
                                             "where",
                                             "window",
                                             "with",
                                             "xmlattributes",
                                             "xmlconcat",
                                             "xmlelement",
                                             "xmlexists",
                                             "xmlforest",
                                             "xmlnamespaces",
                                             "xmlparse",
                                             "xmlpi",
                                             "xmlroot",
                                             "xmlserialize",
                                             "xmltable"};

static bool is_reserved(const char *name, size_t len)
{
    size_t low = 0;
    size_t high = ARRAY_LEN(reserved_words);
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = strncmp(reserved_words[mid], name, len);
        if (c == 0 && reserved_words[mid][len] != 0)
            c = 1;
        if (c == 0)
            return true;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

bool quote_identifier_needed(const char *name, size_t len)
{
    if (len == 0 || !((name[0] >= 'a' && name[0] <= 'z') || name[0] == '_'))
        return true;
    for (size_t i = 1; i < len; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
              name[i] == '_'))
            return true;
    return is_reserved(name, len);
}

const char *quote_identifier(struct arena *mem, const char *name)
{
    size_t len = strlen(name);
    if (!quote_identifier_needed(name, len))
        return name;
    char *out = arena_alloc(mem, len * 2 + 3);
    char *p = out;
    *p++ = '"';
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '"')
            *p++ = '"';
        *p++ = name[i];
    }
    *p++ = '"';
    *p = 0;
    return out;
}

err_t quote_literal(struct strbuf *out, const char *text, size_t len)
{
    if (len > 0 && memchr(text, '\\', len) != NULL)
        strbuf_putc(out, 'E');
    strbuf_putc(out, '\'');
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\'' && text[i] != '\\')
            continue;
        TRY(strbuf_put(out, text + from, i + 1 - from));
        strbuf_putc(out, text[i]);
        from = i + 1;
    }
    TRY(strbuf_put(out, text + from, len - from));
    strbuf_putc(out, '\'');
    return ERR_OK;
}
