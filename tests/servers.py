"""Start and stop Percore and PostgreSQL 15 on loopback for tests and measurements."""
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
PG_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


def free_port():
    """A port below the ephemeral range: a client that connects to a closed port there never meets itself."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """A running server; clients use port and socket directory."""

    name = ""

    def __init__(self, base=None):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-test-", dir=base))
        self.root.chmod(0o755)
        self.data = self.root / "data"
        self.port = free_port()
        self.process = None
        self.log = self.root / "log"

    def environment(self, tcp=True):
        env = dict(os.environ)
        env.update(
            PGHOST="127.0.0.1" if tcp else str(self.root),
            PGPORT=str(self.port),
            PGUSER="postgres",
            PGDATABASE="postgres",
            PGCONNECT_TIMEOUT="10",
        )
        return env

    def wait_ready(self, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
                    # An answer, not only a connection: a killed server's listener may outlive it a little.
                    s.sendall(struct.pack("!II", 8, 80877103))
                    if s.recv(1):
                        return
            except OSError:
                time.sleep(0.02)
        tail = self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""
        raise RuntimeError(f"{self.name} did not start:\n{tail}")

    def psql(self, sql, check=True, tcp=True, database="postgres"):
        result = subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql],
            env=self.environment(tcp),
            capture_output=True,
            text=True,
            timeout=600,
        )
        if check and result.returncode != 0:
            raise RuntimeError(f"{self.name}: {sql}: {result.stderr}")
        return result.stdout.strip()

    def pids(self):
        return [self.process.pid]

    def cpu_seconds(self):
        """User and system time of all threads and processes of the server so far."""
        tick = os.sysconf("SC_CLK_TCK")
        total = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += sum(int(f) for f in fields[11:15])
        return total / tick

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, how=signal.SIGINT, seconds=120):
        code = None
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                code = self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError(f"{self.name} did not stop in {seconds} s")
        return code

    def remove(self):
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        try:
            self.stop()
        finally:
            self.remove()


class Percore(Server):
    name = "percore"

    def __init__(self, cores=2, settings=None, binary=None, base=None, arguments=()):
        super().__init__(base)
        self.cores = cores
        # PERCORE_SETTINGS=name=value,...: the same tests under other settings (session_moves=force).
        more = [x.split("=", 1) for x in os.environ.get("PERCORE_SETTINGS", "").split(",") if x]
        self.settings = {**dict(more), **(settings or {})}
        self.arguments = list(arguments)
        self.binary = binary or os.environ.get("PERCORE", str(TOP / "build/tools/percore"))

    def check(self, *options):
        """percore-check of the data directory: exit code, output. The server may run or not."""
        program = pathlib.Path(self.binary).parent / "percore-check"
        memory = pathlib.Path("/dev/shm")
        scratch = ["--scratch", memory] if memory.is_dir() else []
        command = [program, *scratch, *options, self.data]
        r = subprocess.run(command, capture_output=True, text=True, timeout=300)
        return r.returncode, r.stdout + r.stderr

    def start(self, seconds=60, wait=True):
        command = [self.binary, "-D", str(self.data), "-p", str(self.port), "-k", str(self.root)]
        command += ["-c", f"core_threads={self.cores}"]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        command += self.arguments
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        if wait:
            self.wait_ready(seconds)


class Postgres(Server):
    name = "postgres"

    def __init__(self, settings=None, base=None):
        super().__init__(base)
        self.settings = {"shared_buffers": "128MB", "max_connections": "400"}
        self.settings.update(settings or {})

    def _as_user(self):
        if os.getuid() != 0:
            return {}
        user = pwd.getpwnam("postgres")
        os.chown(self.root, user.pw_uid, user.pw_gid)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def start(self, seconds=60):
        who = self._as_user()
        if not self.data.exists():
            subprocess.run(
                [PG_BIN / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
                + ["--locale=C.UTF-8", "--no-sync"],
                check=True,
                capture_output=True,
                cwd="/",
                **who,
            )
        command = [PG_BIN / "postgres", "-D", self.data, "-p", str(self.port), "-k", self.root]
        command += ["-c", "listen_addresses=127.0.0.1"]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **who)
        self.wait_ready(seconds)
        end = time.monotonic() + seconds
        while subprocess.run(
            ["psql", "-X", "-c", "select 1"], env=self.environment(), capture_output=True
        ).returncode:
            if time.monotonic() > end:
                raise RuntimeError("postgres does not answer")
            time.sleep(0.05)

    def pids(self):
        found = [self.process.pid]
        children = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True
        )
        return found + [int(p) for p in children.stdout.split()]
