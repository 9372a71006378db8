/*
 * DROP, and dropping by dependency: pg_depend says what goes with an object ('a', 'i') and what
 * stands in the way unless CASCADE was said ('n').
 */
#include "sql/ddl/ddl_priv.h"

#include <stdlib.h>

struct member {
    struct drop_object o;
    bool is_target;
    bool goes_along;  /* reached by an automatic dependency */
    uint32_t because; /* member that it depends on */
};

struct closure {
    struct ddl_context *x;
    struct member *members;
    uint32_t count;
    uint32_t room;
    /* what the deletion does at its end */
    struct catalog_writer *w;
    struct ddl_file *files;
    uint32_t file_count;
    uint32_t file_room;
};

/* ---- texts ---- */

static SUSPENDS err_t relation_text_wait(struct ddl_context *x, oid relation, const char **out)
{
    const char *name;
    struct catalog_row r;
    TRY(rows_get_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, relation, 0, &r));
    name = catalog_text_value(x->mem, &r, COL_RELNAME, NULL);
    oid schema = catalog_oid_value(&r, COL_RELNAMESPACE);
    char kind = catalog_char_value(&r, COL_RELKIND);
    bool visible;
    TRY(catalog_relation_visible_wait(x->catalog, relation, name, schema, &visible));
    const char *quoted = quote_identifier(x->mem, name);
    if (!visible) {
        const char *schema_name;
        TRY(schema_name_wait(x->catalog, schema, x->mem, &schema_name));
        quoted = arena_printf(x->mem, "%s.%s",
                              quote_identifier(x->mem, schema_name ? schema_name : "?"), quoted);
    }
    *out = arena_printf(x->mem, "%s %s", ddl_kind_name(kind), quoted);
    return ERR_OK;
}

static SUSPENDS err_t column_text_wait(struct ddl_context *x, oid relation, int32_t number,
                                       const char *prefix, const char **out)
{
    struct catalog_row r;
    const char *table;
    TRY(rows_get_wait(x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, relation,
                      datum_of_i16((int16_t)number), &r));
    TRY(relation_text_wait(x, relation, &table));
    *out = arena_printf(x->mem, "%scolumn %s of %s", prefix,
                        catalog_text_value(x->mem, &r, COL_ATTNAME, NULL), table);
    return ERR_OK;
}

err_t ddl_object_text_wait(struct ddl_context *x, oid class, oid object, int32_t sub,
                           const char **out)
{
    struct catalog_row r;
    const char *other;
    switch (class) {
    case REL_CLASS:
        return sub ? column_text_wait(x, object, sub, "", out) : relation_text_wait(x, object, out);
    case REL_CONSTRAINT:
        TRY(rows_get_wait(x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, object, 0, &r));
        TRY(relation_text_wait(x, catalog_oid_value(&r, COL_CONRELID), &other));
        *out = arena_printf(x->mem, "constraint %s on %s",
                            catalog_text_value(x->mem, &r, COL_CONNAME, NULL), other);
        return ERR_OK;
    case REL_ATTRDEF:
        TRY(rows_get_wait(x, REL_ATTRDEF, INDEX_ATTRDEF_OID, 1, object, 0, &r));
        return column_text_wait(x, catalog_oid_value(&r, COL_ADRELID),
                                catalog_int_value(&r, COL_ADNUM), "default value for ", out);
    case REL_REWRITE:
        TRY(rows_get_wait(x, REL_REWRITE, INDEX_REWRITE_OID, 1, object, 0, &r));
        return relation_text_wait(x, catalog_oid_value(&r, COL_EV_CLASS), out);
    case REL_TYPE:
        TRY(rows_get_wait(x, REL_TYPE, INDEX_TYPE_OID, 1, object, 0, &r));
        *out = arena_printf(x->mem, "type %s", catalog_text_value(x->mem, &r, COL_TYPNAME, NULL));
        return ERR_OK;
    case REL_NAMESPACE:
        TRY(rows_get_wait(x, REL_NAMESPACE, INDEX_NAMESPACE_OID, 1, object, 0, &r));
        *out = arena_printf(
            x->mem, "schema %s",
            quote_identifier(x->mem, catalog_text_value(x->mem, &r, COL_NSPNAME, NULL)));
        return ERR_OK;
    default:
        *out = arena_printf(x->mem, "object %u of catalog %u", object, class);
        return ERR_OK;
    }
}

/* ---- what goes ---- */

static struct member *member_find(struct closure *c, oid class, oid object, int32_t sub)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->members[i];
        if (m->o.class == class && m->o.object == object && (m->o.sub == sub || m->o.sub == 0))
            return m;
    }
    return NULL;
}

static struct member *member_add(struct closure *c, oid class, oid object, int32_t sub)
{
    if (c->count == c->room) {
        uint32_t room = c->room ? c->room * 2 : 32;
        struct member *m = ARENA_ARRAY(c->x->mem, struct member, room);
        if (c->count)
            memcpy(m, c->members, sizeof(*m) * c->count);
        c->members = m;
        c->room = room;
    }
    struct member *m = &c->members[c->count++];
    *m = (struct member){.o = {class, object, sub}};
    return m;
}

/* The object that this one is an inner part of; class 0 = none. */
static SUSPENDS err_t whole_of_wait(struct ddl_context *x, oid class, oid object, int32_t sub,
                                    struct drop_object *out)
{
    struct catalog_rows rows;
    *out = (struct drop_object){0};
    TRY(catalog_find_wait(x->catalog, REL_DEPEND, INDEX_DEPEND_DEPENDER, 2, class, object, x->mem,
                          &rows));
    for (uint32_t i = 0; i < rows.count; i++) {
        const struct catalog_row *r = &rows.rows[i];
        if (catalog_char_value(r, COL_DEPTYPE) != 'i' || catalog_int_value(r, COL_OBJSUBID) != sub)
            continue;
        *out = (struct drop_object){catalog_oid_value(r, COL_REFCLASSID),
                                    catalog_oid_value(r, COL_REFOBJID),
                                    catalog_int_value(r, COL_REFOBJSUBID)};
    }
    return ERR_OK;
}

static SUSPENDS err_t dependent_wait(struct closure *c, uint32_t of, const struct catalog_row *r)
{
    struct drop_object o = {catalog_oid_value(r, COL_CLASSID), catalog_oid_value(r, COL_OBJID),
                            catalog_int_value(r, COL_OBJSUBID)};
    char type = catalog_char_value(r, COL_DEPTYPE);
    struct member *m = member_find(c, o.class, o.object, o.sub);
    if (!m && type != 'i') {
        /* an inner part does not go alone: its whole does (the view of a rule) */
        struct drop_object whole;
        TRY(whole_of_wait(c->x, o.class, o.object, o.sub, &whole));
        if (whole.class) {
            struct member *w = member_find(c, whole.class, whole.object, whole.sub);
            if (!w) {
                w = member_add(c, whole.class, whole.object, whole.sub);
                w->because = of;
            }
            if (type == 'a')
                w->goes_along = true;
            return ERR_OK;
        }
    }
    if (!m) {
        m = member_add(c, o.class, o.object, o.sub);
        m->because = of;
    }
    if (type == 'a' || type == 'i')
        m->goes_along = true;
    return ERR_OK;
}

static int by_depender(const void *a, const void *b)
{
    oid x = catalog_oid_value(a, COL_OBJID);
    oid y = catalog_oid_value(b, COL_OBJID);
    int32_t left = catalog_int_value(a, COL_OBJSUBID);
    int32_t right = catalog_int_value(b, COL_OBJSUBID);
    if (x != y)
        return x < y ? -1 : 1;
    return left < right ? -1 : left > right;
}

static SUSPENDS err_t closure_wait(struct closure *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct drop_object o = c->members[i].o;
        struct catalog_probe p = {.relation = REL_DEPEND,
                                  .index = INDEX_DEPEND_REFERENCE,
                                  .key_count = o.sub ? 3 : 2,
                                  .key = {o.class, o.object, datum_of_i32(o.sub)}};
        TRY(catalog_probe_wait(c->x->catalog, &p, 1, c->x->mem));
        if (p.found.count > 1) /* reported in order of creation */
            qsort(p.found.rows, p.found.count, sizeof(*p.found.rows), by_depender);
        for (uint32_t k = 0; k < p.found.count; k++)
            TRY(dependent_wait(c, i, &p.found.rows[k]));
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

static SUSPENDS err_t check_targets_wait(struct closure *c, uint32_t targets)
{
    for (uint32_t i = 0; i < targets; i++) {
        struct drop_object o = c->members[i].o;
        struct drop_object whole;
        TRY(whole_of_wait(c->x, o.class, o.object, o.sub, &whole));
        if (!whole.class || member_find(c, whole.class, whole.object, whole.sub))
            continue;
        const char *part_text;
        const char *whole_text;
        TRY(ddl_object_text_wait(c->x, o.class, o.object, o.sub, &part_text));
        TRY(ddl_object_text_wait(c->x, whole.class, whole.object, whole.sub, &whole_text));
        err_t e = err_raise(ERR_DEPENDENT_OBJECTS_STILL_EXIST,
                            "cannot drop %s because %s requires it", part_text, whole_text);
        err_hint("You can drop %s instead.", whole_text);
        return e;
    }
    return ERR_OK;
}

/* Members after the targets, each followed by what depends on it: the order of reports. */
static uint32_t *report_order(const struct closure *c, uint32_t targets)
{
    struct arena *mem = c->x->mem;
    uint32_t *first = ARENA_ARRAY(mem, uint32_t, c->count + 1);
    uint32_t *next = ARENA_ARRAY(mem, uint32_t, c->count + 1);
    uint32_t *order = ARENA_ARRAY(mem, uint32_t, c->count + 1);
    uint32_t *stack = ARENA_ARRAY(mem, uint32_t, c->count + 1);
    for (uint32_t i = c->count; i-- > targets;) {
        next[i] = first[c->members[i].because];
        first[c->members[i].because] = i;
    }
    uint32_t count = 0;
    for (uint32_t t = 0; t < targets; t++) {
        uint32_t depth = 0;
        for (uint32_t i = first[t]; i || depth;) {
            if (i == 0) {
                i = next[stack[--depth]];
                continue;
            }
            order[count++] = i;
            stack[depth++] = i;
            i = first[i];
        }
    }
    return order;
}

static SUSPENDS err_t check_cascade_wait(struct closure *c, uint32_t targets, bool cascade,
                                         bool quiet)
{
    uint32_t others = 0;
    struct strbuf detail;
    struct strbuf list;
    const char *text = "";
    strbuf_init(&detail, c->x->mem);
    strbuf_init(&list, c->x->mem);
    const uint32_t *order = report_order(c, targets);
    for (uint32_t i = targets; i < c->count; i++) {
        const struct member *m = &c->members[order[i - targets]];
        if (m->goes_along)
            continue;
        const struct drop_object *on = &c->members[m->because].o;
        const char *on_text;
        TRY(ddl_object_text_wait(c->x, m->o.class, m->o.object, m->o.sub, &text));
        if (others++ < 100) {
            TRY(ddl_object_text_wait(c->x, on->class, on->object, on->sub, &on_text));
            strbuf_printf(&detail, "%s%s depends on %s", others > 1 ? "\n" : "", text, on_text);
            strbuf_printf(&list, "%sdrop cascades to %s", others > 1 ? "\n" : "", text);
        }
    }
    if (others == 0 || quiet)
        return ERR_OK;
    if (cascade) {
        if (others == 1)
            ddl_notice(c->x, "drop cascades to %s", text);
        else
            ddl_notice_detail(c->x,
                              arena_printf(c->x->mem, "drop cascades to %u other objects", others),
                              list.data);
        return ERR_OK;
    }
    err_t e;
    if (targets == 1) {
        const struct drop_object *o = &c->members[0].o;
        TRY(ddl_object_text_wait(c->x, o->class, o->object, o->sub, &text));
        e = err_raise(ERR_DEPENDENT_OBJECTS_STILL_EXIST,
                      "cannot drop %s because other objects depend on it", text);
    } else {
        e = err_raise(ERR_DEPENDENT_OBJECTS_STILL_EXIST,
                      "cannot drop desired object(s) because other objects depend on them");
    }
    err_detail("%s", detail.data);
    err_hint("Use DROP ... CASCADE to drop the dependent objects too.");
    return e;
}

/* ---- removing rows ---- */

static SUSPENDS err_t remove_all_wait(struct closure *c, oid relation, oid index,
                                      uint32_t key_count, datum key0, datum key1)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(c->x->catalog, relation, index, key_count, key0, key1, c->x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        TRY(catalog_remove(c->w, relation, &rows.rows[i]));
    return ERR_OK;
}

static void file_add(struct closure *c, file_id file, enum file_kind kind)
{
    if (c->file_count == c->file_room) {
        uint32_t room = c->file_room ? c->file_room * 2 : 16;
        struct ddl_file *f = ARENA_ARRAY(c->x->mem, struct ddl_file, room);
        if (c->file_count)
            memcpy(f, c->files, sizeof(*f) * c->file_count);
        c->files = f;
        c->file_room = room;
    }
    c->files[c->file_count++] = (struct ddl_file){file, kind};
}

static SUSPENDS err_t remove_relation_wait(struct closure *c, oid relation)
{
    struct ddl_context *x = c->x;
    struct catalog_row r;
    TRY(rows_get_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, relation, 0, &r));
    char kind = catalog_char_value(&r, COL_RELKIND);
    oid number = catalog_oid_value(&r, COL_RELFILENODE);
    if (number)
        file_add(c, file_of(x->catalog->database, number),
                 kind == 'i'   ? FILE_BTREE
                 : kind == 'S' ? FILE_SEQUENCE
                               : FILE_HEAP);
    TRY(catalog_remove(c->w, REL_CLASS, &r));
    TRY(remove_all_wait(c, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 1, relation, 0));
    TRY(remove_all_wait(c, REL_STATISTIC, INDEX_STATISTIC_RELID_ATT_INH, 1, relation, 0));
    TRY(remove_all_wait(c, REL_DISTRIBUTION, INDEX_DISTRIBUTION_RELID, 1, relation, 0));
    if (kind == 'i')
        TRY(remove_all_wait(c, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, relation, 0));
    if (kind == 'S')
        TRY(remove_all_wait(c, REL_SEQUENCE, INDEX_SEQUENCE_SEQRELID, 1, relation, 0));
    return ERR_OK;
}

static SUSPENDS err_t remove_column_wait(struct closure *c, oid relation, int32_t sub)
{
    struct catalog_row r;
    datum *v;
    bool *n;
    TRY(rows_get_wait(c->x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, relation,
                      datum_of_i16((int16_t)sub), &r));
    rows_copy(c->x->mem, &r, COLS_ATTRIBUTE, &v, &n);
    const char *name = arena_printf(c->x->mem, "........pg.dropped.%d........", sub);
    v[COL_ATTCACHEOFF - 1] = datum_of_i32((int32_t)catalog_oid_value(&r, COL_ATTTYPID));
    v[COL_ATTNAME - 1] = datum_of_text(c->x->mem, name);
    v[COL_ATTTYPID - 1] = 0;
    v[COL_ATTISDROPPED - 1] = datum_of_bool(true);
    v[COL_ATTNOTNULL - 1] = datum_of_bool(false);
    v[COL_ATTHASDEF - 1] = datum_of_bool(false);
    v[COL_ATTIDENTITY - 1] = 0;
    v[COL_ATTSTATTARGET - 1] = datum_of_i32(0);
    TRY(catalog_replace(c->w, REL_ATTRIBUTE, &r, v, n));
    return remove_all_wait(c, REL_STATISTIC, INDEX_STATISTIC_RELID_ATT_INH, 2, relation,
                           datum_of_i16((int16_t)sub));
}

static SUSPENDS err_t remove_constraint_wait(struct closure *c, oid constraint)
{
    struct catalog_row r;
    TRY(rows_get_wait(c->x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, constraint, 0, &r));
    oid table = catalog_oid_value(&r, COL_CONRELID);
    TRY(catalog_remove(c->w, REL_CONSTRAINT, &r));
    if (catalog_char_value(&r, COL_CONTYPE) != 'c' || member_find(c, REL_CLASS, table, 0))
        return ERR_OK;
    /* relchecks: one trip of its own, several constraints may go at once */
    struct catalog_row t;
    TRY(rows_get_wait(c->x, REL_CLASS, INDEX_CLASS_OID, 1, table, 0, &t));
    int32_t checks = catalog_int_value(&t, COL_RELCHECKS);
    return rows_set_wait(c->x, REL_CLASS, INDEX_CLASS_OID, 1, table, 0, COL_RELCHECKS,
                         datum_of_i16((int16_t)(checks - 1)), false);
}

static SUSPENDS err_t remove_default_wait(struct closure *c, oid object)
{
    struct catalog_row r;
    TRY(rows_get_wait(c->x, REL_ATTRDEF, INDEX_ATTRDEF_OID, 1, object, 0, &r));
    oid table = catalog_oid_value(&r, COL_ADRELID);
    int32_t number = catalog_int_value(&r, COL_ADNUM);
    TRY(catalog_remove(c->w, REL_ATTRDEF, &r));
    if (member_find(c, REL_CLASS, table, number))
        return ERR_OK;
    return rows_set_wait(c->x, REL_ATTRIBUTE, INDEX_ATTRIBUTE_RELID_ATTNUM, 2, table,
                         datum_of_i16((int16_t)number), COL_ATTHASDEF, datum_of_bool(false), false);
}

static SUSPENDS err_t remove_member_wait(struct closure *c, const struct drop_object *o)
{
    struct catalog_session *cs = c->x->catalog;
    switch (o->class) {
    case REL_CLASS:
        if (o->sub)
            TRY(remove_column_wait(c, o->object, o->sub));
        else
            TRY(remove_relation_wait(c, o->object));
        break;
    case REL_CONSTRAINT:
        TRY(remove_constraint_wait(c, o->object));
        break;
    case REL_ATTRDEF:
        TRY(remove_default_wait(c, o->object));
        break;
    case REL_REWRITE:
        TRY(remove_all_wait(c, REL_REWRITE, INDEX_REWRITE_OID, 1, o->object, 0));
        break;
    case REL_TRIGGER:
        TRY(remove_all_wait(c, REL_TRIGGER, INDEX_TRIGGER_OID, 1, o->object, 0));
        break;
    case REL_TYPE:
        TRY(remove_all_wait(c, REL_TYPE, INDEX_TYPE_OID, 1, o->object, 0));
        break;
    case REL_NAMESPACE:
        TRY(remove_all_wait(c, REL_NAMESPACE, INDEX_NAMESPACE_OID, 1, o->object, 0));
        if (cs->temp_schema == o->object)
            cs->temp_schema = 0;
        break;
    default:
        return err_not_built("dropping this kind of object is not supported");
    }
    struct catalog_rows rows;
    TRY(catalog_find_wait(cs, REL_DEPEND, INDEX_DEPEND_DEPENDER, 2, o->class, o->object, c->x->mem,
                          &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        if (o->sub == 0 || catalog_int_value(&rows.rows[i], COL_OBJSUBID) == o->sub)
            TRY(catalog_remove(c->w, REL_DEPEND, &rows.rows[i]));
    TRY(catalog_find_wait(cs, REL_DESCRIPTION, INDEX_DESCRIPTION_O_C_O, 2, o->object, o->class,
                          c->x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++)
        if (o->sub == 0 || catalog_int_value(&rows.rows[i], COL_OBJSUBID) == o->sub)
            TRY(catalog_remove(c->w, REL_DESCRIPTION, &rows.rows[i]));
    return ERR_OK;
}

struct sequence_drop {
    uint32_t shard;
    struct txn_view view;
    file_id file;
};

static SUSPENDS err_t sequence_drop_call(void *arg)
{
    struct sequence_drop *d = arg;
    return shard_file_drop_wait(shard_local(d->shard), &d->view, d->file);
}

static SUSPENDS err_t drop_files_wait(struct closure *c)
{
    TRY(ddl_files_drop_wait(c->x, c->files, c->file_count));
    return ERR_OK;
}

/* A sequence's file is on the shard that its relation's OID says. */
static SUSPENDS err_t drop_sequence_file_wait(struct closure *c, oid relation)
{
    struct catalog_row r;
    struct txn *t = c->x->catalog->txn;
    TRY(rows_get_wait(c->x, REL_CLASS, INDEX_CLASS_OID, 1, relation, 0, &r));
    if (catalog_char_value(&r, COL_RELKIND) != 'S')
        return ERR_OK;
    struct sequence_drop d = {
        .shard = relation % shard_count(),
        .view = txn_view_make(t, relation % shard_count(), true),
        .file = file_of(c->x->catalog->database, catalog_oid_value(&r, COL_RELFILENODE))};
    err_t e = core_call_wait(shard_core(d.shard), sequence_drop_call, &d);
    txn_merge(t, d.shard, &d.view);
    return e;
}

static SUSPENDS err_t lock_table_wait(struct closure *c, oid relation)
{
    const struct table_desc *t;
    TRY(ddl_lock_wait(c->x, relation, LOCK_ACCESS_EXCLUSIVE));
    TRY(table_by_oid_wait(c->x->catalog, relation, &t));
    err_t e = t ? ddl_check_not_pending(
                      c->x, t, c->members[0].o.class == REL_CLASS ? "DROP TABLE" : "ALTER TABLE")
                : ERR_OK;
    table_release(t);
    return e;
}

static SUSPENDS err_t lock_members_wait(struct closure *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct drop_object o = c->members[i].o;
        if (o.class == REL_CLASS)
            TRY(lock_table_wait(c, o.object));
        if (o.class != REL_CONSTRAINT)
            continue;
        struct catalog_row r;
        TRY(rows_get_wait(c->x, REL_CONSTRAINT, INDEX_CONSTRAINT_OID, 1, o.object, 0, &r));
        TRY(lock_table_wait(c, catalog_oid_value(&r, COL_CONRELID)));
        if (catalog_oid_value(&r, COL_CONFRELID) != 0)
            TRY(lock_table_wait(c, catalog_oid_value(&r, COL_CONFRELID)));
    }
    return ERR_OK;
}

err_t ddl_drop_objects_wait(struct ddl_context *x, const struct drop_object *objects,
                            uint32_t count, bool cascade, bool quiet)
{
    struct closure *c = ARENA_NEW(x->mem, struct closure);
    c->x = x;
    for (uint32_t i = 0; i < count; i++) {
        if (member_find(c, objects[i].class, objects[i].object, objects[i].sub))
            continue;
        member_add(c, objects[i].class, objects[i].object, objects[i].sub)->is_target = true;
    }
    uint32_t targets = c->count;
    TRY(check_targets_wait(c, targets));
    TRY(closure_wait(c));
    TRY(check_cascade_wait(c, targets, cascade, quiet));
    TRY(lock_members_wait(c));
    c->w = catalog_writer_new(x->catalog, x->mem);
    for (uint32_t i = c->count; i > 0; i--) {
        struct drop_object o = c->members[i - 1].o;
        /* a column of a table that goes as a whole */
        const struct member *whole = o.sub ? member_find(c, o.class, o.object, 0) : NULL;
        if (whole && whole->o.sub == 0)
            continue;
        if (o.class == REL_CLASS && !o.sub)
            TRY(drop_sequence_file_wait(c, o.object));
        TRY(remove_member_wait(c, &o));
        TRY(catalog_apply_wait(c->w));
        catalog_touch(x->catalog, o.object);
        TRY(fiber_rest_wait());
    }
    return drop_files_wait(c);
}

/* ---- DROP ---- */

static const char *object_word(enum ddl_object o)
{
    switch (o) {
    case OBJ_TABLE:
        return "table";
    case OBJ_INDEX:
        return "index";
    case OBJ_SEQUENCE:
        return "sequence";
    case OBJ_VIEW:
        return "view";
    case OBJ_SCHEMA:
        return "schema";
    case OBJ_TYPE:
        return "type";
    case OBJ_FUNCTION:
        return "function";
    case OBJ_EXTENSION:
        return "extension";
    case OBJ_MATVIEW:
        return "materialized view";
    case OBJ_FOREIGN_TABLE:
        return "foreign table";
    default:
        return "object";
    }
}

static err_t wrong_kind(const char *name, enum ddl_object wanted, char kind)
{
    const char *word = object_word(wanted);
    bool vowel = wanted == OBJ_INDEX;
    err_t e =
        err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not %s %s", name, vowel ? "an" : "a", word);
    const char *is = ddl_kind_name(kind);
    static const char *const commands[] = {"TABLE", "INDEX", "SEQUENCE", "VIEW"};
    const char *command = kind == 'i'   ? commands[1]
                          : kind == 'S' ? commands[2]
                          : kind == 'v' ? commands[3]
                                        : commands[0];
    err_hint("Use DROP %s to remove %s %s.", command, kind == 'i' ? "an" : "a", is);
    return e;
}

static SUSPENDS err_t schema_missing_wait(struct ddl_context *x, const struct ddl *d,
                                          const struct ddl_name *n, bool *missing)
{
    *missing = false;
    if (!n->schema)
        return ERR_OK;
    oid schema;
    TRY(schema_oid_wait(x->catalog, n->schema, &schema));
    *missing = schema == 0;
    if (!*missing)
        return ERR_OK;
    if (!d->missing_ok)
        return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", n->schema);
    ddl_notice(x, "schema \"%s\" does not exist, skipping", n->schema);
    return ERR_OK;
}

/* The relation that DROP names; object 0 when it is missing and IF EXISTS was said. */
static SUSPENDS err_t target_relation_wait(struct ddl_context *x, const struct ddl *d,
                                           const struct ddl_name *n, struct drop_object *out,
                                           oid *concurrent_table)
{
    bool missing;
    TRY(schema_missing_wait(x, d, n, &missing));
    if (missing)
        return ERR_OK;
    const struct table_desc *t = NULL;
    oid relation;
    char kind;
    TRY(catalog_relation_oid_wait(x->catalog, n->schema, n->name, &relation, &kind));
    if (relation == 0) {
        if (!d->missing_ok)
            return err_raise(d->object == OBJ_INDEX ? ERR_UNDEFINED_OBJECT : ERR_UNDEFINED_TABLE,
                             "%s \"%s\" does not exist", object_word(d->object),
                             ddl_name_text(x->mem, n));
        ddl_notice(x, "%s \"%s\" does not exist, skipping", object_word(d->object), n->name);
        return ERR_OK;
    }
    char wanted = d->object == OBJ_INDEX      ? 'i'
                  : d->object == OBJ_SEQUENCE ? 'S'
                  : d->object == OBJ_VIEW     ? 'v'
                  : d->object == OBJ_TABLE    ? 'r'
                                              : 0;
    if (kind != wanted)
        return wrong_kind(n->name, d->object, kind);
    uint32_t position = 0;
    if (kind == 'i') {
        TRY(ddl_open_index_wait(
            x, n, d->concurrently ? LOCK_SHARE_UPDATE_EXCLUSIVE : LOCK_ACCESS_EXCLUSIVE, &t,
            &position));
        if (t)
            relation = t->indexes[position].oid;
    } else {
        TRY(ddl_open_wait(x, n, LOCK_ACCESS_EXCLUSIVE, &t));
    }
    if (!t)
        return ddl_missing(x, n, object_word(d->object));
    err_t e = kind == 'i' ? ddl_check_index_owner_wait(x, t, position) : ddl_check_owner_wait(x, t);
    *out = (struct drop_object){REL_CLASS, relation, 0};
    if (e == ERR_OK && kind == 'i' && d->concurrently) {
        if (t->persistence == 't') /* nobody else sees it */
            e = ddl_lock_wait(x, t->oid, LOCK_ACCESS_EXCLUSIVE);
        else
            *concurrent_table = t->oid;
    }
    table_release(t);
    return e;
}

static SUSPENDS err_t target_schema_wait(struct ddl_context *x, const struct ddl *d,
                                         const struct ddl_name *n, struct drop_object *out)
{
    oid schema;
    TRY(schema_oid_wait(x->catalog, n->name, &schema));
    if (schema == 0) {
        if (!d->missing_ok)
            return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", n->name);
        ddl_notice(x, "schema \"%s\" does not exist, skipping", n->name);
        return ERR_OK;
    }
    if (schema < FIRST_USER_OID && schema != SCHEMA_PUBLIC)
        return err_raise(ERR_DEPENDENT_OBJECTS_STILL_EXIST,
                         "cannot drop schema %s because it is required by the database system",
                         n->name);
    struct catalog_row row;
    TRY(rows_get_wait(x, REL_NAMESPACE, INDEX_NAMESPACE_OID, 1, schema, 0, &row));
    if (!x->catalog->is_superuser && catalog_oid_value(&row, COL_NSPOWNER) != x->catalog->user)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE, "must be owner of schema %s", n->name);
    *out = (struct drop_object){REL_NAMESPACE, schema, 0};
    return ERR_OK;
}

static SUSPENDS err_t target_wait(struct ddl_context *x, const struct ddl *d,
                                  const struct ddl_name *n, struct drop_object *out,
                                  oid *concurrent_table)
{
    switch (d->object) {
    case OBJ_TABLE:
    case OBJ_INDEX:
    case OBJ_SEQUENCE:
    case OBJ_VIEW:
    case OBJ_MATVIEW:
    case OBJ_FOREIGN_TABLE:
        return target_relation_wait(x, d, n, out, concurrent_table);
    case OBJ_SCHEMA:
        return target_schema_wait(x, d, n, out);
    case OBJ_TYPE:
    case OBJ_FUNCTION:
    case OBJ_EXTENSION:
        if (d->missing_ok) {
            ddl_notice(x, "%s \"%s\" does not exist, skipping", object_word(d->object), n->name);
            return ERR_OK;
        }
        if (d->object == OBJ_EXTENSION && strcmp(n->name, "plpgsql") == 0)
            return err_not_built("DROP EXTENSION is not supported");
        return err_raise(d->object == OBJ_FUNCTION ? ERR_UNDEFINED_FUNCTION : ERR_UNDEFINED_OBJECT,
                         "%s \"%s\" does not exist", object_word(d->object),
                         ddl_name_text(x->mem, n));
    default:
        return err_not_built("%s is not supported", d->tag);
    }
}

err_t ddl_drop_run_wait(struct ddl_context *x, const struct ddl *d)
{
    if (d->concurrently && x->in_block)
        return err_raise(ERR_ACTIVE_SQL_TRANSACTION, "DROP INDEX CONCURRENTLY %s", x->in_block);
    if (d->concurrently && d->name_count != 1)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "DROP INDEX CONCURRENTLY does not support dropping multiple objects");
    if (d->concurrently && d->cascade)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "DROP INDEX CONCURRENTLY does not support CASCADE");
    struct drop_object *objects = ARENA_ARRAY(x->mem, struct drop_object, d->name_count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->name_count; i++) {
        struct drop_object o = {0};
        oid concurrent_table = 0;
        TRY(target_wait(x, d, &d->names[i], &o, &concurrent_table));
        if (concurrent_table)
            return ddl_drop_index_concurrently_wait(x, concurrent_table, o.object);
        if (o.class)
            objects[count++] = o;
    }
    return count ? ddl_drop_objects_wait(x, objects, count, d->cascade, false) : ERR_OK;
}

static SUSPENDS err_t drop_schemas_wait(struct catalog_session *cs, const struct session_env *env,
                                        const oid *schemas, uint32_t count)
{
    struct txn_options o = {.isolation = READ_COMMITTED, .synchronous_commit = false};
    struct txn *own = txn_begin(&o);
    txn_statement_begin(own);
    struct txn *before = cs->txn;
    cs->txn = own;
    struct ddl_context x = {.catalog = cs, .env = env, .mem = arena_new()};
    struct drop_object *objects = ARENA_ARRAY(x.mem, struct drop_object, count + 1);
    for (uint32_t i = 0; i < count; i++)
        objects[i] = (struct drop_object){REL_NAMESPACE, schemas[i], 0};
    err_t e = ddl_drop_objects_wait(&x, objects, count, true, true);
    if (e == ERR_OK)
        e = txn_commit_wait(own);
    else
        txn_rollback_wait(own);
    cs->txn = before;
    arena_free(x.mem);
    return e;
}

err_t ddl_drop_temporary_wait(struct catalog_session *cs, const struct session_env *env)
{
    oid schema = cs->temp_schema;
    if (!schema)
        return ERR_OK;
    err_t e = drop_schemas_wait(cs, env, &schema, 1);
    cs->temp_schema = 0;
    return e;
}

static SUSPENDS err_t sweep_database_wait(oid database, struct arena *mem)
{
    struct session_env env = {.is_superuser = true, .user_oid = ROLE_BOOTSTRAP};
    struct catalog_session cs = {
        .database = database, .user = ROLE_BOOTSTRAP, .is_superuser = true, .user_name = ""};
    struct catalog_probe p = {.relation = REL_NAMESPACE};
    TRY(catalog_probe_in_wait(NULL, database, &p, 1, mem));
    oid *schemas = ARENA_ARRAY(mem, oid, p.found.count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < p.found.count; i++) {
        const char *name = catalog_text_value(mem, &p.found.rows[i], COL_NSPNAME, NULL);
        if (name && strncmp(name, "pg_temp_", 8) == 0)
            schemas[count++] = catalog_oid_value(&p.found.rows[i], COL_OID);
    }
    return count ? drop_schemas_wait(&cs, &env, schemas, count) : ERR_OK;
}

err_t ddl_sweep_temporary_wait(void)
{
    struct arena *mem = arena_new();
    struct catalog_probe p = {.relation = REL_DATABASE};
    err_t e = catalog_probe_in_wait(NULL, 0, &p, 1, mem);
    for (uint32_t i = 0; e == ERR_OK && i < p.found.count; i++)
        e = sweep_database_wait(catalog_oid_value(&p.found.rows[i], COL_OID), mem);
    arena_free(mem);
    return e;
}
