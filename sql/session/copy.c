/*
 * COPY statements: plans the query side, connects bytes to the client or to a file of the server,
 * and runs sql/exec's formats.
 */
#include "sql/exec/copy.h"

#include <stdio.h>

#include "core/io.h"
#include "sql/catalog/privileges.h"
#include "sql/session/session_priv.h"
#include "sql/types/quote.h"

enum { FILE_CHUNK_BYTES = 64 << 10 };

/* ---- files of the server ---- */

struct copy_file {
    struct io_file *file;
    uint8_t *buffer;
    uint64_t offset;
};

static SUSPENDS err_t copy_file_read(void *owner, const uint8_t **data, size_t *len)
{
    struct copy_file *f = owner;
    uint32_t got;
    TRY(io_read_some_wait(f->file, f->buffer, FILE_CHUNK_BYTES, f->offset, &got));
    f->offset += got;
    *data = f->buffer;
    *len = got;
    return ERR_OK;
}

static SUSPENDS err_t copy_file_write(void *owner, const uint8_t *data, size_t len)
{
    struct copy_file *f = owner;
    TRY(io_write_wait(f->file, data, u32_from(len), f->offset));
    f->offset += len;
    return ERR_OK;
}

static COLD err_t copy_file_failed(struct session *s, const char *path, bool is_from, err_t code)
{
    const char *why = strrchr(err_diag()->message, ':');
    why = arena_strdup(s->statement, why ? why + 1 : "");
    bool hint = code == ERR_UNDEFINED_FILE || code == ERR_INSUFFICIENT_PRIVILEGE;
    err_t e = err_raise(code, "could not open file \"%s\" for %s:%s", path,
                        is_from ? "reading" : "writing", why);
    if (hint)
        err_hint("COPY %s instructs the PostgreSQL server process to %s a file. You may want a "
                 "client-side facility such as psql's \\copy.",
                 is_from ? "FROM" : "TO", is_from ? "read" : "write");
    return e;
}

static SUSPENDS err_t copy_file_open_wait(struct session *s, const char *path, bool is_from,
                                          struct copy_file *f)
{
    if (!s->catalog.is_superuser) {
        err_t e = err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                            "must be superuser or have privileges of the %s role to COPY %s a file",
                            is_from ? "pg_read_server_files" : "pg_write_server_files",
                            is_from ? "from" : "to");
        err_hint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for "
                 "anyone.");
        return e;
    }
    if (!is_from && path[0] != '/')
        return err_raise(ERR_INVALID_NAME, "relative path not allowed for COPY to file");
    f->buffer = arena_alloc(s->statement, FILE_CHUNK_BYTES);
    err_t e =
        io_open_wait(path, is_from ? IO_READ : IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644, &f->file);
    return e == ERR_OK ? ERR_OK : copy_file_failed(s, path, is_from, e);
}

/* ---- the client ---- */

static err_t copy_client_read(void *owner, const uint8_t **data, size_t *len)
{
    struct session *s = owner;
    return s->sink->copy_read(s->sink, data, len);
}

static err_t copy_client_write(void *owner, const uint8_t *data, size_t len)
{
    struct session *s = owner;
    return s->sink->copy_write(s->sink, data, len);
}

/* ---- FROM ---- */

static SUSPENDS err_t copy_defaults_wait(struct session *s, const struct table_desc *t,
                                         const struct utility *u, struct expr ***out)
{
    *out = ARENA_ARRAY(s->statement, struct expr *, t->column_count + 1);
    struct analyze_options o = {.catalog = &s->catalog, .env = &s->env, .text = ""};
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column_desc *c = &t->columns[i];
        bool copied = c->dropped;
        for (uint32_t k = 0; k < u->copy.column_count; k++)
            copied = copied || u->copy.columns[k] == c->attno;
        if (copied)
            continue;
        if (c->identity && c->owned_sequence) {
            struct expr *e = expr_new(s->statement, EXPR_NEXTVAL, c->type, -1);
            e->nextval.sequence = c->owned_sequence;
            (*out)[i] = e;
        } else if (c->default_sql) {
            TRY(analyze_table_expr_wait(&o, t, c->default_sql, c->type, c->typmod, s->statement,
                                        &(*out)[i]));
        }
    }
    return ERR_OK;
}

/* Columns of the copied table, as inputs of the row. */
static err_t copy_column_to_input(struct arena *mem, const struct expr *e, void *ctx,
                                  struct expr **out)
{
    (void)ctx;
    if (e->kind != EXPR_COLUMN)
        return ERR_OK;
    if (e->column.attno <= 0)
        return err_not_built("system columns in COPY ... WHERE are not supported yet");
    struct expr *input = expr_new(mem, EXPR_INPUT, e->type, e->typmod);
    input->collation = e->collation;
    input->input.slot = 0;
    input->input.index = (uint32_t)e->column.attno - 1;
    *out = input;
    return ERR_OK;
}

static SUSPENDS err_t copy_from_run_wait(struct session *s, const struct utility *u,
                                         const struct table_desc *t, uint64_t *rows)
{
    if (t->kind != 'r')
        return err_raise(ERR_WRONG_OBJECT_TYPE, "cannot copy to %s \"%s\"",
                         t->kind == 'v'   ? "view"
                         : t->kind == 'S' ? "sequence"
                                          : "non-table relation",
                         t->name);
    const char **names = ARENA_ARRAY(s->statement, const char *, u->copy.column_count + 1);
    for (uint32_t i = 0; i < u->copy.column_count; i++)
        names[i] = t->columns[u->copy.columns[i] - 1].name;
    struct copy_options options;
    TRY(copy_options_parse(u, names, u->copy.column_count, s->statement, &options));
    struct plan_options po = session_plan_options(s);
    struct plan_table *table;
    TRY(plan_table_make_wait(&po, t->oid, s->statement, &table));
    TRY(foreign_lock_wait(s->constraints, table));
    struct copy_from c = {
        .options = &options,
        .table = table,
        .column_count = u->copy.column_count,
        .columns = u->copy.columns,
        .txn = s->txn,
        .env = &s->env,
        .constraints = s->constraints,
        .read = copy_client_read,
        .owner = s,
    };
    TRY(copy_defaults_wait(s, t, u, &c.defaults));
    if (u->copy.where)
        TRY(expr_rewrite(s->statement, u->copy.where, copy_column_to_input, NULL, &c.where));
    struct copy_file file = {0};
    if (u->copy.file) {
        TRY(copy_file_open_wait(s, u->copy.file, true, &file));
        c.read = copy_file_read;
        c.owner = &file;
    } else {
        TRY(s->sink->copy_in_begin(s->sink, options.format == COPY_BINARY, u->copy.column_count));
    }
    err_t e = copy_from_wait(&c, rows);
    if (file.file)
        io_close_wait(file.file);
    return e;
}

/* ---- TO ---- */

/* "SELECT a, b FROM s.t" for COPY t (a, b) TO. */
static SUSPENDS err_t copy_table_query_wait(struct session *s, const struct utility *u,
                                            struct cached **out)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(&s->catalog, u->copy.table, &t));
    if (!t)
        return err_raise(ERR_UNDEFINED_TABLE, "relation with OID %u does not exist", u->copy.table);
    if (t->kind != 'r') {
        err_t e = err_raise(ERR_WRONG_OBJECT_TYPE, "cannot copy from %s \"%s\"",
                            t->kind == 'v' ? "view" : "sequence", t->name);
        err_hint("Try the COPY (SELECT ...) TO variant.");
        table_release(t);
        return e;
    }
    struct strbuf text;
    strbuf_init(&text, s->statement);
    strbuf_puts(&text, "SELECT ");
    for (uint32_t i = 0; i < u->copy.column_count; i++) {
        const char *column = t->columns[u->copy.columns[i] - 1].name;
        strbuf_printf(&text, "%s%s", i ? ", " : "", quote_identifier(s->statement, column));
    }
    strbuf_printf(&text, " FROM %s.%s", quote_identifier(s->statement, t->schema_name),
                  quote_identifier(s->statement, t->name));
    table_release(t);
    return cached_get_wait(s, text.data, NULL, 0, false, out);
}

static SUSPENDS err_t copy_to_run_wait(struct session *s, const struct utility *u,
                                       const struct plan *plan, uint64_t *rows)
{
    if (!plan->returns_rows)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED, "COPY query must have a RETURNING clause");
    struct copy_options options;
    TRY(copy_options_parse(u, plan->column_names, plan->column_count, s->statement, &options));
    TRY(run_lock_tables_wait(s, plan));
    txn_statement_begin(s->txn);
    struct exec_options eo = {
        .plan = plan, .txn = s->txn, .env = &s->env, .constraints = s->constraints};
    struct copy_to c = {
        .options = &options,
        .column_count = plan->column_count,
        .names = plan->column_names,
        .types = plan->column_types,
        .env = &s->env,
        .write = copy_client_write,
        .owner = s,
    };
    struct copy_file file = {0};
    if (u->copy.file) {
        TRY(copy_file_open_wait(s, u->copy.file, false, &file));
        c.write = copy_file_write;
        c.owner = &file;
    }
    err_t e = exec_start_wait(&eo, &c.exec);
    if (e == ERR_OK) {
        if (!u->copy.file)
            e = s->sink->copy_out_begin(s->sink, options.format == COPY_BINARY, plan->column_count);
        if (e == ERR_OK)
            e = copy_to_wait(&c, rows);
        exec_end_wait(c.exec);
    }
    if (file.file)
        io_close_wait(file.file);
    else if (e == ERR_OK)
        e = s->sink->copy_out_end(s->sink);
    run_statement_end(s);
    return e;
}

SUSPENDS err_t copy_run_wait(struct session *s, const struct utility *u, const char **tag)
{
    uint64_t rows = 0;
    if (u->copy.is_program)
        return err_not_built("COPY ... PROGRAM is not supported");
    if (u->copy.is_from) {
        if (s->read_only)
            return err_raise(ERR_READ_ONLY_SQL_TRANSACTION,
                             "cannot execute COPY FROM in a read-only transaction");
        uint64_t name = (uint64_t)s->catalog.database << 32 | u->copy.table;
        TRY(txn_lock_table_wait(s->txn, name, LOCK_ROW_EXCLUSIVE, false));
        const struct table_desc *t;
        TRY(table_by_oid_wait(&s->catalog, u->copy.table, &t));
        if (!t)
            return err_raise(ERR_UNDEFINED_TABLE, "relation with OID %u does not exist",
                             u->copy.table);
        txn_statement_begin(s->txn);
        err_t e = privilege_require_wait(&s->catalog, 'c', t->oid, s->catalog.user, "a");
        if (e == ERR_OK)
            e = copy_from_run_wait(s, u, t, &rows);
        table_release(t);
        run_statement_end(s);
        TRY(e);
    } else if (u->copy.query) {
        struct plan *plan;
        struct plan_options po = session_plan_options(s);
        TRY(plan_query_wait(&po, u->copy.query->query, s->statement, &plan));
        TRY(copy_to_run_wait(s, u, plan, &rows));
    } else {
        struct cached *c;
        TRY(copy_table_query_wait(s, u, &c));
        err_t e = run_lock_current_wait(s, &c, false);
        if (e == ERR_OK)
            e = copy_to_run_wait(s, u, c->plan, &rows);
        cached_release(c);
        TRY(e);
    }
    *tag = arena_printf(s->statement, "COPY %llu", (unsigned long long)rows);
    return ERR_OK;
}
