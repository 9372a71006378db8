-- Foreign keys: declaration, checks, actions, matching, deferral, catalog.
CREATE TABLE p (id int PRIMARY KEY, name text);
CREATE TABLE c (id int PRIMARY KEY, p_id int REFERENCES p, v text);
INSERT INTO p SELECT i, 'p' || i FROM generate_series(1, 20) i;
INSERT INTO c VALUES (1, 1, 'a'), (2, 2, 'b'), (3, NULL, 'c');
INSERT INTO c VALUES (4, 99, 'd');
INSERT INTO c VALUES (4, 1, 'd'), (5, 98, 'e'), (6, 97, 'f');
INSERT INTO c SELECT i, i % 25 FROM generate_series(10, 40) i;
UPDATE c SET p_id = 50 WHERE id = 1;
UPDATE c SET p_id = 3 WHERE id = 1;
UPDATE c SET v = 'x' WHERE id = 2;
DELETE FROM p WHERE id = 3;
DELETE FROM p WHERE id = 4;
DELETE FROM p WHERE id IN (2, 5, 6);
UPDATE p SET id = 103 WHERE id = 3;
UPDATE p SET id = 107 WHERE id = 7;
UPDATE p SET id = id;
UPDATE p SET name = 'other';
SELECT count(*) FROM p;
SELECT * FROM c ORDER BY id;
COPY c FROM STDIN;
100	8	x
101	777	y
102	778	z
\.
COPY c FROM STDIN;
100	8	x
101	9	y
\.
SELECT count(*) FROM c;
WITH gone AS (SELECT 1) DELETE FROM p WHERE id = 8;
SELECT conname, contype, condeferrable, condeferred, convalidated, conkey, confkey, confupdtype, confdeltype,
  confmatchtype, conislocal, coninhcount, connoinherit, conpfeqop, conppeqop, conffeqop, confdelsetcols,
  conrelid::regclass, confrelid::regclass, conindid::regclass
  FROM pg_constraint WHERE contype = 'f' ORDER BY conname;
SELECT tgrelid::regclass, tgfoid::regproc, tgtype, tgenabled, tgisinternal, tgconstrrelid::regclass, tgconstrindid::regclass,
  tgdeferrable, tginitdeferred, tgnargs, tgattr, tgargs, tgqual IS NULL AS noqual,
  regexp_replace(tgname, '[0-9]+', 'N') AS name
  FROM pg_trigger ORDER BY tgrelid::regclass::text, tgfoid;
SELECT relname, relhastriggers FROM pg_class WHERE relname IN ('p', 'c') ORDER BY 1;
\d p
\d c

-- actions
CREATE TABLE a1 (id int PRIMARY KEY);
CREATE TABLE casc (id int PRIMARY KEY, a int REFERENCES a1 ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE nul (id int PRIMARY KEY, a int REFERENCES a1 ON DELETE SET NULL ON UPDATE SET NULL);
CREATE TABLE def (id int PRIMARY KEY, a int DEFAULT 1 REFERENCES a1 ON DELETE SET DEFAULT ON UPDATE SET DEFAULT);
CREATE TABLE restr (id int PRIMARY KEY, a int REFERENCES a1 ON DELETE RESTRICT ON UPDATE RESTRICT);
INSERT INTO a1 SELECT generate_series(1, 10);
INSERT INTO casc VALUES (1, 2), (2, 2), (3, 3);
INSERT INTO nul VALUES (1, 2), (2, 2), (3, 3);
INSERT INTO def VALUES (1, 2), (2, 2), (3, 3);
INSERT INTO restr VALUES (1, 4);
DELETE FROM a1 WHERE id = 2;
SELECT 'casc', * FROM casc UNION ALL SELECT 'nul', * FROM nul UNION ALL SELECT 'def', * FROM def ORDER BY 1, 2;
UPDATE a1 SET id = 33 WHERE id = 3;
SELECT 'casc', * FROM casc UNION ALL SELECT 'nul', * FROM nul UNION ALL SELECT 'def', * FROM def ORDER BY 1, 2;
DELETE FROM a1 WHERE id = 4;
UPDATE a1 SET id = 44 WHERE id = 4;
DELETE FROM a1 WHERE id = 1;
UPDATE def SET a = 5;
DELETE FROM a1 WHERE id = 1;
DELETE FROM a1 WHERE id = 5;
SELECT * FROM def ORDER BY id;
\d a1
\d nul
-- many at once, deep
INSERT INTO a1 SELECT generate_series(1000, 3500);
CREATE TABLE deep (id int PRIMARY KEY REFERENCES casc ON DELETE CASCADE);
INSERT INTO casc SELECT i, i FROM generate_series(1000, 3500) i;
INSERT INTO deep SELECT i FROM generate_series(1000, 3500, 2) i;
DELETE FROM a1 WHERE id BETWEEN 1000 AND 3000;
SELECT (SELECT count(*) FROM a1 WHERE id >= 1000), (SELECT count(*) FROM casc WHERE id >= 1000), (SELECT count(*) FROM deep);
UPDATE a1 SET id = id + 100000 WHERE id BETWEEN 3001 AND 3100;
SELECT count(*), min(a), max(a) FROM casc WHERE id >= 1000;

-- several columns, MATCH, columns in another order
CREATE TABLE k2 (a int, b text, c int, PRIMARY KEY (a, b), UNIQUE (c, a));
INSERT INTO k2 VALUES (1, 'x', 10), (1, 'y', 11), (2, 'x', 12);
CREATE TABLE r2 (id int PRIMARY KEY, a int, b text, FOREIGN KEY (a, b) REFERENCES k2);
CREATE TABLE r2f (id int PRIMARY KEY, a int, b text, CONSTRAINT r2f_k FOREIGN KEY (b, a) REFERENCES k2 (b, a) MATCH FULL ON UPDATE CASCADE);
CREATE TABLE r2u (id int PRIMARY KEY, x int, y int, FOREIGN KEY (x, y) REFERENCES k2 (a, c) ON DELETE SET NULL (y));
INSERT INTO r2 VALUES (1, 1, 'x'), (2, 1, NULL), (3, NULL, 'zz'), (4, NULL, NULL);
INSERT INTO r2 VALUES (5, 1, 'zz');
INSERT INTO r2f VALUES (1, 1, 'y'), (4, NULL, NULL);
INSERT INTO r2f VALUES (5, 1, NULL);
INSERT INTO r2f VALUES (5, 1, 'zz');
INSERT INTO r2u VALUES (1, 1, 11), (2, 2, 12), (3, 2, NULL);
INSERT INTO r2u VALUES (4, 1, 12);
UPDATE k2 SET b = 'yy', a = 7 WHERE c = 11;
DELETE FROM r2u WHERE id = 1;
UPDATE k2 SET b = 'yy', a = 7 WHERE c = 11;
DELETE FROM k2 WHERE c = 12;
DELETE FROM k2 WHERE c = 10;
SELECT * FROM r2 ORDER BY id;
SELECT * FROM r2f ORDER BY id;
SELECT * FROM r2u ORDER BY id;
\d k2
\d r2f
SELECT conname, pg_get_constraintdef(oid), conkey, confkey, confdelsetcols FROM pg_constraint WHERE contype = 'f' ORDER BY conname;

-- self references
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE);
INSERT INTO tree VALUES (2, 1), (1, NULL), (3, 1), (4, 2), (5, 4);
INSERT INTO tree VALUES (10, 11);
INSERT INTO tree VALUES (12, 12);
DELETE FROM tree WHERE id = 2;
SELECT * FROM tree ORDER BY id;
CREATE TABLE tree2 (id int PRIMARY KEY, parent int REFERENCES tree2);
INSERT INTO tree2 VALUES (1, NULL), (2, 1), (3, 2);
DELETE FROM tree2 WHERE id = 1;
DELETE FROM tree2;
INSERT INTO tree2 VALUES (1, NULL), (2, 1), (3, 2);
UPDATE tree2 SET id = id + 10, parent = parent + 10;
SELECT * FROM tree2 ORDER BY id;
UPDATE tree2 SET id = id + 10;
\d tree2

-- other types on both ends
CREATE TABLE big (id bigint PRIMARY KEY, t varchar(10) UNIQUE, n numeric UNIQUE, d date UNIQUE, u uuid UNIQUE);
INSERT INTO big VALUES (1, 'one', 1.0, '2020-01-01', '00000000-0000-0000-0000-000000000001'),
  (5000000000, 'two', 2.50, '2020-02-02', '00000000-0000-0000-0000-000000000002');
CREATE TABLE small (i int REFERENCES big, t text REFERENCES big (t), n int REFERENCES big (n), u uuid REFERENCES big (u), s smallint REFERENCES big (id));
INSERT INTO small VALUES (1, 'one', 1, '00000000-0000-0000-0000-000000000001', 1);
INSERT INTO small (i) VALUES (2);
INSERT INTO small (t) VALUES ('three');
INSERT INTO small (n) VALUES (2);
INSERT INTO small (u) VALUES ('00000000-0000-0000-0000-000000000009');
DELETE FROM big WHERE id = 5000000000;
DELETE FROM big WHERE id = 1;
CREATE TABLE wide (x bigint REFERENCES p (id));
INSERT INTO wide VALUES (1), (5000000000);
INSERT INTO wide VALUES (1), (NULL);
DELETE FROM p WHERE id = 1;
CREATE TABLE bad1 (x text REFERENCES p (id));
CREATE TABLE bad2 (x int REFERENCES big (t));
CREATE TABLE bad3 (x numeric REFERENCES p);

-- what cannot be declared
CREATE TABLE nokey (a int, b int);
CREATE TABLE bad (x int REFERENCES nokey);
CREATE TABLE bad (x int REFERENCES nokey (a));
CREATE TABLE bad (x int REFERENCES p (name));
CREATE TABLE bad (x int REFERENCES p (nope));
CREATE TABLE bad (x int, FOREIGN KEY (y) REFERENCES p);
CREATE TABLE bad (x int, y int, FOREIGN KEY (x, y) REFERENCES p);
CREATE TABLE bad (x int, y int, FOREIGN KEY (x, y) REFERENCES p (id, id));
CREATE TABLE bad (x int REFERENCES k2 (a));
CREATE TABLE bad (x int, FOREIGN KEY (x) REFERENCES missing);
CREATE TABLE bad (x int, FOREIGN KEY (x) REFERENCES p (ctid));
CREATE TABLE bad (x int, y int, FOREIGN KEY (x) REFERENCES p ON DELETE SET NULL (y));
CREATE TABLE bad (x int, FOREIGN KEY (x) REFERENCES p MATCH PARTIAL);
CREATE VIEW pv AS SELECT * FROM p;
CREATE TABLE bad (x int REFERENCES pv (id));
CREATE TABLE bad (x int REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE bad (x int REFERENCES p DEFERRABLE DEFERRABLE);
CREATE TABLE bad (x int NOT NULL DEFERRABLE);
CREATE TABLE bad (x int CHECK (x > 0) INITIALLY DEFERRED);
CREATE TEMP TABLE tp (id int PRIMARY KEY);
CREATE TABLE bad (x int REFERENCES tp);
CREATE TEMP TABLE tc (id int REFERENCES p);
CREATE TEMP TABLE tc (id int REFERENCES tp);
\set VERBOSITY default
INSERT INTO tc VALUES (1);
\set VERBOSITY verbose
CREATE UNIQUE INDEX nokey_a ON nokey (a);
CREATE TABLE onindex (x int REFERENCES nokey (a));
INSERT INTO nokey VALUES (1, 1);
INSERT INTO onindex VALUES (1);
INSERT INTO onindex VALUES (2);
DELETE FROM nokey;
DROP INDEX nokey_a;

-- ALTER TABLE
CREATE TABLE later (id int PRIMARY KEY, x int);
INSERT INTO later VALUES (1, 1), (2, 2222), (3, NULL);
ALTER TABLE later ADD FOREIGN KEY (x) REFERENCES p;
ALTER TABLE later ADD CONSTRAINT later_x FOREIGN KEY (x) REFERENCES p NOT VALID;
ALTER TABLE later ADD CONSTRAINT later_x FOREIGN KEY (x) REFERENCES p NOT VALID;
INSERT INTO later VALUES (4, 4444);
\d later
ALTER TABLE later VALIDATE CONSTRAINT later_x;
UPDATE later SET id = 22 WHERE id = 2;
UPDATE later SET x = 2 WHERE id = 22;
ALTER TABLE later VALIDATE CONSTRAINT later_x;
ALTER TABLE later VALIDATE CONSTRAINT later_x;
ALTER TABLE later VALIDATE CONSTRAINT later_pkey;
ALTER TABLE later VALIDATE CONSTRAINT nothing;
\d later
ALTER TABLE later ADD COLUMN y int REFERENCES p;
ALTER TABLE later ADD COLUMN z int DEFAULT 9999 REFERENCES p;
ALTER TABLE later ADD COLUMN z int DEFAULT 6 REFERENCES p;
SELECT * FROM later ORDER BY id;
ALTER TABLE later DROP CONSTRAINT later_x;
INSERT INTO later VALUES (5, 5555);
ALTER TABLE later DROP COLUMN y;
SELECT conname FROM pg_constraint WHERE conrelid = 'later'::regclass ORDER BY 1;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'later'::regclass;
ALTER TABLE later RENAME COLUMN z TO zz;
ALTER TABLE later RENAME CONSTRAINT later_z_fkey TO renamed;
INSERT INTO later VALUES (6, 6, 777);
ALTER TABLE later ALTER COLUMN zz TYPE bigint;
CREATE TABLE named (a int CONSTRAINT my_fk REFERENCES p ON UPDATE CASCADE, b int REFERENCES p, c int REFERENCES p (id));
CREATE TABLE named2 (a int CONSTRAINT my_fk REFERENCES p);
SELECT conname, conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid IN ('named'::regclass, 'named2'::regclass) ORDER BY 2, 1;

-- DROP and TRUNCATE
DROP TABLE k2;
DROP TABLE p;
ALTER TABLE p DROP CONSTRAINT p_pkey;
ALTER TABLE p DROP COLUMN id;
TRUNCATE p;
TRUNCATE a1;
TRUNCATE tree2;
BEGIN;
TRUNCATE k2, r2, r2f, r2u;
SELECT count(*) FROM r2;
ROLLBACK;
BEGIN;
TRUNCATE k2 CASCADE;
SELECT count(*) FROM r2;
ROLLBACK;
DROP TABLE k2 CASCADE;
INSERT INTO r2 VALUES (77, 77, '77');
\d r2
ALTER TABLE p DROP CONSTRAINT p_pkey CASCADE;
INSERT INTO c VALUES (777, 777);
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('p'::regclass, 'c'::regclass);
SELECT count(*) FROM pg_depend WHERE classid = 'pg_trigger'::regclass AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.oid = objid);
DROP TABLE c, p CASCADE;

-- ON CONFLICT and RETURNING beside foreign keys
CREATE TABLE q (id int PRIMARY KEY);
CREATE TABLE u (id int PRIMARY KEY, q int REFERENCES q ON DELETE CASCADE, n int DEFAULT 0);
INSERT INTO q VALUES (1), (2), (3);
INSERT INTO u VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET q = 9;
INSERT INTO u VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET q = 9;
INSERT INTO u VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET q = 2 RETURNING *;
INSERT INTO u VALUES (1, 9) ON CONFLICT (id) DO NOTHING;
INSERT INTO u VALUES (2, 9) ON CONFLICT (id) DO NOTHING;
INSERT INTO u VALUES (2, 3), (3, 3) RETURNING id, q;
DELETE FROM q WHERE id = 3 RETURNING id;
SELECT * FROM u ORDER BY id;
PREPARE ins (int, int) AS INSERT INTO u VALUES ($1, $2);
EXECUTE ins (50, 1);
EXECUTE ins (51, 5);
EXECUTE ins (52, NULL);
SELECT id, q FROM u ORDER BY id;
DROP TABLE u, q;

-- the index may be in any order; of several the oldest
CREATE TABLE any_order (id int PRIMARY KEY, a int NOT NULL, b text);
CREATE UNIQUE INDEX any_order_1 ON any_order (a DESC, b NULLS FIRST);
CREATE UNIQUE INDEX any_order_2 ON any_order (b, a);
CREATE UNIQUE INDEX any_order_3 ON any_order (a DESC NULLS LAST);
INSERT INTO any_order SELECT i, i, 'b' || i FROM generate_series(1, 20) i;
CREATE TABLE any_refers (a int REFERENCES any_order (a) ON UPDATE CASCADE, x int, y text,
    FOREIGN KEY (y, x) REFERENCES any_order (b, a));
INSERT INTO any_refers SELECT i, i, 'b' || i FROM generate_series(1, 10) i;
INSERT INTO any_refers VALUES (99);
INSERT INTO any_refers VALUES (1, 3, 'b2');
UPDATE any_order SET a = 100 WHERE id = 11;
UPDATE any_order SET a = 105 WHERE id = 5;
DELETE FROM any_order WHERE id = 3;
INSERT INTO any_refers VALUES (100, NULL, 'b2') RETURNING *;
UPDATE any_order SET a = 101 WHERE id = 11;
SELECT a FROM any_refers WHERE x IS NULL;
DROP INDEX any_order_2;
DROP INDEX any_order_1;
DROP INDEX any_order_3;
DROP TABLE any_refers, any_order;
