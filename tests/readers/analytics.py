#!/usr/bin/env python3
"""Runs every block of docs/analytics.md, as it stands, in a folder that holds an archive `tachograph-data`.

Usage: analytics.py DOCUMENT FOLDER PROGRAM   (PROGRAM is tachograph)

`sh` blocks are run by a shell that finds `tachograph`, `sql` blocks by DuckDB with its views, `python`
blocks by themselves; what a Python block leaves in `result` is its answer. Blocks behind a comment
`answer: NAME` must give the same answer as all others of that name; those behind `needs: MODULE` are left
out, and named, where the module is missing. An answer without rows is a failure.
"""
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

BLOCK = re.compile(r"((?:<!-- [^\n]* -->\n)*)```(sh|sql|python)\n(.*?)```", re.S)


def blocks(text):
    for notes, language, code in BLOCK.findall(text):
        facts = dict(note.split(": ", 1) for note in re.findall(r"<!-- (.*?) -->", notes))
        yield facts, language, code


def plain(cell):
    """A cell as all engines can have it."""
    if isinstance(cell, (datetime, date)) or hasattr(cell, "isoformat"):
        text = cell.isoformat()
        # Midnight of a date and the date are one.
        return text.removesuffix("+00:00").replace("T", " ").removesuffix(" 00:00:00") or text
    if isinstance(cell, (Decimal, float)):
        return None if math.isnan(cell) else float(cell)
    return cell.item() if hasattr(cell, "item") else cell


def rows(result):
    """The rows of whatever an engine gives."""
    if hasattr(result, "to_arrow_table"):
        found = [tuple(row.values()) for row in result.to_arrow_table().to_pylist()]
    elif hasattr(result, "iter_rows"):
        found = result.rows()
    elif hasattr(result, "itertuples"):
        found = list(result.itertuples(index=False, name=None))
    elif hasattr(result, "collect"):
        found = [tuple(row) for row in result.collect()]
    else:
        # ClickHouse gives 64-bit numbers as texts.
        document = json.loads(str(result))
        numbers = [any(kind in column["type"] for kind in ("Int", "Float", "Decimal")) for column in document["meta"]]
        found = [tuple(float(cell) if number and cell is not None else cell for cell, number in zip(row, numbers)) for row in document["data"]]
    return [tuple(plain(cell) for cell in row) for row in found]


def differs(one, other):
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return not math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one != other


def compare(name, answers):
    first, wanted = answers[0]
    for engine, found in answers[1:]:
        if len(found) != len(wanted):
            sys.exit(f"{name}: {engine} has {len(found)} rows, {first} {len(wanted)}")
        for own, row in zip(sorted(found, key=str), sorted(wanted, key=str)):
            if len(own) != len(row) or any(map(differs, own, row)):
                sys.exit(f"{name}: {engine} says {own}, {first} {row}")


def main():
    document, folder, program = (Path(argument).resolve() for argument in sys.argv[1:4])
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    database, answers, left_out, ran = None, {}, [], 0
    for number, (facts, language, code) in enumerate(blocks(document.read_text()), 1):
        needs = facts.get("needs")
        if needs and importlib.util.find_spec(needs) is None:
            left_out.append(f"block {number} needs {needs}")
            continue
        where = f"block {number} ({language}): {code.strip().splitlines()[0]}"
        try:
            if language == "sh":
                subprocess.run(["bash", "-euc", code], check=True, env=environment)
                ran += 1
                continue
            if language == "sql":
                if database is None:
                    import duckdb
                    database = duckdb.connect()
                    database.execute("set timezone = 'UTC'")
                    database.execute(Path("views.sql").read_text())
                found = rows(database.sql(code))
            else:
                space = {}
                exec(compile(code, where, "exec"), space)
                found = rows(space["result"])
        except Exception as error:
            sys.exit(f"{where}\n  {type(error).__name__}: {error}")
        if not found:
            sys.exit(f"{where}\n  no rows")
        ran += 1
        if "answer" in facts:
            answers.setdefault(facts["answer"], []).append((where, found))
    compared = 0
    for name, given in answers.items():
        compare(name, given)
        compared += len(given) - 1
    if ran < 15 or compared < 4:
        sys.exit(f"only {ran} blocks were run and {compared} answers compared")
    print(f"{ran} blocks were run, {compared} answers are equal to another engine's; left out: {', '.join(left_out) or 'none'}")


if __name__ == "__main__":
    main()
