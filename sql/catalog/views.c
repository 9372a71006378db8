/*
 * SQL texts of the system views. Every name is qualified, so that a session's search_path does not
 * matter. Columns are in the order of the facts (attribute.tab) for pg_catalog, of the tables below
 * for information_schema.
 */
#include "sql/catalog/views.h"

#include <stddef.h>
#include <string.h>

struct system_view {
    const char *name;
    const char *sql;
};

/* Relations of user schemas, system schemas, or all: the statistics views come in three kinds. */
#define USER_ONLY                                                                                  \
    " AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE "           \
    "'pg\\_toast%'"
#define SYSTEM_ONLY                                                                                \
    " AND (n.nspname IN ('pg_catalog', 'information_schema') OR n.nspname LIKE 'pg\\_toast%')"

#define TABLE_STATISTICS                                                                           \
    "SELECT c.oid AS relid, n.nspname AS schemaname, c.relname,"                                   \
    " 0::bigint AS seq_scan, 0::bigint AS seq_tup_read, 0::bigint AS idx_scan,"                    \
    " 0::bigint AS idx_tup_fetch, 0::bigint AS n_tup_ins, 0::bigint AS n_tup_upd,"                 \
    " 0::bigint AS n_tup_del, 0::bigint AS n_tup_hot_upd,"                                         \
    " CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint ELSE 0::bigint END AS n_live_tup,"        \
    " 0::bigint AS n_dead_tup, 0::bigint AS n_mod_since_analyze,"                                  \
    " 0::bigint AS n_ins_since_vacuum, NULL::timestamptz AS last_vacuum,"                          \
    " NULL::timestamptz AS last_autovacuum, NULL::timestamptz AS last_analyze,"                    \
    " NULL::timestamptz AS last_autoanalyze, 0::bigint AS vacuum_count,"                           \
    " 0::bigint AS autovacuum_count, 0::bigint AS analyze_count, 0::bigint AS autoanalyze_count"   \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"         \
    " WHERE c.relkind IN ('r', 't', 'm')"

#define TABLE_IO                                                                                   \
    "SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, 0::bigint AS heap_blks_read,"      \
    " 0::bigint AS heap_blks_hit, 0::bigint AS idx_blks_read, 0::bigint AS idx_blks_hit,"          \
    " 0::bigint AS toast_blks_read, 0::bigint AS toast_blks_hit, 0::bigint AS tidx_blks_read,"     \
    " 0::bigint AS tidx_blks_hit"                                                                  \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"         \
    " WHERE c.relkind IN ('r', 't', 'm')"

#define INDEX_STATISTICS                                                                           \
    "SELECT c.oid AS relid, i.oid AS indexrelid, n.nspname AS schemaname, c.relname,"              \
    " i.relname AS indexrelname, 0::bigint AS idx_scan, 0::bigint AS idx_tup_read,"                \
    " 0::bigint AS idx_tup_fetch"                                                                  \
    " FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid"                 \
    " JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid"                                          \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 't', 'm')"

#define ROLE_COLUMNS                                                                               \
    "r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,"          \
    " r.rolreplication, r.rolconnlimit"

/* The array of the slot of this kind, whichever of the five it is. */
#define STATISTIC_SLOT(kind, column)                                                               \
    "CASE WHEN s.stakind1 = " kind " THEN s." column "1 WHEN s.stakind2 = " kind " THEN s." column \
    "2 WHEN s.stakind3 = " kind " THEN s." column "3 WHEN s.stakind4 = " kind " THEN s." column    \
    "4 WHEN s.stakind5 = " kind " THEN s." column "5 END"
#define STATISTIC_NUMBER(kind)                                                                     \
    "CASE WHEN s.stakind1 = " kind " THEN s.stanumbers1[1] WHEN s.stakind2 = " kind                \
    " THEN s.stanumbers2[1] WHEN s.stakind3 = " kind " THEN s.stanumbers3[1] END"

static const struct system_view views[] = {
    {"pg_available_extension_versions",
     "SELECT NULL::name AS name, NULL::text AS version, NULL::boolean AS installed, "
     "NULL::boolean AS superuser, NULL::boolean AS trusted, NULL::boolean AS "
     "relocatable, NULL::name AS schema, NULL::name[] AS requires, NULL::text AS "
     "comment WHERE false"},
    {"pg_available_extensions",
     "SELECT NULL::name AS name, NULL::text AS default_version, NULL::text AS "
     "installed_version, NULL::text AS comment WHERE false"},
    {"pg_group", "SELECT r.rolname AS groname, r.oid AS grosysid,"
                 " ARRAY(SELECT m.member FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid)"
                 " AS grolist FROM pg_catalog.pg_authid r WHERE NOT r.rolcanlogin"},
    {"pg_indexes", "SELECT n.nspname AS schemaname, c.relname AS tablename, i.relname AS indexname,"
                   " NULL::name AS tablespace, pg_catalog.pg_get_indexdef(i.oid) AS indexdef"
                   " FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid"
                   " JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid"
                   " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                   " WHERE c.relkind IN ('r', 'm', 'p') AND i.relkind IN ('i', 'I')"},
    {"pg_matviews",
     "SELECT n.nspname AS schemaname, c.relname AS matviewname,"
     " pg_catalog.pg_get_userbyid(c.relowner) AS matviewowner, NULL::name AS tablespace,"
     " c.relhasindex AS hasindexes, c.relispopulated AS ispopulated,"
     " pg_catalog.pg_get_viewdef(c.oid) AS definition"
     " FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
     " WHERE c.relkind = 'm'"},
    {"pg_policies", "SELECT NULL::name AS schemaname, NULL::name AS tablename, NULL::name AS "
                    "policyname, NULL::text AS permissive, NULL::name[] AS roles, NULL::text AS "
                    "cmd, NULL::text AS qual, NULL::text AS with_check WHERE false"},
    {"pg_publication_tables",
     "SELECT NULL::name AS pubname, NULL::name AS schemaname, NULL::name AS "
     "tablename, NULL::name[] AS attnames, NULL::text AS rowfilter WHERE false"},
    {"pg_replication_origin_status",
     "SELECT NULL::oid AS local_id, NULL::text AS external_id, NULL::pg_lsn AS "
     "remote_lsn, NULL::pg_lsn AS local_lsn WHERE false"},
    {"pg_replication_slots",
     "SELECT NULL::name AS slot_name, NULL::name AS plugin, NULL::text AS slot_type, "
     "NULL::oid AS datoid, NULL::name AS database, NULL::boolean AS temporary, "
     "NULL::boolean AS active, NULL::integer AS active_pid, NULL::xid AS xmin, "
     "NULL::xid AS catalog_xmin, NULL::pg_lsn AS restart_lsn, NULL::pg_lsn AS "
     "confirmed_flush_lsn, NULL::text AS wal_status, NULL::bigint AS safe_wal_size, "
     "NULL::boolean AS two_phase WHERE false"},
    {"pg_roles",
     "SELECT " ROLE_COLUMNS ", '********'::text AS rolpassword, r.rolvaliduntil, r.rolbypassrls,"
     " s.setconfig AS rolconfig, r.oid"
     " FROM pg_catalog.pg_authid r LEFT JOIN pg_catalog.pg_db_role_setting s"
     " ON s.setrole = r.oid AND s.setdatabase = 0::oid"},
    {"pg_rules", "SELECT n.nspname AS schemaname, c.relname AS tablename, r.rulename,"
                 " NULL::text AS definition"
                 " FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class"
                 " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                 " WHERE r.rulename <> '_RETURN'::name"},
    {"pg_seclabels",
     "SELECT NULL::oid AS objoid, NULL::oid AS classoid, NULL::integer AS objsubid, "
     "NULL::text AS objtype, NULL::oid AS objnamespace, NULL::text AS objname, "
     "NULL::text AS provider, NULL::text AS label WHERE false"},
    {"pg_sequences",
     "SELECT n.nspname AS schemaname, c.relname AS sequencename,"
     " pg_catalog.pg_get_userbyid(c.relowner) AS sequenceowner, s.seqtypid::regtype AS data_type,"
     " s.seqstart AS start_value, s.seqmin AS min_value, s.seqmax AS max_value,"
     " s.seqincrement AS increment_by, s.seqcycle AS cycle, s.seqcache AS cache_size,"
     " pg_catalog.pg_sequence_last_value(c.oid::regclass) AS last_value"
     " FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid"
     " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'"},
    {"pg_shadow",
     "SELECT r.rolname AS usename, r.oid AS usesysid, r.rolcreatedb AS usecreatedb,"
     " r.rolsuper AS usesuper, r.rolreplication AS userepl, r.rolbypassrls AS usebypassrls,"
     " r.rolpassword AS passwd, r.rolvaliduntil AS valuntil, s.setconfig AS useconfig"
     " FROM pg_catalog.pg_authid r LEFT JOIN pg_catalog.pg_db_role_setting s"
     " ON s.setrole = r.oid AND s.setdatabase = 0::oid WHERE r.rolcanlogin"},
    {"pg_stat_all_indexes", INDEX_STATISTICS},
    {"pg_stat_all_tables", TABLE_STATISTICS},
    {"pg_stat_gssapi",
     "SELECT NULL::integer AS pid, NULL::boolean AS gss_authenticated, NULL::text AS "
     "principal, NULL::boolean AS encrypted WHERE false"},
    {"pg_stat_sys_indexes", INDEX_STATISTICS SYSTEM_ONLY},
    {"pg_stat_sys_tables", TABLE_STATISTICS SYSTEM_ONLY},
    {"pg_stat_user_indexes", INDEX_STATISTICS USER_ONLY},
    {"pg_stat_user_tables", TABLE_STATISTICS USER_ONLY},
    {"pg_statio_all_tables", TABLE_IO},
    {"pg_statio_sys_tables", TABLE_IO SYSTEM_ONLY},
    {"pg_statio_user_tables", TABLE_IO USER_ONLY},
    /* clang-format off */
    {"pg_stats", "SELECT n.nspname AS schemaname, c.relname AS tablename, a.attname, s.stainherit"
     " AS inherited, s.stanullfrac AS null_frac, s.stawidth AS avg_width,"
     " s.stadistinct AS n_distinct, " STATISTIC_SLOT("1", "stavalues") " AS most_common_vals, "
     STATISTIC_SLOT("1", "stanumbers") " AS most_common_freqs, " STATISTIC_SLOT("2", "stavalues")
     " AS histogram_bounds, " STATISTIC_NUMBER("3") " AS correlation, "
     STATISTIC_SLOT("4", "stavalues") " AS most_common_elems, " STATISTIC_SLOT("4", "stanumbers")
     " AS most_common_elem_freqs, " STATISTIC_SLOT("5", "stanumbers")
     " AS elem_count_histogram FROM pg_catalog.pg_statistic s JOIN"
     " pg_catalog.pg_class c ON c.oid = s.starelid JOIN pg_catalog.pg_attribute a ON"
     " a.attrelid = c.oid AND a.attnum = s.staattnum LEFT JOIN"
     " pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT a.attisdropped"},
    /* clang-format on */
    {"pg_stats_ext", "SELECT NULL::name AS schemaname, NULL::name AS tablename, NULL::name AS "
                     "statistics_schemaname, NULL::name AS statistics_name, NULL::name AS "
                     "statistics_owner, NULL::name[] AS attnames, NULL::text[] AS exprs, "
                     "NULL::\"char\"[] AS kinds, NULL::boolean AS inherited, NULL::pg_ndistinct AS "
                     "n_distinct, NULL::pg_dependencies AS dependencies, NULL::text[] AS "
                     "most_common_vals, NULL::boolean[] AS most_common_val_nulls, NULL::double "
                     "precision[] AS most_common_freqs, NULL::double precision[] AS "
                     "most_common_base_freqs WHERE false"},
    {"pg_stats_ext_exprs",
     "SELECT NULL::name AS schemaname, NULL::name AS tablename, NULL::name AS "
     "statistics_schemaname, NULL::name AS statistics_name, NULL::name AS "
     "statistics_owner, NULL::text AS expr, NULL::boolean AS inherited, NULL::real "
     "AS null_frac, NULL::integer AS avg_width, NULL::real AS n_distinct, "
     "NULL::anyarray AS most_common_vals, NULL::real[] AS most_common_freqs, "
     "NULL::anyarray AS histogram_bounds, NULL::real AS correlation, NULL::anyarray "
     "AS most_common_elems, NULL::real[] AS most_common_elem_freqs, NULL::real[] AS "
     "elem_count_histogram WHERE false"},
    {"pg_tables",
     "SELECT n.nspname AS schemaname, c.relname AS tablename,"
     " pg_catalog.pg_get_userbyid(c.relowner) AS tableowner,"
     " CASE WHEN c.relisshared THEN 'pg_global'::name END AS tablespace,"
     " c.relhasindex AS hasindexes, c.relhasrules AS hasrules, c.relhastriggers AS hastriggers,"
     " c.relrowsecurity AS rowsecurity"
     " FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
     " WHERE c.relkind IN ('r', 'p')"},
    {"pg_user",
     "SELECT r.rolname AS usename, r.oid AS usesysid, r.rolcreatedb AS usecreatedb,"
     " r.rolsuper AS usesuper, r.rolreplication AS userepl, r.rolbypassrls AS usebypassrls,"
     " '********'::text AS passwd, r.rolvaliduntil AS valuntil, s.setconfig AS useconfig"
     " FROM pg_catalog.pg_authid r LEFT JOIN pg_catalog.pg_db_role_setting s"
     " ON s.setrole = r.oid AND s.setdatabase = 0::oid WHERE r.rolcanlogin"},
    {"pg_user_mappings",
     "SELECT NULL::oid AS umid, NULL::oid AS srvid, NULL::name AS srvname, NULL::oid "
     "AS umuser, NULL::name AS usename, NULL::text[] AS umoptions WHERE false"},
    {"pg_views",
     "SELECT n.nspname AS schemaname, c.relname AS viewname,"
     " pg_catalog.pg_get_userbyid(c.relowner) AS viewowner,"
     " pg_catalog.pg_get_viewdef(c.oid) AS definition"
     " FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
     " WHERE c.relkind = 'v'"},
};

/* ---- information_schema ---- */

#define CATALOG_NAME "pg_catalog.current_database()"
#define YES_NO(condition) "CASE WHEN " condition " THEN 'YES' ELSE 'NO' END::varchar"
#define RELATION_JOIN                                                                              \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"

const struct information_view information_views[] = {
    {13200, "schemata",
     "catalog_name:name schema_name:name schema_owner:name default_character_set_catalog:name "
     "default_character_set_schema:name default_character_set_name:name sql_path:varchar",
     "SELECT " CATALOG_NAME " AS catalog_name, n.nspname AS schema_name,"
     " pg_catalog.pg_get_userbyid(n.nspowner) AS schema_owner,"
     " NULL::name AS default_character_set_catalog, NULL::name AS default_character_set_schema,"
     " NULL::name AS default_character_set_name, NULL::varchar AS sql_path"
     " FROM pg_catalog.pg_namespace n"},
    {13204, "tables",
     "table_catalog:name table_schema:name table_name:name table_type:varchar "
     "self_referencing_column_name:name reference_generation:varchar "
     "user_defined_type_catalog:name user_defined_type_schema:name user_defined_type_name:name "
     "is_insertable_into:varchar is_typed:varchar commit_action:varchar",
     "SELECT " CATALOG_NAME " AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,"
     " CASE WHEN c.relpersistence = 't' THEN 'LOCAL TEMPORARY' WHEN c.relkind IN ('r', 'p') THEN"
     " 'BASE TABLE' WHEN c.relkind = 'v' THEN 'VIEW' ELSE 'FOREIGN' END::varchar AS table_type,"
     " NULL::name AS self_referencing_column_name, NULL::varchar AS reference_generation,"
     " NULL::name AS user_defined_type_catalog, NULL::name AS user_defined_type_schema,"
     " NULL::name AS user_defined_type_name,"
     " " YES_NO("c.relkind IN ('r', 'p')") " AS is_insertable_into, 'NO'::varchar AS is_typed,"
                                           " NULL::varchar AS commit_action" RELATION_JOIN
                                           " WHERE c.relkind IN ('r', 'v', 'f', 'p') AND n.nspname "
                                           "NOT LIKE 'pg\\_toast%'"},
    {13208, "columns",
     "table_catalog:name table_schema:name table_name:name column_name:name ordinal_position:int4 "
     "column_default:varchar is_nullable:varchar data_type:varchar character_maximum_length:int4 "
     "character_octet_length:int4 numeric_precision:int4 numeric_precision_radix:int4 "
     "numeric_scale:int4 datetime_precision:int4 interval_type:varchar interval_precision:int4 "
     "character_set_catalog:name character_set_schema:name character_set_name:name "
     "collation_catalog:name collation_schema:name collation_name:name domain_catalog:name "
     "domain_schema:name domain_name:name udt_catalog:name udt_schema:name udt_name:name "
     "scope_catalog:name scope_schema:name scope_name:name maximum_cardinality:int4 "
     "dtd_identifier:name is_self_referencing:varchar is_identity:varchar "
     "identity_generation:varchar identity_start:varchar identity_increment:varchar "
     "identity_maximum:varchar identity_minimum:varchar identity_cycle:varchar "
     "is_generated:varchar generation_expression:varchar is_updatable:varchar",
     "SELECT " CATALOG_NAME " AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,"
     " a.attname AS column_name, a.attnum::int4 AS ordinal_position,"
     " pg_catalog.pg_get_expr(d.adbin, d.adrelid)::varchar AS column_default,"
     " " YES_NO(
         "NOT a.attnotnull") " AS is_nullable,"
                             " CASE WHEN t.typelem <> 0::oid AND t.typlen = -1 THEN 'ARRAY'"
                             " ELSE pg_catalog.format_type(a.atttypid, NULL::int4) END::varchar AS "
                             "data_type,"
                             " CASE WHEN a.atttypid IN (1042::oid, 1043::oid) AND a.atttypmod <> -1"
                             " THEN a.atttypmod - 4 END AS character_maximum_length,"
                             " CASE WHEN a.atttypid IN (25::oid, 1042::oid, 1043::oid) THEN"
                             " CASE WHEN a.atttypid <> 25::oid AND a.atttypmod <> -1 THEN "
                             "(a.atttypmod - 4) * 4"
                             " ELSE 1073741824 END END AS character_octet_length,"
                             " CASE a.atttypid WHEN 21::oid THEN 16 WHEN 23::oid THEN 32 WHEN "
                             "20::oid THEN 64"
                             " WHEN 700::oid THEN 24 WHEN 701::oid THEN 53"
                             " WHEN 1700::oid THEN CASE WHEN a.atttypmod <> -1 THEN (a.atttypmod - "
                             "4) / 65536 END END"
                             " AS numeric_precision,"
                             " CASE WHEN a.atttypid IN (20::oid, 21::oid, 23::oid, 700::oid, "
                             "701::oid) THEN 2"
                             " WHEN a.atttypid = 1700::oid THEN 10 END AS numeric_precision_radix,"
                             " CASE WHEN a.atttypid IN (20::oid, 21::oid, 23::oid) THEN 0"
                             " WHEN a.atttypid = 1700::oid AND a.atttypmod <> -1 THEN (a.atttypmod "
                             "- 4) % 65536 END"
                             " AS numeric_scale,"
                             " CASE WHEN a.atttypid = 1082::oid THEN 0"
                             " WHEN a.atttypid IN (1083::oid, 1114::oid, 1184::oid, 1186::oid, "
                             "1266::oid) THEN"
                             " CASE WHEN a.atttypmod < 0 THEN 6 ELSE a.atttypmod END END AS "
                             "datetime_precision,"
                             " NULL::varchar AS interval_type, NULL::int4 AS interval_precision,"
                             " NULL::name AS character_set_catalog, NULL::name AS "
                             "character_set_schema,"
                             " NULL::name AS character_set_name, NULL::name AS collation_catalog,"
                             " NULL::name AS collation_schema, NULL::name AS collation_name, "
                             "NULL::name AS domain_catalog,"
                             " NULL::name AS domain_schema, NULL::name AS "
                             "domain_name, " CATALOG_NAME " AS udt_catalog,"
                             " tn.nspname AS udt_schema, t.typname AS udt_name, NULL::name AS "
                             "scope_catalog,"
                             " NULL::name AS scope_schema, NULL::name AS scope_name, NULL::int4 AS "
                             "maximum_cardinality,"
                             " a.attnum::text::name AS dtd_identifier, 'NO'::varchar AS "
                             "is_self_referencing,"
                             " " YES_NO(
                                 "a.attidentity IN ('a', 'd')") " AS is_identity,"
                                                                " CASE a.attidentity WHEN 'a' THEN "
                                                                "'ALWAYS' WHEN 'd' THEN 'BY "
                                                                "DEFAULT' END::varchar"
                                                                " AS identity_generation, "
                                                                "NULL::varchar AS identity_start, "
                                                                "NULL::varchar AS"
                                                                " identity_increment, "
                                                                "NULL::varchar AS "
                                                                "identity_maximum, NULL::varchar "
                                                                "AS identity_minimum,"
                                                                " 'NO'::varchar AS identity_cycle, "
                                                                "'NEVER'::varchar AS is_generated,"
                                                                " NULL::varchar AS "
                                                                "generation_expression,"
                                                                " " YES_NO("c.relkind IN ('r', "
                                                                           "'p')") " AS "
                                                                                   "is_updatable"
                                                                                   " FROM "
                                                                                   "pg_catalog.pg_"
                                                                                   "attribute a "
                                                                                   "JOIN "
                                                                                   "pg_catalog.pg_"
                                                                                   "class c ON "
                                                                                   "c.oid = "
                                                                                   "a.attrelid"
                                                                                   " JOIN "
                                                                                   "pg_catalog.pg_"
                                                                                   "namespace n ON "
                                                                                   "n.oid = "
                                                                                   "c.relnamespace"
                                                                                   " JOIN "
                                                                                   "pg_catalog.pg_"
                                                                                   "type t ON "
                                                                                   "t.oid = "
                                                                                   "a.atttypid"
                                                                                   " JOIN "
                                                                                   "pg_catalog.pg_"
                                                                                   "namespace tn "
                                                                                   "ON tn.oid = "
                                                                                   "t.typnamespace"
                                                                                   " LEFT JOIN "
                                                                                   "pg_catalog.pg_"
                                                                                   "attrdef d ON "
                                                                                   "d.adrelid = "
                                                                                   "a.attrelid AND "
                                                                                   "d.adnum = "
                                                                                   "a.attnum"
                                                                                   " WHERE "
                                                                                   "a.attnum > 0 "
                                                                                   "AND NOT "
                                                                                   "a.attisdropped "
                                                                                   "AND c.relkind "
                                                                                   "IN ('r', 'v', "
                                                                                   "'f', 'p')"},
    {13212, "table_constraints",
     "constraint_catalog:name constraint_schema:name constraint_name:name table_catalog:name "
     "table_schema:name table_name:name constraint_type:varchar is_deferrable:varchar "
     "initially_deferred:varchar enforced:varchar nulls_distinct:varchar",
     "SELECT " CATALOG_NAME " AS constraint_catalog, cn.nspname AS constraint_schema,"
     " k.conname AS constraint_name, " CATALOG_NAME " AS table_catalog,"
     " n.nspname AS table_schema, c.relname AS table_name,"
     " CASE k.contype WHEN 'c' THEN 'CHECK' WHEN 'f' THEN 'FOREIGN KEY' WHEN 'p' THEN"
     " 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END::varchar AS constraint_type,"
     " " YES_NO(
         "k.condeferrable") " AS is_deferrable,"
                            " " YES_NO(
                                "k.condeferred") " AS initially_deferred, 'YES'::varchar AS "
                                                 "enforced,"
                                                 " CASE WHEN k.contype = 'u' THEN 'YES' "
                                                 "END::varchar AS nulls_distinct"
                                                 " FROM pg_catalog.pg_constraint k JOIN "
                                                 "pg_catalog.pg_namespace cn"
                                                 " ON cn.oid = k.connamespace JOIN "
                                                 "pg_catalog.pg_class c ON c.oid = k.conrelid"
                                                 " JOIN pg_catalog.pg_namespace n ON n.oid = "
                                                 "c.relnamespace"
                                                 " WHERE k.contype IN ('c', 'f', 'p', 'u') AND "
                                                 "c.relkind IN ('r', 'p')"},
    {13216, "key_column_usage",
     "constraint_catalog:name constraint_schema:name constraint_name:name table_catalog:name "
     "table_schema:name table_name:name column_name:name ordinal_position:int4 "
     "position_in_unique_constraint:int4",
     "SELECT " CATALOG_NAME " AS constraint_catalog, cn.nspname AS constraint_schema,"
     " k.conname AS constraint_name, " CATALOG_NAME " AS table_catalog,"
     " n.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name,"
     " x.n::int4 AS ordinal_position, NULL::int4 AS position_in_unique_constraint"
     " FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace cn"
     " ON cn.oid = k.connamespace JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"
     " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
     " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
     " JOIN pg_catalog.generate_series(1, 32) AS x(n) ON k.conkey[x.n] = a.attnum"
     " WHERE k.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p') AND NOT a.attisdropped"},
    {13220, "views",
     "table_catalog:name table_schema:name table_name:name view_definition:varchar "
     "check_option:varchar is_updatable:varchar is_insertable_into:varchar "
     "is_trigger_updatable:varchar is_trigger_deletable:varchar is_trigger_insertable_into:varchar",
     "SELECT " CATALOG_NAME " AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,"
     " pg_catalog.pg_get_viewdef(c.oid)::varchar AS view_definition,"
     " 'NONE'::varchar AS check_option, 'NO'::varchar AS is_updatable,"
     " 'NO'::varchar AS is_insertable_into, 'NO'::varchar AS is_trigger_updatable,"
     " 'NO'::varchar AS is_trigger_deletable,"
     " 'NO'::varchar AS is_trigger_insertable_into" RELATION_JOIN " WHERE c.relkind = 'v'"},
    {13224, "sequences",
     "sequence_catalog:name sequence_schema:name sequence_name:name data_type:varchar "
     "numeric_precision:int4 numeric_precision_radix:int4 numeric_scale:int4 start_value:varchar "
     "minimum_value:varchar maximum_value:varchar increment:varchar cycle_option:varchar",
     "SELECT " CATALOG_NAME " AS sequence_catalog, n.nspname AS sequence_schema,"
     " c.relname AS sequence_name,"
     " pg_catalog.format_type(s.seqtypid, NULL::int4)::varchar AS data_type,"
     " CASE s.seqtypid WHEN 21::oid THEN 16 WHEN 23::oid THEN 32 ELSE 64 END AS"
     " numeric_precision, 2 AS numeric_precision_radix, 0 AS numeric_scale,"
     " s.seqstart::varchar AS start_value, s.seqmin::varchar AS minimum_value,"
     " s.seqmax::varchar AS maximum_value, s.seqincrement::varchar AS increment,"
     " " YES_NO("s.seqcycle") " AS cycle_option"
                              " FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid "
                              "= s.seqrelid"
                              " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"},
    {0, NULL, NULL, NULL},
};

const char *views_system_sql(const char *name)
{
    size_t low = 0;
    size_t high = sizeof(views) / sizeof(views[0]);
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = strcmp(views[mid].name, name);
        if (c == 0)
            return views[mid].sql;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
