-- What tests/sql/random found, as small as it gets.
CREATE TABLE r (a int PRIMARY KEY, c text);
INSERT INTO r VALUES (1, 'c1'), (2, 'Ac2'), (3, NULL);
-- a subquery in a condition on VALUES reads the whole row
SELECT v.i FROM (VALUES (13, 'x'), (5, 'y')) v(i, s) WHERE cardinality(ARRAY(SELECT g FROM generate_series(1, 1) g)) < ALL (ARRAY[v.i, 7]) ORDER BY 1;
SELECT v.s FROM r RIGHT JOIN (VALUES (1, 'it'), (5, 'pad')) v(i, s) ON r.c = v.s WHERE v.i IN (SELECT a FROM r WHERE a <= v.i) ORDER BY 1;
-- without regard to case, [:upper:] and [:lower:] are all letters
SELECT a FROM r WHERE 'a' || c ~* '[[:upper:]]c' ORDER BY a;
SELECT 'b' ~* '[[:upper:]]', 'B' ~* '[[:lower:]]', '1' ~* '[[:upper:]]', 'b' ~* '[^[:upper:]]', 'b' ~ '[[:upper:]]', 'b' ~* '[[:upper:]1]';
DROP TABLE r;
