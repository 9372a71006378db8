-- UNIQUE and PRIMARY KEY constraints that can be deferred: with the shard key, without it, and of several columns.
CREATE TABLE d (id int PRIMARY KEY DEFERRABLE, u int UNIQUE DEFERRABLE INITIALLY DEFERRED, a int, b text,
                CONSTRAINT d_ab UNIQUE (a, b) DEFERRABLE INITIALLY IMMEDIATE);
INSERT INTO d SELECT g, g * 10, g % 3, 'b' || g FROM generate_series(1, 9) g;
\d d
SELECT conname, contype, condeferrable, condeferred, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid = 'd'::regclass ORDER BY conname;
SELECT c.relname, i.indisunique, i.indisprimary, i.indimmediate, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid = 'd'::regclass ORDER BY 1;
SELECT regexp_replace(tgname, '[0-9]+', 'N'), tgfoid::regproc, tgtype, tgenabled, tgisinternal, tgconstrrelid,
       tgconstrindid::regclass, tgdeferrable, tginitdeferred, tgnargs
  FROM pg_trigger WHERE tgrelid = 'd'::regclass ORDER BY 1, tgconstrindid::regclass::text;
SELECT relhastriggers FROM pg_class WHERE oid = 'd'::regclass;

-- keys that change places in one statement
UPDATE d SET id = id + 1;
UPDATE d SET id = 11 - id;
UPDATE d SET u = u + 10;
UPDATE d SET a = 2 - a, b = 'b' || (10 - substr(b, 2)::int);
SELECT * FROM d ORDER BY id;
-- a conflict is told at the end of the statement, the first row's
UPDATE d SET id = 5 WHERE id IN (6, 7);
INSERT INTO d VALUES (3, 1000, 5, 'x');
INSERT INTO d VALUES (20, 1001, 5, 'x'), (20, 1002, 5, 'y'), (21, 1003, 5, 'z');
INSERT INTO d VALUES (20, 1001, 5, 'x'), (21, 1002, 5, 'x');
INSERT INTO d VALUES (20, 1001, 5, 'x'), (21, 1001, 5, 'y');
INSERT INTO d SELECT g, g, g, '' FROM generate_series(100, 110) g UNION ALL SELECT 105, 1, 1, '';
SELECT count(*) FROM d;

-- deferred to the end
BEGIN;
INSERT INTO d VALUES (30, 50, 7, 'p');
SELECT id, u FROM d WHERE u = 50 ORDER BY id;
DELETE FROM d WHERE u = 50 AND id <> 30;
COMMIT;
SELECT id, u FROM d WHERE u = 50;
BEGIN;
INSERT INTO d VALUES (31, 50, 7, 'q');
SELECT id, u FROM d WHERE u = 50 ORDER BY id;
COMMIT;
SELECT id, u FROM d WHERE u = 50;
BEGIN;
INSERT INTO d VALUES (31, 50, 7, 'q');
UPDATE d SET u = 51 WHERE id = 31;
COMMIT;
SELECT id, u FROM d WHERE u BETWEEN 50 AND 51 ORDER BY 1;
DELETE FROM d WHERE id IN (30, 31);

-- SET CONSTRAINTS
BEGIN;
SET CONSTRAINTS d_pkey DEFERRED;
UPDATE d SET id = 2 WHERE id = 3;
SELECT id FROM d WHERE id BETWEEN 1 AND 3 ORDER BY 1;
SET CONSTRAINTS d_pkey IMMEDIATE;
ROLLBACK;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
UPDATE d SET id = 2 WHERE id = 3;
UPDATE d SET id = 3 WHERE u = (SELECT min(u) FROM d WHERE id = 2);
SET CONSTRAINTS d_pkey IMMEDIATE;
UPDATE d SET id = 2 WHERE id = 3;
COMMIT;
BEGIN;
SET CONSTRAINTS d_u_key IMMEDIATE;
UPDATE d SET u = 30 WHERE u = 40;
ROLLBACK;
BEGIN;
SET CONSTRAINTS nothing DEFERRED;
ROLLBACK;
CREATE TABLE plain (id int PRIMARY KEY);
BEGIN;
SET CONSTRAINTS plain_pkey DEFERRED;
ROLLBACK;
BEGIN;
SET CONSTRAINTS plain_pkey IMMEDIATE;
ROLLBACK;

-- savepoints
BEGIN;
SAVEPOINT a;
INSERT INTO d VALUES (40, 30, 8, 'p');
ROLLBACK TO a;
COMMIT;
BEGIN;
INSERT INTO d VALUES (40, 30, 8, 'p');
SAVEPOINT a;
DELETE FROM d WHERE u = 30 AND id <> 40;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO a;
COMMIT;
BEGIN;
INSERT INTO d VALUES (40, 30, 8, 'p');
SAVEPOINT a;
DELETE FROM d WHERE u = 30 AND id <> 40;
RELEASE a;
COMMIT;
SELECT id, u FROM d WHERE u = 30;
BEGIN;
SAVEPOINT a;
INSERT INTO d VALUES (41, 30, 8, 'q');
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO a;
INSERT INTO d VALUES (42, 31, 8, 'r');
COMMIT;
SELECT id, u FROM d WHERE id > 39 ORDER BY 1;
DELETE FROM d WHERE id > 39;

-- nulls and several conflicts of one row
INSERT INTO d VALUES (50, NULL, NULL, 'n'), (51, NULL, NULL, 'n');
INSERT INTO d VALUES (50, 60, 0, 'b1');
DELETE FROM d WHERE id >= 50;
BEGIN;
INSERT INTO d VALUES (50, 60, 60, 'n'), (51, 60, 61, 'n'), (52, 60, 62, 'n');
DELETE FROM d WHERE u = 60 AND id <> 51;
COMMIT;
SELECT id, u FROM d WHERE u = 60;

-- a long key change
CREATE TABLE many (id int PRIMARY KEY DEFERRABLE, other int UNIQUE DEFERRABLE);
INSERT INTO many SELECT g, g FROM generate_series(1, 3000) g;
UPDATE many SET id = id + 1, other = other + 1;
UPDATE many SET id = 3002 - id, other = 3002 - other;
SELECT count(*), min(id), max(id), sum(id), sum(other), count(DISTINCT id), count(DISTINCT other) FROM many;
-- which row is the first is not defined
\set VERBOSITY sqlstate
UPDATE many SET id = id % 2000, other = 0;
UPDATE many SET other = other % 2000;
\set VERBOSITY verbose
SELECT count(*), min(id), max(id), sum(id), sum(other) FROM many;

-- ON CONFLICT
INSERT INTO d VALUES (5, 5, 5, '') ON CONFLICT DO NOTHING;
INSERT INTO d VALUES (5, 5, 5, '') ON CONFLICT (id) DO NOTHING;
INSERT INTO d VALUES (5, 5, 5, '') ON CONFLICT (id) DO UPDATE SET b = 'z';
INSERT INTO d VALUES (5, 5, 5, '') ON CONFLICT ON CONSTRAINT d_u_key DO UPDATE SET b = 'z';
INSERT INTO d SELECT 5, 5, 5, '' WHERE false ON CONFLICT (id) DO NOTHING;
CREATE TABLE mixed (id int PRIMARY KEY, u int UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO mixed VALUES (1, 1), (2, 2);
INSERT INTO mixed VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET u = 2;
INSERT INTO mixed VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET u = 7;
BEGIN;
INSERT INTO mixed VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET u = 2 RETURNING *;
UPDATE mixed SET u = 3 WHERE id = 2;
COMMIT;
SELECT * FROM mixed ORDER BY 1;
INSERT INTO mixed VALUES (1, 3) ON CONFLICT (id) DO NOTHING;
SELECT * FROM mixed ORDER BY 1;

-- foreign keys cannot refer to it
CREATE TABLE refers (id int REFERENCES d);
CREATE TABLE refers (id int REFERENCES d (id));
CREATE TABLE refers (u int REFERENCES d (u));
-- nor does it make other columns depend on it
SELECT id, b FROM d GROUP BY id;
SELECT id, u FROM mixed GROUP BY id ORDER BY 1;

-- COPY and writable CTEs
COPY mixed FROM stdin;
10	10
11	10
\.
BEGIN;
COPY mixed FROM stdin;
10	10
11	10
\.
UPDATE mixed SET u = 11 WHERE id = 11;
COMMIT;
WITH x AS (INSERT INTO mixed VALUES (12, 11) RETURNING *) UPDATE mixed SET u = 12 FROM x WHERE mixed.id = 11;
WITH x AS (INSERT INTO mixed VALUES (12, 12) RETURNING *) UPDATE mixed SET u = 13 FROM x WHERE mixed.id = 11;
SELECT * FROM mixed ORDER BY 1;

-- definitions
ALTER TABLE mixed ALTER CONSTRAINT mixed_u_key NOT DEFERRABLE;
ALTER TABLE mixed ADD CONSTRAINT mixed_sum UNIQUE (id, u) DEFERRABLE INITIALLY DEFERRED;
CREATE UNIQUE INDEX mixed_i ON mixed (u, id);
ALTER TABLE mixed ADD CONSTRAINT mixed_other UNIQUE USING INDEX mixed_i DEFERRABLE;
CREATE UNIQUE INDEX mixed_j ON mixed (u);
ALTER TABLE mixed ADD CONSTRAINT mixed_later UNIQUE USING INDEX mixed_j DEFERRABLE INITIALLY DEFERRED;
\d mixed
BEGIN;
UPDATE mixed SET u = 100;
UPDATE mixed SET u = 100 + id;
COMMIT;
\set VERBOSITY sqlstate
BEGIN;
UPDATE mixed SET u = 100;
COMMIT;
\set VERBOSITY verbose
CREATE TABLE copy_of (LIKE mixed INCLUDING ALL);
SELECT conname, contype, condeferrable, condeferred, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid = 'copy_of'::regclass ORDER BY conname;
CREATE TABLE bad (id int UNIQUE NOT DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE bad (id int UNIQUE INITIALLY DEFERRED NOT DEFERRABLE);
CREATE TABLE good (id int UNIQUE INITIALLY DEFERRED);
SELECT condeferrable, condeferred FROM pg_constraint WHERE conrelid = 'good'::regclass;
CREATE TABLE bad (id int, CHECK (id > 0) DEFERRABLE);
BEGIN;
INSERT INTO good VALUES (1), (1);
ALTER TABLE good ADD COLUMN x int;
ROLLBACK;
BEGIN;
INSERT INTO good VALUES (1), (1);
TRUNCATE good;
ROLLBACK;
BEGIN;
INSERT INTO good VALUES (1), (1);
DROP TABLE good;
ROLLBACK;
BEGIN;
INSERT INTO good VALUES (1), (1);
REINDEX TABLE good;
ROLLBACK;
BEGIN;
INSERT INTO good VALUES (1), (1);
REINDEX INDEX good_id_key;
ROLLBACK;
BEGIN;
INSERT INTO good VALUES (1), (1);
CREATE INDEX good_i ON good (id);
DELETE FROM good;
COMMIT;
ALTER TABLE good ADD COLUMN x int;
INSERT INTO good VALUES (1, 1), (2, 1);
ALTER TABLE good ADD UNIQUE (x) DEFERRABLE;
REINDEX TABLE good;
BEGIN;
INSERT INTO good VALUES (1, 1);
COMMIT;
ALTER TABLE good ALTER COLUMN id TYPE bigint;
BEGIN;
INSERT INTO good VALUES (1, 1);
COMMIT;
\d good
ALTER TABLE good DROP CONSTRAINT good_id_key;
INSERT INTO good VALUES (1, 1);
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'good'::regclass;
DROP TABLE good;

-- isolation levels
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO mixed VALUES (200, 110);
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO mixed VALUES (200, 110);
UPDATE mixed SET u = 200 WHERE id = 200;
COMMIT;
SELECT * FROM mixed ORDER BY 1;

-- a temporary table, and one without a key
CREATE TEMP TABLE t (k text UNIQUE DEFERRABLE INITIALLY DEFERRED, v int);
INSERT INTO t VALUES ('a', 1), ('b', 2);
BEGIN;
UPDATE t SET k = CASE k WHEN 'a' THEN 'b' ELSE 'a' END;
COMMIT;
SELECT * FROM t ORDER BY 1;
\set VERBOSITY terse
BEGIN;
INSERT INTO t VALUES ('a', 3);
COMMIT;
\set VERBOSITY verbose
SELECT * FROM t ORDER BY 1;

-- prepared transactions look before they are prepared
BEGIN;
INSERT INTO mixed VALUES (300, 110);
PREPARE TRANSACTION 'later';
SELECT count(*) FROM mixed WHERE id = 300;
DROP TABLE d, plain, many, mixed, copy_of;
