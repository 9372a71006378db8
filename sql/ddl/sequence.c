/* CREATE and ALTER SEQUENCE; sequences of serial and identity columns. */
#include "sql/ddl/ddl_priv.h"

struct sequence_params {
    oid type;
    int64_t start, increment, min, max, cache;
    bool cycle;
};

static void type_range(oid type, int64_t *min, int64_t *max)
{
    *min = type == TYPE_INT2 ? INT16_MIN : type == TYPE_INT4 ? INT32_MIN : INT64_MIN;
    *max = type == TYPE_INT2 ? INT16_MAX : type == TYPE_INT4 ? INT32_MAX : INT64_MAX;
}

/* Fills p (defaults or the present values) from the options. */
static err_t params_apply(struct sequence_params *p, const struct ddl_sequence_options *o,
                          bool is_new)
{
    int64_t low;
    int64_t high;
    bool reset_max = false;
    bool reset_min = false;
    if (o->has_type) {
        if (o->type != TYPE_INT2 && o->type != TYPE_INT4 && o->type != TYPE_INT8)
            return err_raise(ERR_INVALID_PARAMETER_VALUE,
                             "sequence type must be smallint, integer, or bigint");
        type_range(p->type, &low, &high);
        reset_max = p->max == high && p->increment > 0;
        reset_min = p->min == low && p->increment < 0;
        p->type = o->type;
    }
    if (o->has_increment) {
        if (o->increment == 0)
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "INCREMENT must not be zero");
        p->increment = o->increment;
    }
    if (o->has_cycle)
        p->cycle = o->cycle;
    type_range(p->type, &low, &high);
    if (o->has_max)
        p->max = o->max;
    else if (is_new || o->no_max || reset_max)
        p->max = p->increment > 0 ? high : -1;
    if (o->has_min)
        p->min = o->min;
    else if (is_new || o->no_min || reset_min)
        p->min = p->increment > 0 ? 1 : low;
    if (p->max < low || p->max > high)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "MAXVALUE (%lld) is out of range for sequence data type %s",
                         (long long)p->max,
                         p->type == TYPE_INT2   ? "smallint"
                         : p->type == TYPE_INT4 ? "integer"
                                                : "bigint");
    if (p->min < low || p->min > high)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "MINVALUE (%lld) is out of range for sequence data type %s",
                         (long long)p->min,
                         p->type == TYPE_INT2   ? "smallint"
                         : p->type == TYPE_INT4 ? "integer"
                                                : "bigint");
    if (p->min >= p->max)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "MINVALUE (%lld) must be less than MAXVALUE (%lld)", (long long)p->min,
                         (long long)p->max);
    if (o->has_start)
        p->start = o->start;
    else if (is_new)
        p->start = p->increment > 0 ? p->min : p->max;
    if (p->start < p->min)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "START value (%lld) cannot be less than MINVALUE (%lld)",
                         (long long)p->start, (long long)p->min);
    if (p->start > p->max)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "START value (%lld) cannot be greater than MAXVALUE (%lld)",
                         (long long)p->start, (long long)p->max);
    if (o->has_cache) {
        if (o->cache <= 0)
            return err_raise(ERR_INVALID_PARAMETER_VALUE, "CACHE (%lld) must be greater than zero",
                             (long long)o->cache);
        p->cache = o->cache;
    }
    return ERR_OK;
}

struct state_call {
    uint32_t shard;
    struct txn_view view;
    file_id file;
    struct sequence_state state;
    bool create;
    bool read;
    file_id drop;
};

static SUSPENDS err_t state_on_shard(void *arg)
{
    struct state_call *c = arg;
    struct shard *s = shard_local(c->shard);
    if (c->read)
        return sequence_read_wait(s, c->file, &c->state);
    if (c->drop)
        return shard_file_drop_wait(s, &c->view, c->drop);
    if (c->create)
        TRY(shard_file_create_wait(s, &c->view, c->file, FILE_SEQUENCE));
    return sequence_write_wait(s, &c->view, c->file, &c->state);
}

static SUSPENDS err_t state_call_wait(struct ddl_context *x, struct state_call *c)
{
    struct txn *t = x->catalog->txn;
    if (c->read)
        return core_call_wait(shard_core(c->shard), state_on_shard, c);
    c->view = txn_view_make(t, c->shard, true);
    err_t e = core_call_wait(shard_core(c->shard), state_on_shard, c);
    txn_merge(t, c->shard, &c->view);
    return e;
}

static err_t put_params(struct ddl_context *x, datum *v, oid sequence,
                        const struct sequence_params *p)
{
    (void)x;
    v[COL_SEQRELID - 1] = sequence;
    v[COL_SEQTYPID - 1] = p->type;
    v[COL_SEQSTART - 1] = datum_of_i64(p->start);
    v[COL_SEQINCREMENT - 1] = datum_of_i64(p->increment);
    v[COL_SEQMAX - 1] = datum_of_i64(p->max);
    v[COL_SEQMIN - 1] = datum_of_i64(p->min);
    v[COL_SEQCACHE - 1] = datum_of_i64(p->cache);
    v[COL_SEQCYCLE - 1] = datum_of_bool(p->cycle);
    return ERR_OK;
}

err_t ddl_make_sequence_wait(struct ddl_context *x, const struct sequence_request *r, oid *out)
{
    struct sequence_params p = {.type = TYPE_INT8, .increment = 1, .cache = 1};
    struct ddl_sequence_options *o =
        arena_memdup(x->mem, r->options, sizeof(struct ddl_sequence_options));
    if (r->type && !o->has_type) {
        o->has_type = true;
        o->type = r->type;
    }
    TRY(params_apply(&p, o, true));
    if (o->has_restart) {
        p.start = o->restart_default ? p.start : o->restart;
    }
    oid first;
    TRY(catalog_new_oids_wait(x->catalog, 1, &first));
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    struct class_row c = {.oid = first,
                          .name = r->name,
                          .schema = r->schema,
                          .owner = r->owner,
                          .file = first,
                          .persistence = r->persistence,
                          .kind = 'S',
                          .columns = 3};
    TRY(rows_class(w, x->mem, &c));
    static const struct {
        const char *name;
        oid type;
    } columns[] = {{"last_value", TYPE_INT8}, {"log_cnt", TYPE_INT8}, {"is_called", TYPE_BOOL}};
    for (int16_t i = 0; i < 3; i++) {
        struct attribute_row a = {.relation = first,
                                  .name = columns[i].name,
                                  .type = columns[i].type,
                                  .typmod = -1,
                                  .number = (int16_t)(i + 1),
                                  .not_null = true};
        TRY(rows_attribute(w, x->mem, &a));
    }
    datum *v = ARENA_ARRAY(x->mem, datum, COLS_SEQUENCE);
    bool *n = ARENA_ARRAY(x->mem, bool, COLS_SEQUENCE);
    TRY(put_params(x, v, first, &p));
    TRY(catalog_put(w, REL_SEQUENCE, v, n));
    TRY(rows_depend(w, x->mem, REL_CLASS, first, 0, REL_NAMESPACE, r->schema, 0, 'n'));
    TRY(catalog_apply_wait(w));
    struct state_call call = {.shard = first % shard_count(),
                              .file = file_of(x->catalog->database, first),
                              .state = {.last_value = p.start},
                              .create = true};
    TRY(state_call_wait(x, &call));
    *out = first;
    return ERR_OK;
}

/* A new file with the start value: transactional, unlike setval. */
static SUSPENDS err_t new_state_wait(struct ddl_context *x, const struct table_desc *t,
                                     const struct sequence_state *state)
{
    oid number;
    TRY(catalog_new_oid_wait(x->catalog, &number));
    TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, t->oid, 0, COL_RELFILENODE, number, false));
    struct state_call call = {.shard = t->sequence.shard,
                              .file = file_of(x->catalog->database, number),
                              .state = *state,
                              .create = true};
    TRY(state_call_wait(x, &call));
    struct state_call drop = {.shard = t->sequence.shard, .drop = t->file};
    return state_call_wait(x, &drop);
}

err_t ddl_sequence_restart_wait(struct ddl_context *x, oid sequence)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, sequence, &t));
    if (!t || t->kind != 'S') {
        table_release(t);
        return ERR_OK;
    }
    struct sequence_state state = {.last_value = t->sequence.start};
    err_t e = new_state_wait(x, t, &state);
    table_release(t);
    return e;
}

static SUSPENDS err_t owned_by_wait(struct ddl_context *x, const struct table_desc *seq,
                                    const struct ddl_sequence_options *o)
{
    struct catalog_rows rows;
    struct catalog_writer *w = catalog_writer_new(x->catalog, x->mem);
    TRY(catalog_find_wait(x->catalog, REL_DEPEND, INDEX_DEPEND_DEPENDER, 2, REL_CLASS, seq->oid,
                          x->mem, &rows));
    for (uint32_t i = 0; i < rows.count; i++) {
        char type = catalog_char_value(&rows.rows[i], COL_DEPTYPE);
        if (type == 'i') {
            err_t e = err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                "cannot change ownership of identity sequence");
            err_detail("Sequence \"%s\" is linked to a table.", seq->name);
            return e;
        }
        if (type == 'a')
            TRY(catalog_remove(w, REL_DEPEND, &rows.rows[i]));
    }
    if (!o->owned_by_none) {
        const struct table_desc *t;
        TRY(ddl_open_wait(x, &o->owned_by, LOCK_ACCESS_SHARE, &t));
        if (!t)
            return ddl_missing(x, &o->owned_by, "relation");
        const struct column_desc *c = table_column(t, o->owned_by.part);
        err_t e = ERR_OK;
        if (t->kind != 'r')
            e = err_raise(ERR_WRONG_OBJECT_TYPE, "sequence cannot be owned by relation \"%s\"",
                          t->name);
        else if (!c)
            e = err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                          o->owned_by.part, t->name);
        else if (t->owner != seq->owner)
            e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                          "sequence must have same owner as table it is linked to");
        else if (t->schema != seq->schema)
            e = err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                          "sequence must be in same schema as table it is linked to");
        else
            e = rows_depend(w, x->mem, REL_CLASS, seq->oid, 0, REL_CLASS, t->oid, c->attno, 'a');
        table_release(t);
        TRY(e);
    }
    return catalog_apply_wait(w);
}

static SUSPENDS err_t owned_by_of_wait(struct ddl_context *x, oid sequence,
                                       const struct ddl_sequence_options *o)
{
    if (!o->has_owned_by)
        return ERR_OK;
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, sequence, &t));
    err_t e = owned_by_wait(x, t, o);
    table_release(t);
    return e;
}

static SUSPENDS err_t create_sequence_wait(struct ddl_context *x, const struct ddl *d)
{
    struct sequence_request r = {
        .name = d->names[0].name, .owner = x->catalog->user, .options = &d->sequence};
    const char *schema_name;
    TRY(ddl_creation_schema_wait(x, &d->names[0], &r.schema, &schema_name, &r.persistence));
    bool exists;
    TRY(ddl_relation_exists_wait(x, r.schema, r.name, &exists));
    if (exists) {
        if (!d->missing_ok)
            return err_raise(ERR_DUPLICATE_TABLE, "relation \"%s\" already exists", r.name);
        ddl_notice_code(x, ERR_DUPLICATE_TABLE, "relation \"%s\" already exists, skipping", r.name);
        return ERR_OK;
    }
    oid sequence;
    TRY(ddl_make_sequence_wait(x, &r, &sequence));
    return owned_by_of_wait(x, sequence, &d->sequence);
}

static SUSPENDS err_t alter_sequence_wait(struct ddl_context *x, const struct table_desc *t,
                                          const struct ddl_sequence_options *o)
{
    struct sequence_params p = {.type = t->sequence.type,
                                .start = t->sequence.start,
                                .increment = t->sequence.increment,
                                .min = t->sequence.min,
                                .max = t->sequence.max,
                                .cache = t->sequence.cache,
                                .cycle = t->sequence.cycle};
    TRY(ddl_check_owner_wait(x, t));
    TRY(params_apply(&p, o, false));
    struct state_call call = {.shard = t->sequence.shard, .file = t->file, .read = true};
    TRY(state_call_wait(x, &call));
    struct sequence_state state = call.state;
    if (o->has_restart) {
        state.last_value = o->restart_default ? p.start : o->restart;
        state.is_called = false;
    }
    if (state.last_value < p.min)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "RESTART value (%lld) cannot be less than MINVALUE (%lld)",
                         (long long)state.last_value, (long long)p.min);
    if (state.last_value > p.max)
        return err_raise(ERR_INVALID_PARAMETER_VALUE,
                         "RESTART value (%lld) cannot be greater than MAXVALUE (%lld)",
                         (long long)state.last_value, (long long)p.max);
    struct catalog_row row;
    datum *v;
    bool *n;
    TRY(rows_get_wait(x, REL_SEQUENCE, INDEX_SEQUENCE_SEQRELID, 1, t->oid, 0, &row));
    rows_copy(x->mem, &row, COLS_SEQUENCE, &v, &n);
    TRY(put_params(x, v, t->oid, &p));
    TRY(catalog_replace_wait(x->catalog, REL_SEQUENCE, &row, v, n, x->mem));
    if (o->has_restart)
        TRY(new_state_wait(x, t, &state));
    return ERR_OK;
}

err_t ddl_change_sequence_wait(struct ddl_context *x, oid sequence,
                               const struct ddl_sequence_options *o)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, sequence, &t));
    err_t e = alter_sequence_wait(x, t, o);
    table_release(t);
    return e;
}

err_t ddl_sequence_run_wait(struct ddl_context *x, const struct ddl *d)
{
    if (d->kind == DDL_CREATE_SEQUENCE)
        return create_sequence_wait(x, d);
    const struct table_desc *t;
    TRY(ddl_open_wait(x, &d->names[0], LOCK_SHARE_ROW_EXCLUSIVE, &t));
    if (!t) {
        if (!d->missing_ok)
            return ddl_missing(x, &d->names[0], "relation");
        ddl_notice(x, "relation \"%s\" does not exist, skipping", d->names[0].name);
        return ERR_OK;
    }
    err_t e = ERR_OK;
    if (t->kind != 'S')
        e = err_raise(ERR_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", t->name);
    else
        e = alter_sequence_wait(x, t, &d->sequence);
    oid sequence = t->oid;
    table_release(t);
    TRY(e);
    return owned_by_of_wait(x, sequence, &d->sequence);
}
