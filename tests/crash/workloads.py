"""What clients of the crash loop do, and what must be true of it after each restart.

A client does one kind of work until the server is gone and keeps what it was told. Work is decided (acknowledged,
or answered by an error) or in doubt (sent, then the connection broke): that may be there or not, but whole.
After a restart `settle` compares and makes what is there the new truth.
"""
import random
import threading

from wire import Gone, ServerError, Wire

ACCOUNTS, TELLERS, BRANCHES = 2000, 20, 2
RETRY = ("40001", "40P01")
GOING = ("57P01", "57P02", "57P03")

SETUP = f"""
CREATE TABLE accounts (aid int PRIMARY KEY, balance int NOT NULL, filler text);
CREATE TABLE tellers (tid int PRIMARY KEY, balance int NOT NULL);
CREATE TABLE branches (bid int PRIMARY KEY, balance int NOT NULL);
CREATE TABLE history (client int, number int, aid int, delta int);
CREATE UNIQUE INDEX history_key ON history (client, number);
CREATE INDEX accounts_balance ON accounts (balance);
INSERT INTO accounts SELECT n, 0, repeat('x', 80) FROM generate_series(1, {ACCOUNTS}) n;
INSERT INTO tellers SELECT n, 0 FROM generate_series(1, {TELLERS}) n;
INSERT INTO branches SELECT n, 0 FROM generate_series(1, {BRANCHES}) n;
CREATE TABLE spans (id int PRIMARY KEY, number int NOT NULL);
CREATE INDEX spans_number ON spans (number);
CREATE TABLE big (id int PRIMARY KEY, number int NOT NULL, times int NOT NULL, body text NOT NULL);
CREATE TABLE churn (k int PRIMARY KEY, u int UNIQUE, w text);
CREATE INDEX churn_w ON churn (w);
CREATE TABLE prepared (id int PRIMARY KEY, client int NOT NULL, number int NOT NULL);
CREATE TABLE prepared_locked (id int PRIMARY KEY, times int NOT NULL);
INSERT INTO prepared_locked SELECT n, 0 FROM generate_series(1, 100) n;
CREATE SEQUENCE numbers;
CREATE TABLE taken (n bigint, number int);
"""


class Work(threading.Thread):
    """One client. `decided`, `doubtful` and `there` mean what each kind says."""

    def __init__(self, number, seed):
        self.number = number
        self.seed = seed
        self.next = 1
        self.decided = {}
        self.doubt = {}  # changes of the transaction whose COMMIT was sent
        self.failure = None

    def begin(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.seed += 1
        self.random = random.Random(self.seed)
        self.start()

    def run(self):
        try:
            self.wire = Wire(self.port)
            while True:
                self.one()
        except (Gone, OSError):
            pass
        except ServerError as error:
            if error.sqlstate not in GOING:
                self.failure = error
        except Exception as error:  # a bug of the test: it must not pass as quiet
            self.failure = error

    def transaction(self, statements, changes, rollback=0.1):
        """All or nothing of the statements; when committed, decided gets the changes (None = gone)."""
        query = self.wire.query
        try:
            query("BEGIN")
            for s in statements:
                query(s)
            if self.random.random() < rollback:
                query("ROLLBACK")
                return
            self.doubt = changes
            query("COMMIT")
        except ServerError as error:
            if error.sqlstate not in RETRY:
                raise
            query("ROLLBACK")
            self.doubt = {}
            return
        self.decided = self.after()
        self.doubt = {}

    def after(self):
        for key, value in self.doubt.items():
            if value is None:
                self.decided.pop(key, None)
            else:
                self.decided[key] = value
        return self.decided

    def take(self):
        self.next += 1
        return self.next - 1

    def compare(self, there, what):
        """There is what was decided, without the transaction in doubt or with all of it."""
        if there != self.decided:
            before = dict(self.decided)
            wanted = self.after()
            if there != wanted:
                lost = {k: v for k, v in before.items() if there.get(k) != v}
                more = {k: v for k, v in there.items() if before.get(k) != v}
                raise AssertionError(f"{what} of client {self.number}: lost {list(lost.items())[:5]}, "
                                     f"not expected {list(more.items())[:5]}, in doubt {self.doubt}")
        self.doubt = {}


class Transfer(Work):
    """TPC-B: account, teller, branch, history. decided: number -> delta"""

    def one(self):
        r, n = self.random, self.take()
        delta = r.randint(-5000, 5000)
        aid = r.randint(1, ACCOUNTS)
        self.transaction([
            f"UPDATE accounts SET balance = balance + {delta} WHERE aid = {aid}",
            f"UPDATE tellers SET balance = balance + {delta} WHERE tid = {r.randint(1, TELLERS)}",
            f"UPDATE branches SET balance = balance + {delta} WHERE bid = {r.randint(1, BRANCHES)}",
            f"INSERT INTO history VALUES ({self.number}, {n}, {aid}, {delta})",
        ], {n: delta})

    def settle(self, c):
        rows = c.query(f"SELECT number, delta FROM history WHERE client = {self.number}")
        there = {int(n): int(d) for n, d in rows}
        assert len(there) == len(rows), "history has duplicates"
        self.compare(there, "history")

    @staticmethod
    def settle_all(c):
        sums = [int(c.query(f"SELECT coalesce(sum({column}), 0) FROM {table}")[0][0]) for table, column in
                (("accounts", "balance"), ("tellers", "balance"), ("branches", "balance"), ("history", "delta"))]
        assert len(set(sums)) == 1, f"sums differ: {sums}"
        by_scan = c.query("SELECT aid, balance FROM accounts ORDER BY aid")
        assert len(by_scan) == ACCOUNTS, f"{len(by_scan)} accounts"
        c.query("SET enable_seqscan = off")
        by_index = c.query("SELECT aid, balance FROM accounts WHERE aid >= 0 ORDER BY aid")
        assert by_scan == by_index, "primary key and table differ"
        by_balance = c.query("SELECT aid, balance FROM accounts WHERE balance >= -2000000000 ORDER BY aid")
        assert by_scan == by_balance, "index on balance and table differ"
        c.query("RESET enable_seqscan")


class Span(Work):
    """Transactions over many shards, with savepoints. decided: number -> how many rows"""

    def one(self):
        r, n = self.random, self.take()
        base = self.number * 10_000_000 + n * 16
        count = r.randint(2, 12)
        number = self.number * 1_000_000 + n
        statements = [f"INSERT INTO spans VALUES ({base + i}, {number})" for i in range(count)]
        if r.random() < 0.3:  # undone inside, redone with other rows
            statements[1:1] = ["SAVEPOINT s", f"INSERT INTO spans SELECT {base} + g, -1 FROM generate_series(1, 15) g",
                               "ROLLBACK TO s"]
        changes = {n: count}
        if self.decided and r.random() < 0.4:
            old = r.choice(list(self.decided))
            changes[old] = None
            statements.append(f"DELETE FROM spans WHERE number = {self.number * 1_000_000 + old}")
        self.transaction(statements, changes)

    def settle(self, c):
        low = self.number * 1_000_000
        rows = c.query(f"SELECT number - {low}, count(*) FROM spans WHERE number > {low} AND number < {low + 1_000_000} "
                       "GROUP BY 1")
        there = {int(n): int(k) for n, k in rows}
        self.compare(there, "spans")

    @staticmethod
    def settle_all(c):
        assert c.query("SELECT count(*) FROM spans WHERE number < 0") == [["0"]], "undone rows are there"


class Big(Work):
    """Rows from a few bytes to many pages, rewritten in place. decided: id -> (number, times)"""

    def one(self):
        r, n = self.random, self.take()
        row = self.number * 1000 + r.randint(1, 40)
        times = r.choice([1, 3, 60, 200, 260, 500, 2000, r.randint(1, 6000)])
        body = f"(SELECT string_agg(md5({row}::text || ':' || {n} || ':' || i), '') FROM generate_series(1, {times}) i)"
        if row not in self.decided:
            statement = f"INSERT INTO big VALUES ({row}, {n}, {times}, {body})"
        elif r.random() < 0.15:
            self.transaction([f"DELETE FROM big WHERE id = {row}"], {row: None})
            return
        else:
            statement = f"UPDATE big SET number = {n}, times = {times}, body = {body} WHERE id = {row}"
        self.transaction([statement], {row: (n, times)})

    def settle(self, c):
        low = self.number * 1000
        rows = c.query(f"SELECT id, number, times FROM big WHERE id > {low} AND id < {low + 1000}")
        self.compare({int(i): (int(n), int(t)) for i, n, t in rows}, "big rows")

    @staticmethod
    def settle_all(c):
        bad = c.query("SELECT id FROM big b WHERE body <> (SELECT string_agg(md5(b.id::text || ':' || b.number || ':' || "
                      "i), '') FROM generate_series(1, b.times) i)")
        assert not bad, f"bodies of big rows are damaged: {bad[:5]}"


class Churn(Work):
    """Keys that come, move and go in a primary key, a unique key and a plain index. decided: k -> u"""

    def one(self):
        r, n = self.random, self.take()
        k = self.number * 1_000_000 + r.randint(1, 300)
        u = self.number * 1_000_000 + n
        if k not in self.decided:
            self.transaction([f"INSERT INTO churn VALUES ({k}, {u}, 'w{r.randint(1, 9)}')"], {k: u})
        elif r.random() < 0.4:
            self.transaction([f"DELETE FROM churn WHERE k = {k}"], {k: None})
        else:
            self.transaction([f"UPDATE churn SET u = {u}, w = w || '{r.randint(1, 9)}' WHERE k = {k}"], {k: u})

    def settle(self, c):
        low = self.number * 1_000_000
        rows = c.query(f"SELECT k, u FROM churn WHERE k > {low} AND k < {low + 1_000_000}")
        self.compare({int(k): int(u) for k, u in rows}, "churn")


class Numbers(Work):
    """No number of a sequence is given out twice, over all clients and restarts."""

    given = set()
    lock = threading.Lock()

    def one(self):
        n = int(self.wire.query("SELECT nextval('numbers')")[0][0])
        with self.lock:
            again = n in self.given
            self.given.add(n)
        if again:
            raise AssertionError(f"sequence gave {n} twice")
        self.wire.query(f"INSERT INTO taken VALUES ({n}, {self.number})")

    def settle(self, c):
        there = int(c.query("SELECT coalesce(max(n), 0) FROM taken")[0][0])
        last = int(c.query("SELECT pg_sequence_last_value('numbers')")[0][0])
        assert last >= there, f"sequence went back to {last}, {there} was used"


class Schema(Work):
    """Tables and indexes that come and go, beside the others' DML. decided: table -> (columns, rows)"""

    def one(self):
        r, n = self.random, self.take()
        dice = r.random()
        if self.decided and dice < 0.3:
            name = r.choice(list(self.decided))
            self.transaction([f"DROP TABLE {name}"], {name: None})
        elif self.decided and dice < 0.6:
            name = r.choice(list(self.decided))
            columns, rows = self.decided[name]
            self.transaction([
                f"ALTER TABLE {name} ADD COLUMN c{n} int DEFAULT {n}",
                f"INSERT INTO {name} (a) SELECT {n * 100} + g FROM generate_series(1, 10) g",
                f"CREATE INDEX ON {name} (c{n}, a)",
            ], {name: (columns + 1, rows + 10)})
        elif dice < 0.75:
            self.wire.query(f"CREATE INDEX churn_tmp_{self.number} ON churn (w, k)")
            self.wire.query(f"DROP INDEX churn_tmp_{self.number}")
        elif self.decided and dice < 0.82:
            name = r.choice(list(self.decided))
            self.transaction([f"TRUNCATE {name}"], {name: (self.decided[name][0], 0)})
        else:
            name = f"made_{self.number}_{n}"
            self.transaction([
                f"CREATE TABLE {name} (a int PRIMARY KEY, b text UNIQUE, s serial)",
                f"INSERT INTO {name} (a, b) SELECT g, 'b' || g FROM generate_series(1, 50) g",
            ], {name: (3, 50)})

    def settle(self, c):
        c.query(f"DROP INDEX IF EXISTS churn_tmp_{self.number}")
        rows = c.query("SELECT relname, (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) "
                       f"FROM pg_class c WHERE relkind = 'r' AND relname LIKE 'made\\_{self.number}\\_%'")
        there = {name: (int(n), int(c.query(f"SELECT count(*) FROM {name}")[0][0])) for name, n in rows}
        self.compare(there, "tables")


class Prepared(Work):
    """PREPARE TRANSACTION over many shards; commits and rollbacks later, by any session, some only after several
    crashes. decided: number -> how many rows; waiting: number -> rows of those that were told to be prepared."""

    ROWS = 12

    def __init__(self, number, seed):
        super().__init__(number, seed)
        self.waiting = {}
        self.preparing = None  # number, rows
        self.finishing = None  # number, rows, is it to be committed

    def name(self, n):
        return f"crash {self.number} {n}"

    def one(self):
        if len(self.waiting) > 3 or (self.waiting and self.random.random() < 0.5):
            n = self.random.choice(sorted(self.waiting))
            self.finish(self.wire, n, self.random.random() < 0.6)
        else:
            self.prepare(self.take())

    def prepare(self, n):
        query, rows = self.wire.query, self.random.choice([0, 1, self.ROWS])
        first = (self.number * 10000 + n) * self.ROWS
        query("BEGIN")
        if rows:
            query(f"INSERT INTO prepared SELECT {first} + i, {self.number}, {n} FROM generate_series(0, {rows - 1}) i")
            query("SAVEPOINT s")
            query(f"DELETE FROM prepared WHERE client = {self.number} AND number = {n}")
            query("ROLLBACK TO s")
        # A row of this client's and this number's: a change, or a lock alone.
        lock = f"WHERE id = {self.number * 10 + n % 10}"
        query("SET LOCAL lock_timeout = '1ms'")
        try:
            if n % 2:
                query(f"UPDATE prepared_locked SET times = times + 1 {lock}")
            else:
                query(f"SELECT 1 FROM prepared_locked {lock} FOR NO KEY UPDATE")
        except ServerError as error:  # another prepared one has it
            if error.sqlstate != "55P03":
                raise
            query("ROLLBACK")
            return
        self.preparing = (n, rows)
        query(f"PREPARE TRANSACTION '{self.name(n)}'")
        self.waiting[n] = rows
        self.preparing = None

    def finish(self, wire, n, commit):
        self.finishing = (n, self.waiting[n], commit)
        wire.query(f"{'COMMIT' if commit else 'ROLLBACK'} PREPARED '{self.name(n)}'")
        self.finished(n, self.waiting.pop(n), commit)

    def finished(self, n, rows, commit):
        if commit and rows:
            self.decided[n] = rows
        self.finishing = None

    def settle(self, c):
        names = [g for g, in c.query("SELECT gid FROM pg_prepared_xacts") if g.startswith(f"crash {self.number} ")]
        listed = {int(g.split()[2]) for g in names}
        rows = c.query(f"SELECT number, count(*) FROM prepared WHERE client = {self.number} GROUP BY number")
        there = {int(n): int(k) for n, k in rows}
        if self.preparing:
            n, count = self.preparing
            if n in listed:
                self.waiting[n] = count
            self.preparing = None
        if self.finishing and self.finishing[0] not in listed:
            n, count, commit = self.finishing
            self.waiting.pop(n)
            self.finished(n, count, commit)
        self.finishing = None
        assert listed == set(self.waiting), f"prepared {sorted(listed)}, not {sorted(self.waiting)}"
        self.compare(there, "prepared")
        for n in sorted(self.waiting):
            self.locked(c, n)
            if self.random.random() < 0.4:
                self.finish(c, n, self.random.random() < 0.5)

    def locked(self, c, n):
        c.query("SET lock_timeout = '5ms'")
        statements = [f"UPDATE prepared_locked SET times = 0 WHERE id = {self.number * 10 + n % 10}",
                      "LOCK TABLE prepared_locked IN SHARE MODE"]
        for statement in statements:
            c.query("BEGIN")
            try:
                c.query(statement)
                assert n % 2 == 0 and "LOCK" in statement, f"{self.name(n)} does not hold its locks: {statement}"
            except ServerError as error:
                assert error.sqlstate == "55P03", str(error)
            c.query("ROLLBACK")
        c.query("RESET lock_timeout")


KINDS = [Prepared, Transfer, Transfer, Span, Big, Churn, Numbers, Schema, Transfer]
