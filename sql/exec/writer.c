/*
 * Table writer: rows from COPY, CREATE TABLE AS and rewrites into a table, through one worker per
 * shard. NOT NULL and CHECK are tested as rows come in; batches are sent when full, and while one
 * is on its way the next is put together.
 */
#include "sql/exec/writer.h"
#include "sql/exec/exec_priv.h"

struct table_writer {
    struct run run;
    struct exec exec; /* workers name it as theirs */
    struct plan_node node;
    struct plan_table *table;
    struct table_write check;
    struct arena *row_mem;
    struct arena_mark row_mark;
    struct row_layout *layout;
    struct worker **workers;
    uint32_t worker_count;
    uint64_t rows;
    uint64_t tag;
    uint64_t failed_tag;
};

/* The table and its map tables with room for code of their own: the caller's may live longer than
 * mem. */
static struct plan_table *table_copy(struct arena *mem, const struct plan_table *table)
{
    struct plan_table *copy = arena_memdup(mem, table, sizeof(*table));
    copy->code = NULL;
    copy->indexes = ARENA_ARRAY(mem, struct plan_index, table->index_count + 1);
    for (uint32_t i = 0; i < table->index_count; i++) {
        struct plan_index *index = &copy->indexes[i];
        *index = table->indexes[i];
        if (index->map_table != NULL) { /* has no map tables itself */
            index->map_table = arena_memdup(mem, index->map_table, sizeof(*index->map_table));
            index->map_table->code = NULL;
        }
    }
    return copy;
}

SUSPENDS err_t table_writer_open_wait(const struct plan_table *table, struct txn *txn,
                                      const struct session_env *env,
                                      struct constraint_queue *constraints, struct arena *mem,
                                      struct table_writer **out)
{
    struct table_writer *w = ARENA_NEW(mem, struct table_writer);
    w->table = table_copy(mem, table);
    w->run = (struct run){.exec = &w->exec, .mem = mem, .env = env, .txn = txn};
    w->run.origin = &w->run;
    run_times_init(&w->run);
    w->exec.core = core_id();
    w->exec.run.mem = mem;
    w->exec.run.txn = txn;
    constraint_begin(&w->exec, constraints);
    w->run.notes = w->exec.run.notes;
    w->node = (struct plan_node){.kind = PLAN_MODIFY};
    w->node.modify.command = CMD_INSERT;
    w->node.modify.table = w->table;
    TRY(code_compile_modify(mem, &w->node));
    table_write_init(&w->check, &w->run, w->table);
    w->row_mem = arena_new();
    w->row_mark = arena_mark(w->row_mem);
    w->check.eval.mem = w->row_mem;
    w->layout = table->layout;
    w->worker_count = shard_count();
    w->workers = ARENA_ARRAY(mem, struct worker *, w->worker_count);
    *out = w;
    return ERR_OK;
}

void table_writer_tag(struct table_writer *w, uint64_t tag)
{
    w->tag = tag;
}

uint64_t table_writer_failed_tag(const struct table_writer *w)
{
    return w->failed_tag;
}

static SUSPENDS err_t join_worker_wait(struct table_writer *w, struct worker *worker)
{
    err_t e = worker_join_wait(&w->run, worker);
    if (e != ERR_OK)
        w->failed_tag = worker->failed_tag;
    return e == ERR_OK ? constraint_relieve_wait(&w->exec) : e;
}

static SUSPENDS err_t send_worker_wait(struct table_writer *w, struct worker *worker)
{
    TRY(join_worker_wait(w, worker));
    if (worker->counts[worker->collecting] == 0)
        return ERR_OK;
    err_t e = worker_start_wait(&w->run, worker);
    if (e != ERR_OK)
        w->failed_tag = worker->failed_tag;
    return e;
}

static SUSPENDS err_t add_to_wait(struct table_writer *w, uint32_t shard_no, const datum *values,
                                  const bool *nulls)
{
    struct worker *worker = w->workers[shard_no];
    if (worker == NULL) {
        worker = w->workers[shard_no] = ARENA_NEW(w->run.mem, struct worker);
        worker_init(worker, &w->run, &w->node, w->layout, shard_no);
        worker->is_checked = true;
    }
    TRY(worker_add(worker, values, nulls, 0, w->tag));
    return worker_is_full(worker) ? send_worker_wait(w, worker) : ERR_OK;
}

SUSPENDS err_t table_writer_add_wait(struct table_writer *w, const datum *values, const bool *nulls)
{
    const struct plan_table *t = w->table;
    w->failed_tag = w->tag;
    arena_rewind(w->row_mem, w->row_mark);
    /* The values are read in place: no copy is made for the checks. */
    datum *own_values = w->check.row.values;
    bool *own_nulls = w->check.row.nulls;
    w->check.row.values = (datum *)(uintptr_t)values;
    w->check.row.nulls = (bool *)(uintptr_t)nulls;
    err_t e = table_check_wait(&w->check);
    w->check.row.values = own_values;
    w->check.row.nulls = own_nulls;
    TRY(e);
    if (t->distribution == DISTRIBUTED_REPLICATED) {
        for (uint32_t i = 0; i < w->worker_count; i++)
            TRY(add_to_wait(w, i, values, nulls));
    } else {
        TRY(add_to_wait(w, table_row_shard(t, values, nulls), values, nulls));
    }
    w->rows++;
    return ERR_OK;
}

SUSPENDS err_t table_writer_flush_wait(struct table_writer *w)
{
    for (uint32_t i = 0; i < w->worker_count; i++)
        if (w->workers[i] != NULL)
            TRY(send_worker_wait(w, w->workers[i]));
    for (uint32_t i = 0; i < w->worker_count; i++)
        if (w->workers[i] != NULL)
            TRY(join_worker_wait(w, w->workers[i]));
    w->failed_tag = 0;
    return constraint_finish_wait(&w->exec);
}

SUSPENDS void table_writer_abandon_wait(struct table_writer *w)
{
    for (uint32_t i = 0; w->workers != NULL && i < w->worker_count; i++)
        if (w->workers[i] != NULL)
            worker_close_wait(&w->run, w->workers[i]);
    w->workers = NULL;
    constraint_end(&w->exec);
    arena_free(w->row_mem);
    w->row_mem = NULL;
}

SUSPENDS err_t table_writer_close_wait(struct table_writer *w, uint64_t *rows)
{
    TRY(table_writer_flush_wait(w));
    if (rows != NULL)
        *rows = w->rows;
    table_writer_abandon_wait(w);
    return ERR_OK;
}
