/*
 * SQL from text to result on a small data set. Each input runs in a transaction that is rolled
 * back; an even first byte sends it as a simple query, an odd one as a prepared statement with
 * binary results. Inputs that would commit are left out, so that one input explains one failure.
 *
 * The mutator works on tokens: pieces of statements are replaced by tokens seen before, doubled,
 * moved or dropped, which reaches deeper than bytes do.
 */
#include "tests/fuzz/server.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096, POOL_MAX = 8192, TOKENS_MAX = 512 };

static const char *const setup[] = {
    "CREATE TABLE t (a int PRIMARY KEY, b text, c numeric, d timestamp, e bool)",
    "INSERT INTO t SELECT n, CASE WHEN n % 5 > 0 THEN 'row ' || n % 7 END, n * 1.5, "
    "timestamp '2024-01-01' + n * interval '7 hours', n % 3 = 0 FROM generate_series(1, 50) n",
    "CREATE INDEX t_b ON t (b)",
    "CREATE TABLE u (x bigint, y varchar(20) UNIQUE, z int[], f float8, i interval)",
    "INSERT INTO u SELECT n, 'y' || n, ARRAY[n, n + 1, NULL], n / 3.0, n * interval '1 day' FROM "
    "generate_series(1, 30) n",
    "CREATE VIEW v AS SELECT a, b, x FROM t LEFT JOIN u ON t.a = u.x",
    "CREATE SEQUENCE s",
    "ANALYZE",
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_server_start(setup, sizeof(setup) / sizeof(setup[0]));
    return 0;
}

/* ---- running ---- */

static bool has_word(const char *text, const char *word)
{
    for (const char *p = text; (p = strcasestr(p, word)) != NULL; p++) {
        if (p == text || !isalnum((unsigned char)p[-1]))
            return true;
    }
    return false;
}

static bool would_commit(const char *text)
{
    return has_word(text, "commit") || has_word(text, "end;") || has_word(text, "end work") ||
           has_word(text, "end transaction") || has_word(text, "prepare transaction") ||
           has_word(text, "rollback") || has_word(text, "abort") || has_word(text, "start") ||
           has_word(text, "begin") || has_word(text, "nextval") || has_word(text, "setval");
}

static void run_prepared(struct fuzz_client *c, const char *text)
{
    char parse[TEXT_MAX + 8];
    size_t len = strlen(text);
    parse[0] = '\0';
    memcpy(parse + 1, text, len + 1);
    parse[len + 2] = parse[len + 3] = 0;
    fuzz_message(c, 'P', parse, len + 4);
    fuzz_message(c, 'D', "S", 2);
    fuzz_message(c, 'B', "\0\0\0\0\0\0\0\1\0\1", 10); /* no parameters, all results binary */
    fuzz_message(c, 'E', "\0\0\0\0\0", 5);
    fuzz_message(c, 'S', "", 0);
    (void)fuzz_read_to(c, "Z");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1];
    if (size < 2 || size > TEXT_MAX)
        return -1;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (would_commit(text))
        return -1;
    struct fuzz_client *c = fuzz_connect(false);
    fuzz_query(c, "BEGIN");
    if (data[0] % 2 == 0) {
        fuzz_message(c, 'Q', text, strlen(text) + 1);
        while (fuzz_read_to(c, "ZG") == 'G') /* COPY FROM STDIN */
            fuzz_message(c, 'f', "no", 3);
    } else {
        run_prepared(c, text);
    }
    fuzz_close(c);
    return 0;
}

/* ---- mutating ---- */

static struct {
    char *text;
    size_t len;
} pool[POOL_MAX];
static size_t pool_count;

struct token {
    size_t at;
    size_t len;
};

static size_t token_end(const char *p, size_t at, size_t len)
{
    unsigned char ch = (unsigned char)p[at];
    size_t end = at + 1;
    if (ch == '\'' || ch == '"') {
        while (end < len && p[end] != (char)ch)
            end++;
        return end < len ? end + 1 : end;
    }
    if (isalnum(ch) || ch == '_') {
        while (end < len && (isalnum((unsigned char)p[end]) || p[end] == '_' || p[end] == '.'))
            end++;
    } else if (strchr("<>=!~|&@#:-+*/%", ch) != NULL) {
        while (end < len && end - at < 3 && strchr("<>=!~|&@#:", p[end]) != NULL)
            end++;
    }
    return end;
}

static size_t tokenize(const char *p, size_t len, struct token *out)
{
    size_t n = 0;
    for (size_t at = 0; at < len && n < TOKENS_MAX;) {
        if (isspace((unsigned char)p[at])) {
            at++;
            continue;
        }
        size_t end = token_end(p, at, len);
        out[n++] = (struct token){at, end - at};
        at = end;
    }
    return n;
}

static void remember(const char *p, const struct token *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = pool_count < POOL_MAX ? pool_count++ : (size_t)rand() % POOL_MAX;
        free(pool[at].text);
        pool[at].text = malloc(t[i].len);
        memcpy(pool[at].text, p + t[i].at, t[i].len);
        pool[at].len = t[i].len;
    }
}

struct out {
    char *p;
    size_t len;
    size_t max;
};

static void put(struct out *o, const char *text, size_t len)
{
    if (o->len + len + 1 > o->max)
        return;
    memcpy(o->p + o->len, text, len);
    o->len += len;
    o->p[o->len++] = ' ';
}

static void put_range(struct out *o, const char *p, const struct token *t, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        put(o, p + t[i].at, t[i].len);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    static char copy[TEXT_MAX * 2];
    struct token t[TOKENS_MAX];
    srand(seed);
    if (size < 2 || size > TEXT_MAX || rand() % 8 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    memcpy(copy, data + 1, size - 1);
    size_t n = tokenize(copy, size - 1, t);
    if (n < 2)
        return LLVMFuzzerMutate(data, size, max_size);
    if (rand() % 16 == 0 || pool_count < 1000)
        remember(copy, t, n);
    struct out o = {(char *)data + 1, 0, (max_size < TEXT_MAX ? max_size : TEXT_MAX) - 1};
    size_t a = (size_t)rand() % n;
    size_t b = a + 1 + (size_t)rand() % 4;
    b = b < n ? b : n;
    switch (rand() % 6) {
    case 0: /* drop */
        put_range(&o, copy, t, 0, a);
        put_range(&o, copy, t, b, n);
        break;
    case 1: /* double */
        put_range(&o, copy, t, 0, b);
        put_range(&o, copy, t, a, n);
        break;
    case 2: { /* move */
        size_t to = (size_t)rand() % n;
        put_range(&o, copy, t, 0, to < a ? to : a);
        put_range(&o, copy, t, a, b);
        put_range(&o, copy, t, to < a ? to : a, a);
        put_range(&o, copy, t, b, n);
        break;
    }
    case 3: { /* some tokens from elsewhere put in */
        put_range(&o, copy, t, 0, a);
        size_t from = (size_t)rand() % pool_count;
        for (size_t i = from; i < pool_count && i < from + 1 + (size_t)rand() % 6; i++)
            put(&o, pool[i].text, pool[i].len);
        put_range(&o, copy, t, a, n);
        break;
    }
    default: /* replaced */
        put_range(&o, copy, t, 0, a);
        for (size_t i = a; i < b; i++) {
            size_t from = (size_t)rand() % pool_count;
            put(&o, pool[from].text, pool[from].len);
        }
        put_range(&o, copy, t, b, n);
        break;
    }
    return o.len + 1;
}
