/*
 * Checks of a database that is open: percore_check() and the check tool. Stored tables and their
 * indexes are in check_table.c, files and catalog rows in check_catalog.c; sequences, and what runs
 * all of it, are here.
 *
 * Tables are locked against writers; readers go on. System catalogs are read by one snapshot.
 */
#include "sql/ddl/check_priv.h"

#include <stdarg.h>
#include <stdio.h>

void finding(struct findings *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t left = FINDINGS_BYTES_MAX - f->len;
    int n = vsnprintf(f->text + f->len, left, format, args);
    va_end(args);
    f->count++;
    if (n < 0 || (size_t)n + 2 > left) {
        f->text[f->len] = '\0'; /* there are more than fit */
        return;
    }
    f->len += (size_t)n;
    f->text[f->len++] = '\n';
}

err_t finding_of_error(struct findings *f, const char *where, err_t e)
{
    if (e != ERR_DATA_CORRUPTED && e != ERR_INDEX_CORRUPTED)
        return e;
    finding(f, "%s%s", where, err_diag()->message);
    return ERR_OK;
}

static void add_line(struct check *c, const char *text, size_t len)
{
    if (c->count == c->capacity) {
        uint32_t capacity = MAX(32u, c->capacity * 2);
        const char **lines = ARENA_ARRAY(c->x->mem, const char *, capacity);
        if (c->count > 0)
            memcpy((void *)lines, (const void *)c->lines, c->count * sizeof(*lines));
        c->lines = lines;
        c->capacity = capacity;
    }
    c->lines[c->count++] = arena_printf(c->x->mem, "%.*s", (int)len, text);
}

void take_findings(struct check *c, struct findings *f)
{
    uint64_t shown = 0;
    for (const char *p = f->text; p < f->text + f->len; shown++) {
        size_t len = strcspn(p, "\n");
        add_line(c, p, len);
        p += len + 1;
    }
    if (shown < f->count) {
        char more[64];
        int n = snprintf(more, sizeof(more), "... and %llu more of these",
                         (unsigned long long)(f->count - shown));
        add_line(c, more, (size_t)n);
    }
    *f = (struct findings){.text = f->text};
}

/* ---- sequences ---- */

struct sequence_check {
    uint32_t shard;
    file_id file;
    bool is_there;
    struct sequence_state state;
};

static SUSPENDS err_t sequence_on_shard(void *arg)
{
    struct sequence_check *q = arg;
    struct shard *s = shard_local(q->shard);
    uint64_t cursor = 0;
    file_id file;
    enum file_kind kind;
    while (!q->is_there && shard_file_next(s, &cursor, &file, &kind))
        q->is_there = file == q->file && kind == FILE_SEQUENCE;
    return q->is_there ? sequence_read_wait(s, q->file, &q->state) : ERR_OK;
}

static SUSPENDS err_t check_sequence_wait(struct check *c, oid relation)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(c->x->catalog, relation, &t));
    if (t == NULL)
        return ERR_OK;
    struct sequence_check q = {.shard = t->sequence.shard, .file = t->file};
    err_t e = core_call_wait(shard_core(q.shard), sequence_on_shard, &q);
    e = finding_of_error(&c->own, "sequence: ", e);
    if (e == ERR_OK && !q.is_there)
        finding(&c->own, "shard %u: sequence %s has no file", q.shard, t->name);
    else if (e == ERR_OK &&
             (q.state.last_value < t->sequence.min || q.state.last_value > t->sequence.max))
        finding(&c->own, "sequence %s has the value %lld outside of its bounds", t->name,
                (long long)q.state.last_value);
    table_release(t);
    return e;
}

/* ---- all ---- */

static SUSPENDS err_t check_all_wait(struct check *c)
{
    struct catalog_rows classes;
    struct ddl_context *x = c->x;
    TRY(catalog_find_wait(x->catalog, REL_CLASS, 0, 0, 0, 0, x->mem, &classes));
    for (uint32_t i = 0; i < classes.count; i++) {
        oid relation = catalog_oid_value(&classes.rows[i], COL_OID);
        char kind = catalog_char_value(&classes.rows[i], COL_RELKIND);
        if (kind == 'r')
            TRY(check_table_wait(c, relation));
        else if (kind == 'S')
            TRY(check_sequence_wait(c, relation));
        TRY(fiber_rest_wait());
    }
    /* Relations may have come and gone while waiting for locks. */
    TRY(catalog_find_wait(x->catalog, REL_CLASS, 0, 0, 0, 0, x->mem, &classes));
    TRY(check_files_wait(c, &classes));
    return check_catalogs_wait(c);
}

err_t ddl_check_wait(struct ddl_context *x, bool alone, const char *const **problems,
                     uint32_t *count)
{
    TRY(ddl_must_be_superuser(x, "check a database"));
    struct check c = {.x = x, .alone = alone, .own = {.text = core_malloc(FINDINGS_BYTES_MAX)}};
    err_t e = check_all_wait(&c);
    take_findings(&c, &c.own);
    core_free(c.own.text);
    *problems = c.lines;
    *count = c.count;
    return e;
}

/* ---- without a session ---- */

static SUSPENDS err_t check_database_wait(oid database, const char *name,
                                          void (*problem)(void *owner, const char *database,
                                                          const char *text),
                                          void *owner)
{
    struct session_env env = {
        .is_superuser = true, .user_oid = ROLE_BOOTSTRAP, .database_oid = database};
    struct txn_options o = {.isolation = READ_COMMITTED};
    struct catalog_session cs = {.database = database,
                                 .user = ROLE_BOOTSTRAP,
                                 .is_superuser = true,
                                 .user_name = "",
                                 .txn = txn_begin(&o)};
    txn_statement_begin(cs.txn);
    struct ddl_context x = {.catalog = &cs, .env = &env, .mem = arena_new(), .text = ""};
    const char *const *lines;
    uint32_t count;
    err_t e = ddl_check_wait(&x, true, &lines, &count);
    for (uint32_t i = 0; e == ERR_OK && i < count; i++)
        problem(owner, name, lines[i]);
    if (e == ERR_OK)
        e = txn_commit_wait(cs.txn);
    else
        txn_rollback_wait(cs.txn);
    arena_free(x.mem);
    return e;
}

err_t ddl_check_databases_wait(void (*problem)(void *owner, const char *database, const char *text),
                               void *owner)
{
    struct arena *mem = arena_new();
    struct catalog_probe p = {.relation = REL_DATABASE};
    err_t e = catalog_probe_in_wait(NULL, 0, &p, 1, mem);
    for (uint32_t i = 0; e == ERR_OK && i < p.found.count; i++) {
        const char *name = catalog_text_value(mem, &p.found.rows[i], COL_DATNAME, NULL);
        e = check_database_wait(catalog_oid_value(&p.found.rows[i], COL_OID), name, problem, owner);
    }
    arena_free(mem);
    return e;
}
