/*
 * WINDOW: functions over the rows around a row.
 *
 * Rows come sorted by partition and order columns. A partition is read whole into a row store (in
 * memory up to work_mem, then a file); kept in memory are where each row begins and where each
 * group of peers begins, so every position of a frame is found by arithmetic or by one step
 * forward. A frame is at most three ranges of positions (EXCLUDE cuts it), in which first_value and
 * its like count.
 *
 * Aggregates go on with their state while the frame only grows at its end; otherwise they begin
 * again. A frame that is the same as the row's before gives the same result.
 *
 * Slot 0 of arguments is a row of the child; the output is the child's row and the functions'
 * results behind it.
 */
#include "sql/exec/exec_priv.h"

enum { STORE_BYTES_KEPT = 256 * 1024 };

enum window_kind {
    WINDOW_AGGREGATE,
    WINDOW_ROW_NUMBER,
    WINDOW_RANK,
    WINDOW_DENSE_RANK,
    WINDOW_PERCENT_RANK,
    WINDOW_CUME_DIST,
    WINDOW_NTILE,
    WINDOW_LAG,
    WINDOW_LEAD,
    WINDOW_FIRST_VALUE,
    WINDOW_LAST_VALUE,
    WINDOW_NTH_VALUE,
};

struct range {
    uint64_t from; /* rows [from, to) of the partition */
    uint64_t to;
};
struct frame {
    struct range parts[3];
    uint32_t count;
};

struct window_function {
    enum window_kind kind;
    const struct plan_aggregate *plan;
    const struct aggregate_code *code;
    bool by_value;
    datum *args;
    bool *nulls;
    /* aggregates */
    struct aggregate_call call;
    void *call_state;
    struct arena *mem;    /* of the running state */
    struct arena *result; /* of the last result */
    void *state;
    struct frame done; /* what is in the state */
    bool has_state;
    datum value;
    bool is_null;
    /* ntile */
    int64_t buckets;
    bool has_buckets; /* of this partition */
};

struct window_node {
    struct node node;
    uint32_t count; /* of functions */
    struct window_function *functions;
    struct row_store *store;
    struct row_reader current_reader;
    struct row_reader step_reader;
    struct row_reader other_reader;
    struct slot current;
    struct slot other;
    struct slot result;
    struct strbuf bytes;
    struct strbuf key;
    struct strbuf partition_key;
    struct strbuf order_key;
    struct strbuf last_order_key;
    const struct slot *ahead; /* first row of the next partition; the child's */
    bool is_started;
    bool is_done;
    struct arena *index;
    uint64_t *offsets; /* per row of the partition, in the store */
    uint64_t row_count;
    uint64_t row_capacity;
    uint64_t *groups; /* first row of each group of peers */
    uint64_t group_count;
    uint64_t group_capacity;
    uint64_t row; /* position to come */
    uint64_t group;
    uint64_t frame_start;
    uint64_t frame_end;
    bool has_offsets; /* frame offsets are evaluated */
    datum start_offset;
    datum end_offset;
    struct arena *offset_mem;
};

static const struct {
    const char *source;
    enum window_kind kind;
} window_kinds[] = {
    {"window_row_number", WINDOW_ROW_NUMBER},
    {"window_rank", WINDOW_RANK},
    {"window_dense_rank", WINDOW_DENSE_RANK},
    {"window_percent_rank", WINDOW_PERCENT_RANK},
    {"window_cume_dist", WINDOW_CUME_DIST},
    {"window_ntile", WINDOW_NTILE},
    {"window_lag", WINDOW_LAG},
    {"window_lag_with_offset", WINDOW_LAG},
    {"window_lag_with_offset_and_default", WINDOW_LAG},
    {"window_lead", WINDOW_LEAD},
    {"window_lead_with_offset", WINDOW_LEAD},
    {"window_lead_with_offset_and_default", WINDOW_LEAD},
    {"window_first_value", WINDOW_FIRST_VALUE},
    {"window_last_value", WINDOW_LAST_VALUE},
    {"window_nth_value", WINDOW_NTH_VALUE},
};

static err_t function_kind(const struct func *f, enum window_kind *out)
{
    *out = WINDOW_AGGREGATE;
    if (f->kind == 'a')
        return ERR_OK;
    for (size_t i = 0; i < sizeof(window_kinds) / sizeof(window_kinds[0]); i++)
        if (strcmp(window_kinds[i].source, f->source) == 0) {
            *out = window_kinds[i].kind;
            return ERR_OK;
        }
    return err_not_built("window function %s is not supported yet", f->name);
}

static err_t function_open(struct window_node *w, uint32_t i)
{
    struct node *n = &w->node;
    struct arena *mem = n->run->mem;
    struct window_function *f = &w->functions[i];
    f->plan = &n->plan->window.functions[i];
    f->code = &n->code->aggregates[i];
    TRY(function_kind(f->plan->func, &f->kind));
    const struct type_info *type = type_find(f->plan->type);
    f->by_value = type == NULL || type->by_value;
    f->args = ARENA_ARRAY(mem, datum, f->plan->arg_count + 1);
    f->nulls = ARENA_ARRAY(mem, bool, f->plan->arg_count + 1);
    if (f->kind != WINDOW_AGGREGATE)
        return ERR_OK;
    f->mem = arena_new();
    f->result = arena_new();
    f->call.call = (struct call){.func = f->plan->func,
                                 .env = n->run->env,
                                 .mem = n->row_mem,
                                 .state_mem = mem,
                                 .state = &f->call_state,
                                 .arg_types = f->code->arg_types,
                                 .result_type = f->plan->type,
                                 .typmod = -1,
                                 .arg_count = f->plan->arg_count,
                                 .args = f->args,
                                 .nulls = f->nulls};
    return ERR_OK;
}

static SUSPENDS err_t window_open_wait(struct node *n)
{
    struct window_node *w = (struct window_node *)n;
    struct arena *mem = n->run->mem;
    uint32_t columns = n->outer->code->type_count;
    w->count = n->plan->window.function_count;
    w->functions = ARENA_ARRAY(mem, struct window_function, w->count + 1);
    w->index = arena_new();
    w->offset_mem = arena_new();
    slot_init(&w->current, mem, columns);
    slot_init(&w->other, mem, columns);
    slot_init(&w->result, mem, columns + w->count);
    strbuf_init(&w->bytes, mem);
    strbuf_init(&w->key, mem);
    strbuf_init(&w->partition_key, mem);
    strbuf_init(&w->order_key, mem);
    strbuf_init(&w->last_order_key, mem);
    for (uint32_t i = 0; i < w->count; i++)
        TRY(function_open(w, i));
    return ERR_OK;
}

/* ---- reading a partition ---- */

static void partition_key(struct window_node *w, const struct slot *in)
{
    const struct plan_node *p = w->node.plan;
    w->key.len = 0;
    for (uint32_t i = 0; i < p->window.partition_count; i++) {
        uint32_t column = p->window.partition[i];
        key_part_append(&w->node.code->outer_parts[i], in->values[column], in->nulls[column],
                        &w->key);
    }
}

static void order_key(struct window_node *w, const struct slot *in)
{
    const struct plan_node *p = w->node.plan;
    w->order_key.len = 0;
    for (uint32_t i = 0; i < p->window.order_count; i++) {
        uint32_t column = p->window.order[i].column;
        key_part_append(&w->node.code->inner_parts[i], in->values[column], in->nulls[column],
                        &w->order_key);
    }
}

static bool same_bytes(const struct strbuf *a, const struct strbuf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void strbuf_swap(struct strbuf *a, struct strbuf *b)
{
    struct strbuf swap = *a;
    *a = *b;
    *b = swap;
}

static err_t index_add(struct window_node *w, uint64_t **items, uint64_t *count, uint64_t *capacity,
                       uint64_t value)
{
    if (*count == *capacity) {
        uint64_t more = *capacity == 0 ? 64 : *capacity * 2;
        void *memory = NULL;
        TRY(arena_alloc_try(w->index, more * sizeof(uint64_t), &memory));
        if (*count > 0)
            memcpy(memory, *items, *count * sizeof(uint64_t));
        *items = memory;
        *capacity = more;
    }
    (*items)[(*count)++] = value;
    return ERR_OK;
}

static SUSPENDS err_t partition_add_wait(struct window_node *w, const struct slot *in)
{
    struct node *n = &w->node;
    order_key(w, in);
    if (w->row_count == 0 || !same_bytes(&w->order_key, &w->last_order_key)) {
        TRY(index_add(w, &w->groups, &w->group_count, &w->group_capacity, w->row_count));
        strbuf_swap(&w->order_key, &w->last_order_key);
    }
    TRY(index_add(w, &w->offsets, &w->row_count, &w->row_capacity, row_store_bytes(w->store)));
    w->bytes.len = 0;
    TRY(row_encode(n->outer->code->layout, in->values, in->nulls, &w->bytes));
    return row_store_add_wait(w->store, w->bytes.data, u32_from(w->bytes.len));
}

static SUSPENDS void store_end_wait(struct window_node *w)
{
    if (w->store != NULL)
        row_store_end_wait(w->store);
    w->store = NULL;
}

/* The next partition's rows; none: is_done. */
static SUSPENDS err_t partition_read_wait(struct window_node *w)
{
    struct node *n = &w->node;
    w->row_count = 0;
    w->group_count = 0;
    w->row = 0;
    w->group = 0;
    w->frame_start = 0;
    w->frame_end = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        w->functions[i].has_state = false;
        w->functions[i].has_buckets = false;
    }
    const struct slot *in = w->ahead;
    if (!w->is_started) {
        w->is_started = true;
        TRY(node_next_wait(n->outer, &in));
    }
    w->ahead = NULL;
    if (in == NULL) {
        w->is_done = true;
        return ERR_OK;
    }
    /* Small partitions share a store. */
    if (w->store != NULL && row_store_bytes(w->store) > STORE_BYTES_KEPT)
        store_end_wait(w);
    if (w->store == NULL) {
        w->store = row_store_new(n->run, n->run->work_mem);
        row_reader_init(&w->current_reader, w->store);
        row_reader_init(&w->step_reader, w->store);
        row_reader_init(&w->other_reader, w->store);
    }
    partition_key(w, in);
    strbuf_swap(&w->key, &w->partition_key);
    for (;;) {
        TRY(partition_add_wait(w, in));
        TRY(run_rest_wait(n->run));
        TRY(node_next_wait(n->outer, &in));
        if (in == NULL) {
            /* The child is not asked again. */
            w->ahead = NULL;
            break;
        }
        partition_key(w, in);
        if (!same_bytes(&w->key, &w->partition_key)) {
            w->ahead = in;
            break;
        }
    }
    return index_add(w, &w->groups, &w->group_count, &w->group_capacity, w->row_count);
}

static SUSPENDS err_t row_read_wait(struct window_node *w, struct row_reader *r, uint64_t position,
                                    struct slot *out)
{
    ASSERT(position < w->row_count);
    const uint8_t *bytes = NULL;
    uint32_t len = 0;
    row_reader_seek(r, w->offsets[position]);
    TRY(row_reader_next_wait(r, &bytes, &len));
    if (bytes == NULL)
        return err_raise(ERR_INTERNAL_ERROR, "row of a window partition is missing");
    row_decode(w->node.outer->code->layout, bytes, 0, out->count, out->values, out->nulls);
    return ERR_OK;
}

/* ---- frames ---- */

static SUSPENDS err_t offset_read_wait(struct window_node *w, const struct program *p,
                                       const char *which, datum *out)
{
    struct node *n = &w->node;
    if (p == NULL)
        return ERR_OK;
    bool is_null = true;
    datum value = 0;
    TRY(expr_eval_wait(p, &n->eval, &value, &is_null));
    if (is_null)
        return err_raise(ERR_NULL_VALUE_NOT_ALLOWED, "frame %s offset must not be null", which);
    bool rows = n->plan->window.frame_options & (WINDOW_ROWS | WINDOW_GROUPS);
    if (rows && datum_i64(value) < 0)
        return err_raise(ERR_INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                         "frame %s offset must not be negative", which);
    const struct expr *e =
        p == n->code->low ? n->plan->window.start_offset : n->plan->window.end_offset;
    const struct type_info *type = type_find(e->type);
    *out = datum_copy(w->offset_mem, value, type == NULL || type->by_value);
    return ERR_OK;
}

static SUSPENDS err_t offsets_read_wait(struct window_node *w)
{
    if (w->has_offsets)
        return ERR_OK;
    w->has_offsets = true;
    TRY(offset_read_wait(w, w->node.code->low, "starting", &w->start_offset));
    return offset_read_wait(w, w->node.code->high, "ending", &w->end_offset);
}

/* position + offset or - offset, within [0, end]. */
static uint64_t shifted(uint64_t position, datum offset, bool back, uint64_t end)
{
    uint64_t by = (uint64_t)datum_i64(offset);
    if (back)
        return by > position ? 0 : position - by;
    return by > end - position ? end : position + by;
}

/* Whether a row's order value is within the offset of the current row's (is_end: not past it). */
static SUSPENDS err_t in_range_wait(struct window_node *w, uint64_t position, bool is_end,
                                    bool *stop)
{
    const struct plan_node *p = w->node.plan;
    int options = p->window.frame_options;
    uint32_t column = p->window.order[0].column;
    TRY(row_read_wait(w, &w->other_reader, position, &w->other));
    bool null_row = w->other.nulls[column];
    bool null_current = w->current.nulls[column];
    if (null_row || null_current) {
        if (is_end)
            *stop = p->window.order[0].nulls_first ? !null_row : !null_current;
        else
            *stop = p->window.order[0].nulls_first ? !null_row || null_current
                                                   : null_row || !null_current;
        return ERR_OK;
    }
    bool sub = options & (is_end ? WINDOW_END_PRECEDING : WINDOW_START_PRECEDING);
    bool less = is_end;
    if (p->window.order[0].descending) {
        sub = !sub;
        less = !less;
    }
    const struct func *f = is_end ? p->window.end_range : p->window.start_range;
    if (f == NULL || f->fn == NULL)
        return err_not_built("RANGE with offset is not supported for this type yet");
    datum args[5] = {w->other.values[column], w->current.values[column],
                     is_end ? w->end_offset : w->start_offset, sub, less};
    bool nulls[5] = {false};
    void *state = NULL;
    struct call c = {.func = f,
                     .env = w->node.run->env,
                     .mem = w->node.row_mem,
                     .state_mem = w->node.row_mem,
                     .state = &state,
                     .arg_types = f->args,
                     .result_type = TYPE_BOOL,
                     .typmod = -1,
                     .arg_count = 5,
                     .args = args,
                     .nulls = nulls};
    datum within = 0;
    TRY(f->fn(&c, &within));
    *stop = is_end ? within == 0 : within != 0;
    return ERR_OK;
}

static SUSPENDS err_t range_start_wait(struct window_node *w)
{
    bool stop = false;
    while (w->frame_start < w->row_count) {
        TRY(in_range_wait(w, w->frame_start, false, &stop));
        if (stop)
            return ERR_OK;
        w->frame_start++;
        TRY(run_rest_wait(w->node.run));
    }
    return ERR_OK;
}

static SUSPENDS err_t range_end_wait(struct window_node *w)
{
    bool stop = false;
    while (w->frame_end < w->row_count) {
        TRY(in_range_wait(w, w->frame_end, true, &stop));
        if (stop)
            return ERR_OK;
        w->frame_end++;
        TRY(run_rest_wait(w->node.run));
    }
    return ERR_OK;
}

static SUSPENDS err_t frame_bounds_wait(struct window_node *w)
{
    int options = w->node.plan->window.frame_options;
    uint64_t groups = w->group_count - 1; /* the last entry is the end */
    bool back = options & WINDOW_START_PRECEDING;
    TRY(offsets_read_wait(w));
    if (options & WINDOW_START_UNBOUNDED)
        w->frame_start = 0;
    else if (options & WINDOW_START_CURRENT)
        w->frame_start = options & WINDOW_ROWS ? w->row : w->groups[w->group];
    else if (options & WINDOW_ROWS)
        w->frame_start = shifted(w->row, w->start_offset, back, w->row_count);
    else if (options & WINDOW_GROUPS)
        w->frame_start = w->groups[shifted(w->group, w->start_offset, back, groups)];
    else
        TRY(range_start_wait(w));
    back = options & WINDOW_END_PRECEDING;
    if (options & WINDOW_END_UNBOUNDED)
        w->frame_end = w->row_count;
    else if (options & WINDOW_END_CURRENT)
        w->frame_end = options & WINDOW_ROWS ? w->row + 1 : w->groups[w->group + 1];
    else if (options & WINDOW_ROWS)
        w->frame_end =
            back && (uint64_t)datum_i64(w->end_offset) > w->row
                ? 0
                : MIN(shifted(w->row, w->end_offset, back, w->row_count), w->row_count - 1) + 1;
    else if (options & WINDOW_GROUPS)
        w->frame_end =
            back && (uint64_t)datum_i64(w->end_offset) > w->group
                ? 0
                : w->groups[MIN(shifted(w->group, w->end_offset, back, groups), groups - 1) + 1];
    else
        TRY(range_end_wait(w));
    return ERR_OK;
}

static void frame_part(struct frame *f, uint64_t from, uint64_t to)
{
    if (from < to)
        f->parts[f->count++] = (struct range){from, to};
}

static void frame_make(const struct window_node *w, struct frame *f)
{
    int options = w->node.plan->window.frame_options;
    uint64_t from = w->frame_start;
    uint64_t to = w->frame_end;
    f->count = 0;
    if (!(options & (WINDOW_EXCLUDE_CURRENT | WINDOW_EXCLUDE_GROUP | WINDOW_EXCLUDE_TIES))) {
        frame_part(f, from, to);
        return;
    }
    bool row_only = options & WINDOW_EXCLUDE_CURRENT;
    uint64_t out_from = row_only ? w->row : w->groups[w->group];
    uint64_t out_to = row_only ? w->row + 1 : w->groups[w->group + 1];
    frame_part(f, from, MIN(to, out_from));
    if ((options & WINDOW_EXCLUDE_TIES) && w->row >= from && w->row < to)
        frame_part(f, w->row, w->row + 1);
    frame_part(f, MAX(from, out_to), to);
}

/* The n-th row of the frame, from 0; from its end with last. */
static bool frame_row(const struct frame *f, uint64_t n, bool last, uint64_t *out)
{
    if (last && f->count > 0) {
        *out = f->parts[f->count - 1].to - 1;
        return true;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        uint64_t rows = f->parts[i].to - f->parts[i].from;
        if (n < rows) {
            *out = f->parts[i].from + n;
            return true;
        }
        n -= rows;
    }
    return false;
}

/* ---- aggregates ---- */

static SUSPENDS err_t aggregate_range_wait(struct window_node *w, struct window_function *f,
                                           struct range r)
{
    struct node *n = &w->node;
    for (uint64_t at = r.from; at < r.to; at++) {
        struct arena_mark mark = arena_mark(n->row_mem);
        TRY(row_read_wait(w, &w->step_reader, at, &w->other));
        n->eval.inputs[0] = &w->other;
        bool pass = true;
        if (f->code->filter != NULL)
            TRY(expr_eval_bool_wait(f->code->filter, &n->eval, &pass));
        if (pass && f->plan->arg_count > 0) {
            TRY(expr_eval_list_wait(f->code->args, &n->eval, f->args, f->nulls));
            for (uint32_t i = 0; i < f->plan->arg_count && !f->code->aggregate->step_on_null; i++)
                pass = pass && !f->nulls[i];
        }
        if (pass) {
            f->call.mem = f->mem;
            f->call.call.mem = n->row_mem;
            f->call.call.is_null = false;
            TRY(f->code->aggregate->step(&f->call, f->state));
        }
        arena_rewind(n->row_mem, mark);
        TRY(run_rest_wait(n->run));
    }
    return ERR_OK;
}

static bool frames_same(const struct frame *a, const struct frame *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->parts[i].from != b->parts[i].from || a->parts[i].to != b->parts[i].to)
            return false;
    return true;
}

static SUSPENDS err_t aggregate_value_wait(struct window_node *w, struct window_function *f,
                                           const struct frame *frame)
{
    if (f->has_state && frames_same(&f->done, frame))
        return ERR_OK;
    bool goes_on = f->has_state && f->done.count == 1 && frame->count == 1 &&
                   f->done.parts[0].from == frame->parts[0].from &&
                   f->done.parts[0].to <= frame->parts[0].to;
    if (!goes_on) {
        arena_reset(f->mem);
        f->state = arena_zalloc(f->mem, f->code->aggregate->state_bytes + 16);
        f->done.count = 0;
    }
    for (uint32_t i = 0; i < frame->count; i++) {
        struct range r = frame->parts[i];
        if (goes_on)
            r.from = f->done.parts[0].to;
        TRY(aggregate_range_wait(w, f, r));
    }
    f->done = *frame;
    f->has_state = true;
    datum value = 0;
    f->is_null = false;
    f->call.mem = f->mem;
    f->call.call.mem = w->node.row_mem;
    TRY(f->code->aggregate->final(&f->call, f->state, &value, &f->is_null));
    arena_reset(f->result);
    f->value = f->is_null ? 0 : datum_copy(f->result, value, f->by_value);
    return ERR_OK;
}

/* ---- functions ---- */

/* Arguments over a row of the partition. */
static SUSPENDS err_t args_at_wait(struct window_node *w, struct window_function *f,
                                   uint64_t position)
{
    struct node *n = &w->node;
    const struct slot *row = &w->current;
    if (position != w->row) {
        TRY(row_read_wait(w, &w->other_reader, position, &w->other));
        row = &w->other;
    }
    n->eval.inputs[0] = row;
    return expr_eval_list_wait(f->code->args, &n->eval, f->args, f->nulls);
}

/* The first argument over a row, kept until the next output row. */
static SUSPENDS err_t value_at_wait(struct window_node *w, struct window_function *f,
                                    uint64_t position, datum *out, bool *is_null)
{
    TRY(args_at_wait(w, f, position));
    *is_null = f->nulls[0];
    *out = *is_null ? 0 : datum_copy(w->node.row_mem, f->args[0], f->by_value);
    return ERR_OK;
}

static SUSPENDS err_t shift_wait(struct window_node *w, struct window_function *f, datum *out,
                                 bool *is_null)
{
    int64_t by = 1;
    if (f->plan->arg_count > 1) {
        TRY(args_at_wait(w, f, w->row));
        if (f->nulls[1]) {
            *is_null = true;
            return ERR_OK;
        }
        by = datum_i32(f->args[1]);
    }
    int64_t position = (int64_t)w->row + (f->kind == WINDOW_LAG ? -by : by);
    if (position >= 0 && position < (int64_t)w->row_count)
        return value_at_wait(w, f, (uint64_t)position, out, is_null);
    *is_null = true;
    if (f->plan->arg_count > 2) {
        TRY(args_at_wait(w, f, w->row));
        *is_null = f->nulls[2];
        *out = *is_null ? 0 : datum_copy(w->node.row_mem, f->args[2], f->by_value);
    }
    return ERR_OK;
}

static SUSPENDS err_t nth_wait(struct window_node *w, struct window_function *f,
                               const struct frame *frame, datum *out, bool *is_null)
{
    uint64_t n = 0;
    if (f->kind == WINDOW_NTH_VALUE) {
        TRY(args_at_wait(w, f, w->row));
        *is_null = f->nulls[1];
        if (*is_null)
            return ERR_OK;
        if (datum_i32(f->args[1]) <= 0)
            return err_raise(ERR_INVALID_ARGUMENT_FOR_NTH_VALUE,
                             "argument of nth_value must be greater than zero");
        n = (uint64_t)datum_i32(f->args[1]) - 1;
    }
    uint64_t position = 0;
    *is_null = !frame_row(frame, n, f->kind == WINDOW_LAST_VALUE, &position);
    return *is_null ? ERR_OK : value_at_wait(w, f, position, out, is_null);
}

static SUSPENDS err_t ntile_wait(struct window_node *w, struct window_function *f, datum *out,
                                 bool *is_null)
{
    if (!f->has_buckets) {
        TRY(args_at_wait(w, f, w->row));
        if (f->nulls[0]) {
            *is_null = true;
            return ERR_OK;
        }
        f->buckets = datum_i32(f->args[0]);
        if (f->buckets <= 0)
            return err_raise(ERR_INVALID_ARGUMENT_FOR_NTILE,
                             "argument of ntile must be greater than zero");
        f->has_buckets = true;
    }
    /* The first `larger` buckets have one row more. */
    uint64_t buckets = (uint64_t)f->buckets;
    uint64_t size = w->row_count / buckets;
    uint64_t larger = w->row_count % buckets;
    uint64_t in_larger = larger * (size + 1);
    uint64_t bucket = w->row < in_larger ? w->row / (size + 1)
                                         : larger + (w->row - in_larger) / MAX(size, (uint64_t)1);
    *out = datum_of_i32((int32_t)bucket + 1);
    return ERR_OK;
}

static SUSPENDS err_t function_value_wait(struct window_node *w, struct window_function *f,
                                          const struct frame *frame, datum *out, bool *is_null)
{
    double rows = (double)w->row_count;
    uint64_t peers = w->groups[w->group];
    *out = 0;
    *is_null = false;
    switch (f->kind) {
    case WINDOW_AGGREGATE:
        TRY(aggregate_value_wait(w, f, frame));
        *out = f->value;
        *is_null = f->is_null;
        return ERR_OK;
    case WINDOW_ROW_NUMBER:
        *out = datum_of_i64((int64_t)w->row + 1);
        return ERR_OK;
    case WINDOW_RANK:
        *out = datum_of_i64((int64_t)peers + 1);
        return ERR_OK;
    case WINDOW_DENSE_RANK:
        *out = datum_of_i64((int64_t)w->group + 1);
        return ERR_OK;
    case WINDOW_PERCENT_RANK:
        *out = datum_of_f64(w->row_count <= 1 ? 0 : (double)peers / (rows - 1));
        return ERR_OK;
    case WINDOW_CUME_DIST:
        *out = datum_of_f64((double)w->groups[w->group + 1] / rows);
        return ERR_OK;
    case WINDOW_NTILE:
        return ntile_wait(w, f, out, is_null);
    case WINDOW_LAG:
    case WINDOW_LEAD:
        return shift_wait(w, f, out, is_null);
    case WINDOW_FIRST_VALUE:
    case WINDOW_LAST_VALUE:
    case WINDOW_NTH_VALUE:
        return nth_wait(w, f, frame, out, is_null);
    }
    return err_raise(ERR_INTERNAL_ERROR, "window function of kind %d", (int)f->kind);
}

static bool reads_frame(const struct window_function *f)
{
    return f->kind == WINDOW_AGGREGATE || f->kind == WINDOW_FIRST_VALUE ||
           f->kind == WINDOW_LAST_VALUE || f->kind == WINDOW_NTH_VALUE;
}

static SUSPENDS err_t window_row_wait(struct window_node *w)
{
    struct node *n = &w->node;
    node_row_begin(n);
    TRY(row_read_wait(w, &w->current_reader, w->row, &w->current));
    if (w->row == w->groups[w->group + 1])
        w->group++;
    bool needs_frame = false;
    for (uint32_t i = 0; i < w->count; i++)
        needs_frame = needs_frame || reads_frame(&w->functions[i]);
    struct frame frame = {0};
    if (needs_frame) {
        TRY(frame_bounds_wait(w));
        frame_make(w, &frame);
    }
    uint32_t columns = w->current.count;
    memcpy(w->result.values, w->current.values, sizeof(datum) * columns);
    memcpy(w->result.nulls, w->current.nulls, columns);
    for (uint32_t i = 0; i < w->count; i++)
        TRY(function_value_wait(w, &w->functions[i], &frame, &w->result.values[columns + i],
                                &w->result.nulls[columns + i]));
    w->row++;
    return ERR_OK;
}

static SUSPENDS err_t window_next_wait(struct node *n, const struct slot **row)
{
    struct window_node *w = (struct window_node *)n;
    *row = NULL;
    while (!w->is_done && w->row == w->row_count) {
        if (w->is_started && w->ahead == NULL)
            w->is_done = true;
        else
            TRY(partition_read_wait(w));
    }
    if (w->is_done)
        return ERR_OK;
    TRY(window_row_wait(w));
    *row = &w->result;
    return run_rest_wait(n->run);
}

static SUSPENDS err_t window_rescan_wait(struct node *n)
{
    struct window_node *w = (struct window_node *)n;
    store_end_wait(w);
    w->is_started = false;
    w->is_done = false;
    w->ahead = NULL;
    w->row = 0;
    w->row_count = 0;
    w->has_offsets = false;
    arena_reset(w->offset_mem);
    return node_rescan_wait(n->outer);
}

static SUSPENDS void window_close_wait(struct node *n)
{
    struct window_node *w = (struct window_node *)n;
    store_end_wait(w);
    for (uint32_t i = 0; i < w->count && w->functions != NULL; i++) {
        arena_free(w->functions[i].mem);
        arena_free(w->functions[i].result);
        w->functions[i].mem = NULL;
        w->functions[i].result = NULL;
    }
    arena_free(w->index);
    arena_free(w->offset_mem);
    w->index = NULL;
    w->offset_mem = NULL;
}

const struct node_ops node_window_ops = {
    .bytes = sizeof(struct window_node),
    .open = window_open_wait,
    .next = window_next_wait,
    .rescan = window_rescan_wait,
    .close = window_close_wait,
};
