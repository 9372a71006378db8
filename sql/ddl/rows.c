/* Catalog rows of new objects, with PostgreSQL's values in every column. */
#include "sql/ddl/ddl_priv.h"

struct row_values {
    datum *v;
    bool *n;
};

static struct row_values row_new(struct arena *mem, uint32_t columns)
{
    return (struct row_values){ARENA_ARRAY(mem, datum, columns), ARENA_ARRAY(mem, bool, columns)};
}

static void set(struct row_values *r, int column, datum value)
{
    r->v[column - 1] = value;
}

static void set_null(struct row_values *r, int column)
{
    r->n[column - 1] = true;
}

err_t rows_class(struct catalog_writer *w, struct arena *mem, const struct class_row *c)
{
    struct row_values r = row_new(mem, COLS_CLASS);
    bool is_rows = c->kind == 'r' || c->kind == 't';
    set(&r, COL_OID, c->oid);
    set(&r, COL_RELNAME, datum_of_text(mem, c->name));
    set(&r, COL_RELNAMESPACE, c->schema);
    set(&r, COL_RELTYPE, c->row_type);
    set(&r, COL_RELOWNER, c->owner);
    set(&r, COL_RELAM, c->am);
    set(&r, COL_RELFILENODE, c->file);
    set(&r, COL_RELPAGES, datum_of_i32(c->kind == 'S' ? 1 : 0));
    set(&r, COL_RELTUPLES, datum_of_f32(c->kind == 'S' ? 1 : is_rows ? -1 : 0));
    set(&r, COL_RELHASINDEX, datum_of_bool(c->has_index));
    set(&r, COL_RELPERSISTENCE, (datum)c->persistence);
    set(&r, COL_RELKIND, (datum)c->kind);
    set(&r, COL_RELNATTS, datum_of_i16(c->columns));
    set(&r, COL_RELCHECKS, datum_of_i16(c->checks));
    set(&r, COL_RELHASRULES, datum_of_bool(c->has_rules));
    set(&r, COL_RELISPOPULATED, datum_of_bool(true));
    set(&r, COL_RELREPLIDENT, (datum)(is_rows ? 'd' : 'n'));
    set_null(&r, COL_RELACL);
    set_null(&r, COL_RELPARTBOUND);
    if (c->option_count)
        set(&r, COL_RELOPTIONS, catalog_text_array(mem, c->options, c->option_count));
    else
        set_null(&r, COL_RELOPTIONS);
    return catalog_put(w, REL_CLASS, r.v, r.n);
}

err_t rows_attribute(struct catalog_writer *w, struct arena *mem, const struct attribute_row *a)
{
    struct row_values r = row_new(mem, COLS_ATTRIBUTE);
    const struct type_info *type = type_find(a->type);
    ASSERT(type);
    bool is_system = a->number < 0;
    set(&r, COL_ATTRELID, a->relation);
    set(&r, COL_ATTNAME, datum_of_text(mem, a->name));
    set(&r, COL_ATTTYPID, a->type);
    set(&r, COL_ATTSTATTARGET, datum_of_i32(is_system ? 0 : -1));
    set(&r, COL_ATTLEN, datum_of_i16(type->typlen));
    set(&r, COL_ATTNUM, datum_of_i16(a->number));
    set(&r, COL_ATTNDIMS, datum_of_i32(a->dimensions));
    set(&r, COL_ATTCACHEOFF, datum_of_i32(-1));
    set(&r, COL_ATTTYPMOD, datum_of_i32(a->typmod));
    set(&r, COL_ATTBYVAL, datum_of_bool(type->typlen > 0 && type->by_value));
    set(&r, COL_ATTALIGN, (datum)type->align);
    set(&r, COL_ATTSTORAGE, (datum)type->storage);
    set(&r, COL_ATTNOTNULL, datum_of_bool(a->not_null));
    set(&r, COL_ATTHASDEF, datum_of_bool(a->has_default));
    set(&r, COL_ATTHASMISSING, datum_of_bool(a->has_missing));
    set(&r, COL_ATTIDENTITY, (datum)a->identity);
    set(&r, COL_ATTISLOCAL, datum_of_bool(true));
    set(&r, COL_ATTCOLLATION, a->collation);
    set_null(&r, COL_ATTACL);
    set_null(&r, COL_ATTOPTIONS);
    set_null(&r, COL_ATTFDWOPTIONS);
    set_null(&r, COL_ATTMISSINGVAL);
    if (a->has_missing && !a->missing_is_null) {
        bool null = false;
        struct array_view view = {.element = a->type,
                                  .ndim = 1,
                                  .dims = {1},
                                  .lower = {1},
                                  .count = 1,
                                  .values = &a->missing,
                                  .nulls = &null};
        r.n[COL_ATTMISSINGVAL - 1] = false;
        TRY(array_make(mem, &view, &r.v[COL_ATTMISSINGVAL - 1]));
    }
    return catalog_put(w, REL_ATTRIBUTE, r.v, r.n);
}

err_t rows_system_attributes(struct catalog_writer *w, struct arena *mem, oid relation)
{
    static const struct {
        const char *name;
        oid type;
        int16_t number;
    } columns[] = {
        {"ctid", TYPE_TID, -1}, {"xmin", TYPE_XID, -2}, {"cmin", TYPE_CID, -3},
        {"xmax", TYPE_XID, -4}, {"cmax", TYPE_CID, -5}, {"tableoid", TYPE_OID, -6},
    };
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        struct attribute_row a = {.relation = relation,
                                  .name = columns[i].name,
                                  .type = columns[i].type,
                                  .typmod = -1,
                                  .number = columns[i].number,
                                  .not_null = true};
        TRY(rows_attribute(w, mem, &a));
    }
    return ERR_OK;
}

err_t rows_depend(struct catalog_writer *w, struct arena *mem, oid class, oid object, int32_t sub,
                  oid ref_class, oid ref_object, int32_t ref_sub, char type)
{
    /* what bootstrap made cannot be dropped: nothing depends on it by record */
    if (ref_object < FIRST_USER_OID && ref_object != SCHEMA_PUBLIC)
        return ERR_OK;
    struct row_values r = row_new(mem, COLS_DEPEND);
    set(&r, COL_CLASSID, class);
    set(&r, COL_OBJID, object);
    set(&r, COL_OBJSUBID, datum_of_i32(sub));
    set(&r, COL_REFCLASSID, ref_class);
    set(&r, COL_REFOBJID, ref_object);
    set(&r, COL_REFOBJSUBID, datum_of_i32(ref_sub));
    set(&r, COL_DEPTYPE, (datum)type);
    return catalog_put(w, REL_DEPEND, r.v, r.n);
}

static err_t type_row(struct catalog_writer *w, struct arena *mem, oid type, const char *name,
                      oid schema, oid owner, oid relation, oid element, oid array)
{
    struct row_values r = row_new(mem, COLS_TYPE);
    bool is_array = element != 0;
    set(&r, COL_OID, type);
    set(&r, COL_TYPNAME, datum_of_text(mem, name));
    set(&r, COL_TYPNAMESPACE, schema);
    set(&r, COL_TYPOWNER, owner);
    set(&r, COL_TYPLEN, datum_of_i16(-1));
    set(&r, COL_TYPTYPE, (datum)(is_array ? 'b' : 'c'));
    set(&r, COL_TYPCATEGORY, (datum)(is_array ? 'A' : 'C'));
    set(&r, COL_TYPISDEFINED, datum_of_bool(true));
    set(&r, COL_TYPDELIM, (datum)',');
    set(&r, COL_TYPRELID, relation);
    set(&r, COL_TYPSUBSCRIPT, is_array ? 6179 : 0);
    set(&r, COL_TYPELEM, element);
    set(&r, COL_TYPARRAY, array);
    set(&r, COL_TYPINPUT, is_array ? 750 : 2290);
    set(&r, COL_TYPOUTPUT, is_array ? 751 : 2291);
    set(&r, COL_TYPRECEIVE, is_array ? 2400 : 2402);
    set(&r, COL_TYPSEND, is_array ? 2401 : 2403);
    set(&r, COL_TYPANALYZE, is_array ? 3816 : 0);
    set(&r, COL_TYPALIGN, (datum)'d');
    set(&r, COL_TYPSTORAGE, (datum)'x');
    set(&r, COL_TYPTYPMOD, datum_of_i32(-1));
    set_null(&r, COL_TYPDEFAULTBIN);
    set_null(&r, COL_TYPDEFAULT);
    set_null(&r, COL_TYPACL);
    return catalog_put(w, REL_TYPE, r.v, r.n);
}

err_t rows_types(struct catalog_writer *w, struct arena *mem, oid row_type, oid array_type,
                 const char *name, oid schema, oid owner, oid relation)
{
    TRY(type_row(w, mem, row_type, name, schema, owner, relation, 0, array_type));
    TRY(rows_depend(w, mem, REL_TYPE, row_type, 0, REL_CLASS, relation, 0, 'i'));
    const char *array_name = ddl_object_name(mem, "", name, NULL);
    TRY(type_row(w, mem, array_type, array_name, schema, owner, 0, row_type, 0));
    return rows_depend(w, mem, REL_TYPE, array_type, 0, REL_TYPE, row_type, 0, 'i');
}

err_t rows_attrdef(struct catalog_writer *w, struct arena *mem, oid object, oid relation,
                   int16_t number, const char *text)
{
    struct row_values r = row_new(mem, COLS_ATTRDEF);
    set(&r, COL_OID, object);
    set(&r, COL_ADRELID, relation);
    set(&r, COL_ADNUM, datum_of_i16(number));
    set(&r, COL_ADBIN, datum_of_text(mem, text));
    return catalog_put(w, REL_ATTRDEF, r.v, r.n);
}

err_t rows_distribution(struct catalog_writer *w, struct arena *mem, oid relation, char kind,
                        const int16_t *keys, uint32_t count, oid map)
{
    struct row_values r = row_new(mem, COLS_DISTRIBUTION);
    set(&r, COL_DISRELID, relation);
    set(&r, COL_DISKIND, (datum)kind);
    set(&r, COL_DISKEYS, catalog_int2vector(mem, keys, count));
    set(&r, COL_DISMAP, map);
    return catalog_put(w, REL_DISTRIBUTION, r.v, r.n);
}

static void set_array(struct row_values *r, int column, datum array)
{
    r->n[column - 1] = false;
    set(r, column, array);
}

static void set_foreign(struct row_values *r, struct arena *mem, const struct constraint_row *c)
{
    const struct foreign_row *f = c->foreign;
    set(r, COL_CONFRELID, f->target);
    set(r, COL_CONFUPDTYPE, (datum)f->update_action);
    set(r, COL_CONFDELTYPE, (datum)f->delete_action);
    set(r, COL_CONFMATCHTYPE, (datum)f->match);
    set_array(r, COL_CONFKEY, catalog_int2_array(mem, f->columns, c->column_count));
    set_array(r, COL_CONPFEQOP, catalog_oid_array(mem, f->target_equal, c->column_count));
    set_array(r, COL_CONPPEQOP, catalog_oid_array(mem, f->both_target, c->column_count));
    set_array(r, COL_CONFFEQOP, catalog_oid_array(mem, f->both_own, c->column_count));
    if (f->delete_column_count)
        set_array(r, COL_CONFDELSETCOLS,
                  catalog_int2_array(mem, f->delete_columns, f->delete_column_count));
}

err_t rows_trigger(struct catalog_writer *w, struct arena *mem, const struct trigger_row *t)
{
    struct row_values r = row_new(mem, COLS_TRIGGER);
    set(&r, COL_OID, t->oid);
    set(&r, COL_TGRELID, t->relation);
    set(&r, COL_TGNAME, datum_of_text(mem, t->name));
    set(&r, COL_TGFOID, t->function);
    set(&r, COL_TGTYPE, datum_of_i16(t->type));
    set(&r, COL_TGENABLED, (datum)'O');
    set(&r, COL_TGISINTERNAL, datum_of_bool(true));
    set(&r, COL_TGCONSTRRELID, t->other);
    set(&r, COL_TGCONSTRINDID, t->index);
    set(&r, COL_TGCONSTRAINT, t->constraint);
    set(&r, COL_TGDEFERRABLE, datum_of_bool(t->deferrable));
    set(&r, COL_TGINITDEFERRED, datum_of_bool(t->deferred));
    set(&r, COL_TGATTR, catalog_int2vector(mem, NULL, 0));
    set(&r, COL_TGARGS, datum_of_text(mem, ""));
    set_null(&r, COL_TGQUAL);
    set_null(&r, COL_TGOLDTABLE);
    set_null(&r, COL_TGNEWTABLE);
    return catalog_put(w, REL_TRIGGER, r.v, r.n);
}

err_t rows_constraint(struct catalog_writer *w, struct arena *mem, const struct constraint_row *c)
{
    struct row_values r = row_new(mem, COLS_CONSTRAINT);
    set(&r, COL_OID, c->oid);
    set(&r, COL_CONNAME, datum_of_text(mem, c->name));
    set(&r, COL_CONNAMESPACE, c->schema);
    set(&r, COL_CONTYPE, (datum)c->type);
    set(&r, COL_CONDEFERRABLE, datum_of_bool(c->deferrable));
    set(&r, COL_CONDEFERRED, datum_of_bool(c->deferred));
    set(&r, COL_CONVALIDATED, datum_of_bool(c->validated));
    set(&r, COL_CONRELID, c->relation);
    set(&r, COL_CONINDID, c->index);
    set(&r, COL_CONFUPDTYPE, (datum)' ');
    set(&r, COL_CONFDELTYPE, (datum)' ');
    set(&r, COL_CONFMATCHTYPE, (datum)' ');
    set(&r, COL_CONISLOCAL, datum_of_bool(true));
    set(&r, COL_CONNOINHERIT, datum_of_bool(c->type != 'c' || c->no_inherit));
    if (c->column_count)
        set(&r, COL_CONKEY, catalog_int2_array(mem, c->columns, c->column_count));
    else
        set_null(&r, COL_CONKEY);
    for (int column = COL_CONFKEY; column <= COL_CONEXCLOP; column++)
        set_null(&r, column);
    if (c->foreign)
        set_foreign(&r, mem, c);
    if (c->check_sql)
        set(&r, COL_CONBIN, datum_of_text(mem, c->check_sql));
    else
        set_null(&r, COL_CONBIN);
    return catalog_put(w, REL_CONSTRAINT, r.v, r.n);
}

void rows_copy(struct arena *mem, const struct catalog_row *row, uint32_t columns, datum **values,
               bool **nulls)
{
    *values = arena_memdup(mem, row->values, sizeof(datum) * columns);
    *nulls = arena_memdup(mem, row->nulls, sizeof(bool) * columns);
}

err_t rows_get_wait(struct ddl_context *x, oid relation, oid index, uint32_t key_count, datum key0,
                    datum key1, struct catalog_row *out)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(x->catalog, relation, index, key_count, key0, key1, x->mem, &rows));
    if (rows.count == 0)
        return err_raise(ERR_INTERNAL_ERROR, "cache lookup failed for a row of catalog %u",
                         relation);
    *out = rows.rows[0];
    return ERR_OK;
}

err_t rows_set_wait(struct ddl_context *x, oid relation, oid index, uint32_t key_count, datum key0,
                    datum key1, int column, datum value, bool is_null)
{
    struct catalog_row row;
    datum *values;
    bool *nulls;
    TRY(rows_get_wait(x, relation, index, key_count, key0, key1, &row));
    rows_copy(x->mem, &row, catalog_relation_find(relation)->fact->column_count, &values, &nulls);
    values[column - 1] = value;
    nulls[column - 1] = is_null;
    return catalog_replace_wait(x->catalog, relation, &row, values, nulls, x->mem);
}
