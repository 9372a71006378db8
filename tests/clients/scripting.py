"""Plays scripts of frontend messages, byte for byte the same, against PostgreSQL 15 and Percore and compares what comes back.

A script is a name and a list of messages (the functions below make them). Each runs on a connection of its own; the
whole script is sent at once, then Terminate, and everything until the end of the stream is decoded and compared: all
fields, except OIDs of user objects, backend keys and the place in the source code of an error.
"""
import difflib
import pathlib
import select
import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from servers import Percore, Postgres  # noqa: E402

FIRST_USER_OID = 16384


def cstr(s):
    return (s if isinstance(s, bytes) else s.encode()) + b"\0"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def formats(codes):
    return struct.pack("!H", len(codes)) + b"".join(struct.pack("!h", f) for f in codes)


def Q(sql):
    return message("Q", cstr(sql))


def P(sql, types=(), name=""):
    body = cstr(name) + cstr(sql) + struct.pack("!H", len(types))
    return message("P", body + b"".join(struct.pack("!I", t) for t in types))


def B(values=(), param_formats=(), result_formats=(), portal="", name=""):
    """Values: None, text, or bytes as they are."""
    body = cstr(portal) + cstr(name) + formats(param_formats) + struct.pack("!H", len(values))
    for v in values:
        if v is None:
            body += struct.pack("!i", -1)
        else:
            data = v if isinstance(v, bytes) else str(v).encode()
            body += struct.pack("!i", len(data)) + data
    return message("B", body + formats(result_formats))


def D(kind="P", name=""):
    return message("D", kind.encode() + cstr(name))


def E(rows=0, portal=""):
    return message("E", cstr(portal) + struct.pack("!i", rows))


def C(kind="P", name=""):
    return message("C", kind.encode() + cstr(name))


S = message("S")
H = message("H")


def data(b):
    return message("d", b if isinstance(b, bytes) else b.encode())


COPY_DONE = message("c")


def copy_fail(text):
    return message("f", cstr(text))


def run(sql, values=(), types=(), param_formats=(), result_formats=(), rows=0):
    """The usual exchange: Parse, Bind, Describe, Execute, Sync."""
    return P(sql, types) + B(values, param_formats, result_formats) + D() + E(rows) + S


def startup(version=196608, pairs=None, user="postgres", database="postgres", tail=b"\0"):
    every = {"user": user, "database": database, **(pairs or {})}
    body = b"".join(cstr(k) + cstr(v) for k, v in every.items() if v is not None) + tail
    return struct.pack("!II", len(body) + 8, version) + body


# ---- what comes back ----


class Reader:
    def __init__(self, body):
        self.body, self.at = body, 0

    def number(self, form):
        (value,) = struct.unpack_from("!" + form, self.body, self.at)
        self.at += struct.calcsize("!" + form)
        return value

    def string(self):
        end = self.body.index(b"\0", self.at)
        s, self.at = self.body[self.at : end], end + 1
        return s.decode(errors="backslashreplace")

    def bytes(self, n):
        s, self.at = self.body[self.at : self.at + n], self.at + n
        return s

    def rest(self):
        return self.body[self.at :]


def oid_text(oid):
    return "user" if oid >= FIRST_USER_OID else str(oid)


def decode(kind, body):
    r = Reader(body)
    out = {"R": "Authentication", "S": "Parameter", "T": "Columns", "D": "Row", "C": "Complete", "Z": "Ready",
           "E": "Error", "N": "Notice", "t": "ParamTypes", "1": "ParseComplete", "2": "BindComplete",
           "3": "CloseComplete", "n": "NoData", "I": "Empty", "s": "Suspended", "G": "CopyIn", "H": "CopyOut",
           "d": "CopyData", "c": "CopyDone", "K": "Key", "v": "Negotiate", "V": "FunctionResult",
           "A": "Notification"}.get(kind, "?" + kind)
    if kind in "SZCv":
        if kind == "v":
            version, count = r.number("I"), r.number("I")
            return [f"{out} {version} {[r.string() for _ in range(count)]} {r.rest()}"]
        return [f"{out} {body}"]
    if kind == "K":
        return [f"{out} of {len(body)} bytes"]
    if kind == "A":
        r.number("I")
        return [f"{out} {r.string()} {r.string()} {r.rest()}"]
    if kind in "EN":
        lines = [out]
        while r.body[r.at : r.at + 1] not in (b"\0", b""):
            field = chr(r.number("B"))
            text = r.string()
            if field not in "FLR":
                lines.append(f"  {field} {text}")
        return [lines[0]] + sorted(lines[1:]) + ([f"  + {r.rest()}"] if r.rest() != b"\0" else [])
    if kind == "T":
        lines = [out]
        for _ in range(r.number("H")):
            name, table, column, typ = r.string(), r.number("I"), r.number("h"), r.number("I")
            size, typmod, form = r.number("h"), r.number("i"), r.number("h")
            lines.append(f"  {name!r} table {oid_text(table)} column {column} type {oid_text(typ)} size {size}"
                         f" typmod {typmod} format {form}")
        return lines + ([f"  + {r.rest()}"] if r.rest() else [])
    if kind == "D":
        values = []
        for _ in range(r.number("H")):
            n = r.number("i")
            values.append(None if n < 0 else r.bytes(n))
        return [f"{out} {values}" + (f" + {r.rest()}" if r.rest() else "")]
    if kind == "t":
        return [f"{out} {[oid_text(r.number('I')) for _ in range(r.number('H'))]}"]
    if kind in "GH":
        return [f"{out} {r.number('b')} {[r.number('h') for _ in range(r.number('H'))]} {r.rest()}"]
    if kind == "R":
        code = r.number("I")
        return [f"{out} {code} {r.rest() if code in (0, 3, 10) else len(r.rest())}"]
    return [f"{out} {body}"]


def decode_all(stream):
    lines, at = [], 0
    while at + 5 <= len(stream):
        (size,) = struct.unpack("!I", stream[at + 1 : at + 5])
        if at + 1 + size > len(stream) or size < 4:
            break
        try:
            lines += decode(chr(stream[at]), stream[at + 5 : at + 1 + size])
        except (struct.error, ValueError, IndexError) as error:
            lines.append(f"cannot be decoded ({error}): {stream[at : at + 1 + size]}")
        at += 1 + size
    return lines + ([f"half a message: {stream[at:]}"] if at < len(stream) else [])


# ---- playing ----


def connect(server, unix=False):
    if unix:
        s = socket.socket(socket.AF_UNIX)
        s.connect(f"{server.root}/.s.PGSQL.{server.port}")
    else:
        s = socket.create_connection(("127.0.0.1", server.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def until_end(s, to_send, seconds=20):
    """Send and receive at once until the server closes; returns what it sent."""
    got, end = b"", time.monotonic() + seconds
    s.setblocking(False)
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return got + b"[does not end]"
        readable, writable, _ = select.select([s], [s] if to_send else [], [], left)
        try:
            if writable:
                to_send = to_send[s.send(to_send) :]
            if readable:
                part = s.recv(1 << 16)
                if not part:
                    return got
                got += part
        except ConnectionError:
            return got


def play(server, script, database="postgres"):
    """The lines that a script's answers decode to."""
    name, messages = script[:2]
    options = script[2] if len(script) > 2 else {}
    whole = b"".join(messages)
    if not options.get("raw"):
        whole = startup(database=database, pairs=options.get("startup")) + whole + message("X")
    with connect(server, options.get("unix")) as s:
        lines = decode_all(until_end(s, whole, options.get("seconds", 20)))
    if not options.get("raw") and not options.get("whole"):
        first = next((i for i, x in enumerate(lines) if x.startswith("Ready")), -1)
        lines = lines[first + 1 :]
    if options.get("closes"): # PostgreSQL says nothing, Percore does before it closes, too
        refused = ["Error", "  C 08P01", "  M invalid message length", "  S FATAL", "  V FATAL"]
        refused_startup = refused[:2] + ["  M invalid length of startup packet"] + refused[3:]
        if lines[-5:] in (refused, refused_startup):
            lines = lines[:-5]
    return [x for x in lines if not x.startswith("Parameter b'server_version")]


def compare(program, scripts, setup=(), settings=None, cores=2):
    """Scripts: a list, or a function of a PostgreSQL server that makes one."""
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    show = "-v" in sys.argv
    passed = failed = 0
    settings = {"timezone": "UTC", **(settings or {})}
    with Postgres(settings) as postgres, Percore(cores=cores, settings=settings) as percore, ThreadPoolExecutor(
        2
    ) as both:
        for server in (postgres, percore):
            server.psql("CREATE DATABASE scripts")
            for sql in setup:
                server.psql(sql, database="scripts")
        for script in scripts(postgres) if callable(scripts) else scripts:
            if wanted and not any(script[0].startswith(w) for w in wanted):
                continue
            expected, actual = both.map(lambda s, x=script: play(s, x, "scripts"), (postgres, percore))
            if show:
                print(f"--- {script[0]}", *expected, sep="\n")
            # What goes wrong on both sides is no agreement.
            broken = [x for x in expected + actual if "[does not end]" in x or x.startswith("cannot be decoded")]
            if expected == actual and not broken and percore.process.poll() is None:
                passed += 1
                continue
            failed += 1
            print(f"--- {script[0]}")
            print("\n".join(list(difflib.unified_diff(expected, actual, "postgres", "percore", "", "", 2, ""))[2:60]))
            if percore.process.poll() is not None:
                print(percore.log.read_text(errors="replace")[-3000:])
                percore.start()
    print(f"{program}: {passed} scripts passed, {failed} failed")
    return 1 if failed or not passed else 0
