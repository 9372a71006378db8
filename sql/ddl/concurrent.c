/*
 * CREATE INDEX, DROP INDEX and REINDEX, CONCURRENTLY: beside those who read and write the table.
 *
 * The statement's own transaction holds SHARE UPDATE EXCLUSIVE on the table from beginning to end,
 * and no snapshot. All work is in transactions of their own beside it, whose catalog changes are
 * known to every core when they have committed:
 *
 *   CREATE   1  the index appears, empty and live: writers keep right what it knows, no more
 *            -  wait for the transactions that hold the table to write it: they do not know it
 *            2  ready: writers keep it whole from now on
 *            -  wait for the transactions that hold the table to write it: they may not
 *            3  a snapshot; the entries of all rows that it sees are brought in (index_fill_wait;
 *               into a map table row_bring_wait)
 *            -  wait for snapshots older than that one: for them, entries may be missing
 *            4  valid: plans use it
 *   DROP     1  not valid: nobody begins to read it
 *            -  wait for all who hold the table
 *            2  not ready: writers keep right what it knows, no more
 *            -  wait for the transactions that hold the table to write it: they put in, and check
 *            3  not live: nobody begins to write it
 *            -  wait for all who hold the table
 *            4  gone
 *   REINDEX  CREATE of another one like it, but for 4; then the two swap their files, and the other
 *            one, with the old file, is dropped (it was never valid, so from the wait before 2 on)
 *
 * Between those who know nothing of the index and those who keep it whole there is always a time of
 * those who keep right what it knows (index_insert_known_wait): a statement goes on by the plan
 * with which it began. Otherwise an entry could be put in for a row that one who does not know the
 * index changes again: it would lead to a row that has another key, and stand in the way of a
 * unique one.
 *
 * A failure or a crash in between leaves the index as its flags say: an index that is not valid may
 * be dropped, or built by REINDEX. One whose build failed is not put into any more, so that a
 * unique index that could not be made is not enforced on others.
 */
#include "core/defects.h"
#include "sql/ddl/ddl_priv.h"

/* ---- transactions beside the statement's ---- */

static struct txn *step_begin(struct ddl_context *x)
{
    struct txn *outer = x->catalog->txn;
    x->catalog->txn = txn_begin_beside(outer);
    txn_statement_begin(x->catalog->txn);
    return outer;
}

/* Commits if e is fine, unless it was only a rehearsal. */
static SUSPENDS err_t step_end_wait(struct ddl_context *x, struct txn *outer, err_t e, bool commits)
{
    struct txn *own = x->catalog->txn;
    struct diag *kept = NULL;
    fiber_shield_begin();
    if (e == ERR_OK && commits) {
        e = txn_commit_wait(own);
    } else {
        if (e != ERR_OK) {
            kept = core_malloc(sizeof(*kept));
            diag_copy(kept, err_diag());
        }
        txn_rollback_wait(own);
    }
    if (kept) {
        e = err_adopt(kept);
        core_free(kept);
    }
    fiber_shield_end();
    x->catalog->txn = outer;
    return e;
}

static SUSPENDS err_t flags_step_wait(struct ddl_context *x, oid index, struct index_flags f)
{
    struct txn *outer = step_begin(x);
    return step_end_wait(x, outer, ddl_index_flags_wait(x, index, &f), true);
}

static SUSPENDS err_t holders_wait(struct ddl_context *x, oid table, enum table_lock_mode mode)
{
    uint64_t name = (uint64_t)x->catalog->database << 32 | table;
    return txn_holders_wait(x->catalog->txn, name, mode);
}

/* ---- building ---- */

static const struct index_flags KNOWN_ONLY = {.live = true};

/* From the index's first commit to where it may become valid. */
static SUSPENDS err_t fill_wait(struct ddl_context *x, oid table, oid index, bool *is_filled)
{
    *is_filled = false;
    TRY(holders_wait(x, table, LOCK_TABLE_SHARE));
    TRY(flags_step_wait(x, index, (struct index_flags){.live = true, .ready = true}));
    if (!DEFECT(WRITERS_NOT_AWAITED))
        TRY(holders_wait(x, table, LOCK_TABLE_SHARE));
    struct txn *outer = step_begin(x);
    ts_t snapshot = txn_snapshot(x->catalog->txn);
    TRY(step_end_wait(x, outer, ddl_fill_index_wait(x, table, index), true));
    *is_filled = true;
    return txn_older_snapshots_wait(outer, snapshot);
}

/* After a failure, whose message stays: writers need not keep what will never be used. */
static SUSPENDS err_t give_up_wait(struct ddl_context *x, oid index, err_t e)
{
    struct diag *kept = core_malloc(sizeof(*kept));
    diag_copy(kept, err_diag());
    fiber_shield_begin();
    if (flags_step_wait(x, index, KNOWN_ONLY) != ERR_OK)
        log_diag(LOG_WARNING, err_diag());
    fiber_shield_end();
    e = err_adopt(kept);
    core_free(kept);
    return e;
}

static SUSPENDS err_t make_filled_wait(struct ddl_context *x, const struct index_request *like,
                                       oid *index)
{
    struct index_request r = *like;
    r.is_invalid = true;
    struct txn *outer = step_begin(x);
    TRY(step_end_wait(x, outer, ddl_make_index_wait(x, &r, index), true));
    bool is_filled;
    err_t e = fill_wait(x, r.table, *index, &is_filled);
    return e == ERR_OK || is_filled ? e : give_up_wait(x, *index, e);
}

static SUSPENDS err_t create_wait(struct ddl_context *x, const struct index_request *r)
{
    oid index;
    TRY(make_filled_wait(x, r, &index));
    return flags_step_wait(x, index, (struct index_flags){true, true, true});
}

/* ---- dropping ---- */

static SUSPENDS err_t drop_step_wait(struct ddl_context *x, oid index, bool commits)
{
    struct txn *outer = step_begin(x);
    struct drop_object o = {REL_CLASS, index, 0};
    return step_end_wait(x, outer, ddl_drop_objects_wait(x, &o, 1, false, false), commits);
}

/* Nobody reads it any more. */
static SUSPENDS err_t drop_unread_wait(struct ddl_context *x, oid table, oid index)
{
    TRY(flags_step_wait(x, index, KNOWN_ONLY));
    TRY(holders_wait(x, table, LOCK_TABLE_SHARE));
    TRY(flags_step_wait(x, index, (struct index_flags){0}));
    TRY(holders_wait(x, table, LOCK_ACCESS_EXCLUSIVE));
    return drop_step_wait(x, index, true);
}

/* How writers keep it now; not valid. */
static SUSPENDS err_t kept_flags_wait(struct ddl_context *x, oid index, struct index_flags *out)
{
    struct catalog_row row;
    TRY(rows_get_wait(x, REL_INDEX, INDEX_INDEX_INDEXRELID, 1, index, 0, &row));
    *out = (struct index_flags){.ready = catalog_bool_value(&row, COL_INDISREADY),
                                .live = catalog_bool_value(&row, COL_INDISLIVE)};
    return ERR_OK;
}

static SUSPENDS err_t not_valid_wait(struct ddl_context *x, oid index)
{
    struct index_flags f;
    TRY(kept_flags_wait(x, index, &f));
    return ddl_index_flags_wait(x, index, &f);
}

static SUSPENDS err_t drop_wait(struct ddl_context *x, oid table, oid index)
{
    TRY(drop_step_wait(x, index, false)); /* whether something depends on it */
    struct txn *outer = step_begin(x);
    TRY(step_end_wait(x, outer, not_valid_wait(x, index), true));
    TRY(holders_wait(x, table, LOCK_ACCESS_EXCLUSIVE));
    return drop_unread_wait(x, table, index);
}

/* ---- building anew ---- */

/* The index gets the other's file (or map table), and is valid; the other one gets the old one,
 * which is kept as it was. */
static SUSPENDS err_t swap_wait(struct ddl_context *x, oid table, oid index, oid other)
{
    struct catalog_row a;
    struct catalog_row b;
    struct index_flags old;
    TRY(kept_flags_wait(x, index, &old));
    TRY(rows_get_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, index, 0, &a));
    TRY(rows_get_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, other, 0, &b));
    oid file = catalog_oid_value(&a, COL_RELFILENODE);
    TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, index, 0, COL_RELFILENODE,
                      catalog_oid_value(&b, COL_RELFILENODE), false));
    TRY(rows_set_wait(x, REL_CLASS, INDEX_CLASS_OID, 1, other, 0, COL_RELFILENODE, file, false));
    TRY(ddl_swap_maps_wait(x, index, other));
    catalog_touch(x->catalog, table);
    TRY(ddl_index_flags_wait(x, other, &old));
    return ddl_index_flags_wait(x, index, &(struct index_flags){true, true, true});
}

/* Another index like it, with a name that says what it is for. */
static SUSPENDS err_t like_wait(struct ddl_context *x, oid table, oid index,
                                struct index_request *r)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    const struct index_desc *d = NULL;
    for (uint32_t i = 0; t && i < t->index_count; i++)
        if (t->indexes[i].oid == index)
            d = &t->indexes[i];
    err_t e = d ? ERR_OK : err_raise(ERR_INTERNAL_ERROR, "index %u is gone", index);
    if (e == ERR_OK) {
        struct ddl_index_item *items = ARENA_ARRAY(x->mem, struct ddl_index_item, d->column_count);
        ddl_items_of_index(x, t, d, items);
        *r = (struct index_request){.table = table,
                                    .is_unique = d->is_unique,
                                    .nulls_not_distinct = d->nulls_not_distinct,
                                    .deferrable = d->is_deferrable,
                                    .item_count = d->column_count,
                                    .key_count = d->key_count,
                                    .items = items,
                                    .predicate =
                                        d->predicate ? arena_strdup(x->mem, d->predicate) : NULL,
                                    .label = "ccnew"};
        e = ddl_free_name_wait(x, t->schema, d->name, NULL, "ccnew", &r->name);
    }
    table_release(t);
    return e;
}

static SUSPENDS err_t reindex_one_wait(struct ddl_context *x, oid table, oid index)
{
    struct index_request r;
    oid other;
    struct txn *outer = step_begin(x);
    TRY(step_end_wait(x, outer, like_wait(x, table, index, &r), false));
    TRY(make_filled_wait(x, &r, &other));
    outer = step_begin(x);
    TRY(step_end_wait(x, outer, swap_wait(x, table, index, other), true));
    /* Plans from before read the old file, which all writers go on keeping till these have ended.
     */
    TRY(holders_wait(x, table, LOCK_ACCESS_EXCLUSIVE));
    return drop_unread_wait(x, table, other);
}

/* The table's indexes; one: only this one. Those that are not valid are left to REINDEX INDEX. */
static SUSPENDS err_t targets_wait(struct ddl_context *x, oid table, oid one, oid **out,
                                   uint32_t *count)
{
    const struct table_desc *t;
    TRY(table_by_oid_wait(x->catalog, table, &t));
    if (!t)
        return err_raise(ERR_INTERNAL_ERROR, "relation %u is gone", table);
    *out = ARENA_ARRAY(x->mem, oid, t->index_count + 1);
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_desc *d = &t->indexes[i];
        if (one && d->oid != one)
            continue;
        if (!one && !d->is_valid)
            ddl_warning(x, ERR_FEATURE_NOT_SUPPORTED,
                        "cannot reindex invalid index \"%s.%s\" concurrently, skipping",
                        t->schema_name, d->name);
        else
            (*out)[(*count)++] = d->oid;
    }
    if (*count == 0)
        ddl_notice(x, "table \"%s\" has no indexes that can be reindexed concurrently", t->name);
    table_release(t);
    return ERR_OK;
}

static SUSPENDS err_t reindex_wait(struct ddl_context *x, oid table, oid one)
{
    oid *indexes;
    uint32_t count = 0;
    struct txn *outer = step_begin(x);
    TRY(step_end_wait(x, outer, targets_wait(x, table, one, &indexes, &count), false));
    for (uint32_t i = 0; i < count; i++)
        TRY(reindex_one_wait(x, table, indexes[i]));
    return ERR_OK;
}

/* ---- entries ---- */

err_t ddl_create_index_concurrently_wait(struct ddl_context *x, const struct index_request *r)
{
    struct txn *outer = x->catalog->txn;
    txn_snapshot_end(outer);
    err_t e = create_wait(x, r);
    txn_statement_begin(outer);
    return e;
}

err_t ddl_drop_index_concurrently_wait(struct ddl_context *x, oid table, oid index)
{
    struct txn *outer = x->catalog->txn;
    txn_snapshot_end(outer);
    err_t e = drop_wait(x, table, index);
    txn_statement_begin(outer);
    return e;
}

err_t ddl_reindex_concurrently_wait(struct ddl_context *x, oid table, oid index)
{
    struct txn *outer = x->catalog->txn;
    txn_snapshot_end(outer);
    err_t e = reindex_wait(x, table, index);
    txn_statement_begin(outer);
    return e;
}
