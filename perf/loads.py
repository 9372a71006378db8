"""Load profiles: servers with data, password and TLS, PgBouncer in front of PostgreSQL, and running build/perf/load."""
import json
import os
import pathlib
import platform
import pwd
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
from servers import Percore, Postgres, free_port  # noqa: E402

PASSWORD = "secret"
HBA = "local all all trust\nhost all worker 127.0.0.0/8 scram-sha-256\nhost all all 127.0.0.0/8 trust\n"
ROWS = 100000
LOAD = TOP / "build/perf/load"
PROFILES = TOP / "perf/profiles"
WORKER = ("-U", "worker", "-W", PASSWORD)


# name: profile, options of load, over the unix socket
CASES = {}
for profile in ("hot_select_prepared", "hot_select", "hot_select1", "hot_row", "hot_kv", "idle_100ms", "idle_1000ms",
                "burst_10ms", "realistic", "stateful", "scale_idle", "scale_realistic"):
    CASES[profile] = (profile, (), False)
for clients in (1, 16, 64):
    CASES[f"churn_tcp_{clients}"] = ("churn", ("-c", clients), False)
    CASES[f"churn_unix_{clients}"] = ("churn", ("-c", clients), True)
for clients in (1, 16):
    CASES[f"churn_scram_{clients}"] = ("churn", ("-c", clients, *WORKER), False)
    CASES[f"churn_tls_{clients}"] = ("churn", ("-c", clients, "-s"), False)
    CASES[f"churn_tls_resumed_{clients}"] = ("churn", ("-c", clients, "-r"), False)
CASES["churn_work_16"] = ("churn_work", ("-c", 16), False)


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def certificate(directory):
    """A self-signed one for 127.0.0.1; the paths of certificate and key."""
    cert, key = directory / "server.crt", directory / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    key.chmod(0o600)
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(cert, user.pw_uid, user.pw_gid)
        os.chown(key, user.pw_uid, user.pw_gid)
    return cert, key


class Pooler:
    """PgBouncer in transaction mode; what it serves comes from a PostgreSQL that runs already."""

    name = "pgbouncer"

    def __init__(self, postgres, pool=20, tls=None):
        self.postgres = postgres
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="pgbouncer-test-"))
        self.port = free_port()
        self.data = self.root
        lines = ["[databases]", f"* = host={postgres.root} port={postgres.port}", "[pgbouncer]",
                 f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir = {self.root}",
                 "pool_mode = transaction\nmax_client_conn = 15000\nlisten_backlog = 4096",
                 f"default_pool_size = {pool}\nauth_type = hba\nauth_hba_file = {self.root}/hba",
                 f"auth_file = {self.root}/users\nlog_connections = 0\nlog_disconnections = 0\nlog_stats = 0",
                 "ignore_startup_parameters = extra_float_digits"]
        if tls:
            lines += [f"client_tls_sslmode = allow\nclient_tls_cert_file = {tls[0]}\nclient_tls_key_file = {tls[1]}"]
        (self.root / "ini").write_text("\n".join(lines) + "\n")
        (self.root / "hba").write_text(HBA)
        (self.root / "users").write_text(f'"postgres" ""\n"worker" "{PASSWORD}"\n')
        self.process = None

    @staticmethod
    def is_installed():
        return shutil.which("pgbouncer") is not None

    def start(self):
        who = {}
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            for path in (self.root, *self.root.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
            who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.root.chmod(0o755)
        with open(self.root / "log", "ab") as log:
            self.process = subprocess.Popen(["pgbouncer", "-q", self.root / "ini"], stdout=log, stderr=log, **who)
        env = {**self.postgres.environment(), "PGPORT": str(self.port)}
        end = time.monotonic() + 20
        while subprocess.run(["psql", "-X", "-c", "SELECT 1"], env=env, capture_output=True).returncode:
            if time.monotonic() > end:
                raise RuntimeError((self.root / "log").read_text()[-2000:])
            time.sleep(0.1)

    def pids(self):
        return [self.process.pid] + self.postgres.pids()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.root, ignore_errors=True)


def cpu_seconds(server):
    """Of all threads and processes, those that have ended too. Ticks would lose what many backends use a little each;
    one process keeps what its ended threads used."""
    if len(server.pids()) == 1 and hasattr(server, "cpu_seconds"):
        return server.cpu_seconds()
    total, tick = 0, os.sysconf("SC_CLK_TCK")
    for pid in server.pids():
        try:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += (int(fields[13]) + int(fields[14])) / tick
    return total


def memory(server):
    """Of all processes: threads, PSS and private bytes."""
    threads = pss = private = 0
    for pid in server.pids():
        try:
            threads += len(os.listdir(f"/proc/{pid}/task"))
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                pss += int(line.split()[1]) * 1024
            elif line.startswith("Private_"):
                private += int(line.split()[1]) * 1024
    return threads, pss, private


def socket_memory():
    """Bytes that the kernel holds for TCP sockets, both ends on this machine."""
    for line in pathlib.Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def prepare(server, rows):
    server.psql("CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))")
    server.psql(f"INSERT INTO pgbench_accounts SELECT i, 1, 0, '' FROM generate_series(1, {rows}) i")
    server.psql("CREATE TABLE kv (k text PRIMARY KEY, v text)")
    server.psql("INSERT INTO kv SELECT 'key-' || i, repeat('v', 100) FROM generate_series(1, 10000) i")
    server.psql(f"CREATE ROLE worker LOGIN PASSWORD '{PASSWORD}'")
    server.psql("GRANT SELECT, UPDATE ON pgbench_accounts, kv TO worker")
    server.psql("ANALYZE")
    (server.data / "pg_hba.conf").write_text(HBA)
    server.stop()
    server.start()


def percore(**settings):
    return Percore(settings={"shared_buffers": "256MB", "max_connections": "12000", **settings})


def postgres(**settings):
    return Postgres(settings={"shared_buffers": "256MB", "max_connections": "1100", **settings})


def with_tls(server):
    server.root.mkdir(exist_ok=True)
    cert, key = certificate(server.root)
    server.settings.update(ssl="on", ssl_cert_file=str(cert), ssl_key_file=str(key))
    return cert, key


def load_command(server, profile, options, unix, seconds):
    host = str(server.root) if unix else "127.0.0.1"
    return [str(x) for x in (LOAD, "-h", host, "-p", server.port, "-t", seconds, "-w", 0.5, "-D", f"rows={ROWS}",
                             *options, PROFILES / profile)]


def run_case(server, case, seconds):
    profile, options, unix = case
    p = subprocess.Popen(load_command(server, profile, options, unix, seconds), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.stdout.readline() != "begin\n":
        return {"error": p.communicate()[1].strip()[-200:] or "did not begin"}
    cpu = cpu_seconds(server)
    if p.stdout.readline() != "end\n":
        return {"error": p.communicate()[1].strip()[-200:] or "did not end"}
    cpu = cpu_seconds(server) - cpu
    threads, pss, private = memory(server)
    sockets = socket_memory()
    p.stdin.close()
    result = json.loads(p.stdout.readline())
    p.wait(30)
    if result["errors"] * 100 > result["passes"]:
        return {"error": result["first_error"]}
    result.update(cpu_us=cpu / max(result["passes"], 1) * 1e6, threads=threads, pss=pss, private=private,
                  sockets=sockets)
    return result
