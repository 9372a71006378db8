/*
 * Constant folding at plan time: subtrees of constants under immutable operations are evaluated
 * once; AND and OR lose their constant arms; strict immutable calls of NULL become NULL. A subtree
 * whose evaluation fails is left as it is, so that the error appears only if it is ever reached.
 */
#include "core/core.h"
#include "sql/expr/program_priv.h"

struct folder {
    const struct session_env *env;
    struct arena *scratch;
};

/* Text output and input of these types depend on no setting. */
static bool is_plain_io(oid type)
{
    switch (type) {
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_NUMERIC:
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_OID:
    case TYPE_UUID:
    case TYPE_UNKNOWN:
        return true;
    default:
        return false;
    }
}

/* Whether the node itself may be evaluated once its arguments are constants. */
static bool is_foldable_node(const struct expr *e)
{
    switch (e->kind) {
    case EXPR_CALL:
        return e->func != NULL && e->func->volatility == 'i' && !e->func->returns_set &&
               e->func->kind == 'f' && e->func->fn != NULL && !e->func->suspends;
    case EXPR_NULLIF:
    case EXPR_DISTINCT:
    case EXPR_ANY_ALL:
    case EXPR_ARRAY_CAST:
        return e->func != NULL && e->func->volatility == 'i' && e->func->fn != NULL &&
               !e->func->suspends;
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
    case EXPR_IS_NULL:
    case EXPR_IS_BOOL:
    case EXPR_COALESCE:
    case EXPR_MIN_MAX:
    case EXPR_ARRAY:
    case EXPR_SUBSCRIPT:
    case EXPR_RELABEL:
    case EXPR_TYPMOD:
        return true;
    case EXPR_IO_CAST:
        return is_plain_io(e->type) && is_plain_io(e->args[0]->type);
    default:
        return false;
    }
}

static bool is_foldable(const struct expr *e)
{
    if (e == NULL)
        return false;
    if (e->kind == EXPR_CONST)
        return true;
    if (fiber_check_stack() != ERR_OK || !is_foldable_node(e))
        return false;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (!is_foldable(e->args[i]))
            return false;
    return true;
}

/* Nothing immutable waits, so this runs where no waiting is allowed. */
static err_t evaluate(const struct program *p, struct eval *e, datum *value,
                      bool *is_null) NO_SUSPEND_ANALYSIS;
static err_t evaluate(const struct program *p, struct eval *e, datum *value, bool *is_null)
{
    return expr_eval_wait(p, e, value, is_null);
}

/* Where the text of a constant expression begins. */
static int32_t first_location(const struct expr *e)
{
    int32_t first = e->location;
    if (e->kind != EXPR_CALL && e->kind != EXPR_RELABEL && e->kind != EXPR_IO_CAST &&
        e->kind != EXPR_ARRAY_CAST && e->kind != EXPR_TYPMOD)
        return first;
    if (fiber_stack_left() < 8192)
        return first;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        int32_t at = first_location(e->args[i]);
        if (at >= 0 && (first < 0 || at < first))
            first = at;
    }
    return first;
}

static err_t fold_constant(struct arena *mem, struct folder *f, const struct expr *e,
                           struct expr **out)
{
    struct program *p = NULL;
    struct eval eval = {.env = f->env, .mem = f->scratch, .state_mem = f->scratch};
    datum value = 0;
    bool is_null = true;
    if (expr_compile(f->scratch, e, &p) != ERR_OK || evaluate(p, &eval, &value, &is_null) != ERR_OK)
        return ERR_OK;
    const struct type_info *type = NULL;
    TRY(type_require(e->type, &type));
    if (!is_null)
        value = datum_copy(mem, value, type->by_value);
    *out = expr_const(mem, e->type, e->typmod, value, is_null);
    (*out)->collation = e->collation;
    (*out)->location = first_location(e);
    return ERR_OK;
}

static err_t fold(struct arena *mem, const struct expr *e, void *ctx, struct expr **out);

static err_t fold_and_or(struct arena *mem, struct folder *f, const struct expr *e,
                         struct expr **out)
{
    bool is_and = e->kind == EXPR_AND;
    struct expr **args = ARENA_ARRAY(mem, struct expr *, e->arg_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        struct expr *arg = NULL;
        TRY(expr_rewrite(mem, e->args[i], fold, f, &arg));
        if (arg->kind == EXPR_CONST && !arg->constant.is_null) {
            if (datum_bool(arg->constant.value) == is_and)
                continue;
            *out = arg;
            return ERR_OK;
        }
        args[count++] = arg;
    }
    if (count == 0) {
        *out = expr_const(mem, TYPE_BOOL, -1, datum_of_bool(is_and), false);
        return ERR_OK;
    }
    if (count == 1) {
        *out = args[0];
        return ERR_OK;
    }
    struct expr *copy = ARENA_NEW(mem, struct expr);
    *copy = *e;
    copy->args = args;
    copy->arg_count = count;
    *out = copy;
    return ERR_OK;
}

static err_t fold(struct arena *mem, const struct expr *e, void *ctx, struct expr **out)
{
    struct folder *f = ctx;
    TRY(fiber_check_stack());
    if (e->kind == EXPR_CONST)
        return ERR_OK;
    if (is_foldable(e))
        return fold_constant(mem, f, e, out);
    if (e->kind == EXPR_AND || e->kind == EXPR_OR)
        return fold_and_or(mem, f, e, out);
    if (e->kind == EXPR_CALL && e->func != NULL && e->func->strict && is_foldable_node(e))
        for (uint32_t i = 0; i < e->arg_count; i++)
            if (e->args[i]->kind == EXPR_CONST && e->args[i]->constant.is_null) {
                *out = expr_const(mem, e->type, e->typmod, 0, true);
                return ERR_OK;
            }
    return ERR_OK;
}

SUSPENDS err_t expr_fold_wait(struct arena *mem, const struct session_env *env,
                              const struct expr *e, struct expr **out)
{
    if (e == NULL) {
        *out = NULL;
        return ERR_OK;
    }
    struct folder f = {.env = env, .scratch = arena_new()};
    err_t err = expr_rewrite(mem, e, fold, &f, out);
    arena_free(f.scratch);
    return err;
}
