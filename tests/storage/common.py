"""What the storage tests share: measuring a server's memory and disk, loading data, load generators."""
import os
import pathlib
import re
import struct
import subprocess
import threading

MIB = 1 << 20


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


def pss_bytes(pid):
    """Memory of a process that is its own: resident, shared pages by their share."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M).group(1)) * 1024


class PeakMemory(threading.Thread):
    """Samples a server's memory until stopped; peak in bytes."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.peak, self.ended = server, 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            try:
                self.peak = max(self.peak, pss_bytes(self.server.process.pid))
            except (OSError, AttributeError):
                pass

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.ended.set()
        self.join()


def disk_bytes(path):
    """Bytes allocated below a directory; files may come and go meanwhile."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                pass
    return total


def checkpoints(server):
    """Checkpoints of all shards since the data directory was made: the sequences of their superblocks."""
    total = 0
    for path in server.data.glob("shard-*/pages"):
        with open(path, "rb") as f:
            data = f.read(16384).ljust(16384, b"\0")  # a new store has written only one of the two
        total += max(struct.unpack_from("<Q", data, at + 16)[0] for at in (0, 8192))
    return total


def pgbench(server, script, seconds, clients=8, extra=(), transactions=None):
    """Runs a custom script; returns TPS. Any error of any client is a failure."""
    path = server.root / "script.sql"
    path.write_text(script)
    length = ["-t", str(transactions)] if transactions else ["-T", str(seconds)]
    result = subprocess.run(
        ["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-f", str(path), *length, *extra],
        env=server.environment(tcp=False), capture_output=True, text=True, timeout=seconds + 600,
    )
    if result.returncode != 0 or "aborted" in result.stderr:
        raise AssertionError(f"pgbench failed: {result.stderr[-2000:]}")
    return float(re.search(r"tps = ([\d.]+)", result.stdout).group(1))
