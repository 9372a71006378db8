/* Definitions of indexes, constraints and views as SQL text. */
#include "sql/catalog/define.h"

#include "sql/catalog/cache.h"
#include "sql/types/quote.h"

#include <ctype.h>
#include <stdlib.h>

/* "(a > 0)" without its outer parentheses, when they belong together. */
static const char *strip_parentheses(struct arena *mem, const char *text)
{
    size_t len = strlen(text);
    if (len < 2 || text[0] != '(' || text[len - 1] != ')')
        return text;
    int depth = 0;
    char quote = 0;
    for (size_t i = 0; i < len; i++) {
        if (quote) {
            quote = text[i] == quote ? 0 : quote;
            continue;
        }
        if (text[i] == '\'' || text[i] == '"')
            quote = text[i];
        else if (text[i] == '(')
            depth++;
        else if (text[i] == ')' && --depth == 0 && i + 1 < len)
            return text;
    }
    return arena_strndup(mem, text + 1, len - 2);
}

/* name(...): stands in an index without parentheses of its own. */
static bool looks_like_call(const char *text)
{
    const char *p = text;
    if (!isalpha((unsigned char)*p) && *p != '_')
        return false;
    while (isalnum((unsigned char)*p) || *p == '_' || *p == '.')
        p++;
    if (*p != '(')
        return false;
    int depth = 0;
    for (; *p; p++) {
        if (*p == '(')
            depth++;
        else if (*p == ')' && --depth == 0)
            return p[1] == 0;
    }
    return false;
}

static SUSPENDS err_t names_for_oids_wait(struct catalog_session *cs, const char *text,
                                          struct arena *mem, const char **out);

/* Set at start, before sessions run. */
static struct define_printers printers;

void define_set_printers(const struct define_printers *p)
{
    printers = *p;
}

err_t define_expression_wait(struct catalog_session *cs, const struct table_desc *t,
                             const char *text, bool pretty, struct arena *mem, const char **out)
{
    if (t && cs->env && printers.expression)
        TRY(printers.expression(cs, t, text, pretty, mem, &text));
    return names_for_oids_wait(cs, text, mem, out);
}

/* Without a printer: '16390'::regclass becomes the relation's name. */
static SUSPENDS err_t names_for_oids_wait(struct catalog_session *cs, const char *text,
                                          struct arena *mem, const char **out)
{
    static const char cast[] = "'::regclass";
    *out = text;
    if (!strstr(text, cast))
        return ERR_OK;
    struct strbuf b;
    strbuf_init(&b, mem);
    strbuf_puts(&b, "");
    for (const char *p = text; *p;) {
        char *end = NULL;
        oid relation = 0;
        if (*p == '\'' && p[1] >= '1' && p[1] <= '9')
            relation = (oid)strtoul(p + 1, &end, 10);
        const char *name = NULL;
        if (relation && strncmp(end, cast, sizeof(cast) - 1) == 0)
            TRY(define_relation_name_wait(cs, relation, false, mem, &name));
        if (!name) {
            strbuf_putc(&b, *p++);
            continue;
        }
        TRY(quote_literal(&b, name, strlen(name)));
        p = end + 1;
    }
    *out = b.data;
    return ERR_OK;
}

/* ---- indexes ---- */

static SUSPENDS err_t index_table_wait(struct catalog_session *cs, oid index, struct arena *mem,
                                       const struct table_desc **out, uint32_t *position)
{
    const struct catalog_relation *r;
    uint32_t at;
    oid table = 0;
    *out = NULL;
    if (catalog_index_find(index, &r, &at)) {
        table = r->fact->oid;
    } else {
        struct catalog_rows rows;
        TRY(catalog_find_wait(cs, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, index, 0, mem, &rows));
        if (rows.count)
            table = catalog_oid_value(&rows.rows[0], COL_INDRELID);
    }
    if (!table)
        return ERR_OK;
    TRY(table_by_oid_wait(cs, table, out));
    for (uint32_t i = 0; *out && i < (*out)->index_count; i++) {
        if ((*out)->indexes[i].oid == index) {
            *position = i;
            return ERR_OK;
        }
    }
    table_release(*out);
    *out = NULL;
    return ERR_OK;
}

static SUSPENDS err_t put_index_column_wait(struct catalog_session *cs, const struct table_desc *t,
                                            const struct index_desc *d, uint32_t i, bool pretty,
                                            struct arena *mem, struct strbuf *b)
{
    const struct index_key *k = &d->keys[i];
    if (k->attno) {
        strbuf_puts(b, quote_identifier(mem, t->columns[k->attno - 1].name));
        return ERR_OK;
    }
    const char *text;
    TRY(define_expression_wait(cs, t, k->expression, pretty, mem, &text));
    const char *bare = strip_parentheses(mem, text);
    if (looks_like_call(bare))
        strbuf_puts(b, bare);
    else
        strbuf_printf(b, "(%s)", pretty ? bare : text);
    return ERR_OK;
}

static void put_index_ordering(const struct table_desc *t, const struct index_desc *d, uint32_t i,
                               struct strbuf *b)
{
    const struct index_key *k = &d->keys[i];
    oid collation = k->attno ? t->columns[k->attno - 1].collation : k->collation;
    if (k->collation && k->collation != collation)
        strbuf_printf(b, " COLLATE \"%s\"", k->collation == 951 ? "POSIX" : "C");
    const struct opclass_info *cls = opclass_find(k->opclass);
    const struct opclass_info *normal = opclass_default(AM_BTREE, k->type);
    if (cls && cls != normal && !cls->is_default)
        strbuf_printf(b, " %s", cls->name);
    if (k->descending)
        strbuf_puts(b, k->nulls_first ? " DESC" : " DESC NULLS LAST");
    else if (k->nulls_first)
        strbuf_puts(b, " NULLS FIRST");
}

static SUSPENDS err_t index_text_wait(struct catalog_session *cs, const struct table_desc *t,
                                      const struct index_desc *d, bool pretty, struct arena *mem,
                                      const char **out)
{
    struct strbuf b;
    const char *table;
    strbuf_init(&b, mem);
    TRY(define_relation_name_wait(cs, t->oid, !pretty, mem, &table));
    strbuf_printf(&b, "CREATE %sINDEX %s ON %s USING btree (", d->is_unique ? "UNIQUE " : "",
                  quote_identifier(mem, d->name), table ? table : "?");
    for (uint32_t i = 0; i < d->key_count; i++) {
        strbuf_puts(&b, i ? ", " : "");
        TRY(put_index_column_wait(cs, t, d, i, pretty, mem, &b));
        put_index_ordering(t, d, i, &b);
    }
    strbuf_putc(&b, ')');
    for (uint32_t i = d->key_count; i < d->column_count; i++) {
        strbuf_puts(&b, i == d->key_count ? " INCLUDE (" : ", ");
        TRY(put_index_column_wait(cs, t, d, i, pretty, mem, &b));
    }
    if (d->column_count > d->key_count)
        strbuf_putc(&b, ')');
    if (d->nulls_not_distinct)
        strbuf_puts(&b, " NULLS NOT DISTINCT");
    if (!t->is_system) {
        struct catalog_rows rows;
        TRY(catalog_find_wait(cs, REL_CLASS, INDEX_CLASS_OID, 1, d->oid, 0, mem, &rows));
        if (rows.count && !rows.rows[0].nulls[COL_RELOPTIONS - 1]) {
            uint32_t count;
            const datum *values;
            TRY(catalog_array_read(mem, rows.rows[0].values[COL_RELOPTIONS - 1], &count, &values));
            for (uint32_t i = 0; i < count; i++) {
                const char *option = varlen_cstring(mem, datum_varlen(values[i]));
                const char *equals = strchr(option, '=');
                strbuf_printf(&b, "%s%.*s='%s'", i ? ", " : " WITH (",
                              equals ? (int)(equals - option) : 0, option,
                              equals ? equals + 1 : option);
            }
            strbuf_puts(&b, count ? ")" : "");
        }
    }
    if (d->predicate) {
        const char *text;
        TRY(define_expression_wait(cs, t, d->predicate, pretty, mem, &text));
        strbuf_printf(&b, " WHERE %s", pretty ? strip_parentheses(mem, text) : text);
    }
    *out = b.data;
    return ERR_OK;
}

err_t define_index_wait(struct catalog_session *cs, oid index, int32_t column, bool pretty,
                        struct arena *mem, const char **out)
{
    const struct table_desc *t;
    uint32_t position = 0;
    *out = NULL;
    TRY(index_table_wait(cs, index, mem, &t, &position));
    if (!t)
        return ERR_OK;
    const struct index_desc *d = &t->indexes[position];
    err_t e = ERR_OK;
    if (column == 0) {
        e = index_text_wait(cs, t, d, pretty, mem, out);
    } else if (column > 0 && column <= (int32_t)d->column_count) {
        struct strbuf b;
        strbuf_init(&b, mem);
        e = put_index_column_wait(cs, t, d, (uint32_t)column - 1, pretty, mem, &b);
        *out = b.data;
    } else {
        *out = "";
    }
    table_release(t);
    return e;
}

/* ---- constraints ---- */

static SUSPENDS err_t key_text_wait(struct catalog_session *cs, const struct catalog_row *r,
                                    struct arena *mem, struct strbuf *b)
{
    const struct table_desc *t;
    uint32_t position = 0;
    bool primary = catalog_char_value(r, COL_CONTYPE) == 'p';
    TRY(index_table_wait(cs, catalog_oid_value(r, COL_CONINDID), mem, &t, &position));
    if (!t)
        return ERR_OK;
    const struct index_desc *d = &t->indexes[position];
    strbuf_puts(b, primary ? "PRIMARY KEY " : "UNIQUE ");
    strbuf_puts(b, d->nulls_not_distinct ? "NULLS NOT DISTINCT " : "");
    for (uint32_t i = 0; i < d->column_count; i++) {
        strbuf_puts(b, i == 0 ? "(" : i == d->key_count ? ") INCLUDE (" : ", ");
        if (d->keys[i].attno)
            strbuf_puts(b, quote_identifier(mem, t->columns[d->keys[i].attno - 1].name));
    }
    strbuf_putc(b, ')');
    table_release(t);
    return ERR_OK;
}

static SUSPENDS err_t put_columns_wait(struct catalog_session *cs, oid table, datum columns,
                                       struct arena *mem, struct strbuf *b)
{
    const struct table_desc *t;
    const datum *values;
    uint32_t count;
    TRY(catalog_array_read(mem, columns, &count, &values));
    TRY(table_by_oid_wait(cs, table, &t));
    for (uint32_t i = 0; t && i < count; i++) {
        int16_t number = datum_i16(values[i]);
        if (number > 0 && (uint32_t)number <= t->column_count)
            strbuf_printf(b, "%s%s", i ? ", " : "",
                          quote_identifier(mem, t->columns[number - 1].name));
    }
    table_release(t);
    return ERR_OK;
}

static void put_action(char action, const char *event, struct strbuf *b)
{
    const char *text = action == 'r'   ? "RESTRICT"
                       : action == 'c' ? "CASCADE"
                       : action == 'n' ? "SET NULL"
                       : action == 'd' ? "SET DEFAULT"
                                       : NULL;
    if (text)
        strbuf_printf(b, " ON %s %s", event, text);
}

static SUSPENDS err_t foreign_text_wait(struct catalog_session *cs, const struct catalog_row *r,
                                        struct arena *mem, struct strbuf *b)
{
    const char *target;
    oid foreign = catalog_oid_value(r, COL_CONFRELID);
    strbuf_puts(b, "FOREIGN KEY (");
    TRY(put_columns_wait(cs, catalog_oid_value(r, COL_CONRELID), r->values[COL_CONKEY - 1], mem,
                         b));
    TRY(define_relation_name_wait(cs, foreign, false, mem, &target));
    strbuf_printf(b, ") REFERENCES %s(", target ? target : "?");
    TRY(put_columns_wait(cs, foreign, r->values[COL_CONFKEY - 1], mem, b));
    strbuf_puts(b, ")");
    if (catalog_char_value(r, COL_CONFMATCHTYPE) == 'f')
        strbuf_puts(b, " MATCH FULL");
    put_action(catalog_char_value(r, COL_CONFUPDTYPE), "UPDATE", b);
    put_action(catalog_char_value(r, COL_CONFDELTYPE), "DELETE", b);
    if (r->nulls[COL_CONFDELSETCOLS - 1])
        return ERR_OK;
    strbuf_puts(b, " (");
    TRY(put_columns_wait(cs, catalog_oid_value(r, COL_CONRELID), r->values[COL_CONFDELSETCOLS - 1],
                         mem, b));
    strbuf_puts(b, ")");
    return ERR_OK;
}

err_t define_constraint_wait(struct catalog_session *cs, oid constraint, bool pretty,
                             struct arena *mem, const char **out)
{
    struct catalog_rows rows;
    struct strbuf b;
    *out = NULL;
    TRY(catalog_find_wait(cs, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, constraint, 0, mem, &rows));
    if (rows.count == 0)
        return ERR_OK;
    const struct catalog_row *r = &rows.rows[0];
    strbuf_init(&b, mem);
    strbuf_puts(&b, "");
    char type = catalog_char_value(r, COL_CONTYPE);
    if (type == 'c') {
        const char *text = catalog_text_value(mem, r, COL_CONBIN, NULL);
        const struct table_desc *t;
        TRY(table_by_oid_wait(cs, catalog_oid_value(r, COL_CONRELID), &t));
        err_t e = define_expression_wait(cs, t, text ? text : "", pretty, mem, &text);
        table_release(t);
        TRY(e);
        strbuf_printf(&b, "CHECK (%s)", pretty ? strip_parentheses(mem, text) : text);
        if (catalog_bool_value(r, COL_CONNOINHERIT))
            strbuf_puts(&b, " NO INHERIT");
    } else if (type == 'p' || type == 'u') {
        TRY(key_text_wait(cs, r, mem, &b));
    } else if (type == 'f') {
        TRY(foreign_text_wait(cs, r, mem, &b));
    } else {
        return err_not_built("definitions of this kind of constraint are not supported");
    }
    if (catalog_bool_value(r, COL_CONDEFERRABLE))
        strbuf_puts(&b, " DEFERRABLE");
    if (catalog_bool_value(r, COL_CONDEFERRED))
        strbuf_puts(&b, " INITIALLY DEFERRED");
    if (!catalog_bool_value(r, COL_CONVALIDATED))
        strbuf_puts(&b, " NOT VALID");
    *out = b.data;
    return ERR_OK;
}

/* ---- views ---- */

err_t define_view_wait(struct catalog_session *cs, oid view, bool pretty, struct arena *mem,
                       const char **out)
{
    const struct table_desc *t;
    *out = NULL;
    TRY(table_by_oid_wait(cs, view, &t));
    err_t e = ERR_OK;
    if (t && t->kind == 'v') {
        *out = "";
        if (t->view_sql && cs->env && printers.view)
            e = printers.view(cs, t, pretty, mem, out);
    }
    table_release(t);
    return e;
}
