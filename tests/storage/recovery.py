"""kill -9 with a given volume of log behind the last checkpoint; everything acknowledged is there after."""
import time

from common import MIB, pgbench
from servers import Percore
from wire import Wire

ROWS = 400000


def log_bytes(server):
    """Log since the first record, about: segments are made a few ahead of need, and none was recycled."""
    folders = list(server.data.glob("shard-*/wal"))
    return sum(max(len(list(f.glob("*.wal"))) - 3, 0) for f in folders) * 16 * MIB


def one(cores, volume):
    settings = {"shared_buffers": "512MB", "max_wal_size": "16GB", "checkpoint_timeout": "1h"}
    server = Percore(cores=cores, settings=settings)
    try:
        server.start()
        server.psql("CREATE TABLE t (id int PRIMARY KEY, v bigint NOT NULL, filler text)")
        server.psql("CREATE TABLE h (id bigint, v int)")
        server.psql(f"INSERT INTO t SELECT n, 0, repeat('x', 80) FROM generate_series(1, {ROWS}) n")
        server.psql("CHECKPOINT")
        begin = log_bytes(server)
        script = (f"\\set id random(1, {ROWS})\nBEGIN;\nUPDATE t SET v = v + 1 WHERE id = :id;\n"
                  "INSERT INTO h VALUES (:id, 1);\nEND;\n")
        small, statements, transactions = 0, 0, 2000 if volume > 64 * MIB else 100
        while log_bytes(server) - begin < volume:
            # Small transactions are what a crash meets; statements over many rows fill up quickly.
            pgbench(server, script, 600, clients=16, transactions=transactions)
            small += 16 * transactions
            server.psql("UPDATE t SET v = v + 1 WHERE id % 2 = 0")
            statements += 1
        written = log_bytes(server) - begin
        server.kill()
        begin = time.monotonic()
        server.start()
        wire = Wire(server.port)
        wire.query("SELECT v FROM t WHERE id = 1")
        seconds, cpu = time.monotonic() - begin, server.cpu_seconds()
        wire.close()
        got = server.psql("SELECT (SELECT sum(v) FROM t), (SELECT count(*) FROM h)")
        assert got == f"{small + statements * (ROWS // 2)}|{small}", f"{got}, {small} small, {statements} large"
        server.stop()
        return f"{cores} cores: {written // MIB} MiB of log, {small} small transactions, {seconds:.2f} s, {cpu:.2f} s CPU"
    finally:
        server.remove()


def recovery(o):
    if o.big:
        return "; ".join(one(cores, 1024 * MIB) for cores in (1, 2, 4))
    return one(o.cores, 40 * MIB)
