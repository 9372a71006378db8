"""A table many times larger than shared_buffers: load, index, scan, random updates within the memory budgets."""
import subprocess

from common import MIB, PeakMemory, disk_bytes, pgbench
from servers import Percore

FILLER_BYTES = 420
# Beside the pool, versions and one command's work memory: code, stacks, log buffers, session memory, and
# the page map, which is 8 bytes per page.
FIXED_BYTES = 120 * MIB


def copy_rows(server, first, last):
    """COPY of rows that do not compress: (key, value, filler)."""
    with subprocess.Popen(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", "COPY big FROM STDIN"],
                          env=server.environment(tcp=False), stdin=subprocess.PIPE) as psql:
        pad = "".join(chr(ord("a") + (i * 7919) % 26) for i in range(FILLER_BYTES * 2))
        for chunk in range(first, last + 1, 1000):
            lines = []
            for n in range(chunk, min(chunk + 1000, last + 1)):
                at = n * 31 % FILLER_BYTES
                lines.append(f"{n}\t{n % 1000}\t{pad[at:at + FILLER_BYTES]}\n")
            psql.stdin.write("".join(lines).encode())
        psql.stdin.close()
        if psql.wait() != 0:
            raise AssertionError("COPY failed")


def budget(o):
    table_bytes = (5120 if o.big else 400) * MIB
    buffers = 256 if o.big else 32
    versions = 128 if o.big else 32  # a bulk load has a version for each page
    rows = table_bytes // (FILLER_BYTES + 38)
    settings = {"shared_buffers": f"{buffers}MB", "version_store_size": f"{versions}MB", "max_wal_size": "256MB",
                "work_mem": "4MB", "maintenance_work_mem": "32MB"}
    allowed = (buffers + versions + 32) * MIB + FIXED_BYTES
    figures = []
    with Percore(cores=o.cores, settings=settings) as server:
        server.psql("CREATE TABLE big (id bigint PRIMARY KEY, v int NOT NULL, filler text NOT NULL)")
        with PeakMemory(server) as memory:
            def step(name, work):
                memory.peak = 0
                result = work()
                figures.append(f"{name} {memory.peak // MIB}")
                assert memory.peak <= allowed, f"{name}: {memory.peak // MIB} MiB, allowed {allowed // MIB}"
                return result

            step("load", lambda: copy_rows(server, 1, rows))
            step("index", lambda: server.psql("CREATE INDEX big_v ON big (v)"))
            query = "SELECT count(*), sum(id), sum(v), min(length(filler)) FROM big"
            expected = f"{rows}|{rows * (rows + 1) // 2}|{sum(n % 1000 for n in range(1, rows + 1))}|{FILLER_BYTES}"
            got = step("scan", lambda: server.psql(query))
            assert got == expected, f"{got} is not {expected}"
            got = step("group", lambda: server.psql(
                "SELECT count(*), sum(c) FROM (SELECT v, count(*) c FROM big GROUP BY v) t"))
            assert got == f"1000|{rows}", got
            script = f"\\set id random(1, {rows})\nUPDATE big SET v = v + 1000 WHERE id = :id;\n"
            transactions = 20000 if o.big else 2000
            tps = step("update", lambda: pgbench(server, script, 600, transactions=transactions))
            updated = 8 * transactions
            got = server.psql("SELECT sum(v / 1000), sum(v % 1000) FROM big")
            assert got == f"{updated}|{sum(n % 1000 for n in range(1, rows + 1))}", got
            got = server.psql("SET enable_seqscan = off; SELECT count(*) FROM big WHERE v BETWEEN 0 AND 999")
            assert got == server.psql("SELECT count(*) FROM big WHERE v % 1000 = v"), "index and table differ"
            disk = disk_bytes(server.data) // MIB
        server.stop()
        server.start()
        got = server.psql("SELECT count(*), sum(v / 1000) FROM big")
        assert got == f"{rows}|{updated}", f"after restart: {got}"
    return (f"peak MiB of {allowed // MIB}: {', '.join(figures)}; {tps:.0f} random updates/s; "
            f"{disk} MiB on disk for {table_bytes // MIB} MiB of rows")
