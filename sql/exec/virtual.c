/*
 * Scans of virtual relations: rows made by the producer registered under the view's name
 * (sql/catalog/virtual.h), on the session's core. Slot 0 is the row; behind its columns stand the
 * system columns as for stored tables.
 */
#include "sql/catalog/virtual.h"
#include "sql/exec/exec_priv.h"

struct virtual_node {
    struct node node;
    struct slot row;
    const struct virtual_rows *rows;
    struct arena *mem;
    void *state;
    bool is_begun;
};

static SUSPENDS err_t virtual_open_wait(struct node *n)
{
    struct virtual_node *v = (struct virtual_node *)n;
    const struct plan_table *t = n->plan->scan.table;
    const char *name = t->virtual_name != NULL ? t->virtual_name : t->name;
    v->rows = virtual_find(name);
    if (v->rows == NULL)
        return err_not_built("view \"%s\" is not supported yet", name);
    slot_init(&v->row, n->run->mem, t->column_count + 3);
    v->row.values[t->column_count + 1] = datum_of_oid(t->oid);
    n->eval.inputs[0] = &v->row;
    return ERR_OK;
}

static SUSPENDS void virtual_stop_wait(struct virtual_node *v)
{
    if (v->is_begun && v->rows->end != NULL)
        v->rows->end(v->state);
    v->is_begun = false;
    arena_free(v->mem);
    v->mem = NULL;
}

static SUSPENDS err_t virtual_next_wait(struct node *n, const struct slot **row)
{
    struct virtual_node *v = (struct virtual_node *)n;
    if (!v->is_begun) {
        v->mem = arena_new();
        TRY(v->rows->begin(n->run->env, v->mem, &v->state));
        v->is_begun = true;
    }
    for (;;) {
        bool end = false;
        memset(v->row.nulls, 0, n->plan->scan.table->column_count);
        TRY(v->rows->next(v->state, v->row.values, v->row.nulls, &end));
        if (end) {
            *row = NULL;
            return ERR_OK;
        }
        node_row_begin(n);
        bool pass = true;
        TRY(node_filter_wait(n, &pass));
        if (pass)
            return node_project_wait(n, &v->row, row);
        TRY(run_rest_wait(n->run));
    }
}

static SUSPENDS err_t virtual_rescan_wait(struct node *n)
{
    virtual_stop_wait((struct virtual_node *)n);
    return ERR_OK;
}

static SUSPENDS void virtual_close_wait(struct node *n)
{
    virtual_stop_wait((struct virtual_node *)n);
}

const struct node_ops node_virtual_ops = {
    .bytes = sizeof(struct virtual_node),
    .open = virtual_open_wait,
    .next = virtual_next_wait,
    .rescan = virtual_rescan_wait,
    .close = virtual_close_wait,
};
