/*
 * Error values and their diagnostics. A fiber gets its diag when it first raises something and
 * keeps it until it ends; outside of fibers there is one diag per thread. Strings of a diag live in
 * its own text; what does not fit is cut at a character boundary.
 */
#include "core/err.h"

#include "core/core_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static __thread struct diag thread_diag;

static const char *const sqlstates[ERR_COUNT] = {
    [ERR_OK] = "00000",
#define SQLSTATE(name, code) [ERR_##name] = code,
#include "core/sqlstate.def"
#undef SQLSTATE
};

static struct diag *diag_self(void)
{
    struct fiber *f = runner.fiber;
    if (f == NULL)
        return &thread_diag;
    if (f->diag == NULL) {
        f->diag = malloc(sizeof(*f->diag));
        ASSERT(f->diag != NULL);
        memset(f->diag, 0, offsetof(struct diag, text));
    }
    return f->diag;
}

/* Room kept so that a long message still leaves space for the fields that follow. */
enum { TEXT_RESERVE_BYTES = 1024 };

static const char *text_vprintf(struct diag *d, size_t reserve, const char *format, va_list args)
{
    size_t room = DIAG_TEXT_BYTES_MAX - d->text_bytes;
    if (room <= 1)
        return "";
    if (room > 2 * reserve)
        room -= reserve;
    char *at = d->text + d->text_bytes;
    int want = vsnprintf(at, room, format, args);
    size_t len = want < 0 ? 0 : (size_t)want;
    if (len >= room) {
        len = room - 1;
        while (len > 0 && ((unsigned char)at[len] & 0xc0) == 0x80)
            len--;
    }
    at[len] = '\0';
    d->text_bytes += (uint32_t)len + 1;
    return at;
}

static PRINTF_LIKE(2, 3) const char *text_printf(struct diag *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *s = text_vprintf(d, 0, format, args);
    va_end(args);
    return s;
}

static const char *text_copy(struct diag *d, const char *s)
{
    return s == NULL ? NULL : text_printf(d, "%s", s);
}

static void diag_clear(struct diag *d)
{
    memset(d, 0, offsetof(struct diag, text));
}

err_t err_raise_at(const char *file, int line, const char *routine, err_t code, const char *format,
                   ...)
{
    /* The arguments may point into the old error (a message that quotes it), so the new message is
     * written first and moved to the front afterwards. */
    char stack_text[1024];
    char *text = stack_text;
    va_list args;
    va_start(args, format);
    int want = vsnprintf(stack_text, sizeof(stack_text), format, args);
    va_end(args);
    if (want >= (int)sizeof(stack_text)) {
        text = malloc((size_t)want + 1);
        ASSERT(text != NULL);
        va_start(args, format);
        vsnprintf(text, (size_t)want + 1, format, args);
        va_end(args);
    }
    struct diag *d = diag_self();
    diag_clear(d);
    d->code = code;
    const char *slash = strrchr(file, '/');
    d->file = slash == NULL ? file : slash + 1; /* the same wherever it was built */
    d->line = line;
    d->routine = routine;
    size_t len = want < 0 ? 0 : (size_t)want;
    size_t room = DIAG_TEXT_BYTES_MAX - TEXT_RESERVE_BYTES;
    if (len >= room) {
        len = room - 1;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(d->text, text, len);
    d->text[len] = '\0';
    d->text_bytes = (uint32_t)len + 1;
    d->message = d->text;
    if (text != stack_text)
        free(text);
    return code;
}

void err_detail(const char *format, ...)
{
    struct diag *d = diag_self();
    va_list args;
    va_start(args, format);
    d->detail = text_vprintf(d, TEXT_RESERVE_BYTES / 2, format, args);
    va_end(args);
}

void err_hint(const char *format, ...)
{
    struct diag *d = diag_self();
    va_list args;
    va_start(args, format);
    d->hint = text_vprintf(d, TEXT_RESERVE_BYTES / 4, format, args);
    va_end(args);
}

void err_context(const char *format, ...)
{
    struct diag *d = diag_self();
    const char *before = d->context;
    uint32_t start = d->text_bytes;
    if (before != NULL) {
        const char *copy = text_printf(d, "%s\n", before);
        if (d->text_bytes == start)
            return;
        d->context = copy;
        d->text_bytes--; /* go on over the NUL */
    }
    va_list args;
    va_start(args, format);
    const char *line = text_vprintf(d, 0, format, args);
    va_end(args);
    if (before == NULL)
        d->context = line;
}

void err_position(int32_t character)
{
    struct diag *d = diag_self();
    if (d->position == 0)
        d->position = character;
}

void err_object(const char *schema, const char *table, const char *column, const char *datatype,
                const char *constraint)
{
    struct diag *d = diag_self();
    if (schema != NULL)
        d->schema_name = text_copy(d, schema);
    if (table != NULL)
        d->table_name = text_copy(d, table);
    if (column != NULL)
        d->column_name = text_copy(d, column);
    if (datatype != NULL)
        d->datatype_name = text_copy(d, datatype);
    if (constraint != NULL)
        d->constraint_name = text_copy(d, constraint);
}

void err_internal_query(const char *text, int32_t position)
{
    struct diag *d = diag_self();
    d->internal_query = text_copy(d, text);
    d->internal_position = position;
}

const struct diag *err_diag(void)
{
    return diag_self();
}

/* A pointer into from's text becomes the same place in to's text. */
static const char *moved(const struct diag *to, const struct diag *from, const char *s)
{
    if (s == NULL || s < from->text || s >= from->text + DIAG_TEXT_BYTES_MAX)
        return s;
    return to->text + (s - from->text);
}

void diag_copy(struct diag *to, const struct diag *from)
{
    if (to == from)
        return;
    memcpy(to, from, offsetof(struct diag, text));
    memcpy(to->text, from->text, from->text_bytes);
    to->message = moved(to, from, from->message);
    to->detail = moved(to, from, from->detail);
    to->hint = moved(to, from, from->hint);
    to->context = moved(to, from, from->context);
    to->internal_query = moved(to, from, from->internal_query);
    to->schema_name = moved(to, from, from->schema_name);
    to->table_name = moved(to, from, from->table_name);
    to->column_name = moved(to, from, from->column_name);
    to->datatype_name = moved(to, from, from->datatype_name);
    to->constraint_name = moved(to, from, from->constraint_name);
}

err_t err_adopt(const struct diag *from)
{
    diag_copy(diag_self(), from);
    return from->code;
}

err_t err_would_suspend(void)
{
    return err_raise(ERR_INTERNAL_WOULD_SUSPEND, "operation would wait on a borrowed core");
}

const char *err_sqlstate(err_t code)
{
    if ((unsigned)code >= ERR_COUNT)
        return "XX000";
    return sqlstates[code];
}
