/*
 * pg_hba.conf: one rule a line, the first that matches decides.
 *
 *   local DATABASE USER METHOD
 *   host|hostssl|hostnossl DATABASE USER ADDRESS [MASK] METHOD
 */
#include "net/hba.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum hba_type { HBA_LOCAL, HBA_HOST, HBA_HOST_TLS, HBA_HOST_PLAIN };

struct hba_rule {
    enum hba_type type;
    char **databases; /* NULL-terminated */
    char **users;
    bool any_address;
    uint8_t ip[16];
    uint8_t mask[16];
    uint8_t ip_bytes;
    enum auth_method method;
};

struct hba {
    struct arena *mem;
    struct hba_rule *rules;
    uint32_t count;
    uint32_t capacity;
};

/* ---- words of a line ---- */

enum { HBA_WORDS_MAX = 32 };

struct hba_line {
    char **lists[HBA_WORDS_MAX]; /* each a NULL-terminated list (comma-separated words) */
    uint32_t count;
    const char *file;
    uint32_t number;
};

static err_t hba_error(const struct hba_line *l, const char *what, const char *word)
{
    return err_raise(ERR_CONFIG_FILE_ERROR, "line %u of configuration file \"%s\": %s%s%s%s",
                     l->number, l->file, what, word ? " \"" : "", word ? word : "",
                     word ? "\"" : "");
}

static const char *hba_word(struct arena *mem, const char *p, const char *end, char **out)
{
    struct strbuf b;
    strbuf_init(&b, mem);
    bool quoted = false;
    for (; p < end; p++) {
        if (*p == '"') {
            quoted = !quoted;
            continue;
        }
        if (!quoted && (*p == ' ' || *p == '\t' || *p == ',' || *p == '#' || *p == '\r'))
            break;
        strbuf_putc(&b, *p);
    }
    *out = b.data ? b.data : arena_strdup(mem, "");
    return p;
}

static err_t hba_split(struct arena *mem, const char *p, const char *end, struct hba_line *l)
{
    l->count = 0;
    for (;;) {
        while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
            p++;
        if (p == end || *p == '#')
            return ERR_OK;
        if (l->count == HBA_WORDS_MAX)
            return hba_error(l, "too many fields", NULL);
        uint32_t room = 2;
        for (const char *q = p; q < end; q++)
            room += *q == ',';
        char **list = ARENA_ARRAY(mem, char *, room);
        uint32_t n = 0;
        for (;;) {
            p = hba_word(mem, p, end, &list[n++]);
            if (p == end || *p != ',')
                break;
            p++;
            while (p < end && (*p == ' ' || *p == '\t'))
                p++;
        }
        l->lists[l->count++] = list;
    }
}

/* ---- rules ---- */

static bool hba_parse_address(struct hba_rule *r, char *text, const char *mask_text)
{
    char *slash = strchr(text, '/');
    if (slash)
        *slash = '\0';
    if (inet_pton(AF_INET, text, r->ip) == 1)
        r->ip_bytes = 4;
    else if (inet_pton(AF_INET6, text, r->ip) == 1)
        r->ip_bytes = 16;
    else
        return false;
    if (!slash)
        return mask_text &&
               inet_pton(r->ip_bytes == 4 ? AF_INET : AF_INET6, mask_text, r->mask) == 1;
    char *end;
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (*end != '\0' || end == slash + 1 || bits > r->ip_bytes * 8u)
        return false;
    for (uint32_t i = 0; i < r->ip_bytes; i++) {
        unsigned long left = bits > i * 8u ? bits - i * 8u : 0;
        r->mask[i] = left >= 8 ? 0xff : (uint8_t)(0xff00u >> left);
    }
    return true;
}

static bool hba_parse_method(const char *word, enum auth_method *out)
{
    static const struct {
        const char *name;
        enum auth_method method;
    } methods[] = {
        {"trust", AUTH_TRUST},         {"reject", AUTH_REJECT}, {"peer", AUTH_PEER},
        {"scram-sha-256", AUTH_SCRAM}, {"md5", AUTH_SCRAM},
    };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(word, methods[i].name) == 0) {
            *out = methods[i].method;
            return true;
        }
    }
    return false;
}

static err_t hba_parse_rule(struct hba *h, struct hba_line *l)
{
    struct hba_rule r = {0};
    const char *type = l->lists[0][0];
    if (strcmp(type, "local") == 0)
        r.type = HBA_LOCAL;
    else if (strcmp(type, "host") == 0)
        r.type = HBA_HOST;
    else if (strcmp(type, "hostssl") == 0)
        r.type = HBA_HOST_TLS;
    else if (strcmp(type, "hostnossl") == 0)
        r.type = HBA_HOST_PLAIN;
    else
        return hba_error(l, "invalid connection type", type);
    if (l->count < 2)
        return hba_error(l, "end-of-line before database specification", NULL);
    if (l->count < 3)
        return hba_error(l, "end-of-line before role specification", NULL);
    r.databases = l->lists[1];
    r.users = l->lists[2];
    uint32_t at = 3;
    if (r.type != HBA_LOCAL) {
        if (l->count < 4)
            return hba_error(l, "end-of-line before IP address specification", NULL);
        char *address = l->lists[at++][0];
        if (strcmp(address, "all") == 0) {
            r.any_address = true;
        } else {
            const char *mask = !strchr(address, '/') && at < l->count ? l->lists[at++][0] : NULL;
            if (!hba_parse_address(&r, address, mask))
                return hba_error(l, "invalid IP address", address);
        }
    }
    if (at >= l->count)
        return hba_error(l, "end-of-line before authentication method", NULL);
    if (!hba_parse_method(l->lists[at][0], &r.method))
        return hba_error(l, "invalid authentication method", l->lists[at][0]);
    if (r.method == AUTH_PEER && r.type != HBA_LOCAL)
        return hba_error(l, "peer authentication is only supported on local sockets", NULL);
    if (at + 1 < l->count)
        return hba_error(l, "unsupported authentication option", l->lists[at + 1][0]);
    if (h->count == h->capacity) {
        uint32_t capacity = h->capacity ? h->capacity * 2 : 16;
        struct hba_rule *bigger = ARENA_ARRAY(h->mem, struct hba_rule, capacity);
        if (h->count)
            memcpy(bigger, h->rules, sizeof(r) * h->count);
        h->rules = bigger;
        h->capacity = capacity;
    }
    h->rules[h->count++] = r;
    return ERR_OK;
}

err_t hba_parse(const char *file_name, const char *text, struct hba **out)
{
    struct arena *mem = arena_new();
    struct hba *h = ARENA_NEW(mem, struct hba);
    h->mem = mem;
    struct hba_line *line = ARENA_NEW(mem, struct hba_line);
    line->file = arena_strdup(mem, file_name);
    err_t e = ERR_OK;
    const char *p = text;
    while (*p && e == ERR_OK) {
        const char *end = strchr(p, '\n');
        if (!end)
            end = p + strlen(p);
        line->number++;
        e = hba_split(mem, p, end, line);
        if (e == ERR_OK && line->count > 0)
            e = hba_parse_rule(h, line);
        p = *end ? end + 1 : end;
    }
    if (e != ERR_OK) {
        arena_free(mem);
        return e;
    }
    *out = h;
    return ERR_OK;
}

void hba_free(struct hba *h)
{
    if (h)
        arena_free(h->mem);
}

/* ---- matching ---- */

static bool hba_name_matches(char *const *list, const char *name, const char *user,
                             bool is_database)
{
    for (; *list; list++) {
        if (strcmp(*list, "all") == 0 || strcmp(*list, name) == 0)
            return true;
        if (is_database && strcmp(*list, "sameuser") == 0 && strcmp(name, user) == 0)
            return true;
    }
    return false;
}

static bool hba_address_matches(const struct hba_rule *r, const struct hba_query *q)
{
    if (r->any_address)
        return true;
    if (r->ip_bytes != q->ip_bytes)
        return false;
    for (uint32_t i = 0; i < r->ip_bytes; i++) {
        if ((r->ip[i] & r->mask[i]) != (q->ip[i] & r->mask[i]))
            return false;
    }
    return true;
}

bool hba_match(const struct hba *h, const struct hba_query *q, enum auth_method *method)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct hba_rule *r = &h->rules[i];
        if (q->is_unix != (r->type == HBA_LOCAL))
            continue;
        if ((r->type == HBA_HOST_TLS && !q->is_tls) || (r->type == HBA_HOST_PLAIN && q->is_tls))
            continue;
        if (!q->is_unix && !hba_address_matches(r, q))
            continue;
        if (!hba_name_matches(r->databases, q->database, q->user, true) ||
            !hba_name_matches(r->users, q->user, q->user, false))
            continue;
        *method = r->method;
        return true;
    }
    return false;
}
