-- What tests/sql/random found, as small as it gets.
CREATE TABLE r (a int PRIMARY KEY, c text);
INSERT INTO r VALUES (1, 'c1'), (2, 'Ac2'), (3, NULL);
-- a subquery in a condition on VALUES reads the whole row
SELECT v.i FROM (VALUES (13, 'x'), (5, 'y')) v(i, s) WHERE cardinality(ARRAY(SELECT g FROM generate_series(1, 1) g)) < ALL (ARRAY[v.i, 7]) ORDER BY 1;
SELECT v.s FROM r RIGHT JOIN (VALUES (1, 'it'), (5, 'pad')) v(i, s) ON r.c = v.s WHERE v.i IN (SELECT a FROM r WHERE a <= v.i) ORDER BY 1;
-- without regard to case, [:upper:] and [:lower:] are all letters
SELECT a FROM r WHERE 'a' || c ~* '[[:upper:]]c' ORDER BY a;
SELECT 'b' ~* '[[:upper:]]', 'B' ~* '[[:lower:]]', '1' ~* '[[:upper:]]', 'b' ~* '[^[:upper:]]', 'b' ~ '[[:upper:]]', 'b' ~* '[[:upper:]1]';
-- a grouping set makes a subquery's constants null too
SELECT x, y, count(*) FROM (SELECT 9, a % 2 FROM r) s(x, y) GROUP BY ROLLUP (x, y) ORDER BY 1, 2, 3;
SELECT x, y, count(*) FROM (SELECT 9 + a, 'k' FROM r) s(x, y) GROUP BY CUBE (x, y) ORDER BY 1, 2, 3;
-- what a lateral subquery reads is joined before it, kept rows or not
CREATE TABLE l1 (a int PRIMARY KEY, b int);
CREATE TABLE l2 (a int PRIMARY KEY, s int);
INSERT INTO l1 SELECT n, n % 11 FROM generate_series(1, 60) n;
INSERT INTO l2 SELECT n, n % 20 FROM generate_series(1, 40) n;
ANALYZE l1;
ANALYZE l2;
SELECT count(*), sum(x.v) FROM l1 LEFT JOIN LATERAL (SELECT l1.b % 3 AS v FROM l2 WHERE l2.s = 1) x ON true JOIN l2 y ON x.v = y.a;
SELECT count(*), sum(x.v) FROM l1 LEFT JOIN LATERAL (SELECT l1.b + l2.a AS v FROM l2 WHERE l2.s = 1) x ON true JOIN l2 y ON x.v = y.a;
DROP TABLE l1, l2;
DROP TABLE r;
