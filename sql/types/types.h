/*
 * SQL values and the table of built-in types.
 *
 * A value is an 8-byte datum plus a null flag kept beside it. Two classes only: by value (bool,
 * ints, floats, oid family, date, time, timestamp, "char": the value in the word itself) and by
 * reference (everything else: the word is a pointer to struct varlen, also for uuid, interval, name
 * and arrays). There are no other representations; NUL termination is not promised.
 */
#ifndef SQL_TYPES_TYPES_H
#define SQL_TYPES_TYPES_H

#include "core/arena.h"
#include "core/err.h"

typedef uint32_t oid;
typedef uint64_t datum;
#define OID_NONE 0u

struct varlen {
    uint32_t len; /* of data, not counting itself */
    uint8_t data[];
};
_Static_assert(_Alignof(struct varlen) == 4, "a varlen may stand at any 4-byte boundary");

static inline const struct varlen *datum_varlen(datum d)
{
    return (const struct varlen *)(uintptr_t)d;
}
static inline datum datum_of_varlen(const struct varlen *v)
{
    return (datum)(uintptr_t)v;
}
static inline int64_t datum_i64(datum d)
{
    return (int64_t)d;
}
static inline int32_t datum_i32(datum d)
{
    return (int32_t)(uint32_t)d;
}
static inline int16_t datum_i16(datum d)
{
    return (int16_t)(uint16_t)d;
}
static inline bool datum_bool(datum d)
{
    return d != 0;
}
static inline oid datum_oid(datum d)
{
    return (oid)d;
}
static inline double datum_f64(datum d)
{
    double v;
    memcpy(&v, &d, sizeof(v));
    return v;
}
static inline float datum_f32(datum d)
{
    float v;
    uint32_t w = (uint32_t)d;
    memcpy(&v, &w, sizeof(v));
    return v;
}
/* By-value datums are canonical: signed integers sign-extended to 64 bits, so that == on words is
 * == on values of one integer type. */
static inline datum datum_of_i64(int64_t v)
{
    return (datum)v;
}
static inline datum datum_of_i32(int32_t v)
{
    return (datum)(int64_t)v;
}
static inline datum datum_of_i16(int16_t v)
{
    return (datum)(int64_t)v;
}
static inline datum datum_of_bool(bool v)
{
    return v ? 1 : 0;
}
static inline datum datum_of_oid(oid v)
{
    return v;
}
static inline datum datum_of_f64(double v)
{
    datum d;
    memcpy(&d, &v, sizeof(d));
    return d;
}
static inline datum datum_of_f32(float v)
{
    uint32_t w;
    memcpy(&w, &v, sizeof(w));
    return w;
}
struct varlen *varlen_new(struct arena *a, const void *bytes,
                          uint32_t len); /* bytes NULL: room only */
/* For lengths that come from a client or grow with data: ERR_PROGRAM_LIMIT_EXCEEDED past the limit
 * of one value, ERR_OUT_OF_MEMORY. */
err_t varlen_try(struct arena *a, const void *bytes, uint64_t len, struct varlen **out);
datum datum_of_text(struct arena *a, const char *nul_terminated);
char *varlen_cstring(struct arena *a, const struct varlen *v);
datum datum_copy(struct arena *a, datum d, bool by_value);

/* Type OIDs as enum constants TYPE_INT4 = 23, ... generated from types.tab
 * (generated/sql/type_oids.h): TYPE_BOOL, TYPE_INT2, TYPE_TIMESTAMPTZ, TYPE_INT4_ARRAY (for _int4),
 * TYPE_UNKNOWN, TYPE_ANYELEMENT... */
#include "sql/type_oids.h"

struct type_io { /* context of input and output functions */
    struct arena *mem;
    oid type;
    int32_t typmod;
    oid element;                   /* of an array */
    const struct session_env *env; /* settings: DateStyle, TimeZone, bytea_output ...; see below */
};

/* The session's formatting state, kept by sql/session and passed down everywhere. */
struct session_env {
    const struct settings_view *settings;
    int date_style;     /* 0 ISO, 1 SQL, 2 Postgres, 3 German */
    int date_order;     /* 0 MDY, 1 DMY, 2 YMD */
    int interval_style; /* 0 postgres, 1 postgres_verbose, 2 sql_standard, 3 iso_8601 */
    int extra_float_digits;
    int bytea_output;             /* 0 hex, 1 escape */
    const struct time_zone *zone; /* NULL = UTC */
    int64_t now_us;               /* transaction start, microseconds since 2000-01-01 UTC */
    int64_t statement_now_us;
    const char *user_name; /* current_user */
    const char *session_user_name;
    const char *database_name;
    oid user_oid;
    oid database_oid;
    uint32_t pid;
    struct sql_services *services;     /* what functions may call that lives in later rooms */
    const char *const *search_schemas; /* effective search_path, implicit pg_catalog left out */
    uint32_t search_schema_count;
    bool is_superuser;
};

/* One row per pg_type row that the build knows (all of PostgreSQL 15's, from types.tab). */
struct type_info {
    oid oid;
    const char *name; /* internal: int4, bpchar, _int4 */
    int16_t typlen;   /* pg_type.typlen: -1, -2 or bytes */
    bool by_value;    /* in our representation */
    char typtype;     /* b c d e p r m */
    char category;
    bool preferred;
    char align;
    char storage;
    char delimiter;
    oid relation;
    oid element; /* typelem */
    oid array;   /* typarray */
    oid base;
    oid collation; /* typcollation */
    /* NULL function = the type is known but not built (0A000). */
    err_t (*input)(struct type_io *io, const char *text, size_t len, datum *out);
    err_t (*output)(struct type_io *io, datum value, struct strbuf *out);
    err_t (*receive)(struct type_io *io, const uint8_t *bytes, size_t len, datum *out);
    err_t (*send)(struct type_io *io, datum value, struct strbuf *out);
    /* Default btree order and hash; NULL when the type has none. */
    int (*compare)(datum a, datum b);
    uint64_t (*hash)(datum d); /* equal values hash alike, across int2/int4/int8 too */
    /* memcmp-able key bytes, self-delimiting, ascending; appended. */
    void (*sort_key)(datum d, struct strbuf *out);
    /* typmod: "(10,2)" from parser integers, back to text, and enforcement (varchar(n),
     * numeric(p,s)). */
    err_t (*typmod_in)(const int32_t *args, uint32_t count, int32_t *out);
    void (*typmod_out)(int32_t typmod, struct strbuf *out); /* "(10,2)" */
    err_t (*apply_typmod)(struct type_io *io, datum in, bool is_explicit, datum *out);
};

const struct type_info *type_find(oid type);                /* NULL when unknown */
const struct type_info *type_find_name(const char *name);   /* internal name, in pg_catalog */
err_t type_require(oid type, const struct type_info **out); /* ERR_UNDEFINED_OBJECT */
const struct type_info *type_at(uint32_t index); /* all rows, by oid; NULL past the end */
/* "integer", "character varying(10)", "timestamp with time zone", "integer[]" (format_type). */
const char *type_format(struct arena *mem, oid type, int32_t typmod);
/* The same without length: "character varying", "character" (what error messages and regtype say).
 */
const char *type_display(struct arena *mem, oid type);

err_t value_input(const struct session_env *env, struct arena *mem, oid type, int32_t typmod,
                  const char *text, size_t len, datum *out); /* and typmod applied */
err_t value_output(const struct session_env *env, struct arena *mem, oid type, datum value,
                   struct strbuf *out);
/* Whether e is the error of a binary value with more bytes than its type takes: who knows where it
 * stood says it better. */
bool value_was_overlong(err_t e);
err_t value_receive(const struct session_env *env, struct arena *mem, oid type, int32_t typmod,
                    const uint8_t *bytes, size_t len, datum *out);
err_t value_send(const struct session_env *env, struct arena *mem, oid type, datum value,
                 struct strbuf *out);

/* One column of an index or sort key. */
struct key_column {
    const struct type_info *type;
    bool descending;
    bool nulls_first;
};
/* Appends the memcmp-able form: null marker byte, then the value (inverted when descending). */
void key_append(const struct key_column *c, datum value, bool is_null, struct strbuf *out);
/* Hash of a shard key: same for equal values of int2/int4/int8; order of columns matters. */
uint64_t key_hash(const struct key_column *columns, uint32_t count, const datum *values);

/* ---- row codec (types/row.c): table rows and rows in transit ----
 *
 * u16 column count | null bitmap (1 = null), padded so that cells begin at a multiple of 4 | one
 * fixed-size cell per column (by value: 1, 2, 4 or 8 bytes, naturally packed; by reference: u32
 * offset from the row's start to a 4-aligned struct varlen) | varlens. Column offsets are O(1) by
 * layout; a row may have fewer columns than the layout (columns added later). The row must be
 * 8-aligned in memory to be read.
 */
struct row_layout {
    uint32_t column_count;
    const uint8_t *cell_bytes; /* 1, 2, 4, 8; by reference 4 */
    const bool *by_value;
    const bool *is_signed;       /* sign-extend the cell */
    const uint32_t *cell_offset; /* from the begin of the cells */
    uint32_t cells_bytes;
};
struct row_layout *row_layout_new(struct arena *mem, const oid *types, uint32_t count);
/* Appends the encoded row. ERR_PROGRAM_LIMIT_EXCEEDED past ROW_BYTES_MAX. */
err_t row_encode(const struct row_layout *l, const datum *values, const bool *nulls,
                 struct strbuf *out);
/* Checks that offsets and lengths lie inside. ERR_DATA_CORRUPTED. */
err_t row_check(const struct row_layout *l, const uint8_t *row, size_t len);
uint32_t row_column_count(const uint8_t *row);
/* column < row_column_count(row). By-reference datums point into the row. */
datum row_get(const struct row_layout *l, const uint8_t *row, uint32_t column, bool *is_null);
void row_decode(const struct row_layout *l, const uint8_t *row, uint32_t first, uint32_t count,
                datum *values, bool *nulls); /* columns past the row's count come back null */

/* ---- arrays (types/array.c) ---- varlen data: i32 ndim, i32 has_null, u32 element oid, then per
 * dimension i32 length, i32 lower bound; then elements: per element u8 null flag is avoided: a null
 * bitmap when has_null; by value: 8-byte words; by reference: u32 len + bytes padded to 4. */
struct array_view {
    oid element;
    int32_t ndim;
    int32_t dims[6];
    int32_t lower[6];
    uint32_t count;
    const datum *values; /* in mem */
    const bool *nulls;
};
err_t array_read(struct arena *mem, datum array, struct array_view *out);
err_t array_make(struct arena *mem, const struct array_view *view, datum *out);
/* One dimension from 1 (count 0: the empty array, no dimensions). nulls NULL = no nulls. */
err_t array_of(struct arena *mem, oid element, const datum *values, const bool *nulls,
               uint32_t count, datum *out);

/* int2vector, oidvector: one dimension from 0. */
err_t vector_of(struct arena *mem, oid element, const datum *values, uint32_t count, datum *out);

/* ---- records (types/record.c) ---- a row value that knows its columns' types: u32 count, then per
 * column u32 type, u32 is_null, then (not null) 8-byte word or u32 length + bytes padded to 4. */
struct record_view {
    uint32_t count;
    const oid *types;
    const datum *values; /* by reference: inside the record */
    const bool *nulls;
};
err_t record_make(struct arena *mem, const struct record_view *view, datum *out);
err_t record_read(struct arena *mem, datum record, struct record_view *out);

#endif
