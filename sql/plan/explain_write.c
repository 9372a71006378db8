/*
 * Writing EXPLAIN as JSON, YAML or XML.
 *
 * A line of JSON begins with the comma and newline that end the one before, so each group remembers
 * whether it has members. In YAML the first member of a list's item stands on the line of its dash.
 */
#include "sql/plan/explain_write.h"

#include <ctype.h>
#include <stdio.h>

#include "core/core.h"

static void put_indent(struct explain_writer *w)
{
    for (uint32_t i = 0; i < 2 * w->indent; i++)
        strbuf_putc(w->out, ' ');
}

static bool *group_has_members(struct explain_writer *w)
{
    return &w->has_members[MIN(w->depth, (uint32_t)EXPLAIN_GROUPS_MAX - 1)];
}

static void push(struct explain_writer *w, bool has_members)
{
    w->depth++;
    *group_has_members(w) = has_members;
}

static void pop(struct explain_writer *w)
{
    ASSERT(w->depth > 0);
    w->depth--;
}

static void json_string(struct strbuf *out, const char *s)
{
    strbuf_putc(out, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        const char *short_forms = "\b\f\n\r\t\"\\";
        const char *at = strchr(short_forms, c);
        if (at)
            strbuf_printf(out, "\\%c", "bfnrt\"\\"[at - short_forms]);
        else if (c < 0x20)
            strbuf_printf(out, "\\u%04x", c);
        else
            strbuf_putc(out, (char)c);
    }
    strbuf_putc(out, '"');
}

static void xml_text(struct strbuf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '&')
            strbuf_puts(out, "&amp;");
        else if (*s == '<')
            strbuf_puts(out, "&lt;");
        else if (*s == '>')
            strbuf_puts(out, "&gt;");
        else if (*s == '\r')
            strbuf_puts(out, "&#x0d;");
        else
            strbuf_putc(out, *s);
    }
}

static void xml_tag(struct explain_writer *w, const char *name, bool closes)
{
    strbuf_puts(w->out, closes ? "</" : "<");
    for (; *name; name++)
        strbuf_putc(w->out, isalnum((unsigned char)*name) || strchr("-_.", *name) ? *name : '-');
    strbuf_putc(w->out, '>');
}

/* Ends the line before and brings out to where a member of the group begins. */
static void begin_member(struct explain_writer *w)
{
    bool *has_members = group_has_members(w);
    if (w->format == EXPLAIN_JSON) {
        strbuf_puts(w->out, *has_members ? ",\n" : "\n");
        put_indent(w);
    } else if (w->format == EXPLAIN_YAML && *has_members) {
        strbuf_putc(w->out, '\n');
        put_indent(w);
    } else if (w->format == EXPLAIN_XML) {
        put_indent(w);
    }
    *has_members = true;
}

static void put_label(struct explain_writer *w, const char *label)
{
    if (w->format == EXPLAIN_JSON)
        json_string(w->out, label);
    else
        strbuf_puts(w->out, label);
    strbuf_puts(w->out, ": ");
}

void explain_write_begin(struct explain_writer *w)
{
    w->depth = 0;
    w->has_members[0] = false;
    if (w->format == EXPLAIN_XML)
        strbuf_puts(w->out, "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n");
    if (w->format == EXPLAIN_JSON)
        strbuf_putc(w->out, '[');
    w->indent = w->format == EXPLAIN_YAML ? 0 : 1;
}

void explain_write_end(struct explain_writer *w)
{
    if (w->format == EXPLAIN_XML)
        strbuf_puts(w->out, "</explain>");
    if (w->format == EXPLAIN_JSON)
        strbuf_puts(w->out, "\n]");
}

void explain_write_open(struct explain_writer *w, const char *type, const char *label, bool named)
{
    begin_member(w);
    if (w->format == EXPLAIN_XML) {
        xml_tag(w, type, false);
        strbuf_putc(w->out, '\n');
    } else {
        if (label)
            put_label(w, label);
        if (w->format == EXPLAIN_JSON)
            strbuf_putc(w->out, named ? '{' : '[');
        else if (!label)
            strbuf_puts(w->out, "- ");
    }
    push(w, w->format == EXPLAIN_YAML && label);
    w->indent++;
}

void explain_write_close(struct explain_writer *w, const char *type, bool named)
{
    w->indent--;
    pop(w);
    if (w->format == EXPLAIN_JSON) {
        strbuf_putc(w->out, '\n');
        put_indent(w);
        strbuf_putc(w->out, named ? '}' : ']');
    } else if (w->format == EXPLAIN_XML) {
        put_indent(w);
        xml_tag(w, type, true);
        strbuf_putc(w->out, '\n');
    }
}

static void put_value(struct explain_writer *w, const char *name, const char *value, bool is_text)
{
    begin_member(w);
    if (w->format == EXPLAIN_XML) {
        xml_tag(w, name, false);
        xml_text(w->out, value);
        xml_tag(w, name, true);
        strbuf_putc(w->out, '\n');
        return;
    }
    put_label(w, name);
    if (is_text)
        json_string(w->out, value);
    else
        strbuf_puts(w->out, value);
}

void explain_write_text(struct explain_writer *w, const char *name, const char *value)
{
    put_value(w, name, value, true);
}

void explain_write_bool(struct explain_writer *w, const char *name, bool value)
{
    put_value(w, name, value ? "true" : "false", false);
}

void explain_write_number(struct explain_writer *w, const char *name, double value, int digits)
{
    char text[400]; /* a double's whole digits, a point, and few more */
    if (snprintf(text, sizeof(text), "%.*f", digits, value) < 0)
        text[0] = '\0';
    put_value(w, name, text, false);
}

void explain_write_list(struct explain_writer *w, const char *name, const char *const *items,
                        uint32_t count)
{
    begin_member(w);
    if (w->format == EXPLAIN_XML) {
        xml_tag(w, name, false);
        strbuf_putc(w->out, '\n');
        w->indent++;
    } else {
        put_label(w, name);
        if (w->format == EXPLAIN_JSON)
            strbuf_putc(w->out, '[');
    }
    for (uint32_t i = 0; i < count; i++) {
        if (w->format == EXPLAIN_JSON) {
            strbuf_puts(w->out, i ? ", " : "");
            json_string(w->out, items[i]);
        } else if (w->format == EXPLAIN_YAML) {
            strbuf_putc(w->out, '\n');
            w->indent++;
            put_indent(w);
            w->indent--;
            strbuf_puts(w->out, "- ");
            json_string(w->out, items[i]);
        } else {
            put_indent(w);
            xml_tag(w, "Item", false);
            xml_text(w->out, items[i]);
            xml_tag(w, "Item", true);
            strbuf_putc(w->out, '\n');
        }
    }
    if (w->format == EXPLAIN_JSON)
        strbuf_putc(w->out, ']');
    if (w->format == EXPLAIN_XML) {
        w->indent--;
        put_indent(w);
        xml_tag(w, name, true);
        strbuf_putc(w->out, '\n');
    }
}
