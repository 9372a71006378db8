/* Values of all types: text forms against PostgreSQL 15, binary forms, order, keys, hashes, rows.
 */
#include "../sql_funcs/evaluate.h"
#include "type_facts.h"

#include <CUnit/Basic.h>

static void text_forms_as_postgresql(void)
{
    for (size_t i = 0; i < ARRAY_LEN(type_facts); i++) {
        struct arena *mem = arena_new();
        const char *got =
            evaluate_type(mem, type_facts[i].type, type_facts[i].typmod, type_facts[i].input);
        if (strcmp(got, type_facts[i].output) != 0) {
            fprintf(stderr, "%s [%s]: expected [%s], got [%s]\n", type_facts[i].type,
                    type_facts[i].input, type_facts[i].output, got);
            CU_FAIL("differs from PostgreSQL");
        }
        arena_free(mem);
    }
}

/* Strictly ascending values per type, as ORDER BY has them. */
static const struct {
    const char *type;
    const char *values[12];
} ascending[] = {
    {"bool", {"f", "t"}},
    {"int2", {"-32768", "-1", "0", "1", "32767"}},
    {"int4", {"-2147483648", "-256", "-1", "0", "1", "255", "256", "2147483647"}},
    {"int8", {"-9223372036854775808", "-1", "0", "1", "4294967296", "9223372036854775807"}},
    {"float4", {"-Infinity", "-1.5", "-1e-40", "0", "1e-40", "1.5", "Infinity", "NaN"}},
    {"float8", {"-Infinity", "-1e300", "-1", "-5e-324", "0", "5e-324", "1", "Infinity", "NaN"}},
    {"text", {"", " ", "A", "a", "a ", "aa", "ab", "b", "é", "日本", "😀"}},
    {"varchar", {"", "a", "aa", "b"}},
    {"bpchar", {"", "a ", "aa", "ab", "b"}},
    {"name", {"", "a", "aa", "b"}},
    {"char", {"", "A", "a", "é"}},
    {"bytea", {"\\x", "\\x00", "\\x0000", "\\x0001", "\\x00ff", "\\x01", "\\xff", "\\xff00"}},
    {"uuid",
     {"00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
      "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"}},
    {"oid", {"0", "1", "2147483648", "4294967295"}},
    {"tid", {"(0,1)", "(0,2)", "(1,0)"}},
    {"_int4", {"{}", "{-1}", "{1}", "{1,2}", "{1,2,3}", "{1,NULL}", "{2}", "{NULL}"}},
    {"_text", {"{}", "{\"\"}", "{a}", "{a,a}", "{aa}", "{b}"}},
    {"oidvector", {"", "5", "1 2", "1 3"}},
};

static void order_keys_and_hashes_agree(void)
{
    for (size_t t = 0; t < ARRAY_LEN(ascending); t++) {
        struct arena *mem = arena_new();
        const struct type_info *type = type_find_name(ascending[t].type);
        CU_ASSERT_PTR_NOT_NULL(type);
        datum d[12];
        uint32_t n = 0;
        for (; n < 12 && ascending[t].values[n] != NULL; n++) {
            const char *s = ascending[t].values[n];
            CU_ASSERT_EQUAL(value_input(&test_env, mem, type->oid, -1, s, strlen(s), &d[n]), 0);
        }
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t k = 0; k < n; k++) {
                int want = (i > k) - (i < k);
                int order = type->compare(d[i], d[k]);
                CU_ASSERT_EQUAL((order > 0) - (order < 0), want);
                if (i == k)
                    CU_ASSERT_EQUAL(type->hash(d[i]), type->hash(d[k]));
                for (int descending = 0; descending < 2; descending++) {
                    struct key_column c = {.type = type, .descending = descending};
                    struct strbuf x;
                    struct strbuf y;
                    strbuf_init(&x, mem);
                    strbuf_init(&y, mem);
                    key_append(&c, d[i], false, &x);
                    key_append(&c, d[k], false, &y);
                    /* A second column must not disturb the order of the first. */
                    key_append(&c, d[k], false, &x);
                    key_append(&c, d[i], false, &y);
                    int bytes = memcmp(x.data, y.data, MIN(x.len, y.len));
                    int got = (bytes > 0) - (bytes < 0);
                    if (got != (descending ? -want : want)) {
                        fprintf(stderr, "key of %s: [%s] against [%s]\n", ascending[t].type,
                                ascending[t].values[i], ascending[t].values[k]);
                        CU_FAIL("keys are out of order");
                    }
                }
            }
        }
        arena_free(mem);
    }
}

static void nulls_sort_where_asked(void)
{
    struct arena *mem = arena_new();
    const struct type_info *type = type_find(TYPE_INT4);
    for (int first = 0; first < 2; first++) {
        for (int descending = 0; descending < 2; descending++) {
            struct key_column c = {.type = type, .descending = descending, .nulls_first = first};
            struct strbuf null_key;
            struct strbuf value_key;
            strbuf_init(&null_key, mem);
            strbuf_init(&value_key, mem);
            key_append(&c, 0, true, &null_key);
            key_append(&c, datum_of_i32(-5), false, &value_key);
            int order = memcmp(null_key.data, value_key.data, 1);
            CU_ASSERT(first ? order < 0 : order > 0);
        }
    }
    arena_free(mem);
}

static void equal_values_hash_alike(void)
{
    struct arena *mem = arena_new();
    uint64_t h = type_find(TYPE_INT8)->hash(datum_of_i64(-7));
    CU_ASSERT_EQUAL(type_find(TYPE_INT4)->hash(datum_of_i32(-7)), h);
    CU_ASSERT_EQUAL(type_find(TYPE_INT2)->hash(datum_of_i16(-7)), h);
    CU_ASSERT_NOT_EQUAL(type_find(TYPE_INT2)->hash(datum_of_i16(7)), h);
    const struct type_info *f = type_find(TYPE_FLOAT8);
    CU_ASSERT_EQUAL(f->hash(datum_of_f64(0.0)), f->hash(datum_of_f64(-0.0)));
    CU_ASSERT_EQUAL(type_find(TYPE_FLOAT4)->hash(datum_of_f32(1.5f)), f->hash(datum_of_f64(1.5)));
    const struct type_info *b = type_find(TYPE_BPCHAR);
    datum x = datum_of_text(mem, "a");
    datum y = datum_of_text(mem, "a  ");
    CU_ASSERT_EQUAL(b->compare(x, y), 0);
    CU_ASSERT_EQUAL(b->hash(x), b->hash(y));
    /* Placement of rows is stored on disk: these numbers may never change. */
    struct key_column c = {.type = type_find(TYPE_INT4)};
    datum key = datum_of_i32(42);
    CU_ASSERT_EQUAL(key_hash(&c, 1, &key), 0x47d95004a072b9c3ULL);
    c.type = type_find(TYPE_TEXT);
    key = datum_of_text(mem, "hello world");
    CU_ASSERT_EQUAL(key_hash(&c, 1, &key), 0xeac91b80d1c7f3d8ULL);
    arena_free(mem);
}

static void binary_forms_come_back(void)
{
    for (size_t t = 0; t < ARRAY_LEN(ascending); t++) {
        struct arena *mem = arena_new();
        const struct type_info *type = type_find_name(ascending[t].type);
        for (uint32_t i = 0; i < 12 && ascending[t].values[i] != NULL; i++) {
            const char *s = ascending[t].values[i];
            datum d;
            datum back;
            struct strbuf wire;
            strbuf_init(&wire, mem);
            strbuf_puts(&wire, "");
            CU_ASSERT_EQUAL(value_input(&test_env, mem, type->oid, -1, s, strlen(s), &d), 0);
            CU_ASSERT_EQUAL(value_send(&test_env, mem, type->oid, d, &wire), 0);
            bool is_empty_vector = s[0] == '\0' && strstr(ascending[t].type, "vector") != NULL;
            err_t e =
                value_receive(&test_env, mem, type->oid, -1, (uint8_t *)wire.data, wire.len, &back);
            /* As in PostgreSQL, which does not take back what it sends for an empty one. */
            CU_ASSERT_EQUAL(e, is_empty_vector ? ERR_INVALID_BINARY_REPRESENTATION : 0);
            CU_ASSERT(e != ERR_OK || type->compare(d, back) == 0);
            /* Cut short and bit-flipped bytes may be refused but do no harm. */
            for (size_t len = 0; len < wire.len; len++)
                ERR_IGNORE(
                    value_receive(&test_env, mem, type->oid, -1, (uint8_t *)wire.data, len, &back));
            for (size_t k = 0; k < wire.len; k++) {
                wire.data[k] = (char)(wire.data[k] ^ 0x80);
                ERR_IGNORE(value_receive(&test_env, mem, type->oid, -1, (uint8_t *)wire.data,
                                         wire.len, &back));
                wire.data[k] = (char)(wire.data[k] ^ 0x80);
            }
        }
        arena_free(mem);
    }
}

static void bad_utf8_is_refused(void)
{
    static const char *const bad[] = {"\xff",         "a\x80",        "\xc0\xaf",
                                      "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "abcdefgh\xc3"};
    struct arena *mem = arena_new();
    datum d;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CU_ASSERT_EQUAL(value_input(&test_env, mem, TYPE_TEXT, -1, bad[i], strlen(bad[i]), &d),
                        ERR_CHARACTER_NOT_IN_REPERTOIRE);
    CU_ASSERT_STRING_EQUAL(err_diag()->message,
                           "invalid byte sequence for encoding \"UTF8\": 0xc3");
    CU_ASSERT_EQUAL(value_input(&test_env, mem, TYPE_TEXT, -1, "a\0b", 3, &d),
                    ERR_CHARACTER_NOT_IN_REPERTOIRE);
    CU_ASSERT_EQUAL(value_input(&test_env, mem, TYPE_JSONB, -1, "{}", 2, &d),
                    ERR_FEATURE_NOT_SUPPORTED);
    arena_free(mem);
}

static void rows_come_back(void)
{
    struct arena *mem = arena_new();
    const oid types[] = {TYPE_INT4, TYPE_TEXT, TYPE_BOOL,   TYPE_INT8,   TYPE_UUID, TYPE_INT2,
                         TYPE_OID,  TYPE_TEXT, TYPE_FLOAT4, TYPE_FLOAT8, TYPE_CHAR, TYPE_INT4};
    enum { N = 12 };
    struct row_layout *l = row_layout_new(mem, types, N);
    datum values[N] = {datum_of_i32(-5),
                       datum_of_text(mem, "hello"),
                       1,
                       datum_of_i64(INT64_MIN),
                       datum_of_varlen(varlen_new(mem, "0123456789abcdef", 16)),
                       datum_of_i16(-2),
                       datum_of_oid(4000000000u),
                       datum_of_text(mem, ""),
                       datum_of_f32(-1.5f),
                       datum_of_f64(2.5),
                       'x',
                       0};
    bool nulls[N] = {false};
    nulls[11] = true;
    struct strbuf row;
    strbuf_init(&row, mem);
    CU_ASSERT_EQUAL(row_encode(l, values, nulls, &row), 0);
    CU_ASSERT_EQUAL(row_check(l, (uint8_t *)row.data, row.len), 0);
    CU_ASSERT_EQUAL(row_column_count((uint8_t *)row.data), N);
    datum back[N + 2];
    bool back_nulls[N + 2];
    row_decode(l, (uint8_t *)row.data, 0, N, back, back_nulls);
    for (uint32_t i = 0; i < N; i++) {
        bool is_null;
        CU_ASSERT_EQUAL(back_nulls[i], nulls[i]);
        CU_ASSERT_EQUAL(row_get(l, (uint8_t *)row.data, i, &is_null), back[i]);
        if (nulls[i])
            continue;
        CU_ASSERT(l->by_value[i] ? back[i] == values[i]
                                 : type_find(TYPE_BYTEA)->compare(back[i], values[i]) == 0);
    }
    /* A row of a table that has grown two columns since. */
    const oid more[] = {TYPE_INT4, TYPE_TEXT};
    struct row_layout *small = row_layout_new(mem, more, 2);
    struct strbuf old;
    strbuf_init(&old, mem);
    CU_ASSERT_EQUAL(row_encode(small, values, nulls, &old), 0);
    CU_ASSERT_EQUAL(row_check(l, (uint8_t *)old.data, old.len), 0);
    row_decode(l, (uint8_t *)old.data, 0, N, back, back_nulls);
    CU_ASSERT_EQUAL(datum_i32(back[0]), -5);
    CU_ASSERT(back_nulls[2] && back_nulls[N - 1]);
    /* Damage is found or harmless. */
    for (size_t i = 0; i < row.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            row.data[i] = (char)(row.data[i] ^ (1 << bit));
            if (row_check(l, (uint8_t *)row.data, row.len) == ERR_OK) {
                row_decode(l, (uint8_t *)row.data, 0, N, back, back_nulls);
                for (uint32_t k = 0; k < N; k++)
                    if (!back_nulls[k] && !l->by_value[k])
                        (void)type_find(TYPE_BYTEA)->hash(back[k]);
            }
            row.data[i] = (char)(row.data[i] ^ (1 << bit));
        }
    }
    CU_ASSERT_EQUAL(row_check(l, (uint8_t *)row.data, row.len - 8), ERR_DATA_CORRUPTED);
    CU_ASSERT_EQUAL(row_check(l, (uint8_t *)row.data, 1), ERR_DATA_CORRUPTED);
    arena_free(mem);
}

static void records_come_back(void)
{
    struct arena *mem = arena_new();
    const oid types[] = {TYPE_INT4, TYPE_TEXT, TYPE_TEXT, TYPE_BOOL};
    const datum values[] = {datum_of_i32(1), datum_of_text(mem, "a \"b\""), 0, 1};
    const bool nulls[] = {false, false, true, false};
    struct record_view view = {4, types, values, nulls};
    struct record_view back;
    datum r;
    CU_ASSERT_EQUAL(record_make(mem, &view, &r), 0);
    CU_ASSERT_EQUAL(record_read(mem, r, &back), 0);
    CU_ASSERT_EQUAL(back.count, 4);
    CU_ASSERT(back.nulls[2]);
    CU_ASSERT_STRING_EQUAL(evaluate_output(mem, TYPE_RECORD, r, false), "(1,\"a \"\"b\"\"\",,t)");
    CU_ASSERT_EQUAL(type_find(TYPE_RECORD)->compare(r, r), 0);
    arena_free(mem);
}

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    CU_pSuite s = CU_add_suite("types", NULL, NULL);
    CU_add_test(s, "text forms as PostgreSQL", text_forms_as_postgresql);
    CU_add_test(s, "order, keys and hashes agree", order_keys_and_hashes_agree);
    CU_add_test(s, "nulls sort where asked", nulls_sort_where_asked);
    CU_add_test(s, "equal values hash alike", equal_values_hash_alike);
    CU_add_test(s, "binary forms come back", binary_forms_come_back);
    CU_add_test(s, "bad UTF-8 is refused", bad_utf8_is_refused);
    CU_add_test(s, "rows come back", rows_come_back);
    CU_add_test(s, "records come back", records_come_back);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}
