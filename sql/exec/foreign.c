/*
 * Working off the notes of foreign keys (PostgreSQL's RI triggers are the model of behaviour).
 *
 * Rows that refer to a key find and lock it (KEY SHARE) through its unique index on its shard; that
 * they exist cannot be undone by anyone before this transaction ends, so in a long statement they
 * are looked up as it goes on and only what is missing waits for the end. For a key that went away
 * the actions are statements in SQL, planned once per core. They see the newest state whatever the
 * isolation level; above read committed, rows that the transaction's own snapshot does not see as
 * they are now raise 40001 (PostgreSQL's crosscheck snapshot).
 */
#include "sql/exec/constraint_priv.h"

#include "sql/catalog/cache.h"

enum { BATCH_KEYS = 1000 };

bool foreign_is_deferred(const struct constraint_queue *q, const struct foreign_key *k)
{
    return k->deferrable && constraint_is_deferred(q, k->constraint, k->deferred);
}

/* RESTRICT and the actions that change rows are never deferred. */
static bool can_wait(const struct foreign_key *k, uint32_t kind)
{
    return kind == NOTE_REFER ||
           (kind == NOTE_KEY_DELETED ? k->delete_action : k->update_action) == 'a';
}

/* ---- errors ---- */

static err_t put_row(struct constraint_queue *q, const struct plan_table *t, const int16_t *columns,
                     uint32_t count, const datum *values, const bool *nulls, struct arena *mem,
                     struct strbuf *names, struct strbuf *texts)
{
    for (uint32_t i = 0; i < count; i++) {
        strbuf_puts(names, i > 0 ? ", " : "");
        strbuf_puts(names, t->column_names[columns[i] - 1]);
        strbuf_puts(texts, i > 0 ? ", " : "");
        if (nulls[i])
            strbuf_puts(texts, "null");
        else
            TRY(value_output(q->env, mem, t->column_types[columns[i] - 1], values[i], texts));
    }
    return ERR_OK;
}

/* missing: the referring row's key is not in the target; else the target's key is still referred
 * to. */
static COLD err_t raise_violation(struct constraint_queue *q, const struct foreign_key *k,
                                  bool missing, const datum *values, const bool *nulls)
{
    struct arena *mem = arena_new();
    const struct plan_table *of = missing ? k->table : k->target;
    const int16_t *columns = missing ? k->columns : k->target_columns;
    struct strbuf names;
    struct strbuf texts;
    strbuf_init(&names, mem);
    strbuf_init(&texts, mem);
    bool is_mixed = false;
    for (uint32_t i = 0; missing && i < k->count; i++)
        is_mixed |= nulls[i];
    err_t shown = put_row(q, of, columns, k->count, values, nulls, mem, &names, &texts);
    err_t e = err_raise(ERR_FOREIGN_KEY_VIOLATION,
                        "%s on table \"%s\" violates foreign key constraint \"%s\"%s",
                        missing ? "insert or update" : "update or delete", of->name, k->name,
                        missing ? "" : arena_printf(mem, " on table \"%s\"", k->table->name));
    if (is_mixed)
        err_detail("MATCH FULL does not allow mixing of null and nonnull key values.");
    else if (shown == ERR_OK)
        err_detail("Key (%s)=(%s) is %s table \"%s\".", names.data, texts.data,
                   missing ? "not present in" : "still referenced from",
                   missing ? k->target->name : k->table->name);
    err_object(k->table->schema_name, k->table->name, NULL, NULL, k->name);
    arena_free(mem);
    return e;
}

COLD err_t foreign_raise_missing(struct constraint_queue *q, const struct foreign_key *k,
                                 const datum *values, const bool *nulls)
{
    return raise_violation(q, k, true, values, nulls);
}

COLD err_t foreign_raise_referenced(struct constraint_queue *q, const struct foreign_key *k,
                                    const datum *values, const bool *nulls)
{
    return raise_violation(q, k, false, values, nulls);
}

/* ---- a batch of notes of one constraint and kind ---- */

static void decode_keys(struct constraint_work *w)
{
    const struct row_layout *layout = w->kind == NOTE_REFER ? w->k->layout : w->k->target_layout;
    for (uint32_t i = 0; i < w->count; i++) {
        struct constraint_key *b = &w->keys[i];
        b->values = ARENA_ARRAY(w->mem, datum, w->k->count);
        b->nulls = ARENA_ARRAY(w->mem, bool, w->k->count);
        row_decode(layout, constraint_note_key(b->note), 0, w->k->count, b->values, b->nulls);
    }
}

/* ---- statements of a constraint ---- */

struct statement_run {
    struct constraint_work *w;
    enum foreign_statement statement;
    bool many;
    const datum *params;
    const bool *nulls;
    uint32_t param_count;
    bool found;            /* a row came back */
    struct foreign_key *k; /* that the plan belongs to */
};

static SUSPENDS err_t lock_tables_wait(struct constraint_queue *q, const struct plan *p)
{
    for (uint32_t i = 0; i < p->lock_count; i++)
        TRY(txn_lock_table_wait(q->catalog->txn,
                                (uint64_t)q->catalog->database << 32 | p->locks[i].table,
                                p->locks[i].mode, false));
    return ERR_OK;
}

static SUSPENDS err_t run_plan_wait(struct statement_run *r, const struct plan *p, ts_t crosscheck)
{
    struct constraint_queue *q = r->w->q;
    struct exec_options o = {.plan = p,
                             .txn = q->catalog->txn,
                             .env = q->env,
                             .params = r->params,
                             .param_nulls = r->nulls,
                             .param_count = r->param_count,
                             .constraints = q};
    struct exec *x;
    TRY(exec_start_wait(&o, &x));
    x->is_action = true;
    x->notes = r->w->notes;
    x->crosscheck = crosscheck;
    const struct slot *row = NULL;
    err_t e;
    do {
        e = exec_next_wait(x, &row);
        r->found |= e == ERR_OK && row != NULL;
    } while (e == ERR_OK && row != NULL && p->command != CMD_SELECT);
    exec_end_wait(x);
    return e;
}

/* The newest state (or, to find a referenced row above read committed, what the snapshot sees). */
static SUSPENDS err_t run_statement_wait(struct statement_run *r)
{
    struct constraint_queue *q = r->w->q;
    struct txn *t = q->catalog->txn;
    struct foreign_key *k = r->w->k;
    const struct plan *p;
    err_t e;
    TRY(fiber_check_stack());
    /* The columns of both ends stay as they are, but an index may be new. */
    for (bool again = true; again;) {
        TRY(foreign_key_get_wait(q, k->table->oid, k->constraint, &r->k));
        e = foreign_key_plan_wait(q, r->k, r->statement, r->many, &p);
        if (e == ERR_OK)
            e = lock_tables_wait(q, p);
        again = e == ERR_OK && p->catalog_version != catalog_version();
        if (e != ERR_OK || again)
            foreign_key_release(r->k);
        TRY(e);
    }
    bool is_snapshot = txn_isolation(t) != READ_COMMITTED;
    if (is_snapshot && r->statement == STATEMENT_FIND) {
        txn_advance(t);
        e = run_plan_wait(r, p, 0);
    } else {
        struct txn_newest *n = txn_newest_begin(t);
        e = run_plan_wait(r, p, is_snapshot ? txn_newest_outer(n) : 0);
        txn_newest_end(n);
    }
    foreign_key_release(r->k);
    return e;
}

/* A key as a statement's parameters. false: no row of the other table can have it. */
static bool key_params(const struct constraint_work *w, enum foreign_statement s,
                       const datum *values, datum *out)
{
    for (uint32_t i = 0; i < w->k->count; i++) {
        if (!integer_fits(foreign_param_type(w->k, s, i), values[i]))
            return false;
        out[i] = values[i];
    }
    return true;
}

/* ---- rows that refer to a key ---- */

struct distinct {
    struct hash_table table;
    struct foreign_find *finds;
    uint32_t *find_of; /* per key of the batch; UINT32_MAX = cannot exist */
    uint32_t count;
};

/* The key in the order and types of the target's index. */
static bool index_key(const struct foreign_key *k, const datum *values, struct strbuf *out)
{
    const struct key_column *columns = foreign_index_columns(k);
    out->len = 0;
    for (uint32_t i = 0; i < k->index->key_count; i++) {
        datum v = values[k->places[i]];
        if (!integer_fits(columns[i].type->oid, v))
            return false;
        key_append(&columns[i], v, false, out);
    }
    return true;
}

static void collect_distinct(struct constraint_work *w, struct distinct *d)
{
    struct strbuf key;
    strbuf_init(&key, w->mem);
    hash_table_init(&d->table, w->mem);
    d->finds = ARENA_ARRAY(w->mem, struct foreign_find, w->count + 1);
    d->find_of = ARENA_ARRAY(w->mem, uint32_t, w->count + 1);
    for (uint32_t i = 0; i < w->count; i++) {
        const struct constraint_key *b = &w->keys[i];
        bool has_null = false;
        for (uint32_t c = 0; c < w->k->count; c++)
            has_null |= b->nulls[c];
        d->find_of[i] = UINT32_MAX;
        if (has_null || !index_key(w->k, b->values, &key))
            continue;
        uint64_t hash = bytes_hash(key.data, key.len);
        struct hash_entry *e = hash_table_find(&d->table, hash, key.data, key.len);
        if (e == NULL) {
            e = hash_table_add(&d->table, hash, key.data, key.len);
            e->flags = d->count;
            d->finds[d->count++] = (struct foreign_find){
                .values = b->values, .key = e->key, .key_len = e->key_len, .id = ROW_ID_NONE};
        }
        d->find_of[i] = e->flags;
    }
}

static SUSPENDS err_t find_by_statement_wait(struct constraint_work *w,
                                             const struct constraint_key *b, bool *found)
{
    datum params[FOREIGN_COLUMNS_MAX];
    bool nulls[FOREIGN_COLUMNS_MAX] = {false};
    *found = false;
    for (uint32_t i = 0; i < w->k->count; i++)
        if (b->nulls[i])
            return ERR_OK;
    if (!key_params(w, STATEMENT_FIND, b->values, params))
        return ERR_OK;
    struct statement_run r = {.w = w,
                              .statement = STATEMENT_FIND,
                              .params = params,
                              .nulls = nulls,
                              .param_count = w->k->count};
    TRY(run_statement_wait(&r));
    *found = r.found;
    return ERR_OK;
}

static SUSPENDS err_t refer_wait(struct constraint_work *w)
{
    struct distinct d = {0};
    bool is_direct = w->k->is_direct;
    if (is_direct) {
        collect_distinct(w, &d);
        TRY(foreign_find_wait(w->q, w->k, d.finds, d.count, w->mem));
    }
    for (uint32_t i = 0; i < w->count; i++) {
        const struct constraint_key *b = &w->keys[i];
        bool found = false;
        if (is_direct)
            found = d.find_of[i] != UINT32_MAX && d.finds[d.find_of[i]].is_found;
        else
            TRY(find_by_statement_wait(w, b, &found));
        if (found && w->is_relief)
            b->item->done_seq = 1;
        if (found || w->is_relief)
            continue;
        /* The row may have gone since, or refer to something else by now. */
        bool stands = false;
        TRY(foreign_row_stands_wait(w->q, w->k, b->note, &stands));
        if (stands)
            return foreign_raise_missing(w->q, w->k, b->values, b->nulls);
    }
    return ERR_OK;
}

/* ---- keys that went away ---- */

/* NO ACTION: a key that is there again (or still) is nobody's loss. */
static SUSPENDS err_t drop_present_keys_wait(struct constraint_work *w)
{
    struct foreign_find *finds = ARENA_ARRAY(w->mem, struct foreign_find, w->count + 1);
    struct strbuf key;
    strbuf_init(&key, w->mem);
    for (uint32_t i = 0; i < w->count; i++) {
        (void)index_key(w->k, w->keys[i].values, &key);
        finds[i] = (struct foreign_find){.values = w->keys[i].values,
                                         .key = arena_memdup(w->mem, key.data, key.len),
                                         .key_len = u32_from(key.len),
                                         .id = ROW_ID_NONE};
    }
    TRY(foreign_find_wait(w->q, w->k, finds, w->count, w->mem));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->count; i++)
        if (!finds[i].is_found)
            w->keys[kept++] = w->keys[i];
    w->count = kept;
    return ERR_OK;
}

static SUSPENDS err_t one_key_wait(struct constraint_work *w, enum foreign_statement s, uint32_t i)
{
    datum params[FOREIGN_COLUMNS_MAX * 2];
    bool nulls[FOREIGN_COLUMNS_MAX * 2] = {false};
    const struct constraint_key *b = &w->keys[i];
    struct statement_run r = {
        .w = w, .statement = s, .params = params, .nulls = nulls, .param_count = w->k->count};
    if (!key_params(w, s, b->values, params))
        return ERR_OK;
    if (s == STATEMENT_UPDATE) {
        row_decode(w->k->target_layout, constraint_note_new_key(b->note), 0, w->k->count,
                   params + w->k->count, nulls + w->k->count);
        r.param_count = 2u * w->k->count;
    }
    TRY(run_statement_wait(&r));
    if (s == STATEMENT_REFERRER && r.found)
        return foreign_raise_referenced(w->q, w->k, b->values, b->nulls);
    return ERR_OK;
}

/* The keys [from, to) of one column, in one statement. *found: a row refers to one of them. */
static SUSPENDS err_t many_keys_wait(struct constraint_work *w, enum foreign_statement s,
                                     uint32_t from, uint32_t to, bool *found)
{
    datum *values = ARENA_ARRAY(w->mem, datum, to - from);
    uint32_t count = 0;
    oid type = foreign_param_type(w->k, s, 0);
    for (uint32_t i = from; i < to; i++)
        if (integer_fits(type, w->keys[i].values[0]))
            values[count++] = w->keys[i].values[0];
    *found = false;
    if (count == 0)
        return ERR_OK;
    datum array;
    bool is_null = false;
    TRY(array_of(w->mem, type, values, NULL, count, &array));
    struct statement_run r = {.w = w,
                              .statement = s,
                              .many = true,
                              .params = &array,
                              .nulls = &is_null,
                              .param_count = 1};
    TRY(run_statement_wait(&r));
    *found = r.found;
    return ERR_OK;
}

static SUSPENDS err_t all_keys_wait(struct constraint_work *w, enum foreign_statement s)
{
    bool by_array = w->k->count == 1 && s != STATEMENT_UPDATE;
    for (uint32_t from = 0; from < w->count;) {
        uint32_t to = by_array ? MIN(from + BATCH_KEYS, w->count) : from + 1;
        bool found = to - from == 1;
        if (to - from > 1)
            TRY(many_keys_wait(w, s, from, to, &found));
        /* one by one: alone, or to see which key it is */
        for (uint32_t i = from; found && i < to; i++)
            if (to - from == 1 || s == STATEMENT_REFERRER)
                TRY(one_key_wait(w, s, i));
        from = to;
        TRY(fiber_rest_wait());
    }
    return ERR_OK;
}

static SUSPENDS err_t no_action_wait(struct constraint_work *w)
{
    TRY(drop_present_keys_wait(w));
    return all_keys_wait(w, STATEMENT_REFERRER);
}

static SUSPENDS err_t key_gone_wait(struct constraint_work *w)
{
    bool is_delete = w->kind == NOTE_KEY_DELETED;
    switch (is_delete ? w->k->delete_action : w->k->update_action) {
    case 'a':
        return no_action_wait(w);
    case 'r':
        return all_keys_wait(w, STATEMENT_REFERRER);
    case 'c':
        return all_keys_wait(w, is_delete ? STATEMENT_DELETE : STATEMENT_UPDATE);
    case 'n':
        return all_keys_wait(w, is_delete ? STATEMENT_SET_NULL : STATEMENT_SET_NULL_ALL);
    case 'd':
        TRY(all_keys_wait(w, is_delete ? STATEMENT_SET_DEFAULT : STATEMENT_SET_DEFAULT_ALL));
        /* the default may be the key that went away: then no row has changed */
        return no_action_wait(w);
    default:
        return err_raise(ERR_DATA_CORRUPTED, "action of foreign key \"%s\" is damaged", w->k->name);
    }
}

/* ---- a batch ---- */

/* Rows whose checks wait got new addresses: the waiting notes follow them. */
static err_t follow_moves(struct constraint_work *w)
{
    struct constraint_queue *q = w->q;
    struct hash_table moves;
    if (!q->has_deferred)
        return ERR_OK;
    hash_table_init(&moves, w->mem);
    for (uint32_t i = 0; i < w->count; i++) {
        uint64_t key[2] = {w->keys[i].note->old_shard_no, w->keys[i].note->old_id};
        uint64_t hash = bytes_hash(key, sizeof(key));
        if (hash_table_find(&moves, hash, key, sizeof(key)) == NULL)
            hash_table_add(&moves, hash, key, sizeof(key))->payload =
                (void *)(uintptr_t)w->keys[i].note;
    }
    uint32_t count = q->deferred.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct constraint_note *n = q->deferred.items[i].note;
        uint64_t key[2] = {n->shard_no, n->id};
        if (q->deferred.items[i].done_seq != 0 || n->kind != NOTE_REFER ||
            n->constraint != w->k->constraint)
            continue;
        const struct hash_entry *e =
            hash_table_find(&moves, bytes_hash(key, sizeof(key)), key, sizeof(key));
        if (e == NULL)
            continue;
        struct constraint_note *moved =
            arena_memdup(w->mem, e->payload, ((const struct constraint_note *)e->payload)->bytes);
        moved->kind = NOTE_REFER;
        q->deferred.items[i].done_seq = moved->seq;
        TRY(constraint_notes_add(&q->deferred, moved));
    }
    return ERR_OK;
}

/* The descriptor, with both tables locked so that it stays true. */
static SUSPENDS err_t locked_key_wait(struct constraint_queue *q,
                                      const struct constraint_note *like, struct foreign_key **out)
{
    for (;;) {
        TRY(foreign_key_get_wait(q, like->table, like->constraint, out));
        const struct foreign_key *k = *out;
        uint64_t database = (uint64_t)q->catalog->database << 32;
        err_t e =
            txn_lock_table_wait(q->catalog->txn, database | k->table->oid, LOCK_ROW_SHARE, false);
        if (e == ERR_OK)
            e = txn_lock_table_wait(q->catalog->txn, database | k->target->oid, LOCK_ROW_SHARE,
                                    false);
        if (e == ERR_OK && k->version == catalog_version())
            return ERR_OK;
        foreign_key_release(*out);
        TRY(e);
    }
}

SUSPENDS err_t foreign_work_wait(struct constraint_work *w, const struct constraint_note *like,
                                 bool may_defer)
{
    TRY(locked_key_wait(w->q, like, &w->k));
    err_t e;
    if (like->kind == NOTE_MOVED) {
        e = follow_moves(w);
    } else if (may_defer && can_wait(w->k, like->kind) && foreign_is_deferred(w->q, w->k)) {
        e = constraint_defer(w);
    } else {
        decode_keys(w);
        e = like->kind == NOTE_REFER ? refer_wait(w) : key_gone_wait(w);
    }
    foreign_key_release(w->k);
    return e;
}

SUSPENDS err_t foreign_relieve_wait(struct constraint_work *w, const struct constraint_note *like)
{
    constraint_take_group(w, like);
    TRY(foreign_key_get_wait(w->q, like->table, like->constraint, &w->k));
    err_t e = ERR_OK;
    if (w->k->is_direct && !foreign_is_deferred(w->q, w->k)) {
        w->is_relief = true;
        decode_keys(w);
        e = refer_wait(w);
    }
    foreign_key_release(w->k);
    return e;
}

/* ---- tables that refer ---- */

SUSPENDS err_t foreign_lock_wait(struct constraint_queue *q, const struct plan_table *t)
{
    for (uint32_t i = 0; i < t->foreign_count; i++)
        if (!t->foreign[i].is_referenced)
            TRY(txn_lock_table_wait(q->catalog->txn,
                                    (uint64_t)q->catalog->database << 32 | t->foreign[i].other,
                                    LOCK_ROW_SHARE, false));
    return ERR_OK;
}

SUSPENDS err_t foreign_validate_wait(struct constraint_queue *q, oid table, oid constraint)
{
    struct foreign_key *k;
    TRY(foreign_key_get_wait(q, table, constraint, &k));
    struct arena *mem = arena_new();
    datum values[FOREIGN_COLUMNS_MAX] = {0};
    bool nulls[FOREIGN_COLUMNS_MAX] = {false};
    bool found = false;
    struct txn_newest *n = txn_newest_begin(q->catalog->txn);
    err_t e = foreign_orphan_wait(q, k, mem, values, nulls, &found);
    txn_newest_end(n);
    if (e == ERR_OK && found)
        e = foreign_raise_missing(q, k, values, nulls);
    foreign_key_release(k);
    arena_free(mem);
    return e;
}
