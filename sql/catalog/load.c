/*
 * Compiling descriptors: from the static facts for the system catalogs, from catalog rows for
 * everything else. Two trips to shard 0: the table's own rows, then those of its indexes.
 */
#include "sql/catalog/cache.h"
#include "sql/catalog/views.h"

#include <stdlib.h>

enum loader_probe {
    PROBE_CLASS,
    PROBE_ATTRIBUTES,
    PROBE_DEFAULTS,
    PROBE_INDEXES,
    PROBE_CONSTRAINTS,
    PROBE_SEQUENCE,
    PROBE_RULE,
    PROBE_STATISTICS,
    PROBE_DEPENDENTS,
    PROBE_DISTRIBUTION,
    PROBE_TRIGGERS,
    PROBE_COUNT
};

struct loader {
    struct catalog_session *cs;
    struct arena *mem;     /* of the descriptor */
    struct arena *scratch; /* rows */
    struct table_desc *t;
    struct catalog_probe probes[PROBE_COUNT];
    struct catalog_rows *found[PROBE_COUNT];
};

static const char *load_text(const struct loader *l, const struct catalog_row *row, int column)
{
    return catalog_text_value(l->mem, row, column, NULL);
}

/* ---- system relations ---- */

static void static_indexes(struct arena *mem, const struct catalog_relation *r, oid database,
                           struct table_desc *t)
{
    const struct catalog_table *f = r->fact;
    t->indexes = ARENA_ARRAY(mem, struct index_desc, f->index_count + 1);
    for (uint32_t i = 0; i < f->index_count; i++) {
        const struct catalog_index *x = &f->indexes[i];
        if (!r->index_keys[i])
            continue;
        struct index_desc *d = &t->indexes[t->index_count++];
        d->oid = x->oid;
        d->name = x->name;
        d->am = AM_BTREE;
        d->file = catalog_index_file(database, r, i);
        d->is_unique = x->is_unique;
        d->is_primary = x->is_primary;
        d->is_constraint = x->is_unique;
        d->is_valid = true;
        d->is_ready = true;
        d->is_live = true;
        d->key_count = x->key_count;
        d->column_count = x->key_count;
        d->key_columns = r->index_keys[i];
        d->keys = ARENA_ARRAY(mem, struct index_key, x->key_count);
        for (uint32_t k = 0; k < x->key_count; k++) {
            d->keys[k].attno = x->keys[k];
            d->keys[k].type = f->columns[x->keys[k] - 1].type;
            d->keys[k].collation = f->columns[x->keys[k] - 1].collation;
            d->keys[k].opclass = x->classes[k];
        }
    }
}

static struct cached_table *load_static(const struct catalog_relation *r, oid database)
{
    const struct catalog_table *f = r->fact;
    struct arena *mem = arena_new();
    struct cached_table *c = ARENA_NEW(mem, struct cached_table);
    struct table_desc *t = &c->desc;
    c->mem = mem;
    c->database = database;
    t->oid = f->oid;
    t->name = f->name;
    t->schema = r->schema;
    t->schema_name = r->schema == SCHEMA_PG_CATALOG ? "pg_catalog" : "information_schema";
    t->kind = f->kind;
    t->persistence = 'p';
    t->owner = ROLE_BOOTSTRAP;
    t->row_type = f->row_type;
    t->is_system = true;
    t->is_shared = f->is_shared;
    t->column_count = f->column_count;
    t->columns = ARENA_ARRAY(mem, struct column_desc, f->column_count);
    for (uint32_t i = 0; i < f->column_count; i++) {
        struct column_desc *d = &t->columns[i];
        d->name = f->columns[i].name;
        d->type = f->columns[i].type;
        d->typmod = f->columns[i].typmod;
        d->collation = f->columns[i].collation;
        d->attno = f->columns[i].attnum;
        d->not_null = f->columns[i].not_null;
    }
    t->layout = r->layout;
    t->catalog_version = catalog_version();
    if (f->kind == 'v') {
        t->distribution = DISTRIBUTED_NONE;
        t->view_sql = r->view_sql ? r->view_sql : views_system_sql(f->name);
        t->virtual_name = t->view_sql ? NULL : f->name;
        t->rows_estimate = -1;
        return c;
    }
    t->file = catalog_file(database, r);
    t->distribution = DISTRIBUTED_SHARD_0;
    t->rows_estimate = r->rows ? r->rows->row_count : 20;
    t->pages_estimate = t->rows_estimate / 50 + 1;
    static_indexes(mem, r, database, t);
    return c;
}

/* ---- stored relations ---- */

static err_t load_columns(struct loader *l)
{
    struct table_desc *t = l->t;
    const struct catalog_rows *rows = l->found[PROBE_ATTRIBUTES];
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++)
        count = MAX(count, (uint32_t)MAX(catalog_int_value(&rows->rows[i], COL_ATTNUM), 0));
    t->column_count = count;
    t->columns = ARENA_ARRAY(l->mem, struct column_desc, count + 1);
    oid *types = ARENA_ARRAY(l->mem, oid, count + 1);
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct catalog_row *r = &rows->rows[i];
        int32_t number = catalog_int_value(r, COL_ATTNUM);
        if (number <= 0)
            continue;
        struct column_desc *c = &t->columns[number - 1];
        c->name = load_text(l, r, COL_ATTNAME);
        c->type = catalog_oid_value(r, COL_ATTTYPID);
        c->typmod = catalog_int_value(r, COL_ATTTYPMOD);
        c->collation = catalog_oid_value(r, COL_ATTCOLLATION);
        c->attno = (int16_t)number;
        c->not_null = catalog_bool_value(r, COL_ATTNOTNULL);
        c->dropped = catalog_bool_value(r, COL_ATTISDROPPED);
        c->identity = catalog_char_value(r, COL_ATTIDENTITY);
        c->generated = catalog_char_value(r, COL_ATTGENERATED);
        /* A dropped column's type is gone from pg_attribute; its storage type is kept in
         * attcacheoff's place, which is never used. */
        types[number - 1] = c->dropped ? (oid)catalog_int_value(r, COL_ATTCACHEOFF) : c->type;
        if (c->dropped)
            c->type = types[number - 1];
        if (catalog_bool_value(r, COL_ATTHASMISSING) && !r->nulls[COL_ATTMISSINGVAL - 1]) {
            struct array_view view;
            TRY(array_read(l->scratch, r->values[COL_ATTMISSINGVAL - 1], &view));
            const struct type_info *type = type_find(c->type);
            if (view.count == 1 && type) {
                c->has_missing = true;
                c->missing_is_null = view.nulls[0];
                if (!c->missing_is_null)
                    c->missing = datum_copy(l->mem, view.values[0], type->by_value);
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!t->columns[i].name || !type_find(types[i])) {
            /* composite and other user types are not stored yet */
            if (t->columns[i].name && t->kind != 'r')
                continue;
            return err_raise(ERR_DATA_CORRUPTED, "pg_attribute of relation \"%s\" is damaged",
                             t->name);
        }
    }
    if (t->kind == 'r' || t->kind == 't')
        t->layout = row_layout_new(l->mem, types, count);
    const struct catalog_rows *defaults = l->found[PROBE_DEFAULTS];
    for (uint32_t i = 0; i < defaults->count; i++) {
        int32_t number = catalog_int_value(&defaults->rows[i], COL_ADNUM);
        if (number > 0 && (uint32_t)number <= count)
            t->columns[number - 1].default_sql = load_text(l, &defaults->rows[i], COL_ADBIN);
    }
    const struct catalog_rows *dependents = l->found[PROBE_DEPENDENTS];
    for (uint32_t i = 0; i < dependents->count; i++) {
        const struct catalog_row *r = &dependents->rows[i];
        int32_t sub = catalog_int_value(r, COL_REFOBJSUBID);
        char type = catalog_char_value(r, COL_DEPTYPE);
        if (catalog_oid_value(r, COL_CLASSID) == REL_CLASS &&
            catalog_int_value(r, COL_OBJSUBID) == 0 && (type == 'a' || type == 'i') && sub > 0 &&
            (uint32_t)sub <= count)
            t->columns[sub - 1].owned_sequence = catalog_oid_value(r, COL_OBJID);
    }
    return ERR_OK;
}

static err_t load_int2s(struct loader *l, datum array, uint32_t *count, int16_t **out)
{
    const datum *values;
    TRY(catalog_array_read(l->scratch, array, count, &values));
    *out = ARENA_ARRAY(l->mem, int16_t, *count + 1);
    for (uint32_t i = 0; i < *count; i++)
        (*out)[i] = datum_i16(values[i]);
    return ERR_OK;
}

static err_t load_distribution(struct loader *l)
{
    struct table_desc *t = l->t;
    const struct catalog_rows *rows = l->found[PROBE_DISTRIBUTION];
    t->distribution = DISTRIBUTED_NONE;
    if (t->kind != 'r' && t->kind != 't')
        return ERR_OK;
    t->distribution = DISTRIBUTED_KEYLESS;
    if (rows->count == 0)
        return ERR_OK;
    char kind = catalog_char_value(&rows->rows[0], COL_DISKIND);
    if (kind == 'r')
        t->distribution = DISTRIBUTED_REPLICATED;
    if (kind != 'h')
        return ERR_OK;
    uint32_t count;
    int16_t *keys;
    TRY(load_int2s(l, rows->rows[0].values[COL_DISKEYS - 1], &count, &keys));
    if (count == 0 || count > ARRAY_LEN(t->shard_key))
        return err_raise(ERR_DATA_CORRUPTED, "shard key of relation \"%s\" is damaged", t->name);
    t->distribution = DISTRIBUTED_HASH;
    t->shard_key_count = (uint16_t)count;
    t->shard_key_columns = ARENA_ARRAY(l->mem, struct key_column, count);
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i] < 1 || (uint32_t)keys[i] > t->column_count)
            return err_raise(ERR_DATA_CORRUPTED, "shard key of relation \"%s\" is damaged",
                             t->name);
        t->shard_key[i] = keys[i];
        t->shard_key_columns[i].type = type_find(t->columns[keys[i] - 1].type);
    }
    return ERR_OK;
}

enum { TRIGGER_FOREIGN_DELETE = 1 | 8 }; /* row, DELETE */

/* RI_FKey_cascade_del to RI_FKey_noaction_upd */
static bool is_foreign_action(oid function)
{
    return function >= 1646 && function <= 1655;
}

static err_t damaged_constraint(const struct loader *l)
{
    return err_raise(ERR_DATA_CORRUPTED, "pg_constraint of relation \"%s\" is damaged", l->t->name);
}

static err_t load_foreign_key(struct loader *l, const struct catalog_row *r,
                              struct constraint_desc *c)
{
    uint32_t count = 0;
    c->foreign_table = catalog_oid_value(r, COL_CONFRELID);
    c->update_action = catalog_char_value(r, COL_CONFUPDTYPE);
    c->delete_action = catalog_char_value(r, COL_CONFDELTYPE);
    c->match = catalog_char_value(r, COL_CONFMATCHTYPE);
    if (r->nulls[COL_CONFKEY - 1])
        return damaged_constraint(l);
    TRY(load_int2s(l, r->values[COL_CONFKEY - 1], &count, &c->foreign_columns));
    if (count == 0 || count != c->column_count)
        return damaged_constraint(l);
    for (uint32_t i = 0; i < count; i++)
        if (c->columns[i] < 1 || (uint32_t)c->columns[i] > l->t->column_count)
            return damaged_constraint(l);
    if (!r->nulls[COL_CONFDELSETCOLS - 1]) {
        TRY(load_int2s(l, r->values[COL_CONFDELSETCOLS - 1], &count, &c->delete_columns));
        c->delete_column_count = u16_from(count);
    }
    return ERR_OK;
}

static err_t load_constraints(struct loader *l)
{
    struct table_desc *t = l->t;
    const struct catalog_rows *rows = l->found[PROBE_CONSTRAINTS];
    t->constraint_count = rows->count;
    t->constraints = ARENA_ARRAY(l->mem, struct constraint_desc, rows->count + 1);
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct catalog_row *r = &rows->rows[i];
        struct constraint_desc *c = &t->constraints[i];
        c->oid = catalog_oid_value(r, COL_OID);
        c->name = load_text(l, r, COL_CONNAME);
        c->type = catalog_char_value(r, COL_CONTYPE);
        c->deferrable = catalog_bool_value(r, COL_CONDEFERRABLE);
        c->deferred = catalog_bool_value(r, COL_CONDEFERRED);
        c->validated = catalog_bool_value(r, COL_CONVALIDATED);
        c->index = catalog_oid_value(r, COL_CONINDID);
        c->check_sql = load_text(l, r, COL_CONBIN);
        if (!r->nulls[COL_CONKEY - 1]) {
            uint32_t count;
            TRY(load_int2s(l, r->values[COL_CONKEY - 1], &count, &c->columns));
            c->column_count = u16_from(count);
        }
        if (c->type == 'f')
            TRY(load_foreign_key(l, r, c));
    }
    return ERR_OK;
}

/* The foreign keys that refer to this table: known by the triggers that their actions have here. */
static SUSPENDS err_t load_referrers_wait(struct loader *l)
{
    struct table_desc *t = l->t;
    const struct catalog_rows *triggers = l->found[PROBE_TRIGGERS];
    if (triggers->count == 0)
        return ERR_OK;
    struct catalog_probe *probes =
        ARENA_ARRAY(l->scratch, struct catalog_probe, triggers->count + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < triggers->count; i++) {
        const struct catalog_row *r = &triggers->rows[i];
        oid constraint = catalog_oid_value(r, COL_TGCONSTRAINT);
        if (constraint != 0 && catalog_int_value(r, COL_TGTYPE) == TRIGGER_FOREIGN_DELETE &&
            is_foreign_action(catalog_oid_value(r, COL_TGFOID)))
            probes[n++] = (struct catalog_probe){.relation = REL_CONSTRAINT,
                                                 .index = INDEX_CONSTRAINT_OID,
                                                 .key_count = 1,
                                                 .key = {constraint}};
    }
    if (n == 0)
        return ERR_OK;
    TRY(catalog_probe_wait(l->cs, probes, n, l->scratch));
    t->referrers = ARENA_ARRAY(l->mem, struct referrer_desc, n);
    for (uint32_t i = 0; i < n; i++) {
        if (probes[i].found.count == 0)
            continue; /* dropped between the trips: the invalidation is on its way */
        const struct catalog_row *r = &probes[i].found.rows[0];
        struct referrer_desc *d = &t->referrers[t->referrer_count++];
        uint32_t count;
        d->constraint = catalog_oid_value(r, COL_OID);
        d->table = catalog_oid_value(r, COL_CONRELID);
        TRY(load_int2s(l, r->values[COL_CONFKEY - 1], &count, &d->columns));
        d->column_count = u16_from(count);
        for (uint32_t k = 0; k < count; k++)
            if (d->columns[k] < 1 || (uint32_t)d->columns[k] > t->column_count)
                return damaged_constraint(l);
    }
    return ERR_OK;
}

/* Splits "a, lower(b), f(c, d)" at its commas of the top level. */
static uint32_t split_expressions(struct arena *mem, const char *text, const char **out,
                                  uint32_t max)
{
    uint32_t count = 0;
    int depth = 0;
    char quote = 0;
    const char *start = text;
    for (const char *p = text;; p++) {
        if (quote) {
            if (*p == quote || *p == 0)
                quote = 0;
        } else if (*p == '\'' || *p == '"') {
            quote = *p;
        } else if (*p == '(' || *p == '[') {
            depth++;
        } else if (*p == ')' || *p == ']') {
            depth--;
        }
        if (*p == 0 || (!quote && depth == 0 && *p == ',')) {
            while (*start == ' ')
                start++;
            if (count < max)
                out[count++] = arena_strndup(mem, start, (size_t)(p - start));
            start = p + 1;
        }
        if (*p == 0)
            return count;
    }
}

static err_t load_index_keys(struct loader *l, const struct catalog_row *r,
                             const struct catalog_rows *attributes, struct index_desc *x)
{
    const datum *keys;
    const datum *collations;
    const datum *classes;
    const datum *options;
    uint32_t count;
    uint32_t others[3];
    TRY(catalog_array_read(l->scratch, r->values[COL_INDKEY - 1], &count, &keys));
    TRY(catalog_array_read(l->scratch, r->values[COL_INDCOLLATION - 1], &others[0], &collations));
    TRY(catalog_array_read(l->scratch, r->values[COL_INDCLASS - 1], &others[1], &classes));
    TRY(catalog_array_read(l->scratch, r->values[COL_INDOPTION - 1], &others[2], &options));
    if (count != x->column_count || x->key_count > count || others[0] < x->key_count ||
        others[1] < x->key_count || others[2] < x->key_count)
        return err_raise(ERR_DATA_CORRUPTED, "pg_index of \"%s\" is damaged", x->name);
    const char **expressions = ARENA_ARRAY(l->mem, const char *, count + 1);
    uint32_t expression_count = 0;
    uint32_t next_expression = 0;
    if (!r->nulls[COL_INDEXPRS - 1])
        expression_count =
            split_expressions(l->mem, load_text(l, r, COL_INDEXPRS), expressions, count);
    x->keys = ARENA_ARRAY(l->mem, struct index_key, count + 1);
    x->key_columns = ARENA_ARRAY(l->mem, struct key_column, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct index_key *k = &x->keys[i];
        k->attno = datum_i16(keys[i]);
        if (k->attno == 0) {
            if (next_expression >= expression_count)
                return err_raise(ERR_DATA_CORRUPTED, "pg_index of \"%s\" is damaged", x->name);
            k->expression = expressions[next_expression++];
        } else if (k->attno < 0 || (uint32_t)k->attno > l->t->column_count) {
            return err_raise(ERR_DATA_CORRUPTED, "pg_index of \"%s\" is damaged", x->name);
        } else {
            k->type = l->t->columns[k->attno - 1].type;
        }
        for (uint32_t a = 0; a < attributes->count; a++)
            if (catalog_int_value(&attributes->rows[a], COL_ATTNUM) == (int32_t)i + 1)
                k->type = catalog_oid_value(&attributes->rows[a], COL_ATTTYPID);
        if (i >= x->key_count)
            continue;
        int16_t option = datum_i16(options[i]);
        k->collation = datum_oid(collations[i]);
        k->opclass = datum_oid(classes[i]);
        k->descending = option & 1;
        k->nulls_first = option & 2;
        x->key_columns[i].type = type_find(k->type);
        x->key_columns[i].descending = k->descending;
        x->key_columns[i].nulls_first = k->nulls_first;
        if (!x->key_columns[i].type)
            return err_raise(ERR_DATA_CORRUPTED, "pg_index of \"%s\" is damaged", x->name);
    }
    return ERR_OK;
}

static int index_order(const void *a, const void *b)
{
    oid x = catalog_oid_value(a, COL_INDEXRELID);
    oid y = catalog_oid_value(b, COL_INDEXRELID);
    return (x > y) - (x < y);
}

static SUSPENDS err_t load_indexes_wait(struct loader *l)
{
    struct table_desc *t = l->t;
    struct catalog_rows *rows = l->found[PROBE_INDEXES];
    uint32_t n = rows->count;
    if (n == 0)
        return ERR_OK;
    qsort(rows->rows, n, sizeof(*rows->rows), index_order);
    struct catalog_probe *probes = ARENA_ARRAY(l->scratch, struct catalog_probe, (size_t)n * 3);
    for (uint32_t i = 0; i < n; i++) {
        datum index = rows->rows[i].values[COL_INDEXRELID - 1];
        probes[i * 3] = (struct catalog_probe){
            .relation = REL_CLASS, .index = INDEX_CLASS_OID, .key_count = 1, .key = {index}};
        probes[i * 3 + 1] = (struct catalog_probe){.relation = REL_ATTRIBUTE,
                                                   .index = INDEX_ATTRIBUTE_RELID_ATTNUM,
                                                   .key_count = 1,
                                                   .key = {index}};
        probes[i * 3 + 2] = (struct catalog_probe){.relation = REL_DISTRIBUTION,
                                                   .index = INDEX_DISTRIBUTION_RELID,
                                                   .key_count = 1,
                                                   .key = {index}};
    }
    TRY(catalog_probe_wait(l->cs, probes, n * 3, l->scratch));
    t->indexes = ARENA_ARRAY(l->mem, struct index_desc, n);
    for (uint32_t k = 0; k < n * 3; k++) { /* in the order that index_desc states */
        uint32_t i = k % n;
        const struct catalog_row *r = &rows->rows[i];
        uint32_t rank = catalog_bool_value(r, COL_INDISREADY)  ? 0
                        : catalog_bool_value(r, COL_INDISLIVE) ? 1
                                                               : 2;
        if (rank != k / n)
            continue;
        const struct catalog_rows *cls = &probes[i * 3].found;
        const struct catalog_rows *map = &probes[i * 3 + 2].found;
        if (cls->count == 0)
            continue; /* dropped between the two trips: the invalidation is on its way */
        struct index_desc *x = &t->indexes[t->index_count];
        x->oid = catalog_oid_value(r, COL_INDEXRELID);
        x->name = load_text(l, &cls->rows[0], COL_RELNAME);
        x->am = catalog_oid_value(&cls->rows[0], COL_RELAM);
        x->is_unique = catalog_bool_value(r, COL_INDISUNIQUE);
        x->nulls_not_distinct = catalog_bool_value(r, COL_INDNULLSNOTDISTINCT);
        x->is_deferrable = !catalog_bool_value(r, COL_INDIMMEDIATE);
        x->is_primary = catalog_bool_value(r, COL_INDISPRIMARY);
        x->is_valid = catalog_bool_value(r, COL_INDISVALID);
        x->is_ready = catalog_bool_value(r, COL_INDISREADY);
        x->is_live = catalog_bool_value(r, COL_INDISLIVE);
        x->key_count = (uint16_t)catalog_int_value(r, COL_INDNKEYATTS);
        x->column_count = (uint16_t)catalog_int_value(r, COL_INDNATTS);
        x->predicate = load_text(l, r, COL_INDPRED);
        if (map->count && catalog_char_value(&map->rows[0], COL_DISKIND) == 'm')
            x->map_table = catalog_oid_value(&map->rows[0], COL_DISMAP);
        oid number = catalog_oid_value(&cls->rows[0], COL_RELFILENODE);
        if (number != 0)
            x->file = file_of(l->cs->database, number);
        for (uint32_t c = 0; c < t->constraint_count; c++)
            if (t->constraints[c].index == x->oid &&
                (t->constraints[c].type == 'p' || t->constraints[c].type == 'u')) {
                x->is_constraint = true;
                x->constraint = &t->constraints[c];
            }
        TRY(load_index_keys(l, r, &probes[i * 3 + 1].found, x));
        t->index_count++;
    }
    return ERR_OK;
}

static err_t load_stats_row(struct loader *l, const struct catalog_row *r,
                            const struct type_info *type, struct column_stats *s)
{
    s->null_fraction = datum_f32(r->values[COL_STANULLFRAC - 1]);
    s->average_width = catalog_int_value(r, COL_STAWIDTH);
    s->distinct = datum_f32(r->values[COL_STADISTINCT - 1]);
    for (int slot = 0; slot < 5; slot++) {
        int kind = catalog_int_value(r, COL_STAKIND1 + slot);
        struct array_view numbers = {0};
        struct array_view values = {0};
        if (!r->nulls[COL_STANUMBERS1 + slot - 1])
            TRY(array_read(l->scratch, r->values[COL_STANUMBERS1 + slot - 1], &numbers));
        if (!r->nulls[COL_STAVALUES1 + slot - 1])
            TRY(array_read(l->scratch, r->values[COL_STAVALUES1 + slot - 1], &values));
        if (kind == 3 && numbers.count == 1)
            s->correlation = datum_f32(numbers.values[0]);
        if (kind != 1 && kind != 2)
            continue;
        datum *copies = ARENA_ARRAY(l->mem, datum, values.count + 1);
        for (uint32_t i = 0; i < values.count; i++)
            copies[i] = datum_copy(l->mem, values.values[i], type->by_value);
        if (kind == 2) {
            s->bounds = copies;
            s->bound_count = values.count;
            continue;
        }
        s->common_values = copies;
        s->common_count = MIN(values.count, numbers.count);
        s->common_fractions = ARENA_ARRAY(l->mem, double, numbers.count + 1);
        for (uint32_t i = 0; i < numbers.count; i++)
            s->common_fractions[i] = datum_f32(numbers.values[i]);
    }
    return ERR_OK;
}

static err_t load_stats(struct loader *l)
{
    const struct catalog_rows *rows = l->found[PROBE_STATISTICS];
    if (rows->count == 0)
        return ERR_OK;
    l->t->stats = ARENA_ARRAY(l->mem, struct column_stats *, l->t->column_count + 1);
    for (uint32_t i = 0; i < rows->count; i++) {
        int32_t number = catalog_int_value(&rows->rows[i], COL_STAATTNUM);
        if (number < 1 || (uint32_t)number > l->t->column_count)
            continue;
        const struct type_info *type = type_find(l->t->columns[number - 1].type);
        if (!type)
            continue;
        struct column_stats *s = ARENA_NEW(l->mem, struct column_stats);
        TRY(load_stats_row(l, &rows->rows[i], type, s));
        l->t->stats[number - 1] = s;
    }
    return ERR_OK;
}

static void load_sequence(struct loader *l)
{
    const struct catalog_rows *rows = l->found[PROBE_SEQUENCE];
    struct table_desc *t = l->t;
    if (rows->count == 0)
        return;
    const struct catalog_row *r = &rows->rows[0];
    t->sequence.type = catalog_oid_value(r, COL_SEQTYPID);
    t->sequence.start = datum_i64(r->values[COL_SEQSTART - 1]);
    t->sequence.increment = datum_i64(r->values[COL_SEQINCREMENT - 1]);
    t->sequence.max = datum_i64(r->values[COL_SEQMAX - 1]);
    t->sequence.min = datum_i64(r->values[COL_SEQMIN - 1]);
    t->sequence.cache = datum_i64(r->values[COL_SEQCACHE - 1]);
    t->sequence.cycle = catalog_bool_value(r, COL_SEQCYCLE);
    t->sequence.shard = t->oid % shard_count();
}

static void load_view(struct loader *l)
{
    const struct catalog_rows *rows = l->found[PROBE_RULE];
    if (rows->count)
        l->t->view_sql = load_text(l, &rows->rows[0], COL_EV_ACTION);
}

static err_t load_class(struct loader *l)
{
    const struct catalog_row *r = &l->found[PROBE_CLASS]->rows[0];
    struct table_desc *t = l->t;
    t->oid = catalog_oid_value(r, COL_OID);
    t->name = load_text(l, r, COL_RELNAME);
    t->schema = catalog_oid_value(r, COL_RELNAMESPACE);
    t->kind = catalog_char_value(r, COL_RELKIND);
    t->persistence = catalog_char_value(r, COL_RELPERSISTENCE);
    t->owner = catalog_oid_value(r, COL_RELOWNER);
    t->row_type = catalog_oid_value(r, COL_RELTYPE);
    oid number = catalog_oid_value(r, COL_RELFILENODE);
    t->file = number ? file_of(l->cs->database, number) : 0;
    t->rows_estimate = (double)datum_f32(r->values[COL_RELTUPLES - 1]);
    t->pages_estimate = catalog_int_value(r, COL_RELPAGES);
    t->catalog_version = catalog_version();
    t->is_system = t->oid < FIRST_USER_OID;
    if (!r->nulls[COL_RELOPTIONS - 1]) {
        const datum *values;
        TRY(catalog_array_read(l->scratch, r->values[COL_RELOPTIONS - 1], &t->option_count,
                               &values));
        const char **options = ARENA_ARRAY(l->mem, const char *, t->option_count + 1);
        for (uint32_t i = 0; i < t->option_count; i++)
            options[i] = varlen_cstring(l->mem, datum_varlen(values[i]));
        t->options = options;
    }
    return ERR_OK;
}

static void load_probe(struct loader *l, enum loader_probe p, oid relation, oid index,
                       uint32_t key_count, datum key0, datum key1)
{
    l->probes[p] = (struct catalog_probe){
        .relation = relation, .index = index, .key_count = key_count, .key = {key0, key1}};
    l->found[p] = &l->probes[p].found;
}

static SUSPENDS err_t load_stored_wait(struct loader *l, oid table, bool *exists)
{
    load_probe(l, PROBE_CLASS, REL_CLASS, INDEX_CLASS_OID, 1, table, 0);
    load_probe(l, PROBE_ATTRIBUTES, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 1, table, 0);
    load_probe(l, PROBE_DEFAULTS, REL_ATTRDEF, INDEX_ATTRDEF_ADRELID_ADNUM, 1, table, 0);
    load_probe(l, PROBE_INDEXES, REL_INDEX, INDEX_INDEX_INDRELID, 1, table, 0);
    load_probe(l, PROBE_CONSTRAINTS, REL_CONSTRAINT, INDEX_CONSTRAINT_CONRELID_CONTYPID_CONNAME, 1,
               table, 0);
    load_probe(l, PROBE_SEQUENCE, REL_SEQUENCE, INDEX_SEQUENCE_SEQRELID, 1, table, 0);
    load_probe(l, PROBE_RULE, REL_REWRITE, INDEX_REWRITE_REL_RULENAME, 1, table, 0);
    load_probe(l, PROBE_STATISTICS, REL_STATISTIC, INDEX_STATISTIC_RELID_ATT_INH, 1, table, 0);
    load_probe(l, PROBE_DEPENDENTS, REL_DEPEND, INDEX_DEPEND_REFERENCE, 2, REL_CLASS, table);
    load_probe(l, PROBE_DISTRIBUTION, REL_DISTRIBUTION, INDEX_DISTRIBUTION_RELID, 1, table, 0);
    load_probe(l, PROBE_TRIGGERS, REL_TRIGGER, INDEX_TRIGGER_TGRELID_TGNAME, 1, table, 0);
    TRY(catalog_probe_wait(l->cs, l->probes, PROBE_COUNT, l->scratch));
    *exists = l->found[PROBE_CLASS]->count == 1;
    if (!*exists)
        return ERR_OK;
    TRY(load_class(l));
    TRY(load_columns(l));
    TRY(load_distribution(l));
    TRY(load_constraints(l));
    TRY(load_indexes_wait(l));
    TRY(load_referrers_wait(l));
    TRY(load_stats(l));
    load_sequence(l);
    load_view(l);
    return schema_name_wait(l->cs, l->t->schema, l->mem, &l->t->schema_name);
}

err_t catalog_load_wait(struct catalog_session *cs, oid table, struct cached_table **out)
{
    *out = NULL;
    const struct catalog_relation *r = catalog_relation_find(table);
    if (r) {
        *out = load_static(r, cs->database);
        return ERR_OK;
    }
    struct arena *mem = arena_new();
    struct cached_table *c = ARENA_NEW(mem, struct cached_table);
    c->mem = mem;
    c->database = cs->database;
    struct arena *scratch = arena_new();
    struct loader *l = ARENA_NEW(scratch, struct loader);
    l->cs = cs;
    l->mem = mem;
    l->scratch = scratch;
    l->t = &c->desc;
    bool exists = false;
    err_t e = load_stored_wait(l, table, &exists);
    arena_free(scratch);
    if (e != ERR_OK || !exists)
        arena_free(mem);
    else
        *out = c;
    return e;
}
