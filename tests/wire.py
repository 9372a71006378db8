"""A small client of the PostgreSQL wire protocol, for tests that must see every message."""
import socket
import struct


class ServerError(Exception):
    def __init__(self, fields):
        self.fields = fields
        self.sqlstate = fields.get("C")
        super().__init__(f"{fields.get('S')} {self.sqlstate}: {fields.get('M')}")


class Gone(Exception):
    """The server closed the connection."""


class Wire:
    """One connection. Rows are lists of text values (None = NULL)."""

    def __init__(self, port, user="postgres", database="postgres", host="127.0.0.1", timeout=60,
                 options=None, tls=None):
        if host.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(f"{host}/.s.PGSQL.{port}")
        else:
            self.socket = socket.create_connection((host, port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls: # an ssl.SSLContext
            self.socket.sendall(struct.pack("!II", 8, 80877103))
            assert self.socket.recv(1) == b"S"
            self.socket = tls.wrap_socket(self.socket)
        self.buffer = b""
        self.parameters = {}
        self.status = None
        self.key = None
        self.notices = []
        self.notifications = []  # (pid, channel, payload)
        pairs = {"user": user, "database": database, **(options or {})}
        body = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in pairs.items())
        self.send_raw(struct.pack("!I", 196608) + body + b"\0", startup=True)
        self.until_ready()

    def send_raw(self, body, kind=b"", startup=False):
        del startup
        self.socket.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def _exactly(self, n):
        while len(self.buffer) < n:
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, socket.timeout) as error:
                raise Gone(str(error)) from error
            if not data:
                raise Gone("end of stream")
            self.buffer += data
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def message(self):
        head = self._exactly(5)
        return head[:1], self._exactly(struct.unpack("!I", head[1:])[0] - 4)

    @staticmethod
    def fields(body):
        out = {}
        for item in body.split(b"\0"):
            if item:
                out[chr(item[0])] = item[1:].decode(errors="replace")
        return out

    @staticmethod
    def row(body):
        count, at, values = struct.unpack("!H", body[:2])[0], 2, []
        for _ in range(count):
            size = struct.unpack("!i", body[at : at + 4])[0]
            at += 4
            values.append(None if size < 0 else body[at : at + size].decode())
            at += max(size, 0)
        return values

    def notified(self, body):
        channel, payload = body[4:-1].split(b"\0")
        self.notifications.append((struct.unpack("!I", body[:4])[0], channel.decode(), payload.decode()))

    def until_notified(self, payload):
        """Take what has been notified up to the first with that payload, reading while there is none."""
        looked_at = 0
        while True:
            for i in range(looked_at, len(self.notifications)):
                if self.notifications[i][2] == payload:
                    taken, self.notifications = self.notifications[: i + 1], self.notifications[i + 1 :]
                    return taken
            looked_at = len(self.notifications)
            kind, body = self.message()
            if kind != b"A":
                raise AssertionError(f"unexpected {kind} {body}")
            self.notified(body)

    def until_ready(self):
        """Read to ReadyForQuery; returns (rows, tags); raises the first error at its end."""
        rows, tags, error = [], [], None
        while True:
            kind, body = self.message()
            if kind == b"D":
                rows.append(self.row(body))
            elif kind == b"C":
                tags.append(body[:-1].decode())
            elif kind == b"E":
                error = error or ServerError(self.fields(body))
                if error.fields.get("S") == "FATAL":
                    raise error
            elif kind == b"N":
                self.notices.append(self.fields(body))
            elif kind == b"A":
                self.notified(body)
            elif kind == b"S":
                name, value = body[:-1].split(b"\0")
                self.parameters[name.decode()] = value.decode()
            elif kind == b"K":
                self.key = struct.unpack("!II", body)
            elif kind == b"Z":
                self.status = body.decode()
                if error:
                    raise error
                return rows, tags

    def query(self, sql):
        self.send_raw(sql.encode() + b"\0", b"Q")
        return self.until_ready()[0]

    # Extended protocol: messages are gathered and sent by sync().
    def parse(self, name, sql, types=()):
        body = name.encode() + b"\0" + sql.encode() + b"\0" + struct.pack("!H", len(types))
        self.send_raw(body + b"".join(struct.pack("!I", t) for t in types), b"P")

    def bind(self, portal, name, values=(), result_format=0):
        body = portal.encode() + b"\0" + name.encode() + b"\0" + struct.pack("!HH", 0, len(values))
        for value in values:
            if value is None:
                body += struct.pack("!i", -1)
            else:
                data = str(value).encode()
                body += struct.pack("!i", len(data)) + data
        self.send_raw(body + struct.pack("!HH", 1, result_format), b"B")

    def execute(self, portal="", rows=0):
        self.send_raw(portal.encode() + b"\0" + struct.pack("!I", rows), b"E")

    def describe(self, kind, name):
        self.send_raw(kind.encode() + name.encode() + b"\0", b"D")

    def flush(self):
        self.send_raw(b"", b"H")

    def sync(self):
        self.send_raw(b"", b"S")
        return self.until_ready()

    def cancel(self, port):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(struct.pack("!IIII", 16, 80877102, *self.key))
            s.recv(1)

    def close(self):
        try:
            self.send_raw(b"", b"X")
        except OSError:
            pass
        self.socket.close()
