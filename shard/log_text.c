/* Log records for people and checks: read by the layouts of records.def. */
#include "shard/check.h"
#include "shard/shard_priv.h"

#include <stdarg.h>
#include <stdio.h>

struct record_layout {
    const char *name;
    const char *layout;
};

static const struct record_layout kinds[] = {
#define RECORD(record_name, number, record_layout) [number] = {#record_name, record_layout},
#include "shard/records.def"
#undef RECORD
};

enum { SHOWN_BYTES = 24 };

struct text {
    char *at;
    size_t left;
};

static void text_put(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
static void text_put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : MIN((size_t)n, t->left - 1);
    t->at += used;
    t->left -= used;
}

static uint64_t read_number(struct byte_reader *r, const char *type)
{
    switch (type[1]) {
    case '8':
        return read_u8(r);
    case '1':
        return read_u16(r);
    case '3':
        return read_u32(r);
    default:
        return read_u64(r);
    }
}

static void put_bytes(struct text *t, const struct byte_reader *r)
{
    size_t len = (size_t)(r->end - r->at);
    text_put(t, "%zu bytes", len);
    for (size_t i = 0; i < MIN(len, (size_t)SHOWN_BYTES); i++)
        text_put(t, "%s%02x", i == 0 ? " " : "", r->at[i]);
    if (len > SHOWN_BYTES)
        text_put(t, "...");
}

bool log_record_text(uint8_t kind, const uint8_t *payload, uint32_t len, char *out,
                     size_t out_bytes)
{
    struct text t = {out, out_bytes};
    if (kind >= ARRAY_LEN(kinds) || kinds[kind].name == NULL) {
        text_put(&t, "unknown kind %u", kind);
        return false;
    }
    struct byte_reader r = {.at = payload, .end = payload + len};
    text_put(&t, "%s", kinds[kind].name);
    bool has_bytes = false;
    for (const char *p = kinds[kind].layout; *p != '\0' && !r.is_bad;) {
        const char *name = strchr(p, ' ');
        ASSERT(name != NULL);
        int name_len = (int)strcspn(++name, ",");
        text_put(&t, " %.*s ", name_len, name);
        has_bytes = *p == 'b';
        if (has_bytes)
            put_bytes(&t, &r);
        else
            text_put(&t, "%llu", (unsigned long long)read_number(&r, p));
        p = name + name_len;
        p += strspn(p, ", ");
    }
    return !r.is_bad && (has_bytes || r.at == r.end);
}
