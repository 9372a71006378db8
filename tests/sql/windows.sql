-- Window functions: all of them, frames of every mode, exclusion, several windows, groups below them.
CREATE TABLE emp (id int PRIMARY KEY, dept text, salary int, hired date, score float8, note text);
INSERT INTO emp VALUES
 (1, 'develop', 5200, '2007-08-01', 1.5, 'a'), (2, 'sales', 5000, '2006-10-01', 2.5, 'b'),
 (3, 'personnel', 3500, '2006-12-10', NULL, 'c'), (4, 'sales', 4800, '2007-08-08', 0.5, NULL),
 (5, 'personnel', 3900, '2006-12-23', 9, 'e'), (6, 'develop', 4200, '2007-08-01', 4, 'f'),
 (7, 'develop', 4500, '2008-01-01', 4, 'g'), (8, 'sales', 4800, '2007-08-01', 8, 'h'),
 (9, 'develop', 6000, '2006-10-01', 7, NULL), (10, 'develop', 5200, '2007-08-15', -1, 'j'),
 (11, NULL, 100, NULL, NULL, 'k'), (12, NULL, NULL, '2006-10-01', 3, 'l');
SELECT id, row_number() OVER (ORDER BY id), rank() OVER (ORDER BY salary), dense_rank() OVER (ORDER BY salary),
       percent_rank() OVER (ORDER BY salary), cume_dist() OVER (ORDER BY salary), ntile(5) OVER (ORDER BY id)
  FROM emp ORDER BY id;
SELECT id, dept, rank() OVER (PARTITION BY dept ORDER BY salary DESC), count(*) OVER (PARTITION BY dept),
       sum(salary) OVER (PARTITION BY dept ORDER BY salary, id), avg(salary) OVER (PARTITION BY dept)
  FROM emp ORDER BY dept, salary DESC NULLS LAST, id;
SELECT id, lag(salary) OVER w, lag(salary, 2) OVER w, lag(salary, 2, -1) OVER w, lead(salary) OVER w,
       lead(note, 3, 'none') OVER w, lag(note, -1) OVER w, lead(salary, id % 3) OVER w, lead(salary, NULL) OVER w
  FROM emp WINDOW w AS (ORDER BY id) ORDER BY id;
SELECT id, first_value(note) OVER w, last_value(note) OVER w, nth_value(note, 2) OVER w, nth_value(note, NULL) OVER w
  FROM emp WINDOW w AS (PARTITION BY dept ORDER BY hired, id) ORDER BY id;
SELECT id, sum(salary) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) a,
       sum(salary) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) b,
       sum(salary) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) c,
       sum(salary) OVER (ORDER BY id ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING) d,
       sum(salary) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) e,
       count(*) OVER (ORDER BY id ROWS BETWEEN 3 PRECEDING AND 2 PRECEDING) f,
       count(*) OVER (ORDER BY id ROWS BETWEEN 2 FOLLOWING AND 1 FOLLOWING) g,
       count(*) OVER (ORDER BY id ROWS 100 PRECEDING) h
  FROM emp ORDER BY id;
SELECT id, salary, sum(salary) OVER (ORDER BY salary RANGE BETWEEN 500 PRECEDING AND 300 FOLLOWING) a,
       count(*) OVER (ORDER BY salary DESC RANGE BETWEEN 500 PRECEDING AND CURRENT ROW) b,
       count(*) OVER (ORDER BY salary NULLS FIRST RANGE BETWEEN 1000 PRECEDING AND 100 PRECEDING) c,
       count(*) OVER (ORDER BY salary DESC NULLS LAST RANGE BETWEEN 200 FOLLOWING AND UNBOUNDED FOLLOWING) d
  FROM emp ORDER BY salary, id;
SELECT id, hired, count(*) OVER (ORDER BY hired RANGE BETWEEN '1 year' PRECEDING AND '1 month' FOLLOWING) a,
       array_agg(id) OVER (ORDER BY hired DESC, id) b FROM emp ORDER BY hired, id;
SELECT id, score, sum(score) OVER (ORDER BY score RANGE BETWEEN 1.5 PRECEDING AND 1.5 FOLLOWING)
  FROM emp ORDER BY score, id;
SELECT id, array_agg(id) OVER (ORDER BY salary, id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) a,
       count(*) OVER (ORDER BY dept GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) b,
       count(*) OVER (ORDER BY dept GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE GROUP) c,
       count(*) OVER (ORDER BY dept GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) d,
       count(*) OVER (ORDER BY dept GROUPS BETWEEN 2 PRECEDING AND 1 PRECEDING) e,
       count(*) OVER (ORDER BY dept GROUPS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) f,
       sum(id) OVER (ORDER BY salary RANGE UNBOUNDED PRECEDING EXCLUDE TIES) g
  FROM emp ORDER BY id;
SELECT id, first_value(id) OVER w, last_value(id) OVER w, nth_value(id, 2) OVER w FROM emp
  WINDOW w AS (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT ROW) ORDER BY id;
SELECT id, first_value(id) OVER w, last_value(id) OVER w FROM emp
  WINDOW w AS (ORDER BY salary, id GROUPS BETWEEN 1 PRECEDING AND 2 FOLLOWING EXCLUDE TIES) ORDER BY id;
SELECT id, min(note) OVER w, max(note) OVER w, string_agg(note, ',') OVER w, bool_and(salary > 100) OVER w,
       count(note) FILTER (WHERE salary > 4500) OVER w, avg(score::numeric) OVER w, stddev(salary) OVER w
  FROM emp WINDOW w AS (ORDER BY id) ORDER BY id;
-- Windows over groups
SELECT dept, sum(salary), rank() OVER (ORDER BY sum(salary) DESC NULLS LAST), sum(sum(salary)) OVER (ORDER BY dept)
  FROM emp GROUP BY dept ORDER BY dept;
SELECT dept, extract(year from hired) y, sum(salary), grouping(dept, extract(year from hired)),
       row_number() OVER (PARTITION BY grouping(dept) ORDER BY grouping(dept, extract(year from hired)), dept, extract(year from hired))
  FROM emp GROUP BY ROLLUP (dept, extract(year from hired)) ORDER BY 4, 1, 2;
SELECT count(*) OVER (), max(salary) FROM emp;
SELECT count(*) OVER (), id FROM emp WHERE false;
SELECT sum(count(*)) OVER () FROM emp WHERE false;
-- In subqueries, with joins, DISTINCT, LIMIT, ORDER BY a window, CASE around it
SELECT * FROM (SELECT id, dept, row_number() OVER (PARTITION BY dept ORDER BY salary DESC NULLS LAST, id) r FROM emp) s
  WHERE r <= 2 ORDER BY dept, r;
SELECT DISTINCT dept, count(*) OVER (PARTITION BY dept) FROM emp ORDER BY dept;
SELECT id FROM emp ORDER BY rank() OVER (ORDER BY salary DESC NULLS LAST), id LIMIT 3;
SELECT a.id, b.id, row_number() OVER (PARTITION BY a.dept ORDER BY a.id, b.id) FROM emp a JOIN emp b
  ON a.dept = b.dept AND a.id < b.id ORDER BY 1, 2;
SELECT id, CASE WHEN row_number() OVER (ORDER BY id) % 2 = 0 THEN 'even' ELSE 'odd' END,
       (rank() OVER (ORDER BY dept))::text || '!' FROM emp ORDER BY id;
SELECT x, (SELECT sum(y) OVER (ORDER BY y) FROM generate_series(1, x) y ORDER BY y DESC LIMIT 1) FROM generate_series(1, 4) x;
WITH w AS (SELECT id, ntile(3) OVER (ORDER BY id) t FROM emp) SELECT t, count(*) FROM w GROUP BY t ORDER BY t;
SELECT id, sum(salary) OVER (w ORDER BY id), sum(salary) OVER (w) FROM emp WINDOW w AS (PARTITION BY dept) ORDER BY id;
SELECT id, ntile(NULL) OVER (ORDER BY id) FROM emp WHERE id < 3 ORDER BY id;
SELECT g, ntile(4) OVER (ORDER BY g), ntile(20) OVER (ORDER BY g) FROM generate_series(1, 10) g ORDER BY g;
SELECT count(*), sum(s), sum(r) FROM (SELECT sum(g) OVER (PARTITION BY g % 100 ORDER BY g) s,
  row_number() OVER (ORDER BY g DESC) r FROM generate_series(1, 20000) g) x;
UPDATE emp SET salary = r FROM (SELECT id, row_number() OVER (ORDER BY id DESC) r FROM emp) s WHERE s.id = emp.id;
SELECT id, salary FROM emp ORDER BY id;
-- A partition larger than work_mem
SET work_mem = '64kB';
SELECT sum(x), max(y), count(z) FROM (SELECT sum(g) OVER w x, lag(repeat('x', g % 50), 100) OVER w y,
  first_value(g) OVER w z FROM generate_series(1, 20000) g WINDOW w AS (ORDER BY g ROWS BETWEEN 3 PRECEDING AND 2 FOLLOWING)) s;
RESET work_mem;
PREPARE p(int) AS SELECT id, count(*) OVER (ORDER BY id ROWS $1 PRECEDING) FROM emp ORDER BY id LIMIT 4;
EXECUTE p(1);
EXECUTE p(0);
EXECUTE p(-1);
EXECUTE p(NULL);
-- Errors
SELECT ntile(0) OVER (ORDER BY id) FROM emp;
SELECT nth_value(id, 0) OVER (ORDER BY id) FROM emp;
SELECT row_number() FROM emp;
SELECT id FROM emp WHERE row_number() OVER () > 1;
SELECT sum(row_number() OVER ()) FROM emp;
SELECT row_number() OVER (ORDER BY row_number() OVER ()) FROM emp;
SELECT count(DISTINCT dept) OVER () FROM emp;
SELECT lower('x') OVER ();
SELECT sum(salary) OVER (ORDER BY note RANGE 1 PRECEDING) FROM emp;
SELECT sum(salary) OVER (ORDER BY salary RANGE '1 day' PRECEDING) FROM emp;
SELECT sum(salary) OVER (ORDER BY salary RANGE -1 PRECEDING) FROM emp;
SELECT sum(salary) OVER (ORDER BY id, salary RANGE 1 PRECEDING) FROM emp;
SELECT sum(salary) OVER (GROUPS 1 PRECEDING) FROM emp;
SELECT sum(salary) OVER (ROWS BETWEEN UNBOUNDED FOLLOWING AND CURRENT ROW) FROM emp;
SELECT sum(salary) OVER (ORDER BY id ROWS id PRECEDING) FROM emp;
SELECT rank() OVER nosuch FROM emp;
SELECT rank() OVER (w ORDER BY id) FROM emp WINDOW w AS (ORDER BY id);
SELECT rank() OVER w FROM emp WINDOW w AS (ORDER BY id), w AS (ORDER BY id);
SELECT id, row_number() OVER () FROM emp FOR UPDATE;
SELECT dept, row_number() OVER (ORDER BY salary) FROM emp GROUP BY dept;
SELECT id, count(*) OVER (ORDER BY score::float4 RANGE 1.5 PRECEDING) FROM emp ORDER BY id;
SELECT id, count(*) OVER (ORDER BY id::int2 RANGE 2 PRECEDING), count(*) OVER (ORDER BY id::int8 RANGE 2 PRECEDING) FROM emp ORDER BY id;
SELECT count(*) OVER (ORDER BY hired RANGE 2 PRECEDING) FROM emp;
SELECT count(*) OVER (ORDER BY id::int8 RANGE 2.5 PRECEDING) FROM emp;
SELECT id, count(*) OVER (ORDER BY hired::timestamp RANGE '1 year' PRECEDING),
  count(*) OVER (ORDER BY salary::numeric RANGE BETWEEN 1.5 PRECEDING AND 100 FOLLOWING) FROM emp ORDER BY id;
SELECT x, count(*) OVER (ORDER BY x RANGE BETWEEN 'inf' PRECEDING AND 1 FOLLOWING), count(*) OVER (ORDER BY x RANGE BETWEEN 2 PRECEDING AND 'inf' FOLLOWING)
  FROM unnest('{-inf,1,2,4,inf,NaN}'::numeric[]) x ORDER BY x;
SELECT x, count(*) OVER (ORDER BY x RANGE BETWEEN '1 hour' PRECEDING AND '30 min' FOLLOWING)
  FROM unnest('{10:00+00,10:30+01,11:00-02,12:00+00}'::timetz[]) x ORDER BY x;
