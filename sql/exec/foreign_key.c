/*
 * Foreign keys as descriptors ready for use, one cache per core, and the SQL of their actions.
 *
 * A descriptor is made from the catalog at first use and stays until the catalog's version changes.
 * A transaction that changed the catalog makes its own for each use. Statements are planned when
 * first needed; their plans live and go with the descriptor.
 */
#include "sql/exec/constraint_priv.h"

#include "sql/parse/parse.h"
#include "sql/types/quote.h"

enum { BUCKETS = 256 };

static struct foreign_key **tables[CORE_COUNT_MAX]; /* each used on its core only */

static struct foreign_key **bucket_of(oid constraint)
{
    struct foreign_key ***t = &tables[core_id()];
    if (*t == NULL)
        *t = core_zalloc(BUCKETS * sizeof(**t));
    return &(*t)[constraint % BUCKETS];
}

/* ---- making ---- */

static bool is_integer(oid type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

static bool is_text(oid type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR;
}

/* Equal values of both types have the same bytes in an index, or none there. */
static bool types_alike(oid a, oid b)
{
    return a == b || (is_integer(a) && is_integer(b)) || (is_text(a) && is_text(b));
}

static void take_end(struct foreign_key *k, const struct plan_table *t, const int16_t *columns,
                     int16_t **own, struct row_layout **layout, struct key_column **keys)
{
    oid types[FOREIGN_COLUMNS_MAX];
    *own = arena_memdup(k->mem, columns, sizeof(int16_t) * k->count);
    *keys = ARENA_ARRAY(k->mem, struct key_column, k->count);
    for (uint32_t i = 0; i < k->count; i++) {
        types[i] = t->column_types[columns[i] - 1];
        (*keys)[i].type = type_find(types[i]);
    }
    *layout = row_layout_new(k->mem, types, k->count);
}

static err_t take_index(struct foreign_key *k, const struct constraint_desc *c)
{
    for (uint32_t i = 0; i < k->target->index_count; i++)
        if (k->target->indexes[i].oid == c->index)
            k->index = &k->target->indexes[i];
    if (k->index == NULL || k->index->key_count != k->count ||
        (k->index->file == 0 && k->index->map_table == NULL))
        return err_raise(ERR_DATA_CORRUPTED, "index of foreign key \"%s\" is damaged", c->name);
    k->places = ARENA_ARRAY(k->mem, uint16_t, k->count);
    k->is_direct = true;
    for (uint32_t i = 0; i < k->count; i++) {
        uint32_t at = UINT32_MAX;
        for (uint32_t j = 0; j < k->count; j++)
            if (k->target_columns[j] == k->index->attnos[i])
                at = j;
        if (at == UINT32_MAX)
            return err_raise(ERR_DATA_CORRUPTED, "index of foreign key \"%s\" is damaged", c->name);
        k->places[i] = u16_from(at);
        k->is_direct = k->is_direct && types_alike(k->key_columns[at].type->oid,
                                                   k->target_key_columns[at].type->oid);
    }
    return ERR_OK;
}

static SUSPENDS err_t fill_wait(struct constraint_queue *q, struct foreign_key *k,
                                const struct constraint_desc *c, oid table)
{
    struct plan_options o = {.catalog = q->catalog, .env = q->env};
    if (c->column_count == 0 || c->column_count > FOREIGN_COLUMNS_MAX)
        return err_raise(ERR_DATA_CORRUPTED, "foreign key \"%s\" is damaged", c->name);
    k->name = arena_strdup(k->mem, c->name);
    k->update_action = c->update_action;
    k->delete_action = c->delete_action;
    k->match = c->match;
    k->deferrable = c->deferrable;
    k->deferred = c->deferred;
    k->count = c->column_count;
    k->delete_count = c->delete_column_count;
    k->delete_columns =
        arena_memdup(k->mem, c->delete_columns, sizeof(int16_t) * c->delete_column_count);
    struct plan_table *own;
    struct plan_table *target;
    TRY(plan_table_make_wait(&o, table, k->mem, &own));
    TRY(plan_table_make_wait(&o, c->foreign_table, k->mem, &target));
    k->table = own;
    k->target = target;
    take_end(k, own, c->columns, &k->columns, &k->layout, &k->key_columns);
    take_end(k, target, c->foreign_columns, &k->target_columns, &k->target_layout,
             &k->target_key_columns);
    return take_index(k, c);
}

static SUSPENDS err_t make_wait(struct constraint_queue *q, oid table, oid constraint,
                                struct foreign_key **out)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(q->catalog, table, &t));
    const struct constraint_desc *c = NULL;
    for (uint32_t i = 0; t != NULL && i < t->constraint_count; i++)
        if (t->constraints[i].oid == constraint && t->constraints[i].type == 'f')
            c = &t->constraints[i];
    if (c == NULL) {
        table_release(t);
        return err_raise(ERR_INTERNAL_ERROR, "foreign key %u of relation %u is gone", constraint,
                         table);
    }
    struct arena *mem = arena_new();
    struct foreign_key *k = ARENA_NEW(mem, struct foreign_key);
    k->mem = mem;
    k->database = q->catalog->database;
    k->constraint = constraint;
    k->references = 1;
    err_t e = fill_wait(q, k, c, table);
    table_release(t);
    if (e != ERR_OK) {
        arena_free(mem);
        return e;
    }
    *out = k;
    return ERR_OK;
}

void foreign_key_release(struct foreign_key *k)
{
    if (--k->references == 0 && !k->is_linked)
        arena_free(k->mem);
}

static void unlink_key(struct foreign_key **at)
{
    struct foreign_key *k = *at;
    *at = k->next;
    k->is_linked = false;
    if (k->references == 0)
        arena_free(k->mem);
}

static struct foreign_key *find_cached(const struct constraint_queue *q, oid constraint)
{
    for (struct foreign_key **at = bucket_of(constraint); *at != NULL;) {
        struct foreign_key *k = *at;
        if (k->version != catalog_version()) {
            unlink_key(at);
            continue;
        }
        if (k->constraint == constraint && k->database == q->catalog->database) {
            k->references++;
            return k;
        }
        at = &k->next;
    }
    return NULL;
}

SUSPENDS err_t foreign_key_get_wait(struct constraint_queue *q, oid table, oid constraint,
                                    struct foreign_key **out)
{
    bool is_private = q->catalog->txn_changed_catalog;
    *out = is_private ? NULL : find_cached(q, constraint);
    if (*out != NULL)
        return ERR_OK;
    uint64_t version = catalog_version();
    struct foreign_key *k = NULL;
    TRY(make_wait(q, table, constraint, &k));
    k->version = version;
    struct foreign_key *other = is_private ? NULL : find_cached(q, constraint);
    if (other != NULL) { /* another fiber was faster */
        foreign_key_release(k);
        *out = other;
        return ERR_OK;
    }
    if (!is_private && version == catalog_version()) {
        struct foreign_key **bucket = bucket_of(constraint);
        k->next = *bucket;
        *bucket = k;
        k->is_linked = true;
    }
    *out = k;
    return ERR_OK;
}

/* ---- statements ---- */

oid foreign_param_type(const struct foreign_key *k, enum foreign_statement s, uint32_t column)
{
    oid own = k->key_columns[column].type->oid;
    oid target = k->target_key_columns[column].type->oid;
    if (s == STATEMENT_FIND)
        return own;
    /* so that an index on the referencing column serves */
    return is_integer(own) && is_integer(target) ? own : target;
}

static void put_table(const struct foreign_key *k, const struct plan_table *t, struct strbuf *b)
{
    strbuf_printf(b, "%s.%s x", quote_identifier(k->mem, t->schema_name),
                  quote_identifier(k->mem, t->name));
}

static void put_condition(const struct foreign_key *k, const struct plan_table *t,
                          const int16_t *columns, bool many, struct strbuf *b)
{
    for (uint32_t i = 0; i < k->count; i++)
        strbuf_printf(b, "%s x.%s OPERATOR(pg_catalog.=) %s$%u%s", i > 0 ? " AND" : " WHERE",
                      quote_identifier(k->mem, t->column_names[columns[i] - 1]),
                      many ? "ANY (" : "", i + 1, many ? ")" : "");
}

static void put_sets(const struct foreign_key *k, enum foreign_statement s, struct strbuf *b)
{
    bool is_list = (s == STATEMENT_SET_NULL || s == STATEMENT_SET_DEFAULT) && k->delete_count > 0;
    const int16_t *columns = is_list ? k->delete_columns : k->columns;
    uint32_t count = is_list ? k->delete_count : k->count;
    strbuf_puts(b, " SET ");
    for (uint32_t i = 0; i < count; i++) {
        strbuf_printf(b, "%s%s = ", i > 0 ? ", " : "",
                      quote_identifier(k->mem, k->table->column_names[columns[i] - 1]));
        if (s == STATEMENT_UPDATE)
            strbuf_printf(b, "$%u", k->count + i + 1);
        else
            strbuf_puts(b, s == STATEMENT_SET_NULL || s == STATEMENT_SET_NULL_ALL ? "NULL"
                                                                                  : "DEFAULT");
    }
}

static const char *statement_text(const struct foreign_key *k, enum foreign_statement s, bool many,
                                  struct arena *mem)
{
    struct strbuf b;
    strbuf_init(&b, mem);
    bool is_find = s == STATEMENT_FIND;
    const struct plan_table *t = is_find ? k->target : k->table;
    bool is_select = is_find || s == STATEMENT_REFERRER;
    strbuf_puts(&b, is_select               ? "SELECT 1 FROM ONLY "
                    : s == STATEMENT_DELETE ? "DELETE FROM ONLY "
                                            : "UPDATE ONLY ");
    put_table(k, t, &b);
    if (!is_select && s != STATEMENT_DELETE)
        put_sets(k, s, &b);
    put_condition(k, t, is_find ? k->target_columns : k->columns, many, &b);
    if (is_select)
        strbuf_puts(&b, " FOR KEY SHARE OF x");
    return b.data;
}

static SUSPENDS err_t plan_text_wait(struct constraint_queue *q, const char *text, const oid *types,
                                     uint32_t type_count, struct arena *mem, struct plan **out)
{
    struct parsed *parsed;
    struct statement *st;
    uint64_t version = catalog_version();
    TRY(parse_text(text, mem, &parsed));
    struct analyze_options ao = {.catalog = q->catalog,
                                 .env = q->env,
                                 .text = text,
                                 .param_types = types,
                                 .param_count = type_count,
                                 .params_fixed = true};
    struct plan_options po = {.catalog = q->catalog, .env = q->env};
    err_t e = analyze_statement_wait(&ao, &parsed->statements[0], mem, &st);
    if (e == ERR_OK)
        e = plan_query_wait(&po, st->query, mem, out);
    parse_free(parsed);
    if (e == ERR_OK)
        (*out)->catalog_version = version;
    return e;
}

SUSPENDS err_t foreign_key_plan_wait(struct constraint_queue *q, struct foreign_key *k,
                                     enum foreign_statement s, bool many, const struct plan **out)
{
    struct plan **slot = many ? &k->many[s] : &k->single[s];
    *out = *slot;
    if (*slot != NULL)
        return ERR_OK;
    oid types[FOREIGN_COLUMNS_MAX * 2] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < k->count; i++)
        types[count++] = foreign_param_type(k, s, i);
    if (many)
        types[0] = type_find(types[0])->array;
    for (uint32_t i = 0; s == STATEMENT_UPDATE && i < k->count; i++)
        types[count++] = k->target_key_columns[i].type->oid;
    struct plan *plan;
    TRY(plan_text_wait(q, statement_text(k, s, many, k->mem), types, count, k->mem, &plan));
    if (*slot == NULL)
        *slot = plan;
    *out = *slot;
    return ERR_OK;
}

/* ---- validation ---- */

/* The planner's join finds rows without a match; with a MATCH FULL key those with a null in part.
 */
static const char *orphan_text(const struct foreign_key *k, struct arena *mem)
{
    struct strbuf b;
    strbuf_init(&b, mem);
    strbuf_puts(&b, "SELECT ");
    for (uint32_t i = 0; i < k->count; i++)
        strbuf_printf(&b, "%sx.%s", i > 0 ? ", " : "",
                      quote_identifier(mem, k->table->column_names[k->columns[i] - 1]));
    strbuf_puts(&b, " FROM ONLY ");
    put_table(k, k->table, &b);
    strbuf_printf(&b, " LEFT OUTER JOIN ONLY %s.%s y ON (",
                  quote_identifier(mem, k->target->schema_name),
                  quote_identifier(mem, k->target->name));
    for (uint32_t i = 0; i < k->count; i++)
        strbuf_printf(&b, "%sy.%s OPERATOR(pg_catalog.=) x.%s", i > 0 ? " AND " : "",
                      quote_identifier(mem, k->target->column_names[k->target_columns[i] - 1]),
                      quote_identifier(mem, k->table->column_names[k->columns[i] - 1]));
    strbuf_printf(&b, ") WHERE y.%s IS NULL AND (",
                  quote_identifier(mem, k->target->column_names[k->target_columns[0] - 1]));
    for (uint32_t i = 0; i < k->count; i++)
        strbuf_printf(&b, "%sx.%s IS NOT NULL",
                      i == 0            ? ""
                      : k->match == 'f' ? " OR "
                                        : " AND ",
                      quote_identifier(mem, k->table->column_names[k->columns[i] - 1]));
    strbuf_puts(&b, ")");
    return b.data;
}

SUSPENDS err_t foreign_orphan_wait(struct constraint_queue *q, struct foreign_key *k,
                                   struct arena *mem, datum *values, bool *nulls, bool *found)
{
    struct plan *plan;
    struct exec *x;
    TRY(plan_text_wait(q, orphan_text(k, mem), NULL, 0, mem, &plan));
    struct exec_options o = {.plan = plan, .txn = q->catalog->txn, .env = q->env};
    TRY(exec_start_wait(&o, &x));
    const struct slot *row = NULL;
    err_t e = exec_next_wait(x, &row);
    *found = e == ERR_OK && row != NULL;
    for (uint32_t i = 0; *found && i < k->count; i++) {
        nulls[i] = row->nulls[i];
        if (!nulls[i])
            values[i] = datum_copy(mem, row->values[i], k->key_columns[i].type->by_value);
    }
    exec_end_wait(x);
    return e;
}
