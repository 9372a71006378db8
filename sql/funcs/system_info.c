/*
 * System information that needs no service of a session: statistics that are not counted here,
 * tablespaces, reloptions, sizes of numeric in words, and functions about things that this server
 * never has (prepared transactions, replication slots, partitions, extensions), which give their
 * empty sets. Identity, encodings and visibility are in session_funcs.c and catalog_funcs.c.
 */
#include "sql/funcs/funcs_priv.h"
#include "sql/types/numeric.h"

/* Counters that stay zero, of any integer or float type, and void results. */
FUNCTION(fn_zero)
{
    (void)c;
    *out = 0;
    return ERR_OK;
}

/* Tablespaces have no place of their own: pg_default and pg_global lie in the data directory. */
FUNCTION(fn_pg_tablespace_location)
{
    return result_cstring(c, "", out);
}

/* name || '_' || oid, the name cut to fit (information_schema's specific names). */
FUNCTION(fn_nameconcatoid)
{
    enum { NAME_BYTES_MAX = 63 };
    const struct varlen *name = ARG_VARLEN(0);
    const char *suffix = arena_printf(c->mem, "_%u", ARG_OID(1));
    size_t room = NAME_BYTES_MAX - strlen(suffix);
    size_t len = name->len <= room ? name->len : utf8_clip_bytes(name->data, name->len, room);
    struct strbuf b;
    strbuf_init(&b, c->mem);
    TRY(strbuf_put(&b, name->data, len));
    strbuf_puts(&b, suffix);
    return result_strbuf(c, &b, out);
}

/* ---- pg_size_pretty(numeric) ---- */

static const struct {
    const char *name;
    int64_t limit; /* below it the value is written in this unit */
    int shift;     /* to the next unit; from kB on the value is kept doubled, to round at the end */
    bool is_doubled;
} size_units[] = {{"bytes", 10 * 1024, 9, false},  {"kB", 20 * 1024 - 1, 10, true},
                  {"MB", 20 * 1024 - 1, 10, true}, {"GB", 20 * 1024 - 1, 10, true},
                  {"TB", 20 * 1024 - 1, 10, true}, {"PB", 20 * 1024 - 1, 0, true}};

/* By div(numeric, numeric): cut toward zero. */
static err_t divide_cut(struct call *c, datum value, int64_t divisor, datum *out)
{
    datum args[2] = {value, numeric_of_i64(c->mem, divisor)};
    struct call division = *c;
    division.args = args;
    division.arg_count = 2;
    return fn_numeric_div_trunc(&division, out);
}

static bool is_within(struct call *c, datum value, int64_t limit)
{
    return numeric_compare(value, numeric_of_i64(c->mem, limit)) < 0 &&
           numeric_compare(value, numeric_of_i64(c->mem, -limit)) > 0;
}

/* NaN and infinities are in no unit but the last. */
FUNCTION(fn_pg_size_pretty_numeric)
{
    datum value = c->args[0];
    size_t unit = 0;
    struct strbuf b;
    strbuf_init(&b, c->mem);
    for (; unit + 1 < ARRAY_LEN(size_units) && !is_within(c, value, size_units[unit].limit); unit++)
        TRY(divide_cut(c, value, INT64_C(1) << size_units[unit].shift, &value));
    if (size_units[unit].is_doubled) {
        bool negative = numeric_compare(value, numeric_of_i64(c->mem, 0)) < 0;
        TRY(numeric_add(c->mem, value, numeric_of_i64(c->mem, negative ? -1 : 1), &value));
        TRY(divide_cut(c, value, 2, &value));
    }
    TRY(value_output(c->env, c->mem, TYPE_NUMERIC, value, &b));
    strbuf_printf(&b, " %s", size_units[unit].name);
    return result_strbuf(c, &b, out);
}

/* ---- pg_options_to_table(text[]): name=value elements ---- */

struct options {
    struct array_view view;
    uint32_t at;
};

static err_t options_begin(struct call *c, void **state)
{
    struct options *o = ARENA_NEW(c->mem, struct options);
    *state = o;
    return array_read(c->mem, c->args[0], &o->view);
}

static err_t options_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    struct options *o = state;
    *end = o->at >= o->view.count;
    if (*end)
        return ERR_OK;
    if (o->view.nulls[o->at])
        return err_raise(ERR_NULL_VALUE_NOT_ALLOWED,
                         "null array element not allowed in this context");
    const struct varlen *v = datum_varlen(o->view.values[o->at++]);
    const uint8_t *equals = v->len == 0 ? NULL : memchr(v->data, '=', v->len);
    size_t name_len = equals == NULL ? v->len : (size_t)(equals - v->data);
    TRY(result_bytes(c, v->data, name_len, &values[0]));
    nulls[0] = false;
    nulls[1] = equals == NULL;
    if (equals != NULL)
        TRY(result_bytes(c, equals + 1, v->len - name_len - 1, &values[1]));
    return ERR_OK;
}

static const char *const options_names[] = {"option_name", "option_value"};
static const oid options_types[] = {TYPE_TEXT, TYPE_TEXT};

const struct set_function srf_pg_options_to_table = {
    .column_count = 2,
    .column_names = options_names,
    .column_types = options_types,
    .begin = options_begin,
    .next = options_next,
};

/* ---- empty sets ---- */

static err_t empty_begin(struct call *c, void **state)
{
    (void)c;
    *state = NULL;
    return ERR_OK;
}

static err_t empty_next(struct call *c, void *state, datum *values, bool *nulls, bool *end)
{
    (void)c;
    (void)state;
    (void)values;
    (void)nulls;
    *end = true;
    return ERR_OK;
}

#define EMPTY_SET(name, columns)                                                                   \
    const struct set_function name = {                                                             \
        .column_count = columns,                                                                   \
        .begin = empty_begin,                                                                      \
        .next = empty_next,                                                                        \
    }
EMPTY_SET(srf_pg_available_extensions, 3);
EMPTY_SET(srf_pg_available_extension_versions, 8);
EMPTY_SET(srf_pg_stat_get_wal_senders, 12);
EMPTY_SET(srf_pg_stat_get_progress_info, 23);
EMPTY_SET(srf_pg_partition_tree, 4);
EMPTY_SET(srf_pg_partition_ancestors, 1);
EMPTY_SET(srf_pg_get_replication_slots, 14);
EMPTY_SET(srf_pg_show_replication_origin_status, 4);
EMPTY_SET(srf_pg_stat_get_subscription, 8);
