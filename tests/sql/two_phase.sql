-- Two-phase commands in one session: what they answer, what is seen between, what is refused.
CREATE TABLE acct (id int PRIMARY KEY, amount numeric NOT NULL, note text);
CREATE TABLE owner_of (id int REFERENCES acct DEFERRABLE INITIALLY DEFERRED);
INSERT INTO acct SELECT i, 100 FROM generate_series(1, 20) i;

-- outside of a block, in a failed one, inside of one
PREPARE TRANSACTION 'x';
SELECT count(*) FROM pg_prepared_xacts;
BEGIN; SELECT 1/0; PREPARE TRANSACTION 'x';
BEGIN; INSERT INTO acct VALUES (50, 1); COMMIT PREPARED 'x';
ROLLBACK;
BEGIN; ROLLBACK PREPARED 'x';
ROLLBACK;
COMMIT PREPARED 'nope';
ROLLBACK PREPARED 'nope';
SELECT 1\; COMMIT PREPARED 'nope';
SELECT 1\; PREPARE TRANSACTION 'after one';
ROLLBACK PREPARED 'after one';

-- commit and rollback, over all shards
BEGIN;
UPDATE acct SET amount = amount - 1;
INSERT INTO acct VALUES (21, 5, repeat('long ', 5000));
DELETE FROM acct WHERE id = 3;
PREPARE TRANSACTION 'all';
SELECT count(*), sum(amount) FROM acct;
SELECT gid, owner, database, transaction IS NOT NULL AS has_id, prepared <= now() AS prepared FROM pg_prepared_xacts;
SELECT gid, ownerid::regrole, dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AS here
  FROM pg_prepared_xact();
SELECT locktype, mode, pid, granted FROM pg_locks WHERE pid IS NULL AND locktype = 'transactionid';
SELECT locktype, relation::regclass, mode, pid, granted FROM pg_locks
  WHERE pid IS NULL AND relation = 'acct'::regclass AND mode = 'RowExclusiveLock';
COMMIT PREPARED 'all';
SELECT count(*), sum(amount), max(length(note)) FROM acct;
SELECT count(*) FROM pg_prepared_xacts;
COMMIT PREPARED 'all';
BEGIN; UPDATE acct SET amount = 0; PREPARE TRANSACTION 'none';
ROLLBACK PREPARED 'none';
SELECT count(*), sum(amount) FROM acct;

-- one row, and nothing at all
BEGIN; UPDATE acct SET note = 'one' WHERE id = 1; PREPARE TRANSACTION 'one'; COMMIT PREPARED 'one';
SELECT note FROM acct WHERE id = 1;
BEGIN; PREPARE TRANSACTION ''; COMMIT PREPARED '';
BEGIN READ ONLY; SELECT count(*) FROM acct; PREPARE TRANSACTION 'read'; ROLLBACK PREPARED 'read';

-- savepoints: what was rolled back is not prepared
BEGIN;
INSERT INTO acct VALUES (30, 1);
SAVEPOINT s;
INSERT INTO acct VALUES (31, 1);
ROLLBACK TO s;
INSERT INTO acct VALUES (32, 1);
PREPARE TRANSACTION 'saved';
COMMIT PREPARED 'saved';
SELECT id FROM acct WHERE id >= 30 ORDER BY id;

-- settings stay, those of the transaction do not
BEGIN;
SET LOCAL work_mem = '1MB';
SET statement_timeout = 7777;
PREPARE TRANSACTION 'set';
SHOW work_mem;
SHOW statement_timeout;
ROLLBACK PREPARED 'set';
SHOW statement_timeout;
RESET statement_timeout;

-- names
BEGIN; INSERT INTO acct VALUES (60, 1); PREPARE TRANSACTION 'dup';
BEGIN; INSERT INTO acct VALUES (61, 1); PREPARE TRANSACTION 'dup';
SELECT 'no block any more';
ROLLBACK;
ROLLBACK PREPARED 'dup';
SELECT count(*) FROM acct WHERE id >= 60;
SELECT repeat('n', 199) AS longest, repeat('n', 200) AS longer \gset
BEGIN; PREPARE TRANSACTION :'longer';
BEGIN; PREPARE TRANSACTION :'longest';
SELECT length(gid) FROM pg_prepared_xacts;
COMMIT PREPARED :'longest';

-- deferred constraints are checked first
BEGIN; INSERT INTO owner_of VALUES (999); PREPARE TRANSACTION 'fk';
SELECT count(*) FROM owner_of;
BEGIN; INSERT INTO owner_of VALUES (998); INSERT INTO acct VALUES (998, 1); PREPARE TRANSACTION 'fk';
COMMIT PREPARED 'fk';
SELECT * FROM owner_of;

-- DDL
BEGIN; CREATE TABLE made (a int PRIMARY KEY, b text); INSERT INTO made VALUES (1, 'x'); ALTER TABLE acct ADD COLUMN extra int DEFAULT 7;
PREPARE TRANSACTION 'ddl';
SELECT to_regclass('made');
COMMIT PREPARED 'ddl';
SELECT * FROM made;
SELECT extra FROM acct WHERE id = 1;
BEGIN; DROP TABLE made; PREPARE TRANSACTION 'drop';
ROLLBACK PREPARED 'drop';
SELECT * FROM made;
BEGIN; CREATE TABLE unmade (a int); PREPARE TRANSACTION 'ddl';
ROLLBACK PREPARED 'ddl';
SELECT * FROM unmade;

-- what cannot be prepared
BEGIN; CREATE TEMP TABLE tmp (a int); PREPARE TRANSACTION 'x';
CREATE TEMP TABLE tmp (a int);
BEGIN; SELECT * FROM tmp; PREPARE TRANSACTION 'x';
BEGIN; INSERT INTO tmp VALUES (1); PREPARE TRANSACTION 'x';
BEGIN; INSERT INTO tmp VALUES (1); PREPARE TRANSACTION 'x';
BEGIN; DROP TABLE tmp; PREPARE TRANSACTION 'x';
BEGIN; LISTEN l; PREPARE TRANSACTION 'x';
BEGIN; NOTIFY l; PREPARE TRANSACTION 'x';
SELECT pg_advisory_lock(1);
BEGIN; SELECT pg_advisory_xact_lock(1); PREPARE TRANSACTION 'x';
SELECT gid FROM pg_prepared_xacts;

-- advisory locks of the transaction go with it, those of the session stay
BEGIN; SELECT pg_advisory_xact_lock(2), pg_advisory_xact_lock_shared(3, 4); PREPARE TRANSACTION 'advisory';
SELECT classid, objid, objsubid, mode, pid IS NULL AS prepared FROM pg_locks WHERE locktype = 'advisory' ORDER BY 1, 2, 5;
SELECT pg_try_advisory_lock(2), pg_try_advisory_lock_shared(3, 4), pg_try_advisory_xact_lock(3, 4);
SELECT pg_advisory_unlock(2);
COMMIT PREPARED 'advisory';
SELECT pg_try_advisory_lock(2);
SELECT pg_advisory_unlock_all();

-- rights, other databases
CREATE ROLE two_phase_role;
GRANT ALL ON acct TO two_phase_role;
BEGIN; UPDATE acct SET note = 'super' WHERE id = 1; PREPARE TRANSACTION 'super';
SET ROLE two_phase_role;
COMMIT PREPARED 'super';
ROLLBACK PREPARED 'super';
BEGIN; UPDATE acct SET note = 'own' WHERE id = 2; PREPARE TRANSACTION 'own';
BEGIN; UPDATE acct SET note = 'own' WHERE id = 4; PREPARE TRANSACTION 'own 2';
COMMIT PREPARED 'own';
RESET ROLE;
SELECT gid, owner FROM pg_prepared_xacts ORDER BY 1;
COMMIT PREPARED 'super';
COMMIT PREPARED 'own 2';
SELECT id, note FROM acct WHERE id IN (1, 2, 4) ORDER BY id;
BEGIN; UPDATE acct SET note = 'here' WHERE id = 1; PREPARE TRANSACTION 'here';
\c postgres
COMMIT PREPARED 'here';
DROP DATABASE t_two_phase;
\c t_two_phase
COMMIT PREPARED 'here';
REVOKE ALL ON acct FROM two_phase_role;
DROP ROLE two_phase_role;

-- many names
BEGIN; PREPARE TRANSACTION 'n1'; BEGIN; PREPARE TRANSACTION 'n2'; BEGIN; PREPARE TRANSACTION 'n3';
SELECT gid FROM pg_prepared_xacts ORDER BY 1;
COMMIT PREPARED 'n2'; ROLLBACK PREPARED 'n1'; COMMIT PREPARED 'n3';
SELECT gid FROM pg_prepared_xacts ORDER BY 1;
