/*
 * Polymorphic functions: whether actual types fit declared any* types together, and what those then
 * stand for. Two independent families: anyelement and friends must agree exactly, anycompatible and
 * friends are brought to one common type.
 */
#include "sql/analyze/analyze_priv.h"

struct range_type {
    oid range;
    oid multirange;
    oid subtype;
};
static const struct range_type range_types[] = {
    {TYPE_INT4RANGE, TYPE_INT4MULTIRANGE, TYPE_INT4},
    {TYPE_NUMRANGE, TYPE_NUMMULTIRANGE, TYPE_NUMERIC},
    {TYPE_TSRANGE, TYPE_TSMULTIRANGE, TYPE_TIMESTAMP},
    {TYPE_TSTZRANGE, TYPE_TSTZMULTIRANGE, TYPE_TIMESTAMPTZ},
    {TYPE_DATERANGE, TYPE_DATEMULTIRANGE, TYPE_DATE},
    {TYPE_INT8RANGE, TYPE_INT8MULTIRANGE, TYPE_INT8},
};

static const struct range_type *range_of(oid type, bool multi)
{
    for (size_t i = 0; i < ARRAY_LEN(range_types); i++) {
        if ((multi ? range_types[i].multirange : range_types[i].range) == type)
            return &range_types[i];
    }
    return NULL;
}

/* What has been learnt about one family. */
struct generic_types {
    oid element;
    oid array;
    oid range;
    oid multirange;
};

static bool learn(oid *slot, oid type)
{
    if (*slot != OID_NONE && *slot != type)
        return false;
    *slot = type;
    return true;
}

/* Everything that follows from the containers must agree with the element. */
static bool generic_settle(struct generic_types *g)
{
    if (g->array != OID_NONE && g->array != TYPE_ANYARRAY) {
        oid element = type_element(g->array);
        if (element == OID_NONE || !learn(&g->element, element))
            return false;
    }
    if (g->multirange != OID_NONE) {
        const struct range_type *r = range_of(g->multirange, true);
        if (!r || !learn(&g->range, r->range))
            return false;
    }
    if (g->range != OID_NONE) {
        const struct range_type *r = range_of(g->range, false);
        if (!r || !learn(&g->element, r->subtype))
            return false;
        g->multirange = r->multirange;
    }
    return true;
}

static oid generic_slot_of(oid declared, struct generic_types *g, oid **slot)
{
    switch (declared) {
    case TYPE_ANYELEMENT:
    case TYPE_ANYNONARRAY:
    case TYPE_ANYENUM:
        *slot = &g->element;
        break;
    case TYPE_ANYARRAY:
        *slot = &g->array;
        break;
    case TYPE_ANYRANGE:
        *slot = &g->range;
        break;
    case TYPE_ANYMULTIRANGE:
        *slot = &g->multirange;
        break;
    default:
        *slot = NULL;
        return OID_NONE;
    }
    return declared;
}

static bool is_compatible_family(oid declared)
{
    return declared == TYPE_ANYCOMPATIBLE || declared == TYPE_ANYCOMPATIBLEARRAY ||
           declared == TYPE_ANYCOMPATIBLENONARRAY || declared == TYPE_ANYCOMPATIBLERANGE ||
           declared == TYPE_ANYCOMPATIBLEMULTIRANGE;
}

/* The common type of the anycompatible arguments; 0 when they have none, unknown when all are. */
static oid compatible_type(const oid *actual, const oid *declared, uint32_t count)
{
    oid chosen = TYPE_UNKNOWN;
    for (uint32_t i = 0; i < count; i++) {
        oid next = OID_NONE;
        if (declared[i] == TYPE_ANYCOMPATIBLE || declared[i] == TYPE_ANYCOMPATIBLENONARRAY)
            next = actual[i];
        else if (declared[i] == TYPE_ANYCOMPATIBLEARRAY && actual[i] != TYPE_UNKNOWN)
            next = type_element(actual[i]);
        else if (declared[i] == TYPE_ANYCOMPATIBLEARRAY)
            next = TYPE_UNKNOWN;
        else
            continue;
        if (next == OID_NONE)
            return OID_NONE;
        if (next == TYPE_UNKNOWN || next == chosen)
            continue;
        if (chosen == TYPE_UNKNOWN) {
            chosen = next;
            continue;
        }
        if (type_category(next) != type_category(chosen))
            return OID_NONE;
        bool forth = coerce_is_possible(1, &chosen, &next, COERCE_BY_CONTEXT);
        bool back = coerce_is_possible(1, &next, &chosen, COERCE_BY_CONTEXT);
        if (!type_is_preferred(chosen) && forth && !back)
            chosen = next;
        else if (!back)
            return OID_NONE;
    }
    return chosen;
}

bool coerce_check_generic(const oid *actual, const oid *declared, uint32_t count)
{
    struct generic_types g = {0};
    bool has_compatible = false;
    bool non_array = false;
    bool is_enum = false;
    bool compatible_non_array = false;
    for (uint32_t i = 0; i < count; i++) {
        oid *slot;
        if (is_compatible_family(declared[i])) {
            has_compatible = true;
            compatible_non_array |= declared[i] == TYPE_ANYCOMPATIBLENONARRAY;
            if (declared[i] == TYPE_ANYCOMPATIBLERANGE && actual[i] != TYPE_UNKNOWN &&
                !range_of(actual[i], false))
                return false;
            if (declared[i] == TYPE_ANYCOMPATIBLEMULTIRANGE && actual[i] != TYPE_UNKNOWN &&
                !range_of(actual[i], true))
                return false;
            continue;
        }
        if (generic_slot_of(declared[i], &g, &slot) == OID_NONE)
            continue;
        non_array |= declared[i] == TYPE_ANYNONARRAY;
        is_enum |= declared[i] == TYPE_ANYENUM;
        if (actual[i] == TYPE_UNKNOWN)
            continue;
        if (!learn(slot, actual[i]))
            return false;
    }
    if (!generic_settle(&g))
        return false;
    if (non_array && g.element != OID_NONE && type_element(g.element) != OID_NONE)
        return false;
    if (is_enum && g.element != OID_NONE && type_category(g.element) != 'E')
        return false;
    if (has_compatible) {
        oid common = compatible_type(actual, declared, count);
        if (common == OID_NONE)
            return false;
        if (compatible_non_array && type_element(common) != OID_NONE)
            return false;
    }
    return true;
}

static err_t generic_mismatch(const char *declared, const char *one, const char *other)
{
    err_t e =
        err_raise(ERR_DATATYPE_MISMATCH, "arguments declared \"%s\" are not all alike", declared);
    err_detail("%s versus %s", one, other);
    return e;
}

static err_t generic_undetermined(void)
{
    return err_raise(ERR_DATATYPE_MISMATCH,
                     "could not determine polymorphic type because input has type unknown");
}

static err_t resolve_array(const struct analysis *a, oid element, oid *out)
{
    oid array = type_array(element);
    if (array == OID_NONE)
        return err_raise(ERR_UNDEFINED_OBJECT, "could not find array type for data type %s",
                         analyze_type_text(a, element));
    *out = array;
    return ERR_OK;
}

static err_t resolve_declared(const struct analysis *a, const struct generic_types *g, oid common,
                              oid *declared)
{
    switch (*declared) {
    case TYPE_ANYELEMENT:
    case TYPE_ANYNONARRAY:
    case TYPE_ANYENUM:
        if (g->element == OID_NONE)
            return generic_undetermined();
        *declared = g->element;
        return ERR_OK;
    case TYPE_ANYARRAY:
        if (g->array != OID_NONE) {
            *declared = g->array;
            return ERR_OK;
        }
        if (g->element == OID_NONE)
            return generic_undetermined();
        return resolve_array(a, g->element, declared);
    case TYPE_ANYRANGE:
        if (g->range == OID_NONE)
            return generic_undetermined();
        *declared = g->range;
        return ERR_OK;
    case TYPE_ANYMULTIRANGE:
        if (g->multirange == OID_NONE)
            return generic_undetermined();
        *declared = g->multirange;
        return ERR_OK;
    case TYPE_ANYCOMPATIBLE:
    case TYPE_ANYCOMPATIBLENONARRAY:
        *declared = common;
        return ERR_OK;
    case TYPE_ANYCOMPATIBLEARRAY:
        return resolve_array(a, common, declared);
    case TYPE_ANYCOMPATIBLERANGE:
    case TYPE_ANYCOMPATIBLEMULTIRANGE:
        return err_not_built("range types are not supported yet");
    default:
        return ERR_OK;
    }
}

err_t coerce_enforce_generic(struct scope *s, const oid *actual, oid *declared, uint32_t count,
                             oid result, bool allow_poly, oid *out)
{
    const struct analysis *a = s->a;
    struct generic_types g = {0};
    bool any_generic = type_is_polymorphic(result);
    bool any_compatible = is_compatible_family(result);
    for (uint32_t i = 0; i < count; i++) {
        oid *slot;
        any_generic |= type_is_polymorphic(declared[i]);
        any_compatible |= is_compatible_family(declared[i]);
        if (generic_slot_of(declared[i], &g, &slot) == OID_NONE || actual[i] == TYPE_UNKNOWN)
            continue;
        if (allow_poly && actual[i] == declared[i])
            continue;
        oid before = *slot;
        if (!learn(slot, actual[i]))
            return generic_mismatch(type_find(declared[i])->name, analyze_type_text(a, before),
                                    analyze_type_text(a, actual[i]));
    }
    *out = result;
    if (!any_generic)
        return ERR_OK;
    oid common = OID_NONE;
    if (any_compatible) {
        common = compatible_type(actual, declared, count);
        if (common == OID_NONE)
            return generic_mismatch("anycompatible", "the arguments", "each other");
        if (common == TYPE_UNKNOWN)
            common = TYPE_TEXT;
    }
    if (g.array != OID_NONE && g.array != TYPE_ANYARRAY && type_element(g.array) == OID_NONE)
        return err_raise(ERR_DATATYPE_MISMATCH, "argument declared %s is not an array but type %s",
                         "anyarray", analyze_type_text(a, g.array));
    if (!generic_settle(&g)) {
        err_t e = err_raise(ERR_DATATYPE_MISMATCH,
                            "argument declared %s is not consistent with argument declared %s",
                            "anyarray", "anyelement");
        err_detail("%s versus %s", analyze_type_text(a, g.array), analyze_type_text(a, g.element));
        return e;
    }
    for (uint32_t i = 0; i < count; i++)
        TRY(resolve_declared(a, &g, common, &declared[i]));
    return resolve_declared(a, &g, common, out);
}
