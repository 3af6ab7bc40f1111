"""Runs queries in DuckDB over an archive's own files and compares the answers with the service's.

Usage: sql.py SPEC, where SPEC names a JSON file:
{"jobs": DIR, "samples": DIR, "queries": [{"sql": "..", "answers": [[[cell, ..], ..], ..], "floats": [column, ..]}]}
Every query has several answers (of archives that hold the same jobs in other states); all must be DuckDB's. Rows are
compared as a set; columns listed in "floats" to 1e-6, all others exactly. Exits with 1 and the first difference.
"""
import json
import math
import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path


def view(connection, table, directory):
    paths = ", ".join("'" + str(path).replace("'", "''") + "'" for path in sorted(Path(directory).rglob("*.parquet")))
    connection.execute(f"create view {table} as select * from read_parquet([{paths}], hive_partitioning = true, union_by_name = true)")


def cell(value):
    """A cell of DuckDB as the service's JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value


def key(row, floats):
    exact = tuple(str(value) if not isinstance(value, Decimal) else str(value.normalize()) for at, value in enumerate(row) if at not in floats)
    return exact


def same(ours, theirs, floats):
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, DuckDB has {len(theirs)}"
    ours, theirs = sorted(ours, key=lambda row: key(row, floats)), sorted(theirs, key=lambda row: key(row, floats))
    for left, right in zip(ours, theirs):
        for at, (a, b) in enumerate(zip(left, right)):
            if at in floats and a is not None and b is not None:
                a, b = float(a), float(b)
                if not math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9):
                    return f"column {at}: {a} and {b} in {left} and {right}"
            elif a != b:
                return f"column {at}: {a!r} and {b!r} in {left} and {right}"
    return None


def main():
    import duckdb
    spec = json.loads(Path(sys.argv[1]).read_text(), parse_float=Decimal, parse_int=Decimal)
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    for table in ("jobs", "samples"):
        view(connection, table, spec[table])
    compared = 0
    for query in spec["queries"]:
        floats = {int(at) for at in query["floats"]}
        theirs = [[cell(value) for value in row] for row in connection.execute(query["sql"]).fetchall()]
        for number, ours in enumerate(query["answers"]):
            difference = same(ours, theirs, floats)
            if difference:
                sys.exit(f"answer {number} to {query['sql']}: {difference}")
            compared += len(ours)
    print(f"{len(spec['queries'])} queries, {compared} rows of answers are DuckDB's")


if __name__ == "__main__":
    main()
