/*
 * tablegen: turns the catalog facts (sql/catalog/<catalog>.tab) into sorted constant C arrays.
 *
 *   tablegen TAB_DIR OUT_DIR
 *
 * A .tab file is one catalog in PostgreSQL's COPY text form: a line of column names, then one line
 * per row, columns separated by tabs, \N for null, sorted by key. Columns are the catalog's own, in
 * order; type.tab and proc.tab end in columns of ours that name C symbols ('-' = not built):
 *
 *   type.tab functions   groups "group:prefix ..." of C functions: io = PREFIX_input,
 * PREFIX_output; wire = _receive, _send; order = _compare, _hash, _sort_key; typmod = _typmod_in,
 * _typmod_out, _apply_typmod; apply = _apply_typmod proc.tab symbol      sql_function, or struct
 * aggregate (prokind a), or struct set_function suspends    t: the function may suspend
 *
 * information.sql has the views of information_schema; its head says how.
 *
 * The build fails on a duplicate key, an unsorted row, a reference to a row that is not there, and
 * a commutator or negator that does not point back. A missing symbol fails at link time.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tab {
    char name[64];
    char *text; /* owns all cells */
    size_t column_count;
    size_t row_count;
    char **columns;
    char **cells;       /* row major; NULL = null */
    size_t own_columns; /* trailing columns that are not the catalog's */
};

enum {
    T_TYPE,
    T_PROC,
    T_OPERATOR,
    T_CAST,
    T_AGGREGATE,
    T_AM,
    T_OPCLASS,
    T_OPFAMILY,
    T_AMOP,
    T_AMPROC,
    T_COLLATION,
    T_LANGUAGE,
    T_NAMESPACE,
    T_AUTHID,
    T_DATABASE,
    T_TABLESPACE,
    T_RANGE,
    T_CLASS,
    T_ATTRIBUTE,
    T_INDEX,
    T_CONSTRAINT,
    T_COUNT
};

static const struct {
    const char *name;
    const char *key;  /* column whose value is unique and rising, or */
    const char *key2; /* second part of the key */
    int own;
} tab_files[T_COUNT] = {
    [T_TYPE] = {"type", "oid", NULL, 1},
    [T_PROC] = {"proc", "oid", NULL, 2},
    [T_OPERATOR] = {"operator", "oid", NULL, 0},
    [T_CAST] = {"cast", "castsource", "casttarget", 0},
    [T_AGGREGATE] = {"aggregate", "aggfnoid", NULL, 0},
    [T_AM] = {"am", "oid", NULL, 0},
    [T_OPCLASS] = {"opclass", "oid", NULL, 0},
    [T_OPFAMILY] = {"opfamily", "oid", NULL, 0},
    [T_AMOP] = {"amop", "oid", NULL, 0},
    [T_AMPROC] = {"amproc", "oid", NULL, 0},
    [T_COLLATION] = {"collation", "oid", NULL, 0},
    [T_LANGUAGE] = {"language", "oid", NULL, 0},
    [T_NAMESPACE] = {"namespace", "oid", NULL, 0},
    [T_AUTHID] = {"authid", "oid", NULL, 0},
    [T_DATABASE] = {"database", "oid", NULL, 0},
    [T_TABLESPACE] = {"tablespace", "oid", NULL, 0},
    [T_RANGE] = {"range", "rngtypid", NULL, 0},
    [T_CLASS] = {"class", "oid", NULL, 0},
    [T_ATTRIBUTE] = {"attribute", "attrelid", "attnum", 0},
    [T_INDEX] = {"index", "indexrelid", NULL, 0},
    [T_CONSTRAINT] = {"constraint", "oid", NULL, 0},
};

/* column of tab holds keys of target (0 allowed); lists are oidvectors or {...}. */
static const struct {
    int tab;
    const char *column;
    int target;
} references[] = {
    {T_TYPE, "typelem", T_TYPE},
    {T_TYPE, "typarray", T_TYPE},
    {T_TYPE, "typbasetype", T_TYPE},
    {T_TYPE, "typinput", T_PROC},
    {T_TYPE, "typoutput", T_PROC},
    {T_TYPE, "typreceive", T_PROC},
    {T_TYPE, "typsend", T_PROC},
    {T_TYPE, "typmodin", T_PROC},
    {T_TYPE, "typmodout", T_PROC},
    {T_TYPE, "typcollation", T_COLLATION},
    {T_TYPE, "typrelid", T_CLASS},
    {T_PROC, "prorettype", T_TYPE},
    {T_PROC, "proargtypes", T_TYPE},
    {T_PROC, "proallargtypes", T_TYPE},
    {T_PROC, "provariadic", T_TYPE},
    {T_PROC, "prolang", T_LANGUAGE},
    {T_OPERATOR, "oprleft", T_TYPE},
    {T_OPERATOR, "oprright", T_TYPE},
    {T_OPERATOR, "oprresult", T_TYPE},
    {T_OPERATOR, "oprcom", T_OPERATOR},
    {T_OPERATOR, "oprnegate", T_OPERATOR},
    {T_OPERATOR, "oprcode", T_PROC},
    {T_OPERATOR, "oprrest", T_PROC},
    {T_OPERATOR, "oprjoin", T_PROC},
    {T_CAST, "castsource", T_TYPE},
    {T_CAST, "casttarget", T_TYPE},
    {T_CAST, "castfunc", T_PROC},
    {T_AGGREGATE, "aggfnoid", T_PROC},
    {T_AGGREGATE, "aggtransfn", T_PROC},
    {T_AGGREGATE, "aggfinalfn", T_PROC},
    {T_AGGREGATE, "aggsortop", T_OPERATOR},
    {T_AGGREGATE, "aggtranstype", T_TYPE},
    {T_AM, "amhandler", T_PROC},
    {T_OPCLASS, "opcmethod", T_AM},
    {T_OPCLASS, "opcfamily", T_OPFAMILY},
    {T_OPCLASS, "opcintype", T_TYPE},
    {T_OPCLASS, "opckeytype", T_TYPE},
    {T_OPFAMILY, "opfmethod", T_AM},
    {T_AMOP, "amopfamily", T_OPFAMILY},
    {T_AMOP, "amoplefttype", T_TYPE},
    {T_AMOP, "amoprighttype", T_TYPE},
    {T_AMOP, "amopopr", T_OPERATOR},
    {T_AMOP, "amopmethod", T_AM},
    {T_AMPROC, "amprocfamily", T_OPFAMILY},
    {T_AMPROC, "amproc", T_PROC},
    {T_CLASS, "reltype", T_TYPE},
    {T_CLASS, "relam", T_AM},
    {T_ATTRIBUTE, "attrelid", T_CLASS},
    {T_ATTRIBUTE, "atttypid", T_TYPE},
    {T_ATTRIBUTE, "attcollation", T_COLLATION},
    {T_INDEX, "indexrelid", T_CLASS},
    {T_INDEX, "indrelid", T_CLASS},
    {T_INDEX, "indclass", T_OPCLASS},
    {T_CONSTRAINT, "conrelid", T_CLASS},
    {T_CONSTRAINT, "conindid", T_CLASS},
    {T_NAMESPACE, "nspowner", T_AUTHID},
};

static struct tab tabs[T_COUNT];
static const char *out_dir;

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "tablegen: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static void *alloc(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);
    if (p == NULL)
        fail("out of memory");
    return p;
}

/* ---- reading ---- */

static char *unescape_cell(char *s)
{
    if (strcmp(s, "\\N") == 0)
        return NULL;
    char *to = s;
    for (char *from = s; *from != 0; from++) {
        if (*from != '\\' || from[1] == 0) {
            *to++ = *from;
            continue;
        }
        from++;
        switch (*from) {
        case 'n':
            *to++ = '\n';
            break;
        case 't':
            *to++ = '\t';
            break;
        case 'r':
            *to++ = '\r';
            break;
        case 'b':
            *to++ = '\b';
            break;
        default:
            *to++ = *from;
        }
    }
    *to = 0;
    return s;
}

static size_t column_of(const struct tab *t, const char *name)
{
    for (size_t i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i], name) == 0)
            return i;
    fail("%s.tab: no column %s", t->name, name);
}

static const char *cell(const struct tab *t, size_t row, const char *column)
{
    return t->cells[row * t->column_count + column_of(t, column)];
}

static unsigned long number(const struct tab *t, size_t row, const char *column)
{
    const char *s = cell(t, row, column);
    char *end = NULL;
    if (s == NULL || *s == 0)
        fail("%s.tab row %zu: %s is empty", t->name, row + 2, column);
    unsigned long v = strtoul(s, &end, 10);
    if (*end != 0)
        fail("%s.tab row %zu: bad number in %s: %s", t->name, row + 2, column, s);
    return v;
}

static bool truth(const struct tab *t, size_t row, const char *column)
{
    const char *s = cell(t, row, column);
    if (s == NULL || (strcmp(s, "t") != 0 && strcmp(s, "f") != 0))
        fail("%s.tab row %zu: bad truth value in %s", t->name, row + 2, column);
    return *s == 't';
}

static void read_tab(int which, const char *dir)
{
    struct tab *t = &tabs[which];
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.tab", dir, tab_files[which].name);
    snprintf(t->name, sizeof(t->name), "%s", tab_files[which].name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail("cannot open %s: %s", path, strerror(errno));
    if (fseek(f, 0, SEEK_END) != 0)
        fail("cannot seek in %s", path);
    long size = ftell(f);
    if (size < 0 || fseek(f, 0, SEEK_SET) != 0)
        fail("cannot seek in %s", path);
    t->text = alloc((size_t)size + 1);
    if (fread(t->text, 1, (size_t)size, f) != (size_t)size)
        fail("cannot read %s", path);
    if (fclose(f) != 0)
        fail("cannot read %s", path);
    size_t lines = 0;
    for (char *p = t->text; *p != 0; p++)
        lines += *p == '\n';
    if (lines < 2)
        fail("%s is empty", path);
    t->column_count = 1;
    for (char *p = t->text; *p != '\n'; p++)
        t->column_count += *p == '\t';
    t->row_count = lines - 1;
    t->own_columns = (size_t)tab_files[which].own;
    t->columns = alloc(sizeof(char *) * t->column_count);
    t->cells = alloc(sizeof(char *) * t->column_count * t->row_count);
    char *p = t->text;
    for (size_t line = 0; line < lines; line++) {
        for (size_t c = 0; c < t->column_count; c++) {
            char *end = p + strcspn(p, "\t\n");
            char stop = c + 1 == t->column_count ? '\n' : '\t';
            if (*end != stop)
                fail("%s line %zu: wrong number of columns", path, line + 1);
            *end = 0;
            if (line == 0)
                t->columns[c] = p;
            else
                t->cells[(line - 1) * t->column_count + c] = unescape_cell(p);
            p = end + 1;
        }
    }
}

/* ---- checks ---- */

static long find_row(int which, unsigned long key)
{
    const struct tab *t = &tabs[which];
    size_t column = column_of(t, tab_files[which].key);
    size_t low = 0;
    size_t high = t->row_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        unsigned long k = strtoul(t->cells[mid * t->column_count + column], NULL, 10);
        if (k == key)
            return (long)mid;
        if (k < key)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

static void check_sorted(int which)
{
    const struct tab *t = &tabs[which];
    for (size_t r = 1; r < t->row_count; r++) {
        unsigned long a = number(t, r - 1, tab_files[which].key);
        unsigned long b = number(t, r, tab_files[which].key);
        if (a == b && tab_files[which].key2 != NULL) {
            long a2 = strtol(cell(t, r - 1, tab_files[which].key2), NULL, 10);
            long b2 = strtol(cell(t, r, tab_files[which].key2), NULL, 10);
            if (a2 < b2)
                continue;
        }
        if (a == b)
            fail("%s.tab row %zu: duplicate key %lu", t->name, r + 2, b);
        if (a > b)
            fail("%s.tab row %zu: not sorted (%lu after %lu)", t->name, r + 2, b, a);
    }
}

static void check_references(void)
{
    for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++) {
        const struct tab *t = &tabs[references[i].tab];
        size_t column = column_of(t, references[i].column);
        for (size_t r = 0; r < t->row_count; r++) {
            const char *s = t->cells[r * t->column_count + column];
            while (s != NULL && *s != 0) {
                s += strspn(s, "{}, ");
                if (*s == 0)
                    break;
                char *end = NULL;
                unsigned long v = strtoul(s, &end, 10);
                if (end == s)
                    fail("%s.tab row %zu: bad reference in %s", t->name, r + 2,
                         references[i].column);
                if (v != 0 && find_row(references[i].target, v) < 0)
                    fail("%s.tab row %zu: %s refers to %lu, which is not in %s.tab", t->name, r + 2,
                         references[i].column, v, tabs[references[i].target].name);
                s = end;
            }
        }
    }
}

static void check_operators(void)
{
    const struct tab *t = &tabs[T_OPERATOR];
    static const char *const pairs[] = {"oprcom", "oprnegate"};
    for (size_t r = 0; r < t->row_count; r++) {
        for (size_t i = 0; i < 2; i++) {
            unsigned long other = number(t, r, pairs[i]);
            if (other == 0)
                continue;
            long o = find_row(T_OPERATOR, other);
            if (number(t, (size_t)o, pairs[i]) != number(t, r, "oid"))
                fail("operator.tab row %zu: %s %lu does not point back", r + 2, pairs[i], other);
        }
    }
}

/* ---- writing ---- */

static FILE *open_out(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", out_dir, name);
    FILE *f = fopen(path, "w");
    if (f == NULL)
        fail("cannot write %s: %s", path, strerror(errno));
    fprintf(f, "/* Made by tools/tablegen from sql/catalog. Do not edit. */\n");
    return f;
}

static void close_out(FILE *f)
{
    if (ferror(f) || fclose(f) != 0)
        fail("cannot write: %s", strerror(errno));
}

static void put_string(FILE *f, const char *s)
{
    if (s == NULL) {
        fputs("NULL", f);
        return;
    }
    fputc('"', f);
    for (; *s != 0; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 32 || c >= 127 || c == '?')
            fprintf(f, "\\%03o", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

static void put_char(FILE *f, const char *s)
{
    if (s == NULL || *s == 0)
        fputs("0", f);
    else
        fprintf(f, "'%s%c'", *s == '\'' || *s == '\\' ? "\\" : "", *s);
}

static void upper(const char *s, char *out, size_t size)
{
    size_t i = 0;
    for (; s[i] != 0 && i + 1 < size; i++)
        out[i] = (char)(s[i] >= 'a' && s[i] <= 'z' ? s[i] - 32 : s[i]);
    out[i] = 0;
}

static void write_type_oids(void)
{
    const struct tab *t = &tabs[T_TYPE];
    FILE *f = open_out("type_oids.h");
    fprintf(f, "#ifndef SQL_TYPE_OIDS_H\n#define SQL_TYPE_OIDS_H\n\nenum {\n");
    for (size_t r = 0; r < t->row_count; r++) {
        const char *name = cell(t, r, "typname");
        char big[256];
        if (number(t, r, "typrelid") != 0)
            continue;
        if (name[0] == '_') {
            long e = number(t, r, "typelem") == 0 ? -1 : find_row(T_TYPE, number(t, r, "typelem"));
            if (e >= 0 && number(t, (size_t)e, "typrelid") != 0)
                continue;
            upper(name + 1, big, sizeof(big));
            fprintf(f, "    TYPE_%s_ARRAY = %s,\n", big, cell(t, r, "oid"));
        } else {
            upper(name, big, sizeof(big));
            fprintf(f, "    TYPE_%s = %s,\n", big, cell(t, r, "oid"));
        }
    }
    fprintf(f, "};\n\n#endif\n");
    close_out(f);
}

/* Index by OID: u16 position + 1, 0 = none. */
static void write_oid_index(FILE *f, int which, const char *name)
{
    const struct tab *t = &tabs[which];
    unsigned long max = number(t, t->row_count - 1, "oid");
    fprintf(f, "const uint32_t %s_oid_max = %lu;\nconst uint16_t %s_by_oid[%lu] = {", name, max,
            name, max + 1);
    for (size_t r = 0; r < t->row_count; r++)
        fprintf(f, "[%s] = %zu,%s", cell(t, r, "oid"), r + 1, r % 8 == 7 ? "\n" : " ");
    fprintf(f, "};\n\n");
}

static const struct tab *sort_tab;
static const char *sort_column;
static int compare_names(const void *a, const void *b)
{
    size_t ra = *(const size_t *)a;
    size_t rb = *(const size_t *)b;
    int c = strcmp(cell(sort_tab, ra, sort_column), cell(sort_tab, rb, sort_column));
    return c != 0 ? c : (ra > rb) - (ra < rb);
}

static void write_name_index(FILE *f, int which, const char *name, const char *type,
                             const char *column)
{
    const struct tab *t = &tabs[which];
    size_t *order = alloc(sizeof(size_t) * t->row_count);
    for (size_t r = 0; r < t->row_count; r++)
        order[r] = r;
    sort_tab = t;
    sort_column = column;
    qsort(order, t->row_count, sizeof(size_t), compare_names);
    fprintf(f, "const struct %s *const %s_by_name[%zu] = {\n", type, name, t->row_count);
    for (size_t r = 0; r < t->row_count; r++)
        fprintf(f, "&%s_rows[%zu],%s", name, order[r], r % 8 == 7 ? "\n" : " ");
    fprintf(f, "};\n\n");
    free(order);
}

struct group {
    const char *name;
    const char *functions[4];
    const char *suffixes[4];
};
static const struct group groups[] = {
    {"io", {"input", "output"}, {"_input", "_output"}},
    {"wire", {"receive", "send"}, {"_receive", "_send"}},
    {"order", {"compare", "hash", "sort_key"}, {"_compare", "_hash", "_sort_key"}},
    {"typmod",
     {"typmod_in", "typmod_out", "apply_typmod"},
     {"_typmod_in", "_typmod_out", "_apply_typmod"}},
    {"apply", {"apply_typmod"}, {"_apply_typmod"}},
};
enum { GROUP_COUNT = sizeof(groups) / sizeof(groups[0]) };
static const char *const group_prototypes[][2] = {
    {"input", "err_t %s(struct type_io *io, const char *text, size_t len, datum *out)"},
    {"output", "err_t %s(struct type_io *io, datum value, struct strbuf *out)"},
    {"receive", "err_t %s(struct type_io *io, const uint8_t *bytes, size_t len, datum *out)"},
    {"send", "err_t %s(struct type_io *io, datum value, struct strbuf *out)"},
    {"compare", "int %s(datum a, datum b)"},
    {"hash", "uint64_t %s(datum d)"},
    {"sort_key", "void %s(datum d, struct strbuf *out)"},
    {"typmod_in", "err_t %s(const int32_t *args, uint32_t count, int32_t *out)"},
    {"typmod_out", "void %s(int32_t typmod, struct strbuf *out)"},
    {"apply_typmod", "err_t %s(struct type_io *io, datum in, bool is_explicit, datum *out)"},
};

static void put_prototype(FILE *f, const char *function, const char *symbol)
{
    for (size_t i = 0; i < sizeof(group_prototypes) / sizeof(group_prototypes[0]); i++) {
        if (strcmp(group_prototypes[i][0], function) != 0)
            continue;
        const char *p = group_prototypes[i][1];
        const char *hole = strstr(p, "%s");
        fprintf(f, "%.*s%s%s;\n", (int)(hole - p), p, symbol, hole + 2);
    }
}

/* Calls fn for every (function slot, symbol) of a type's functions cell. */
static void each_type_symbol(size_t row, void (*fn)(FILE *f, const char *slot, const char *symbol),
                             FILE *f)
{
    const char *s = cell(&tabs[T_TYPE], row, "functions");
    if (s == NULL || strcmp(s, "-") == 0)
        return;
    char copy[512];
    snprintf(copy, sizeof(copy), "%s", s);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        char *colon = strchr(word, ':');
        if (colon == NULL)
            fail("type.tab row %zu: bad functions: %s", row + 2, s);
        *colon = 0;
        size_t g = 0;
        while (g < GROUP_COUNT && strcmp(groups[g].name, word) != 0)
            g++;
        if (g == GROUP_COUNT)
            fail("type.tab row %zu: no group %s", row + 2, word);
        for (size_t i = 0; i < 4 && groups[g].functions[i] != NULL; i++) {
            char symbol[256];
            snprintf(symbol, sizeof(symbol), "%s%s", colon + 1, groups[g].suffixes[i]);
            fn(f, groups[g].functions[i], symbol);
        }
    }
}

/* Names already declared, so that every symbol is declared once. */
static char **seen;
static size_t seen_count;
static size_t seen_capacity;
static bool see(const char *symbol)
{
    for (size_t i = 0; i < seen_count; i++)
        if (strcmp(seen[i], symbol) == 0)
            return false;
    if (seen_count == seen_capacity) {
        seen_capacity = seen_capacity ? seen_capacity * 2 : 256;
        seen = realloc(seen, sizeof(char *) * seen_capacity);
        if (seen == NULL)
            fail("out of memory");
    }
    size_t bytes = strlen(symbol) + 1;
    seen[seen_count] = alloc(bytes);
    memcpy(seen[seen_count++], symbol, bytes);
    return true;
}

static void put_type_prototype(FILE *f, const char *slot, const char *symbol)
{
    if (see(symbol))
        put_prototype(f, slot, symbol);
}

static void put_type_initializer(FILE *f, const char *slot, const char *symbol)
{
    fprintf(f, ", .%s = %s", slot, symbol);
}

static void write_types(void)
{
    const struct tab *t = &tabs[T_TYPE];
    FILE *h = open_out("type_functions.h");
    fprintf(h, "/* C functions named in type.tab. */\n#ifndef SQL_TYPE_FUNCTIONS_H\n#define "
               "SQL_TYPE_FUNCTIONS_H\n\n#include \"sql/types/types.h\"\n\n");
    for (size_t r = 0; r < t->row_count; r++)
        each_type_symbol(r, put_type_prototype, h);
    fprintf(h, "\n#endif\n");
    close_out(h);

    FILE *f = open_out("type_rows.c");
    fprintf(f,
            "#include \"sql/builtin_rows.h\"\n#include \"sql/type_functions.h\"\n\n"
            "const uint32_t type_row_count = %zu;\nconst struct type_info type_rows[] = {\n",
            t->row_count);
    for (size_t r = 0; r < t->row_count; r++) {
        bool by_value = truth(t, r, "typbyval") || number(t, r, "oid") == 27; /* tid is a word */
        fprintf(f, "{.oid = %s, .name = ", cell(t, r, "oid"));
        put_string(f, cell(t, r, "typname"));
        fprintf(f, ", .typlen = %s, .by_value = %s, .typtype = ", cell(t, r, "typlen"),
                by_value ? "true" : "false");
        put_char(f, cell(t, r, "typtype"));
        fprintf(f, ", .category = ");
        put_char(f, cell(t, r, "typcategory"));
        fprintf(f,
                ", .preferred = %s, .align = ", truth(t, r, "typispreferred") ? "true" : "false");
        put_char(f, cell(t, r, "typalign"));
        fprintf(f, ", .storage = ");
        put_char(f, cell(t, r, "typstorage"));
        fprintf(f, ", .delimiter = ");
        put_char(f, cell(t, r, "typdelim"));
        fprintf(f, ", .relation = %s, .element = %s, .array = %s, .base = %s, .collation = %s",
                cell(t, r, "typrelid"), cell(t, r, "typelem"), cell(t, r, "typarray"),
                cell(t, r, "typbasetype"), cell(t, r, "typcollation"));
        each_type_symbol(r, put_type_initializer, f);
        fprintf(f, "},\n");
    }
    fprintf(f, "};\n\n");
    write_oid_index(f, T_TYPE, "type");
    write_name_index(f, T_TYPE, "type", "type_info", "typname");
    close_out(f);
}

/* Numbers of an oidvector or {...} list as C, returns how many. */
static size_t put_number_list(FILE *f, const char *s)
{
    size_t n = 0;
    while (s != NULL && *s != 0) {
        s += strspn(s, "{}, ");
        size_t len = strcspn(s, "{}, ");
        if (len == 0)
            break;
        if (f != NULL)
            fprintf(f, "%s%.*s", n ? ", " : "", (int)len, s);
        n++;
        s += len;
    }
    return n;
}

/* Elements of a {...} text array without special characters other than quotes. */
static size_t put_text_list(FILE *f, const char *s, bool as_chars)
{
    size_t n = 0;
    if (s == NULL || *s != '{')
        return 0;
    s++;
    while (*s != 0 && *s != '}') {
        bool quoted = *s == '"';
        if (quoted)
            s++;
        const char *stop = quoted ? "\"" : ",}";
        size_t len = strcspn(s, stop);
        if (f != NULL && as_chars)
            fprintf(f, "%.*s", (int)len, s);
        else if (f != NULL)
            fprintf(f, "%s\"%.*s\"", n ? ", " : "", (int)len, s);
        n++;
        s += len;
        if (quoted)
            s++;
        if (*s == ',')
            s++;
    }
    return n;
}

static void write_procs(void)
{
    const struct tab *t = &tabs[T_PROC];
    FILE *h = open_out("builtin_functions.h");
    fprintf(h, "/* C symbols named in proc.tab. */\n#ifndef SQL_BUILTIN_FUNCTIONS_H\n#define "
               "SQL_BUILTIN_FUNCTIONS_H\n\n#include \"sql/expr/call.h\"\n\n");
    seen_count = 0;
    for (size_t r = 0; r < t->row_count; r++) {
        const char *symbol = cell(t, r, "symbol");
        if (strcmp(symbol, "-") == 0 || !see(symbol))
            continue;
        if (*cell(t, r, "prokind") == 'a')
            fprintf(h, "extern const struct aggregate %s;\n", symbol);
        else if (truth(t, r, "proretset"))
            fprintf(h, "extern const struct set_function %s;\n", symbol);
        else
            fprintf(h, "err_t %s(struct call *c, datum *out);\n", symbol);
    }
    fprintf(h, "\n#endif\n");
    close_out(h);

    FILE *f = open_out("func_rows.c");
    fprintf(f, "#include \"sql/builtin_rows.h\"\n#include \"sql/builtin_functions.h\"\n\n");
    for (size_t r = 0; r < t->row_count; r++) {
        const char *oid_text = cell(t, r, "oid");
        if (number(t, r, "pronargs") > 0) {
            fprintf(f, "static const oid args_%s[] = {", oid_text);
            size_t n = put_number_list(f, cell(t, r, "proargtypes"));
            fprintf(f, "};\n");
            if (n != number(t, r, "pronargs"))
                fail("proc.tab row %zu: pronargs differs from proargtypes", r + 2);
        }
        if (cell(t, r, "proallargtypes") != NULL) {
            fprintf(f, "static const oid all_args_%s[] = {", oid_text);
            put_number_list(f, cell(t, r, "proallargtypes"));
            fprintf(f, "};\n");
        }
        if (cell(t, r, "proargnames") != NULL) {
            fprintf(f, "static const char *const names_%s[] = {", oid_text);
            put_text_list(f, cell(t, r, "proargnames"), false);
            fprintf(f, "};\n");
        }
    }
    fprintf(f, "\nconst uint32_t func_row_count = %zu;\nconst struct func func_rows[] = {\n",
            t->row_count);
    for (size_t r = 0; r < t->row_count; r++) {
        const char *oid_text = cell(t, r, "oid");
        const char *symbol = cell(t, r, "symbol");
        const char *kind = cell(t, r, "prokind");
        fprintf(f, "{.oid = %s, .name = ", oid_text);
        put_string(f, cell(t, r, "proname"));
        fprintf(f, ", .result = %s, .returns_set = %d, .strict = %d, .kind = '%s', ",
                cell(t, r, "prorettype"), truth(t, r, "proretset"), truth(t, r, "proisstrict"),
                kind);
        fprintf(f, ".volatility = '%s', .parallel = '%s', .language = %s, .variadic = %s, ",
                cell(t, r, "provolatile"), cell(t, r, "proparallel"), cell(t, r, "prolang"),
                cell(t, r, "provariadic"));
        fprintf(f, ".arg_count = %s, .default_count = %s, ", cell(t, r, "pronargs"),
                cell(t, r, "pronargdefaults"));
        if (number(t, r, "pronargs") > 0)
            fprintf(f, ".args = args_%s, ", oid_text);
        fprintf(f, ".source = ");
        put_string(f, cell(t, r, "prosrc"));
        if (strcmp(symbol, "-") != 0) {
            if (*kind == 'a')
                fprintf(f, ", .aggregate = &%s", symbol);
            else if (truth(t, r, "proretset"))
                fprintf(f, ", .set_function = &%s", symbol);
            else
                fprintf(f, ", .fn = %s", symbol);
        }
        fprintf(f, ", .suspends = %d, .cost = %s, .rows = %s", truth(t, r, "suspends"),
                cell(t, r, "procost"), cell(t, r, "prorows"));
        if (cell(t, r, "proallargtypes") != NULL) {
            fprintf(f, ", .all_args = all_args_%s, .all_arg_count = %zu", oid_text,
                    put_number_list(NULL, cell(t, r, "proallargtypes")));
        }
        if (cell(t, r, "proargmodes") != NULL) {
            fprintf(f, ", .arg_modes = \"");
            put_text_list(f, cell(t, r, "proargmodes"), true);
            fprintf(f, "\"");
        }
        if (cell(t, r, "proargnames") != NULL)
            fprintf(f, ", .arg_names = names_%s", oid_text);
        if (cell(t, r, "proargdefaults") != NULL) {
            fprintf(f, ", .defaults = ");
            put_string(f, cell(t, r, "proargdefaults"));
        }
        fprintf(f, "},\n");
    }
    fprintf(f, "};\n\n");
    write_oid_index(f, T_PROC, "func");
    write_name_index(f, T_PROC, "func", "func", "proname");
    close_out(f);
}

static const char *function_name(unsigned long function)
{
    return function == 0 ? "" : cell(&tabs[T_PROC], (size_t)find_row(T_PROC, function), "proname");
}

/* Is the family that of a default btree opclass? */
static bool is_default_btree_family(unsigned long family)
{
    const struct tab *t = &tabs[T_OPCLASS];
    for (size_t r = 0; r < t->row_count; r++)
        if (number(t, r, "opcmethod") == 403 && truth(t, r, "opcdefault") &&
            number(t, r, "opcfamily") == family)
            return true;
    return false;
}

static int strategy_of(unsigned long op)
{
    const struct tab *t = &tabs[T_AMOP];
    for (size_t r = 0; r < t->row_count; r++)
        if (number(t, r, "amopopr") == op && number(t, r, "amopmethod") == 403 &&
            *cell(t, r, "amoppurpose") == 's' &&
            is_default_btree_family(number(t, r, "amopfamily")))
            return (int)number(t, r, "amopstrategy");
    return 0;
}

static void write_operators(void)
{
    const struct tab *t = &tabs[T_OPERATOR];
    FILE *f = open_out("operator_rows.c");
    fprintf(f,
            "#include \"sql/builtin_rows.h\"\n\nconst uint32_t operator_row_count = %zu;\n"
            "const struct operator_info operator_rows[] = {\n",
            t->row_count);
    for (size_t r = 0; r < t->row_count; r++) {
        fprintf(f, "{.oid = %s, .name = ", cell(t, r, "oid"));
        put_string(f, cell(t, r, "oprname"));
        fprintf(f, ", .kind = '%s', .can_merge = %d, .can_hash = %d, .left = %s, .right = %s, ",
                cell(t, r, "oprkind"), truth(t, r, "oprcanmerge"), truth(t, r, "oprcanhash"),
                cell(t, r, "oprleft"), cell(t, r, "oprright"));
        fprintf(f, ".result = %s, .commutator = %s, .negator = %s, .function = %s, ",
                cell(t, r, "oprresult"), cell(t, r, "oprcom"), cell(t, r, "oprnegate"),
                cell(t, r, "oprcode"));
        fprintf(f, ".restrict_estimator = \"%s\", .join_estimator = \"%s\"},\n",
                function_name(number(t, r, "oprrest")), function_name(number(t, r, "oprjoin")));
    }
    fprintf(f, "};\n\nconst uint8_t operator_strategies[] = {\n");
    for (size_t r = 0; r < t->row_count; r++)
        fprintf(f, "%d,%s", strategy_of(number(t, r, "oid")), r % 20 == 19 ? "\n" : " ");
    fprintf(f, "};\n\n");
    write_oid_index(f, T_OPERATOR, "operator");
    write_name_index(f, T_OPERATOR, "operator", "operator_info", "oprname");

    const struct tab *o = &tabs[T_AMOP];
    size_t n = 0;
    fprintf(f, "const struct amop_row amop_rows[] = {\n");
    for (size_t r = 0; r < o->row_count; r++) {
        if (*cell(o, r, "amoppurpose") != 's')
            continue;
        fprintf(f, "{%s, %s, %s, %s, %s, %s},\n", cell(o, r, "amopfamily"),
                cell(o, r, "amoplefttype"), cell(o, r, "amoprighttype"), cell(o, r, "amopstrategy"),
                cell(o, r, "amopopr"), cell(o, r, "amopmethod"));
        n++;
    }
    fprintf(f, "};\nconst uint32_t amop_row_count = %zu;\n\n", n);
    const struct tab *c = &tabs[T_OPCLASS];
    fprintf(f,
            "const uint32_t opclass_row_count = %zu;\n"
            "const struct opclass_info opclass_rows[] = {\n",
            c->row_count);
    for (size_t r = 0; r < c->row_count; r++)
        fprintf(f,
                "{.oid = %s, .am = %s, .name = \"%s\", .family = %s, .type = %s, .is_default = "
                "%d, .key_type = %s},\n",
                cell(c, r, "oid"), cell(c, r, "opcmethod"), cell(c, r, "opcname"),
                cell(c, r, "opcfamily"), cell(c, r, "opcintype"), truth(c, r, "opcdefault"),
                cell(c, r, "opckeytype"));
    fprintf(f, "};\n");
    close_out(f);
}

static void write_casts_and_aggregates(void)
{
    const struct tab *t = &tabs[T_CAST];
    FILE *f = open_out("cast_rows.c");
    fprintf(f,
            "#include \"sql/builtin_rows.h\"\n\nconst uint32_t cast_row_count = %zu;\n"
            "const struct cast_info cast_rows[] = {\n",
            t->row_count);
    for (size_t r = 0; r < t->row_count; r++)
        fprintf(f,
                "{.oid = %s, .source = %s, .target = %s, .function = %s, .context = '%s', "
                ".method = '%s'},\n",
                cell(t, r, "oid"), cell(t, r, "castsource"), cell(t, r, "casttarget"),
                cell(t, r, "castfunc"), cell(t, r, "castcontext"), cell(t, r, "castmethod"));
    fprintf(f, "};\n\n");
    t = &tabs[T_AGGREGATE];
    fprintf(f,
            "const uint32_t aggregate_row_count = %zu;\n"
            "const struct aggregate_info aggregate_rows[] = {\n",
            t->row_count);
    for (size_t r = 0; r < t->row_count; r++) {
        fprintf(f,
                "{.function = %s, .kind = '%s', .direct_args = %s, .transition = %s, .final = "
                "%s, .sort_operator = %s, .state_type = %s, .initial = ",
                cell(t, r, "aggfnoid"), cell(t, r, "aggkind"), cell(t, r, "aggnumdirectargs"),
                cell(t, r, "aggtransfn"), cell(t, r, "aggfinalfn"), cell(t, r, "aggsortop"),
                cell(t, r, "aggtranstype"));
        put_string(f, cell(t, r, "agginitval"));
        fprintf(f, "},\n");
    }
    fprintf(f, "};\n");
    close_out(f);
}

/* ---- the catalogs' rows as text ---- */

/* Every distinct text once: open addressing over offsets into the pool. */
static char *pool;
static size_t pool_len;
static size_t pool_capacity;
static uint32_t *pool_slots;
enum { POOL_SLOTS = 1 << 17 };
static uint32_t pool_offset(const char *s)
{
    uint64_t h = 1469598103934665603ULL;
    for (const char *p = s; *p != 0; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211ULL;
    size_t slot = (size_t)(h ^ (h >> 32)) & (POOL_SLOTS - 1);
    while (pool_slots[slot] != 0) {
        if (strcmp(pool + pool_slots[slot] - 1, s) == 0)
            return pool_slots[slot] - 1;
        slot = (slot + 1) & (POOL_SLOTS - 1);
    }
    size_t len = strlen(s) + 1;
    while (pool_len + len > pool_capacity) {
        pool_capacity = pool_capacity ? pool_capacity * 2 : 1 << 20;
        pool = realloc(pool, pool_capacity);
        if (pool == NULL)
            fail("out of memory");
    }
    memcpy(pool + pool_len, s, len);
    pool_slots[slot] = (uint32_t)pool_len + 1;
    pool_len += len;
    return pool_slots[slot] - 1;
}

static unsigned long class_oid_of(const char *catalog)
{
    const struct tab *t = &tabs[T_CLASS];
    for (size_t r = 0; r < t->row_count; r++)
        if (strcmp(cell(t, r, "relname") + strlen("pg_"), catalog) == 0)
            return number(t, r, "oid");
    fail("class.tab: no catalog pg_%s", catalog);
}

static void write_catalog_tables(FILE *f)
{
    const struct tab *c = &tabs[T_CLASS];
    const struct tab *a = &tabs[T_ATTRIBUTE];
    const struct tab *x = &tabs[T_INDEX];
    for (size_t r = 0; r < c->row_count; r++) {
        const char *kind = cell(c, r, "relkind");
        unsigned long table = number(c, r, "oid");
        if (*kind != 'r' && *kind != 'v')
            continue;
        fprintf(f, "static const struct catalog_column columns_%lu[] = {\n", table);
        size_t columns = 0;
        for (size_t i = 0; i < a->row_count; i++) {
            if (number(a, i, "attrelid") != table || *cell(a, i, "attnum") == '-')
                continue;
            fprintf(f, "{\"%s\", %s, %s, %s, %s, %s, %d, %s},\n", cell(a, i, "attname"),
                    cell(a, i, "atttypid"), cell(a, i, "attnum"), cell(a, i, "attlen"),
                    cell(a, i, "attndims"), cell(a, i, "atttypmod"), truth(a, i, "attnotnull"),
                    cell(a, i, "attcollation"));
            columns++;
        }
        fprintf(f, "};\n");
        if (columns != number(c, r, "relnatts"))
            fail("attribute.tab: %s lacks columns", cell(c, r, "relname"));
        for (size_t i = 0; i < x->row_count; i++) {
            if (number(x, i, "indrelid") != table)
                continue;
            fprintf(f, "static const int16_t keys_%s[] = {", cell(x, i, "indexrelid"));
            put_number_list(f, cell(x, i, "indkey"));
            fprintf(f, "};\nstatic const oid classes_%s[] = {", cell(x, i, "indexrelid"));
            put_number_list(f, cell(x, i, "indclass"));
            fprintf(f, "};\n");
        }
        fprintf(f, "static const struct catalog_index indexes_%lu[] = {\n", table);
        for (size_t i = 0; i < x->row_count; i++) {
            if (number(x, i, "indrelid") != table)
                continue;
            long row = find_row(T_CLASS, number(x, i, "indexrelid"));
            fprintf(f, "{%s, \"%s\", %d, %d, %s, keys_%s, classes_%s},\n", cell(x, i, "indexrelid"),
                    cell(c, (size_t)row, "relname"), truth(x, i, "indisunique"),
                    truth(x, i, "indisprimary"), cell(x, i, "indnkeyatts"),
                    cell(x, i, "indexrelid"), cell(x, i, "indexrelid"));
        }
        fprintf(f, "{0, \"\", 0, 0, 0, NULL, NULL}};\n");
    }
    size_t count = 0;
    fprintf(f, "const struct catalog_table catalog_tables[] = {\n");
    for (size_t r = 0; r < c->row_count; r++) {
        const char *kind = cell(c, r, "relkind");
        if (*kind != 'r' && *kind != 'v')
            continue;
        fprintf(f, "{%s, \"%s\", '%s', %d, %s, %s, columns_%s, ", cell(c, r, "oid"),
                cell(c, r, "relname"), kind, truth(c, r, "relisshared"), cell(c, r, "reltype"),
                cell(c, r, "relnatts"), cell(c, r, "oid"));
        fprintf(f, "ARRAY_LEN(indexes_%s) - 1, indexes_%s},\n", cell(c, r, "oid"),
                cell(c, r, "oid"));
        count++;
    }
    fprintf(f, "};\nconst uint32_t catalog_table_count = %zu;\n", count);
}

static const char catalog_rows_header[] =
    "/*\n"
    " * The system catalogs as data: structure of every catalog table and view, and the genuine\n"
    " * rows of the static ones as text, for bootstrap and for reading without storage.\n"
    " *\n"
    " * catalog_tables: every table ('r') and view ('v') of pg_catalog, sorted by OID, with "
    "columns\n"
    " * (attnum 1..n in order) and indexes (sorted by OID).\n"
    " *\n"
    " * catalog_static: per catalog that has rows at birth (pg_type, pg_proc, pg_operator, pg_am,\n"
    " * pg_opclass, pg_opfamily, pg_amop, pg_amproc, pg_cast, pg_collation, pg_language,\n"
    " * pg_aggregate, pg_namespace, pg_authid, pg_database, pg_tablespace, pg_range, pg_class,\n"
    " * pg_attribute, pg_index, pg_constraint) all rows, a text or NULL per column in column "
    "order,\n"
    " * each valid input of the column's type. Columns of reg* types hold the OID in digits.\n"
    " * pg_class, pg_attribute, pg_index and pg_constraint hold the rows about the system "
    "catalogs\n"
    " * (tables, indexes, views; attribute rows with the system columns). pg_proc.proargdefaults\n"
    " * holds SQL text. pg_authid's bootstrap superuser is OID 10, named postgres.\n"
    " */\n"
    "#ifndef SQL_CATALOG_ROWS_H\n"
    "#define SQL_CATALOG_ROWS_H\n"
    "\n"
    "#include \"sql/types/types.h\"\n"
    "\n"
    "struct catalog_column {\n"
    "    const char *name;\n"
    "    oid type;\n"
    "    int16_t attnum;\n"
    "    int16_t length; /* attlen */\n"
    "    int16_t dimensions;\n"
    "    int32_t typmod;\n"
    "    bool not_null;\n"
    "    oid collation;\n"
    "};\n"
    "struct catalog_index {\n"
    "    oid oid;\n"
    "    const char *name;\n"
    "    bool is_unique;\n"
    "    bool is_primary;\n"
    "    uint16_t key_count;\n"
    "    const int16_t *keys; /* attnums */\n"
    "    const oid *classes;\n"
    "};\n"
    "struct catalog_table {\n"
    "    oid oid;\n"
    "    const char *name;\n"
    "    char kind; /* r v */\n"
    "    bool is_shared;\n"
    "    oid row_type;\n"
    "    uint16_t column_count;\n"
    "    const struct catalog_column *columns;\n"
    "    uint32_t index_count;\n"
    "    const struct catalog_index *indexes;\n"
    "};\n"
    "extern const uint32_t catalog_table_count;\n"
    "extern const struct catalog_table catalog_tables[];\n"
    "\n"
    "enum { CATALOG_NULL = -1 };\n"
    "struct catalog_static {\n"
    "    const char *name; /* pg_type */\n"
    "    oid oid;          /* of the catalog table */\n"
    "    uint16_t column_count;\n"
    "    uint32_t row_count;\n"
    "    const int32_t *cells; /* row major: offset in catalog_text, CATALOG_NULL = null */\n"
    "};\n"
    "extern const uint32_t catalog_static_count;\n"
    "extern const struct catalog_static catalog_static[];\n"
    "extern const char catalog_text[];\n"
    "\n"
    "/* NUL-terminated text of a cell; NULL when null. column from 0. */\n"
    "static inline const char *catalog_static_text(const struct catalog_static *c, uint32_t row,\n"
    "                                              uint32_t column)\n"
    "{\n"
    "    int32_t at = c->cells[(size_t)row * c->column_count + column];\n"
    "    return at == CATALOG_NULL ? NULL : catalog_text + at;\n"
    "}\n"
    "\n"
    "#endif\n";

static void write_catalog_rows(void)
{
    FILE *h = open_out("catalog_rows.h");
    fputs(catalog_rows_header, h);
    close_out(h);
    FILE *f = open_out("catalog_rows.c");
    fprintf(f, "#include \"sql/catalog_rows.h\"\n\n");
    write_catalog_tables(f);
    pool_slots = alloc(sizeof(uint32_t) * POOL_SLOTS);
    for (int i = 0; i < T_COUNT; i++) {
        const struct tab *t = &tabs[i];
        size_t columns = t->column_count - t->own_columns;
        fprintf(f, "static const int32_t cells_%s[] = {\n", t->name);
        for (size_t r = 0; r < t->row_count; r++) {
            for (size_t c = 0; c < columns; c++) {
                const char *s = t->cells[r * t->column_count + c];
                if (s == NULL)
                    fprintf(f, "-1,");
                else
                    fprintf(f, "%u,", pool_offset(s));
            }
            fprintf(f, "\n");
        }
        fprintf(f, "};\n");
    }
    fprintf(f,
            "const uint32_t catalog_static_count = %d;\n"
            "const struct catalog_static catalog_static[] = {\n",
            T_COUNT);
    for (int i = 0; i < T_COUNT; i++)
        fprintf(f, "{\"pg_%s\", %lu, %zu, %zu, cells_%s},\n", tabs[i].name,
                class_oid_of(tabs[i].name), tabs[i].column_count - tabs[i].own_columns,
                tabs[i].row_count, tabs[i].name);
    fprintf(f, "};\nconst char catalog_text[] =\n");
    for (size_t at = 0; at < pool_len; at += strlen(pool + at) + 1) {
        put_string(f, pool + at);
        fprintf(f, "\"\\0\"\n");
    }
    fprintf(f, ";\n");
    close_out(f);
}

/* ---- views of information_schema ---- */

static char *read_text(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail("cannot open %s: %s", path, strerror(errno));
    size_t len = 0;
    size_t capacity = 1U << 16;
    char *text = alloc(capacity);
    for (size_t n; (n = fread(text + len, 1, capacity - len - 1, f)) > 0;) {
        len += n;
        if (len + 1 == capacity) {
            char *grown = alloc(capacity * 2);
            memcpy(grown, text, len);
            free(text);
            text = grown;
            capacity *= 2;
        }
    }
    if (ferror(f) || fclose(f) != 0)
        fail("cannot read %s", path);
    text[len] = 0;
    return text;
}

/* Text with {catalog} replaced, as a C string. */
static void put_view_text(FILE *f, const char *text)
{
    static const char name[] = "{catalog}";
    char *copy = alloc(strlen(text) * 4 + 1);
    char *to = copy;
    while (*text) {
        if (strncmp(text, name, sizeof(name) - 1) == 0) {
            to += sprintf(to, "current_database()");
            text += sizeof(name) - 1;
        } else {
            *to++ = *text++;
        }
    }
    *to = 0;
    put_string(f, copy);
    free(copy);
}

struct view_column {
    char *name;
    char *type;
    char *expression; /* NULL: null */
};

/* "  name type = expression", with further lines of the expression indented by more. */
static bool take_column(char **at, struct view_column *out)
{
    char *p = *at;
    if (strncmp(p, "  ", 2) != 0)
        return false;
    char *end = strchr(p, '\n');
    while (end && strncmp(end + 1, "      ", 6) == 0) {
        *end = ' ';
        end = strchr(end + 1, '\n');
    }
    if (end == NULL)
        fail("information.sql: a view without end");
    *end = 0;
    *at = end + 1;
    out->name = strtok(p, " ");
    out->type = strtok(NULL, " ");
    char *sign = strtok(NULL, " ");
    out->expression = sign ? sign + 2 : NULL;
    if (out->type == NULL || (sign && strcmp(sign, "=") != 0))
        fail("information.sql: bad column %s", out->name);
    return true;
}

static char *write_information_view(FILE *f, char *p)
{
    enum { COLUMNS_MAX = 128 };
    static struct view_column columns[COLUMNS_MAX];
    size_t count = 0;
    unsigned long oid = strtoul(p + 5, &p, 10);
    char *name = p + 1;
    char *end = strchr(name, '\n');
    if (oid == 0 || end == NULL)
        fail("information.sql: bad line after view");
    *end = 0;
    p = end + 1;
    while (take_column(&p, &columns[count]))
        if (++count == COLUMNS_MAX)
            fail("information.sql: view %s has too many columns", name);
    char *stop = strstr(p, ";\n");
    if (stop == NULL || count == 0)
        fail("information.sql: view %s has no end or no columns", name);
    *stop = 0;
    fprintf(f, "{%lu, \"%s\",\n", oid, name);
    for (size_t i = 0; i < count; i++)
        fprintf(f, "\"%s%s:%s\"\n", i ? " " : "", columns[i].name, columns[i].type);
    fprintf(f, ",\n\"SELECT \"\n");
    for (size_t i = 0; i < count; i++) {
        fprintf(f, "\"%s(\" ", i ? ", " : "");
        put_view_text(f, columns[i].expression ? columns[i].expression : "NULL");
        fprintf(f, " \")::%s AS %s\"\n", columns[i].type, columns[i].name);
    }
    fprintf(f, "\" \" ");
    put_view_text(f, p);
    fprintf(f, "},\n");
    return stop + 2;
}

static void write_information(const char *dir)
{
    char *text = read_text(dir, "information.sql");
    FILE *f = open_out("information_rows.c");
    fprintf(f, "#include \"sql/catalog/views.h\"\n\n#include <stddef.h>\n\n"
               "const struct information_view information_views[] = {\n");
    for (char *p = text; p && *p;) {
        if (strncmp(p, "view ", 5) == 0) {
            p = write_information_view(f, p);
            continue;
        }
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    fprintf(f, "{0, NULL, NULL, NULL},\n};\n");
    close_out(f);
    free(text);
}

static void write_rows_header(void)
{
    FILE *f = open_out("builtin_rows.h");
    fprintf(f, "%s",
            "/* The generated arrays behind the lookups of sql/types/types.c and "
            "sql/expr/registry.c. */\n"
            "#ifndef SQL_BUILTIN_ROWS_H\n#define SQL_BUILTIN_ROWS_H\n\n"
            "#include \"sql/expr/call.h\"\n\n"
            "/* X_by_oid: row index + 1, 0 = none; X_by_name: sorted by name, then OID. */\n"
            "extern const uint32_t type_row_count;\n"
            "extern const struct type_info type_rows[];\n"
            "extern const uint32_t type_oid_max;\n"
            "extern const uint16_t type_by_oid[];\n"
            "extern const struct type_info *const type_by_name[];\n"
            "extern const uint32_t func_row_count;\n"
            "extern const struct func func_rows[];\n"
            "extern const uint32_t func_oid_max;\n"
            "extern const uint16_t func_by_oid[];\n"
            "extern const struct func *const func_by_name[];\n"
            "extern const uint32_t operator_row_count;\n"
            "extern const struct operator_info operator_rows[];\n"
            "extern const uint8_t operator_strategies[];\n"
            "extern const uint32_t operator_oid_max;\n"
            "extern const uint16_t operator_by_oid[];\n"
            "extern const struct operator_info *const operator_by_name[];\n"
            "struct amop_row {\n    oid family;\n    oid left;\n    oid right;\n"
            "    int strategy;\n    oid op;\n    oid am;\n};\n"
            "extern const uint32_t amop_row_count;\n"
            "extern const struct amop_row amop_rows[];\n"
            "extern const uint32_t opclass_row_count;\n"
            "extern const struct opclass_info opclass_rows[];\n"
            "extern const uint32_t cast_row_count;\n"
            "extern const struct cast_info cast_rows[]; /* by source, target */\n"
            "extern const uint32_t aggregate_row_count;\n"
            "extern const struct aggregate_info aggregate_rows[]; /* by function */\n"
            "\n#endif\n");
    close_out(f);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail("usage: tablegen TAB_DIR OUT_DIR");
    out_dir = argv[2];
    for (int i = 0; i < T_COUNT; i++)
        read_tab(i, argv[1]);
    for (int i = 0; i < T_COUNT; i++)
        check_sorted(i);
    check_references();
    check_operators();
    write_type_oids();
    write_rows_header();
    write_types();
    write_procs();
    write_operators();
    write_casts_and_aggregates();
    write_catalog_rows();
    write_information(argv[1]);
    return 0;
}
