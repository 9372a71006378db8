/*
 * Compiling analysed expressions into flat programs (program_priv.h).
 *
 * Each expression is compiled into one destination register; temporaries lie above `top`, so a
 * register is free again as soon as the value that used it was consumed. Integer comparisons and
 * arithmetic and text equality become instructions of their own, picked by function oid; everything
 * else is a call.
 */
#include "core/core.h"
#include "sql/expr/program_priv.h"

enum { CODE_MAX = 1 << 24 };

struct compiler {
    struct arena *mem;
    struct program *p;
    uint32_t capacity;
    uint32_t case_register; /* value of the innermost simple CASE */
};

static struct instr *emit(struct compiler *c, enum program_op op, uint32_t dst)
{
    struct program *p = c->p;
    if (p->count == c->capacity) {
        uint32_t capacity = c->capacity * 2;
        struct instr *code = ARENA_ARRAY(c->mem, struct instr, capacity);
        memcpy(code, p->code, sizeof(*code) * p->count);
        p->code = code;
        c->capacity = capacity;
    }
    struct instr *i = &p->code[p->count++];
    *i = (struct instr){.op = (uint16_t)op, .dst = dst};
    return i;
}

static void use_register(struct compiler *c, uint32_t r)
{
    if (r >= c->p->register_count)
        c->p->register_count = r + 1;
}

/* Jumps whose target is not known yet are chained through b, UINT32_MAX ends. */
static void jump_chain(struct compiler *c, uint32_t *chain, struct instr *i)
{
    i->b = *chain;
    *chain = (uint32_t)(i - c->p->code);
}

static void jump_here(struct compiler *c, uint32_t chain)
{
    while (chain != UINT32_MAX) {
        uint32_t next = c->p->code[chain].b;
        c->p->code[chain].b = c->p->count;
        chain = next;
    }
}

static err_t compile(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top);

struct inline_function {
    const char *name;
    enum program_op op;
};

/* Found by prosrc name, which is as fixed as the oid and can be read. int2, int4 and int8 compare
 * alike because by-value datums are sign-extended. */
static const struct inline_function inline_functions[] = {
    {"int2eq", OP_INT_EQ},       {"int4eq", OP_INT_EQ},       {"int8eq", OP_INT_EQ},
    {"int24eq", OP_INT_EQ},      {"int42eq", OP_INT_EQ},      {"int48eq", OP_INT_EQ},
    {"int84eq", OP_INT_EQ},      {"int28eq", OP_INT_EQ},      {"int82eq", OP_INT_EQ},
    {"oideq", OP_INT_EQ},        {"booleq", OP_INT_EQ},       {"chareq", OP_INT_EQ},
    {"date_eq", OP_INT_EQ},      {"timestamp_eq", OP_INT_EQ}, {"int2ne", OP_INT_NE},
    {"int4ne", OP_INT_NE},       {"int8ne", OP_INT_NE},       {"int24ne", OP_INT_NE},
    {"int42ne", OP_INT_NE},      {"int48ne", OP_INT_NE},      {"int84ne", OP_INT_NE},
    {"int28ne", OP_INT_NE},      {"int82ne", OP_INT_NE},      {"oidne", OP_INT_NE},
    {"boolne", OP_INT_NE},       {"int2lt", OP_INT_LT},       {"int4lt", OP_INT_LT},
    {"int8lt", OP_INT_LT},       {"int24lt", OP_INT_LT},      {"int42lt", OP_INT_LT},
    {"int48lt", OP_INT_LT},      {"int84lt", OP_INT_LT},      {"int28lt", OP_INT_LT},
    {"int82lt", OP_INT_LT},      {"date_lt", OP_INT_LT},      {"timestamp_lt", OP_INT_LT},
    {"int2le", OP_INT_LE},       {"int4le", OP_INT_LE},       {"int8le", OP_INT_LE},
    {"int24le", OP_INT_LE},      {"int42le", OP_INT_LE},      {"int48le", OP_INT_LE},
    {"int84le", OP_INT_LE},      {"int28le", OP_INT_LE},      {"int82le", OP_INT_LE},
    {"date_le", OP_INT_LE},      {"timestamp_le", OP_INT_LE}, {"int2gt", OP_INT_GT},
    {"int4gt", OP_INT_GT},       {"int8gt", OP_INT_GT},       {"int24gt", OP_INT_GT},
    {"int42gt", OP_INT_GT},      {"int48gt", OP_INT_GT},      {"int84gt", OP_INT_GT},
    {"int28gt", OP_INT_GT},      {"int82gt", OP_INT_GT},      {"date_gt", OP_INT_GT},
    {"timestamp_gt", OP_INT_GT}, {"int2ge", OP_INT_GE},       {"int4ge", OP_INT_GE},
    {"int8ge", OP_INT_GE},       {"int24ge", OP_INT_GE},      {"int42ge", OP_INT_GE},
    {"int48ge", OP_INT_GE},      {"int84ge", OP_INT_GE},      {"int28ge", OP_INT_GE},
    {"int82ge", OP_INT_GE},      {"date_ge", OP_INT_GE},      {"timestamp_ge", OP_INT_GE},
    {"int4pl", OP_INT4_ADD},     {"int4mi", OP_INT4_SUB},     {"int4mul", OP_INT4_MUL},
    {"int8pl", OP_INT8_ADD},     {"int8mi", OP_INT8_SUB},     {"int8mul", OP_INT8_MUL},
    {"int48pl", OP_INT8_ADD},    {"int48mi", OP_INT8_SUB},    {"int48mul", OP_INT8_MUL},
    {"int84pl", OP_INT8_ADD},    {"int84mi", OP_INT8_SUB},    {"int84mul", OP_INT8_MUL},
    {"texteq", OP_TEXT_EQ},      {"textne", OP_TEXT_NE},
};

static enum program_op inline_function_op(const struct func *f)
{
    if (f->arg_count != 2 || f->source == NULL || f->fn == NULL)
        return OP_END;
    for (size_t i = 0; i < ARRAY_LEN(inline_functions); i++)
        if (strcmp(inline_functions[i].name, f->source) == 0)
            return inline_functions[i].op;
    return OP_END;
}

static struct call_site *new_site(struct compiler *c, const struct expr *e, const struct func *func,
                                  uint32_t arg_count, struct expr *const *args)
{
    struct call_site *s = ARENA_NEW(c->mem, struct call_site);
    s->func = func;
    s->result_type = e->type;
    s->typmod = e->typmod;
    s->collation = e->collation;
    s->arg_count = arg_count;
    s->state_index = c->p->state_count++;
    oid *types = ARENA_ARRAY(c->mem, oid, arg_count + 1);
    for (uint32_t i = 0; i < arg_count; i++)
        types[i] = args[i] != NULL ? args[i]->type : OID_NONE;
    s->arg_types = types;
    c->p->uses_memory = true;
    return s;
}

static err_t check_function(const struct func *f)
{
    if (f == NULL)
        return err_raise(ERR_INTERNAL_ERROR, "expression without a function");
    if (f->returns_set)
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "set-valued function called in context that cannot accept a set");
    if (f->kind == 'a')
        return err_raise(ERR_GROUPING_ERROR,
                         "aggregate function called in a non-aggregate context");
    if (f->fn == NULL)
        return err_not_built("function %s is not supported yet", f->name);
    return ERR_OK;
}

/* A call whose arguments already are in registers first... */
static err_t emit_call(struct compiler *c, const struct expr *e, const struct func *f,
                       uint32_t arg_count, struct expr *const *args, uint32_t first, uint32_t dst)
{
    TRY(check_function(f));
    if (arg_count > CALL_ARGS_MAX)
        return err_raise(ERR_TOO_MANY_ARGUMENTS, "cannot pass more than %d arguments to a function",
                         CALL_ARGS_MAX);
    enum program_op op = arg_count == 2 ? inline_function_op(f) : OP_END;
    if (op != OP_END) {
        struct instr *i = emit(c, op, dst);
        i->a = first;
        i->b = first + 1;
        return ERR_OK;
    }
    struct call_site *s = new_site(c, e, f, arg_count, args);
    if (f->suspends)
        op = OP_CALL_SUSPENDS;
    else if (!f->strict || arg_count == 0)
        op = OP_CALL;
    else
        op = arg_count == 1 ? OP_CALL_STRICT1 : arg_count == 2 ? OP_CALL_STRICT2 : OP_CALL_STRICT;
    struct instr *i = emit(c, op, dst);
    i->a = first;
    i->site = s;
    return ERR_OK;
}

/* Arguments into registers first, first + 1, ... */
static err_t compile_args(struct compiler *c, struct expr *const *args, uint32_t count,
                          uint32_t first)
{
    for (uint32_t i = 0; i < count; i++) {
        use_register(c, first + i);
        TRY(compile(c, args[i], first + i, first + i + 1));
    }
    return ERR_OK;
}

static err_t compile_and_or(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    uint32_t any_null = top;
    uint32_t end = UINT32_MAX;
    use_register(c, any_null);
    struct instr *init = emit(c, OP_CONST, any_null);
    init->value = 0;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(compile(c, e->args[i], dst, top + 1));
        struct instr *step = emit(c, e->kind == EXPR_AND ? OP_AND_STEP : OP_OR_STEP, dst);
        step->a = any_null;
        jump_chain(c, &end, step);
    }
    struct instr *last = emit(c, OP_AND_OR_LAST, dst);
    last->a = any_null;
    last->flag = e->kind == EXPR_AND;
    jump_here(c, end);
    return ERR_OK;
}

static err_t compile_case(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    uint32_t outer_case = c->case_register;
    if (e->cases.operand != NULL) {
        use_register(c, top);
        TRY(compile(c, e->cases.operand, top, top + 1));
    }
    uint32_t mine = e->cases.operand != NULL ? top++ : outer_case;
    uint32_t end = UINT32_MAX;
    for (uint32_t i = 0; i < e->cases.when_count; i++) {
        const struct case_when *w = &e->cases.whens[i];
        uint32_t next = UINT32_MAX;
        use_register(c, top);
        c->case_register = mine;
        TRY(compile(c, w->condition, top, top + 1));
        c->case_register = outer_case;
        struct instr *skip = emit(c, OP_JUMP_UNLESS_TRUE, top);
        jump_chain(c, &next, skip);
        TRY(compile(c, w->result, dst, top));
        jump_chain(c, &end, emit(c, OP_JUMP, 0));
        jump_here(c, next);
    }
    if (e->cases.otherwise != NULL)
        TRY(compile(c, e->cases.otherwise, dst, top));
    else
        emit(c, OP_SET_NULL, dst);
    jump_here(c, end);
    return ERR_OK;
}

static err_t compile_nullif(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    TRY(compile_args(c, e->args, 2, top));
    use_register(c, top + 2);
    TRY(emit_call(c, e, e->func, 2, e->args, top, top + 2));
    struct instr *i = emit(c, OP_NULLIF, dst);
    i->a = top;
    i->b = top + 2;
    return ERR_OK;
}

static err_t compile_distinct(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    uint32_t end = UINT32_MAX;
    TRY(compile_args(c, e->args, 2, top));
    struct instr *nulls = emit(c, OP_DISTINCT_NULLS, dst);
    nulls->a = top;
    nulls->flag = e->negated;
    jump_chain(c, &end, nulls);
    TRY(emit_call(c, e, e->func, 2, e->args, top, dst));
    if (!e->negated)
        emit(c, OP_NOT, dst)->a = dst;
    jump_here(c, end);
    return ERR_OK;
}

static err_t compile_row_compare(struct compiler *c, const struct expr *e, uint32_t dst,
                                 uint32_t top)
{
    uint32_t columns = e->arg_count / 2;
    uint32_t end = UINT32_MAX;
    use_register(c, top + 2);
    for (uint32_t i = 0; i < columns; i++) {
        struct expr *pair[2] = {e->args[i], e->args[columns + i]};
        TRY(compile_args(c, pair, 2, top));
        if (i + 1 < columns) {
            uint32_t differ = UINT32_MAX;
            uint32_t same = UINT32_MAX;
            TRY(emit_call(c, e, e->row_compare.equal_funcs[i], 2, pair, top, top + 2));
            struct instr *j = emit(c, OP_JUMP_UNLESS_TRUE, top + 2);
            jump_chain(c, &differ, j);
            jump_chain(c, &same, emit(c, OP_JUMP, 0));
            jump_here(c, differ);
            TRY(emit_call(c, e, e->row_compare.funcs[i], 2, pair, top, dst));
            jump_chain(c, &end, emit(c, OP_JUMP, 0));
            jump_here(c, same);
        } else {
            TRY(emit_call(c, e, e->row_compare.funcs[i], 2, pair, top, dst));
        }
    }
    jump_here(c, end);
    return ERR_OK;
}

static bool is_int_family(oid type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

static err_t compile_any_all(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    TRY(check_function(e->func));
    TRY(compile_args(c, e->args, 2, top));
    struct call_site *s = new_site(c, e, e->func, 2, e->args);
    const struct type_info *array = NULL;
    TRY(type_require(e->args[1]->type, &array));
    oid *types = ARENA_ARRAY(c->mem, oid, 2);
    types[0] = e->args[0]->type;
    types[1] = array->element;
    s->arg_types = types;
    s->use_all = e->negated;
    s->is_stable_array = e->args[1]->kind == EXPR_CONST || e->args[1]->kind == EXPR_PARAM;
    TRY(type_require(array->element, &s->type));
    bool same = types[0] == types[1] || (is_int_family(types[0]) && is_int_family(types[1]));
    s->can_hash = s->is_stable_array && !s->use_all && same && s->type->hash != NULL &&
                  s->type->compare != NULL && e->oper_oid != OID_NONE &&
                  operator_strategy(e->oper_oid) == 3;
    struct instr *i = emit(c, OP_ANY_ALL, dst);
    i->a = top;
    i->site = s;
    return ERR_OK;
}

static err_t compile_array(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    TRY(compile_args(c, e->args, e->arg_count, top));
    struct call_site *s = new_site(c, e, NULL, e->arg_count, e->args);
    const struct type_info *array = NULL;
    TRY(type_require(e->type, &array));
    s->element = array->element;
    s->is_nested_array =
        e->arg_count > 0 && e->args[0]->type != array->element && e->args[0]->type == e->type;
    struct instr *i = emit(c, OP_ARRAY, dst);
    i->a = top;
    i->site = s;
    return ERR_OK;
}

static err_t compile_cast(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    TRY(compile(c, e->args[0], dst, top));
    struct call_site *s = new_site(c, e, e->func, 1, e->args);
    TRY(type_require(e->type, &s->type));
    TRY(type_require(e->args[0]->type, &s->source));
    enum program_op op = OP_IO_CAST;
    if (e->kind == EXPR_ARRAY_CAST) {
        TRY(check_function(e->func));
        op = OP_ARRAY_CAST;
    } else if (e->kind == EXPR_TYPMOD) {
        if (s->type->apply_typmod == NULL || e->typmod < 0)
            return ERR_OK;
        op = OP_TYPMOD;
    } else if (s->type->input == NULL || s->source->output == NULL) {
        return err_not_built("conversion from %s to %s is not supported yet", s->source->name,
                             s->type->name);
    }
    struct instr *i = emit(c, op, dst);
    i->a = dst;
    i->site = s;
    i->flag = !e->negated; /* explicit */
    return ERR_OK;
}

static err_t compile_min_max(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    const struct type_info *type = NULL;
    TRY(type_require(e->type, &type));
    if (type->compare == NULL)
        return err_raise(ERR_UNDEFINED_FUNCTION,
                         "could not identify a comparison function for type %s", type->name);
    /* The accumulator is a temporary: arguments may use dst. */
    use_register(c, top + 1);
    emit(c, OP_SET_NULL, top);
    for (uint32_t k = 0; k < e->arg_count; k++) {
        TRY(compile(c, e->args[k], top + 1, top + 2));
        struct instr *i = emit(c, OP_MIN_MAX, top);
        i->a = top + 1;
        i->flag = e->negated;
        i->type = type;
    }
    emit(c, OP_COPY, dst)->a = top;
    return ERR_OK;
}

static err_t compile_coalesce(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    uint32_t end = UINT32_MAX;
    for (uint32_t k = 0; k < e->arg_count; k++) {
        TRY(compile(c, e->args[k], dst, top));
        if (k + 1 < e->arg_count)
            jump_chain(c, &end, emit(c, OP_JUMP_UNLESS_NULL, dst));
    }
    jump_here(c, end);
    return ERR_OK;
}

static err_t compile_input(struct compiler *c, const struct expr *e, uint32_t dst)
{
    struct instr *i = emit(c, OP_INPUT, dst);
    i->a = e->input.slot;
    i->b = e->input.index;
    if (e->input.slot > 3)
        return err_raise(ERR_INTERNAL_ERROR, "input slot %u", e->input.slot);
    c->p->inputs_used |= 1u << e->input.slot;
    c->p->input_counts[e->input.slot] = MAX(c->p->input_counts[e->input.slot], e->input.index + 1);
    return ERR_OK;
}

static bool is_integer(oid type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

/* The same value under another type. Words of int4 are sign-extended, those of oid and its aliases
 * are not; among integers (the planner's keys) the word stays as it is. */
static err_t compile_relabel(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    oid from = e->args[0]->type;
    TRY(compile(c, e->args[0], dst, top));
    if (from == TYPE_INT4 && !is_integer(e->type))
        emit(c, OP_WORD_UNSIGNED, dst)->a = dst;
    else if (e->type == TYPE_INT4 && !is_integer(from))
        emit(c, OP_WORD_SIGNED, dst)->a = dst;
    return ERR_OK;
}

static err_t compile_simple_args(struct compiler *c, const struct expr *e, uint32_t dst,
                                 uint32_t top, enum program_op op)
{
    TRY(compile_args(c, e->args, e->arg_count, top));
    struct call_site *s = new_site(c, e, e->func, e->arg_count, e->args);
    if (op == OP_SUBSCRIPT) {
        TRY(type_require(e->args[0]->type, &s->source));
        TRY(type_require(e->type, &s->type));
        s->is_slice = e->op == 's';
        s->omitted = e->slice.omitted;
    }
    struct instr *i = emit(c, op, dst);
    i->a = top;
    i->site = s;
    return ERR_OK;
}

static err_t compile(struct compiler *c, const struct expr *e, uint32_t dst, uint32_t top)
{
    TRY(fiber_check_stack());
    if (c->p->count > CODE_MAX)
        return err_raise(ERR_STATEMENT_TOO_COMPLEX, "expression is too large");
    use_register(c, dst);
    if (e == NULL) {
        emit(c, OP_SET_NULL, dst);
        return ERR_OK;
    }
    struct instr *i;
    switch (e->kind) {
    case EXPR_CONST:
        i = emit(c, OP_CONST, dst);
        i->value = e->constant.value;
        i->flag = e->constant.is_null;
        return ERR_OK;
    case EXPR_PARAM:
        emit(c, OP_PARAM, dst)->a = e->param - 1;
        return ERR_OK;
    case EXPR_EXEC_PARAM:
        emit(c, OP_EXEC_PARAM, dst)->a = e->param;
        return ERR_OK;
    case EXPR_INPUT:
        return compile_input(c, e, dst);
    case EXPR_CALL:
        if (e->arg_count == 0) {
            return emit_call(c, e, e->func, 0, e->args, top, dst);
        }
        TRY(compile_args(c, e->args, e->arg_count, top));
        return emit_call(c, e, e->func, e->arg_count, e->args, top, dst);
    case EXPR_AND:
    case EXPR_OR:
        return compile_and_or(c, e, dst, top);
    case EXPR_NOT:
        TRY(compile(c, e->args[0], dst, top));
        emit(c, OP_NOT, dst)->a = dst;
        return ERR_OK;
    case EXPR_IS_NULL:
        TRY(compile(c, e->args[0], dst, top));
        i = emit(c, e->args[0]->kind == EXPR_ROW ? OP_IS_NULL_ROW : OP_IS_NULL, dst);
        i->a = dst;
        i->flag = e->negated;
        if (i->op == OP_IS_NULL_ROW)
            c->p->uses_memory = true;
        return ERR_OK;
    case EXPR_IS_BOOL:
        TRY(compile(c, e->args[0], dst, top));
        i = emit(c, OP_IS_BOOL, dst);
        i->a = dst;
        i->flag = e->negated;
        i->flag2 = e->op;
        return ERR_OK;
    case EXPR_CASE:
        return compile_case(c, e, dst, top);
    case EXPR_CASE_VALUE:
        if (c->case_register == UINT32_MAX)
            return err_raise(ERR_INTERNAL_ERROR, "CASE value outside of CASE");
        emit(c, OP_COPY, dst)->a = c->case_register;
        return ERR_OK;
    case EXPR_COALESCE:
        return compile_coalesce(c, e, dst, top);
    case EXPR_MIN_MAX:
        return compile_min_max(c, e, dst, top);
    case EXPR_NULLIF:
        return compile_nullif(c, e, dst, top);
    case EXPR_DISTINCT:
        return compile_distinct(c, e, dst, top);
    case EXPR_ANY_ALL:
        return compile_any_all(c, e, dst, top);
    case EXPR_ARRAY:
        return compile_array(c, e, dst, top);
    case EXPR_SUBSCRIPT:
        return compile_simple_args(c, e, dst, top, OP_SUBSCRIPT);
    case EXPR_ROW:
        return compile_simple_args(c, e, dst, top, OP_ROW);
    case EXPR_ROW_COMPARE:
        return compile_row_compare(c, e, dst, top);
    case EXPR_RELABEL:
        return compile_relabel(c, e, dst, top);
    case EXPR_IO_CAST:
    case EXPR_ARRAY_CAST:
    case EXPR_TYPMOD:
        return compile_cast(c, e, dst, top);
    case EXPR_SUBPLAN:
        emit(c, OP_SUBPLAN, dst)->a = e->subplan.index;
        c->p->uses_memory = true;
        /* It may read any column of the row at hand. */
        c->p->inputs_used |= 15;
        for (uint32_t k = 0; k < 4; k++)
            c->p->input_counts[k] = UINT32_MAX;
        return ERR_OK;
    case EXPR_SQL_VALUE: {
        struct call_site *s = new_site(c, e, NULL, 0, NULL);
        TRY(type_require(e->type, &s->type));
        i = emit(c, OP_SQL_VALUE, dst);
        i->flag = e->op;
        i->site = s;
        return ERR_OK;
    }
    case EXPR_NEXTVAL: {
        struct call_site *s = new_site(c, e, NULL, 0, NULL);
        i = emit(c, OP_NEXTVAL, dst);
        i->a = e->nextval.sequence;
        i->site = s;
        return ERR_OK;
    }
    case EXPR_AGGREGATE:
        return err_raise(ERR_GROUPING_ERROR, "aggregate functions are not allowed here");
    case EXPR_WINDOW:
        return err_not_built("window functions are not supported yet");
    case EXPR_GROUPING: /* the planner makes an expression over the set's number of it */
    case EXPR_COLUMN:
    case EXPR_SUBQUERY:
    case EXPR_DEFAULT:
        break;
    }
    return err_raise(ERR_INTERNAL_ERROR, "cannot compile expression of kind %d", (int)e->kind);
}

static void compiler_init(struct compiler *c, struct arena *mem, uint32_t outputs)
{
    *c = (struct compiler){.mem = mem, .capacity = 8 + 2 * outputs, .case_register = UINT32_MAX};
    c->p = ARENA_NEW(mem, struct program);
    c->p->code = ARENA_ARRAY(mem, struct instr, c->capacity);
    c->p->output_count = outputs;
    c->p->register_count = outputs;
}

err_t expr_compile(struct arena *mem, const struct expr *e, struct program **out)
{
    struct compiler c;
    compiler_init(&c, mem, 1);
    TRY(compile(&c, e, 0, 1));
    emit(&c, OP_END, 0);
    *out = c.p;
    return ERR_OK;
}

err_t expr_compile_list(struct arena *mem, struct expr *const *list, uint32_t count,
                        struct program **out)
{
    struct compiler c;
    compiler_init(&c, mem, count);
    for (uint32_t i = 0; i < count; i++)
        TRY(compile(&c, list[i], i, count));
    emit(&c, OP_END, 0);
    *out = c.p;
    return ERR_OK;
}

bool program_uses_memory(const struct program *p)
{
    return p != NULL && (p->uses_memory || p->register_count > 32);
}

uint32_t program_input_count(const struct program *p, uint32_t slot)
{
    ASSERT(slot < 4);
    return p == NULL ? 0 : p->input_counts[slot];
}
