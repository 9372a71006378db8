CREATE TABLE people (id serial PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', born date, CHECK (id > 0));
CREATE INDEX people_name ON people (name);
CREATE TABLE pairs (a int, b int, c char(3), n numeric(8, 2), PRIMARY KEY (a, b), UNIQUE (c));
CREATE VIEW pv AS SELECT id, name FROM people;
CREATE SEQUENCE s2;
\d people
\d pairs
\d pv
\d s2
\d people_name
\d
\dt
\di
\ds
\dv
\dn
\d nosuch
\du
SELECT relname, relkind FROM pg_class WHERE relname IN ('people', 'pairs', 'people_pkey') ORDER BY 1;
SELECT attname, atttypid::regtype, attnotnull FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum > 0 ORDER BY attnum;
SELECT 'int4'::regtype::oid, 'pg_class'::regclass::oid, 23::regtype, 1259::regclass;
SELECT typname, typlen, typbyval, typcategory FROM pg_type WHERE oid IN (16, 20, 21, 23, 25, 1043, 1700) ORDER BY oid;
SELECT oprname, oprleft::regtype, oprright::regtype, oprresult::regtype FROM pg_operator WHERE oid IN (96, 97, 551) ORDER BY oid;
SELECT count(*) FROM pg_type WHERE typnamespace = 11 AND oid < 10000 AND typtype = 'b';
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_t' ORDER BY 1;
SELECT rolname, rolsuper FROM pg_roles WHERE rolname = 'postgres';
SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1;
SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'people' ORDER BY ordinal_position;
SELECT name, setting, unit FROM pg_settings WHERE name IN ('work_mem', 'block_size') ORDER BY 1;
SELECT current_database() LIKE 't%', current_user, current_schema(), pg_typeof(1), version() LIKE 'PostgreSQL 15%';
