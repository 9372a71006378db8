/* CREATE TABLE: columns, defaults, sequences of serial and identity columns, LIKE, then
 * constraints. */
#include "sql/ddl/ddl_priv.h"

#include <stdlib.h>

enum { COLUMNS_MAX = 1600 };

err_t ddl_make_table_wait(struct ddl_context *x, const struct table_request *r, oid *out)
{
    oid first;
    TRY(catalog_new_oids_wait(x->catalog, 3, &first));
    oid row_type = r->no_row_type ? 0 : first + 1;
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    struct class_row c = {.oid = first,
                          .name = r->name,
                          .schema = r->schema,
                          .row_type = row_type,
                          .owner = r->owner,
                          .am = r->kind == 'v' ? 0 : AM_HEAP,
                          .file = r->kind == 'v' ? 0 : first,
                          .persistence = r->persistence,
                          .kind = r->kind,
                          .columns = (int16_t)r->column_count,
                          .has_rules = r->kind == 'v',
                          .options = r->options,
                          .option_count = r->option_count};
    TRY(rows_class(w, x->mem, &c));
    for (uint32_t i = 0; i < r->column_count; i++) {
        const struct ddl_column *d = &r->columns[i];
        struct attribute_row a = {.relation = first,
                                  .name = d->name,
                                  .type = d->type,
                                  .typmod = d->typmod,
                                  .collation = d->collation,
                                  .number = (int16_t)(i + 1),
                                  .dimensions = (int16_t)d->array_dimensions,
                                  .not_null = d->not_null,
                                  .identity = d->identity};
        TRY(rows_attribute(w, x->mem, &a));
    }
    if (r->kind != 'v')
        TRY(rows_system_attributes(w, x->mem, first));
    if (row_type)
        TRY(rows_types(w, x->mem, row_type, first + 2, r->name, r->schema, r->owner, first));
    TRY(rows_depend(w, x->mem, REL_CLASS, first, 0, REL_NAMESPACE, r->schema, 0, 'n'));
    if (r->kind != 'v')
        TRY(rows_distribution(w, x->mem, first, r->distribution, r->keys, r->key_count, 0));
    TRY(catalog_apply_wait(w));
    if (r->kind != 'v') {
        struct ddl_file heap = {file_of(x->catalog->database, first), FILE_HEAP};
        TRY(ddl_files_create_wait(x, &heap, 1));
    }
    *out = first;
    return ERR_OK;
}

/* ---- defaults ---- */

static SUSPENDS err_t remove_default_wait(struct ddl_context *x, struct catalog_writer *w,
                                          oid table, int16_t number)
{
    struct catalog_rows rows;
    struct catalog_rows deps;
    TRY(catalog_find_wait(x->catalog, REL_ATTRDEF, INDEX_ATTRDEF_ADRELID_ADNUM, 2, table,
                          datum_of_i16(number), x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++) {
        oid object = catalog_oid_value(&rows.rows[i], COL_OID);
        TRY(catalog_remove(w, REL_ATTRDEF, &rows.rows[i]));
        TRY(catalog_find_wait(x->catalog, REL_DEPEND, INDEX_DEPEND_DEPENDER, 2, REL_ATTRDEF, object,
                              x->mem, &deps));
        for (uint32_t k = 0; k < deps.count; k++)
            TRY(catalog_remove(w, REL_DEPEND, &deps.rows[k]));
    }
    return ERR_OK;
}

static SUSPENDS err_t store_default_wait(struct ddl_context *x, struct catalog_writer *w,
                                         const struct table_desc *t, int16_t number,
                                         const char *text)
{
    const struct column_desc *c = &t->columns[number - 1];
    struct ddl_expression e;
    TRY(ddl_expression_wait(x, t, text, c->type, c->typmod, &e));
    if (e.column_count)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "cannot use column reference in DEFAULT expression");
    oid object;
    TRY(catalog_new_oid_wait(x->catalog, &object));
    TRY(rows_attrdef(w, x->mem, object, t->oid, number, e.text));
    TRY(rows_depend(w, x->mem, REL_ATTRDEF, object, 0, REL_CLASS, t->oid, number, 'a'));
    for (uint32_t i = 0; i < e.sequence_count; i++)
        TRY(rows_depend(w, x->mem, REL_ATTRDEF, object, 0, REL_CLASS, e.sequences[i], 0, 'n'));
    return ERR_OK;
}

err_t ddl_set_default_wait(struct ddl_context *x, oid table, int16_t number, const char *text)
{
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(remove_default_wait(x, w, table, number));
    if (text) {
        const struct table_desc *t;
        TRY(table_by_oid_wait(x->catalog, table, &t));
        err_t e = store_default_wait(x, w, t, number, text);
        table_release(t);
        TRY(e);
    }
    TRY(catalog_apply_wait(w));
    return rows_set_wait(x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, table,
                         datum_of_i16(number), COL_ATTHASDEF, datum_of_bool(text != NULL), false);
}

err_t ddl_column_sequence_wait(struct ddl_context *x, oid table, int16_t number,
                               const struct ddl_column *c)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    struct sequence_request r = {.schema = t->schema,
                                 .owner = t->owner,
                                 .persistence = t->persistence,
                                 .type = c->type,
                                 .options = &c->identity_options};
    const char *table_name = arena_strdup(x->mem, t->name);
    table_release(t);
    if (c->identity_options.sequence_name)
        r.name = c->identity_options.sequence_name;
    else
        TRY(ddl_free_name_wait(x, r.schema, table_name, c->name, "seq", &r.name));
    oid sequence;
    TRY(ddl_make_sequence_wait(x, &r, &sequence));
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(rows_depend(w, x->mem, REL_CLASS, sequence, 0, REL_CLASS, table, number,
                    c->identity ? 'i' : 'a'));
    TRY(catalog_apply_wait(w));
    if (c->identity)
        return ERR_OK; /* nextval is implied */
    return ddl_set_default_wait(
        x, table, number,
        arena_printf(x->mem, "pg_catalog.nextval('%u'::pg_catalog.regclass)", sequence));
}

/* ---- options ---- */

static bool storage_option_known(const char *name)
{
    static const char *const names[] = {
        "fillfactor",         "toast_tuple_target",          "parallel_workers",
        "user_catalog_table", "vacuum_index_cleanup",        "vacuum_truncate",
        "autovacuum_enabled", "log_autovacuum_min_duration",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return strncmp(name, "autovacuum_", 11) == 0;
}

static err_t fillfactor_check(const char *value)
{
    char *end;
    long v = value ? strtol(value, &end, 10) : 0;
    if (!value || *end)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "invalid value for integer option \"fillfactor\": %s", value ? value : "");
    if (v < 10 || v > 100) {
        err_t e = err_raise(ERR_INVALID_PARAMETER_VALUE,
                            "value %s out of bounds for option \"fillfactor\"", value);
        err_detail("Valid values are between \"10\" and \"100\".");
        return e;
    }
    return ERR_OK;
}

err_t ddl_storage_option_check(const struct ddl_option *o)
{
    if (!storage_option_known(o->name))
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "unrecognized parameter \"%s\"", o->name);
    return strcmp(o->name, "fillfactor") == 0 ? fillfactor_check(o->value) : ERR_OK;
}

static int16_t column_number(const struct table_request *r, const char *name, size_t len)
{
    for (uint32_t i = 0; i < r->column_count; i++)
        if (strlen(r->columns[i].name) == len && memcmp(r->columns[i].name, name, len) == 0)
            return (int16_t)(i + 1);
    return 0;
}

static err_t shard_key_apply(struct table_request *r, const char *text)
{
    r->distribution = 'h';
    r->key_count = 0;
    for (const char *p = text; *p;) {
        p += strspn(p, ", ");
        size_t len = strcspn(p, ", ");
        if (len == 0)
            break;
        int16_t number = column_number(r, p, len);
        if (number == 0)
            return err_raise(ERR_UNDEFINED_COLUMN,
                             "column \"%.*s\" named in shard key does not exist", (int)len, p);
        if (!r->columns[number - 1].not_null)
            return err_raise(ERR_INVALID_TABLE_DEFINITION,
                             "shard key column \"%.*s\" must be NOT NULL", (int)len, p);
        if (r->key_count == ARRAY_LEN(r->keys))
            return err_raise(ERR_TOO_MANY_COLUMNS, "shard key has too many columns");
        r->keys[r->key_count++] = number;
        p += len;
    }
    if (r->key_count == 0)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "shard key is empty");
    return ERR_OK;
}

static err_t options_apply(struct ddl_context *x, const struct ddl_option *options, uint32_t count,
                           struct table_request *r)
{
    const char **kept = ARENA_ARRAY(x->mem, const char *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct ddl_option *o = &options[i];
        if (o->qualifier && strcmp(o->qualifier, "toast") != 0)
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "unrecognized parameter namespace \"%s\"",
                             o->qualifier);
        if (o->qualifier)
            continue;
        if (strcmp(o->name, "oids") == 0) {
            if (ddl_option_true(o->value ? o->value : "true"))
                return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                 "tables declared WITH OIDS are not supported");
            continue;
        }
        if (strcmp(o->name, "shard_key") == 0) {
            TRY(shard_key_apply(r, o->value ? o->value : ""));
        } else if (strcmp(o->name, "placement") == 0) {
            if (o->value && strcmp(o->value, "replicated") == 0)
                return err_not_built("placement = 'replicated' is not supported yet");
            if (!o->value || strcmp(o->value, "hash") != 0)
                return err_raise(ERR_INVALID_PARAMETER_VALUE,
                                 "invalid value for enum option \"placement\": %s",
                                 o->value ? o->value : "");
        } else {
            TRY(ddl_storage_option_check(o));
        }
        kept[r->option_count++] =
            arena_printf(x->mem, "%s=%s", o->name, o->value ? o->value : "true");
    }
    r->options = kept;
    return ERR_OK;
}

/* ---- LIKE ---- */

struct like_constraints {
    struct ddl_constraint *items;
    uint32_t count;
    struct index_request *indexes;
    uint32_t index_count;
};

static void like_column(struct ddl_context *x, const struct column_desc *c, uint32_t options,
                        struct ddl_column *out)
{
    *out = (struct ddl_column){.name = arena_strdup(x->mem, c->name),
                               .type = c->type,
                               .typmod = c->typmod,
                               .collation = c->collation,
                               .not_null = c->not_null};
    if ((options & LIKE_DEFAULTS) && c->default_sql)
        out->default_sql = arena_strdup(x->mem, c->default_sql);
    if ((options & LIKE_IDENTITY) && c->identity)
        out->identity = c->identity;
}

static void like_checks(struct ddl_context *x, const struct table_desc *t,
                        struct like_constraints *l)
{
    for (uint32_t i = 0; i < t->constraint_count; i++) {
        if (t->constraints[i].type != 'c')
            continue;
        struct ddl_constraint *c = &l->items[l->count++];
        *c =
            (struct ddl_constraint){.kind = CON_CHECK,
                                    .name = arena_strdup(x->mem, t->constraints[i].name),
                                    .check_sql = arena_strdup(x->mem, t->constraints[i].check_sql)};
    }
}

static void like_indexes(struct ddl_context *x, const struct table_desc *t,
                         struct like_constraints *l)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_desc *d = &t->indexes[i];
        struct ddl_index_item *items = ARENA_ARRAY(x->mem, struct ddl_index_item, d->column_count);
        ddl_items_of_index(x, t, d, items);
        if (d->is_constraint) {
            struct ddl_constraint *c = &l->items[l->count++];
            *c = (struct ddl_constraint){.kind = d->is_primary ? CON_PRIMARY : CON_UNIQUE,
                                         .column_count = d->key_count,
                                         .nulls_not_distinct = d->nulls_not_distinct,
                                         .deferrable = d->is_deferrable,
                                         .deferred =
                                             d->constraint != NULL && d->constraint->deferred};
            c->columns = ARENA_ARRAY(x->mem, const char *, d->key_count);
            for (uint32_t k = 0; k < d->key_count; k++)
                c->columns[k] = items[k].column;
            c->include_count = (uint32_t)(d->column_count - d->key_count);
            c->include = ARENA_ARRAY(x->mem, const char *, c->include_count + 1);
            for (uint32_t k = d->key_count; k < d->column_count; k++)
                c->include[k - d->key_count] = items[k].column;
            continue;
        }
        l->indexes[l->index_count++] = (struct index_request){
            .is_unique = d->is_unique,
            .nulls_not_distinct = d->nulls_not_distinct,
            .item_count = d->column_count,
            .key_count = d->key_count,
            .items = items,
            .predicate = d->predicate ? arena_strdup(x->mem, d->predicate) : NULL,
            .is_new_table = true,
            .label = "idx",
        };
    }
}

/* The columns with those of LIKE in their places; checks and indexes of the others go to l. */
static SUSPENDS err_t expand_likes_wait(struct ddl_context *x, const struct ddl_table *d,
                                        struct table_request *r, struct like_constraints *l)
{
    const struct table_desc **tables =
        ARENA_ARRAY(x->mem, const struct table_desc *, d->like_count + 1);
    uint32_t columns = d->column_count;
    uint32_t constraints = 0;
    uint32_t indexes = 0;
    err_t e = ERR_OK;
    for (uint32_t i = 0; e == ERR_OK && i < d->like_count; i++) {
        e = ddl_open_wait(x, &d->likes[i].table, LOCK_ACCESS_SHARE, &tables[i]);
        if (e == ERR_OK && !tables[i])
            e = ddl_missing(x, &d->likes[i].table, "relation");
        ASSUME(e != ERR_OK || tables[i] != NULL);
        if (e == ERR_OK && tables[i]->kind != 'r' && tables[i]->kind != 'v')
            e = err_raise(ERR_WRONG_OBJECT_TYPE, "relation \"%s\" is invalid in LIKE clause",
                          tables[i]->name);
        if (e != ERR_OK)
            break;
        columns += tables[i]->column_count;
        constraints += tables[i]->constraint_count + tables[i]->index_count;
        indexes += tables[i]->index_count;
    }
    if (e == ERR_OK) {
        r->columns = ARENA_ARRAY(x->mem, struct ddl_column, columns + 1);
        l->items = ARENA_ARRAY(x->mem, struct ddl_constraint, constraints + 1);
        l->indexes = ARENA_ARRAY(x->mem, struct index_request, indexes + 1);
        for (uint32_t c = 0, like = 0; c <= d->column_count; c++) {
            for (; like < d->like_count && d->likes[like].position == c; like++) {
                const struct table_desc *t = tables[like];
                uint32_t options = d->likes[like].options;
                for (uint32_t i = 0; i < t->column_count; i++)
                    if (!t->columns[i].dropped)
                        like_column(x, &t->columns[i], options, &r->columns[r->column_count++]);
                if (options & LIKE_CONSTRAINTS)
                    like_checks(x, t, l);
                if (options & LIKE_INDEXES)
                    like_indexes(x, t, l);
            }
            if (c < d->column_count)
                r->columns[r->column_count++] = d->columns[c];
        }
    }
    for (uint32_t i = 0; i < d->like_count; i++)
        table_release(tables[i]);
    return e;
}

/* ---- CREATE TABLE ---- */

bool ddl_is_system_column(const char *name)
{
    static const char *const names[] = {"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static err_t check_columns(const struct table_request *r)
{
    if (r->column_count > COLUMNS_MAX)
        return err_raise(ERR_TOO_MANY_COLUMNS, "tables can have at most %d columns", COLUMNS_MAX);
    for (uint32_t i = 0; i < r->column_count; i++) {
        const char *name = r->columns[i].name;
        if (ddl_is_system_column(name))
            return err_raise(ERR_DUPLICATE_COLUMN,
                             "column name \"%s\" conflicts with a system column name", name);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(r->columns[k].name, name) == 0)
                return err_raise(ERR_DUPLICATE_COLUMN, "column \"%s\" specified more than once",
                                 name);
    }
    return ERR_OK;
}

/* The primary key's columns are NOT NULL, and the shard key unless something else was said. */
static err_t apply_primary_key(struct ddl_context *x, struct table_request *r,
                               const struct ddl_constraint *c)
{
    bool is_key = r->distribution == 'k' && c->column_count <= ARRAY_LEN(r->keys);
    for (uint32_t i = 0; i < c->column_count; i++) {
        int16_t number = column_number(r, c->columns[i], strlen(c->columns[i]));
        if (number == 0)
            return ddl_error_at(x, c->location,
                                err_raise(ERR_UNDEFINED_COLUMN,
                                          "column \"%s\" named in key does not exist",
                                          c->columns[i]));
        if (r->columns[number - 1].null_given)
            return err_raise(ERR_SYNTAX_ERROR,
                             "conflicting NULL/NOT NULL declarations for column \"%s\" of table "
                             "\"%s\"",
                             c->columns[i], r->name);
        r->columns[number - 1].not_null = true;
        if (is_key)
            r->keys[r->key_count++] = number;
    }
    if (is_key)
        r->distribution = 'h';
    return ERR_OK;
}

static SUSPENDS err_t finish_columns_wait(struct ddl_context *x, oid table,
                                          const struct table_request *r)
{
    for (uint32_t i = 0; i < r->column_count; i++) {
        const struct ddl_column *c = &r->columns[i];
        int16_t number = (int16_t)(i + 1);
        if (c->serial != SERIAL_NONE || c->identity)
            TRY(ddl_column_sequence_wait(x, table, number, c));
        else if (c->default_sql)
            TRY(ddl_set_default_wait(x, table, number, c->default_sql));
    }
    return ERR_OK;
}

static SUSPENDS err_t add_constraints_wait(struct ddl_context *x, oid table,
                                           const struct ddl_constraint *list, uint32_t count,
                                           enum ddl_constraint_kind kind)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].kind == kind)
            TRY(ddl_add_constraint_wait(x, table, &list[i], true));
    return ERR_OK;
}

static SUSPENDS err_t create_wait(struct ddl_context *x, const struct ddl_table *d,
                                  struct table_request *r)
{
    struct like_constraints like = {0};
    TRY(expand_likes_wait(x, d, r, &like));
    TRY(check_columns(r));
    uint32_t primary = 0;
    struct ddl_constraint *all =
        ARENA_ARRAY(x->mem, struct ddl_constraint, d->constraint_count + like.count + 1);
    uint32_t count = d->constraint_count;
    if (count)
        memcpy(all, d->constraints, sizeof(*all) * count);
    for (uint32_t i = 0; i < like.count; i++)
        all[count++] = like.items[i];
    r->distribution = 'k';
    for (int pass = 0; pass < 2; pass++) {
        /* NOT NULL of the key first, for the shard_key option; then the key as shard key */
        for (uint32_t i = 0; i < count; i++) {
            if (all[i].kind != CON_PRIMARY)
                continue;
            char distribution = r->distribution;
            if (pass == 0)
                r->distribution = 'h';
            TRY(apply_primary_key(x, r, &all[i]));
            if (pass == 0)
                r->distribution = distribution;
            primary += (uint32_t)pass;
            if (primary > 1)
                return ddl_error_at(x, all[i].location,
                                    err_raise(ERR_INVALID_TABLE_DEFINITION,
                                              "multiple primary keys for table \"%s\" are not "
                                              "allowed",
                                              r->name));
        }
        if (pass == 0)
            TRY(options_apply(x, d->options, d->option_count, r));
    }
    oid table;
    TRY(ddl_make_table_wait(x, r, &table));
    TRY(finish_columns_wait(x, table, r));
    TRY(add_constraints_wait(x, table, all, count, CON_CHECK));
    TRY(add_constraints_wait(x, table, all, count, CON_PRIMARY));
    TRY(add_constraints_wait(x, table, all, count, CON_UNIQUE));
    for (uint32_t i = 0; i < like.index_count; i++) {
        oid index;
        like.indexes[i].table = table;
        TRY(ddl_make_index_wait(x, &like.indexes[i], &index));
    }
    return add_constraints_wait(x, table, all, count, CON_FOREIGN);
}

/* *skip: it exists and IF NOT EXISTS was said. */
static SUSPENDS err_t new_relation_wait(struct ddl_context *x, const struct ddl_table *d,
                                        struct table_request *r, bool *skip)
{
    *skip = false;
    *r = (struct table_request){.name = d->name.name, .kind = 'r', .owner = x->catalog->user};
    TRY(ddl_creation_schema_wait(x, &d->name, &r->schema, &r->schema_name, &r->persistence));
    if (d->tablespace && strcmp(d->tablespace, "pg_default") != 0 && *d->tablespace)
        return err_raise(ERR_UNDEFINED_OBJECT, "tablespace \"%s\" does not exist", d->tablespace);
    if (d->access_method && strcmp(d->access_method, "heap") != 0)
        return err_raise(ERR_UNDEFINED_OBJECT, "access method \"%s\" does not exist",
                         d->access_method);
    if (d->on_commit != ON_COMMIT_KEEP)
        return err_not_built("ON COMMIT DROP and DELETE ROWS are not supported");
    bool exists;
    TRY(ddl_relation_exists_wait(x, r->schema, r->name, &exists));
    if (!exists)
        return ERR_OK;
    if (!d->if_not_exists)
        return err_raise(ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", r->name);
    ddl_notice_code(x, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists, skipping", r->name);
    *skip = true;
    return ERR_OK;
}

err_t ddl_create_table_run_wait(struct ddl_context *x, const struct ddl *d)
{
    struct table_request *r = ARENA_NEW(x->mem, struct table_request);
    bool skip;
    TRY(new_relation_wait(x, d->table, r, &skip));
    return skip ? ERR_OK : create_wait(x, d->table, r);
}

/* ---- CREATE TABLE AS ---- */

static err_t as_columns(struct ddl_context *x, const struct ddl_table *d, const struct plan *p,
                        struct table_request *r)
{
    r->columns = ARENA_ARRAY(x->mem, struct ddl_column, p->column_count + 1);
    r->column_count = p->column_count;
    if (d->column_name_count > p->column_count)
        return err_raise(ERR_SYNTAX_ERROR, "too many column names were specified");
    for (uint32_t i = 0; i < p->column_count; i++) {
        struct ddl_column *c = &r->columns[i];
        c->name = i < d->column_name_count ? d->column_names[i] : p->column_names[i];
        c->type = p->column_types[i] == TYPE_UNKNOWN ? TYPE_TEXT : p->column_types[i];
        c->typmod = p->column_typmods[i];
        const struct type_info *type = type_find(c->type);
        if (!type || type->typtype == 'p' || type->typtype == 'c')
            return err_raise(ERR_INVALID_TABLE_DEFINITION, "column \"%s\" has pseudo-type %s",
                             c->name, type_display(x->mem, c->type));
        c->collation = type->collation;
    }
    return check_columns(r);
}

static SUSPENDS err_t as_fill_wait(struct ddl_context *x, const struct plan *p, oid table,
                                   uint64_t *rows)
{
    struct plan_options po = ddl_plan_options(x);
    struct plan_table *t;
    struct table_writer *w = NULL;
    TRY(plan_table_make_wait(&po, table, x->mem, &t));
    struct exec_options o = {.plan = p,
                             .txn = x->catalog->txn,
                             .env = x->env,
                             .params = x->params,
                             .param_nulls = x->param_nulls,
                             .param_count = x->param_count,
                             .constraints = x->constraints};
    struct exec *run;
    TRY(exec_start_wait(&o, &run));
    err_t e = table_writer_open_wait(t, x->catalog->txn, x->env, NULL, x->mem, &w);
    while (e == ERR_OK) {
        const struct slot *row;
        e = exec_next_wait(run, &row);
        if (e != ERR_OK || !row)
            break;
        e = table_writer_add_wait(w, row->values, row->nulls);
        if (e != ERR_OK) {
            table_writer_abandon_wait(w);
            exec_end_wait(run);
            return e;
        }
    }
    exec_end_wait(run);
    if (e != ERR_OK) {
        if (w)
            table_writer_abandon_wait(w);
        return e;
    }
    return table_writer_close_wait(w, rows);
}

err_t ddl_create_table_as_run_wait(struct ddl_context *x, const struct ddl *d, const char **tag)
{
    struct table_request *r = ARENA_NEW(x->mem, struct table_request);
    bool skip;
    TRY(new_relation_wait(x, d->table, r, &skip));
    *tag = "CREATE TABLE AS";
    if (skip)
        return ERR_OK;
    if (!d->table->query || !d->table->query->query)
        return err_not_built("CREATE TABLE AS of this statement is not supported");
    struct plan_options o = ddl_plan_options(x);
    struct plan *p;
    o.params = x->params;
    o.param_nulls = x->param_nulls;
    o.param_count = x->param_count;
    TRY(plan_query_wait(&o, d->table->query->query, x->mem, &p));
    for (uint32_t i = 0; i < p->lock_count; i++)
        TRY(ddl_lock_wait(x, p->locks[i].table, p->locks[i].mode));
    TRY(as_columns(x, d->table, p, r));
    r->distribution = 'k';
    TRY(options_apply(x, d->table->options, d->table->option_count, r));
    oid table;
    TRY(ddl_make_table_wait(x, r, &table));
    uint64_t rows = 0;
    if (d->table->with_no_data)
        return ERR_OK;
    TRY(as_fill_wait(x, p, table, &rows));
    *tag = arena_printf(x->mem, "SELECT %llu", (unsigned long long)rows);
    return ERR_OK;
}
