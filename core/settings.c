/*
 * A session's view of the settings. For each setting that the session has touched there is an entry
 * with up to three values; the first that is there counts:
 *
 *     local    SET LOCAL, until the transaction ends
 *     session  SET
 *     reset    from the startup packet, the role or the database: what RESET goes back to
 *     (server) see settings_file.c
 *
 * Every change first copies the whole entry to the undo list; a mark is a length of that list.
 * A bitmap tells at once that a setting was not touched.
 */
#include "core/settings_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

enum { REPORTS_MAX = 16 };
enum entry_slot { SLOT_RESET, SLOT_SESSION, SLOT_LOCAL, SLOT_COUNT };

struct entry {
    enum setting_id id; /* SETTING_COUNT: custom */
    char *name;         /* custom ones */
    bool is_set[SLOT_COUNT];
    uint8_t source[SLOT_COUNT];
    struct setting_value slots[SLOT_COUNT];
};

struct settings_view {
    struct entry *entries;
    struct entry *undo;
    uint32_t count;
    uint32_t room;
    uint32_t undo_count;
    uint32_t undo_room;
    uint64_t touched[(SETTING_COUNT + 63) / 64];
    uint32_t reported[REPORTS_MAX]; /* hash of what the client was told last; 0 = nothing */
    /* What the reports were made of: nothing has to be looked at while both are the same. */
    const struct server_values *reported_server;
    bool is_changed; /* since then */
};

struct settings_view *settings_view_new(void)
{
    return core_zalloc(sizeof(struct settings_view));
}

size_t settings_view_bytes(const struct settings_view *v)
{
    return sizeof(*v) + (v->room + v->undo_room) * sizeof(struct entry);
}

void settings_view_memory(struct settings_view *v, void (*piece)(void *p))
{
    piece(v);
    piece(v->entries);
    piece(v->undo);
}

/* ---- entries ---- */

static char *text_copy(const char *s)
{
    if (s == NULL)
        return NULL;
    char *copy = strdup(s);
    ASSERT(copy != NULL);
    return copy;
}

static void entry_copy(struct entry *to, const struct entry *from)
{
    *to = *from;
    to->name = text_copy(from->name);
    for (int i = 0; i < SLOT_COUNT; i++)
        to->slots[i].text = text_copy(from->slots[i].text);
}

static void entry_clear(struct entry *e)
{
    free(e->name);
    for (int i = 0; i < SLOT_COUNT; i++)
        free(e->slots[i].text);
    *e = (struct entry){0};
}

static void slot_clear(struct entry *e, enum entry_slot slot)
{
    free(e->slots[slot].text);
    e->slots[slot] = (struct setting_value){0};
    e->is_set[slot] = false;
}

static void slot_set(struct entry *e, enum entry_slot slot, struct setting_value value,
                     enum setting_source source)
{
    slot_clear(e, slot);
    e->slots[slot] = value;
    e->is_set[slot] = true;
    e->source[slot] = (uint8_t)source;
}

static bool is_touched(const struct settings_view *v, enum setting_id id)
{
    return (v->touched[(unsigned)id / 64] >> (unsigned)id % 64 & 1) != 0;
}

static struct entry *entry_find(const struct settings_view *v, enum setting_id id,
                                const char *custom_name)
{
    if (v == NULL || (id != SETTING_COUNT && !is_touched(v, id)))
        return NULL;
    ASSUME(id != SETTING_COUNT || custom_name != NULL);
    for (uint32_t i = 0; i < v->count; i++) {
        struct entry *e = &v->entries[i];
        if (e->id == id && (id != SETTING_COUNT || strcasecmp(e->name, custom_name) == 0))
            return e;
    }
    return NULL;
}

static struct entry *entry_get(struct settings_view *v, enum setting_id id, const char *custom_name)
{
    struct entry *e = entry_find(v, id, custom_name);
    v->is_changed = true;
    if (e != NULL)
        return e;
    if (v->count == v->room) {
        v->room = v->room == 0 ? 4 : v->room * 2;
        v->entries = core_realloc(v->entries, v->room * sizeof(*v->entries));
    }
    e = &v->entries[v->count++];
    *e = (struct entry){.id = id, .name = text_copy(custom_name)};
    if (id != SETTING_COUNT)
        v->touched[(unsigned)id / 64] |= (uint64_t)1 << (unsigned)id % 64;
    return e;
}

/* Remember an entry as it is, before it changes. */
static void undo_push(struct settings_view *v, const struct entry *e)
{
    v->is_changed = true;
    if (v->undo_count == v->undo_room) {
        v->undo_room = v->undo_room == 0 ? 4 : v->undo_room * 2;
        v->undo = core_realloc(v->undo, v->undo_room * sizeof(*v->undo));
    }
    entry_copy(&v->undo[v->undo_count++], e);
}

void settings_view_free(struct settings_view *v)
{
    if (v == NULL)
        return;
    for (uint32_t i = 0; i < v->count; i++)
        entry_clear(&v->entries[i]);
    for (uint32_t i = 0; i < v->undo_count; i++)
        entry_clear(&v->undo[i]);
    core_free(v->entries);
    core_free(v->undo);
    core_free(v);
}

/* ---- reading ---- */

static const struct setting_value *entry_value(const struct entry *e)
{
    for (int slot = SLOT_COUNT; slot-- > 0;)
        if (e->is_set[slot])
            return &e->slots[slot];
    return NULL;
}

static const struct setting_value *value_of(const struct settings_view *v, enum setting_id id)
{
    ASSERT((unsigned)id < SETTING_COUNT);
    if (v != NULL && is_touched(v, id)) {
        const struct entry *e = entry_find(v, id, NULL);
        const struct setting_value *value = e != NULL ? entry_value(e) : NULL;
        if (value != NULL)
            return value;
    }
    return &server_values()->values[id].value;
}

int64_t setting_int(const struct settings_view *v, enum setting_id id)
{
    ASSERT(setting_info(id)->type == SETTING_INT);
    return value_of(v, id)->number;
}

bool setting_bool(const struct settings_view *v, enum setting_id id)
{
    ASSERT(setting_info(id)->type == SETTING_BOOL);
    return value_of(v, id)->number != 0;
}

double setting_real(const struct settings_view *v, enum setting_id id)
{
    ASSERT(setting_info(id)->type == SETTING_REAL);
    return value_of(v, id)->real;
}

const char *setting_string(const struct settings_view *v, enum setting_id id)
{
    return value_of(v, id)->text;
}

int setting_enum(const struct settings_view *v, enum setting_id id)
{
    ASSERT(setting_info(id)->type == SETTING_ENUM);
    return (int)value_of(v, id)->number;
}

/* ---- setting ---- */

static bool is_identifier(const char *from, const char *to)
{
    if (from == to || isdigit((unsigned char)*from) || *from == '$')
        return false;
    for (const char *at = from; at < to; at++)
        if (!isalnum((unsigned char)*at) && *at != '_' && *at != '$' && (unsigned char)*at < 0x80)
            return false;
    return true;
}

/* id = SETTING_COUNT for a custom name. */
static err_t name_resolve(const char *name, enum setting_id *out)
{
    if (setting_find(name, out))
        return ERR_OK;
    *out = SETTING_COUNT;
    const char *dot = strchr(name, '.');
    if (dot == NULL)
        return err_raise(ERR_UNDEFINED_OBJECT, "unrecognized configuration parameter \"%s\"", name);
    const char *from = name;
    for (;;) {
        const char *to = dot != NULL ? dot : from + strlen(from);
        if (!is_identifier(from, to)) {
            err_t e =
                err_raise(ERR_INVALID_NAME, "invalid configuration parameter name \"%s\"", name);
            err_detail("Custom parameter names must be two or more simple identifiers separated by "
                       "dots.");
            return e;
        }
        if (dot == NULL)
            return ERR_OK;
        from = dot + 1;
        dot = strchr(from, '.');
    }
}

static err_t context_check(const struct setting_info *info, bool is_superuser)
{
    switch (info->context) {
    case SETTING_INTERNAL:
        return err_raise(ERR_CANT_CHANGE_RUNTIME_PARAM, "parameter \"%s\" cannot be changed",
                         info->name);
    case SETTING_POSTMASTER:
        return err_raise(ERR_CANT_CHANGE_RUNTIME_PARAM,
                         "parameter \"%s\" cannot be changed without restarting the server",
                         info->name);
    case SETTING_SIGHUP:
        return err_raise(ERR_CANT_CHANGE_RUNTIME_PARAM, "parameter \"%s\" cannot be changed now",
                         info->name);
    case SETTING_SUSET:
        if (!is_superuser)
            return err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                             "permission denied to set parameter \"%s\"", info->name);
        return ERR_OK;
    case SETTING_USERSET:
        break;
    }
    return ERR_OK;
}

/* What RESET goes to. */
static struct setting_value reset_value(const struct settings_view *v, enum setting_id id,
                                        const struct entry *e)
{
    struct setting_value value = {0};
    if (e != NULL && e->is_set[SLOT_RESET])
        value = e->slots[SLOT_RESET];
    else if (id != SETTING_COUNT)
        value = server_values()->values[id].value;
    (void)v;
    value.text = text_copy(value.text != NULL ? value.text : "");
    return value;
}

/* What a new value would replace: the one in force; for what comes with a login, the server's,
 * since of the database's, the role's and the client's values one alone counts. */
static const char *value_now(const struct settings_view *v, enum setting_id id, bool is_login)
{
    if (setting_info(id)->type != SETTING_STRING)
        return NULL;
    return is_login ? server_values()->values[id].value.text : setting_string(v, id);
}

err_t setting_set(struct settings_view *v, const char *name, const char *value, bool is_local,
                  bool is_superuser, enum setting_source source)
{
    enum setting_id id;
    TRY(name_resolve(name, &id));
    if (id != SETTING_COUNT)
        TRY(context_check(setting_info(id), is_superuser));
    bool is_reset_source = source == SETTING_SOURCE_DATABASE || source == SETTING_SOURCE_ROLE ||
                           source == SETTING_SOURCE_CLIENT;
    struct setting_value parsed = {0};
    if (value != NULL) {
        if (id != SETTING_COUNT)
            TRY(setting_value_parse(id, value, value_now(v, id, is_reset_source), &parsed));
        else
            parsed.text = text_copy(value);
    }
    const char *custom_name = id == SETTING_COUNT ? name : NULL;
    struct entry *e = entry_find(v, id, custom_name);
    if (value == NULL && e == NULL)
        return ERR_OK; /* it has its reset value */
    e = entry_get(v, id, custom_name);
    undo_push(v, e);
    if (value != NULL && is_reset_source) {
        slot_set(e, SLOT_RESET, parsed, source);
    } else if (value != NULL) {
        if (!is_local)
            slot_clear(e, SLOT_LOCAL);
        slot_set(e, is_local ? SLOT_LOCAL : SLOT_SESSION, parsed, source);
    } else if (is_local) {
        slot_set(e, SLOT_LOCAL, reset_value(v, id, e), source);
    } else {
        slot_clear(e, SLOT_LOCAL);
        slot_clear(e, SLOT_SESSION);
    }
    return ERR_OK;
}

err_t setting_force(struct settings_view *v, enum setting_id id, const char *value)
{
    struct setting_value parsed;
    TRY(setting_value_parse(id, value, value_now(v, id, false), &parsed));
    struct entry *e = entry_get(v, id, NULL);
    undo_push(v, e);
    slot_set(e, SLOT_RESET, parsed, SETTING_SOURCE_SESSION);
    slot_clear(e, SLOT_SESSION);
    slot_clear(e, SLOT_LOCAL);
    return ERR_OK;
}

/* Not reset by RESET ALL: what belongs to the transaction or the identity. */
static bool is_kept_by_reset_all(enum setting_id id)
{
    return id == SET_transaction_isolation || id == SET_transaction_read_only ||
           id == SET_transaction_deferrable || id == SET_session_authorization || id == SET_role ||
           id == SET_is_superuser;
}

err_t setting_reset_all(struct settings_view *v)
{
    for (uint32_t i = 0; i < v->count; i++) {
        struct entry *e = &v->entries[i];
        if ((!e->is_set[SLOT_SESSION] && !e->is_set[SLOT_LOCAL]) || is_kept_by_reset_all(e->id))
            continue;
        undo_push(v, e);
        slot_clear(e, SLOT_SESSION);
        slot_clear(e, SLOT_LOCAL);
    }
    return ERR_OK;
}

err_t setting_show(const struct settings_view *v, const char *name, struct arena *out,
                   const char **text)
{
    enum setting_id id;
    *text = NULL;
    if (setting_find(name, &id)) {
        *text = setting_value_show(id, value_of(v, id), out);
        return ERR_OK;
    }
    const struct entry *e = strchr(name, '.') != NULL ? entry_find(v, SETTING_COUNT, name) : NULL;
    if (e == NULL)
        return err_raise(ERR_UNDEFINED_OBJECT, "unrecognized configuration parameter \"%s\"", name);
    const struct setting_value *value = entry_value(e);
    *text = arena_strdup(out, value != NULL ? value->text : "");
    return ERR_OK;
}

const char *settings_custom_name(const struct settings_view *v, uint32_t index)
{
    for (uint32_t i = 0; i < v->count; i++)
        if (v->entries[i].id == SETTING_COUNT && index-- == 0)
            return v->entries[i].name;
    return NULL;
}

/* ---- transactions ---- */

uint32_t settings_mark(struct settings_view *v)
{
    return v->undo_count;
}

void settings_rollback_to(struct settings_view *v, uint32_t mark)
{
    ASSERT(mark <= v->undo_count);
    while (v->undo_count > mark) {
        v->is_changed = true;
        struct entry *old = &v->undo[--v->undo_count];
        struct entry *e = entry_find(v, old->id, old->name);
        ASSERT(e != NULL);
        entry_clear(e);
        *e = *old; /* its strings are the entry's now */
    }
}

/* Entries that hold nothing any more go away, so that a session at rest stays small. */
static void entries_compact(struct settings_view *v)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        struct entry *e = &v->entries[i];
        if (entry_value(e) == NULL && e->id != SETTING_COUNT) {
            v->touched[(unsigned)e->id / 64] &= ~((uint64_t)1 << (unsigned)e->id % 64);
            entry_clear(e);
            continue;
        }
        if (kept != i)
            v->entries[kept] = *e;
        kept++;
    }
    v->count = kept;
}

void settings_commit(struct settings_view *v)
{
    if (v->undo_count == 0)
        return;
    v->is_changed = true;
    for (uint32_t i = 0; i < v->undo_count; i++)
        entry_clear(&v->undo[i]);
    core_free(v->undo);
    v->undo = NULL;
    v->undo_count = v->undo_room = 0;
    for (uint32_t i = 0; i < v->count; i++)
        slot_clear(&v->entries[i], SLOT_LOCAL);
    entries_compact(v);
}

/* ---- reports and descriptions ---- */

static uint32_t text_hash(const char *text)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 16777619u;
    return h != 0 ? h : 1;
}

static bool is_out_of_fingerprint(enum setting_id id)
{
    switch (id) {
    case SET_application_name:
    case SET_client_min_messages:
    case SET_idle_in_transaction_session_timeout:
    case SET_idle_session_timeout:
    case SET_is_superuser:
    case SET_lock_timeout:
    case SET_session_authorization:
    case SET_session_moves:
    case SET_statement_timeout:
    case SETTING_COUNT:
        return true;
    default:
        return false;
    }
}

uint64_t settings_fingerprint(const struct settings_view *v)
{
    uint64_t sum = 0; /* the order of the entries does not matter */
    for (uint32_t i = 0; i < v->count; i++) {
        const struct setting_value *value = entry_value(&v->entries[i]);
        if (value == NULL || is_out_of_fingerprint(v->entries[i].id))
            continue;
        uint64_t h = (uint64_t)text_hash(value->text) << 16 | (uint64_t)v->entries[i].id;
        h *= 0x9e3779b97f4a7c15u;
        sum += h ^ h >> 29;
    }
    return sum;
}

void settings_report_changes(struct settings_view *v,
                             void (*fn)(void *owner, const char *name, const char *text),
                             void *owner)
{
    const struct server_values *server = server_values();
    if (!v->is_changed && v->reported_server == server)
        return;
    v->is_changed = false;
    v->reported_server = server;
    uint32_t index = 0;
    for (int id = 0; id < SETTING_COUNT; id++) {
        const struct setting_info *info = setting_info((enum setting_id)id);
        if (!info->report)
            continue;
        ASSERT(index < REPORTS_MAX);
        const struct setting_value *value = value_of(v, (enum setting_id)id);
        uint32_t h = text_hash(value->text);
        if (h != v->reported[index]) {
            v->reported[index] = h;
            fn(owner, info->name, value->text); /* none of the reported ones has a unit */
        }
        index++;
    }
}

void setting_describe(const struct settings_view *v, enum setting_id id, struct arena *out,
                      const char **value, const char **reset_value, enum setting_source *source,
                      const char **source_file, int *source_line)
{
    const struct server_value *server = &server_values()->values[id];
    const struct entry *e = entry_find(v, id, NULL);
    *value = arena_strdup(out, value_of(v, id)->text);
    *source = server->source;
    *source_file = server->file;
    *source_line = server->line;
    const char *reset = server->value.text;
    if (e != NULL) {
        if (e->is_set[SLOT_RESET])
            reset = e->slots[SLOT_RESET].text;
        for (int slot = SLOT_COUNT; slot-- > 0;) {
            if (e->is_set[slot]) {
                *source = (enum setting_source)e->source[slot];
                *source_file = NULL;
                *source_line = 0;
                break;
            }
        }
    }
    *reset_value = arena_strdup(out, reset);
}
