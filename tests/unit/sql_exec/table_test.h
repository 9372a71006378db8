/* A table made by hand for tests over shards: t(id int4 primary key, grp int4 indexed, name text
 * unique over all shards through a map table). */
#ifndef TESTS_UNIT_SQL_EXEC_TABLE_TEST_H
#define TESTS_UNIT_SQL_EXEC_TABLE_TEST_H

#include "exec_test.h"

#include "shard/shard.h"

enum { T_OID = 50001, M_OID = 50900 };
enum { C_ID, C_GRP, C_NAME, COLUMNS };

static struct plan_table *t;
static struct plan_index *t_key;
static struct plan_index *t_grp;

static struct key_column *key_columns(uint32_t n, const oid *types, bool descending)
{
    struct key_column *k = ARENA_ARRAY(mem, struct key_column, n);
    for (uint32_t i = 0; i < n; i++) {
        CHECK_OK(type_require(types[i], &k[i].type));
        k[i].descending = descending;
        k[i].nulls_first = descending;
    }
    return k;
}

static struct plan_table *table_new(oid id, const char *name, uint32_t columns, const oid *types,
                                    const char **names, uint32_t indexes)
{
    struct plan_table *p = ARENA_NEW(mem, struct plan_table);
    p->oid = id;
    p->name = name;
    p->schema_name = "public";
    p->file = ((uint64_t)5 << 32) | id;
    p->column_count = columns;
    p->columns_used = columns;
    p->layout = row_layout_new(mem, types, columns);
    p->column_names = names;
    p->column_types = arena_memdup(mem, types, sizeof(oid) * columns);
    p->column_typmods = ARENA_ARRAY(mem, int32_t, columns);
    memset(p->column_typmods, 0xff, sizeof(int32_t) * columns);
    p->not_null = ARENA_ARRAY(mem, bool, columns);
    p->missing = ARENA_ARRAY(mem, datum, columns);
    p->missing_nulls = ARENA_ARRAY(mem, bool, columns);
    memset(p->missing_nulls, true, columns);
    p->distribution = DISTRIBUTED_HASH;
    p->shard_key_count = 1;
    p->shard_key = ARENA_ARRAY(mem, int16_t, 1);
    p->shard_key[0] = 1;
    p->shard_key_columns = key_columns(1, types, false);
    p->index_count = indexes;
    p->indexes = ARENA_ARRAY(mem, struct plan_index, indexes + 1);
    return p;
}

static struct plan_index *index_set(struct plan_table *p, uint32_t i, const char *name,
                                    int16_t attno, bool unique, bool descending)
{
    struct plan_index *x = &p->indexes[i];
    x->oid = p->oid + 100 + i;
    x->name = name;
    x->file = ((uint64_t)5 << 32) | x->oid;
    x->is_unique = unique;
    x->key_count = 1;
    x->attnos = ARENA_ARRAY(mem, int16_t, 1);
    x->attnos[0] = attno;
    x->expressions = ARENA_ARRAY(mem, struct expr *, 1);
    x->key_columns = key_columns(1, &p->column_types[attno - 1], descending);
    return x;
}

static void tables_new(bool descending)
{
    static const char *t_names[] = {"id", "grp", "name"};
    static const char *m_names[] = {"name", "shard", "row"};
    t = table_new(T_OID, "t", COLUMNS, (oid[]){TYPE_INT4, TYPE_INT4, TYPE_TEXT}, t_names, 3);
    t->not_null[C_ID] = true;
    t_key = index_set(t, 0, "t_pkey", 1, true, false);
    t_grp = index_set(t, 1, "t_grp_idx", 2, false, descending);
    struct plan_index *by_name = index_set(t, 2, "t_name_key", 3, true, false);
    by_name->file = 0;
    struct plan_table *m =
        table_new(M_OID, "t_name_map", 3, (oid[]){TYPE_TEXT, TYPE_INT4, TYPE_INT8}, m_names, 1);
    index_set(m, 0, "t_name_map_key", 1, true, false);
    by_name->map_table = m;
    t->check_count = 1;
    t->checks = ARENA_ARRAY(mem, struct plan_check, 1);
    t->checks[0].name = "t_grp_check";
    t->checks[0].expr = call2("int4ge", in(0, C_GRP, TYPE_INT4), k4(0));
}

struct create_files {
    uint32_t shard_no;
    struct txn_view view;
};
static SUSPENDS err_t create_files(void *arg)
{
    struct create_files *c = arg;
    struct shard *s = shard_local(c->shard_no);
    struct plan_table *m = t->indexes[2].map_table;
    TRY(shard_file_create_wait(s, &c->view, t->file, FILE_HEAP));
    TRY(shard_file_create_wait(s, &c->view, t_key->file, FILE_BTREE));
    TRY(shard_file_create_wait(s, &c->view, t_grp->file, FILE_BTREE));
    TRY(shard_file_create_wait(s, &c->view, m->file, FILE_HEAP));
    return shard_file_create_wait(s, &c->view, m->indexes[0].file, FILE_BTREE);
}

static SUSPENDS struct txn *begin(void)
{
    struct txn_options o = {.isolation = READ_COMMITTED, .synchronous_commit = true, .session = 1};
    struct txn *x = txn_begin(&o);
    txn_statement_begin(x);
    return x;
}

static SUSPENDS void create(void)
{
    struct txn *x = begin();
    for (uint32_t i = 0; i < shard_count(); i++) {
        struct create_files c = {.shard_no = i, .view = txn_view_make(x, i, true)};
        CHECK_OK(core_call_wait(shard_core(i), create_files, &c));
        txn_merge(x, i, &c.view);
    }
    CHECK_OK(txn_commit_wait(x));
}

#endif
