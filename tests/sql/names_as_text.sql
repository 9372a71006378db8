-- Names of objects as text where rows are read on another core than the session's.
SELECT count(*) FROM pg_class WHERE oid::regclass::text = 'pg_class';
SELECT string_agg(oid::regclass::text, ',' ORDER BY oid) FROM pg_class WHERE relname IN ('pg_class', 'pg_type');
SELECT format('%s %s', oid::regclass, relnamespace::regnamespace) FROM pg_class WHERE relname = 'pg_class';
SELECT concat(relowner::regrole, '-', array_agg(oid::regclass)) FROM pg_class WHERE relname = 'pg_proc' GROUP BY relowner;
SELECT oid::regtype::text || '!' FROM pg_type WHERE typname IN ('int4', 'timestamptz') ORDER BY 1;
