"""The seed corpora: what each fuzzer starts from. (Inputs that failed once are in corpus/NAME.)"""
import pathlib
import re
import struct

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def framed(*messages):
    """For wire_fuzz: type, u8 length, body."""
    return b"\2" + b"".join(kind + bytes([len(body)]) + body for kind, body in messages)


def raw(*messages, first=0):
    return bytes([first]) + b"".join(kind + struct.pack("!I", len(body) + 4) + body for kind, body in messages)


def bind(portal, statement, values, result=0):
    body = portal + b"\0" + statement + b"\0" + struct.pack("!HH", 0, len(values))
    for v in values:
        body += struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v
    return body + struct.pack("!HH", 1, result)


def wire():
    q = [b"SELECT 1\0", b"SELECT * FROM t; SELECT a FROM t WHERE b = 'row 3'\0", b"\0", b"BEGIN\0", b"COPY t FROM STDIN\0",
         b"COPY t TO STDOUT (FORMAT binary)\0", b"INSERT INTO t VALUES (100, 'x', 1) RETURNING *\0", b"ROLLBACK\0",
         b"DECLARE c CURSOR FOR SELECT * FROM t; FETCH 3 FROM c\0"]
    for text in q:
        yield framed((b"Q", text))
    parse = b"s\0SELECT a, $1::text FROM t WHERE a < $2\0" + struct.pack("!HII", 2, 25, 23)
    yield framed((b"P", parse), (b"D", b"Ss\0"), (b"B", bind(b"p", b"s", [b"x", b"7"])), (b"D", b"Pp\0"),
                 (b"E", b"p\0\0\0\0\2"), (b"E", b"p\0\0\0\0\0"), (b"C", b"Pp\0"), (b"C", b"Ss\0"), (b"S", b""))
    yield framed((b"P", b"\0SELECT 1\0\0\0"), (b"B", bind(b"", b"", [], 1)), (b"E", b"\0\0\0\0\0"), (b"H", b""), (b"S", b""))
    yield framed((b"Q", b"COPY t FROM STDIN\0"), (b"d", b"101\tabc\t1.5\n"), (b"d", b"102\t\\N"), (b"d", b"\t2\n"), (b"c", b""))
    yield framed((b"Q", b"COPY t FROM STDIN\0"), (b"f", b"no\0"), (b"S", b""), (b"X", b""))
    yield framed((b"F", struct.pack("!IHHH", 1, 0, 0, 0)))
    yield raw((b"Q", b"SELECT 1\0"), (b"S", b""), (b"X", b""))
    yield b"\0Q\0\0\0\3"
    yield b"\0Q\x7f\xff\xff\xff"
    startup = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0application_name\0x\0options\0-c work_mem=1MB\0\0"
    yield b"\1" + struct.pack("!I", len(startup) + 4) + startup + b"Q\0\0\0\x0dSELECT 1\0"
    for code in (80877102, 80877103, 80877104, 196608, 0x30001, 131072):
        yield b"\1" + struct.pack("!II", 8, code)
    yield b"\1" + struct.pack("!IIII", 16, 80877102, 1, 2)


def copy():
    rows = b"1\ttext\t1.5\t2024-01-01 00:00:00+00\tt\t0.5\t{1,2,NULL}\n2\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n"
    csv = b'1,"te""xt\n",1.5,2024-01-01,true,1e3,"{1,2}"\n2,,,,,,\n'
    other = b"1\tabc\t\\\\x01ff\t1 day\t2024-02-29\ta0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\n"
    binary = b"PGCOPY\n\xff\r\n\0" + struct.pack("!II", 0, 0) + struct.pack("!Hii", 7, 4, 1) + struct.pack("!i", 1) + b"x"
    binary += struct.pack("!iiiii", -1, -1, -1, -1, -1) + struct.pack("!h", -1)
    header = b"a;b;c;d;e;f;g\n1;'x\\'y';2;;t;1;{}\n"
    for mode, data in ((0, rows), (1, other), (2, csv), (4, binary), (6, header), (8, rows.replace(b"\t", b"|")),
                       (10, csv), (12, b"a\tb\tc\td\te\tf\tg\n" + rows), (0, b"\\.\n"), (0, b"\\x41\\101\\t\\\n\\N\r\n"),
                       (3, b'1,"v",\\x00,1 mon,2024-01-01,\n')):
        yield bytes([mode, 0]) + data
        yield bytes([mode, 3]) + data


def config():
    yield b"\0shared_buffers = 128MB\nmax_connections = 10 # x\nport=5432\nnode0.shared_buffers = '16GB'\n"
    yield b"\0listen_addresses = '127.0.0.1, ''x'''\nsynchronous_commit on\nwork_mem = 4kB\ncustom.name = 'v'\n"
    yield b"\2checkpoint_timeout = 5min\nDateStyle = 'ISO, DMY'\nstatement_timeout = 10s\nmax_wal_size = 1.5GB\ninclude 'x'\n"
    yield b"\1local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\nhost \"a b\",c +r ::1/128 reject\n"
    yield b"\1hostssl sameuser @f 10.0.0.0 255.0.0.0 md5 # c\nhostnossl all,x \"all\" samenet trust opt=1\nhostgssenc a b all peer\n"


def page():
    yield b"\0" + struct.pack("<HHHH", 2, 8192 - 36, 0, 0) + struct.pack("<HHHH", 8192 - 18, 18, 8192 - 36, 18)
    yield b"\1" + struct.pack("<HHHHH6x", 0, 0, 8192, 0, 0)
    cell = struct.pack("<H6s", 4, b"\0" * 6) + b"abcd"
    body = struct.pack("<HHHHH6x", 1, 0, 8192 - len(cell), 0, 0) + b"dcba" + struct.pack("<H", 8192 - len(cell))
    yield b"\1" + body.ljust(8192 - 32 - len(cell), b"\0") + cell
    for kind in range(22):
        yield bytes([kind + 2]) + bytes(range(60))


def sql():
    for path in sorted((TOP / "tests/sql").glob("*.sql")):
        for n, statement in enumerate(re.split(r";\s*\n", path.read_text())):
            lines = [line for line in statement.splitlines() if line.strip() and not line.startswith(("--", "\\"))]
            text = "\n".join(lines).encode()
            if 5 < len(text) < 1500 and b"\\." not in text:
                yield bytes([n % 2]) + text


ALL = {"config": config, "page": page, "copy": copy, "wire": wire, "sql": sql}
