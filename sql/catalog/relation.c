/*
 * Structure of the system catalogs, from the generated facts and our own additions, sorted by OID
 * and by name.
 */
#include "sql/catalog/relation.h"

#include "sql/catalog/views.h"

#include <stdlib.h>

static const struct catalog_column distribution_columns[] = {
    {"disrelid", TYPE_OID, 1, 4, 0, -1, true, 0},
    {"diskind", TYPE_CHAR, 2, 1, 0, -1, true, 0},
    {"diskeys", TYPE_INT2VECTOR, 3, -1, 1, -1, true, 0},
    {"dismap", TYPE_OID, 4, 4, 0, -1, true, 0},
};
static const int16_t distribution_key[] = {1};
static const oid distribution_class[] = {1981};
static const struct catalog_index distribution_indexes[] = {
    {INDEX_DISTRIBUTION_RELID, "pg_distribution_relid_index", true, true, 1, distribution_key,
     distribution_class},
};

static const struct catalog_table own_tables[] = {
    {REL_DISTRIBUTION, "pg_distribution", 'r', false, 0, COLS_DISTRIBUTION, distribution_columns, 1,
     distribution_indexes},
};

struct index_place {
    oid index;
    uint32_t relation;
    uint32_t position;
};

static struct catalog_relation *relations; /* by oid */
static uint32_t relation_count;
static const struct catalog_relation **by_name;
static struct index_place *places; /* by index oid */
static uint32_t place_count;

static int relation_order(const void *a, const void *b)
{
    const struct catalog_relation *x = a;
    const struct catalog_relation *y = b;
    return (x->fact->oid > y->fact->oid) - (x->fact->oid < y->fact->oid);
}

static int name_order(const void *a, const void *b)
{
    const struct catalog_relation *const *x = a;
    const struct catalog_relation *const *y = b;
    if ((*x)->schema != (*y)->schema)
        return (*x)->schema < (*y)->schema ? -1 : 1;
    return strcmp((*x)->fact->name, (*y)->fact->name);
}

static int place_order(const void *a, const void *b)
{
    const struct index_place *x = a;
    const struct index_place *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static void relation_fill(struct arena *mem, struct catalog_relation *r)
{
    const struct catalog_table *t = r->fact;
    oid *types = ARENA_ARRAY(mem, oid, t->column_count);
    for (uint32_t i = 0; i < t->column_count; i++)
        types[i] = t->columns[i].type;
    r->layout = row_layout_new(mem, types, t->column_count);
    r->index_keys = ARENA_ARRAY(mem, struct key_column *, t->index_count + 1);
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct catalog_index *x = &t->indexes[i];
        struct key_column *keys = ARENA_ARRAY(mem, struct key_column, x->key_count);
        bool usable = true;
        for (uint32_t k = 0; k < x->key_count; k++) {
            ASSERT(x->keys[k] > 0 && x->keys[k] <= t->column_count);
            keys[k].type = type_find(t->columns[x->keys[k] - 1].type);
            usable = usable && keys[k].type && keys[k].type->sort_key;
        }
        r->index_keys[i] = usable ? keys : NULL;
        places[place_count].index = x->oid;
        places[place_count].position = i;
        places[place_count].relation = (uint32_t)(r - relations);
        place_count++;
    }
    for (uint32_t i = 0; i < catalog_static_count; i++)
        if (catalog_static[i].oid == t->oid)
            r->rows = &catalog_static[i];
}

static uint32_t information_count(void)
{
    uint32_t n = 0;
    while (information_views[n].name)
        n++;
    return n;
}

/* "name:type name:type ..." */
static const struct catalog_table *information_table(struct arena *mem,
                                                     const struct information_view *v)
{
    uint32_t count = 1;
    for (const char *p = v->columns; *p; p++)
        count += *p == ' ';
    struct catalog_column *columns = ARENA_ARRAY(mem, struct catalog_column, count);
    const char *p = v->columns;
    for (uint32_t i = 0; i < count; i++) {
        size_t name = strcspn(p, ":");
        size_t type = strcspn(p + name + 1, " ");
        const struct type_info *t = type_find_name(arena_strndup(mem, p + name + 1, type));
        ASSERT(t);
        columns[i] = (struct catalog_column){.name = arena_strndup(mem, p, name),
                                             .type = t->oid,
                                             .attnum = (int16_t)(i + 1),
                                             .length = t->typlen,
                                             .typmod = -1,
                                             .collation = t->collation};
        p += name + 1 + type;
        p += *p == ' ';
    }
    struct catalog_table *t = ARENA_NEW(mem, struct catalog_table);
    *t = (struct catalog_table){.oid = v->oid,
                                .name = v->name,
                                .kind = 'v',
                                .column_count = (uint16_t)count,
                                .columns = columns};
    return t;
}

void catalog_relations_init(void)
{
    if (relations)
        return;
    struct arena *mem = arena_new();
    uint32_t own = catalog_table_count + (uint32_t)ARRAY_LEN(own_tables);
    relation_count = own + information_count();
    relations = ARENA_ARRAY(mem, struct catalog_relation, relation_count);
    by_name = ARENA_ARRAY(mem, const struct catalog_relation *, relation_count);
    uint32_t indexes = 0;
    for (uint32_t i = 0; i < relation_count; i++) {
        relations[i].schema = SCHEMA_PG_CATALOG;
        if (i < catalog_table_count) {
            relations[i].fact = &catalog_tables[i];
        } else if (i < own) {
            relations[i].fact = &own_tables[i - catalog_table_count];
        } else {
            relations[i].schema = SCHEMA_INFORMATION;
            relations[i].view_sql = information_views[i - own].sql;
            relations[i].fact = information_table(mem, &information_views[i - own]);
        }
        indexes += relations[i].fact->index_count;
    }
    places = ARENA_ARRAY(mem, struct index_place, indexes);
    qsort(relations, relation_count, sizeof(*relations), relation_order);
    for (uint32_t i = 0; i < relation_count; i++) {
        relation_fill(mem, &relations[i]);
        by_name[i] = &relations[i];
    }
    qsort(places, place_count, sizeof(*places), place_order);
    qsort(by_name, relation_count, sizeof(const struct catalog_relation *), name_order);
}

const struct catalog_relation *catalog_relation_find(oid relation)
{
    uint32_t low = 0;
    uint32_t high = relation_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        oid o = relations[mid].fact->oid;
        if (o == relation)
            return &relations[mid];
        if (o < relation)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct catalog_relation *catalog_relation_named(oid schema, const char *name)
{
    uint32_t low = 0;
    uint32_t high = relation_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct catalog_relation *r = by_name[mid];
        int c = r->schema != schema ? (r->schema < schema ? -1 : 1) : strcmp(r->fact->name, name);
        if (c == 0)
            return by_name[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct catalog_relation *catalog_relation_at(uint32_t index)
{
    return index < relation_count ? &relations[index] : NULL;
}

bool catalog_index_find(oid index, const struct catalog_relation **relation, uint32_t *position)
{
    uint32_t low = 0;
    uint32_t high = place_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (places[mid].index == index) {
            *relation = &relations[places[mid].relation];
            *position = places[mid].position;
            return true;
        }
        if (places[mid].index < index)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}
