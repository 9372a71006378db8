"""Full disks and damaged files: clear errors, sessions that go on, nothing acknowledged lost."""
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

from common import MIB, Skip
from servers import Percore
from wire import Gone, ServerError, Wire


class SmallDisk:
    """An ext4 file system of its own in a file, or else a tmpfs; needs root."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        if os.getuid() != 0:
            raise Skip("mounting a small file system needs root")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="percore-disk-"))
        self.mount = self.root / "mount"
        self.mount.mkdir()
        image = self.root / "image"
        with open(image, "wb") as f:
            f.truncate(self.size)
        loop = subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], capture_output=True).returncode == 0 and \
            subprocess.run(["mount", "-o", "loop", image, self.mount], capture_output=True).returncode == 0
        if not loop:
            options = f"size={self.size}"
            if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", self.mount],
                              capture_output=True).returncode != 0:
                subprocess.run(["rm", "-rf", self.root], check=False)
                raise Skip("neither a loop device nor a tmpfs can be mounted here")
        return self

    def fill(self):
        """Takes all space that is left."""
        with open(self.mount / "ballast", "ab", buffering=0) as f:
            for size in (MIB, 4096):
                try:
                    while True:
                        f.write(b"\1" * size)
                except OSError:
                    pass

    def free(self):
        (self.mount / "ballast").unlink()

    def __exit__(self, *exc):
        for _ in range(50):
            if subprocess.run(["umount", self.mount], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        subprocess.run(["rm", "-rf", self.root], check=False)


class Writer(threading.Thread):
    """Inserts until told to end; keeps what was acknowledged and the SQLSTATEs of what was refused."""

    def __init__(self, port, number):
        super().__init__(daemon=True)
        self.port, self.number = port, number
        self.acknowledged, self.unknown, self.states = set(), set(), {}
        self.ended, self.lost = False, None
        self.successes = 0

    def run(self):
        wire = Wire(self.port)
        n = 0
        while not self.ended:
            n += 1
            try:
                wire.query(f"INSERT INTO t VALUES ({self.number}, {n}, repeat('y', 500))")
                self.acknowledged.add(n)
                self.successes += 1
            except ServerError as error:
                self.states[error.sqlstate] = self.states.get(error.sqlstate, 0) + 1
                time.sleep(0.01)
            except Gone as error:
                self.lost = error
                self.unknown.add(n)
                return
        wire.close()


def check_rows(server, writers):
    there = {(int(a), int(b)) for a, b in (r.split("|") for r in
             server.psql("SELECT c, n FROM t").split("\n") if r)}
    for w in writers:
        mine = {n for c, n in there if c == w.number}
        lost = w.acknowledged - mine
        assert not lost, f"{len(lost)} acknowledged rows are lost: {sorted(lost)[:5]}"
        ghosts = mine - w.acknowledged - w.unknown
        assert not ghosts, f"rows that were refused are there: {sorted(ghosts)[:5]}"
    return len(there)


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no {what} in {seconds} s"
        time.sleep(0.05)


def disk_full(o):
    settings = {"shared_buffers": "8MB", "max_wal_size": "64MB", "checkpoint_timeout": "30s"}
    with SmallDisk(400 * MIB) as disk:
        server = Percore(cores=o.cores, settings=settings, base=disk.mount)
        log = disk.root / "log"
        server.log = log  # the server's own messages need space too
        try:
            server.start()
            server.psql("CREATE TABLE t (c int, n int, filler text)")
            server.psql("CREATE TABLE other (id int PRIMARY KEY, v int)")
            server.psql("INSERT INTO other SELECT n, n FROM generate_series(1, 1000) n")
            writers = [Writer(server.port, i) for i in range(4)]
            for w in writers:
                w.start()
            wait_for("rows", lambda: all(w.successes > 100 for w in writers))
            disk.fill()
            wait_for("refusal", lambda: all(w.states for w in writers), 120)
            time.sleep(1)
            for w in writers:
                assert w.lost is None, f"a session was lost: {w.lost}"
                assert set(w.states) == {"53100"}, f"SQLSTATEs {w.states}"
            # Reading goes on, transactions end, the server says it in its log.
            assert server.psql("SELECT count(*), sum(v) FROM other") == "1000|500500"
            wire = Wire(server.port)
            wire.query("BEGIN")
            assert wire.query("SELECT count(*) FROM other") == [["1000"]]
            wire.query("ROLLBACK")
            # It heals by itself.
            disk.free()
            before = [w.successes for w in writers]
            wait_for("success after space came back",
                     lambda: all(w.successes > b + 10 for w, b in zip(writers, before)))
            # Full again, killed, started while full.
            disk.fill()
            for w in writers:
                w.states = {}
            wait_for("refusal", lambda: all(w.states for w in writers), 120)
            server.kill()
            for w in writers:
                w.ended = True
                w.join(30)
                assert set(w.states) == {"53100"}, f"SQLSTATEs {w.states}"
            server.start()
            rows = check_rows(server, writers)
            disk.free()
            wait_for("insert", lambda: server.psql("INSERT INTO t VALUES (99, 1, '') RETURNING 1", check=False) == "1")
            server.psql("CHECKPOINT")
            code = server.stop(signal.SIGINT)
            assert code == 0, f"exit code {code}"
            server.start()
            assert int(server.psql("SELECT count(*) FROM t WHERE c <> 99")) == rows
            server.stop()
            return f"{rows} rows"
        except BaseException:
            server.kill()
            print(log.read_text(errors="replace")[-3000:])
            raise
        finally:
            server.remove()


def flip(path, marker):
    """Changes one byte in front of every place with the marker; how many."""
    data = bytearray(path.read_bytes())
    count, at = 0, data.find(marker)
    while at >= 0:
        data[at + len(marker) // 2] ^= 0x20
        count += 1
        at = data.find(marker, at + 1)
    if count:
        path.write_bytes(data)
    return count


def refused(server, sql, state):
    try:
        Wire(server.port).query(sql)
    except ServerError as error:
        assert error.sqlstate == state, f"{sql}: {error}"
        return error.fields["M"]
    raise AssertionError(f"{sql}: no error")


def damage(o):
    messages = []
    with Percore(cores=o.cores, settings={"max_wal_size": "1GB"}) as server:
        server.psql("CREATE TABLE bad (id int PRIMARY KEY, v text)")
        server.psql("CREATE TABLE good (id int PRIMARY KEY, v text)")
        server.psql("INSERT INTO bad SELECT n, 'row number ' || n || ' ' || repeat('z', 900)"
                    " FROM generate_series(1, 2000) n")
        server.psql("INSERT INTO good SELECT n, repeat('g', 900) FROM generate_series(1, 2000) n")
        server.stop()
        found = sum(flip(f, b"row number 1234 ") for f in server.data.glob("shard-*/pages"))
        assert found > 0, "the row is not in the data files"
        server.start()
        pid = server.process.pid
        messages.append(refused(server, "SELECT sum(length(v)) FROM bad", "XX001"))
        refused(server, "SELECT v FROM bad WHERE id = 1234", "XX001")
        refused(server, "UPDATE bad SET v = '' WHERE id = 1234", "XX001")
        assert server.psql("SELECT length(v) FROM bad WHERE id = 1") == "913"
        assert server.psql("SELECT count(*), sum(length(v)) FROM good") == "2000|1800000"
        server.psql("UPDATE good SET v = 'x' WHERE id <= 1000")
        server.psql("CHECKPOINT")
        assert server.process.pid == pid and server.process.poll() is None
        # Dropping the table makes it go away.
        server.psql("DROP TABLE bad")
        server.stop()
        server.start()
        assert server.psql("SELECT count(*), sum(length(v)) FROM good") == f"2000|{1000 + 900000}"

        # Damage in the middle of the log: acknowledged work would be lost, so the server does not start.
        server.psql("CREATE TABLE logged (id int PRIMARY KEY, v text)")
        for n in range(60):
            server.psql(f"INSERT INTO logged VALUES ({n}, 'log line {n:04} {'q' * 2000}')")
        server.kill()
        found = sum(flip(f, b"log line 0020 ") for f in server.data.glob("shard-*/wal/*.wal"))
        assert found > 0, "the record is not in the log"
        try:
            server.start()
        except RuntimeError as error:
            text = str(error)
            assert "is damaged at offset" in text, text
            messages.append([line for line in text.split("\n") if "is damaged" in line][-1][-100:])
        else:
            raise AssertionError("started over a damaged log")
        assert server.process.wait(10) not in (None, 0)
        # Put right again it starts with everything.
        for f in server.data.glob("shard-*/wal/*.wal"):
            data = f.read_bytes()
            wrong = bytearray(b"log line 0020 ")
            wrong[len(wrong) // 2] ^= 0x20
            if bytes(wrong) in data:
                f.write_bytes(data.replace(bytes(wrong), b"log line 0020 "))
        server.start()
        assert server.psql("SELECT count(*) FROM logged") == "60"
        server.stop()
    return "; ".join(messages)
