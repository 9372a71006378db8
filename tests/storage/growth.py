"""Nothing grows that should not: data directory and log under steady updates, temporary files, old versions."""
import signal
import subprocess
import threading
import time

from common import MIB, PeakMemory, checkpoints, disk_bytes, pgbench
from servers import Percore
from wire import ServerError, Wire

ROWS = 50000
UPDATE = f"\\set id random(1, {ROWS})\nUPDATE t SET v = v + 1 WHERE id = :id;\n"


def make_table(server):
    server.psql("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, filler text)")
    server.psql(f"INSERT INTO t SELECT n, 0, repeat('x', 80) FROM generate_series(1, {ROWS}) n")


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no {what} in {seconds} s"
        time.sleep(0.1)


def growth(o):
    settings = {"shared_buffers": "32MB", "max_wal_size": "64MB", "checkpoint_timeout": "30s"}
    sizes = []
    with Percore(cores=o.cores, settings=settings) as server:
        make_table(server)
        rounds = 40 if o.big else 6
        for _ in range(rounds):
            before = checkpoints(server)
            # More than max_wal_size in whole-table updates: the log's volume asks for checkpoints.
            for _ in range(5):
                server.psql("UPDATE t SET v = v + 1")
            pgbench(server, UPDATE, 60, transactions=300)
            wait_for("checkpoint by volume of log", lambda: checkpoints(server) > before)
            sizes.append(disk_bytes(server.data))
        before = checkpoints(server)
        server.psql("UPDATE t SET v = v + 1 WHERE id = 1")
        server.psql("CHECKPOINT")
        assert checkpoints(server) > before, "CHECKPOINT made none"
        assert int(server.psql("SELECT sum(v) FROM t")) == rounds * (5 * ROWS + 2400) + 1
        server.stop()
        log = sum(f.stat().st_size for f in server.data.glob("shard-*/wal/*"))
    settled, last = max(sizes[1:3]), sizes[-1]
    assert last <= settled * 1.5, f"data directory grew: {[s // MIB for s in sizes]} MiB"
    with Percore(cores=o.cores, settings={"checkpoint_timeout": "30s"}) as server:
        make_table(server)
        before = checkpoints(server)
        wait_for("checkpoint by time", lambda: checkpoints(server) > before, 90)
    return f"MiB after each round: {[s // MIB for s in sizes]}; log at the end {log // MIB} MiB"


def temp(o):
    with Percore(cores=o.cores, settings={"work_mem": "1MB"}) as server:
        folder = server.data / "pg_temp"

        def files():
            return sorted(f.name for f in folder.iterdir()) if folder.exists() else []

        sql = "SELECT n, repeat(n::text, 10) FROM generate_series(1, 300000) n ORDER BY 2 DESC, 1"
        seen = []
        wire = Wire(server.port)
        worker = threading.Thread(target=lambda: seen.extend(wire.query(sql)))
        worker.start()
        wait_for("temporary file", lambda: files() or not worker.is_alive())
        there = len(files())
        worker.join()
        assert there > 0, "the sort did not use a temporary file"
        assert len(seen) == 300000 and seen[0][0] == "99999", seen[:1]
        assert files() == [], f"left behind: {files()}"
        # A statement that fails or is cancelled in the middle leaves none either.
        for ending in ("cancel", "error", "vanish"):
            wire = Wire(server.port)
            failed = []

            def work(text):
                try:
                    wire.query(text)
                except (ServerError, OSError) as error:
                    failed.append(error)
                except Exception as error:  # noqa: BLE001
                    failed.append(error)

            text = sql if ending != "error" else sql.replace("SELECT n", "SELECT n / (n - 299999)")
            worker = threading.Thread(target=work, args=(text,))
            worker.start()
            wait_for("temporary file", lambda: files() or not worker.is_alive())
            if ending == "cancel":
                wire.cancel(server.port)
            elif ending == "vanish":
                wire.socket.shutdown(2)
            worker.join()
            assert failed, f"{ending}: the statement did not fail"
            wait_for(f"removal of temporary files after {ending}", lambda: files() == [])
        # A crash in the middle: the next start removes them.
        wire = Wire(server.port)
        worker = threading.Thread(target=work, args=(sql,))
        worker.start()
        wait_for("temporary file", lambda: files() or not worker.is_alive())
        server.kill()
        worker.join()
        assert files(), "nothing was left to be removed"
        server.start()
        assert files() == [], f"left behind by the crash: {files()}"
        server.stop(signal.SIGINT)
    return ""


def long_snapshot(o):
    """A repeatable-read transaction stays open beside a hot update load."""
    seconds = o.seconds or (600 if o.big else 10)
    versions = 256 if o.big else 32
    rows = 500000 if o.big else ROWS
    settings = {"shared_buffers": "256MB", "version_store_size": f"{versions}MB", "max_wal_size": "1GB"}
    with Percore(cores=o.cores, settings=settings) as server:
        server.psql("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, filler text)")
        server.psql("CREATE TABLE hot (id int PRIMARY KEY, v int NOT NULL)")
        server.psql("CREATE TABLE log (id int, v int)")
        server.psql(f"INSERT INTO t SELECT n, 0, repeat('x', 80) FROM generate_series(1, {rows}) n")
        server.psql("INSERT INTO hot SELECT n, 0 FROM generate_series(1, 4) n")
        script = (f"\\set id random(1, {rows})\n\\set h random(1, 4)\nBEGIN;\nUPDATE t SET v = v + 1 WHERE id = :id;\n"
                  "UPDATE hot SET v = v + 1 WHERE id = :h;\nINSERT INTO log VALUES (:id, :h);\nEND;\n")
        base = pgbench(server, script, min(seconds, 60))
        reader = Wire(server.port)
        reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        look = "SELECT (SELECT sum(v) FROM t), (SELECT sum(v) FROM hot), (SELECT count(*) FROM log)"
        first = reader.query(look)
        size = "SELECT pg_table_size('t') + pg_table_size('hot'), pg_indexes_size('t') + pg_indexes_size('hot')"
        size_before = server.psql(size)
        with PeakMemory(server) as memory:
            time.sleep(0.5)
            memory_before = memory.peak
            tps = pgbench(server, script, seconds)
            peak = memory.peak
        size_after = server.psql(size)
        assert reader.query(look) == first, "the old snapshot changed"
        by_index = reader.query("SELECT sum(v) FROM hot WHERE id BETWEEN 1 AND 4")
        assert by_index[0][0] == first[0][1], "the old snapshot differs by index"
        try:
            reader.query("UPDATE hot SET v = 0 WHERE id = 1")
            raise AssertionError("an update over a newer one succeeded in repeatable read")
        except ServerError as error:
            assert error.sqlstate == "40001", error
        reader.query("ROLLBACK")
        now = server.psql(look).split("|")
        assert now[0] == now[1] == now[2], f"sums differ: {now}"
        assert size_after == size_before, f"table grew: {size_before} to {size_after}"
        growth_bytes = peak - memory_before
        assert growth_bytes <= (versions + 64) * MIB, f"memory grew by {growth_bytes // MIB} MiB"
        server.stop()
        server.start()
        assert server.psql(look).split("|") == now, "after restart"
    return f"{seconds} s: {base:.0f} TPS without, {tps:.0f} with ({tps / base:.2f}); memory +{growth_bytes // MIB} MiB"


def spill(o):
    """Transactions several times larger than version_store_size, beside readers with old snapshots; a crash in one."""
    rows = 200000 if o.big else 20000
    versions = 16 if o.big else 2
    settings = {"shared_buffers": "64MB", "version_store_size": f"{versions}MB", "max_wal_size": "128MB"}
    look = "SELECT count(*), sum(v), sum(w), min(length(filler)), max(length(filler)) FROM t"
    by_index = "SELECT count(*), sum(v) FROM t WHERE w BETWEEN 0 AND 9"
    with Percore(cores=o.cores, settings=settings) as server:
        server.psql("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, w int NOT NULL, filler text)")
        server.psql("CREATE INDEX t_w ON t (w)")

        def figures():
            text = server.psql("SELECT sum(version_bytes), sum(versions_spilled), sum(spill_writes) FROM pg_stat_core")
            return [int(n) for n in text.split("|")]

        def snapshot():
            wire = Wire(server.port)
            wire.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
            return wire, wire.query(look), wire.query(by_index)

        def check(reader):
            wire, seen, seen_by_index = reader
            assert wire.query(look) == seen, f"{wire.query(look)} is not {seen}"
            got = wire.query(by_index)
            assert got == seen_by_index, f"by index {got} is not {seen_by_index}"

        server.psql(f"INSERT INTO t SELECT n, 0, n % 1000, repeat('x', 100) FROM generate_series(1, {rows}) n")
        readers = [snapshot()]
        changes = [
            "UPDATE t SET v = v + 1",
            "UPDATE t SET v = v + 1, w = (w + 1) % 1000",
            "UPDATE t SET filler = repeat('y', 150) WHERE id % 3 = 0",
            "DELETE FROM t WHERE id % 5 = 0",
            f"INSERT INTO t SELECT n, 7, n % 1000, repeat('z', 100) FROM generate_series(1, {rows}) n WHERE n % 5 = 0",
        ]
        peak = 0
        for change in changes:
            # Taken back once, then done; the readers see neither.
            writer = Wire(server.port)
            writer.query("BEGIN")
            writer.query(change)
            check(readers[-1])
            writer.query("SAVEPOINT a")
            writer.query("UPDATE t SET v = v + 1000, w = 5")
            writer.query("ROLLBACK TO a")
            peak = max(peak, figures()[0])
            writer.query("ROLLBACK")
            check(readers[0])
            before = server.psql(look)
            server.psql(change)
            assert server.psql(look) != before, change
            readers.append(snapshot())
            for reader in readers:
                check(reader)
        peak = max(peak, figures()[0])
        spilled, writes = figures()[1:]
        assert spilled > rows and writes > rows, f"{spilled} spilled, {writes} written"
        assert peak <= versions * MIB * 1.5, f"old versions took {peak // 1024} KiB of memory"
        # Under load from small transactions with the snapshots open.
        pgbench(server, f"\\set id random(1, {rows})\nUPDATE t SET v = v + 1 WHERE id = :id;\n", 60, transactions=200)
        for reader in readers:
            check(reader)
        now, now_by_index = server.psql(look), server.psql(by_index)
        # A crash beside a large transaction that has spilled, after a checkpoint of it and more.
        writer = Wire(server.port)
        writer.query("BEGIN")
        writer.query("UPDATE t SET v = v - 1, w = 3")
        server.psql("CHECKPOINT")
        writer.query("DELETE FROM t WHERE id % 2 = 0")
        server.kill()
        server.start()
        assert server.psql(look) == now and server.psql(by_index) == now_by_index, "after the crash"
        wait_for("purge", lambda: figures()[1] == 0)
        problems = server.psql("SELECT * FROM percore_check()")
        assert problems == "", problems
        server.psql("UPDATE t SET v = v + 1")
        server.stop()
    return f"{writes} versions written, {spilled} at once, peak {peak // 1024} KiB"
