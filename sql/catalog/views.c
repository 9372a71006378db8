/*
 * SQL texts of the system views. Every name is qualified, so that a session's search_path does not
 * matter. Columns are in the order of the facts (attribute.tab).
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
