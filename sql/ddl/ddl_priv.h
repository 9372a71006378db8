/*
 * Shared by the files of sql/ddl. Every function works inside the session's transaction; memory of
 * a statement comes from ctx->mem.
 */
#ifndef SQL_DDL_DDL_PRIV_H
#define SQL_DDL_DDL_PRIV_H

#include "core/core.h"
#include "sql/catalog/cache.h"
#include "sql/ddl/ddl.h"
#include "sql/exec/exec.h"
#include "sql/exec/writer.h"
#include "sql/types/quote.h"

/* ---- object.c: names, locks, notices, rights ---- */

void ddl_notice(struct ddl_context *x, const char *format, ...) PRINTF_LIKE(2, 3);
/* "... already exists, skipping" carries the code that the error would have had. */
void ddl_notice_code(struct ddl_context *x, err_t code, const char *format, ...) PRINTF_LIKE(3, 4);
void ddl_notice_detail(struct ddl_context *x, const char *message, const char *detail);
/* The error's position in the statement's text. Returns e. */
err_t ddl_error_at(struct ddl_context *x, int32_t location, err_t e);
void ddl_warning(struct ddl_context *x, err_t code, const char *format, ...) PRINTF_LIKE(3, 4);
SUSPENDS err_t ddl_lock_wait(struct ddl_context *x, oid relation, enum table_lock_mode mode);
/* Where a new object of this name goes. */
SUSPENDS err_t ddl_creation_schema_wait(struct ddl_context *x, const struct ddl_name *n,
                                        oid *schema, const char **schema_name, char *persistence);
/* Any relation by name, locked in mode; *out NULL when there is none. Release it. */
SUSPENDS err_t ddl_open_wait(struct ddl_context *x, const struct ddl_name *n,
                             enum table_lock_mode mode, const struct table_desc **out);
/* An index by name: its table (held) and position; *out NULL when there is none. */
SUSPENDS err_t ddl_open_index_wait(struct ddl_context *x, const struct ddl_name *n,
                                   enum table_lock_mode mode, const struct table_desc **out,
                                   uint32_t *position);
const char *ddl_kind_name(char kind); /* "table", "view" ... */
const char *ddl_name_text(struct arena *mem, const struct ddl_name *n);
/* ERR_UNDEFINED_TABLE in PostgreSQL's words for the kind of object. */
err_t ddl_missing(struct ddl_context *x, const struct ddl_name *n, const char *kind);
/* Must be the owner (or a superuser), and not a system catalog. */
SUSPENDS err_t ddl_check_owner_wait(struct ddl_context *x, const struct table_desc *t);
SUSPENDS err_t ddl_check_index_owner_wait(struct ddl_context *x, const struct table_desc *t,
                                          uint32_t position);
SUSPENDS err_t ddl_role_oid_wait(struct ddl_context *x, const struct ddl_role *r, oid *out);
SUSPENDS err_t ddl_role_named_wait(struct ddl_context *x, const char *name, oid *out);
err_t ddl_must_be_superuser(struct ddl_context *x, const char *action);
/* name1_name2_label, shortened to 63 bytes; then a number until no relation of the schema has it.
 */
const char *ddl_object_name(struct arena *mem, const char *name1, const char *name2,
                            const char *label);
SUSPENDS err_t ddl_free_name_wait(struct ddl_context *x, oid schema, const char *name1,
                                  const char *name2, const char *label, const char **out);
SUSPENDS err_t ddl_relation_exists_wait(struct ddl_context *x, oid schema, const char *name,
                                        bool *exists);
struct analyze_options ddl_analyze_options(struct ddl_context *x);
struct plan_options ddl_plan_options(struct ddl_context *x);
const char *ddl_option_find(const struct ddl_option *options, uint32_t count, const char *name);
bool ddl_option_true(const char *value);

/* ---- shards.c: work on all shards at once ---- */

struct shard_work {
    struct core_call call;
    uint32_t shard;
    struct txn_view view;
    void *arg;
    err_t (*fn)(struct shard_work *w);
};
/* fn runs on each shard's core in a fiber; all are joined; the first error counts. */
SUSPENDS err_t ddl_on_shards_wait(struct ddl_context *x, err_t (*fn)(struct shard_work *w),
                                  void *arg);
struct ddl_file {
    file_id file;
    enum file_kind kind;
};
SUSPENDS err_t ddl_files_create_wait(struct ddl_context *x, const struct ddl_file *files,
                                     uint32_t count);
SUSPENDS err_t ddl_files_drop_wait(struct ddl_context *x, const struct ddl_file *files,
                                   uint32_t count);
/* Bytes of a file over all shards, and its estimated rows. */
SUSPENDS err_t ddl_file_size_wait(struct ddl_context *x, file_id file, uint64_t *bytes,
                                  uint64_t *rows);

/* ---- rows.c: catalog rows of new objects ---- */

struct class_row {
    oid oid;
    const char *name;
    oid schema;
    oid row_type;
    oid owner;
    oid am;
    oid file;
    char persistence;
    char kind;
    int16_t columns;
    int16_t checks;
    bool has_index;
    bool has_rules;
    const char *const *options;
    uint32_t option_count;
};
err_t rows_class(struct catalog_writer *w, struct arena *mem, const struct class_row *c);
/* default_given: atthasdef. missing: ADD COLUMN's value for old rows, NULL none. */
struct attribute_row {
    oid relation;
    const char *name;
    oid type;
    int32_t typmod;
    oid collation;
    int16_t number;
    int16_t dimensions;
    bool not_null;
    bool has_default;
    char identity;
    bool has_missing;
    bool missing_is_null;
    datum missing;
};
err_t rows_attribute(struct catalog_writer *w, struct arena *mem, const struct attribute_row *a);
err_t rows_system_attributes(struct catalog_writer *w, struct arena *mem, oid relation);
err_t rows_depend(struct catalog_writer *w, struct arena *mem, oid class, oid object, int32_t sub,
                  oid ref_class, oid ref_object, int32_t ref_sub, char type);
err_t rows_types(struct catalog_writer *w, struct arena *mem, oid row_type, oid array_type,
                 const char *name, oid schema, oid owner, oid relation);
err_t rows_attrdef(struct catalog_writer *w, struct arena *mem, oid object, oid relation,
                   int16_t number, const char *text);
err_t rows_distribution(struct catalog_writer *w, struct arena *mem, oid relation, char kind,
                        const int16_t *keys, uint32_t count, oid map);
struct constraint_row {
    oid oid;
    const char *name;
    oid schema;
    char type;
    bool deferrable, deferred, validated, no_inherit;
    oid relation;
    oid index;
    const int16_t *columns;
    uint32_t column_count;
    const char *check_sql;
    const struct foreign_row *foreign; /* type f */
};
struct foreign_row {
    oid target;
    const int16_t *columns;  /* of target */
    const oid *target_equal; /* target = referencing, per column */
    const oid *both_target;
    const oid *both_own;
    char update_action;
    char delete_action;
    char match;
    uint32_t delete_column_count;
    const int16_t *delete_columns;
};
/* One of the internal triggers of a foreign key. */
struct trigger_row {
    oid oid;
    oid relation;
    const char *name;
    oid function;
    int16_t type; /* TRIGGER_TYPE bits */
    oid other;    /* the relation at the other end */
    oid index;
    oid constraint;
    bool deferrable, deferred;
};
err_t rows_trigger(struct catalog_writer *w, struct arena *mem, const struct trigger_row *t);
err_t rows_constraint(struct catalog_writer *w, struct arena *mem, const struct constraint_row *c);
/* A copy of a row's values, to be changed and given to catalog_replace. */
void rows_copy(struct arena *mem, const struct catalog_row *row, uint32_t columns, datum **values,
               bool **nulls);
/* The one row with this key; ERR_INTERNAL_ERROR "cache lookup failed ..." otherwise. */
SUSPENDS err_t rows_get_wait(struct ddl_context *x, oid relation, oid index, uint32_t key_count,
                             datum key0, datum key1, struct catalog_row *out);
/* Read one row, change one value, write. */
SUSPENDS err_t rows_set_wait(struct ddl_context *x, oid relation, oid index, uint32_t key_count,
                             datum key0, datum key1, int column, datum value, bool is_null);

/* ---- expression.c: stored expressions ---- */

/* Canonical text of an expression over the table's columns (type 0 = as it comes). sequences (may
 * be NULL) gets the oids that nextval(...) names. */
struct ddl_expression {
    struct expr *expr; /* columns are EXPR_COLUMN of rte 0 */
    const char *text;
    uint32_t column_count;
    int16_t *columns; /* used, each once */
    uint32_t sequence_count;
    oid *sequences;
    bool is_volatile;
};
SUSPENDS err_t ddl_expression_wait(struct ddl_context *x, const struct table_desc *t,
                                   const char *text, oid type, int32_t typmod,
                                   struct ddl_expression *out);
/* Prints an analysed expression with the column names of t; regclass constants by OID. */
SUSPENDS err_t ddl_expression_text_wait(struct ddl_context *x, const struct table_desc *t,
                                        const struct expr *e, const char **out);
/* Over a row's slot (EXPR_INPUT 0), ready for expr_compile. */
SUSPENDS err_t ddl_expression_over_row_wait(struct ddl_context *x, const struct expr *e,
                                            struct expr **out);

/* ---- build.c, rewrite.c: moving rows ---- */

/* Fill the empty index files of these indexes of a table from its rows, on all shards; a global
 * unique index's map table too. */
SUSPENDS err_t ddl_build_index_wait(struct ddl_context *x, oid table, oid index);
/* The same beside writers that all keep the index: brings in what the statement's snapshot sees and
 * is not there. Durable when it returns. */
SUSPENDS err_t ddl_fill_index_wait(struct ddl_context *x, oid table, oid index);
/* The rows of the old table go into new files as the new descriptor says. computed: one expression
 * per column over the old row, NULL = the column itself. */
struct rewrite {
    const struct plan_table *from;
    const struct plan_table *to;     /* new layout, file, distribution */
    struct expr **computed;          /* NULL: none; else to->column_count entries */
    const struct plan_index *map_of; /* to is the map table of this index of from */
    bool beside_writers;             /* map_of: what the snapshot sees is brought in, checked */
    bool check_not_null;
    bool on_session_core; /* an expression needs the session (nextval) */
};
/* A stored row's first columns; columns added after it was written have their missing value. */
void ddl_row_read(const struct plan_table *t, const uint8_t *row, uint32_t columns, datum *values,
                  bool *nulls);
SUSPENDS err_t ddl_rewrite_wait(struct ddl_context *x, const struct rewrite *r);
/* The keys of stored rows in one index. */
struct key_maker {
    const struct plan_table *t;
    const struct plan_index *x;
    struct program **programs; /* per key column; NULL = plain column */
    struct program *predicate;
    uint32_t columns_needed;
    datum *values;
    bool *nulls;
    struct slot slot;
    struct eval eval;
    struct strbuf key;
};
/* k->eval.mem is an arena of its own: to be freed, also after an error. */
err_t key_maker_init(struct key_maker *k, const struct plan_table *t, const struct plan_index *x,
                     const struct session_env *env, struct arena *mem);
/* Of the key at hand, in PostgreSQL's words. */
err_t ddl_duplicate_error(const struct plan_table *t, const struct plan_index *x,
                          const struct session_env *env, const struct key_maker *k,
                          struct arena *mem);
/* k->key, k->values, k->nulls. *skip: the predicate leaves the row out. */
SUSPENDS err_t key_make_wait(struct key_maker *k, const uint8_t *row, bool *skip, bool *has_null);
/* Every row satisfies the condition (CHECK, NOT NULL): else the error that fn raises. */
SUSPENDS err_t ddl_validate_check_wait(struct ddl_context *x, const struct plan_table *t,
                                       const struct expr *condition, bool *ok);

/* ---- sort.c: external sort of index keys on one core ---- */
struct key_sort;
struct key_sort *key_sort_new(uint64_t budget_bytes);
SUSPENDS err_t key_sort_add_wait(struct key_sort *s, const void *key, uint32_t len, row_id id,
                                 bool has_null);
SUSPENDS err_t key_sort_finish_wait(struct key_sort *s);
/* *key NULL at the end. Valid until the next call. */
SUSPENDS err_t key_sort_next_wait(struct key_sort *s, const uint8_t **key, uint32_t *len,
                                  row_id *id, bool *has_null);
SUSPENDS void key_sort_free_wait(struct key_sort *s);

/* ---- statements ---- */
SUSPENDS err_t ddl_create_table_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_create_table_as_run_wait(struct ddl_context *x, const struct ddl *d,
                                            const char **tag);
SUSPENDS err_t ddl_create_index_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_alter_table_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_rename_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_set_schema_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_owner_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_drop_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_create_schema_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_sequence_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_create_view_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_truncate_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_comment_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_role_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_grant_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_setting_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_database_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_vacuum_run_wait(struct ddl_context *x, const struct ddl *d);
SUSPENDS err_t ddl_reindex_run_wait(struct ddl_context *x, const struct ddl *d);
/* database.c. A database's row, locked so that till the transaction ends no session enters it
 * (mode: TABLE_SHARE and up). */
SUSPENDS err_t ddl_database_lock_wait(struct ddl_context *x, const char *name,
                                      enum table_lock_mode mode, struct catalog_row *row,
                                      bool *found);
/* ERR_OBJECT_IN_USE unless all other sessions have left the database within five
 * seconds; what: "database", "source database". */
SUSPENDS err_t ddl_database_unused_wait(struct ddl_context *x, oid database, const char *what,
                                        const char *name);
SUSPENDS err_t ddl_analyze_table_wait(struct ddl_context *x, oid table, const char *const *columns,
                                      uint32_t column_count);

/* ---- parts used by several statements ---- */

/* table.c: a table without constraints; files made. */
struct table_request {
    const char *name;
    oid schema;
    const char *schema_name;
    char persistence;
    char kind;
    oid owner;
    uint32_t column_count;
    struct ddl_column *columns; /* default_sql, serial and identity are handled after */
    char distribution;          /* h k r */
    uint32_t key_count;
    int16_t keys[32];
    const char *const *options;
    uint32_t option_count;
    bool no_row_type;
};
SUSPENDS err_t ddl_make_table_wait(struct ddl_context *x, const struct table_request *r, oid *out);
/* Stores a column's default (text NULL: removes it). */
SUSPENDS err_t ddl_set_default_wait(struct ddl_context *x, oid table, int16_t number,
                                    const char *text);
/* Serial and identity columns: sequence, ownership, default. */
SUSPENDS err_t ddl_column_sequence_wait(struct ddl_context *x, oid table, int16_t number,
                                        const struct ddl_column *c);
/* constraint.c */
SUSPENDS err_t ddl_add_constraint_wait(struct ddl_context *x, oid table,
                                       const struct ddl_constraint *c, bool is_new_table);
/* foreign.c */
SUSPENDS err_t ddl_add_foreign_key_wait(struct ddl_context *x, const struct table_desc *t,
                                        const struct ddl_constraint *c, bool is_new_table);
SUSPENDS err_t ddl_validate_foreign_key_wait(struct ddl_context *x, oid table, oid constraint);
SUSPENDS err_t ddl_alter_constraint_wait(struct ddl_context *x, oid table,
                                         const struct ddl_constraint *c);
/* A column has another type: the foreign keys at both ends are compared and checked anew. */
SUSPENDS err_t ddl_retype_foreign_keys_wait(struct ddl_context *x, oid table, int16_t number);
/* 55006 while the table's foreign keys have deferred work. what: "ALTER TABLE" ... */
err_t ddl_check_not_pending(const struct ddl_context *x, const struct table_desc *t,
                            const char *what);
/* 23505's cousin: another constraint of the table has the name. */
SUSPENDS err_t ddl_constraint_name_free_wait(struct ddl_context *x, const struct table_desc *t,
                                             const char *name);
SUSPENDS err_t ddl_set_not_null_wait(struct ddl_context *x, oid table, int16_t number,
                                     bool validate);
/* index.c */
struct index_request {
    oid table;
    const char *name; /* NULL: chosen */
    bool is_unique, is_primary, nulls_not_distinct, is_constraint;
    bool deferrable;
    uint32_t item_count; /* with include at the end */
    uint32_t key_count;
    const struct ddl_index_item *items;
    const char *predicate;
    const struct ddl_option *options;
    uint32_t option_count;
    bool is_new_table; /* nothing to build */
    bool is_invalid;   /* to be kept by writers, not used yet, not built here */
    const char *label; /* of a chosen name: "idx", "key", "pkey" */
};
SUSPENDS err_t ddl_make_index_wait(struct ddl_context *x, const struct index_request *r, oid *out);
/* The unique index becomes that of a deferrable constraint. */
SUSPENDS err_t ddl_index_deferrable_wait(struct ddl_context *x, oid index);
struct index_flags {
    bool valid, ready, live;
};
SUSPENDS err_t ddl_index_flags_wait(struct ddl_context *x, oid index, const struct index_flags *f);
/* Two unique indexes of one table get each other's map table, if they have any. */
SUSPENDS err_t ddl_swap_maps_wait(struct ddl_context *x, oid index, oid other);
/* An index's keys and included columns, column_count items, to make another one like it. */
void ddl_items_of_index(struct ddl_context *x, const struct table_desc *t,
                        const struct index_desc *d, struct ddl_index_item *items);
/* concurrent.c: in transactions of their own, while the statement's holds SHARE UPDATE EXCLUSIVE on
 * the table and nothing else. Not in a transaction block, not for temporary tables. */
SUSPENDS err_t ddl_create_index_concurrently_wait(struct ddl_context *x,
                                                  const struct index_request *r);
SUSPENDS err_t ddl_drop_index_concurrently_wait(struct ddl_context *x, oid table, oid index);
/* index 0: all of the table. */
SUSPENDS err_t ddl_reindex_concurrently_wait(struct ddl_context *x, oid table, oid index);
/* sequence.c */
struct sequence_request {
    const char *name;
    oid schema;
    oid owner;
    char persistence;
    oid type;
    const struct ddl_sequence_options *options;
};
SUSPENDS err_t ddl_make_sequence_wait(struct ddl_context *x, const struct sequence_request *r,
                                      oid *out);
SUSPENDS err_t ddl_sequence_restart_wait(struct ddl_context *x, oid sequence);
/* What ALTER SEQUENCE does, but ownership. */
SUSPENDS err_t ddl_change_sequence_wait(struct ddl_context *x, oid sequence,
                                        const struct ddl_sequence_options *o);
/* table.c: columns that every table has; storage options of tables, names and values. */
bool ddl_is_system_column(const char *name);
err_t ddl_storage_option_check(const struct ddl_option *o);
/* alter.c: moves a table into new files as its catalog rows (already changed) say. old_columns:
 * computed by the caller from the old descriptor. */
SUSPENDS err_t ddl_redistribute_wait(struct ddl_context *x, oid table, char kind,
                                     const int16_t *keys, uint32_t key_count);
/* drop.c */
struct drop_object {
    oid class;
    oid object;
    int32_t sub;
};
SUSPENDS err_t ddl_drop_objects_wait(struct ddl_context *x, const struct drop_object *objects,
                                     uint32_t count, bool cascade, bool quiet);
SUSPENDS err_t ddl_object_text_wait(struct ddl_context *x, oid class, oid object, int32_t sub,
                                    const char **out);
/* schema.c */
SUSPENDS err_t ddl_make_schema_wait(struct ddl_context *x, const char *name, oid owner, oid *out);
SUSPENDS err_t ddl_temp_schema_wait(struct ddl_context *x, oid *schema, const char **name);
/* truncate.c */
SUSPENDS err_t ddl_truncate_table_wait(struct ddl_context *x, oid table, bool restart);

/* ---- views (view.c) ---- */

/* define_printers.view. */
SUSPENDS err_t ddl_view_show(struct catalog_session *cs, const struct table_desc *t, bool pretty,
                             struct arena *mem, const char **out);
/* Around the renaming, adding or dropping of a column: the views that read the table, and are there
 * afterwards, are written anew. Dropped: 0A000 where one counts columns through. */
struct ddl_view_change;
SUSPENDS err_t ddl_views_before_change_wait(struct ddl_context *x, oid table,
                                            struct ddl_view_change **out);
SUSPENDS err_t ddl_views_after_change_wait(struct ddl_context *x, struct ddl_view_change *list,
                                           bool is_dropped);
/* As ddl_views_before_change_wait, and 0A000 for a new column of a table where views count columns
 * through, or find one of another table by its name. */
SUSPENDS err_t ddl_views_before_add_wait(struct ddl_context *x, oid table, const char *name,
                                         struct ddl_view_change **out);

#endif
