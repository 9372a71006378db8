"""Random valid SQL over a small schema, from a seed. Every query has one right answer: what depends on the order of
evaluation (overflow, division by zero) or on the order of rows (float sums, LIMIT without a total order) is left out."""
import random

SETUP = """
CREATE TABLE t1 (a int PRIMARY KEY, b int, c text, d numeric, e bool, f timestamp);
CREATE TABLE t2 (a int PRIMARY KEY, r int, c varchar(20), n numeric(10,2), g float8, h date);
CREATE TABLE t3 (k bigint, c text, z int[], i interval, s smallint);
CREATE INDEX t1_b ON t1 (b);
CREATE INDEX t1_c ON t1 (c, b);
CREATE UNIQUE INDEX t2_c ON t2 (c, a);
CREATE INDEX t3_k ON t3 (k DESC);
INSERT INTO t1 SELECT n, CASE WHEN n % 6 > 0 THEN n % 11 END, CASE WHEN n % 7 > 0 THEN 'c' || n % 9 END,
  CASE WHEN n % 8 > 0 THEN (n % 13) * 1.25 END, CASE WHEN n % 5 > 0 THEN n % 3 = 0 END,
  CASE WHEN n % 9 > 0 THEN timestamp '2024-02-27 10:00' + (n % 17) * interval '13 hours 20 minutes' END
  FROM generate_series(1, 60) n;
INSERT INTO t2 SELECT n, CASE WHEN n % 4 > 0 THEN n * 3 % 50 END, CASE WHEN n % 6 > 0 THEN repeat('xY ', n % 4) || n % 5 END,
  CASE WHEN n % 7 > 0 THEN (n % 19) - 7.35 END, CASE WHEN n % 5 > 0 THEN (n % 10) / 4.0 END,
  CASE WHEN n % 8 > 0 THEN date '2023-12-29' + n % 12 END FROM generate_series(1, 40) n;
INSERT INTO t3 SELECT n % 15, CASE WHEN n % 5 > 0 THEN chr(65 + n % 26) || 'c' || n % 9 END,
  CASE WHEN n % 4 > 0 THEN ARRAY[n % 3, n % 7, NULLIF(n % 5, 2)] END,
  CASE WHEN n % 6 > 0 THEN (n % 8) * interval '1 month 3 days 4:05:06.7' END, CASE WHEN n % 3 > 0 THEN n % 20 - 9 END
  FROM generate_series(1, 30) n;
CREATE VIEW v1 AS SELECT t1.a, t1.c, t2.h, t1.b + t2.a AS ba FROM t1 JOIN t2 ON t1.b = t2.a WHERE t1.e IS NOT FALSE;
"""

TABLES = {
    "t1": {"a": "int", "b": "int", "c": "text", "d": "num", "e": "bool", "f": "ts"},
    "t2": {"a": "int", "r": "int", "c": "text", "n": "num", "g": "float", "h": "date"},
    "t3": {"k": "big", "c": "text", "z": "arr", "i": "span", "s": "int"},
    "v1": {"a": "int", "c": "text", "h": "date", "ba": "int"},
}
TYPES = ["int", "big", "num", "text", "bool", "ts", "date", "float", "span", "arr"]
CAST = {"int": "int", "big": "bigint", "num": "numeric", "text": "text", "bool": "bool", "ts": "timestamp",
        "date": "date", "float": "float8", "span": "interval", "arr": "int[]"}
SORTABLE = TYPES


class Gen:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.serial = 0

    def pick(self, *options):
        return self.r.choice(options)

    def chance(self, p):
        return self.r.random() < p

    def name(self, prefix):
        self.serial += 1
        return f"{prefix}{self.serial}"

    # ---- expressions ----

    def literal(self, t):
        r = self.r
        if self.chance(0.06):
            return f"NULL::{CAST[t]}"
        return {
            "int": lambda: str(r.randint(-3, 15)) if self.chance(0.9) else f"({r.randint(-70000, 70000)})",
            "big": lambda: f"{r.randint(-3, 20)}::bigint",
            "num": lambda: self.pick("1.5", "0.0", "-2.25", "12.50", "7.35", "100.001", "3.0"),
            "text": lambda: "'" + self.pick("", "c1", "c4", "xY ", "xY xY 3", "Cc5", "c_%", "Äö", "  pad ", "it''s") + "'",
            "bool": lambda: self.pick("true", "false"),
            "ts": lambda: f"timestamp '2024-0{r.randint(1, 9)}-{r.randint(10, 28)} {r.randint(10, 23)}:15:30.25'",
            "date": lambda: f"date '202{r.randint(2, 5)}-0{r.randint(1, 9)}-{r.randint(10, 28)}'",
            "float": lambda: self.pick("0.5", "-1.25", "2", "1e3", "0.1") + "::float8",
            "span": lambda: "interval '" + self.pick("1 day", "-3 hours", "2 months 4 days", "1 year 00:00:01.5", "0") + "'",
            "arr": lambda: self.pick("ARRAY[1,2,3]", "'{}'::int[]", "ARRAY[0,NULL,5]"),
        }[t]()

    def column(self, t, scope):
        found = [c for c, ct in scope if ct == t]
        return self.r.choice(found) if found else self.literal(t)

    def expr(self, t, scope, depth):
        if depth <= 0 or self.chance(0.25):
            return self.column(t, scope) if self.chance(0.8) else self.literal(t)
        e = lambda kind: self.expr(kind, scope, depth - 1)  # noqa: E731
        any_type = self.pick(*TYPES)
        generic = [
            lambda: f"CASE WHEN {e('bool')} THEN {e(t)} ELSE {e(t)} END",
            lambda: f"coalesce({e(t)}, {e(t)})",
            lambda: f"nullif({e(t)}, {e(t)})",
            lambda: f"CASE {e(any_type)} WHEN {self.literal(any_type)} THEN {e(t)} END",
            lambda: f"({e(t)})",
        ]
        if t not in ("arr",):
            generic.append(lambda: f"{self.pick('greatest', 'least')}({e(t)}, {e(t)})")
        return self.r.choice(self.r.choice([generic, self.of_type(t, e, scope, depth)] if self.chance(0.35)
                                           else [self.of_type(t, e, scope, depth)]))()

    def of_type(self, t, e, scope, depth):
        r = self.r
        if t == "int":
            return [
                lambda: f"({e('int')} % 1000 {self.pick('+', '-', '*')} {r.randint(-9, 9)})",
                lambda: f"({e('int')} / {r.choice([-3, 2, 7])})",
                lambda: f"({e('int')} % {r.choice([-3, 2, 7])})",
                lambda: f"length({e('text')})",
                lambda: f"abs({e('int')} % 1000)",
                lambda: f"sign({e('num')})::int",
                lambda: f"position({e('text')} in {e('text')})",
                lambda: f"extract({self.pick('year', 'month', 'day', 'dow', 'doy', 'week', 'quarter')} from {e('date')})::int",
                lambda: f"({e('date')} - {e('date')})",
                lambda: f"cardinality({e('arr')})",
                lambda: f"array_length({e('arr')}, 1)",
                lambda: f"({e('arr')})[{r.randint(0, 3)}]",
                lambda: f"ascii({e('text')})",
                lambda: f"({e('int')} {self.pick('&', '|', '#')} {e('int')})",
                lambda: f"({e('bool')})::int",
                lambda: f"octet_length({e('text')})",
                lambda: self.scalar("int", scope, depth),
            ]
        if t == "big":
            return [
                lambda: f"({e('int')})::bigint",
                lambda: f"({e('big')} % 100000 {self.pick('+', '-', '*')} {e('int')} % 1000)",
                lambda: f"({e('big')} / {r.choice([3, -7])})",
                lambda: f"abs({e('big')} % 1000)",
                lambda: self.scalar("big", scope, depth),
            ]
        if t == "num":
            return [
                lambda: f"({e('num')} {self.pick('+', '-')} {e('num')})",
                lambda: f"({e('num')} * {self.literal('num')})",
                lambda: f"({e('num')} / nullif({e('num')}, 0))",
                lambda: f"{self.pick('round', 'trunc')}({e('num')}, {r.randint(-1, 3)})",
                lambda: f"{self.pick('ceil', 'floor', 'abs', 'round')}({e('num')})",
                lambda: f"({e('int')})::numeric",
                lambda: f"({e('num')})::numeric({r.randint(28, 30)},{r.randint(0, 5)})",
                lambda: f"extract({self.pick('epoch', 'hour', 'minute', 'second', 'year')} from {e(self.pick('ts', 'span'))})",
                lambda: f"mod({e('num')}, nullif({e('num')}, 0))",
                lambda: self.scalar("num", scope, depth),
            ]
        if t == "text":
            return [
                lambda: f"({e('text')} || {e('text')})",
                lambda: f"({e('text')} || {e('int')})",
                lambda: f"{self.pick('upper', 'lower', 'trim', 'ltrim', 'rtrim', 'reverse', 'initcap', 'md5')}({e('text')})",
                lambda: f"substr({e('text')}, {r.randint(-1, 4)}, {r.randint(0, 5)})",
                lambda: f"substring({e('text')} from {r.randint(0, 3)})",
                lambda: f"replace({e('text')}, {self.literal('text')}, {e('text')})",
                lambda: f"{self.pick('left', 'right')}({e('text')}, {r.randint(-3, 4)})",
                lambda: f"{self.pick('lpad', 'rpad')}({e('text')}, {r.randint(0, 8)}, {self.pick(chr(39) + 'ab' + chr(39), chr(39) * 2)})",
                lambda: f"repeat({e('text')}, {r.randint(-1, 3)})",
                lambda: f"split_part({e('text')}, {self.pick(chr(39) + ' ' + chr(39), chr(39) + 'c' + chr(39))}, {r.choice([1, 2, -1])})",
                lambda: f"concat({e('text')}, {e('int')}, {e('bool')})",
                lambda: f"concat_ws('-', {e('text')}, {e('num')}, {e('date')})",
                lambda: f"translate({e('text')}, 'cxY', '1')",
                lambda: f"to_char({e('ts')}, {self.pick(chr(39) + 'YYYY-MM-DD HH24:MI:SS.MS' + chr(39), chr(39) + 'Day DD Mon IYYY IW Q' + chr(39), chr(39) + 'FMMonth FMDDth, HH12 PM' + chr(39))})",
                lambda: f"to_char({e('num')}, {self.pick(chr(39) + '999D99' + chr(39), chr(39) + 'FM0009.990' + chr(39), chr(39) + 'S99G999' + chr(39))})",
                lambda: f"({e(self.pick(*TYPES))})::text",
                lambda: f"({e('text')})::varchar({r.randint(1, 6)})::text",
                lambda: f"array_to_string({e('arr')}, ',', {self.pick(chr(39) + 'N' + chr(39), 'NULL')})",
                lambda: f"regexp_replace({e('text')}, '[a-c]+', '<\\&>', 'g')",
                lambda: f"quote_literal({e('text')})",
                lambda: f"format('%s|%L|%I', {e('text')}, {e('text')}, coalesce({e('text')}, 'x'))",
                lambda: f"overlay(coalesce({e('text')}, 'abc') placing 'Q' from {r.randint(1, 3)})",
                lambda: self.scalar("text", scope, depth),
            ]
        if t == "bool":
            k = self.pick("int", "int", "big", "num", "text", "ts", "date", "float", "span", "bool", "arr")
            return [
                lambda: f"({e(k)} {self.pick('=', '<>', '<', '<=', '>', '>=')} {e(k)})",
                lambda: f"({e(k)} {self.pick('=', '<>', '<', '>=')} {self.literal(k)})",
                lambda: f"({e('int')} {self.pick('=', '<', '>=')} {e(self.pick('big', 'num', 'float'))})",
                lambda: f"({e('bool')} {self.pick('AND', 'OR')} {e('bool')})",
                lambda: f"(NOT {e('bool')})",
                lambda: f"({e(k)} IS {self.pick('', 'NOT ')}NULL)",
                lambda: f"({e('bool')} IS {self.pick('', 'NOT ')}{self.pick('TRUE', 'FALSE', 'UNKNOWN')})",
                lambda: f"({e(k)} IS {self.pick('', 'NOT ')}DISTINCT FROM {e(k)})",
                lambda: f"({e(k)} {self.pick('', 'NOT ')}BETWEEN {self.pick('', 'SYMMETRIC ')}{e(k)} AND {e(k)})",
                lambda: f"({e(k)} {self.pick('', 'NOT ')}IN ({self.literal(k)}, {self.literal(k)}, {e(k)}))",
                lambda: f"({e('text')} {self.pick('', 'NOT ')}{self.pick('LIKE', 'ILIKE')} {self.pick(chr(39) + 'c%' + chr(39), chr(39) + '_c_' + chr(39), chr(39) + '%y%3' + chr(39))})",
                lambda: f"({e('text')} {self.pick('~', '!~', '~*')} '{self.pick('^c[0-5]$', 'y.*x', '[[:upper:]]c', '(a|c)+[1-3]')}')",
                lambda: f"({e('int')} = ANY({e('arr')}))",
                lambda: f"({e('int')} {self.pick('<', '>=')} ALL(ARRAY[{e('int')}, {e('int')}]))",
                lambda: f"({e('arr')} {self.pick('@>', '<@', '&&')} {e('arr')})",
                lambda: f"(({e('int')}, {e('text')}) {self.pick('=', '<', '>=')} ({e('int')}, {e('text')}))",
                lambda: f"starts_with({e('text')}, {self.literal('text')})",
                lambda: self.exists(scope, depth),
                lambda: self.in_query(k, scope, depth),
            ]
        if t == "ts":
            return [
                lambda: f"({e('ts')} {self.pick('+', '-')} {self.literal('span')})",
                lambda: f"({e('date')})::timestamp",
                lambda: f"date_trunc('{self.pick('year', 'quarter', 'month', 'week', 'day', 'hour')}', {e('ts')})",
                lambda: f"({e('date')} + {self.literal('span')})",
                lambda: self.scalar("ts", scope, depth),
            ]
        if t == "date":
            return [
                lambda: f"({e('date')} {self.pick('+', '-')} {self.r.randint(0, 400)})",
                lambda: f"({e('ts')})::date",
                lambda: f"make_date({r.randint(1999, 2030)}, {r.randint(1, 12)}, {r.randint(1, 28)})",
                lambda: self.scalar("date", scope, depth),
            ]
        if t == "float":
            return [
                lambda: f"({e('float')} {self.pick('+', '-', '*')} {self.literal('float')})",
                lambda: f"({e('int')})::float8",
                lambda: f"({e('num')})::float8",
                lambda: f"{self.pick('abs', 'floor', 'ceil', 'round', 'sign', 'trunc')}({e('float')})",
                lambda: f"sqrt(abs({e('float')}))",
            ]
        if t == "span":
            return [
                lambda: f"({e('span')} {self.pick('+', '-')} {self.literal('span')})",
                lambda: f"({e('span')} * {r.choice([2, -1, 3])})",
                lambda: f"({e('ts')} - {e('ts')})",
                lambda: f"justify_{self.pick('days', 'hours', 'interval')}({e('span')})",
                lambda: f"age({e('ts')}, {e('ts')})",
                lambda: f"make_interval(days => {r.randint(-5, 40)}, hours => {r.randint(-30, 30)})",
            ]
        return [
            lambda: f"array_append({e('arr')}, {e('int')})",
            lambda: f"({e('arr')} || {e('int')})",
            lambda: f"array_remove({e('arr')}, {e('int')})" if not self.chance(0.5) else f"ARRAY[{e('int')}, {e('int')}]",
            lambda: f"({e('arr')})[{r.randint(0, 2)}:{r.randint(1, 3)}]",
            lambda: f"ARRAY(SELECT g FROM generate_series(1, {r.randint(0, 4)}) g)",
        ]

    # ---- subqueries in expressions ----

    def scalar(self, t, outer, depth):
        if depth < 2 or not self.chance(0.4):
            return self.column(t, outer)
        frm, scope = self.source(1)
        where = self.expr("bool", scope + outer, depth - 2)
        x = self.expr(t, scope, 1)
        agg = self.pick("min", "max") if t not in ("bool", "arr") else {"bool": "bool_and", "arr": "max"}[t]
        return f"(SELECT {agg}({x}) FROM {frm} WHERE {where})"

    def exists(self, outer, depth):
        if depth < 2:
            return self.column("bool", outer)
        frm, scope = self.source(1)
        return f"{self.pick('', 'NOT ')}EXISTS (SELECT 1 FROM {frm} WHERE {self.expr('bool', scope + outer, depth - 2)})"

    def in_query(self, t, outer, depth):
        if depth < 2:
            return self.column("bool", outer)
        frm, scope = self.source(1)
        where = f" WHERE {self.expr('bool', scope + (outer if self.chance(0.4) else []), depth - 2)}" if self.chance(0.6) else ""
        inner = f"(SELECT {self.expr(t, scope, 1)} FROM {frm}{where})"
        if self.chance(0.3):
            return f"({self.expr(t, outer, 1)} {self.pick('=', '<', '>=', '<>')} {self.pick('ANY', 'ALL')} {inner})"
        return f"({self.expr(t, outer, 1)} {self.pick('', 'NOT ')}IN {inner})"

    # ---- FROM ----

    def item(self):
        kind = self.r.random()
        alias = self.name("q")
        if kind < 0.72:
            table = self.pick("t1", "t1", "t2", "t2", "t3", "v1")
            return f"{table} {alias}", [(f"{alias}.{c}", t) for c, t in TABLES[table].items()]
        if kind < 0.88:
            text, types = self.select(1, ordered=False)
            names = [f"x{i}" for i in range(len(types))]
            return f"({text}) {alias}({', '.join(names)})", [(f"{alias}.{n}", t) for n, t in zip(names, types)]
        if kind < 0.94:
            return f"generate_series({self.r.randint(-2, 2)}, {self.r.randint(3, 9)}) {alias}(g)", [(f"{alias}.g", "int")]
        rows = ", ".join(f"({self.literal('int')}, {self.literal('text')})" for _ in range(self.r.randint(1, 4)))
        return f"(VALUES {rows}) {alias}(i, s)", [(f"{alias}.i", "int"), (f"{alias}.s", "text")]

    def source(self, most):
        text, scope = self.item()
        for _ in range(self.r.randint(0, most) if most > 1 else (1 if self.chance(0.2) else 0)):
            if self.chance(0.08):
                alias, inner = self.name("q"), self.source(1)
                kinds = [self.pick("int", "text", "num", "bool") for _ in range(2)]
                outputs = ", ".join(f"{self.expr(k, inner[1] + scope, 1)} AS x{i}" for i, k in enumerate(kinds))
                where = self.expr("bool", inner[1] + scope, 1)
                text += f" {self.pick('CROSS', 'LEFT')} JOIN LATERAL (SELECT {outputs} FROM {inner[0]} WHERE {where}) {alias}"
                text += " ON true" if "LEFT JOIN LATERAL (SELECT " + outputs in text else ""
                scope = scope + [(f"{alias}.x{i}", k) for i, k in enumerate(kinds)]
                continue
            other, more = self.item()
            kind = self.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "JOIN", "LEFT JOIN")
            if kind == "CROSS JOIN":
                text = f"{text} CROSS JOIN {other}"
            else:
                text = f"{text} {kind} {other} ON {self.condition(scope, more, kind == 'FULL JOIN')}"
            scope = scope + more
        return text, scope

    def condition(self, left, right, simple):
        pairs = [(a, b) for a, ta in left for b, tb in right if ta == tb]
        if not pairs:
            return "true" if not simple else "1 = 1"
        a, b = self.r.choice(pairs)
        text = f"{a} = {b}"
        if not simple and self.chance(0.4):
            text += f" AND {self.expr('bool', left + right, 1)}"
        return text

    # ---- SELECT ----

    def aggregate(self, scope):
        t = self.pick("int", "num", "text", "bool", "date", "big", "span", "ts")
        x = self.expr(t, scope, 1)
        distinct = self.pick("", "", "DISTINCT ")
        options = [("count(*)", "big"), (f"count({distinct}{x})", "big")]
        if t not in ("bool",):
            options += [(f"{self.pick('min', 'max')}({x})", t)]
        if t == "bool":
            options += [(f"{self.pick('bool_and', 'bool_or')}({x})", "bool")]
        if t in ("int", "num"):
            options += [(f"sum({distinct}{x})", "big" if t == "int" else "num"), (f"avg({distinct}{x})", "num")]
        if t == "int":
            options += [(f"array_agg({x} ORDER BY {x})", "arr"), (f"bit_or({x})", "int")]
        if t == "text":
            options += [(f"string_agg({x}, ',' ORDER BY {x} {self.pick('', 'DESC')})", "text")]
        text, kind = self.r.choice(options)
        if self.chance(0.2):
            text += f" FILTER (WHERE {self.expr('bool', scope, 1)})"
        return text, kind

    def window(self, scope):
        t = self.pick("int", "num", "text")
        x = self.expr(t, scope, 1)
        keys = ", ".join(c for c, _ in scope)  # a total order but for equal rows
        part = f"PARTITION BY {self.expr(self.pick('int', 'text', 'bool'), scope, 1)} " if self.chance(0.6) else ""
        over = f"({part}ORDER BY {x} {self.pick('', 'DESC', 'NULLS FIRST')}, {keys})"
        peers = f"({part}ORDER BY {x})"
        frame = self.pick("", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING")
        framed = over[:-1] + frame + ")"
        return self.r.choice([
            (f"row_number() OVER {over}", "big"), (f"{self.pick('rank', 'dense_rank')}() OVER {peers}", "big"),
            (f"count(*) OVER {framed}", "big"), (f"sum({self.expr('int', scope, 1)}) OVER {peers}", "big"),
            (f"{self.pick('lag', 'lead')}({x}) OVER {over}", t), (f"{self.pick('min', 'max')}({x}) OVER {framed}", t),
            (f"ntile({self.r.randint(1, 4)}) OVER {over}", "int"),
        ])

    def select(self, depth, ordered=True, types=None):
        frm, scope = self.source(2 if depth > 1 else 1)
        where = f" WHERE {self.expr('bool', scope, depth + 1)}" if self.chance(0.65) else ""
        group = having = ""
        head = "SELECT "
        if types is None and self.chance(0.35):
            keys = [self.pick(*scope) for _ in range(self.r.randint(0, 2))]
            outputs = [(c, t) for c, t in keys] + [self.aggregate(scope) for _ in range(self.r.randint(1, 3))]
            if keys:
                group = " GROUP BY " + self.pick("", "", "", "ROLLUP", "CUBE", "DISTINCT ")
                group += f"({', '.join(c for c, _ in keys)})" if group.endswith(("ROLLUP", "CUBE")) else ", ".join(
                    c for c, _ in keys)
                if self.chance(0.35):
                    having = f" HAVING {self.aggregate(scope)[0]} IS NOT NULL" if self.chance(0.5) else " HAVING count(*) > 1"
        else:
            wanted = types or [self.pick(*TYPES) for _ in range(self.r.randint(1, 4))]
            outputs = [(self.expr(t, scope, depth), t) for t in wanted]
            if types is None and self.chance(0.12):
                outputs.append(self.window(scope))
            elif self.chance(0.2):
                head = "SELECT DISTINCT "
        if not ordered and types is None and not group and head == "SELECT " and self.chance(0.08):
            key = self.r.choice(scope)[0]
            every = ", ".join(c for c, _ in scope)
            order = f" ORDER BY {key}, {every}"
            if not any(name in outputs[0][0] for name in ("count(", "sum(", "avg(", "min(", "max(", "_agg(", "bool_", "bit_or")):
                return (f"SELECT DISTINCT ON ({key}) {', '.join(o for o, _ in outputs)} FROM {frm}{where}{order}",
                        [t for _, t in outputs])
        text = head + ", ".join(o for o, _ in outputs) + f" FROM {frm}{where}{group}{having}"
        out = [t for _, t in outputs]
        if ordered:
            order = [f"{i + 1}{self.pick('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST')}" for i in range(len(out))]
            text += " ORDER BY " + ", ".join(order)
            if self.chance(0.4):
                text += f" LIMIT {self.r.randint(0, 12)}"
            if self.chance(0.2):
                text += f" OFFSET {self.r.randint(0, 5)}"
        return text, out

    def query(self):
        kind = self.r.random()
        if kind < 0.12:
            # no numeric: which of 1.5 and 1.50 stands for both is the plan's choice
            types = [self.pick("int", "text", "date", "ts") for _ in range(self.r.randint(1, 3))]
            parts = [self.select(1, False, types)[0] for _ in range(self.r.randint(2, 3))]
            text = f"({parts[0]})"
            for p in parts[1:]:
                text += f" {self.pick('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL', 'INTERSECT ALL')} ({p})"
            return text + " ORDER BY " + ", ".join(str(i + 1) for i in range(len(types)))
        if kind < 0.14:
            w, column = self.name("w"), self.pick("t1.b", "t2.r")
            return (f"WITH RECURSIVE {w}(n, d) AS (SELECT {self.r.randint(1, 9)}, 0 {self.pick('UNION', 'UNION ALL')} SELECT {column}, "
                    f"d + 1 FROM {w} JOIN {column[:2]} ON {column[:2]}.a = {w}.n WHERE d < {self.r.randint(1, 6)}) "
                    f"SELECT n, d, count(*) FROM {w} GROUP BY 1, 2")
        if kind < 0.2:
            text, types = self.select(1, False)
            names = [f"x{i}" for i in range(len(types))]
            w = self.name("w")
            scope = [(f"{w}.{n}", t) for n, t in zip(names, types)]
            outputs = ", ".join(self.expr(t, scope, 2) for t in types)
            return (f"WITH {w}({', '.join(names)}) AS {self.pick('', 'MATERIALIZED ')}({text}) SELECT {outputs} FROM {w} "
                    f"WHERE {self.expr('bool', scope, 2)}")
        return self.select(self.r.randint(1, 3), self.chance(0.7))[0]

    def statement(self):
        """(text, is a change)"""
        kind = self.r.random()
        if kind < 0.82:
            return self.query(), False
        table = self.pick("t1", "t2", "t3")
        scope = [(f"{table}.{c}", t) for c, t in TABLES[table].items()]
        columns = [c for c in TABLES[table] if c not in ("a", "c", "n", "s")]
        returning = f" RETURNING {', '.join(self.expr(self.pick(*TYPES), scope, 1) for _ in range(2))}" if self.chance(0.6) else ""
        where = f" WHERE {self.expr('bool', scope, 2)}"
        if kind < 0.9:
            c = self.r.choice(columns)
            t = TABLES[table][c]
            source = ""
            if self.chance(0.25) and table != "t2":
                other, more = "t2 z", [(f"z.{n}", k) for n, k in TABLES["t2"].items()]
                key = "t1.a" if table == "t1" else "t3.k"
                source, where = f" FROM {other}", f" WHERE z.a = {key} AND {self.expr('bool', scope + more, 2)}"
                if table == "t3":
                    source, where = "", f" WHERE {self.expr('bool', scope, 2)}"
            return f"UPDATE {table} SET {c} = {self.expr(t, scope, 2)}{source}{where}{returning}", True
        if kind < 0.95:
            return f"DELETE FROM {table}{where}{returning}", True
        names = list(TABLES[table])
        keys = {"t1": "a", "t2": "a"}.get(table)
        rows = []
        for i in range(self.r.randint(1, 3)):
            rows.append(", ".join(str(self.r.randint(55, 70)) if n == keys
                                  else f"left({self.expr('text', [], 1)}, 20)" if n == "c"
                                  else f"({self.expr('int', [], 1)}) % 1000" if n in ("n", "s")
                                  else self.expr(TABLES[table][n], [], 1) for n in names))
        conflict = self.pick("", " ON CONFLICT DO NOTHING",
                             f" ON CONFLICT (a) DO UPDATE SET c = excluded.c || '!'" if keys and table == "t1" else "")
        return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({'), ('.join(rows)}){conflict}{returning}", True
