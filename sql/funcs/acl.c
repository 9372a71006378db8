/*
 * aclitem: reading and writing it ("grantee=letters/grantor", PUBLIC has no name, a star after what
 * may be handed on), and its functions. Roles are named by the session's services, which may
 * suspend: the functions here are the only places that call them for this type. Without services
 * roles are printed as numbers.
 */
#include "sql/types/acl.h"
#include "sql/funcs/funcs_priv.h"
#include "sql/type_functions.h"
#include "sql/types/quote.h"

#include <ctype.h>

enum { ROLE_DEFAULT_GRANTOR = 10 };

/* ---- text ---- */

static void skip_space(const char **p, const char *end)
{
    while (*p < end && isspace((unsigned char)**p))
        ++*p;
}

static bool is_name_letter(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (uint8_t)c >= 128;
}

/* A name, perhaps quoted; empty when there is none. */
static err_t take_name(struct arena *mem, const char **at, const char *end, const char **out)
{
    struct strbuf b;
    bool quoted = false;
    const char *p = *at;
    strbuf_init(&b, mem);
    strbuf_puts(&b, "");
    for (; p < end && (quoted || is_name_letter(*p) || *p == '"'); p++) {
        if (*p != '"') {
            strbuf_putc(&b, *p);
        } else if (p + 1 < end && p[1] == '"' && quoted) {
            strbuf_putc(&b, *p++);
        } else {
            quoted = !quoted;
        }
    }
    if (b.len >= 64)
        return err_raise(ERR_NAME_TOO_LONG, "identifier too long");
    *at = p;
    skip_space(at, end);
    *out = b.data;
    return ERR_OK;
}

static NO_SUSPEND_ANALYSIS err_t role_of(struct type_io *io, const char *name, oid *out)
{
    struct sql_services *s = io->env ? io->env->services : NULL;
    if (!s || !s->resolve_name)
        return err_not_built("names of roles cannot be looked up here");
    TRY(s->resolve_name(s->owner, 'r', quote_identifier(io->mem, name), true, out));
    if (*out == OID_NONE)
        return err_raise(ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", name);
    return ERR_OK;
}

static COLD err_t bad_item(const char *what)
{
    return err_raise(ERR_INVALID_TEXT_REPRESENTATION, "%s", what);
}

static err_t take_rights(const char **at, const char *end, struct acl_item *item)
{
    uint32_t last = 0;
    const char *p = *at;
    for (; p < end && (isalpha((unsigned char)*p) || *p == '*'); p++) {
        if (*p == '*') {
            item->options |= last;
            continue;
        }
        last = acl_bit_of_letter(*p);
        if (!last)
            return bad_item("invalid mode character: must be one of \"arwdDxtXUCTcsA\"");
        item->rights |= last;
    }
    *at = p;
    return ERR_OK;
}

err_t aclitem_input(struct type_io *io, const char *text, size_t len, datum *out)
{
    struct acl_item item = {.grantor = ROLE_DEFAULT_GRANTOR};
    const char *p = text;
    const char *end = text + len;
    const char *name;
    TRY(utf8_check(text, len));
    skip_space(&p, end);
    TRY(take_name(io->mem, &p, end, &name));
    if (p == end || *p != '=') {
        if (strcmp(name, "group") != 0 && strcmp(name, "user") != 0) {
            err_t e = bad_item(arena_printf(io->mem, "unrecognized key word: \"%s\"", name));
            err_hint("ACL key word must be \"group\" or \"user\".");
            return e;
        }
        TRY(take_name(io->mem, &p, end, &name));
        if (!name[0]) {
            err_t e = bad_item("missing name");
            err_hint("A name must follow the \"group\" or \"user\" key word.");
            return e;
        }
    }
    if (p == end || *p != '=')
        return bad_item("missing \"=\" sign");
    p++;
    TRY(take_rights(&p, end, &item));
    if (name[0])
        TRY(role_of(io, name, &item.grantee));
    if (p < end && *p == '/') {
        p++;
        TRY(take_name(io->mem, &p, end, &name));
        if (!name[0])
            return bad_item("a name must follow the \"/\" sign");
        TRY(role_of(io, name, &item.grantor));
    }
    skip_space(&p, end);
    if (p < end)
        return bad_item("extra garbage at the end of the ACL specification");
    *out = acl_item_make(io->mem, &item);
    return ERR_OK;
}

static NO_SUSPEND_ANALYSIS err_t put_role(struct type_io *io, oid role, struct strbuf *out)
{
    struct sql_services *s = io->env ? io->env->services : NULL;
    const char *name = NULL;
    if (s && s->role_name)
        TRY(s->role_name(s->owner, role, io->mem, &name));
    if (!name) {
        strbuf_printf(out, "%u", role);
        return ERR_OK;
    }
    bool plain = true;
    for (const char *p = name; *p; p++)
        plain = plain && (isalnum((unsigned char)*p) || *p == '_');
    if (plain) {
        strbuf_puts(out, name);
        return ERR_OK;
    }
    strbuf_putc(out, '"');
    for (const char *p = name; *p; p++) {
        if (*p == '"')
            strbuf_putc(out, '"');
        strbuf_putc(out, *p);
    }
    strbuf_putc(out, '"');
    return ERR_OK;
}

err_t aclitem_output(struct type_io *io, datum value, struct strbuf *out)
{
    struct acl_item item = acl_item_read(value);
    if (item.grantee)
        TRY(put_role(io, item.grantee, out));
    strbuf_putc(out, '=');
    for (uint32_t i = 0; i < ACL_BIT_COUNT; i++) {
        if (item.rights & (1U << i))
            strbuf_putc(out, acl_letter(i));
        if (item.options & (1U << i))
            strbuf_putc(out, '*');
    }
    strbuf_putc(out, '/');
    return put_role(io, item.grantor, out);
}

/* ---- functions ---- */

FUNCTION(fn_aclitemeq)
{
    struct acl_item a = acl_item_read(c->args[0]);
    struct acl_item b = acl_item_read(c->args[1]);
    RETURN_BOOL(memcmp(&a, &b, sizeof(a)) == 0);
}

/* PostgreSQL keeps the rights in the low half of a word and the options in the high one. */
static uint32_t item_hash(datum d)
{
    struct acl_item a = acl_item_read(d);
    return (a.rights | a.options << 16) + a.grantee + a.grantor;
}

FUNCTION(fn_hash_aclitem)
{
    RETURN_I32((int32_t)item_hash(c->args[0]));
}

FUNCTION(fn_aclinsert)
{
    (void)out;
    return err_raise(ERR_FEATURE_NOT_SUPPORTED, "%s is no longer supported", c->func->name);
}

FUNCTION(fn_aclcontains)
{
    struct array_view list;
    struct acl_item wanted = acl_item_read(c->args[1]);
    TRY(array_read(c->mem, c->args[0], &list));
    for (uint32_t i = 0; i < list.count; i++) {
        if (list.nulls[i])
            continue;
        struct acl_item item = acl_item_read(list.values[i]);
        if (item.grantee == wanted.grantee && item.grantor == wanted.grantor &&
            (wanted.rights & ~item.rights) == 0 && (wanted.options & ~item.options) == 0)
            RETURN_BOOL(true);
    }
    RETURN_BOOL(false);
}

FUNCTION(fn_makeaclitem)
{
    const char *word = arg_cstring(c, 2);
    struct acl_item item = {.grantee = ARG_OID(0), .grantor = ARG_OID(1)};
    item.rights = acl_bit_of_word(word, strlen(word));
    if (!item.rights)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "unrecognized privilege type: \"%s\"", word);
    item.options = ARG_BOOL(3) ? item.rights : 0;
    RETURN_DATUM(acl_item_make(c->mem, &item));
}

FUNCTION(fn_acldefault)
{
    char kind = (char)ARG_I32(0);
    struct acl_item owner = {.grantee = ARG_OID(1), .grantor = ARG_OID(1)};
    struct acl_item everybody = {.grantor = ARG_OID(1)};
    datum items[2];
    bool nulls[2] = {false, false};
    struct array_view list = {
        .element = TYPE_ACLITEM, .ndim = 1, .lower = {1}, .values = items, .nulls = nulls};
    if (!acl_default(kind, &everybody.rights, &owner.rights))
        return err_raise(ERR_INTERNAL_ERROR, "unrecognized objtype abbreviation: %c", kind);
    if (everybody.rights)
        items[list.count++] = acl_item_make(c->mem, &everybody);
    if (owner.rights)
        items[list.count++] = acl_item_make(c->mem, &owner);
    list.dims[0] = (int32_t)list.count;
    list.ndim = list.count > 0;
    return array_make(c->mem, &list, out);
}

/* ---- aclexplode: a row for each right of each item ---- */

struct explode {
    struct array_view list;
    uint32_t item;
    uint32_t bit;
};

static err_t aclexplode_begin(struct call *c, void **state)
{
    struct explode *x = ARENA_NEW(c->mem, struct explode);
    *state = x;
    return array_read(c->mem, c->args[0], &x->list);
}

static err_t aclexplode_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    struct explode *x = state;
    memset(nulls, 0, sizeof(bool) * 4);
    for (; x->item < x->list.count; x->item++, x->bit = 0) {
        struct acl_item item = acl_item_read(x->list.values[x->item]);
        while (x->bit < ACL_BIT_COUNT && !(item.rights & (1U << x->bit)))
            x->bit++;
        if (x->bit == ACL_BIT_COUNT)
            continue;
        values[0] = datum_of_oid(item.grantor);
        values[1] = datum_of_oid(item.grantee);
        values[2] = datum_of_text(c->mem, acl_word(x->bit));
        values[3] = datum_of_bool(item.options & (1U << x->bit));
        x->bit++;
        *end = false;
        return ERR_OK;
    }
    *end = true;
    return ERR_OK;
}

const struct set_function srf_aclexplode = {
    .column_count = 4,
    .begin = aclexplode_begin,
    .next = aclexplode_next,
};
