/*
 * Running programs (program_priv.h). One function with computed goto, no recursion: nesting was
 * turned into registers and jumps by the compiler. Registers live on the stack, or in e->mem when
 * a program has many of them.
 *
 * State of call sites (caches of functions, hashed IN lists) lives in e->state_mem, in a block per
 * program that hangs on the eval.
 */
#include "core/core.h"
#include "sql/expr/program_priv.h"

enum { STACK_REGISTERS = 32, HASHED_ARRAY_MIN = 9 };

struct eval_states {
    struct eval_states *next;
    const struct program *program;
    void *states[];
};

static void **find_states(const struct program *p, struct eval *e)
{
    for (struct eval_states *s = e->states; s != NULL; s = s->next)
        if (s->program == p)
            return s->states;
    struct eval_states *s =
        arena_zalloc(e->state_mem, sizeof(struct eval_states) + sizeof(void *) * p->state_count);
    s->program = p;
    s->next = e->states;
    e->states = s;
    return s->states;
}

static void call_init(struct call *c, struct eval *e, const struct call_site *s, void **states,
                      datum *args, bool *nulls)
{
    c->func = s->func;
    c->env = e->env;
    c->mem = e->mem;
    c->state_mem = e->state_mem;
    c->state = &states[s->state_index];
    c->arg_types = s->arg_types;
    c->result_type = s->result_type;
    c->typmod = s->typmod;
    c->collation = s->collation;
    c->arg_count = s->arg_count;
    c->args = args;
    c->nulls = nulls;
    c->is_null = false;
}

static inline err_t call_run(struct eval *e, const struct call_site *s, void **states, datum *args,
                             bool *nulls, datum *value, bool *is_null)
{
    struct call c;
    call_init(&c, e, s, states, args, nulls);
    datum result = 0;
    TRY(s->func->fn(&c, &result));
    *value = result;
    *is_null = c.is_null;
    return ERR_OK;
}

/* The one place that calls a function which may suspend. */
static SUSPENDS err_t call_suspending_wait(struct eval *e, const struct call_site *s, void **states,
                                           datum *args, bool *nulls, datum *value, bool *is_null)
{
    if (s->func->strict)
        for (uint32_t i = 0; i < s->arg_count; i++)
            if (nulls[i]) {
                *is_null = true;
                return ERR_OK;
            }
    return call_run(e, s, states, args, nulls, value, is_null);
}

static SUSPENDS err_t call_subplan_wait(struct eval *e, uint32_t index, datum *value, bool *is_null)
{
    if (e->subplan == NULL)
        return err_not_built("subqueries are not supported here");
    return e->subplan(e->subplan_owner, index, e, value, is_null);
}

static SUSPENDS err_t call_nextval_wait(struct eval *e, oid sequence, oid type, datum *value)
{
    const struct sql_services *s = e->env != NULL ? e->env->services : NULL;
    if (s == NULL || s->nextval == NULL)
        return err_not_built("sequences are not supported here");
    int64_t n = 0;
    TRY(s->nextval(s->owner, sequence, &n));
    if (type == TYPE_INT4 && (n < INT32_MIN || n > INT32_MAX))
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range");
    if (type == TYPE_INT2 && (n < INT16_MIN || n > INT16_MAX))
        return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "smallint out of range");
    *value = datum_of_i64(n);
    return ERR_OK;
}

/* ---- ANY / ALL ---- */

struct any_state {
    datum array; /* what was read */
    bool is_read;
    bool any_null;
    struct array_view view;
    uint32_t *buckets; /* element + 1; NULL: not hashed */
    uint32_t mask;
};

static err_t any_hash_build(struct eval *e, const struct call_site *s, struct any_state *a)
{
    uint32_t capacity = 16;
    while (capacity < a->view.count * 2)
        capacity *= 2;
    a->buckets = ARENA_ARRAY(e->state_mem, uint32_t, capacity);
    a->mask = capacity - 1;
    for (uint32_t i = 0; i < a->view.count; i++) {
        if (a->view.nulls[i]) {
            a->any_null = true;
            continue;
        }
        uint32_t at = (uint32_t)s->type->hash(a->view.values[i]) & a->mask;
        while (a->buckets[at] != 0)
            at = (at + 1) & a->mask;
        a->buckets[at] = i + 1;
    }
    return ERR_OK;
}

static err_t any_read(struct eval *e, const struct call_site *s, void **states, datum array,
                      struct any_state **out)
{
    if (!s->is_stable_array) {
        struct any_state *a = ARENA_NEW(e->mem, struct any_state);
        TRY(array_read(e->mem, array, &a->view));
        *out = a;
        return ERR_OK;
    }
    ASSUME(states != NULL);
    struct any_state *a = states[s->state_index];
    if (a == NULL)
        states[s->state_index] = a = ARENA_NEW(e->state_mem, struct any_state);
    if (!a->is_read || a->array != array) {
        *a = (struct any_state){.array = array};
        TRY(array_read(e->state_mem, array, &a->view));
        if (s->can_hash && a->view.count >= HASHED_ARRAY_MIN)
            TRY(any_hash_build(e, s, a));
        a->is_read = true;
    }
    *out = a;
    return ERR_OK;
}

static bool any_hash_find(const struct call_site *s, const struct any_state *a, datum value)
{
    uint32_t at = (uint32_t)s->type->hash(value) & a->mask;
    for (; a->buckets[at] != 0; at = (at + 1) & a->mask)
        if (s->type->compare(a->view.values[a->buckets[at] - 1], value) == 0)
            return true;
    return false;
}

static SUSPENDS err_t any_all_wait(struct eval *e, const struct call_site *s, void **states,
                                   const datum *args, const bool *nulls, datum *value,
                                   bool *is_null)
{
    *is_null = true;
    if (nulls[1])
        return ERR_OK;
    struct any_state *a = NULL;
    TRY(any_read(e, s, states, args[1], &a));
    *value = s->use_all;
    if (a->view.count == 0) {
        *is_null = false;
        return ERR_OK;
    }
    if (nulls[0] && s->func->strict)
        return ERR_OK;
    if (a->buckets != NULL) {
        bool found = any_hash_find(s, a, args[0]);
        *value = found;
        *is_null = !found && a->any_null;
        return ERR_OK;
    }
    bool any_null = false;
    /* The call site's own state slot holds the array when that is stable. */
    void *state = NULL;
    struct call c;
    for (uint32_t i = 0; i < a->view.count; i++) {
        if (s->func->strict && a->view.nulls[i]) {
            any_null = true;
            continue;
        }
        datum pair[2] = {args[0], a->view.values[i]};
        bool pair_nulls[2] = {nulls[0], a->view.nulls[i]};
        call_init(&c, e, s, states, pair, pair_nulls);
        c.state = &state;
        datum result = 0;
        TRY(s->func->fn(&c, &result));
        if (c.is_null) {
            any_null = true;
        } else if (datum_bool(result) != s->use_all) {
            *value = !s->use_all;
            *is_null = false;
            return ERR_OK;
        }
        if ((i & 1023) == 1023)
            TRY(fiber_rest_wait());
    }
    *is_null = any_null;
    return ERR_OK;
}

/* ---- arrays and rows ---- */

static err_t array_nested(struct eval *e, const struct call_site *s, const datum *args,
                          const bool *nulls, datum *out)
{
    struct array_view all = {.element = s->element};
    struct array_view part;
    datum *values = NULL;
    bool *value_nulls = NULL;
    for (uint32_t i = 0; i < s->arg_count; i++) {
        if (nulls[i])
            return err_raise(ERR_ARRAY_SUBSCRIPT_ERROR,
                             "multidimensional arrays must have array expressions with matching "
                             "dimensions");
        TRY(array_read(e->mem, args[i], &part));
        if (i == 0) {
            if (part.ndim >= 6)
                return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                                 "number of array dimensions (%d) exceeds the maximum allowed (6)",
                                 part.ndim + 1);
            uint64_t total = (uint64_t)part.count * s->arg_count;
            if (total > ALLOC_BYTES_MAX / 16)
                return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED,
                                 "array size exceeds the maximum allowed");
            values = ARENA_ARRAY(e->mem, datum, total + 1);
            value_nulls = ARENA_ARRAY(e->mem, bool, total + 1);
            all.ndim = part.ndim + 1;
            all.dims[0] = (int32_t)s->arg_count;
            all.lower[0] = 1;
            memcpy(&all.dims[1], part.dims, sizeof(int32_t) * (size_t)part.ndim);
            memcpy(&all.lower[1], part.lower, sizeof(int32_t) * (size_t)part.ndim);
        } else if (part.ndim + 1 != all.ndim ||
                   memcmp(&all.dims[1], part.dims, sizeof(int32_t) * (size_t)part.ndim) != 0) {
            return err_raise(ERR_ARRAY_SUBSCRIPT_ERROR,
                             "multidimensional arrays must have array expressions with matching "
                             "dimensions");
        }
        if (part.count > 0) {
            memcpy(values + all.count, part.values, sizeof(datum) * part.count);
            memcpy(value_nulls + all.count, part.nulls, sizeof(bool) * part.count);
        }
        all.count += part.count;
    }
    if (all.count == 0)
        all.ndim = 0;
    all.values = values;
    all.nulls = value_nulls;
    return array_make(e->mem, &all, out);
}

static err_t make_array(struct eval *e, const struct call_site *s, const datum *args,
                        const bool *nulls, datum *out)
{
    if (s->is_nested_array)
        return array_nested(e, s, args, nulls, out);
    struct array_view v = {.element = s->element, .count = s->arg_count};
    v.ndim = s->arg_count > 0;
    v.dims[0] = (int32_t)s->arg_count;
    v.lower[0] = 1;
    v.values = args;
    v.nulls = nulls;
    return array_make(e->mem, &v, out);
}

enum { NAME_BYTES = 64 };
static void name_subscript(const struct varlen *name, int32_t at, datum *value, bool *is_null)
{
    *is_null = at < 0 || at >= NAME_BYTES;
    *value = !*is_null && (uint32_t)at < name->len ? name->data[at] : 0;
}

/* Bounds are cut to the array's; fewer dimensions than it has: the others whole. */
static err_t slice(struct eval *e, const struct call_site *s, const datum *args, const bool *nulls,
                   datum *value, bool *is_null)
{
    *is_null = nulls[0];
    for (uint32_t i = 1; i < s->arg_count; i++)
        *is_null = *is_null || (nulls[i] && !((s->omitted >> (i - 1)) & 1));
    if (*is_null)
        return ERR_OK;
    struct array_view v;
    TRY(array_read(e->mem, args[0], &v));
    struct array_view part = {.element = v.element};
    int32_t dims = (int32_t)(s->arg_count - 1) / 2;
    int64_t from[6];
    uint64_t count = 1;
    if (dims > v.ndim || v.ndim > 6)
        return array_make(e->mem, &part, value);
    for (int32_t i = 0; i < v.ndim; i++) {
        int64_t low = v.lower[i];
        int64_t high = low + v.dims[i] - 1;
        if (i < dims && !((s->omitted >> (2 * i)) & 1))
            low = MAX(low, datum_i64(args[2 * i + 1]));
        if (i < dims && !((s->omitted >> (2 * i + 1)) & 1))
            high = MIN(high, datum_i64(args[2 * i + 2]));
        if (low > high)
            return array_make(e->mem, &part, value);
        from[i] = low - v.lower[i];
        part.dims[i] = (int32_t)(high - low + 1);
        part.lower[i] = 1;
        count *= (uint64_t)part.dims[i];
    }
    if (v.ndim <= 0)
        return array_make(e->mem, &part, value);
    datum *values = ARENA_ARRAY(e->mem, datum, count);
    bool *value_nulls = ARENA_ARRAY(e->mem, bool, count);
    int64_t index[6] = {0};
    for (uint64_t k = 0; k < count; k++) {
        uint64_t at = 0;
        for (int32_t i = 0; i < v.ndim; i++)
            at = at * (uint64_t)v.dims[i] + (uint64_t)(from[i] + index[i]);
        values[k] = v.values[at];
        value_nulls[k] = v.nulls[at];
        for (int32_t i = v.ndim - 1; i >= 0 && ++index[i] == part.dims[i]; i--)
            index[i] = 0;
    }
    part.ndim = v.ndim;
    part.count = (uint32_t)count;
    part.values = values;
    part.nulls = value_nulls;
    return array_make(e->mem, &part, value);
}

static err_t subscript(struct eval *e, const struct call_site *s, const datum *args,
                       const bool *nulls, datum *value, bool *is_null)
{
    *is_null = true;
    if (s->is_slice)
        return slice(e, s, args, nulls, value, is_null);
    for (uint32_t i = 0; i < s->arg_count; i++)
        if (nulls[i])
            return ERR_OK;
    if (s->source->oid == TYPE_NAME) {
        name_subscript(datum_varlen(args[0]), datum_i32(args[1]), value, is_null);
        return ERR_OK;
    }
    struct array_view v;
    TRY(array_read(e->mem, args[0], &v));
    uint32_t dims = s->arg_count - 1;
    if ((int64_t)dims != v.ndim)
        return ERR_OK;
    uint64_t at = 0;
    for (uint32_t i = 0; i < dims; i++) {
        int64_t index = datum_i64(args[i + 1]) - v.lower[i];
        if (index < 0 || index >= v.dims[i])
            return ERR_OK;
        at = at * (uint64_t)v.dims[i] + (uint64_t)index;
    }
    if (at >= v.count || v.nulls[at])
        return ERR_OK;
    *is_null = false;
    *value = v.values[at];
    return ERR_OK;
}

static err_t is_null_row(struct eval *e, datum record, bool negated, bool *out)
{
    struct record_view v;
    TRY(record_read(e->mem, record, &v));
    *out = true;
    for (uint32_t i = 0; i < v.count; i++)
        if (v.nulls[i] == negated)
            *out = false;
    return ERR_OK;
}

/* ---- casts ---- */

static err_t io_cast(struct eval *e, const struct call_site *s, datum in, datum *out)
{
    struct strbuf text;
    strbuf_init(&text, e->mem);
    TRY(value_output(e->env, e->mem, s->source->oid, in, &text));
    return value_input(e->env, e->mem, s->result_type, -1, text.len > 0 ? text.data : "", text.len,
                       out);
}

static err_t array_cast(struct eval *e, const struct call_site *s, void **states, datum in,
                        datum *out)
{
    struct array_view v;
    TRY(array_read(e->mem, in, &v));
    datum *values = ARENA_ARRAY(e->mem, datum, v.count + 1);
    bool *nulls = ARENA_ARRAY(e->mem, bool, v.count + 1);
    oid types[3] = {v.element, TYPE_INT4, TYPE_BOOL};
    for (uint32_t i = 0; i < v.count; i++) {
        nulls[i] = v.nulls[i];
        if (nulls[i] && s->func->strict)
            continue;
        datum args[3] = {v.values[i], datum_of_i32(s->typmod), datum_of_bool(true)};
        bool arg_nulls[3] = {nulls[i], false, false};
        struct call c;
        call_init(&c, e, s, states, args, arg_nulls);
        c.arg_types = types;
        c.arg_count = (uint32_t)s->func->arg_count;
        c.result_type = s->type->element;
        TRY(s->func->fn(&c, &values[i]));
        nulls[i] = c.is_null;
    }
    v.element = s->type->element;
    v.values = values;
    v.nulls = nulls;
    return array_make(e->mem, &v, out);
}

static err_t apply_typmod(struct eval *e, const struct call_site *s, bool is_explicit, datum in,
                          datum *out)
{
    struct type_io io = {.mem = e->mem,
                         .type = s->result_type,
                         .typmod = s->typmod,
                         .element = s->type->element,
                         .env = e->env};
    return s->type->apply_typmod(&io, in, is_explicit, out);
}

/* ---- CURRENT_DATE and the like ---- */

/* timestamptz → date, timetz, time, timestamp by the cast functions, which know the zone. */
static err_t convert_now(struct eval *e, const struct call_site *s, oid function, datum *out)
{
    datum now = datum_of_i64(e->env->now_us);
    const struct func *f = function != OID_NONE ? func_find(function) : NULL;
    if (function == OID_NONE) {
        *out = now;
    } else {
        if (f == NULL || f->fn == NULL)
            return err_not_built("function %u is not supported yet", function);
        bool null = false;
        void *state = NULL;
        oid types[1] = {TYPE_TIMESTAMPTZ};
        struct call c = {.func = f,
                         .env = e->env,
                         .mem = e->mem,
                         .state_mem = e->state_mem,
                         .state = &state,
                         .arg_types = types,
                         .result_type = s->result_type,
                         .typmod = -1,
                         .arg_count = 1,
                         .args = &now,
                         .nulls = &null};
        TRY(f->fn(&c, out));
    }
    if (s->typmod >= 0 && s->type->apply_typmod != NULL)
        return apply_typmod(e, s, true, *out, out);
    return ERR_OK;
}

static err_t sql_value(struct eval *e, const struct call_site *s, enum sql_value which,
                       datum *value, bool *is_null)
{
    *is_null = false;
    const char *text = NULL;
    switch (which) {
    case VALUE_CURRENT_DATE:
        return convert_now(e, s, 1178, value); /* date(timestamptz) */
    case VALUE_CURRENT_TIME:
        return convert_now(e, s, 1388, value); /* timetz(timestamptz) */
    case VALUE_CURRENT_TIMESTAMP:
        return convert_now(e, s, OID_NONE, value);
    case VALUE_LOCALTIME:
        return convert_now(e, s, 2019, value); /* time(timestamptz) */
    case VALUE_LOCALTIMESTAMP:
        return convert_now(e, s, 2027, value); /* timestamp(timestamptz) */
    case VALUE_CURRENT_USER:
        text = e->env->user_name;
        break;
    case VALUE_SESSION_USER:
        text = e->env->session_user_name;
        break;
    case VALUE_CURRENT_CATALOG:
        text = e->env->database_name;
        break;
    case VALUE_CURRENT_SCHEMA:
        text = e->env->search_schema_count > 0 ? e->env->search_schemas[0] : NULL;
        break;
    }
    *is_null = text == NULL;
    if (text != NULL)
        *value = datum_of_text(e->mem, text);
    return ERR_OK;
}

/* ---- the machine ---- */

static COLD err_t int4_overflow(void)
{
    return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range");
}

static COLD err_t int8_overflow(void)
{
    return err_raise(ERR_NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
}

static COLD err_t missing_param(uint32_t index)
{
    return err_raise(ERR_UNDEFINED_OBJECT, "no value found for parameter %u", index + 1);
}

static inline bool text_equal(datum a, datum b)
{
    const struct varlen *x = datum_varlen(a);
    const struct varlen *y = datum_varlen(b);
    return x->len == y->len && memcmp(x->data, y->data, x->len) == 0;
}

#define BINARY(name, expression)                                                                   \
    name : {                                                                                       \
        bool null = nulls[ip->a] | nulls[ip->b];                                                   \
        nulls[ip->dst] = null;                                                                     \
        if (LIKELY(!null)) {                                                                       \
            int64_t x = datum_i64(regs[ip->a]);                                                    \
            int64_t y = datum_i64(regs[ip->b]);                                                    \
            regs[ip->dst] = datum_of_bool(expression);                                             \
        }                                                                                          \
        NEXT();                                                                                    \
    }
#define ARITHMETIC(name, type, from, to, check, overflow)                                          \
    name : {                                                                                       \
        bool null = nulls[ip->a] | nulls[ip->b];                                                   \
        nulls[ip->dst] = null;                                                                     \
        if (LIKELY(!null)) {                                                                       \
            type sum;                                                                              \
            if (UNLIKELY(check(&sum, from(regs[ip->a]), from(regs[ip->b]))))                       \
                return overflow();                                                                 \
            regs[ip->dst] = to(sum);                                                               \
        }                                                                                          \
        NEXT();                                                                                    \
    }
#define NEXT()                                                                                     \
    do {                                                                                           \
        ip++;                                                                                      \
        goto *labels[ip->op];                                                                      \
    } while (0)
#define JUMP_TO(target)                                                                            \
    do {                                                                                           \
        ip = p->code + (target);                                                                   \
        goto *labels[ip->op];                                                                      \
    } while (0)

/* NOLINTNEXTLINE(readability-function-size): one loop, a label per instruction */
static SUSPENDS err_t run_wait(const struct program *p, struct eval *e, datum *regs, bool *nulls)
{
    static const void *const labels[] = {
#define OP(name) &&do_##name,
        PROGRAM_OPS(OP)
#undef OP
    };
    const struct instr *ip = p->code;
    void **states = p->state_count > 0 ? find_states(p, e) : NULL;
    goto *labels[ip->op];

do_END:
    return ERR_OK;
do_CONST:
    regs[ip->dst] = ip->value;
    nulls[ip->dst] = ip->flag != 0;
    NEXT();
do_PARAM:
    if (UNLIKELY(ip->a >= e->param_count))
        return missing_param(ip->a);
    regs[ip->dst] = e->params[ip->a];
    nulls[ip->dst] = e->param_nulls[ip->a];
    NEXT();
do_EXEC_PARAM:
    regs[ip->dst] = e->exec_params[ip->a];
    nulls[ip->dst] = e->exec_param_nulls[ip->a];
    NEXT();
do_INPUT : {
    const struct slot *in = e->inputs[ip->a];
    ASSERT(in != NULL && ip->b < in->count);
    regs[ip->dst] = in->values[ip->b];
    nulls[ip->dst] = in->nulls[ip->b];
    NEXT();
}
do_COPY:
    regs[ip->dst] = regs[ip->a];
    nulls[ip->dst] = nulls[ip->a];
    NEXT();
do_SET_NULL:
    regs[ip->dst] = 0;
    nulls[ip->dst] = true;
    NEXT();
do_JUMP:
    JUMP_TO(ip->b);
do_JUMP_UNLESS_TRUE:
    if (nulls[ip->dst] || !datum_bool(regs[ip->dst]))
        JUMP_TO(ip->b);
    NEXT();
do_JUMP_UNLESS_NULL:
    if (!nulls[ip->dst])
        JUMP_TO(ip->b);
    NEXT();
do_AND_STEP:
    if (nulls[ip->dst])
        regs[ip->a] = 1;
    else if (!datum_bool(regs[ip->dst]))
        JUMP_TO(ip->b);
    NEXT();
do_OR_STEP:
    if (nulls[ip->dst])
        regs[ip->a] = 1;
    else if (datum_bool(regs[ip->dst]))
        JUMP_TO(ip->b);
    NEXT();
do_AND_OR_LAST:
    nulls[ip->dst] = regs[ip->a] != 0;
    regs[ip->dst] = ip->flag;
    NEXT();
do_NOT:
    nulls[ip->dst] = nulls[ip->a];
    regs[ip->dst] = !datum_bool(regs[ip->a]);
    NEXT();
do_WORD_SIGNED:
    nulls[ip->dst] = nulls[ip->a];
    regs[ip->dst] = datum_of_i32((int32_t)regs[ip->a]);
    NEXT();
do_WORD_UNSIGNED:
    nulls[ip->dst] = nulls[ip->a];
    regs[ip->dst] = (uint32_t)regs[ip->a];
    NEXT();
do_IS_NULL : {
    bool null = nulls[ip->a];
    nulls[ip->dst] = false;
    regs[ip->dst] = null != (ip->flag != 0);
    NEXT();
}
do_IS_NULL_ROW : {
    bool result = !ip->flag;
    if (!nulls[ip->a])
        TRY(is_null_row(e, regs[ip->a], ip->flag != 0, &result));
    nulls[ip->dst] = false;
    regs[ip->dst] = result;
    NEXT();
}
do_IS_BOOL : {
    bool null = nulls[ip->a];
    bool value = datum_bool(regs[ip->a]);
    bool result = ip->flag2 == 'u' ? null : !null && value == (ip->flag2 == 't');
    nulls[ip->dst] = false;
    regs[ip->dst] = result != (ip->flag != 0);
    NEXT();
}
    BINARY(do_INT_EQ, x == y)
    BINARY(do_INT_NE, x != y)
    BINARY(do_INT_LT, x < y)
    BINARY(do_INT_LE, x <= y)
    BINARY(do_INT_GT, x > y)
    BINARY(do_INT_GE, x >= y)
    ARITHMETIC(do_INT4_ADD, int32_t, datum_i32, datum_of_i32, ckd_add_i32, int4_overflow)
    ARITHMETIC(do_INT4_SUB, int32_t, datum_i32, datum_of_i32, ckd_sub_i32, int4_overflow)
    ARITHMETIC(do_INT4_MUL, int32_t, datum_i32, datum_of_i32, ckd_mul_i32, int4_overflow)
    ARITHMETIC(do_INT8_ADD, int64_t, datum_i64, datum_of_i64, ckd_add_i64, int8_overflow)
    ARITHMETIC(do_INT8_SUB, int64_t, datum_i64, datum_of_i64, ckd_sub_i64, int8_overflow)
    ARITHMETIC(do_INT8_MUL, int64_t, datum_i64, datum_of_i64, ckd_mul_i64, int8_overflow)
do_TEXT_EQ : {
    bool null = nulls[ip->a] | nulls[ip->b];
    nulls[ip->dst] = null;
    if (!null)
        regs[ip->dst] = text_equal(regs[ip->a], regs[ip->b]);
    NEXT();
}
do_TEXT_NE : {
    bool null = nulls[ip->a] | nulls[ip->b];
    nulls[ip->dst] = null;
    if (!null)
        regs[ip->dst] = !text_equal(regs[ip->a], regs[ip->b]);
    NEXT();
}
do_CALL_STRICT:
    for (uint32_t i = 2; i < ip->site->arg_count; i++)
        if (nulls[ip->a + i]) {
            nulls[ip->dst] = true;
            NEXT();
        }
    /* fall through */
do_CALL_STRICT2:
    if (nulls[ip->a + 1]) {
        nulls[ip->dst] = true;
        NEXT();
    }
    /* fall through */
do_CALL_STRICT1:
    if (nulls[ip->a]) {
        nulls[ip->dst] = true;
        NEXT();
    }
    /* fall through */
do_CALL:
    TRY(call_run(e, ip->site, states, &regs[ip->a], &nulls[ip->a], &regs[ip->dst],
                 &nulls[ip->dst]));
    NEXT();
do_CALL_SUSPENDS:
    TRY(call_suspending_wait(e, ip->site, states, &regs[ip->a], &nulls[ip->a], &regs[ip->dst],
                             &nulls[ip->dst]));
    NEXT();
do_NULLIF:
    nulls[ip->dst] = nulls[ip->a] || (!nulls[ip->b] && datum_bool(regs[ip->b]));
    regs[ip->dst] = regs[ip->a];
    NEXT();
do_DISTINCT_NULLS:
    if (nulls[ip->a] || nulls[ip->a + 1]) {
        bool both = nulls[ip->a] && nulls[ip->a + 1];
        nulls[ip->dst] = false;
        regs[ip->dst] = both == (ip->flag != 0);
        JUMP_TO(ip->b);
    }
    NEXT();
do_MIN_MAX:
    if (!nulls[ip->a]) {
        if (nulls[ip->dst]) {
            regs[ip->dst] = regs[ip->a];
            nulls[ip->dst] = false;
        } else {
            int order = ip->type->compare(regs[ip->a], regs[ip->dst]);
            if (ip->flag ? order < 0 : order > 0)
                regs[ip->dst] = regs[ip->a];
        }
    }
    NEXT();
do_ANY_ALL : {
    datum value = 0;
    bool null = false;
    TRY(any_all_wait(e, ip->site, states, &regs[ip->a], &nulls[ip->a], &value, &null));
    regs[ip->dst] = value;
    nulls[ip->dst] = null;
    NEXT();
}
do_ARRAY : {
    datum value = 0;
    TRY(make_array(e, ip->site, &regs[ip->a], &nulls[ip->a], &value));
    regs[ip->dst] = value;
    nulls[ip->dst] = false;
    NEXT();
}
do_SUBSCRIPT : {
    datum value = 0;
    bool null = true;
    TRY(subscript(e, ip->site, &regs[ip->a], &nulls[ip->a], &value, &null));
    regs[ip->dst] = value;
    nulls[ip->dst] = null;
    NEXT();
}
do_ROW : {
    datum value = 0;
    struct record_view row = {.count = ip->site->arg_count,
                              .types = ip->site->arg_types,
                              .values = &regs[ip->a],
                              .nulls = &nulls[ip->a]};
    TRY(record_make(e->mem, &row, &value));
    regs[ip->dst] = value;
    nulls[ip->dst] = false;
    NEXT();
}
do_IO_CAST:
    if (!nulls[ip->dst])
        TRY(io_cast(e, ip->site, regs[ip->dst], &regs[ip->dst]));
    NEXT();
do_ARRAY_CAST:
    if (!nulls[ip->dst])
        TRY(array_cast(e, ip->site, states, regs[ip->dst], &regs[ip->dst]));
    NEXT();
do_TYPMOD:
    if (!nulls[ip->dst])
        TRY(apply_typmod(e, ip->site, ip->flag != 0, regs[ip->dst], &regs[ip->dst]));
    NEXT();
do_SQL_VALUE:
    TRY(sql_value(e, ip->site, (enum sql_value)ip->flag, &regs[ip->dst], &nulls[ip->dst]));
    NEXT();
do_SUBPLAN:
    TRY(call_subplan_wait(e, ip->a, &regs[ip->dst], &nulls[ip->dst]));
    NEXT();
do_NEXTVAL:
    TRY(call_nextval_wait(e, ip->a, ip->site->result_type, &regs[ip->dst]));
    nulls[ip->dst] = false;
    NEXT();
}

SUSPENDS err_t expr_eval_wait(const struct program *p, struct eval *e, datum *out, bool *is_null)
{
    /* The commonest programs are one input column, one constant or one parameter. */
    if (p->count == 2 && p->code[0].op == OP_INPUT) {
        const struct slot *in = e->inputs[p->code[0].a];
        ASSERT(in != NULL && p->code[0].b < in->count);
        *out = in->values[p->code[0].b];
        *is_null = in->nulls[p->code[0].b];
        return ERR_OK;
    }
    if (LIKELY(p->register_count <= STACK_REGISTERS)) {
        datum regs[STACK_REGISTERS];
        bool nulls[STACK_REGISTERS];
        TRY(run_wait(p, e, regs, nulls));
        *out = regs[0];
        *is_null = nulls[0];
        return ERR_OK;
    }
    datum *regs = arena_alloc(e->mem, sizeof(datum) * p->register_count);
    bool *nulls = arena_alloc(e->mem, p->register_count);
    TRY(run_wait(p, e, regs, nulls));
    *out = regs[0];
    *is_null = nulls[0];
    return ERR_OK;
}

SUSPENDS err_t expr_eval_bool_wait(const struct program *p, struct eval *e, bool *out)
{
    datum value = 0;
    bool is_null = true;
    TRY(expr_eval_wait(p, e, &value, &is_null));
    *out = !is_null && datum_bool(value);
    return ERR_OK;
}

SUSPENDS err_t expr_eval_list_wait(const struct program *p, struct eval *e, datum *values,
                                   bool *nulls)
{
    if (p->register_count == p->output_count)
        return run_wait(p, e, values, nulls);
    datum stack_regs[STACK_REGISTERS];
    bool stack_nulls[STACK_REGISTERS];
    datum *regs = stack_regs;
    bool *reg_nulls = stack_nulls;
    if (p->register_count > STACK_REGISTERS) {
        regs = arena_alloc(e->mem, sizeof(datum) * p->register_count);
        reg_nulls = arena_alloc(e->mem, p->register_count);
    }
    TRY(run_wait(p, e, regs, reg_nulls));
    memcpy(values, regs, sizeof(datum) * p->output_count);
    memcpy(nulls, reg_nulls, p->output_count);
    return ERR_OK;
}
