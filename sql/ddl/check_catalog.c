/* Files of all shards against the catalog, and references between catalog rows. */
#include "sql/ddl/check_priv.h"

#include <stdlib.h>

/* ---- files and the catalog ---- */

struct oid_set {
    oid *oids;
    uint32_t count;
};

static int oid_order(const void *a, const void *b)
{
    oid x = *(const oid *)a;
    oid y = *(const oid *)b;
    return (x > y) - (x < y);
}

static bool set_has(const struct oid_set *s, oid o)
{
    return s->count > 0 && bsearch(&o, s->oids, s->count, sizeof(oid), oid_order) != NULL;
}

static void set_sort(struct oid_set *s)
{
    if (s->count > 0)
        qsort(s->oids, s->count, sizeof(oid), oid_order);
}

/* Files of dropped relations go when purge has come that far; alone, that is soon. */
static SUSPENDS err_t quiet_on_shard(struct shard_work *w)
{
    enum { POLL_US = 2000, POLLS_MAX = 10000 };
    for (uint32_t i = 0; i < POLLS_MAX && !shard_is_purged(shard_local(w->shard)); i++)
        TRY(fiber_sleep_wait(POLL_US));
    return ERR_OK;
}

struct files_check {
    oid database;
    const struct oid_set *owned;
    const struct oid_set *everywhere; /* of them: to be on all shards */
    const struct oid_set *databases;
    bool alone;
    struct findings *findings;
};

static SUSPENDS err_t files_on_shard(struct shard_work *w)
{
    const struct files_check *c = w->arg;
    struct findings *f = &c->findings[w->shard];
    uint64_t cursor = 0;
    file_id file;
    enum file_kind kind;
    struct oid_set here = {0};
    uint32_t capacity = 0;
    while (shard_file_next(shard_local(w->shard), &cursor, &file, &kind)) {
        oid database = (oid)(file >> 32);
        oid number = (oid)file;
        if (database != c->database) {
            if (c->alone && database != 0 && !set_has(c->databases, database))
                finding(f, "shard %u: file %u/%u is of no database", w->shard, database, number);
            continue;
        }
        if (here.count == capacity) {
            capacity = MAX(64u, capacity * 2);
            here.oids = core_realloc(here.oids, capacity * sizeof(oid));
        }
        here.oids[here.count++] = number;
        if (c->alone && number >= FIRST_USER_OID && !set_has(c->owned, number))
            finding(f, "shard %u: file %u/%u is of no relation", w->shard, database, number);
    }
    set_sort(&here);
    for (uint32_t i = 0; i < c->everywhere->count; i++) {
        if (!set_has(&here, c->everywhere->oids[i]))
            finding(f, "shard %u: file %u/%u of a relation is missing", w->shard, c->database,
                    c->everywhere->oids[i]);
    }
    core_free(here.oids);
    return ERR_OK;
}

err_t check_files_wait(struct check *c, const struct catalog_rows *classes)
{
    struct ddl_context *x = c->x;
    struct catalog_rows databases;
    TRY(catalog_find_wait(x->catalog, REL_DATABASE, 0, 0, 0, 0, x->mem, &databases));
    struct oid_set owned = {ARENA_ARRAY(x->mem, oid, classes->count + 1), 0};
    struct oid_set everywhere = {ARENA_ARRAY(x->mem, oid, classes->count + 1), 0};
    struct oid_set known = {ARENA_ARRAY(x->mem, oid, databases.count + 1), 0};
    for (uint32_t i = 0; i < databases.count; i++)
        known.oids[known.count++] = catalog_oid_value(&databases.rows[i], COL_OID);
    for (uint32_t i = 0; i < classes->count; i++) {
        const struct catalog_row *r = &classes->rows[i];
        oid file = catalog_oid_value(r, COL_RELFILENODE);
        if (catalog_oid_value(r, COL_OID) < FIRST_USER_OID || file == 0)
            continue;
        owned.oids[owned.count++] = file;
        if (catalog_char_value(r, COL_RELKIND) == 'r')
            everywhere.oids[everywhere.count++] = file;
    }
    set_sort(&owned);
    set_sort(&known);
    uint32_t shards = shard_count();
    struct files_check work = {.database = x->catalog->database,
                               .owned = &owned,
                               .everywhere = &everywhere,
                               .databases = &known,
                               .alone = c->alone,
                               .findings = ARENA_ARRAY(x->mem, struct findings, shards)};
    if (c->alone)
        TRY(ddl_on_shards_wait(x, quiet_on_shard, NULL));
    for (uint32_t s = 0; s < shards; s++)
        work.findings[s].text = core_malloc(FINDINGS_BYTES_MAX);
    err_t e = ddl_on_shards_wait(x, files_on_shard, &work);
    for (uint32_t s = 0; s < shards; s++) {
        take_findings(c, &work.findings[s]);
        core_free(work.findings[s].text);
    }
    return e;
}

/* ---- references between catalog rows ---- */

static const struct reference {
    const char *what;
    oid relation;
    int column;
    oid target;
    bool zero_ok;
} references[] = {
    {"pg_class.relnamespace", REL_CLASS, COL_RELNAMESPACE, REL_NAMESPACE, false},
    {"pg_class.reltype", REL_CLASS, COL_RELTYPE, REL_TYPE, true},
    {"pg_class.relowner", REL_CLASS, COL_RELOWNER, REL_AUTHID, false},
    {"pg_attribute.attrelid", REL_ATTRIBUTE, COL_ATTRELID, REL_CLASS, false},
    {"pg_attribute.atttypid", REL_ATTRIBUTE, COL_ATTTYPID, REL_TYPE, true},
    {"pg_attrdef.adrelid", REL_ATTRDEF, COL_ADRELID, REL_CLASS, false},
    {"pg_index.indexrelid", REL_INDEX, COL_INDEXRELID, REL_CLASS, false},
    {"pg_index.indrelid", REL_INDEX, COL_INDRELID, REL_CLASS, false},
    {"pg_constraint.connamespace", REL_CONSTRAINT, COL_CONNAMESPACE, REL_NAMESPACE, false},
    {"pg_constraint.conrelid", REL_CONSTRAINT, COL_CONRELID, REL_CLASS, true},
    {"pg_constraint.conindid", REL_CONSTRAINT, COL_CONINDID, REL_CLASS, true},
    {"pg_sequence.seqrelid", REL_SEQUENCE, COL_SEQRELID, REL_CLASS, false},
    {"pg_sequence.seqtypid", REL_SEQUENCE, COL_SEQTYPID, REL_TYPE, false},
    {"pg_type.typnamespace", REL_TYPE, COL_TYPNAMESPACE, REL_NAMESPACE, false},
    {"pg_type.typrelid", REL_TYPE, COL_TYPRELID, REL_CLASS, true},
    {"pg_type.typelem", REL_TYPE, COL_TYPELEM, REL_TYPE, true},
    {"pg_type.typarray", REL_TYPE, COL_TYPARRAY, REL_TYPE, true},
    {"pg_rewrite.ev_class", REL_REWRITE, COL_EV_CLASS, REL_CLASS, false},
    {"pg_statistic.starelid", REL_STATISTIC, COL_STARELID, REL_CLASS, false},
    {"pg_distribution.disrelid", REL_DISTRIBUTION, COL_DISRELID, REL_CLASS, false},
    {"pg_distribution.dismap", REL_DISTRIBUTION, COL_DISMAP, REL_CLASS, true},
};

static const oid loaded[] = {REL_CLASS,     REL_NAMESPACE, REL_TYPE,      REL_AUTHID,
                             REL_ATTRIBUTE, REL_ATTRDEF,   REL_INDEX,     REL_CONSTRAINT,
                             REL_SEQUENCE,  REL_REWRITE,   REL_STATISTIC, REL_DISTRIBUTION,
                             REL_DEPEND};
enum { LOADED = ARRAY_LEN(loaded) };

struct catalogs {
    struct catalog_rows rows[LOADED];
    struct oid_set oids[LOADED];
};

static uint32_t loaded_index(oid relation)
{
    uint32_t i = 0;
    while (i < LOADED && loaded[i] != relation)
        i++;
    return i;
}

static void check_reference(struct check *c, const struct catalogs *k, const struct reference *r)
{
    const struct catalog_rows *rows = &k->rows[loaded_index(r->relation)];
    const struct oid_set *target = &k->oids[loaded_index(r->target)];
    for (uint32_t i = 0; i < rows->count; i++) {
        oid value = catalog_oid_value(&rows->rows[i], r->column);
        if ((value == 0 && r->zero_ok) || set_has(target, value))
            continue;
        finding(&c->own, "%s: %u does not exist", r->what, value);
    }
}

static void check_dependencies(struct check *c, const struct catalogs *k)
{
    const struct catalog_rows *rows = &k->rows[loaded_index(REL_DEPEND)];
    for (uint32_t i = 0; i < rows->count; i++) {
        const int columns[2][2] = {{COL_CLASSID, COL_OBJID}, {COL_REFCLASSID, COL_REFOBJID}};
        for (int side = 0; side < 2; side++) {
            uint32_t at = loaded_index(catalog_oid_value(&rows->rows[i], columns[side][0]));
            oid object = catalog_oid_value(&rows->rows[i], columns[side][1]);
            if (at < LOADED && object != 0 && !set_has(&k->oids[at], object))
                finding(&c->own, "pg_depend names the object %u of %u, which does not exist",
                        object, loaded[at]);
        }
    }
}

/* pg_class.relnatts and the columns that there are. */
static void check_columns(struct check *c, const struct catalogs *k)
{
    const struct catalog_rows *classes = &k->rows[loaded_index(REL_CLASS)];
    const struct catalog_rows *columns = &k->rows[loaded_index(REL_ATTRIBUTE)];
    struct oid_set of = {ARENA_ARRAY(c->x->mem, oid, columns->count + 1), 0};
    for (uint32_t i = 0; i < columns->count; i++) {
        if (datum_i16(columns->rows[i].values[COL_ATTNUM - 1]) > 0)
            of.oids[of.count++] = catalog_oid_value(&columns->rows[i], COL_ATTRELID);
    }
    set_sort(&of);
    for (uint32_t i = 0; i < classes->count; i++) {
        const struct catalog_row *r = &classes->rows[i];
        oid relation = catalog_oid_value(r, COL_OID);
        int16_t wanted = datum_i16(r->values[COL_RELNATTS - 1]);
        uint32_t low = 0;
        for (uint32_t high = of.count; low < high;) {
            uint32_t mid = (low + high) / 2;
            if (of.oids[mid] < relation)
                low = mid + 1;
            else
                high = mid;
        }
        int16_t have = 0;
        for (uint32_t n = low; n < of.count && of.oids[n] == relation; n++)
            have++;
        if (have != wanted && relation >= FIRST_USER_OID)
            finding(&c->own, "pg_class says that relation %u has %d columns, pg_attribute has %d",
                    relation, wanted, have);
    }
}

err_t check_catalogs_wait(struct check *c)
{
    struct catalogs *k = ARENA_NEW(c->x->mem, struct catalogs);
    struct catalog_probe probes[LOADED] = {0};
    for (uint32_t i = 0; i < LOADED; i++)
        probes[i].relation = loaded[i];
    TRY(catalog_probe_wait(c->x->catalog, probes, LOADED, c->x->mem));
    for (uint32_t i = 0; i < LOADED; i++) {
        k->rows[i] = probes[i].found;
        k->oids[i].oids = ARENA_ARRAY(c->x->mem, oid, k->rows[i].count + 1);
        for (uint32_t n = 0; n < k->rows[i].count; n++)
            k->oids[i].oids[k->oids[i].count++] = catalog_oid_value(&k->rows[i].rows[n], COL_OID);
        set_sort(&k->oids[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(references); i++)
        check_reference(c, k, &references[i]);
    check_dependencies(c, k);
    check_columns(c, k);
    return ERR_OK;
}
