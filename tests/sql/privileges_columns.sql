-- Rights on columns, grant options, access lists and roles that get other names.
CREATE ROLE pc_a; CREATE ROLE pc_b; CREATE ROLE pc_c;
CREATE TABLE pc_t (a int PRIMARY KEY, b text, c int DEFAULT 5);
CREATE TABLE pc_u (a int, x int);
INSERT INTO pc_t VALUES (1, 'one', 1);
GRANT SELECT (a, b), UPDATE (b), INSERT (a, b) ON pc_t TO pc_a;
GRANT SELECT ON pc_u TO pc_a;
SELECT relacl FROM pg_class WHERE relname = 'pc_t';
SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'pc_t'::regclass AND attnum > 0 ORDER BY attnum;
\dp pc_t
SET ROLE pc_a;
SELECT a, b FROM pc_t;
SELECT c FROM pc_t;
SELECT * FROM pc_t;
SELECT count(*) FROM pc_t;
SELECT t FROM pc_t t;
SELECT t.a FROM pc_t t JOIN pc_u u USING (a);
SELECT t.a FROM pc_t t JOIN pc_u u ON t.c = u.x;
SELECT a FROM pc_t WHERE c = 1;
SELECT x FROM pc_u WHERE x IN (SELECT c FROM pc_t);
SELECT (SELECT max(a) FROM pc_t) AS m;
INSERT INTO pc_t (a, b) VALUES (2, 'two');
INSERT INTO pc_t (a, c) VALUES (3, 3);
INSERT INTO pc_t VALUES (4);
INSERT INTO pc_t VALUES (5, 'five', 5);
UPDATE pc_t SET b = 'x' WHERE a = 1;
UPDATE pc_t SET b = 'x' WHERE c = 1;
UPDATE pc_t SET c = 2;
UPDATE pc_t SET b = 'y' WHERE a < 2 RETURNING a;
UPDATE pc_t SET b = 'y' RETURNING c;
DELETE FROM pc_t;
INSERT INTO pc_t (a, b) VALUES (1, 'z') ON CONFLICT (a) DO UPDATE SET b = excluded.b;
INSERT INTO pc_t (a, b) VALUES (1, 'z') ON CONFLICT (a) DO UPDATE SET c = 9;
SELECT a FROM pc_t ORDER BY a FOR UPDATE;
RESET ROLE;
SELECT has_column_privilege('pc_a', 'pc_t', 'a', 'SELECT') AS a, has_column_privilege('pc_a', 'pc_t', 'c', 'SELECT') AS c,
       has_column_privilege('pc_a', 'pc_t', 2::int2, 'UPDATE') AS b, has_table_privilege('pc_a', 'pc_t', 'SELECT') AS t,
       has_any_column_privilege('pc_a', 'pc_t', 'UPDATE') AS anyc, has_any_column_privilege('pc_b', 'pc_t', 'UPDATE') AS nob;
SELECT has_column_privilege('pc_a', 'pc_t', 'nosuch', 'SELECT');
GRANT SELECT (nosuch) ON pc_t TO pc_a;
GRANT DELETE (a) ON pc_t TO pc_a;
REVOKE SELECT (a) ON pc_t FROM pc_a;
REVOKE ALL ON pc_t FROM pc_a;
SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'pc_t'::regclass AND attnum > 0 ORDER BY attnum;
SELECT relacl FROM pg_class WHERE relname = 'pc_t';

-- grant options
GRANT SELECT, INSERT ON pc_t TO pc_a WITH GRANT OPTION;
SET ROLE pc_a;
GRANT SELECT ON pc_t TO pc_b WITH GRANT OPTION;
GRANT UPDATE ON pc_t TO pc_b;
GRANT SELECT, UPDATE ON pc_t TO pc_c;
GRANT ALL ON pc_t TO pc_c;
SET ROLE pc_b;
GRANT SELECT ON pc_t TO pc_c;
GRANT SELECT ON pc_t TO pc_a WITH GRANT OPTION;
SET ROLE pc_c;
GRANT SELECT ON pc_t TO pc_b;
GRANT SELECT ON pc_u TO pc_b;
RESET ROLE;
GRANT SELECT ON pc_t TO PUBLIC WITH GRANT OPTION;
SELECT relacl FROM pg_class WHERE relname = 'pc_t';
REVOKE SELECT ON pc_t FROM pc_a;
REVOKE GRANT OPTION FOR SELECT ON pc_t FROM pc_a;
REVOKE GRANT OPTION FOR SELECT ON pc_t FROM pc_a CASCADE;
SELECT relacl FROM pg_class WHERE relname = 'pc_t';

-- names
ALTER ROLE pc_a RENAME TO "pc new";
SELECT relacl FROM pg_class WHERE relname = 'pc_t';
SET ROLE "pc new";
SELECT a FROM pc_t ORDER BY a;
RESET ROLE;
DROP ROLE "pc new";
SELECT g.rolname AS grantor, e.rolname AS grantee, x.privilege_type, x.is_grantable
FROM pg_class c, aclexplode(c.relacl) x JOIN pg_roles g ON g.oid = x.grantor JOIN pg_roles e ON e.oid = x.grantee
WHERE c.relname = 'pc_t' ORDER BY 1, 2, 3;
SELECT acldefault('r', 10), acldefault('d', 10), acldefault('c', 10);
SELECT makeaclitem(10, 0, 'SELECT, INSERT', true);
SELECT makeaclitem(10, 10, 'select', true);
SELECT '=r/postgres'::aclitem, 'postgres=arwdDxt/postgres'::aclitem, 'postgres=a*r/postgres'::aclitem;
SELECT 'nosuch=r/postgres'::aclitem;
SELECT 'postgres=q/postgres'::aclitem;
SELECT 'postgres'::aclitem;
SELECT ARRAY['postgres=ar/postgres'::aclitem] @> 'postgres=r/postgres'::aclitem AS c1, ARRAY['postgres=ar/postgres'::aclitem] @> 'postgres=w/postgres'::aclitem AS c2;
GRANT SELECT (a) ON pc_u TO pc_c;
DROP ROLE pc_c;
DROP TABLE pc_t, pc_u;
DROP ROLE "pc new"; DROP ROLE pc_b; DROP ROLE pc_c;

-- what ON CONFLICT decides by is read
CREATE ROLE pc_d; CREATE ROLE pc_e; CREATE ROLE pc_f;
CREATE TABLE pc_v (a int PRIMARY KEY, b int, c int, d int);
CREATE UNIQUE INDEX pc_v_sum ON pc_v ((b + c));
INSERT INTO pc_v VALUES (1, 1, 1, 1);
ALTER TABLE pc_v DROP COLUMN d;
GRANT SELECT (b), INSERT (a, b) ON pc_v TO pc_d;
SET ROLE pc_d;
INSERT INTO pc_v (a, b) VALUES (1, 2) ON CONFLICT (a) DO NOTHING;
INSERT INTO pc_v (a, b) VALUES (1, 2) ON CONFLICT ON CONSTRAINT pc_v_pkey DO NOTHING;
INSERT INTO pc_v (a, b) VALUES (1, 2) ON CONFLICT ((b + c)) DO NOTHING;
INSERT INTO pc_v (a, b) VALUES (1, 2) ON CONFLICT DO NOTHING;
RESET ROLE;
GRANT SELECT (a) ON pc_v TO pc_d;
SET ROLE pc_d;
INSERT INTO pc_v (a, b) VALUES (1, 2) ON CONFLICT (a) DO NOTHING;
RESET ROLE;

-- columns that are not there
SELECT has_column_privilege('pc_v', 1::smallint, 'SELECT') AS a, has_column_privilege('pc_v', 4::smallint, 'SELECT') AS dropped, has_column_privilege('pc_v', 9::smallint, 'SELECT') AS missing, has_column_privilege('pc_v', 0::smallint, 'SELECT') AS zero, has_column_privilege('pc_v', (-1)::smallint, 'SELECT') AS ctid, has_column_privilege('pc_v', (-9)::smallint, 'SELECT') AS none;
SELECT has_column_privilege('pc_d', 'pc_v', 1::smallint, 'SELECT') AS a, has_column_privilege('pc_d', 'pc_v', 3::smallint, 'SELECT') AS c, has_column_privilege('pc_d', 'pc_v', 4::smallint, 'SELECT') AS dropped, has_column_privilege('pc_d', 'pc_v', 9::smallint, 'SELECT') AS missing, has_any_column_privilege('pc_d', 'pc_v', 'SELECT') AS any_r, has_any_column_privilege('pc_d', 'pc_v', 'UPDATE') AS any_w;

-- the option to hand on a right of the table is one for its columns
GRANT SELECT ON pc_v TO pc_e WITH GRANT OPTION;
SET ROLE pc_e;
GRANT SELECT (a) ON pc_v TO pc_f;
GRANT SELECT ON pc_v TO pc_f;
REVOKE SELECT ON pc_v FROM pc_f;
RESET ROLE;
SELECT relacl FROM pg_class WHERE relname = 'pc_v';
SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'pc_v'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
DROP TABLE pc_v;
DROP ROLE pc_d; DROP ROLE pc_e; DROP ROLE pc_f;
SELECT gcd(repeat('7', 3000)::numeric * 10 + 3, repeat('3', 2900)::numeric * 10 + 1);
-- "$user" in the search path is who the session is now
CREATE ROLE priv_own;
CREATE SCHEMA priv_own AUTHORIZATION priv_own;
CREATE TABLE priv_own.whose AS SELECT 'of the role' AS w;
CREATE TABLE public.whose AS SELECT 'public' AS w;
GRANT SELECT ON priv_own.whose, public.whose TO PUBLIC;
SET search_path = "$user", public;
SELECT w FROM whose;
SET ROLE priv_own;
SELECT w, current_schema() FROM whose;
RESET ROLE;
SELECT w, current_schema() FROM whose;
BEGIN;
SET ROLE priv_own;
SELECT w FROM whose;
ROLLBACK;
SELECT w FROM whose;
RESET search_path;
DROP TABLE public.whose;
DROP SCHEMA priv_own CASCADE;
DROP ROLE priv_own;
