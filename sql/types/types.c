/*
 * Lookup of types, input and output of values by type, and the names of types for people.
 *
 * The rows are generated from sql/catalog/type.tab (generated/sql/type_rows.c). A type whose
 * functions are not built is known by name and OID, and its use answers 0A000.
 */
#include "sql/types/types.h"

#include "core/core.h"
#include "sql/types/types_priv.h"

/* Generated (sql/builtin_rows.h belongs to the next room and cannot be included here). */
extern const uint32_t type_row_count;
extern const struct type_info type_rows[];
extern const uint32_t type_oid_max;
extern const uint16_t type_by_oid[];
extern const struct type_info *const type_by_name[];

/* ---- varlen ---- */

struct varlen *varlen_new(struct arena *a, const void *bytes, uint32_t len)
{
    struct varlen *v = arena_alloc(a, sizeof(struct varlen) + (size_t)len);
    v->len = len;
    if (bytes != NULL && len > 0)
        memcpy(v->data, bytes, len);
    return v;
}

err_t varlen_try(struct arena *a, const void *bytes, uint64_t len, struct varlen **out)
{
    if (len > ALLOC_BYTES_MAX - 16)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
    void *p = NULL;
    TRY(arena_alloc_try(a, sizeof(struct varlen) + (size_t)len, &p));
    struct varlen *v = p;
    v->len = (uint32_t)len;
    if (bytes != NULL && len > 0)
        memcpy(v->data, bytes, (size_t)len);
    *out = v;
    return ERR_OK;
}

datum datum_of_text(struct arena *a, const char *nul_terminated)
{
    return datum_of_varlen(varlen_new(a, nul_terminated, u32_from(strlen(nul_terminated))));
}

char *varlen_cstring(struct arena *a, const struct varlen *v)
{
    return arena_strndup(a, (const char *)v->data, v->len);
}

datum datum_copy(struct arena *a, datum d, bool by_value)
{
    if (by_value)
        return d;
    const struct varlen *v = datum_varlen(d);
    return datum_of_varlen(varlen_new(a, v->data, v->len));
}

/* ---- lookup ---- */

const struct type_info *type_find(oid type)
{
    if (type > type_oid_max || type_by_oid[type] == 0)
        return NULL;
    return &type_rows[type_by_oid[type] - 1];
}

const struct type_info *type_at(uint32_t index)
{
    return index < type_row_count ? &type_rows[index] : NULL;
}

const struct type_info *type_find_name(const char *name)
{
    uint32_t low = 0;
    uint32_t high = type_row_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        int c = strcmp(type_by_name[mid]->name, name);
        if (c == 0)
            return type_by_name[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

err_t type_require(oid type, const struct type_info **out)
{
    *out = type_find(type);
    if (*out == NULL)
        return err_raise(ERR_UNDEFINED_OBJECT, "type with OID %u does not exist", type);
    return ERR_OK;
}

/* ---- names for people ---- */

static const struct {
    oid type;
    const char *name;
} sql_names[] = {
    {TYPE_BOOL, "boolean"},  {TYPE_INT2, "smallint"},      {TYPE_INT4, "integer"},
    {TYPE_INT8, "bigint"},   {TYPE_FLOAT4, "real"},        {TYPE_FLOAT8, "double precision"},
    {TYPE_CHAR, "\"char\""}, /* names that are key words too */
    {TYPE_ANY, "\"any\""},   {TYPE_BPCHAR, "character"},   {TYPE_VARCHAR, "character varying"},
    {TYPE_BIT, "bit"},       {TYPE_VARBIT, "bit varying"},
};

static bool is_true_array(const struct type_info *t)
{
    return t->element != OID_NONE && t->category == 'A' && t->storage != 'p';
}

static const char *typmod_text(struct arena *mem, const struct type_info *t, int32_t typmod)
{
    if (typmod < 0)
        return "";
    struct strbuf b;
    strbuf_init(&b, mem);
    if (t->typmod_out != NULL)
        t->typmod_out(typmod, &b);
    else
        strbuf_printf(&b, "(%d)", typmod);
    return b.data == NULL ? "" : b.data;
}

static const char *format_one(struct arena *mem, const struct type_info *t, int32_t typmod,
                              bool typmod_given)
{
    switch (t->oid) {
    case TYPE_TIME:
        return arena_printf(mem, "time%s without time zone", typmod_text(mem, t, typmod));
    case TYPE_TIMETZ:
        return arena_printf(mem, "time%s with time zone", typmod_text(mem, t, typmod));
    case TYPE_TIMESTAMP:
        return arena_printf(mem, "timestamp%s without time zone", typmod_text(mem, t, typmod));
    case TYPE_TIMESTAMPTZ:
        return arena_printf(mem, "timestamp%s with time zone", typmod_text(mem, t, typmod));
    case TYPE_BPCHAR:
        if (typmod_given && typmod < 0)
            return "bpchar"; /* "character" alone would read as character(1) */
        break;
    case TYPE_BIT:
        if (typmod_given && typmod < 0)
            return "\"bit\"";
        break;
    default:
        break;
    }
    const char *name = t->name;
    for (size_t i = 0; i < ARRAY_LEN(sql_names); i++)
        if (sql_names[i].type == t->oid)
            name = sql_names[i].name;
    const char *mod = typmod_text(mem, t, typmod);
    return *mod == 0 ? name : arena_printf(mem, "%s%s", name, mod);
}

static const char *format_any(struct arena *mem, oid type, int32_t typmod, bool typmod_given)
{
    if (type == OID_NONE)
        return "-";
    const struct type_info *t = type_find(type);
    if (t == NULL)
        return "???";
    if (!is_true_array(t))
        return format_one(mem, t, typmod, typmod_given);
    const struct type_info *e = type_find(t->element);
    return arena_printf(mem, "%s[]", e == NULL ? "???" : format_one(mem, e, typmod, typmod_given));
}

const char *type_format(struct arena *mem, oid type, int32_t typmod)
{
    return format_any(mem, type, typmod, true);
}

const char *type_display(struct arena *mem, oid type)
{
    return format_any(mem, type, -1, false);
}

/* ---- errors ---- */

err_t raise_input_syntax(const char *type, const char *text, size_t len)
{
    return err_raise(ERR_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type %s: \"%.*s\"",
                     type, (int)MIN(len, (size_t)4096), text);
}

err_t raise_out_of_range(const char *type, const char *text, size_t len)
{
    return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "value \"%.*s\" is out of range for type %s",
                     (int)MIN(len, (size_t)4096), text, type);
}

static const char binary_overlong[] = "incorrect binary data format";

err_t raise_binary_length(size_t len, size_t expected)
{
    if (len < expected)
        return raise_binary_short();
    return err_raise(ERR_INVALID_BINARY_REPRESENTATION, "%s", binary_overlong);
}

err_t raise_binary_byte(size_t len)
{
    if (len == 0)
        return err_raise(ERR_PROTOCOL_VIOLATION, "no data left in message");
    return raise_binary_length(len, 1);
}

err_t raise_binary_short(void)
{
    return err_raise(ERR_PROTOCOL_VIOLATION, "insufficient data left in message");
}

bool value_was_overlong(err_t e)
{
    return e == ERR_INVALID_BINARY_REPRESENTATION &&
           strcmp(err_diag()->message, binary_overlong) == 0;
}

static COLD err_t raise_not_built(struct arena *mem, oid type, const char *what)
{
    return err_not_built("%s of values of type %s is not supported yet", what,
                         type_display(mem, type));
}

/* ---- values ---- */

static err_t set_up(struct type_io *io, const struct session_env *env, struct arena *mem, oid type,
                    int32_t typmod, const struct type_info **t)
{
    *t = type_find(type);
    if (*t == NULL)
        return err_raise(ERR_UNDEFINED_OBJECT, "type with OID %u does not exist", type);
    *io = (struct type_io){
        .mem = mem, .type = type, .typmod = typmod, .element = (*t)->element, .env = env};
    return ERR_OK;
}

err_t value_input(const struct session_env *env, struct arena *mem, oid type, int32_t typmod,
                  const char *text, size_t len, datum *out)
{
    const struct type_info *t;
    struct type_io io;
    TRY(set_up(&io, env, mem, type, typmod, &t));
    if (t->input == NULL)
        return raise_not_built(mem, type, "input");
    TRY(t->input(&io, text, len, out));
    if (typmod >= 0 && t->apply_typmod != NULL)
        TRY(t->apply_typmod(&io, *out, false, out));
    return ERR_OK;
}

err_t value_output(const struct session_env *env, struct arena *mem, oid type, datum value,
                   struct strbuf *out)
{
    const struct type_info *t;
    struct type_io io;
    TRY(set_up(&io, env, mem, type, -1, &t));
    if (t->output == NULL)
        return raise_not_built(mem, type, "output");
    return t->output(&io, value, out);
}

err_t value_receive(const struct session_env *env, struct arena *mem, oid type, int32_t typmod,
                    const uint8_t *bytes, size_t len, datum *out)
{
    const struct type_info *t;
    struct type_io io;
    TRY(set_up(&io, env, mem, type, typmod, &t));
    if (t->receive == NULL)
        return raise_not_built(mem, type, "binary input");
    TRY(t->receive(&io, bytes, len, out));
    if (typmod >= 0 && t->apply_typmod != NULL)
        TRY(t->apply_typmod(&io, *out, false, out));
    return ERR_OK;
}

err_t value_send(const struct session_env *env, struct arena *mem, oid type, datum value,
                 struct strbuf *out)
{
    const struct type_info *t;
    struct type_io io;
    TRY(set_up(&io, env, mem, type, -1, &t));
    if (t->send == NULL)
        return raise_not_built(mem, type, "binary output");
    return t->send(&io, value, out);
}
