/*
 * regclass, regtype, regproc, regprocedure, regoper, regoperator, regnamespace, regrole,
 * regcollation: oids that read and print as names. Built-in functions, operators and types are
 * named from the generated tables; everything else through the session's services, which may
 * suspend (the wrappers here are the only places that call them for these types). Without services
 * only digits and "-" are read and digits are printed.
 */
#include "sql/expr/call.h"
#include "sql/types/chars.h"
#include "sql/types/quote.h"
#include "sql/types/utf8.h"

#include "sql/type_functions.h"

#include <strings.h>

static bool is_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return len > 0;
}

static NO_SUSPEND_ANALYSIS err_t reg_input(struct type_io *io, char kind, const char *text,
                                           size_t len, datum *out)
{
    if (len == 1 && *text == '-') {
        *out = OID_NONE;
        return ERR_OK;
    }
    if (is_digits(text, len))
        return oid_input(io, text, len, out);
    const char *p = text;
    size_t n = len;
    trim_spaces(&p, &n);
    TRY(utf8_check(text, len));
    const char *name = arena_strndup(io->mem, p, n);
    struct sql_services *s = io->env == NULL ? NULL : io->env->services;
    if (s == NULL || s->resolve_name == NULL) {
        const struct type_info *t = kind == 't' ? type_find_name(name) : NULL;
        if (t == NULL)
            return err_not_built("names of objects cannot be looked up here");
        *out = t->oid;
        return ERR_OK;
    }
    oid found = OID_NONE;
    TRY(s->resolve_name(s->owner, kind, name, false, &found));
    *out = found;
    return ERR_OK;
}

static NO_SUSPEND_ANALYSIS err_t reg_output(struct type_io *io, char kind, oid value,
                                            struct strbuf *out)
{
    if (value == OID_NONE) {
        strbuf_putc(out, '-');
        return ERR_OK;
    }
    struct sql_services *s = io->env == NULL ? NULL : io->env->services;
    const char *name = NULL;
    if (s != NULL && s->name_of != NULL)
        TRY(s->name_of(s->owner, kind, value, io->mem, &name));
    if (name != NULL)
        strbuf_puts(out, name);
    else
        strbuf_printf(out, "%u", value);
    return ERR_OK;
}

err_t regclass_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return reg_input(io, 'c', text, len, out);
}
err_t regclass_output(struct type_io *io, datum value, struct strbuf *out)
{
    return reg_output(io, 'c', datum_oid(value), out);
}
err_t regnamespace_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return reg_input(io, 'n', text, len, out);
}
err_t regnamespace_output(struct type_io *io, datum value, struct strbuf *out)
{
    return reg_output(io, 'n', datum_oid(value), out);
}
err_t regrole_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return reg_input(io, 'r', text, len, out);
}
err_t regrole_output(struct type_io *io, datum value, struct strbuf *out)
{
    return reg_output(io, 'r', datum_oid(value), out);
}
err_t regcollation_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return reg_input(io, 'C', text, len, out);
}
err_t regcollation_output(struct type_io *io, datum value, struct strbuf *out)
{
    return reg_output(io, 'C', datum_oid(value), out);
}
err_t regtype_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    return reg_input(io, 't', text, len, out);
}
err_t regtype_output(struct type_io *io, datum value, struct strbuf *out)
{
    if (type_find(datum_oid(value)) == NULL)
        return reg_output(io, 't', datum_oid(value), out);
    strbuf_puts(out, type_display(io->mem, datum_oid(value)));
    return ERR_OK;
}

/* ---- functions ---- */

err_t regproc_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    const char *p = text;
    size_t n = len;
    trim_spaces(&p, &n);
    uint32_t count = 0;
    const char *name = arena_strndup(io->mem, p, n);
    if (strncmp(name, "pg_catalog.", strlen("pg_catalog.")) == 0)
        name += strlen("pg_catalog.");
    const struct func *const *found = func_find_name(name, &count);
    if (count == 0)
        return reg_input(io, 'p', text, len, out);
    if (count > 1)
        return err_raise(ERR_AMBIGUOUS_FUNCTION, "more than one function named \"%s\"", name);
    *out = found[0]->oid;
    return ERR_OK;
}
err_t regproc_output(struct type_io *io, datum value, struct strbuf *out)
{
    const struct func *f = func_find(datum_oid(value));
    if (f == NULL)
        return reg_output(io, 'p', datum_oid(value), out);
    uint32_t count = 0;
    (void)func_find_name(f->name, &count);
    strbuf_printf(out, "%s%s", count > 1 ? "pg_catalog." : "", quote_identifier(io->mem, f->name));
    return ERR_OK;
}

/* name(type, type): the end of the name and the types in args; false when it does not read so. */
static err_t split_signature(struct type_io *io, const char *text, size_t len, const char **name,
                             oid *args, uint32_t *arg_count, bool *ok)
{
    *ok = false;
    *arg_count = 0;
    const char *open = len == 0 ? NULL : memchr(text, '(', len);
    const char *end = text + len;
    while (end > text && is_space(end[-1]))
        end--;
    if (open == NULL || end == text || end[-1] != ')')
        return ERR_OK;
    const char *p = text;
    size_t n = (size_t)(open - text);
    trim_spaces(&p, &n);
    *name = arena_strndup(io->mem, p, n);
    if (strncmp(*name, "pg_catalog.", strlen("pg_catalog.")) == 0)
        *name += strlen("pg_catalog.");
    const char *from = open + 1;
    int depth = 0;
    for (const char *q = from; q < end; q++) {
        if (*q == '(' || *q == '[')
            depth++;
        if ((*q == ')' || *q == ']') && q < end - 1)
            depth--;
        if ((*q != ',' || depth > 0) && q != end - 1)
            continue;
        const char *word = from;
        size_t word_len = (size_t)(q - from);
        trim_spaces(&word, &word_len);
        from = q + 1;
        if (word_len == 0 && q == end - 1 && *arg_count == 0)
            break;
        if (*arg_count == CALL_ARGS_MAX)
            return ERR_OK;
        datum type = OID_NONE;
        if (word_len != 4 || strncasecmp(word, "none", 4) != 0)
            TRY(regtype_input(io, word, word_len, &type));
        args[(*arg_count)++] = datum_oid(type);
    }
    *ok = true;
    return ERR_OK;
}

err_t regprocedure_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    const char *name = NULL;
    oid args[CALL_ARGS_MAX];
    uint32_t arg_count = 0;
    bool ok = false;
    if (is_digits(text, len) || (len == 1 && *text == '-'))
        return reg_input(io, 'p', text, len, out);
    TRY(split_signature(io, text, len, &name, args, &arg_count, &ok));
    if (!ok)
        return err_raise(ERR_INVALID_TEXT_REPRESENTATION, "expected a left parenthesis");
    uint32_t count = 0;
    const struct func *const *found = func_find_name(name, &count);
    for (uint32_t i = 0; i < count; i++) {
        if ((uint32_t)found[i]->arg_count == arg_count &&
            (arg_count == 0 || memcmp(found[i]->args, args, sizeof(oid) * arg_count) == 0)) {
            *out = found[i]->oid;
            return ERR_OK;
        }
    }
    return reg_input(io, 'p', text, len, out);
}
err_t regprocedure_output(struct type_io *io, datum value, struct strbuf *out)
{
    const struct func *f = func_find(datum_oid(value));
    if (f == NULL)
        return reg_output(io, 'p', datum_oid(value), out);
    strbuf_printf(out, "%s(", quote_identifier(io->mem, f->name));
    for (int16_t i = 0; i < f->arg_count; i++)
        strbuf_printf(out, "%s%s", i ? "," : "", type_display(io->mem, f->args[i]));
    strbuf_putc(out, ')');
    return ERR_OK;
}

/* ---- operators ---- */

err_t regoper_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    const char *p = text;
    size_t n = len;
    trim_spaces(&p, &n);
    uint32_t count = 0;
    const char *name = arena_strndup(io->mem, p, n);
    if (strncmp(name, "pg_catalog.", strlen("pg_catalog.")) == 0)
        name += strlen("pg_catalog.");
    const struct operator_info *const *found = operator_find_name(name, &count);
    if (count > 1)
        return err_raise(ERR_AMBIGUOUS_FUNCTION, "more than one operator named %s", name);
    if (count == 0)
        return reg_input(io, 'o', text, len, out);
    *out = found[0]->oid;
    return ERR_OK;
}
err_t regoper_output(struct type_io *io, datum value, struct strbuf *out)
{
    const struct operator_info *o = operator_find(datum_oid(value));
    if (o == NULL)
        return reg_output(io, 'o', datum_oid(value), out);
    uint32_t count = 0;
    (void)operator_find_name(o->name, &count);
    strbuf_printf(out, "%s%s", count > 1 ? "pg_catalog." : "", o->name);
    return ERR_OK;
}
err_t regoperator_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    const char *name = NULL;
    oid args[CALL_ARGS_MAX];
    uint32_t arg_count = 0;
    bool ok = false;
    if (is_digits(text, len) || (len == 1 && *text == '0'))
        return reg_input(io, 'o', text, len, out);
    TRY(split_signature(io, text, len, &name, args, &arg_count, &ok));
    if (!ok)
        return err_raise(ERR_INVALID_TEXT_REPRESENTATION, "expected a left parenthesis");
    if (arg_count != 2)
        return err_raise(ERR_UNDEFINED_PARAMETER, "missing argument");
    uint32_t count = 0;
    const struct operator_info *const *found = operator_find_name(name, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (found[i]->left == args[0] && found[i]->right == args[1]) {
            *out = found[i]->oid;
            return ERR_OK;
        }
    }
    return err_raise(ERR_UNDEFINED_FUNCTION, "operator does not exist: %.*s",
                     (int)MIN(len, (size_t)1024), text);
}
err_t regoperator_output(struct type_io *io, datum value, struct strbuf *out)
{
    const struct operator_info *o = operator_find(datum_oid(value));
    if (o == NULL)
        return reg_output(io, 'o', datum_oid(value), out);
    strbuf_printf(out, "%s(%s,%s)", o->name,
                  o->left == OID_NONE ? "NONE" : type_display(io->mem, o->left),
                  type_display(io->mem, o->right));
    return ERR_OK;
}
