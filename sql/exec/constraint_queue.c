/*
 * The queue of what constraints still have to look at, and when.
 *
 * At a statement's end its notes go in order; all pending notes of one constraint and kind go
 * together, so that keys are looked up in batches. What the work itself changes leaves notes at the
 * end of the list, so a cascade is worked off breadth first. Notes of a constraint that is deferred
 * wait in the session's queue for COMMIT or SET CONSTRAINTS.
 */
#include "sql/exec/constraint_queue.h"

#include "sql/catalog/cache.h"
#include "sql/exec/constraint_priv.h"

enum { RELIEVE_NOTES = 2000 };

/* ---- the session's queue ---- */

struct constraint_queue *constraint_queue_new(struct catalog_session *cs,
                                              const struct session_env *env)
{
    struct constraint_queue *q = core_zalloc(sizeof(*q));
    q->catalog = cs;
    q->env = env;
    return q;
}

void constraint_transaction_end(struct constraint_queue *q)
{
    if (q->has_deferred)
        constraint_notes_end(&q->deferred);
    q->has_deferred = false;
    core_free(q->settings);
    q->settings = NULL;
    q->setting_count = 0;
    q->setting_room = 0;
}

void constraint_queue_memory(struct constraint_queue *q, void (*piece)(void *p),
                             void (*arena)(struct arena *a))
{
    piece(q);
    piece(q->settings);
    if (!q->has_deferred)
        return;
    piece(q->deferred.items);
    arena(q->deferred.mem);
}

void constraint_queue_free(struct constraint_queue *q)
{
    if (q == NULL)
        return;
    constraint_transaction_end(q);
    core_free(q);
}

bool constraint_is_empty(const struct constraint_queue *q)
{
    for (uint32_t i = 0; q->has_deferred && i < q->deferred.count; i++)
        if (q->deferred.items[i].done_seq == 0)
            return false;
    return true;
}

bool constraint_is_pending(const struct constraint_queue *q, oid table)
{
    for (uint32_t i = 0; q->has_deferred && i < q->deferred.count; i++)
        if (q->deferred.items[i].done_seq == 0 && q->deferred.items[i].note->changed == table)
            return true;
    return false;
}

void constraint_undo_to(struct constraint_queue *q, uint32_t mark)
{
    while (q->setting_count > 0 && q->settings[q->setting_count - 1].seq >= mark)
        q->setting_count--;
    if (!q->has_deferred)
        return;
    struct constraint_notes *n = &q->deferred;
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

bool constraint_is_deferred(const struct constraint_queue *q, oid constraint, bool at_first)
{
    for (uint32_t i = q->setting_count; i > 0; i--) {
        const struct constraint_setting *s = &q->settings[i - 1];
        if (s->constraint == 0 || s->constraint == constraint)
            return s->deferred;
    }
    return at_first;
}

/* ---- shards ---- */

SUSPENDS err_t constraint_on_shards_wait(struct txn *t, err_t (*fn)(void *arg),
                                         struct shard_call *const *calls, uint32_t count)
{
    struct shard_call *own = NULL;
    (void)txn_assign_id(t); /* what it finds may have to be waited for */
    for (uint32_t i = 0; i < count; i++) {
        struct shard_call *c = calls[i];
        c->view = txn_view_make(t, c->shard_no, c->writes);
        if (own == NULL && shard_core(c->shard_no) == core_id()) {
            own = c;
            continue;
        }
        c->is_started = count > 1;
        if (c->is_started)
            core_call_start(&c->call, shard_core(c->shard_no), fn, c);
    }
    err_t e = ERR_OK;
    if (own != NULL)
        e = fn(own);
    else if (count == 1)
        e = core_call_wait(shard_core(calls[0]->shard_no), fn, calls[0]);
    struct diag *diag = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (calls[i]->is_started) {
            if (e != ERR_OK && diag == NULL) {
                diag = core_malloc(sizeof(*diag));
                diag_copy(diag, err_diag());
            }
            err_t one = core_call_join_wait(&calls[i]->call);
            e = e == ERR_OK ? one : e;
        }
        txn_merge(t, calls[i]->shard_no, &calls[i]->view);
    }
    if (diag != NULL) {
        e = err_adopt(diag);
        core_free(diag);
    }
    return e;
}

/* ---- lists ---- */

/* The first pending note's constraint and kind: all pending notes of these. */
void constraint_take_group(struct constraint_work *w, const struct constraint_note *like)
{
    struct constraint_notes *n = w->notes;
    w->kind = like->kind;
    w->keys = ARENA_ARRAY(w->mem, struct constraint_key, n->count - n->first);
    w->count = 0;
    for (uint32_t i = n->first; i < n->count; i++) {
        struct constraint_item *item = &n->items[i];
        if (item->done_seq == 0 && item->note->constraint == like->constraint &&
            item->note->kind == like->kind)
            w->keys[w->count++] = (struct constraint_key){.note = item->note, .item = item};
    }
}

err_t constraint_defer(struct constraint_work *w)
{
    struct constraint_queue *q = w->q;
    if (!q->has_deferred)
        constraint_notes_init(&q->deferred);
    q->has_deferred = true;
    for (uint32_t i = 0; i < w->count; i++)
        TRY(constraint_notes_add(&q->deferred, w->keys[i].note));
    return ERR_OK;
}

static const struct constraint_note *first_pending(struct constraint_notes *n)
{
    while (n->first < n->count && n->items[n->first].done_seq != 0)
        n->first++;
    return n->first < n->count ? n->items[n->first].note : NULL;
}

static SUSPENDS err_t group_wait(struct constraint_work *w, const struct constraint_note *like,
                                 bool may_defer)
{
    constraint_take_group(w, like);
    /* The work's own notes make the list grow: what is marked is marked before. */
    uint32_t seq = txn_seq(w->q->catalog->txn);
    for (uint32_t i = 0; i < w->count; i++)
        w->keys[i].item->done_seq = seq;
    if (like->kind != NOTE_KEY_DOUBT)
        return foreign_work_wait(w, like, may_defer);
    if (may_defer && constraint_is_deferred(w->q, like->constraint, like->is_deferred))
        return constraint_defer(w);
    return key_doubts_wait(w);
}

static SUSPENDS err_t fire_wait(struct constraint_queue *q, struct constraint_notes *n,
                                bool may_defer)
{
    const struct constraint_note *like;
    while ((like = first_pending(n)) != NULL) {
        struct constraint_work w = {.q = q, .notes = n, .mem = arena_new()};
        err_t e = group_wait(&w, like, may_defer);
        arena_free(w.mem);
        TRY(e);
    }
    return ERR_OK;
}

/* ---- statements ---- */

void constraint_begin(struct exec *x, struct constraint_queue *q)
{
    x->constraints = q;
    if (q == NULL)
        return;
    strbuf_init(&x->note_bytes, x->run.mem);
    x->run.notes = &x->note_bytes;
}

SUSPENDS err_t constraint_finish_wait(struct exec *x)
{
    TRY(constraint_take_notes(x, x->run.notes));
    if (x->notes == NULL || x->is_action || x->notes->count == 0)
        return ERR_OK;
    constraint_notes_sort(x->notes);
    return fire_wait(x->constraints, x->notes, true);
}

void constraint_end(struct exec *x)
{
    if (x->notes == NULL || x->is_action)
        return;
    constraint_notes_end(x->notes);
    core_free(x->notes);
    x->notes = NULL;
}

/* Only what is pending stays, in new memory. */
static err_t compact(struct constraint_notes *n)
{
    struct constraint_notes fresh;
    constraint_notes_init(&fresh);
    for (uint32_t i = n->first; i < n->count; i++) {
        err_t e =
            n->items[i].done_seq == 0 ? constraint_notes_add(&fresh, n->items[i].note) : ERR_OK;
        if (e != ERR_OK) {
            constraint_notes_end(&fresh);
            return e;
        }
    }
    constraint_notes_end(n);
    *n = fresh;
    return ERR_OK;
}

SUSPENDS err_t constraint_relieve_wait(struct exec *x)
{
    struct constraint_notes *n = x->notes;
    if (n == NULL || x->is_action || n->refers < RELIEVE_NOTES)
        return ERR_OK;
    oid seen[16];
    uint32_t seen_count = 0;
    for (uint32_t i = n->first; i < n->count && seen_count < ARRAY_LEN(seen); i++) {
        const struct constraint_note *like = n->items[i].note;
        bool is_new = like->kind == NOTE_REFER && n->items[i].done_seq == 0;
        for (uint32_t s = 0; s < seen_count; s++)
            is_new = is_new && seen[s] != like->constraint;
        if (!is_new)
            continue;
        seen[seen_count++] = like->constraint;
        struct constraint_work w = {.q = x->constraints, .notes = n, .mem = arena_new()};
        err_t e = foreign_relieve_wait(&w, like);
        arena_free(w.mem);
        TRY(e);
    }
    TRY(compact(n));
    /* What is still missing is not looked for again before as many have come once more. */
    n->refers = 0;
    return ERR_OK;
}

/* ---- the transaction ---- */

SUSPENDS err_t constraint_fire_deferred_wait(struct constraint_queue *q)
{
    return q->has_deferred ? fire_wait(q, &q->deferred, false) : ERR_OK;
}

static err_t put_setting(struct constraint_queue *q, oid constraint, bool deferred)
{
    if (q->setting_count == q->setting_room) {
        q->setting_room = q->setting_room == 0 ? 8 : q->setting_room * 2;
        q->settings = core_realloc(q->settings, q->setting_room * sizeof(*q->settings));
    }
    q->settings[q->setting_count++] = (struct constraint_setting){
        .constraint = constraint, .deferred = deferred, .seq = txn_seq(q->catalog->txn)};
    return ERR_OK;
}

/* The constraints of this name: in the named schema, or the first of the search path that has one.
 */
static SUSPENDS err_t set_named_wait(struct constraint_queue *q, const struct utility_name *name,
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

/* SET CONSTRAINTS left the note's constraint deferred. */
static SUSPENDS err_t still_waits_wait(struct constraint_queue *q, const struct constraint_note *n,
                                       bool *out)
{
    if (n->kind == NOTE_KEY_DOUBT) {
        *out = constraint_is_deferred(q, n->constraint, n->is_deferred);
        return ERR_OK;
    }
    struct foreign_key *k;
    TRY(foreign_key_get_wait(q, n->table, n->constraint, &k));
    *out = foreign_is_deferred(q, k);
    foreign_key_release(k);
    return ERR_OK;
}

/* Pending notes of constraints that are not deferred any more become a statement's list. */
static SUSPENDS err_t fire_immediate_wait(struct constraint_queue *q, struct constraint_notes *now)
{
    uint32_t seq = txn_seq(q->catalog->txn);
    for (uint32_t i = 0; i < q->deferred.count; i++) {
        struct constraint_item *item = &q->deferred.items[i];
        bool waits;
        if (item->done_seq != 0)
            continue;
        TRY(still_waits_wait(q, item->note, &waits));
        if (waits)
            continue;
        item = &q->deferred.items[i];
        item->done_seq = seq;
        TRY(constraint_notes_add(now, item->note));
    }
    return fire_wait(q, now, true);
}

SUSPENDS err_t constraint_set_wait(struct constraint_queue *q, const struct utility_name *names,
                                   uint32_t count, bool deferred)
{
    struct arena *mem = arena_new();
    err_t e = names == NULL ? put_setting(q, 0, deferred) : ERR_OK;
    for (uint32_t i = 0; names != NULL && e == ERR_OK && i < count; i++)
        e = set_named_wait(q, &names[i], deferred, mem);
    arena_free(mem);
    if (e != ERR_OK || deferred || !q->has_deferred)
        return e;
    struct constraint_notes now;
    constraint_notes_init(&now);
    e = fire_immediate_wait(q, &now);
    constraint_notes_end(&now);
    return e;
}
