"""Runs one scenario of a client program on PostgreSQL 15 and on Percore and compares what the client saw.

A scenario is a function of a server; it returns (or yields) what it saw; both servers must show the same.
"""
import difflib
import inspect
import pathlib
import pprint
import re
import sys
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from servers import Percore, Postgres  # noqa: E402


def seen_by(scenario, server, database):
    """Lines that describe what the scenario saw; the exception that ended it is one of them."""
    seen = []
    try:
        result = scenario(server, database)
        for item in result if inspect.isgenerator(result) else (result or []):
            seen += pprint.pformat(item, width=100).splitlines()
    except Exception as error:  # compared like everything else
        seen.append(f"ended by {type(error).__name__}: {error}")
        frames = traceback.extract_tb(error.__traceback__)
        mine = [f for f in frames if "/tests/clients/" in f.filename]
        seen.append(f"  at {[f'{f.name}:{f.lineno}' for f in mine][-1:]}")
    return [re.sub(r"0x[0-9a-f]{6,}", "0x…", s).replace(str(server.port), "PORT") for s in seen]


def compare(program, scenarios, cores=2):
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    passed = failed = 0
    settings = {"timezone": "UTC"}
    with Postgres(settings) as postgres, Percore(cores=cores, settings=settings) as percore:
        for scenario in scenarios:
            if wanted and scenario.__name__ not in wanted:
                continue
            database = "db_" + scenario.__name__
            lines = []
            for server in (postgres, percore):
                server.psql(f"CREATE DATABASE {database}")
                lines.append(seen_by(scenario, server, database))
            if lines[0] == lines[1] and not any(s.startswith("ended by") for s in lines[0]):
                passed += 1
                continue
            failed += 1
            print(f"--- {program} {scenario.__name__}")
            if lines[0] == lines[1]:
                print("\n".join(lines[0][-5:]))
            print("\n".join(difflib.unified_diff(*lines, "postgres", "percore", "", "", 2, "")))
            if percore.process.poll() is not None:
                print(percore.log.read_text(errors="replace")[-3000:])
                percore.start()
    print(f"{program}: {passed} passed, {failed} failed")
    return 1 if failed else 0
