-- What a login finds out about its role and database follows every change of them.
CREATE ROLE login_settings_a LOGIN;
ALTER ROLE login_settings_a SET work_mem = '3MB';
\c - login_settings_a
SELECT current_user, session_user, current_setting('work_mem'), current_setting('is_superuser');
\c - postgres
ALTER ROLE login_settings_a SET work_mem = '5MB';
ALTER DATABASE t_login_settings SET statement_timeout = '77s';
\c - login_settings_a
SELECT current_setting('work_mem'), current_setting('statement_timeout');
\c - postgres
ALTER ROLE login_settings_a IN DATABASE t_login_settings SET work_mem = '7MB';
ALTER ROLE ALL SET lock_timeout = '55s';
\c - login_settings_a
SELECT current_setting('work_mem'), current_setting('lock_timeout');
\c - postgres
ALTER ROLE login_settings_a RESET ALL;
ALTER ROLE ALL RESET lock_timeout;
ALTER ROLE login_settings_a SUPERUSER;
\c - login_settings_a
SELECT current_setting('work_mem'), current_setting('lock_timeout'), current_setting('is_superuser');
\c - postgres
-- A role of the same name is another role.
DROP ROLE login_settings_a;
DROP ROLE IF EXISTS login_settings_b;
CREATE ROLE login_settings_a LOGIN;
ALTER ROLE login_settings_a IN DATABASE t_login_settings SET work_mem = '9MB';
\c - login_settings_a
SELECT current_setting('work_mem'), current_setting('is_superuser');
\c - postgres
ALTER ROLE login_settings_a RENAME TO login_settings_b;
\c - login_settings_b
SELECT current_user, current_setting('work_mem');
\c - postgres
-- Rolled back: nothing changes.
BEGIN;
ALTER ROLE login_settings_b IN DATABASE t_login_settings SET work_mem = '11MB';
ROLLBACK;
\c - login_settings_b
SELECT current_setting('work_mem');
\c - postgres
ALTER DATABASE t_login_settings RESET ALL;
DROP ROLE login_settings_b;
