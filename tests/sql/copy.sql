CREATE TABLE c (id int PRIMARY KEY, t text, f float8, b bool);
COPY c FROM STDIN;
1	one	1.5	t
2	two\twith tab	\N	f
3	\N	-3	\N
\.
SELECT * FROM c ORDER BY id;
COPY c FROM STDIN WITH (FORMAT csv);
4,"quoted, comma",4.25,true
5,"with ""quote""",,false
6,,6,
\.
SELECT * FROM c ORDER BY id;
COPY (SELECT * FROM c ORDER BY id) TO STDOUT;
COPY (SELECT * FROM c ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER);
COPY (SELECT id, t FROM c ORDER BY id) TO STDOUT WITH (DELIMITER '|', NULL 'nil');
COPY c (id, t) FROM STDIN WITH (DELIMITER '|');
7|seven
8|eight
\.
COPY c FROM STDIN;
9	bad	notafloat	t
\.
COPY c FROM STDIN;
9	missing
\.
COPY c FROM STDIN;
9	a	1	t	extra
\.
COPY c FROM STDIN;
1	dup	1	t
\.
SELECT count(*) FROM c;
COPY nosuch FROM STDIN;
COPY c (nosuch) FROM STDIN;
