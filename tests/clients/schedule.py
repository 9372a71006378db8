"""Schedules of several sessions, step by step.

A step is "session statement". "session& statement" must wait for another session: that it does is part of what is
seen; "session=" takes its answer.
"""
import select

from wire import ServerError, Wire

WAIT = 0.15  # a statement that must wait is seen to have no answer for so long


def result_of(session):
    try:
        rows, tags = session.until_ready()
        return [" ".join(map(str, r)) for r in rows] + tags
    except ServerError as error:
        detail = error.fields.get("D")
        return [f"{error.sqlstate} {error.fields['M']}" + (f" / {detail}" if detail and error.sqlstate != "40P01" else "")]


def run(server, database, setup, *steps):
    first = Wire(server.port, database=database)
    first.query(setup)
    sessions = {}
    seen = []
    for step in steps:
        who, _, sql = step.partition(" ")
        name, waits, takes = who[0], who.endswith("&"), who.endswith("=")
        if name not in sessions:
            sessions[name] = Wire(server.port, database=database)
        session = sessions[name]
        if not takes:
            session.send_raw(sql.encode() + b"\0", b"Q")
        if waits:
            ready, _, _ = select.select([session.socket], [], [], WAIT)
            seen.append(f"{step}: {'answers at once' if ready else 'waits'}")
        else:
            seen.append(f"{step}: {result_of(session)}")
    for session in sessions.values():
        session.close()
    first.close()
    return seen
