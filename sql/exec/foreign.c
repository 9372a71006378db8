/*
 * Working off the notes of foreign keys (PostgreSQL's RI triggers are the model of behaviour).
 *
 * At a statement's end the notes go in order; all pending notes of one constraint and kind go
 * together, so that keys are looked up and referencing rows are sought in batches. What an action
 * changes leaves notes of its own at the end of the list, so a cascade is worked off breadth first.
 * Rows that refer to a key find and lock it (KEY SHARE) through its unique index on its shard; that
 * they exist cannot be undone by anyone before this transaction ends, so in a long statement they
 * are looked up as it goes on and only what is missing waits for the end. For a key that went away
 * the actions are statements in SQL, planned once per core. They see the newest state whatever the
 * isolation level; above read committed, rows that the transaction's own snapshot does not see as
 * they are now raise 40001 (PostgreSQL's crosscheck snapshot).
 */
#include "sql/exec/foreign_priv.h"

#include "sql/catalog/cache.h"

enum { RELIEVE_NOTES = 2000, BATCH_KEYS = 1000 };

/* ---- the session's queue ---- */

struct foreign_queue *foreign_queue_new(struct catalog_session *cs, const struct session_env *env)
{
    struct foreign_queue *q = core_zalloc(sizeof(*q));
    q->catalog = cs;
    q->env = env;
    return q;
}

void foreign_transaction_end(struct foreign_queue *q)
{
    if (q->has_deferred)
        foreign_notes_end(&q->deferred);
    q->has_deferred = false;
    core_free(q->settings);
    q->settings = NULL;
    q->setting_count = 0;
    q->setting_room = 0;
}

void foreign_queue_memory(struct foreign_queue *q, void (*piece)(void *p),
                          void (*arena)(struct arena *a))
{
    piece(q);
    piece(q->settings);
    if (!q->has_deferred)
        return;
    piece(q->deferred.items);
    arena(q->deferred.mem);
}

void foreign_queue_free(struct foreign_queue *q)
{
    if (q == NULL)
        return;
    foreign_transaction_end(q);
    core_free(q);
}

bool foreign_is_empty(const struct foreign_queue *q)
{
    for (uint32_t i = 0; q->has_deferred && i < q->deferred.count; i++)
        if (q->deferred.items[i].done_seq == 0)
            return false;
    return true;
}

bool foreign_is_pending(const struct foreign_queue *q, oid table)
{
    for (uint32_t i = 0; q->has_deferred && i < q->deferred.count; i++)
        if (q->deferred.items[i].done_seq == 0 && q->deferred.items[i].note->changed == table)
            return true;
    return false;
}

void foreign_undo_to(struct foreign_queue *q, uint32_t mark)
{
    while (q->setting_count > 0 && q->settings[q->setting_count - 1].seq >= mark)
        q->setting_count--;
    if (!q->has_deferred)
        return;
    struct foreign_notes *n = &q->deferred;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->items[i].note->seq >= mark)
            continue;
        n->items[kept] = n->items[i];
        if (n->items[kept].done_seq >= mark)
            n->items[kept].done_seq = 0;
        kept++;
    }
    n->count = kept;
    n->first = 0;
}

static bool is_deferred(const struct foreign_queue *q, const struct foreign_key *k)
{
    if (!k->deferrable)
        return false;
    for (uint32_t i = q->setting_count; i > 0; i--) {
        const struct foreign_setting *s = &q->settings[i - 1];
        if (s->constraint == 0 || s->constraint == k->constraint)
            return s->deferred;
    }
    return k->deferred;
}

/* RESTRICT and the actions that change rows are never deferred. */
static bool can_wait(const struct foreign_key *k, uint32_t kind)
{
    return kind == FOREIGN_REFER ||
           (kind == FOREIGN_KEY_DELETED ? k->delete_action : k->update_action) == 'a';
}

/* ---- errors ---- */

static err_t put_row(struct foreign_queue *q, const struct plan_table *t, const int16_t *columns,
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
static COLD err_t raise_violation(struct foreign_queue *q, const struct foreign_key *k,
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

COLD err_t foreign_raise_missing(struct foreign_queue *q, const struct foreign_key *k,
                                 const datum *values, const bool *nulls)
{
    return raise_violation(q, k, true, values, nulls);
}

COLD err_t foreign_raise_referenced(struct foreign_queue *q, const struct foreign_key *k,
                                    const datum *values, const bool *nulls)
{
    return raise_violation(q, k, false, values, nulls);
}

/* ---- a batch of notes of one constraint and kind ---- */

struct batch_key {
    const struct foreign_note *note;
    struct foreign_item *item; /* in the list: valid until it grows */
    datum *values;
    bool *nulls;
};
struct work {
    struct foreign_queue *q;
    struct foreign_key *k;
    struct foreign_notes *notes;
    struct arena *mem;
    uint32_t kind;
    struct batch_key *keys;
    uint32_t count;
    bool is_relief; /* only what is there is done; the rest waits */
};

static void decode_keys(struct work *w)
{
    const struct row_layout *layout = w->kind == FOREIGN_REFER ? w->k->layout : w->k->target_layout;
    for (uint32_t i = 0; i < w->count; i++) {
        struct batch_key *b = &w->keys[i];
        b->values = ARENA_ARRAY(w->mem, datum, w->k->count);
        b->nulls = ARENA_ARRAY(w->mem, bool, w->k->count);
        row_decode(layout, foreign_note_key(b->note), 0, w->k->count, b->values, b->nulls);
    }
}

/* ---- statements of a constraint ---- */

struct statement_run {
    struct work *w;
    enum foreign_statement statement;
    bool many;
    const datum *params;
    const bool *nulls;
    uint32_t param_count;
    bool found;            /* a row came back */
    struct foreign_key *k; /* that the plan belongs to */
};

static SUSPENDS err_t lock_tables_wait(struct foreign_queue *q, const struct plan *p)
{
    for (uint32_t i = 0; i < p->lock_count; i++)
        TRY(txn_lock_table_wait(q->catalog->txn,
                                (uint64_t)q->catalog->database << 32 | p->locks[i].table,
                                p->locks[i].mode, false));
    return ERR_OK;
}

static SUSPENDS err_t run_plan_wait(struct statement_run *r, const struct plan *p, ts_t crosscheck)
{
    struct foreign_queue *q = r->w->q;
    struct exec_options o = {.plan = p,
                             .txn = q->catalog->txn,
                             .env = q->env,
                             .params = r->params,
                             .param_nulls = r->nulls,
                             .param_count = r->param_count,
                             .foreign = q};
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
    struct foreign_queue *q = r->w->q;
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
static bool key_params(const struct work *w, enum foreign_statement s, const datum *values,
                       datum *out)
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

static void collect_distinct(struct work *w, struct distinct *d)
{
    struct strbuf key;
    strbuf_init(&key, w->mem);
    hash_table_init(&d->table, w->mem);
    d->finds = ARENA_ARRAY(w->mem, struct foreign_find, w->count + 1);
    d->find_of = ARENA_ARRAY(w->mem, uint32_t, w->count + 1);
    for (uint32_t i = 0; i < w->count; i++) {
        const struct batch_key *b = &w->keys[i];
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

static SUSPENDS err_t find_by_statement_wait(struct work *w, const struct batch_key *b, bool *found)
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

static SUSPENDS err_t refer_wait(struct work *w)
{
    struct distinct d = {0};
    bool is_direct = w->k->is_direct;
    if (is_direct) {
        collect_distinct(w, &d);
        TRY(foreign_find_wait(w->q, w->k, d.finds, d.count, w->mem));
    }
    for (uint32_t i = 0; i < w->count; i++) {
        const struct batch_key *b = &w->keys[i];
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
static SUSPENDS err_t drop_present_keys_wait(struct work *w)
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

static SUSPENDS err_t one_key_wait(struct work *w, enum foreign_statement s, uint32_t i)
{
    datum params[FOREIGN_COLUMNS_MAX * 2];
    bool nulls[FOREIGN_COLUMNS_MAX * 2] = {false};
    const struct batch_key *b = &w->keys[i];
    struct statement_run r = {
        .w = w, .statement = s, .params = params, .nulls = nulls, .param_count = w->k->count};
    if (!key_params(w, s, b->values, params))
        return ERR_OK;
    if (s == STATEMENT_UPDATE) {
        row_decode(w->k->target_layout, foreign_note_new_key(b->note), 0, w->k->count,
                   params + w->k->count, nulls + w->k->count);
        r.param_count = 2u * w->k->count;
    }
    TRY(run_statement_wait(&r));
    if (s == STATEMENT_REFERRER && r.found)
        return foreign_raise_referenced(w->q, w->k, b->values, b->nulls);
    return ERR_OK;
}

/* The keys [from, to) of one column, in one statement. *found: a row refers to one of them. */
static SUSPENDS err_t many_keys_wait(struct work *w, enum foreign_statement s, uint32_t from,
                                     uint32_t to, bool *found)
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

static SUSPENDS err_t all_keys_wait(struct work *w, enum foreign_statement s)
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

static SUSPENDS err_t no_action_wait(struct work *w)
{
    TRY(drop_present_keys_wait(w));
    return all_keys_wait(w, STATEMENT_REFERRER);
}

static SUSPENDS err_t key_gone_wait(struct work *w)
{
    bool is_delete = w->kind == FOREIGN_KEY_DELETED;
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

/* ---- lists ---- */

/* The first pending note's constraint and kind: all pending notes of these. */
static void take_group(struct work *w, const struct foreign_note *like)
{
    struct foreign_notes *n = w->notes;
    w->kind = like->kind;
    w->keys = ARENA_ARRAY(w->mem, struct batch_key, n->count - n->first);
    w->count = 0;
    for (uint32_t i = n->first; i < n->count; i++) {
        struct foreign_item *item = &n->items[i];
        if (item->done_seq == 0 && item->note->constraint == like->constraint &&
            item->note->kind == like->kind)
            w->keys[w->count++] = (struct batch_key){.note = item->note, .item = item};
    }
}

static err_t defer(struct work *w)
{
    struct foreign_queue *q = w->q;
    if (!q->has_deferred)
        foreign_notes_init(&q->deferred);
    q->has_deferred = true;
    for (uint32_t i = 0; i < w->count; i++)
        TRY(foreign_notes_add(&q->deferred, w->keys[i].note));
    return ERR_OK;
}

static const struct foreign_note *first_pending(struct foreign_notes *n)
{
    while (n->first < n->count && n->items[n->first].done_seq != 0)
        n->first++;
    return n->first < n->count ? n->items[n->first].note : NULL;
}

/* Rows whose checks wait got new addresses: the waiting notes follow them. */
static err_t follow_moves(struct work *w)
{
    struct foreign_queue *q = w->q;
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
        const struct foreign_note *n = q->deferred.items[i].note;
        uint64_t key[2] = {n->shard_no, n->id};
        if (q->deferred.items[i].done_seq != 0 || n->kind != FOREIGN_REFER ||
            n->constraint != w->k->constraint)
            continue;
        const struct hash_entry *e =
            hash_table_find(&moves, bytes_hash(key, sizeof(key)), key, sizeof(key));
        if (e == NULL)
            continue;
        struct foreign_note *moved =
            arena_memdup(w->mem, e->payload, ((const struct foreign_note *)e->payload)->bytes);
        moved->kind = FOREIGN_REFER;
        q->deferred.items[i].done_seq = moved->seq;
        TRY(foreign_notes_add(&q->deferred, moved));
    }
    return ERR_OK;
}

/* The descriptor, with both tables locked so that it stays true. */
static SUSPENDS err_t locked_key_wait(struct foreign_queue *q, const struct foreign_note *like,
                                      struct foreign_key **out)
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

static SUSPENDS err_t group_wait(struct work *w, const struct foreign_note *like, bool may_defer)
{
    take_group(w, like);
    /* An action's own notes make the list grow: what is marked is marked before. */
    uint32_t seq = txn_seq(w->q->catalog->txn);
    for (uint32_t i = 0; i < w->count; i++)
        w->keys[i].item->done_seq = seq;
    TRY(locked_key_wait(w->q, like, &w->k));
    err_t e;
    if (like->kind == FOREIGN_MOVED) {
        e = follow_moves(w);
    } else if (may_defer && can_wait(w->k, like->kind) && is_deferred(w->q, w->k)) {
        e = defer(w);
    } else {
        decode_keys(w);
        e = like->kind == FOREIGN_REFER ? refer_wait(w) : key_gone_wait(w);
    }
    foreign_key_release(w->k);
    return e;
}

static SUSPENDS err_t fire_wait(struct foreign_queue *q, struct foreign_notes *n, bool may_defer)
{
    const struct foreign_note *like;
    while ((like = first_pending(n)) != NULL) {
        struct work w = {.q = q, .notes = n, .mem = arena_new()};
        err_t e = group_wait(&w, like, may_defer);
        arena_free(w.mem);
        TRY(e);
    }
    return ERR_OK;
}

/* ---- statements ---- */

void foreign_begin(struct exec *x, struct foreign_queue *q)
{
    x->foreign = q;
    if (q == NULL)
        return;
    strbuf_init(&x->note_bytes, x->run.mem);
    x->run.notes = &x->note_bytes;
}

SUSPENDS err_t foreign_finish_wait(struct exec *x)
{
    TRY(foreign_take_notes(x, x->run.notes));
    if (x->notes == NULL || x->is_action || x->notes->count == 0)
        return ERR_OK;
    foreign_notes_sort(x->notes);
    return fire_wait(x->foreign, x->notes, true);
}

void foreign_end(struct exec *x)
{
    if (x->notes == NULL || x->is_action)
        return;
    foreign_notes_end(x->notes);
    core_free(x->notes);
    x->notes = NULL;
}

/* Only what is pending stays, in new memory. */
static err_t compact(struct foreign_notes *n)
{
    struct foreign_notes fresh;
    foreign_notes_init(&fresh);
    for (uint32_t i = n->first; i < n->count; i++) {
        err_t e = n->items[i].done_seq == 0 ? foreign_notes_add(&fresh, n->items[i].note) : ERR_OK;
        if (e != ERR_OK) {
            foreign_notes_end(&fresh);
            return e;
        }
    }
    foreign_notes_end(n);
    *n = fresh;
    return ERR_OK;
}

static SUSPENDS err_t relieve_group_wait(struct work *w, const struct foreign_note *like)
{
    take_group(w, like);
    TRY(foreign_key_get_wait(w->q, like->table, like->constraint, &w->k));
    err_t e = ERR_OK;
    if (w->k->is_direct && !is_deferred(w->q, w->k)) {
        w->is_relief = true;
        decode_keys(w);
        e = refer_wait(w);
    }
    foreign_key_release(w->k);
    return e;
}

SUSPENDS err_t foreign_relieve_wait(struct exec *x)
{
    struct foreign_notes *n = x->notes;
    if (n == NULL || x->is_action || n->refers < RELIEVE_NOTES)
        return ERR_OK;
    oid seen[16];
    uint32_t seen_count = 0;
    for (uint32_t i = n->first; i < n->count && seen_count < ARRAY_LEN(seen); i++) {
        const struct foreign_note *like = n->items[i].note;
        bool is_new = like->kind == FOREIGN_REFER && n->items[i].done_seq == 0;
        for (uint32_t s = 0; s < seen_count; s++)
            is_new = is_new && seen[s] != like->constraint;
        if (!is_new)
            continue;
        seen[seen_count++] = like->constraint;
        struct work w = {.q = x->foreign, .notes = n, .mem = arena_new()};
        err_t e = relieve_group_wait(&w, like);
        arena_free(w.mem);
        TRY(e);
    }
    TRY(compact(n));
    /* What is still missing is not looked for again before as many have come once more. */
    n->refers = 0;
    return ERR_OK;
}

/* ---- the transaction ---- */

SUSPENDS err_t foreign_fire_deferred_wait(struct foreign_queue *q)
{
    return q->has_deferred ? fire_wait(q, &q->deferred, false) : ERR_OK;
}

static err_t put_setting(struct foreign_queue *q, oid constraint, bool deferred)
{
    if (q->setting_count == q->setting_room) {
        q->setting_room = q->setting_room == 0 ? 8 : q->setting_room * 2;
        q->settings = core_realloc(q->settings, q->setting_room * sizeof(*q->settings));
    }
    q->settings[q->setting_count++] = (struct foreign_setting){
        .constraint = constraint, .deferred = deferred, .seq = txn_seq(q->catalog->txn)};
    return ERR_OK;
}

/* The constraints of this name: in the named schema, or the first of the search path that has one.
 */
static SUSPENDS err_t set_named_wait(struct foreign_queue *q, const struct utility_name *name,
                                     bool deferred, struct arena *mem)
{
    const oid *schemas;
    oid schema = 0;
    uint32_t count = 1;
    if (name->schema != NULL) {
        TRY(schema_oid_wait(q->catalog, name->schema, &schema));
        if (schema == 0)
            return err_raise(ERR_UNDEFINED_SCHEMA, "schema \"%s\" does not exist", name->schema);
        schemas = &schema;
    } else {
        TRY(catalog_path_wait(q->catalog, mem, &schemas, &count));
    }
    for (uint32_t i = 0; i < count; i++) {
        struct catalog_rows rows;
        bool is_set = false;
        TRY(catalog_find_wait(q->catalog, REL_CONSTRAINT, INDEX_CONSTRAINT_CONNAME_NSP, 2,
                              datum_of_text(mem, name->name), schemas[i], mem, &rows));
        for (uint32_t r = 0; r < rows.count; r++) {
            if (catalog_bool_value(&rows.rows[r], COL_CONDEFERRABLE)) {
                TRY(put_setting(q, catalog_oid_value(&rows.rows[r], COL_OID), deferred));
                is_set = true;
            } else if (deferred) {
                return err_raise(ERR_WRONG_OBJECT_TYPE, "constraint \"%s\" is not deferrable",
                                 name->name);
            }
        }
        if (is_set || rows.count > 0)
            return ERR_OK;
    }
    return err_raise(ERR_UNDEFINED_OBJECT, "constraint \"%s\" does not exist", name->name);
}

/* Pending notes of constraints that are not deferred any more become a statement's list. */
static SUSPENDS err_t fire_immediate_wait(struct foreign_queue *q, struct foreign_notes *now)
{
    uint32_t seq = txn_seq(q->catalog->txn);
    for (uint32_t i = 0; i < q->deferred.count; i++) {
        struct foreign_item *item = &q->deferred.items[i];
        struct foreign_key *k;
        if (item->done_seq != 0)
            continue;
        TRY(foreign_key_get_wait(q, item->note->table, item->note->constraint, &k));
        bool waits = is_deferred(q, k);
        foreign_key_release(k);
        if (waits)
            continue;
        item = &q->deferred.items[i];
        item->done_seq = seq;
        TRY(foreign_notes_add(now, item->note));
    }
    return fire_wait(q, now, true);
}

SUSPENDS err_t foreign_set_constraints_wait(struct foreign_queue *q,
                                            const struct utility_name *names, uint32_t count,
                                            bool deferred)
{
    struct arena *mem = arena_new();
    err_t e = names == NULL ? put_setting(q, 0, deferred) : ERR_OK;
    for (uint32_t i = 0; names != NULL && e == ERR_OK && i < count; i++)
        e = set_named_wait(q, &names[i], deferred, mem);
    arena_free(mem);
    if (e != ERR_OK || deferred || !q->has_deferred)
        return e;
    struct foreign_notes now;
    foreign_notes_init(&now);
    e = fire_immediate_wait(q, &now);
    foreign_notes_end(&now);
    return e;
}

SUSPENDS err_t foreign_lock_wait(struct foreign_queue *q, const struct plan_table *t)
{
    for (uint32_t i = 0; i < t->foreign_count; i++)
        if (!t->foreign[i].is_referenced)
            TRY(txn_lock_table_wait(q->catalog->txn,
                                    (uint64_t)q->catalog->database << 32 | t->foreign[i].other,
                                    LOCK_ROW_SHARE, false));
    return ERR_OK;
}

SUSPENDS err_t foreign_validate_wait(struct foreign_queue *q, oid table, oid constraint)
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
