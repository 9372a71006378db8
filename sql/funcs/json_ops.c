/*
 * json: values made from SQL values, and parts taken out by key, position or path. The text is read
 * from its start for each call. Composite values are not built: the names of their fields are not
 * known here.
 */
#include "sql/types/json.h"

#include "core/core.h"
#include "sql/funcs/funcs_priv.h"

#include <stdlib.h>

/* ---- SQL values to JSON ---- */

static err_t put_value(struct call *c, oid type, datum value, bool is_null, struct strbuf *out);

static bool is_number(oid type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8 || type == TYPE_FLOAT4 ||
           type == TYPE_FLOAT8 || type == TYPE_NUMERIC;
}

static bool is_row(oid type)
{
    return type == TYPE_RECORD || !type_find(type); /* row types of tables are not in the facts */
}

static oid element_of(oid type)
{
    const struct type_info *t = type_find(type);
    const struct type_info *e = t && t->element ? type_find(t->element) : NULL;
    return e && e->array == type ? t->element : OID_NONE;
}

/* ISO with a T, and minutes in the zone's offset. */
static err_t put_time(struct call *c, oid type, datum value, struct strbuf *out)
{
    struct session_env env = c->env ? *c->env : (struct session_env){0};
    struct strbuf text;
    strbuf_init(&text, c->mem);
    env.date_style = 0;
    TRY(value_output(&env, c->mem, type, value, &text));
    strbuf_puts(&text, "");
    char *space = strchr(text.data, ' ');
    if (space && type != TYPE_DATE)
        *space = 'T';
    char *bc = strstr(text.data, " BC");
    size_t len = bc ? (size_t)(bc - text.data) : strlen(text.data);
    bool short_zone = type == TYPE_TIMESTAMPTZ && len > 3 && strchr("+-", text.data[len - 3]) &&
                      strchr(text.data, 'T');
    strbuf_printf(out, "\"%.*s%s%s\"", (int)len, text.data, short_zone ? ":00" : "", bc ? bc : "");
    return ERR_OK;
}

static err_t put_dimension(struct call *c, const struct array_view *v, int32_t dimension,
                           uint32_t *at, struct strbuf *out)
{
    strbuf_putc(out, '[');
    for (int32_t i = 0; dimension < v->ndim && i < v->dims[dimension]; i++) {
        if (i)
            strbuf_putc(out, ',');
        if (dimension + 1 < v->ndim) {
            TRY(put_dimension(c, v, dimension + 1, at, out));
            continue;
        }
        TRY(put_value(c, v->element, v->values[*at], v->nulls[*at], out));
        (*at)++;
    }
    strbuf_putc(out, ']');
    return ERR_OK;
}

static err_t put_array(struct call *c, datum value, struct strbuf *out)
{
    struct array_view v;
    uint32_t at = 0;
    TRY(fiber_check_stack());
    TRY(array_read(c->mem, value, &v));
    return put_dimension(c, &v, 0, &at, out);
}

static err_t put_value(struct call *c, oid type, datum value, bool is_null, struct strbuf *out)
{
    if (is_null) {
        strbuf_puts(out, "null");
        return ERR_OK;
    }
    if (type == TYPE_BOOL) {
        strbuf_puts(out, datum_bool(value) ? "true" : "false");
        return ERR_OK;
    }
    if (type == TYPE_JSON) {
        const struct varlen *v = datum_varlen(value);
        return strbuf_put(out, v->data, v->len);
    }
    if (type == TYPE_DATE || type == TYPE_TIMESTAMP || type == TYPE_TIMESTAMPTZ)
        return put_time(c, type, value, out);
    if (element_of(type) != OID_NONE)
        return put_array(c, value, out);
    if (is_row(type))
        return err_not_built("composite values in json are not supported yet");
    struct strbuf text;
    strbuf_init(&text, c->mem);
    TRY(value_output(c->env, c->mem, type, value, &text));
    bool plain = is_number(type) && text.len > 0 &&
                 strchr("0123456789", text.data[text.data[0] == '-' && text.len > 1]) != NULL;
    if (plain)
        return strbuf_put(out, text.data, text.len);
    json_put_string(out, text.len ? text.data : "", text.len);
    return ERR_OK;
}

static err_t result_json(struct call *c, struct strbuf *text, datum *out)
{
    return result_bytes(c, text->data, text->len, out);
}

FUNCTION(fn_to_json)
{
    struct strbuf text;
    strbuf_init(&text, c->mem);
    TRY(put_value(c, c->arg_types[0], c->args[0], c->nulls[0], &text));
    return result_json(c, &text, out);
}

FUNCTION(fn_json_build_array)
{
    struct strbuf text;
    strbuf_init(&text, c->mem);
    strbuf_putc(&text, '[');
    for (uint32_t i = 0; i < c->arg_count; i++) {
        if (i)
            strbuf_puts(&text, ", ");
        TRY(put_value(c, c->arg_types[i], c->args[i], c->nulls[i], &text));
    }
    strbuf_putc(&text, ']');
    return result_json(c, &text, out);
}

static err_t put_key(struct call *c, uint32_t i, struct strbuf *out)
{
    oid type = c->arg_types[i];
    if (c->nulls[i]) {
        err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE, "argument %u cannot be null", i + 1);
        err_hint("Object keys should be text.");
        return e;
    }
    if (type == TYPE_JSON || is_row(type) || element_of(type) != OID_NONE)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "key value must be scalar, not array, composite, or json");
    struct strbuf text;
    strbuf_init(&text, c->mem);
    if (type == TYPE_BOOL || type == TYPE_DATE || type == TYPE_TIMESTAMP ||
        type == TYPE_TIMESTAMPTZ) {
        TRY(put_value(c, type, c->args[i], false, &text));
        if (type != TYPE_BOOL)
            return strbuf_put(out, text.data, text.len);
    } else {
        TRY(value_output(c->env, c->mem, type, c->args[i], &text));
    }
    json_put_string(out, text.len ? text.data : "", text.len);
    return ERR_OK;
}

FUNCTION(fn_json_build_object)
{
    struct strbuf text;
    strbuf_init(&text, c->mem);
    if (c->arg_count % 2) {
        err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE,
                            "argument list must have even number of elements");
        err_hint("The arguments of json_build_object() must consist of alternating keys and "
                 "values.");
        return e;
    }
    strbuf_putc(&text, '{');
    for (uint32_t i = 0; i < c->arg_count; i += 2) {
        if (i)
            strbuf_puts(&text, ", ");
        TRY(put_key(c, i, &text));
        strbuf_puts(&text, " : ");
        TRY(put_value(c, c->arg_types[i + 1], c->args[i + 1], c->nulls[i + 1], &text));
    }
    strbuf_putc(&text, '}');
    return result_json(c, &text, out);
}

/* ---- parts ---- */

struct part { /* of a JSON text; NULL text: there is none */
    const char *text;
    size_t len;
};

static err_t part_begin(struct call *c, struct json_reader *r, const struct part *p)
{
    return json_begin(r, c->mem, p->text, p->len);
}

/* The last one of equal keys counts. */
static err_t member_find(struct call *c, const struct part *in, const char *key, size_t key_len,
                         struct part *out)
{
    struct json_reader r;
    struct strbuf name;
    bool more = true;
    strbuf_init(&name, c->mem);
    *out = (struct part){0};
    TRY(part_begin(c, &r, in));
    if (r.token != JSON_OBJECT_BEGIN)
        return ERR_OK;
    TRY(json_next(&r));
    for (bool first = true;; first = false) {
        struct part value;
        TRY(json_member(&r, first, &name, &more));
        if (!more)
            return ERR_OK;
        TRY(json_skip(&r, &value.text, &value.len));
        if (name.len == key_len && (key_len == 0 || memcmp(name.data, key, key_len) == 0))
            *out = value;
    }
}

static err_t array_count(struct call *c, const struct part *in, int64_t *count)
{
    struct json_reader r;
    bool more = true;
    *count = -1;
    TRY(part_begin(c, &r, in));
    if (r.token != JSON_ARRAY_BEGIN)
        return ERR_OK;
    TRY(json_next(&r));
    for (*count = 0;; ++*count) {
        TRY(json_element(&r, *count == 0, &more));
        if (!more)
            return ERR_OK;
        TRY(json_skip(&r, NULL, NULL));
    }
}

/* Positions from 0; negative ones from the end. */
static err_t element_find(struct call *c, const struct part *in, int64_t position, struct part *out)
{
    struct json_reader r;
    bool more = true;
    *out = (struct part){0};
    if (position < 0) {
        int64_t count;
        TRY(array_count(c, in, &count));
        position += count;
        if (count < 0 || position < 0)
            return ERR_OK;
    }
    TRY(part_begin(c, &r, in));
    if (r.token != JSON_ARRAY_BEGIN)
        return ERR_OK;
    TRY(json_next(&r));
    for (int64_t i = 0; i <= position; i++) {
        struct part value;
        TRY(json_element(&r, i == 0, &more));
        if (!more)
            return ERR_OK;
        TRY(json_skip(&r, &value.text, &value.len));
        if (i == position)
            *out = value;
    }
    return ERR_OK;
}

/* As json, or as text: strings without quotes, null is NULL. */
static err_t part_result(struct call *c, const struct part *p, bool as_text, datum *out)
{
    if (!p->text)
        RETURN_NULL();
    if (!as_text)
        return result_bytes(c, p->text, p->len, out);
    struct json_reader r;
    TRY(part_begin(c, &r, p));
    if (r.token == JSON_NULL)
        RETURN_NULL();
    if (r.token != JSON_STRING)
        return result_bytes(c, p->text, p->len, out);
    struct strbuf text;
    strbuf_init(&text, c->mem);
    TRY(json_string(&r, &text));
    return result_bytes(c, text.len ? text.data : "", text.len, out);
}

static struct part argument(struct call *c)
{
    const struct varlen *v = ARG_VARLEN(0);
    return (struct part){(const char *)v->data, v->len};
}

static err_t object_field(struct call *c, bool as_text, datum *out)
{
    const struct varlen *key = ARG_VARLEN(1);
    struct part in = argument(c);
    struct part found;
    TRY(member_find(c, &in, (const char *)key->data, key->len, &found));
    return part_result(c, &found, as_text, out);
}
FUNCTION(fn_json_object_field)
{
    return object_field(c, false, out);
}
FUNCTION(fn_json_object_field_text)
{
    return object_field(c, true, out);
}

static err_t array_item(struct call *c, bool as_text, datum *out)
{
    struct part in = argument(c);
    struct part found;
    TRY(element_find(c, &in, ARG_I32(1), &found));
    return part_result(c, &found, as_text, out);
}
FUNCTION(fn_json_array_element)
{
    return array_item(c, false, out);
}
FUNCTION(fn_json_array_element_text)
{
    return array_item(c, true, out);
}

/* A path's step into an array must be an integer. */
static bool step_position(const struct varlen *step, int64_t *out)
{
    char text[16];
    char *end;
    if (step->len == 0 || step->len >= sizeof(text))
        return false;
    memcpy(text, step->data, step->len);
    text[step->len] = 0;
    long v = strtol(text, &end, 10);
    *out = v;
    return *end == 0 && v >= INT32_MIN && v <= INT32_MAX;
}

static err_t extract(struct call *c, bool as_text, datum *out)
{
    struct array_view path;
    struct part at = argument(c);
    TRY(array_read(c->mem, c->args[1], &path));
    for (uint32_t i = 0; i < path.count; i++)
        if (path.nulls[i])
            RETURN_NULL();
    if (path.count == 0) /* the whole, as it is written */
        return part_result(c, &at, as_text, out);
    for (uint32_t i = 0; i < path.count && at.text; i++) {
        const struct varlen *step = datum_varlen(path.values[i]);
        struct json_reader r;
        struct part next = {0};
        int64_t position;
        TRY(part_begin(c, &r, &at));
        if (r.token == JSON_OBJECT_BEGIN)
            TRY(member_find(c, &at, (const char *)step->data, step->len, &next));
        else if (r.token == JSON_ARRAY_BEGIN && step_position(step, &position))
            TRY(element_find(c, &at, position, &next));
        at = next;
    }
    return part_result(c, &at, as_text, out);
}
FUNCTION(fn_json_extract_path)
{
    return extract(c, false, out);
}
FUNCTION(fn_json_extract_path_text)
{
    return extract(c, true, out);
}

FUNCTION(fn_json_array_length)
{
    struct json_reader r;
    struct part in = argument(c);
    int64_t count;
    TRY(part_begin(c, &r, &in));
    if (r.token != JSON_ARRAY_BEGIN)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, r.token == JSON_OBJECT_BEGIN
                                                          ? "cannot get array length of a non-array"
                                                          : "cannot get array length of a scalar");
    TRY(array_count(c, &in, &count));
    RETURN_I32((int32_t)count);
}

FUNCTION(fn_json_typeof)
{
    struct json_reader r;
    struct part in = argument(c);
    TRY(part_begin(c, &r, &in));
    const char *name = r.token == JSON_OBJECT_BEGIN  ? "object"
                       : r.token == JSON_ARRAY_BEGIN ? "array"
                       : r.token == JSON_STRING      ? "string"
                       : r.token == JSON_NUMBER      ? "number"
                       : r.token == JSON_NULL        ? "null"
                                                     : "boolean";
    return result_bytes(c, name, strlen(name), out);
}
