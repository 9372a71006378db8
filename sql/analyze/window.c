/* Window definitions: WINDOW clause entries and OVER (...), with inheritance of named windows. */
#include "sql/analyze/analyze_priv.h"

static SUSPENDS err_t window_define_wait(struct scope *s, const WindowDef *def,
                                         struct window_spec **out);

static void window_remember(struct scope *s, const char *name, struct window_spec *w)
{
    if (s->window_count == s->window_capacity) {
        uint32_t capacity = s->window_capacity ? s->window_capacity * 2 : 4;
        struct window_spec **windows = ARENA_ARRAY(s->a->mem, struct window_spec *, capacity);
        const char **names = ARENA_ARRAY(s->a->mem, const char *, capacity);
        if (s->window_count) {
            memcpy(windows, s->windows, sizeof(*windows) * s->window_count);
            memcpy(names, s->window_names, sizeof(*names) * s->window_count);
        }
        s->windows = windows;
        s->window_names = names;
        s->window_capacity = capacity;
    }
    s->windows[s->window_count] = w;
    s->window_names[s->window_count++] = name;
}

static SUSPENDS err_t window_by_name_wait(struct scope *s, const char *name, int32_t location,
                                          struct window_spec **out)
{
    for (uint32_t i = 0; i < s->window_count; i++) {
        if (s->window_names[i] && strcmp(s->window_names[i], name) == 0) {
            *out = s->windows[i];
            return ERR_OK;
        }
    }
    for (int i = 0; i < list_length(s->window_defs); i++) {
        const WindowDef *def = list_nth(s->window_defs, i);
        if (strcmp(def->name, name) == 0)
            return window_define_wait(s, def, out);
    }
    return analyze_at(s->a, location,
                      err_raise(ERR_UNDEFINED_OBJECT, "window \"%s\" does not exist", name));
}

static err_t window_inherit(struct scope *s, const WindowDef *def, const struct window_spec *from,
                            struct window_spec *w)
{
    int default_frame = FRAMEOPTION_DEFAULTS;
    if (def->partitionClause)
        return analyze_at(s->a, def->location,
                          err_raise(ERR_WINDOWING_ERROR,
                                    "cannot override PARTITION BY clause of window \"%s\"",
                                    def->refname));
    if (def->orderClause && from->order_count)
        return analyze_at(s->a, def->location,
                          err_raise(ERR_WINDOWING_ERROR,
                                    "cannot override ORDER BY clause of window \"%s\"",
                                    def->refname));
    if (from->frame_options != default_frame)
        return analyze_at(s->a, def->location,
                          err_raise(ERR_WINDOWING_ERROR,
                                    "cannot copy window \"%s\" because it has a frame clause",
                                    def->refname));
    w->partition = from->partition;
    w->partition_count = from->partition_count;
    if (!def->orderClause) {
        w->order = from->order;
        w->order_count = from->order_count;
    }
    return ERR_OK;
}

/* The offset's type is that of an in_range() function for the column's type: the offset's own when
 * there is one, else the only one that it can be turned into. */
static err_t window_range_offset(struct scope *s, struct expr *given, oid column, struct expr **out)
{
    oid preferred = given->type != TYPE_UNKNOWN ? given->type : column;
    oid chosen = OID_NONE;
    uint32_t exist = 0;
    uint32_t match = 0;
    uint32_t count;
    const struct func *const *f = func_find_name("in_range", &count);
    for (uint32_t i = 0; i < count; i++) {
        if (f[i]->args[0] != column)
            continue;
        exist++;
        if (!coerce_is_possible(1, &given->type, &f[i]->args[2], COERCE_BY_CONTEXT))
            continue;
        match++;
        if (chosen != preferred)
            chosen = f[i]->args[2];
    }
    const char *what = "RANGE with offset PRECEDING/FOLLOWING";
    if (exist == 0)
        return analyze_at(s->a, expr_location(given),
                          err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                    "%s is not supported for column type %s", what,
                                    analyze_type_text(s->a, column)));
    if (match != 0 && (match == 1 || chosen == preferred))
        return coerce_to_target(s, given, chosen, -1, COERCE_BY_CONTEXT, false, -1, out);
    err_t e = err_raise(ERR_FEATURE_NOT_SUPPORTED, "%s %s for column type %s and offset type %s",
                        what, match == 0 ? "is not supported" : "has multiple interpretations",
                        analyze_type_text(s->a, column), analyze_type_text(s->a, given->type));
    err_hint(match == 0 ? "Cast the offset value to an appropriate type."
                        : "Cast the offset value to the exact intended type.");
    return analyze_at(s->a, expr_location(given), e);
}

static SUSPENDS err_t window_offset_wait(struct scope *s, const WindowDef *def, const Node *node,
                                         const struct window_spec *w, struct expr **out)
{
    *out = NULL;
    if (!node)
        return ERR_OK;
    bool rows = def->frameOptions & FRAMEOPTION_ROWS;
    bool groups = def->frameOptions & FRAMEOPTION_GROUPS;
    enum place place = rows     ? PLACE_WINDOW_FRAME_ROWS
                       : groups ? PLACE_WINDOW_FRAME_GROUPS
                                : PLACE_WINDOW_FRAME_RANGE;
    TRY(analyze_expr_wait(s, node, place, out));
    if (rows || groups) {
        TRY(coerce_to_specific(s, *out, TYPE_INT8, rows ? "ROWS" : "GROUPS", out));
    } else {
        TRY(window_range_offset(s, *out, w->order[0].expr->type, out));
    }
    if (expr_has_columns(*out))
        return analyze_at(s->a, expr_location(*out),
                          err_raise(ERR_INVALID_COLUMN_REFERENCE,
                                    "argument of %s must not contain variables",
                                    rows     ? "ROWS"
                                    : groups ? "GROUPS"
                                             : "RANGE"));
    return ERR_OK;
}

static SUSPENDS err_t window_define_wait(struct scope *s, const WindowDef *def,
                                         struct window_spec **out)
{
    TRY(fiber_check_stack());
    struct window_spec *w = ARENA_NEW(s->a->mem, struct window_spec);
    TRY(transform_list_wait(s, def->partitionClause, PLACE_WINDOW_PARTITION, &w->partition,
                            &w->partition_count));
    enum place saved = s->place;
    s->place = PLACE_WINDOW_ORDER;
    err_t e = clause_order_wait(s, def->orderClause, PLACE_WINDOW_ORDER, true, &w->order,
                                &w->order_count);
    s->place = saved;
    TRY(e);
    if (def->refname) {
        struct window_spec *from;
        TRY(window_by_name_wait(s, def->refname, def->location, &from));
        TRY(window_inherit(s, def, from, w));
        w->base = arena_strdup(s->a->mem, def->refname);
        w->order_copied = !def->orderClause;
    }
    w->frame_options = def->frameOptions;
    bool range_offset = (def->frameOptions & FRAMEOPTION_RANGE) &&
                        (def->frameOptions & (FRAMEOPTION_START_OFFSET | FRAMEOPTION_END_OFFSET));
    if (range_offset && w->order_count != 1)
        return analyze_at(s->a, def->location,
                          err_raise(ERR_WINDOWING_ERROR,
                                    "RANGE with offset PRECEDING/FOLLOWING requires exactly one "
                                    "ORDER BY column"));
    if ((def->frameOptions & FRAMEOPTION_GROUPS) && w->order_count == 0)
        return analyze_at(
            s->a, def->location,
            err_raise(ERR_WINDOWING_ERROR, "GROUPS mode requires an ORDER BY clause"));
    TRY(window_offset_wait(s, def, def->startOffset, w, &w->start_offset));
    TRY(window_offset_wait(s, def, def->endOffset, w, &w->end_offset));
    w->name = def->name ? arena_strdup(s->a->mem, def->name) : NULL;
    window_remember(s, w->name, w);
    *out = w;
    return ERR_OK;
}

SUSPENDS err_t window_find_wait(struct scope *s, const WindowDef *def, struct window_spec **out)
{
    if (def->name && !def->refname && !def->partitionClause && !def->orderClause)
        return window_by_name_wait(s, def->name, def->location, out);
    return window_define_wait(s, def, out);
}

/* Windows that nothing uses are checked too. */
SUSPENDS err_t clause_windows_wait(struct scope *s)
{
    struct query *q = s->query;
    q->windows =
        ARENA_ARRAY(s->a->mem, struct window_spec *, (uint32_t)list_length(s->window_defs) + 1);
    for (int i = 0; i < list_length(s->window_defs); i++) {
        const WindowDef *def = list_nth(s->window_defs, i);
        for (int k = 0; k < i; k++) {
            if (strcmp(((const WindowDef *)list_nth(s->window_defs, k))->name, def->name) == 0)
                return analyze_at(
                    s->a, def->location,
                    err_raise(ERR_WINDOWING_ERROR, "window \"%s\" is already defined", def->name));
        }
        TRY(window_by_name_wait(s, def->name, def->location, &q->windows[i]));
        q->window_count = (uint32_t)i + 1;
    }
    return ERR_OK;
}
