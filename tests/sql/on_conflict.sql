-- ON CONFLICT: unique keys beside the primary key, partial and expression indexes, constraints by name.
CREATE TABLE u (id int PRIMARY KEY, k text UNIQUE, n int DEFAULT 0, v text);
INSERT INTO u SELECT i, 'k' || i, 0, 'v' FROM generate_series(1, 20) i;
INSERT INTO u VALUES (100, 'k1') ON CONFLICT (k) DO NOTHING;
INSERT INTO u VALUES (101, 'new') ON CONFLICT (k) DO NOTHING;
INSERT INTO u VALUES (102, 'k2') ON CONFLICT (k) DO UPDATE SET n = u.n + 1, v = excluded.id::text RETURNING *;
INSERT INTO u VALUES (103, 'k103') ON CONFLICT (k) DO UPDATE SET n = u.n + 1 RETURNING *;
INSERT INTO u VALUES (1, 'k300') ON CONFLICT (k) DO NOTHING;
INSERT INTO u VALUES (1, 'k300') ON CONFLICT DO NOTHING;
INSERT INTO u VALUES (300, 'k3') ON CONFLICT DO NOTHING;
INSERT INTO u VALUES (300, 'k3') ON CONFLICT (id) DO NOTHING;
INSERT INTO u VALUES (1, 'k3') ON CONFLICT (k) DO UPDATE SET v = 'by k' RETURNING *;
INSERT INTO u VALUES (1, 'k3') ON CONFLICT (id) DO UPDATE SET v = 'by id' RETURNING *;
INSERT INTO u VALUES (301, NULL), (302, NULL) ON CONFLICT (k) DO UPDATE SET v = 'never';
INSERT INTO u VALUES (400, 'twice'), (401, 'twice'), (402, 'other'), (403, 'twice') ON CONFLICT (k) DO NOTHING;
INSERT INTO u VALUES (500, 'dup'), (501, 'dup') ON CONFLICT (k) DO UPDATE SET n = 1;
INSERT INTO u SELECT 1000 + i, 'k' || i, 7, 'again' FROM generate_series(15, 30) i
  ON CONFLICT (k) DO UPDATE SET n = excluded.n, v = excluded.v WHERE u.id % 2 = 0;
INSERT INTO u VALUES (600, 'k4') ON CONFLICT (k) DO UPDATE SET k = 'renamed' RETURNING *;
INSERT INTO u VALUES (600, 'k5') ON CONFLICT (k) DO UPDATE SET k = 'k6' RETURNING *;
INSERT INTO u VALUES (601, 'k4'), (602, 'renamed') ON CONFLICT ON CONSTRAINT u_k_key DO UPDATE SET v = 'named' RETURNING id, k, v;
INSERT INTO u VALUES (700, 'k7') ON CONFLICT ON CONSTRAINT u_pkey DO NOTHING;
INSERT INTO u VALUES (700, 'k7') ON CONFLICT ON CONSTRAINT missing DO NOTHING;
INSERT INTO u VALUES (700, 'k7') ON CONFLICT (v) DO NOTHING;
INSERT INTO u VALUES (700, 'k7') ON CONFLICT (k) DO UPDATE SET n = (SELECT count(*) FROM u x WHERE x.id < excluded.id) RETURNING n;
SELECT * FROM u ORDER BY id;
PREPARE up (int, text) AS INSERT INTO u VALUES ($1, $2, 1) ON CONFLICT (k) DO UPDATE SET n = u.n + excluded.n RETURNING id, n;
EXECUTE up (800, 'counter');
EXECUTE up (801, 'counter');
EXECUTE up (802, 'counter');
BEGIN;
INSERT INTO u VALUES (900, 'mine');
INSERT INTO u VALUES (901, 'mine') ON CONFLICT (k) DO UPDATE SET v = 'own' RETURNING id, v;
DELETE FROM u WHERE k = 'mine';
INSERT INTO u VALUES (902, 'mine') ON CONFLICT (k) DO UPDATE SET v = 'own' RETURNING id, v;
ROLLBACK;
SELECT count(*) FROM u WHERE k = 'mine';
-- partial and expression indexes
CREATE TABLE s (id int PRIMARY KEY, email text, active bool, n int DEFAULT 0);
CREATE UNIQUE INDEX s_email ON s (lower(email)) WHERE active;
INSERT INTO s VALUES (1, 'A@x', true), (2, 'a@x', false), (3, 'b@x', true);
INSERT INTO s VALUES (4, 'a@X', true) ON CONFLICT (lower(email)) WHERE active DO UPDATE SET n = s.n + 1 RETURNING *;
INSERT INTO s VALUES (5, 'a@X', false) ON CONFLICT (lower(email)) WHERE active DO UPDATE SET n = s.n + 1 RETURNING *;
INSERT INTO s VALUES (6, 'a@X', true) ON CONFLICT (lower(email)) DO NOTHING;
INSERT INTO s VALUES (6, 'a@X', true) ON CONFLICT DO NOTHING;
INSERT INTO s VALUES (6, 'a@X', true);
SELECT * FROM s ORDER BY id;
-- no primary key at all
CREATE TABLE nk (k int UNIQUE, v int);
INSERT INTO nk VALUES (1, 1), (2, 2);
INSERT INTO nk VALUES (1, 10), (3, 30) ON CONFLICT (k) DO UPDATE SET v = excluded.v;
INSERT INTO nk VALUES (2, 20) ON CONFLICT DO NOTHING;
SELECT * FROM nk ORDER BY k;
-- two keys
CREATE TABLE two (id int PRIMARY KEY, a int, b int, c int UNIQUE, UNIQUE (a, b));
INSERT INTO two VALUES (1, 1, 1, 1), (2, 1, 2, 2);
INSERT INTO two VALUES (3, 1, 2, 3) ON CONFLICT (a, b) DO UPDATE SET c = excluded.c RETURNING *;
INSERT INTO two VALUES (3, 1, 2, 1) ON CONFLICT (a, b) DO UPDATE SET c = excluded.c RETURNING *;
INSERT INTO two VALUES (3, 1, 3, 1) ON CONFLICT (b, a) DO NOTHING;
INSERT INTO two VALUES (3, 1, 3, 1) ON CONFLICT (c) DO UPDATE SET b = 9 RETURNING *;
SELECT * FROM two ORDER BY id;
-- check and not null come first
CREATE TABLE ch (id int PRIMARY KEY, k int UNIQUE NOT NULL, n int CHECK (n > 0));
INSERT INTO ch VALUES (1, 1, 1);
INSERT INTO ch VALUES (2, 1, 0) ON CONFLICT (k) DO UPDATE SET n = 5;
INSERT INTO ch VALUES (2, 1, 5) ON CONFLICT (k) DO UPDATE SET n = -5;
INSERT INTO ch VALUES (2, NULL, 5) ON CONFLICT (k) DO UPDATE SET n = 6;
SELECT * FROM ch;
