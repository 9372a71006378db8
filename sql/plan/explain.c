/*
 * EXPLAIN: a plan as text in PostgreSQL's format, or as JSON, YAML, XML. What has no counterpart
 * there: gathers, shown as "Gather on shard by key", "Gather on N shards".
 *
 * EXPR_INPUT is shown as what the child computes for that column, down to the table's column.
 */
#include "sql/plan/explain_write.h"
#include "sql/plan/plan_priv.h"

#include <stdlib.h>

struct ancestor {
    const struct plan_node *node;
    const struct plan_subplan *subplan; /* below: this subplan of node's expressions */
    const struct ancestor *up;
};

struct explain {
    const struct plan *plan;
    const struct session_env *env;
    const struct explain_options *o;
    const struct plan_counter *counters;
    struct arena *mem;
    struct strbuf *out;
    struct explain_writer *w; /* of the structured forms */
    bool several;             /* more than one relation */
    bool qualify;             /* more than one relation: columns with their relation's name */
    uint32_t subplan_number;
    const struct ancestor *chain;
    const struct plan_node *node; /* whose expression is being shown */
    err_t error;
};

/* ---- expressions ---- */

static const char *expr_text(struct explain *x, const struct plan_node *node, const struct expr *e);

static const char *quote(struct explain *x, const char *name)
{
    bool plain = name[0] == '_' || (name[0] >= 'a' && name[0] <= 'z');
    for (const char *p = name; *p; p++)
        plain = plain &&
                ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '$');
    return plain ? name : arena_printf(x->mem, "\"%s\"", name);
}

static const char *qualified(struct explain *x, const char *relation, const char *column)
{
    if (x->qualify && relation && *relation)
        return arena_printf(x->mem, "%s.%s", quote(x, relation), quote(x, column));
    return quote(x, column);
}

static const char *leaf_column(struct explain *x, const struct plan_node *n, uint32_t index)
{
    const struct plan_label *b = n->label;
    if (n->kind == PLAN_SEQ_SCAN || n->kind == PLAN_INDEX_SCAN || n->kind == PLAN_VIRTUAL_SCAN) {
        const struct plan_table *t = n->scan.table;
        const char *name = index < t->column_count         ? t->column_names[index]
                           : index == t->column_count      ? "ctid"
                           : index == t->column_count + 1u ? "tableoid"
                                                           : "shard";
        return qualified(x, b && b->alias ? b->alias : t->alias, name ? name : "?");
    }
    if (b && b->columns && index < b->column_count && b->columns[index])
        return qualified(x, b->alias, b->columns[index]);
    return arena_printf(x->mem, "column%u", index + 1);
}

static const char *aggregate_text(struct explain *x, const struct plan_node *n,
                                  const struct plan_aggregate *a)
{
    struct strbuf b;
    strbuf_init(&b, x->mem);
    strbuf_printf(&b, "%s(", a->func->name);
    if (a->star)
        strbuf_putc(&b, '*');
    if (a->distinct)
        strbuf_puts(&b, "DISTINCT ");
    for (uint32_t i = 0; a->args && i < a->arg_count; i++)
        strbuf_printf(&b, "%s%s", i ? ", " : "", expr_text(x, n, a->args[i]));
    strbuf_putc(&b, ')');
    return b.data;
}

/* Text of column `index` of what n yields. */
static const char *output_text(struct explain *x, const struct plan_node *n, uint32_t index)
{
    if (!n || fiber_check_stack() != ERR_OK)
        return "?";
    if (n->targets && index < n->target_count) {
        const struct expr *e = n->targets[index];
        const char *text = expr_text(x, n, e);
        bool simple = e->kind == EXPR_INPUT || e->kind == EXPR_CONST || e->kind == EXPR_PARAM ||
                      text[0] == '(';
        return simple || strchr(text, ' ') == NULL ? text : arena_printf(x->mem, "(%s)", text);
    }
    switch (n->kind) {
    case PLAN_SEQ_SCAN:
    case PLAN_INDEX_SCAN:
    case PLAN_VIRTUAL_SCAN:
    case PLAN_FUNCTION_SCAN:
    case PLAN_VALUES:
    case PLAN_CTE_SCAN:
    case PLAN_WORK_TABLE:
        return leaf_column(x, n, index);
    case PLAN_WINDOW: {
        uint32_t below = n->target_count - n->window.function_count;
        return index < below
                   ? output_text(x, n->outer, index)
                   : arena_printf(x->mem, "(%s OVER (?))",
                                  aggregate_text(x, n, &n->window.functions[index - below]));
    }
    case PLAN_APPEND:
        return n->append.count ? output_text(x, n->append.children[0], index) : "?";
    default:
        return output_text(x, n->outer, index);
    }
}

static const char *slot3_text(struct explain *x, const struct plan_node *n, uint32_t index)
{
    if (index < n->aggregate.group_count)
        return expr_text(x, n, n->aggregate.group[index]);
    index -= n->aggregate.group_count;
    if (index >= n->aggregate.aggregate_count)
        return "grouping";
    if (n->aggregate.stage == AGGREGATE_FINAL) /* its arguments are the partial node's */
        for (const struct plan_node *c = n->outer; c; c = c->outer)
            if (c->kind == PLAN_AGGREGATE) {
                n = c;
                break;
            }
    return aggregate_text(x, n, &n->aggregate.aggregates[index]);
}

static const char *param_text(struct explain *x, uint32_t param)
{
    for (const struct ancestor *a = x->chain; a; a = a->up) {
        const struct plan_node *n = a->node;
        for (uint32_t i = 0; a->subplan && i < a->subplan->arg_count; i++)
            if (a->subplan->params[i] == param) {
                const struct ancestor *saved = x->chain;
                x->chain = a->up;
                const char *text = expr_text(x, n, a->subplan->args[i]);
                x->chain = saved;
                return text;
            }
        if (n->kind != PLAN_NESTED_LOOP || a->subplan)
            continue;
        for (uint32_t i = 0; i < n->join.nest_param_count; i++)
            if (n->join.nest_params[i].param == param) {
                bool saved = x->qualify;
                x->qualify = true;
                const char *text = output_text(x, n->outer, n->join.nest_params[i].column);
                x->qualify = saved;
                return text;
            }
    }
    return arena_printf(x->mem, "$%u", param);
}

static const char *column_name(void *ctx, const struct expr *e)
{
    struct explain *x = ctx;
    const struct plan_node *n = x->node;
    const char *text = "?";
    if (e->kind == EXPR_EXEC_PARAM) {
        text = param_text(x, e->param);
    } else if (e->kind == EXPR_INPUT) {
        bool leaf = n->kind == PLAN_SEQ_SCAN || n->kind == PLAN_INDEX_SCAN ||
                    n->kind == PLAN_VIRTUAL_SCAN || n->kind == PLAN_FUNCTION_SCAN ||
                    n->kind == PLAN_VALUES || n->kind == PLAN_CTE_SCAN ||
                    n->kind == PLAN_WORK_TABLE;
        if (e->input.slot == 3)
            text = slot3_text(x, n, e->input.index);
        else if (leaf)
            text = leaf_column(x, n, e->input.index);
        else
            text = output_text(x, e->input.slot == 1 ? n->inner : n->outer, e->input.index);
    } else if (e->kind == EXPR_COLUMN && e->column.name) {
        text = quote(x, e->column.name);
    }
    x->node = n;
    return text;
}

static err_t explain_replace(struct arena *mem, const struct expr *e, void *ctx, struct expr **out)
{
    struct explain *x = ctx;
    if (e->kind != EXPR_EXEC_PARAM && e->kind != EXPR_INPUT && e->kind != EXPR_SUBPLAN)
        return ERR_OK;
    struct expr *c = expr_new(mem, EXPR_COLUMN, e->type, e->typmod);
    c->column.attno = 1;
    c->column.name = e->kind == EXPR_SUBPLAN
                         ? arena_printf(mem, "(SubPlan %u)", e->subplan.index + 1)
                         : column_name(x, e);
    *out = c;
    return ERR_OK;
}

static const char *ready_name(void *ctx, const struct expr *e)
{
    (void)ctx;
    return e->kind == EXPR_COLUMN && e->column.name ? e->column.name : "?";
}

static const char *expr_text(struct explain *x, const struct plan_node *node, const struct expr *e)
{
    const struct plan_node *saved = x->node;
    struct expr *shown = NULL;
    struct strbuf b;
    strbuf_init(&b, x->mem);
    x->node = node;
    err_t err = expr_rewrite(x->mem, e, explain_replace, x, &shown);
    const struct deparse_options o = {.column_name = ready_name, .ctx = x};
    if (err == ERR_OK)
        err = expr_deparse(x->mem, shown, &o, &b);
    x->node = saved;
    if (err != ERR_OK && x->error == ERR_OK)
        x->error = err;
    return b.data ? b.data : "";
}

static const char *condition_text(struct explain *x, const struct plan_node *n,
                                  const struct expr *e)
{
    const char *t = expr_text(x, n, e);
    return t[0] == '(' || (e->kind != EXPR_CALL && e->kind != EXPR_AND && e->kind != EXPR_OR)
               ? t
               : arena_printf(x->mem, "(%s)", t);
}

/* ---- node names ---- */

static const char *join_name(enum join_type t)
{
    static const char *const names[] = {"", " Left", " Right", " Full", " Semi", " Anti"};
    return names[t];
}

static const char *relation_text(struct explain *x, const struct plan_node *n)
{
    const struct plan_table *t = n->scan.table;
    const char *alias = n->label && n->label->alias ? n->label->alias : t->alias;
    const char *name = quote(x, t->name);
    if (x->o->verbose && t->schema_name)
        name = arena_printf(x->mem, "%s.%s", quote(x, t->schema_name), name);
    return alias && strcmp(alias, t->name) != 0
               ? arena_printf(x->mem, "%s %s", name, quote(x, alias))
               : name;
}

static const char *node_type(const struct plan_node *n)
{
    switch (n->kind) {
    case PLAN_RESULT:
        return "Result";
    case PLAN_SEQ_SCAN:
    case PLAN_VIRTUAL_SCAN:
        return "Seq Scan";
    case PLAN_INDEX_SCAN:
        return "Index Scan";
    case PLAN_VALUES:
        return "Values Scan";
    case PLAN_FUNCTION_SCAN:
        return "Function Scan";
    case PLAN_CTE_SCAN:
        return "CTE Scan";
    case PLAN_WORK_TABLE:
        return "WorkTable Scan";
    case PLAN_NESTED_LOOP:
        return "Nested Loop";
    case PLAN_HASH_JOIN:
        return "Hash Join";
    case PLAN_MERGE_JOIN:
        return "Merge Join";
    case PLAN_AGGREGATE:
        return "Aggregate";
    case PLAN_SORT:
        return "Sort";
    case PLAN_LIMIT:
        return "Limit";
    case PLAN_DISTINCT:
        return n->distinct.sorted ? "Unique" : "HashAggregate";
    case PLAN_SET_OPERATION:
        return "SetOp";
    case PLAN_APPEND:
        return "Append";
    case PLAN_RECURSIVE_UNION:
        return "Recursive Union";
    case PLAN_MATERIALIZE:
        return "Materialize";
    case PLAN_PROJECT_SET:
        return "ProjectSet";
    case PLAN_WINDOW:
        return "WindowAgg";
    case PLAN_LOCK_ROWS:
        return "LockRows";
    case PLAN_MODIFY:
        return "ModifyTable";
    case PLAN_GATHER:
        return "Gather";
    }
    return "?";
}

static const char *modify_name(enum command c)
{
    return c == CMD_INSERT ? "Insert" : c == CMD_UPDATE ? "Update" : "Delete";
}

static const char *gather_text(struct explain *x, const struct plan_node *n)
{
    const char *merge = n->gather.merge_count ? "Gather Merge" : "Gather";
    switch (n->gather.target) {
    case GATHER_KEY:
        return arena_printf(x->mem, "%s on shard by key", merge);
    case GATHER_MAP:
        return arena_printf(x->mem, "%s on shard by unique key", merge);
    case GATHER_SHARD_0:
        return arena_printf(x->mem, "%s on shard 0", merge);
    case GATHER_HOME:
        return arena_printf(x->mem, "%s on home shard", merge);
    case GATHER_ALL:
        return arena_printf(x->mem, "%s on %u shard%s", merge, shard_count(),
                            shard_count() == 1 ? "" : "s");
    }
    return merge;
}

static const char *node_title(struct explain *x, const struct plan_node *n)
{
    const char *alias = n->label && n->label->alias ? n->label->alias : "";
    switch (n->kind) {
    case PLAN_SEQ_SCAN:
    case PLAN_VIRTUAL_SCAN:
        return arena_printf(x->mem, "Seq Scan on %s", relation_text(x, n));
    case PLAN_INDEX_SCAN:
        return arena_printf(x->mem, "Index Scan%s using %s on %s",
                            n->scan.backward ? " Backward" : "", quote(x, n->scan.index->name),
                            relation_text(x, n));
    case PLAN_VALUES:
        return arena_printf(x->mem, "Values Scan on \"%s\"", alias);
    case PLAN_FUNCTION_SCAN:
        return n->label && n->label->name && strcmp(n->label->name, alias) != 0
                   ? arena_printf(x->mem, "Function Scan on %s %s", n->label->name, quote(x, alias))
                   : arena_printf(x->mem, "Function Scan on %s", quote(x, alias));
    case PLAN_CTE_SCAN:
    case PLAN_WORK_TABLE: {
        const char *name = n->label && n->label->name ? n->label->name : alias;
        return strcmp(name, alias) != 0
                   ? arena_printf(x->mem, "%s on %s %s", node_type(n), quote(x, name),
                                  quote(x, alias))
                   : arena_printf(x->mem, "%s on %s", node_type(n), quote(x, name));
    }
    case PLAN_NESTED_LOOP:
        return n->join.type == JOIN_INNER
                   ? "Nested Loop"
                   : arena_printf(x->mem, "Nested Loop%s Join", join_name(n->join.type));
    case PLAN_HASH_JOIN:
        return arena_printf(x->mem, "Hash%s Join", join_name(n->join.type));
    case PLAN_MERGE_JOIN:
        return arena_printf(x->mem, "Merge%s Join", join_name(n->join.type));
    case PLAN_AGGREGATE: {
        const char *stage = n->aggregate.stage == AGGREGATE_PARTIAL ? "Partial "
                            : n->aggregate.stage == AGGREGATE_FINAL ? "Finalize "
                                                                    : "";
        return arena_printf(x->mem, "%s%s", stage,
                            n->aggregate.strategy == 0   ? "Aggregate"
                            : n->aggregate.strategy == 1 ? "HashAggregate"
                                                         : "GroupAggregate");
    }
    case PLAN_SET_OPERATION:
        return arena_printf(x->mem, "HashSetOp %s%s",
                            n->set_operation.operation == SET_EXCEPT ? "Except" : "Intersect",
                            n->set_operation.all ? " All" : "");
    case PLAN_MODIFY:
        return arena_printf(
            x->mem, "%s on %s", modify_name(n->modify.command),
            n->modify.table->alias && strcmp(n->modify.table->alias, n->modify.table->name) != 0
                ? arena_printf(x->mem, "%s %s", n->modify.table->name, n->modify.table->alias)
                : n->modify.table->name);
    case PLAN_GATHER:
        return gather_text(x, n);
    default:
        return node_type(n);
    }
}

/* ---- details of a node: name and text ---- */

struct texts {
    LIST(const char *) list;
};
struct detail {
    const char *name;
    const char *text;    /* NULL: a list of keys or columns */
    struct texts *texts; /* that list */
    bool is_number;
};
struct details {
    LIST(struct detail) list;
};

static void detail_add(struct explain *x, struct details *d, const char *name, const char *text)
{
    LIST_ADD(x->mem, &d->list, ((struct detail){.name = name, .text = text}));
}

static struct texts *detail_add_list(struct explain *x, struct details *d, const char *name)
{
    struct texts *t = ARENA_NEW(x->mem, struct texts);
    LIST_ADD(x->mem, &d->list, ((struct detail){.name = name, .texts = t}));
    return t;
}

static void sort_keys_texts(struct explain *x, const struct plan_node *n,
                            const struct plan_sort_key *keys, uint32_t count, struct texts *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *nulls = keys[i].nulls_first == keys[i].descending ? ""
                            : keys[i].nulls_first                     ? " NULLS FIRST"
                                                                      : " NULLS LAST";
        LIST_ADD(x->mem, &out->list,
                 arena_printf(x->mem, "%s%s%s", output_text(x, n->outer, keys[i].column),
                              keys[i].descending ? " DESC" : "", nulls));
    }
}

static const char *index_condition(struct explain *x, const struct plan_node *n)
{
    const struct plan_index_bounds *p = &n->scan.bounds;
    const struct plan_index *index = n->scan.index;
    struct strbuf b;
    strbuf_init(&b, x->mem);
    uint32_t parts = 0;
    uint32_t total = p->equal_count + (p->low != NULL) + (p->high != NULL);
    for (uint32_t i = 0; i < total; i++) {
        uint32_t column = MIN(i, p->equal_count);
        const char *name = index->attnos[column]
                               ? leaf_column(x, n, (uint32_t)index->attnos[column] - 1)
                               : condition_text(x, n, index->expressions[column]);
        const struct expr *value;
        const char *op = "=";
        if (i < p->equal_count) {
            value = p->equal[i];
        } else if (p->low && i == p->equal_count) {
            value = p->low;
            op = p->low_inclusive ? ">=" : ">";
        } else {
            value = p->high;
            op = p->high_inclusive ? "<=" : "<";
        }
        const char *text = expr_text(x, n, value);
        strbuf_puts(&b, parts++ ? " AND " : "");
        if (i < p->equal_count && i == p->array_column)
            strbuf_printf(&b, "(%s = ANY (%s))", name, text);
        else
            strbuf_printf(&b, "(%s %s %s)", name, op, text);
    }
    return parts > 1 ? arena_printf(x->mem, "(%s)", b.data) : parts ? b.data : NULL;
}

static const char *key_condition(struct explain *x, const struct plan_node *n)
{
    struct strbuf b;
    strbuf_init(&b, x->mem);
    for (uint32_t i = 0; i < n->join.key_count; i++)
        strbuf_printf(&b, "%s(%s = %s)", i ? " AND " : "", expr_text(x, n, n->join.outer_keys[i]),
                      expr_text(x, n, n->join.inner_keys[i]));
    return n->join.key_count > 1 ? arena_printf(x->mem, "(%s)", b.data) : b.data ? b.data : "";
}

static void node_details(struct explain *x, const struct plan_node *n, struct details *d)
{
    bool scan = n->kind == PLAN_SEQ_SCAN || n->kind == PLAN_INDEX_SCAN;
    bool join =
        n->kind == PLAN_NESTED_LOOP || n->kind == PLAN_HASH_JOIN || n->kind == PLAN_MERGE_JOIN;
    if (x->o->verbose && n->targets && n->target_count) {
        struct texts *t = detail_add_list(x, d, "Output");
        x->qualify = x->several;
        for (uint32_t i = 0; i < n->target_count; i++)
            LIST_ADD(x->mem, &t->list, expr_text(x, n, n->targets[i]));
        x->qualify = true;
    }
    if (n->kind == PLAN_INDEX_SCAN) {
        const char *text = index_condition(x, n);
        if (text)
            detail_add(x, d, "Index Cond", text);
    }
    if (n->kind == PLAN_HASH_JOIN)
        detail_add(x, d, "Hash Cond", key_condition(x, n));
    if (n->kind == PLAN_MERGE_JOIN)
        detail_add(x, d, "Merge Cond", key_condition(x, n));
    if (join && n->join.condition)
        detail_add(x, d, "Join Filter", condition_text(x, n, n->join.condition));
    if (n->kind == PLAN_AGGREGATE && n->aggregate.group_count) {
        struct texts *t = detail_add_list(x, d, "Group Key");
        for (uint32_t i = 0; i < n->aggregate.group_count; i++)
            LIST_ADD(x->mem, &t->list, expr_text(x, n, n->aggregate.group[i]));
    }
    if (n->kind == PLAN_DISTINCT && !n->distinct.sorted && n->distinct.key_count) {
        struct texts *t = detail_add_list(x, d, "Group Key");
        for (uint32_t i = 0; i < n->distinct.key_count; i++)
            LIST_ADD(x->mem, &t->list, output_text(x, n->outer, i));
    }
    if (n->kind == PLAN_SORT)
        sort_keys_texts(x, n, n->sort.keys, n->sort.key_count, detail_add_list(x, d, "Sort Key"));
    if (n->kind == PLAN_GATHER && n->gather.merge_count)
        sort_keys_texts(x, n, n->gather.merge, n->gather.merge_count,
                        detail_add_list(x, d, "Sort Key"));
    if (n->kind == PLAN_GATHER && gather_has_key(n->gather.target)) {
        struct texts *t =
            detail_add_list(x, d, n->gather.target == GATHER_KEY ? "Shard Key" : "Unique Key");
        for (uint32_t i = 0; i < n->gather.key_table->shard_key_count; i++)
            LIST_ADD(x->mem, &t->list, expr_text(x, n, n->gather.key[i]));
    }
    if (n->filter)
        detail_add(x, d, n->kind == PLAN_RESULT && !n->outer ? "One-Time Filter" : "Filter",
                   condition_text(x, n, n->filter));
    const struct plan_counter *c = x->counters ? &x->counters[n->id] : NULL;
    if (c && (c->removed_by_filter || x->w) && c->loops && (n->kind != PLAN_RESULT || n->outer) &&
        (n->filter || (join && n->join.condition))) {
        detail_add(x, d,
                   n->filter || scan ? "Rows Removed by Filter" : "Rows Removed by Join Filter",
                   arena_printf(x->mem, "%.0f", (double)c->removed_by_filter / (double)c->loops));
        d->list.items[d->list.count - 1].is_number = true;
    }
}

/* ---- text ---- */

static err_t node_text(struct explain *x, const struct plan_node *n, uint32_t depth,
                       const char *prefix);

static void indent(struct explain *x, uint32_t spaces)
{
    for (uint32_t i = 0; i < spaces; i++)
        strbuf_putc(x->out, ' ');
}

static void text_numbers(struct explain *x, const struct plan_node *n)
{
    if (x->o->costs)
        strbuf_printf(x->out, "  (cost=%.2f..%.2f rows=%.0f width=%u)", n->startup_cost,
                      n->total_cost, n->rows, n->width);
    if (!x->counters)
        return;
    const struct plan_counter *c = &x->counters[n->id];
    if (c->loops == 0) {
        strbuf_puts(x->out, " (never executed)");
        return;
    }
    double loops = (double)c->loops;
    double rows = (double)c->rows / loops;
    if (x->o->timing)
        strbuf_printf(x->out, " (actual time=%.3f..%.3f rows=%.0f loops=%.0f)",
                      c->first_row_us / 1000 / loops, c->total_us / 1000 / loops, rows, loops);
    else
        strbuf_printf(x->out, " (actual rows=%.0f loops=%.0f)", rows, loops);
}

struct found_subplans {
    struct arena *mem;
    struct u32_list list;
};
static err_t find_subplans(struct expr *e, void *ctx, bool *descend)
{
    struct found_subplans *f = ctx;
    *descend = true;
    if (e->kind != EXPR_SUBPLAN)
        return ERR_OK;
    for (uint32_t i = 0; i < f->list.count; i++)
        if (f->list.items[i] == e->subplan.index)
            return ERR_OK;
    LIST_ADD(f->mem, &f->list, e->subplan.index);
    return ERR_OK;
}

/* Subplans of a node's expressions. */
static err_t node_subplans(struct explain *x, const struct plan_node *n, struct found_subplans *f)
{
    f->mem = x->mem;
    for (uint32_t i = 0; n->targets && i < n->target_count; i++)
        TRY(expr_walk(n->targets[i], find_subplans, f));
    TRY(expr_walk(n->filter, find_subplans, f));
    if (n->kind == PLAN_NESTED_LOOP || n->kind == PLAN_HASH_JOIN || n->kind == PLAN_MERGE_JOIN)
        TRY(expr_walk(n->join.condition, find_subplans, f));
    if (n->kind == PLAN_LIMIT) {
        TRY(expr_walk(n->limit.count, find_subplans, f));
        TRY(expr_walk(n->limit.offset, find_subplans, f));
    }
    if (n->kind == PLAN_VALUES)
        for (uint32_t i = 0; i < n->values.row_count; i++)
            for (uint32_t k = 0; n->label && k < n->label->column_count; k++)
                TRY(expr_walk(n->values.rows[i][k], find_subplans, f));
    if (n->kind == PLAN_GATHER)
        for (uint32_t i = 0; i < n->gather.initial_count; i++)
            LIST_ADD(x->mem, &f->list, n->gather.initial[i]);
    return ERR_OK;
}

static err_t node_children(struct explain *x, const struct plan_node *n, uint32_t depth)
{
    struct ancestor a = {n, NULL, x->chain};
    x->chain = &a;
    struct found_subplans f = {0};
    TRY(node_subplans(x, n, &f));
    if (n->outer)
        TRY(node_text(x, n->outer, depth, NULL));
    if (n->inner)
        TRY(node_text(x, n->inner, depth, NULL));
    if (n->kind == PLAN_APPEND)
        for (uint32_t i = 0; i < n->append.count; i++)
            TRY(node_text(x, n->append.children[i], depth, NULL));
    for (uint32_t i = 0; i < f.list.count; i++) {
        const struct plan_subplan *s = &x->plan->subplans[f.list.items[i]];
        uint32_t number = f.list.items[i] + 1;
        const char *title =
            s->result_param != UINT32_MAX
                ? arena_printf(x->mem, "InitPlan %u (returns $%u)", number, s->result_param)
            : s->is_correlated || s->subkind == SUBQUERY_ANY || s->subkind == SUBQUERY_ALL
                ? arena_printf(x->mem, "SubPlan %u", number)
                : arena_printf(x->mem, "InitPlan %u", number);
        struct ancestor below = {n, s, &a};
        x->chain = &below;
        TRY(node_text(x, s->root, depth, title));
        x->chain = &a;
    }
    x->chain = a.up;
    return ERR_OK;
}

static err_t node_text(struct explain *x, const struct plan_node *n, uint32_t depth,
                       const char *prefix)
{
    TRY(fiber_check_stack());
    uint32_t column = depth == 0 ? 0 : depth * 6 - 4;
    if (x->out->len)
        strbuf_putc(x->out, '\n');
    if (prefix) {
        indent(x, column);
        strbuf_printf(x->out, "%s\n", prefix);
        column += 2;
    }
    indent(x, column);
    if (depth)
        strbuf_puts(x->out, "->  ");
    strbuf_puts(x->out, node_title(x, n));
    text_numbers(x, n);
    struct details d = {0};
    node_details(x, n, &d);
    for (uint32_t i = 0; i < d.list.count; i++) {
        strbuf_putc(x->out, '\n');
        indent(x, (depth ? column + 4 : 0) + 2);
        const struct detail *one = &d.list.items[i];
        strbuf_printf(x->out, "%s: %s", one->name, one->text ? one->text : "");
        for (uint32_t k = 0; one->texts && k < one->texts->list.count; k++)
            strbuf_printf(x->out, "%s%s", k ? ", " : "", one->texts->list.items[k]);
    }
    return node_children(x, n, depth + 1);
}

/* ---- JSON, YAML, XML ---- */

static void node_identity(struct explain *x, const struct plan_node *n, const char *relationship,
                          const char *subplan)
{
    struct explain_writer *w = x->w;
    bool is_distinct = n->kind == PLAN_DISTINCT && !n->distinct.sorted;
    explain_write_text(w, "Node Type", is_distinct ? "Aggregate" : node_type(n));
    if (n->kind == PLAN_AGGREGATE || is_distinct)
        explain_write_text(w, "Strategy",
                           is_distinct                  ? "Hashed"
                           : n->aggregate.strategy == 0 ? "Plain"
                           : n->aggregate.strategy == 1 ? "Hashed"
                                                        : "Sorted");
    if (n->kind == PLAN_SET_OPERATION)
        explain_write_text(w, "Strategy", "Hashed");
    if (n->kind == PLAN_AGGREGATE || is_distinct)
        explain_write_text(w, "Partial Mode",
                           is_distinct                               ? "Simple"
                           : n->aggregate.stage == AGGREGATE_PARTIAL ? "Partial"
                           : n->aggregate.stage == AGGREGATE_FINAL   ? "Finalize"
                                                                     : "Simple");
    if (n->kind == PLAN_MODIFY)
        explain_write_text(w, "Operation", modify_name(n->modify.command));
    if (relationship)
        explain_write_text(w, "Parent Relationship", relationship);
    if (subplan)
        explain_write_text(w, "Subplan Name", subplan);
    explain_write_bool(w, "Parallel Aware", false);
    explain_write_bool(w, "Async Capable", false);
}

static void relation_properties(struct explain *x, const struct plan_node *n,
                                const struct plan_table *t)
{
    explain_write_text(x->w, "Relation Name", t->name);
    if (x->o->verbose && t->schema_name)
        explain_write_text(x->w, "Schema", t->schema_name);
    explain_write_text(x->w, "Alias",
                       n->label && n->label->alias ? n->label->alias
                       : t->alias                  ? t->alias
                                                   : t->name);
}

static void node_properties(struct explain *x, const struct plan_node *n)
{
    struct explain_writer *w = x->w;
    switch (n->kind) {
    case PLAN_INDEX_SCAN:
        explain_write_text(w, "Scan Direction", n->scan.backward ? "Backward" : "Forward");
        explain_write_text(w, "Index Name", n->scan.index->name);
        relation_properties(x, n, n->scan.table);
        break;
    case PLAN_SEQ_SCAN:
    case PLAN_VIRTUAL_SCAN:
        relation_properties(x, n, n->scan.table);
        break;
    case PLAN_MODIFY:
        relation_properties(x, n, n->modify.table);
        break;
    case PLAN_FUNCTION_SCAN:
        if (n->label && n->label->name)
            explain_write_text(w, "Function Name", n->label->name);
        explain_write_text(w, "Alias", n->label && n->label->alias ? n->label->alias : "");
        break;
    case PLAN_VALUES:
        explain_write_text(w, "Alias", n->label && n->label->alias ? n->label->alias : "");
        break;
    case PLAN_CTE_SCAN:
    case PLAN_WORK_TABLE:
        if (n->label && n->label->name)
            explain_write_text(w, "CTE Name", n->label->name);
        explain_write_text(w, "Alias", n->label && n->label->alias ? n->label->alias : "");
        break;
    case PLAN_NESTED_LOOP:
    case PLAN_HASH_JOIN:
    case PLAN_MERGE_JOIN:
        explain_write_text(w, "Join Type",
                           n->join.type == JOIN_INNER ? "Inner" : join_name(n->join.type) + 1);
        break;
    case PLAN_SET_OPERATION:
        explain_write_text(
            w, "Command",
            arena_printf(x->mem, "%s%s",
                         n->set_operation.operation == SET_EXCEPT ? "Except" : "Intersect",
                         n->set_operation.all ? " All" : ""));
        break;
    case PLAN_GATHER:
        explain_write_text(w, "Target", gather_text(x, n));
        break;
    default:
        break;
    }
}

static void node_numbers(struct explain *x, const struct plan_node *n)
{
    struct explain_writer *w = x->w;
    if (x->o->costs) {
        explain_write_number(w, "Startup Cost", n->startup_cost, 2);
        explain_write_number(w, "Total Cost", n->total_cost, 2);
        explain_write_number(w, "Plan Rows", n->rows, 0);
        explain_write_number(w, "Plan Width", n->width, 0);
    }
    if (!x->counters)
        return;
    const struct plan_counter *c = &x->counters[n->id];
    double loops = c->loops ? (double)c->loops : 1;
    if (x->o->timing) {
        explain_write_number(w, "Actual Startup Time", c->first_row_us / 1000 / loops, 3);
        explain_write_number(w, "Actual Total Time", c->total_us / 1000 / loops, 3);
    }
    explain_write_number(w, "Actual Rows", (double)c->rows / loops, 0);
    explain_write_number(w, "Actual Loops", (double)c->loops, 0);
}

static void node_detail(struct explain *x, const struct detail *d)
{
    if (d->texts)
        explain_write_list(x->w, d->name, d->texts->list.items, d->texts->list.count);
    else if (d->is_number)
        explain_write_number(x->w, d->name, strtod(d->text, NULL), 0);
    else
        explain_write_text(x->w, d->name, d->text);
}

static err_t node_structured(struct explain *x, const struct plan_node *n, const char *relationship,
                             const char *subplan);

static err_t structured_children(struct explain *x, const struct plan_node *n,
                                 const struct found_subplans *f, const struct ancestor *a)
{
    uint32_t appended = n->kind == PLAN_APPEND ? n->append.count : 0;
    uint32_t ctes = n == x->plan->root ? x->plan->cte_count : 0;
    if (!n->outer && !n->inner && !appended && !f->list.count && !ctes)
        return ERR_OK;
    explain_write_open(x->w, "Plans", "Plans", false);
    for (uint32_t i = 0; i < ctes; i++)
        TRY(node_structured(x, x->plan->ctes[i], "InitPlan",
                            arena_printf(x->mem, "CTE %s", x->plan->cte_names[i])));
    for (uint32_t i = 0; i < f->list.count; i++) {
        const struct plan_subplan *s = &x->plan->subplans[f->list.items[i]];
        bool is_initial = s->result_param != UINT32_MAX;
        uint32_t number = f->list.items[i] + 1;
        const char *name =
            is_initial ? arena_printf(x->mem, "InitPlan %u (returns $%u)", number, s->result_param)
                       : arena_printf(x->mem, "SubPlan %u", number);
        struct ancestor below = {n, s, a->up};
        x->chain = &below;
        TRY(node_structured(x, s->root, is_initial ? "InitPlan" : "SubPlan", name));
        x->chain = a;
    }
    if (n->outer)
        TRY(node_structured(x, n->outer, "Outer", NULL));
    if (n->inner)
        TRY(node_structured(x, n->inner, "Inner", NULL));
    for (uint32_t i = 0; i < appended; i++)
        TRY(node_structured(x, n->append.children[i], "Member", NULL));
    explain_write_close(x->w, "Plans", false);
    return ERR_OK;
}

static err_t node_structured(struct explain *x, const struct plan_node *n, const char *relationship,
                             const char *subplan)
{
    TRY(fiber_check_stack());
    explain_write_open(x->w, "Plan", relationship ? NULL : "Plan", true);
    node_identity(x, n, relationship, subplan);
    node_properties(x, n);
    node_numbers(x, n);
    struct details d = {0};
    node_details(x, n, &d);
    for (uint32_t i = 0; i < d.list.count; i++)
        node_detail(x, &d.list.items[i]);
    if (n->kind == PLAN_APPEND)
        explain_write_number(x->w, "Subplans Removed", 0, 0);
    struct ancestor a = {n, NULL, x->chain};
    x->chain = &a;
    struct found_subplans f = {0};
    TRY(node_subplans(x, n, &f));
    TRY(structured_children(x, n, &f, &a));
    x->chain = a.up;
    explain_write_close(x->w, "Plan", true);
    return ERR_OK;
}

static err_t explain_structured(struct explain *x, const struct explain_times *times)
{
    const struct explain_options *o = x->o;
    struct explain_writer *w = x->w;
    explain_write_begin(w);
    explain_write_open(w, "Query", NULL, true);
    TRY(node_structured(x, x->plan->root, NULL, NULL));
    if (o->summary)
        explain_write_number(w, "Planning Time", times->planning_ms, 3);
    if (o->analyze) {
        explain_write_open(w, "Triggers", "Triggers", false);
        explain_write_close(w, "Triggers", false);
        if (o->summary)
            explain_write_number(w, "Execution Time", times->execution_ms, 3);
    }
    explain_write_close(w, "Query", true);
    explain_write_end(w);
    return x->error;
}

/* ---- all ---- */

static uint32_t count_relations(const struct plan_node *n)
{
    if (!n || fiber_check_stack() != ERR_OK)
        return 0;
    uint32_t count = 0;
    switch (n->kind) {
    case PLAN_SEQ_SCAN:
    case PLAN_INDEX_SCAN:
    case PLAN_VIRTUAL_SCAN:
    case PLAN_FUNCTION_SCAN:
    case PLAN_CTE_SCAN:
    case PLAN_WORK_TABLE:
    case PLAN_VALUES:
        count = 1;
        break;
    case PLAN_APPEND:
        for (uint32_t i = 0; i < n->append.count; i++)
            count += count_relations(n->append.children[i]);
        break;
    default:
        break;
    }
    return count + count_relations(n->outer) + count_relations(n->inner);
}

err_t plan_explain(const struct plan *p, const struct session_env *env,
                   const struct explain_options *o, const struct plan_counter *counters,
                   const struct explain_times *times, struct arena *mem, struct strbuf *out)
{
    struct explain x = {.plan = p,
                        .env = env,
                        .o = o,
                        .counters = o->analyze ? counters : NULL,
                        .mem = mem,
                        .out = out};
    uint32_t relations = count_relations(p->root);
    for (uint32_t i = 0; i < p->subplan_count; i++)
        relations += count_relations(p->subplans[i].root);
    for (uint32_t i = 0; i < p->cte_count; i++)
        relations += count_relations(p->ctes[i]);
    x.several = relations > 1;
    x.qualify = x.several || o->verbose;
    if (o->format != EXPLAIN_TEXT) {
        x.w = ARENA_NEW(mem, struct explain_writer);
        x.w->format = (enum explain_format)o->format;
        x.w->out = out;
        return explain_structured(&x, times);
    }
    TRY(node_text(&x, p->root, 0, NULL));
    for (uint32_t i = 0; i < p->cte_count; i++)
        TRY(node_text(&x, p->ctes[i], 1, arena_printf(mem, "CTE %s", p->cte_names[i])));
    if (o->summary)
        strbuf_printf(out, "\nPlanning Time: %.3f ms", times->planning_ms);
    if (o->summary && o->analyze)
        strbuf_printf(out, "\nExecution Time: %.3f ms", times->execution_ms);
    return x.error;
}
