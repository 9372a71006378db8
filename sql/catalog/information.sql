-- information_schema, written for this project from the SQL standard's and PostgreSQL 15's descriptions of its views.
--
-- view OID NAME, then a line per column: name type [= expression; without one it is null], then FROM and WHERE up to a
-- line with a semicolon. {catalog} stands for the database's name. Names without schema are pg_catalog's.

view 13200 schemata
  catalog_name name = {catalog}
  schema_name name = n.nspname
  schema_owner name = pg_get_userbyid(n.nspowner)
  default_character_set_catalog name
  default_character_set_schema name
  default_character_set_name name
  sql_path varchar
FROM pg_namespace n
WHERE pg_has_role(n.nspowner, 'USAGE') OR has_schema_privilege(n.oid, 'CREATE, USAGE')
;

view 13204 tables
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  table_type varchar = CASE WHEN n.oid = pg_my_temp_schema() THEN 'LOCAL TEMPORARY' WHEN c.relkind IN ('r', 'p') THEN
      'BASE TABLE' WHEN c.relkind = 'v' THEN 'VIEW' WHEN c.relkind = 'f' THEN 'FOREIGN' END
  self_referencing_column_name name
  reference_generation varchar
  user_defined_type_catalog name
  user_defined_type_schema name
  user_defined_type_name name
  is_insertable_into varchar = CASE WHEN c.relkind IN ('r', 'p') THEN 'YES' ELSE 'NO' END
  is_typed varchar = 'NO'
  commit_action varchar = NULL::varchar
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'f', 'p') AND NOT pg_is_other_temp_schema(n.oid)
  AND (pg_has_role(c.relowner, 'USAGE') OR has_table_privilege(c.oid,
      'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR has_any_column_privilege(c.oid,
      'SELECT, INSERT, UPDATE, REFERENCES'))
;

view 13208 columns
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  column_name name = a.attname
  ordinal_position int4 = a.attnum
  column_default varchar = CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END
  is_nullable varchar = CASE WHEN NOT (a.attnotnull OR t.typtype = 'd' AND t.typnotnull) THEN 'YES' ELSE 'NO' END
  data_type varchar = CASE WHEN t.typtype = 'd' THEN CASE WHEN b.typelem <> 0 AND b.typlen = -1 THEN 'ARRAY' WHEN
      bn.nspname = 'pg_catalog' THEN format_type(b.oid, NULL) ELSE 'USER-DEFINED' END WHEN t.typelem <> 0 AND t.typlen
      = -1 THEN 'ARRAY' WHEN tn.nspname = 'pg_catalog' THEN format_type(t.oid, NULL) ELSE 'USER-DEFINED' END
  character_maximum_length int4 = CASE WHEN coalesce(b.oid, t.oid) IN (1042, 1043) AND (CASE WHEN t.typtype = 'd' THEN
      t.typtypmod ELSE a.atttypmod END) <> -1 THEN (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) -
      4 WHEN coalesce(b.oid, t.oid) IN (1560, 1562) AND (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod
      END) <> -1 THEN (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) END
  character_octet_length int4 = CASE WHEN coalesce(b.oid, t.oid) IN (1042, 1043) AND (CASE WHEN t.typtype = 'd' THEN
      t.typtypmod ELSE a.atttypmod END) <> -1 THEN ((CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END)
      - 4) * 4 WHEN coalesce(b.oid, t.oid) IN (25, 1042, 1043) THEN 1073741824 END
  numeric_precision int4 = CASE coalesce(b.oid, t.oid) WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN
      24 WHEN 701 THEN 53 WHEN 1700 THEN CASE WHEN (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END)
      <> -1 THEN (((CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) - 4) >> 16) & 65535 END END
  numeric_precision_radix int4 = CASE WHEN coalesce(b.oid, t.oid) IN (20, 21, 23, 700, 701) THEN 2 WHEN
      coalesce(b.oid, t.oid) = 1700 THEN 10 END
  numeric_scale int4 = CASE WHEN coalesce(b.oid, t.oid) IN (20, 21, 23) THEN 0 WHEN coalesce(b.oid, t.oid) = 1700 AND
      (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) <> -1 THEN ((CASE WHEN t.typtype = 'd' THEN
      t.typtypmod ELSE a.atttypmod END) - 4) & 65535 END
  datetime_precision int4 = CASE WHEN coalesce(b.oid, t.oid) = 1082 THEN 0 WHEN coalesce(b.oid, t.oid) IN (1083, 1114,
      1184, 1266) THEN CASE WHEN (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) < 0 THEN 6 ELSE
      (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) END WHEN coalesce(b.oid, t.oid) = 1186 THEN
      CASE WHEN (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) < 0 OR (CASE WHEN t.typtype = 'd'
      THEN t.typtypmod ELSE a.atttypmod END) & 65535 = 65535 THEN 6 ELSE (CASE WHEN t.typtype = 'd' THEN t.typtypmod
      ELSE a.atttypmod END) & 65535 END END
  interval_type varchar = CASE WHEN coalesce(b.oid, t.oid) = 1186 THEN
      nullif(upper(btrim(regexp_replace(substr(format_type(coalesce(b.oid, t.oid), (CASE WHEN t.typtype = 'd' THEN
      t.typtypmod ELSE a.atttypmod END)), 9), '[(][0-9]+[)]', ''))), '') END
  interval_precision int4
  character_set_catalog name
  character_set_schema name
  character_set_name name
  collation_catalog name = CASE WHEN o.oid IS NOT NULL THEN {catalog} END
  collation_schema name = cn.nspname
  collation_name name = o.collname
  domain_catalog name = CASE WHEN t.typtype = 'd' THEN {catalog} END
  domain_schema name = CASE WHEN t.typtype = 'd' THEN tn.nspname END
  domain_name name = CASE WHEN t.typtype = 'd' THEN t.typname END
  udt_catalog name = {catalog}
  udt_schema name = coalesce(bn.nspname, tn.nspname)
  udt_name name = coalesce(b.typname, t.typname)
  scope_catalog name
  scope_schema name
  scope_name name
  maximum_cardinality int4
  dtd_identifier name = a.attnum::text
  is_self_referencing varchar = 'NO'
  is_identity varchar = CASE WHEN a.attidentity IN ('a', 'd') THEN 'YES' ELSE 'NO' END
  identity_generation varchar = CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END
  identity_start varchar = s.seqstart
  identity_increment varchar = s.seqincrement
  identity_maximum varchar = s.seqmax
  identity_minimum varchar = s.seqmin
  identity_cycle varchar = CASE WHEN s.seqcycle THEN 'YES' ELSE 'NO' END
  is_generated varchar = CASE WHEN a.attgenerated = '' THEN 'NEVER' ELSE 'ALWAYS' END
  generation_expression varchar = CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END
  is_updatable varchar = CASE WHEN c.relkind IN ('r', 'p') THEN 'YES' ELSE 'NO' END
FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN (pg_type b JOIN pg_namespace bn ON bn.oid = b.typnamespace)
    ON t.typtype = 'd' AND b.oid = t.typbasetype
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN (pg_collation o JOIN pg_namespace cn ON cn.oid = o.collnamespace)
    ON o.oid = a.attcollation AND o.oid <> 100
  LEFT JOIN (pg_depend k JOIN pg_sequence s ON k.classid = 1259 AND k.objid = s.seqrelid AND k.deptype = 'i')
    ON k.refclassid = 1259 AND k.refobjid = c.oid AND k.refobjsubid = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'p')
  AND NOT pg_is_other_temp_schema(n.oid)
  AND (pg_has_role(c.relowner, 'USAGE') OR has_column_privilege(c.oid, a.attnum,
      'SELECT, INSERT, UPDATE, REFERENCES'))
;

view 13212 table_constraints
  constraint_catalog name = {catalog}
  constraint_schema name = k.constraint_schema
  constraint_name name = k.constraint_name
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  constraint_type varchar = k.kind
  is_deferrable varchar = CASE WHEN k.deferrable THEN 'YES' ELSE 'NO' END
  initially_deferred varchar = CASE WHEN k.deferred THEN 'YES' ELSE 'NO' END
  enforced varchar = 'YES'
  nulls_distinct varchar = k.nulls_distinct
FROM (
    SELECT kn.nspname AS constraint_schema, k.conname::text AS constraint_name, c.oid AS relation,
      CASE k.contype WHEN 'c' THEN 'CHECK' WHEN 'f' THEN 'FOREIGN KEY' WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN
          'UNIQUE' END AS kind,
      k.condeferrable AS deferrable, k.condeferred AS deferred,
      CASE WHEN k.contype = 'u' THEN (SELECT CASE WHEN i.indnullsnotdistinct THEN 'NO' ELSE 'YES' END FROM pg_index i
          WHERE i.indexrelid = k.conindid) END AS nulls_distinct
    FROM pg_constraint k
      JOIN pg_namespace kn ON kn.oid = k.connamespace
      JOIN pg_class c ON c.oid = k.conrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype NOT IN ('t', 'x') AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT n.nspname, n.oid::text || '_' || c.oid::text || '_' || a.attnum::text || '_not_null', c.oid, 'CHECK',
        false, false, NULL
    FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attnotnull AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
  ) AS k
  JOIN pg_class c ON c.oid = k.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT pg_is_other_temp_schema(n.oid) AND (pg_has_role(c.relowner, 'USAGE') OR has_table_privilege(c.oid,
    'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR has_any_column_privilege(c.oid,
    'INSERT, UPDATE, REFERENCES'))
;

view 13216 check_constraints
  constraint_catalog name = {catalog}
  constraint_schema name = k.constraint_schema
  constraint_name name = k.constraint_name
  check_clause varchar = k.clause
FROM (
    SELECT kn.nspname AS constraint_schema, k.conname::text AS constraint_name, substr(pg_get_constraintdef(k.oid), 7)
        AS clause,
      coalesce(c.relowner, t.typowner) AS owner
    FROM pg_constraint k
      JOIN pg_namespace kn ON kn.oid = k.connamespace
      LEFT JOIN pg_class c ON c.oid = k.conrelid
      LEFT JOIN pg_type t ON t.oid = k.contypid
    WHERE k.contype = 'c'
    UNION ALL
    SELECT n.nspname, n.oid::text || '_' || c.oid::text || '_' || a.attnum::text || '_not_null', a.attname ||
        ' IS NOT NULL', c.relowner
    FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attnotnull AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
  ) AS k
WHERE pg_has_role(k.owner, 'USAGE')
;

view 13220 key_column_usage
  constraint_catalog name = {catalog}
  constraint_schema name = kn.nspname
  constraint_name name = k.conname
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  column_name name = a.attname
  ordinal_position int4 = x.i
  position_in_unique_constraint int4 = CASE WHEN k.contype = 'f' THEN (SELECT y.i + 1 FROM pg_index AS z,
      generate_series(0, 31) AS y(i) WHERE z.indexrelid = k.conindid AND z.indkey[y.i] = k.confkey[x.i]) END
FROM pg_constraint k
  JOIN pg_namespace kn ON kn.oid = k.connamespace
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN generate_series(1, 32) AS x(i)
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[x.i]
WHERE k.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
  AND NOT pg_is_other_temp_schema(n.oid) AND (pg_has_role(c.relowner, 'USAGE') OR has_column_privilege(c.oid,
      a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES'))
;

view 13224 referential_constraints
  constraint_catalog name = {catalog}
  constraint_schema name = kn.nspname
  constraint_name name = k.conname
  unique_constraint_catalog name = CASE WHEN u.oid IS NOT NULL THEN {catalog} END
  unique_constraint_schema name = un.nspname
  unique_constraint_name name = u.conname
  match_option varchar = CASE k.confmatchtype WHEN 'f' THEN 'FULL' WHEN 'p' THEN 'PARTIAL' WHEN 's' THEN 'NONE' END
  update_rule varchar = CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN
      'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' WHEN 'a' THEN 'NO ACTION' END
  delete_rule varchar = CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN
      'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' WHEN 'a' THEN 'NO ACTION' END
FROM pg_constraint k
  JOIN pg_namespace kn ON kn.oid = k.connamespace
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (pg_constraint u JOIN pg_namespace un ON un.oid = u.connamespace)
    ON u.conindid = k.conindid AND u.conrelid = k.confrelid AND u.contype IN ('p', 'u')
WHERE k.contype = 'f' AND (pg_has_role(c.relowner, 'USAGE') OR has_table_privilege(c.oid,
    'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR has_any_column_privilege(c.oid,
    'INSERT, UPDATE, REFERENCES'))
;

view 13228 constraint_column_usage
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  column_name name = x.attname
  constraint_catalog name = {catalog}
  constraint_schema name = kn.nspname
  constraint_name name = k.conname
FROM (
    SELECT DISTINCT c.oid AS relation, a.attname, k.oid AS id
    FROM pg_constraint k
      JOIN pg_depend d ON d.classid = 2606 AND d.objid = k.oid AND d.refclassid = 1259
      JOIN pg_class c ON c.oid = d.refobjid
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE k.contype = 'c' AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
    UNION ALL
    SELECT c.oid, a.attname, k.oid
    FROM pg_constraint k
      JOIN pg_class c ON c.oid = CASE k.contype WHEN 'f' THEN k.confrelid ELSE k.conrelid END
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (CASE k.contype WHEN 'f' THEN k.confkey ELSE
          k.conkey END)
    WHERE k.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
  ) AS x
  JOIN pg_constraint k ON k.oid = x.id
  JOIN pg_namespace kn ON kn.oid = k.connamespace
  JOIN pg_class c ON c.oid = x.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE pg_has_role(c.relowner, 'USAGE')
;

view 13232 constraint_table_usage
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  constraint_catalog name = {catalog}
  constraint_schema name = kn.nspname
  constraint_name name = k.conname
FROM pg_constraint k
  JOIN pg_namespace kn ON kn.oid = k.connamespace
  JOIN pg_class c ON c.oid = CASE k.contype WHEN 'f' THEN k.confrelid ELSE k.conrelid END
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE')
;

view 13236 table_privileges
  grantor name = g.rolname
  grantee name = e.rolname
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  privilege_type varchar = x.privilege_type
  is_grantable varchar = CASE WHEN pg_has_role(e.oid, c.relowner, 'USAGE') OR x.is_grantable THEN 'YES' ELSE 'NO' END
  with_hierarchy varchar = CASE WHEN x.privilege_type = 'SELECT' THEN 'YES' ELSE 'NO' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS x
  JOIN pg_authid g ON g.oid = x.grantor
  JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) AS e(oid, rolname) ON e.oid =
      x.grantee
WHERE c.relkind IN ('r', 'v', 'f', 'p')
  AND x.privilege_type IN ('INSERT', 'SELECT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER')
  AND (pg_has_role(g.oid, 'USAGE') OR pg_has_role(e.oid, 'USAGE') OR e.rolname = 'PUBLIC')
;

view 13240 column_privileges
  grantor name = g.rolname
  grantee name = e.rolname
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  column_name name = x.attname
  privilege_type varchar = x.privilege_type
  is_grantable varchar = CASE WHEN pg_has_role(e.oid, c.relowner, 'USAGE') OR x.is_grantable THEN 'YES' ELSE 'NO' END
FROM (
    SELECT c.oid AS relation, a.attname, y.grantor, y.grantee, y.privilege_type, y.is_grantable
    FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS y
    WHERE c.relkind IN ('r', 'v', 'f', 'p')
    UNION
    SELECT c.oid, a.attname, y.grantor, y.grantee, y.privilege_type, y.is_grantable
    FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      CROSS JOIN LATERAL aclexplode(coalesce(a.attacl, acldefault('c', c.relowner))) AS y
    WHERE c.relkind IN ('r', 'v', 'f', 'p')
  ) AS x
  JOIN pg_class c ON c.oid = x.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_authid g ON g.oid = x.grantor
  JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) AS e(oid, rolname) ON e.oid =
      x.grantee
WHERE x.privilege_type IN ('INSERT', 'SELECT', 'UPDATE', 'REFERENCES') AND (pg_has_role(g.oid, 'USAGE') OR
    pg_has_role(e.oid, 'USAGE') OR e.rolname = 'PUBLIC')
;

view 13244 routine_privileges
  grantor name = g.rolname
  grantee name = e.rolname
  specific_catalog name = {catalog}
  specific_schema name = n.nspname
  specific_name name = p.proname || '_' || p.oid::text
  routine_catalog name = {catalog}
  routine_schema name = n.nspname
  routine_name name = p.proname
  privilege_type varchar = x.privilege_type
  is_grantable varchar = CASE WHEN pg_has_role(e.oid, p.proowner, 'USAGE') OR x.is_grantable THEN 'YES' ELSE 'NO' END
FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS x
  JOIN pg_authid g ON g.oid = x.grantor
  JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) AS e(oid, rolname) ON e.oid =
      x.grantee
WHERE x.privilege_type = 'EXECUTE' AND (pg_has_role(g.oid, 'USAGE') OR pg_has_role(e.oid, 'USAGE') OR e.rolname =
    'PUBLIC')
;

view 13248 udt_privileges
  grantor name = g.rolname
  grantee name = e.rolname
  udt_catalog name = {catalog}
  udt_schema name = n.nspname
  udt_name name = t.typname
  privilege_type varchar = 'TYPE USAGE'
  is_grantable varchar = CASE WHEN pg_has_role(e.oid, t.typowner, 'USAGE') OR x.is_grantable THEN 'YES' ELSE 'NO' END
FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  CROSS JOIN LATERAL aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) AS x
  JOIN pg_authid g ON g.oid = x.grantor
  JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) AS e(oid, rolname) ON e.oid =
      x.grantee
WHERE t.typtype = 'c' AND x.privilege_type = 'USAGE' AND (pg_has_role(g.oid, 'USAGE') OR pg_has_role(e.oid, 'USAGE')
    OR e.rolname = 'PUBLIC')
;

view 13252 usage_privileges
  grantor name = g.rolname
  grantee name = e.rolname
  object_catalog name = {catalog}
  object_schema name = n.nspname
  object_name name = x.name
  object_type varchar = x.kind
  privilege_type varchar = 'USAGE'
  is_grantable varchar = CASE WHEN x.kind <> 'COLLATION' AND (pg_has_role(e.oid, x.owner, 'USAGE') OR x.is_grantable)
      THEN 'YES' ELSE 'NO' END
FROM (
    SELECT o.collname AS name, o.collnamespace AS schema, o.collowner AS owner, 'COLLATION' AS kind,
      o.collowner AS grantor, 0::oid AS grantee, false AS is_grantable
    FROM pg_collation o
    WHERE o.collencoding IN (-1, (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database()))
    UNION ALL
    SELECT t.typname, t.typnamespace, t.typowner, 'DOMAIN', y.grantor, y.grantee, y.is_grantable
    FROM pg_type t CROSS JOIN LATERAL aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) AS y
    WHERE t.typtype = 'd' AND y.privilege_type = 'USAGE'
    UNION ALL
    SELECT c.relname, c.relnamespace, c.relowner, 'SEQUENCE', y.grantor, y.grantee, y.is_grantable
    FROM pg_class c CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS y
    WHERE c.relkind = 'S' AND y.privilege_type = 'USAGE'
  ) AS x
  JOIN pg_namespace n ON n.oid = x.schema
  JOIN pg_authid g ON g.oid = x.grantor
  JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) AS e(oid, rolname) ON e.oid =
      x.grantee
WHERE (pg_has_role(g.oid, 'USAGE') OR pg_has_role(e.oid, 'USAGE') OR e.rolname = 'PUBLIC')
;

view 13256 role_table_grants
  grantor name = p.grantor
  grantee name = p.grantee
  table_catalog name = p.table_catalog
  table_schema name = p.table_schema
  table_name name = p.table_name
  privilege_type varchar = p.privilege_type
  is_grantable varchar = p.is_grantable
  with_hierarchy varchar = p.with_hierarchy
FROM information_schema.table_privileges AS p
WHERE p.grantor IN (SELECT r.role_name FROM information_schema.enabled_roles r)
  OR p.grantee IN (SELECT r.role_name FROM information_schema.enabled_roles r)
;

view 13260 role_column_grants
  grantor name = p.grantor
  grantee name = p.grantee
  table_catalog name = p.table_catalog
  table_schema name = p.table_schema
  table_name name = p.table_name
  column_name name = p.column_name
  privilege_type varchar = p.privilege_type
  is_grantable varchar = p.is_grantable
FROM information_schema.column_privileges AS p
WHERE p.grantor IN (SELECT r.role_name FROM information_schema.enabled_roles r)
  OR p.grantee IN (SELECT r.role_name FROM information_schema.enabled_roles r)
;

view 13264 role_routine_grants
  grantor name = p.grantor
  grantee name = p.grantee
  specific_catalog name = p.specific_catalog
  specific_schema name = p.specific_schema
  specific_name name = p.specific_name
  routine_catalog name = p.routine_catalog
  routine_schema name = p.routine_schema
  routine_name name = p.routine_name
  privilege_type varchar = p.privilege_type
  is_grantable varchar = p.is_grantable
FROM information_schema.routine_privileges AS p
WHERE p.grantor IN (SELECT r.role_name FROM information_schema.enabled_roles r)
  OR p.grantee IN (SELECT r.role_name FROM information_schema.enabled_roles r)
;

view 13268 role_udt_grants
  grantor name = p.grantor
  grantee name = p.grantee
  udt_catalog name = p.udt_catalog
  udt_schema name = p.udt_schema
  udt_name name = p.udt_name
  privilege_type varchar = p.privilege_type
  is_grantable varchar = p.is_grantable
FROM information_schema.udt_privileges AS p
WHERE p.grantor IN (SELECT r.role_name FROM information_schema.enabled_roles r)
  OR p.grantee IN (SELECT r.role_name FROM information_schema.enabled_roles r)
;

view 13272 role_usage_grants
  grantor name = p.grantor
  grantee name = p.grantee
  object_catalog name = p.object_catalog
  object_schema name = p.object_schema
  object_name name = p.object_name
  object_type varchar = p.object_type
  privilege_type varchar = p.privilege_type
  is_grantable varchar = p.is_grantable
FROM information_schema.usage_privileges AS p
WHERE p.grantor IN (SELECT r.role_name FROM information_schema.enabled_roles r)
  OR p.grantee IN (SELECT r.role_name FROM information_schema.enabled_roles r)
;

view 13276 enabled_roles
  role_name name = r.rolname
FROM pg_authid r
WHERE pg_has_role(r.oid, 'USAGE')
;

view 13280 applicable_roles
  grantee name = a.rolname
  role_name name = b.rolname
  is_grantable varchar = CASE WHEN m.admin_option THEN 'YES' ELSE 'NO' END
FROM (
    SELECT m.member, m.roleid, m.admin_option FROM pg_auth_members m
    UNION
    SELECT d.datdba, r.oid, false FROM pg_database d, pg_authid r
    WHERE d.datname = current_database() AND r.rolname = 'pg_database_owner'
  ) AS m
  JOIN pg_authid a ON a.oid = m.member
  JOIN pg_authid b ON b.oid = m.roleid
WHERE pg_has_role(a.oid, 'USAGE')
;

view 13284 administrable_role_authorizations
  grantee name = r.grantee
  role_name name = r.role_name
  is_grantable varchar = r.is_grantable
FROM information_schema.applicable_roles AS r
WHERE r.is_grantable = 'YES'
;

view 13288 information_schema_catalog_name
  catalog_name name = {catalog}
;

view 13292 character_sets
  character_set_catalog name
  character_set_schema name
  character_set_name name = getdatabaseencoding()
  character_repertoire name = CASE WHEN getdatabaseencoding() = 'UTF8' THEN 'UCS' ELSE getdatabaseencoding() END
  form_of_use name = getdatabaseencoding()
  default_collate_catalog name = {catalog}
  default_collate_schema name = o.nspname
  default_collate_name name = o.collname
FROM (
    SELECT cn.nspname, o.collname
    FROM pg_database d
      LEFT JOIN (pg_collation o JOIN pg_namespace cn ON cn.oid = o.collnamespace)
        ON d.datcollate = o.collcollate AND d.datctype = o.collctype
    WHERE d.datname = current_database()
    ORDER BY char_length(o.collname) DESC, o.collname
    LIMIT 1
  ) AS o
;

view 13296 collations
  collation_catalog name = {catalog}
  collation_schema name = n.nspname
  collation_name name = o.collname
  pad_attribute varchar = 'NO PAD'
FROM pg_collation o
  JOIN pg_namespace n ON n.oid = o.collnamespace
WHERE o.collencoding IN (-1, (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database()))
;

view 13300 collation_character_set_applicability
  collation_catalog name = {catalog}
  collation_schema name = n.nspname
  collation_name name = o.collname
  character_set_catalog name
  character_set_schema name
  character_set_name name = getdatabaseencoding()
FROM pg_collation o
  JOIN pg_namespace n ON n.oid = o.collnamespace
WHERE o.collencoding IN (-1, (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database()))
;

view 13304 sequences
  sequence_catalog name = {catalog}
  sequence_schema name = n.nspname
  sequence_name name = c.relname
  data_type varchar = format_type(s.seqtypid, NULL)
  numeric_precision int4 = CASE s.seqtypid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701
      THEN 53 WHEN 1700 THEN CASE WHEN (-1) <> -1 THEN (((-1) - 4) >> 16) & 65535 END END
  numeric_precision_radix int4 = 2
  numeric_scale int4 = 0
  start_value varchar = s.seqstart
  minimum_value varchar = s.seqmin
  maximum_value varchar = s.seqmax
  increment varchar = s.seqincrement
  cycle_option varchar = CASE WHEN s.seqcycle THEN 'YES' ELSE 'NO' END
FROM pg_sequence s
  JOIN pg_class c ON c.oid = s.seqrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 1259 AND d.objid = c.oid AND d.deptype = 'i')
  AND NOT pg_is_other_temp_schema(n.oid)
  AND (pg_has_role(c.relowner, 'USAGE') OR has_sequence_privilege(c.oid, 'SELECT, UPDATE, USAGE'))
;

view 13308 views
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  view_definition varchar = CASE WHEN pg_has_role(c.relowner, 'USAGE') THEN pg_get_viewdef(c.oid) END
  check_option varchar = CASE WHEN 'check_option=cascaded' = ANY (c.reloptions) THEN 'CASCADED' WHEN
      'check_option=local' = ANY (c.reloptions) THEN 'LOCAL' ELSE 'NONE' END
  is_updatable varchar = 'NO'
  is_insertable_into varchar = 'NO'
  is_trigger_updatable varchar = 'NO'
  is_trigger_deletable varchar = 'NO'
  is_trigger_insertable_into varchar = 'NO'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND NOT pg_is_other_temp_schema(n.oid) AND (pg_has_role(c.relowner, 'USAGE') OR
    has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR
    has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
;

view 13312 view_table_usage
  view_catalog name = {catalog}
  view_schema name = vn.nspname
  view_name name = v.relname
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
FROM (
    SELECT DISTINCT v.oid AS view, c.oid AS relation
    FROM pg_class v
      JOIN pg_depend r ON r.refclassid = 1259 AND r.refobjid = v.oid AND r.classid = 2618 AND r.deptype = 'i'
      JOIN pg_depend d ON d.classid = 2618 AND d.objid = r.objid AND d.refclassid = 1259 AND d.refobjid <> v.oid
      JOIN pg_class c ON c.oid = d.refobjid
    WHERE v.relkind = 'v' AND c.relkind IN ('r', 'v', 'f', 'p') AND pg_has_role(c.relowner, 'USAGE')
  ) AS x
  JOIN pg_class v ON v.oid = x.view
  JOIN pg_namespace vn ON vn.oid = v.relnamespace
  JOIN pg_class c ON c.oid = x.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
;

view 13316 view_column_usage
  view_catalog name = {catalog}
  view_schema name = vn.nspname
  view_name name = v.relname
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  column_name name = x.attname
FROM (
    SELECT DISTINCT v.oid AS view, c.oid AS relation, a.attname
    FROM pg_class v
      JOIN pg_depend r ON r.refclassid = 1259 AND r.refobjid = v.oid AND r.classid = 2618 AND r.deptype = 'i'
      JOIN pg_depend d ON d.classid = 2618 AND d.objid = r.objid AND d.refclassid = 1259 AND d.refobjid <> v.oid
      JOIN pg_class c ON c.oid = d.refobjid
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE v.relkind = 'v' AND c.relkind IN ('r', 'v', 'f', 'p') AND pg_has_role(c.relowner, 'USAGE')
  ) AS x
  JOIN pg_class v ON v.oid = x.view
  JOIN pg_namespace vn ON vn.oid = v.relnamespace
  JOIN pg_class c ON c.oid = x.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
;

view 13320 routines
  specific_catalog name = {catalog}
  specific_schema name = n.nspname
  specific_name name = p.proname || '_' || p.oid::text
  routine_catalog name = {catalog}
  routine_schema name = n.nspname
  routine_name name = p.proname
  routine_type varchar = CASE p.prokind WHEN 'f' THEN 'FUNCTION' WHEN 'p' THEN 'PROCEDURE' END
  module_catalog name
  module_schema name
  module_name name
  udt_catalog name
  udt_schema name
  udt_name name
  data_type varchar = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' WHEN tn.nspname = 'pg_catalog' THEN
      format_type(t.oid, NULL) WHEN t.oid IS NOT NULL THEN 'USER-DEFINED' END
  character_maximum_length int4
  character_octet_length int4
  character_set_catalog name
  character_set_schema name
  character_set_name name
  collation_catalog name
  collation_schema name
  collation_name name
  numeric_precision int4
  numeric_precision_radix int4
  numeric_scale int4
  datetime_precision int4
  interval_type varchar
  interval_precision int4
  type_udt_catalog name = CASE WHEN t.oid IS NOT NULL THEN {catalog} END
  type_udt_schema name = tn.nspname
  type_udt_name name = t.typname
  scope_catalog name
  scope_schema name
  scope_name name
  maximum_cardinality int4
  dtd_identifier name = CASE WHEN p.prokind <> 'p' THEN '0' END
  routine_body varchar = CASE WHEN l.lanname = 'sql' THEN 'SQL' ELSE 'EXTERNAL' END
  routine_definition varchar = CASE WHEN pg_has_role(p.proowner, 'USAGE') THEN p.prosrc END
  external_name varchar = CASE WHEN l.lanname = 'c' THEN p.prosrc END
  external_language varchar = upper(l.lanname)
  parameter_style varchar = 'GENERAL'
  is_deterministic varchar = CASE WHEN p.provolatile = 'i' THEN 'YES' ELSE 'NO' END
  sql_data_access varchar = 'MODIFIES'
  is_null_call varchar = CASE WHEN p.prokind <> 'p' THEN CASE WHEN p.proisstrict THEN 'YES' ELSE 'NO' END END
  sql_path varchar
  schema_level_routine varchar = 'YES'
  max_dynamic_result_sets int4 = 0
  is_user_defined_cast varchar
  is_implicitly_invocable varchar
  security_type varchar = CASE WHEN p.prosecdef THEN 'DEFINER' ELSE 'INVOKER' END
  to_sql_specific_catalog name
  to_sql_specific_schema name
  to_sql_specific_name name
  as_locator varchar = 'NO'
  created timestamptz
  last_altered timestamptz
  new_savepoint_level varchar
  is_udt_dependent varchar = 'NO'
  result_cast_from_data_type varchar
  result_cast_as_locator varchar
  result_cast_char_max_length int4
  result_cast_char_octet_length int4
  result_cast_char_set_catalog name
  result_cast_char_set_schema name
  result_cast_char_set_name name
  result_cast_collation_catalog name
  result_cast_collation_schema name
  result_cast_collation_name name
  result_cast_numeric_precision int4
  result_cast_numeric_precision_radix int4
  result_cast_numeric_scale int4
  result_cast_datetime_precision int4
  result_cast_interval_type varchar
  result_cast_interval_precision int4
  result_cast_type_udt_catalog name
  result_cast_type_udt_schema name
  result_cast_type_udt_name name
  result_cast_scope_catalog name
  result_cast_scope_schema name
  result_cast_scope_name name
  result_cast_maximum_cardinality int4
  result_cast_dtd_identifier name
FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN (pg_type t JOIN pg_namespace tn ON tn.oid = t.typnamespace) ON t.oid = p.prorettype AND p.prokind <> 'p'
WHERE pg_has_role(p.proowner, 'USAGE') OR has_function_privilege(p.oid, 'EXECUTE')
;

view 13324 parameters
  specific_catalog name = {catalog}
  specific_schema name = n.nspname
  specific_name name = p.proname || '_' || p.oid::text
  ordinal_position int4 = x.i
  parameter_mode varchar = CASE WHEN p.proargmodes IS NULL THEN 'IN' WHEN p.proargmodes[x.i] = 'i' THEN 'IN' WHEN
      p.proargmodes[x.i] = 'o' THEN 'OUT' WHEN p.proargmodes[x.i] = 'b' THEN 'INOUT' WHEN p.proargmodes[x.i] = 'v'
      THEN 'IN' WHEN p.proargmodes[x.i] = 't' THEN 'OUT' END
  is_result varchar = 'NO'
  as_locator varchar = 'NO'
  parameter_name name = nullif(p.proargnames[x.i], '')
  data_type varchar = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' WHEN tn.nspname = 'pg_catalog' THEN
      format_type(t.oid, NULL) WHEN t.oid IS NOT NULL THEN 'USER-DEFINED' END
  character_maximum_length int4
  character_octet_length int4
  character_set_catalog name
  character_set_schema name
  character_set_name name
  collation_catalog name
  collation_schema name
  collation_name name
  numeric_precision int4
  numeric_precision_radix int4
  numeric_scale int4
  datetime_precision int4
  interval_type varchar
  interval_precision int4
  udt_catalog name = {catalog}
  udt_schema name = tn.nspname
  udt_name name = t.typname
  scope_catalog name
  scope_schema name
  scope_name name
  maximum_cardinality int4
  dtd_identifier name = x.i::text
  parameter_default varchar
FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  CROSS JOIN LATERAL (
    SELECT i AS i, p.proallargtypes[i] AS type FROM generate_series(1, array_length(p.proallargtypes, 1)) AS i
    UNION ALL
    SELECT i + 1, p.proargtypes[i] FROM generate_series(0, p.pronargs - 1) AS i WHERE p.proallargtypes IS NULL
  ) AS x
  JOIN pg_type t ON t.oid = x.type
  JOIN pg_namespace tn ON tn.oid = t.typnamespace
WHERE pg_has_role(p.proowner, 'USAGE') OR has_function_privilege(p.oid, 'EXECUTE')
;

view 13328 domains
  domain_catalog name = {catalog}
  domain_schema name = n.nspname
  domain_name name = t.typname
  data_type varchar = CASE WHEN b.typelem <> 0 AND b.typlen = -1 THEN 'ARRAY' WHEN bn.nspname = 'pg_catalog' THEN
      format_type(b.oid, NULL) WHEN b.oid IS NOT NULL THEN 'USER-DEFINED' END
  character_maximum_length int4 = CASE WHEN b.oid IN (1042, 1043) AND t.typtypmod <> -1 THEN t.typtypmod - 4 WHEN
      b.oid IN (1560, 1562) AND t.typtypmod <> -1 THEN t.typtypmod END
  character_octet_length int4 = CASE WHEN b.oid IN (1042, 1043) AND t.typtypmod <> -1 THEN (t.typtypmod - 4) * 4 WHEN
      b.oid IN (25, 1042, 1043) THEN 1073741824 END
  character_set_catalog name
  character_set_schema name
  character_set_name name
  collation_catalog name = CASE WHEN o.oid IS NOT NULL THEN {catalog} END
  collation_schema name = cn.nspname
  collation_name name = o.collname
  numeric_precision int4 = CASE b.oid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN
      53 WHEN 1700 THEN CASE WHEN t.typtypmod <> -1 THEN ((t.typtypmod - 4) >> 16) & 65535 END END
  numeric_precision_radix int4 = CASE WHEN b.oid IN (20, 21, 23, 700, 701) THEN 2 WHEN b.oid = 1700 THEN 10 END
  numeric_scale int4 = CASE WHEN b.oid IN (20, 21, 23) THEN 0 WHEN b.oid = 1700 AND t.typtypmod <> -1 THEN
      (t.typtypmod - 4) & 65535 END
  datetime_precision int4 = CASE WHEN b.oid = 1082 THEN 0 WHEN b.oid IN (1083, 1114, 1184, 1266) THEN CASE WHEN
      t.typtypmod < 0 THEN 6 ELSE t.typtypmod END WHEN b.oid = 1186 THEN CASE WHEN t.typtypmod < 0 OR t.typtypmod &
      65535 = 65535 THEN 6 ELSE t.typtypmod & 65535 END END
  interval_type varchar = CASE WHEN b.oid = 1186 THEN nullif(upper(btrim(regexp_replace(substr(format_type(b.oid,
      t.typtypmod), 9), '[(][0-9]+[)]', ''))), '') END
  interval_precision int4
  domain_default varchar = t.typdefault
  udt_catalog name = {catalog}
  udt_schema name = bn.nspname
  udt_name name = b.typname
  scope_catalog name
  scope_schema name
  scope_name name
  maximum_cardinality int4
  dtd_identifier name = '1'
FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_type b ON b.oid = t.typbasetype
  JOIN pg_namespace bn ON bn.oid = b.typnamespace
  LEFT JOIN (pg_collation o JOIN pg_namespace cn ON cn.oid = o.collnamespace) ON o.oid = t.typcollation AND o.oid <>
      100
WHERE t.typtype = 'd' AND (pg_has_role(t.typowner, 'USAGE') OR has_type_privilege(t.oid, 'USAGE'))
;

view 13332 domain_constraints
  constraint_catalog name = {catalog}
  constraint_schema name = kn.nspname
  constraint_name name = k.conname
  domain_catalog name = {catalog}
  domain_schema name = n.nspname
  domain_name name = t.typname
  is_deferrable varchar = CASE WHEN k.condeferrable THEN 'YES' ELSE 'NO' END
  initially_deferred varchar = CASE WHEN k.condeferred THEN 'YES' ELSE 'NO' END
FROM pg_constraint k
  JOIN pg_namespace kn ON kn.oid = k.connamespace
  JOIN pg_type t ON t.oid = k.contypid
  JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE pg_has_role(t.typowner, 'USAGE') OR has_type_privilege(t.oid, 'USAGE')
;

view 13336 domain_udt_usage
  udt_catalog name = {catalog}
  udt_schema name = bn.nspname
  udt_name name = b.typname
  domain_catalog name = {catalog}
  domain_schema name = n.nspname
  domain_name name = t.typname
FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_type b ON b.oid = t.typbasetype
  JOIN pg_namespace bn ON bn.oid = b.typnamespace
WHERE t.typtype = 'd' AND pg_has_role(b.typowner, 'USAGE')
;

view 13340 column_domain_usage
  domain_catalog name = {catalog}
  domain_schema name = tn.nspname
  domain_name name = t.typname
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  column_name name = a.attname
FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_namespace tn ON tn.oid = t.typnamespace
WHERE t.typtype = 'd' AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'p')
  AND pg_has_role(t.typowner, 'USAGE')
;

view 13344 column_udt_usage
  udt_catalog name = {catalog}
  udt_schema name = coalesce(bn.nspname, tn.nspname)
  udt_name name = coalesce(b.typname, t.typname)
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  column_name name = a.attname
FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN (pg_type b JOIN pg_namespace bn ON bn.oid = b.typnamespace) ON t.typtype = 'd' AND b.oid = t.typbasetype
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'p')
  AND pg_has_role(coalesce(b.typowner, t.typowner), 'USAGE')
;

view 13348 column_column_usage
  table_catalog name = {catalog}
  table_schema name = n.nspname
  table_name name = c.relname
  column_name name = a.attname
  dependent_column name = g.attname
FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid
  JOIN pg_attribute g ON g.attrelid = c.oid AND g.attgenerated <> ''
  JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = g.attnum
  JOIN pg_depend d ON d.classid = 2604 AND d.objid = f.oid AND d.refclassid = 1259 AND d.refobjid = c.oid AND
      d.refobjsubid = a.attnum
WHERE a.attnum <> g.attnum AND pg_has_role(c.relowner, 'USAGE')
;

view 13352 element_types
  object_catalog name = {catalog}
  object_schema name = n.nspname
  object_name name = c.relname
  object_type varchar = 'TABLE'
  collection_type_identifier name = a.attnum::text
  data_type varchar = CASE WHEN b.typelem <> 0 AND b.typlen = -1 THEN 'ARRAY' WHEN bn.nspname = 'pg_catalog' THEN
      format_type(b.oid, NULL) WHEN b.oid IS NOT NULL THEN 'USER-DEFINED' END
  character_maximum_length int4
  character_octet_length int4
  character_set_catalog name
  character_set_schema name
  character_set_name name
  collation_catalog name
  collation_schema name
  collation_name name
  numeric_precision int4
  numeric_precision_radix int4
  numeric_scale int4
  datetime_precision int4
  interval_type varchar
  interval_precision int4
  domain_default varchar
  udt_catalog name = {catalog}
  udt_schema name = bn.nspname
  udt_name name = b.typname
  scope_catalog name
  scope_schema name
  scope_name name
  maximum_cardinality int4
  dtd_identifier name = 'a' || a.attnum::text
FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_namespace tn ON tn.oid = t.typnamespace
  JOIN pg_type b ON b.oid = t.typelem
  JOIN pg_namespace bn ON bn.oid = b.typnamespace
WHERE t.typelem <> 0 AND t.typlen = -1 AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'p')
  AND (pg_has_role(c.relowner, 'USAGE') OR has_column_privilege(c.oid, a.attnum,
      'SELECT, INSERT, UPDATE, REFERENCES'))
;

view 13356 user_defined_types
  user_defined_type_catalog name = {catalog}
  user_defined_type_schema name = n.nspname
  user_defined_type_name name = c.relname
  user_defined_type_category varchar = 'STRUCTURED'
  is_instantiable varchar = 'YES'
  is_final varchar
  ordering_form varchar
  ordering_category varchar
  ordering_routine_catalog name
  ordering_routine_schema name
  ordering_routine_name name
  reference_type varchar
  data_type varchar
  character_maximum_length int4
  character_octet_length int4
  character_set_catalog name
  character_set_schema name
  character_set_name name
  collation_catalog name
  collation_schema name
  collation_name name
  numeric_precision int4
  numeric_precision_radix int4
  numeric_scale int4
  datetime_precision int4
  interval_type varchar
  interval_precision int4
  source_dtd_identifier name
  ref_dtd_identifier name
FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = c.reltype
WHERE c.relkind = 'c' AND (pg_has_role(t.typowner, 'USAGE') OR has_type_privilege(t.oid, 'USAGE'))
;

view 13360 attributes
  udt_catalog name
  udt_schema name
  udt_name name
  attribute_name name
  ordinal_position int4
  attribute_default varchar
  is_nullable varchar
  data_type varchar
  character_maximum_length int4
  character_octet_length int4
  character_set_catalog name
  character_set_schema name
  character_set_name name
  collation_catalog name
  collation_schema name
  collation_name name
  numeric_precision int4
  numeric_precision_radix int4
  numeric_scale int4
  datetime_precision int4
  interval_type varchar
  interval_precision int4
  attribute_udt_catalog name
  attribute_udt_schema name
  attribute_udt_name name
  scope_catalog name
  scope_schema name
  scope_name name
  maximum_cardinality int4
  dtd_identifier name
  is_derived_reference_attribute varchar
WHERE false
;

view 13364 check_constraint_routine_usage
  constraint_catalog name
  constraint_schema name
  constraint_name name
  specific_catalog name
  specific_schema name
  specific_name name
WHERE false
;

view 13368 column_options
  table_catalog name
  table_schema name
  table_name name
  column_name name
  option_name name
  option_value varchar
WHERE false
;

view 13372 data_type_privileges
  object_catalog name = {catalog}
  object_schema name = x.schema
  object_name name = x.name
  object_type varchar = x.kind
  dtd_identifier name = x.dtd
FROM (
    SELECT c.table_schema AS schema, c.table_name AS name, 'TABLE' AS kind, c.dtd_identifier AS dtd
    FROM information_schema.columns c
    UNION ALL
    SELECT d.domain_schema, d.domain_name, 'DOMAIN', d.dtd_identifier FROM information_schema.domains d
    UNION ALL
    SELECT p.specific_schema, p.specific_name, 'ROUTINE', p.dtd_identifier FROM information_schema.parameters p
    UNION ALL
    SELECT r.specific_schema, r.specific_name, 'ROUTINE', r.dtd_identifier FROM information_schema.routines r
  ) AS x
;

view 13376 foreign_data_wrapper_options
  foreign_data_wrapper_catalog name
  foreign_data_wrapper_name name
  option_name name
  option_value varchar
WHERE false
;

view 13380 foreign_data_wrappers
  foreign_data_wrapper_catalog name
  foreign_data_wrapper_name name
  authorization_identifier name
  library_name varchar
  foreign_data_wrapper_language varchar
WHERE false
;

view 13384 foreign_server_options
  foreign_server_catalog name
  foreign_server_name name
  option_name name
  option_value varchar
WHERE false
;

view 13388 foreign_servers
  foreign_server_catalog name
  foreign_server_name name
  foreign_data_wrapper_catalog name
  foreign_data_wrapper_name name
  foreign_server_type varchar
  foreign_server_version varchar
  authorization_identifier name
WHERE false
;

view 13392 foreign_table_options
  foreign_table_catalog name
  foreign_table_schema name
  foreign_table_name name
  option_name name
  option_value varchar
WHERE false
;

view 13396 foreign_tables
  foreign_table_catalog name
  foreign_table_schema name
  foreign_table_name name
  foreign_server_catalog name
  foreign_server_name name
WHERE false
;

view 13400 routine_column_usage
  specific_catalog name
  specific_schema name
  specific_name name
  routine_catalog name
  routine_schema name
  routine_name name
  table_catalog name
  table_schema name
  table_name name
  column_name name
WHERE false
;

view 13404 routine_routine_usage
  specific_catalog name
  specific_schema name
  specific_name name
  routine_catalog name
  routine_schema name
  routine_name name
WHERE false
;

view 13408 routine_sequence_usage
  specific_catalog name
  specific_schema name
  specific_name name
  routine_catalog name
  routine_schema name
  routine_name name
  sequence_catalog name
  sequence_schema name
  sequence_name name
WHERE false
;

view 13412 routine_table_usage
  specific_catalog name
  specific_schema name
  specific_name name
  routine_catalog name
  routine_schema name
  routine_name name
  table_catalog name
  table_schema name
  table_name name
WHERE false
;

view 13416 transforms
  udt_catalog name
  udt_schema name
  udt_name name
  specific_catalog name
  specific_schema name
  specific_name name
  group_name name
  transform_type varchar
WHERE false
;

view 13420 triggered_update_columns
  trigger_catalog name
  trigger_schema name
  trigger_name name
  event_object_catalog name
  event_object_schema name
  event_object_table name
  event_object_column name
WHERE false
;

view 13424 triggers
  trigger_catalog name
  trigger_schema name
  trigger_name name
  event_manipulation varchar
  event_object_catalog name
  event_object_schema name
  event_object_table name
  action_order int4
  action_condition varchar
  action_statement varchar
  action_orientation varchar
  action_timing varchar
  action_reference_old_table name
  action_reference_new_table name
  action_reference_old_row name
  action_reference_new_row name
  created timestamptz
WHERE false
;

view 13428 user_mapping_options
  authorization_identifier name
  foreign_server_catalog name
  foreign_server_name name
  option_name name
  option_value varchar
WHERE false
;

view 13432 user_mappings
  authorization_identifier name
  foreign_server_catalog name
  foreign_server_name name
WHERE false
;

view 13436 view_routine_usage
  table_catalog name
  table_schema name
  table_name name
  specific_catalog name
  specific_schema name
  specific_name name
WHERE false
;
