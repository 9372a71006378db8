/*
 * Choosing among overloaded functions or operators when none fits exactly: PostgreSQL's rules of
 * the manual's chapter "Type Conversion", in its order. Inputs of unknown type are what most steps
 * are about.
 */
#include "sql/analyze/analyze_priv.h"

/* Keeps those that all inputs can be coerced to implicitly. */
struct candidate *candidates_match(struct candidate *list, const oid *types, uint32_t count,
                                   uint32_t *matches)
{
    struct candidate *kept = NULL;
    struct candidate **tail = &kept;
    *matches = 0;
    for (struct candidate *c = list; c; c = c->next) {
        if (coerce_is_possible(count, types, c->args, COERCE_BY_CONTEXT)) {
            *tail = c;
            tail = &c->next;
            ++*matches;
        }
    }
    *tail = NULL;
    return kept;
}

/* Keeps the candidates with the highest score. */
static struct candidate *keep_best(struct candidate *list,
                                   uint32_t (*score)(const struct candidate *c, const oid *types,
                                                     const char *categories, uint32_t count),
                                   const oid *types, const char *categories, uint32_t count)
{
    uint32_t best = 0;
    for (struct candidate *c = list; c; c = c->next) {
        uint32_t n = score(c, types, categories, count);
        best = MAX(best, n);
    }
    struct candidate *kept = NULL;
    struct candidate **tail = &kept;
    for (struct candidate *c = list; c;) {
        struct candidate *next = c->next;
        if (score(c, types, categories, count) == best) {
            *tail = c;
            tail = &c->next;
        }
        c = next;
    }
    *tail = NULL;
    return kept;
}

static uint32_t score_exact(const struct candidate *c, const oid *types, const char *categories,
                            uint32_t count)
{
    (void)categories;
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        n += types[i] != TYPE_UNKNOWN && c->args[i] == types[i];
    return n;
}

static uint32_t score_preferred(const struct candidate *c, const oid *types, const char *categories,
                                uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (types[i] == TYPE_UNKNOWN)
            continue;
        n += c->args[i] == types[i] ||
             (type_category(c->args[i]) == categories[i] && type_is_preferred(c->args[i]));
    }
    return n;
}

struct slot_choice {
    char category;
    bool preferred;
};

/* For one unknown input: the category all candidates agree on, or string when any takes it. */
static bool unknown_category(const struct candidate *list, uint32_t i, struct slot_choice *out)
{
    bool conflict = false;
    *out = (struct slot_choice){0};
    for (const struct candidate *c = list; c; c = c->next) {
        char category = type_category(c->args[i]);
        bool preferred = type_is_preferred(c->args[i]);
        if (out->category == 0) {
            out->category = category;
            out->preferred = preferred;
        } else if (category == out->category) {
            out->preferred |= preferred;
        } else if (category == 'S') {
            out->category = category;
            out->preferred = preferred;
        } else {
            conflict = true;
        }
    }
    return !conflict || out->category == 'S';
}

static bool fits_choices(const struct candidate *c, const oid *types,
                         const struct slot_choice *choices, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (types[i] != TYPE_UNKNOWN)
            continue;
        if (type_category(c->args[i]) != choices[i].category)
            return false;
        if (choices[i].preferred && !type_is_preferred(c->args[i]))
            return false;
    }
    return true;
}

static struct candidate *by_unknown_categories(struct candidate *list, const oid *types,
                                               uint32_t count)
{
    struct slot_choice choices[CALL_ARGS_MAX] = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (types[i] == TYPE_UNKNOWN && !unknown_category(list, i, &choices[i]))
            return list;
    }
    bool any = false;
    for (struct candidate *c = list; c && !any; c = c->next)
        any = fits_choices(c, types, choices, count);
    if (!any)
        return list;
    struct candidate *kept = NULL;
    struct candidate **tail = &kept;
    for (struct candidate *c = list; c;) {
        struct candidate *next = c->next;
        if (fits_choices(c, types, choices, count)) {
            *tail = c;
            tail = &c->next;
        }
        c = next;
    }
    *tail = NULL;
    return kept;
}

/* Last resort: take unknown inputs to be of the one type that all known inputs have. */
static struct candidate *by_known_type(struct candidate *list, const oid *types, uint32_t count)
{
    oid known = OID_NONE;
    oid assumed[CALL_ARGS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        if (types[i] == TYPE_UNKNOWN)
            continue;
        if (known != OID_NONE && known != types[i])
            return NULL;
        known = types[i];
    }
    if (known == OID_NONE)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        assumed[i] = known;
    struct candidate *found = NULL;
    for (struct candidate *c = list; c; c = c->next) {
        if (coerce_is_possible(count, assumed, c->args, COERCE_BY_CONTEXT)) {
            if (found)
                return NULL;
            found = c;
        }
    }
    return found;
}

/* The one best candidate, or NULL when the call is ambiguous. */
struct candidate *candidates_select(struct candidate *list, const oid *types, uint32_t count)
{
    char categories[CALL_ARGS_MAX];
    uint32_t unknowns = 0;
    if (count > CALL_ARGS_MAX)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        categories[i] = type_category(types[i]);
        unknowns += types[i] == TYPE_UNKNOWN;
    }
    list = keep_best(list, score_exact, types, categories, count);
    if (list && !list->next)
        return list;
    list = keep_best(list, score_preferred, types, categories, count);
    if (list && !list->next)
        return list;
    if (unknowns == 0)
        return NULL;
    list = by_unknown_categories(list, types, count);
    if (list && !list->next)
        return list;
    if (unknowns < count)
        return by_known_type(list, types, count);
    return NULL;
}
