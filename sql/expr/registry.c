/*
 * Lookups over the generated tables of functions, operators, casts, aggregates and operator classes
 * (generated/sql/builtin_rows.h). By OID: one index word per OID. By name: binary search over
 * pointers sorted by name. All data is constant, so any core may ask.
 */
#include "sql/expr/call.h"

#include "sql/builtin_rows.h"

const struct func *func_find(oid function)
{
    if (function > func_oid_max || func_by_oid[function] == 0)
        return NULL;
    return &func_rows[func_by_oid[function] - 1];
}

const struct func *func_at(uint32_t index)
{
    return index < func_row_count ? &func_rows[index] : NULL;
}

const struct func *const *func_find_name(const char *name, uint32_t *count)
{
    uint32_t low = 0;
    uint32_t high = func_row_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (strcmp(func_by_name[mid]->name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    uint32_t end = low;
    while (end < func_row_count && strcmp(func_by_name[end]->name, name) == 0)
        end++;
    *count = end - low;
    return end == low ? NULL : &func_by_name[low];
}

const struct operator_info *operator_find(oid op)
{
    if (op > operator_oid_max || operator_by_oid[op] == 0)
        return NULL;
    return &operator_rows[operator_by_oid[op] - 1];
}

const struct operator_info *operator_at(uint32_t index)
{
    return index < operator_row_count ? &operator_rows[index] : NULL;
}

const struct operator_info *const *operator_find_name(const char *name, uint32_t *count)
{
    uint32_t low = 0;
    uint32_t high = operator_row_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (strcmp(operator_by_name[mid]->name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    uint32_t end = low;
    while (end < operator_row_count && strcmp(operator_by_name[end]->name, name) == 0)
        end++;
    *count = end - low;
    return end == low ? NULL : &operator_by_name[low];
}

int operator_strategy(oid op)
{
    if (op > operator_oid_max || operator_by_oid[op] == 0)
        return 0;
    return operator_strategies[operator_by_oid[op] - 1];
}

const struct opclass_info *opclass_at(uint32_t index)
{
    return index < opclass_row_count ? &opclass_rows[index] : NULL;
}

const struct opclass_info *opclass_find(oid opclass)
{
    uint32_t low = 0;
    uint32_t high = opclass_row_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (opclass_rows[mid].oid == opclass)
            return &opclass_rows[mid];
        if (opclass_rows[mid].oid < opclass)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static const struct opclass_info *opclass_default_exact(oid am, oid type)
{
    for (uint32_t i = 0; i < opclass_row_count; i++)
        if (opclass_rows[i].am == am && opclass_rows[i].type == type && opclass_rows[i].is_default)
            return &opclass_rows[i];
    return NULL;
}

const struct opclass_info *opclass_default(oid am, oid type)
{
    const struct opclass_info *c = opclass_default_exact(am, type);
    if (c != NULL)
        return c;
    const struct type_info *t = type_find(type);
    if (type == TYPE_VARCHAR || type == TYPE_UNKNOWN)
        return opclass_default_exact(am, TYPE_TEXT);
    if (t == NULL)
        return opclass_default_exact(am, TYPE_RECORD);
    if (t->typtype == 'e')
        return opclass_default_exact(am, TYPE_ANYENUM);
    if (t->typtype == 'c')
        return opclass_default_exact(am, TYPE_RECORD);
    if (t->typtype == 'r')
        return opclass_default_exact(am, TYPE_ANYRANGE);
    if (t->typtype == 'm')
        return opclass_default_exact(am, TYPE_ANYMULTIRANGE);
    if (t->category == 'A')
        return opclass_default_exact(am, TYPE_ANYARRAY);
    /* regclass, regtype and the like order as oid does. */
    if (t->by_value && t->typlen == 4 && t->category == 'N')
        return opclass_default_exact(am, TYPE_OID);
    return NULL;
}

oid operator_for_strategy(oid am, oid left, oid right, int strategy)
{
    const struct opclass_info *c = opclass_default(am, left);
    if (c == NULL)
        return OID_NONE;
    oid stored_left = left == right || c->type != left ? c->type : left;
    oid stored_right = left == right ? c->type : right;
    for (uint32_t i = 0; i < amop_row_count; i++) {
        const struct amop_row *a = &amop_rows[i];
        if (a->am == am && a->family == c->family && a->strategy == strategy &&
            a->left == stored_left && a->right == stored_right)
            return a->op;
    }
    return OID_NONE;
}

const struct cast_info *cast_at(uint32_t index)
{
    return index < cast_row_count ? &cast_rows[index] : NULL;
}

const struct cast_info *cast_find(oid source, oid target)
{
    uint32_t low = 0;
    uint32_t high = cast_row_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct cast_info *c = &cast_rows[mid];
        if (c->source == source && c->target == target)
            return c;
        if (c->source < source || (c->source == source && c->target < target))
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct aggregate_info *aggregate_info_find(oid function)
{
    uint32_t low = 0;
    uint32_t high = aggregate_row_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (aggregate_rows[mid].function == function)
            return &aggregate_rows[mid];
        if (aggregate_rows[mid].function < function)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
