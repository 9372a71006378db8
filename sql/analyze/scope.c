/*
 * Scopes and names: range table entries, the namespace of a query level, and what a column
 * reference means. Each level's namespace is searched before its parent's; a name found twice in
 * one level is ambiguous.
 */
#include "sql/analyze/analyze_priv.h"
#include "sql/types/utf8.h"

struct scope *scope_new(struct analysis *a, struct scope *parent, enum command command)
{
    struct scope *s = ARENA_NEW(a->mem, struct scope);
    s->a = a;
    s->parent = parent;
    if (parent)
        s->no_recursion = parent->no_recursion;
    s->query = ARENA_NEW(a->mem, struct query);
    s->query->command = command;
    return s;
}

struct range_entry *range_entry_new(struct scope *s, enum rte_kind kind, uint32_t columns)
{
    struct arena *mem = s->a->mem;
    struct range_entry *r = ARENA_NEW(mem, struct range_entry);
    r->kind = kind;
    r->in_from = true;
    r->column_count = columns;
    r->column_names = ARENA_ARRAY(mem, const char *, columns + 1);
    r->column_types = ARENA_ARRAY(mem, oid, columns + 1);
    r->column_typmods = ARENA_ARRAY(mem, int32_t, columns + 1);
    r->column_collations = ARENA_ARRAY(mem, oid, columns + 1);
    for (uint32_t i = 0; i < columns; i++)
        r->column_typmods[i] = -1;
    return r;
}

struct range_entry *range_entry_of_table(struct scope *s, const struct table_desc *t,
                                         const char *alias)
{
    struct range_entry *r = range_entry_new(s, RTE_TABLE, t->column_count);
    r->alias = arena_strdup(s->a->mem, alias ? alias : t->name);
    r->alias_given = alias != NULL;
    r->table = t->oid;
    r->table_kind = t->kind;
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column_desc *c = &t->columns[i];
        if (c->dropped)
            continue;
        r->column_names[i] = arena_strdup(s->a->mem, c->name);
        r->column_types[i] = c->type;
        r->column_typmods[i] = c->typmod;
        r->column_collations[i] = c->collation;
    }
    return r;
}

struct scope_item *scope_item_for_rte(struct scope *s, struct range_entry *rte, uint32_t index,
                                      const struct table_desc *t)
{
    struct scope_item *item = ARENA_NEW(s->a->mem, struct scope_item);
    item->name = rte->alias;
    item->rte = index;
    item->table = t;
    if (t && !rte->alias_given)
        item->schema = arena_strdup(s->a->mem, t->schema_name ? t->schema_name : "");
    item->relation_visible = true;
    item->columns_visible = true;
    item->lateral_ok = true;
    item->column_count = rte->column_count;
    item->columns = ARENA_ARRAY(s->a->mem, struct scope_column, rte->column_count + 1);
    for (uint32_t i = 0; i < rte->column_count; i++) {
        item->columns[i] = (struct scope_column){
            .name = rte->column_names[i],
            .rte = index,
            .attno = (int32_t)i + 1,
            .type = rte->column_types[i],
            .typmod = rte->column_typmods[i],
            .collation = rte->column_collations[i],
        };
    }
    return item;
}

uint32_t scope_add_rte(struct scope *s, struct range_entry *rte, struct scope_item *item)
{
    struct query *q = s->query;
    if (q->rte_count == s->rte_capacity) {
        uint32_t capacity = s->rte_capacity ? s->rte_capacity * 2 : 8;
        struct range_entry **rtes = ARENA_ARRAY(s->a->mem, struct range_entry *, capacity);
        struct scope_item **items = ARENA_ARRAY(s->a->mem, struct scope_item *, capacity);
        if (q->rte_count) {
            memcpy(rtes, q->rtes, sizeof(*rtes) * q->rte_count);
            memcpy(items, s->rte_items, sizeof(*items) * q->rte_count);
        }
        q->rtes = rtes;
        s->rte_items = items;
        s->rte_capacity = capacity;
    }
    q->rtes[q->rte_count] = rte;
    s->rte_items[q->rte_count] = item;
    return q->rte_count++;
}

void scope_add_item(struct scope *s, struct scope_item *item)
{
    if (s->item_count == s->item_capacity) {
        uint32_t capacity = s->item_capacity ? s->item_capacity * 2 : 8;
        struct scope_item **items = ARENA_ARRAY(s->a->mem, struct scope_item *, capacity);
        if (s->item_count)
            memcpy(items, s->items, sizeof(*items) * s->item_count);
        s->items = items;
        s->item_capacity = capacity;
    }
    s->items[s->item_count++] = item;
}

/* ---- columns ---- */

struct expr *scope_column_expr(struct scope *s, const struct scope_column *c, uint32_t levels_up,
                               int32_t location)
{
    struct expr *e = expr_new(s->a->mem, EXPR_COLUMN, c->type, c->typmod);
    e->column.rte = c->rte;
    e->column.attno = c->attno;
    e->column.levels_up = levels_up;
    e->column.name = c->name;
    e->collation = c->collation;
    e->location = location;
    return e;
}

static const struct {
    const char *name;
    int32_t attno;
    oid type;
} system_columns[] = {
    {"ctid", COLUMN_CTID, TYPE_TID}, {"xmin", COLUMN_XMIN, TYPE_XID},
    {"cmin", COLUMN_CMIN, TYPE_CID}, {"xmax", COLUMN_XMAX, TYPE_XID},
    {"cmax", COLUMN_CMAX, TYPE_CID}, {"tableoid", COLUMN_TABLEOID, TYPE_OID},
};

static struct expr *system_column(struct scope *s, const struct scope_item *item, const char *name,
                                  uint32_t levels_up, int32_t location)
{
    if (!item->table || item->table->kind == 'v' || item->table->virtual_name)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(system_columns); i++) {
        if (strcmp(system_columns[i].name, name) == 0) {
            struct scope_column c = {.name = system_columns[i].name,
                                     .rte = item->rte,
                                     .attno = system_columns[i].attno,
                                     .type = system_columns[i].type,
                                     .typmod = -1};
            return scope_column_expr(s, &c, levels_up, location);
        }
    }
    return NULL;
}

static err_t check_lateral(struct scope *level, const struct scope_item *item, int32_t location)
{
    if (!item->lateral_only || (item->lateral_ok && level->lateral_active))
        return ERR_OK;
    err_t e = err_raise(ERR_INVALID_COLUMN_REFERENCE,
                        "invalid reference to FROM-clause entry for table \"%s\"", item->name);
    if (item->lateral_ok)
        err_hint("There is an entry for table \"%s\", but it cannot be referenced from this part "
                 "of the query.",
                 item->name);
    else
        err_detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.");
    return analyze_at(level->a, location, e);
}

static COLD err_t ambiguous_column(struct scope *s, const char *name, int32_t location)
{
    return analyze_at(
        s->a, location,
        err_raise(ERR_AMBIGUOUS_COLUMN, "column reference \"%s\" is ambiguous", name));
}

/* A column of one namespace entry; NULL when it has none of that name. */
static err_t item_find(struct scope *s, struct scope_item *item, const char *name,
                       uint32_t levels_up, int32_t location, struct expr **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < item->column_count; i++) {
        const struct scope_column *c = &item->columns[i];
        if (!c->name || strcmp(c->name, name) != 0)
            continue;
        if (*out)
            return ambiguous_column(s, name, location);
        *out = scope_column_expr(s, c, levels_up, location);
    }
    if (!*out)
        *out = system_column(s, item, name, levels_up, location);
    return ERR_OK;
}

SUSPENDS err_t scope_item_column_wait(struct scope *s, struct scope_item *item, const char *name,
                                      uint32_t levels_up, int32_t location, struct expr **out)
{
    return item_find(s, item, name, levels_up, location, out);
}

SUSPENDS err_t scope_find_column_wait(struct scope *s, const char *name, int32_t location,
                                      struct expr **out)
{
    uint32_t levels_up = 0;
    *out = NULL;
    for (struct scope *level = s; level; level = level->parent, levels_up++) {
        for (uint32_t i = 0; i < level->item_count; i++) {
            struct scope_item *item = level->items[i];
            if (!item->columns_visible || (item->lateral_only && !level->lateral_active))
                continue;
            struct expr *found;
            TRY(item_find(s, item, name, levels_up, location, &found));
            if (!found)
                continue;
            if (*out)
                return ambiguous_column(s, name, location);
            TRY(check_lateral(level, item, location));
            *out = found;
        }
        if (*out)
            return ERR_OK;
    }
    return ERR_OK;
}

struct scope_item *scope_find_relation(struct scope *s, const char *schema, const char *name,
                                       uint32_t *levels_up, err_t *error, int32_t location)
{
    *error = ERR_OK;
    *levels_up = 0;
    for (struct scope *level = s; level; level = level->parent, ++*levels_up) {
        struct scope_item *found = NULL;
        for (uint32_t i = 0; i < level->item_count; i++) {
            struct scope_item *item = level->items[i];
            if (!item->relation_visible || !item->name || strcmp(item->name, name) != 0)
                continue;
            if (item->lateral_only && !level->lateral_active)
                continue;
            if (schema && (!item->schema || strcmp(item->schema, schema) != 0))
                continue;
            if (found) {
                *error = analyze_at(
                    s->a, location,
                    err_raise(ERR_AMBIGUOUS_ALIAS, "table reference \"%s\" is ambiguous", name));
                return NULL;
            }
            *error = check_lateral(level, item, location);
            if (*error != ERR_OK)
                return NULL;
            found = item;
        }
        if (found)
            return found;
    }
    return NULL;
}

/* Is there such an entry somewhere that just can't be seen from here? */
static const struct scope_item *hidden_relation(struct scope *s, const char *name)
{
    for (struct scope *level = s; level; level = level->parent) {
        for (uint32_t i = 0; i < level->query->rte_count; i++) {
            const struct scope_item *item = level->rte_items[i];
            const struct range_entry *r = level->query->rtes[i];
            if (item && r->alias && strcmp(r->alias, name) == 0)
                return item;
        }
    }
    return NULL;
}

static const struct range_entry *aliased_relation(struct scope *s, const char *name)
{
    for (struct scope *level = s; level; level = level->parent) {
        for (uint32_t i = 0; i < level->query->rte_count; i++) {
            const struct scope_item *item = level->rte_items[i];
            if (item && item->table && level->query->rtes[i]->alias_given &&
                strcmp(item->table->name, name) == 0)
                return level->query->rtes[i];
        }
    }
    return NULL;
}

err_t scope_missing_relation(struct scope *s, const char *schema, const char *name,
                             int32_t location)
{
    (void)schema;
    const struct range_entry *aliased = aliased_relation(s, name);
    const struct scope_item *hidden = hidden_relation(s, name);
    err_t e;
    if (aliased || hidden)
        e = err_raise(ERR_UNDEFINED_TABLE,
                      "invalid reference to FROM-clause entry for table \"%s\"", name);
    else
        e = err_raise(ERR_UNDEFINED_TABLE, "missing FROM-clause entry for table \"%s\"", name);
    if (aliased && strcmp(aliased->alias, name) != 0)
        err_hint("Perhaps you meant to reference the table alias \"%s\".", aliased->alias);
    else if (hidden)
        err_hint("There is an entry for table \"%s\", but it cannot be referenced from this part "
                 "of the query.",
                 name);
    return analyze_at(s->a, location, e);
}

/* ---- hints ---- */

static size_t name_characters(const char *name, uint32_t *out)
{
    size_t count = 0;
    for (const uint8_t *p = (const uint8_t *)name; *p; p += utf8_char_bytes(*p))
        out[count++] = utf8_decode(p);
    return count;
}

/* Edit distance with a bound; names are short. */
static uint32_t name_distance(const char *a, const char *b, uint32_t bound)
{
    enum { LENGTH_MAX = 63 };
    uint32_t from[LENGTH_MAX];
    uint32_t to[LENGTH_MAX];
    uint32_t row[LENGTH_MAX + 1];
    if (strlen(a) > LENGTH_MAX || strlen(b) > LENGTH_MAX)
        return bound + 1;
    size_t la = name_characters(a, from);
    size_t lb = name_characters(b, to);
    for (size_t j = 0; j <= lb; j++)
        row[j] = (uint32_t)j;
    for (size_t i = 1; i <= la; i++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= lb; j++) {
            uint32_t above = row[j];
            uint32_t replace = diagonal + (from[i - 1] != to[j - 1]);
            uint32_t best = MIN(above, row[j - 1]) + 1;
            row[j] = MIN(best, replace);
            diagonal = above;
        }
    }
    return row[lb];
}

struct similar {
    const struct scope_item *item;
    const char *column;
    uint32_t distance;
    bool exact_hidden;
    uint32_t ties;
};

static void similar_in_item(struct similar *best, const struct scope_item *item, const char *name,
                            uint32_t penalty)
{
    for (uint32_t i = 0; i < item->column_count; i++) {
        const char *column = item->columns[i].name;
        if (!column)
            continue;
        uint32_t d = name_distance(name, column, best->distance) + penalty;
        if (d > strlen(name) / 2 || d > best->distance)
            continue;
        if (d == best->distance) {
            best->ties++;
            continue;
        }
        *best = (struct similar){.item = item, .column = column, .distance = d, .ties = 1};
    }
}

static COLD err_t missing_column(struct scope *s, const char *relation, const char *name,
                                 int32_t location)
{
    struct similar best = {.distance = 4};
    for (struct scope *level = s; level; level = level->parent) {
        for (uint32_t i = 0; i < level->query->rte_count; i++) {
            const struct scope_item *item = level->rte_items[i];
            if (!item || !item->name || !level->query->rtes[i]->in_from)
                continue;
            uint32_t penalty = 0;
            if (relation && strcmp(relation, item->name) != 0)
                penalty = MIN(name_distance(relation, item->name, 3), 3);
            similar_in_item(&best, item, name, penalty);
        }
    }
    err_t e = relation
                  ? err_raise(ERR_UNDEFINED_COLUMN, "column %s.%s does not exist", relation, name)
                  : err_raise(ERR_UNDEFINED_COLUMN, "column \"%s\" does not exist", name);
    if (best.item && best.ties == 1)
        err_hint("Perhaps you meant to reference the column \"%s.%s\".", best.item->name,
                 best.column);
    return analyze_at(s->a, location, e);
}

/* ---- references ---- */

static struct expr *whole_row(struct scope *s, struct scope_item *item, uint32_t levels_up,
                              int32_t location)
{
    struct scope_column c = {
        .name = item->name,
        .rte = item->rte,
        .attno = COLUMN_WHOLE_ROW,
        .type = TYPE_RECORD, /* row types of tables have no values of their own yet */
        .typmod = -1,
    };
    return scope_column_expr(s, &c, levels_up, location);
}

static const char *name_list_text(struct arena *mem, const List *names)
{
    struct strbuf b;
    strbuf_init(&b, mem);
    for (int i = 0; i < list_length(names); i++) {
        const Node *n = list_nth(names, i);
        strbuf_puts(&b, i > 0 ? "." : "");
        strbuf_puts(&b, IsA(n, String) ? node_string(n) : "*");
    }
    return b.data;
}

static SUSPENDS err_t one_name_wait(struct scope *s, const char *name, int32_t location,
                                    struct expr **out)
{
    TRY(scope_find_column_wait(s, name, location, out));
    if (*out)
        return ERR_OK;
    uint32_t levels_up;
    err_t e;
    struct scope_item *item = scope_find_relation(s, NULL, name, &levels_up, &e, location);
    TRY(e);
    if (!item)
        return missing_column(s, NULL, name, location);
    /* A function of one scalar column stands for its value. */
    const struct range_entry *rte = NULL;
    struct scope *level = s;
    for (uint32_t i = 0; i < levels_up; i++)
        level = level->parent;
    rte = level->query->rtes[item->rte];
    if (rte->kind == RTE_FUNCTION && rte->column_count == 1) {
        *out = scope_column_expr(s, &item->columns[0], levels_up, location);
        return ERR_OK;
    }
    *out = whole_row(s, item, levels_up, location);
    return ERR_OK;
}

SUSPENDS err_t scope_column_ref_wait(struct scope *s, const ColumnRef *ref, struct expr **out)
{
    int n = list_length(ref->fields);
    if (IsA(list_nth(ref->fields, n - 1), A_Star))
        n--;
    bool star = n < list_length(ref->fields);
    if (s->place == PLACE_COLUMN_DEFAULT)
        return analyze_at(s->a, ref->location,
                          err_raise(ERR_FEATURE_NOT_SUPPORTED,
                                    "cannot use column reference in DEFAULT expression"));
    if (n == 1 && !star)
        return one_name_wait(s, list_string(ref->fields, 0), ref->location, out);
    int names = n - (star ? 0 : 1);
    if (names < 1 || names > 3)
        return analyze_at(s->a, ref->location,
                          err_raise(ERR_SYNTAX_ERROR,
                                    "improper qualified name (too many dotted names): %s",
                                    name_list_text(s->a->mem, ref->fields)));
    const char *relation = list_string(ref->fields, names - 1);
    const char *schema = names > 1 ? list_string(ref->fields, names - 2) : NULL;
    uint32_t levels_up;
    err_t e;
    struct scope_item *item =
        scope_find_relation(s, schema, relation, &levels_up, &e, ref->location);
    TRY(e);
    if (!item)
        return scope_missing_relation(s, schema, relation, ref->location);
    if (star) {
        *out = whole_row(s, item, levels_up, ref->location);
        return ERR_OK;
    }
    const char *column = list_string(ref->fields, n - 1);
    TRY(item_find(s, item, column, levels_up, ref->location, out));
    if (!*out)
        return missing_column(s, relation, column, ref->location);
    return ERR_OK;
}

/* ---- stars ---- */

err_t scope_item_star(struct scope *s, struct scope_item *item, uint32_t levels_up,
                      int32_t location, struct expr ***exprs, const char ***names, uint32_t *count)
{
    *exprs = ARENA_ARRAY(s->a->mem, struct expr *, item->column_count + 1);
    *names = ARENA_ARRAY(s->a->mem, const char *, item->column_count + 1);
    *count = 0;
    for (uint32_t i = 0; i < item->column_count; i++) {
        const struct scope_column *c = &item->columns[i];
        if (!c->name)
            continue;
        (*exprs)[*count] = scope_column_expr(s, c, levels_up, location);
        (*names)[*count] = c->name;
        ++*count;
    }
    return ERR_OK;
}

/* ---- conflicts ---- */

err_t scope_check_conflicts(struct scope *s, struct scope_item *const *left, uint32_t left_count,
                            struct scope_item *const *right, uint32_t right_count)
{
    (void)s;
    for (uint32_t i = 0; i < left_count; i++) {
        const struct scope_item *l = left[i];
        if (!l->relation_visible || !l->name)
            continue;
        for (uint32_t k = 0; k < right_count; k++) {
            const struct scope_item *r = right[k];
            if (!r->relation_visible || !r->name || strcmp(l->name, r->name) != 0)
                continue;
            /* Two tables without alias may share a name when they are different tables. */
            if (l->schema && r->schema && l->table != r->table && l->table->oid != r->table->oid)
                continue;
            return err_raise(ERR_DUPLICATE_ALIAS, "table name \"%s\" specified more than once",
                             r->name);
        }
    }
    return ERR_OK;
}
